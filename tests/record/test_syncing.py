from nvr.record.syncing import How, SyncPlan
from nvr.units import US


def synced_at(plan: SyncPlan, every_us: int, for_us: int) -> list[float]:
    """Seconds at which a file handed frames every `every_us` is synced."""
    done, synced_us, before_us = [], 0, 0
    for now_us in range(every_us, for_us + 1, every_us):
        if plan.is_due(synced_us, before_us, now_us):
            synced_us = now_us
            done.append(now_us / US)
        before_us = now_us
    return done


def test_a_file_is_synced_at_the_hand_over_before_it_would_be_late():
    assert synced_at(SyncPlan(2 * US), every_us=US, for_us=8 * US) == [2, 4, 6, 8]
    assert synced_at(SyncPlan(2 * US), every_us=US * 3 // 4, for_us=6 * US) == [1.5, 3, 4.5, 6]


def test_a_quick_disk_syncs_few_files_one_by_one_and_many_together():
    plan = SyncPlan(2 * US)
    plan.open_files = 5
    for _ in range(200):
        plan.took(1_000)
    assert (plan.how, plan.stretched) == (How.FILE, False)
    plan.open_files = 6
    for _ in range(200):
        plan.took(1_000)
    assert (plan.how, plan.stretched) == (How.VOLUME, False)
    plan.open_files = 4
    plan.took(1_000)
    assert plan.how is How.FILE


def test_where_others_write_to_the_file_system_some_files_are_synced_one_by_one():
    plan = SyncPlan(2 * US)
    plan.open_files = 10
    for _ in range(200):
        plan.took(1_000 if plan.how is How.FILE else 200_000)  # syncfs waits for the others too
    assert plan.how is How.FILE
    plan.open_files = 16
    plan.took(1_000)
    assert plan.how is How.VOLUME, "so many flushes are worse in any case"


def test_a_slow_disk_syncs_its_files_together_and_comes_back_once_it_is_quick():
    plan = SyncPlan(2 * US)
    plan.open_files = 4
    for _ in range(100):
        plan.took(225_000)
    assert plan.how is How.VOLUME
    for _ in range(2000):
        plan.took(3_000)
    assert plan.how is How.FILE


def test_a_disk_too_slow_for_the_interval_stretches_it():
    plan = SyncPlan(2 * US)
    plan.open_files = 1
    for _ in range(200):
        plan.took(3 * US)
    assert plan.stretched
    assert plan.interval_us > 5 * US


def test_a_sync_of_the_volume_speaks_for_all_its_files():
    plan = SyncPlan(2 * US)
    assert plan.is_due(synced_us=0, before_us=2 * US, now_us=3 * US)
    plan.volume_synced_us = int(2.5 * US)
    assert not plan.is_due(synced_us=0, before_us=2 * US, now_us=3 * US)

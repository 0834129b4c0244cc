"""When the watchdog is fed no more: only where a restart may help."""

from nvr.supervisor.pulse import reason_to_starve

WATCHDOG_S = 30.0


def test_all_is_well_while_every_thread_comes_on() -> None:
    assert reason_to_starve(WATCHDOG_S, 0.0, [0.0, 0.0]) is None


def test_a_disk_that_takes_a_while_is_waited_for() -> None:
    assert reason_to_starve(WATCHDOG_S, 19.9, [19.9]) is None


def test_a_hanging_writer_of_the_index_is_a_reason() -> None:
    assert reason_to_starve(WATCHDOG_S, 20.0, [0.0]) == "the index's writer has not come on for 20 s"


def test_the_only_volume_that_hangs_is_a_reason() -> None:
    assert reason_to_starve(WATCHDOG_S, 0.0, [21.0]) == "no volume has answered for 21 s"


def test_one_hanging_volume_of_several_is_none_however_long() -> None:
    assert reason_to_starve(WATCHDOG_S, 0.0, [86_400.0, 0.1]) is None


def test_all_of_several_volumes_hanging_is_one() -> None:
    assert reason_to_starve(WATCHDOG_S, 0.0, [86_400.0, 25.0]) == "no volume has answered for 25 s"


def test_volumes_that_never_answered_in_this_life_are_none() -> None:
    assert reason_to_starve(WATCHDOG_S, 0.0, []) is None

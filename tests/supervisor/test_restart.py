from nvr.supervisor.restart import Backoff, Patience


def test_waits_double_up_to_the_cap_and_start_over_once_frames_arrived():
    backoff = Backoff(dice=lambda: 0.5)
    assert [backoff.after_trouble() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]
    backoff.worked()
    assert backoff.after_trouble() == 0.5


def test_a_wait_varies_by_a_tenth_to_either_side_and_stays_near_ten_seconds():
    assert Backoff(dice=lambda: 0.0).after_trouble() == 0.45
    eager, lazy = Backoff(dice=lambda: 0.0), Backoff(dice=lambda: 1.0)
    for _ in range(10):
        shortest, longest = eager.after_trouble(), lazy.after_trouble()
    assert (shortest, longest) == (9.0, 11.0)


def test_a_refused_login_waits_longest():
    backoff = Backoff(dice=lambda: 0.5)
    assert backoff.after_trouble(later=True) == Backoff.LATER_S


def test_a_unit_is_lost_after_too_many_failures_in_a_short_time_only():
    patience = Patience(failures=3, within_s=100)
    assert [patience.is_lost_after(t) for t in (0, 60, 120, 180)] == [False, False, False, False]
    assert [patience.is_lost_after(t) for t in (190, 200)] == [True, True]

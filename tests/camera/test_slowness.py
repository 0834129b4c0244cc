import pytest

from nvr.camera.slowness import Slowness
from nvr.units import US


def verdict(fps: float, announced: float, seconds: int = 40) -> tuple[float, float] | None:
    slowness = Slowness()
    for second in range(seconds):
        slowness.note(second * US, round(second * fps), announced)
    return slowness.verdict


@pytest.mark.parametrize(("fps", "announced"), [(30.0, 30.0), (22.0, 30.0), (0.8, 1.0), (5.0, 0.0)])
def test_a_camera_that_sends_about_what_it_announced_is_not_slow(fps: float, announced: float) -> None:
    assert verdict(fps, announced) is None


def test_one_that_sends_far_less_is() -> None:
    slow = verdict(12.0, 30.0)
    assert slow is not None
    assert slow == (pytest.approx(12.0, abs=0.2), 30.0)


def test_a_moment_says_nothing() -> None:
    assert verdict(1.0, 30.0, seconds=29) is None


def test_a_network_that_is_quick_again_is_so_after_half_a_minute() -> None:
    slowness = Slowness()
    frames = 0
    for second in range(90):
        frames += 10 if second < 45 else 30
        slowness.note(second * US, frames, 30.0)
        if second in (40, 50):
            assert slowness.verdict is not None
    assert slowness.verdict is None

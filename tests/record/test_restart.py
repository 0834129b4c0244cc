"""A camera that is restarted on purpose is off while it is away, and missed once it is away for too long."""

import pytest

from nvr.clock import HostClock
from nvr.media.frame import Unit
from nvr.units import US, MonoMicros, UtcMicros
from tests.record.conftest import NOW, Room, frames_of


class Ticking(HostClock):
    """Both clocks go on only as a test says."""

    def __init__(self) -> None:
        self.after_us = 0

    def utc_us(self) -> UtcMicros:
        return UtcMicros(NOW + self.after_us)

    def mono_us(self) -> MonoMicros:
        return MonoMicros(10**12 + self.after_us)


@pytest.fixture
def clock(room: Room) -> Ticking:
    ticking = Ticking()
    room.recorder._clock = ticking
    return ticking


def pass_time(room: Room, clock: Ticking, until_s: float) -> None:
    while clock.after_us < until_s * US:
        clock.after_us += US // 2
        room.recorder.tick()


def test_until_it_sends_pictures_again_it_is_off(room: Room, units: list[Unit], clock: Ticking) -> None:
    room.take(frames_of(units[:60]))
    clock.after_us = 2 * US
    room.recorder.expect_restart(5)
    for reason in ("stream-broken", "camera-unreachable", "camera-unreachable"):
        room.recorder.lost(reason)
        pass_time(room, clock, clock.after_us / US + 0.5)
    room.take(frames_of(units[120:180], first=120))
    assert room.told(NOW + 6 * US) == "recorded 2.000, off camera-restart 2.000, recorded 2.000"
    clock.after_us = 6 * US
    room.recorder.lost("camera-stalled")
    assert room.told(NOW + 7 * US).endswith("recorded 2.000, gap camera-stalled 1.000"), "that was not planned"


def test_what_it_is_away_for_too_long_is_a_gap(room: Room, units: list[Unit], clock: Ticking) -> None:
    room.take(frames_of(units[:60]))
    clock.after_us = 2 * US
    room.recorder.expect_restart(3)
    room.recorder.lost("stream-broken")
    pass_time(room, clock, 6)
    room.recorder.lost("camera-unreachable")
    room.take(frames_of(units[240:], first=240))
    assert room.told(NOW + 10 * US) == (
        "recorded 2.000, off camera-restart 3.000, gap camera-unreachable 3.000, recorded 2.000"
    )


def test_a_restart_that_does_not_happen_changes_nothing(room: Room, units: list[Unit], clock: Ticking) -> None:
    room.recorder.expect_restart(1)
    room.take(frames_of(units[:60]))
    pass_time(room, clock, 2)
    room.recorder.lost("camera-stalled")
    assert room.told(NOW + 3 * US) == "recorded 2.000, gap camera-stalled 1.000"


def test_a_stop_of_nvr_while_a_camera_restarts_is_a_stop_of_nvr(room: Room, units: list[Unit], clock: Ticking) -> None:
    room.take(frames_of(units[:60]))
    clock.after_us = 2 * US
    room.recorder.expect_restart(60)
    room.recorder.lost("stream-broken")
    pass_time(room, clock, 3)
    room.recorder.lost("service-stopped")
    assert room.told(NOW + 4 * US) == "recorded 2.000, off camera-restart 1.000, gap service-stopped 1.000"

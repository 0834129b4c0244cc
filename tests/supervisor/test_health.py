"""What is told of the health of cameras, volumes and the machine, and when."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from nvr.supervisor.health import PATIENCE, Began, CameraNow, Condition, Health, HouseNow, VolumeNow
from nvr.units import US

FINE = CameraNow(wanted=True, blocked=None, fresh=True, why=None, alarm_link=True, clock_offset_s=0.1)
DAY_S = 86_400.0


class Told:
    """A health that is told how everything is, second for second."""

    def __init__(self) -> None:
        self.second = 0
        self._health = Health()

    def over(self, seconds: float, now: Callable[[int], HouseNow], every_s: int = 1) -> list[tuple[int, str]]:
        """What is news while this is so; with the second of each."""
        news = []
        for _ in range(0, int(seconds), every_s):
            for one in self._health.note(now(self.second), self.second * US):
                word = "" if isinstance(one, Began) else " over"
                news.append((self.second, f"{one.ill.subject or '-'} {one.ill.condition}{word}"))
            self.second += every_s
        return news

    @property
    def lasting(self) -> list[str]:
        return [began.ill.condition.value for began in self._health.told]


def house(camera: CameraNow = FINE, volume: VolumeNow | None = None, **more: object) -> Callable[[int], HouseNow]:
    volumes = {"main": volume or VolumeNow(10**12, 0)}
    return lambda _: HouseNow({"gate": camera}, volumes, **more)  # type: ignore[arg-type]


def test_nothing_is_told_while_all_is_well() -> None:
    assert Told().over(4000, house()) == []


STATES = {
    Condition.CAMERA_NOT_RECORDING: house(replace(FINE, fresh=False, why="not reachable")),
    Condition.CAMERA_BLOCKED: house(replace(FINE, blocked="disk full")),
    Condition.ALARM_LINK_DOWN: house(replace(FINE, alarm_link=False)),
    Condition.FAIL_OPEN: house(replace(FINE, fail_open=True)),
    Condition.PROMISE_BROKEN: house(replace(FINE, promise_broken=True)),
    Condition.BACKUP_STALE: house(backup_age_s=3.1 * DAY_S),
    Condition.INDEX_INCONSISTENT: house(inconsistencies={"missing": 2, "orphan": 0}),
    Condition.INDEX_SILENT: house(index_silent=True),
    Condition.CAMERA_CLOCK_OFF: house(replace(FINE, clock_offset_s=-2.5)),
    Condition.HOST_UNSYNCHRONISED: house(clock_synchronised=False),
    Condition.FAN_FAILED: house(replace(FINE, fan_failed=True)),
    Condition.SETTINGS_DRIFTED: house(replace(FINE, settings_drifted=True)),
}
RATES = {
    Condition.CAMERA_FLAPPING,
    Condition.FRAMES_LOST,
    Condition.WRITES_FAILING,
    Condition.DISK_FULL_WITHIN_A_DAY,
}


def test_every_condition_is_a_state_or_a_rate() -> None:
    assert STATES.keys() | RATES == set(Condition)
    assert PATIENCE.keys() == set(Condition)


@pytest.mark.parametrize("condition", STATES)
def test_a_state_is_told_once_when_it_has_lasted_and_once_when_it_is_over(condition: Condition) -> None:
    told, patience = Told(), PATIENCE[condition]
    dwell, recovery = int(patience.dwell_s), int(patience.recovery_s)
    subject = "gate" if STATES[condition](0).cameras["gate"] != FINE else "-"
    assert told.over(dwell, STATES[condition]) == []
    assert told.over(1000, STATES[condition]) == [(dwell, f"{subject} {condition}")]
    assert told.lasting == [condition]
    ended = dwell + 1000
    assert told.over(recovery + 10, house()) == [(max(ended, ended + recovery - 1), f"{subject} {condition} over")]
    assert told.lasting == []


def test_a_short_trouble_is_not_told() -> None:
    told = Told()
    for _ in range(5):
        assert told.over(60, STATES[Condition.CAMERA_NOT_RECORDING]) == []
        assert told.over(31, house()) == []


def test_what_comes_and_goes_is_one_trouble_not_many() -> None:
    told = Told()
    assert len(told.over(100, STATES[Condition.CAMERA_NOT_RECORDING])) == 1
    for _ in range(10):
        assert told.over(20, house()) == []
        assert told.over(20, STATES[Condition.CAMERA_NOT_RECORDING]) == []
    assert len(told.over(100, house())) == 1


def test_a_camera_that_flaps_is_told_and_is_over_a_quarter_of_an_hour_after_the_last_time() -> None:
    told = Told()
    flapping = told.over(1200, lambda second: house(replace(FINE, reconnects=second // 60))(second))
    assert [what for _, what in flapping] == ["gate camera-flapping"]
    assert 600 <= flapping[0][0] <= 700
    calm = told.over(3600, house(replace(FINE, reconnects=20)))
    assert [what for _, what in calm] == ["gate camera-flapping over"]


def test_more_than_one_lost_picture_in_a_hundred_is_told() -> None:
    frames = lambda second: replace(FINE, frames=second * 30)  # noqa: E731 - a word for the next two lines
    few = Told().over(3000, lambda second: house(replace(frames(second), frames_lost=second * 30 // 200))(second), 5)
    assert few == []
    many = Told().over(3000, lambda second: house(replace(frames(second), frames_lost=second * 30 // 50))(second), 5)
    assert [what for _, what in many] == ["gate frames-lost"]


def test_one_failed_write_is_told_at_once_and_over_when_none_followed() -> None:
    told = Told()
    assert told.over(100, house()) == []
    failed = house(volume=VolumeNow(10**12, 1))
    assert told.over(2, failed) == [(100, "main writes-failing")]
    assert [what for _, what in told.over(2000, failed)] == ["main writes-failing over"]


def test_a_disk_that_fills_is_told_before_it_is_full_and_a_large_one_is_not() -> None:
    def filling(second: int) -> HouseNow:
        return house(volume=VolumeNow(30 * 10**9 - second * 10**6, 0))(second)

    assert [what for _, what in Told().over(4 * 3600, filling, 10)] == ["main disk-full-within-a-day"]
    large = lambda second: house(volume=VolumeNow(3 * 10**12 - second * 10**6, 0))(second)  # noqa: E731 - as above
    assert Told().over(4 * 3600, large, 10) == []


def test_a_disk_with_little_space_that_does_not_shrink_is_not_filling() -> None:
    assert Told().over(4 * 3600, house(volume=VolumeNow(5 * 10**9, 0)), 10) == []


def test_a_camera_that_is_off_or_whose_alarms_nobody_waits_for_is_well() -> None:
    off = replace(FINE, wanted=False, fresh=False, alarm_link=None, clock_offset_s=None)
    assert Told().over(4000, house(off)) == []


def test_a_camera_that_is_taken_out_is_over_at_once() -> None:
    told = Told()
    told.over(100, STATES[Condition.CAMERA_NOT_RECORDING])
    news = told.over(1, lambda _: HouseNow({}, {}))
    assert news == [(100, "gate camera-not-recording over")]


def test_a_sentence_says_why() -> None:
    health = Health()
    for second in range(95):
        news = health.note(STATES[Condition.CAMERA_NOT_RECORDING](second), second * US)
        if news:
            assert news[0].ill.says == "the camera is not recorded: not reachable"
            return
    raise AssertionError("it was never told")

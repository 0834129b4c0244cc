"""A camera's clock against the host's: least delay, drift over hours, steps, and lies that are no steps."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.record.camera_clock import CameraClock, ClockStep
from nvr.units import US

NOW = 1_795_442_602_123_456
HOUR = 3600


def told(
    clock: CameraClock, seconds: int, *, offset_s: float = 0.0, ppm: float = 0.0, begin_s: int = 0, late_ms: int = 60
) -> list[ClockStep]:
    """Hears the clock once a second, each picture late by up to `late_ms` and now and then by ten times that."""
    chance = random.Random(begin_s)
    steps = []
    for second in range(begin_s, begin_s + seconds):
        late_us = chance.randrange(late_ms * 1000) * (4 if chance.random() < 0.1 else 1)
        said_us = second * US + round(offset_s * US + second * ppm)
        step = clock.note(NOW + said_us, NOW + second * US + late_us)
        steps += [step] if step is not None else []
    return steps


def test_nothing_is_said_of_a_clock_that_was_never_heard() -> None:
    clock = CameraClock()
    assert (clock.offset_us, clock.drift_ppb) == (None, None)


def test_one_word_is_an_offset_already_and_no_drift() -> None:
    clock = CameraClock()
    assert clock.note(NOW - 3 * US, NOW) is None
    assert (clock.offset_us, clock.drift_ppb) == (-3 * US, None)


def test_the_offset_is_that_of_the_least_delay() -> None:
    clock = CameraClock()
    assert told(clock, 120, offset_s=2.5, late_ms=100) == []
    assert clock.offset_us == pytest.approx(2.5 * US, abs=25_000)


@pytest.mark.parametrize("ppm", [-80.0, -12.0, 0.0, 30.0, 150.0])
def test_drift_is_learnt_within_hours_from_late_pictures(ppm: float) -> None:
    clock = CameraClock()
    assert told(clock, 14 * 60, ppm=ppm) == []
    assert clock.drift_ppb is None
    assert told(clock, 3 * HOUR, ppm=ppm, begin_s=14 * 60) == []
    assert clock.drift_ppb == pytest.approx(ppm * 1000, abs=2000)
    assert clock.offset_us == pytest.approx((14 * 60 + 3 * HOUR) * ppm, abs=25_000)


def test_the_drift_of_the_last_hours_counts() -> None:
    clock = CameraClock()
    told(clock, 8 * HOUR, ppm=50)
    # From there on it runs as well as the host's: what was gained stays.
    told(clock, 8 * HOUR, offset_s=8 * HOUR * 50 / 1e6, begin_s=8 * HOUR)
    assert clock.drift_ppb == pytest.approx(0, abs=2000)


def test_a_step_is_told_once_and_the_drift_outlives_it() -> None:
    clock = CameraClock()
    told(clock, HOUR, ppm=40)
    before_us, drift_ppb = clock.offset_us, clock.drift_ppb
    assert drift_ppb is not None
    [step] = told(clock, 60, offset_s=7, ppm=40, begin_s=HOUR)
    assert step.before_us == before_us
    assert step.after_us == pytest.approx(7 * US + HOUR * 40, abs=70_000)
    assert clock.offset_us == pytest.approx(7 * US + HOUR * 40, abs=70_000)
    assert clock.drift_ppb == drift_ppb


def test_a_step_back_is_a_step_as_well() -> None:
    clock = CameraClock()
    told(clock, 60, offset_s=7)
    [step] = told(clock, 10, begin_s=60)
    assert step.after_us - step.before_us == pytest.approx(-7 * US, abs=100_000)


def test_one_lie_or_two_that_disagree_are_no_step() -> None:
    clock = CameraClock()
    told(clock, 60)
    offset_us = clock.offset_us
    assert clock.note(NOW + 60 * US + 3600 * US, NOW + 60 * US) is None
    assert clock.note(NOW + 61 * US + 1800 * US, NOW + 61 * US) is None
    assert clock.note(NOW + 62 * US + 3600 * US, NOW + 62 * US) is None
    assert told(clock, 60, begin_s=63) == []
    assert clock.offset_us == pytest.approx(offset_us, abs=30_000)


def test_a_clock_that_always_lies_is_never_believed() -> None:
    clock, chance = CameraClock(), random.Random(3)
    told(clock, 60)
    for second in range(60, 400):
        clock.note(NOW + chance.randrange(10**6, 10**9) * US, NOW + second * US)
    assert clock.offset_us == pytest.approx(0, abs=60_000)


def test_after_a_long_silence_ordinary_drift_is_no_step() -> None:
    clock = CameraClock()
    told(clock, 60, ppm=100)
    day = 86_400
    assert told(clock, 60, ppm=100, begin_s=day) == []
    # 8.64 seconds more: the last fifty seconds say so again, block by block.
    assert clock.offset_us == pytest.approx(day * 100, abs=60_000)


def test_a_step_of_the_hosts_clock_is_none_of_the_cameras() -> None:
    clock = CameraClock()
    told(clock, HOUR, ppm=40)
    drift_ppb = clock.drift_ppb
    clock.host_stepped()
    assert clock.offset_us is None
    assert told(clock, 20, offset_s=-3600, begin_s=HOUR) == []
    assert clock.offset_us == pytest.approx(-3600 * US, abs=60_000)
    assert clock.drift_ppb == drift_ppb


@given(st.lists(st.tuples(st.integers(0, 1 << 45), st.integers(0, 1 << 45)), max_size=200))
def test_whatever_clocks_say_it_is_bounded_and_never_an_error(words: list[tuple[int, int]]) -> None:
    clock = CameraClock()
    offsets = set()
    for said_us, utc_us in words:
        clock.note(said_us, utc_us)
        offsets.add(said_us - utc_us)
        assert clock.offset_us in offsets
        assert len(clock._astray) <= 3

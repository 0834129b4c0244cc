"""The host's clock: what follows from the kernel's word, and what runs were wrong by."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvr.clock import HostClock, boot_id
from nvr.metrics import Metrics
from nvr.store import schema
from nvr.store.index import Index
from nvr.store.reader import Reader
from nvr.store.rows import Run
from nvr.supervisor.host_clock import Changed, HostClockWatch, Moment, Reading, Right, Watch, read, standing
from nvr.units import US, MonoMicros, UtcMicros

UTC = 1_795_442_602_000_000
WRONG = Reading(False)
GOOD = Reading(True, 1500)


def at(second: float, *, stepped_s: float = 0.0, slewed_s: float = 0.0) -> Moment:
    """So many seconds by the raw clock; a step moves UTC alone, slewing moves UTC and the monotonic clock."""
    raw_us, slewed_us = round(second * US), round(slewed_s * US)
    return Moment(UTC + raw_us + slewed_us + round(stepped_s * US), 5 * US + raw_us + slewed_us, raw_us)


def right(watch: Watch, reading: Reading, now: Moment) -> list[tuple[float, bool]]:
    """What follows of runs: by how many seconds one was wrong that began at second 0, and whether that is final."""
    begun = at(0)
    return [
        ((news.utc_less_mono_us - (begun.utc_us - begun.mono_us)) / US, news.final)
        for news in watch.note(reading, now)
        if isinstance(news, Right)
    ]


def test_a_host_that_is_synchronised_from_the_start_says_so_once() -> None:
    watch = Watch()
    assert watch.note(GOOD, at(0)) == [Changed(True, None, True), Right(UTC - 5 * US, True)]
    assert all(watch.note(GOOD, at(second)) == [] for second in range(1, 900))


def test_a_host_that_nobody_can_ask_about_says_so_once() -> None:
    watch = Watch()
    assert watch.note(Reading(None), at(0)) == [Changed(None, None, True)]
    assert watch.note(Reading(None), at(1)) == []


def test_a_step_corrects_by_as_much_at_once_and_for_good_when_slewing_is_over() -> None:
    watch = Watch()
    assert right(watch, WRONG, at(0)) == []
    assert right(watch, GOOD, at(60, stepped_s=3600)) == [(3600.0, False)]
    assert right(watch, GOOD, at(359, stepped_s=3600)) == []
    assert right(watch, GOOD, at(360, stepped_s=3600)) == [(3600.0, True)]
    assert right(watch, GOOD, at(361, stepped_s=3600)) == []


def test_what_the_kernel_has_still_to_slew_counts_at_once_and_is_measured_in_the_end() -> None:
    watch = Watch()
    watch.note(WRONG, at(0))
    assert right(watch, Reading(True, 1500, pending_us=-300_000), at(60)) == [(-0.3, False)]
    assert right(watch, GOOD, at(360, slewed_s=-0.28)) == [(pytest.approx(-0.28), True)]


def test_what_was_slewed_without_the_kernels_word_is_found_in_the_end() -> None:
    watch = Watch()
    watch.note(WRONG, at(0))
    assert right(watch, GOOD, at(60)) == [(0.0, False)]
    assert right(watch, GOOD, at(400, slewed_s=0.8)) == [(pytest.approx(0.8), True)]


def test_a_raw_clock_that_jumps_is_not_believed() -> None:
    watch = Watch()
    watch.note(WRONG, at(0))
    watch.note(GOOD, at(60, stepped_s=5))
    lying = Moment(at(400, stepped_s=5).utc_us, at(400).mono_us, at(100_000).raw_us)
    assert right(watch, GOOD, lying) == [(5.0, True)]


def test_losing_synchronisation_and_finding_it_again_begins_anew() -> None:
    watch = Watch()
    watch.note(GOOD, at(0))
    assert watch.note(WRONG, at(10)) == [Changed(False, True, False)]
    assert right(watch, WRONG, at(500)) == []
    assert right(watch, GOOD, at(501, stepped_s=-2)) == [(-2.0, False)]
    assert watch.note(WRONG, at(600, stepped_s=-2)) == [Changed(False, True, False)]
    assert right(watch, WRONG, at(5000, stepped_s=-2)) == []


def test_the_kernel_is_asked_without_any_right_and_answers() -> None:
    said = read()
    assert said.synchronised in (True, False, None)
    if said.synchronised:
        assert said.max_error_us is not None
        assert 0 <= said.max_error_us <= 16_000_000
    else:
        assert said.max_error_us is None
    assert read().synchronised is said.synchronised


def test_status_says_the_error_in_seconds_or_that_it_is_not_known() -> None:
    assert standing(GOOD) == {"synchronised": True, "estimated_error_seconds": 0.0015}
    assert standing(WRONG) == {"synchronised": False, "estimated_error_seconds": None}
    assert standing(Reading(None)) == {"synchronised": None, "estimated_error_seconds": None}


class Hand:
    """Clocks in the test's hand, and the kernel's word."""

    def __init__(self) -> None:
        self.reading = WRONG
        self.stepped_us = 0
        self._clock = HostClock()

    def utc_us(self) -> UtcMicros:
        return UtcMicros(self._clock.utc_us() + self.stepped_us)

    def mono_us(self) -> MonoMicros:
        return self._clock.mono_us()


class Host:
    """A watch upon a real index."""

    def __init__(self, folder: Path) -> None:
        path = folder / schema.INDEX_NAME
        schema.prepare(path)
        self.index = Index(path)
        self.reader = Reader(path)
        self.hand = Hand()
        self.metrics = Metrics("1", self.hand.utc_us)
        self.camera_id = self.index.add_camera("gate", UTC).result()
        self.watch = HostClockWatch(self.index, self.metrics, self.hand, lambda: self.hand.reading)

    def begin_run(self, number: int) -> None:
        """As the recorder does."""
        time, now_us = self.watch.time, int(self.hand.utc_us())
        waits = time.synchronised is False
        run = Run(number, self.camera_id, "gate", now_us, "connected", 0, "stream", now_us, 0, not waits)
        if waits:
            less_us = now_us - int(self.hand.mono_us())
            run = Run(
                *(number, self.camera_id, "gate", now_us, "connected", 0, "stream", now_us, 0, False),
                boot=time.boot,
                utc_less_mono_us=less_us,
            )
        self.index.begin_run(run).result()

    def correction_s(self, number: int) -> float:
        self.index.ping().result()
        run = self.reader.run(number)
        assert run is not None
        return run.correction_us / US

    def happened(self) -> list[str]:
        self.index.ping().result()
        self.index.ping().result()  # what the first one's commit made somebody say
        return [event.kind for event in self.reader.events_between(0, 1 << 62)]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.reader.close()
    made.index.close(5)


def test_runs_that_began_before_the_step_are_corrected_and_the_one_after_it_is_not(host: Host) -> None:
    assert math.isnan(host.metrics.host_clock_synchronised)
    host.watch.look()
    assert host.metrics.host_clock_synchronised == 0
    assert host.watch.standing() == {"synchronised": False, "estimated_error_seconds": None}
    host.begin_run(1)
    host.index.end_run(1, int(host.hand.utc_us()) + 1, "camera-stalled").result()
    host.begin_run(2)
    host.hand.stepped_us = 1800 * US
    host.begin_run(3)
    host.hand.reading = GOOD
    host.watch.look()
    assert host.metrics.host_clock_synchronised == 1
    host.begin_run(4)
    assert [host.correction_s(run) for run in (1, 2, 3, 4)] == [
        *(pytest.approx(1800, abs=0.01), pytest.approx(1800, abs=0.01), 0.0, 0.0)
    ]
    marks = [run.host_synchronised for number in (1, 2, 3, 4) if (run := host.reader.run(number)) is not None]
    assert marks == [False, False, False, True]
    assert host.happened() == ["host-clock-unsynchronised", "host-clock-synchronised", "host-clock-corrected"]


def test_runs_of_a_daemon_that_died_before_the_clock_was_right_are_corrected_by_the_next(host: Host) -> None:
    host.watch.look()
    host.begin_run(1)
    host.index.end_run(1, int(host.hand.utc_us()) + 1, "service-crashed").result()
    host.hand.stepped_us, host.hand.reading = -90 * US, GOOD
    HostClockWatch(host.index, host.metrics, host.hand, lambda: GOOD).look()
    assert host.correction_s(1) == pytest.approx(-90, abs=0.01)
    # That was its last word: a third daemon, days later, changes nothing.
    host.hand.stepped_us = 500 * US
    HostClockWatch(host.index, host.metrics, host.hand, lambda: GOOD).look()
    assert host.correction_s(1) == pytest.approx(-90, abs=0.01)


def test_runs_of_another_boot_are_left_alone(host: Host) -> None:
    host.watch.look()
    host.watch.time.boot = "another boot, whose monotonic clock is not ours"
    host.begin_run(1)
    host.watch.time.boot = boot_id()
    host.hand.stepped_us, host.hand.reading = 60 * US, GOOD
    host.watch.look()
    assert host.correction_s(1) == 0.0


def test_a_host_that_was_right_all_the_time_makes_no_event(host: Host) -> None:
    host.hand.reading = GOOD
    for _ in range(3):
        host.watch.look()
    assert host.happened() == []

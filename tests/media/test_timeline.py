"""Media time against a small simulated world in which the truth is known.

True time is one even axis in microseconds. A camera takes pictures along it by an oscillator that is off by some ppm,
and writes what its clock says into GOV and VOP headers; a network holds units back; a receive buffer that is read every
two seconds hands several over at once; a host stamps them with a monotonic and a wall clock that may step. The timeline
sees only units and stamps. Every frame's UTC is then compared with the host's wall clock at the moment it was taken.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvr.media.frame import Frame, Unit, Vol
from nvr.media.timeline import Mapping, Timeline

US = 1_000_000
MS = 1_000
HOUR = 3600
DAY = 86_400
NOON = 1_767_268_800 * US  # 2026-01-01T12:00:00Z
UPTIME = 5_000 * US
_YOUNG_US = 2 * US
_COLLECTED_US = 2000 * MS
_LEAST_INTERVAL_US = 33_000


# The world.


@dataclass
class Camera:
    fps: float = 30.0
    resolution: int = 30_000
    ppm: float = 0.0
    gop: int = 30
    starts_at: float = 36_000.0
    """Its time of day when the link begins."""
    steps: list[tuple[float, float]] = field(default_factory=list)
    """(when, by how much) its clock is set, in seconds."""
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """(when, how long) it takes no pictures."""
    rates: list[tuple[float, float]] = field(default_factory=list)
    """(from when, fps): settings changed while the stream runs."""
    resolutions: list[tuple[float, int]] = field(default_factory=list)
    gov: Callable[[int], int | None] = lambda second: second % DAY
    clock: Callable[[int, float], float] = lambda n, seconds: seconds
    """What its headers say at picture n, taken when its clock shows so many seconds."""
    modulo_from_gov: bool = True
    key_bytes: int = 24_000
    bytes: int = 7_000
    encoding_us: int = 6 * MS

    def pictures(self, seconds: float, network: "Network") -> Iterator[tuple[Unit, int]]:
        """Units with the true time at which they were taken; none while the send buffer is full."""
        vol = Vol(b"\0\0\1\x20", 640, 480, self.resolution, 0)
        key, delta = bytes(self.key_bytes), bytes(self.bytes)
        events = sorted(
            [(at, 0, by) for at, by in self.steps]
            + [(at, 1, length) for at, length in self.pauses]
            + [(at, 2, fps) for at, fps in self.rates]
            + [(at, 3, float(resolution)) for at, resolution in self.resolutions]
        )
        own = stepped = 0.0
        period = 1 / self.fps
        slower = 1 / (1 + self.ppm / 1e6)
        anchor = int(self.starts_at)
        n = 0
        while own * slower < seconds:
            while events and events[0][0] <= own:
                _, what, value = events.pop(0)
                if what == 0:
                    stepped += value
                elif what == 1:
                    own += value
                elif what == 2:
                    period = 1 / value
                else:
                    vol = Vol(b"\0\0\1\x20", 640, 480, int(value), 0)
            taken = int(own * slower * US)
            own += period
            n += 1
            if network.is_full(taken):
                continue
            shown = round((self.starts_at + stepped + self.clock(n - 1, own - period)) * vol.resolution)
            second, increment = divmod(shown, vol.resolution)
            is_key = n % self.gop == 1 or self.gop == 1
            gov = self.gov(second) if is_key else None
            if gov is not None and self.modulo_from_gov:
                anchor = second
            modulo = max(0, second - anchor)
            anchor = second
            yield Unit(key if is_key else delta, is_key, vol, modulo, increment, gov, None, None), taken


@dataclass
class Network:
    delay_us: int = 2 * MS
    jitter_us: float = 2 * MS
    """Mean of an exponential."""
    bits_per_second: float = 100e6
    stalls: list[tuple[float, float]] = field(default_factory=list)
    send_buffer: int = 1 << 30
    """Bytes the camera holds back at most; what does not fit is never encoded."""
    seed: int = 1
    free_at: float = 0.0

    def is_full(self, now_us: int) -> bool:
        return (self.free_at - now_us) * self.bits_per_second / 8e6 > self.send_buffer

    def carry(self, units: Iterator[tuple[Unit, int]], encoding_us: int) -> Iterator[tuple[Unit, int, int]]:
        """Adds when the last byte of each unit reached the host."""
        chance = random.Random(self.seed)
        stalls = [(int(at * US), int((at + length) * US)) for at, length in self.stalls]
        arrived = 0.0
        us_per_byte = 8e6 / self.bits_per_second
        for unit, taken in units:
            ready = taken + encoding_us
            begins = max(ready, self.free_at)
            while stalls and begins >= stalls[0][1]:
                stalls.pop(0)
            if stalls and begins >= stalls[0][0]:
                begins = stalls[0][1]
            self.free_at = sent = begins + len(unit.data) * us_per_byte
            jitter = chance.expovariate(1.0) * self.jitter_us
            arrived = max(arrived, sent + self.delay_us + jitter)
            yield unit, taken, int(arrived)


@dataclass
class Host:
    steps: list[tuple[float, float]] = field(default_factory=list)
    """(when, by how much) the wall clock is set, in seconds."""
    slews: list[tuple[float, float, float]] = field(default_factory=list)
    """(from, to, ppm) the wall clock is slewed."""
    monotonic_slews: bool = False
    """As on Linux, where NTP slews the monotonic clock with the wall clock."""
    collected: bool = True
    starts_utc_us: int = NOON

    def slewed_us(self, true_us: int) -> int:
        return int(sum((min(true_us, b * US) - a * US) * ppm / 1e6 for a, b, ppm in self.slews if true_us > a * US))

    def mono_us(self, true_us: int) -> int:
        return UPTIME + true_us + (self.slewed_us(true_us) if self.monotonic_slews else 0)

    def utc_us(self, true_us: int) -> int:
        stepped = int(sum(by for at, by in self.steps if true_us >= at * US) * US) if self.steps else 0
        return self.starts_utc_us + true_us + stepped + (self.slewed_us(true_us) if self.slews else 0)

    def read(self, arrivals: Iterator[tuple[Unit, int, int]]) -> Iterator[tuple[Unit, int, int]]:
        """Units with the true time at which they were taken and when they had arrived as far as the feed can tell.

        Bytes are taken as they come at first, then once a second, and the kernel says when the last of them came.
        """
        waiting: list[tuple[Unit, int, int]] = []
        told = due = 0
        for unit, taken, arrived in arrivals:
            if waiting and (arrived >= due or arrived < _YOUNG_US or not self.collected):
                told, batch = self._told(waiting, told)
                yield from batch
                waiting.clear()
            if arrived >= due:
                due = (arrived // _COLLECTED_US + 1) * _COLLECTED_US
            waiting.append((unit, taken, arrived))
        yield from self._told(waiting, told)[1]

    def _told(self, waiting: list[tuple[Unit, int, int]], told: int) -> tuple[int, list[tuple[Unit, int, int]]]:
        """The last one's arrival is known; the others were each taken before the next one, by an interval at least."""
        batch = []
        at = waiting[-1][2] - len(waiting) * _LEAST_INTERVAL_US
        for unit, taken, _ in waiting:
            at += _LEAST_INTERVAL_US
            told = max(told, at)
            batch.append((unit, taken, told))
        return told, batch


@dataclass(slots=True)
class Seen:
    """A frame, when it was truly taken, and the wall clock's word on that."""

    frame: Frame
    taken_us: int
    truth_us: int

    @property
    def error_us(self) -> int:
        return self.frame.utc_us - self.truth_us


def record(
    camera: Camera,
    seconds: float,
    network: Network | None = None,
    host: Host | None = None,
    timeline: Timeline | None = None,
) -> Iterator[Seen]:
    """What the daemon makes of a link, frame by frame; the promises of every run are checked on the way."""
    network, host, timeline = network or Network(), host or Host(), timeline or Timeline()
    stamp, mono_us, utc_us = timeline.stamp, host.mono_us, host.utc_us
    ticks, utc, time_base = -1, 0, Fraction(0)
    for unit, taken, read in host.read(network.carry(camera.pictures(seconds, network), camera.encoding_us)):
        frame = stamp(unit, mono_us(read), utc_us(read))
        if frame.new_run is not None:
            assert frame.ticks == 0
            assert frame.key
        else:
            if frame.time_base is not time_base:
                ticks = ticks * time_base // frame.time_base
            assert frame.ticks > ticks
            assert frame.utc_us >= utc
        ticks, utc, time_base = frame.ticks, frame.utc_us, frame.time_base
        yield Seen(frame, taken, utc_us(taken))


def worst_us(seen: Iterable[Seen], after: float = 0.0) -> int:
    """The largest error of those taken so many seconds after the start or later."""
    return max(abs(one.error_us) for one in seen if one.taken_us >= after * US)


def runs(seen: list[Seen]) -> list[tuple[float, str]]:
    """When each run begins, in true seconds, and why."""
    return [(one.taken_us / US, one.frame.new_run) for one in seen if one.frame.new_run is not None]


def unit(second: int, increment: int, *, key: bool = False, gov: int | None = None, vol: Vol | None = None) -> Unit:
    return Unit(b"x", key, vol or VOL, second, increment, gov, None, None)


FRAME_US = US // 30
VOL = Vol(b"\0\0\1\x20", 640, 480, 30, 0)
RATES = [30.0, 25.0, 15.0, 10.0, 7.5, 1.0]


# Ticks: the camera's time, in a base fine enough for files.


def test_the_first_frame_begins_the_link_at_its_arrival() -> None:
    frame = Timeline().stamp(unit(0, 3, key=True, gov=7), UPTIME, NOON)
    assert (frame.ticks, frame.utc_us, frame.new_run) == (0, NOON, "connected")


def test_a_first_unit_that_is_no_i_vop_is_timed_all_the_same() -> None:
    timeline = Timeline()
    assert timeline.stamp(unit(0, 3), UPTIME, NOON).new_run == "connected"
    assert timeline.stamp(unit(0, 4), UPTIME + FRAME_US, NOON + FRAME_US).ticks == 3_000


@pytest.mark.parametrize(
    ("resolution", "per_second"),
    [(30, 90_000), (25, 90_000), (30_000, 90_000), (1000, 90_000), (65_535, 131_070), (1, 90_000)],
)
def test_the_time_base_is_the_least_multiple_of_the_resolution_that_is_fine_enough(
    resolution: int, per_second: int
) -> None:
    vol = Vol(b"", 640, 480, resolution, 0)
    assert Timeline().stamp(unit(0, 0, key=True, vol=vol), UPTIME, NOON).time_base == Fraction(1, per_second)


def test_everything_else_of_a_unit_goes_through_untouched() -> None:
    frame = Timeline().stamp(Unit(b"data", True, VOL, 0, 0, None, b"type = VN-V685U", (1, 2, 3)), UPTIME, NOON)
    assert (frame.data, frame.key, frame.vol) == (b"data", True, VOL)
    assert (frame.user_data, frame.position) == (b"type = VN-V685U", (1, 2, 3))


@pytest.mark.parametrize("fps", RATES)
def test_ticks_are_the_cameras_own_to_the_tick(fps: float) -> None:
    seen = list(record(Camera(fps=fps, ppm=150, gop=20), 120))
    assert [one.frame.ticks for one in seen] == [round(n * 90_000 / fps) for n in range(len(seen))]


@pytest.mark.parametrize("starts_at", [86_390.0, 86_399.5, 0.0])
def test_midnight_on_the_cameras_clock_is_no_event(starts_at: float) -> None:
    timeline = Timeline()
    seen = list(record(Camera(starts_at=starts_at), 30, timeline=timeline))
    assert [one.frame.ticks for one in seen] == [3_000 * n for n in range(len(seen))]
    assert timeline.jumps == 0


@pytest.mark.parametrize("from_gov", [True, False])
@pytest.mark.parametrize("gop", [1, 7, 24, 30, 255])
@pytest.mark.parametrize(
    "gov",
    [
        pytest.param(lambda second: second % DAY, id="true"),
        pytest.param(lambda second: None, id="absent"),
        pytest.param(lambda second: 0, id="constant"),
        pytest.param(lambda second: second - 36_000, id="counting from 0"),
        pytest.param(lambda second: second * 7919 % DAY, id="random"),
    ],
)
def test_a_gov_is_heard_where_it_makes_sense_and_ignored_where_not(
    gov: Callable[[int], int | None], gop: int, from_gov: bool
) -> None:
    # A camera that counts modulo_time_base from a GOV that lies has lost whole seconds; the fractions still tell.
    seen = list(record(Camera(gov=gov, gop=gop, modulo_from_gov=from_gov), 90))
    assert [one.frame.ticks for one in seen] == [3_000 * n for n in range(len(seen))]
    assert [reason for _, reason in runs(seen)] == ["connected"]


def test_a_damaged_unit_that_took_a_second_along_costs_only_itself() -> None:
    network, timeline = Network(), Timeline()
    for n, (one, taken) in enumerate(Camera(gop=300).pictures(60, network)):
        if one.modulo_seconds and not one.key:
            continue  # the splitter gave it up
        frame = timeline.stamp(one, UPTIME + taken, NOON + taken)
        assert abs(frame.ticks - 3_000 * n) < 3_000
        assert abs(frame.utc_us - NOON - taken) < FRAME_US
    assert timeline.fallback_reason is None
    assert 50 < timeline.jumps < 70


def test_a_camera_that_pauses_is_believed_when_arrival_bears_it_out() -> None:
    timeline = Timeline()
    seen = list(record(Camera(pauses=[(40.51, 3), (60, 3)]), 90, timeline=timeline))
    steps = [b.frame.ticks - a.frame.ticks for a, b in pairwise(seen)]
    assert [step for step in steps if step != 3_000] == [3_000 + 270_000] * 2
    assert timeline.jumps == 0


def test_a_gov_alone_tells_of_a_pause_that_the_vops_do_not_show() -> None:
    # Whole seconds: modulo_time_base and increment go on as if nothing had been.
    timeline = Timeline()
    for n in range(30 * 60):
        second, increment = divmod(n, 30)
        pause = 3 if n >= 900 else 0
        at = n * FRAME_US + pause * US
        gov = second + pause if increment == 0 else None
        frame = timeline.stamp(unit(0, increment, key=gov is not None, gov=gov), UPTIME + at, NOON + at)
        assert frame.ticks == 3_000 * n + 90_000 * pause
    assert timeline.jumps == 0


@pytest.mark.parametrize("pause", [2, 4, 60])
@pytest.mark.parametrize("late_us", [0, 400_000])
def test_a_pause_of_whole_seconds_is_told_by_gov_and_arrival_from_the_first_second_on(pause: int, late_us: int) -> None:
    # In the middle of a second the VOP is an ordinary step away, and the GOV has not moved often enough to be trusted.
    # What comes behind the pause may be late itself.
    timeline = Timeline()
    for n in range(90):
        second, increment = divmod(n, 30)
        at = n * FRAME_US + (pause * US if n >= 45 else 0)
        gov = second + (pause if n >= 45 else 0) if increment % 15 == 0 else None
        came = at + (late_us if n >= 45 else 0)
        frame = timeline.stamp(unit(0, increment, key=gov is not None, gov=gov), UPTIME + came, NOON + came)
        assert abs(frame.utc_us - NOON - at) < FRAME_US
    assert timeline.jumps == 0


def test_a_gov_that_runs_ahead_of_arrival_is_not_believed() -> None:
    timeline = Timeline()
    for n in range(30 * 60):
        second, increment = divmod(n, 30)
        gov = second + (3 if n >= 900 else 0) if increment == 0 else None
        at = n * FRAME_US
        frame = timeline.stamp(unit(0, increment, key=gov is not None, gov=gov), UPTIME + at, NOON + at)
        assert frame.ticks == 3_000 * n
    assert timeline.jumps == 1


def test_a_changed_rate_changes_nothing_but_the_interval() -> None:
    timeline = Timeline()
    seen = list(record(Camera(rates=[(30, 15), (60, 1), (120, 30), (150, 7.5), (180, 25)]), 240, timeline=timeline))
    assert worst_us(seen) < FRAME_US
    assert len(runs(seen)) == 1
    assert timeline.jumps == 0
    assert timeline.interval_ticks == 90_000 // 25


def test_the_interval_is_the_typical_one_not_the_last() -> None:
    timeline = Timeline()
    *_, last = record(Camera(fps=10, pauses=[(19.95, 5)], gop=10), 25.0, host=Host(collected=False), timeline=timeline)
    assert last.taken_us >= 25 * US
    assert timeline.interval_ticks == 9_000


def test_the_interval_has_a_sensible_value_from_the_first_frame_on() -> None:
    timeline = Timeline()
    timeline.stamp(unit(0, 0, key=True), UPTIME, NOON)
    assert timeline.interval_ticks == 3_000
    fixed = Timeline()
    fixed.stamp(unit(0, 0, key=True, vol=Vol(b"", 640, 480, 30_000, 4_000)), UPTIME, NOON)
    assert fixed.interval_ticks == 12_000


def test_a_new_resolution_changes_the_time_base_and_ticks_go_on() -> None:
    camera = Camera(fps=25, gop=25, resolutions=[(20, 25), (40, 65_535), (60, 1000), (80, 30_000)])
    seen = list(record(camera, 100))
    assert len({one.frame.time_base for one in seen}) == 2
    assert runs(seen) == [(0.0, "connected")]
    assert worst_us(seen) < FRAME_US
    for n, one in enumerate(seen):
        assert abs(float(one.frame.ticks * one.frame.time_base) - n / 25) < 0.001


def test_coarse_times_that_repeat_now_and_then_are_smoothed_not_given_up() -> None:
    # 30 fps in a resolution of 25: every sixth VOP repeats the time of the one before.
    timeline = Timeline()
    seen = list(record(Camera(resolution=25), 120, timeline=timeline))
    assert timeline.fallback_reason is None
    assert timeline.repeats > 500
    assert timeline.jumps == 0
    assert worst_us(seen) < FRAME_US * 3 // 2


# UTC: right to a frame, whatever clocks and network do.


@pytest.mark.parametrize("ppm", [200, -200])
@pytest.mark.parametrize("fps", RATES)
def test_half_an_hour_at_every_rate_with_a_drifting_camera_is_right_to_a_30th(fps: float, ppm: float) -> None:
    timeline = Timeline()
    assert worst_us(record(Camera(fps=fps, ppm=ppm, gop=30), 1800, timeline=timeline)) < FRAME_US
    assert abs(timeline.drift_ppb + ppm * 1000) < 15_000
    assert timeline.fallback_reason is None
    assert timeline.jumps == 0


@pytest.mark.parametrize("ppm", [200, -200])
def test_24_hours_of_drift_stalls_and_a_slewed_clock_at_1_fps_are_right_to_a_30th(ppm: float) -> None:
    stalls = [(float(at), 3.0) for at in range(500, DAY, 1_777)]
    slews = [(float(at), at + 1000.0, 500.0 if at % 20_000 else -500.0) for at in range(10_000, DAY, 10_000)]
    seen = record(Camera(fps=1, ppm=ppm, gop=255), DAY, Network(stalls=stalls), Host(slews=slews))
    assert worst_us(seen) < FRAME_US


def test_a_working_day_at_7_5_fps_is_right_to_a_30th() -> None:
    assert worst_us(record(Camera(fps=7.5, ppm=200, gop=30, bytes=20_000), 8 * HOUR)) < FRAME_US


def test_in_this_world_arrival_alone_would_be_wrong_by_a_third_of_a_second() -> None:
    network = Network()
    arrivals = list(Host().read(network.carry(Camera(fps=10).pictures(60, network), 6 * MS)))
    assert max(read - taken for _, taken, read in arrivals) > 270 * MS
    assert max(read - taken for _, taken, read in arrivals if read < 2 * US) < 50 * MS


@pytest.mark.soak
@pytest.mark.parametrize("ppm", [200, -200])
def test_24_hours_at_30_fps_are_right_to_a_frame(ppm: float) -> None:
    stalls = [(float(at), 3.0) for at in range(500, DAY, 1_777)]
    timeline = Timeline()
    assert worst_us(record(Camera(ppm=ppm), DAY, Network(stalls=stalls), timeline=timeline)) < FRAME_US
    assert timeline.jumps == 0


@pytest.mark.parametrize("fps", [30.0, 7.5, 1.0])
def test_stalls_of_three_seconds_leave_no_trace(fps: float) -> None:
    stalls = [(5, 3), (40, 3), (100, 3), (104, 3), (299, 3), (301.5, 3), (350.2, 3), (353.5, 3), (357, 3)]
    timeline = Timeline()
    seen = list(record(Camera(fps=fps, ppm=-200), 420, Network(stalls=[*stalls]), timeline=timeline))
    assert worst_us(seen) < FRAME_US
    assert len(runs(seen)) == 1
    assert (timeline.jumps, timeline.fallback_reason) == (0, None)


def test_a_stall_so_long_that_the_camera_drops_frames_leaves_a_hole_of_the_right_length() -> None:
    timeline = Timeline()
    seen = list(record(Camera(ppm=200), 200, Network(stalls=[(100, 15)], send_buffer=128_000), timeline=timeline))
    assert max(b.taken_us - a.taken_us for a, b in pairwise(seen)) > 10 * US
    assert worst_us(seen) < FRAME_US
    assert (timeline.jumps, timeline.fallback_reason) == (0, None)


def test_heavy_jitter_does_not_shake_the_mapping() -> None:
    seen = list(record(Camera(ppm=100), 400, Network(jitter_us=30 * MS)))
    assert worst_us(seen, after=20) < FRAME_US
    for a, b in pairwise(seen):
        took_us = (b.frame.ticks - a.frame.ticks) * US // 90_000
        assert abs(b.frame.utc_us - a.frame.utc_us - took_us) < (0.002 if a.taken_us > 20 * US else 0.11) * took_us + 2


@pytest.mark.parametrize(("bits_per_second", "send_buffer"), [(1.6e6, 128_000), (1.9e6, 512_000)])
def test_a_link_too_slow_for_its_stream_is_not_taken_for_a_lying_camera(
    bits_per_second: float, send_buffer: int
) -> None:
    timeline = Timeline()
    network = Network(bits_per_second=bits_per_second, send_buffer=send_buffer)
    seen = list(record(Camera(), 240, network, timeline=timeline))
    assert (timeline.jumps, timeline.fallback_reason) == (0, None)
    # It stays near what its early frames proved; the buffer alone holds 640 ms and 2.1 s.
    assert worst_us(seen) < 300 * MS


def test_a_slow_link_at_a_low_rate_is_not_taken_for_a_lying_camera() -> None:
    camera = Camera(fps=10, gop=255, bytes=700, key_bytes=6_000)
    timeline = Timeline()
    seen = list(record(camera, 600, Network(bits_per_second=50e3, send_buffer=64_000), timeline=timeline))
    assert (timeline.jumps, timeline.fallback_reason) == (0, None)
    assert len(seen) < 5_900  # it did drop frames


@pytest.mark.parametrize("late", [0.3, 0.8])
def test_a_first_frame_that_came_late_is_made_good_without_a_jump(late: float) -> None:
    seen = list(record(Camera(ppm=200), 120, Network(stalls=[(0, late)])))
    assert seen[0].error_us > (late - 0.05) * US
    assert worst_us(seen, after=15) < FRAME_US
    assert len(runs(seen)) == 1


def test_first_frames_that_come_together_are_dated_by_their_number() -> None:
    seen = list(record(Camera(ppm=200), 120, Network(stalls=[(0, 3.0)])))
    assert worst_us(seen) < 2 * FRAME_US
    assert len(runs(seen)) == 1


@pytest.mark.parametrize("fps", RATES)
def test_a_first_frame_that_came_late_makes_no_other_frames_time_wrong(fps: float) -> None:
    timeline = Timeline()
    seen = list(record(Camera(fps=fps), 20, Network(stalls=[(0, 0.8)]), timeline=timeline))
    assert [one.frame.ticks * one.frame.time_base for one in seen] == [n / Fraction(fps) for n in range(len(seen))]
    assert timeline.jumps == 0


@pytest.mark.parametrize("pause", [0.3, 0.5, 0.7])
def test_pictures_that_are_missing_among_late_first_ones_move_no_other(pause: float) -> None:
    timeline = Timeline()
    camera = Camera(pauses=[(0.2, pause)])
    seen = list(record(camera, 20, Network(stalls=[(0, 0.3 + pause)]), timeline=timeline))
    meant = [Fraction(n, 30) + (Fraction(pause) if n > 6 else 0) for n in range(len(seen))]
    assert [float(one.frame.ticks * one.frame.time_base) for one in seen] == pytest.approx(meant, abs=1e-4)
    assert timeline.jumps == 0


def test_a_slow_start_that_drains_for_a_minute_ends_right() -> None:
    network = Network(bits_per_second=2.3e6, stalls=[(0, 3)], send_buffer=512_000)
    timeline = Timeline()
    seen = record(Camera(ppm=200), 240, network, timeline=timeline)
    assert worst_us(seen, after=150) < 50 * MS  # a picture takes 25 ms on such a link
    assert timeline.fallback_reason is None


def test_the_mapping_tells_each_frames_utc() -> None:
    timeline = Timeline()
    for one in record(Camera(ppm=200), 120, host=Host(steps=[(40, 7)]), timeline=timeline):
        assert timeline.mapping.utc_us_of(one.frame.ticks) == one.frame.utc_us
    assert isinstance(timeline.mapping, Mapping)
    assert timeline.mapping.ticks_per_second == 90_000
    assert 0 < timeline.mapping.ticks <= one.frame.ticks


# The host's clock.


@pytest.mark.parametrize("by", [HOUR, -HOUR, 0.7, -0.7])
def test_a_step_of_the_hosts_clock_begins_a_run_at_the_next_i_vop_and_loses_no_frame(by: float) -> None:
    timeline = Timeline()
    seen = list(record(Camera(ppm=200), 200, host=Host(steps=[(100.3, by)]), timeline=timeline))
    assert len(seen) > 5_990
    (_, connected), (at, reason) = runs(seen)
    assert (connected, reason) == ("connected", "clock-step")
    assert 100 < at < 101.5
    for one in seen:
        by_true_time_us = one.frame.utc_us - NOON - one.taken_us
        assert abs(by_true_time_us - (int(by * US) if one.taken_us >= at * US else 0)) < FRAME_US
    assert (timeline.jumps, timeline.fallback_reason) == (0, None)


def test_a_step_that_is_taken_back_before_the_next_i_vop_never_was() -> None:
    seen = list(record(Camera(gop=255), 60, host=Host(steps=[(44, 3600), (47, -3600)])))
    assert len(runs(seen)) == 1


def test_a_small_step_of_the_hosts_clock_is_slewed() -> None:
    seen = list(record(Camera(), 120, host=Host(steps=[(60.3, 0.3)])))
    assert len(runs(seen)) == 1
    assert worst_us(one for one in seen if not 60 < one.taken_us / US < 95) < FRAME_US


@pytest.mark.parametrize("monotonic_slews", [False, True])
@pytest.mark.parametrize("ppm", [200, -200])
def test_an_ntp_daemon_that_slews_is_followed(ppm: float, monotonic_slews: bool) -> None:
    host = Host(slews=[(100, 900, 500), (1000, 1800, -500)], monotonic_slews=monotonic_slews)
    seen = list(record(Camera(ppm=ppm), 2100, host=host))
    assert worst_us(seen) < FRAME_US
    assert len(runs(seen)) == 1


@pytest.mark.parametrize(
    ("switch_utc_s", "by"),
    [pytest.param(1_774_746_000, HOUR, id="2026-03-29"), pytest.param(1_792_890_000, -HOUR, id="2026-10-25")],
)
@pytest.mark.parametrize("camera_counts_local_time", [False, True])
def test_nothing_happens_when_summer_time_begins_or_ends(
    switch_utc_s: int, by: int, camera_counts_local_time: bool
) -> None:
    host = Host(starts_utc_us=(switch_utc_s - 120) * US)
    timeline = Timeline()
    steps = [(120.0, float(by))] if camera_counts_local_time else []
    seen = list(record(Camera(ppm=200, steps=steps), 240, host=host, timeline=timeline))
    assert worst_us(seen) < FRAME_US
    assert len(runs(seen)) == 1
    assert timeline.jumps == len(steps)


# The camera's clock.


@pytest.mark.parametrize("at", [100.0, 100.51])
@pytest.mark.parametrize("by", [HOUR, -HOUR, 1, -1, 2.4, -2.4, 0.4, -0.4, -0.1, 43_000, -43_000])
def test_a_step_of_the_cameras_clock_does_not_reach_the_index(by: float, at: float) -> None:
    timeline = Timeline()
    seen = list(record(Camera(ppm=200, steps=[(at, by)]), 200, timeline=timeline))
    assert worst_us(seen) < FRAME_US
    assert len(runs(seen)) == 1
    assert timeline.jumps == 1
    assert {b.frame.ticks - a.frame.ticks for a, b in pairwise(seen)} == {3_000}


def test_a_forward_step_too_small_to_tell_from_dropped_frames_is_made_good_in_seconds() -> None:
    seen = list(record(Camera(ppm=200, steps=[(100.51, 0.1)]), 200))
    assert worst_us(seen) < 120 * MS
    assert worst_us(one for one in seen if not 100 < one.taken_us / US < 120) < FRAME_US


def test_a_camera_set_by_ntp_every_minute_keeps_its_stream_time() -> None:
    chance = random.Random(5)
    timeline = Timeline()
    steps = [(60.0 * n + chance.random(), chance.choice([-5.3, -0.8, 0.7, 12.9])) for n in range(1, 30)]
    seen = record(Camera(ppm=-200, steps=steps), 1800, timeline=timeline)
    assert worst_us(seen) < FRAME_US
    assert timeline.fallback_reason is None
    assert 29 <= timeline.jumps < 35


def test_stream_time_lost_for_good_ends_the_run_after_some_minutes() -> None:
    # An encoder whose clock stands still while it pauses, GOV and all.
    camera = Camera(pauses=[(100, 3)], clock=lambda n, seconds: seconds if seconds < 100 else seconds - 3)
    seen = list(record(camera, 900))
    assert [reason for _, reason in runs(seen)] == ["connected", "clock-step"]
    at = runs(seen)[1][0]
    assert 400 < at < 420
    assert worst_us(seen, after=at) < FRAME_US
    assert worst_us(one for one in seen if one.taken_us < 100 * US) < FRAME_US


# Falling back to arrival.


def stands_still(n: int, seconds: float) -> float:
    return 0.0


def runs_twice_too_fast(n: int, seconds: float) -> float:
    return 2 * seconds


NONSENSE = [
    stands_still,
    runs_twice_too_fast,
    pytest.param(lambda n, seconds: seconds / 2, id="runs twice too slow"),
    pytest.param(lambda n, seconds: random.Random(n).random() * 3, id="random"),
    pytest.param(lambda n, seconds: -seconds, id="backwards"),
    pytest.param(lambda n, seconds: n % 4 * 0.19, id="in a ring"),
]


@pytest.mark.parametrize("fps", [30.0, 10.0])
@pytest.mark.parametrize("clock", NONSENSE)
def test_nonsense_is_given_up_within_seconds_for_smoothed_arrival(
    clock: Callable[[int, float], float], fps: float
) -> None:
    timeline = Timeline()
    camera = Camera(fps=fps, gop=30, clock=clock, starts_at=50_000, bytes=int(210_000 / fps))
    seen = list(record(camera, 200, host=Host(collected=False), timeline=timeline))
    assert timeline.on_arrival
    assert timeline.fallback_reason
    assert [reason for _, reason in runs(seen)] == ["connected", "time-fallback"]
    at = runs(seen)[1][0]
    assert at < 16
    assert worst_us(seen, after=at + 15) < FRAME_US
    assert abs(timeline.interval_ticks - 90_000 / fps) < 2_000 / fps


@pytest.mark.parametrize("clock", [stands_still, runs_twice_too_fast])
def test_nonsense_at_1_fps_is_given_up_too(clock: Callable[[int, float], float]) -> None:
    timeline = Timeline()
    seen = list(record(Camera(fps=1, gop=10, clock=clock), 120, host=Host(collected=False), timeline=timeline))
    assert timeline.on_arrival
    assert worst_us(seen, after=runs(seen)[1][0]) < FRAME_US


def test_on_arrival_frames_of_one_batch_are_spread_evenly() -> None:
    seen = list(record(Camera(clock=stands_still), 60, host=Host(collected=True)))
    steps = [b.frame.ticks - a.frame.ticks for a, b in pairwise(seen) if a.taken_us > 20 * US]
    assert min(steps) > 2_700
    assert max(steps) < 3_300


def test_on_arrival_hours_do_not_drift() -> None:
    camera = Camera(fps=15, ppm=200, clock=stands_still)
    seen = record(camera, 2 * HOUR, host=Host(collected=False, slews=[(1000, 5000, 500)]))
    assert worst_us(seen, after=10) < FRAME_US


@pytest.mark.parametrize("fps", [30.0, 1.0])
def test_on_arrival_a_stall_leaves_no_trace(fps: float) -> None:
    camera = Camera(fps=fps, gop=10, clock=stands_still)
    seen = record(camera, 200, Network(stalls=[(100, 3)]), Host(collected=False))
    assert worst_us(seen, after=20) < 50 * MS


@pytest.mark.parametrize("fps", [30.0, 1.0])
def test_on_arrival_frames_that_went_missing_mislead_only_the_first_few_after_them(fps: float) -> None:
    camera = Camera(fps=fps, gop=10, clock=stands_still)
    network = Network(stalls=[(100, 12)], send_buffer=60_000)
    seen = list(record(camera, 200, network, Host(collected=False)))
    assert sum(abs(one.error_us) > 50 * MS for one in seen if one.taken_us > 20 * US) <= 4


def test_on_arrival_a_changed_rate_is_learnt() -> None:
    camera = Camera(clock=stands_still, rates=[(60, 15), (120, 1), (180, 30)])
    timeline = Timeline()
    seen = list(record(camera, 240, host=Host(collected=False), timeline=timeline))
    assert worst_us(one for one in seen if one.taken_us > 10 * US and one.taken_us / US % 60 > 15) < FRAME_US
    assert worst_us(seen, after=20) < 4 * US
    assert abs(timeline.interval_ticks - 3_000) < 100


def test_on_arrival_a_new_resolution_changes_the_time_base_and_ticks_go_on() -> None:
    camera = Camera(clock=stands_still, resolutions=[(60, 65_535)])
    seen = list(record(camera, 120, host=Host(collected=False)))
    assert seen[-1].frame.time_base == Fraction(1, 131_070)
    assert worst_us(seen, after=10) < FRAME_US


def test_a_host_step_while_on_arrival_begins_a_run() -> None:
    seen = list(record(Camera(clock=stands_still), 120, host=Host(collected=False, steps=[(60.3, -HOUR)])))
    assert [reason for _, reason in runs(seen)] == ["connected", "time-fallback", "clock-step"]
    assert worst_us(seen, after=runs(seen)[2][0]) < FRAME_US


def test_a_fallback_is_told_even_when_the_hosts_clock_steps_before_the_next_i_vop() -> None:
    camera = Camera(gop=255, clock=stands_still)
    seen = list(record(camera, 60, host=Host(collected=False, steps=[(7.0, HOUR)])))
    assert [reason for _, reason in runs(seen)] == ["connected", "clock-step", "time-fallback"]


# Whatever comes.

vols = st.builds(Vol, st.just(b""), st.just(640), st.just(480), st.integers(1, 65_535), st.integers(0, 65_535))
wild_units = st.tuples(
    st.booleans(),
    st.integers(0, 3) | st.integers(0, 100_000),
    st.integers(0, 65_535),
    st.none() | st.integers(0, DAY - 1),
    st.none() | vols,
    st.sampled_from([0, 0, 1, 33_000, 40_000, 1_000_000, 20_000_000]) | st.integers(0, 10 * US),
    st.sampled_from([0, 0, 0, 0, 5, -5, 400_000, -3_600_000_000]) | st.integers(-US, US),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(wild_units, min_size=2, max_size=150), vols)
def test_whatever_comes_ticks_rise_strictly_and_utc_never_falls_within_a_run(
    wild: list[tuple[bool, int, int, int | None, Vol | None, int, int]], vol: Vol
) -> None:
    timeline = Timeline()
    mono, utc = UPTIME, NOON
    last: Frame | None = None
    for key, modulo, increment, gov, new_vol, waited_us, slipped_us in wild:
        vol = new_vol or vol
        mono += waited_us
        utc += waited_us + slipped_us
        frame = timeline.stamp(Unit(b"x", key, vol, modulo, increment, gov, None, None), mono, utc)
        assert timeline.interval_ticks > 0
        assert timeline.mapping.utc_us_of(frame.ticks) == frame.utc_us
        if last is None or frame.new_run is not None:
            assert frame.ticks == 0
            assert frame.key or last is None
        else:
            assert frame.ticks * frame.time_base > last.ticks * last.time_base
            assert frame.utc_us >= last.utc_us
        last = frame


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 200 * MS), min_size=20, max_size=20),
    st.sampled_from(RATES),
    st.sampled_from([-200.0, 0.0, 200.0]),
    st.booleans(),
)
def test_no_jitter_reaches_the_ticks(jitter: list[int], fps: float, ppm: float, batches: bool) -> None:
    timeline, network = Timeline(), Network()
    arrived = 0
    for n, (one, taken) in enumerate(Camera(fps=fps, ppm=ppm, gop=10).pictures(600 / fps, network)):
        arrived = max(arrived, taken + jitter[n % len(jitter)])
        if batches:
            arrived = -(-arrived // (250 * MS)) * 250 * MS
        frame = timeline.stamp(one, UPTIME + arrived, NOON + arrived)
        assert frame.ticks == round(n * 90_000 / fps)
    assert (timeline.jumps, timeline.repeats, timeline.fallback_reason) == (0, 0, None)


@pytest.mark.soak
def test_a_stamp_costs_no_more_than_3_us() -> None:
    network, host = Network(), Host()
    arrivals = host.read(network.carry(Camera(ppm=50).pictures(600, network), 6 * MS))
    given_units = [(one, host.mono_us(read) + n % 7, host.utc_us(read)) for n, (one, _, read) in enumerate(arrivals)]
    best_s = float("inf")
    for _ in range(7):
        stamp = Timeline().stamp
        began_s = time.perf_counter()
        for one, mono, utc in given_units:
            stamp(one, mono, utc)
        best_s = min(best_s, time.perf_counter() - began_s)
    assert best_s / len(given_units) < 3e-6

"""Media time: when each picture was taken, in ticks of the stream and in UTC.

Three clocks meet here. The *camera's* stream time (VOL resolution, GOV and VOP time) is even but drifts, steps and
sometimes lies; the host's *monotonic* clock sees when bytes arrived, late by encoder, network and wake-ups; the host's
*UTC* is what people ask by, and may step. Ticks follow the camera. UTC follows the lower envelope of arrival minus
stream time, because of one asymmetry: **a frame cannot arrive before it was taken**. An early arrival is proof that the
mapping is late; a late arrival is only a suspicion.

One `Timeline` belongs to one link. It is told the time and reads no clock.
"""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from nvr.media.frame import Frame, Unit, Vol
from nvr.units import US

_DAY_S = 86_400
_PPB = 1_000_000_000

_HOST_STEP_US = 500_000  # more than any daemon slews between two frames; timesyncd steps from 0.4 s, chrony from 1 s
_YOUNG_US = 10 * US  # nothing to defend yet
_YOUNG_BLOCK_US = US // 2
_BLOCK_US = 2 * US  # a read, which has one picture that is exact

_LEAK_PPB = 500_000  # NTP daemons slew up to 500 ppm, and Linux's monotonic clock with them
_UNLEARNT_LEAK_PPB = 1_500_000  # before the drift is known; 30 fps that are really 29.97 drift 1000 ppm
_MOST_DRIFT_PPB = 2_000_000
_NEAR_US = 50_000  # a frame at 30 fps, a part of which a read may leave behind, and noise: later than this is no drift
_SAMPLE_US = 30 * US
_SAMPLES = 30  # a baseline of 15 minutes: 5 ms of noise are 6 ppm
_LEARNT_SAMPLES = 5
_RESTLESS_US = 20_000  # a level that moves this much at once says nothing of drift

_STAYING_US = 300 * US  # a crowded link has a good moment in five minutes; lost stream time has none
_STAYING_BAND_US = 100_000
_RESTLESS_STAYS = 6  # half an hour of uneven lateness: its lower envelope is the new truth
_NEW_RUN_US = 500_000  # a lateness that stays is slewed up to here and ends the run above

_SLEW_PPB = 500_000  # on top of the drift, while right to a frame
_FAR_US = 20_000  # with what encoder and network keep, a frame at 30 fps
_FAR_SLEW_PPB = 50_000_000  # beyond it 5 %: half a second wrong for 20 minutes would serve nobody
_YOUNG_SLEW_PPB = 100_000_000  # 10 %: the first frame often waits behind the camera's first I-VOP
_SETTLE_S = 10
_YOUNG_SETTLE_S = 2

_SLACK_US = 50_000  # by how much stream time may seem to precede arrival: noise of the envelope, one tick of 1/30
_YOUNG_SLACK_US = 250_000  # the envelope still starts from one late frame
_FIRST_SLACK_US = US  # for a block, and until an interval is known: the first frames waited for camera or busy host
_WAIT_US = 2 * US  # so long bytes may wait to be read
_STALL_US = US  # where they are read as they come: later than this needs a stall or a pause
_LOST_FRAMES = 4  # damaged units at a time; more would let a clock's step pass for them
_TRUSTED = 2  # GOVs that moved and agreed before a GOV may contradict the VOPs …
_DISTRUSTED = -10  # … and where it starts again after it contradicted them wrongly

_JUDGE_US = 5 * US
_JUDGE_FRAMES = 4
_JUDGE_BAD = 3
_WRONG_BLOCKS = 3  # blocks in a row that all run away the same way
_MOST_BACKLOG_BYTES = 1 << 20  # what is late lies in send buffers (64 to 256 kB on such cameras) or in the network
_LEAST_BACKLOG_US = 3 * US
_MOST_BACKLOG_US = 20 * US

_PACE_FRAMES = 8
_PACE_US = US
_PACE_EVEN = 4  # frames in a row that tell a gap from the end of a stall


@dataclass(frozen=True, slots=True)
class Mapping:
    """The line from a run's ticks to UTC as it is now; exact at its anchor, good for the minutes round it."""

    ticks: int
    """The anchor, in ticks of the run."""
    utc_us: int
    """The anchor in UTC."""
    slope_ppb: int
    """How much faster UTC runs than the stream's ticks, in parts per billion: drift plus slew."""
    ticks_per_second: int

    def utc_us_of(self, ticks: int) -> int:
        """The UTC of a moment of the run."""
        return self.utc_us + (ticks - self.ticks) * (US * (_PPB + self.slope_ppb)) // (self.ticks_per_second * _PPB)


class Timeline:
    """Gives each unit of one link its ticks and its UTC.

    Ticks rise strictly and UTC never falls within a run. A run ends, at an I-VOP and without losing a frame, when the
    host's clock steps or stream time is lost for good ("clock-step"), and when stream time is given up
    ("time-fallback"). A step of the camera's clock ends nothing: it is bridged and counted.
    """

    __slots__ = (
        "_anchor_ticks",
        "_anchor_utc_us",
        "_bad",
        "_block_end_us",
        "_block_start_us",
        "_byte_rate",
        "_bytes",
        "_count",
        "_envelope",
        "_fallback_due",
        "_fraction",
        "_gov",
        "_gov_ahead",
        "_gov_trust",
        "_host_offset_us",
        "_interval",
        "_judge_bytes",
        "_judge_count",
        "_judge_start_us",
        "_last_step",
        "_lent",
        "_lent_frames",
        "_level_due",
        "_low_us",
        "_min_ticks_per_second",
        "_pacer",
        "_pending",
        "_per_second",
        "_run_ticks",
        "_scale",
        "_second",
        "_slack_us",
        "_slope_den",
        "_slope_num",
        "_slope_ppb",
        "_ticks",
        "_time_base",
        "_unfollowed_us",
        "_usual",
        "_vol",
        "_young_until_us",
        "fallback_reason",
        "jumps",
        "repeats",
    )

    jumps: int
    """Times the stream time jumped without arrival bearing it out, and was bridged; a clock's step may count twice."""
    repeats: int
    """VOPs that carried the time of the one before."""
    fallback_reason: str | None
    """One sentence once stream time was given up; None before."""

    def __init__(self, min_ticks_per_second: int = 90_000) -> None:
        self.jumps = 0
        self.repeats = 0
        self.fallback_reason = None
        self._min_ticks_per_second = min_ticks_per_second

        self._vol: Vol | None = None
        self._scale = 1
        self._per_second = min_ticks_per_second
        self._time_base = Fraction(1, min_ticks_per_second)

        # Stream time as the camera counts it, and what we made of it. All ticks here count from the link's first frame.
        self._second = 0
        self._fraction = 0
        self._lent = 0
        self._lent_frames = 0
        self._gov: int | None = None
        self._gov_ahead = 0
        self._gov_trust = 0
        self._ticks = 0
        self._last_step = 0
        self._interval = 0
        self._usual = 0

        # Stream time against the host's monotonic clock.
        self._envelope = _Envelope(0)
        self._young_until_us = 0
        self._slack_us = _FIRST_SLACK_US
        self._block_start_us = 0
        self._block_end_us = 0
        self._low_us = 0
        self._pacer: _Pacer | None = None
        self._count = 0
        self._bytes = 0
        self._bad = 0
        self._judge_start_us = 0
        self._judge_count = 0
        self._judge_bytes = 0
        self._byte_rate = 1

        # The host's monotonic clock against UTC, and the run's mapping.
        self._host_offset_us = 0
        self._unfollowed_us = 0
        self._level_due = False
        self._fallback_due = False
        self._pending: str | None = None
        self._run_ticks = 0
        self._anchor_ticks = 0
        self._anchor_utc_us = 0
        self._slope_ppb = 0
        self._slope_num = US
        self._slope_den = min_ticks_per_second

    @property
    def on_arrival(self) -> bool:
        """Stream time was given up: frames are timed by smoothed arrival, so arrivals should be read at once."""
        return self._pacer is not None

    @property
    def drift_ppb(self) -> int:
        """By how much the host's clock outruns the camera's, in parts per billion; 0 until learnt (two minutes)."""
        return self._envelope.drift_ppb

    @property
    def interval_ticks(self) -> int:
        """The typical distance of two frames lately, in `time_base`: the duration of a run's last frame."""
        return self._interval or self._last_step or self._per_second // 30

    @property
    def mapping(self) -> Mapping:
        """How ticks of the present run become UTC now, for run row and label."""
        return Mapping(
            self._anchor_ticks - self._run_ticks,
            self._anchor_utc_us,
            self._slope_ppb,
            ticks_per_second=self._per_second,
        )

    def stamp(self, unit: Unit, arrived_mono_us: int, arrived_utc_us: int) -> Frame:
        """Time one unit, given the host's two clocks at the moment its last byte was read.

        Units are to be given in stream order with arrivals that never fall; several may share one arrival.
        """
        if unit.vol is not self._vol:
            if self._vol is None:
                return self._first(unit, arrived_mono_us, arrived_utc_us)
            self._take_vol(unit.vol)

        offset_us = arrived_utc_us - arrived_mono_us
        moved_us = offset_us - self._host_offset_us
        self._host_offset_us = offset_us
        if not -_HOST_STEP_US < moved_us < _HOST_STEP_US:
            self._host_stepped(moved_us)

        per_second = self._per_second
        if self._pacer is not None:
            room_us = arrived_mono_us - self._envelope.level_us - self._ticks * US // per_second
            step = self._pacer.step(room_us, arrived_mono_us)
        else:
            fraction = unit.increment * self._scale
            step = unit.modulo_seconds * per_second + fraction - self._fraction
            if unit.gov_seconds is None and 0 < step <= self._usual and not self._lent:
                self._second += unit.modulo_seconds
                self._fraction = fraction
            else:
                step = self._weigh(unit, step, arrived_mono_us)
        if step != self._interval:
            self._learn_interval(step)
        self._last_step = step
        self._ticks = ticks = self._ticks + step

        self._count += 1
        self._bytes += len(unit.data)
        low_us = arrived_mono_us - ticks * US // per_second
        if low_us < self._low_us:
            self._low_us = low_us
        if arrived_mono_us >= self._block_end_us:
            self._close_block(arrived_mono_us)
        new_run = None
        if self._pending is not None and unit.key:
            new_run = self._begin_run()
        return Frame(
            unit.data,
            unit.key,
            ticks - self._run_ticks,
            self._anchor_utc_us + (ticks - self._anchor_ticks) * self._slope_num // self._slope_den,
            unit.vol,
            self._time_base,
            unit.user_data,
            unit.position,
            new_run,
        )

    # Beginning: the link, a resolution, a run.

    def _first(self, unit: Unit, arrived_mono_us: int, arrived_utc_us: int) -> Frame:
        self._take_vol(unit.vol)
        self._gov = unit.gov_seconds
        self._second = (unit.gov_seconds or 0) + unit.modulo_seconds
        self._fraction = unit.increment * self._scale
        self._host_offset_us = arrived_utc_us - arrived_mono_us
        self._envelope = _Envelope(arrived_mono_us)
        self._low_us = arrived_mono_us
        self._young_until_us = arrived_mono_us + _YOUNG_US
        self._block_start_us = self._judge_start_us = arrived_mono_us
        self._block_end_us = arrived_mono_us + _YOUNG_BLOCK_US
        self._anchor_utc_us = arrived_utc_us
        return Frame(
            unit.data,
            unit.key,
            0,
            arrived_utc_us,
            unit.vol,
            self._time_base,
            unit.user_data,
            unit.position,
            "connected",
        )

    def _take_vol(self, vol: Vol) -> None:
        """A VOL with another resolution changes the time base; the ticks so far are rescaled, never downwards."""
        self._vol, before = vol, self._vol
        if before is not None and before.resolution == vol.resolution:
            return
        old = self._per_second
        self._scale = -(-self._min_ticks_per_second // vol.resolution)
        self._per_second = new = vol.resolution * self._scale
        self._time_base = Fraction(1, new)
        utc_us = self._utc_us()
        self._fraction = self._fraction * new // old
        self._lent = self._lent * new // old
        self._last_step = self._last_step * new // old
        self._take_interval(self._interval * new // old or vol.fixed_increment * self._scale)
        # The run's ticks are rescaled, not the link's: it is they that have been given out.
        given_out = -(-(self._ticks - self._run_ticks) * new // old)
        self._run_ticks = self._run_ticks * new // old
        self._ticks = self._run_ticks + given_out
        if self._pacer is not None:
            self._pacer.rescale(new)
        self._anchor(utc_us, self._slope_ppb)

    def _begin_run(self) -> str | None:
        """The run ends before the frame in hand, which is placed where we believe it to be now."""
        reason = self._pending
        self._unfollowed_us = 0
        self._level_due = False
        if reason == "time-fallback":
            self._fallback_due = False  # after a "clock-step" it is told by the run after that: nobody must miss it
        self._decide_pending()
        self._run_ticks = self._ticks
        self._anchor(self._believed_utc_us(), self._envelope.drift_ppb)
        return reason

    def _decide_pending(self) -> None:
        if self._unfollowed_us or self._level_due:
            self._pending = "clock-step"
        elif self._fallback_due:
            self._pending = "time-fallback"
        else:
            self._pending = None

    def _host_stepped(self, moved_us: int) -> None:
        """The present run keeps the clock it began with; a step that is taken back before the next I-VOP never was."""
        self._unfollowed_us += moved_us
        if abs(self._unfollowed_us) < _HOST_STEP_US:
            self._unfollowed_us = 0
        self._decide_pending()

    # Stream time.

    def _learn_interval(self, step: int) -> None:
        """Two intervals in a row that resemble each other are the interval."""
        last = self._last_step
        if 3 * last <= 4 * step and 3 * step <= 4 * last:
            self._take_interval((step + last) >> 1)

    def _take_interval(self, interval: int) -> None:
        self._interval = interval
        self._usual = interval + min(2 * interval, self._per_second // 10)

    def _weigh(self, unit: Unit, by_vop: int, arrived_mono_us: int) -> int:
        """The step to a VOP that a GOV precedes or that is no ordinary step away; keeps the account of seconds.

        ISO/IEC 14496-2 6.3.5: modulo_time_base counts from the second of the VOP before, or of the GOV between. Cameras
        are known to count from the VOP in spite of the GOV, and to send GOVs that stand still or start from 0.
        """
        room_us = self._room_us(arrived_mono_us)
        leap = self._gov_leap(unit.gov_seconds)
        by_gov = by_vop + leap * self._per_second
        lent, self._lent = self._lent, 0
        by_vop -= lent
        by_gov -= lent
        vop_is_ordinary = 0 < by_vop <= self._usual
        if (
            leap
            and self._may_be(by_gov, room_us)
            and (
                self._gov_trust >= _TRUSTED
                or not self._may_be(by_vop, room_us)
                or (leap > 1 and self._gov_trust >= 0 and self._is_borne_out(by_gov, room_us))
            )
        ):
            step, follows_gov = by_gov, True
        elif vop_is_ordinary or self._may_be(by_vop, room_us):
            step, follows_gov = by_vop, leap == 0
        else:
            follows_gov = True
            step = self._bridge(unit, by_gov, lent, room_us)
        if self._lent_frames and by_gov + lent > 0:
            self._bad = max(0, self._bad - self._lent_frames)  # it did move in the end: coarse, not constant
            self._lent_frames = 0
        self._second += unit.modulo_seconds
        self._fraction = unit.increment * self._scale
        if unit.gov_seconds is not None:
            self._note_gov(unit.gov_seconds, leap, follows_gov)
        return step

    def _gov_leap(self, gov_seconds: int | None) -> int:
        """By how many seconds the GOV moves the anchor from the VOP before, within half a day either way."""
        if gov_seconds is None:
            return 0
        return (gov_seconds - self._gov_ahead - self._second + _DAY_S // 2) % _DAY_S - _DAY_S // 2

    def _note_gov(self, gov_seconds: int, leap: int, follows_gov: bool) -> None:
        """A GOV earns trust by moving and agreeing, and loses it by one disagreement."""
        if follows_gov:
            self._second += leap
            if gov_seconds != self._gov:
                self._gov_trust += 1
        else:
            self._gov_ahead += leap
            if self._gov_trust >= _TRUSTED:
                self.jumps += 1
            self._gov_trust = _DISTRUSTED
        self._gov = gov_seconds

    def _room_us(self, arrived_mono_us: int) -> int:
        """How far after the last frame a frame that arrives now can have been taken at most."""
        level_us = min(self._envelope.level_us, self._low_us)
        return arrived_mono_us - level_us - self._ticks * US // self._per_second

    def _may_be(self, step: int, room_us: int) -> bool:
        """Whether a frame so much later can have arrived already."""
        if step <= 0:
            return False
        slack_us = self._slack_us if self._interval else _FIRST_SLACK_US
        return step * US // self._per_second <= room_us + slack_us

    def _is_borne_out(self, step: int, room_us: int) -> bool:
        """Whether arrival tells of a pause as long, to the second: of whole ones that are missing VOPs say nothing."""
        return room_us - step * US // self._per_second < US // 2

    def _bridge(self, unit: Unit, claimed: int, lent: int, room_us: int) -> int:
        """The step to a VOP whose time cannot be: the seconds may lie, so may the rest; what remains is arrival."""
        stated = claimed + lent
        if lent and 0 < stated <= self._per_second:
            step = max(1, min(stated, self._interval) // 2)
            self._lent = lent + step - stated
            return step
        self._bad += 1
        nominal = self._nominal(room_us)
        if stated == 0:
            self.repeats += 1
            self._lent = lent + nominal
            self._lent_frames += 1
            return nominal
        self.jumps += 1
        self._gov_trust = _DISTRUSTED
        by_fraction = self._by_fraction(unit)
        return by_fraction if nominal == self._interval and self._may_be(by_fraction, room_us) else nominal

    def _by_fraction(self, unit: Unit) -> int:
        """The step that the fraction of a second alone tells, where it is an interval or a few; 0 where not."""
        interval, per_second = self._interval, self._per_second
        step = (unit.increment * self._scale - self._fraction) % per_second
        step += (interval - step + per_second // 2) // per_second * per_second
        frames = (2 * step + interval) // (2 * interval) if interval else 0
        off = abs(step - frames * interval)
        if frames == 1 and 2 * off <= interval:
            return step
        return step if 1 < frames <= _LOST_FRAMES and off <= max(self._scale, interval // 16) else 0

    def _nominal(self, room_us: int) -> int:
        """A frame's distance by the interval, or by arrival where there is none yet or more time has passed."""
        room = room_us * self._per_second // US
        if not self._interval or room - self._interval > max(_WAIT_US * self._per_second // US, 2 * self._interval):
            return max(room, 1)
        return self._interval

    # Arrival, the mapping, and whether stream time is to be believed.

    def _close_block(self, arrived_mono_us: int) -> None:
        """At the first frame after a block's end: learn from its earliest arrival, and steer the mapping."""
        elapsed_us = arrived_mono_us - self._block_start_us
        young = arrived_mono_us < self._young_until_us
        if self._pacer is None:
            self._learn_level(elapsed_us)
            self._judge(arrived_mono_us)
        self._steer(young)
        self._slack_us = _YOUNG_SLACK_US if young else _SLACK_US
        self._block_start_us = arrived_mono_us
        self._block_end_us = arrived_mono_us + (_YOUNG_BLOCK_US if young else _BLOCK_US)
        self._low_us = arrived_mono_us  # larger than any arrival minus stream time can be

    def _learn_level(self, elapsed_us: int) -> None:
        interval_us = self._interval * US // self._per_second
        stays_us = self._envelope.learn(self._low_us, elapsed_us, interval_us)
        if stays_us > max(_NEW_RUN_US, 2 * interval_us):
            self._level_due = True
            self._decide_pending()

    def _steer(self, young: bool) -> None:
        """Turn the mapping towards what we believe; it never jumps within a run."""
        utc_us = self._utc_us()
        wrong_us = self._believed_utc_us() - utc_us
        if young:
            most, settle_s = _YOUNG_SLEW_PPB, _YOUNG_SETTLE_S
        elif abs(wrong_us) > _FAR_US:
            most, settle_s = _FAR_SLEW_PPB, _SETTLE_S
        else:
            most, settle_s = (_SLEW_PPB if self._envelope.learnt else _UNLEARNT_LEAK_PPB), _SETTLE_S
        slew = wrong_us * (_PPB // US) // settle_s
        self._anchor(utc_us, self._envelope.drift_ppb + max(-most, min(most, slew)))

    def _anchor(self, utc_us: int, slope_ppb: int) -> None:
        self._anchor_ticks = self._ticks
        self._anchor_utc_us = utc_us
        self._slope_ppb = slope_ppb
        self._slope_num = US * (_PPB + slope_ppb)
        self._slope_den = self._per_second * _PPB

    def _utc_us(self) -> int:
        """The last frame's UTC by the run's mapping."""
        return self._anchor_utc_us + (self._ticks - self._anchor_ticks) * self._slope_num // self._slope_den

    def _believed_utc_us(self) -> int:
        """The last frame's UTC by the envelope and by the clock that the run follows."""
        stream_us = self._ticks * US // self._per_second
        return stream_us + self._envelope.level_us + self._host_offset_us - self._unfollowed_us

    def _judge(self, arrived_mono_us: int) -> None:
        """Give stream time up when it is nonsense, or runs away from arrival further than buffers can explain."""
        envelope = self._envelope
        backlog_us = max(_LEAST_BACKLOG_US, min(_MOST_BACKLOG_US, _MOST_BACKLOG_BYTES * US // self._byte_rate))
        if envelope.falls >= _WRONG_BLOCKS and envelope.fallen_us > backlog_us:
            self._fall_back("stream time runs faster than frames arrive", arrived_mono_us)
        elif envelope.rises >= _WRONG_BLOCKS and envelope.late_us > backlog_us:
            self._fall_back("stream time runs slower than frames arrive", arrived_mono_us)

        elapsed_us = arrived_mono_us - self._judge_start_us
        frames = self._count - self._judge_count
        if elapsed_us < _JUDGE_US or frames < _JUDGE_FRAMES or self._pacer is not None:
            return
        if self._bad >= _JUDGE_BAD and 4 * self._bad >= frames:
            kind = "repeat" if self.repeats > self.jumps else "jump"
            self._fall_back(
                f"VOP times {kind}: {self._bad} of {frames} frames in {elapsed_us // US} s", arrived_mono_us
            )
        byte_rate = max((self._bytes - self._judge_bytes) * US // elapsed_us, 1)
        self._byte_rate = byte_rate if self._byte_rate == 1 else (3 * self._byte_rate + byte_rate) // 4
        self._judge_start_us, self._judge_count, self._judge_bytes = arrived_mono_us, self._count, self._bytes
        self._bad = 0

    def _fall_back(self, reason: str, arrived_mono_us: int) -> None:
        """From here on frames are paced by arrival; the level at which they are locked to it stands still."""
        self.fallback_reason = reason
        frames = max(self._count - self._judge_count, 1)
        interval_us = max((arrived_mono_us - self._judge_start_us) // frames, 1)
        self._pacer = _Pacer(interval_us, self._per_second)
        self._envelope = _Envelope(arrived_mono_us - self._ticks * US // self._per_second)
        self._level_due = False
        self._fallback_due = True
        self._decide_pending()


class _Envelope:
    """The lower envelope of arrival minus stream time, as a level that drifts; told once a block."""

    __slots__ = (
        "_age_us",
        "_sample_due_us",
        "_samples",
        "_stay_least_us",
        "_stay_low_us",
        "_stay_most_us",
        "_stay_us",
        "_stays",
        "drift_ppb",
        "fallen_us",
        "falls",
        "late_us",
        "learnt",
        "level_us",
        "rises",
    )

    def __init__(self, level_us: int) -> None:
        self.level_us = level_us
        self.drift_ppb = 0
        self.learnt = False
        self.falls = 0
        """Blocks in a row that were earlier than expected."""
        self.fallen_us = 0
        """By how much, together."""
        self.rises = 0
        """Blocks in a row each later than the one before, all of them late."""
        self.late_us = 0
        """How late the last block was; 0 if it was not."""
        self._age_us = 0
        self._sample_due_us = 0
        self._samples: deque[tuple[int, int]] = deque(maxlen=_SAMPLES)
        self._stays = 0
        self._stay_us = 0
        self._stay_least_us = 0
        self._stay_most_us = 0
        self._stay_low_us = 0

    def learn(self, low_us: int, elapsed_us: int, interval_us: int) -> int:
        """Take a block's least arrival minus stream time; return by how much a lateness that stays moved the level."""
        self._age_us += elapsed_us
        expected_us = self.level_us + elapsed_us * self.drift_ppb // _PPB
        late_us = low_us - expected_us
        moved_us = 0
        self._note_fall(late_us, elapsed_us)
        if late_us <= _NEAR_US:
            leak_us = elapsed_us * (_LEAK_PPB if self.learnt else _UNLEARNT_LEAK_PPB) // _PPB
            self.level_us = expected_us + min(late_us, leak_us)
            self.late_us = self.rises = self._stay_us = self._stays = 0
        else:
            self.level_us = expected_us
            moved_us = self._note_late(late_us, elapsed_us, interval_us)
            self.level_us += moved_us
        if late_us < -_RESTLESS_US or moved_us:
            self._samples.clear()
        self._sample()
        return moved_us

    def _note_fall(self, late_us: int, elapsed_us: int) -> None:
        if -late_us > 1000 + elapsed_us // 1000:  # more than drift and noise
            self.falls += 1
            self.fallen_us -= late_us
        else:
            self.falls = self.fallen_us = 0

    def _note_late(self, late_us: int, elapsed_us: int, interval_us: int) -> int:
        """Nothing arrived on time: a stall, a slow link, or lost stream time, which is what stays for minutes."""
        self.rises = self.rises + 1 if late_us > self.late_us + elapsed_us // 200 else 0
        self.late_us = late_us
        if self._stay_us == 0:
            self._stay_least_us = self._stay_most_us = late_us
        self._stay_us += elapsed_us
        self._stay_least_us = min(self._stay_least_us, late_us)
        self._stay_most_us = max(self._stay_most_us, late_us)
        if self._stay_us < _STAYING_US:
            return 0
        self._stay_us = 0
        self._stays += 1
        self._stay_low_us = self._stay_least_us if self._stays == 1 else min(self._stay_low_us, self._stay_least_us)
        if self._stay_most_us - self._stay_least_us <= max(_STAYING_BAND_US, interval_us // 2):
            self._stays = 0
            return self._stay_least_us
        if self._stays == _RESTLESS_STAYS:
            self._stays = 0
            return self._stay_low_us
        return 0

    def _sample(self) -> None:
        """The drift is the level's way over a quarter of an hour."""
        if self._age_us < self._sample_due_us:
            return
        self._sample_due_us = self._age_us + _SAMPLE_US
        self._samples.append((self._age_us, self.level_us))
        if len(self._samples) >= _LEARNT_SAMPLES:
            age_us, level_us = self._samples[0]
            drift_ppb = (self.level_us - level_us) * _PPB // (self._age_us - age_us)
            self.drift_ppb = max(-_MOST_DRIFT_PPB, min(_MOST_DRIFT_PPB, drift_ppb))
            self.learnt = True


class _Pacer:
    """Even steps locked to arrival: frames of one batch are spread, and hours do not drift.

    Each window of frames has one that was least late: from window to window these give the interval, and their lateness
    is worked off over the next window. Frames that come late but evenly follow a gap or have another rate.
    """

    __slots__ = (
        "_best_at_us",
        "_best_index",
        "_best_us",
        "_even",
        "_even_from_us",
        "_index",
        "_interval",
        "_last_at_us",
        "_last_index",
        "_late_us",
        "_lean",
        "_per_second",
        "_window_index",
        "_window_start_us",
    )

    def __init__(self, interval_us: int, per_second: int) -> None:
        self._per_second = per_second
        self._interval = max(interval_us * per_second // US, 2)
        self._lean = 0
        self._index = 0
        self._late_us = 0
        self._forget()

    def rescale(self, per_second: int) -> None:
        """The time base changed."""
        self._interval = max(self._interval * per_second // self._per_second, 2)
        self._lean = self._lean * per_second // self._per_second
        self._per_second = per_second

    def step(self, room_us: int, arrived_mono_us: int) -> int:
        """Ticks to the next frame, given how far ahead its arrival lies of the last frame's place."""
        self._index += 1
        step = self._interval + self._lean
        late_us = room_us - step * US // self._per_second
        interval_us = self._interval * US // self._per_second
        if late_us > max(_STALL_US, 2 * interval_us):
            step += self._wait_or_skip(late_us, interval_us)
        else:
            self._even = 0
            early_us = -late_us - min(_SLACK_US, interval_us // 4)
            if early_us > 0:  # it has arrived, so it was taken
                step -= early_us * self._per_second // US
            self._watch(late_us, arrived_mono_us)
        return max(step, 1)

    def _forget(self) -> None:
        self._lean = 0
        self._last_index = -1
        self._last_at_us = 0
        self._window_index = 0
        self._window_start_us = -1
        self._best_us = self._best_index = self._best_at_us = 0
        self._even = 0
        self._even_from_us = 0

    def _wait_or_skip(self, late_us: int, interval_us: int) -> int:
        """After a stall lateness falls with every frame; where it does not, frames are missing or come more slowly."""
        if self._even == 0 or late_us < self._late_us - interval_us // 4:
            self._even = 0
            self._even_from_us = late_us
        self._even += 1
        self._late_us = late_us
        if self._even < _PACE_EVEN:
            return 0
        slower_us = (late_us - self._even_from_us) // (_PACE_EVEN - 1)
        if slower_us > interval_us // 4:
            self._interval += slower_us * self._per_second // US
        self._forget()
        return late_us * self._per_second // US

    def _watch(self, late_us: int, arrived_mono_us: int) -> None:
        if self._window_start_us < 0:
            self._window_index, self._window_start_us = self._index, arrived_mono_us
            self._best_us, self._best_index, self._best_at_us = late_us, self._index, arrived_mono_us
        elif late_us < self._best_us:
            self._best_us, self._best_index, self._best_at_us = late_us, self._index, arrived_mono_us
        if self._index - self._window_index >= _PACE_FRAMES and arrived_mono_us - self._window_start_us >= _PACE_US:
            self._close_window()

    def _close_window(self) -> None:
        self._window_start_us = -1
        if self._last_index >= 0:
            spent = (self._best_at_us - self._last_at_us) * self._per_second // US
            measured = max(spent // (self._best_index - self._last_index), 2)
            off = measured - self._interval
            self._interval += off if 4 * abs(off) > self._interval else off // 4
        self._last_index, self._last_at_us = self._best_index, self._best_at_us
        frames = max(_PACE_FRAMES, self._per_second // self._interval)
        lean = self._best_us * self._per_second // US // (2 * frames)
        self._lean = max(-self._interval * 3 // 4, min(self._interval, lean))

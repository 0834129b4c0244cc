"""Divides footage by where the camera looked: into rests at a point and sweeps from one to the next.

Pure. Every moment of which a position is known is in exactly one look; where the camera said nothing there is none. A
look never reaches past its segment, so a stop that a segment's end cuts to less than a second belongs to the sweep
beside it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from nvr.media.errors import NotDecodable
from nvr.media.label import Label
from nvr.media.positions import Fact, Rest, unpack_track
from nvr.store.rows import Box, Look, LookKind, View
from nvr.units import US, PanTiltZoom

REST_WIDTH: Final = 20
"""A rest stays within this on every axis, in hundredths: a point and 0.1 to either side."""
SHORTEST_REST_US: Final = US
LONGEST_SWEEP_US: Final = 10 * US
_TICK_US: Final = SHORTEST_REST_US // 2

_CIRCLE: Final = 36_000
_HALF: Final = _CIRCLE // 2
_COARSE: Final = 100  # a sweep's ends are rounded outwards to whole degrees: repeated moves then share one view
_WORD_LAG_US: Final = 10 * US  # the preset is told with I-VOPs only, 255 pictures apart at most (guide 6.3): 8.5 s
_MOST_TILT: Final = 19_000
_MOST_ZOOM: Final = 9_999
_MOST_PRESET: Final = 999


class Looks:
    """Makes looks of one segment's positions, told in the order of time."""

    __slots__ = ("_at", "_done", "_facts", "_pans", "_preset", "_since_us", "_tilts", "_turned", "_zooms")

    def __init__(self) -> None:
        self._done: list[Look] = []
        self._since_us: list[int] = []
        self._pans: list[int] = []
        self._tilts: list[int] = []
        self._zooms: list[int] = []
        """Since when the camera looked where; what is not in a look yet. Pan goes on past 360 degrees and below 0."""
        self._at: PanTiltZoom | None = None
        self._turned = 0
        """Whole circles until now, in hundredths."""
        self._preset: int | None = None
        self._facts: list[tuple[int, int | None]] = []
        """Since when which preset was told."""

    def add(self, utc_us: int, position: PanTiltZoom | None, preset: int | None = None) -> None:
        """From this moment on the camera looked there, and named this preset; later than all moments before."""
        self.name(utc_us, preset)
        self.follow((utc_us,), (position,))

    def name(self, utc_us: int, preset: int | None) -> None:
        """From this moment on the camera named this preset; may be told ahead of where it looked."""
        if preset != self._preset or not self._facts:
            self._facts.append((utc_us, preset))
            self._preset = preset

    def follow(self, moments_us: Sequence[int], positions: Sequence[PanTiltZoom | None]) -> None:
        """From each of these moments on, later and later, the camera looked there."""
        at, pans, turned = self._at, self._pans, self._turned
        begin, pan_to, tilt_to, zoom_to = self._since_us.append, pans.append, self._tilts.append, self._zooms.append
        for utc_us, position in zip(moments_us, positions, strict=True):
            if position == at:
                continue
            if position is None:
                self._break(utc_us)
            else:
                pan, tilt, zoom = position
                if pans and at is not None:
                    # The short way round: between two pictures no dome turns further.
                    if (step := pan - at[0]) >= _HALF:
                        turned -= _CIRCLE
                    elif step < -_HALF:
                        turned += _CIRCLE
                begin(utc_us)
                pan_to(pan + turned)
                tilt_to(tilt)
                zoom_to(zoom)
            at = position
        self._at, self._turned = at, turned

    def finish(self, end_us: int) -> list[Look]:
        """All looks, in order; the last one lasts until then."""
        self._break(end_us)
        return [look for look in self._done if look.end_us > look.start_us]

    def _break(self, utc_us: int) -> None:
        """Divides what goes on until this moment, after which nothing is known."""
        if not self._pans:
            return
        since_us = self._since_us
        since_us.append(utc_us)
        swept = 0
        for first, end in self._rests():
            self._sweep(swept, first)
            box = _on_circle(self._box(first, end))
            for from_us, to_us, preset in self._presets(since_us[first], since_us[end]):
                self._done.append(Look(from_us, to_us, View(LookKind.REST, box, preset)))
            swept = end
        self._sweep(swept, len(self._pans))
        for column in (since_us, self._pans, self._tilts, self._zooms):
            column.clear()

    def _rests(self) -> Iterator[tuple[int, int]]:
        """From which place to before which one the camera stood; each begins as early and lasts as long as it can."""
        since_us = self._since_us
        end_us, first, last, looked_at = since_us[-1], 0, 0, 0
        while end_us - (from_us := since_us[first]) >= SHORTEST_REST_US:
            if first >= looked_at:
                # A second that begins here or up to the next tick holds that tick and the one after: most places of a
                # camera that moves need no closer look.
                tick_us = -(-from_us // _TICK_US) * _TICK_US
                at = bisect_right(since_us, tick_us, first) - 1
                looked_at = at + 1
                if not self._are_near(at, bisect_right(since_us, tick_us + _TICK_US, at) - 1):
                    first = looked_at
                    continue
            last = bisect_left(since_us, from_us + SHORTEST_REST_US, max(first, last)) - 1
            if self._are_near(first, last) and all(
                max(column[first : last + 1]) - min(column[first : last + 1]) <= REST_WIDTH
                for column in (self._pans, self._tilts, self._zooms)
            ):
                end = self._end_of_rest(first, last + 1)
                yield first, end
                first = end
            else:
                first += 1

    def _are_near(self, one: int, other: int) -> bool:
        """Whether both places may belong to one rest."""
        return (
            -REST_WIDTH <= self._pans[other] - self._pans[one] <= REST_WIDTH
            and -REST_WIDTH <= self._tilts[other] - self._tilts[one] <= REST_WIDTH
            and -REST_WIDTH <= self._zooms[other] - self._zooms[one] <= REST_WIDTH
        )

    def _end_of_rest(self, first: int, end: int) -> int:
        """How far what is still up to `end` stays so."""
        columns = (self._pans, self._tilts, self._zooms)
        lows = [min(column[first:end]) for column in columns]
        highs = [max(column[first:end]) for column in columns]
        for at in range(end, len(self._pans)):
            for axis, column in enumerate(columns):
                lows[axis], highs[axis] = min(lows[axis], column[at]), max(highs[axis], column[at])
                if highs[axis] - lows[axis] > REST_WIDTH:
                    return at
        return len(self._pans)

    def _sweep(self, first: int, end: int) -> None:
        """Makes sweeps of these places, none too long."""
        since_us = self._since_us
        while first < end:
            cut = min(end, max(first + 1, bisect_right(since_us, since_us[first] + LONGEST_SWEEP_US) - 1))
            box = _on_circle(_widened(self._box(first, cut)))
            self._done.append(Look(since_us[first], since_us[cut], View(LookKind.SWEEP, box, None)))
            first = cut

    def _box(self, first: int, end: int) -> Box:
        pans, tilts, zooms = self._pans[first:end], self._tilts[first:end], self._zooms[first:end]
        return Box(min(pans), max(pans), min(tilts), max(tilts), min(zooms), max(zooms))

    def _presets(self, start_us: int, end_us: int) -> Iterator[tuple[int, int, int | None]]:
        """The stretches of a rest, by what preset the camera named; none is shorter than a rest may be.

        The camera names it with I-VOPs only: the first change after it has come to rest counts from there on, unless
        it was named just as the rest began (so it is where footage begins, which is with an I-VOP).
        """
        facts = self._facts
        while len(facts) > 1 and facts[1][0] <= start_us:
            del facts[0]
        since_us, preset = start_us, facts[0][1]
        lag_us = 0 if facts[0][0] == start_us else _WORD_LAG_US
        first = True
        for told_us, told in facts[1:]:
            if told_us >= end_us:
                break
            if told_us - since_us < SHORTEST_REST_US or (first and told_us - start_us <= lag_us):
                preset = told
            elif told != preset and end_us - told_us >= SHORTEST_REST_US:
                yield since_us, told_us, preset
                since_us, preset = told_us, told
            first = False
        yield since_us, end_us, preset


def looks_of(said: Label, ticks: Sequence[int]) -> list[Look]:
    """The looks of a file with this label, whose pictures begin at `ticks` (the file's own, from 0).

    Empty where nothing is known of any picture. Raises NotDecodable where label and pictures do not go together.
    """
    if said.positions is None:
        return []
    rests, facts = unpack_track(said.positions)
    if sum([rest.frames for rest in rests]) != len(ticks) or said.frames != len(ticks):
        raise NotDecodable(f"a position track that is not of {len(ticks)} pictures")
    if not ticks or ticks[-1] >= said.duration_ticks:
        raise NotDecodable("pictures that last longer than their label says")
    if not _are_possible(rests):
        raise NotDecodable("a position that no camera can take")
    if not all(fact.preset is None or fact.preset <= _MOST_PRESET for fact in facts):
        raise NotDecodable("a preset that no camera has")
    return looks_between(said.start_us, said.end_us, said.duration_ticks, ticks, rests, facts)


def looks_between(
    start_us: int, end_us: int, duration_ticks: int, ticks: Sequence[int], rests: Sequence[Rest], facts: Sequence[Fact]
) -> list[Look]:
    """The looks of [start, end), through which so many ticks pass at one pace; pictures begin at `ticks`, from 0."""
    looks, span_us = Looks(), end_us - start_us
    looks.name(start_us, None)
    for fact in facts:
        looks.name(start_us + ticks[fact.frame] * span_us // duration_ticks, fact.preset)
    begins = accumulate((rest.frames for rest in rests[:-1]), initial=0) if rests else ()
    looks.follow(
        [start_us + ticks[frame] * span_us // duration_ticks for frame in begins], [rest.position for rest in rests]
    )
    return looks.finish(end_us)


def utc_of(said: Label, tick: int) -> int:
    """The UTC of a tick of the file's own, from 0, on the same line as its looks."""
    return said.start_us + tick * (said.end_us - said.start_us) // said.duration_ticks


def _widened(box: Box) -> Box:
    """An axis that stood is told as it stood, one that moved in whole degrees (zoom: whole parts of its scale)."""
    low_pan, high_pan = _rounded(box.pan_from, box.pan_to)
    low_tilt, high_tilt = _rounded(box.tilt_from, box.tilt_to)
    low_zoom, high_zoom = _rounded(box.zoom_from, box.zoom_to)
    return Box(low_pan, high_pan, low_tilt, min(high_tilt, _MOST_TILT), low_zoom, min(high_zoom, _MOST_ZOOM))


def _rounded(low: int, high: int) -> tuple[int, int]:
    return (low, high) if low == high else (low // _COARSE * _COARSE, -(-high // _COARSE) * _COARSE)


def _on_circle(box: Box) -> Box:
    """Pan back within 360 degrees."""
    pan_from, pan_to, *others = box
    if pan_to - pan_from >= _CIRCLE - 1:
        return Box(0, _CIRCLE - 1, *others)
    return Box(pan_from % _CIRCLE, pan_to % _CIRCLE, *others)


def _are_possible(rests: Sequence[Rest]) -> bool:
    for _, position in rests:  # no generator: an index made anew asks this of millions
        if position is not None:
            pan, tilt, zoom = position
            if not (0 <= pan < _CIRCLE and 0 <= tilt <= _MOST_TILT and 0 <= zoom <= _MOST_ZOOM):
                return False
    return True

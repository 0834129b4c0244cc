"""Accounts for every moment of a camera: recorded, off with a reason, or a gap with a reason; nothing twice, no hole.

Pure: told facts and when they were so, answers what to change in the index. What is recorded stands in segments; the
ledger keeps the rest as spans, which never overlap within an epoch and are never empty. Facts may arrive in any order:
what a later one says of a time that is accounted for already does not count.

An epoch counts backward steps of the host's clock. An hour that happens twice has rows in two epochs; in coverage it
counts once, as the later epoch says. A forward step says nothing but that a clock was wrong: it covers no footage of an
earlier epoch, so that a machine whose clock began in 1970 until it was set does not turn years of it into a gap.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from nvr.store.rows import Recorded, Span, SpanKind

CLOCK_STEP: Final = "clock-step"
CAMERA_RESTART: Final = "camera-restart"
NOT_CONFIGURED: Final = "not-configured"
UNKNOWN: Final = "unknown"

OFF_REASONS: Final = ("schedule", "waiting-for-alarm", "record-off", CAMERA_RESTART, NOT_CONFIGURED)
"""Why nothing was recorded as planned; those of gaps are `metrics.GAP_REASONS`."""

_NEVER: Final = -(1 << 62)
_MOST_REMEMBERED: Final = 512  # closed spans kept to tell late facts from new ones; hours even on a miserable link


@dataclass(frozen=True, slots=True)
class PutSpan:
    """Put this span's row, over the one of the same epoch and start if there is one."""

    span: Span


@dataclass(frozen=True, slots=True)
class DropSpan:
    """Take away the row of this span's epoch and start: it turned out to be empty."""

    span: Span


SpanChange = PutSpan | DropSpan


class Ledger:
    """One camera's account. Each fact answers the changes to hand to `Index.put_spans`, in order."""

    def __init__(self, epoch: int = 0, spans: Iterable[Span] = ()) -> None:
        """Goes on from the newest rows of the camera (in any order), or from nothing; `epoch` is the present one."""
        self._closed: list[Span] = []
        self._open: Span | None = None
        self._epoch = epoch
        for span in sorted(spans, key=_place):
            if span.end_us is None:
                self._open = span
            else:
                self._remember(span)

    @property
    def open(self) -> Span | None:
        """The span that goes on now; None while the camera is recorded."""
        return self._open

    @property
    def epoch(self) -> int:
        """The epoch that facts without another word are of."""
        return self._epoch

    @property
    def latest_us(self) -> int | None:
        """The latest moment of the present epoch that a span begins or ends at; None where none does."""
        if self._open is not None and self._open.epoch == self._epoch:
            return self._open.start_us
        until_us = self._accounted_until()
        return None if until_us == _NEVER else until_us

    def recording(self, at_us: int) -> list[SpanChange]:
        """Recording began with a frame at `at_us`: what was open ends there."""
        return self._end_open(at_us)

    def gap(self, at_us: int, reason: str) -> list[SpanChange]:
        """From `at_us` (the end of the last frame kept, or now) on nothing is recorded that should be."""
        return self._begin(SpanKind.GAP, at_us, reason)

    def off(self, at_us: int, reason: str) -> list[SpanChange]:
        """From `at_us` on nothing is recorded, as planned."""
        return self._begin(SpanKind.OFF, at_us, reason)

    def missing(self, start_us: int, end_us: int, reason: str, epoch: int | None = None) -> list[SpanChange]:
        """Frames of [start, end) are lost although recording goes (or went) on; says so where nothing else does."""
        epoch = self._epoch if epoch is None else epoch
        changes: list[SpanChange] = []
        for start, end in self._unaccounted(start_us, end_us, epoch):
            span = Span(SpanKind.GAP, reason, start, end, epoch)
            self._remember(span)
            changes.append(PutSpan(span))
        return changes

    def found(self, start_us: int, end_us: int) -> list[SpanChange]:
        """A segment that was called lost is there after all: the gap booked for it begins where the segment ends."""
        for span in self._closed:
            if span.start_us == start_us and span.kind is SpanKind.GAP and span.end_us is not None:
                self._closed.remove(span)
                changes: list[SpanChange] = [DropSpan(span)]
                if span.end_us > end_us:
                    rest = replace(span, start_us=end_us)
                    self._remember(rest)
                    changes.append(PutSpan(rest))
                return changes
        return []

    def clock_stepped(self, before_us: int, after_us: int) -> list[SpanChange]:
        """The host's clock went from `before_us` to `after_us` at once.

        Forward: a gap `clock-step` where recording goes on (nothing is missing, yet no frame has such a time).
        Backward: a new epoch begins, in which what was open goes on.
        """
        if after_us >= before_us:
            return self.missing(before_us, after_us, CLOCK_STEP)
        open_before = self._open
        changes = self._end_open(before_us)
        self._epoch += 1
        if open_before is not None:
            changes += self._begin(open_before.kind, after_us, open_before.reason)
        return changes

    def _begin(self, kind: SpanKind, at_us: int, reason: str) -> list[SpanChange]:
        if self._open is not None and (self._open.kind, self._open.reason) == (kind, reason):
            return []
        begins_us = at_us if self._open is None else max(at_us, self._open.start_us)
        changes = self._end_open(begins_us)
        begins_us = max(begins_us, self._accounted_until())
        self._open = Span(kind, reason, begins_us, None, self._epoch)
        return [*changes, PutSpan(self._open)]

    def _end_open(self, at_us: int) -> list[SpanChange]:
        ending, self._open = self._open, None
        if ending is None:
            return []
        if at_us <= ending.start_us:
            return [DropSpan(ending)]
        span = replace(ending, end_us=at_us)
        self._remember(span)
        return [PutSpan(span)]

    def _remember(self, span: Span) -> None:
        self._closed.insert(bisect_left(self._closed, _place(span), key=_place), span)
        if len(self._closed) > _MOST_REMEMBERED:
            del self._closed[0]

    def _accounted_until(self) -> int:
        """The end of the last closed span of this epoch."""
        last = self._closed[-1] if self._closed else None
        if last is None or last.epoch != self._epoch or last.end_us is None:
            return _NEVER
        return last.end_us

    def _unaccounted(self, start_us: int, end_us: int, epoch: int) -> list[tuple[int, int]]:
        """The parts of [start, end) of which no span speaks yet."""
        if self._open is not None and self._open.epoch == epoch:
            end_us = min(end_us, self._open.start_us)
        if len(self._closed) == _MOST_REMEMBERED and epoch <= self._closed[0].epoch:
            # Of times before the oldest span remembered it is not known what was said.
            start_us = max(start_us, self._closed[0].start_us) if epoch == self._closed[0].epoch else end_us
        free = []
        for span in self._closed:
            if span.epoch != epoch or span.end_us is None or span.end_us <= start_us:
                continue
            if span.start_us >= end_us:
                break
            if span.start_us > start_us:
                free.append((start_us, span.start_us))
            start_us = span.end_us
        if start_us < end_us:
            free.append((start_us, end_us))
        return free


@dataclass(frozen=True, slots=True)
class Covered:
    """A stretch of a camera's time and what became of it."""

    kind: str
    """`recorded`, `off` or `gap`."""
    start_us: int
    end_us: int
    reason: str | None
    """None where recorded."""


def coverage(
    recorded: Iterable[Recorded],
    spans: Iterable[Span],
    live: Recorded | None,
    configured_at_us: int,
    start_us: int,
    end_us: int,
    *,
    rest: str = UNKNOWN,
) -> list[Covered]:
    """What became of every moment of [start, end): seamless, neighbours differ. `end_us` is at most now.

    `live` is what is recorded and not yet in the index. Spans are cut out of recorded time (frames missing inside a
    segment); a later epoch covers an earlier one, but a `clock-step` covers nothing; what nobody speaks of is a gap
    with the reason `rest`, before `configured_at_us` it is off.
    """
    if start_us >= end_us:
        return []
    layers = [
        _Layer(start_us, min(configured_at_us, end_us), _NOT_CONFIGURED_RANK, "off", NOT_CONFIGURED),
        _Layer(start_us, end_us, _REST_RANK, "gap", rest),
    ]
    layers += [_Layer(r.start_us, r.end_us, (r.epoch, 0), "recorded", None) for r in recorded]
    if live is not None:
        layers.append(_Layer(live.start_us, live.end_us, (live.epoch, 0), "recorded", None))
    layers += [
        _Layer(s.start_us, end_us if s.end_us is None else s.end_us, _rank_of(s), s.kind.value, s.reason) for s in spans
    ]
    return _flattened([layer for layer in layers if layer.start_us < layer.end_us], start_us, end_us)


def unrecorded_us(recorded: Iterable[Recorded], spans: Iterable[Span], epoch: int, start_us: int, end_us: int) -> int:
    """How much of [start, end), as it was in one epoch, is not in what was recorded."""
    told = [span for span in spans if span.epoch == epoch]
    covered = coverage([r for r in recorded if r.epoch == epoch], told, None, 0, start_us, end_us)
    return sum(span.end_us - span.start_us for span in covered if span.kind != "recorded")


@dataclass(frozen=True, slots=True)
class _Layer:
    start_us: int
    end_us: int
    rank: tuple[int, int]
    kind: str
    reason: str | None


_REST_RANK: Final = (-2, 0)
_CLOCK_STEP_RANK: Final = (-1, 0)
_NOT_CONFIGURED_RANK: Final = (-1, 1)


def _rank_of(span: Span) -> tuple[int, int]:
    return _CLOCK_STEP_RANK if span.reason == CLOCK_STEP else (span.epoch, 1)


def _flattened(layers: Sequence[_Layer], start_us: int, end_us: int) -> list[Covered]:
    """The topmost layer at every moment; one layer reaches over all of [start, end)."""
    begins = sorted(layers, key=lambda layer: layer.start_us)
    edges = sorted({start_us, *(layer.start_us for layer in layers), *(layer.end_us for layer in layers)})
    lying: list[tuple[tuple[int, int], int]] = []  # highest rank first; of equals the one that began last
    covered: list[Covered] = []
    begun = 0
    for at_us, next_us in pairwise(edges):
        while begun < len(begins) and begins[begun].start_us <= at_us:
            epoch, over = begins[begun].rank
            heapq.heappush(lying, ((-epoch, -over), -begun))
            begun += 1
        while lying and begins[-lying[0][1]].end_us <= at_us:
            heapq.heappop(lying)
        if at_us < start_us or at_us >= end_us:
            continue
        top = begins[-lying[0][1]]
        until_us = min(next_us, end_us)
        if covered and (covered[-1].kind, covered[-1].reason) == (top.kind, top.reason):
            covered[-1] = replace(covered[-1], end_us=until_us)
        else:
            covered.append(Covered(top.kind, at_us, until_us, top.reason))
    return covered


def _place(span: Span) -> tuple[int, int]:
    return span.epoch, span.start_us

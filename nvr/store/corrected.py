"""The archive as it would read had the host's clock been right: what runs were wrong by, applied to answers.

Rows, names and labels keep the times they were written with. A run that began while the host's clock was not
synchronised says by how much it was wrong once that is known (`Run.correction_us`); here segments are moved by as much.
What was not recorded belongs to no run, so a span's ends move with the runs at them.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import merge
from typing import Final

from nvr.store.ledger import CLOCK_STEP
from nvr.store.reader import Reader
from nvr.store.rows import Recorded, Run, Segment, SegmentState, Span
from nvr.units import US

_PAGE: Final = 1000
_SEAM_US: Final = 100_000  # a correction and the clocks it is made of are no better than a few milliseconds
_AROUND_US: Final = 86_400 * US  # of the runs before and after, that one of them is known
_FOREVER: Final = 1 << 62


class Corrected:
    """One camera's segments and spans, in corrected time; asked in corrected time as well."""

    def __init__(self, reader: Reader, camera: str) -> None:
        self._reader = reader
        self._camera = camera

    def corrections(self, start_us: int, end_us: int) -> dict[int, int]:
        """What runs that touch [start, end) were wrong by; a run that was right is not named."""
        return {run.number: run.correction_us for run in self._wrong(start_us, end_us)}

    def segments(self, start_us: int, end_us: int) -> Iterator[Segment]:
        """The segments that touch [start, end), by start; each page is a question of its own."""
        right = (one for one in self._pages(start_us, end_us) if not one.correction_us)
        wrong = [self._moved(run, start_us, end_us) for run in self._wrong(start_us, end_us)]
        return merge(right, *wrong, key=lambda one: one.row.start_us)

    def recorded_between(self, start_us: int, end_us: int) -> list[Recorded]:
        """The time that segments cover and that touches [start, end)."""
        if not self._wrong(start_us, end_us):
            return self._reader.recorded_between(self._camera, start_us, end_us)
        found = [
            Recorded(one.row.start_us, one.row.end_us, one.epoch)
            for one in self.segments(start_us, end_us)
            if one.row.state is not SegmentState.MISSING
        ]
        return _without_seams(found)

    def spans_between(self, start_us: int, end_us: int) -> list[Span]:
        """What was not recorded and touches [start, end), by start as it was written."""
        wrong = self._wrong(start_us, end_us)
        if not wrong:
            return self._reader.spans_between(self._camera, start_us, end_us)
        first_us = min(start_us, *(run.started_us for run in wrong)) - _AROUND_US
        last_us = max(end_us, *(run.ended_us or end_us for run in wrong)) + _AROUND_US
        spans = self._reader.spans_between(self._camera, first_us, last_us)
        moved = _moved_spans(spans, self._reader.runs_between(self._camera, first_us, last_us))
        return [span for span in moved if span.start_us < end_us and (span.end_us or _FOREVER) > start_us]

    def _wrong(self, start_us: int, end_us: int) -> list[Run]:
        found = self._reader.corrected_runs(self._camera, start_us, end_us)
        return [run for run in found if run.correction_us]

    def _moved(self, run: Run, start_us: int, end_us: int) -> Iterator[Segment]:
        by_us = run.correction_us
        for one in self._pages(start_us - by_us, end_us - by_us):
            if one.row.run == run.number:
                yield replace(
                    one, row=replace(one.row, start_us=one.row.start_us + by_us, end_us=one.row.end_us + by_us)
                )

    def _pages(self, start_us: int, end_us: int) -> Iterator[Segment]:
        page = self._reader.segments_between(self._camera, start_us, end_us, limit=_PAGE)
        while page:
            yield from page
            page = self._reader.segments_between(self._camera, start_us, end_us, after=page[-1].cursor, limit=_PAGE)


def _without_seams(recorded: list[Recorded]) -> list[Recorded]:
    """What ends a moment before the next begins reaches up to it: the moment is the correction's own error."""
    closed: list[Recorded] = []
    for one in sorted(recorded, key=lambda part: part.start_us):
        if closed and 0 < one.start_us - closed[-1].end_us < _SEAM_US:
            closed[-1] = replace(closed[-1], end_us=one.start_us)
        closed.append(one)
    return closed


def _moved_spans(spans: Sequence[Span], runs: Sequence[Run]) -> list[Span]:
    """Each span with its ends where the runs at them are now; what was no more than the correction itself is gone."""
    moved: list[Span] = []
    ended_us: int | None = None
    for epoch in sorted({span.epoch for span in spans} | {run.epoch for run in runs}):
        of_epoch = [run for run in runs if run.epoch == epoch]
        now = _moved_in_epoch([span for span in spans if span.epoch == epoch], of_epoch)
        if now and ended_us is not None and not any(run.started_us < now[0][0].start_us for run in of_epoch):
            # A clock that went back at boot cut the time since then in two: it is one span again.
            was, start_us, end_us = now[0]
            now[0] = (was, min(start_us, ended_us), end_us)
        for span, start_us, end_us in now:
            least_us = _SEAM_US if span.reason == CLOCK_STEP else 1
            if end_us is None or end_us - start_us >= least_us:
                moved.append(replace(span, start_us=start_us, end_us=end_us))
        ends = [run.ended_us + run.correction_us for run in of_epoch if run.ended_us is not None]
        ends += [end_us for _, _, end_us in now if end_us is not None]
        ended_us = max([*ends, *([] if ended_us is None else [ended_us])], default=None)
    return moved


def _moved_in_epoch(spans: Sequence[Span], runs: Sequence[Run]) -> list[tuple[Span, int, int | None]]:
    """Spans and runs of one epoch, by start: each span with its new ends.

    A span begins where a run ended and ends where one begins, or a span; else the nearest run on that side counts.
    """
    begins = [run.started_us for run in runs]
    starts = [span.start_us + _before(runs, begins, span.start_us) for span in spans]
    moved: list[tuple[Span, int, int | None]] = []
    for at, (span, start_us) in enumerate(zip(spans, starts, strict=True)):
        if span.end_us is None:
            moved.append((span, start_us, None))
        elif at + 1 < len(spans) and spans[at + 1].start_us == span.end_us:
            moved.append((span, start_us, starts[at + 1]))
        else:
            moved.append((span, start_us, _new_end(span, span.end_us, runs, begins)))
    return moved


def _before(runs: Sequence[Run], begins: Sequence[int], at_us: int) -> int:
    """The correction of the last run that began before that moment, or else of the first one."""
    return runs[max(0, bisect_left(begins, at_us) - 1)].correction_us if runs else 0


def _new_end(span: Span, end_us: int, runs: Sequence[Run], begins: Sequence[int]) -> int:
    """Inside a run it moves with it; else with the run that begins next, before which it ends."""
    last = bisect_left(begins, span.start_us) - 1
    if last >= 0 and (runs[last].ended_us or _FOREVER) >= end_us:
        return end_us + runs[last].correction_us
    following = bisect_left(begins, end_us)
    return end_us + (runs[following].correction_us if following < len(runs) else _before(runs, begins, end_us))

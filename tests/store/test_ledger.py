"""Every moment is recorded, off or a gap: once, whatever is told in whatever order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.store.ledger import Covered, DropSpan, Ledger, PutSpan, SpanChange, coverage, unrecorded_us
from nvr.store.rows import Recorded, Span, SpanKind


class Rows:
    """What the index would hold after the changes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], Span] = {}

    def apply(self, changes: list[SpanChange]) -> None:
        for change in changes:
            key = (change.span.epoch, change.span.start_us)
            match change:
                case PutSpan(span):
                    self.rows[key] = span
                case DropSpan():
                    del self.rows[key]

    @property
    def spans(self) -> list[Span]:
        return [self.rows[key] for key in sorted(self.rows)]


def told(story: str) -> str:
    """A story such as `gap 10 lost; recording 20; missing 22 24 slow` and what the rows say after it."""
    ledger, rows = Ledger(), Rows()
    for sentence in story.split(";"):
        fact, *words = sentence.split()
        numbers = [int(word) for word in words if word.isdigit()]
        reasons = [word for word in words if not word.isdigit()]
        rows.apply(getattr(ledger, fact)(*numbers, *reasons))
    return ", ".join(
        f"{span.kind.value} {span.start_us}-{'' if span.end_us is None else span.end_us} {span.reason}"
        + (f" epoch {span.epoch}" if span.epoch else "")
        for span in rows.spans
    )


@pytest.mark.parametrize(
    ("story", "rows"),
    [
        ("recording 5", ""),
        ("gap 10 lost", "gap 10- lost"),
        ("gap 10 lost; recording 20", "gap 10-20 lost"),
        ("gap 10 lost; gap 15 lost; recording 20", "gap 10-20 lost"),
        ("gap 10 lost; gap 15 refused; recording 20", "gap 10-15 lost, gap 15-20 refused"),
        ("gap 10 lost; gap 10 refused", "gap 10- refused"),
        ("gap 10 lost; recording 10", ""),
        ("off 10 schedule; gap 15 lost; off 20 schedule", "off 10-15 schedule, gap 15-20 lost, off 20- schedule"),
        ("recording 5; missing 8 9 slow; gap 10 lost", "gap 8-9 slow, gap 10- lost"),
        ("recording 5; missing 8 12 slow; gap 10 lost", "gap 8-12 slow, gap 12- lost"),
        ("gap 10 lost; missing 5 15 failed", "gap 5-10 failed, gap 10- lost"),
        ("gap 10 lost; recording 20; missing 5 25 failed", "gap 5-10 failed, gap 10-20 lost, gap 20-25 failed"),
        ("gap 10 lost; recording 20; missing 12 18 failed", "gap 10-20 lost"),
        ("gap 10 lost; recording 20; gap 15 lost", "gap 10-20 lost, gap 20- lost"),
        ("gap 10 lost; recording 5; gap 7 lost", "gap 7- lost"),
        ("recording 5; clock_stepped 10 90", "gap 10-90 clock-step"),
        ("gap 10 lost; clock_stepped 20 90; recording 95", "gap 10-95 lost"),
        ("recording 5; clock_stepped 20 10; gap 15 lost", "gap 15- lost epoch 1"),
        ("gap 10 lost; clock_stepped 20 5; recording 8", "gap 10-20 lost, gap 5-8 lost epoch 1"),
    ],
)
def test_what_is_told_becomes_rows(story: str, rows: str) -> None:
    assert told(story) == rows


def test_a_late_fact_of_an_old_epoch_lands_in_that_epoch() -> None:
    ledger, rows = Ledger(), Rows()
    rows.apply(ledger.gap(10, "lost"))
    rows.apply(ledger.clock_stepped(20, 5))
    rows.apply(ledger.missing(2, 12, "failed", epoch=0))
    assert rows.spans == [
        Span(SpanKind.GAP, "failed", 2, 10, 0),
        Span(SpanKind.GAP, "lost", 10, 20, 0),
        Span(SpanKind.GAP, "lost", 5, None, 1),
    ]


def test_a_ledger_goes_on_from_its_rows() -> None:
    first, rows = Ledger(), Rows()
    for changes in (first.gap(10, "lost"), first.recording(20), first.gap(30, "stopped")):
        rows.apply(changes)
    second = Ledger(0, reversed(rows.spans))
    assert second.open == first.open
    rows.apply(second.missing(5, 40, "failed"))
    assert [(span.start_us, span.end_us) for span in rows.spans] == [(5, 10), (10, 20), (20, 30), (30, None)]


def test_a_fact_about_times_long_forgotten_changes_nothing() -> None:
    ledger, rows = Ledger(), Rows()
    for start in range(0, 10_000, 10):
        rows.apply(ledger.missing(start, start + 5, "lost"))
    before = rows.spans
    assert ledger.missing(0, 100, "failed") == []
    rows.apply(ledger.missing(9_994, 10_010, "failed"))
    assert rows.spans == [*before, Span(SpanKind.GAP, "failed", 9_995, 10_010)]


moments = st.integers(0, 60)
reasons = st.sampled_from(["lost", "refused", "slow"])
facts = st.one_of(
    st.tuples(st.just("recording"), moments),
    st.tuples(st.just("gap"), moments, reasons),
    st.tuples(st.just("off"), moments, reasons),
    st.tuples(st.just("missing"), moments, moments, reasons),
    st.tuples(st.just("clock_stepped"), moments, moments),
)


@given(st.lists(facts, max_size=25))
def test_rows_never_overlap_and_are_never_empty_in_any_order_of_facts(story: list[tuple[str, ...]]) -> None:
    ledger, rows = Ledger(), Rows()
    for fact, *rest in story:
        rows.apply(getattr(ledger, fact)(*rest))
        open_rows = [span for span in rows.spans if span.end_us is None]
        assert open_rows == ([] if ledger.open is None else [ledger.open])
        for span in rows.spans:
            assert span.end_us is None or span.start_us < span.end_us
        for one, other in pairwise(rows.spans):
            if one.epoch == other.epoch:
                assert one.end_us is not None
                assert one.end_us <= other.start_us


@given(st.lists(st.tuples(st.sampled_from(["recording", "gap", "off"]), st.integers(0, 9), reasons), max_size=20))
def test_facts_in_order_are_accounted_for_as_a_clerk_would_do_it_second_by_second(
    story: list[tuple[str, int, str]],
) -> None:
    ledger, rows, now = Ledger(), Rows(), 0
    clerk: list[tuple[str, str | None]] = []
    state: tuple[str, str | None] = ("recorded", None)
    segments = []
    for fact, wait, reason in story:
        if state[0] == "recorded" and wait:
            segments.append(Recorded(now, now + wait))
        clerk += [state] * wait
        now += wait
        rows.apply(ledger.recording(now) if fact == "recording" else getattr(ledger, fact)(now, reason))
        state = ("recorded", None) if fact == "recording" else (fact, reason)
    covered = coverage(segments, rows.spans, None, 0, 0, now)
    assert [(span.kind, span.reason) for span in covered for _ in range(span.start_us, span.end_us)] == clerk


spans = st.builds(
    lambda kind, reason, start, length, epoch: Span(
        kind, reason, start, None if length == 0 else start + length, epoch
    ),
    st.sampled_from(SpanKind),
    reasons,
    moments,
    st.integers(0, 20),
    st.integers(0, 2),
)
recorded = st.builds(
    lambda start, length, epoch: Recorded(start, start + length, epoch), moments, st.integers(1, 20), st.integers(0, 2)
)


@given(
    st.lists(recorded, max_size=12),
    st.lists(spans, max_size=12),
    st.none() | recorded,
    moments,
    moments,
    st.integers(1, 60),
)
def test_recorded_and_off_and_gaps_make_up_all_of_the_time_that_was_asked_for(
    segments: list[Recorded], gaps: list[Span], live: Recorded | None, configured: int, start: int, length: int
) -> None:
    covered = coverage(segments, gaps, live, configured, start, start + length)
    assert covered[0].start_us == start
    assert covered[-1].end_us == start + length
    assert sum(span.end_us - span.start_us for span in covered) == length
    for one, other in pairwise(covered):
        assert one.end_us == other.start_us
        assert (one.kind, one.reason) != (other.kind, other.reason)
    for span in covered:
        for at in range(span.start_us, span.end_us):
            assert (span.kind, span.reason) in _layers_on_top(segments, gaps, live, configured, at)


def _layers_on_top(
    segments: list[Recorded], gaps: list[Span], live: Recorded | None, configured: int, at: int
) -> set[tuple[str, str | None]]:
    """By looking at everything there is at one moment: the latest epoch, and in it a span over a segment."""
    here: list[tuple[tuple[int, int], str, str | None]] = [((-2, 0), "gap", "unknown")]
    if at < configured:
        here.append(((-1, 0), "off", "not-configured"))
    here += [
        ((segment.epoch, 0), "recorded", None)
        for segment in [*segments, *([live] if live else [])]
        if segment.start_us <= at < segment.end_us
    ]
    here += [
        ((span.epoch, 1), span.kind.value, span.reason)
        for span in gaps
        if span.start_us <= at and (span.end_us is None or at < span.end_us)
    ]
    top = max(rank for rank, _, _ in here)
    return {(kind, reason) for rank, kind, reason in here if rank == top}


def test_an_hour_that_happens_twice_counts_once_and_as_the_later_says() -> None:
    segments = [Recorded(0, 100, 0), Recorded(60, 80, 1)]
    gaps = [Span(SpanKind.GAP, "lost", 80, None, 1)]
    assert coverage(segments, gaps, None, 0, 0, 120) == [
        Covered("recorded", 0, 80, None),
        Covered("gap", 80, 120, "lost"),
    ]


def test_a_clock_that_began_in_1970_turns_no_footage_into_a_gap() -> None:
    """Epoch 1 began at 0 with the machine; at 60 its clock was set to 300."""
    footage = [Recorded(100, 200, 0), Recorded(10, 60, 1), Recorded(300, 320, 1)]
    spans = [
        Span(SpanKind.GAP, "camera-unreachable", 120, 130, 0),
        Span(SpanKind.GAP, "service-stopped", 0, 10, 1),
        Span(SpanKind.GAP, "clock-step", 60, 300, 1),
    ]
    assert [(one.start_us, one.end_us, one.reason) for one in coverage(footage, spans, None, 90, 0, 320)] == [
        (0, 10, "service-stopped"),
        (10, 60, None),
        (60, 90, "not-configured"),
        (90, 100, "clock-step"),
        (100, 120, None),
        (120, 130, "camera-unreachable"),
        (130, 200, None),
        (200, 300, "clock-step"),
        (300, 320, None),
    ]


def test_what_nobody_speaks_of_is_an_unknown_gap_or_whatever_the_caller_knows() -> None:
    assert coverage([Recorded(5, 9)], [], None, 3, 0, 12) == [
        Covered("off", 0, 3, "not-configured"),
        Covered("gap", 3, 5, "unknown"),
        Covered("recorded", 5, 9, None),
        Covered("gap", 9, 12, "unknown"),
    ]
    assert coverage([], [], None, 0, 0, 12, rest="service-crashed") == [Covered("gap", 0, 12, "service-crashed")]
    assert coverage([], [], None, 0, 12, 12) == []


def test_what_is_missing_of_a_window_is_told_in_the_time_it_was_recorded_in() -> None:
    recorded = [Recorded(0, 40, 0), Recorded(50, 80, 0), Recorded(0, 1000, 1)]
    spans = [Span(SpanKind.GAP, "frames-missing", 10, 15, 0), Span(SpanKind.GAP, "disk-full", 60, None, 1)]
    assert unrecorded_us(recorded, spans, 0, 0, 100) == 5 + 10 + 20
    assert unrecorded_us(recorded, spans, 0, 20, 40) == 0
    assert unrecorded_us(recorded, spans, 1, 0, 100) == 40
    assert unrecorded_us([], [], 0, 10, 30) == 20
    assert unrecorded_us(recorded, spans, 0, 30, 30) == 0

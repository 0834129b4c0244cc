"""Answers in corrected time: what was recorded moves with its run, what was not moves with the runs around it."""

from fractions import Fraction

import pytest

from nvr.store.corrected import Corrected
from nvr.store.ledger import Ledger, SpanChange, coverage
from nvr.store.rows import Run, SegmentRow
from nvr.units import US
from tests.store.house import NOW, House

HOUR = 3600
YEARS = -4 * 365 * 24 * HOUR


class Story:
    """A camera's life in true seconds from NOW on, on a host whose clock is wrong at times."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.ledger = Ledger()
        self.wrong_s = 0.0
        """What the host's clock says beyond what is true."""
        self._runs = 0

    def clock(self, true_s: float) -> int:
        return NOW + round((true_s + self.wrong_s) * US)

    def recorded(self, begin_s: float, end_s: float, *, corrected: bool = True, pieces: int = 3) -> int:
        """A run of that time; its correction is what the clock was wrong by, found with an error of a millisecond."""
        self._runs += 1
        number, house = self._runs, self.house
        self._settle(self.ledger.recording(self.clock(begin_s)))
        house.index.begin_run(
            Run(
                *(number, house.camera_id, "gate", self.clock(begin_s), "connected", self.ledger.epoch, "stream"),
                utc_anchor_us=self.clock(begin_s),
                host_synchronised=not self.wrong_s,
            )
        )
        each_s = (end_s - begin_s) / pieces
        for seq in range(pieces):
            start_us, end_us = self.clock(begin_s + seq * each_s), self.clock(begin_s + (seq + 1) * each_s)
            house.index.add_segment(
                SegmentRow(
                    *(house.camera_id, number, seq, house.volume_id, start_us, end_us, 1, 1),
                    time_base=Fraction(1, 90_000),
                    first_tick=0,
                    duration_ticks=1,
                )
            )
        house.index.end_run(number, self.clock(end_s), "whatever").result()
        if self.wrong_s and corrected:
            house.index.correct_run(number, round(-self.wrong_s * US) - 1000).result()
        return number

    def gap(self, at_s: float, reason: str) -> None:
        self._settle(self.ledger.gap(self.clock(at_s), reason))

    def step(self, at_s: float, wrong_s: float) -> None:
        """The clock is set."""
        before_us = self.clock(at_s)
        self.wrong_s = wrong_s
        self._settle(self.ledger.clock_stepped(before_us, self.clock(at_s)))

    def told(self, end_s: float, *, corrected: bool = True) -> str:
        """The coverage from NOW until then, in whole seconds."""
        reader, (start_us, end_us) = self.house.reader, (NOW, NOW + round(end_s * US))
        within = Corrected(reader, "gate")
        recorded = within.recorded_between(start_us, end_us)
        spans = within.spans_between(start_us, end_us)
        if not corrected:
            recorded, spans = reader.recorded_between("gate", NOW, end_us), reader.spans_between("gate", NOW, end_us)
        covered = coverage(recorded, spans, None, NOW, start_us, end_us)
        assert (covered[0].start_us, covered[-1].end_us) == (start_us, end_us)
        return ", ".join(
            " ".join(filter(None, (one.reason or one.kind, f"{(one.end_us - one.start_us) / US:.0f}")))
            for one in covered
            if one.end_us - one.start_us > 5000
        )

    def starts(self, begin_s: float, end_s: float) -> list[float]:
        found = Corrected(self.house.reader, "gate").segments(self.clock(begin_s), self.clock(end_s))
        return [round((one.row.start_us - NOW) / US, 1) for one in found]

    def _settle(self, changes: list[SpanChange]) -> None:
        self.house.index.put_spans(self.house.camera_id, changes).result()


@pytest.fixture
def story(house: House) -> Story:
    return Story(house)


def test_without_a_correction_the_answers_are_the_same(story: Story) -> None:
    story.recorded(0, 60)
    story.gap(60, "camera-stalled")
    story.recorded(90, 120)
    assert story.told(120) == story.told(120, corrected=False) == "recorded 60, camera-stalled 30, recorded 30"
    assert story.starts(0, 120) == [0, 20, 40, 90, 100, 110]


def test_a_run_moves_to_where_it_belongs_and_is_found_there_by_its_true_time(story: Story) -> None:
    story.wrong_s = -HOUR
    story.recorded(10, 40)
    story.step(40, 0)
    story.recorded(40, 100)
    assert story.starts(0, 100) == [10, 20, 30, 40, 60, 80]
    assert story.starts(0, 15) == [10]
    assert story.starts(-HOUR, -1) == []
    assert story.told(100) == "unknown 10, recorded 90"
    [first, *_] = Corrected(story.house.reader, "gate").segments(NOW, NOW + 100 * US)
    assert first.path.startswith("gate/2026/11/23/20261123T1303")


def test_a_host_that_boots_years_back_leaves_one_gap_and_no_step(story: Story) -> None:
    story.recorded(0, 100)
    story.gap(100, "service-stopped")
    story.step(100, YEARS)  # what recovery finds at the start: the clock is behind everything
    story.recorded(300, 400)
    story.gap(400, "camera-stalled")
    story.recorded(410, 500)
    story.step(500, 0)
    story.recorded(500, 600)
    assert story.told(600) == "recorded 100, service-stopped 200, recorded 100, camera-stalled 10, recorded 190"
    # As written, the years between are one step.
    assert "clock-step" in story.told(600, corrected=False)


def test_a_clock_that_was_ahead_goes_back_and_nothing_overlaps(story: Story) -> None:
    story.recorded(0, 100)
    story.gap(100, "service-stopped")
    story.wrong_s = 30
    story.recorded(200, 300)
    story.step(300, 0)
    story.recorded(300, 400)
    assert story.told(400) == "recorded 100, service-stopped 100, recorded 200"
    assert story.starts(0, 400)[3:6] == [200, pytest.approx(233.3, abs=0.1), pytest.approx(266.7, abs=0.1)]


def test_a_step_while_nothing_is_recorded_shortens_the_gap(story: Story) -> None:
    story.wrong_s = -50
    story.recorded(0, 100)
    story.gap(100, "camera-unreachable")
    story.step(150, 0)
    story.recorded(200, 300)
    assert story.told(300) == "recorded 100, camera-unreachable 100, recorded 100"


@pytest.mark.parametrize("wrong_s", [40.0, -40.0])
def test_gaps_that_follow_each_other_stay_seamless(story: Story, wrong_s: float) -> None:
    story.recorded(0, 100)
    story.gap(100, "service-stopped")
    story.wrong_s = wrong_s
    story.gap(150, "camera-unreachable")
    story.recorded(260, 300)
    told = story.told(300)
    assert told.startswith("recorded 100, service-stopped")
    assert told.endswith("recorded 40")
    assert "unknown" not in told


def test_frames_missing_inside_a_run_move_with_it(story: Story) -> None:
    story.wrong_s = -500
    number = story.recorded(0, 90, pieces=1)
    missing = story.ledger.missing(story.clock(30), story.clock(40), "frames-missing")
    story.house.index.put_spans(story.house.camera_id, missing).result()
    assert story.told(90) == "recorded 30, frames-missing 10, recorded 50"
    run = story.house.reader.run(number)
    assert run is not None
    assert run.host_synchronised is False


def test_a_real_step_of_a_clock_that_was_right_stays_what_it_is(story: Story) -> None:
    story.recorded(0, 100)
    story.step(100, 20)
    story.recorded(100, 200, corrected=False)
    assert story.told(220) == "recorded 100, clock-step 20, recorded 100"


def test_many_segments_come_page_by_page_in_order(story: Story) -> None:
    story.wrong_s = -10_000
    story.recorded(0, 2500, pieces=1300)
    story.step(2500, 0)
    story.recorded(2500, 2600, pieces=50)
    starts = story.starts(0, 3000)
    assert len(starts) == 1350
    assert starts == sorted(starts)

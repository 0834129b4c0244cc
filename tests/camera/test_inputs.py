"""What is news: reports of several links, answers, the log, and a clock of the test's own."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.camera.inputs import Happened, How, Inputs, Known
from nvr.jvc.alarm import AlarmReport, Change, Pin
from nvr.jvc.log import Told
from nvr.units import US, UtcMicros

_PINS = {"m": Pin.MAKE, "b": Pin.BREAK, "?": Pin.UNKNOWN}
_HOWS = {How.REPORTED: "", How.UNCONNECTED: "?", How.LOGGED: "!", How.EXPIRED: "~"}
EPOCH_S = 1_700_000_000


def report(text: str) -> AlarmReport:
    """`mb+`: input 1 make, input 2 break, motion; `mb-`: no motion."""
    return AlarmReport(_PINS[text[0]], _PINS[text[1]], text[2] == "+")


def said(happened: list[Happened]) -> str:
    """`m1` reported, `m1?` found, `m1!` logged, `v0~` expired, `(v1)` motion that goes on."""
    told = (f"{one.change}{_HOWS[one.how]}" for one in happened)
    return " ".join(f"({word})" if one.again else word for word, one in zip(told, happened, strict=True)) or "-"


class World:
    """Inputs, and the test's own clock: `at` seconds since the story began."""

    def __init__(self, *, hold_s: float | None = 5.0, known: str | None = None, known_at: float = 0.0) -> None:
        hold_us = None if hold_s is None else round(hold_s * US)
        before = None if known is None else Known(report(known), self.utc_us(known_at))
        self.inputs = Inputs(motion_hold_us=hold_us, known=before)

    def utc_us(self, at: float) -> UtcMicros:
        return UtcMicros(round((EPOCH_S + at) * US))

    def mono_us(self, at: float) -> int:
        return round((500 + at) * US)

    def opened(self, *links: int, at: float = 0.0) -> "World":
        for link in links:
            self.inputs.opened(link, self.mono_us(at))
        return self

    def lost(self, *links: int, at: float, awaits_log: bool = False) -> None:
        for link in links:
            self.inputs.closed(link)
        self.inputs.lost(self.utc_us(at), awaits_log=awaits_log)

    def happened(self, link: int, text: str, at: float = 1.0) -> list[Happened]:
        return self.inputs.report(link, report(text), self.utc_us(at), self.mono_us(at))

    def told(self, link: int, text: str, at: float = 1.0) -> str:
        return said(self.happened(link, text, at))

    def answered(self, text: str, asked: float, at: float) -> str:
        pin1, pin2 = _PINS[text[0]], _PINS[text[1]]
        return said(self.inputs.answered(pin1, pin2, self.mono_us(asked), self.utc_us(at)))

    def logged(self, story: str, start: float, end: float) -> list[Happened]:
        """`m1@12.5 b1@14`: what the log tells of an outage from start to end."""
        told = [Told(Change(change), self.utc_us(float(at))) for change, at in (w.split("@") for w in story.split())]
        return self.inputs.logged(told, [(self.utc_us(start), self.utc_us(end))])

    def tick(self, at: float) -> list[Happened]:
        return self.inputs.tick(self.utc_us(at), self.mono_us(at))


def test_the_first_report_sets_the_state_and_raises_nothing() -> None:
    world = World().opened(1)
    assert world.told(1, "mb-") == "-"
    assert world.inputs.state == report("mb-")


def test_reports_are_turned_into_what_happened() -> None:
    world = World().opened(1)
    stories = ["bb-", "mb-", "mm-", "bm+", "bm+", "bm-", "bb-", "bb-"]
    assert [world.told(1, text) for text in stories] == ["-", "m1", "m2", "b1 v1", "(v1)", "v0", "b2", "-"]


def test_a_change_is_dated_by_its_report() -> None:
    world = World().opened(1)
    world.told(1, "bb-", at=1)
    (made,) = world.happened(1, "mb-", at=7.25)
    assert (made.utc_us, made.since_us, made.how) == (world.utc_us(7.25), world.utc_us(7.25), How.REPORTED)


def test_motion_in_the_first_report_is_motion() -> None:
    assert World().opened(1).told(1, "mb+") == "v1"


def test_two_links_that_say_the_same_count_once_whoever_is_first() -> None:
    world = World().opened(1, 2)
    story = [(1, "bb-"), (2, "bb-"), (2, "mb-"), (1, "mb-"), (1, "bb-"), (2, "bb-"), (2, "bb+"), (2, "bb+")]
    story += [(1, "bb+"), (1, "bb+"), (1, "bb-"), (2, "bb-")]
    told = [world.told(link, text) for link, text in story]
    assert told == ["-", "-", "m1", "-", "b1", "-", "v1", "(v1)", "-", "-", "v0", "-"]
    assert world.inputs.repeated == 6


def test_a_link_that_lags_tells_nothing_old_anew() -> None:
    world = World().opened(1, 2)
    assert [world.told(1, text) for text in ("bb-", "mb-", "bb-", "bm-")] == ["-", "m1", "b1", "m2"]
    assert [world.told(2, text) for text in ("bb-", "mb-", "bb-", "bm-", "bb-")] == ["-", "-", "-", "-", "b2"]
    assert world.inputs.state == report("bb-")


def test_the_state_said_to_a_new_link_is_no_news() -> None:
    world = World().opened(1)
    world.told(1, "mb+")
    world.opened(2)
    assert world.told(2, "mb+") == "-"
    assert [world.told(2, "mb+"), world.told(1, "mb+")] == ["(v1)", "-"]
    assert [world.told(1, "bb+"), world.told(2, "bb+")] == ["b1 (v1)", "-"]


def test_a_new_link_that_knows_more_than_the_old_one_is_believed() -> None:
    world = World().opened(1)
    world.told(1, "bb-")
    world.opened(2)
    assert world.told(2, "mb-") == "m1"
    assert world.told(1, "mb-") == "-"


def test_a_change_that_only_the_old_link_has_heard_of_when_the_new_one_opens_is_not_lost() -> None:
    world = World().opened(1)
    world.told(1, "bb-")
    world.told(1, "mb-")
    world.opened(2)
    assert [world.told(2, "bb-"), world.told(1, "bb-"), world.told(2, "mb-"), world.told(1, "mb-")] == [
        "b1",
        "-",
        "m1",
        "-",
    ]


def test_what_a_silent_link_would_have_said_long_ago_hides_nothing() -> None:
    world = World().opened(1, 2)
    assert [world.told(1, text, at) for text, at in (("bb-", 1), ("mb-", 2), ("bb-", 3))] == ["-", "m1", "b1"]
    assert world.told(2, "mb-", at=60) == "m1"


_BLOCKS = st.lists(st.sampled_from(["bb-", "mb-", "bm-", "mm-", "bb+", "mb+"]), min_size=1, max_size=10)


@given(_BLOCKS, st.randoms(use_true_random=False))
def test_whatever_the_order_in_which_two_links_bring_them_the_same_reports_tell_the_same(
    blocks: list[str], dice: random.Random
) -> None:
    alone = World(hold_s=None).opened(1)
    together = World(hold_s=None).opened(1, 2)
    expected = [one for text in blocks for one in alone.happened(1, text)]
    turns = [1] * len(blocks) + [2] * len(blocks)
    dice.shuffle(turns)
    brought = {1: iter(blocks), 2: iter(blocks)}
    happened = [one for link in turns for one in together.happened(link, next(brought[link]))]
    assert said(happened) == said(expected)
    assert together.inputs.state == alone.inputs.state
    assert together.inputs.repeated == len(blocks)


def test_a_change_while_unconnected_is_dated_so() -> None:
    world = World().opened(1)
    world.told(1, "bb-")
    world.lost(1, at=10)
    world.opened(2)
    (found,) = world.happened(2, "mb-", at=30)
    assert (found.change, found.how) == (Change.M1, How.UNCONNECTED)
    assert (found.since_us, found.utc_us) == (world.utc_us(10), world.utc_us(30))
    assert world.told(2, "bb-", at=31) == "b1"


def test_the_same_state_after_an_outage_is_no_change() -> None:
    world = World().opened(1)
    world.told(1, "mb-")
    world.lost(1, at=10)
    assert world.opened(2).told(2, "mb-") == "-"


def test_motion_that_is_still_said_after_an_outage_is_no_news_and_the_next_report_of_it_is() -> None:
    world = World(hold_s=None).opened(1)
    assert world.told(1, "bb+", at=1) == "v1"
    world.lost(1, at=10)
    world.opened(2, at=20)
    assert world.told(2, "bb+", at=20) == "-"
    assert world.told(2, "bb+", at=60) == "(v1)"


def test_the_state_known_before_a_restart_counts() -> None:
    world = World(known="bb-", known_at=-3600)
    (found,) = world.opened(1).happened(1, "mb-", at=1)
    assert (found.change, found.how, found.since_us) == (Change.M1, How.UNCONNECTED, world.utc_us(-3600))


def test_what_is_known_at_the_end_is_what_the_next_inputs_need() -> None:
    world = World()
    assert world.inputs.known(world.utc_us(0)) is None
    world.opened(1)
    for at, text in ((1, "bb-"), (2, "mb-"), (90, "bb-"), (99, "bm-")):
        world.told(1, text, at=at)
    known = world.inputs.known(world.utc_us(100))
    assert known is not None
    assert (known.state, known.at_us) == (report("bm-"), world.utc_us(100))
    assert known.heard == (Told(Change.M2, world.utc_us(99)),), "what a log may tell again, no more"
    world.lost(1, at=101)
    later = world.inputs.known(world.utc_us(500))
    assert later is not None
    assert later.at_us == world.utc_us(101), "since then nobody listened"


def test_what_was_heard_just_before_a_restart_is_not_told_again_by_the_log() -> None:
    world = World().opened(1)
    for at, text in ((1, "bb-"), (99, "bm-")):
        world.told(1, text, at=at)
    before = world.inputs.known(world.utc_us(100))
    world.inputs = Inputs(motion_hold_us=None, known=before)
    assert said(world.logged("m2@99 b2@103 m2@104", 100, 160)) == "b2! m2!"


def test_several_attempts_in_vain_leave_the_outage_as_long_as_it_is() -> None:
    world = World().opened(1)
    world.told(1, "bb-")
    world.lost(1, at=10)
    world.opened(2).lost(2, at=20)
    (found,) = world.opened(3).happened(3, "mb-", at=30)
    assert found.since_us == world.utc_us(10)


def test_motion_that_ended_while_unconnected_ended_then() -> None:
    world = World(hold_s=None).opened(1)
    world.told(1, "bb+")
    world.lost(1, at=10)
    assert world.opened(2).told(2, "bb-", at=30) == "v0?"


def test_an_answer_sets_what_was_not_known_and_raises_nothing() -> None:
    world = World().opened(1)
    assert world.answered("mb", asked=0, at=1) == "-"
    assert world.inputs.state == report("mb-")
    assert world.told(1, "bb-", at=2) == "b1"


def test_an_answer_after_an_outage_finds_what_changed() -> None:
    world = World().opened(1)
    world.told(1, "bb-")
    world.lost(1, at=10)
    world.opened(2)
    assert world.answered("bm", asked=11, at=12) == "m2?"
    assert world.told(2, "bm+", at=13) == "v1"


def test_an_answer_older_than_a_report_is_not_believed() -> None:
    world = World().opened(1)
    world.told(1, "bb-", at=0)
    world.told(1, "mb-", at=2.5)
    assert world.answered("bb", asked=2, at=3) == "-"
    assert world.inputs.state == report("mb-")


def test_an_answer_that_comes_when_nobody_listens_any_more_waits_for_the_next() -> None:
    world = World().opened(1)
    world.told(1, "bb-")
    world.lost(1, at=10)
    assert world.answered("mb", asked=11, at=12) == "-"
    assert world.opened(2).told(2, "mb-", at=20) == "m1?"


def test_an_input_that_is_not_said_stays_as_it_was_known() -> None:
    world = World().opened(1)
    assert [world.told(1, text) for text in ("mb-", "?b-", "?m-")] == ["-", "-", "m2"]
    assert world.answered("??", asked=5, at=6) == "-"
    assert world.inputs.state == report("mm-")


def test_motion_expires_where_the_camera_never_says_that_it_ends() -> None:
    world = World(hold_s=5).opened(1)
    world.told(1, "bb+", at=1)
    world.told(1, "bb+", at=4)
    assert world.inputs.next_us() == world.mono_us(9)
    assert world.tick(at=8.9) == []
    (ended,) = world.tick(at=9.5)
    assert (ended.change, ended.how, ended.utc_us) == (Change.V0, How.EXPIRED, world.utc_us(9))
    assert world.tick(at=20) == []
    assert world.told(1, "bb+", at=30) == "v1"


def test_motion_lasts_as_long_as_it_lasts_where_the_camera_says_when_it_ends() -> None:
    world = World(hold_s=5).opened(1)
    assert [world.told(1, "bb-", at=0), world.told(1, "bb+", at=1), world.told(1, "bb-", at=3)] == ["-", "v1", "v0"]
    assert world.inputs.says_motion_end
    assert world.told(1, "bb+", at=10) == "v1"
    assert world.tick(at=1000) == []
    assert world.told(1, "bb-", at=1001) == "v0"


def test_a_camera_whose_end_of_motion_comes_too_late_once_is_believed_from_then_on() -> None:
    world = World(hold_s=5).opened(1)
    assert [world.told(1, "bb-", at=0), world.told(1, "bb+", at=1)] == ["-", "v1"]
    assert said(world.tick(at=6)) == "v0~"
    assert world.told(1, "bb-", at=60) == "-"
    assert world.told(1, "bb+", at=70) == "v1"
    assert world.tick(at=700) == []


def test_no_motion_beside_a_change_of_an_input_proves_nothing_of_later_ends() -> None:
    world = World(hold_s=5).opened(1)
    assert [world.told(1, text) for text in ("bb-", "bb+", "mb-")] == ["-", "v1", "m1 v0"]
    assert not world.inputs.says_motion_end


def test_the_state_said_to_a_new_link_proves_nothing_of_ends() -> None:
    world = World(hold_s=5).opened(1)
    world.told(1, "bb-")
    world.told(1, "bb+")
    world.opened(2)
    assert world.told(2, "bb-") == "v0"
    assert not world.inputs.says_motion_end


def test_motion_whose_end_may_have_been_missed_expires_after_the_next_link_opens() -> None:
    world = World(hold_s=5).opened(1)
    for text in ("bb-", "bb+", "bb-", "bb+"):
        world.told(1, text, at=1)
    world.lost(1, at=10)
    assert world.tick(at=50) == []
    world.opened(2, at=60)
    assert world.tick(at=64) == []
    assert said(world.tick(at=65)) == "v0~"


def test_motion_known_before_a_restart_expires_only_after_a_link_opens() -> None:
    world = World(hold_s=5, known="bb+", known_at=-100)
    assert world.inputs.next_us() is None
    assert world.tick(at=50) == []
    world.opened(1, at=60)
    assert said(world.tick(at=65)) == "v0~"


def test_motion_is_left_to_others_where_it_is_not_to_expire() -> None:
    world = World(hold_s=None).opened(1)
    world.told(1, "bb+")
    assert (world.inputs.next_us(), world.tick(at=10_000)) == (None, [])


def outage(*, at: float = 10.0, back: float = 30.0, now: str = "mb-") -> World:
    """An input changed while no link stood, and the log will be asked; what is found waits for it."""
    world = World().opened(1)
    world.told(1, "bb-", at=1)
    world.lost(1, at=at, awaits_log=True)
    assert world.opened(2).told(2, now, at=back) == "-"
    return world


def test_the_log_knows_when_what_was_found_happened() -> None:
    world = outage()
    told = world.logged("m1@17", start=10, end=30)
    assert said(told) == "m1!"
    assert told[0].utc_us == told[0].since_us == world.utc_us(17)


def test_the_log_knows_of_changes_that_left_no_trace() -> None:
    assert said(outage().logged("m2@12 b2@13 m1@14 b1@15 m1@16 v1@20 v1@22", start=10, end=30)) == (
        "m2! b2! m1! b1! m1! v1! (v1!)"
    )


def test_what_the_log_does_not_know_is_told_as_it_was_found() -> None:
    assert said(outage().logged("v1@20", start=10, end=30)) == "v1! m1?"


def test_what_was_heard_is_not_told_again_by_the_log() -> None:
    world = World().opened(1)
    world.told(1, "bb-", at=1)
    world.told(1, "mb-", at=9)
    world.lost(1, at=10, awaits_log=True)
    world.opened(2).told(2, "mb-", at=30)
    world.told(2, "mb+", at=31)
    assert said(world.logged("m1@5 m1@8 b1@12 m1@13 v1@30 v1@31.5", start=10, end=30)) == "b1! m1!"


def test_each_report_of_an_input_stands_for_one_line_of_the_log() -> None:
    world = World().opened(1)
    for text, at in (("bb-", 1), ("mb-", 9)):
        world.told(1, text, at)
    world.lost(1, at=10, awaits_log=True)
    world.opened(2).told(2, "mb-", at=30)
    assert said(world.logged("m1@9 b1@10 m1@11", start=10, end=30)) == "b1! m1!"


def test_what_lies_outside_the_outage_is_not_the_outages() -> None:
    world = outage(now="bb-")
    assert said(world.logged("m1@2 b1@3 m1@12 b1@13 m1@40", start=10, end=30)) == "m1! b1!"


def test_a_change_of_an_input_does_not_overtake_what_was_found() -> None:
    world = outage()
    found, live = world.happened(2, "bb-", at=31)
    assert said([found, live]) == "m1? b1"
    assert said(world.logged("m1@14 b1@15 m1@16", start=10, end=30)) == "m1! b1!"


def test_motion_does_not_wait_for_the_log() -> None:
    world = outage()
    assert world.told(2, "mb+", at=31) == "v1"
    assert said(world.logged("m1@14", start=10, end=30)) == "m1!"


def test_what_waits_for_a_log_that_cannot_be_read_is_told() -> None:
    world = outage()
    assert said(world.inputs.no_log()) == "m1?"
    assert said(world.inputs.no_log()) == "-"
    assert world.told(2, "bb-", at=40) == "b1"


def test_a_second_outage_before_the_log_was_read_keeps_what_was_found() -> None:
    world = outage()
    world.lost(2, at=31, awaits_log=True)
    assert world.opened(3).told(3, "bb-", at=40) == "-"
    spans = [(world.utc_us(10), world.utc_us(30)), (world.utc_us(31), world.utc_us(40))]
    told = [Told(Change.M1, world.utc_us(15)), Told(Change.B1, world.utc_us(35))]
    assert said(world.inputs.logged(told, spans)) == "m1! b1!"


@pytest.mark.parametrize("count", [1000])
def test_nothing_grows_without_end(count: int) -> None:
    world = World(hold_s=None).opened(1, 2)
    for number in range(count):
        world.told(1, "mb+" if number % 2 else "bb+", at=number / 100)
    assert len(world.inputs.heard) <= 256
    assert len(world.inputs._reports) <= 256

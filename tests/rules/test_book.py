"""What a camera's changes mean to its rules."""

from datetime import UTC, datetime, timedelta

import pytest

from nvr.jvc.alarm import Change
from nvr.record.clips import Call
from nvr.rules.book import Again, Alarm, Answer, Over, Rule, RuleBook
from nvr.rules.schedule import During, Schedule
from nvr.rules.words import parse_trigger
from nvr.units import US

EVENING_US = (datetime(2026, 11, 23, 17, 59, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
    microseconds=1
)
"""A Monday, a minute before 18:00 UTC."""
NIGHTS = During("nights", Schedule.parse("UTC", ["18:00-06:00"]))
DAYS = During("nights", NIGHTS.schedule, outside=True)


def rule(
    *when: str,
    name: str = "door",
    during: During | None = None,
    debounce: float = 0,
    interval: float = 0,
    hold: float = 5,
    while_active: bool = False,
) -> Rule:
    return Rule(
        name,
        tuple(map(parse_trigger, when)),
        during=during,
        debounce_us=round(debounce * US),
        min_interval_us=round(interval * US),
        motion_hold_us=round(hold * US),
        while_active=while_active,
    )


def said(answer: Answer) -> str:
    at = f"{(answer.at_us - EVENING_US) / US:g}"
    match answer:
        case Alarm():
            return f"{answer.rule.name} {answer.trigger}@{at}{' lasting' if answer.lasts else ''}"
        case Again():
            return f"{answer.rule.name} again {answer.trigger}@{at}{' lasting' if answer.lasts else ''}"
        case Over():
            return f"{answer.rule.name} over@{at}: {answer.why}"


def told(rules: Rule | list[Rule], story: str) -> str:
    """`0 m1; 3; 5 b1 v1; +3600` : a report at 0, a tick at 3, one report with two changes at 5, a step of the clock.

    Steps move UTC and leave the monotonic clock alone. The answer says of each alarm when it was by UTC, in seconds.
    """
    book = RuleBook(rules if isinstance(rules, list) else [rules])
    step_us = 0
    answers: list[Answer] = []
    for sentence in story.split(";"):
        at, *changes = sentence.split()
        if at[0] in "+-":
            step_us += int(at) * US
            continue
        at_us = round(float(at) * US)
        utc_us, mono_us = EVENING_US + at_us + step_us, 7 * US + at_us
        answers += book.answers(list(map(Change, changes)), utc_us, mono_us) if changes else book.tick(utc_us, mono_us)
    return ", ".join(map(said, answers))


# ---- triggers


def test_a_single_trigger_is_an_alarm_each_time() -> None:
    assert told(rule("m1"), "0 m1; 1 b1; 2 m1; 3 m2; 4 v1") == "door m1@0, door m1@2"


def test_any_word_of_when_is_enough() -> None:
    assert told(rule("m1", "b1", "v1"), "0 m1; 1 b1; 2 v1") == "door m1@0, door b1@1, door v1@2"


def test_every_rule_answers_for_itself() -> None:
    rules = [rule("m1"), rule("m1", "m2", name="gate"), rule("v1", name="yard")]
    assert told(rules, "0 m1; 1 m2") == "door m1@0, gate m1@0, gate m2@1"


def test_motion_is_an_alarm_when_it_begins_and_not_with_each_report_of_it() -> None:
    assert told(rule("v1"), "0 v1; 3 v1; 6 v1; 20 v1") == "door v1@0, door v1@20"


@pytest.mark.parametrize(
    ("story", "alarms"),
    [
        ("0 m1; 10 b2", "door m1(10)b2@10"),
        ("0 m1; 10.001 b2", ""),
        ("0 b2; 1 m1", ""),
        ("0 m1; 2 b1; 5 b2", "door m1(10)b2@5"),
        ("0 m1; 20 m2; 25 b1; 26 m1; 27 b2", "door m1(10)b2@27"),
        ("0 m1; 3 b2; 4 m2; 5 b2; 6 m2; 14 b2", "door m1(10)b2@3, door m1(10)b2@5"),
        ("0 b2", ""),
    ],
)
def test_a_combination_is_its_second_within_the_time_after_its_first(story: str, alarms: str) -> None:
    assert told(rule("m1(10)b2"), story) == alarms


def test_two_changes_of_one_report_came_together_whichever_is_named_first() -> None:
    assert told(rule("m1(10)b2"), "0 m1 b2") == "door m1(10)b2@0"
    assert told(rule("b2(10)m1"), "0 m1 b2") == "door b2(10)m1@0"


def test_a_pulse_of_one_input_can_be_a_combination() -> None:
    assert told(rule("m1(2)b1"), "0 m1; 1 b1; 10 m1; 15 b1") == "door m1(2)b1@1"


def test_the_time_between_two_inputs_is_not_that_of_the_wall_clock() -> None:
    assert told(rule("m1(10)b2"), "0 m1; +3600; 5 b2") == "door m1(10)b2@3605"
    assert told(rule("m1(10)b2"), "0 m1; -3600; 15 b2") == ""


# ---- debounce


def test_a_change_shorter_than_the_debounce_is_none() -> None:
    assert told(rule("m1", debounce=2), "0 m1; 1 b1; 5") == ""


def test_a_change_that_lasts_is_an_alarm_of_the_moment_it_began() -> None:
    assert told(rule("m1", debounce=2), "0 m1; 1; 2.5; 9") == "door m1@0"


def test_a_flicker_does_not_end_a_state() -> None:
    assert told(rule("m1", debounce=2, while_active=True), "0 m1; 3; 10 b1; 11 m1; 20 b1; 30") == (
        "door m1@0 lasting, door over@20: input 1 broke"
    )


def test_a_step_of_the_clock_neither_shortens_nor_stretches_a_debounce() -> None:
    assert told(rule("m1", debounce=5), "0 m1; +3600; 3; 4 b1; 9") == ""
    assert told(rule("m1", debounce=5), "0 m1; -3600; 5") == "door m1@0"


# ---- minimum interval


def test_within_the_interval_there_is_one_alarm_and_the_clip_goes_on() -> None:
    assert told(rule("m1", interval=60), "0 m1; 1 b1; 30 m1; 31 b1; 59.9 m1; 60 b1; 61 m1") == (
        "door m1@0, door again m1@30, door again m1@59.9, door m1@61"
    )


def test_a_step_of_the_clock_does_not_swallow_an_alarm() -> None:
    assert told(rule("m1", interval=60), "0 m1; 1 b1; -3600; 61 m1") == "door m1@0, door m1@-3539"
    assert told(rule("m1", interval=60), "0 m1; 1 b1; +3600; 59 m1") == "door m1@0, door again m1@3659"


def test_a_state_that_outlasts_the_interval_is_an_alarm_when_it_is_over() -> None:
    assert told(rule("m1", interval=60, while_active=True), "0 m1; 1 b1; 50 m1; 61; 100 b1") == (
        "door m1@0 lasting, door over@1: input 1 broke, door again m1@50 lasting, "
        "door m1@60 lasting, door over@100: input 1 broke"
    )


def test_a_state_that_ends_within_the_interval_is_not() -> None:
    assert told(rule("m1", interval=60, while_active=True), "0 m1; 1 b1; 50 m1; 55 b1; 61") == (
        "door m1@0 lasting, door over@1: input 1 broke, door again m1@50 lasting, door over@55: input 1 broke"
    )


def test_what_is_kept_back_is_not_raised_outside_the_schedule() -> None:
    kept = rule("m1", interval=30, during=DAYS, while_active=True)
    assert told(kept, "30 m1; 31 b1; 50 m1; 70; 90") == (
        "door m1@30 lasting, door over@31: input 1 broke, door again m1@50 lasting, "
        "door over@70: the schedule '!nights' is over"
    )


# ---- states


def test_a_clip_is_kept_until_its_input_changes_back() -> None:
    assert told(rule("m1", while_active=True), "0 m1; 500; 900 b1") == "door m1@0 lasting, door over@900: input 1 broke"
    assert told(rule("b2", while_active=True), "0 b2; 9 m2") == "door b2@0 lasting, door over@9: input 2 made"


def test_motion_is_kept_until_the_camera_ends_it_or_for_the_hold_after_its_last_report() -> None:
    held = rule("v1", hold=5, while_active=True)
    assert told(held, "0 v1; 4 v1; 6 v0") == "door v1@0 lasting, door over@6: motion ended"
    assert told(held, "0 v1; 4 v1; 8 v1; 12.9; 14") == "door v1@0 lasting, door over@13: motion ended"


def test_with_several_states_the_last_one_ends_it() -> None:
    assert told(rule("m1", "m2", while_active=True), "0 m1; 5 m2; 9 b1; 12 b2") == (
        "door m1@0 lasting, door m2@5 lasting, door over@12: input 2 broke"
    )


def test_a_combination_lasts_as_long_as_its_second() -> None:
    assert told(rule("m1(10)b2", while_active=True), "0 m1; 3 b2; 5 b1; 8 m2") == (
        "door m1(10)b2@3 lasting, door over@8: input 2 made"
    )


def test_both_directions_of_one_input_follow_each_other() -> None:
    assert told(rule("m1", "b1", while_active=True), "0 m1; 5 b1") == (
        "door m1@0 lasting, door over@5: input 1 broke, door b1@5 lasting"
    )


# ---- schedules


def test_a_rule_is_silent_outside_its_schedule_which_is_asked_at_the_change() -> None:
    assert told(rule("m1", during=NIGHTS), "59 m1; 59.9 b1; 60 m1") == "door m1@60"
    assert told(rule("m1", during=DAYS), "59 m1; 59.9 b1; 60 m1") == "door m1@59"


def test_a_change_within_the_schedule_counts_though_it_has_lasted_only_after_it() -> None:
    assert told(rule("m1", during=DAYS, debounce=5), "58 m1; 63") == "door m1@58"
    assert told(rule("m1", during=NIGHTS, debounce=5), "58 m1; 63") == ""


def test_a_state_is_kept_no_longer_than_its_schedule() -> None:
    assert told(rule("m1", during=DAYS, while_active=True), "30 m1; 59; 60; 99 b1") == (
        "door m1@30 lasting, door over@60: the schedule '!nights' is over"
    )


def test_a_clock_that_steps_into_the_schedule_puts_the_rule_in_force() -> None:
    assert told(rule("m1", during=NIGHTS), "0 m1; 1 b1; +3600; 2 m1") == "door m1@3602"
    assert told(rule("m1", during=NIGHTS), "70 m1; 71 b1; -3600; 72 m1") == "door m1@70"


# ---- manual alarms, and what the rest of the house asks


def test_a_manual_alarm_is_one_at_any_time() -> None:
    manual = Rule("manual", (), pre_us=3 * US, post_us=9 * US, while_active=False)
    (alarm,) = RuleBook([], manual).manual(EVENING_US, "seen on the screen")
    assert isinstance(alarm, Alarm)
    assert (alarm.trigger, alarm.source, alarm.note, alarm.lasts) == ("manual", "manual", "seen on the screen", False)
    assert alarm.call == Call("manual", "manual", EVENING_US, 3 * US, 9 * US, lasts=False)


def test_an_alarm_says_what_it_asks_of_the_clips() -> None:
    (alarm,) = RuleBook([rule("m1", while_active=True)]).answers([Change.M1], EVENING_US, 0)
    assert isinstance(alarm, Alarm)
    assert alarm.source == "input-1"
    assert alarm.call == Call("door", "m1", EVENING_US, 10 * US, 20 * US, lasts=True)


def test_the_book_says_when_time_alone_will_have_an_answer() -> None:
    book = RuleBook([rule("m1", debounce=2), rule("v1", name="yard", hold=5, interval=60, while_active=True)])
    assert book.due_us is None
    book.answers([Change.M1, Change.V1], EVENING_US, 100 * US)
    assert book.due_us == 102 * US
    assert len(book.tick(EVENING_US + 2 * US, 102 * US)) == 1
    assert book.due_us == 105 * US
    assert [said(answer) for answer in book.tick(EVENING_US + 5 * US, 105 * US)] == ["yard over@5: motion ended"]
    assert book.due_us is None
    book.answers([Change.V1], EVENING_US + 57 * US, 157 * US)
    assert book.due_us == 160 * US, "the alarm kept back by the interval comes before the end of the motion"
    assert [said(answer) for answer in book.tick(EVENING_US + 60 * US, 160 * US)] == ["yard v1@60 lasting"]
    assert book.due_us == 162 * US


def test_the_book_knows_whether_motion_is_needed_and_how_far_back_footage_is_wanted() -> None:
    assert RuleBook([rule("m1"), rule("v1")]).needs_motion
    assert not RuleBook([rule("m1", "m1(10)b2")]).needs_motion
    short = Rule("manual", (), pre_us=2 * US)
    assert RuleBook([], short).reach_us == 2 * US
    assert RuleBook([rule("m1"), rule("m2", debounce=3)], short).reach_us == 13 * US


def test_a_rule_heeds_all_cameras_or_those_it_names() -> None:
    assert rule("m1").heeds("gate")
    named = Rule("door", (parse_trigger("m1"),), cameras=("gate", "yard"))
    assert named.heeds("yard")
    assert not named.heeds("roof")


# ---- where the camera looks


def test_a_camera_that_was_turned_away_is_an_alarm_until_it_is_back() -> None:
    away = rule("moved", while_active=True)
    assert told(away, "0 back; 5 moved; 9; 20 back; 30 moved") == (
        "door moved@5 lasting, door over@20: it looks where it is expected again, door moved@30 lasting"
    )
    assert told(rule("m1", "moved"), "0 moved; 3 m1; 4 back") == "door moved@0, door m1@3"

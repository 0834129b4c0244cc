"""What would happen, and why, in sentences that are true."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.alarm import Change
from nvr.rules.book import Alarm, Rule, RuleBook
from nvr.rules.explain import Said, explain, parse_said
from nvr.rules.schedule import During, Schedule
from nvr.rules.words import parse_action, parse_trigger
from nvr.units import US

NIGHTS = During("nights", Schedule.parse("Europe/Berlin", ["mon-fri 18:00-06:00"]))
DOOR = Rule(
    "door",
    tuple(map(parse_trigger, ["m1", "v1", "m1(10)b2"])),
    cameras=("gate",),
    during=NIGHTS,
    debounce_us=2 * US,
    min_interval_us=60 * US,
    snapshot=True,
    do=tuple(map(parse_action, ["output 1 make 1500", "output 2 break", "preset 3", "day-night bw"])),
)


def at(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def told(rule: Rule, story: str, when: str = "2026-11-23T19:03+01:00", camera: str = "gate") -> str:
    (verdict,) = explain([rule], camera, [parse_said(word) for word in story.split()], at(when))
    return verdict.text


def test_an_alarm_is_explained_from_trigger_to_action() -> None:
    assert told(DOOR, "m1") == (
        "rule 'door': alarm\n"
        "  m1 (input 1 makes) is one of its triggers (m1, v1, m1(10)b2)\n"
        "  m1(10)b2 waits now: b2 within 10 s would set it off\n"
        "  its schedule is 'nights': Mon 2026-11-23 19:03 CET in Europe/Berlin is inside 'nights', "
        "until Tue 2026-11-24 06:00 CET, so it is in force\n"
        "  a change counts once it has lasted 2 s, and the alarm is at its beginning\n"
        "  it raises at most one alarm in 60 s; this supposes that none went before\n"
        "  it keeps footage from 10 s before the alarm to 20 s after input 1 breaks, and a snapshot\n"
        "  it does at the camera: make output 1 for 1500 ms; break output 2, and leave it so; go to preset 3; "
        "set day-night to bw"
    )


def test_outside_its_schedule_a_rule_does_nothing_and_says_until_when() -> None:
    assert told(Rule("yard", (parse_trigger("v1"),), during=NIGHTS), "v1", "2026-11-23T12:00+01:00") == (
        "rule 'yard': nothing\n"
        "  v1 (motion is seen) is one of its triggers (v1)\n"
        "  its schedule is 'nights': Mon 2026-11-23 12:00 CET in Europe/Berlin is outside 'nights', "
        "until Mon 2026-11-23 18:00 CET, so it is not in force"
    )


def test_the_time_outside_a_schedule_is_explained_as_such() -> None:
    outside = Rule("yard", (parse_trigger("v1"),), during=During("nights", NIGHTS.schedule, outside=True))
    assert "its schedule is '!nights': Mon 2026-11-23 12:00 CET in Europe/Berlin is outside 'nights'" in told(
        outside, "v1", "2026-11-23T12:00+01:00"
    )
    assert told(outside, "v1", "2026-11-23T12:00+01:00").startswith("rule 'yard': alarm\n")


def test_another_input_and_another_camera_are_said_to_be_so() -> None:
    assert told(Rule("yard", (parse_trigger("v1"),)), "m2") == (
        "rule 'yard': nothing\n  m2 is none of its triggers (v1)\n  it is in force at all times"
    )
    assert told(DOOR, "m1", camera="roof") == "rule 'door': nothing\n  it is for gate, not for roof"


def test_a_combination_is_explained_by_what_it_lacks() -> None:
    pair = Rule("pair", (parse_trigger("m1(10)b2"),), while_active=False)
    assert told(pair, "m1 b2+3").startswith("rule 'pair': alarm\n  m1(10)b2: b2 came within 10 s after m1\n")
    assert told(pair, "m1 b2+11").startswith("rule 'pair': nothing\n  m1(10)b2 needs m1 at most 10 s before b2\n")
    assert told(pair, "b2").startswith("rule 'pair': nothing\n  m1(10)b2 needs m1 at most 10 s before b2\n")
    assert "  it keeps footage from 10 s before the alarm to 20 s after it" in told(pair, "m1 b2+3").splitlines()


def test_motion_is_kept_until_no_more_is_reported() -> None:
    assert "to 20 s after motion ends (no report of it for 5 s)" in told(DOOR, "v1")


def test_what_was_said_is_read_with_its_delay() -> None:
    assert parse_said("m1") == Said(Change.M1)
    assert parse_said("b2+3") == Said(Change.B2, 3 * US)
    assert parse_said("v1+0.5") == Said(Change.V1, US // 2)
    assert [str(parse_said(word)) for word in ("m1", "b2+3", "v1+0.5")] == ["m1", "b2+3", "v1+0.5"]


@pytest.mark.parametrize("text", ["m3", "v0", "m1+", "m1+-3", "m1 b2", "", "m1+99999"])
def test_what_cannot_have_been_said_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is '.*'; write m1, b1, m2, b2, v1, moved or back, and b2\+3 for a b2 three seconds later"
    ):
        parse_said(text)


_TRIGGERS = st.lists(
    st.sampled_from(["m1", "b1", "m2", "b2", "v1", "m1(10)b2", "b2(3)m2", "m1(2)b1"]), min_size=1, max_size=3
)
_STORIES = st.lists(
    st.tuples(st.sampled_from(["m1", "b1", "m2", "b2", "v1"]), st.integers(0, 20)), min_size=1, max_size=4
)


@given(
    when=_TRIGGERS,
    story=_STORIES,
    debounce_s=st.integers(0, 3),
    night=st.booleans(),
    while_active=st.booleans(),
)
def test_the_verdict_is_what_a_running_book_would_answer(
    when: list[str], story: list[tuple[str, int]], debounce_s: int, night: bool, while_active: bool
) -> None:
    rule = Rule(
        "any",
        tuple(map(parse_trigger, when)),
        during=NIGHTS,
        debounce_us=debounce_s * US,
        while_active=while_active,
    )
    begin_us = at("2026-11-23T19:03+01:00") if night else at("2026-11-23T12:00+01:00")
    said = [Said(Change(word), after_s * US) for word, after_s in story]
    (verdict,) = explain([rule], "gate", said, begin_us)

    book, alarms = RuleBook([rule]), []
    changes = sorted(said, key=lambda one: one.after_us)
    for quarter in range(4 * 30):
        now_us = quarter * US // 4
        due = [one.change for one in changes if now_us - US // 4 < one.after_us <= now_us]
        for change in due:
            alarms += book.answers([change], begin_us + now_us, now_us)
        alarms += book.tick(begin_us + now_us, now_us)
    raised = [alarm for alarm in alarms if isinstance(alarm, Alarm)]
    # A running book may go on to hear the end of a motion; that is no change anybody told of.
    assert [(alarm.trigger, alarm.at_us) for alarm in verdict.alarms] == [
        (alarm.trigger, alarm.at_us) for alarm in raised
    ]
    assert ("not in force" in verdict.text) is not night
    assert verdict.text.startswith(f"rule 'any': {'alarm' if raised else 'nothing'}")


def test_a_camera_that_was_turned_away_is_explained() -> None:
    away = Rule("away", (parse_trigger("moved"),))
    assert told(away, "moved") == (
        "rule 'away': alarm\n"
        "  moved (it has looked elsewhere than expected for too long) is one of its triggers (moved)\n"
        "  it is in force at all times\n"
        "  it keeps footage from 10 s before the alarm to 20 s after it looks where it is expected again"
    )
    assert told(away, "back").startswith("rule 'away': nothing\n")

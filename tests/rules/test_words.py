import re

import pytest

from nvr.jvc.alarm import Change
from nvr.rules.words import (
    Action,
    Combination,
    DayNight,
    GoToPreset,
    SetDayNight,
    SetOutput,
    Single,
    change_of,
    parse_action,
    parse_trigger,
    source_of,
)
from nvr.units import US


@pytest.mark.parametrize("word", ["m1", "b1", "m2", "b2", "v1", "moved"])
def test_each_change_that_the_camera_tells_is_a_trigger(word: str) -> None:
    assert parse_trigger(word) == Single(Change(word))


def test_two_inputs_make_a_combination_with_seconds_between_them() -> None:
    assert parse_trigger("m1(10)b2") == Combination(Change.M1, 10 * US, Change.B2)
    assert parse_trigger("b2(3600)m1") == Combination(Change.B2, 3600 * US, Change.M1)


def test_a_short_pulse_of_one_input_is_a_combination_too() -> None:
    assert parse_trigger("m1(5)b1") == Combination(Change.M1, 5 * US, Change.B1)


@pytest.mark.parametrize("word", ["m1", "v1", "m1(10)b2", "b1(1)m1"])
def test_a_trigger_is_written_as_it_was_read(word: str) -> None:
    assert str(parse_trigger(word)) == word


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("m1(5)m1", "has 'm1(5)m1', which names m1 twice; the two must differ"),
        ("v1(5)m1", "has 'v1(5)m1', but motion cannot be combined, only inputs can (m1, b1, m2, b2)"),
        ("m1(5)v1", "has 'm1(5)v1', but motion cannot be combined, only inputs can (m1, b1, m2, b2)"),
        ("m1(5)moved", "has 'm1(5)moved', but moved cannot be combined, only inputs can (m1, b1, m2, b2)"),
        ("back", "has 'back', which is the end of 'moved' and no alarm"),
        ("m1(0)b2", "has 'm1(0)b2', which must have whole seconds from 1 to 3600 in its brackets"),
        ("m1(3601)b2", "has 'm1(3601)b2', which must have whole seconds from 1 to 3600 in its brackets"),
        ("m1(1.5)b2", "has 'm1(1.5)b2', which must have whole seconds from 1 to 3600 in its brackets"),
        ("m1()b2", "has 'm1()b2', which must have whole seconds from 1 to 3600 in its brackets"),
        (
            "m1(5)m3",
            "has 'm1(5)m3', in which 'm3' is no input; combine two of m1, b1, m2, b2, such as m1(10)b2",
        ),
        ("m3", "has 'm3', which is no trigger; write m1, b1, m2, b2, v1, moved, or two of the inputs such as m1(10)b2"),
        ("", "has '', which is no trigger; write m1, b1, m2, b2, v1, moved, or two of the inputs such as m1(10)b2"),
        ("M1", "has 'M1'; write it in small letters, m1"),
        (
            "v0",
            "has 'v0', but the camera has no word for the end of motion; use v1 and motion_hold_seconds",
        ),
    ],
)
def test_a_wrong_trigger_is_refused_with_a_sentence_that_names_it(word: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as refused:
        parse_trigger(word)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("ncbws", "its infrared filter going off"),
        ("ncbwe", "its infrared filter going on"),
        ("efans", "its fan stopping"),
        ("camera.position(3).status", "its reaching a preset position"),
        ("i1500", "its own interval for periodic FTP"),
    ],
)
def test_a_trigger_that_only_the_camera_knows_is_refused_saying_which_it_is(word: str, what: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)) as refused:
        parse_trigger(word)
    assert str(refused.value) == (
        f"has '{word}', {what}, which only the camera itself knows: it tells nvr of its inputs and of motion alone"
    )


def test_a_refusal_repeats_no_more_than_the_beginning_of_a_long_word() -> None:
    with pytest.raises(ValueError, match="x" * 57 + r"\.\.\.'") as refused:
        parse_trigger("x" * 100_000)
    assert len(str(refused.value)) < 200


def test_the_second_of_two_sets_a_combination_off_and_names_its_source() -> None:
    assert change_of(parse_trigger("m1(10)b2")) is Change.B2
    assert [source_of(change_of(parse_trigger(word))) for word in ("m1", "b2", "v1", "moved", "m2(3)b1")] == [
        "input-1",
        "input-2",
        "motion",
        "position",
        "input-1",
    ]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("output 1 make 1500", SetOutput(1, make=True, for_ms=1500)),
        ("output 2 break", SetOutput(2, make=False)),
        ("output 2 break 0", SetOutput(2, make=False)),
        ("output 1 make 100", SetOutput(1, make=True, for_ms=100)),
        ("output  1  make  5000", SetOutput(1, make=True, for_ms=5000)),
        ("preset 0", GoToPreset(0)),
        ("preset 99", GoToPreset(99)),
        ("day-night bw", SetDayNight(DayNight.BW)),
        ("day-night autoM", SetDayNight(DayNight.AUTO_MIDDLE)),
    ],
)
def test_an_action_at_the_camera_is_read(text: str, action: Action) -> None:
    assert parse_action(text) == action
    assert parse_action(str(action)) == action


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("output 3 make", "but the camera has the outputs 1 and 2"),
        ("output 1 make 50", "which must have 0 for staying so, or 100 to 5000 milliseconds"),
        ("output 1 make 5001", "which must have 0 for staying so, or 100 to 5000 milliseconds"),
        ("output 1 make -5", "which must have 0 for staying so, or 100 to 5000 milliseconds"),
        ("output 1 open", 'which is no action; write "output 1 make 1500", "preset 3" or "day-night bw"'),
        ("output 1 make 100 200", 'which is no action; write "output 1 make 1500", "preset 3" or "day-night bw"'),
        ("preset 100", "which must have a preset from 0 to 99"),
        ("preset home", "which must have a preset from 0 to 99"),
        ("day-night dark", "which must name one of color, bw, autoL, autoM, autoH"),
        ("siren", 'which is no action; write "output 1 make 1500", "preset 3" or "day-night bw"'),
        ("", 'which is no action; write "output 1 make 1500", "preset 3" or "day-night bw"'),
    ],
)
def test_a_wrong_action_is_refused_with_a_sentence_that_names_it(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as refused:
        parse_action(text)
    assert str(refused.value) == f"has {text!r}, {why}"

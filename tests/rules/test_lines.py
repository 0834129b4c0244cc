"""What of an input counts, whenever it is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.alarm import Change
from nvr.rules.lines import Line, Moment


def moment(at: int) -> Moment:
    """UTC and monotonic run side by side, a thousand apart."""
    return Moment(at + 1000, at)


def told(line: Line, story: str) -> str:
    """`3 m1; 5; 9 b1` is a make at 3, a question at 5 and a break at 9; the answer is what counted, and since when."""
    said = []
    for sentence in story.split(";"):
        at, *changes = sentence.split()
        flips = line.settle(int(at))
        for change in changes:
            line.hear(Change(change), moment(int(at)))
        flips += line.settle(int(at))
        assert all(flip.at.utc_us == flip.at.mono_us + 1000 for flip in flips)
        said += [f"{flip.change}@{flip.at.mono_us}" for flip in flips]
    return " ".join(said)


def pin(debounce: int = 0) -> Line:
    return Line(Change.M1, debounce)


def motion(hold: int, debounce: int = 0) -> Line:
    return Line(Change.V1, debounce, hold)


@pytest.mark.parametrize(
    ("line", "story", "counted"),
    [
        (pin(), "3 m1; 5 b1", "m1@3 b1@5"),
        (pin(), "3 b1; 5 m1", "b1@3 m1@5"),
        (pin(), "3 m1; 4 m1; 5 m2; 6 v1", "m1@3"),
        # A change that does not last is none, and neither is the way back from it.
        (pin(10), "0 m1; 9 b1; 50", ""),
        (pin(10), "0 m1; 10", "m1@0"),
        (pin(10), "0 m1; 30 b1; 35 m1; 60 b1; 70", "m1@0 b1@60"),
        # Asked late it counts all the same, and in order.
        (pin(10), "0 m1; 15 b1; 30", "m1@0 b1@15"),
        # Motion ends by itself, or by the camera's word.
        (motion(5), "0 v1; 4; 5; 9", "v1@0 v0@5"),
        (motion(5), "0 v1; 4 v1; 8 v1; 20", "v1@0 v0@13"),
        (motion(5), "0 v1; 2 v0; 20", "v1@0 v0@2"),
        (motion(5), "0 v0; 1 v1; 20", "v1@1 v0@6"),
        # A hold that ended before the next report makes that one a new motion, however late it is asked.
        (motion(5), "0 v1; 7 v1; 20", "v1@0 v0@5 v1@7 v0@12"),
        (motion(5, debounce=3), "0 v1; 20", "v1@0 v0@5"),
        (motion(5, debounce=3), "0 v1; 2 v0; 20", ""),
        (motion(5, debounce=8), "0 v1; 20", ""),
        (motion(5, debounce=8), "0 v1; 4 v1; 8 v1; 30", "v1@0 v0@13"),
    ],
)
def test_a_change_counts_once_it_has_lasted(line: Line, story: str, counted: str) -> None:
    assert told(line, story) == counted


_CHANGES = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["m1", "b1"])), max_size=12).map(sorted)


@given(changes=_CHANGES, debounce=st.integers(0, 20), asked=st.sets(st.integers(0, 100), max_size=40))
def test_how_often_it_is_asked_does_not_change_what_counts(
    changes: list[tuple[int, str]], debounce: int, asked: set[int]
) -> None:
    story = [f"{at} {change}" for at, change in changes]
    often = sorted([*story, *map(str, asked)], key=lambda sentence: int(sentence.split()[0]))
    assert told(pin(debounce), "; ".join([*story, "200"])) == told(pin(debounce), "; ".join([*often, "200"]))


@given(
    reports=st.lists(st.integers(0, 60), max_size=12).map(sorted),
    debounce=st.integers(0, 20),
    hold=st.integers(1, 20),
    asked=st.sets(st.integers(0, 100), max_size=40),
)
def test_how_often_it_is_asked_does_not_change_what_counts_of_motion(
    reports: list[int], debounce: int, hold: int, asked: set[int]
) -> None:
    story = [f"{at} v1" for at in reports]
    often = sorted([*story, *map(str, asked)], key=lambda sentence: int(sentence.split()[0]))
    assert told(motion(hold, debounce), "; ".join([*story, "200"])) == told(
        motion(hold, debounce), "; ".join([*often, "200"])
    )


@given(changes=_CHANGES, debounce=st.integers(0, 20))
def test_asked_only_when_due_it_says_the_same_and_says_it_then(changes: list[tuple[int, str]], debounce: int) -> None:
    line, flips = pin(debounce), []
    for at, change in [*changes, (200, "")]:
        while (due := line.due_us) is not None and due <= at:
            settled = line.settle(due)
            assert settled, "it was due and had nothing to say"
            flips += settled
        if change:
            line.hear(Change(change), moment(at))
            flips += line.settle(at)
    assert line.due_us is None
    story = "; ".join([*(f"{at} {change}" for at, change in changes), "200"])
    assert " ".join(f"{flip.change}@{flip.at.mono_us}" for flip in flips) == told(pin(debounce), story)

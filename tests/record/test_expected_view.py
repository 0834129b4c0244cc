"""When a camera looks elsewhere than it should: in seconds, and in the hundredths that it tells."""

import pytest

from nvr.record.expected_view import Expected, ExpectedView
from nvr.units import US, PanTiltZoom

GATE: PanTiltZoom = (35_990, 500, 1_000)
YARD: PanTiltZoom = (9_000, 700, 1_000)
PLACES = {
    "gate": GATE,
    "gate+": (30, 540, 1_060),  # within a degree, through 0
    "gate++": (100, 500, 1_000),
    "yard": YARD,
    "?": None,
}
AT_GATE = Expected(pan=35_990, tilt=500, zoom=1_000, after_us=10 * US)
AT_THREE = Expected(preset=3, after_us=10 * US)


def told(view: ExpectedView, story: str) -> str:
    """`gate 20; (3) gate; yard 15; -60` : seconds of looking somewhere, a word with one picture, seconds unseen.

    The answer says at which second it turned.
    """
    now_s, said = 0, []
    for sentence in story.split(";"):
        words = sentence.split()
        if words[0].startswith("("):
            name = words[0][1:-1]
            view.hear(None if name == "NA" else int(name), PLACES[words[1]])
        elif words[0].startswith("-"):
            now_s += int(words[0][1:])
        else:
            for _ in range(int(words[1])):
                turn = view.look(PLACES[words[0]], now_s * US)
                said += [f"{turn.value}@{now_s}"] if turn is not None else []
                now_s += 1
    return " ".join(said)


@pytest.mark.parametrize(
    ("story", "turns"),
    [
        ("gate 60", "back@3"),
        ("gate 20; yard 60", "back@3 away@29"),
        ("yard 60; gate 60", "away@10 back@62"),
        ("gate 20; gate+ 60", "back@3"),
        ("gate 20; gate++ 60", "back@3 away@29"),
        # Moving is looking elsewhere too, and so is going from one wrong place to the next.
        ("gate 20; yard 5; gate++ 5; yard 5", "back@3 away@29"),
        # Short of it, nothing happened; a look at the gate in passing is no return, one that lasts is.
        ("gate 20; yard 9; gate 60", "back@3"),
        ("gate 20; yard 9; gate 2; yard 2", "back@3 away@31"),
        ("gate 20; yard 9; gate 4; yard 9; gate 9", "back@3"),
        ("gate 20; yard 15; gate 2; yard 9; gate 5", "back@3 away@29 back@48"),
        # Nobody knows where it looks: nothing is said, and nothing forgotten.
        ("gate 20; yard 8; ? 100; yard 9", "back@3 away@129"),
        ("? 100", ""),
    ],
)
def test_it_has_turned_away_once_it_looked_elsewhere_for_long_enough(story: str, turns: str) -> None:
    assert told(ExpectedView(AT_GATE), story) == turns


def test_time_in_which_nobody_sees_the_camera_does_not_count() -> None:
    assert told(ExpectedView(AT_GATE), "gate 20; yard 5; -300; yard 4; -300; yard 60") == "back@3 away@631"
    assert told(ExpectedView(AT_GATE), "yard 20; gate 2; -300; gate 20") == "away@10 back@325"


def test_of_a_position_only_what_is_given_counts() -> None:
    level = Expected(tilt=500, tolerance=50, after_us=10 * US)
    assert told(ExpectedView(level), "gate 9; gate+ 9; gate++ 9; yard 60") == "back@3 away@36"


@pytest.mark.parametrize(
    ("story", "turns"),
    [
        # The place of a preset is where the camera is when it names it twice; from there on the place decides.
        ("yard 5; (3) gate; (3) gate; gate 9; (NA) yard; yard 60", "back@7 away@23"),
        ("yard 1; (3) gate; (3) gate; gate 9; (NA) gate; gate 60", "back@3"),
        # Whoever goes on naming a preset that was left is not believed.
        ("yard 1; (3) gate; (3) gate; gate 9; (3) yard; (3) yard; yard 60", "back@3 away@19"),
        # One word while it comes to rest is not a place, nor is a torn one.
        ("yard 1; (3) gate++; (3) gate; (3) gate; gate 9; yard 60", "back@3 away@19"),
        ("yard 1; (3) yard; (NA) yard; yard 60", ""),
        # The name of another preset is enough to know that this is not the one.
        ("yard 1; (4) yard; yard 60", "away@10"),
        # The same preset saved at another place is learnt there, once it was left in between.
        ("yard 1; (3) gate; (3) gate; gate 9; (NA) yard; (3) yard; (3) yard; yard 60", "back@3"),
        # Without any name, ever, nothing is known.
        ("gate 30; yard 60", ""),
    ],
)
def test_a_preset_is_learnt_where_the_camera_names_it(story: str, turns: str) -> None:
    assert told(ExpectedView(AT_THREE), story) == turns


def test_the_place_of_a_preset_may_be_known_from_before() -> None:
    view = ExpectedView(AT_THREE, GATE)
    assert view.is_known
    assert told(view, "gate 9; (NA) yard; yard 60") == "back@3 away@18"
    assert not ExpectedView(AT_THREE).is_known
    assert ExpectedView(AT_GATE).is_known


def test_a_camera_that_never_tells_where_it_looks_is_watched_by_the_names_of_its_presets() -> None:
    assert told(ExpectedView(AT_THREE), "? 1; (3) ?; ? 9; (5) ?; ? 60") == "back@3 away@19"


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (AT_THREE, "at preset 3"),
        (AT_GATE, "at pan 359.90 tilt 0.00 zoom 10.00"),
        (Expected(tilt=0), "at tilt -5.00"),
    ],
)
def test_what_is_expected_is_said_in_degrees(expected: Expected, text: str) -> None:
    assert str(expected) == text

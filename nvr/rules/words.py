"""The words of a rule: triggers as the camera itself writes them, and actions at the camera.

Every refusal is a ValueError whose text goes on from the name of a key: "'rule[1].when' has 'm1(5)m1', which …".
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nvr.jvc.alarm import Change
from nvr.units import US

MANUAL_SOURCE: Final = "manual"
SAID: Final = {
    Change.M1: "input 1 made",
    Change.B1: "input 1 broke",
    Change.M2: "input 2 made",
    Change.B2: "input 2 broke",
    Change.V1: "motion was seen",
    Change.V0: "motion ended",
    Change.MOVED: "it looked elsewhere than expected",
    Change.BACK: "it looks where it is expected again",
}
"""What happened, for people."""

_LONGEST_S: Final = 3600  # an hour between two inputs is no longer one event; the guide names no limit, 100 at most
_INPUTS: Final = {Change.M1: 1, Change.B1: 1, Change.M2: 2, Change.B2: 2}
_SINGLE: Final = {change.value: change for change in (*_INPUTS, Change.V1, Change.MOVED)}
_COMBINED: Final = re.compile(r"([^()]*)\(([^()]*)\)([^()]*)")
_WRITE: Final = "write m1, b1, m2, b2, v1, moved, or two of the inputs such as m1(10)b2"

# Guide 6, application.event(n).trigger: these start the camera's own alarm actions and never reach the alarm port.
_ONLY_THE_CAMERA: Final = (
    (re.compile(r"ncbws"), "its infrared filter going off"),
    (re.compile(r"ncbwe"), "its infrared filter going on"),
    (re.compile(r"efans"), "its fan stopping"),
    (re.compile(r"camera\.position\(.*\)\.status"), "its reaching a preset position"),
    (re.compile(r"i\d+"), "its own interval for periodic FTP"),
)


@dataclass(frozen=True, slots=True)
class Single:
    """One change is enough."""

    change: Change

    def __str__(self) -> str:
        return self.change.value


@dataclass(frozen=True, slots=True)
class Combination:
    """`second`, at most `within_us` after `first`: the camera's m1(10)b2. Two changes of inputs, never the same."""

    first: Change
    within_us: int
    second: Change

    def __str__(self) -> str:
        return f"{self.first}({self.within_us // US}){self.second}"


Trigger = Single | Combination


def parse_trigger(word: str) -> Trigger:
    """Reads one word of `when`. Raises ValueError with a sentence's end.

    The same change twice is refused, as by the camera (guide 6); m1(5)b1 is a short pulse of one input, and is not.
    """
    if word in _SINGLE:
        return Single(_SINGLE[word])
    for pattern, what in _ONLY_THE_CAMERA:
        if pattern.fullmatch(word):
            raise ValueError(
                f"has {_shown(word)}, {what}, which only the camera itself knows: "
                "it tells nvr of its inputs and of motion alone"
            )
    combined = _COMBINED.fullmatch(word)
    if combined is not None:
        return _combination(word, *combined.groups())
    if word == Change.V0.value:
        raise ValueError("has 'v0', but the camera has no word for the end of motion; use v1 and motion_hold_seconds")
    if word == Change.BACK.value:
        raise ValueError("has 'back', which is the end of 'moved' and no alarm")
    if word.lower() in _SINGLE:
        raise ValueError(f"has {_shown(word)}; write it in small letters, {word.lower()}")
    raise ValueError(f"has {_shown(word)}, which is no trigger; {_WRITE}")


def source_of(change: Change) -> str:
    """Where a change comes from, as metrics and people name it."""
    if change in _INPUTS:
        return f"input-{_INPUTS[change]}"
    return "position" if change is Change.MOVED else "motion"


def change_of(trigger: Trigger) -> Change:
    """The change that sets it off: of two the second."""
    return trigger.change if isinstance(trigger, Single) else trigger.second


def _combination(word: str, first: str, seconds: str, second: str) -> Combination:
    for part in (first, second):
        if part in (Change.V1.value, Change.V0.value):
            raise ValueError(f"has {_shown(word)}, but motion cannot be combined, only inputs can (m1, b1, m2, b2)")
        if part in (Change.MOVED.value, Change.BACK.value):
            raise ValueError(f"has {_shown(word)}, but {part} cannot be combined, only inputs can (m1, b1, m2, b2)")
        if part not in _SINGLE:
            raise ValueError(
                f"has {_shown(word)}, in which {_shown(part)} is no input; combine two of m1, b1, m2, b2, "
                "such as m1(10)b2"
            )
    if first == second:
        raise ValueError(f"has {_shown(word)}, which names {first} twice; the two must differ")
    if not seconds.isascii() or not seconds.isdigit() or len(seconds) > 9 or not 1 <= int(seconds) <= _LONGEST_S:
        raise ValueError(f"has {_shown(word)}, which must have whole seconds from 1 to {_LONGEST_S} in its brackets")
    return Combination(_SINGLE[first], int(seconds) * US, _SINGLE[second])


def said_trigger(text: str) -> str:
    """A trigger's word, as an alarm and a clip keep it, for somebody who does not know the camera's own words."""
    if text == MANUAL_SOURCE:
        return "somebody asked for it"
    try:
        trigger = parse_trigger(text)
    except ValueError:
        return text  # of another version
    if isinstance(trigger, Combination):
        return f"{SAID[trigger.second]} at most {trigger.within_us // US} s after {SAID[trigger.first]}"
    return SAID[trigger.change]


# ---- actions --------------------------------------------------------------------------------------------------------


class DayNight(StrEnum):
    """camera.image.true_daynight (guide 6), in the camera's words."""

    COLOR = "color"
    BW = "bw"
    AUTO_LOW = "autoL"
    AUTO_MIDDLE = "autoM"
    AUTO_HIGH = "autoH"


@dataclass(frozen=True, slots=True)
class SetOutput:
    """Make or break an output pin; after `for_ms` the camera takes it back, with 0 it stays."""

    pin: int
    make: bool
    for_ms: int = 0

    def __str__(self) -> str:
        return f"output {self.pin} {'make' if self.make else 'break'}{f' {self.for_ms}' if self.for_ms else ''}"


@dataclass(frozen=True, slots=True)
class GoToPreset:
    """Move to a preset position; 0 is the home position."""

    number: int

    def __str__(self) -> str:
        return f"preset {self.number}"


@dataclass(frozen=True, slots=True)
class SetDayNight:
    """Set the camera to colour, to black and white, or to choose by brightness."""

    mode: DayNight

    def __str__(self) -> str:
        return f"day-night {self.mode}"


Action = SetOutput | GoToPreset | SetDayNight


def parse_action(text: str) -> Action:
    """Reads one entry of `do`, such as "output 1 make 1500". Raises ValueError with a sentence's end."""
    match text.split():
        case ["output", pin, ("make" | "break") as to, *time] if len(time) <= 1:
            return _output(text, pin, to == "make", *time)
        case ["preset", number]:
            return GoToPreset(_number(text, number, 99, "a preset from 0 to 99"))
        case ["day-night", mode]:
            return _day_night(text, mode)
        case _:
            raise ValueError(
                f'has {_shown(text)}, which is no action; write "output 1 make 1500", "preset 3" or "day-night bw"'
            )


def _output(text: str, pin: str, make: bool, milliseconds: str = "0") -> SetOutput:
    if pin not in ("1", "2"):
        raise ValueError(f"has {_shown(text)}, but the camera has the outputs 1 and 2")
    # Guide 6, peripheral.output_pin.pin(n).duration: 0, or 100 to 5000.
    time = _number(text, milliseconds, 5000, "0 for staying so, or 100 to 5000 milliseconds")
    if 0 < time < 100:
        raise ValueError(f"has {_shown(text)}, which must have 0 for staying so, or 100 to 5000 milliseconds")
    return SetOutput(int(pin), make, time)


def _day_night(text: str, mode: str) -> SetDayNight:
    try:
        return SetDayNight(DayNight(mode))
    except ValueError:
        known = ", ".join(one.value for one in DayNight)
        raise ValueError(f"has {_shown(text)}, which must name one of {known}") from None


def _number(text: str, digits: str, most: int, wanted: str) -> int:
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9 or int(digits) > most:
        raise ValueError(f"has {_shown(text)}, which must have {wanted}")
    return int(digits)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")

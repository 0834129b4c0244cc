"""Everything a camera can do wrong, by name. To make it misbehave in a new way, begin here.

A fault is said as `NAME[:ARG][@AFTER_SECONDS][+FOR_SECONDS]`. Some are events: they happen once, to every stream open
then, or again and again while `+FOR` lasts. The others are states: they hold until their time is over or they are
taken back. Told the time, in seconds of the monotonic clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Name(StrEnum):
    """What can be wrong; the value is the word on the command line."""

    STALL = "stall"
    """State: nothing is sent, connections stay open."""
    CUT_VOP = "cut-vop"
    """Event: a VOP is sent in part, then the link ends. ARG: `rst` for a reset instead of an orderly close."""
    CUT = "cut"
    """Event: the link ends between two VOPs. ARG: `rst`."""
    P_FIRST = "p-first"
    """State: new streams begin with a P-VOP."""
    VOL_CHANGE = "vol-change"
    """State: the VOL has another time resolution. ARG: the resolution."""
    CLOCK_OFFSET = "clock-offset"
    """State: the camera's clock is wrong by ARG seconds more."""
    CLOCK_DRIFT = "clock-drift"
    """State: the camera's clock and pace are fast by ARG parts per million more."""
    VOP_TIMES = "vop-times"
    """State: times of VOPs and GOVs are `constant` (ARG, the default) or `nonsense`."""
    NO_ANSWER = "no-answer"
    """State: requests for video are closed without an answer, as for an address that is restricted."""
    BUSY = "busy"
    """State: requests for video are answered 503."""
    SILENT = "silent"
    """State: requests for video are answered 200 and no data."""
    UNAUTHORIZED = "unauthorized"
    """State: requests for video are answered 401."""
    HTML = "html"
    """State: requests for video are answered 200 with a page of HTML."""
    GARBAGE = "garbage"
    """Event: ARG random bytes (1000) between two VOPs or parts."""
    CORRUPT = "corrupt"
    """Event: ARG random bytes (64) inside a VOP."""
    HUGE_LENGTH = "huge-length"
    """Event: a part says Content-Length 99999999999. Parts only."""
    NEGATIVE_LENGTH = "negative-length"
    """Event: a part says Content-Length -5. Parts only."""
    ENDLESS_HEAD = "endless-head"
    """State: the head of an answer to a request for video never ends."""
    ENDLESS_PART_HEAD = "endless-part-head"
    """Event: the head of a part never ends. Parts only."""
    SHORT_PART = "short-part"
    """Event: a part is shorter than it says; then the next one (ARG `next`) or the link's end (ARG `close`)."""
    SLOW = "slow"
    """State: the link takes ARG bytes a second."""
    REFUSE = "refuse"
    """State: nobody listens on the HTTP port; open connections go on."""
    DROP_FRAMES = "drop-frames"
    """State: the camera does not encode ARG (0 to 1, default 1) of its pictures."""
    LOSS = "loss"
    """State: ARG (0 to 1, default 0.02) of the multicast packets are lost."""
    REORDER = "reorder"
    """State: ARG (0 to 1, default 0.02) of the multicast packets come behind the next one."""
    DUPLICATE = "duplicate"
    """State: ARG (0 to 1, default 0.02) of the multicast packets come twice."""
    NO_API_ANSWER = "no-api-answer"
    """State: parameter requests are taken and never answered."""
    ALARM_CUT = "alarm-cut"
    """Event: all alarm links are closed. ARG: `rst`."""
    ALARM_REFUSE = "alarm-refuse"
    """State: nobody listens on the alarm port."""
    ALARM_SILENT = "alarm-silent"
    """State: changes of inputs and motion are not reported."""


EVENTS: Final = frozenset(
    {
        Name.CUT_VOP,
        Name.CUT,
        Name.GARBAGE,
        Name.CORRUPT,
        Name.HUGE_LENGTH,
        Name.NEGATIVE_LENGTH,
        Name.ENDLESS_PART_HEAD,
        Name.SHORT_PART,
        Name.ALARM_CUT,
    }
)

_DEFAULTS: Final = {
    Name.GARBAGE: "1000",
    Name.CORRUPT: "64",
    Name.VOL_CHANGE: "60000",
    Name.CLOCK_OFFSET: "5",
    Name.CLOCK_DRIFT: "100",
    Name.VOP_TIMES: "constant",
    Name.SHORT_PART: "next",
    Name.SLOW: "20000",
    Name.DROP_FRAMES: "1",
    Name.LOSS: "0.02",
    Name.REORDER: "0.02",
    Name.DUPLICATE: "0.02",
}
_NUMBERS: Final = {
    Name.GARBAGE: (1, 1_000_000),
    Name.CORRUPT: (1, 100_000),
    Name.VOL_CHANGE: (1, 65_535),
    Name.CLOCK_OFFSET: (-86_400 * 3650, 86_400 * 3650),
    Name.CLOCK_DRIFT: (-200_000, 200_000),
    Name.SLOW: (1, 100_000_000),
    Name.DROP_FRAMES: (0, 1),
    Name.LOSS: (0, 1),
    Name.REORDER: (0, 1),
    Name.DUPLICATE: (0, 1),
}
_WHOLE: Final = frozenset({Name.GARBAGE, Name.CORRUPT, Name.VOL_CHANGE, Name.SLOW})
_WORDS: Final = {
    Name.VOP_TIMES: ("constant", "nonsense"),
    Name.SHORT_PART: ("next", "close"),
    Name.CUT_VOP: ("", "rst"),
    Name.CUT: ("", "rst"),
    Name.ALARM_CUT: ("", "rst"),
}
_SAID: Final = re.compile(
    r"(?P<name>[a-z-]+)(?::(?P<argument>[^@+]*))?(?:@(?P<after>\d+(?:\.\d+)?))?(?:\+(?P<for>\d+(?:\.\d+)?))?"
)
_MOST_AT_ONCE: Final = 1_000
_NOTHING: Final[Mapping[Name, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    name: Name
    argument: str = ""
    after_s: float = 0.0
    for_s: float | None = None


def parse(text: str) -> Fault:
    """Reads `NAME[:ARG][@AFTER_SECONDS][+FOR_SECONDS]`; raises ValueError with what would be right."""
    match = _SAID.fullmatch(text)
    if match is None or match["name"] not in set(Name):
        raise ValueError(
            f"{text!r} is no fault: NAME[:ARG][@AFTER_SECONDS][+FOR_SECONDS], NAME one of {', '.join(Name)}"
        )
    name = Name(match["name"])
    argument = match["argument"] or _DEFAULTS.get(name, "")
    _check(name, argument)
    return Fault(name, argument, float(match["after"] or 0), float(match["for"]) if match["for"] else None)


class Faults:
    """The faults of one camera, and which of them hold now."""

    def __init__(self) -> None:
        self._spans: list[_Span] = []

    def add(self, fault: Fault, now_s: float) -> None:
        """Raises ValueError when there are absurdly many."""
        if len(self._spans) >= _MOST_AT_ONCE:
            raise ValueError(f"a camera has at most {_MOST_AT_ONCE} faults at once")
        start_s = now_s + fault.after_s
        end_s = None if fault.for_s is None else start_s + fault.for_s
        self._spans.append(_Span(fault.name, fault.argument, start_s, end_s))

    def clear(self, name: Name | None = None) -> None:
        """Takes back all faults of that name, or all."""
        self._spans = [span for span in self._spans if name is not None and span.name != name]

    def now(self, now_s: float) -> Mapping[Name, str]:
        """What holds at that moment, with its argument; of two with one name the later one counts."""
        spans = self._spans
        if not spans:
            return _NOTHING
        if any(span.end_s is not None and span.end_s <= now_s for span in spans):
            spans = self._spans = [span for span in spans if span.end_s is None or span.end_s > now_s]
        return {span.name: span.argument for span in spans if span.start_s <= now_s}

    def spend(self, name: Name, now_s: float) -> None:
        """An event has happened: it does not again, unless it was to last."""
        self._spans = [
            span for span in self._spans if span.name != name or span.end_s is not None or span.start_s > now_s
        ]

    def next_change_s(self, now_s: float) -> float | None:
        """When something begins or ends next; None: never."""
        moments = [m for span in self._spans for m in (span.start_s, span.end_s) if m is not None and m > now_s]
        return min(moments, default=None)


@dataclass(frozen=True, slots=True)
class _Span:
    name: Name
    argument: str
    start_s: float
    end_s: float | None


def _check(name: Name, argument: str) -> None:
    if name in _WORDS:
        if argument not in _WORDS[name]:
            raise ValueError(
                f"{name} takes {' or '.join(word or 'nothing' for word in _WORDS[name])}, not {argument!r}"
            )
    elif name in _NUMBERS:
        low, high = _NUMBERS[name]
        try:
            number = int(argument) if name in _WHOLE else float(argument)
        except ValueError:
            raise ValueError(f"{name} takes a number, not {argument!r}") from None
        if not low <= number <= high:
            raise ValueError(f"{name} takes {low} to {high}, not {argument}")
    elif argument:
        raise ValueError(f"{name} takes no argument, but {argument!r} was given")

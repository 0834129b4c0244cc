"""The lines of the alarm port (TCP 32040): guide 4, fact sheet 4.

The camera sends a block of three lines when an input changes or motion is seen: two inputs, then motion, which ends the
block. Whether it sends one at connect, says when motion ends, or repeats itself while it lasts is stated nowhere.
"""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from nvr.jvc.errors import ProtocolError

PORT: Final = 32040

_MAX_LINE: Final = 256  # the longest of the guide has 46 bytes
_PIN: Final = re.compile(rb"peripheral\.input_pin\.pin\(([12])\)\.status *= *(.*)", re.IGNORECASE)
_MOTION: Final = re.compile(rb"video\.input\(1\)\.detection\(motion\)\.status *= *(.*)", re.IGNORECASE)


class Pin(Enum):
    """The state of an alarm input."""

    MAKE = "make"
    BREAK = "break"
    UNKNOWN = "unknown"
    """Not said yet, or said in a word the guide does not have."""


class Change(StrEnum):
    """What happened, in the camera's own words (guide 6, application.event).

    Ours are V0, the end of motion, and what its lines never say but its pictures do: that it looks elsewhere than it is
    expected to, and that it is back.
    """

    M1 = "m1"
    B1 = "b1"
    M2 = "m2"
    B2 = "b2"
    V1 = "v1"
    V0 = "v0"
    MOVED = "moved"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """What the camera says of its inputs at one moment."""

    pin1: Pin
    pin2: Pin
    motion: bool


class AlarmFeed:
    """One connection's lines, out of any cut of their bytes. `known` is the last report of the connection before."""

    def __init__(self, known: AlarmReport | None = None) -> None:
        self.unknown_lines = 0
        """Lines that mean nothing here: other inputs, other models' reports, words the guide does not have."""
        self._pins = {1: known.pin1, 2: known.pin2} if known is not None else {1: Pin.UNKNOWN, 2: Pin.UNKNOWN}
        self._rest = b""
        self._said: set[int] = set()

    def feed(self, data: bytes | memoryview) -> list[AlarmReport]:
        """Takes the next bytes, gives out the reports they complete. Raises ProtocolError for a line without end."""
        *lines, self._rest = (self._rest + bytes(data)).split(b"\n")
        reports: list[AlarmReport] = []
        for line in lines:
            self._check_size(line)
            self._take_line(line.strip(), reports)
        self._check_size(self._rest)
        return reports

    @property
    def is_inside_block(self) -> bool:
        """Inputs were reported and the line that ends their block has not come."""
        return bool(self._said)

    def settle(self) -> list[AlarmReport]:
        """What has come of a block whose end stays away: for the owner to ask after a second of silence."""
        return [self._report(motion=False)] if self._said else []

    def _take_line(self, line: bytes, reports: list[AlarmReport]) -> None:
        if not line:
            # VN-E4 ends its blocks so (fact sheet 4); here it ends one that came without its motion line.
            reports.extend(self.settle())
        elif (pin := _PIN.fullmatch(line)) is not None:
            self._take_pin(int(pin[1]), pin[2].lower(), reports)
        elif (motion := _MOTION.fullmatch(line)) is not None:
            reports.append(self._report(motion=motion[1].lower() == b"on"))
        else:
            self.unknown_lines += 1

    def _take_pin(self, number: int, word: bytes, reports: list[AlarmReport]) -> None:
        if number in self._said:
            reports.extend(self.settle())
        self._said.add(number)
        if word == b"make":
            self._pins[number] = Pin.MAKE
        elif word == b"break":
            self._pins[number] = Pin.BREAK
        else:
            self.unknown_lines += 1

    def _report(self, *, motion: bool) -> AlarmReport:
        self._said.clear()
        return AlarmReport(self._pins[1], self._pins[2], motion)

    def _check_size(self, line: bytes) -> None:
        if len(line) > _MAX_LINE:
            raise ProtocolError(f"an alarm line of more than {_MAX_LINE} bytes")


def changes(before: AlarmReport | None, after: AlarmReport) -> list[Change]:
    """What happened between two reports; `before` is None where nothing is known yet.

    An input whose state was not known before has not changed, whatever it is now (fact sheet 4: what comes at connect
    is no alarm). V1 comes with every report of motion, since each renews it; V0 only where it was on before.
    """
    happened: list[Change] = []
    if before is not None:
        happened += _pin_changes(before.pin1, after.pin1, Change.M1, Change.B1)
        happened += _pin_changes(before.pin2, after.pin2, Change.M2, Change.B2)
    if after.motion:
        happened.append(Change.V1)
    elif before is not None and before.motion:
        happened.append(Change.V0)
    return happened


def _pin_changes(before: Pin, after: Pin, made: Change, broken: Change) -> list[Change]:
    if before is after or Pin.UNKNOWN in (before, after):
        return []
    return [made if after is Pin.MAKE else broken]

"""Heads of the parts of a server push: a delimiter, then headers with a size and where the camera looked.

Guide 1.4 and 2.1, fact sheet 1.3: JPEG and MPEG-4 come in the same parts.
"""

from dataclasses import dataclass
from typing import Final

from nvr.jvc.errors import ProtocolError
from nvr.jvc.http import excerpt
from nvr.jvc.types import Position

MAX_PART_HEAD: Final = 8 << 10  # the guide's has 125 bytes
MAX_PAN: Final = 35999  # this and the next two: guide 2.1
MAX_TILT: Final = 19000
MAX_ZOOM: Final = 9999

_MAX_BOUNDARY: Final = 70  # RFC 2046, 5.1.1
_DASH: Final = ord("-")


@dataclass(frozen=True, slots=True)
class PartHead:
    """One head, whole."""

    raw: bytes
    """From the delimiter (and line breaks before it) to the end of the empty line."""
    length: bytes | None
    """What Content-Length says; None where it is missing."""
    position: Position | None
    """None where the lines are missing, or not all of them numbers within the guide's ranges."""
    has_bad_position: bool
    """There are lines, and they say no position."""


class PartHeadParser:
    """Reads one head after the other, each of any look and over any number of calls."""

    def __init__(self) -> None:
        self.ended = False
        """The camera sent a closing delimiter: its stream is over."""
        self.carry = bytearray()
        """What has come of a head that is not whole yet."""
        self._boundary = b""

    def take(self, data: bytes | memoryview, at: int) -> tuple[int, PartHead | None]:
        """Takes what it can from `at` on: where the next byte is, and the head once it is whole.

        Raises ProtocolError. After the closing delimiter everything is taken.
        """
        carry = self.carry
        before = len(carry)
        carry += data[at : at + MAX_PART_HEAD + 1 - before]
        line_breaks = len(carry) - len(carry.lstrip(b"\r\n"))
        if line_breaks == len(carry) or line_breaks > 2:
            skipped = line_breaks if line_breaks == len(carry) else line_breaks - 2
            carry.clear()
            return at + skipped - before, None
        delimiter_end = self._check_delimiter(line_breaks)
        if self.ended:
            carry.clear()
            return len(data), None
        head_end = _end_of_lines(carry, delimiter_end)
        if head_end < 0:
            if len(carry) > MAX_PART_HEAD:
                raise ProtocolError(f"the head of a part is longer than {MAX_PART_HEAD} bytes")
            return at + len(carry) - before, None
        head = _read(bytes(carry[:head_end]), delimiter_end)
        carry.clear()
        return at + head_end - before, head

    def _check_delimiter(self, at: int) -> int:
        """Where the delimiter's line ends, -1 if it has not yet; notes the closing delimiter.

        The guide prints -foo and --foo for one boundary (fact sheet 1.3), so dashes in front do not count, and the
        first delimiter says what the others must be, whatever Content-Type says.
        """
        carry = self.carry
        if carry[at] != _DASH:
            raise ProtocolError(f"no delimiter where a part should begin: {excerpt(carry[at : at + 32])}")
        end = carry.find(b"\n", at)
        line = bytes(carry[at : end if end >= 0 else len(carry)]).strip()
        name = line.lstrip(b"-")
        if end < 0:
            self.ended = bool(self._boundary) and name == self._boundary + b"--"
            return -1
        closing = name == self._boundary + b"--" if self._boundary else name.endswith(b"--")
        name = name[:-2] if closing else name
        if not name or len(name) > _MAX_BOUNDARY:
            raise ProtocolError(f"a delimiter that is none: {excerpt(line)}")
        if self._boundary and name != self._boundary:
            raise ProtocolError(f"delimiter {excerpt(line)} in a stream of parts named {excerpt(self._boundary)}")
        self._boundary = name
        self.ended = closing
        return end


def _read(head: bytes, delimiter_end: int) -> PartHead:
    length: bytes | None = None
    pan = tilt = zoom = None
    for line in head[delimiter_end + 1 :].split(b"\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            if line.strip():
                raise ProtocolError(f"a line in the head of a part that is no header: {excerpt(line)}")
            continue
        key = name.strip().lower()
        if key == b"content-length":
            if length is not None and length != value.strip():
                raise ProtocolError("a part with two sizes")
            length = value.strip()
        elif key == b"x-puls-pan":
            pan = value
        elif key == b"x-puls-tilt":
            tilt = value
        elif key == b"x-posi-zoom":
            zoom = value
    if pan is None and tilt is None and zoom is None:
        return PartHead(head, length, None, False)
    try:
        position = Position(_hundredths(pan, MAX_PAN), _hundredths(tilt, MAX_TILT), _hundredths(zoom, MAX_ZOOM))
    except ValueError:
        return PartHead(head, length, None, True)
    return PartHead(head, length, position, False)


def _end_of_lines(head: bytearray, start: int) -> int:
    """Where the body begins: behind the first empty line from `start` (the delimiter's end); -1 if not yet."""
    if start < 0:
        return -1
    with_return = head.find(b"\n\r\n", start)
    without = head.find(b"\n\n", start, with_return if with_return >= 0 else len(head))
    if without >= 0:
        return without + 2
    return with_return + 3 if with_return >= 0 else -1


def _hundredths(value: bytes | None, most: int) -> int:
    """Raises ValueError for what is no number, or none of 0..most."""
    digits = value.strip() if value is not None else b""
    if not digits.isdigit() or len(digits) > 9 or int(digits) > most:
        raise ValueError(f"not within 0..{most}")
    return int(digits)

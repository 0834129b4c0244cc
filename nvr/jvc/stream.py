"""The MPEG-4 stream over HTTP: what to ask for, and what comes (guide 2, fact sheet 2).

With ptz_info=on each picture is a part: a delimiter, part headers, Content-Length bytes. With ptz_info=off, or from a
camera that does as it likes, the elementary stream comes bare. The first byte of the body says which (fact sheet 2.2).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nvr.jvc.errors import ProtocolError
from nvr.jvc.http import Head, HeadParser, excerpt, size
from nvr.jvc.types import Position

MAX_PART: Final = 4 << 20
"""Bytes; twice what a picture may have, so that the headers before it fit whatever they are."""
MAX_PART_HEAD: Final = 8 << 10  # the guide's has 125 bytes
_MAX_BOUNDARY: Final = 70  # RFC 2046, 5.1.1

_MAX_SIZE_DIGITS: Final = len(str(MAX_PART))
_LENGTH_DIGITS: Final = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([0-9]+)[ \t]*\r?\n", re.IGNORECASE)
# The guide's own layout (2.1) from the digits of Content-Length on; any other is read line by line.
_SIZE_AND_POSITION: Final = re.compile(
    rb"([0-9]{1,7})\r\nX-Puls-Pan: ([0-9]{1,5})\r\nX-Puls-Tilt: ([0-9]{1,5})\r\nX-Posi-Zoom: ([0-9]{1,4})\r\n\r\n"
)
_MAX_POSITION_LINES: Final = 64  # of which the longest match has 63 bytes behind the digits
_MAX_PAN: Final = 35999  # this and the next two: guide 2.1
_MAX_TILT: Final = 19000
_MAX_ZOOM: Final = 9999
_DASH: Final = ord("-")


_Step = Callable[[bytes | memoryview, int, list["StreamHead | EsBytes"]], int]
"""Takes what it can of the data from an offset on, notes what it completes, returns the next offset."""


@dataclass(frozen=True, slots=True)
class StreamHead:
    """The camera's answer to a request for video. Any status: whether to go on is the reader's decision."""

    status: int
    reason: str
    media_type: str
    """Content-Type without parameters, lower case. The guide's examples contradict each other: nothing hangs on it."""
    server: str
    parameters: dict[str, str]
    """What the camera says it sends (x-vn…_response): encode, framerate, framesize, ptz_info; often empty."""


@dataclass(slots=True)
class EsBytes:
    """Bytes of the elementary stream."""

    data: bytes
    position: Position | None
    """Where the camera looked, from the part's own lines; None where they are missing or out of range."""
    whole: bool
    """One complete part; False for the bytes of a bare stream as they were read."""


def request(host: str, ptz: bool) -> bytes:
    """The request for MPEG-4 video (guide 2.2); `host` as its Host line has it, with the port where that is not 80.

    Raises ValueError for a host that would break the line.
    """
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise ValueError(f"{host!r} cannot stand in a Host line")
    ptz_info = "on" if ptz else "off"
    return f"GET /api/video?encode=mpeg4&ptz_info={ptz_info} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("ascii")


class StreamParser:
    """One answer to `request`, out of any cut of its bytes.

    What `feed` is given is copied once where it is kept, so it may be a view of a buffer that is used again afterwards.
    """

    def __init__(self) -> None:
        self.trouble: ProtocolError | None = None
        """Why nothing more can be read. Where events came before it in the same bytes, they are given out first."""
        self.ended = False
        """The camera sent a closing delimiter: its stream is over, what follows is ignored."""
        self.bad_positions = 0
        """Parts whose position lines were incomplete, no numbers, or out of the guide's range."""
        self._head = HeadParser()
        self._head_begun = False
        self._step: _Step = self._take_head
        self._carry = bytearray()
        self._part = bytearray()
        self._missing = 0
        self._boundary = b""
        self._position: Position | None = None
        # The head of the part before, around the digits of its Content-Length: at rest a camera repeats both.
        self._is_known = False
        self._opening = b""
        self._ending = b""
        self._peek = 0

    def feed(self, data: bytes | memoryview) -> list[StreamHead | EsBytes]:
        """Takes the next bytes, gives out what they complete.

        Raises ProtocolError, now or at the next call: `trouble` says at once.
        """
        if self.trouble is not None:
            raise self.trouble
        events: list[StreamHead | EsBytes] = []
        at, end = 0, len(data)
        try:
            while at < end:
                at = self._step(data, at, events)
        except ProtocolError as trouble:
            self.trouble = trouble
            if not events:
                raise
        return events

    @property
    def cut(self) -> str | None:
        """What would be cut if the bytes ended here; None between two parts, in a bare stream, and after its end."""
        if self._step == self._take_head:
            return "inside the answer's head" if self._head_begun else "before an answer"
        if self._step == self._take_part:
            return f"inside a part, {self._missing} bytes before its end"
        return "inside the head of a part" if self._carry else None

    def _take_head(self, data: bytes | memoryview, at: int, events: list[StreamHead | EsBytes]) -> int:
        self._head_begun = True
        head = self._head.feed(data[at:])
        if head is None:
            return len(data)
        events.append(_stream_head(head))
        self._step = self._take_first if head.status == 200 else self._ignore
        body_at = len(data) - len(self._head.rest)
        self._head.rest = b""
        return body_at

    def _take_first(self, data: bytes | memoryview, at: int, _: list[StreamHead | EsBytes]) -> int:
        first = data[at]
        if first in b"-\r\n":
            self._step = self._take_parts
        elif first == 0:
            self._step = self._take_bare
        else:
            raise ProtocolError(f"the body begins as no video does: {excerpt(bytes(data[at : at + 32]))}")
        return at

    def _take_bare(self, data: bytes | memoryview, at: int, events: list[StreamHead | EsBytes]) -> int:
        events.append(EsBytes(bytes(data[at:]), None, False))
        return len(data)

    def _ignore(self, data: bytes | memoryview, _at: int, _events: list[StreamHead | EsBytes]) -> int:
        return len(data)

    def _take_parts(self, data: bytes | memoryview, at: int, events: list[StreamHead | EsBytes]) -> int:
        """Part after part, as long as each has the head of the one before but for its size; else `_take_part_head`."""
        end = len(data)
        while self._is_known and at < end and not self._carry:
            head = bytes(data[at : at + self._peek])
            if head[:2] == b"\r\n":  # after a part; it ends a read as often as it begins one
                at += 2
                head = head[2:]
                if at == end:
                    break
            size_at = len(self._opening)
            size_end = head.find(self._ending, size_at)
            digits = head[size_at:size_end]
            if size_end >= 0 and digits.isdigit() and head.startswith(self._opening):
                body_at = at + size_end + len(self._ending)
            else:
                digits, head_size = self._follow_move(head)
                if not head_size:
                    break
                body_at = at + head_size
            body_end = body_at + _part_size(digits)
            if body_end > end:
                return self._begin_part(data, body_at, body_end)
            if body_end > body_at:
                events.append(EsBytes(bytes(data[body_at:body_end]), self._position, True))
            at = body_end
        return self._take_part_head(data, at, events) if at < end else at

    def _follow_move(self, head: bytes) -> tuple[bytes, int]:
        """The digits of its Content-Length and its own size, where `head` is the one before with another position in
        the guide's layout, with which the next is compared then; a size of 0 where it is not.
        """
        match = _SIZE_AND_POSITION.match(head, len(self._opening))
        if match is None or not head.startswith(self._opening):
            return b"", 0
        digits, pan, tilt, zoom = match.groups()
        position = Position(int(pan), int(tilt), int(zoom))
        if position.pan > _MAX_PAN or position.tilt > _MAX_TILT or position.zoom > _MAX_ZOOM:
            return b"", 0
        self._position = position
        self._ending = head[match.end(1) : match.end()]
        return digits, match.end()

    def _take_part_head(self, data: bytes | memoryview, at: int, events: list[StreamHead | EsBytes]) -> int:
        """A delimiter and the headers behind it, of any look and over any number of calls."""
        carry = self._carry
        before = len(carry)
        carry += data[at : at + MAX_PART_HEAD + 1 - before]
        line_breaks = len(carry) - len(carry.lstrip(b"\r\n"))
        if line_breaks == len(carry) or line_breaks > 2:
            skipped = line_breaks if line_breaks == len(carry) else line_breaks - 2
            carry.clear()
            return at + skipped - before
        delimiter_end = self._check_delimiter(line_breaks)
        if self.ended:
            carry.clear()
            self._step = self._ignore
            return len(data)
        head_end = _end_of_lines(carry, delimiter_end)
        if head_end < 0:
            if len(carry) > MAX_PART_HEAD:
                raise ProtocolError(f"the head of a part is longer than {MAX_PART_HEAD} bytes")
            return at + len(carry) - before
        length = self._read_part_head(bytes(carry[:head_end]), delimiter_end)
        carry.clear()
        body_at = at + head_end - before
        return self._take_body(data, body_at, body_at + length, events)

    def _check_delimiter(self, at: int) -> int:
        """Where the delimiter's line ends, -1 if it has not yet; notes the closing delimiter.

        The guide prints -foo and --foo for one boundary (fact sheet 1.3), so dashes in front do not count, and the
        first delimiter says what the others must be, whatever Content-Type says.
        """
        carry = self._carry
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

    def _read_part_head(self, head: bytes, delimiter_end: int) -> int:
        """The size of the part's body; notes its position, and the head itself for comparison with the next."""
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
        if length is None:
            raise ProtocolError("a part without Content-Length: where it ends cannot be known")
        self._position = self._read_position(pan, tilt, zoom)
        self._remember(head, countless=self._position is not None or pan is tilt is zoom is None)
        return _part_size(length)

    def _read_position(self, pan: bytes | None, tilt: bytes | None, zoom: bytes | None) -> Position | None:
        if pan is None and tilt is None and zoom is None:
            return None
        try:
            position = Position(_hundredths(pan, _MAX_PAN), _hundredths(tilt, _MAX_TILT), _hundredths(zoom, _MAX_ZOOM))
        except ValueError:
            self.bad_positions += 1
            return None
        # Equal positions are one object, so that a camera at rest costs no memory in what is kept of its frames.
        return self._position if position == self._position else position

    def _remember(self, head: bytes, *, countless: bool) -> None:
        """Keeps the head for `_take_parts`; not one whose bad position is to be counted each time."""
        match = _LENGTH_DIGITS.search(head)
        self._is_known = countless and match is not None and not _LENGTH_DIGITS.search(head, match.end() - 1)
        if self._is_known and match is not None:
            self._opening = head[: match.start(1)].lstrip(b"\r\n")
            self._ending = head[match.end(1) :]
            self._peek = 2 + len(self._opening) + _MAX_SIZE_DIGITS + max(len(self._ending), _MAX_POSITION_LINES)

    def _take_body(self, data: bytes | memoryview, start: int, end: int, events: list[StreamHead | EsBytes]) -> int:
        if end > len(data):
            return self._begin_part(data, start, end)
        if end > start:
            events.append(EsBytes(bytes(data[start:end]), self._position, True))
        self._step = self._take_parts
        return end

    def _begin_part(self, data: bytes | memoryview, start: int, end: int) -> int:
        self._part += data[start:]
        self._missing = end - len(data)
        self._step = self._take_part
        return len(data)

    def _take_part(self, data: bytes | memoryview, at: int, events: list[StreamHead | EsBytes]) -> int:
        """More of a part that does not lie whole in one read."""
        piece = data[at : at + self._missing]
        self._part += piece
        self._missing -= len(piece)
        if self._missing == 0:
            events.append(EsBytes(bytes(self._part), self._position, True))
            self._part.clear()
            self._step = self._take_parts
        return at + len(piece)


def _stream_head(head: Head) -> StreamHead:
    return StreamHead(head.status, head.reason, head.media_type, head.get("server"), head.parameters)


def _part_size(digits: bytes) -> int:
    if digits.isdigit() and len(digits) < _MAX_SIZE_DIGITS:
        return int(digits)
    return size(digits.decode("latin-1"), MAX_PART)


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

"""The MPEG-4 stream over HTTP: what to ask for, and what comes (guide 2, fact sheet 2).

With ptz_info=on each picture is a part: a delimiter, part headers, Content-Length bytes. With ptz_info=off, or from a
camera that does as it likes, the elementary stream comes bare. The first byte of the body says which (fact sheet 2.2).
"""

import re
from dataclasses import dataclass
from typing import Final

from nvr.jvc.answer import AnswerParser, StreamHead
from nvr.jvc.errors import ProtocolError
from nvr.jvc.http import check_host, excerpt, size
from nvr.jvc.parts import MAX_PAN, MAX_TILT, MAX_ZOOM
from nvr.jvc.types import Position

MAX_PART: Final = 4 << 20
"""Bytes; twice what a picture may have, so that the headers before it fit whatever they are."""

_MAX_SIZE_DIGITS: Final = len(str(MAX_PART))
_LENGTH_DIGITS: Final = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([0-9]+)[ \t]*\r?\n", re.IGNORECASE)
# The guide's own layout (2.1) from the digits of Content-Length on; any other is read line by line.
_SIZE_AND_POSITION: Final = re.compile(
    rb"([0-9]{1,7})\r\nX-Puls-Pan: ([0-9]{1,5})\r\nX-Puls-Tilt: ([0-9]{1,5})\r\nX-Posi-Zoom: ([0-9]{1,4})\r\n\r\n"
)
_MAX_POSITION_LINES: Final = 64  # of which the longest match has 63 bytes behind the digits


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
    check_host(host)
    ptz_info = "on" if ptz else "off"
    return f"GET /api/video?encode=mpeg4&ptz_info={ptz_info} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("ascii")


class StreamParser(AnswerParser[EsBytes]):
    """One answer to `request`, out of any cut of its bytes.

    What `feed` is given is copied once where it is kept, so it may be a view of a buffer that is used again afterwards.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bad_positions = 0
        """Parts whose position lines were incomplete, no numbers, or out of the guide's range."""
        self._carry = self._part_heads.carry
        # The head of the part before, around the digits of its Content-Length: at rest a camera repeats both.
        self._is_known = False
        self._opening = b""
        self._ending = b""
        self._peek = 0

    @property
    def cut(self) -> str | None:
        """What would be cut if the bytes ended here; None between two parts, in a bare stream, and after its end."""
        if self._step == self._take_head:
            return "inside the answer's head" if self._head_begun else "before an answer"
        if self._step == self._take_part:
            return f"inside a part, {self._missing} bytes before its end"
        return "inside the head of a part" if self._carry else None

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
        if position.pan > MAX_PAN or position.tilt > MAX_TILT or position.zoom > MAX_ZOOM:
            return b"", 0
        self._position = position
        self._ending = head[match.end(1) : match.end()]
        return digits, match.end()

    def _take_part_head(self, data: bytes | memoryview, at: int, events: list[StreamHead | EsBytes]) -> int:
        """A delimiter and the headers behind it, of any look and over any number of calls."""
        body_at, head = self._part_heads.take(data, at)
        if self._part_heads.ended:
            self.ended = True
            self._step = self._ignore
        if head is None:
            return body_at
        if head.length is None:
            raise ProtocolError("a part without Content-Length: where it ends cannot be known")
        self.bad_positions += head.has_bad_position
        # Equal positions are one object, so that a camera at rest costs no memory in what is kept of its frames.
        self._position = self._position if head.position == self._position else head.position
        self._remember(head.raw, countless=not head.has_bad_position)
        return self._take_body(data, body_at, body_at + _part_size(head.length), events)

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


def _part_size(digits: bytes) -> int:
    if digits.isdigit() and len(digits) < _MAX_SIZE_DIGITS:
        return int(digits)
    return size(digits.decode("latin-1"), MAX_PART)

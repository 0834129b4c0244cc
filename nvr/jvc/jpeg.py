"""JPEG over HTTP: what to ask for, what comes, and what the camera says in each file (guide 1, fact sheet 1).

With boundary=on each file is a part; with boundary=off files come back to back, and Content-Length is the first one's
alone. The first byte of the body says which (fact sheet 1.3): a camera may do other than it was asked.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from nvr.jvc.answer import AnswerParser, StreamHead
from nvr.jvc.errors import ProtocolError
from nvr.jvc.http import check_host, excerpt, size
from nvr.jvc.items import clock_us, flag, number, text
from nvr.jvc.parts import MAX_PAN, MAX_TILT, MAX_ZOOM
from nvr.jvc.types import Position

RATES: Final = (
    *("30", "25", "15", "10", "7.5", "6", "5", "3", "2", "1"),
    *("-2", "-3", "-5", "-10", "-15", "-20", "-30", "-60"),
)
"""Pictures a second; -n is one every n seconds (guide 1.2)."""
_NEAR: Final = 0.01  # a third of a picture is 0.33
ONE: Final = "0"
"""One picture, then the camera closes (guide 1.2)."""
MAX_JPEG: Final = 4 << 20
"""Bytes of one file; forty times what the camera is set to at most (100k: guide 6.3)."""

_SOI: Final = 0xD8
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_COM: Final = 0xFE
_STANDALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))
"""Markers without a length (T.81, B.1.1.3)."""
_BEGIN: Final = bytes((0xFF, _SOI))
# In coded data FF is followed by 0 (stuffing) or is a restart marker, which belongs to it (T.81, B.1.1.5, E.1.4).
_MARKER_IN_SCAN: Final = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)

_ITEM: Final = re.compile(rb"([A-Za-z_]{1,16}) *= *(.*)", re.DOTALL)
_ALARM: Final = re.compile(rb"(?:^|\x00)alarm = ", re.IGNORECASE)
_ALARM_BYTES: Final = 4
_ALARM_SIZE: Final = 5
_DECIMAL: Final = re.compile(rb"(\d{1,3})(?:\.(\d{1,4}))?")
_AREA: Final = re.compile(rb"(\d{1,4}),(\d{1,4})-(\d{1,4}),(\d{1,4})")
_COLOR: Final = re.compile(rb"(\d{1,3})-(\d{1,3})-(\d{1,3})")
_VERSION: Final = b"JVC "


class Area(NamedTuple):
    """The place of the target in the picture, pixels."""

    left: int
    top: int
    right: int
    bottom: int


class Color(NamedTuple):
    """The target's colour."""

    red: int
    green: int
    blue: int


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What the camera says in a file's first comment segment (fact sheet 1.5); None where it says nothing."""

    version: str | None = None
    size_bytes: int | None = None
    """Of the whole file, by the camera's word."""
    width: int | None = None
    height: int | None = None
    model: str | None = None
    timestamp: str | None = None
    """As sent: YYYYMMDDhhmmss, milliseconds, zone code."""
    clock_us: int | None = None
    """The timestamp as microseconds since the epoch where its zone code is known (UTC), else None."""
    alarm: bytes | None = None
    """Reserved; four bytes as sent."""
    camera_id: bytes | None = None
    motion_detection: bool | None = None
    """Whether motion is looked for."""
    motion_seen: bool | None = None
    position: Position | None = None
    preset: int | None = None
    stabilizer: bool | None = None
    fan_failed: bool | None = None
    tracking: int | None = None
    """0 completed, 1 waiting for a target, 2 tracking, 3 losing, 4 searching."""
    track_area: Area | None = None
    track_color: Color | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One JPEG file, byte for byte as sent."""

    data: bytes
    position: Position | None
    """Where the camera looked, from the part's own lines (ptz_info=on); the file's comment says it in any case."""


def request(host: str, rate: str = ONE, *, boundary: bool = True, ptz: bool = False) -> bytes:
    """The request for JPEG (guide 1.2): `rate` is ONE or one of RATES; `host` as its Host line has it.

    Raises ValueError for another rate, and for a host that would break the line.
    """
    check_host(host)
    if rate != ONE and rate not in RATES:
        raise ValueError(f"a JPEG rate is {ONE} for one picture or one of {', '.join(RATES)}, not {rate!r}")
    items = f"encode=jpeg&framerate={rate}&boundary={_on_off(boundary)}&ptz_info={_on_off(ptz)}"
    return f"GET /api/video?{items} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("ascii")


def interval_s(rate: str) -> float:
    """From one picture to the next at one of RATES; 0 for ONE."""
    number = float(rate)
    return 1 / number if number > 0 else -number


def rate_of(pictures_per_second: float) -> str:
    """The camera's word for that rate. Raises ValueError for one that it does not have."""
    for rate in RATES:
        if math.isclose(pictures_per_second * interval_s(rate), 1, rel_tol=_NEAR):
            return rate
    said = ", ".join(f"{1 / interval_s(rate):.3g}" for rate in RATES)
    raise ValueError(f"a camera sends JPEG at {said} pictures a second, not at {pictures_per_second:g}")


def facts(file: bytes) -> PictureFacts:
    """Reads a file's first comment segment. Never raises: what is missing, unknown or broken is None."""
    comment = next((content for marker, content in _segments(file) if marker == _COM), b"")
    alarm, comment = _without_alarm(comment)
    version, items = _items(comment)
    timestamp = items.get(b"timestamp")
    return PictureFacts(
        version=text(version),
        size_bytes=number(items.get(b"size"), 9),
        width=number(items.get(b"width"), 5),
        height=number(items.get(b"height"), 5),
        model=text(items.get(b"type")),
        timestamp=text(timestamp),
        clock_us=clock_us(timestamp),
        alarm=alarm,
        camera_id=items.get(b"camera"),
        motion_detection=flag(items.get(b"motion")),
        motion_seen=flag(items.get(b"md")),
        position=_position(items),
        preset=number(items.get(b"position")),
        stabilizer=flag(items.get(b"stabilizer")),
        fan_failed=flag(items.get(b"fan")),
        tracking=number(items.get(b"track_status")),
        track_area=_area(items.get(b"track_area")),
        track_color=_color(items.get(b"track_color")),
    )


class JpegParser(AnswerParser[Picture]):
    """One answer to `request`, out of any cut of its bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged = 0
        """Parts that hold no JPEG."""
        self._in_parts = False
        self._file = FileCutter()

    @property
    def cut(self) -> str | None:
        """What would be cut if the bytes ended here; None between two pictures, and after the stream's end."""
        if self._step == self._take_head:
            return "inside the answer's head" if self._head_begun else "before an answer"
        if self._step == self._take_part:
            return f"inside a picture, {self._missing} bytes before its end"
        if self._step == self._take_file:
            return "inside a picture" if self._in_parts or self._file.is_begun else None
        return "inside the head of a part" if self._part_heads.carry else None

    def _take_first(self, data: bytes | memoryview, at: int, _: list[StreamHead | Picture]) -> int:
        first = data[at]
        if first in b"-\r\n":
            self._in_parts = True
            self._step = self._take_part_head
        elif first == 0xFF:
            self._step = self._take_file
        else:
            raise ProtocolError(f"the body begins as no JPEG does: {excerpt(bytes(data[at : at + 32]))}")
        return at

    def _take_part_head(self, data: bytes | memoryview, at: int, _: list[StreamHead | Picture]) -> int:
        body_at, head = self._part_heads.take(data, at)
        if self._part_heads.ended:
            self.ended = True
            self._step = self._ignore
        elif head is not None:
            self._position = head.position
            if head.length is None:  # not documented (fact sheet 1.3): the file's own structure says where it ends
                self._step = self._take_file
            else:
                self._missing = size(head.length.decode("latin-1"), MAX_JPEG)
                self._step = self._take_part if self._missing else self._take_part_head
        return body_at

    def _take_part(self, data: bytes | memoryview, at: int, events: list[StreamHead | Picture]) -> int:
        piece = data[at : at + self._missing]
        self._part += piece
        self._missing -= len(piece)
        if not self._missing:
            if self._part.startswith(_BEGIN):
                events.append(Picture(bytes(self._part), self._position))
            else:
                self.damaged += 1
            self._part.clear()
            self._step = self._take_part_head
        return at + len(piece)

    def _take_file(self, data: bytes | memoryview, at: int, events: list[StreamHead | Picture]) -> int:
        taken, file = self._file.take(data, at)
        if file is not None:
            events.append(Picture(file, self._position))
            if self._in_parts:
                self._step = self._take_part_head
        return taken


class FileCutter:
    """Finds where JPEG files end that stand back to back, by their own structure (fact sheet 1.4).

    Segments are stepped over by their lengths, since anything may stand in a comment; coded data is looked through.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._in_scan = False

    @property
    def is_begun(self) -> bool:
        """A part of a file is here."""
        return bool(self._buffer)

    def take(self, data: bytes | memoryview, at: int) -> tuple[int, bytes | None]:
        """Takes bytes from `at` on up to the end of a file: where the next byte is, and the file once it is whole.

        Raises ProtocolError where there is no JPEG, and for one of more than MAX_JPEG.
        """
        if not self._buffer:
            while at < len(data) and data[at] in b"\r\n":
                at += 1
        before = len(self._buffer)
        self._buffer += data[at:]
        end = self._find_end()
        if end is None:
            if len(self._buffer) > MAX_JPEG:
                raise ProtocolError(f"a JPEG of more than {MAX_JPEG} bytes")
            return len(data), None
        file = bytes(self._buffer[:end])
        self._buffer.clear()
        self._at, self._in_scan = 0, False
        return at + end - before, file

    def _find_end(self) -> int | None:
        buffer = self._buffer
        if not _BEGIN.startswith(buffer[:2]):
            raise ProtocolError(f"no JPEG where one should begin: {excerpt(buffer[:32])}")
        self._at = max(self._at, 2)
        while True:
            if self._in_scan:
                found = _MARKER_IN_SCAN.search(buffer, self._at)
                if found is None:
                    self._at = max(self._at, len(buffer) - buffer.endswith(b"\xff"))  # a marker may be cut in two
                    return None
                self._at, self._in_scan = found.end() - 2, False
            marker = self._marker()
            if marker is None:
                return None
            if marker == _EOI:
                return self._at + 2
            if marker in _STANDALONE:
                self._at += 2
                continue
            if len(buffer) < self._at + 4:
                return None
            length = int.from_bytes(buffer[self._at + 2 : self._at + 4], "big")
            if length < 2:
                raise ProtocolError(f"a JPEG segment of {length} bytes")
            self._in_scan = marker == _SOS
            self._at += 2 + length

    def _marker(self) -> int | None:
        """The marker at hand, None where it has not come; steps over fill bytes before it (T.81, B.1.1.2)."""
        buffer = self._buffer
        while self._at + 1 < len(buffer) and buffer[self._at] == buffer[self._at + 1] == 0xFF:
            self._at += 1
        if len(buffer) < self._at + 2:
            return None
        if buffer[self._at] != 0xFF or buffer[self._at + 1] in (0x00, _SOI):
            raise ProtocolError(
                f"no marker where a JPEG segment should begin: {excerpt(buffer[self._at : self._at + 8])}"
            )
        return buffer[self._at + 1]


def _segments(file: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and contents up to the coded data, as far as they can be followed."""
    at = 2 if file.startswith(_BEGIN) else len(file)
    while at + 4 <= len(file) and file[at] == 0xFF:
        marker = file[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in (_SOS, _EOI):
            return
        if marker in _STANDALONE:
            at += 2
            continue
        end = at + 2 + max(2, int.from_bytes(file[at + 2 : at + 4], "big"))
        yield marker, file[at + 4 : end]
        at = end


def _without_alarm(comment: bytes) -> tuple[bytes | None, bytes]:
    """The alarm item's own bytes, and the rest with nothing in their place.

    Its value is four raw bytes and one more (fact sheet 1.5): read as text they could swallow what follows.
    """
    found = _ALARM.search(comment)
    if found is None:
        return None, comment
    end = found.end()
    return comment[end : end + _ALARM_BYTES], comment[:end] + bytes(_ALARM_SIZE) + comment[end + _ALARM_SIZE :]


def _items(comment: bytes) -> tuple[bytes | None, dict[bytes, bytes]]:
    """The version, and values by name in lower case; by name, since lengths and order differ between models (1.5)."""
    version: bytes | None = None
    items: dict[bytes, bytes] = {}
    for piece in comment.split(b"\0"):
        found = _ITEM.fullmatch(piece)
        if found is not None:
            items.setdefault(found[1].lower(), found[2].rstrip())
        elif version is None and piece.startswith(_VERSION):
            version = piece
    return version, items


def _position(items: dict[bytes, bytes]) -> Position | None:
    pan = _hundredths(items.get(b"pan"), MAX_PAN)
    tilt = _hundredths(items.get(b"tilt"), MAX_TILT)
    zoom = _hundredths(items.get(b"zoom"), MAX_ZOOM)
    return None if pan is None or tilt is None or zoom is None else Position(pan, tilt, zoom)


def _hundredths(value: bytes | None, most: int) -> int | None:
    """A decimal as hundredths; cameras write fewer places than two now and then (fact sheet 5.3)."""
    found = _DECIMAL.fullmatch(value) if value is not None else None
    if found is None:
        return None
    hundredths = int(found[1]) * 100 + int((found[2] or b"").ljust(2, b"0")[:2])
    return hundredths if hundredths <= most else None


def _area(value: bytes | None) -> Area | None:
    found = _AREA.fullmatch(value) if value is not None else None
    return None if found is None else Area(*map(int, found.groups()))


def _color(value: bytes | None) -> Color | None:
    found = _COLOR.fullmatch(value) if value is not None else None
    return None if found is None else Color(*map(int, found.groups()))


def _on_off(wanted: bool) -> str:
    return "on" if wanted else "off"

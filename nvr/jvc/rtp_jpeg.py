"""JPEG in multicast packets (guide 6.13, fact sheet 6): RFC 2435, or pieces of the file itself.

RFC 2435 leaves the headers of a file behind and sends what they must have said; the file made of it decodes to the
same picture, without the camera's comment.
"""

import struct
from functools import lru_cache
from typing import Final

from nvr.jvc.jpeg import MAX_JPEG, Picture
from nvr.jvc.rtp import Lost, Packet

JPEG_TYPES: Final = range(26, 128)
"""Its own payload type (RFC 3551), and those that files in packets may come under."""

_RESTART_TYPES: Final = range(64, 128)  # RFC 2435, 3.1.3
_KNOWN_TYPES: Final = (0, 1)  # 4:2:2 and 4:2:0 (4.1)
_IN_BAND: Final = range(128, 256)  # Q: tables come with the first packet (3.1.4)
_DYNAMIC: Final = 255  # Q: they differ from picture to picture
_SOI: Final = b"\xff\xd8"
_EOI: Final = b"\xff\xd9"
_APP0: Final = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_SOS: Final = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"
_MAX_TABLES: Final = 4 * 64

# ITU T.81, K.1 and K.2, in zigzag order as RFC 2435, appendix A, has them.
_LUMA: Final = (
    *(16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51),
    *(61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77),
    *(113, 121, 112, 100, 120, 92, 101, 103, 99),
)
_CHROMA: Final = (
    *(17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99),
    *([99] * 36),
)

# ITU T.81, K.3 to K.6: the Huffman tables that RFC 2435 (appendix B) takes for granted.
_DC_LUMA: Final = (bytes.fromhex("00010501010101010100000000000000"), bytes(range(12)))
_DC_CHROMA: Final = (bytes.fromhex("00030101010101010101010000000000"), bytes(range(12)))
_AC_LUMA: Final = (
    bytes.fromhex("0002010303020403050504040000017d"),
    bytes.fromhex(
        "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a343536"
        "3738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999a"
        "a2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7"
        "f8f9fa"
    ),
)
_AC_CHROMA: Final = (
    bytes.fromhex("00020102040403040705040400010277"),
    bytes.fromhex(
        "0001020311040521310612415107617113223281081442"
        "91a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a535455565758595a6364"
        "65666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4"
        "c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
    ),
)


class JpegAssembler:
    """Files out of packets in order; each comes whole or is counted."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._timestamp: int | None = None
        self._head: _Head | None = None
        """What the first packet said; None for pieces of a file."""
        self._is_hit = True
        """A part of the picture at hand is missing; also before the first one, of which nothing came."""
        self._is_counted = True
        self._tables: dict[int, bytes] = {}

    def take(self, packet: Packet) -> list[Picture | Lost]:
        """The next packet."""
        events: list[Picture | Lost] = []
        if packet.timestamp != self._timestamp:
            if self._data and not self._is_hit:
                events.append(Lost(1))  # its marker never came
            self._begin(packet)
        if not self._is_hit and not self._add(packet.payload):
            self._is_hit = True
        if packet.marker and not self._is_hit:
            events.append(Picture(self._file(), None))
            self._data.clear()
        elif packet.marker and not self._is_counted:
            events.append(Lost(1))
        if packet.marker:
            self._data.clear()
            self._is_hit = self._is_counted = True
        return events

    def miss(self, packets: int) -> list[Picture | Lost]:
        """Packets are missing here: the picture at hand is one of theirs, unless it is over."""
        was_whole = bool(self._data) and not self._is_hit
        self._data.clear()
        self._is_hit = self._is_counted = True
        if not packets:
            self._timestamp = None
        return [Lost(1 if was_whole and packets else 0)]

    def _begin(self, packet: Packet) -> None:
        self._timestamp = packet.timestamp
        self._data.clear()
        self._is_hit = self._is_counted = False
        if packet.payload.startswith(_SOI):
            self._head = None
            return
        self._head = head = _head(packet.payload)
        if head is None or head.offset != 0:
            self._is_hit = True
            return
        if head.tables:
            if head.q != _DYNAMIC:
                self._tables[head.q] = head.tables
        elif head.q in _IN_BAND and head.q not in self._tables:
            self._is_hit = True

    def _add(self, payload: bytes) -> bool:
        """Whether it goes on where the picture ended so far."""
        if self._head is None:
            self._data += payload
            return len(self._data) <= MAX_JPEG
        head = _head(payload)
        if head is None or head.offset != len(self._data):
            return False
        self._data += payload[head.size :]
        return len(self._data) <= MAX_JPEG

    def _file(self) -> bytes:
        if self._head is None:
            return bytes(self._data)
        head = self._head
        tables = head.tables or self._tables.get(head.q) or _scaled(head.q)
        return _front(head.kind, head.width, head.height, head.interval, tables) + bytes(self._data) + _EOI


class _Head:
    """The headers of one packet (RFC 2435, 3.1)."""

    __slots__ = ("height", "interval", "kind", "offset", "q", "size", "tables", "width")

    def __init__(self, offset: int, kind: int, q: int, width: int, height: int) -> None:
        self.offset = offset
        self.kind = kind
        self.q = q
        self.width = width
        self.height = height
        self.interval = 0
        self.tables = b""
        self.size = 8


def _head(payload: bytes) -> _Head | None:
    """None for what is no such packet, or of a kind that is not defined."""
    if len(payload) < 8:
        return None
    kind, q, width, height = payload[4:8]
    head = _Head(int.from_bytes(payload[1:4], "big"), kind, q, width * 8, height * 8)
    if kind in _RESTART_TYPES:
        if len(payload) < 12:
            return None
        head.kind = kind - _RESTART_TYPES.start
        head.interval = int.from_bytes(payload[8:10], "big")
        head.size = 12
    if head.kind not in _KNOWN_TYPES or not q or not width or not height:
        return None
    if q in _IN_BAND and head.offset == 0:
        at = head.size
        precision, length = payload[at + 1 : at + 2], int.from_bytes(payload[at + 2 : at + 4], "big")
        if len(payload) < at + 4 + length or precision != b"\0" or length > _MAX_TABLES or length % 64:
            return None
        head.tables = payload[at + 4 : at + 4 + length]
        head.size = at + 4 + length
    return head


@lru_cache(8)
def _scaled(q: int) -> bytes:
    """The standard tables at a quality (RFC 2435, 4.2)."""
    factor = 5000 // q if q < 50 else 200 - 2 * min(q, 99)
    return bytes(min(255, max(1, (value * factor + 50) // 100)) for value in (*_LUMA, *_CHROMA))


@lru_cache(8)
def _front(kind: int, width: int, height: int, interval: int, tables: bytes) -> bytes:
    """Everything of a file before its coded data."""
    count = max(1, len(tables) // 64)
    quantisation = b"".join(_segment(0xDB, bytes((number,)) + tables[64 * number :][:64]) for number in range(count))
    chroma = min(1, count - 1)
    luma_sampling = 0x21 if kind == 0 else 0x22
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes((1, luma_sampling, 0, 2, 0x11, chroma, 3, 0x11, chroma))
    huffman = b"".join(
        _segment(0xC4, bytes((slot,)) + counts + values)
        for slot, (counts, values) in ((0, _DC_LUMA), (0x10, _AC_LUMA), (1, _DC_CHROMA), (0x11, _AC_CHROMA))
    )
    restart = _segment(0xDD, interval.to_bytes(2, "big")) if interval else b""
    return b"".join((_SOI, _APP0, quantisation, restart, _segment(0xC0, frame), huffman, _SOS))


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content

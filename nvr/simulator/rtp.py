"""RTP packets of multicast (guide 6.13, fact sheet 6): MPEG-4 after RFC 3016, JPEG after RFC 2435, or as files."""

import struct
from collections.abc import Iterator
from typing import Final

MPEG4_TYPE: Final = 96  # the first dynamic one; what the camera uses is unknown (fact sheet 6)
JPEG_TYPE: Final = 26  # RFC 3551
CLOCK_HZ: Final = 90_000

_HEADER: Final = struct.Struct(">BBHII")
_VERSION: Final = 0x80
_MARKER: Final = 0x80
_OVERHEAD: Final = 20 + 8 + 12  # IP, UDP, RTP
_RESTARTS: Final = 64  # added to the type where restart markers are in the data (RFC 2435, 3.1.3)
_IN_BAND: Final = 255  # Q: tables come with each picture (3.1.4)
_SAMPLINGS: Final = {(0x21, 0x11, 0x11): 0, (0x22, 0x11, 0x11): 1}


class Packer:
    """Numbers the packets of one stream."""

    def __init__(self, payload_type: int, ssrc: int, first_seq: int, mtu: int) -> None:
        self._payload_type = payload_type
        self._ssrc = ssrc
        self._seq = first_seq
        self._room = mtu - _OVERHEAD

    def mpeg4(self, unit: bytes, timestamp: int) -> list[bytes]:
        """Bare stream bytes; the marker is on the packet with the last of a VOP."""
        return self._numbered(list(self._cut(unit, self._room)), timestamp)

    def jfif(self, file: bytes, timestamp: int) -> list[bytes]:
        """The file itself, in pieces."""
        return self._numbered(list(self._cut(file, self._room)), timestamp)

    def jpeg(self, file: bytes, timestamp: int) -> list[bytes]:
        """RFC 2435: the coded data, its headers left behind but for the tables."""
        return self._numbered(list(_rfc_2435(file, self._room)), timestamp)

    def _cut(self, data: bytes, size: int) -> Iterator[bytes]:
        return (data[at : at + size] for at in range(0, len(data), size))

    def _numbered(self, payloads: list[bytes], timestamp: int) -> list[bytes]:
        packets: list[bytes] = []
        for payload in payloads:
            marker = _MARKER if len(packets) == len(payloads) - 1 else 0
            head = _HEADER.pack(_VERSION, marker | self._payload_type, self._seq, timestamp & 0xFFFFFFFF, self._ssrc)
            packets.append(head + payload)
            self._seq = (self._seq + 1) & 0xFFFF
        return packets


def _rfc_2435(file: bytes, room: int) -> Iterator[bytes]:
    tables, sampling, width, height, interval, scan = _taken_apart(file)
    kind = _SAMPLINGS[sampling]
    restart = b""
    if interval:
        kind += _RESTARTS
        restart = struct.pack(">HH", interval, 0xFFFF)  # the whole picture at once: first, last, count all ones
    at = 0
    while at < len(scan):
        head = struct.pack(">I", at) + bytes((kind, _IN_BAND, width // 8, height // 8)) + restart
        if at == 0:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        piece = scan[at : at + room - len(head)]
        yield head + piece
        at += len(piece)


def _taken_apart(file: bytes) -> tuple[bytes, tuple[int, int, int], int, int, int, bytes]:
    """Quantisation tables, samplings, width, height, restart interval, coded data up to EOI."""
    tables, sampling, width, height, interval = b"", (0, 0, 0), 0, 0, 0
    at = 2
    while file[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        content = file[at + 4 : end]
        match file[at + 1]:
            case 0xDB:
                for table in range(0, len(content), 65):
                    tables += content[table + 1 : table + 65]
            case 0xDD:
                interval = int.from_bytes(content[:2], "big")
            case 0xC0:
                height, width = struct.unpack_from(">HH", content, 1)
                sampling = content[7], content[10], content[13]
        at = end
    begin = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
    if len(tables) == 64:  # one table for all: RFC 2435 wants luma's and chroma's
        tables *= 2
    return tables, sampling, width, height, interval, file[begin : file.rindex(b"\xff\xd9")]

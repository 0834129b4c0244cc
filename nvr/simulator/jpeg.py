"""JPEG files as the camera makes them: the scene, and the camera's own comment segment (fact sheet 1.5)."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av

from nvr.simulator.elementary import item, stamp
from nvr.simulator.encoder import frame_of
from nvr.simulator.options import FRAME_SIZES
from nvr.simulator.ptz import Position
from nvr.simulator.scene import Scene

_SOI: Final = b"\xff\xd8"
_APP0: Final = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_DRI: Final = b"\xff\xdd\x00\x04\x00\x00"  # a restart interval of 0: none
_COM: Final = 0xFE
_DHT: Final = 0xC4
_DQT: Final = 0xDB
_SOF0: Final = 0xC0
_SOS: Final = 0xDA
_TIME_BASE: Final = Fraction(1, 30)  # an encoder must have one
_RESERVED: Final = b"reserved by the vendor\x00"  # comment segment 2


@dataclass(frozen=True, slots=True)
class Facts:
    """What the comment segment says beside the picture's own size."""

    model: str
    clock_us: int
    camera_id: str
    motion_on: bool
    motion_seen: bool
    position: Position
    preset: int | None
    fan_failed: bool
    tracking: int


class JpegMaker:
    """Pictures of one size. Not thread-safe."""

    def __init__(self, frame_size: str, seed: int) -> None:
        self._width, self._height = FRAME_SIZES[frame_size]
        self._scene = Scene(self._width, self._height, seed)

    def picture(self, facts: Facts, counter: int) -> bytes:
        """One file with its strip and comment segments. Blocks for some milliseconds."""
        clock_ms = facts.clock_us // 1000
        frame = frame_of(self._scene, self._width, self._height, facts.position, counter, clock_ms)
        codec = av.CodecContext.create("mjpeg", "w")
        if not isinstance(codec, av.VideoCodecContext):
            raise TypeError("PyAV gave no video encoder for mjpeg")
        codec.width, codec.height, codec.pix_fmt = self._width, self._height, "yuvj420p"
        codec.time_base = _TIME_BASE
        codec.thread_count = 1
        codec.qmin = codec.qmax = 5
        codec.options = {"flags": "+bitexact", "huffman": "default"}
        frame = frame.reformat(format="yuvj420p", src_color_range="JPEG", dst_color_range="JPEG")
        frame.pts, frame.time_base = 0, _TIME_BASE
        return self._composed(bytes(codec.encode(frame)[0]), facts)

    def _composed(self, encoded: bytes, facts: Facts) -> bytes:
        """The encoder's segments in the camera's order, with its comments; `size` is the file's own."""
        tables, scan = _segments(encoded)
        parts = [
            _SOI,
            _APP0,
            _comment(self._comment_1(facts, 0)),
            _comment(_RESERVED),
            *tables[_DHT],
            *tables[_DQT],
            _DRI,
            *tables[_SOF0],
            scan,
        ]
        parts[2] = _comment(self._comment_1(facts, sum(map(len, parts))))
        return b"".join(parts)

    def _comment_1(self, facts: Facts, size: int) -> bytes:
        pan, tilt, zoom = facts.position
        return b"".join(
            (
                b"JVC V1.0\x00",
                item("size", str(size), 18),
                item("width", str(self._width), 13),
                item("height", str(self._height), 14),
                item("type", facts.model, 18),
                item("reverse", "0", 12),
                item("timestamp", stamp(facts.clock_us), 70),
                b"alarm = \x00\x00\x00\x00\x00",  # four raw bytes (fact sheet 1.5)
                item("camera", facts.camera_id, 50),
                item("motion", str(int(facts.motion_on)), 11),
                item("md", str(int(facts.motion_seen)), 7),
                item("pan", f"{pan / 100:.2f}", 13),
                item("tilt", f"{tilt / 100:.2f}", 14),
                item("zoom", f"{zoom / 100:.2f}", 13),
                item("position", "NA" if facts.preset is None else str(facts.preset), 15),
                item("stabilizer", "0", 15),
                item("fan", str(int(facts.fan_failed)), 8),
                item("track_status", str(facts.tracking), 17),
                item("track_area", "0,0-0,0", 30),
                item("track_color", "0-0-0", 26),
            )
        )


def _comment(content: bytes) -> bytes:
    return bytes((0xFF, _COM)) + (len(content) + 2).to_bytes(2, "big") + content


def _segments(encoded: bytes) -> tuple[dict[int, list[bytes]], bytes]:
    """The tables by marker, and everything from SOS on."""
    tables: dict[int, list[bytes]] = {_DHT: [], _DQT: [], _SOF0: []}
    at = 2
    while encoded[at + 1] != _SOS:
        end = at + 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
        if encoded[at + 1] in tables:
            tables[encoded[at + 1]].append(encoded[at:end])
        at = end
    return tables, encoded[at:]

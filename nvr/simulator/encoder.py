"""The MPEG-4 encoder of a simulated camera: scene in, VOP bodies out. FFmpeg's encoder without its own headers."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.video.frame import PictureType

from nvr.simulator.elementary import VopBody, take_apart
from nvr.simulator.options import EncodeSettings
from nvr.simulator.scene import Scene

Position = tuple[int, int, int]

_LONGEST_GOP: Final = 300  # I-VOPs are asked for one by one; the encoder must not add its own before the 255th


@dataclass(slots=True)
class Picture:
    """One encoded picture, still without a time."""

    body: VopBody
    counter: int
    """What its strip says."""
    clock_ms: int
    """What its strip says: the first camera's clock when it was taken."""


class Encoder:
    """One encoder at fixed settings. Not thread-safe: one thread calls `encode`."""

    def __init__(self, settings: EncodeSettings, seed: int) -> None:
        self._width, self._height = settings.size
        self._scene = Scene(self._width, self._height, seed)
        self._time_base = 1 / settings.frame_rate
        self._codec = _opened(settings, self._time_base)
        self._count = 0

    def encode(self, position: Position, counter: int, clock_ms: int, *, key: bool) -> Picture:
        """Draws and encodes the next picture; the first one after opening is an I-VOP whatever `key` says."""
        frame = frame_of(self._scene, self._width, self._height, position, counter, clock_ms)
        frame.pts, frame.time_base = self._count, self._time_base
        frame.pict_type = PictureType.I if key else PictureType.NONE
        self._count += 1
        packets = self._codec.encode(frame)
        if len(packets) != 1:
            raise RuntimeError(f"the encoder gave {len(packets)} packets for one picture")
        return Picture(take_apart(bytes(packets[0]), self._time_base.denominator), counter, clock_ms)


def frame_of(scene: Scene, width: int, height: int, position: Position, counter: int, clock_ms: int) -> av.VideoFrame:
    """The scene as a picture an encoder takes."""
    frame = av.VideoFrame(width, height, "yuv420p")
    luma, *chroma = frame.planes
    luma.update(_padded(scene.luma(position, counter, clock_ms), width, luma.line_size))
    for plane, value in zip(chroma, scene.chroma(position), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


def _opened(settings: EncodeSettings, time_base: Fraction) -> av.VideoCodecContext:
    codec = av.CodecContext.create("mpeg4", "w")
    if not isinstance(codec, av.VideoCodecContext):
        raise TypeError("PyAV gave no video encoder for mpeg4")
    codec.width, codec.height = settings.size
    codec.pix_fmt = "yuv420p"
    codec.time_base, codec.framerate = time_base, settings.frame_rate
    codec.bit_rate = settings.bitrate_bps
    codec.gop_size, codec.max_b_frames = _LONGEST_GOP, 0
    codec.thread_count = 1
    codec.options = {"flags": "+bitexact", "sc_threshold": "1000000000"}
    codec.open()
    return codec


def _padded(rows: bytearray, width: int, line_size: int) -> bytes:
    if line_size == width:
        return bytes(rows)
    gap = bytes(line_size - width)
    return b"".join(bytes(rows[at : at + width]) + gap for at in range(0, len(rows), width))

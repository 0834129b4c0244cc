"""Real streams, a foreign player, and a disk that remembers or fails: what the tests of this room are made of."""

import errno
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import pytest

from nvr.media.durable import Disk, DurableFile, Octets
from nvr.media.frame import Unit
from nvr.media.mp4 import Mp4File
from nvr.media.splitter import UnitSplitter

Encode = Callable[..., list[Unit]]


@lru_cache(maxsize=64)
def _encode(frames: int, fps: Fraction, interval: int, width: int, height: int, shade: int) -> tuple[bytes, ...]:
    """Packets of FFmpeg's MPEG-4 encoder: a moving pattern, I-VOPs every `interval` pictures, no B-VOPs."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = 1 / fps
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = interval, 0, 1
    encoder.options = {"sc_threshold": "1000000000", "flags": "+bitexact"}
    packets = []
    for number in range(frames):
        picture = av.VideoFrame(width, height, "yuv420p")
        for plane in picture.planes:
            row = bytes((shade + 5 * number + 3 * x) & 255 for x in range(plane.line_size))
            plane.update(b"".join(row[y % 7 :] + row[: y % 7] for y in range(plane.height)))
        picture.pts, picture.time_base = number, 1 / fps
        packets += [bytes(packet) for packet in encoder.encode(picture)]
    return (*packets, *(bytes(packet) for packet in encoder.encode(None)))


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Makes units: encode(frames, fps=30, interval=10, width=64, height=48, shade=0)."""

    def units(
        frames: int,
        fps: Fraction | int = 30,
        interval: int = 10,
        width: int = 64,
        height: int = 48,
        shade: int = 0,
    ) -> list[Unit]:
        splitter = UnitSplitter()
        packets = _encode(frames, Fraction(fps), interval, width, height, shade)
        made = [unit for packet in packets for unit in splitter.feed(packet, None, True)]
        assert len(made) == frames
        assert b"".join(unit.data for unit in made) == b"".join(packets)
        return made

    return units


@dataclass
class Played:
    """What Debian's ffmpeg, which is not the one in PyAV, makes of a file."""

    frames: int
    complaints: str


@pytest.fixture(scope="session")
def play() -> Callable[[Path], Played]:
    """Decodes a whole file with ffmpeg; any word it says is a complaint."""

    def decode(path: Path) -> Played:
        name = f"file:{path}"
        command = ["ffmpeg", "-nostdin", "-v", "warning", "-f", "mp4", "-i", name, "-map", "0:v", "-f", "framecrc", "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
        return Played(len(lines), done.stderr.strip())

    return decode


@dataclass
class Write:
    """A write as it reached the disk."""

    offset: int
    data: bytes
    synced_bytes: int
    """How many bytes of the file had been synced when it came."""


class RecordingDisk(Disk):
    """The real disk, which remembers every write of its one file and, where told so, fails a call."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.calls: list[str] = []
        self.fail_at: int | None = None
        """The number of the first call that fails, and all after it."""
        self.short_at: int | None = None
        """The number of the call that writes only half; the rest goes out with the next."""
        self._position = 0
        self._size = 0
        self._synced = 0

    def write(self, fd: int, *pieces: Octets) -> int:
        data = b"".join(pieces)
        number = self._count("write", len(data))
        if number == self.short_at:
            data = data[: len(data) // 2]
        written = super().write(fd, data)
        self.writes.append(Write(self._position, data, self._synced))
        self._position += written
        self._size = max(self._size, self._position)
        return written

    def seek(self, fd: int, offset: int) -> int:
        self._position = offset
        return super().seek(fd, offset)

    def fdatasync(self, fd: int) -> None:
        self._count("fdatasync", 0)
        super().fdatasync(fd)
        self._synced = self._size

    def fsync(self, fd: int) -> None:
        self._count("fsync", 0)
        super().fsync(fd)
        self._synced = self._size

    def _count(self, name: str, length: int) -> int:
        number = len(self.calls)
        self.calls.append(name)
        if self.fail_at is not None and number >= self.fail_at:
            raise OSError(errno.ENOSPC if length else errno.EIO, f"call {number} fails")
        return number


@pytest.fixture(scope="session")
def recording_disk() -> Callable[[], RecordingDisk]:
    return RecordingDisk


@pytest.fixture(scope="session")
def record() -> Callable[..., DurableFile]:
    """Writes units to a new file: record(path, units, fps=30, sync_every=0, texts={}, close=True).

    A fragment ends before each I-VOP, without `flush` as the writer sees fit.
    """

    def write(
        path: Path,
        units: list[Unit],
        fps: Fraction | int = 30,
        *,
        disk: Disk | None = None,
        ticks: list[int] | None = None,
        flush: bool = True,
        sync_every: int = 0,
        close: bool = True,
        texts: dict[int, str] | None = None,
        metadata: dict[str, str] | None = None,
        scale: int = 90_000,
    ) -> DurableFile:
        step = round(scale / Fraction(fps))
        at = ticks if ticks is not None else [number * step for number in range(len(units))]
        file = DurableFile.create(path, disk or Disk())
        mp4 = Mp4File(file, units[0].vol, Fraction(1, scale), metadata or {}, text=bool(texts))
        try:
            for number, unit in enumerate(units):
                duration = at[number + 1] - at[number] if number + 1 < len(at) else step
                mp4.add(unit.data, at[number], duration, unit.key)
                if texts and number in texts:
                    mp4.add_text(texts[number], at[number])
                if flush and unit.key:
                    mp4.flush()
                if sync_every and number % sync_every == sync_every - 1:
                    file.sync()
            if close:
                mp4.close()
                file.full_sync()
        finally:
            mp4.abandon()
            file.close()
        return file

    return write

"""A store upon real directories, and a disk that fails, or dies, at the call a test asks for."""

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from nvr.media import label
from nvr.media.durable import Disk, Octets
from nvr.media.frame import Unit
from nvr.media.mp4 import Mp4File
from nvr.store import mending, recovery
from nvr.store.archive import Archive, Part, Sealed
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.index import Index
from nvr.store.origin import Origin
from nvr.store.reader import Reader
from nvr.store.rows import Run, Segment, SegmentRow
from nvr.store.volumes import Volume
from nvr.units import US, UtcMicros

ARCHIVE = "0b1f1c8e-0000-4000-8000-00000000a5c1"
NOW = UtcMicros(1_795_442_602_123_456)  # 2026-11-23T14:03:22.123456Z
TIME_BASE = Fraction(1, 90_000)
TICKS = 3_000
FRAMES = 60
GROUP = 15  # pictures from I-VOP to I-VOP: half a second, and a fragment


class Killed(OSError):
    """The process is gone at this call: no call after it happens.

    An OSError, because one that passes through FFmpeg must be one; whoever lives a life asks `disk.dead`.
    """


class FailingDisk(Disk):
    """A disk on which the calls from the n-th on fail (`sticky`), or the n-th alone. Counts them all."""

    def __init__(self, fail_at: int | None = None, how: str = "", *, sticky: bool = False) -> None:
        """`how`: an errno's name, `killed`, or `short` (a write takes half, and the next one is full)."""
        self.fail_at = fail_at
        self.how = how
        self.sticky = sticky
        self.calls: list[str] = []
        self.unlinked: list[Path] = []
        self.dead = False
        self._full_next = False

    @property
    def failed(self) -> bool:
        return self.fail_at is not None and len(self.calls) >= self.fail_at

    def write(self, fd: int, *pieces: Octets) -> int:
        if self.how == "short" and not self._full_next and self._is_due("write"):
            self._full_next = True
            data = b"".join(pieces)
            return super().write(fd, data[: max(1, len(data) // 2)])
        if self._full_next:
            self._full_next = self.sticky
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._pass("write")
        return super().write(fd, *pieces)

    def unlink(self, path: Path) -> None:
        self._pass("unlink")
        self.unlinked.append(path)
        super().unlink(path)

    def _is_due(self, name: str) -> bool:
        if self.fail_at == len(self.calls) + 1:
            self.calls.append(name)
            return True
        return False

    def _pass(self, name: str) -> None:
        if self.dead:
            raise Killed
        self.calls.append(name)
        number = len(self.calls)
        if self.fail_at is None or not (number == self.fail_at or (self.sticky and number > self.fail_at)):
            return
        if self.how == "killed":
            self.dead = True
            raise Killed
        if self.how != "short":
            code = getattr(errno, self.how)
            raise OSError(code, os.strerror(code))


def _failing(name: str) -> Callable[..., Any]:
    def call(self: FailingDisk, *args: Any) -> Any:
        self._pass(name)
        return getattr(Disk, name)(self, *args)

    return call


for _name in (
    "open_exclusive",
    "open_existing",
    "seek",
    "truncate",
    "fdatasync",
    "fsync",
    "fsync_directory",
    "rename_noreplace",
    "mkdir",
    "rmdir",
    "link",
):
    setattr(FailingDisk, _name, _failing(_name))


@dataclass
class House:
    """A data directory, a volume, and the store upon them, as one daemon's life has them."""

    base: Path
    disk: FailingDisk
    index: Index
    reader: Reader
    archive: Archive
    volume: Volume
    camera_id: int
    volume_id: int
    units: list[Unit]
    runs: set[int] = field(default_factory=set)

    def row_of(self, said: label.Label, sealed: Sealed) -> SegmentRow:
        return SegmentRow(
            camera_id=self.camera_id,
            run=said.run,
            seq=said.seq,
            volume_id=self.volume_id,
            start_us=said.start_us,
            end_us=said.end_us,
            frames=said.frames,
            size_bytes=sealed.size_bytes,
            time_base=said.time_base,
            first_tick=said.first_tick,
            duration_ticks=said.duration_ticks,
            recovered=said.recovered,
            state=sealed.state,
        )

    def begin_run(self, number: int, start_us: int) -> None:
        if number not in self.runs:
            run = Run(number, self.camera_id, "gate", start_us, "connected", 0, "stream", start_us)
            self.index.begin_run(run).result()
            self.runs.add(number)

    def begin(self, run: int, seq: int, start_us: int) -> Part:
        return self.archive.begin(self.volume, "gate", start_us, run, seq)

    def film(self, part: Part, run: int, seq: int, start_us: int, *, frames: int = FRAMES) -> Mp4File:
        """Frames into a part, not closed; synced at each I-VOP, as the recorder does."""
        first_tick = seq * FRAMES * TICKS
        origin = Origin(ARCHIVE, "gate", run, seq, start_us, first_tick=first_tick)
        file = Mp4File(part.file, self.units[0].vol, TIME_BASE, {"comment": origin.comment()})
        try:
            for number, unit in enumerate(self.units[:frames]):
                file.add(unit.data, first_tick + number * TICKS, TICKS, unit.key)
                if unit.key:
                    file.flush()
                    if part.file.size > part.file.synced_bytes:
                        part.file.sync()
        except BaseException:
            file.abandon()
            raise
        return file

    def label(self, part: Part, run: int, seq: int, start_us: int, *, frames: int = FRAMES) -> label.Label:
        return label.Label(
            archive=label.UUID(ARCHIVE),
            camera="gate",
            run=run,
            seq=seq,
            start_us=start_us,
            end_us=start_us + frames * US // 30,
            frames=frames,
            duration_ticks=frames * TICKS,
            time_base=TIME_BASE,
            first_tick=seq * FRAMES * TICKS,
            zero_us=start_us - seq * FRAMES * US // 30,
            slope_ppb=0,
            clock=label.ClockSource.STREAM,
            synchronised=True,
        )

    def record(self, run: int, seq: int, start_us: int) -> SegmentRow | None:
        """One segment's life as the recorder lives it, trouble included; the row that was put, if any."""
        self.begin_run(run, start_us)
        part = file = None
        try:
            part = self.begin(run, seq, start_us)
            file = self.film(part, run, seq, start_us)
            file.close()
            said = self.label(part, run, seq, start_us)
            row = self.row_of(said, self.archive.seal(part, label.pack(said)))
        except (OSError, DiskFull, VolumeMissing):
            if self.disk.dead:
                raise
            if part is None:
                return None
            saved = mending.save(self.archive, part)
            if saved is None:
                return None
            row = self.row_of(saved.label, saved.sealed)
        finally:
            if file is not None:
                file.abandon()
        self.index.add_segment(row).result()
        return row

    def recover(self, now_us: int = NOW + 3600 * US) -> recovery.Recovery:
        place = recovery.Place(self.volume_id, self.volume)
        return recovery.recover(self.index, self.reader, self.archive, [place], now_us)

    def segments(self) -> list[Segment]:
        return self.reader.segments_between("gate", 0, 1 << 62)

    def files(self) -> list[str]:
        """Everything in the volume but its identity, by path."""
        paths = (path for path in self.volume.path.rglob("*") if path.is_file() and path.name != ".nvr-volume")
        return sorted(str(path.relative_to(self.volume.path)) for path in paths)

    def path_of(self, name: str) -> Path:
        return self.volume.path / name


Open = Callable[..., AbstractContextManager[House]]
"""`with open_house(disk) as house:` is one life of the store; open it again for the next."""

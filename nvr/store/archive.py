"""Files of footage on a volume: begun, sealed, given up. The order of the calls is what the promises rest on.

    .part created exclusively → its directory and each new parent synced → written (media) → label → fsync
    → renamed without replacing → directory synced → row

Nothing here unlinks. Every call goes through `Disk`, so that tests can fail each of them.
"""

import errno
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nvr.media.durable import Disk, DurableFile, Octets
from nvr.store.names import PART, segment_path
from nvr.store.rows import SegmentState
from nvr.store.volumes import Volume, disk_trouble

log = logging.getLogger(__name__)


class Part:
    """A segment's file while it is written."""

    __slots__ = ("file", "over", "path", "synced", "volume")

    def __init__(self, volume: Volume, path: str, file: DurableFile) -> None:
        self.volume = volume
        self.path = path
        """The path it will have when sealed, relative to the volume."""
        self.file = file
        """For the MP4 writer."""
        self.over = False
        """Its last fsync was tried, or it was given up: nothing more is written."""
        self.synced = False
        """It is complete and on disk, label and all; only its name may be missing."""

    @property
    def part_path(self) -> Path:
        """Where it lies now."""
        return self.volume.path / (self.path + PART)

    @property
    def sealed_path(self) -> Path:
        """Where it will lie."""
        return self.volume.path / self.path


@dataclass(frozen=True, slots=True)
class Sealed:
    """A file that is written no more, as its row should say."""

    path: str
    """Relative to the volume."""
    size_bytes: int
    state: SegmentState


class Archive:
    """The files of one archive. `begin`, `seal` and `give_up` block: they belong on the volume's I/O thread.

    One archive serves all volumes; what it remembers of directories is only ever a way to spare calls.
    """

    def __init__(self, disk: Disk, archive_id: str) -> None:
        self.disk = disk
        self.archive_id = archive_id
        """In every label and identity file."""
        self._settled: set[Path] = set()

    def begin(self, volume: Volume, camera: str, start_us: int, run: int, seq: int) -> Part:
        """Creates a segment's `.part`, its name safe on disk. Raises VolumeMissing, DiskFull, OSError.

        After trouble an empty `.part` may stay behind; the next start takes it away.
        """
        path = segment_path(camera, start_us, run, seq)
        part_path = volume.path / (path + PART)
        volume.check_usable()
        with disk_trouble(f"beginning {path} on volume {volume.name}"):
            self._settle(volume, part_path.parent)
            try:
                fd = self.disk.open_exclusive(part_path)
            except FileNotFoundError:
                # Somebody took an empty folder away; it is made again.
                self._settled.clear()
                self._settle(volume, part_path.parent)
                fd = self.disk.open_exclusive(part_path)
            try:
                self.disk.fsync_directory(part_path.parent)
            except BaseException:
                self.disk.close(fd)
                raise
        return Part(volume, path, DurableFile(fd, self.disk))

    def make_folder(self, volume: Volume, folder: Path) -> None:
        """Makes a folder on a volume and whatever is missing above it, each name safe on disk.

        Raises VolumeMissing, DiskFull, OSError.
        """
        volume.check_usable()
        with disk_trouble(f"making {folder} on volume {volume.name}"):
            if not folder.is_dir():
                self._settled.clear()  # somebody may have taken away what was made
            self._settle(volume, folder)

    def seal(self, part: Part, label: Octets) -> Sealed:
        """Ends a file whose MP4 is closed: label, fsync, its final name. After this its row may be put.

        After DiskFull the same call may be made again. After any other OSError nothing is certain: `mending.save`.
        """
        if part.over or part.file.trouble is not None:
            raise part.file.trouble or ValueError(f"{part.path} is over already")
        size_bytes = part.file.size
        with disk_trouble(f"sealing {part.path} on volume {part.volume.name}"):
            self._append(part, label, size_bytes)
        part.over = True  # a failed fsync is never tried again
        self.disk.fsync(part.file.fileno())
        part.synced = True
        part.file.close()
        self.disk.rename_noreplace(part.part_path, part.sealed_path)
        self.disk.fsync_directory(part.sealed_path.parent)
        return Sealed(part.path, size_bytes + len(label), SegmentState.OK)

    def give_up(self, part: Part) -> Sealed:
        """Ends a file whose sync or seal failed: it is kept under its final name as far as the disk lets it.

        Syncs nothing of the file again (Linux may claim success for pages that are gone), deletes nothing, raises
        nothing. Its row says `damaged`; where even the name could not be changed the next start does it.
        """
        part.over = True
        for step, call in (
            ("close", part.file.close),
            ("rename", lambda: self.disk.rename_noreplace(part.part_path, part.sealed_path)),
            ("sync of the folder", lambda: self.disk.fsync_directory(part.sealed_path.parent)),
        ):
            try:
                call()
            except OSError as error:
                if not (isinstance(error, FileNotFoundError) and part.sealed_path.exists()):
                    log.warning(
                        "file given up, and not tidily",
                        extra={"action": "segment-given-up", "path": part.path, "step": step, "reason": str(error)},
                    )
        return Sealed(part.path, _size_of(part), SegmentState.DAMAGED)

    def _append(self, part: Part, label: Octets, size_bytes: int) -> None:
        """Writes the label whole behind the footage, or leaves the footage as it was."""
        fd = part.file.fileno()
        self.disk.seek(fd, size_bytes)
        try:
            write_whole(self.disk, fd, label)
        except OSError:
            self.disk.truncate(fd, size_bytes)
            raise

    def _settle(self, volume: Volume, folder: Path) -> None:
        """Makes a day's folder and whatever is missing above it, each name safe on disk.

        What is found is synced once as well: whoever made it may have died before that.
        """
        if folder in self._settled:
            return
        if folder != volume.path:
            self._settle(volume, folder.parent)
            with suppress(FileExistsError):
                self.disk.mkdir(folder)
            self.disk.fsync_directory(folder.parent)
        self._settled.add(folder)


def write_whole(disk: Disk, fd: int, data: Octets) -> None:
    """Writes all of `data` at the descriptor's position; a disk that takes less and says nothing is full."""
    rest = memoryview(data)
    while rest:
        written = disk.write(fd, rest)
        if written <= 0:
            raise OSError(errno.ENOSPC, "the disk took no byte and named no error")
        rest = rest[written:]


def _size_of(part: Part) -> int:
    for path in (part.sealed_path, part.part_path):
        try:
            return path.stat().st_size
        except OSError:
            continue
    return part.file.size

"""Files that tell the truth about the disk: whole writes or an error, and nothing at the front before the tail is safe.

`Disk` is the seam to the operating system that tests exchange to fail the n-th call; the archive uses the same one.
"""

import ctypes
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1

Octets = bytes | bytearray | memoryview
"""What can be written."""

MOST_PIECES: Final = 1024  # IOV_MAX of Linux (writev(2))


class Disk:
    """The calls to the operating system that footage depends on, one method each; all raise OSError."""

    def open_exclusive(self, path: Path, mode: int = 0o640) -> int:
        """Creates a file that must not exist and opens it for reading and writing; returns its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)

    def open_existing(self, path: Path) -> int:
        """Opens an existing file for reading and writing, to mend it; returns its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close(self, fd: int) -> None:
        os.close(fd)

    def write(self, fd: int, *pieces: Octets) -> int:
        """Writes at the descriptor's position, one after the other as one piece; returns how many bytes went out,
        perhaps fewer than asked. At most `MOST_PIECES`.
        """
        return os.writev(fd, pieces)

    def seek(self, fd: int, offset: int) -> int:
        return os.lseek(fd, offset, os.SEEK_SET)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        return os.pread(fd, length, offset)

    def truncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def syncfs(self, fd: int) -> None:
        """Syncs the whole file system that `fd` lies on; reports its errors since Linux 5.8 (syncfs(2))."""
        if _libc.syncfs(fd) != 0:
            raise _last_error("syncfs")

    def fsync_directory(self, path: Path) -> None:
        """Makes the names in a directory last."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename_noreplace(self, source: Path, target: Path) -> None:
        """Renames; raises FileExistsError where the target exists, whatever else is going on."""
        moved = _libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
        if moved == 0:
            return
        trouble = _last_error("rename", source, target)
        if trouble.errno not in (errno.ENOSYS, errno.EINVAL):
            raise trouble
        rename_by_link(source, target)

    def link(self, source: Path, target: Path) -> None:
        """A second name for a file; raises FileExistsError where the target exists."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def rmdir(self, path: Path) -> None:
        """Takes an empty directory away; raises OSError where it is not empty."""
        path.rmdir()

    def mkdir(self, path: Path, mode: int = 0o750) -> None:
        """Makes one directory whose parent exists; raises FileExistsError where it is there already."""
        path.mkdir(mode)

    def statvfs(self, path: Path) -> os.statvfs_result:
        return os.statvfs(path)


class DurableFile:
    """A file the MP4 writer writes to: each write goes out whole or raises, and the first trouble is the last write.

    A write below the file's end is preceded by fdatasync of everything written so far: an MP4 is closed by a new moov
    behind the footage and 8 bytes rewritten at its front, and a disk that keeps the second without the first has
    lost the file. One thread at a time.
    """

    __slots__ = ("_disk", "_fd", "_position", "size", "synced_bytes", "trouble")

    def __init__(self, fd: int, disk: Disk) -> None:
        """Takes over an empty file's descriptor, open for writing; `close` closes it."""
        self._fd = fd
        self._disk = disk
        self._position = 0
        self.size = 0
        """Bytes from the front to the end of the furthest write."""
        self.synced_bytes = 0
        """Bytes from the front that were on disk at the last sync."""
        self.trouble: OSError | None = None
        """The first OSError; from then on nothing is written."""

    @classmethod
    def create(cls, path: Path, disk: Disk) -> "DurableFile":
        """Creates a file that must not exist yet."""
        return cls(disk.open_exclusive(path), disk)

    def write(self, *pieces: Octets) -> None:
        """Writes all of the pieces at the position, one after the other; raises OSError."""
        self._refuse_after_trouble()
        try:
            if self._position < self.size and self.synced_bytes < self.size:
                self._fdatasync()
            for first in range(0, len(pieces), MOST_PIECES):
                self._write_all(pieces[first : first + MOST_PIECES])
        except OSError as trouble:
            self.trouble = trouble
            raise

    def append(self, data: Octets) -> None:
        """Writes `data` behind the end, wherever the position was."""
        self.seek(self.size)
        self.write(data)

    def sync(self) -> None:
        """Puts everything written so far on disk. After a failure it is never tried again: Linux may claim success."""
        self._refuse_after_trouble()
        try:
            self._fdatasync()
        except OSError as trouble:
            self.trouble = trouble
            raise

    def full_sync(self) -> None:
        """The sync at seal: data and all metadata (fsync)."""
        self._refuse_after_trouble()
        try:
            self._disk.fsync(self._fd)
        except OSError as trouble:
            self.trouble = trouble
            raise
        self.synced_bytes = self.size

    def note_synced(self, size: int) -> None:
        """Learns that a syncfs begun when the file had `size` bytes has succeeded."""
        self.synced_bytes = max(self.synced_bytes, size)

    def seek(self, offset: int) -> None:
        """Moves the position; one past the end is refused, no hole is ever made."""
        if not 0 <= offset <= self.size:
            raise OSError(errno.EINVAL, f"position {offset} outside of a file of {self.size} bytes")
        if offset != self._position:
            self._disk.seek(self._fd, offset)
            self._position = offset

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        """Gives the descriptor back, without syncing; harmless when repeated."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._disk.close(fd)

    def _write_all(self, pieces: Sequence[Octets]) -> None:
        while pieces:
            written = self._disk.write(self._fd, *pieces)
            self._position += max(0, written)
            self.size = max(self.size, self._position)
            if written <= 0 and any(map(len, pieces)):
                raise OSError(errno.EIO, "the disk took no byte and named no error")
            pieces = _rest_of(pieces, written)

    def _fdatasync(self) -> None:
        self._disk.fdatasync(self._fd)
        self.synced_bytes = self.size

    def _refuse_after_trouble(self) -> None:
        if self.trouble is not None:
            raise self.trouble


def _rest_of(pieces: Sequence[Octets], written: int) -> Sequence[Octets]:
    """What is left of the pieces once that many bytes of them are written; a nearly full disk takes only some."""
    for number, piece in enumerate(pieces):
        if written < len(piece):
            return [memoryview(piece)[written:], *pieces[number + 1 :]]
        written -= len(piece)
    return ()


def rename_by_link(source: Path, target: Path) -> None:
    """The way for file systems that know no RENAME_NOREPLACE (NFS, older FUSE): link refuses an existing target too.

    A crash in between leaves both names; the next start finds the target whole and the source as a second name of it.
    """
    os.link(source, target)
    source.unlink()


def _last_error(doing: str, source: Path | None = None, target: Path | None = None) -> OSError:
    number = ctypes.get_errno()
    if source is None:
        return OSError(number, f"{doing}: {os.strerror(number)}")
    return OSError(number, os.strerror(number), str(source), None, None if target is None else str(target))

"""The file beside a clip's file that says it is locked, for people and for a start that has lost the index."""

from pathlib import Path

from nvr.media.durable import Disk
from nvr.store.names import LOCK


def lock_file_of(clip_file: Path) -> Path:
    """Where the lock of a clip with this (first) file lies."""
    return clip_file.with_name(clip_file.name + LOCK)


def put_lock_file(disk: Disk, clip_file: Path, *, locked: bool) -> None:
    """Makes or takes away a clip's lock file, on disk when this returns; it may be so already. Raises OSError."""
    path = lock_file_of(clip_file)
    if path.exists() == locked:
        return
    if locked:
        disk.close(disk.open_exclusive(path))
    else:
        disk.unlink(path)
    disk.fsync_directory(path.parent)

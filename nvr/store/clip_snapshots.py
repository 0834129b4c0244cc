"""The JPEG of an alarm beside its clip's file: it waits in the data directory until the clip has one.

It is named after the clip's file, kept as long as that, and deleted with it: whoever unlinks a clip's file unlinks what
`snapshot_of` names as well.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from nvr.media.durable import Disk, DurableFile
from nvr.store.names import PART

FOLDER: Final = "snapshots"
SUFFIX: Final = ".jpg"


def snapshot_of(clip_file: Path) -> Path:
    """Where the snapshot of a clip with this (first) file lies."""
    return clip_file.with_suffix(SUFFIX)


def clip_file_of(path: str) -> str:
    """The clip's file beside which a snapshot of that path lies; any other path as it is."""
    return path.removesuffix(SUFFIX) + ".mp4" if path.endswith(SUFFIX) else path


class WaitingSnapshots:
    """Those whose clip has no file yet. One thread at a time; all of it may be done again after a crash."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def clips(self) -> Iterator[int]:
        """The clips of which a snapshot waits."""
        if self._folder.is_dir():
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                with suppress(ValueError):
                    yield int(path.stem)

    def keep(self, disk: Disk, clip_id: int, jpeg: bytes) -> None:
        """Keeps the first one of a clip, on disk when this returns; later ones are let go. Raises OSError."""
        path = self._path(clip_id)
        if path.exists():
            return
        if not self._folder.is_dir():
            disk.mkdir(self._folder)
            disk.fsync_directory(self._folder.parent)
        _write(disk, path, jpeg)

    def place(self, disk: Disk, clip_id: int, clip_file: Path) -> Path | None:
        """Puts a clip's snapshot beside its file; None where none waits. Raises OSError."""
        path, target = self._path(clip_id), snapshot_of(clip_file)
        if not path.exists():
            return None
        if not target.exists():
            _write(disk, target, path.read_bytes())
        disk.unlink(path)
        disk.fsync_directory(self._folder)
        return target

    def _path(self, clip_id: int) -> Path:
        return self._folder / f"{clip_id}{SUFFIX}"


def _write(disk: Disk, path: Path, data: bytes) -> None:
    """A whole file under its name, or none."""
    draft = path.with_name(path.name + PART)
    if draft.exists():  # what an earlier attempt left: a copy of what is to be written
        disk.unlink(draft)
    file = DurableFile.create(draft, disk)
    try:
        file.write(data)
        file.full_sync()
    finally:
        file.close()
    disk.rename_noreplace(draft, path)
    disk.fsync_directory(path.parent)

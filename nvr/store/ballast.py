"""A file beside the index that takes room for the moment when there is none: deletions need to be written too."""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

BALLAST_NAME: Final = "ballast"
"""The file's name in the data directory."""

_SIZE_BYTES: Final = 64 << 20  # as much as a checkpoint leaves of the index's log, see connections.py
_SHARE: Final = 100  # at most this part of a small file system
_SPARE: Final = 4  # it is made again once so many times its size are free


class Ballast:
    """Made while all is well, thrown off when the index finds no space, made again when there is room."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / BALLAST_NAME

    def take(self) -> bool:
        """Makes the file where there is room for it; whether it is there. Raises OSError."""
        if self._path.exists():
            return True
        found = os.statvfs(self._path.parent)
        size_bytes = min(_SIZE_BYTES, found.f_blocks * found.f_frsize // _SHARE)
        if found.f_bavail * found.f_frsize < _SPARE * size_bytes or size_bytes == 0:
            return False
        unfinished = self._path.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            os.posix_fallocate(fd, 0, size_bytes)  # room that is there, not a hole that is promised
        except OSError:
            unfinished.unlink()
            raise
        finally:
            os.close(fd)
        unfinished.rename(self._path)
        return True

    def throw_off(self) -> bool:
        """Gives its room to the index; whether there was any to give."""
        with suppress(FileNotFoundError):
            self._path.unlink()
            log.warning(
                "no space is left for the index: the room kept for deletions is used", extra={"action": "ballast"}
            )
            return True
        return False

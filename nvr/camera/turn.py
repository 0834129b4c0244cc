"""Whose turn it is to ask a camera: one request at a time, also where the daemon and a command mean the same camera.

The camera's processor is small, and steps that belong together must not mix: what one has set and not yet saved, the
other would save or undo. Between processes the turn is a lock on a file of the data directory, which the kernel gives
back when its holder dies.
"""

import asyncio
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

_AGAIN_S: Final = 0.02


class Turn:
    """One camera's turn, as an async context manager; without a file it is this process's alone."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._mine = asyncio.Lock()
        self._file: int | None = None

    async def __aenter__(self) -> None:
        await self._mine.acquire()
        try:
            if self._path is not None:
                self._file = await _locked(self._path)
        except BaseException:
            self._mine.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._mine.release()


def turn_path(data_dir: Path, camera: str) -> Path:
    """Where the turn of a camera lies."""
    return data_dir / f"camera.{camera}.turn"


async def _locked(path: Path) -> int | None:
    """The open and locked file; None where there is no place for one, which is no reason not to ask a camera."""
    try:
        # Readable is enough to lock: whoever may not write here asks all the same.
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return None
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_AGAIN_S)
            else:
                return file
    except BaseException:
        os.close(file)
        raise

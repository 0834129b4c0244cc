"""The lock on the data directory: one daemon, or readers of a still index; never both.

An flock, so that it ends with the process that holds it, however that ends.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nvr.store.errors import StoreBusy

LOCK_NAME: Final = "nvr.lock"
"""The lock's file in the data directory; holds the daemon's process id while one runs."""

_RETRY_S: Final = 0.05
_PID_BYTES: Final = 20


class DataDirLock:
    """Held by the one process that may write index and footage; `release` it last."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """Lets the next one in; harmless when repeated."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.ftruncate(fd, 0)
            os.close(fd)


def hold(data_dir: Path, *, wait_s: float = 5.0) -> DataDirLock:
    """Takes the lock, waiting `wait_s` for readers to finish their question; StoreBusy where a daemon has it."""
    fd = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        _take(fd, data_dir, time.monotonic() + wait_s)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
    except BaseException:
        os.close(fd)
        raise
    return DataDirLock(fd)


@contextmanager
def daemon_kept_out(data_dir: Path) -> Iterator[bool]:
    """Whether no daemon runs; where it is so, none can start before the end of the block. Keep that short."""
    try:
        fd = os.open(data_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True  # no daemon has ever run here
        return
    try:
        yield _locked(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _take(fd: int, data_dir: Path, deadline: float) -> None:
    while not _locked(fd, fcntl.LOCK_EX):
        # Only a daemon keeps readers out, so whoever can join them knows that there is none.
        if not _locked(fd, fcntl.LOCK_SH):
            raise StoreBusy(f"another nvr{_process_in(fd)} runs on {data_dir}; stop it first")
        fcntl.flock(fd, fcntl.LOCK_UN)
        if time.monotonic() > deadline:
            raise StoreBusy(f"something has been reading the index in {data_dir} for too long; try again")
        time.sleep(_RETRY_S)


def _locked(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _process_in(fd: int) -> str:
    said = os.pread(fd, _PID_BYTES, 0).strip()
    return f" (process {int(said)})" if said.isdigit() else ""

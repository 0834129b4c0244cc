"""Volumes: file systems that hold footage, and the one thread that does each one's disk work. No policy here.

A volume carries an identity file. A path without it (nothing is mounted), with another's, or mounted read-only is never
written to.
"""

import errno
import fcntl
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, ParamSpec
from uuid import UUID, uuid4

from nvr.clock import Clock
from nvr.media.durable import Disk
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.units import US

log = logging.getLogger(__name__)

P = ParamSpec("P")

IDENTITY_NAME: Final = ".nvr-volume"
"""The identity file's name, at the top of the volume."""
QUEUE_BYTES: Final = 128 << 20  # ten seconds of fifty cameras at 2 Mbit/s; past it a disk does not keep up
STUCK_S: Final = 10.0  # a healthy disk's worst stall is far below; a dead one's time-outs are far above

_MOST_IDENTITY_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Space:
    """What a volume's file system holds."""

    size_bytes: int
    free_bytes: int
    """What the service may still write; space kept for root does not count."""
    inodes: int = 0
    """How many files it can hold; 0 where it does not count them."""
    free_inodes: int = 0


class Volume:
    """One file system for footage, known by what lies on it, not by its path."""

    def __init__(self, disk: Disk, name: str, path: Path, uuid: str, identity: bytes) -> None:
        """Use `Volume.open`."""
        self._claim = -1
        self.disk = disk
        self.name = name
        self.path = path
        self.uuid = uuid
        self._identity = identity

    @classmethod
    def open(cls, disk: Disk, name: str, path: Path, archive_id: str, known_uuid: str | None) -> "Volume":
        """Recognises the volume at `path`, or makes it one where the index has never known it (`known_uuid` None).

        Raises VolumeMissing with a sentence for a person, DiskFull, OSError.
        """
        with disk_trouble(f"volume {name} at {path}"):
            if known_uuid is None:
                _make_directory(disk, name, path)
                if _read_identity(name, path) is None:
                    _write_identity(disk, name, path, archive_id)
            identity = _read_identity(name, path)
            if identity is None:
                raise VolumeMissing(f"volume {name}: {path} has no {IDENTITY_NAME}; is its disk mounted there?")
            said = parse_identity(identity)
            if said is None:
                raise VolumeMissing(
                    f"volume {name}: {path / IDENTITY_NAME} cannot be understood; restore it from a copy"
                )
            if said.archive != archive_id:
                raise VolumeMissing(f"volume {name}: the disk at {path} belongs to another archive ({said.archive})")
            if known_uuid not in (None, said.volume):
                raise VolumeMissing(f"volume {name}: another volume (once named {said.name}) is mounted at {path}")
            volume = cls(disk, name, path, said.volume, identity)
            volume.check_usable()
            return volume

    def claim(self) -> None:
        """Makes this process the only one that writes here, until it ends or `release`. Raises VolumeMissing.

        Two daemons with data directories of their own would mend each other's open files.
        """
        if self._claim >= 0:
            return
        with disk_trouble(f"volume {self.name} at {self.path}"):
            fd = os.open(self.path / IDENTITY_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                raise VolumeMissing(f"volume {self.name}: another nvr writes to {self.path}; stop that one") from None
            except BaseException:
                os.close(fd)
                raise
        self._claim = fd

    def release(self) -> None:
        """Gives the claim back; harmless when repeated."""
        if self._claim >= 0:
            fd, self._claim = self._claim, -1
            os.close(fd)

    def check_usable(self) -> None:
        """Raises VolumeMissing unless the volume is mounted, itself, and writable. Cheap: ask before each new file."""
        with disk_trouble(f"volume {self.name} at {self.path}"):
            found = _read_identity(self.name, self.path)
            if found is None:
                raise VolumeMissing(f"volume {self.name}: {self.path} is no longer mounted")
            if found != self._identity:
                raise VolumeMissing(f"volume {self.name}: another disk is mounted at {self.path}")
            if self.disk.statvfs(self.path).f_flag & os.ST_RDONLY:
                raise VolumeMissing(f"volume {self.name}: {self.path} is mounted read-only", read_only=True)

    def space(self) -> Space:
        """Size, free bytes and files. Raises OSError."""
        found = self.disk.statvfs(self.path)
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)


@dataclass(frozen=True, slots=True)
class Identity:
    """What an identity file says."""

    volume: str
    archive: str
    name: str
    """What it was called when it was made one; the configuration decides what it is called now."""


def identity_at(path: Path) -> Identity | None:
    """Which volume lies at a path; None where none does or its file cannot be read or understood."""
    try:
        identity = _read_identity("", path)
    except (OSError, VolumeMissing):
        return None
    return None if identity is None else parse_identity(identity)


def parse_identity(data: bytes) -> Identity | None:
    """Reads an identity file's content; None where it is none."""
    try:
        said = json.loads(data)
        return Identity(str(UUID(said["volume"])), str(UUID(said["archive"])), str(said["name"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


@contextmanager
def disk_trouble(doing: str) -> Iterator[None]:
    """Turns what the caller can answer into DiskFull and VolumeMissing; other OSErrors pass as they are."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space is left ({doing})") from error
        if error.errno == errno.EROFS:
            raise VolumeMissing(f"the file system has become read-only ({doing})", read_only=True) from error
        raise


class VolumeThread:
    """A volume's disk work, one call after the other, off the loop; bounded in bytes."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        queue_bytes: int = QUEUE_BYTES,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Starts at once. `on_failure` is told, on the thread, what a call raised; the next call runs all the same."""
        self.name = name
        self.queue_bytes = queue_bytes
        self._clock = clock
        self._on_failure = on_failure
        self._queue: SimpleQueue[tuple[int, Callable[..., object], tuple[Any, ...]] | None] = SimpleQueue()
        self._door = Lock()
        self._taken_bytes = 0
        self._done_bytes = 0
        self._stopping = False
        self._busy_since_us: int | None = None
        self._thread = Thread(target=self._work, name=f"volume {name}", daemon=True)
        self._thread.start()

    def put(self, cost_bytes: int, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Queues a call; False (and nothing queued) where its cost would pass the bound, or after `stop`.

        A call of cost 0 is always taken: the end of a segment must not be lost with its frames.
        """
        with self._door:
            if self._stopping or (cost_bytes and self.queued_bytes + cost_bytes > self.queue_bytes):
                return False
            self._taken_bytes += cost_bytes
            self._queue.put((cost_bytes, _bound(call, kwargs), args))
        return True

    @property
    def queued_bytes(self) -> int:
        """Cost of what waits or runs."""
        return self._taken_bytes - self._done_bytes

    @property
    def has_room(self) -> bool:
        """Whether it is worth beginning something new here: half of the queue is free, and the thread lives."""
        return not self._stopping and 2 * self.queued_bytes <= self.queue_bytes and not self.stuck

    def queue_length(self) -> int:
        """Calls that wait."""
        return self._queue.qsize()

    def silent_seconds(self) -> float:
        """How long the call that runs has been running; 0 while there is nothing to do."""
        since_us = self._busy_since_us
        return 0.0 if since_us is None else (self._clock.mono_us() - since_us) / US

    @property
    def stuck(self) -> bool:
        """Silent for so long that nothing is to be hoped from this volume's calls."""
        return self.silent_seconds() >= STUCK_S

    def stop(self, timeout_s: float) -> bool:
        """Lets what is queued be done and ends; False where that took too long: a stuck thread is left behind."""
        with self._door:
            if not self._stopping:
                self._stopping = True
                self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            cost_bytes, call, args = item
            self._busy_since_us = self._clock.mono_us()
            try:
                call(*args)
            except Exception as failure:
                # The cameras of a volume share this thread: a mistake in one one's call must not end the others.
                log.exception("disk work failed", extra={"volume": self.name, "action": "volume-call-failed"})
                if self._on_failure is not None:
                    self._on_failure(failure)
            finally:
                self._busy_since_us = None
                self._done_bytes += cost_bytes
            del item, call, args  # nothing is held while waiting


def _bound(call: Callable[..., object], kwargs: dict[str, Any]) -> Callable[..., object]:
    if not kwargs:
        return call
    return lambda *args: call(*args, **kwargs)


def _make_directory(disk: Disk, name: str, path: Path) -> None:
    """A new volume's own directory, where its parent is there; nothing above it."""
    try:
        disk.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        raise VolumeMissing(f"volume {name}: {path.parent} is not there; make it, or mount the disk") from None
    disk.fsync_directory(path.parent)


def _read_identity(name: str, path: Path) -> bytes | None:
    """The identity file's bytes; None where there is no such file."""
    try:
        fd = os.open(path / IDENTITY_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise VolumeMissing(f"volume {name}: {path / IDENTITY_NAME} may not be read by this user") from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return os.read(fd, _MOST_IDENTITY_BYTES)
    finally:
        os.close(fd)


def _write_identity(disk: Disk, name: str, path: Path, archive_id: str) -> None:
    """Whole or not at all: a torn identity would lock the volume out."""
    identity = json.dumps({"volume": str(uuid4()), "archive": archive_id, "name": name}).encode() + b"\n"
    unfinished = path / (IDENTITY_NAME + ".part")
    unfinished.unlink(missing_ok=True)
    fd = disk.open_exclusive(unfinished)
    try:
        if disk.write(fd, identity) != len(identity):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(unfinished))
        disk.fsync(fd)
    finally:
        disk.close(fd)
    disk.rename_noreplace(unfinished, path / IDENTITY_NAME)
    disk.fsync_directory(path)

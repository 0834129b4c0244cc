"""Makes a file of every closed clip: cut from its segments picture for picture, read back, named, and then promised.

One thread for all volumes, at low priority, that works at most half of its time and yields to a disk that lags. A clip
holds its segments until its file is promised, so whatever ends an attempt, the next one begins anew: what an earlier
one left under the clip's name is a copy of footage that is still there, and is taken away.
"""

import logging
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from nvr.clock import Clock
from nvr.media.durable import Disk
from nvr.record.clip_file import TROUBLE, ClipFile, log_keys
from nvr.record.shelf import Shelf, Shelves
from nvr.store.clip_locks import put_lock_file
from nvr.store.clip_snapshots import WaitingSnapshots
from nvr.store.errors import IndexDamaged, VolumeMissing
from nvr.store.index import Index
from nvr.store.reader import Reader
from nvr.store.rows import Clip
from nvr.store.volumes import disk_trouble
from nvr.units import US

log = logging.getLogger(__name__)

Unsealed = tuple[int, int]
"""Epoch and start (us) of the earliest segment that is not in the index yet."""

_FIRST_RETRY_US: Final = 30 * US
_LAST_RETRY_US: Final = 900 * US
_PATIENCE_US: Final = 86_400 * US  # for a volume that is away to be mounted again; then the clip goes without its part
_NICE: Final = 10
_LONGEST_YIELD_S: Final = 10.0  # the recorders come first, but a clip must be done some day
_LOOK_S: Final = 0.1


class Exporter:
    """The worker. Whoever sees the recorders calls `look` at each tick."""

    def __init__(
        self,
        index: Index,
        reader: Reader,
        shelves: Shelves,
        clock: Clock,
        *,
        exports: bool = True,
        snapshots: WaitingSnapshots | None = None,
    ) -> None:
        """Starts at once: clips that an earlier life left are done first. `exports` False: only locks are kept."""
        self.failing = 0
        """Clips whose file could not be made so far."""
        self._index = index
        self._reader = reader
        self._shelves_in_use = shelves
        self._clock = clock
        self.exports = exports
        """Closed clips become files; may be changed at any time."""
        self._disk = Disk()
        self._unsealed: Mapping[str, Unsealed] = {}
        self._looks = 0
        self._found: dict[int, int] = {}
        """After how many looks each clip of this life was found: only the next one knows all that is unsealed of it."""
        self._earlier_clip = index.last_clip
        """Clips up to this one are of earlier lives, of which nothing is unsealed."""
        self._seen = -1
        """How many clips had been closed when it was last looked."""
        self._waiting = True
        self._retries: dict[int, _Retry] = {}
        self._locks: SimpleQueue[_Lock] = SimpleQueue()
        self._snapshots = snapshots
        self._taken: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
        """Snapshots that are not on disk yet."""
        self._worked_since = time.monotonic()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._wake.set()
        self._thread = threading.Thread(target=self._work, name="clip exporter", daemon=True)
        self._thread.start()

    def look(self, unsealed: Mapping[str, Unsealed]) -> None:
        """Tells by camera what is not in the index yet, and wakes the worker where a clip may be due.

        A clip is cut when nothing unsealed begins before its end; a camera without anything unsealed is left out.
        """
        self._unsealed = unsealed
        self._looks += 1
        if not self.exports:
            return
        if self._waiting or self._index.clips_closed != self._seen:
            self._wake.set()

    def lock(self, clip_id: int, locked: bool) -> "Future[bool]":
        """Locks or unlocks a clip, its lock file included; False where there is no such clip.

        Raises VolumeMissing where a lock file cannot be taken away, DiskFull, IndexDamaged.
        """
        future: Future[bool] = Future()
        self._locks.put(_Lock(clip_id, locked, future))
        self._wake.set()
        if self._stopping.is_set():
            self._refuse_locks()  # nobody may be left to
        return future

    def keep_snapshot(self, clip_id: int, jpeg: bytes) -> None:
        """Takes the JPEG of an alarm, for beside its clip's file."""
        self._taken.put((clip_id, jpeg))
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Ends soon, in the middle of a clip if need be: the next start does it again. False where that took too long.

        To be called before the index is closed; harmless when repeated.
        """
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def _shelves(self) -> dict[str, Shelf]:
        """The volumes in use now, by name."""
        return {shelf.name: shelf for shelf in self._shelves_in_use.all}

    # ---- the worker

    def _work(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # Linux: of this thread alone
        try:
            self._restore_locks()
            self._place_snapshots()
            while not self._stopping.is_set():
                self._wake.wait()
                self._wake.clear()
                self._worked_since = time.monotonic()  # waiting is no work to rest from
                self._set_locks()
                self._keep_snapshots()
                if self.exports:
                    self._export_due()
        except _Stopped:
            pass
        except IndexDamaged:
            log.error("no more clips are made into files", extra={"action": "clips-given-up"})  # the index said why
        except Exception:
            if not self._stopping.is_set():
                log.exception(
                    "the clips' worker ended unexpectedly, which is a bug", extra={"action": "clips-given-up"}
                )
        finally:
            self._stopping.set()
            self._refuse_locks()

    def _export_due(self) -> None:
        seen, waiting, after = self._index.clips_closed, False, 0
        while page := self._reader.clips_to_export(after=after):
            for clip in page:
                self._rest()
                waiting |= not (self._is_due(clip) and self._is_done(clip))
            after = page[-1].id
        self._seen, self._waiting = seen, waiting

    def _is_due(self, clip: Clip) -> bool:
        """Everything of it is in the index, and it is not too early to try again."""
        if clip.id > self._earlier_clip and self._found.setdefault(clip.id, self._looks) == self._looks:
            return False
        unsealed = self._unsealed.get(clip.camera)
        if unsealed is not None and unsealed < (clip.epoch, clip.end_us or 0):
            return False
        retry = self._retries.get(clip.id)
        return retry is None or retry.due_us <= self._clock.mono_us()

    def _is_done(self, clip: Clip) -> bool:
        """Tries; whether its file is promised now."""
        try:
            export = ClipFile(clip, self._reader, self._shelves, self._rest, patient=self._is_patient(clip)).make()
            self._index.clip_exported(clip.id, export, self._clock.utc_us()).result()
        except IndexDamaged:
            raise
        except TROUBLE as trouble:
            self._note_trouble(clip, str(trouble))
            return False
        except (_Stopped, RuntimeError):
            raise
        except Exception as failure:
            # One clip that nobody thought of must not keep all others from being made.
            log.exception("a clip could not be made into a file, which is a bug", extra=log_keys(clip))
            self._note_trouble(clip, repr(failure))
            return False
        self._found.pop(clip.id, None)
        self._retries.pop(clip.id, None)
        self.failing = len(self._retries)
        log.info("clip exported", extra={**log_keys(clip), "path": export.path, "gap_seconds": export.gap_us / US})
        self._after_export(clip)
        self._place_snapshot(clip.id)
        return True

    def _after_export(self, clip: Clip) -> None:
        """A lock that came before the file gets its own file now."""
        with suppress(*TROUBLE):  # said by the next start, which looks after lock files
            done = self._reader.clip(clip.id)
            if done is not None and done.locked and done.path is not None:
                self._put_lock_file(done, locked=True)

    def _note_trouble(self, clip: Clip, why: str) -> None:
        now_us = self._clock.mono_us()
        retry = self._retries.setdefault(clip.id, _Retry(now_us))
        level = logging.WARNING if retry.wait_us == 0 else logging.DEBUG
        retry.wait_us = min(max(_FIRST_RETRY_US, 2 * retry.wait_us), _LAST_RETRY_US)
        retry.due_us = now_us + retry.wait_us
        self.failing = len(self._retries)
        log.log(level, "clip not exported yet: %s", why, extra={**log_keys(clip), "seconds": retry.wait_us / US})

    def _is_patient(self, clip: Clip) -> bool:
        retry = self._retries.get(clip.id)
        return retry is None or self._clock.mono_us() - retry.since_us <= _PATIENCE_US

    # ---- locks

    def _set_locks(self) -> None:
        while True:
            try:
                wanted = self._locks.get_nowait()
            except Empty:
                return
            try:
                wanted.future.set_result(self._set_lock(wanted.clip_id, locked=wanted.locked))
            except Exception as trouble:  # noqa: BLE001 - whoever asked is told
                wanted.future.set_exception(trouble)

    def _set_lock(self, clip_id: int, *, locked: bool) -> bool:
        """What still says that a clip is locked goes last, and comes first."""
        clip = self._reader.clip(clip_id)
        if clip is None:
            return False
        if not locked and clip.path is not None:
            self._put_lock_file(clip, locked=False)
        known = self._index.lock_clip(clip_id, locked).result()
        if locked and clip.path is not None:
            try:
                self._put_lock_file(clip, locked=True)
            except TROUBLE as trouble:
                log.warning("clip locked, but not its file: %s", trouble, extra=log_keys(clip))
        return known

    def _put_lock_file(self, clip: Clip, *, locked: bool) -> None:
        shelf = self._shelves.get(clip.volume or "")
        if shelf is None or shelf.volume is None or clip.path is None:
            raise VolumeMissing(f"volume '{clip.volume}', on which the clip's file lies, is not there")
        shelf.volume.check_usable()
        with disk_trouble(f"the lock of {clip.path}"):
            put_lock_file(shelf.archive.disk, shelf.place.path / clip.path, locked=locked)

    def _restore_locks(self) -> None:
        """A crash between row and file left a clip locked that does not say so."""
        after = 0
        while page := self._reader.locked_clips(after=after):
            for clip in page:
                self._rest()
                if clip.path is not None:
                    with suppress(*TROUBLE):
                        self._put_lock_file(clip, locked=True)
            after = page[-1].id

    def _refuse_locks(self) -> None:
        with suppress(Empty):
            while True:
                self._locks.get_nowait().future.set_exception(RuntimeError("nvr is stopping"))

    # ---- snapshots

    def _keep_snapshots(self) -> None:
        """On disk at once; beside the clip's file as soon as there is one."""
        while self._snapshots is not None:
            try:
                clip_id, jpeg = self._taken.get_nowait()
            except Empty:
                return
            try:
                self._snapshots.keep(self._disk, clip_id, jpeg)
            except OSError as trouble:
                log.warning(
                    "snapshot lost: %s", trouble, extra={"action": "snapshot", "clip": clip_id, "bytes": len(jpeg)}
                )
            else:
                self._place_snapshot(clip_id)

    def _place_snapshots(self) -> None:
        """Those that an earlier life left."""
        for clip_id in list(self._snapshots.clips()) if self._snapshots is not None else []:
            self._rest()
            self._place_snapshot(clip_id)

    def _place_snapshot(self, clip_id: int) -> None:
        clip = self._reader.clip(clip_id)
        shelf = None if clip is None or clip.path is None else self._shelves.get(clip.volume or "")
        if self._snapshots is None or clip is None or clip.path is None or shelf is None or shelf.volume is None:
            return
        try:
            shelf.volume.check_usable()
            path = self._snapshots.place(shelf.archive.disk, clip_id, shelf.place.path / clip.path)
        except TROUBLE as trouble:
            log.warning("snapshot not placed yet: %s", trouble, extra=log_keys(clip))
        else:
            if path is not None:
                log.info("snapshot placed", extra={**log_keys(clip), "action": "snapshot", "path": str(path)})

    # ---- manners

    def _rest(self) -> None:
        """Between two pieces of work: rests as long as it worked, longer where recorders wait for a disk."""
        now_s = time.monotonic()
        rested_s, yielded_s = now_s + min(now_s - self._worked_since, _LONGEST_YIELD_S), now_s + _LONGEST_YIELD_S
        while not self._stopping.is_set():
            self._set_locks()  # somebody waits for the answer
            now_s = time.monotonic()
            if now_s >= rested_s and (now_s >= yielded_s or not self._some_disk_lags()):
                break
            self._stopping.wait(min(_LOOK_S, max(0.0, rested_s - now_s)) or _LOOK_S)
        if self._stopping.is_set():
            raise _Stopped
        self._keep_snapshots()
        self._worked_since = time.monotonic()

    def _some_disk_lags(self) -> bool:
        return any(shelf.lags for shelf in self._shelves.values())


class _Stopped(Exception):
    """The worker is to end now."""


@dataclass(slots=True)
class _Retry:
    """A clip whose file could not be made."""

    since_us: int
    wait_us: int = 0
    due_us: int = 0


@dataclass(frozen=True, slots=True)
class _Lock:
    """A lock that somebody wants set or taken away."""

    clip_id: int
    locked: bool
    future: "Future[bool]"

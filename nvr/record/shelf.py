"""A volume as the recorders use it: recognised and watched, written by one I/O thread, synced by one plan.

`look`, `sync` and everything a writer does run on the I/O thread; `refusal` is written there and read in the loop.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvr.clock import Clock
from nvr.log import Streak
from nvr.media.durable import Disk, DurableFile
from nvr.metrics import VolumeCounts, write_error
from nvr.record.syncing import How, SyncPlan
from nvr.store.archive import Archive
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.retention import Room, can_ever_take, takes_footage
from nvr.store.volumes import STUCK_S, Volume, VolumeThread
from nvr.units import US, size_text

log = logging.getLogger(__name__)

_LAGGING_BYTES = 32 << 20  # more than a tick of fifty cameras at 2 Mbit/s: the recorders wait for the disk
_AMPLE_BYTES = 12 << 30  # more than anybody writes between two looks
_PATIENCE_US = 5 * US  # the sweep is called at once, and unlinks in milliseconds
_DAY_US = 86_400 * US


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why footage is not taken: the gap reason and a sentence for people."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Place:
    """One [[volume]] of the configuration."""

    name: str
    path: Path
    keep_free_bytes: int
    quota_bytes: int | None = None
    """None: as much as fits."""


class Shelf:
    """One volume in use.

    It is looked at several times a minute, and at each tick while `is_watched`.

    `enter(name, uuid)` makes the volume known to the index and answers its id there; it may block. `recover(shelf)`
    brings files and rows together on a volume that is found only after the start, before anything is written to it.
    """

    def __init__(
        self,
        place: Place,
        archive: Archive,
        thread: VolumeThread,
        plan: SyncPlan,
        counts: VolumeCounts,
        clock: Clock,
        *,
        known_uuid: str | None,
        enter: Callable[[str, str], int],
        recover: "Callable[[Shelf], None]",
        observe_sync: Callable[[float], None],
        observe_seal: Callable[[float], None],
    ) -> None:
        self.place = place
        self.archive = archive
        self.thread = thread
        self.plan = plan
        self.observe_seal = observe_seal
        self.volume: Volume | None = None
        self.volume_id = 0
        """In the index; known as soon as the volume is."""
        self.is_late = False
        """The start is over: a volume that is found from now on is recovered by itself."""
        self.looking = False
        """A look waits on the I/O thread or hangs there."""
        self.is_there = False
        """The last look found the volume and measured it."""
        self.retired = False
        """It is configured no longer: what is open here is ended in its time, and nothing begins."""
        self.open_files: set[DurableFile] = set()
        self.counts = counts
        counts.sync_interval_s = plan.interval_us / US
        self._gathered: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        self._gathered_bytes = 0
        self._clock = clock
        self._known_uuid = known_uuid
        self._enter = enter
        self._recover = recover
        self._observe_sync = observe_sync
        self._short_since_us: int | None = None
        """Monotonic; there is less room than is to be left free."""
        self._refusal: Refusal | None = Refusal("disk-failed", f"volume '{place.name}' was not looked at yet")
        self._trouble = Streak(log, {"volume": place.name, "action": "volume"})
        self._ails = "missing"
        """The state while it is refused."""
        self._stuck = Streak(log, {"volume": place.name, "action": "volume-stuck"})
        self._stretched = Streak(log, {"volume": place.name, "action": "sync-stretched"})

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def disk(self) -> Disk:
        return self.archive.disk

    @property
    def lags(self) -> bool:
        """Recorders wait for the disk."""
        return self.plan.stretched or self.thread.queued_bytes > _LAGGING_BYTES

    def room(self, rate_bytes_s: float = 0.0) -> Room:
        """As it was measured last; `rate_bytes_s` is how quickly it is filled."""
        counts, place = self.counts, self.place
        return Room(
            volume=self.volume_id,
            size_bytes=counts.size_bytes,
            free_bytes=counts.free_bytes,
            keep_free_bytes=place.keep_free_bytes,
            inodes=counts.inodes,
            free_inodes=counts.free_inodes,
            quota_bytes=place.quota_bytes,
            rate_bytes_s=rate_bytes_s,
        )

    def measure(self) -> None:
        """How much room there is. Raises OSError."""
        if self.volume is not None:
            space, counts = self.volume.space(), self.counts
            counts.size_bytes, counts.free_bytes = space.size_bytes, space.free_bytes
            counts.inodes, counts.free_inodes = space.inodes, space.free_inodes

    @property
    def refusal(self) -> Refusal | None:
        """Why nothing new is written here; None while all is well."""
        if self.retired:
            return Refusal("disk-failed", f"volume '{self.name}' is configured no longer")
        if self.thread.stuck:
            return Refusal("disk-failed", f"volume '{self.name}' has not answered for more than {STUCK_S:.0f} seconds")
        if not self._has_room():
            return Refusal("disk-slow", f"volume '{self.name}' is slower than what is recorded; its queue is full")
        return self._refusal

    @property
    def state(self) -> str:
        """One of metrics.VOLUME_STATES."""
        if self.thread.stuck:
            return "stuck"
        if self._refusal is not None:
            return self._ails
        return "slow" if self.plan.stretched or not self._has_room() else "ok"

    def note_state(self) -> None:
        """At each tick, in the loop: what a thread that hangs cannot say itself."""
        state, before = self.state, self.counts.state
        self.counts.state = state
        if state == "stuck":
            if before != "stuck":
                self.counts.write_errors["stuck"] += 1
            self._stuck.hit(f"volume '{self.name}' has not answered for more than {STUCK_S:.0f} seconds")
        else:
            self._stuck.over("volume answers again")

    def put(self, cost_bytes: int, do: Callable[..., None], *args: Any) -> bool:
        """Queues work for the I/O thread; False where its queue is full. Work of cost 0 is always taken."""
        if self._gathered is None:
            return self.thread.put(cost_bytes, do, *args)
        if cost_bytes and self.thread.queued_bytes + self._gathered_bytes + cost_bytes > self.thread.queue_bytes:
            return False
        self._gathered.append((do, args))
        self._gathered_bytes += cost_bytes
        return True

    def gather(self) -> None:
        """Keeps work back until `release`, so that the I/O thread is woken once for what many cameras bring at once."""
        self._gathered = []

    def release(self) -> None:
        """Hands over what was gathered."""
        gathered, cost_bytes = self._gathered, self._gathered_bytes
        self._gathered, self._gathered_bytes = None, 0
        if gathered:
            # Its cost was weighed piece by piece; nobody but the loop adds to the queue.
            self.thread.put(cost_bytes, _do_all, gathered)

    @property
    def is_watched(self) -> bool:
        """A missing disk is to be used as soon as it is mounted, one that may soon be full to be swept in time."""
        return self.refusal is not None or self.counts.free_bytes < self.place.keep_free_bytes + _AMPLE_BYTES

    def ask_to_look(self) -> None:
        """Has the I/O thread look, unless the last look still waits or hangs there."""
        if not self.looking:
            self.looking = True  # first: the thread may be done before `put` is
            self.put(0, self.look)

    def look(self) -> None:
        """Recognises the volume, measures its space, and says whether it takes footage."""
        try:
            if self.volume is None:
                self._open()
            self._measure()
        except (VolumeMissing, DiskFull, OSError) as trouble:
            self.is_there = False
            self._let_go()
            self._refuse(trouble)
        finally:
            self.looking = False

    def sync(self, file: DurableFile) -> None:
        """Puts what was written to `file` on disk, with all other open files where the plan says so. Raises OSError."""
        begun_us = self._clock.mono_us()
        if self.plan.how is How.FILE:
            file.sync()
        else:
            self._sync_all(file)
        took_us = self._clock.mono_us() - begun_us
        self.plan.took(took_us)
        self._observe_sync(took_us / US)
        self.counts.sync_interval_s = self.plan.interval_us / US
        if self.plan.stretched:
            self._stretched.hit(f"the disk is slow: footage is synced every {self.plan.interval_us / US:.0f} s at best")
        else:
            self._stretched.over("footage is synced as often as configured again")

    def count_error(self, error: BaseException) -> None:
        """A write failed: it is counted under what the disk said."""
        cause = error if isinstance(error, OSError) else error.__cause__
        self.counts.write_errors[write_error(cause) if isinstance(cause, OSError) else "other"] += 1

    def _has_room(self) -> bool:
        return self.thread.queued_bytes * 2 < self.thread.queue_bytes

    def _open(self) -> None:
        place = self.place
        volume = Volume.open(self.archive.disk, place.name, place.path, self.archive.archive_id, self._known_uuid)
        volume.claim()
        self.volume_id = self._enter(place.name, volume.uuid)
        self._known_uuid = volume.uuid
        self.volume = volume
        if self.is_late:
            self._recover(self)

    def _let_go(self) -> None:
        """A disk in trouble can be unmounted, mended and mounted again while nvr runs; then it is claimed anew."""
        if self.volume is not None and not self.open_files:
            self.volume.release()

    def _measure(self) -> None:
        volume = self.volume
        assert volume is not None  # noqa: S101 - look opened it
        volume.check_usable()
        volume.claim()
        self.measure()
        self.is_there = True
        if takes_footage(self.room()):
            self._short_since_us = None
        elif not self._is_given_room():
            self._say_no(Refusal("disk-full", self._short_of()), "full")
            return
        if self._refusal is not None:
            self._refusal = None
            self._trouble.over("volume takes footage again")

    def _is_given_room(self) -> bool:
        """What was left free is used for some seconds, in which old footage is deleted: what others write is no gap."""
        now_us = self._clock.mono_us()
        if self._short_since_us is None and self._refusal is None:
            self._short_since_us = now_us
        since_us = self._short_since_us
        is_soon = since_us is not None and now_us - since_us < _PATIENCE_US
        return is_soon and self.counts.free_bytes * 2 >= self.place.keep_free_bytes

    def _short_of(self) -> str:
        """Why no file begins here; what may go is being deleted meanwhile."""
        room = self.room()
        keep_free = size_text(room.keep_free_bytes)
        if not can_ever_take(room):
            return f"keep_free of volume '{self.name}' is {keep_free}, but its disk has {size_text(room.size_bytes)}"
        if room.free_bytes < room.keep_free_bytes:
            return (
                f"volume '{self.name}' has {size_text(room.free_bytes)} free, less than keep_free ({keep_free}), and "
                "what may be deleted is not enough: make room, or lower keep_free"
            )
        return f"the file system of volume '{self.name}' can hold no more files ({room.free_inodes} left)"

    def _refuse(self, trouble: VolumeMissing | DiskFull | OSError) -> None:
        if isinstance(trouble, DiskFull):
            self._say_no(Refusal("disk-full", str(trouble)), "full")
        elif isinstance(trouble, VolumeMissing):
            self._say_no(Refusal("disk-failed", str(trouble)), "read-only" if trouble.read_only else "missing")
        else:
            self.count_error(trouble)
            self._say_no(Refusal("disk-failed", f"volume '{self.name}': {trouble.strerror or trouble}"), "failed")

    def _say_no(self, refusal: Refusal, state: str) -> None:
        self._refusal, self._ails = refusal, state
        self._trouble.hit(refusal.sentence)

    def _sync_all(self, file: DurableFile) -> None:
        """One syncfs for every open file, as of the bytes each has now."""
        sizes = [(each, each.size) for each in self.open_files]
        self.archive.disk.syncfs(file.fileno())
        for each, size in sizes:
            each.note_synced(size)
        self.plan.volume_synced_us = self._clock.mono_us()


def _do_all(gathered: list[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
    """Each piece of work as if it came alone: one that fails unexpectedly is not the others' trouble."""
    for do, args in gathered:
        try:
            do(*args)
        except Exception:
            log.exception("disk work failed", extra={"action": "volume-call-failed"})


class Shelves:
    """The volumes a recorder may choose from."""

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self.all = tuple(shelves)
        """Volumes come and go with a reload; recorders choose among those of the moment."""
        self._chosen: dict[str, tuple[int, str]] = {}
        """By camera the day and the volume it is on."""

    def settle(self, camera: str, day: int, name: str) -> None:
        """The camera was on this volume on that day, before this start."""
        self._chosen[camera] = (day, name)

    def choose(self, camera: str, day: int) -> Shelf | None:
        """The volume for this camera on this day (days since the epoch, UTC), or None where none takes footage.

        The one it is on that day, while that is well. Else one with room before its floor; where there is none, one
        whose oldest footage that may go is the oldest of all, give or take a day. Of several the one with the highest
        hash of camera, day and name (rendezvous hashing): an even spread, so that one volume's trouble, or a dead
        disk, is that of its own cameras.
        """
        usable = {shelf.name: shelf for shelf in self.all if shelf.refusal is None}
        chosen_day, name = self._chosen.get(camera, (-1, ""))
        if chosen_day == day and name in usable:
            return usable[name]
        shelf = max(_next(list(usable.values())), key=lambda shelf: _rank(camera, day, shelf.name), default=None)
        if shelf is not None:
            self._chosen[camera] = (day, shelf.name)
        return shelf

    def refusal(self) -> Refusal:
        """Why none of them takes footage; a full disk is named before a failed one, since it is easier mended."""
        refusals = [refusal for shelf in self.all if (refusal := shelf.refusal) is not None]
        refusals.sort(key=lambda refusal: refusal.reason != "disk-full")
        return refusals[0] if refusals else Refusal("disk-failed", "no volume takes footage")


def _next(usable: list[Shelf]) -> list[Shelf]:
    """Those that are to be filled next."""
    with_room = [shelf for shelf in usable if not shelf.counts.at_floor]
    if with_room:
        return with_room
    oldest = {shelf.name: shelf.counts.oldest_free_us for shelf in usable}
    first_us = min((us for us in oldest.values() if us is not None), default=None)
    if first_us is None:
        return usable
    return [shelf for shelf in usable if (us := oldest[shelf.name]) is not None and us < first_us + _DAY_US]


def _rank(camera: str, day: int, volume: str) -> bytes:
    return hashlib.blake2b(f"{camera}/{day}/{volume}".encode(), digest_size=8).digest()

"""Deletes what `retention.decide` says, in the order that promises rest on, and never on the way of recording.

    rows → garbage rows, so many in one transaction → unlinked → folders synced → forgotten

`Sweeper.sweep` is a job. It asks the index alone what there is, never the tree; each volume's files are unlinked by a
thread of that volume, so that a disk that hangs keeps no other from being pruned.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, assert_never

from nvr.clock import Clock
from nvr.log import Streak
from nvr.media.durable import Disk
from nvr.metrics import Metrics, VolumeCounts
from nvr.store import retention
from nvr.store.ballast import Ballast
from nvr.store.clip_snapshots import snapshot_of
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.index import Index
from nvr.store.names import CLIPS, PART, day_of, day_path
from nvr.store.reader import Reader
from nvr.store.retention import Decision, Footage, Goes, Keep, Kind, Room, Rule, Unmet
from nvr.store.rows import Garbage, Holding
from nvr.store.volumes import Volume, VolumeThread
from nvr.units import US, size_text

log = logging.getLogger(__name__)

PROMISE_BROKEN: Final = "promise-broken"
DISK_FULL: Final = "disk-full"
"""Kinds of events."""

_MOST: Final = 40  # go in one round: of fifty cameras there are fifty segments a minute
_LEAST: Final = (
    5  # condemned in one transaction, at first; on a patrol with looks of twelve views 8 ms (bench/scale.py)
)
_TRANSACTION_S: Final = 0.02  # nobody else's commit waits longer for it
_BUDGET_S: Final = 0.05  # of the index's writer in a round that nobody waits for; the rest comes a second later
_UNLINK_S: Final = 5.0  # for a volume to have unlinked a round's files; a disk takes milliseconds
_INDEX_S: Final = 30.0  # a commit takes milliseconds; past this the index's disk hangs, and the next run looks again
_DAY_US: Final = 86_400 * US
_NICE: Final = 10
_SAMPLE_US: Final = 30 * US
_WINDOW: Final = 720  # samples: six hours, so that a day's quiet and busy hours show in the forecast
_LEAST_WINDOW_US: Final = 60 * US
_EVENT_AGAIN_US: Final = 3600 * US  # an event an hour while it goes on
_REST_US: Final = 5 * US
_YIELDS: Final = 5  # rounds that a lagging disk is left alone


class Swept(Protocol):
    """A volume in use, as the recorders have it."""

    @property
    def name(self) -> str: ...

    @property
    def volume(self) -> Volume | None: ...

    @property
    def volume_id(self) -> int: ...

    @property
    def counts(self) -> VolumeCounts: ...

    @property
    def disk(self) -> Disk: ...

    @property
    def is_there(self) -> bool:
        """It was measured a moment ago."""
        ...

    @property
    def lags(self) -> bool:
        """Recorders wait for its disk."""
        ...

    def room(self, rate_bytes_s: float = 0.0) -> Room:
        """As it was measured last."""
        ...

    def measure(self) -> None:
        """Measures it anew. Raises OSError, VolumeMissing."""
        ...


@dataclass(slots=True)
class _Beat:
    """One volume, and what the sweeper knows of it."""

    swept: Swept
    thread: VolumeThread
    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    """Monotonic time, and how much was ever written, less what was there at first."""
    busy: bool = False
    """Files are being unlinked, or the thread hangs in it."""
    done: threading.Event = field(default_factory=threading.Event)
    yielded: int = 0
    clip_bytes: int = 0
    """Of clips' files, at the last look."""
    unlinked_bytes: int = 0

    @property
    def rate_bytes_s(self) -> float | None:
        """How quickly it is filled; None while that is not known."""
        if len(self.samples) < 2:
            return None
        (begun_us, before), (now_us, after) = self.samples[0], self.samples[-1]
        if now_us - begun_us < _LEAST_WINDOW_US:
            return None
        return max(0.0, (after - before) * US / (now_us - begun_us))


class Sweeper:
    """What goes is deleted by `sweep`, which is a job's work; `is_wanted` says when it should run at once."""

    def __init__(
        self,
        index: Index,
        reader: Reader,
        volumes: Sequence[Swept],
        keep_of: Callable[[str], Keep],
        ballast: Ballast,
        metrics: Metrics,
        clock: Clock,
        *,
        exports: bool,
    ) -> None:
        """`keep_of` answers for every camera's name, also for one that is configured no more.

        `exports`: clips are made into files; where they are not, their age alone ends what they hold.
        """
        self._index = index
        self._reader = reader
        self._beats: dict[str, _Beat] = {}
        self._keep_of = keep_of
        self._ballast = ballast
        self._metrics = metrics
        self._clock = clock
        self._exports = exports
        self._slugs: dict[int, str] = {}
        self._times_full = index.times_full
        self._rests_until_us = 0
        """In monotonic time: a look that helped nothing is not taken again at once."""
        self._waited_before = False
        """Something could not be written for want of room when the last look ended."""
        self._batch = _LEAST
        """How many are condemned in one transaction."""
        self._more = False
        """The last round did not get to everything."""
        self._broken_until_us: dict[int, int] | None = None
        """By camera until when something is missing that was promised; None before it was looked up."""
        self._told_us: dict[tuple[str, object], int] = {}
        self._unmet: dict[tuple[Rule, int | None, int | None], Streak] = {}
        self._unlinking: dict[str, Streak] = {}
        self._ballast_trouble = Streak(log, {"action": "ballast"})
        self.use(volumes, keep_of, exports=exports)

    def use(self, volumes: Sequence[Swept], keep_of: Callable[[str], Keep], *, exports: bool) -> None:
        """From the next round on these volumes are swept, by these rules. May be called from any thread."""
        beats = {swept.name: beat for swept in volumes if (beat := self._beats.get(swept.name)) and beat.swept is swept}
        for swept in volumes:
            if swept.name not in beats:
                beats[swept.name] = beat = _Beat(swept, VolumeThread(f"{swept.name} sweep", self._clock))
                beat.thread.put(0, _be_nice)
        gone = [beat for beat in self._beats.values() if beat not in beats.values()]
        streaks = {name: Streak(log, {"volume": name, "action": "unlink-failed"}) for name in beats}
        self._unlinking = {**streaks, **{name: streak for name, streak in self._unlinking.items() if name in beats}}
        self._beats, self._keep_of, self._exports = beats, keep_of, exports
        for beat in gone:
            beat.thread.stop(0)  # what it has begun it ends

    @property
    def is_wanted(self) -> bool:
        """Something must go at once, or there is more to do than one run does. Cheap: asked at each tick."""
        waits = self._is_waited_for()
        if self._clock.mono_us() < self._rests_until_us and waits == self._waited_before:
            return False
        return waits or self._more or any(map(_is_running_out, self._beats.values()))

    def sweep(self, stopping: threading.Event) -> None:
        """Deletes what is to go now; where recording waits for room, until it waits no more or nothing may go.

        Raises DiskFull, IndexDamaged, OSError.
        """
        times_full = self._index.times_full
        if times_full != self._times_full:
            self._times_full = times_full
            self._ballast.throw_off()
        while helped := self._round():
            if stopping.is_set() or not self._is_waited_for():
                break
            self._wait_for_unlinking()
        self._waited_before = self._is_waited_for()
        self._rests_until_us = 0 if helped else int(self._clock.mono_us()) + _REST_US
        if not self._waited_before and not stopping.is_set():
            self._take_ballast()

    def stop(self, timeout_s: float) -> bool:
        """Lets unlinking that has begun be done; False where a disk took too long."""
        stopped = [beat.thread.stop(timeout_s) for beat in self._beats.values()]
        return all(stopped)

    def _is_waited_for(self) -> bool:
        """Something cannot be written for want of room."""
        return self._index.times_full != self._times_full or any(map(_is_short, self._beats.values()))

    # ---- a round

    def _round(self) -> bool:
        """Decides and deletes once; whether anything goes."""
        now_us = int(self._clock.utc_us())
        self._slugs = {camera.id: camera.slug for camera in self._reader.cameras()}
        beats = {beat.swept.volume_id: beat for beat in self._beats.values() if self._may_sweep(beat)}
        for volume_id, beat in beats.items():
            self._unlink_left(volume_id, beat)
        self._wait_for_unlinking()
        holdings = self._reader.holdings()
        beats = {volume_id: beat for volume_id, beat in beats.items() if not beat.busy}
        keeps = {camera: self._keep_of(slug) for camera, slug in self._slugs.items()}
        held = {(one.volume_id, one.camera_id): one.size_bytes for one in holdings if one.volume_id in beats}
        rooms = [beat.swept.room(beat.rate_bytes_s or 0.0) for beat in beats.values()]
        footage = list(self._candidates(held, list(keeps)))
        decision = retention.decide(now_us, rooms, keeps, held, footage, most=_MOST)
        self._forecast(rooms, holdings, footage, keeps, now_us)
        self._tell_unmet(decision.unmet)
        went = self._delete(decision, beats, now_us)
        self._more = bool(went) and (len(decision.going) == _MOST or len(went) < len(decision.going))
        self._tell_oldest(self._reader.holdings() if went else holdings)
        self._tell_broken(went, keeps, now_us)
        self._tell_emergency(went, now_us)
        return bool(went)

    def _may_sweep(self, beat: _Beat) -> bool:
        """Whether the volume is there, nothing of it is being unlinked, and its recorders can spare the disk."""
        swept = beat.swept
        if beat.busy or swept.volume is None or not swept.is_there:
            return False
        self._sample(beat)
        if swept.lags and not _is_short(beat) and beat.yielded < _YIELDS:
            beat.yielded += 1
            return False
        beat.yielded = 0
        return True

    def _candidates(self, held: Mapping[tuple[int, int], int], cameras: Sequence[int]) -> Iterator[Footage]:
        """The oldest that may go, as many of each camera on each volume as may go in one round."""
        for volume_id, camera_id in held:
            yield from self._reader.unheld_segments(volume_id, camera_id, _MOST)
            yield from self._reader.unlocked_clips(volume_id, camera_id, _MOST)
            yield from self._reader.oldest_films(volume_id, camera_id, _MOST)
        for camera_id in cameras:
            yield from self._reader.unlocked_clips(None, camera_id, _MOST, unexported=not self._exports)

    def _delete(self, decision: Decision, beats: Mapping[int, _Beat], now_us: int) -> list[Goes]:
        """Condemns, and has unlinked what was condemned; what went."""
        went: list[Goes] = []
        garbage: list[Garbage] = []
        left_s = _BUDGET_S
        for kind in Kind:
            waiting = deque(goes for goes in decision.going if goes.footage.kind is kind)
            while waiting and (left_s > 0 or self._is_waited_for()):
                condemned = [waiting.popleft() for _ in range(min(self._batch, len(waiting)))]
                begun_s = time.monotonic()
                gone, stay = self._condemn(kind, [goes.footage.id for goes in condemned], now_us)
                left_s -= self._paced(time.monotonic() - begun_s)
                garbage += gone
                went += [goes for goes in condemned if goes.footage.id not in set(stay)]
        for beat in beats.values():
            own = [one for one in garbage if one.volume == beat.swept.name]
            if own:
                self._have_unlinked(beat, own)
        for goes in went:
            self._count(goes, beats)
        return went

    def _paced(self, took_s: float) -> float:
        """Makes the next transaction larger or smaller, so that nobody waits long for the index."""
        if took_s > _TRANSACTION_S:
            self._batch = max(_LEAST, self._batch // 2)
        elif took_s < _TRANSACTION_S / 2:
            self._batch = min(_MOST, self._batch * 2)
        return took_s

    def _condemn(self, kind: Kind, ids: list[int], now_us: int) -> tuple[list[Garbage], list[int]]:
        """On a full disk the ballast makes room for it."""
        try:
            return self._condemned(kind, ids, now_us)
        except DiskFull:
            if not self._ballast.throw_off():
                raise
            return self._condemned(kind, ids, now_us)

    def _condemned(self, kind: Kind, ids: list[int], now_us: int) -> tuple[list[Garbage], list[int]]:
        match kind:
            case Kind.SEGMENT:
                done = self._index.condemn(ids, now_us)
            case Kind.CLIP:
                done = self._index.condemn_clips(ids, now_us, unexported=not self._exports)
            case Kind.FILM:
                done = self._index.condemn_films(ids, now_us)
            case _:
                assert_never(kind)
        return done.result(_INDEX_S)

    def _count(self, goes: Goes, beats: Mapping[int, _Beat]) -> None:
        self._metrics.retention_deleted[goes.rule] += 1
        beat = beats.get(goes.footage.volume or 0)
        if beat is not None and goes.footage.kind is Kind.SEGMENT:
            beat.swept.counts.deleted_bytes += goes.footage.size_bytes
        elif beat is not None and goes.footage.kind is Kind.FILM:
            beat.swept.counts.film_bytes -= goes.footage.size_bytes
        log.debug(
            "deleted",
            extra={
                "action": "retention-deleted",
                "rule": goes.rule.value,
                "camera": self._slugs.get(goes.footage.camera),
                goes.footage.kind.value: goes.footage.id,
            },
        )

    # ---- files

    def _unlink_left(self, volume_id: int, beat: _Beat) -> None:
        """What an earlier round or life condemned and could not unlink."""
        left = self._reader.garbage(_MOST, volume_id=volume_id)
        if left:
            self._have_unlinked(beat, left)

    def _wait_for_unlinking(self) -> None:
        """For a moment: a disk that hangs is left to its own thread."""
        for beat in self._beats.values():
            if beat.busy and not beat.thread.stuck:
                beat.done.wait(_UNLINK_S)

    def _have_unlinked(self, beat: _Beat, garbage: list[Garbage]) -> None:
        beat.busy = True
        beat.done.clear()
        if not beat.thread.put(0, self._unlink, beat, garbage):
            beat.busy = False  # nvr is stopping; the next start does it

    def _unlink(self, beat: _Beat, garbage: Sequence[Garbage]) -> None:
        """On the volume's own thread."""
        swept, streak = beat.swept, self._unlinking[beat.swept.name]
        try:
            if swept.volume is None:
                return
            # Whatever was unmounted meanwhile, what lies at the mount point now is not ours to delete.
            swept.volume.check_usable()
            done, freed_bytes, trouble = _unlinked(swept.disk, swept.volume.path, garbage)
            beat.unlinked_bytes += freed_bytes
            self._index.forget([one.id for one in done])
            _tidy(swept.disk, swept.volume.path, {Path(one.path).parent for one in done}, self._newest_folders())
            if trouble is not None:
                streak.hit(f"files that are to go cannot be unlinked: {trouble}")
            else:
                streak.over("files are unlinked again")
            swept.measure()
        except (OSError, VolumeMissing) as trouble_:
            streak.hit(f"files that are to go cannot be unlinked: {trouble_}")
        finally:
            beat.busy = False
            beat.done.set()

    def _newest_folders(self) -> frozenset[str]:
        """Folders of days in which files may begin at any moment are left."""
        now_us = int(self._clock.utc_us())
        return frozenset(day_path(day_of(now_us + days * _DAY_US)) for days in (-1, 0, 1))

    # ---- what is known of volumes

    def _sample(self, beat: _Beat) -> None:
        now_us, counts = int(self._clock.mono_us()), beat.swept.counts
        if not beat.samples or now_us - beat.samples[-1][0] >= _SAMPLE_US:
            beat.samples.append((now_us, beat.unlinked_bytes - counts.free_bytes))

    def _forecast(
        self,
        rooms: Sequence[Room],
        holdings: Sequence[Holding],
        footage: Sequence[Footage],
        keeps: Mapping[int, Keep],
        now_us: int,
    ) -> None:
        for room in rooms:
            beat = next(one for one in self._beats.values() if one.swept.volume_id == room.volume)
            counts = beat.swept.counts
            here = [one for one in holdings if one.volume_id == room.volume]
            held_bytes = sum(one.size_bytes for one in here)
            counts.film_bytes = sum(one.film_bytes for one in here)
            beat.clip_bytes = held_bytes - counts.footage_bytes
            if beat.rate_bytes_s is not None:
                counts.full_in_s = retention.seconds_until_full(room, held_bytes)
            counts.oldest_free_us = min(
                (
                    one.start_us
                    for one in footage
                    if one.volume == room.volume
                    and one.kind is Kind.SEGMENT
                    and one.end_us <= now_us - keeps[one.camera].min_us
                ),
                default=None,
            )
            counts.at_floor = room.free_bytes <= retention.target_free_bytes(room)

    def _tell_oldest(self, holdings: Sequence[Holding]) -> None:
        oldest_us: dict[str, int] = {}
        for one in holdings:
            slug = self._slugs.get(one.camera_id, "")
            if one.oldest_us is not None:
                oldest_us[slug] = min(one.oldest_us, oldest_us.get(slug, one.oldest_us))
        for slug, counts in list(self._metrics.cameras.items()):
            counts.oldest_segment_us = oldest_us.get(slug, 0)
        for beat in self._beats.values():
            own = [one.oldest_us for one in holdings if one.volume_id == beat.swept.volume_id and one.oldest_us]
            beat.swept.counts.oldest_us = min(own, default=0)

    # ---- what is said

    def _tell_broken(self, went: Sequence[Goes], keeps: Mapping[int, Keep], now_us: int) -> None:
        until_us = self._broken_until_us
        if until_us is None:
            until_us = self._broken_until_us = self._broken_before(keeps, now_us)
        for goes in went:
            if goes.rule is Rule.PROMISE_BROKEN:
                camera = goes.footage.camera
                until_us[camera] = max(until_us.get(camera, 0), goes.footage.end_us + keeps[camera].min_us)
        for camera in {goes.footage.camera for goes in went if goes.rule is Rule.PROMISE_BROKEN}:
            days = keeps[camera].min_us / (86_400 * US)
            text = (
                f"footage younger than min_days ({days:g}) was deleted, because the disk has no room left otherwise: "
                "make room, or promise less"
            )
            facts = {"until_us": until_us[camera]}
            if self._note_event(PROMISE_BROKEN, text, facts, now_us, camera_id=camera):
                log.error(text, extra={"camera": self._slugs.get(camera), "action": PROMISE_BROKEN})
        for camera, slug in self._slugs.items():
            if slug in self._metrics.cameras:
                self._metrics.cameras[slug].promise_broken = until_us.get(camera, 0) > now_us

    def _broken_before(self, keeps: Mapping[int, Keep], now_us: int) -> dict[int, int]:
        """What earlier lives could not keep."""
        longest_us = max((keep.min_us for keep in keeps.values()), default=0)
        ids = {slug: camera for camera, slug in self._slugs.items()}
        found: dict[int, int] = {}
        if longest_us:
            for event in self._reader.events_between(now_us - longest_us, now_us + 1):
                if event.kind == PROMISE_BROKEN and event.camera in ids:
                    camera = ids[event.camera]
                    found[camera] = max(found.get(camera, 0), int(event.facts.get("until_us", 0)))
        return found

    def _tell_emergency(self, went: Sequence[Goes], now_us: int) -> None:
        for name, beat in self._beats.items():
            own = [goes for goes in went if goes.footage.volume == beat.swept.volume_id]
            rushed = [goes for goes in own if goes.rule in (Rule.EMERGENCY, Rule.PROMISE_BROKEN)]
            if rushed:
                freed = size_text(sum(goes.footage.size_bytes for goes in rushed))
                text = f"volume '{name}' was full: the oldest footage on it was deleted at once ({freed})"
                is_news = self._note_event(DISK_FULL, text, {"volume": name}, now_us)
                level = logging.WARNING if is_news else logging.DEBUG
                log.log(level, text, extra={"volume": name, "action": "evicted", "files": len(rushed)})

    def _note_event(
        self, kind: str, text: str, facts: dict[str, Any], now_us: int, *, camera_id: int | None = None
    ) -> bool:
        """Whether it is news: the same of the same is noted once an hour."""
        key = (kind, camera_id or facts.get("volume"))
        if now_us - self._told_us.get(key, -_EVENT_AGAIN_US) < _EVENT_AGAIN_US:
            return False
        self._told_us[key] = now_us
        self._index.add_event(now_us, kind, text, facts, camera_id=camera_id)
        return True

    def _tell_unmet(self, unmet: Sequence[Unmet]) -> None:
        keys = {(one.rule, one.volume, one.camera): one for one in unmet}
        for key, one in keys.items():
            streak = self._unmet.setdefault(key, Streak(log, {"action": "retention-unmet", "rule": one.rule.value}))
            streak.hit(self._unmet_sentence(one))
        for key, streak in self._unmet.items():
            if key not in keys:
                streak.over("this can be kept again")

    def _unmet_sentence(self, one: Unmet) -> str:
        what = (
            f"the quota of camera '{self._slugs.get(one.camera)}'"
            if one.camera is not None
            else f"{'the quota' if one.rule is Rule.QUOTA_VOLUME else 'keep_free'} of volume '{self._name(one.volume)}'"
        )
        return f"{what} cannot be kept: all that is left is locked, held by clips, or promised by min_days"

    def _name(self, volume_id: int | None) -> str:
        return next((name for name, beat in self._beats.items() if beat.swept.volume_id == volume_id), "")

    def _take_ballast(self) -> None:
        try:
            self._ballast.take()
        except OSError as trouble:
            self._ballast_trouble.hit(f"no room can be kept for deletions on a full disk: {trouble}")
        else:
            self._ballast_trouble.over("room is kept for deletions on a full disk again")


def _is_short(beat: _Beat) -> bool:
    """Its recorders wait for room, and pruning may give it."""
    if not beat.swept.is_there or beat.thread.stuck:
        return False
    room = beat.swept.room()
    return not retention.takes_footage(room) and retention.can_ever_take(room)


def _is_running_out(beat: _Beat) -> bool:
    """It is filled so quickly that the next look would be late."""
    swept = beat.swept
    if not swept.is_there or beat.thread.stuck or beat.busy:
        return False
    held_bytes = swept.counts.footage_bytes + beat.clip_bytes
    return retention.is_running_out(swept.room(beat.rate_bytes_s or 0.0), held_bytes)


def _unlinked(disk: Disk, root: Path, garbage: Sequence[Garbage]) -> tuple[list[Garbage], int, OSError | None]:
    """Unlinks files and syncs their folders: what is gone for good, its size, and the last trouble."""
    gone: dict[Path, list[Garbage]] = {}
    freed_bytes, trouble = 0, None
    for one in garbage:
        path = root / one.path
        try:
            for name in _names_of(path):
                freed_bytes += _unlink_one(disk, name)
        except OSError as failed:
            trouble = failed
        else:
            gone.setdefault(path.parent, []).append(one)
    done: list[Garbage] = []
    for folder, files in gone.items():
        try:
            disk.fsync_directory(folder)
        except (FileNotFoundError, NotADirectoryError):
            done += files  # somebody took the folder away, and all that was in it
        except OSError as failed:
            trouble = failed
        else:
            done += files
    return done, freed_bytes, trouble


def _names_of(path: Path) -> list[Path]:
    """What goes with a file: what an attempt at it left, and the snapshot beside a clip's."""
    beside = [snapshot_of(path)] if CLIPS in path.parts else []
    return [path, path.with_name(path.name + PART), *beside]


def _unlink_one(disk: Disk, path: Path) -> int:
    """What that frees: nothing where the file has another name, or is not there."""
    try:
        found = path.lstat()
        disk.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return found.st_size if found.st_nlink == 1 else 0


def _tidy(disk: Disk, root: Path, folders: set[Path], newest: frozenset[str]) -> None:
    """Takes away folders that are empty now: a day's, and the month's and year's above it."""
    for folder in folders:
        if any(str(folder).endswith(day) for day in newest):
            continue
        for each in (folder, *folder.parents):
            if not each.name.isdigit():
                break
            try:
                disk.rmdir(root / each)
            except OSError:
                break  # not empty, as a rule


def _be_nice() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # Linux: of this thread alone

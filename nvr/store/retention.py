"""Decides which footage goes and by which rule: by its age, by quotas, and where a disk needs room.

Pure: told the time, the rooms left on the volumes, and the oldest footage of each camera on each of them; answers what
goes, oldest first. What a clip holds or somebody locked is never among it. What `min_days` promises goes last of all,
and only where a volume could not take footage otherwise.

Something is as old as its last moment. So the film of a day goes after the footage of that day, and before the next
day's: where room is short it is footage like other footage.

A volume is pruned to more than its recorders need (`target_free_bytes` is past `keep_free` whatever the figures), so
that no volume ever stands still over footage that may go.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final, assert_never

from nvr.units import US


class Rule(StrEnum):
    """Why something goes."""

    MAX_DAYS = "max-days"
    """It is older than footage may get."""
    CLIP_DAYS = "clip-days"
    """It is a clip, older than clips may get."""
    KEEP_DAYS = "keep-days"
    """It is a film, older than its camera's films may get."""
    QUOTA_CAMERA = "quota-camera"
    """Its camera has more than its share."""
    QUOTA_VOLUME = "quota-volume"
    """Its volume is to hold no more."""
    FLOOR = "floor"
    """Its volume's file system is about to have too little left."""
    INODES = "inodes"
    """Its volume's file system is about to have too few files left."""
    EMERGENCY = "emergency"
    """Its volume has too little left to record, because something else filled it."""
    PROMISE_BROKEN = "promise-broken"
    """The same, and nothing is left but footage that `min_days` promised to keep."""


class Kind(Enum):
    """What is deleted as a whole."""

    SEGMENT = "segment"
    CLIP = "clip"
    """Its row and its files, if it has any."""
    FILM = "film"
    """Of a whole day; its row and its files."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long footage of a camera is kept."""

    min_us: int = 0
    max_us: int = 1 << 62
    clip_us: int = 1 << 62
    """Clips, which have files of their own."""
    quota_bytes: int | None = None
    """On all volumes together."""
    film_us: int | None = None
    """Films; None where none are wanted any more: those that are left follow `max_us`."""

    def law(self, kind: Kind) -> tuple[Rule, int]:
        """How old something may get, and the rule that says so."""
        match kind:
            case Kind.SEGMENT:
                return Rule.MAX_DAYS, self.max_us
            case Kind.CLIP:
                return Rule.CLIP_DAYS, self.clip_us
            case Kind.FILM:
                return (Rule.MAX_DAYS, self.max_us) if self.film_us is None else (Rule.KEEP_DAYS, self.film_us)
            case _:
                assert_never(kind)


@dataclass(frozen=True, slots=True)
class Room:
    """A volume as it is now."""

    volume: int
    size_bytes: int
    free_bytes: int
    """As the service may use it (f_bavail)."""
    keep_free_bytes: int
    inodes: int = 0
    """0 where the file system does not count them."""
    free_inodes: int = 0
    quota_bytes: int | None = None
    rate_bytes_s: float = 0.0
    """How quickly it is filled."""


@dataclass(frozen=True, slots=True)
class Footage:
    """Something that may go."""

    kind: Kind
    id: int
    camera: int
    volume: int | None
    """None for a clip without a file."""
    start_us: int
    end_us: int
    size_bytes: int
    held: bool = False
    """A clip that is locked or not yet exported needs it, or it is one."""


@dataclass(frozen=True, slots=True)
class Goes:
    """Something that is to be deleted."""

    footage: Footage
    rule: Rule


@dataclass(frozen=True, slots=True)
class Unmet:
    """A rule that cannot be kept, because nothing more may go."""

    rule: Rule
    volume: int | None
    camera: int | None
    missing_bytes: int


@dataclass(slots=True)
class Decision:
    """What goes, in the order in which it should."""

    going: list[Goes] = field(default_factory=list)
    unmet: list[Unmet] = field(default_factory=list)


_LEAST_ROOM_BYTES: Final = 256 << 20  # two minutes of eight cameras at 2 Mbit/s
_AHEAD_S: Final = 600  # recorders may write so long before the next look is late by ten looks
_ROOM_SHARE: Final = 20  # at most this part of a file system is kept clear in front of its floor
_QUOTA_SHARE: Final = 10  # and of a quota
_LEAST_INODES: Final = 1000  # of the file system's; an hour of sixteen cameras
_INODES_SHARE: Final = 100
_LIFETIME_S: Final = 100 * 365 * 86_400  # what is farther away than any disk lives is never


def takes_footage(room: Room) -> bool:
    """Whether recorders may begin files here."""
    return room.free_bytes >= room.keep_free_bytes and not _few_inodes(room, least_inodes(room))


def target_free_bytes(room: Room) -> int:
    """Up to where a volume is pruned: more than recorders need, and less than the file system has.

    Where keep_free is more than all of it, no pruning would help, and this is keep_free.
    """
    return room.keep_free_bytes + _ahead_bytes(room)


def least_inodes(room: Room) -> int:
    """How many files recorders leave free."""
    return min(_LEAST_INODES, room.inodes // _INODES_SHARE)


def can_ever_take(room: Room) -> bool:
    """Whether the volume could take footage if everything on it were deleted."""
    return room.keep_free_bytes < room.size_bytes


def is_running_out(room: Room, held_bytes: int) -> bool:
    """Half of what is kept clear in front of the floor or the quota is used: the next look should be now."""
    if can_ever_take(room) and 2 * (room.free_bytes - room.keep_free_bytes) < _ahead_bytes(room):
        return True
    quota = room.quota_bytes
    return quota is not None and 2 * (quota - held_bytes) < quota - _target_bytes(quota, room)


def seconds_until_full(room: Room, held_bytes: int) -> float:
    """When at the present rate footage has to go for new footage; infinite where it is not filled at all."""
    left_bytes = room.free_bytes - target_free_bytes(room)
    if room.quota_bytes is not None:
        left_bytes = min(left_bytes, _target_bytes(room.quota_bytes, room) - held_bytes)
    if left_bytes <= 0:
        return 0.0
    return left_bytes / room.rate_bytes_s if room.rate_bytes_s > 0 else float("inf")


def decide(
    now_us: int,
    rooms: Sequence[Room],
    keeps: Mapping[int, Keep],
    held_bytes: Mapping[tuple[int, int], int],
    footage: Iterable[Footage],
    *,
    most: int,
) -> Decision:
    """What goes now, at most so much.

    `held_bytes` is how much there is by volume and camera. `footage` has of each camera on each volume the oldest
    segments, clips and films, `most` of each where there are so many; `keeps` names each of their cameras.
    """
    desk = _Desk(now_us, keeps, held_bytes, footage, most)
    for room in rooms:
        if not takes_footage(room):
            desk.make_room(room)
    desk.enforce_ages()
    for camera, keep in keeps.items():
        if keep.quota_bytes is not None:
            desk.enforce_camera_quota(camera, keep.quota_bytes, rooms)
    for room in rooms:
        if room.quota_bytes is not None:
            desk.enforce_volume_quota(room, room.quota_bytes)
    for room in rooms:
        if takes_footage(room):
            desk.make_room(room)
    return desk.decision


@dataclass(frozen=True, slots=True)
class Prospect:
    """By which rule a camera's oldest footage would go, and when if all goes on as lately."""

    rule: Rule
    at_us: int | None
    """None: not at the present rate."""
    volume: int | None = None
    """Of the rules that are a volume's."""
    kind: Kind = Kind.SEGMENT
    """Of the rules that are an age: of what."""


def prospects(
    now_us: int,
    keep: Keep,
    oldest: Sequence[Footage],
    held_bytes: int,
    rate_bytes_s: float,
    rooms: Sequence[tuple[Room, int]],
) -> list[Prospect]:
    """What will end a camera's oldest footage, the soonest first.

    `oldest` are the oldest segment that no clip holds and the oldest film, as far as there are such, `rate_bytes_s` is
    how much the camera was recorded lately, `rooms` are the volumes it has footage on, each with how much is held there
    of all cameras.
    """
    found: list[Prospect] = []
    for one in oldest:
        rule, age_us = keep.law(one.kind)
        found.append(Prospect(rule, max(now_us, one.end_us + age_us), kind=one.kind))
    if keep.quota_bytes is not None:
        found.append(Prospect(Rule.QUOTA_CAMERA, _reached_us(now_us, keep.quota_bytes - held_bytes, rate_bytes_s)))
    for room, held in rooms:
        if can_ever_take(room):
            left = room.free_bytes - target_free_bytes(room)
            found.append(Prospect(Rule.FLOOR, _reached_us(now_us, left, room.rate_bytes_s), room.volume))
        if room.quota_bytes is not None:
            left = _target_bytes(room.quota_bytes, room) - held
            found.append(Prospect(Rule.QUOTA_VOLUME, _reached_us(now_us, left, room.rate_bytes_s), room.volume))
    return sorted(found, key=lambda one: (one.at_us is None, one.at_us or 0))


def _reached_us(now_us: int, left_bytes: int, rate_bytes_s: float) -> int | None:
    if left_bytes <= 0:
        return now_us
    if left_bytes > rate_bytes_s * _LIFETIME_S:
        return None
    return now_us + round(left_bytes / rate_bytes_s * US)


class _Desk:
    """One decision on its way: everything that goes is taken off at once, so that each rule sees what is left."""

    def __init__(
        self,
        now_us: int,
        keeps: Mapping[int, Keep],
        held_bytes: Mapping[tuple[int, int], int],
        footage: Iterable[Footage],
        most: int,
    ) -> None:
        self.decision = Decision()
        self._now_us = now_us
        self._keeps = keeps
        self._most = most
        self._left = {(one.kind, one.id): one for one in sorted(footage, key=_age) if not one.held}
        self._freed_bytes: dict[int, int] = {}
        self._freed_inodes: dict[int, int] = {}
        self._of_camera: dict[int, int] = {}
        self._of_volume: dict[int, int] = {}
        for (volume, camera), size_bytes in held_bytes.items():
            self._of_camera[camera] = self._of_camera.get(camera, 0) + size_bytes
            self._of_volume[volume] = self._of_volume.get(volume, 0) + size_bytes

    def enforce_ages(self) -> None:
        """The law: what is older than it may get goes, wherever there is room."""
        for one in list(self._left.values()):
            rule = self._too_old(one)
            if rule is not None:
                self._take(one, rule)

    def enforce_camera_quota(self, camera: int, quota_bytes: int, rooms: Sequence[Room]) -> None:
        rate = max((room.rate_bytes_s for room in rooms), default=0.0)
        target = quota_bytes - min(round(rate * _AHEAD_S), quota_bytes // _QUOTA_SHARE)
        over = lambda: self._of_camera.get(camera, 0) - target  # noqa: E731 - a figure that changes while it is asked
        self._take_while(over, self._unpromised(lambda one: one.camera == camera), Rule.QUOTA_CAMERA)
        self._note_unmet(Rule.QUOTA_CAMERA, None, camera, self._of_camera.get(camera, 0) - quota_bytes)

    def enforce_volume_quota(self, room: Room, quota_bytes: int) -> None:
        target, volume = _target_bytes(quota_bytes, room), room.volume
        over = lambda: self._of_volume.get(volume, 0) - target  # noqa: E731 - likewise
        self._take_while(over, self._unpromised(lambda one: one.volume == volume), Rule.QUOTA_VOLUME)
        self._note_unmet(Rule.QUOTA_VOLUME, volume, None, self._of_volume.get(volume, 0) - quota_bytes)

    def make_room(self, room: Room) -> None:
        """Frees a volume down to its target; what is promised only as far as recorders need it."""
        if not can_ever_take(room):
            self._note_unmet(Rule.FLOOR, room.volume, None, room.keep_free_bytes - room.free_bytes)
            return
        if takes_footage(room):
            rule = Rule.FLOOR if self._short_bytes(room, target_free_bytes(room)) > 0 else Rule.INODES
        else:
            rule = Rule.EMERGENCY
        here = self._unpromised(lambda one: one.volume == room.volume)
        self._take_while(lambda: self._short(room, target_free_bytes(room), 2), here, rule)
        # Half way to the floor: a promise is kept as long as there is any room in front of it.
        last_bytes = room.keep_free_bytes + (_ahead_bytes(room) + 1) // 2
        promised = [one for one in self._left.values() if one.volume == room.volume and self._is_promised(one)]
        self._take_while(lambda: self._short(room, last_bytes, 1), promised, Rule.PROMISE_BROKEN)
        self._note_unmet(rule, room.volume, None, self._short(room, room.keep_free_bytes, 1))

    # ---- what may go

    def _unpromised(self, wanted: Callable[[Footage], bool]) -> Iterator[Footage]:
        """Segments and films oldest first, then clips: these were kept because something happened."""
        left = [one for one in self._left.values() if wanted(one) and not self._is_promised(one)]
        yield from (one for one in left if one.kind is not Kind.CLIP)
        yield from (one for one in left if one.kind is Kind.CLIP and one.volume is not None)

    def _is_promised(self, one: Footage) -> bool:
        return one.end_us > self._now_us - self._keeps[one.camera].min_us

    def _too_old(self, one: Footage) -> Rule | None:
        rule, age_us = self._keeps[one.camera].law(one.kind)
        return rule if one.end_us <= self._now_us - age_us else None

    # ---- taking

    def _take_while(self, missing: Callable[[], int], footage: Iterable[Footage], rule: Rule) -> None:
        if missing() <= 0:
            return
        for one in footage:
            self._take(one, self._too_old(one) or rule)
            if missing() <= 0:
                return

    def _take(self, one: Footage, rule: Rule) -> None:
        if len(self.decision.going) >= self._most:
            return
        self.decision.going.append(Goes(one, rule))
        del self._left[one.kind, one.id]
        self._of_camera[one.camera] = self._of_camera.get(one.camera, 0) - one.size_bytes
        if one.volume is not None:
            self._of_volume[one.volume] = self._of_volume.get(one.volume, 0) - one.size_bytes
            self._freed_bytes[one.volume] = self._freed_bytes.get(one.volume, 0) + one.size_bytes
            self._freed_inodes[one.volume] = self._freed_inodes.get(one.volume, 0) + 1

    def _short(self, room: Room, free_bytes: int, times_inodes: int) -> int:
        """How much is missing to that much free space and so many times the files that recorders leave free."""
        few = _few_inodes(room, times_inodes * least_inodes(room), self._freed_inodes.get(room.volume, 0))
        return max(self._short_bytes(room, free_bytes), int(few))

    def _short_bytes(self, room: Room, free_bytes: int) -> int:
        return free_bytes - room.free_bytes - self._freed_bytes.get(room.volume, 0)

    def _note_unmet(self, rule: Rule, volume: int | None, camera: int | None, missing_bytes: int) -> None:
        """Where the decision is cut short the rest of it is still to come."""
        if missing_bytes > 0 and len(self.decision.going) < self._most:
            self.decision.unmet.append(Unmet(rule, volume, camera, missing_bytes))


def _age(one: Footage) -> tuple[int, int, str]:
    return one.end_us, one.id, one.kind.value


def _ahead_bytes(room: Room) -> int:
    """What recorders may write until the next look has helped; at least something, wherever anything helps."""
    wanted = min(max(_LEAST_ROOM_BYTES, round(room.rate_bytes_s * _AHEAD_S)), room.size_bytes // _ROOM_SHARE)
    possible = room.size_bytes - room.keep_free_bytes
    return 0 if possible <= 0 else max(1, min(wanted, possible // 2))


def _target_bytes(quota_bytes: int, room: Room) -> int:
    """A quota is never passed: room for what is written meanwhile is kept in front of it."""
    return quota_bytes - min(_ahead_bytes(room), quota_bytes // _QUOTA_SHARE)


def _few_inodes(room: Room, wanted: int, freed: int = 0) -> bool:
    return room.inodes > 0 and room.free_inodes + freed < wanted

"""When cameras looked somewhere, and when they moved: over all cameras and months, on connections that only read.

The index knows rests to the hundredth of a degree and sweeps by the box they stayed within. So a search answers every
moment that is asked for, and of sweeps also moments around it; asked for exactness it reads the labels of those files
that it is not sure of.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Final, NamedTuple

from nvr.store.field_of_view import CIRCLE, Arc, FieldOfView, Sector, arc_of, folded
from nvr.store.looks import REST_WIDTH
from nvr.store.reader import FoundLook, KnownView, Near, Reader
from nvr.store.rows import Box, LookKind, View
from nvr.store.tracks import Track
from nvr.units import US, PanTiltZoom

_FIRST_STEP_US: Final = 3600 * US  # how far the first question to the index reaches
_FEW: Final = 2_000
_MANY: Final = 8_000
"""Looks of one question to the index: with fewer the next one reaches twice as far, with more half as far."""
_SEGMENTS_AT_ONCE: Final = 500
_TRACKS_KEPT: Final = 64  # what is found of one file mostly comes together, also where many cameras take turns
_LOWEST: Final = -(1 << 30)

TrackOf = Callable[[int], Track | None]
"""The track of the segment with this id; None where it cannot be read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a camera should have looked. Ranges are hundredths as on the wire, both ends included; None is anywhere."""

    pan: Arc | None = None
    tilt: tuple[int, int] | None = None
    zoom: tuple[int, int] | None = None
    preset: int | None = None
    in_view: Mapping[str, FieldOfView] | None = None
    """By camera: pan and tilt ask for what was in the picture, not for its middle."""

    def near(self) -> Near:
        """Bounds of the views that may be touched."""
        if self.in_view is not None:
            return Near(preset=self.preset, zoom=self.zoom)
        return Near(self.preset, self.pan, self.tilt, self.zoom)

    def touched_by(self, box: Box, camera: str) -> bool:
        """Whether some place of the box is wanted; of the preset the box knows nothing."""
        if self.zoom is not None and not (box.zoom_from <= self.zoom[1] and self.zoom[0] <= box.zoom_to):
            return False
        if self.in_view is not None and (self.pan is not None or self.tilt is not None):
            wanted = self._sectors()
            return any(seen.touches(one) for seen in self.in_view[camera].seen(box) for one in wanted)
        if self.tilt is not None and not (box.tilt_from <= self.tilt[1] and self.tilt[0] <= box.tilt_to):
            return False
        return self.pan is None or self.pan.touches(arc_of(box))

    def holds(self, box: Box) -> bool:
        """Whether every place of the box that touches what is wanted is wanted all over."""
        if _is_point(box):
            return True
        if self.in_view is not None and (self.pan is not None or self.tilt is not None):
            return False
        return (
            (self.zoom is None or (self.zoom[0] <= box.zoom_from and box.zoom_to <= self.zoom[1]))
            and (self.tilt is None or (self.tilt[0] <= box.tilt_from and box.tilt_to <= self.tilt[1]))
            and (self.pan is None or self.pan.holds(arc_of(box)))
        )

    def _sectors(self) -> list[Sector]:
        pan = Arc(0, CIRCLE) if self.pan is None else self.pan
        if self.tilt is None:
            return [Sector(pan, _LOWEST, -_LOWEST)]
        return folded(pan, *self.tilt)


class Cursor(NamedTuple):
    """Where a page ended."""

    start_us: int
    camera: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A stretch of one camera's footage that was asked for."""

    camera: str
    start_us: int
    end_us: int
    kind: LookKind
    box: Box
    """Of a rest at most 0.2 wide for as long as nothing drifted."""
    preset: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the answer, by start and camera."""

    spans: list[Seen]
    next: Cursor | None
    """What to ask for the next page with; None where this was the last."""


def where(
    reader: Reader,
    wanted: Wanted,
    *,
    cameras: Sequence[str] | None = None,
    start_us: int,
    end_us: int,
    after: Cursor | None = None,
    limit: int = 1000,
    track_of: TrackOf | None = None,
) -> Page:
    """When these cameras (default: all) looked there within [start, end): spans that touch and agree are one.

    Spans agree where both are rests on the same preset that stay within 0.2 together, or both sweeps. With `track_of`
    what the index is not sure of is refined from labels; a file that it cannot read is answered as the index has it.
    """
    search = _Search(reader, wanted, cameras, start_us, end_us, track_of)
    found = search.groups(after, limit + 1)
    page = found[:limit]
    search.finish(page)
    spans = [
        Seen(
            group.camera,
            max(group.start_us, start_us),
            min(group.end_us, end_us),
            group.last.kind,
            group.box,
            group.last.preset,
        )
        for group in page
    ]
    return Page(spans, page[-1].place if len(found) > limit else None)


@dataclass(slots=True)
class Move:
    """From where it rested to where it came to rest."""

    camera: str
    start_us: int
    end_us: int
    before: View | None
    """The rest before; None where nothing is known or recorded of it."""
    after: View | None
    box: Box
    """Where it looked meanwhile, the rests included; sweeps are known in whole degrees."""


def moves(reader: Reader, camera: str, start_us: int, end_us: int) -> Iterator[Move]:
    """When the camera moved, of all footage that touches [start, end), in order; asked page by page as it is read.

    What happened while nothing was recorded is no move. Begin and end are known to a second, where a file ends or
    begins meanwhile; to the picture otherwise.
    """
    walk = _Walk(camera)
    looks, cursor = reader.looks_along(camera, start_us, end_us, limit=_SEGMENTS_AT_ONCE)
    while cursor is not None:
        for look in looks:
            if look.end_us > start_us and look.start_us < end_us:
                yield from walk.on_look(look.start_us, look.end_us, look.view)
        looks, cursor = reader.looks_along(camera, start_us, end_us, after=cursor, limit=_SEGMENTS_AT_ONCE)
    yield from walk.over()


# ---- searching


class _Group:
    """Looks of one camera that touch and agree."""

    __slots__ = ("box", "camera", "end_us", "last", "start_us")

    def __init__(self, camera: str, start_us: int, end_us: int, view: View) -> None:
        self.camera = camera
        self.start_us = start_us
        self.end_us = end_us
        self.last = view
        self.box = view.box

    @property
    def place(self) -> Cursor:
        return Cursor(self.start_us, self.camera)

    def takes(self, start_us: int, end_us: int, view: View) -> bool:
        """Adds what comes next where it belongs to it."""
        if start_us > self.end_us:
            return False
        if view is not self.last:
            if not _agree(self.last, view):
                return False
            self.box = _joined(self.box, view.box)
            self.last = view
        if end_us > self.end_us:
            self.end_us = end_us
        return True


class _Search:
    """One page of one question."""

    def __init__(
        self,
        reader: Reader,
        wanted: Wanted,
        cameras: Sequence[str] | None,
        start_us: int,
        end_us: int,
        track_of: TrackOf | None,
    ) -> None:
        self._reader = reader
        self._wanted = wanted
        self._start_us = start_us
        self._end_us = end_us
        self._track_of = None if track_of is None else lru_cache(_TRACKS_KEPT)(track_of)
        self._views: dict[int, KnownView] = {
            known.id: known
            for known in reader.views(cameras, wanted.near())
            if wanted.touched_by(known.view.box, known.camera)
        }
        self._sure = (
            None if track_of is None else {id_ for id_, known in self._views.items() if wanted.holds(known.view.box)}
        )
        """The views of which no label needs to be asked; None where none is asked at all."""
        self._reach_us = reader.longest_segment_us()
        self._groups: list[_Group] = []
        self._newest: dict[str, _Group] = {}
        """Of each camera the group that may go on."""
        self._read_until_us = start_us
        self._step_us = _FIRST_STEP_US

    def groups(self, after: Cursor | None, enough: int) -> list[_Group]:
        """The groups behind the cursor, by place: `enough` of them, or all there are. The last ones may go on."""
        ids = list(self._views)
        if not ids:
            return []
        # A look that touches the first moment begins no earlier; what is cut off at its front is behind the cursor.
        from_us = self._start_us if after is None else max(self._start_us, after.start_us)
        at_us = self._reader.next_look(ids, from_us - self._reach_us)
        found: list[_Group] = []
        while at_us is not None and at_us < self._end_us:
            until_us = min(at_us + self._step_us, self._end_us)
            rows = self._rows(ids, at_us, until_us)
            for camera, start_us, end_us, view in self._looks(rows):
                newest = self._newest.get(camera)
                if newest is None or not newest.takes(start_us, end_us, view):
                    self._newest[camera] = group = _Group(camera, start_us, end_us, view)
                    self._groups.append(group)
            self._read_until_us = until_us
            # What begins later may still be preceded: of two cameras' sweeps the later one may have the earlier part.
            found = [
                group
                for group in self._groups
                if (group.start_us < until_us or until_us == self._end_us) and (after is None or group.place > after)
            ]
            if len(found) >= enough:
                break
            at_us = until_us if rows else self._reader.next_look(ids, until_us)
        found.sort(key=lambda group: group.place)
        return found[:enough]

    def finish(self, groups: Iterable[_Group]) -> None:
        """Follows those that may go on to their ends."""
        for group in groups:
            if self._newest.get(group.camera) is group and group.end_us >= self._read_until_us:
                self._follow(group)

    def _follow(self, group: _Group) -> None:
        ids = [id_ for id_, known in self._views.items() if known.camera == group.camera]
        at_us, self._step_us = self._read_until_us, _FIRST_STEP_US
        while at_us <= group.end_us and at_us < self._end_us:
            until_us = min(at_us + self._step_us, self._end_us)
            for _, start_us, end_us, view in self._looks(self._rows(ids, at_us, until_us)):
                if not group.takes(start_us, end_us, view):
                    return
            at_us = until_us

    def _rows(self, ids: Sequence[int], at_us: int, until_us: int) -> list[FoundLook]:
        """The looks that begin in this time; how many there are decides how far the next question reaches."""
        rows = self._reader.looks_of(ids, at_us, until_us)
        if len(rows) < _FEW:
            self._step_us *= 2
        elif len(rows) > _MANY:
            self._step_us = max(US, self._step_us // 2)
        return rows

    def _looks(self, rows: Iterable[FoundLook]) -> Iterator[tuple[str, int, int, View]]:
        """What is wanted of them."""
        views, sure, first_us = self._views, self._sure, self._start_us
        for start_us, lasts_us, view_id, segment_id in rows:
            end_us = start_us + lasts_us
            if end_us <= first_us:
                continue
            known = views[view_id]
            if sure is None or view_id in sure:
                yield known.camera, start_us, end_us, known.view
            else:
                yield from self._refined(known.camera, start_us, end_us, known.view, segment_id)

    def _refined(
        self, camera: str, from_us: int, to_us: int, view: View, segment_id: int
    ) -> Iterator[tuple[str, int, int, View]]:
        track = self._track_of(segment_id) if self._track_of is not None else None
        if track is None:
            yield camera, from_us, to_us, view
            return
        for start_us, end_us, box in _parts(track, from_us, to_us, self._wanted, camera):
            if end_us > self._start_us and start_us < self._end_us:
                yield camera, start_us, end_us, view._replace(box=box)


def _parts(track: Track, from_us: int, to_us: int, wanted: Wanted, camera: str) -> Iterator[tuple[int, int, Box]]:
    """The stretches of [from, to) whose pictures are wanted, and where the camera looked in each."""
    known: dict[PanTiltZoom | None, bool] = {None: False}
    begun_us: int | None = None
    places: dict[PanTiltZoom, None] = {}  # in the order of time
    first, end = bisect_left(track.starts_us, from_us), bisect_left(track.starts_us, to_us)
    for at_us, position in zip(track.starts_us[first:end], track.positions[first:end], strict=True):
        if position not in known and position is not None:
            known[position] = wanted.touched_by(_box_of(position), camera)
        if known[position] and position is not None:
            begun_us = at_us if begun_us is None else begun_us
            places[position] = None
        elif begun_us is not None:
            yield begun_us, at_us, _around_all(places)
            begun_us = None
            places.clear()
    if begun_us is not None:
        yield begun_us, to_us, _around_all(places)


# ---- moving


@dataclass(slots=True)
class _Walk:
    """Tells moves from looks as they come."""

    camera: str
    _rest: View | None = None
    _move: Move | None = None
    _until_us: int = field(default=-(1 << 62))

    def on_look(self, start_us: int, end_us: int, view: View) -> Iterator[Move]:
        """What is known to be a move once this look has begun."""
        if start_us != self._until_us:
            yield from self.over()
        self._until_us = end_us
        if view.kind is LookKind.SWEEP:
            if self._move is None:
                self._move = Move(self.camera, start_us, end_us, self._rest, None, _around(self._rest, view))
            else:
                self._move.end_us, self._move.box = end_us, _joined(self._move.box, view.box)
            return
        move = self._move
        if move is None and self._rest is not None:
            move = Move(self.camera, start_us, start_us, self._rest, None, self._rest.box)  # within one picture
        self._rest, self._move = view, None
        if move is not None:
            move.after, move.box = view, _joined(move.box, view.box)
            if not _is_narrow(move.box):
                yield move

    def over(self) -> Iterator[Move]:
        """What was on its way where the footage ends."""
        move, self._move, self._rest = self._move, None, None
        if move is not None and not _is_narrow(move.box):
            yield move


def _around(rest: View | None, view: View) -> Box:
    return view.box if rest is None else _joined(rest.box, view.box)


# ---- boxes


def _agree(one: View, other: View) -> bool:
    if one.kind is not other.kind or one.preset != other.preset:
        return False
    return one.kind is LookKind.SWEEP or _is_narrow(_joined(one.box, other.box))


def _joined(one: Box, other: Box) -> Box:
    pan = arc_of(one).joined(arc_of(other))
    return Box(
        pan.start,
        (pan.start + pan.width) % CIRCLE,
        min(one.tilt_from, other.tilt_from),
        max(one.tilt_to, other.tilt_to),
        min(one.zoom_from, other.zoom_from),
        max(one.zoom_to, other.zoom_to),
    )


def _around_all(positions: Iterable[PanTiltZoom]) -> Box:
    """Around places that are close to each other in turn, as a camera takes them."""
    return reduce(_joined, map(_box_of, positions))


def _is_narrow(box: Box) -> bool:
    """Whether the camera may have been at rest all over it."""
    return (
        arc_of(box).width <= REST_WIDTH
        and box.tilt_to - box.tilt_from <= REST_WIDTH
        and box.zoom_to - box.zoom_from <= REST_WIDTH
    )


def _is_point(box: Box) -> bool:
    return box.pan_from == box.pan_to and box.tilt_from == box.tilt_to and box.zoom_from == box.zoom_to


def _box_of(position: PanTiltZoom) -> Box:
    pan, tilt, zoom = position
    return Box(pan, pan, tilt, tilt, zoom, zoom)

"""One attempt to make a file of a clip: cut from its segments picture for picture, read back, and only then named."""

import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from nvr.media import boxes, label
from nvr.media.errors import MediaError, NotDecodable
from nvr.media.positions import PositionTrack
from nvr.media.stitch import Mark, Source, Stitched, window
from nvr.record.shelf import Shelf
from nvr.store.archive import Archive
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.ledger import unrecorded_us
from nvr.store.names import PART, clip_path, numbered
from nvr.store.reader import Reader
from nvr.store.rows import Clip, ClipExport, ClipMember, Recorded, SegmentState
from nvr.store.tracks import track_of
from nvr.store.volumes import Volume, disk_trouble
from nvr.units import US

log = logging.getLogger(__name__)

TROUBLE: Final = (OSError, MediaError, DiskFull, VolumeMissing, ValueError)
"""What may go wrong with one clip, and well another time."""

_CANNOT_LINK: Final = frozenset({errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment's file, and what of it is the clip's."""

    member: ClipMember
    source: Source
    movie: boxes.Movie

    @property
    def is_whole(self) -> bool:
        """The clip has every picture of a segment that is as it was promised."""
        row, samples = self.member.segment.row, self.movie.samples
        all_of_it = self.source.first_tick <= samples[0].ticks and self.source.last_tick >= samples[-1].ticks
        return all_of_it and row.state is SegmentState.OK and len(samples) == row.frames

    @property
    def estimated_bytes(self) -> int:
        row = self.member.segment.row
        wanted = min(self.source.last_tick, row.duration_ticks) - self.source.first_tick
        return row.size_bytes * max(0, wanted) // max(1, row.duration_ticks)


class ClipFile:
    """One attempt to make one clip's file.

    `rest` is called between pieces of work, and may raise to end the attempt. `patient`: where a volume is away that
    has a part of the clip, the attempt fails; else the clip goes without that part.
    """

    def __init__(
        self, clip: Clip, reader: Reader, shelves: Mapping[str, Shelf], rest: Callable[[], None], *, patient: bool
    ) -> None:
        self._clip = clip
        self._reader = reader
        self._shelves = shelves
        self._rest = rest
        self._patient = patient
        self._gap_us = 0

    def make(self) -> ClipExport:
        """Makes the file, synced and named, as its row is to promise it. Raises one of `TROUBLE`."""
        clip = self._clip
        members = self._reader.members_of(clip.id)
        parts = [part for member in members if (part := self._part(member)) is not None]
        self._gap_us = self._missing_us(parts)
        if not parts or clip.start_us is None:
            self._clear([])
            return ClipExport(None, None, 0, None, self._gap_us)
        path = clip_path(clip.camera, clip.start_us, clip.rule, clip.id)
        self._clear(parts)
        shelf, volume = self._shelf_for(parts)
        target = shelf.place.path / path
        shelf.archive.make_folder(volume, target.parent)
        with disk_trouble(f"exporting clip {clip.id} to volume {shelf.name}"):
            linked = self._linked(shelf, parts, target)
            files = linked or self._stitched(shelf.archive, parts, target)
        sizes = [file.stat().st_size for file in files]
        return ClipExport(shelf.volume_id, path, len(files), sum(sizes), self._gap_us, linked=bool(linked))

    # ---- what it is made of

    def _part(self, member: ClipMember) -> _Part | None:
        """What can be read of a member; None, said, where its file is gone for good or cannot be understood."""
        segment = member.segment
        shelf = self._shelves.get(segment.volume)
        if shelf is None:
            self._leave_out(segment.path, f"volume '{segment.volume}' is not configured any more")
            return None
        try:
            _check_there(shelf)
        except VolumeMissing as trouble:
            if self._patient:
                raise
            self._leave_out(segment.path, str(trouble))
            return None
        path = _file_of(shelf, segment.path)
        try:
            movie = boxes.movie(path)
        except (FileNotFoundError, MediaError) as trouble:
            self._leave_out(segment.path, str(trouble))
            return None
        if not movie.samples:
            return None
        first_tick, last_tick = _first_tick(member, movie), _last_tick(member, movie)
        return _Part(member, Source(path, first_tick, last_tick, segment.row.start_us), movie)

    def _leave_out(self, path: str, why: str) -> None:
        log.warning("clip without a part of it: %s", why, extra={**log_keys(self._clip), "segment": path})

    def _missing_us(self, parts: Sequence[_Part]) -> int:
        clip = self._clip
        if clip.start_us is None or clip.end_us is None:
            return 0
        rows = [part.member.segment.row for part in parts]
        recorded = [Recorded(row.start_us, row.end_us, clip.epoch) for row in rows]
        spans = self._reader.spans_between(clip.camera, clip.start_us, clip.end_us)
        return unrecorded_us(recorded, spans, clip.epoch, clip.start_us, clip.end_us)

    def _shelf_for(self, parts: Sequence[_Part]) -> tuple[Shelf, Volume]:
        """The volume of its first segment, where a link may do, or else any that takes footage and has room."""
        first = self._shelves[parts[0].member.segment.volume]
        needed = sum(part.estimated_bytes for part in parts)
        others = [shelf for shelf in self._shelves.values() if shelf is not first]
        for shelf in (first, *others):
            room = shelf.counts.free_bytes - shelf.place.keep_free_bytes
            if shelf.refusal is None and shelf.volume is not None and room >= needed:
                return shelf, shelf.volume
        raise DiskFull("no volume takes its file")

    # ---- how it is made

    def _clear(self, parts: Sequence[_Part]) -> None:
        """Takes away what an earlier attempt left under the clip's name, on whichever volume."""
        clip = self._clip
        if clip.start_us is None:
            return
        path = clip_path(clip.camera, clip.start_us, clip.rule, clip.id)
        for shelf in self._shelves.values():
            if shelf.volume is None:
                continue
            found = list(_left_behind(shelf.place.path / path))
            for file in found:
                if not file.name.endswith(PART) and not self._is_ours(file, shelf.archive, parts):
                    raise FileExistsError(errno.EEXIST, "a file that is not this clip's has its name", str(file))
                shelf.archive.disk.unlink(file)
            if found:
                shelf.archive.disk.fsync_directory(found[0].parent)

    def _is_ours(self, file: Path, archive: Archive, parts: Sequence[_Part]) -> bool:
        if any(file.samefile(part.source.path) for part in parts):
            return True
        said = label.read(file)
        if said is None or said.kind is not label.Kind.CLIP or said.clip is None:
            return False
        return str(said.archive) == archive.archive_id and said.clip.get("id") == self._clip.id

    def _linked(self, shelf: Shelf, parts: Sequence[_Part], target: Path) -> list[Path]:
        """A second name for the one segment that is the clip; nothing where it is not so, or cannot be."""
        if len(parts) != 1 or not parts[0].is_whole or parts[0].member.segment.volume != shelf.name:
            return []
        disk = shelf.archive.disk
        try:
            disk.link(parts[0].source.path, target)
        except OSError as trouble:
            if trouble.errno in _CANNOT_LINK:
                return []
            raise
        disk.fsync_directory(target.parent)
        return [target]

    def _stitched(self, archive: Archive, parts: Sequence[_Part], target: Path) -> list[Path]:
        """Files of its own, synced, read back, and only then named."""
        clip, disk = self._clip, archive.disk
        written = window(
            [part.source for part in parts],
            target.with_name(target.name + PART),
            disk=disk,
            metadata=_metadata(clip),
            marks=_marks(clip),
            label_for=lambda stitched: self._label(archive, parts, stitched),
            progress=lambda _done, _total: self._rest(),
        )
        if not written:
            raise NotDecodable("there is no picture in it that one can begin with")
        for stitched in written:
            for _ in _compared(stitched):
                self._rest()
        files = [target.with_name(numbered(target.name, number)) for number in range(1, len(written) + 1)]
        for stitched, file in zip(written, files, strict=True):
            disk.rename_noreplace(stitched.path, file)
        disk.fsync_directory(target.parent)
        return files

    def _label(self, archive: Archive, parts: Sequence[_Part], stitched: Stitched) -> label.Label:
        clip = self._clip
        part = next(part for part in parts if part.source is stitched.pieces[0].source)
        row = part.member.segment.row
        said = label.read(part.source.path)
        return label.Label(
            archive=UUID(archive.archive_id),
            camera=clip.camera,
            run=row.run,
            seq=row.seq,
            start_us=stitched.start_us,
            end_us=stitched.end_us,
            frames=stitched.frames,
            duration_ticks=stitched.duration_ticks,
            time_base=stitched.time_base,
            first_tick=0,
            zero_us=stitched.start_us,
            slope_ppb=0,
            clock=label.ClockSource.STREAM if said is None else said.clock,
            synchronised=None if said is None else said.synchronised,
            kind=label.Kind.CLIP,
            model=None if said is None else said.model,
            camera_id=None if said is None else said.camera_id,
            clip=_facts(clip, self._gap_us),
            positions=_positions(parts, stitched),
        )


def log_keys(clip: Clip) -> dict[str, Any]:
    """What every word in the log about a clip's file says."""
    return {"camera": clip.camera, "action": "clip-export", "clip": clip.id, "rule": clip.rule}


def _check_there(shelf: Shelf) -> None:
    """Raises VolumeMissing unless the volume can be read."""
    if shelf.volume is None:
        raise VolumeMissing(f"volume '{shelf.name}' is not there")
    shelf.volume.check_usable()


def _file_of(shelf: Shelf, path: str) -> Path:
    """A segment's file; one that was given up may have kept its first name."""
    sealed, part = shelf.place.path / path, shelf.place.path / (path + PART)
    return part if part.exists() and not sealed.exists() else sealed


def _first_tick(member: ClipMember, movie: boxes.Movie) -> int:
    """Where the clip begins in this file: at an I-VOP, which the index's line through the segment's times nearly hits.

    Time is slewed within a segment, so that a picture may lie some milliseconds beside that line.
    """
    keys = [picture.ticks for picture in movie.samples if picture.key]
    nearest = min(keys, key=lambda tick: abs(tick - member.first_tick), default=member.first_tick)
    return nearest if abs(nearest - member.first_tick) <= _picture_ticks(movie) / 2 else member.first_tick


def _last_tick(member: ClipMember, movie: boxes.Movie) -> int:
    """The last tick that is the clip's; the picture with which it ended, or that it all but reaches, is not."""
    row, end_tick = member.segment.row, member.last_tick + 1
    if end_tick >= row.duration_ticks:
        return max(end_tick, movie.duration_ticks)
    near = _picture_ticks(movie) / 8
    return min((p.ticks - 1 for p in movie.samples if abs(p.ticks - end_tick) <= near), default=end_tick - 1)


def _picture_ticks(movie: boxes.Movie) -> Fraction:
    """How long a picture usually stands."""
    return Fraction(movie.duration_ticks, max(1, len(movie.samples)))


def _left_behind(target: Path) -> Iterator[Path]:
    for number in count(1):
        file = target.with_name(numbered(target.name, number))
        part = target.with_name(f"{file.name}{PART}")
        found = [path for path in (part, file) if path.exists()]
        yield from found
        if number > 1 and not found:
            return


def _compared(stitched: Stitched) -> Iterator[None]:
    """Reads a file back, source by source. Raises NotDecodable where it does not hold the very pictures."""
    condition = boxes.examine(stitched.path)
    pictures = boxes.movie(stitched.path).samples
    if not condition.sealed or len(pictures) != stitched.frames:
        raise NotDecodable(f"{stitched.path.name} does not read back as it was written")
    at = 0
    for piece in stitched.pieces:
        taken = boxes.movie(piece.source.path).samples[piece.first_frame : piece.first_frame + piece.frames]
        with stitched.path.open("rb") as made, piece.source.path.open("rb") as source:
            for ours, theirs in zip(pictures[at : at + piece.frames], taken, strict=True):
                copy, original = _picture(made.fileno(), ours), _picture(source.fileno(), theirs)
                # The first picture of a file gets the VOL before it where it had none.
                if copy != original and not (at == 0 and copy.endswith(original)):
                    raise NotDecodable(f"{stitched.path.name} does not hold what {piece.source.path.name} holds")
        at += piece.frames
        yield


def _picture(fd: int, sample: boxes.Sample) -> bytes:
    return os.pread(fd, sample.size, sample.offset)


def _positions(parts: Sequence[_Part], stitched: Stitched) -> bytes | None:
    """Where the camera looked in each picture, from the segments' labels; None where nothing is known of any."""
    track, is_known = PositionTrack(), False
    for piece in stitched.pieces:
        movie = next(part.movie for part in parts if part.source is piece.source)
        said = label.read(piece.source.path)
        found = None
        with suppress(NotDecodable):
            found = None if said is None else track_of(said, [picture.ticks for picture in movie.samples])
        words = None if found is None else found.words()
        for frame in range(piece.first_frame, piece.first_frame + piece.frames):
            track.note(*((None, None) if words is None else words[frame]))
            track.add(None if found is None else found.positions[frame])
        is_known = is_known or found is not None
    return track.pack() if is_known else None


def _metadata(clip: Clip) -> dict[str, str]:
    start_us = clip.start_us or clip.alarm_at_us
    cause = "by hand" if clip.trigger == clip.rule else f"by {clip.trigger}"
    return {
        "title": f"{clip.camera} {clip.rule} {_iso(clip.alarm_at_us)}",
        "comment": (
            f"clip {clip.id} of camera {clip.camera}: alarm of rule {clip.rule} {cause} at {_iso(clip.alarm_at_us)}; "
            "pictures as the camera sent them"
        ),
        "creation_time": _iso(start_us),
    }


def _marks(clip: Clip) -> list[Mark]:
    start_us = clip.start_us or clip.alarm_at_us
    alarm = Mark(clip.alarm_at_us, f"alarm: {clip.rule} ({clip.trigger})")
    if clip.continues is not None:
        return [Mark(start_us, f"goes on from clip {clip.continues}: {clip.rule} ({clip.trigger})")]
    return [Mark(start_us, "before the alarm"), alarm] if start_us < clip.alarm_at_us else [alarm]


def _facts(clip: Clip, gap_us: int) -> dict[str, Any]:
    """What the label says of a clip: enough to make its row again."""
    return {
        "id": clip.id,
        "rule": clip.rule,
        "trigger": clip.trigger,
        "alarm_at_us": clip.alarm_at_us,
        "start_us": clip.start_us,
        "end_us": clip.end_us,
        "close_reason": clip.close_reason,
        "pre_shortfall_us": clip.pre_shortfall_us,
        "gap_us": gap_us,
        "continues": clip.continues,
        "epoch": clip.epoch,
    }


def _iso(us: int) -> str:
    at = datetime.fromtimestamp(us // US, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{us % US:06d}Z"

"""What a start does about the end before it, whatever that was: files that no row promises, rows without a file, open
runs and gaps.

It looks at `.part` names and at the day folders since the day before each camera's last row, never at the whole
archive. Everything may be done again after a kill in the middle of it. Nothing that holds a picture is ever deleted,
but for the part of a day's film, which is a copy.

Where the index was lost and begins anew, or as an older copy, a start enters each camera's newest files only: enough to
know where its footage ends. The rest is entered behind, while cameras record (nvr.store.filling).
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Final

from nvr.media import boxes, label
from nvr.media.errors import MediaError
from nvr.store import mending
from nvr.store.archive import Archive
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.index import RECOVERED, Index
from nvr.store.ledger import UNKNOWN, Ledger, SpanChange, coverage
from nvr.store.names import (
    CLIPS,
    PART,
    TIMELAPSE,
    day_of,
    day_path,
    is_folder,
    numbered,
    parse_clip_name,
    parse_segment_name,
    parse_timelapse_name,
    segment_name,
    segment_path,
    timelapse_path,
)
from nvr.store.origin import parse_origin
from nvr.store.reader import KnownFile, Reader
from nvr.store.rows import Camera, CloseClip, Entry, FilmRow, Run, SegmentRow, SegmentState
from nvr.store.volumes import Volume, disk_trouble
from nvr.units import US

log = logging.getLogger(__name__)

CRASHED: Final = "service-crashed"
STOPPED: Final = "service-stopped"
"""A camera whose last span goes on with this reason was left by an orderly stop."""

_DISK_FAILED: Final = "disk-failed"

_LEFT_ALONE: Final = frozenset({STOPPED, "record-off", "not-configured", UNKNOWN})
"""What goes on whether or not a daemon runs."""
_STEP_US: Final = (
    2 * US
)  # a last frame's interval may reach past the moment of its arrival; more is a step of the clock
_MOST_WITHOUT_A_PICTURE: Final = 16 << 20  # four seconds at the camera's 20 Mbit/s and the muxer's buffer, with room
_DAY: Final = timedelta(days=1)
_DAY_US: Final = 86_400 * US
_AT_ONCE: Final = 500  # files entered in one transaction
_MOST_OF_A_LOST_INDEX: Final = 30  # newest sealed files of each camera: fifty cameras' in about a second
_FILM_MONTHS_BACK: Final = 2  # a film is made within a week
_RUNS_BACK: Final = 2  # the newest run, and the one that was still being sealed when it began


@dataclass(slots=True)
class Recovery:
    """What was found and done."""

    crashed: bool = False
    """Whether the daemon before this one ended without an orderly stop."""
    epoch: int = 0
    """The present epoch: one more than the last where the host's clock is behind what is recorded."""
    ledgers: dict[int, Ledger] = field(default_factory=dict)
    """The account of each camera the index knows, by the camera's id, ready to be gone on with."""
    segments: Counter[str] = field(default_factory=Counter)
    """How many files or rows, by result (see `RESULTS`)."""
    torn: dict[int, int] = field(default_factory=dict)
    """By the camera's id the earliest start of a file that lost its end, or all it had."""
    found: list[tuple[int, int, int]] = field(default_factory=list)
    """Camera's id, start and end of everything that was put into the index."""
    left: list[Path] = field(default_factory=list)
    """Files that are not ours or cannot be understood; they stay where they are."""
    unfinished: bool = False
    """Older files are still to be entered."""


RESULTS: Final = ("adopted", "film", "mended", "empty", "missing", "found-again", "damaged", "left", "postponed")
"""Whole file without row · the same of a day's film · torn file cut, labelled, sealed · part without a picture,
removed · row without file · row whose file is back · file that can only be kept as damaged · not ours or not
understood · the disk would not."""


@dataclass(frozen=True, slots=True)
class Place:
    """A volume and its id in the index."""

    volume_id: int
    volume: Volume


def recover(
    index: Index,
    reader: Reader,
    archive: Archive,
    places: Sequence[Place],
    now_us: int,
    *,
    lost: bool = False,
    filling: bool = False,
) -> Recovery:
    """Does everything, before the first camera records. Raises IndexDamaged, DiskFull where the index has no space.

    Trouble with one file or one volume is that one's own: it is counted, said, and left for later. `lost`: the index
    begins anew, or as an older copy of itself, and does not know what happened since. `filling`: it did so in an
    earlier life, and older files are still being entered.
    """
    report = Recovery(epoch=reader.last_epoch())
    began: dict[int, int] = {}
    if lost:
        end_what_a_copy_left_open(index, reader)
        spare_clips(index, places)
    for place in places:
        most = _MOST_OF_A_LOST_INDEX if lost or filling else None
        for camera_id, start_us in recover_files(index, reader, archive, place, report, most=most).items():
            began[camera_id] = min(start_us, began.get(camera_id, start_us))
    report.epoch = max(report.epoch, reader.last_epoch())
    _end_runs(index, reader, report)
    close_open_clips(index, reader)
    _resume_ledgers(index, reader, report, began, now_us, UNKNOWN if lost else CRASHED)
    report.unfinished = lost or filling
    return report


def end_what_a_copy_left_open(index: Index, reader: Reader) -> None:
    """An older copy of the index knows nothing of the time after its last row: what goes on in it ends there.

    A gap that seemed to go on would hide the footage that came after it.
    """
    cameras = reader.cameras()
    spans = {camera.id: reader.newest_spans(camera.slug) for camera in cameras}
    moments = [moment for rows in spans.values() for row in rows for moment in (row.start_us, row.end_us) if moment]
    ends = [segment.row.end_us for camera in cameras if (segment := reader.last_segment(camera.slug)) is not None]
    alive_us = max([*moments, *ends], default=0)
    for camera in cameras:
        changes = Ledger(reader.last_epoch(), spans[camera.id]).recording(alive_us)
        if changes:
            index.put_spans(camera.id, changes).result()


def spare_clips(index: Index, places: Sequence[Place]) -> None:
    """Clips of which only files tell keep their numbers to themselves. Two months' names are enough: ids only rise."""
    for place in places:
        with suppress(OSError):
            for folder in camera_folders(place.volume):
                clips = place.volume.path / folder / CLIPS
                if clips.is_dir():
                    names = (name for month in islice(months_newest_first(clips), 2) for name in _names_in(month))
                    index.spare_clips(max((said.clip for name in names if (said := parse_clip_name(name))), default=0))


def close_open_clips(index: Index, reader: Reader) -> int:
    """Closes the clips that a daemon left open, where their footage ends; how many there were.

    To be called when the segments that it left are in the index, and before anything new is recorded.
    """
    clips = reader.open_clips()
    for clip in clips:
        members = reader.members_of(clip.id)
        if clip.start_us is None:
            step = CloseClip(clip.id, clip.alarm_at_us, "no-footage")
        elif not members:
            step = CloseClip(clip.id, clip.start_us, CRASHED)  # it had begun, and nothing of it reached the disk
        else:
            end_us = max(member.segment.row.end_us for member in members)
            until_us = end_us if clip.until_us is None else clip.until_us
            step = CloseClip(clip.id, max(clip.start_us, min(end_us, until_us)), CRASHED)
        index.put_clip_steps(clip.camera_id, [step]).result()
    return len(clips)


def recover_files(
    index: Index, reader: Reader, archive: Archive, place: Place, report: Recovery, *, most: int | None = None
) -> dict[int, int]:
    """Brings one volume's files and rows together; also for a volume that is mounted later, before it is written to.

    `most`: how many sealed files of each camera are entered at most, the newest ones; None: all where it looks.
    Answers the earliest start of what was put into the index, by camera.
    """
    began: dict[int, int] = {}
    garbage = condemned(reader, place)
    folders: list[str] = []
    with _postponed(report, place.volume.path):
        folders = camera_folders(place.volume)
    for folder in folders:
        desk = Desk(index, reader, archive, place, report, folder, garbage, most=most)
        with _postponed(report, place.volume.path / folder):
            days = _days_to_look_at(reader, place.volume.path / folder, desk.camera_id)
            for day in days if most is None else reversed(days):
                desk.settle_day(day)
            films = FilmDesk(index, reader, archive, place, report, folder)
            for month in islice(films.months(), _FILM_MONTHS_BACK):
                films.settle_month(month)
        if desk.camera_id is not None and desk.began_us is not None:
            began[desk.camera_id] = desk.began_us
    return began


class FilmDesk:
    """The films of one camera's folder on one volume."""

    def __init__(
        self, index: Index, reader: Reader, archive: Archive, place: Place, report: Recovery, folder: str
    ) -> None:
        self._index = index
        self._reader = reader
        self._disk = archive.disk
        self._place = place
        self._report = report
        self._folder = folder

    def months(self) -> Iterator[Path]:
        """The folders of months, newest first. Raises OSError."""
        films = self._place.volume.path / self._folder / TIMELAPSE
        return months_newest_first(films) if films.is_dir() else iter(())

    def settle_month(self, month: Path) -> None:
        """Enters films without a row and takes parts away, before the first film of this life is begun. Raises OSError.

        A part is an attempt at a copy, which is made anew while there is what it was made of.
        """
        for name in sorted(_names_in(month)):
            if name.endswith(PART) and parse_timelapse_name(name.removesuffix(PART)) is not None:
                self._disk.unlink(month / name)
                log.info("part of a film taken away", extra={"action": "recovery-film", "path": str(month / name)})
        self.enter_month(month)

    def enter_month(self, month: Path) -> None:
        """Enters the films of a month that have no row. Raises OSError."""
        known = self._reader.film_files(self._place.volume_id, self._folder)
        days = {parse_timelapse_name(name) for name in _names_in(month)}
        for day in sorted(day for day in days if day is not None and timelapse_path(self._folder, day) not in known):
            self.enter(day)

    def enter(self, day: date) -> None:
        """Enters the film of a day, unless it is not there under its name, or condemned. Raises OSError."""
        path = timelapse_path(self._folder, day)
        first = self._place.volume.path / path
        if path in condemned(self._reader, self._place) or not first.exists():
            return
        # Whoever gave it its name may have died before the folder was synced; a row must not come first.
        self._disk.fsync_directory(first.parent)
        try:
            row = self._row(day, path, files_of(first))
            if not self._index.add_film(row).result():
                raise ValueError("that day of the camera has another film")
        except (MediaError, ValueError) as trouble:
            self._report.left.append(first)
            self._report.segments["left"] += 1
            log.warning("film left alone: %s", trouble, extra={"action": "recovery-left", "path": path})
        else:
            self._report.segments["film"] += 1
            log.info("film entered", extra={"action": "film", "path": path, "pictures": row.pictures})

    def _row(self, day: date, path: str, files: Sequence[Path]) -> FilmRow:
        pictures = sum(len(boxes.movie(file).samples) for file in files)
        if pictures == 0:
            raise ValueError("there is no picture in it")
        return FilmRow(
            camera_id=camera_of(self._index, self._reader, self._folder, _start_of(day)),
            volume_id=self._place.volume_id,
            start_us=_start_of(day),
            path=path,
            files=len(files),
            size_bytes=sum(file.stat().st_size for file in files),
            pictures=pictures,
        )


def files_of(first: Path) -> list[Path]:
    """All files of a clip or film, by the name of its first. Raises OSError where that is not there."""
    first.stat()
    numbers = takewhile(lambda number: first.with_name(numbered(first.name, number)).exists(), count(1))
    return [first.with_name(numbered(first.name, number)) for number in numbers]


def size_of_files(first: Path, files: int) -> int | None:
    """Of a film, all its files together; None where one of them is gone. Raises OSError."""
    try:
        return sum(first.with_name(numbered(first.name, number)).stat().st_size for number in range(1, files + 1))
    except FileNotFoundError:
        return None


def camera_of(index: Index, reader: Reader, folder: str, at_us: int) -> int:
    """The id of the camera whose folder this is; one that the index lost is known since that moment."""
    camera_id = reader.camera_of_folder(folder)
    return index.add_camera(folder, at_us).result() if camera_id is None else camera_id


@contextmanager
def _postponed(report: Recovery, folder: Path) -> Iterator[None]:
    """A folder that cannot be read or synced keeps no other from being recovered, and no daemon from starting."""
    try:
        yield
    except OSError as trouble:
        report.segments["postponed"] += 1
        log.warning(
            "folder not recovered",
            extra={"action": "recovery-postponed", "path": str(folder), "reason": str(trouble)},
        )


def condemned(reader: Reader, place: Place) -> set[str]:
    """Paths on a volume that wait to be unlinked."""
    return {row.path for row in reader.garbage() if row.volume == place.volume.name}


class Desk:
    """One camera's folder on one volume."""

    def __init__(
        self,
        index: Index,
        reader: Reader,
        archive: Archive,
        place: Place,
        report: Recovery,
        folder: str,
        garbage: set[str],
        *,
        most: int | None = None,
        before_run: int | None = None,
    ) -> None:
        """`before_run`: files of this run and later ones belong to recorders that are at work, and are left alone."""
        self.camera_id = reader.camera_of_folder(folder)
        self.began_us: int | None = None
        """The earliest start of what was put into the index."""
        self._index = index
        self._reader = reader
        self._archive = archive
        self._disk = archive.disk
        self._place = place
        self._root = len(str(place.volume.path)) + 1
        self._report = report
        self._folder = folder
        self._garbage = garbage
        self._most = most
        self._before_run = before_run
        self._read: list[tuple[Path, Entry]] = []
        """Sealed files whose labels were read and that wait for the rest of their transaction."""
        self._epochs: dict[int, int] = {}

    def settle_day(self, day: date) -> None:
        """Settles each file and each row of a day. Raises OSError where the folder cannot be read or synced."""
        path = self._place.volume.path / self._folder / day_path(day)
        names = _names_in(path)
        known = self._known_files(day)
        for name, row in known.items():
            self._settle_row(path / name, row, is_there=name in names or name + PART in names)
        strangers = self._wanted(names - known.keys())
        if not strangers:
            return
        # Whoever gave a sealed file its name may have died before the folder was synced; a row must not come first.
        self._disk.fsync_directory(path)
        for name in strangers:
            self._settle_stranger(path / name, known)
        self._enter()

    def settle_file(self, path: Path) -> None:
        """Settles one file that no row promises. Raises OSError where its folder cannot be synced."""
        self._disk.fsync_directory(path.parent)
        self._settle_stranger(path, {})
        self._enter()

    def _wanted(self, strangers: set[str]) -> list[str]:
        """Those to be settled now: none of a recorder at work, and of sealed ones no more than asked for."""
        if self._before_run is not None:
            runs = {name: parse_segment_name(name.removesuffix(PART)) for name in strangers}
            strangers = {name for name, said in runs.items() if said is None or said.run < self._before_run}
        names = sorted(strangers)
        if self._most is None:
            return names
        sealed = [name for name in names if not name.endswith(PART)]
        late = set(sealed[: max(0, len(sealed) - self._most)])
        self._most = max(0, self._most - len(sealed))
        return [name for name in names if name not in late]

    def _known_files(self, day: date) -> dict[str, KnownFile]:
        """The rows of this folder on this volume, by file name."""
        if self.camera_id is None:
            return {}
        start_us = _start_of(day)
        return {
            segment_name(row.start_us, row.run, row.seq): row
            for row in self._reader.known_files(self.camera_id, start_us, start_us + _DAY_US)
            if row.folder == self._folder and row.volume_id == self._place.volume_id
        }

    def _settle_row(self, path: Path, row: KnownFile, *, is_there: bool) -> None:
        """Marks a row whose file is gone, or is back."""
        if is_there == (row.state != SegmentState.MISSING):
            return
        state = _state_of(path, row) if is_there else SegmentState.MISSING
        self._index.mark_segment(row.id, state).result()
        self._count("found-again" if is_there else "missing", path)

    def _settle_stranger(self, path: Path, known: dict[str, KnownFile]) -> None:
        sealed = path.with_name(path.name.removesuffix(PART))
        if parse_segment_name(sealed.name) is None:
            self._leave(path, "the name is not one that nvr gives")
            return
        if str(sealed.relative_to(self._place.volume.path)) in self._garbage:
            return  # condemned: the sweep unlinks it
        try:
            with disk_trouble(f"recovering {path}"):
                self._settle_file(path, sealed, known)
        except (MediaError, ValueError) as trouble:
            self._leave(path, str(trouble))
        except (OSError, DiskFull, VolumeMissing) as trouble:
            self._count("postponed", path, str(trouble))

    def _settle_file(self, path: Path, sealed: Path, known: dict[str, KnownFile]) -> None:
        if path == sealed:
            self._adopt_sealed(path)
        elif sealed.exists():
            self._leave(path, "its sealed file is there as well")
        elif sealed.name in known:
            # Given up by a daemon that could not even rename it: its row says what it is.
            mending.give_name(self._disk, path, sealed)
            self._count("damaged", sealed)
        else:
            self._adopt_part(path, sealed)

    def _adopt_sealed(self, path: Path) -> None:
        said, size_bytes = label.read_with_size(path)
        if said is not None:
            self._check(said, path)
            self._read.append((path, self._entry(path, said, size_bytes)))
            if len(self._read) == _AT_ONCE:
                self._enter()
            return
        # Given up after a failed sync, and the daemon died before the row: it is kept, and not believed.
        film = boxes.movie(path)
        self._put(path, self._label_of(path, path, film), path.stat().st_size, SegmentState.DAMAGED)
        self._count("damaged", path)

    def _entry(self, path: Path, said: label.Label, size_bytes: int) -> Entry:
        if self.camera_id is None:
            self.camera_id = self._index.add_camera(self._folder, said.start_us).result()
        run = replace(self._run_of(path, said, self.camera_id), ended_us=said.end_us, end_reason=UNKNOWN)
        row = self._row_of(said, self.camera_id, size_bytes, SegmentState.OK)
        return Entry(run, row, mending.looks_in(path, said))

    def _enter(self) -> None:
        """Puts what was read, in one transaction."""
        read, self._read = self._read, []
        if not read:
            return
        known = set(self._index.enter_segments([entry for _, entry in read]).result())
        for path, (_, row, _) in read:
            if (row.run, row.seq) in known:
                elsewhere = self._reader.segment_of(row.run, row.seq)
                where = f"{elsewhere.path} on volume {elsewhere.volume}" if elsewhere is not None else "another file"
                self._leave(path, f"it is a copy of {where}")
            else:
                self._note_found(row)
                self._report.segments["adopted"] += 1
                log.debug("file entered", extra={"action": "recovery-adopted", "path": str(path)})
        log.info(
            "files entered",
            extra={"action": "recovery-adopted", "files": len(read) - len(known), "folder": self._folder},
        )

    def _adopt_part(self, path: Path, sealed: Path) -> None:
        condition = boxes.examine(path)
        if condition.state is boxes.State.EMPTY:
            self._take_away(path)
            self._note_torn(sealed)
            return
        if condition.sealed:
            said = label.read(path)
            if said is None:
                raise ValueError("its label is damaged")
            self._checked(said, sealed)
            self._sync(path)
        else:
            said = self._label_of(path, sealed, mending.whole_of(path, condition))
            mending.mend(self._disk, path, condition, label.pack(said))
        mending.give_name(self._disk, path, sealed)
        self._put(sealed, said, sealed.stat().st_size, SegmentState.OK)
        self._count("adopted" if condition.sealed else "mended", sealed)
        if not condition.sealed:
            self._note_torn(sealed)

    def _note_torn(self, sealed: Path) -> None:
        said = parse_segment_name(sealed.name)
        if said is not None and self.camera_id is not None:
            self._report.torn[self.camera_id] = min(said.start_us, self._report.torn.get(self.camera_id, said.start_us))

    def _sync(self, path: Path) -> None:
        fd = self._disk.open_existing(path)
        try:
            self._disk.fsync(fd)
        finally:
            self._disk.close(fd)

    def _take_away(self, path: Path) -> None:
        """Unlinks a part in which there is not one whole picture to keep."""
        if path.stat().st_size > _MOST_WITHOUT_A_PICTURE:
            raise ValueError("it is too large to hold nothing, and nothing can be read from it")
        self._disk.unlink(path)
        self._disk.fsync_directory(path.parent)
        self._count("empty", path)

    def _label_of(self, path: Path, sealed: Path, film: boxes.Movie) -> label.Label:
        return self._checked(mending.label_of(path, film, self._archive.archive_id, self._folder), sealed)

    def _checked(self, said: label.Label, path: Path) -> label.Label:
        """Raises ValueError where a file is not what its name says, or is known elsewhere."""
        self._check(said, path)
        if (elsewhere := self._reader.segment_of(said.run, said.seq)) is not None:
            raise ValueError(f"it is a copy of {elsewhere.path} on volume {elsewhere.volume}")
        return said

    def _check(self, said: label.Label, path: Path) -> None:
        """Raises ValueError where a file is not what its name says."""
        if said.kind is not label.Kind.SEGMENT:
            raise ValueError("its label does not say that it is a segment")
        if str(said.archive) != self._archive.archive_id:
            raise ValueError(f"it belongs to another archive ({said.archive})")
        name = segment_path(self._folder, said.start_us, said.run, said.seq)
        if name != str(path)[self._root :]:
            raise ValueError(f"it is a copy of {name} under another name")

    def _put(self, path: Path, said: label.Label, size_bytes: int, state: SegmentState) -> None:
        """Puts the row, and before it whatever it refers to."""
        if self.camera_id is None:
            self.camera_id = self._index.add_camera(self._folder, said.start_us).result()
        run = self._reader.run(said.run)
        if run is None:
            self._index.begin_run(self._run_of(path, said, self.camera_id)).result()
        row = self._row_of(said, self.camera_id, size_bytes, state)
        self._index.add_segment(row, mending.looks_in(path, said)).result()
        self._index.uncover(self.camera_id, [(row.start_us, row.end_us)]).result()
        self._note_found(row)

    def _note_found(self, row: SegmentRow) -> None:
        self._report.found.append((row.camera_id, row.start_us, row.end_us))
        self.began_us = row.start_us if self.began_us is None else min(self.began_us, row.start_us)

    def _row_of(self, said: label.Label, camera_id: int, size_bytes: int, state: SegmentState) -> SegmentRow:
        return SegmentRow(
            camera_id=camera_id,
            run=said.run,
            seq=said.seq,
            volume_id=self._place.volume_id,
            start_us=said.start_us,
            end_us=max(said.end_us, said.start_us + 1),
            frames=said.frames,
            size_bytes=size_bytes,
            time_base=said.time_base,
            first_tick=said.first_tick,
            duration_ticks=said.duration_ticks,
            recovered=said.recovered,
            state=state,
        )

    def _run_of(self, path: Path, said: label.Label, camera_id: int) -> Run:
        return Run(
            number=said.run,
            camera_id=camera_id,
            folder=self._folder,
            started_us=said.start_us,
            begin_reason=RECOVERED,
            epoch=self._epoch_of(path, said.run),
            clock_source=said.clock.name.lower(),
            utc_anchor_us=said.zero_us,
            slope_ppb=said.slope_ppb,
            host_synchronised=said.synchronised is not False,
        )

    def _epoch_of(self, path: Path, run: int) -> int:
        """As the run's files say, each in its comment; where this one does not, the present one."""
        if run not in self._epochs:
            known = self._reader.run(run)
            self._epochs[run] = self._report.epoch if known is None else known.epoch
            with suppress(OSError, MediaError):
                origin = parse_origin(boxes.metadata(path).get("comment", ""))
                if known is None and origin is not None:
                    self._epochs[run] = origin.epoch
        return self._epochs[run]

    def _leave(self, path: Path, why: str) -> None:
        self._report.left.append(path)
        self._count("left", path, why)

    def _count(self, result: str, path: Path, why: str | None = None) -> None:
        self._report.segments[result] += 1
        log.log(
            logging.INFO if result in ("adopted", "mended", "empty") else logging.WARNING,
            "file recovered: %s",
            result,
            extra={"action": f"recovery-{result}", "path": str(path), "reason": why},
        )


def _end_runs(index: Index, reader: Reader, report: Recovery) -> None:
    """Runs that nobody ended end with the last segment of theirs."""
    for run in reader.open_runs():
        last = reader.last_of_run(run.number)
        ended_us = run.started_us if last is None else last.row.end_us
        index.end_run(run.number, max(ended_us, run.started_us), CRASHED).result()
        report.crashed = True


def _resume_ledgers(
    index: Index, reader: Reader, report: Recovery, began: Mapping[int, int], now_us: int, reason: str
) -> None:
    """Accounts for the time since the daemon before this one was last alive, and for a clock that went backward.

    `reason` of a gap that nobody had time to book.
    """
    cameras = reader.cameras()
    ends = {camera.id: reader.last_recorded(camera.slug, report.epoch) for camera in cameras}
    ledgers = {camera.id: Ledger(report.epoch, reader.newest_spans(camera.slug)) for camera in cameras}
    alive_us = max((at for at in (*ends.values(), *(ledger.latest_us for ledger in ledgers.values())) if at), default=0)
    stepped = now_us < alive_us - _STEP_US
    for camera in cameras:
        ledger, ended_us = ledgers[camera.id], ends[camera.id]
        changes = _was_called_lost(camera, ledger, report)
        going_on = ledger.open
        if going_on is not None and camera.id in began and began[camera.id] >= going_on.start_us:
            changes += ledger.recording(began[camera.id])
        if ledger.open is None and (ended_us or ledger.latest_us):
            # A camera of which nothing was saved yet: from where its last span ended, since other cameras may have
            # been recorded for longer.
            changes += ledger.gap(ended_us or ledger.latest_us or alive_us, reason)
            report.crashed = True
        elif ledger.open is not None and ledger.open.reason not in _LEFT_ALONE:
            changes += ledger.gap(max(alive_us, ledger.open.start_us), reason)
            report.crashed = True
        if stepped:
            changes += ledger.clock_stepped(alive_us, now_us)
        if changes:
            index.put_spans(camera.id, changes).result()
        changes = _lost_before_the_end(reader, camera, ledger, report)
        if changes:
            index.put_spans(camera.id, changes).result()
    report.ledgers = ledgers
    report.epoch += stepped


def _was_called_lost(camera: Camera, ledger: Ledger, report: Recovery) -> list[SpanChange]:
    """Takes back the gaps of segments that a failing disk kept to itself when they were given up."""
    found = [span for camera_id, *span in report.found if camera_id == camera.id]
    return [change for start_us, end_us in found for change in ledger.found(start_us, end_us)]


def _lost_before_the_end(reader: Reader, camera: Camera, ledger: Ledger, report: Recovery) -> list[SpanChange]:
    """What a torn file lost of the time before something else was said of the camera.

    A disk that hung kept its last frames from it, while the daemon went on to other volumes or stopped in order.
    """
    start_us = report.torn.get(camera.id)
    if start_us is None or ledger.open is None:
        return []
    until_us = ledger.open.start_us
    recorded = reader.recorded_between(camera.slug, start_us, until_us)
    spans = reader.spans_between(camera.slug, start_us, until_us)
    covered = coverage(recorded, spans, None, camera.configured_at_us, start_us, until_us)
    reason = CRASHED if report.crashed else _DISK_FAILED
    holes = [span for span in covered if span.reason == UNKNOWN]
    return [change for hole in holes for change in ledger.missing(hole.start_us, hole.end_us, reason)]


def _state_of(path: Path, row: KnownFile) -> SegmentState:
    """What to say of a file that is back."""
    try:
        return SegmentState.OK if path.stat().st_size >= row.size_bytes else SegmentState.TRUNCATED
    except FileNotFoundError:
        return SegmentState.DAMAGED  # it is there as `.part` and about to be given its name


def _names_in(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def camera_folders(volume: Volume) -> list[str]:
    """The folders at the top of a volume that may be cameras'. Raises OSError."""
    with os.scandir(volume.path) as entries:
        return sorted(entry.name for entry in entries if is_folder(entry.name) and entry.is_dir(follow_symlinks=False))


def _days_to_look_at(reader: Reader, folder: Path, camera_id: int | None) -> list[date]:
    """The days from the one before the camera's last row on, and those around the ends of runs that may be open yet.

    Of a camera without rows the newest two days there are.
    """
    runs = [] if camera_id is None else reader.newest_runs(camera_id, _RUNS_BACK)
    if not runs:
        return list(islice(days_newest_first(folder), 2))
    marks = []
    for run in runs:
        last = reader.last_of_run(run.number)
        marks.append(day_of(run.started_us if last is None else last.row.start_us))
    since = marks[0] - _DAY
    days = set(takewhile(lambda day: day >= since, days_newest_first(folder)))
    around = {mark + offset for mark in marks[1:] for offset in (-_DAY, timedelta(), _DAY)}
    days |= {day for day in around if (folder / day_path(day)).is_dir()}
    return sorted(days)


def days_newest_first(folder: Path) -> Iterator[date]:
    """The days of which a camera's folder has one. Raises OSError."""
    for month in months_newest_first(folder):
        for day in _numbers_in(month, 2):
            with suppress(ValueError):
                yield date(int(month.parent.name), int(month.name), int(day))


def months_newest_first(folder: Path) -> Iterator[Path]:
    """The folders of months below a camera's folder, or that of its clips. Raises OSError."""
    for year in _numbers_in(folder, 4):
        for month in _numbers_in(folder / year, 2):
            yield folder / year / month


def _numbers_in(folder: Path, digits: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            (
                entry.name
                for entry in entries
                if len(entry.name) == digits
                and entry.name.isascii()
                and entry.name.isdigit()
                and entry.is_dir(follow_symlinks=False)
            ),
            reverse=True,
        )


def _start_of(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY_US

"""Looks whether the promises of README.md hold, and changes nothing: every row, every file, every moment.

P1 a row has its file, P2 a file is somebody's, P3 nothing is left over, P5 a file says what its row says, P6 every
moment is accounted for; beside them what SQLite says of the index itself, and whether clips and locks are as they
should be. (P4, that nothing else deletes footage, shows here as P1.) May be done beside a daemon that records: what
looks wrong because it changes just now is looked at a second time before it is told.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from nvr.media import label
from nvr.media.errors import MediaError
from nvr.store import backup
from nvr.store.clip_locks import lock_file_of
from nvr.store.clip_snapshots import clip_file_of
from nvr.store.filling import unaccounted
from nvr.store.names import CLIPS, LOCK, PART, TIMELAPSE, day_path, numbered, segment_name, segment_path
from nvr.store.reader import KnownFile, Reader
from nvr.store.recovery import (
    Place,
    camera_folders,
    condemned,
    days_newest_first,
    months_newest_first,
    size_of_files,
)
from nvr.store.rows import Camera, Clip, SegmentState
from nvr.units import US

_DAY_US: Final = 86_400 * US
_EPOCH: Final = date(1970, 1, 1)
_PAGE: Final = 500
_YOUNG_US: Final = 600 * US  # rows of two disks may come in any order; by then those that are to come have
_READ_AT_ONCE: Final = 1 << 20


class Kind(StrEnum):
    """What may be wrong; the closed set of a metric's label."""

    INDEX = "index"
    """SQLite itself, or a reference from one row to another."""
    MISSING = "missing"
    """P1: a row's file is gone, or one that was called missing is back."""
    TRUNCATED = "truncated"
    """P1: a row's file is shorter or longer than the row says."""
    LABEL = "label"
    """P5: a file says of itself something else than its row."""
    HASH = "hash"
    """A file's content is not what it was."""
    PICTURES = "pictures"
    """Not all pictures of a file can be decoded."""
    UNPROMISED = "unpromised"
    """P2, P3: a file that no row promises and nobody writes."""
    GARBAGE = "garbage"
    """P2: the row of a condemned file that is gone already."""
    CLIP = "clip"
    """A clip's own file is gone or has another size."""
    LOCK = "lock"
    """A clip is locked without its lock file, or the other way round."""
    UNACCOUNTED = "unaccounted"
    """P6: time of which nobody speaks."""
    VOLUME = "volume"
    """A volume is away: nothing on it was looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as promised."""

    kind: Kind
    sentence: str
    volume: str | None = None
    path: str | None = None
    """Relative to the volume's path."""
    row: int | None = None
    """The id of the segment, garbage row, clip, film or camera it is about."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How closely files are looked at; each costs more than the one before."""

    labels: bool = True
    hashes: bool = False
    pictures: Callable[[Path], int] | None = None
    """Decodes a file and says how many pictures that gave; raises MediaError."""


class Check:
    """One pass over everything. `findings` may be gone through once."""

    def __init__(
        self,
        reader: Reader,
        index_path: Path,
        places: Sequence[Place],
        now_us: int,
        *,
        depth: Depth | None = None,
        still: bool = False,
        live: Callable[[], set[Path]] = lambda: set(),
        go_on: Callable[[], bool] = lambda: True,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        stopping: threading.Event | None = None,
    ) -> None:
        """`live` tells the files that a daemon has not entered yet; `still`: nobody writes the index.

        `go_on` is asked between pieces of work; once it says no, no more findings come and `complete` stays False.
        """
        self.complete = False
        self.files = 0
        """How many rows' files were looked at."""
        self._reader = reader
        self._index_path = index_path
        self._places = places
        self._now_us = now_us
        self._depth = depth or Depth()
        self._still = still
        self._live = live
        self._go_on = go_on
        self._progress = progress
        self._stopping = stopping

    def findings(self) -> Iterator[Finding]:
        """Everything that is not as promised, as it is found. Raises IndexDamaged where nothing can be asked."""
        try:
            yield from self._of_the_index()
            yield from self._of_volumes()
            yield from self._of_segments()
            yield from self._of_garbage()
            yield from self._of_clips()
            yield from self._of_films()
            yield from self._of_time()
            self.complete = True
        except (_Enough, backup.Stopped):
            return

    # ---- the index itself

    def _of_the_index(self) -> Iterator[Finding]:
        how = "mode=ro&immutable=1" if self._still else "mode=ro"
        with (
            closing(backup.open_read_only(self._index_path, how)) as connection,
            backup.interruptible(connection, self._stopping),
        ):
            try:
                sentences = list(backup.complaints(connection, quick=True))
            except sqlite3.DatabaseError as trouble:
                if self._stopping is not None and self._stopping.is_set():
                    raise
                sentences = [str(trouble)]
        for sentence in sentences:
            yield Finding(Kind.INDEX, f"the index itself is damaged: {sentence}")

    def _of_volumes(self) -> Iterator[Finding]:
        there = {place.volume.name for place in self._places}
        held = self._reader.footage_bytes()
        for name in sorted(held.keys() - there):
            yield Finding(Kind.VOLUME, f"volume '{name}' is not there, so its files were not looked at", name)

    # ---- segments

    def _of_segments(self) -> Iterator[Finding]:
        known = {camera.id: (camera, self._folders_of(camera)) for camera in self._reader.cameras()}
        days = {camera_id: self._days_of(camera, folders) for camera_id, (camera, folders) in known.items()}
        claimed = {folder for _, folders in known.values() for folder in folders}
        total, done = sum(map(len, days.values())), 0
        self._progress(0, total)
        for camera_id, (camera, folders) in known.items():
            for day in days[camera_id]:
                self._pause()
                yield from self._of_day(camera, folders, day)
                done += 1
                self._progress(done, total)
        for place in self._places:
            for folder in camera_folders(place.volume):
                if folder not in claimed:
                    yield from self._of_nobodys_folder(place, folder)

    def _folders_of(self, camera: Camera) -> list[str]:
        return sorted({camera.slug, *self._reader.folders_of(camera.id)})

    def _days_of(self, camera: Camera, folders: Sequence[str]) -> list[date]:
        days = {_EPOCH + timedelta(days=day) for day in self._reader.days_of(camera.id)}
        for place in self._places:
            for folder in folders:
                path = place.volume.path / folder
                if path.is_dir():
                    days |= set(days_newest_first(path))
        return sorted(days, reverse=True)

    def _of_day(self, camera: Camera, folders: Sequence[str], day: date) -> Iterator[Finding]:
        # Names before rows: a file that is named has its row by then, or is still its recorder's.
        names = {
            (place.volume_id, folder): _files_in(place.volume.path / folder / day_path(day))
            for place in self._places
            for folder in folders
        }
        rows = self._rows_of(camera, day)
        for place in self._places:
            for folder in folders:
                found = names[place.volume_id, folder]
                ours = {
                    segment_name(row.start_us, row.run, row.seq): row
                    for row in rows
                    if row.volume_id == place.volume_id and row.folder == folder
                }
                for name, row in ours.items():
                    yield from self._of_row(place, f"{folder}/{day_path(day)}/{name}", row, found)
                strangers = {name for name in found if name not in ours and name.removesuffix(PART) not in ours}
                if strangers:
                    yield from self._of_strangers(place, camera, folder, day, strangers)

    def _rows_of(self, camera: Camera, day: date) -> list[KnownFile]:
        start_us = (day - _EPOCH).days * _DAY_US
        return self._reader.known_files(camera.id, start_us, start_us + _DAY_US)

    def _of_row(self, place: Place, path: str, row: KnownFile, found: dict[str, int]) -> Iterator[Finding]:
        self.files += 1
        name = path.rpartition("/")[2]
        size_bytes = found.get(name, found.get(name + PART))
        state = SegmentState(row.state)
        broken = _broken(state, row.size_bytes, size_bytes)
        if broken is not None:
            if self._is_still_promised(row):
                yield Finding(*broken, place.volume.name, path, row.id)
        elif state is SegmentState.OK:
            yield from self._of_content(place, path, row)

    def _of_content(self, place: Place, path: str, row: KnownFile) -> Iterator[Finding]:
        if not (self._depth.labels or self._depth.hashes or self._depth.pictures):
            return
        try:
            yield from self._compared(place, path, row)
        except FileNotFoundError:
            if self._is_still_promised(row):
                yield Finding(Kind.MISSING, "its file is gone", place.volume.name, path, row.id)
        except OSError as trouble:
            sentence = f"it cannot be read: {(trouble.strerror or str(trouble)).lower()}"
            yield Finding(Kind.LABEL, sentence, place.volume.name, path, row.id)

    def _compared(self, place: Place, path: str, row: KnownFile) -> Iterator[Finding]:
        file = place.volume.path / path
        segment = self._reader.segment(row.id)
        if segment is None:
            return
        said = None
        try:
            said = label.read(file)
        except MediaError:
            return  # a newer nvr sealed it
        difference = _difference(said, segment.row.run, segment.row.seq, segment.row.start_us, segment.row.end_us)
        if difference is None and said is not None and said.frames != segment.row.frames:
            difference = f"it says it has {said.frames} pictures, and its row says {segment.row.frames}"
        if difference is not None:
            yield Finding(Kind.LABEL, difference, place.volume.name, path, row.id)
        if self._depth.hashes and segment.row.sha256 is not None and sha256(file, self._go_on) != segment.row.sha256:
            sentence = "its content is not what it was: the SHA-256 differs"
            yield Finding(Kind.HASH, sentence, place.volume.name, path, row.id)
        if self._depth.pictures is not None:
            try:
                decoded = self._depth.pictures(file)
                sentence = f"{decoded} of {segment.row.frames} pictures can be decoded"
            except MediaError as trouble:
                decoded, sentence = -1, f"its pictures cannot be decoded: {trouble}"
            if decoded != segment.row.frames:
                yield Finding(Kind.PICTURES, sentence, place.volume.name, path, row.id)

    def _is_still_promised(self, row: KnownFile) -> bool:
        """The sweep may have taken it meanwhile."""
        return self._reader.segment(row.id) is not None

    def _of_strangers(
        self, place: Place, camera: Camera, folder: str, day: date, strangers: set[str]
    ) -> Iterator[Finding]:
        live = {str(path).removesuffix(PART) for path in self._live()}
        condemned = {row.path for row in self._reader.garbage() if row.volume == place.volume.name}
        entered = {segment_path(row.folder, row.start_us, row.run, row.seq) for row in self._rows_of(camera, day)}
        for name in sorted(strangers):
            path = f"{folder}/{day_path(day)}/{name}"
            sealed = path.removesuffix(PART)
            file = place.volume.path / path
            if sealed in entered or sealed in condemned or str(place.volume.path / sealed) in live or not file.exists():
                continue
            yield Finding(Kind.UNPROMISED, "no row promises it, and nobody writes it", place.volume.name, path)

    def _of_nobodys_folder(self, place: Place, folder: str) -> Iterator[Finding]:
        for day in days_newest_first(place.volume.path / folder):
            self._pause()
            for name in sorted(_files_in(place.volume.path / folder / day_path(day))):
                path = f"{folder}/{day_path(day)}/{name}"
                yield Finding(Kind.UNPROMISED, "no row promises it", place.volume.name, path)

    # ---- garbage, clips, locks, films

    def _of_garbage(self) -> Iterator[Finding]:
        places = {place.volume.name: place for place in self._places}
        for row in self._reader.garbage():
            place = places.get(row.volume)
            if place is None:
                continue
            file = place.volume.path / row.path
            if not file.exists() and not file.with_name(file.name + PART).exists():
                yield Finding(Kind.GARBAGE, "it was to be deleted and is gone already", row.volume, row.path, row.id)

    def _of_clips(self) -> Iterator[Finding]:
        places = {place.volume.name: place for place in self._places}
        after = 0
        while page := self._reader.clips_between(None, 0, 1 << 62, after=after, limit=_PAGE):
            for clip in page:
                place = places.get(clip.volume or "")
                if place is not None and clip.path is not None:
                    yield from self._of_clip(place, clip, clip.path)
            after = page[-1].id
            self._pause()
        for place in self._places:
            yield from self._of_clip_files(place)

    def _of_films(self) -> Iterator[Finding]:
        places = {place.volume_id: place for place in self._places}
        for film in self._reader.films():
            self._pause()
            place = places.get(film.row.volume_id)
            if place is None:
                continue
            self.files += 1
            size_bytes = size_of_files(place.volume.path / film.row.path, film.row.files)
            broken = _broken(film.row.state, film.row.size_bytes, size_bytes)
            if broken is not None and self._reader.film(film.id) is not None:
                yield Finding(*broken, film.volume, film.row.path, film.id)
        for place in self._places:
            for folder in camera_folders(place.volume):
                yield from self._of_film_files(place, folder)

    def _of_clip(self, place: Place, clip: Clip, path: str) -> Iterator[Finding]:
        first = place.volume.path / path
        sizes = []
        for number in range(1, clip.files + 1):
            try:
                sizes.append(first.with_name(numbered(first.name, number)).stat().st_size)
            except FileNotFoundError:
                if self._reader.clip(clip.id) is not None:
                    yield Finding(Kind.CLIP, "its file is gone", clip.volume, numbered(path, number), clip.id)
                return
        if sum(sizes) != clip.size_bytes:
            sentence = f"its files have {sum(sizes)} bytes, and {clip.size_bytes} were promised"
            yield Finding(Kind.CLIP, sentence, clip.volume, path, clip.id)
        now = self._reader.clip(clip.id)  # locks come and go at any moment
        if now is not None and now.locked != lock_file_of(first).exists():
            sentence = "it is locked and has no lock file" if now.locked else "it has a lock file and is not locked"
            yield Finding(Kind.LOCK, sentence, clip.volume, path, clip.id)

    def _of_clip_files(self, place: Place) -> Iterator[Finding]:
        for folder in camera_folders(place.volume):
            clips = place.volume.path / folder / CLIPS
            for month in months_newest_first(clips) if clips.is_dir() else ():
                self._pause()
                relative = month.relative_to(place.volume.path)
                for name in sorted(_files_in(month)):
                    path = f"{relative}/{name}"
                    if name.endswith((LOCK, PART)):
                        continue  # (a part is an attempt, which the next one takes away)
                    if self._reader.clip_of_file(place.volume_id, clip_file_of(path)) is not None:
                        continue
                    if path not in condemned(self._reader, place) and (month / name).exists():
                        yield Finding(Kind.UNPROMISED, "no clip's row promises it", place.volume.name, path)

    def _of_film_files(self, place: Place, folder: str) -> Iterator[Finding]:
        self._pause()
        months = place.volume.path / folder / TIMELAPSE
        found = [  # names before rows, as above
            f"{month.relative_to(place.volume.path)}/{name}"
            for month in (months_newest_first(months) if months.is_dir() else ())
            for name in sorted(_files_in(month))
            if not name.endswith(PART)
        ]
        known = self._reader.film_files(place.volume_id, folder) | condemned(self._reader, place)
        for path in found:
            if path not in known and (place.volume.path / path).exists():
                yield Finding(Kind.UNPROMISED, "no film's row promises it", place.volume.name, path)

    # ---- time

    def _of_time(self) -> Iterator[Finding]:
        for camera in self._reader.cameras():
            self._pause()
            until_us = min(self._now_us, self._reader.accounted_until(camera.id) or 0)
            if not self._still:
                until_us = min(until_us, self._now_us - _YOUNG_US)
            for start_us, end_us in unaccounted(self._reader, camera, until_us):
                sentence = f"nothing tells what became of {(end_us - start_us) / US:.3f} s of camera {camera.slug}"
                yield Finding(Kind.UNACCOUNTED, sentence, row=camera.id)
            for at_us in self._reader.overlapping_spans(camera.id):
                sentence = f"camera {camera.slug} has two reasons for one time (us {at_us})"
                yield Finding(Kind.UNACCOUNTED, sentence, row=camera.id)

    def _pause(self) -> None:
        if not self._go_on():
            raise _Enough


class _Enough(Exception):
    """The check is to end."""


def sha256(path: Path, go_on: Callable[[], bool] = lambda: True) -> bytes:
    """Of a whole file. Raises OSError; InterruptedError once `go_on` says no."""
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while data := os.read(fd, _READ_AT_ONCE):
            digest.update(data)
            if not go_on():
                raise InterruptedError("it is to end")
    finally:
        os.close(fd)
    return digest.digest()


def _broken(state: SegmentState, promised_bytes: int, size_bytes: int | None) -> tuple[Kind, str] | None:
    """What is not as a row says of its file, or of its files together; None of either where one is gone."""
    if size_bytes is None:
        return Kind.MISSING, "its file is still gone" if state is SegmentState.MISSING else "its file is gone"
    if state is SegmentState.MISSING:
        return Kind.MISSING, "its file is back"
    if size_bytes != promised_bytes and state is not SegmentState.DAMAGED:
        return Kind.TRUNCATED, f"it has {size_bytes} bytes, and {promised_bytes} were promised"
    return None


def _difference(said: label.Label | None, run: int, seq: int, start_us: int, end_us: int) -> str | None:
    if said is None:
        return "it has no label, or a damaged one"
    if (said.run, said.seq) != (run, seq):
        return f"it says it is number {said.seq} of run {said.run}"
    if (said.start_us, max(said.end_us, said.start_us + 1)) != (start_us, end_us):
        return "it says it is of another time"
    return None


def _files_in(folder: Path) -> dict[str, int]:
    """Names and sizes; nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            found = {}
            for entry in entries:
                try:
                    if entry.is_file(follow_symlinks=False):
                        found[entry.name] = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue
            return found
    except (FileNotFoundError, NotADirectoryError):
        return {}

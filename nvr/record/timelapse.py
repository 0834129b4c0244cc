"""A day of a camera as a short film: one key picture of the recording every so often, as it was recorded.

Made from sealed segments some time after a day (UTC) has ended, beside the footage:

    <camera>/timelapse/<YYYY>/<MM>/<YYYYMMDD>.mp4

It is a copy, and what an attempt left behind is taken away. Once it is named it gets its row, and goes as footage goes:
by `nvr.store.sweep`, no more by this.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Final

from nvr.clock import Clock
from nvr.media import boxes
from nvr.media.durable import Disk, DurableFile
from nvr.media.errors import MediaError
from nvr.media.frame import Vol
from nvr.media.mp4 import Mp4File
from nvr.media.mpeg4 import coding
from nvr.record.shelf import Shelf, Shelves
from nvr.record.timelapse_plan import Picker, TimelapsePlan
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.index import Index
from nvr.store.names import PART, day_of, numbered, timelapse_path
from nvr.store.reader import Reader
from nvr.store.recovery import FilmDesk, Place, Recovery, condemned
from nvr.store.rows import Segment, SegmentState
from nvr.units import US

log = logging.getLogger(__name__)

_DAY_US: Final = 86_400 * US
_SETTLED_US: Final = 90 * 60 * US  # after midnight: the longest segment that began the day before is sealed by then
_DAYS_BACK: Final = 7  # what nights that nvr was off did not make
_TIME_BASE: Final = Fraction(1, 90_000)
_PICTURE_TICKS: Final = 3_600  # 25 pictures a second
_TROUBLE: Final = (OSError, MediaError, DiskFull, VolumeMissing)


class Timelapse:
    """The films of all cameras; `run` is a job."""

    def __init__(
        self, plans: Sequence[TimelapsePlan], index: Index, reader: Reader, shelves: Shelves, clock: Clock
    ) -> None:
        self.plans = plans
        """May be changed at any time."""
        self._index = index
        self._reader = reader
        self._shelves_in_use = shelves
        self._clock = clock

    @property
    def _shelves(self) -> dict[str, Shelf]:
        """By name, as they are now: volumes come and go with a reload."""
        return {shelf.name: shelf for shelf in self._shelves_in_use.all}

    def run(self, stopping: threading.Event) -> None:
        """Makes the films of the last days that have none.

        Ends soon once `stopping` is set; a film that is not whole then is made anew. Raises the last OSError,
        DiskFull or VolumeMissing that kept a film from being made, when all others are done.
        """
        trouble: Exception | None = None
        for plan in self.plans:
            for day in self._days(plan):
                if stopping.is_set():
                    return
                try:
                    self._make(plan, day, stopping)
                except _Stopped:
                    return
                except _TROUBLE as failed:
                    trouble = failed
        if trouble is not None:
            raise OSError(f"a time-lapse was not made: {trouble}") from trouble

    def _days(self, plan: TimelapsePlan) -> Iterator[date]:
        """The last days that are over and settled and have no film, nor had one that retention took; latest first."""
        known = self._reader.camera(plan.camera)
        gone_us = None if known is None else known.film_gone_us
        made = {film.row.start_us for film in self._reader.films(plan.camera)}
        last = day_of(self._clock.utc_us() - _SETTLED_US) - timedelta(days=1)
        for back in range(min(_DAYS_BACK, plan.keep_days)):
            start_us = _start_of(last - timedelta(days=back))
            if start_us not in made and (gone_us is None or start_us > gone_us):
                yield last - timedelta(days=back)

    def _make(self, plan: TimelapsePlan, day: date, stopping: threading.Event) -> None:
        if self._is_there(plan.camera, day):
            return
        start_us = _start_of(day)
        segments = self._reader.segments_between(plan.camera, start_us, start_us + _DAY_US)
        shelf = self._shelf_for(segments)
        if shelf is None or shelf.volume is None:
            return
        target = shelf.place.path / timelapse_path(plan.camera, day)
        shelf.archive.make_folder(shelf.volume, target.parent)
        film = _Film(shelf.archive.disk, target, {"title": f"{plan.camera} {day}", "comment": _comment(plan)})
        try:
            for picture in self._chosen(segments, plan, start_us, stopping):
                if shelf.refusal is not None:
                    raise DiskFull(shelf.refusal.sentence)
                film.add(*picture)
            film.finish()
        finally:
            film.let_go()
        self._is_there(plan.camera, day)

    def _is_there(self, camera: str, day: date) -> bool:
        """Whether the film has its name: then it gets its row here, unless it waits to be unlinked."""
        path = timelapse_path(camera, day)
        for shelf in self._shelves.values():
            if shelf.volume is None:
                continue
            place = Place(shelf.volume_id, shelf.volume)
            FilmDesk(self._index, self._reader, shelf.archive, place, Recovery(), camera).enter(day)
            if (shelf.place.path / path).exists() or path in condemned(self._reader, place):
                return True
        return False

    def _chosen(
        self, segments: Sequence[Segment], plan: TimelapsePlan, start_us: int, stopping: threading.Event
    ) -> Iterator[tuple[bytes, Vol]]:
        """The pictures of the film, read where they lie; a segment that cannot be read has none."""
        picker = Picker(plan.every_us)
        for segment in segments:
            begun_s = time.monotonic()
            try:
                yield from self._chosen_of(segment, picker, start_us)
            except (FileNotFoundError, MediaError, VolumeMissing) as trouble:
                log.warning(
                    "time-lapse without a part of the day: %s",
                    trouble,
                    extra={"camera": plan.camera, "action": "timelapse", "segment": segment.path},
                )
            # Rests as long as it worked: recorders come first.
            if stopping.wait(time.monotonic() - begun_s):
                raise _Stopped

    def _chosen_of(self, segment: Segment, picker: Picker, start_us: int) -> Iterator[tuple[bytes, Vol]]:
        shelf = self._shelves.get(segment.volume)
        if shelf is None or shelf.volume is None:
            raise VolumeMissing(f"volume '{segment.volume}' is not there")
        file = shelf.place.path / segment.path
        movie = boxes.movie(file)
        row = segment.row
        with file.open("rb") as opened:
            for sample in movie.samples:
                utc_us = row.start_us + int(sample.ticks * movie.time_base * US)
                if sample.key and start_us <= utc_us < start_us + _DAY_US and picker.takes(utc_us):
                    yield os.pread(opened.fileno(), sample.size, sample.offset), movie.vol

    def _shelf_for(self, segments: Sequence[Segment]) -> Shelf | None:
        """The volume of the day's first segment that takes footage; None where none does, or nothing was recorded."""
        for segment in segments:
            shelf = self._shelves.get(segment.volume)
            if segment.row.state is SegmentState.OK and shelf is not None and shelf.volume is not None:
                return shelf if shelf.refusal is None else None
        return None


class _Stopped(Exception):
    """nvr is stopping."""


class _Film:
    """One day's film being written; a further file where the coding changes, since one MP4 holds one."""

    def __init__(self, disk: Disk, target: Path, metadata: Mapping[str, str]) -> None:
        self._disk = disk
        self._target = target
        self._metadata = metadata
        self._coding = b""
        self._parts: list[tuple[Path, Path]] = []
        """Files as they are called now, and as they will be."""
        self._file: DurableFile | None = None
        self._mp4: Mp4File | None = None
        self._ticks = 0

    def add(self, data: bytes, vol: Vol) -> None:
        """Another picture, byte for byte. Raises OSError, NotDecodable."""
        if self._mp4 is None or coding(vol) != self._coding:
            self._end()
            self._begin(vol)
        if self._mp4 is not None:
            self._mp4.add(data, self._ticks, _PICTURE_TICKS, True)
        self._ticks += _PICTURE_TICKS

    def finish(self) -> None:
        """Closes, syncs and names what was written. Raises OSError, NotDecodable."""
        self._end()
        # The first one last: while it is missing the day is not done.
        for part, file in reversed(self._parts):
            self._disk.rename_noreplace(part, file)
        if self._parts:
            self._disk.fsync_directory(self._target.parent)
        self._parts = []

    def let_go(self) -> None:
        """Takes away what is not finished: a copy of footage must not fill a disk for nothing. Harmless after `finish`.

        What a disk in trouble keeps the next attempt takes away, or the next start.
        """
        if self._mp4 is not None:
            self._mp4.abandon()
        if self._file is not None:
            self._file.close()
        for left in (path for names in self._parts for path in names if path.exists()):
            with suppress(OSError):
                self._disk.unlink(left)

    def _begin(self, vol: Vol) -> None:
        file = self._target.with_name(numbered(self._target.name, len(self._parts) + 1))
        part = file.with_name(file.name + PART)
        for left in (part, file):  # of an earlier attempt: copies of footage that is still there
            if left.exists():
                self._disk.unlink(left)
        self._file = DurableFile.create(part, self._disk)
        self._mp4 = Mp4File(self._file, vol, _TIME_BASE, self._metadata)
        self._coding = coding(vol)
        self._parts.append((part, file))
        self._ticks = 0

    def _end(self) -> None:
        if self._mp4 is not None and self._file is not None:
            self._mp4.close()
            self._file.full_sync()
            self._file.close()
        self._mp4 = self._file = None


def _start_of(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * US


def _comment(plan: TimelapsePlan) -> str:
    return f"one picture every {plan.every_us / US:g} s, UTC"

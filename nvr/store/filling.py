"""Fills an index that was lost, or is older than the footage, from what every file says of itself.

Newest files first, in transactions of hundreds, so that it can be done behind a daemon that records, and be broken off
and begun again at any time: a file that is entered is not entered twice. At its end every moment is accounted for;
where no file and no row tells what became of one, it is a gap with the reason `unknown`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from nvr.media import label
from nvr.media.errors import MediaError
from nvr.store.archive import Archive
from nvr.store.clip_locks import lock_file_of
from nvr.store.index import Index
from nvr.store.ledger import UNKNOWN, Ledger, PutSpan, coverage
from nvr.store.names import CLIPS, TIMELAPSE, clip_path, parse_clip_name
from nvr.store.reader import Reader
from nvr.store.recovery import (
    Desk,
    FilmDesk,
    Place,
    Recovery,
    camera_folders,
    camera_of,
    condemned,
    days_newest_first,
    files_of,
    months_newest_first,
)
from nvr.store.rows import Camera, ClipEntry, Span, SpanKind
from nvr.units import US

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told how many of how many day folders are done."""

_PAGE_US: Final = 10 * 86_400 * US  # of coverage at a time: some ten thousand segments of a camera
_LONGEST_REST_S: Final = 5.0


class Manners:
    """Lets others go first: rests as long as it worked, and longer where somebody waits for a disk."""

    def __init__(self, stopping: threading.Event, others_wait: Callable[[], bool] = lambda: False) -> None:
        self._stopping = stopping
        self._others_wait = others_wait
        self._since_s = time.monotonic()

    def rest(self) -> bool:
        """To be called between two pieces of work; False when it is to end."""
        now_s = time.monotonic()
        self._stopping.wait(min(now_s - self._since_s, _LONGEST_REST_S))
        until_s = time.monotonic() + _LONGEST_REST_S
        while not self._stopping.is_set() and self._others_wait() and time.monotonic() < until_s:
            self._stopping.wait(0.1)
        self._since_s = time.monotonic()
        return not self._stopping.is_set()


def fill(
    index: Index,
    reader: Reader,
    archive: Archive,
    places: Sequence[Place],
    *,
    until_us: int,
    before_run: int | None = None,
    go_on: Callable[[], bool] = lambda: True,
    progress: Progress = lambda _done, _total: None,
) -> Recovery:
    """Enters every file of these volumes, and accounts for all time before `until_us`.

    `before_run`: files of this run and later ones are those of recorders that are at work, and left alone. `go_on` is
    asked between pieces of work; once it says no the rest is left, and `unfinished` says so. What it can not read or
    does not understand stays where it is, is counted and said. Raises IndexDamaged, DiskFull.
    """
    report = Recovery(epoch=reader.last_epoch())
    folders = [(place, folder, days) for place in places for folder, days in _folders(place, report)]
    total, done = sum(len(days) for _, _, days in folders), 0
    progress(0, total)
    for place, folder, days in folders:
        garbage = condemned(reader, place)
        desk = Desk(index, reader, archive, place, report, folder, garbage, before_run=before_run)
        for day in days:
            if not go_on():
                report.unfinished = True
                return report
            _settled(desk, day, place.volume.path / folder, report)
            done += 1
            progress(done, total)
        _enter_clips(index, reader, archive, place, folder, report)
        films = FilmDesk(index, reader, archive, place, report, folder)
        _enter_films(films, place.volume.path / folder / TIMELAPSE, report)
    for camera in reader.cameras():
        if not go_on():
            report.unfinished = True
            return report
        # (Past what a camera's own rows tell, whoever goes on with the index says what became of it.)
        account(index, reader, camera, min(until_us, reader.accounted_until(camera.id) or 0))
    return report


def close_account(index: Index, reader: Reader) -> None:
    """After the last moment of which anything tells nobody knows: runs end there, and a gap `unknown` goes on."""
    cameras = reader.cameras()
    ends = [until for camera in cameras if (until := reader.accounted_until(camera.id)) is not None]
    for run in reader.open_runs():
        last = reader.last_of_run(run.number)
        ended_us = run.started_us if last is None else last.row.end_us
        index.end_run(run.number, max(ended_us, run.started_us), UNKNOWN).result()
    for camera in cameras:
        account(index, reader, camera, max(ends))
        ledger = Ledger(reader.last_epoch(), reader.newest_spans(camera.slug))
        changes = ledger.gap(max(ends), UNKNOWN)
        if changes:
            index.put_spans(camera.id, changes).result()


def account(index: Index, reader: Reader, camera: Camera, until_us: int) -> int:
    """Books as a gap `unknown` what nobody speaks of before `until_us`; how many there were."""
    holes = list(unaccounted(reader, camera, until_us))
    if holes:
        changes = [PutSpan(Span(SpanKind.GAP, UNKNOWN, start, end)) for start, end in holes]
        index.put_spans(camera.id, changes).result()
    return len(holes)


def unaccounted(reader: Reader, camera: Camera, until_us: int) -> Iterator[tuple[int, int]]:
    """The stretches of a camera's time before `until_us` of which no segment and no span speaks.

    From where nothing was deleted yet: of what is gone the rows are gone as well.
    """
    hole: tuple[int, int] | None = None
    since_us = reader.kept_since(camera.id)
    if since_us is None:
        return
    for start_us in range(max(camera.configured_at_us, since_us), until_us, _PAGE_US):
        end_us = min(start_us + _PAGE_US, until_us)
        recorded = reader.recorded_between(camera.slug, start_us, end_us, missing_too=True)
        spans = reader.spans_between(camera.slug, start_us, end_us)
        for part in coverage(recorded, spans, None, camera.configured_at_us, start_us, end_us, rest=_NOBODY):
            if part.reason != _NOBODY:
                continue
            if hole is not None and hole[1] == part.start_us:
                hole = (hole[0], part.end_us)
                continue
            if hole is not None:
                yield hole
            hole = (part.start_us, part.end_us)
    if hole is not None:
        yield hole


_NOBODY: Final = "nobody speaks of it"


def _folders(place: Place, report: Recovery) -> Iterator[tuple[str, list[date]]]:
    try:
        for folder in camera_folders(place.volume):
            yield folder, list(days_newest_first(place.volume.path / folder))
    except OSError as trouble:
        _postpone(place.volume.path, trouble, report)


def _settled(desk: Desk, day: date, folder: Path, report: Recovery) -> None:
    try:
        desk.settle_day(day)
    except OSError as trouble:
        _postpone(folder, trouble, report)


def _postpone(path: Path, trouble: OSError, report: Recovery) -> None:
    report.segments["postponed"] += 1
    log.warning("folder not entered: %s", trouble, extra={"action": "recovery-postponed", "path": str(path)})


def _enter_films(films: FilmDesk, folder: Path, report: Recovery) -> None:
    try:
        for month in films.months():
            films.enter_month(month)
    except OSError as trouble:
        _postpone(folder, trouble, report)


# ---- clips


def _enter_clips(index: Index, reader: Reader, archive: Archive, place: Place, folder: str, report: Recovery) -> None:
    clips = place.volume.path / folder / CLIPS
    try:
        for month in months_newest_first(clips) if clips.is_dir() else ():
            for path in sorted(month.glob("*.mp4")):
                enter_clip(index, reader, archive, place, folder, path, report)
    except OSError as trouble:
        _postpone(clips, trouble, report)


def enter_clip(
    index: Index, reader: Reader, archive: Archive, place: Place, folder: str, path: Path, report: Recovery
) -> None:
    """Enters a clip from its first file, unless the index knows it; of another of its files nothing is made."""
    try:
        said, size_bytes = label.read_with_size(path)
        if said is None or str(said.archive) != archive.archive_id:
            raise ValueError("it has no label of this archive")
        entry = _entry(place, folder, camera_of(index, reader, folder, said.start_us), path, said, size_bytes)
        if entry is not None and index.enter_clip(entry).result():
            report.segments["clip"] += 1
    except (MediaError, ValueError, TypeError, KeyError) as trouble:
        report.left.append(path)
        report.segments["left"] += 1
        log.warning("clip left alone: %s", trouble, extra={"action": "recovery-left", "path": str(path)})


def _entry(
    place: Place, folder: str, camera_id: int, path: Path, said: label.Label, size_bytes: int
) -> ClipEntry | None:
    """What a clip's first file tells; None for another of its files, and for what is no clip."""
    relative = str(path.relative_to(place.volume.path))
    facts = said.clip
    if said.kind is not label.Kind.CLIP or facts is None:
        return _entry_of_link(place, camera_id, path, said, size_bytes)
    if relative != clip_path(folder, facts["start_us"], facts["rule"], facts["id"]):
        return None
    files = files_of(path)
    return ClipEntry(
        id=int(facts["id"]),
        camera_id=camera_id,
        rule=str(facts["rule"]),
        trigger=str(facts["trigger"]),
        alarm_at_us=int(facts["alarm_at_us"]),
        start_us=int(facts["start_us"]),
        end_us=int(facts["end_us"]),
        close_reason=facts.get("close_reason"),
        locked=lock_file_of(path).exists(),
        volume_id=place.volume_id,
        path=relative,
        files=len(files),
        size_bytes=sum(file.stat().st_size for file in files),
        linked=False,
        pre_shortfall_us=int(facts.get("pre_shortfall_us", 0)),
        gap_us=int(facts.get("gap_us", 0)),
        continues=facts.get("continues"),
        exported_at_us=path.stat().st_mtime_ns // 1000,
        epoch=int(facts.get("epoch", 0)),
    )


def _entry_of_link(place: Place, camera_id: int, path: Path, said: label.Label, size_bytes: int) -> ClipEntry | None:
    """A clip that is one whole segment is a second name of its file: only that name tells of the clip."""
    name = parse_clip_name(path.name)
    if name is None:
        return None
    return ClipEntry(
        id=name.clip,
        camera_id=camera_id,
        rule=name.rule,
        trigger=UNKNOWN,
        alarm_at_us=said.start_us,
        start_us=said.start_us,
        end_us=said.end_us,
        close_reason=UNKNOWN,
        locked=lock_file_of(path).exists(),
        volume_id=place.volume_id,
        path=str(path.relative_to(place.volume.path)),
        files=1,
        size_bytes=size_bytes,
        linked=path.stat().st_nlink > 1,
        pre_shortfall_us=0,
        gap_us=0,
        continues=None,
        exported_at_us=path.stat().st_mtime_ns // 1000,
        epoch=0,
    )

"""Mends what a check found, one thing at a time, each looked at anew: nothing is done that is not so any more.

Nothing here deletes footage. What it cannot mend (a damaged index, content that is not what it was) stays told.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

from nvr.store.archive import Archive
from nvr.store.check import Finding, Kind
from nvr.store.clip_locks import lock_file_of
from nvr.store.filling import account, enter_clip
from nvr.store.index import Index
from nvr.store.names import CLIPS, PART, TIMELAPSE, parse_segment_name, parse_timelapse_name
from nvr.store.reader import Reader
from nvr.store.recovery import Desk, FilmDesk, Place, Recovery, condemned, size_of_files
from nvr.store.rows import SegmentState


class Repair(StrEnum):
    """What may be done about a finding."""

    ENTER = "enter"
    """Files that no row promises get one; a torn one is cut after its last whole picture first."""
    MARK = "mark"
    """Rows say of their files what is so: gone, cut short, or back."""
    FORGET = "forget"
    """Rows of condemned files that are gone are dropped."""
    LOCKS = "locks"
    """A clip that is locked by its row or by its lock file is locked by both."""
    ACCOUNT = "account"
    """Time of which nobody speaks is a gap with the reason `unknown`."""


REPAIR_OF: Final = {
    Kind.UNPROMISED: Repair.ENTER,
    Kind.MISSING: Repair.MARK,
    Kind.TRUNCATED: Repair.MARK,
    Kind.GARBAGE: Repair.FORGET,
    Kind.LOCK: Repair.LOCKS,
    Kind.UNACCOUNTED: Repair.ACCOUNT,
}


class Repairer:
    """Whoever may write the index. `lock_clip(id)` locks a clip, row and file; `before_run` as for `filling.fill`."""

    def __init__(
        self,
        index: Index,
        reader: Reader,
        archive: Archive,
        places: Sequence[Place],
        lock_clip: Callable[[int], object],
        *,
        until_us: int,
        before_run: int | None = None,
    ) -> None:
        self._index = index
        self._reader = reader
        self._archive = archive
        self._places = {place.volume.name: place for place in places}
        self._lock_clip = lock_clip
        self._until_us = until_us
        self._before_run = before_run

    def repair(self, finding: Finding) -> str | None:
        """What was done, as a few words; None where nothing can be done, or need be any more.

        Raises OSError, DiskFull, IndexDamaged, VolumeMissing.
        """
        match REPAIR_OF.get(finding.kind):
            case Repair.ENTER:
                return self._enter(finding)
            case Repair.MARK:
                return self._mark(finding)
            case Repair.FORGET:
                return self._forget(finding)
            case Repair.LOCKS:
                return self._lock(finding)
            case Repair.ACCOUNT:
                return self._account(finding)
            case None:
                return None

    def _file(self, finding: Finding) -> tuple[Place, Path] | None:
        """Where a finding's file is, on a volume that is there and writable. Raises VolumeMissing."""
        place = self._places.get(finding.volume or "")
        if place is None or finding.path is None:
            return None
        place.volume.check_usable()
        path = place.volume.path / finding.path
        return (place, path) if path.resolve().is_relative_to(place.volume.path.resolve()) else None

    def _enter(self, finding: Finding) -> str | None:
        found = self._file(finding)
        if found is None or finding.path is None:
            return None
        place, path = found
        folder, _, below = finding.path.partition("/")
        report = Recovery(epoch=self._reader.last_epoch())
        if below.startswith(f"{CLIPS}/"):
            enter_clip(self._index, self._reader, self._archive, place, folder, path, report)
        elif below.startswith(f"{TIMELAPSE}/"):
            day = parse_timelapse_name(path.name)
            if day is not None:
                FilmDesk(self._index, self._reader, self._archive, place, report, folder).enter(day)
        else:
            said = parse_segment_name(path.name.removesuffix(PART))
            if said is not None and self._before_run is not None and said.run >= self._before_run:
                return None  # a recorder of this daemon may still be at it; the next start finds it
            garbage = condemned(self._reader, place)
            Desk(self._index, self._reader, self._archive, place, report, folder, garbage).settle_file(path)
        done = [result for result in report.segments if result not in ("left", "postponed")]
        return f"entered ({done[0]})" if done else None

    def _mark(self, finding: Finding) -> str | None:
        found, promise = self._file(finding), self._promise(finding)
        if found is None or promise is None:
            return None
        _, path = found
        size_bytes = size_of_files(path, promise.files)
        if size_bytes is not None:
            state = SegmentState.OK if size_bytes >= promise.size_bytes else SegmentState.TRUNCATED
        elif path.with_name(path.name + PART).exists():
            return None
        else:
            state = SegmentState.MISSING
        if state is promise.state:
            return None
        promise.mark(state).result()
        return f"marked as {state}"

    def _promise(self, finding: Finding) -> "_Promise | None":
        """What the row says that a finding is about; None where there is none any more."""
        number = finding.row or 0
        if f"/{TIMELAPSE}/" in (finding.path or ""):
            film = self._reader.film(number)
            if film is None or film.row.path != finding.path:
                return None
            row = film.row
            return _Promise(row.files, row.size_bytes, row.state, partial(self._index.mark_film, number))
        segment = self._reader.segment(number)
        if segment is None or segment.path != finding.path:
            return None
        return _Promise(1, segment.row.size_bytes, segment.row.state, partial(self._index.mark_segment, number))

    def _forget(self, finding: Finding) -> str | None:
        found = self._file(finding)
        if found is None or finding.row is None:
            return None
        _, path = found
        if path.exists() or path.with_name(path.name + PART).exists():
            return None
        if not any(row.id == finding.row and row.path == finding.path for row in self._reader.garbage()):
            return None
        self._archive.disk.fsync_directory(_there(path.parent))
        self._index.forget([finding.row]).result()
        return "forgotten"

    def _lock(self, finding: Finding) -> str | None:
        clip = self._reader.clip(finding.row or 0)
        found = self._file(finding)
        if clip is None or found is None or clip.locked == lock_file_of(found[1]).exists():
            return None
        self._lock_clip(clip.id)
        return "locked"

    def _account(self, finding: Finding) -> str | None:
        camera = next((camera for camera in self._reader.cameras() if camera.id == finding.row), None)
        if camera is None:
            return None
        until_us = min(self._until_us, self._reader.accounted_until(camera.id) or 0)
        count = account(self._index, self._reader, camera, until_us)
        return "called a gap for an unknown reason" if count else None


@dataclass(frozen=True, slots=True)
class _Promise:
    """How a segment's or a film's row says that its files are."""

    files: int
    size_bytes: int
    state: SegmentState
    mark: Callable[[SegmentState], "Future[None]"]


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that is still there."""
    while not folder.is_dir():
        folder = folder.parent
    return folder

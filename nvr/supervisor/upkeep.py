"""What the daemon does for its index beside recording: copies of it, the whole check, older files after it was lost.

Each method is a job's work (jobs.Work): on a thread of its own, at low priority, resting as long as it works.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from nvr.clock import Clock
from nvr.config import HashWord
from nvr.metrics import Metrics
from nvr.store import backup, salvage
from nvr.store.check import Check, Depth, Finding, Kind, sha256
from nvr.store.errors import DiskFull, IndexDamaged, VolumeMissing
from nvr.store.filling import Manners, fill
from nvr.store.names import numbered
from nvr.store.repair import Repairer
from nvr.store.schema import INDEX_NAME
from nvr.supervisor.wiring import Store

log = logging.getLogger(__name__)

_PAGE: Final = 200
_MOST_TOLD: Final = 20  # findings in the log, one line each; `nvr db check` shows them all
_TROUBLE: Final = (OSError, DiskFull, VolumeMissing)


class Upkeep:
    """The jobs around one store. `live` tells the files that are not in the index yet, from any thread."""

    def __init__(
        self,
        store: Store,
        data_dir: Path,
        metrics: Metrics,
        clock: Clock,
        live: Callable[[], set[Path]],
        *,
        hashing: HashWord = "off",
    ) -> None:
        self._store = store
        self._index_path = data_dir / INDEX_NAME
        self._metrics = metrics
        self._clock = clock
        self._live = live
        self._is_full = not store.recovery.unfinished
        self.hashing: HashWord = hashing
        """Of which files the SHA-256 is kept; may be changed at any time."""
        self._clips_hashed = self._segments_hashed = 0
        """Up to which id everything was tried in this life."""
        metrics.index_backup_us = backup.newest_at_us(data_dir)

    @property
    def has_much_to_enter(self) -> bool:
        """The index was lost, and older files are not all in it yet."""
        return not self._is_full

    def back_up(self, stopping: threading.Event) -> None:
        """A verified copy of the index beside it and on each volume."""
        volumes = [shelf.place.path for shelf in self._store.shelves.all if shelf.refusal is None]
        try:
            copy, troubles = backup.back_up(self._index_path, self._clock.utc_us(), volumes, stopping=stopping)
        except backup.Stopped:
            return
        except IndexDamaged as damage:
            if damage.corrupt:
                self._note_damage(str(damage))
            raise
        self._metrics.index_backup_us = copy.at_us
        log.info("index copied", extra={"action": "index-backup", "path": str(copy.path)})
        for trouble in troubles:
            log.warning(trouble, extra={"action": "index-backup"})

    def check(self, stopping: threading.Event) -> None:
        """The whole check; what rows can say of it they say from then on, and files without a row get one."""
        try:
            self._check(stopping)
        except IndexDamaged as damage:
            if damage.corrupt:
                self._note_damage(str(damage))
            raise

    def _check(self, stopping: threading.Event) -> None:
        manners = Manners(stopping, self._some_disk_lags)
        if not self._is_full and not self._enter_the_rest(manners):
            return
        check = Check(
            self._store.reader,
            self._index_path,
            self._store.places(),
            self._clock.utc_us(),
            depth=Depth(labels=False),
            live=self._live,
            go_on=manners.rest,
            stopping=stopping,
        )
        counts, repairer = Counter[Kind](), self.repairer()
        for finding in check.findings():
            counts[finding.kind] += 1
            self._tell(finding, counts.total(), _repaired(repairer, finding))
        if counts[Kind.INDEX]:
            self._note_damage("SQLite's check found it damaged")
        if check.complete:
            self._metrics.index_inconsistencies = {kind.value: counts[kind] for kind in Kind}
            log.info("index checked", extra={"action": "index-check", "files": check.files, "wrong": counts.total()})

    def hash(self, stopping: threading.Event) -> None:
        """The SHA-256 of files that have none yet, where it is wanted: of clips, or of segments as well."""
        if self.hashing == "off":
            return
        manners = Manners(stopping, self._some_disk_lags)
        try:
            self._hash_clips(manners)
            if self.hashing == "all":
                self._hash_segments(manners)
        except InterruptedError:
            return  # nvr is stopping

    def _hash_clips(self, manners: Manners) -> None:
        while page := self._store.reader.clips_without_hash(after=self._clips_hashed, limit=_PAGE):
            for clip in page:
                folder = self._folder(clip.volume)
                if folder is not None and clip.path is not None:
                    names = [numbered(clip.path, number) for number in range(1, clip.files + 1)]
                    digests = [_sha256(folder / name, manners) for name in names]
                    if None not in digests:
                        found = b"".join(digest for digest in digests if digest is not None)
                        self._store.index.note_clip_hash(clip.id, found).result()
                self._clips_hashed = clip.id

    def _hash_segments(self, manners: Manners) -> None:
        while page := self._store.reader.segments_without_hash(after=self._segments_hashed, limit=_PAGE):
            for segment in page:
                folder = self._folder(segment.volume)
                digest = None if folder is None else _sha256(folder / segment.path, manners)
                if digest is not None:
                    self._store.index.note_hash(segment.id, digest).result()
                self._segments_hashed = segment.id

    def _folder(self, volume: str | None) -> Path | None:
        """Where a volume is that can be read now."""
        places = (place.volume.path for place in self._store.places() if place.volume.name == volume)
        return next(places, None)

    def repairer(self) -> Repairer:
        """Mends what a check found, beside the recorders."""
        return Repairer(
            self._store.index,
            self._store.reader,
            self._store.shelves.all[0].archive,
            self._store.places(),
            lambda clip: self._store.exporter.lock(clip, True).result(),
            until_us=self._store.began_us,
            before_run=self._store.first_run,
        )

    def _enter_the_rest(self, manners: Manners) -> bool:
        report = fill(
            self._store.index,
            self._store.reader,
            self._store.shelves.all[0].archive,
            self._store.places(),
            until_us=self._store.began_us,
            before_run=self._store.first_run,
            go_on=manners.rest,
        )
        # A volume that is away now may hold more; it is looked at when it is there.
        away = any(shelf.volume is None for shelf in self._store.shelves.all)
        self._is_full = not report.unfinished and not away
        if self._is_full:
            salvage.is_filled(self._index_path)
        log.info(
            "older footage entered" if self._is_full else "older footage entered in part",
            extra={"action": "index-filled", **{f"files_{what}": n for what, n in report.segments.items()}},
        )
        return not report.unfinished

    def _tell(self, finding: Finding, number: int, done: str | None) -> None:
        extra: dict[str, Any] = {"action": "index-check", "kind": finding.kind.value, "done": done}
        extra |= {"volume": finding.volume, "path": finding.path}
        log.log(logging.WARNING if number <= _MOST_TOLD else logging.DEBUG, finding.sentence, extra=extra)

    def _note_damage(self, why: str) -> None:
        self._store.index.give_up(why)  # and the daemon begins another life

    def _some_disk_lags(self) -> bool:
        return any(shelf.lags for shelf in self._store.shelves.all)


def _repaired(repairer: Repairer, finding: Finding) -> str | None:
    """One thing that cannot be mended now is no reason to leave the others."""
    try:
        return repairer.repair(finding)
    except _TROUBLE as trouble:
        return f"not mended: {trouble}"


def _sha256(path: Path, manners: Manners) -> bytes | None:
    """None where it cannot be read: the check says so. Raises InterruptedError when it is to end."""
    try:
        return sha256(path, manners.rest)
    except InterruptedError:
        raise
    except OSError as trouble:
        log.debug("not hashed: %s", trouble, extra={"action": "hash", "path": str(path)})
        return None

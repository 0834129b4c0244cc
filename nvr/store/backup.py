"""Copies of the index: made beside a running daemon, verified, kept beside the index and on every volume.

A copy is taken by SQLite's backup API through a connection that can only read, in one step: it is one moment of the
index, and the daemon writes on meanwhile. It gets its name only once it was checked and is on disk.
"""

import logging
import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from nvr.media.durable import Disk
from nvr.store.connections import translated
from nvr.store.errors import DiskFull, IndexDamaged, VolumeMissing
from nvr.store.schema import BACKUPS_NAME
from nvr.store.tables import APPLICATION_ID, SCHEMA_VERSION
from nvr.store.volumes import disk_trouble, identity_at
from nvr.units import US

log = logging.getLogger(__name__)

KEPT: Final = 7
"""How many copies stay beside the index."""
ON_VOLUME: Final = ".nvr-index-"
"""How the name of the copy at the top of a volume begins."""

_STAMP: Final = r"(\d{8}T\d{6}Z)"
_OURS: Final = re.compile(rf"index-{_STAMP}\.sqlite3", re.ASCII)
_OF_UPGRADE: Final = re.compile(rf"index-{_STAMP}-schema-\d+\.sqlite3", re.ASCII)
_OF_VOLUME: Final = re.compile(rf"{re.escape(ON_VOLUME)}{_STAMP}\.sqlite3", re.ASCII)
_PART: Final = ".part"
_STEPS: Final = 100_000  # of SQLite's machine between two looks at whether to stop: some milliseconds


class Stopped(Exception):
    """Nothing more was wanted."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the index."""

    path: Path
    at_us: int
    """UTC, whole seconds."""


def back_up(
    index_path: Path,
    at_us: int,
    volumes: Sequence[Path] = (),
    *,
    still: bool = False,
    stopping: threading.Event | None = None,
) -> tuple[Copy, list[str]]:
    """Makes a verified copy beside the index and puts it on each of these volumes; older ones go.

    `still`: nobody writes the index, and there is no log beside it. Answers the copy and a sentence for each volume
    that could not take it. Raises IndexDamaged where the index does not pass, DiskFull, OSError, Stopped.
    """
    folder = index_path.parent / BACKUPS_NAME
    folder.mkdir(mode=0o750, exist_ok=True)
    stamp = datetime.fromtimestamp(at_us // US, UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = Copy(folder / f"index-{stamp}.sqlite3", at_us // US * US)
    draft = copy.path.with_name(f"{copy.path.name}.{os.getpid()}{_PART}")  # a command and a daemon may both be at it
    draft.unlink(missing_ok=True)
    try:
        with disk_trouble("copying the index"), translated("copying it"):
            _copy(index_path, draft, still=still)
            check_whole(draft, stopping=stopping)
            sync(draft)
            draft.replace(copy.path)
            sync(folder)
    finally:
        draft.unlink(missing_ok=True)
    _keep_newest(folder, _OURS, KEPT)
    troubles = []
    for volume in volumes:
        try:
            _put_on_volume(copy.path, volume, stamp)
        except (OSError, DiskFull, VolumeMissing) as trouble:
            troubles.append(f"no copy of the index on {volume}: {trouble}")
    return copy, troubles


def copies(data_dir: Path, volumes: Sequence[Path] = ()) -> list[Copy]:
    """The copies there are, newest first, one name each; also those made before an upgrade."""
    found = [*_named(data_dir / BACKUPS_NAME, _OURS), *_named(data_dir / BACKUPS_NAME, _OF_UPGRADE)]
    for volume in volumes:
        found += _named(volume, _OF_VOLUME)
    return sorted(found, key=lambda copy: copy.at_us, reverse=True)


def newest_at_us(data_dir: Path) -> int:
    """When the newest copy beside the index was made; 0 where there is none."""
    return max((copy.at_us for copy in _named(data_dir / BACKUPS_NAME, _OURS)), default=0)


def check_whole(path: Path, *, quick: bool = False, stopping: threading.Event | None = None) -> None:
    """Raises IndexDamaged unless a file that nobody writes is a whole index of ours. Raises Stopped."""

    def ask(connection: sqlite3.Connection) -> Iterator[str]:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            yield "it is no index of nvr"
            return
        if connection.execute("PRAGMA user_version").fetchone()[0] > SCHEMA_VERSION:
            yield "a newer nvr made it"
            return
        yield from complaints(connection, quick=quick)

    with (
        translated("checking it"),
        closing(_open(path, "mode=ro&immutable=1")) as connection,
        interruptible(connection, stopping),
    ):
        for sentence in ask(connection):
            raise IndexDamaged(f"{path.name} is not a whole index: {sentence}", corrupt=True)


def complaints(connection: sqlite3.Connection, *, quick: bool = False) -> Iterator[str]:
    """What SQLite has to say against a database, at most a few sentences; nothing where it is whole."""
    for (sentence,) in connection.execute(f"PRAGMA {'quick_check' if quick else 'integrity_check'}(5)"):
        if sentence != "ok":
            yield str(sentence).replace("\n", " ")
    if not quick:
        lost = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
        yield from (f"a row of table {table} refers to nothing" for table, *_ in lost)


@contextmanager
def interruptible(connection: sqlite3.Connection, stopping: threading.Event | None) -> Iterator[None]:
    """While inside, SQLite looks now and then whether to stop; then Stopped is raised."""
    if stopping is None:
        yield
        return
    connection.set_progress_handler(stopping.is_set, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if stopping.is_set():
            raise Stopped from error
        raise
    finally:
        connection.set_progress_handler(None, 0)
    if stopping.is_set():
        raise Stopped


def restore(copy: Path, index_path: Path) -> None:
    """Puts a copy in the place of an index that is not there, synced; the copy stays. Raises OSError, IndexDamaged."""
    draft = index_path.with_name(index_path.name + _PART)
    draft.unlink(missing_ok=True)
    check_whole(copy, quick=True)
    shutil.copyfile(copy, draft)
    sync(draft)
    Disk().rename_noreplace(draft, index_path)
    sync(index_path.parent)


def open_read_only(index_path: Path, how: str = "mode=ro") -> sqlite3.Connection:
    """A connection that can only read, by default beside a daemon that writes."""
    return _open(index_path, how)


def _copy(index_path: Path, draft: Path, *, still: bool) -> None:
    how = "mode=ro&immutable=1" if still else "mode=ro"
    with closing(_open(index_path, how)) as source, closing(sqlite3.connect(draft)) as target:
        target.execute("PRAGMA synchronous=OFF")  # it is synced once, when it is whole
        source.backup(target)
        # A copy is one file, also for whoever may only read it.
        target.execute("PRAGMA journal_mode=DELETE")


def _put_on_volume(copy: Path, volume: Path, stamp: str) -> None:
    if identity_at(volume) is None:
        raise VolumeMissing("the volume is not mounted there")
    with disk_trouble(f"copying the index to {volume}"):
        place = volume / f"{ON_VOLUME}{stamp}.sqlite3"
        draft = place.with_name(place.name + _PART)
        for left in volume.glob(f"{ON_VOLUME}*{_PART}"):
            left.unlink(missing_ok=True)
        try:
            with copy.open("rb") as source, draft.open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)
        sync(volume)
        _keep_newest(volume, _OF_VOLUME, 1)


def _named(folder: Path, form: re.Pattern[str]) -> list[Copy]:
    found = []
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - names are all that is wanted
            match = form.fullmatch(name)
            if match is not None:
                with suppress(ValueError):
                    at = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                    found.append(Copy(folder / name, int(at.timestamp()) * US))
    return sorted(found, key=lambda copy: copy.at_us, reverse=True)


def _keep_newest(folder: Path, form: re.Pattern[str], kept: int) -> None:
    for old in _named(folder, form)[kept:]:
        old.path.unlink(missing_ok=True)


def _open(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True, isolation_level=None)


def sync(path: Path) -> None:
    """Puts a file, or the names in a folder, on disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

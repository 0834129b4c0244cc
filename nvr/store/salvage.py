"""What becomes of an index that is no index any more: set aside, and begun again from its newest copy or from nothing.

Footage needs no index. So nothing here stops a daemon from recording: the damaged file is kept beside the new one for
whoever wants to look into it, and what the new one lacks is entered from the files (recovery, filling).
"""

import logging
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from nvr.media.durable import Disk
from nvr.store import backup
from nvr.store.connections import wal_path
from nvr.store.errors import DiskFull, IndexDamaged
from nvr.store.schema import BACKUPS_NAME
from nvr.store.volumes import identity_at
from nvr.units import US

log = logging.getLogger(__name__)

NOTE_NAME: Final = "index.damaged"
"""A file that tells the next start what the daemon before it found out about its index."""


FILLING_NAME: Final = "index.filling"
"""A file that is there for as long as the index lacks files from before it was lost, over any number of lives."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The index begins again."""

    why: str
    aside: Path | None
    """Where the damaged one is kept; None where there was none."""
    copy: Path | None
    """The copy it begins from; None: from nothing."""

    def sentence(self) -> str:
        """For the log and the list of events."""
        kept = "" if self.aside is None else f", is kept as {self.aside.name}"
        begins = "with nothing" if self.copy is None else f"as its copy {self.copy.name}"
        return f"the index {self.why}{kept} and begins again {begins}; what it lacks is entered from the files"


def look(index_path: Path, volumes: Sequence[Path], now_us: int) -> Lost | None:
    """Before an index is opened: where it is not there, or a daemon noted that it is damaged, it begins again.

    To be called under the data directory's lock. None where there is nothing to do, and at the very first start.
    """
    note = index_path.with_name(NOTE_NAME)
    with suppress(FileNotFoundError):
        return begin_again(index_path, volumes, now_us, f"was damaged ({note.read_text().strip()})")
    if index_path.exists() and index_path.stat().st_size > 0:
        return None
    known = any(identity_at(volume) is not None for volume in volumes)
    if not known and not backup.copies(index_path.parent):
        return None
    return begin_again(index_path, volumes, now_us, "was empty" if index_path.exists() else "was not there")


def begin_again(index_path: Path, volumes: Sequence[Path], now_us: int, why: str) -> Lost:
    """Sets the index aside and puts its newest copy that is whole in its place, or nothing. Raises OSError."""
    aside = set_aside(index_path, now_us)
    index_path.with_name(FILLING_NAME).touch(mode=0o640)
    copy = restore_newest(index_path, volumes)
    index_path.with_name(NOTE_NAME).unlink(missing_ok=True)
    Disk().fsync_directory(index_path.parent)
    lost = Lost(why, aside, copy)
    log.error(lost.sentence(), extra={"action": "index-lost"})
    return lost


def is_filling(index_path: Path) -> bool:
    """Whether the index may lack files from before it was lost."""
    return index_path.with_name(FILLING_NAME).exists()


def is_filled(index_path: Path) -> None:
    """Every file of every volume was looked at since the index was lost. Raises OSError."""
    index_path.with_name(FILLING_NAME).unlink(missing_ok=True)
    Disk().fsync_directory(index_path.parent)


def set_aside(index_path: Path, now_us: int, *, word: str = "damaged") -> Path | None:
    """Renames the index and its log, never over anything; None where there is no index. Killed on the way, it goes on.

    The log first: beside another database it would be taken for that one's.
    """
    aside = index_path.with_name(f"{index_path.name}.{word}-{datetime.fromtimestamp(now_us // US, UTC):%Y%m%dT%H%M%SZ}")
    if wal_path(index_path).exists():
        wal_path(index_path).replace(wal_path(aside))
    index_path.with_name(index_path.name + "-shm").unlink(missing_ok=True)
    there = index_path.exists()
    if there:
        Disk().rename_noreplace(index_path, aside)
    Disk().fsync_directory(index_path.parent)
    return aside if there else None


def put_in_place(draft: Path, index_path: Path) -> None:
    """Makes a finished index, closed by its writer, the index; where there is none. Raises OSError."""
    backup.sync(draft)
    Disk().rename_noreplace(draft, index_path)
    Disk().fsync_directory(index_path.parent)
    shutil.rmtree(draft.parent)


def restore_newest(index_path: Path, volumes: Sequence[Path], place: Path | None = None) -> Path | None:
    """Puts the newest whole copy in the index's place, or in another; None where no copy is whole."""
    for copy in backup.copies(index_path.parent, volumes):
        try:
            backup.restore(copy.path, place or index_path)
        except (IndexDamaged, DiskFull, OSError, sqlite3.Error) as trouble:
            log.warning("copy of the index left: %s", trouble, extra={"action": "copy-left", "path": str(copy.path)})
            continue
        return copy.path
    return None


def note_damage(index_path: Path, why: str) -> None:
    """Tells the next start that the index is damaged; it then begins again. The first word counts. Raises OSError."""
    note = index_path.with_name(NOTE_NAME)
    if note.exists():
        return
    note.write_text(why + "\n")
    Disk().fsync_directory(note.parent)


def rescue(connection: Connection, index_path: Path, now_us: int) -> Path:
    """Copies an index whose file was taken away under its only connection, which still has all of it.

    For the index's writer, inside a command. Raises OSError, sqlite3.Error.
    """
    folder = index_path.parent / BACKUPS_NAME
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    stamp = datetime.fromtimestamp(now_us // US, UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = folder / f"index-{stamp}.sqlite3"
    draft = copy.with_name(copy.name + ".part")
    draft.unlink(missing_ok=True)
    source: Any = connection.connection.dbapi_connection
    # SQLite copies from no connection that is writing: what was put before is committed, and the rest of the
    # transaction, which nobody has been told of, begins anew.
    source.execute("COMMIT")
    try:
        with closing(sqlite3.connect(draft)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
    finally:
        source.execute("BEGIN IMMEDIATE")
    backup.check_whole(draft, quick=True)
    backup.sync(draft)
    draft.replace(copy)
    backup.sync(folder)
    return copy


class FileWatch:
    """Looks whether the index's file is still the one that is open: nobody but nvr has any business with it."""

    def __init__(self, index_path: Path) -> None:
        self._path = index_path
        self._inode: int | None = None
        self._size_bytes = 0

    def trouble(self) -> str | None:
        """What somebody did to the file; None while all is well. Never opens it (SQLite's locks would be lost)."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return "was deleted"
        except OSError:
            return None  # its own trouble, which the index's writer meets as well
        if self._inode is None:
            self._inode = found.st_ino
        if found.st_ino != self._inode:
            return "was exchanged"
        if found.st_size < self._size_bytes:
            return "was cut short"  # nvr never makes it smaller
        self._size_bytes = found.st_size
        return None

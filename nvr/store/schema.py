"""Brings the index to this program's schema before anything else touches it.

Alembic is a tenth of the daemon's memory, so it is only ever loaded by a process of its own (nvr.store.upgrade), and
only when a revision is pending; whether one is, two integers in the index's header tell.
"""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from nvr.store.connections import reader_engine, translated, upgrade_engine
from nvr.store.errors import DiskFull, IndexDamaged, SchemaTooNew, SchemaTooOld
from nvr.store.tables import APPLICATION_ID, SCHEMA_VERSION, TRIGGERS, metadata

INDEX_NAME: Final = "index.sqlite3"
"""The index's file in the data directory."""
BACKUPS_NAME: Final = "backups"
"""Copies of the index, beside it."""

_PACKAGE: Final = Path(__file__).parent.parent
DISK_FULL_EXIT: Final = 3
"""What the upgrading process answers where no space was left."""


def prepare(index_path: Path, *, migrations: Path | None = None, version: int = SCHEMA_VERSION) -> Path | None:
    """Creates the index or upgrades it, under the data directory's lock, before the writer opens it.

    Where revisions are pending a copy is made first, and its path answered. Raises SchemaTooNew where a newer nvr wrote
    the index, IndexDamaged where it is none or an upgrade failed (it is then as before), DiskFull.
    """
    with translated("opening it"):
        found = _version_of(index_path)
        if found is None:
            _create(index_path, version)
            return None
    refuse_newer(found, version)
    if found == version:
        return None
    copy = _back_up(index_path, found)
    _upgrade(index_path, migrations or migrations_directory(), copy)
    return copy


def check_readable(connection: Connection) -> None:
    """For whoever only asks: raises SchemaTooNew or SchemaTooOld where the index is not of this program's schema."""
    found = version_in(connection)
    if found is None:
        raise IndexDamaged("the index is empty; the daemon fills it when it starts")
    refuse_newer(found, SCHEMA_VERSION)
    if found < SCHEMA_VERSION:
        raise SchemaTooOld(
            f"the index has schema {found} and this nvr reads {SCHEMA_VERSION}: start the daemon once, it upgrades"
        )


def refuse_newer(found: int, version: int) -> None:
    """Raises SchemaTooNew where the index's version is past the program's."""
    if found > version:
        raise SchemaTooNew(
            f"the index has schema {found} and this nvr knows {version}: install the newer nvr again, "
            f"or restore a copy from {BACKUPS_NAME}/"
        )


def migrations_directory() -> Path:
    """Where the revisions are: inside the installed package, or beside it in a checkout."""
    for place in (_PACKAGE / "migrations", _PACKAGE.parent / "migrations"):
        if (place / "env.py").is_file():
            return place
    raise FileNotFoundError(f"no migrations beside or in {_PACKAGE}: this installation of nvr is not whole")


def stamp(connection: Connection, version: int) -> None:
    """Marks an index as ours and of this version, in the same transaction as what made it so."""
    connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version={version}")


def revision_of(version: int) -> str:
    """The name of the revision that brings an index to this version."""
    return f"{version:04}"


def version_in(connection: Connection) -> int | None:
    """The schema version; None where there is nothing yet. Raises IndexDamaged where it is something else."""
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if application == APPLICATION_ID:
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if application == 0 and connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one() == 0:
        return None
    raise IndexDamaged("the index's file is a database, but not an index of nvr; move it away")


def _version_of(path: Path) -> int | None:
    if not path.exists() or path.stat().st_size == 0:
        return None
    engine = reader_engine(path)
    try:
        with engine.connect() as connection:
            return version_in(connection)
    finally:
        engine.dispose()


def _create(path: Path, version: int) -> None:
    """A new index at once, without Alembic; a test holds it equal to what the revisions make."""
    engine = upgrade_engine(path)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
            for trigger in TRIGGERS:
                connection.exec_driver_sql(trigger)
            connection.exec_driver_sql(
                "CREATE TABLE alembic_version "
                "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
            connection.execute(
                text("INSERT INTO alembic_version (version_num) VALUES (:revision)"), {"revision": revision_of(version)}
            )
            stamp(connection, version)
    finally:
        engine.dispose()


def _back_up(path: Path, version: int) -> Path:
    """A whole, synced, checked copy of the index beside it."""
    backups = path.parent / BACKUPS_NAME
    backups.mkdir(mode=0o750, exist_ok=True)
    copy = backups / f"index-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-schema-{version}.sqlite3"
    unfinished = copy.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    with translated("copying it before the upgrade"):
        _vacuum_into(path, unfinished)
    _fsync(unfinished)  # VACUUM INTO does not
    _quick_check(unfinished)
    unfinished.rename(copy)
    _fsync(backups)
    return copy


def _vacuum_into(path: Path, copy: Path) -> None:
    engine = reader_engine(path)
    try:
        # Not by SQLAlchemy's way: it begins a transaction, and VACUUM must be outside of any.
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("VACUUM INTO ?", (str(copy),))
    finally:
        engine.dispose()


def _quick_check(path: Path) -> None:
    engine = reader_engine(path)
    try:
        with translated("checking the copy"), engine.connect() as connection:
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    finally:
        engine.dispose()
    if verdict != "ok":
        raise IndexDamaged(f"the index is not upgraded, because it is damaged: {verdict}")


def _upgrade(path: Path, migrations: Path, copy: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(_PACKAGE.parent), os.environ.get("PYTHONPATH", "")))}
    # A service's socket to its manager belongs to the daemon alone.
    environment.pop("NOTIFY_SOCKET", None)
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "nvr.store.upgrade", str(path), str(migrations)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    if done.returncode == DISK_FULL_EXIT:
        raise DiskFull("no space is left to upgrade the index; it is as before")
    lines = done.stderr.strip().splitlines() or [f"the upgrade ended with code {done.returncode}"]
    raise IndexDamaged(f"the index could not be upgraded and is as before (a copy is {copy}): {lines[-1]}")


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sqlite_verdict() -> str:
    """What the SQLite in use means for the index, as one sentence for a person."""
    version = sqlite3.sqlite_version_info
    if version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45):
        return f"SQLite {sqlite3.sqlite_version} has the fix for its WAL-reset bug"
    return (
        f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug: nothing but the daemon may write or checkpoint the "
        "index (no sqlite3 shell with write access, no replication tool)"
    )

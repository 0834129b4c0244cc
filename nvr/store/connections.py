"""How connections to the index are made, and what SQLite's troubles mean to this house.

There is one read-write connection in the whole system, and it also does every checkpoint: SQLite before 3.51.3 can
corrupt a WAL database when two connections write or checkpoint at the same moment. Everybody else reads (`mode=ro`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Engine, NullPool, QueuePool, StaticPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from nvr.store.errors import DiskFull, IndexDamaged

_DIALECT: Final = "sqlite+pysqlite://"
_READERS: Final = 4  # connections kept open beside a running daemon: page, API, jobs and one to spare
_WAL_LIMIT_BYTES: Final = 64 << 20  # what a checkpoint leaves of the WAL after a long reader let it grow
_CACHE_KIB: Final = 16_000
_BUSY_MS: Final = 5_000

_WRITER_SETTINGS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",  # NORMAL loses committed rows at a power cut
    "foreign_keys=ON",
    f"busy_timeout={_BUSY_MS}",
    f"cache_size=-{_CACHE_KIB}",
    f"journal_size_limit={_WAL_LIMIT_BYTES}",
    "temp_store=MEMORY",
    "trusted_schema=OFF",
)
_READER_SETTINGS: Final = (f"busy_timeout={_BUSY_MS}", "temp_store=MEMORY", "trusted_schema=OFF")
_UPGRADE_SETTINGS: Final = (
    # A batch migration drops and recreates tables: with foreign keys on, ON DELETE CASCADE empties their children.
    "foreign_keys=OFF",
    "synchronous=FULL",
    f"busy_timeout={_BUSY_MS}",
    "trusted_schema=OFF",
)


def writer_engine(path: Path) -> Engine:
    """The one read-write connection. The file must exist; only its thread may use it."""
    return _read_write(path, _WRITER_SETTINGS)


def upgrade_engine(path: Path) -> Engine:
    """A read-write connection for creating and migrating, under the data directory's lock; creates the file."""
    return _read_write(path, _UPGRADE_SETTINGS, create=True)


def reader_engine(path: Path, *, kept: bool = False) -> Engine:
    """Connections that can only read, from any thread; `kept`: at most four, open until the engine is disposed of."""
    return _read_only(path, "mode=ro", kept=kept)


def still_engine(path: Path) -> Engine:
    """Connections to an index that nobody writes, for users who may not write beside it; hold the lock meanwhile."""
    return _read_only(path, "mode=ro&immutable=1", kept=False)


def wal_path(index_path: Path) -> Path:
    """Where SQLite keeps what is not yet in the index's file."""
    return index_path.with_name(index_path.name + "-wal")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turns SQLite's troubles into this room's; what is our own mistake (a broken constraint) passes as it is."""
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        if isinstance(cause, sqlite3.Error) and (trouble := _trouble(cause, doing)) is not None:
            raise trouble from error
        raise
    except sqlite3.Error as error:
        if (trouble := _trouble(error, doing)) is not None:
            raise trouble from error
        raise


def _trouble(error: sqlite3.Error, doing: str) -> Exception | None:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return DiskFull(f"no space is left for the index ({doing})")
    if primary in _DAMAGE:
        return IndexDamaged(f"the index cannot be read or written ({doing}): {error}", corrupt=primary in _CORRUPT)
    return None


_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
    }
)


def _read_only(path: Path, how: str, *, kept: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        return _connect(path, how, _READER_SETTINGS)

    if kept:
        engine = create_engine(_DIALECT, creator=connect, poolclass=QueuePool, pool_size=_READERS, max_overflow=0)
    else:
        engine = create_engine(_DIALECT, creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _read_write(path: Path, settings: tuple[str, ...], *, create: bool = False) -> Engine:
    mode = "mode=rwc" if create else "mode=rw"
    engine = create_engine(_DIALECT, creator=lambda: _connect(path, mode, settings), poolclass=StaticPool)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _connect(path: Path, how: str, settings: tuple[str, ...]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{how}", uri=True, check_same_thread=False, cached_statements=256
    )
    # Python 3.11 begins transactions by itself, and never before DDL; SQLAlchemy's hook does it instead.
    connection.isolation_level = None
    try:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")  # all statements of a question see one moment


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

"""A program of its own: runs the pending revisions on an index, in one transaction. The only file that loads Alembic.

    python -m nvr.store.upgrade INDEX MIGRATIONS

Exit code 0: the index is at the newest revision; 3: no space was left; anything else: the last line of stderr says why.
Unless it is 0 the index is as before. The caller holds the data directory's lock.
"""

import sys
import traceback
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from nvr.store.connections import translated, upgrade_engine
from nvr.store.errors import DiskFull, IndexDamaged
from nvr.store.schema import DISK_FULL_EXIT, stamp


def upgrade(index_path: Path, migrations: Path) -> None:
    """Runs all pending revisions, or none. Raises what a revision raises, DiskFull, IndexDamaged."""
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    head = ScriptDirectory.from_config(config).get_current_head()
    if head is None:
        raise IndexDamaged(f"there is no revision in {migrations}")
    engine = upgrade_engine(index_path)
    try:
        with translated("upgrading it"), engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            lost = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if lost:
                raise IndexDamaged(
                    f"{len(lost)} rows would refer to nothing after the upgrade, first in table {lost[0][0]}"
                )
            stamp(connection, int(head))
    finally:
        engine.dispose()


def main() -> int:
    index_path, migrations = (Path(argument) for argument in sys.argv[1:])
    try:
        upgrade(index_path, migrations)
    except DiskFull:
        return DISK_FULL_EXIT
    except Exception as trouble:  # noqa: BLE001 - whatever a revision raises becomes one last line for the caller
        traceback.print_exc()
        sys.stderr.write(f"{type(trouble).__name__}: {str(trouble).partition(chr(10))[0]}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

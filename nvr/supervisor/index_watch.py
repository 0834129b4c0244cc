"""Whether the index is still of use, and what follows where it is not: an orderly stop, and a life with another one.

Cameras are recorded all the while: their files need no index. Only who wants to find them does.
"""

import logging
import os
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from nvr.clock import Clock
from nvr.store import backup, salvage
from nvr.store.index import Index

log = logging.getLogger(__name__)

AGAIN_AT: Final = "NVR_BEGAN_AGAIN_AT"
"""In the environment of a life that follows one whose index was lost: when it began, by the monotonic clock."""

_APART_S: Final = 60.0  # a disk that spoils every new index must not end recording every few seconds
_TRY_S: Final = 3.0  # a fault's end is to be noticed within 10 s


class IndexWatch:
    """To be asked at each tick, in the loop; it never waits."""

    def __init__(self, index: Index, index_path: Path, clock: Clock) -> None:
        self.wants_another_life = False
        self._index = index
        self._path = index_path
        self._clock = clock
        self._file = salvage.FileWatch(index_path)
        self._rescuing = False
        self._probing: threading.Thread | None = None
        self._answers = False
        before_s = float(os.environ.get(AGAIN_AT, "-inf"))
        self._not_before_s = before_s + _APART_S

    def look(self) -> bool:
        """Whether this life should end now, so that the next begins with an index that is of use; says so once."""
        if self.wants_another_life:
            return False
        damage = self._index.damage
        if damage is None:
            if not self._rescuing and (what := self._file.trouble()) is not None:
                self._rescue(what)
            return False
        if time.monotonic() < self._not_before_s or self._rescuing:
            return False
        if damage.corrupt:
            # Opening it again may not show what is wrong with it.
            with suppress(OSError):
                salvage.note_damage(self._path, str(damage))
        self.wants_another_life = damage.corrupt or self._may_be_used_again()
        return self.wants_another_life

    def begin_another_life(self, arguments: list[str]) -> None:
        """Runs this program anew in this process. Does not return."""
        os.environ[AGAIN_AT] = str(time.monotonic())
        os.execv(arguments[0], arguments)  # noqa: S606 - ourselves, as we were called

    def _rescue(self, what: str) -> None:
        """The file is not what is open any more: its only connection may still have all of it."""
        self._rescuing = True
        log.critical("the index's file %s", what, extra={"action": "index-lost", "path": str(self._path)})
        rescued = self._index.do(lambda connection: salvage.rescue(connection, self._path, self._clock.utc_us()))
        rescued.add_done_callback(lambda done: self._rescued(what, done.exception()))

    def _rescued(self, what: str, trouble: BaseException | None) -> None:
        """On the writer's thread: nothing is taken after the copy."""
        if trouble is not None:
            log.warning("no copy could be saved of it: %s", trouble, extra={"action": "index-lost"})
        self._index.give_up(f"its file {what}")
        with suppress(OSError):
            salvage.note_damage(self._path, f"its file {what}")
        self._rescuing = False

    def _may_be_used_again(self) -> bool:
        """Whether its disk takes and gives again, tried now and then on a thread: it may hang."""
        if self._answers:
            return True
        if self._probing is None or not self._probing.is_alive():
            self._probing = threading.Thread(target=self._probe, name="index probe", daemon=True)
            self._probing.start()
        return False

    def _probe(self) -> None:
        time.sleep(_TRY_S)
        probe = self._path.with_name(self._path.name + ".probe")
        try:
            probe.write_bytes(b"\0" * 4096)
            backup.sync(probe)
            with closing(backup.open_read_only(self._path)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self._answers = True
        except (OSError, sqlite3.Error):
            return
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)

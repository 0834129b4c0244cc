"""One camera's alarms and clips on their way into the index, in their order, however long it will not take them."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from nvr.log import Streak
from nvr.metrics import CameraCounts
from nvr.record.clips import Step
from nvr.record.recorder import RecordedCamera
from nvr.store.errors import DiskFull, IndexDamaged
from nvr.store.index import Index
from nvr.store.rows import AlarmRow

log = logging.getLogger(__name__)

_MOST_WAITING: Final = 10_000  # half a kilobyte each; an alarm every ten seconds for a day


class _Entry:
    """What goes into the index in one transaction."""

    __slots__ = ("alarm", "steps")

    def __init__(self, alarm: AlarmRow | None, steps: Sequence[Step]) -> None:
        self.alarm = alarm
        self.steps = steps


class ClipRows:
    """Everything here runs in the loop; `hop(call, *args)` runs a call in it from any thread.

    What the index refuses (its disk is full) is given again at each tick until it is taken, and everything after it
    then: a later step means nothing without those before it, and one that was taken already changes nothing.
    """

    def __init__(
        self,
        index: Index,
        camera: RecordedCamera,
        counts: CameraCounts,
        hop: Callable[..., object],
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        """Beyond `most_waiting` the oldest are given up, and counted."""
        self._index = index
        self._camera = camera
        self._counts = counts
        self._hop = hop
        self._most_waiting = most_waiting
        self._waiting: deque[_Entry] = deque()
        """Not known to be in the index, oldest first."""
        self._is_refused = False
        self._trying: _Entry | None = None
        """What was refused and is given again."""
        self._answer_came = asyncio.Event()
        self._trouble = Streak(log, {"camera": camera.slug, "action": "alarm-not-entered"})

    def add_alarm(self, alarm: AlarmRow, steps: Sequence[Step]) -> None:
        """An alarm, and what it makes of the clips, together."""
        self._add(_Entry(alarm, steps))

    def put_steps(self, steps: Sequence[Step]) -> None:
        """What became of clips."""
        self._add(_Entry(None, steps))

    def tick(self) -> None:
        """At each tick: what was refused is given again."""
        if self._is_refused and self._trying is None and self._waiting:
            self._trying = self._waiting[0]
            self._give(self._trying)

    async def entered(self, within_s: float) -> bool:
        """At the end: waits until everything is in the index; False, said, where it is not taken."""
        self.tick()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._waiting and (self._trying is not None or not self._is_refused):
                    self._answer_came.clear()
                    await self._answer_came.wait()
        if not self._waiting:
            return True
        alarms = sum(entry.alarm is not None for entry in self._waiting)
        self._counts.alarms_lost += alarms
        log.error(
            "the index does not take what became of alarms and clips; it is lost now",
            extra={"camera": self._camera.slug, "action": "alarms-lost", "alarms": alarms},
        )
        return False

    # ---- steps of the above

    def _add(self, entry: _Entry) -> None:
        if len(self._waiting) >= self._most_waiting:
            self._counts.alarms_lost += self._waiting.popleft().alarm is not None
        self._waiting.append(entry)
        if not self._is_refused:
            self._give(entry)

    def _give(self, entry: _Entry) -> None:
        future: Future[int] | Future[None]
        if entry.alarm is not None:
            future = self._index.add_alarm(entry.alarm, entry.steps)
        else:
            future = self._index.put_clip_steps(self._camera.id, entry.steps)
        future.add_done_callback(lambda done: self._hop(self._answered, entry, done.exception()))

    def _answered(self, entry: _Entry, trouble: BaseException | None) -> None:
        """Answers come in the order in which entries were given."""
        self._answer_came.set()
        is_again = entry is self._trying
        if is_again:
            self._trying = None
        if isinstance(trouble, DiskFull | IndexDamaged):
            self._is_refused = True
            self._trouble.hit(f"alarms and clips wait to be entered in the index: {trouble}")
            return
        if self._is_refused and not is_again:
            return  # what came before it is missing: it is given once more
        if trouble is not None:
            self._counts.alarms_lost += entry.alarm is not None
            log.error("an alarm or clip could not be entered, which is a bug", exc_info=trouble)
        if self._waiting and self._waiting[0] is entry:
            self._waiting.popleft()
        if is_again:
            self._trouble.over("alarms and clips are entered in the index again")
            self._is_refused = False
            for waiting in self._waiting:
                self._give(waiting)

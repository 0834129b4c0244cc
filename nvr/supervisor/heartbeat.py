"""Feeds the service manager's watchdog from the daemon's loop, as `pulse` decides."""

import logging

from nvr.clock import Clock
from nvr.record.shelf import Shelves
from nvr.store.index import Index
from nvr.supervisor import pulse
from nvr.supervisor.notify import Notifier
from nvr.units import US

log = logging.getLogger(__name__)


class Heartbeat:
    """One daemon's. `beat` is called in the loop, every second or two."""

    def __init__(self, notifier: Notifier, index: Index, shelves: Shelves, clock: Clock) -> None:
        self._shelves = shelves
        self._notifier = notifier
        self._index = index
        self._clock = clock
        self._due_us = 0
        self._starving = False

    def beat(self) -> None:
        """Feeds the watchdog where that is due, unless something hangs that a restart may mend."""
        watchdog_s = self._notifier.watchdog_s
        if watchdog_s is None:
            return
        answered = [shelf.thread.silent_seconds() for shelf in self._shelves.all if shelf.volume is not None]
        reason = pulse.reason_to_starve(watchdog_s, self._index.silent_seconds(), answered)
        if reason is not None:
            self._starve(reason)
            return
        self._starving = False
        now_us = self._clock.mono_us()
        if now_us >= self._due_us:
            self._due_us = now_us + int(watchdog_s * pulse.FED_AT * US)
            self._notifier.alive()

    def _starve(self, reason: str) -> None:
        if not self._starving:
            self._starving = True
            log.critical("the watchdog is fed no more: %s", reason, extra={"action": "watchdog"})
            self._notifier.status(f"hangs: {reason}")

"""Speaking to the service manager (sd_notify): one datagram of assignments a matter, and nothing where nobody listens.

The protocol is systemd's and stable: sd_notify(3), with the names of the assignments there.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Final

from nvr.units import US

log = logging.getLogger(__name__)

_EXTEND_EVERY_S: Final = 10.0
_EXTEND_BY_S: Final = 60.0  # a machine too busy to say so in time is no reason to end a recovery
_LONGEST_START_S: Final = 1800.0  # a minute for a million segments, some for an upgrade; what takes longer hangs


class Notifier:
    """Tells the service manager how the daemon is; may be used from any thread. Nobody waits for it."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        """`address` is NOTIFY_SOCKET's; None: nobody listens. `watchdog_s`: it wants to hear of us so often."""
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._status = ""

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> "Notifier":
        """As the service manager asked for; what it asked is taken out, since it is not meant for child processes."""
        address = environment.pop("NOTIFY_SOCKET", None)
        watchdog_us = environment.pop("WATCHDOG_USEC", "")
        meant_for = environment.pop("WATCHDOG_PID", str(os.getpid()))
        watched = watchdog_us.isdecimal() and int(watchdog_us) > 0 and meant_for == str(os.getpid())
        return cls(address or None, int(watchdog_us) / US if watched else None)

    def environment(self) -> dict[str, str]:
        """What `of` took out, for another life of this same process."""
        if self._address is None:
            return {}
        asked = {"NOTIFY_SOCKET": self._address.replace("\0", "@", 1)}
        if self.watchdog_s is not None:
            asked |= {"WATCHDOG_USEC": str(round(self.watchdog_s * US)), "WATCHDOG_PID": str(os.getpid())}
        return asked

    @property
    def is_heard(self) -> bool:
        """There is a service manager that listens."""
        return self._address is not None

    def ready(self) -> None:
        """Started, or done with reloading."""
        self._say("READY=1")

    def reloading(self) -> None:
        """The configuration is read again; `ready` ends it."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def alive(self) -> None:
        """Feeds the watchdog."""
        self._say("WATCHDOG=1")

    def status(self, line: str) -> None:
        """One line for `systemctl status`; said where it is another one than before."""
        if line != self._status:
            self._status = line
            self._say(f"STATUS={' '.join(line.split())}")

    @contextmanager
    def starting(self, line: str) -> Iterator[None]:
        """During the block more time is asked for again and again, half an hour at most."""
        self.status(line)
        if self._address is None:
            yield
            return
        done = threading.Event()
        thread = threading.Thread(target=self._extend, args=(done,), name="starting", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _extend(self, done: threading.Event) -> None:
        until_s = time.monotonic() + _LONGEST_START_S
        while time.monotonic() < until_s:
            self._say(f"EXTEND_TIMEOUT_USEC={int(_EXTEND_BY_S * US)}")
            if done.wait(_EXTEND_EVERY_S):
                return

    def _say(self, *assignments: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager:
                to_manager.sendto("\n".join(assignments).encode(), socket.MSG_DONTWAIT, self._address)
        except OSError as error:  # a manager that restarts is back soon, and no recording ends for it
            log.debug("the service manager was not told", extra={"action": "notify", "reason": str(error)})

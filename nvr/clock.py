"""The host's clocks, behind one small door so that tests can bring their own."""

import time
from pathlib import Path
from typing import Final, Protocol

from nvr.units import MonoMicros, UtcMicros

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Where time comes from: UTC for data, monotonic for waiting and measuring."""

    def utc_us(self) -> UtcMicros:
        """The host's wall clock; may step."""
        ...

    def mono_us(self) -> MonoMicros:
        """The host's monotonic clock; never steps."""
        ...


class HostClock:
    """The real clocks of this machine."""

    def utc_us(self) -> UtcMicros:
        return UtcMicros(time.time_ns() // 1000)

    def mono_us(self) -> MonoMicros:
        return MonoMicros(time.monotonic_ns() // 1000)


class HostTime:
    """Whether the host's clock may be believed now; written by whoever watches it, read by whoever writes times."""

    __slots__ = ("boot", "synchronised")

    def __init__(self, boot: str | None = None) -> None:
        self.boot = boot
        """Names the time since the host was started, in which monotonic times can be compared; None: not known."""
        self.synchronised: bool | None = None
        """None where nobody says."""


def boot_id() -> str | None:
    """The kernel's name for this boot of the host (random(4)); None where it tells none."""
    try:
        return _BOOT_ID.read_text().strip() or None
    except OSError:
        return None

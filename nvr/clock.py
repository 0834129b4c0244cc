"""The host's clocks, behind one small door so that tests can bring their own."""

import time
from typing import Protocol

from nvr.units import MonoMicros, UtcMicros


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

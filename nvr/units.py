"""Units of measure: the names that keep three clocks and two rulers apart.

Times in data are integer microseconds UTC. Media time is integer ticks of a file's or run's time base.
"""

from typing import NewType

UtcMicros = NewType("UtcMicros", int)
"""Microseconds since 1970-01-01T00:00:00Z by the host's clock (or mapped to it)."""

MonoMicros = NewType("MonoMicros", int)
"""Microseconds of the host's monotonic clock; only differences mean anything."""

US = 1_000_000
"""Microseconds in a second."""

PanTiltZoom = tuple[int, int, int]
"""Pan 0..35999, tilt 0..19000 (0 is -5 degrees, 500 horizontal), zoom 0..9999: the wire's hundredths (guide 2.1)."""


def size_text(size_bytes: float) -> str:
    """Bytes for a person, in the units that disks are sold in."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.2f} TB"

"""Decides whether the watchdog is fed: whether a restart would help. Pure: told how long each thread has been silent.

The daemon asks at each tick of its loop, so that a loop that hangs feeds nothing by itself.

A camera is never a reason: it is an expected trouble, and its unit's. A volume is one only when no other takes footage:
with several, recording has gone to those that answer, and a restart would make a gap in it for a disk that no restart
mends. And a volume counts once it has answered in this life: a disk that hangs from the start on keeps the daemon that
finds it so, blocked and telling, instead of restarting it for ever.
"""

from collections.abc import Sequence
from typing import Final

FED_AT: Final = 1 / 3
"""Of the watchdog's time: two that get lost on a busy machine do no harm (sd_watchdog_enabled(3) advises a half)."""
SILENT_AT: Final = 2 / 3
"""Of the watchdog's time: a thread silent for so long hangs. Of 30 s that is 20: disks recover from 10 now and then."""


def reason_to_starve(watchdog_s: float, index_silent_s: float, volumes_silent_s: Sequence[float]) -> str | None:
    """Why the watchdog is not fed any more, as a sentence; None while all is well enough.

    `volumes_silent_s`: of each volume that has answered in this life, how long its thread has been in one call.
    """
    longest_s = watchdog_s * SILENT_AT
    if index_silent_s >= longest_s:
        return f"the index's writer has not come on for {index_silent_s:.0f} s"
    if volumes_silent_s and min(volumes_silent_s) >= longest_s:
        return f"no volume has answered for {min(volumes_silent_s):.0f} s"
    return None

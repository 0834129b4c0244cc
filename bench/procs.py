"""What a process and its children have used, read from the kernel's own books."""

import os
import time
from pathlib import Path

_CPU_CLOCK = 2  # CPUCLOCK_SCHED of linux/posix-timers.h: nanoseconds run by all threads, those that ended included
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    pids = [pid]
    for parent in pids:
        for task in Path(f"/proc/{parent}/task").iterdir():
            pids += map(int, (task / "children").read_text().split())
    return pids


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of all threads of this process and of the children it has buried.

    The same figure as utime + stime in /proc/PID/stat, without its rounding to 10 ms.
    """
    own = time.clock_gettime((~pid << 3) | _CPU_CLOCK)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    buried_ticks = int(fields[13]) + int(fields[14])  # cutime, cstime (proc(5))
    return own + buried_ticks / _TICKS_PER_S


def family_cpu_s(pid: int) -> float:
    """`cpu_s` of the process and all its descendants."""
    return sum(map(cpu_s, family(pid)))


def pss_bytes(pid: int) -> int:
    """Proportional set size: a page shared by n processes counts 1/n."""
    return _rollup_bytes(pid, "Pss:")


def private_bytes(pid: int) -> int:
    """What would be free again if this process alone ended."""
    return _rollup_bytes(pid, "Private_Clean:") + _rollup_bytes(pid, "Private_Dirty:")


def _rollup_bytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {name} in smaps_rollup of {pid}")

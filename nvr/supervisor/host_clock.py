"""Whether this machine's clock may be believed, and by how much it was wrong before it could be.

The kernel knows (adjtimex): whoever disciplines the clock (chrony, ntpd, systemd-timesyncd) tells it. `read` asks and
changes nothing, which any user may. `Watch` is told what it says and decides; `HostClockWatch` asks and acts.

By how much the clock was wrong is seen in the difference of UTC and the monotonic clock: a step moves UTC alone. What
is slewed moves both, so it is seen against the raw clock, which nobody slews, for as long as slewing may take.
"""

import ctypes
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, assert_never

from nvr.clock import Clock, HostTime, boot_id
from nvr.metrics import Metrics
from nvr.store.index import Index
from nvr.units import US

log = logging.getLogger(__name__)

# <sys/timex.h>, adjtimex(2); constants of the kernel's own interface, the same on every architecture.
_STA_UNSYNC: Final = 0x0040
_STA_NANO: Final = 0x2000
_TIMESYNCD_SAYS_SO: Final = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd.service(8)
_SETTLED_US: Final = 300 * US  # the kernel's loop and chrony have slewed half a second by then
_MOST_SLEWED_US: Final = 2 * US  # chrony steps what is more than a second


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kernel says of its clock at one moment."""

    synchronised: bool | None
    """None where it does not say (a sandbox that forbids to ask)."""
    max_error_us: int | None = None
    """How far it may be off at most; None while it is not synchronised, for nobody knows then."""
    pending_us: int = 0
    """What the kernel has still to slew."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The machine's clocks at one moment, in microseconds."""

    utc_us: int
    mono_us: int
    raw_us: int
    """Monotonic as well, and never slewed."""


@dataclass(frozen=True, slots=True)
class Right:
    """The clock is right now; runs that began while it was not can be corrected."""

    utc_less_mono_us: int
    """What UTC less monotonic should have been while it was not."""
    final: bool
    """Slewing is over: nothing better will be known."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The clock is synchronised from now on, or no more; also the first word about it."""

    synchronised: bool | None
    was: bool | None
    first: bool


class Watch:
    """Decides what follows from what the kernel says; to be told about every few seconds."""

    def __init__(self) -> None:
        self.reading = Reading(None)
        """What was told last."""
        self._told = False
        self._right_since: Moment | None = None
        self._settled = False

    def note(self, reading: Reading, now: Moment) -> list[Changed | Right]:
        """What is news in this."""
        was, self.reading = self.reading, reading
        first, self._told = not self._told, True
        news: list[Changed | Right] = []
        if first or reading.synchronised is not was.synchronised:
            news.append(Changed(reading.synchronised, was.synchronised, first))
            news += self._begin(reading, now, first=first)
        elif self._right_since is not None and not self._settled and self._waited_us(now) >= _SETTLED_US:
            self._settled = True
            news.append(Right(now.utc_us - now.mono_us + self._slewed_us(now), final=True))
        return news

    def _begin(self, reading: Reading, now: Moment, *, first: bool) -> list[Changed | Right]:
        self._right_since, self._settled = None, False
        if not reading.synchronised:
            return []
        self._right_since = now
        # At our own start it may have been right for long, or not: what we did not see being slewed is over.
        self._settled = first
        return [Right(now.utc_us - now.mono_us + reading.pending_us, final=first)]

    def _waited_us(self, now: Moment) -> int:
        return now.raw_us - self._right_since.raw_us if self._right_since is not None else 0

    def _slewed_us(self, now: Moment) -> int:
        """How far monotonic and UTC were moved together since; what is more than anybody slews is a raw clock's lie."""
        begun = self._right_since
        slewed_us = 0 if begun is None else (now.mono_us - begun.mono_us) - (now.raw_us - begun.raw_us)
        return slewed_us if abs(slewed_us) <= _MOST_SLEWED_US else 0


class HostClockWatch:
    """Asks the kernel now and then and passes on what is news: to recorders, metrics, index and log."""

    def __init__(
        self, index: Index, metrics: Metrics, clock: Clock, kernel: "Callable[[], Reading] | None" = None
    ) -> None:
        """`kernel` is asked instead of the real one."""
        self.time = HostTime(boot_id())
        """For whoever writes times."""
        self._index = index
        self._metrics = metrics
        self._clock = clock
        self._kernel = kernel if kernel is not None else read
        self._watch = Watch()

    def look(self) -> None:
        """To be called before anything is recorded, and then every few seconds."""
        for news in self._watch.note(self._kernel(), moment(self._clock)):
            match news:
                case Changed():
                    self._pass_on(news)
                case Right():
                    self._correct(news)
                case _:
                    assert_never(news)

    def standing(self) -> dict[str, Any]:
        """For `status`."""
        return standing(self._watch.reading)

    def _pass_on(self, change: Changed) -> None:
        self.time.synchronised = change.synchronised
        self._metrics.host_clock_synchronised = math.nan if change.synchronised is None else change.synchronised
        if change.synchronised is None:
            log.warning(
                "the kernel does not say whether this machine's clock is synchronised", extra={"action": "host-clock"}
            )
        elif change.synchronised:
            log.log(
                logging.DEBUG if change.first else logging.INFO,
                "this machine's clock is synchronised",
                extra={"action": "host-clock-synchronised"},
            )
        else:
            log.warning(
                "this machine's clock is not synchronised: what is recorded is marked, and its times are corrected "
                "when asked once it is",
                extra={"action": "host-clock-unsynchronised"},
            )
        if change.synchronised is not None and not (change.first and change.synchronised):
            kind = "host-clock-synchronised" if change.synchronised else "host-clock-unsynchronised"
            words = "is synchronised" if change.synchronised else "is not synchronised"
            self._index.add_event(self._clock.utc_us(), kind, f"this machine's clock {words}")

    def _correct(self, right: Right) -> None:
        if self.time.boot is not None:
            corrected = self._index.correct_runs(self.time.boot, right.utc_less_mono_us, final=right.final)
            corrected.add_done_callback(self._tell_corrections)

    def _tell_corrections(self, done: "Future[dict[int, int]]") -> None:
        """On the index's thread."""
        corrections = {} if done.exception() is not None else {run: us for run, us in done.result().items() if us}
        if not corrections:
            return
        most_s = max(corrections.values(), key=abs) / US
        words = f"{len(corrections)} runs were recorded with this machine's clock wrong, by up to {most_s:+.3f} seconds"
        log.warning("%s", words, extra={"action": "host-clock-corrected", "runs": len(corrections), "seconds": most_s})
        facts = {"runs": {str(run): us / US for run, us in corrections.items()}}
        self._index.add_event(self._clock.utc_us(), "host-clock-corrected", words, facts)


def standing(reading: Reading) -> dict[str, Any]:
    """What `status` says of the machine's clock."""
    error_us = reading.max_error_us
    return {
        "synchronised": reading.synchronised,
        "estimated_error_seconds": None if error_us is None else error_us / US,
    }


def moment(clock: Clock) -> Moment:
    """All clocks now."""
    return Moment(clock.utc_us(), clock.mono_us(), time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) // 1000)


def read() -> Reading:
    """Asks the kernel. Never raises: where it may not be asked, nothing is known."""
    said = _Timex()
    try:
        refused = _LIBC.adjtimex(ctypes.byref(said)) < 0
    except AttributeError:  # a C library without it
        refused = True
    if refused:
        # Under ProtectClock= the kernel may not be asked. timesyncd says in a file that it has set the clock in this
        # boot; without the file somebody else may have (chrony), so that nothing is known.
        return Reading(True if _TIMESYNCD_SAYS_SO.exists() else None)
    if said.status & _STA_UNSYNC:
        return Reading(False)
    return Reading(True, said.maxerror, said.offset // 1000 if said.status & _STA_NANO else said.offset)


class _Timex(ctypes.Structure):
    """struct timex as the C library has it; modes of 0 ask and change nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("tv_sec", ctypes.c_long),
        ("tv_usec", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 32),  # eleven today; more than any C library writes
    )


_LIBC: Final = ctypes.CDLL(None)

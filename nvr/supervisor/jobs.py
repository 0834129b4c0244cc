"""What is done regularly beside recording: backup, checks, retention. When, on which thread, and what was heard of it.

APScheduler says when (decision 21): in UTC, from memory, one run of a job at a time, missed ones made up for by one.
Each run has a thread of its own at low priority, since upkeep waits for disks; a disk that never answers keeps no other
job from running, and no daemon from stopping.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from nvr.clock import Clock
from nvr.log import Streak
from nvr.metrics import Metrics
from nvr.store.errors import DiskFull, IndexDamaged, StoreBusy, VolumeMissing
from nvr.units import US

log = logging.getLogger(__name__)

Work = Callable[[threading.Event], None]
"""What a job does. It may block for long; it ends soon, done or not, once the event is set: nvr is stopping."""

_NICE: Final = 10
_DAY: Final = timedelta(days=1)
_TROUBLE: Final = (OSError, DiskFull, IndexDamaged, StoreBusy, VolumeMissing)
"""What a job may meet without a mistake of ours; it is tried again when the job is due again."""


class Jobs:
    """The jobs of one daemon. To be used in the loop; names are those of `metrics.JOBS`."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._stopping = threading.Event()
        # APScheduler's own grace for a late run is one second, after which it would leave it out.
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)

    def every(self, name: str, period_s: float, work: Work, *, first_s: float | None = None) -> None:
        """Runs a job each `period_s` seconds, first after `first_s` (default: the same)."""
        first_s = period_s if first_s is None else first_s
        self._add(name, work, lambda now: (now + timedelta(seconds=first_s), timedelta(seconds=period_s)))

    def nightly(self, name: str, hour: int, minute: int, work: Work) -> None:
        """Runs a job once a day at this time in UTC."""

        def when(now: datetime) -> tuple[datetime, timedelta]:
            today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (today if today > now else today + _DAY), _DAY

        self._add(name, work, when)

    def start(self) -> None:
        """From now on jobs run when they are due."""
        self._scheduler.start()

    def run_now(self, name: str) -> None:
        """Runs a job at once, unless it runs already, and then as before."""
        self._scheduler.modify_job(name, next_run_time=self._now())

    def clock_stepped(self) -> None:
        """The host's clock was set: what was planned by the old time is planned anew."""
        now = self._now()
        for job in self._jobs.values():
            self._scheduler.modify_job(job.name, **_plan(*job.when(now)))

    async def stop(self, within_s: float) -> bool:
        """Begins nothing more and lets what runs end; False where something did not within that time."""
        self._stopping.set()
        for job in self._jobs.values():
            job.let_go()  # or the scheduler would cancel its wait, and report that as a failure
        if self._scheduler.running:
            self._scheduler.shutdown()
        until = time.monotonic() + within_s
        late = [job.name for job in self._jobs.values() if not await job.ended(until)]
        if late:
            log.error("jobs did not end in time", extra={"action": "stopped", "jobs": ",".join(late)})
        return not late

    def _add(self, name: str, work: Work, when: "Callable[[datetime], tuple[datetime, timedelta]]") -> None:
        if name not in self._metrics.job_success_us:
            raise KeyError(name)
        job = self._jobs[name] = _Job(name, work, when, Streak(log, {"action": "job-failed", "job": name}))
        self._scheduler.add_job(self._run, args=(job,), id=name, name=name, **_plan(*when(self._now())))

    async def _run(self, job: "_Job") -> None:
        """One run, for as long as it takes: the scheduler begins no second one meanwhile."""
        if not self._stopping.is_set():
            await job.begin(self._do)

    def _do(self, job: "_Job") -> None:
        """On the job's thread."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # Linux: of this thread alone
        try:
            job.work(self._stopping)
        except _TROUBLE as trouble:
            job.trouble.hit(f"a job failed: {trouble}")
        except Exception as failure:
            if not self._stopping.is_set():
                log.exception("a job failed, which is a bug", extra={"action": "job-failed", "job": job.name})
                job.trouble.hit(f"a job failed: {failure!r}")
        else:
            if not self._stopping.is_set():
                job.trouble.over("a job works again")
                self._metrics.job_success_us[job.name] = self._clock.utc_us()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.utc_us() / US, UTC)


@dataclass(slots=True)
class _Job:
    """One thing that is done regularly."""

    name: str
    work: Work
    when: Callable[[datetime], tuple[datetime, timedelta]]
    """The next time after a moment, and the time between two."""
    trouble: Streak
    _thread: threading.Thread | None = None
    _done: "asyncio.Future[None] | None" = field(default=None, repr=False)

    async def begin(self, do: "Callable[[_Job], None]") -> None:
        """Runs it on a new thread, and waits for its end."""
        loop = asyncio.get_running_loop()
        done = self._done = loop.create_future()

        def run() -> None:
            try:
                do(self)
            finally:
                # After the loop has ended there is nobody left who waits.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(self.let_go)

        self._thread = threading.Thread(target=run, name=f"job {self.name}", daemon=True)
        self._thread.start()
        await done

    def let_go(self) -> None:
        """Nobody waits for it any longer."""
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def ended(self, until_s: float) -> bool:
        """Whether nothing of it runs any more, by that monotonic second."""
        thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join, max(0.0, until_s - time.monotonic()))
        return thread is None or not thread.is_alive()


def _plan(first: datetime, period: timedelta) -> dict[str, Any]:
    """As the scheduler wants it; a first time that has just passed is now."""
    trigger = IntervalTrigger(seconds=period.total_seconds(), start_date=first, timezone=UTC)
    return {"trigger": trigger, "next_run_time": first}

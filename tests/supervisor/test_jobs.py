"""Regular work: when it is due, one run at a time, what is said of trouble; stopping never waits for a disk."""

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from nvr.metrics import Metrics
from nvr.supervisor.jobs import Jobs
from nvr.units import US, MonoMicros, UtcMicros

_DEADLINE_S = 20.0
_SOON_S = 0.02


class TestClock:
    """UTC in the test's hand; APScheduler itself looks at the host's."""

    __test__ = False

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def utc_us(self) -> UtcMicros:
        return UtcMicros(round(self.now.timestamp() * US))

    def mono_us(self) -> MonoMicros:
        return MonoMicros(0)


def _jobs() -> tuple[Jobs, Metrics]:
    clock = TestClock()
    metrics = Metrics("1.2.3", clock.utc_us)
    return Jobs(metrics, clock), metrics


async def _until(so: Callable[[], object]) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while not so():  # noqa: ASYNC110 - jobs run on threads
            await asyncio.sleep(0.005)


def test_a_job_runs_again_and_again_and_its_last_success_is_known() -> None:
    async def story() -> None:
        jobs, metrics = _jobs()
        runs: list[str] = []
        jobs.every("retention", _SOON_S, lambda _: runs.append(threading.current_thread().name))
        assert metrics.job_success_us["retention"] == 0
        jobs.start()
        await _until(lambda: len(runs) >= 3 and metrics.job_success_us["retention"])
        assert set(runs) == {"job retention"}
        assert await jobs.stop(_DEADLINE_S)

    asyncio.run(story())


def test_a_job_that_takes_longer_than_its_period_is_not_begun_twice() -> None:
    async def story() -> None:
        jobs, _ = _jobs()
        running, most = 0, 0
        ends = threading.Semaphore(0)

        def work(_: threading.Event) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            ends.acquire()
            running -= 1

        others: list[int] = []
        jobs.every("check", _SOON_S, work)
        jobs.every("retention", _SOON_S, lambda _: others.append(1))
        jobs.start()
        await _until(lambda: running and len(others) > 5)  # another's runs go on meanwhile
        ends.release()
        before = len(others)
        await _until(lambda: running and len(others) > before + 5)
        assert most == 1
        ends.release(10)
        assert await jobs.stop(_DEADLINE_S)

    asyncio.run(story())


def test_trouble_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nvr")

    async def story() -> None:
        jobs, metrics = _jobs()
        left = [OSError(5, "Input/output error")] * 3
        runs = 0

        def work(_: threading.Event) -> None:
            nonlocal runs
            runs += 1
            if left:
                raise left.pop()

        jobs.every("backup", _SOON_S, work)
        jobs.start()
        await _until(lambda: runs > 5)
        assert metrics.job_success_us["backup"]
        assert await jobs.stop(_DEADLINE_S)

    asyncio.run(story())
    said: list[Any] = [record for record in caplog.records if record.name == "nvr.supervisor.jobs"]
    assert [(record.levelname, record.job) for record in said] == [("WARNING", "backup"), ("INFO", "backup")]
    assert said[1].after_times == 3


def test_a_mistake_in_a_job_shows_its_traceback_and_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        jobs, metrics = _jobs()
        runs: list[int] = []

        def work(_: threading.Event) -> None:
            runs.append(1 // 0)

        jobs.every("check", _SOON_S, work)
        jobs.every("retention", _SOON_S, lambda _: runs.append(1))
        jobs.start()
        await _until(lambda: len(runs) > 3)
        assert metrics.job_success_us["check"] == 0
        await jobs.stop(_DEADLINE_S)

    asyncio.run(story())
    assert any(record.exc_info and "which is a bug" in record.getMessage() for record in caplog.records)


def test_stopping_tells_what_runs_and_waits_for_it() -> None:
    async def story() -> None:
        jobs, metrics = _jobs()
        told = threading.Event()

        def work(stopping: threading.Event) -> None:
            told.set()
            stopping.wait(_DEADLINE_S)

        jobs.every("check", 3600, work, first_s=0)
        jobs.start()
        await _until(told.is_set)
        assert await jobs.stop(_DEADLINE_S)
        assert metrics.job_success_us["check"] == 0  # it was not finished

    asyncio.run(story())


def test_stopping_leaves_behind_what_hangs_in_a_disk(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        jobs, _ = _jobs()
        hanging, answers = threading.Event(), threading.Event()

        def work(_: threading.Event) -> None:
            hanging.set()
            answers.wait(_DEADLINE_S)

        jobs.every("backup", 3600, work, first_s=0)
        jobs.start()
        await _until(hanging.is_set)
        assert not await jobs.stop(0.05)
        answers.set()

    asyncio.run(story())
    assert any(getattr(record, "jobs", "") == "backup" for record in caplog.records)
    assert not [record for record in caplog.records if record.exc_info]


def test_a_nightly_job_is_planned_for_the_next_time_that_hour_comes_also_after_the_clock_was_set() -> None:
    async def story() -> None:
        clock = TestClock()
        jobs = Jobs(Metrics("1.2.3", clock.utc_us), clock)
        clock.now = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
        jobs.nightly("backup", 2, 15, lambda _: None)
        jobs.every("retention", 60, lambda _: None)
        jobs._scheduler.start(paused=True)
        planned = {job.id: job for job in jobs._scheduler.get_jobs()}
        assert planned["backup"].next_run_time == datetime(2026, 3, 1, 2, 15, tzinfo=UTC)
        clock.now = datetime(2026, 2, 28, 3, 0, tzinfo=UTC)  # a step back
        jobs.clock_stepped()
        planned = {job.id: job for job in jobs._scheduler.get_jobs()}
        assert planned["backup"].next_run_time == datetime(2026, 3, 1, 2, 15, tzinfo=UTC)
        assert planned["retention"].next_run_time == datetime(2026, 2, 28, 3, 1, tzinfo=UTC)
        await jobs.stop(_DEADLINE_S)

    asyncio.run(story())


def test_a_job_without_a_metric_is_a_mistake_that_shows_at_the_start() -> None:
    async def story() -> None:
        with pytest.raises(KeyError):
            _jobs()[0].every("unheard-of", 1, lambda _: None)

    asyncio.run(story())

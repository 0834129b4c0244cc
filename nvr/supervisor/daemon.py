"""The daemon's life: configuration → log → store → API listening → camera units → jobs; and back again at a signal.

The first SIGTERM or SIGINT ends it in order: no new requests, units leave their loops, segments are sealed, the index
drains. A second signal ends it at once. Each wait has a deadline, and says so when it is used up.
"""

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

from nvr import __version__, config
from nvr import log as logs
from nvr.clock import Clock, HostClock
from nvr.metrics import Metrics
from nvr.record.shelf import Shelf
from nvr.record.timelapse import Timelapse
from nvr.record.writer import Identity
from nvr.store.errors import DiskFull, IndexDamaged, SchemaTooNew, StoreBusy
from nvr.store.ledger import NOT_CONFIGURED
from nvr.store.names import segment_path
from nvr.store.recovery import STOPPED
from nvr.store.schema import INDEX_NAME
from nvr.supervisor import reload, wiring
from nvr.supervisor.following import Following
from nvr.supervisor.health_watch import HealthWatch
from nvr.supervisor.heartbeat import Heartbeat
from nvr.supervisor.host_clock import HostClockWatch
from nvr.supervisor.index_watch import IndexWatch
from nvr.supervisor.jobs import Jobs
from nvr.supervisor.notify import Notifier
from nvr.supervisor.reloading import Reloading
from nvr.supervisor.restart import Patience
from nvr.supervisor.service import Answers
from nvr.supervisor.unit import CameraUnit
from nvr.supervisor.upkeep import Upkeep
from nvr.units import US
from nvr.web import app as api
from nvr.web import metrics as metrics_page
from nvr.web.listening import CannotListen, Serving, serve
from nvr.web.service import NotPossible, NotValid

log = logging.getLogger(__name__)

EXIT_WELL: Final = 0
EXIT_NOT_WELL: Final = 1
EXIT_WRONG: Final = 2
SOCKET_NAME: Final = "nvr.sock"

_SEAL_S: Final = 3.0  # for the disks to seal every camera's segment; with the next one below five seconds in all
_CLOSE_S: Final = 1.0
_JOBS_S: Final = 1.0  # a job looks at least this often whether it should end; it has the time of sealing besides
_TIMELAPSE_S: Final = 3600.0
_FIRST_TIMELAPSE_S: Final = 60.0  # what nights that nvr was off did not make
_SWEEP_S: Final = 60.0
_FIRST_SWEEP_S: Final = 2.0  # cameras first; a disk that filled up while nvr was stopped soon after
_LEAVE_S: Final = 2.0  # for a unit that is told to stop: it waits for nothing but its own sockets
_LEAST_TICK_S: Final = 1.0
_MOST_TICK_S: Final = 2.0  # what a crash of this process may lose in sockets
_LOOK_AROUND_S: Final = 5.0
_LOOK_AT_AMPLE_VOLUMES_S: Final = 10.0  # in the same wake-up as a look around
_OBJECTS_PER_COLLECTION: Final = 20_000  # frames alone are some thousand a second, and none of them is in a cycle
_ANSWER_S: Final = 10.0
_BACKUP_AT: Final = (2, 15)  # UTC; whatever the zone, some hour of the night or a quiet one
_FIRST_CHECK_S: Final = 600.0  # after a start has calmed down
_CHECK_PERIOD_S: Final = 86_400.0
_HASH_PERIOD_S: Final = 60.0  # soon, while what was written is still in the host's cache
_STEP_US: Final = US // 2  # as the timeline: more than any daemon slews within a second
_RESTART_S: Final = 2.0  # between an unexpected failure of a camera's unit and its next life
_CANNOT_START: Final = (StoreBusy, SchemaTooNew, IndexDamaged, DiskFull, CannotListen, OSError)


def main(config_path: Path | None, log_format: str = "auto", *, debug: bool = False) -> int:
    """Runs the daemon until a signal; the exit code. Raises ConfigError for the command line to explain."""
    faulthandler.enable()  # what each thread was doing when the watchdog's SIGABRT came
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    notifier = Notifier.of(os.environ)
    path = config.find(config_path)
    configured = reload.read(path)
    settings = configured.config
    logs.start(logs.Format(log_format), debug=debug)
    clock = HostClock()
    metrics = Metrics(__version__, clock.utc_us)
    for name in settings.cameras:
        metrics.add_camera(name)
    try:
        with notifier.starting("opening the index and its volumes, mending what was left open"):
            store = wiring.open_store(settings, metrics, clock)
    except _CANNOT_START as trouble:
        return _cannot_start(trouble)
    daemon = Daemon(path, configured, store, metrics, clock, notifier)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            ended_well = runner.run(daemon.run())
        except CannotListen as trouble:
            store.close(_CLOSE_S)
            return _cannot_start(trouble)
    if daemon.begins_again:
        # The same process with another life: whoever watches over it sees no end, and no camera waits for long.
        log.warning("nvr begins again, with another index", extra={"action": "restart"})
        logging.shutdown()
        daemon.begin_again()
    if not ended_well:
        # A thread hangs in a disk that does not answer; the interpreter's own end would wait for it.
        logging.shutdown()
        os._exit(EXIT_NOT_WELL)
    return EXIT_WELL


def _cannot_start(trouble: BaseException) -> int:
    """A full disk may have space in a moment, so the service manager may try again; the rest is for a person."""
    log.error("nvr cannot start: %s", trouble, extra={"action": "start-refused"})
    return EXIT_NOT_WELL if isinstance(trouble, DiskFull) else EXIT_WRONG


class Daemon:
    """Everything that runs in the loop. May be run once."""

    def __init__(
        self,
        config_path: Path,
        configured: reload.Configured,
        store: wiring.Store,
        metrics: Metrics,
        clock: Clock,
        notifier: Notifier,
    ) -> None:
        self._settings = configured.config
        self._reloading = Reloading(config_path, configured, self, notifier)
        self._notifier = notifier
        self._heartbeat = Heartbeat(notifier, store.index, store.shelves, clock)
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._units: dict[str, CameraUnit] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._reload: asyncio.Task[dict[str, Any] | NotValid] | None = None
        self._page: Serving | None = None
        self._failed: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop
        self._tick: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        self._answers: Answers | None = None
        self._health = HealthWatch(store.index, metrics, store.shelves, clock)
        self._host_clock = HostClockWatch(store.index, metrics, clock)
        self._jobs = Jobs(metrics, clock)
        data_dir, hashing = self._settings.data_dir, self._settings.recording.hash
        self._index_watch = IndexWatch(store.index, data_dir / INDEX_NAME, clock)
        self._upkeep = Upkeep(store, data_dir, metrics, clock, self._live_files, hashing=hashing)
        self._films = Timelapse(self._settings.timelapse_plans(), store.index, store.reader, store.shelves, clock)
        self._utc_less_mono_us = int(clock.utc_us() - clock.mono_us())
        metrics.bring_up_to_date = self._note_counts
        metrics.index_queue_length = store.index.queue_length
        metrics.index_wal_bytes = store.index.wal_bytes

    @property
    def begins_again(self) -> bool:
        """It stopped because its index is of no use any more: the next life makes another."""
        return self._index_watch.wants_another_life

    def begin_again(self) -> None:
        """Runs nvr anew in this process, as it was called. Does not return."""
        os.environ.update(self._notifier.environment())
        self._index_watch.begin_another_life([sys.executable, *sys.orig_argv[1:]])

    async def run(self) -> bool:
        """Records until a signal. False where a disk kept something from being sealed in time. Raises CannotListen."""
        self._loop = asyncio.get_running_loop()
        self._take_signals()
        self._host_clock.look()
        self._make_units()
        async with AsyncExitStack() as doors:
            await self._listen(doors)
            # What is loaded by now stays for years: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_OBJECTS_PER_COLLECTION)
            async with asyncio.TaskGroup() as group:
                watches = [
                    group.create_task(self._watch(), name="watch"),
                ]
                self._group = group
                self._begin(self._units)
                self._arrange_jobs()
                self._jobs.start()
                self._say_ready()
                await self._stopping.wait()
                if self.begins_again:
                    self._notifier.reloading()  # to a service manager that is told of an end, the next life is late
                else:
                    self._notifier.stopping()
                log.info("stopping", extra={"action": "stopping"})
                upkeep = group.create_task(self._jobs.stop(_SEAL_S + _JOBS_S), name="jobs")
                await doors.aclose()
                await self._end_reload()
                for unit in self._units.values():
                    unit.stop()
                await asyncio.gather(*self._tasks.values())
                sealed = await self._seal()
                rested = await upkeep
                for watch in watches:
                    watch.cancel()
        closed = await asyncio.to_thread(self._store.close, _CLOSE_S)
        if not closed:
            log.error("a disk did not answer in time; the next start mends what it left", extra={"action": "stopped"})
        else:
            log.info("stopped", extra={"action": "stopped"})
        return sealed and rested and closed

    # ---- start

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_hangup(self) -> None:
        """Reads the configuration again; in a terminal that was closed there is nobody left to run for."""
        if os.isatty(0):
            self._stopping.set()
        elif self._group is not None and not self._stopping.is_set():
            self._begin_reload(self._group)

    async def reread(self) -> dict[str, Any]:
        """Reads the configuration again; what was changed. Raises NotValid, NotPossible."""
        if self._group is None or self._stopping.is_set():
            raise NotPossible("nvr is stopping")
        # Whoever asked may go away; what was begun is done all the same.
        done = await asyncio.shield(self._begin_reload(self._group))
        if isinstance(done, NotValid):
            raise done
        return done

    def _begin_reload(self, group: asyncio.TaskGroup) -> "asyncio.Task[dict[str, Any] | NotValid]":
        self._reload = group.create_task(self._reload_after(self._reload), name="reload")
        return self._reload

    async def _reload_after(
        self, one_before: "asyncio.Task[dict[str, Any] | NotValid] | None"
    ) -> dict[str, Any] | NotValid:
        """One after the other: the file may have changed again while it was being read."""
        if one_before is not None:
            await asyncio.wait({one_before})
        try:
            return await self._reloading.reload()
        except NotValid as refused:
            return refused  # said in the log, and in status until it is mended

    async def _end_reload(self) -> None:
        if self._reload is not None and not self._reload.done():
            self._reload.cancel()
            await asyncio.wait({self._reload})

    def _on_signal(self, number: int) -> None:
        if self._stopping.is_set():
            log.warning("second signal: ending at once", extra={"action": "killed"})
            logging.shutdown()
            os._exit(128 + number)
        self._stopping.set()

    def _make_units(self) -> None:
        for name in self._settings.cameras:
            self._units[name] = self._make_unit(name)

    def _make_unit(self, name: str) -> CameraUnit:
        number = list(self._settings.cameras).index(name)
        unit = wiring.make_unit(
            number,
            name,
            self._settings.cameras[name],
            self._settings,
            self._store,
            self._metrics,
            self._clock,
            asyncio.get_running_loop(),
        )
        unit.recorder.host_time = self._host_clock.time
        return unit

    async def _listen(self, doors: AsyncExitStack) -> None:
        answers = self._answers = Answers(
            self._units,
            self._failed,
            self._metrics.cameras,
            self._store.shelves,
            self._host_clock.standing,
            self._store.exporter,
            self._upkeep,
            self._reloading,
            self.reread,
            self._health.troubles,
            Following(self._store.reader),
        )
        await doors.enter_async_context(await serve(api.build(answers), unix=self._settings.data_dir / SOCKET_NAME))
        doors.push_async_callback(self._close_page)
        await self._open_page(self._settings)

    async def _open_page(self, settings: config.Config) -> None:
        if settings.metrics.address is not None:
            self._page = await serve(metrics_page.build(self._metrics, self._unready), tcp=settings.metrics.address)

    def _unready(self) -> str | None:
        """Why nothing could be recorded now, as a sentence; None where it could."""
        if self._store.index.damage is not None:
            return f"the index cannot be used: {self._store.index.damage}"
        if all(shelf.refusal is not None for shelf in self._store.shelves.all):
            return self._store.shelves.refusal().sentence
        return None

    async def _close_page(self) -> None:
        page, self._page = self._page, None
        if page is not None:
            await page.stop()

    def _arrange_jobs(self) -> None:
        """What is done regularly beside recording."""
        upkeep = self._upkeep
        self._jobs.every("retention", _SWEEP_S, self._store.sweeper.sweep, first_s=_FIRST_SWEEP_S)
        self._jobs.nightly("backup", *_BACKUP_AT, upkeep.back_up)
        first_s = 0.0 if upkeep.has_much_to_enter else _FIRST_CHECK_S
        self._jobs.every("check", _CHECK_PERIOD_S, upkeep.check, first_s=first_s)
        self._jobs.every("hash", _HASH_PERIOD_S, upkeep.hash)
        # A day's film is made once that day is settled, in the second hour of the next.
        self._jobs.every("timelapse", _TIMELAPSE_S, self._films.run, first_s=_FIRST_TIMELAPSE_S)

    def _live_files(self) -> set[Path]:
        """Files that are not in the index yet; for other threads than the loop's."""
        told: Future[set[Path]] = Future()

        def tell() -> None:
            segments = [segment for unit in self._units.values() for segment in unit.recorder.uncommitted()]
            told.set_result({segment.shelf.place.path / _path_of(segment.identity) for segment in segments})

        self._loop.call_soon_threadsafe(tell)
        return told.result(_ANSWER_S)

    def _say_ready(self) -> None:
        log.info(
            "ready",
            extra={
                "action": "ready",
                "version": __version__,
                "cameras": len(self._units),
                "volumes": ",".join(shelf.name for shelf in self._store.shelves.all),
                "metrics": self._settings.metrics.listen or "off",
            },
        )
        self._notifier.ready()

    # ---- cameras

    def _begin(self, names: Iterable[str]) -> None:
        assert self._group is not None  # noqa: S101 - it is there while anything runs
        for name in names:
            self._tasks[name] = self._group.create_task(self._keep(name), name=f"camera {name}")

    async def _keep(self, name: str) -> None:
        """Runs a camera's unit until it is told to stop; one that fails unexpectedly is made anew, alone."""
        patience = Patience()
        while not self._stopping.is_set():
            try:
                await self._units[name].run()
                return
            except Exception as failure:
                log.error(
                    "a camera's unit failed unexpectedly, which is a bug",
                    extra={"camera": name, "action": "unit-failed"},
                    exc_info=failure,
                )
                if patience.is_lost_after(time.monotonic()):
                    self._failed[name] = f"failed too often: {failure!r}"
                    log.critical("camera given up", extra={"camera": name, "action": "camera-failed"})
                    await self._stopping.wait()
                    return
                await self._renew(name)

    async def _renew(self, name: str) -> None:
        """A fresh unit in the place of one that failed; what the old one recorded is sealed."""
        self._metrics.cameras[name].recorder_restarts += 1
        old = self._units[name]
        await old.close("stream-broken", _SEAL_S)
        await asyncio.sleep(_RESTART_S)
        self._units[name] = self._make_unit(name)

    # ---- what a reload changes (reloading.Household)

    async def leave(self, cameras: Iterable[str]) -> None:
        """Ends these cameras' units and seals what they recorded."""
        await asyncio.gather(*map(self._leave, cameras))

    async def _leave(self, name: str) -> None:
        unit, task = self._units[name], self._tasks.pop(name)
        unit.stop()
        await asyncio.wait({task}, timeout=_LEAVE_S)
        if not task.done():  # it was given up, or waits to be made anew
            task.cancel()
            await asyncio.wait({task})
        await unit.close(STOPPED, _SEAL_S)
        self._failed.pop(name, None)

    def cameras_on(self, volumes: Iterable[str]) -> set[str]:
        """Cameras that have a segment open on any of these."""
        names = set(volumes)
        return {
            name
            for name, unit in self._units.items()
            if any(segment.shelf.name in names for segment in unit.recorder.uncommitted())
        }

    async def change_volumes(self, to: config.Config, told: reload.Changes) -> None:
        """Volumes come and go: what is open on one that goes is ended there in its time."""
        shelves = self._store.shelves
        for shelf in shelves.all:
            shelf.retired |= shelf.name in told.volumes_removed or shelf.name in told.volumes_moved
        moved = [shelf for shelf in shelves.all if shelf.retired and shelf.name in told.volumes_moved]
        await asyncio.gather(*map(self._retire, moved))
        known = {shelf.name: shelf for shelf in shelves.all if not shelf.retired}
        wiring.adjust_shelves(known, to)
        fresh = [volume for volume in to.volumes if volume.name not in known]
        made = await asyncio.to_thread(wiring.more_shelves, fresh, to, self._store, self._metrics, self._clock)
        shelves.all = (*shelves.all, *made)
        self._store.exporter.exports = to.recording.export_clips

    async def _retire(self, shelf: Shelf) -> None:
        """Lets go of a volume on which nothing is open any more."""
        self._store.shelves.all = tuple(each for each in self._store.shelves.all if each is not shelf)
        stopped = await asyncio.to_thread(shelf.thread.stop, _CLOSE_S)
        if stopped and shelf.volume is not None:
            shelf.volume.release()
        if not any(each.name == shelf.name for each in self._store.shelves.all):
            self._metrics.remove_volume(shelf.name)
        log.info("volume let go", extra={"volume": shelf.name, "action": "volume-retired"})

    def _look_at_retired(self) -> None:
        """A volume that is configured no longer goes when the last segment on it has its row."""
        if not any(shelf.retired for shelf in self._store.shelves.all):
            return
        busy = {id(segment.shelf) for unit in self._units.values() for segment in unit.recorder.uncommitted()}
        for shelf in self._store.shelves.all:
            if shelf.retired and id(shelf) not in busy and self._group is not None:
                self._store.shelves.all = tuple(each for each in self._store.shelves.all if each is not shelf)
                self._group.create_task(self._retire(shelf), name=f"volume {shelf.name}")

    async def forget(self, cameras: Iterable[str]) -> None:
        """These cameras, left before, are configured no longer; their footage stays."""
        for name in cameras:
            recorder = self._units.pop(name).recorder
            off = recorder.ledger.off(self._clock.utc_us(), NOT_CONFIGURED)
            self._store.index.put_spans(recorder.camera.id, off)
            self._metrics.remove_camera(name)

    async def rename(self, was: str, name: str) -> None:
        """A camera that was left is called so from now on, its footage too."""
        self._units.pop(was, None)
        self._metrics.remove_camera(was)
        try:
            await asyncio.to_thread(wiring.rename, self._store, was, name)
        except (DiskFull, IndexDamaged) as trouble:
            log.error("not renamed: %s", trouble, extra={"camera": name, "was": was, "action": "not-renamed"})

    async def enter(self, to: config.Config, cameras: Iterable[str]) -> None:
        """From now on this is the configuration; units for these cameras begin."""
        self._settings = to
        self._store.sweeper.use(self._store.shelves.all, to.keep, exports=to.recording.export_clips)
        self._upkeep.hashing = to.recording.hash
        self._films.plans = to.timelapse_plans()
        for name in cameras:
            try:
                await asyncio.wrap_future(self._store.index.add_camera(name, self._clock.utc_us()))
                self._units[name] = self._make_unit(name)
            except (DiskFull, IndexDamaged) as trouble:
                log.critical("camera not begun: %s", trouble, extra={"camera": name, "action": "camera-failed"})
            else:
                self._begin([name])
        ordered = {name: self._units[name] for name in to.cameras if name in self._units}
        self._units.clear()
        self._units.update(ordered)

    async def listen_elsewhere(self, to: config.Config) -> None:
        """Metrics are served where this configuration says. Raises CannotListen, and is where it was then."""
        await self._close_page()
        try:
            await self._open_page(to)
        except CannotListen:
            await self._open_page(self._settings)
            raise

    async def _seal(self) -> bool:
        """Seals every camera's segment and waits for the rows."""
        # Of an index that is given up no row ever comes: the files tell the next life.
        within_s = _CLOSE_S if self.begins_again else _SEAL_S
        sealed = await asyncio.gather(*(unit.close(STOPPED, within_s) for unit in self._units.values()))
        late = [name for name, done in zip(self._units, sealed, strict=True) if not done]
        if late:
            log.error(
                "segments not sealed in time; the next start mends them",
                extra={"action": "stopped", "cameras": ",".join(late), "seconds": within_s},
            )
        return not late

    # ---- watches

    async def _watch(self) -> None:
        """Everything that nothing else wakes, for all cameras in one wake-up of the loop.

        Wake-ups are what costs: at each tick fifty cameras' bytes are taken together, and the rest is looked at. A
        timer's call costs two thirds of a task's sleep.
        """
        failed: asyncio.Future[None] = self._loop.create_future()
        self._wait_for_tick(failed)
        try:
            await failed
        finally:
            if self._tick is not None:
                self._tick.cancel()

    def _wait_for_tick(self, failed: "asyncio.Future[None]") -> None:
        # As often as footage is synced: what a crash may take is then read, written and synced in one go.
        tick_s = min(_MOST_TICK_S, max(_LEAST_TICK_S, self._settings.recording.sync_seconds))
        due_s = (int(self._loop.time() / tick_s) + 1) * tick_s
        self._tick = self._loop.call_at(due_s, self._on_tick, due_s, tick_s, failed)

    def _on_tick(self, due_s: float, tick_s: float, failed: "asyncio.Future[None]") -> None:
        late_s = max(0.0, self._loop.time() - due_s)
        shelves = self._store.shelves.all
        for shelf in shelves:
            shelf.gather()
        try:
            for unit in self._units.values():
                unit.collect()
            self._metrics.event_loop_lag.observe(late_s)
            self._look()
            if due_s % _LOOK_AROUND_S < tick_s:
                self._look_around()
            if due_s % _LOOK_AT_AMPLE_VOLUMES_S < tick_s:
                self._look_at_ample_volumes()
        except Exception as bug:  # noqa: BLE001 - ends the watch, and with it the daemon
            failed.set_exception(bug)
        else:
            self._wait_for_tick(failed)
        finally:
            # Each I/O thread is woken once, and last: it would only wait for the interpreter that this thread holds.
            for shelf in shelves:
                shelf.release()

    def _look(self) -> None:
        self._heartbeat.beat()
        self._notice_step()
        for unit in list(self._units.values()):
            unit.tick()
        self._look_at_volumes()
        self._look_at_clips()
        if self._index_watch.look():
            self._stopping.set()
        if self._store.sweeper.is_wanted:
            self._jobs.run_now("retention")

    def _look_around(self) -> None:
        """How everything is, for whoever is told of it: nothing of it is needed sooner."""
        self._host_clock.look()
        for unit in list(self._units.values()):
            unit.look()
        self._health.look(self._units, self._failed)
        self._look_at_retired()
        if self._answers is not None and self._notifier.is_heard:
            self._notifier.status(self._answers.line())

    def _note_counts(self) -> None:
        for unit in self._units.values():
            unit.note_counts()

    def _look_at_clips(self) -> None:
        """A clip is made into a file once nothing of it is still being written."""
        unsealed = {}
        for name, unit in self._units.items():
            since = unit.recorder.unsealed_since
            if since is not None:
                unsealed[name] = since
        self._store.exporter.look(unsealed)

    def _notice_step(self) -> None:
        """A step of the host's clock concerns every camera, also one that sends nothing just now."""
        mono_us, utc_us = self._clock.mono_us(), self._clock.utc_us()
        expected_us = self._utc_less_mono_us + mono_us
        self._utc_less_mono_us = utc_us - mono_us
        if abs(utc_us - expected_us) < _STEP_US:
            return
        log.warning(
            "this machine's clock was set", extra={"action": "clock-step", "seconds": (utc_us - expected_us) / US}
        )
        for unit in self._units.values():
            unit.recorder.clock_stepped(expected_us, utc_us)
        self._jobs.clock_stepped()

    def _look_at_volumes(self) -> None:
        """Each volume on its own thread; one that has ample room is looked at less often."""
        for shelf in self._store.shelves.all:
            shelf.note_state()
            if shelf.is_watched:
                shelf.ask_to_look()

    def _look_at_ample_volumes(self) -> None:
        for shelf in self._store.shelves.all:
            shelf.ask_to_look()


def _path_of(identity: Identity) -> str:
    return segment_path(identity.camera, identity.start_us, identity.run, identity.seq)

"""One camera's alarms with everything real around them but the daemon: simulator, unit, store."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection

from nvr import config
from nvr.camera.control import Control
from nvr.clock import HostClock
from nvr.jvc.params import Login
from nvr.metrics import Metrics
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from nvr.store.errors import DiskFull
from nvr.store.reader import Reader
from nvr.store.rows import Alarm, AlarmRow, Clip, ClipState
from nvr.supervisor import wiring
from nvr.supervisor.unit import CameraUnit
from tests.camera.wire import until

_QUIET = CameraOptions(encode=EncodeSettings(frame_size="qvga", i_interval=10, bitrate_bps=64_000))
_WAIT_S = 30


@asynccontextmanager
async def watched(folder: Path, simulator: Simulator, rule: str) -> AsyncIterator[tuple[CameraUnit, wiring.Store]]:
    """The camera waits for alarms of that rule, and is ticked as the daemon would, only more often."""
    file = folder / "config.toml"
    (folder / "footage").mkdir()
    file.write_text(
        f'data_dir = "{folder / "data"}"\n[[volume]]\nname = "main"\npath = "{folder / "footage"}"\nkeep_free = "1MB"\n'
        f'[camera.gate]\nhost = "127.0.0.1"\nhttp_port = {simulator.http_port}\nalarm_port = {simulator.alarm_port}\n'
        f'record = "alarm"\nuser = "admin"\npassword = "jvc"\n[[rule]]\nname = "door"\n{rule}\n'
    )
    settings, clock = config.load(file), HostClock()
    metrics = Metrics("test", clock.utc_us)
    store = wiring.open_store(settings, metrics, clock)
    loop = asyncio.get_running_loop()
    unit = wiring.make_unit(0, "gate", settings.cameras["gate"], settings, store, metrics, clock, loop)

    async def tick() -> None:
        while True:
            unit.collect()
            unit.tick()
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(unit.run())
        ticking = group.create_task(tick())
        yield unit, store
        unit.stop()
        await running
        assert await unit.close("service-stopped", 10)
        ticking.cancel()
    assert store.close(10)


def bounded(story: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(story, _WAIT_S))


def test_a_camera_that_does_not_look_for_motion_is_recorded_and_it_is_said_why(tmp_path: Path) -> None:
    async def story() -> None:
        async with Simulator(_QUIET) as simulator:
            camera = simulator.camera
            camera.motion_detection = False
            async with watched(tmp_path, simulator, 'when = ["v1"]') as (unit, _):
                await until(lambda: "its motion detection is off" in (unit.standing().alarm_trouble or ""))
                await until(lambda: unit.recorder.is_recording)
                assert "does not look for motion" in (unit.standing().reason or "")

                camera.motion_detection = True
                control = Control(("127.0.0.1", simulator.http_port), Login("admin", "jvc"), HostClock())
                await control.set("camera.motion.auto_tracking(1).status", "start")
                # It says so with its next I-VOP, and is asked anew.
                await until(lambda: "it is tracking" in (unit.standing().alarm_trouble or ""))
                await until(lambda: unit.recorder.said is not None and unit.recorder.said.tracking == 2)
                await control.set("camera.motion.auto_tracking(1).status", "stop")
                await until(lambda: unit.standing().alarm_trouble is None)
                await until(lambda: not unit.recorder.is_recording)

    bounded(story())


@pytest.mark.parametrize("refused", [False, True])
def test_what_a_rule_did_at_the_camera_is_noted(tmp_path: Path, refused: bool) -> None:
    preset = 7 if refused else 0

    async def story() -> None:
        async with Simulator(_QUIET) as simulator:
            rule = f'when = ["m1"]\ndo = ["output 1 make", "preset {preset}"]'
            async with watched(tmp_path, simulator, rule) as (unit, store):
                await until(lambda: bool(unit.alarms.link and unit.alarms.link.up))
                simulator.camera.pin(1, "make")
                await until(lambda: len(_deeds(store.reader)) == 2)
                made, moved = sorted(_deeds(store.reader), key=lambda deed: str(deed["what"]))
                assert made == {"rule": "door", "what": "output 1 make", "trouble": None}
                assert (moved["trouble"] is None) is not refused
                control = Control(("127.0.0.1", simulator.http_port), Login("admin", "jvc"), HostClock())
                assert (await control.output_pin(1)).value == "make"

    bounded(story())


def test_an_alarm_while_the_index_is_full_has_its_row_and_its_clip_once_there_is_room(tmp_path: Path) -> None:
    async def set_room(store: wiring.Store, pages: int) -> None:
        def limit(connection: Connection) -> None:
            now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={now + pages}")

        with suppress(DiskFull):  # it may share the transaction of something there is no room for
            await asyncio.wrap_future(store.index.do(limit))

    async def fill(store: wiring.Store) -> None:
        """Uses up what is free within the pages that alarms have."""
        numbers = count(1)
        for size in (3000, 300, 30, 1):
            with suppress(DiskFull):
                for number in numbers:
                    row = AlarmRow(1, "filler", "m1", "input-1", number, "x" * size)
                    await asyncio.wrap_future(store.index.add_alarm(row))

    def alarms(store: wiring.Store) -> list[Alarm]:
        return [alarm for alarm in store.reader.alarms_between("gate", 0, 1 << 60) if alarm.row.rule == "door"]

    def clips(store: wiring.Store) -> list[Clip]:
        return store.reader.clips_between("gate", 0, 1 << 60)

    async def story() -> None:
        async with (
            Simulator(_QUIET) as simulator,
            watched(tmp_path, simulator, 'when = ["m1"]\nwhile_active = false\npost_seconds = 1') as (unit, store),
        ):
            await until(lambda: bool(unit.alarms.link and unit.alarms.link.up) and unit.standing().state == "buffering")
            await set_room(store, 0)
            await fill(store)
            simulator.camera.pin(1, "make")
            await until(lambda: unit.recorder.is_recording)
            await until(lambda: not unit.recorder.is_recording)
            assert alarms(store) == []
            await set_room(store, 10_000)
            await until(lambda: [clip.state for clip in clips(store)] == [ClipState.CLOSED])
            (alarm,), (clip,) = alarms(store), clips(store)
            assert clip.alarm_at_us == alarm.row.at_us
            await until(lambda: bool(store.reader.members_of(clip.id)))

    bounded(story())


def _deeds(reader: Reader) -> list[dict[str, object]]:
    events = reader.events_between(0, 1 << 60)
    return [dict(event.facts) for event in events if event.kind == "rule-action"]

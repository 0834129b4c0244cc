"""What must hold at a camera, looked at by the daemon's own watch: a simulated camera, a real index."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nvr.camera.control import Control, Deadlines
from nvr.clock import HostClock
from nvr.jvc.params import Login
from nvr.jvc.settings import expanded
from nvr.metrics import CameraCounts
from nvr.record.recorder import RecordedCamera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from nvr.store import schema
from nvr.store.index import Index
from nvr.store.reader import Reader
from nvr.store.rows import Event
from nvr.supervisor.settings import SettingsWatch

QUIET = CameraOptions(encode=EncodeSettings(frame_size="qvga", i_interval=10, bitrate_bps=64_000), restart_s=0.1)
DECLARED = expanded({"camera.image.pedestal": 0, "camera.detection.status": True, "camera.position(3).comment": "door"})


@dataclass
class Scene:
    """A camera and its watch."""

    simulator: Simulator
    control: Control
    watch: SettingsWatch
    counts: CameraCounts
    index: Index
    reader: Reader

    def events(self) -> list[Event]:
        self.index.do(lambda _: None).result(5)
        return self.reader.events_between(0, 1 << 62, limit=100)

    async def looked(self, holds: Callable[[], bool]) -> None:
        """Has the watch look until that holds."""
        async with asyncio.timeout(10):
            while not holds():
                self.watch.connected()
                await asyncio.sleep(0.02)


@asynccontextmanager
async def scene(
    tmp_path: Path, *, enforce: bool, declared: dict[str, str] = DECLARED, answer_s: float = 10.0
) -> AsyncIterator[Scene]:
    path = tmp_path / schema.INDEX_NAME
    schema.prepare(path)
    index, reader = Index(path), Reader(path)
    try:
        camera = index.add_camera("gate", 1).result(5)
        async with Simulator(QUIET) as simulator:
            deadlines = Deadlines(answer_s=answer_s)
            address = ("127.0.0.1", simulator.http_port)
            control = Control(address, Login("admin", "jvc"), HostClock(), deadlines=deadlines)
            counts = CameraCounts()
            watch = SettingsWatch(
                declared,
                control,
                RecordedCamera(camera, "gate"),
                index,
                counts,
                HostClock(),
                enforce=enforce,
                settle_s=0.0,
            )
            async with asyncio.timeout(25), asyncio.TaskGroup() as group:
                looking = group.create_task(watch.run(), name="settings gate")
                yield Scene(simulator, control, watch, counts, index, reader)
                looking.cancel()
    finally:
        reader.close()
        assert index.close(10)


def run(story: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


def test_drift_is_told_once_and_its_end_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, enforce=False) as here:
            await here.looked(lambda: here.counts.settings_drifted == 2)
            await here.looked(lambda: len(here.events()) > 0)
            for _ in range(5):
                here.watch.connected()
                await asyncio.sleep(0.02)
            (event,) = here.events()
            assert event.kind == "settings-drifted"
            assert event.text == (
                "not as declared: camera.image.pedestal is 50, not 0, camera.position(3).comment is blank, not door"
            )
            assert event.facts == {"names": ["camera.image.pedestal", "camera.position(3).comment"]}
            assert await here.control.get("camera.image.pedestal") == "50"
            await here.control.write("camera.image.pedestal", 0)
            await here.control.write("camera.position(3).comment", "door")
            await here.looked(lambda: here.counts.settings_drifted == 0)
            await here.looked(lambda: [one.kind for one in here.events()][-1] == "settings-as-declared")

    run(story())


def test_a_change_that_was_never_kept_is_noticed_when_the_camera_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, enforce=False, declared={"camera.image.pedestal": "0"}) as here:
            await here.control.write("camera.image.pedestal", 0)
            here.watch.connected()
            await asyncio.sleep(0.2)
            assert here.counts.settings_drifted == 0
            here.simulator.lose_power()
            await asyncio.sleep(0.05)
            await here.control.await_camera(5)
            await here.looked(lambda: here.counts.settings_drifted == 1)
            assert "it was as declared before: set by somebody, or never kept" in here.events()[-1].text

    run(story())


def test_what_is_enforced_is_put_right_and_kept(tmp_path: Path) -> None:
    async def story() -> None:
        declared = DECLARED | {"network.interface.mtu": "1500"}
        async with scene(tmp_path, enforce=True, declared=declared) as here:
            await here.looked(lambda: len(here.events()) == 2)
            put_right, drifted = here.events()
            assert (put_right.kind, drifted.kind) == ("settings-enforced", "settings-drifted")
            assert set(put_right.facts["names"]) == {"camera.image.pedestal", "camera.position(3).comment"}
            # What would restart the camera is told only.
            assert drifted.facts == {"names": ["network.interface.mtu"]}
            assert here.counts.settings_drifted == 1
            here.simulator.lose_power()
            await asyncio.sleep(0.05)
            await here.control.await_camera(5)
            assert await here.control.get("camera.image.pedestal") == "0"

    run(story())


def test_an_access_list_that_would_keep_nvr_out_is_never_enforced(tmp_path: Path) -> None:
    async def story() -> None:
        name = "network.access_control(stream_out)"
        declared = expanded({f"{name}.logic": "allow", f"{name}.host(1)": "10.0.0.0/24", "camera.image.pedestal": 0})
        async with scene(tmp_path, enforce=True, declared=declared) as here:
            await here.looked(lambda: here.counts.settings_drifted == 2)
            assert await here.control.get("camera.image.pedestal") == "0"
            assert await here.control.get(f"{name}.logic") == "deny"

    run(story())


def test_a_camera_that_does_not_answer_drifts_by_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, enforce=False, answer_s=0.05) as here:
            here.simulator.camera.fault("no-api-answer")
            await here.looked(lambda: here.control.requests > 6)  # a second look: the first has ended
            assert here.counts.settings_drifted == 0
            assert here.events() == []

    run(story())

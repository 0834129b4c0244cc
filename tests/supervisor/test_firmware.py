"""Which firmware a camera has, asked by the daemon's own watch: a simulated camera, a real index."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nvr.camera.control import Control
from nvr.clock import HostClock
from nvr.jvc.params import Login
from nvr.record.recorder import RecordedCamera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from nvr.store import schema
from nvr.store.index import Index
from nvr.store.reader import Reader
from nvr.store.rows import Event
from nvr.supervisor.firmware import FirmwareWatch

OLD = CameraOptions(encode=EncodeSettings(frame_size="qvga", i_interval=10, bitrate_bps=64_000), firmware="V1-02")
V1_02 = "net V1-02, sys V1-02, cam V1-02, lens V1-02"


@dataclass
class Scene:
    """A camera and its watch."""

    simulator: Simulator
    control: Control
    watch: FirmwareWatch
    index: Index
    reader: Reader

    @property
    def kept(self) -> str | None:
        """What the index knows."""
        self.index.do(lambda _: None).result(5)
        camera = self.reader.camera("gate")
        assert camera is not None
        return camera.firmware

    def events(self) -> list[Event]:
        return self.reader.events_between(0, 1 << 62, limit=100)

    async def looked(self, holds: Callable[[], bool]) -> None:
        """Has the camera connect until that holds."""
        async with asyncio.timeout(10):
            while not holds():
                self.watch.connected()
                await asyncio.sleep(0.02)


@asynccontextmanager
async def scene(
    tmp_path: Path, password: str = "jvc", *, known: str | None = None, apart_s: float = 0.0
) -> AsyncIterator[Scene]:
    path = tmp_path / schema.INDEX_NAME
    schema.prepare(path)
    index, reader = Index(path), Reader(path)
    try:
        camera = index.add_camera("gate", 1).result(5)
        if known is not None:
            index.note_firmware(camera, 1, known).result(5)
        async with Simulator(OLD) as simulator:
            control = Control(("127.0.0.1", simulator.http_port), Login("admin", password), HostClock())
            watch = FirmwareWatch(
                control, RecordedCamera(camera, "gate"), index, HostClock(), known=known, settle_s=0.0, apart_s=apart_s
            )
            async with asyncio.timeout(25), asyncio.TaskGroup() as group:
                looking = group.create_task(watch.run(), name="firmware gate")
                yield Scene(simulator, control, watch, index, reader)
                looking.cancel()
    finally:
        reader.close()
        assert index.close(10)


def run(story: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


def test_a_firmware_is_kept_and_another_one_is_an_event(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path) as here:
            await here.looked(lambda: here.watch.known is not None)
            assert here.kept == here.watch.known == V1_02
            assert here.events() == []
            for camera in here.simulator.cameras:
                camera.options = replace(OLD, firmware="V2.00")
            await here.looked(lambda: here.watch.known != V1_02)
            assert here.kept == here.watch.known == V1_02.replace("V1-02", "V2.00")
            (event,) = here.events()
            assert event.kind == "firmware-changed"
            assert event.text == f"the camera's firmware is now {here.kept}; was {V1_02}"
            assert event.facts == {"firmware": here.kept, "was_firmware": V1_02}

    run(story())


def test_a_firmware_that_came_while_nvr_did_not_run_is_an_event_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, known="net V1-00") as here:
            await here.looked(lambda: here.watch.known == V1_02)
            assert here.kept == V1_02
            assert [event.kind for event in here.events()] == ["firmware-changed"]

    run(story())


def test_a_camera_that_refuses_the_login_stays_as_known_and_is_asked_once_a_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, "wrong") as here:
            await here.looked(lambda: here.control.requests >= 2)
            asked = here.control.requests
            await asyncio.sleep(0.1)
            assert here.control.requests <= asked + 1  # one look may have been due already
            assert here.watch.known is here.kept is None

    run(story())


def test_a_link_that_flaps_does_not_have_the_camera_asked_at_each_turn(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, apart_s=60.0) as here:
            await here.looked(lambda: here.watch.known is not None)
            for _ in range(10):
                here.watch.connected()
                await asyncio.sleep(0.01)
            assert here.control.requests == 4

    run(story())

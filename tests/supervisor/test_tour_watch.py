"""A simulated camera that is sent on patrol by schedule, and back to a preset when nobody moves it."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from nvr.camera.control import Control
from nvr.jvc.params import Login
from nvr.rules.tours import PatrolPlan, ReturnPlan, Tours
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from nvr.supervisor.tour_watch import TourWatch
from nvr.units import US, MonoMicros, UtcMicros

QUIET = CameraOptions(encode=EncodeSettings(frame_size="qvga", i_interval=10, bitrate_bps=64_000))
NIGHT_US = 1_000 * US


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now_us = 0

    def utc_us(self) -> UtcMicros:
        return UtcMicros(self.now_us)

    def mono_us(self) -> MonoMicros:
        return MonoMicros(self.now_us)


class Night:
    def is_now(self, utc_us: int) -> bool:
        return utc_us >= NIGHT_US


class Story:
    def __init__(self, simulator: Simulator, tours: Tours) -> None:
        self.clock = Clock()
        self.control = Control(("127.0.0.1", simulator.http_port), Login("admin", "jvc"), self.clock)
        self.watch = TourWatch(tours, self.control, "gate", self.clock)
        self.position = (0, 500, 0)
        """What its stream says."""

    async def until(self, seconds: float, holds: Callable[[str], bool], name: str) -> None:
        """Lets time go on, and waits until the camera tells that."""
        self.clock.now_us = int(seconds * US)
        async with asyncio.timeout(10):
            while not holds(await self.control.get(name)):
                self.watch.tick(self.position)
                await asyncio.sleep(0.01)


def test_it_patrols_by_night_and_stops_by_day() -> None:
    async def story() -> None:
        async with Simulator(QUIET) as simulator:
            here = Story(simulator, Tours(PatrolPlan(0, Night()), None))
            await here.control.write("camera.motion.auto_patrol(0).position(0).duration", 10)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(here.watch.run(), name="tours")
                status = "camera.motion.auto_patrol(0).status"
                here.watch.tick((0, 500, 0))
                await here.until(1_031, "moving".__eq__, status)
                await here.until(999, "stop".__eq__, status)
                running.cancel()

    asyncio.run(story())


def test_it_goes_back_when_nobody_has_moved_it(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Simulator(QUIET) as simulator:
            here = Story(simulator, Tours(None, ReturnPlan(0, 600 * US)))
            await here.control.write("camera.motion.pan", "20.00")
            async with asyncio.TaskGroup() as group:
                running = group.create_task(here.watch.run(), name="tours")
                here.position = (2_000, 500, 0)
                here.watch.tick(here.position)
                assert await here.control.get("camera.status") == "none"
                await here.until(601, "0".__eq__, "camera.status")
                running.cancel()

    with caplog.at_level(logging.INFO):
        asyncio.run(story())
    assert "sent on its way" in caplog.text


def test_a_camera_that_cannot_be_reached_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Simulator(QUIET) as simulator:
            here = Story(simulator, Tours(None, ReturnPlan(5, 600 * US)))
            async with asyncio.TaskGroup() as group:
                running = group.create_task(here.watch.run(), name="tours")
                here.watch.tick((0, 500, 0))
                here.clock.now_us = 601 * US
                here.watch.tick((0, 500, 0))
                async with asyncio.timeout(10):
                    # Preset 5 is not registered.
                    while "could not be sent on its way" not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
                        await asyncio.sleep(0.01)
                await here.control.write("camera.position(5).status", "save")
                await here.control.write("camera.motion.pan", "20.00")
                await here.until(700, "5".__eq__, "camera.status")
                running.cancel()

    asyncio.run(story())

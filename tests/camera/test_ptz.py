"""Moving a simulated camera, which moves at finite speed: degrees, presets, tours, and moves that end by themselves."""

import asyncio
import time
from dataclasses import replace

import pytest

from nvr.camera.ptz import Hold, Looking, Ptz
from nvr.jvc import ptz
from nvr.jvc.errors import RecordingFull
from nvr.jvc.ptz import Way
from tests.camera.test_every_parameter import QUIET, simulated
from tests.camera.wire import run


async def begun(camera: Ptz) -> None:
    """Returns once it moves."""
    async with asyncio.timeout(5):
        while not (await camera.looking()).moving:  # noqa: ASYNC110 - a camera tells nobody
            await asyncio.sleep(0.01)


def test_it_goes_where_it_is_told_in_true_degrees() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            camera = Ptz(control)
            await camera.do(ptz.go(30, 20, 10))
            assert await camera.arrived(10) == Looking(30.0, 20.0, 10.0, False, None)
            assert simulator.camera.looks_at(time.monotonic()) == (3_000, 2_500, 1_000)
            await camera.do(ptz.by(-40, 5))
            assert await camera.arrived(10) == Looking(350.0, 25.0, 10.0, False, None)

    run("uvloop", story())


def test_presets_are_kept_gone_to_and_forgotten() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            camera = Ptz(control)
            await camera.do(ptz.go(20, 10))
            await camera.arrived(10)
            await camera.do(ptz.save_preset(3, "front door"))
            await camera.do(ptz.go_to_preset(ptz.HOME))
            assert (await camera.arrived(10)).preset == 0
            await camera.do(ptz.go_to_preset(3))
            assert await camera.arrived(10) == Looking(20.0, 10.0, 0.0, False, 3)
            await camera.do(ptz.clear_preset(3))
            assert await control.get("camera.position(3).status") == "unregistered"
            assert await control.get("camera.position(3).comment") == ""

    run("uvloop", story())


def test_a_move_stops_when_nobody_asks_for_more_of_it() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            camera, hold = Ptz(control), Hold()
            async with asyncio.TaskGroup() as group:
                moving = group.create_task(camera.move([Way.RIGHT, Way.IN], 5, hold, dead_man_s=0.4), name="move")
                for _ in range(4):
                    await asyncio.sleep(0.15)
                    hold.keep()
                    assert (await camera.looking()).moving
                assert not moving.done()
            assert not (await camera.looking()).moving

    run("uvloop", story())


def test_a_move_that_is_released_stops_at_once() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            camera, hold = Ptz(control), Hold()
            async with asyncio.TaskGroup() as group:
                group.create_task(camera.move([Way.LEFT], 5, hold, dead_man_s=60), name="move")
                await begun(camera)
                hold.release()
            assert not (await camera.looking()).moving

    run("uvloop", story())


def test_a_move_that_is_cancelled_stops_too() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            camera = Ptz(control)
            async with asyncio.TaskGroup() as group:
                moving = group.create_task(camera.move_for([Way.UP], 5, 60), name="move")
                await begun(camera)
                moving.cancel()
            assert not (await camera.looking()).moving

    run("uvloop", story())


def test_a_stop_that_the_camera_does_not_hear_is_said_again() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            camera, hold = Ptz(control), Hold()
            async with asyncio.TaskGroup() as group:
                group.create_task(camera.move([Way.DOWN], 5, hold, dead_man_s=60), name="move")
                await begun(camera)
                simulator.camera.fault("refuse+0.3")
                hold.release()
            assert not (await camera.looking()).moving

    run("uvloop", story())


def test_a_patrol_goes_from_preset_to_preset_and_stops_for_a_hand() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            camera = Ptz(control)
            for number, pan in ((1, 10), (2, 20)):
                await camera.do(ptz.go(pan_degrees=pan))
                await camera.arrived(10)
                await camera.do(ptz.save_preset(number))
            await camera.do(ptz.patrol_steps(0, [(1, 10), (2, 10)]), save=True)
            assert control.unsaved == {}
            await camera.do(ptz.patrol(0, "start"))
            assert await control.get("camera.motion.auto_patrol(0).status") == "moving"
            mount = simulator.camera.mount
            begun_s = time.monotonic()
            assert mount.at(begun_s + 5)[0] == 1_000
            assert mount.at(begun_s + 15)[0] == 2_000
            assert mount.at(begun_s + 25)[0] == 1_000
            await camera.do(ptz.by(pan_degrees=1))
            assert await control.get("camera.motion.auto_patrol(0).status") == "stop"

    run("uvloop", story())


def test_a_trace_repeats_what_was_done() -> None:
    async def story() -> None:
        async with simulated(replace(QUIET, trace_s=30)) as (simulator, control):
            camera = Ptz(control)
            await camera.do(ptz.trace("record"))
            await asyncio.sleep(0.25)
            await camera.do(ptz.by(pan_degrees=30))
            await camera.do(ptz.trace("end"))
            await camera.do(ptz.go(pan_degrees=200))
            await camera.arrived(10)
            await camera.do(ptz.trace("start"))
            seen = {simulator.camera.mount.at(time.monotonic() + ahead / 10)[0] for ahead in range(60)}
            assert {0, 3_000} <= seen
            await camera.do(ptz.trace("stop"))
            assert await control.get("camera.motion.auto_trace.status") == "stop"

    run("uvloop", story())


def test_a_trace_that_takes_too_long_is_told() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            camera = Ptz(control)
            await camera.do(ptz.trace("record"))
            await asyncio.sleep(QUIET.trace_s + 0.1)
            with pytest.raises(RecordingFull, match="timeout"):
                await camera.do(ptz.by(pan_degrees=1))
            with pytest.raises(RecordingFull):
                await camera.do(ptz.trace("end"))

    run("uvloop", story())


def test_a_mask_is_edited_where_the_camera_looks() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            camera = Ptz(control)
            await camera.do(ptz.go(40, 10, 20))
            await camera.arrived(10)
            await camera.do(ptz.mask(2, "edit"))
            assert (await camera.arrived(10)).zoom == 0
            await camera.do(ptz.mask(2, "wider") + ptz.mask(2, "wider") + ptz.mask(2, "lower"))
            await camera.do(ptz.go(pan_degrees=45))
            await camera.arrived(10)
            await camera.do(ptz.mask(2, "save"))
            await camera.do(ptz.go(pan_degrees=0))
            await camera.do(ptz.mask(2, "edit"))
            assert (await camera.arrived(10)).pan_degrees == 45
            await camera.do(ptz.mask(2, "exit") + ptz.mask(2, "on"), save=True)
            assert await control.get("camera.private_mask.area(2).status") == "on"
            assert control.unsaved == {}

    run("uvloop", story())

"""The alarm port: blocks on change, ten clients, and ways to be difficult."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from nvr.simulator.server import Simulator
from tests.simulator.client import Client, connected, run, small


def _block(pin1: str, pin2: str, motion: str) -> bytes:
    return (
        f"peripheral.input_pin.pin(1).status={pin1}\r\nperipheral.input_pin.pin(2).status={pin2}\r\n"
        f"video.input(1).detection(motion).status={motion}\r\n"
    ).encode()


AT_REST = _block("break", "break", "off")


@contextlib.asynccontextmanager
async def _listening(simulator: Simulator) -> AsyncIterator[Client]:
    async with connected(simulator.alarm_port) as client:
        yield client


async def _has(client: Client, expected: bytes) -> None:
    async with asyncio.timeout(5):
        while len(client.raw) < len(expected) and not client.closed:
            await client.read(0.05)
    assert client.raw == expected


def test_every_change_is_reported_with_the_state_of_all() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, _listening(simulator) as client:
            camera = simulator.camera
            await _has(client, AT_REST)
            camera.pin(1, "make")
            camera.pin(1, "make")
            camera.see_motion(True)
            camera.see_motion(False)
            camera.pin(2, "make")
            await _has(
                client,
                AT_REST
                + _block("make", "break", "off")
                + _block("make", "break", "on")
                + _block("make", "break", "off")
                + _block("make", "make", "off"),
            )

    run(story())


def test_a_camera_may_say_nothing_at_connect_and_nothing_when_motion_ends() -> None:
    async def story() -> None:
        camera = small(alarm_greeting=False, alarm_off=False)
        async with Simulator(camera) as simulator, _listening(simulator) as client:
            await client.read(0.1)
            assert client.raw == b""
            simulator.camera.see_motion(True)
            simulator.camera.see_motion(False)
            simulator.camera.see_motion(True)
            await _has(client, _block("break", "break", "on") * 2)

    run(story())


def test_the_eleventh_client_is_accepted_and_closed_and_a_place_becomes_free() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, contextlib.AsyncExitStack() as links:
            ten = [await links.enter_async_context(_listening(simulator)) for _ in range(10)]
            for client in ten:
                await _has(client, AT_REST)
            async with _listening(simulator) as eleventh:
                await eleventh.read_to_end()
            assert eleventh.raw == b""
            ten[0].writer.close()
            await asyncio.sleep(0.05)
            async with _listening(simulator) as next_one:
                await _has(next_one, AT_REST)
            assert not ten[5].closed

    run(story())


def test_reports_may_come_in_pieces_and_stay_in_order() -> None:
    async def story() -> None:
        async with Simulator(small(alarm_pieces=50)) as simulator, _listening(simulator) as client:
            first = await client.reader.read(1000)
            assert len(first) == 50
            client.raw += first
            simulator.camera.pin(2, "make")
            await _has(client, AT_REST + _block("break", "make", "off"))

    run(story())


def test_links_may_be_cut_after_a_while() -> None:
    async def story() -> None:
        async with Simulator(small(alarm_cut_s=0.2)) as simulator, _listening(simulator) as client:
            await client.read(2)
            assert client.closed
            assert client.raw == AT_REST

    run(story())


@pytest.mark.parametrize(("fault", "reset"), [("alarm-cut", False), ("alarm-cut:rst", True)])
def test_links_may_be_cut_at_once(fault: str, reset: bool) -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, _listening(simulator) as client:
            await _has(client, AT_REST)
            simulator.camera.fault(fault)
            await client.read(2)
            assert (client.closed, client.reset) == (True, reset)
            async with _listening(simulator) as again:
                await _has(again, AT_REST)

    run(story())


def test_a_camera_may_refuse_alarm_links_or_report_nothing() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, _listening(simulator) as client:
            await _has(client, AT_REST)
            simulator.camera.fault("alarm-silent")
            simulator.camera.fault("alarm-refuse")
            simulator.camera.pin(1, "make")
            await client.read(0.1)
            assert client.raw == AT_REST
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", simulator.alarm_port)
            simulator.camera.clear()
            await asyncio.sleep(0.05)
            async with _listening(simulator) as again:
                await _has(again, _block("make", "break", "off"))

    run(story())


@pytest.mark.parametrize(("number", "state"), [(3, "make"), (1, "open")])
def test_an_input_that_is_none_is_refused(number: int, state: str) -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            with pytest.raises(ValueError, match="cannot be"):
                simulator.camera.pin(number, state)

    run(story())

"""Alarm actions that go to the network: tcpto and udpto (guide 6.4)."""

import asyncio
import socket

import pytest

from nvr.simulator.server import Simulator
from tests.simulator.client import asked, connected, request, run, small

ADMIN = "Authorization: Basic YWRtaW46anZj"


async def said(simulator: Simulator, query: str) -> str:
    answer = await asked(simulator.http_port, f"/api/param?{query}", "Accept: text/plain", ADMIN)
    return answer.body.decode().strip()


async def set_up(simulator: Simulator, action: str, trigger: str) -> None:
    name = "application.event(1)"
    for key, value in (("action", action), ("trigger", trigger)):
        before = await said(simulator, f"{name}.{key}")
        told = await said(simulator, f"{name}.{key}={value}")
        assert told == f"{name}.{key}&202 Accepted({name}.status=restart)"
        assert await said(simulator, f"{name}.{key}") == before, "before the restart as before"
    assert await said(simulator, f"{name}.status=restart") == f"{name}.status&200 OK"
    assert await said(simulator, f"{name}.status=on") == f"{name}.status&200 OK"


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_tcpto_connects_says_its_text_and_closes(end: bytes) -> None:
    async def story() -> bytes:
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.put_nowait(await reader.read())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Simulator(small(alarm_text_end=end)) as simulator:
            await set_up(simulator, f"tcpto/127.0.0.1/{port}/Alarm%20at%20the%20gate", "m1")
            name = "application.event(1).action"
            assert await said(simulator, name) == f"{name}=tcpto/127.0.0.1/{port}/Alarm at the gate&200 OK"
            simulator.camera.pin(2, "make")
            simulator.camera.pin(1, "make")
            return await heard.get()

    assert run(story()) == b"Alarm at the gate" + end


def test_udpto_sends_its_text_for_motion_and_for_two_inputs_in_time() -> None:
    async def story() -> list[bytes]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
            ear.setblocking(False)
            ear.bind(("127.0.0.1", 0))
            loop = asyncio.get_running_loop()
            async with Simulator(small()) as simulator:
                action = f"udpto/127.0.0.1/{ear.getsockname()[1]}"
                await set_up(simulator, f"{action}/seen", "v1")
                simulator.camera.see_motion(True)
                heard = [await loop.sock_recv(ear, 200)]
                await said(simulator, f"application.event(2).action={action}/both")
                await said(simulator, "application.event(2).trigger=m1(10)b2")
                await said(simulator, "application.event(2).status=restart")
                await said(simulator, "application.event(2).status=on")
                simulator.camera.pin(2, "make")
                simulator.camera.pin(2, "break")  # not after m1
                simulator.camera.pin(1, "make")
                simulator.camera.pin(2, "make")
                simulator.camera.pin(2, "break")
                return [*heard, await loop.sock_recv(ear, 200)]

    assert run(story()) == [b"seen", b"both"]


@pytest.mark.parametrize(
    "wrong", ["action=tcpto/127.0.0.1/20000/", "action=phone/mother", "trigger=m3", "status=perhaps"]
)
def test_what_is_no_such_setting_is_refused(wrong: str) -> None:
    async def story() -> str:
        async with Simulator(small()) as simulator:
            return await said(simulator, f"application.event(1).{wrong}")

    assert run(story()).endswith("&400 Bad Request")


def test_alarms_are_in_the_log_with_the_cameras_own_time() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            simulator.camera.see_motion(True)
            simulator.camera.pin(1, "make")
            first, second, *entries = (await said(simulator, "system.log")).splitlines()
            assert first == "system.log=&200 OK"
            assert second.startswith("system alive time: ")
            assert [line.split(" evman: ")[1] for line in entries] == ["Motion Detect", "Alarm Detect (m1)"]

    run(story())


def test_pushed_jpeg_is_in_the_report_of_sessions() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            path = "/api/video?encode=jpeg&framerate=-5&boundary=on&ptz_info=off"
            async with connected(simulator.http_port, request(path)) as client:
                await client.read_until(b"\xff\xd9", 1)
                lines = (await said(simulator, "system.session")).splitlines()
            assert "system.session.sending(01).from.encode=jpeg&200 OK" in lines
            assert "system.session.sending(01).from.framerate=-5&200 OK" in lines
            assert "system.session.sending(01).to.ip=127.0.0.1&200 OK" in lines

    run(story())

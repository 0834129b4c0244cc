"""The door behind the camera: a test in another process scripts it over HTTP."""

import asyncio
import json

import pytest

from nvr.simulator.server import Simulator
from tests.simulator.client import asked, connected, run, small, watching


def test_pins_motion_position_and_settings_are_scripted_and_told() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            port = simulator.http_port
            for path in (
                "pin?1=make",
                "motion?state=on",
                "look?pan=35999&tilt=19000&zoom=9999",
                "encode?frame_rate=7.5&i_interval=4",
                "fault?add=slow:1000000%2B60",
            ):
                answer = await asked(port, f"/simulator/{path}")
                assert answer.status == "HTTP/1.1 200 OK", answer.body
            state = json.loads((await asked(port, "/simulator/state")).body)
            assert state["pins"] == {"1": "make", "2": "break"}
            assert state["motion"] is True
            assert state["position"] == [35999, 19000, 9999]
            assert (state["frame_rate"], state["i_interval"]) == ("7.5", 4)
            assert state["faults"] == {"slow": "1000000"}
            await asked(port, "/simulator/fault?clear=all")
            assert simulator.camera.active() == {}

    run(story())


def test_the_control_port_reaches_each_camera_also_one_that_refuses() -> None:
    async def story() -> None:
        async with Simulator([small(), small()], control_port=0) as simulator:
            port = simulator.control_port
            assert port
            await asked(port, "/simulator/2/fault?add=refuse")
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionRefusedError):
                await asked(simulator.ports(simulator.cameras[1])[0], "/")
            assert simulator.cameras[0].active() == {}
            await asked(port, "/simulator/2/fault?clear=refuse")
            await asyncio.sleep(0.05)
            await asked(simulator.ports(simulator.cameras[1])[0], "/")
            assert (await asked(port, "/simulator/3/state")).status == "HTTP/1.1 404 Not Found"

    run(story())


def test_what_was_sent_is_told_as_json_lines() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, watching(simulator) as client:
            await client.read_until_vops(5)
            lines = (await asked(simulator.http_port, "/simulator/sent")).body.splitlines()
            assert len(lines) >= 5
            assert json.loads(lines[0])["sha256"] == simulator.camera.sent[0].sha256

    run(story())


@pytest.mark.parametrize("path", ["fault?add=fire", "fault", "fault?clear=x", "pin?9=make", "look?pan=1", "dance"])
def test_nonsense_is_refused_with_a_sentence(path: str) -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            answer = await asked(simulator.http_port, f"/simulator/{path}")
            assert answer.status == "HTTP/1.1 400 Bad Request"
            assert json.loads(answer.body)["error"]

    run(story())


@pytest.mark.parametrize(
    "said", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n", b"GET /" + b"x" * 9000]
)
def test_what_is_no_request_is_answered_400_and_closed(said: bytes) -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, connected(simulator.http_port, said) as client:
            await client.read_to_end()
            assert client.raw.startswith(b"HTTP/1.1 400 ") or client.reset

    run(story())

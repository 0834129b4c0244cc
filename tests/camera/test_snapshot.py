"""One JPEG of a simulated camera, and every way in which there is none."""

import asyncio

import pytest

from nvr.camera.errors import CameraBusy, CannotConnect, LinkError, LinkLost, LinkStalled, LoginRefused, NotACamera
from nvr.camera.snapshot import Snapshot, snapshot
from nvr.jvc.types import Position
from nvr.simulator.options import CameraOptions
from nvr.simulator.server import Simulator
from tests.camera.wire import peer, run, saying

CAMERA = CameraOptions(camera_id="Yard", position=(12_345, 9_000, 1_234))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Type: image/jpeg\r\n\r\n"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_picture_comes_with_what_the_camera_says_in_it(loop: str) -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator:
            simulator.camera.see_motion(True)
            taken = await snapshot(("127.0.0.1", simulator.http_port))
        assert taken.data.startswith(b"\xff\xd8")
        assert taken.data.endswith(b"\xff\xd9")
        facts = taken.facts
        assert (facts.width, facts.height, facts.size_bytes) == (640, 480, len(taken.data))
        assert (facts.model, facts.camera_id) == ("VN-V685U", b"Yard")
        assert facts.position == Position(12_345, 9_000, 1_234)
        assert (facts.motion_detection, facts.motion_seen, facts.alarm) == (True, True, bytes(4))

    run(loop, story())


def test_pictures_are_taken_beside_a_stream_and_beside_each_other() -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator:
            address = ("127.0.0.1", simulator.http_port)
            taken: list[Snapshot] = await asyncio.gather(*(snapshot(address) for _ in range(3)))
        assert len({one.data for one in taken}) == 3

    run("uvloop", story())


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("refuse", CannotConnect, "Connection refused"),
        ("no-answer", CameraBusy, "closed without an answer"),
        ("busy", CameraBusy, "sends no JPEG now: 503"),
        ("unauthorized", LoginRefused, "refused to send JPEG: 401"),
        ("html", NotACamera, "sent text/html"),
    ],
)
def test_a_camera_that_sends_none_is_named_for_what_it_did(fault: str, kind: type[LinkError], words: str) -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator:
            await asyncio.sleep(0.05)  # its doors are open
            simulator.camera.fault(fault)
            await asyncio.sleep(0.05)  # and it has noticed
            with pytest.raises(kind, match=words):
                await snapshot(("127.0.0.1", simulator.http_port))

    run("uvloop", story())


@pytest.mark.parametrize(
    ("said", "then", "kind", "words"),
    [
        (HEAD + b"\xff\xd8\xff\xe0", "close", LinkLost, "the camera closed the connection inside a picture"),
        (HEAD, "close", LinkLost, "the camera closed the connection without a JPEG"),
        (HEAD + b"GIF89a", "wait", LinkLost, "the camera's JPEG cannot be read: the body begins as no JPEG does"),
        (HEAD + b"\xff\xd8\xff\xe0", "wait", LinkStalled, "has not sent a whole JPEG in 0.3 s"),
        (b"SSH-2.0-x\r\n", "wait", NotACamera, "an answer that is not HTTP"),
    ],
)
def test_what_comes_instead_of_a_picture_is_said(said: bytes, then: str, kind: type[LinkError], words: str) -> None:
    async def story() -> None:
        async with peer(saying(said, then=then)) as address:
            with pytest.raises(kind, match=words):
                await snapshot(address, picture_s=0.3)

    run("uvloop", story())

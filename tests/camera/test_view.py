"""JPEGs of a simulated camera one after the other, over HTTP and from its multicast, and how they end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from nvr.camera.errors import LinkError, LinkLost, LinkStalled
from nvr.camera.multicast import MulticastPlan, multicast_snapshot, multicast_view
from nvr.camera.snapshot import Pictures, view
from nvr.jvc.types import Position
from nvr.simulator.options import CameraOptions
from nvr.simulator.server import Simulator
from tests.camera.test_multicast import free_group, send_to
from tests.camera.wire import peer, run, saying, until

CAMERA = CameraOptions(camera_id="Yard", position=(12_345, 9_000, 1_234))
PUSH = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=foo\r\n\r\n"


def tiny(number: int) -> bytes:
    """As little as is a JPEG file, with a comment."""
    return bytes.fromhex("ffd8fffe000a") + b"JVC V1.%d" % number + bytes.fromhex("ffd9")


def part(file: bytes) -> bytes:
    return b"--foo\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(file), file)


async def last(pictures: Pictures) -> None:
    """Takes what comes until it ends."""
    async for picture in pictures:
        assert picture.data.startswith(b"\xff\xd8")


TINY = tiny(0)
PART = part(TINY)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("boundary", [True, False])
def test_pictures_come_one_after_the_other_in_every_form_there_is(loop: str, boundary: bool) -> None:
    async def story() -> None:
        async with (
            Simulator(CAMERA) as simulator,
            view(("127.0.0.1", simulator.http_port), "30", boundary=boundary) as pictures,
        ):
            taken = [await anext(pictures) for _ in range(4)]
        assert len({one.data for one in taken}) == 4
        for one in taken:
            assert (one.data[:2], one.data[-2:]) == (b"\xff\xd8", b"\xff\xd9")
            assert one.facts.position == Position(12_345, 9_000, 1_234)
        assert pictures.lost == 0

    run(loop, story())


def test_who_is_slower_than_the_camera_gets_the_newest_and_the_others_are_counted() -> None:
    async def story() -> None:
        said = PUSH + b"".join(part(tiny(number)) for number in range(5))
        async with peer(saying(said, then="wait")) as address, view(address, "30") as pictures:
            await until(lambda: pictures.came == 5)
            assert (await anext(pictures)).data == tiny(4)
            assert pictures.dropped == 4

    run("uvloop", story())


@pytest.mark.parametrize(
    ("said", "then", "kind", "words"),
    [
        (PUSH + PART + PART, "close", LinkLost, "the camera closed the connection after a picture"),
        (PUSH + PART + PART[:-9], "close", LinkLost, "the camera closed the connection inside a picture, 7 bytes"),
        (PUSH + PART, "reset", LinkLost, "the camera closed the connection after a picture"),
        (PUSH + PART, "wait", LinkStalled, "the camera has not sent a whole JPEG in "),
        (PUSH + PART + b"--foo\r\n" + bytes(70_000), "wait", LinkLost, "the camera's JPEG cannot be read"),
    ],
)
def test_pictures_end_with_what_the_camera_did_after_the_last_one(
    said: bytes, then: str, kind: type[LinkError], words: str
) -> None:
    async def story() -> None:
        within_s = 0.5 if kind is LinkStalled else 10.0
        async with peer(saying(said, then=then)) as address, view(address, "30", picture_s=within_s) as pictures:
            assert (await anext(pictures)).data == TINY
            with pytest.raises(kind, match=words):
                await last(pictures)

    run("uvloop", story())


def test_an_end_that_was_asked_for_is_no_trouble() -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator, view(("127.0.0.1", simulator.http_port), "-60") as pictures:
            await anext(pictures)
            asyncio.get_running_loop().call_later(0.05, pictures.end)
            assert [picture async for picture in pictures] == []

    run("uvloop", story())


@asynccontextmanager
async def multicasting(options: CameraOptions, within_s: float = 15.0) -> AsyncIterator[tuple[Simulator, Pictures]]:
    """A camera that sends its JPEG to a group of its own, and who receives it."""
    async with Simulator(options) as simulator:
        group = free_group()
        plan = MulticastPlan(("127.0.0.1", simulator.http_port), group)
        async with multicast_view(plan, within_s=within_s) as pictures:
            simulator.camera.destinations[1].set("framerate", "30")
            send_to(simulator, group, number=1)
            yield simulator, pictures


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("jfif", [True, False])
def test_multicast_pictures_come_one_after_the_other(loop: str, jfif: bool) -> None:
    async def story() -> None:
        async with multicasting(replace(CAMERA, multicast_jfif=jfif)) as (_, pictures):
            taken = [await anext(pictures) for _ in range(3)]
            assert len({one.data for one in taken}) == 3
            # Without its headers the camera's comment is gone.
            assert {one.facts.position is not None for one in taken} == {jfif}

    run(loop, story())


def test_multicast_pictures_that_the_network_hits_are_counted_and_the_others_come() -> None:
    async def story() -> None:
        async with multicasting(CAMERA) as (simulator, pictures):
            await anext(pictures)
            simulator.camera.fault("loss:0.02")
            await until(lambda: pictures.lost >= 2)
            simulator.camera.clear("loss")
            came = pictures.came
            await until(lambda: pictures.came > came + 1)
            assert (await anext(pictures)).data.endswith(b"\xff\xd9")

    run("uvloop", story())


def test_a_multicast_that_stops_says_where_it_was_listened_to() -> None:
    async def story() -> None:
        async with multicasting(CAMERA, within_s=0.4) as (simulator, pictures):
            simulator.camera.destinations[1].set("status", "stop")
            with pytest.raises(
                LinkStalled, match=r"of the camera's multicast came to 239\.\d+\.\d+\.\d+ port \d+ in 0.4 s"
            ):
                await last(pictures)

    run("uvloop", story())


def test_one_picture_of_a_multicast_is_the_first_that_comes() -> None:
    async def story() -> None:
        async with multicasting(replace(CAMERA, multicast_jfif=True)) as (simulator, _):
            destination = simulator.camera.destinations[1]
            taken = await multicast_snapshot(MulticastPlan(("127.0.0.1", simulator.http_port), destination.active))
            assert taken.facts.camera_id == b"Yard"

    run("uvloop", story())

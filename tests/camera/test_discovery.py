"""A search among simulated cameras on 127.0.0.1."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nvr.camera.discovery import Found, Interface, interfaces, search
from nvr.jvc.search import SearchAnswer
from nvr.simulator.options import CameraOptions
from nvr.simulator.server import Simulator
from tests.camera.wire import run

_QUICK = 3820  # the seed of a camera that answers soon; it may take 0.7 s
LOOPBACK = Interface("lo", "127.0.0.1", ("127.0.0.1",))


@contextmanager
def silent_port() -> Iterator[int]:
    """A port on which somebody hears and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield nobody.getsockname()[1]


def test_a_camera_that_answers_twice_on_two_interfaces_is_one() -> None:
    async def story() -> None:
        async with Simulator(CameraOptions(search_port=0, model="VN-V686U", seed=_QUICK)) as simulator:
            heard: list[Found] = []
            port = simulator.search_port
            assert port is not None
            found = await search([LOOPBACK, LOOPBACK], port=port, within_s=0.9, on_found=heard.append)
        (camera,) = found
        assert camera.answer == SearchAnswer("VN-V686U", "127.0.0.1", 24)
        assert (camera.source, camera.interface) == ("127.0.0.1", "lo")
        assert camera.answers >= 2
        assert [one.answer for one in heard] == [camera.answer], "told once, as it came"

    run("asyncio", story())


def test_where_nobody_answers_nothing_is_found() -> None:
    async def story() -> None:
        with silent_port() as port:
            assert await search([LOOPBACK], port=port, within_s=0.5) == []

    run("uvloop", story())


def test_a_question_that_cannot_be_sent_anywhere_is_trouble() -> None:
    async def story() -> None:
        nowhere = Interface("lo", "127.0.0.1", ("240.0.0.1",))
        with pytest.raises(OSError, match=r"."):
            await search([nowhere], port=9, within_s=0.5)

    run("uvloop", story())


def test_the_interfaces_of_this_machine_are_those_that_can_broadcast() -> None:
    for place in interfaces():
        socket.inet_aton(place.address)
        assert len(place.targets) == 2
        assert place.targets[1] == "255.255.255.255"
        assert not place.address.startswith("127.")

"""The UDP search of a simulated camera."""

import asyncio
import socket

from nvr.simulator.server import Simulator
from tests.simulator.client import run, small


async def _answers(port: int, said: bytes, wait_s: float) -> list[bytes]:
    loop = asyncio.get_running_loop()
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        await loop.sock_sendto(sock, said, ("127.0.0.1", port))
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    answers.append(await loop.sock_recv(sock, 1000))
        except TimeoutError:
            return answers


def test_a_search_is_answered_once_within_seven_tenths_of_a_second() -> None:
    async def story() -> None:
        async with Simulator([small(search_port=0), small(search_port=0, model="VN-V686U", seed=7)]) as simulator:
            ports = [simulator.ports(camera)[2] for camera in simulator.cameras]
            assert ports == [port for port in ports if port]
            both = await asyncio.gather(*(_answers(port or 0, b"system.id\r\n", 0.9) for port in ports))
        assert both == [
            [b"system.id=VN-V685U(127.0.0.1/24)&200 OK\r\n"],
            [b"system.id=VN-V686U(127.0.0.1/24)&200 OK\r\n"],
        ]

    run(story())


def test_anything_else_is_not_answered() -> None:
    async def story() -> None:
        async with Simulator(small(search_port=0)) as simulator:
            assert simulator.search_port
            answers = await asyncio.gather(
                *(_answers(simulator.search_port, said, 0.8) for said in (b"system.id", b"", b"hello\r\n"))
            )
        assert answers == [[], [], []]

    run(story())

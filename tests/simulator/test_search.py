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


def test_a_search_is_answered_once_within_seven_tenths_of_a_second_and_nothing_else_is() -> None:
    async def story() -> None:
        async with Simulator([small(search_port=0), small(search_port=0, model="VN-V686U", seed=7)]) as simulator:
            first, second = (simulator.ports(camera)[2] or 0 for camera in simulator.cameras)
            answers = await asyncio.gather(
                _answers(first, b"system.id\r\n", 0.9),
                _answers(second, b"system.id\r\n", 0.9),
                *(_answers(first, said, 0.9) for said in (b"system.id", b"", b"hello\r\n", b"system.id\r\n\r\n")),
            )
        assert answers == [
            [b"system.id=VN-V685U(127.0.0.1/24)&200 OK\r\n"],
            [b"system.id=VN-V686U(127.0.0.1/24)&200 OK\r\n"],
            [],
            [],
            [],
            [],
        ]

    run(story())

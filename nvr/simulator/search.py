"""The answer to a UDP search (guide 3, fact sheet 3)."""

import asyncio
import socket
from typing import Final

from nvr.simulator.camera import Camera

_REQUEST: Final = b"system.id\r\n"
_LONGEST_WAIT_S: Final = 0.7
_MOST_WAITING: Final = 64  # answers; a flood of questions gets no more
_PREFIX_BITS: Final = 24
_ANY: Final = ("0.0.0.0", "")  # noqa: S104 - compared with, not bound to


class SearchDoor(asyncio.DatagramProtocol):
    """The search port of one camera. `run` answers until cancelled."""

    def __init__(self, camera: Camera, port: int) -> None:
        """Raises OSError where the port cannot be had."""
        self._camera = camera
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((camera.options.host, port))
        self.port: int = self._socket.getsockname()[1]
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)
        self._transport = transport
        try:
            await asyncio.Event().wait()
        finally:
            transport.close()

    def close(self) -> None:
        """Gives the port back where it never ran."""
        if self._transport is None:
            self._socket.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == _REQUEST and self._waiting < _MOST_WAITING:
            self._waiting += 1
            wait_s = self._camera.chance.uniform(0, _LONGEST_WAIT_S)
            asyncio.get_running_loop().call_later(wait_s, self._answer, addr)

    def _answer(self, client: tuple[str, int]) -> None:
        self._waiting -= 1
        if self._transport is not None and not self._transport.is_closing():
            model, address = self._camera.options.model, self._own_address(client)
            self._transport.sendto(f"system.id={model}({address}/{_PREFIX_BITS})&200 OK\r\n".encode("ascii"), client)

    def _own_address(self, client: tuple[str, int]) -> str:
        """The address this camera is reached by from there."""
        if self._camera.options.host not in _ANY:
            return self._camera.options.host
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(client)
            return str(probe.getsockname()[0])

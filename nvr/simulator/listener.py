"""A listening port that can be closed and opened again while its connections go on."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

_MOST_CONNECTIONS: Final = 256
_BACKLOG: Final = 128

Serve = Callable[[socket.socket, str], Awaitable[None]]
"""Serves one connection; the socket is closed by whoever holds it last."""


class Listener:
    """One TCP port. Opened at once, so that its number is known; `run` accepts."""

    def __init__(self, host: str, port: int, serve: Serve, name: str) -> None:
        """Raises OSError where the port cannot be had."""
        self._host = host
        self._serve = serve
        self._name = name
        self._socket: socket.socket | None = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._reopened = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Accepts until cancelled; a bug in serving one connection ends it."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._accept_while_open(group)
                    self._reopened.clear()
                    await self._reopened.wait()
        finally:
            self.close()

    def refuse(self) -> None:
        """Stops listening: the next client is refused by the kernel."""
        self.close()

    def listen(self) -> None:
        """Listens again on the same port; nothing where it does. Raises OSError where somebody else took it."""
        if self._socket is None:
            self._socket = _bound(self._host, self.port)
            self._reopened.set()

    async def _accept_while_open(self, group: asyncio.TaskGroup) -> None:
        while self._socket is not None:
            self._accepting = group.create_task(self._accept(self._socket, group), name=f"accept {self._name}")
            await asyncio.wait((self._accepting,))

    async def _accept(self, listening: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        with listening:  # closed by its own task: the loop must have let go of the descriptor before
            while True:
                sock, address = await loop.sock_accept(listening)
                sock.setblocking(False)
                if len(self._connections) >= _MOST_CONNECTIONS:
                    sock.close()
                    continue
                task = group.create_task(self._one(sock, address[0]), name=f"{self._name} from {address[0]}")
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)

    async def _one(self, sock: socket.socket, client: str) -> None:
        try:
            await self._serve(sock, client)
        except OSError:  # the client went away: it is the one to know why
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    def close(self) -> None:
        """Gives the port back."""
        listening, self._socket = self._socket, None
        if self._accepting is not None and not self._accepting.done():
            self._accepting.cancel()
        elif listening is not None:
            listening.close()


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.create_server((host, port), backlog=_BACKLOG)
    sock.setblocking(False)
    return sock

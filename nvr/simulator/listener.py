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
        self._is_open = True
        self._changed = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Accepts until cancelled. A bug in serving one connection ends it, and so does somebody else's taking of the
        port (OSError) while it was refused."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                if self._is_open:
                    listening, self._socket = self._socket or _bound(self._host, self.port), None
                    accept = self._accept(listening, group)
                    self._accepting = group.create_task(accept, name=f"accept {self._name}")
                    await asyncio.wait((self._accepting,))
                else:
                    await self._changed.wait()

    def refuse(self) -> None:
        """Stops listening: the next client is refused by the kernel. Connections go on."""
        self._is_open = False
        self.close()

    def listen(self) -> None:
        """Listens again on the same port."""
        self._is_open = True
        self._changed.set()

    def move(self, host: str, port: int) -> None:
        """Listens at another address or port from now on, unless it is refused. Connections go on."""
        if (host, port) == (self._host, self.port):
            return
        self._host, self.port = host, port
        self.close()
        self._changed.set()

    def close(self) -> None:
        """Gives the port back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._accepting is not None:
            self._accepting.cancel()

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


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.create_server((host, port), backlog=_BACKLOG)
    sock.setblocking(False)
    return sock

"""One exchange over a connected socket: a bounded request in, a whole answer out."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from nvr.simulator.http import MAX_HEAD, BadRequest, Request, answer, page, parse

_REQUEST_S: Final = 10.0
_HELD_S: Final = 3600.0  # a connection that a fault leaves without an answer


async def read_request(sock: socket.socket) -> Request | None:
    """Reads a request's head; None where the client closed without one. Raises BadRequest, also after 10 s."""
    loop = asyncio.get_running_loop()
    head = bytearray()
    try:
        async with asyncio.timeout(_REQUEST_S):
            while b"\r\n\r\n" not in head:
                more = await loop.sock_recv(sock, MAX_HEAD)
                if not more:
                    return None
                head += more
                if len(head) > MAX_HEAD:
                    raise BadRequest(f"a request head longer than {MAX_HEAD} bytes")
    except TimeoutError:
        raise BadRequest(f"no whole request head within {_REQUEST_S:g} s") from None
    return parse(bytes(head[: head.index(b"\r\n\r\n")]))


async def send(sock: socket.socket, data: bytes) -> None:
    """Sends a whole answer and closes; gives up on a client that does not read it."""
    with sock, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REQUEST_S):
            await asyncio.get_running_loop().sock_sendall(sock, data)


async def exchange(sock: socket.socket, of: Callable[[Request], Awaitable[bytes]]) -> None:
    """Reads a request, sends its answer, closes."""
    try:
        request = await read_request(sock)
    except BadRequest as trouble:
        body = page("400 Bad Request", str(trouble))
        await send(sock, answer(400, "Bad Request", "nvr simulator", "text/html", body))
        return
    if request is None:
        sock.close()
    else:
        await send(sock, await of(request))


async def hold(sock: socket.socket) -> None:
    """Keeps the connection and says nothing, until the client has enough."""
    with sock, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HELD_S):
            while await asyncio.get_running_loop().sock_recv(sock, MAX_HEAD):
                pass

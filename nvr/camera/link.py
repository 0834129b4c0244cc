"""One TCP connection to a camera.

All links of the process read into one buffer, whose bytes are valid only inside the call that brings them: whoever
listens copies what it keeps, and does all its work in that call. Trouble in it never reaches the loop; it is stored and
ends the link.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from struct import Struct
from typing import Final, Protocol, cast

from nvr.camera.errors import CannotConnect, LinkError, LinkLost, LinkStalled

Address = tuple[str, int]
"""Host (name or number) and TCP port."""

# Two seconds of 2 Mbit/s; what is more is read in several goes. One for the whole process, since a buffer for each
# camera costs memory and a fresh one for each read costs the kernel's time (asyncio's plain Protocol).
_BUFFER: Final = memoryview(bytearray(512 << 10))
_MOST_DRAINED: Final = 1 << 20

_SO_TIMESTAMPNS: Final = 35
"""The kernel says when it received what is read (socket(7), Linux 4.14 for TCP); Python has no name for it."""
_TIMESPEC: Final = Struct("@ll")
_ROOM_FOR_TIME: Final = socket.CMSG_SPACE(_TIMESPEC.size)

_KEEPALIVE_IDLE_S: Final = 20  # well below the 10 minutes after which the alarm port gives a link up (guide 4.2)
_KEEPALIVE_INTERVAL_S: Final = 5
_KEEPALIVE_PROBES: Final = 3
_UNACKNOWLEDGED_MS: Final = 20_000


class Listener(Protocol):
    """Who a link is for. Both are called in the loop; what they raise ends the link and comes out of `Link.ended`."""

    def take(self, data: memoryview) -> None:
        """The next bytes; valid only until this returns."""
        ...

    def at_end(self) -> LinkError:
        """The camera closed the connection: what does that mean after what came before?"""
        ...


@contextmanager
def translated(kinds: Mapping[type[Exception], type[LinkError]], doing: str) -> Iterator[None]:
    """Raises what is named in `kinds`, most special first, as its LinkError; `doing` says what was being done."""
    try:
        yield
    except tuple(kinds) as trouble:
        kind = next(kind for foreign, kind in kinds.items() if isinstance(trouble, foreign))
        raise kind(f"{doing}: {_words(trouble)}") from trouble


class Link(asyncio.BufferedProtocol):
    """One connection; may be connected once."""

    def __init__(self, listener: Listener) -> None:
        self.low_water = 1
        """Bytes the kernel collects before it wakes us."""
        self.waited_us = 0
        """How long ago the newest of the bytes in hand came, as the kernel says; 0 while it wakes us."""
        self.tells_waiting = True
        """The kernel says so, until it did not."""
        self._listener = listener
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._trouble: Exception | None = None
        self._connecting: asyncio.Timeout | None = None
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._is_taking = False

    async def connect(self, address: Address, within_s: float) -> None:
        """Tries each address of the host in turn. Returns without a connection where `end` was called meanwhile.

        Raises CannotConnect.
        """
        doing = f"connecting to {address[0]} port {address[1]}"
        with translated({OSError: CannotConnect, UnicodeError: CannotConnect}, doing):
            try:
                async with asyncio.timeout(within_s) as self._connecting:
                    await self._connect(address)
            except TimeoutError as late:
                if not self._ended.done():
                    raise TimeoutError(f"no answer in {within_s:g} s") from late
            finally:
                self._connecting = None
        if self._ended.done() and self._transport is not None:
            self._transport.abort()

    def send(self, data: bytes) -> None:
        """Sends as the socket takes it; a link that has ended sends nothing."""
        if self._transport is not None and not self._ended.done():
            self._transport.write(data)

    async def ended(self) -> None:
        """Waits until the link has ended. Raises the first trouble; returns where `end` was called without any."""
        await asyncio.shield(self._ended)
        if self._trouble is not None:
            raise self._trouble

    def when_ended(self, call: Callable[[Exception | None], None]) -> None:
        """Has `call` told, in the loop, once the link has ended: the first trouble, None where there was none."""
        self._ended.add_done_callback(lambda _: call(self._trouble))

    def end(self, trouble: Exception | None = None) -> None:
        """Ends the link now; only the first call counts, since later trouble is only its consequence."""
        if self._ended.done():
            return
        self._trouble = trouble
        self._ended.set_result(None)
        if self._connecting is not None:
            if not self._connecting.expired():
                # In the past: `connect` gives up at once. uvloop loses sockets that are aborted before it has returned.
                self._connecting.reschedule(0)
        elif self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Ends the link and waits until its socket is closed; safe at any time."""
        self.end()
        if self._transport is not None:
            await asyncio.shield(self._closed)

    def set_low_water(self, least_bytes: int) -> None:
        """Wakes us only once this many bytes have come (or the end); lowering it wakes at once for what is there."""
        if least_bytes != self.low_water and self._socket is not None and not self._ended.done():
            self.low_water = least_bytes
            self.guarded(self._socket.setsockopt, socket.SOL_SOCKET, socket.SO_RCVLOWAT, least_bytes)

    def drain(self, *, all_of_it: bool = True) -> None:
        """Takes what the kernel holds for us now, whatever the low-water mark.

        Without `all_of_it` a read that does not fill the buffer is the last, which saves asking again: what came in the
        same moment is taken the next time.
        """
        if not self._is_taking:  # the buffer is in use: we are called by our own listener
            self.guarded(self._drain, all_of_it)

    def guarded(self, step: Callable[..., None], *arguments: object) -> None:
        """Calls a step of this link's work; what it raises ends the link instead of reaching the loop."""
        try:
            step(*arguments)
        except Exception as trouble:  # noqa: BLE001 - the loop can do nothing with it; `ended` raises it to the owner
            self.end(trouble)

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self._ended.done():
            return
        self._is_taking = True
        try:
            self._listener.take(_BUFFER[:nbytes])
        except Exception as trouble:  # noqa: BLE001 - one camera's trouble must not reach the loop that all share
            self.end(trouble)
        finally:
            self._is_taking = False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self.end(self._meaning_of(exc))
        if not self._closed.done():
            self._closed.set_result(None)

    def _meaning_of(self, loss: Exception | None) -> Exception:
        if isinstance(loss, TimeoutError):
            return LinkStalled("the camera no longer answers: its connection timed out")
        if isinstance(loss, OSError) and not isinstance(loss, ConnectionResetError | BrokenPipeError):
            return LinkLost(f"the connection was lost: {_words(loss)}")
        return loss if loss is not None and not isinstance(loss, OSError) else self._listener.at_end()

    async def _connect(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        # The loop's own create_connection hides its socket; draining it needs the real one.
        self._socket = sock = await _dial(loop, address)
        try:
            await loop.create_connection(lambda: self, sock=sock)
        except BaseException:
            self._transport = None  # the loop has closed it, and uvloop does not say so by `connection_lost`
            sock.close()
            raise

    def _drain(self, all_of_it: bool) -> None:
        drained = 0
        while self._socket is not None and drained < _MOST_DRAINED and not self._ended.done():
            try:
                received, beside, _, _ = self._socket.recvmsg_into([_BUFFER], _ROOM_FOR_TIME)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as loss:
                self.end(self._meaning_of(loss))
                return
            if received == 0:  # the end; the loop will see it too
                return
            drained += received
            self.waited_us = self._waited_us(beside)
            self.buffer_updated(received)
            self.waited_us = 0
            if received < len(_BUFFER) and not all_of_it:
                return

    def _waited_us(self, beside: list[tuple[int, int, bytes]]) -> int:
        for level, kind, data in beside:
            if (level, kind, len(data)) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS, _TIMESPEC.size):
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                ago_us: int = (time.time_ns() - seconds * 1_000_000_000 - nanoseconds) // 1000
                return max(0, ago_us)
        self.tells_waiting = False
        return 0


async def _dial(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    """A connected socket. Raises the last address's OSError where none answers."""
    host, port = address
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    trouble: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, where in found:
        sock = socket.socket(family, kind, protocol)
        try:
            _prepare(sock)
            await loop.sock_connect(sock, where)
        except OSError as no:
            sock.close()
            trouble = no
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise trouble


def _prepare(sock: socket.socket) -> None:
    """A camera that lost its power says nothing: without these the kernel would wait for hours."""
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
    with suppress(OSError):  # an old kernel: then it wakes us for all that comes
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def _words(trouble: Exception) -> str:
    """What the system says, without its number; the kind where it says nothing."""
    if isinstance(trouble, OSError) and trouble.errno is not None:
        # asyncio puts its own words into strerror; those of a failed name look-up have numbers below 0.
        return os.strerror(trouble.errno) if trouble.errno > 0 else str(trouble.strerror)
    return str(trouble) or type(trouble).__name__

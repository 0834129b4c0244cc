"""Listening for HTTP inside the daemon's loop: starts at once, stops within a second, and waits for nobody for ever.

uvicorn's h11 protocol does the HTTP. Its server is left out: that one takes the process's signals, wakes ten times a
second, and leaves a client that sends half a head alone for as long as it likes.
"""

import asyncio
import contextlib
import errno
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import h11
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from nvr.web.address import short_address
from nvr.web.caller import caller_of

_HEAD_S: Final = 10.0  # for the whole head of a request, from its first byte or the connection's begin
_EXCHANGE_S: Final = 60.0  # for body and answer together: the largest answer is some 100 kB
_IDLE_S: Final = 90.0  # between requests; Prometheus asks each 15 to 60 s and keeps its connection
_HEAD_BYTES: Final = 16 << 10
_CONNECTIONS: Final = 64  # a daemon's own tools and a scraper or two take five
_STOP_S: Final = 0.5  # for answers under way when stopping; then the connection is cut
_CUT_S: Final = 0.2  # for handlers to notice that their client is gone
_SOCKET_MODE: Final = 0o660


class CannotListen(OSError):
    """The address cannot be had. `str()` is one sentence for a person."""

    def __str__(self) -> str:
        return str(self.args[0])


class Serving:
    """An app that is being served. Ends by `stop`, or as an async context manager."""

    def __init__(self, app: ASGIApp, *, idle_s: float = _IDLE_S, head_s: float = _HEAD_S) -> None:
        self.head_s = head_s
        self.exchange_s = _EXCHANGE_S
        self.idle_s = idle_s
        self.port = 0
        """The TCP port in use; 0 on a Unix socket."""
        self._state = ServerState()
        self._config = Config(
            app,
            http=_GuardedHttp,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # nobody is believed to be somebody else
            server_header=False,
            date_header=False,
            h11_max_incomplete_event_size=_HEAD_BYTES,
            timeout_keep_alive=int(idle_s) + 1,  # the guard's own deadline comes first
        )
        self._config.load()
        self._server: asyncio.Server | None = None
        self._unix: tuple[Path, int] | None = None

    async def listen(self, listener: socket.socket) -> None:
        """Begin to answer on a bound socket, which is owned from here on."""
        loop = asyncio.get_running_loop()
        if listener.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._protocol, sock=listener)
        else:
            self._server = await loop.create_server(self._protocol, sock=listener)
            self.port = listener.getsockname()[1]

    def forget_when_stopped(self, path: Path) -> None:
        """Remove this socket at the end, unless somebody else's has taken its name by then."""
        self._unix = (path, path.lstat().st_ino)

    async def stop(self) -> None:
        """No new connections; idle ones end now, answers under way have half a second. May be called again."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for connection in list(self._state.connections):
            with contextlib.suppress(h11.LocalProtocolError):  # already broken: it is aborted below
                connection.shutdown()
        await self._answered(_STOP_S)
        for connection in list(self._state.connections):
            connection.transport.abort()
        await self._answered(_CUT_S)
        for task in list(self._state.tasks):
            task.cancel()
        self._forget_socket()

    async def _answered(self, within_s: float) -> None:
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=within_s)
        else:
            await asyncio.sleep(0)  # an aborted transport tells its protocol in the next turn of the loop

    def _forget_socket(self) -> None:
        if self._unix is None:
            return
        path, inode = self._unix
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_ino == inode:
                path.unlink()

    def _protocol(self) -> "_GuardedHttp":
        return _GuardedHttp(self._config, self._state, {}, serving=self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def serve(
    app: ASGIApp,
    *,
    unix: Path | None = None,
    tcp: tuple[str, int] | None = None,
    idle_s: float = _IDLE_S,
    head_s: float = _HEAD_S,
) -> Serving:
    """Serve `app` in the running loop on one address; it answers when this returns. Raises CannotListen.

    On a Unix socket whoever its owner and group are may connect (mode 0660). A socket left there by a daemon that died
    is replaced: call this only under the lock that keeps a second daemon out. A file that is no socket is left alone.
    """
    serving = Serving(app, idle_s=idle_s, head_s=head_s)
    if unix is not None:
        await serving.listen(_bound_unix(unix))
        serving.forget_when_stopped(unix)
    elif tcp is not None:
        await serving.listen(_bound_tcp(*tcp))
    else:
        raise ValueError("say where to listen: unix or tcp")
    return serving


def _bound_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise CannotListen(f"cannot listen on {path}: there is a file of that name that is no socket")
            path.unlink()
        with short_address(path) as address:
            listener.bind(address)
        path.chmod(_SOCKET_MODE)  # nobody can connect before listen(), so no other mode was ever in force
        listener.listen(_CONNECTIONS)
    except CannotListen:
        listener.close()
        raise
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {path}: {_reason(error)}") from None
    listener.setblocking(False)
    return listener


def _bound_tcp(host: str, port: int) -> socket.socket:
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"cannot listen on {shown}: {_reason(error)}") from None
    try:
        # Without it a restart within a minute finds its own last connections in its way (tcp(7), TIME_WAIT).
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {shown}: {_reason(error)}") from None
    listener.setblocking(False)
    return listener


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another program has this port; stop that program or choose another port"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address"
        case errno.EACCES:
            return "permission denied; ports below 1024 and foreign folders need more rights"
        case _:
            return (error.strerror or str(error)).lower()


class _GuardedHttp(H11Protocol):
    """One connection, always with a deadline: for the head, for body and answer, or for being idle."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        serving: Serving,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._serving = serving
        self._phase = ""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        super().connection_made(transport)
        self.app_state = {"caller": caller_of(transport)}
        if len(self.connections) > _CONNECTIONS:
            transport.abort()
        else:
            self._enter("head", self._serving.head_s)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer a head that is nonsense; hang up on a body that is, since its request is being answered already."""
        if self.conn.our_state is h11.IDLE:
            super().send_400_response(msg)
            return
        self.cycle.disconnected = True
        self.transport.abort()

    def on_response_complete(self) -> None:
        self._phase = ""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Which phase it is in; a deadline begins anew only with a new phase, never with another byte."""
        if self.transport.is_closing():
            return
        if self.conn.their_state is not h11.IDLE or self.conn.our_state is not h11.IDLE:
            self._enter("exchange", self._serving.exchange_s)
        elif self._phase == "head" or self.conn.trailing_data[0]:
            self._enter("head", self._serving.head_s)
        else:
            self._enter("idle", self._serving.idle_s)

    def _enter(self, phase: str, seconds: float) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

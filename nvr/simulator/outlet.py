"""A client's socket as the camera sees it: takes what the kernel takes, keeps a bounded rest, knows what went out."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

_TICK_S: Final = 0.05  # how often a slow link moves
_LINGER_S: Final = 2.0  # a client that reads nothing more does not keep an ended connection for longer
_ECHO_BYTES: Final = 4096


class Outlet:
    """The sending half of one connection. The caller bounds `backlog` by not writing while it is too much."""

    def __init__(self, sock: socket.socket, on_progress: Callable[[], None], on_end: Callable[[], None]) -> None:
        """`on_progress`: more bytes were taken by the kernel. `on_end`: the connection is over, called once."""
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._on_progress = on_progress
        self._on_end = on_end
        self._waiting = bytearray()
        self._slow_bytes_s: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watching = False
        self._finishing = False
        self.closed = False
        self.written = 0
        """Bytes ever given to `write`."""
        self.out = 0
        """Bytes ever taken by the kernel."""
        self._loop.add_reader(sock, self._on_readable)

    @property
    def backlog(self) -> int:
        """Bytes the kernel has not taken yet."""
        return len(self._waiting)

    def write(self, *pieces: bytes) -> None:
        """Sends them, or keeps what the kernel will not take now; nothing after the end."""
        if self.closed or self._finishing:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.written += len(data)
        if self._waiting or self._slow_bytes_s is not None:
            self._waiting += data
            self._wait()
            return
        taken = self._offer(data)
        if taken < len(data) and not self.closed:
            self._waiting += memoryview(data)[taken:]
            self._wait()

    def slow_down(self, bytes_s: int | None) -> None:
        """From now on so many bytes a second, or as many as the network takes."""
        if bytes_s != self._slow_bytes_s and not self.closed:
            self._slow_bytes_s = bytes_s
            self._stop_waiting()
            if self._waiting:
                self._wait()

    def finish(self) -> None:
        """Closes in order once everything written is out, or after two seconds."""
        if self.closed or self._finishing:
            return
        self._finishing = True
        if not self._waiting:
            self.abort()
        else:
            self._loop.call_later(_LINGER_S, self.abort)

    def abort(self, *, reset: bool = False) -> None:
        """Closes at once; with `reset` the client sees a reset instead of an end."""
        if self.closed:
            return
        self.closed = True
        self._stop_waiting()
        self._loop.remove_reader(self._sock)
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        self._on_end()

    def _offer(self, data: bytes | memoryview) -> int:
        try:
            taken = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # the client is gone: nothing to answer, the stream just ends
            self.abort()
            return 0
        self.out += taken
        return taken

    def _on_readable(self) -> None:
        """A client that streams says nothing more; the end of its side ends the stream (guide 2.1, step 5)."""
        try:
            said = self._sock.recv(_ECHO_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            said = b""
        if not said:
            self.abort()

    def _wait(self) -> None:
        if self._watching or self.closed:
            return
        self._watching = True
        if self._slow_bytes_s is None:
            self._loop.add_writer(self._sock, self._drain, 1 << 20)
        else:
            self._timer = self._loop.call_later(_TICK_S, self._trickle)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif self._watching:
            self._loop.remove_writer(self._sock)
        self._watching = False

    def _trickle(self) -> None:
        self._timer = None
        self._watching = False
        if self._slow_bytes_s is not None:
            self._drain(max(1, round(self._slow_bytes_s * _TICK_S)))
        if self._waiting:
            self._wait()

    def _drain(self, most: int) -> None:
        with memoryview(self._waiting) as all_of_it, all_of_it[:most] as piece:
            taken = self._offer(piece)
        if self.closed:
            return
        del self._waiting[:taken]
        if not self._waiting:
            self._stop_waiting()
        self._on_progress()
        if self._finishing and not self._waiting:
            self.abort()

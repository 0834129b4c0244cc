"""What lies around the daemon: simulated cameras, and devices that are none, alive in a thread of their own."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Event, Thread
from typing import Any, Final, ParamSpec, TypeVar

from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions
from nvr.simulator.server import Simulator
from nvr.simulator.truth import SentVop

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE_S: Final = 60.0


class World:
    """One thread with a loop, in which everything that a recorder may connect to lives."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="world")
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; everything in it must have ended."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()

    def do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls in the loop, where cameras may be touched; what it answers."""

        async def done() -> T:
            return call(*args, **kwargs)

        return self._run(done())

    @contextmanager
    def cameras(self, options: Sequence[CameraOptions], *, loop_s: float = 0.0) -> Iterator[Simulator]:
        """Simulated cameras, serving during the block."""
        with self.alive(lambda: Simulator(options, loop_s=loop_s)) as simulator:
            yield simulator

    @contextmanager
    def cutter(self, port: int, seed: int) -> Iterator[int]:
        """A way to 127.0.0.1:port on which every byte arrives, cut anew at random; its own port."""
        with self.alive(lambda: _cutting(port, random.Random(seed))) as own:
            yield own

    @contextmanager
    def stalling(self, port: int, every_s: float, for_s: float) -> Iterator[int]:
        """A way to 127.0.0.1:port that stands still for so long, again and again; its own port."""
        with self.alive(lambda: _stalling(port, every_s, for_s)) as own:
            yield own

    @contextmanager
    def answering(self, with_bytes: bytes) -> Iterator[int]:
        """A device that answers every request with these bytes and closes; with none it says nothing for ever."""
        with self.alive(lambda: _answering(with_bytes)) as port:
            yield port

    @contextmanager
    def flooding(self, port: int, bits_per_s: float) -> Iterator[int]:
        """A way to the camera at that port whose first connection repeats what it got, so many bits a second."""
        with self.alive(lambda: _flooding(port, bits_per_s)) as own:
            yield own

    @contextmanager
    def alive(self, make: Callable[[], Any]) -> Iterator[Any]:
        """Enters an asynchronous context in a task of its own, and leaves it there at the block's end."""
        begun, ending = Event(), asyncio.Event()
        entered: list[Any] = []

        async def life() -> None:
            try:
                async with make() as value:
                    entered.append(value)
                    begun.set()
                    await ending.wait()
            finally:
                begun.set()

        task = asyncio.run_coroutine_threadsafe(life(), self._loop)
        try:
            assert begun.wait(_PATIENCE_S), "what was to live did not begin"
            if not entered:
                task.result(_PATIENCE_S)
            yield entered[0]
        finally:
            self._loop.call_soon_threadsafe(ending.set)
            task.result(_PATIENCE_S)

    def sent(self, camera: Camera) -> list[SentVop]:
        """What was due to the camera's clients so far."""
        return self.do(lambda: camera.sent)

    def _run(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_PATIENCE_S)


def closed_port() -> int:
    """A port on which nobody listens, and which the kernel gives to no connection meanwhile (32768 and above)."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _listening(serve: _Serve) -> AsyncIterator[int]:
    """A port that serves until the block ends; connections are ended with it."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the block ends; asyncio's streams would report a cancelled task as an error
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def _cutting(port: int, chance: random.Random) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        camera_reader, camera_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            camera_writer.write(await reader.readuntil(b"\r\n\r\n"))
            gone = asyncio.ensure_future(reader.read())
            try:
                await _pass_on_cut(camera_reader, writer, chance, gone)
            finally:
                gone.cancel()
        finally:
            camera_writer.transport.abort()

    async with _listening(serve) as own:
        yield own


async def _pass_on_cut(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random, gone: "asyncio.Future[bytes]"
) -> None:
    while not gone.done() and (data := await reader.read(1 << 16)):
        at = 0
        while at < len(data):
            size = chance.choice((1, 2, 3, chance.randrange(4, 64), chance.randrange(64, 6000)))
            if writer.is_closing():
                return
            writer.write(data[at : at + size])
            at += size
            # A pause now and then, so that the cuts are those of the reader's reads as well.
            await asyncio.sleep(0.001 if chance.random() < 0.3 else 0)
        await writer.drain()


@asynccontextmanager
async def _stalling(port: int, every_s: float, for_s: float) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        camera_reader, camera_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            camera_writer.write(await reader.readuntil(b"\r\n\r\n"))
            stall_s = loop.time() + every_s
            while data := await camera_reader.read(1 << 16):
                if loop.time() >= stall_s:
                    await asyncio.sleep(for_s)
                    stall_s = loop.time() + every_s
                writer.write(data)
                await writer.drain()
        finally:
            camera_writer.transport.abort()

    async with _listening(serve) as own:
        yield own


@asynccontextmanager
async def _answering(with_bytes: bytes) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not with_bytes:
            await reader.read()
            return
        await reader.readuntil(b"\r\n\r\n")
        writer.write(with_bytes)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with _listening(serve) as port:
        yield port


@asynccontextmanager
async def _flooding(port: int, bits_per_s: float) -> AsyncIterator[int]:
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        floods = served == 1
        camera_reader, camera_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            camera_writer.write(await reader.readuntil(b"\r\n\r\n"))
            if floods:
                await _repeat(camera_reader, writer, bits_per_s)
            while data := await camera_reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            camera_writer.transport.abort()

    async with _listening(serve) as own:
        yield own


async def _repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bits_per_s: float) -> None:
    """The answer's head, then whole parts as they come from the camera, each again and again."""
    loop = asyncio.get_running_loop()
    writer.write(await reader.readuntil(b"\r\n\r\n"))
    await reader.readuntil(b"--foo\r\n")
    rest, begun_s, written = b"", loop.time(), 0
    while data := await reader.read(1 << 16):
        *parts, rest = (rest + data).split(b"--foo\r\n")
        for part in parts:
            due = int((loop.time() - begun_s) * bits_per_s / 8) - written
            again = b"".join([b"--foo\r\n" + part] * max(1, due // max(1, len(part))))
            written += len(again)
            writer.write(again)
            await writer.drain()

"""A peer on 127.0.0.1 that says what a test wants, and the loops a link must live on.

Only for what no camera of this family would say or do; a camera's own ways are the simulator's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from fractions import Fraction
from functools import cache
from typing import Any

import av
import uvloop

from nvr.camera.pace import Patience

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

HASTY = Patience(
    connect_s=2.0, head_s=0.4, silence_s=0.4, picture_s=0.6, flood_s=0.3, flood_bits_per_s=24e6, tick_s=0.05
)
"""The deadlines of a test: long enough for a busy machine, short enough to wait for."""

WITHIN_S = 20.0

ANSWER = b"HTTP/1.1 200 OK\r\nServer: JVC VN-V685 Network Camera\r\nContent-Type: video/mp4v-es\r\n\r\n"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(loop: str, story: Coroutine[Any, Any, None]) -> None:
    """Runs a test's story to its end, on one of the loops and bounded in time; what the loop complains of fails it."""
    complaints: list[dict[str, Any]] = []

    async def bounded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(WITHIN_S):
            await story

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(bounded())
    assert complaints == []


@asynccontextmanager
async def peer(talk: Talk) -> AsyncIterator[tuple[str, int]]:
    """The address of a server that has this talk with everybody who connects, then closes."""
    talks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the link has had enough, or the story is over
        except RuntimeError:  # uvloop's word for writing to a link that has had enough
            if not writer.is_closing():
                raise
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2]
        for task in talks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, talks))


def saying(*pieces: bytes, then: str = "close", pause_s: float = 0.0) -> Talk:
    """A talk: hears the request, says the pieces, then closes, waits for the other side, or resets the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if then == "wait":
            await reader.read()
        elif then == "reset":
            await asyncio.sleep(0.05)
            writer.transport.abort()

    return talk


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what must come about; the story's own deadline bounds it."""
    while not condition():  # noqa: ASYNC110 - nobody is told when the kernel or a timer has done it
        await asyncio.sleep(0.005)


@cache
def pictures(count: int = 60) -> list[bytes]:
    """A stream of this many small pictures, 30 a second, an I-VOP with its headers every tenth; one item each."""
    encoder = av.CodecContext.create("mpeg4", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.gop_size, encoder.max_b_frames = 10, 0
    packets = []
    for number in range(count):
        picture = av.VideoFrame(64, 48, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes((number * 7 + at * at) % 251 for at in range(plane.buffer_size)))
        picture.pts, picture.time_base = number, Fraction(1, 30)
        packets += encoder.encode(picture)
    return [bytes(packet) for packet in packets + encoder.encode(None)]


def part(data: bytes, position: str = "0 0 0") -> bytes:
    """One part as the guide prints it (2.1)."""
    pan, tilt, zoom = position.split()
    return (
        (
            f"--foo\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
            f"X-Puls-Pan: {pan}\r\nX-Puls-Tilt: {tilt}\r\nX-Posi-Zoom: {zoom}\r\n\r\n"
        ).encode()
        + data
        + b"\r\n"
    )

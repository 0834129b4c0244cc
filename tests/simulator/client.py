"""A client as the guide describes one, strict where the fact sheet is sure: independent of nvr's own parsers."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import av

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.scene import read_counter
from nvr.simulator.server import Simulator
from nvr.simulator.truth import SentVop

T = TypeVar("T")

SMALL = EncodeSettings(frame_size="qvga", frame_rate=Fraction(60), i_interval=10, bitrate_bps=800_000)
"""A stream that costs a test little time: QVGA, twice the pictures a camera makes, an I-VOP every sixth of a second."""

VOP = b"\x00\x00\x01\xb6"
_ANY_START = re.compile(rb"\x00\x00\x01([\x20-\x2f\xb0-\xb6])", re.DOTALL)


def run(what: Coroutine[Any, Any, T]) -> T:
    """Runs a test's story, at most 20 s."""
    return asyncio.run(asyncio.wait_for(what, 20))


@dataclass(frozen=True)
class Part:
    headers: dict[str, str]
    body: bytes

    @property
    def position(self) -> tuple[int, int, int]:
        return int(self.headers["X-Puls-Pan"]), int(self.headers["X-Puls-Tilt"]), int(self.headers["X-Posi-Zoom"])


@dataclass(frozen=True)
class Answer:
    status: str
    headers: dict[str, str]
    body: bytes
    closed: bool
    """The camera ended the connection."""


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.raw = b""
        self.closed = False
        self.reset = False

    async def read(self, seconds: float) -> None:
        """Reads what comes in that time, or to the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.read_to_end()

    async def read_to_end(self) -> None:
        while not self.closed:
            try:
                data = await self.reader.read(65_536)
            except ConnectionError:
                self.reset = self.closed = True
                return
            self.raw += data
            self.closed = not data

    async def read_until_vops(self, count: int) -> None:
        """Reads until so many VOPs have begun, or the end."""
        await self.read_until(VOP, count)

    async def read_until(self, what: bytes, count: int) -> None:
        """Reads until that came so often, or the end."""
        while self.raw.count(what) < count and not self.closed:
            data = await self.reader.read(65_536)
            self.raw += data
            self.closed = not data

    @property
    def answer(self) -> Answer:
        head, _, body = self.raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").replace("\r\n ", " ").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        return Answer(status, headers, body, self.closed)


@contextlib.asynccontextmanager
async def connected(port: int, said: bytes = b"") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = Client(reader, writer)
    try:
        writer.write(said)
        yield client
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: camera", *headers, "", "")).encode()


def watching(
    simulator: Simulator, *, ptz: bool = True, camera: int = 0
) -> contextlib.AbstractAsyncContextManager[Client]:
    """A video connection."""
    port = simulator.ports(simulator.cameras[camera])[0]
    return connected(port, request(f"/api/video?encode=mpeg4&ptz_info={'on' if ptz else 'off'}"))


async def asked(port: int, path: str, *headers: str) -> Answer:
    """One request and its whole answer."""
    async with connected(port, request(path, *headers)) as client:
        await client.read_to_end()
        return client.answer


def small(**options: Any) -> CameraOptions:
    """A camera for a test."""
    return CameraOptions(**{"encode": SMALL, "keep_bytes": True, **options})


def whole_parts(body: bytes, delimiter: str = "--foo", *, crlf: bool = True) -> list[Part]:
    """The parts of a multipart body exactly as fact sheet 1.3 draws them; a part cut at the end is left out."""
    parts: list[Part] = []
    at = 0
    opening = f"{delimiter}\r\n".encode()
    while True:
        head_end = body.find(b"\r\n\r\n", at)
        if head_end < 0:
            return parts
        assert body.startswith(opening, at), body[at : at + 40]
        lines = body[at + len(opening) : head_end].decode("ascii").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        start = head_end + 4
        end = start + int(headers["Content-Length"])
        if len(body) < end + 2 * crlf:
            return parts
        if crlf:
            assert body[end : end + 2] == b"\r\n"
        parts.append(Part(headers, body[start:end]))
        at = end + 2 * crlf


def start_codes(data: bytes) -> list[int]:
    """The last bytes of the start codes in it, in order."""
    return [match[1][0] for match in _ANY_START.finditer(data)]


def cut_units(stream: bytes) -> list[bytes]:
    """The elementary stream, a unit per VOP: each ends where the next header or VOP begins. The last is left out."""
    units = []
    begin = 0
    had_vop = False
    for match in _ANY_START.finditer(stream):
        # User data ends in NULs, so a zero before a start code belongs to what stands before.
        if had_vop:
            units.append(stream[begin : match.start()])
            begin, had_vop = match.start(), False
        had_vop = match[1] == b"\xb6"
    return units


def decoded(units: list[bytes]) -> list[tuple[int, int] | None]:
    """What the strips say, one for each unit; fails where the decoder finds the slightest error."""
    codec = av.CodecContext.create("mpeg4", "r")
    assert isinstance(codec, av.VideoCodecContext)
    codec.options = {
        "err_detect": "explode+crccheck+bitstream+buffer+careful+compliant+aggressive",
        "flags": "low_delay",
    }
    codec.thread_count = 1
    said = []
    for unit in units:
        packet = av.Packet(len(unit))
        packet.update(unit)
        for frame in codec.decode(packet):
            assert not frame.is_corrupt
            luma = frame.planes[0]
            said.append(read_counter(bytes(luma), frame.width, frame.height, luma.line_size))
    return said


def from_key(records: list[SentVop]) -> list[SentVop]:
    """The records from the first I-VOP on."""
    first = next(at for at, record in enumerate(records) if record.key)
    return records[first:]

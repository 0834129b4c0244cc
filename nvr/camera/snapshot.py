"""JPEGs of a camera, one or one after the other: asked for, received, and what the camera says in them (guide 1)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from nvr.camera.answers import host_line, judge
from nvr.camera.errors import CameraBusy, LinkError, LinkLost, LinkStalled, NotACamera
from nvr.camera.link import Address, Link
from nvr.jvc import jpeg
from nvr.jvc.answer import StreamHead
from nvr.jvc.errors import ProtocolError
from nvr.jvc.jpeg import JpegParser, PictureFacts

_CONNECT_S: Final = 5.0
_PICTURE_S: Final = 10.0  # 100 kB (guide 6.3) over a modem line


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One picture, as the camera made it."""

    data: bytes
    """The JPEG file, byte for byte."""
    facts: PictureFacts
    """What the camera says in it."""


class Pictures:
    """A camera's pictures as they come, to be iterated until the link ends, which is a LinkError, or `end`.

    Whoever is slower than the camera gets the newest; those between are dropped, so that nothing piles up.
    """

    def __init__(self, within_s: float, late: Callable[[], str]) -> None:
        """`late` says what is missing where no picture comes `within_s` after it was asked for."""
        self.came = 0
        self.dropped = 0
        """Of those that came: a newer one came before anybody asked."""
        self.lost = 0
        """Those of which the network lost a part."""
        self._within_s = within_s
        self._late = late
        self._newest: bytes | None = None
        self._news = asyncio.Event()
        self._has_ended = False
        self._trouble: Exception | None = None

    def offer(self, data: bytes) -> None:
        """The next picture has come."""
        self.came += 1
        self.dropped += self._newest is not None
        self._newest = data
        self._news.set()

    def end(self, trouble: Exception | None = None) -> None:
        """No more come; what has come may still be taken. Only the first call counts."""
        if not self._has_ended:
            self._has_ended, self._trouble = True, trouble
            self._news.set()

    def __aiter__(self) -> AsyncIterator[Snapshot]:
        return self

    async def __anext__(self) -> Snapshot:
        """The newest picture that was not taken yet. Raises the LinkError that says why there is none."""
        try:
            async with asyncio.timeout(self._within_s):
                while self._newest is None and not self._has_ended:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise LinkStalled(self._late()) from None
        if self._newest is not None:
            data, self._newest = self._newest, None
            return Snapshot(data, jpeg.facts(data))
        if self._trouble is not None:
            raise self._trouble
        raise StopAsyncIteration


async def snapshot(address: Address, *, connect_s: float = _CONNECT_S, picture_s: float = _PICTURE_S) -> Snapshot:
    """One picture of now; no login is needed. Raises the LinkError that says why there is none."""
    async with view(address, jpeg.ONE, connect_s=connect_s, picture_s=picture_s) as pictures:
        return await anext(pictures)


@asynccontextmanager
async def view(
    address: Address,
    rate: str,
    *,
    boundary: bool = True,
    connect_s: float = _CONNECT_S,
    picture_s: float = _PICTURE_S,
) -> AsyncIterator[Pictures]:
    """Pictures from now on, at one of `jpeg.RATES`; no login is needed. Raises LinkError.

    `picture_s`: how much later than that rate has it a picture may come. Without `boundary` files come back to back.
    """
    within_s = jpeg.interval_s(rate) + picture_s
    pictures = Pictures(within_s, lambda: f"the camera has not sent a whole JPEG in {within_s:g} s")
    link = Link(_Ear(pictures))
    link.when_ended(pictures.end)
    try:
        await link.connect(address, connect_s)
        link.send(jpeg.request(host_line(address), rate, boundary=boundary))
        yield pictures
    finally:
        await link.close()


class _Ear:
    """Who the link is for."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._parser = JpegParser()
        self._head: StreamHead | None = None

    def take(self, data: memoryview) -> None:
        try:
            for event in self._parser.feed(data):
                if isinstance(event, StreamHead):
                    self._head = event
                    judge(event, "JPEG")
                else:
                    self._pictures.offer(event.data)
            if self._parser.trouble is not None:
                raise self._parser.trouble
        except ProtocolError as broken:
            kind = LinkLost if self._head is not None else NotACamera
            raise kind(f"the camera's JPEG cannot be read: {broken}") from broken

    def at_end(self) -> LinkError:
        if self._head is None:
            return CameraBusy("the camera closed without an answer: too many clients, or not serving this address")
        where = self._parser.cut or ("after a picture" if self._pictures.came else "without a JPEG")
        return LinkLost(f"the camera closed the connection {where}")

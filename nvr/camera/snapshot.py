"""One JPEG of a camera: asked for, received, and what the camera says in it (guide 1)."""

import asyncio
from dataclasses import dataclass
from typing import Final

from nvr.camera.answers import host_line, judge
from nvr.camera.errors import CameraBusy, LinkError, LinkLost, LinkStalled, NotACamera
from nvr.camera.link import Address, Link
from nvr.jvc import jpeg
from nvr.jvc.answer import StreamHead
from nvr.jvc.errors import ProtocolError
from nvr.jvc.jpeg import JpegParser, Picture, PictureFacts

_CONNECT_S: Final = 5.0
_PICTURE_S: Final = 10.0  # 100 kB (guide 6.3) over a modem line


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One picture, as the camera made it."""

    data: bytes
    """The JPEG file, byte for byte."""
    facts: PictureFacts
    """What the camera says in it."""


async def snapshot(address: Address, *, connect_s: float = _CONNECT_S, picture_s: float = _PICTURE_S) -> Snapshot:
    """One picture of now; no login is needed. Raises the LinkError that says why there is none."""
    ear = _Ear()
    link = ear.link = Link(ear)
    try:
        await link.connect(address, connect_s)
        link.send(jpeg.request(host_line(address)))
        try:
            async with asyncio.timeout(picture_s):
                await link.ended()
        except TimeoutError:
            raise LinkStalled(f"the camera has not sent a whole JPEG in {picture_s:g} s") from None
    finally:
        await link.close()
    if ear.picture is None:
        raise LinkLost("the connection ended without a JPEG")
    return Snapshot(ear.picture.data, jpeg.facts(ear.picture.data))


class _Ear:
    """Who the link is for: it ends with the first picture."""

    def __init__(self) -> None:
        self.picture: Picture | None = None
        self.link: Link | None = None
        self._parser = JpegParser()
        self._head: StreamHead | None = None

    def take(self, data: memoryview) -> None:
        try:
            for event in self._parser.feed(data):
                if isinstance(event, StreamHead):
                    self._head = event
                    judge(event, "JPEG")
                elif self.picture is None:
                    self.picture = event
            if self.picture is None and self._parser.trouble is not None:
                raise self._parser.trouble
        except ProtocolError as broken:
            kind = LinkLost if self._head is not None else NotACamera
            raise kind(f"the camera's JPEG cannot be read: {broken}") from broken
        if self.picture is not None and self.link is not None:
            self.link.end()

    def at_end(self) -> LinkError:
        cut = self._parser.cut
        if self._head is None:
            return CameraBusy("the camera closed without an answer: too many clients, or not serving this address")
        return LinkLost(f"the camera closed the connection {cut or 'without a JPEG'}")

"""A link that is given up at the very moment at which its connection comes about is over at once, on both loops."""

import asyncio
from collections.abc import Callable

import pytest

from nvr.camera.link import Link
from tests.camera.test_link import Ear
from tests.camera.wire import LOOPS, peer, run

pytestmark = pytest.mark.parametrize("loop", LOOPS)


class Told(Link):
    """Calls somebody as its connection stands."""

    def __init__(self, now: Callable[["Told"], object], *, before: bool) -> None:
        super().__init__(Ear())
        self._now = now
        self._before = before

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._before:
            self._now(self)
        super().connection_made(transport)
        if not self._before:
            self._now(self)


async def waiting(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("before", [True, False])
def test_by_its_end(loop: str, before: bool) -> None:
    async def story() -> None:
        async with peer(waiting) as address:
            link = Told(Link.end, before=before)
            async with asyncio.timeout(2):
                await link.connect(address, 2.0)
                await link.ended()
                await link.close()

    run(loop, story())


@pytest.mark.parametrize("before", [True, False])
def test_by_whoever_waits_for_it(loop: str, before: bool) -> None:
    async def story() -> None:
        async def attempt() -> None:
            link = Told(lambda _: task.cancel(), before=before)
            try:
                await link.connect(address, 2.0)
            finally:
                await link.close()

        async with peer(waiting) as address:
            task = asyncio.ensure_future(attempt())
            _, pending = await asyncio.wait((task,), timeout=2)
            task.cancel()
            assert not pending
            assert task.cancelled()

    run(loop, story())


def test_before_it_began(loop: str) -> None:
    async def story() -> None:
        async with peer(waiting) as address:
            link = Link(Ear())
            link.end()
            async with asyncio.timeout(2):
                await link.connect(address, 2.0)
                await link.ended()
                await link.close()

    run(loop, story())

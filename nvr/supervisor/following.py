"""Events as they are entered in the index, for whoever follows them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

from nvr.store.reader import Reader
from nvr.store.rows import Event
from nvr.units import US
from nvr.web.service import NotPossible

_LOOK_S: Final = 0.5
_QUIET_S: Final = 15.0  # what stands between says nothing for a minute to a connection that is silent
_STREAM_S: Final = 50.0  # below what any exchange may last here; the follower asks again and misses nothing
_FOLLOWERS: Final = 16  # each asks the index twice a second
_PAGE: Final = 500


class Following:
    """Lets several follow at once. The index is asked, since whatever enters an event enters it there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._followers = 0

    async def follow(self, after: int | None) -> AsyncIterator[dict[str, Any] | None]:
        """Events by id, from the one after `after` (None: from now on); None now and then while nothing happens."""
        if self._followers >= _FOLLOWERS:
            raise NotPossible(f"{_FOLLOWERS} follow already")
        self._followers += 1
        try:
            async for event in self._events(after):
                yield event
        finally:
            self._followers -= 1

    async def _events(self, after: int | None) -> AsyncIterator[dict[str, Any] | None]:
        loop = asyncio.get_running_loop()
        seen = await asyncio.to_thread(self._reader.newest_event) if after is None else after
        ends_s = loop.time() + _STREAM_S
        yield None  # so that the head of the answer goes out now
        told_s = loop.time()
        while loop.time() < ends_s:
            for event in await asyncio.to_thread(self._reader.events_after, seen, _PAGE):
                yield _facts(event)
                seen, told_s = event.id, loop.time()
            if loop.time() - told_s >= _QUIET_S:
                yield None
                told_s = loop.time()
            await asyncio.sleep(_LOOK_S)


def _facts(event: Event) -> dict[str, Any]:
    at = datetime.fromtimestamp(event.at_us // US, UTC)
    return {
        "id": event.id,
        "at": f"{at:%Y-%m-%dT%H:%M:%S}.{event.at_us % US:06d}Z",
        "camera": event.camera,
        "kind": event.kind,
        "text": event.text,
        "facts": event.facts,
    }

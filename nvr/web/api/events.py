"""Events as they happen, as server-sent events."""

import json
from collections.abc import AsyncIterator

from nvr.web.service import Service


async def follow(service: Service, after: int | None) -> AsyncIterator[str]:
    """Events as they happen, from the one after Last-Event-ID on, or from now on.

    A stream ends after some time; whoever wants to follow asks again with the id of the last event it has seen, as
    browsers do by themselves.
    """
    async for event in service.follow(after):
        if event is None:
            yield ": nothing new\n\n"
        else:
            yield f"id: {event['id']}\nevent: {event['kind']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"

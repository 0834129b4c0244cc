"""Events as they happen, as server-sent events."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Header
from starlette.responses import StreamingResponse

from nvr.web.service import Service


async def follow(
    service: Service, after: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, lt=1 << 63)] = None
) -> StreamingResponse:
    """Events as they happen, from the one after Last-Event-ID on, or from now on.

    A stream ends after some time; whoever wants to follow asks again with the id of the last event it has seen, as
    browsers do by themselves.
    """
    events = service.follow(after)
    first = await anext(events)  # waited for: what is wrong with the question is an answer of its own

    async def told() -> AsyncIterator[str]:
        yield _told(first)
        async for event in events:
            yield _told(event)

    return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _told(event: dict[str, Any] | None) -> str:
    if event is None:
        return ": nothing new\n\n"
    return f"id: {event['id']}\nevent: {event['kind']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"

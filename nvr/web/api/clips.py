"""Keeping clips from being deleted."""

from typing import Annotated, Any

from pydantic import Field

from nvr.web.body import Body
from nvr.web.service import Service


class Lock(Body):
    """Which clip, and whether it is to be locked from now on."""

    clip: Annotated[int, Field(ge=1, le=(1 << 63) - 1)]
    locked: bool


async def lock(service: Service, asked: Lock) -> dict[str, Any]:
    """Lock or unlock a clip; its state then."""
    return await service.lock_clip(asked.clip, asked.locked)

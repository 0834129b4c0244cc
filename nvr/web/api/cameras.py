"""What is about to be done to a camera, and by whom does not matter."""

from typing import Annotated, Any

from pydantic import Field

from nvr.web.body import Body
from nvr.web.service import Service


class Restart(Body):
    """Which camera, and for about how long it will be away."""

    camera: Annotated[str, Field(min_length=1, max_length=32)]
    seconds: Annotated[float, Field(gt=0, le=3600)]


async def restart(service: Service, asked: Restart) -> dict[str, Any]:
    """A camera is about to restart: not a gap, but off as planned."""
    return service.planned_restart(asked.camera, asked.seconds)

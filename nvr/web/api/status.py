"""How the daemon and its cameras are."""

from typing import Any

from nvr.web.service import Service


async def status(service: Service) -> dict[str, Any]:
    """Every camera and every volume as they are now."""
    return service.status()


async def live(service: Service) -> dict[str, Any]:
    """The segments being written now, by camera."""
    return service.live()

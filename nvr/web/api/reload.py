"""Reading the configuration again."""

from typing import Any

from nvr.web.service import Service


async def reload(service: Service) -> dict[str, Any]:
    """Read the configuration again, and change only what changed in it."""
    return await service.reload()

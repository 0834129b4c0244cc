"""Reading the configuration again."""

from collections.abc import Awaitable
from typing import Any

from nvr.web.service import Service


def reload(service: Service) -> Awaitable[dict[str, Any]]:
    """Read the configuration again, and change only what changed in it."""
    return service.reload()

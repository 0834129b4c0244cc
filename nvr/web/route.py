"""What a route is: there is none without a permission."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Permission(StrEnum):
    """What a caller must be allowed to do."""

    VIEW = "view"
    OPERATE = "operate"
    ADMIN = "admin"


EVERYTHING: Final = frozenset(Permission)
"""For the Unix socket: whoever its mode and owner let in may do all."""

Handler = Callable[..., Awaitable[Any]]
"""A coroutine function (any other FastAPI would call in a thread), called with the service.

What else it takes, a body or a header, FastAPI reads from its signature; what it answers is sent as it is.
"""


@dataclass(frozen=True, slots=True)
class Path:
    """One thing that can be asked. Its handler's docstring says what for."""

    method: str
    path: str
    permission: Permission
    handler: Handler
    streams: bool = False
    """Its handler answers with a stream of server-sent events."""

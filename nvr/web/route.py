"""What a route is: there is none without a permission."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from nvr.web.body import Body


class Permission(StrEnum):
    """What a caller must be allowed to do."""

    VIEW = "view"
    OPERATE = "operate"
    ADMIN = "admin"


EVERYTHING: Final = frozenset(Permission)
"""For the Unix socket: whoever its mode and owner let in may do all."""

Handler = Callable[..., Any]
"""Called with the service and, where its path takes one, the body; what it answers may be awaited."""


@dataclass(frozen=True, slots=True)
class Path:
    """One thing that can be asked. Its handler's docstring says what for."""

    method: str
    path: str
    permission: Permission
    handler: Handler
    body: type[Body] | None = None
    """What a request must bring as JSON; None where no body is looked at."""
    streams: bool = False
    """It answers server-sent events: its handler is called with the service and the id of the last event seen."""

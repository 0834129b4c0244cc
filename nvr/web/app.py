"""The JSON API of the daemon: one table of routes, one mapping of errors, deny by default."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nvr.store.errors import DiskFull, IndexDamaged, StoreBusy, VolumeMissing
from nvr.web.api import clips, reload, status, trigger
from nvr.web.body import BadBody, Body, read
from nvr.web.service import NotPossible, NotThere, NotValid, Service

log = logging.getLogger(__name__)


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
    """One thing that can be asked: there is no route without a permission."""

    method: str
    path: str
    permission: Permission
    handler: Handler
    body: type[Body] | None = None
    """What a request must bring as JSON; None where no body is looked at."""


ROUTES: Final = (
    Path("GET", "/api/v1/status", Permission.VIEW, status.status),
    Path("GET", "/api/v1/live", Permission.VIEW, status.live),
    Path("POST", "/api/v1/trigger", Permission.OPERATE, trigger.trigger, body=trigger.Trigger),
    Path("POST", "/api/v1/reload", Permission.ADMIN, reload.reload),
    Path("POST", "/api/v1/clips/lock", Permission.OPERATE, clips.lock, body=clips.Lock),
)

_STATUS_OF: Final[Mapping[type[Exception], int]] = {
    NotThere: 404,
    NotPossible: 409,
    NotValid: 422,
    VolumeMissing: 503,
    IndexDamaged: 503,
    StoreBusy: 503,
    DiskFull: 507,
}
"""What an error means to a caller. Anything else is a bug of ours, and 500."""


def build(
    service: Service, allowed: frozenset[Permission] = EVERYTHING, routes: tuple[Path, ...] = ROUTES
) -> Starlette:
    """The API over this service, for callers who are allowed that much."""
    app = Starlette(
        routes=[Route(path.path, _endpoint(path, service, allowed), methods=[path.method]) for path in routes],
        exception_handlers={HTTPException: _http_error},
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(path: Path, service: Service, allowed: frozenset[Permission]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if path.permission not in allowed:
            return error_answer(403, f"this needs the permission '{path.permission}'")
        try:
            asked = () if path.body is None else (await read(request, path.body),)
            said = path.handler(service, *asked)
            return JSONResponse(await said if inspect.isawaitable(said) else said)
        except BadBody as error:
            return error_answer(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - the one place where errors become answers
            return _failure(error, request)

    return answer


def _failure(error: Exception, request: Request) -> Response:
    for kind, code in _STATUS_OF.items():
        if isinstance(error, kind):
            return error_answer(code, str(error))
    log.error("a request failed unexpectedly", extra={"path": request.url.path}, exc_info=error)
    return error_answer(500, "this failed inside nvr, which is a bug; the daemon's log has the details")


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    sentences = {404: "there is no such path", 405: "this path does not take that method"}
    return error_answer(error.status_code, sentences.get(error.status_code, error.detail), error.headers)


def error_answer(code: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Every error looks like this: {"error": "one sentence"}."""
    return JSONResponse({"error": sentence}, code, dict(headers or {}))

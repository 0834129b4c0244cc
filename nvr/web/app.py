"""The JSON API of the daemon: one table of routes, one mapping of errors, deny by default."""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from nvr.store.errors import DiskFull, IndexDamaged, StoreBusy, VolumeMissing
from nvr.web.api import cameras, clips, events, index, reload, status, trigger
from nvr.web.body import BadBody, read
from nvr.web.caller import Caller
from nvr.web.openapi import document
from nvr.web.route import EVERYTHING, Path, Permission
from nvr.web.service import NotPossible, NotThere, NotValid, Service

__all__ = ["DESCRIPTION", "EVERYTHING", "ROUTES", "Path", "Permission", "build", "error_answer"]

log = logging.getLogger(__name__)

DESCRIPTION: Final = "/api/v1/openapi.json"
"""Where the API describes itself."""


ROUTES: Final = (
    Path("GET", "/api/v1/status", Permission.VIEW, status.status),
    Path("GET", "/api/v1/live", Permission.VIEW, status.live),
    Path("GET", "/api/v1/events/stream", Permission.VIEW, events.follow, streams=True),
    Path("POST", "/api/v1/trigger", Permission.OPERATE, trigger.trigger, body=trigger.Trigger),
    Path("POST", "/api/v1/reload", Permission.ADMIN, reload.reload),
    Path("POST", "/api/v1/camera/restart", Permission.ADMIN, cameras.restart, body=cameras.Restart),
    Path("POST", "/api/v1/clips/lock", Permission.OPERATE, clips.lock, body=clips.Lock),
    Path("POST", "/api/v1/index/repair", Permission.ADMIN, index.repair, body=index.Repair),
)

_DIGITS: Final = 18  # of an id; SQLite's have 63 bits
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

    def describe(_: Service) -> dict[str, Any]:
        """This description."""
        return document(routes)

    routes = (*routes, Path("GET", DESCRIPTION, Permission.VIEW, describe))
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
            if path.streams:
                return await _streamed(path.handler(service, _last_seen(request)))
            asked = () if path.body is None else (await read(request, path.body),)
            if path.permission is not Permission.VIEW:
                _note_order(path, request)
            said = path.handler(service, *asked)
            return JSONResponse(await said if inspect.isawaitable(said) else said)
        except BadBody as error:
            return error_answer(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - the one place where errors become answers
            return _failure(error, request)

    return answer


def _note_order(path: Path, request: Request) -> None:
    """Who asked for something to be done."""
    caller = getattr(request.state, "caller", None)
    by = {"uid": caller.uid, "pid": caller.pid} if isinstance(caller, Caller) else {}
    log.info("asked by a user", extra={"action": "order", "path": path.path, **by})


def _last_seen(request: Request) -> int | None:
    said = request.headers.get("last-event-id", "")
    if not said:
        return None
    if not said.isascii() or not said.isdecimal() or len(said) > _DIGITS:
        raise BadBody(422, "Last-Event-ID is no id of an event")
    return int(said)


async def _streamed(events: AsyncIterator[str]) -> Response:
    """The first is waited for: what is wrong with the question is an answer of its own."""
    first = await anext(events)

    async def all_of_them() -> AsyncIterator[str]:
        yield first
        async for event in events:
            yield event

    return StreamingResponse(all_of_them(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


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

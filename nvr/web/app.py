"""The JSON API of the daemon: one table of routes, one mapping of errors, deny by default."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from inspect import getdoc
from typing import Annotated, Any, Final

from fastapi import FastAPI
from fastapi.datastructures import Default
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from nvr import __version__
from nvr.store.errors import DiskFull, IndexDamaged, StoreBusy, VolumeMissing
from nvr.web.api import cameras, clips, events, index, reload, status, trigger
from nvr.web.body import sentence, with_json
from nvr.web.caller import Caller
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
    Path("POST", "/api/v1/trigger", Permission.OPERATE, trigger.trigger),
    Path("POST", "/api/v1/reload", Permission.ADMIN, reload.reload),
    Path("POST", "/api/v1/camera/restart", Permission.ADMIN, cameras.restart),
    Path("POST", "/api/v1/clips/lock", Permission.OPERATE, clips.lock),
    Path("POST", "/api/v1/index/repair", Permission.ADMIN, index.repair),
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


class Error(BaseModel):
    """Why it was not done."""

    error: Annotated[str, Field(description="One sentence for people.")]


_NOT_DONE: Final = {"model": Error, "description": "Not done; the sentence says why."}
_EVENTS: Final = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}


def build(service: Service, allowed: frozenset[Permission] = EVERYTHING, routes: tuple[Path, ...] = ROUTES) -> FastAPI:
    """The API over this service, for callers who are allowed that much."""

    async def describe(_: Service) -> dict[str, Any]:
        """This description."""
        return app.openapi()

    app = FastAPI(
        title="nvr",
        version=__version__,
        description="The recording daemon over its Unix socket. Times are ISO 8601 UTC with microseconds.",
        openapi_url=None,  # the description is a path of the table, and its pages would load from a foreign server
        redirect_slashes=False,
        # Or the environment could have what is asked here sent elsewhere.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        exception_handlers={HTTPException: _http_error, RequestValidationError: _wrong_form},
    )
    app.add_middleware(_HeadAsGet)
    for path in (*routes, Path("GET", DESCRIPTION, Permission.VIEW, describe)):
        app.router.routes.append(_Guarded(path, service, allowed))
    return app


class _Guarded(APIRoute):
    """A path of the table as FastAPI serves it: asks first whether it may, and has an answer to every error."""

    def __init__(self, path: Path, service: Service, allowed: frozenset[Permission]) -> None:
        self._permission = path.permission
        self._allowed = allowed
        summary, *more = (getdoc(path.handler) or "").split("\n\n")
        super().__init__(
            path.path,
            partial(path.handler, service),
            methods=[path.method],
            operation_id=f"{path.method.lower()}{path.path.removeprefix('/api/v1').replace('/', '_')}",
            summary=" ".join(summary.split()),
            description="\n\n".join([*more, f"Needs the permission '{path.permission}'."]),
            response_description="Done.",
            response_model=Any,  # written as JSON at once; without it FastAPI copies every answer first
            response_class=StreamingResponse if path.streams else Default(JSONResponse),
            responses={"default": _NOT_DONE} | ({200: _EVENTS} if path.streams else {}),
            openapi_extra={"x-permission": path.permission.value},
        )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's, guarded."""
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await answer(await self._admitted(request))
            except (HTTPException, RequestValidationError):
                raise
            except Exception as error:  # noqa: BLE001 - the one place where errors become answers
                return _failure(error, request)

        return guarded

    async def _admitted(self, request: Request) -> Request:
        """The request, with its body read if it needs one. Raises HTTPException where it may not be asked so."""
        if self._permission not in self._allowed:
            raise HTTPException(403, f"this needs the permission '{self._permission}'")
        if self.body_field is not None:
            request = await with_json(request)
        if self._permission is not Permission.VIEW:
            _note_order(request)
        return request


class _HeadAsGet:
    """HEAD asks what GET would answer; the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "method": "GET"} if scope["method"] == "HEAD" else scope, receive, send)


def _note_order(request: Request) -> None:
    """Who asked for something to be done, whether or not it can be."""
    caller = getattr(request.state, "caller", None)
    by = {"uid": caller.uid, "pid": caller.pid} if isinstance(caller, Caller) else {}
    log.info("asked by a user", extra={"action": "order", "path": request.scope["path"], **by})


def _failure(error: Exception, request: Request) -> Response:
    for kind, code in _STATUS_OF.items():
        if isinstance(error, kind):
            return error_answer(code, str(error))
    log.error("a request failed unexpectedly", extra={"path": request.scope["path"]}, exc_info=error)
    return error_answer(500, "this failed inside nvr, which is a bug; the daemon's log has the details")


async def _http_error(_request: Request, error: HTTPException) -> Response:
    sentences = {404: "there is no such path", 405: "this path does not take that method"}
    return error_answer(error.status_code, sentences.get(error.status_code, error.detail), error.headers)


async def _wrong_form(_request: Request, error: RequestValidationError) -> Response:
    return error_answer(422, sentence(error))


def error_answer(code: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Every error looks like this: {"error": "one sentence"}."""
    return JSONResponse({"error": sentence}, code, dict(headers or {}))

"""The API's own description (OpenAPI 3.1), made from the table of routes: what it says is what is served.

FastAPI would make it too, for 12 MB of a process that runs for years (measured: 30 against 41 MB after the imports);
pydantic, which reads the bodies, makes their schemas, and the rest is this file.
"""

from collections.abc import Iterable
from inspect import getdoc
from typing import Any, Final

from nvr import __version__
from nvr.web.route import Path

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "One sentence for people."}},
}
_SCHEMAS: Final = "#/components/schemas/"


def document(routes: Iterable[Path]) -> dict[str, Any]:
    """Everything that can be asked of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Error": _ERROR}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
        if route.body is not None:
            schema = route.body.model_json_schema(ref_template=_SCHEMAS + "{model}")
            schemas |= schema.pop("$defs", {})
            schemas[route.body.__name__] = schema
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nvr",
            "version": __version__,
            "description": "The recording daemon over its Unix socket. Times are ISO 8601 UTC with microseconds.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(route: Path) -> dict[str, Any]:
    said = (getdoc(route.handler) or "").split("\n\n")
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{route.path.removeprefix('/api/v1').replace('/', '_')}",
        "summary": " ".join(said[0].split()),
        "x-permission": route.permission.value,
        "responses": {
            "200": {"description": "Done.", "content": {_kind(route): {}}},
            "default": {
                "description": "Not done; the sentence says why.",
                "content": {"application/json": {"schema": {"$ref": _SCHEMAS + "Error"}}},
            },
        },
    }
    if len(said) > 1:
        operation["description"] = " ".join(said[1].split())
    if route.body is not None:
        schema = {"$ref": _SCHEMAS + route.body.__name__}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if route.streams:
        operation["parameters"] = [{"name": "Last-Event-ID", "in": "header", "schema": {"type": "integer"}}]
    return operation


def _kind(route: Path) -> str:
    return "text/event-stream" if route.streams else "application/json"

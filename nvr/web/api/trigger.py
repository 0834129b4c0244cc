"""Raising an alarm by hand."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from nvr.web.body import Body
from nvr.web.service import Service


def _one_line(note: str) -> str:
    if not note.isprintable():  # it stands in lists, logs and notices, one line each
        raise ValueError("must be one line without control characters")
    return note


class Trigger(Body):
    """At which camera, and what for."""

    camera: Annotated[str, Field(min_length=1, max_length=32)]
    note: Annotated[str, Field(max_length=500), AfterValidator(_one_line)] | None = None


async def trigger(service: Service, asked: Trigger) -> dict[str, Any]:
    """Raise a manual alarm; its clip."""
    return service.trigger(asked.camera, asked.note)

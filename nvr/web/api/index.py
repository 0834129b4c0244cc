"""Mending what a check of index and files found."""

from typing import Annotated, Any

from pydantic import Field

from nvr.store.check import Finding, Kind
from nvr.web.body import Body
from nvr.web.service import Service


class Repair(Body):
    """What was found, as `nvr db check --json` tells it."""

    kind: Annotated[Kind, Field(strict=False)]  # a word is all that JSON has for it
    volume: Annotated[str, Field(max_length=100)] | None = None
    path: Annotated[str, Field(max_length=1000)] | None = None
    row: Annotated[int, Field(ge=1, le=(1 << 63) - 1)] | None = None


async def repair(service: Service, asked: Repair) -> dict[str, Any]:
    """Mend it, if it is still so."""
    return await service.repair(Finding(asked.kind, "", asked.volume, asked.path, asked.row))

"""/metrics for Prometheus, some metrics at a time so that recording never waits for it; beside it /healthz, /readyz."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from nvr.metrics import Metrics

_SAMPLES_AT_ONCE: Final = 200  # half a millisecond of work between two turns of the loop


def build(metrics: Metrics, unready: Callable[[], str | None] = lambda: None) -> Starlette:
    """An app that answers GET /metrics, /healthz (the loop turns) and /readyz, and nothing else.

    `unready` says why nothing can be recorded now; None where it can.
    """

    async def answer(_request: Request) -> Response:
        return Response(await render(metrics), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        reason = unready()
        return PlainTextResponse("ok\n") if reason is None else PlainTextResponse(f"{reason}\n", 503)

    async def elsewhere(_request: Request) -> Response:
        return PlainTextResponse("nvr's metrics are at /metrics\n", 404)

    return Starlette(
        routes=[
            Route("/metrics", answer),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/{path:path}", elsewhere),
        ]
    )


async def render(metrics: Metrics) -> bytes:
    """All metrics in Prometheus' text format.

    With 50 cameras that is 16 ms of work, of which the loop is given back now and then (4 ms for the largest metric).
    """
    page: list[bytes] = []
    some = _Some()
    for family in metrics.collect():
        some.families.append(family)
        if some.samples >= _SAMPLES_AT_ONCE:
            page.append(generate_latest(some))
            some = _Some()
            await asyncio.sleep(0)
    page.append(generate_latest(some))
    return b"".join(page)


class _Some(Collector):
    """A registry of some metrics."""

    def __init__(self) -> None:
        self.families: list[Metric] = []

    @property
    def samples(self) -> int:
        return sum(len(family.samples) for family in self.families)

    def collect(self) -> Iterator[Metric]:
        yield from self.families

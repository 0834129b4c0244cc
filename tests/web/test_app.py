"""The daemon's JSON API: what it answers, who may ask, and how every error looks."""

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from nvr.store.errors import DiskFull, IndexDamaged, VolumeMissing
from nvr.web import metrics as metrics_app
from nvr.web.app import EVERYTHING, ROUTES, Permission, build
from nvr.web.app import Path as ApiPath
from nvr.web.listening import serve


class Answers:
    """A daemon with little to say."""

    def status(self) -> dict[str, Any]:
        return {"version": "1.2.3", "cameras": [], "volumes": []}

    def live(self) -> dict[str, Any]:
        return {"gate": [{"path": "/a/b.mp4.part", "run": 1}]}


class Fails(Answers):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def status(self) -> dict[str, Any]:
        raise self.error


def asked(app: Any, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Ask over a real socket; status, headers, body."""

    async def main() -> bytes:
        async with await serve(app, tcp=("127.0.0.1", 0)) as serving:
            reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: nvr\r\nConnection: close\r\n\r\n".encode())
            said = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return said

    head, _, body = asyncio.run(main()).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


def test_status_and_live_segments_are_answered_as_json() -> None:
    code, headers, body = asked(build(Answers()), "/api/v1/status")
    assert (code, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == {"version": "1.2.3", "cameras": [], "volumes": []}
    code, _, body = asked(build(Answers()), "/api/v1/live")
    assert json.loads(body) == {"gate": [{"path": "/a/b.mp4.part", "run": 1}]}


def test_every_route_names_its_permission_and_refuses_who_has_it_not() -> None:
    assert len(ROUTES) == len({(route.method, route.path) for route in ROUTES})
    app = build(Answers())
    assert {route.path for route in app.routes} == {route.path for route in ROUTES}  # type: ignore[attr-defined]
    for route in ROUTES:
        assert route.permission in Permission
        code, _, body = asked(build(Answers(), EVERYTHING - {route.permission}), route.path, route.method)
        assert (code, json.loads(body)) == (403, {"error": f"this needs the permission '{route.permission}'"})


@pytest.mark.parametrize(
    ("path", "method", "code"),
    [
        ("/", "GET", 404),
        ("/api/v1/status/", "GET", 404),
        ("/api/v1/../../etc/passwd", "GET", 404),
        ("/api/v1/status", "POST", 405),
        ("/api/v1/status", "DELETE", 405),
    ],
)
def test_what_is_not_there_is_a_sentence_too(path: str, method: str, code: int) -> None:
    found, headers, body = asked(build(Answers()), path, method)
    assert found == code
    assert headers["content-type"] == "application/json"
    assert set(json.loads(body)) == {"error"}
    if code == 405:
        assert "get" in headers["allow"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(VolumeMissing("no disk there"), 503), (IndexDamaged("cannot be read"), 503), (DiskFull("no space"), 507)],
)
def test_trouble_of_the_store_has_its_status_and_its_words(error: Exception, code: int) -> None:
    found, _, body = asked(build(Fails(error)), "/api/v1/status")
    assert (found, json.loads(body)) == (code, {"error": str(error)})


def test_a_bug_is_500_without_details_and_logged_once_with_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code, _, body = asked(build(Fails(KeyError("secret"))), "/api/v1/status")
    assert code == 500
    assert b"secret" not in body
    assert b"which is a bug" in body
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.__dict__["path"] == "/api/v1/status"


def test_a_route_of_another_method_is_served_under_that_method_alone() -> None:
    extra: Callable[[Any], Any] = lambda service: {"did": "it"}  # noqa: E731
    app = build(Answers(), routes=(ApiPath("POST", "/api/v1/reload", Permission.ADMIN, extra),))
    assert asked(app, "/api/v1/reload", "POST")[0] == 200
    assert asked(app, "/api/v1/reload", "GET")[0] == 405


def test_metrics_are_at_their_path_and_nowhere_else() -> None:
    from nvr.metrics import Metrics

    counts = Metrics("1.2.3", lambda: 0)
    counts.add_camera("gate").frames = 42
    app = metrics_app.build(counts)
    code, headers, body = asked(app, "/metrics")
    assert (code, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'\nnvr_camera_frames_total{camera="gate"} 42.0\n' in body
    assert asked(app, "/")[0] == 404
    assert b"/metrics" in asked(app, "/anything/else")[2]


def test_what_is_served_a_metric_at_a_time_is_what_would_be_served_at_once() -> None:
    from prometheus_client.exposition import generate_latest

    from nvr.metrics import Metrics

    counts = Metrics("1.2.3", lambda: 0)
    counts.add_camera("gate")
    counts.add_volume("main")

    def ours(text: bytes) -> list[bytes]:
        return [line for line in text.splitlines() if b"nvr_" in line]

    assert ours(asyncio.run(metrics_app.render(counts))) == ours(generate_latest(counts.registry()))


def test_rendering_many_cameras_gives_the_loop_back_between_metrics() -> None:
    from nvr.metrics import HELP, Metrics

    counts = Metrics("1.2.3", lambda: 0)
    for number in range(20):
        counts.add_camera(f"camera-{number}")
    turns = 0

    async def main() -> None:
        nonlocal turns
        done = asyncio.ensure_future(metrics_app.render(counts))
        while not done.done():
            turns += 1
            await asyncio.sleep(0)
        assert await done

    asyncio.run(main())
    assert turns >= len(HELP)


def test_two_daemons_on_one_port_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        from nvr.web.listening import CannotListen

        with pytest.raises(CannotListen, match="another program has this port"):
            asyncio.run(_serve_once(taken.getsockname()[1]))


async def _serve_once(port: int) -> None:
    async with await serve(build(Answers()), tcp=("127.0.0.1", port)):
        pass

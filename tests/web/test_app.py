"""The daemon's JSON API: what it answers, who may ask, and how every error looks."""

import asyncio
import inspect
import json
import logging
import os
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Any

import pytest

from nvr.metrics import Metrics
from nvr.store.check import Finding, Kind
from nvr.store.errors import DiskFull, IndexDamaged, VolumeMissing
from nvr.web import metrics as metrics_app
from nvr.web.app import DESCRIPTION, EVERYTHING, ROUTES, Permission, build
from nvr.web.app import Path as ApiPath
from nvr.web.listening import serve
from nvr.web.service import NotPossible, NotThere, NotValid


class Answers:
    """A daemon with little to say."""

    def status(self) -> dict[str, Any]:
        return {"version": "1.2.3", "cameras": [], "volumes": []}

    def live(self) -> dict[str, Any]:
        return {"gate": [{"path": "/a/b.mp4.part", "run": 1}]}

    async def lock_clip(self, clip: int, locked: bool) -> dict[str, Any]:
        if clip != 7:
            raise NotThere(f"there is no clip {clip}")
        return {"clip": clip, "locked": locked}

    async def repair(self, finding: Finding) -> dict[str, Any]:
        return {"done": "marked as missing" if (finding.kind, finding.row) == (Kind.MISSING, 5) else None}

    def trigger(self, camera: str, note: str | None) -> dict[str, Any]:
        if camera == "gone":
            raise NotThere("there is no camera 'gone'; there are: gate, shed")
        if camera == "shed":
            raise NotPossible("the camera 'shed' is off")
        return {"camera": camera, "clip": 7, "note": note}

    async def reload(self) -> dict[str, Any]:
        raise NotValid("config.toml line 3: unknown key 'hoost'")

    async def follow(self, after: int | None) -> AsyncIterator[dict[str, Any] | None]:
        if after == 99:
            raise NotPossible("16 follow already")
        yield None
        for number in range((after or 0) + 1, 4):
            yield {"id": number, "kind": "fan-failed", "text": "Lüfter\nkaputt"}


class Fails(Answers):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def status(self) -> dict[str, Any]:
        raise self.error


def asked(
    app: Any, path: str, method: str = "GET", body: bytes | None = None, kind: str = "application/json"
) -> tuple[int, dict[str, str], bytes]:
    """Ask over a real socket; status, headers, body."""
    brought = "" if body is None else f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"

    async def main() -> bytes:
        async with await serve(app, tcp=("127.0.0.1", 0)) as serving:
            reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: nvr\r\nConnection: close\r\n{brought}\r\n".encode())
            writer.write(body or b"")
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
    served = {route.path for route in app.routes}  # type: ignore[attr-defined]
    assert served == {route.path for route in ROUTES} | {DESCRIPTION}
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


def test_head_answers_as_get_would_without_the_body() -> None:
    for path in ("/api/v1/status", DESCRIPTION):
        code, headers, body = asked(build(Answers()), path)
        assert asked(build(Answers()), path, "HEAD") == (code, headers, b"")
        assert int(headers["content-length"]) == len(body)
    assert asked(build(Answers()), "/api/v1/reload", "HEAD")[0] == 405


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
    async def extra(_service: Any) -> dict[str, Any]:
        return {"did": "it"}

    app = build(Answers(), routes=(ApiPath("POST", "/api/v1/reload", Permission.ADMIN, extra),))
    assert asked(app, "/api/v1/reload", "POST")[0] == 200
    assert asked(app, "/api/v1/reload", "GET")[0] == 405


def test_a_configuration_that_is_wrong_is_told_as_such() -> None:
    code, _, said = asked(build(Answers()), "/api/v1/reload", "POST")
    assert (code, json.loads(said)) == (422, {"error": "config.toml line 3: unknown key 'hoost'"})


def test_events_come_as_server_sent_events_each_with_its_id_on_one_line() -> None:
    code, headers, body = asked(build(Answers()), "/api/v1/events/stream")
    assert (code, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    told = body.decode().replace("\r\n", "\n")
    assert told.count("\nid: ") == 3
    assert 'data: {"id": 2, "kind": "fan-failed", "text": "Lüfter\\nkaputt"}\n\n' in told
    assert "event: fan-failed\n" in told


@pytest.mark.parametrize(("seen", "code"), [("99", 409), ("-1", 422), ("x", 422), ("9" * 30, 422), ("3", 200)])
def test_who_follows_says_what_it_has_seen(seen: str, code: int) -> None:
    async def main() -> bytes:
        async with await serve(build(Answers()), tcp=("127.0.0.1", 0)) as serving:
            reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
            head = f"GET /api/v1/events/stream HTTP/1.1\r\nHost: nvr\r\nConnection: close\r\nLast-Event-ID: {seen}\r\n"
            writer.write(f"{head}\r\n".encode())
            said = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return said

    said = asyncio.run(main())
    assert said.startswith(f"HTTP/1.1 {code} ".encode())
    assert b"id: " not in said or seen != "3"


def test_the_description_tells_of_every_route_its_permission_its_body_its_answers_and_its_errors() -> None:
    code, _, body = asked(build(Answers()), DESCRIPTION)
    told = json.loads(body)
    assert (code, told["openapi"]) == (200, "3.1.0")
    operations = {
        (method.upper(), path): operation for path, each in told["paths"].items() for method, operation in each.items()
    }
    assert operations.keys() == {(route.method, route.path) for route in ROUTES} | {("GET", DESCRIPTION)}
    for route in ROUTES:
        operation = operations[route.method, route.path]
        assert operation["x-permission"] == route.permission
        assert f"'{route.permission}'" in operation["description"]
        assert len(operation["summary"]) > 10
        (kind,) = operation["responses"]["200"]["content"]
        assert kind == ("text/event-stream" if route.streams else "application/json")
        wrong = operation["responses"]["default"]["content"]
        assert wrong == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        assert operation["responses"].keys() == {"200", "default"}
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    schemas = told["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', body.decode())) == schemas.keys()
    assert schemas["Error"]["required"] == ["error"]
    bodies = {
        path: operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for (_, path), operation in operations.items()
        if "requestBody" in operation
    }
    assert bodies == {
        "/api/v1/trigger": "Trigger",
        "/api/v1/camera/restart": "Restart",
        "/api/v1/clips/lock": "Lock",
        "/api/v1/index/repair": "Repair",
    }
    assert not any(schemas[name]["additionalProperties"] for name in bodies.values())
    assert schemas["Trigger"]["required"] == ["camera"]
    assert "missing" in schemas["Kind"]["enum"]
    (header,) = operations["GET", "/api/v1/events/stream"]["parameters"]
    assert (header["in"], header["name"], header["required"]) == ("header", "Last-Event-ID", False)


def test_every_handler_answers_in_the_daemons_loop_and_not_in_a_thread() -> None:
    assert [route.path for route in ROUTES if not inspect.iscoroutinefunction(route.handler)] == []


def test_only_what_changes_nothing_may_be_seen_by_who_may_only_look() -> None:
    for route in ROUTES:
        assert (route.permission is Permission.VIEW) is (route.method == "GET"), route.path


def test_the_log_says_who_gave_an_order_by_the_kernels_word(
    tmp_path: FilePath, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with await serve(build(Answers()), unix=tmp_path / "nvr.sock"):
            for request in (
                b"GET /api/v1/status HTTP/1.1\r\nHost: nvr\r\n\r\n",
                b"POST /api/v1/trigger HTTP/1.1\r\nHost: nvr\r\nContent-Type: application/json\r\n"
                b'Content-Length: 18\r\nConnection: close\r\n\r\n{"camera": "gate"}',
            ):
                reader, writer = await asyncio.open_unix_connection(str(tmp_path / "nvr.sock"))
                writer.write(request)
                assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200")
                writer.close()

    asyncio.run(main())
    (record,) = [one for one in caplog.records if one.__dict__.get("action") == "order"]
    assert (record.__dict__["path"], record.__dict__["uid"]) == ("/api/v1/trigger", os.getuid())
    assert record.__dict__["pid"] == os.getpid()


@pytest.mark.parametrize(("reason", "code"), [(None, 200), ("volume 'main' has no space", 503)])
def test_whether_it_lives_and_whether_it_can_record_is_told_beside_the_metrics(reason: str | None, code: int) -> None:
    page = metrics_app.build(Metrics("1.2.3", lambda: 0), lambda: reason)
    assert asked(page, "/healthz")[0] == 200
    found, _, body = asked(page, "/readyz")
    assert (found, body.decode().strip()) == (code, reason or "ok")


def posted(body: bytes, kind: str = "application/json") -> tuple[int, Any]:
    code, _, said = asked(build(Answers()), "/api/v1/trigger", "POST", body, kind)
    return code, json.loads(said)


def test_an_alarm_is_raised_by_hand_with_and_without_a_note() -> None:
    assert posted(b'{"camera": "gate"}') == (200, {"camera": "gate", "clip": 7, "note": None})
    note = "Lärm am Tor"
    body = json.dumps({"camera": "gate", "note": note}, ensure_ascii=False).encode()
    assert posted(body, "application/json; charset=utf-8") == (200, {"camera": "gate", "clip": 7, "note": note})


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b'{"clip": 7, "locked": true}', 200, {"clip": 7, "locked": True}),
        (b'{"clip": 7, "locked": false}', 200, {"clip": 7, "locked": False}),
        (b'{"clip": 8, "locked": true}', 404, {"error": "there is no clip 8"}),
        (b'{"clip": 0, "locked": true}', 422, None),
        (b'{"clip": 7, "locked": "yes"}', 422, None),
        (b'{"clip": 7}', 422, None),
    ],
)
def test_a_clip_is_locked_by_its_number(body: bytes, code: int, said: Any) -> None:
    found, _, answered = asked(build(Answers()), "/api/v1/clips/lock", "POST", body)
    assert found == code
    assert said is None or json.loads(answered) == said


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b'{"kind": "missing", "volume": "main", "path": "gate/x.mp4", "row": 5}', 200, {"done": "marked as missing"}),
        (b'{"kind": "unpromised", "volume": "main", "path": "gate/x.mp4"}', 200, {"done": None}),
        (b'{"kind": "ugly"}', 422, None),
        (b'{"kind": "missing", "row": 0}', 422, None),
    ],
)
def test_what_a_check_found_is_mended_if_it_is_so(body: bytes, code: int, said: Any) -> None:
    found, _, answered = asked(build(Answers()), "/api/v1/index/repair", "POST", body)
    assert found == code, answered
    assert said is None or json.loads(answered) == said


def test_who_may_only_look_locks_no_clip() -> None:
    app = build(Answers(), frozenset({Permission.VIEW}))
    assert asked(app, "/api/v1/clips/lock", "POST", b'{"clip": 7, "locked": true}')[0] == 403


@pytest.mark.parametrize(
    ("camera", "code", "sentence"),
    [
        ("gone", 404, "there is no camera 'gone'; there are: gate, shed"),
        ("shed", 409, "the camera 'shed' is off"),
    ],
)
def test_what_is_not_there_or_not_possible_is_told_in_its_own_words(camera: str, code: int, sentence: str) -> None:
    assert posted(json.dumps({"camera": camera}).encode()) == (code, {"error": sentence})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is wrong: invalid JSON"),
        (b"{", "the body is wrong: invalid JSON"),
        (b"\xff\xfe", "the body is wrong: invalid JSON"),
        (b"[" * 60_000, "the body is wrong: invalid JSON"),
        (b'{"camera": ' + b"9" * 5_000 + b"}", "the body is wrong: invalid JSON"),
        (b"[]", "the body is wrong: input should be an object"),
        (b"null", "the body is wrong: input should be an object"),
        (b"{}", "'camera' is wrong: field required"),
        (b'{"camera": 5}', "'camera' is wrong: input should be a valid string"),
        (b'{"camera": ""}', "'camera' is wrong: string should have at least 1 character"),
        (b'{"camera": "' + b"a" * 33 + b'"}', "'camera' is wrong: string should have at most 32 characters"),
        (b'{"camera": "gate", "not\\ne": "x"}', r"'not\ne' is wrong: extra inputs are not permitted"),
        (b'{"camera": "gate", "note": "a\\nb"}', "'note' is wrong: must be one line without control characters"),
        (
            b'{"camera": "gate", "note": "' + b"x" * 501 + b'"}',
            "'note' is wrong: string should have at most 500 characters",
        ),
    ],
)
def test_a_body_of_another_form_is_told_in_one_sentence(body: bytes, sentence: str) -> None:
    code, said = posted(body)
    assert code == 422
    assert said.keys() == {"error"}
    assert said["error"].startswith(sentence)
    assert "\n" not in said["error"]


def test_a_body_must_say_that_it_is_json() -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        code, said = posted(b'{"camera": "gate"}', kind)
        assert (code, said["error"]) == (415, "the body must be JSON, and say so: Content-Type: application/json")


def answer_to_head(app: Any, path: str, length: int) -> tuple[int, Any]:
    """What is answered to the head of an order whose body, of that length, never comes."""

    async def main() -> bytes:
        async with await serve(app, tcp=("127.0.0.1", 0)) as serving:
            reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: nvr\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
            )
            writer.write(f"{head}\r\n".encode())
            said = await asyncio.wait_for(reader.readuntil(b"}"), 10)
            writer.transport.abort()
            return said

    head, _, body = asyncio.run(main()).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    longest = 64 << 10
    said = answer_to_head(build(Answers()), "/api/v1/trigger", longest + 1)
    assert said == (413, {"error": "the body is longer than 64 KiB"})
    order = b'{"camera": "gate"}'
    assert posted(order[:-1] + b" " * (longest - len(order)) + b"}")[0] == 200


def test_who_may_not_give_an_order_is_told_so_before_its_body_is_read() -> None:
    app = build(Answers(), frozenset({Permission.VIEW}))
    assert answer_to_head(app, "/api/v1/trigger", 100) == (403, {"error": "this needs the permission 'operate'"})


def test_a_body_without_an_end_is_refused_as_well() -> None:
    async def main() -> bytes:
        async with await serve(build(Answers()), tcp=("127.0.0.1", 0)) as serving:
            reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
            writer.write(b"POST /api/v1/trigger HTTP/1.1\r\nHost: nvr\r\nContent-Type: application/json\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(5):
                writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            said = await asyncio.wait_for(reader.readuntil(b"KiB"), 10)
            writer.transport.abort()
            return said

    assert asyncio.run(main()).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_breaks_off_is_no_bug_and_raises_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    class Hears(Answers):
        def trigger(self, camera: str, note: str | None) -> dict[str, Any]:
            heard.append(camera)
            return {}

    async def main() -> None:
        async with await serve(build(Hears()), tcp=("127.0.0.1", 0)) as serving:
            _, writer = await asyncio.open_connection("127.0.0.1", serving.port)
            writer.write(b"POST /api/v1/trigger HTTP/1.1\r\nHost: nvr\r\nContent-Type: application/json\r\n")
            writer.write(b'Content-Length: 100\r\n\r\n{"camera": "gate"}')
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
            await asyncio.sleep(0.1)

    asyncio.run(main())
    assert heard == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_handler_may_take_its_time_without_holding_up_the_loop() -> None:
    async def later(_service: Any) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"did": "it"}

    app = build(Answers(), routes=(ApiPath("POST", "/api/v1/slow", Permission.ADMIN, later),))
    code, _, said = asked(app, "/api/v1/slow", "POST")
    assert (code, json.loads(said)) == (200, {"did": "it"})


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


def test_what_is_served_in_pieces_is_what_would_be_served_at_once() -> None:
    from prometheus_client.exposition import generate_latest

    from nvr.metrics import Metrics

    counts = Metrics("1.2.3", lambda: 0)
    counts.add_camera("gate")
    counts.add_volume("main")

    def ours(text: bytes) -> list[bytes]:
        return [line for line in text.splitlines() if b"nvr_" in line]

    assert ours(asyncio.run(metrics_app.render(counts))) == ours(generate_latest(counts.registry()))


def test_rendering_many_cameras_gives_the_loop_back_now_and_then() -> None:
    from nvr.metrics import Metrics

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
        samples = [line for line in (await done).splitlines() if not line.startswith(b"#")]
        assert turns >= len(samples) // 500

    asyncio.run(main())
    assert turns >= 5


def test_two_daemons_on_one_port_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        from nvr.web.listening import CannotListen

        with pytest.raises(CannotListen, match="another program has this port"):
            asyncio.run(_serve_once(taken.getsockname()[1]))


async def _serve_once(port: int) -> None:
    async with await serve(build(Answers()), tcp=("127.0.0.1", port)):
        pass

"""Serving HTTP in a daemon's loop: quick to start, quick to stop, and patient with nobody for ever."""

import asyncio
import http.client
import logging
import os
import socket
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from nvr.web.address import short_address
from nvr.web.listening import CannotListen, Serving, serve


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def for_ever(_request: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    return StreamingResponse(body())


APP = Starlette(routes=[Route("/hello", hello), Route("/for-ever", for_ever)])
GET = b"GET /hello HTTP/1.1\r\nHost: nvr\r\n\r\n"


@asynccontextmanager
async def tcp(serving: Serving) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return int(head.split()[1]), await reader.readexactly(length)


async def ended_after_s(reader: asyncio.StreamReader) -> float:
    began = time.monotonic()
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 5)
    return time.monotonic() - began


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest):
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(main) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(main, 15))

    return runs


def test_one_connection_asks_twice(run) -> None:
    async def main() -> None:
        async with await serve(APP, tcp=("127.0.0.1", 0)) as serving, tcp(serving) as (reader, writer):
            for _ in range(2):
                writer.write(GET)
                assert await answer(reader) == (200, b"hello")

    run(main())


def test_the_socket_lets_in_owner_and_group_only_and_is_gone_afterwards(run, tmp_path: Path) -> None:
    path = tmp_path / "nvr.sock"

    async def main() -> None:
        before = os.umask(0)
        try:
            serving = await serve(APP, unix=path)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(GET)
        assert await answer(reader) == (200, b"hello")
        writer.close()
        await serving.stop()
        assert not path.exists()

    run(main())


def test_a_socket_in_a_very_deep_folder_serves_too(run, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d" * 50] * 4)
    folder.mkdir(parents=True)
    path = folder / "nvr.sock"
    assert len(str(path)) > 200

    async def main() -> None:
        async with await serve(APP, unix=path):
            with short_address(path) as address:
                reader, writer = await asyncio.open_unix_connection(address)
            writer.write(GET)
            assert await answer(reader) == (200, b"hello")
            writer.close()

    run(main())


def test_a_socket_left_by_a_killed_daemon_is_replaced(run, tmp_path: Path) -> None:
    path = tmp_path / "nvr.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def main() -> None:
        async with await serve(APP, unix=path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(GET)
            assert await answer(reader) == (200, b"hello")
            writer.close()

    run(main())


def test_a_file_in_the_place_of_the_socket_is_left_alone(run, tmp_path: Path) -> None:
    path = tmp_path / "nvr.sock"
    path.write_text("precious")

    async def main() -> None:
        with pytest.raises(CannotListen, match="no socket"):
            await serve(APP, unix=path)

    run(main())
    assert path.read_text() == "precious"


def test_stopping_leaves_the_socket_of_a_successor(run, tmp_path: Path) -> None:
    path = tmp_path / "nvr.sock"

    async def main() -> None:
        first = await serve(APP, unix=path)
        async with await serve(APP, unix=path):
            await first.stop()
            assert path.exists()

    run(main())


def test_a_port_in_use_is_said_in_one_sentence(run) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(CannotListen) as caught:
                await serve(APP, tcp=("127.0.0.1", port))
        assert str(caught.value) == (
            f"cannot listen on 127.0.0.1:{port}: another program has this port; "
            "stop that program or choose another port"
        )

    run(main())


def test_an_address_of_another_machine_is_said_in_one_sentence(run) -> None:
    async def main() -> None:
        with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1:1234: this machine has no such address"):
            await serve(APP, tcp=("192.0.2.1", 1234))

    run(main())


def test_stopping_does_not_wait_for_idle_or_endless_connections(run, caplog) -> None:
    async def main() -> None:
        others = asyncio.all_tasks()
        serving = await serve(APP, tcp=("127.0.0.1", 0))
        async with tcp(serving) as (idle, idle_writer), tcp(serving) as (silent, _), tcp(serving) as (endless, asks):
            idle_writer.write(GET)
            await answer(idle)
            asks.write(b"GET /for-ever HTTP/1.1\r\nHost: nvr\r\n\r\n")
            await endless.readuntil(b"x")
            began = time.monotonic()
            await serving.stop()
            assert time.monotonic() - began < 1
            for reader in (idle, silent, endless):
                assert await ended_after_s(reader) < 1
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", serving.port)
            assert asyncio.all_tasks() == others

    run(main())
    assert not caplog.records


def test_a_client_that_says_nothing_is_hung_up_on(run) -> None:
    async def main() -> None:
        async with await serve(APP, tcp=("127.0.0.1", 0), head_s=0.3) as serving, tcp(serving) as (reader, _):
            assert 0.1 < await ended_after_s(reader) < 2

    run(main())


def test_a_head_that_trickles_is_hung_up_on_however_steadily_it_trickles(run) -> None:
    async def main() -> None:
        async with await serve(APP, tcp=("127.0.0.1", 0), head_s=0.4) as serving, tcp(serving) as (reader, writer):
            writer.write(GET)
            await answer(reader)  # the second head on a connection trickles, too
            ended = asyncio.ensure_future(ended_after_s(reader))
            for byte in GET * 100:
                if ended.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
            assert 0.2 < await ended < 2

    run(main())


def test_an_idle_connection_ends_after_a_while(run) -> None:
    async def main() -> None:
        async with await serve(APP, tcp=("127.0.0.1", 0), idle_s=0.3) as serving, tcp(serving) as (reader, writer):
            writer.write(GET)
            await answer(reader)
            assert 0.1 < await ended_after_s(reader) < 2

    run(main())


def test_an_endless_head_is_refused(run) -> None:
    async def main() -> None:
        async with await serve(APP, tcp=("127.0.0.1", 0)) as serving, tcp(serving) as (reader, writer):
            writer.write(b"GET /hello HTTP/1.1\r\nX: " + b"a" * 60_000)
            with suppress(ConnectionError):
                assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 4")

    run(main())


def test_nonsense_after_a_request_under_way_ends_the_connection_quietly(run, caplog) -> None:
    async def main() -> None:
        async with await serve(APP, tcp=("127.0.0.1", 0)) as serving, tcp(serving) as (reader, writer):
            writer.write(b"POST /for-ever HTTP/1.1\r\nHost: nvr\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n")
            assert await ended_after_s(reader) < 2

    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    run(main())
    assert not caplog.records


def test_the_sixty_fifth_connection_is_turned_away_and_the_first_still_works(run) -> None:
    async def main() -> None:
        async with await serve(APP, tcp=("127.0.0.1", 0)) as serving:
            many = [await asyncio.open_connection("127.0.0.1", serving.port) for _ in range(64)]
            many[0][1].write(GET)
            assert await answer(many[0][0]) == (200, b"hello")
            async with tcp(serving) as (reader, _):
                assert await ended_after_s(reader) < 2
            for _, writer in many:
                writer.transport.abort()

    run(main())


def test_a_plain_http_library_understands_it(run, tmp_path: Path) -> None:
    async def main() -> None:
        async with await serve(APP, tcp=("127.0.0.1", 0)) as serving:

            def ask() -> bytes:
                connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=5)
                connection.request("GET", "/hello")
                said = connection.getresponse().read()
                connection.close()
                return said

            assert await asyncio.to_thread(ask) == b"hello"

    run(main())

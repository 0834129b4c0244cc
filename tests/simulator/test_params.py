"""The parameter API of a simulated camera: users, roles, gets, sets, commits, and what the parameters do."""

import asyncio
import base64
import time

import pytest

from nvr.simulator.server import Simulator
from tests.simulator.client import Answer, asked, run, small, watching


def _login(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


ADMIN = _login("admin", "jvc")


async def _said(simulator: Simulator, query: str, login: str = ADMIN) -> str:
    """The answer's lines, without the last CRLF."""
    answer = await asked(simulator.http_port, f"/api/param?{query}", "Accept: text/plain", login)
    assert answer.status == "HTTP/1.1 200 OK"
    assert answer.headers["Content-type"] == "text/plain"
    assert answer.headers["Server"] == "JVC VN-V685 API Server"
    assert answer.body.endswith(b"\r\n")
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    return answer.body.decode().removesuffix("\r\n")


def test_the_guides_login_is_taken() -> None:
    assert ADMIN == "Authorization: Basic YWRtaW46anZj"

    async def story() -> None:
        async with Simulator(small()) as simulator:
            assert await _said(simulator, "system.model") == "system.model=VN-V685U&200 OK"

    run(story())


@pytest.mark.parametrize("login", ["", _login("admin", "wrong"), _login("nobody", "jvc"), "Authorization: Basic %%%"])
def test_without_a_right_login_there_is_only_401(login: str) -> None:
    async def story() -> Answer:
        async with Simulator(small()) as simulator:
            return await asked(simulator.http_port, "/api/param?system.model", *([login] if login else []))

    answer = run(story())
    assert answer.status == "HTTP/1.1 401 Unauthorized"
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert b"VN-V685U" not in answer.body


def test_a_refused_login_may_also_be_said_in_the_body() -> None:
    async def story() -> None:
        async with Simulator(small(auth_error_in_body=True)) as simulator:
            said = await _said(simulator, "system.model", _login("admin", "no"))
            assert said == "system.model&401 Unauthorized"

    run(story())


def test_who_may_what_is_as_the_guide_lists_it() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            user, operator = _login("user", "jvc"), _login("operator", "jvc")
            assert await _said(simulator, "camera.id", user) == "camera.id=Camera01&200 OK"
            assert await _said(simulator, "camera.id=X", user) == "camera.id&401 Unauthorized"
            assert await _said(simulator, "camera.id=X", operator) == "camera.id&202 Accepted(camera.status=save)"
            assert await _said(simulator, "system.log", operator) == "system.log&401 Unauthorized"
            assert (await _said(simulator, "system.log")).startswith("system.log=&200 OK\r\nsystem alive time: ")
            assert (
                await _said(simulator, "system.password.user=word1", operator)
                == "system.password.user&401 Unauthorized"
            )
            assert await _said(simulator, "system.password.user=word1") == "system.password.user&200 OK"
            assert await _said(simulator, "camera.id", _login("user", "word1")) == "camera.id=X&200 OK"

    run(story())


def test_without_text_plain_the_answer_is_a_page() -> None:
    async def story() -> None:
        async with Simulator(small(model="VN-V686U")) as simulator:
            answer = await asked(simulator.http_port, "/api/param?system.model", _login("admin", "vn-v686"))
            assert answer.headers["Content-type"] == "text/html"
            assert b"system.model=VN-V686U&200 OK" in answer.body

    run(story())


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("no.such.name", "no.such.name&404 Not Found"),
        ("no.such.name=1", "no.such.name&404 Not Found"),
        ("camera.image.gamma=2", "camera.image.gamma&400 Bad Request"),
        ("encode(2).framerate=29", "encode(2).framerate&400 Bad Request"),
        ("encode(2).iframeinterval=256", "encode(2).iframeinterval&400 Bad Request"),
        ("encode(2).bitrate=many", "encode(2).bitrate&400 Bad Request"),
        ("camera.motion.pan=360.00", "camera.motion.pan&400 Bad Request"),
        ("camera.motion.tilt=1e2", "camera.motion.tilt&400 Bad Request"),
        ("camera.position(5).status=goto", "camera.position(5).status&400 Bad Request"),
        ("camera.id=" + "x" * 41, "camera.id&400 Bad Request"),
        ("camera.id=%FF", "camera.id&400 Bad Request"),
        ("camera.id=" + "x" * 1100, "camera.id&400 Bad Request"),
        ("system.date=yesterday", "system.date&400 Bad Request"),
        ("camera.motion.pan.mode=up", "camera.motion.pan.mode&400 Bad Request"),
    ],
)
def test_what_is_not_known_or_not_allowed_is_said_behind_the_name(query: str, line: str) -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            assert await _said(simulator, query) == line

    run(story())


def test_kept_settings_step_are_saved_and_restored() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            assert await _said(simulator, "camera.image.pedestal=70") == (
                "camera.image.pedestal&202 Accepted(camera.status=save)"
            )
            await _said(simulator, "camera.image.pedestal=+")
            assert await _said(simulator, "camera.image.pedestal") == "camera.image.pedestal=100&200 OK"
            assert await _said(simulator, "canera.status=save") == "canera.status&200 OK"
            await _said(simulator, "camera.image.pedestal=0")
            await _said(simulator, "camera.id=Other%20one")
            assert simulator.camera.camera_id == "Other one"
            await _said(simulator, "camera.status=restore")
            assert await _said(simulator, "camera.image.pedestal") == "camera.image.pedestal=100&200 OK"
            assert simulator.camera.camera_id == "Camera01"
            await _said(simulator, "camera.id=%00")
            assert await _said(simulator, "camera.id") == "camera.id=&200 OK"

    run(story())


def test_encode_settings_change_the_running_stream() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, watching(simulator) as client:
            await client.read_until_vops(2)
            for query, commit in (
                ("encode(2).framesize=vga", "encode(1).status=save"),
                ("encode(2).framerate=7.5", "encode(2).status=save"),
                ("encode(2).iframeinterval=2", "encode(2).status=save"),
                ("encode(2).bitrate=3000000", "encode(2).status=save"),
            ):
                assert await _said(simulator, query) == f"{query.partition('=')[0]}&202 Accepted({commit})"
                name, _, value = query.partition("=")
                assert await _said(simulator, name) == f"{name}={value}&200 OK"
            mark = len(simulator.camera.sent)
            while len(simulator.camera.sent) < mark + 5:  # what is read may be some pictures behind what is sent
                await client.read_until_vops(client.raw.count(b"\x00\x00\x01\xb6") + 1)
            sent = simulator.camera.sent[mark + 1 :]
            assert [record.vop_ticks - sent[0].vop_ticks for record in sent[:4]] == [0, 4000, 8000, 12000]
            assert sum(record.key for record in sent[:4]) == 2
            session = await _said(simulator, "system.session")
            assert "system.session.sending_count=1&200 OK\r\n" in session
            assert "system.session.sending(01).from.framerate=7.5&200 OK\r\n" in session
            assert "system.session.sending(01).to.ip=127.0.0.1&200 OK\r\n" in session

    run(story())


def test_the_camera_moves_at_finite_speed_and_knows_its_presets() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            assert await _said(simulator, "camera.motion.pan=30.00") == "camera.motion.pan&200 OK"
            assert await _said(simulator, "camera.motion.pan.status") == "camera.motion.pan.status=moving&200 OK"
            between = float((await _said(simulator, "camera.motion.pan")).split("=")[1].removesuffix("&200 OK"))
            assert 0 < between < 30
            await asyncio.sleep(0.15)
            assert await _said(simulator, "camera.motion.pan") == "camera.motion.pan=30.00&200 OK"
            await _said(simulator, "camera.motion.pan=-31.00")
            await asyncio.sleep(0.15)
            assert await _said(simulator, "camera.motion.pan") == "camera.motion.pan=359.00&200 OK"
            assert (
                await _said(simulator, "camera.position(3).status") == "camera.position(3).status=unregistered&200 OK"
            )
            await _said(simulator, "camera.position(3).status=save")
            await _said(simulator, "camera.position(3).comment=back%20door")
            assert await _said(simulator, "camera.position(3).comment") == "camera.position(3).comment=back door&200 OK"
            assert await _said(simulator, "camera.status") == "camera.status=3&200 OK"
            await _said(simulator, "camera.motion.tilt=+10.50")
            assert await _said(simulator, "camera.status") == "camera.status=none&200 OK"
            await asyncio.sleep(0.1)
            assert simulator.camera.looks_at(time.monotonic()) == (35_900, 1_550, 0)
            await _said(simulator, "camera.position(3).status=goto")
            await asyncio.sleep(0.1)
            assert await _said(simulator, "camera.status") == "camera.status=3&200 OK"
            assert simulator.camera.looks_at(time.monotonic()) == (35_900, 500, 0)
            await _said(simulator, "camera.motion.zoom.mode=in")
            await _said(simulator, "camera.motion.zoom.status=start")
            await asyncio.sleep(0.05)
            await _said(simulator, "camera.motion.zoom.status=stop")
            assert await _said(simulator, "camera.motion.zoom.status") == "camera.motion.zoom.status=stop&200 OK"
            assert 100 < simulator.camera.looks_at(time.monotonic())[2] < 3_000

    run(story())


def test_pins_are_as_they_are_and_an_output_goes_back_after_its_time() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            simulator.camera.pin(2, "make")
            name = "peripheral.input_pin.pin(2).status"
            assert await _said(simulator, name) == f"{name}=make&200 OK"
            await _said(simulator, "peripheral.input_pin.pin(1).duration=100")
            name = "peripheral.output_pin.pin(1).status"
            assert await _said(simulator, f"{name}=make") == f"{name}&200 OK"
            assert await _said(simulator, name) == f"{name}=make&200 OK"
            await asyncio.sleep(0.15)
            assert await _said(simulator, name) == f"{name}=break&200 OK"

    run(story())


def test_a_clock_that_is_set_shows_in_the_stream() -> None:
    async def story() -> None:
        async with Simulator(small(join="key")) as simulator, watching(simulator) as client:
            assert await _said(simulator, "system.date=20050614171537") == "system.date&200 OK"
            assert (await _said(simulator, "system.date")).startswith("system.date=200506141715")
            await client.read_until_vops(12)
            assert b"Timestamp = 200506141715" in client.raw

    run(story())


def test_access_restriction_closes_video_and_spares_parameters() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            name = "network.access_control(stream_out)"
            await _said(simulator, f"{name}.host(1)=127.0.0.0%2F24")
            async with watching(simulator) as client:
                await client.read_to_end()
            assert client.raw == b""
            assert await _said(simulator, f"{name}.logic=allow") == f"{name}.logic&200 OK"
            async with watching(simulator) as client:
                await client.read_until_vops(1)
            await _said(simulator, f"{name}.host(1)=10.0.0.0%2F24")
            async with watching(simulator) as client:
                await client.read_to_end()
            assert client.raw == b""

    run(story())


def test_a_restart_ends_everything_forgets_what_was_not_saved_and_comes_back() -> None:
    async def story() -> None:
        async with Simulator(small(restart_s=0.15)) as simulator, watching(simulator) as client:
            await client.read_until_vops(2)
            await _said(simulator, "encode(2).framesize=vga")
            await _said(simulator, "camera.image.pedestal=0")
            assert await _said(simulator, "system.status=restart") == "system.status&200 OK"
            await client.read(2)
            assert client.closed
            with pytest.raises(ConnectionRefusedError):
                await asked(simulator.http_port, "/")
            await asyncio.sleep(0.25)
            assert await _said(simulator, "camera.image.pedestal") == "camera.image.pedestal=50&200 OK"
            assert await _said(simulator, "encode(2).framesize") == "encode(2).framesize=qvga&200 OK"

    run(story())

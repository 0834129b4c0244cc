"""Asking and telling a camera: the simulated one for what a camera does, a scripted peer for what one might answer."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from nvr.camera.control import Control, DayNight, Deadlines
from nvr.camera.errors import CameraBusy, CannotConnect, LinkError, LinkStalled, LoginRefused, NotACamera, Retry
from nvr.clock import HostClock
from nvr.jvc.alarm import Change, Pin
from nvr.jvc.errors import ApiRefused
from nvr.jvc.log import placed
from nvr.jvc.params import Login, Outcome
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from nvr.units import US
from tests.camera.wire import LOOPS, peer, run

QUIET = CameraOptions(encode=EncodeSettings(frame_size="qvga", i_interval=10, bitrate_bps=64_000))
HASTY = Deadlines(connect_s=2.0, answer_s=0.4, quiet_s=0.1)
PATIENT = Deadlines(connect_s=2.0, answer_s=5.0, quiet_s=0.1)
ADMIN = Login("admin", "jvc")
OK_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 80\r\nContent-type: text/plain\r\n\r\n"

Say = Callable[[str], bytes]
"""What a peer answers to a query, such as `camera.id=x`."""


@asynccontextmanager
async def simulated(
    options: CameraOptions = QUIET, login: Login | None = ADMIN, deadlines: Deadlines = PATIENT
) -> AsyncIterator[tuple[Simulator, Control]]:
    async with Simulator(options) as simulator:
        yield simulator, Control(("127.0.0.1", simulator.http_port), login, HostClock(), deadlines=deadlines)


@asynccontextmanager
async def scripted(say: Say, *, closes: bool = True, asked: list[str] | None = None) -> AsyncIterator[Control]:
    """A control whose camera answers what the test says."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        query = head.split(b" ")[1].decode().partition("?")[2]
        if asked is not None:
            asked.append(query)
        writer.write(say(query))
        await writer.drain()
        if not closes:
            await reader.read()

    async with peer(talk) as address:
        yield Control(address, ADMIN, HostClock(), deadlines=HASTY)


def always(answer: bytes) -> Say:
    return lambda _query: answer


async def trouble(control: Control, name: str = "camera.id") -> LinkError:
    with pytest.raises(LinkError) as told:
        await control.get(name)
    return told.value


@pytest.mark.parametrize("loop", LOOPS)
def test_a_parameter_is_got_and_set(loop: str) -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            assert await control.get("system.model") == "VN-V685U"
            told = await control.set("camera.id", "main entrance & gate")
            assert (told, told.commit) == (Outcome(202, "Accepted(camera.status=save)"), "camera.status=save")
            assert await control.get("camera.id") == simulator.camera.camera_id == "main entrance & gate"
            await control.set("camera.id", "")
            assert await control.get("camera.id") == ""
            assert control.requests == 5

    run(loop, story())


def test_the_inputs_are_read() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            simulator.camera.pin(2, "make")
            assert await control.input_pins() == (Pin.BREAK, Pin.MAKE)

    run("uvloop", story())


def test_an_output_is_made_for_a_time_and_for_good() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            await control.drive_output(1, Pin.MAKE, 100)
            assert await control.get("peripheral.output_pin.pin(1).duration") == "100"
            assert await control.output_pin(2) is Pin.BREAK
            while await control.output_pin(1) is Pin.MAKE:  # noqa: ASYNC110 - another machine's relay tells nobody
                await asyncio.sleep(0.02)
            await control.drive_output(1, Pin.MAKE)
            assert await control.get("peripheral.output_pin.pin(1).duration") == "0"
            await asyncio.sleep(0.15)
            assert await control.output_pin(1) is Pin.MAKE
            await control.drive_output(1, Pin.BREAK)
            assert await control.output_pin(1) is Pin.BREAK

    run("uvloop", story())


def test_an_outputs_time_is_written_only_where_it_is_another() -> None:
    async def story() -> None:
        asked: list[str] = []
        say = {"peripheral.output_pin.pin(2).duration": b"peripheral.output_pin.pin(2).duration=1500&200 OK\r\n"}
        async with scripted(lambda query: OK_HEAD + say.get(query, b"x&200 OK\r\n"), asked=asked) as control:
            await control.drive_output(2, Pin.MAKE, 1500)
            await control.drive_output(2, Pin.BREAK, 200)
        name = "peripheral.output_pin.pin(2)"
        assert asked == [
            f"{name}.duration",
            f"{name}.status=make",
            f"{name}.duration",
            f"{name}.duration=200",
            f"{name}.status=break",
        ]

    run("uvloop", story())


def test_the_steps_of_two_orders_do_not_mix_and_requests_come_one_at_a_time() -> None:
    async def story() -> None:
        asked: list[str] = []
        answer = OK_HEAD + b"x=0&200 OK\r\n"
        async with scripted(always(answer), asked=asked) as control, asyncio.TaskGroup() as group:
            for number in (1, 2):
                group.create_task(control.drive_output(number, Pin.MAKE, 500), name="order")
        steps = ("duration", "duration=500", "status=make")
        assert asked == [f"peripheral.output_pin.pin({number}).{step}" for number in (1, 2) for step in steps]

    run("uvloop", story())


@pytest.mark.parametrize(
    ("number", "state", "for_ms"),
    [
        (0, Pin.MAKE, 0),
        (3, Pin.MAKE, 0),
        (1, Pin.UNKNOWN, 0),
        (1, Pin.MAKE, 99),
        (1, Pin.MAKE, 5001),
        (1, Pin.MAKE, -1),
    ],
)
def test_what_no_output_can_do_is_our_own_mistake(number: int, state: Pin, for_ms: int) -> None:
    async def story() -> None:
        control = Control(("127.0.0.1", 9), ADMIN, HostClock())
        with pytest.raises(ValueError, match="output"):
            await control.drive_output(number, state, for_ms)
        assert control.requests == 0

    run("uvloop", story())


def test_the_camera_goes_to_a_preset_and_says_where_it_stands() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            simulator.camera.look(500, 700, 0)
            await control.set("camera.position(7).status", "save")
            simulator.camera.look(0, 500, 0)
            assert await control.preset() is None
            assert (await control.go_to_preset(7)).code == 200
            while await control.preset() != 7:  # noqa: ASYNC110 - a moving camera tells nobody that it is there
                await asyncio.sleep(0.02)
            with pytest.raises(ValueError, match="from 0 to 99"):
                await control.go_to_preset(100)
            with pytest.raises(ApiRefused):
                await control.go_to_preset(8)

    run("uvloop", story())


def test_day_and_night_are_changed() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            for mode in DayNight:
                assert (await control.set_day_night(mode)).commit == "camera.status=save"
                assert await control.day_night() is mode

    run("uvloop", story())


def test_what_the_camera_watches_for_is_read() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            assert await control.detects_motion() is True
            await control.set("camera.detection.status", "off")
            assert await control.detects_motion() is False
            assert await control.tracks_target() is False  # an unknown name: a firmware without it

    run("uvloop", story())


@pytest.mark.parametrize(
    ("said", "meant"), [("moving", True), ("on", True), ("stop", False), ("OFF", False), ("dancing", None)]
)
def test_tracking_is_read_in_the_guides_two_ways(said: str, meant: bool | None) -> None:
    async def story() -> None:
        answer = OK_HEAD + f"camera.motion.auto_tracking(1).status={said}&200 OK\r\n".encode()
        async with scripted(always(answer)) as control:
            assert await control.auto_tracks() is meant

    run("uvloop", story())


def test_the_log_is_read_beside_the_cameras_date() -> None:
    async def story() -> None:
        async with simulated(replace(QUIET, clock_offset_s=-86_400.0)) as (simulator, control):
            reading = await control.log()
            assert reading.log.alive_s is not None
            ours_us, theirs_us = HostClock().utc_us(), simulator.camera.clock_us()
            assert abs(reading.utc_us - ours_us) < 2 * US
            assert ours_us - theirs_us > 86_000 * US

    run("uvloop", story())


def test_the_fact_sheets_log_is_placed_by_that_date() -> None:
    async def story() -> None:
        lines = (
            b"system.log=&200 OK\r\nsystem alive time: 2142sec\r\nDec 19 14:36:03 x user.info evman: Alarm Detect (m1)"
        )
        say = {"system.log": lines, "system.date": b"system.date=20081219143613&200 OK\r\n"}
        async with scripted(lambda query: OK_HEAD + say[query]) as control:
            reading = await control.log()
        (told,) = placed(reading.log, reading.camera_date, reading.utc_us)
        assert (told.change, told.utc_us) == (Change.M1, reading.utc_us - 10 * US)

    run("uvloop", story())


@pytest.mark.parametrize(
    "login", [None, Login("admin", "hunter2"), Login("nobody", "jvc")], ids=["none", "wrong", "nobody"]
)
def test_a_refused_login_is_no_reason_to_hurry_and_tells_no_password(
    login: Login | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with simulated(login=login) as (_, control):
            told = await trouble(control)
            assert (type(told), told.retry) == (LoginRefused, Retry.LATER)
            assert "camera.id: 401 Unauthorized" in str(told)
            assert "hunter2" not in f"{told!r} {told.__cause__!r} {caplog.text}"

    caplog.set_level(logging.DEBUG)
    run("uvloop", story())


def test_a_login_refused_in_the_body_is_the_apis_refusal() -> None:
    async def story() -> None:
        async with simulated(replace(QUIET, auth_error_in_body=True), login=None) as (_, control):
            with pytest.raises(ApiRefused) as told:
                await control.get("camera.id")
            assert (told.value.name, told.value.code) == ("camera.id", 401)

    run("uvloop", story())


def test_what_a_role_may_not_is_the_apis_refusal() -> None:
    async def story() -> None:
        async with simulated(login=Login("user", "jvc")) as (_, control):
            assert await control.input_pins() == (Pin.BREAK, Pin.BREAK)
            with pytest.raises(ApiRefused, match=r"camera\.id: 401 Unauthorized"):
                await control.set("camera.id", "secret-value")

    run("uvloop", story())


def test_an_unknown_name_and_a_bad_value_are_refused_without_repeating_the_value() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            with pytest.raises(ApiRefused, match=r"camera\.colour: 404"):
                await control.get("camera.colour")
            with pytest.raises(ApiRefused) as told:
                await control.set("system.password.user", "hunter2hunter2hunter2")
            assert "hunter2" not in str(told.value)

    run("uvloop", story())


def test_a_name_the_camera_knows_only_as_misprinted_is_found() -> None:
    async def story() -> None:
        asked: list[str] = []

        def say(query: str) -> bytes:
            known = query.startswith("canera.")
            return OK_HEAD + (f"{query.partition('=')[0]}&200 OK" if known else f"{query}&404 Not Found").encode()

        async with scripted(say, asked=asked) as control:
            assert await control.set("camera.status", "save") == Outcome(200, "OK")
            with pytest.raises(ApiRefused, match=r"refused camera\.id: 404"):
                await control.get("camera.id")
        assert asked == ["camera.status=save", "canera.status=save", "camera.id"]

    run("uvloop", story())


def test_a_name_unknown_in_both_spellings_is_refused_by_the_right_one() -> None:
    async def story() -> None:
        async with scripted(lambda query: OK_HEAD + f"{query}&404 Not Found".encode()) as control:
            with pytest.raises(ApiRefused) as told:
                await control.get("camera.status")
            assert told.value.name == "camera.status"

    run("uvloop", story())


@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_is_taken_though_its_length_is_wrong_and_the_camera_does_not_close(loop: str) -> None:
    async def story() -> None:
        for head in (OK_HEAD, OK_HEAD.replace(b"80", b"10"), OK_HEAD.removesuffix(b"\r\n")):
            async with scripted(always(head + b"camera.id=gate&200 OK\r\n"), closes=False) as control:
                assert await control.get("camera.id") == "gate"

    run(loop, story())


def test_an_answer_that_comes_byte_by_byte_is_read() -> None:
    async def story() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for byte in OK_HEAD + b"camera.id=a&200 b&200 OK\r\n":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)

        async with peer(talk) as address:
            assert await Control(address, ADMIN, HostClock(), deadlines=PATIENT).get("camera.id") == "a&200 b"

    run("uvloop", story())


_STRANGE: list[tuple[bytes, type[LinkError], str]] = [
    (b"", CameraBusy, "closed without an answer"),
    (b"SSH-2.0-dropbear\r\n", NotACamera, "not HTTP"),
    (OK_HEAD, NotACamera, "the camera answered nothing"),
    (OK_HEAD.replace(b"plain", b"html") + b"<html>Welcome</html>", NotACamera, "Welcome"),
    (b"HTTP/1.1 503 Busy\r\n\r\n", CameraBusy, "does not answer for camera.id now: 503 Busy"),
    (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", LoginRefused, "refused user admin"),
    (b"HTTP/1.1 200 OK\r\n", NotACamera, "inside its head"),
    (OK_HEAD + b"x" * 100_000, NotACamera, "more than 65536 bytes"),
]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("said", "kind", "words"), _STRANGE, ids=[words for _, _, words in _STRANGE])
def test_a_strange_answer_has_its_name(loop: str, said: bytes, kind: type[LinkError], words: str) -> None:
    async def story() -> None:
        async with scripted(always(said)) as control:
            told = await trouble(control)
            assert type(told) is kind
            assert words in str(told)

    run(loop, story())


def test_a_camera_that_does_not_answer_is_waited_for_only_so_long_and_can_be_asked_again() -> None:
    async def story() -> None:
        async with simulated(deadlines=HASTY) as (simulator, control):
            simulator.camera.fault("no-api-answer")
            told = await trouble(control)
            assert (type(told), str(told)) == (LinkStalled, "asked for camera.id, the camera has not answered in 0.4 s")
            simulator.camera.clear()
            assert await control.get("camera.id") == "Camera01"

    run("uvloop", story())


def test_a_camera_that_is_not_there_is_named_so() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            assert await control.get("camera.id") == "Camera01"
            simulator.camera.fault("refuse")
            await asyncio.sleep(0.05)
            assert type(await trouble(control)) is CannotConnect

    run("uvloop", story())


def test_who_gives_up_waiting_leaves_the_camera_to_the_next() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            simulator.camera.fault("no-api-answer")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await control.get("camera.id")
            simulator.camera.clear()
            assert await control.get("camera.id") == "Camera01"

    run("uvloop", story())


@pytest.mark.parametrize("loop", LOOPS)
def test_who_gives_up_at_any_step_of_a_request_is_free_at_once(loop: str) -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            for steps in range(40):
                async with asyncio.TaskGroup() as group:
                    asking = group.create_task(control.get("camera.id"), name="asking")
                    for _step in range(steps):
                        await asyncio.sleep(0)
                    asking.cancel()
            assert await control.get("camera.id") == "Camera01"

    run(loop, story())

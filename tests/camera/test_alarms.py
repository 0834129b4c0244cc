"""An alarm link and a simulated camera in one loop; a scripted peer only for what no camera of this family would do."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from nvr.camera.alarms import AlarmLink, LogState, Outage
from nvr.camera.control import Control, Deadlines
from nvr.camera.inputs import Happened, How, Known
from nvr.camera.link import Address
from nvr.camera.relay import Timing
from nvr.clock import HostClock
from nvr.jvc.alarm import AlarmReport, Pin
from nvr.jvc.params import Login
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from nvr.units import US, UtcMicros
from tests.camera.wire import LOOPS, peer, run, until

QUIET = CameraOptions(encode=EncodeSettings(frame_size="qvga", i_interval=10, bitrate_bps=64_000))
HASTY = Timing(connect_s=2.0, trial_s=0.1, first_wait_s=0.05, longest_wait_s=0.2, settled_s=0.2, cut_s=600.0)
ADMIN = Login("admin", "jvc")
HOWS = {How.REPORTED: "", How.UNCONNECTED: "?", How.LOGGED: "!", How.EXPIRED: "~"}
OK_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-type: text/plain\r\n\r\n"
BLOCK = (
    b"peripheral.input_pin.pin(1).status=%s\r\nperipheral.input_pin.pin(2).status=break\r\n"
    b"video.input(1).detection(motion).status=off\r\n"
)


class Ear:
    """An alarm link, and what came of it."""

    def __init__(
        self, address: Address, *, timing: Timing = HASTY, control: Control | None = None, **known: Any
    ) -> None:
        self.happened: list[Happened] = []
        self.outages: list[Outage] = []
        self.link = AlarmLink(
            "gate",
            address,
            HostClock(),
            self.happened.append,
            on_outage=self.outages.append,
            control=control,
            timing=timing,
            dice=lambda: 0.5,
            **known,
        )

    @property
    def told(self) -> str:
        """`m1`; found afterwards `m1?`, from the log `m1!`, expired `v0~`."""
        return " ".join(f"{one.change}{HOWS[one.how]}" for one in self.happened)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The link runs during the block, and is stopped at its end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.link.run(), name="alarms")
            yield
            self.link.stop()

    async def is_up(self) -> None:
        await until(lambda: self.link.up)

    async def is_down(self) -> None:
        await until(lambda: not self.link.up)

    async def hears(self, words: str) -> None:
        """Waits for exactly this."""
        await until(lambda: len(self.happened) >= len(words.split()))
        assert self.told == words


def ear_of(camera: Simulator, *, login: Login | None = None, **more: Any) -> Ear:
    control = None
    if login is not None:
        deadlines = Deadlines(connect_s=2.0, answer_s=0.5, quiet_s=0.1)
        control = Control(("127.0.0.1", camera.http_port), login, HostClock(), deadlines=deadlines)
    return Ear(("127.0.0.1", camera.alarm_port), control=control, **more)


def now_us() -> int:
    return HostClock().utc_us()


@pytest.mark.parametrize("loop", LOOPS)
def test_what_happens_at_the_camera_is_heard_at_once(loop: str) -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            ear = ear_of(camera)
            async with ear.listening():
                await ear.is_up()
                began_us = now_us()
                camera.camera.pin(1, "make")
                camera.camera.pin(2, "make")
                camera.camera.see_motion(seen=True)
                camera.camera.see_motion(seen=False)
                camera.camera.pin(1, "break")
                await ear.hears("m1 m2 v1 v0 b1")
                assert all(began_us <= one.utc_us <= now_us() for one in ear.happened)
                assert ear.link.state == AlarmReport(Pin.BREAK, Pin.MAKE, motion=False)
            assert not ear.link.up
            assert ear.outages == []

    run(loop, story())


def test_reports_in_pieces_are_put_together() -> None:
    async def story() -> None:
        async with Simulator(replace(QUIET, alarm_pieces=17)) as camera:
            ear = ear_of(camera)
            async with ear.listening():
                await ear.is_up()
                camera.camera.pin(2, "make")
                await ear.hears("m2")

    run("uvloop", story())


@pytest.mark.parametrize("greeting", [True, False])
def test_the_inputs_are_known_at_connect_and_raise_nothing(greeting: bool) -> None:
    async def story() -> None:
        async with Simulator(replace(QUIET, alarm_greeting=greeting)) as camera:
            camera.camera.pin(2, "make")
            ear = ear_of(camera, login=ADMIN)
            async with ear.listening():
                await until(lambda: ear.link.state == AlarmReport(Pin.BREAK, Pin.MAKE, motion=False))
                camera.camera.pin(2, "break")
                await ear.hears("b2")

    run("uvloop", story())


def test_motion_expires_at_a_camera_that_never_says_that_it_ends() -> None:
    async def story() -> None:
        async with Simulator(replace(QUIET, alarm_off=False)) as camera:
            ear = ear_of(camera, motion_hold_s=0.3)
            async with ear.listening():
                await ear.is_up()
                camera.camera.see_motion(seen=True)
                await ear.hears("v1 v0~")
                assert ear.happened[1].utc_us - ear.happened[0].utc_us == pytest.approx(0.3 * US, abs=1000)

    run("uvloop", story())


@pytest.mark.parametrize("greeting", [True, False])
def test_links_that_hand_over_leave_no_change_unheard_and_none_twice(greeting: bool) -> None:
    async def story() -> None:
        # The next link opens 0.45 s before the old one is cut, once that time is learnt: enough for a busy machine.
        cut = replace(QUIET, alarm_cut_s=3.0, alarm_greeting=greeting)
        async with Simulator(cut) as camera:
            ear = ear_of(camera, timing=replace(HASTY, cut_s=2.5))
            async with ear.listening():
                await ear.is_up()
                camera.camera.see_motion(seen=True)  # a word that makes the state known where nothing greets
                await ear.hears("v1")
                for number in range(80):
                    camera.camera.pin(1, "break" if number % 2 else "make")
                    await asyncio.sleep(0.08)
                await until(lambda: ear.told.count("b1") == 40)
                pins = [one.change for one in ear.happened if one.change not in ("v1", "v0")]
                assert pins == ["m1", "b1"] * 40
                assert [one.again for one in ear.happened if one.change == "v1"] == [False] + [True] * 80
            assert ear.outages == []
            counts = ear.link.counts
            assert counts.cut >= 2
            assert (counts.refused, counts.lost) == (0, 0)
            assert ear.link.repeated > 2
            assert ear.link.cut_s == pytest.approx(3.0, abs=0.3)

    run("uvloop", story())


def test_a_firmware_that_cuts_early_is_learned_from_one_outage() -> None:
    async def story() -> None:
        async with Simulator(replace(QUIET, alarm_cut_s=1.5)) as camera:
            ear = ear_of(camera)
            async with ear.listening():
                await until(lambda: ear.link.counts.cut >= 2)
            assert len(ear.outages) == ear.link.counts.outages == 1
            (outage,) = ear.outages
            assert (outage.reason, outage.why) == ("stream-broken", "the camera closed the alarm link")
            assert 0 < outage.end_us - outage.start_us == ear.link.counts.outage_us < US // 2
            assert ear.link.cut_s == pytest.approx(1.5, abs=0.3)

    run("uvloop", story())


def test_an_old_link_that_is_not_cut_is_closed_when_the_next_one_stands() -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            ear = ear_of(camera, timing=replace(HASTY, cut_s=0.3))
            async with ear.listening():
                await until(lambda: ear.link.counts.handed_over >= 2)
                await until(lambda: ear.link.open_links == 1)
                camera.camera.pin(1, "make")
                await ear.hears("m1")
            assert (ear.outages, ear.link.counts.cut, ear.link.cut_s) == ([], 0, None)

    run("uvloop", story())


def test_the_eleventh_client_is_refused_and_waits_for_a_place() -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            with ExitStack() as stack:
                others = [socket.create_connection(("127.0.0.1", camera.alarm_port), 2.0) for _ in range(10)]
                for other in others:
                    stack.enter_context(other)
                await asyncio.sleep(0.1)
                ear = ear_of(camera)
                async with ear.listening():
                    await until(lambda: ear.link.counts.refused >= 3)
                    assert not ear.link.up
                    assert "all of its ten may be taken" in ear.link.why
                    others[0].close()
                    await ear.is_up()
                    camera.camera.pin(1, "make")
                    await ear.hears("m1")
            (outage,) = ear.outages
            assert outage.reason == "camera-refused"
            assert outage.log is LogState.NOT_ASKED

    run("uvloop", story())


def test_a_camera_that_does_not_listen_is_an_outage_from_the_beginning(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            await asyncio.sleep(0.05)
            camera.camera.fault("alarm-refuse")
            await asyncio.sleep(0.05)
            ear, began_us = ear_of(camera), now_us()
            async with ear.listening():
                await until(lambda: "Connection refused" in ear.link.why)
                await asyncio.sleep(0.4)
                camera.camera.clear()
                await ear.is_up()
            (outage,) = ear.outages
            assert outage.reason == "camera-unreachable"
            assert 0 <= outage.start_us - began_us < US // 5
            assert outage.end_us - outage.start_us > 0.4 * US

    caplog.set_level(logging.INFO)
    run("uvloop", story())
    told = [
        (record.levelname, record.getMessage()) for record in caplog.records if record.name.startswith("nvr.camera")
    ]
    assert [level for level, _ in told] == ["WARNING", "INFO"], told
    assert told[1][1] == "alarm link is back"


@pytest.mark.parametrize("greeting", [True, False])
@pytest.mark.parametrize("how", ["alarm-cut", "alarm-cut:rst"])
def test_a_change_while_the_link_was_cut_is_dated_so(how: str, greeting: bool) -> None:
    async def story() -> None:
        async with Simulator(replace(QUIET, alarm_greeting=greeting, logs_alarms=False)) as camera:
            ear = ear_of(camera, login=ADMIN)
            async with ear.listening():
                await until(lambda: ear.link.up and ear.link.state is not None)
                await asyncio.sleep(0.3)
                cut_us = now_us()
                camera.camera.fault("alarm-refuse")
                camera.camera.fault(how)
                await ear.is_down()
                camera.camera.pin(1, "make")
                camera.camera.clear()
                back_us = now_us()
                await ear.hears("m1?")
                (found,) = ear.happened
                assert found.since_us <= back_us <= found.utc_us
                assert found.since_us == ear.outages[0].start_us
                slack_us = 50_000 if how == "alarm-cut" else US  # who resets was last known to live when it last spoke
                assert cut_us - slack_us <= found.since_us
                camera.camera.pin(1, "break")
                await ear.hears("m1? b1")
            (outage,) = ear.outages
            assert (outage.log, outage.missed) == (LogState.READ, 0)
            assert outage.log_from_us is not None
            assert abs(outage.log_from_us - outage.start_us) < 5 * US  # the camera was switched on a moment ago

    run("uvloop", story())


def test_the_state_known_before_a_restart_makes_the_time_between_an_outage() -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            camera.camera.pin(1, "make")
            known_us = UtcMicros(now_us() - 60 * US)
            ear = ear_of(camera, known=Known(AlarmReport(Pin.BREAK, Pin.BREAK, motion=False), known_us))
            async with ear.listening():
                await ear.hears("m1?")
                assert ear.happened[0].since_us == known_us
                await until(lambda: len(ear.outages) == 1)
            (outage,) = ear.outages
            assert (outage.start_us, outage.reason) == (known_us, "service-stopped")
            known = ear.link.known
            assert known is not None
            assert known.state == AlarmReport(Pin.MAKE, Pin.BREAK, motion=False)
            assert now_us() - 5 * US < known.at_us <= now_us()
            assert outage.end_us - known_us == pytest.approx(60 * US, abs=5 * US)

    run("uvloop", story())


def entry(utc_us: int, words: str) -> str:
    """A line of the log of a camera whose clock is an hour behind."""
    when = datetime.fromtimestamp(utc_us / US - 3600, UTC)
    return f"{when:%b} {when.day:2d} {when:%H:%M:%S} vn-v685 user.info evman: {words}\r\n"


@asynccontextmanager
async def logging_camera(say_log: Callable[[], str]) -> AsyncIterator[Control]:
    """The parameter API of a camera whose log says this; its input 1 is made."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().partition("?")[2]
        date = datetime.fromtimestamp(now_us() / US - 3600, UTC)
        answers = {
            "peripheral.input_pin.pin(1).status": "peripheral.input_pin.pin(1).status=make&200 OK\r\n",
            "peripheral.input_pin.pin(2).status": "peripheral.input_pin.pin(2).status=break&200 OK\r\n",
            "system.date": f"system.date={date:%Y%m%d%H%M%S}&200 OK\r\n",
            "system.log": say_log(),
        }
        writer.write(OK_HEAD + answers[query].encode())
        await writer.drain()

    async with peer(talk) as address:
        yield Control(address, ADMIN, HostClock(), deadlines=Deadlines(2.0, 2.0, 0.1))


def test_after_an_outage_the_log_tells_what_was_missed_and_when() -> None:
    async def story() -> None:
        began_us = now_us()

        def say_log() -> str:
            at = began_us - 30 * US
            missed = [
                entry(at, "Alarm Detect (m2)"),
                entry(at + US, "Alarm Detect (b2)"),
                entry(at + 9 * US, "Motion Detect"),
            ]
            others = [entry(at + 10 * US, "Alarm Detect (m1)"), entry(at - 3600 * US, "Alarm Detect (m2)")]
            return "".join(("system.log=&200 OK\r\nsystem alive time: 20000sec\r\n", *others, *missed))

        async with Simulator(replace(QUIET, alarm_greeting=False)) as camera, logging_camera(say_log) as control:
            known = Known(AlarmReport(Pin.BREAK, Pin.BREAK, motion=False), UtcMicros(began_us - 60 * US))
            ear = Ear(("127.0.0.1", camera.alarm_port), control=control, known=known)
            async with ear.listening():
                await ear.hears("m2! b2! v1! m1!")
                apart_s = [(one.utc_us - began_us) / US for one in ear.happened]
                assert apart_s == pytest.approx([-30, -29, -21, -20], abs=2.5)
                assert ear.link.state == AlarmReport(Pin.MAKE, Pin.BREAK, motion=False)
            (outage,) = ear.outages
            assert (outage.log, outage.missed) == (LogState.READ, 4)

    run("uvloop", story())


def test_a_log_that_may_not_be_read_leaves_what_was_found(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            ear = ear_of(camera, login=Login("user", "jvc"))
            async with ear.listening():
                await until(lambda: ear.link.up and ear.link.state is not None)
                camera.camera.fault("alarm-refuse")
                camera.camera.fault("alarm-cut")
                await ear.is_down()
                camera.camera.pin(1, "make")
                camera.camera.clear()
                await ear.hears("m1?")
            assert [outage.log for outage in ear.outages] == [LogState.FAILED]

    run("uvloop", story())
    assert "the camera refused system.log: 401 Unauthorized" in caplog.text


def test_a_second_outage_before_the_first_was_asked_about_is_told_too() -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            ear = ear_of(camera, login=ADMIN)
            async with ear.listening():
                await until(lambda: ear.link.up and ear.link.state is not None)
                camera.camera.fault("no-api-answer")
                await asyncio.sleep(0.05)
                for _ in range(2):
                    camera.camera.fault("alarm-cut")
                    await ear.is_down()
                    await ear.is_up()
                camera.camera.clear()
                await until(lambda: len(ear.outages) == 2)
            first, second = ear.outages
            assert first.log is LogState.NOT_ASKED
            assert first.end_us <= second.start_us

    run("uvloop", story())


def test_a_line_that_never_ends_is_left_and_another_link_opened() -> None:
    async def story() -> None:
        links = 0

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal links
            links += 1
            writer.write(b"x" * 1000 if links == 1 else BLOCK % b"make")
            await writer.drain()
            await reader.read()

        async with peer(talk) as address:
            ear = Ear(address)
            async with ear.listening():
                await until(lambda: ear.link.state is not None)
            assert links == 2
            assert ear.outages[0].why == "the camera's alarms cannot be followed: an alarm line of more than 256 bytes"

    run("uvloop", story())


def test_a_flood_of_reports_is_left() -> None:
    async def story() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(BLOCK % b"make" + BLOCK % b"break")
                await writer.drain()

        async with peer(talk) as address:
            ear = Ear(address)
            async with ear.listening():
                await until(lambda: "more than 32768 bytes in a second" in ear.link.why)

    run("uvloop", story())


def test_a_block_without_its_end_counts_after_a_second() -> None:
    async def story() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(BLOCK % b"break" + b"peripheral.input_pin.pin(1).status=make\n\rsomething.new=1\r\n")
            await writer.drain()
            await reader.read()

        async with peer(talk) as address:
            ear = Ear(address)
            async with ear.listening():
                await ear.hears("m1")
                assert ear.link.counts.unknown_lines == 1

    run("asyncio", story())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_link_can_be_stopped_at_any_time(loop: str) -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            for after_s in (0.0, 0.001, 0.002, 0.005, 0.02, 0.15):
                ear = ear_of(camera, login=ADMIN)
                async with ear.listening():
                    await asyncio.sleep(after_s)
                assert not ear.link.up
            ear = ear_of(camera)
            ear.link.stop()
            await ear.link.run()
            with pytest.raises(RuntimeError):
                await ear.link.run()

    run(loop, story())


def test_an_outage_that_lasts_at_the_end_is_told() -> None:
    async def story() -> None:
        async with Simulator(QUIET) as camera:
            ear = ear_of(camera)
            async with ear.listening():
                await ear.is_up()
                camera.camera.fault("alarm-refuse")
                camera.camera.fault("alarm-cut")
                await ear.is_down()
            assert [(outage.reason, outage.log) for outage in ear.outages] == [("stream-broken", LogState.NOT_ASKED)]

    run("uvloop", story())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_the_listener_raises_comes_out(loop: str) -> None:
    def broken(_happened: Happened) -> None:
        raise ZeroDivisionError("a bug")

    async def story() -> None:
        async with Simulator(QUIET) as camera:
            link = AlarmLink("gate", ("127.0.0.1", camera.alarm_port), HostClock(), broken, timing=HASTY)

            async def make() -> None:
                await until(lambda: link.up)
                camera.camera.pin(1, "make")

            async with asyncio.TaskGroup() as group:
                group.create_task(make(), name="input 1")
                with pytest.raises(ExceptionGroup) as raised:
                    await link.run()
            assert raised.value.subgroup(ZeroDivisionError) is not None
            assert not link.up

    run(loop, story())

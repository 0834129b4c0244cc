"""Every parameter of the catalogue against the simulator, which was written from the guide apart from it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from nvr.camera import applying
from nvr.camera.applying import carry_out, read_all
from nvr.camera.control import Control
from nvr.camera.errors import LinkError
from nvr.clock import HostClock
from nvr.jvc import settings
from nvr.jvc.catalogue import Access, Named, NotAllowed, catalogue, find
from nvr.jvc.errors import ApiRefused, RecordingFull
from nvr.jvc.params import Login
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from tests.camera.every_parameter import bad, good
from tests.camera.test_control import PATIENT
from tests.camera.wire import run

QUIET = CameraOptions(
    encode=EncodeSettings(frame_size="qvga", i_interval=10, bitrate_bps=64_000), restart_s=0.1, trace_s=0.3
)
ADMIN = Login("admin", "jvc")
ONES = [
    named
    for parameter in catalogue()
    for every in (list(parameter.each()),)
    for named in (every if len(every) < 3 else [every[0], every[-1]])
]
"""Each parameter with its first and its last indexes."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def simulated(options: CameraOptions = QUIET, login: Login = ADMIN) -> AsyncIterator[tuple[Simulator, Control]]:
    async with Simulator(options) as simulator:
        yield simulator, Control(("127.0.0.1", simulator.http_port), login, HostClock(), deadlines=PATIENT)


def another(named: Named, told: str) -> str:
    """A value that the camera does not have yet, where there is one."""
    if named.name == "network.interface.ip":
        return "127.0.0.1"
    if named.name == "network.http.port":
        return str(free_port())
    if named.name == "camera.shutter":
        return "100"  # shorter ones need another parameter to be 0, which is changed here as well
    if named.name == "encode(1).quality":
        return "25k"  # of both frame sizes
    values = [value for value in good(named) if not named.agree(value, told)]
    return values[0] if values else told


def test_every_setting_is_got_set_committed_read_back_and_there_after_a_power_cut() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            names = [named for named in ONES if named.parameter.is_setting]
            before = await applying.read(control, names)
            assert before.absent == before.forbidden == ()
            wanted = {named.name: another(named, before.values[named.name]) for named in names}
            changes = settings.differences(wanted, before.values)
            alike = {name for name, value in wanted.items() if find(name).agree(value, before.values[name])}
            assert alike <= {"network.interface.ip", "application.event(6).action"}
            report = await carry_out(control, settings.plan(changes))
            assert (report.trouble, report.left, report.unsaved) == (None, [], [])
            assert len(report.applied) == len(changes) > 120
            simulator.lose_power()
            await asyncio.sleep(0.05)
            await control.await_camera(5.0)
            after = await applying.read(control, names)
            assert settings.differences(wanted, after.values) == []

    run("uvloop", story())


LASTS_AT_A_COMMIT = [
    named for named in ONES if named.commit and named.parameter.is_setting and named.commit.endswith("=save")
]


def test_what_is_not_committed_is_lost_with_the_power() -> None:
    async def story() -> None:
        async with simulated() as (simulator, control):
            before = await applying.read(control, LASTS_AT_A_COMMIT)
            for named in LASTS_AT_A_COMMIT:
                await control.write(named.name, another(named, before.values[named.name]))
            assert set(control.unsaved) == {named.name for named in LASTS_AT_A_COMMIT}
            simulator.lose_power()
            await asyncio.sleep(0.05)
            await control.await_camera(5.0)
            assert (await applying.read(control, LASTS_AT_A_COMMIT)).values == before.values

    run("uvloop", story())


def test_what_takes_a_restart_is_told_as_before_until_then() -> None:
    late = [named for named in ONES if named.commit and named.commit.endswith("=restart")]
    assert len(late) > 20

    async def story() -> None:
        async with simulated() as (_, control):
            before = await applying.read(control, late)
            for named in late:
                told = await control.write(named.name, another(named, before.values[named.name]))
                assert told.outcome.code == 202
            assert (await applying.read(control, late)).values == before.values

    run("uvloop", story())


def test_what_may_be_read_is_read_as_the_catalogue_says_it_looks() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            for named in ONES:
                parameter = named.parameter
                if not parameter.get:
                    with pytest.raises(ApiRefused):
                        await control.get(named.name)
                elif parameter.values == ("<report>",):
                    assert await control.report(named.name)
                else:
                    told = await control.get(named.name)
                    assert (
                        told == ""
                        if told == "" and parameter.blank
                        else any(kind.takes(told) for kind in parameter.told)
                    ), (named.name, told)

    run("uvloop", story())


SETS_FIRST = {
    "camera.motion.auto_tracking(2).target": [("camera.motion.auto_tracking(2).status", "start")],
    "camera.private_mask.width": [("camera.private_mask.area(0).status", "edit")],
    "camera.private_mask.height": [("camera.private_mask.area(0).status", "edit")],
}
"""What the guide says must go before."""
RESTARTS = {"system.status", "network.interface.status", "network.http.status", "network.http(configuration).status"}


def test_everything_that_can_be_told_is_taken() -> None:
    """Words that do something, moves, steps: all that is no setting, value by value."""

    async def story() -> None:
        async with simulated() as (_, control):
            await control.write("camera.motion.auto_pan.start_point", "present")
            await control.write("camera.motion.auto_pan.end_point", "present")
            await control.write("camera.motion.auto_trace.record.status", "start")
            await control.write("camera.motion.auto_trace.record.status", "stop")
            told = 0
            for named in ONES:
                parameter = named.parameter
                if not parameter.set or named.name in RESTARTS or parameter.secret:
                    continue
                words = [*parameter.only_set, *(good(named) if not parameter.is_setting else ())]
                for name, value in SETS_FIRST.get(named.name, []):
                    await control.write(name, value)
                for word in words:
                    value = word if ".." not in word else word.partition("..")[2]
                    if parameter.name == "camera.private_mask.area(n).status" and value in ("save", "exit"):
                        await control.write(named.name, "edit")
                    if parameter.name == "camera.position(n).status" and value == "goto":
                        await control.write(named.name, "save")
                    assert (await control.write(named.name, value)).outcome.code in (200, 202), (named.name, value)
                    told += 1
            assert told > 150

    run("uvloop", story())


@pytest.mark.parametrize("named", ONES, ids=lambda named: named.name)
def test_what_a_parameter_does_not_take_is_refused_before_the_wire(named: Named) -> None:
    control = Control(("127.0.0.1", 1), ADMIN, HostClock())

    async def refused(value: str) -> str:
        with pytest.raises(ValueError) as told:  # noqa: PT011 - its sentence is looked at below
            await control.write(named.name, value)
        return str(told.value)

    if named.parameter.kind is Access.READ:
        assert "cannot be set" in asyncio.run(refused("x"))
        return
    wrong = bad(named)
    assert len(wrong) > 2
    for value in wrong:
        sentence = asyncio.run(refused(value))
        assert named.name in sentence
        assert "\n" not in sentence
    assert control.requests == 0


@pytest.mark.parametrize("role", ["operator", "user"])
def test_who_may_not_is_told_so_before_the_wire_and_the_camera_says_the_same(role: str) -> None:
    async def story() -> None:
        async with simulated(login=Login(role, "jvc")) as (_, control):
            for named in ONES:
                parameter = named.parameter
                value = next(iter((*good(named), *parameter.only_set)), "")
                if ".." in value:
                    continue
                if parameter.set and role not in parameter.set:
                    asked = control.requests
                    with pytest.raises(NotAllowed, match="only admin"):
                        await control.write(named.name, value)
                    assert control.requests == asked
                    with pytest.raises(ApiRefused) as told:
                        await control.set(named.name, value, keep=parameter.keep)
                    assert told.value.code == 401, named.name
                if parameter.get and role not in parameter.get:
                    with pytest.raises(NotAllowed):
                        await control.read(named.name)
                    with pytest.raises(ApiRefused) as told:
                        await control.get(named.name)
                    assert told.value.code == 401, named.name
                elif parameter.get:
                    await control.get(named.name)

    run("uvloop", story())


def test_a_backup_survives_the_factory() -> None:
    """backup, factory reset, apply: then nothing differs."""

    async def story() -> None:
        async with simulated() as (_, control):
            names = [named for named in ONES if named.parameter.is_setting]
            before = await applying.read(control, names)
            mine = {named.name: another(named, before.values[named.name]) for named in names}
            mine["network.http.port"] = before.values["network.http.port"]
            await carry_out(control, settings.plan(settings.differences(mine, before.values)))
            kept = settings.expanded(settings.compact((await read_all(control, {})).values))
            assert settings.differences(mine, kept) == []
            await control.write("system.status", "initialize")
            reset = await read_all(control, {})
            changes = settings.differences(kept, reset.values)
            assert len(changes) > 100
            report = await carry_out(control, settings.plan(changes))
            assert report.trouble is None
            assert settings.differences(kept, (await read_all(control, {})).values) == []

    run("uvloop", story())


def test_a_camera_that_loses_power_in_the_middle_is_finished_by_the_next_apply() -> None:
    async def story() -> None:
        async with simulated(replace(QUIET, restart_s=0.4)) as (simulator, control):
            wanted = settings.expanded({f"camera.position({n}).comment": f"P{n}" for n in range(4)}) | {
                "camera.image.pedestal": "0",
                "camera.image.color": "100",
                "camera.detection.status": "off",
            }
            stages = settings.plan(settings.differences(wanted, {}))
            assert [stage.commit for stage in stages] == ["", "camera.status=save"]

            def cut(sentence: str) -> None:
                if sentence.startswith("camera.image.color"):
                    simulator.lose_power()

            report = await carry_out(control, stages, cut)
            assert report.trouble is not None
            assert "connect" in report.trouble or "clos" in report.trouble
            told = {change.name for change in (*report.applied, *report.unsaved, *report.left)}
            assert told == set(wanted)
            assert "camera.image.color" in {change.name for change in report.left}
            await asyncio.sleep(0.1)
            await control.await_camera(10.0)
            again = await carry_out(control, settings.plan(settings.differences(wanted, {})))
            assert again.trouble is None
            names = [find(name) for name in wanted]
            assert settings.differences(wanted, (await applying.read(control, names)).values) == []

    run("uvloop", story())


def test_it_is_found_again_at_a_new_address_and_a_new_port() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            port = free_port()
            written = await control.write("network.http.port", port, commit=True, verify=True)
            assert written.committed == "network.http(configuration).status=restart"
            assert control.address == ("127.0.0.1", port)
            await control.write("network.interface.ip", "127.0.0.2", commit=True, verify=True)
            assert control.address == ("127.0.0.2", port)
            assert await control.get("system.model") == "VN-V685U"
            with pytest.raises(LinkError):
                await Control(("127.0.0.1", port), ADMIN, HostClock(), deadlines=PATIENT).get("system.model")

    run("uvloop", story())


def test_who_restarts_a_camera_says_so_before() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            announced: list[float] = []
            control.on_restart = announced.append
            await control.write("network.interface.mtu", 1500, commit=True, verify=True)
            assert announced == [60.0]
            await control.write("camera.image.pedestal", 0, commit=True)
            assert announced == [60.0]

    run("uvloop", story())


def test_an_alarm_action_that_was_on_goes_on_with_its_changes() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            await control.write("application.event(2).status", True)
            await control.write("application.event(2).action", "pinout/m1/1500", commit=True, verify=True)
            assert await control.read("application.event(2).status") is True
            await control.write("application.event(3).action", "pinout/m1/1500", commit=True, verify=True)
            assert await control.read("application.event(3).status") is False

    run("uvloop", story())


def test_a_trace_that_is_too_long_is_answered_so() -> None:
    async def story() -> None:
        async with simulated(replace(QUIET, trace_moves=2)) as (_, control):
            name = "camera.motion.auto_trace.record.status"
            await control.write(name, "start")
            await control.write("camera.motion.pan", "+1.00")
            await control.write("camera.motion.tilt", "+1.00")
            with pytest.raises(RecordingFull, match=r"auto_trace\(memoryfull\)"):
                await control.write("camera.motion.pan", "+1.00")
            with pytest.raises(RecordingFull, match="206 Partial Content"):
                await control.write(name, "stop")
            await control.write("camera.motion.pan", "+1.00")

    run("uvloop", story())

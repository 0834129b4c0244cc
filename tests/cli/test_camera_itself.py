"""`nvr camera discover`, `snapshot`, `sessions`, `log` and `clock` at simulated cameras."""

import json
import socket
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nvr.simulator.options import CameraOptions
from nvr.simulator.server import Simulator
from tests.cli.conftest import Said, Site
from tests.system.world import World, closed_port

Nvr = Callable[..., Said]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="module")
def simulator(world: World) -> Iterator[Simulator]:
    """One camera that looks somewhere and has seen something."""
    options = CameraOptions(camera_id="Yard", position=(12_345, 9_000, 1_234), search_port=0, seed=3820)
    with world.cameras([options]) as simulator:
        world.do(simulator.camera.see_motion, True)
        world.do(simulator.camera.pin, 1, "make")
        yield simulator


@pytest.fixture
def gate(site: Site, simulator: Simulator) -> Site:
    """A site whose camera `gate` is that one, and `mute` answers nobody."""
    text = site.config.read_text().replace(
        '[camera.gate]\nhost = "127.0.0.1"\n',
        f'[camera.gate]\nhost = "127.0.0.1"\nhttp_port = {simulator.http_port}\nuser = "admin"\npassword = "jvc"\n',
    )
    site.config.write_text(f'{text}\n[camera.mute]\nhost = "127.0.0.1"\nhttp_port = {closed_port()}\n')
    return site


def test_a_snapshot_is_the_cameras_own_file_with_what_it_says(nvr: Nvr, gate: Site, tmp_path: Path) -> None:
    out = tmp_path / "gate.jpg"
    said = nvr("camera", "snapshot", "--camera", "gate", "-o", out, "--json")
    assert said.code == 0, said.err
    assert out.read_bytes()[:2] == b"\xff\xd8"
    assert said.json["size_bytes"] == out.stat().st_size
    assert (said.json["path"], said.json["camera_id"], said.json["model"]) == (str(out), "Yard", "VN-V685U")
    assert (said.json["pan_degrees"], said.json["tilt_degrees"], said.json["zoom"]) == (123.45, 85.0, 12.34)
    assert said.json["motion_seen"] is True
    assert said.json["camera_time"].endswith("Z")
    again = nvr("camera", "snapshot", "--camera", "gate", "-o", out)
    assert (again.code, again.err) == (2, f"nvr: {out} exists; name another file, or add --force\n")
    forced = nvr("camera", "snapshot", "--camera", "gate", "-o", out, "--force")
    assert forced.code == 0
    assert forced.out.startswith(f"{out}: 640 x 480, ")
    assert forced.out.endswith(", pan 123.45 tilt 85.00 zoom 12.34\n")
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_snapshot_may_come_by_multicast(
    nvr: Nvr, gate: Site, world: World, simulator: Simulator, tmp_path: Path
) -> None:
    destination = simulator.camera.destinations[1]
    world.do(destination.set, "framerate", "30")
    world.do(destination.set, "status", "save")
    out = tmp_path / "gate.jpg"
    said = nvr("camera", "snapshot", "--camera", "gate", "-o", out, "--multicast", "--json")
    assert said.code == 0, said.err
    assert destination.running, "it was started"
    assert out.read_bytes()[-2:] == b"\xff\xd9"
    assert said.json["pan_degrees"] is None, "the comment stays behind"
    world.do(destination.set, "status", "stop")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--camera", "mute", "-o", "x.jpg"), 1, "camera 'mute': connecting to 127.0.0.1 port "),
        (("--camera", "shed", "-o", "x.jpg"), 2, "there is no camera 'shed'; there are: gate, door, mute"),
        (("--camera", "gate", "-o", "nowhere/x.jpg"), 2, "there is no folder "),
    ],
)
def test_a_snapshot_that_cannot_be_is_one_sentence(
    nvr: Nvr, gate: Site, words: tuple[str, ...], code: int, sentence: str
) -> None:
    said = nvr("camera", "snapshot", *words)
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith(f"nvr: {sentence}")
    assert said.err.count("\n") == 1


def test_what_a_camera_sends_is_listed_with_its_limits(
    nvr: Nvr, gate: Site, world: World, simulator: Simulator
) -> None:
    idle = nvr("camera", "sessions", "--camera", "gate")
    assert idle.code == 0
    assert idle.out == "the camera sends nothing now\n0 of 20 streams, 0.00 Mbit/s of about 20 Mbit/s\n"
    destination = simulator.camera.destinations[2]
    world.do(destination.set, "status", "start")
    try:
        (stream,) = nvr("camera", "sessions", "--camera", "gate", "--json").json["sending"]
        assert (stream["encode"], stream["to_host"], stream["to_port"]) == ("mpeg4", "225.0.1.2", 59152)
        assert stream["bitrate_bps"] == 2_000_000
        told = nvr("camera", "sessions", "--camera", "gate")
        assert "225.0.1.2:59152" in told.out
        assert told.out.endswith("1 of 20 streams, 2.00 Mbit/s of about 20 Mbit/s\n")
    finally:
        world.do(destination.set, "status", "stop")


def test_the_cameras_log_is_told_by_this_machines_clock(nvr: Nvr, gate: Site) -> None:
    said = nvr("camera", "log", "--camera", "gate", "--json")
    assert said.code == 0, said.err
    assert [entry["change"] for entry in said.json["entries"][:2]] == ["v1", "m1"]
    now = datetime.now(UTC)
    at = datetime.fromisoformat(said.json["entries"][0]["at"])
    assert abs((now - at).total_seconds()) < 120
    told = nvr("camera", "log", "--camera", "gate")
    assert "Alarm Detect (m1)" in told.out
    assert "switched on " in told.out


def test_the_cameras_clock_is_read_and_set(nvr: Nvr, gate: Site, world: World, simulator: Simulator) -> None:
    world.do(simulator.camera.fault, "clock-offset:3605")  # an hour, and five seconds
    try:
        wrong = nvr("camera", "clock", "--camera", "gate")
        assert wrong.code == 1
        assert "+5." in wrong.out or "+4." in wrong.out
        assert wrong.out.endswith("s off, if it means UTC+01:00\n")
        right = nvr("camera", "clock", "--camera", "gate", "--set", "--json")
        assert right.code == 0, right.out
        assert right.json["zone_offset_seconds"] == 3600
        assert abs(right.json["offset_seconds"]) < 1.5
        assert right.json["right"] is True
        assert right.json["timezone"] == "UTC"
    finally:
        world.do(simulator.camera.clear)


def test_what_needs_a_login_says_so(nvr: Nvr, gate: Site) -> None:
    for command in ("sessions", "log", "clock"):
        said = nvr("camera", command, "--camera", "mute")
        assert (said.code, said.out) == (2, "")
        assert said.err == (
            "nvr: the camera 'mute' answers this only with a login; add user and password_file to [camera.mute]\n"
        )


def test_a_wrong_password_is_one_sentence_that_does_not_repeat_it(nvr: Nvr, gate: Site) -> None:
    gate.config.write_text(gate.config.read_text().replace('"jvc"', '"guessed"'))
    said = nvr("camera", "sessions", "--camera", "gate")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("nvr: camera 'gate': the camera refused user admin asking for system.session: 401")
    assert "guessed" not in said.err


def test_cameras_that_are_found_are_printed_as_configuration(nvr: Nvr, gate: Site, simulator: Simulator) -> None:
    asked = ("camera", "discover", "--address", "127.0.0.1", "--port", simulator.search_port, "--seconds", 1)
    known = nvr(*asked)
    assert known.code == 0, known.err
    assert "found VN-V685U at 127.0.0.1" in known.err
    assert "is configured already: [camera." in known.out
    assert tomllib.loads(known.out) == {}
    gate.config.write_text(gate.config.read_text().replace('host = "127.0.0.1"', 'host = "192.168.0.2"'))
    new = nvr(*asked)
    assert tomllib.loads(new.out) == {"camera": {"camera-127-0-0-1": {"host": "127.0.0.1"}}}
    gate.config.write_text(gate.config.read_text() + new.out)
    assert nvr("config", "check").code == 0, "as it was printed"
    (camera,) = nvr(*asked, "--json").json
    assert camera == {
        "model": "VN-V685U",
        "host": "127.0.0.1",
        "prefix_length": 24,
        "source": "127.0.0.1",
        "interface": "-",
        "answers": camera["answers"],
        "configured_as": "camera-127-0-0-1",
    }


def test_where_no_camera_answers_the_search_says_what_to_look_for(nvr: Nvr, gate: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        asked = ("--address", "127.0.0.1", "--port", nobody.getsockname()[1], "--seconds", 1)
        said = nvr("camera", "discover", *asked)
        assert (said.code, said.out) == (1, "")
        assert "no camera answered; a search does not go through routers" in said.err
        assert json.loads(nvr("camera", "discover", *asked, "--json").out) == []

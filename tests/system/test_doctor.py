"""What `nvr doctor` finds of a machine and its cameras, and what `nvr support-bundle` tells and keeps to itself."""

import asyncio
import gzip
import json
import socket
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from nvr.camera.control import Control
from nvr.clock import HostClock
from nvr.jvc.params import Login
from nvr.simulator.options import CameraOptions, EncodeSettings
from tests.system.house import House
from tests.system.world import World, closed_port

_QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)
_SECRET: Final = "correct-horse"
_RULE: Final = '[[rule]]\nname = "door"\nwhen = ["v1"]\n'

Found = dict[str, tuple[str, str]]
"""Verdict and sentence, by name."""


def _looked(house: House) -> tuple[int, Found]:
    """Exit code, and what was found."""
    code, told = house.command("doctor", "--json")
    return code, {one["name"]: (one["verdict"], one["says"]) for one in json.loads(told)}


def _camera(found: Found, camera: str) -> dict[str, str]:
    """The verdicts about a camera."""
    start = f"camera {camera}: "
    return {name.removeprefix(start): verdict for name, (verdict, _) in found.items() if name.startswith(start)}


def _secured() -> CameraOptions:
    return CameraOptions(encode=_QVGA, passwords=dict.fromkeys(("admin", "operator", "user"), _SECRET))


@contextmanager
def _somebody_has() -> Iterator[int]:
    """A port that another program has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def test_cameras_are_found_as_they_are(world: World, tmp_path: Path) -> None:
    cameras = [_secured(), CameraOptions(encode=_QVGA), _secured(), _secured()]
    with world.cameras(cameras, loop_s=1) as simulator:
        for camera, fault in zip(simulator.cameras[2:], ("busy", "no-answer"), strict=True):
            world.do(camera.fault, fault)
        fit, plain, full, barred = (
            dict(zip(("http_port", "alarm_port"), simulator.ports(camera)[:2], strict=True))
            for camera in simulator.cameras
        )
        login = {"user": "admin", "password": _SECRET}
        house = House(
            tmp_path,
            {
                "fit": fit | login,
                "plain": plain,
                "default": plain | {"user": "admin", "password": "jvc"},
                "refused": fit | {"user": "admin", "password": "not-it-at-all"},
                "deaf": fit | {"alarm_port": closed_port()} | login,
                "gone": {"http_port": closed_port()},
                "unknown": {"host": "no-such-host.invalid", "http_port": 80},
                "off": {"http_port": closed_port(), "record": "off"},
                "full": full | login,
                "barred": barred | login,
            },
        )
        house.config.write_text(house.config.read_text() + _RULE)
        house.config.chmod(0o600)
        code, found = _looked(house)
    assert code == 1
    well = {"video": "well", "alarms": "well", "login": "well", "default password": "well"}
    fit_now = _camera(found, "fit")
    assert fit_now.pop("motion") in ("well", "wrong")
    assert fit_now == well
    open_door = well | {"default password": "wrong"}
    assert _camera(found, "plain") == open_door | {"login": "doubtful"}
    assert {name: verdict for name, verdict in _camera(found, "default").items() if name != "motion"} == open_door
    assert _camera(found, "refused") == well | {"login": "wrong"}
    assert {name: verdict for name, verdict in _camera(found, "deaf").items() if name != "motion"} == well | {
        "alarms": "wrong"
    }
    for name in ("full", "barred"):
        assert _camera(found, name)["video"] == "wrong"
        assert "refuses" in found[f"camera {name}: video"][1]
        assert _camera(found, name)["login"] == "well"
    assert _camera(found, "gone") == {"video": "wrong"}
    assert _camera(found, "unknown") == {"video": "wrong"}
    assert found["camera off"] == ("well", "it is off")
    assert "admin or operator or user" in found["camera plain: default password"][1]
    assert "not-it-at-all" not in json.dumps(found)
    assert _SECRET not in json.dumps(found)
    assert found["configuration"][0] == "well"


def test_motion_detection_that_a_rule_needs_and_that_is_off_is_named(world: World, tmp_path: Path) -> None:
    with world.cameras([_secured()], loop_s=1) as simulator:
        http_port, alarm_port = simulator.ports(simulator.cameras[0])[:2]
        keys = {"http_port": http_port, "alarm_port": alarm_port, "user": "admin", "password": _SECRET}
        house = House(tmp_path, {"gate": keys})
        house.config.write_text(house.config.read_text() + _RULE)
        verdicts = []
        control = Control(("127.0.0.1", http_port), Login("admin", _SECRET), HostClock())
        for told in ("off", "on"):
            asyncio.run(control.set("camera.detection.status", told))
            verdicts.append(_looked(house)[1]["camera gate: motion"])
    assert [verdict for verdict, _ in verdicts] == ["wrong", "well"]
    assert "(door): switch it on at the camera" in verdicts[0][1]


def test_what_cannot_be_reached_written_or_read_by_nobody_else_is_named(tmp_path: Path) -> None:
    with _somebody_has() as port:
        house = House(tmp_path, {"gate": {"http_port": closed_port()}}, {"main": tmp_path / "away/footage"})
        house.metrics_port = port
        keys = {"http_port": closed_port(), "user": "admin", "password": "hush-hush"}
        house.configure({"gate": keys})
        house.config.chmod(0o644)
        code, found = _looked(house)
    assert code == 1
    assert found["volume main"][0] == "wrong"
    assert "make it, or mount the disk" in found["volume main"][1]
    assert found[f"port 127.0.0.1:{port}"][0] == "wrong"
    assert found["configuration"][0] == "wrong"
    assert "chmod o=" in found["configuration"][1]
    assert found["daemon"] == ("well", "it does not run")
    code, told = house.command("doctor")
    assert code == 1
    assert [" ".join(line.split()[:4]) for line in told.splitlines()[:2]] == ["what is", "daemon well it does"]
    assert "hush-hush" not in told
    assert found["index"][0] == "well"


def test_a_password_file_that_others_may_read_is_wrong_and_one_for_systemd_is_tried(
    world: World, tmp_path: Path
) -> None:
    with world.cameras([_secured()], loop_s=1) as simulator:
        http_port, alarm_port = simulator.ports(simulator.cameras[0])[:2]
        keys = {"http_port": http_port, "alarm_port": alarm_port, "user": "admin"}
        house = House(tmp_path, {"file": keys | {"password_file": "file.password"}, "systemd": keys})
        (tmp_path / "file.password").write_text(_SECRET)
        (tmp_path / "file.password").chmod(0o644)
        (tmp_path / "credentials").mkdir(mode=0o700)
        (tmp_path / "credentials/systemd").write_text(f"{_SECRET}\n")
        (tmp_path / "credentials/systemd").chmod(0o600)
        _, found = _looked(house)
    assert found["camera file: login"][0] == "wrong"
    assert "run: chmod 600" in found["camera file: login"][1]
    assert found["camera systemd: login"][0] == "well"


def test_a_daemon_that_runs_is_found_and_its_index_and_its_cameras_are_left_alone(world: World, tmp_path: Path) -> None:
    with ExitStack() as ends:
        simulator = ends.enter_context(world.cameras([_secured()], loop_s=1))
        http_port, alarm_port = simulator.ports(simulator.cameras[0])[:2]
        house = House(tmp_path, {"gate": {"http_port": http_port, "alarm_port": alarm_port}})
        daemon = ends.enter_context(house.start())
        daemon.wait_recording()
        _, found = _looked(house)
        assert found["camera gate: video"] == ("well", f"the daemon records it from 127.0.0.1:{http_port}")
        assert found["daemon"] == ("well", f"it runs as process {daemon.pid}")
        assert found[f"port 127.0.0.1:{house.metrics_port}"] == ("well", "nvr answers there")
        assert found["index"] == ("well", "it can be read and knows 1 camera")
        assert found["open files"][1].startswith("the daemon may have")
        assert daemon.terminate()[0] == 0
    before = {path: path.read_bytes() for path in house.data_dir.rglob("*") if path.is_file()}
    _looked(house)
    assert {path: path.read_bytes() for path in house.data_dir.rglob("*") if path.is_file()} == before
    assert list(tmp_path.rglob(".nvr-doctor*")) == []


def test_a_bundle_holds_what_is_needed_and_no_password(tmp_path: Path) -> None:
    """Every way to give a password, each with one of its own."""
    folder = tmp_path / "house"
    secrets = [_SECRET, "file-ünd-pass", "systemd \\ word", 'quote"d']
    door = {"http_port": closed_port(), "user": "guard"}
    house = House(
        folder,
        {
            "inline": door | {"password": secrets[0]},
            "file": door | {"password_file": "file.password"},
            "systemd": door,
            "quoted": door | {"password": secrets[3]},
        },
    )
    (folder / "credentials").mkdir(mode=0o700)
    for path, secret in ((folder / "file.password", secrets[1]), (folder / "credentials/systemd", secrets[2])):
        path.write_text(f"{secret}\n")
        path.chmod(0o600)
    # Where nobody would look for one: the log, as it would be if nvr had ever said it.
    basic = b64encode(f"guard:{secrets[0]}".encode()).decode()
    (folder / "nvr.log").write_text("".join(f"logged {one} and {json.dumps(one)}\n" for one in [*secrets, basic]))
    out = tmp_path / "bundle.tar.gz"
    with house.start({"CREDENTIALS_DIRECTORY": str(_handed_over(folder, secrets[2]))}) as daemon:
        daemon.wait_for("answering", bool, 20)
        code, told = house.command("support-bundle", "-o", str(out), "--json")
        assert daemon.terminate()[0] == 0
    assert code == 0
    assert json.loads(told)["path"] == str(out)
    assert out.stat().st_mode & 0o777 == 0o600
    raw = gzip.decompress(out.read_bytes())
    forms = [
        form for one in secrets for form in (one, json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1])
    ]
    assert [form for form in [*forms, basic] if form.encode() in raw] == []
    parts = _parts(out)
    assert parts.keys() == json.loads(told)["parts"].keys()
    assert all(part in parts["README.txt"] for part in parts if part != "README.txt")
    assert json.loads(parts["status.json"])["cameras"][0]["camera"] == "inline"
    assert {one["name"] for one in json.loads(parts["doctor.json"])} >= {"clock", "SQLite", "volume main: speed"}
    assert json.loads(parts["db-check.json"])["files"] == 0
    assert json.loads(parts["versions.json"])["nvr"]
    assert "nvr_build_info" in parts["metrics.txt"]
    assert parts["config.toml"].count('password = "***"') == 2
    assert 'user = "guard"' in parts["config.toml"]
    assert "logged ***" in parts["log.txt"]
    assert '"message"' in parts["log.txt"]
    assert all(json.loads(line)["at"] for line in parts["events.jsonl"].splitlines())


def _handed_over(folder: Path, password: str) -> Path:
    """As systemd does."""
    place = folder / "run-credentials"
    place.mkdir()
    (place / "camera_systemd").write_text(f"{password}\n")
    return place


def test_files_of_footage_are_counted_and_not_named(tmp_path: Path) -> None:
    house = House(tmp_path / "house", {"gate": {"http_port": 1}})
    footage = house.volume_path("main") / "gate"
    for path in (
        "2026/11/23/20261123T140322.123Z-1795442602-0.mp4",
        "2026/11/25/20261125T140322.123Z-1795442602-1.mp4",
        "2026/11/25/20261125T140422.123Z-1795442602-2.mp4.part",
        "clips/2026/11/20261123T140322Z-door-7.mp4",
        "clips/2026/11/20261123T140322Z-door-7.mp4.lock",
        "notes.txt",
    ):
        (footage / path).parent.mkdir(parents=True, exist_ok=True)
        (footage / path).write_bytes(b"1234567890")
    assert house.command("support-bundle", "-o", str(tmp_path / "bundle.tar.gz"))[0] == 0
    parts = _parts(tmp_path / "bundle.tar.gz")
    counted = {"segments": 2, "being_written": 1, "clips": 1, "locks": 1, "others": 1, "size_bytes": 60}
    found = json.loads(parts["files.json"])["main"]["gate"]
    assert {key: found[key] for key in counted} == counted
    assert found["days"][-1] == "2026-11-25"
    assert "20261123T140322" not in "".join(parts.values())


@pytest.mark.parametrize(
    "line",
    [
        'password = "correct-horse"',
        "password='correct-horse'",
        '"password" = "correct-horse" # for the gate',
        'camera.door = { host = "h", user = "u", password = "correct-horse" }',
        'listen_to = "http://admin:correct-horse@192.168.0.2/"',
        'password = "correct-horse',
    ],
)
def test_a_bundle_of_a_wrong_configuration_says_what_is_wrong_and_no_password(tmp_path: Path, line: str) -> None:
    house = House(tmp_path / "house", {"gate": {"http_port": 1}})
    house.config.write_text(f"nonsense = 1\n{house.config.read_text()}{line}\n")
    code, _ = house.command("support-bundle", "-o", str(tmp_path / "bundle.tar.gz"))
    assert code == 0
    parts = _parts(tmp_path / "bundle.tar.gz")
    assert "nonsense" in parts["config-check.txt"] or "not TOML" in parts["config-check.txt"]
    assert _SECRET not in "".join(parts.values())


def test_a_bundle_is_never_written_over_a_file(tmp_path: Path) -> None:
    house = House(tmp_path / "house", {"gate": {"http_port": 1}})
    (tmp_path / "mine").write_text("mine")
    assert house.command("support-bundle", "-o", str(tmp_path / "mine"))[0] == 2
    assert (tmp_path / "mine").read_text() == "mine"


def _parts(bundle: Path) -> dict[str, str]:
    parts = {}
    with tarfile.open(bundle) as opened:
        for member in opened.getmembers():
            file = opened.extractfile(member)
            assert file is not None
            parts[member.name.removeprefix("nvr-support/")] = file.read().decode()
    return parts

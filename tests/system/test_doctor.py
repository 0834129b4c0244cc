"""What `nvr doctor` finds of a machine and its cameras, and what `nvr support-bundle` tells and keeps to itself."""

import json
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from tests.system.house import House
from tests.system.world import World, closed_port

_QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)
_SECRET: Final = "correct-horse"
_RULE: Final = '[[rule]]\nname = "door"\nwhen = ["v1"]\n'


def _looked(house: House) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit code, and what was found by what it is about."""
    code, told = house.command("doctor", "--json")
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(told):
        found.setdefault(finding["about"], []).append(finding)
    return code, found


def _verdicts(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(finding["verdict"], finding["says"]) for finding in found]


def _secured() -> CameraOptions:
    return CameraOptions(encode=_QVGA, passwords=dict.fromkeys(("admin", "operator", "user"), _SECRET))


def test_a_camera_that_is_fit_is_found_so(world: World, tmp_path: Path) -> None:
    with world.cameras([_secured()], loop_s=1) as simulator:
        http_port, alarm_port = simulator.ports(simulator.cameras[0])[:2]
        keys = {"http_port": http_port, "alarm_port": alarm_port, "user": "admin", "password": _SECRET}
        house = House(tmp_path, {"gate": keys})
        house.config.write_text(house.config.read_text() + _RULE)
        _, found = _looked(house)
    told = _verdicts(found["camera gate"])
    assert [verdict for verdict, _ in told[:3]] == ["fine", "fine", "fine"], told
    assert told[2][1] == "takes the user 'admin'"
    assert told[3][1] in ("detects motion", "a rule needs motion, and its motion detection is off; switch it on there")
    assert found["volume main"][0]["verdict"] in ("fine", "doubtful")
    assert "a synced write takes" in found["volume main"][0]["says"]
    assert [path.name for path in tmp_path.rglob(".nvr-doctor*")] == []


def test_a_default_password_and_a_wrong_one_are_found(world: World, tmp_path: Path) -> None:
    with world.cameras([CameraOptions(encode=_QVGA), _secured()], loop_s=1) as simulator:
        ports = [simulator.ports(camera)[0] for camera in simulator.cameras]
        house = House(
            tmp_path,
            {
                "plain": {"http_port": ports[0]},
                "default": {"http_port": ports[0], "user": "admin", "password": "jvc"},
                "wrong": {"http_port": ports[1], "user": "admin", "password": "not-it-at-all"},
            },
        )
        code, found = _looked(house)
    assert code == 1
    assert ("bad", "takes the vendor's default password for admin; change it") in _verdicts(found["camera plain"])
    default = "is configured with the vendor's default password; change it there"
    assert ("bad", default) in _verdicts(found["camera default"])
    assert ("bad", "refuses the user 'admin' with this password") in _verdicts(found["camera wrong"])
    assert "not-it-at-all" not in json.dumps(found)


def test_what_cannot_be_reached_or_written_is_named(tmp_path: Path) -> None:
    house = House(tmp_path, {"gate": {"http_port": closed_port()}}, {"main": tmp_path / "away/footage"})
    code, found = _looked(house)
    assert code == 1
    assert found["volume main"][0] == {
        "about": "volume main",
        "verdict": "bad",
        "says": f"{tmp_path / 'away'} is not there; make it, or mount the disk",
    }
    (verdict, says) = _verdicts(found["camera gate"])[0]
    assert verdict == "bad"
    assert "cannot be reached at 127.0.0.1:" in says


def test_a_bundle_holds_what_is_needed_and_no_password(tmp_path: Path) -> None:
    keys = {"http_port": closed_port(), "user": "admin", "password": _SECRET}
    house = House(tmp_path / "house", {"gate": keys})
    out = tmp_path / "bundle.tar.gz"
    with house.start() as daemon:
        daemon.wait_for("answering", bool, 20)
        code, told = house.command("support-bundle", "-o", str(out), "--json")
        assert daemon.terminate()[0] == 0
    assert code == 0
    assert json.loads(told)["path"] == str(out)
    assert out.stat().st_mode & 0o777 == 0o600
    parts = _parts(out)
    assert parts.keys() >= {"version.json", "config.toml", "journal.txt", "status.json", "metrics.txt", "events.jsonl"}
    assert json.loads(parts["status.json"])["cameras"][0]["camera"] == "gate"
    assert json.loads(parts["doctor.json"])
    assert "nvr_build_info" in parts["metrics.txt"]
    assert 'password = "***"' in parts["config.toml"]
    assert [name for name, text in parts.items() if _SECRET in text] == []


@pytest.mark.parametrize(
    "line",
    [
        'password = "correct-horse"',
        "password='correct-horse'",
        '"password" = "correct-horse" # for the gate',
        'camera.door = { host = "h", user = "u", password = "correct-horse" }',
        'listen_to = "http://admin:correct-horse@192.168.0.2/"',
    ],
)
def test_a_bundle_of_a_wrong_configuration_says_what_is_wrong_and_no_password(tmp_path: Path, line: str) -> None:
    house = House(tmp_path / "house", {"gate": {"http_port": 1}})
    house.config.write_text(f"nonsense = 1\n{house.config.read_text()}{line}\n")
    code, _ = house.command("support-bundle", "-o", str(tmp_path / "bundle.tar.gz"))
    assert code == 0
    parts = _parts(tmp_path / "bundle.tar.gz")
    assert "nonsense" in parts["config-errors.txt"]
    assert [name for name, text in parts.items() if _SECRET in text] == []


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

"""What a camera says beside its pictures, and what the kernel says of the clock, seen through the whole daemon."""

import json
import time
import urllib.request
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from nvr.media import label
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.supervisor.host_clock import read
from tests.system.house import House
from tests.system.world import World

_ENCODE = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=3, bitrate_bps=200_000)
_SETTLED_S = 60.0  # what is said is the middle one of five blocks of ten seconds


def metric(house: House, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{house.metrics_port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    [value] = [line.rpartition(" ")[2] for line in lines if line.startswith((f"{name}{{", f"{name} "))]
    return float(value)


def identity(house: House) -> str | None:
    known = house.reader().camera("gate")
    return known.ident if known is not None else None


def is_off_by(camera: dict[str, Any], seconds: float) -> bool:
    """The camera's clock, as `nvr status` tells of it."""
    offset_s = camera["clock_offset_seconds"]
    return offset_s is not None and offset_s == pytest.approx(seconds, abs=0.4)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SETTLED_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def events(house: House) -> list[dict[str, Any]]:
    code, told = house.command("events", "--json")
    assert code == 0
    found: list[dict[str, Any]] = json.loads(told)
    return found


def test_a_camera_whose_clock_is_set_whose_fan_fails_and_that_is_exchanged(world: World, tmp_path: Path) -> None:
    options = CameraOptions(encode=_ENCODE, clock_offset_s=-3.0, camera_id="gate")
    synchronised = read().synchronised
    with world.cameras([options]) as simulator:
        [camera] = simulator.cameras
        house = House(tmp_path, {"gate": {"http_port": simulator.ports(camera)[0], "user": "admin", "password": "jvc"}})
        with house.start() as daemon:
            daemon.wait_recording()
            # Pictures that come late make the clock seem slow, until one has come on time.
            daemon.wait_for("the offset is known", lambda now: is_off_by(now["gate"], -3), _SETTLED_S)
            first = daemon.states()["gate"]
            assert (first["clock_drift_ppm"], first["fan_failed"], first["camera_id"]) == (None, False, "gate")
            wait_until(lambda: identity(house) == "gate")
            world.do(camera.fault, "clock-offset:5")
            world.do(setattr, camera, "fan_failed", True)
            world.do(setattr, camera, "camera_id", "yard")
            daemon.wait_for(
                "all of it is said",
                lambda now: is_off_by(now["gate"], 2) and now["gate"]["fan_failed"] and now["gate"]["firmware"],
                _SETTLED_S,
            )
            wait_until(lambda: len(events(house)) >= (4 if synchronised is False else 3))
            status = daemon.status()
            assert status is not None
            assert status["host_clock"]["synchronised"] is synchronised
            assert is_off_by(status["cameras"][0], 2)
            assert metric(house, "nvr_camera_clock_offset_seconds") == pytest.approx(2, abs=0.4)
            assert metric(house, "nvr_camera_fan_failed") == 1
            if synchronised is not None:
                assert metric(house, "nvr_host_clock_synchronised") == int(synchronised)
            assert daemon.terminate()[0] == 0
            said = " ".join(entry["message"] for entry in daemon.log())
        happened = {event["kind"]: event for event in events(house)}
        assert happened.keys() - {"host-clock-unsynchronised"} == {"camera-clock-step", "fan-failed", "camera-changed"}
        assert ("host-clock-unsynchronised" in happened) is (synchronised is False)
        assert happened["camera-clock-step"]["facts"]["by_seconds"] == pytest.approx(5, abs=1.5)
        assert "camera 'gate' now says it is a VN-V685U called 'yard'; was a VN-V685U called 'gate'" in said
        assert "the camera says its fan failed" in said
        _, told = house.command("status", "--json")
        [still] = json.loads(told)["cameras"]
        assert (still["camera_id"], still["fan_failed"], still["model"]) == ("yard", True, "VN-V685U")
        assert still["firmware"] == "net V3-00, sys V3-00, cam V3-00, lens V3-00"
        # Noted with the step, when three pictures told of it, so that three late ones may be in it.
        assert still["clock_offset_seconds"] == pytest.approx(2, abs=1.5)
        _, told = house.command("footage", "list", "--camera", "gate", "--corrected", "--json")
        segments = json.loads(told)
        assert segments
        for segment in segments:
            assert segment["clock_synchronised"] is (synchronised is not False)
            assert segment["correction_seconds"] == 0
            sealed = label.read(Path(segment["path"]))
            assert sealed is not None
            assert sealed.synchronised is synchronised

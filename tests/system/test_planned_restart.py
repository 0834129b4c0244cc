"""A camera that nvr itself restarts is off as planned, and what its configuration declares is put right."""

import time
from fractions import Fraction
from pathlib import Path

from nvr.simulator.options import CameraOptions, EncodeSettings
from tests.system.house import House
from tests.system.world import World

_ENCODE = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=8, bitrate_bps=300_000)


def test_a_restart_that_was_asked_for_is_off_and_no_gap(world: World, tmp_path: Path) -> None:
    with world.cameras([CameraOptions(encode=_ENCODE, restart_s=1.0)]) as simulator:
        http, alarm, _ = simulator.ports(simulator.camera)
        house = House(tmp_path, {"gate": {"http_port": http, "alarm_port": alarm, "user": "admin", "password": "jvc"}})
        declared = '[camera.gate.settings]\nenforce = true\n"camera.image.pedestal" = 0\n'
        house.config.write_text(house.config.read_text() + declared)
        with house.start() as daemon:
            daemon.wait_recording()
            assert house.command("camera", "set", "--camera", "gate", "system.status=restart")[0] == 0
            daemon.wait_recording()
            spans = house.coverage("gate")
            reasons = [span.reason for span in spans if span.kind != "recorded"]
            assert "camera-restart" in reasons
            assert [span.kind for span in spans if span.reason == "camera-restart"] == ["off"]
            assert set(reasons) <= {"camera-restart", "service-stopped"}
            _wait_for_enforced(house)
            assert daemon.terminate()[0] == 0


def _wait_for_enforced(house: House) -> None:
    deadline = time.monotonic() + 20
    told = ""
    while "camera.image.pedestal=0\n" not in told:
        assert time.monotonic() < deadline, told
        told = house.command("camera", "get", "--camera", "gate", "camera.image.pedestal")[1]

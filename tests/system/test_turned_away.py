"""A camera that is turned away from where it should look, through the whole daemon: told, alarmed, recorded."""

import json
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.store.rows import LookKind
from tests.system.house import Daemon, House
from tests.system.test_clocks import metric
from tests.system.world import World

_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=5, bitrate_bps=200_000)
_GATE: Final = (9_215, 180, 1_200)
_PATIENCE_S: Final = 30.0
_RULE: Final = '[[rule]]\nname = "away"\nwhen = ["moved"]\npre_seconds = 1\npost_seconds = 1\n'


def _preset(camera: Camera, number: int) -> None:
    """Saves where it looks as a preset, and so stands on it."""
    camera.mount.save_preset(number, time.monotonic())


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _turned_away(daemon: Daemon, away: bool | None) -> None:
    daemon.wait_for(f"turned away: {away}", lambda now: bool(now) and now["gate"]["turned_away"] is away, _PATIENCE_S)


def _facts(house: House, *words: str) -> Any:
    code, told = house.command(*words, "--json")
    assert code == 0
    return json.loads(told)


def test_a_camera_turned_away_is_an_event_an_alarm_and_a_clip_until_it_is_back(world: World, tmp_path: Path) -> None:
    with world.cameras([CameraOptions(encode=_ENCODE, position=_GATE)]) as simulator:
        [camera] = simulator.cameras
        http, alarm, _ = simulator.ports(camera)
        keys = {"http_port": http, "alarm_port": alarm}
        house = House(tmp_path, {"gate": keys}, segment_seconds=2)
        house.config.write_text(house.config.read_text() + "expect = { preset = 3, after_seconds = 1 }\n" + _RULE)
        with house.start() as daemon:
            daemon.wait_recording()
            gate = daemon.states()["gate"]
            assert (gate["expected"], gate["turned_away"]) == ("at preset 3", None)
            assert gate["expected_doubt"] == "nvr has never seen where preset 3 is: move the camera there once"
            world.do(_preset, camera, 3)
            _turned_away(daemon, False)
            assert metric(house, "nvr_camera_turned_away") == 0
            # By hand: from now on the camera names no preset.
            world.do(camera.look, 20_000, 180, 1_200)
            _turned_away(daemon, True)
            assert metric(house, "nvr_camera_turned_away") == 1
            _wait_until(lambda: len(_facts(house, "clips", "list")) == 1)
            world.do(camera.look, *_GATE)
            _turned_away(daemon, False)
            _wait_until(lambda: _facts(house, "clips", "list")[0]["state"] == "closed")
            assert daemon.terminate()[0] == 0
            daemon.log()
        away, back = (event for event in _facts(house, "events") if event["kind"].startswith("turned"))
        assert (away["kind"], back["kind"]) == ("turned-away", "turned-back")
        assert away["text"] == "the camera is expected at preset 3 and looked elsewhere for 1 seconds"
        assert (away["facts"]["pan_degrees"], back["facts"]["pan_degrees"]) == (200, 92.15)
        [clip] = _facts(house, "clips", "list")
        assert (clip["rule"], clip["trigger"], clip["state"]) == ("away", "moved", "closed")
        assert clip["alarm_at"] < back["at"] < clip["end"]

        # The next life knows the preset's place from the footage, whatever the camera names.
        seen = {look.view for look in house.reader().looks_along("gate", 0, 1 << 60, limit=100)[0]}
        assert {view.preset for view in seen if view.kind is LookKind.REST} >= {3}
        world.do(camera.look, 20_000, 180, 1_200)
        with house.start() as daemon:
            _turned_away(daemon, True)
            assert daemon.terminate()[0] == 0

"""A camera that is turned away from where it should look, through the whole daemon: told, alarmed, recorded."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.store.rows import LookKind
from tests.system.house import Daemon, House
from tests.system.test_clocks import metric
from tests.system.world import World

_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=5, bitrate_bps=200_000)
_GATE: Final = (9_215, 180, 1_200)
_YARD: Final = (20_000, 180, 1_200)
_PATIENCE_S: Final = 60.0
_RULE: Final = '[[rule]]\nname = "away"\nwhen = ["moved"]\npre_seconds = 1\npost_seconds = 1\n'


@dataclass(slots=True)
class Turned:
    """A camera that stood on a preset, was turned away by hand and came back; a second life that finds it away."""

    house: House
    at_first: dict[str, Any]
    """What status said before the camera named its preset."""
    metrics: list[float]
    """nvr_camera_turned_away on the preset, and while it looked away."""


@contextmanager
def turned(world: World, folder: Path) -> Iterator[Turned]:
    """Tells the story; every wait is one for what must become so."""
    with world.cameras([CameraOptions(encode=_ENCODE, position=_GATE)]) as simulator:
        [camera] = simulator.cameras
        http, alarm, _ = simulator.ports(camera)
        house = House(folder, {"gate": {"http_port": http, "alarm_port": alarm}}, segment_seconds=2)
        house.config.write_text(house.config.read_text() + "expect = { preset = 3, after_seconds = 1 }\n" + _RULE)
        with house.start() as daemon:
            daemon.wait_recording()
            told = Turned(house, daemon.states()["gate"], [])
            world.do(_save_preset, camera, 3)
            _wait_until_turned(daemon, False)
            told.metrics.append(metric(house, "nvr_camera_turned_away"))
            world.do(camera.look, *_YARD)  # by hand: from now on it names no preset
            _wait_until_turned(daemon, True)
            told.metrics.append(metric(house, "nvr_camera_turned_away"))
            world.do(camera.look, *_GATE)
            _wait_until_turned(daemon, False)
            deadline = time.monotonic() + _PATIENCE_S
            while [clip["state"] for clip in facts(house, "clips", "list")] != ["closed"]:
                assert time.monotonic() < deadline, "no clip is closed"
                time.sleep(0.1)
            assert daemon.terminate()[0] == 0
            daemon.log()
        world.do(camera.look, *_YARD)
        with house.start() as daemon:
            _wait_until_turned(daemon, True)
            assert daemon.terminate()[0] == 0
    yield told


def _save_preset(camera: Camera, number: int) -> None:
    """Where it looks now; so it stands on it."""
    camera.mount.save_preset(number, time.monotonic())


def _wait_until_turned(daemon: Daemon, away: bool) -> None:
    daemon.wait_for(
        f"turned away: {away}", lambda now: bool(now) and now["gate"]["turned_away"] is away, within_s=_PATIENCE_S
    )


def facts(house: House, *words: str) -> Any:
    """What a command prints for machines."""
    code, told = house.command(*words, "--json")
    assert code == 0
    return json.loads(told)


STORIES: Final = {"turned-away": turned}


@pytest.fixture(scope="module")
def story(stories: "dict[str, Future[Turned]]") -> Turned:
    return stories["turned-away"].result()


def test_before_its_preset_was_ever_named_nothing_is_known_and_status_says_so(story: Turned) -> None:
    assert (story.at_first["expected"], story.at_first["turned_away"]) == ("at preset 3", None)
    assert story.at_first["expected_doubt"] == "nvr has never seen where preset 3 is: move the camera there once"


def test_a_camera_turned_away_by_hand_is_an_event_and_so_is_its_return(story: Turned) -> None:
    away, back, again = (event for event in facts(story.house, "events") if event["kind"].startswith("turned"))
    assert [event["kind"] for event in (away, back, again)] == ["turned-away", "turned-back", "turned-away"]
    assert away["text"] == "the camera is expected at preset 3 and looked elsewhere for 1 seconds"
    assert (away["facts"]["pan_degrees"], back["facts"]["pan_degrees"]) == (200, 92.15)
    assert story.metrics == [0, 1]


def test_it_raises_an_alarm_whose_clip_lasts_until_it_is_back(story: Turned) -> None:
    back = next(event for event in facts(story.house, "events") if event["kind"] == "turned-back")
    clip, _ = facts(story.house, "clips", "list")
    assert (clip["rule"], clip["trigger"]) == ("away", "moved")
    assert clip["start"] < clip["alarm_at"] < back["at"] < clip["end"]


def test_the_next_life_knows_the_presets_place_from_the_footage(story: Turned) -> None:
    """It found the camera turned away, which names no preset any more."""
    looks, _ = story.house.reader().looks_along("gate", 0, 1 << 60, limit=100)
    assert {look.view.preset for look in looks if look.view.kind is LookKind.REST} == {3, None}
    [gate] = facts_of_still(story.house)
    assert (gate["turned_away"], gate["expected"]) == (True, "at preset 3")


def facts_of_still(house: House) -> Any:
    """What status says of the cameras without a daemon, which is not well."""
    code, told = house.command("status", "--json")
    assert code == 1
    return json.loads(told)["cameras"]

"""Multicast through the whole daemon, over a network that loses, swaps and doubles packets, and over one without."""

import random
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from tests.system.conftest import Stories
from tests.system.footage import pictures_of, segments_of
from tests.system.house import House
from tests.system.world import World

_ENCODE = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=6, bitrate_bps=1_000_000)
_HIT = 8  # pictures that lose a packet before the story ends


@dataclass
class Told:
    """What is left of the story."""

    house: House
    sent: list[SentVop]
    """Of the camera in the crowded network."""
    states: dict[str, dict[str, Any]]
    """At the end of recording."""
    hit: float
    """As counted by the metric."""
    log: list[dict[str, Any]]


def _group() -> tuple[str, int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"239.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}", port


def lost(house: House) -> float:
    """Pictures of the crowded camera that never came whole, by the metric."""
    with urllib.request.urlopen(f"http://127.0.0.1:{house.metrics_port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    name = 'nvr_camera_frames_lost_total{camera="crowded",cause="frames-missing"}'
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(name)]
    return float(value)


def _since(sent: list[SentVop], kept: str) -> list[SentVop]:
    """What was sent from that picture on."""
    return sent[next(at for at, record in enumerate(sent) if record.sha256 == kept) :]


def _hit(sent: list[SentVop]) -> int:
    """How many never came whole; what was lost behind the last whole one nobody can miss."""
    last = max(at for at, record in enumerate(sent) if record.complete)
    return sum(not record.complete for record in sent[:last])


def _hit_since_first_picture(house: House, sent: list[SentVop]) -> int:
    first = pictures_of(house, segments_of(house, "crowded")[:1])[0]
    return _hit(_since(sent, first.sha256))


def _send(camera: Camera, group: tuple[str, int]) -> None:
    destination = camera.destinations[2]
    for key, value in (("host", group[0]), ("port", str(group[1])), ("status", "save")):
        destination.set(key, value)


@contextmanager
def received(world: World, folder: Path) -> Iterator[Told]:
    """One camera whose network is crowded and which is asked for its group, and one whose multicast never comes."""
    options = [CameraOptions(encode=_ENCODE, camera_id=name, seed=11) for name in ("crowded", "barred")]
    with world.cameras(options) as simulator:
        crowded, barred = simulator.cameras
        group, nowhere = _group(), _group()
        world.do(_send, crowded, group)
        for fault in ("loss:0.02", "reorder:0.02", "duplicate:0.02"):
            world.do(crowded.fault, fault)
        login = {"user": "admin", "password": "jvc", "transport": "multicast"}
        house = House(
            folder,
            {
                "crowded": {"http_port": simulator.ports(crowded)[0], "multicast_start": True} | login,
                "barred": {
                    "http_port": simulator.ports(barred)[0],
                    "transport": "multicast",
                    "multicast_group": nowhere[0],
                    "multicast_port": nowhere[1],
                },
            },
        )
        # Its film is made by a job that every start arranges.
        house.config.write_text(house.config.read_text() + "[camera.barred.timelapse]\nevery_seconds = 1\n")
        with house.start() as daemon:
            daemon.wait_recording(within_s=30)
            daemon.wait_for(
                "enough pictures were hit",
                lambda _: sum(not record.complete for record in world.sent(crowded)) >= _HIT,
                30,
            )
            states = daemon.states()
            world.do(crowded.destinations[2].set, "status", "stop")
            expected = _hit_since_first_picture(house, world.sent(crowded))
            daemon.wait_for("all of them are counted", lambda _: lost(house) >= expected, 10)
            hit = lost(house)
            code, _ = daemon.terminate()
            assert code == 0
            yield Told(house, world.sent(crowded), states, hit, daemon.log())


STORIES: Final = {"multicast": received}


@pytest.fixture(scope="module")
def told(stories: Stories) -> Told:
    result: Told = stories["multicast"].result(120)
    return result


def test_every_picture_that_was_not_hit_is_in_the_footage_and_every_hit_one_is_counted(told: Told) -> None:
    kept = [picture.sha256 for picture in pictures_of(told.house, segments_of(told.house, "crowded"))]
    sent = _since(told.sent, kept[0])
    wanted, is_broken = [], False
    for record in sent:
        is_broken = not record.complete or (is_broken and not record.key)
        if not is_broken:
            wanted.append(record.sha256)
    assert kept == wanted
    hit = _hit(sent)
    assert hit >= _HIT // 2
    assert hit <= told.hit <= sum(not record.complete for record in told.sent)


def test_where_it_looks_is_asked_and_recorded_with_it(told: Told) -> None:
    assert told.states["crowded"]["transport"] == "multicast"
    assert (told.states["crowded"]["pan_degrees"], told.states["crowded"]["tilt_degrees"]) == (0.0, 0.0)


def test_where_no_multicast_comes_video_goes_on_over_http_and_it_is_said(told: Told) -> None:
    barred = told.states["barred"]
    assert (barred["state"], barred["transport"]) == ("recording", "http")
    assert "no packet of the camera's multicast came to 239." in barred["multicast_trouble"]
    fallen = next(entry for entry in told.log if entry.get("action") == "multicast-fallback")
    assert (fallen["camera"], fallen["level"]) == ("barred", "warning")
    assert segments_of(told.house, "barred")

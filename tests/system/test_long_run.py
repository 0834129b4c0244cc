"""Half an hour with 32 cameras, faults at random, scrapes and commands: nothing grows, and coverage tells the truth."""

import os
import random
import re
import time
import urllib.request
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from threading import Event, Thread
from typing import Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from nvr.simulator.truth import SentVop
from tests.system.footage import check_in_order, unpromised
from tests.system.house import Daemon, House, Span
from tests.system.world import World

pytestmark = pytest.mark.soak

_SECONDS: Final = float(os.environ.get("NVR_SOAK_SECONDS", "1800"))
_CAMERAS: Final = 32
_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(10), i_interval=10, bitrate_bps=300_000)
_FAULTS: Final = (
    "stall+4",
    "stall+13",
    "cut",
    "cut:rst",
    "cut-vop",
    "no-answer+5",
    "busy+5",
    "garbage",
    "drop-frames+3",
)
_SETTLED_S: Final = min(120.0, _SECONDS / 3)  # buffers and caches are as large as they get by then
_EDGE_US: Final = 1_100_000  # between what a socket was handed and what a span says: bytes are taken once a second
_LAG: Final = re.compile(r'^nvr_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass(slots=True)
class _Weight:
    """What the daemon weighs at a moment."""

    memory_bytes: int
    descriptors: int
    threads: int


@dataclass(slots=True)
class _Watched:
    weights: list[_Weight] = field(default_factory=list)
    page: str = ""
    wrong: list[str] = field(default_factory=list)


def test_half_an_hour_grows_nothing_and_is_accounted_for_to_the_picture(
    world: World, tmp_path: Path, figures: list[str]
) -> None:
    names = [f"camera-{number}" for number in range(_CAMERAS)]
    options = [CameraOptions(camera_id=name, encode=_ENCODE, keep_sent=100_000) for name in names]
    with world.cameras(options, loop_s=10) as simulator:
        ports = [simulator.ports(camera)[:2] for camera in simulator.cameras]
        keys = {
            name: {"http_port": http, "alarm_port": alarm} for name, (http, alarm) in zip(names, ports, strict=True)
        }
        house = House(tmp_path, keys, segment_seconds=20, sync_seconds=2)
        house.config.write_text(house.config.read_text() + '[[rule]]\nname = "door"\nwhen = ["m1"]\npost_seconds = 5\n')
        with house.start() as daemon:
            daemon.wait_recording(within_s=60)
            watched = _live(world, simulator, house, daemon)
            daemon.wait_recording(within_s=60)
            time.sleep(3)
            stopped_us = time.time_ns() // 1000
            assert daemon.terminate()[0] == 0
            daemon.log()
        sent = {name: world.sent(camera) for name, camera in zip(names, simulator.cameras, strict=True)}
    assert watched.wrong == []
    _check_flat(watched.weights, figures)
    _check_lag(watched.page, figures)
    for name in names:
        _check_truthful(house, name, sent[name], stopped_us)
    assert {path for path in unpromised(house) if "clips" not in path.parts} == set()


def _live(world: World, simulator: Simulator, house: House, daemon: Daemon) -> _Watched:
    """Faults and alarms at random for so long, while somebody scrapes and somebody types."""
    watched, ended, chance = _Watched(), Event(), random.Random(7)
    others = [
        Thread(target=_scrape, args=(house, daemon, watched, ended), name="scraper"),
        Thread(target=_type, args=(house, watched, ended), name="typist"),
    ]
    for other in others:
        other.start()
    until_s = time.monotonic() + _SECONDS
    while time.monotonic() < until_s:
        camera = chance.choice(simulator.cameras)
        if chance.random() < 0.3:
            world.do(camera.pin, 1, chance.choice(("make", "break")))
        else:
            world.do(camera.fault, chance.choice(_FAULTS))
        time.sleep(chance.uniform(0.2, 1.5))
    ended.set()
    for other in others:
        other.join(60)
    return watched


def _scrape(house: House, daemon: Daemon, watched: _Watched, ended: Event) -> None:
    settled_s = time.monotonic() + _SETTLED_S
    while not ended.wait(5):
        with urllib.request.urlopen(f"http://127.0.0.1:{house.metrics_port}/metrics", timeout=30) as answer:
            watched.page = answer.read().decode()
        if time.monotonic() > settled_s:
            threads = len(list(Path(f"/proc/{daemon.pid}/task").iterdir()))
            watched.weights.append(_Weight(daemon.memory_bytes(), daemon.descriptors(), threads))


def _type(house: House, watched: _Watched, ended: Event) -> None:
    commands = (["status"], ["footage", "list", "--camera", "camera-3", "--from", "-5m"], ["events", "--from", "-5m"])
    number = 0
    while not ended.wait(3):
        code, _ = house.command(*commands[number % len(commands)], "--json")
        number += 1
        if code == 2:
            watched.wrong.append(f"{commands[number % len(commands)]} ended with 2")


def _check_flat(weights: list[_Weight], figures: list[str]) -> None:
    """The last third weighs what the first third after settling did, but for what a fault under way adds."""
    third = max(1, len(weights) // 3)
    first, last = weights[:third], weights[-third:]

    def most(of: list[_Weight], what: str) -> int:
        return max(int(getattr(weight, what)) for weight in of)

    figures.append(
        f"{_SECONDS:g} s with {_CAMERAS} cameras and faults: memory {most(first, 'memory_bytes') >> 20} then "
        f"{most(last, 'memory_bytes') >> 20} MB, descriptors {most(first, 'descriptors')} then "
        f"{most(last, 'descriptors')}, threads {most(first, 'threads')} then {most(last, 'threads')}"
    )
    assert most(last, "memory_bytes") < most(first, "memory_bytes") * 1.1 + (4 << 20)
    assert most(last, "descriptors") <= most(first, "descriptors") + 8
    assert most(last, "threads") <= most(first, "threads") + 1


def _check_lag(page: str, figures: list[str]) -> None:
    buckets = {bound: float(count) for bound, count in _LAG.findall(page)}
    share = buckets["0.05"] / buckets["+Inf"]
    figures.append(f"event loop back within 50 ms: {share:.2%}")
    assert share >= 0.99


def _check_truthful(house: House, camera: str, sent: list[SentVop], stopped_us: int) -> None:
    """What coverage calls recorded is in the files to the picture, and what is in the files it calls recorded."""
    found = check_in_order(house, camera, sent)
    kept = {(record.connection, record.seq) for record in found.records}
    spans = house.coverage(camera)
    recorded = [span for span in spans if span.kind == "recorded"]
    due = [
        record for record in sent if record.complete and not record.why and record.sent_at_us < stopped_us - _EDGE_US
    ]
    missing = [
        record
        for record in due
        if (record.connection, record.seq) not in kept and _within(recorded, record.sent_at_us, _EDGE_US)
    ]
    assert missing == [], f"{camera}: {len(missing)} pictures are not in the files where they are called recorded"
    torn = _torn(sent)
    outside = [
        record
        for record in found.records
        if (record.connection, record.seq) not in torn and not _within(recorded, record.sent_at_us, -_EDGE_US)
    ]
    assert outside == [], f"{camera}: {len(outside)} pictures are in the files where they are called a gap"


def _torn(sent: list[SentVop]) -> set[tuple[int, int]]:
    """Pictures behind a loss within their group: their VOPs count seconds from a picture that never came."""
    torn, is_torn = set(), False
    for record in sent:
        is_torn = bool(record.why) or not record.complete or (is_torn and not record.key)
        if is_torn:
            torn.add((record.connection, record.seq))
    return torn


def _within(spans: list[Span], at_us: int, edge_us: int) -> bool:
    return any(span.start_us + edge_us <= at_us < span.end_us - edge_us for span in spans)

"""When each picture was taken is told right: what files and index say, against the clock of whoever took it."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from nvr.media import boxes, label
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from nvr.store.looks import utc_of
from nvr.units import US
from tests.system.footage import check_promises, path_of, pictures_of
from tests.system.house import House
from tests.system.world import World

_QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=200_000)
CAMERAS: Final = {
    "fast": CameraOptions(encode=_QVGA, clock_drift_ppm=200),
    "slow": CameraOptions(encode=replace(_QVGA, frame_rate=Fraction(10), i_interval=5), clock_drift_ppm=-200),
    "stalling": CameraOptions(encode=_QVGA, clock_drift_ppm=-50),
}
_STALL_S: Final = 3.0
_FRAMES: Final = 2


@dataclass(slots=True)
class Timed:
    """One picture in the files."""

    taken_us: int
    """By the clock of whoever took it."""
    told_us: int
    """By files and index."""

    @property
    def late_s(self) -> float:
        return (self.told_us - self.taken_us) / US


@dataclass(slots=True)
class Run:
    """What came of a daemon's life."""

    house: House
    pictures: dict[str, list[Timed]]


@contextmanager
def timed(world: World, folder: Path, seconds: float, segment_seconds: float, stall_every_s: float) -> Iterator[Run]:
    """Records every camera for so many seconds; what files and index say of each picture's time."""
    with ExitStack() as alive:
        simulator = alive.enter_context(world.cameras(list(CAMERAS.values())))
        cameras = dict(zip(CAMERAS, simulator.cameras, strict=True))
        ports = {name: simulator.ports(camera)[0] for name, camera in cameras.items()}
        ports["stalling"] = alive.enter_context(world.stalling(ports["stalling"], stall_every_s, _STALL_S))
        house = House(
            folder, {name: {"http_port": port} for name, port in ports.items()}, segment_seconds=segment_seconds
        )
        with house.start() as daemon:
            daemon.wait_recording()
            time.sleep(seconds)
            assert daemon.terminate()[0] == 0
            daemon.log()
        sent = {name: world.sent(camera) for name, camera in cameras.items()}
    yield Run(house, {name: _compared(house, name, sent[name]) for name in CAMERAS})


def _compared(house: House, camera: str, sent: list[SentVop]) -> list[Timed]:
    taken_us = {record.sha256: record.captured_at_us for record in sent}
    found: list[Timed] = []
    for segment in check_promises(house, camera):
        path = path_of(house, segment)
        said = label.read(path)
        assert said is not None
        assert (said.start_us, said.end_us) == (segment.row.start_us, segment.row.end_us)
        for kept, picture in zip(pictures_of(house, [segment]), boxes.samples(path), strict=True):
            found.append(Timed(taken_us[kept.sha256], utc_of(said, picture.ticks)))
    return found


def run_s(pictures: Sequence[Timed]) -> float:
    """How long they lasted."""
    return (pictures[-1].taken_us - pictures[0].taken_us) / US


def check_times(run: Run, camera: str, settled_s: float, figures: list[str] | None = None) -> None:
    """No picture is told to be earlier than it was, and from `settled_s` on none later, by more than two frames.

    A picture cannot arrive before it was taken, but the first ones may be late by any time, which is made good then.
    """
    pictures, most_s = run.pictures[camera], float(_FRAMES / CAMERAS[camera].encode.frame_rate)
    settled_us = pictures[0].taken_us + settled_s * US
    latest_s = max(picture.late_s for picture in pictures if picture.taken_us >= settled_us)
    earliest_s, first_s = min(picture.late_s for picture in pictures), max(picture.late_s for picture in pictures)
    if figures is not None:
        figures.append(
            f"times over {run_s(pictures):.0f} s, {camera}: {len(pictures)} pictures told {1000 * earliest_s:+.1f} to "
            f"{1000 * latest_s:+.1f} ms from when they were taken, up to {1000 * first_s:+.1f} ms in the first seconds"
        )
    assert earliest_s >= -most_s
    assert latest_s <= most_s


STORIES: Final = {"timing": partial(timed, seconds=20, segment_seconds=2, stall_every_s=8)}


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_time_of_each_picture_is_right_to_two_frames(stories: "dict[str, Future[Run]]", camera: str) -> None:
    run = stories["timing"].result()
    assert run_s(run.pictures[camera]) > 15
    check_times(run, camera, settled_s=15)


def test_a_stall_of_the_network_leaves_no_gap(stories: "dict[str, Future[Run]]") -> None:
    covered = stories["timing"].result().house.coverage("stalling")
    assert [span.reason for span in covered] == ["service-stopped", None, "service-stopped"]

"""What a kill or a power cut takes is what the design admits; all else is readable and promised afterwards."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from tests.system.disk import PowerCutDisk
from tests.system.footage import check_in_order, check_promises, decode, path_of, unpromised
from tests.system.house import Daemon, House, Span
from tests.system.rebuilt import check_rebuilt
from tests.system.world import World

QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)
ENCODED: Final = {
    "usual": QVGA,
    "rotating": replace(QVGA, frame_rate=Fraction(15)),
    "long-group": replace(QVGA, i_interval=255, resolution=30_000),
    "slow": replace(QVGA, frame_rate=Fraction(2), i_interval=4),
}
CAMERAS: Final = tuple(ENCODED)
_PICTURE_S: Final = 1.0
"""What a crash may take beside what lies in sockets: the newest picture, and what a busy machine has not come to."""


@dataclass(slots=True)
class Crashes:
    """An archive whose daemon ended badly, again and again."""

    kind: str
    house: House
    promised_s: float
    """How much of the past a crash may take."""
    crashed_us: list[int] = field(default_factory=list)
    recording_s: list[float] = field(default_factory=list)
    """From each start to every camera being recorded."""
    sent: dict[str, list[SentVop]] = field(default_factory=dict)
    covered: dict[str, list[Span]] = field(default_factory=dict)
    """While the last daemon ran."""
    stray: list[set[Path]] = field(default_factory=list)
    """Sealed files without a row, after each start."""
    unpromised_at_end: set[Path] = field(default_factory=set)
    logs: list[Daemon] = field(default_factory=list)


@contextmanager
def killed(world: World, folder: Path, rounds: int, sync_seconds: float, longest_s: float) -> Iterator[Crashes]:
    """Lives that are killed at random moments."""
    house = House(folder, {}, segment_seconds=3, sync_seconds=sync_seconds)
    crashes = Crashes("kill -9", house, min(2, sync_seconds) + _PICTURE_S)

    def crash(daemon: Daemon) -> int:
        return daemon.kill()

    _crash_again_and_again(world, crashes, rounds, longest_s, crash)
    yield crashes


@contextmanager
def power_cut(world: World, folder: Path, rounds: int, sync_seconds: float, longest_s: float) -> Iterator[Crashes]:
    """Lives whose file system stops dead at random moments, with everything that was not synced."""
    with PowerCutDisk(folder / "disk") as disk:
        house = House(
            folder,
            {},
            volumes={"main": disk.path / "footage"},
            data_dir=disk.path / "data",
            segment_seconds=3,
            sync_seconds=sync_seconds,
        )
        crashes = Crashes("power cut", house, 2 * sync_seconds + _PICTURE_S)

        def crash(daemon: Daemon) -> int:
            disk.cut_power()
            at_us = time.time_ns() // 1000
            daemon.kill()
            disk.power_up()
            return at_us

        _crash_again_and_again(world, crashes, rounds, longest_s, crash)
        yield crashes


def _crash_again_and_again(
    world: World, crashes: Crashes, rounds: int, longest_s: float, crash: Callable[[Daemon], int]
) -> None:
    house, chance = crashes.house, random.Random(rounds)
    with ExitStack() as alive:
        options = [CameraOptions(camera_id=name, encode=encode, keep_sent=100_000) for name, encode in ENCODED.items()]
        simulator = alive.enter_context(world.cameras(options))
        cameras = dict(zip(CAMERAS, simulator.cameras, strict=True))
        house.configure({name: {"http_port": simulator.ports(camera)[0]} for name, camera in cameras.items()})
        looks_every = max(1, rounds // 20)  # each look is at every file so far
        for number in range(rounds):
            daemon = _next_life(crashes, alive)
            # A change begins with an I-VOP, so that a crash in the first long group of pictures finds one.
            world.do(lambda: cameras["long-group"].change(bitrate_bps=chance.randrange(200_000, 400_000)))
            time.sleep(chance.uniform(longest_s / 4, longest_s))
            crashes.crashed_us.append(crash(daemon))
            for name in CAMERAS if number % looks_every == 0 else ():
                check_promises(house, name)
        daemon = _next_life(crashes, alive)
        crashes.covered = {name: house.coverage(name) for name in CAMERAS}
        assert daemon.terminate()[0] == 0
        crashes.sent = {name: world.sent(camera) for name, camera in cameras.items()}
    crashes.unpromised_at_end = unpromised(house)


def _next_life(crashes: Crashes, alive: ExitStack) -> Daemon:
    daemon = alive.enter_context(crashes.house.start())
    crashes.logs.append(daemon)
    crashes.recording_s.append(daemon.wait_recording(name for name in CAMERAS if name != "long-group"))
    sealed = {path for path in unpromised(crashes.house) if path.suffix != ".part"}
    time.sleep(0.2)
    crashes.stray.append(sealed & unpromised(crashes.house))  # a moment later a row has come
    return daemon


STORIES: Final = {
    "killed": partial(killed, rounds=3, sync_seconds=1, longest_s=4),
    "power-cut": partial(power_cut, rounds=2, sync_seconds=1, longest_s=4),
}


@pytest.fixture(scope="module", params=list(STORIES))
def crashes(stories: dict[str, "Future[Crashes]"], request: pytest.FixtureRequest) -> Crashes:
    return stories[request.param].result()


def _losses(crashes: Crashes, camera: str) -> list[float]:
    """How far back each crash reaches: seconds from the first picture it took to the crash."""
    found = check_in_order(crashes.house, camera, crashes.sent[camera])
    assert found.altered == 0, f"{camera}: {found.altered} pictures that were never sent so"
    kept = {record.seq for record in found.records}
    losses, before = [], 0
    for number, crashed_us in enumerate(crashes.crashed_us):
        # A life's pictures are those of its connections: the old one may get some after its crash.
        life = [r for r in crashes.sent[camera] if r.connection > before and r.sent_at_us <= crashed_us and r.complete]
        before = max((record.connection for record in life), default=before)
        keys = [at for at, record in enumerate(life) if record.key]
        due = life[keys[0] :] if keys else []
        lost = [at for at, record in enumerate(due) if record.seq not in kept]
        assert not lost or lost == list(range(lost[0], len(due))), f"{camera}: a hole before crash {number}"
        losses.append((crashed_us - due[lost[0]].sent_at_us) / 1_000_000 if lost else 0.0)
    return losses


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_crash_takes_no_more_than_promised_and_only_the_newest(
    crashes: Crashes, camera: str, figures: list[str]
) -> None:
    losses = _losses(crashes, camera)
    told = ", ".join(f"{loss:.2f}" for loss in losses)
    figures.append(f"lost at {crashes.kind}, {camera}: {told} s (promised {crashes.promised_s:g} s)")
    assert max(losses) <= crashes.promised_s


def test_after_all_crashes_every_file_is_promised_labelled_and_plays(crashes: Crashes) -> None:
    recovered = 0
    for camera in CAMERAS:
        segments = check_promises(crashes.house, camera)
        recovered += sum(segment.row.recovered for segment in segments)
        # The camera of long groups begins anew in between: two pictures at any distance.
        decode([path_of(crashes.house, segment) for segment in segments], any_interval=camera == "long-group")
    assert recovered, "no file was being written at any crash"


def test_a_start_leaves_nothing_unpromised_but_the_files_being_written(crashes: Crashes) -> None:
    assert crashes.stray == [set()] * (len(crashes.crashed_us) + 1)
    assert crashes.unpromised_at_end == set()


@pytest.mark.parametrize("camera", CAMERAS)
def test_each_crash_is_a_gap_of_that_name(crashes: Crashes, camera: str) -> None:
    spans = crashes.covered[camera]
    # A picture that was saved counts for its interval, which may reach past the crash.
    interval_us = int(1_000_000 / ENCODED[camera].frame_rate)
    for before_us, crashed_us in pairwise([0, *crashes.crashed_us]):
        (at,) = [span for span in spans if span.start_us <= crashed_us + interval_us < span.end_us]
        assert (at.kind, at.reason) == ("gap", "service-crashed"), spans
        # One gap is of two crashes where the life between them was too short for anything to be saved.
        assert at.start_us <= before_us or crashed_us - at.start_us <= (crashes.promised_s + 1) * 1_000_000
    assert {span.reason for span in spans} <= {None, "service-crashed", "service-stopped"}
    crashes.house.coverage(camera)


def test_an_index_made_from_the_files_alone_says_the_same(crashes: Crashes, tmp_path: Path) -> None:
    assert check_rebuilt(crashes.house, tmp_path) > len(CAMERAS)


def test_recording_goes_on_soon_after_a_crash(crashes: Crashes, figures: list[str]) -> None:
    after_crashes_s = crashes.recording_s[1:]
    figures.append(f"recording again after {crashes.kind}: {max(after_crashes_s):.2f} s at most")
    assert max(after_crashes_s) < 10


def test_no_daemon_speaks_of_a_bug(crashes: Crashes) -> None:
    if crashes.kind == "power cut":
        pytest.skip("what a daemon says on a file system that is gone is not looked at")
    for daemon in crashes.logs:
        daemon.log()

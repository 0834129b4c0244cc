"""A disk that others fill, and one that is pulled, exchanged and put back, while the daemon records on both."""

import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from tests.system.disk import PowerCutDisk
from tests.system.footage import check_in_order, check_promises
from tests.system.house import Daemon, House, Span
from tests.system.world import World

US: Final = 1_000_000
MB: Final = 1_000_000
FILLED: Final = "filled"
MOVED: Final = "moved"
_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=8, bitrate_bps=2_000_000)
_KEEP_FREE: Final = MB  # as House says
_DISK_BYTES: Final = 40 * MB
_AGAIN_S: Final = 10.0
"""Recording goes on so soon after there is room."""


@dataclass(slots=True)
class Life:
    """What a daemon went through."""

    house: House
    blocked: dict[str, str] = field(default_factory=dict)
    """What `status` said of each camera meanwhile."""
    mount_point: list[str] = field(default_factory=list)
    """What lay where the disk had been."""
    stranger: list[str] = field(default_factory=list)
    """What lay on the other disk after it had been at that place."""
    again_s: dict[str, float] = field(default_factory=dict)
    room_us: int = 0
    """From then on there was always something that might go."""
    deleted: dict[str, float] = field(default_factory=dict)
    covered: dict[str, list[Span]] = field(default_factory=dict)
    sent: dict[str, list[SentVop]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    stop: tuple[int, float] = (0, 0.0)


@contextmanager
def lived(world: World, folder: Path) -> Iterator[Life | None]:
    """None where there can be no file systems of its own."""
    with ExitStack() as alive:
        try:
            disks = {name: alive.enter_context(PowerCutDisk(folder / f"disk-{name}", _DISK_BYTES)) for name in VOLUMES}
            stranger = alive.enter_context(PowerCutDisk(folder / "disk-stranger", _DISK_BYTES))
        except pytest.skip.Exception:
            yield None
            return
        stranger.unmount()
        options = [CameraOptions(camera_id=name, encode=_ENCODE) for name in VOLUMES]
        simulator = alive.enter_context(world.cameras(options, loop_s=2))
        cameras = dict(zip(VOLUMES, simulator.cameras, strict=True))
        keys = {name: {"http_port": simulator.ports(camera)[0], "volume": name} for name, camera in cameras.items()}
        house = House(folder, keys, {name: disk.path for name, disk in disks.items()}, segment_seconds=1)
        life = Life(house)
        daemon = alive.enter_context(house.start())
        daemon.wait_recording()
        time.sleep(2)

        filler = disks[FILLED].fill()
        disks[MOVED].unmount()
        daemon.wait_for("both blocked", lambda states: all(one["state"] == "blocked" for one in states.values()), 15)
        life.blocked = {name: str(one["reason"]) for name, one in daemon.states().items()}
        life.mount_point = [path.name for path in disks[MOVED].path.iterdir()]
        stranger.mount(disks[MOVED].path)
        time.sleep(2.5)  # a look, and a camera's next try
        life.stranger = [path.name for path in disks[MOVED].path.iterdir()]
        disks[MOVED].unmount()
        disks[MOVED].mount()
        life.again_s[MOVED] = daemon.wait_recording([MOVED], _AGAIN_S)
        filler.unlink()
        life.again_s[FILLED] = daemon.wait_recording([FILLED], _AGAIN_S)

        life.room_us = time.time_ns() // 1000
        time.sleep(2)
        disks[FILLED].fill(leave_bytes=_KEEP_FREE - 200_000)
        _wait_until_deleted(daemon, life)
        time.sleep(1.5)
        life.stop = daemon.terminate()
        life.covered = {name: house.coverage(name) for name in VOLUMES}
        life.sent = {name: world.sent(camera) for name, camera in cameras.items()}
        life.events = [event.kind for event in house.reader().events_between(0, 1 << 60)]
        yield life


def _wait_until_deleted(daemon: Daemon, life: Life) -> None:
    deadline = time.monotonic() + _AGAIN_S
    before = _deleted(daemon.house)
    while True:
        life.deleted = _deleted(daemon.house)
        if life.deleted["emergency"] > before["emergency"]:
            return
        assert time.monotonic() < deadline, daemon.log_text()[-4000:]
        time.sleep(0.1)


def _deleted(house: House) -> dict[str, float]:
    """By rule, as its metrics tell."""
    with urllib.request.urlopen(f"http://127.0.0.1:{house.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    name = "nvr_retention_deleted_segments_total{"
    found = (line.removeprefix(name).split("} ") for line in lines if line.startswith(name))
    return {labels.split('"')[1]: float(value) for labels, value in found}


VOLUMES: Final = (FILLED, MOVED)
STORIES: Final = {"full-disks": lived}


@pytest.fixture(scope="module")
def life(stories: dict[str, "Future[Life | None]"]) -> Life:
    told = stories["full-disks"].result()
    if told is None:
        pytest.skip("file systems of its own need root and loop devices")
    return told


def test_a_disk_that_others_filled_is_said_and_booked_and_recording_goes_on_soon_after_there_is_room(
    life: Life, figures: list[str]
) -> None:
    assert "free, less than keep_free" in life.blocked[FILLED] or "space" in life.blocked[FILLED]
    figures.append(f"recording again after a full disk has room: {life.again_s[FILLED]:.2f} s")
    gaps = {span.reason for span in life.covered[FILLED] if span.kind == "gap"}
    assert "disk-full" in gaps <= {"disk-full", "service-stopped"}


def test_where_others_leave_too_little_the_oldest_goes_at_once_and_recording_goes_on(life: Life) -> None:
    assert life.deleted["emergency"] > 0
    assert life.deleted["promise-broken"] == life.deleted["max-days"] == 0
    later = [s for s in life.covered[FILLED] if s.end_us > life.room_us and s.kind == "gap"]
    assert {span.reason for span in later} == {"service-stopped"}
    assert "disk-full" in life.events


def test_where_a_disk_was_pulled_nothing_is_written_and_another_disk_there_is_left_alone(life: Life) -> None:
    assert life.mount_point == []
    assert life.stranger == ["lost+found"]
    assert life.blocked[MOVED].startswith("volume 'moved'") or "no longer mounted" in life.blocked[MOVED]


def test_a_disk_that_is_put_back_is_recorded_on_again(life: Life, figures: list[str]) -> None:
    figures.append(f"recording again after a disk is mounted again: {life.again_s[MOVED]:.2f} s")
    gaps = {span.reason for span in life.covered[MOVED] if span.kind == "gap"}
    assert "disk-failed" in gaps <= {"disk-failed", "service-stopped"}


@pytest.mark.parametrize("camera", VOLUMES)
def test_every_row_has_its_file_and_every_picture_in_it_was_sent(life: Life, camera: str) -> None:
    assert life.stop[0] == 0
    assert check_in_order(life.house, camera, life.sent[camera]).altered == 0
    check_promises(life.house, camera, also_damaged=True)


@pytest.mark.soak
@pytest.mark.parametrize("cameras", [1, 8])
@pytest.mark.parametrize("rules", ["quota", "floor", "both"])
def test_a_small_disk_is_filled_for_a_minute_and_nothing_waits_and_nothing_is_passed(
    world: World, tmp_path: Path, cameras: int, rules: str, figures: list[str]
) -> None:
    """By us, as quickly as a camera may send; and in the middle by somebody else as well."""
    size, interval = ("vga", 1) if cameras == 1 else ("qvga", 8)
    encode = EncodeSettings(
        frame_size=size, frame_rate=Fraction(15), i_interval=interval, bitrate_bps=16_000_000 // cameras
    )
    names = [f"c{number}" for number in range(cameras)]
    quota_bytes, keep_free_bytes = 20 * MB, 8 * MB
    with ExitStack() as alive:
        disk = alive.enter_context(PowerCutDisk(tmp_path / "disk", 60 * MB))
        options = [CameraOptions(camera_id=name, encode=encode) for name in names]
        simulator = alive.enter_context(world.cameras(options, loop_s=2))
        keys = {
            name: {"http_port": simulator.ports(one)[0]} for name, one in zip(names, simulator.cameras, strict=True)
        }
        house = House(tmp_path, keys, {"main": disk.path}, segment_seconds=1)
        quota = f"\nquota = {quota_bytes}" if rules != "floor" else ""
        kept = f"keep_free = {keep_free_bytes if rules != 'quota' else 0}{quota}"
        house.config.write_text(house.config.read_text().replace('keep_free = "1MB"', kept))
        daemon = alive.enter_context(house.start())
        daemon.wait_recording()
        since_us, ends_s, most_bytes, least_bytes = time.time_ns() // 1000, time.monotonic() + 60, 0, 1 << 62
        filled = False
        while time.monotonic() < ends_s:
            told = daemon.status()
            assert told is not None
            assert {camera["state"] for camera in told["cameras"]} == {"recording"}, told
            most_bytes = max(most_bytes, told["volumes"][0]["footage_bytes"])
            least_bytes = min(least_bytes, told["volumes"][0]["free_bytes"])
            if most_bytes > 10 * MB and not filled and rules != "quota":
                disk.fill(leave_bytes=keep_free_bytes - MB)
                filled = True
            time.sleep(0.2)
        deleted = _deleted(house)
        assert daemon.terminate()[0] == 0
        by_rule = ", ".join(f"{rule} {count:.0f}" for rule, count in deleted.items() if count)
        figures.append(
            f"{cameras} cameras, {rules}: at most {most_bytes / MB:.1f} MB of footage, "
            f"at least {least_bytes / MB:.1f} MB free, deleted {by_rule}"
        )
        assert deleted["quota-volume" if rules == "quota" else "floor"] + deleted["emergency"] > 0
        assert filled or rules == "quota"
        if quota:
            assert most_bytes <= quota_bytes
        for name in names:
            gaps = [span for span in house.coverage(name) if span.kind == "gap" and span.start_us > since_us]
            assert {gap.reason for gap in gaps} <= {"service-stopped"}, gaps
            check_promises(house, name)

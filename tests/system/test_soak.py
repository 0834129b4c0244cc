"""The full figures: minutes of frames, twenty crashes of each kind, default patience. Run by `make soak`."""

import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.store.rows import Segment
from tests.system import test_crashes, test_exactness, test_timing
from tests.system.disk import PowerCutDisk, Shim
from tests.system.footage import (
    check_exact,
    check_in_order,
    check_no_seams,
    check_promises,
    decode,
    path_of,
    segments_of,
    unpromised,
)
from tests.system.house import House
from tests.system.rebuilt import check_rebuilt
from tests.system.world import World

pytestmark = pytest.mark.soak

_QVGA = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)


def test_two_minutes_are_exact_over_twenty_rotations(world: World, tmp_path: Path, figures: list[str]) -> None:
    with test_exactness.recording(world, tmp_path, 120, 5, 2) as done:
        for camera in test_exactness.CAMERAS:
            until_us = done.stopped_us - (250_000 if camera in test_exactness.CUT else 0)
            kept = check_exact(done.house, camera, done.sent[camera], until_us)
            figures.append(f"exact over 120 s, {camera}: {len(kept)} frames in {len(done.segments[camera])} files")
            check_no_seams(done.segments[camera])
        assert min(len(done.segments[camera]) for camera in test_exactness.CUT) > 20
        for camera in test_exactness.CAMERAS:
            test_exactness.test_files_play_at_true_speed(done, camera)
        test_exactness.check_probed(done, lambda number, last: True)
        test_exactness.test_the_file_being_written_plays_up_to_its_last_whole_fragment(done)
        test_exactness.check_decodes(done)
        assert unpromised(done.house) == set()


def test_five_minutes_are_right_in_time_to_two_frames(world: World, tmp_path: Path, figures: list[str]) -> None:
    with test_timing.timed(world, tmp_path, 300, 10, 40) as run:
        for camera in test_timing.CAMERAS:
            test_timing.check_times(run, camera, 10, figures)
        assert [span.reason for span in run.house.coverage("stalling")] == ["service-stopped", None, "service-stopped"]


@pytest.mark.parametrize("kind", ["killed", "power-cut"])
def test_twenty_crashes_of_a_kind_take_no_more_than_promised(
    world: World, tmp_path: Path, kind: str, figures: list[str]
) -> None:
    lives = test_crashes.killed if kind == "killed" else test_crashes.power_cut
    with lives(world, tmp_path, 20, 2, 9) as crashes:
        for camera in test_crashes.CAMERAS:
            test_crashes.test_a_crash_takes_no_more_than_promised_and_only_the_newest(crashes, camera, figures)
            test_crashes.test_each_crash_is_a_gap_of_that_name(crashes, camera)
        test_crashes.test_after_all_crashes_every_file_is_promised_labelled_and_plays(crashes)
        test_crashes.test_a_start_leaves_nothing_unpromised_but_the_files_being_written(crashes)
        test_crashes.test_recording_goes_on_soon_after_a_crash(crashes, figures)


@pytest.mark.parametrize(("kind", "rounds"), [("killed", 200), ("power-cut", 50)])
def test_hundreds_of_crashes_leave_an_archive_that_keeps_its_promises(
    world: World, tmp_path: Path, kind: str, rounds: int, figures: list[str]
) -> None:
    lives = test_crashes.killed if kind == "killed" else test_crashes.power_cut
    with lives(world, tmp_path / "lives", rounds, 1, 4) as crashes:
        for camera in test_crashes.CAMERAS:
            test_crashes.test_a_crash_takes_no_more_than_promised_and_only_the_newest(crashes, camera, [])
            test_crashes.test_each_crash_is_a_gap_of_that_name(crashes, camera)
        test_crashes.test_after_all_crashes_every_file_is_promised_labelled_and_plays(crashes)
        test_crashes.test_a_start_leaves_nothing_unpromised_but_the_files_being_written(crashes)
        test_crashes.test_recording_goes_on_soon_after_a_crash(crashes, figures)
        code, told = crashes.house.command("db", "check", "--decode", "--json")
        assert code == 0, told
        segments = check_rebuilt(crashes.house, tmp_path / "rebuilt")
    figures.append(f"{rounds} rounds of {crashes.kind}: {segments} segments, all promises kept, rebuilt alike")


def test_a_camera_that_floods_is_let_go_after_ten_seconds(world: World, tmp_path: Path, figures: list[str]) -> None:
    encode = EncodeSettings(frame_size="vga", i_interval=1, bitrate_bps=4_000_000)
    options = [CameraOptions(encode=encode), CameraOptions(camera_id="other", encode=_QVGA)]
    with world.cameras(options) as simulator, world.flooding(simulator.http_port, 32e6) as port:
        other = simulator.cameras[1]
        keys = {"flood": {"http_port": port}, "other": {"http_port": simulator.ports(other)[0]}}
        house = House(tmp_path, keys, segment_seconds=5, sync_seconds=2)
        with house.start() as daemon:
            daemon.wait_recording()
            begun_s, before = time.monotonic(), daemon.memory_bytes()
            took_s = daemon.wait_for(
                "let go", lambda states: "more than 24 Mbit/s" in str(states["flood"]["reason"]), 30
            )
            most = daemon.memory_bytes()
            daemon.wait_recording(within_s=20)
            back_s = time.monotonic() - begun_s
            assert {span.reason for span in house.coverage("flood")} == {"service-stopped", None, "stream-broken"}
            stopped_us = time.time_ns() // 1000
            assert daemon.terminate()[0] == 0
            daemon.log()
        check_exact(house, "other", world.sent(other), stopped_us)
        check_promises(house, "flood")
    figures.append(
        f"a flood of 32 Mbit/s ended after {took_s:.1f} s, recorded again after {back_s:.1f} s, "
        f"memory grew by {(most - before) >> 20} MB"
    )
    assert 9 <= took_s <= 14


def test_thirty_two_cameras_are_sealed_within_five_seconds(world: World, tmp_path: Path, figures: list[str]) -> None:
    encode = EncodeSettings(bitrate_bps=2_000_000)
    options = [CameraOptions(camera_id=f"camera-{number}", encode=encode) for number in range(32)]
    with world.cameras(options, loop_s=4) as simulator:
        keys = {f"camera-{number}": {"http_port": simulator.ports(c)[0]} for number, c in enumerate(simulator.cameras)}
        house = House(tmp_path, keys, segment_seconds=60, sync_seconds=2)
        with house.start() as daemon:
            daemon.wait_recording(within_s=30)
            time.sleep(30)
            code, seconds = daemon.terminate()
            daemon.log()
        for name in keys:
            check_promises(house, name)
            assert house.coverage(name)[-1].reason == "service-stopped"
    figures.append(f"SIGTERM with 32 cameras of 2 Mbit/s after 30 s: {seconds:.2f} s")
    assert code == 0
    assert seconds < 5
    assert unpromised(house) == set()


@pytest.fixture
def hanging(tmp_path: Path) -> tuple[dict[str, Path], Shim]:
    volumes = {"first": tmp_path / "first", "second": tmp_path / "second"}
    return volumes, Shim(tmp_path, (volumes["first"],))


def test_cameras_on_a_disk_that_hangs_go_on_on_another(
    world: World, tmp_path: Path, hanging: tuple[dict[str, Path], Shim], figures: list[str]
) -> None:
    volumes, shim = hanging
    names = [f"camera-{number}" for number in range(8)]
    options = [CameraOptions(camera_id=name, encode=replace(_QVGA, frame_rate=Fraction(15))) for name in names]
    with world.cameras(options, loop_s=4) as simulator:
        keys = {name: {"http_port": simulator.ports(c)[0]} for name, c in zip(names, simulator.cameras, strict=True)}
        house = House(tmp_path / "house", keys, volumes, segment_seconds=60, sync_seconds=2)
        with house.start(shim.environment) as daemon:
            daemon.wait_recording()
            time.sleep(3)
            with shim.trouble(volumes["first"], "hang"):
                hung_us = time.time_ns() // 1000
                time.sleep(20)
                daemon.wait_recording(within_s=5)
                holes = {name: _gap_s(house, name, hung_us) for name in names}
                moved = [name for name in names if _open_on(volumes["second"], name) and holes[name]]
            time.sleep(2)
            assert daemon.terminate()[0] == 0
        assert moved, "no camera was on the disk that hung"
        for name in names:
            check_promises(house, name)
            assert check_in_order(house, name, world.sent(simulator.cameras[names.index(name)])).altered == 0
    worst = max(holes.values())
    figures.append(f"a disk that hangs: {len(moved)} of {len(names)} cameras moved, at most {worst:.2f} s of gap")
    assert worst < 3


def _gap_s(house: House, camera: str, since_us: int) -> float:
    gaps = [span for span in house.coverage(camera) if span.kind == "gap" and span.end_us > since_us]
    assert {gap.reason for gap in gaps} <= {"disk-failed"}
    return sum(gap.end_us - gap.start_us for gap in gaps) / 1_000_000


def _open_on(volume: Path, camera: str) -> bool:
    return any(volume.glob(f"{camera}/**/*.part"))


def test_a_stop_waits_for_no_file_system_that_is_frozen(world: World, tmp_path: Path, figures: list[str]) -> None:
    """A frozen file system's calls cannot be interrupted: the process itself ends, its thread with the thaw."""
    with PowerCutDisk(tmp_path / "disk") as disk, world.cameras([CameraOptions(encode=_QVGA)] * 2) as simulator:
        ports = [simulator.ports(camera)[0] for camera in simulator.cameras]
        keys = {
            "frozen": {"http_port": ports[0], "volume": "frozen"},
            "well": {"http_port": ports[1], "volume": "well"},
        }
        volumes = {"frozen": disk.path / "footage", "well": tmp_path / "well"}
        house = House(tmp_path / "house", keys, volumes, segment_seconds=60, sync_seconds=2)
        with house.start() as daemon:
            daemon.wait_recording()
            time.sleep(3)
            with disk.frozen():
                time.sleep(2)
                seconds = daemon.terminate_main_thread()
                assert unpromised_on(house, volumes["well"]) == set()
            assert daemon.wait(10) == 1
        with house.start() as daemon:
            daemon.wait_recording()
            assert {span.reason for span in house.coverage("frozen")} <= {None, "service-stopped", "disk-failed"}
            assert daemon.terminate()[0] == 0
        assert unpromised(house) == set()
    figures.append(f"SIGTERM while a file system is frozen: {seconds:.2f} s")
    assert seconds < 5


def unpromised_on(house: House, volume: Path) -> set[Path]:
    """Those of one volume."""
    return {path for path in unpromised(house) if path.is_relative_to(volume)}


def test_default_patience_and_segments_of_a_minute(world: World, tmp_path: Path, figures: list[str]) -> None:
    """The configuration as it comes: two and a half minutes, every file as long as configured."""
    with world.cameras([CameraOptions(encode=_QVGA)] * 2) as simulator:
        ports = [simulator.ports(camera)[0] for camera in simulator.cameras]
        keys = {f"camera-{number}": {"http_port": port} for number, port in enumerate(ports)}
        house = House(tmp_path, keys, segment_seconds=60, sync_seconds=2)
        with house.start() as daemon:
            daemon.wait_recording()
            time.sleep(150)
            stopped_us = time.time_ns() // 1000
            assert daemon.terminate()[0] == 0
            daemon.log()
        for name, camera in zip(keys, simulator.cameras, strict=True):
            kept = check_exact(house, name, world.sent(camera), stopped_us)
            segments = check_promises(house, name)
            check_no_seams(segments)
            _check_lengths(segments)
            decode([path_of(house, segment) for segment in segments_of(house, name)])
            figures.append(f"exact over 150 s of one-minute files, {name}: {len(kept)} frames")


def _check_lengths(segments: Sequence[Segment]) -> None:
    for segment in segments[1:-1]:
        assert (segment.row.end_us - segment.row.start_us) / 1_000_000 == pytest.approx(60, abs=1)

"""A disk's trouble is a gap with its reason for the cameras on it and for nobody else, and heals once the disk does."""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from nvr.store.rows import SegmentState
from tests.system.disk import PowerCutDisk, Shim
from tests.system.footage import check_in_order, check_promises, path_of, segments_of, unpromised
from tests.system.house import Daemon, House, Span
from tests.system.world import World

US: Final = 1_000_000
WELL: Final = "well"
HUNG: Final = "hung"
_STUCK_S: Final = 10.0
_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=15, bitrate_bps=200_000)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a volume, and what nvr says of it."""

    reason: str
    """Of the gap."""
    says: str
    """Part of what `status` says of camera and volume."""


WITHOUT_ROOT: Final = {
    "late": Trouble("disk-failed", "is not there; make it, or mount the disk"),
    "failing": Trouble("disk-failed", "Input/output error"),
    "full": Trouble("disk-full", "space"),
    HUNG: Trouble("disk-failed", "has not answered for more than 10 seconds"),
}
WITH_ROOT: Final = {
    "read-only": Trouble("disk-failed", "read-only"),
    "pulled": Trouble("disk-failed", "volume 'pulled'"),
}
TROUBLES: Final = WITHOUT_ROOT | WITH_ROOT


@dataclass(slots=True)
class Life:
    """Two lives on these volumes: at the end of the first one a disk hangs."""

    house: House
    troubles: dict[str, Trouble]
    blocked: dict[str, set[str]] = field(default_factory=dict)
    """What `status` gave as reason while a camera was blocked."""
    volume_said: dict[str, set[str]] = field(default_factory=dict)
    healed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The states when all trouble but the last was over."""
    covered: list[dict[str, list[Span]]] = field(default_factory=list)
    """Before trouble, in the middle, at its end, after the stop, during the next life, after it."""
    stopped_us: int = 0
    stop: tuple[int, float] = (0, 0.0)
    unpromised: list[set[Path]] = field(default_factory=list)
    """After each stop."""
    next_stop: tuple[int, float] = (0, 0.0)
    sent: dict[str, list[SentVop]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def troubled(world: World, folder: Path) -> Iterator[Life]:
    """A life in which every volume has its own trouble."""
    with ExitStack() as alive:
        disks = _disks(folder, alive)
        volumes = {name: folder / name for name in (WELL, "failing", "full", HUNG)}
        volumes["late"] = folder / "absent" / "late"
        volumes |= {name: disk.path / "footage" for name, disk in disks.items()}
        shim = Shim(folder, tuple(volumes[name] for name in ("failing", "full", HUNG)))
        options = [CameraOptions(camera_id=name, encode=_ENCODE) for name in volumes]
        simulator = alive.enter_context(world.cameras(options, loop_s=2))
        cameras = dict(zip(volumes, simulator.cameras, strict=True))
        keys = {name: {"http_port": simulator.ports(camera)[0], "volume": name} for name, camera in cameras.items()}
        house = House(folder, keys, volumes, segment_seconds=20, sync_seconds=1)
        life = Life(house, {name: trouble for name, trouble in TROUBLES.items() if name in volumes})
        daemon = alive.enter_context(house.start(shim.environment))
        at_once = [name for name in volumes if name not in ("late", "read-only")]
        daemon.wait_recording(at_once)
        daemon.wait_for("blocked", lambda states: states["late"]["state"] == "blocked", 10)
        _watch(life, daemon, 0.5)
        life.covered.append(_coverage(house))

        with ExitStack() as hanging, ExitStack() as failing:
            hanging.enter_context(shim.trouble(volumes[HUNG], "hang"))
            hung_s = time.monotonic()
            failing.enter_context(shim.trouble(volumes["failing"], "io"))
            failing.enter_context(shim.trouble(volumes["full"], "space"))
            if disks:
                disks["pulled"].cut_power()
            _watch(life, daemon, 3)
            life.covered.append(_coverage(house))
            failing.close()
            (folder / "absent").mkdir()
            if disks:
                disks["read-only"].remount("rw")
                disks["pulled"].power_up()
            _watch(life, daemon, hung_s + _STUCK_S + 3 - time.monotonic())
        daemon.wait_recording(within_s=10)
        life.healed = daemon.states()
        _watch(life, daemon, 2)
        life.covered.append(_coverage(house))

        with shim.trouble(volumes[HUNG], "hang"):
            life.stopped_us = time.time_ns() // 1000
            life.stop = daemon.terminate()
        life.sent = {name: world.sent(camera) for name, camera in cameras.items()}
        life.log = daemon.log()
        life.unpromised.append(unpromised(house))
        life.covered.append(_coverage(house))

        daemon = alive.enter_context(house.start())
        daemon.wait_recording()
        life.covered.append(_coverage(house))
        life.next_stop = daemon.terminate()
        life.unpromised.append(unpromised(house))
        life.covered.append(_coverage(house))
        life.sent = {name: world.sent(camera) for name, camera in cameras.items()}
        yield life


def _disks(folder: Path, alive: ExitStack) -> dict[str, PowerCutDisk]:
    """File systems of their own for two volumes; none where that is not possible."""
    try:
        disks = {name: alive.enter_context(PowerCutDisk(folder / f"disk-{name}")) for name in WITH_ROOT}
    except pytest.skip.Exception:
        return {}
    disks["read-only"].remount("ro")
    return disks


def _watch(life: Life, daemon: Daemon, seconds: float) -> None:
    """Notes for so long what `status` says."""
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        told = daemon.status()
        for camera in told["cameras"] if told else ():
            if camera["state"] == "blocked":
                life.blocked.setdefault(camera["camera"], set()).add(camera["reason"])
        for volume in told["volumes"] if told else ():
            if volume["reason"]:
                life.volume_said.setdefault(volume["name"], set()).add(volume["reason"])
        time.sleep(0.1)


def _coverage(house: House) -> dict[str, list[Span]]:
    return {name: house.coverage(name) for name in house.cameras}


STORIES: Final = {"disks": troubled}


@pytest.fixture(scope="module")
def life(stories: dict[str, "Future[Life]"]) -> Life:
    return stories["disks"].result()


def _trouble(life: Life, volume: str) -> Trouble:
    if volume not in life.troubles:
        pytest.skip("a file system of its own needs root and loop devices")
    return life.troubles[volume]


def _gaps(life: Life, camera: str) -> list[Span]:
    """Those before the stop."""
    spans = life.covered[-1][camera]
    return [s for s in spans if s.kind == "gap" and s.start_us < life.stopped_us - US and s.reason != "service-stopped"]


@pytest.mark.parametrize("volume", TROUBLES)
def test_a_disks_trouble_is_told_and_booked_and_heals_by_itself(life: Life, volume: str) -> None:
    trouble = _trouble(life, volume)
    assert any(trouble.says in sentence for sentence in life.blocked.get(volume, ())), life.blocked
    assert {gap.reason for gap in _gaps(life, volume)} == {trouble.reason}
    assert life.healed[volume]["state"] == "recording"
    assert life.healed[volume]["reason"] is None


def test_a_volumes_own_state_says_what_ails_it(life: Life) -> None:
    for volume in ("late", HUNG):
        assert any(TROUBLES[volume].says in sentence for sentence in life.volume_said[volume])
    assert WELL not in life.volume_said


def test_a_camera_on_a_well_disk_loses_no_frame(life: Life) -> None:
    connected = [record for record in life.sent[WELL] if record.connection == 1]
    before = [s for s in life.covered[2][WELL] if s.kind == "gap"]
    assert [gap.reason for gap in before] == ["service-stopped"]
    found = check_in_order(life.house, WELL, life.sent[WELL])
    kept = {(record.connection, record.seq) for record in found.records}
    first = next(record for record in connected if record.key)
    due = [r for r in connected if r.seq >= first.seq and r.sent_at_us < life.stopped_us]
    assert [record for record in due if (1, record.seq) not in kept] == []


@pytest.mark.parametrize("volume", [WELL, *TROUBLES])
def test_what_is_in_the_files_is_what_was_sent_and_what_is_not_is_a_gap(life: Life, volume: str) -> None:
    if volume != WELL:
        _trouble(life, volume)
    found = check_in_order(life.house, volume, life.sent[volume])
    assert found.altered == 0
    kept = {(record.connection, record.seq) for record in found.records}
    spans = life.covered[-1][volume]
    for record in life.sent[volume]:
        if (record.connection, record.seq) not in kept or not record.complete:
            continue
        # A picture in a file is not called missing: half a second is what the clocks of truth and footage may differ.
        at = [s for s in spans if s.start_us + US // 2 <= record.captured_at_us < s.end_us - US // 2]
        assert [s for s in at if s.kind != "recorded"] == [], record


@pytest.mark.parametrize("volume", [WELL, *TROUBLES])
def test_every_row_has_its_file(life: Life, volume: str) -> None:
    if volume != WELL:
        _trouble(life, volume)
    damaged = [s for s in segments_of(life.house, volume) if s.row.state is not SegmentState.OK]
    if volume not in ("failing", "pulled"):
        assert damaged == []
    for segment in damaged:
        assert segment.row.state is SegmentState.DAMAGED, segment
        path = path_of(life.house, segment)
        assert path.exists() or path.with_name(path.name + ".part").exists()
    check_promises(life.house, volume, also_damaged=bool(damaged))


def test_a_hanging_disk_does_not_keep_the_daemon_from_stopping(life: Life, figures: list[str]) -> None:
    code, seconds = life.stop
    figures.append(f"SIGTERM while one of {len(life.house.volumes)} disks hangs: {seconds:.2f} s")
    assert code == 1
    assert seconds < 5
    left = life.unpromised[0]
    # What a disk would not even let be named while it failed waits for the next start too.
    assert {path.relative_to(life.house.folder).parts[0] for path in left} <= {HUNG, "failing", "full", "disk-pulled"}
    assert any("the next start mends" in entry["message"] for entry in life.log)


def test_the_next_start_mends_what_a_hanging_disk_left(life: Life) -> None:
    assert life.next_stop[0] == 0
    assert life.unpromised[1] == set()


def test_no_disks_trouble_is_called_a_bug(life: Life) -> None:
    assert [e for e in life.log if "traceback" in e or e["level"] == "critical"] == []

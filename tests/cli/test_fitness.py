"""What is called well, doubtful or wrong: each finding says what to do, told from measured values."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import pytest

from nvr.cli import fitness
from nvr.cli.fitness import CameraVisit, DiskSpeed, Finding, Load, Login, Mount, Place, PortLook, Room

_EXT4: Final = Mount("ext4", frozenset({"rw", "relatime"}), "/srv")
_PLACE: Final = Place(
    path="/srv/footage",
    exists=True,
    there="/srv/footage",
    parent_exists=True,
    writable=True,
    mode=0o40750,
    mount=_EXT4,
    size_bytes=10**12,
    free_bytes=5 * 10**11,
)
_SSD: Final = DiskSpeed((0.001, 0.001, 0.004), 300e6)
_HARD_DISK: Final = DiskSpeed((0.025, 0.03, 0.08), 80e6)
_CARD: Final = DiskSpeed((0.2, 0.4, 1.5), 4e6)
_VISIT: Final = CameraVisit("gate", "192.168.0.2:80", user="admin", login=Login.TAKEN, defaults_tried=True)
_ALL_WELL: Final = "video well; alarms well; login well; default password well"


def _told(found: Finding | Iterable[Finding]) -> str:
    """Verdicts by name, in a line."""
    return "; ".join(f"{one.name} {one.verdict.value}" for one in ([found] if isinstance(found, Finding) else found))


@pytest.mark.parametrize(
    ("synchronised", "max_error_us", "verdict"),
    [
        (True, 20_000, "well"),
        (True, None, "well"),
        (True, 900_000, "doubtful"),
        (False, None, "wrong"),
        (None, None, "doubtful"),
    ],
)
def test_a_clock_that_nobody_sets_is_wrong(synchronised: bool | None, max_error_us: int | None, verdict: str) -> None:
    assert _told(fitness.of_clock(synchronised, max_error_us)) == f"clock {verdict}"


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 45, 1), (3, 50, 6), (3, 51, 2), (3, 44, 5)])
def test_an_sqlite_with_the_bug_of_two_writers_is_well_and_it_is_said_what_follows_from_it(
    version: tuple[int, int, int],
) -> None:
    found = fitness.of_sqlite(version)
    assert _told(found) == "SQLite well"
    assert "nvr is built around it" in found.says


@pytest.mark.parametrize("version", [(3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 53, 0), (4, 0, 0)])
def test_an_sqlite_without_the_bug_is_known(version: tuple[int, int, int]) -> None:
    assert "is without the bug" in fitness.of_sqlite(version).says


def test_a_daemon_of_another_version_wants_a_restart() -> None:
    installed = {"nvr": "2.0.0", "Python": "3.11.7"}
    assert "systemctl restart nvr" in fitness.of_versions(installed, "1.0.0").says
    assert fitness.of_versions(installed, "2.0.0").says == "nvr 2.0.0, Python 3.11.7"
    assert _told(fitness.of_versions(installed, None)) == "versions well"


def test_fifty_cameras_fit_into_the_usual_limit_of_open_files_and_two_hundred_do_not() -> None:
    assert _told(fitness.of_open_files(1024, 50, of_the_daemon=False)) == "open files well"
    assert "LimitNOFILE" in fitness.of_open_files(1024, 200, of_the_daemon=True).says


def test_a_configuration_with_passwords_is_not_for_all_to_read() -> None:
    assert _told(fitness.of_secrets("c.toml", 0o100644, holds_passwords=True)) == "configuration wrong"
    assert _told(fitness.of_secrets("c.toml", 0o100640, holds_passwords=True)) == "configuration well"
    assert _told(fitness.of_secrets("c.toml", 0o100644, holds_passwords=False)) == "configuration well"


@pytest.mark.parametrize(
    ("refusal", "speaks_nvr", "daemon_runs", "verdict"),
    [
        (None, False, False, "well"),
        ("in use", True, True, "well"),
        ("in use", True, False, "wrong"),
        ("in use", False, False, "wrong"),
        ("in use", False, True, "wrong"),
        (None, False, True, "doubtful"),
    ],
)
def test_a_port_is_free_or_nvrs_own(refusal: str | None, speaks_nvr: bool, daemon_runs: bool, verdict: str) -> None:
    look = PortLook("127.0.0.1:9685", refusal, speaks_nvr)
    assert _told(fitness.of_port(look, daemon_runs=daemon_runs)) == f"port 127.0.0.1:9685 {verdict}"


@pytest.mark.parametrize(
    ("mount", "index", "footage"),
    [
        (_EXT4, "well", "well"),
        (Mount("xfs", frozenset({"rw", "noatime"})), "well", "well"),
        (Mount("nfs4", frozenset({"rw"})), "wrong", "doubtful"),
        (Mount("fuse.sshfs", frozenset({"rw"})), "wrong", "doubtful"),
        (Mount("tmpfs", frozenset({"rw"})), "doubtful", "doubtful"),
        (Mount("exfat", frozenset({"rw"})), "doubtful", "doubtful"),
        (Mount("ext4", frozenset({"ro"})), "wrong", "wrong"),
        (Mount("ext4", frozenset({"rw", "barrier=0"})), "wrong", "wrong"),
        (Mount("ext4", frozenset({"rw", "sync"})), "doubtful", "doubtful"),
        (Mount("", frozenset()), "well", "well"),
    ],
)
def test_an_index_wants_a_local_disk_and_footage_one_that_keeps_what_was_synced(
    mount: Mount, index: str, footage: str
) -> None:
    place = replace(_PLACE, mount=mount)
    assert f"data_dir: file system {index}" in _told(fitness.of_data_dir(place, daemon_runs=False))
    assert f"volume main: file system {footage}" in _told(
        fitness.of_volume("main", place, Room(10**9), None, daemon_runs=False)
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "volume main well"),
        ({"mode": 0o40755}, "volume main doubtful"),
        ({"writable": False}, "volume main wrong"),
        ({"exists": False, "parent_exists": False}, "volume main wrong"),
        ({"free_bytes": 10**8}, "volume main: space wrong"),
        ({"size_bytes": 10**9}, "volume main: space wrong"),
    ],
)
def test_a_volume_can_be_written_by_the_daemon_and_looked_at_by_nobody_else(
    change: dict[str, object], told: str
) -> None:
    place = replace(_PLACE, **change)  # type: ignore[arg-type]  # names are those of Place
    assert told in _told(fitness.of_volume("main", place, Room(10**9), None, daemon_runs=False)).split("; ")


@pytest.mark.parametrize(
    ("free_bytes", "room", "verdict"),
    [
        (10**10, Room(10**9, footage_bytes=9 * 10**11), "well"),
        (10**8, Room(10**9, footage_bytes=9 * 10**11), "doubtful"),
        (10**8, Room(10**9, footage_bytes=10**8), "wrong"),
        (10**8, Room(10**9), "wrong"),
        (10**11, Room(10**9, quota_bytes=9 * 10**11), "well"),
        (10**11, Room(10**9, quota_bytes=10**12), "doubtful"),
    ],
)
def test_a_disk_that_is_full_of_footage_is_as_it_should_be(free_bytes: int, room: Room, verdict: str) -> None:
    place = replace(_PLACE, free_bytes=free_bytes)
    assert f"volume main: space {verdict}" in _told(fitness.of_volume("main", place, room, None, daemon_runs=True))


def test_quotas_that_no_disk_can_hold_are_doubtful() -> None:
    assert list(fitness.of_quotas(10**12, 10**12)) == []
    assert _told(fitness.of_quotas(2 * 10**12, 10**12)) == "quotas doubtful"


def test_what_the_daemon_refuses_is_said_and_what_only_it_may_write_is_not_called_wrong() -> None:
    first, *_ = fitness.of_volume("main", _PLACE, Room(10**9), "another disk is mounted at /srv", daemon_runs=True)
    assert first == fitness.wrong("volume main", "the daemon does not use it: another disk is mounted at /srv")
    closed = replace(_PLACE, writable=False)
    assert "volume main doubtful" in _told(fitness.of_volume("main", closed, Room(10**9), None, daemon_runs=True))
    assert "data_dir doubtful" in _told(fitness.of_data_dir(closed, daemon_runs=True))


@pytest.mark.parametrize(
    ("speed", "cameras", "mbit_s", "verdict"),
    [
        (_SSD, 1, 4, "well"),
        (_SSD, 50, 4, "well"),
        (_HARD_DISK, 4, 4, "well"),
        (_HARD_DISK, 50, 4, "well"),
        (_HARD_DISK, 50, 20, "wrong"),
        (_CARD, 1, 4, "well"),
        (_CARD, 3, 4, "doubtful"),
        (_CARD, 10, 4, "wrong"),
    ],
)
def test_a_disk_bears_so_many_cameras_as_it_can_write_and_sync(
    speed: DiskSpeed, cameras: int, mbit_s: float, verdict: str
) -> None:
    load = Load(cameras, cameras * mbit_s * 1e6 / 8, sync_every_s=2)
    found = fitness.of_speed("main", speed, load)
    assert _told(found) == f"volume main: speed {verdict}", found.says


def test_a_rate_that_nobody_measured_is_called_assumed() -> None:
    assert "2 cameras of 4 Mbit/s would write" in fitness.of_speed("main", _SSD, Load(2, 1e6, 2, assumed=True)).says


def test_two_volumes_on_one_disk_are_doubtful() -> None:
    assert list(fitness.of_shared_disks({"a": "/srv", "b": "/mnt"})) == []
    (found,) = fitness.of_shared_disks({"a": "/srv", "b": "/mnt", "c": "/srv"})
    assert found.says.startswith("a and c are one file system (/srv)")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, _ALL_WELL),
        ({"off": True}, "well"),
        ({"video": "no answer within 4 s"}, "video wrong"),
        ({"video": "no answer within 4 s", "login": Login.UNREADABLE}, "video wrong; login wrong"),
        ({"video": "busy", "answers": True, "refuses": True}, _ALL_WELL.replace("video well", "video wrong")),
        ({"video": "no picture", "answers": True}, _ALL_WELL.replace("video well", "video wrong")),
        ({"alarm": "refused"}, "video well; alarms doubtful; login well; default password well"),
        ({"alarm": "refused", "alarms_wanted": True}, "video well; alarms wrong; login well; default password well"),
        ({"login": Login.REFUSED}, "video well; alarms well; login wrong; default password well"),
        ({"login": Login.NOT_FOR_US}, "video well; alarms well; login doubtful; default password well"),
        ({"login": Login.UNREADABLE}, "video well; alarms well; login wrong; default password well"),
        ({"login": Login.UNANSWERED}, "video well; alarms well; login doubtful; default password well"),
        ({"login": None, "user": None}, "video well; alarms well; default password well"),
        ({"default_users": ("operator",)}, "video well; alarms well; login well; default password wrong"),
        ({"defaults_tried": False}, "video well; alarms well; login well; default password doubtful"),
        ({"motion_wanted": ("door",), "detects_motion": True}, f"{_ALL_WELL}; motion well"),
        ({"motion_wanted": ("door",), "detects_motion": False}, f"{_ALL_WELL}; motion wrong"),
        ({"motion_wanted": ("door",)}, f"{_ALL_WELL}; motion doubtful"),
        ({"motion_wanted": ("door",), "login": None}, "video well; alarms well; login doubtful; default password well"),
    ],
)
def test_a_camera_answers_takes_the_login_and_refuses_everybody_elses(change: dict[str, object], told: str) -> None:
    found = fitness.of_camera(replace(_VISIT, **change))  # type: ignore[arg-type]  # names are those of CameraVisit
    assert _told(found).replace("camera gate: ", "").replace("camera gate ", "") == told


def test_a_camera_that_refuses_is_told_from_one_that_is_not_there() -> None:
    def says(**change: object) -> str:
        return next(fitness.of_camera(replace(_VISIT, **change))).says  # type: ignore[arg-type]  # as above

    assert "power, cable, address" in says(video="no answer within 4 s")
    assert "list of addresses" in says(video="closed", answers=True, refuses=True)
    assert "restart it" in says(video="no video within 8 s", answers=True)
    assert says(recorded=True) == "the daemon records it from 192.168.0.2:80"


def test_only_what_is_wrong_makes_a_machine_unfit() -> None:
    assert fitness.is_fit([fitness.well("a", "b"), fitness.doubtful("c", "d")])
    assert not fitness.is_fit([fitness.well("a", "b"), fitness.wrong("c", "d")])

"""How a disk and its mount are looked at: real files, and the kernel's own words."""

import os
import threading
from pathlib import Path
from typing import Final

import pytest

from nvr.cli import machine_look
from nvr.cli.fitness import Mount

_MOUNTINFO: Final = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
31 22 0:27 / /srv rw,nosuid - nfs4 server:/export rw,vers=4.2
40 31 8:17 / /srv/new\\040disk rw,noatime shared:5 master:2 - ext4 /dev/sdb1 rw,barrier=0
41 22 8:33 / /mnt rw - xfs /dev/sdc1 rw
42 22 8:34 / /mnt ro - ext4 /dev/sdd1 rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/var/lib/nvr", Mount("ext4", frozenset({"rw", "relatime", "errors=remount-ro"}), "/")),
        ("/srv/footage", Mount("nfs4", frozenset({"rw", "nosuid", "vers=4.2"}), "/srv")),
        ("/srv/new disk/nvr", Mount("ext4", frozenset({"rw", "noatime", "barrier=0"}), "/srv/new disk")),
        ("/srv/new", Mount("nfs4", frozenset({"rw", "nosuid", "vers=4.2"}), "/srv")),
        ("/mnt/over", Mount("ext4", frozenset({"ro", "rw"}), "/mnt")),
    ],
)
def test_the_nearest_and_newest_mount_is_that_of_a_path(path: str, mount: Mount) -> None:
    assert machine_look.mount_of(Path(path), _MOUNTINFO) == mount


def test_this_machine_tells_on_what_a_folder_lies(tmp_path: Path) -> None:
    mount = machine_look.mount_of(tmp_path, Path("/proc/self/mountinfo").read_text())
    assert mount.kind
    assert mount.options & {"rw", "ro"}
    assert os.path.ismount(mount.at)


def test_a_disk_is_measured_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    speed = machine_look.measured(tmp_path)
    assert 0 < speed.usual_s <= speed.worst_s
    assert speed.bytes_a_s > 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_where_measuring_fails(tmp_path: Path) -> None:
    (tmp_path / f".nvr-doctor-{os.getpid()}").write_text("somebody else's")
    with pytest.raises(FileExistsError):
        machine_look.measured(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["somebody else's"]


def test_what_hangs_is_not_waited_for() -> None:
    stuck = threading.Event()
    with pytest.raises(TimeoutError):
        machine_look.within(0.05, stuck.wait)
    stuck.set()


def test_what_a_look_raises_is_raised_again() -> None:
    with pytest.raises(ZeroDivisionError):
        machine_look.within(5, lambda: 1 // 0)
    assert machine_look.within(5, lambda: 17) == 17

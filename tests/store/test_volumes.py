"""Volumes are known by what lies on them; their thread is bounded, and nobody waits for it when it is stuck."""

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.clock import HostClock
from nvr.media.durable import Disk
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.volumes import IDENTITY_NAME, Volume, VolumeThread, identity_at, parse_identity
from nvr.units import US, MonoMicros, UtcMicros
from tests.store.house import ARCHIVE, FailingDisk

OTHER_ARCHIVE = "0b1f1c8e-0000-4000-8000-00000000beef"


class ReadOnly(Disk):
    def statvfs(self, path: Path) -> os.statvfs_result:
        found = list(super().statvfs(path))
        found[8] |= os.ST_RDONLY
        return os.statvfs_result(found)


def opened(path: Path, known: str | None = None, disk: Disk | None = None) -> Volume:
    return Volume.open(disk or Disk(), "main", path, ARCHIVE, known)


def test_a_new_volume_gets_an_identity_and_is_known_by_it_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "footage"
    volume = opened(path)
    said = identity_at(path)
    assert said is not None
    assert (said.volume, said.archive, said.name) == (volume.uuid, ARCHIVE, "main")
    assert opened(path, volume.uuid).uuid == opened(path).uuid == volume.uuid
    volume.check_usable()
    space = volume.space()
    assert 0 < space.free_bytes < space.size_bytes


def test_a_known_volume_whose_disk_is_not_mounted_is_missing_and_nothing_is_written(tmp_path: Path) -> None:
    uuid = opened(tmp_path / "footage").uuid
    empty = tmp_path / "mount-point"
    empty.mkdir()
    with pytest.raises(VolumeMissing, match=r"has no .nvr-volume; is its disk mounted there\?"):
        opened(empty, uuid)
    assert list(empty.iterdir()) == []
    with pytest.raises(VolumeMissing):
        opened(tmp_path / "nowhere", uuid)
    assert not (tmp_path / "nowhere").exists()


def test_another_volume_or_another_archive_is_not_taken_for_it(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "first"), opened(tmp_path / "second")
    with pytest.raises(VolumeMissing, match="another volume"):
        opened(second.path, first.uuid)
    with pytest.raises(VolumeMissing, match="belongs to another archive"):
        Volume.open(Disk(), "main", first.path, OTHER_ARCHIVE, None)


def test_a_volume_is_not_made_where_its_parent_is_missing(tmp_path: Path) -> None:
    with pytest.raises(VolumeMissing, match="mount the disk"):
        opened(tmp_path / "not" / "there")
    assert list(tmp_path.iterdir()) == []


def test_what_changes_under_a_running_daemon_is_noticed_before_the_next_file(tmp_path: Path) -> None:
    volume = opened(tmp_path / "footage")
    identity = volume.path / IDENTITY_NAME
    own = identity.read_bytes()
    identity.write_bytes((opened(tmp_path / "other").path / IDENTITY_NAME).read_bytes())
    with pytest.raises(VolumeMissing, match="another disk"):
        volume.check_usable()
    identity.unlink()
    with pytest.raises(VolumeMissing, match="no longer mounted"):
        volume.check_usable()
    identity.mkdir()
    with pytest.raises(VolumeMissing, match="no longer mounted"):
        volume.check_usable()
    identity.rmdir()
    identity.write_bytes(own)
    volume.check_usable()


def test_a_volume_that_is_mounted_read_only_is_missing(tmp_path: Path) -> None:
    path = opened(tmp_path / "footage").path
    with pytest.raises(VolumeMissing, match="mounted read-only"):
        opened(path, disk=ReadOnly())


@pytest.mark.parametrize("how", ["EIO", "ENOSPC", "short", "killed"])
def test_an_identity_is_written_whole_or_not_at_all(how: str, tmp_path: Path) -> None:
    calls, at = 99, 0
    while (at := at + 1) <= calls:
        path, disk = tmp_path / str(at), FailingDisk(at, how)
        try:
            opened(path, disk=disk)
        except (OSError, DiskFull, VolumeMissing):
            assert disk.failed
        else:
            calls = len(disk.calls)
        assert identity_at(path) is not None or not (path / IDENTITY_NAME).exists()
        assert opened(path).uuid == opened(path).uuid
    assert at > 5


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_noise_is_no_identity(data: bytes) -> None:
    assert parse_identity(data) is None


def test_a_damaged_identity_keeps_the_volume_out_with_a_sentence(tmp_path: Path) -> None:
    volume = opened(tmp_path / "footage")
    (volume.path / IDENTITY_NAME).write_bytes(b"{")
    with pytest.raises(VolumeMissing, match="cannot be understood"):
        opened(volume.path, volume.uuid)


# ---- the thread


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.now_us = 0

    def utc_us(self) -> UtcMicros:
        return UtcMicros(self.now_us)

    def mono_us(self) -> MonoMicros:
        return MonoMicros(self.now_us)


@pytest.fixture
def blocked() -> Iterator[threading.Event]:
    """What a stuck disk waits for; set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def stuck_in(thread: VolumeThread, event: threading.Event, cost_bytes: int = 0) -> None:
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        event.wait(30)

    assert thread.put(cost_bytes, wait)
    assert begun.wait(10)


def test_calls_run_in_their_order_off_the_callers_thread() -> None:
    done: list[tuple[int, str]] = []
    thread = VolumeThread("main", HostClock())
    for number in range(100):
        assert thread.put(10, lambda n: done.append((n, threading.current_thread().name)), number)
    assert thread.stop(10)
    assert done == [(number, "volume main") for number in range(100)]
    assert thread.queued_bytes == thread.queue_length() == 0
    assert not thread.put(0, done.clear), "nothing is taken after the end"


def test_the_queue_is_bounded_in_bytes_and_the_end_of_a_segment_always_fits(blocked: threading.Event) -> None:
    thread = VolumeThread("main", HostClock(), queue_bytes=100)
    stuck_in(thread, blocked, 40)
    assert thread.has_room
    assert thread.put(60, int)
    assert not thread.has_room
    assert not thread.put(1, int)
    assert thread.put(0, int)
    assert thread.queued_bytes == 100
    blocked.set()
    assert thread.stop(10)
    assert thread.queued_bytes == 0


def test_a_thread_that_is_silent_for_ten_seconds_is_stuck_and_stopping_does_not_wait_for_it(
    blocked: threading.Event,
) -> None:
    clock = TestClock()
    thread = VolumeThread("main", clock)
    assert thread.silent_seconds() == 0
    stuck_in(thread, blocked)
    clock.now_us = 9 * US
    assert not thread.stuck
    clock.now_us = 10 * US
    assert thread.stuck
    assert not thread.has_room
    begun = time.monotonic()
    assert not thread.stop(0.05)
    assert time.monotonic() - begun < 5
    assert thread._thread.daemon, "a process must be able to end without it"
    blocked.set()
    assert thread.stop(10)
    assert not thread.stuck


def test_a_call_that_raises_ends_nobody_elses() -> None:
    failures: list[BaseException] = []
    done = threading.Event()
    thread = VolumeThread("main", HostClock(), on_failure=failures.append)
    trouble = OSError(errno.EIO, "oh")

    def fail() -> None:
        raise trouble

    thread.put(5, fail)
    thread.put(0, done.set)
    assert done.wait(10)
    assert thread.stop(10)
    assert failures == [trouble]
    assert thread.queued_bytes == 0


def test_a_volume_that_another_process_writes_to_is_left_alone(tmp_path: Path) -> None:
    disk = Disk()
    first = Volume.open(disk, "main", tmp_path / "footage", ARCHIVE, None)
    second = Volume.open(disk, "main", tmp_path / "footage", ARCHIVE, first.uuid)
    first.claim()
    first.claim()
    with pytest.raises(VolumeMissing, match="another nvr writes to"):
        second.claim()
    first.release()
    second.claim()
    second.release()

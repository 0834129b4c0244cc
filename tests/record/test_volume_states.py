"""A volume's states: each is told, by metric and in words, and goes by itself; and where a camera's day is kept."""

import errno
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nvr.clock import HostClock
from nvr.metrics import VOLUME_STATES
from nvr.record.shelf import Refusal, Shelf, Shelves
from nvr.store.retention import target_free_bytes
from nvr.store.volumes import IDENTITY_NAME
from nvr.units import US, MonoMicros
from tests.record.conftest import NOW, Room

DAY_US = 86_400 * US


class Ahead(HostClock):
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.by_us = 0

    def mono_us(self) -> MonoMicros:
        return MonoMicros(super().mono_us() + self.by_us)


def state(room: Room) -> str:
    room.shelf.look()
    room.shelf.note_state()
    assert room.volume_counts.state in VOLUME_STATES
    return room.volume_counts.state


def statvfs_says(room: Room, **said: int) -> None:
    """The file system's own figures, some of them changed."""

    def statvfs(path: Path) -> os.statvfs_result:
        found = os.statvfs(path)
        names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_flag")
        return os.statvfs_result([said.get(name, getattr(found, name)) for name in names] + [found.f_namemax])

    room.disk.statvfs = statvfs  # type: ignore[method-assign]  # this one disk's


def test_a_disk_without_room_is_used_for_some_seconds_more_in_which_the_oldest_goes(room: Room) -> None:
    ahead = Ahead()
    room.shelf._clock = ahead
    assert state(room) == "ok"
    room.shelf.place = replace(room.shelf.place, keep_free_bytes=1000 * 4096)
    statvfs_says(room, f_frsize=4096, f_blocks=100_000, f_bavail=900)
    assert state(room) == "ok"
    assert room.shelf.refusal is None
    ahead.by_us = 6 * US
    assert state(room) == "full"
    assert room.shelf.refusal is not None
    assert room.shelf.refusal.sentence.startswith(
        "volume 'main' has 3.7 MB free, less than keep_free (4.1 MB), and what"
    )
    statvfs_says(room, f_frsize=4096, f_blocks=100_000, f_bavail=1000)
    assert state(room) == "ok"
    statvfs_says(room, f_frsize=4096, f_blocks=100_000, f_bavail=499)
    assert state(room) == "full", "less than half of what is to be left: at once"


def test_a_file_system_that_can_hold_no_more_files_is_full(room: Room) -> None:
    statvfs_says(room, f_files=50_000, f_favail=499)
    ahead = room.shelf._clock = Ahead()
    assert state(room) == "ok"
    ahead.by_us = 6 * US
    assert state(room) == "full"
    assert room.shelf.refusal == Refusal(
        "disk-full", "the file system of volume 'main' can hold no more files (499 left)"
    )
    statvfs_says(room)
    assert state(room) == "ok"


def test_what_can_never_be_kept_free_is_said_as_such(room: Room) -> None:
    room.shelf.place = replace(room.shelf.place, keep_free_bytes=1 << 60)
    assert state(room) == "full"
    assert room.shelf.refusal is not None
    assert room.shelf.refusal.sentence.startswith("keep_free of volume 'main' is 1152921.50 TB, but its disk has ")


def trouble(code: int) -> Callable[[Path], os.statvfs_result]:
    def statvfs(_: Path) -> os.statvfs_result:
        raise OSError(code, os.strerror(code))

    return statvfs


def test_a_disk_that_fails_or_became_read_only_or_is_gone_is_told_apart_and_taken_back(room: Room) -> None:
    room.disk.statvfs = trouble(errno.EIO)  # type: ignore[method-assign]  # this one disk's, as below
    assert state(room) == "failed"
    assert not room.shelf.is_there
    statvfs_says(room, f_flag=os.ST_RDONLY)
    assert state(room) == "read-only"
    statvfs_says(room)
    identity = room.root / IDENTITY_NAME
    said = identity.read_bytes()
    identity.unlink()
    assert state(room) == "missing"
    identity.write_bytes(said.replace(b'"volume": "', b'"volume": "0'))
    assert state(room) == "missing"
    identity.write_bytes(said)
    assert state(room) == "ok"
    assert room.shelf.is_there


def test_a_disk_that_does_not_answer_is_stuck_counted_once_and_said_by_the_loop(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    ahead, hangs = Ahead(), threading.Event()
    room.shelf.thread._clock = ahead
    room.shelf.thread.put(0, hangs.wait, 20)
    try:
        while not room.shelf.thread.silent_seconds():
            time.sleep(0.001)
        ahead.by_us = 11 * US
        for _ in range(3):
            room.shelf.note_state()
        assert room.volume_counts.state == "stuck"
        assert room.volume_counts.write_errors["stuck"] == 1
        assert "volume 'main' has not answered for more than 10 seconds" in caplog.text
    finally:
        hangs.set()
    room.settle()
    assert state(room) == "ok"


def test_a_volume_is_looked_at_again_however_quickly_a_look_was_done(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = room.shelf.put

    def put_and_be_overtaken(cost_bytes: int, do: Callable[..., None]) -> bool:
        """The I/O thread is done before the loop goes on."""
        is_taken = put(cost_bytes, do)
        room.settle()
        return is_taken

    monkeypatch.setattr(room.shelf, "put", put_and_be_overtaken)
    for _ in range(2):
        room.shelf.is_there = False
        room.shelf.ask_to_look()
        assert room.shelf.is_there


# ---- where a camera's day is kept


@pytest.fixture
def three(room: Room) -> list[Shelf]:
    """Three volumes that take footage, of which only what `choose` asks is looked at."""
    shelves = []
    for name in ("a", "b", "c"):
        shelf = Shelf(
            replace(room.shelf.place, name=name, path=room.root.parent / name),
            *(room.shelf.archive, room.shelf.thread, room.shelf.plan, type(room.volume_counts)(), room.clock),
            known_uuid=None,
            enter=lambda name, uuid: room.index.add_volume(name, uuid).result(),
            recover=lambda _: None,
            observe_sync=lambda _: None,
            observe_seal=lambda _: None,
        )
        shelf.look()
        shelves.append(shelf)
    return shelves


CAMERAS = [f"camera-{number}" for number in range(60)]


def spread(shelves: Shelves, day: int) -> dict[str, int]:
    chosen = [shelf.name for camera in CAMERAS if (shelf := shelves.choose(camera, day)) is not None]
    return {name: chosen.count(name) for name in sorted(set(chosen))}


def test_cameras_are_spread_and_stay_for_the_day_also_where_their_disk_came_back_or_nvr_was_restarted(
    three: list[Shelf],
) -> None:
    shelves = Shelves(three)
    first = {camera: shelves.choose(camera, 1) for camera in CAMERAS}
    assert all(count > 10 for count in spread(shelves, 1).values())
    three[0]._refusal = Refusal("disk-failed", "gone")
    moved = {camera: shelves.choose(camera, 1) for camera in CAMERAS}
    assert all(moved[camera] is first[camera] for camera in CAMERAS if first[camera] is not three[0])
    three[0]._refusal = None
    assert {camera: shelves.choose(camera, 1) for camera in CAMERAS} == moved
    again = Shelves(three)
    again.settle("camera-0", 1, "b")
    assert again.choose("camera-0", 1) is three[1]
    assert {camera: shelves.choose(camera, 2) for camera in CAMERAS} != moved


def test_a_volume_with_room_comes_first_then_one_with_the_oldest_footage_that_may_go(three: list[Shelf]) -> None:
    shelves = Shelves(three)
    for shelf in three[:2]:
        shelf.counts.at_floor = True
    assert spread(shelves, 1) == {"c": 60}
    three[2].counts.at_floor = True
    for shelf, days in zip(three, (9.0, 8.5, 3.0), strict=True):
        shelf.counts.oldest_free_us = NOW - round(days * DAY_US)
    both = spread(shelves, 2)
    assert both.keys() == {"a", "b"}
    assert min(both.values()) > 10, "a dead disk would hole some cameras' day, not everybody's"
    three[0].counts.oldest_free_us = three[1].counts.oldest_free_us = None
    assert spread(shelves, 3) == {"c": 60}


def test_what_stops_recorders_is_less_than_what_the_sweep_keeps_clear(room: Room) -> None:
    room.shelf.place = replace(room.shelf.place, keep_free_bytes=10_000 * 4096)
    for free in (9_999, 10_000, 10_001):
        statvfs_says(room, f_frsize=4096, f_blocks=1_000_000, f_bavail=free)
        room.shelf.look()
        assert target_free_bytes(room.shelf.room()) > free * 4096

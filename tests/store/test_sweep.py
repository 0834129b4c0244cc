"""What is deleted is condemned first, unlinked by its volume's own thread, and forgotten last, whatever fails."""

import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from nvr.clock import HostClock
from nvr.media.durable import Disk
from nvr.metrics import Metrics, VolumeCounts
from nvr.store import schema
from nvr.store.ballast import BALLAST_NAME, Ballast
from nvr.store.errors import DiskFull
from nvr.store.index import Index
from nvr.store.names import day_of, numbered, timelapse_path
from nvr.store.reader import Reader
from nvr.store.retention import Keep, Room
from nvr.store.rows import ClipExport, CloseClip, FilmRow, OpenClip
from nvr.store.sweep import Sweeper
from nvr.store.volumes import Volume
from nvr.units import US, MonoMicros, UtcMicros
from tests.store.house import ARCHIVE, NOW, FailingDisk, House, Open

DAY = 86_400 * US
ROOMY = Room(volume=0, size_bytes=10**12, free_bytes=10**12, keep_free_bytes=10**9)
Check = Callable[..., None]


class Later(HostClock):
    """A clock that is so many days past NOW."""

    def __init__(self, days: float) -> None:
        self.now_us = UtcMicros(NOW + round(days * DAY))
        self.ahead_us = 0

    def utc_us(self) -> UtcMicros:
        return self.now_us

    def mono_us(self) -> MonoMicros:
        return MonoMicros(super().mono_us() + self.ahead_us)


class Ground:
    """A real volume whose room is what a test says."""

    def __init__(self, volume: Volume, volume_id: int, disk: Disk, room: Room = ROOMY) -> None:
        self.volume: Volume | None = volume
        self.volume_id = volume_id
        self.name = volume.name
        self.disk = disk
        self.counts = VolumeCounts()
        self.is_there = True
        self.lags = False
        self.room_is = room
        self.measured = 0

    def room(self, rate_bytes_s: float = 0.0) -> Room:
        return replace(self.room_is, volume=self.volume_id, rate_bytes_s=rate_bytes_s)

    def measure(self) -> None:
        self.measured += 1


class Yard:
    """A house that is swept."""

    def __init__(self, house: House, *, days: float, keep: Keep | None = None, exports: bool = True) -> None:
        self.house = house
        self.clock = Later(days)
        self.keep = keep or Keep()
        self.metrics = Metrics("1", self.clock.utc_us)
        self.counts = self.metrics.add_camera("gate")
        self.ground = Ground(house.volume, house.volume_id, house.disk)
        self.others: list[Ground] = []
        self._exports = exports
        self._sweeper: Sweeper | None = None

    @property
    def sweeper(self) -> Sweeper:
        if self._sweeper is None:
            grounds = [self.ground, *self.others]
            self._sweeper = Sweeper(
                *(self.house.index, self.house.reader, grounds, lambda _: self.keep, Ballast(self.house.base)),
                *(self.metrics, self.clock),
                exports=self._exports,
            )
        return self._sweeper

    def sweep(self, times: int = 1) -> None:
        """And waits for what is unlinked."""
        for _ in range(times):
            self.sweeper.sweep(threading.Event())
            self.settle()

    def settle(self) -> None:
        deadline = time.monotonic() + 10
        beats = self.sweeper._beats.values()
        while any(beat.busy or beat.thread.silent_seconds() for beat in beats):
            assert time.monotonic() < deadline, "unlinking does not end"
            time.sleep(0.002)
        self.house.index.ping().result(5)

    @property
    def deleted(self) -> dict[str, int]:
        return {rule: count for rule, count in self.metrics.retention_deleted.items() if count}

    def close(self) -> None:
        assert self.sweeper.stop(5)


@contextmanager
def swept(house: House, *, days: float, keep: Keep | None = None, exports: bool = True) -> Iterator[Yard]:
    yard = Yard(house, days=days, keep=keep, exports=exports)
    try:
        yield yard
    finally:
        yard.close()


def record(house: House, *days: float) -> list[str]:
    """A segment on each of these days after NOW; their paths."""
    for seq, day in enumerate(days):
        assert house.record(7, seq, NOW + round(day * DAY)) is not None
    return [segment.path for segment in house.segments()]


def test_what_is_too_old_is_unlinked_and_forgotten_and_its_empty_folders_go(house: House, promises_hold: Check) -> None:
    first, second = record(house, 0, 20)
    with swept(house, days=31, keep=Keep(max_us=30 * DAY)) as yard:
        yard.sweep()
        assert house.files() == [second]
        assert house.reader.garbage() == []
        assert yard.deleted == {"max-days": 1}
        assert yard.counts.oldest_segment_us == NOW + 20 * DAY
        promises_hold(house)
        assert not (house.path_of(first)).parent.exists()
        assert not (house.path_of("gate/2026/11")).exists()
        assert house.path_of(second).parent.is_dir()


def test_a_folder_in_which_files_may_begin_is_left(house: House) -> None:
    (only,) = record(house, 0)
    with swept(house, days=0.2, keep=Keep(max_us=DAY // 10)) as yard:
        yard.sweep()
        assert house.files() == []
        assert house.path_of(only).parent.is_dir()


def test_how_much_there_is_follows_every_change(house: House) -> None:
    record(house, 0, 1, 2)
    sizes = [segment.row.size_bytes for segment in house.segments()]
    (holding,) = house.reader.holdings()
    assert (holding.segment_bytes, holding.clip_bytes, holding.oldest_us) == (sum(sizes), 0, NOW)
    assert house.reader.footage_bytes() == {"main": sum(sizes)}
    with swept(house, days=31.5, keep=Keep(max_us=30 * DAY)) as yard:
        yard.sweep()
        (holding,) = house.reader.holdings()
        assert (holding.segment_bytes, holding.oldest_us) == (sizes[2], NOW + 2 * DAY)
        assert yard.ground.counts.deleted_bytes == sum(sizes[:2])


# ---- clips


def make_clip(house: House, number: int, seconds: float, *, path: str | None, size: int = 100, files: int = 1) -> None:
    """A clip of the first seconds after NOW, exported where it has a path."""
    house.index.put_clip_steps(
        house.camera_id,
        [
            OpenClip(number, f"rule-{number}", "m1", NOW, NOW, 0, NOW + round(seconds * US), None),
            CloseClip(number, NOW + round(seconds * US), "done"),
        ],
    ).result()
    if path is not None:
        for at in range(1, files + 1):
            file = house.path_of(numbered(path, at))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x" * size)
        export = ClipExport(house.volume_id, path, files, size * files, 0)
        house.index.clip_exported(number, export, NOW).result()


def test_footage_that_a_clip_holds_stays_until_the_clip_is_a_file_or_unlocked(house: House) -> None:
    record(house, 0)
    make_clip(house, 1, 1, path=None)
    with swept(house, days=31, keep=Keep(max_us=30 * DAY)) as yard:
        yard.sweep()
        assert len(house.files()) == 1
        export = ClipExport(house.volume_id, "gate/clips/2026/11/a.mp4", 1, 100, 0)
        house.index.lock_clip(1, True).result()
        house.index.clip_exported(1, export, NOW).result()
        yard.sweep()
        assert len(house.files()) == 1
        house.index.lock_clip(1, False).result()
        yard.sweep()
        assert house.files() == []
        assert yard.deleted == {"max-days": 1}


def test_clips_go_with_all_their_files_when_they_are_too_old_but_locked_ones_never(house: House) -> None:
    make_clip(house, 1, 1, path="gate/clips/2026/11/20261123T140322Z-rule-1-1.mp4", files=3)
    make_clip(house, 2, 1, path="gate/clips/2026/11/20261123T140322Z-rule-2-2.mp4")
    house.index.lock_clip(2, True).result()
    (holding,) = house.reader.holdings()
    assert holding.clip_bytes == 400
    with swept(house, days=91, keep=Keep(clip_us=90 * DAY)) as yard:
        yard.sweep()
        assert house.files() == ["gate/clips/2026/11/20261123T140322Z-rule-2-2.mp4"]
        assert house.reader.clip(1) is None
        assert house.reader.clip(2) is not None
        assert yard.deleted == {"clip-days": 1}
        (holding,) = house.reader.holdings()
        assert holding.clip_bytes == 100


def test_a_clip_without_a_file_goes_with_its_age_and_so_does_one_that_is_to_have_none(house: House) -> None:
    record(house, 0)
    make_clip(house, 1, 1, path=None)
    keep = Keep(max_us=30 * DAY, clip_us=90 * DAY)
    with swept(house, days=91, keep=keep) as yard:
        yard.sweep(2)
        assert house.reader.clip(1) is not None, "it still waits for its file"
    with swept(house, days=91, keep=keep, exports=False) as yard:
        yard.sweep(2)
        assert house.reader.clip(1) is None
        assert house.files() == []


def test_a_clip_that_is_a_second_name_takes_room_of_its_own_once_its_segment_is_gone(house: House) -> None:
    (path,) = record(house, 0)
    (segment,) = house.segments()
    make_clip(house, 1, 2, path=None)
    clip = "gate/clips/2026/11/20261123T140322Z-rule-1-1.mp4"
    house.path_of(clip).parent.mkdir(parents=True)
    os.link(house.path_of(path), house.path_of(clip))
    size = segment.row.size_bytes
    export = ClipExport(house.volume_id, clip, 1, size, 0, linked=True)
    house.index.clip_exported(1, export, NOW).result()
    (holding,) = house.reader.holdings()
    assert (holding.segment_bytes, holding.clip_bytes) == (size, 0)
    with swept(house, days=31, keep=Keep(max_us=30 * DAY)) as yard:
        yard.sweep()
        assert house.files() == [clip]
        (holding,) = house.reader.holdings()
        assert (holding.segment_bytes, holding.clip_bytes) == (0, size)


# ---- films


def make_film(house: House, day: int, *, size: int = 100, files: int = 1) -> str:
    """Of this day after NOW's; its path."""
    start_us = NOW - NOW % DAY + day * DAY
    path = timelapse_path("gate", day_of(start_us))
    for at in range(1, files + 1):
        file = house.path_of(numbered(path, at))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)
    row = FilmRow(house.camera_id, house.volume_id, start_us, path, files, size * files, 9)
    assert house.index.add_film(row).result()
    return path


def test_a_film_counts_as_footage_and_goes_with_all_its_files_after_its_days_footage(
    house: House, promises_hold: Check
) -> None:
    _, second = record(house, 0, 1)
    make_film(house, 0, size=2000, files=2)
    kept = make_film(house, 1)
    sizes = [segment.row.size_bytes for segment in house.segments()]
    (holding,) = house.reader.holdings()
    assert (holding.segment_bytes, holding.film_bytes, holding.size_bytes) == (sum(sizes), 4100, sum(sizes) + 4100)
    with swept(house, days=2, keep=Keep(quota_bytes=(sizes[1] + 100) * 10 // 9)) as yard:
        yard.ground.counts.entered_bytes = sum(sizes)
        yard.sweep()
        assert house.files() == [second, kept]
        assert yard.deleted == {"quota-camera": 2}
        promises_hold(house)
        assert yard.ground.counts.footage_bytes == sizes[1] + 100
        (holding,) = house.reader.holdings()
        assert (holding.segment_bytes, holding.film_bytes) == (sizes[1], 100)


def test_a_day_has_one_film_whoever_puts_it_again(house: House) -> None:
    path = make_film(house, 0)
    (film,) = house.reader.films()
    assert house.index.add_film(film.row).result()
    assert not house.index.add_film(replace(film.row, path=path.replace("gate", "yard"))).result()
    assert house.reader.films() == [film]


# ---- whatever fails


@pytest.mark.parametrize(
    ("how", "sticky"),
    [
        ("EIO", False),
        ("killed", True),
        *(pytest.param(how, True, marks=pytest.mark.soak) for how in ("EIO", "ENOSPC", "EROFS")),
        *(pytest.param(how, False, marks=pytest.mark.soak) for how in ("ENOSPC", "EROFS")),
    ],
)
def test_each_call_of_letting_go_fails_and_nothing_is_lost_nor_left(
    open_house: Open, tmp_path: Path, promises_hold: Check, how: str, sticky: bool
) -> None:
    """Days 0 and 1 and a film are to go, day 40 is to stay; in each round one call later fails."""
    fail_at, calls = 0, 0
    while fail_at <= calls:  # the first round goes well, and counts
        base = tmp_path / f"round-{fail_at}"
        with open_house(base=base) as house:
            record(house, 0, 1, 40)
            make_film(house, 0)
            house.disk.calls.clear()
            house.disk.fail_at, house.disk.how, house.disk.sticky = fail_at or None, how, sticky
            with swept(house, days=41, keep=Keep(max_us=30 * DAY)) as yard:
                yard.sweep()
            calls = max(calls, len(house.disk.calls))
            promises_hold(house)
        with open_house(base=base) as house:
            house.recover(NOW + 41 * DAY)
            promises_hold(house)
            with swept(house, days=41, keep=Keep(max_us=30 * DAY)) as yard:
                yard.sweep(2)
            assert [segment.row.start_us for segment in house.segments()] == [NOW + 40 * DAY]
            assert house.files() == [segment.path for segment in house.segments()]
            assert (house.reader.garbage(), house.reader.films()) == ([], [])
        fail_at += 1
    assert calls >= 8, "three files, their folders synced, and folders that are empty"


def test_a_disk_that_never_answers_keeps_neither_the_sweeper_nor_another_volume(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what hangs is not condemned over and over."""
    monkeypatch.setattr("nvr.store.sweep._UNLINK_S", 0.05)
    hangs = threading.Event()

    class Hanging(FailingDisk):
        def unlink(self, path: Path) -> None:
            assert hangs.wait(20)
            super().unlink(path)

    record(house, 0)
    other = Volume.open(Disk(), "other", house.base / "other", ARCHIVE, None)
    other_id = house.index.add_volume("other", other.uuid).result()
    first = house.segments()[0]
    moved = replace(first.row, seq=99, volume_id=other_id)
    house.index.add_segment(moved).result()
    path = other.path / first.path.replace("-0.mp4", "-99.mp4")
    path.parent.mkdir(parents=True)
    shutil.copyfile(house.path_of(first.path), path)
    with swept(house, days=31, keep=Keep(max_us=30 * DAY)) as yard:
        yard.ground.disk = Hanging()
        yard.others.append(Ground(other, other_id, Disk()))
        try:
            yard.sweeper.sweep(threading.Event())
            deadline = time.monotonic() + 10
            while path.exists() or [row.volume for row in house.reader.garbage()] != ["main"]:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            yard.sweeper.sweep(threading.Event())
            assert [row.volume for row in house.reader.garbage()] == ["main"]
        finally:
            hangs.set()
        yard.settle()
        assert house.files() == []
        assert house.reader.garbage() == []


def test_a_file_that_cannot_be_unlinked_keeps_no_other_from_going(house: House) -> None:
    first, _, _ = record(house, 0, 1, 2)

    class Sticking(FailingDisk):
        def unlink(self, path: Path) -> None:
            if path == house.path_of(first):
                raise PermissionError(errno.EPERM, "Operation not permitted", str(path))  # chattr +i
            super().unlink(path)

    with swept(house, days=31.5, keep=Keep(max_us=31 * DAY)) as yard:
        yard.ground.disk = Sticking()
        yard.sweep()
        yard.keep = Keep(max_us=20 * DAY)
        yard.sweep()
        assert house.files() == [first]
        assert [row.path for row in house.reader.garbage()] == [first]
        assert house.segments() == []


def test_nothing_is_unlinked_where_another_disk_lies_at_the_path_now(house: House) -> None:
    record(house, 0)
    identity = house.volume.path / ".nvr-volume"
    said = identity.read_bytes()
    with swept(house, days=31, keep=Keep(max_us=30 * DAY)) as yard:
        identity.unlink()
        yard.sweep()
        assert len(house.files()) == 1
        assert len(house.reader.garbage()) == 1
        identity.write_bytes(said)
        yard.sweep()
        assert house.files() == []


def test_a_volume_that_is_away_is_left_as_it_is(house: House) -> None:
    record(house, 0)
    with swept(house, days=31, keep=Keep(max_us=30 * DAY)) as yard:
        yard.ground.is_there = False
        yard.sweep()
        assert len(house.segments()) == 1
        yard.ground.is_there = True
        yard.sweep()
        assert house.segments() == []


# ---- full disks


def test_a_full_volume_is_asked_for_at_once_and_left_for_a_while_where_nothing_may_go(house: House) -> None:
    record(house, 0, 1)
    full = replace(ROOMY, size_bytes=10**10, free_bytes=10**8)
    with swept(house, days=2) as yard:
        assert not yard.sweeper.is_wanted
        yard.ground.room_is = full
        assert yard.sweeper.is_wanted
        yard.sweep()
        assert house.files() == []
        assert yard.deleted == {"emergency": 2}
        assert yard.ground.measured >= 1
        assert not yard.sweeper.is_wanted, "it would help nothing"
        yard.clock.ahead_us = 6 * US
        assert yard.sweeper.is_wanted
        (event,) = house.reader.events_between(0, 1 << 60)
        assert (event.kind, event.facts) == ("disk-full", {"volume": "main"})
        assert event.text.startswith("volume 'main' was full: the oldest footage on it was deleted at once (")


def test_a_broken_promise_is_told_until_what_is_missing_would_be_old_enough(open_house: Open) -> None:
    full = replace(ROOMY, size_bytes=10**10, free_bytes=10**8)
    keep = Keep(min_us=10 * DAY)
    with open_house() as house:
        record(house, 0, 1)
        with swept(house, days=2, keep=keep) as yard:
            yard.ground.room_is = full
            yard.sweep()
            assert yard.deleted == {"promise-broken": 2}
            assert yard.counts.promise_broken
            kinds = [(event.kind, event.camera) for event in house.reader.events_between(0, 1 << 60)]
            assert kinds == [("promise-broken", "gate"), ("disk-full", None)]
    for days, broken in ((10.9, True), (11.1, False)):
        with open_house() as house, swept(house, days=days, keep=keep) as yard:
            yard.sweep()
            assert yard.counts.promise_broken is broken, days


def test_the_time_until_it_is_full_is_told_once_it_is_known(house: House) -> None:
    record(house, 0)
    with swept(house, days=1) as yard:
        counts = yard.ground.counts
        counts.free_bytes = 10**12
        yard.sweep()
        assert counts.full_in_s != counts.full_in_s, "not a number yet"
        yard.clock.ahead_us += 100 * US
        counts.free_bytes -= 10**9
        yard.sweep()
        # Ten megabytes a second are written; the ten minutes that are kept clear are 6 GB.
        assert counts.full_in_s == pytest.approx((10**12 - 10**9 - 6 * 10**9) / 1e7, rel=0.02)
        assert counts.oldest_us == counts.oldest_free_us == NOW


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    path = tmp_path / "small"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(path: Path) -> None:
    """To its last block."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    assert os.statvfs(path.parent).f_bavail == 0


def test_on_a_disk_that_is_full_with_the_index_on_it_the_ballast_lets_deletions_commit(
    small: Path, open_house: Open
) -> None:
    with open_house(base=small / "house") as house:
        record(house, *range(4))
        with swept(house, days=10) as yard:
            yard.sweep()
            ballast = house.base / BALLAST_NAME
            assert ballast.stat().st_size > 100_000
            house.index.do(lambda c: c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).exception(5)
            fill(small / "somebody-elses")
            added = [house.index.add_event(NOW, "noise", "x" * 50_000) for _ in range(3)]
            assert any(isinstance(one.exception(5), DiskFull) for one in added)
            assert yard.sweeper.is_wanted
            yard.ground.room_is = replace(ROOMY, size_bytes=10**10, free_bytes=0)
            yard.sweep()
            assert house.segments() == []
            assert house.files() == []
            assert not ballast.exists()
            (small / "somebody-elses").unlink()
            yard.ground.room_is = ROOMY
            house.index.ping().result(5)
            house.index.add_event(NOW, "noise", "y").result(5)
            yard.sweep()
            assert ballast.exists(), "made again once there is room"


def test_no_ballast_is_taken_where_there_is_little_room(tmp_path: Path) -> None:
    class Tight(Ballast):
        pass

    ballast = Tight(tmp_path)
    assert ballast.take()
    assert ballast.take()
    size = (tmp_path / BALLAST_NAME).stat().st_size
    assert 0 < size <= 64 << 20
    assert (tmp_path / BALLAST_NAME).stat().st_blocks * 512 >= size, "room that is there, not a hole"
    assert ballast.throw_off()
    assert not ballast.throw_off()


def test_an_index_that_is_swept_while_it_is_read_answers_from_one_moment(tmp_path: Path) -> None:
    schema.prepare(tmp_path / schema.INDEX_NAME)
    index, reader = Index(tmp_path / schema.INDEX_NAME), Reader(tmp_path / schema.INDEX_NAME)
    assert reader.holdings() == []
    assert reader.unheld_segments(1, 1, 10) == []
    reader.close()
    assert index.close(5)

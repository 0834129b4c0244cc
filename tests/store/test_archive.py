"""Files of footage: the order of the calls, and what is left when the k-th of them fails."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nvr.media import boxes, label
from nvr.store.archive import Archive
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.rows import SegmentState
from nvr.units import US
from tests.store.house import ARCHIVE, FRAMES, NOW, FailingDisk, House, Killed, Open

NAME = "gate/2026/11/23/20261123T140322.123Z-7-0.mp4"


def test_a_segment_becomes_a_file_in_the_order_that_survives_a_power_cut(house: House) -> None:
    row = house.record(7, 0, NOW)
    assert row is not None
    assert house.files() == [NAME]
    calls = house.disk.calls
    first_write, last_write = calls.index("write"), len(calls) - 1 - calls[::-1].index("write")
    assert calls[:first_write] == ["mkdir", "fsync_directory"] * 4 + ["open_exclusive", "fsync_directory"]
    assert calls[last_write + 1 :] == ["fsync", "rename_noreplace", "fsync_directory"]
    assert house.path_of(NAME).stat().st_size == row.size_bytes
    assert len(boxes.samples(house.path_of(NAME))) == FRAMES


def test_folders_are_synced_once_in_a_life_and_no_more(house: House) -> None:
    house.record(7, 0, NOW)
    house.disk.calls.clear()
    house.record(7, 1, NOW + 2 * US)
    assert house.disk.calls[:3] == ["open_exclusive", "fsync_directory", "write"]


def test_a_folder_that_was_taken_away_is_made_again(house: House) -> None:
    house.record(7, 0, NOW)
    house.path_of(NAME).unlink()
    house.path_of(NAME).parent.rmdir()
    assert house.record(7, 1, NOW + 2 * US) is not None


def test_a_part_is_never_begun_over_a_file(house: House) -> None:
    house.begin(7, 0, NOW).file.close()
    with pytest.raises(FileExistsError):
        house.begin(7, 0, NOW)


def test_a_sealed_file_is_never_replaced(house: House, promises_hold: Callable[..., None]) -> None:
    house.begin_run(7, NOW)
    part = house.begin(7, 0, NOW)
    house.path_of(NAME).write_bytes(b"older footage")
    house.film(part, 7, 0, NOW).close()
    with pytest.raises(FileExistsError):
        house.archive.seal(part, label.pack(house.label(part, 7, 0, NOW)))
    assert house.archive.give_up(part).state is SegmentState.DAMAGED
    assert house.path_of(NAME).read_bytes() == b"older footage"
    assert house.path_of(NAME + ".part").stat().st_size > 1000


def test_a_full_disk_at_the_label_leaves_the_footage_as_it_was_and_the_seal_may_be_tried_again(house: House) -> None:
    house.begin_run(7, NOW)
    part = house.begin(7, 0, NOW)
    house.film(part, 7, 0, NOW).close()
    before = part.file.size
    full = FailingDisk(2, "short")
    with pytest.raises(DiskFull, match="no space is left"):
        Archive(full, ARCHIVE).seal(part, label.pack(house.label(part, 7, 0, NOW)))
    assert full.failed
    assert part.part_path.stat().st_size == before
    sealed = house.archive.seal(part, label.pack(house.label(part, 7, 0, NOW)))
    assert sealed.state is SegmentState.OK
    assert boxes.examine(house.path_of(NAME)).sealed


def test_a_failed_sync_is_never_tried_again(house: House) -> None:
    house.begin_run(7, NOW)
    part = house.begin(7, 0, NOW)
    house.film(part, 7, 0, NOW).close()
    box = label.pack(house.label(part, 7, 0, NOW))
    with pytest.raises(OSError, match="Input/output error"):
        Archive(FailingDisk(3, "EIO"), ARCHIVE).seal(part, box)
    with pytest.raises(ValueError, match="over already"):
        house.archive.seal(part, box)
    house.disk.calls.clear()
    assert house.archive.give_up(part).state is SegmentState.DAMAGED
    assert "fsync" not in house.disk.calls
    assert "fdatasync" not in house.disk.calls
    assert house.files() == [NAME]


def test_nothing_is_begun_on_a_volume_that_is_gone(house: House) -> None:
    (house.volume.path / ".nvr-volume").unlink()
    with pytest.raises(VolumeMissing, match="no longer mounted"):
        house.begin(7, 0, NOW)
    assert house.files() == []


def test_giving_up_raises_nothing_whatever_the_disk_does(house: House) -> None:
    part = house.begin(7, 0, NOW)
    house.film(part, 7, 0, NOW).abandon()
    given_up = Archive(FailingDisk(1, "EIO", sticky=True), ARCHIVE).give_up(part)
    assert given_up.state is SegmentState.DAMAGED
    assert given_up.size_bytes == part.part_path.stat().st_size > 1000
    assert house.files() == [NAME + ".part"]


TROUBLES = [("EIO", False), ("EIO", True), ("ENOSPC", True), ("EROFS", True), ("short", False), ("killed", True)]


@pytest.mark.parametrize(("how", "sticky"), TROUBLES)
def test_whatever_call_fails_promises_hold_and_the_next_start_brings_the_footage_back(
    how: str, sticky: bool, tmp_path: Path, open_house: Open, promises_hold: Callable[..., None]
) -> None:
    calls, at = 1_000, 0
    while (at := at + 1) <= calls:
        base = tmp_path / str(at)
        disk = FailingDisk(at, how, sticky=sticky)
        with open_house(disk, base) as house:
            with suppress(Killed):
                house.record(7, 0, NOW)
            promises_hold(house, sealed_too=disk.dead)
            assert disk.unlinked == [], "an error path deleted footage"
            on_disk = _frames_on_disk(house)
            calls = min(calls, len(disk.calls)) if not disk.failed else calls
        with open_house(base=base) as house:
            house.recover()
            promises_hold(house)
            _all_is_promised(house)
            assert sum(segment.row.frames for segment in house.segments()) == on_disk
            before = [segment.row for segment in house.segments()]
            house.recover()
            assert [segment.row for segment in house.segments()] == before
    assert 20 < at < 100, "the sweep must end by itself, after a life without trouble"


def _frames_on_disk(house: House) -> int:
    """What a careful reader could still play of everything there is."""
    whole = 0
    for name in house.files():
        condition = boxes.examine(house.path_of(name))
        if condition.state is not boxes.State.EMPTY:
            whole += len(boxes.samples(house.path_of(name)))
    return whole


def _all_is_promised(house: House) -> None:
    assert house.files() == [segment.path for segment in house.segments()]

"""Copies of the index: whole, checked, on disk, beside the index and on every volume; what begins again from them."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nvr.store import backup, salvage
from nvr.store.errors import IndexDamaged
from nvr.store.schema import BACKUPS_NAME, INDEX_NAME
from nvr.units import US
from tests.store.house import NOW, House, Open


def _until(so: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 20
    while not so():
        assert time.monotonic() < ends_s
        time.sleep(0.005)


def rows_in(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as rows:
        return int(rows.execute("SELECT count(*) FROM segment").fetchone()[0])


def index_of(house: House) -> Path:
    return house.base / INDEX_NAME


def test_a_copy_is_one_moment_of_an_index_that_is_written_meanwhile(house: House) -> None:
    house.record(7, 0, NOW)
    over, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        while not over.is_set():
            house.index.add_event(NOW, "fan-works", "the fan works").result()
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        _until(lambda: written >= 5)
        copy, troubles = backup.back_up(index_of(house), NOW, [house.volume.path])
        at_copy = written
        _until(lambda: written >= at_copy + 5)  # the writer was not held up for good
    finally:
        over.set()
        writer.join()
    assert troubles == []
    assert rows_in(copy.path) == 1
    assert [path.name for path in house.volume.path.glob(f"{backup.ON_VOLUME}*")] == [
        f"{backup.ON_VOLUME}20261123T140322Z.sqlite3"
    ]
    assert backup.newest_at_us(house.base) == NOW // US * US


def test_seven_copies_stay_beside_the_index_and_the_newest_on_a_volume(house: House) -> None:
    for day in range(9):
        backup.back_up(index_of(house), NOW + day * 86_400 * US, [house.volume.path])
    found = backup.copies(house.base, [house.volume.path])
    assert len([copy for copy in found if copy.path.parent.name == BACKUPS_NAME]) == 7
    assert [copy.at_us for copy in found if copy.path.parent == house.volume.path] == [
        (NOW + 8 * 86_400 * US) // US * US
    ]
    assert found[0].at_us == max(copy.at_us for copy in found)


def test_a_volume_that_is_away_gets_no_copy_and_says_so(house: House, tmp_path: Path) -> None:
    copy, troubles = backup.back_up(index_of(house), NOW, [tmp_path / "away"])
    assert copy.path.exists()
    assert len(troubles) == 1
    assert "not mounted" in troubles[0]


def test_a_damaged_index_gives_no_copy(open_house: Open, tmp_path: Path) -> None:
    with open_house() as house:
        for seq in range(5):
            house.record(7, seq, NOW + seq * 2 * US)
    spoil(tmp_path / INDEX_NAME)
    with pytest.raises(IndexDamaged):
        backup.back_up(tmp_path / INDEX_NAME, NOW, still=True)
    assert list((tmp_path / BACKUPS_NAME).iterdir()) == []


def test_a_copy_that_is_to_stop_leaves_nothing(house: House) -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(backup.Stopped):
        backup.back_up(index_of(house), NOW, stopping=stopping)
    assert list((house.base / BACKUPS_NAME).iterdir()) == []


def spoil(index: Path) -> None:
    with index.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(4096, size, 4096):
            file.seek(page)
            file.write(b"\xff" * 64)


@pytest.fixture
def lived(open_house: Open, tmp_path: Path) -> Path:
    """A data directory with an index of two segments, of which its copy knows one."""
    with open_house() as house:
        house.record(7, 0, NOW)
        backup.back_up(index_of(house), NOW, [house.volume.path])
        house.record(7, 1, NOW + 2 * US)
    return tmp_path / INDEX_NAME


def test_an_index_that_is_well_is_left_alone(lived: Path) -> None:
    assert salvage.look(lived, [lived.parent / "footage"], NOW) is None
    assert rows_in(lived) == 2


@pytest.mark.parametrize("how", ["deleted", "emptied", "noted"])
def test_what_is_lost_begins_again_from_its_newest_copy(lived: Path, how: str) -> None:
    if how == "deleted":
        lived.unlink()
    elif how == "emptied":
        os.truncate(lived, 0)
    else:
        salvage.note_damage(lived, "a page was torn")
    lost = salvage.look(lived, [], NOW)
    assert lost is not None
    assert lost.copy is not None
    assert rows_in(lived) == 1
    assert "begins again as its copy index-20261123T140322Z.sqlite3" in lost.sentence()
    assert salvage.look(lived, [], NOW) is None, "once is enough"
    if how == "noted":
        assert lost.aside is not None
        assert rows_in(lost.aside) == 2
        assert "a page was torn" in lost.sentence()


def test_a_copy_that_is_damaged_itself_is_passed_over_for_an_older_one(lived: Path) -> None:
    newer = lived.parent / BACKUPS_NAME / "index-20261124T000000Z.sqlite3"
    newer.write_bytes((lived.parent / BACKUPS_NAME / "index-20261123T140322Z.sqlite3").read_bytes())
    spoil(newer)
    lived.unlink()
    lost = salvage.look(lived, [], NOW)
    assert lost is not None
    assert lost.copy is not None
    assert lost.copy.name == "index-20261123T140322Z.sqlite3"


def test_where_the_data_directory_is_gone_the_copy_on_the_volume_serves(lived: Path) -> None:
    lived.unlink()
    for copy in (lived.parent / BACKUPS_NAME).iterdir():
        copy.unlink()
    lost = salvage.look(lived, [lived.parent / "footage"], NOW)
    assert lost is not None
    assert lost.copy is not None
    assert lost.copy.parent.name == "footage"
    assert rows_in(lived) == 1


def test_the_very_first_start_has_lost_nothing(tmp_path: Path) -> None:
    assert salvage.look(tmp_path / INDEX_NAME, [tmp_path / "footage"], NOW) is None


def test_an_index_whose_file_was_taken_away_is_saved_from_its_connection(house: House) -> None:
    house.record(7, 0, NOW)
    watch = salvage.FileWatch(index_of(house))
    assert watch.trouble() is None
    index_of(house).rename(house.base / "taken")
    assert watch.trouble() == "was deleted"
    copy = house.index.do(lambda connection: salvage.rescue(connection, index_of(house), NOW)).result()
    assert rows_in(copy) == 1
    (house.base / "taken").rename(index_of(house))


def test_an_index_whose_file_was_exchanged_or_cut_short_is_noticed(tmp_path: Path) -> None:
    index = tmp_path / INDEX_NAME
    index.write_bytes(b"x" * 8192)
    watch = salvage.FileWatch(index)
    assert watch.trouble() is None
    os.truncate(index, 4096)
    assert watch.trouble() == "was cut short"
    index.rename(tmp_path / "old")
    index.write_bytes(b"y" * 8192)
    assert watch.trouble() == "was exchanged"

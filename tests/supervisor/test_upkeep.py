"""What the daemon does for its index beside recording, on a store as it opens it."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nvr import config
from nvr.clock import HostClock
from nvr.config import HashWord
from nvr.metrics import Metrics
from nvr.store import backup
from nvr.store.check import sha256
from nvr.store.errors import IndexDamaged
from nvr.store.rows import SegmentState
from nvr.store.schema import BACKUPS_NAME, INDEX_NAME
from nvr.supervisor import wiring
from nvr.supervisor.upkeep import Upkeep
from nvr.units import US
from tests.cli.conftest import ARCHIVE, NOON_US, VOLUME, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Three files that the index knows."""
    site = Site(tmp_path)
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 15 * US)
        for seq in range(3):
            filling.segment(run, seq, NOON_US + 5 * seq * US, labelled=True)
        filling.gap("service-stopped", NOON_US + 15 * US, None)
    (site.footage / ".nvr-volume").write_text(f'{{"volume": "{VOLUME}", "archive": "{ARCHIVE}", "name": "main"}}')
    return site


class Living:
    """A store as the daemon has it, and its upkeep."""

    def __init__(self, site: Site, *, hashing: HashWord = "clips") -> None:
        clock = HostClock()
        self.metrics = Metrics("1.2.3", clock.utc_us)
        self.store = wiring.open_store(config.load(site.config), self.metrics, clock)
        self.upkeep = Upkeep(self.store, site.data_dir, self.metrics, clock, lambda: set(), hashing=hashing)
        self.stopping = threading.Event()


@pytest.fixture
def living(site: Site) -> Iterator[Living]:
    living = Living(site, hashing="all")
    yield living
    assert living.store.close(10)


def test_a_nightly_copy_is_counted_and_on_the_volume(site: Site, living: Living) -> None:
    assert living.metrics.index_backup_us == 0
    living.upkeep.back_up(living.stopping)
    assert living.metrics.index_backup_us == backup.newest_at_us(site.data_dir) > 0
    assert list(site.footage.glob(f"{backup.ON_VOLUME}*"))


def test_a_check_says_what_it_found_by_kind_and_marks_what_is_gone(site: Site, living: Living) -> None:
    gone = sorted(site.footage.rglob("*.mp4"))[1]
    gone.unlink()
    living.upkeep.check(living.stopping)
    found = living.metrics.index_inconsistencies
    assert {kind: count for kind, count in found.items() if count} == {"missing": 1}
    states = [segment.row.state for segment in living.store.reader.segments_between("gate", 0, 1 << 62)]
    assert states == [SegmentState.OK, SegmentState.MISSING, SegmentState.OK]


def test_a_check_that_meets_a_damaged_index_ends_its_use(site: Site, living: Living) -> None:
    with (site.data_dir / INDEX_NAME).open("r+b") as file:
        size = file.seek(0, 2)
        for page in range(4096, size, 4096):
            file.seek(page)
            file.write(b"\xff" * 64)
    with suppress(IndexDamaged):
        living.upkeep.check(living.stopping)
    assert living.store.index.damage is not None
    assert living.store.index.damage.corrupt


def test_a_check_that_is_broken_off_says_nothing(living: Living) -> None:
    living.stopping.set()
    living.upkeep.check(living.stopping)
    assert all(count != count for count in living.metrics.index_inconsistencies.values())


def test_the_content_of_each_file_is_noted_once(site: Site, living: Living) -> None:
    living.upkeep.hash(living.stopping)
    segments = living.store.reader.segments_between("gate", 0, 1 << 62)
    assert [segment.row.sha256 for segment in segments] == [sha256(site.footage / one.path) for one in segments]
    assert living.store.reader.segments_without_hash(after=0, limit=10) == []


def test_what_a_life_did_not_enter_the_next_one_does(site: Site) -> None:
    (site.data_dir / INDEX_NAME).unlink()
    first = Living(site)
    first.stopping.set()
    first.upkeep.check(first.stopping)
    assert first.store.close(10)
    second = Living(site)
    assert second.upkeep.has_much_to_enter
    second.upkeep.check(second.stopping)
    assert second.store.close(10)
    third = Living(site)
    assert not third.upkeep.has_much_to_enter
    assert third.store.close(10)


def test_after_the_index_was_lost_older_footage_is_entered_behind(site: Site) -> None:
    (site.data_dir / INDEX_NAME).unlink()
    living = Living(site)
    try:
        assert living.upkeep.has_much_to_enter
        living.upkeep.check(living.stopping)
        assert not living.upkeep.has_much_to_enter
        assert len(living.store.reader.segments_between("gate", 0, 1 << 62)) == 3
        assert {kind: n for kind, n in living.metrics.index_inconsistencies.items() if n} == {}
        (event,) = [one for one in living.store.reader.events_between(0, 1 << 62) if one.kind == "index-lost"]
        assert "the index was not there and begins again with nothing" in event.text
    finally:
        assert living.store.close(10)
    assert not (site.data_dir / BACKUPS_NAME).exists()

"""A check finds each broken promise, tells nothing that is well, changes nothing; each repair mends what it is for."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nvr.media import label
from nvr.media.decoding import decodable_pictures
from nvr.metrics import INCONSISTENCIES
from nvr.store.check import Check, Depth, Finding, Kind, sha256
from nvr.store.clips import add_garbage
from nvr.store.recovery import Place
from nvr.store.repair import REPAIR_OF, Repairer
from nvr.store.rows import SegmentState
from nvr.store.schema import INDEX_NAME
from nvr.units import US
from tests.store.house import FRAMES, NOW, House

LATER = NOW + 3600 * US


def findings(house: House, **how: Any) -> list[Finding]:
    place = Place(house.volume_id, house.volume)
    check = Check(house.reader, house.base / INDEX_NAME, [place], LATER, **how)
    found = list(check.findings())
    assert check.complete
    return found


def repaired(house: House) -> list[str | None]:
    place = Place(house.volume_id, house.volume)
    repairer = Repairer(house.index, house.reader, house.archive, [place], lambda _: None, until_us=LATER)
    return [repairer.repair(finding) for finding in findings(house)]


def everything(house: House) -> dict[str, tuple[int, int]]:
    paths = [path for path in house.volume.path.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


@pytest.fixture
def recorded(house: House) -> House:
    for seq in range(3):
        house.record(7, seq, NOW + seq * 2 * US)
    house.index.end_run(7, NOW + 6 * US, "service-stopped").result()
    return house


def path_of(house: House, seq: int = 1) -> Path:
    return house.path_of(house.segments()[seq].path)


def test_an_archive_that_keeps_its_promises_has_no_findings(recorded: House) -> None:
    before = everything(recorded)
    assert findings(recorded, depth=Depth(hashes=True, pictures=decodable_pictures)) == []
    assert everything(recorded) == before


def test_the_words_of_findings_are_those_of_the_metric() -> None:
    assert tuple(kind.value for kind in Kind) == INCONSISTENCIES


def removed(house: House) -> None:
    path_of(house).unlink()


def shortened(house: House) -> None:
    os.truncate(path_of(house), path_of(house).stat().st_size - 1000)


def relabelled(house: House) -> None:
    path = path_of(house)
    said = label.read(path)
    assert said is not None
    other = label.Label(**{name: getattr(said, name) for name in label.Label.__slots__} | {"frames": FRAMES - 1})
    box = label.pack(other)
    with path.open("r+b") as file:
        file.seek(-len(box), os.SEEK_END)
        file.write(box)


def changed(house: House) -> None:
    house.index.note_hash(house.segments()[1].id, sha256(path_of(house))).result()
    with path_of(house).open("r+b") as file:
        file.seek(2000)
        byte = file.read(1)
        file.seek(2000)
        file.write(bytes([byte[0] ^ 1]))


def left_over(house: House) -> None:
    part = house.begin(7, 3, NOW + 6 * US)
    house.film(part, 7, 3, NOW + 6 * US).close()
    house.archive.seal(part, label.pack(house.label(part, 7, 3, NOW + 6 * US)))


def torn(house: House) -> None:
    part = house.begin(7, 3, NOW + 6 * US)
    house.film(part, 7, 3, NOW + 6 * US).abandon()


def foreign(house: House) -> None:
    path_of(house).with_name("holiday.mp4").write_bytes(b"not ours")


def swept(house: House) -> None:
    segment = house.segments()[0]
    house.index.condemn([segment.id], LATER).result()
    house.path_of(segment.path).unlink()


def silent(house: House) -> None:
    house.record(8, 0, NOW + 60 * US)


@pytest.mark.parametrize(
    ("harm", "kind", "depth"),
    [
        (removed, Kind.MISSING, Depth()),
        (shortened, Kind.TRUNCATED, Depth()),
        (relabelled, Kind.LABEL, Depth()),
        (changed, Kind.HASH, Depth(hashes=True)),
        (left_over, Kind.UNPROMISED, Depth()),
        (torn, Kind.UNPROMISED, Depth()),
        (foreign, Kind.UNPROMISED, Depth()),
        (swept, Kind.GARBAGE, Depth()),
        (silent, Kind.UNACCOUNTED, Depth()),
    ],
)
def test_each_harm_is_found_once_told_in_a_sentence_and_left(
    recorded: House, harm: Callable[[House], None], kind: Kind, depth: Depth
) -> None:
    harm(recorded)
    before, rows = everything(recorded), [segment.row for segment in recorded.segments()]
    found = findings(recorded, depth=depth)
    assert [finding.kind for finding in found] == [kind]
    assert len(found[0].sentence.split()) > 3
    assert (everything(recorded), [segment.row for segment in recorded.segments()]) == (before, rows)


def test_pictures_that_cannot_be_decoded_are_found(recorded: House) -> None:
    path = path_of(recorded)
    assert decodable_pictures(path) == FRAMES
    size = path.stat().st_size
    with path.open("r+b") as file:  # every picture's own bytes, index and label stay
        file.seek(700)
        file.write(b"\xff" * (size // 3))
    found = findings(recorded, depth=Depth(pictures=decodable_pictures))
    assert [finding.kind for finding in found] == [Kind.PICTURES]


@pytest.mark.parametrize("harm", [removed, shortened, left_over, torn, swept, silent])
def test_what_is_repaired_is_found_no_more_and_no_footage_goes(recorded: House, harm: Callable[[House], None]) -> None:
    harm(recorded)
    files = set(everything(recorded))
    done = repaired(recorded)
    assert len(done) == 1
    assert done[0] is not None
    assert {path.removesuffix(".part") for path in files} == set(everything(recorded))
    found = findings(recorded)
    if harm in (removed, shortened):
        # A row can say that its file is gone; that does not make it well.
        assert [finding.kind for finding in found] == [REPAIR_KIND[harm]]
        assert recorded.segments()[1].row.state in (SegmentState.MISSING, SegmentState.TRUNCATED)
        assert repaired(recorded) == [None]
    else:
        assert found == []


REPAIR_KIND = {removed: Kind.MISSING, shortened: Kind.TRUNCATED}


def test_nothing_is_repaired_that_is_not_so_any_more(recorded: House) -> None:
    aside = recorded.base / "aside"
    path_of(recorded).rename(aside)
    (finding,) = findings(recorded)
    aside.rename(path_of(recorded))
    place = Place(recorded.volume_id, recorded.volume)
    repairer = Repairer(recorded.index, recorded.reader, recorded.archive, [place], lambda _: None, until_us=LATER)
    assert repairer.repair(finding) is None
    outside = Finding(Kind.UNPROMISED, "", "main", "../../etc/passwd")
    assert repairer.repair(outside) is None


def test_files_of_recorders_at_work_are_no_findings(recorded: House) -> None:
    part = recorded.begin(9, 0, NOW + 100 * US)
    file = recorded.film(part, 9, 0, NOW + 100 * US)
    assert [finding.kind for finding in findings(recorded)] == [Kind.UNPROMISED]
    assert findings(recorded, live=lambda: {part.part_path}) == []
    assert findings(recorded, live=lambda: {part.sealed_path}) == []
    file.abandon()


def test_a_clips_file_that_waits_to_be_unlinked_is_no_finding(recorded: House) -> None:
    path = "gate/clips/2026/11/20261123T140322Z-door-1.mp4"
    file = recorded.path_of(path)
    file.parent.mkdir(parents=True)
    file.write_bytes(path_of(recorded).read_bytes())
    assert [finding.kind for finding in findings(recorded)] == [Kind.UNPROMISED]
    recorded.index.do(lambda connection: add_garbage(connection, recorded.volume_id, path, LATER)).result()
    assert [finding.kind for finding in findings(recorded)] == []


def test_a_check_that_is_to_end_tells_that_it_is_not_complete(recorded: House) -> None:
    place = Place(recorded.volume_id, recorded.volume)
    check = Check(recorded.reader, recorded.base / INDEX_NAME, [place], LATER, go_on=lambda: False)
    assert list(check.findings()) == []
    assert not check.complete


def test_a_volume_that_is_away_is_a_finding_and_its_files_are_not_called_missing(recorded: House) -> None:
    check = Check(recorded.reader, recorded.base / INDEX_NAME, [], LATER)
    assert [finding.kind for finding in check.findings()] == [Kind.VOLUME]


def test_a_damaged_index_is_a_finding(recorded: House) -> None:
    with closing(sqlite3.connect(recorded.base / INDEX_NAME)) as rows:
        # A row of one table's b-tree claimed by another, as a torn write may leave it.
        root = rows.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_segment_camera_id_start_us'"
        ).fetchone()
        rows.execute("PRAGMA writable_schema=ON")
        rows.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = 'uq_gap_open'", root)
        rows.commit()
    assert Kind.INDEX in [finding.kind for finding in findings(recorded)]


def test_every_repair_is_of_some_finding() -> None:
    assert len(set(REPAIR_OF.values())) == 5

"""An index from files alone says all that files can tell, and every moment is accounted for."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from nvr.media import label
from nvr.store import recovery
from nvr.store.filling import Manners, account, close_account, fill, unaccounted
from nvr.store.ledger import PutSpan
from nvr.store.recovery import Place, Recovery, end_what_a_copy_left_open
from nvr.store.rows import Span, SpanKind
from nvr.units import US
from tests.store.house import ARCHIVE, FRAMES, NOW, House, Open

DAY = 86_400 * US
SECONDS = FRAMES // 30
TOLD = {
    "segment": "camera_id, run, seq, start_us, end_us, frames, size_bytes, time_base_num, time_base_den, first_tick,"
    " duration_ticks, recovered, state",
    "run": "id, camera_id, folder, started_us, epoch, clock_source, host_synchronised",
    "camera": "slug, configured_at_us, longest_segment_us",
    "volume": "name, uuid",
    "clip": "id, camera_id, rule, trigger, alarm_at_us, start_us, end_us, state, close_reason, locked, path, files,"
    " size_bytes, pre_shortfall_us, gap_us, continues, epoch",
    "film": "camera_id, start_us, path, files, size_bytes, pictures, state",
}
"""What of each table files can tell."""


def told_by(house: House) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(f"file:{house.base}/index.sqlite3?mode=ro", uri=True)) as rows:
        return {table: sorted(rows.execute(f"SELECT {columns} FROM {table}")) for table, columns in TOLD.items()}


def filled(house: House, **how: object) -> Recovery:
    place = Place(house.volume_id, house.volume)
    return fill(house.index, house.reader, house.archive, [place], until_us=NOW + 10 * DAY, **how)  # type: ignore[arg-type]


def lose_index(base: Path) -> None:
    for path in base.glob("index.sqlite3*"):
        path.unlink()


def record_some_days(house: House) -> None:
    """Two runs on three days, with a stretch between them that was not recorded, and one file given up."""
    for run, begin in ((NOW // US, NOW), (NOW // US + 50_000, NOW + DAY)):
        for seq in range(3):
            house.record(run, seq, begin + seq * SECONDS * US)
        house.index.end_run(run, begin + 3 * SECONDS * US, "service-stopped").result()


def test_an_index_made_from_files_equals_the_one_that_was_lost(open_house: Open, tmp_path: Path) -> None:
    with open_house() as house:
        record_some_days(house)
        before = told_by(house)
    lose_index(tmp_path)
    with open_house() as house:
        report = filled(house)
        assert report.segments == {"adopted": 6}
        assert not report.unfinished
        assert told_by(house) == before
        assert filled(house).segments == {}, "what is entered is not entered twice"


def test_what_no_file_tells_of_is_a_gap_for_an_unknown_reason(open_house: Open, tmp_path: Path) -> None:
    with open_house() as house:
        record_some_days(house)
    lose_index(tmp_path)
    with open_house() as house:
        filled(house)
        close_account(house.index, house.reader)
        ends = (NOW + 3 * SECONDS * US, NOW + DAY + 3 * SECONDS * US)
        assert house.reader.spans_between("gate", 0, NOW + 10 * DAY) == [
            Span(SpanKind.GAP, "unknown", ends[0], NOW + DAY),
            Span(SpanKind.GAP, "unknown", ends[1], None),
        ]
        (camera,) = house.reader.cameras()
        assert list(unaccounted(house.reader, camera, NOW + 10 * DAY)) == []


def test_footage_that_is_found_later_is_no_unknown_gap_any_more(house: House) -> None:
    house.record(7, 0, NOW)
    house.record(8, 0, NOW + 60 * US)
    (camera,) = house.reader.cameras()
    account(house.index, house.reader, camera, NOW + 60 * US)
    part = house.begin(7, 1, NOW + 20 * US)
    house.film(part, 7, 1, NOW + 20 * US).close()
    house.archive.seal(part, label.pack(house.label(part, 7, 1, NOW + 20 * US)))
    assert filled(house).segments == {"adopted": 1}
    assert house.reader.spans_between("gate", 0, NOW + DAY) == [
        Span(SpanKind.GAP, "unknown", NOW + 2 * US, NOW + 20 * US),
        Span(SpanKind.GAP, "unknown", NOW + 22 * US, NOW + 60 * US),
    ]


def test_a_start_without_an_index_enters_the_newest_files_and_leaves_the_rest_for_later(
    open_house: Open, tmp_path: Path
) -> None:
    with open_house() as house:
        record_some_days(house)
        for seq in range(30):
            house.record(NOW // US + 99_000, seq, NOW + 2 * DAY + seq * SECONDS * US)
        house.index.end_run(NOW // US + 99_000, NOW + 2 * DAY + 30 * SECONDS * US, "service-stopped").result()
        before = told_by(house)
    lose_index(tmp_path)
    with open_house() as house:
        place = Place(house.volume_id, house.volume)
        report = recovery.recover(house.index, house.reader, house.archive, [place], NOW + 3 * DAY, lost=True)
        assert report.segments == {"adopted": 30}
        assert report.unfinished
        last_us = house.segments()[-1].row.end_us
        assert report.ledgers[house.camera_id].open == Span(SpanKind.GAP, "unknown", last_us, None)
        assert filled(house, before_run=1 << 60).segments == {"adopted": 6}
        assert told_by(house) == before


def test_a_copy_of_the_index_that_is_older_than_the_footage_hides_none_of_it(house: House) -> None:
    house.record(7, 0, NOW)
    # As the copy was made the camera could not be reached; afterwards it was recorded again.
    gap = Span(SpanKind.GAP, "camera-unreachable", NOW + 2 * US, None)
    house.index.put_spans(house.camera_id, [PutSpan(gap)]).result()
    part = house.begin(8, 0, NOW + 30 * US)
    house.film(part, 8, 0, NOW + 30 * US).close()
    house.archive.seal(part, label.pack(house.label(part, 8, 0, NOW + 30 * US)))
    end_what_a_copy_left_open(house.index, house.reader)
    filled(house)
    spans = house.reader.spans_between("gate", 0, NOW + DAY)
    assert [(span.reason, span.start_us, span.end_us) for span in spans] == [
        ("unknown", NOW + 2 * US, NOW + 30 * US),
    ]


def test_files_of_a_recorder_at_work_are_left_alone(house: House) -> None:
    house.record(7, 0, NOW)
    part = house.begin(9, 0, NOW + 10 * US)
    file = house.film(part, 9, 0, NOW + 10 * US)
    assert filled(house, before_run=9).segments == {}
    assert part.part_path.exists()
    file.abandon()


def test_filling_is_broken_off_at_once_and_goes_on_where_it_was(open_house: Open, tmp_path: Path) -> None:
    with open_house() as house:
        record_some_days(house)
        before = told_by(house)
    lose_index(tmp_path)
    with open_house() as house:
        asked = iter([True, False])
        assert filled(house, go_on=lambda: next(asked)).unfinished
        assert len(house.segments()) == 3
        stopping = threading.Event()
        assert not filled(house, go_on=Manners(stopping).rest).unfinished
        stopping.set()
        assert not Manners(stopping).rest()
        assert told_by(house) == before


def test_progress_counts_the_days(house: House) -> None:
    record_some_days(house)
    told: list[tuple[int, int]] = []
    filled(house, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_files_of_another_archive_are_left(house: House) -> None:
    part = house.begin(7, 0, NOW)
    house.film(part, 7, 0, NOW).close()
    said = house.label(part, 7, 0, NOW)
    assert str(said.archive) == ARCHIVE
    other = label.Label(
        **{name: getattr(said, name) for name in label.Label.__slots__} | {"archive": label.UUID(int=5)}
    )
    house.archive.seal(part, label.pack(other))
    report = filled(house)
    assert report.segments == {"left": 1}
    assert [path.name for path in report.left] == [part.sealed_path.name]

"""What a start does about the end before it."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nvr.media import boxes, label
from nvr.media.durable import Disk
from nvr.store import recovery
from nvr.store.rows import SegmentState, Span, SpanKind
from nvr.store.volumes import Volume
from nvr.units import US
from tests.store.house import ARCHIVE, FRAMES, GROUP, NOW, FailingDisk, House, Killed, Open

LATER = NOW + 3600 * US
NAME = "gate/2026/11/23/20261123T140322.123Z-7-{}.mp4"


def test_a_file_killed_while_it_grew_is_cut_at_its_last_whole_fragment_and_labelled(house: House) -> None:
    house.begin_run(7, NOW)
    part = house.begin(7, 0, NOW)
    house.film(part, 7, 0, NOW).abandon()
    with part.part_path.open("ab") as torn:
        torn.write(b"\0\0\x10\0moof, and then the power went")
    report = house.recover()
    (segment,) = house.segments()
    assert report.segments == {"mended": 1}
    assert segment.row.recovered
    assert segment.row.frames == FRAMES - GROUP, "the fragment that was open is lost, no more"
    assert segment.row.end_us - segment.row.start_us == pytest.approx((FRAMES - GROUP) * US // 30, abs=1)
    said = label.read(house.path_of(segment.path))
    assert said is not None
    assert said.recovered
    assert (said.camera, said.run, said.seq, said.start_us) == ("gate", 7, 0, NOW)
    assert boxes.metadata(house.path_of(segment.path))["comment"]


def test_a_closed_file_without_its_label_is_adopted_whole(house: House) -> None:
    part = house.begin(7, 0, NOW)
    house.film(part, 7, 0, NOW).close()
    assert house.recover().segments == {"mended": 1}
    (segment,) = house.segments()
    assert segment.row.frames == FRAMES
    assert boxes.examine(house.path_of(segment.path)).sealed


def test_a_sealed_file_without_a_row_gets_one_that_says_what_its_label_says(house: House) -> None:
    part = house.begin(7, 3, NOW)
    house.film(part, 7, 3, NOW).close()
    said = house.label(part, 7, 3, NOW)
    house.archive.seal(part, label.pack(said))
    assert house.recover().segments == {"adopted": 1}
    (segment,) = house.segments()
    row = segment.row
    assert (row.start_us, row.end_us, row.frames, row.first_tick) == (
        said.start_us,
        said.end_us,
        said.frames,
        said.first_tick,
    )
    assert not row.recovered
    run = house.reader.run(7)
    assert run is not None
    assert (run.folder, run.begin_reason, run.utc_anchor_us) == ("gate", "recovered", said.zero_us)


def test_a_part_without_a_picture_is_the_only_thing_ever_taken_away(house: House) -> None:
    house.begin(7, 0, NOW).file.close()
    report = house.recover()
    assert report.segments == {"empty": 1}
    assert house.files() == []
    assert [path.name for path in house.disk.unlinked] == [Path(NAME.format(0)).name + ".part"]


def test_a_large_part_in_which_nothing_can_be_read_stays(house: House) -> None:
    house.begin(7, 0, NOW).file.close()
    house.path_of(NAME.format(0) + ".part").write_bytes(b"\0" * (17 << 20))
    report = house.recover()
    assert report.segments == {"left": 1}
    assert len(house.files()) == 1
    assert house.disk.unlinked == []


def test_a_row_without_a_file_says_missing_and_recovers_when_the_file_is_back(house: House) -> None:
    house.record(7, 0, NOW)
    (segment,) = house.segments()
    path, aside = house.path_of(segment.path), house.base / "aside"
    shutil.move(path, aside)
    assert house.recover().segments == {"missing": 1}
    assert house.segments()[0].row.state is SegmentState.MISSING
    assert house.reader.recorded_between("gate", 0, LATER) == []
    assert house.recover().segments == {}
    shutil.copy(aside, path)
    assert house.recover().segments == {"found-again": 1}
    assert house.segments()[0].row.state is SegmentState.OK
    path.unlink()
    house.recover()
    path.write_bytes(aside.read_bytes()[:-1])
    house.recover()
    assert house.segments()[0].row.state is SegmentState.TRUNCATED


def test_foreign_files_stay_where_they_are_and_are_reported(house: House) -> None:
    house.record(7, 0, NOW)
    day = house.path_of(NAME.format(0)).parent
    own = house.path_of(NAME.format(0)).read_bytes()
    strangers = {
        "holiday.mp4": own,
        Path(NAME.format(9)).name: own,  # says in its label that it is number 0
        "20261123T140322.124Z-8-0.mp4.part": b"\0" * (17 << 20),
        "20261123T140322.123Z-12-0.mp4": b"not a movie at all",
    }
    for name, data in strangers.items():
        (day / name).write_bytes(data)
    report = house.recover()
    assert sorted(path.name for path in report.left) == sorted(strangers)
    assert len(house.segments()) == 1
    assert {path.name for path in day.iterdir()} == {*strangers, Path(NAME.format(0)).name}


def test_a_segment_of_another_archive_is_foreign(house: House) -> None:
    part = house.begin(7, 0, NOW)
    house.film(part, 7, 0, NOW).close()
    other = label.UUID("0b1f1c8e-0000-4000-8000-0000000fffff")
    said = house.label(part, 7, 0, NOW)
    house.archive.seal(part, label.pack(label.Label(**{**_fields(said), "archive": other})))
    report = house.recover()
    assert report.segments == {"left": 1}
    assert house.segments() == []


def test_a_copy_on_another_volume_is_not_taken_twice(house: House) -> None:
    house.record(7, 0, NOW)
    second = Volume.open(Disk(), "second", house.base / "second", ARCHIVE, None)
    second_id = house.index.add_volume("second", second.uuid).result()
    shutil.copytree(house.volume.path / "gate", second.path / "gate")
    report = recovery.Recovery()
    recovery.recover_files(house.index, house.reader, house.archive, recovery.Place(second_id, second), report)
    assert report.segments == {"left": 1}
    assert len(house.segments()) == 1


def test_a_condemned_file_is_left_to_the_sweep(house: House) -> None:
    house.record(7, 0, NOW)
    (segment,) = house.segments()
    house.index.condemn([segment.id], LATER).result()
    assert house.recover().segments == {}
    assert house.segments() == []
    assert house.files() == [segment.path]


def test_an_index_that_was_lost_finds_the_newest_days_and_never_gives_a_run_number_twice(
    tmp_path: Path, open_house: Open
) -> None:
    with open_house() as house:
        house.record(NOW // US, 0, NOW)
    for path in tmp_path.glob("index.sqlite3*"):
        path.unlink()
    with open_house() as house:
        house.recover()
        (segment,) = house.segments()
        assert segment.row.run == NOW // US
        assert house.index.next_run(NOW) == NOW // US + 1


def test_a_camera_that_was_renamed_keeps_its_footage_in_its_old_folder(house: House) -> None:
    house.record(7, 0, NOW)
    part = house.begin(7, 1, NOW + 2 * US)
    house.film(part, 7, 1, NOW + 2 * US).close()
    assert house.index.rename_camera("gate", "front").result()
    assert house.recover().segments == {"mended": 1}
    segments = house.reader.segments_between("front", 0, LATER)
    assert [segment.path.split("/")[0] for segment in segments] == ["gate", "gate"]
    assert house.segments() == []


def test_days_before_the_last_row_are_not_looked_at(house: House) -> None:
    day_us = 86_400 * US
    old = house.begin(6, 0, NOW - 3 * day_us)
    house.film(old, 6, 0, NOW - 3 * day_us).close()
    recent = house.begin(6, 1, NOW - day_us)
    house.film(recent, 6, 1, NOW - day_us).close()
    house.record(7, 0, NOW)
    assert house.recover().segments == {"mended": 1}
    assert old.part_path.exists()
    assert recent.sealed_path.exists()


# ---- the account of time


def test_after_a_crash_the_time_since_the_last_recorded_frame_is_a_gap_and_its_run_has_ended(house: House) -> None:
    row = house.record(7, 0, NOW)
    assert row is not None
    report = house.recover()
    assert report.crashed
    assert house.reader.spans_between("gate", 0, LATER) == [Span(SpanKind.GAP, "service-crashed", row.end_us, None, 0)]
    assert report.ledgers[house.camera_id].open == Span(SpanKind.GAP, "service-crashed", row.end_us, None, 0)
    run = house.reader.run(7)
    assert run is not None
    assert (run.ended_us, run.end_reason) == (row.end_us, "service-crashed")


def test_the_crash_gap_begins_where_the_recovered_footage_ends(house: House) -> None:
    house.record(7, 0, NOW)
    part = house.begin(7, 1, NOW + 2 * US)
    house.film(part, 7, 1, NOW + 2 * US).abandon()
    house.recover()
    last = house.reader.last_segment("gate")
    assert last is not None
    assert last.row.seq == 1
    assert [span.start_us for span in house.reader.spans_between("gate", 0, LATER)] == [last.row.end_us]


def test_after_an_orderly_stop_nothing_is_called_a_crash(house: House) -> None:
    row = house.record(7, 0, NOW)
    assert row is not None
    house.index.end_run(7, row.end_us, "shutdown").result()
    ledger = recovery.Ledger()
    house.index.put_spans(house.camera_id, ledger.gap(row.end_us, "service-stopped")).result()
    report = house.recover()
    assert not report.crashed
    assert report.ledgers[house.camera_id].open == ledger.open
    changes = report.ledgers[house.camera_id].recording(LATER)
    house.index.put_spans(house.camera_id, changes).result()
    assert house.reader.spans_between("gate", 0, LATER) == [Span(SpanKind.GAP, "service-stopped", row.end_us, LATER, 0)]


def test_a_gap_that_was_open_at_the_crash_lasts_until_anything_was_last_alive(house: House) -> None:
    other = house.index.add_camera("yard", NOW).result()
    house.index.put_spans(other, recovery.Ledger().gap(NOW - US, "camera-unreachable")).result()
    row = house.record(7, 0, NOW)
    assert row is not None
    house.recover()
    assert house.reader.spans_between("yard", 0, LATER) == [
        Span(SpanKind.GAP, "camera-unreachable", NOW - US, row.end_us, 0),
        Span(SpanKind.GAP, "service-crashed", row.end_us, None, 0),
    ]


def test_a_camera_of_which_a_crash_left_nothing_is_accounted_for_since_its_recording_began(house: House) -> None:
    row = house.record(7, 0, NOW)
    assert row is not None
    yard = house.index.add_camera("yard", NOW - US).result()
    ledger = recovery.Ledger()
    house.index.put_spans(yard, ledger.gap(NOW - US, "service-stopped") + ledger.recording(NOW)).result()
    house.recover()
    assert house.reader.spans_between("yard", 0, LATER) == [
        Span(SpanKind.GAP, "service-stopped", NOW - US, NOW, 0),
        Span(SpanKind.GAP, "service-crashed", NOW, None, 0),
    ]


def test_what_a_hanging_disk_kept_from_a_file_before_an_orderly_stop_is_a_gap(house: House) -> None:
    house.record(7, 0, NOW)
    part = house.begin(7, 1, NOW + 2 * US)
    house.film(part, 7, 1, NOW + 2 * US).abandon()
    stopped_us = NOW + 60 * US
    house.index.end_run(7, stopped_us, "service-stopped").result()
    house.index.put_spans(house.camera_id, recovery.Ledger().gap(stopped_us, "service-stopped")).result()
    report = house.recover()
    assert not report.crashed
    last = house.reader.last_segment("gate")
    assert last is not None
    assert last.row.recovered
    assert house.reader.spans_between("gate", 0, LATER) == [
        Span(SpanKind.GAP, "disk-failed", last.row.end_us, stopped_us, 0),
        Span(SpanKind.GAP, "service-stopped", stopped_us, None, 0),
    ]


def test_a_segment_that_was_called_lost_and_is_found_is_no_gap_any_more(house: House) -> None:
    part = house.begin(7, 0, NOW)
    house.film(part, 7, 0, NOW).abandon()
    ledger = recovery.Ledger()
    spans = ledger.gap(NOW, "disk-failed") + ledger.gap(NOW + 60 * US, "service-stopped")
    house.index.put_spans(house.camera_id, spans).result()
    house.recover()
    last = house.reader.last_segment("gate")
    assert last is not None
    assert house.reader.spans_between("gate", 0, LATER + US) == [
        Span(SpanKind.GAP, "disk-failed", last.row.end_us, NOW + 60 * US, 0),
        Span(SpanKind.GAP, "service-stopped", NOW + 60 * US, None, 0),
    ]


def test_a_camera_that_is_off_stays_off_through_a_crash(house: House) -> None:
    house.index.put_spans(house.camera_id, recovery.Ledger().off(NOW, "record-off")).result()
    report = house.recover()
    assert house.reader.spans_between("gate", 0, LATER) == [Span(SpanKind.OFF, "record-off", NOW, None, 0)]
    assert not report.crashed


def test_a_clock_behind_what_is_recorded_begins_a_new_epoch(house: House) -> None:
    row = house.record(7, 0, NOW)
    assert row is not None
    report = house.recover(now_us=NOW - 3600 * US)
    assert report.epoch == 1
    assert report.ledgers[house.camera_id].open == Span(SpanKind.GAP, "service-crashed", NOW - 3600 * US, None, 1)


def test_a_camera_that_never_recorded_has_nothing_to_account_for(house: House) -> None:
    report = house.recover()
    assert not report.crashed
    assert house.reader.spans_between("gate", 0, LATER) == []
    assert report.ledgers[house.camera_id].open is None


# ---- trouble during recovery


def test_a_volume_that_cannot_be_read_keeps_no_daemon_from_starting(house: House) -> None:
    house.record(7, 0, NOW)
    house.volume.path.rename(house.base / "elsewhere")
    report = house.recover()
    assert report.segments == {"postponed": 1}
    assert report.ledgers[house.camera_id].open is not None
    assert house.segments()[0].row.state is SegmentState.OK, "what cannot be seen is not called missing"


def _a_life_that_ended_badly(house: House) -> None:
    house.record(7, 0, NOW)
    house.record(7, 1, NOW + 2 * US)
    house.path_of(house.segments()[0].path).unlink()
    part = house.begin(7, 2, NOW + 4 * US)
    house.film(part, 7, 2, NOW + 4 * US).abandon()  # torn
    part = house.begin(7, 3, NOW + 6 * US)
    house.film(part, 7, 3, NOW + 6 * US).close()  # closed, no label
    part = house.begin(7, 4, NOW + 8 * US)
    house.film(part, 7, 4, NOW + 8 * US).close()
    house.archive.seal(part, label.pack(house.label(part, 7, 4, NOW + 8 * US)))  # no row
    house.begin(7, 5, NOW + 10 * US).file.close()  # no picture


@pytest.mark.parametrize(("how", "sticky"), [("killed", True), ("EIO", False), ("ENOSPC", True)])
def test_recovery_that_is_interrupted_at_any_call_is_finished_by_the_next(
    how: str, sticky: bool, tmp_path: Path, open_house: Open, promises_hold: Callable[..., None]
) -> None:
    with open_house(base=tmp_path / "life") as house:
        _a_life_that_ended_badly(house)
    shutil.copytree(tmp_path / "life", tmp_path / "whole")
    with open_house(base=tmp_path / "whole") as house:
        house.recover()
        expected = [segment.row for segment in house.segments()]
        spans = house.reader.spans_between("gate", 0, LATER)
        calls = len(house.disk.calls)
    assert calls > 15
    assert len(expected) == 5
    for at in range(1, calls + 1):
        base = tmp_path / str(at)
        shutil.copytree(tmp_path / "life", base)
        disk = FailingDisk(at, how, sticky=sticky)
        with open_house(disk, base) as house:
            with suppress(Killed):
                house.recover()
            promises_hold(house, sealed_too=True)
            assert all(path.name.endswith("-5.mp4.part") for path in disk.unlinked)
        with open_house(base=base) as house:
            house.recover()
            promises_hold(house)
            rows = [segment.row for segment in house.segments()]
            assert rows == expected
            assert house.files() == [segment.path for segment in house.segments()[1:]]
            assert house.reader.spans_between("gate", 0, LATER)[-1] == spans[-1]
        shutil.rmtree(base)


def _fields(said: label.Label) -> dict[str, object]:
    return {name: getattr(said, name) for name in label.Label.__slots__}

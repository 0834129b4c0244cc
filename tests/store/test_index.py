"""The one writer: commands, transactions, troubles."""

import shutil
import sqlite3
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from nvr.store.connections import wal_path
from nvr.store.errors import DiskFull, IndexDamaged
from nvr.store.index import Index
from nvr.store.ledger import DropSpan, Ledger, PutSpan
from nvr.store.reader import Reader
from nvr.store.rows import Box, Look, LookKind, Run, SegmentRow, SegmentState, Span, SpanKind, View
from nvr.units import US
from tests.store.house import NOW, House


def row(house: House, run: int, seq: int, **other: Any) -> SegmentRow:
    start_us = NOW + seq * 60 * US
    values = {
        "camera_id": house.camera_id,
        "run": run,
        "seq": seq,
        "volume_id": house.volume_id,
        "start_us": start_us,
        "end_us": start_us + 60 * US,
        "frames": 1800,
        "size_bytes": 15_000_000,
        "time_base": Fraction(1, 90_000),
        "first_tick": seq * 5_400_000,
        "duration_ticks": 5_400_000,
    }
    return SegmentRow(**{**values, **other})


def held(index: Index) -> "tuple[threading.Event, Future[None]]":
    """The writer is kept busy until the event is set, so that what is queued meanwhile makes one transaction."""
    release, begun = threading.Event(), threading.Event()

    def wait(_: Connection) -> None:
        begun.set()
        assert release.wait(10)

    done = index.do(wait)
    assert begun.wait(10)
    return release, done


def test_what_a_future_promised_is_there_for_readers_and_after_reopening(house: House) -> None:
    house.begin_run(7, NOW)
    segment_id = house.index.add_segment(row(house, 7, 0, sha256=b"\1" * 32, state=SegmentState.DAMAGED)).result()
    (segment,) = house.segments()
    assert segment.id == segment_id
    assert segment.row == row(house, 7, 0, sha256=b"\1" * 32, state=SegmentState.DAMAGED)
    assert (segment.camera, segment.volume, segment.epoch) == ("gate", "main", 0)
    assert house.reader.segment(segment_id) == segment


def test_what_queues_up_is_committed_together_and_what_breaks_a_rule_alone_fails(tmp_path: Path, house: House) -> None:
    commits: list[int] = []
    house.index._on_commit = lambda seconds, commands: commits.append(commands)
    house.begin_run(7, NOW)
    release, done = held(house.index)
    commits.clear()
    good = [house.index.add_segment(row(house, 7, seq)) for seq in range(10)]
    twice = house.index.add_segment(row(house, 7, 3))
    orphan = house.index.add_segment(row(house, 999, 0))
    more = [house.index.add_segment(row(house, 7, seq)) for seq in range(10, 20)]
    assert house.index.queue_length() == 22
    release.set()
    done.result(10)
    assert [future.result(10) for future in good + more] == list(range(1, 21))
    for future in (twice, orphan):
        assert isinstance(future.exception(10), IntegrityError)
    house.index.ping().result(10)
    assert [segment.row.seq for segment in house.segments()] == list(range(20))
    assert max(commits) == 1, "the batch that failed together is committed one by one"
    assert len(commits) >= 20
    assert house.index.queue_length() == 0


def test_a_long_queue_is_one_transaction_of_at_most_five_hundred(house: House) -> None:
    commits: list[int] = []
    house.begin_run(7, NOW)
    release, _ = held(house.index)
    house.index._on_commit = lambda seconds, commands: commits.append(commands)
    futures = [house.index.add_segment(row(house, 7, seq)) for seq in range(1_200)]
    release.set()
    assert len({future.result(10) for future in futures}) == 1_200
    house.index.ping().result(10)
    assert commits[:4] == [1, 500, 500, 200]


def test_closing_commits_what_is_queued_and_takes_nothing_after(house: House) -> None:
    house.begin_run(7, NOW)
    release, _ = held(house.index)
    last = house.index.add_segment(row(house, 7, 0))
    closer = threading.Thread(target=house.index.close)
    closer.start()
    while not house.index._closed:
        pass
    refused = house.index.add_segment(row(house, 7, 1))
    release.set()
    closer.join(10)
    assert last.result(0) == 1
    with pytest.raises(RuntimeError, match="closed"):
        refused.result(0)
    assert len(house.segments()) == 1


def test_a_cancelled_future_loses_no_row(house: House) -> None:
    house.begin_run(7, NOW)
    release, _ = held(house.index)
    future = house.index.add_segment(row(house, 7, 0))
    assert not future.cancel()
    release.set()
    assert future.result(10) == 1


def test_a_full_disk_is_told_and_the_same_command_goes_through_once_there_is_room(house: House) -> None:
    house.begin_run(7, NOW)

    def pages(connection: Connection, more: int) -> None:
        now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={now + more}")

    house.index.do(lambda connection: pages(connection, 0)).result()
    release, _ = held(house.index)
    futures = [house.index.add_segment(row(house, 7, seq)) for seq in range(400)]
    release.set()
    assert {type(future.exception(10)) for future in futures} == {DiskFull}
    assert house.index.damage is None
    house.index.do(lambda connection: pages(connection, 10_000)).result()
    again = [house.index.add_segment(row(house, 7, seq)) for seq in range(400)]
    assert len([future.result(10) for future in again]) == 400


def test_a_segment_brings_its_run_along_where_the_index_has_lost_it_and_else_leaves_it_as_it_is(house: House) -> None:
    lost = Run(7, house.camera_id, "gate", NOW, "connected", 0, "stream", NOW, ended_us=NOW + US, end_reason="stalled")
    house.index.add_segment(row(house, 7, 0), run=lost).result(10)
    house.index.add_segment(row(house, 7, 1), run=replace(lost, ended_us=None, end_reason=None)).result(10)
    assert [(run.number, run.end_reason) for run in house.reader.runs_between("gate", 0, 1 << 60)] == [(7, "stalled")]
    assert len(house.segments()) == 2


def test_a_damaged_index_says_so_and_takes_nothing_more(house: House) -> None:
    house.begin_run(7, NOW)

    def broken(_: Connection) -> None:
        damaged = house.base / "damaged.sqlite3"
        damaged.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
        connection = sqlite3.connect(damaged)
        try:
            connection.execute("SELECT * FROM sqlite_master")
        finally:
            connection.close()

    with pytest.raises(IndexDamaged, match="cannot be read or written"):
        house.index.do(broken).result(10)
    with pytest.raises(IndexDamaged):
        house.index.add_segment(row(house, 7, 0)).result(10)
    assert isinstance(house.index.damage, IndexDamaged)


def test_while_its_disk_hangs_an_index_lets_only_so_many_commands_wait(tmp_path: Path, empty_index: Path) -> None:
    path = tmp_path / empty_index.name
    shutil.copyfile(empty_index, path)
    index, answering = Index(path, most_waiting=3, silent_s=0.02), threading.Event()
    hung = index.do(lambda _: answering.wait(20))
    deadline = time.monotonic() + 10
    while index.silent_seconds() <= 0.02:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    waiting = [index.ping() for _ in range(3)]
    with pytest.raises(DiskFull, match="the index's disk does not answer"):
        index.ping().result(0)
    assert not any(future.done() for future in waiting)
    answering.set()
    assert hung.result(10)
    for future in waiting:
        future.result(10)
    index.ping().result(10)
    assert index.close(10)


def test_run_numbers_rise_and_are_seconds_where_they_can_be(house: House) -> None:
    second = NOW // US
    assert [house.index.next_run(NOW) for _ in range(3)] == [second, second + 1, second + 2]
    assert house.index.next_run(NOW + 60 * US) == second + 60
    assert house.index.next_run(NOW - 3600 * US) == second + 61
    house.index.begin_run(Run(second + 500, house.camera_id, "gate", NOW, "recovered", 0, "stream", NOW)).result()
    assert house.index.next_run(NOW) == second + 501
    house.index.close()
    reopened = Index(house.base / "index.sqlite3")
    assert reopened.next_run(NOW) == second + 501
    reopened.close()


def test_a_run_is_begun_mapped_corrected_and_ended_once(house: House) -> None:
    run = Run(7, house.camera_id, "gate", NOW, "connected", 2, "arrival", NOW, 5, False)
    house.index.begin_run(run).result()
    assert house.reader.run(7) == run
    house.index.update_run(7, utc_anchor_us=NOW + 9, slope_ppb=-20_000, host_synchronised=True).result()
    house.index.correct_run(7, 1_000).result()
    house.index.end_run(7, NOW + US, "camera-stalled").result()
    house.index.end_run(7, NOW + 2 * US, "service-crashed").result()
    assert house.reader.run(7) == Run(
        7,
        house.camera_id,
        "gate",
        NOW,
        "connected",
        2,
        "arrival",
        NOW + 9,
        -20_000,
        True,
        1_000,
        NOW + US,
        "camera-stalled",
    )
    assert house.reader.runs_between("gate", NOW + US, NOW + 3 * US) == []
    assert len(house.reader.runs_between("gate", NOW, NOW + 1)) == 1


def test_cameras_volumes_and_the_archive_are_made_known_once(house: House) -> None:
    assert house.index.add_camera("gate", NOW + 5).result() == house.camera_id
    camera = house.reader.camera("gate")
    assert camera is not None
    assert camera.configured_at_us == NOW
    assert house.index.name_archive("another").result() == house.reader.archive() != "another"
    assert house.index.add_volume("renamed", house.volume.uuid).result() == house.volume_id
    assert [volume.name for volume in house.reader.volumes()] == ["renamed"]
    assert house.index.rename_camera("gate", "yard").result()
    assert not house.index.rename_camera("gate", "yard").result()
    assert [camera.slug for camera in house.reader.cameras()] == ["yard"]


def test_letting_go_turns_rows_into_garbage_rows_in_one_step(house: House) -> None:
    house.begin_run(7, NOW)
    ids = [house.index.add_segment(row(house, 7, seq)).result() for seq in range(3)]
    condemned, kept = house.index.condemn([*ids[:2], 999], NOW).result()
    assert kept == []
    assert [garbage.path for garbage in condemned] == [
        "gate/2026/11/23/20261123T140322.123Z-7-0.mp4",
        "gate/2026/11/23/20261123T140422.123Z-7-1.mp4",
    ]
    assert house.reader.garbage() == condemned
    assert [segment.id for segment in house.segments()] == ids[2:]
    assert house.index.condemn(ids[:2], NOW).result() == ([], [])
    house.index.forget([condemned[0].id]).result()
    assert house.reader.garbage() == condemned[1:]
    house.index.forget([]).result()


def test_spans_may_be_put_again_and_one_left_open_by_a_lost_change_is_closed(house: House) -> None:
    ledger = Ledger()
    for changes in (ledger.gap(NOW, "lost"), ledger.recording(NOW + 5), ledger.gap(NOW + 9, "lost")):
        house.index.put_spans(house.camera_id, changes)
        house.index.put_spans(house.camera_id, changes).result()
    lost = [PutSpan(Span(SpanKind.GAP, "lost", NOW + 9, NOW + 12))]
    assert ledger.recording(NOW + 12) == lost
    house.index.put_spans(house.camera_id, ledger.gap(NOW + 20, "refused")).result()
    assert house.reader.spans_between("gate", 0, NOW + 60) == [
        Span(SpanKind.GAP, "lost", NOW, NOW + 5),
        Span(SpanKind.GAP, "lost", NOW + 9, NOW + 20),
        Span(SpanKind.GAP, "refused", NOW + 20, None),
    ]
    house.index.put_spans(house.camera_id, lost).result()
    house.index.put_spans(house.camera_id, [DropSpan(Span(SpanKind.GAP, "refused", NOW + 20, None))]).result()
    assert [span.end_us for span in house.reader.spans_between("gate", 0, NOW + 60)] == [NOW + 5, NOW + 12]


def test_the_log_is_measured_and_gone_after_an_orderly_close(house: House) -> None:
    house.begin_run(7, NOW)
    assert house.index.wal_bytes() > 0
    assert house.index.wal_bytes() == wal_path(house.base / "index.sqlite3").stat().st_size
    house.reader.close()
    house.index.close()
    assert house.index.wal_bytes() == 0


def test_the_connection_is_set_so_that_a_power_cut_loses_no_committed_row(house: House) -> None:
    def settings(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "journal_size_limit")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert house.index.do(settings).result() == ["wal", 2, 1, 0, 64 << 20]


def test_opening_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(IndexDamaged):
        Index(tmp_path / "none.sqlite3")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_cannot_write(house: House) -> None:
    with house.reader._asking() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM camera")
    assert isinstance(house.reader, Reader)


def test_the_last_place_of_a_preset_is_known_of_each_camera_for_itself(house: House) -> None:
    def rest(seq: int, box: Box, preset: int | None) -> Look:
        start_us = NOW + seq * 60 * US
        return Look(start_us, start_us + 60 * US, View(LookKind.REST, box, preset))

    gate, yard = Box(100, 110, 500, 500, 0, 0), Box(9_000, 9_000, 700, 710, 30, 30)
    house.begin_run(7, NOW)
    for seq, (box, preset) in enumerate([(gate, 3), (yard, 3), (gate, 4), (gate, None), (gate, 5), (yard, 5)]):
        house.index.add_segment(row(house, 7, seq), [rest(seq, box, preset)]).result()
    assert [house.reader.last_rest_at("gate", preset) for preset in (3, 4, 5, 6)] == [yard, gate, yard, None]
    assert house.reader.last_rest_at("yard", 3) is None

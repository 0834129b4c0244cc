"""Questions to the index: the right rows, few of them read, and whoever asks."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvr.store import lock, schema
from nvr.store.connections import wal_path
from nvr.store.errors import IndexDamaged, SchemaTooNew, SchemaTooOld
from nvr.store.index import Index
from nvr.store.ledger import PutSpan
from nvr.store.reader import Reader, open_reader
from nvr.store.rows import Run, SegmentRow, Span, SpanKind
from nvr.units import US
from tests.store.house import NOW, House


def put(house: House, run: int, seq: int, start_us: int, end_us: int, epoch: int = 0) -> int:
    if run not in house.runs:
        house.runs.add(run)
        begun = Run(run, house.camera_id, "gate", start_us, "connected", epoch, "stream", start_us)
        house.index.begin_run(begun).result()
    row = SegmentRow(house.camera_id, run, seq, house.volume_id, start_us, end_us, 1, 1, Fraction(1, 90_000), 0, 1)
    return house.index.add_segment(row).result()


def seqs(house: House, start_us: int, end_us: int) -> list[int]:
    return [segment.row.seq for segment in house.reader.segments_between("gate", start_us, end_us)]


def test_a_question_for_a_span_answers_what_touches_it(house: House) -> None:
    for seq in range(5):
        put(house, 7, seq, NOW + seq * 60, NOW + seq * 60 + 60)
    assert seqs(house, NOW + 60, NOW + 120) == [1]
    assert seqs(house, NOW + 59, NOW + 121) == [0, 1, 2]
    assert seqs(house, NOW + 90, NOW + 91) == [1]
    assert seqs(house, NOW + 300, NOW + 999) == []
    assert seqs(house, NOW - 99, NOW) == []
    assert house.reader.segments_between("nobody", 0, NOW * 2) == []


def test_one_long_segment_is_found_from_its_far_end(house: House) -> None:
    put(house, 7, 0, NOW, NOW + 10_000)
    put(house, 7, 1, NOW + 10_000, NOW + 10_060)
    assert seqs(house, NOW + 9_999, NOW + 10_001) == [0, 1]


def test_pages_follow_each_other_without_loss_or_repetition(house: House) -> None:
    # After a backward step of the clock two segments may begin at the same moment.
    starts = [NOW + seq * 10 for seq in range(20)] + [NOW + seq * 10 for seq in range(5)]
    ids = [put(house, 7, seq, start, start + 10) for seq, start in enumerate(starts)]
    pages, after = [], None
    while page := house.reader.segments_between("gate", NOW, NOW + 500, after=after, limit=3):
        assert len(page) <= 3
        pages += page
        after = page[-1].cursor
    assert sorted(segment.id for segment in pages) == ids
    assert [segment.cursor for segment in pages] == sorted(segment.cursor for segment in pages)


def test_first_last_and_named_segments_are_found(house: House) -> None:
    assert house.reader.first_segment("gate") is house.reader.last_segment("gate") is None
    for seq in range(3):
        put(house, 7, seq, NOW + seq * 60 * US, NOW + (seq + 1) * 60 * US)
    first, last = house.reader.first_segment("gate"), house.reader.last_segment("gate")
    assert first is not None
    assert last is not None
    assert (first.row.seq, last.row.seq) == (0, 2)
    assert first.path == "gate/2026/11/23/20261123T140322.123Z-7-0.mp4"
    assert house.reader.segment_by_name(first.path) == first
    assert house.reader.segment_by_name(first.path.rpartition("/")[2]) == first
    assert house.reader.segment_by_name("20261123T140322.124Z-7-0.mp4") is None
    assert house.reader.segment_by_name("holiday.mp4") is None
    assert house.reader.last_of_run(7) == last


def test_the_latest_end_is_that_of_the_present_epoch(house: House) -> None:
    put(house, 7, 0, NOW + 1000, NOW + 2000, epoch=0)
    put(house, 8, 0, NOW, NOW + 60, epoch=1)
    assert house.reader.last_recorded("gate", 0) == NOW + 2000
    assert house.reader.last_recorded("gate", 1) == NOW + 60
    assert house.reader.last_recorded("gate", 2) is None
    assert house.reader.last_epoch() == 1


lengths = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 40)), min_size=1, max_size=12)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments=lengths, gaps=lengths, start=st.integers(0, 300), length=st.integers(1, 100), still_open=st.booleans())
def test_any_span_is_answered_as_by_looking_at_every_row(
    segments: list[tuple[int, int]],
    gaps: list[tuple[int, int]],
    start: int,
    length: int,
    still_open: bool,
    house: House,
) -> None:
    camera = f"c{len(house.reader.cameras())}"
    house.camera_id = house.index.add_camera(camera, 0).result()
    run = house.index.next_run(0)
    at, rows = 0, []
    for seq, (wait, lasts) in enumerate(segments):
        put(house, run, seq, at + wait, at + wait + lasts)
        rows.append((at + wait, at + wait + lasts))
        at += wait + lasts
    at, spans = 0, []
    for wait, lasts in gaps:
        spans.append(Span(SpanKind.GAP, "lost", at + wait + 1, at + wait + 1 + lasts))
        at += wait + 1 + lasts
    if still_open:
        spans[-1] = Span(SpanKind.OFF, "schedule", spans[-1].start_us, None)
    house.index.put_spans(house.camera_id, [PutSpan(span) for span in spans]).result()

    end = start + length
    touching = [row for row in rows if row[0] < end and row[1] > start]
    found = house.reader.segments_between(camera, start, end)
    assert [(segment.row.start_us, segment.row.end_us) for segment in found] == touching
    assert [(r.start_us, r.end_us) for r in house.reader.recorded_between(camera, start, end)] == touching
    expected = [span for span in spans if span.start_us < end and (span.end_us is None or span.end_us > start)]
    assert house.reader.spans_between(camera, start, end) == expected
    assert house.reader.gaps_between(camera, start, end) == [s for s in expected if s.kind is SpanKind.GAP]
    assert house.reader.newest_spans(camera) == spans[::-1]


# ---- whoever asks, whether or not a daemon runs


@pytest.fixture
def data_dir(empty_index: Path) -> Iterator[Path]:
    """A place that other users may look into; pytest's own is private."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        shutil.copyfile(empty_index, path / schema.INDEX_NAME)
        (path / schema.INDEX_NAME).chmod(0o644)
        yield path


def test_a_reader_beside_a_daemon_sees_what_it_commits_and_goes_on_after_its_stop(data_dir: Path) -> None:
    held, index = lock.hold(data_dir), Index(data_dir / schema.INDEX_NAME)
    reader = open_reader(data_dir)
    index.add_camera("gate", NOW).result()
    assert [camera.slug for camera in reader.cameras()] == ["gate"]
    index.add_camera("yard", NOW).result()
    index.close()
    held.release()
    assert [camera.slug for camera in reader.cameras()] == ["gate", "yard"]
    lock.hold(data_dir, wait_s=0).release()


def test_an_index_at_rest_is_read_without_leaving_a_trace_beside_it(data_dir: Path) -> None:
    index = Index(data_dir / schema.INDEX_NAME)
    index.add_camera("gate", NOW).result()
    index.close()
    assert [camera.slug for camera in open_reader(data_dir).cameras()] == ["gate"]
    assert [path.name for path in data_dir.iterdir()] == [schema.INDEX_NAME]


def test_rows_that_a_crash_left_in_the_log_are_seen(data_dir: Path) -> None:
    _crashed_daemon(data_dir)
    assert wal_path(data_dir / schema.INDEX_NAME).stat().st_size > 0
    assert [camera.slug for camera in open_reader(data_dir).cameras()] == ["gate"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("state", ["at rest", "after a crash", "while it runs"])
def test_another_user_who_may_only_read_reads(state: str, data_dir: Path) -> None:
    index = held = None
    if state == "after a crash":
        _crashed_daemon(data_dir)
    else:
        held, index = lock.hold(data_dir), Index(data_dir / schema.INDEX_NAME)
        index.add_camera("gate", NOW).result()
        if state == "at rest":
            assert index.close()
            held.release()
    for path in data_dir.iterdir():
        path.chmod(0o644)
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(data_dir)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "gate\n", done.stderr
    if index is not None and held is not None:
        index.close()
        held.release()


_READ = """
import sys
from pathlib import Path
from nvr.store.reader import open_reader
import os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(*(camera.slug for camera in open_reader(Path(sys.argv[1])).cameras()))
"""
_CRASH = """
import os, sys
from pathlib import Path
from nvr.store.index import Index
Index(Path(sys.argv[1])).add_camera("gate", 1).result()
os._exit(9)
"""


def _crashed_daemon(data_dir: Path) -> None:
    command = [sys.executable, "-c", _CRASH, str(data_dir / schema.INDEX_NAME)]
    assert subprocess.run(command, timeout=30, check=False).returncode == 9


def test_a_reader_says_what_it_cannot_read(tmp_path: Path, empty_index: Path) -> None:
    with pytest.raises(IndexDamaged, match="there is no index"):
        open_reader(tmp_path)
    path = tmp_path / schema.INDEX_NAME
    path.touch()
    with pytest.raises(IndexDamaged, match="empty"):
        open_reader(tmp_path)
    path.write_bytes(b"something else entirely" * 99)
    with pytest.raises(IndexDamaged, match="not a database"):
        open_reader(tmp_path)
    for version, trouble in ((0, SchemaTooOld), (99, SchemaTooNew)):
        shutil.copyfile(empty_index, path)
        _set_version(path, version)
        with pytest.raises(trouble):
            open_reader(tmp_path)


def _set_version(path: Path, version: int) -> None:
    index = Index(path)
    index.do(lambda connection: connection.exec_driver_sql(f"PRAGMA user_version={version}")).result()
    index.close()


def test_a_kept_reader_closes_what_it_keeps(house: House) -> None:
    reader = Reader(house.base / schema.INDEX_NAME)
    reader.cameras()
    reader.close()
    reader.close()

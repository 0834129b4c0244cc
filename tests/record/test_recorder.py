"""The recorder's whole story on a real disk: what is kept, byte for byte, and what is said of all that is not."""

import asyncio
import errno
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from nvr.media import boxes, label
from nvr.media.frame import Unit
from nvr.media.positions import unpack_positions
from nvr.record.shelf import Refusal
from nvr.store.names import PART
from nvr.store.rows import SegmentState
from nvr.units import US
from tests.record.conftest import GROUP, NOW, Room, frames_of

END = NOW + 10 * US


def bytes_in(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[s.offset : s.offset + s.size] for s in boxes.samples(path)]


def kept(room: Room) -> list[bytes]:
    return [unit for segment in room.segments() for unit in bytes_in(room.root / segment.path)]


def test_every_frame_is_in_the_files_once_in_order_and_segments_abut(room: Room, units: list[Unit]) -> None:
    room.take(frames_of(units))
    room.recorder.lost("camera-unreachable")
    assert room.told(END) == "recorded 10.000"
    assert kept(room) == [unit.data for unit in units]
    segments = room.segments()
    assert len(segments) in (5, 6)
    assert [s.row.start_us for s in segments[1:]] == [s.row.end_us for s in segments[:-1]]
    assert room.counts.segments_committed == len(segments)


def test_each_file_says_of_itself_what_the_index_says(room: Room, units: list[Unit]) -> None:
    room.take(frames_of(units))
    room.recorder.lost("camera-unreachable")
    room.settle()
    seen = 0
    for segment in room.segments():
        row, said = segment.row, label.read(room.root / segment.path)
        assert said is not None
        assert (said.run, said.seq, said.start_us, said.end_us, said.frames, said.duration_ticks) == (
            (row.run, row.seq, row.start_us, row.end_us, row.frames, row.duration_ticks)
        )
        assert (room.root / segment.path).stat().st_size == row.size_bytes
        assert said.positions is not None
        assert unpack_positions(said.positions, said.frames) == [(seen + n, 500, 0) for n in range(said.frames)]
        seen += said.frames
    assert seen == len(units)


def test_a_lost_link_is_a_gap_from_the_last_frames_end_to_the_next_first_frame(room: Room, units: list[Unit]) -> None:
    room.take(frames_of(units[:60]))
    room.recorder.lost("camera-stalled")
    room.take(frames_of(units[150:], first=150))
    room.recorder.lost("stream-broken")
    assert room.told(END) == "recorded 2.000, gap camera-stalled 3.000, recorded 5.000"
    assert len({segment.row.run for segment in room.segments()}) == 2
    assert room.counts.gap_us["camera-stalled"] == pytest.approx(3 * US, abs=2)
    assert room.counts.open_gap == ("stream-broken", pytest.approx(END, abs=2))


def test_the_last_frame_counts_for_the_interval_before_it_never_for_the_stall(room: Room, units: list[Unit]) -> None:
    room.take(frames_of(units[:GROUP]))
    room.recorder.lost("camera-stalled")
    room.settle()
    [segment] = room.segments()
    assert segment.row.end_us - segment.row.start_us == pytest.approx(US // 2, abs=2)
    assert sum(s.duration for s in boxes.samples(room.root / segment.path)) == GROUP * 3_000


def test_the_last_frame_of_a_file_lasts_until_the_next_file_also_where_each_is_a_key_frame(
    room: Room, units: list[Unit]
) -> None:
    keys = [unit for unit in units if unit.key][:6]
    for number, frame in enumerate(frames_of(keys)):
        # One a second, every other file has one of them alone, which the clock hands over before the next one comes.
        room.take([replace(frame, ticks=number * 90_000, utc_us=NOW + number * US)])
        room.recorder.tick()
        room.recorder.tick()
    room.recorder.lost("camera-unreachable")
    room.settle()
    for segment in room.segments():
        assert [sample.duration for sample in boxes.samples(room.root / segment.path)] == [90_000] * segment.row.frames


def test_frames_that_never_came_are_a_gap_inside_the_segment(room: Room, units: list[Unit]) -> None:
    frames = frames_of(units[:60]) + [
        replace(frame, ticks=frame.ticks + 60 * 3_000 + 3 * 90_000, utc_us=frame.utc_us + 3 * US)
        for frame in frames_of(units[60:150], first=60, new_run=None)
    ]
    room.take(frames)
    room.recorder.lost("camera-unreachable")
    # The frame before the hole counts for two seconds at most; its own interval is one thirtieth.
    assert room.told(NOW + 8 * US) == "recorded 3.967, gap frames-missing 1.033, recorded 3.000"


def test_a_step_of_the_hosts_clock_begins_a_run_and_is_a_gap_without_a_lost_frame(
    room: Room, units: list[Unit]
) -> None:
    room.take(frames_of(units[:60]))
    room.take(frames_of(units[60:120], first=60, late_us=4 * US, new_run="clock-step"))
    room.recorder.lost("camera-unreachable")
    assert room.told(NOW + 8 * US) == "recorded 2.000, gap clock-step 4.000, recorded 2.000"
    assert kept(room) == [unit.data for unit in units[:120]]


def test_a_new_run_of_the_same_link_begins_where_the_last_frame_ends_however_time_was_told_before(
    room: Room, units: list[Unit]
) -> None:
    room.take(frames_of(units[:60]))
    room.take(frames_of(units[60:120], first=60, late_us=US // 10, new_run="time-fallback"))
    room.recorder.lost("camera-unreachable")
    assert room.told(NOW + 5 * US) == "recorded 4.100, gap camera-unreachable 0.900"
    assert kept(room) == [unit.data for unit in units[:120]]


def test_an_hour_that_happens_twice_is_listed_twice_and_covered_once(room: Room, units: list[Unit]) -> None:
    room.take(frames_of(units[:120]))
    room.take(frames_of(units[120:180], first=120, late_us=-3 * US, new_run="clock-step"))
    room.recorder.lost("camera-unreachable")
    assert room.told(NOW + 3 * US) == "recorded 3.000"
    assert [segment.epoch for segment in room.segments()].count(1) >= 1
    assert sum(segment.row.frames for segment in room.segments()) == 180


def test_another_vol_begins_a_segment_of_the_same_run(room: Room, units: list[Unit]) -> None:
    other = replace(units[0].vol, header=units[0].vol.header + b"\0")
    frames = frames_of(units[:30]) + [
        replace(frame, vol=other, ticks=frame.ticks + 30 * 3_000)
        for frame in frames_of(units[30:60], first=30, new_run=None)
    ]
    room.take(frames)
    room.recorder.lost("camera-unreachable")
    assert room.told(NOW + 2 * US) == "recorded 2.000"
    assert len({segment.row.run for segment in room.segments()}) == 1


def test_a_disk_slower_than_the_stream_is_a_gap_and_recording_goes_on_when_it_keeps_up(
    tmp_path: Path, units: list[Unit]
) -> None:
    room = Room(tmp_path, queue_bytes=sum(len(unit.data) for unit in units[:50]))
    hold = threading.Event()
    try:
        frames = frames_of(units)
        room.take(frames[:30])
        room.settle()
        room.shelf.thread.put(0, hold.wait, 10)
        room.take(frames[30:150])
        assert room.recorder.refusal is not None
        assert room.recorder.refusal.reason == "disk-slow"
        hold.set()
        room.settle()
        room.recorder._retry_mono_us = 0
        for at in range(150, len(frames), 15):
            room.take(frames[at : at + 15])
            room.settle()
        room.recorder.lost("camera-unreachable")
        story = room.told(END)
        assert story.startswith("recorded ")
        assert ", gap disk-slow " in story
        assert story.endswith(", recorded 5.000")
        lost = room.counts.frames_lost["disk-slow"]
        assert lost > 0
        assert len(kept(room)) == len(units) - lost
    finally:
        hold.set()
        room.close()


@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "EROFS", "short"])
def test_a_write_that_fails_is_accounted_for_and_recording_goes_on(room: Room, units: list[Unit], how: str) -> None:
    frames = frames_of(units)
    room.take(frames[:75])
    room.settle()
    if how == "short":
        room.cut_next_write()
    else:
        room.fail_next("write", getattr(errno, how))
    room.take(frames[75:120])
    room.settle()
    assert room.recorder.refusal is not None
    room.recorder._retry_mono_us = 0
    room.take(frames[120:])
    room.recorder.lost("camera-unreachable")
    reason = "disk-full" if how in ("ENOSPC", "short") else "disk-failed"
    story = room.told(END)
    assert f", gap {reason} " in story
    assert "unknown" not in story
    assert story.endswith("recorded 6.000")
    assert sum(room.volume_counts.write_errors.values()) == 1
    believed = [s for s in room.segments() if s.row.state is SegmentState.OK]
    everything = [unit.data for unit in units]
    for segment in believed:
        found = bytes_in(room.root / segment.path)
        start = everything.index(found[0])
        assert found == everything[start : start + len(found)]


def test_a_failed_sync_is_never_believed_again(room: Room, units: list[Unit]) -> None:
    room.take(frames_of(units[:45]))
    room.fail_next("fsync", errno.EIO)
    room.recorder.lost("camera-unreachable")
    assert room.told(NOW + US * 3 // 2) == "recorded 1.500"
    [segment] = room.segments()
    assert segment.row.state is SegmentState.DAMAGED
    assert room.volume_counts.write_errors["io"] == 1


def test_a_failed_sync_on_the_way_ends_the_segment_and_the_next_one_begins(room: Room, units: list[Unit]) -> None:
    frames = frames_of(units)
    room.take(frames[:30])
    room.settle()
    room.shelf.plan._wanted_us = 0  # every hand-over syncs
    room.fail_next("fdatasync", errno.EIO)
    room.take(frames[30:60])
    room.settle()
    room.recorder._retry_mono_us = 0
    room.take(frames[60:])
    room.recorder.lost("camera-unreachable")
    story = room.told(END)
    assert story.startswith("recorded ")
    assert story.endswith("recorded 8.000")
    assert "gap disk-failed" in story
    assert [segment.row.state for segment in room.segments()].count(SegmentState.DAMAGED) == 1


def test_nothing_is_kept_while_no_volume_takes_it_and_the_gap_says_why(room: Room, units: list[Unit]) -> None:
    room.shelf._refusal = Refusal("disk-full", "volume 'main' is full")
    frames = frames_of(units)
    room.take(frames[:150])
    assert room.recorder.refusal == Refusal("disk-full", "volume 'main' is full")
    assert not list(room.root.rglob("*" + PART))
    room.shelf._refusal = None
    room.recorder._retry_mono_us = 0
    room.take(frames[150:])
    room.recorder.lost("camera-unreachable")
    assert room.told(END) == "gap disk-full 5.000, recorded 5.000"
    assert room.counts.frames_lost["disk-full"] == 150


def test_closing_seals_and_enters_everything(room: Room, units: list[Unit]) -> None:
    room.take(frames_of(units[:100]))

    async def close() -> bool:
        closing = asyncio.ensure_future(room.recorder.close("service-stopped", 5))
        while not closing.done():
            room.turn()
            await asyncio.sleep(0.002)
        return closing.result()

    assert asyncio.run(close())
    assert not list(room.root.rglob("*" + PART))
    assert kept(room) == [unit.data for unit in units[:100]]
    assert room.recorder.uncommitted() == []


def test_what_came_is_handed_over_by_the_clock(room: Room, units: list[Unit]) -> None:
    for frame in frames_of(units[:10]):
        room.recorder.take(frame)
    room.settle()
    assert not list(room.root.rglob("*" + PART))
    room.recorder.tick()
    room.settle()
    assert len(list(room.root.rglob("*" + PART))) == 1

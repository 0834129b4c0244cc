"""An index without space takes nothing; once it has space, what happened meanwhile is in it, the last word last."""

import time
from contextlib import suppress
from typing import Any

from nvr.media.frame import Frame, Unit
from nvr.store.errors import DiskFull
from nvr.units import US
from tests.record.conftest import NOW, Room, frames_of


def fill_index(room: Room) -> None:
    """From now on each transaction finds no space."""

    def refuse(_batch: list[Any]) -> list[Any]:
        raise DiskFull("no space is left for the index (writing)")

    room.index._transaction = refuse  # type: ignore[method-assign]  # this one index's


def make_room(room: Room) -> None:
    del room.index._transaction


def ping(room: Room) -> None:
    """Until the index has answered all it was given."""
    with suppress(DiskFull):
        room.index.ping().result(5)


def test_runs_gaps_and_segments_of_the_time_in_which_the_index_was_full_are_entered_later(
    room: Room, units: list[Unit]
) -> None:
    room.take(frames_of(units[:30]))
    room.settle()
    fill_index(room)
    room.recorder.lost("camera-stalled")
    ping(room)
    room.take(frames_of(units[60:150], first=60))
    room.recorder.lost("camera-unreachable")
    ping(room)
    room.recorder.tick()
    room.take(frames_of(units[210:270], first=210))
    room.recorder.lost("stream-broken")
    ping(room)
    before = room.segments()
    assert room.index.times_full
    make_room(room)
    for _ in range(3):
        room.recorder.tick()
        room.settle()
    assert room.recorder._insistence.waiting == 0
    assert room.recorder.uncommitted() == []
    assert room.told(NOW + 10 * US) == (
        "recorded 1.000, gap camera-stalled 1.000, recorded 3.000, gap camera-unreachable 2.000, recorded 2.000, "
        "gap stream-broken 1.000"
    )
    assert len(room.segments()) > len(before)
    runs = room.reader.runs_between("gate", 0, 1 << 60)
    assert [run.end_reason for run in runs] == ["camera-stalled", "camera-unreachable", "stream-broken"]
    assert {segment.row.run for segment in room.segments()} == {run.number for run in runs}


def take_sealed(room: Room, frames: list[Frame], files: int) -> None:
    """Takes them; until so many segments are sealed, and the index has answered what it was given."""
    room.take(frames)
    deadline = time.monotonic() + 10
    while len(list(room.root.rglob("*.mp4"))) < files or room.shelf.thread.silent_seconds():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    room.turn()
    ping(room)
    room.turn()


def test_of_rows_that_an_index_refuses_one_is_tried_until_it_takes_it_and_then_all_of_them(
    room: Room, units: list[Unit]
) -> None:
    frames = frames_of(units)
    room.take(frames[:60])
    room.settle()
    tried: list[int] = []

    def refuse(batch: list[Any]) -> list[Any]:
        tried.append(len(batch))
        raise DiskFull("no space is left for the index (writing)")

    room.index._transaction = refuse  # type: ignore[method-assign]  # this one index's
    for number in range(1, 5):
        take_sealed(room, frames[60 * number :][:60], number)
    for _ in range(3):
        tried.clear()
        room.recorder.tick()
        ping(room)
        room.turn()
        assert sum(tried) == 2, "a row and the ping"
    make_room(room)
    room.recorder.tick()
    room.settle()
    room.settle()
    assert len(room.segments()) == 4
    assert len(room.recorder.uncommitted()) == 1, "the one that is being written"


def test_where_too_many_rows_wait_the_oldest_is_left_to_whoever_finds_its_file(room: Room, units: list[Unit]) -> None:
    room.recorder._most_unentered = 3
    frames = frames_of(units)
    room.take(frames[:60])
    room.settle()
    fill_index(room)
    for number in range(1, 5):
        take_sealed(room, frames[60 * number :][:60], number)
    left = [segment.identity.seq for segment in room.recorder.uncommitted()]
    assert left in ([2, 3, 4], [1, 3, 4]), "the oldest, or the next where that one was just being tried"
    make_room(room)
    room.recorder.tick()
    room.settle()
    room.settle()
    assert [segment.row.seq for segment in room.segments()] == left[:2]

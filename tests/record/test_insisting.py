"""An index without space takes nothing; once it has space, what happened meanwhile is in it, the last word last."""

from contextlib import suppress
from typing import Any

from nvr.media.frame import Unit
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

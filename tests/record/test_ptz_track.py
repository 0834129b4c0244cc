"""The text beside the pictures tells where each was taken, and a crash leaves the label's positions in it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from nvr.jvc.types import Position
from nvr.media import boxes, label
from nvr.media.captions import Caption, parse
from nvr.media.frame import Frame, Unit
from nvr.media.positions import unpack_facts, unpack_positions
from nvr.store import mending
from nvr.units import US, PanTiltZoom
from tests.record.conftest import GROUP, TICKS, Room, frames_of
from tests.store.house import ARCHIVE, NOW


def told_frames(units: list[Unit]) -> list[Frame]:
    """Frames of a camera that rests, moves, does not say, comes to a preset and leaves it."""
    frames = frames_of(units)
    for number, frame in enumerate(frames):
        frame.position = position_at(number)
        if frame.key:
            frame.user_data = b"position = %b\0track_status = 0\0" % (b"7" if 60 <= number < 90 else b"NA")
    return frames


def position_at(number: int) -> PanTiltZoom | None:
    if number < 20 or 55 <= number < 100:
        return Position(35_999, 180, 0)  # another object each time
    if number < 40:
        return number * 7, 500 - number, number
    return None if number < 55 else (number * 100, 19_000, 9_999)


def record(room: Room, frames: list[Frame]) -> list[Path]:
    """Records everything; copies of the file as it was at each I-VOP, before it was sealed."""
    copies: list[Path] = []
    for frame in frames:
        room.take([frame])
        if not frame.key:
            continue
        room.settle()
        for part in room.root.rglob("*.part"):
            copies.append(room.root.parent / "copies" / str(len(copies)) / part.name)
            copies[-1].parent.mkdir(parents=True)
            shutil.copyfile(part, copies[-1])
    room.recorder.lost("camera-unreachable")
    room.settle()
    return copies


def captions_of(path: Path) -> dict[int, Caption | None]:
    """What the text track says anew, by the tick it does; what goes on from fragment to fragment said once."""
    lines = [(line.text, line.ticks) for line in boxes.lines(path, boxes.movie(path))]
    return {ticks: parse(text) for (before, _), (text, ticks) in pairwise([("", 0), *lines]) if text != before}


@pytest.fixture
def long_room(tmp_path: Path) -> Iterator[Room]:
    """A room whose segments last an hour."""
    made = Room(tmp_path, segment_us=3600 * US)
    yield made
    made.close()


def test_each_sealed_file_tells_each_picture_in_label_and_text(room: Room, units: list[Unit]) -> None:
    frames = told_frames(units)
    record(room, frames)
    segments = room.segments()
    assert len(segments) > 3
    number = 0
    for segment in segments:
        path = room.root / segment.path
        film, said = boxes.movie(path), label.read(path)
        assert said is not None
        assert said.positions is not None
        here = frames[number : number + said.frames]
        assert unpack_positions(said.positions, said.frames) == [frame.position for frame in here]
        captions = captions_of(path)
        for before, picture, frame in zip([None, *here], film.samples, here, strict=False):
            caption = captions.pop(picture.ticks, None)
            if before is not None and not frame.key and frame.position == before.position:
                assert caption is None, "a text where nothing changed"
                continue
            assert caption is not None, f"no text at picture {frame.ticks // TICKS}"
            assert caption.position == frame.position
            assert caption.utc_us == (frame.utc_us // 1000 * 1000 if frame.key else None)
            assert caption.preset == (7 if 60 <= frame.ticks // TICKS < 90 else None)
            assert caption.tracking == 0
        assert captions == {}
        number += said.frames
    assert number == len(frames)


def test_whenever_a_crash_comes_the_text_rebuilds_the_label_of_what_is_left(long_room: Room, units: list[Unit]) -> None:
    frames = told_frames(units)
    copies = record(long_room, frames)
    (segment,) = long_room.segments()
    sealed = label.read(long_room.root / segment.path)
    assert sealed is not None
    assert sealed.positions is not None
    facts, seen = unpack_facts(sealed.positions), set()
    for copy in copies:
        condition = boxes.examine(copy)
        if condition.state is boxes.State.EMPTY or condition.good_bytes in seen:
            continue
        seen.add(condition.good_bytes)
        rebuilt = mending.label_of(copy, mending.whole_of(copy, condition), ARCHIVE, "gate")
        assert rebuilt.positions is not None
        positions = unpack_positions(rebuilt.positions, rebuilt.frames)
        assert positions == [frame.position for frame in frames[: rebuilt.frames]]
        assert unpack_facts(rebuilt.positions) == [fact for fact in facts if fact.frame < rebuilt.frames]
        assert rebuilt.frames % GROUP == 0
    assert len(seen) > 5


def test_a_part_of_the_track_that_did_not_reach_the_disk_leaves_the_rest(long_room: Room, units: list[Unit]) -> None:
    frames = told_frames(units)
    copy = record(long_room, frames)[-1]
    film = boxes.movie(copy)
    holes = [text for text in film.texts if text.size > 2 and 20 <= text.ticks // TICKS < 30]
    assert len(holes) == 10
    with copy.open("r+b") as file:
        for text in holes:
            file.seek(text.offset)
            file.write(bytes(text.size))
    rebuilt = mending.label_of(copy, film, ARCHIVE, "gate")
    assert rebuilt.positions is not None
    told = [None if 20 <= number < 30 else frame.position for number, frame in enumerate(frames)]
    assert unpack_positions(rebuilt.positions, rebuilt.frames) == told[: rebuilt.frames]


def test_without_a_track_a_sealed_file_knows_its_positions_and_a_torn_one_does_not(
    tmp_path: Path, units: list[Unit]
) -> None:
    room = Room(tmp_path, segment_us=3600 * US, ptz_track=False)
    try:
        frames = told_frames(units)
        copies = record(room, frames)
        (segment,) = room.segments()
        path = room.root / segment.path
        sealed = label.read(path)
        assert sealed is not None
        assert sealed.positions is not None
        assert unpack_positions(sealed.positions, sealed.frames) == [frame.position for frame in frames]
        assert boxes.movie(path).texts == []
        assert mending.label_of(copies[-1], boxes.movie(copies[-1]), ARCHIVE, "gate").positions is None
    finally:
        room.close()


def test_a_camera_that_says_nothing_of_itself_has_a_track_that_says_so(room: Room, units: list[Unit]) -> None:
    record(room, [replace(frame, position=None) for frame in frames_of(units[:GROUP])])
    (segment,) = room.segments()
    path = room.root / segment.path
    assert captions_of(path) == {0: (None, None, None, NOW // 1000 * 1000)}

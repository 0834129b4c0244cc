"""Where the camera looked travels from its frames into label and index, and survives what happens to a segment."""

from dataclasses import replace
from pathlib import Path

import pytest

from nvr.media import label
from nvr.media.durable import Disk
from nvr.media.frame import Frame, Unit
from nvr.media.positions import unpack_positions
from nvr.store import recovery, schema
from nvr.store.archive import Archive
from nvr.store.index import Index
from nvr.store.reader import Reader
from nvr.store.rows import Look
from nvr.store.tracks import read_track
from nvr.store.volumes import Volume
from nvr.units import US, PanTiltZoom
from tests.record.conftest import NOW, Room, frames_of
from tests.store.house import ARCHIVE

EVER = 1 << 60


def at(number: int) -> PanTiltZoom | None:
    """Three seconds of rest, one and a half of movement through 0, rest, half a second of silence, rest."""
    if number < 90:
        return 35_500, 500, 0
    if number < 135:
        return (35_500 + 20 * (number - 89)) % 36_000, 500 + 2 * (number - 89), 0
    return None if 210 <= number < 225 else (400, 590, 0)


def moving(units: list[Unit]) -> list[Frame]:
    return [
        replace(frame, position=at(number), user_data=b"position = %s\0" % preset(number) if frame.key else None)
        for number, frame in enumerate(frames_of(units))
    ]


def preset(number: int) -> bytes:
    return b"3" if number < 90 else b"NA" if number < 150 else b"12"


def looks_in(reader: Reader) -> list[Look]:
    return reader.looks_along("gate", 0, EVER, limit=1000)[0]


def told(looks: list[Look]) -> str:
    return ", ".join(
        f"{look.view.kind.value} {look.view.preset} {(look.start_us - NOW) / US:.2f}-{(look.end_us - NOW) / US:.2f}"
        for look in looks
    )


STORY = (  # in segments of two seconds
    "rest 3 0.00-2.00, rest 3 2.00-3.03, sweep None 3.03-4.00, sweep None 4.00-4.43, rest 12 4.43-6.00, "
    "rest 12 6.00-7.00, sweep None 7.50-8.00, rest 12 8.00-10.00"
)


def test_the_index_knows_it_as_the_frames_said_it_and_so_does_each_label(room: Room, units: list[Unit]) -> None:
    frames = moving(units)
    room.take(frames)
    room.recorder.lost("camera-unreachable")
    room.settle()
    seen: list[PanTiltZoom | None] = []
    for segment in room.segments():
        said = label.read(room.root / segment.path)
        assert said is not None
        assert said.positions is not None
        seen += unpack_positions(said.positions, said.frames)
    assert seen == [frame.position for frame in frames]
    looks = looks_in(room.reader)
    for look in looks:
        during = [
            frame.position
            for frame in frames
            if frame.position is not None and look.start_us <= frame.utc_us + 2 and frame.utc_us + 2 < look.end_us
        ]
        assert during
        box = look.view.box
        for pan, tilt, zoom in during:
            assert (pan - box.pan_from) % 36_000 <= (box.pan_to - box.pan_from) % 36_000
            assert box.tilt_from <= tilt <= box.tilt_to
            assert box.zoom_from <= zoom <= box.zoom_to
    assert told(looks) == STORY
    known = sum(frame.position is not None for frame in frames)
    assert sum(look.end_us - look.start_us for look in looks) == pytest.approx(known * US / 30, abs=20)


def test_looks_begin_and_end_with_their_segments(room: Room, units: list[Unit]) -> None:
    room.take(moving(units))
    room.recorder.lost("camera-unreachable")
    room.settle()
    for segment in room.segments():
        looks, _ = room.reader.looks_along("gate", segment.row.start_us, segment.row.start_us + 1, limit=1)
        track = read_track(room.root / segment.path)
        assert track is not None
        assert (looks[0].start_us, looks[-1].end_us) == (segment.row.start_us, segment.row.end_us)
        assert all(look.start_us in track.starts_us for look in looks)


def test_what_was_sealed_is_known_again_from_the_files_alone(room: Room, units: list[Unit], tmp_path: Path) -> None:
    room.take(moving(units))
    room.recorder.lost("camera-unreachable")
    room.settle()
    before = looks_in(room.reader)
    assert len(before) > 5
    fresh = tmp_path / "fresh" / schema.INDEX_NAME
    fresh.parent.mkdir()
    schema.prepare(fresh)
    index, reader = Index(fresh), Reader(fresh)
    try:
        index.name_archive(ARCHIVE).result()
        assert room.shelf.volume is not None
        volume = Volume.open(Disk(), "main", room.root, ARCHIVE, room.shelf.volume.uuid)
        place = recovery.Place(index.add_volume("main", volume.uuid).result(), volume)
        found = recovery.recover(index, reader, Archive(Disk(), ARCHIVE), [place], NOW + 60 * US)
        assert found.segments["adopted"] == len(room.segments())
        assert looks_in(reader) == before
    finally:
        reader.close()
        assert index.close(10)


def test_a_full_disk_takes_the_end_of_a_segment_and_not_where_it_looked_before(room: Room, units: list[Unit]) -> None:
    frames = moving(units)
    room.take(frames[:100])
    room.settle()
    room.cut_next_write()
    room.take(frames[100:135])
    room.settle()
    room.recorder.lost("camera-unreachable")
    room.settle()
    [kept] = [segment for segment in room.segments() if segment.row.frames not in (60, 15)][:1]
    said = label.read(room.root / kept.path)
    assert said is not None
    assert said.recovered
    assert said.positions is not None
    first = round((kept.row.start_us - NOW) * 30 / US)
    assert unpack_positions(said.positions, said.frames) == [
        frame.position for frame in frames[first : first + said.frames]
    ]
    looks, _ = room.reader.looks_along("gate", kept.row.start_us, kept.row.start_us + 1, limit=1)
    assert (looks[0].start_us, looks[-1].end_us) == (kept.row.start_us, kept.row.end_us)


def test_a_camera_that_tells_no_position_has_footage_and_no_looks(room: Room, units: list[Unit]) -> None:
    room.take([replace(frame, position=None) for frame in frames_of(units)])
    room.recorder.lost("camera-unreachable")
    room.settle()
    assert len(room.segments()) > 3
    assert looks_in(room.reader) == []

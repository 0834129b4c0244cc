"""A day of recording as a film: real segments, real disk, read back picture by picture."""

import threading
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import pytest

from nvr.media import boxes
from nvr.media.frame import Frame, Unit
from nvr.media.splitter import UnitSplitter
from nvr.record.shelf import Shelves
from nvr.record.timelapse import Timelapse
from nvr.record.timelapse_plan import Picker, TimelapsePlan
from nvr.store.names import day_of, parse_timelapse_name, timelapse_path
from nvr.units import US, MonoMicros, UtcMicros
from tests.record.conftest import Room, frames_of
from tests.store.house import NOW

DAY_US = 86_400 * US
PATH = timelapse_path("gate", day_of(NOW))


@dataclass
class Later:
    """A clock so long after the recording."""

    after_us: int = DAY_US + 7200 * US

    def utc_us(self) -> UtcMicros:
        return UtcMicros(NOW + self.after_us)

    def mono_us(self) -> MonoMicros:
        return MonoMicros(self.after_us)


def record(room: Room, frames: list[Frame]) -> None:
    room.take(frames)
    room.recorder.lost("camera-unreachable")
    room.settle()


def run(room: Room, clock: Later | None = None, *, every_us: int = 2 * US, keep_days: int = 30) -> None:
    plan = TimelapsePlan("gate", every_us, keep_days)
    Timelapse([plan], room.reader, Shelves([room.shelf]), clock or Later()).run(threading.Event())


def pictures(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[sample.offset : sample.offset + sample.size] for sample in boxes.movie(path).samples]


def wanted(frames: list[Frame], every_us: int) -> list[bytes]:
    """The first key picture of each stretch of time."""
    found: dict[int, bytes] = {}
    for frame in frames:
        if frame.key:
            found.setdefault(frame.utc_us // every_us, frame.data)
    return list(found.values())


@pytest.mark.parametrize("every_s", [1, 2, 3, 3600])
def test_a_film_has_one_key_picture_of_each_stretch_byte_for_byte(room: Room, units: list[Unit], every_s: int) -> None:
    frames = frames_of(units)
    record(room, frames)
    run(room, every_us=every_s * US)
    film = room.root / PATH
    assert pictures(film) == wanted(frames, every_s * US)
    movie = boxes.movie(film)
    assert all(sample.key for sample in movie.samples)
    assert movie.duration_ticks * movie.time_base == Fraction(len(movie.samples), 25)
    assert boxes.examine(film).state is boxes.State.CLOSED
    assert [path.name for path in film.parent.iterdir()] == [film.name]


def test_a_film_is_made_once_and_not_before_its_day_is_settled(room: Room, units: list[Unit]) -> None:
    record(room, frames_of(units))
    to_midnight_us = DAY_US - NOW % DAY_US
    run(room, Later(to_midnight_us + 3600 * US))
    assert not (room.root / PATH).exists()
    run(room, Later(to_midnight_us + 5401 * US))
    made = (room.root / PATH).stat()
    run(room, Later())
    assert (room.root / PATH).stat() == made


def test_nights_that_were_missed_are_made_up_for_within_a_week(room: Room, units: list[Unit]) -> None:
    record(room, frames_of(units))
    run(room, Later(9 * DAY_US))
    assert not (room.root / PATH).exists()
    run(room, Later(7 * DAY_US))
    assert (room.root / PATH).exists()


def test_a_day_without_footage_has_no_film(room: Room) -> None:
    run(room)
    assert not (room.root / "gate").exists()


def wide_units() -> list[Unit]:
    """Two seconds of pictures of another size, all of them key."""
    encoder = av.CodecContext.create("mpeg4", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 96, 48, "yuv420p"
    encoder.time_base, encoder.gop_size, encoder.max_b_frames = Fraction(1, 30), 1, 0
    splitter, made = UnitSplitter(), []
    for number in range(60):
        picture = av.VideoFrame(96, 48, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes([number]) * plane.buffer_size)
        picture.pts, picture.time_base = number, Fraction(1, 30)
        for packet in encoder.encode(picture):
            made += splitter.feed(bytes(packet), None, True)
    return made


def test_pictures_of_another_size_are_another_file(room: Room, units: list[Unit]) -> None:
    first, second = frames_of(units[:60]), frames_of(wide_units(), first=60)
    record(room, first)
    record(room, second)
    run(room, every_us=US)
    film = room.root / PATH
    other = film.with_name(film.name.replace(".mp4", "-2.mp4"))
    assert [boxes.movie(file).width for file in (film, other)] == [64, 96]
    assert pictures(film) + pictures(other) == wanted([*first, *second], US)


@pytest.mark.parametrize("call", ["open_exclusive", "write", "fsync", "rename_noreplace"])
def test_a_film_that_failed_is_made_anew_and_nothing_is_left(room: Room, units: list[Unit], call: str) -> None:
    frames = frames_of(units)
    record(room, frames)
    room.fail_next(call, 5)
    with pytest.raises(OSError, match="a time-lapse was not made"):
        run(room)
    assert not (room.root / PATH).exists()
    run(room)
    assert pictures(room.root / PATH) == wanted(frames, 2 * US)
    assert [path.name for path in (room.root / PATH).parent.iterdir()] == [Path(PATH).name]


def test_a_segment_that_is_gone_leaves_the_rest_of_the_day(room: Room, units: list[Unit]) -> None:
    frames = frames_of(units)
    record(room, frames)
    first = room.reader.segments_between("gate", 0, 1 << 60)[0]
    (room.root / first.path).unlink()
    run(room, every_us=US)
    rest = [frame for frame in frames if frame.utc_us >= first.row.end_us]
    assert pictures(room.root / PATH) == wanted(rest, US)


def test_told_to_stop_it_stops_and_leaves_no_film(room: Room, units: list[Unit]) -> None:
    record(room, frames_of(units))
    stopping = threading.Event()
    stopping.set()
    Timelapse([TimelapsePlan("gate", US, 30)], room.reader, Shelves([room.shelf]), Later()).run(stopping)
    assert not (room.root / PATH).exists()


def test_films_that_are_too_old_are_deleted_and_nothing_else_is(room: Room, units: list[Unit]) -> None:
    record(room, frames_of(units))
    run(room)
    beside = (room.root / PATH).with_name("mine.mp4")
    beside.write_bytes(b"somebody's own")
    second = (room.root / PATH).with_name(Path(PATH).name.replace(".mp4", "-2.mp4"))
    second.write_bytes(b"the day's other part")
    run(room, Later(30 * DAY_US), keep_days=30)
    assert (room.root / PATH).exists()
    run(room, Later(31 * DAY_US), keep_days=30)
    assert list((room.root / PATH).parent.iterdir()) == [beside]
    assert room.reader.segments_between("gate", 0, 1 << 60), "footage has its own law"


def test_the_picker_takes_the_first_of_each_stretch() -> None:
    picker = Picker(10)
    assert [at for at in (3, 5, 9, 10, 11, 25, 29, 30, 7) if picker.takes(at)] == [3, 10, 25, 30]


def test_names_of_films_are_read_back() -> None:
    day = day_of(NOW)
    assert parse_timelapse_name(Path(timelapse_path("gate", day)).name) == day
    assert parse_timelapse_name(f"{day + timedelta(days=1):%Y%m%d}-2.mp4") == day + timedelta(days=1)
    for name in ("20261301.mp4", "2026112.mp4", "20261101.mp4.part", "20261101-0.mp4"):
        assert parse_timelapse_name(name) is None

"""A day of recording as a film: real segments, real disk, read back picture by picture."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import pytest

from nvr.media import boxes
from nvr.media.frame import Frame, Unit
from nvr.media.splitter import UnitSplitter
from nvr.metrics import Metrics
from nvr.record.shelf import Shelves
from nvr.record.timelapse import Timelapse
from nvr.record.timelapse_plan import Picker, TimelapsePlan
from nvr.store import schema, tables
from nvr.store.ballast import Ballast
from nvr.store.check import Check, Finding
from nvr.store.filling import fill
from nvr.store.index import Index
from nvr.store.names import day_of, numbered, parse_timelapse_name, timelapse_path
from nvr.store.reader import Reader
from nvr.store.recovery import Place, Recovery, recover_files
from nvr.store.repair import Repairer
from nvr.store.retention import Keep
from nvr.store.rows import CloseClip, Film, FilmRow, OpenClip, SegmentState
from nvr.store.sweep import Sweeper
from nvr.units import US, MonoMicros, UtcMicros
from tests.record.conftest import Room, frames_of
from tests.store.house import ARCHIVE, NOW

DAY_US = 86_400 * US
PATH = timelapse_path("gate", day_of(NOW))
NAMES = [Path(numbered(PATH, number)).name for number in (2, 1)]


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
    Timelapse([plan], room.index, room.reader, Shelves([room.shelf]), clock or Later()).run(threading.Event())


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
    Timelapse([TimelapsePlan("gate", US, 30)], room.index, room.reader, Shelves([room.shelf]), Later()).run(stopping)
    assert not (room.root / PATH).exists()


# ---- its row


def two_films(room: Room, units: list[Unit]) -> Film:
    """A day on which the picture's size changed; its film as the index has it."""
    record(room, frames_of(units[:60]))
    record(room, frames_of(wide_units(), first=60))
    run(room, every_us=US)
    (film,) = room.reader.films()
    return film


def files_of(room: Room) -> list[str]:
    return sorted(path.name for path in (room.root / PATH).parent.glob("*"))


def forget_rows(room: Room) -> None:
    """As if the daemon had died before it put them."""
    room.index.do(lambda connection: connection.execute(tables.film.delete())).result()


def place_of(room: Room) -> Place:
    assert room.shelf.volume is not None
    return Place(room.shelf.volume_id, room.shelf.volume)


def recover(room: Room) -> Recovery:
    report = Recovery()
    recover_files(room.index, room.reader, room.shelf.archive, place_of(room), report)
    return report


def test_a_film_has_a_row_that_says_what_its_files_hold_and_counts_as_its_cameras(
    room: Room, units: list[Unit]
) -> None:
    film = two_films(room, units)
    paths = [room.root / numbered(PATH, number) for number in (1, 2)]
    size_bytes = sum(path.stat().st_size for path in paths)
    camera_id, midnight_us = room.segments()[0].row.camera_id, NOW - NOW % DAY_US
    count = sum(len(pictures(path)) for path in paths)
    assert film.row == FilmRow(camera_id, room.shelf.volume_id, midnight_us, PATH, 2, size_bytes, count)
    (holding,) = room.reader.holdings()
    assert holding.film_bytes == size_bytes
    assert holding.size_bytes == size_bytes + sum(segment.row.size_bytes for segment in room.segments())


def test_a_film_whose_maker_died_before_its_row_gets_it_from_the_next_run_or_the_next_start(
    room: Room, units: list[Unit]
) -> None:
    film = two_films(room, units)
    made = (room.root / PATH).stat()
    forget_rows(room)
    run(room, every_us=US)
    assert [one.row for one in room.reader.films()] == [film.row]
    forget_rows(room)
    assert recover(room).segments == {"film": 1}
    assert [one.row for one in room.reader.films()] == [film.row]
    assert (room.root / PATH).stat() == made


def test_a_film_that_waits_to_be_unlinked_is_neither_entered_nor_made_again(room: Room, units: list[Unit]) -> None:
    film = two_films(room, units)
    room.index.condemn_films([film.id], NOW).result()
    run(room, every_us=US)
    recover(room)
    assert room.reader.films() == []
    assert [row.path for row in room.reader.garbage()] == [PATH, numbered(PATH, 2)]


def test_a_camera_that_is_renamed_keeps_its_films_and_none_is_made_again(room: Room, units: list[Unit]) -> None:
    film = two_films(room, units)
    assert room.index.rename_camera("gate", "yard").result()
    Timelapse([TimelapsePlan("yard", US, 30)], room.index, room.reader, Shelves([room.shelf]), Later()).run(
        threading.Event()
    )
    assert [(one.camera, one.row) for one in room.reader.films()] == [("yard", film.row)]
    assert not (room.root / "yard").exists()


def test_killed_at_any_call_the_next_start_and_run_make_the_one_film_and_leave_nothing_else(
    room: Room, units: list[Unit]
) -> None:
    record(room, frames_of(units[:60]))
    record(room, frames_of(wide_units(), first=60))
    fail_at, died, made = 0, True, set()
    while died:  # the last round goes well
        fail_at += 1
        room.disk.calls.clear()
        room.disk.fail_at, room.disk.how = fail_at, "killed"
        with suppress(OSError):
            run(room, every_us=US)
        died, room.disk.dead, room.disk.fail_at = room.disk.dead, False, None
        recover(room)
        assert not [name for name in files_of(room) if name.endswith(".part")], fail_at
        run(room, every_us=US)
        (film,) = room.reader.films()
        made.add(film.row)
        assert files_of(room) == NAMES
        forget_rows(room)
        for name in NAMES:
            (room.root / PATH).with_name(name).unlink()
    assert len(made) == 1
    assert fail_at > 10, "two files made, written, synced and named, and their folders"


def test_a_volume_that_takes_no_footage_takes_no_film_and_gets_its_room_back(room: Room, units: list[Unit]) -> None:
    record(room, frames_of(units))
    create = room.disk.open_exclusive

    def create_and_fill(path: Path) -> int:
        room.shelf.place = replace(room.shelf.place, keep_free_bytes=1 << 60)
        room.shelf.look()
        return create(path)

    room.disk.open_exclusive = create_and_fill  # type: ignore[method-assign]  # somebody fills the disk meanwhile
    with pytest.raises(OSError, match=r"a time-lapse was not made: .*keep_free"):
        run(room)
    assert files_of(room) == []
    assert room.reader.films() == []


# ---- an index that was lost, and a check


def test_an_index_from_files_alone_has_every_film(room: Room, units: list[Unit], tmp_path: Path) -> None:
    film = two_films(room, units)
    stranger = (room.root / PATH).with_name("mine.mp4")
    stranger.write_bytes(b"somebody's own")
    foreign = (room.root / PATH).with_name("20261122.mp4")
    foreign.write_bytes(b"no film")
    schema.prepare(tmp_path / "other.sqlite3")
    index, reader = Index(tmp_path / "other.sqlite3"), Reader(tmp_path / "other.sqlite3")
    index.name_archive(ARCHIVE).result()
    place = replace(place_of(room), volume_id=index.add_volume("main", place_of(room).volume.uuid).result())
    try:
        report = fill(index, reader, room.shelf.archive, [place], until_us=NOW + DAY_US)
        assert (report.segments["film"], report.left) == (1, [foreign])
        assert [(one.camera, one.volume, one.row) for one in reader.films()] == [("gate", "main", film.row)]
    finally:
        reader.close()
        index.close(5)
    assert stranger.exists()


def findings(room: Room) -> list[Finding]:
    return list(Check(room.reader, room.index_path, [place_of(room)], NOW + DAY_US).findings())


def gone(room: Room) -> None:
    (room.root / numbered(PATH, 2)).unlink()


def shortened(room: Room) -> None:
    os.truncate(room.root / PATH, 100)


def unpromised(room: Room) -> None:
    forget_rows(room)


@pytest.mark.parametrize(
    ("harm", "told", "done"),
    [
        (gone, [("missing", PATH)], ["marked as missing"]),
        (shortened, [("truncated", PATH)], ["marked as truncated"]),
        (unpromised, [("unpromised", numbered(PATH, 2)), ("unpromised", PATH)], ["entered (film)"] * 2),
    ],
)
def test_a_check_finds_what_is_wrong_with_a_film_and_a_repair_mends_what_the_index_says(
    room: Room,
    units: list[Unit],
    harm: Callable[[Room], None],
    told: list[tuple[str, str]],
    done: list[str | None],
) -> None:
    film = two_films(room, units)
    assert findings(room) == []
    harm(room)
    found = findings(room)
    assert [(finding.kind.value, finding.path) for finding in found] == told
    repairer = Repairer(
        *(room.index, room.reader, room.shelf.archive, [place_of(room)], lambda _: None), until_us=NOW + DAY_US
    )
    assert [repairer.repair(finding) for finding in found] == done
    states = {gone: SegmentState.MISSING, shortened: SegmentState.TRUNCATED, unpromised: SegmentState.OK}
    assert [one.row for one in room.reader.films()] == [replace(film.row, state=states[harm])]
    assert bool(findings(room)) == (harm is not unpromised), "a loss is told, never tidied away"


# ---- how it goes


def sweep(room: Room, days: float, keep: Keep) -> dict[str, int]:
    """So long after the recording; what went, by rule."""
    metrics = Metrics("1", room.clock.utc_us)
    clock = Later(round(days * DAY_US))
    sweeper = Sweeper(
        *(room.index, room.reader, [room.shelf], lambda _: keep, Ballast(room.index_path.parent), metrics, clock),
        exports=True,
    )
    sweeper.sweep(threading.Event())
    assert sweeper.stop(5)
    room.index.ping().result(5)
    return {rule: count for rule, count in metrics.retention_deleted.items() if count}


def test_a_film_goes_by_its_own_age_and_where_none_are_wanted_any_more_by_that_of_footage(
    room: Room, units: list[Unit]
) -> None:
    two_films(room, units)
    midnight = 1 - NOW % DAY_US / DAY_US
    keep = Keep(max_us=DAY_US, film_us=30 * DAY_US)
    files = len(room.segments())
    assert sweep(room, midnight + 29.9, keep) == {"max-days": files}
    assert room.segments() == []
    assert files_of(room) == NAMES
    assert sweep(room, midnight + 30.1, Keep(max_us=40 * DAY_US)) == {}
    assert sweep(room, midnight + 30.1, keep) == {"keep-days": 1}
    assert not (room.root / PATH).parent.exists()
    assert (room.reader.films(), room.reader.garbage()) == ([], [])


def test_a_film_of_a_camera_without_the_table_goes_by_max_days(room: Room, units: list[Unit]) -> None:
    two_films(room, units)
    files = len(room.segments()) + 1
    assert sweep(room, 31.5, Keep(max_us=30 * DAY_US)) == {"max-days": files}
    assert room.reader.films() == []


def test_where_room_is_short_a_film_goes_after_its_days_footage_and_is_not_made_again_of_what_clips_hold(
    room: Room, units: list[Unit]
) -> None:
    film = two_films(room, units)
    held, *others = room.segments()
    end_us = held.row.end_us
    steps = [OpenClip(1, "door", "m1", NOW, NOW, 0, end_us, None), CloseClip(1, end_us, "done")]
    room.index.put_clip_steps(held.row.camera_id, steps).result()
    for quota_bytes, went, films in (
        (held.row.size_bytes + film.row.size_bytes, len(others), [film]),
        (held.row.size_bytes, 1, []),
    ):
        assert sweep(room, 1.5, Keep(quota_bytes=quota_bytes * 10 // 9)) == {"quota-camera": went}
        assert room.segments() == [held]
        assert room.reader.films() == films
    run(room, Later(round(1.5 * DAY_US)), every_us=US)
    assert files_of(room) == [], "the hourly run would fill the disk with it again"


def test_the_picker_takes_the_first_of_each_stretch() -> None:
    picker = Picker(10)
    assert [at for at in (3, 5, 9, 10, 11, 25, 29, 30, 7) if picker.takes(at)] == [3, 10, 25, 30]


def test_names_of_films_are_read_back() -> None:
    day = day_of(NOW)
    assert parse_timelapse_name(Path(timelapse_path("gate", day)).name) == day
    assert parse_timelapse_name(f"{day + timedelta(days=1):%Y%m%d}-2.mp4") == day + timedelta(days=1)
    for name in ("20261301.mp4", "2026112.mp4", "20261101.mp4.part", "20261101-0.mp4"):
        assert parse_timelapse_name(name) is None

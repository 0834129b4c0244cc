"""A window over segments is one file with the very pictures, at their own times, also over gaps."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvr.media import boxes, label
from nvr.media.boxes import State
from nvr.media.captions import Line
from nvr.media.durable import Disk, DurableFile
from nvr.media.errors import NotDecodable
from nvr.media.frame import Unit
from nvr.media.stitch import Mark, Source, Stitched, window

Encode = Callable[..., list[Unit]]
Record = Callable[..., DurableFile]
Play = Callable[[Path], Any]

START = 1_790_000_000_000_000
LAST = 10**9
"""A tick behind every picture here."""


@pytest.fixture
def segments(encode: Encode, record: Record, tmp_path: Path) -> list[Path]:
    """Three segments of 40 pictures, 30 a second, an I-VOP every 10."""
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"segment{number}.mp4")
        record(paths[-1], encode(40, shade=number * 20))
    return paths


def bytes_of(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[sample.offset : sample.offset + sample.size] for sample in boxes.samples(path)]


def ticks_of(path: Path) -> list[int]:
    return [sample.ticks for sample in boxes.samples(path)]


def follow(paths: list[Path], gap_us: int = 0) -> list[Source]:
    step = 40 * 1_000_000 // 30 + gap_us
    return [Source(path, 0, LAST, START + number * step) for number, path in enumerate(paths)]


def test_segments_that_follow_each_other_become_one_without_a_seam(
    segments: list[Path], play: Play, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    (stitched,) = window(follow(segments), out)
    assert bytes_of(out) == [picture for path in segments for picture in bytes_of(path)]
    assert ticks_of(out) == [3000 * number for number in range(120)]
    assert (stitched.path, stitched.frames, stitched.duration_ticks) == (out, 120, 360_000)
    assert (stitched.start_us, stitched.end_us, stitched.gap_us) == (START, START + 4_000_000, 0)
    assert [(piece.first_frame, piece.frames) for piece in stitched.pieces] == [(0, 40)] * 3
    played = play(out)
    assert (played.frames, played.complaints) == (120, "")
    assert boxes.examine(out).state is State.CLOSED


def test_the_cut_begins_at_the_key_picture_before_and_ends_with_the_picture_shown(
    segments: list[Path], play: Play, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    sources = follow(segments)[:2]
    cut = [
        Source(sources[0].path, 25 * 3000, LAST, sources[0].start_us),
        Source(sources[1].path, 0, 12 * 3000 + 2999, sources[1].start_us),
    ]
    (stitched,) = window(cut, out)
    assert bytes_of(out) == bytes_of(segments[0])[20:] + bytes_of(segments[1])[:13]
    assert stitched.start_us == START + round(20 * 1_000_000 / 30)
    assert [(piece.first_frame, piece.frames) for piece in stitched.pieces] == [(20, 20), (0, 13)]
    played = play(out)
    assert (played.frames, played.complaints) == (33, "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(first=st.integers(-10, 130_000), length=st.integers(0, 130_000))
def test_any_window_holds_every_picture_shown_in_it(
    segments: list[Path], tmp_path: Path, first: int, length: int
) -> None:
    out = tmp_path / f"out{first}-{length}.mp4"
    out.unlink(missing_ok=True)
    written = window([Source(segments[0], first, first + length, START)], out)
    ticks = ticks_of(segments[0])
    if first + length < 0:
        assert written == []
        return
    shown_first = max((n for n in range(40) if ticks[n] <= first), default=0)
    shown_last = max(n for n in range(40) if ticks[n] <= first + length)
    (stitched,) = written
    (piece,) = stitched.pieces
    assert piece.first_frame == shown_first // 10 * 10
    assert piece.first_frame + piece.frames == shown_last + 1
    assert bytes_of(out) == bytes_of(segments[0])[piece.first_frame : shown_last + 1]


def test_a_gap_that_no_picture_can_stand_through_begins_another_file(segments: list[Path], tmp_path: Path) -> None:
    halves = window(follow(segments[:2], gap_us=14 * 3600 * 1_000_000), tmp_path / "out.mp4")
    assert [one.path.name for one in halves] == ["out.mp4", "out-2.mp4"]
    assert [bytes_of(one.path) for one in halves] == [bytes_of(path) for path in segments[:2]]


def test_over_a_gap_the_last_picture_stands_and_wall_time_is_kept(
    segments: list[Path], play: Play, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    (stitched,) = window(follow(segments, gap_us=7_000_000), out)
    pictures = boxes.samples(out)
    assert [pictures[0].ticks, pictures[40].ticks, pictures[80].ticks] == [0, 750_000, 1_500_000]
    assert pictures[39].duration == 750_000 - 39 * 3000
    assert stitched.gap_us == 14_000_000
    assert stitched.end_us - stitched.start_us == 18_000_000
    assert play(out).complaints == ""


def test_small_disagreement_of_the_clocks_makes_no_seam_but_is_never_let_grow(
    segments: list[Path], tmp_path: Path
) -> None:
    many = [segments[number % 3] for number in range(30)]
    for drift_us in (4_000, -4_000):
        out = tmp_path / f"out{drift_us}.mp4"
        (stitched,) = window(follow(many, gap_us=drift_us), out)
        pictures = boxes.samples(out)
        for number in range(30):
            wall_ticks = number * (1_333_333 + drift_us) * 9 // 100
            assert abs(pictures[40 * number].ticks - wall_ticks) <= 1501
        assert all(picture.duration > 0 for picture in pictures)
        assert stitched.frames == 1200


def test_after_a_clock_was_set_back_pictures_follow_at_once(segments: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    (stitched,) = window([Source(segments[0], 0, LAST, START), Source(segments[1], 0, LAST, START - 10**9)], out)
    assert ticks_of(out) == [3000 * number for number in range(80)]
    assert stitched.gap_us == 0


def test_another_layer_begins_another_file(
    encode: Encode, record: Record, segments: list[Path], play: Play, tmp_path: Path
) -> None:
    wide = tmp_path / "wide.mp4"
    record(wide, encode(40, width=96))
    fine = tmp_path / "fine.mp4"
    record(fine, encode(40), scale=180_000)
    out = tmp_path / "20261123T140322.123Z-door.mp4"
    written = window(follow([segments[0], segments[1], wide, fine, segments[2]]), out)
    assert [stitched.path.name for stitched in written] == [
        "20261123T140322.123Z-door.mp4",
        "20261123T140322.123Z-door-2.mp4",
        "20261123T140322.123Z-door-3.mp4",
        "20261123T140322.123Z-door-4.mp4",
    ]
    assert [stitched.frames for stitched in written] == [80, 40, 40, 40]
    assert [stitched.start_us for stitched in written] == [START + n * 1_333_333 for n in (0, 2, 3, 4)]
    assert written[2].time_base == Fraction(1, 180_000)
    for stitched in written:
        played = play(stitched.path)
        assert (played.frames, played.complaints) == (stitched.frames, "")


def test_a_name_being_written_keeps_its_ending(segments: list[Path], encode: Encode, record: Record) -> None:
    wide = segments[0].with_name("wide.mp4")
    record(wide, encode(20, width=96))
    written = window(follow([segments[0], wide]), segments[0].with_name("clip.mp4.part"))
    assert [stitched.path.name for stitched in written] == ["clip.mp4.part", "clip-2.mp4.part"]


def test_a_segment_still_being_written_gives_what_is_on_disk_of_it(
    encode: Encode, record: Record, segments: list[Path], play: Play, tmp_path: Path
) -> None:
    growing = tmp_path / "growing.mp4.part"
    record(growing, encode(48, interval=16), close=False)
    out = tmp_path / "out.mp4"
    (stitched,) = window(follow([segments[0], growing]), out)
    assert bytes_of(out) == bytes_of(segments[0]) + [unit.data for unit in encode(48, interval=16)][:32]
    assert stitched.frames == 72
    assert play(out).complaints == ""


def test_a_first_cut_without_the_layer_in_its_picture_still_decodes(
    encode: Encode, record: Record, play: Play, tmp_path: Path
) -> None:
    units = encode(30)
    bare = [
        Unit(unit.data[max(0, unit.data.find(b"\0\0\1\xb3")) :], unit.key, unit.vol, 0, 0, None, None, None)
        for unit in units
    ]
    assert len(bare[0].data) < len(units[0].data)
    record(tmp_path / "a.mp4", bare)
    out = tmp_path / "out.mp4"
    window([Source(tmp_path / "a.mp4", 45_000, LAST, START)], out)
    played = play(out)
    assert (played.frames, played.complaints) == (20, "")
    assert bytes_of(out)[0].endswith(bare[10].data)


def test_a_label_and_metadata_go_along(segments: list[Path], tmp_path: Path) -> None:
    def label_for(stitched: Stitched) -> label.Label:
        return label.Label(
            archive=UUID(int=7),
            camera="gate",
            run=1,
            seq=0,
            start_us=stitched.start_us,
            end_us=stitched.end_us,
            frames=stitched.frames,
            duration_ticks=stitched.duration_ticks,
            time_base=stitched.time_base,
            first_tick=0,
            zero_us=stitched.start_us,
            slope_ppb=0,
            clock=label.ClockSource.STREAM,
            synchronised=None,
            kind=label.Kind.CLIP,
            clip={"id": 12, "gap_seconds": stitched.gap_us / 1e6},
        )

    out = tmp_path / "out.mp4"
    (stitched,) = window(follow(segments, 500_000), out, metadata={"title": "door"}, label_for=label_for)
    found = label.read(out)
    assert found == label_for(stitched)
    assert boxes.metadata(out)["title"] == "door"
    assert boxes.examine(out).sealed


def test_progress_is_told(segments: list[Path], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    window(follow(segments), tmp_path / "out.mp4", progress=lambda done, total: told.append((done, total)))
    assert told == [(40, 120), (80, 120), (120, 120)]


def test_a_window_of_nothing_writes_nothing(segments: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert window([], out) == []
    assert window([Source(segments[0], 0, -1, START)], out) == []
    assert not out.exists()


def test_a_file_that_exists_is_not_overwritten(segments: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"evidence")
    with pytest.raises(FileExistsError):
        window(follow(segments), out)
    assert out.read_bytes() == b"evidence"


def test_a_source_that_ends_within_a_picture_is_named(segments: list[Path], tmp_path: Path) -> None:
    class Shrinking(Disk):
        """Cuts the source between reading its index and reading its pictures."""

        def open_exclusive(self, path: Path, mode: int = 0o640) -> int:
            with segments[0].open("r+b") as file:
                file.truncate(3000)
            return super().open_exclusive(path, mode)

    with pytest.raises(NotDecodable, match=r"segment0\.mp4 ends within a picture"):
        window(follow(segments[:1]), tmp_path / "out.mp4", disk=Shrinking())


def test_a_disk_that_fails_is_told_whichever_call_it_is(
    segments: list[Path], recording_disk: Callable[[], Any], tmp_path: Path
) -> None:
    reference = recording_disk()
    window(follow(segments), tmp_path / "whole.mp4", disk=reference)
    assert len(reference.calls) >= 5
    for fail_at in range(len(reference.calls)):
        disk = recording_disk()
        disk.fail_at = fail_at
        with pytest.raises(OSError, match=f"call {fail_at} fails"):
            window(follow(segments), tmp_path / f"{fail_at}.mp4", disk=disk)


def test_the_text_beside_the_pictures_goes_with_them_in_their_new_time(
    encode: Encode, record: Record, play: Play, tmp_path: Path
) -> None:
    units = encode(40)
    first, silent, last = tmp_path / "first.mp4", tmp_path / "silent.mp4", tmp_path / "last.mp4"
    record(first, units, texts={0: "a0", 12: "a12", 25: "a25"})
    record(silent, units)
    record(last, units, texts={0: "b0", 30: "b30"})
    gap_us = 500_000
    sources = follow([first, silent, last], gap_us)
    # From a key picture in the middle of what stands there, over a source without text, to the end.
    sources[0] = Source(first, 20 * 3000, LAST, START)
    (stitched,) = window(sources, tmp_path / "out.mp4")
    film = boxes.movie(stitched.path)
    assert joined(boxes.lines(stitched.path, film)) == [
        Line(0, 15_000, "a12"),
        Line(15_000, 45_000 + 45_000, "a25"),  # over the gap, as the picture does
        Line(270_000, 90_000, "b0"),
        Line(360_000, 30_000, "b30"),
    ]
    assert film.duration_ticks == 390_000
    assert play(stitched.path).complaints == ""


def test_without_any_text_there_is_no_track(segments: list[Path], tmp_path: Path) -> None:
    (stitched,) = window(follow(segments), tmp_path / "out.mp4")
    assert b"tx3g" not in stitched.path.read_bytes()


def joined(lines: list[Line]) -> list[Line]:
    """What goes on from one fragment to the next as one."""
    whole: list[Line] = []
    for line in lines:
        if whole and whole[-1].text == line.text and whole[-1].ticks + whole[-1].duration == line.ticks:
            before = whole.pop()
            whole.append(before._replace(duration=before.duration + line.duration))
        else:
            whole.append(line)
    return whole


def chapters(path: Path) -> list[tuple[str, int, int]]:
    """Title, start and end (ms) of each."""
    with av.open(str(path)) as film:
        return [
            (
                one["metadata"]["title"],
                round(one["start"] * one["time_base"] * 1000),
                round(one["end"] * one["time_base"] * 1000),
            )
            for one in film.chapters()
        ]


def test_marks_are_chapters_that_players_name(segments: list[Path], play: Play, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    marks = [Mark(START - 5, "before"), Mark(START + 1_500_000, "alarm"), Mark(START + 60_000_000, "too late")]
    (stitched,) = window(follow(segments), out, marks=marks, label_for=clip_label)
    assert chapters(out) == [("before", 0, 1500), ("alarm", 1500, 4000)]
    assert bytes_of(out) == [picture for path in segments for picture in bytes_of(path)]
    assert ticks_of(out) == [3000 * number for number in range(120)]
    assert boxes.examine(out).sealed
    assert play(out).complaints == ""
    assert stitched.duration_ticks == 360_000


def test_of_marks_that_came_before_a_film_the_last_names_its_beginning(segments: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    window(follow(segments), out, marks=[Mark(START - 9, "before"), Mark(START - 5, "alarm")])
    assert chapters(out) == [("alarm", 0, 4000)]


def clip_label(stitched: Stitched) -> label.Label:
    return label.Label(
        archive=UUID(int=1),
        camera="gate",
        run=1,
        seq=0,
        start_us=stitched.start_us,
        end_us=stitched.end_us,
        frames=stitched.frames,
        duration_ticks=stitched.duration_ticks,
        time_base=stitched.time_base,
        first_tick=0,
        zero_us=stitched.start_us,
        slope_ppb=0,
        clock=label.ClockSource.STREAM,
        synchronised=True,
        kind=label.Kind.CLIP,
    )

"""What the writer writes plays everywhere, holds the bytes as sent, and is never touched after the disk has failed."""

import gc
import itertools
import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from nvr.media import boxes
from nvr.media.boxes import State
from nvr.media.captions import Line, compose, tell
from nvr.media.durable import Disk, DurableFile
from nvr.media.errors import NotDecodable
from nvr.media.frame import Unit
from nvr.media.mp4 import Mp4File
from nvr.media.mp4_boxes import closing, moov, video_track

Encode = Callable[..., list[Unit]]
Record = Callable[..., DurableFile]
Play = Callable[[Path], Any]

FACTS = json.dumps({"archive": "c0ffee", "camera": "gate", "run": 1_790_000_000, "seq": 3, "start_us": 17})


def bytes_of(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[sample.offset : sample.offset + sample.size] for sample in boxes.samples(path)]


def asked(path: Path, entries: str, stream: str = "v") -> list[dict[str, Any]]:
    command = ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", entries, "-of", "json", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    answer = json.loads(done.stdout)
    return [*answer.get("packets", []), *answer.get("streams", []), *filter(None, [answer.get("format")])]


@pytest.mark.parametrize(
    ("fps", "interval", "frames"),
    [
        (Fraction(30), 10, 45),
        (Fraction(25), 10, 45),
        (Fraction(15), 10, 45),
        (Fraction(10), 10, 45),
        (Fraction(15, 2), 10, 45),
        (Fraction(1), 10, 45),
        (Fraction(30), 1, 45),
        (Fraction(30), 255, 300),
        (Fraction(1), 255, 300),
    ],
)
def test_a_closed_file_plays_without_complaint_and_lasts_as_long_as_its_pictures(
    encode: Encode, record: Record, play: Play, tmp_path: Path, fps: Fraction, interval: int, frames: int
) -> None:
    units = encode(frames, fps, interval)
    path = tmp_path / "a.mp4"
    record(path, units, fps)
    played = play(path)
    assert played.complaints == ""
    assert played.frames == frames
    assert bytes_of(path) == [unit.data for unit in units]
    assert [sample.key for sample in boxes.samples(path)] == [unit.key for unit in units]
    seconds = float(asked(path, "format=duration")[0]["duration"])
    assert abs(seconds - frames / fps) <= 1 / fps
    assert boxes.movie(path).duration_ticks == frames * 90_000 / fps


def test_every_time_is_kept_to_the_tick(encode: Encode, record: Record, tmp_path: Path) -> None:
    units = encode(40)
    ticks = [5_000_000_000]
    for number in range(1, 40):
        ticks.append(ticks[-1] + (1, 777, 3003, 90_000, 2_400_000)[number % 5])
    record(tmp_path / "a.mp4", units, ticks=ticks)
    own = boxes.samples(tmp_path / "a.mp4")
    assert [sample.ticks for sample in own] == [tick - ticks[0] for tick in ticks]
    assert all(a.ticks + a.duration == b.ticks for a, b in itertools.pairwise(own))
    assert own[-1].duration == 3000
    foreign = asked(tmp_path / "a.mp4", "packet=pts,dts,duration,pos,size,flags")
    assert [
        (int(packet["pos"]), int(packet["size"]), packet["pts"], packet["duration"], packet["flags"].startswith("K"))
        for packet in foreign
    ] == [tuple(sample) for sample in own]
    assert all(packet["pts"] == packet["dts"] for packet in foreign)


def test_a_growing_file_plays_up_to_its_last_whole_group_of_pictures(
    encode: Encode, record: Record, play: Play, tmp_path: Path
) -> None:
    units = encode(64, interval=15)
    path = tmp_path / "a.mp4.part"
    record(path, units, close=False)
    played = play(path)
    assert played.complaints == ""
    assert played.frames == 60
    assert bytes_of(path) == [unit.data for unit in units[:60]]
    assert boxes.examine(path) == boxes.Condition(State.OPEN, path.stat().st_size)


@pytest.mark.parametrize(("fps", "interval"), [(1, 255), (30, 1)])
def test_a_fragment_is_written_every_two_seconds_without_being_asked(
    encode: Encode, record: Record, tmp_path: Path, fps: int, interval: int
) -> None:
    path = tmp_path / "a.mp4.part"
    record(path, encode(7 * fps, fps, interval), fps, close=False, flush=False)
    assert len(boxes.samples(path)) == 6 * fps
    assert path.read_bytes().count(b"moof") == 3


def test_flushing_writes_all_but_the_newest_picture(encode: Encode, tmp_path: Path) -> None:
    units = encode(40, interval=6)
    path = tmp_path / "a.mp4"
    file = DurableFile.create(path, Disk())
    mp4 = Mp4File(file, units[0].vol, Fraction(1, 90_000), {})
    mp4.flush()
    for number, unit in enumerate(units):
        mp4.add(unit.data, number * 3000, 1, unit.key)
        if number == 0 or number % 8 > 4:  # I-VOPs and P-VOPs; one alone has nothing before it to be written
            mp4.flush()
            mp4.flush()
            assert file.size == 0 if number == 0 else bytes_of(path) == [unit.data for unit in units[:number]]
    mp4.close(40 * 3000)
    file.close()
    assert bytes_of(path) == [unit.data for unit in units]
    assert [s.key for s in boxes.samples(path)] == [unit.key for unit in units]
    assert {s.duration for s in boxes.samples(path)} == {3000}


@pytest.mark.parametrize("close", [True, False])
def test_a_file_says_what_it_is_also_when_it_is_never_closed(
    encode: Encode, record: Record, tmp_path: Path, close: bool
) -> None:
    given = {"title": "gate 2026-11-23", "comment": FACTS, "creation_time": "2026-11-23T14:03:22.123456Z"}
    record(tmp_path / "a.mp4", encode(25), close=close, metadata=given)
    found = boxes.metadata(tmp_path / "a.mp4")
    assert (found["title"], found["comment"]) == (given["title"], FACTS)
    assert found["creation_time"] == "2026-11-23T14:03:22Z"
    tags = asked(tmp_path / "a.mp4", "format_tags")[0]["tags"]
    assert json.loads(tags["comment"])["seq"] == 3


def test_a_first_picture_without_its_layer_gets_it(encode: Encode, record: Record, play: Play, tmp_path: Path) -> None:
    units = encode(20)
    at = units[0].data.find(b"\0\0\1\xb3")
    bare = Unit(units[0].data[at:], True, units[0].vol, 0, 0, None, None, None)
    behind = Unit(bare.data[:7] + units[0].vol.header + bare.data[7:], True, units[0].vol, 0, 0, None, None, None)
    for first in (bare, behind):
        path = tmp_path / f"{len(first.data)}.mp4"
        record(path, [first, *units[1:]])
        assert bytes_of(path)[0] == units[0].vol.header + first.data
        assert boxes.movie(path).vol == units[0].vol
        played = play(path)
        assert played.frames == 20
        complaints = [line.rpartition("] ")[2] for line in played.complaints.splitlines()]
        assert set(complaints) <= ({"Ignoring multiple VOL headers"} if first is behind else set())


def test_a_text_track_keeps_its_lines_and_costs_no_picture(encode: Encode, play: Play, tmp_path: Path) -> None:
    units = encode(45, interval=15)
    file = DurableFile.create(tmp_path / "a.mp4", Disk())
    mp4 = Mp4File(file, units[0].vol, Fraction(1, 90_000), {}, text=True)
    for number, unit in enumerate(units):
        mp4.add(unit.data, 600 + number * 3000, 3000, unit.key)
        if number == 32:
            (tmp_path / "torn.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
        if number in (10, 11, 31):
            mp4.add_text(f"pan {number}", 600 + number * 3000)
        if unit.key:
            mp4.flush()
    mp4.close()
    file.close()
    assert play(tmp_path / "a.mp4").complaints == ""
    assert bytes_of(tmp_path / "a.mp4") == [unit.data for unit in units]
    assert bytes_of(tmp_path / "torn.mp4") == [unit.data for unit in units[:30]]
    # What stands when a fragment ends is in that fragment, and goes on in the next.
    standing = [
        Line(30_000, 3_000, "pan 10"),
        Line(33_000, 12_000, "pan 11"),
        Line(45_000, 45_000, "pan 11"),
        Line(90_000, 3_000, "pan 11"),
        Line(93_000, 42_000, "pan 31"),
    ]
    assert lines_of(tmp_path / "a.mp4") == standing
    assert lines_of(tmp_path / "torn.mp4") == standing[:3]
    foreign = asked(tmp_path / "a.mp4", "packet=pts,duration,size", "s")
    said = [(packet["pts"], packet["duration"]) for packet in foreign if int(packet["size"]) > 2]
    assert said == [(line.ticks, line.duration) for line in standing]
    assert asked(tmp_path / "a.mp4", "format=duration")[0]["duration"] == "1.500000"


@pytest.mark.parametrize("interval", [1, 7, 255])
def test_a_file_torn_anywhere_has_the_text_of_each_of_its_pictures(
    encode: Encode, tmp_path: Path, interval: int
) -> None:
    units = encode(200, interval=interval)
    path = tmp_path / "a.mp4"
    file = DurableFile.create(path, Disk())
    mp4 = Mp4File(file, units[0].vol, Fraction(1, 90_000), {}, text=True)
    texts, torn, size = [], 0, 0
    for number, unit in enumerate(units):
        # At rest, a move over the end of a fragment, one long after the last, and one that ends with it.
        moves = 36 <= number < 41 or number in (75, 88, 89) or 100 < number < 160
        mp4.add(unit.data, number * 3000, 3000, unit.key)
        if number == 0 or moves:
            mp4.add_text(f"{number}", number * 3000)
        texts.append(str(number) if number == 0 or moves else texts[-1])
        if number % 13 == 12:
            mp4.flush()
        if file.size != size and boxes.examine(path).state is State.OPEN:
            size, torn = file.size, len(boxes.samples(path))
            assert number == torn, "a fragment was held back"
            assert texts_beside(path) == texts[:torn]
    assert torn > 150
    mp4.close()
    file.close()
    assert texts_beside(path) == texts


def test_a_closed_file_gives_players_subtitles_with_the_right_times(
    encode: Encode, record: Record, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    texts = {0: compose((9_215, 180, 1_200), tell(3, None), 1_795_442_602_123_456), 20: compose((9_216, 180, 1_200))}
    record(path, encode(60, interval=15), texts=texts)
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-map", "0:s", "-f", "srt", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    shown = [line for line in done.stdout.splitlines() if line and not line.isdigit()]
    assert shown == [
        "00:00:00,000 --> 00:00:00,500",
        texts[0],
        "00:00:00,500 --> 00:00:00,667",
        texts[0],
        "00:00:00,667 --> 00:00:01,000",
        texts[20],
        "00:00:01,000 --> 00:00:01,500",
        texts[20],
        "00:00:01,500 --> 00:00:02,000",
        texts[20],
    ]
    assert asked(path, "stream=codec_name,codec_tag_string,codec_type", "s") == [
        {"codec_name": "mov_text", "codec_type": "subtitle", "codec_tag_string": "tx3g"}
    ]


def lines_of(path: Path) -> list[Line]:
    return boxes.lines(path, boxes.movie(path))


def texts_beside(path: Path) -> list[str | None]:
    """The text that stands at each picture."""
    lines = lines_of(path)
    return [
        next((line.text for line in lines if line.ticks <= picture.ticks < line.ticks + line.duration), None)
        for picture in boxes.samples(path)
    ]


def test_text_without_a_track_or_before_any_picture_is_our_own_mistake(encode: Encode, tmp_path: Path) -> None:
    units = encode(10)
    for text in (True, False):
        file = DurableFile.create(tmp_path / str(text), Disk())
        mp4 = Mp4File(file, units[0].vol, Fraction(1, 90_000), {}, text=text)
        with pytest.raises(ValueError, match="text"):
            mp4.add_text("x", 0)
        mp4.abandon()
        file.close()


def test_a_picture_that_stands_longer_than_a_file_can_say_is_refused(encode: Encode, tmp_path: Path) -> None:
    units = encode(10)
    file = DurableFile.create(tmp_path / "a", Disk())
    mp4 = Mp4File(file, units[0].vol, Fraction(1, 90_000), {})
    mp4.add(units[0].data, 0, 3000, True)
    with pytest.raises(NotDecodable, match="stands for"):
        mp4.add(units[1].data, 1 << 32, 3000, False)
    mp4.abandon()
    file.close()


def test_chunks_past_four_gigabytes_are_told_in_wide_numbers(encode: Encode) -> None:
    track = video_track(1, encode(10)[0].vol)
    track.note([3000] * 3, [9] * 3, 48)
    near = moov([track], Fraction(1, 90_000), {}, grows=False)
    track.note([3000] * 3, [9] * 3, 5 << 30)
    far = moov([track], Fraction(1, 90_000), {}, grows=False)
    assert b"stco" in near
    assert b"co64" not in near
    assert pack(">I4sIIQQ", 32, b"co64", 0, 2, 48, 5 << 30) in far
    assert b"stco" not in far
    assert closing(5 << 30) == (32, pack(">I4sQ", 1, b"mdat", (5 << 30) - 32))


def test_what_cannot_begin_a_file_is_refused(encode: Encode, tmp_path: Path) -> None:
    units = encode(10)
    file = DurableFile.create(tmp_path / "a", Disk())
    with pytest.raises(ValueError, match="time base"):
        Mp4File(file, units[0].vol, Fraction(2, 90_001), {})
    mp4 = Mp4File(file, units[0].vol, Fraction(1, 90_000), {})
    with pytest.raises(NotDecodable, match="I-VOP"):
        mp4.add(units[1].data, 0, 3000, False)
    mp4.add(units[0].data, 0, 3000, True)
    with pytest.raises(NotDecodable, match="does not rise"):
        mp4.add(units[1].data, 0, 3000, False)
    mp4.abandon()
    file.close()


def test_whichever_call_to_the_disk_fails_the_file_keeps_what_was_whole_and_is_left_alone(
    encode: Encode, record: Record, recording_disk: Callable[[], Any], tmp_path: Path, capfd: Any
) -> None:
    units = encode(45, interval=15, width=320, height=240)
    reference = recording_disk()
    record(tmp_path / "whole.mp4", units, disk=reference, sync_every=20)
    assert reference.calls.count("write") == 5
    healthy = DurableFile.create(tmp_path / "healthy.mp4", Disk())
    neighbour = Mp4File(healthy, units[0].vol, Fraction(1, 90_000), {})
    kept_before = 0
    for fail_at in range(len(reference.calls)):
        disk = recording_disk()
        disk.fail_at = fail_at
        path = tmp_path / f"{fail_at}.mp4.part"
        with pytest.raises(OSError, match=f"call {fail_at} fails"):
            record(path, units, disk=disk, sync_every=20)
        neighbour.add(units[0].data, fail_at * 3000, 3000, True)  # same thread: the trouble stays with its own file
        gc.collect()
        assert len(disk.calls) == fail_at + 1, "nothing is tried after the first failure"
        found = boxes.examine(path)
        assert found.mend is None or found.state is State.HALF_CLOSED
        kept = len(boxes.samples(path)) if found.state is not State.EMPTY else 0
        assert kept >= kept_before
        kept_before = kept
    neighbour.close()
    healthy.close()
    assert kept_before == 45
    assert len(boxes.samples(tmp_path / "healthy.mp4")) == len(reference.calls)
    assert capfd.readouterr() == ("", "")


def test_short_writes_leave_no_trace(
    encode: Encode, record: Record, recording_disk: Callable[[], Any], tmp_path: Path
) -> None:
    units = encode(45, interval=15)
    reference = recording_disk()
    record(tmp_path / "whole.mp4", units, disk=reference)
    for short_at, call in enumerate(reference.calls):
        if call == "write":
            disk = recording_disk()
            disk.short_at = short_at
            record(tmp_path / f"{short_at}.mp4", units, disk=disk)
            assert (tmp_path / f"{short_at}.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_a_file_let_go_is_not_closed_behind_our_back(encode: Encode, tmp_path: Path) -> None:
    units = encode(25)
    file = DurableFile.create(tmp_path / "a", Disk())
    mp4 = Mp4File(file, units[0].vol, Fraction(1, 90_000), {})
    for number, unit in enumerate(units):
        mp4.add(unit.data, number * 3000, 3000, unit.key)
    mp4.flush()
    size = file.size
    mp4.abandon()
    mp4.abandon()
    del mp4
    gc.collect()
    assert file.size == size == (tmp_path / "a").stat().st_size
    assert boxes.examine(tmp_path / "a").state is State.OPEN
    file.close()


def test_the_front_is_rewritten_only_when_all_behind_it_is_on_disk(
    encode: Encode, record: Record, recording_disk: Callable[[], Any], tmp_path: Path
) -> None:
    disk = recording_disk()
    record(tmp_path / "a.mp4", encode(45), disk=disk)
    *_, moov, front = disk.writes
    assert front.offset == 40
    assert front.synced_bytes == moov.offset + len(moov.data)

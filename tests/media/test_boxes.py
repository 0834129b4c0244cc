"""Wherever a file is torn, what was whole of it is found, and what is found plays."""

import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvr.media import boxes, label
from nvr.media.boxes import Condition, State
from nvr.media.durable import DurableFile
from nvr.media.errors import NotDecodable
from nvr.media.frame import Unit

Encode = Callable[..., list[Unit]]
Record = Callable[..., DurableFile]
Play = Callable[[Path], Any]

LABEL = label.pack(
    label.Label(
        archive=UUID(int=1),
        camera="gate",
        run=1,
        seq=1,
        start_us=0,
        end_us=1,
        frames=40,
        duration_ticks=1,
        time_base=Fraction(1, 90_000),
        first_tick=0,
        zero_us=0,
        slope_ppb=0,
        clock=label.ClockSource.STREAM,
        synchronised=None,
    )
)


class Life:
    """A file's whole life: the image after each write, and what should be whole of it."""

    def __init__(self, writes: list[Any], units: list[Unit]) -> None:
        self.writes = writes
        self.units = units
        self.images = [b""]
        for write in writes:
            self.images.append(self.torn(len(self.images) - 1, len(write.data)))
        self.closed = self.images[-1]
        self.growing = self.images[-3]  # before the moov of everything and the front
        self.ends = [end for kind, end in top_boxes(self.growing, 48) if kind == b"mdat"]
        """Where the fragments end, in the order of writing."""

    def cuts(self, image: bytes) -> list[int]:
        """Lengths to cut an image to, longest first: every byte around the end of a box, every 13th elsewhere."""
        edges = {0, 32, 40, 48, *(end for _, end in top_boxes(image, 48)), *(end for _, end in top_boxes(image, 0))}
        near = {edge + n for edge in edges for n in range(-20, 100)}
        return sorted({n for n in near | {*range(0, len(image), 13)} if 0 <= n < len(image)}, reverse=True)

    def torn(self, number: int, length: int) -> bytes:
        """The file when the writes before `number` and the first bytes of that one reached the disk."""
        image = bytearray(self.images[number])
        write = self.writes[number]
        image[write.offset : write.offset + length] = write.data[:length]
        return bytes(image)

    def end_within(self, length: int) -> int:
        """The end of the last fragment that is whole within the first `length` bytes, or 0."""
        return max((end for end in self.ends if end <= length), default=0)


def top_boxes(data: bytes, at: int) -> list[tuple[bytes, int]]:
    found = []
    while at + 8 <= len(data):
        at, kind = at + int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        found.append((kind, at))
    return found


@pytest.fixture(scope="session")
def life(
    encode: Encode, record: Record, recording_disk: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory
) -> Life:
    disk = recording_disk()
    units = encode(70, interval=16, width=32, height=32)
    record(tmp_path_factory.mktemp("life") / "a.mp4", units, disk=disk, sync_every=20, metadata={"comment": "{}"})
    made = Life(disk.writes, units)
    assert len(made.ends) == 5
    return made


def mended(image: bytes, condition: Condition) -> bytes:
    """What recovery makes of a torn file."""
    made = bytearray(image)
    if condition.mend is not None:
        offset, data = condition.mend
        assert offset + len(data) <= 48
        made[offset : offset + len(data)] = data
    return bytes(made[: condition.good_bytes])


def examined(path: Path, image: bytes) -> Condition:
    path.write_bytes(image)
    return boxes.examine(path)


def pictures(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[sample.offset : sample.offset + sample.size] for sample in boxes.samples(path)]


def check_good(path: Path, life: Life, image: bytes, condition: Condition) -> int:
    """Mends a file and compares it with what was written; returns how many pictures it holds."""
    good = mended(image, condition)
    again = examined(path, good)
    assert again.good_bytes == len(good)
    assert again.mend is None
    assert again.state in (State.OPEN, State.CLOSED)
    kept = pictures(path)
    assert kept == [unit.data for unit in life.units[: len(kept)]]
    ticks = [sample.ticks for sample in boxes.samples(path)]
    assert ticks == [3000 * number for number in range(len(ticks))]
    return len(kept)


def test_a_growing_file_cut_anywhere_keeps_every_whole_fragment(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "torn.mp4.part"
    image = life.growing
    path.write_bytes(image)
    for length in life.cuts(image):
        with path.open("r+b") as file:
            file.truncate(length)
        end = life.end_within(length)
        assert boxes.examine(path) == Condition(State.OPEN if end else State.EMPTY, end), length


def test_a_closed_file_cut_anywhere_is_mended_to_its_last_whole_fragment(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "torn.mp4.part"
    image = life.closed
    assert examined(path, image) == Condition(State.CLOSED, len(image))
    for length in life.cuts(image):
        with path.open("r+b") as file:
            file.truncate(length)
        condition = boxes.examine(path)
        end = life.end_within(length)
        assert (condition.state, condition.good_bytes) == (State.OPEN if end else State.EMPTY, end), length
        if end:
            assert condition.mend == (32, struct.pack(">I4sI4s", 8, b"free", 8, b"free"))


def test_every_state_in_which_a_crash_can_leave_a_file_plays(life: Life, play: Play, tmp_path: Path) -> None:
    path = tmp_path / "torn.mp4.part"
    seen: dict[bytes, int] = {}
    kept_before = 0
    for number, write in enumerate(life.writes):
        size = len(write.data)
        for length in sorted({*range(min(size, 17)), size // 2, *range(max(0, size - 9), size + 1)}):
            image = life.torn(number, length)
            condition = examined(path, image)
            if condition.state is State.EMPTY:
                assert life.end_within(len(image)) == 0
                continue
            good = mended(image, condition)
            if good not in seen:
                seen[good] = check_good(path, life, image, condition)
                assert condition.good_bytes >= life.end_within(len(image))
            assert seen[good] >= kept_before, "what was whole before a write is whole in the middle of it"
            kept_before = seen[good]
    assert sorted(seen.values()) == [16, 32, 48, 64, 70, 70]
    for good, kept in seen.items():
        path.write_bytes(good)
        played = play(path)
        assert (played.frames, played.complaints) == (kept, "")


def test_a_front_rewritten_before_the_tail_reached_the_disk_is_put_back(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "torn.mp4.part"
    front = life.writes[-1]
    assert (front.offset, len(front.data)) == (40, 8)
    for length in (*life.ends, life.ends[-1] - 1, life.ends[-1] + 1, len(life.closed) - 1):
        for rewritten in range(1, 9):
            image = bytearray(life.growing[: front.offset] + life.closed[front.offset :][:length])[:length]
            image[40:48] = front.data[:rewritten] + life.growing[40 + rewritten : 48]
            condition = examined(path, bytes(image))
            assert (condition.state, condition.good_bytes) == (State.OPEN, life.end_within(length))
            assert mended(bytes(image), condition) == life.growing[: life.end_within(length)]


def test_a_whole_moov_under_an_old_front_needs_only_the_front(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "half.mp4.part"
    for rewritten in range(8):
        image = life.torn(len(life.writes) - 1, rewritten)
        condition = examined(path, image)
        assert condition.state is State.HALF_CLOSED
        assert mended(image, condition) == life.closed
        assert pictures(path) == [unit.data for unit in life.units]


def test_holes_of_zeros_behind_the_last_sync_are_cut_off(life: Life, tmp_path: Path) -> None:
    """A power cut may keep a file's length and lose its blocks."""
    path = tmp_path / "holes.mp4.part"
    for image in (life.growing, life.images[-2]):
        for end in (0, *life.ends):
            for hole in (end, end + 8, end + 60):
                holed = image[:hole] + bytes(max(0, len(image) - hole))
                condition = examined(path, holed)
                assert condition.good_bytes == life.end_within(hole)
        for start in range(life.ends[0], life.ends[3], 97):
            holed = image[:start] + bytes(300) + image[start + 300 :]
            condition = examined(path, holed)
            assert life.end_within(start) <= condition.good_bytes
            if condition.state is State.OPEN:
                good = mended(holed, condition)
                path.write_bytes(good)
                assert all(picture[:64].strip(b"\0") for picture in pictures(path))


def test_a_moov_of_everything_with_a_hole_is_not_believed(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "holes.mp4.part"
    moov = life.writes[-2]
    for image in (life.images[-2], life.closed):
        for start in range(moov.offset + 120, moov.offset + 700, 40):
            holed = image[:start] + bytes(200) + image[start + 200 :]
            assert len(holed) == len(image)
            condition = examined(path, holed)
            if condition.state is State.OPEN:
                assert check_good(path, life, holed, condition) == 70
            else:
                assert pictures(path) == [unit.data for unit in life.units]


def test_a_label_at_the_end_is_seen_and_one_cut_short_is_not(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    for image, state in ((life.closed, State.CLOSED), (life.growing, State.OPEN)):
        condition = examined(path, image + LABEL)
        assert condition == Condition(state, len(image), None, len(LABEL))
        assert condition.sealed == (state is State.CLOSED)
        assert label.read(path) is not None
        assert pictures(path) == [unit.data for unit in life.units]
        for length in range(len(LABEL)):
            assert examined(path, image + LABEL[:length]) == Condition(state, len(image))
        assert examined(path, image + LABEL + b"x") == Condition(state, len(image))


def test_a_label_costs_a_player_nothing(life: Life, play: Play, tmp_path: Path) -> None:
    for number, image in enumerate((life.closed, life.growing)):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(image + LABEL)
        played = play(path)
        assert (played.frames, played.complaints) == (70, "")


def test_a_growing_files_whole_bytes_grow_with_its_fragments(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4.part"
    whole = []
    for image in life.images[:-2]:
        path.write_bytes(image)
        whole.append(boxes.whole_bytes(path))
    assert sorted(set(whole)) == [0, *life.ends]
    assert whole == sorted(whole)


def test_a_file_past_four_gigabytes_is_closed_and_mended_with_a_long_front(life: Life, tmp_path: Path) -> None:
    """Made by hand: the muxer writes sixteen bytes from the first free on where eight do not suffice."""
    path = tmp_path / "large.mp4.part"
    moov_at = life.writes[-2].offset
    hole = 5 << 30
    with path.open("wb") as file:
        file.write(life.growing)
        file.write(struct.pack(">I4sQ", 1, b"free", hole))  # a sparse box stands for gigabytes of fragments
        file.seek(moov_at + hole)
        file.write(life.closed[moov_at:])
    condition = boxes.examine(path)
    assert condition.state is State.HALF_CLOSED
    assert condition.mend == (32, struct.pack(">I4sQ", 1, b"mdat", moov_at + hole - 32))
    with path.open("r+b") as file:
        file.seek(32)
        file.write(condition.mend[1])
    assert boxes.examine(path) == Condition(State.CLOSED, hole + len(life.closed))
    assert len(boxes.samples(path)) == 70


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 1000, b"not an mp4 at all" * 10, b"\0\0\0\x08ftyp"])
def test_what_is_no_mp4_has_nothing_whole(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "none"
    assert examined(path, data) == Condition(State.EMPTY, 0)
    with pytest.raises(NotDecodable):
        boxes.movie(path)
    with pytest.raises(NotDecodable):
        boxes.metadata(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data())
def test_damage_anywhere_is_refused_or_read_but_never_a_crash(life: Life, tmp_path: Path, data: st.DataObject) -> None:
    image = bytearray((life.closed, life.growing, life.images[-2])[data.draw(st.integers(0, 2))])
    moov_at = life.writes[-2].offset
    places = st.integers(0, 1200) | st.integers(moov_at, moov_at + 1200) | st.integers(0, len(image))
    words = st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0"]) | st.binary(min_size=4, max_size=4)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(places) % (len(image) - 4)
        image[at : at + 4] = data.draw(words)
    path = tmp_path / "damaged.mp4"
    condition = examined(path, bytes(image))
    assert 0 <= condition.good_bytes <= len(image)
    for question in (boxes.movie, boxes.metadata):
        try:
            question(path)
        except NotDecodable:
            continue


@pytest.mark.parametrize(
    "flags",
    ["+faststart", "+frag_keyframe+empty_moov", "+frag_keyframe+empty_moov+default_base_moof", "+frag_every_frame"],
)
def test_files_of_another_muxer_are_read_as_ffprobe_reads_them(
    encode: Encode, play: Play, tmp_path: Path, flags: str
) -> None:
    stream = tmp_path / "a.m4v"
    stream.write_bytes(b"".join(unit.data for unit in encode(40)))
    path = tmp_path / "a.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "m4v", "-i", stream, "-c", "copy", "-movflags", flags, path]
    subprocess.run(command, check=True, timeout=30)
    command = ["ffprobe", "-v", "error", "-show_entries", "packet=pts,pos,size,flags", "-of", "csv=p=0", path]
    lines = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True).stdout.split()
    told = [
        (int(pts), int(size), int(pos), flag[0] == "K") for pts, size, pos, flag in (x.split(",")[:4] for x in lines)
    ]
    found = boxes.samples(path)
    assert [(sample.ticks, sample.size, sample.offset, sample.key) for sample in found] == told
    assert len(found) == 40
    assert boxes.examine(path) == Condition(State.CLOSED, path.stat().st_size)

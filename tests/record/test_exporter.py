"""Clips as files: the very pictures of their window, from the right I-VOP on, whatever happens on the way."""

import errno
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from nvr.clock import HostClock
from nvr.media import boxes, label
from nvr.media.frame import Frame, Unit
from nvr.media.positions import unpack_positions
from nvr.record.clip_file import TROUBLE, ClipFile
from nvr.record.clips import Call, ClipDesk
from nvr.record.exporter import Exporter
from nvr.record.shelf import Shelf, Shelves
from nvr.store import recovery
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.rows import Clip, ClipExport, ClipStep, CloseClip, OpenClip
from nvr.store.volumes import Volume
from nvr.units import US, MonoMicros
from tests.record.conftest import Room, frames_of
from tests.store.house import NOW, Killed


class MovableClock(HostClock):
    """The host's clocks, moved ahead by hand."""

    def __init__(self) -> None:
        self.ahead_us = 0

    def mono_us(self) -> MonoMicros:
        return MonoMicros(super().mono_us() + self.ahead_us)


class Desk:
    """A recorder with a desk before it: what is recorded becomes clips as it does in a daemon."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.desk = ClipDesk(600 * US, 60 * US, room.index.next_clip)
        self.clock = MovableClock()
        room.recorder.on_kept_until = self.desk.kept_until
        self.exporter: Exporter | None = None

    def record(self, frames: list[Frame], alarms: dict[int, Call] | None = None) -> None:
        """Keeps the frames; before the n-th an alarm, where there is one."""
        for number, frame in enumerate(frames):
            if alarms and number in alarms:
                self.tell(self.desk.trigger(alarms[number], alarms[number].at_us))
            assert self.room.recorder.take(frame)
            if frame.key:
                self.tell(self.desk.on_key_frame(frame.utc_us))
            elif frame.utc_us >= self.desk.close_due_us:
                self.tell(self.desk.on_frame(frame.utc_us))
            self.room.turn()

    def tell(self, steps: list[ClipStep]) -> None:
        self.room.index.put_clip_steps(self.room.recorder.camera.id, steps)

    def lose(self) -> None:
        """The link ends: everything recorded is sealed and entered."""
        self.room.recorder.lost("camera-unreachable")
        self.room.settle()

    def clip(self, number: int = 1) -> Clip:
        clip = self.room.reader.clip(number)
        assert clip is not None
        return clip

    def attempt(self, number: int = 1, *, patient: bool = True) -> ClipExport:
        """One attempt at a clip's file, here and now."""
        shelves = {self.room.shelf.name: self.room.shelf}
        return ClipFile(self.clip(number), self.room.reader, shelves, lambda: None, patient=patient).make()

    def start(self) -> Exporter:
        self.exporter = Exporter(self.room.index, self.room.reader, Shelves([self.room.shelf]), self.clock)
        return self.exporter

    def exported(self, number: int = 1) -> Clip:
        """The clip once its file is promised."""
        self.room.index.ping().result(5)
        self.wait_for(lambda: self.clip(number).exported_at_us is not None)
        return self.clip(number)

    def wait_for(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not done():
            assert time.monotonic() < deadline, "it did not come about"
            if self.exporter is not None:
                self.exporter.look({})
            time.sleep(0.005)

    def file_of(self, clip: Clip) -> Path:
        assert clip.path is not None
        return self.room.root / clip.path

    def files(self) -> list[str]:
        """Everything under the camera's clips."""
        return sorted(path.name for path in (self.room.root / "gate" / "clips").rglob("*") if path.is_file())


@pytest.fixture
def desk(room: Room) -> Iterator[Desk]:
    made = Desk(room)
    yield made
    if made.exporter is not None:
        assert made.exporter.stop(5)


def call(at_us: int, pre_s: float = 1, post_s: float = 2, rule: str = "door") -> Call:
    return Call(rule, "m1", at_us, round(pre_s * US), round(post_s * US))


def pictures(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[sample.offset : sample.offset + sample.size] for sample in boxes.samples(path)]


def data_of(frames: list[Frame]) -> list[bytes]:
    return [frame.data for frame in frames]


def complaints(path: Path) -> str:
    """What Debian's ffmpeg, which is not the one in PyAV, has to say against a file."""
    command = ["ffmpeg", "-nostdin", "-v", "warning", "-i", f"file:{path}", "-map", "0:v", "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stderr.strip()


@pytest.fixture
def alarmed(desk: Desk, units: list[Unit]) -> list[Frame]:
    """Six seconds in segments of two, an alarm at 2.9 s: the clip is from the I-VOP at 1.5 s until 4.9 s."""
    frames = frames_of(units[:180])
    desk.record(frames, {87: call(frames[87].utc_us)})
    desk.lose()
    return frames


# ---- what is in a file


def test_a_clip_is_the_very_pictures_from_its_i_vop_to_its_end_over_segments(desk: Desk, alarmed: list[Frame]) -> None:
    desk.start()
    clip = desk.exported()
    assert (clip.start_us, clip.end_us) == (alarmed[45].utc_us, alarmed[147].utc_us)
    assert len(desk.room.reader.members_of(1)) == 3
    path = desk.file_of(clip)
    assert clip.path == "gate/clips/2026/11/20261123T140323Z-door-1.mp4"
    assert pictures(path) == data_of(alarmed[45:147])
    assert [sample.ticks for sample in boxes.samples(path)] == [3000 * number for number in range(102)]
    assert (clip.size_bytes, clip.files, clip.gap_us, clip.volume) == (path.stat().st_size, 1, 0, "main")
    assert boxes.examine(path).sealed
    assert complaints(path) == ""
    assert desk.files() == [path.name]


def test_its_label_its_chapters_and_its_title_say_what_it_is(desk: Desk, alarmed: list[Frame]) -> None:
    desk.start()
    path = desk.file_of(desk.exported())
    said = label.read(path)
    assert said is not None
    assert (said.kind, said.camera, said.frames) == (label.Kind.CLIP, "gate", 102)
    assert (said.start_us, abs(said.end_us - alarmed[147].utc_us) <= 1) == (alarmed[45].utc_us, True)
    assert said.clip is not None
    assert {name: said.clip[name] for name in ("id", "rule", "trigger", "alarm_at_us", "continues", "gap_us")} == {
        "id": 1,
        "rule": "door",
        "trigger": "m1",
        "alarm_at_us": alarmed[87].utc_us,
        "continues": None,
        "gap_us": 0,
    }
    assert said.positions is not None
    assert unpack_positions(said.positions, 102) == [(number, 500, 0) for number in range(45, 147)]
    with av.open(str(path)) as film:
        chapters = [
            (one["metadata"]["title"], round(one["start"] * one["time_base"] * 1000)) for one in film.chapters()
        ]
        title = film.metadata["title"]
    assert chapters == [("before the alarm", 0), ("alarm: door (m1)", 1400)]
    assert title == "gate door 2026-11-23T14:03:25.023456Z"


def test_what_goes_on_from_another_clip_joins_it_without_losing_or_doubling_a_picture(
    desk: Desk, units: list[Unit]
) -> None:
    desk.desk = ClipDesk(2 * US, 60 * US, desk.room.index.next_clip)
    frames = frames_of(units[:180])
    desk.record(frames, {16: call(frames[16].utc_us, pre_s=0, post_s=3)})
    desk.lose()
    desk.start()
    clips = [desk.exported(number) for number in (1, 2)]
    assert [clip.close_reason for clip in clips] == ["too-long", "done"]
    assert clips[1].continues == 1
    assert pictures(desk.file_of(clips[0])) + pictures(desk.file_of(clips[1])) == data_of(frames[15:106])


def test_a_clip_that_is_one_whole_segment_is_a_second_name_of_it(desk: Desk, units: list[Unit]) -> None:
    frames = frames_of(units[:60])
    desk.record(frames, {0: call(frames[0].utc_us, pre_s=0, post_s=60)})
    desk.lose()
    desk.tell(desk.desk.cut(frames[-1].utc_us + US, "record-off"))
    desk.start()
    clip = desk.exported()
    (segment,) = desk.room.segments()
    assert desk.file_of(clip).samefile(desk.room.root / segment.path)
    assert pictures(desk.file_of(clip)) == data_of(frames)
    # Without its segment the clip's file stays what it is.
    (garbage,) = desk.room.index.condemn([segment.id], NOW).result().garbage
    (desk.room.root / garbage.path).unlink()
    assert pictures(desk.file_of(clip)) == data_of(frames)


def test_over_a_gap_wall_time_is_kept_and_the_gap_is_told(desk: Desk, units: list[Unit]) -> None:
    desk.record(frames_of(units[:60]), {31: call(NOW + 31 * US // 30, pre_s=0, post_s=7.5)})
    desk.lose()
    after = frames_of(units[60:180], first=150, new_run="connected")
    desk.record(after)
    desk.lose()
    desk.start()
    clip = desk.exported()
    path = desk.file_of(clip)
    assert clip.gap_us is not None
    assert 2.9 * US < clip.gap_us < 3.1 * US
    ticks = [sample.ticks for sample in boxes.samples(path)]
    assert ticks[30] - ticks[29] == pytest.approx(3000 * 91, abs=3)
    assert pictures(path) == [unit.data for unit in units[30:166]]
    assert complaints(path) == ""


def test_a_picture_of_another_size_makes_a_second_file_and_both_are_promised(desk: Desk, units: list[Unit]) -> None:
    frames = frames_of(units[:60])
    larger = _larger(units[60:120])
    desk.record(frames, {31: call(frames[31].utc_us, pre_s=0)})
    desk.record(frames_of(larger, first=60, new_run="new-vol"))
    desk.lose()
    desk.start()
    clip = desk.exported()
    assert clip.files == 2
    assert desk.files() == ["20261123T140323Z-door-1-2.mp4", "20261123T140323Z-door-1.mp4"]
    assert pictures(desk.file_of(clip)) == data_of(frames[30:])
    second = desk.file_of(clip).with_name("20261123T140323Z-door-1-2.mp4")
    assert pictures(second) == [unit.data for unit in larger[:31]]
    assert clip.size_bytes == sum(path.stat().st_size for path in (desk.file_of(clip), second))
    assert complaints(second) == ""


def _larger(like: list[Unit]) -> list[Unit]:
    """As many units of a larger picture, beginning with an I-VOP."""
    from fractions import Fraction

    from nvr.media.splitter import UnitSplitter

    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 96, 64, "yuv420p", Fraction(1, 30)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = 15, 0, 1
    encoder.options = {"sc_threshold": "1000000000", "flags": "+bitexact"}
    splitter, made = UnitSplitter(), []
    for number in range(len(like)):
        picture = av.VideoFrame(96, 64, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes((number + at) & 255 for at in range(plane.line_size)) * plane.height)
        picture.pts, picture.time_base = number, Fraction(1, 30)
        for packet in encoder.encode(picture):
            made += splitter.feed(bytes(packet), None, True)
    for packet in encoder.encode(None):
        made += splitter.feed(bytes(packet), None, True)
    return made


# ---- when


def test_nothing_is_cut_before_everything_of_it_is_in_the_index(desk: Desk, units: list[Unit]) -> None:
    frames = frames_of(units[:180])
    desk.record(frames, {87: call(frames[87].utc_us, pre_s=0, post_s=1.5)})
    desk.room.settle()
    assert desk.clip().end_us == frames[132].utc_us
    exporter = desk.start()
    live = desk.room.recorder.uncommitted()[0].identity
    assert live.start_us < frames[132].utc_us, "the clip ends within the segment being written"
    for unsealed in ({"gate": (live.epoch, live.start_us)}, {"gate": (0, 0)}):
        exporter.look(unsealed)
        time.sleep(0.05)
        assert desk.clip().exported_at_us is None
    desk.lose()
    exporter.look({"gate": (0, frames[132].utc_us), "yard": (0, 0)})
    deadline = time.monotonic() + 10
    while desk.clip().exported_at_us is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert pictures(desk.file_of(desk.clip())) == data_of(frames[75:132])


def test_what_is_recorded_after_a_backward_step_keeps_no_earlier_clip_waiting(desk: Desk, alarmed: list[Frame]) -> None:
    exporter = desk.start()
    exporter.look({"gate": (1, NOW - 3600 * US)})
    deadline = time.monotonic() + 10
    while desk.clip().exported_at_us is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_clip_of_which_nothing_was_recorded_is_done_with_and_has_no_file(desk: Desk) -> None:
    steps: list[ClipStep] = [OpenClip(1, "door", "m1", NOW, None, US, NOW + US, None), CloseClip(1, NOW + US, "done")]
    desk.tell(steps)
    desk.start()
    clip = desk.exported()
    assert (clip.path, clip.volume, clip.files) == (None, None, 0)
    assert not (desk.room.root / "gate").exists()


def test_a_crash_leaves_an_open_clip_that_the_next_start_closes_and_exports(desk: Desk, units: list[Unit]) -> None:
    frames = frames_of(units[:150])
    desk.record(frames, {87: call(frames[87].utc_us, post_s=60)})
    desk.room.settle()
    # Killed: no row for the segment being written, its last fragment torn.
    desk.room.index.ping().result()
    place = recovery.Place(desk.room.shelf.volume_id, _volume(desk.room.shelf))
    recovery.recover(desk.room.index, desk.room.reader, desk.room.shelf.archive, [place], frames[-1].utc_us + US)
    clip = desk.clip()
    segments = desk.room.segments()
    assert (clip.end_us, clip.close_reason) == (segments[-1].row.end_us, "service-crashed")
    desk.start()
    kept = pictures(desk.file_of(desk.exported()))
    assert kept == data_of(frames[45 : 45 + len(kept)])
    assert len(kept) == sum(segment.row.frames for segment in segments) - 45


def _volume(shelf: Shelf) -> Volume:
    assert shelf.volume is not None
    return shelf.volume


# ---- trouble


def _revive(desk: Desk) -> None:
    disk = desk.room.disk
    disk.fail_at, disk.how, disk.dead, disk.sticky = None, "", False, False


@pytest.mark.parametrize(("how", "sticky"), [("killed", False), ("EIO", False), ("ENOSPC", True)])
def test_wherever_an_attempt_ends_the_next_one_makes_the_same_file_and_leaves_nothing_else(
    desk: Desk, alarmed: list[Frame], how: str, sticky: bool
) -> None:
    disk, wanted = desk.room.disk, data_of(alarmed[45:147])
    before = len(disk.calls)
    first = desk.attempt()
    calls = disk.calls[before:]
    assert {"mkdir", "open_exclusive", "write", "fsync", "rename_noreplace", "fsync_directory"} <= set(calls)
    target = desk.room.root / (first.path or "")
    failed = 0
    for number in range(1, len(calls) + 8):
        desk.room.shelf.archive._settled.clear()
        disk.fail_at, disk.how, disk.sticky = len(disk.calls) + number, how, sticky
        try:
            desk.attempt()
        except TROUBLE:
            failed += 1
            assert desk.clip().path is None, "nothing is promised"
        else:
            assert not disk.failed, "a call failed and nobody heard of it"
        _revive(desk)
        made = desk.attempt()
        assert pictures(target) == wanted
        assert (made.path, made.size_bytes) == (first.path, target.stat().st_size)
        assert desk.files() == [target.name]
    assert failed >= len(calls) - 4  # the folders are there by now


def test_a_link_that_was_made_before_a_crash_is_made_again(desk: Desk, units: list[Unit]) -> None:
    frames = frames_of(units[:60])
    desk.record(frames, {0: call(frames[0].utc_us, pre_s=0, post_s=60)})
    desk.lose()
    desk.tell(desk.desk.cut(frames[-1].utc_us + US, "record-off"))
    desk.room.index.ping().result()
    first = desk.attempt()
    disk = desk.room.disk
    disk.fail_at, disk.how = len(disk.calls) + 1, "killed"
    with pytest.raises(Killed):
        desk.attempt()
    _revive(desk)
    assert desk.attempt() == first
    (segment,) = desk.room.segments()
    assert (desk.room.root / segment.path).stat().st_nlink == 2
    assert desk.files() == ["20261123T140322Z-door-1.mp4"]


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM])
def test_where_no_link_can_be_the_clip_is_a_copy(desk: Desk, units: list[Unit], code: int) -> None:
    frames = frames_of(units[:60])
    desk.record(frames, {0: call(frames[0].utc_us, pre_s=0, post_s=60)})
    desk.lose()
    desk.tell(desk.desk.cut(frames[-1].utc_us + US, "record-off"))
    desk.room.index.ping().result()
    desk.room.fail_next("link", code)
    made = desk.attempt()
    target = desk.room.root / (made.path or "")
    assert target.stat().st_nlink == 1
    assert pictures(target) == data_of(frames)


def test_a_clip_in_trouble_is_tried_again_later_and_keeps_no_other_waiting(desk: Desk, units: list[Unit]) -> None:
    frames = frames_of(units[:180])
    desk.record(frames, {60: call(frames[60].utc_us), 61: call(frames[61].utc_us, rule="other")})
    desk.lose()
    in_the_way = desk.room.root / "gate/clips/2026/11/20261123T140323Z-door-1.mp4"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"somebody's own")
    exporter = desk.start()
    assert desk.exported(2).path is not None
    desk.wait_for(lambda: exporter.failing == 1)
    assert in_the_way.read_bytes() == b"somebody's own"
    in_the_way.rename(in_the_way.with_name("elsewhere.mp4"))
    exporter.look({})
    time.sleep(0.05)
    assert desk.clip(1).path is None, "not before its time"
    desk.clock.ahead_us += 31 * US
    assert pictures(desk.file_of(desk.exported(1))) == data_of(frames[30:120])
    desk.wait_for(lambda: exporter.failing == 0)


def test_a_full_volume_takes_no_clip_until_there_is_room(desk: Desk, alarmed: list[Frame]) -> None:
    desk.room.volume_counts.free_bytes = 10
    with pytest.raises(DiskFull):
        desk.attempt()
    desk.room.volume_counts.free_bytes = 1 << 40
    assert desk.attempt().path is not None


def test_a_part_that_is_gone_for_good_is_left_out_and_told_as_a_gap(desk: Desk, alarmed: list[Frame]) -> None:
    middle = desk.room.segments()[1]
    (desk.room.root / middle.path).unlink()
    made = desk.attempt()
    assert made.gap_us == 2 * US
    assert pictures(desk.room.root / (made.path or "")) == data_of(alarmed[45:60] + alarmed[120:147])


def test_a_volume_that_is_away_is_waited_for(desk: Desk, alarmed: list[Frame]) -> None:
    away = desk.room.root.with_name("away")
    desk.room.root.rename(away)
    with pytest.raises(VolumeMissing):
        desk.attempt()
    assert desk.attempt(patient=False).path is None, "after a day it goes without"
    away.rename(desk.room.root)
    assert pictures(desk.room.root / (desk.attempt().path or "")) == data_of(alarmed[45:147])


def test_a_copy_that_does_not_read_back_is_not_promised(desk: Desk, alarmed: list[Frame]) -> None:
    disk = desk.room.disk
    plain = disk.fsync

    def damage(fd: int) -> None:
        plain(fd)
        # What the disk gives back is not what it was given: the last picture's bytes, in front of the index.
        sample = boxes.samples(desk.room.root / "gate/clips/2026/11/20261123T140323Z-door-1.mp4.part")[-1]
        os.pwrite(fd, b"\xff" * sample.size, sample.offset)

    disk.fsync = damage  # type: ignore[method-assign]  # for this test's one file
    with pytest.raises(TROUBLE, match="does not hold"):
        desk.attempt()
    del disk.fsync
    assert pictures(desk.room.root / (desk.attempt().path or "")) == data_of(alarmed[45:147])


def test_stopping_does_not_wait_for_a_clip_and_the_next_start_does_it(desk: Desk, alarmed: list[Frame]) -> None:
    begun, go_on = threading.Event(), threading.Event()
    plain = desk.room.disk.open_exclusive

    def slow(path: Path, mode: int = 0o640) -> int:
        begun.set()
        assert go_on.wait(10)
        return plain(path, mode)

    desk.room.disk.open_exclusive = slow  # type: ignore[method-assign]  # until deleted below
    exporter = desk.start()
    assert begun.wait(10)
    assert not exporter.stop(0.05)
    go_on.set()
    assert exporter.stop(5)
    assert desk.clip().exported_at_us is None
    del desk.room.disk.open_exclusive
    with pytest.raises(RuntimeError, match="stopping"):
        exporter.lock(1, True).result(5)
    desk.start()
    assert pictures(desk.file_of(desk.exported())) == data_of(alarmed[45:147])
    assert len(desk.files()) == 1


# ---- locks


def test_a_lock_is_a_file_beside_the_clip_and_holds_footage_and_file(desk: Desk, alarmed: list[Frame]) -> None:
    exporter = desk.start()
    clip = desk.exported()
    lock_file = Path(f"{desk.file_of(clip)}.lock")
    segments = [segment.id for segment in desk.room.segments()]
    for _ in range(2):
        assert exporter.lock(1, True).result(5)
        assert lock_file.is_file()
        assert desk.clip().locked
    assert desk.room.index.condemn(segments, NOW).result().held == segments
    for _ in range(2):
        assert exporter.lock(1, False).result(5)
        assert not lock_file.exists()
        assert not desk.clip().locked
    assert not exporter.lock(99, True).result(5)
    assert desk.room.index.condemn(segments, NOW).result().held == []


def test_a_clip_locked_before_its_file_is_there_gets_its_lock_file_with_it(desk: Desk, units: list[Unit]) -> None:
    frames = frames_of(units[:120])
    exporter = desk.start()
    desk.record(frames, {30: call(frames[30].utc_us, post_s=1)})
    desk.room.settle()
    assert exporter.lock(1, True).result(5)
    desk.lose()
    clip = desk.exported()
    desk.wait_for(Path(f"{desk.file_of(clip)}.lock").is_file)


def test_a_lock_file_lost_in_a_crash_is_made_again_at_the_start(desk: Desk, alarmed: list[Frame]) -> None:
    exporter = desk.start()
    lock_file = Path(f"{desk.file_of(desk.exported())}.lock")
    assert exporter.stop(5)
    desk.room.index.lock_clip(1, True).result()
    assert not lock_file.exists()
    desk.start()
    desk.wait_for(lock_file.is_file)


def test_no_lock_is_taken_away_while_its_volume_is(desk: Desk, alarmed: list[Frame]) -> None:
    exporter = desk.start()
    desk.exported()
    assert exporter.lock(1, True).result(5)
    away = desk.room.root.with_name("away")
    desk.room.root.rename(away)
    with pytest.raises(VolumeMissing):
        exporter.lock(1, False).result(5)
    assert desk.clip().locked
    away.rename(desk.room.root)
    assert exporter.lock(1, False).result(5)

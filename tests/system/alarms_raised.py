"""Alarms at random moments, and their clips held against what the cameras sent."""

import json
import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import Final

import av

from nvr.jvc import jpeg
from nvr.media import boxes, label
from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.scene import read_counter
from nvr.simulator.truth import SentVop
from nvr.store.clip_snapshots import snapshot_of
from nvr.store.rows import Alarm, Clip, ClipState
from tests.system.footage import US, decode
from tests.system.house import House
from tests.system.world import World

PRE_S: Final = 2
POST_S: Final = 1
MODES: Final = ("continuous", "alarm")
SNAPSHOT_RULE: Final = "door"
RULES: Final = {SNAPSHOT_RULE: 1, "yard": 2}
"""Which input sets them off."""

_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=8, bitrate_bps=200_000)
_NEAR_US: Final = 10_000
_YOUNG_US: Final = 15 * US  # ten seconds, and what a busy start takes
_TOLD_US: Final = 3 * US  # a report's way to a row where this machine is busy


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm, as the camera knows it."""

    rule: str
    at_us: int


@dataclass(slots=True)
class Story:
    """Cameras of both modes, what was raised at them, and what they sent."""

    house: House
    ready_us: int = 0
    """Since when every camera is recorded or waits, and alarms reach nvr."""
    raised: dict[str, list[Raised]] = field(default_factory=dict)
    sent: dict[str, list[SentVop]] = field(default_factory=dict)

    @property
    def cameras(self) -> list[str]:
        return sorted(self.raised)

    def clips(self, camera: str) -> list[Clip]:
        return self.house.reader().clips_between(camera, 0, 1 << 60)

    def alarms(self, camera: str) -> list[Alarm]:
        return self.house.reader().alarms_between(camera, 0, 1 << 60)

    def path(self, clip: Clip) -> Path:
        assert clip.path is not None, clip
        assert clip.volume is not None, clip
        return self.house.volume_path(clip.volume) / clip.path


@contextmanager
def raised(world: World, folder: Path, *, cameras: int, alarms: int, cut_every_s: float) -> Iterator[Story]:
    """So many cameras of each mode with so many alarms each, at random moments; their video is cut now and then.

    Ends with an orderly stop, once every clip is a file.
    """
    dice = random.Random(cameras * alarms)
    names = {f"{mode}-{number}": mode for mode in MODES for number in range(cameras)}
    options = [CameraOptions(encode=_ENCODE, camera_id=name) for name in names]
    with world.cameras(options) as simulator:
        living = dict(zip(names, simulator.cameras, strict=True))
        house = _house(folder, {name: simulator.ports(camera)[:2] for name, camera in living.items()}, names)
        story = Story(house, raised={name: [] for name in names})
        with house.start() as daemon:
            ready = {"continuous": "recording", "alarm": "buffering"}
            daemon.wait_for(
                "recording and waiting",
                lambda states: (
                    bool(states)
                    and all(
                        states[name]["state"] == ready[mode] and states[name]["alarm_link"]
                        for name, mode in names.items()
                    )
                ),
                30,
            )
            story.ready_us = time.time_ns() // 1000
            time.sleep(PRE_S + 1)
            _play(world, living, story, dice, alarms, cut_every_s)
            time.sleep(POST_S + 1)
            _wait_for_files(story)
            assert daemon.terminate()[0] == 0
            daemon.log()
        story.sent = {name: world.sent(camera) for name, camera in living.items()}
    yield story


def _house(folder: Path, ports: dict[str, tuple[int, int]], modes: dict[str, str]) -> House:
    keys = {name: {"http_port": p[0], "alarm_port": p[1], "record": modes[name]} for name, p in ports.items()}
    house = House(folder, keys, segment_seconds=2)
    text = house.config.read_text().replace(
        "[recording]", f"[recording]\npre_seconds = {PRE_S}\npost_seconds = {POST_S}"
    )
    for rule, number in RULES.items():
        text += f'[[rule]]\nname = "{rule}"\nwhen = ["m{number}"]\nwhile_active = false\n'
        text += f"snapshot = {str(rule == SNAPSHOT_RULE).lower()}\n"
    house.config.write_text(text)
    return house


def _play(
    world: World, cameras: dict[str, Camera], story: Story, dice: random.Random, alarms: int, cut_every_s: float
) -> None:
    """Every alarm at its moment, one camera's beside the others'."""
    begun_s = time.monotonic()
    due: list[tuple[float, str, str]] = []
    for name in cameras:
        at_s = 0.0
        for _ in range(alarms):
            at_s += dice.choice((dice.uniform(0.3, 1.5), dice.uniform(1.0, 5.0)))
            due.append((at_s, name, dice.choice(list(RULES))))
        cut_s = dice.uniform(0, cut_every_s)
        while cut_s < at_s:
            due.append((cut_s, name, "cut"))
            cut_s += dice.uniform(0.5, 1.5) * cut_every_s
    heapify(due)
    while due:
        at_s, name, what = heappop(due)
        time.sleep(max(0.0, begun_s + at_s - time.monotonic()))
        if what == "cut":
            world.do(cameras[name].fault, "cut")
        elif what in RULES:
            story.raised[name].append(Raised(what, world.do(_make, cameras[name], RULES[what])))
            heappush(due, (at_s + 0.1, name, str(RULES[what])))
        else:
            world.do(cameras[name].pin, int(what), "break")


def _make(camera: Camera, number: int) -> int:
    at_us = time.time_ns() // 1000
    assert camera.pins[number] == "break", "two alarms of one input at once"
    camera.pin(number, "make")
    return at_us


def _wait_for_files(story: Story) -> None:
    deadline_s = time.monotonic() + 60 + 0.2 * sum(map(len, story.raised.values()))
    while not all(clip.path for camera in story.cameras for clip in story.clips(camera)):
        assert time.monotonic() < deadline_s, "clips without a file"
        time.sleep(0.2)


# ---- what is to be so


def check_alarms(story: Story, camera: str) -> None:
    """Every alarm has its row, and one; each clip was set off by an alarm of its own, and holds all that came after."""
    rows = [alarm.row for alarm in story.alarms(camera)]
    clips = story.clips(camera)
    for rule in RULES:
        at_us = sorted(one.at_us for one in story.raised[camera] if one.rule == rule)
        told_us = sorted(row.at_us for row in rows if row.rule == rule)
        assert len(told_us) == len(at_us), f"{camera}, {rule}: {len(at_us)} alarms, {len(told_us)} rows"
        assert all(at <= told < at + _TOLD_US for at, told in zip(at_us, told_us, strict=True))
        own = [clip for clip in clips if clip.rule == rule]
        begun_us = [clip.alarm_at_us for clip in own]
        assert begun_us == sorted(set(begun_us)), f"{camera}, {rule}: a clip twice"
        assert set(begun_us) <= set(told_us)
        for clip, after_us in zip(own, [*begun_us[1:], 1 << 62], strict=True):
            last_us = max(told for told in told_us if clip.alarm_at_us <= told < after_us)
            assert (clip.state, clip.close_reason) == (ClipState.CLOSED, "done"), clip
            assert clip.end_us is not None
            late_us = clip.end_us - (last_us + POST_S * US)
            # A camera whose machine is busy leaves pictures out: with which one it ends, `check_footage` says.
            assert 0 <= late_us <= _TOLD_US, f"{camera}: ends {late_us} us late: {clip}"
    assert [clip.rule for clip in clips if clip.rule not in RULES] == []


def check_footage(story: Story, camera: str) -> None:
    """Each clip is one file that holds, byte for byte, every picture from the right I-VOP to its end."""
    sent = [record for record in story.sent[camera] if record.sent]
    places = {record.sha256: number for number, record in enumerate(sent)}
    assert len(places) == len(sent), "two pictures that are the same prove nothing"
    sent_at_us = [record.sent_at_us for record in sent]
    clips = story.clips(camera)
    for clip in clips:
        path = story.path(clip)
        assert clip.files == 1
        data = path.read_bytes()
        kept = [places[sha256(data[s.offset : s.offset + s.size]).hexdigest()] for s in boxes.samples(path)]
        _check_whole(sent, kept, clip)
        _check_begin(sent, kept[0], clip)
        _check_end(sent, kept, clip)
        said = label.read(path)
        assert said is not None
        assert said.kind is label.Kind.CLIP or path.stat().st_nlink == 2, "a clip, or one segment's second name"
        for one in story.raised[camera]:
            if one.rule == clip.rule and clip.start_us and clip.end_us and clip.start_us <= one.at_us < clip.end_us:
                at_alarm = bisect_right(sent_at_us, one.at_us) - 1
                while not sent[at_alarm].complete:
                    at_alarm -= 1
                # The picture of an earlier alarm may lie just before the clip; with which one it begins, see above.
                if at_alarm >= kept[0]:
                    assert at_alarm in kept or not _could_be_kept(sent, at_alarm, clip), f"{clip}: {sent[at_alarm]}"
    files = {path for clip in clips for path in [story.path(clip)]}
    there = set((story.house.volume_path("main") / camera / "clips").rglob("*.mp4*"))
    assert files == there, "one file for each clip, and no other"


def _could_be_kept(sent: list[SentVop], number: int, clip: Clip) -> bool:
    """A new connection's pictures before its first I-VOP refer to nothing."""
    connection = sent[number].connection
    keys = [n for n in range(number, -1, -1) if sent[n].connection == connection and sent[n].key]
    return bool(keys)


def _check_whole(sent: list[SentVop], kept: list[int], clip: Clip) -> None:
    """In order, without a hole but where the link was cut: after that it goes on with an I-VOP."""
    for before, after in pairwise(kept):
        if after == before + 1 and sent[after].connection == sent[before].connection:
            continue
        between = range(before + 1, after)
        assert sent[after].connection > sent[before].connection, f"{clip}: a hole after {sent[before]}"
        assert sent[after].key
        left = [n for n in between if sent[n].complete and _could_be_kept(sent, n, clip)]
        assert left == [], f"{clip}: sent and not in it: {sent[left[0]]}"


def _check_begin(sent: list[SentVop], first: int, clip: Clip) -> None:
    assert sent[first].key
    assert clip.start_us is not None
    wanted_us = clip.alarm_at_us - PRE_S * US
    if clip.pre_shortfall_us:
        # All of it, where the machine was so busy that the cut before the alarm outlasted it.
        assert min(clip.start_us - wanted_us, PRE_S * US) == clip.pre_shortfall_us
        before = [n for n in range(first) if sent[n].connection == sent[first].connection and sent[n].key]
        assert before == [], f"{clip}: begins late though there was an I-VOP before"
        return
    assert clip.start_us <= wanted_us
    later = (n for n in range(first + 1, len(sent)) if sent[n].key and sent[n].connection == sent[first].connection)
    for after in later:
        after_us = clip.start_us + sent[after].captured_at_us - sent[first].captured_at_us
        assert after_us > wanted_us - _near_us(sent, first, after), f"{clip}: a later I-VOP would do: {sent[after]}"
        break


def _near_us(sent: list[SentVop], first: int, last: int) -> int:
    """So much is nvr's time slewed beside the camera's between two pictures; by a tenth while a link is young."""
    begun = next(record for record in sent if record.connection == sent[first].connection)
    is_young = sent[first].captured_at_us - begun.captured_at_us < _YOUNG_US
    return _NEAR_US + (sent[last].captured_at_us - sent[first].captured_at_us) // 10 * is_young


def _check_end(sent: list[SentVop], kept: list[int], clip: Clip) -> None:
    """The picture after the last one is the first at or after the end."""
    first, last = kept[0], kept[-1]
    assert clip.start_us is not None
    assert clip.end_us is not None
    if len({sent[number].connection for number in (first, last, min(last + 1, len(sent) - 1))}) > 1:
        return  # a cut between them: their times have no common measure

    def nvr_us(number: int) -> int:
        assert clip.start_us is not None
        return clip.start_us + sent[number].captured_at_us - sent[first].captured_at_us

    near_us = _near_us(sent, first, last)
    assert nvr_us(last) < clip.end_us + near_us, f"{clip}: a picture too many"
    assert nvr_us(last + 1) >= clip.end_us - near_us, f"{clip}: a picture too few"


def check_counters(story: Story, camera: str) -> int:
    """The counters in the pictures of the alarm's own group are those of the camera then; how many were read."""
    sent = {record.sha256: record for record in story.sent[camera]}
    read = 0
    for clip in story.clips(camera):
        path = story.path(clip)
        data = path.read_bytes()
        records = [sent[sha256(data[s.offset : s.offset + s.size]).hexdigest()] for s in boxes.samples(path)]
        at_alarm = max(n for n, record in enumerate(records) if record.sent_at_us <= clip.alarm_at_us or n == 0)
        first = max(n for n in range(at_alarm + 1) if records[n].key)
        with av.open(path) as container:
            for number, picture in enumerate(container.decode(video=0)):
                if number > at_alarm:
                    break
                if number >= first:
                    plane = picture.planes[0]
                    told = read_counter(bytes(plane), picture.width, picture.height, plane.line_size)
                    assert told == (records[number].counter, records[number].clock_ms), f"{clip}, picture {number}"
                    read += 1
    return read


def check_snapshots(story: Story, camera: str) -> int:
    """A clip of the rule with `snapshot` has a JPEG of its first alarm, the others have none; how many there are."""
    found = 0
    for clip in story.clips(camera):
        if clip.path is None:
            continue
        picture = snapshot_of(story.path(clip))
        assert picture.exists() is (clip.rule == SNAPSHOT_RULE), clip
        if clip.rule == SNAPSHOT_RULE:
            said = jpeg.facts(picture.read_bytes())
            assert said.camera_id == camera.encode()
            assert said.clock_us is not None
            assert -US < said.clock_us - clip.alarm_at_us < 20 * US
            _, told = story.house.command("clips", "show", str(clip.id), "--json")
            assert json.loads(told)["snapshot"] == str(picture)
            found += 1
    return found


def check_plays(story: Story) -> int:
    """FFmpeg has nothing to complain of in any clip; how many there are."""
    paths = [story.path(clip) for camera in story.cameras for clip in story.clips(camera)]
    decode(paths, any_interval=True)
    return len(paths)


def check_waits(story: Story, camera: str) -> None:
    """A camera that waits keeps only what alarms want, and says so of the rest."""
    code, told = story.house.command("footage", "coverage", "--camera", camera, "--json")
    assert code == 0
    reasons = Counter(span["reason"] for span in json.loads(told))
    assert reasons["waiting-for-alarm"]
    assert not reasons["unknown"]
    clips = story.clips(camera)
    for segment in story.house.reader().segments_between(camera, 0, 1 << 60):
        row = segment.row
        wanted = any(
            clip.start_us and clip.end_us and clip.start_us - US < row.end_us and row.start_us < clip.end_us
            for clip in clips
        )
        # Before it listened it may have recorded everything, if that took long.
        assert wanted or row.start_us < story.ready_us, f"kept for no alarm: {segment.path}"

"""What lies on the disk after a life of the daemon, read without it and compared with what cameras sent."""

import json
import subprocess
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final

import av

from nvr.media import boxes, label
from nvr.simulator.truth import SentVop
from nvr.store.rows import Segment, SegmentState
from tests.system.house import House

US: Final = 1_000_000

_ENTRIES: Final = "format=duration:stream=width,nb_read_packets"
_PLAYERS: Final = 2
_AT_ONCE: Final = 8
_PLAYER_S: Final = 60


@dataclass(frozen=True, slots=True)
class Kept:
    """One picture in a file."""

    sha256: str
    segment: Segment
    ticks: Fraction
    """Seconds of media time within its run."""
    key: bool


def segments_of(house: House, camera: str) -> list[Segment]:
    """The camera's rows by start."""
    return house.reader().segments_between(camera, 0, 1 << 60)


def path_of(house: House, segment: Segment) -> Path:
    return house.volume_path(segment.volume) / segment.path


def pictures_of(house: House, segments: Iterable[Segment]) -> list[Kept]:
    """Every picture of those files, in order."""
    kept = []
    for segment in segments:
        path = path_of(house, segment)
        data = path.read_bytes()
        movie = boxes.movie(path)
        for sample in movie.samples:
            ticks = (segment.row.first_tick + sample.ticks) * segment.row.time_base
            unit = data[sample.offset : sample.offset + sample.size]
            kept.append(Kept(sha256(unit).hexdigest(), segment, ticks, sample.key))
    return kept


def check_exact(house: House, camera: str, sent: Sequence[SentVop], until_us: int) -> list[SentVop]:
    """From the first I-VOP on everything sent before `until_us` is in the files: byte for byte, in order, once.

    What was sent is the truth of one connection without any fault. Answers the records of what is in the files.
    """
    assert {record.connection for record in sent} == {1}, f"{camera} was connected to more than once"
    assert [record.why for record in sent if record.why] == []
    first = next(number for number, record in enumerate(sent) if record.key)
    due = list(sent[first:])
    kept = pictures_of(house, segments_of(house, camera))
    assert [picture.sha256 for picture in kept] == [record.sha256 for record in due[: len(kept)]], camera
    assert [picture.key for picture in kept] == [record.key for record in due[: len(kept)]], camera
    left = [record for record in due[len(kept) :] if record.complete and record.sent_at_us < until_us]
    assert left == [], f"{camera}: {len(left)} of {len(due)} sent and not in the files, the first {left[0]}"
    return due[: len(kept)]


@dataclass(slots=True)
class Found:
    """Files against truth where trouble was to be expected."""

    records: list[SentVop]
    """What is in the files as it was sent, in the order of the files."""
    altered: int
    """Pictures in the files that were never meant so."""


def check_in_order(house: House, camera: str, sent: Sequence[SentVop]) -> Found:
    """Asserts that what is in the files was sent in that order, and each picture at most once."""
    places: dict[str, list[int]] = {}
    for number, record in enumerate(sent):
        places.setdefault(record.sha256, []).append(number)
    found, at, altered = [], -1, 0
    for picture in pictures_of(house, segments_of(house, camera)):
        known = places.get(picture.sha256)
        if known is None:
            altered += 1
            continue
        later = bisect_right(known, at)
        assert later < len(known), f"{camera}: a picture twice or out of order in {picture.segment.path}"
        at = known[later]
        found.append(sent[at])
    return Found(found, altered)


def check_promises(house: House, camera: str, *, also_damaged: bool = False) -> list[Segment]:
    """Every row has its file of that size, and the file says of itself what the row says.

    `also_damaged`: rows that promise less, since a sync failed, are allowed and not looked at.
    """
    segments = segments_of(house, camera)
    for segment in segments:
        if also_damaged and segment.row.state is SegmentState.DAMAGED:
            continue
        row, path = segment.row, path_of(house, segment)
        assert row.state is SegmentState.OK, f"{path}: {row.state}"
        assert path.stat().st_size == row.size_bytes, path
        said = label.read(path)
        assert said is not None, f"{path} has no label"
        told = (said.camera, said.run, said.seq, said.start_us, said.end_us, said.frames, said.first_tick)
        folder = segment.path.partition("/")[0]  # the camera's name when it was recorded
        assert told == (folder, row.run, row.seq, row.start_us, row.end_us, row.frames, row.first_tick), path
        assert (said.time_base, said.duration_ticks, said.recovered) == (
            row.time_base,
            row.duration_ticks,
            row.recovered,
        ), path
        condition = boxes.examine(path)
        # What a crash left of a growing file stays in fragments: cut, labelled and named, not rewritten.
        assert condition.label_bytes, f"{path} does not end with its label"
        assert condition.sealed or row.recovered, f"{path} is not closed"
        assert len(boxes.samples(path)) == row.frames, path
    return segments


def check_no_seams(segments: Sequence[Segment]) -> None:
    """Of one run, each segment ends in the microsecond and at the tick at which the next one begins."""
    for before, after in pairwise(segments):
        if before.row.run != after.row.run:
            assert before.row.end_us <= after.row.start_us, (before.path, after.path)
            continue
        assert after.row.seq == before.row.seq + 1, (before.path, after.path)
        assert before.row.end_us == after.row.start_us, (before.path, after.path)
        if before.row.time_base == after.row.time_base:
            assert before.row.first_tick + before.row.duration_ticks == after.row.first_tick, after.path


def unpromised(house: House) -> set[Path]:
    """Files below the volumes that no row promises."""
    there = house.files()  # first: what gets its row meanwhile is promised
    reader = house.reader()
    promised = {
        path_of(house, segment)
        for camera in reader.cameras()
        for segment in reader.segments_between(camera.slug, 0, 1 << 60)
    }
    return there - promised


@dataclass(frozen=True, slots=True)
class Opened:
    """What a player learns of a file before it plays it."""

    seconds: float
    pictures: int
    width: int


def opened(paths: Iterable[Path]) -> dict[Path, Opened]:
    """Opens each file with FFmpeg's libraries in this process."""
    found = {}
    for path in paths:
        with av.open(path) as container:
            stream = container.streams.video[0]
            assert container.duration is not None, path
            found[path] = Opened(container.duration / av.time_base, stream.frames, stream.width)
    return found


def probe(paths: Sequence[Path]) -> dict[Path, Opened]:
    """The same from ffprobe as a process of its own. Asserts that it has nothing to complain of."""

    def ask(path: Path) -> Opened:
        done = subprocess.run(
            [
                "ffprobe",
                "-v",
                "error",
                "-count_packets",
                "-select_streams",
                "v",
                "-show_entries",
                _ENTRIES,
                "-of",
                "json",
                path,
            ],
            capture_output=True,
            text=True,
            timeout=_PLAYER_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), f"ffprobe {path}: {done.stderr}"
        said = json.loads(done.stdout)
        (stream,) = said["streams"]
        return Opened(float(said["format"]["duration"]), int(stream["nb_read_packets"]), stream["width"])

    with ThreadPoolExecutor(_PLAYERS) as pool:
        return dict(zip(paths, pool.map(ask, paths), strict=True))


def decode(paths: Sequence[Path], *, any_interval: bool = False) -> None:
    """Asserts that FFmpeg decodes every picture of these files without one word.

    `any_interval`: pictures may follow each other faster than the frame rate that ffmpeg guesses, in whose ticks it
    would count them otherwise and call two of one tick an error.
    """
    count = ["-enc_time_base", "-1", "-fps_mode", "passthrough"] if any_interval else []

    def play(some: Sequence[Path]) -> list[str]:
        words = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1"]
        for path in some:
            words += ["-i", str(path)]
        for number in range(len(some)):
            words += ["-map", f"{number}:v", *count, "-f", "null", "-"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PLAYER_S, check=False)
        if (done.returncode, done.stderr) == (0, ""):
            return []
        return [f"{done.stderr[:2000]} (ffmpeg {', '.join(map(str, some))})"]

    with ThreadPoolExecutor(_PLAYERS) as pool:
        told = pool.map(play, [paths[at : at + _AT_ONCE] for at in range(0, len(paths), _AT_ONCE)])
        complaints = [complaint for some in told for complaint in some]
    assert complaints == [], "\n".join(complaints)

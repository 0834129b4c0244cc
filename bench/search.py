"""How quickly footage is found by where cameras looked, whether that is what every label says, and what it adds to the
index.

    python -m bench.search                       # 30 days of 8 cameras on patrol: 20 minutes
    python -m bench.search --days 2 --cameras 4  # a look

Fills a real index as the recorder would, one segment a minute, each with the looks of its own label; the labels' tracks
stay in memory. Then it asks, each question of a fresh reader, and looks at every picture of every label for the answer.
"""

import argparse
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Final

from nvr.media.positions import Fact, Rest, pack_track, unpack_facts, unpack_rests
from nvr.store import schema
from nvr.store.field_of_view import Arc, of_model
from nvr.store.index import Index
from nvr.store.looks import looks_between
from nvr.store.reader import Reader
from nvr.store.rows import Look, LookKind, Run, SegmentRow
from nvr.store.search import Page, Seen, Wanted, where
from nvr.store.tracks import Track
from nvr.units import US, PanTiltZoom

MOST_MS: Final = 200
"""For the first page of any question that no label is read for."""
PAGE: Final = 1000

_FPS: Final = 30
_TICKS: Final = 3_000
_SEGMENT_FRAMES: Final = 60 * _FPS
_STARTS: Final = range(0, _SEGMENT_FRAMES * _TICKS, _TICKS)
_SEGMENT_US: Final = 60 * US
_DAY: Final = 24 * 60
_BEGIN_US: Final = 1_795_442_602_123_456
_MOVE_FRAMES: Final = _FPS  # a second from one preset to the next
_EVERY_FRAMES: Final = 10 * _FPS
_REPEAT: Final = 7

Placed = Iterator[tuple[PanTiltZoom, int, int | None]]
"""Where a camera looks, for how many frames, and the preset it names there."""


def at_rest(random_: random.Random) -> Placed:
    """All day at one place."""
    place = _anywhere(random_)
    while True:
        yield place, _SEGMENT_FRAMES, 3


def on_patrol(random_: random.Random) -> Placed:
    """Round eight presets: another one every 10 seconds, give or take a third of one, a second on the way."""
    presets = [_anywhere(random_) for _ in range(8)]
    number = 0
    while True:
        before, number = presets[number], (number + 1) % len(presets)
        goal = presets[number]
        for step in range(1, _MOVE_FRAMES):
            pan, tilt, zoom = (a + (b - a) * step // _MOVE_FRAMES for a, b in zip(before, goal, strict=True))
            yield (pan, tilt, zoom), 1, None
        yield goal, _EVERY_FRAMES - _MOVE_FRAMES + 1 + random_.randrange(-10, 11), number


def always_turning(random_: random.Random) -> Placed:
    """Round and round, 10 degrees a second."""
    pan, tilt, zoom = _anywhere(random_)
    while True:
        pan = (pan + 33) % 36_000
        yield (pan, tilt, zoom), 1, None


def steered(random_: random.Random) -> Placed:
    """By somebody at a joystick who never rests: another direction and speed each second, on all axes."""
    place = list(_anywhere(random_))
    while True:
        speed = [random_.randrange(-80, 81), random_.randrange(-40, 41), random_.randrange(-40, 41)]
        for _ in range(_FPS):
            place = [a + b for a, b in zip(place, speed, strict=True)]
            yield (place[0] % 36_000, min(max(place[1], 0), 19_000), min(max(place[2], 0), 9_999)), 1, None


def _anywhere(random_: random.Random) -> PanTiltZoom:
    return random_.randrange(36_000), 500 + random_.randrange(5_000), random_.randrange(9_000)


def minutes(placed: Placed) -> Iterator[tuple[list[Rest], list[Fact]]]:
    """What the labels of a camera's segments say, one after the other."""
    left, place, preset = 0, (0, 0, 0), None
    while True:
        rests: list[Rest] = []
        facts: list[Fact] = []
        frames = 0
        while frames < _SEGMENT_FRAMES:
            if not left:
                place, left, preset = next(placed)
            count = min(left, _SEGMENT_FRAMES - frames)
            if preset != (facts[-1].preset if facts else None):
                facts.append(Fact(frames, preset, None))
            rests.append(Rest(count, place))
            frames, left = frames + count, left - count
        yield rests, facts


@dataclass
class Archive:
    """An index, and by segment what its label says."""

    path: Path
    cameras: list[str]
    tracks: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Camera, begin, packed track; the segment's id is the place in the list, from 1."""

    def track(self, segment_id: int) -> Track:
        _, start_us, packed = self.tracks[segment_id - 1]
        positions: list[PanTiltZoom | None] = []
        for rest in unpack_rests(packed):
            positions += [rest.position] * rest.frames
        return Track(
            [start_us + frame * US // _FPS for frame in range(_SEGMENT_FRAMES)], start_us + _SEGMENT_US, positions, []
        )

    def looks(self, packed: bytes, start_us: int) -> list[Look]:
        return _looks(start_us, unpack_rests(packed), unpack_facts(packed))


def _looks(start_us: int, rests: Sequence[Rest], facts: Sequence[Fact]) -> list[Look]:
    return looks_between(start_us, start_us + _SEGMENT_US, _SEGMENT_FRAMES * _TICKS, _STARTS, rests, facts)


def filled(path: Path, cameras: int, days: int, move: Callable[[random.Random], Placed]) -> Archive:
    """An index of so many days, as the recorder would have filled it."""
    schema.prepare(path)
    index, archive = Index(path), Archive(path, [f"cam-{number}" for number in range(cameras)])
    volume_id = index.add_volume("main", "bench").result()
    ids, told = [], []
    for number, slug in enumerate(archive.cameras):
        ids.append(index.add_camera(slug, _BEGIN_US).result())
        index.begin_run(Run(number + 1, ids[-1], slug, _BEGIN_US, "connected", 0, "stream", _BEGIN_US)).result()
        told.append(minutes(move(random.Random(number))))
    for seq in range(days * _DAY):
        for number, slug in enumerate(archive.cameras):
            start_us = _BEGIN_US + seq * _SEGMENT_US + number * 1_234_567
            rests, facts = next(told[number])
            row = SegmentRow(
                *(
                    ids[number],
                    number + 1,
                    seq,
                    volume_id,
                    start_us,
                    start_us + _SEGMENT_US,
                    _SEGMENT_FRAMES,
                    15_000_000,
                ),
                *(Fraction(1, 90_000), seq * _SEGMENT_FRAMES * _TICKS, _SEGMENT_FRAMES * _TICKS),
            )
            entered = index.add_segment(row, _looks(start_us, rests, facts))
            archive.tracks.append((slug, start_us, pack_track(rests, facts)))
        if seq % 100 == 0:
            entered.result()
    assert entered.result() == len(archive.tracks)
    assert index.close(60)
    return archive


# ---- asking


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and in words."""

    words: str
    wanted: Wanted
    exact: bool = False
    cameras: tuple[str, ...] | None = None
    days: tuple[float, float] | None = None
    """Since the archive's begin; None: all of it."""

    @property
    def span(self) -> tuple[int, int]:
        first, last = self.days or (0, 10_000)
        return _BEGIN_US + round(first * 86_400) * US, _BEGIN_US + round(last * 86_400) * US


def questions(archive: Archive, days: int) -> list[Question]:
    fields = {camera: of_model("VN-V685U") for camera in archive.cameras}
    with _reader(archive.path) as reader:
        rest = next(known.view.box for known in reader.views() if known.view.kind is LookKind.REST)
    point = Arc((rest.pan_from - 10) % 36_000, 20)
    return [
        Question("preset 3", Wanted(preset=3)),
        Question("pan 80..100", Wanted(pan=Arc(8_000, 2_000))),
        Question("pan 350..10, tilt 10..30", Wanted(pan=Arc(35_000, 2_000), tilt=(1_500, 3_500))),
        Question("one preset's pan to 0.1", Wanted(pan=point)),
        Question("the same, exact", Wanted(pan=point), exact=True),
        Question("pan 91..93, exact", Wanted(pan=Arc(9_100, 200)), exact=True),
        Question("pan 92, in view", Wanted(pan=Arc(9_200, 0), in_view=fields)),
        Question("a corner where no camera looks", Wanted(pan=Arc(0, 9_000), tilt=(18_000, 19_000))),
        Question("everything", Wanted()),
        Question(
            "preset 3, one camera, last day", Wanted(preset=3), cameras=(archive.cameras[-1],), days=(days - 1, days)
        ),
    ]


def asked(archive: Archive, question: Question) -> tuple[Page, float]:
    """The first page, and the median of milliseconds it took; each time of a reader that knows nothing yet."""
    took_ms = []
    start_us, end_us = question.span
    for _ in range(_REPEAT):
        with _reader(archive.path) as reader:
            begun = time.perf_counter()
            page = where(
                reader,
                question.wanted,
                cameras=question.cameras,
                start_us=start_us,
                end_us=end_us,
                limit=PAGE,
                track_of=archive.track if question.exact else None,
            )
            took_ms.append((time.perf_counter() - begun) * 1000)
    return page, statistics.median(took_ms)


@contextmanager
def _reader(path: Path) -> Iterator[Reader]:
    reader = Reader(path)
    try:
        yield reader
    finally:
        reader.close()


# ---- the same by looking at every label


def by_brute_force(archive: Archive, asked_for: Sequence[Question], answers: Sequence[Page]) -> list[list[Seen]]:
    """What the first page of each question should be: from every label, in one walk, by start and camera."""
    found: list[list[Seen]] = [[] for _ in asked_for]
    newest: list[dict[str, int]] = [{} for _ in asked_for]
    enough_us = [page.spans[-1].end_us + _SEGMENT_US if page.next else 1 << 62 for page in answers]
    for camera, start_us, packed in archive.tracks:
        rests, looks = unpack_rests(packed), archive.looks(packed, start_us)
        for number, question in enumerate(asked_for):
            if start_us > enough_us[number] or (question.cameras is not None and camera not in question.cameras):
                continue
            spans = found[number]
            for seen in _seen(question, camera, looks, rests, start_us):
                before = spans[newest[number][camera]] if camera in newest[number] else None
                if before is not None and _goes_on(before, seen):
                    spans[newest[number][camera]] = replace(before, end_us=seen.end_us)
                else:
                    newest[number][camera] = len(spans)
                    spans.append(seen)
    return [sorted(spans, key=lambda seen: (seen.start_us, seen.camera))[:PAGE] for spans in found]


def _seen(question: Question, camera: str, looks: list[Look], rests: list[Rest], start_us: int) -> Iterator[Seen]:
    """What of a segment is asked for."""
    first_us, last_us = question.span
    if question.exact:
        spans = _exactly(question.wanted, camera, looks, rests, start_us)
    else:
        spans = _by_looks(question.wanted, camera, looks)
    for seen in spans:
        if seen.start_us < last_us and seen.end_us > first_us:
            yield replace(seen, start_us=max(seen.start_us, first_us), end_us=min(seen.end_us, last_us))


def _by_looks(wanted: Wanted, camera: str, looks: list[Look]) -> Iterator[Seen]:
    for start_us, end_us, view in looks:
        if wanted.touched_by(view.box, camera) and wanted.preset in (None, view.preset):
            yield Seen(camera, start_us, end_us, view.kind, view.box, view.preset)


def _exactly(wanted: Wanted, camera: str, looks: list[Look], rests: list[Rest], start_us: int) -> Iterator[Seen]:
    """Picture by picture; a look cuts what it divides."""
    assert wanted.pan is not None
    frames = list(accumulate((rest.frames for rest in rests), initial=0))
    at = 0
    for look_start_us, look_end_us, view in looks:
        begun_us = None
        while at < len(rests) and (at_us := start_us + frames[at] * US // _FPS) < look_end_us:
            position = rests[at].position
            assert position is not None
            if (position[0] - wanted.pan.start) % 36_000 <= wanted.pan.width:
                begun_us = max(at_us, look_start_us) if begun_us is None else begun_us
            elif begun_us is not None:
                yield Seen(camera, begun_us, at_us, view.kind, view.box, view.preset)
                begun_us = None
            at += 1
        if begun_us is not None:
            yield Seen(camera, begun_us, look_end_us, view.kind, view.box, view.preset)


def _goes_on(before: Seen, seen: Seen) -> bool:
    """On patrol two rests that touch are one rest, cut by a segment's end."""
    same = (before.kind, before.preset) == (seen.kind, seen.preset)
    return same and seen.start_us <= before.end_us and (seen.kind is LookKind.SWEEP or seen.box == before.box)


def told(spans: Sequence[Seen]) -> list[tuple[str, int, int, str, int | None]]:
    """What is compared: who, when, what, on which preset."""
    return [(seen.camera, seen.start_us, seen.end_us, seen.kind.value, seen.preset) for seen in spans]


# ---- growth


_SIZE: Final = (
    "sum(pgsize) FROM dbstat WHERE name IN ('look', 'view') OR name LIKE 'ix_look%' OR name LIKE '%index_view%'"
)


def growth(folder: Path) -> Iterator[tuple[str, float, float, float]]:
    """Of a camera's day: in words, kB of looks and their views, looks, views."""
    for move in (at_rest, on_patrol, always_turning, steered):
        path = folder / f"{move.__name__}.sqlite3"
        filled(path, 1, 1, move)
        rows = sqlite3.connect(path)
        size, looks, views = (
            rows.execute(f"SELECT {what}").fetchone()[0] for what in (_SIZE, "count(*) FROM look", "count(*) FROM view")
        )
        rows.close()
        yield move.__name__.replace("_", " "), size / 1000, looks, views


def main() -> int:
    """Prints what was found; 1 where an answer was slow or wrong."""
    parser = argparse.ArgumentParser(description="Finding footage by where cameras looked.")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the index goes meanwhile")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nvr-bench-", dir=given.dir) as where_:
        folder = Path(where_)
        for words, size_kb, looks, views in growth(folder):
            print(f"{words:14}  {size_kb:7.0f} kB a camera-day  {looks:6} looks  {views:6} views", flush=True)
        archive = filled(folder / schema.INDEX_NAME, given.cameras, given.days, on_patrol)
        size_mb = archive.path.stat().st_size / 1e6
        print(
            f"{given.days} days of {given.cameras} cameras on patrol: {len(archive.tracks)} segments, {size_mb:.0f} MB",
            flush=True,
        )
        return _compared(archive, questions(archive, given.days))


def _compared(archive: Archive, asked_for: Sequence[Question]) -> int:
    answers = [asked(archive, question) for question in asked_for]
    truths = by_brute_force(archive, asked_for, [page for page, _ in answers])
    failed = False
    for question, (page, took_ms), truth in zip(asked_for, answers, truths, strict=True):
        right, late = told(page.spans) == told(truth), took_ms > MOST_MS and not question.exact
        failed |= late or not right
        verdict = "as the labels say" if right else "NOT AS THE LABELS SAY"
        slow = ", TOO SLOW" if late else ""
        print(f"{question.words:32}  {took_ms:6.1f} ms  {len(page.spans):4} spans, {verdict}{slow}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""A search of the index finds what looking at every single picture finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nvr.media.positions import Fact, Rest, pack_track
from nvr.store import schema, search
from nvr.store.field_of_view import Arc, FieldOfView
from nvr.store.index import Index
from nvr.store.looks import looks_between
from nvr.store.reader import Reader
from nvr.store.rows import Box, Look, LookKind, Run, SegmentRow
from nvr.store.search import Move, Page, Seen, Wanted, moves, where
from nvr.store.tracks import Track, track_of
from nvr.units import US, PanTiltZoom
from tests.store.house import NOW
from tests.store.labels import label_of_track

FRAME_US = US // 5
TICKS = 18_000
CAMERAS = ("door", "gate", "yard")
PRESETS = [(100, 500, 0), (9_200, 800, 3_000), (35_950, 12_000, 100), (9_210, 800, 3_000)]
EVER = 1 << 60


@dataclass
class Film:
    """One camera's footage as told to the index."""

    camera: str
    looks: list[Look] = field(default_factory=list)
    tracks: dict[int, Track] = field(default_factory=dict)
    """By segment."""

    def pictures(self) -> Iterator[tuple[int, int, PanTiltZoom | None]]:
        for track in self.tracks.values():
            for (start, end), position in zip(pairwise([*track.starts_us, track.end_us]), track.positions, strict=True):
                yield start, end, position


@dataclass
class Archive:
    reader: Reader
    films: dict[str, Film]

    def track(self, segment_id: int) -> Track | None:
        return next((film.tracks[segment_id] for film in self.films.values() if segment_id in film.tracks), None)

    def all(self, wanted: Wanted, *, limit: int = 1000, exact: bool = False, **how: object) -> list[Seen]:
        """Every page, one after the other."""
        asked: dict[str, Any] = {"start_us": 0, "end_us": EVER, **how}
        found: list[Seen] = []
        page = Page([], None)
        while True:
            page = where(
                self.reader,
                wanted,
                after=page.next,
                limit=limit,
                track_of=self.track if exact else None,
                **asked,
            )
            assert len(page.spans) <= limit
            found += page.spans
            if page.next is None:
                places = [(seen.start_us, seen.camera) for seen in found if seen.start_us > asked["start_us"]]
                assert places == sorted(set(places))
                return found
            assert len(page.spans) == limit


def _movement(random: Random) -> Iterator[tuple[PanTiltZoom | None, int | None]]:
    """A camera picture by picture: patrols, trembles, creeps, turns without end, says nothing."""
    at = PRESETS[0]
    while True:
        match random.randrange(7):
            case 0 | 1 | 2:
                number = random.randrange(len(PRESETS))
                goal, steps = PRESETS[number], random.randrange(1, 12)
                for step in range(1, steps):
                    yield tuple(a + (b - a) * step // steps for a, b in zip(at, goal, strict=True)), None  # type: ignore[misc]
                at = goal
                for _ in range(random.choice([3, 12, 40, 200])):
                    yield at, number
            case 3:
                for _ in range(random.randrange(5, 60)):
                    yield ((at[0] + random.randrange(-9, 10)) % 36_000, at[1], at[2] + random.randrange(3)), None
            case 4:
                for _ in range(random.randrange(5, 150)):
                    at = ((at[0] + 137) % 36_000, at[1], at[2])
                    yield at, None
            case 5:
                for _ in range(random.randrange(5, 40)):
                    at = ((at[0] - 3) % 36_000, at[1], at[2])
                    yield at, None
            case 6:
                for _ in range(random.randrange(1, 9)):
                    yield None, None


def _runs(pictures: list[tuple[PanTiltZoom | None, int | None]]) -> tuple[list[Rest], list[Fact]]:
    facts, preset = [], None
    for number, (_, said) in enumerate(pictures):
        if said != preset and number % 5 == 0:  # told with I-VOPs
            facts.append(Fact(number, said, None))
            preset = said
    return [Rest(1, position) for position, _ in pictures], facts


class Telling:
    """An index that is told what cameras saw."""

    def __init__(self, folder: Path) -> None:
        path = folder / schema.INDEX_NAME
        schema.prepare(path)
        self.index = Index(path)
        self.archive = Archive(Reader(path), {})
        self._volume_id = self.index.add_volume("main", "u").result()
        self._cameras: dict[str, int] = {}
        self._seqs: dict[int, int] = {}

    def run(self, slug: str, number: int, start_us: int) -> None:
        if slug not in self._cameras:
            self._cameras[slug] = self.index.add_camera(slug, NOW).result()
            self.archive.films[slug] = Film(slug)
        run = Run(number, self._cameras[slug], slug, start_us, "connected", 0, "stream", start_us)
        self.index.begin_run(run).result()

    def segment(
        self, slug: str, run: int, start_us: int, rests: list[Rest], facts: list[Fact], *, labelled: bool = True
    ) -> int:
        """Five pictures a second. The segment's id."""
        frames = sum(rest.frames for rest in rests)
        end_us, ticks = start_us + frames * FRAME_US, frames * TICKS
        starts = list(range(0, ticks, TICKS))
        looks = looks_between(start_us, end_us, ticks, starts, rests, facts) if labelled else []
        seq = self._seqs[run] = self._seqs.get(run, -1) + 1
        row = SegmentRow(
            *(self._cameras[slug], run, seq, self._volume_id, start_us, end_us, frames, 1),
            *(Fraction(1, 90_000), 0, ticks),
        )
        segment_id = self.index.add_segment(row, looks).result()
        if labelled:
            film = self.archive.films[slug]
            track = track_of(label_of_track(pack_track(rests, facts), frames, start_us, end_us, ticks), starts)
            assert track is not None
            film.tracks[segment_id] = track
            film.looks += looks
        return segment_id

    def close(self) -> None:
        self.archive.reader.close()
        assert self.index.close(10)


@pytest.fixture
def telling(tmp_path: Path) -> Iterator[Telling]:
    made = Telling(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Three cameras for a quarter of an hour each, cut into segments, with gaps, ended links and a lost label."""
    telling = Telling(tmp_path_factory.mktemp("search"))
    for number, slug in enumerate(CAMERAS):
        random = Random(number)
        movement, at_us, run = _movement(random), NOW + number * 77_777, 1000 * (number + 1)
        for seq in range(30):
            if seq == 0 or random.randrange(8) == 0:
                at_us += 0 if seq == 0 else random.randrange(1, 9 * US)
                run += 1
                telling.run(slug, run, at_us)
            frames = random.choice([1, 7, 150, 150, 150])
            told = _runs([next(movement) for _ in range(frames)])
            telling.segment(slug, run, at_us, *told, labelled=seq != 13)
            at_us += frames * FRAME_US
    yield telling.archive
    telling.close()


def looked_there(wanted: Wanted, position: PanTiltZoom) -> bool:
    """Asked of one picture, in the plainest way."""
    pan, tilt, zoom = position
    if wanted.tilt is not None and not wanted.tilt[0] <= tilt <= wanted.tilt[1]:
        return False
    if wanted.zoom is not None and not wanted.zoom[0] <= zoom <= wanted.zoom[1]:
        return False
    return wanted.pan is None or (pan - wanted.pan.start) % 36_000 <= wanted.pan.width


def united(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        else:
            united.append((start, end))
    return united


def time_of(found: list[Seen], camera: str) -> list[tuple[int, int]]:
    return united([(seen.start_us, seen.end_us) for seen in found if seen.camera == camera])


def by_brute_force(film: Film, wanted: Wanted, start_us: int = 0, end_us: int = EVER) -> list[tuple[int, int]]:
    return united(
        [
            (max(start, start_us), min(end, end_us))
            for start, end, position in film.pictures()
            if position is not None and looked_there(wanted, position) and start < end_us and end > start_us
        ]
    )


_PAN = st.builds(
    lambda start, width: Arc(start % 36_000, width),
    st.one_of(st.sampled_from([100, 9_200, 35_950, 0, 35_999]), st.integers(0, 35_999)),
    st.one_of(st.sampled_from([0, 10, 20, 2_000, 36_000]), st.integers(0, 36_000)),
)
_TILT = st.tuples(st.integers(0, 19_000), st.integers(0, 19_000)).map(lambda two: (min(two), max(two)))
_ZOOM = st.tuples(st.integers(0, 9_999), st.integers(0, 9_999)).map(lambda two: (min(two), max(two)))
_WANTED = st.builds(
    Wanted,
    pan=st.one_of(st.none(), _PAN),
    tilt=st.one_of(st.none(), st.none(), _TILT),
    zoom=st.one_of(st.none(), st.none(), _ZOOM),
)
_FROM = st.integers(NOW - US, NOW + 1_000 * US)
_LATE = st.integers(NOW + 300 * US, NOW + 800 * US)  # so that an answer of short pages is not endless
_LASTS = st.one_of(st.integers(1, 5 * US), st.integers(1, 1_000 * US))


def test_there_is_something_to_find(archive: Archive) -> None:
    kinds = [look.view.kind for film in archive.films.values() for look in film.looks]
    assert kinds.count(LookKind.REST) > 100
    assert kinds.count(LookKind.SWEEP) > 100
    assert {look.view.preset for film in archive.films.values() for look in film.looks} == {None, 0, 1, 2, 3}


@settings(max_examples=50, deadline=None)
@given(_WANTED, _FROM, _LASTS)
@example(Wanted(), NOW, EVER)
def test_exactly_the_pictures_that_looked_there_are_found(
    archive: Archive, wanted: Wanted, start_us: int, lasts_us: int
) -> None:
    span = {"start_us": start_us, "end_us": start_us + lasts_us}
    found = archive.all(wanted, exact=True, **span)
    for camera, film in archive.films.items():
        assert time_of(found, camera) == by_brute_force(film, wanted, **span)
    for seen in found:
        assert wanted.holds(seen.box) or seen.kind is LookKind.SWEEP


@settings(max_examples=50, deadline=None)
@given(_WANTED, _FROM, _LASTS)
@example(Wanted(), 0, EVER)
def test_without_labels_rests_are_found_as_they_are_and_sweeps_by_their_box(
    archive: Archive, wanted: Wanted, start_us: int, lasts_us: int
) -> None:
    end_us = start_us + lasts_us
    found = archive.all(wanted, start_us=start_us, end_us=end_us)
    expected = [
        seen
        for film in archive.films.values()
        for seen in merged(film, lambda look: touches(wanted, look.view.box), start_us, end_us)
    ]
    expected.sort(key=lambda seen: (seen[1], seen[0]))
    clipped = [(camera, max(start, start_us), min(end, end_us), *rest) for camera, start, end, *rest in expected]
    assert [(s.camera, s.start_us, s.end_us, s.kind, s.preset) for s in found] == clipped


def touches(wanted: Wanted, box: Box) -> bool:
    def apart(one: tuple[int, int] | None, low: int, high: int) -> bool:
        return one is not None and (high < one[0] or low > one[1])

    if apart(wanted.tilt, box.tilt_from, box.tilt_to) or apart(wanted.zoom, box.zoom_from, box.zoom_to):
        return False
    if wanted.pan is None:
        return True
    width = (box.pan_to - box.pan_from) % 36_000
    edges = [wanted.pan.start, (wanted.pan.start + wanted.pan.width) % 36_000]
    return any((edge - box.pan_from) % 36_000 <= width for edge in edges) or (
        (box.pan_from - wanted.pan.start) % 36_000 <= wanted.pan.width
    )


def merged(
    film: Film, is_wanted: Callable[[Look], bool], start_us: int, end_us: int
) -> list[tuple[str, int, int, LookKind, int | None]]:
    """Looks that touch, are of one kind and preset, and (at rest) stay within 0.2 of the one before."""
    spans: list[tuple[str, int, int, LookKind, int | None]] = []
    before: Look | None = None
    for look in film.looks:
        if not is_wanted(look) or look.start_us >= end_us or look.end_us <= start_us:
            continue
        goes_on = (
            before is not None
            and look.start_us <= before.end_us
            and (look.view.kind, look.view.preset) == (before.view.kind, before.view.preset)
            and (look.view.kind is LookKind.SWEEP or _close(before.view.box, look.view.box))
        )
        if goes_on:
            spans[-1] = (*spans[-1][:2], look.end_us, *spans[-1][3:])
        else:
            spans.append((film.camera, look.start_us, look.end_us, look.view.kind, look.view.preset))
        before = look
    return spans


def _close(one: Box, other: Box) -> bool:
    pans = [one.pan_from, one.pan_to, other.pan_from, other.pan_to]
    arc = min(max((pan - low) % 36_000 for pan in pans) for low in pans)
    tilts = [*one[2:4], *other[2:4]]
    zooms = [*one[4:6], *other[4:6]]
    return arc <= 20 and max(tilts) - min(tilts) <= 20 and max(zooms) - min(zooms) <= 20


@settings(max_examples=25, deadline=None)
@given(
    _WANTED,
    _LATE,
    st.one_of(st.integers(1, 3), st.integers(1, 40)),
    st.booleans(),
    st.sampled_from([5 * US, 20 * US, 90 * US]),
    st.sampled_from([4, 40]),
)
def test_pages_of_any_length_and_questions_of_any_reach_make_the_same_answer(
    archive: Archive, wanted: Wanted, start_us: int, limit: int, exact: bool, step_us: int, few: int
) -> None:
    whole = archive.all(wanted, exact=exact, start_us=start_us)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search, "_FIRST_STEP_US", step_us)
        patched.setattr(search, "_FEW", few)
        patched.setattr(search, "_MANY", few)
        assert archive.all(wanted, exact=exact, start_us=start_us, limit=limit) == whole


@pytest.mark.parametrize("preset", range(4))
def test_a_preset_is_found_where_the_camera_rested_on_it(archive: Archive, preset: int) -> None:
    found = archive.all(Wanted(preset=preset))
    assert found
    for camera, film in archive.films.items():
        rests = [(look.start_us, look.end_us) for look in film.looks if look.view.preset == preset]
        assert time_of(found, camera) == united(rests)
    assert {seen.kind for seen in found} == {LookKind.REST}
    for seen in found:
        at = PRESETS[preset]
        assert abs(seen.box.pan_from - at[0]) <= 20
        assert abs(seen.box.tilt_from - at[1]) <= 20


def test_only_the_cameras_asked_for_are_searched(archive: Archive) -> None:
    assert {seen.camera for seen in archive.all(Wanted(), cameras=["gate", "door"])} == {"gate", "door"}
    assert archive.all(Wanted(), cameras=["nobody"]) == []
    assert archive.all(Wanted(), cameras=[]) == []


def test_a_label_that_cannot_be_read_leaves_the_answer_as_rough_as_the_index(archive: Archive) -> None:
    wanted = Wanted(pan=Arc(5_000, 100))
    page = where(archive.reader, wanted, start_us=0, end_us=EVER, track_of=lambda _: None)
    assert page.spans == archive.all(wanted)


@settings(max_examples=15, deadline=None)
@given(_PAN, st.one_of(st.none(), _TILT))
def test_what_was_in_the_picture_is_more_than_what_its_middle_was_on(
    archive: Archive, pan: Arc, tilt: tuple[int, int] | None
) -> None:
    fields = dict.fromkeys(CAMERAS, FieldOfView([(0, 55.4), (90.89, 2.2)]))
    middle = Wanted(pan, tilt)
    seen = Wanted(pan, tilt, in_view=fields)
    found = archive.all(seen, exact=True)
    for film in archive.films.values():
        known: dict[PanTiltZoom | None, bool] = {None: False}
        expected = []
        for start, end, position in film.pictures():
            if position is not None and position not in known:
                pan_, tilt_, zoom_ = position
                box = Box(pan_, pan_, tilt_, tilt_, zoom_, zoom_)
                known[position] = seen.touched_by(box, film.camera)
                if tilt_ <= 9_500 and looked_there(middle, position):
                    assert known[position]
            if known[position]:
                expected.append((start, end))
        assert time_of(found, film.camera) == united(expected)


# ---- deleting


def test_looks_go_with_their_segments_and_views_with_their_last_look(telling: Telling) -> None:
    telling.run("gate", 7, NOW)
    index, reader = telling.index, telling.archive.reader

    def add(seq: int, pan: int) -> int:
        rests = [Rest(150, (pan, 500, 0)), Rest(150, (5_000, 500, 0))]
        return telling.segment("gate", 7, NOW + seq * 60 * US, rests, [])

    def known() -> dict[int, int]:
        return {known.view.box.pan_from: known.id for known in reader.views()}

    first, second, third = add(0, 100), add(1, 200), add(2, 200)
    ids = known()
    assert sorted(ids) == [100, 200, 5_000]
    index.condemn([first], NOW).result()
    assert known() == {pan: id_ for pan, id_ in ids.items() if pan != 100}
    assert telling.archive.all(Wanted(pan=Arc(100, 0))) == []
    index.condemn([second], NOW).result()
    assert sorted(known()) == [200, 5_000]
    index.condemn([third], NOW).result()
    assert known() == {}
    # A view that is made again gets an id that nobody may still hold.
    add(3, 100)
    assert not set(known().values()) & set(ids.values())


# ---- order


def test_a_part_of_a_sweep_waits_for_what_another_camera_saw_before_it(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_FIRST_STEP_US", 3 * US)
    for run, slug in enumerate(("one", "two")):
        telling.run(slug, run, NOW)
    swinging = [Rest(1, (9_000 + 2_000 * (step // 4 % 2), 500, 0)) for step in range(50)]
    telling.segment("one", 0, NOW, [Rest(1, (0, 500, 0)), *swinging], [])
    telling.segment("two", 1, NOW + 5 * US + 100_000, [Rest(25, (9_000, 500, 0))], [])
    whole = telling.archive.all(Wanted(pan=Arc(9_000, 0)), exact=True)
    assert [seen.camera for seen in whole] == ["one"] * 4 + ["two"] + ["one"] * 3
    for limit in range(1, 8):
        assert telling.archive.all(Wanted(pan=Arc(9_000, 0)), exact=True, limit=limit) == whole


# ---- moves


def test_moves_go_from_rest_to_rest(archive: Archive) -> None:
    for film in archive.films.values():
        found = list(moves(archive.reader, film.camera, 0, EVER))
        assert len(found) > 20
        assert [move.start_us for move in found] == sorted(move.start_us for move in found)
        inner = [move for move in found if move.before is not None and move.after is not None]
        assert inner
        rests = {look.end_us: look.view for look in film.looks if look.view.kind is LookKind.REST}
        for move in inner:
            assert rests[move.start_us] == move.before


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], ""),
        ([(10, 100)], ""),
        ([(10, 100), (None, 900), (10, 5_000)], "100>5000 in 1.0"),
        ([(10, 100), (10, 110)], ""),
        ([(10, 100), (10, 3_000)], "100>3000 in 0.0"),
        ([(None, 900), (10, 5_000)], "?>5000 in 1.0"),
        ([(10, 100), (None, 900)], "100>? in 1.0"),
        ([(10, 100), (None, 900), (10, 5_000), (None, 900), (10, 100)], "100>5000 in 1.0, 5000>100 in 1.0"),
    ],
)
def test_what_is_a_move(telling: Telling, told: list[tuple[int | None, int]], expected: str) -> None:
    """Seconds at a pan, or a second of movement of so many hundredths a picture."""
    rests: list[Rest] = []
    pan = 0
    for seconds, place in told:
        if seconds is None:
            rests += [Rest(1, ((pan + place * step) % 36_000, 500, 0)) for step in range(1, 6)]
        else:
            pan = place
            rests.append(Rest(seconds * 5, (pan, 500, 0)))
    telling.run("gate", 7, NOW)
    if rests:
        telling.segment("gate", 7, NOW, rests, [])
    assert ", ".join(map(_told, moves(telling.archive.reader, "gate", 0, EVER))) == expected


def test_what_happened_while_nothing_was_recorded_is_no_move(telling: Telling) -> None:
    telling.run("gate", 7, NOW)
    telling.segment("gate", 7, NOW, [Rest(50, (0, 500, 0))], [])
    telling.segment("gate", 7, NOW + 10 * US, [Rest(50, (3_000, 500, 0))], [])
    telling.segment("gate", 7, NOW + 21 * US, [Rest(50, (6_000, 500, 0))], [])
    found = list(moves(telling.archive.reader, "gate", 0, EVER))
    assert [(move.start_us, move.end_us) for move in found] == [(NOW + 10 * US, NOW + 10 * US)]


def _told(move: Move) -> str:
    before = "?" if move.before is None else move.before.box.pan_from
    after = "?" if move.after is None else move.after.box.pan_from
    return f"{before}>{after} in {(move.end_us - move.start_us) / US:.1f}"

"""Footage divided by where the camera looked: rests and sweeps, every moment in one of them."""

from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvr.media.errors import NotDecodable
from nvr.media.positions import Fact, Rest, pack_track
from nvr.store.looks import LONGEST_SWEEP_US, REST_WIDTH, SHORTEST_REST_US, Looks, looks_between, looks_of
from nvr.store.rows import Box, Look, LookKind, View
from nvr.units import US, PanTiltZoom
from tests.store.labels import label_of_track

FPS = 10
TICKS = 9_000
Told = tuple[int, PanTiltZoom | None, int | None]


def looked(told: list[Told], end_us: int) -> list[Look]:
    looks = Looks()
    for at_us, position, preset in told:
        looks.add(at_us, position, preset)
    return looks.finish(end_us)


def story(text: str, *, preset: int | None = None) -> str:
    """Looks of a camera told as `seconds@pan`, `+` for a step of pan in each tenth: `2@100 +5*3 2@115`."""
    told: list[Told] = []
    at_us, pan = 0, 0
    for word in text.split():
        if word.startswith(("+", "-")):
            step, _, times = word.partition("*")
            for _ in range(int(times)):
                pan += int(step)
                told.append((at_us, (pan % 36_000, 500, 0), preset))
                at_us += US // FPS
            continue
        seconds, _, place = word.partition("@")
        if place == "?":
            told.append((at_us, None, preset))
        else:
            pan = int(place)
            told.append((at_us, (pan, 500, 0), preset))
        at_us += round(float(seconds) * US)
    return ", ".join(map(_told, looked(told, at_us)))


def _told(look: Look) -> str:
    box, seconds = look.view.box, f"{look.start_us / US:g}-{look.end_us / US:g}"
    pan = str(box.pan_from) if box.pan_from == box.pan_to else f"{box.pan_from}..{box.pan_to}"
    return f"{look.view.kind.value} {pan} {seconds}"


@pytest.mark.parametrize(
    ("moving", "told"),
    [
        ("60@100", "rest 100 0-60"),
        ("1@100", "rest 100 0-1"),
        ("0.9@100", "sweep 100 0-0.9"),
        # Jitter within 0.2 degrees is rest, and its box is told to the hundredth.
        ("2@100 1@110 1@95", "rest 95..110 0-4"),
        ("2@100 1@121", "rest 100 0-2, rest 121 2-3"),
        # A move: its ends are rounded outwards to whole degrees.
        ("2@1000 +200*5 2@2200", "rest 1000 0-2, sweep 1200..2000 2-2.5, rest 2200 2.5-4.5"),
        ("2@1000 +210*5 2@2200", "rest 1000 0-2, sweep 1200..2100 2-2.5, rest 2200 2.5-4.5"),
        # A stop too short belongs to the sweep.
        ("2@1000 +200*2 0.5@1500 +200*2 2@2200", "rest 1000 0-2, sweep 1200..1900 2-2.9, rest 2200 2.9-4.9"),
        # A rest that creeps away is one rest after the other.
        ("1@100 1@115 1@130", "rest 100..115 0-2, rest 130 2-3"),
        # Slowing down: the rest begins as soon as everything after it fits, and not one picture later.
        ("+100*3 +15*1 2@316", "sweep 100..200 0-0.2, rest 300..316 0.2-2.4"),
        ("+100*3 +15*1 +3*2 2@321", "sweep 100..300 0-0.3, rest 315..321 0.3-2.6"),
        # Through zero, both ways.
        ("2@35900 +50*4 2@100", "rest 35900 0-2, sweep 35900..100 2-2.3, rest 100 2.3-4.4"),
        ("2@35995 1@4", "rest 35995..4 0-3"),
        ("2@100 -50*4 2@35900", "rest 100 0-2, sweep 35900..100 2-2.3, rest 35900 2.3-4.4"),
        # All the way round.
        ("+1000*36", "sweep 1000..0 0-3.6"),
        ("+1000*37", "sweep 0..35999 0-3.7"),
        # Long movement is cut every ten seconds.
        ("+100*250", "sweep 100..10000 0-10, sweep 10100..20000 10-20, sweep 20100..25000 20-25"),
        # Where the camera says nothing, nothing is known.
        ("2@100 3@? 2@100", "rest 100 0-2, rest 100 5-7"),
        ("0.5@100 3@? 0.4@100", "sweep 100 0-0.5, sweep 100 3.5-3.9"),
        ("5@?", ""),
    ],
)
def test_rests_and_sweeps(moving: str, told: str) -> None:
    assert story(moving) == told


def test_every_axis_counts() -> None:
    def kinds(*positions: PanTiltZoom) -> list[str]:
        told: list[Told] = [(number * US, position, None) for number, position in enumerate(positions)]
        return [look.view.kind.value for look in looked(told, len(positions) * US)]

    assert kinds((0, 500, 0), (20, 520, 20)) == ["rest"]
    assert kinds((0, 500, 0), (21, 500, 0)) == ["rest", "rest"]
    assert kinds((0, 500, 0), (0, 521, 0)) == ["rest", "rest"]
    assert kinds((0, 500, 0), (0, 500, 21)) == ["rest", "rest"]


def test_an_axis_that_stood_during_a_sweep_is_told_as_it_stood() -> None:
    told: list[Told] = [(number * US // FPS, (10_050 + 30 * number, 1_234, 77), None) for number in range(10)]
    [look] = looked(told, US)
    assert look.view == View(LookKind.SWEEP, Box(10_000, 10_400, 1_234, 1_234, 77, 77), None)


def test_what_is_rounded_outwards_stays_within_what_a_camera_can_take() -> None:
    told: list[Told] = [
        (number * US // FPS, (0, 18_950 - 30 * number, 9_970 - 25 * number), None) for number in range(9)
    ]
    [look] = looked(told, US * 9 // FPS)
    assert look.view.box == Box(0, 0, 18_700, 19_000, 9_700, 9_999)


# ---- presets


def presets(told: list[Told], end_us: int) -> list[tuple[float, float, int | None]]:
    return [(look.start_us / US, look.end_us / US, look.view.preset) for look in looked(told, end_us)]


HERE, THERE = (100, 500, 0), (9_000, 500, 0)


def test_a_preset_named_after_the_camera_came_to_rest_counts_from_the_beginning_of_the_rest() -> None:
    told: list[Told] = [(0, HERE, 3), (5 * US, THERE, 3), (5 * US + 700_000, THERE, 4)]
    assert presets(told, 20 * US) == [(0, 5, 3), (5, 20, 4)]


def test_a_preset_named_much_later_counts_from_then() -> None:
    told: list[Told] = [(0, HERE, None), (5 * US, THERE, None), (30 * US, THERE, 4)]
    assert presets(told, 40 * US) == [(0, 5, None), (5, 30, None), (30, 40, 4)]


def test_a_preset_named_with_the_first_picture_is_believed_at_once() -> None:
    assert presets([(0, HERE, 3), (4 * US, HERE, 5)], 9 * US) == [(0, 4, 3), (4, 9, 5)]


def test_a_rest_is_never_cut_into_less_than_a_second() -> None:
    told: list[Told] = [(0, HERE, 1), (US // 2, HERE, 2), (4 * US, HERE, 3), (4 * US + 1, HERE, 4), (9 * US, HERE, 5)]
    assert presets(told, 9 * US + US // 2) == [(0, 4, 2), (4, 9.5, 4)]


def test_a_sweep_stands_on_no_preset() -> None:
    told: list[Told] = [(number * US // FPS, (number * 100, 500, 0), 7) for number in range(20)]
    assert presets(told, 2 * US) == [(0, 2, None)]


# ---- everything else that must always hold

_JUMP = st.integers(-4_000, 4_000)
_STEP = st.one_of(st.just(0), st.integers(-3, 3), st.integers(-25, 25), _JUMP)


@st.composite
def _camera(draw: st.DrawFn) -> tuple[list[Told], int]:
    """A camera that stands, trembles, creeps, moves and jumps, and sometimes says nothing."""
    told: list[Told] = []
    at_us, pan, tilt, zoom = draw(st.integers(0, 10**15)), *draw(_PLACE)
    for _ in range(draw(st.integers(1, 25))):
        lasts_us = draw(st.one_of(st.integers(1, US // 5), st.integers(1, 3 * US), st.integers(9 * US, 31 * US)))
        if draw(st.integers(0, 9)) == 0:
            told.append((at_us, None, None))
        else:
            pan = (pan + draw(_STEP)) % 36_000
            tilt = max(0, min(19_000, tilt + draw(_STEP)))
            zoom = max(0, min(9_999, zoom + draw(_STEP)))
            told.append((at_us, (pan, tilt, zoom), draw(st.one_of(st.none(), st.integers(0, 3)))))
        at_us += lasts_us
    return told, at_us


_PLACE = st.tuples(st.integers(0, 35_999), st.integers(0, 19_000), st.integers(0, 9_999))


@settings(max_examples=100)
@given(_camera())
def test_every_moment_with_a_position_is_in_exactly_one_look_and_no_other_is(camera: tuple[list[Told], int]) -> None:
    told, end_us = camera
    known = [
        (begin[0], end)
        for begin, end in zip(told, [*(at for at, _, _ in told[1:]), end_us], strict=True)
        if begin[1] is not None
    ]
    assert _united((look.start_us, look.end_us) for look in looked(told, end_us)) == _united(known)
    assert all(one.end_us <= next_.start_us for one, next_ in pairwise(looked(told, end_us)))


@settings(max_examples=100)
@given(_camera())
def test_each_look_is_what_it_says(camera: tuple[list[Told], int]) -> None:
    told, end_us = camera
    for look in looked(told, end_us):
        box, lasts_us = look.view.box, look.end_us - look.start_us
        assert all(_holds(box, position) for position in _during(told, end_us, look))
        if look.view.kind is LookKind.REST:
            assert lasts_us >= SHORTEST_REST_US
            assert max(_widths(box)) <= REST_WIDTH
        else:
            assert lasts_us <= LONGEST_SWEEP_US
            assert look.view.preset is None


@settings(max_examples=100)
@given(_camera())
def test_no_stretch_of_a_second_within_a_sweep_was_a_rest(camera: tuple[list[Told], int]) -> None:
    """Sweeps that follow one another are looked at as one: their cuts hide nothing."""
    told, end_us = camera
    ends = [*(at for at, _, _ in told[1:]), end_us]
    for start_us, until_us in _united(
        (look.start_us, look.end_us) for look in looked(told, end_us) if look.view.kind is LookKind.SWEEP
    ):
        runs = [
            (max(at, start_us), min(end, until_us), position)
            for (at, position, _), end in zip(told, ends, strict=True)
            if position is not None and at < until_us and end > start_us
        ]
        for first in range(len(runs)):
            still = [runs[first][2]]
            for last in range(first, len(runs)):
                still.append(runs[last][2])
                if not _all_still(still):
                    break
                assert runs[last][1] - runs[first][0] < SHORTEST_REST_US


def _all_still(positions: list[PanTiltZoom]) -> bool:
    """By trying every place as the lowest one of an arc."""
    pans = [pan for pan, _, _ in positions]
    arc = min(max((pan - low) % 36_000 for pan in pans) for low in pans)
    return arc <= REST_WIDTH and all(
        max(column) - min(column) <= REST_WIDTH for column in list(zip(*positions, strict=True))[1:]
    )


def _widths(box: Box) -> tuple[int, int, int]:
    return (box.pan_to - box.pan_from) % 36_000, box.tilt_to - box.tilt_from, box.zoom_to - box.zoom_from


def _holds(box: Box, position: PanTiltZoom) -> bool:
    pan, tilt, zoom = position
    return (
        (pan - box.pan_from) % 36_000 <= (box.pan_to - box.pan_from) % 36_000
        and box.tilt_from <= tilt <= box.tilt_to
        and box.zoom_from <= zoom <= box.zoom_to
    )


def _during(told: list[Told], end_us: int, look: Look) -> list[PanTiltZoom]:
    ends = [*(at for at, _, _ in told[1:]), end_us]
    return [
        position
        for (at, position, _), end in zip(told, ends, strict=True)
        if position is not None and at < look.end_us and end > look.start_us
    ]


def _united(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in spans:
        if united and united[-1][1] == start:
            united[-1] = united[-1][0], end
        else:
            united.append((start, end))
    return united


# ---- from labels


def test_the_looks_of_a_label_are_those_of_its_pictures_one_by_one() -> None:
    random = Random(7)
    for _ in range(50):
        rests = [
            Rest(random.randrange(1, 30), random.choice([None, (random.randrange(0, 400), 500, 0), HERE]))
            for _ in range(random.randrange(1, 20))
        ]
        frames = sum(rest.frames for rest in rests)
        facts = [
            Fact(at, random.choice([None, 1, 2]), None) for at in sorted(random.sample(range(frames), min(4, frames)))
        ]
        ticks, at = [], 0
        for _ in range(frames):
            ticks.append(at)
            at += random.randrange(1, 2 * TICKS)
        start_us, end_us = 1_000_000_007, 1_000_000_007 + at * US // 90_000
        told: list[Told] = []
        said = dict.fromkeys(range(frames))
        for fact in facts:
            said |= dict.fromkeys(range(fact.frame, frames), fact.preset)
        frame = 0
        for count, position in rests:
            told += [
                (start_us + ticks[number] * (end_us - start_us) // at, position, said[number])
                for number in range(frame, frame + count)
            ]
            frame += count
        assert looks_between(start_us, end_us, at, ticks, rests, facts) == looked(told, end_us)
        label = label_of_track(pack_track(rests, facts), frames, start_us, end_us, at)
        assert looks_of(label, ticks) == looked(told, end_us)


def test_a_label_without_positions_has_no_looks() -> None:
    assert looks_of(label_of_track(None, 3, 0, 3 * US, 3 * TICKS), [0, TICKS, 2 * TICKS]) == []


@pytest.mark.parametrize(
    ("rests", "facts", "ticks", "said"),
    [
        ([Rest(2, HERE)], [], [0, 1, 2], "not of 3 pictures"),
        ([Rest(3, HERE)], [], [0, 1], "not of 2 pictures"),
        ([Rest(3, HERE)], [], [0, 1, 3 * TICKS], "last longer"),
        ([Rest(3, (36_000, 0, 0))], [], [0, 1, 2], "no camera can take"),
        ([Rest(3, (1 << 60, 0, 0))], [], [0, 1, 2], "no camera can take"),
        ([Rest(3, HERE)], [Fact(0, 1 << 60, None)], [0, 1, 2], "no camera has"),
    ],
)
def test_a_label_that_does_not_go_with_its_pictures_is_refused(
    rests: list[Rest], facts: list[Fact], ticks: list[int], said: str
) -> None:
    with pytest.raises(NotDecodable, match=said):
        looks_of(label_of_track(pack_track(rests, facts), 3, 0, 3 * US, 3 * TICKS), ticks)

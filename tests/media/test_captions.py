"""The words beside the pictures say exactly what the camera said, and strange words say nothing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.media.captions import Caption, Line, compose, parse, tell, track_of
from nvr.media.positions import Rest, unpack_facts, unpack_positions
from nvr.units import US, PanTiltZoom

NOW = 1_795_442_602_123_456  # 2026-11-23 14:03:22.123456 UTC
POSITIONS = st.tuples(st.integers(0, 35_999), st.integers(0, 19_000), st.integers(0, 9_999))
WORDS = st.none() | st.integers(0, 999)


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        (
            ((9_215, 180, 1_200), 3, 0, NOW),
            "pan 92.15° tilt -3.20° zoom 12.00 preset 3 tracking 0 · 2026-11-23 14:03:22.123 UTC",
        ),
        (((0, 0, 0), None, None, None), "pan 0.00° tilt -5.00° zoom 0.00"),
        (((35_999, 19_000, 9_999), None, None, None), "pan 359.99° tilt 185.00° zoom 99.99"),
        (((7, 499, 5), 100, None, None), "pan 0.07° tilt -0.01° zoom 0.05 preset 100"),
        ((None, None, None, NOW), "position unknown · 2026-11-23 14:03:22.123 UTC"),
    ],
)
def test_a_text_reads_as_the_camera_speaks(caption: tuple[PanTiltZoom | None, int, int, int], text: str) -> None:
    position, preset, tracking, utc_us = caption
    assert compose(position, tell(preset, tracking), utc_us) == text


@given(st.none() | POSITIONS, WORDS, WORDS, st.none() | st.integers(0, 4_000_000_000 * US))
def test_what_is_written_is_read_back_to_the_hundredth(
    position: PanTiltZoom | None, preset: int | None, tracking: int | None, utc_us: int | None
) -> None:
    read = parse(compose(position, tell(preset, tracking), utc_us))
    assert read == Caption(position, preset, tracking, None if utc_us is None else utc_us // 1000 * 1000)


def test_every_hundredth_has_its_own_words() -> None:
    for axis, most in enumerate((35_999, 19_000, 9_999)):
        for value in range(most + 1):
            position = (value if axis == 0 else 1, value if axis == 1 else 500, value if axis == 2 else 3)
            read = parse(compose(position))
            assert read is not None
            assert read.position == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pan 92.15",
        "pan 360.00° tilt 0.00° zoom 0.00",
        "pan 0.00° tilt -5.01° zoom 0.00",
        "pan 0.00° tilt 185.01° zoom 0.00",
        "pan 0.00° tilt 0.00° zoom 0.00 preset",
        "pan 0.00° tilt 0.00° zoom 0.00 preset 1000",
        "pan ٣.00° tilt 0.00° zoom 0.00",
        "position unknown · 2026-02-30 14:03:22.123 UTC",
        "position unknown · 2026-11-23 14:03:22.123 UTC\n",
        "position unknown" + " " * 1000,
        "\0" * 60,
    ],
)
def test_words_that_are_not_ours_say_nothing(text: str) -> None:
    assert parse(text) is None


@given(st.text())
def test_no_text_whatever_stops_the_reader(text: str) -> None:
    read = parse(text)
    assert read is None or compose(read.position, tell(read.preset, read.tracking), read.utc_us) == text


@given(st.lists(st.tuples(st.integers(1, 5), st.none() | POSITIONS, WORDS), max_size=20))
def test_the_track_of_a_file_is_rebuilt_from_its_texts(said: list[tuple[int, PanTiltZoom | None, int | None]]) -> None:
    lines: list[Line] = []
    positions: list[PanTiltZoom | None] = []
    presets: list[int | None] = []
    for frames, position, preset in said:
        lines.append(Line(len(positions) * 3_000, frames * 3_000, compose(position, tell(preset, None))))
        positions += [position] * frames
        presets += [preset] * frames
    packed = track_of([number * 3_000 for number in range(len(positions))], lines).pack()
    assert unpack_positions(packed, len(positions)) == positions
    told = [None, *presets]
    changes = [(number, after) for number, (before, after) in enumerate(pairwise(told)) if before != after]
    assert [(fact.frame, fact.preset) for fact in unpack_facts(packed)] == changes


def test_where_no_text_stands_nothing_is_known() -> None:
    here, there = (1, 2, 3), (4, 5, 6)
    lines = [Line(2, 3, compose(here)), Line(5, 2, "\0\0 torn"), Line(7, 2, compose(there))]
    assert track_of(range(12), lines).rests() == [
        Rest(2, None),
        Rest(3, here),
        Rest(2, None),
        Rest(2, there),
        Rest(3, None),
    ]

"""From zoom to degrees, and what was in a picture."""

import itertools
from math import atan2, degrees, radians, tan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvr.store.field_of_view import ALL_ROUND, Arc, FieldOfView, Sector, folded, of_model
from nvr.store.rows import Box

LENS = FieldOfView([(0, 60.0), (50, 6.0), (90, 2.0)])
LEVEL = 500


def point(pan: int, tilt: int, zoom: int) -> Box:
    return Box(pan, pan, tilt, tilt, zoom, zoom)


def test_the_points_of_the_table_are_kept_and_between_them_magnification_grows_evenly() -> None:
    assert LENS.width_degrees(0) == pytest.approx(60)
    assert LENS.width_degrees(5_000) == pytest.approx(6)
    assert LENS.width_degrees(9_000) == pytest.approx(2)
    assert LENS.width_degrees(9_999) == pytest.approx(2)
    halves = [tan(radians(LENS.width_degrees(zoom) / 2)) for zoom in (0, 1_000, 2_000, 3_000, 4_000, 5_000)]
    factors = [one / next_ for one, next_ in itertools.pairwise(halves)]
    assert factors == pytest.approx([factors[0]] * 5)


def test_the_picture_is_three_quarters_as_high_as_wide() -> None:
    assert tan(radians(LENS.height_degrees(700) / 2)) == pytest.approx(0.75 * tan(radians(LENS.width_degrees(700) / 2)))


def test_one_point_is_a_lens_that_never_zooms() -> None:
    assert FieldOfView([(10, 40.0)]).width_degrees(0) == pytest.approx(40)
    assert FieldOfView([(10, 40.0)]).width_degrees(9_999) == pytest.approx(40)


@pytest.mark.parametrize(
    ("model", "tele"),
    [("VN-V685U", 27), ("VN-V686U", 36), ("VN-V686BU", 36), ("VN-V686", 36), ("VN-X999", 27), ("", 27), (None, 27)],
)
def test_a_model_has_the_lens_of_its_optical_zoom_and_an_unknown_one_the_wider(model: str | None, tele: int) -> None:
    lens = of_model(model)
    assert lens.width_degrees(0) == pytest.approx(55.4)
    shrunk = tan(radians(55.4 / 2)) / tan(radians(lens.width_degrees(9_089) / 2))
    assert shrunk == pytest.approx(tele)


def test_a_picture_of_the_horizon_shows_half_its_width_to_either_side() -> None:
    [seen] = LENS.seen(point(1_000, LEVEL, 0))
    half = round(LENS.height_degrees(0) * 50)
    side = round(degrees(atan2(tan(radians(30)), 1)) * 100)
    assert seen == Sector(Arc((1_000 - side) % 36_000, 2 * side), LEVEL - half, LEVEL + half)


def test_the_further_down_the_more_directions_until_all_of_them() -> None:
    widths = [LENS.seen(point(0, LEVEL + down * 100, 0))[0].pan.width for down in range(0, 91, 5)]
    assert widths == sorted(widths)
    assert widths[-1] == ALL_ROUND.width
    assert LENS.seen(point(0, LEVEL + 9_000, 9_000))[0].pan == ALL_ROUND
    assert LENS.seen(point(0, LEVEL + 6_000, 9_000))[0].pan.width < 1_000


def test_over_its_back_a_camera_sees_what_is_behind() -> None:
    over = LENS.seen(point(1_000, LEVEL + 18_000, 5_000))
    [behind] = LENS.seen(point(19_000, LEVEL, 5_000))
    assert over == [behind]


def test_a_tilt_range_beyond_straight_down_is_looked_for_on_the_other_side() -> None:
    assert folded(Arc(1_000, 50), 9_000, 10_500) == [
        Sector(Arc(1_000, 50), 9_000, 9_500),
        Sector(Arc(19_000, 50), 8_500, 9_500),
    ]


_PLACE = st.tuples(st.integers(0, 35_999), st.integers(0, 19_000), st.integers(0, 9_999))


@settings(max_examples=200)
@given(_PLACE, _PLACE, _PLACE)
def test_a_box_shows_at_least_what_each_of_its_places_shows(
    one: tuple[int, int, int], other: tuple[int, int, int], inner: tuple[int, int, int]
) -> None:
    pan = Arc(one[0], (other[0] - one[0]) % 36_000)
    tilts, zooms = sorted((one[1], other[1])), sorted((one[2], other[2]))
    box = Box(one[0], other[0], *tilts, *zooms)
    place = point(
        (pan.start + inner[0] * pan.width // 36_000) % 36_000,
        tilts[0] + (tilts[1] - tilts[0]) * inner[1] // 19_000,
        zooms[0] + (zooms[1] - zooms[0]) * inner[2] // 9_999,
    )
    shown = LENS.seen(box)
    for sector in LENS.seen(place):
        assert any(
            # Rounding on either side.
            Arc((all_.pan.start - 2) % 36_000, all_.pan.width + 4).holds(sector.pan)
            and all_.tilt_from - 2 <= sector.tilt_from
            and sector.tilt_to <= all_.tilt_to + 2
            for all_ in shown
        )


# ---- arcs

_ARC = st.builds(Arc, st.integers(0, 35_999), st.integers(0, 36_000))


def _places(arc: Arc) -> set[int]:
    return {(arc.start + step) % 36_000 for step in range(min(arc.width, 35_999) + 1)}


@settings(max_examples=60)
@given(_ARC, _ARC)
def test_arcs_touch_and_hold_as_their_places_do(one: Arc, other: Arc) -> None:
    assert one.touches(other) == bool(_places(one) & _places(other))
    assert one.holds(other) == (_places(other) <= _places(one))
    joined = one.joined(other)
    assert _places(joined) >= _places(one) | _places(other)
    assert joined.width <= min(one.width + other.width + 36_000, 35_999)

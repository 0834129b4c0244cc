from datetime import UTC, datetime

import pytest

from nvr.jvc.date import compare, read, written
from nvr.units import US

HOUR_US = 3600 * US
NOON_US = round(datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()) * US


@pytest.mark.parametrize(
    ("said", "zone_h", "offset_s"),
    [
        ("20261125120000", 0.0, 0.5),
        ("20261125130000", 1.0, 0.5),
        ("20261125064503", -5.25, 3.5),
        ("20261125174455", 5.75, -4.5),
        ("20261126020000", 14.0, 0.5),
    ],
)
def test_what_lies_beside_a_zone_is_how_wrong_a_clock_is(said: str, zone_h: float, offset_s: float) -> None:
    reading = compare(said, NOON_US)
    assert reading is not None
    assert reading.zone_us == zone_h * HOUR_US
    assert reading.offset_us == offset_s * US


def test_a_clock_that_is_days_off_says_nothing_of_its_zone() -> None:
    reading = compare("20000101000000", NOON_US)
    assert reading is not None
    assert reading.zone_us is None
    assert reading.offset_us < -26 * 365 * 24 * HOUR_US


@pytest.mark.parametrize("said", ["", "2026", "20261325000000", "20261125250000", "yesterday"])
def test_what_is_no_date_is_none(said: str) -> None:
    assert read(said) is None
    assert compare(said, NOON_US) is None


def test_a_moment_is_written_as_the_camera_is_told_it() -> None:
    assert written(NOON_US + 7 * US, 0) == "20261125120007"
    assert written(NOON_US, HOUR_US) == "20261125130000"
    assert read(written(NOON_US, -15 * 60 * US)) == datetime(2026, 11, 25, 11, 45)  # noqa: DTZ001 - of no zone

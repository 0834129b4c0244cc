"""Moments as people type them."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.cli.errors import WrongUseError
from nvr.cli.times import duration_text, iso_utc, local_text, read_iso_utc, read_moment
from nvr.units import US, UtcMicros

NOW = UtcMicros(1_763_899_200 * US)


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * US


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("now", NOW),
        ("-10m", NOW - 600 * US),
        ("-2h", NOW - 7200 * US),
        ("-3d", NOW - 3 * 86400 * US),
        ("-0s", NOW),
        ("2025-11-23T13:04:05+01:00", us("2025-11-23T12:04:05+00:00")),
        ("2025-11-23T13:04:05.5+0100", us("2025-11-23T12:04:05+00:00") + US // 2),
        ("2025-11-23 13:04-0330", us("2025-11-23T16:34:00+00:00")),
        ("2025-11-23T13:04Z", us("2025-11-23T13:04:00+00:00")),
        ("2025-11-23T13:04:05.123456Z", us("2025-11-23T13:04:05+00:00") + 123_456),
        ("1970-01-01T00:00Z", 0),
        # local, in winter and in summer
        ("2025-11-23", us("2025-11-23T00:00:00+01:00")),
        ("2025-11-23T13:04", us("2025-11-23T13:04:00+01:00")),
        ("2025-07-23 13:04:05", us("2025-07-23T13:04:05+02:00")),
    ],
)
def test_every_form_of_the_contract_is_understood(berlin: None, text: str, means: int) -> None:
    assert read_moment(text, NOW) == (means, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "10m",
        "-10",
        "-10y",
        "-m",
        "2025-11",
        "23.11.2025",
        "2025-13-01",
        "2025-02-29",
        "2025-11-23T25:00",
        "2025-11-23T10",
        "2025-11-23Z",
        "2025-11-23T10:00:61Z",
        "2025-11-23T10:00:00.1234567Z",
        "2025-11-23T10:00+25:00",
        "1969-12-31T23:59Z",
        "9999-12-31",
        "-999999999d",
        "٢٠٢٥-١١-٢٣",
        "2025-11-23T10:00 Europe/Berlin",
        "\n2025-11-23",
    ],
)
def test_nonsense_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        read_moment(text, NOW)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_hour_that_came_twice_is_taken_outward_and_said(berlin: None) -> None:
    first, second = us("2025-10-26T02:30:00+02:00"), us("2025-10-26T02:30:00+01:00")
    assert read_moment("2025-10-26T02:30", NOW) == (
        first,
        "2025-10-26T02:30 came twice here; taken as 2025-10-26T02:30:00+02:00, the other one is "
        "2025-10-26T02:30:00+01:00",
    )
    later = read_moment("2025-10-26T02:30", NOW, later=True)
    assert later.us == second
    assert later.note is not None
    assert read_moment("2025-10-26T02:30+01:00", NOW) == (second, None)
    assert read_moment("2025-10-26T01:59:59", NOW).note is None
    assert read_moment("2025-10-26T03:00", NOW).note is None


def test_an_hour_that_never_came_is_refused(berlin: None) -> None:
    with pytest.raises(WrongUseError, match="'2025-03-30T02:30' was skipped here when the clocks went forward"):
        read_moment("2025-03-30T02:30", NOW)
    assert read_moment("2025-03-30T03:00", NOW).us == us("2025-03-30T01:00:00+00:00")


@given(st.integers(0, 200_000_000_000 * US))
def test_what_is_printed_for_machines_reads_back_to_the_microsecond(at_us: int) -> None:
    text = iso_utc(at_us)
    assert len(text) == 27
    assert read_iso_utc(text) == at_us
    assert read_moment(text, NOW).us == at_us


@given(st.datetimes(datetime(1971, 1, 1), datetime(8999, 1, 1)))  # noqa: DTZ001 - local time is what is tested
def test_local_time_is_the_wall_clock_of_the_moment_it_names(at: datetime) -> None:
    moment = read_moment(at.replace(fold=0).isoformat(), NOW)
    there = datetime.fromtimestamp(moment.us // US, UTC).astimezone()
    assert there.replace(tzinfo=None, fold=0) == at.replace(microsecond=0, fold=0)


def test_people_see_local_time_with_its_offset(berlin: None) -> None:
    assert local_text(us("2025-10-26T02:30:00+02:00")) == "2025-10-26 02:30:00+0200"
    assert local_text(us("2025-10-26T02:30:00+01:00")) == "2025-10-26 02:30:00+0100"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (60, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7384, "2 h 03 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_read_aloud(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.alarm import Change
from nvr.jvc.log import CameraLog, LogEntry, Moment, Told, is_date, parse, placed
from nvr.units import US

# Fact sheet 5.6.
SHEET = """\
system.log=&200 OK
system alive time: 2142sec
Dec 19 14:35:32 vn-v685 user.info evman: Motion Detect
Dec 19 14:36:03 vn-v685 user.info evman: Alarm Detect (m1)
Dec 19 14:36:04 vn-v685 user.info evman: Alarm Detect (b2)
"""


def log(*lines: str) -> CameraLog:
    return parse(f"{line} vn-v685 user.info evman: {what}" for line, what in (one.split(" - ") for one in lines))


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * US


def told(log: CameraLog, date: str, at: str, *heard: Told) -> str:
    """What the log tells, where system.date says `date` at `at`."""
    return " ".join(
        f"{one.change}@{datetime.fromtimestamp(one.utc_us / US, UTC):%Y-%m-%dT%H:%M:%S}"
        for one in placed(log, date, utc(at), heard)
    )


def test_the_fact_sheets_log_is_read() -> None:
    read = parse(SHEET.splitlines())
    assert read.alive_s == 2142
    assert [(entry.at, entry.change) for entry in read.entries] == [
        (Moment(12, 19, 14, 35, 32), Change.V1),
        (Moment(12, 19, 14, 36, 3), Change.M1),
        (Moment(12, 19, 14, 36, 4), Change.B2),
    ]
    assert read.entries[1].text == "Dec 19 14:36:03 vn-v685 user.info evman: Alarm Detect (m1)"


def test_a_code_at_the_end_of_each_line_changes_nothing() -> None:
    with_codes = [f"{line}&200 OK" if "&" not in line else line for line in SHEET.splitlines()]
    assert parse(with_codes) == parse(SHEET.splitlines())


def test_a_log_that_begins_behind_its_name_is_read() -> None:
    (entry,) = parse(["system.log=Dec  9 04:05:06 vn-v686 user.info evman: Alarm Detect (B1)&200 OK"]).entries
    assert (entry.at, entry.change) == (Moment(12, 9, 4, 5, 6), Change.B1)


@pytest.mark.parametrize(
    "line",
    [
        "fan error",
        "Dec 19 14:36:03 vn-v685 user.err evman: Fan stopped",
        "Dec 19 14:36:03 vn-v685 user.info evman: Motion Detect stopped",
        "Dec 19 14:36:03 vn-v685 user.info evman: Alarm Detect (m3)",
    ],
)
def test_what_is_no_alarm_stays_as_text(line: str) -> None:
    assert [(entry.text, entry.change) for entry in parse([line]).entries] == [(line, None)]


def test_a_month_that_is_none_leaves_a_line_without_time() -> None:
    assert parse(["Dez 19 14:36:03 x evman: Motion Detect"]).entries == (
        LogEntry("Dez 19 14:36:03 x evman: Motion Detect", None, None),
    )


def test_times_are_placed_by_the_cameras_own_date_whatever_its_zone_and_error() -> None:
    read = parse(SHEET.splitlines())
    assert told(read, "20081219143700", "2026-11-23T10:00:00") == (
        "v1@2026-11-23T09:58:32 m1@2026-11-23T09:59:03 b2@2026-11-23T09:59:04"
    )


def test_entries_come_in_the_order_of_time() -> None:
    read = log("Jan  2 10:00:05 - Alarm Detect (b1)", "Jan  2 10:00:00 - Alarm Detect (m1)")
    assert told(read, "20260102100010", "2026-01-02T10:00:10") == "m1@2026-01-02T10:00:00 b1@2026-01-02T10:00:05"


def test_an_entry_of_last_year_is_placed_there() -> None:
    read = log("Dec 31 23:59:50 - Motion Detect", "Jan  1 00:00:05 - Motion Detect")
    assert told(read, "20270101000010", "2027-01-01T00:00:10") == "v1@2026-12-31T23:59:50 v1@2027-01-01T00:00:05"


def test_a_29th_of_february_is_placed_in_the_last_leap_year() -> None:
    assert told(log("Feb 29 12:00:00 - Motion Detect"), "20260301000000", "2026-03-01T00:00:00") == (
        "v1@2024-02-29T12:00:00"
    )


@pytest.mark.parametrize("moment", ["Feb 30 12:00:00", "Jan  1 24:00:00", "Jan  1 10:60:00"])
def test_a_time_that_the_calendar_does_not_have_is_left_out(moment: str) -> None:
    assert told(log(f"{moment} - Motion Detect"), "20260301000000", "2026-03-01T00:00:00") == ""


def test_an_entry_that_is_yet_to_come_is_left_out() -> None:
    read = log("Jan  2 10:01:00 - Alarm Detect (m1)", "Jan  2 11:00:00 - Alarm Detect (b1)")
    assert told(read, "20260102100000", "2026-01-02T10:00:00") == "m1@2026-01-02T10:01:00"


def test_a_log_in_another_zone_than_the_date_is_placed_by_what_was_heard() -> None:
    read = log("Jan  2 15:30:00 - Alarm Detect (m1)", "Jan  2 15:35:00 - Alarm Detect (b1)")
    heard = Told(Change.M1, utc("2026-01-02T10:00:01"))
    assert told(read, "20260102100600", "2026-01-02T10:06:00", heard) == "m1@2026-01-02T10:00:00 b1@2026-01-02T10:05:00"


def test_what_was_heard_confirms_the_date_rather_than_a_zone() -> None:
    read = log(*(f"Jan  2 10:{minute:02}:00 - Motion Detect" for minute in (0, 15, 30)))
    heard = [Told(Change.V1, utc(f"2026-01-02T10:{minute:02}:00")) for minute in (0, 15, 30)]
    assert told(read, "20260102103100", "2026-01-02T10:31:00", *heard) == (
        "v1@2026-01-02T10:00:00 v1@2026-01-02T10:15:00 v1@2026-01-02T10:30:00"
    )


@pytest.mark.parametrize(
    "date", ["", "never", "20261301000000", "2026010100000", "00000101000000", "２０２６0102100000"]
)
def test_a_date_that_is_none_places_nothing(date: str) -> None:
    assert not is_date(date)
    assert placed(parse(SHEET.splitlines()), date, utc("2026-11-23T10:00:00")) == []


def test_the_end_of_an_endless_log_counts() -> None:
    read = parse(f"Jan  2 10:00:{number % 60:02} x evman: line {number}" for number in range(5000))
    assert len(read.entries) == 1000
    assert read.entries[-1].text.endswith("line 4999")


_LINES = st.lists(
    st.text(max_size=60)
    | st.sampled_from(SHEET.splitlines())
    | st.from_regex(r"(Jan|Feb|Dec) [0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2} x evman: Motion Detect", fullmatch=True),
    max_size=12,
)


@given(_LINES, st.from_regex(r"[0-9]{14}", fullmatch=True), st.integers(0, 4_000_000_000 * US))
def test_whatever_the_log_says_nothing_breaks_and_nothing_is_yet_to_come(
    lines: list[str], date: str, utc_us: int
) -> None:
    for one in placed(parse(lines), date, utc_us, [Told(Change.V1, utc_us)]):
        assert one.utc_us <= utc_us + 90 * US

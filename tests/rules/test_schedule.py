"""A schedule is what the clock on the wall says, on every day of every zone."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.rules.schedule import During, Schedule, parse_exception, parse_window
from nvr.units import US

MINUTE = 60 * US
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# North and south of the equator, half an hour of switch, offsets off the hour, a switch at midnight, no switch,
# the far ends of the calendar, and a zone that once skipped a whole day.
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "America/Santiago",
    "UTC",
    "Pacific/Kiritimati",
    "Pacific/Apia",
    "Africa/Casablanca",
]


def utc_us(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def schedule(*windows: str, zone: str = "Europe/Berlin", except_: tuple[str, ...] = ()) -> Schedule:
    return Schedule.parse(zone, windows, except_)


def told(kept: Schedule, start: str, end: str) -> str:
    """Where the level changes between two moments, minute by minute, as the clock on the wall shows it."""
    said = []
    level = None
    for at_us in range(utc_us(start), utc_us(end), MINUTE):
        if kept.is_inside(at_us) is not level:
            level = kept.is_inside(at_us)
            wall = kept.wall_clock(at_us)
            said.append(f"{'in' if level else 'out'} {wall:%a %H:%M%z}")
    return ", ".join(said)


# ---- windows


def test_a_window_begins_with_its_first_minute_and_ends_before_its_last() -> None:
    office = schedule("mon-fri 08:00-17:00")
    assert told(office, "2026-11-23T00:00+01:00", "2026-11-24T00:00+01:00") == (
        "out Mon 00:00+0100, in Mon 08:00+0100, out Mon 17:00+0100"
    )
    assert office.is_inside(utc_us("2026-11-23T17:00:00+01:00") - 1)
    assert not office.is_inside(utc_us("2026-11-23T17:00:00+01:00"))


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    assert told(schedule("fri 18:00-06:00"), "2026-11-27T00:00+01:00", "2026-11-29T00:00+01:00") == (
        "out Fri 00:00+0100, in Fri 18:00+0100, out Sat 06:00+0100"
    )


def test_several_windows_are_one_schedule_and_may_touch() -> None:
    nights = schedule("mon-fri 18:00-06:00", "sat,sun 00:00-24:00")
    assert told(nights, "2026-11-27T12:00+01:00", "2026-11-30T12:00+01:00") == (
        "out Fri 12:00+0100, in Fri 18:00+0100, out Mon 00:00+0100"
    )


def test_weekdays_may_go_round_the_end_of_the_week_and_be_left_out() -> None:
    assert parse_window("sat-mon 10:00-11:00").weekdays == {5, 6, 0}
    assert parse_window("sun,wed 10:00-11:00").weekdays == {6, 2}
    assert parse_window("10:00-11:00").weekdays == set(range(7))


# ---- exceptions


def test_an_exception_takes_away_the_windows_that_begin_on_its_days() -> None:
    nights = schedule("18:00-06:00", except_=("2026-12-24..2026-12-25",))
    assert told(nights, "2026-12-23T12:00+01:00", "2026-12-27T12:00+01:00") == (
        "out Wed 12:00+0100, in Wed 18:00+0100, out Thu 06:00+0100, in Sat 18:00+0100, out Sun 06:00+0100"
    )


def test_an_exception_of_one_day_is_that_day() -> None:
    assert parse_exception("2026-12-24") == (date(2026, 12, 24), date(2026, 12, 24))


def test_the_leap_day_is_a_day_like_any_other() -> None:
    always = schedule("00:00-24:00", except_=("2028-02-29",))
    assert told(always, "2028-02-28T00:00+01:00", "2028-03-02T00:00+01:00") == (
        "in Mon 00:00+0100, out Tue 00:00+0100, in Wed 00:00+0100"
    )
    tuesdays = schedule("tue 22:00-02:00")
    assert told(tuesdays, "2028-02-29T12:00+01:00", "2028-03-01T12:00+01:00") == (
        "out Tue 12:00+0100, in Tue 22:00+0100, out Wed 02:00+0100"
    )


# ---- daylight saving time


def test_in_spring_a_window_is_shorter_by_the_hour_that_is_skipped() -> None:
    assert told(schedule("22:00-06:00"), "2027-03-27T12:00Z", "2027-03-28T12:00Z") == (
        "out Sat 13:00+0100, in Sat 22:00+0100, out Sun 06:00+0200"
    )


def test_in_spring_a_window_that_would_begin_in_the_skipped_hour_begins_after_it() -> None:
    assert told(schedule("02:30-05:00"), "2027-03-28T00:00Z", "2027-03-28T06:00Z") == (
        "out Sun 01:00+0100, in Sun 03:00+0200, out Sun 05:00+0200"
    )
    assert told(schedule("01:00-02:30"), "2027-03-27T23:00Z", "2027-03-28T06:00Z") == (
        "out Sun 00:00+0100, in Sun 01:00+0100, out Sun 03:00+0200"
    )


def test_in_spring_a_window_wholly_in_the_skipped_hour_is_not() -> None:
    assert told(schedule("02:00-03:00"), "2027-03-27T23:00Z", "2027-03-28T06:00Z") == "out Sun 00:00+0100"


def test_in_autumn_an_hour_that_comes_twice_is_inside_both_times() -> None:
    assert told(schedule("22:00-06:00"), "2026-10-24T12:00Z", "2026-10-25T12:00Z") == (
        "out Sat 14:00+0200, in Sat 22:00+0200, out Sun 06:00+0100"
    )
    assert told(schedule("02:00-02:30"), "2026-10-24T22:00Z", "2026-10-25T06:00Z") == (
        "out Sun 00:00+0200, in Sun 02:00+0200, out Sun 02:30+0200, in Sun 02:00+0100, out Sun 02:30+0100"
    )


def test_a_switch_of_half_an_hour_and_one_at_midnight_are_switches_too() -> None:
    assert told(schedule("01:00-02:15", zone="Australia/Lord_Howe"), "2026-10-03T12:00Z", "2026-10-03T20:00Z") == (
        "out Sat 22:30+1030, in Sun 01:00+1030, out Sun 02:30+1100"
    )
    assert told(schedule("23:00-00:30", zone="Asia/Beirut"), "2026-03-28T12:00Z", "2026-03-29T12:00Z") == (
        "out Sat 14:00+0200, in Sat 23:00+0200, out Sun 01:00+0300"
    )


# ---- properties


def _windows() -> st.SearchStrategy[str]:
    days = st.sampled_from(["", "mon ", "fri-mon ", "sat,sun ", "mon-fri "])
    minutes = st.integers(0, 1439)
    ends = st.integers(1, 1440)
    pairs = st.tuples(minutes, ends).filter(lambda pair: pair[0] != pair[1])
    return st.builds(
        lambda day, pair: f"{day}{pair[0] // 60:02}:{pair[0] % 60:02}-{pair[1] // 60:02}:{pair[1] % 60:02}", days, pairs
    )


def _schedules() -> st.SearchStrategy[Schedule]:
    days = st.dates(date(2026, 1, 1), date(2029, 1, 1))
    spans = st.builds(lambda day, length: f"{day}..{day + timedelta(days=length)}", days, st.integers(0, 20))
    return st.builds(
        lambda zone, windows, except_: Schedule.parse(zone, windows, except_),
        st.sampled_from(ZONES),
        st.lists(_windows(), min_size=1, max_size=3),
        st.lists(spans, max_size=2),
    )


FIRST_US, LAST_US = utc_us("2026-01-01T00:00Z"), utc_us("2029-01-01T00:00Z")


def _switches(zone: str) -> list[int]:
    """The days within which the zone's clocks are set, forwards or back."""
    offsets = [(at_us, schedule("00:00-24:00", zone=zone).wall_clock(at_us)) for at_us in range(FIRST_US, LAST_US, DAY)]
    return [at_us for (at_us, one), (_, next_) in pairwise(offsets) if one.utcoffset() != next_.utcoffset()]


SWITCHES = sorted({at_us for zone in ZONES for at_us in _switches(zone)})
LEAP_DAY_US = utc_us("2028-02-29T00:00Z")

# Any moment of these years, and often one within a day of a switch of some zone's clocks or of the leap day.
MOMENTS = st.one_of(
    st.integers(FIRST_US, LAST_US),
    st.builds(lambda day_us, off: day_us + off, st.sampled_from([*SWITCHES, LEAP_DAY_US]), st.integers(-DAY, 2 * DAY)),
)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Schedule, int]:
    """A schedule and a moment, often one beside the days that the schedule excepts."""
    at_us = draw(MOMENTS)
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).date()
    first = st.integers(-3, 3).map(lambda days: day + timedelta(days=days))
    spans = st.builds(lambda one, length: f"{one}..{one + timedelta(days=length)}", first, st.integers(0, 2))
    windows = draw(st.lists(_windows(), min_size=1, max_size=3))
    return Schedule.parse(draw(st.sampled_from(ZONES)), windows, draw(st.lists(spans, max_size=2))), at_us


def test_the_zones_have_switches_in_both_directions_and_at_several_hours() -> None:
    forwards, back = set(), set()
    for zone in ZONES:
        kept = schedule("00:00-24:00", zone=zone)
        for day_us in _switches(zone):
            at_us = next(
                us for us in range(day_us, day_us + DAY, MINUTE) if _offset(kept, us) != _offset(kept, us + MINUTE)
            )
            ahead = _offset(kept, at_us + MINUTE) > _offset(kept, at_us)
            (forwards if ahead else back).add(f"{kept.wall_clock(at_us):%H:%M}")
    assert len(forwards) >= 2, forwards
    assert len(back) >= 2, back


def _offset(kept: Schedule, at_us: int) -> timedelta:
    offset = kept.wall_clock(at_us).utcoffset()
    assert offset is not None
    return offset


def _said_on_paper(kept: Schedule, at_us: int) -> bool:
    """The same by another way: every minute of wall time is looked up in a list of the days' minutes."""
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).astimezone(kept.zone)
    shown = wall.replace(tzinfo=None, second=0, microsecond=0)
    for window in kept.windows:
        for begun in (wall.date(), wall.date() - timedelta(days=1)):
            if begun.weekday() in window.weekdays and not any(a <= begun <= b for a, b in kept.exceptions):
                start = datetime.combine(begun, datetime.min.time()) + timedelta(minutes=window.begin_minute)
                if start <= shown < start + timedelta(minutes=window.end_minute - window.begin_minute):
                    return True
    return False


@given(case=_cases())
def test_the_level_is_what_the_wall_clock_says_at_any_moment_of_any_zone(case: tuple[Schedule, int]) -> None:
    kept, at_us = case
    assert kept.is_inside(at_us) is _said_on_paper(kept, at_us)


@given(case=_cases())
def test_the_next_change_is_a_change_and_nothing_changes_before_it(case: tuple[Schedule, int]) -> None:
    kept, at_us = case
    change_us = kept.next_change(at_us)
    level = kept.is_inside(at_us)
    until_us = at_us + 10 * DAY if change_us is None else change_us
    if change_us is not None:
        assert change_us > at_us
        assert kept.is_inside(change_us) is not level
        assert kept.is_inside(change_us - 1) is level
    steps = range(at_us, min(until_us, at_us + 10 * DAY), 17 * MINUTE)
    assert all(kept.is_inside(moment) is level for moment in steps)


@given(kept=_schedules(), at_us=MOMENTS, steps=st.lists(st.integers(-2 * DAY, 2 * DAY), max_size=5))
def test_a_clock_that_steps_during_a_window_finds_the_level_of_the_time_it_shows(
    kept: Schedule, at_us: int, steps: list[int]
) -> None:
    fresh = Schedule.parse(
        kept.zone.key,
        [window.text for window in kept.windows],
        [f"{first}..{last}" for first, last in kept.exceptions],
    )
    for step_us in [*steps, 0]:
        at_us += step_us
        assert kept.is_inside(at_us) is fresh.is_inside(at_us) is _said_on_paper(kept, at_us)


@given(at_us=MOMENTS, zone=st.sampled_from(ZONES))
def test_inside_and_outside_are_never_both(at_us: int, zone: str) -> None:
    kept = schedule("mon-fri 18:00-06:00", zone=zone)
    assert During("nights", kept).is_now(at_us) is not During("nights", kept, outside=True).is_now(at_us)


# ---- what is refused


@pytest.mark.parametrize(
    ("window", "why"),
    [
        ("mon-fri 18:00", "has the window 'mon-fri 18:00', which cannot be read; write"),
        ("mon-fri", "has the window 'mon-fri', which cannot be read; write"),
        ("mon 8:00-9:00", "has the window 'mon 8:00-9:00', which cannot be read; write"),
        (
            "mon-fry 08:00-09:00",
            "has the window 'mon-fry 08:00-09:00', in which 'mon-fry' is no weekday; they are mon,",
        ),
        ("mon,,tue 08:00-09:00", "has the window 'mon,,tue 08:00-09:00', in which '' is no weekday; they are mon,"),
        ("mon 08:60-09:00", "has the window 'mon 08:60-09:00', in which 08:60 is no time of day"),
        ("mon 08:00-24:01", "has the window 'mon 08:00-24:01', in which 24:01 is no time of day"),
        ("mon 24:00-06:00", "has the window 'mon 24:00-06:00', which begins at 24:00; write 00:00 of the day after"),
        ("mon 10:00-10:00", "has the window 'mon 10:00-10:00', which is empty; a whole day is 00:00-24:00"),
        ("", "has the window '', which cannot be read; write"),
    ],
)
def test_a_wrong_window_is_refused_with_a_sentence_that_names_it(window: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as refused:
        parse_window(window)
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    ("exception", "why"),
    [
        ("2026-12-32", "in which '2026-12-32' is no date"),
        ("2027-02-29", "in which '2027-02-29' is no date"),
        ("christmas", "in which 'christmas' is no date"),
        ("20261224", "in which '20261224' is no date"),
        ("2026-12-24..", "in which '' is no date"),
        ("2026-12-26..2026-12-24", "which ends before it begins"),
    ],
)
def test_a_wrong_exception_is_refused_with_a_sentence_that_names_it(exception: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as refused:
        parse_exception(exception)
    assert str(refused.value).startswith(f"has the exception {exception!r}, {why}")


@pytest.mark.parametrize("zone", ["Europe/Berln", "", "../../etc/passwd", "/etc/localtime", "Europe", "a" * 5000, "\0"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match=r"names the time zone .* is not known; ") as refused:
        Schedule.parse(zone, ["00:00-24:00"])
    assert len(str(refused.value)) < 200


def test_a_zone_that_is_nearly_one_is_refused_with_the_one_it_is_near() -> None:
    with pytest.raises(ValueError, match="did you mean 'Europe/Berlin'"):
        Schedule.parse("Europe/Berln", ["00:00-24:00"])


def test_a_schedule_that_never_is_is_refused() -> None:
    with pytest.raises(ValueError, match="has no window, so it never is; add one to windows"):
        Schedule.parse("UTC", [])
    with pytest.raises(ValueError, match="never is: its exceptions take away every window"):
        Schedule.parse("UTC", ["mon 08:00-09:00"], ["2000-01-01..2200-12-31"])
    with pytest.raises(ValueError, match="never is: its exceptions take away every window"):
        Schedule.parse("UTC", ["tue 08:00-09:00"], ["2050-01-04..2200-12-31", "0001-01-01..2050-01-02"])


def test_a_schedule_that_is_on_one_day_of_its_decades_is_a_schedule() -> None:
    once = Schedule.parse("UTC", ["mon 08:00-09:00"], ["2050-01-04..2200-12-31", "0001-01-01..2050-01-02"])
    assert once.is_inside(utc_us("2050-01-03T08:30Z"))


def test_the_time_outside_a_schedule_that_always_is_is_refused() -> None:
    always = {"on": schedule("mon-fri 00:00-24:00", "sat 00:00-12:00", "sat 12:00-00:00", "sun 00:00-24:00")}
    with pytest.raises(ValueError, match="is '!on', which never is: the schedule 'on' has no time outside it"):
        During.parse("!on", always)
    assert During.parse("on", always)
    assert During.parse("!on", {"on": schedule("00:00-24:00", except_=("2026-12-24",))})
    assert During.parse("!on", {"on": schedule("00:00-23:59")})


def test_a_schedule_that_nobody_wrote_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="names the schedule 'night', but the schedules are: days, nights"):
        During.parse("!night", {"nights": schedule("18:00-06:00"), "days": schedule("06:00-18:00")})
    with pytest.raises(ValueError, match="names the schedule 'night', but there is no schedule"):
        During.parse("night", {})


def test_more_windows_than_a_tick_can_look_at_are_refused() -> None:
    with pytest.raises(ValueError, match="has more than 400 entries"):
        Schedule.parse("UTC", ["00:00-24:00"] * 401)


# ---- for people


def test_a_side_of_a_schedule_is_said_with_its_clock_and_its_end() -> None:
    nights = During.parse("nights", {"nights": schedule("mon-fri 18:00-06:00")})
    assert nights.said(utc_us("2026-11-23T19:03:22+01:00")) == (
        "Mon 2026-11-23 19:03:22 CET in Europe/Berlin is inside 'nights', until Tue 2026-11-24 06:00 CET"
    )
    assert nights.said(utc_us("2026-11-28T07:00+01:00")) == (
        "Sat 2026-11-28 07:00 CET in Europe/Berlin is outside 'nights', until Mon 2026-11-30 18:00 CET"
    )
    assert During("on", schedule("00:00-24:00", zone="UTC")).said(0) == (
        "Thu 1970-01-01 00:00 UTC in UTC is inside 'on', and stays so"
    )


def test_a_long_exception_is_looked_over() -> None:
    closed = During("open", schedule("mon 08:00-09:00", except_=("2026-06-01..2027-06-20",)))
    assert closed.said(utc_us("2026-07-01T12:00+02:00")).endswith("until Mon 2027-06-21 08:00 CEST")


def test_equal_words_make_equal_schedules() -> None:
    assert schedule("18:00-06:00") == schedule("18:00-06:00")
    assert schedule("18:00-06:00").zone is ZoneInfo("Europe/Berlin")

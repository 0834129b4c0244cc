"""When a schedule is: a level read off the clock on the wall of its zone, at any moment anew, never a pair of events.

That is what makes it right over both switches of daylight saving time, after a restart and after a step of the clock:
an hour that comes twice is inside a window both times, one that is skipped never, and nothing is remembered.
A window belongs to the day on which it begins, for its weekdays and for exceptions alike: `fri 18:00-06:00` lasts into
Saturday, and an exception of that Friday takes all of it away.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)
_DAY_MINUTES: Final = 24 * 60
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# A daemon of today lives in these years. A schedule that is in none of them never is; asking the clock instead would
# let a configuration that was right yesterday refuse to start today.
_OUR_YEARS: Final = (date(2020, 1, 1), date(2099, 12, 31))
_MOST: Final = 400  # windows or exceptions: one a day; each is looked at, at every tick

_WINDOW: Final = re.compile(r"(?:(\S+) +)?(\d\d):(\d\d) *- *(\d\d):(\d\d)", re.ASCII)
_WRITE: Final = 'write "mon-fri 18:00-06:00", "sat,sun 00:00-24:00" or "08:00-17:00"'


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day, on the weekdays it begins on."""

    text: str
    """As written."""
    weekdays: frozenset[int]
    """0 is Monday."""
    begin_minute: int
    """0..1439, of the day it begins on."""
    end_minute: int
    """1..2879, of the same day: above 1440 it lasts over midnight."""

    def is_inside(self, day: date, minute: int) -> bool:
        """Whether the window that begins on `day` holds this minute of it (1440 and more: of the day after)."""
        return day.weekday() in self.weekdays and self.begin_minute <= minute < self.end_minute


class Days(NamedTuple):
    """Calendar days, both ends included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Schedule:
    """Windows of the week in one zone, less the windows that begin on excepted days."""

    zone: ZoneInfo
    windows: tuple[Window, ...]
    exceptions: tuple[Days, ...] = ()

    @classmethod
    def parse(cls, timezone: str, windows: Sequence[str], except_: Sequence[str] = ()) -> Self:
        """Reads a [schedule.*] table. Raises ValueError with a sentence's end, also where the schedule never is."""
        for many in (windows, except_):
            if len(many) > _MOST:
                raise ValueError(f"has more than {_MOST} entries")
        zone = parse_timezone(timezone)
        schedule = cls(
            zone, tuple(parse_window(text) for text in windows), tuple(parse_exception(text) for text in except_)
        )
        if not schedule.windows:
            raise ValueError("has no window, so it never is; add one to windows")
        if not schedule.is_ever():
            raise ValueError("never is: its exceptions take away every window")
        return schedule

    def is_inside(self, utc_us: int) -> bool:
        """Whether the schedule is, at this moment."""
        wall = self.wall_clock(utc_us)
        today, minute = wall.date(), wall.hour * 60 + wall.minute
        return self._begun_on(today, minute) or self._begun_on(today - _DAY, minute + _DAY_MINUTES)

    def next_change(self, utc_us: int) -> int | None:
        """The first moment after this one at which the schedule begins or ends; None where it stays as it is."""
        level = self.is_inside(utc_us)
        moments = {moment for day in self._telling_days(utc_us) for moment in self._telling_moments(day)}
        later = sorted(moment for moment in moments if moment > utc_us)
        return next((moment for moment in later if self.is_inside(moment) is not level), None)

    def is_ever(self) -> bool:
        """Whether there is a day in these decades on which a window begins."""
        weekdays = frozenset().union(*(window.weekdays for window in self.windows))
        return any(not self._is_excepted(day) and day.weekday() in weekdays for day in self._days_after_exceptions())

    def is_always(self) -> bool:
        """Whether its windows fill the week and no exception takes one away, so that there is no time outside it."""
        first, last = _OUR_YEARS
        if any(days.first <= last and days.last >= first for days in self.exceptions):
            return False
        monday = date(2024, 1, 1)
        return all(
            any(
                window.is_inside(day, minute) or window.is_inside(day - _DAY, minute + _DAY_MINUTES)
                for window in self.windows
            )
            for day in (monday + number * _DAY for number in range(7))
            for minute in range(_DAY_MINUTES)
        )

    def wall_clock(self, utc_us: int) -> datetime:
        """What the clock on the wall of its zone shows."""
        return (_EPOCH + timedelta(microseconds=utc_us)).astimezone(self.zone)

    def _begun_on(self, day: date, minute: int) -> bool:
        return any(window.is_inside(day, minute) for window in self.windows) and not self._is_excepted(day)

    def _is_excepted(self, day: date) -> bool:
        return any(days.first <= day <= days.last for days in self.exceptions)

    def _days_after_exceptions(self) -> Iterable[date]:
        """Of every stretch of days without an exception the first week, which tells of the rest of it."""
        first, last = _OUR_YEARS
        for start in (first, *(_day_after(days.last) for days in self.exceptions)):
            for number in range(7):
                if first <= start and start + number * _DAY <= last:
                    yield start + number * _DAY

    def _telling_days(self, utc_us: int) -> set[date]:
        """The days on which the next change can be: within a week of now, or of the edge of an exception."""
        today = self.wall_clock(utc_us).date()
        edges = {today}
        for days in self.exceptions:
            edges.update(edge for edge in (days.first, _day_after(days.last)) if edge > today)
        return {edge + number * _DAY for edge in edges if edge < date(9999, 12, 1) for number in range(-1, 9)}

    def _telling_moments(self, day: date) -> set[int]:
        """Every moment of a day at which a level can change: the edges of windows, midnight, a switch of the clocks."""
        minutes = {0}
        for window in self.windows:
            minutes.update((window.begin_minute, window.end_minute % _DAY_MINUTES))
        walls = [datetime.combine(day, time(minute // 60, minute % 60)) for minute in minutes]
        moments = {self._utc_us(wall, fold) for wall in walls for fold in (0, 1)}
        midnight = datetime.combine(day, time())
        switch = self._switch_between(self._utc_us(midnight, 0), self._utc_us(midnight + _DAY, 1))
        return moments if switch is None else moments | {switch}

    def _switch_between(self, before_us: int, after_us: int) -> int | None:
        """The first microsecond of another offset from UTC; None where the offset is the same at both."""
        offset = self.wall_clock(before_us).utcoffset()
        if self.wall_clock(after_us).utcoffset() == offset:
            return None
        while after_us - before_us > 1:
            middle_us = (before_us + after_us) // 2
            if self.wall_clock(middle_us).utcoffset() == offset:
                before_us = middle_us
            else:
                after_us = middle_us
        return after_us

    def _utc_us(self, wall: datetime, fold: int) -> int:
        return (wall.replace(tzinfo=self.zone, fold=fold) - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class During:
    """The time inside a named schedule, or outside it: "nights" or "!nights"."""

    name: str
    schedule: Schedule
    outside: bool = False

    @classmethod
    def parse(cls, word: str, schedules: Mapping[str, Schedule]) -> Self:
        """Reads the word of a rule's or a camera's `schedule`. Raises ValueError with a sentence's end."""
        name = word.removeprefix("!")
        if name not in schedules:
            known = f"the schedules are: {', '.join(sorted(schedules))}" if schedules else "there is no schedule"
            raise ValueError(f"names the schedule {_shown(name)}, but {known}")
        during = cls(name, schedules[name], outside=word.startswith("!"))
        if during.outside and during.schedule.is_always():
            raise ValueError(f"is {_shown(word)}, which never is: the schedule '{name}' has no time outside it")
        return during

    def is_now(self, utc_us: int) -> bool:
        """Whether it is that time."""
        return self.schedule.is_inside(utc_us) is not self.outside

    def said(self, utc_us: int) -> str:
        """For a person: which side of the schedule a moment is on, by which clock, and for how long."""
        wall = self.schedule.wall_clock(utc_us)
        side = "inside" if self.schedule.is_inside(utc_us) else "outside"
        until_us = self.schedule.next_change(utc_us)
        until = "and stays so" if until_us is None else f"until {_written(self.schedule.wall_clock(until_us))}"
        return f"{_written(wall)} in {self.schedule.zone.key} is {side} '{self.name}', {until}"

    def __str__(self) -> str:
        return f"!{self.name}" if self.outside else self.name


def parse_timezone(name: str) -> ZoneInfo:
    """A zone by its name in the time zone database. Raises ValueError with a sentence's end."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(name[:60], sorted(available_timezones()), n=1)
        hint = f"did you mean '{near[0]}'?" if near else 'write it as in "Europe/Berlin" or "UTC"'
        raise ValueError(f"names the time zone {_shown(name)}, which is not known; {hint}") from None


def parse_window(text: str) -> Window:
    """Reads "mon-fri 18:00-06:00"; without weekdays it begins every day. Raises ValueError with a sentence's end."""
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"has the window {_shown(text)}, which cannot be read; {_WRITE}")
    days, *clock = found.groups()
    begin, end = _minutes(text, *clock[:2]), _minutes(text, *clock[2:])
    if begin == _DAY_MINUTES:
        raise ValueError(f"has the window {_shown(text)}, which begins at 24:00; write 00:00 of the day after")
    if begin == end:
        raise ValueError(f"has the window {_shown(text)}, which is empty; a whole day is 00:00-24:00")
    return Window(
        text=text,
        weekdays=frozenset(range(7)) if days is None else _weekdays(text, days),
        begin_minute=begin,
        end_minute=end if end > begin else end + _DAY_MINUTES,
    )


def parse_exception(text: str) -> Days:
    """Reads "2026-12-24..2026-12-26" or one day, "2026-12-24". Raises ValueError with a sentence's end."""
    first, dots, last = text.strip().partition("..")
    days = Days(_date(text, first), _date(text, last if dots else first))
    if days.last < days.first:
        raise ValueError(f"has the exception {_shown(text)}, which ends before it begins")
    return days


def _minutes(text: str, hours: str, minutes: str) -> int:
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > _DAY_MINUTES:
        raise ValueError(f"has the window {_shown(text)}, in which {hours}:{minutes} is no time of day")
    return total


def _weekdays(text: str, days: str) -> frozenset[int]:
    named: set[int] = set()
    for part in days.split(","):
        first, dash, last = part.partition("-")
        if first not in _WEEKDAYS or (dash and last not in _WEEKDAYS):
            raise ValueError(
                f"has the window {_shown(text)}, in which {_shown(part)} is no weekday; "
                f"they are {', '.join(_WEEKDAYS)}, and fri-mon for several"
            )
        begin = _WEEKDAYS.index(first)
        length = (_WEEKDAYS.index(last) - begin) % 7 if dash else 0
        named.update((begin + number) % 7 for number in range(length + 1))
    return frozenset(named)


def _date(text: str, day: str) -> date:
    try:
        if len(day) == 10:  # the other forms of ISO 8601 are no dates to a person
            return date.fromisoformat(day)
    except ValueError:
        pass
    raise ValueError(
        f"has the exception {_shown(text)}, in which {_shown(day)} is no date; "
        'write "2026-12-24" or "2026-12-24..2026-12-26"'
    )


def _day_after(day: date) -> date:
    return day + _DAY if day < date.max else day


def _written(wall: datetime) -> str:
    seconds = f":{wall:%S}" if wall.second else ""
    return f"{_WEEKDAYS[wall.weekday()].capitalize()} {wall:%Y-%m-%d %H:%M}{seconds} {wall:%Z}"


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")

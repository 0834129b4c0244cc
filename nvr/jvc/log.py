"""The camera's own log, `system.log`: guide 6.18, fact sheet 5.6.

It tells of alarms that nobody listened to. Its times have no year, whole seconds and the camera's own clock in a zone
that is stated nowhere: they are placed by what the camera's date is at the same moment.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from nvr.jvc import date
from nvr.jvc.alarm import Change
from nvr.jvc.date import ZONE_STEP_US
from nvr.units import US

NAME: Final = "system.log"
DATE_NAME: Final = date.NAME

_MAX_ENTRIES: Final = 1_000  # 10 KB (guide 6.18) are some 200
_TAIL: Final = re.compile(r"&\d{3}(?!\d)[ \w]*$", re.ASCII)
_ALIVE: Final = re.compile(r"system alive time *: *(\d{1,10}) *sec", re.IGNORECASE | re.ASCII)
_ENTRY: Final = re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) +(\d\d):(\d\d):(\d\d)(?!\d)(.*)", re.ASCII)
_ALARM: Final = re.compile(r".*\balarm detect(?:ed)? *\( *([mb][12]) *\)", re.IGNORECASE)
_MOTION: Final = re.compile(r".*\bmotion detect(?:ed)?(?: *\(\w*\))?", re.IGNORECASE)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_YEARS_BACK: Final = 8  # from one 29 February to the next there are at most so many
_WIDEST_ZONES_US: Final = 26 * 3600 * US
_SAME_US: Final = 3 * US  # two clocks read in whole seconds, and a request's way
_FUTURE_US: Final = 90 * US


class Moment(NamedTuple):
    """A time as the log has it: of some year, by the camera's clock."""

    month: int
    day: int
    hour: int
    minute: int
    second: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the log."""

    text: str
    """As sent, its code taken off."""
    at: Moment | None
    change: Change | None
    """The alarm it tells of; None for all else, errors among it."""


@dataclass(frozen=True, slots=True)
class CameraLog:
    """What the camera remembers since it was switched on."""

    alive_s: int | None
    entries: tuple[LogEntry, ...]
    """As sent: not always in the order of time."""


class Told(NamedTuple):
    """A change, and when it came about by the host's clock (microseconds UTC)."""

    change: Change
    utc_us: int


def parse(lines: Iterable[str]) -> CameraLog:
    """Reads an answer's lines. Never raises: what it does not know stays as text, and of too much the end counts."""
    alive_s: int | None = None
    entries: list[LogEntry] = []
    for line in lines:
        text = _TAIL.sub("", line).removeprefix(f"{NAME}=").strip()
        if (alive := _ALIVE.search(text)) is not None:
            alive_s = int(alive[1])
        elif text and text != NAME:
            entries.append(_entry(text))
    return CameraLog(alive_s, tuple(entries[-_MAX_ENTRIES:]))


def placed(log: CameraLog, camera_date: str, utc_us: int, heard: Sequence[Told] = ()) -> list[Told]:
    """The alarms of the log by the host's clock, oldest first; good to some two seconds.

    `camera_date` is what system.date said at `utc_us`. `heard` are alarms that were listened to: where the log's zone
    is another than the date's, they show it. Left out is what has no time, or one that is yet to come.
    """
    told = [
        Told(entry.change, at_us)
        for entry in log.entries
        if entry.change is not None
        and entry.at is not None
        and (at_us := when_us(entry.at, camera_date, utc_us)) is not None
    ]
    shift_us = _zone_shift_us(told, heard)
    moved = (Told(change, at_us + shift_us) for change, at_us in told)
    return sorted((one for one in moved if one.utc_us <= utc_us + _FUTURE_US), key=lambda one: one.utc_us)


def is_date(text: str) -> bool:
    """Whether this is a system.date that times can be placed by."""
    return date.read(text) is not None


def when_us(at: Moment, camera_date: str, utc_us: int) -> int | None:
    """A moment of the log by the host's clock, if log and date are of one zone; None where the calendar has none."""
    now = date.read(camera_date)
    when = None if now is None else _latest(at, now)
    return None if now is None or when is None else utc_us - (now - when) // timedelta(microseconds=1)


def _entry(text: str) -> LogEntry:
    match = _ENTRY.fullmatch(text)
    if match is None or match[1] not in _MONTHS:
        return LogEntry(text, None, None)
    day, hour, minute, second = (int(match[group]) for group in (2, 3, 4, 5))
    return LogEntry(text, Moment(_MONTHS.index(match[1]) + 1, day, hour, minute, second), _change(match[6].strip()))


def _change(words: str) -> Change | None:
    if (alarm := _ALARM.fullmatch(words)) is not None:
        return Change(alarm[1].lower())
    return Change.V1 if _MOTION.fullmatch(words) is not None else None


def _latest(at: Moment, now: datetime) -> datetime | None:
    """The latest time so called that is not yet to come, whatever the zones; None where the calendar has none."""
    for year in range(now.year + 1, now.year - _YEARS_BACK - 1, -1):
        try:
            when = datetime(year, *at)  # noqa: DTZ001 - the camera's own clock, whose zone is not known
        except ValueError:
            continue
        if when - now <= timedelta(days=1):
            return when
    return None


def _zone_shift_us(told: Sequence[Told], heard: Sequence[Told]) -> int:
    """By how much the log's times lie beside those of the date: the shift that fits most of what was heard."""
    fits: Counter[int] = Counter()
    for change, at_us in told:
        for heard_change, heard_us in heard:
            shift_us = round((heard_us - at_us) / ZONE_STEP_US) * ZONE_STEP_US
            apart_us = abs(heard_us - at_us - shift_us)
            if change is heard_change and apart_us <= _SAME_US and abs(shift_us) <= _WIDEST_ZONES_US:
                fits[shift_us] += 1
    return max(fits, key=lambda shift_us: (fits[shift_us], -abs(shift_us)), default=0)

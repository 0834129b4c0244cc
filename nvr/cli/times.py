"""Moments as people type them, and as nvr prints them for people and for machines."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from nvr.cli.errors import WrongUseError
from nvr.units import US, UtcMicros

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = 221_845_392_000 * US  # the year 9000: every moment of it still has a date in every zone
_AGO = re.compile(r"-(\d{1,9})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WRITTEN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_FORMS = "write 2026-11-23T14:03:22+01:00, or 2026-11-23[T14:03[:22]] in local time, or -10m, -2h, -3d, or now"


class Moment(NamedTuple):
    """A moment, and what a person should know of how it was read."""

    us: UtcMicros
    note: str | None = None


def read_moment(text: str, now_us: UtcMicros, *, later: bool = False) -> Moment:
    """Read a time from the command line; raises WrongUseError with one sentence.

    Local time is this process's (TZ). A local time that came twice, when clocks went back, is its first time, with
    `later` its second, and the note says so; one that clocks skipped is refused.
    """
    if text == "now":
        return Moment(now_us)
    ago = _AGO.fullmatch(text)
    if ago:
        return _within_reason(now_us - int(ago[1]) * _SECONDS[ago[2]] * US, text)
    written = _WRITTEN.fullmatch(text)
    if not written:
        raise WrongUseError(f"{text!r} is not a time; {_FORMS}")
    day, clock, fraction, zone = _parts(written)
    try:
        at = datetime(*day, *clock, int(fraction.ljust(6, "0")))  # noqa: DTZ001 - its zone comes next
        if zone:
            return _within_reason(_us_of(at.replace(tzinfo=_zone(zone))), text)
        return _local(at, text, later=later)
    except (ValueError, OverflowError):
        raise WrongUseError(f"{text!r} is not a date and time that exists; {_FORMS}") from None


def iso_utc(us: int) -> str:
    """As every JSON field of nvr: 2026-11-23T14:03:22.123456Z."""
    at = _EPOCH + timedelta(microseconds=us)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z"


def read_iso_utc(text: str) -> UtcMicros:
    """The way back from `iso_utc`; raises ValueError."""
    return UtcMicros(_us_of(datetime.fromisoformat(text)))


def local_text(us: int) -> str:
    """For a person: local time to the second, with its offset, since an hour may come twice."""
    return f"{(_EPOCH + timedelta(microseconds=us)).astimezone():%Y-%m-%d %H:%M:%S%z}"


def duration_text(seconds: float) -> str:
    """For a person: the two largest units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s"


def _parts(written: re.Match[str]) -> tuple[tuple[int, int, int], tuple[int, int, int], str, str]:
    year, month, day, hour, minute, second, fraction, zone = written.groups(default="")
    clock = int(hour or 0), int(minute or 0), int(second or 0)
    return (int(year), int(month), int(day)), clock, fraction, zone


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _local(at: datetime, text: str, *, later: bool) -> Moment:
    moments = sorted({_us_of(at.replace(fold=fold).astimezone(UTC)) for fold in (0, 1)})
    true = [us for us in moments if _wall_clock(us) == at]
    if not true:
        raise WrongUseError(f"{text!r} was skipped here when the clocks went forward; name a time before or after it")
    if len(true) == 1:
        return _within_reason(true[0], text)
    taken, other = (true[1], true[0]) if later else (true[0], true[1])
    note = f"{text} came twice here; taken as {_with_offset(taken)}, the other one is {_with_offset(other)}"
    return _within_reason(taken, text)._replace(note=note)


def _wall_clock(us: int) -> datetime:
    return (_EPOCH + timedelta(microseconds=us)).astimezone().replace(tzinfo=None, fold=0)


def _with_offset(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).astimezone().isoformat()


def _us_of(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _within_reason(us: int, text: str) -> Moment:
    if not 0 <= us < _LATEST_US:
        raise WrongUseError(f"{text!r} lies before 1970 or too far ahead")
    return Moment(UtcMicros(us))

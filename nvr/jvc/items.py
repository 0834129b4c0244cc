"""What the camera says of itself beside a picture: items of a name and a value, in user data and in JPEG comments.

Fact sheet 1.5 and 2.3. Nothing here is ever an error: a picture is not lost over what stands beside it.
"""

import re
from datetime import date
from typing import Final

_UTC_TIMESTAMP: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})?UTC", re.IGNORECASE)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def clock_us(timestamp: bytes | None) -> int | None:
    """Microseconds since the epoch; None but for UTC, since what other zone codes mean is stated nowhere (1.5)."""
    match = _UTC_TIMESTAMP.fullmatch(timestamp) if timestamp is not None else None
    if match is None:
        return None
    year, month, day, hour, minute, second, millisecond = (int(digits) if digits else 0 for digits in match.groups())
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + millisecond * 1000


def text(value: bytes | None) -> str | None:
    """Printable text, or None; what is not ASCII stays visible as an escape."""
    return value.decode("ascii", "backslashreplace").strip() if value else None


def number(value: bytes | None, digits: int = 3) -> int | None:
    """A number of at most so many digits; None for `NA` (no preset move came before) and what else is none."""
    return int(value) if value is not None and value.isdigit() and len(value) <= digits else None


def flag(value: bytes | None) -> bool | None:
    """0 or 1; None for any other word."""
    return {b"0": False, b"1": True}.get(value) if value is not None else None

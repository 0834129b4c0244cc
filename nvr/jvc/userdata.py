"""What the camera says of itself in the stream, before each I-VOP (Userdata2: guide 2.5, fact sheet 2.3).

Sizes and separator of the items are stated nowhere, so they are found by name. Nothing here is ever an error: a picture
is not lost over what stands beside it.
"""

import re
from datetime import date
from typing import Final

from nvr.jvc.types import FrameInfo

_MAX_BYTES: Final = 1 << 10  # the items of the sister models sum up to 178 bytes
_ITEM: Final = re.compile(rb"([A-Za-z_]{1,16}) *= *([^\x00\r\n]*)")
_UTC_TIMESTAMP: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})?UTC", re.IGNORECASE)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def parse(user_data: bytes) -> FrameInfo:
    """Reads the user data behind its start code. Never raises; unknown items are skipped, bad ones are None."""
    items: dict[bytes, bytes] = {}
    for name, value in _ITEM.findall(user_data[:_MAX_BYTES]):
        items.setdefault(name.lower(), value.rstrip())
    timestamp = items.get(b"timestamp")
    return FrameInfo(
        model=_text(items.get(b"type")),
        timestamp=_text(timestamp),
        clock_us=_clock_us(timestamp),
        camera_id=items.get(b"camera"),
        preset=_number(items.get(b"position")),
        fan_failed=_flag(items.get(b"fan")),
        tracking=_number(items.get(b"track_status")),
    )


def _clock_us(timestamp: bytes | None) -> int | None:
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


def _text(value: bytes | None) -> str | None:
    """Printable text, or None; what is not ASCII stays visible as an escape."""
    return value.decode("ascii", "backslashreplace").strip() if value else None


def _number(value: bytes | None) -> int | None:
    """A number of up to three digits; None for `NA` (no preset move came before) and what else is none."""
    return int(value) if value is not None and value.isdigit() and len(value) <= 3 else None


def _flag(value: bytes | None) -> bool | None:
    return {b"0": False, b"1": True}.get(value) if value is not None else None

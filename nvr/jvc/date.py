"""The camera's own clock, `system.date`: guide 6.15, fact sheet 8.

Whole seconds, of a zone that is stated nowhere. Zones differ by quarters of an hour: what is left beside them is by how
much the clock is wrong.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nvr.units import US

NAME: Final = "system.date"
ZONE_NAME: Final = "system.timezone"
NTP_NAME: Final = "network.ntp.status"

ZONE_STEP_US: Final = 900 * US
"""Zones differ by quarters of an hour (fact sheet 8)."""
WIDEST_ZONE_US: Final = 14 * 3600 * US

_DATE: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\d*", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the camera's own clock, whose zone is not known
_SECOND_US: Final = US


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The camera's clock beside the host's at one moment."""

    said: str
    zone_us: int | None
    """How far its zone seems to be east of UTC; None where the clock is too far off to tell."""
    offset_us: int
    """By how much it is ahead of the host's, good to half a second; of UTC where its zone is not known."""


def read(text: str) -> datetime | None:
    """A system.date as a time of no zone; None where it is none."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return datetime(*(int(digits) for digits in match.groups()))  # type: ignore[arg-type]  # noqa: DTZ001 - as above
    except ValueError:
        return None


def compare(text: str, utc_us: int) -> ClockReading | None:
    """What a system.date says of the camera's clock, read when the host's was `utc_us`; None where it is no date."""
    date = read(text)
    if date is None:
        return None
    ahead_us = (date - _EPOCH) // timedelta(microseconds=1) + _SECOND_US // 2 - utc_us
    zone_us = round(ahead_us / ZONE_STEP_US) * ZONE_STEP_US
    if abs(zone_us) > WIDEST_ZONE_US:
        return ClockReading(text, None, ahead_us)
    return ClockReading(text, zone_us, ahead_us - zone_us)


def written(utc_us: int, zone_us: int) -> str:
    """A moment as the camera is told it, in a zone so far east of UTC."""
    at = datetime.fromtimestamp((utc_us + zone_us) // US, UTC)
    return f"{at:%Y%m%d%H%M%S}"

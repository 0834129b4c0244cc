"""Values of the camera's language that more than one file of this room speaks of."""

from dataclasses import dataclass
from typing import NamedTuple


class Position(NamedTuple):
    """Where the camera looks, in the wire's own hundredths (guide 2.1: X-Puls-Pan, X-Puls-Tilt, X-Posi-Zoom)."""

    pan: int
    """0..35999, hundredths of a degree."""
    tilt: int
    """0..19000: 0 is -5 degrees, 500 and 18500 are horizontal, 19000 is 185 degrees."""
    zoom: int
    """0..9999, hundredths of the 0.00..99.99 zoom scale."""

    @property
    def pan_degrees(self) -> float:
        return self.pan / 100

    @property
    def tilt_degrees(self) -> float:
        """True tilt, -5.00..185.00; horizontal is 0 (and 180)."""
        return (self.tilt - 500) / 100


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """What the camera says of itself before an I-VOP (guide 2.5, fact sheet 2.3); None where it says nothing."""

    model: str | None = None
    timestamp: str | None = None
    """As sent: YYYYMMDDhhmmss, milliseconds, zone code."""
    clock_us: int | None = None
    """The timestamp as microseconds since the epoch where its zone code is known (UTC), else None."""
    camera_id: bytes | None = None
    preset: int | None = None
    fan_failed: bool | None = None
    tracking: int | None = None
    """0 completed, 1 waiting for a target, 2 tracking, 3 losing, 4 searching."""

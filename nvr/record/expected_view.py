"""Whether a camera looks where it is expected to: at a preset, or at a position.

Pure: told where the camera looks, what it names before its I-VOPs, and the monotonic time. It has turned away once it
has looked elsewhere for as long as was said, at rest or moving, and is back once it has looked there for a moment. What
nobody sees counts for nothing: while a camera is not connected no time passes here.

A camera names its preset only after a move to one and until it is moved in another way (guide 2.5). So a preset becomes
a position: the one at which it was named twice in a row, in this life or, before that, in the footage that the index
still has. From there on the position decides, and a preset that is saved anew at another place is learnt there. Until
then only the name of another preset tells that the camera looks elsewhere; without any name nothing is known.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from nvr.units import US, PanTiltZoom

NAMED_AGAIN: Final = 20
"""Hundredths on every axis: positions so near are one place, as they are one rest to whoever searches."""

_BACK_US: Final = 3 * US  # a camera that only passes by is not back
_UNSEEN_US: Final = 10 * US  # asked every second or two; longer than this nobody looked
_CIRCLE: Final = 36_000


@dataclass(frozen=True, slots=True)
class Expected:
    """Where a camera is expected to look: at a preset, or at a position of which only what is given counts."""

    preset: int | None = None
    pan: int | None = None
    """Hundredths as on the wire; so are the next two."""
    tilt: int | None = None
    zoom: int | None = None
    tolerance: int = 100
    """Hundredths of a degree to either side, and of the zoom scale."""
    after_us: int = 300 * US
    """How long it may look elsewhere."""

    def __str__(self) -> str:
        """As a sentence goes on after "expected"."""
        if self.preset is not None:
            return f"at preset {self.preset}"
        said = (("pan", self.pan, 0), ("tilt", self.tilt, 500), ("zoom", self.zoom, 0))
        return "at " + " ".join(f"{axis} {(value - zero) / 100:.2f}" for axis, value, zero in said if value is not None)


class Turn(Enum):
    """What became of it."""

    AWAY = "away"
    BACK = "back"
    """Also where it looks there when it is first seen."""


class ExpectedView:
    """One camera's. `hear` it before each I-VOP, `look` every second or two while the camera sends pictures."""

    __slots__ = ("_away_us", "_back_us", "_looked_us", "_named", "_named_at", "_spot", "away", "expected")

    away: bool | None
    """It has turned away; None until that is known."""

    def __init__(self, expected: Expected, spot: PanTiltZoom | None = None) -> None:
        """`spot`: where its preset was last, as far as the index knows."""
        self.expected = expected
        self.away = None
        self._spot = spot
        self._named: int | None = None
        self._named_at: PanTiltZoom | None = None
        """Where the expected preset was named last, until that place is learnt; then None."""
        self._looked_us: int | None = None
        self._away_us = 0
        self._back_us = 0

    @property
    def is_known(self) -> bool:
        """Whether there is anything to compare with; a preset that was never seen is not."""
        return self.expected.preset is None or self._spot is not None

    def hear(self, preset: int | None, position: PanTiltZoom | None) -> None:
        """The camera named this preset, or none, with a picture of that position."""
        before, self._named = self._named, preset
        if preset is None or preset != self.expected.preset or position is None:
            self._named_at = None
        elif before != preset:
            self._named_at = position
        elif self._named_at is not None:
            if _are_near(position, self._named_at, NAMED_AGAIN):
                self._spot, self._named_at = position, None
            else:
                self._named_at = position

    def look(self, position: PanTiltZoom | None, mono_us: int) -> Turn | None:
        """The camera looks there now; an answer where that turns it away or makes it back."""
        before_us, self._looked_us = self._looked_us, mono_us
        if before_us is None or mono_us - before_us > _UNSEEN_US:
            self._named = self._named_at = None
            self._back_us = 0
            return None
        looks_there = self._looks_there(position)
        if looks_there is None:
            return None
        if looks_there:
            return self._there(mono_us - before_us)
        return self._elsewhere(mono_us - before_us)

    def _there(self, for_us: int) -> Turn | None:
        self._back_us += for_us
        if self._back_us < _BACK_US:
            return None
        self._away_us = 0
        if self.away is False:
            return None
        self.away = False
        return Turn.BACK

    def _elsewhere(self, for_us: int) -> Turn | None:
        self._back_us = 0
        self._away_us += for_us
        if self.away or self._away_us < self.expected.after_us:
            return None
        self.away = True
        return Turn.AWAY

    def _looks_there(self, position: PanTiltZoom | None) -> bool | None:
        """None where nobody can say."""
        expected = self.expected
        if expected.preset is None:
            return None if position is None else _is_within(position, expected)
        if position is not None and self._spot is not None:
            return _are_near(position, self._spot, expected.tolerance)
        if self._named is None:
            return None
        if self._named != expected.preset:
            return False
        return True if position is None else None  # it may still be on its way there: the second word tells


def _is_within(position: PanTiltZoom, expected: Expected) -> bool:
    pan, tilt, zoom = position
    spot = (
        pan if expected.pan is None else expected.pan,
        tilt if expected.tilt is None else expected.tilt,
        zoom if expected.zoom is None else expected.zoom,
    )
    return _are_near(position, spot, expected.tolerance)


def _are_near(one: PanTiltZoom, other: PanTiltZoom, tolerance: int) -> bool:
    """Within so much on every axis; pan the short way round."""
    around = abs(one[0] - other[0]) % _CIRCLE
    return (
        min(around, _CIRCLE - around) <= tolerance
        and abs(one[1] - other[1]) <= tolerance
        and abs(one[2] - other[2]) <= tolerance
    )

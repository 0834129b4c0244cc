"""Where a camera looks, asked now and then: for video that does not say it with each picture."""

import asyncio
import logging
import re
from typing import Final

from nvr.camera.control import Control
from nvr.camera.errors import LinkError
from nvr.clock import Clock
from nvr.jvc.errors import ApiRefused
from nvr.jvc.parts import MAX_PAN, MAX_TILT, MAX_ZOOM
from nvr.jvc.types import Position
from nvr.log import Streak
from nvr.units import US

log = logging.getLogger(__name__)

_NAMES: Final = (
    ("camera.motion.pan", MAX_PAN),
    ("camera.motion.tilt", MAX_TILT),
    ("camera.motion.zoom", MAX_ZOOM),
)
"""Guide 6.7; degrees and zoom figures with up to two places, tilt from -5 degrees on as everywhere (fact sheet 1.3)."""
_DECIMAL: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?", re.ASCII)
_STALE_POLLS: Final = 5  # answers may fail for a moment; a position that is older is none


class PositionPoll:
    """Asks one camera every `every_s`. `run` never ends by itself; `get` says what is known now."""

    def __init__(self, control: Control, clock: Clock, every_s: float, camera: str) -> None:
        self._control = control
        self._clock = clock
        self._every_s = every_s
        self._position: Position | None = None
        self._known_mono_us = 0
        self._trouble = Streak(log, {"camera": camera, "action": "position-poll"})

    def get(self) -> Position | None:
        """Where it looked when it was asked last; None where it has not answered for a while."""
        age_us = self._clock.mono_us() - self._known_mono_us
        return self._position if age_us < _STALE_POLLS * self._every_s * US else None

    async def run(self) -> None:
        """Asks until cancelled; what goes wrong is logged once."""
        while True:
            try:
                self._position = await _asked(self._control)
                self._known_mono_us = self._clock.mono_us()
            except (LinkError, ApiRefused, ValueError) as trouble:
                self._trouble.hit(f"it is not known where the camera looks: {trouble}")
            else:
                self._trouble.over("the camera says again where it looks")
            await asyncio.sleep(self._every_s)


async def _asked(control: Control) -> Position:
    pan, tilt, zoom = [_hundredths(await control.get(name), most) for name, most in _NAMES]
    return Position(pan, tilt, zoom)


def _hundredths(told: str, most: int) -> int:
    """Raises ValueError for what is no position."""
    found = _DECIMAL.fullmatch(told.strip())
    hundredths = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found is not None else most + 1
    if hundredths > most:
        raise ValueError(f"{told[:20]!r} is no position")
    return hundredths

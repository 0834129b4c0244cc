"""How far a camera's own clock is from the host's, and how fast it runs away: measured, never trusted.

Told what the camera's clock said (user data before an I-VOP) and the UTC that was made of that picture's time. Encoder
and network make a picture late and the camera's clock seem slow by as much, never fast: of a few seconds the largest
difference is the true one, and of the last of those the middle one is said, so that one lie is not believed.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from nvr.units import US

_BLOCK_US: Final = 10 * US
_LEVELS: Final = 5
_STEP_US: Final = US // 2  # more than lateness leaves, less than anybody sets a clock by hand
_SILENCE_US: Final = 60 * US  # after it the levels before say little
_STRAYS_PPM: Final = 500  # further a clock may run away while nothing is heard of it
_STEP_TOLD: Final = 3  # pictures in a row, so that neither a torn one nor a late one is a step
_POINT_US: Final = 60 * US
_POINTS: Final = 360  # six hours: a night's change of temperature is followed
_LEARNT_US: Final = 15 * 60 * US  # 5 ms of noise over it are 6 ppm
_PPB: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The camera's clock was set: its difference to the host's before and after."""

    before_us: int
    after_us: int


class CameraClock:
    """One camera's clock. `note` it for every I-VOP that tells the time."""

    __slots__ = ("_astray", "_block_end_us", "_heard_us", "_highest_us", "_levels", "_points", "drift_ppb", "offset_us")

    offset_us: int | None
    """The camera's clock less the host's, in microseconds; None until it told its time."""
    drift_ppb: int | None
    """How much too fast it runs, in billionths; None until that is known (15 minutes). It outlives a step."""

    def __init__(self) -> None:
        self.drift_ppb = None
        self.host_stepped()

    def host_stepped(self) -> None:
        """The host's clock was set, or its time is made of something else now: what was measured means nothing."""
        self.offset_us = None
        self._levels: deque[int] = deque(maxlen=_LEVELS)
        self._points: deque[tuple[int, int]] = deque(maxlen=_POINTS)
        self._astray: list[int] = []
        self._highest_us: int | None = None
        self._block_end_us = 0
        self._heard_us = 0

    def note(self, camera_clock_us: int, utc_us: int) -> ClockStep | None:
        """The camera's clock said so in a picture of that UTC. A step is told once it is beyond doubt."""
        said_us = camera_clock_us - utc_us
        if self.offset_us is not None:
            run_away_us = max(0, utc_us - self._heard_us) * _STRAYS_PPM // US
            if abs(said_us - self.offset_us) >= _STEP_US + run_away_us:
                return self._stray(said_us, utc_us)
        self._astray.clear()
        self._follow(said_us, utc_us)
        return None

    def _stray(self, said_us: int, utc_us: int) -> ClockStep | None:
        """Far from what it was: a step once several in a row agree with each other."""
        if self._astray and abs(said_us - self._astray[-1]) >= _STEP_US:
            self._astray.clear()
        self._astray.append(said_us)
        before_us = self.offset_us
        if before_us is None or len(self._astray) < _STEP_TOLD:
            return None
        after_us = max(self._astray)
        self.host_stepped()
        self._follow(after_us, utc_us)
        return ClockStep(before_us, after_us)

    def _follow(self, said_us: int, utc_us: int) -> None:
        if utc_us - self._heard_us > _SILENCE_US:
            self._levels.clear()
            self._highest_us = None
        self._heard_us = utc_us
        if not utc_us < self._block_end_us <= utc_us + _BLOCK_US:
            self._close_block(utc_us)
        self._highest_us = said_us if self._highest_us is None else max(self._highest_us, said_us)
        if not self._levels:
            self.offset_us = self._highest_us

    def _close_block(self, utc_us: int) -> None:
        self._block_end_us = utc_us + _BLOCK_US
        if self._highest_us is None:
            return
        self._levels.append(self._highest_us)
        self._highest_us = None
        self.offset_us = sorted(self._levels)[len(self._levels) // 2]
        last_us = self._points[-1][0] if self._points else None
        if last_us is None or not last_us <= utc_us < last_us + _POINT_US:
            self._points.append((utc_us, self.offset_us))
            self._learn_drift()

    def _learn_drift(self) -> None:
        """The slope of the line through the points that is nearest to them all."""
        begun_us, ended_us = self._points[0][0], self._points[-1][0]
        if ended_us - begun_us < _LEARNT_US or len(self._points) < _LEARNT_US // _POINT_US // 2:
            return
        count, first_us = len(self._points), self._points[0][1]
        xs = [(at_us - begun_us) / US for at_us, _ in self._points]
        ys = [offset_us - first_us for _, offset_us in self._points]
        middle_x, middle_y = sum(xs) / count, sum(ys) / count
        spread = sum((x - middle_x) ** 2 for x in xs)
        slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
        self.drift_ppb = round(slope * _PPB / US)

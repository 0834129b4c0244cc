"""Decides how long to wait after trouble. Pure: told the time and the dice."""

from collections import deque
from collections.abc import Callable


class Backoff:
    """Waiting times between attempts at a link: short at first, doubling, never long.

    Minutes of cool-down would be minutes of gap, so the wait is capped near ten seconds; a refused login or a full
    camera waits the cap at once, since trying faster cannot help. Each wait varies by a fifth so that fifty cameras
    behind one switch do not come back in step. `dice` returns 0.0..1.0.
    """

    FIRST_S = 0.5
    CAP_S = 10.0
    LATER_S = 30.0  # a refused login: nothing changes until someone changes a password, and cameras lock accounts

    def __init__(self, dice: Callable[[], float]) -> None:
        self._dice = dice
        self._next_s = self.FIRST_S

    def after_trouble(self, *, later: bool = False) -> float:
        """Seconds to wait before the next attempt; `later` where the camera said no rather than nothing."""
        wait_s = self.LATER_S if later else self._next_s
        self._next_s = min(self._next_s * 2, self.CAP_S)
        return wait_s * (0.9 + 0.2 * self._dice())

    def worked(self) -> None:
        """Frames arrived: the next trouble is a new one."""
        self._next_s = self.FIRST_S


class Patience:
    """How often a unit may fail unexpectedly before it is left alone: `failures` within `within_s`."""

    def __init__(self, failures: int = 5, within_s: float = 600.0) -> None:
        self._failures = failures
        self._within_s = within_s
        self._times: deque[float] = deque()

    def is_lost_after(self, failed_at_s: float) -> bool:
        """Notes a failure at monotonic second `failed_at_s`; True when it was one too many."""
        self._times.append(failed_at_s)
        while self._times[0] < failed_at_s - self._within_s:
            self._times.popleft()
        return len(self._times) >= self._failures

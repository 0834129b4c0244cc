"""The camera's two inputs, its motion, and whether it looks away, as one rule sees them: a change counts once it has
lasted, motion is held.

Pure: told the changes and the time. Durations are measured by the monotonic clock, which never steps; UTC is carried
along because alarms are told in it.
"""

from typing import Final, NamedTuple

from nvr.jvc.alarm import Change

OPPOSITE: Final = {
    Change.M1: Change.B1,
    Change.B1: Change.M1,
    Change.M2: Change.B2,
    Change.B2: Change.M2,
    Change.V1: Change.V0,
    Change.V0: Change.V1,
    Change.MOVED: Change.BACK,
    Change.BACK: Change.MOVED,
}
_ONS: Final = (Change.M1, Change.M2, Change.V1, Change.MOVED)


class Moment(NamedTuple):
    """One moment by both clocks."""

    utc_us: int
    mono_us: int
    missed_since_us: int | None = None
    """Nobody listened then: it may have been as early as this (UTC)."""

    def after(self, us: int) -> "Moment":
        return Moment(self.utc_us + us, self.mono_us + us)


class Flip(NamedTuple):
    """A change that counts, and when it was (not when it had lasted long enough)."""

    at: Moment
    change: Change


class Line:
    """One input, motion, or looking away, named by the change that switches it on.

    A change counts once it has lasted `debounce_us`. With `hold_us`, an on that is not renewed ends after that time by
    itself (fact sheet 4: whether the camera says when motion ends is not known).
    """

    __slots__ = ("_debounce_us", "_held_until", "_hold_us", "_off", "_on", "_seen", "_since", "is_on")

    def __init__(self, on: Change, debounce_us: int, hold_us: int | None = None) -> None:
        self.is_on: bool | None = False if hold_us is not None else None
        """As it counts; None where nothing was said of it yet."""
        self._on = on
        self._off = OPPOSITE[on]
        self._debounce_us = debounce_us
        self._hold_us = hold_us
        self._seen: bool | None = self.is_on
        self._since = Moment(0, 0)
        self._held_until: Moment | None = None

    def hear(self, change: Change, now: Moment) -> None:
        """Takes what the camera said; those of other lines mean nothing here. `settle` must have been asked before."""
        if change not in (self._on, self._off):
            return
        on = change is self._on
        if self._hold_us is not None:
            self._held_until = now.after(self._hold_us) if on else None
        if on is self._seen:
            return
        if self._seen is None:
            self.is_on = not on  # what changed to this was the other before
        self._seen = on
        self._since = now

    def settle(self, mono_us: int) -> list[Flip]:
        """What counts by now and did not before, in order of time."""
        flips: list[Flip] = []
        if self._held_until is not None and mono_us >= self._held_until.mono_us:
            flips += self._lasted(self._held_until.mono_us)
            self._seen, self._since, self._held_until = False, self._held_until, None
        return flips + self._lasted(mono_us)

    @property
    def due_us(self) -> int | None:
        """The monotonic moment at which `settle` has something new to say if nothing more is heard; None for never."""
        waits = [] if self._seen is self.is_on else [self._since.mono_us + self._debounce_us]
        if self._held_until is not None:
            waits.append(self._held_until.mono_us)
        return min(waits, default=None)

    def _lasted(self, mono_us: int) -> list[Flip]:
        if self._seen is self.is_on or mono_us - self._since.mono_us < self._debounce_us:
            return []
        self.is_on = self._seen
        return [Flip(self._since, self._on if self._seen else self._off)]


def on_of(change: Change) -> Change:
    """The name of the line that a change is of."""
    return change if change in _ONS else OPPOSITE[change]

"""Decides when a camera patrols, and when it goes back to a preset because nobody has moved it.

Pure: told the time and where the camera looks. A window is a level looked at each time, so a missed moment or a restart
costs nothing; somebody's hand on the camera is never fought: a patrol that was ended by hand begins again once the
camera has stood still for longer than a patrol ever does.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from nvr.units import US, PanTiltZoom

_STILL_US: Final = 30 * US  # before a patrol begins: somebody may be looking
_ENDED_US: Final = 180 * US  # a patrol stays 120 s at most (guide 6.7), and is on its way for less than a minute
_OURS_US: Final = 60 * US  # a move that we asked for is over after this
_RETRY_US: Final = 60 * US
_NOISE: Final = 2  # hundredths that a camera at rest may say more or less


class Window(Protocol):
    """A time that is or is not (rules.schedule.During)."""

    def is_now(self, utc_us: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class StartPatrol:
    """Where it does not patrol already."""

    number: int


@dataclass(frozen=True, slots=True)
class StopPatrol:
    """The window is over."""

    number: int


@dataclass(frozen=True, slots=True)
class Return:
    """To a preset, where the camera does not stand there already."""

    preset: int


Order = StartPatrol | StopPatrol | Return


@dataclass(frozen=True, slots=True)
class PatrolPlan:
    """Which patrol, and when."""

    number: int
    window: Window


@dataclass(frozen=True, slots=True)
class ReturnPlan:
    """Which preset, and after how long without a move."""

    preset: int
    after_us: int


class Tours:
    """One camera's plan."""

    def __init__(self, patrol: PatrolPlan | None, back: ReturnPlan | None) -> None:
        self._patrol = patrol
        self._back = back
        self._position: PanTiltZoom | None = None
        self._moved_us: int | None = None
        """By the monotonic clock; None before the camera has said where it looks."""
        self._ours_until_us = 0
        self._not_before_us = 0
        self._patrolling = False
        self._may_patrol = patrol is not None
        """A life before this one may have begun the patrol that goes on outside its window."""
        self._returned = False

    def tick(self, utc_us: int, mono_us: int, position: PanTiltZoom | None) -> Order | None:
        """What is to be done now, at most one thing; `position` None: not known at the moment."""
        if position is not None:
            self._note(position, mono_us)
        if mono_us < self._not_before_us:
            return None
        wanted = self._patrol is not None and self._patrol.window.is_now(utc_us)
        if self._patrol is not None and self._may_patrol and not wanted:
            self._may_patrol = self._patrolling = False
            return StopPatrol(self._patrol.number)
        if self._patrol is not None and wanted:
            return self._start(self._patrol, mono_us)
        return self._go_back(mono_us)

    def failed(self, order: Order, mono_us: int) -> None:
        """It was not done: it is tried again, but not at once."""
        self._not_before_us = mono_us + _RETRY_US
        match order:
            case StartPatrol():
                self._patrolling = False
            case StopPatrol():
                self._may_patrol = True
            case Return():
                self._returned = False

    def _start(self, patrol: PatrolPlan, mono_us: int) -> Order | None:
        still_us = self._still_us(mono_us)
        if still_us < (_ENDED_US if self._patrolling else _STILL_US):
            return None
        self._patrolling = self._may_patrol = True
        self._moved_us = mono_us  # asked again only after as long without a move
        return StartPatrol(patrol.number)

    def _go_back(self, mono_us: int) -> Order | None:
        if self._back is None or self._returned or self._moved_us is None:
            return None
        if self._still_us(mono_us) < self._back.after_us:
            return None
        self._returned = True
        self._ours_until_us = mono_us + _OURS_US
        return Return(self._back.preset)

    def _still_us(self, mono_us: int) -> int:
        """For how long it has not moved; long, where nobody knows."""
        return _ENDED_US if self._moved_us is None else mono_us - self._moved_us

    def _note(self, position: PanTiltZoom, mono_us: int) -> None:
        before, self._position = self._position, position
        if before is None:
            self._moved_us = mono_us
        elif any(abs(one - other) > _NOISE for one, other in zip(before, position, strict=True)):
            self._moved_us = mono_us
            if mono_us >= self._ours_until_us:
                self._returned = False
        else:
            self._position = before  # a slow drift adds up to a move

"""Decides whether frames are written, held in the ring, or dropped: by mode and schedule, clips, and failing open.

Pure: told the facts and the time. It opens at once. From recording to waiting it closes at the next I-VOP, so that the
ring goes on exactly where the footage ended; to off it closes at once.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Protocol, Self

from nvr.units import US

PATIENCE_US: Final = 2 * US  # an alarm link that comes back within this lost nothing that the ring does not hold


class Mode(StrEnum):
    """The words of `record`."""

    CONTINUOUS = "continuous"
    ALARM = "alarm"
    OFF = "off"


class Admission(Enum):
    """What happens to a frame."""

    WRITE = "write"
    HOLD = "hold"
    """In the ring."""
    DROP = "drop"
    """Nothing is wanted."""


class Window(Protocol):
    """A time that is or is not, asked anew each time (rules.schedule.During)."""

    def is_now(self, utc_us: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """`record` of one camera: one mode, or one inside a window and another outside it."""

    inside: Mode
    outside: Mode
    window: Window | None = None

    @classmethod
    def always(cls, mode: Mode) -> Self:
        return cls(mode, mode)

    def mode_at(self, utc_us: int) -> Mode:
        if self.window is None or self.window.is_now(utc_us):
            return self.inside
        return self.outside

    @property
    def off_reason(self) -> str:
        """What the ledger says of the time in which the mode is off."""
        return "record-off" if self.inside is self.outside else "schedule"

    @property
    def may_wait(self) -> bool:
        """There is a time in which it waits for alarms: the camera needs a ring and its alarm link."""
        return Mode.ALARM in (self.inside, self.outside)


@dataclass(frozen=True, slots=True)
class Level:
    """What is wanted now, and why."""

    admission: Admission
    why: str
    """For people: a clause such as "waits for an alarm"."""
    off_reason: str | None = None
    """For the ledger, where frames are not written."""
    failing_open: bool = False


_CONTINUOUS: Final = Level(Admission.WRITE, "records continuously")
_CLIP: Final = Level(Admission.WRITE, "records an alarm")
_WAITING: Final = Level(Admission.HOLD, "waits for an alarm", "waiting-for-alarm")
_LINK_DOWN: Final = Level(Admission.WRITE, "records everything, since the alarm link is down", failing_open=True)
_DEAF: Final = Level(
    Admission.WRITE,
    "records everything, since the camera does not look for motion though a rule needs it",
    failing_open=True,
)


class Gate:
    """One camera's gate. A new one is closed and expects its alarm link; `tick` it before the first frame.

    `patience_us`: for how long the alarm link may be down before the gate fails open. The ring should reach back
    further: it is written then, whole.
    """

    def __init__(self, plan: RecordPlan, *, fail_open: bool, patience_us: int = PATIENCE_US) -> None:
        self.level = Level(Admission.DROP, "is not decided yet", plan.off_reason)
        self._plan = plan
        self._fail_open = fail_open
        self._patience_us = patience_us
        self._link_is_up = False
        self._link_down_since_us: int | None = None
        self._is_deaf = False
        self.admission = Admission.DROP
        """What happens to P-VOPs now: they are still written up to the next I-VOP where `level` says hold."""

    # ---- facts

    def alarm_link(self, up: bool, mono_us: int) -> None:
        """The alarm link came up, or went down or could not be made at `mono_us`."""
        self._link_is_up = up
        if up:
            self._link_down_since_us = None
        elif self._link_down_since_us is None:
            self._link_down_since_us = mono_us

    def motion_detection(self, missing: bool) -> None:
        """`missing`: it is off at the camera although a rule needs it."""
        self._is_deaf = missing

    # ---- decisions

    def tick(self, utc_us: int, mono_us: int, *, clip_open: bool) -> Level:
        """Decides anew: at each tick, and at once when a clip opens or closes or a fact changes."""
        if not self._link_is_up and self._link_down_since_us is None:
            self._link_down_since_us = mono_us
        self.level = level = self._decide(utc_us, mono_us, clip_open=clip_open)
        waits_for_key = self.admission is Admission.WRITE and level.admission is Admission.HOLD
        if not waits_for_key:
            self.admission = level.admission
        return level

    def admit(self, key: bool) -> Admission:
        """What happens to the next frame; `key`: it is an I-VOP. Of a P-VOP `admission` says the same."""
        if key:
            self.admission = self.level.admission
        return self.admission

    def _decide(self, utc_us: int, mono_us: int, *, clip_open: bool) -> Level:
        match self._plan.mode_at(utc_us):
            case Mode.OFF:
                why = "is off" if self._plan.off_reason == "record-off" else "is off by its schedule"
                return Level(Admission.DROP, why, self._plan.off_reason)
            case Mode.CONTINUOUS:
                return _CONTINUOUS
            case Mode.ALARM:
                return self._while_waiting(mono_us, clip_open=clip_open)

    def _while_waiting(self, mono_us: int, *, clip_open: bool) -> Level:
        if self._fail_open:
            down_us = self._link_down_since_us
            if down_us is not None and mono_us - down_us >= self._patience_us:
                return _LINK_DOWN
            if self._is_deaf:
                return _DEAF
        return _CLIP if clip_open else _WAITING

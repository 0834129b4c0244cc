"""The rules of one camera: what its changes mean, and what time makes of them.

Pure: told each report's changes and the time by both clocks (UTC for schedules and for telling, monotonic for every
duration, so that no step of the host's clock stretches a debounce or swallows an alarm). Schedules are levels,
evaluated at the moment of the change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from nvr.jvc.alarm import Change
from nvr.record.clips import Call
from nvr.rules.lines import OPPOSITE, Flip, Line, Moment, on_of
from nvr.rules.schedule import During
from nvr.rules.words import MANUAL_SOURCE, SAID, Action, Combination, Trigger, change_of, source_of
from nvr.units import US

MANUAL: Final = "manual"
"""The rule that manual alarms belong to; no [[rule]] may be named so."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One [[rule]]: when this, then that."""

    name: str
    when: tuple[Trigger, ...]
    cameras: tuple[str, ...] = ()
    """Whose changes it heeds; empty: all."""
    during: During | None = None
    debounce_us: int = 0
    min_interval_us: int = 0
    motion_hold_us: int = 5 * US
    pre_us: int = 10 * US
    post_us: int = 20 * US
    while_active: bool = True
    snapshot: bool = False
    do: tuple[Action, ...] = ()

    def heeds(self, camera: str) -> bool:
        return not self.cameras or camera in self.cameras

    @property
    def changes(self) -> frozenset[Change]:
        """Every change its triggers speak of."""
        firsts = {trigger.first for trigger in self.when if isinstance(trigger, Combination)}
        return frozenset(firsts | {change_of(trigger) for trigger in self.when})

    @property
    def needs_view(self) -> bool:
        """It is deaf where nobody says where the camera should look."""
        return Change.MOVED in self.changes

    @property
    def needs_motion(self) -> bool:
        """It is deaf where the camera's motion detection is off."""
        return Change.V1 in self.changes


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of a rule: to be recorded, its actions done at the camera at once, its footage kept, people told."""

    rule: Rule
    trigger: str
    """The word of `when` that set it off, or `manual`."""
    source: str
    """input-1, input-2, motion, position or manual."""
    at_us: int
    """UTC of the change itself, however long it then had to last."""
    lasts: bool = False
    """Its state goes on until `Over`."""
    note: str | None = None
    missed_since_us: int | None = None
    """Where nobody listened then: it may have been as early as this."""

    @property
    def call(self) -> Call:
        """What it asks of the camera's ClipDesk."""
        return _call(self)


@dataclass(frozen=True, slots=True)
class Again:
    """A trigger within `min_interval_us` of the rule's last alarm: none of its own, but its open clip goes on."""

    rule: Rule
    trigger: str
    at_us: int
    lasts: bool = False

    @property
    def call(self) -> Call:
        """What it asks of the camera's ClipDesk, by `again`."""
        return _call(self)


@dataclass(frozen=True, slots=True)
class Over:
    """The last of the states that kept the rule's clip open ended at `at_us`."""

    rule: Rule
    at_us: int
    why: str


Answer = Alarm | Again | Over


class RuleBook:
    """The rules that heed one camera.

    `manual` says how much footage a manual alarm keeps; its triggers and schedule are not asked.
    """

    def __init__(self, rules: Iterable[Rule], manual: Rule | None = None) -> None:
        self._manual = manual if manual is not None else Rule(MANUAL, (), while_active=False)
        self._watches = [_Watch(rule) for rule in rules]

    def answers(
        self, changes: Sequence[Change], utc_us: int, mono_us: int, missed_since_us: int | None = None
    ) -> list[Answer]:
        """What one report's changes (`jvc.alarm.changes`) lead to now; they happened together.

        `missed_since_us`: nobody listened then, and they may have been as early as this.
        """
        now = Moment(utc_us, mono_us, missed_since_us)
        return [answer for watch in self._watches for answer in watch.hear(changes, now)]

    def tick(self, utc_us: int, mono_us: int) -> list[Answer]:
        """What time alone leads to: a change has lasted long enough, motion was not renewed, a schedule is over."""
        now = Moment(utc_us, mono_us)
        return [answer for watch in self._watches for answer in watch.advance(now)]

    def manual(self, utc_us: int, note: str | None = None) -> list[Answer]:
        """Somebody asks for an alarm."""
        return [Alarm(self._manual, MANUAL, MANUAL_SOURCE, utc_us, note=note)]

    @property
    def due_us(self) -> int | None:
        """The monotonic moment for which `tick` is wanted next; None where the daemon's own tick will do."""
        dues = [due for watch in self._watches if (due := watch.due_us) is not None]
        return min(dues, default=None)

    @property
    def rules(self) -> list[Rule]:
        """The rules it was made of, the manual one excepted."""
        return [watch.rule for watch in self._watches]

    @property
    def needs_motion(self) -> bool:
        """Some rule is deaf where the camera's motion detection is off."""
        return any(watch.rule.needs_motion for watch in self._watches)

    @property
    def reach_us(self) -> int:
        """How far back from now footage may be wanted: an alarm told after its debounce still has its pre-roll."""
        rules = (self._manual, *(watch.rule for watch in self._watches))
        return max(rule.pre_us + rule.debounce_us for rule in rules)


@dataclass(slots=True)
class _Owed:
    """An alarm kept back by the minimum interval, for as long as its state lasts."""

    trigger: Trigger
    change: Change


@dataclass(slots=True)
class _Watch:
    """One rule's watch over the lines it speaks of."""

    rule: Rule
    _lines: list[Line] = field(default_factory=list)
    _last: dict[Change, int] = field(default_factory=dict)
    """When each change last counted, monotonic."""
    _lasting: dict[Change, None] = field(default_factory=dict)
    """The states that keep its clip open, by the change that set each off."""
    _alarm_us: int | None = None
    """When it last raised an alarm, monotonic."""
    _owed: _Owed | None = None

    def __post_init__(self) -> None:
        rule = self.rule
        for on in sorted({on_of(change) for change in rule.changes}):
            hold_us = rule.motion_hold_us if on is Change.V1 else None
            self._lines.append(Line(on, rule.debounce_us, hold_us))

    @property
    def due_us(self) -> int | None:
        dues = [due for line in self._lines if (due := line.due_us) is not None]
        if self._owed is not None:
            dues.append(self._interval_ends_us())
        return min(dues, default=None)

    def hear(self, changes: Sequence[Change], now: Moment) -> list[Answer]:
        answers = self.advance(now)  # what was due before this was said
        for line in self._lines:
            for change in changes:
                line.hear(change, now)
        return answers + self.advance(now)

    def advance(self, now: Moment) -> list[Answer]:
        flips = sorted((flip for line in self._lines for flip in line.settle(now.mono_us)), key=_mono_us)
        for flip in flips:  # before any is judged: two changes of one report came together, in whatever order
            self._last[flip.change] = flip.at.mono_us
        answers: list[Answer] = []
        for flip in flips:
            answers += self._note_end(flip)
            answers += self._judge(flip)
        return answers + self._pay(now) + self._leave_schedule(now)

    def _judge(self, flip: Flip) -> list[Answer]:
        trigger = next((trigger for trigger in self.rule.when if self._is_met(trigger, flip)), None)
        if trigger is None or not self._is_time(flip.at.utc_us):
            return []
        if self.rule.while_active:
            self._lasting[flip.change] = None
        if self._alarm_us is None or flip.at.mono_us >= self._interval_ends_us():
            return [self._raise(trigger, flip.at)]
        if self.rule.while_active:
            self._owed = _Owed(trigger, flip.change)
        return [Again(self.rule, str(trigger), flip.at.utc_us, self.rule.while_active)]

    def _is_met(self, trigger: Trigger, flip: Flip) -> bool:
        if change_of(trigger) is not flip.change:
            return False
        if not isinstance(trigger, Combination):
            return True
        first_us = self._last.get(trigger.first)
        return first_us is not None and 0 <= flip.at.mono_us - first_us <= trigger.within_us

    def _is_time(self, utc_us: int) -> bool:
        return self.rule.during is None or self.rule.during.is_now(utc_us)

    def _raise(self, trigger: Trigger, at: Moment) -> Alarm:
        self._alarm_us = at.mono_us
        self._owed = None
        return Alarm(
            self.rule,
            str(trigger),
            source_of(change_of(trigger)),
            at.utc_us,
            lasts=self.rule.while_active,
            missed_since_us=at.missed_since_us,
        )

    def _note_end(self, flip: Flip) -> list[Answer]:
        """A state that kept the clip open may have ended with this change."""
        ended = OPPOSITE[flip.change]
        if ended not in self._lasting:
            return []
        del self._lasting[ended]
        if self._owed is not None and self._owed.change is ended:
            self._owed = None
        return [] if self._lasting else [Over(self.rule, flip.at.utc_us, SAID[flip.change])]

    def _pay(self, now: Moment) -> list[Answer]:
        """An alarm kept back is raised when the interval is over, if its state still lasts then."""
        if self._owed is None or now.mono_us < self._interval_ends_us():
            return []
        owed, self._owed = self._owed, None
        at = now.after(self._interval_ends_us() - now.mono_us)
        return [self._raise(owed.trigger, at)] if self._is_time(at.utc_us) else []

    def _leave_schedule(self, now: Moment) -> list[Answer]:
        """Outside its schedule a rule keeps nothing, however long the state lasts that it once heeded."""
        if not self._lasting or self._is_time(now.utc_us):
            return []
        self._lasting.clear()
        self._owed = None
        return [Over(self.rule, now.utc_us, f"the schedule '{self.rule.during}' is over")]

    def _interval_ends_us(self) -> int:
        return (self._alarm_us or 0) + self.rule.min_interval_us


def _call(answer: Alarm | Again) -> Call:
    rule = answer.rule
    return Call(rule.name, answer.trigger, answer.at_us, rule.pre_us, rule.post_us, answer.lasts)


def _mono_us(flip: Flip) -> int:
    return flip.at.mono_us

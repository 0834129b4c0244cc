"""What a rule would do at a moment, and why, in sentences: for `nvr rules test`.

The verdict is the book's own: a fresh `RuleBook` of the one rule hears the story. The sentences say what it looked at.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from nvr.jvc.alarm import Change
from nvr.rules.book import Alarm, Rule, RuleBook
from nvr.rules.lines import OPPOSITE
from nvr.rules.words import Action, Combination, GoToPreset, SetDayNight, SetOutput, Single, change_of
from nvr.units import US

_SAID: Final = re.compile(r"([mb][12]|v1|moved|back)(?:\+(\d{1,4}(?:\.\d{1,3})?))?", re.ASCII)
_THINGS: Final = {
    Change.M1: "input 1 makes",
    Change.B1: "input 1 breaks",
    Change.M2: "input 2 makes",
    Change.B2: "input 2 breaks",
    Change.V1: "motion is seen",
    Change.V0: "motion ends",
    Change.MOVED: "it has looked elsewhere than expected for too long",
    Change.BACK: "it looks where it is expected again",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One change of a story, some time after it begins."""

    change: Change
    after_us: int = 0

    def __str__(self) -> str:
        return f"{self.change}+{_seconds(self.after_us)}" if self.after_us else self.change.value


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule would do, for people and for machines."""

    rule: str
    alarms: tuple[Alarm, ...]
    because: tuple[str, ...]
    """What was looked at, each a sentence without its full stop."""
    keeps: str | None
    """The footage of its clip; None where there is no alarm."""
    does: tuple[str, ...]
    """What is done at the camera, in order; empty where there is no alarm."""

    @property
    def text(self) -> str:
        """As `nvr rules test` prints it."""
        head = f"rule '{self.rule}': {'alarm' if self.alarms else 'nothing'}"
        lines = [*self.because]
        if self.keeps is not None:
            lines.append(f"it keeps {self.keeps}")
        if self.does:
            lines.append(f"it does at the camera: {'; '.join(self.does)}")
        return "\n".join([head, *(f"  {line}" for line in lines)])


def parse_said(text: str) -> Said:
    """Reads "m1", or "b2+3" for a b2 three seconds later. Raises ValueError with a sentence's end."""
    found = _SAID.fullmatch(text)
    if found is None:
        raise ValueError(
            f"is {text[:60]!r}; write m1, b1, m2, b2, v1, moved or back, and b2+3 for a b2 three seconds later"
        )
    return Said(Change(found[1]), round(float(found[2] or 0) * US))


def explain(rules: Iterable[Rule], camera: str, story: Sequence[Said], at_us: int) -> list[Verdict]:
    """What each rule would make of these changes of one camera at `at_us`, if no alarm went before and each lasts."""
    told = sorted(story, key=_after_us)
    return [_explain(rule, camera, told, at_us) for rule in rules]


def _explain(rule: Rule, camera: str, story: Sequence[Said], at_us: int) -> Verdict:
    if not rule.heeds(camera):
        return Verdict(rule.name, (), (f"it is for {', '.join(rule.cameras)}, not for {camera}",), None, ())
    alarms = _alarms(rule, story, at_us)
    because = [*_of_triggers(rule, story, alarms), *_of_time(rule, at_us), *_of_lasting(rule)]
    keeps = _kept(rule, alarms[0]) if alarms else None
    return Verdict(rule.name, alarms, tuple(because), keeps, tuple(map(_done, rule.do)) if alarms else ())


def _alarms(rule: Rule, story: Sequence[Said], at_us: int) -> tuple[Alarm, ...]:
    """What the book itself answers, each change being the first of its kind and lasting as long as it must."""
    book = RuleBook([rule])
    answers = []
    last_us = 0
    for said in story:
        last_us = said.after_us
        answers += book.answers([said.change], at_us + last_us, last_us)
    answers += book.tick(at_us + last_us + rule.debounce_us, last_us + rule.debounce_us)
    return tuple(answer for answer in answers if isinstance(answer, Alarm))


# ---- sentences ------------------------------------------------------------------------------------------------------


def _of_triggers(rule: Rule, story: Sequence[Said], alarms: Sequence[Alarm]) -> Iterable[str]:
    words = ", ".join(map(str, rule.when))
    heard = [said.change for said in story if said.change in rule.changes]
    if not heard:
        yield f"{_listed(story)} is none of its triggers ({words})"
        return
    for trigger in rule.when:
        if isinstance(trigger, Single) and trigger.change in heard:
            yield f"{trigger} ({_THINGS[trigger.change]}) is one of its triggers ({words})"
        elif isinstance(trigger, Combination):
            yield from _of_combination(trigger, heard, alarms)


def _of_combination(trigger: Combination, heard: Sequence[Change], alarms: Sequence[Alarm]) -> Iterable[str]:
    seconds = _seconds(trigger.within_us)
    if any(alarm.trigger == str(trigger) for alarm in alarms):
        yield f"{trigger}: {trigger.second} came within {seconds} s after {trigger.first}"
    elif trigger.second in heard:
        yield f"{trigger} needs {trigger.first} at most {seconds} s before {trigger.second}"
    elif trigger.first in heard:
        yield f"{trigger} waits now: {trigger.second} within {seconds} s would set it off"


def _of_time(rule: Rule, at_us: int) -> Iterable[str]:
    if rule.during is None:
        yield "it is in force at all times"
        return
    in_force = "so it is in force" if rule.during.is_now(at_us) else "so it is not in force"
    yield f"its schedule is '{rule.during}': {rule.during.said(at_us)}, {in_force}"


def _of_lasting(rule: Rule) -> Iterable[str]:
    if rule.debounce_us:
        yield f"a change counts once it has lasted {_seconds(rule.debounce_us)} s, and the alarm is at its beginning"
    if rule.min_interval_us:
        yield f"it raises at most one alarm in {_seconds(rule.min_interval_us)} s; this supposes that none went before"


def _kept(rule: Rule, alarm: Alarm) -> str:
    after = f"{_seconds(rule.post_us)} s after it"
    if alarm.lasts:
        change = next(change_of(trigger) for trigger in rule.when if str(trigger) == alarm.trigger)
        after = f"{_seconds(rule.post_us)} s after {_ending(rule, change)}"
    snapshot = ", and a snapshot" if rule.snapshot else ""
    return f"footage from {_seconds(rule.pre_us)} s before the alarm to {after}{snapshot}"


def _ending(rule: Rule, change: Change) -> str:
    if change is Change.V1:
        return f"motion ends (no report of it for {_seconds(rule.motion_hold_us)} s)"
    return _THINGS[OPPOSITE[change]]


def _done(action: Action) -> str:
    match action:
        case SetOutput(pin, make, for_ms):
            time = f" for {for_ms} ms" if for_ms else ", and leave it so"
            return f"{'make' if make else 'break'} output {pin}{time}"
        case GoToPreset(number):
            return f"go to preset {number}"
        case SetDayNight(mode):
            return f"set day-night to {mode}"


def _listed(story: Sequence[Said]) -> str:
    return " and ".join(map(str, story)) if story else "no change at all"


def _seconds(us: int) -> str:
    return f"{us / US:g}"


def _after_us(said: Said) -> int:
    return said.after_us

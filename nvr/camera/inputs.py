"""What is known of a camera's inputs and motion, and what happened to them.

It is told by several links that say the same (one hands over to the next), by answers to questions and by the camera's
log; each change counts once. Pure: told the time, UTC for dates and monotonic for waiting, in microseconds.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from nvr.jvc.alarm import AlarmReport, Change, Pin, changes
from nvr.jvc.log import Told
from nvr.units import US, UtcMicros

_MOTION: Final = (Change.V1, Change.V0)
_LATE_US: Final = 45 * US  # a link that lags by more is dead: keep-alive has ended it (camera.link)
_MOST_KEPT: Final = 256  # reports that another link may still bring, and changes that the log may tell again
_SAME_US: Final = 3 * US  # the log has whole seconds, by a clock that is known to a second
_LOG_HOLD_US: Final = 5 * US  # logged motion goes on from one line to the next, where nobody says for how long


class How(StrEnum):
    """How a change became known."""

    REPORTED = "reported"
    """The camera reported it as it happened."""
    UNCONNECTED = "while-unconnected"
    """Found afterwards: the state is another than before the link was lost."""
    LOGGED = "logged"
    """From the camera's log: it happened while the link was lost. It says nothing of the state now."""
    EXPIRED = "expired"
    """Nobody said so: motion was not reported again for as long as a report counts."""


@dataclass(frozen=True, slots=True)
class Happened:
    """A change of an input, or of motion."""

    change: Change
    utc_us: UtcMicros
    """When; for UNCONNECTED when it was found. LOGGED ones are told after later ones."""
    since_us: UtcMicros
    """It happened no earlier than this: `utc_us`, but for UNCONNECTED."""
    how: How
    again: bool = False
    """Motion that was known already goes on."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was known when it was last listened to, for whoever listens next."""

    state: AlarmReport
    at_us: UtcMicros
    """Until when it was listened to."""
    heard: tuple[Told, ...] = ()
    """What was reported in the last seconds before: the log may tell it again."""


class _Report(NamedTuple):
    number: int
    report: AlarmReport
    mono_us: int


class Inputs:
    """The state of one camera's inputs."""

    def __init__(
        self,
        *,
        motion_hold_us: int | None,
        known: Known | None = None,
    ) -> None:
        """`motion_hold_us`: a report of motion counts for so long where the camera does not say when it ends; None: on
        and on. `known` is what earlier inputs answered as `known`.
        """
        self.state = None if known is None else known.state
        self.says_motion_end = False
        """The camera has reported the end of motion by itself: it will again."""
        self.repeated = 0
        """Reports that had come over another link before."""
        self._motion_hold_us = motion_hold_us
        self._unsure_since_us = None if known is None else known.at_us
        self._positions: dict[int, int] = {}
        self._quiet_links: set[int] = set()
        self._reports: deque[_Report] = deque(maxlen=_MOST_KEPT)
        self._number = 0
        self._reported_mono_us: int | None = None
        self._said_motion = False
        self._motion_mono_us: int | None = None
        self._is_motion_unsure = known is not None
        self._heard: deque[Told] = deque(() if known is None else known.heard, maxlen=_MOST_KEPT)
        self._awaits_log = False
        self._pending: list[Happened] = []
        self._found: list[Happened] = []

    @property
    def heard(self) -> Sequence[Told]:
        """What was reported lately as it happened."""
        return self._heard

    def known(self, alive_us: UtcMicros) -> Known | None:
        """For the next inputs. `alive_us`: the last sign of life of a link, where one is open."""
        if self.state is None:
            return None
        at_us = alive_us if self._unsure_since_us is None else self._unsure_since_us
        return Known(self.state, at_us, tuple(one for one in self._heard if one.utc_us >= at_us - 2 * _SAME_US))

    # The links.

    def opened(self, link: int, mono_us: int) -> None:
        """This link brings reports from now on."""
        if not self._positions and self.state is not None and self.state.motion:
            self._is_motion_unsure = True
            if self.says_motion_end or self._motion_mono_us is None:
                self._motion_mono_us = mono_us
        self._positions[link] = self._number
        self._quiet_links.add(link)

    def closed(self, link: int) -> None:
        """This link brings no more."""
        self._positions.pop(link, None)
        self._quiet_links.discard(link)

    def lost(self, since_us: UtcMicros, *, awaits_log: bool) -> None:
        """Nothing was heard since then, and no link is left.

        `awaits_log`: the log will be asked what happened meanwhile; what is found until `logged` or `no_log` waits.
        """
        if self._unsure_since_us is None:
            self._unsure_since_us = since_us
        self._reports.clear()
        self._awaits_log = awaits_log

    def report(self, link: int, report: AlarmReport, utc_us: UtcMicros, mono_us: int) -> list[Happened]:
        """A link that is open brought this; what of it is new."""
        is_first = link in self._quiet_links
        self._quiet_links.discard(link)
        told = self._told_before(link, report, mono_us)
        if told is not None:
            self._positions[link] = told.number
            self.repeated += 1
            if told.number < self._number or self.state is None:
                return []  # a link that lags: newer is known
            return self._take(replace(report, motion=self.state.motion), utc_us, None)
        if is_first and self._says_nothing_new(report):
            # The present state, said to whoever connects.
            self._motion_mono_us = mono_us if report.motion else self._motion_mono_us
            self._is_motion_unsure = False
            return self._take(report, utc_us, None)
        self._number += 1
        self._positions[link] = self._number
        self._reports.append(_Report(self._number, report, mono_us))
        self._reported_mono_us = mono_us
        if not is_first:
            self._learn_motion_end(report)
        self._said_motion = report.motion
        self._is_motion_unsure = False
        return self._take(report, utc_us, mono_us)

    # Answers and the log.

    def answered(self, pin1: Pin, pin2: Pin, asked_mono_us: int, utc_us: UtcMicros) -> list[Happened]:
        """The camera was asked for its inputs at `asked_mono_us`; only what no report has said since is taken."""
        is_outdated = self._reported_mono_us is not None and self._reported_mono_us >= asked_mono_us
        if is_outdated or not self._positions:
            return []
        motion = self.state.motion if self.state is not None else False
        return self._take(AlarmReport(pin1, pin2, motion), utc_us, None)

    def logged(self, told: Iterable[Told], outages: Sequence[tuple[UtcMicros, UtcMicros]]) -> list[Happened]:
        """The log's alarms, oldest first: those from start to end of an outage that nobody heard; then what was found
        and is not among them.
        """
        missed = self._unheard(one for one in told if _is_within(one.utc_us, outages))
        for found in self._found:
            if (at := _last(missed, found.change)) is not None:
                del missed[at]
        unexplained = [one for one in self._pending if _last(missed, one.change) is None]
        self._found.clear()
        self._pending.clear()
        self._awaits_log = False
        return [*_as_logged(missed), *unexplained]

    def no_log(self) -> list[Happened]:
        """The log could not be read: what waited for it."""
        self._awaits_log = False
        self._found.clear()
        return self._flush()

    # Time.

    def tick(self, utc_us: UtcMicros, mono_us: int) -> list[Happened]:
        """What happened because nothing else did."""
        ends_us = self.next_us()
        if ends_us is None or mono_us < ends_us or self.state is None:
            return []
        self.state = replace(self.state, motion=False)
        at_us = UtcMicros(utc_us - (mono_us - ends_us))
        return [Happened(Change.V0, at_us, at_us, How.EXPIRED)]

    def next_us(self) -> int | None:
        """When motion expires (monotonic), None where it does not."""
        if self._motion_hold_us is None or self._motion_mono_us is None or self.state is None or not self.state.motion:
            return None
        if self.says_motion_end and not (self._is_motion_unsure and self._positions):
            return None
        return self._motion_mono_us + self._motion_hold_us

    # Steps of the above.

    @property
    def _is_sure(self) -> bool:
        """Somebody has listened ever since the state was known."""
        return self.state is not None and self._unsure_since_us is None

    def _told_before(self, link: int, report: AlarmReport, mono_us: int) -> _Report | None:
        """The report that another link brought, of which this is the copy. Each link keeps the camera's order."""
        position, oldest_us = self._positions[link], mono_us - _LATE_US
        for told in self._reports:
            if told.number > position and told.report == report and told.mono_us >= oldest_us:
                return told
        return None

    def _says_nothing_new(self, report: AlarmReport) -> bool:
        return self.state is not None and self._merged(report) == self.state

    def _learn_motion_end(self, report: AlarmReport) -> None:
        """Only from a report that has nothing else to say: beside a change of an input `off` comes in any case."""
        state = self.state
        if self._is_sure and state is not None and self._said_motion and not report.motion:
            self.says_motion_end |= (state.pin1, state.pin2) == (report.pin1, report.pin2)

    def _take(self, report: AlarmReport, utc_us: UtcMicros, mono_us: int | None) -> list[Happened]:
        """The state is this now. `mono_us`: when motion was said (or that there is none); None where it was not."""
        before, self.state = self.state, self._merged(report)
        since_us, self._unsure_since_us = self._unsure_since_us, None
        happened = []
        for change in changes(before, self.state):
            if change is Change.V1:
                if mono_us is None:
                    continue
                again = before is not None and before.motion
                happened.append(Happened(change, utc_us, utc_us, How.REPORTED, again))
            elif since_us is None:
                happened.append(Happened(change, utc_us, utc_us, How.REPORTED))
            else:
                happened.append(Happened(change, utc_us, since_us, How.UNCONNECTED))
        if self.state.motion and mono_us is not None:
            self._motion_mono_us = mono_us
        self._heard.extend(Told(one.change, one.utc_us) for one in happened if one.how is How.REPORTED)
        return self._in_turn(happened)

    def _merged(self, report: AlarmReport) -> AlarmReport:
        """A pin that is not said stays as it was known."""
        if self.state is None:
            return report
        pin1 = self.state.pin1 if report.pin1 is Pin.UNKNOWN else report.pin1
        pin2 = self.state.pin2 if report.pin2 is Pin.UNKNOWN else report.pin2
        return AlarmReport(pin1, pin2, report.motion)

    def _in_turn(self, happened: list[Happened]) -> list[Happened]:
        """What was found of an input waits for the log, which may know its time, but never for longer than its next
        change.
        """
        if not self._awaits_log:
            return happened
        self._pending += [one for one in happened if one.how is How.UNCONNECTED and one.change not in _MOTION]
        live = [one for one in happened if one.how is not How.UNCONNECTED or one.change in _MOTION]
        if any(one.change not in _MOTION for one in live):
            waited = self._flush()
            self._found += waited
            return [*waited, *live]
        return live

    def _flush(self) -> list[Happened]:
        waited, self._pending = self._pending, []
        return waited

    def _unheard(self, told: Iterable[Told]) -> list[Told]:
        """Without what was reported: each report of an input stands for one line, each of motion for all around it."""
        heard = list(self._heard)
        unheard = []
        for one in told:
            same = next((h for h in heard if h.change is one.change and abs(h.utc_us - one.utc_us) <= _SAME_US), None)
            if same is None:
                unheard.append(one)
            elif one.change is not Change.V1:
                heard.remove(same)
        return unheard


def _is_within(utc_us: int, outages: Iterable[tuple[UtcMicros, UtcMicros]]) -> bool:
    return any(start_us - _SAME_US <= utc_us <= end_us + _SAME_US for start_us, end_us in outages)


def _last(told: Sequence[Told], change: Change) -> int | None:
    return next((at for at in range(len(told) - 1, -1, -1) if told[at].change is change), None)


def _as_logged(missed: Iterable[Told]) -> list[Happened]:
    happened = []
    motion_us: int | None = None
    for change, at_us in missed:
        again = change is Change.V1 and motion_us is not None and at_us - motion_us <= _LOG_HOLD_US
        motion_us = at_us if change is Change.V1 else motion_us
        happened.append(Happened(change, UtcMicros(at_us), UtcMicros(at_us), How.LOGGED, again))
    return happened

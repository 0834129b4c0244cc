"""The alarms of one camera: links to its alarm port, one after the other without a gap, and what they bring (guide 4).

The port says who may listen, not how long: `relay` decides when the next link opens, `inputs` what is news. Where no
link stood for a while, that is an outage: it is told and counted, and the camera is asked what happened meanwhile.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nvr.camera.alarm_line import AlarmLine
from nvr.camera.control import Control, LogReading
from nvr.camera.errors import CameraBusy, LinkError
from nvr.camera.inputs import Happened, How, Inputs, Known
from nvr.camera.link import Address
from nvr.camera.relay import USUAL, End, Relay, Timing
from nvr.clock import Clock
from nvr.jvc import log as camera_log
from nvr.jvc.alarm import AlarmReport
from nvr.jvc.errors import ApiRefused
from nvr.log import Streak
from nvr.units import US, MonoMicros, UtcMicros

log = logging.getLogger(__name__)

_TICK_S: Final = 1.0
_CATCH_UP_S: Final = 10.0  # what is found waits for so long for its time
_MOST_UNREAD: Final = 16


class LogState(StrEnum):
    """Whether the camera's log told of an outage."""

    READ = "read"
    NOT_ASKED = "not-asked"
    """There is no way to ask: no login is known, or we were about to stop."""
    FAILED = "failed"
    """It was asked, and did not answer in a way that could be used."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Time in which no alarm could reach us."""

    start_us: UtcMicros
    end_us: UtcMicros
    reason: str
    """A LinkError's word, or `service-stopped` from the time the state was last known to the first link."""
    why: str
    """One sentence."""
    log: LogState
    log_from_us: UtcMicros | None
    """Since when the log goes back, where the camera said so: it forgets all when it is switched off."""
    missed: int
    """Changes that the log told of."""


class AlarmCounts:
    """Since the start of this process."""

    def __init__(self) -> None:
        self.reports = 0
        """That came over any link."""
        self.changes = 0
        """That were told."""
        self.links = 0
        """That were connected, the refused ones included."""
        self.refused = 0
        """Links that the camera accepted and closed: it was full."""
        self.cut = 0
        """Links that the camera closed later."""
        self.lost = 0
        """Links that ended in another way."""
        self.handed_over = 0
        """Links that were closed because the next one stood."""
        self.unknown_lines = 0
        self.outages = 0
        self.outage_us = 0


class AlarmLink:
    """Listens to one camera's alarms until `stop`; may be run once. Its attributes may be read at any time.

    `on_change` and `on_outage` are called in the loop; what they raise comes out of `run`, in an ExceptionGroup.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        clock: Clock,
        on_change: Callable[[Happened], None],
        *,
        on_outage: Callable[[Outage], None] | None = None,
        control: Control | None = None,
        motion_hold_s: float | None = 5.0,
        known: Known | None = None,
        cut_s: float | None = None,
        timing: Timing = USUAL,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """`name` is the camera's, for the log. Without `control` neither inputs are read at connect nor the log.

        `motion_hold_s`: see Inputs; None leaves the end of motion to others where the camera does not say it.
        `known` and `cut_s` are what the last alarm link to this camera answered as such.
        """
        self.address = address
        self.counts = AlarmCounts()
        self.up = False
        """Alarms reach us."""
        self.since_us = clock.utc_us()
        """Since when `up` is as it is."""
        self.why = "not connected yet"
        """Why it is not up, or was not last."""
        self._name = name
        self._clock = clock
        self._on_change = on_change
        self._on_outage = on_outage
        self._control = control
        self._timing = timing
        self._relay = Relay(dice, timing, cut_s=cut_s)
        motion_hold_us = None if motion_hold_s is None else round(motion_hold_s * US)
        self._inputs = Inputs(motion_hold_us=motion_hold_us, known=known)
        self._lines: dict[int, AlarmLine] = {}
        self._down: _Down | None = None
        self._number = 0
        self._unread: deque[_Span] = deque(maxlen=_MOST_UNREAD)
        self._catching_up: _CatchUp | None = None
        self._woken = asyncio.Event()
        self._is_begun = False
        self._is_stopped = False
        self._keys: dict[str, object] = {"camera": name, "action": "alarm-link"}
        self._trouble = Streak(log, self._keys)
        self._no_cover = Streak(log, self._keys)
        self._no_answer = Streak(log, {"camera": name, "action": "alarm-catch-up"})
        if known is not None:
            why = "the service did not run"
            self._down = _Down(known.at_us, None, "service-stopped", why, is_told=True)
            self._inputs.lost(known.at_us, awaits_log=control is not None)

    @property
    def state(self) -> AlarmReport | None:
        """What is known of the inputs and motion; None before the first word."""
        return self._inputs.state

    @property
    def known(self) -> Known | None:
        """What the next alarm link to this camera should know; None before the first word."""
        now_us, mono_us = self._clock.utc_us(), self._clock.mono_us()
        alive_mono_us = max((line.alive_mono_us for line in self._lines.values()), default=mono_us)
        return self._inputs.known(UtcMicros(now_us - (mono_us - alive_mono_us)))

    @property
    def says_motion_end(self) -> bool:
        """Whether this camera reports the end of motion."""
        return self._inputs.says_motion_end

    @property
    def repeated(self) -> int:
        """Reports that had come over another link before."""
        return self._inputs.repeated

    @property
    def cut_s(self) -> float | None:
        """After how long this camera cuts its links, as learned; None until it did."""
        return self._relay.cut_s

    @property
    def open_links(self) -> int:
        """Of the ten that the camera has for all its clients (guide 4.2)."""
        return sum(line.opened_mono_us is not None for line in self._lines.values())

    async def run(self) -> None:
        """Listens until `stop`; raises nothing but what the callbacks do."""
        if self._is_begun:
            raise RuntimeError("an AlarmLink may be run once")
        self._is_begun = True
        if self._down is None:
            now_us, mono_us = self._clock.utc_us(), self._clock.mono_us()
            self._down = _Down(now_us, mono_us, CameraBusy.reason, self.why, is_told=False)
        try:
            async with asyncio.TaskGroup() as group:
                while not self._is_stopped:
                    looked_us = self._clock.mono_us()
                    self._look(group, looked_us)
                    await self._nap(looked_us)
                self._end()
        finally:
            self._set_up(up=False)

    def stop(self) -> None:
        """Ends all links: `run` returns. Safe at any time."""
        self._is_stopped = True
        self._woken.set()

    # What its lines call, in the loop.

    def line_opened(self, line: AlarmLine) -> None:
        self.counts.links += 1
        self._relay.opened(line.number, self._clock.mono_us())
        self._inputs.opened(line.number, self._clock.mono_us())
        self._woken.set()

    def line_brought(
        self, line: AlarmLine, reports: list[AlarmReport], utc_us: UtcMicros, mono_us: MonoMicros, *, unknown_lines: int
    ) -> None:
        self.counts.unknown_lines += unknown_lines
        self._relay.heard(line.number, mono_us)
        if not line.is_proven:
            self._woken.set()
        self.counts.reports += len(reports)
        for report in reports:
            self._tell(self._inputs.report(line.number, report, utc_us, mono_us))

    # Steps of `run`.

    def _look(self, group: asyncio.TaskGroup, mono_us: int) -> None:
        """Does what is due now."""
        for line in tuple(self._lines.values()):
            line.look()
            if not line.is_proven and self._relay.is_proven(line.number, mono_us):
                line.is_proven = True
                self._proven(line, group)
        done = self._relay.finished_with(mono_us)
        if done is not None:
            self._hand_over(self._lines.pop(done), mono_us)
        if self._relay.wants_another(mono_us):
            self._relay.opening()
            self._number += 1
            line = AlarmLine(self, self._clock, self._number, self._timing.trial_s, self.state)
            self._lines[line.number] = line
            group.create_task(self._follow(line), name=f"alarm link {line.number} of {self._name}")
        self._tell(self._inputs.tick(self._clock.utc_us(), mono_us))

    async def _nap(self, looked_us: int) -> None:
        """Waits until something happens or is due. At the full second, where all cameras' links are looked after.

        What became due since `looked_us`, when it was last looked, is due at once.
        """
        loop, now_us = asyncio.get_running_loop(), self._clock.mono_us()
        at_s = (loop.time() // _TICK_S + 1) * _TICK_S
        for moment_us in (self._relay.next_us(looked_us), self._inputs.next_us()):
            if moment_us is not None:
                at_s = min(at_s, loop.time() + max(0, moment_us - now_us) / US)
        timer = loop.call_at(at_s, self._woken.set)
        await self._woken.wait()
        timer.cancel()
        self._woken.clear()

    async def _follow(self, line: AlarmLine) -> None:
        """One link, from connecting to its end."""
        if self._is_stopped:
            return
        try:
            await line.connect(self.address, self._timing.connect_s)
            await line.ended()
        except LinkError as trouble:
            self._line_ended(line, trouble)
        finally:
            await line.close()

    def _hand_over(self, line: AlarmLine, mono_us: int) -> None:
        self.counts.handed_over += 1
        self._relay.ended(line.number, End.DONE, mono_us)
        self._inputs.closed(line.number)
        line.end()

    def _line_ended(self, line: AlarmLine, trouble: LinkError) -> None:
        if self._lines.pop(line.number, None) is None:
            return  # handed over, and only then lost
        self._woken.set()
        mono_us = self._clock.mono_us()
        if line.opened_mono_us is None:
            self._relay.not_opened(mono_us)
        else:
            self._count_end(line, trouble)
            self._relay.ended(line.number, End.CLOSED if line.is_closed_by_camera else End.LOST, mono_us)
            self._inputs.closed(line.number)
        if line.is_proven and not any(other.is_proven for other in self._lines.values()):
            self._went_down(line, trouble)
        if self._down is None:
            self._note_lost_cover(line, trouble)
            return
        self.why = str(trouble)
        if not self._down.is_told:
            self._down.reason, self._down.why, self._down.is_told = trouble.reason, self.why, True
        self._trouble.hit(self.why, reason=trouble.reason)
        if not self.open_links:
            self._inputs.lost(self._down.since_us, awaits_log=self._control is not None)

    def _went_down(self, line: AlarmLine, trouble: LinkError) -> None:
        """No link is left that the camera is known to serve: since when, is the last sign of life."""
        self._abandon_catch_up()
        mono_us, utc_us = self._clock.mono_us(), self._clock.utc_us()
        alive_us = mono_us if line.is_alive_to_its_end else line.alive_mono_us
        since_us = UtcMicros(utc_us - (mono_us - alive_us))
        self._down = _Down(since_us, alive_us, trouble.reason, str(trouble), is_told=True)
        self._set_up(up=False)

    def _note_lost_cover(self, line: AlarmLine, trouble: LinkError) -> None:
        """A link is lost while another stands: as it should be where the camera cuts the old one."""
        if line.is_proven:
            age_s = round((self._clock.mono_us() - (line.opened_mono_us or 0)) / US)
            log.debug("%s, another stands", trouble, extra={**self._keys, "age_seconds": age_s})
        else:
            self._no_cover.hit(f"no second alarm link: {trouble}", reason=trouble.reason)

    def _proven(self, line: AlarmLine, group: asyncio.TaskGroup) -> None:
        """The camera serves this link."""
        self._no_cover.over("a second alarm link stands")
        down, self._down = self._down, None
        if down is None:
            return
        self._set_up(up=True)
        self._trouble.over("alarm link is back")
        opened_us = line.opened_mono_us or 0
        if down.since_mono_us is not None and opened_us <= down.since_mono_us:
            # It stood already when the other one ended: no outage; but one before may have been about to be asked for.
            self._unread.clear()
            self._tell(self._inputs.no_log())
            return
        end_us = UtcMicros(max(down.since_us, self._clock.utc_us() - (self._clock.mono_us() - opened_us)))
        span = _Span(down, end_us) if down.is_told else None
        if self._control is not None:
            task = group.create_task(self._catch_up(self._control, span), name=f"alarm catch-up of {self._name}")
            self._catching_up = _CatchUp(task, span)
        elif span is not None:
            self._record(span, LogState.NOT_ASKED)

    # After an outage, and at the first connection: what happened meanwhile?

    async def _catch_up(self, control: Control, span: "_Span | None") -> None:
        """Reads the inputs, and after an outage the log."""
        reading: LogReading | None = None
        try:
            async with asyncio.timeout(_CATCH_UP_S):
                asked_us = self._clock.mono_us()
                pin1, pin2 = await control.input_pins()
                self._tell(self._inputs.answered(pin1, pin2, asked_us, self._clock.utc_us()))
                if span is not None:
                    reading = await control.log()
            self._no_answer.over("the camera answers what happened while its alarms were not heard")
        except TimeoutError:
            self._no_answer.hit(f"the camera was asked what happened meanwhile, and took more than {_CATCH_UP_S:g} s")
        except (LinkError, ApiRefused) as trouble:
            self._no_answer.hit(f"the camera was asked what happened meanwhile: {trouble}")
        self._catching_up = None
        if span is not None and reading is not None and camera_log.is_date(reading.camera_date):
            self._take_log(span, reading)
        else:
            self._tell(self._inputs.no_log())
            self._unread.clear()
            if span is not None:
                self._record(span, LogState.FAILED)

    def _take_log(self, span: "_Span", reading: LogReading) -> None:
        told = camera_log.placed(reading.log, reading.camera_date, reading.utc_us, self._inputs.heard)
        spans = [(one.down.since_us, one.end_us) for one in (*self._unread, span)]
        self._unread.clear()
        happened = self._inputs.logged(told, spans)
        alive_s = reading.log.alive_s
        log_from_us = None if alive_s is None else UtcMicros(reading.utc_us - alive_s * US)
        missed = sum(one.how is How.LOGGED for one in happened)
        self._record(span, LogState.READ, log_from_us, missed)
        self._tell(happened)

    def _abandon_catch_up(self) -> None:
        """The next outage began before the last one was asked about: the next one asks for both."""
        if self._catching_up is None:
            return
        self._catching_up.task.cancel()
        span, self._catching_up = self._catching_up.span, None
        if span is not None:
            self._unread.append(span)
            self._record(span, LogState.NOT_ASKED)

    def _record(self, span: "_Span", state: LogState, log_from_us: UtcMicros | None = None, missed: int = 0) -> None:
        self.counts.outages += 1
        self.counts.outage_us += span.end_us - span.down.since_us
        if self._on_outage is not None:
            down = span.down
            self._on_outage(Outage(down.since_us, span.end_us, down.reason, down.why, state, log_from_us, missed))

    # Small steps.

    def _end(self) -> None:
        """`stop` was called."""
        for line in self._lines.values():
            line.end()
        self._lines.clear()
        self._abandon_catch_up()
        self._tell(self._inputs.no_log())
        if self._down is not None and self._down.is_told:
            self._record(
                _Span(self._down, UtcMicros(max(self._down.since_us, self._clock.utc_us()))), LogState.NOT_ASKED
            )

    def _tell(self, happened: Iterable[Happened]) -> None:
        for one in happened:
            self.counts.changes += 1
            self._on_change(one)

    def _set_up(self, *, up: bool) -> None:
        if up is not self.up:
            self.up = up
            self.since_us = self._clock.utc_us()

    def _count_end(self, line: AlarmLine, trouble: LinkError) -> None:
        if isinstance(trouble, CameraBusy):
            self.counts.refused += 1
        elif line.is_closed_by_camera:
            self.counts.cut += 1
        else:
            self.counts.lost += 1


@dataclass(slots=True)
class _Down:
    """Time without a link, while it lasts."""

    since_us: UtcMicros
    since_mono_us: int | None
    """None where it began before this process."""
    reason: str
    why: str
    is_told: bool
    """There was trouble: only the moment before the very first connection is none."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Time without a link, now over."""

    down: _Down
    end_us: UtcMicros


@dataclass(frozen=True, slots=True)
class _CatchUp:
    task: asyncio.Task[None]
    span: _Span | None

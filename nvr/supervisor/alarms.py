"""One camera's alarms: from what it reports to clips, rows in the index, and what is to be done at the camera."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, assert_never

from nvr.camera.alarms import AlarmLink, LogState, Outage
from nvr.camera.control import Control, DayNight
from nvr.camera.errors import LinkError
from nvr.camera.inputs import Happened, How, Known
from nvr.camera.snapshot import Snapshot
from nvr.clock import Clock
from nvr.jvc.alarm import AlarmReport, Change, Pin
from nvr.jvc.errors import ApiRefused, ProtocolError
from nvr.jvc.log import Told
from nvr.log import Streak
from nvr.metrics import CameraCounts
from nvr.record.clips import OpenClip
from nvr.record.keeper import Keeper
from nvr.rules.book import Again, Alarm, Answer, Over, RuleBook
from nvr.rules.lines import on_of
from nvr.rules.words import Action, GoToPreset, SetDayNight, SetOutput
from nvr.store.index import Index
from nvr.store.rows import AlarmLinkRow, AlarmRow
from nvr.supervisor.clip_rows import ClipRows
from nvr.units import US, UtcMicros

log = logging.getLogger(__name__)

_CHECK_MOTION_S: Final = (
    60.0  # and at connect, and when the camera says in its pictures that it begins or ends to track
)
_REMEMBER_US: Final = 60 * US  # what is known of the inputs is noted at each change, and that it still holds
_ACTION_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Snapshots:
    """How a rule's JPEG comes about."""

    take: Callable[[], Awaitable[Snapshot]]
    """One picture of the camera; raises LinkError."""
    keep: Callable[[int, bytes], None]
    """Takes a clip's id and its JPEG."""


class AlarmWatch:
    """Runs one camera's alarm link and rules until `stop`.

    `link` is None where no rule heeds the camera and it never waits for alarms; `control` where no login is known.
    """

    def __init__(
        self,
        keeper: Keeper,
        book: RuleBook,
        link: AlarmLink | None,
        control: Control | None,
        index: Index,
        rows: ClipRows,
        counts: CameraCounts,
        clock: Clock,
        *,
        snapshots: Snapshots | None = None,
    ) -> None:
        self.rows = rows
        self.link = link
        self._keeper = keeper
        self._book = book
        self._has_rules = bool(book.rules)
        self._late_book = RuleBook(book.rules)
        """For what the camera's log tells of an input that has changed since."""
        self._changed_us: dict[Change, int] = {}
        """When each line last changed, by its on."""
        self._control = control
        self._index = index
        self._counts = counts
        self._clock = clock
        self._snapshots = snapshots
        self._camera = keeper.recorder.camera
        self._group: asyncio.TaskGroup | None = None
        self._due: asyncio.TimerHandle | None = None
        self._was_up = False
        self._heard_mono_us = 0
        self._remembered_mono_us = 0
        self._has_said_no_log = False
        self.deaf: str | None = None
        """Why the camera does not look for motion though a rule needs it; None where it does, or nobody can say."""
        self._ask_for_motion = asyncio.Event()
        self._tracking: int | None = None
        self._motion_trouble = Streak(log, {"camera": self._camera.slug, "action": "motion-check"})
        self._deafness = Streak(log, {"camera": self._camera.slug, "action": "motion-missing"})

    async def run(self) -> None:
        """Listens until `stop`."""
        if self.link is None:
            return
        async with asyncio.TaskGroup() as group:
            self._group = group
            watching = None
            if self._control is not None and self._book.needs_motion:
                watching = group.create_task(self._watch_motion(self._control), name=f"motion {self._camera.slug}")
            await self.link.run()
            self._remember()
            if watching is not None:
                watching.cancel()
        self._group = None

    def stop(self) -> None:
        """Ends `run`."""
        if self._due is not None:
            self._due.cancel()
        if self.link is not None:
            self.link.stop()

    def tick(self) -> None:
        """At each tick, every second or two: what time alone brings about."""
        if self.link is not None and self.link.up != self._was_up:
            self._was_up = self.link.up
            self._keeper.alarm_link(self.link.up)
            self._ask_for_motion.set()
        said = self._keeper.recorder.said
        if said is not None and said.tracking != self._tracking:
            self._tracking = said.tracking
            self._ask_for_motion.set()
        self._counts.alarm_link_up = self._was_up
        self._counts.fail_open = self._keeper.gate.level.failing_open
        if self._has_rules:
            self._ask_the_book()
        self.rows.tick()
        if self._was_up and self._clock.mono_us() - self._remembered_mono_us >= _REMEMBER_US:
            self._remember()

    def hear(self, happened: Happened) -> None:
        """A change at the camera, as it happened or found later."""
        line = on_of(happened.change)
        if happened.how is How.LOGGED and happened.utc_us < self._changed_us.get(line, 0):
            self._hear_late(happened)
            return
        self._changed_us[line] = happened.utc_us
        self._answer(self._book.answers(*self._told(happened)))
        if not happened.again:
            self._remember()

    def outage(self, outage: Outage) -> None:
        """For a while no alarm could reach us."""
        self._counts.alarm_outages += 1
        self._counts.alarm_outage_us += outage.end_us - outage.start_us
        text = f"alarms could not be heard for {(outage.end_us - outage.start_us) / US:.1f} s: {outage.why}"
        if outage.log is LogState.READ:
            text += f"; changes that the camera's log tells of meanwhile: {outage.missed}"
        facts = {
            "start_us": int(outage.start_us),
            "end_us": int(outage.end_us),
            "reason": outage.reason,
            "log": outage.log.value,
            "missed": outage.missed,
        }
        self._index.add_event(int(outage.end_us), "alarm-link-outage", text, facts, camera_id=self._camera.id)
        if self._control is None and not self._has_said_no_log:
            self._has_said_no_log = True
            log.warning(
                "what happened while alarms could not be heard is not asked of the camera's log: no user is configured",
                extra={"camera": self._camera.slug, "action": "alarm-catch-up"},
            )

    def happen(self, change: Change) -> None:
        """A change that the camera's pictures tell of, not its alarm port."""
        self._answer(self._book.answers([change], int(self._clock.utc_us()), int(self._clock.mono_us())))

    def trigger(self, note: str | None) -> int:
        """A manual alarm; the id of its clip."""
        return self._answer(self._book.manual(int(self._clock.utc_us()), note))

    # ---- what happened while nobody listened

    def _told(self, happened: Happened) -> tuple[list[Change], int, int, int | None]:
        """As a book wants it. The log's are as long ago by the monotonic clock as by UTC, and follow each other."""
        mono_us = int(self._clock.mono_us())
        if happened.how is How.LOGGED:
            ago_us = max(0, int(self._clock.utc_us()) - happened.utc_us)
            mono_us = max(self._heard_mono_us, mono_us - ago_us)
        self._heard_mono_us = mono_us
        missed_since_us = int(happened.since_us) if happened.how in (How.LOGGED, How.UNCONNECTED) else None
        return [happened.change], int(happened.utc_us), mono_us, missed_since_us

    def _hear_late(self, happened: Happened) -> None:
        """It says nothing of the input as it is now: an alarm is a clip of its own, however long its state lasted."""
        answers = self._late_book.answers([happened.change], happened.utc_us, happened.utc_us, happened.since_us)
        self._answer([replace(answer, lasts=False) for answer in answers if isinstance(answer, Alarm)])

    def _remember(self) -> None:
        """Notes what is known of the inputs, so that a change while nvr does not run is seen as one."""
        self._remembered_mono_us = int(self._clock.mono_us())
        known = self.link.known if self.link is not None else None
        if known is None or self.link is None:
            return
        cut_s = self.link.cut_s
        row = AlarmLinkRow(
            known_us=int(known.at_us),
            pin1=known.state.pin1.value,
            pin2=known.state.pin2.value,
            motion=known.state.motion,
            heard=tuple((told.change.value, int(told.utc_us)) for told in known.heard),
            cut_us=None if cut_s is None else round(cut_s * US),
        )
        self._index.put_alarm_link(self._camera.id, row)

    # ---- from answers to deeds

    def _ask_the_book(self) -> None:
        self._answer(self._book.tick(int(self._clock.utc_us()), int(self._clock.mono_us())))

    def _answer(self, answers: Sequence[Answer]) -> int:
        clip = 0
        raised_us = [answer.at_us for answer in answers if isinstance(answer, Alarm)]
        if raised_us:
            # As far back as any rule may want: another one may be waiting for its debounce.
            self._keeper.keep_since(min(raised_us) - self._book.reach_us)
        for answer in answers:
            match answer:
                case Alarm():
                    clip = self._raise(answer)
                case Again():
                    self._keeper.again(answer.call)
                case Over():
                    self._keeper.over(answer.rule.name, answer.at_us)
                case _:
                    assert_never(answer)
        self._wait_for_the_book()
        return clip

    def _raise(self, alarm: Alarm) -> int:
        self._counts.alarms[alarm.source] += 1
        steps = self._keeper.trigger(alarm.call)
        row = AlarmRow(
            camera_id=self._camera.id,
            rule=alarm.rule.name,
            trigger=alarm.trigger,
            source=alarm.source,
            at_us=alarm.at_us,
            note=alarm.note,
            unconnected=alarm.missed_since_us is not None,
            since_us=None if alarm.missed_since_us == alarm.at_us else alarm.missed_since_us,
        )
        self.rows.add_alarm(row, steps)
        log.info(
            "alarm",
            extra={"camera": self._camera.slug, "action": "alarm", "rule": alarm.rule.name, "trigger": alarm.trigger},
        )
        for action in alarm.rule.do:
            self._do(action, alarm.rule.name)
        clip = self._keeper.open_clip(alarm.rule.name)
        if alarm.rule.snapshot and clip and alarm.missed_since_us is None:
            self._begin_snapshot(clip, alarm.rule.name)
        self._counts.clips[alarm.rule.name] = self._counts.clips.get(alarm.rule.name, 0) + any(
            isinstance(step, OpenClip) for step in steps
        )
        return clip

    def _wait_for_the_book(self) -> None:
        """Debounce and the end of a motion report do not wait for the next second."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        due_us = self._book.due_us
        if due_us is not None:
            wait_s = max(0.0, (due_us - self._clock.mono_us()) / US)
            self._due = asyncio.get_running_loop().call_later(wait_s, self._ask_the_book)

    # ---- at the camera

    def _do(self, action: Action, rule: str) -> None:
        """Begins an action at the camera, at once; how it went is logged and noted."""
        if self._group is None or self._control is None:
            self._note_action(action, rule, "no user and password are configured for the camera")
            return
        self._group.create_task(self._carry_out(self._control, action, rule), name=f"action {self._camera.slug}")

    async def _carry_out(self, control: Control, action: Action, rule: str) -> None:
        trouble: str | None = None
        try:
            async with asyncio.timeout(_ACTION_S):
                await _asked(control, action)
        except (LinkError, ApiRefused, ProtocolError, TimeoutError) as failure:
            trouble = str(failure) or "it took too long"
        self._note_action(action, rule, trouble)

    def _note_action(self, action: Action, rule: str, trouble: str | None) -> None:
        what = str(action)
        extra = {"camera": self._camera.slug, "action": "rule-action", "rule": rule, "what": what}
        if trouble is None:
            log.info("done at the camera", extra=extra)
            text = f"the rule '{rule}' did at the camera: {what}"
        else:
            log.warning("not done at the camera: %s", trouble, extra=extra)
            text = f"the rule '{rule}' could not do at the camera: {what}: {trouble}"
        facts = {"rule": rule, "what": what, "trouble": trouble}
        self._index.add_event(int(self._clock.utc_us()), "rule-action", text, facts, camera_id=self._camera.id)

    def _begin_snapshot(self, clip: int, rule: str) -> None:
        if self._group is not None and self._snapshots is not None:
            take = self._take_snapshot(self._snapshots, clip, rule)
            self._group.create_task(take, name=f"snapshot {self._camera.slug}")

    async def _take_snapshot(self, snapshots: Snapshots, clip: int, rule: str) -> None:
        extra = {"camera": self._camera.slug, "action": "snapshot", "rule": rule, "clip": clip}
        try:
            taken = await snapshots.take()
        except LinkError as trouble:
            log.warning("no snapshot of an alarm: %s", trouble, extra=extra)
        else:
            snapshots.keep(clip, taken.data)
            log.info("snapshot taken", extra={**extra, "bytes": len(taken.data)})

    async def _watch_motion(self, control: Control) -> None:
        """A rule that needs motion is deaf where the camera does not look for it."""
        while True:
            try:
                deaf = await _why_deaf(control)
            except (LinkError, ApiRefused, ProtocolError) as trouble:
                self._motion_trouble.hit(f"it is not known whether the camera detects motion: {trouble}")
            else:
                self._motion_trouble.over("the camera says again whether it detects motion")
                self._note_deafness(deaf)
            with suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_MOTION_S):
                    await self._ask_for_motion.wait()
            self._ask_for_motion.clear()

    def _note_deafness(self, deaf: str | None) -> None:
        if deaf is not None and deaf != self.deaf:
            self._deafness.hit(f"rules need motion, but the camera does not look for it: {deaf}")
        elif deaf is None:
            self._deafness.over("the camera looks for motion again")
        self.deaf = deaf
        self._keeper.motion_detection(deaf is not None)


async def _why_deaf(control: Control) -> str | None:
    """Guide 6.9: motion detection may be off, and pauses while the camera tracks."""
    if await control.detects_motion() is False:
        return "its motion detection is off"
    if await control.auto_tracks() or await control.tracks_target():
        return "it is tracking"
    return None


async def _asked(control: Control, action: Action) -> None:
    match action:
        case SetOutput():
            await control.drive_output(action.pin, Pin.MAKE if action.make else Pin.BREAK, action.for_ms)
        case GoToPreset():
            await control.go_to_preset(action.number)
        case SetDayNight():
            await control.set_day_night(DayNight(action.mode.value))
        case _:
            assert_never(action)


def known_from(row: AlarmLinkRow) -> Known:
    """What an earlier life knew of the inputs."""
    heard = tuple(Told(Change(change), UtcMicros(at_us)) for change, at_us in row.heard)
    return Known(AlarmReport(Pin(row.pin1), Pin(row.pin2), row.motion), UtcMicros(row.known_us), heard)

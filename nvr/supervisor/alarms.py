"""One camera's alarms: from what it reports to clips, rows in the index, and what is to be done at the camera."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from nvr.camera.alarms import AlarmLink
from nvr.camera.control import Control, DayNight
from nvr.camera.errors import LinkError
from nvr.camera.inputs import Happened, How
from nvr.camera.snapshot import Snapshot
from nvr.clock import Clock
from nvr.jvc.alarm import Change, Pin
from nvr.jvc.errors import ApiRefused, ProtocolError
from nvr.log import Streak
from nvr.metrics import CameraCounts
from nvr.record.clips import OpenClip, Step
from nvr.record.keeper import Keeper
from nvr.rules.book import Again, Alarm, Answer, Over, RuleBook
from nvr.rules.words import Action, GoToPreset, SetDayNight, SetOutput
from nvr.store.index import Index
from nvr.store.rows import AlarmRow
from nvr.units import US

log = logging.getLogger(__name__)

_CHECK_MOTION_S: Final = 600.0
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
        counts: CameraCounts,
        clock: Clock,
        *,
        snapshots: Snapshots | None = None,
    ) -> None:
        self.link = link
        self._keeper = keeper
        self._book = book
        self._control = control
        self._index = index
        self._counts = counts
        self._clock = clock
        self._snapshots = snapshots
        self._camera = keeper.recorder.camera
        self._group: asyncio.TaskGroup | None = None
        self._due: asyncio.TimerHandle | None = None
        self._was_up = False
        self._motion_trouble = Streak(log, {"camera": self._camera.slug, "action": "motion-check"})

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
        """Once a second: what time alone brings about."""
        if self.link is not None and self.link.up != self._was_up:
            self._was_up = self.link.up
            self._keeper.alarm_link(self.link.up)
        self._counts.alarm_link_up = self._was_up
        self._counts.fail_open = self._keeper.gate.level.failing_open
        self._ask_the_book()

    def hear(self, happened: Happened) -> None:
        """A change at the camera."""
        mono_us = int(self._clock.mono_us())
        note = None if happened.how is How.REPORTED else happened.how.value
        self._answer(self._book.answers([happened.change], happened.utc_us, mono_us), note)

    def happen(self, change: Change) -> None:
        """A change that the camera's pictures tell of, not its alarm port."""
        self._answer(self._book.answers([change], int(self._clock.utc_us()), int(self._clock.mono_us())), None)

    def trigger(self, note: str | None) -> int:
        """A manual alarm; the id of its clip."""
        answers = self._book.manual(int(self._clock.utc_us()), note)
        return self._answer(answers, note)

    # ---- from answers to deeds

    def _ask_the_book(self) -> None:
        self._answer(self._book.tick(int(self._clock.utc_us()), int(self._clock.mono_us())), None)

    def _answer(self, answers: Sequence[Answer], note: str | None) -> int:
        clip = 0
        raised_us = [answer.at_us for answer in answers if isinstance(answer, Alarm)]
        if raised_us:
            # As far back as any rule may want: another one may be waiting for its debounce.
            self._keeper.keep_since(min(raised_us) - self._book.reach_us)
        for answer in answers:
            match answer:
                case Alarm():
                    clip = self._raise(answer, note)
                case Again():
                    self._keeper.again(answer.call)
                case Over():
                    self._keeper.over(answer.rule.name, answer.at_us)
                case _:
                    assert_never(answer)
        self._wait_for_the_book()
        return clip

    def _raise(self, alarm: Alarm, note: str | None) -> int:
        self._counts.alarms[alarm.source] += 1
        steps = self._keeper.trigger(alarm.call)
        row = AlarmRow(
            camera_id=self._camera.id,
            rule=alarm.rule.name,
            trigger=alarm.trigger,
            source=alarm.source,
            at_us=alarm.at_us,
            note=alarm.note or note,
        )
        self._index.add_alarm(row, steps)
        log.info(
            "alarm",
            extra={"camera": self._camera.slug, "action": "alarm", "rule": alarm.rule.name, "trigger": alarm.trigger},
        )
        for action in alarm.rule.do:
            self._do(action, alarm.rule.name)
        clip = self._keeper.open_clip(alarm.rule.name)
        if alarm.rule.snapshot and clip:
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
        """Begins an action at the camera, at once; how it went is logged."""
        if self._group is None or self._control is None:
            log.warning(
                "a rule wants something done at the camera, but no user and password are configured for it",
                extra={"camera": self._camera.slug, "action": "rule-action", "rule": rule, "what": str(action)},
            )
            return
        self._group.create_task(self._carry_out(self._control, action, rule), name=f"action {self._camera.slug}")

    async def _carry_out(self, control: Control, action: Action, rule: str) -> None:
        extra = {"camera": self._camera.slug, "action": "rule-action", "rule": rule, "what": str(action)}
        try:
            async with asyncio.timeout(_ACTION_S):
                await _asked(control, action)
        except (LinkError, ApiRefused, ProtocolError, TimeoutError) as trouble:
            log.warning("not done at the camera: %s", trouble or "it took too long", extra=extra)
        else:
            log.info("done at the camera", extra=extra)

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
                missing = await control.detects_motion() is False
            except (LinkError, ApiRefused, ProtocolError) as trouble:
                self._motion_trouble.hit(f"it is not known whether the camera detects motion: {trouble}")
            else:
                self._motion_trouble.over("the camera says again whether it detects motion")
                self._keeper.motion_detection(missing)
            await asyncio.sleep(_CHECK_MOTION_S)


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


def put_steps(index: Index, camera_id: int, steps: Sequence[Step]) -> None:
    """What became of clips goes into the index."""
    index.put_clip_steps(camera_id, steps)

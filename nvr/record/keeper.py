"""Stands before a camera's recorder: lets frames through, holds them in the ring, or drops them, and cuts clips.

The gate says which, the ring holds the seconds before an alarm, the desk says what is a clip. Whoever hears alarms
calls `trigger`, `again` and `over`; what becomes of clips goes to `on_steps`.
"""

from collections.abc import Callable, Sequence

from nvr.clock import Clock
from nvr.media.frame import Frame
from nvr.record.clips import Call, ClipDesk, CloseClip, Step
from nvr.record.gate import Admission, Gate
from nvr.record.recorder import Recorder
from nvr.record.ring import GopRing, Held


class Keeper:
    """One camera's. Everything here runs in the loop."""

    def __init__(
        self,
        recorder: Recorder,
        gate: Gate,
        ring: GopRing,
        desk: ClipDesk,
        clock: Clock,
        on_steps: Callable[[Sequence[Step]], None],
    ) -> None:
        self.recorder = recorder
        self.gate = gate
        self.ring = ring
        self.last_us = 0
        """UTC of the last frame that arrived; 0 before the first."""
        self._desk = desk
        self._clock = clock
        self._on_steps = on_steps
        self._off_reason: str | None = None
        """Why frames are not kept, as the ledger was last told; None while they are."""
        self._run_begun: str | None = None
        """A run began with a frame that was held and perhaps is no longer."""
        recorder.on_kept_until = desk.kept_until
        recorder.on_step = self._on_clock_step
        self._decide()

    # ---- frames

    def take(self, frames: Sequence[Frame]) -> None:
        """Keeps, holds or drops the frames of a read; at least one."""
        plain: list[Frame] = []
        for frame in frames:
            if not frame.key and frame.user_data is None:
                plain.append(frame)
                continue
            self._go_on(plain)
            plain = []
            self._take(frame)
        self._go_on(plain)
        self.last_us = frames[-1].utc_us

    def _go_on(self, frames: list[Frame]) -> None:
        """P-VOPs in a row: together, where nothing ends between them."""
        if frames and self.gate.admission is Admission.WRITE and frames[-1].utc_us < self._desk.close_due_us:
            if self.recorder.go_on(frames):
                self._off_reason = None
            return
        for frame in frames:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        """Keeps, holds or drops one frame, which may be the last of a clip or the first of what is wanted."""
        if frame.key:
            if frame.utc_us >= self._desk.close_due_us:  # a clip that ends before it wants no file that begins with it
                self._tell(self._desk.on_frame(frame.utc_us))
            admission = self.gate.admit(key=True)
        else:
            admission = self.gate.admission
        if admission is Admission.WRITE:
            self._keep(frame)
        elif admission is Admission.HOLD:
            self._hold(frame)
        else:
            self._drop(frame)

    def lost(self, reason: str) -> None:
        """The link ended: what is held will not go on."""
        self._off_reason = None
        self._run_begun = None
        self.recorder.lost(reason)

    # ---- what asks for footage

    def keep_since(self, from_us: int) -> None:
        """Keeps what is held of the time since then; what is older is let go."""
        if self.gate.admission is Admission.HOLD:
            self._release(self.ring.since(from_us))

    def trigger(self, call: Call) -> list[Step]:
        """An alarm opens its clip, after `keep_since`; the steps, for whoever enters the alarm."""
        steps = self._desk.trigger(call, int(self._clock.utc_us()))
        self._decide()
        return steps

    def open_clip(self, rule: str) -> int:
        """The number of the rule's open clip; 0 where none is."""
        return self._desk.open_clip(rule)

    def again(self, call: Call) -> None:
        """A trigger that is no alarm of its own extends its rule's clip."""
        self._tell(self._desk.again(call, int(self._clock.utc_us())))

    def over(self, rule: str, at_us: int) -> None:
        """The state that kept a rule's clip open has ended."""
        self._tell(self._desk.over(rule, at_us, int(self._clock.utc_us())))

    # ---- facts and time

    def alarm_link(self, up: bool) -> None:
        """The alarm link came up or went down."""
        self.gate.alarm_link(up, self._clock.mono_us())
        self._decide()

    def motion_detection(self, missing: bool) -> None:
        """Whether the camera's motion detection is off although a rule needs it."""
        self.gate.motion_detection(missing)
        self._decide()

    def tick(self) -> None:
        """Every second or two."""
        self.recorder.tick()
        self._tell(self._desk.tick(int(self._clock.utc_us())))
        self._decide()

    async def close(self, reason: str, within_s: float) -> bool:
        """Seals what is kept, closes its clips there, and waits for the rows; False where a disk took too long."""
        self._tell(self._desk.cut(self.recorder.lost(reason), reason))
        return await self.recorder.entered(within_s)

    # ---- inside

    def _keep(self, frame: Frame) -> None:
        desk = self._desk
        if not self.recorder.take(frame):
            return
        self._off_reason = None
        if frame.key:
            self._tell(desk.on_key_frame(frame.utc_us))
        elif frame.utc_us >= desk.close_due_us:
            self._tell(desk.on_frame(frame.utc_us))

    def _hold(self, frame: Frame) -> None:
        self._rest(frame, self.gate.level.off_reason or "waiting-for-alarm")
        self.recorder.listen(frame)
        if frame.new_run is not None:
            self._begin_run(frame.new_run)
        self.ring.push(frame)

    def _drop(self, frame: Frame) -> None:
        reason = self.gate.level.off_reason or "record-off"
        if self._off_reason != reason:
            self._tell(self._desk.cut(frame.utc_us, reason))
            self.ring.clear()
        self._rest(frame, reason)
        self.recorder.listen(frame)
        if frame.new_run is not None:
            self._begin_run(frame.new_run)

    def _begin_run(self, reason: str) -> None:
        """A run begins with a frame that is not kept, perhaps never: the first one that is kept says so."""
        self._run_begun = reason
        if self.recorder.on_run is not None:
            self.recorder.on_run(reason)

    def _rest(self, frame: Frame, reason: str) -> None:
        """Nothing is kept from this frame on; said once."""
        if self._off_reason == reason:
            return
        self._off_reason = reason
        self.recorder.rest(frame, reason)

    def _release(self, held: Held) -> None:
        """Keeps what the ring held."""
        self.ring.clear()
        frames = held.frames
        if frames and self._run_begun is not None and all(frame.new_run is None for frame in frames):
            frames[0].new_run = self._run_begun
        self._run_begun = None
        for frame in frames:
            self._keep(frame)

    def _decide(self) -> None:
        before = self.gate.admission
        level = self.gate.tick(int(self._clock.utc_us()), int(self._clock.mono_us()), clip_open=self._desk.is_open)
        if before is Admission.HOLD and level.admission is Admission.WRITE and self.ring.span_us:
            # A trigger has kept its own part of the ring already; failing open, or a window, wants all of it.
            self._release(self.ring.everything())

    def _tell(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        self._on_steps(steps)
        if any(isinstance(step, CloseClip) for step in steps):
            self._decide()

    def _on_clock_step(self, before_us: int, after_us: int) -> None:
        self._tell(self._desk.clock_stepped(before_us, after_us))

"""One camera's unit: attempts at its video one after the other, and what is known of it while they go on."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nvr.camera.attempt import Feed
from nvr.camera.errors import LinkError, Retry
from nvr.camera.slowness import Slowness
from nvr.clock import Clock
from nvr.log import Streak
from nvr.metrics import CameraCounts
from nvr.record.gate import Admission
from nvr.record.keeper import Keeper
from nvr.store.rows import SpanKind
from nvr.supervisor.alarms import AlarmWatch
from nvr.supervisor.firmware import FirmwareWatch
from nvr.supervisor.restart import Backoff
from nvr.supervisor.settings import SettingsWatch
from nvr.supervisor.tour_watch import TourWatch
from nvr.supervisor.view_watch import ViewWatch
from nvr.supervisor.ways import Way, Ways
from nvr.units import US, PanTiltZoom

log = logging.getLogger(__name__)

_RATE_TICKS: Final = 5  # rates over the last seconds: bytes are taken at each tick
_RESTART_S: Final = 120.0  # a camera's start takes about a minute
_RESTART_PATIENCE: Final = 2.0  # times as long as it should take
_FRESH_US: Final = 5 * US  # no frame for longer is not recording, whatever the connection says


class State(StrEnum):
    """What a camera's unit is doing."""

    RECORDING = "recording"
    BUFFERING = "buffering"
    """It waits for an alarm with the seconds before it in memory."""
    CONNECTING = "connecting"
    BLOCKED = "blocked"
    OFF = "off"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """A unit at one moment, for whoever asks."""

    state: State
    since_us: int
    reason: str | None
    """Why it is not recording, as a sentence; None where it is."""
    fps: float
    bitrate_bps: float
    alarm_link: bool | None
    """Alarms reach us; None where nobody listens."""
    alarm_trouble: str | None
    """Why alarms that rules need may not come, as a sentence; None where they do."""
    position: PanTiltZoom | None
    model: str | None
    firmware: str | None
    """Part by part, as it told last; None where no login is configured, or it never told."""
    transport: Way
    """How its video comes."""
    fell_back: str | None
    """Why it comes over HTTP although multicast is wanted."""
    slow: tuple[float, float] | None
    """Pictures a second that came lately and that the camera announced, where the network seems too slow for them."""


class CameraUnit:
    """Runs one camera until `stop`; whatever `run` raises is unexpected and for the supervisor.

    `wanted`: False where the configuration says record = "off". `view`: None where it may look anywhere.
    """

    def __init__(
        self,
        ways: Ways,
        keeper: Keeper,
        alarms: AlarmWatch,
        counts: CameraCounts,
        clock: Clock,
        *,
        wanted: bool,
        view: ViewWatch | None = None,
        settings: SettingsWatch | None = None,
        firmware: FirmwareWatch | None = None,
        tours: TourWatch | None = None,
        on_state: Callable[[State, str | None], None] | None = None,
    ) -> None:
        self.recorder = recorder = keeper.recorder
        self.alarms = alarms
        self.view = view
        self._keeper = keeper
        self._ways = ways
        self._slowness = Slowness()
        self._counts = counts
        self._clock = clock
        self._wanted = wanted
        self._settings = settings
        self._firmware = firmware
        self._tours = tours
        self._on_state = on_state
        self._backoff = Backoff(random.random)
        self._stopping = asyncio.Event()
        self._feed: Feed | None = None
        self._received_before = 0
        self._frames_before = 0
        self._trouble = Streak(log, {"camera": recorder.camera.slug, "action": "reconnect"})
        self._why = "not connected yet"
        self._state = State.CONNECTING if wanted else State.OFF
        self._since_us = int(clock.utc_us())
        self._pictures = 0
        """Frames of the last attempt."""
        self._hit_before = 0
        """Pictures of this attempt that are counted as hit already."""
        self._rates: deque[tuple[int, int, int]] = deque(maxlen=_RATE_TICKS + 1)
        recorder.on_run = self._note_new_run
        if view is not None:
            recorder.facts.on_said = view.hear
        counts.recording_wanted = wanted

    async def run(self) -> None:
        """Records until `stop`."""
        if not self._wanted:
            self.recorder.off("record-off")
            await self._stopping.wait()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self.alarms.run(), name=f"alarms {self.recorder.camera.slug}")
            watches = (
                ("settings", self._settings),
                ("firmware", self._firmware),
                ("tours", self._tours),
                ("position", self._ways.poll),
            )
            beside = [
                group.create_task(watch.run(), name=f"{name} {self.recorder.camera.slug}")
                for name, watch in watches
                if watch is not None
            ]
            await self._attempts()
            for task in beside:
                task.cancel()

    def stop(self) -> None:
        """Takes what has arrived, then ends: `run` returns. Sealing what was recorded is the recorder's `close`."""
        self._stopping.set()
        self.alarms.stop()
        if self._feed is not None:
            self._feed.stop()

    def restarts(self, for_s: float) -> None:
        """The same, told about how long the camera's own words say it takes."""
        self.expect_restart(max(_RESTART_S, for_s * _RESTART_PATIENCE))

    def expect_restart(self, within_s: float = _RESTART_S) -> None:
        """The camera is told to restart: say so before; while it is away nothing is missing, it is off."""
        self.recorder.expect_restart(within_s)

    async def close(self, reason: str, within_s: float) -> bool:
        """Closes clips, seals what was recorded, books the gap `reason`; False where a disk took too long."""
        ends_s = self._clock.mono_us() / US + within_s
        sealed = await self._keeper.close(reason, within_s)
        return await self.alarms.rows.entered(max(0.0, ends_s - self._clock.mono_us() / US)) and sealed

    def standing(self) -> Standing:
        """What is known now."""
        self.note_counts()
        self._note_state()
        fps, bitrate_bps = self._measured()
        said = self.recorder.said
        return Standing(
            state=self._state,
            since_us=self._since_us,
            reason=self._reason(),
            fps=fps,
            bitrate_bps=bitrate_bps,
            alarm_link=self.alarms.link.up if self.alarms.link is not None else None,
            alarm_trouble=self._alarm_trouble(),
            position=self._feed.position if self._feed is not None else None,
            model=said.model if said is not None else None,
            firmware=self._firmware.known if self._firmware is not None else None,
            transport=self._ways.way,
            fell_back=self._ways.fell_back_since,
            slow=self._slowness.verdict if self._counts.connected else None,
        )

    def _alarm_trouble(self) -> str | None:
        link = self.alarms.link
        if link is None or not self._wanted:
            return None
        if not link.up:
            return f"alarms cannot be heard: {link.why}"
        deaf = self.alarms.deaf
        return None if deaf is None else f"rules need motion, but the camera does not look for it: {deaf}"

    # ---- attempts

    async def _attempts(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._attempt()
            except LinkError as trouble:
                self._note_trouble(trouble)
                if self._falls_back(trouble):
                    continue
                wait_s = self._backoff.after_trouble(later=trouble.retry is Retry.LATER)
                await self._pause(wait_s)

    async def _attempt(self) -> None:
        """One connection, from request to trouble; its counts are added up however it ends."""
        self._feed = feed = self._ways.feed(self._keeper.take)
        self._slowness = Slowness()
        self._pictures = self._hit_before = 0
        try:
            await feed.run()
        finally:
            self._pictures = feed.units
            self._count(feed)
            self._feed = None
            self._counts.connected = False

    def _falls_back(self, trouble: LinkError) -> bool:
        """Whether multicast brought nothing, so that HTTP is tried at once."""
        if not self._ways.ended(str(trouble), pictures=self._pictures):
            return False
        log.warning(
            "multicast brings no video, going on over HTTP: %s",
            trouble,
            extra={"camera": self.recorder.camera.slug, "action": "multicast-fallback"},
        )
        return True

    def _note_new_run(self, reason: str) -> None:
        camera = self.recorder.camera.slug
        if reason == "connected":
            if self._counts.connected:
                return  # said when its first frame was held, and again now that it is kept
            self._backoff.worked()
            self._trouble.over("camera is back")
            self._counts.connected = True
            self._counts.expected_fps = self._announced_fps()
            if self._settings is not None:
                self._settings.connected()
            if self._firmware is not None:
                self._firmware.connected()
            log.info("camera sends video", extra={"camera": camera, "action": "connected"})
        else:
            feed = self._feed
            why = feed.timeline.fallback_reason if feed is not None and reason == "time-fallback" else None
            extra = {"camera": camera, "action": reason} | ({"reason": why} if why else {})
            log.warning("a new run begins", extra=extra)

    def _announced_fps(self) -> float:
        head = self._feed.head if self._feed is not None else None
        try:
            return float(head.parameters.get("framerate", "0")) if head is not None else 0.0
        except ValueError:
            return 0.0

    def _note_trouble(self, trouble: LinkError) -> None:
        self._why = str(trouble)
        self._counts.reconnects[trouble.reason] += 1
        self._trouble.hit(str(trouble), reason=trouble.reason)
        self._keeper.lost(trouble.reason)

    def _count(self, feed: Feed) -> None:
        self._frames_before, self._received_before = self._received()
        self._counts.frames_lost["no-header"] += feed.splitter.skipped
        self._counts.frames_lost["damaged"] += feed.splitter.damaged
        self._count_hit(feed)

    def _count_hit(self, feed: Feed) -> None:
        """Pictures of which the network lost a part."""
        self._counts.frames_lost["frames-missing"] += feed.hit - self._hit_before
        self._hit_before = feed.hit

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    # ---- now and then, called by the daemon for all units in one wake-up

    def collect(self) -> None:
        """At each tick, every second or two: takes what has arrived."""
        if self._feed is not None:
            self._feed.collect()

    def tick(self) -> None:
        """At each tick, after `collect`: looks after what frames alone do not drive."""
        self._keeper.tick()
        self.alarms.tick()
        feed = self._feed
        if self._tours is not None and self._counts.connected:
            self._tours.tick(feed.position if feed is not None else None)
        if feed is not None and feed.units and self.view is not None:
            self.view.look(feed.position)
        self._rates.append((self._clock.mono_us(), *self._received()))
        self._note_state()

    def look(self) -> None:
        """Every few seconds: whether fewer pictures come than were announced."""
        if self._feed is not None and self._counts.connected:
            self._slowness.note(self._clock.mono_us(), self._feed.units, self._announced_fps())

    def note_counts(self) -> None:
        """Brings its metrics up to date."""
        counts, ring = self._counts, self._keeper.ring
        counts.last_frame_us = self._keeper.last_us
        counts.prebuffer_s, counts.prebuffer_bytes = ring.span_us / US, ring.bytes
        counts.frames, counts.received_bytes = self._received()
        counts.fps = self._measured()[0]
        if self._feed is not None:
            self._count_hit(self._feed)

    def _received(self) -> tuple[int, int]:
        """Frames and bytes of all attempts so far."""
        feed = self._feed
        if feed is None:
            return self._frames_before, self._received_before
        return self._frames_before + feed.units, self._received_before + feed.bytes_received

    def _measured(self) -> tuple[float, float]:
        """Frames and bits a second, lately."""
        if len(self._rates) < 2 or not self._counts.connected:
            return 0.0, 0.0
        (begun_us, frames, received), (now_us, frames_now, received_now) = self._rates[0], self._rates[-1]
        seconds = (now_us - begun_us) / US
        return (frames_now - frames) / seconds, (received_now - received) * 8 / seconds

    def _note_state(self) -> None:
        state = self._present_state()
        if state is self._state:
            return
        self._state = state
        self._since_us = int(self._clock.utc_us())
        if self._on_state is not None:
            self._on_state(state, self._reason())

    def _present_state(self) -> State:
        if not self._wanted:
            return State.OFF
        if self.recorder.refusal is not None:
            return State.BLOCKED
        if self._clock.utc_us() - self._keeper.last_us >= _FRESH_US:
            return State.CONNECTING
        if self.recorder.is_recording:
            return State.RECORDING
        match self._keeper.gate.admission:
            case Admission.HOLD:
                return State.BUFFERING
            case Admission.DROP:
                return State.OFF
            case _:
                return State.CONNECTING

    def _reason(self) -> str | None:
        match self._state:
            case State.RECORDING:
                return self._keeper.gate.level.why if self._keeper.gate.level.failing_open else None
            case State.BUFFERING:
                return self._keeper.gate.level.why
            case State.BLOCKED:
                return self.recorder.refusal.sentence if self.recorder.refusal is not None else None
            case State.OFF:
                going_on = self.recorder.ledger.open
                return going_on.reason if going_on is not None and going_on.kind is SpanKind.OFF else "record-off"
            case _:
                return self._why if self._feed is None or not self.recorder.is_recording else "no picture lately"

"""One attempt at a camera's video: from the connection to timed frames.

Wake-ups are the main cost of recording. So the kernel collects what comes, with the time at which the last of it came,
and it is taken every second or two. Each read runs through parser, splitter and timeline to `on_frames` in one go,
because the bytes are valid no longer; the clocks are read once for it.
"""

import asyncio
from typing import Final

from nvr.camera.answers import host_line, judge
from nvr.camera.attempt import Attempt, OnFrames
from nvr.camera.errors import CameraBusy, LinkError, LinkLost, NotACamera
from nvr.camera.link import Address, Link
from nvr.camera.pace import Patience, Vigil
from nvr.clock import Clock
from nvr.jvc.errors import ProtocolError
from nvr.jvc.stream import EsBytes, StreamParser, request
from nvr.media.errors import MediaError
from nvr.media.frame import Unit
from nvr.units import US

_USUAL: Final = Patience()
_HELD_BYTES: Final = 1 << 20  # 4 s of usual video: the kernel wakes us for more only, or for the end
_COLLECT_S: Final = 1.0
_YOUNG_US: Final = 2 * US  # a run's time begins with its first pictures: they are seen as they come
_LEAST_INTERVAL_US: Final = 33_000  # no camera of this family takes more than 30 pictures a second (guide 6.3)
_STEADY_US: Final = 2_000  # NTP daemons slew 0.25 ms between two reads


class VideoFeed(Attempt):
    """One attempt; may be run once."""

    def __init__(
        self,
        address: Address,
        clock: Clock,
        on_frames: OnFrames,
        *,
        patience: Patience = _USUAL,
        collected: bool = False,
    ) -> None:
        """`on_frames` is called synchronously; what it raises ends the attempt and comes out of `run`.

        `collected`: the caller calls `collect` at each tick for all its feeds at once, which costs many cameras fewer
        wake-ups than a timer for each.
        """
        super().__init__(clock, on_frames)
        self.address = address
        self.watched = False
        """Somebody waits for each picture as it comes: nothing is held back. Set by `watch`."""
        self.parser = StreamParser()
        self._patience = patience
        self._collected = collected
        self._link: Link | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._vigil = Vigil(patience, 0)
        self._look_due_us: int | None = None
        """When the link is next looked after; None before it stands."""
        self._utc_less_mono_us = 0
        self._arrived_mono_us = 0
        """When the last picture had arrived at the latest."""
        self._is_stopped = False

    async def run(self) -> None:
        """Connects, asks for video and receives it until trouble or `stop`.

        Returns after `stop`; raises the LinkError that says how the attempt ended otherwise.
        """
        if self.started_mono_us:
            raise RuntimeError("a VideoFeed is one attempt and was run before")
        self.started_mono_us = self._clock.mono_us()
        if self._is_stopped:
            return
        self._link = link = Link(self)
        try:
            await link.connect(self.address, self._patience.connect_s)
            self._begin(link)
            await link.ended()
        finally:
            if self._tick is not None:
                self._tick.cancel()
            await link.close()

    def stop(self) -> None:
        """Takes what the kernel has received so far, then ends the attempt: `run` returns.

        Safe at any time; called from `on_frames`, the frames in hand are the last.
        """
        self._is_stopped = True
        if self._link is not None:
            self._link.drain()
            self._link.end()

    def collect(self) -> None:
        """Takes what the kernel holds back; to be called every second or two by whoever said `collected`."""
        link, due_us = self._link, self._look_due_us
        if link is None or due_us is None:
            return
        if link.low_water > 1:
            link.drain(all_of_it=False)
        now_us = self._clock.mono_us()
        if now_us >= due_us:
            tick_us = round(self._patience.tick_s * US)
            self._look_due_us = max(due_us, now_us - tick_us) + tick_us
            link.guarded(self._look_after, link)

    def watch(self, watched: bool) -> None:
        """Says whether somebody waits for each picture; takes effect at once when somebody does."""
        self.watched = watched
        if watched and self._link is not None:
            self._link.set_low_water(1)

    # What the link calls.

    def take(self, data: memoryview) -> None:
        """The next bytes. Raises the LinkError that ends the attempt, or whatever `on_frames` raises."""
        self.bytes_received += len(data)
        self.last_bytes_mono_us = mono_us = self._last_come_mono_us()
        units: list[Unit] = []
        try:
            self._look_through(data, units)
        finally:
            self._give_out(units, mono_us)
        if self.parser.ended:
            raise LinkLost("the camera ended its stream")

    def _look_through(self, data: memoryview, units: list[Unit]) -> None:
        """Adds the pictures that these bytes complete, up to trouble."""
        split = self._split
        try:
            for event in self.parser.feed(data):
                if isinstance(event, EsBytes):
                    units += split(event.data, event.position, event.whole)
                    self.position = event.position
                else:
                    self.head = event
                    judge(event, "video")
            if self.parser.trouble is not None:
                raise self.parser.trouble
        except ProtocolError as broken:
            kind = LinkLost if self.head is not None else NotACamera
            raise kind(f"the camera's stream cannot be followed: {broken}") from broken
        except MediaError as broken:
            raise LinkLost(f"the camera's video cannot be recorded: {broken}") from broken

    def _last_come_mono_us(self) -> int:
        """When the last of the bytes in hand came: the kernel tells, however long they waited.

        Notes besides by how much UTC is ahead of the monotonic clock now.
        """
        waited_us = self._link.waited_us if self._link is not None else 0
        before_us, utc_us, mono_us = self._clock.mono_us(), self._clock.utc_us(), self._clock.mono_us()
        utc_less_mono_us = utc_us - (before_us + mono_us) // 2
        moved_us, unsure_us = abs(utc_less_mono_us - self._utc_less_mono_us), mono_us - before_us
        if moved_us > unsure_us:  # we may have been put aside between two looks at the clocks
            self._utc_less_mono_us = utc_less_mono_us
        # Where it was set meanwhile the kernel spoke of another clock's time.
        return mono_us - waited_us if moved_us < unsure_us + _STEADY_US else mono_us

    def _give_out(self, units: list[Unit], mono_us: int) -> None:
        """Times pictures that came in one read, the last one at that moment, and hands them on.

        That the others came in the same moment would be true of a stall only; but each was taken before the next one,
        by an interval at least.
        """
        if not units:
            return
        stamp, utc_less_mono_us = self._stamp, self._utc_less_mono_us
        frames = []
        at_us, arrived_us = mono_us - len(units) * _LEAST_INTERVAL_US, self._arrived_mono_us
        for unit in units:
            at_us += _LEAST_INTERVAL_US
            arrived_us = max(at_us, arrived_us)
            frames.append(stamp(unit, arrived_us, arrived_us + utc_less_mono_us))
        self._arrived_mono_us = arrived_us
        self.units += len(frames)
        self._on_frames(frames)

    def at_end(self) -> LinkError:
        """What it means that the camera closed the connection now."""
        cut = self.parser.cut
        if self.bytes_received == 0:
            return CameraBusy("the camera closed without an answer: too many clients, or not serving this address")
        if self.head is not None and self.pictures == 0:
            return CameraBusy("the camera agreed to send video, then closed the connection without a picture")
        return LinkLost(f"the camera closed the connection{' ' + cut if cut else ''}")

    # Steps of `run` and its timer.

    def _begin(self, link: Link) -> None:
        link.send(request(host_line(self.address), ptz=True))
        now_us = self._clock.mono_us()
        self.connected_mono_us = self._look_due_us = self._arrived_mono_us = now_us
        self._vigil = Vigil(self._patience, now_us)
        if not self._collected:
            self._wait_for_tick()

    def _wait_for_tick(self) -> None:
        tick_s = min(self._patience.tick_s, _COLLECT_S)
        self._tick = asyncio.get_running_loop().call_later(tick_s, self._on_tick)

    def _on_tick(self) -> None:
        self.collect()
        self._wait_for_tick()

    def _look_after(self, link: Link) -> None:
        now_us = self._clock.mono_us()
        if now_us - self.last_bytes_mono_us >= self._patience.tick_s * US:
            link.drain()  # after a busy moment this may run before the reader
        is_young = not self.units or now_us - self.connected_mono_us < _YOUNG_US
        is_eager = is_young or self.watched or self.timeline.on_arrival or not link.tells_waiting
        link.set_low_water(1 if is_eager else _HELD_BYTES)
        trouble = self._vigil.verdict(
            now_us,
            has_head=self.head is not None,
            received=self.bytes_received,
            last_bytes_us=self.last_bytes_mono_us,
            pictures=self.pictures,
        )
        if trouble is not None:
            link.end(trouble)

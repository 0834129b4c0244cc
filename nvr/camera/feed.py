"""One attempt at a camera's video: from the connection to timed frames.

Each read runs through parser, splitter and timeline to `on_frame` in one go, because the bytes are valid no longer; the
clocks are read once for it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nvr.camera.answers import host_line, judge
from nvr.camera.attempt import Attempt
from nvr.camera.errors import CameraBusy, LinkError, LinkLost, NotACamera
from nvr.camera.link import Address, Link
from nvr.camera.pace import LowWater, Patience, Vigil
from nvr.clock import Clock
from nvr.jvc.errors import ProtocolError
from nvr.jvc.stream import EsBytes, StreamParser, request
from nvr.media.errors import MediaError
from nvr.media.frame import Frame
from nvr.units import US

_USUAL: Final = Patience()


class VideoFeed(Attempt):
    """One attempt; may be run once."""

    def __init__(
        self,
        address: Address,
        clock: Clock,
        on_frame: Callable[[Frame], None],
        *,
        patience: Patience = _USUAL,
        collected: bool = False,
    ) -> None:
        """`on_frame` is called synchronously for each frame; what it raises ends the attempt and comes out of `run`.

        `collected`: the caller calls `collect` four times a second for all its feeds at once, which costs many cameras
        fewer wake-ups than each one's own bytes and timer.
        """
        super().__init__(clock, on_frame)
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
        """When a collected feed is next looked after."""
        self._low_water = LowWater(0)
        self._is_later = False
        self._taken: list[tuple[bytes, int, int]] = []
        """Bytes that were only taken so far, with both clocks at that moment."""
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
            with suppress(LinkError):  # of the two troubles the one that ended the link is told
                self._catch_up()
            await link.close()

    def stop(self) -> None:
        """Takes what the kernel has received so far, then ends the attempt: `run` returns.

        Safe at any time; called from `on_frame`, the other frames of the same read still come.
        """
        self._is_stopped = True
        if self._link is not None:
            self._link.drain()
            self._link.end()

    def collect(self, *, later: bool = False) -> None:
        """Takes what the kernel holds back; to be called every 250 ms by whoever said `collected`.

        `later`: it is only taken, with the time at which it came, and looked through the next time: a processor that
        has turned to other things in between needs little longer for twice as much.
        """
        link, due_us = self._link, self._look_due_us
        if link is None:
            return
        if link.low_water > 1:
            self._is_later = later
            link.drain(all_of_it=False)
            self._is_later = False
        if not later:
            link.guarded(self._catch_up)
        if due_us is not None and (now_us := self._clock.mono_us()) >= due_us:
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
        """The next bytes. Raises the LinkError that ends the attempt, or whatever `on_frame` raises."""
        mono_us, utc_us = self._clock.mono_us(), self._clock.utc_us()
        self.bytes_received += len(data)
        self.last_bytes_mono_us = mono_us
        if self._is_later:
            self._taken.append((bytes(data), mono_us, utc_us))
        else:
            self._catch_up()
            self._look_through(data, mono_us, utc_us)

    def _catch_up(self) -> None:
        """Looks through what was only taken so far."""
        taken, self._taken = self._taken, []
        for data, mono_us, utc_us in taken:
            self._look_through(data, mono_us, utc_us)

    def _look_through(self, data: bytes | memoryview, mono_us: int, utc_us: int) -> None:
        try:
            for event in self.parser.feed(data):
                if isinstance(event, EsBytes):
                    self._pass_on(event, mono_us, utc_us)
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
        if self.parser.ended:
            raise LinkLost("the camera ended its stream")

    def at_end(self) -> LinkError:
        """What it means that the camera closed the connection now."""
        try:
            self._catch_up()
        except LinkError as trouble:
            return trouble
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
        self.connected_mono_us = now_us
        self._vigil = Vigil(self._patience, now_us)
        self._low_water = LowWater(now_us, collected=self._collected)
        if self._collected:
            self._look_due_us = now_us
        else:
            self._wait_for_tick(link)

    def _wait_for_tick(self, link: Link) -> None:
        self._tick = asyncio.get_running_loop().call_later(self._patience.tick_s, self._on_tick, link)

    def _on_tick(self, link: Link) -> None:
        link.guarded(self._look_after, link)
        self._wait_for_tick(link)

    def _look_after(self, link: Link) -> None:
        now_us = self._clock.mono_us()
        if now_us - self.last_bytes_mono_us >= self._patience.tick_s * US:
            # The kernel may hold bytes back below the mark, and after a busy moment this timer runs before the reader.
            link.drain()
        eager = self.watched or self.timeline.on_arrival
        link.set_low_water(self._low_water.bytes_at(now_us, self.bytes_received, eager=eager))
        trouble = self._vigil.verdict(
            now_us,
            has_head=self.head is not None,
            received=self.bytes_received,
            last_bytes_us=self.last_bytes_mono_us,
            pictures=self.pictures,
        )
        if trouble is not None:
            link.end(trouble)

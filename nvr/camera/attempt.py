"""What every attempt at a camera's video shares, whichever way the stream comes: from its bytes to timed frames."""

from collections.abc import Callable, Sequence
from typing import Protocol

from nvr.clock import Clock
from nvr.jvc.answer import StreamHead
from nvr.media.frame import Frame
from nvr.media.splitter import UnitSplitter
from nvr.media.timeline import Timeline
from nvr.units import PanTiltZoom

OnFrames = Callable[[Sequence[Frame]], None]
"""Is given the frames of each read, in order, in the loop."""


class Attempt:
    """The state of one attempt. Its attributes are there to be read at any time, in the loop."""

    def __init__(self, clock: Clock, on_frames: OnFrames) -> None:
        self.started_mono_us = 0
        """When `run` was called; 0 before."""
        self.connected_mono_us = 0
        """When the connection stood; 0 before."""
        self.last_bytes_mono_us = 0
        self.bytes_received = 0
        self.units = 0
        """Frames given out."""
        self.hit = 0
        """Pictures of which the network lost a part."""
        self.head: StreamHead | None = None
        """The camera's answer, once it is whole; None where it gives none."""
        self.position: PanTiltZoom | None = None
        """Where the camera looked at the last frame; None where it does not say."""
        self.splitter = UnitSplitter()
        self.timeline = Timeline()
        self._clock = clock
        self._on_frames = on_frames
        # Asked for once for each picture of each camera: bound here, not looked up there.
        self._split = self.splitter.feed
        self._stamp = self.timeline.stamp

    @property
    def pictures(self) -> int:
        """Whole pictures that came, those before the first key frame included, which no frame is made of."""
        return self.units + self.splitter.skipped


class Feed(Protocol):
    """One attempt at a camera's video, as its owner sees it."""

    bytes_received: int
    units: int
    hit: int
    head: StreamHead | None
    position: PanTiltZoom | None
    splitter: UnitSplitter
    timeline: Timeline

    async def run(self) -> None:
        """Receives until trouble or `stop`: returns after `stop`, raises the LinkError that ended it otherwise."""
        ...

    def stop(self) -> None:
        """Takes what has arrived, then ends the attempt. Safe at any time."""
        ...

    def collect(self) -> None:
        """At each tick: takes what the kernel holds back."""
        ...

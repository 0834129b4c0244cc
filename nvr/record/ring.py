"""The seconds before an alarm: whole groups of pictures in memory, capped in time and in bytes.

Pure: frames in, groups out; time is what the frames say. A camera that records continuously needs none of this.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from nvr.media.frame import Frame, Vol
from nvr.units import US

LONGEST_US: Final = 60 * US  # as the camera's own recording before an alarm (guide 6, application.object.prerec)
MOST_BYTES: Final = 64 << 20  # 25 s at the camera's 20 Mbit/s, minutes at usual rates; fifty cameras: 3 GB at the worst

_INTERVAL_US: Final = US // 30  # between the last frame before a step of the clock and the first after it


@dataclass(frozen=True, slots=True)
class Held:
    """What the ring has of the time asked for."""

    groups: list[list[Frame]]
    """Whole groups of pictures in order; the last one goes on."""
    shortfall_us: int | None
    """How much of the time asked for lies before the first group; None where there is no group."""

    @property
    def frames(self) -> list[Frame]:
        return [frame for group in self.groups for frame in group]


class _Group:
    __slots__ = ("apart", "bytes", "end_us", "frames", "start_us")

    def __init__(self, frame: Frame, start_us: int, *, apart: bool) -> None:
        self.frames = [frame]
        self.bytes = 0
        self.start_us = start_us
        """In the ring's own time, which knows no step of a clock."""
        self.end_us = start_us
        """Its newest frame."""
        self.apart = apart
        """Frames are missing before it."""


class GopRing:
    """One camera's latest groups of pictures.

    `keep_us` is how far back footage may be wanted: the ring reaches at least as far, to an I-VOP. The caps win over
    it, and whole groups give way, the oldest first. The group that goes on gives way to `cap_bytes` alone: without it
    nothing could be recorded until the next I-VOP, which may be minutes away (interval 255 at 1 fps).
    """

    def __init__(self, keep_us: int, cap_us: int = LONGEST_US, cap_bytes: int = MOST_BYTES) -> None:
        self.bytes = 0
        self.overflowed = 0
        """Groups that gave way to a cap before they were `keep_us` old."""
        self._keep_us = keep_us
        self._cap_us = cap_us
        self._cap_bytes = cap_bytes
        self._groups: deque[_Group] = deque()
        self._vol: Vol | None = None
        self._shift_us = 0
        """The ring's time minus UTC."""
        self._newest_us = 0

    @property
    def span_us(self) -> int:
        """From the first frame held to the newest."""
        return self._newest_us - self._groups[0].start_us if self._groups else 0

    def push(self, frame: Frame) -> None:
        """Takes the next frame; without the I-VOP it refers to it is of no use and not kept."""
        if frame.key:
            self._begin(frame)
        elif frame.vol is self._vol:
            self._groups[-1].frames.append(frame)
        else:
            self._vol = None
            return
        group, size = self._groups[-1], len(frame.data)
        group.bytes += size
        group.end_us = self._newest_us = frame.utc_us + self._shift_us
        self.bytes += size
        if frame.key or self.bytes > self._cap_bytes or self.span_us > self._cap_us:
            self._evict()

    def since(self, utc_us: int) -> Held:
        """Everything from the last I-VOP at or before `utc_us` on; from the first there is where all are later."""
        from_us = utc_us + self._shift_us
        groups = list(self._groups)
        while len(groups) > 1 and groups[1].start_us <= from_us:
            del groups[0]
        if len(groups) > 1 and groups[1].apart and groups[0].end_us < from_us:
            del groups[0]
        if not groups:
            return Held([], None)
        return Held([list(group.frames) for group in groups], max(0, groups[0].start_us - from_us))

    def everything(self) -> Held:
        """The whole ring."""
        return Held([list(group.frames) for group in self._groups], 0 if self._groups else None)

    def clear(self) -> None:
        """What was held is kept elsewhere now, or nobody's; goes on with the next I-VOP."""
        self._groups.clear()
        self._vol = None
        self.bytes = 0

    def _begin(self, frame: Frame) -> None:
        ring_us = frame.utc_us + self._shift_us
        if frame.new_run is not None and (frame.new_run == "clock-step" or ring_us < self._newest_us):
            self._shift_us += self._newest_us + _INTERVAL_US - ring_us if self._groups else 0
            ring_us = frame.utc_us + self._shift_us
        apart = frame.new_run is not None and ring_us > self._newest_us + _INTERVAL_US
        self._groups.append(_Group(frame, ring_us, apart=apart))
        self._vol = frame.vol

    def _evict(self) -> None:
        groups = self._groups
        while len(groups) > 1 and groups[1].start_us <= self._newest_us - self._keep_us:
            self._drop_oldest()
        while (len(groups) > 1 and self.span_us > self._cap_us) or self.bytes > self._cap_bytes:
            self.overflowed += self._oldest_is_needed()
            self._drop_oldest()

    def _oldest_is_needed(self) -> bool:
        """Without it the ring does not reach back as far as it should."""
        from_us = self._newest_us - self._keep_us
        if len(self._groups) < 2:
            return True
        oldest, after = self._groups[0], self._groups[1]
        return oldest.end_us > from_us if after.apart else after.start_us > from_us

    def _drop_oldest(self) -> None:
        self.bytes -= self._groups.popleft().bytes
        if not self._groups:
            self._vol = None


def check_pre(pre_us: int, debounce_us: int = 0, cap_us: int = LONGEST_US) -> None:
    """Raises ValueError with a sentence's end where no ring reaches back so far from when the alarm is told."""
    if pre_us + debounce_us > cap_us:
        late = f" and the alarm is told {debounce_us / US:g} s late by its debounce" if debounce_us else ""
        raise ValueError(f"is {pre_us / US:g}{late}, but the ring in memory holds at most the last {cap_us / US:g} s")

"""Whether far fewer pictures arrive than the camera announced: over TCP a network with long delays slows it (guide 9).

Pure: told the time.
"""

from collections import deque
from typing import Final

from nvr.units import US

_WINDOW_US: Final = 30 * US  # a moment of crowding is none; the slowest camera sends 30 pictures in it
_WELL_BELOW: Final = 0.7


class Slowness:
    """Watches one attempt."""

    def __init__(self) -> None:
        self.verdict: tuple[float, float] | None = None
        """Pictures a second that came in the last half minute and that were announced, where it is far fewer."""
        self._seen: deque[tuple[int, int]] = deque()

    def note(self, mono_us: int, frames: int, announced_fps: float) -> None:
        """Every few seconds: how many pictures came so far, and how many a second the camera announced (0: nothing)."""
        seen = self._seen
        seen.append((mono_us, frames))
        while len(seen) > 2 and mono_us - seen[1][0] >= _WINDOW_US:
            seen.popleft()
        begun_us, frames_then = seen[0]
        self.verdict = None
        if mono_us - begun_us >= _WINDOW_US and announced_fps > 0:
            fps = (frames - frames_then) * US / (mono_us - begun_us)
            if fps < announced_fps * _WELL_BELOW:
                self.verdict = (fps, announced_fps)

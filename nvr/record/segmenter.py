"""Decides where segments begin: at I-VOPs, on the camera's own place of a fixed grid, and wherever the stream changes.

Pure: frames in, verdicts out; time is what the frames say.
"""

from collections.abc import Sequence
from enum import Enum

from nvr.media.frame import Frame, Vol


class Verdict(Enum):
    """What is to be done with a frame."""

    APPEND = "append"
    """It goes on in the open segment."""
    BEGIN = "begin"
    """It begins a new segment; an open one ends here, for the reason in `Segmenter.reason`."""
    SKIP = "skip"
    """It cannot be decoded (no I-VOP since the start or since a loss) and is counted, not kept."""


class Segmenter:
    """One camera's segment boundaries.

    `segment_us` is the grid's pitch; `offset_us` is the camera's own place on it, so that cameras do not all seal at
    the same moment. A boundary takes effect at the first I-VOP at or after it: with a long I-VOP interval segments
    are as long as a group of pictures.
    """

    def __init__(self, segment_us: int, offset_us: int = 0) -> None:
        self._segment_us = segment_us
        self._offset_us = offset_us % segment_us
        self._cell = 0
        self._vol: Vol | None = None
        self.reason = "started"
        """Why the newest segment began (and the one before it ended)."""

    def on_frame(self, frame: Frame) -> Verdict:
        """Judges the next frame of the stream."""
        if not frame.key:
            if frame.vol is self._vol:
                return Verdict.APPEND
            self._vol = None  # a P-VOP under another VOL refers to pictures nobody has
            return Verdict.SKIP
        cell = (frame.utc_us - self._offset_us) // self._segment_us
        reason = self._reason_to_begin(frame, cell)
        if reason is None:
            return Verdict.APPEND
        self.reason = reason
        self._cell = cell
        self._vol = frame.vol
        return Verdict.BEGIN

    def goes_on(self, frames: Sequence[Frame]) -> bool:
        """Whether the next frames, P-VOPs all of them, are appended; else each is to be judged."""
        vol = self._vol
        return all(frame.vol is vol for frame in frames)

    def lose(self) -> None:
        """Frames were lost on the way or the segment is gone: skip to the next I-VOP and begin anew there."""
        self._vol = None

    def _reason_to_begin(self, frame: Frame, cell: int) -> str | None:
        if self._vol is None:
            return "started"
        if frame.new_run is not None:
            return frame.new_run
        if frame.vol is not self._vol:
            return "vol-changed"
        if cell != self._cell:
            return "rotated"
        return None


def offset_of(camera_number: int, segment_us: int) -> int:
    """The camera's place on the grid of segments: spread evenly whatever the number of cameras.

    Multiples of the golden ratio fall into the largest gap left by those before (Steinhaus' three-gap theorem).
    """
    return int(camera_number * 0.6180339887498949 * segment_us) % segment_us

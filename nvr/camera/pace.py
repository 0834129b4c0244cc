"""How long a camera may keep us waiting, and how much it may send.

Pure: told the time.
"""

from dataclasses import dataclass

from nvr.camera.errors import CameraBusy, LinkError, LinkLost, LinkStalled
from nvr.units import US


@dataclass(frozen=True, slots=True)
class Patience:
    """Deadlines of one attempt at a camera's video, in seconds."""

    connect_s: float = 5.0
    head_s: float = 10.0
    """From the request to the end of the answer's head."""
    silence_s: float = 10.0
    """Without a byte."""
    picture_s: float = 10.0
    """With bytes, but without one whole picture; the family sends one a second at least."""
    flood_s: float = 10.0
    flood_bits_per_s: float = 24e6
    """More than this for `flood_s` is no camera of this family (20 Mbit/s: guide 2.4) and would starve the others."""
    tick_s: float = 1.0
    """How often all this is looked at."""


class Vigil:
    """Watches one attempt's facts and says when waiting on is pointless."""

    def __init__(self, patience: Patience, started_us: int) -> None:
        self._patience = patience
        self._started_us = started_us
        self._had_head = False
        self._pictures = 0
        self._picture_us = started_us
        self._received = 0
        self._looked_us = started_us
        self._calm_us = started_us
        self._excess = 0.0

    def verdict(
        self, now_us: int, *, has_head: bool, received: int, last_bytes_us: int, pictures: int
    ) -> LinkError | None:
        """Why the attempt is over, or None. To be asked about every `tick_s`; counters as of now, times monotonic."""
        if pictures != self._pictures or not self._had_head:
            self._pictures = pictures
            self._picture_us = now_us
        self._had_head = has_head
        self._note_flow(now_us, received)
        patience = self._patience
        silent_s = (now_us - max(last_bytes_us, self._started_us)) / US
        if not has_head:
            if (now_us - self._started_us) / US < patience.head_s:
                return None
            return LinkStalled(f"the camera has not answered the request for video in {patience.head_s:g} s")
        if silent_s >= patience.silence_s and pictures == 0:
            return CameraBusy(f"the camera agreed to send video, then sent no picture for {patience.silence_s:g} s")
        if silent_s >= patience.silence_s:
            return LinkStalled(f"the camera has sent nothing for {patience.silence_s:g} s")
        if (now_us - self._picture_us) / US >= patience.picture_s:
            return LinkStalled(f"the camera sends bytes, but no whole picture for {patience.picture_s:g} s")
        if (now_us - self._calm_us) / US >= patience.flood_s:
            return LinkLost(f"more than {patience.flood_bits_per_s / 1e6:g} Mbit/s for {patience.flood_s:g} s")
        return None

    def _note_flow(self, now_us: int, received: int) -> None:
        """A short burst, such as what a pause left in the buffers, is worked off; a flood is not."""
        fair = self._patience.flood_bits_per_s / 8 * (now_us - self._looked_us) / US
        self._excess = max(0.0, self._excess + received - self._received - fair)
        if not self._excess:
            self._calm_us = now_us
        self._received = received
        self._looked_us = now_us

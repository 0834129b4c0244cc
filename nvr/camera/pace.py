"""How long a camera may keep us waiting, how much it may send, and how much the kernel may hold back.

Pure: told the time.
"""

from dataclasses import dataclass
from typing import Final

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


_YOUNG_US: Final = 10 * US
_EXACT_EVERY_US: Final = 300 * US
_EXACT_US: Final = 2 * US
_LEAST_BYTES: Final = 4 << 10
_MOST_BYTES: Final = 64 << 10
_MUCH_BYTES: Final = 16 << 10  # slower cameras send so few pictures that each may wake us
_HELD_S: Final = 0.25


class LowWater:
    """How many bytes the kernel should collect before it wakes us (SO_RCVLOWAT).

    Wake-ups are the main cost of recording, so bytes of 250 ms at the measured rate; but one, so that each byte is seen
    as it comes, while a link is young and for two seconds every five minutes (the timeline anchors its clock then),
    while somebody waits for each picture, and while nothing came since it was last asked (what the kernel holds must
    come out).

    `collected`: somebody takes what there is every 250 ms, all cameras in one wake-up; then a camera that sends much
    need not wake us itself, and the mark is twice as high.
    """

    def __init__(self, started_us: int, *, collected: bool = False) -> None:
        self._collected = collected
        self._started_us = started_us
        self._asked_us = started_us
        self._received = 0
        self._bytes_per_s = 0.0
        self._held = _LEAST_BYTES

    def bytes_at(self, now_us: int, received: int, *, eager: bool) -> int:
        """The mark from now on; to be asked about every second, with all bytes received so far."""
        came = received - self._received
        self._measure(now_us, received)
        age_us = now_us - self._started_us
        if eager or came == 0 or age_us < _YOUNG_US or age_us % _EXACT_EVERY_US < _EXACT_US:
            return 1
        return self._held * 2 if self._collected and self._held >= _MUCH_BYTES else self._held

    def _measure(self, now_us: int, received: int) -> None:
        passed_s = (now_us - self._asked_us) / US
        if passed_s <= 0:
            return
        now_per_s = (received - self._received) / passed_s
        # A quarter of each second's news: a few seconds of memory, longer than a group of pictures of the usual length.
        self._bytes_per_s += (now_per_s - self._bytes_per_s) / 4 if self._received else now_per_s
        self._asked_us = now_us
        self._received = received
        wanted = min(max(int(self._bytes_per_s * _HELD_S), _LEAST_BYTES), _MOST_BYTES)
        if abs(wanted - self._held) * 8 > self._held:  # less is not worth telling the kernel
            self._held = wanted

"""By which way a camera's video comes: over HTTP, or by multicast with HTTP to fall back on.

Multicast that brings no picture is given up for one attempt over HTTP, which lasts as long as it goes well: whatever
ends it, multicast is tried again.
"""

from collections.abc import Callable
from enum import StrEnum

from nvr.camera.attempt import Feed, OnFrames
from nvr.camera.looks import PositionPoll

MakeFeed = Callable[[OnFrames], Feed]


class Way(StrEnum):
    """How video comes."""

    HTTP = "http"
    MULTICAST = "multicast"


class Ways:
    """One camera's ways, and which is next."""

    def __init__(
        self, over_http: MakeFeed, by_multicast: MakeFeed | None = None, poll: PositionPoll | None = None
    ) -> None:
        """`poll` asks where the camera looks, for pictures that do not say it; None: nobody does."""
        self.way = Way.HTTP if by_multicast is None else Way.MULTICAST
        """Of the present or next attempt."""
        self.fell_back_since: str | None = None
        """Why video comes over HTTP although multicast is wanted; None where it does not."""
        self.poll = poll
        self._over_http = over_http
        self._by_multicast = by_multicast

    def feed(self, on_frames: OnFrames) -> Feed:
        """The next attempt."""
        if self.way is Way.MULTICAST and self._by_multicast is not None:
            return self._by_multicast(on_frames)
        return self._over_http(on_frames)

    def ended(self, why: str, *, pictures: int) -> bool:
        """An attempt ended after so many pictures; whether the next one goes another way at once."""
        if self._by_multicast is None:
            return False
        if self.way is Way.MULTICAST and not pictures:
            self.way, self.fell_back_since = Way.HTTP, why
            return True
        self.way, self.fell_back_since = Way.MULTICAST, None
        return False

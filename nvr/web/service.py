"""What the web asks of the daemon."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from nvr.store.check import Finding


class NotThere(LookupError):
    """There is no such camera, clip, or whatever was named. `str()` is one sentence that says which there are."""


class NotPossible(Exception):
    """What was asked for cannot be done as things are. `str()` is one sentence that says why."""


class NotValid(Exception):
    """What was sent, or what nvr was told to read, is wrong. `str()` is one sentence that says what."""


class Service(Protocol):
    """The daemon as its API sees it. Every answer is plain values that JSON can hold, times as contract strings.

    Called in the daemon's loop, so each method answers from memory and at once; what has to wait is a coroutine.
    """

    def status(self) -> dict[str, Any]:
        """`{version, cameras: [...], volumes: [...]}`: is every camera recording, since when, how far back, disk."""
        ...

    def live(self) -> dict[str, Any]:
        """`{camera: [{path, run, seq, start_us, end_us, frames, epoch}]}`: segments that are not in the index yet.

        By start; the last one is being written where the camera is recorded now. `path` is absolute, as the file is
        called now (`.part`). A camera without any may be left out.
        """
        ...

    async def lock_clip(self, clip: int, locked: bool) -> dict[str, Any]:
        """`{clip, locked}`: a locked clip is never deleted. Raises NotThere, VolumeMissing, NotPossible."""
        ...

    async def repair(self, finding: Finding) -> dict[str, Any]:
        """`{done}`: mends what a check found; `done` says how, null where it is not so any more or cannot be mended.

        Raises NotPossible, VolumeMissing, DiskFull, IndexDamaged.
        """
        ...

    def follow(self, after: int | None) -> AsyncIterator[dict[str, Any] | None]:
        """Events as they happen, `{id, at, camera, kind, text, facts}`, from the one after `after` (None: from now on).

        None now and then while nothing happens. Raises NotPossible where too many follow.
        """
        ...

    async def reload(self) -> dict[str, Any]:
        """`{added, removed, renamed, changed, …}`: reads the configuration again; what it changed. Raises NotValid."""
        ...

    def trigger(self, camera: str, note: str | None) -> dict[str, Any]:
        """`{camera, clip}`: raises a manual alarm; `clip` is the id of its clip. Raises NotThere, NotPossible."""
        ...

    def planned_restart(self, camera: str, seconds: float) -> dict[str, Any]:
        """`{camera, seconds}`: the camera is about to be away for about so long. Raises NotThere."""
        ...

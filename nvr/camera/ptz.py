"""Moving one camera: what jvc.ptz wants done, done; and moves without end, which never go on without somebody."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nvr.camera.control import Control, Written
from nvr.camera.errors import LinkError
from nvr.jvc import catalogue, ptz
from nvr.jvc.errors import ApiRefused, RecordingFull
from nvr.jvc.ptz import AXES, Calls, Way

DEAD_MAN_S: Final = 2.0
"""A move without end stops when nobody has asked for more of it for so long."""
_STOP_TRIES: Final = 5
_STOP_PAUSE_S: Final = 0.2
_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Looking:
    """Where the camera looks, in true degrees."""

    pan_degrees: float
    tilt_degrees: float
    zoom: float
    moving: bool
    preset: int | None
    """None where it has moved from it, or moves."""


class Hold:
    """Somebody's hand on a move without end: it goes on while `keep` is called often enough, until `release`."""

    def __init__(self) -> None:
        self._touched = asyncio.Event()
        self._released = False

    def keep(self) -> None:
        """More of it."""
        self._touched.set()

    def release(self) -> None:
        """No more."""
        self._released = True
        self._touched.set()

    async def let_go(self, within_s: float) -> None:
        """Returns once it is released, or nobody has kept it for so long."""
        while not self._released:
            try:
                async with asyncio.timeout(within_s):
                    await self._touched.wait()
            except TimeoutError:
                return
            self._touched.clear()


class Ptz:
    """One camera's moves. Raises what Control raises; RecordingFull where auto trace can record no more."""

    def __init__(self, control: Control) -> None:
        self.control = control

    async def do(self, calls: Calls, *, save: bool = False) -> list[Written]:
        """Carries out calls in their order; with `save`, what would be lost at a restart is kept at the end."""
        written = [await self.control.write(call.name, call.value) for call in calls]
        if save:
            lasts = dict.fromkeys(
                commit
                for one in written
                if (commit := catalogue.find(one.name).commit_of(one.value)) and "(n)" not in commit
            )
            for commit in lasts:
                await self.control.commit(commit)
        return written

    async def looking(self) -> Looking:
        """Where it looks now."""
        # Whether it moves first: a place that is read afterwards is then the last one, where it does not.
        moving = [await self.control.get(f"camera.motion.{axis}.status") for axis in AXES]
        places = [float(await self.control.get(f"camera.motion.{axis}")) for axis in AXES]
        preset = await self.control.preset()
        return Looking(places[0], ptz.tilt_degrees(places[1]), places[2], "moving" in moving, preset)

    async def arrived(self, within_s: float) -> Looking:
        """Waits until it moves no more. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            now = await self.looking()
            while now.moving:
                await asyncio.sleep(_LOOK_S)
                now = await self.looking()
            return now

    async def move(self, ways: Iterable[Way], speed: int, hold: Hold, *, dead_man_s: float = DEAD_MAN_S) -> None:
        """Moves without end while the hold is kept, at least every `dead_man_s`; stops then, however this ends.

        The stop is tried again where the camera does not answer. Raises LinkError where it never does.
        """
        wanted = list(ways)
        begin = ptz.start(wanted, speed)
        try:
            await self.do(begin)
            await hold.let_go(dead_man_s)
        finally:
            # Also where this is being cancelled: a camera that moves on is worse than a late cancellation.
            await asyncio.shield(self._stopped(wanted))

    async def move_for(self, ways: Iterable[Way], speed: int, seconds: float) -> None:
        """Moves for so long."""
        await self.move(ways, speed, Hold(), dead_man_s=seconds)

    async def for_a_time(self, begin: Calls, end: Calls, seconds: float) -> list[Written]:
        """Begins something, and ends it after so long, however this ends."""
        try:
            done = await self.do(begin)
            await asyncio.sleep(seconds)
        finally:
            ended = await asyncio.shield(self._ended(end))
        return done + ended

    async def _stopped(self, ways: list[Way]) -> None:
        await self._ended(ptz.stop(dict.fromkeys(way.axis for way in ways)))

    async def _ended(self, calls: Calls) -> list[Written]:
        done = []
        for call in calls:
            for remaining in reversed(range(_STOP_TRIES)):
                try:
                    done.append(await self.control.write(call.name, call.value))
                    break
                except RecordingFull:
                    break  # it stopped; only the recording did not note it
                except (LinkError, ApiRefused):
                    if not remaining:
                        raise
                    await asyncio.sleep(_STOP_PAUSE_S)
        return done

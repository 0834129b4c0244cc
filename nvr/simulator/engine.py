"""The pace of pictures: one encoder, or a loop of pictures encoded before, that feeds one or many cameras in time."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Protocol

from nvr.simulator.encoder import Encoder, Picture
from nvr.simulator.options import EncodeSettings
from nvr.simulator.ptz import Position

_US: Final = 1_000_000
_COUNTERS: Final = 1 << 32
_SETTLE_S: Final = 1  # what rate control needs to settle before a loop is kept


@dataclass(slots=True)
class Shot:
    """One picture at its moment, by the engine's clock: what each camera makes its unit of."""

    picture: Picture
    ticks: int
    """Ticks of `settings.resolution` since 1970 by the engine's clock."""
    settings: EncodeSettings
    mono_s: float
    """When it was due."""
    captured_at_us: int


class Taker(Protocol):
    """Who is fed: a camera."""

    def take(self, shot: Shot) -> None: ...

    def looks_at(self, mono_s: float) -> Position: ...

    def skips(self) -> bool:
        """Whether this picture is not to be encoded at all."""
        ...


class Pictures(Protocol):
    """Where encoded pictures come from."""

    async def next(self, position: Position, counter: int, clock_ms: int) -> Picture: ...


class LivePictures:
    """Encodes what the camera sees now, in a thread beside the loop."""

    def __init__(self, settings: EncodeSettings, seed: int, executor: Executor) -> None:
        self._encoder: Encoder | None = None
        self._settings = settings
        self._seed = seed
        self._executor = executor
        self._since_key = 0

    async def next(self, position: Position, counter: int, clock_ms: int) -> Picture:
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, self._encode, position, counter, clock_ms
        )

    def _encode(self, position: Position, counter: int, clock_ms: int) -> Picture:
        if self._encoder is None:
            self._encoder = Encoder(self._settings, self._seed)
        key = self._since_key == 0
        self._since_key = (self._since_key + 1) % self._settings.i_interval
        return self._encoder.encode(position, counter, clock_ms, key=key)


class LoopedPictures:
    """Pictures encoded once, from the next I-VOP on again and again; the strip repeats with them."""

    def __init__(self, pictures: list[Picture], start: int) -> None:
        self._pictures = pictures
        self._at = start % len(pictures)

    async def next(self, position: Position, counter: int, clock_ms: int) -> Picture:
        picture = self._pictures[self._at]
        self._at = (self._at + 1) % len(self._pictures)
        return picture


def encode_loop(
    settings: EncodeSettings, seconds: float, seed: int, look: Callable[[float], Position]
) -> list[Picture]:
    """Whole groups of pictures worth at least that many seconds; takes about 3 ms a VGA picture. Blocks."""
    interval = settings.i_interval
    groups = max(1, -(-round(seconds * settings.frame_rate) // interval))
    settling = -(-round(_SETTLE_S * settings.frame_rate) // interval) * interval
    encoder = Encoder(settings, seed)
    pictures = []
    for count in range(settling + groups * interval):
        kept = count - settling
        at_s = float(max(0, kept) / settings.frame_rate)
        picture = encoder.encode(look(at_s), max(0, kept), round(at_s * 1000), key=count % interval == 0)
        if kept >= 0:
            pictures.append(picture)
    return pictures


@dataclass(frozen=True, slots=True)
class Crystal:
    """A camera's clock before any offset: right at one moment, fast by so many parts per million."""

    mono_us: int
    utc_us: int
    drift_ppm: float = 0.0

    def at(self, mono_us: int) -> int:
        """Microseconds UTC as this clock has them."""
        passed = mono_us - self.mono_us
        return self.utc_us + passed + round(passed * self.drift_ppm / _US)

    def drifting(self, ppm: float) -> "Crystal":
        """The same clock from now on at another speed; it does not jump."""
        now_us = _mono_us()
        return Crystal(now_us, self.at(now_us), ppm)


def true_crystal(drift_ppm: float) -> Crystal:
    """A clock that is right now."""
    return Crystal(_mono_us(), time.time_ns() // 1000, drift_ppm)


class Engine:
    """Takes a picture when one is due and hands it to its cameras. `run` never ends by itself."""

    def __init__(
        self,
        settings: EncodeSettings,
        pictures_of: Callable[[EncodeSettings], Pictures],
        crystal: Crystal,
        *,
        counter: int = 0,
        phase_s: float = 0.0,
    ) -> None:
        """`phase_s`: how much later than at once the first picture is due."""
        self.settings = settings
        self.crystal = crystal
        self.takers: list[Taker] = []
        self._pictures_of = pictures_of
        self._counter = counter
        self._sleep: asyncio.Future[bool] | None = None
        self._begin_anew(_mono_us() + round(phase_s * _US))

    def change(self, settings: EncodeSettings) -> None:
        """Goes on with other settings from now: a fresh encoder, so an I-VOP with its VOL comes next."""
        if settings != self.settings:
            self.settings = settings
            self._begin_anew(_mono_us())

    def drift(self, ppm: float) -> None:
        """Clock and pace run fast by so much from now on."""
        if ppm != self.crystal.drift_ppm:
            self.crystal = self.crystal.drifting(ppm)
            self._begin_anew(_mono_us())

    def heir(self, settings: EncodeSettings) -> "Engine":
        """Another engine that goes on from this one's clock and counter, for a camera that leaves the others."""
        return Engine(settings, self._pictures_of, self.crystal, counter=self._counter)

    async def run(self) -> None:
        """Pictures at the frame rate, from now until cancelled. A picture missed by a whole interval is never taken."""
        while True:
            wait_us = self._due_us() - _mono_us()
            if wait_us <= 0:
                self._taken += int(-wait_us / self._interval_us)
                await asyncio.sleep(0)
            elif not await self._slept(wait_us / _US):
                continue  # the settings changed: another picture is due
            await self._take()

    async def _take(self) -> None:
        due_us = self._due_us()
        ticks = self._ticks_at_zero + self._taken * self.settings.ticks_per_picture
        self._taken += 1
        if self.takers and self.takers[0].skips():
            return
        settings, pictures, mono_s = self.settings, self._pictures, due_us / _US
        position = self.takers[0].looks_at(mono_s) if self.takers else (0, 500, 0)
        captured_at_us = time.time_ns() // 1000 - (_mono_us() - due_us)
        picture = await pictures.next(position, self._counter, self.crystal.at(due_us) // 1000)
        if pictures is not self._pictures:
            return  # made with settings that hold no more: the next one begins anew
        self._counter = (self._counter + 1) % _COUNTERS
        shot = Shot(picture, ticks, settings, mono_s, captured_at_us)
        for taker in tuple(self.takers):
            taker.take(shot)

    def _begin_anew(self, zero_us: int) -> None:
        self._pictures = self._pictures_of(self.settings)
        # The camera's own crystal paces it: a fast clock takes its pictures early by the same share.
        self._interval_us = _US / float(self.settings.frame_rate) / (1 + self.crystal.drift_ppm / _US)
        self._zero_us = zero_us
        self._ticks_at_zero = self.crystal.at(zero_us) * self.settings.resolution // _US
        self._taken = 0
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(False)

    def _due_us(self) -> int:
        return self._zero_us + round(self._taken * self._interval_us)

    async def _slept(self, seconds: float) -> bool:
        """Whether the time passed; False where `_begin_anew` ended the sleep."""
        loop = asyncio.get_running_loop()
        sleep: asyncio.Future[bool] = loop.create_future()
        self._sleep = sleep
        timer = loop.call_later(seconds, _wake, sleep)
        try:
            return await sleep
        finally:
            timer.cancel()


def _wake(sleep: asyncio.Future[bool]) -> None:
    if not sleep.done():
        sleep.set_result(True)


def _mono_us() -> int:
    return time.monotonic_ns() // 1000

"""Patrols by schedule, and going back to a preset: carries out what rules.tours decides."""

import asyncio
import logging
from typing import assert_never

from nvr.camera.control import Control
from nvr.camera.errors import LinkError
from nvr.clock import Clock
from nvr.jvc.errors import ApiRefused, ProtocolError
from nvr.log import Streak
from nvr.rules.tours import Order, Return, StartPatrol, StopPatrol, Tours
from nvr.units import PanTiltZoom

log = logging.getLogger(__name__)


class TourWatch:
    """One camera's tours; `run` carries orders out until it is cancelled."""

    def __init__(self, tours: Tours, control: Control, camera: str, clock: Clock) -> None:
        self._tours = tours
        self._control = control
        self._camera = camera
        self._clock = clock
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._trouble = Streak(log, {"camera": camera, "action": "tour"})

    def tick(self, position: PanTiltZoom | None) -> None:
        """At each tick."""
        if not self._orders.empty():
            return
        order = self._tours.tick(int(self._clock.utc_us()), int(self._clock.mono_us()), position)
        if order is not None:
            self._orders.put_nowait(order)

    async def run(self) -> None:
        """Does what was ordered, one thing after the other."""
        while True:
            order = await self._orders.get()
            try:
                done = await self._carry_out(order)
            except (LinkError, ApiRefused, ProtocolError) as trouble:
                self._trouble.hit(f"the camera could not be sent on its way: {trouble}", order=_words(order))
                self._tours.failed(order, int(self._clock.mono_us()))
            else:
                self._trouble.over("the camera can be sent on its way again")
                if done:
                    log.info(
                        "sent on its way", extra={"camera": self._camera, "action": "tour", "order": _words(order)}
                    )

    async def _carry_out(self, order: Order) -> bool:
        """False where it was so already."""
        match order:
            case StartPatrol(number):
                return await self._unless(f"camera.motion.auto_patrol({number}).status", "moving", "start")
            case StopPatrol(number):
                return await self._unless(f"camera.motion.auto_patrol({number}).status", "stop", "stop")
            case Return(preset):
                if await self._control.preset() == preset:
                    return False
                await self._control.go_to_preset(preset)
                return True
            case _:
                assert_never(order)

    async def _unless(self, name: str, told: str, order: str) -> bool:
        if (await self._control.get(name)).strip() == told:
            return False
        await self._control.write(name, order)
        return True


def _words(order: Order) -> str:
    match order:
        case StartPatrol(number):
            return f"patrol {number} start"
        case StopPatrol(number):
            return f"patrol {number} stop"
        case Return(preset):
            return f"preset {preset}"
        case _:
            assert_never(order)

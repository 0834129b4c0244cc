"""Alarm actions that go to the network: `application.event(n)` with tcpto and udpto (guide 6.4, fact sheet 5.5)."""

import asyncio
import contextlib
import re
import socket
import time
from dataclasses import dataclass
from typing import Final

from nvr.simulator.camera import Camera

_NUMBERS: Final = range(1, 7)  # guide 6.4: five actions, and the sixth is periodic FTP

_WORD: Final = r"(m1|b1|m2|b2|v1|ncbws|ncbwe|efans|camera\.position\(\d{1,2}\)\.status)"
_TRIGGER: Final = re.compile(rf"{_WORD}(?:\((\d{{1,4}})\){_WORD})?|")
_TEXT: Final = re.compile(r"(tcpto|udpto)/([^/]+)/(\d{1,5})/(.{1,127})", re.DOTALL)
_CONNECT_S: Final = 2.0
_MOST_WAITING: Final = 64


@dataclass
class _Event:
    """One alarm action, as it holds."""

    is_on: bool = False
    action: str = ""
    trigger: str = ""
    first_s: float | None = None
    """When the first of two triggers came."""


class Events:
    """The alarm actions of one camera. `run` sends until cancelled."""

    def __init__(self, camera: Camera) -> None:
        self._end = camera.options.alarm_text_end
        self._events = {number: _Event() for number in _NUMBERS}
        self._due: asyncio.Queue[re.Match[str]] = asyncio.Queue(_MOST_WAITING)
        camera.on_change.append(self._hear)

    async def run(self) -> None:
        while True:
            action = await self._due.get()
            with contextlib.suppress(OSError, TimeoutError):  # nobody there: the camera says nothing of it
                await self._send(action[1], action[2], int(action[3]), action[4].encode() + self._end)

    @property
    def numbers(self) -> range:
        """1 to 6."""
        return _NUMBERS

    def status(self, number: int) -> str:
        """on or off, as the API tells it."""
        return "on" if self._events[number].is_on else "off"

    def switch(self, number: int, on: bool) -> None:
        """It works from now on, or rests."""
        self._events[number].is_on = on

    def restart(self, number: int) -> None:
        """It rests until it is switched on."""
        event = self._events[number]
        event.is_on, event.first_s = False, None

    def hold(self, number: int, key: str, value: str) -> None:
        """Its `action` or `trigger` is this from now on; what it may be is known elsewhere."""
        setattr(self._events[number], key, value)

    def _hear(self, word: str) -> None:
        for event in self._events.values():
            action = _TEXT.fullmatch(event.action)
            if event.is_on and action is not None and _is_met(event, word) and not self._due.full():
                self._due.put_nowait(action)

    async def _send(self, kind: str, host: str, port: int, text: bytes) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcpto" else socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            async with asyncio.timeout(_CONNECT_S):
                await loop.sock_connect(sock, (host, port))
                await loop.sock_sendall(sock, text)


def _is_met(event: _Event, word: str) -> bool:
    trigger = _TRIGGER.fullmatch(event.trigger)
    if trigger is None or not trigger[1]:
        return False
    if not trigger[2]:
        return word == trigger[1]
    now_s = time.monotonic()
    if word == trigger[3] and event.first_s is not None and now_s - event.first_s <= int(trigger[2]):
        event.first_s = None
        return True
    if word == trigger[1]:
        event.first_s = now_s
    return False

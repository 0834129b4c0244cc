"""Alarm actions that go to the network: `application.event(n)` with tcpto and udpto (guide 6.4, fact sheet 5.5)."""

import asyncio
import contextlib
import re
import socket
import time
from dataclasses import dataclass, field
from typing import Final

from nvr.simulator.camera import Camera

NUMBERS: Final = range(1, 7)  # guide 6.4: five actions, and the sixth is periodic FTP
KEYS: Final = ("status", "action", "trigger")

_WORD: Final = r"(m1|b1|m2|b2|v1|ncbws|ncbwe|efans|camera\.position\(\d{1,2}\)\.status)"
_TRIGGER: Final = re.compile(rf"{_WORD}(?:\((\d{{1,4}})\){_WORD})?|")
_TEXT: Final = re.compile(r"(tcpto|udpto)/([^/]+)/(\d{1,5})/(.{1,127})", re.DOTALL)
_OTHERS: Final = re.compile(
    r"mailto/[^/]+/(none|object01)/.{1,127}|recftp/ftp01/object01|ftpto/ftp01/object01"
    r"|pinout/[mb]1/\d{1,4}|camera\.position\(\d{1,2}\)\.status/goto|camera\.image\.true_daynight/\w+|",
    re.DOTALL,
)
_CONNECT_S: Final = 2.0
_MOST_WAITING: Final = 64


@dataclass
class _Event:
    """One alarm action: what it is told, and what holds since its restart."""

    is_on: bool = False
    told: dict[str, str] = field(default_factory=lambda: {"action": "", "trigger": ""})
    held: dict[str, str] = field(default_factory=lambda: {"action": "", "trigger": ""})
    first_s: float | None = None
    """When the first of two triggers came."""


class Events:
    """The alarm actions of one camera. `run` sends until cancelled."""

    def __init__(self, camera: Camera) -> None:
        self._end = camera.options.alarm_text_end
        self._events = {number: _Event() for number in NUMBERS}
        self._due: asyncio.Queue[re.Match[str]] = asyncio.Queue(_MOST_WAITING)
        camera.on_change.append(self._hear)

    async def run(self) -> None:
        while True:
            action = await self._due.get()
            with contextlib.suppress(OSError, TimeoutError):  # nobody there: the camera says nothing of it
                await self._send(action[1], action[2], int(action[3]), action[4].encode() + self._end)

    def get(self, number: int, key: str) -> str:
        """As the API tells it: before a restart what held before (fact sheet 5.4)."""
        event = self._events[number]
        return ("on" if event.is_on else "off") if key == "status" else event.held[key]

    def set(self, number: int, key: str, value: str) -> None:
        """As the API is told. Raises ValueError for what is no such value."""
        event = self._events[number]
        match key, value:
            case "status", "on" | "off":
                event.is_on = value == "on"
            case "status", "restart":
                event.held, event.is_on, event.first_s = dict(event.told), False, None
            case "action", _ if _TEXT.fullmatch(value) or _OTHERS.fullmatch(value):
                event.told["action"] = value
            case "trigger", _ if _TRIGGER.fullmatch(value):
                event.told["trigger"] = value
            case _:
                raise ValueError(f"{key} cannot be {value!r}")

    def _hear(self, word: str) -> None:
        for event in self._events.values():
            action = _TEXT.fullmatch(event.held["action"])
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
    trigger = _TRIGGER.fullmatch(event.held["trigger"])
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

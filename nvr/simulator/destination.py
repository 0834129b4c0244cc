"""Where a multicast stream goes: `network.destination(n)` (guide 6.13). Changes count from save on."""

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Final

JPEG: Final = 1
MPEG4: Final = 2

_PORTS: Final = range(2, 65_535)
_JPEG_RATES: Final = frozenset(
    ["30", "25", "15", "10", "7.5", "6", "5", "3", "2", "1", "-2", "-3", "-5", "-10", "-15", "-20", "-30"]
)


class Destination:
    """One of the two; what it is told, and what holds."""

    def __init__(self, number: int, host: str, port: int) -> None:
        self.number = number
        self.running = False
        self.on_change: list[Callable[[Destination], None]] = []
        """Told when it starts, stops, or goes on somewhere else."""
        self._told = {"host": host, "port": str(port), "framerate": "10"}
        self._held = dict(self._told)
        self._factory = dict(self._told)

    @property
    def active(self) -> tuple[str, int]:
        """Group and port that hold."""
        return self._held["host"], int(self._held["port"])

    @property
    def framerate(self) -> str:
        """Of JPEG, that holds."""
        return self._held["framerate"]

    def get(self, key: str) -> str:
        """status, host, port or framerate, as the API tells it."""
        return ("on" if self.running else "off") if key == "status" else self._told[key]

    def set(self, key: str, value: str) -> None:
        """As the API is told. Raises ValueError for what is no such value."""
        match key, value:
            case "status", "save":
                moved = self._held != self._told
                self._held = dict(self._told)
                if moved and self.running:
                    self._tell()
            case "status", "start" | "stop":
                if self.running != (value == "start"):
                    self.running = value == "start"
                    self._tell()
            case "host", _ if IPv4Address(value).is_multicast:
                self._told["host"] = value
            case "port", _ if value.isdecimal() and int(value) in _PORTS:
                self._told["port"] = value
            case "framerate", _ if value in _JPEG_RATES:
                self._told["framerate"] = value
            case _:
                raise ValueError(f"{key} cannot be {value!r}")

    def forget(self) -> None:
        """As from the factory."""
        self._told = dict(self._factory)
        self.set("status", "save")
        self.set("status", "stop")

    def forget_unsaved(self) -> None:
        """As at power off."""
        self._told = dict(self._held)

    def _tell(self) -> None:
        for react in self.on_change:
            react(self)


def both() -> dict[int, Destination]:
    """As from the factory (fact sheet 6)."""
    return {JPEG: Destination(JPEG, "225.0.1.1", 49_152), MPEG4: Destination(MPEG4, "225.0.1.2", 59_152)}

"""Which pictures of a recording a film of the day is made of. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimelapsePlan:
    """What is wanted of one camera."""

    camera: str
    every_us: int
    keep_days: int


class Picker:
    """Chooses pictures: the first key picture of each stretch of `every_us`, counted from 1970."""

    def __init__(self, every_us: int) -> None:
        self._every_us = every_us
        self._last = -1

    def takes(self, utc_us: int) -> bool:
        """Whether this key picture is one of them; to be asked in the order of time."""
        stretch = utc_us // self._every_us
        if stretch <= self._last:
            return False
        self._last = stretch
        return True

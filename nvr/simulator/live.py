"""A parameter that does something, and how the camera says no."""

from collections.abc import Callable
from dataclasses import dataclass

from nvr.simulator.settings import ALL, OPERATORS


class Refused(Exception):
    """The camera's answer behind the name: a code and its words."""


@dataclass(frozen=True, slots=True)
class Live:
    """How it is got and set, and by whom. `get` and `set` raise Refused, or ValueError for 400."""

    get: Callable[[], str] | None = None
    set: Callable[[str], None] | None = None
    set_by: frozenset[str] = OPERATORS
    get_by: frozenset[str] = ALL
    hint: str = ""
    """In 202 Accepted( ), where a change counts only later."""

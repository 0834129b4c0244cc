"""Commands for the index that must not be lost to a full disk: given again, in their order, until they are taken.

For commands that may be given twice. What was given after a refused one is given again behind it, also where it was
taken meanwhile, so that the last word on anything stays the last.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from typing import Any, Final

from nvr.store.errors import DiskFull

Command = Callable[[], "Future[Any]"]

_MOST_WAITING: Final = 10_000  # each some hundred bytes; a day of a camera that is lost every ten seconds


class _State(Enum):
    WAITING = "waiting"
    GIVEN = "given"
    TAKEN = "taken"
    REFUSED = "refused"


class _Given:
    __slots__ = ("command", "state")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.state = _State.WAITING


class Insistence:
    """One owner's commands, the newest ten thousand at most. Everything here runs in the loop; `look` at each tick."""

    def __init__(self) -> None:
        self._given: deque[_Given] = deque(maxlen=_MOST_WAITING)

    def give(self, command: Command) -> None:
        """Gives a command to the index now, or behind those that wait."""
        self._drop_taken()
        one = _Given(command)
        is_held_up = any(before.state in (_State.REFUSED, _State.WAITING) for before in self._given)
        self._given.append(one)
        if not is_held_up:
            _send(one)

    def look(self) -> None:
        """Gives again what was refused, and all that came behind it."""
        if not self._given:
            return
        self._drop_taken()
        states = {one.state for one in self._given}
        if _State.REFUSED in states and _State.GIVEN not in states:
            for one in self._given:
                _send(one)

    @property
    def waiting(self) -> int:
        """How many commands are not known to be taken."""
        self._drop_taken()
        return len(self._given)

    def _drop_taken(self) -> None:
        while self._given and self._given[0].state is _State.TAKEN:
            self._given.popleft()


def _send(one: _Given) -> None:
    one.state = _State.GIVEN
    one.command().add_done_callback(lambda done: _note(one, done))


def _note(one: _Given, done: "Future[Any]") -> None:
    """On the index's thread. Whatever else it refuses, it would refuse again."""
    one.state = _State.REFUSED if isinstance(done.exception(), DiskFull) else _State.TAKEN

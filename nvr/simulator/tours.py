"""Ways a camera moves by itself: auto pan, auto trace and patrols (guide 6.6, 6.7)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nvr.simulator.ptz import Mount, Position, Tour

_LEAST_S = 1.0  # a round of a tour that goes nowhere: it must not go round without end at one moment


def patrol(mount: Mount, steps: Sequence[tuple[int, float]], begin_s: float) -> Tour:
    """From preset to preset, staying so many seconds at each; a stay of 0 leaves it out (guide 6.7)."""
    now_s = begin_s
    while any(stay_s for _, stay_s in steps):
        for number, stay_s in steps:
            if not stay_s:
                continue
            mount.head_for_preset(number, now_s)
            now_s = mount.arrival_s(now_s) + stay_s
            yield now_s


def auto_pan(
    mount: Mount, ends: tuple[Position | None, Position | None], mode: str, share: float, begin_s: float
) -> Tour:
    """To and fro between its ends, or round without end."""
    start, end = ends
    if mode != "return" or start is None or end is None:
        mount.drift("pan", -share if mode == "left" else share, begin_s)
        yield float("inf")
        return
    now_s = begin_s
    while True:
        for place in (start, end):
            mount.head_for(place, share, now_s)
            now_s = max(now_s + _LEAST_S / 100, mount.arrival_s(now_s))
            yield now_s


@dataclass(slots=True)
class Trace:
    """Moves by hand, recorded to be repeated."""

    start: Position
    begin_s: float
    most_s: float
    most_moves: int
    moves: list[tuple[float, Callable[[float], None]]] = field(default_factory=list)
    full: str | None = None
    """Why nothing more is recorded: timeout or memoryfull (guide 6.6)."""

    def record(self, move: Callable[[float], None], now_s: float) -> bool:
        """Keeps a move; False from the moment on that a limit is reached."""
        if self.full is None and now_s - self.begin_s > self.most_s:
            self.full = "timeout"
        if self.full is None and len(self.moves) >= self.most_moves:
            self.full = "memoryfull"
        if self.full is not None:
            return False
        self.moves.append((now_s - self.begin_s, move))
        return True

    def repeated(self, mount: Mount, begin_s: float) -> Tour:
        """The recorded moves, again and again."""
        now_s = begin_s
        while True:
            mount.head_for(self.start, 1.0, now_s)
            now_s = mount.arrival_s(now_s)
            yield now_s
            for after_s, move in self.moves:
                yield now_s + after_s
                move(now_s + after_s)
            now_s += max(_LEAST_S, self.moves[-1][0] if self.moves else 0.0)
            yield now_s

"""Where the camera looks: pan, tilt, zoom that move at finite speed, presets and tours. Told the time in seconds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

Position = tuple[int, int, int]
"""Pan 0..35999, tilt 0..19000, zoom 0..9999 in hundredths, as in the X lines (guide 2.1)."""

PRESETS: Final = range(100)  # guide 6.6
AXES: Final = ("pan", "tilt", "zoom")

# Hundredths a second at full speed; about what a dome of that time does.
_FULL_SPEED: Final = {"pan": 24_000.0, "tilt": 12_000.0, "zoom": 3_000.0}
_MOST: Final = {"pan": 35_999, "tilt": 19_000, "zoom": 9_999}
_CIRCLE: Final = 36_000
_HIGHEST_PRESET_TILT: Final = 9_500  # 90 degrees; guide 6.6: beyond it no preset may be registered
_HOME: Final = (0, 500, 0)

Tour = Iterator[float]
"""Moves the camera by itself: told to go on at the second that it named last."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A position, and the image settings that are kept with it (guide 6.6)."""

    position: Position
    image: Mapping[str, str]


class Mount:
    """The pan-tilt head and its lens."""

    def __init__(self, position: Position) -> None:
        self._axes = {name: _Axis(name, value) for name, value in zip(AXES, position, strict=True)}
        self._presets: dict[int, Preset] = {0: Preset(_HOME, {})}
        self._going_to: int | None = None
        self._tour: Tour | None = None
        self._tour_name = ""
        self._wakes_s = 0.0
        self.preset_speed = 100
        """camera.motion.position.speed, 0 to 100."""

    def at(self, now_s: float) -> Position:
        """Where it looks at that moment."""
        self._go_on(now_s)
        axes = self._axes
        return axes["pan"].at(now_s), axes["tilt"].at(now_s), axes["zoom"].at(now_s)

    def look(self, position: Position, now_s: float) -> None:
        """Is there at once: what no camera can, but a test wants. Raises ValueError outside the ranges."""
        for name, value in zip(AXES, position, strict=True):
            _check(name, value)
        self._by_hand(now_s)
        for name, value in zip(AXES, position, strict=True):
            self._axes[name].put(float(value), now_s)

    def go(self, axis: str, value: int, now_s: float) -> None:
        """Moves one axis to a place, the short way round. Raises ValueError outside its range."""
        _check(axis, value)
        self._by_hand(now_s)
        self._axes[axis].go(value, _FULL_SPEED[axis], now_s)

    def go_by(self, axis: str, hundredths: int, now_s: float) -> None:
        """Moves one axis by so much; pan goes round, the others stop at their ends."""
        self._go_on(now_s)
        value = self._axes[axis].at(now_s) + hundredths
        self.go(axis, value % _CIRCLE if axis == "pan" else max(0, min(_MOST[axis], value)), now_s)

    def turn(self, axis: str, share: float, now_s: float) -> None:
        """Moves one axis until told otherwise, at this share of full speed (-1 to 1); 0 stops it."""
        self._by_hand(now_s)
        self._axes[axis].turn(share * _FULL_SPEED[axis], now_s)

    def sweep(self, degrees_s: float, now_s: float) -> None:
        """Pans without end at that speed."""
        self.turn("pan", degrees_s * 100 / _FULL_SPEED["pan"], now_s)

    def is_moving(self, axis: str, now_s: float) -> bool:
        self._go_on(now_s)
        return self._axes[axis].is_moving(now_s)

    def preset(self, now_s: float) -> int | None:
        """The preset it stands on, None while it moves and after any other move."""
        self._go_on(now_s)
        moving = any(axis.is_moving(now_s) for axis in self._axes.values())
        return None if moving else self._going_to

    def save_preset(self, number: int, now_s: float, image: Mapping[str, str] = MappingProxyType({})) -> None:
        """Raises ValueError where the camera would refuse: tilted beyond 90 degrees (guide 6.6)."""
        position = self.at(now_s)
        if position[1] > _HIGHEST_PRESET_TILT:
            raise ValueError("a preset tilted beyond 90 degrees cannot be registered")
        self._presets[number] = Preset(position, dict(image))
        self._going_to = number

    def forget_preset(self, number: int) -> None:
        self._presets.pop(number, None)
        if number == 0:
            self._presets[0] = Preset(_HOME, {})

    def forget_presets(self) -> None:
        """As from the factory."""
        self._presets = {0: Preset(_HOME, {})}

    def has_preset(self, number: int) -> bool:
        return number in self._presets

    def image_of(self, number: int) -> Mapping[str, str]:
        """The image settings kept with a preset that is there."""
        return self._presets[number].image

    def go_to_preset(self, number: int, now_s: float) -> None:
        """Raises ValueError where nothing is registered."""
        if number not in self._presets:
            raise ValueError(f"preset {number} is not registered")
        self._by_hand(now_s)
        self.head_for_preset(number, now_s)

    # ---- tours

    def tour(self, name: str, tour: Tour, now_s: float) -> None:
        """From now on the tour moves the camera, until a move by hand or `end_tour`."""
        self._by_hand(now_s)
        self._tour, self._tour_name, self._wakes_s = tour, name, now_s

    def end_tour(self, name: str, now_s: float) -> None:
        """Stands still, where that tour is at work."""
        if self.is_touring(name, now_s):
            self.stop(now_s)

    def stop(self, now_s: float) -> None:
        """Stands still, whatever moved it."""
        self._by_hand(now_s)
        for axis in self._axes.values():
            axis.turn(0.0, now_s)

    def is_touring(self, name: str, now_s: float) -> bool:
        self._go_on(now_s)
        return self._tour is not None and self._tour_name == name

    def head_for_preset(self, number: int, now_s: float) -> None:
        """A tour's move; a preset that is not there is left out."""
        if number not in self._presets:
            return
        speed = max(25, -(-self.preset_speed // 25) * 25) / 100  # guide 6.6: four steps
        self.head_for(self._presets[number].position, speed, now_s)
        self._going_to = number

    def head_for(self, position: Position, share: float, now_s: float) -> None:
        """A tour's move to a place, at this share of full speed."""
        self._going_to = None
        for name, value in zip(AXES, position, strict=True):
            self._axes[name].go(value, _FULL_SPEED[name] * share, now_s)

    def head_for_axis(self, axis: str, value: int, now_s: float) -> None:
        """The same of one axis, at full speed."""
        self._axes[axis].go(value, _FULL_SPEED[axis], now_s)

    def drift(self, axis: str, share: float, now_s: float) -> None:
        """A tour's move without end."""
        self._axes[axis].turn(share * _FULL_SPEED[axis], now_s)

    def arrival_s(self, now_s: float) -> float:
        """When it will be where it is going to."""
        return max(axis.arrival_s(now_s) for axis in self._axes.values())

    def _by_hand(self, now_s: float) -> None:
        """A move by hand ends whatever moves the camera by itself."""
        self._go_on(now_s)
        self._going_to = None
        self._tour = None

    def _go_on(self, now_s: float) -> None:
        while self._tour is not None and now_s >= self._wakes_s:
            wakes_s = next(self._tour, None)
            if wakes_s is None:
                self._tour = None
            else:
                self._wakes_s = wakes_s


@dataclass(slots=True)
class _Axis:
    name: str
    value: float
    """Where it was at `since_s`, hundredths."""
    velocity: float = 0.0
    target: float | None = None
    since_s: float = 0.0

    def at(self, now_s: float) -> int:
        place = round(self._place(now_s))
        return place % _CIRCLE if self.name == "pan" else max(0, min(_MOST[self.name], place))

    def put(self, value: float, now_s: float) -> None:
        self.value, self.velocity, self.target, self.since_s = value, 0.0, None, now_s

    def go(self, target: float, speed: float, now_s: float) -> None:
        here = self._place(now_s)
        if self.name == "pan":
            here %= _CIRCLE
            target = here + (target - here + _CIRCLE / 2) % _CIRCLE - _CIRCLE / 2
        self.put(here, now_s)
        self.target = target
        self.velocity = speed if target >= here else -speed

    def turn(self, velocity: float, now_s: float) -> None:
        self.put(self._place(now_s), now_s)
        self.velocity = velocity

    def arrival_s(self, now_s: float) -> float:
        if self.target is None or self.velocity == 0:
            return now_s
        return max(now_s, self.since_s + (self.target - self.value) / self.velocity)

    def is_moving(self, now_s: float) -> bool:
        if self.velocity == 0:
            return False
        if self.target is not None:
            return self._place(now_s) != self.target
        return self.name == "pan" or 0 < self._place(now_s) < _MOST[self.name]

    def _place(self, now_s: float) -> float:
        moved = self.value + self.velocity * max(0.0, now_s - self.since_s)
        if self.target is not None and self.velocity:
            moved = min(moved, self.target) if self.velocity > 0 else max(moved, self.target)
        return moved if self.name == "pan" else max(0.0, min(float(_MOST[self.name]), moved))


def _check(axis: str, value: int) -> None:
    if not 0 <= value <= _MOST[axis]:
        raise ValueError(f"{axis} {value} is outside 0..{_MOST[axis]}")

"""How much of its surroundings a camera shows: from the zoom figure to degrees, and to what was in the picture.

Pure, and approximate. The vendor's guide gives no field of view. The tables here follow from what is known of the
models: x27 and x36 optical zoom (fact sheet 10) that ends at about 90.89 of the zoom scale (fact sheet 1.5), and a wide
end of 55.4 degrees, usual for 1/4-inch sensors behind such lenses and not taken from a data sheet. In between the
magnification is taken to grow by the same factor with every part of the scale. Digital zoom beyond only cuts the
picture down, by a limit that is set in the camera, so the tables keep the optical end: they show too much there, never
too little. Whoever knows better says so in the configuration.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import atan, atan2, cos, degrees, exp, log, radians, sin, tan
from typing import Final, NamedTuple

from nvr.store.rows import Box
from nvr.units import PanTiltZoom

CIRCLE: Final = 36_000
_ALL_ROUND: Final = CIRCLE - 1
_NADIR: Final = 9_500  # straight down on the wire; beyond it the camera looks over its back
_OVER_NADIR: Final = 19_000  # a tilt and this less that tilt are the same angle below the horizon, on opposite sides
_LEVEL: Final = 500
_HEIGHT: Final = 3 / 4  # every frame size of these cameras is 4:3 (guide 6.3)

_WIDE_DEGREES: Final = 55.4
_OPTICAL_END: Final = 90.89
Points = Sequence[tuple[float, float]]
"""Zoom figures (0 to 99.99), rising, each with the degrees that the picture is wide there, falling."""


def _lens(magnification: int) -> Points:
    tele = degrees(2 * atan(tan(radians(_WIDE_DEGREES / 2)) / magnification))
    return ((0.0, _WIDE_DEGREES), (_OPTICAL_END, tele))


_OF_MODEL: Final = {"VN-V685": _lens(27), "VN-V686": _lens(36)}
_OF_OTHERS: Final = _lens(27)  # the wider one


class Arc(NamedTuple):
    """A stretch of the circle, in hundredths of a degree."""

    start: int
    """0 to 35999."""
    width: int
    """0 is a single direction, 35999 and more all of them."""

    def touches(self, other: "Arc") -> bool:
        """Whether some direction is in both."""
        return (other.start - self.start) % CIRCLE <= self.width or (self.start - other.start) % CIRCLE <= other.width

    def holds(self, other: "Arc") -> bool:
        """Whether every direction of the other is in this one."""
        return self.width >= _ALL_ROUND or (other.start - self.start) % CIRCLE + other.width <= self.width

    def joined(self, other: "Arc") -> "Arc":
        """The shortest arc that holds both."""
        joined = (_from_to(self, other), _from_to(other, self))
        return min(joined, key=lambda arc: arc.width)


def _from_to(first: Arc, last: Arc) -> Arc:
    width = max(first.width, (last.start - first.start) % CIRCLE + last.width)
    return Arc(first.start, width) if width < _ALL_ROUND else ALL_ROUND


ALL_ROUND: Final = Arc(0, _ALL_ROUND)


def middle_of(box: Box) -> PanTiltZoom:
    """The point in the middle of a box: where a rest is told to be."""
    arc = arc_of(box)
    pan = (arc.start + arc.width // 2) % 36_000
    return pan, (box.tilt_from + box.tilt_to) // 2, (box.zoom_from + box.zoom_to) // 2


def arc_of(box: Box) -> Arc:
    """The pan of a box."""
    return Arc(box.pan_from, (box.pan_to - box.pan_from) % CIRCLE)


class Sector(NamedTuple):
    """A part of the surroundings: directions, and angles below the horizon up to straight down."""

    pan: Arc
    tilt_from: int
    """As on the wire (500 is level); above the horizon it may be below 0, down it ends at 9500."""
    tilt_to: int

    def touches(self, other: "Sector") -> bool:
        return self.tilt_from <= other.tilt_to and other.tilt_from <= self.tilt_to and self.pan.touches(other.pan)


class FieldOfView:
    """What of its surroundings one camera has in its picture."""

    def __init__(self, points: Points) -> None:
        """Between the points the magnification changes evenly, before and behind them not at all."""
        self._zooms = [zoom for zoom, _ in points]
        self._log_tans = [log(tan(radians(wide / 2))) for _, wide in points]
        self._known: dict[int, float] = {}

    def width_degrees(self, zoom: int) -> float:
        """How wide the picture is at this zoom (hundredths)."""
        return degrees(2 * atan(self._tan(zoom)))

    def height_degrees(self, zoom: int) -> float:
        """How high it is."""
        return degrees(2 * atan(self._tan(zoom) * _HEIGHT))

    def seen(self, box: Box) -> list[Sector]:
        """What was in the picture at one place of the box or another: rather too much, most near straight down."""
        tan_width = self._tan(box.zoom_from)
        tan_height = tan_width * _HEIGHT
        half = round(degrees(atan(tan_height)) * 100)
        sectors = []
        for pan, low, high in folded(arc_of(box), box.tilt_from, box.tilt_to):
            steepest = max(abs(low - _LEVEL), abs(high - _LEVEL))
            if steepest + half >= _NADIR - _LEVEL:
                # What is straight below is in the picture, and round it every direction.
                sectors.append(Sector(ALL_ROUND, low - half, _NADIR))
                continue
            angle = radians(steepest / 100)
            side = round(degrees(atan2(tan_width, cos(angle) - sin(angle) * tan_height)) * 100)
            sectors.append(Sector(_widened(pan, side), low - half, high + half))
        return sectors

    def _tan(self, zoom: int) -> float:
        """Half the picture's width at a distance of 1."""
        known = self._known.get(zoom)
        if known is None:
            known = self._known[zoom] = self._tan_between(zoom / 100)
        return known

    def _tan_between(self, zoom: float) -> float:
        after = bisect_right(self._zooms, zoom)
        if after == 0 or after == len(self._zooms):
            return exp(self._log_tans[max(0, after - 1)])
        share = (zoom - self._zooms[after - 1]) / (self._zooms[after] - self._zooms[after - 1])
        return exp(self._log_tans[after - 1] + share * (self._log_tans[after] - self._log_tans[after - 1]))


def of_model(model: str | None) -> FieldOfView:
    """For a camera that calls itself so; for one that nobody knows the wider table, which finds rather too much."""
    points = next((points for name, points in _OF_MODEL.items() if model and model.startswith(name)), _OF_OTHERS)
    return FieldOfView(points)


def folded(pan: Arc, tilt_from: int, tilt_to: int) -> list[Sector]:
    """What is tilted beyond straight down is on the other side: the same surroundings without such a tilt."""
    sectors = []
    if tilt_from <= _NADIR:
        sectors.append(Sector(pan, tilt_from, min(tilt_to, _NADIR)))
    if tilt_to > _NADIR:
        behind = Arc((pan.start + CIRCLE // 2) % CIRCLE, pan.width)
        sectors.append(Sector(behind, _OVER_NADIR - tilt_to, _OVER_NADIR - max(tilt_from, _NADIR)))
    return sectors


def _widened(arc: Arc, side: int) -> Arc:
    width = arc.width + 2 * side
    return Arc((arc.start - side) % CIRCLE, width) if width < _ALL_ROUND else ALL_ROUND

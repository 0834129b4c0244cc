"""What a person or a rule wants of pan, tilt, zoom and lens, as calls of the parameter API (guide 6.6, 6.7, 6.8).

Degrees are true ones: tilt is -5 to 185, horizontal is 0 (and 180); the camera's own scale begins at -5 degrees.
Each function raises ValueError with one sentence for what no camera of this family can do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nvr.jvc.catalogue import Value, find

_TILT_BEGINS: Final = -5.0
_TILT_ENDS: Final = 185.0
_CIRCLE: Final = 360.0
_WIDTH: Final = 640  # of vga, in which places of the picture are named also where it is qvga (guide 6.6)
_HEIGHT: Final = 480
_PATROL_STEPS: Final = 100
HOME: Final = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A parameter to be set."""

    name: str
    value: Value


Calls = tuple[Call, ...]


class Way(StrEnum):
    """Where a move without end goes."""

    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    IN = "in"
    OUT = "out"

    @property
    def axis(self) -> str:
        return {"left": "pan", "right": "pan", "up": "tilt", "down": "tilt"}.get(self.value, "zoom")


AXES: Final = ("pan", "tilt", "zoom")


def go(pan_degrees: float | None = None, tilt_degrees: float | None = None, zoom: float | None = None) -> Calls:
    """To a place; what is left out stays as it is. Pan goes round: 450 is 90, -10 is 350."""
    calls = []
    if pan_degrees is not None:
        calls.append(_call("camera.motion.pan", f"{_round(pan_degrees):.2f}"))
    if tilt_degrees is not None:
        calls.append(_call("camera.motion.tilt", f"{tilt_scale(tilt_degrees):.2f}"))
    if zoom is not None:
        calls.append(_call("camera.motion.zoom", f"{zoom:.2f}"))
    return _something(calls, "where to: pan, tilt or zoom")


def by(pan_degrees: float = 0.0, tilt_degrees: float = 0.0, zoom: float = 0.0) -> Calls:
    """So far from where it looks now; positive is right, up the scale, and in."""
    parts = {"pan": pan_degrees, "tilt": tilt_degrees, "zoom": zoom}
    calls = [_call(f"camera.motion.{axis}", f"{much:+.2f}") for axis, much in parts.items() if round(much, 2)]
    return _something(calls, "by how much: pan, tilt or zoom")


def start(ways: Iterable[Way], speed: int) -> Calls:
    """Begins moves without end, at 0 to 100 per cent of full speed; at most one for each of pan, tilt, zoom."""
    wanted = list(ways)
    axes = [way.axis for way in wanted]
    if len(set(axes)) != len(axes):
        raise ValueError("a camera moves one way at a time: left or right, up or down, in or out")
    calls = []
    for way in wanted:
        name = f"camera.motion.{way.axis}"
        calls += [_call(f"{name}.mode", way.value), _call(f"{name}.speed", speed)]
    # All directions and speeds first: the moves then begin together.
    calls += [_call(f"camera.motion.{axis}.status", "start") for axis in axes]
    return _something(calls, "where to: left, right, up, down, in or out")


def stop(axes: Iterable[str] = AXES) -> Calls:
    """Ends moves without end."""
    return tuple(_call(f"camera.motion.{axis}.status", "stop") for axis in axes)


def center(x: int, y: int) -> Calls:
    """Turns so that this pixel of a 640 x 480 picture comes to its centre."""
    if not (0 <= x < _WIDTH and 0 <= y < _HEIGHT):
        raise ValueError(f"the picture has 0 to {_WIDTH - 1} pixels across and 0 to {_HEIGHT - 1} down, not {x}, {y}")
    return (_call("camera.motion.clickoncenter", f"s{x}-s{y}"),)


def center_per_cent(x: float, y: float) -> Calls:
    """The same, in per cent of width and height."""
    if not (0 <= x <= 100 and 0 <= y <= 100):
        raise ValueError(f"a place in per cent is 0 to 100 across and down, not {x:g}, {y:g}")
    return (_call("camera.motion.clickoncenter", f"{x:.2f}-{y:.2f}"),)


# ---- the lens


def focus(word: str) -> Calls:
    """`auto`, `once` (one push), `manual`, or a place from near (0.00) to far (99.99)."""
    known = {"auto": "easy_auto", "once": "op_auto", "manual": "manual"}
    if word in known:
        return (_call("camera.focus", known[word]),)
    return (_call("camera.focus", f"{_number(word, 'focus is auto, once, manual, near, far or 0.00 to 99.99'):.2f}"),)


def start_focus(way: str, speed: int) -> Calls:
    """Begins to focus `near` or `far`, at 0 to 100 per cent of full speed."""
    return (_call("camera.focus.mode", way), _call("camera.focus.speed", speed), _call("camera.focus.status", "start"))


def stop_focus() -> Calls:
    return (_call("camera.focus.status", "stop"),)


def iris(word: str) -> Calls:
    """`autoL`, `autoM`, `autoH`, `manual`, or how far it is open, 0 to 100."""
    return (_call("camera.iris", word),)


def start_iris(way: str) -> Calls:
    """Begins to `open` or `close` the iris."""
    return (_call("camera.iris.mode", way), _call("camera.iris.status", "start"))


def stop_iris() -> Calls:
    return (_call("camera.iris.status", "stop"),)


# ---- places it knows


def go_to_preset(number: int) -> Calls:
    return (_call(_preset(number, "status"), "goto"),)


def save_preset(number: int, title: str | None = None) -> Calls:
    """Keeps where it looks now, with iris, white balance and back light compensation."""
    calls = (_call(_preset(number, "status"), "save"),)
    return calls if title is None else calls + name_preset(number, title)


def name_preset(number: int, title: str) -> Calls:
    """At most 32 characters; blank takes a title away."""
    return (_call(_preset(number, "comment"), title),)


def clear_preset(number: int) -> Calls:
    """Forgets it; home is then as from the factory."""
    return (_call(_preset(number, "status"), "initialize"), _call(_preset(number, "comment"), ""))


def limit(side: str) -> Calls:
    """Where it looks now is the `left` or `right` end of panning."""
    return (_call(f"camera.motion.pan.limit.{_one_of(side, 'left', 'right')}", "present"),)


def go_to_limit(side: str) -> Calls:
    return (_call("camera.motion.pan.status", f"goto_{_one_of(side, 'left', 'right')}limit"),)


def heed_limits(wanted: bool) -> Calls:
    """Whether panning stops at its ends."""
    return (_call("camera.motion.pan.limit.status", wanted),)


def tilt_limit(degrees: float) -> Calls:
    """How far up it may tilt: -5 to 10 degrees, 0 is horizontal (the scale's 0 to 15, guide 6.6)."""
    scale = degrees - _TILT_BEGINS
    if scale != round(scale) or not 0 <= scale <= 15:
        raise ValueError(f"the tilt limit is a whole number of degrees from -5 to 10, 0 is horizontal, not {degrees:g}")
    return (_call("camera.motion.tilt.limit.upper", int(scale)),)


def flip(word: str) -> Calls:
    """What happens at the nadir: off, full_digital, half, full or full_reverse."""
    return (_call("camera.motion.tilt.auto_flip", word),)


# ---- ways it moves by itself


def auto_pan(word: str) -> Calls:
    """`start`, `stop`, `begin-here`, `end-here`, `go-begin` or `go-end`."""
    name = "camera.motion.auto_pan"
    calls = {
        "start": (f"{name}.status", "start"),
        "stop": (f"{name}.status", "stop"),
        "begin-here": (f"{name}.start_point", "present"),
        "end-here": (f"{name}.end_point", "present"),
        "go-begin": (f"{name}.status", "goto_start"),
        "go-end": (f"{name}.status", "goto_end"),
    }
    return (_call(*calls[_one_of(word, *calls)]),)


def auto_pan_as(direction: str | None = None, speed: int | None = None) -> Calls:
    """Which way (left, right, return) and how fast."""
    calls = [] if direction is None else [_call("camera.motion.auto_pan.mode", direction)]
    calls += [] if speed is None else [_call("camera.motion.auto_pan.speed", speed)]
    return tuple(calls)


def trace(word: str) -> Calls:
    """`start` and `stop` repeat recorded moves, `record` and `end` record them: 30 s at most (guide 6.6)."""
    name = "camera.motion.auto_trace"
    calls = {
        "start": (f"{name}.status", "start"),
        "stop": (f"{name}.status", "stop"),
        "record": (f"{name}.record.status", "start"),
        "end": (f"{name}.record.status", "stop"),
    }
    return (_call(*calls[_one_of(word, *calls)]),)


def patrol(number: int, word: str) -> Calls:
    """`start` or `stop` patrol 0 to 2."""
    return (_call(f"camera.motion.auto_patrol({number}).status", _one_of(word, "start", "stop")),)


def patrol_steps(number: int, steps: Sequence[tuple[int, int]]) -> Calls:
    """What patrol 0 to 2 does: presets, and for how many seconds each; the steps behind are left out from now on."""
    if len(steps) > _PATROL_STEPS:
        raise ValueError(f"a patrol has at most {_PATROL_STEPS} steps, not {len(steps)}")
    name = f"camera.motion.auto_patrol({number}).position"
    calls = []
    for at, (preset, seconds) in enumerate(steps):
        calls += [_call(f"{name}({at})", preset), _call(f"{name}({at}).duration", seconds)]
    calls += [_call(f"{name}({at}).duration", 0) for at in range(len(steps), _PATROL_STEPS)]
    return tuple(calls)


def auto_return(wanted: bool | None = None, to: str | None = None, after_seconds: int | None = None) -> Calls:
    """Whether it goes back by itself when nobody moves it, what to, and after how long."""
    name = "camera.motion.auto_return"
    calls = [] if to is None else [_call(f"{name}.mode", to)]
    calls += [] if after_seconds is None else [_call(f"{name}.timeout", after_seconds)]
    calls += [] if wanted is None else [_call(f"{name}.status", wanted)]
    return tuple(calls)


def return_now(word: str) -> Calls:
    """`start` or `stop` going back, by hand."""
    return (_call("camera.motion.auto_return.status", _one_of(word, "start", "stop")),)


def track(word: str, *, intelligent: bool = False) -> Calls:
    """`start` or `stop` following motion; intelligent tracking then waits for `aim`."""
    return (_call(f"camera.motion.auto_tracking({1 + intelligent}).status", _one_of(word, "start", "stop")),)


def aim(x: int, y: int, color: tuple[int, int, int] | None = None) -> Calls:
    """What intelligent tracking is to follow: a pixel of a 640 x 480 picture, perhaps a colour as red, green, blue."""
    value = f"s{x}-s{y}" + ("" if color is None else "".join(f"-{part}" for part in color))
    return (_call("camera.motion.auto_tracking(2).target", value),)


# ---- privacy, and the rest


def mask(number: int, word: str) -> Calls:
    """`edit`, `wider`, `narrower`, `higher`, `lower`, `save`, `clear`, `exit`, `on` or `off` of privacy mask 0 to 7."""
    sizes = {"wider": ("width", "+"), "narrower": ("width", "-"), "higher": ("height", "+"), "lower": ("height", "-")}
    if word in sizes:
        side, sign = sizes[word]
        return (_call(f"camera.private_mask.{side}", sign),)
    word = _one_of(word, "edit", *sizes, "save", "clear", "exit", "on", "off")
    return (_call(f"camera.private_mask.area({number}).status", word),)


def masks(wanted: bool) -> Calls:
    """Whether privacy masks are shown at all."""
    return (_call("camera.private_mask.status", wanted),)


def cleaning(wanted: bool, at: str | None = None) -> Calls:
    """Whether it turns round once a day to clean its contacts, and when (hhmmss)."""
    calls = [] if at is None else [_call("camera.motion.pan.auto_cleaning.time", at)]
    return (*calls, _call("camera.motion.pan.auto_cleaning.status", wanted))


# ---- scales


def tilt_scale(degrees: float) -> float:
    """True degrees on the camera's scale, which begins at -5 (guide 6.6)."""
    if not _TILT_BEGINS <= degrees <= _TILT_ENDS:
        raise ValueError(f"tilt is -5 to 185 degrees, 0 is horizontal and 90 straight down, not {degrees:g}")
    return degrees - _TILT_BEGINS


def tilt_degrees(scale: float) -> float:
    """The camera's scale in true degrees."""
    return scale + _TILT_BEGINS


def _round(degrees: float) -> float:
    turned = round(degrees % _CIRCLE, 2)
    return 0.0 if turned >= _CIRCLE else turned


def _preset(number: int, what: str) -> str:
    if not 0 <= number <= 99:
        raise ValueError(f"presets have numbers from 0 to 99, 0 is home, not {number}")
    return f"camera.position({number}).{what}"


def _call(name: str, value: Value) -> Call:
    """Checked against the catalogue."""
    named = find(name)
    named.check_set(named.text_of(value))
    return Call(name, value)


def _one_of(word: str, *words: str) -> str:
    if word not in words:
        raise ValueError(f"{word[:40]!r} is none of {', '.join(words)}")
    return word


def _number(word: str, otherwise: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{otherwise}, not {word[:40]!r}") from None


def _something(calls: list[Call], what: str) -> Calls:
    if not calls:
        raise ValueError(f"say {what}")
    return tuple(calls)

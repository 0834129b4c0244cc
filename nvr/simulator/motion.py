"""Parameters that move the camera, or tell how it moves (guide 6.6, 6.7, 6.8)."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from nvr.simulator.camera import Camera
from nvr.simulator.live import Live, Refused
from nvr.simulator.ptz import AXES, PRESETS, Position
from nvr.simulator.tours import Trace, auto_pan, patrol

_DIRECTIONS: Final = {"pan": ("left", "right"), "tilt": ("down", "up"), "zoom": ("out", "in")}
_MOVE: Final = re.compile(r"([+-]?)(\d{1,3})(?:\.(\d{1,2}))?")
_MOST: Final = {"pan": 35_999, "tilt": 19_000, "zoom": 9_999}
_FLAT: Final = 9_500  # 90 degrees on the tilt scale
_PIXELS: Final = (640, 480)
_WIDE: Final = (5_500.0, 4_100.0)  # hundredths of a degree that a picture spans when not zoomed in; about
_TARGET: Final = re.compile(r"s(\d{1,3})-s(\d{1,3})((?:-\d{1,3}){3})?")
_CLICK_PIXELS: Final = re.compile(r"s(\d{1,3})-s(\d{1,3})")
_CLICK_PER_CENT: Final = re.compile(r"(\d{1,3}(?:\.\d\d?)?)-(\d{1,3}(?:\.\d\d?)?)")
_AREA_STEPS: Final = range(1, 21)
_IMAGE: Final = (
    "camera.iris",
    "camera.image.white_balance",
    "camera.image.white_balance.r",
    "camera.image.white_balance.b",
    "camera.image.blc",
)


class Kept(Protocol):
    """The parameters that are kept."""

    def told(self, name: str) -> str: ...

    def put(self, name: str, value: str) -> None:
        """Holds from now on, until power off or longer."""
        ...

    def commit(self, group: str) -> None: ...


@dataclass(slots=True)
class _Area:
    """A privacy mask: where, and how large in steps."""

    place: Position | None = None
    width: int = 5
    height: int = 5


@dataclass(slots=True)
class _Focus:
    place: str = "50.00"
    auto: bool = True
    speed: int = 100
    mode: str = "far"
    since_s: float | None = None
    """Goes by hand since then."""


@dataclass(slots=True)
class _Edited:
    """The privacy mask that is being edited."""

    number: int
    area: _Area = field(default_factory=_Area)


class Motion:
    """All of them, of one camera."""

    def __init__(self, camera: Camera, kept: Kept) -> None:
        self._camera = camera
        self._mount = camera.mount
        self._kept = kept
        self._modes = {axis: _DIRECTIONS[axis][0] for axis in AXES}
        self._speeds = dict.fromkeys(AXES, 100)
        self._limits = {"left": 0, "right": 0}
        self._ends: list[Position | None] = [None, None]
        self._pan_image: dict[str, str] = {}
        self._trace: Trace | None = None
        self._recording: Trace | None = None
        self._tracking = {1: False, 2: False}
        self._areas = {number: _Area() for number in range(8)}
        self._edited: _Edited | None = None
        self._focus = _Focus()
        self._iris_mode = "open"

    def forget(self) -> None:
        """As from the factory."""
        self._mount.forget_presets()
        self._limits = {"left": 0, "right": 0}
        self._ends = [None, None]
        self._pan_image = {}
        self._trace = None
        self._areas = {number: _Area() for number in range(8)}
        self.power_off()

    def power_off(self) -> None:
        """What was only going on is over; then the home position's image settings hold (guide 6.2)."""
        self._recording = self._edited = None
        self._tracking = {1: False, 2: False}
        self._camera.tracking = 0
        self._mount.stop(time.monotonic())
        self._show(0)

    def live(self) -> dict[str, Live]:
        return dict(self._all())

    def _all(self) -> Iterator[tuple[str, Live]]:
        yield "camera.motion.auto_pan.image", Live(None, self._save_image)
        yield "camera.motion.auto_trace.image", Live(None, self._save_image)
        yield "camera.iris.mode", Live(None, self._set_iris_mode)
        yield "camera.iris.status", Live(None, _one_of("start", "stop"))
        yield "camera.image.autowhite_balance.r", Live(lambda: "s85")
        yield "camera.image.autowhite_balance.b", Live(lambda: "s219")
        yield "camera.motion.tilt.auto_flip.full_digital.status", Live(self._flipped)
        yield "camera.motion.clickoncenter", Live(None, self._center)
        yield from self._axes()
        yield from self._of_focus()
        for number in PRESETS:
            name = f"camera.position({number}).status"
            yield name, Live(self._registered_getter(number), self._preset_setter(number))
        for side in ("left", "right"):
            name = f"camera.motion.pan.limit.{side}"
            yield name, Live(self._limit_getter(side), self._limit_setter(side))
        yield "camera.motion.auto_pan.status", Live(self._touring("auto_pan"), self._set_auto_pan)
        yield "camera.motion.auto_pan.start_point", Live(None, self._end_setter(0))
        yield "camera.motion.auto_pan.end_point", Live(None, self._end_setter(1))
        yield "camera.motion.auto_trace.status", Live(self._touring("auto_trace"), self._set_trace)
        yield "camera.motion.auto_trace.record.status", Live(self._records, self._set_record)
        for mode in range(3):
            name = f"camera.motion.auto_patrol({mode}).status"
            yield name, Live(self._touring(f"auto_patrol({mode})"), self._patrol_setter(mode))
        for kind in (1, 2):
            name = f"camera.motion.auto_tracking({kind}).status"
            yield name, Live(self._tracking_getter(kind), self._tracking_setter(kind))
        yield "camera.motion.auto_tracking(2).target", Live(None, self._aim)
        yield "camera.private_mask.width", Live(None, self._sizer("width"))
        yield "camera.private_mask.height", Live(None, self._sizer("height"))

    # ---- what kept parameters do beside being kept

    def auto_return(self, word: str) -> None:
        """`start` and `stop` by hand (guide 6.6)."""
        mode = self._kept.told("camera.motion.auto_return.mode")
        if mode == "home":
            if word == "start":
                self._goto(0)
        elif mode == "auto_pan":
            self._set_auto_pan(word)
        elif mode == "auto_trace":
            self._set_trace(word)
        elif mode.startswith("auto_patrol"):
            self._patrol_setter(int(mode[-2]))(word)
        else:
            self._tracking_setter(int(mode[-2]))(word)

    def edit_area(self, number: int, word: str) -> None:
        """`edit`, `save`, `clear` and `exit` of a privacy mask (guide 6.8)."""
        area, edited = self._areas[number], self._edited
        now_s = time.monotonic()
        match word:
            case "edit":
                self._edited = _Edited(number, _Area(area.place, area.width, area.height))
                self._mount.go("zoom", 0, now_s)
                if area.place is not None:
                    self._mount.go("pan", area.place[0], now_s)
                    self._mount.go("tilt", area.place[1], now_s)
            case "clear":
                self._areas[number] = _Area()
            case "save" | "exit" if edited is not None and edited.number == number:
                if word == "save":
                    self._areas[number] = _Area(self._mount.at(now_s), edited.area.width, edited.area.height)
                self._edited = None
            case _:
                raise ValueError(f"mask {number} is not being edited")

    def area(self, number: int) -> tuple[Position | None, int, int]:
        """Where a privacy mask is, how wide and how high; for tests."""
        area = self._areas[number]
        return area.place, area.width, area.height

    # ---- axes

    def _axes(self) -> Iterator[tuple[str, Live]]:
        for axis in AXES:
            name = f"camera.motion.{axis}"
            yield name, Live(self._place_getter(axis), self._mover(axis))
            yield f"{name}.status", Live(self._moving_getter(axis), self._starter(axis))
            yield f"{name}.mode", Live(None, self._mode_setter(axis))
            yield f"{name}.speed", Live(None, self._speed_setter(axis))

    def _place_getter(self, axis: str) -> Callable[[], str]:
        at = AXES.index(axis)
        return lambda: f"{self._mount.at(time.monotonic())[at] / 100:.2f}"

    def _mover(self, axis: str) -> Callable[[str], None]:
        def move(value: str) -> None:
            match = _MOVE.fullmatch(value)
            if match is None:
                raise ValueError("no position")
            now_s = time.monotonic()
            wanted = int(match[2]) * 100 + int((match[3] or "0").ljust(2, "0"))
            if match[1]:
                here = self._mount.at(now_s)[AXES.index(axis)]
                wanted = here + (wanted if match[1] == "+" else -wanted)
                wanted = wanted % 36_000 if axis == "pan" else max(0, min(_MOST[axis], wanted))
            self._mount.go(axis, wanted, now_s)
            self._note_move(lambda at_s: self._mount.head_for_axis(axis, wanted, at_s), now_s)

        return move

    def _moving_getter(self, axis: str) -> Callable[[], str]:
        return lambda: "moving" if self._mount.is_moving(axis, time.monotonic()) else "stop"

    def _starter(self, axis: str) -> Callable[[str], None]:
        def start(value: str) -> None:
            now_s = time.monotonic()
            if axis == "pan" and value in ("goto_leftlimit", "goto_rightlimit"):
                self._mount.go("pan", self._limits[value.removeprefix("goto_").removesuffix("limit")], now_s)
                return
            if value not in ("start", "stop"):
                raise ValueError("start or stop")
            sign = -1 if self._modes[axis] == _DIRECTIONS[axis][0] else 1
            share = sign * self._speeds[axis] / 100 if value == "start" else 0.0
            self._mount.turn(axis, share, now_s)
            self._note_move(lambda at_s: self._mount.drift(axis, share, at_s), now_s)

        return start

    def _mode_setter(self, axis: str) -> Callable[[str], None]:
        def change(value: str) -> None:
            _one_of(*_DIRECTIONS[axis])(value)
            self._modes[axis] = value

        return change

    def _speed_setter(self, axis: str) -> Callable[[str], None]:
        def change(value: str) -> None:
            self._speeds[axis] = percent(value)

        return change

    def _limit_getter(self, side: str) -> Callable[[], str]:
        return lambda: f"{self._limits[side] / 100:.2f}"

    def _limit_setter(self, side: str) -> Callable[[str], None]:
        def change(value: str) -> None:
            _one_of("present")(value)
            self._limits[side] = self._mount.at(time.monotonic())[0]

        return change

    def _flipped(self) -> str:
        """Guide 6.6: the picture is turned over beyond 135 degrees where that is chosen."""
        digital = self._kept.told("camera.motion.tilt.auto_flip") == "full_digital"
        return "on" if digital and self._mount.at(time.monotonic())[1] > 14_000 else "off"

    def _center(self, value: str) -> None:
        if match := _CLICK_PIXELS.fullmatch(value):
            shares = [int(match[at]) / _PIXELS[at - 1] for at in (1, 2)]
        elif match := _CLICK_PER_CENT.fullmatch(value):
            shares = [float(match[at]) / 100 for at in (1, 2)]
        else:
            raise ValueError("no place")
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("outside the picture")
        now_s = time.monotonic()
        pan, tilt, zoom = self._mount.at(now_s)
        narrow = 1 - zoom / 10_200
        self._mount.go("pan", round(pan + (shares[0] - 0.5) * _WIDE[0] * narrow) % 36_000, now_s)
        self._mount.go("tilt", max(0, min(19_000, round(tilt + (shares[1] - 0.5) * _WIDE[1] * narrow))), now_s)

    # ---- focus and iris

    def _of_focus(self) -> Iterator[tuple[str, Live]]:
        yield "camera.focus", Live(self._focus_told, self._set_focus)
        yield "camera.focus.status", Live(None, self._start_focus)
        yield "camera.focus.mode", Live(None, self._set_focus_mode)
        yield "camera.focus.speed", Live(None, self._set_focus_speed)

    def _focus_told(self) -> str:
        return "easy_auto" if self._focus.auto else self._focus.place

    def _set_focus(self, value: str) -> None:
        match value:
            case "easy_auto":
                self._focus.auto = True
            case "op_auto" | "manual":
                self._focus.auto = False
            case _:
                if re.fullmatch(r"\d\d?(\.\d\d?)?", value) is None:
                    raise ValueError("no focus")
                self._focus.auto, self._focus.place = False, f"{float(value):.2f}"
        self._note_move(lambda _at_s: None, time.monotonic())

    def _start_focus(self, value: str) -> None:
        _one_of("start", "stop")(value)
        focus, now_s = self._focus, time.monotonic()
        if value == "start":
            focus.auto, focus.since_s = False, now_s
        elif focus.since_s is not None:
            gone = (now_s - focus.since_s) * focus.speed * (1 if focus.mode == "far" else -1)
            focus.place, focus.since_s = f"{max(0.0, min(99.99, float(focus.place) + gone)):.2f}", None
        self._note_move(lambda _at_s: None, now_s)

    def _set_focus_mode(self, value: str) -> None:
        _one_of("far", "near")(value)
        self._focus.mode = value

    def _set_focus_speed(self, value: str) -> None:
        self._focus.speed = percent(value)

    def _set_iris_mode(self, value: str) -> None:
        _one_of("open", "close")(value)
        self._iris_mode = value

    # ---- presets

    def _registered_getter(self, number: int) -> Callable[[], str]:
        return lambda: "registered" if self._mount.has_preset(number) else "unregistered"

    def _preset_setter(self, number: int) -> Callable[[str], None]:
        def act(value: str) -> None:
            match value:
                case "goto":
                    self._goto(number)
                case "save":
                    image = {name: self._kept.told(name) for name in _IMAGE}
                    self._mount.save_preset(number, time.monotonic(), image)
                case "initialize":
                    self._mount.forget_preset(number)
                case _:
                    raise ValueError("goto, save or initialize")

        return act

    def _goto(self, number: int) -> None:
        self._mount.go_to_preset(number, time.monotonic())
        self._show(number)

    def _show(self, number: int) -> None:
        for name, value in self._mount.image_of(number).items():
            self._kept.put(name, value)

    def _save_image(self, value: str) -> None:
        _one_of("save")(value)
        self._pan_image = {name: self._kept.told(name) for name in _IMAGE}

    def _show_pan_image(self) -> None:
        for name, value in self._pan_image.items():
            self._kept.put(name, value)

    # ---- tours

    def _touring(self, name: str) -> Callable[[], str]:
        return lambda: "moving" if self._mount.is_touring(name, time.monotonic()) else "stop"

    def _end_setter(self, at: int) -> Callable[[str], None]:
        def change(value: str) -> None:
            _one_of("present")(value)
            place = self._mount.at(time.monotonic())
            if place[1] > _FLAT:
                raise ValueError("tilted beyond 90 degrees")
            self._ends[at] = place

        return change

    def _set_auto_pan(self, value: str) -> None:
        now_s = time.monotonic()
        match value:
            case "start":
                share = percent(self._kept.told("camera.motion.auto_pan.speed")) / 100
                tour = auto_pan(
                    self._mount,
                    (self._ends[0], self._ends[1]),
                    self._kept.told("camera.motion.auto_pan.mode"),
                    max(0.05, share),
                    now_s,
                )
                self._mount.tour("auto_pan", tour, now_s)
                self._show_pan_image()
            case "stop":
                self._mount.end_tour("auto_pan", now_s)
            case "goto_start" | "goto_end":
                place = self._ends[value == "goto_end"]
                if place is None:
                    raise ValueError("there is no such end")
                self._mount.go("pan", place[0], now_s)
                self._mount.go("tilt", place[1], now_s)
                self._mount.go("zoom", place[2], now_s)
            case _:
                raise ValueError("start, stop, goto_start or goto_end")

    def _set_trace(self, value: str) -> None:
        _one_of("start", "stop")(value)
        now_s = time.monotonic()
        if value == "stop":
            self._mount.end_tour("auto_trace", now_s)
        elif self._trace is None:
            raise ValueError("nothing is recorded")
        else:
            self._mount.tour("auto_trace", self._trace.repeated(self._mount, now_s), now_s)
            self._show_pan_image()

    def _records(self) -> str:
        return "off" if self._recording is None else "on"

    def _set_record(self, value: str) -> None:
        _one_of("start", "stop")(value)
        now_s = time.monotonic()
        options = self._camera.options
        if value == "start":
            place = self._mount.at(now_s)
            if place[1] > _FLAT:
                raise ValueError("tilted beyond 90 degrees")
            self._recording = Trace(place, now_s, options.trace_s, options.trace_moves)
            return
        recorded, self._recording = self._recording, None
        if recorded is None:
            return
        self._trace = recorded
        if recorded.full is not None:
            raise Refused("206 Partial Content")

    def _note_move(self, move: Callable[[float], None], now_s: float) -> None:
        """A move while auto trace records; beyond its limits it is answered 206 (guide 6.6)."""
        if self._recording is not None and not self._recording.record(move, now_s):
            raise Refused(f"206 Partial Content, auto_trace({self._recording.full})")

    def _patrol_setter(self, mode: int) -> Callable[[str], None]:
        name = f"auto_patrol({mode})"

        def act(value: str) -> None:
            now_s = time.monotonic()
            match value:
                case "start":
                    of = f"camera.motion.{name}.position"
                    steps = [
                        (int(self._kept.told(f"{of}({at})")), float(self._kept.told(f"{of}({at}).duration")))
                        for at in range(100)
                    ]
                    self._mount.tour(name, patrol(self._mount, steps, now_s), now_s)
                    if self._kept.told("camera.motion.auto_return.mode").startswith("auto_patrol"):
                        self._kept.put("camera.motion.auto_return.mode", name)
                case "stop":
                    self._mount.end_tour(name, now_s)
                case "save":
                    self._kept.commit(f"patrol({mode})")
                    raise Refused("202 Accepted")  # so it is answered, though nothing more is to be said (guide 6.7)
                case _:
                    raise ValueError("start, stop or save")

        return act

    # ---- tracking

    def _tracking_getter(self, kind: int) -> Callable[[], str]:
        """The first is at work where pictures say so and the second is not (guide 6.6)."""
        if kind == 1:
            return lambda: "moving" if self._camera.tracking and not self._tracking[2] else "stop"
        return lambda: "moving" if self._tracking[2] else "stop"

    def _tracking_setter(self, kind: int) -> Callable[[str], None]:
        def change(value: str) -> None:
            _one_of("start", "stop")(value)
            self._tracking = {1: False, 2: False, kind: value == "start"}
            # 1 waits for a target, 2 follows (fact sheet 1.5).
            self._camera.tracking = 0 if value == "stop" else 2 if kind == 1 else 1
            if kind == 1 and value == "start":
                self._goto(0)

        return change

    def _aim(self, value: str) -> None:
        match = _TARGET.fullmatch(value)
        if match is None or int(match[1]) > 639 or int(match[2]) > 479:
            raise ValueError("no target")
        if any(int(part) > 255 for part in (match[3] or "").split("-") if part):
            raise ValueError("no colour")
        if not self._tracking[2]:
            raise ValueError("intelligent tracking was not started")
        self._camera.tracking = 2

    def _sizer(self, side: str) -> Callable[[str], None]:
        def change(value: str) -> None:
            _one_of("+", "-")(value)
            if self._edited is None:
                raise ValueError("no mask is being edited")
            area = self._edited.area
            size = getattr(area, side) + (1 if value == "+" else -1)
            setattr(area, side, max(_AREA_STEPS[0], min(_AREA_STEPS[-1], size)))

        return change


def _one_of(*words: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")

    return check


def percent(value: str) -> int:
    """0 to 100. Raises ValueError."""
    if not value.isdecimal() or not 0 <= int(value) <= 100:
        raise ValueError("0 to 100")
    return int(value)

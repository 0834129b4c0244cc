"""`nvr camera ptz`: where a camera looks, and moving it."""

import signal
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, TypeVar

import typer

from nvr import config
from nvr.camera.control import Written
from nvr.camera.ptz import Looking, Ptz
from nvr.cli.at_camera import ask
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_json_list, print_table
from nvr.cli.told_camera import told_control
from nvr.config import Config
from nvr.jvc import ptz
from nvr.jvc.catalogue import Role, find
from nvr.jvc.ptz import Calls, Way

commands = typer.Typer(help="Where a camera looks, and moving it.", no_args_is_help=True)

T = TypeVar("T")

PtzCamera = Annotated[
    str | None, typer.Option("--camera", metavar="C", help="The camera's name; also before the command.")
]
SaveOption = Annotated[
    bool, typer.Option("--save/--no-save", help="Keep what would be lost when the camera restarts, or only try it.")
]
SpeedOption = Annotated[int, typer.Option(min=0, max=100, help="Per cent of full speed.")]
PresetNumber = Annotated[int, typer.Argument(min=0, max=99, metavar="N", help="0 to 99; 0 is home.")]

_LONGEST_S: Final = 60.0
_ARRIVES_S: Final = 60.0
_PRESETS: Final = range(100)


@commands.callback()
def _group(context: typer.Context, camera: PtzCamera = None) -> None:
    """Where a camera looks, and moving it. Degrees are true ones: tilt 0 is horizontal, 90 straight down."""
    context.obj = camera


@commands.command()
def where(
    context: typer.Context, camera: PtzCamera = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Tell where the camera looks now."""
    told = _Told(context, camera, config_file)
    _tell_looking(told.name, told.ask(told.ptz.looking), as_json=as_json)


@commands.command()
def go(
    context: typer.Context,
    pan: Annotated[float | None, typer.Option(metavar="DEGREES", help="0 to 359.99, and round.")] = None,
    tilt: Annotated[float | None, typer.Option(metavar="DEGREES", help="-5 to 185; 0 is horizontal.")] = None,
    zoom: Annotated[float | None, typer.Option(metavar="Z", help="0 (wide) to 99.99 (tele).")] = None,
    by: Annotated[bool, typer.Option("--by", help="So far from where it looks now, instead of to there.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is there; then say where that is.")] = False,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn the camera to a place, or by so much."""
    told = _Told(context, camera, config_file)
    with_by = (pan or 0.0, tilt or 0.0, zoom or 0.0)
    told.do(lambda: ptz.by(*with_by) if by else ptz.go(pan, tilt, zoom), as_json=as_json and not wait, quiet=wait)
    if wait:
        _tell_looking(told.name, told.ask(told.arrived), as_json=as_json)


@commands.command()
def move(
    context: typer.Context,
    ways: Annotated[
        list[Way], typer.Argument(metavar="WAY...", help="left, right, up, down, in, out; or two of them.")
    ],
    seconds: Annotated[
        float, typer.Option("--for", min=0.05, max=_LONGEST_S, metavar="S", help="For so long, then it is stopped.")
    ] = 1.0,
    speed: SpeedOption = 50,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the camera for a time. It is stopped however this ends, Ctrl-C and SIGTERM included."""
    told = _Told(context, camera, config_file)
    _possible(lambda: ptz.start(ways, speed))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    looks = told.ask(lambda: told.moved(ways, speed, seconds))
    _tell_looking(told.name, looks, as_json=as_json)


@commands.command()
def stop(
    context: typer.Context, camera: PtzCamera = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Stop every move, auto pan, auto trace, patrols and tracking."""
    told = _Told(context, camera, config_file)
    everything = ptz.auto_pan("stop") + ptz.trace("stop") + ptz.track("stop")
    for number in range(3):
        everything += ptz.patrol(number, "stop")
    told.do(lambda: everything + ptz.stop() + ptz.stop_focus() + ptz.stop_iris(), as_json=as_json, quiet=True)
    if not as_json:
        typer.echo(f"camera '{told.name}' was told to stop")


@commands.command()
def center(
    context: typer.Context,
    x: Annotated[float, typer.Argument(help="Across, from the left.")],
    y: Annotated[float, typer.Argument(help="Down, from the top.")],
    per_cent: Annotated[bool, typer.Option("--per-cent", help="0 to 100 instead of pixels of 640 x 480.")] = False,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a place of the picture to its centre."""
    told = _Told(context, camera, config_file)
    told.do(lambda: ptz.center_per_cent(x, y) if per_cent else ptz.center(int(x), int(y)), as_json=as_json)


@commands.command()
def home(
    context: typer.Context, camera: PtzCamera = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Go to the home position, preset 0."""
    _Told(context, camera, config_file).do(lambda: ptz.go_to_preset(ptz.HOME), as_json=as_json)


@commands.command()
def focus(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="WORD", help="auto, once, manual, near, far, or 0.00 to 99.99.")],
    seconds: Annotated[
        float, typer.Option("--for", min=0.05, max=_LONGEST_S, metavar="S", help="Near, far: for so long.")
    ] = 0.5,
    speed: SpeedOption = 50,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Focus by itself, once, or by hand."""
    told = _Told(context, camera, config_file)
    if word in ("near", "far"):
        told.for_a_time(ptz.start_focus(word, speed), ptz.stop_focus(), seconds, as_json=as_json)
    else:
        told.do(lambda: ptz.focus(word), as_json=as_json)


@commands.command()
def iris(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="WORD", help="autoL, autoM, autoH, manual, open, close, or 0 to 100.")],
    seconds: Annotated[
        float, typer.Option("--for", min=0.05, max=_LONGEST_S, metavar="S", help="Open, close: for so long.")
    ] = 0.5,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open or close the iris; nvr camera ptz preset save keeps it with a preset."""
    told = _Told(context, camera, config_file)
    if word in ("open", "close"):
        told.for_a_time(ptz.start_iris(word), ptz.stop_iris(), seconds, as_json=as_json)
    else:
        told.do(lambda: ptz.iris(word), as_json=as_json)


@commands.command()
def presets(
    context: typer.Context, camera: PtzCamera = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the preset positions that are registered, with their titles."""
    told = _Told(context, camera, config_file)
    found = told.ask(told.presets)
    if as_json:
        print_json_list({"preset": number, "title": title} for number, title in found)
    else:
        print_table(("preset", "title"), ((number, title or "-") for number, title in found))


@commands.command()
def preset(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="WORD", help="go, save, title or clear.")],
    number: PresetNumber,
    title: Annotated[str | None, typer.Argument(metavar="[TITLE]", help="With save and title; blank: none.")] = None,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go to a preset position, keep where it looks as one, name it, or forget it."""

    def calls() -> Calls:
        match word:
            case "go":
                return ptz.go_to_preset(number)
            case "save":
                return ptz.save_preset(number, title)
            case "title" if title is not None:
                return ptz.name_preset(number, title)
            case "clear":
                return ptz.clear_preset(number)
        raise ValueError("write preset go N, save N [TITLE], title N TITLE or clear N")

    _Told(context, camera, config_file).do(calls, as_json=as_json)


@commands.command()
def limits(
    context: typer.Context,
    word: Annotated[
        str, typer.Argument(metavar="WORD", help="left-here, right-here, go-left, go-right, on, off, or tilt.")
    ],
    degrees: Annotated[
        float | None, typer.Argument(metavar="[DEGREES]", help="With tilt: -5 to 10, 0 is horizontal.")
    ] = None,
    save: SaveOption = True,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far the camera may pan and tilt."""

    def calls() -> Calls:
        match word:
            case "left-here" | "right-here":
                return ptz.limit(word.removesuffix("-here"))
            case "go-left" | "go-right":
                return ptz.go_to_limit(word.removeprefix("go-"))
            case "on" | "off":
                return ptz.heed_limits(word == "on")
            case "tilt" if degrees is not None:
                return ptz.tilt_limit(degrees)
        raise ValueError("write limits left-here, right-here, go-left, go-right, on, off or tilt DEGREES")

    _Told(context, camera, config_file).do(calls, save=save, as_json=as_json)


@commands.command()
def flip(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="WORD", help="off, full_digital, half, full or full_reverse.")],
    save: SaveOption = True,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what happens when the camera tilts through the point straight below it."""
    _Told(context, camera, config_file).do(lambda: ptz.flip(word), save=save, as_json=as_json)


@commands.command("auto-pan")
def auto_pan(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="WORD", help="start, stop, begin-here, end-here, go-begin or go-end.")],
    direction: Annotated[str | None, typer.Option(metavar="WORD", help="left, right or return.")] = None,
    speed: Annotated[int | None, typer.Option(min=0, max=100, help="Per cent of full speed.")] = None,
    save: SaveOption = True,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the camera pan to and fro, or round."""
    told = _Told(context, camera, config_file)
    told.do(lambda: ptz.auto_pan_as(direction, speed) + ptz.auto_pan(word), save=save, as_json=as_json)


@commands.command()
def trace(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="WORD", help="record, end, start or stop.")],
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record moves, 30 seconds at most, and let the camera repeat them."""
    _Told(context, camera, config_file).do(lambda: ptz.trace(word), as_json=as_json)


@commands.command()
def patrol(
    context: typer.Context,
    number: Annotated[int, typer.Argument(min=0, max=2, metavar="N", help="Which patrol, 0 to 2.")],
    word: Annotated[str, typer.Argument(metavar="WORD", help="start, stop, show, or set.")],
    steps: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PRESET:SECONDS...]", help="With set: 0, 10, 20, 30, 45, 60 or 120 s."),
    ] = None,
    save: SaveOption = True,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the camera go from preset to preset; say which and for how long."""
    told = _Told(context, camera, config_file)
    if word == "show":
        shown = told.ask(lambda: told.patrol_steps(number))
        if as_json:
            print_json_list({"preset": preset, "seconds": seconds} for preset, seconds in shown)
        else:
            print_table(("preset", "seconds"), shown)
    elif word == "set":
        told.do(
            lambda: ptz.patrol_steps(number, [_step(text) for text in steps or []]),
            save=save,
            as_json=as_json,
            quiet=True,
        )
        if not as_json:
            typer.echo(f"patrol {number} has {len(steps or [])} steps")
    else:
        told.do(lambda: ptz.patrol(number, word), as_json=as_json)


@commands.command("return")
def auto_return(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="WORD", help="on, off, start or stop.")],
    to: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="home, auto_pan, auto_patrol(0..2), auto_trace, auto_tracking(1..2)."),
    ] = None,
    after: Annotated[int | None, typer.Option(metavar="S", help="60, 120, 180, 300, 600, 1200, 1800 or 3600.")] = None,
    save: SaveOption = True,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the camera go back by itself when nobody has moved it for a while."""

    def calls() -> Calls:
        if word in ("on", "off"):
            return ptz.auto_return(word == "on", to, after)
        return ptz.auto_return(None, to, after) + ptz.return_now(word)

    _Told(context, camera, config_file).do(calls, save=save, as_json=as_json)


@commands.command()
def track(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="WORD", help="start, stop, or aim with X and Y.")],
    x: Annotated[int | None, typer.Argument(metavar="[X]", help="Pixel across, of 640.")] = None,
    y: Annotated[int | None, typer.Argument(metavar="[Y]", help="Pixel down, of 480.")] = None,
    intelligent: Annotated[
        bool, typer.Option("--intelligent", help="Follow one target instead of any motion.")
    ] = False,
    color: Annotated[str | None, typer.Option(metavar="R-G-B", help="With aim: the target's colour.")] = None,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the camera follow motion, or one target. Motion detection rests meanwhile."""

    def calls() -> Calls:
        if word != "aim":
            return ptz.track(word, intelligent=intelligent)
        if x is None or y is None:
            raise ValueError("write track aim X Y")
        return ptz.aim(x, y, None if color is None else _color(color))

    _Told(context, camera, config_file).do(calls, as_json=as_json)


@commands.command()
def mask(
    context: typer.Context,
    number: Annotated[int, typer.Argument(min=0, max=7, metavar="N", help="Which privacy mask, 0 to 7.")],
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORD...", help="edit, wider, narrower, higher, lower, save, clear, exit, on or off."),
    ],
    save: SaveOption = True,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Edit a privacy mask: edit, then turn the camera and size it, then save or exit; on and off show and hide it."""
    told = _Told(context, camera, config_file)
    told.do(lambda: tuple(call for word in words for call in ptz.mask(number, word)), save=save, as_json=as_json)


@commands.command()
def masks(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="on|off")],
    save: SaveOption = True,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or hide all privacy masks."""
    _Told(context, camera, config_file).do(lambda: ptz.masks(_on(word)), save=save, as_json=as_json)


@commands.command()
def cleaning(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="on|off")],
    at: Annotated[str | None, typer.Option(metavar="HHMMSS", help="When, by the camera's clock.")] = None,
    save: SaveOption = True,
    camera: PtzCamera = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the camera turn round once a day to clean its contacts."""
    _Told(context, camera, config_file).do(lambda: ptz.cleaning(_on(word), at), save=save, as_json=as_json)


class _Told:
    """The camera of one command."""

    def __init__(self, context: typer.Context, camera: str | None, config_file: Any) -> None:
        name = camera or context.obj
        if name is None:
            raise WrongUseError("which camera? add --camera C")
        self.name: str = name
        settings: Config = config.load(config.find(config_file))
        self.ptz = Ptz(told_control(settings, name))

    def ask(self, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return ask(self.name, question)

    def do(self, calls: Callable[[], Calls], *, as_json: bool, save: bool = False, quiet: bool = False) -> None:
        """Carries out what was asked for. Raises WrongUseError for what no camera can do."""
        wanted = _possible(calls)
        _possible(lambda: _check_role(wanted, self.ptz.control.role))
        done = self.ask(lambda: self.ptz.do(wanted, save=save))
        if as_json:
            print_json_list(map(_written, done))
        elif not quiet:
            for one in done:
                typer.echo(f"{one.name}={one.value}")
        if self.ptz.control.unsaved and not save:
            note("not kept: gone when the camera restarts")

    def for_a_time(self, begin: Calls, end: Calls, seconds: float, *, as_json: bool) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        done = self.ask(lambda: self.ptz.for_a_time(begin, end, seconds))
        if as_json:
            print_json_list(map(_written, done))

    async def moved(self, ways: list[Way], speed: int, seconds: float) -> Looking:
        await self.ptz.move_for(ways, speed, seconds)
        return await self.ptz.looking()

    async def arrived(self) -> Looking:
        try:
            return await self.ptz.arrived(_ARRIVES_S)
        except TimeoutError:
            raise NotWellError(f"camera '{self.name}' still moves after {_ARRIVES_S:.0f} s") from None

    async def presets(self) -> list[tuple[int, str]]:
        get = self.ptz.control.get
        names = [f"camera.position({number})" for number in _PRESETS]
        known = [number for number, name in enumerate(names) if await get(f"{name}.status") == "registered"]
        return [(number, await get(f"{names[number]}.comment")) for number in known]

    async def patrol_steps(self, number: int) -> list[tuple[int, int]]:
        """The steps that are not left out."""
        name, steps = f"camera.motion.auto_patrol({number}).position", []
        for at in range(100):
            seconds = int(await self.ptz.control.get(f"{name}({at}).duration"))
            if seconds:
                steps.append((int(await self.ptz.control.get(f"{name}({at})")), seconds))
        return steps


def _possible(what: Callable[[], T]) -> T:
    try:
        return what()
    except ValueError as wrong:
        raise WrongUseError(str(wrong)) from None


def _check_role(calls: Calls, role: Role | None) -> None:
    for call in calls:
        named = find(call.name)
        named.check_set(named.text_of(call.value), role)


def _step(text: str) -> tuple[int, int]:
    preset, colon, seconds = text.partition(":")
    if not colon or not preset.isdecimal() or not seconds.isdecimal():
        raise ValueError(f"a step is PRESET:SECONDS such as 3:30, not {text[:40]!r}")
    return int(preset), int(seconds)


def _color(text: str) -> tuple[int, int, int]:
    parts = text.split("-")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) < 256 for part in parts):
        raise ValueError(f"a colour is R-G-B such as 255-0-0, not {text[:40]!r}")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _on(word: str) -> bool:
    if word not in ("on", "off"):
        raise ValueError(f"write on or off, not {word[:40]!r}")
    return word == "on"


def _written(one: Written) -> dict[str, Any]:
    return {"name": one.name, "value": one.value, "code": one.outcome.code}


def _tell_looking(camera: str, looks: Looking, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "camera": camera,
                "pan_degrees": looks.pan_degrees,
                "tilt_degrees": round(looks.tilt_degrees, 2),
                "zoom": looks.zoom,
                "moving": looks.moving,
                "preset": looks.preset,
            }
        )
        return
    at = f"pan {looks.pan_degrees:.2f}°, tilt {looks.tilt_degrees:.2f}°, zoom {looks.zoom:.2f}"
    stands = "" if looks.preset is None else f", preset {looks.preset}"
    typer.echo(f"{at}{stands}{', moving' if looks.moving else ''}")

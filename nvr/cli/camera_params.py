"""`nvr camera params`, `get` and `set`: single parameters of a camera."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.camera.control import Control, NotHeld, Written
from nvr.camera.own_address import own_address
from nvr.cli.at_camera import CameraOption, ask
from nvr.cli.camera_login import KeptPassword, kept_password
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_json_list, print_table
from nvr.cli.told_camera import mention_move, told_control
from nvr.jvc import settings as jvc_settings
from nvr.jvc.catalogue import Named, Parameter, catalogue, find, matching
from nvr.jvc.mask import Mask
from nvr.jvc.settings import OPEN, names_of

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_INITIALIZE: Final = ("system.status", "initialize")


def params(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME|WORDS]", help="Those about this only; a whole name: all of it.")
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Browse the parameters that a camera of this family has: what they are and what they may be.

    No camera is asked.
    """
    del config_file  # taken like every command does; nothing of it matters here
    asked = " ".join(words or [])
    found = _named(asked) or (matching(asked) if asked else list(catalogue()))
    if not found:
        raise NotWellError(f"no parameter is about {asked[:60]!r}; nvr camera params alone lists them all")
    if as_json:
        print_json_list(map(_facts, found))
    elif len(found) == 1:
        _describe(found[0])
    else:
        print_table(("name", "can be", "what it is"), ((one.name, _can_be(one), one.about) for one in found))


def get(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help='Such as camera.id; "camera.position(n).comment" is all of them.'),
    ],
    camera: CameraOption,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read parameters of a camera."""
    settings = config.load(config.find(config_file))
    control = told_control(settings, camera)
    wanted = [one for name in names for one in _found(name)]
    with _wrong_use():
        for one in wanted:
            one.check_get(control.role)
    told = ask(camera, lambda: _read(control, wanted))
    if as_json:
        print_json(
            {name: value if isinstance(value, list) else find(name).value_of(value) for name, value in told.items()}
        )
        return
    for name, value in told.items():
        if isinstance(value, list):
            typer.echo("\n".join(value))
        elif find(name).parameter.values == ("<mask>",):
            typer.echo(f"{name}={value}\n{Mask.parse(value).drawing}")
        else:
            typer.echo(f"{name}={value}")


def set_(
    orders: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE...", help="Nothing behind = is blank; a password alone is asked for."),
    ],
    camera: CameraOption,
    save: Annotated[
        bool, typer.Option("--save/--no-save", help="Make it last too, or only try it until the camera restarts.")
    ] = True,
    position: Annotated[
        int | None, typer.Option(min=0, max=99, help="Keep iris, white balance, back light with this preset position.")
    ] = None,
    yes: YesOption = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set parameters of a camera, make them last, and read them back.

    The value is checked before anything is sent; nvr camera params NAME tells what it may be. What restarts the camera
    is announced to a running daemon. system.status=initialize asks first.
    """
    settings = config.load(config.find(config_file))
    control = told_control(settings, camera)
    wanted = [_order(text) for text in orders]
    with _wrong_use():
        for one in wanted:
            one.named.check_set(one.value, control.role)
    _refuse_lock_out(control, camera, wanted)
    if any((one.named.name, one.value) == _INITIALIZE for one in wanted):
        confirm(
            f"set camera '{camera}' back to what it was when it left the factory, passwords and address included?", yes
        )
    done: list[Written] = []
    before = control.address
    try:
        ask(camera, lambda: _set_all(control, settings, camera, wanted, done, save, position))
    except (ValueError, NotHeld) as trouble:
        _tell(done, control, as_json)
        kind = WrongUseError if isinstance(trouble, ValueError) else NotWellError
        raise kind(str(trouble)) from None
    except NotWellError:
        _tell(done, control, as_json)
        raise
    _tell(done, control, as_json)
    mention_move(control, before, camera)
    if any((one.name, one.value) == _INITIALIZE for one in done):
        note(f"camera '{camera}' has the factory's address and passwords now; its configuration needs them too")


def confirm(question: str, yes: bool) -> None:
    """Asks, unless told not to. Raises WrongUseError where nobody can answer, or the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise WrongUseError(f"this would {question.rstrip('?')}; with --yes it is done without asking")
    if not typer.confirm(f"nvr: {question}", err=True):
        raise WrongUseError("nothing was done")


@dataclass(frozen=True, slots=True)
class _Order:
    named: Named
    value: str


def _order(text: str) -> _Order:
    name, equals, value = text.partition("=")
    named = _known(name)
    if not equals and named.parameter.secret:
        return _Order(named, _asked_password(name))
    if not equals:
        raise WrongUseError(f"write {name}=VALUE; {name} takes {named.parameter.allowed}")
    with _wrong_use():
        return _Order(named, named.text_of(value))


def _asked_password(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(f"new {name}: ")
    if getpass.getpass("once more: ") != first:
        raise WrongUseError("the two were not the same; nothing was done")
    return first


async def _read(control: Control, wanted: list[Named]) -> dict[str, str | list[str]]:
    told: dict[str, str | list[str]] = {}
    for one in wanted:
        if one.parameter.values == ("<report>",):
            told[one.name] = list(await control.report(one.name))
        else:
            told[one.name] = await control.get(one.name)
    return told


async def _set_all(
    control: Control,
    settings: config.Config,
    camera: str,
    wanted: list[_Order],
    done: list[Written],
    save: bool,
    position: int | None,
) -> None:
    for one in wanted:
        ours = _our_password(control, settings, camera, one)
        done.append(await control.write(one.named.name, one.value, commit=save, verify=save, position=position))
        if ours is not None:
            control.login_as(ours.keep(one.value))


def _our_password(control: Control, settings: config.Config, camera: str, order: _Order) -> KeptPassword | None:
    """Where nvr's own password is kept, if it is the one being changed. Raises WrongUseError where that cannot be."""
    if control.role is None or order.named.name != f"system.password.{control.role}":
        return None
    return kept_password(settings, camera, order.value)


def _refuse_lock_out(control: Control, camera: str, wanted: list[_Order]) -> None:
    changed = {one.named.name: one.value for one in wanted}
    if not set(changed) & set(jvc_settings.access_names()):
        return
    told = ask(camera, lambda: _read(control, [find(name) for name in jvc_settings.access_names()]))
    refuse_lock_out({name: str(value) for name, value in told.items()} | changed, control, camera)


def refuse_lock_out(values: dict[str, str], control: Control, camera: str) -> None:
    """Raises WrongUseError where an access list with these values would keep nvr from the camera's video."""
    mine = own_address(control.address)
    if mine is not None and jvc_settings.locks_out(values, mine):
        raise WrongUseError(
            f"this access list would keep this machine, {mine}, from the video of camera '{camera}'; "
            f"nothing was done: let {mine} in first"
        )


def _tell(done: list[Written], control: Control, as_json: bool) -> None:
    if as_json:
        print_json_list(_written_facts(one, control) for one in done)
    else:
        for one in done:
            secret = find(one.name).parameter.secret
            typer.echo(
                f"{one.name}={'***' if secret else one.value}" + (f", kept by {one.committed}" if one.committed else "")
            )
    for name, commit in control.unsaved.items():
        note(f"{name} is set but not kept: gone when the camera restarts; {commit} keeps it")


def _written_facts(one: Written, control: Control) -> dict[str, Any]:
    return {
        "name": one.name,
        "value": None if find(one.name).parameter.secret else find(one.name).value_of(one.value),
        "code": one.outcome.code,
        "committed": one.committed,
        "unsaved": one.name in control.unsaved,
    }


def _known(name: str) -> Named:
    with _wrong_use():
        return find(name)


def _found(name: str) -> list[Named]:
    if OPEN not in name:
        return [_known(name)]
    with _wrong_use():
        return [find(one) for one in names_of(name)]


@contextmanager
def _wrong_use() -> Iterator[None]:
    """What the catalogue refuses is wrong use."""
    try:
        yield
    except ValueError as wrong:
        raise WrongUseError(str(wrong)) from None


def _named(asked: str) -> list[Parameter]:
    """The one that is asked for by its name, with an index or with (n)."""
    exact = [one for one in catalogue() if one.name == asked]
    if exact:
        return exact
    try:
        return [find(asked).parameter]
    except ValueError:
        return []


def _can_be(one: Parameter) -> str:
    return "what it is" if not one.set else one.allowed


def _describe(one: Parameter) -> None:
    typer.echo(one.name)
    typer.echo(f"  {one.about}")
    for label, value in _lines(one):
        typer.echo(f"  {label + ':':<12}{value}")


def _lines(one: Parameter) -> list[tuple[str, str]]:
    lines = [("kind", one.kind.value)]
    lines += [(f"index {at}", _range(values)) for at, values in enumerate(one.indexes, 1)]
    lines += [("tells", ", ".join(kind.words for kind in one.told))] if one.get else []
    lines += [("takes", one.allowed)] if one.set else []
    lines += [("unit", one.unit)] if one.unit else []
    lines += [("steps", f"{one.steps} inside the camera")] if one.steps else []
    lines += [("read by", ", ".join(sorted(one.get)) or "nobody"), ("set by", ", ".join(sorted(one.set)) or "nobody")]
    lines += [("lasts by", " or ".join((one.commit, *one.or_commit)))] if one.commit else []
    lines += [("restarts", f"the camera, about {one.restart_seconds} s")] if one.restart_seconds else []
    lines += [("not in", ", ".join(lack.replace("<", " before ") for lack in one.lacks))] if one.lacks else []
    return lines


def _range(values: tuple[str, ...]) -> str:
    return f"{values[0]} to {values[-1]}" if values[0].isdecimal() else ", ".join(values)


def _facts(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind.value,
        "indexes": [list(values) for values in one.indexes],
        "values": list(one.values),
        "only_get": list(one.only_get),
        "only_set": list(one.only_set),
        "unit": one.unit or None,
        "steps": one.steps,
        "get": sorted(one.get),
        "set": sorted(one.set),
        "commit": one.commit,
        "lacks": list(one.lacks),
        "about": one.about,
    }

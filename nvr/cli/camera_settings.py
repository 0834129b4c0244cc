"""`nvr camera backup`, `diff` and `apply`: all settings of a camera, as a file."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nvr import config
from nvr.camera import applying
from nvr.camera.applying import Reading, Report
from nvr.camera.control import Control
from nvr.cli import settings_file
from nvr.cli.at_camera import CameraOption, ask
from nvr.cli.camera_params import refuse_lock_out
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_table
from nvr.cli.told_camera import mention_move, told_control
from nvr.clock import HostClock
from nvr.jvc import settings as jvc_settings
from nvr.jvc.catalogue import find
from nvr.jvc.settings import Change, Stage


def backup(
    camera: CameraOption,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to; left out: to standard output.")
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all settings of a camera to a TOML file that reads well.

    Passwords cannot be read from a camera, and preset positions not without going there: both are left out.
    """
    settings = config.load(config.find(config_file))
    control = told_control(settings, camera)
    said, reading = ask(camera, lambda: _read_all(control))
    if as_json:
        print_json({"camera": camera, "facts": said, "settings": reading.values, "absent": list(reading.absent)})
        return
    text = settings_file.render(camera, said, reading.values, HostClock().utc_us())
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
        typer.echo(f"{len(reading.values)} settings of camera '{camera}' are in {output}")
    _mention(reading)


def diff(
    files: Annotated[list[Path], typer.Argument(metavar="FILE [FILE]", help="A camera against it, or two of them.")],
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="C", help="The camera's name.", show_default=False)
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell where a camera differs from a file of settings, or two files from each other.

    Exit code 1 where they do.
    """
    if len(files) > 2 or (len(files) == 2) == (camera is not None):
        raise WrongUseError("give --camera C and one FILE, or two FILEs")
    wanted = settings_file.load(files[0])
    if camera is None:
        left, right = str(files[0]), str(files[1])
        found = _between(wanted, settings_file.load(files[1]))
    else:
        settings = config.load(config.find(config_file))
        control = told_control(settings, camera)
        reading = ask(camera, lambda: applying.read(control, [find(name) for name in wanted]))
        _mention(reading)
        left, right = f"camera {camera}", str(files[0])
        changes = jvc_settings.differences(wanted, reading.values)
        found = [(change.name, change.told, change.wanted) for change in changes]
    if as_json:
        print_json([{"name": name, "left": one, "right": other} for name, one, other in found])
    elif not print_table(("name", left, right), ((name, _shown(one), _shown(other)) for name, one, other in found)):
        typer.echo("no difference")
    if found:
        raise typer.Exit(1)


def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Settings, as nvr camera backup writes them.")],
    camera: CameraOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a camera to what a file says: plan, set, make it last, read back.

    The first refusal ends it, and what is and is not applied is told; doing it again does the rest. Where the camera's
    address or port changes, it goes on there. Exit code 1 where not all was applied.
    """
    settings = config.load(config.find(config_file))
    control = told_control(settings, camera)
    wanted = settings_file.load(file)
    reading = ask(camera, lambda: applying.read(control, [find(name) for name in wanted]))
    _mention(reading)
    absent = {*reading.absent, *reading.forbidden}
    changes = [change for change in jvc_settings.differences(wanted, reading.values) if change.name not in absent]
    _check(changes, control, camera)
    stages = jvc_settings.plan(changes)
    if not as_json:
        _tell_plan(stages)
    if dry_run or not stages:
        if as_json:
            print_json({"plan": _plan_facts(stages), "applied": [], "unsaved": [], "left": [], "trouble": None})
        return
    before = control.address
    report = ask(camera, lambda: applying.carry_out(control, stages))
    if as_json:
        print_json({"plan": _plan_facts(stages), **_report_facts(report)})
    _tell_report(report, quiet=as_json)
    mention_move(control, before, camera)
    if report.trouble is not None:
        raise NotWellError(f"camera '{camera}': {report.trouble}")


async def _read_all(control: Control) -> tuple[dict[str, str], Reading]:
    said = await applying.facts(control)
    return said, await applying.read_all(control, said, _progress if sys.stderr.isatty() else lambda _done, _all: None)


def _progress(done: int, of: int) -> None:
    if done % 20 == 0 or done == of:
        sys.stderr.write(f"\r{done} of {of} settings" + ("\n" if done == of else ""))
        sys.stderr.flush()


def _check(changes: Sequence[Change], control: Control, camera: str) -> None:
    """Everything that can be known to go wrong, before anything is sent."""
    try:
        applying.may_all(changes, control.role)
    except ValueError as wrong:
        raise WrongUseError(str(wrong)) from None
    if jvc_settings.touches_access(changes):
        told = ask(camera, lambda: applying.read(control, [find(name) for name in jvc_settings.access_names()]))
        refuse_lock_out(told.values | {change.name: change.wanted for change in changes}, control, camera)


def _between(left: dict[str, str], right: dict[str, str]) -> list[tuple[str, str | None, str | None]]:
    """Where two files differ, what only one of them says included."""
    found = []
    for name in dict.fromkeys((*left, *right)):
        one, other = left.get(name), right.get(name)
        if one is None or other is None or not find(name).agree(one, other):
            found.append((name, one, other))
    return found


def _mention(reading: Reading) -> None:
    if reading.forbidden:
        note(f"our user may not read {_few(reading.forbidden)}: left out")
    if reading.absent:
        note(f"this camera has no {_few(reading.absent)}: left out")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _tell_plan(stages: Sequence[Stage]) -> None:
    if not stages:
        typer.echo("nothing to do: the camera is as the file says")
    for stage in stages:
        for change in stage.changes:
            typer.echo(change.sentence)
        if stage.commit:
            typer.echo(
                f"  then {stage.commit}" + (", which takes the camera away for a while" if stage.restarts else "")
            )


def _tell_report(report: Report, *, quiet: bool) -> None:
    if not quiet and report.applied:
        typer.echo(f"applied and read back: {len(report.applied)}")
    if quiet or report.trouble is None:
        return
    for change in report.unsaved:
        typer.echo(f"set, but not kept: {change.name}")
    for change in report.left:
        typer.echo(f"not applied: {change.name}")


def _shown(value: str | None) -> str:
    return "-" if value is None else value or '""'


def _facts(change: Change) -> dict[str, Any]:
    return {"name": change.name, "told": change.told, "wanted": change.wanted}


def _plan_facts(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    return [
        {
            "changes": [_facts(change) for change in stage.changes],
            "commit": stage.commit or None,
            "restarts": stage.restarts,
        }
        for stage in stages
    ]


def _report_facts(report: Report) -> dict[str, Any]:
    return {
        "applied": [change.name for change in report.applied],
        "unsaved": [change.name for change in report.unsaved],
        "left": [change.name for change in report.left],
        "trouble": report.trouble,
    }

"""Every command but `run` (see main): which there are, and how they are called."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nvr import __version__
from nvr.cli import (
    camera,
    clips,
    configuration,
    db,
    doctor,
    events,
    footage,
    reload,
    retention,
    rules,
    status,
    support,
    trigger,
)

_HELP = """Record JVC VN-V685, VN-V686 and VN-V686B cameras, and account for every second.

Exit codes: 0 well, 1 the thing asked about is not well, 2 wrong use or configuration."""

app = typer.Typer(
    name="nvr",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def shell(words: Sequence[str]) -> int:
    """Run one command; its exit code. What a command raises comes through."""
    try:
        app(args=list(words), prog_name="nvr", standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        _flush()
    return 0


def _flush() -> None:
    """Now, while a reader that has gone away can still be met quietly."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end: into a place that takes it.
        sys.stdout = Path("/dev/null").open("w")  # noqa: SIM115 - closed by the end of the process


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"nvr {__version__}")
        raise typer.Exit


@app.callback()
def _nvr(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run() -> None:
    """Run the daemon in the foreground (nvr run --help)."""
    raise AssertionError("main starts the daemon before this is looked at")


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def simulate() -> None:
    """Run one simulated camera (nvr simulate --help)."""
    raise AssertionError("main starts the simulator before this is looked at")


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="Stop by itself after so many seconds.", min=1)] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where footage goes and stays.", file_okay=False)
    ] = None,
) -> None:
    """Show nvr at work with two simulated cameras.

    They and the daemon run on unprivileged ports of this machine until Ctrl-C.
    """
    from nvr.cli.demo import demo as demonstrate

    raise typer.Exit(demonstrate(seconds, folder))


app.command()(status.status)
app.command()(events.events)
app.add_typer(footage.commands, name="footage")
app.add_typer(clips.commands, name="clips")
app.add_typer(rules.commands, name="rules")
app.add_typer(camera.commands, name="camera")
app.add_typer(db.commands, name="db")
app.add_typer(retention.commands, name="retention")
app.command()(trigger.trigger)
app.command()(reload.reload)
app.command()(doctor.doctor)
app.command("support-bundle")(support.support_bundle)
app.add_typer(configuration.commands, name="config")

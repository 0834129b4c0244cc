"""`nvr doctor`: is this machine fit for nvr, and are its cameras."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import typer

from nvr import config
from nvr.cli import fitness, machine_look
from nvr.cli.camera_visit import visited
from nvr.cli.daemon import ask
from nvr.cli.errors import NotWellError
from nvr.cli.fitness import Finding
from nvr.cli.in_words import doubts
from nvr.cli.machine_look import Running
from nvr.cli.printing import ConfigOption, JsonOption, print_json, print_table, progress

_TAKING: Final = ("recording", "buffering", "blocked")


def doctor(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look at everything nvr needs: clock, disks and how fast they sync, index, ports, rights, and every camera.

    With or without a running daemon. Nothing is changed; 32 MB are written to each volume and gone again. Each line
    says what to do where all is not well. Exit code 1 where anything is wrong.
    """
    config_path = config.find(config_file)
    settings = config.load(config_path)
    with progress("looking") as tell:
        found = list(findings(settings, config_path, tell))
    if as_json:
        print_json([facts(finding) for finding in found])
    else:
        print_table(("what", "is", ""), [(finding.name, finding.verdict.value, finding.says) for finding in found])
    if not fitness.is_fit(found):
        raise typer.Exit(1)


def findings(settings: config.Config, config_path: Path, tell: Callable[[int, int], None]) -> Iterator[Finding]:
    """Everything that can be found out; `tell` is told how much of it is done."""
    running, trouble = _daemon(settings)
    if trouble is not None:
        yield fitness.doubtful("daemon", trouble)
    else:
        yield fitness.well("daemon", "it does not run" if running is None else f"it runs as process {running.pid}")
    yield from machine_look.findings(settings, config_path, running)
    for visit in asyncio.run(visited(settings, config_path, _recorded(running), tell)):
        yield from fitness.of_camera(visit)
    yield from (fitness.doubtful("configuration", doubt) for doubt in doubts(settings))


def _recorded(running: Running | None) -> frozenset[str]:
    """The cameras of which the daemon takes video now: a small camera bears one such connection, or two."""
    if running is None:
        return frozenset()
    return frozenset(one["camera"] for one in running.status["cameras"] if one["state"] in _TAKING)


def facts(finding: Finding) -> dict[str, Any]:
    """For JSON."""
    return {"name": finding.name, "verdict": finding.verdict.value, "says": finding.says}


def _daemon(settings: config.Config) -> tuple[Running | None, str | None]:
    """The daemon that runs, and why it cannot be asked."""
    try:
        told = ask(settings.data_dir, "/api/v1/status")
    except NotWellError as trouble:
        return None, str(trouble)
    return (None if told is None else Running.found(told, settings.data_dir)), None

"""`nvr doctor`: is this machine fit for it, and are its cameras."""

from typing import Any

import typer

from nvr import config
from nvr.cli.daemon import ask
from nvr.cli.errors import NotWellError
from nvr.cli.fitness import Finding, Verdict, findings
from nvr.cli.in_words import doubts
from nvr.cli.printing import ConfigOption, JsonOption, print_json, print_table


def doctor(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look at everything nvr needs: the clock, disks and how fast they sync, SQLite, ports, rights, every camera.

    Nothing is changed; a small file is written to each disk and taken away. Run it as the daemon's user.
    Exit code 1 where something will not work.
    """
    settings = config.load(config.find(config_file))
    found = look(settings)
    if as_json:
        print_json([facts(finding) for finding in found])
    else:
        print_table(("about", "", ""), [(one.about, one.verdict.value, one.says) for one in found])
    if any(finding.verdict is Verdict.BAD for finding in found):
        raise typer.Exit(1)


def look(settings: config.Config) -> list[Finding]:
    """Everything that can be found out."""
    found = list(findings(settings, daemon_runs=_daemon_runs(settings)))
    return [*found, *(Finding("configuration", Verdict.DOUBTFUL, doubt) for doubt in doubts(settings))]


def facts(finding: Finding) -> dict[str, Any]:
    """For JSON."""
    return {"about": finding.about, "verdict": finding.verdict.value, "says": finding.says}


def _daemon_runs(settings: config.Config) -> bool:
    try:
        return ask(settings.data_dir, "/api/v1/status") is not None
    except NotWellError:
        return True  # somebody is there, and not well or not for us

"""`nvr rules`: what the rules would make of what a camera says."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.cli.asked import TIME
from nvr.cli.configured import check_camera
from nvr.cli.errors import WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json
from nvr.cli.times import iso_utc, local_text, read_moment
from nvr.clock import HostClock
from nvr.jvc.alarm import Change
from nvr.record.gate import Mode
from nvr.rules.book import Alarm
from nvr.rules.explain import Said, Verdict, explain, parse_said
from nvr.units import US

commands = typer.Typer(help="The rules.", no_args_is_help=True)

_THEN: Final = {
    Mode.CONTINUOUS: "is recorded continuously then",
    Mode.ALARM: "waits for alarms then",
    Mode.OFF: "is off then: whatever the rules say, no footage would be kept",
}


@commands.callback()
def _group() -> None:
    """The rules."""


@commands.command("test")
def try_out(
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            metavar="WORD",
            help="What happens: m1, b1, m2, b2, v1 or moved; b2+3 is a b2 three seconds after T. May be repeated.",
            show_default=False,
        ),
    ],
    at: Annotated[str, typer.Option("--at", metavar="T", help=f"When: {TIME}.")] = "now",
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="C", help="At this camera only.", show_default=False)
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What would happen if a camera said this at a time, and why; nothing is done.

    It supposes that no alarm went before, and that each change lasts. Exit code 1 where no rule would raise an alarm.
    """
    settings = config.load(config.find(config_file))
    story = _story(inputs)
    at_us, said = read_moment(at, HostClock().utc_us())
    if said:
        note(said)
    if camera is not None:
        check_camera(settings, camera)
    verdicts = {
        name: explain(settings.rules_seen_from(name), name, _story_at(settings, name, story), at_us)
        for name in ([camera] if camera is not None else settings.cameras)
    }
    if as_json:
        print_json(_facts(settings, verdicts, story, at_us))
    else:
        _tell(settings, verdicts, story, at_us)
    if not any(verdict.alarms for one in verdicts.values() for verdict in one):
        raise typer.Exit(1)


def _story(words: Iterable[str]) -> list[Said]:
    try:
        return [parse_said(word) for word in words]
    except ValueError as wrong:
        raise WrongUseError(f"--input {wrong}") from None


def _story_at(settings: config.Config, camera: str, story: Sequence[Said]) -> list[Said]:
    """Without what never happens there: nobody says where the camera should look."""
    if settings.expected(camera) is not None:
        return list(story)
    there = [said for said in story if said.change not in (Change.MOVED, Change.BACK)]
    if len(there) < len(story):
        note(f"the camera '{camera}' is never moved: it has no expect")
    return there


def _tell(settings: config.Config, verdicts: dict[str, list[Verdict]], story: Sequence[Said], at_us: int) -> None:
    typer.echo(f"{' and '.join(map(str, story))} at {local_text(at_us)}:")
    for camera, of_rules in verdicts.items():
        typer.echo(f"\ncamera '{camera}' {_THEN[settings.record_plan(camera).mode_at(at_us)]}")
        for verdict in of_rules:
            typer.echo(verdict.text)
    if not verdicts:
        typer.echo("there is no camera: add a [camera.<name>] with its host")
    elif not settings.rules:
        typer.echo("\nthere is no rule: add a [[rule]] with its name and when")


def _facts(
    settings: config.Config, verdicts: dict[str, list[Verdict]], story: Sequence[Said], at_us: int
) -> dict[str, Any]:
    return {
        "at": iso_utc(at_us),
        "inputs": [str(said) for said in story],
        "cameras": [
            {
                "camera": camera,
                "record": settings.record_plan(camera).mode_at(at_us).value,
                "rules": [_verdict(verdict) for verdict in of_rules],
            }
            for camera, of_rules in verdicts.items()
        ],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "alarms": [_alarm(alarm) for alarm in verdict.alarms],
        "because": list(verdict.because),
        "keeps": verdict.keeps,
        "does": list(verdict.does),
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "trigger": alarm.trigger,
        "source": alarm.source,
        "at": iso_utc(alarm.at_us),
        "pre_seconds": alarm.rule.pre_us / US,
        "post_seconds": alarm.rule.post_us / US,
        "lasts": alarm.lasts,
    }

"""`nvr events`: what happened to cameras and to this machine that is no gap and no alarm."""

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.cli import following
from nvr.cli.archive import LAST_US, known_camera
from nvr.cli.asked import FromOption, ToOption, asked
from nvr.cli.configured import check_camera
from nvr.cli.errors import WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json_list, print_table
from nvr.cli.times import iso_utc, local_text, read_iso_utc
from nvr.store.reader import Reader, open_reader
from nvr.store.rows import Event

_PAGE: Final = 1000


def events(
    camera: Annotated[str | None, typer.Option("--camera", metavar="C", help="Of this camera only.")] = None,
    begin: FromOption = None,
    end: ToOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="What happens from now on, until Ctrl-C.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What happened to cameras and to this machine.

    A camera that answers with another model, name or firmware than last time, that was turned away from where it is
    expected to look, whose fan failed; clocks that were set; alarms that could not be heard for a while; what rules
    did at the camera. Gaps are in nvr footage coverage.
    With --follow each is printed as it happens; with --json one object a line.
    """
    settings = config.load(config.find(config_file))
    if follow:
        if begin is not None or end is not None:
            raise WrongUseError("--follow begins now and does not end; leave out --from and --to")
        _follow(settings, camera, as_json=as_json)
        return
    start_us, end_us = asked(begin, end, until_us=LAST_US)
    reader = open_reader(settings.data_dir)
    if camera is not None:
        known_camera(reader, settings, camera)
    found = _events(reader, start_us, end_us, camera)
    if as_json:
        print_json_list(_facts(event) for event in found)
    elif not print_table(("at", "camera", "what", ""), _rows(found)):
        note("nothing happened there")


def _follow(settings: config.Config, camera: str | None, *, as_json: bool) -> None:
    if camera is not None:
        check_camera(settings, camera)
    told = following.follow(settings.data_dir)
    next(told)
    note("what happens is printed from now on; Ctrl-C ends it")
    for event in told:
        if event is None or camera not in (None, event["camera"]):
            continue
        if as_json:
            typer.echo(json.dumps(event, ensure_ascii=False))
        else:
            moment = local_text(read_iso_utc(event["at"]))
            typer.echo("  ".join((moment, event["camera"] or "-", event["kind"], event["text"])))
        sys.stdout.flush()


def _events(reader: Reader, start_us: int, end_us: int, camera: str | None) -> Iterator[Event]:
    page = reader.events_between(start_us, end_us, camera=camera, limit=_PAGE)
    while page:
        yield from page
        page = reader.events_between(start_us, end_us, camera=camera, after=page[-1].cursor, limit=_PAGE)


def _facts(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": iso_utc(event.at_us),
        "camera": event.camera,
        "kind": event.kind,
        "text": event.text,
        "facts": event.facts,
    }


def _rows(found: Iterator[Event]) -> Iterator[tuple[str, ...]]:
    for event in found:
        yield local_text(event.at_us), event.camera or "-", event.kind, event.text

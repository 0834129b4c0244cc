"""`nvr footage`: what was recorded, what was not and why, and one file of it to hand over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from nvr import config
from nvr.cli import verify, where
from nvr.cli.archive import LAST_US, known_camera, live_of, path_of, path_on, segments
from nvr.cli.asked import TIME, FromOption, ToOption, asked
from nvr.cli.covered import covered
from nvr.cli.errors import WrongUseError
from nvr.cli.export import export
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json_list, print_table, size_text
from nvr.cli.times import duration_text, iso_utc, local_text
from nvr.clock import HostClock
from nvr.media.stitch import Stitched
from nvr.store.corrected import Corrected
from nvr.store.ledger import Covered
from nvr.store.names import day_of
from nvr.store.reader import open_reader
from nvr.store.rows import Film, Segment, SegmentState
from nvr.units import US, UtcMicros

commands = typer.Typer(help="What was recorded, what was not and why.", no_args_is_help=True)

CameraOption = Annotated[str, typer.Option("--camera", metavar="C", help="The camera's name.")]
CorrectedOption = Annotated[
    bool,
    typer.Option("--corrected", help="Ask and answer in times as they would be had this machine's clock been right."),
]


@commands.command(name="list")
def list_(
    camera: CameraOption,
    begin: FromOption = None,
    end: ToOption = None,
    corrected: CorrectedOption = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The files of a camera.

    All of them, or those that touch the time asked for; not the one being written. What was recorded before this
    machine's clock was synchronised is marked; --corrected moves it to where it belongs, names stay.
    """
    settings = config.load(config.find(config_file))
    start_us, end_us = asked(begin, end, until_us=LAST_US)
    reader = open_reader(settings.data_dir)
    known_camera(reader, settings, camera)
    within = Corrected(reader, camera)
    found = within.segments(start_us, end_us) if corrected else segments(reader, camera, start_us, end_us)
    if as_json:
        facts = _corrected_facts if corrected else _segment_facts
        print_json_list(facts(segment, settings) for segment in found)
    elif not print_table(("start", "lasts", "pictures", "size", "", "file"), _segment_rows(found, settings)):
        note("nothing recorded there")


@commands.command(name="coverage")
def coverage_(
    camera: CameraOption,
    begin: FromOption = None,
    end: ToOption = None,
    corrected: CorrectedOption = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What became of every moment of a camera's time.

    Recorded, off with a reason, or a gap with a reason, without a hole. Without --from it begins where the camera was
    first configured, without --to it ends now. What was recorded before this machine's clock was synchronised stands
    at the times of its files; --corrected moves it to where it belongs.
    """
    settings = config.load(config.find(config_file))
    now_us = HostClock().utc_us()
    start_us, end_us = asked(begin, end, until_us=now_us)
    live = live_of(settings, camera)
    reader = open_reader(settings.data_dir)
    known = known_camera(reader, settings, camera)
    if begin is None:
        start_us = UtcMicros(known.configured_at_us)
    spans = covered(reader, settings, known, start_us, min(end_us, now_us), live, corrected=corrected)
    if as_json:
        print_json_list(_span_facts(span) for span in spans)
    else:
        print_table(("from", "to", "lasts", "", "why"), _span_rows(spans))


@commands.command(name="export")
def export_(
    camera: CameraOption,
    begin: Annotated[str, typer.Option("--from", metavar="T", help=f"Begin: {TIME}.")],
    end: Annotated[str, typer.Option("--to", metavar="T", help="End, in the same forms.")],
    out: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="The MP4 to write.")] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Where the camera looked, a line for each picture.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it exists.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one MP4 of a camera's time, bit-exact, or where it looked at each picture, or both.

    It begins at the last key picture before --from, so that it plays from its first picture. Over a gap the last
    picture stands. Where the camera's picture changed its size, or a gap lasts half a day, what
    follows is a second file FILE-2.
    """
    if out is None and table is None:
        raise WrongUseError("name what to write: -o FILE for the pictures, --csv FILE for where the camera looked")
    settings = config.load(config.find(config_file))
    start_us, end_us = asked(begin, end, until_us=LAST_US)
    reader = open_reader(settings.data_dir)
    known_camera(reader, settings, camera)
    written = export(reader, settings, camera, start_us, end_us, out, table, force=force)
    if as_json:
        tables = [{"path": str(one.path.absolute()), "frames": one.lines} for one in written.tables]
        print_json_list([*(_export_facts(one) for one in written.films), *tables])
        return
    for film in written.films:
        typer.echo(_export_sentence(film))
    for one in written.tables:
        typer.echo(f"{one.path}: where the camera looked at {one.lines} pictures")
    if len(written.films) > 1:
        note(f"the camera's picture changed, so there are {len(written.films)} files")


@commands.command()
def films(
    camera: Annotated[str | None, typer.Option("--camera", metavar="C", help="Of this camera only.")] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The films of days that `timelapse` of a camera has made, and where they are.

    Each is one key picture of the recording every so often, of one day in UTC, at 25 pictures a second.
    """
    settings = config.load(config.find(config_file))
    reader = open_reader(settings.data_dir)
    if camera is not None:
        known_camera(reader, settings, camera)
    found = reader.films(camera)
    if as_json:
        print_json_list(_film_facts(film, settings) for film in found)
    elif not print_table(("camera", "day", "pictures", "size", "", "file"), _film_rows(found, settings)):
        note("no films of days are there; `timelapse` of a camera makes them")


commands.command(name="where")(where.where_)
commands.command(name="moves")(where.moves_)
commands.command(name="verify")(verify.verify_)


def _segment_facts(segment: Segment, settings: config.Config) -> dict[str, Any]:
    path = path_of(segment, settings)
    row = segment.row
    return {
        "camera": segment.camera,
        "run": row.run,
        "seq": row.seq,
        "path": str(path) if path else None,
        "start": iso_utc(row.start_us),
        "end": iso_utc(row.end_us),
        "duration_seconds": (row.end_us - row.start_us) / US,
        "frames": row.frames,
        "size_bytes": row.size_bytes,
        "recovered": row.recovered,
    }


def _corrected_facts(segment: Segment, settings: config.Config) -> dict[str, Any]:
    return {
        **_segment_facts(segment, settings),
        "clock_synchronised": segment.host_synchronised,
        "correction_seconds": segment.correction_us / US,
    }


def _segment_rows(found: Iterator[Segment], settings: config.Config) -> Iterator[tuple[str, ...]]:
    for segment in found:
        row = segment.row
        remarks = ["recovered"] if row.recovered else []
        if row.state is not SegmentState.OK:
            remarks.append(row.state.value)
        if not segment.host_synchronised:
            remarks.append(f"clock {segment.correction_us / US:+.3f} s" if segment.correction_us else "clock?")
        yield (
            local_text(row.start_us),
            duration_text((row.end_us - row.start_us) / US),
            str(row.frames),
            size_text(row.size_bytes),
            ",".join(remarks),
            str(path_of(segment, settings) or f"(volume {segment.volume}) {segment.path}"),
        )


def _film_facts(film: Film, settings: config.Config) -> dict[str, Any]:
    row, path = film.row, path_on(film.volume, film.row.path, settings)
    return {
        "camera": film.camera,
        "day": str(day_of(row.start_us)),
        "path": str(path) if path else None,
        "files": row.files,
        "pictures": row.pictures,
        "size_bytes": row.size_bytes,
        "state": row.state.value,
    }


def _film_rows(found: list[Film], settings: config.Config) -> Iterator[tuple[str, ...]]:
    for film in found:
        row = film.row
        remarks = [f"{row.files} files"] if row.files > 1 else []
        if row.state is not SegmentState.OK:
            remarks.append(row.state.value)
        yield (
            film.camera,
            str(day_of(row.start_us)),
            str(row.pictures),
            size_text(row.size_bytes),
            ",".join(remarks),
            str(path_on(film.volume, row.path, settings) or f"(volume {film.volume}) {row.path}"),
        )


def _export_facts(one: "Stitched") -> dict[str, Any]:
    return {
        "path": str(one.path.absolute()),
        "start": iso_utc(one.start_us),
        "end": iso_utc(one.end_us),
        "duration_seconds": (one.end_us - one.start_us) / US,
        "frames": one.frames,
        "size_bytes": one.path.stat().st_size,
        "gap_seconds": one.gap_us / US,
    }


def _export_sentence(one: "Stitched") -> str:
    gaps = f", in which a still picture stands for {duration_text(one.gap_us / US)} of gaps" if one.gap_us else ""
    return (
        f"{one.path}: {local_text(one.start_us)} to {local_text(one.end_us)}, "
        f"{one.frames} pictures, {size_text(one.path.stat().st_size)}{gaps}"
    )


def _span_facts(span: Covered) -> dict[str, Any]:
    return {"kind": span.kind, "start": iso_utc(span.start_us), "end": iso_utc(span.end_us), "reason": span.reason}


def _span_rows(spans: list[Covered]) -> Iterator[tuple[str, ...]]:
    for span in spans:
        yield (
            local_text(span.start_us),
            local_text(span.end_us),
            duration_text((span.end_us - span.start_us) / US),
            span.kind,
            span.reason or "",
        )

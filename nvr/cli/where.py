"""`nvr footage where` and `nvr footage moves`: footage found by where the camera looked."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.cli.archive import LAST_US, known_camera, path_of
from nvr.cli.asked import FromOption, ToOption, asked
from nvr.cli.errors import WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json_list, print_table
from nvr.cli.times import duration_text, iso_utc, local_text
from nvr.media import label
from nvr.media.errors import MediaError
from nvr.store.field_of_view import Arc, FieldOfView, middle_of, of_model
from nvr.store.reader import Reader, open_reader
from nvr.store.rows import Box, LookKind, View
from nvr.store.search import Cursor, Move, Page, Seen, TrackOf, Wanted, moves, where
from nvr.store.tracks import Track, read_track
from nvr.units import US

_RANGE: Final = re.compile(r"(-?\d{1,3}(?:\.\d+)?)(?:\.\.(-?\d{1,3}(?:\.\d+)?))?", re.ASCII)
_LEVEL: Final = 500  # hundredths on the wire at a true tilt of 0
_MOST_AT_ONCE: Final = 100_000

_CamerasOption = Annotated[
    list[str] | None, typer.Option("--camera", metavar="C", help="A camera's name; may be given again. Default: all.")
]


def where_(
    camera: _CamerasOption = None,
    pan: Annotated[
        str | None,
        typer.Option("--pan", metavar="A..B", help="Degrees, 0 to 359.99; from 350..10 it goes through 0."),
    ] = None,
    tilt: Annotated[
        str | None,
        typer.Option("--tilt", metavar="A..B", help="Degrees below the horizon, -5 to 185; 90 is straight down."),
    ] = None,
    zoom: Annotated[str | None, typer.Option("--zoom", metavar="A..B", help="The zoom scale, 0 to 99.99.")] = None,
    preset: Annotated[
        int | None, typer.Option("--preset", metavar="N", help="At rest on this preset.", min=0, max=999)
    ] = None,
    begin: FromOption = None,
    end: ToOption = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Cut sweeps to the very pictures, read from the files' labels.")
    ] = False,
    in_view: Annotated[
        bool, typer.Option("--in-view", help="Pan and tilt mean what was in the picture, not its middle (approximate).")
    ] = False,
    page: Annotated[int, typer.Option("--page", metavar="K", help="Which page.", min=1)] = 1,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Lines a page.", min=1, max=_MOST_AT_ONCE)] = 1000,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """When cameras looked somewhere.

    A rest is a stop of a second or more, told to the hundredth of a degree. A sweep is movement, found by the box it
    stayed within: without --exact it may only pass near what was asked for. What is being recorded is found once its
    file is complete.
    """
    settings = config.load(config.find(config_file))
    start_us, end_us = asked(begin, end, until_us=LAST_US)
    if in_view and pan is None and tilt is None:
        raise WrongUseError("--in-view needs --pan or --tilt: what should be in the picture")
    pan_arc, tilt_range, zoom_range = _pan(pan), _tilt(tilt), _zoom(zoom)
    reader = open_reader(settings.data_dir)
    for name in camera or ():
        known_camera(reader, settings, name)
    fields = _fields_of_view(reader, settings, camera) if in_view else None
    wanted = Wanted(pan_arc, tilt_range, zoom_range, preset, fields)
    track_of = _tracks(reader, settings) if exact else None

    def ask(after: Cursor | None) -> Page:
        return where(
            reader,
            wanted,
            cameras=camera or None,
            start_us=start_us,
            end_us=end_us,
            after=after,
            limit=limit,
            track_of=track_of,
        )

    found = _page(ask, page)
    if as_json:
        print_json_list(_seen_facts(seen) for seen in found.spans)
    elif not print_table(
        ("from", "to", "lasts", "camera", "", "pan", "tilt", "zoom", "preset"), map(_seen_row, found.spans)
    ):
        note("no camera looked there then" if page == 1 else f"there is no page {page}")
    if found.next is not None:
        note(f"there is more: add --page {page + 1}, or a larger --limit")


def moves_(
    camera: Annotated[str, typer.Option("--camera", metavar="C", help="The camera's name.")],
    begin: FromOption = None,
    end: ToOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """When a camera moved, and from where to where.

    A move goes from one rest of a second or more to the next. One that was not recorded to its end has no place where
    it came to rest.
    """
    settings = config.load(config.find(config_file))
    start_us, end_us = asked(begin, end, until_us=LAST_US)
    reader = open_reader(settings.data_dir)
    known_camera(reader, settings, camera)
    found = moves(reader, camera, start_us, end_us)
    if as_json:
        print_json_list(map(_move_facts, found))
    elif not print_table(("from", "lasts", "it left", "for", "across pan", "tilt", "zoom"), map(_move_row, found)):
        note("it did not move then")


def _page(ask: Any, number: int) -> Page:
    found: Page = ask(None)
    for _ in islice(range(number), 1, None):
        if found.next is None:
            return Page([], None)
        found = ask(found.next)
    return found


# ---- what was asked


def _pan(text: str | None) -> Arc | None:
    if text is None:
        return None
    low, high = _range("--pan", text, 0, 360)
    if high - low >= 36_000 - 1:
        return Arc(0, 36_000)
    return Arc(low % 36_000, (high - low) % 36_000)


def _tilt(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    low, high = _rising("--tilt", text, -5, 185)
    return low + _LEVEL, high + _LEVEL


def _zoom(text: str | None) -> tuple[int, int] | None:
    return None if text is None else _rising("--zoom", text, 0, 100)


def _rising(option: str, text: str, least: int, most: int) -> tuple[int, int]:
    low, high = _range(option, text, least, most)
    if low > high:
        raise WrongUseError(f"{option} {text} goes backward; write the lower figure first")
    return low, high


def _range(option: str, text: str, least: int, most: int) -> tuple[int, int]:
    """Hundredths. Raises WrongUseError where it is no range or outside of what there is."""
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise WrongUseError(f"{option} {text} is no range; write one figure or two, such as {option} 10..20.5")
    low, high = (round(float(figure) * 100) for figure in (found[1], found[2] or found[1]))
    for figure in (low, high):
        if not least * 100 <= figure <= most * 100:
            raise WrongUseError(f"{option} {text} reaches beyond {least} to {most}")
    return low, high


def _fields_of_view(reader: Reader, settings: config.Config, asked_for: Sequence[str] | None) -> dict[str, FieldOfView]:
    """As configured, else by the model that a camera says it is."""
    fields = {}
    for name in asked_for or [camera.slug for camera in reader.cameras()]:
        camera = settings.cameras.get(name)
        points = camera.field_of_view if camera is not None else None
        fields[name] = FieldOfView(points) if points is not None else of_model(_model(reader, settings, name))
    return fields


def _model(reader: Reader, settings: config.Config, camera: str) -> str | None:
    segment = reader.last_segment(camera)
    path = path_of(segment, settings) if segment is not None else None
    try:
        said = label.read(path) if path is not None else None
    except (OSError, MediaError):
        return None
    return said.model if said is not None else None


def _tracks(reader: Reader, settings: config.Config) -> TrackOf:
    """Reads labels; says of each file that it cannot that the answer is as rough as the index."""

    def track_of(segment_id: int) -> Track | None:
        segment = reader.segment(segment_id)
        if segment is None:
            return None
        path = path_of(segment, settings)
        try:
            track = read_track(path) if path is not None else None
        except OSError as error:
            note(f"not exact: {path} cannot be read: {(error.strerror or str(error)).lower()}")
            return None
        except MediaError as error:
            note(f"not exact: {path}: {error}")
            return None
        if track is None:
            note(f"not exact: {path or segment.path} cannot be asked")
        return track

    return track_of


# ---- what is answered


def _seen_facts(seen: Seen) -> dict[str, Any]:
    box = seen.box
    return {
        "camera": seen.camera,
        "start": iso_utc(seen.start_us),
        "end": iso_utc(seen.end_us),
        "kind": seen.kind.value,
        **_place(box, at_rest=seen.kind is LookKind.REST),
        "preset": seen.preset,
    }


def _place(box: Box, *, at_rest: bool) -> dict[str, Any]:
    if at_rest:
        pan, tilt, zoom = middle_of(box)
        return {"pan_degrees": pan / 100, "tilt_degrees": (tilt - _LEVEL) / 100, "zoom": zoom / 100}
    return {
        "pan_degrees": [box.pan_from / 100, box.pan_to / 100],
        "tilt_degrees": [(box.tilt_from - _LEVEL) / 100, (box.tilt_to - _LEVEL) / 100],
        "zoom": [box.zoom_from / 100, box.zoom_to / 100],
    }


def _seen_row(seen: Seen) -> tuple[str, ...]:
    return (
        local_text(seen.start_us),
        local_text(seen.end_us),
        duration_text((seen.end_us - seen.start_us) / US),
        seen.camera,
        seen.kind.value,
        *_cells(seen.box, at_rest=seen.kind is LookKind.REST),
        "" if seen.preset is None else str(seen.preset),
    )


def _cells(box: Box, *, at_rest: bool) -> Iterator[str]:
    for figure in _place(box, at_rest=at_rest).values():
        yield f"{figure[0]:.2f}..{figure[1]:.2f}" if isinstance(figure, list) else f"{figure:.2f}"


def _move_facts(move: Move) -> dict[str, Any]:
    return {
        "camera": move.camera,
        "start": iso_utc(move.start_us),
        "end": iso_utc(move.end_us),
        "duration_seconds": (move.end_us - move.start_us) / US,
        "from": _rest_facts(move.before),
        "to": _rest_facts(move.after),
        **_place(move.box, at_rest=False),
    }


def _rest_facts(rest: View | None) -> dict[str, Any] | None:
    return None if rest is None else {**_place(rest.box, at_rest=True), "preset": rest.preset}


def _move_row(move: Move) -> tuple[str, ...]:
    return (
        local_text(move.start_us),
        duration_text((move.end_us - move.start_us) / US),
        _rest_text(move.before),
        _rest_text(move.after),
        *_cells(move.box, at_rest=False),
    )


def _rest_text(rest: View | None) -> str:
    if rest is None:
        return "-"
    place = "/".join(_cells(rest.box, at_rest=True))
    return place if rest.preset is None else f"{place} (preset {rest.preset})"

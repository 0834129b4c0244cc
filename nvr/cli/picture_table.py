"""Where the camera looked at each picture of a window, as CSV."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from nvr.cli.printing import note
from nvr.cli.times import iso_utc
from nvr.media import boxes, label
from nvr.media.errors import MediaError
from nvr.media.stitch import Piece, Source
from nvr.store.looks import utc_of
from nvr.store.tracks import Track, track_of
from nvr.units import US, PanTiltZoom

COLUMNS: Final = ("time", "camera", "pan_degrees", "tilt_degrees", "zoom", "preset", "tracking", "file", "picture")
_LEVEL: Final = 500  # hundredths on the wire at a true tilt of 0


def write_table(pieces: Iterable[Piece], camera: str, path: Path) -> int:
    """Writes a line for each picture, in order, synced; how many there were.

    A position that is not known is left empty, as in files still being written and in those that a crash cut off.
    Raises OSError and MediaError.
    """
    written = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for piece in pieces:
            table.writerows(_lines(piece, camera))
            written += piece.frames
        file.flush()
        os.fsync(file.fileno())
    return written


def lines_of_file(path: Path, camera: str, start_us: int) -> Iterator[tuple[str | int, ...]]:
    """The lines of one whole file, which begins at `start_us`. Raises OSError and MediaError."""
    frames = len(boxes.samples(path))
    return _lines(Piece(Source(path, 0, 1 << 62, start_us), 0, frames), camera)


def _lines(piece: Piece, camera: str) -> Iterator[tuple[str | int, ...]]:
    path = piece.source.path
    movie = boxes.movie(path)
    ticks = [picture.ticks for picture in movie.samples]
    said = _label(path)
    track = _track(said, ticks, path) if said is not None else None
    words = track.words() if track is not None else []
    for at in range(piece.first_frame, piece.first_frame + piece.frames):
        if said is not None:
            at_us = utc_of(said, ticks[at])
        else:
            at_us = piece.source.start_us + round(ticks[at] * movie.time_base * US)
        place = _place(track.positions[at] if track is not None else None)
        preset, tracking = words[at] if track is not None else (None, None)
        yield iso_utc(at_us), camera, *place, _or_empty(preset), _or_empty(tracking), path.name, at


def _label(path: Path) -> label.Label | None:
    said = label.read(path)
    return said if said is not None and said.duration_ticks > 0 else None


def _track(said: label.Label, ticks: list[int], path: Path) -> Track | None:
    try:
        return track_of(said, ticks)
    except MediaError as trouble:
        note(f"positions left out: {path}: {trouble}")
        return None


def _place(position: PanTiltZoom | None) -> tuple[str, str, str]:
    if position is None:
        return "", "", ""
    pan, tilt, zoom = position
    return f"{pan / 100:.2f}", f"{(tilt - _LEVEL) / 100:.2f}", f"{zoom / 100:.2f}"


def _or_empty(number: int | None) -> int | str:
    return "" if number is None else number

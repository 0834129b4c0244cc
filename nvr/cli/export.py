"""A window of footage as files to hand over: which files it comes from, written beside its place, then named."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final, TypeVar

from nvr import __version__, config
from nvr.cli.archive import FIRST_US, LAST_US, LiveSegment, live_of, path_of, segments
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.picture_table import write_table
from nvr.cli.printing import note, progress
from nvr.cli.times import iso_utc, local_text
from nvr.media import boxes
from nvr.media.durable import Disk
from nvr.media.errors import MediaError
from nvr.media.stitch import Source, Stitched, pieces, window
from nvr.store.reader import Reader
from nvr.store.rows import Segment
from nvr.units import US

_COPIED_AT_ONCE: Final = 1 << 20
_HOUR_US: Final = 3600 * US
_REACHES_US: Final = (_HOUR_US, 24 * _HOUR_US, 30 * 24 * _HOUR_US, LAST_US)
"""How far to look for the nearest footage: what is near is found quickly, and what is far as well."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file that may have a part of the window."""

    path: Path
    start_us: int
    end_us: int
    duration_ticks: int


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV that was written."""

    path: Path
    lines: int
    """One for each picture."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that was copied."""

    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Written:
    """What lies where it was asked for, synced."""

    films: list[Stitched]
    tables: list[Table]


_Draft = TypeVar("_Draft", Stitched, Table, Copy)


def export(
    reader: Reader,
    settings: config.Config,
    camera: str,
    start_us: int,
    end_us: int,
    out: Path | None,
    table: Path | None,
    *,
    force: bool,
) -> Written:
    """Write the window to `out`, bit-exact, and where the camera looked at each of its pictures to `table`.

    It begins at the key picture at or before `start_us`. Where the picture's size changes there is a second film.
    Raises WrongUseError and NotWellError; then nothing is left there that was not there before.
    """
    places = [place for place in (out, table) if place is not None]
    for place in places:
        _check_place(place, force=force)
    if out is not None and table is not None and out.absolute() == table.absolute():
        raise WrongUseError(f"{out} cannot be film and table at once; name two files")
    live = live_of(settings, camera) or []
    found = list(segments(reader, camera, start_us, end_us))
    files = [*_sealed(found, settings), *_growing(live, found)]
    sources = [_source(file, start_us, end_us) for file in files if file.start_us < end_us and file.end_us > start_us]
    with ExitStack() as rooms:
        films: list[Stitched] = []
        if out is not None:
            room = rooms.enter_context(_workshop(out))
            with progress("exporting") as told:
                films = _stitched(sources, room / out.name, camera, told)
        with _in_sentences(table or places[0]):
            taken = [piece for film in films for piece in film.pieces] if films else pieces(sources)
        if not taken:
            raise NotWellError(_nothing_there(reader, camera, start_us, end_us))
        tables: list[Table] = []
        if table is not None:
            draft = rooms.enter_context(_workshop(table)) / table.name
            with _in_sentences(table):
                tables = [Table(draft, write_table(taken, camera, draft))]
        # Only now, when nothing can be missing any more.
        return Written(
            [_placed(film, places[0].with_name(film.path.name), force=force) for film in films],
            [_placed(one, places[-1], force=force) for one in tables],
        )


def copy_files(sources: Sequence[Path], out: Path, *, force: bool) -> list[Copy]:
    """Copy files to `out` and, past the first, to `out` with -2, -3 ... before its suffix, synced.

    Raises WrongUseError and NotWellError; then nothing is left there that was not there before.
    """
    places = [out, *(out.with_name(f"{out.stem}-{number}{out.suffix}") for number in range(2, len(sources) + 1))]
    for place in places:
        _check_place(place, force=force)
    with _workshop(out) as room, _in_sentences(out):
        drafts = [_copied(source, room / place.name) for source, place in zip(sources, places, strict=True)]
        return [_placed(draft, place, force=force) for draft, place in zip(drafts, places, strict=True)]


def _copied(source: Path, draft: Path) -> Copy:
    with source.open("rb") as original, draft.open("xb") as copy:
        shutil.copyfileobj(original, copy, _COPIED_AT_ONCE)
        copy.flush()
        os.fsync(copy.fileno())
    return Copy(draft, draft.stat().st_size)


def _check_place(out: Path, *, force: bool) -> None:
    if out.is_dir():
        raise WrongUseError(f"{out} is a folder; name the file to write")
    if not out.parent.is_dir():
        raise WrongUseError(f"there is no folder {out.parent}")
    if out.exists() and not force:
        raise WrongUseError(f"{out} exists; name another file, or add --force to replace it")


def _sealed(found: Sequence[Segment], settings: config.Config) -> Iterator[_File]:
    for segment in found:
        path = path_of(segment, settings)
        if path is None:
            note(f"left out: {segment.path}, whose volume '{segment.volume}' is not in the configuration")
        elif _movie(path) is not None:
            row = segment.row
            yield _File(path, row.start_us, row.end_us, row.duration_ticks)


def _growing(live: Sequence[LiveSegment], found: Sequence[Segment]) -> Iterator[_File]:
    """What is being written now, as far as it is on disk; what was entered since the daemon was asked comes once."""
    entered = {(segment.row.run, segment.row.seq) for segment in found}
    for segment in live:
        if (segment.run, segment.seq) in entered:
            continue
        # Its file gets its final name at any moment.
        path = (
            segment.path if segment.path.exists() else segment.path.with_name(segment.path.name.removesuffix(".part"))
        )
        if not path.exists():
            continue  # it began a moment ago: nothing of it is on disk
        movie = _movie(path)
        if movie is not None and movie.samples:
            end_us = segment.start_us + round(movie.duration_ticks * movie.time_base * US)
            yield _File(path, segment.start_us, end_us, movie.duration_ticks)


def _movie(path: Path) -> boxes.Movie | None:
    """What the file holds; None, with a note, where it cannot be read: the rest is still worth handing over."""
    try:
        return boxes.movie(path)
    except OSError as error:
        note(f"left out: {path} cannot be read: {(error.strerror or str(error)).lower()}")
    except MediaError as error:
        note(f"left out: {path}: {error}")
    return None


def _source(file: _File, start_us: int, end_us: int) -> Source:
    def tick_at(us: int) -> int:
        return round(Fraction((us - file.start_us) * file.duration_ticks, max(1, file.end_us - file.start_us)))

    first_tick = max(0, tick_at(start_us))
    return Source(file.path, first_tick, min(file.duration_ticks, tick_at(end_us) - 1), file.start_us)


def _stitched(sources: Sequence[Source], out: Path, camera: str, told: Callable[[int, int], None]) -> list[Stitched]:
    if not sources:
        return []
    metadata = {
        "title": f"{camera} {local_text(sources[0].start_us)}",
        "comment": f"exported by nvr {__version__}, pictures as the camera sent them",
        "creation_time": iso_utc(sources[0].start_us),
    }
    with _in_sentences(out):
        return window(sources, out, metadata=metadata, progress=told)


@contextmanager
def _in_sentences(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWellError(f"{error.filename or out.name} failed: {(error.strerror or str(error)).lower()}") from error
    except MediaError as error:
        raise NotWellError(f"cannot be exported: {error}") from error


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where something of many parts is made before it gets its place."""

    folder: Path
    force: bool

    def place(self, draft: Path, place: Path) -> None:
        """Gives what is finished and synced its name. Raises NotWellError."""
        _placed(Copy(draft, 0), place, force=self.force)


@contextmanager
def workshop_for(out: Path, *, force: bool) -> Iterator[Workshop]:
    """A folder beside a file that is to be made. Raises WrongUseError where it cannot be made there."""
    _check_place(out, force=force)
    with _workshop(out) as folder, _in_sentences(out):
        yield Workshop(folder, force)


@contextmanager
def _workshop(out: Path) -> Iterator[Path]:
    """A folder of our own beside the file's place, gone with everything left in it."""
    try:
        room = Path(tempfile.mkdtemp(prefix=".nvr-export-", dir=out.parent))
    except OSError as error:
        raise NotWellError(f"nothing can be written in {out.parent}: {(error.strerror or '').lower()}") from None
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _placed(draft: _Draft, place: Path, *, force: bool) -> _Draft:
    """Give a finished file its name; nothing there is replaced unless asked for."""
    disk = Disk()
    try:
        if force:
            draft.path.replace(place)
        else:
            disk.rename_noreplace(draft.path, place)
        disk.fsync_directory(place.parent)
    except FileExistsError:
        raise NotWellError(f"{place} exists; name another file, or add --force to replace it") from None
    except OSError as error:
        raise NotWellError(f"{place} cannot be written: {(error.strerror or '').lower()}") from None
    return replace(draft, path=place)


def _nothing_there(reader: Reader, camera: str, start_us: int, end_us: int) -> str:
    span = f"nothing of '{camera}' is recorded from {local_text(start_us)} to {local_text(end_us)}"
    nearest = _nearest(reader, camera, start_us, end_us)
    if nearest is None:
        return f"{span}, nor at any other time"
    return f"{span}; the nearest footage is from {local_text(nearest.row.start_us)} to {local_text(nearest.row.end_us)}"


def _nearest(reader: Reader, camera: str, start_us: int, end_us: int) -> Segment | None:
    for reach_us in _REACHES_US:
        before = reader.segments_between(camera, max(FIRST_US, start_us - reach_us), start_us)[-1:]
        after = reader.segments_between(camera, end_us, min(LAST_US, end_us + reach_us), limit=1)
        near = min(
            [*before, *after],
            key=lambda segment: max(start_us - segment.row.end_us, segment.row.start_us - end_us),
            default=None,
        )
        if near is not None:
            return near
    return None

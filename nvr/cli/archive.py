"""Reading the archive from a command's own process: the index page by page, and what the daemon has not entered yet."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nvr import config
from nvr.cli.daemon import ask
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.store.reader import Reader
from nvr.store.rows import Camera, Segment
from nvr.units import UtcMicros

FIRST_US: Final = UtcMicros(0)
LAST_US: Final = UtcMicros(1 << 60)
"""From the first moment an index can hold to past its last."""

_PAGE: Final = 1000


def known_camera(reader: Reader, settings: config.Config, name: str) -> Camera:
    """The camera of this name. Raises WrongUseError where there never was one, NotWellError before its first start."""
    found = reader.camera(name)
    if found is not None:
        return found
    if name in settings.cameras:
        raise NotWellError(
            f"the daemon has not run since the camera '{name}' was configured, so nothing is known of it"
        )
    names = sorted({*settings.cameras, *(camera.slug for camera in reader.cameras())})
    raise WrongUseError(f"there is no camera '{name}'; there are: {', '.join(names) or 'none'}")


def segments(reader: Reader, camera: str, start_us: int, end_us: int) -> Iterator[Segment]:
    """The camera's segments that touch [start, end), by start; each page is a question of its own."""
    page = reader.segments_between(camera, start_us, end_us, limit=_PAGE)
    while page:
        yield from page
        page = reader.segments_between(camera, start_us, end_us, after=page[-1].cursor, limit=_PAGE)


def path_of(segment: Segment, settings: config.Config) -> Path | None:
    """Where the segment's file is; None where its volume is configured no more."""
    return path_on(segment.volume, segment.path, settings)


def path_on(volume: str, path: str, settings: config.Config) -> Path | None:
    """Where a file of that path below a volume is; None where the volume is configured no more."""
    place = next((one.path for one in settings.volumes if one.name == volume), None)
    return place / path if place else None


@dataclass(frozen=True, slots=True)
class LiveSegment:
    """A segment that the daemon has not entered yet."""

    path: Path
    """Where it lies now; gets its final name without `.part` at any moment."""
    run: int
    seq: int
    start_us: int
    end_us: int
    epoch: int


def live_of(settings: config.Config, camera: str) -> list[LiveSegment] | None:
    """What a running daemon records of this camera and has not entered yet; None where no daemon runs.

    To be asked before the index: what is entered in between is then in both, never in neither.
    """
    told = all_live(settings)
    return None if told is None else told.get(camera, [])


def all_live(settings: config.Config) -> dict[str, list[LiveSegment]] | None:
    """The same of every camera."""
    told = ask(settings.data_dir, "/api/v1/live")
    if told is None:
        return None
    return {
        camera: [
            LiveSegment(Path(one["path"]), one["run"], one["seq"], one["start_us"], one["end_us"], one.get("epoch", 0))
            for one in segments
        ]
        for camera, segments in told.items()
    }

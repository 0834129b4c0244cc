"""`nvr footage verify`: whether files still hold what they held when they were sealed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.cli.archive import LAST_US, known_camera, path_of, segments
from nvr.cli.asked import FromOption, ToOption, asked
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_table, progress
from nvr.store.reader import Reader, open_reader
from nvr.store.rows import Clip, Segment, SegmentState

_EXIT_NOT_WELL: Final = 1
_DIGEST: Final = 32


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one file."""

    path: str
    compared: bool
    """With a SHA-256 of the index; else by its size and its label alone."""
    differs: str | None
    """In what; None where it is as it was."""


def verify_(
    camera: Annotated[str | None, typer.Option("--camera", metavar="C", help="Of this camera only.")] = None,
    begin: FromOption = None,
    end: ToOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read files and clips again and compare them with what the index holds of them.

    With the SHA-256 where one is kept (`hash` in the configuration), else with size and label. Exit code 1 where
    anything differs or is gone.
    """
    settings = config.load(config.find(config_file))
    start_us, end_us = asked(begin, end, until_us=LAST_US)
    reader = open_reader(settings.data_dir)
    names = [known.slug for known in reader.cameras()] if camera is None else [camera]
    for name in names:
        known_camera(reader, settings, name)
    with progress("verifying") as told:
        verdicts = list(_verdicts(reader, settings, names, start_us, end_us, told))
    _tell(verdicts, as_json=as_json)
    if any(verdict.differs for verdict in verdicts):
        raise typer.Exit(_EXIT_NOT_WELL)


def _verdicts(
    reader: Reader,
    settings: config.Config,
    cameras: list[str],
    start_us: int,
    end_us: int,
    told: Callable[[int, int], None],
) -> Iterator[Verdict]:
    total = sum(len(reader.recorded_between(camera, start_us, end_us)) for camera in cameras)
    done = 0
    for camera in cameras:
        for segment in segments(reader, camera, start_us, end_us):
            yield _of_segment(segment, path_of(segment, settings))
            done += 1
            told(min(done, total), total)
        for clip in reader.clips_between(camera, start_us, end_us):
            yield from _of_clip(clip, settings)


def _of_segment(segment: Segment, path: Path | None) -> Verdict:
    row = segment.row
    name = segment.path if path is None else str(path)
    if path is None:
        return Verdict(name, False, f"volume '{segment.volume}' is not in the configuration")
    if row.state is SegmentState.DAMAGED:
        return Verdict(name, False, "its disk failed while it was written; it was never complete")
    differs, compared = _compared(path, row.size_bytes, row.sha256)
    if differs is None and not compared:
        differs = _label_differs(path, segment)
    return Verdict(name, compared, differs)


def _of_clip(clip: Clip, settings: config.Config) -> Iterator[Verdict]:
    from nvr.store.names import numbered

    volume = next((volume for volume in settings.volumes if volume.name == clip.volume), None)
    if volume is None or clip.path is None:
        return
    for number in range(clip.files):
        path = volume.path / numbered(clip.path, number + 1)
        digest = None if clip.sha256 is None else clip.sha256[number * _DIGEST : (number + 1) * _DIGEST]
        differs, compared = _compared(path, clip.size_bytes if clip.files == 1 else None, digest)
        yield Verdict(str(path), compared, differs)


def _compared(path: Path, size_bytes: int | None, digest: bytes | None) -> tuple[str | None, bool]:
    """In what a file differs, and whether its whole content was compared."""
    from nvr.store.check import sha256

    try:
        found_bytes = path.stat().st_size
        if size_bytes is not None and found_bytes != size_bytes:
            return f"it has {found_bytes} bytes, and had {size_bytes}", False
        if digest is None:
            return None, False
        return (None if sha256(path) == digest else "its content is not what it was"), True
    except FileNotFoundError:
        return "it is gone", False
    except OSError as trouble:
        return f"it cannot be read: {(trouble.strerror or str(trouble)).lower()}", False


def _label_differs(path: Path, segment: Segment) -> str | None:
    from nvr.media import label
    from nvr.media.errors import MediaError

    try:
        said = label.read(path)
    except (OSError, MediaError) as trouble:
        return str(trouble)
    if said is None:
        return "it has no label, or a damaged one"
    row = segment.row
    is_it = (said.run, said.seq, said.start_us, said.frames) == (row.run, row.seq, row.start_us, row.frames)
    return None if is_it else "its label is another file's"


def _tell(verdicts: list[Verdict], *, as_json: bool) -> None:
    differing = [verdict for verdict in verdicts if verdict.differs]
    compared = sum(verdict.compared for verdict in verdicts)
    if as_json:
        print_json(_facts(verdicts, compared, differing))
        return
    if not verdicts:
        note("nothing recorded there")
        return
    print_table(("file", "what differs"), ((verdict.path, verdict.differs or "") for verdict in differing))
    rest = len(verdicts) - compared
    by = f"{compared} by their SHA-256" + (f", {rest} by size and label alone" if rest else "")
    typer.echo(f"{len(verdicts)} files ({by}): {f'{len(differing)} differ' if differing else 'all as they were'}")


def _facts(verdicts: list[Verdict], compared: int, differing: list[Verdict]) -> dict[str, Any]:
    return {
        "files": len(verdicts),
        "compared_by_sha256": compared,
        "differing": [{"path": verdict.path, "differs": verdict.differs} for verdict in differing],
    }

"""Makes an ordinary sealed file of a torn one: cut after its last whole fragment, labelled, synced, named.

For a start that finds `.part` files, and for a writer whose disk became full in the middle of a segment.
"""

import errno
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from nvr.media import boxes, captions, label
from nvr.media.durable import Disk
from nvr.media.errors import MediaError
from nvr.store.archive import Archive, Part, Sealed, write_whole
from nvr.store.looks import looks_of
from nvr.store.names import parse_segment_name
from nvr.store.origin import Origin, parse_origin
from nvr.store.rows import Look, SegmentState
from nvr.units import US

log = logging.getLogger(__name__)

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Saved:
    """What could be kept of a segment whose writing failed: what its row should say."""

    label: label.Label
    sealed: Sealed
    looks: Sequence[Look]


def save(archive: Archive, part: Part, positions: Callable[[int], bytes] | None = None) -> Saved | None:
    """Keeps what is whole of a segment whose writing or seal failed; None where the next start must do it.

    Where only space was lacking the file is cut, labelled and sealed; where only the name was lacking it gets that.
    After any other trouble its syncs cannot be believed: it is given its name as it is, and its state is `damaged`.
    `positions` packs what is known of the first so many pictures, for the label of a file that is cut.
    Blocks: belongs on the volume's I/O thread. Raises nothing.
    """
    try:
        with suppress(OSError):
            part.file.close()
        if part.over:
            return _save_sealed(archive, part)
        if part.file.trouble is None or part.file.trouble.errno in _FULL:
            return _save_torn(archive, part, positions)
        said = label_of(part.part_path, boxes.movie(part.part_path), archive.archive_id, _folder_of(part))
        return Saved(said, archive.give_up(part), ())
    except (OSError, MediaError, ValueError) as trouble:
        log.warning(
            "segment left for the next start",
            extra={"action": "segment-left", "path": part.path, "reason": str(trouble)},
        )
        return None


def _save_sealed(archive: Archive, part: Part) -> Saved | None:
    """What failed was the last fsync, or the naming after it."""
    path = part.part_path if part.part_path.exists() else part.sealed_path
    said = label.read(path)
    if said is None:
        return None
    looks = looks_in(path, said)
    if part.synced and path == part.part_path:
        give_name(archive.disk, part.part_path, part.sealed_path)
        return Saved(said, Sealed(part.path, part.sealed_path.stat().st_size, SegmentState.OK), looks)
    return Saved(said, archive.give_up(part), looks)


def _save_torn(archive: Archive, part: Part, positions: Callable[[int], bytes] | None) -> Saved | None:
    """What was lacking is space."""
    path = part.part_path
    condition = boxes.examine(path)
    if condition.state is boxes.State.EMPTY:
        return None
    part.over = True
    said = label_of(path, whole_of(path, condition), archive.archive_id, _folder_of(part))
    if positions is not None:
        said = replace(said, positions=positions(said.frames))
    looks = looks_in(path, said)
    box = label.pack(said)
    mend(archive.disk, path, condition, box)
    give_name(archive.disk, path, part.sealed_path)
    return Saved(said, Sealed(part.path, condition.good_bytes + len(box), SegmentState.OK), looks)


def looks_in(path: Path, said: label.Label) -> Sequence[Look]:
    """Where the camera looked in a file with this label; nothing where the two do not go together. Raises OSError."""
    if said.positions is None:
        return ()
    try:
        return looks_of(said, boxes.ticks(path)[: said.frames])
    except MediaError as trouble:
        log.warning(
            "where the camera looked is not known",
            extra={"action": "positions-lost", "path": str(path), "reason": str(trouble)},
        )
        return ()


def whole_of(path: Path, condition: boxes.Condition) -> boxes.Movie:
    """What of a file will be left after `mend`. Raises OSError, NotDecodable."""
    film = boxes.movie(path)
    pictures = [picture for picture in film.samples if picture.offset + picture.size <= condition.good_bytes]
    return replace(film, samples=pictures)


def mend(disk: Disk, path: Path, condition: boxes.Condition, box: bytes) -> None:
    """Makes a torn file an ordinary one that ends with this label, synced; killed on the way it is torn as before."""
    fd = disk.open_existing(path)
    try:
        if condition.mend is not None:
            # The front of a file may only follow a tail that is on disk (see DurableFile).
            disk.fdatasync(fd)
            offset, front = condition.mend
            disk.seek(fd, offset)
            write_whole(disk, fd, front)
        disk.truncate(fd, condition.good_bytes)
        disk.seek(fd, condition.good_bytes)
        write_whole(disk, fd, box)
        disk.fsync(fd)
    finally:
        disk.close(fd)


def give_name(disk: Disk, part: Path, sealed: Path) -> None:
    """Renames a part that is complete and synced, never over another file. Raises OSError."""
    disk.rename_noreplace(part, sealed)
    disk.fsync_directory(sealed.parent)


def label_of(path: Path, film: boxes.Movie, archive_id: str, folder: str) -> label.Label:
    """What the file would have said of itself at its seal, from its comment (else its name) and what it holds.

    `film` is what was read of it at `path`. Where it has a text track, that tells where the camera looked.
    Raises OSError, and ValueError where there is no picture in it.
    """
    if not film.samples:
        raise ValueError("there is no picture in it")
    origin = parse_origin(film.metadata.get("comment", "")) or _origin_of_name(path, archive_id, folder)
    nominal_us = film.duration_ticks * film.time_base * US
    lasts_us = round(nominal_us + nominal_us * origin.slope_ppb / 1_000_000_000)
    zero_us = origin.zero_us
    if zero_us is None:
        zero_us = origin.start_us - round(origin.first_tick * film.time_base * US)
    return label.Label(
        archive=UUID(origin.archive),
        camera=origin.camera,
        run=origin.run,
        seq=origin.seq,
        start_us=origin.start_us,
        end_us=origin.start_us + max(lasts_us, 1),
        frames=len(film.samples),
        duration_ticks=film.duration_ticks,
        time_base=film.time_base,
        first_tick=origin.first_tick,
        zero_us=zero_us,
        slope_ppb=origin.slope_ppb,
        clock=label.ClockSource.ARRIVAL if origin.clock == "arrival" else label.ClockSource.STREAM,
        synchronised=origin.synchronised,
        recovered=True,
        model=origin.model,
        positions=_positions_of(path, film),
    )


def _positions_of(path: Path, film: boxes.Movie) -> bytes | None:
    """Where each picture was taken, from the texts beside them; None where there are none."""
    lines = boxes.lines(path, film)
    return captions.track_of([picture.ticks for picture in film.samples], lines).pack() if lines else None


def _folder_of(part: Part) -> str:
    return part.path.partition("/")[0]


def _origin_of_name(path: Path, archive_id: str, folder: str) -> Origin:
    name = parse_segment_name(path.name.removesuffix(".part"))
    if name is None:
        raise ValueError("the name is not one that nvr gives")
    return Origin(archive_id, folder, name.run, name.seq, name.start_us)

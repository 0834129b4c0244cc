"""A clip as evidence: one ZIP with the film, where the camera looked, what nvr knows of it all, and a SHA-256 of each.

A stranger without nvr can check it: `unzip`, then `sha256sum -c SHA256SUMS`.
"""

import csv
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nvr import __version__, config
from nvr.cli.archive import known_camera, path_of
from nvr.cli.errors import NotWellError
from nvr.cli.export import Workshop
from nvr.cli.picture_table import COLUMNS, lines_of_file
from nvr.cli.times import iso_utc
from nvr.clock import HostClock
from nvr.media import label
from nvr.media.errors import MediaError
from nvr.store.check import sha256
from nvr.store.reader import Reader
from nvr.store.rows import Clip, ClipMember
from nvr.units import US

SUMS: Final = "SHA256SUMS"
MANIFEST: Final = "manifest.json"
POSITIONS: Final = "positions.csv"

_CLOCK_REACH_US: Final = 3600 * US  # a camera's clock is noted every ten minutes while it tells it


@dataclass(frozen=True, slots=True)
class Evidence:
    """A ZIP that was written."""

    path: Path
    size_bytes: int
    files: list[str]
    """What is in it."""


@dataclass(frozen=True, slots=True)
class Film:
    """One of the clip's MP4 files, ready to be packed."""

    path: Path
    start_us: int
    end_us: int
    frames: int


def pack(
    clip: Clip, films: Sequence[Film], reader: Reader, settings: config.Config, workshop: Workshop, place: Path
) -> Evidence:
    """Packs these films of a clip with everything that is known of it, and puts the ZIP in its place.

    Raises NotWellError, WrongUseError; then nothing is left there that was not there before.
    """
    members = reader.members_of(clip.id)
    table = workshop.folder / POSITIONS
    _write_positions(films, clip.camera, table)
    files = [film.path for film in films] + [table]
    sums = {file.name: sha256(file).hex() for file in files}
    manifest = workshop.folder / MANIFEST
    facts = _manifest(clip, films, members, reader, settings, sums)
    manifest.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sums[MANIFEST] = sha256(manifest).hex()
    listing = workshop.folder / SUMS
    listing.write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()), encoding="ascii")
    draft = workshop.folder / f"{place.name}.draft"
    with zipfile.ZipFile(draft, "x", zipfile.ZIP_STORED) as bundle:  # video does not get smaller
        for file in (*files, manifest, listing):
            bundle.write(file, file.name)
    _sync(draft)
    workshop.place(draft, place)
    return Evidence(place, place.stat().st_size, [*sums, SUMS])


def _write_positions(films: Sequence[Film], camera: str, table: Path) -> None:
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for film in films:
            try:
                rows.writerows(lines_of_file(film.path, camera, film.start_us))
            except MediaError as trouble:
                raise NotWellError(f"{film.path.name} cannot be read: {trouble}") from None


def _manifest(
    clip: Clip,
    films: Sequence[Film],
    members: Sequence[ClipMember],
    reader: Reader,
    settings: config.Config,
    sums: dict[str, str],
) -> dict[str, Any]:
    camera = known_camera(reader, settings, clip.camera)
    start_us, end_us = films[0].start_us, films[-1].end_us
    said = _label_of(members, settings) or label.read(films[0].path)
    return {
        "made_by": f"nvr {__version__}",
        "made_at": iso_utc(int(HostClock().utc_us())),
        "archive": reader.archive(),
        "clip": {
            "id": clip.id,
            "rule": clip.rule,
            "trigger": clip.trigger,
            "alarm_at": iso_utc(clip.alarm_at_us),
            "start": iso_utc(start_us),
            "end": iso_utc(end_us),
            "duration_seconds": (end_us - start_us) / US,
            "state": clip.state.value,
            "continues": clip.continues,
            "pre_shortfall_seconds": clip.pre_shortfall_us / US,
        },
        "camera": {
            "name": clip.camera,
            "model": camera.model if said is None or said.model is None else said.model,
            "camera_id": camera.ident,
            "firmware": camera.firmware,
        },
        "clock": _clock(clip, reader, start_us, end_us, said),
        "gap_seconds": None if clip.gap_us is None else clip.gap_us / US,
        "gaps": list(_gaps(clip, reader, start_us, end_us)),
        "files": [
            {
                "name": film.path.name,
                "sha256": sums[film.path.name],
                "size_bytes": film.path.stat().st_size,
                "start": iso_utc(film.start_us),
                "end": iso_utc(film.end_us),
                "frames": film.frames,
            }
            for film in films
        ],
        "sha256_kept_since_export": _kept(clip, films, sums),
        "positions": {"name": POSITIONS, "sha256": sums[POSITIONS], "columns": list(COLUMNS)},
        "made_from": list(_sources(members, settings)),
    }


def _clock(clip: Clip, reader: Reader, start_us: int, end_us: int, said: label.Label | None) -> dict[str, Any]:
    noted = reader.camera_clocks_between(clip.camera, start_us - _CLOCK_REACH_US, end_us + _CLOCK_REACH_US)
    nearest = min(noted, key=lambda row: abs(row.at_us - start_us), default=None)
    corrections = sorted({run.correction_us for run in reader.corrected_runs(clip.camera, start_us, end_us)})
    return {
        "times_are": "UTC by the clock of the recording machine",
        "machine_clock_synchronised": None if said is None else said.synchronised,
        "machine_clock_was_wrong_by_seconds": [correction / US for correction in corrections],
        "camera_clock_less_machine_clock_seconds": None if nearest is None else nearest.offset_us / US,
        "camera_clock_noted_at": None if nearest is None else iso_utc(nearest.at_us),
    }


def _gaps(clip: Clip, reader: Reader, start_us: int, end_us: int) -> Iterator[dict[str, Any]]:
    """What the index says was not recorded of it, and why."""
    for span in reader.spans_between(clip.camera, start_us, end_us):
        if span.epoch != clip.epoch:
            continue
        yield {
            "start": iso_utc(max(start_us, span.start_us)),
            "end": iso_utc(end_us if span.end_us is None else min(end_us, span.end_us)),
            "kind": span.kind.value,
            "reason": span.reason,
        }


def _kept(clip: Clip, films: Sequence[Film], sums: dict[str, str]) -> bool | None:
    """Whether the films are what was noted when the clip was exported; None where nothing was noted."""
    if clip.sha256 is None:
        return None
    noted = [clip.sha256[at : at + 32].hex() for at in range(0, len(clip.sha256), 32)]
    return noted == [sums[film.path.name] for film in films]


def _sources(members: Sequence[ClipMember], settings: config.Config) -> Iterator[dict[str, Any]]:
    """The segments it was cut from, as far as they are there."""
    for member in members:
        segment = member.segment
        path = path_of(segment, settings)
        known = segment.row.sha256
        digest = None
        if path is not None and path.is_file():
            digest = sha256(path).hex()
        yield {
            "file": segment.path,
            "run": segment.row.run,
            "seq": segment.row.seq,
            "start": iso_utc(segment.row.start_us),
            "end": iso_utc(segment.row.end_us),
            "frames": segment.row.frames,
            "sha256": digest,
            "sha256_noted_at_recording": None if known is None else known.hex(),
        }


def _label_of(members: Sequence[ClipMember], settings: config.Config) -> label.Label | None:
    for member in members:
        path = path_of(member.segment, settings)
        if path is not None and path.is_file():
            return label.read(path)
    return None


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

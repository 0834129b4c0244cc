"""How quickly an index is made anew from the files alone, on files in the host's cache.

    python -m bench.rebuild                          # 8 cameras, 20 000 files, 2 GB in the temporary folder
    python -m bench.rebuild --files 2000 --cameras 2 # a look

Each file is a real segment of a minute: FFmpeg's MP4 of 1800 pictures (tiny ones, so that the host's cache holds them
all), and the label that the recorder gives one of a camera on patrol. Files of a camera differ in their labels only.
"""

import argparse
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import av

from bench.search import on_patrol
from nvr.media import label
from nvr.media.durable import Disk, DurableFile
from nvr.media.frame import Unit
from nvr.media.mp4 import Mp4File
from nvr.media.positions import PositionTrack
from nvr.media.splitter import UnitSplitter
from nvr.store import schema
from nvr.store.archive import Archive
from nvr.store.filling import fill
from nvr.store.index import Index
from nvr.store.names import segment_path
from nvr.store.origin import Origin
from nvr.store.reader import Reader
from nvr.store.recovery import Place
from nvr.store.volumes import Volume
from nvr.units import US, PanTiltZoom

LEAST_PER_SECOND: Final = 2000

_FPS: Final = 30
_FRAMES: Final = 60 * _FPS
_TICKS: Final = 3_000
_BEGIN_US: Final = 1_795_442_602_123_456


def main() -> int:
    """Exit code 1 where it was slower than it should be, or made another index than the files tell."""
    options = argparse.ArgumentParser(prog="python -m bench.rebuild", description="Files a second of a rebuild.")
    options.add_argument("--files", type=int, default=20_000)
    options.add_argument("--cameras", type=int, default=8)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="nvr-bench-") as folder:
        base = Path(folder)
        volume = Volume.open(Disk(), "main", base / "footage", archive_id := str(uuid4()), None)
        bytes_each = _make_files(base, volume, archive_id, asked.cameras, asked.files)
        print(f"{asked.files} files of {asked.cameras} cameras, {bytes_each / 1024:.0f} kB each")
        rates = []
        for _ in range(asked.rounds):
            took_s, entered, looks, index_bytes = _rebuilt(base, volume, archive_id)
            rates.append(asked.files / took_s)
            print(
                f"{took_s:.2f} s: {rates[-1]:.0f} files/s, {entered} segments, {looks} looks,"
                f" index of {index_bytes / (1 << 20):.1f} MB"
            )
            if entered != asked.files:
                print(f"{asked.files} files, but {entered} segments", file=sys.stderr)
                return 1
    best = max(rates)
    print(f"at best {best:.0f} files/s; at least {LEAST_PER_SECOND} wanted")
    return int(best < LEAST_PER_SECOND)


def _make_files(base: Path, volume: Volume, archive_id: str, cameras: int, files: int) -> int:
    film = _film(base / "one.mp4", archive_id)
    size = 0
    for number in range(cameras):
        slug = f"camera-{number}"
        looked = _looked(random.Random(number))
        for seq in range(files // cameras + (number < files % cameras)):
            start_us = _BEGIN_US + seq * 60 * US
            track = PositionTrack()
            for place, preset in islice(looked, _FRAMES):
                track.note(preset, None)
                track.add(place)
            said = _label(archive_id, slug, _BEGIN_US // US + number, seq, start_us, track.pack())
            path = volume.path / segment_path(slug, start_us, said.run, seq)
            path.parent.mkdir(parents=True, exist_ok=True)
            data = film + label.pack(said)
            path.write_bytes(data)
            size = len(data)
    return size


def _looked(random_: random.Random) -> Iterator[tuple[PanTiltZoom, int | None]]:
    for place, lasts, preset in on_patrol(random_):
        for _ in range(lasts):
            yield place, preset


def _label(archive_id: str, slug: str, run: int, seq: int, start_us: int, positions: bytes) -> label.Label:
    return label.Label(
        archive=UUID(archive_id),
        camera=slug,
        run=run,
        seq=seq,
        start_us=start_us,
        end_us=start_us + 60 * US,
        frames=_FRAMES,
        duration_ticks=_FRAMES * _TICKS,
        time_base=Fraction(1, 90_000),
        first_tick=seq * _FRAMES * _TICKS,
        zero_us=_BEGIN_US,
        slope_ppb=0,
        clock=label.ClockSource.STREAM,
        synchronised=True,
        positions=positions,
    )


def _film(path: Path, archive_id: str) -> bytes:
    units = _units()
    file = Mp4File(
        part := DurableFile.create(path, Disk()),
        units[0].vol,
        Fraction(1, 90_000),
        {"comment": Origin(archive_id, "camera-0", 1, 0, _BEGIN_US).comment()},
    )
    for number, unit in enumerate(units):
        file.add(unit.data, number * _TICKS, _TICKS, unit.key)
    file.close()
    part.close()
    return path.read_bytes()


def _units() -> list[Unit]:
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 32, 32, "yuv420p"
    encoder.time_base = Fraction(1, _FPS)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = _FPS, 0, 1
    splitter, units = UnitSplitter(), []
    picture = av.VideoFrame(32, 32, "yuv420p")
    for number in range(_FRAMES):
        picture.pts, picture.time_base = number, Fraction(1, _FPS)
        for packet in encoder.encode(picture):
            units += splitter.feed(bytes(packet), None, True)
    for packet in encoder.encode(None):
        units += splitter.feed(bytes(packet), None, True)
    return units


def _rebuilt(base: Path, volume: Volume, archive_id: str) -> tuple[float, int, int, int]:
    """Seconds, segments, looks, and bytes of the index."""
    folder = base / "data"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / schema.INDEX_NAME
    began_s = time.monotonic()
    schema.prepare(path)
    index, reader = Index(path), Reader(path)
    index.name_archive(archive_id).result()
    place = Place(index.add_volume("main", volume.uuid).result(), volume)
    fill(index, reader, Archive(Disk(), archive_id), [place], until_us=_BEGIN_US + 10**15)
    reader.close()
    index.close()
    took_s = time.monotonic() - began_s
    with closing(sqlite3.connect(path)) as rows:
        segments, looks = (rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("segment", "look"))
    return took_s, segments, looks, path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())

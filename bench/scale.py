"""What a large archive costs: start to the first recorded picture, a day of the timeline, and the look of retention.

    python -m bench.scale                                       # 3 million segments, 500 000 clips: 5 minutes, 3 GB
    python -m bench.scale --segments 300000 --clips 50000       # a look

Fills an index as fifty cameras would have in six weeks, a segment a minute, each with a look and every sixth of them
in a clip; the files of the last two days are there, empty. Exit code 1 where a figure is past its target.
"""

import argparse
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from bench.run import Load, load
from nvr.cli.daemon import ask
from nvr.clock import HostClock
from nvr.media.durable import Disk
from nvr.metrics import Metrics, VolumeCounts
from nvr.store import schema
from nvr.store.ballast import Ballast
from nvr.store.index import Index
from nvr.store.ledger import coverage
from nvr.store.names import segment_path
from nvr.store.reader import Reader
from nvr.store.retention import Keep, Room
from nvr.store.sweep import Sweeper
from nvr.store.volumes import Volume
from nvr.units import US

START_S: Final = 2.0
DAY_MS: Final = 20.0
WRITER_MS: Final = 50.0
"""What is promised: start to the first recorded picture, a day of a camera, the writer's time of one look."""

_MINUTE_US: Final = 60 * US
_DAY_US: Final = 1440 * _MINUTE_US
_SIZE_BYTES: Final = 15_000_000
_REPEAT: Final = 9
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True)
class Archive:
    """A generated index and where its footage would be."""

    data_dir: Path
    footage: Path
    cameras: list[str]
    newest_us: int
    """Where its last segments end."""

    @property
    def index(self) -> Path:
        return self.data_dir / schema.INDEX_NAME


def generated(folder: Path, segments: int, clips: int, cameras: int, looks_each: int) -> Archive:
    """An index of so much footage, ending now, and the files that a start looks for."""
    data_dir, footage = folder / "data", folder / "footage"
    data_dir.mkdir()
    footage.mkdir()
    newest_us = time.time_ns() // 1000
    archive = Archive(data_dir, footage, [f"c{number:02}" for number in range(cameras)], newest_us)
    schema.prepare(archive.index)
    index = Index(archive.index)
    name = index.name_archive(str(uuid4())).result()
    volume = Volume.open(Disk(), "main", footage, name, None)
    index.add_volume("main", volume.uuid).result()
    each = segments // cameras
    for slug in archive.cameras:
        index.add_camera(slug, newest_us - each * _MINUTE_US).result()
    assert index.close(60)
    with _raw(archive.index) as rows:
        _fill(rows, archive, each, clips, looks_each)
    _make_files(archive)
    return archive


@contextmanager
def _raw(path: Path) -> Iterator[sqlite3.Connection]:
    """Past the index's own writer, which would take an hour for it; nobody else is there."""
    rows = sqlite3.connect(path)
    rows.execute("PRAGMA synchronous=OFF")
    rows.execute("PRAGMA cache_size=-1000000")
    try:
        yield rows
        rows.commit()
        rows.execute("PRAGMA optimize")
        rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        rows.close()


def _fill(rows: sqlite3.Connection, archive: Archive, each: int, clips: int, looks_each: int) -> None:
    begin_us = archive.newest_us - each * _MINUTE_US
    clips_each, lasts_us = clips // len(archive.cameras), _MINUTE_US // looks_each
    run = 1
    for camera, slug in enumerate(archive.cameras, 1):
        views = [_view(rows, camera, number) for number in range(looks_each)]
        days = range(0, each, 1440)
        rows.executemany(
            "INSERT INTO run VALUES (?, ?, ?, ?, 'connected', ?, 'stream-broken', 0, 'stream', ?, 0, 1, 0, NULL, NULL)",
            [
                (run + day, camera, slug, begin_us + at * _MINUTE_US, begin_us + (at + 1440) * _MINUTE_US, begin_us)
                for day, at in enumerate(days)
            ],
        )
        first = int(rows.execute("SELECT coalesce(max(id), 0) FROM segment").fetchone()[0]) + 1
        rows.executemany(
            "INSERT INTO segment VALUES (?, ?, ?, ?, 1, ?, ?, 1800, ?, 1, 90000, 0, 5400000, 0, 'ok', NULL)",
            (
                (first + at, camera, run + at // 1440, at % 1440, start_us, start_us + _MINUTE_US, _SIZE_BYTES)
                for at in range(each)
                for start_us in (begin_us + at * _MINUTE_US + camera * 1000,)
            ),
        )
        rows.executemany(
            "INSERT INTO look VALUES (?, ?, ?, ?)",
            (
                (first + at, begin_us + at * _MINUTE_US + camera * 1000 + number * lasts_us, lasts_us, view)
                for at in range(each)
                for number, view in enumerate(views)
            ),
        )
        rows.executemany(
            "INSERT INTO gap VALUES (NULL, ?, 'gap', 'stream-broken', ?, ?, 0)",
            ((camera, begin_us + at * _MINUTE_US - US, begin_us + at * _MINUTE_US) for at in days if at),
        )
        _fill_clips(rows, archive, camera, slug, first, each, clips_each)
        run += len(days)
        rows.commit()
    rows.execute("UPDATE camera SET longest_segment_us = ?, longest_gap_us = ?", (_MINUTE_US, US))


def _view(rows: sqlite3.Connection, camera: int, number: int) -> int:
    values = (camera, 100 * number, 100 * number + 20, number)
    said = "INSERT INTO view VALUES (NULL, ?, 'rest', ?, ?, 500, 510, 0, 10, ?)"
    return int(rows.execute(said, values).lastrowid or 0)


def _fill_clips(
    rows: sqlite3.Connection, archive: Archive, camera: int, slug: str, first: int, each: int, clips: int
) -> None:
    """Evenly over the time; each is part of one segment, exported, and one in a thousand is locked."""
    if not clips:
        return
    begin_us = archive.newest_us - each * _MINUTE_US
    number = int(rows.execute("SELECT coalesce(max(id), 0) FROM clip").fetchone()[0]) + 1
    every = max(1, each // clips)
    made = range(min(clips, each // every))
    starts = [begin_us + at * every * _MINUTE_US + 15 * US for at in made]
    rows.executemany(
        "INSERT INTO clip (id, camera_id, rule, trigger, alarm_at_us, start_us, end_us, state, close_reason, locked,"
        " path, volume_id, files, size_bytes, pre_shortfall_us, gap_us, exported_at_us, epoch)"
        " VALUES (?, ?, 'door', 'm1', ?, ?, ?, 'closed', 'done', ?, ?, 1, 1, 7500000, 0, 0, ?, 0)",
        (
            (
                *(number + at, camera, start_us + 10 * US, start_us, start_us + 30 * US, int(at % 1000 == 0)),
                *(f"{slug}/clips/{number + at}.mp4", start_us + 90 * US),
            )
            for at, start_us in zip(made, starts, strict=True)
        ),
    )
    rows.executemany(
        "INSERT INTO clip_member VALUES (?, ?, 1350000, 4049999)", ((number + at, first + at * every) for at in made)
    )


def _make_files(archive: Archive) -> None:
    """Empty ones, under the names of the last two days: a start looks at names."""
    with sqlite3.connect(archive.index) as rows:
        found = rows.execute(
            "SELECT folder, start_us, run, seq FROM segment JOIN run ON run.id = run WHERE start_us > ?",
            (archive.newest_us - 3 * _DAY_US,),
        )
        for folder, start_us, run, seq in found:
            path = archive.footage / segment_path(folder, start_us, run, seq)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    rows.close()


# ---- what is measured


def started_s(archive: Archive, source: Load, folder: Path) -> float:
    """From the start of the process to the first camera that is recorded."""
    begun = time.monotonic()
    daemon = Daemon(folder, archive, source)
    try:
        while time.monotonic() - begun < _PATIENCE_S:
            told = _told(archive.data_dir)
            if any(camera["state"] == "recording" for camera in told.get("cameras", ())):
                return time.monotonic() - begun
            daemon.check()
            time.sleep(0.01)
        raise TimeoutError(f"nothing is recorded: {daemon.said()}")
    finally:
        daemon.stop()


class Daemon:
    """`nvr run` on the archive."""

    def __init__(self, folder: Path, archive: Archive, source: Load) -> None:
        self._log = folder / "nvr.log"
        config = folder / "config.toml"
        cameras = "".join(
            f'[camera.{slug}]\nhost = "127.0.0.1"\nhttp_port = {ports["http_port"]}\n'
            for slug, ports in zip(archive.cameras, source.cameras, strict=False)
        )
        config.write_text(
            f'data_dir = "{archive.data_dir}"\n'
            f'[[volume]]\nname = "main"\npath = "{archive.footage}"\nkeep_free = "100MB"\n'
            f'[retention]\nmax_days = 36000\nclip_days = 36000\n[metrics]\nlisten = ""\n{cameras}'
        )
        command = [str(Path(sys.executable).parent / "nvr"), "run", "--config", str(config)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def check(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"nvr ended by itself: {self.said()}")

    def said(self) -> str:
        return self._log.read_text()[-2000:]

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def _told(data_dir: Path) -> dict[str, list[dict[str, object]]]:
    try:
        return ask(data_dir, "/api/v1/status") or {}
    except Exception:  # noqa: BLE001 - not listening yet, however it says so
        return {}


def day_ms(archive: Archive) -> float:
    """A day of a camera as a timeline shows it: recorded, off and gaps."""
    reader = Reader(archive.index)
    try:
        took = []
        for number in range(_REPEAT):
            slug = archive.cameras[number % len(archive.cameras)]
            end_us = archive.newest_us - (number % 5) * 3600 * US
            took.append(_ms(lambda slug=slug, end_us=end_us: _day(reader, slug, end_us)))  # type: ignore[misc]
        return statistics.median(took)
    finally:
        reader.close()


def _day(reader: Reader, slug: str, end_us: int) -> None:
    begin_us = end_us - _DAY_US
    recorded, spans = reader.recorded_between(slug, begin_us, end_us), reader.spans_between(slug, begin_us, end_us)
    assert len(recorded) > 1000, "not a day"
    coverage(recorded, spans, None, 0, begin_us, end_us)


def _ms(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return (time.perf_counter() - begun) * 1000


class _Ground:
    """The generated volume, as the sweeper has it."""

    lags = False
    is_there = True

    def __init__(self, volume: Volume) -> None:
        self.name = "main"
        self.volume_id = 1
        self.disk = Disk()
        self.counts = VolumeCounts()
        self.volume: Volume | None = volume

    def room(self, rate_bytes_s: float = 0.0) -> Room:
        return Room(1, 10**14, 10**13, 10**9, rate_bytes_s=rate_bytes_s)

    def measure(self) -> None:
        pass


@dataclass(frozen=True)
class Look:
    """One look of retention, in milliseconds."""

    writer_ms: float
    """How long the index's writer worked for it, in however many transactions."""
    longest_ms: float
    """The longest of these transactions: so long others may wait."""
    whole_ms: float
    deleted: int


def looks(archive: Archive, *, max_days: float) -> list[Look]:
    """Looks that find nothing to delete, or forty segments each."""
    took: list[float] = []
    index = Index(archive.index, on_commit=lambda seconds, _: took.append(seconds * 1000))
    reader, clock = Reader(archive.index), HostClock()
    metrics = Metrics("bench", clock.utc_us)
    for slug in archive.cameras:
        metrics.add_camera(slug)
    ground = _Ground(Volume.open(Disk(), "main", archive.footage, str(reader.archive()), None))
    keep = Keep(max_us=round(max_days * _DAY_US))
    sweeper = Sweeper(
        *(index, reader, [ground], lambda _: keep, Ballast(archive.data_dir), metrics, clock), exports=True
    )
    found = []
    try:
        for _ in range(_REPEAT):
            took.clear()
            before = sum(metrics.retention_deleted.values())
            whole_ms = _ms(lambda: sweeper.sweep(threading.Event()))
            _settle(sweeper, index)
            deleted = sum(metrics.retention_deleted.values()) - before
            found.append(Look(sum(took), max(took, default=0.0), whole_ms, deleted))
    finally:
        assert sweeper.stop(30)
        reader.close()
        assert index.close(30)
    return found


def _settle(sweeper: Sweeper, index: Index) -> None:
    """Until what was condemned is unlinked and forgotten."""
    while any(beat.busy for beat in sweeper._beats.values()):  # noqa: SLF001 - nobody else waits for it
        time.sleep(0.005)
    index.ping().result()


def main() -> int:
    """Prints the figures; 1 where one is past its target."""
    parser = argparse.ArgumentParser(description="What a large archive costs.")
    parser.add_argument("--segments", type=int, default=3_000_000)
    parser.add_argument("--clips", type=int, default=500_000)
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--looks", type=int, default=1, help="of each segment; 12 are a patrol's")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the index goes meanwhile")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nvr-bench-", dir=given.dir) as where:
        begun = time.monotonic()
        archive = generated(Path(where), given.segments, given.clips, given.cameras, given.looks)
        size_mb = archive.index.stat().st_size / 1e6
        print(
            f"{given.segments} segments and {given.clips} clips of {given.cameras} cameras: {size_mb:.0f} MB of index, "
            f"made in {time.monotonic() - begun:.0f} s",
            flush=True,
        )
        figures = list(_figures(archive, Path(where)))
    for words, value, target, unit in figures:
        late = ", PAST ITS TARGET" if target is not None and value > target else ""
        print(f"{words:52} {value:8.1f} {unit}{late}", flush=True)
    return int(any(target is not None and value > target for _, value, target, _ in figures))


def _figures(archive: Archive, folder: Path) -> Iterator[tuple[str, float, float | None, str]]:
    with load(len(archive.cameras), "rest", 600) as source:
        starts = [started_s(archive, source, folder) for _ in range(3)]
    yield "start to the first recorded picture, median of 3", statistics.median(starts), START_S, "s"
    yield "a day of one camera", day_ms(archive), DAY_MS, "ms"
    idle = looks(archive, max_days=36_000)
    yield "a look that finds nothing, in all", statistics.median(look.whole_ms for look in idle), None, "ms"
    yield "a look that finds nothing, the writer's time", max(look.writer_ms for look in idle), WRITER_MS, "ms"
    busy = looks(archive, max_days=1)
    yield "segments that a busy look deletes", statistics.median(look.deleted for look in busy), None, ""
    yield "a busy look, in all", statistics.median(look.whole_ms for look in busy), None, "ms"
    yield "a busy look, the writer's time, median", statistics.median(look.writer_ms for look in busy), WRITER_MS, "ms"
    yield "a busy look, the writer's time, longest", max(look.writer_ms for look in busy), None, "ms"
    yield "a busy look, its longest transaction", max(look.longest_ms for look in busy), WRITER_MS, "ms"


if __name__ == "__main__":
    sys.exit(main())

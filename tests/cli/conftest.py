"""A real archive to ask about: real index, real MP4, and where asked for a real socket that answers like a daemon."""

import asyncio
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import pytest

from nvr.cli.main import answer
from nvr.media import label
from nvr.media.durable import Disk, DurableFile
from nvr.media.frame import Unit
from nvr.media.mp4 import Mp4File
from nvr.media.splitter import UnitSplitter
from nvr.store import lock, schema
from nvr.store.check import Finding
from nvr.store.index import Index
from nvr.store.ledger import PutSpan
from nvr.store.names import day_of, segment_path, timelapse_path
from nvr.store.rows import FilmRow, Run, SegmentRow, SegmentState, Span, SpanKind
from nvr.units import US
from nvr.web.address import SOCKET_NAME
from nvr.web.app import build
from nvr.web.listening import serve
from nvr.web.service import NotThere
from tests.cli.one_camera import NVR, Place

NOON_US = 1_763_899_200 * US
"""2025-11-23T12:00:00Z: a Sunday without anything to do with clocks."""
FPS = 10
ARCHIVE = "2f4a4d6e-1111-4222-8333-444455556666"
VOLUME = "2f4a4d6e-1111-4222-8333-444455556667"
_TICKS = 90_000
_DAY_US = 86_400 * US


@lru_cache(maxsize=4)
def pictures(frames: int, width: int = 64, height: int = 48) -> tuple[Unit, ...]:
    """A real encoder's stream at 10 pictures a second, a key picture every second."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, FPS)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = FPS, 0, 1
    encoder.options = {"sc_threshold": "1000000000", "flags": "+bitexact"}
    splitter = UnitSplitter()
    made: list[Unit] = []
    for number in range(frames):
        picture = av.VideoFrame(width, height, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes((5 * number + 3 * at) & 255 for at in range(plane.line_size)) * plane.height)
        picture.pts, picture.time_base = number, Fraction(1, FPS)
        for packet in encoder.encode(picture):
            made += splitter.feed(bytes(packet), None, True)
    for packet in encoder.encode(None):
        made += splitter.feed(bytes(packet), None, True)
    assert len(made) == frames
    return tuple(made)


@dataclass
class Daemon:
    """What the daemon is to answer; the socket, the app and the lock are the real ones."""

    status_is: dict[str, Any] = field(default_factory=lambda: {"version": "1", "cameras": [], "volumes": []})
    live_is: dict[str, Any] = field(default_factory=dict)
    live_was: dict[str, Any] | None = None
    """What it answers once, before `live_is`."""
    trouble: Exception | None = None
    triggered: list[tuple[str, str | None]] = field(default_factory=list)
    clips: dict[int, bool] = field(default_factory=dict)
    restarts: list[tuple[str, float]] = field(default_factory=list)
    repaired: list[Finding] = field(default_factory=list)

    def status(self) -> dict[str, Any]:
        if self.trouble is not None:
            raise self.trouble
        return self.status_is

    def live(self) -> dict[str, Any]:
        was, self.live_was = self.live_was, None
        return self.live_is if was is None else was

    async def lock_clip(self, clip: int, locked: bool) -> dict[str, Any]:
        if clip not in self.clips:
            raise NotThere(f"there is no clip {clip}")
        self.clips[clip] = locked
        return {"clip": clip, "locked": locked}

    async def repair(self, finding: Finding) -> dict[str, Any]:
        self.repaired.append(finding)
        return {"done": "entered (adopted)"}

    def trigger(self, camera: str, note: str | None) -> dict[str, Any]:
        if self.trouble is not None:
            raise self.trouble
        self.triggered.append((camera, note))
        return {"camera": camera, "clip": 40 + len(self.triggered)}

    def planned_restart(self, camera: str, seconds: float) -> dict[str, Any]:
        self.restarts.append((camera, seconds))
        return {"camera": camera, "seconds": seconds}


class Site:
    """A configuration, its data directory and its volume."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.footage = folder / "footage"
        self.config = folder / "config.toml"
        self.data_dir.mkdir()
        self.footage.mkdir()
        self.config.write_text(
            '[[volume]]\nname = "main"\npath = "footage"\nkeep_free = 0\n'
            '[camera.gate]\nhost = "127.0.0.1"\n[camera.door]\nhost = "127.0.0.1"\nrecord = "off"\n'
        )
        text = self.config.read_text()
        self.config.write_text(f'data_dir = "data"\n{text}')
        schema.prepare(self.data_dir / schema.INDEX_NAME)

    @contextmanager
    def index(self) -> Iterator["Filling"]:
        """Fill the index as a daemon would."""
        index = Index(self.data_dir / schema.INDEX_NAME)
        try:
            yield Filling(self, index)
        finally:
            assert index.close(10)

    @contextmanager
    def daemon(self) -> Iterator[Daemon]:
        """A socket that answers, under the data directory's lock."""
        daemon, ready = Daemon(), threading.Event()
        held = lock.hold(self.data_dir)
        loop = asyncio.new_event_loop()
        over = asyncio.Event()

        async def main() -> None:
            async with await serve(build(daemon), unix=self.data_dir / SOCKET_NAME):
                ready.set()
                await over.wait()

        thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
        thread.start()
        try:
            assert ready.wait(10)
            yield daemon
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join(10)
            loop.close()
            held.release()


def _label(run: int, seq: int, start_us: int, end_us: int, frames: int) -> label.Label:
    return label.Label(
        archive=UUID(ARCHIVE),
        camera="gate",
        run=run,
        seq=seq,
        start_us=start_us,
        end_us=end_us,
        frames=frames,
        duration_ticks=frames * _TICKS // FPS,
        time_base=Fraction(1, _TICKS),
        first_tick=0,
        zero_us=start_us,
        slope_ppb=0,
        clock=label.ClockSource.STREAM,
        synchronised=True,
        model="VN-V685U",
    )


class Filling:
    """An index being filled."""

    def __init__(self, site: Site, index: Index) -> None:
        self.site = site
        self.index = index
        index.name_archive(ARCHIVE).result()
        self.camera_id = index.add_camera("gate", NOON_US).result()
        self.volume_id = index.add_volume("main", VOLUME).result()
        self.number = 0

    def run(self, start_us: int, *, ended_us: int | None = None, epoch: int = 0) -> int:
        """Begin (and end) a run."""
        number = self.index.next_run(start_us)
        run = Run(number, self.camera_id, "gate", start_us, "connected", epoch, "stream", start_us)
        self.index.begin_run(run).result()
        if ended_us is not None:
            self.index.end_run(number, ended_us, "shutdown").result()
        return number

    def segment(
        self,
        run: int,
        seq: int,
        start_us: int,
        frames: int = 50,
        *,
        width: int = 64,
        height: int = 48,
        recovered: bool = False,
        state: SegmentState = SegmentState.OK,
        entered: bool = True,
        labelled: bool = False,
    ) -> Path:
        """Write a file of `frames` pictures, a tenth of a second each, and enter it (or leave it growing)."""
        name = segment_path("gate", start_us, run, seq)
        path = self.site.footage / (name if entered else f"{name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        made = pictures(frames, width, height)
        file = DurableFile.create(path, Disk())
        mp4 = Mp4File(file, made[0].vol, Fraction(1, _TICKS), {"title": "gate"})
        for at, unit in enumerate(made):
            mp4.add(unit.data, at * _TICKS // FPS, _TICKS // FPS, unit.key)
        if entered:
            mp4.close()
        else:
            mp4.abandon()
        file.close()
        duration_us = frames * US // FPS
        if labelled:
            with path.open("ab") as tail:
                tail.write(label.pack(_label(run, seq, start_us, start_us + duration_us, frames)))
        if entered:
            self.index.add_segment(
                SegmentRow(
                    self.camera_id,
                    run,
                    seq,
                    self.volume_id,
                    start_us,
                    start_us + duration_us,
                    frames,
                    path.stat().st_size,
                    Fraction(1, _TICKS),
                    0,
                    frames * _TICKS // FPS,
                    recovered,
                    state,
                )
            ).result()
        return path

    def film(self, day: int) -> Path:
        """Enter a film of this day after NOON's; its bytes are nobody's."""
        start_us = NOON_US // _DAY_US * _DAY_US + day * _DAY_US
        name = timelapse_path("gate", day_of(start_us))
        path = self.site.footage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        self.index.add_film(FilmRow(self.camera_id, self.volume_id, start_us, name, 1, 1000, 1440)).result()
        return path

    def gap(
        self, reason: str, start_us: int, end_us: int | None, kind: SpanKind = SpanKind.GAP, *, epoch: int = 0
    ) -> None:
        self.index.put_spans(self.camera_id, [PutSpan(Span(kind, reason, start_us, end_us, epoch))]).result()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@dataclass
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def nvr(site: Site, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command in this process with this site's configuration."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = answer([*map(str, words), "--config", str(site.config)])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC unless a test says otherwise."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def simulated_camera() -> Iterator[int]:
    """The HTTP port of a camera."""
    words = [
        NVR,
        "simulate",
        "--http-port",
        "0",
        "--alarm-port",
        "0",
        "--frame-size",
        "qvga",
        "--restart-seconds",
        "0.2",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(json.loads(process.stdout.readline())["cameras"][0]["http_port"])
        finally:
            process.terminate()


@pytest.fixture
def place(tmp_path: Path, simulated_camera: int, capsys: pytest.CaptureFixture[str]) -> Place:
    place = Place(tmp_path, simulated_camera, capsys)
    place.configure()
    password = tmp_path / "gate.password"
    password.write_text("jvc\n")
    password.chmod(0o600)
    return place

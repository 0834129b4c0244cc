"""`nvr demo`: two simulated cameras and the daemon on this machine, and what became of them."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final

import typer

from nvr import config
from nvr.cli.archive import FIRST_US, LAST_US, segments
from nvr.cli.daemon import ask
from nvr.cli.errors import NotWellError
from nvr.cli.printing import print_table, size_text
from nvr.store.reader import Reader, open_reader
from nvr.store.rows import SpanKind
from nvr.units import US

_FOLDER: Final = Path("demo-data")
_CAMERAS: Final = ("gate", "yard")
_START_S: Final = 15.0
_STOP_S: Final = 8.0
_ALARM_EVERY_S: Final = 12.0
_ALARM_FOR_S: Final = 3.0
_VIEWS: Final = ((0, 500, 0), (9_000, 1_500, 2_000), (18_000, 900, 4_500), (27_000, 2_500, 0))
"""Pan, tilt and zoom in hundredths, one after the other."""


def demo(seconds: float | None, folder: Path | None) -> int:
    """Records two simulated cameras until Ctrl-C, or for so many seconds; 0 where both were recorded.

    Raises NotWellError where simulator or daemon do not come up.
    """
    home = (folder or _FOLDER).absolute()
    home.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    with _signals(stop), contextlib.ExitStack() as processes:
        cameras = processes.enter_context(_simulator(home))
        metrics_port = _free_port()
        config_file = _write_config(home, cameras, metrics_port)
        settings = config.load(config_file)
        processes.enter_context(_daemon(home, config_file, settings))
        _tell_where(home, config_file, metrics_port, cameras, seconds)
        _liven(stop, cameras, settings, seconds)
    return _tell_what(open_reader(settings.data_dir), home)


@dataclass(frozen=True, slots=True)
class _Cameras:
    ports: list[tuple[int, int]]
    """HTTP and alarms of each."""
    control_port: int

    def ask(self, number: int, what: str) -> None:
        """The door behind camera `number` (from 1); one that does not answer spoils no demo."""
        with contextlib.suppress(urllib.error.URLError, TimeoutError, ConnectionError):
            url = f"http://127.0.0.1:{self.control_port}/simulator/{number}/{what}"
            urllib.request.urlopen(url, timeout=2).close()


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop`; the children are not of this terminal's group and are ended in order."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _simulator(home: Path) -> Iterator[_Cameras]:
    command = [sys.executable, "-m", "nvr.simulator", "--cameras", str(len(_CAMERAS)), "--control-port", "0"]
    with (home / "simulator.log").open("w") as log, _running(command, log, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - asked for
        said = process.stdout.readline()
        try:
            ports = json.loads(said)
        except ValueError:
            raise NotWellError(f"the simulated cameras did not start; {log.name} says why") from None
        doors = [(camera["http_port"], camera["alarm_port"]) for camera in ports["cameras"]]
        yield _Cameras(doors, ports["control_port"])


@contextlib.contextmanager
def _daemon(home: Path, config_file: Path, settings: config.Config) -> Iterator[None]:
    command = [sys.executable, "-m", "nvr.cli", "run", "--config", str(config_file)]
    with (home / "nvr.log").open("w") as log, _running(command, log) as process:
        deadline = time.monotonic() + _START_S
        while ask(settings.data_dir, "/api/v1/status") is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotWellError(f"the daemon did not start: {_last_line(Path(log.name))}")
            time.sleep(0.05)
        yield


@contextlib.contextmanager
def _running(command: list[str], log: IO[str], stdout: int | IO[str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A child that is asked to end, and after `_STOP_S` made to."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        command, stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _write_config(home: Path, cameras: _Cameras, metrics_port: int) -> Path:
    lines = [
        f"data_dir = {json.dumps(str(home / 'data'))}",
        "[[volume]]",
        'name = "demo"',
        f"path = {json.dumps(str(home / 'footage'))}",
        'keep_free = "200MB"',
        "[recording]",
        "segment_seconds = 10",
        "pre_seconds = 4",
        "post_seconds = 4",
        "[metrics]",
        f'listen = "127.0.0.1:{metrics_port}"',
    ]
    for name, (http_port, alarm_port) in zip(_CAMERAS, cameras.ports, strict=True):
        lines += [f"[camera.{name}]", 'host = "127.0.0.1"', f"http_port = {http_port}", f"alarm_port = {alarm_port}"]
    lines += ["[[rule]]", 'name = "door"', 'when = ["m1"]']
    path = home / "config.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"{log} is empty"


def _tell_where(home: Path, config_file: Path, metrics_port: int, cameras: _Cameras, seconds: float | None) -> None:
    until = "until Ctrl-C" if seconds is None else f"for {seconds:g} seconds"
    seen = ", ".join(f"{name} at 127.0.0.1:{http}" for name, (http, _) in zip(_CAMERAS, cameras.ports, strict=True))
    typer.echo(f"nvr records two simulated cameras {until}: {seen}\n")
    for what, where in (
        ("footage", f"{home / 'footage'}/<camera>/<year>/<month>/<day>/   plays in any player, also while it grows"),
        ("metrics", f"http://127.0.0.1:{metrics_port}/metrics"),
        ("log", str(home / "nvr.log")),
        ("ask it", f"nvr status --config {config_file}"),
        ("", f"nvr footage coverage --camera {_CAMERAS[0]} --config {config_file}"),
        ("", f"nvr clips list --config {config_file}"),
    ):
        typer.echo(f"  {what:8} {where}")
    typer.echo()


def _liven(stop: threading.Event, cameras: _Cameras, settings: config.Config, seconds: float | None) -> None:
    """Moves a camera and raises an alarm now and then; shows once a second how it goes, on a terminal."""
    begun = time.monotonic()
    views = cycle(_VIEWS)
    next_alarm = begun + _ALARM_EVERY_S / 3
    while not stop.is_set():
        now = time.monotonic()
        if seconds is not None and now - begun >= seconds:
            break
        if now >= next_alarm:
            next_alarm = now + _ALARM_EVERY_S
            _raise_alarm(cameras, next(views))
        if sys.stdout.isatty():
            _show_state(settings)
        stop.wait(min(1.0, 1.0 if seconds is None else max(0.05, begun + seconds - now)))
    if sys.stdout.isatty():
        typer.echo()


def _raise_alarm(cameras: _Cameras, view: tuple[int, int, int]) -> None:
    """Input 1 of the first camera closes for a moment, and the second camera looks elsewhere."""
    pan, tilt, zoom = view
    cameras.ask(1, "pin?1=make")
    cameras.ask(2, f"look?pan={pan}&tilt={tilt}&zoom={zoom}")
    release = threading.Timer(_ALARM_FOR_S, cameras.ask, (1, "pin?1=break"))
    release.daemon = True
    release.start()


def _show_state(settings: config.Config) -> None:
    told: dict[str, Any] | None = ask(settings.data_dir, "/api/v1/status")
    if told is None:
        return
    words = [
        f"{camera['camera']} {camera['state']} {camera['fps']:.0f} fps pan {camera['pan_degrees'] or 0:.0f}"
        for camera in told["cameras"]
    ]
    sys.stdout.write("\r\x1b[K  " + "  |  ".join(words))
    sys.stdout.flush()


def _tell_what(reader: Reader, home: Path) -> int:
    """What was recorded; 0 where every camera was."""
    rows = []
    well = True
    for name in _CAMERAS:
        found = list(segments(reader, name, FIRST_US, LAST_US))
        gaps = [span for span in reader.spans_between(name, FIRST_US, LAST_US) if span.kind is SpanKind.GAP]
        gap_s = sum(span.end_us - span.start_us for span in gaps if span.end_us is not None) / US
        frames = sum(segment.row.frames for segment in found)
        well = well and frames > 0
        recorded_s = sum(segment.row.end_us - segment.row.start_us for segment in found) / US
        size = size_text(sum(segment.row.size_bytes for segment in found))
        clips = len(reader.clips_between(name, FIRST_US, LAST_US))
        rows.append((name, len(found), frames, f"{recorded_s:.1f} s", size, f"{gap_s:.1f} s", clips))
    typer.echo("recorded:")
    print_table(("camera", "segments", "frames", "recorded", "size", "gaps", "clips"), rows)
    typer.echo(f"\nin {home / 'footage'}")
    return 0 if well else 1

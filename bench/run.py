"""nvr beside one `ffmpeg -c copy -f segment` per camera: CPU per camera-hour and memory per camera, taken in turns.

    python -m bench.run                       # the figures: 1, 10 and 50 cameras, three rounds, one minute each
    python -m bench.run --quick --cameras 10  # a look

Exit code 0: every target met; 1: one was missed; 2: a run was not valid (nothing recorded, pictures lost).
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import procs

_SCRAPE_S = 15  # Prometheus' usual interval: being scraped is part of the work
_STOP_S = 30
_KEPT_AT_LEAST = 0.95  # of what was sent: up to a second at the start may go by before the first I-VOP
_SEGMENT_S = 60


@dataclass(frozen=True)
class Target:
    """nvr's share of what ffmpeg takes for the same cameras, at most."""

    cpu: float
    memory: float | None


TARGETS = {1: Target(0.60, None), 10: Target(0.40, None), 50: Target(0.30, 0.30)}


@dataclass(frozen=True)
class Figures:
    """One recorder's steady state over one window."""

    recorder: str
    cameras: int
    cpu_s_per_camera_hour: float
    pss_bytes_per_camera: float
    private_bytes_per_camera: float
    kept: float
    """Bytes on disk after an orderly stop, as a share of the picture bytes sent."""
    held_up: int
    """How often a camera could not send a picture at once."""


class NotValid(Exception):
    """This run says nothing about cost, because the recorder did not do its work."""


@dataclass(frozen=True)
class Load:
    """A running source."""

    cameras: list[dict[str, int]]

    def said(self) -> dict[str, int]:
        """The source's statistics since its start."""
        answer: dict[str, int] = json.loads(_fetched(f"http://127.0.0.1:{self.cameras[0]['http_port']}/stats"))
        return answer


@contextmanager
def load(cameras: int, motion: str, seconds: float) -> Iterator[Load]:
    """A source of that many cameras; ends with the block, and by itself after that long."""
    command = [sys.executable, "-m", "bench.source"]
    command += ["--cameras", str(cameras), "--motion", motion, "--seconds", str(seconds)]
    home = Path(__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=home) as source:
        try:
            assert source.stdout is not None
            yield Load(json.loads(source.stdout.readline())["cameras"])
        finally:
            source.terminate()


class FfmpegPerCamera:
    """The plainest recorder: a process per camera that copies its bare stream into one MP4 a minute."""

    name = "ffmpeg"

    def __init__(self, where: Path, cameras: list[dict[str, int]]) -> None:
        self._processes = [self._recording(where / f"c{n:02}", c["http_port"]) for n, c in enumerate(cameras)]

    @staticmethod
    def _recording(where: Path, port: int) -> subprocess.Popen[bytes]:
        where.mkdir()
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "m4v", "-i", f"http://127.0.0.1:{port}/raw"]
        command += ["-c", "copy", "-f", "segment", "-segment_time", str(_SEGMENT_S), "-reset_timestamps", "1"]
        return subprocess.Popen([*command, "out-%05d.mp4"], cwd=where)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def attend(self) -> None:
        if any(process.poll() is not None for process in self._processes):
            raise NotValid("an ffmpeg ended by itself")

    def stop(self) -> None:
        _stop(self._processes, signal.SIGINT)


class Nvr:
    """One `nvr run` with its defaults: index, metrics, syncing, PTZ."""

    name = "nvr"
    ptz_track = True

    def __init__(self, where: Path, cameras: list[dict[str, int]]) -> None:
        self._log = where / "nvr.log"
        self._metrics_port = _free_port()
        footage = where / "footage"
        footage.mkdir()
        config = where / "config.toml"
        config.write_text(self.configuration(where, footage, cameras, self._metrics_port))
        command = [str(Path(sys.executable).parent / "nvr"), "run", "--config", str(config)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=where, stdout=log, stderr=subprocess.STDOUT)

    def configuration(self, where: Path, footage: Path, cameras: list[dict[str, int]], metrics_port: int) -> str:
        return _configuration(where, footage, cameras, metrics_port, self.ptz_track)

    def metric(self, name: str) -> list[float]:
        """The values of a metric, whatever their labels; none while it does not answer."""
        try:
            page = _fetched(f"http://127.0.0.1:{self._metrics_port}/metrics").decode()
        except OSError:
            return []
        return [float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", page, re.MULTILINE)]

    @property
    def pids(self) -> list[int]:
        return procs.family(self._process.pid)

    def attend(self) -> None:
        """Scrapes it, as its Prometheus would."""
        if self._process.poll() is not None:
            raise NotValid(f"nvr ended by itself: {self._log.read_text()[-2000:]}")
        try:
            _fetched(f"http://127.0.0.1:{self._metrics_port}/metrics")
        except OSError as trouble:
            raise NotValid(f"nvr gives no metrics: {trouble}: {self._log.read_text()[-2000:]}") from trouble

    def stop(self) -> None:
        _stop([self._process], signal.SIGTERM)


Recorder = type[FfmpegPerCamera] | type[Nvr]


def _configuration(
    where: Path, footage: Path, cameras: list[dict[str, int]], metrics_port: int, ptz_track: bool = True
) -> str:
    head = f"""
data_dir = "{where / "data"}"

[[volume]]
name = "main"
path = "{footage}"
keep_free = "100MB"

[recording]
segment_seconds = {_SEGMENT_S}
ptz_track = {str(ptz_track).lower()}

[metrics]
listen = "127.0.0.1:{metrics_port}"
"""
    each = (
        f"""
[camera.c{number:02}]
host = "127.0.0.1"
http_port = {ports["http_port"]}
alarm_port = {ports["alarm_port"]}
record = "continuous"
"""
        for number, ports in enumerate(cameras)
    )
    return head + "".join(each)


def measured(recorder: Recorder, source: Load, where: Path, warm_up_s: float, window_s: float) -> Figures:
    """Starts the recorder, lets it settle, measures one window, stops it and looks at what it kept."""
    before = source.said()
    running = recorder(where, source.cameras)
    try:
        _attended(running, warm_up_s)
        begun, cpu_begun = time.monotonic(), sum(map(procs.family_cpu_s, _roots(running)))
        _attended(running, window_s)
        cpu_s = sum(map(procs.family_cpu_s, _roots(running))) - cpu_begun
        took_s = time.monotonic() - begun
        pss, private = (sum(map(ask, running.pids)) for ask in (procs.pss_bytes, procs.private_bytes))
        after = source.said()
    finally:
        running.stop()
    if after["cut_off"] > before["cut_off"]:
        raise NotValid(f"{recorder.name} fell so far behind that a camera hung up")
    kept = _footage_bytes(where) / (after["picture_bytes"] - before["picture_bytes"])
    if kept < _KEPT_AT_LEAST:
        raise NotValid(f"{recorder.name} kept only {kept:.1%} of what it was sent")
    count = len(source.cameras)
    return Figures(
        recorder=recorder.name,
        cameras=count,
        cpu_s_per_camera_hour=cpu_s / took_s / count * 3600,
        pss_bytes_per_camera=pss / count,
        private_bytes_per_camera=private / count,
        kept=kept,
        held_up=after["held_up"] - before["held_up"],
    )


def _roots(running: FfmpegPerCamera | Nvr) -> list[int]:
    """The processes started here; their families are counted with them."""
    return running.pids if isinstance(running, FfmpegPerCamera) else running.pids[:1]


def _attended(running: FfmpegPerCamera | Nvr, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while (left_s := ends - time.monotonic()) > 0:
        time.sleep(min(left_s, _SCRAPE_S))
        running.attend()


def _stop(processes: Sequence[subprocess.Popen[bytes]], how: signal.Signals) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(how)
    ends = time.monotonic() + _STOP_S
    for process in processes:
        try:
            process.wait(max(0.1, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _footage_bytes(where: Path) -> int:
    return sum(path.stat().st_size for path in where.rglob("*.mp4*"))


def _fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        body: bytes = answer.read()
    return body


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port


@contextmanager
def _fresh_directory(under: Path) -> Iterator[Path]:
    """Empty, on a real disk, gone afterwards; what earlier runs wrote has left the page cache's queue before."""
    where = Path(tempfile.mkdtemp(prefix="nvr-bench-", dir=under))
    try:
        os.sync()
        yield where
    finally:
        shutil.rmtree(where, ignore_errors=True)


def compared(cameras: int, asked: argparse.Namespace) -> list[Figures]:
    """All rounds at one number of cameras, the two recorders in turns."""
    recorders: list[Recorder] = [FfmpegPerCamera, Nvr]
    if asked.only:
        recorders = [r for r in recorders if r.name == asked.only]
    bound_s = asked.rounds * len(recorders) * (asked.warm_up + asked.window + 2 * _STOP_S + 30)
    found = []
    with load(cameras, asked.motion, bound_s) as source:
        for number in range(asked.rounds):
            # Whoever goes second finds the machine as the other left it: take turns in that, too.
            for recorder in recorders if number % 2 == 0 else recorders[::-1]:
                with _fresh_directory(asked.dir) as where:
                    figures = measured(recorder, source, where, asked.warm_up, asked.window)
                _say(f"  round {number + 1}  {_line(figures)}")
                found.append(figures)
    return found


def _line(f: Figures) -> str:
    return (
        f"{f.recorder:7}{f.cameras:4} cameras  {f.cpu_s_per_camera_hour:6.2f} CPU-s per camera-hour  "
        f"{f.pss_bytes_per_camera / 1e6:6.2f} MB PSS per camera  kept {f.kept:.1%}  held up {f.held_up}"
    )


@dataclass(frozen=True)
class Verdict:
    """nvr against ffmpeg at one number of cameras: medians of the rounds' own ratios."""

    cameras: int
    cpu_ratio: float
    memory_ratio: float
    target: Target | None

    @property
    def met(self) -> bool:
        if self.target is None:
            return True
        memory_met = self.target.memory is None or self.memory_ratio <= self.target.memory
        return self.cpu_ratio <= self.target.cpu and memory_met


def verdict(cameras: int, found: Sequence[Figures]) -> Verdict | None:
    """None where one of the two was not measured."""
    ours = [f for f in found if f.recorder == Nvr.name]
    theirs = [f for f in found if f.recorder == FfmpegPerCamera.name]
    if not ours or not theirs:
        return None
    pairs = list(zip(ours, theirs, strict=True))
    return Verdict(
        cameras=cameras,
        cpu_ratio=statistics.median(o.cpu_s_per_camera_hour / t.cpu_s_per_camera_hour for o, t in pairs),
        memory_ratio=statistics.median(o.pss_bytes_per_camera / t.pss_bytes_per_camera for o, t in pairs),
        target=TARGETS.get(cameras),
    )


def summary(found: Sequence[Figures]) -> list[str]:
    """The table: medians and spread of each recorder at each number of cameras."""
    lines = [
        "| recorder | cameras | CPU-s per camera-hour (min-max) | PSS per camera, MB (min-max) |",
        "|---|---|---|---|",
    ]
    for cameras, name in dict.fromkeys((f.cameras, f.recorder) for f in found):
        these = [f for f in found if f.cameras == cameras and f.recorder == name]
        cpu = _spread([f.cpu_s_per_camera_hour for f in these])
        pss = _spread([f.pss_bytes_per_camera / 1e6 for f in these])
        lines.append(f"| {name} | {cameras} | {cpu} | {pss} |")
    return lines


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _told(v: Verdict) -> str:
    if v.target is None:
        aimed_at = "no target"
    else:
        memory = "" if v.target.memory is None else f", memory {v.target.memory:.2f}"
        aimed_at = f"target CPU {v.target.cpu:.2f}{memory}: {'met' if v.met else 'MISSED'}"
    return f"nvr / ffmpeg at {v.cameras} cameras: CPU {v.cpu_ratio:.3f}, memory {v.memory_ratio:.3f}  ({aimed_at})"


def _machine() -> dict[str, str | int | None]:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    ffmpeg = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout
    return {
        "cpu": models[0].partition(":")[2].strip() if models else None,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "ffmpeg": ffmpeg.split()[2],
    }


def _is_in_memory(path: Path) -> bool:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    real = path.resolve()
    _, kind = max(((len(at), kind) for at, kind in mounts if real.is_relative_to(at)), default=(0, ""))
    return kind in ("tmpfs", "ramfs")


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description="nvr beside one ffmpeg per camera.")
    parser.add_argument("--cameras", default="1,10,50", help="numbers of cameras, comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=float, default=15, help="seconds; nvr reads eagerly in the first ten")
    parser.add_argument("--window", type=float, default=_SEGMENT_S, help="seconds; a minute holds one seal per camera")
    parser.add_argument("--quick", action="store_true", help="one round of 20 s: a look, no figure")
    parser.add_argument("--motion", choices=("rest", "patrol", "sweep"), default="rest")
    parser.add_argument("--only", choices=("ffmpeg", "nvr"), help="measure one alone")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where footage goes meanwhile; a real disk")
    parser.add_argument("--json", type=Path, help="all figures go to this file, too")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.window = 1, 20.0
    if _is_in_memory(asked.dir):
        parser.error(f"{asked.dir} is in memory: syncing costs nothing there; name a directory on a disk with --dir")

    # An ended bench must end what it started: SIGTERM unwinds like an exit.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    found: list[Figures] = []
    verdicts: list[Verdict] = []
    try:
        for cameras in map(int, asked.cameras.split(",")):
            _say(f"{cameras} cameras, {asked.rounds} rounds of {asked.window:.0f} s")
            these = compared(cameras, asked)
            found += these
            if judged := verdict(cameras, these):
                verdicts.append(judged)
    except NotValid as trouble:
        _say(f"not valid: {trouble}")
        return 2

    _say("\n".join(["", *summary(found), "", *map(_told, verdicts)]))
    if asked.json:
        report = {
            "machine": _machine(),
            "figures": [asdict(f) for f in found],
            "verdicts": [asdict(v) for v in verdicts],
        }
        asked.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if all(v.met for v in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

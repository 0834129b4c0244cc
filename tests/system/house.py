"""The daemon as a process: its configuration, its life, and what its commands say."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any, Final

from nvr.cli.daemon import ask
from nvr.cli.errors import NotWellError
from nvr.store.reader import Reader, open_reader
from tests.system.world import closed_port

NVR: Final = Path(sys.executable).parent / "nvr"

_STARTED_S: Final = 20.0
_STEP_S: Final = 0.05
_ENDED_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of `nvr footage coverage --json`; microseconds UTC."""

    kind: str
    start_us: int
    end_us: int
    reason: str | None


class _Shell:
    """A process that answers one command after the other as `nvr` would: a Python that starts takes half a second."""

    _SERVE: Final = """
import contextlib, io, json, sys
from nvr.cli.main import answer
for line in sys.stdin:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = answer(json.loads(line))
    print(json.dumps([code, out.getvalue()]), flush=True)
"""

    def __init__(self) -> None:
        self._one_at_a_time = Lock()
        self._process: subprocess.Popen[str] | None = None

    def answer(self, words: list[str]) -> tuple[int, str]:
        with self._one_at_a_time:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", self._SERVE],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
            code, told = json.loads(self._process.stdout.readline())
        return code, told

    def end(self) -> None:
        """Ends the process, where there is one."""
        if self._process is not None:
            self._process.communicate(timeout=_ENDED_S)
            self._process = None


_shell: Final = _Shell()


def end_shell() -> None:
    """No command is to be answered any more; the process that did ends."""
    _shell.end()


@dataclass(slots=True)
class House:
    """One data directory with its configuration; `start` runs the daemon on it."""

    folder: Path
    cameras: Mapping[str, Mapping[str, object]]
    """By name, each with at least http_port."""
    volumes: Mapping[str, Path] = field(default_factory=dict)
    """By name; none: one called main."""
    segment_seconds: float = 1
    sync_seconds: float = 1
    data_dir: Path = Path()
    """Left out: below the folder."""
    config: Path = field(init=False)
    metrics_port: int = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = self.folder / "data" if self.data_dir == Path() else self.data_dir
        self.config = self.folder / "config.toml"
        self.metrics_port = closed_port()
        self.volumes = self.volumes or {"main": self.folder / "footage"}
        self.configure(self.cameras)

    def configure(self, cameras: Mapping[str, Mapping[str, object]]) -> None:
        """Writes the configuration with these cameras; the next start reads it."""
        self.cameras = cameras
        self.write_config(self._text())

    def write_config(self, text: str) -> None:
        """As an editor saves it: a daemon that reads meanwhile sees the one file or the other."""
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config)

    def start(self, environment: Mapping[str, str] | None = None, under: Sequence[str] = ()) -> "Daemon":
        """Starts the daemon, by the command `under` where one is given; it may still be starting when this returns."""
        return Daemon(self, environment or {}, under)

    def command(self, *words: str) -> tuple[int, str]:
        """Exit code and what a command prints; --config is added."""
        return _shell.answer([*words, "--config", str(self.config)])

    def coverage(self, camera: str) -> list[Span]:
        """What became of every moment since the camera was configured. Asserts that it is seamless and known."""
        code, told = self.command("footage", "coverage", "--camera", camera, "--json")
        now_us = time.time_ns() // 1000
        assert code == 0, f"coverage of {camera}: exit code {code}"
        spans = [Span(one["kind"], us_of(one["start"]), us_of(one["end"]), one["reason"]) for one in json.loads(told)]
        check_seamless(spans, camera)
        assert spans[0].start_us == self.configured_us(camera)
        assert now_us - 5_000_000 < spans[-1].end_us <= now_us, f"coverage of {camera} does not end now"
        return spans

    def configured_us(self, camera: str) -> int:
        known = self.reader().camera(camera)
        assert known is not None
        return known.configured_at_us

    def reader(self) -> Reader:
        """The index, whether or not a daemon runs."""
        return open_reader(self.data_dir)

    def volume_path(self, volume: str) -> Path:
        return self.volumes[volume]

    def footage_of(self, camera: str) -> list[Path]:
        """The camera's complete files."""
        return [file for path in self.volumes.values() for file in (path / camera).rglob("*.mp4")]

    def files(self) -> set[Path]:
        """Every file below the volumes but their identities."""
        found: set[Path] = set()
        for path in self.volumes.values():
            found |= {file for file in path.rglob("*") if file.is_file() and file.parent != path}
        return found

    def _text(self) -> str:
        lines = [f'data_dir = "{self.data_dir}"']
        for name, path in self.volumes.items():
            lines += ["[[volume]]", f'name = "{name}"', f'path = "{path}"', 'keep_free = "1MB"']
        lines += ["[recording]", f"segment_seconds = {self.segment_seconds}", f"sync_seconds = {self.sync_seconds}"]
        lines += ["[metrics]", f'listen = "127.0.0.1:{self.metrics_port}"']
        for name, keys in self.cameras.items():
            lines += [f"[camera.{name}]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in ({"host": "127.0.0.1"} | dict(keys)).items()]
        return "\n".join(lines) + "\n"


class Daemon:
    """`nvr run` on a house, from its start to its end. Ends only itself."""

    def __init__(self, house: House, environment: Mapping[str, str], under: Sequence[str] = ()) -> None:
        self.house = house
        self.log_path = house.folder / f"log-{time.monotonic_ns()}.jsonl"
        self.started_us = time.time_ns() // 1000
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [*under, NVR, "run", "--config", house.config, "--log-format", "json"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | environment,
            )

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(_ENDED_S)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def status(self) -> dict[str, Any] | None:
        """As `nvr status --json`; None while it does not answer yet."""
        try:
            told: dict[str, Any] | None = ask(self.house.data_dir, "/api/v1/status")
        except NotWellError:
            return None
        return told

    def states(self) -> dict[str, dict[str, Any]]:
        """What status says of each camera; empty while the daemon does not answer."""
        told = self.status()
        return {} if told is None else {camera["camera"]: camera for camera in told["cameras"]}

    def wait_for(self, what: str, holds: Callable[[dict[str, dict[str, Any]]], bool], within_s: float) -> float:
        """Waits until the cameras' states are so; seconds it took."""
        begun_s = time.monotonic()
        while not holds(states := self.states()):
            assert not self.ended, f"the daemon ended ({self._process.returncode}) before {what}:\n{self.log_text()}"
            waited_s = time.monotonic() - begun_s
            assert waited_s < within_s, f"not {what} within {within_s:g} s: {_brief(states)}\n{self.log_text()[-6000:]}"
            time.sleep(_STEP_S)
        return time.monotonic() - begun_s

    def wait_recording(self, cameras: Iterable[str] | None = None, within_s: float = _STARTED_S) -> float:
        """Waits until these cameras (all) are recorded; seconds it took."""
        names = set(self.house.cameras if cameras is None else cameras)
        return self.wait_for(
            f"recording {', '.join(sorted(names))}",
            lambda states: bool(states) and all(states[name]["state"] == "recording" for name in names),
            within_s,
        )

    def terminate(self) -> tuple[int, float]:
        """SIGTERM; exit code, and seconds until the process was gone."""
        begun_s = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(_ENDED_S)
        return code, time.monotonic() - begun_s

    def terminate_main_thread(self) -> float:
        """SIGTERM; seconds until nothing of the process runs any more but calls that cannot be interrupted."""
        begun_s = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        stat = Path(f"/proc/{self.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() - begun_s < _ENDED_S, "it does not end"
            time.sleep(_STEP_S)
        return time.monotonic() - begun_s

    def kill(self) -> int:
        """SIGKILL; the moment, microseconds UTC."""
        at_us = time.time_ns() // 1000
        self._process.kill()
        self._process.wait(_ENDED_S)
        return at_us

    def wait(self, within_s: float) -> int:
        """The exit code of a daemon that ends by itself."""
        return self._process.wait(within_s)

    def log_text(self) -> str:
        return self.log_path.read_text(errors="replace")

    def log(self) -> list[dict[str, Any]]:
        """What it said, one entry a line. Asserts that it said nothing else and no traceback."""
        entries = []
        for line in self.log_text().splitlines():
            assert line.startswith("{"), f"not a line of the log: {line!r}\n{self.log_text()[-4000:]}"
            entry = json.loads(line)
            assert "traceback" not in entry, entry["traceback"]
            assert "bug" not in entry["message"], entry
            entries.append(entry)
        return entries

    def memory_bytes(self) -> int:
        """What it holds in memory (RSS)."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


def check_seamless(spans: list[Span], camera: str) -> None:
    """Recorded, off and gaps meet without a hole, and nothing is unknown."""
    assert spans, f"no coverage of {camera}"
    for before, after in pairwise(spans):
        assert before.end_us == after.start_us, f"{camera}: {before} and {after} do not meet"
    for span in spans:
        assert span.start_us < span.end_us, f"{camera}: {span}"
        assert span.kind in ("recorded", "off", "gap"), f"{camera}: {span}"
        assert (span.reason is None) is (span.kind == "recorded"), f"{camera}: {span}"
        assert span.reason != "unknown", f"{camera}: {span} among {spans}"


def us_of(iso: str) -> int:
    """Microseconds UTC of a time in JSON."""
    at = datetime.fromisoformat(iso)
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def _brief(states: Mapping[str, Mapping[str, Any]]) -> str:
    return "; ".join(f"{name} {state['state']} ({state['reason']})" for name, state in states.items())

"""What alarms cost: from a report on the wire to the committed clip row, and what the rings weigh.

    python -m bench.alarms
    python -m bench.alarms --alarms 100 --rounds 1     # a look, no figure

Latency: cameras are recorded continuously, one after the other reports its input 1, and the index is watched for the
clip's row. Memory: the same cameras wait for alarms with ten seconds before each in memory; what that adds to the
daemon is held against the bytes of the video itself, which the daemon's own metrics say.
"""

import argparse
import math
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from bench import procs
from bench.run import Load, NotValid, Nvr, _attended, _configuration, _fetched, _fresh_directory, load
from nvr.store.schema import INDEX_NAME

MEDIAN_MOST_MS: Final = 50.0
P99_MOST_MS: Final = 250.0
RING_MOST: Final = 1.3
"""Memory of the rings to the bytes of video in them."""

_PRE_S: Final = 10
_POST_S: Final = 1
_READY_S: Final = 60
_PATIENCE_S: Final = 10
_LOOK_S: Final = 0.0005
_MORE: Final = 60  # seconds beside what is measured, at most


class NvrWithRule(Nvr):
    """A daemon with a rule for input 1 of every camera."""

    record = "continuous"
    pre_seconds: float = _PRE_S

    def configuration(self, where: Path, footage: Path, cameras: list[dict[str, int]], metrics_port: int) -> str:
        text = _configuration(where, footage, cameras, metrics_port, self.ptz_track)
        text = text.replace('record = "continuous"', f'record = "{self.record}"')
        text = text.replace("[recording]", f"[recording]\npre_seconds = {self.pre_seconds}\npost_seconds = {_POST_S}")
        return text + '\n[[rule]]\nname = "door"\nwhen = ["m1"]\nwhile_active = false\n'


class NvrThatWaits(NvrWithRule):
    """Every camera waits for an alarm, with the seconds before it in memory."""

    record = "alarm"


class NvrThatWaitsForShort(NvrThatWaits):
    """The same with as little before an alarm as there can be."""

    pre_seconds = 0


def latencies_ms(cameras: int, alarms: int, where: Path) -> list[float]:
    """From each report on the wire to its clip's row, committed."""
    dice = random.Random(cameras)
    found: list[float] = []
    with load(cameras, "rest", alarms * 2 + _MORE) as source:
        running = NvrWithRule(where, source.cameras)
        try:
            _wait_until_all(running, "nvr_camera_alarm_link_up", cameras)
            _wait_until_all(running, "nvr_camera_connected", cameras)
            _attended(running, _PRE_S)
            with closing(sqlite3.connect(f"file:{where / 'data' / INDEX_NAME}?mode=ro", uri=True)) as index:
                turn = dice.sample(range(cameras), cameras)
                for number in (turn * (alarms // cameras + 1))[:alarms]:
                    found.append(_one_ms(source, number, index))
                    _told(source, number, "break")
                    time.sleep(
                        _POST_S * 2 / cameras + dice.uniform(0.02, 0.2)
                    )  # the camera's clip ends before its turn
            running.attend()
        finally:
            running.stop()
    return found


def _one_ms(source: Load, number: int, index: sqlite3.Connection) -> float:
    before = _clips(index)
    sent_ns = _told(source, number, "make")
    ends = time.monotonic() + _PATIENCE_S
    version = None
    while time.monotonic() < ends:
        if (now := index.execute("PRAGMA data_version").fetchone()[0]) != version:
            version = now
            if _clips(index) > before:
                return (time.monotonic_ns() - sent_ns) / 1e6
        time.sleep(_LOOK_S)
    raise NotValid(f"an alarm of camera {number} made no clip in {_PATIENCE_S} s")


def _clips(index: sqlite3.Connection) -> int:
    return int(index.execute("SELECT count(*) FROM clip WHERE continues IS NULL").fetchone()[0])


def _told(source: Load, number: int, state: str) -> int:
    return int(_fetched(f"http://127.0.0.1:{source.cameras[number]['http_port']}/alarm?{state}"))


def ring_ratio(cameras: int, where: Path) -> tuple[float, float]:
    """Memory that ten seconds before an alarm add to the daemon, to the bytes of their video; and those in MB."""
    weights = []
    for recorder in (NvrThatWaitsForShort, NvrThatWaits):
        folder = where / recorder.__name__
        folder.mkdir()
        with load(cameras, "rest", 3 * _PRE_S + 2 * _MORE) as source:
            running = recorder(folder, source.cameras)
            try:
                _wait_until_all(running, "nvr_camera_connected", cameras)
                _attended(running, 2 * _PRE_S + 5)  # full rings, and the eager reading of the first ten seconds is over
                video = sum(running.metric("nvr_prebuffer_bytes"))
                if recorder is NvrThatWaits and min(running.metric("nvr_prebuffer_seconds")) < _PRE_S:
                    raise NotValid("a ring does not reach back as far as it should")
                weights.append((procs.private_bytes(running.pids[0]), video))
            finally:
                running.stop()
    (short_bytes, short_video), (bytes_, video) = weights
    return (bytes_ - short_bytes) / (video - short_video), (video - short_video) / 1e6


def _wait_until_all(running: Nvr, metric: str, cameras: int) -> None:
    ends = time.monotonic() + _READY_S
    while sum(running.metric(metric)) < cameras:
        if time.monotonic() > ends:
            raise NotValid(f"not every camera has {metric} after {_READY_S} s")
        time.sleep(0.5)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so much of them do not exceed."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


def main() -> int:
    """Prints the figures; 1 where a target is missed, 2 where a run was not valid."""
    parser = argparse.ArgumentParser(description="What alarms cost.")
    parser.add_argument("--cameras", type=int, default=32)
    parser.add_argument("--alarms", type=int, default=500, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="a real disk")
    asked = parser.parse_args()
    medians, p99s, ratios = [], [], []
    try:
        for number in range(asked.rounds):
            with _fresh_directory(asked.dir) as where:
                found = latencies_ms(asked.cameras, asked.alarms, where)
            medians.append(statistics.median(found))
            p99s.append(percentile(found, 0.99))
            print(
                f"round {number + 1}: median {medians[-1]:.1f} ms, 99 % {p99s[-1]:.1f} ms, worst {max(found):.1f} ms",
                flush=True,
            )
            with _fresh_directory(asked.dir) as where:
                ratio, video_mb = ring_ratio(asked.cameras, where)
            ratios.append(ratio)
            print(f"round {number + 1}: rings of {video_mb:.0f} MB of video take {ratio:.3f} of that", flush=True)
    except NotValid as trouble:
        print(f"not valid: {trouble}", file=sys.stderr)
        return 2
    for what, values, most in (
        ("median, ms", medians, MEDIAN_MOST_MS),
        ("99 %, ms", p99s, P99_MOST_MS),
        ("rings to video", ratios, RING_MOST),
    ):
        middle = statistics.median(values)
        print(f"{what:15} {middle:8.2f} ({min(values):.2f}-{max(values):.2f})  at most {most:g}")
    met = statistics.median(medians) < MEDIAN_MOST_MS and statistics.median(p99s) < P99_MOST_MS
    return 0 if met and statistics.median(ratios) <= RING_MOST else 1


if __name__ == "__main__":
    sys.exit(main())

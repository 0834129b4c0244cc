"""What positions cost: CPU per frame of the daemon with positions and their text track, beside the same without.

    python -m bench.positions --cameras 50
    python -m bench.positions --alone        # without sockets: quick, and steadier on a machine that is not idle

Without: parts that say nothing of where the camera looks, and `ptz_track = false`. With: cameras at rest, on patrol
(3 s of movement every 20 s) and in constant motion, another position at each picture.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.run import Load, NotValid, Nvr, _configuration, _fresh_directory, load, measured
from bench.source import FPS, answer_head, elementary, encode_loop, part_head, position
from nvr import config
from nvr.clock import HostClock
from nvr.jvc.stream import EsBytes, StreamParser
from nvr.media.frame import Frame
from nvr.media.splitter import UnitSplitter
from nvr.media.timeline import Timeline
from nvr.metrics import Metrics
from nvr.supervisor.wiring import make_unit, open_store
from nvr.units import US

MOST: Final = {"rest": 1.15, "patrol": 1.15, "sweep": 1.35}
"""How much of the CPU without positions may be needed with them."""
_PLAIN: Final = "none"
_FRAMES: Final = 1800
_READ: Final = 1 << 18  # bytes; about a second of 2 Mbit/s
_START_AND_STOP_S: Final = 45  # beside the window, at most


class NvrWithoutTrack(Nvr):
    """The same daemon, which writes no text track."""

    name = "nvr without positions"
    ptz_track = False


def ratios(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """With to without: the median of each round's own ratio, because the machine's mood changes between rounds."""
    plain = found[_PLAIN]
    return {
        motion: statistics.median(one / other for one, other in zip(found[motion], plain, strict=True))
        for motion in MOST
    }


def rounds(cameras: int, asked: argparse.Namespace) -> dict[str, list[float]]:
    """CPU microseconds per frame, by motion, a figure for each round; all four run side by side, in the same mood."""
    turns = [_PLAIN, *MOST]
    found: dict[str, list[float]] = {motion: [] for motion in turns}
    bound_s = asked.rounds * (asked.warm_up + asked.window + _START_AND_STOP_S)
    with ExitStack() as alive:
        loads = {motion: alive.enter_context(load(cameras, motion, bound_s)) for motion in turns}
        pool = alive.enter_context(ThreadPoolExecutor(len(turns)))
        for number in range(asked.rounds):
            running = {m: pool.submit(_cpu_us_per_frame, m, loads[m], asked) for m in turns}
            for motion, figure in running.items():
                found[motion].append(figure.result())
                print(f"  round {number + 1}  {cameras:3} cameras  {motion:6}  {found[motion][-1]:6.2f} us", flush=True)
    return found


def _cpu_us_per_frame(motion: str, source: Load, asked: argparse.Namespace) -> float:
    recorder = NvrWithoutTrack if motion == _PLAIN else Nvr
    with _fresh_directory(asked.dir) as where:
        figures = measured(recorder, source, where, asked.warm_up, asked.window)
    return figures.cpu_s_per_camera_hour / (3600 * FPS) * 1e6


def alone(asked: argparse.Namespace) -> dict[str, list[float]]:
    """The same by one camera's bytes alone, from the parser to the index, in this process and without sockets."""
    pieces = {motion: _minute(motion) for motion in [_PLAIN, *MOST]}
    found: dict[str, list[float]] = {motion: [] for motion in pieces}
    for number in range(asked.rounds):
        for motion in [*pieces][number % 4 :] + [*pieces][: number % 4]:
            with _fresh_directory(asked.dir) as where:
                found[motion].append(asyncio.run(_recorded_us(pieces[motion], where, motion != _PLAIN)))
    return found


def _minute(motion: str) -> list[memoryview]:
    """A minute of a camera's bytes, as read from a socket once a second."""
    pictures, sent = encode_loop(), []
    for number in range(_FRAMES):
        data = elementary(pictures[number % len(pictures)], number, 0)
        sent += [part_head(len(data), position(motion, number)), data, b"\r\n"]
    whole = memoryview(b"".join(sent))
    return [whole[at : at + _READ] for at in range(0, len(whole), _READ)]


async def _recorded_us(chunks: list[memoryview], where: Path, ptz_track: bool) -> float:
    """CPU microseconds per frame of all threads, to the row of the last segment."""
    file = where / "config.toml"
    (where / "footage").mkdir()
    file.write_text(_configuration(where, where / "footage", [{"http_port": 9, "alarm_port": 9}], 9, ptz_track))
    settings, metrics, clock = config.load(file), Metrics("bench", HostClock().utc_us), HostClock()
    store = open_store(settings, metrics, clock)
    unit = make_unit(0, "c00", settings.cameras["c00"], settings, store, metrics, clock, asyncio.get_running_loop())
    parser, splitter, timeline = StreamParser(), UnitSplitter(), Timeline()
    now_us, mono_us, frames = clock.utc_us(), clock.mono_us(), 0
    parser.feed(answer_head(parts=True))
    begun = time.process_time_ns()
    for chunk in chunks:
        read: list[Frame] = []
        for event in parser.feed(chunk):
            assert isinstance(event, EsBytes)
            for shot in splitter.feed(event.data, event.position, event.whole):
                at_us = (frames + len(read)) * US // FPS
                read.append(timeline.stamp(shot, mono_us + at_us, now_us + at_us))
        unit._keeper.take(read)  # noqa: SLF001 - as the unit's feed does
        frames += len(read)
        await asyncio.sleep(0)
    done = await unit.recorder.close("service-stopped", 30)
    cost_us = (time.process_time_ns() - begun) / frames / 1000
    store.close(10)
    if not done or frames != _FRAMES:
        raise NotValid(f"{frames} of {_FRAMES} frames came through")
    return cost_us


def _tell(what: str, found: Mapping[str, Sequence[float]]) -> bool:
    """Prints the table; whether every target was met."""
    told = ratios(found)
    print(f"{what}: us per frame (median, min-max), and with to without")
    for motion, costs in found.items():
        spread = f"{statistics.median(costs):6.2f} ({min(costs):.2f}-{max(costs):.2f})"
        aim = f"  {told[motion]:.3f}  at most {MOST[motion]:.2f}" if motion in MOST else ""
        print(f"  {motion:6}  {spread}{aim}", flush=True)
    return all(told[motion] <= most for motion, most in MOST.items())


def main() -> int:
    """Prints the table; 1 where a target is missed, 2 where a run was not valid."""
    parser = argparse.ArgumentParser(description="What positions cost.")
    parser.add_argument("--cameras", default="10,50", help="numbers of cameras, comma-separated")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--warm-up", type=float, default=15, help="seconds; nvr reads eagerly in the first ten")
    parser.add_argument("--window", type=float, default=60, help="seconds measured")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="a real disk")
    parser.add_argument("--alone", action="store_true", help="one camera's bytes in this process, without sockets")
    asked = parser.parse_args()
    missed = False
    try:
        if asked.alone:
            _tell("without sockets", alone(asked))
            return 0
        for cameras in map(int, asked.cameras.split(",")):
            missed |= not _tell(f"{cameras} cameras", rounds(cameras, asked))
    except NotValid as trouble:
        print(f"not valid: {trouble}", file=sys.stderr)
        return 2
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

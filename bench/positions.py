"""What positions cost: CPU per frame of the daemon with positions and their text track, beside the same without.

    python -m bench.positions --cameras 50

Without: parts that say nothing of where the camera looks, and `ptz_track = false`. With: cameras at rest, on patrol
(3 s of movement every 20 s) and in constant motion, another position at each picture.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.run import Load, NotValid, Nvr, _fresh_directory, load, measured
from bench.source import FPS

MOST: Final = {"rest": 1.15, "patrol": 1.15, "sweep": 1.35}
"""How much of the CPU without positions may be needed with them."""
_PLAIN: Final = "none"
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
    """CPU microseconds per frame, by motion, a figure for each round; who goes first changes from round to round."""
    turns = [_PLAIN, *MOST]
    found: dict[str, list[float]] = {motion: [] for motion in turns}
    bound_s = asked.rounds * len(turns) * (asked.warm_up + asked.window + _START_AND_STOP_S)
    with ExitStack() as alive:
        loads = {motion: alive.enter_context(load(cameras, motion, bound_s)) for motion in turns}
        for number in range(asked.rounds):
            for motion in turns[number % 4 :] + turns[: number % 4]:
                found[motion].append(_cpu_us_per_frame(motion, loads[motion], asked))
                print(f"  round {number + 1}  {cameras:3} cameras  {motion:6}  {found[motion][-1]:6.2f} us", flush=True)
    return found


def _cpu_us_per_frame(motion: str, source: Load, asked: argparse.Namespace) -> float:
    recorder = NvrWithoutTrack if motion == _PLAIN else Nvr
    with _fresh_directory(asked.dir) as where:
        figures = measured(recorder, source, where, asked.warm_up, asked.window)
    return figures.cpu_s_per_camera_hour / (3600 * FPS) * 1e6


def main() -> int:
    """Prints the table; 1 where a target is missed, 2 where a run was not valid."""
    parser = argparse.ArgumentParser(description="What positions cost.")
    parser.add_argument("--cameras", default="10,50", help="numbers of cameras, comma-separated")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--warm-up", type=float, default=15, help="seconds; nvr reads eagerly in the first ten")
    parser.add_argument("--window", type=float, default=60, help="seconds measured")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="a real disk")
    asked = parser.parse_args()
    missed = False
    try:
        for cameras in map(int, asked.cameras.split(",")):
            found = rounds(cameras, asked)
            print(f"{cameras} cameras, us per frame (median, min-max) and with to without:")
            told = ratios(found)
            for motion, costs in found.items():
                spread = f"{statistics.median(costs):6.2f} ({min(costs):.2f}-{max(costs):.2f})"
                aim = f"  {told[motion]:.3f}  at most {MOST[motion]:.2f}" if motion in MOST else ""
                print(f"  {motion:6}  {spread}{aim}", flush=True)
            missed |= any(told[motion] > most for motion, most in MOST.items())
    except NotValid as trouble:
        print(f"not valid: {trouble}", file=sys.stderr)
        return 2
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Where a frame's time goes: CPU microseconds per frame of each station on its way, one camera, one thread, no sockets.

    python -m bench.frame

A microsecond per frame is 0.108 CPU-seconds per camera-hour at 30 fps. `bench.run` measures the whole; this tells which
station to look at.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import source
from nvr.jvc.stream import EsBytes, StreamParser
from nvr.media.durable import Disk, DurableFile
from nvr.media.frame import Frame, Unit
from nvr.media.mp4 import Mp4File
from nvr.media.splitter import UnitSplitter
from nvr.media.timeline import Timeline
from nvr.units import US

_FRAMES = 1800
_REPEAT = 7
_CUTS = {"as one camera alone sends": None, "64 kB a wake-up": 1 << 16}


def stream(pictures: list[source.Picture], motion: str) -> list[bytes]:
    """What a camera sends for a minute, a piece per picture."""
    pieces = []
    for number in range(_FRAMES):
        data = source.elementary(pictures[number % len(pictures)], number, 0)
        pieces.append(source.part_head(len(data), source.position(motion, number)) + data + b"\r\n")
    return pieces


def cut(pieces: list[bytes], size: int | None) -> list[memoryview]:
    """The same bytes as a socket hands them over: picture by picture, or in pieces of that size."""
    if size is None:
        return [memoryview(piece) for piece in pieces]
    whole = memoryview(b"".join(pieces))
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def parsed(chunks: list[memoryview]) -> list[EsBytes]:
    """Through the parser."""
    parser = StreamParser()
    parser.feed(source.answer_head(parts=True))
    return [event for chunk in chunks for event in parser.feed(chunk) if isinstance(event, EsBytes)]


def split(events: list[EsBytes]) -> list[Unit]:
    """Through the splitter."""
    splitter = UnitSplitter()
    return [unit for event in events for unit in splitter.feed(event.data, event.position, event.whole)]


def timed(units: list[Unit]) -> list[Frame]:
    """Through the timeline, each arriving when it should."""
    timeline = Timeline()
    return [timeline.stamp(unit, n * US // source.FPS, n * US // source.FPS) for n, unit in enumerate(units)]


def written(frames: list[Frame], where: Path) -> None:
    """Into a file, closed at the end, not synced."""
    path = where / "out.mp4"
    path.unlink(missing_ok=True)
    file = DurableFile.create(path, Disk())
    mp4 = Mp4File(file, frames[0].vol, frames[0].time_base, {})
    interval = frames[1].ticks - frames[0].ticks
    for at in range(0, len(frames), source.FPS):
        key, *others = frames[at : at + source.FPS]
        mp4.add(key.data, key.ticks, interval, key.key)
        mp4.add_run([one.data for one in others], [one.ticks for one in others])
        mp4.flush()
    mp4.close()
    file.close()


def cost_us(do: Callable[[], object]) -> float:
    """CPU microseconds per frame of this thread: the median of some repetitions."""
    costs = []
    for _ in range(_REPEAT):
        begun = time.thread_time_ns()
        do()
        costs.append((time.thread_time_ns() - begun) / _FRAMES / 1000)
    return statistics.median(costs)


def main() -> None:
    """Prints a line per station."""
    parser = argparse.ArgumentParser(description="CPU per frame of each station.")
    parser.add_argument("--motion", choices=source.MOTIONS, default="rest")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the file goes meanwhile")
    asked = parser.parse_args()

    pieces = stream(source.encode_loop(), asked.motion)
    for told, size in _CUTS.items():
        chunks = cut(pieces, size)
        print(f"parser    {cost_us(partial(parsed, chunks)):6.2f} us  ({told})")
    events = parsed(cut(pieces, 1 << 16))
    units = split(events)
    frames = timed(units)
    assert len(events) == len(units) == len(frames) == _FRAMES
    print(f"splitter  {cost_us(partial(split, events)):6.2f} us")
    print(f"timeline  {cost_us(partial(timed, units)):6.2f} us")
    with tempfile.TemporaryDirectory(prefix="nvr-bench-", dir=asked.dir) as where:
        print(f"mp4       {cost_us(partial(written, frames, Path(where))):6.2f} us")


if __name__ == "__main__":
    main()

"""Names of footage files: written and read in one place.

    <camera>/<YYYY>/<MM>/<DD>/<YYYYMMDD>T<hhmmss>.<mmm>Z-<run>-<seq>.mp4      in UTC, below the volume's path
    <camera>/clips/<YYYY>/<MM>/<YYYYMMDD>T<hhmmss>Z-<rule>-<id>.mp4
    <camera>/timelapse/<YYYY>/<MM>/<YYYYMMDD>.mp4

A file being written has `.part` behind its name. The folder is the slug that the camera had when its run began.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from nvr.units import UtcMicros

PART: Final = ".part"
"""Behind the name of a file that is not sealed."""
LOCK: Final = ".lock"
"""Behind the name of a clip's file: a file of this name says that the clip is locked."""
CLIPS: Final = "clips"
"""A camera's folder for its clips."""
TIMELAPSE: Final = "timelapse"
"""A camera's folder for its films of whole days."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400_000_000
_FOLDER: Final = re.compile(r"[a-z0-9-]{1,32}")
_NAME: Final = re.compile(
    r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\.(\d{3})Z-(0|[1-9]\d{0,18})-(0|[1-9]\d{0,18})\.mp4", re.ASCII
)
_FILM: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:-[1-9]\d*)?\.mp4", re.ASCII)
_CLIP_NAME: Final = re.compile(
    r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-([a-z0-9-]{1,32})-([1-9]\d{0,18})\.mp4", re.ASCII
)
_LATEST: Final = UtcMicros(int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) / timedelta(microseconds=1)))


@dataclass(frozen=True, slots=True)
class SegmentName:
    """What a segment's file name says."""

    start_us: UtcMicros
    """Cut down to whole milliseconds."""
    run: int
    seq: int


@dataclass(frozen=True, slots=True)
class ClipName:
    """What the name of a clip's first file says."""

    start_us: UtcMicros
    """Cut down to whole seconds."""
    rule: str
    clip: int


def segment_path(folder: str, start_us: int, run: int, seq: int) -> str:
    """A sealed segment's path relative to its volume. Raises ValueError where no such name can be."""
    if not is_folder(folder):
        raise ValueError(f"{folder!r} cannot be a camera's folder: it needs 1 to 32 of a-z, 0-9 and -")
    if not 0 <= start_us < _LATEST or run < 0 or seq < 0:
        raise ValueError(f"no name for a segment from {start_us} us, run {run}, number {seq}")
    return f"{folder}/{_day(start_us // _DAY_US)[0]}/{segment_name(start_us, run, seq)}"


def segment_name(start_us: int, run: int, seq: int) -> str:
    """The last part of `segment_path`, of values that it takes; quick, because a start makes a hundred thousand."""
    day, rest_us = divmod(start_us, _DAY_US)
    seconds, milli = divmod(rest_us // 1000, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_day(day)[1]}T{hour:02}{minute:02}{second:02}.{milli:03}Z-{run}-{seq}.mp4"


def clip_path(camera: str, start_us: int, rule: str, clip_id: int) -> str:
    """A clip's path relative to its volume. Raises ValueError where no such name can be."""
    if not is_folder(camera) or not is_folder(rule):
        raise ValueError(
            f"camera {camera!r} and rule {rule!r} cannot name a clip: each needs 1 to 32 of a-z, 0-9 and -"
        )
    if not 0 <= start_us < _LATEST or clip_id < 0:
        raise ValueError(f"no name for clip {clip_id} from {start_us} us")
    at = _EPOCH + timedelta(seconds=start_us // 1_000_000)
    return f"{camera}/{CLIPS}/{at:%Y/%m}/{at:%Y%m%dT%H%M%S}Z-{rule}-{clip_id}.mp4"


def timelapse_path(camera: str, day: date) -> str:
    """The path of a day's film relative to its volume. Raises ValueError where no such name can be."""
    if not is_folder(camera):
        raise ValueError(f"camera {camera!r} cannot name a film: it needs 1 to 32 of a-z, 0-9 and -")
    return f"{camera}/{TIMELAPSE}/{day:%Y/%m/%Y%m%d}.mp4"


def parse_timelapse_name(name: str) -> date | None:
    """The day of a film's file name, also of its second file; None where it is none."""
    match = _FILM.fullmatch(name)
    try:
        return None if match is None else date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def numbered(path: str, number: int) -> str:
    """The name of a clip's n-th file, counted from 1: all after the first say so before their suffix."""
    return path if number == 1 else f"{path.removesuffix('.mp4')}-{number}.mp4"


def parse_clip_name(name: str) -> ClipName | None:
    """Reads the name of a clip's first file (its last part only); None where it is not one.

    Of a clip's second file it says something else, for a rule may end in a number: what is in the file tells.
    """
    match = _CLIP_NAME.fullmatch(name)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        start = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return ClipName(UtcMicros((start - _EPOCH) // timedelta(microseconds=1)), match[7], int(match[8]))


def parse_segment_name(name: str) -> SegmentName | None:
    """Reads a sealed segment's file name (its last part only); None where it is not one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    year, month, day, hour, minute, second, milli, run, seq = (int(group) for group in match.groups())
    try:
        start = datetime(year, month, day, hour, minute, second, milli * 1000, UTC)
    except ValueError:
        return None
    if start < _EPOCH:
        return None
    return SegmentName(UtcMicros((start - _EPOCH) // timedelta(microseconds=1)), run, seq)


def is_folder(name: str) -> bool:
    """Whether this can be the folder (and slug) of a camera."""
    return _FOLDER.fullmatch(name) is not None


def day_path(day: date) -> str:
    """A day's folder below the camera's."""
    return f"{day.year:04}/{day.month:02}/{day.day:02}"


@lru_cache(64)
def _day(number: int) -> tuple[str, str]:
    """The folder and the stamp of the day this many days after the epoch."""
    day = (_EPOCH + timedelta(days=number)).date()
    return day_path(day), f"{day.year:04}{day.month:02}{day.day:02}"


def day_of(at_us: int) -> date:
    """The UTC day of a moment."""
    return (_EPOCH + timedelta(microseconds=at_us)).date()

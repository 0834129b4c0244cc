"""The words of the timed text track: where the camera looked, to be read by people, and exact enough to be read back.

    pan 92.15° tilt -3.20° zoom 12.00 preset 3 tracking 0 · 2026-11-23 14:03:22.123 UTC

Pure. Degrees and zoom have the camera's own hundredths; tilt is true tilt, 0 at the horizon. Preset and tracking are
there where the camera names them (guide 2.5), the time at key pictures, cut to milliseconds. Where the camera does not
say where it looks: `position unknown`. A text stands for the picture at its tick and those after it, until it ends.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from nvr.media.positions import PositionTrack
from nvr.units import US, PanTiltZoom

UNKNOWN: Final = "position unknown"
HORIZON: Final = 500
"""The wire's tilt of the horizon: 0 is -5 degrees."""

_PARTS: Final = tuple(f".{parts:02}" for parts in range(100))
_MOST: Final = (35_999, 19_000, 9_999)  # of pan, tilt and zoom on the wire (guide 2.1)
_LONGEST: Final = 200  # characters; the longest of ours has 96
_CAPTION: Final = re.compile(
    r"(?:pan (?P<pan>\d{1,3}\.\d\d)° tilt (?P<tilt>-?\d{1,3}\.\d\d)° zoom (?P<zoom>\d\d?\.\d\d)|position unknown)"
    r"(?: preset (?P<preset>\d{1,3}))?(?: tracking (?P<tracking>\d{1,3}))?"
    r"(?: · (?P<second>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(?P<ms>\d{3}) UTC)?",
    re.ASCII,
)


class Caption(NamedTuple):
    """What a text says."""

    position: PanTiltZoom | None
    preset: int | None
    tracking: int | None
    utc_us: int | None
    """Of its picture, in whole milliseconds."""


class Line(NamedTuple):
    """A text as it lies in a file."""

    ticks: int
    duration: int
    text: str


def compose(position: PanTiltZoom | None, told: str = "", utc_us: int | None = None) -> str:
    """The words for a picture; `parse` reads them back. `told`: what `tell` says of preset and tracking."""
    if position is None:
        text = UNKNOWN + told
    else:
        # Whole numbers: half the time of formatting floats, and this is done for each picture of a moving camera.
        pan, tilt, zoom = position
        minus = "-" if tilt < HORIZON else ""
        tilt = abs(tilt - HORIZON)
        text = (
            f"pan {pan // 100}{_PARTS[pan % 100]}° tilt {minus}{tilt // 100}{_PARTS[tilt % 100]}° "
            f"zoom {zoom // 100}{_PARTS[zoom % 100]}{told}"
        )
    if utc_us is not None:
        second, us = divmod(utc_us, US)
        text += f" · {datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}.{us // 1000:03} UTC"
    return text


def tell(preset: int | None, tracking: int | None) -> str:
    """The words for what the camera says besides, made once for many pictures; numbers up to 999."""
    words = "" if preset is None else f" preset {preset}"
    return words if tracking is None else f"{words} tracking {tracking}"


def parse(text: str) -> Caption | None:
    """What a text says; None where it is not (or not wholly) one of `compose`'s, or says what no camera can."""
    match = _CAPTION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    position = None
    if match["pan"] is not None:
        position = (_hundredths(match["pan"]), _hundredths(match["tilt"]) + HORIZON, _hundredths(match["zoom"]))
        if not all(0 <= value <= most for value, most in zip(position, _MOST, strict=True)):
            return None
    utc_us = None
    if match["second"] is not None:
        try:
            second = datetime.strptime(match["second"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return None
        utc_us = int(second.timestamp()) * US + int(match["ms"]) * 1000
    return Caption(position, _number(match["preset"]), _number(match["tracking"]), utc_us)


def track_of(ticks: Sequence[int], lines: Iterable[Line]) -> PositionTrack:
    """The positions, and what was said besides, of pictures that begin at `ticks`, from the texts beside them.

    A picture at which no text stands, or one that is not ours, was taken nobody knows where.
    """
    track, frame = PositionTrack(), 0
    for begin, duration, text in lines:
        while frame < len(ticks) and ticks[frame] < begin:
            track.add(None)
            frame += 1
        caption = parse(text)
        if caption is None:
            continue
        track.note(caption.preset, caption.tracking)
        while frame < len(ticks) and ticks[frame] < begin + duration:
            track.add(caption.position)
            frame += 1
    for _ in range(frame, len(ticks)):
        track.add(None)
    return track


def _hundredths(words: str) -> int:
    whole, _, parts = words.removeprefix("-").partition(".")
    value = int(whole) * 100 + int(parts)
    return -value if words.startswith("-") else value


def _number(words: str | None) -> int | None:
    return None if words is None else int(words)

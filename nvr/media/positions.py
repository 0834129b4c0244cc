"""Where the camera looked, frame by frame, in few bytes: runs of rest, differences between them, zlib.

Pure. A camera at rest costs some bytes a segment; one that moves in every frame less than two bytes a frame.

A packed track is one byte that says how the rest is stored (1 as it is, 2 deflated), then seven columns, each a length
(varint) and that many bytes. Numbers are varints (7 bits a byte, low ones first), differences zigzagged (0, -1, 1,
-2 ...): runs (frames * 2 + 1 where the position is known), pan, tilt and zoom differences of the known runs, and the
facts that change seldom: frames since the fact before, preset + 1 and tracking + 1 (0 where the camera does not say).
"""

import zlib
from collections.abc import Iterable
from itertools import accumulate
from typing import Final, NamedTuple

from nvr.media.errors import NotDecodable
from nvr.units import PanTiltZoom

_STORED: Final = 1
_DEFLATED: Final = 2
_COLUMNS: Final = 7
_MAX_TRACK: Final = 32 << 20  # a day of 30 changes a second takes less than 16 MB before zlib
_MAX_NUMBER: Final = 63  # bits; more is damage


class Rest(NamedTuple):
    """Some frames, one after the other, with one position."""

    frames: int
    position: PanTiltZoom | None
    """None where the camera did not say."""


class Fact(NamedTuple):
    """What the camera said of preset and tracking (guide 2.5) at a frame, where it differs from before."""

    frame: int
    """Number of the frame within the file, from 0."""
    preset: int | None
    tracking: int | None


class PositionTrack:
    """Collects the positions of one file."""

    __slots__ = ("_facts", "_frames", "_position", "_rests", "_since")

    def __init__(self) -> None:
        self._rests: list[Rest] = []
        self._facts: list[Fact] = []
        self._position: PanTiltZoom | None = None
        self._since = 0
        self._frames = 0

    def add(self, position: PanTiltZoom | None) -> None:
        """The next frame was taken here."""
        self.extend((position,))

    def extend(self, positions: Iterable[PanTiltZoom | None]) -> None:
        """The next frames were taken there."""
        before, frames, since = self._position, self._frames, self._since
        for position in positions:
            if position is not before and position != before:
                if frames > since:
                    self._rests.append(Rest(frames - since, before))
                before, since = position, frames
            frames += 1
        self._position, self._frames, self._since = before, frames, since

    def note(self, preset: int | None, tracking: int | None) -> None:
        """From the next frame added on, the camera says this of preset and tracking."""
        before = self._facts[-1] if self._facts else Fact(0, None, None)
        if (preset, tracking) == (before.preset, before.tracking):
            return
        if self._facts and before.frame == self._frames:
            self._facts.pop()
        self._facts.append(Fact(self._frames, preset, tracking))

    @property
    def frames(self) -> int:
        return self._frames

    def rests(self) -> list[Rest]:
        """The frames so far as runs."""
        self._end_rest()
        return self._rests

    def facts(self) -> list[Fact]:
        """What was said so far of preset and tracking."""
        return self._facts

    def pack(self, frames: int | None = None) -> bytes:
        """The track so far, or of its first `frames`, packed; more may be added afterwards."""
        if frames is None or frames >= self._frames:
            return pack_track(self.rests(), self._facts)
        return pack_track(_first_of(self.rests(), frames), [fact for fact in self._facts if fact.frame < frames])

    def _end_rest(self) -> None:
        if self._frames > self._since:
            self._rests.append(Rest(self._frames - self._since, self._position))
            self._since = self._frames


def _first_of(rests: list[Rest], frames: int) -> list[Rest]:
    first = []
    for rest in rests:
        if frames <= 0:
            break
        first.append(Rest(min(rest.frames, frames), rest.position))
        frames -= rest.frames
    return first


def pack_track(rests: list[Rest], facts: list[Fact]) -> bytes:
    """Packs runs and facts."""
    known = [rest.position for rest in rests if rest.position is not None]
    columns = [
        _varints([rest.frames << 1 | (rest.position is not None) for rest in rests]),
        _differences([pan for pan, _, _ in known]),
        _differences([tilt for _, tilt, _ in known]),
        _differences([zoom for _, _, zoom in known]),
        _varints(_steps([fact.frame for fact in facts])),
        _varints([0 if fact.preset is None else fact.preset + 1 for fact in facts]),
        _varints([0 if fact.tracking is None else fact.tracking + 1 for fact in facts]),
    ]
    stored = b"".join(_varints([len(column)]) + column for column in columns)
    deflating = zlib.compressobj(6, strategy=zlib.Z_FILTERED)  # 15 % smaller on small differences than the default
    deflated = deflating.compress(stored) + deflating.flush()
    if len(deflated) < len(stored):
        return bytes([_DEFLATED]) + deflated
    return bytes([_STORED]) + stored


def unpack_rests(packed: bytes) -> list[Rest]:
    """The runs of a packed track; raises NotDecodable. Counts are as written: compare their sum with the label's."""
    return _rests(_columns(packed))


def unpack_track(packed: bytes) -> tuple[list[Rest], list[Fact]]:
    """Runs and facts of a packed track at once; raises NotDecodable as `unpack_rests`."""
    columns = _columns(packed)
    return _rests(columns), _facts(columns)


def _rests(columns: list[bytes]) -> list[Rest]:
    runs = _numbers(columns[0])
    known = sum(run & 1 for run in runs)
    pans, tilts, zooms = (_sums(column) for column in columns[1:4])
    if not len(pans) == len(tilts) == len(zooms) == known:
        raise NotDecodable("a position track whose columns differ in length")
    frames = [run >> 1 for run in runs]
    if known == len(runs):  # nearly always
        return list(map(Rest, frames, zip(pans, tilts, zooms, strict=True)))
    positions = iter(zip(pans, tilts, zooms, strict=True))
    return [Rest(count, next(positions) if run & 1 else None) for count, run in zip(frames, runs, strict=True)]


def unpack_facts(packed: bytes) -> list[Fact]:
    """The preset and tracking facts of a packed track; raises NotDecodable."""
    return _facts(_columns(packed))


def _facts(columns: list[bytes]) -> list[Fact]:
    steps, presets, trackings = (_numbers(column) for column in columns[4:7])
    if not len(steps) == len(presets) == len(trackings):
        raise NotDecodable("a position track whose fact columns differ in length")
    facts = []
    frame = 0
    for step, preset, tracking in zip(steps, presets, trackings, strict=True):
        frame += step
        facts.append(Fact(frame, preset - 1 if preset else None, tracking - 1 if tracking else None))
    return facts


def unpack_positions(packed: bytes, frames: int) -> list[PanTiltZoom | None]:
    """The position of each of `frames` frames; raises NotDecodable where the track speaks of another number."""
    rests = unpack_rests(packed)
    if sum(rest.frames for rest in rests) != frames:
        raise NotDecodable(f"a position track that is not of {frames} frames")
    positions: list[PanTiltZoom | None] = []
    for rest in rests:
        positions += [rest.position] * rest.frames
    return positions


def _columns(packed: bytes) -> list[bytes]:
    stored = _inflated(packed)
    columns = []
    at = 0
    for _ in range(_COLUMNS):
        length, at = _number(stored, at)
        if at + length > len(stored):
            raise NotDecodable("a position track cut short")
        columns.append(stored[at : at + length])
        at += length
    return columns  # whatever follows was added by a newer nvr


def _inflated(packed: bytes) -> bytes:
    if packed[:1] == bytes([_STORED]):
        return packed[1:]
    if packed[:1] != bytes([_DEFLATED]):
        raise NotDecodable("a position track stored in an unknown way")
    inflating = zlib.decompressobj()
    try:
        stored = inflating.decompress(packed[1:], _MAX_TRACK)
    except zlib.error as trouble:
        raise NotDecodable("a position track that cannot be inflated") from trouble
    if not inflating.eof:
        raise NotDecodable("a position track cut short or far too long")
    return stored


def _steps(values: list[int]) -> list[int]:
    return [value - before for before, value in zip([0, *values], values, strict=False)]


def _differences(values: list[int]) -> bytes:
    return _varints([step << 1 if step >= 0 else ~(step << 1) for step in _steps(values)])


def _sums(column: bytes) -> list[int]:
    return list(accumulate([number >> 1 ^ -(number & 1) for number in _numbers(column)]))


def _varints(numbers: list[int]) -> bytes:
    try:
        column = bytes(numbers)
    except ValueError:
        column = b"\xff"
    if column.isascii():  # every number below 128, the common case: one C call
        return column
    out = bytearray()
    for number in numbers:
        rest = number
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """One varint at `at` and where it ends."""
    number = shift = 0
    while at < len(data) and shift < _MAX_NUMBER:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
    raise NotDecodable("a number cut short in a position track")


def _numbers(column: bytes) -> list[int]:
    if column.isascii():
        return list(column)
    # All but the first are nearly always of one byte or two: in one go, as an index made anew reads a million tracks.
    first, at = _number(column, 0)
    following = iter(column[at:])
    try:
        others = [byte if byte < 128 else byte & 127 | next(following) << 7 for byte in following]
    except StopIteration:  # cut short
        return _long_numbers(column)
    return _long_numbers(column) if max(others, default=0) >= 1 << 14 else [first, *others]


def _long_numbers(column: bytes) -> list[int]:
    numbers = []
    number = shift = 0
    for byte in column:
        if byte < 128:
            numbers.append(number | byte << shift)
            number = shift = 0
        else:
            number |= (byte & 127) << shift
            shift += 7
            if shift >= _MAX_NUMBER:
                raise NotDecodable("a number far too long in a position track")
    if shift:
        raise NotDecodable("a number cut short in a position track")
    return numbers

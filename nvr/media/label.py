"""The label: what a sealed file says of itself, as a `uuid` box (ISO/IEC 14496-12, 4.2) at its very end.

Players skip it; the index is rebuilt from it. Written once, before the last fsync, and never changed.

    box size (32 bits) · 'uuid' · BOX_UUID
    crc32 (32) of all that follows up to the trailer · version (16) · length of the fixed part (16)
    fixed part: `_FIXED`; a newer nvr of the same version may append to it
    sections: name (4 bytes) · length (32) · bytes; unknown names are skipped
        'came' camera slug · 'modl' model · 'caid' the camera's own name · 'clip' JSON · 'ptz ' see positions.py
    trailer: box size again (32) · 'nvrlabel', so that one read of the file's end finds it

Head and trailer stay as they are in every version.
"""

import json
import os
import struct
import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from nvr.media.errors import LabelTooNew
from nvr.units import US

BOX_UUID: Final = UUID("6e767221-6c61-4265-8c21-7a3f0d5b1e94")
VERSION: Final = 1
_HEAD: Final = struct.Struct(">I4s16sIHH")
_COVERED: Final = 28
"""Where what the checksum covers begins: at the version."""
_FIXED: Final = struct.Struct(">16sQIqqIQIIqqqBBBB")
_SECTION: Final = struct.Struct(">4sI")
_VERSION: Final = struct.Struct(">HH")
_TRAILER: Final = struct.Struct(">I8s")
_MAGIC: Final = b"nvrlabel"
_OPENING: Final = b"uuid" + BOX_UUID.bytes
_MAX_LABEL: Final = 64 << 20  # a day in one file with 30 changes a second takes 4 MB
_UNKNOWN: Final = 2
_SYNCHRONISED: Final = {0: False, 1: True, _UNKNOWN: None}
_FIRST_READ: Final = 8192  # a minute with 30 changes a second takes 3 kB


class ClockSource(IntEnum):
    """Where the ticks come from."""

    STREAM = 1
    """The camera's own time in the stream."""
    ARRIVAL = 2
    """The moment of arrival, because the stream's time was not usable."""


_CLOCKS: Final = {source.value: source for source in ClockSource}


class Kind(IntEnum):
    """What the file is."""

    SEGMENT = 1
    CLIP = 2


_KINDS: Final = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Label:
    """What a sealed file says of itself (design, P5: the same as the index)."""

    archive: UUID
    """The archive it belongs to, so that a foreign file is never taken for our own."""
    camera: str
    """The configured slug."""
    run: int
    seq: int
    start_us: int
    """UTC of the first frame."""
    end_us: int
    """UTC of the end of the last frame's interval."""
    frames: int
    duration_ticks: int
    time_base: Fraction
    first_tick: int
    """The first frame's tick within its run; the file itself begins at 0."""
    zero_us: int
    """UTC of the run's tick 0 by the mapping in force for this file."""
    slope_ppb: int
    """How much longer than nominal a tick is in UTC, in parts per billion."""
    clock: ClockSource
    synchronised: bool | None
    """Whether the host's clock was synchronised; None where that is not known."""
    kind: Kind = Kind.SEGMENT
    recovered: bool = False
    """Sealed after a crash: ends at the last whole fragment."""
    model: str | None = None
    camera_id: bytes | None = None
    clip: dict[str, Any] | None = None
    """A clip's facts as JSON: id, rule, trigger, alarm_at_us, gap_seconds ...; None for a segment."""
    positions: bytes | None = field(default=None, repr=False)
    """The packed track of positions.py; None where nothing is known of any frame."""

    def utc_us(self, tick: int) -> int:
        """UTC of a tick of the run."""
        nominal = tick * self.time_base * US
        return self.zero_us + round(nominal + nominal * self.slope_ppb / 1_000_000_000)


def pack(label: Label) -> bytes:
    """The whole box, ready to be appended to the file; raises ValueError for what does not fit its field."""
    try:
        fixed = _FIXED.pack(
            label.archive.bytes,
            label.run,
            label.seq,
            label.start_us,
            label.end_us,
            label.frames,
            label.duration_ticks,
            label.time_base.numerator,
            label.time_base.denominator,
            label.first_tick,
            label.zero_us,
            label.slope_ppb,
            label.clock,
            _UNKNOWN if label.synchronised is None else label.synchronised,
            label.kind,
            label.recovered,
        )
    except struct.error as trouble:
        raise ValueError(f"a label's number is out of range: {trouble}") from trouble
    payload = fixed + b"".join(_SECTION.pack(name, len(data)) + data for name, data in _sections(label))
    size = _HEAD.size + len(payload) + _TRAILER.size
    if size > _MAX_LABEL:
        raise ValueError(f"a label of {size} bytes, {_MAX_LABEL} at most")
    crc = zlib.crc32(payload, zlib.crc32(_VERSION.pack(VERSION, _FIXED.size)))
    head = _HEAD.pack(size, b"uuid", BOX_UUID.bytes, crc, VERSION, _FIXED.size)
    return head + payload + _TRAILER.pack(size, _MAGIC)


def unpack(box: bytes) -> Label | None:
    """Reads a whole box; None where it is not a label, or not a whole and undamaged one.

    Raises LabelTooNew where a newer nvr wrote it in a way this one does not know.
    """
    if len(box) < _HEAD.size + _TRAILER.size or box[4:24] != _OPENING:
        return None
    size, _, _, crc, version, fixed_length = _HEAD.unpack_from(box)
    end = size - _TRAILER.size
    if size != len(box) or _TRAILER.unpack_from(box, end) != (size, _MAGIC):
        return None
    if zlib.crc32(memoryview(box)[_COVERED:end]) != crc:
        return None
    if version > VERSION:
        raise LabelTooNew(f"the label is of version {version}, this nvr reads up to {VERSION}")
    try:
        return _label(_FIXED.unpack_from(box, _HEAD.size), _split_sections(box, _HEAD.size + fixed_length, end))
    except (ValueError, LookupError, ZeroDivisionError, struct.error):
        return None  # a whole box with a right checksum that does not add up: not one of ours


def read(path: Path) -> Label | None:
    """Reads the label at a file's end; None where there is no whole and undamaged one. Raises OSError, LabelTooNew."""
    box = read_box(path)
    return None if box is None else unpack(box)


def read_with_size(path: Path) -> tuple[Label | None, int]:
    """As `read`, and how many bytes the file has."""
    box, size_bytes = _box_and_size(path)
    return (None if box is None else unpack(box)), size_bytes


def read_box(path: Path) -> bytes | None:
    """The bytes of the label's box at a file's end, unread; None where none ends there."""
    return _box_and_size(path)[0]


def _box_and_size(path: Path) -> tuple[bytes | None, int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        file_size = os.fstat(fd).st_size
        tail = os.pread(fd, _FIRST_READ, max(0, file_size - _FIRST_READ))
        size = box_length(tail)
        if size is None or size > file_size:
            return None, file_size
        if size <= len(tail):
            return tail[-size:], file_size
        return os.pread(fd, size, file_size - size), file_size
    finally:
        os.close(fd)


def box_length(tail: bytes) -> int | None:
    """The length of the label that ends where `tail` (the last bytes of a file) ends; None where none does."""
    if tail[-8:] != _MAGIC or len(tail) < _TRAILER.size:
        return None
    size, _ = _TRAILER.unpack_from(tail, len(tail) - _TRAILER.size)
    return size if _HEAD.size < size <= _MAX_LABEL else None


def _sections(label: Label) -> list[tuple[bytes, bytes]]:
    sections = [(b"came", label.camera.encode())]
    if label.model is not None:
        sections.append((b"modl", label.model.encode()))
    if label.camera_id is not None:
        sections.append((b"caid", label.camera_id))
    if label.clip is not None:
        sections.append((b"clip", json.dumps(label.clip, separators=(",", ":"), sort_keys=True).encode()))
    if label.positions is not None:
        sections.append((b"ptz ", label.positions))
    return sections


def _split_sections(box: bytes, at: int, end: int) -> dict[bytes, bytes]:
    sections = {}
    while at < end:
        name, length = _SECTION.unpack_from(box, at)
        at += _SECTION.size
        if at + length > end:
            raise ValueError("a section reaches past the label's end")
        sections[name] = box[at : at + length]
        at += length
    return sections


def _label(fixed: tuple[Any, ...], sections: dict[bytes, bytes]) -> Label:
    archive, run, seq, start_us, end_us, frames, duration, num, den, first, zero, slope, clock, sync, kind, rec = fixed
    clip = json.loads(sections[b"clip"]) if b"clip" in sections else None
    model = sections.get(b"modl")
    return Label(
        archive=_archive(archive),
        camera=sections[b"came"].decode(),
        run=run,
        seq=seq,
        start_us=start_us,
        end_us=end_us,
        frames=frames,
        duration_ticks=duration,
        time_base=_time_base(num, den),
        first_tick=first,
        zero_us=zero,
        slope_ppb=slope,
        clock=_CLOCKS[clock],
        synchronised=_SYNCHRONISED[sync],
        kind=_KINDS[kind],
        recovered=bool(rec),
        model=None if model is None else model.decode(),
        camera_id=sections.get(b"caid"),
        clip=clip,
        positions=sections.get(b"ptz "),
    )


# An archive has few ids and time bases but a million labels, and these two take longer to make than the rest to read.
@lru_cache(64)
def _archive(id_bytes: bytes) -> UUID:
    return UUID(bytes=id_bytes)


@lru_cache(64)
def _time_base(numerator: int, denominator: int) -> Fraction:
    return Fraction(numerator, denominator)

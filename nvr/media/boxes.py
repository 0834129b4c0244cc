"""Reading MP4 (ISO/IEC 14496-12) without a demuxer: what is whole in a file, and where each picture lies.

What nvr writes is drawn in mp4_boxes.py: a growing file has its samples in fragments, a closed one in the moov behind
them, to which an mdat in place of a free box at the front reaches.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from nvr.media.captions import Line
from nvr.media.errors import NotDecodable
from nvr.media.frame import Vol
from nvr.media.label import BOX_UUID, box_length
from nvr.media.mp4_boxes import FREES, FREES_AT, FRONT, closing
from nvr.media.mpeg4 import find_vol

_ITEMS: Final = {b"\xa9nam": "title", b"\xa9cmt": "comment", b"\xa9too": "encoder"}
_MAX_INDEX: Final = 64 << 20  # a moov of a day at 30 pictures a second takes 10 MB
_MAX_SAMPLES: Final = 3_000_000  # a day at 30 pictures a second
_MAX_TEXT: Final = 2 + 0xFFFF  # its length, and that (3GPP TS 26.245, 5.17); styles behind it are not read
_NO_TEXT: Final = 2  # bytes of a text of length 0
_EPOCH_1904_S: Final = 2_082_844_800  # mvhd counts from 1904-01-01 (6.2.2)


class State(Enum):
    """What a crash left of a file."""

    EMPTY = "empty"
    """No whole fragment: there is nothing to keep."""
    OPEN = "open"
    """Growing: whole up to the last moof + mdat."""
    CLOSED = "closed"
    """An ordinary MP4: moov last, front rewritten."""
    HALF_CLOSED = "half closed"
    """The moov of everything is whole, the front not yet rewritten; readable as it is, ordinary once mended."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is whole of a file, and how to make it good: write `mend`, then cut to `good_bytes`, then fsync."""

    state: State
    good_bytes: int
    """Bytes from the front that hold whole footage; a label behind them is not counted."""
    mend: tuple[int, bytes] | None = None
    """Bytes to be written at an offset near the front (at most 16), or None."""
    label_bytes: int = 0
    """The length of a whole label box that follows directly and ends the file, or 0."""

    @property
    def sealed(self) -> bool:
        """Nothing is left to do but to give the file its name."""
        return self.state is State.CLOSED and self.label_bytes > 0


class Sample(NamedTuple):
    """One picture in a file."""

    offset: int
    size: int
    ticks: int
    """Media time in the file's time base, from 0."""
    duration: int
    key: bool


@dataclass(frozen=True, slots=True)
class Movie:
    """What a file says of its video, read from its index or its whole fragments."""

    width: int
    height: int
    time_base: Fraction
    configuration: bytes
    """The decoder's configuration: the VOL with the headers around it."""
    samples: list[Sample] = field(repr=False)
    texts: list[Sample] = field(repr=False)
    """Of the timed text track, in the same time; none where there is no such track. See `lines`."""
    metadata: dict[str, str]
    """title, comment, encoder and creation_time (ISO 8601, whole seconds) where given."""

    @property
    def vol(self) -> Vol:
        """Raises NotDecodable where the file carries none."""
        found = find_vol(self.configuration)
        if found is None:
            raise NotDecodable("a file without a VOL")
        return found

    @property
    def duration_ticks(self) -> int:
        return self.samples[-1].ticks + self.samples[-1].duration if self.samples else 0


def examine(path: Path) -> Condition:
    """Says what is whole of a file that nvr wrote or was writing. Raises OSError."""
    with _File(path) as file:
        return _examine(file)


def whole_bytes(path: Path) -> int:
    """How many bytes from the front are whole footage now; a growing file grows on behind them. Raises OSError."""
    return examine(path).good_bytes


def movie(path: Path) -> Movie:
    """Reads a closed, a growing or a torn file up to its last whole fragment. Raises OSError, NotDecodable."""
    with _File(path) as file:
        return _movie(file)


def samples(path: Path) -> list[Sample]:
    """Where each picture of the video track lies. Raises OSError, NotDecodable."""
    return movie(path).samples


def ticks(path: Path) -> Sequence[int]:
    """When each picture of the video track begins, as `samples` has it; of a closed file much quicker than those.

    Raises OSError, NotDecodable.
    """
    with _File(path) as file:
        index = _index_of_closed(file)
        if index is None:
            return [picture.ticks for picture in _movie(file).samples]
        trak = _track_of_kind(_children(file.read(index)), b"vide")
        if trak is None:
            raise NotDecodable("a file without a video track")
        with _translated("the video track"):
            tables = _children(_need(trak, b"mdia", b"minf", b"stbl"))
            _, count = struct.unpack_from(">II", _need(tables, b"stsz"), 4)
            if count > file.most_samples:
                raise NotDecodable(f"a track of {count} pictures")
            stts = _need(tables, b"stts")
            entries = _counted(stts, "II")
            if len(entries) == 2 and entries[0] == count and entries[1] > 0:  # every picture lasts as long
                return range(0, count * entries[1], entries[1])
            return list(accumulate(_durations(stts, count)[:-1], initial=0)) if count else []


def lines(path: Path, film: Movie) -> list[Line]:
    """The timed text of a movie read from this file, what says nothing left out. Raises OSError.

    A text that reached the disk in part only says nothing either, for as long as it stands.
    """
    found = []
    with _File(path) as file:
        for text in film.texts:
            if text.size > _NO_TEXT:
                sample = file.at(text.offset, min(text.size, _MAX_TEXT))
                words = sample[2 : 2 + int.from_bytes(sample[:2], "big")]
                found.append(Line(text.ticks, text.duration, words.decode(errors="replace")))
    return found


def metadata(path: Path) -> dict[str, str]:
    """The metadata given to the writer; a growing file has them from its first fragment on.

    Raises OSError, NotDecodable.
    """
    with _File(path) as file:
        layout = _Layout(file)
        if layout.index is None:
            raise NotDecodable("a file without a whole moov")
        return _metadata(_children(file.read(layout.index)))


class Box(NamedTuple):
    """A box of a file or of another box."""

    kind: bytes
    offset: int
    size: int
    """With its header."""
    header: int
    """The header's length: 8 or 16."""

    @property
    def end(self) -> int:
        return self.offset + self.size


class _File:
    """A file open for reading, its size as it was then."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_File":
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size
        self.most_samples = min(
            self.size, _MAX_SAMPLES
        )  # a table may claim any number, a picture takes a byte at least
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def at(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def read(self, box: Box) -> bytes:
        """A box's payload; raises NotDecodable where it is absurdly long."""
        length = box.size - box.header
        if length > _MAX_INDEX:
            raise NotDecodable(f"a {box.kind!r} box of {length} bytes")
        data = self.at(box.offset + box.header, length)
        if len(data) < length:
            raise NotDecodable(f"a {box.kind!r} box cut short")
        return data

    def box(self, offset: int) -> Box | None:
        """The box at `offset`, or None where no whole one lies there."""
        head = self.at(offset, 16)
        if len(head) < 8:
            return None
        size = int.from_bytes(head[:4], "big")
        header = 8
        if size == 1 and len(head) == 16:
            size, header = int.from_bytes(head[8:], "big"), 16
        if size < header or offset + size > self.size:
            return None
        return Box(head[4:8], offset, size, header)

    def boxes(self, offset: int) -> Iterator[Box]:
        """The whole boxes from `offset` on."""
        box = self.box(offset)
        while box is not None:
            yield box
            box = self.box(box.end)


class _Layout:
    """Which of the file's top boxes are which."""

    def __init__(self, file: _File) -> None:
        self.first: Box | None = None
        """The first moov: of no sample in a growing file, of everything in a file of another muxer."""
        self.has_mdat = False
        """There is an mdat that belongs to no fragment."""
        self.fragments: list[tuple[Box, Box]] = []
        """Whole moof + mdat pairs."""
        self.final: Box | None = None
        """The moov of everything that closing wrote."""
        self.is_ours = _is_ours(file)
        self.front_done = False
        """The front points at the final moov."""
        self._read(file)

    @property
    def index(self) -> Box | None:
        """The moov to read samples from first."""
        return self.final or self.first

    def _read(self, file: _File) -> None:
        if self.is_ours:
            self.final = _index_of_closed(file)
            self.front_done = self.final is not None
        moof: Box | None = None
        for box in file.boxes(len(FRONT) if self.is_ours else 0):
            if box.kind == b"moov":
                if self.first is not None:
                    self.final = self.final or box
                    return
                self.first = box
            elif box.kind == b"moof":
                moof = box
            elif box.kind == b"mdat" and moof is not None:
                self.fragments.append((moof, box))
                moof = None
            elif box.kind == b"mdat":
                self.has_mdat = True


def _examine(file: _File) -> Condition:
    layout = _Layout(file)
    if layout.first is None:
        return Condition(State.EMPTY, 0)
    if not layout.is_ours:
        return _examine_foreign(file, layout)
    if layout.final is not None and _adds_up(file, layout):
        label_bytes = _label_bytes(file, layout.final.end)
        if layout.front_done:
            return Condition(State.CLOSED, layout.final.end, None, label_bytes)
        return Condition(State.HALF_CLOSED, layout.final.end, closing(layout.final.offset), label_bytes)
    good_bytes = _good_bytes(file, layout)
    if good_bytes == 0:
        return Condition(State.EMPTY, 0)
    mend = (FREES_AT, FREES) if file.at(FREES_AT, len(FREES)) != FREES else None
    return Condition(State.OPEN, good_bytes, mend, _label_bytes(file, good_bytes))


def _examine_foreign(file: _File, layout: _Layout) -> Condition:
    """A whole file of another muxer is kept as it is; its boxes are not mended."""
    end = 0
    for box in file.boxes(0):
        if not (box.kind == b"uuid" and file.at(box.offset + 8, 16) == BOX_UUID.bytes):
            end = box.end
    whole = layout.has_mdat or bool(layout.fragments)
    return Condition(State.CLOSED if whole else State.EMPTY, end if whole else 0, None, _label_bytes(file, end))


def _adds_up(file: _File, layout: _Layout) -> bool:
    """Whether the final moov speaks of every picture; one that reached the disk in part may have holes of zeros."""
    try:
        final = _movie_from(file, layout, whole=True)
        growing = _movie_from(file, layout, whole=False)
    except NotDecodable:
        return False
    return [sample[:3] for sample in final.samples] == [sample[:3] for sample in growing.samples]


def _good_bytes(file: _File, layout: _Layout) -> int:
    """The end of the last fragment up to which every one is whole and its pictures begin with something.

    A power cut may leave boxes whose length is right but which hold zeros, behind the last sync.
    """
    good_bytes = 0
    if layout.first is None:
        return good_bytes
    with suppress(NotDecodable):
        track = _video_track(_children(file.read(layout.first)), file.most_samples)
        for moof, mdat in layout.fragments:
            pictures = _fragment_samples(file, moof, track, 0)
            if not pictures or not _begin_with_something(file, pictures):
                return good_bytes
            good_bytes = mdat.end
    return good_bytes


def _begin_with_something(file: _File, pictures: list[Sample]) -> bool:
    return all(
        picture.offset + picture.size <= file.size and any(file.at(picture.offset, min(64, picture.size)))
        for picture in pictures
    )


def _label_bytes(file: _File, at: int) -> int:
    """The length of the label that begins at `at` and ends with the file, or 0."""
    box = file.box(at)
    if box is None or box.kind != b"uuid" or box.end != file.size or file.at(at + 8, 16) != BOX_UUID.bytes:
        return 0
    return box.size if box_length(file.at(file.size - 16, 16)) == box.size else 0


def _is_ours(file: _File) -> bool:
    """Whether the file begins as nvr begins one."""
    return file.at(0, FREES_AT) == FRONT[:FREES_AT] and file.at(len(FRONT) + 4, 4) == b"moov"


def _index_of_closed(file: _File) -> Box | None:
    """The moov of everything of a file whose front points at it."""
    if not _is_ours(file):
        return None
    for at, header in ((FREES_AT + 8, 8), (FREES_AT, 16)):
        mdat = file.box(at)
        if mdat is not None and mdat.kind == b"mdat" and mdat.header == header:
            moov = file.box(mdat.end)
            if moov is not None and moov.kind == b"moov":
                return moov
    return None


def _movie(file: _File) -> Movie:
    layout = _Layout(file)
    if layout.final is not None and (layout.front_done or _adds_up(file, layout)):
        return _movie_from(file, layout, whole=True)
    return _movie_from(file, layout, whole=False)


def _movie_from(file: _File, layout: _Layout, *, whole: bool) -> Movie:
    """The movie by the moov of everything (`whole`), or by the first moov and the fragments after it."""
    moov = layout.final if whole else layout.first
    if moov is None:
        raise NotDecodable("a file without a whole moov")
    boxes = _children(file.read(moov))
    track = _video_track(boxes, file.most_samples)
    texts: list[Sample] = []
    with suppress(NotDecodable):  # pictures are not lost over what stands beside them
        text = _text_track(boxes, track.time_base, file.most_samples)
        texts = _all_samples(file, layout, text, whole=whole) if text is not None else texts
    pictures = _all_samples(file, layout, track, whole=whole)
    return Movie(track.width, track.height, track.time_base, track.configuration, pictures, texts, _metadata(boxes))


def _all_samples(file: _File, layout: _Layout, track: "_Track", *, whole: bool) -> list[Sample]:
    """A track's samples: those of its table, and unless that is `whole`, those of the fragments."""
    if whole:
        return track.samples
    found = list(track.samples)
    tick = track.end_tick
    for moof, _ in layout.fragments:
        fragment = _fragment_samples(file, moof, track, tick)
        found += fragment
        tick = fragment[-1].ticks + fragment[-1].duration if fragment else tick
    return found


@dataclass(slots=True)
class _Track:
    number: int
    time_base: Fraction
    samples: list[Sample]
    defaults: tuple[int, int, int]
    """Duration, size and flags by trex (8.8.3)."""
    width: int = 0
    height: int = 0
    configuration: bytes = b""

    @property
    def end_tick(self) -> int:
        return self.samples[-1].ticks + self.samples[-1].duration if self.samples else 0


_Children = list[tuple[bytes, bytes]]


def _children(payload: bytes) -> _Children:
    """The boxes within a box's payload, as kind and payload."""
    found = []
    at = 0
    while at + 8 <= len(payload):
        size = int.from_bytes(payload[at : at + 4], "big")
        if size < 8 or at + size > len(payload):
            raise NotDecodable(f"a box of {size} bytes within {len(payload)}")
        found.append((payload[at + 4 : at + 8], payload[at + 8 : at + size]))
        at += size
    return found


def _find(boxes: _Children, *path: bytes) -> bytes | None:
    """The payload of the first box along a path, or None."""
    for kind, payload in boxes:
        if kind == path[0]:
            return payload if len(path) == 1 else _find(_children(payload), *path[1:])
    return None


def _need(boxes: _Children, *path: bytes) -> bytes:
    payload = _find(boxes, *path)
    if payload is None:
        raise NotDecodable(f"no {b'/'.join(path).decode('latin-1')} box")
    return payload


def _video_track(moov: _Children, most_samples: int) -> _Track:
    trak = _track_of_kind(moov, b"vide")
    if trak is None:
        raise NotDecodable("a file without a video track")
    with _translated("the video track"):
        entry = _need(trak, b"mdia", b"minf", b"stbl", b"stsd")[8:]
        if entry[4:8] != b"mp4v":
            raise NotDecodable(f"video of kind {entry[4:8]!r}, mp4v is recorded")
        track = _read_track(trak, moov, most_samples)
        track.width, track.height = struct.unpack_from(">HH", entry, 32)
        (length,) = struct.unpack_from(">I", entry)
        track.configuration = _configuration(_need(_children(entry[86:length]), b"esds"))
    return track


def _text_track(moov: _Children, time_base: Fraction, most_samples: int) -> _Track | None:
    """The timed text (3GPP TS 26.245) with the video's ticks; None where there is none like that."""
    trak = _track_of_kind(moov, b"sbtl")
    if trak is None:
        return None
    with _translated("the text track"):
        track = _read_track(trak, moov, most_samples)
    return track if track.time_base == time_base else None


def _track_of_kind(moov: _Children, handler: bytes) -> _Children | None:
    """The first track of a kind (8.4.3)."""
    for kind, payload in moov:
        if kind == b"trak":
            trak = _children(payload)
            if _need(trak, b"mdia", b"hdlr")[8:12] == handler:
                return trak
    return None


def _read_track(trak: _Children, moov: _Children, most_samples: int) -> _Track:
    """What every track has."""
    tkhd = _need(trak, b"tkhd")
    (number,) = struct.unpack_from(">I", tkhd, 20 if tkhd[0] == 1 else 12)
    mdhd = _need(trak, b"mdia", b"mdhd")
    (timescale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)
    samples = _table_samples(_children(_need(trak, b"mdia", b"minf", b"stbl")), most_samples)
    defaults = (0, 0, 0)
    for kind, payload in _children(_find(moov, b"mvex") or b""):
        if kind == b"trex" and struct.unpack_from(">I", payload, 4) == (number,):
            defaults = struct.unpack_from(">III", payload, 12)
    return _Track(number, Fraction(1, timescale), samples, defaults)


def _configuration(esds: bytes) -> bytes:
    """The DecoderSpecificInfo (ISO/IEC 14496-1, 7.2.6.7) within an ES descriptor."""
    tag, start, _ = _descriptor(esds, 4)
    if tag != 3:
        raise NotDecodable("an esds box without an ES descriptor")
    flags = esds[start + 2]
    start += 3 + (2 if flags & 0x80 else 0)
    if flags & 0x40:
        start += 1 + esds[start]
    start += 2 if flags & 0x20 else 0
    tag, start, _ = _descriptor(esds, start)
    tag, start, end = _descriptor(esds, start + 13) if tag == 4 else (0, 0, 0)
    return esds[start:end] if tag == 5 else b""


def _descriptor(data: bytes, at: int) -> tuple[int, int, int]:
    tag = data[at]
    length = 0
    for count in range(1, 5):
        length = length << 7 | data[at + count] & 127
        if data[at + count] < 128:
            return tag, at + count + 1, at + count + 1 + length
    raise NotDecodable("a descriptor whose length does not end")


def _table_samples(tables: _Children, most_samples: int) -> list[Sample]:
    """The samples by stsz, stts, stss, stsc and stco or co64 (8.6, 8.7)."""
    constant, count = struct.unpack_from(">II", _need(tables, b"stsz"), 4)
    if count > most_samples:
        raise NotDecodable(f"a track of {count} pictures")
    if count == 0:
        return []
    sizes = [constant] * count if constant else _table(_need(tables, b"stsz")[12:], "I", count)
    durations = _durations(_need(tables, b"stts"), count)
    sync = _find(tables, b"stss")
    keys = None if sync is None else set(_counted(sync, "I"))
    offsets = _offsets(tables, sizes)
    ticks = [0, *accumulate(durations)]
    return [Sample(offsets[n], sizes[n], ticks[n], durations[n], keys is None or n + 1 in keys) for n in range(count)]


def _durations(stts: bytes, count: int) -> list[int]:
    entries = _counted(stts, "II")
    durations: list[int] = []
    for run, delta in zip(entries[::2], entries[1::2], strict=True):
        if len(durations) + run > count:
            break
        durations += [delta] * run
    if len(durations) != count:
        raise NotDecodable("a track whose time table is not of all its pictures")
    return durations


def _offsets(tables: _Children, sizes: list[int]) -> list[int]:
    """Where each sample lies, by the runs of chunks (stsc) and where each chunk begins."""
    wide = _find(tables, b"co64")
    chunks = _counted(_need(tables, b"stco"), "I") if wide is None else _counted(wide, "Q")
    runs = _counted(_need(tables, b"stsc"), "III")
    firsts = [*runs[::3], len(chunks) + 1]
    offsets: list[int] = []
    for number, per_chunk in enumerate(runs[1::3]):
        for chunk in range(firsts[number], firsts[number + 1]):
            at = chunks[chunk - 1]
            for _ in range(min(per_chunk, len(sizes) - len(offsets))):
                offsets.append(at)
                at += sizes[len(offsets) - 1]
    if len(offsets) != len(sizes):
        raise NotDecodable("a track whose chunks do not hold all its pictures")
    return offsets


def _fragment_samples(file: _File, moof: Box, track: _Track, tick: int) -> list[Sample]:
    """A track's samples of a movie fragment (8.8); `tick` is where it begins if it does not say so itself."""
    pictures: list[Sample] = []
    with _translated("a fragment"):
        for kind, payload in _children(file.read(moof)):
            traf = _children(payload) if kind == b"traf" else []
            if traf and struct.unpack_from(">I", _need(traf, b"tfhd"), 4) == (track.number,):
                pictures += _traf_samples(traf, moof, track, tick, file.most_samples)
    return pictures


def _traf_samples(traf: _Children, moof: Box, track: _Track, tick: int, most_samples: int) -> list[Sample]:
    tfhd = _need(traf, b"tfhd")
    base, defaults = _fragment_defaults(tfhd, moof.offset, track.defaults)
    tfdt = _find(traf, b"tfdt")
    if tfdt is not None:
        (tick,) = struct.unpack_from(">Q" if tfdt[0] == 1 else ">I", tfdt, 4)
    pictures: list[Sample] = []
    at = base
    for kind, trun in traf:
        if kind != b"trun":
            continue
        if int.from_bytes(trun[1:4], "big") & 1:
            at = base + struct.unpack_from(">i", trun, 8)[0]
        for duration, size, flags in _run(trun, defaults, most_samples):
            pictures.append(Sample(at, size, tick, duration, not flags & 0x10000))
            at += size
            tick += duration
    return pictures


def _fragment_defaults(tfhd: bytes, base: int, defaults: tuple[int, int, int]) -> tuple[int, tuple[int, int, int]]:
    """Where a fragment's data offsets count from, and its default duration, size and flags (8.8.7)."""
    flags = int.from_bytes(tfhd[1:4], "big")
    at = 8
    if flags & 0x1:
        (base,) = struct.unpack_from(">Q", tfhd, at)
        at += 8
    at += 4 if flags & 0x2 else 0
    given = list(defaults)
    for number, bit in enumerate((0x8, 0x10, 0x20)):
        if flags & bit:
            (given[number],) = struct.unpack_from(">I", tfhd, at)
            at += 4
    return base, (given[0], given[1], given[2])


def _run(trun: bytes, defaults: tuple[int, int, int], most_samples: int) -> Iterator[tuple[int, int, int]]:
    """Duration, size and flags of each sample of a run (8.8.8)."""
    flags = int.from_bytes(trun[1:4], "big")
    (count,) = struct.unpack_from(">I", trun, 4)
    at = 8 + (4 if flags & 0x1 else 0)
    first_flags: int | None = None
    if flags & 0x4:
        (first_flags,) = struct.unpack_from(">I", trun, at)
        at += 4
    present = [number for number, bit in enumerate((0x100, 0x200, 0x400)) if flags & bit]
    width = len(present) + (1 if flags & 0x800 else 0)
    if count > most_samples or at + count * width * 4 > len(trun):
        raise NotDecodable(f"a fragment of {count} pictures cut short")
    fields = struct.unpack_from(f">{count * width}I", trun, at)
    for n in range(count):
        given = list(defaults)
        for column, number in enumerate(present):
            given[number] = fields[n * width + column]
        if n == 0 and first_flags is not None:
            given[2] = first_flags
        yield given[0], given[1], given[2]


def _counted(table: bytes, entry: str) -> list[int]:
    """The numbers of a table that begins with version, flags and its count of entries."""
    (count,) = struct.unpack_from(">I", table, 4)
    return _table(table[8:], entry, count)


def _table(data: bytes, entry: str, count: int) -> list[int]:
    width = struct.calcsize(">" + entry)
    if count * width > len(data):
        raise NotDecodable(f"a table of {count} entries in {len(data)} bytes")
    return list(struct.unpack_from(f">{count * len(entry)}{entry[0]}", data))


def _metadata(moov: _Children) -> dict[str, str]:
    found: dict[str, str] = {}
    mvhd = _find(moov, b"mvhd")
    if mvhd is not None and len(mvhd) >= 12:
        seconds = int.from_bytes(mvhd[4:12] if mvhd[0] == 1 else mvhd[4:8], "big") - _EPOCH_1904_S
        if 0 <= seconds < 1 << 33:
            found["creation_time"] = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    meta = _find(moov, b"udta", b"meta")
    items = _find(_children(meta[4:]), b"ilst") if meta else None
    for kind, payload in _children(items) if items else []:
        data = _find(_children(payload), b"data")
        if kind in _ITEMS and data is not None:
            found[_ITEMS[kind]] = data[8:].decode(errors="replace")
    return found


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (struct.error, IndexError, ValueError, ZeroDivisionError) as trouble:
        raise NotDecodable(f"{what} does not add up: {trouble}") from trouble

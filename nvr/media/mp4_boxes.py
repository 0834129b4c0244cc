"""The boxes that nvr puts into MP4 (ISO/IEC 14496-12), from values to bytes. Pure; boxes.py reads them back.

    ftyp · free · free · moov (of no sample) · moof · mdat · moof · mdat …              a file that grows
    ftyp · free · mdat (all of that up to here) · moov (of every sample)                the same file, closed

A player finds fragments in the first and an ordinary MP4 in the second. All that closing changes in front of the moov
are the 8 bytes of the second free, or where those cannot hold the length (past 4 GB) the 16 bytes of both.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import groupby
from struct import Struct, pack
from typing import Final, NamedTuple

from nvr.media.frame import Vol


class Chapter(NamedTuple):
    """A part of a film that players name and jump to."""

    start_us: int
    """From the film's first picture on; it ends where the next begins."""
    title: str


@dataclass(slots=True)
class Track:
    """A track and what is written of it so far. Sample n is the n-th, from 1."""

    number: int
    handler: bytes
    entry: bytes
    """Its sample entry (8.5.2)."""
    width: int
    height: int
    sample_flags: int
    """Of a sample of which nothing else is said (8.8.3.1)."""
    durations: "array[int]" = field(default_factory=lambda: array("I"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    chunk_offsets: list[int] = field(default_factory=list)
    chunk_samples: list[int] = field(default_factory=list)
    keys: list[int] | None = None
    """Numbers of the samples that decoding can begin at; None where it can at each."""
    ticks: int = 0
    """The sum of all durations."""

    def note(self, durations: Sequence[int], sizes: Sequence[int], offset: int) -> None:
        """A fragment was written whose samples of this track lie at `offset` one after the other."""
        self.durations.extend(durations)
        self.sizes.extend(sizes)
        self.chunk_offsets.append(offset)
        self.chunk_samples.append(len(sizes))
        self.ticks += sum(durations)


class Run(NamedTuple):
    """The samples of one track in one fragment."""

    track: Track
    durations: Sequence[int]
    sizes: Sequence[int]
    keys: Sequence[int]
    """Places within the run, from 0, at which decoding can begin; of no interest where it can at each of the track."""


def box(kind: bytes, *payload: bytes) -> bytes:
    """One box; raises struct.error for more than 4 GB."""
    body = b"".join(payload)
    return pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, flags: int, *payload: bytes) -> bytes:
    """A box with version and flags (4.2)."""
    return box(kind, pack(">I", version << 24 | flags), *payload)


_FTYP: Final = box(b"ftyp", b"isom", pack(">I", 512), b"isom", b"iso2", b"iso6", b"mp41")
FREES: Final = box(b"free") * 2
FREES_AT: Final = len(_FTYP)
"""Where the two free boxes lie that closing rewrites; the first moov follows them."""
FRONT: Final = _FTYP + FREES

_MATRIX: Final = pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)  # as it is: neither turned nor moved
_UNDETERMINED: Final = 0x55C4  # the language "und" in three times five bits (8.4.2.3)
_EPOCH_1904_S: Final = 2_082_844_800  # creation times count from 1904-01-01 (8.2.2.3)
_NO_KEY: Final = 0x0101_0000  # depends on others, no sync sample (8.8.3.1)
_KEY: Final = 0x0200_0000  # depends on none
_OFFSET, _FIRST_FLAGS, _DURATIONS, _SIZES, _FLAGS = 0x1, 0x4, 0x100, 0x200, 0x400  # what a trun has (8.8.8.1)
_FROM_MOOF: Final = 0x2_0000  # data offsets count from the moof's first byte (8.8.7.1)
_SELF_CONTAINED: Final = _full(b"url ", 0, 1)
_MPEG4_VISUAL: Final = 0x20  # ISO/IEC 14496-1, table 5: objectTypeIndication
_VISUAL_STREAM: Final = 0x04 << 2 | 1  # table 6, and the bit that is reserved
_MOST_CHAPTERS: Final = 255  # their number and the length of each title have a byte
_CHAPTER_TICKS: Final = 10  # a microsecond in the 100 ns that chapters count in
_ITEMS: Final = {"title": b"\xa9nam", "comment": b"\xa9cmt"}


def video_track(number: int, vol: Vol) -> Track:
    """MPEG-4 Part 2 pictures; the VOL is in the sample entry (ISO/IEC 14496-14, 5.6)."""
    entry = box(
        b"mp4v",
        pack(">6xH16xHH", 1, vol.width, vol.height),
        pack(">IIIH32xHh", 72 << 16, 72 << 16, 0, 1, 24, -1),
        _full(b"esds", 0, 0, _stream_descriptor(vol.header)),
    )
    return Track(number, b"vide", entry, vol.width, vol.height, _NO_KEY, keys=[])


def text_track(number: int, vol: Vol) -> Track:
    """Timed text (3GPP TS 26.245, 5.16) at the bottom of the pictures, white on what is there."""
    style = pack(">HHHBB4B", 0, 0, 1, 0, 16, 255, 255, 255, 255)
    font = box(b"ftab", pack(">HHB5s", 1, 1, 5, b"Arial"))
    entry = box(b"tx3g", pack(">6xHIbb4B8x", 1, 0, 1, -1, 0, 0, 0, 0), style, font)
    return Track(number, b"sbtl", entry, vol.width, vol.height, _KEY)


def moov(
    tracks: Sequence[Track],
    time_base: Fraction,
    metadata: Mapping[str, str],
    chapters: Sequence[Chapter] = (),
    *,
    grows: bool,
) -> bytes:
    """The movie box (8.2): of no sample where the file `grows`, by fragments that follow; else of every sample."""
    timescale = time_base.denominator
    created_s = _created_s(metadata)
    longest = 0 if grows else max(track.ticks for track in tracks)
    mvhd = pack(">QQIQIH10x", created_s, created_s, timescale, longest, 1 << 16, 1 << 8)
    parts = [_full(b"mvhd", 1, 0, mvhd, _MATRIX, bytes(24), pack(">I", len(tracks) + 1))]
    parts += [_trak(track, timescale, created_s, grows=grows) for track in tracks]
    if grows:
        parts.append(box(b"mvex", *(_trex(track) for track in tracks)))
    return box(b"moov", *parts, box(b"udta", _meta(metadata), _chpl(chapters)))


def moof(sequence: int, runs: Sequence[Run]) -> bytes:
    """The head of a movie fragment (8.8.4), the head of its mdat included; the samples follow, run by run."""
    mfhd = _full(b"mfhd", 0, 0, pack(">I", sequence))
    size = 8 + len(mfhd) + sum(_traf_size(run) for run in runs)
    trafs = []
    at = size + 8
    for run in runs:
        trafs.append(_traf(run, at))
        at += sum(run.sizes)
    return box(b"moof", mfhd, *trafs) + pack(">I4s", at - size, b"mdat")


def closing(moov_at: int) -> tuple[int, bytes]:
    """What closing writes, and where: the head of an mdat that reaches from the frees up to the moov of everything."""
    reach = moov_at - FREES_AT
    if reach - 8 < 1 << 32:
        return FREES_AT + 8, pack(">I4s", reach - 8, b"mdat")
    return FREES_AT, pack(">I4sQ", 1, b"mdat", reach)


# ---- a movie


def _trak(track: Track, timescale: int, created_s: int, *, grows: bool) -> bytes:
    ticks = 0 if grows else track.ticks
    tkhd = pack(">QQI4xQ8x4h", created_s, created_s, track.number, ticks, 0, 0, 0, 0)
    mdhd = pack(">QQIQHH", created_s, created_s, timescale, ticks, _UNDETERMINED, 0)
    is_video = track.handler == b"vide"
    kind, name = (b"vmhd", b"pictures\0") if is_video else (b"nmhd", b"where the camera looked\0")
    media = _full(b"vmhd", 0, 1, bytes(8)) if is_video else _full(kind, 0, 0)
    dinf = box(b"dinf", _full(b"dref", 0, 0, pack(">I", 1), _SELF_CONTAINED))
    return box(
        b"trak",
        _full(b"tkhd", 1, 3, tkhd, _MATRIX, pack(">II", track.width << 16, track.height << 16)),  # 3: enabled, in movie
        box(
            b"mdia",
            _full(b"mdhd", 1, 0, mdhd),
            _full(b"hdlr", 0, 0, pack(">4x4s12x", track.handler), name),
            box(b"minf", media, dinf, _stbl(track, grows=grows)),
        ),
    )


def _stbl(track: Track, *, grows: bool) -> bytes:
    """The sample table (8.5)."""
    stsd = _full(b"stsd", 0, 0, pack(">I", 1), track.entry)
    if grows:
        return box(b"stbl", stsd, _table(b"stts"), _table(b"stsc"), _full(b"stsz", 0, 0, bytes(8)), _table(b"stco"))
    durations = [(sum(1 for _ in same), duration) for duration, same in groupby(track.durations)]
    stsz = _full(b"stsz", 0, 0, pack(f">II{len(track.sizes)}I", 0, len(track.sizes), *track.sizes))
    offsets = track.chunk_offsets
    wide = bool(offsets) and offsets[-1] >= 1 << 32
    return box(
        b"stbl",
        stsd,
        _table(b"stts", "II", durations),
        b"" if track.keys is None else _table(b"stss", "I", [(key,) for key in track.keys]),
        _table(b"stsc", "III", _chunk_runs(track.chunk_samples)),
        stsz,
        _table(b"co64" if wide else b"stco", "Q" if wide else "I", [(offset,) for offset in offsets]),
    )


def _chunk_runs(samples: Sequence[int]) -> list[tuple[int, int, int]]:
    """From which chunk on each has how many samples (8.7.4)."""
    return [
        (number, count, 1)
        for number, count in enumerate(samples, start=1)
        if number == 1 or count != samples[number - 2]
    ]


def _table(kind: bytes, row: str = "", rows: Sequence[tuple[int, ...]] = ()) -> bytes:
    """A box of rows after their number."""
    pack_row = Struct(">" + row).pack
    return _full(kind, 0, 0, pack(">I", len(rows)), *(pack_row(*values) for values in rows))


def _trex(track: Track) -> bytes:
    return _full(b"trex", 0, 0, pack(">5I", track.number, 1, 0, 0, track.sample_flags))


# ---- a fragment


def _run_flags(run: Run) -> int:
    """What its trun says of its samples' flags: nothing, those of the first, or each one's."""
    if run.track.keys is None or not run.keys:
        return 0
    return _FIRST_FLAGS if list(run.keys) == [0] else _FLAGS


def _traf_size(run: Run) -> int:
    """Of the box that `_traf` makes: its own head, tfhd, tfdt, and trun."""
    flags = _run_flags(run)
    columns = 3 if flags == _FLAGS else 2
    return 8 + 16 + 20 + 20 + (4 if flags == _FIRST_FLAGS else 0) + 4 * columns * len(run.sizes)


def _traf(run: Run, offset: int) -> bytes:
    """A track's part of a fragment (8.8.6), its samples at `offset` from the moof's first byte on."""
    flags = _run_flags(run)
    count = len(run.sizes)
    width = 3 if flags == _FLAGS else 2
    fields = [0] * (width * count)
    fields[::width] = run.durations
    fields[1::width] = run.sizes
    if flags == _FLAGS:
        keys = set(run.keys)
        fields[2::width] = [_KEY if place in keys else _NO_KEY for place in range(count)]
    first = pack(">I", _KEY) if flags == _FIRST_FLAGS else b""
    return box(
        b"traf",
        _full(b"tfhd", 0, _FROM_MOOF, pack(">I", run.track.number)),
        _full(b"tfdt", 1, 0, pack(">Q", run.track.ticks)),
        _full(
            b"trun",
            0,
            _OFFSET | _DURATIONS | _SIZES | flags,
            pack(">Ii", count, offset),
            first,
            pack(f">{len(fields)}I", *fields),
        ),
    )


# ---- descriptions


def _stream_descriptor(configuration: bytes) -> bytes:
    """The ES descriptor of an MPEG-4 visual stream (ISO/IEC 14496-1, 7.2.6.5)."""
    decoder = pack(">BB3xII", _MPEG4_VISUAL, _VISUAL_STREAM, 0, 0) + _descriptor(5, configuration)
    return _descriptor(3, pack(">HB", 0, 0), _descriptor(4, decoder), _descriptor(6, b"\x02"))


def _descriptor(tag: int, *payload: bytes) -> bytes:
    """A descriptor with its length in four times seven bits (ISO/IEC 14496-1, 8.3.3)."""
    body = b"".join(payload)
    length = len(body)
    return bytes([tag, length >> 21 | 128, length >> 14 & 127 | 128, length >> 7 & 127 | 128, length & 127]) + body


def _created_s(metadata: Mapping[str, str]) -> int:
    created = metadata.get("creation_time")
    return int(datetime.fromisoformat(created).timestamp()) + _EPOCH_1904_S if created else 0


def _meta(metadata: Mapping[str, str]) -> bytes:
    """Title and comment where every player looks for them."""
    items: Iterable[bytes] = (
        box(kind, box(b"data", pack(">II", 1, 0), metadata[name].encode()))  # 1: the value is UTF-8
        for name, kind in _ITEMS.items()
        if name in metadata
    )
    handler = _full(b"hdlr", 0, 0, pack(">4x4s4s9x", b"mdir", b"appl"))
    return _full(b"meta", 0, 0, handler, box(b"ilst", *items))


def _chpl(chapters: Sequence[Chapter]) -> bytes:
    """Chapters as VLC, mpv and FFmpeg read them: a start and a title each."""
    if not chapters:
        return b""
    listed = chapters[:_MOST_CHAPTERS]
    rows = [
        pack(">QB", chapter.start_us * _CHAPTER_TICKS, len(title)) + title
        for chapter in listed
        for title in [chapter.title.encode()[:_MOST_CHAPTERS]]
    ]
    return _full(b"chpl", 1, 0, pack(">4xB", len(listed)), *rows)

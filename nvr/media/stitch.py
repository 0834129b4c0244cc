"""Cuts a window out of segments and joins it to one MP4, picture for picture as they were written: nothing is decoded.

The timed text beside the pictures goes with them. Wall time is kept: over a gap the last picture stands. What cannot
be one file (the picture's size or coding changes, or a gap lasts half a day) becomes several. A segment still being
written gives what is on disk of it.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from nvr.media import boxes, label
from nvr.media.boxes import Movie, Sample
from nvr.media.captions import Line
from nvr.media.durable import Disk, DurableFile
from nvr.media.errors import NotDecodable
from nvr.media.mp4 import Chapter, Mp4File
from nvr.media.mpeg4 import coding
from nvr.units import US

_LONGEST_GAP_US: Final = 12 * 3600 * US  # a picture stands for 32 bits of ticks at most: 13 hours at 90 000 a second
_MAX_PICTURE: Final = 16 << 20  # a sample is a unit with a VOL before it; far more is damage


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a segment: the pictures shown from `first_tick` to `last_tick`, in the file's own time from 0."""

    path: Path
    first_tick: int
    """What is cut begins at the key picture at or before it."""
    last_tick: int
    """The picture shown at this tick is the last."""
    start_us: int
    """UTC of the file's tick 0: places the file among the others."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment at which a chapter begins."""

    at_us: int
    """UTC."""
    title: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Which of a file's pictures went where."""

    source: Source
    first_frame: int
    """Number of the first picture taken, in the source."""
    frames: int


@dataclass(frozen=True, slots=True)
class Stitched:
    """A file that was written."""

    path: Path
    start_us: int
    """UTC of its first picture."""
    end_us: int
    """UTC of the end of its last picture's interval."""
    frames: int
    duration_ticks: int
    time_base: Fraction
    gap_us: int
    """How long pictures stand in it because nothing was recorded."""
    pieces: tuple[Piece, ...]


def window(
    sources: Sequence[Source],
    out_path: Path,
    *,
    disk: Disk | None = None,
    metadata: Mapping[str, str] | None = None,
    marks: Sequence[Mark] = (),
    label_for: Callable[[Stitched], label.Label] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Stitched]:
    """Writes the window that `sources` describe, which follow one another in time; returns the files, synced.

    The first is `out_path`; where the VOL changes or a gap is too long, another begins with `-2`, `-3` … before its
    suffixes. None of them may exist. `marks` become chapters, in order; one before a film's first picture names its
    beginning. `label_for` makes the label of each; `progress` is told pictures done and pictures in all, once a source.

    Raises OSError and NotDecodable; what was written until then is the caller's to clear away.
    """
    cuts = [cut for cut in map(_cut, sources) if cut.pictures]
    total = sum(len(cut.pictures) for cut in cuts)
    done = 0
    written: list[Stitched] = []
    for number, group in enumerate(_alike(cuts), start=1):
        path = out_path if number == 1 else _numbered(out_path, number)
        text = any(cut.texts for cut in group)
        chapters = _chapters(marks, group[0].start_us, group[-1].end_us)
        writer = _Writer(path, group[0], disk or Disk(), metadata or {}, chapters, text=text)
        try:
            for cut in group:
                writer.take(cut)
                done += len(cut.pictures)
                if progress is not None:
                    progress(done, total)
            written.append(writer.finish(label_for))
        finally:
            writer.let_go()
    return written


def pieces(sources: Sequence[Source]) -> list[Piece]:
    """Which pictures a window of these sources holds. Raises OSError and NotDecodable."""
    return [cut.piece for cut in map(_cut, sources) if cut.pictures]


class _Cut:
    """The pictures of a source that are wanted."""

    def __init__(self, source: Source, movie: Movie) -> None:
        self.source = source
        self.movie = movie
        first, end = _range_wanted(movie.samples, source.first_tick, source.last_tick)
        self.first_frame = first
        self.pictures = movie.samples[first:end]
        self.texts = _texts_of(boxes.lines(source.path, movie), self.pictures)
        """What is said from which of the pictures on, by its tick; empty where the source has no text."""

    @property
    def piece(self) -> Piece:
        return Piece(self.source, self.first_frame, len(self.pictures))

    @property
    def start_us(self) -> int:
        """UTC of the first picture taken."""
        return self.source.start_us + _us(self.pictures[0].ticks, self.movie.time_base)

    @property
    def end_us(self) -> int:
        """UTC of the end of the last picture taken."""
        last = self.pictures[-1]
        return self.source.start_us + _us(last.ticks + last.duration, self.movie.time_base)


class _Writer:
    """One file of a window."""

    def __init__(
        self,
        path: Path,
        first: _Cut,
        disk: Disk,
        metadata: Mapping[str, str],
        chapters: Sequence[Chapter],
        *,
        text: bool,
    ) -> None:
        self._path = path
        self._time_base = first.movie.time_base
        self._start_us = first.start_us
        self._disk = disk
        self._file = DurableFile.create(path, disk)
        self._text = text
        self._mp4 = Mp4File(
            self._file,
            first.movie.vol,
            self._time_base,
            metadata,
            text=text,
            chapters=chapters,
        )
        self._held: tuple[bytes, int, bool, str | None] | None = None
        """The picture read last, which is written when it is known how long it stands."""
        self._held_end = 0
        self._gap_ticks = 0
        self._frames = 0
        self._pieces: list[Piece] = []

    def take(self, cut: _Cut) -> None:
        """Adds a source's pictures where they belong in wall time."""
        first_tick = cut.pictures[0].ticks
        shift = self._place(cut) - first_tick
        texts = cut.texts
        if self._text and first_tick not in texts:
            texts = {first_tick: "", **texts}  # what the source before this one said ends here
        for data, picture in _read(cut):
            self._release(picture.ticks + shift)
            self._held = (data, picture.ticks + shift, picture.key, texts.get(picture.ticks))
            self._held_end = picture.ticks + picture.duration + shift
        self._pieces.append(cut.piece)
        self._frames += len(cut.pictures)

    def finish(self, label_for: Callable[[Stitched], label.Label] | None) -> Stitched:
        """Writes the last picture, closes and syncs the file, its label at its end, and its name."""
        self._release(self._held_end)
        self._mp4.close()
        stitched = Stitched(
            path=self._path,
            start_us=self._start_us,
            end_us=self._start_us + _us(self._held_end, self._time_base),
            frames=self._frames,
            duration_ticks=self._held_end,
            time_base=self._time_base,
            gap_us=_us(self._gap_ticks, self._time_base),
            pieces=tuple(self._pieces),
        )
        if label_for is not None:
            self._file.append(label.pack(label_for(stitched)))
        self._file.full_sync()
        self._disk.fsync_directory(self._path.parent)
        return stitched

    def let_go(self) -> None:
        self._mp4.abandon()
        self._file.close()

    def _place(self, cut: _Cut) -> int:
        """The tick at which a source's first picture is shown.

        Where wall time says so within half a picture, sources follow each other without a seam; else a gap is kept by
        letting the last picture stand. Time never goes back: what overlaps follows at once.
        """
        if self._held is None:
            return 0
        by_wall = round(Fraction(cut.start_us - self._start_us, US) / self._time_base)
        early = by_wall - self._held_end
        picture = self._held_end - self._held[1]
        if abs(early) * 2 <= picture:
            return self._held_end
        if early > 0:
            self._gap_ticks += early
            return by_wall
        return by_wall if -early < picture else self._held_end

    def _release(self, until_tick: int) -> None:
        """Writes the picture held, which stands until then."""
        if self._held is not None:
            data, ticks, key, text = self._held
            self._mp4.add(data, ticks, until_tick - ticks, key)
            if text is not None:
                self._mp4.add_text(text, ticks)


def _chapters(marks: Sequence[Mark], start_us: int, end_us: int) -> list[Chapter]:
    """The parts that marks make of a film; none is empty."""
    begun = [mark for mark in marks if mark.at_us < end_us]
    if not begun:
        return []
    ends = [mark.at_us for mark in begun[1:]] + [end_us]
    return [
        Chapter(max(0, mark.at_us - start_us), mark.title)
        for mark, until_us in zip(begun, ends, strict=True)
        if until_us > max(mark.at_us, start_us)
    ]


def _cut(source: Source) -> _Cut:
    return _Cut(source, boxes.movie(source.path))


def _range_wanted(pictures: list[Sample], first_tick: int, last_tick: int) -> tuple[int, int]:
    """From the key picture at or before `first_tick` (else the first one after) to the picture shown at `last_tick`."""
    first: int | None = None
    end = 0
    for number, picture in enumerate(pictures):
        if picture.ticks > last_tick:
            break
        if picture.key and (first is None or picture.ticks <= first_tick):
            first = number
        end = number + 1
    return (0, 0) if first is None else (first, end)


def _texts_of(lines: Sequence[Line], pictures: Sequence[Sample]) -> dict[int, str]:
    """The text that stands from a picture on, by the picture's tick; it begins at a picture or between two."""
    ticks = [picture.ticks for picture in pictures]
    texts = {}
    for line in lines:
        at = bisect_left(ticks, line.ticks)
        if at < len(ticks) and line.ticks + line.duration > ticks[at]:
            texts[ticks[at]] = line.text
    return texts


def _alike(cuts: list[_Cut]) -> Iterator[list[_Cut]]:
    """Cuts that can be one file, one after the other."""
    group: list[_Cut] = []
    for cut in cuts:
        if group and not (_fit(group[-1].movie, cut.movie) and cut.start_us - group[-1].end_us < _LONGEST_GAP_US):
            yield group
            group = []
        group.append(cut)
    if group:
        yield group


def _fit(one: Movie, other: Movie) -> bool:
    return one.time_base == other.time_base and coding(one.vol) == coding(other.vol)


def _read(cut: _Cut) -> Iterator[tuple[bytes, Sample]]:
    fd = os.open(cut.source.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for picture in cut.pictures:
            if picture.size > _MAX_PICTURE:
                raise NotDecodable(f"a picture of {picture.size} bytes in {cut.source.path.name}")
            data = os.pread(fd, picture.size, picture.offset)
            if len(data) != picture.size:
                raise NotDecodable(f"{cut.source.path.name} ends within a picture")
            yield data, picture
    finally:
        os.close(fd)


def _numbered(path: Path, number: int) -> Path:
    suffix = ".mp4.part" if path.name.endswith(".mp4.part") else path.suffix
    return path.with_name(f"{path.name.removesuffix(suffix)}-{number}{suffix}")


def _us(ticks: int, time_base: Fraction) -> int:
    return round(ticks * time_base * US)

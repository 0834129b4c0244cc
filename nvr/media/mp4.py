"""The only writer of MP4: coded pictures in, a file that plays while it grows, after a crash, and when it is closed.

The file grows as fragments: what is on disk at any moment is readable up to the last whole one. Closing it appends one
index of everything and turns the front into an ordinary MP4's (mp4_boxes.py). Pictures go from the bytes that came to
the disk in one gathered write a fragment and are never copied: a muxer library takes twice the time, more than all
else that is done to a picture here (bench/README.md).
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil
from operator import lt
from typing import Final

from nvr.media.durable import DurableFile
from nvr.media.errors import NotDecodable
from nvr.media.frame import Vol
from nvr.media.mp4_boxes import FRONT, Chapter, Run, Track, closing, moof, moov, text_track, video_track
from nvr.media.mpeg4 import leads_with_vol
from nvr.units import US

__all__ = ["Chapter", "Mp4File"]

_FRAGMENT_US: Final = 2 * US
_MAX_LINE: Final = 0xFFFF
_NO_TEXT: Final = b"\0\0"
_MOST_TICKS: Final = (1 << 32) - 1  # what a picture can stand: 13 hours at 90 000 ticks a second (8.6.1.2)


class Mp4File:
    """One file being written. Ticks may begin anywhere; the file's own time begins at 0 with its first picture.

    Every method that writes raises OSError as soon as the disk has failed, and from then on; nothing is written any
    more, and what was written before stays as it is. One thread at a time; `file` is not closed here.
    """

    def __init__(
        self,
        file: DurableFile,
        vol: Vol,
        time_base: Fraction,
        metadata: Mapping[str, str],
        *,
        text: bool = False,
        chapters: Sequence[Chapter] = (),
    ) -> None:
        """Begins a file; nothing is written before the first fragment is whole: at `flush`, else after two seconds.

        `time_base` is 1/n. `metadata`: title, comment, creation_time (ISO 8601).
        `text`: adds a timed text track (tx3g) for `add_text`. Each fragment then holds the text of its own pictures.
        `chapters`: of a film whose length is known; they are in the file once it is closed.
        """
        if time_base.numerator != 1:
            raise ValueError(f"a time base of {time_base}, 1/n is needed")
        self._file = file
        self._vol = vol
        self._time_base = time_base
        self._metadata = metadata
        self._chapters = chapters
        self._video = video_track(1, vol)
        self._text = text_track(2, vol) if text else None
        self._fragment_ticks = ceil(_FRAGMENT_US / (US * time_base))
        self._fragments = 0
        self._first_tick: int | None = None
        self._end_tick = 0
        """Where the last picture ends, as far as is known."""

        # The fragment that is being built.
        self._pictures: list[bytes] = []
        self._ticks: list[int] = []
        self._keys: list[int] = []
        self._due_tick = 0
        """From here on a picture begins the next one."""
        self._lines: list[bytes] = []
        self._line_ticks: list[int] = []
        self._line = _NO_TEXT
        """The text that stands, as a sample; it is put when it is known how long it stood."""
        self._line_tick = 0

    def add(self, data: bytes, ticks: int, duration: int, key: bool) -> None:
        """Adds a picture; `ticks` rises strictly, `duration`: the ticks it stands (a guess; the next or `close` tells).

        The first must be an I-VOP; where it lacks the VOL, the VOL is put before it. Raises OSError,
        and NotDecodable for what no MP4 can hold.
        """
        if self._first_tick is None:
            data = self._begin(data, ticks, key)
        elif ticks <= self._ticks[-1]:
            raise NotDecodable("a picture whose time does not rise")
        elif ticks >= self._due_tick:
            self._write_fragment(ticks)
            self._begin_fragment(ticks)
        if key:
            self._keys.append(len(self._pictures))
        self._pictures.append(data)
        self._ticks.append(ticks)
        self._end_tick = ticks + duration

    def add_run(self, pictures: Sequence[bytes], ticks: Sequence[int]) -> None:
        """Adds P-VOPs in a row, which one fragment holds. Raises as `add` does.

        How long the last one stands, the next or `close` tells.
        """
        self.add(pictures[0], ticks[0], 1, key=False)
        if not all(map(lt, ticks, ticks[1:])):
            raise NotDecodable("a picture whose time does not rise")
        self._pictures += pictures[1:]
        self._ticks += ticks[1:]
        self._end_tick = ticks[-1] + 1

    def flush(self) -> None:
        """Writes what is there as a fragment, but for the newest picture: how long that one stands is not known yet.

        Raises OSError.
        """
        if len(self._pictures) < 2:
            return
        picture, ticks = self._pictures.pop(), self._ticks.pop()
        is_key = bool(self._keys) and self._keys[-1] == len(self._pictures)
        if is_key:
            self._keys.pop()
        self._write_fragment(ticks)
        self._begin_fragment(ticks)
        self._pictures, self._ticks, self._keys = [picture], [ticks], [0] if is_key else []

    def add_text(self, text: str, ticks: int) -> None:
        """From `ticks` on, the time of a picture in the open fragment, this text stands until the next one."""
        self.add_texts([(ticks, text)])

    def add_texts(self, texts: Sequence[tuple[int, str]]) -> None:
        """The same for several, each with its ticks, in order."""
        first, last = texts[0][0], texts[-1][0]
        if self._text is None or self._first_tick is None or not self._line_tick <= first <= last <= self._end_tick:
            raise ValueError("timed text needs a text track, and a picture at its time")
        for ticks, text in texts:
            self._end_line(ticks)
            line = text.encode()[:_MAX_LINE]
            self._line = len(line).to_bytes(2, "big") + line

    def close(self, end_tick: int | None = None) -> None:
        """Writes the last fragment and the index, then the front; the label and the last fsync are the owner's.

        `end_tick`: until when the last picture stands, where its duration was a guess.

        Raises OSError, and after any earlier failure writes nothing: the front must not be touched when the tail is
        not known to be on disk.
        """
        if self._file.trouble is not None:
            self.abandon()
            raise self._file.trouble
        if not self._pictures:
            return
        self._write_fragment(self._end_tick if end_tick is None else end_tick)
        self.abandon()
        moov_at = self._file.size
        self._file.append(moov(self._tracks, self._time_base, self._metadata, self._chapters, grows=False))
        front_at, front = closing(moov_at)
        self._file.seek(front_at)
        self._file.write(front)

    def abandon(self) -> None:
        """Lets go of what is not written; the file stays as after a crash. Harmless when repeated."""
        self._pictures, self._ticks, self._keys = [], [], []
        self._lines, self._line_ticks = [], []

    # ---- fragments

    @property
    def _tracks(self) -> list[Track]:
        return [self._video] if self._text is None else [self._video, self._text]

    def _begin(self, data: bytes, ticks: int, key: bool) -> bytes:
        if not key:
            raise NotDecodable("the first picture of a file is not an I-VOP")
        self._first_tick = self._line_tick = ticks
        self._begin_fragment(ticks)
        return data if leads_with_vol(data) else self._vol.header + data

    def _begin_fragment(self, ticks: int) -> None:
        self._pictures, self._ticks, self._keys = [], [], []
        self._lines, self._line_ticks = [], []
        self._due_tick = ticks + self._fragment_ticks

    def _write_fragment(self, end_tick: int) -> None:
        """Writes the pictures and the texts that are there, the last ones standing until `end_tick`."""
        runs = [Run(self._video, _durations(self._ticks, end_tick), [*map(len, self._pictures)], self._keys)]
        if self._text is not None:
            self._end_line(end_tick)
            runs.append(Run(self._text, self._line_ticks, [*map(len, self._lines)], ()))
        self._fragments += 1
        head = moof(self._fragments, runs)
        if self._fragments == 1:
            head = FRONT + moov(self._tracks, self._time_base, self._metadata, grows=True) + head
        at = self._file.size + len(head)
        self._file.write(head, *self._pictures, b"".join(self._lines))
        before = len(self._video.sizes) + 1
        if self._video.keys is not None:
            self._video.keys += [before + place for place in self._keys]
        for run in runs:
            run.track.note(run.durations, run.sizes, at)
            at += sum(run.sizes)

    def _end_line(self, ticks: int) -> None:
        """Puts the text that stood until then; it goes on from there unless there is another."""
        stood = ticks - self._line_tick
        if stood:
            self._lines.append(self._line)
            self._line_ticks.append(stood)
        self._line_tick = ticks


def _durations(ticks: Sequence[int], end_tick: int) -> list[int]:
    """How long each picture stands. Raises NotDecodable for one that stands longer than a file can say."""
    durations = [after - before for before, after in pairwise([*ticks, end_tick])]
    if max(durations) > _MOST_TICKS:
        raise NotDecodable(f"a picture that stands for {max(durations)} ticks, {_MOST_TICKS} at most can be written")
    return durations

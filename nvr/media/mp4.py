"""The only writer of MP4: coded pictures in, a file that plays while it grows, after a crash, and when it is closed.

The file grows as fragments (`hybrid_fragmented`): what is on disk at any moment is readable up to the last whole
fragment. Closing it appends one index of everything and turns the front into an ordinary MP4's (boxes.py).
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any, Final, NamedTuple

import av

from nvr.media.durable import DurableFile, Octets
from nvr.media.errors import NotDecodable
from nvr.media.frame import Vol
from nvr.media.mpeg4 import leads_with_vol
from nvr.units import US

_BUFFER: Final = 1 << 16  # measured: 64 kB costs no more CPU than 512 kB and saves a quarter of a megabyte per camera
_MIN_FRAGMENT_US: Final = US // 2  # a stream of I-VOPs alone would else make a fragment of every picture
_MIN_TICKS: Final = 10_000  # below, FFmpeg doubles the time scale behind our back
_NEVER: Final = 1 << 63
_MAX_LINE: Final = 0xFFFF
_NO_TEXT: Final = b"\0\0"


class Chapter(NamedTuple):
    """A part of a film that players name and jump to."""

    start_us: int
    """From the film's first picture on."""
    end_us: int
    title: str


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
        fragment_us: int,
        text: bool = False,
        chapters: Sequence[Chapter] = (),
    ) -> None:
        """Begins a file; nothing is written before the first picture.

        `time_base` is 1/n with n of at least 10 000. `metadata`: title, comment, creation_time (ISO 8601).
        `fragment_us`: a fragment is written at each I-VOP and at least this often (and at most twice a second).
        `text`: adds a timed text track (tx3g) for `add_text`. Each fragment then holds the text of its own pictures.
        `chapters`: of a film whose length is known; they are in the file once it is closed.
        """
        if time_base.numerator != 1 or time_base.denominator < _MIN_TICKS:
            raise ValueError(f"a time base of {time_base}, 1/{_MIN_TICKS} or finer is needed")
        self._file = file
        self._vol = vol
        self._time_base = time_base
        self._first_tick: int | None = None
        self._last_tick = 0
        self._end_tick = 0
        """Where the last picture ends, as far as is known."""
        self._pipe = _Pipe(file)
        # PyAV refuses nothing it does not know: the names are checked by the tests, which read the files back.
        options = {
            "movflags": "+hybrid_fragmented+frag_keyframe",
            "frag_duration": str(fragment_us),
            "min_frag_duration": str(min(_MIN_FRAGMENT_US, fragment_us)),
            "flush_packets": "1",
            "max_interleave_delta": "1",
        }
        self._output = av.open(self._pipe, "w", format="mp4", buffer_size=_BUFFER, options=options)
        self._output.metadata.update(metadata)
        if chapters:
            self._output.set_chapters(
                [
                    {
                        "id": number,
                        "start": chapter.start_us,
                        "end": chapter.end_us,
                        "time_base": Fraction(1, US),
                        "metadata": {"title": chapter.title},
                    }
                    for number, chapter in enumerate(chapters, start=1)
                ]
            )
        self._video = self._output.add_mux_stream("mpeg4", width=vol.width, height=vol.height, time_base=time_base)
        self._text = self._output.add_mux_stream("mov_text") if text else None
        if self._text is not None:
            self._text.time_base = time_base
        self._line = b""
        """The text that stands, as a sample; it is written when it is known how long it stood."""
        self._line_tick = 0
        self._fragment_ticks = _reached_at(fragment_us, time_base)
        self._least_ticks = _reached_at(min(_MIN_FRAGMENT_US, fragment_us), time_base)
        self._fragment_tick = 0
        """Where the fragment being built begins."""
        self._due_tick = _NEVER
        """From here on a picture begins the next fragment, whatever it is; never of interest without text."""

    def add(self, data: bytes, ticks: int, duration: int, key: bool) -> None:
        """Adds a picture; `ticks` rises strictly, `duration` is the ticks it stands (a guess will do but for the last).

        The first must be an I-VOP; where it lacks the VOL, the VOL is put before it. Raises OSError,
        and NotDecodable for what no MP4 can hold.
        """
        first_tick = self._first_tick
        if first_tick is None:
            data = self._begin(data, ticks, key)
            first_tick = ticks
        elif ticks <= self._last_tick:
            raise NotDecodable("a picture whose time does not rise")  # some muxers refuse it, this one loses it
        self._last_tick = ticks
        self._end_tick = ticks + duration
        packet = av.Packet(data)  # without a copy: fine for muxing, never for decoding (no padding behind it)
        packet.stream = self._video  # ticks without a time base are taken as the stream's
        packet.pts = packet.dts = ticks - first_tick
        packet.duration = duration
        packet.is_keyframe = key
        if (key or ticks >= self._due_tick) and self._text is not None:
            self._mux_fragment(packet, ticks)
        else:
            self._mux(packet)

    def add_text(self, text: str, ticks: int) -> None:
        """From `ticks` on, the time of the last picture added, this text stands until the next one. Raises OSError."""
        if self._text is None or self._first_tick is None or not self._line_tick <= ticks <= self._end_tick:
            raise ValueError("timed text needs a text track, and a picture at its time")
        self._end_line(ticks)
        line = text.encode()[:_MAX_LINE]
        self._line = len(line).to_bytes(2, "big") + line

    def close(self) -> None:
        """Writes the last fragment and the index, then the front; the label and the last fsync are the owner's.

        Raises OSError, and after any earlier failure writes nothing: the front must not be touched when the tail is
        not known to be on disk.
        """
        if self._file.trouble is not None:
            self.abandon()
            raise self._file.trouble
        try:
            if self._line:
                self._end_line(self._end_tick)
                # The muxer ends the track with an empty text of its own, which lasts as long as the one before it.
                self._mux_text(_NO_TEXT, self._end_tick, 0)
            self._output.close()
        finally:
            self._pipe.closed = True
        if self._file.trouble is not None:
            raise self._file.trouble

    def abandon(self) -> None:
        """Lets go without writing another byte; the file stays as after a crash. Harmless when repeated."""
        self._pipe.closed = True

    def _mux_fragment(self, packet: "av.Packet[Any]", ticks: int) -> None:
        """Muxes a picture with which the muxer may write the fragment before it; all text of that one comes before.

        The muxer would hold the picture until it knows what text comes next: an empty one of no length makes it go on.
        It has also to be the first sample of the track. (Text with a guessed length would do the same, but the track
        then ends too late where the guess was too long; where it is too short the muxer adds an end to it.)
        """
        if ticks >= self._fragment_tick + self._least_ticks:
            self._fragment_tick = ticks
            self._due_tick = ticks + self._fragment_ticks
        self._end_line(ticks)
        self._mux(packet)
        self._mux_text(_NO_TEXT, ticks, 0)

    def _end_line(self, ticks: int) -> None:
        """Muxes the text that stood until then; it goes on from there unless there is another."""
        stood = ticks - self._line_tick
        if stood and self._line:
            self._mux_text(self._line, self._line_tick, stood)
        self._line_tick = ticks

    def _mux_text(self, sample: bytes, ticks: int, duration: int) -> None:
        packet = av.Packet(sample)
        packet.stream = self._text  # type: ignore[assignment]  # asked for by whoever calls this
        packet.pts = packet.dts = ticks - self._first_tick  # type: ignore[operator]  # set with the first picture
        packet.duration = duration
        self._mux(packet)  # the muxer knows by itself that each text is a key

    def _mux(self, packet: "av.Packet[Any]") -> None:
        try:
            self._output.mux_one(packet)
        except av.FFmpegError as trouble:
            raise NotDecodable(f"the MP4 writer refuses a picture: {trouble}") from trouble
        if self._file.trouble is not None:
            raise self._file.trouble

    def _begin(self, data: bytes, ticks: int, key: bool) -> bytes:
        if not key:
            raise NotDecodable("the first picture of a file is not an I-VOP")
        self._first_tick = self._fragment_tick = ticks
        if self._text is not None:
            self._due_tick = ticks + self._fragment_ticks
        return data if leads_with_vol(data) else self._vol.header + data


def _reached_at(us: int, time_base: Fraction) -> int:
    """The number of ticks from which on the muxer, which rounds to microseconds, finds a duration reached."""
    return ceil((us - Fraction(1, 2)) / (US * time_base))


class _Pipe:
    """What FFmpeg writes to. It never hears of trouble: it would ignore it, or carry on in its own way.

    The durable file remembers the trouble and takes no further byte; Mp4File asks it after each call.
    """

    __slots__ = ("_file", "closed")

    def __init__(self, file: DurableFile) -> None:
        self._file = file
        self.closed = False
        """PyAV writes no trailer to a closed file, not even when its container is collected as garbage."""

    def write(self, data: Octets) -> int:
        if not self.closed and self._file.trouble is None:
            try:
                self._file.write(data)
            except OSError:
                self.closed = True
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        if self.closed or self._file.trouble is not None:
            return offset
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

"""A segment's life on its volume's I/O thread: file, frames, syncs, seal.

One `SegmentWriter` is one segment. `append` and `seal` run on the I/O thread of its shelf, one after the other; what
the recorder must know comes back through `tell`, which hops to the loop.
"""

import logging
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from uuid import UUID

from nvr.clock import Clock
from nvr.media.captions import compose, tell
from nvr.media.errors import MediaError
from nvr.media.frame import Frame, Said
from nvr.media.label import ClockSource, Label, pack
from nvr.media.mp4 import Mp4File
from nvr.media.positions import PositionTrack
from nvr.metrics import write_error
from nvr.record.shelf import Shelf
from nvr.store import mending
from nvr.store.archive import Part
from nvr.store.archive import Sealed as SealedFile
from nvr.store.errors import DiskFull, VolumeMissing
from nvr.store.looks import looks_between
from nvr.store.origin import Origin
from nvr.store.rows import Look, SegmentRow
from nvr.units import US, PanTiltZoom

log = logging.getLogger(__name__)

Trouble = OSError | MediaError | DiskFull | VolumeMissing
_TROUBLE = (OSError, MediaError, DiskFull, VolumeMissing)
_PPB = 1_000_000_000
_OUTDATED = (-1, -1, -1)  # no camera looks there: whatever comes next is said anew


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a segment when it begins."""

    camera_id: int
    camera: str
    """The slug; its folder."""
    run: int
    seq: int
    start_us: int
    first_tick: int
    epoch: int
    clock_source: str
    """`stream` or `arrival`."""
    synchronised: bool | None = None
    """Whether the host's clock was synchronised when the segment began; None where nobody says."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a segment ends: the first moment after its last frame."""

    ticks: int
    """In the run's media time."""
    utc_us: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """The file is complete, synced and has its name: it may be promised."""

    writer: "SegmentWriter"
    row: SegmentRow
    looks: Sequence[Look]


@dataclass(frozen=True, slots=True)
class Failed:
    """The segment was given up; `kept` is what could be saved of it at once (None: nothing, or not yet)."""

    writer: "SegmentWriter"
    reason: str
    """The gap reason: disk-full or disk-failed."""
    sentence: str
    frames_lost: int
    kept: SegmentRow | None
    looks: Sequence[Look]
    """Of what was kept."""


Outcome = Sealed | Failed


class SegmentWriter:
    """Writes one segment. The file begins with the first frames handed over; without any there is no file."""

    def __init__(
        self,
        shelf: Shelf,
        identity: Identity,
        first: Frame,
        tell: Callable[[Outcome], None],
        clock: Clock,
        *,
        ptz_track: bool = True,
    ) -> None:
        """`ptz_track`: where the camera looks is also written beside the pictures as they come (see captions.py)."""
        self.identity = identity
        self._shelf = shelf
        self._vol = first.vol
        self._time_base = first.time_base
        self._tell = tell
        self._clock = clock
        self._ptz_track = ptz_track
        self._part: Part | None = None
        self._file: Mp4File | None = None
        self._positions = PositionTrack()
        self._ticks = array("q")
        """Where each frame begins, in the run's media time."""
        self._said: Said | None = None
        self._shown: PanTiltZoom | None = None
        """The position that the text track tells at present."""
        self._told = ""
        """What it tells besides."""
        self._frames = 0
        self._synced_us = 0
        self._handed_us = 0
        self._over = False

    def append(self, frames: Sequence[Frame]) -> None:
        """Writes the next frames and syncs when it is time."""
        if self._over:
            return
        try:
            if self._part is None:
                self._begin()
            self._write(frames)
            self._sync_if_due()
        except _TROUBLE as trouble:
            self._fail(trouble, "writing")

    def seal(self, ending: Ending) -> None:
        """Completes the file and tells its row."""
        if self._over:
            return
        begun_us = self._clock.mono_us()
        try:
            row, looks = self._complete(ending)
        except _TROUBLE as trouble:
            self._fail(trouble, "sealing")
            return
        self._let_go()
        self._forget_pictures()
        self._shelf.observe_seal((self._clock.mono_us() - begun_us) / US)
        self._tell(Sealed(self, row, looks))

    # ---- on the way

    def _begin(self) -> None:
        shelf, identity = self._shelf, self.identity
        if shelf.volume is None:
            raise VolumeMissing(f"volume {shelf.name} is not there")
        self._part = shelf.archive.begin(shelf.volume, identity.camera, identity.start_us, identity.run, identity.seq)
        self._file = Mp4File(
            self._part.file,
            self._vol,
            self._time_base,
            self._metadata(),
            text=self._ptz_track,
        )
        self._synced_us = self._handed_us = self._clock.mono_us()
        shelf.plan.open_files += 1
        shelf.open_files.add(self._part.file)

    def _metadata(self) -> dict[str, str]:
        """What a file that is never sealed says of itself (read by recovery)."""
        identity = self.identity
        start = datetime.fromtimestamp(identity.start_us / US, UTC)
        origin = Origin(
            archive=self._shelf.archive.archive_id,
            camera=identity.camera,
            run=identity.run,
            seq=identity.seq,
            start_us=identity.start_us,
            first_tick=identity.first_tick,
            clock=identity.clock_source,
            synchronised=identity.synchronised,
            epoch=identity.epoch,
        )
        return {
            "title": f"{identity.camera} {start:%Y-%m-%d %H:%M:%S} UTC",
            "creation_time": start.isoformat().replace("+00:00", "Z"),
            "comment": origin.comment(),
        }

    def _write(self, frames: Sequence[Frame]) -> None:
        """Writes frames as a fragment: a crash loses the newest one, and what lies in a socket."""
        file = self._file
        assert file is not None  # noqa: S101 - append began it
        at, end = 0, len(frames)
        while at < end:
            begin = at
            while at < end and not frames[at].key and frames[at].said is None:
                at += 1
            if begin < at:
                self._add_run(file, frames[begin:at])
            else:
                self._add(file, frames[at])
                at += 1
        file.flush()
        self._frames += end

    def _add(self, file: Mp4File, frame: Frame) -> None:
        """Adds a picture, and what the camera says of itself with it."""
        if frame.said is not None:
            self._said, self._shown = frame.said, _OUTDATED
            self._told = tell(frame.said.preset, frame.said.tracking)
            self._positions.note(frame.said.preset, frame.said.tracking)
        file.add(frame.data, frame.ticks, 1, frame.key)
        self._positions.add(frame.position)
        self._ticks.append(frame.ticks)
        self._caption(file, [frame])

    def _add_run(self, file: Mp4File, frames: Sequence[Frame]) -> None:
        """Adds P-VOPs that say nothing new."""
        ticks = [frame.ticks for frame in frames]
        file.add_run([frame.data for frame in frames], ticks)
        self._positions.extend([frame.position for frame in frames])
        self._ticks.extend(ticks)
        self._caption(file, frames)

    def _caption(self, file: Mp4File, frames: Sequence[Frame]) -> None:
        """Says beside pictures that were just added where each was taken; the time is told with key pictures."""
        if not self._ptz_track:
            return
        texts, shown = [], self._shown
        for frame in frames:
            position = frame.position
            if frame.key or (position is not shown and position != shown):
                shown = position
                texts.append((frame.ticks, compose(position, self._told, frame.utc_us if frame.key else None)))
        if texts:
            self._shown = shown
            file.add_texts(texts)

    def _sync_if_due(self) -> None:
        part, plan = self._part, self._shelf.plan
        assert part is not None  # noqa: S101 - append began it
        now_us = self._clock.mono_us()
        due = plan.is_due(self._synced_us, self._handed_us, now_us)
        self._handed_us = now_us
        if due and part.file.size > part.file.synced_bytes:
            self._shelf.sync(part.file)
            self._synced_us = now_us

    # ---- the end

    def _complete(self, ending: Ending) -> tuple[SegmentRow, list[Look]]:
        part, file = self._part, self._file
        assert part is not None  # noqa: S101 - the recorder seals only what it gave frames to
        assert file is not None  # noqa: S101
        file.close(ending.ticks)
        label = self._label(ending)
        sealed = self._shelf.archive.seal(part, pack(label))
        return self._row(label, sealed), self._looks(label)

    def _looks(self, said: Label) -> list[Look]:
        ticks = [tick - said.first_tick for tick in self._ticks]
        track = self._positions
        return looks_between(said.start_us, said.end_us, said.duration_ticks, ticks, track.rests(), track.facts())

    def _label(self, ending: Ending) -> Label:
        identity, said = self.identity, self._said
        duration_ticks = ending.ticks - identity.first_tick
        slope_ppb, zero_us = _mapping(identity, ending, self._time_base)
        return Label(
            archive=UUID(self._shelf.archive.archive_id),
            camera=identity.camera,
            run=identity.run,
            seq=identity.seq,
            start_us=identity.start_us,
            end_us=ending.utc_us,
            frames=self._frames,
            duration_ticks=duration_ticks,
            time_base=self._time_base,
            first_tick=identity.first_tick,
            zero_us=zero_us,
            slope_ppb=slope_ppb,
            clock=ClockSource.ARRIVAL if identity.clock_source == "arrival" else ClockSource.STREAM,
            synchronised=identity.synchronised,
            model=said.model if said is not None else None,
            camera_id=said.camera_id if said is not None else None,
            positions=self._positions.pack(),
        )

    def _row(self, label: Label, sealed: SealedFile) -> SegmentRow:
        return SegmentRow(
            camera_id=self.identity.camera_id,
            run=label.run,
            seq=label.seq,
            volume_id=self._shelf.volume_id,
            start_us=label.start_us,
            end_us=label.end_us,
            frames=label.frames,
            size_bytes=sealed.size_bytes,
            time_base=label.time_base,
            first_tick=label.first_tick,
            duration_ticks=label.duration_ticks,
            recovered=label.recovered,
            state=sealed.state,
        )

    def _let_go(self) -> None:
        if self._part is not None:
            self._shelf.plan.open_files -= 1
            self._shelf.open_files.discard(self._part.file)
        self._over = True
        self._file = None

    def _forget_pictures(self) -> None:
        """The row may wait long for its index, and whoever waits for it holds us; 20 bytes a picture add up."""
        self._positions, self._ticks = PositionTrack(), array("q")

    def _fail(self, trouble: Trouble, doing: str) -> None:
        """Gives the segment up: what is whole of it is saved if the disk lets us, else the next start does."""
        part = self._part
        if self._file is not None:
            self._file.abandon()
        self._let_go()
        self._shelf.count_error(trouble)
        saved = mending.save(self._shelf.archive, part, self._positions.pack) if part is not None else None
        kept = self._row(saved.label, saved.sealed) if saved is not None else None
        reason = "disk-full" if _is_full(trouble) else "disk-failed"
        sentence = f"volume '{self._shelf.name}' failed while {doing} a segment: {_said_by(trouble)}"
        lost = self._frames - (kept.frames if kept is not None else 0)
        self._forget_pictures()
        self._tell(Failed(self, reason, sentence, lost, kept, saved.looks if saved is not None else ()))


def _is_full(trouble: Trouble) -> bool:
    return isinstance(trouble, DiskFull) or (isinstance(trouble, OSError) and write_error(trouble) == "full")


def _mapping(identity: Identity, ending: Ending, time_base: Fraction) -> tuple[int, int]:
    """The segment's own line from ticks to UTC: slope in parts per billion and the UTC of the run's tick 0."""
    nominal_us = (ending.ticks - identity.first_tick) * time_base * US
    slope_ppb = round((ending.utc_us - identity.start_us - nominal_us) * _PPB / nominal_us)
    before_us = identity.first_tick * time_base * US
    return slope_ppb, identity.start_us - round(before_us + before_us * slope_ppb / _PPB)


def _said_by(trouble: Trouble) -> str:
    return (trouble.strerror if isinstance(trouble, OSError) else None) or str(trouble)

"""One camera's recording, from each frame to each segment's row; runs in the loop and never waits.

The recorder batches frames and hands them at each tick to the writer of the open segment on its volume's I/O thread;
it keeps the camera's ledger; and where a disk or the way to it fails, it says so, waits a little, and begins again at
an I-VOP.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import assert_never

from nvr.clock import Clock, HostTime
from nvr.jvc import userdata
from nvr.jvc.types import FrameInfo
from nvr.log import Streak
from nvr.media.frame import Frame
from nvr.metrics import RECONNECT_REASONS, CameraCounts
from nvr.record.camera_facts import CameraFacts
from nvr.record.insisting import Insistence
from nvr.record.segmenter import Segmenter, Verdict
from nvr.record.shelf import Refusal, Shelf, Shelves
from nvr.record.writer import Ending, Failed, Identity, Outcome, Sealed, SegmentWriter
from nvr.store.errors import DiskFull, IndexDamaged
from nvr.store.index import Index
from nvr.store.ledger import CAMERA_RESTART, Ledger, PutSpan, SpanChange
from nvr.store.rows import Look, Run, SegmentRow, SpanKind
from nvr.units import US

log = logging.getLogger(__name__)

_RETRY_US = 2 * US  # after a disk's trouble: well within "records again in 10 s", and no storm of new files
_LONGEST_US = 2 * US  # a frame counts for its interval, at most this or three usual intervals
_STEP_TOLD_US = 3 * US  # the daemon looks for steps every second or two; by then the stream may have told
_CLOCK_SOURCES = {"connected": "stream", "time-fallback": "arrival"}
"""Reasons for a new run that say where its media time comes from."""
_NEW_CLOCK = frozenset({"clock-step", "time-fallback"})
"""Reasons for a new run whose times cannot be compared with those before."""
_MOST_UNENTERED = 1_500  # a day of minutes; past that a file waits to be found by the daily check or the next start


@dataclass(frozen=True, slots=True)
class RecordedCamera:
    """Who is recorded, as the index and the archive know it."""

    id: int
    slug: str


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A segment that is not in the index yet."""

    identity: Identity
    shelf: Shelf
    end_us: int
    """The end of its last frame so far."""
    frames: int


class _Run:
    """The stretch of stream that goes on under one mapping of time."""

    __slots__ = ("row", "segments")

    def __init__(self, row: Run) -> None:
        self.row = row
        """As it is in the index, or should be: where its disk was full, a segment's row brings it along."""
        self.segments = 0


class _Open:
    """A segment that is not in the index yet, as the loop knows it."""

    __slots__ = ("end_us", "entering", "frames", "identity", "looks", "row", "run", "shelf", "writer")

    def __init__(self, run: _Run, shelf: Shelf, identity: Identity, writer: SegmentWriter) -> None:
        self.run = run
        self.shelf = shelf
        self.identity = identity
        self.writer = writer
        self.frames = 0
        self.end_us = identity.start_us
        self.row: SegmentRow | None = None
        """Once it is sealed."""
        self.looks: Sequence[Look] = ()
        self.entering = False
        """Its row is on its way into the index."""


class Recorder:
    """Keeps one camera's frames. Everything here runs in the loop; the writers' `tell` must hop to it.

    `make_writer(shelf, identity, first)` makes the writer of one segment, whose outcomes come to `hear`;
    `hop(call, *args)` runs a call in the loop from any thread. Of more than `most_unentered` segments that the index
    does not take the oldest are given up: their files are found later.
    """

    def __init__(
        self,
        camera: RecordedCamera,
        segmenter: Segmenter,
        ledger: Ledger,
        shelves: Shelves,
        index: Index,
        counts: CameraCounts,
        clock: Clock,
        make_writer: Callable[[Shelf, Identity, Frame], SegmentWriter],
        hop: Callable[..., object],
        *,
        most_unentered: int = _MOST_UNENTERED,
    ) -> None:
        self.camera = camera
        self.ledger = ledger
        self.refusal: Refusal | None = None
        """Why frames arrive and are not kept; None while they are."""
        self.on_kept_until: Callable[[int], None] | None = None
        """Told up to where frames were kept when keeping ends."""
        self.on_step: Callable[[int, int], None] | None = None
        """Told of a step of the host's clock between two frames that are kept: the time before and after."""
        self.on_run: Callable[[str], None] | None = None
        """Told why each run begins."""
        self.host_time = HostTime()
        """Whether the host's clock may be believed; whoever watches it puts its own here."""
        self.facts = CameraFacts(camera.id, camera.slug, index, counts)
        """What the camera says of itself, its clock above all."""
        self._restart_until_us: int | None = None
        """Monotonic; the camera is being restarted on purpose. None: nobody said so."""
        self._is_restarting = False
        """And it is away."""
        self._step: tuple[int, int] | None = None
        self._stepped_mono_us = -_STEP_TOLD_US
        self._segmenter = segmenter
        self._shelves = shelves
        self._index = index
        self._counts = counts
        self._clock = clock
        self._make_writer = make_writer
        self._hop = hop
        self._run: _Run | None = None
        self._clock_source = "stream"
        self._open: _Open | None = None
        self._uncommitted: dict[SegmentWriter, _Open] = {}
        self._all_entered = asyncio.Event()
        self._is_refused = False
        """The index took no row lately: one is tried at a time."""
        self._most_unentered = most_unentered
        self._batch: list[Frame] = []
        self._batch_bytes = 0
        self._last: Frame | None = None
        self._interval_us = US // 30
        self._longest_us = _LONGEST_US
        self._retry_mono_us = 0
        self._insistence = Insistence()
        self._trouble = Streak(log, {"camera": camera.slug, "action": "blocked"})
        self._index_trouble = Streak(log, {"camera": camera.slug, "action": "row-not-entered"})
        self._settle([])

    # ---- frames

    def take(self, frame: Frame) -> bool:
        """Keeps the next frame of the stream; False where it cannot be kept (counted, and a gap if it lasts)."""
        if frame.user_data is not None and frame.said is None:
            self.listen(frame)
        verdict = self._segmenter.on_frame(frame)
        if verdict is Verdict.APPEND:
            last = self._last
            if last is not None and frame.utc_us - last.utc_us <= self._longest_us:
                self._interval_us = frame.utc_us - last.utc_us
            else:
                self._note_interval(frame)
        elif verdict is Verdict.SKIP or not self._begin(frame):
            self._lose()
            return False
        self._last = frame
        self._batch.append(frame)
        self._batch_bytes += len(frame.data)
        return True

    def go_on(self, frames: Sequence[Frame]) -> bool:
        """Keeps P-VOPs that follow each other, together where `take` would append each; False where none is kept."""
        last, newest = self._last, frames[-1]
        if last is None or newest.utc_us - last.utc_us > self._longest_us or not self._segmenter.goes_on(frames):
            kept = [self.take(frame) for frame in frames]
            return any(kept)
        before = frames[-2] if len(frames) > 1 else last
        self._interval_us = newest.utc_us - before.utc_us
        self._last = newest
        self._batch += frames
        self._batch_bytes += sum([len(frame.data) for frame in frames])
        return True

    def listen(self, frame: Frame) -> None:
        """Reads what the camera says of itself before an I-VOP, whether or not the picture is kept."""
        if frame.user_data is None:
            return
        frame.said = said = userdata.parse(frame.user_data)
        if frame.new_run in _NEW_CLOCK:
            self.facts.host_stepped()
        self.facts.hear(said, frame.utc_us, frame.position)

    def rest(self, frame: Frame, reason: str) -> None:
        """Nothing is wanted from this frame on, as planned; the link goes on, and so does the run."""
        if self._open is not None and self._last is not None:
            self._segmenter.reason = reason
            self._end_segment(self._ending_before(frame))
        self._segmenter.lose()
        self._last = None
        self.refusal = None
        self._restarted()
        self._keeping_ended(frame.utc_us)
        self._settle(self.ledger.off(frame.utc_us, reason))

    def tick(self) -> None:
        """Every second or two, after bytes were taken: they are handed over, a dead disk is left.

        So a crash loses what lies in the socket, and a picture.
        """
        if self._open is not None and self._open.shelf.thread.stuck:
            self._leave(self._open)
        self._hand_over()
        self._insistence.look()
        if self._restart_until_us is not None:
            self._give_up_restart(self._restart_until_us)
        self._enter_waiting()

    # ---- facts from the camera's unit

    def lost(self, reason: str) -> int:
        """The link ended, or could not be made again: a gap with this reason from the last frame kept, or from now.

        Answers the moment from which it is.
        """
        self._stand_down()
        ended_us = self._end_run(reason)
        if self._restart_until_us is not None and reason in RECONNECT_REASONS:
            self._is_restarting = True
            self._settle(self.ledger.off(ended_us, CAMERA_RESTART))
        else:
            self._settle(self.ledger.gap(ended_us, reason))
        self._take_step()
        return ended_us

    def expect_restart(self, within_s: float) -> None:
        """Somebody restarts the camera on purpose: until it sends pictures again it is off, and no gap is booked.

        What it is away for longer than `within_s` from now is a gap as ever.
        """
        self._restart_until_us = int(self._clock.mono_us()) + round(within_s * US)
        self._is_restarting = False

    def _restarted(self) -> None:
        """A picture came: if the camera was away to restart, it has done so."""
        if self._is_restarting:
            self._restart_until_us, self._is_restarting = None, False

    def _give_up_restart(self, until_us: int) -> None:
        """A camera that does not come back when it should is missed from then on."""
        now_us = self._clock.mono_us()
        if now_us < until_us:
            return
        self._restart_until_us = None
        if self._is_restarting:
            self._is_restarting = False
            self._settle(self.ledger.gap(int(self._clock.utc_us()) - (now_us - until_us), "camera-unreachable"))

    def off(self, reason: str) -> None:
        """Nothing is wanted from now on, as planned."""
        self._stand_down()
        self._settle(self.ledger.off(self._end_run(reason), reason))
        self._take_step()

    def clock_stepped(self, before_us: int, after_us: int) -> None:
        """The host's clock went from one to the other; a camera that is recorded says so with its next I-VOP itself."""
        if self._clock.mono_us() - self._stepped_mono_us < _STEP_TOLD_US:
            return
        if self._open is None:
            self._settle(self.ledger.clock_stepped(before_us, after_us))
        else:
            self._step = (before_us, after_us)

    def hear(self, outcome: Outcome) -> None:
        """What became of a segment on its I/O thread."""
        ended = self._uncommitted.get(outcome.writer)
        if ended is None:
            return
        match outcome:
            case Sealed():
                self._sealed(ended, outcome.row, outcome.looks)
            case Failed():
                self._account_for_failure(ended, outcome)
            case _:
                assert_never(outcome)

    async def close(self, reason: str, within_s: float) -> bool:
        """Seals what is open, books the gap `reason`, and waits for the rows; False where a disk took too long."""
        self.lost(reason)
        return await self.entered(within_s)

    async def entered(self, within_s: float) -> bool:
        """Waits until every segment has its row; False where a disk took too long."""
        if self._uncommitted:
            try:
                async with asyncio.timeout(within_s):
                    await self._all_entered.wait()
            except TimeoutError:
                return False
        return True

    # ---- what others may ask

    @property
    def said(self) -> FrameInfo | None:
        """What the camera last said of itself."""
        return self.facts.said

    @property
    def is_recording(self) -> bool:
        """A segment is open."""
        return self._open is not None

    @property
    def unsealed_since(self) -> tuple[int, int] | None:
        """Epoch and begin of the oldest segment that is not in the index yet; None where there is none."""
        identities = (segment.identity for segment in self._uncommitted.values())
        return min(((one.epoch, one.start_us) for one in identities), default=None)

    def uncommitted(self) -> list[OpenSegment]:
        """What is recorded and not in the index yet, oldest first: the open segment and those being sealed."""
        listed = []
        for segment in self._uncommitted.values():
            frames, end_us = segment.frames, segment.end_us
            if segment is self._open and self._last is not None:
                frames += len(self._batch)
                end_us = self._last.utc_us + self._interval_us
            listed.append(OpenSegment(segment.identity, segment.shelf, end_us, frames))
        return listed

    # ---- segments

    def _sealed(self, ended: _Open, row: SegmentRow, looks: Sequence[Look]) -> None:
        ended.row, ended.looks = row, looks
        if not self._is_refused:
            self._enter(ended)
        elif len(self._uncommitted) > self._most_unentered:
            self._give_up_oldest()

    def _waiting(self) -> Iterator[_Open]:
        """Segments that are sealed and whose row is not on its way, oldest first."""
        return (one for one in self._uncommitted.values() if one.row is not None and not one.entering)

    def _enter_waiting(self) -> None:
        """Puts the rows that are not on their way; of an index that refuses them one, to see whether it still does."""
        for segment in list(islice(self._waiting(), 1 if self._is_refused else None)):
            self._enter(segment)

    def _give_up_oldest(self) -> None:
        segment = next(self._waiting(), None)
        if segment is None:
            return
        self._forget(segment)
        log.error(
            "too many finished segments wait for the index; this one's file is found by the next check or start",
            extra={
                "camera": self.camera.slug,
                "action": "row-given-up",
                "run": segment.identity.run,
                "seq": segment.identity.seq,
            },
        )

    def _enter(self, ended: _Open) -> None:
        """Puts a sealed segment's row into the index; one that is not taken is put again later."""
        if ended.row is None:
            return
        future = self._index.add_segment(ended.row, ended.looks, run=ended.run.row)
        ended.entering = True
        future.add_done_callback(lambda done: self._hop(self._entered, ended, done.exception()))

    def _entered(self, ended: _Open, trouble: BaseException | None) -> None:
        ended.entering = False
        was_refused, self._is_refused = self._is_refused, isinstance(trouble, DiskFull | IndexDamaged)
        if trouble is not None:
            self._index_trouble.hit(f"a finished segment could not be entered in the index: {trouble}")
            return
        if was_refused:
            self._enter_waiting()
        self._index_trouble.over("segments are entered in the index again")
        row = ended.row
        assert row is not None  # noqa: S101 - it was just entered
        self._forget(ended)
        self._counts.segments_committed += 1
        self._counts.segment_bytes += row.size_bytes
        ended.shelf.counts.entered_bytes += row.size_bytes
        self._counts.oldest_segment_us = self._counts.oldest_segment_us or row.start_us

    def _forget(self, segment: _Open) -> None:
        """It is in the index, or there is nothing of it to be put there."""
        self._uncommitted.pop(segment.writer, None)
        if not self._uncommitted:
            self._all_entered.set()

    def _begin(self, frame: Frame) -> bool:
        """Ends what is open and begins a segment with this I-VOP; False where no volume takes it."""
        if frame.new_run is not None or self._run is None:
            self._begin_run(frame)
        elif self._open is not None:
            self._end_segment(self._ending_before(frame))
        shelf = self._choose(frame)
        run = self._run
        if shelf is None or run is None:
            self._segmenter.lose()
            self._last = None
            return False
        identity = Identity(
            camera_id=self.camera.id,
            camera=self.camera.slug,
            run=run.row.number,
            seq=run.segments,
            start_us=frame.utc_us,
            first_tick=frame.ticks,
            epoch=self.ledger.epoch,
            clock_source=self._clock_source,
            synchronised=self.host_time.synchronised,
        )
        run.segments += 1
        writer = self._make_writer(shelf, identity, frame)
        self._open = self._uncommitted[writer] = _Open(run, shelf, identity, writer)
        self._all_entered.clear()
        self._longest_us = max(_LONGEST_US, 3 * self._interval_us)
        if self.refusal is not None:
            self.refusal = None
            self._trouble.over("recording again")
        self._restarted()
        self._settle(self.ledger.recording(frame.utc_us))
        return True

    def _begin_run(self, frame: Frame) -> None:
        reason = frame.new_run or self._segmenter.reason
        went_on = self._open is not None
        if went_on and reason != "clock-step":
            self._count_until(frame)
        ended_us = self._end_run(reason)
        if went_on and reason == "clock-step":
            self._step = None
            self._stepped_mono_us = int(self._clock.mono_us())
            self._settle(self.ledger.clock_stepped(ended_us, frame.utc_us))
            if self.on_step is not None:
                self.on_step(ended_us, frame.utc_us)
        elif went_on:
            self._settle(self.ledger.missing(ended_us, frame.utc_us, "frames-missing"))
        if self.on_run is not None:
            self.on_run(reason)
        if reason in _CLOCK_SOURCES:
            self._clock_source = _CLOCK_SOURCES[reason]
        waits = self.host_time.synchronised is False and self.host_time.boot is not None
        row = Run(
            number=self._index.next_run(frame.utc_us),
            camera_id=self.camera.id,
            folder=self.camera.slug,
            started_us=frame.utc_us,
            begin_reason=reason,
            epoch=self.ledger.epoch,
            clock_source=self._clock_source,
            utc_anchor_us=frame.utc_us,
            host_synchronised=self.host_time.synchronised is not False,
            boot=self.host_time.boot if waits else None,
            utc_less_mono_us=int(self._clock.utc_us() - self._clock.mono_us()) if waits else None,
        )
        self._run = _Run(row)
        self._insistence.give(lambda: self._index.begin_run(row))

    def _end_run(self, reason: str) -> int:
        """Ends the open segment and the run; the moment up to which frames were kept, or now where none was open.

        The last frame of a run counts for the interval before it, never for the stall.
        """
        run, self._run = self._run, None
        last, self._last = self._last, None
        if self._open is None or last is None:
            ended_us = int(self._clock.utc_us())
        else:
            ended_us = last.utc_us + self._interval_us
            self._end_segment(Ending(last.ticks + _ticks(self._interval_us, last), ended_us, reason))
        if run is not None:
            number = run.row.number
            run.row = replace(run.row, ended_us=ended_us, end_reason=reason)
            self._insistence.give(lambda: self._index.end_run(number, ended_us, reason))
        self._keeping_ended(ended_us)
        return ended_us

    def _keeping_ended(self, at_us: int) -> None:
        if self.on_kept_until is not None:
            self.on_kept_until(at_us)

    def _count_until(self, frame: Frame) -> None:
        """The link went on: the last frame of the run counts until this one, whatever time was made of before it.

        Before a fallback to arrival the intervals are those of a clock that was not believed.
        """
        last = self._last
        if last is not None and 0 < frame.utc_us - last.utc_us <= self._longest_us:
            self._interval_us = frame.utc_us - last.utc_us

    def _take_step(self) -> None:
        """A step of the clock that came after the last I-VOP of a link."""
        step, self._step = self._step, None
        if step is not None:
            self._settle(self.ledger.clock_stepped(*step))

    def _stand_down(self) -> None:
        """Whatever comes next begins at an I-VOP, and no disk is to blame meanwhile."""
        self._segmenter.lose()
        self.refusal = None

    def _end_segment(self, ending: Ending) -> None:
        if not self._hand_over():
            return
        ended, self._open = self._open, None
        assert ended is not None  # noqa: S101 - a hand-over that was accepted keeps it open
        ended.end_us = ending.utc_us
        ended.shelf.put(0, ended.writer.seal, ending)

    def _ending_before(self, frame: Frame) -> Ending:
        """The open segment ends where the next one begins; after a hole, where its last frame stops counting."""
        last = self._last
        assert last is not None  # noqa: S101 - a segment is open
        if frame.utc_us - last.utc_us <= self._longest_us and frame.time_base == last.time_base:
            return Ending(frame.ticks, frame.utc_us, self._segmenter.reason)
        interval_us = self._note_interval(frame)
        return Ending(last.ticks + _ticks(interval_us, last), last.utc_us + interval_us, self._segmenter.reason)

    def _note_interval(self, frame: Frame) -> int:
        """For how long the frame before this one counts, in microseconds; what is beyond that is missing."""
        last = self._last
        assert last is not None  # noqa: S101 - a segment is open
        interval_us = frame.utc_us - last.utc_us
        longest_us = self._longest_us
        if interval_us <= longest_us:
            self._interval_us = interval_us
            return interval_us
        self._longest_us = 3 * longest_us  # a camera slower than it was is believed step by step; see _begin
        self._settle(self.ledger.missing(last.utc_us + longest_us, frame.utc_us, "frames-missing"))
        return longest_us

    def _choose(self, frame: Frame) -> Shelf | None:
        """The volume for a new segment; None, said and accounted, where none takes it now."""
        if self._clock.mono_us() < self._retry_mono_us:
            return None
        shelf = self._shelves.choose(self.camera.slug, frame.utc_us // (86_400 * US))
        if shelf is None:
            self._block(self._shelves.refusal(), frame.utc_us)
        return shelf

    def _block(self, refusal: Refusal, at_us: int) -> None:
        """Nothing is kept from `at_us` on because of a disk."""
        self.refusal = refusal
        self._retry_mono_us = self._clock.mono_us() + _RETRY_US
        self._trouble.hit(refusal.sentence)
        self._keeping_ended(at_us)
        self._settle(self.ledger.gap(at_us, refusal.reason))

    def _account_for_failure(self, ended: _Open, failed: Failed) -> None:
        """A segment was given up: what it does not hold is a gap, and nothing new begins for a moment."""
        kept_until_us = ended.identity.start_us
        self._counts.frames_lost[failed.reason] += failed.frames_lost
        if failed.kept is None:
            self._forget(ended)
        else:
            kept_until_us = failed.kept.end_us
            self._sealed(ended, failed.kept, failed.looks)
        if ended is not self._open:
            self._settle(self.ledger.missing(kept_until_us, ended.end_us, failed.reason, ended.identity.epoch))
            return
        ended.end_us = kept_until_us
        self._open = None
        self._counts.frames_lost[failed.reason] += len(self._batch)
        self._batch, self._batch_bytes = [], 0
        self._segmenter.lose()
        self._last = None
        self._block(Refusal(failed.reason, failed.sentence), kept_until_us)

    # ---- batches

    def _hand_over(self) -> bool:
        """Hands the batch to the I/O thread. False where its queue is full: then the segment ends before the batch."""
        frames, cost_bytes = self._batch, self._batch_bytes
        self._batch, self._batch_bytes = [], 0
        segment = self._open
        if segment is None:
            return False
        if not frames:
            return True
        if segment.shelf.put(cost_bytes, segment.writer.append, frames):
            last = frames[-1]
            segment.frames += len(frames)
            segment.end_us = last.utc_us + self._interval_us
            return True
        self._give_way(segment, frames)
        return False

    def _give_way(self, segment: _Open, refused: list[Frame]) -> None:
        """The disk is too slow: the segment ends with what was accepted, and a gap begins until there is room."""
        first = refused[0]
        self._counts.frames_lost["disk-slow"] += len(refused)
        self._open = None
        self._segmenter.lose()
        self._last = None
        segment.end_us = first.utc_us
        if segment.frames:
            segment.shelf.put(0, segment.writer.seal, Ending(first.ticks, first.utc_us, "disk-slow"))
        else:
            self._forget(segment)
        self._block(
            Refusal("disk-slow", f"volume '{segment.shelf.name}' is slower than what is recorded; its queue is full"),
            first.utc_us,
        )

    def _leave(self, segment: _Open) -> None:
        """The disk has long not answered: what it was handed it may still write; the next I-VOP goes elsewhere."""
        if not self._hand_over():
            return
        last, refusal = self._last, segment.shelf.refusal
        assert last is not None  # noqa: S101 - a segment is open
        ended_us = last.utc_us + self._interval_us
        self._end_segment(Ending(last.ticks + _ticks(self._interval_us, last), ended_us, "disk-failed"))
        self._segmenter.lose()
        self._last = None
        self._block(refusal or Refusal("disk-failed", f"volume '{segment.shelf.name}' did not answer"), ended_us)
        self._retry_mono_us = 0

    # ---- the ledger

    def _lose(self) -> None:
        """A frame arrived that is not kept."""
        self._counts.frames_lost[self.refusal.reason if self.refusal is not None else "no-header"] += 1

    def _settle(self, changes: list[SpanChange]) -> None:
        """Puts the ledger's changes into the index and keeps the counters of gaps true."""
        if changes:
            self._insistence.give(lambda: self._index.put_spans(self.camera.id, changes))
        for change in changes:
            span = change.span
            if isinstance(change, PutSpan) and span.kind is SpanKind.GAP and span.end_us is not None:
                self._counts.gap_us[span.reason] += span.end_us - span.start_us
        going_on = self.ledger.open
        is_gap = going_on is not None and going_on.kind is SpanKind.GAP
        self._counts.open_gap = (going_on.reason, going_on.start_us) if going_on is not None and is_gap else None


def _ticks(us: int, frame: Frame) -> int:
    return max(1, round(us / (US * frame.time_base)))

"""The index's one writer: a thread with the only read-write connection, fed with typed commands.

Commands are committed together: whatever has queued up while a transaction was written makes the next one, and nothing
ever waits to be joined by more. A future is done when its command is on disk.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, case, delete, exists, func, insert, select, text, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from nvr.store import clips, films, tables
from nvr.store.connections import translated, wal_path, writer_engine
from nvr.store.errors import DiskFull, IndexDamaged
from nvr.store.ledger import UNKNOWN, DropSpan, PutSpan, SpanChange
from nvr.store.names import segment_path
from nvr.store.rows import (
    AlarmLinkRow,
    AlarmRow,
    CameraClockRow,
    ClipEntry,
    ClipExport,
    ClipStep,
    CloseClip,
    Condemned,
    Entry,
    FilmRow,
    Garbage,
    Look,
    Run,
    SegmentRow,
    SegmentState,
    Span,
    SpanKind,
    View,
)
from nvr.units import US

__all__ = ["Index", "Run", "SegmentRow", "SegmentState"]

log = logging.getLogger(__name__)

T = TypeVar("T")

RECOVERED: Final = "recovered"
"""Why a run began of which only its files tell."""

_MOST_PER_TRANSACTION: Final = 500
_MOST_WAITING: Final = 20_000  # some kilobytes each; fifty cameras' rows of six hours
SILENT_S: Final = 10.0  # as a volume's thread (store.volumes)
"""A transaction that takes so long hangs."""
_CAMERA_CLOCK_KEPT_US: Final = 92 * 86_400 * US  # a season of temperatures; 25 bytes every ten minutes
_SLEW_US: Final = US // 2  # a difference below this is slewed, and a run that goes on follows it by itself


class Index:
    """The index for whoever has something to put into it; safe to use from any thread.

    A command's future raises DiskFull (make room and give the command again), IndexDamaged (stop and tell: nothing
    more is taken), or sqlalchemy's IntegrityError where the command breaks a rule of the tables, alone.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_commit: Callable[[float, int], None] | None = None,
        most_waiting: int = _MOST_WAITING,
        silent_s: float = SILENT_S,
    ) -> None:
        """Opens an index that `schema.prepare` has made ready, under the data directory's lock.

        `on_commit(seconds, commands)` is called on the writer's thread after each transaction. While one has taken
        longer than `silent_s`, no more than `most_waiting` commands may wait. Raises IndexDamaged.
        """
        self._path = path
        self._on_commit = on_commit
        self._most_waiting = most_waiting
        self._silent_s = silent_s
        self._queue: SimpleQueue[_Command | None] = SimpleQueue()
        self._door = Lock()
        self._closed = False
        self._damage: IndexDamaged | None = None
        self.times_full = 0
        """How many transactions found no space; whoever can make room looks here."""
        self._busy_since_s: float | None = None
        self.clips_closed = 0
        """How many clips were closed in this life: it tells whoever exports them when to look."""
        self._engine = writer_engine(path)
        with translated("opening it"):
            self._connection = self._engine.connect()
            self._last_run: int = self._connection.execute(select(func.max(tables.run.c.id))).scalar() or 0
            self._last_clip = clips.last_clip(self._connection)
            self._connection.rollback()
        self._thread = Thread(target=self._write, name="index writer", daemon=True)
        self._thread.start()

    # ---- cameras, volumes, the archive

    def name_archive(self, uuid: str) -> "Future[str]":
        """Gives the archive this name unless it has one; answers the one it has."""

        def run(connection: Connection) -> str:
            connection.execute(_name_archive, {"id": 1, "uuid": uuid})
            return str(connection.execute(select(tables.archive.c.uuid)).scalar_one())

        return self.do(run)

    def add_camera(self, slug: str, at_us: int) -> "Future[int]":
        """Makes a camera known as configured since `at_us`; one that is known stays as it is. Answers its id."""

        def run(connection: Connection) -> int:
            connection.execute(_add_camera, {"slug": slug, "configured_at_us": at_us})
            return int(connection.execute(_camera_id, {"slug_is": slug}).scalar_one())

        return self.do(run)

    def rename_camera(self, was: str, slug: str) -> "Future[bool]":
        """Gives a camera and all its footage a new slug; False where no camera has the old one."""
        return self.do(
            lambda connection: connection.execute(_rename_camera, {"slug_is": was, "slug": slug}).rowcount > 0
        )

    def add_volume(self, name: str, uuid: str) -> "Future[int]":
        """Makes a volume known, by this name from now on. Answers its id."""

        def run(connection: Connection) -> int:
            connection.execute(_add_volume, {"name": name, "uuid": uuid})
            return int(connection.execute(_volume_id, {"uuid_is": uuid}).scalar_one())

        return self.do(run)

    # ---- runs

    def next_run(self, start_us: int) -> int:
        """A number for a run that starts now: the larger of last + 1 and the Unix second of `start_us`; at once."""
        with self._door:
            self._last_run = max(self._last_run + 1, start_us // US)
            return self._last_run

    def newest_run(self) -> int:
        """The highest number that any run has, or was given for one."""
        with self._door:
            return self._last_run

    def begin_run(self, run: Run) -> "Future[None]":
        """Puts a run; given again it is replaced, so a segment's writer may make sure of it."""
        values = _run_values(run)
        with self._door:
            self._last_run = max(self._last_run, run.number)  # recovery puts runs that the index had lost
        return self.do(lambda connection: _nothing(connection.execute(_put_run, values)))

    def update_run(self, number: int, *, utc_anchor_us: int, slope_ppb: int, host_synchronised: bool) -> "Future[None]":
        """Notes the mapping from media time to UTC as it is known now."""
        values = {
            "id_is": number,
            "utc_anchor_us": utc_anchor_us,
            "slope_ppb": slope_ppb,
            "host_synchronised": int(host_synchronised),
        }
        return self.do(lambda connection: _nothing(connection.execute(_update_run, values)))

    def correct_runs(self, boot: str, utc_less_mono_us: int, *, final: bool) -> "Future[dict[int, int]]":
        """The host's clock is right now: corrects the runs of this boot that began while it was not synchronised.

        `utc_less_mono_us` is what the host's UTC less its monotonic clock should have been all the while; a run is
        wrong by how much it differed at its start. `final`: nothing better will be known. A run that still goes on and
        is wrong by less than half a second is left as it is, since its times follow the clock's slewing.
        Answers the corrections by run.
        """
        return self.do(lambda connection: _correct_runs(connection, boot, utc_less_mono_us, final=final))

    def correct_run(self, number: int, correction_us: int) -> "Future[None]":
        """Notes what to add to every time of a run when asked, because the host's clock was wrong then."""
        values = {"id_is": number, "correction_us": correction_us}
        return self.do(lambda connection: _nothing(connection.execute(_correct_run, values)))

    def end_run(self, number: int, ended_us: int, reason: str) -> "Future[None]":
        """Notes a run's end; the first one told counts."""
        values = {"id_is": number, "ended_us": ended_us, "end_reason": reason}
        return self.do(lambda connection: _nothing(connection.execute(_end_run, values)))

    # ---- segments

    def add_segment(self, row: SegmentRow, looks: Sequence[Look] = (), *, run: Run | None = None) -> "Future[int]":
        """Promises a file that is sealed and synced (or says it is damaged), and notes where the camera looked in it.

        Clips whose window it touches have a part of it from now on. `run` is put where the index does not have it, as
        where its disk was full when the run began. Answers the segment's id.
        """

        def put(connection: Connection) -> int:
            if run is not None:
                connection.execute(_add_run, _run_values(run))
            number = int(connection.execute(_add_segment, _segment_values(row)).lastrowid)
            longest = {"id_is": row.camera_id, "longest_segment_us": row.end_us - row.start_us}
            connection.execute(_longer_segment, longest)
            if looks:
                _add_looks(connection, row.camera_id, number, looks)
            clips.hold_segment(connection, number)
            return number

        return self.do(put)

    def enter_segments(self, entries: Sequence[Entry]) -> "Future[list[tuple[int, int]]]":
        """Promises many sealed and synced files at once, whose rows are lost or never came; their runs as well.

        Answers run and number of those that have a row already: they are left as they are. Footage from before its
        camera was known makes the camera known since then.
        """
        with self._door:
            self._last_run = max(self._last_run, *(entry.run.number for entry in entries))
        return self.do(lambda connection: _enter_segments(connection, entries))

    def mark_segment(self, segment_id: int, state: SegmentState) -> "Future[None]":
        """Notes how a segment's file stands to its row."""
        values = {"id_is": segment_id, "state": state.value}
        return self.do(lambda connection: _nothing(connection.execute(_mark_segment, values)))

    def note_hash(self, segment_id: int, sha256: bytes) -> "Future[None]":
        """Notes what a segment's file holds."""
        values = {"id_is": segment_id, "sha256": sha256}
        return self.do(lambda connection: _nothing(connection.execute(_note_hash, values)))

    def note_clip_hash(self, clip_id: int, sha256: bytes) -> "Future[None]":
        """Notes what a clip's files hold, one behind the other."""
        values = {"id_is": clip_id, "sha256": sha256}
        return self.do(lambda connection: _nothing(connection.execute(_note_clip_hash, values)))

    def condemn(self, segment_ids: Sequence[int], since_us: int) -> "Future[Condemned]":
        """Takes promises back: rows become garbage rows in one transaction; only after that files may be unlinked.

        Answers what is to be unlinked, and which segments stay because a clip holds them (it is not exported yet, or
        locked); a segment that has no row any more is passed over.
        """
        return self.do(lambda connection: _condemn(connection, segment_ids, since_us))

    def condemn_clips(self, clip_ids: Sequence[int], since_us: int, *, unexported: bool = False) -> "Future[Condemned]":
        """Takes clips' rows away and makes garbage rows of their files, in one transaction.

        Answers what is to be unlinked, and which clips stay: those that are open or locked, and, unless `unexported`,
        those that have not been made into a file yet.
        """
        return self.do(lambda connection: clips.condemn(connection, clip_ids, since_us, unexported=unexported))

    def add_film(self, row: FilmRow) -> "Future[bool]":
        """Promises a day's film, whose files are synced and named; False where the day has another one."""
        return self.do(lambda connection: films.add(connection, row))

    def mark_film(self, film_id: int, state: SegmentState) -> "Future[None]":
        """Notes how a film's files stand to its row."""
        values = {"id_is": film_id, "state": state.value}
        return self.do(lambda connection: _nothing(connection.execute(_mark_film, values)))

    def condemn_films(self, film_ids: Sequence[int], since_us: int) -> "Future[Condemned]":
        """Takes films' rows away and makes garbage rows of their files, in one transaction."""
        return self.do(lambda connection: films.condemn(connection, film_ids, since_us))

    def forget(self, garbage_ids: Iterable[int]) -> "Future[None]":
        """Drops garbage rows whose files are unlinked and their directories synced."""
        values = [{"id_is": garbage_id} for garbage_id in garbage_ids]
        return self.do(lambda connection: _nothing(values and connection.execute(_forget, values)))

    # ---- what cameras say of themselves, and what happens

    def identify_camera(
        self, camera_id: int, at_us: int, model: str | None, ident: str | None
    ) -> "Future[tuple[str | None, str | None] | None]":
        """Notes which model a camera says it is and which name it gives itself; None leaves what is known.

        Answers what it was before, and notes an event, where it said something else last time; else None.
        """
        return self.do(lambda connection: _identify_camera(connection, camera_id, at_us, model, ident))

    def note_firmware(self, camera_id: int, at_us: int, firmware: str) -> "Future[str | None]":
        """Notes which firmware a camera tells it has.

        Answers what it was before, and notes an event, where it told another one last time; else None.
        """
        return self.do(lambda connection: _note_firmware(connection, camera_id, at_us, firmware))

    def note_fan(self, camera_id: int, at_us: int, *, failed: bool) -> "Future[bool]":
        """Notes what a camera says of its fan; whether that is news, of which an event is noted then."""
        return self.do(lambda connection: _note_fan(connection, camera_id, at_us, failed=failed))

    def note_view(
        self, camera_id: int, at_us: int, *, away: bool, text: str, facts: Mapping[str, Any]
    ) -> "Future[bool]":
        """Notes whether a camera looks elsewhere than it should; whether that is news, of which an event is noted."""
        return self.do(lambda connection: _note_view(connection, camera_id, at_us, away=away, text=text, facts=facts))

    def add_camera_clock(self, camera_id: int, row: CameraClockRow) -> "Future[None]":
        """Notes how far a camera's clock is from the host's; drops what is more than a season old."""
        return self.do(lambda connection: _add_camera_clock(connection, camera_id, row))

    def add_event(
        self, at_us: int, kind: str, text: str, facts: Mapping[str, Any] | None = None, *, camera_id: int | None = None
    ) -> "Future[int]":
        """Notes what happened; `facts` are plain values that JSON can hold. Answers the event's id."""
        values = _event_values(at_us, kind, text, facts or {}, camera_id)
        return self.do(lambda connection: int(connection.execute(_add_event, values).lastrowid))

    # ---- alarms and clips

    def next_clip(self) -> int:
        """A number for a clip that begins now, which no clip of any camera ever had; at once."""
        with self._door:
            self._last_clip += 1
            return self._last_clip

    @property
    def last_clip(self) -> int:
        """The highest number that any clip had so far."""
        with self._door:
            return self._last_clip

    def add_alarm(self, row: AlarmRow, steps: Sequence[ClipStep] = ()) -> "Future[int]":
        """Puts an alarm, and what it makes of its camera's clips, in one transaction. Answers the alarm's id.

        Given again it changes nothing. Steps of one camera are to be given in their order.
        """

        def run(connection: Connection) -> int:
            number = clips.add_alarm(connection, row)
            clips.put_steps(connection, row.camera_id, steps)
            return number

        return self._counted(self.do(run), steps)

    def put_clip_steps(self, camera_id: int, steps: Sequence[ClipStep]) -> "Future[None]":
        """Puts what became of a camera's clips, in one transaction. Given again it changes nothing.

        A clip's epoch is that of the camera's newest run, so `begin_run` comes before the steps of what is kept of it.
        """
        return self._counted(self.do(lambda connection: clips.put_steps(connection, camera_id, steps)), steps)

    def enter_clip(self, entry: ClipEntry) -> "Future[bool]":
        """Promises a clip's file whose row is lost; False, and nothing done, where the index knows a clip of its id.

        One that it knows and whose lock file is there is locked.
        """
        self.spare_clips(entry.id)
        return self.do(lambda connection: clips.enter(connection, asdict(entry)))

    def spare_clips(self, until: int) -> None:
        """No clip that begins from now on gets a number up to this one: files have it, whatever the index knows."""
        with self._door:
            self._last_clip = max(self._last_clip, until)

    def lock_clip(self, clip_id: int, locked: bool) -> "Future[bool]":
        """Locks a clip, so that neither its footage nor its file is ever deleted, or unlocks it.

        False where there is no such clip.
        """
        return self.do(lambda connection: clips.set_lock(connection, clip_id, locked=locked))

    def clip_exported(self, clip_id: int, export: ClipExport, at_us: int) -> "Future[None]":
        """Promises a clip's own file, which is verified, synced and named: its segments are held no longer."""
        values = {**asdict(export), "linked": int(export.linked), "exported_at_us": at_us}
        return self.do(lambda connection: clips.note_export(connection, clip_id, values))

    def put_alarm_link(self, camera_id: int, row: AlarmLinkRow) -> "Future[None]":
        """Notes what is known of a camera's inputs, in the place of what was."""
        heard = " ".join(f"{change}@{at_us}" for change, at_us in row.heard)
        values = {**asdict(row), "camera_id": camera_id, "motion": int(row.motion), "heard": heard}
        return self.do(lambda connection: _nothing(connection.execute(_put_alarm_link, values)))

    def _counted(self, future: "Future[T]", steps: Sequence[ClipStep]) -> "Future[T]":
        """Counts what was closed once it can be read."""
        closed = sum(isinstance(step, CloseClip) for step in steps)
        if closed:
            future.add_done_callback(lambda _: self._count_closed(closed))
        return future

    def _count_closed(self, closed: int) -> None:
        with self._door:
            self.clips_closed += closed

    # ---- what was not recorded

    def put_spans(self, camera_id: int, changes: Sequence[SpanChange]) -> "Future[None]":
        """Puts what a camera's ledger answered, in one transaction. Given again it changes nothing."""
        return self.do(lambda connection: _put_spans(connection, camera_id, changes))

    def uncover(self, camera_id: int, recorded: Sequence[tuple[int, int]]) -> "Future[None]":
        """Footage of [start, end) was found: what was called a gap for an unknown reason there is none."""
        return self.do(lambda connection: _uncover(connection, camera_id, recorded))

    # ---- the writer itself

    def do(self, command: Callable[[Connection], T]) -> "Future[T]":
        """Queues a command: it runs on the writer's thread inside a transaction, perhaps twice, and must not commit.

        Refused at once with DiskFull where the disk has long not answered and too many wait already.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody's cancellation loses a row
        with self._door:
            if self._closed:
                future.set_exception(RuntimeError("the index is closed"))
            elif self._queue.qsize() >= self._most_waiting and self.silent_seconds() > self._silent_s:
                future.set_exception(DiskFull("the index's disk does not answer, and too many changes wait for it"))
            else:
                self._queue.put(_Command(command, future))
        return future

    def ping(self) -> "Future[None]":
        """Done when the writer has committed everything queued before: it lives."""
        return self.do(_nothing)

    def queue_length(self) -> int:
        """Commands that wait for their transaction."""
        return self._queue.qsize()

    def silent_seconds(self) -> float:
        """How long what is being committed has taken; 0 while there is nothing to do. A writer that died is silent."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def wal_bytes(self) -> int:
        """Size of the write-ahead log; it grows while a reader keeps an old moment open."""
        try:
            return wal_path(self._path).stat().st_size
        except FileNotFoundError:
            return 0

    def give_up(self, why: str) -> None:
        """Somebody found the index damaged: nothing more is taken in this life."""
        if self._damage is None:
            self._damage = IndexDamaged(f"the index is damaged: {why}", corrupt=True)
            log.critical("index given up", extra={"action": "index-damaged", "reason": why})

    @property
    def damage(self) -> IndexDamaged | None:
        """Why nothing more is taken; None while all is well."""
        return self._damage

    def close(self, timeout_s: float | None = None) -> bool:
        """Commits what is queued and closes the connection; take no new readers before, close those there are first.

        False where that was not done within `timeout_s`; harmless when repeated.
        """
        with self._door:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _write(self) -> None:
        try:
            while batch := self._next_batch():
                self._busy_since_s = time.monotonic()
                self._commit_together(batch)
                self._busy_since_s = None
        finally:
            self._give_up_rest()
            self._connection.close()
            self._engine.dispose()

    def _next_batch(self) -> "list[_Command]":
        """Everything queued by now, at least one command; empty at the end."""
        batch: list[_Command] = []
        try:
            command = self._queue.get()
            while command is not None:
                batch.append(command)
                if len(batch) == _MOST_PER_TRANSACTION:
                    return batch
                command = self._queue.get_nowait()
        except Empty:
            return batch
        if batch:
            self._queue.put(None)  # the end comes after this batch; nothing can be behind it
        return batch

    def _commit_together(self, batch: "list[_Command]") -> None:
        begun = time.monotonic()
        try:
            answers = self._transaction(batch)
        except (DiskFull, IndexDamaged) as trouble:
            self.times_full += isinstance(trouble, DiskFull)
            for command in batch:
                command.future.set_exception(trouble)
        except Exception as trouble:  # noqa: BLE001 - whatever one command raises is its own caller's to know
            if len(batch) == 1:
                batch[0].future.set_exception(trouble)
                return
            for command in batch:
                self._commit_together([command])
        else:
            for command, answer in zip(batch, answers, strict=True):
                command.future.set_result(answer)
            if self._on_commit is not None:
                self._on_commit(time.monotonic() - begun, len(batch))

    def _transaction(self, batch: "list[_Command]") -> list[Any]:
        if self._damage is not None:
            raise self._damage
        try:
            with translated("writing"), self._connection.begin():
                return [command.run(self._connection) for command in batch]
        except IndexDamaged as damage:
            # After a failed sync the next one may claim success for pages that are gone: nothing more is believed.
            self._damage = damage
            log.critical("index given up", extra={"action": "index-damaged", "reason": str(damage)})
            raise

    def _give_up_rest(self) -> None:
        with self._door:
            self._closed = True
        while True:
            try:
                command = self._queue.get_nowait()
            except Empty:
                return
            if command is not None:
                command.future.set_exception(RuntimeError("the index is closed"))


class _Command:
    __slots__ = ("future", "run")

    def __init__(self, run: Callable[[Connection], Any], future: "Future[Any]") -> None:
        self.run = run
        self.future = future


def _nothing(_: object) -> None:
    return None


def _run_values(run: Run) -> dict[str, Any]:
    return {
        "id": run.number,
        "camera_id": run.camera_id,
        "folder": run.folder,
        "started_us": run.started_us,
        "begin_reason": run.begin_reason,
        "ended_us": run.ended_us,
        "end_reason": run.end_reason,
        "epoch": run.epoch,
        "clock_source": run.clock_source,
        "utc_anchor_us": run.utc_anchor_us,
        "slope_ppb": run.slope_ppb,
        "host_synchronised": int(run.host_synchronised),
        "correction_us": run.correction_us,
        "boot": run.boot,
        "utc_less_mono_us": run.utc_less_mono_us,
    }


def _correct_runs(connection: Connection, boot: str, utc_less_mono_us: int, *, final: bool) -> dict[int, int]:
    corrections = {}
    for run in connection.execute(_runs_of_boot, {"boot_is": boot}):
        correction_us = utc_less_mono_us - run.utc_less_mono_us
        if run.ended_us is None and abs(correction_us) < _SLEW_US:
            correction_us = 0
        corrections[run.id] = correction_us
        connection.execute(_correct_run, {"id_is": run.id, "correction_us": correction_us})
    if final:
        connection.execute(_runs_need_no_more, {"boot_is": boot})
    return corrections


def _identify_camera(
    connection: Connection, camera_id: int, at_us: int, model: str | None, ident: str | None
) -> tuple[str | None, str | None] | None:
    known = connection.execute(_known_identity, {"id_is": camera_id}).one()
    model = known.model if model is None else model
    ident = known.camera_ident if ident is None else ident
    connection.execute(_identify, {"id_is": camera_id, "model": model, "camera_ident": ident})
    if known.model in (None, model) and known.camera_ident in (None, ident):
        return None
    text = f"the camera now says it is {called(model, ident)}; was {called(known.model, known.camera_ident)}"
    facts = {"model": model, "camera_id": ident, "was_model": known.model, "was_camera_id": known.camera_ident}
    connection.execute(_add_event, _event_values(at_us, "camera-changed", text, facts, camera_id))
    return known.model, known.camera_ident


def called(model: str | None, ident: str | None) -> str:
    """What a camera says it is, as words in a sentence."""
    what = f"a {model}" if model is not None else "a camera"
    return f"{what} called '{ident}'" if ident is not None else what


def _note_firmware(connection: Connection, camera_id: int, at_us: int, firmware: str) -> str | None:
    known: str | None = connection.execute(_known_firmware, {"id_is": camera_id}).scalar()
    connection.execute(_know_firmware, {"id_is": camera_id, "firmware": firmware})
    if known in (None, firmware):
        return None
    text = f"the camera's firmware is now {firmware}; was {known}"
    facts = {"firmware": firmware, "was_firmware": known}
    connection.execute(_add_event, _event_values(at_us, "firmware-changed", text, facts, camera_id))
    return known


def _note_fan(connection: Connection, camera_id: int, at_us: int, *, failed: bool) -> bool:
    known = connection.execute(_known_fan, {"id_is": camera_id}).scalar()
    connection.execute(_know_fan, {"id_is": camera_id, "fan_failed": int(failed)})
    if bool(known) is failed:
        return False
    kind, text = ("fan-failed", "the camera's fan failed") if failed else ("fan-works", "the camera's fan works again")
    connection.execute(_add_event, _event_values(at_us, kind, text, {}, camera_id))
    return True


def _note_view(
    connection: Connection, camera_id: int, at_us: int, *, away: bool, text: str, facts: Mapping[str, Any]
) -> bool:
    known = connection.execute(_known_view, {"id_is": camera_id}).scalar()
    connection.execute(_know_view, {"id_is": camera_id, "turned_away": int(away)})
    if bool(known) is away:
        return False
    kind = "turned-away" if away else "turned-back"
    connection.execute(_add_event, _event_values(at_us, kind, text, facts, camera_id))
    return True


def _add_camera_clock(connection: Connection, camera_id: int, row: CameraClockRow) -> None:
    values = {"camera_id": camera_id, "at_us": row.at_us, "offset_us": row.offset_us, "drift_ppb": row.drift_ppb}
    connection.execute(_put_camera_clock, values)
    connection.execute(_drop_camera_clock, {"camera_is": camera_id, "until_us": row.at_us - _CAMERA_CLOCK_KEPT_US})


def _event_values(at_us: int, kind: str, text: str, facts: Mapping[str, Any], camera_id: int | None) -> dict[str, Any]:
    said = json.dumps(facts, ensure_ascii=False)
    return {"at_us": at_us, "camera_id": camera_id, "kind": kind, "text": text, "facts": said}


def _segment_values(row: SegmentRow) -> dict[str, Any]:
    return {
        "camera_id": row.camera_id,
        "run": row.run,
        "seq": row.seq,
        "volume_id": row.volume_id,
        "start_us": row.start_us,
        "end_us": row.end_us,
        "frames": row.frames,
        "size_bytes": row.size_bytes,
        "time_base_num": row.time_base.numerator,
        "time_base_den": row.time_base.denominator,
        "first_tick": row.first_tick,
        "duration_ticks": row.duration_ticks,
        "recovered": int(row.recovered),
        "state": row.state.value,
        "sha256": row.sha256,
    }


def _enter_segments(connection: Connection, entries: Sequence[Entry]) -> list[tuple[int, int]]:
    wanted = json.dumps([[entry.row.run, entry.row.seq] for entry in entries])
    known = {(run, seq) for run, seq in connection.execute(_known_of, {"pairs": wanted})}
    fresh = [entry for entry in entries if (entry.row.run, entry.row.seq) not in known]
    if not fresh:
        return sorted(known)
    connection.execute(_meet_run, [_run_values(run) for run in _first_of_each_run(fresh)])
    first_id: int = (connection.execute(_last_segment).scalar() or 0) + 1
    rows = [_segment_values(entry.row) | {"id": number} for number, entry in enumerate(fresh, first_id)]
    connection.execute(_enter_segment, rows)
    for camera_id in {entry.row.camera_id for entry in fresh}:
        ours = [entry.row for entry in fresh if entry.row.camera_id == camera_id]
        longest_us = max(row.end_us - row.start_us for row in ours)
        connection.execute(_longer_segment, {"id_is": camera_id, "longest_segment_us": longest_us})
        connection.execute(_known_since, {"id_is": camera_id, "at_us": min(row.start_us for row in ours)})
        _uncover(connection, camera_id, [(row.start_us, row.end_us) for row in ours])
    _enter_looks(
        connection, [(entry.row.camera_id, number, entry.looks) for number, entry in enumerate(fresh, first_id)]
    )
    if clips.any_may_hold(connection):
        for number in range(first_id, first_id + len(fresh)):
            clips.hold_segment(connection, number)
    return sorted(known)


def _enter_looks(connection: Connection, segments: Sequence[tuple[int, int, Sequence[Look]]]) -> None:
    """As `_add_looks` for many segments. Past SQLAlchemy, which would take longer than all the rest of a file."""
    cursor: Any = connection.connection.cursor()
    ids: dict[tuple[int, View], int] = {}
    rows = []
    for camera_id, segment_id, looks in segments:
        for look in looks:
            view_id = ids.get((camera_id, look.view))
            if view_id is None:
                view_id = ids[camera_id, look.view] = _id_of_view_by(cursor, camera_id, look.view)
            rows.append((segment_id, look.start_us, look.end_us - look.start_us, view_id))
    cursor.executemany("INSERT INTO look (segment_id, start_us, duration_us, view_id) VALUES (?, ?, ?, ?)", rows)


def _id_of_view_by(cursor: Any, camera_id: int, view: View) -> int:
    preset = tables.NO_PRESET if view.preset is None else view.preset
    values = (camera_id, *view.box, preset, view.kind.value)
    known = cursor.execute(_VIEW_ID, values).fetchone()
    return int(cursor.execute(_ADD_VIEW, values).lastrowid if known is None else known[0])


def _first_of_each_run(entries: Sequence[Entry]) -> list[Run]:
    runs: dict[int, Run] = {}
    for entry in entries:
        seen = runs.get(entry.run.number)
        if seen is None or entry.run.started_us < seen.started_us:
            runs[entry.run.number] = entry.run
    return list(runs.values())


def _add_looks(connection: Connection, camera_id: int, segment_id: int, looks: Sequence[Look]) -> None:
    """Ids of views are asked for each time: one kept from a transaction that was undone would be another view's."""
    ids = {view: _id_of_view(connection, camera_id, view) for view in {look.view for look in looks}}
    connection.execute(
        _add_look,
        [
            {
                "segment_id": segment_id,
                "start_us": look.start_us,
                "duration_us": look.end_us - look.start_us,
                "view_id": ids[look.view],
            }
            for look in looks
        ],
    )


def _id_of_view(connection: Connection, camera_id: int, view: View) -> int:
    preset = tables.NO_PRESET if view.preset is None else view.preset
    values = {"camera_id": camera_id, "kind": view.kind.value, "preset": preset, **view.box._asdict()}
    known = connection.execute(_view_id, values).scalar()
    return int(known if known is not None else connection.execute(_add_view, values).lastrowid)


def _drop_looks(connection: Connection, segment_id: int) -> None:
    """Takes a segment's looks, and the views that nothing else refers to."""
    segment_is = {"segment_is": segment_id}
    views = [{"id_is": view_id} for view_id in connection.execute(_views_of_segment, segment_is).scalars()]
    if views:
        connection.execute(_drop_looks_of_segment, segment_is)
        connection.execute(_drop_view_if_unused, views)


def _condemn(connection: Connection, segment_ids: Sequence[int], since_us: int) -> Condemned:
    condemned, held = [], []
    for segment_id in segment_ids:
        found = connection.execute(_segment_file, {"id_is": segment_id}).one_or_none()
        if found is None:
            continue
        if clips.is_held(connection, segment_id):
            held.append(segment_id)
            continue
        path = segment_path(found.folder, found.start_us, found.run, found.seq)
        garbage_id = clips.add_garbage(connection, found.volume_id, path, since_us)
        _drop_looks(connection, segment_id)
        clips.drop_members(connection, segment_id)
        connection.execute(_drop_segment, {"id_is": segment_id})
        condemned.append(Garbage(garbage_id, found.name, path, since_us))
    return Condemned(condemned, held)


def _put_spans(connection: Connection, camera_id: int, changes: Sequence[SpanChange]) -> None:
    for change in changes:
        match change:
            case DropSpan(span):
                connection.execute(_drop_span, _span_key(camera_id, span))
            case PutSpan(span):
                if span.end_us is None:
                    _end_other_open(connection, camera_id, span)
                _put_one_span(connection, camera_id, span)


def _end_other_open(connection: Connection, camera_id: int, opening: Span) -> None:
    """Where an earlier change was lost (a full disk), the span it left open ends where the next begins."""
    left = connection.execute(_open_span, {"camera_is": camera_id}).one_or_none()
    if left is None or (left.start_us, left.epoch) == (opening.start_us, opening.epoch):
        return
    span = Span(SpanKind(left.kind), left.reason, left.start_us, opening.start_us, left.epoch)
    if span.start_us < opening.start_us:
        _put_one_span(connection, camera_id, span)
    else:
        connection.execute(_drop_span, _span_key(camera_id, span))


def _put_one_span(connection: Connection, camera_id: int, span: Span) -> None:
    values = {
        "camera_id": camera_id,
        "kind": span.kind.value,
        "reason": span.reason,
        "start_us": span.start_us,
        "end_us": span.end_us,
        "epoch": span.epoch,
    }
    connection.execute(_put_span, values)
    if span.end_us is not None:
        connection.execute(_longer_gap, {"id_is": camera_id, "longest_gap_us": span.end_us - span.start_us})


def _uncover(connection: Connection, camera_id: int, recorded: Sequence[tuple[int, int]]) -> None:
    between = {
        "camera_is": camera_id,
        "start_is": min(start for start, _ in recorded),
        "end_is": max(end for _, end in recorded),
    }
    for row in connection.execute(_unknown_between, between).all():
        whole = Span(SpanKind(row.kind), row.reason, row.start_us, row.end_us, row.epoch)
        rest = [(row.start_us, row.end_us)]
        for start_us, end_us in recorded:
            rest = [part for a, b in rest for part in ((a, min(b, start_us)), (max(a, end_us), b)) if part[0] < part[1]]
        if rest == [(row.start_us, row.end_us)]:
            continue
        connection.execute(_drop_span, _span_key(camera_id, whole))
        for start_us, end_us in rest:
            _put_one_span(connection, camera_id, replace(whole, start_us=start_us, end_us=end_us))


def _span_key(camera_id: int, span: Span) -> dict[str, int]:
    return {"camera_is": camera_id, "start_is": span.start_us, "epoch_is": span.epoch}


# ---- statements, compiled once

_archive, _camera, _volume = tables.archive, tables.camera, tables.volume
_run, _segment, _gap, _garbage = tables.run, tables.segment, tables.gap, tables.garbage
_view, _look = tables.view, tables.look
_camera_clock, _event = tables.camera_clock, tables.event

_name_archive = insert_or(_archive).on_conflict_do_nothing()
_add_camera = insert_or(_camera).values(slug=bindparam("slug"), configured_at_us=bindparam("configured_at_us"))
_add_camera = _add_camera.on_conflict_do_nothing()
_camera_id = select(_camera.c.id).where(_camera.c.slug == bindparam("slug_is"))
_rename_camera = update(_camera).where(_camera.c.slug == bindparam("slug_is")).values(slug=bindparam("slug"))
_new_volume = insert_or(_volume).values(name=bindparam("name"), uuid=bindparam("uuid"))
_add_volume = _new_volume.on_conflict_do_update(
    index_elements=[_volume.c.uuid], set_={"name": _new_volume.excluded.name}
)
_volume_id = select(_volume.c.id).where(_volume.c.uuid == bindparam("uuid_is"))

_new_run = insert_or(_run).values({column.name: bindparam(column.name) for column in _run.columns})
_add_run = _new_run.on_conflict_do_nothing()
_put_run = _new_run.on_conflict_do_update(
    index_elements=[_run.c.id], set_={column.name: column for column in _new_run.excluded if column.name != "id"}
)
_update_run = (
    update(_run)
    .where(_run.c.id == bindparam("id_is"))
    .values({name: bindparam(name) for name in ("utc_anchor_us", "slope_ppb", "host_synchronised")})
)
_correct_run = update(_run).where(_run.c.id == bindparam("id_is")).values(correction_us=bindparam("correction_us"))
_is_of_boot = _run.c.boot == bindparam("boot_is")
_runs_of_boot = select(_run.c.id, _run.c.ended_us, _run.c.utc_less_mono_us).where(_is_of_boot)
_runs_need_no_more = update(_run).where(_is_of_boot).values(boot=None, utc_less_mono_us=None)
_end_run = (
    update(_run)
    .where(_run.c.id == bindparam("id_is"), _run.c.ended_us.is_(None))
    .values(ended_us=bindparam("ended_us"), end_reason=bindparam("end_reason"))
)

_add_segment = insert(_segment).values({c.name: bindparam(c.name) for c in _segment.columns if c.name != "id"})
_enter_segment = insert(_segment).values({c.name: bindparam(c.name) for c in _segment.columns})
_last_segment = select(func.max(_segment.c.id))
# An index of millions is asked for a few hundred pairs: one look-up in the unique index each.
_known_of = text(
    "SELECT segment.run, segment.seq FROM json_each(:pairs) AS pair CROSS JOIN segment"
    " ON segment.run = json_extract(pair.value, '$[0]') AND segment.seq = json_extract(pair.value, '$[1]')"
)
# Files may be entered newest first: a run of which files alone tell began with the earliest of them, and one that a
# copy of the index thought over may have gone on.
_only_files_tell = (_run.c.begin_reason == RECOVERED) & (_new_run.excluded.started_us < _run.c.started_us)
_meet_run = _new_run.on_conflict_do_update(
    index_elements=[_run.c.id],
    set_={
        **{
            name: case((_only_files_tell, _new_run.excluded[name]), else_=_run.c[name])
            for name in ("started_us", "utc_anchor_us", "slope_ppb")
        },
        "ended_us": func.max(_run.c.ended_us, _new_run.excluded.ended_us),
    },
)
_known_since = (
    update(_camera)
    .where(_camera.c.id == bindparam("id_is"), _camera.c.configured_at_us > bindparam("at_us"))
    .values(configured_at_us=bindparam("at_us"))
)
_longer_segment = (
    update(_camera)
    .where(_camera.c.id == bindparam("id_is"), _camera.c.longest_segment_us < bindparam("longest_segment_us"))
    .values(longest_segment_us=bindparam("longest_segment_us"))
)
_mark_segment = update(_segment).where(_segment.c.id == bindparam("id_is")).values(state=bindparam("state"))
_mark_film = update(tables.film).where(tables.film.c.id == bindparam("id_is")).values(state=bindparam("state"))
_note_hash = update(_segment).where(_segment.c.id == bindparam("id_is")).values(sha256=bindparam("sha256"))
_note_clip_hash = update(tables.clip).where(tables.clip.c.id == bindparam("id_is")).values(sha256=bindparam("sha256"))
_segment_file = (
    select(
        *(_segment.c.volume_id, _segment.c.start_us, _segment.c.run, _segment.c.seq),
        *(_run.c.folder, _volume.c.name),
    )
    .join(_run, _run.c.id == _segment.c.run)
    .join(_volume, _volume.c.id == _segment.c.volume_id)
    .where(_segment.c.id == bindparam("id_is"))
)
_drop_segment = delete(_segment).where(_segment.c.id == bindparam("id_is"))

_of_view = [column for column in _view.columns if column.name != "id"]
_view_id = select(_view.c.id).where(*(column == bindparam(column.name) for column in _of_view))
_add_view = insert(_view).values({column.name: bindparam(column.name) for column in _of_view})
_VIEW_COLUMNS: Final = (
    *("camera_id", "pan_from", "pan_to", "tilt_from", "tilt_to", "zoom_from", "zoom_to", "preset", "kind"),
)
_VIEW_ID: Final = f"SELECT id FROM view WHERE {' AND '.join(f'{name} = ?' for name in _VIEW_COLUMNS)}"  # noqa: S608 - names
_ADD_VIEW: Final = f"INSERT INTO view ({', '.join(_VIEW_COLUMNS)}) VALUES ({', '.join('?' * len(_VIEW_COLUMNS))})"  # noqa: S608
_add_look = insert(_look).values({column.name: bindparam(column.name) for column in _look.columns})
_is_of_segment = _look.c.segment_id == bindparam("segment_is")
_views_of_segment = select(_look.c.view_id).where(_is_of_segment).distinct()
_drop_looks_of_segment = delete(_look).where(_is_of_segment)
_drop_view_if_unused = delete(_view).where(
    _view.c.id == bindparam("id_is"), ~exists().where(_look.c.view_id == _view.c.id)
)

_is_camera = _camera.c.id == bindparam("id_is")
_known_identity = select(_camera.c.model, _camera.c.camera_ident).where(_is_camera)
_identify = update(_camera).where(_is_camera)
_identify = _identify.values(model=bindparam("model"), camera_ident=bindparam("camera_ident"))
_known_firmware = select(_camera.c.firmware).where(_is_camera)
_know_firmware = update(_camera).where(_is_camera).values(firmware=bindparam("firmware"))
_known_fan = select(_camera.c.fan_failed).where(_is_camera)
_known_view = select(_camera.c.turned_away).where(_is_camera)
_know_view = update(_camera).where(_is_camera).values(turned_away=bindparam("turned_away"))
_know_fan = update(_camera).where(_is_camera).values(fan_failed=bindparam("fan_failed"))
_new_camera_clock = insert_or(_camera_clock).values({c.name: bindparam(c.name) for c in _camera_clock.columns})
_put_camera_clock = _new_camera_clock.on_conflict_do_update(
    index_elements=[_camera_clock.c.camera_id, _camera_clock.c.at_us],
    set_={name: _new_camera_clock.excluded[name] for name in ("offset_us", "drift_ppb")},
)
_drop_camera_clock = delete(_camera_clock).where(
    _camera_clock.c.camera_id == bindparam("camera_is"), _camera_clock.c.at_us < bindparam("until_us")
)
_new_alarm_link = insert_or(tables.alarm_link).values({c.name: bindparam(c.name) for c in tables.alarm_link.columns})
_put_alarm_link = _new_alarm_link.on_conflict_do_update(
    index_elements=[tables.alarm_link.c.camera_id],
    set_={column.name: column for column in _new_alarm_link.excluded if column.name != "camera_id"},
)
_add_event = insert(_event).values({c.name: bindparam(c.name) for c in _event.columns if c.name != "id"})

_forget = delete(_garbage).where(_garbage.c.id == bindparam("id_is"))

_new_span = insert_or(_gap).values({c.name: bindparam(c.name) for c in _gap.columns if c.name != "id"})
_put_span = _new_span.on_conflict_do_update(
    index_elements=[_gap.c.camera_id, _gap.c.start_us, _gap.c.epoch],
    set_={name: _new_span.excluded[name] for name in ("kind", "reason", "end_us")},
)
_is_span = (
    (_gap.c.camera_id == bindparam("camera_is"))
    & (_gap.c.start_us == bindparam("start_is"))
    & (_gap.c.epoch == bindparam("epoch_is"))
)
_drop_span = delete(_gap).where(_is_span)
_open_span = select(_gap).where(_gap.c.camera_id == bindparam("camera_is"), _gap.c.end_us.is_(None))
_unknown_between = select(_gap).where(
    _gap.c.camera_id == bindparam("camera_is"),
    _gap.c.reason == UNKNOWN,
    _gap.c.end_us > bindparam("start_is"),
    _gap.c.start_us < bindparam("end_is"),
)
_longer_gap = (
    update(_camera)
    .where(_camera.c.id == bindparam("id_is"), _camera.c.longest_gap_us < bindparam("longest_gap_us"))
    .values(longest_gap_us=bindparam("longest_gap_us"))
)

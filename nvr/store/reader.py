"""Questions to the index, on connections that cannot write. Each question is answered from one moment.

Whoever holds a `Reader` may ask from any thread; a question takes a connection for its own time only, so that the
index's log never grows behind a slow reader. Long lists are asked page by page (`limit`, and `after=` the last one's
`cursor`).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)

from nvr.store import tables
from nvr.store.connections import reader_engine, still_engine, translated, wal_path
from nvr.store.errors import IndexDamaged
from nvr.store.lock import daemon_kept_out
from nvr.store.names import numbered, parse_segment_name, segment_path
from nvr.store.retention import Footage, Kind
from nvr.store.rows import (
    Alarm,
    AlarmLinkRow,
    AlarmRow,
    Box,
    Camera,
    CameraClockRow,
    Clip,
    ClipMember,
    ClipState,
    Event,
    Film,
    FilmRow,
    Garbage,
    Holding,
    Look,
    LookKind,
    Recorded,
    Run,
    Segment,
    SegmentRow,
    SegmentState,
    Span,
    SpanKind,
    View,
    VolumeRow,
)
from nvr.store.schema import INDEX_NAME, check_readable
from nvr.units import US

Cursor = tuple[int, int]
"""Where a page ended: a segment's start and id."""


class KnownFile(NamedTuple):
    """A row as recovery needs it, of which there are a hundred thousand."""

    id: int
    run: int
    seq: int
    start_us: int
    size_bytes: int
    volume_id: int
    state: str
    folder: str


class KnownView(NamedTuple):
    """A view of a camera as the index answers it."""

    id: int
    """Never given to another view."""
    camera: str
    """The camera's slug now."""
    view: View


FoundLook = tuple[int, int, int, int]
"""A look as the index answers it, of which there are millions: start and duration (us), ids of view and segment."""


class Near(NamedTuple):
    """Bounds of views worth looking at: those of which some place may lie within; None is no bound."""

    preset: int | None = None
    pan: tuple[int, int] | None = None
    """Where an arc begins, and its width, in hundredths."""
    tilt: tuple[int, int] | None = None
    zoom: tuple[int, int] | None = None


_ANYWHERE: Final = Near()
_CIRCLE: Final = 36_000
_DAY_US: Final = 86_400 * US


class Reader:
    """The index for whoever only asks. Raises IndexDamaged where it cannot be read."""

    def __init__(self, index_path: Path, *, beside_daemon: bool = True) -> None:
        """`beside_daemon`: the caller's own process holds the data directory's lock, so connections are kept open.

        Otherwise each question finds out anew whether a daemon writes meanwhile (see `open_reader`).
        """
        self._path = index_path
        self._beside = reader_engine(index_path, kept=beside_daemon)
        self._still = None if beside_daemon else still_engine(index_path)

    def close(self) -> None:
        """Closes the connections that are kept; a daemon does so before it closes its index."""
        self._beside.dispose()

    def check_schema(self) -> None:
        """Raises SchemaTooOld or SchemaTooNew where this program cannot read it, IndexDamaged where it is no index."""
        if not self._path.exists():
            raise IndexDamaged(f"there is no index {self._path}; the daemon makes it when it starts")
        with self._asking() as connection:
            check_readable(connection)

    # ---- who and where

    def archive(self) -> str | None:
        """The archive's uuid; None where it has none yet."""
        with self._asking() as connection:
            return connection.execute(_archive).scalar()

    def cameras(self) -> list[Camera]:
        """Every camera that ever was configured, by slug."""
        with self._asking() as connection:
            return [_camera_of(row) for row in connection.execute(_cameras)]

    def camera(self, slug: str) -> Camera | None:
        """The camera of this slug."""
        return next((camera for camera in self.cameras() if camera.slug == slug), None)

    def camera_of_folder(self, folder: str) -> int | None:
        """The id of the camera whose newest run has its files in this folder, whatever it is called now."""
        with self._asking() as connection:
            return connection.execute(_camera_of_folder, {"folder_is": folder}).scalar()

    def volumes(self) -> list[VolumeRow]:
        """Every volume that ever held footage."""
        with self._asking() as connection:
            return [VolumeRow(row.id, row.name, row.uuid) for row in connection.execute(_volumes)]

    def films(self, camera: str | None = None) -> list[Film]:
        """The films of the camera's days (None: of every camera's), by day: one a day, so all at once."""
        question, values = _films, {}
        if camera is not None:
            question, values = question.where(_camera_table.c.slug == bindparam("slug_is")), {"slug_is": camera}
        with self._asking() as connection:
            return [_film_of(row) for row in connection.execute(question, values)]

    def film(self, film_id: int) -> Film | None:
        """The film of this id."""
        with self._asking() as connection:
            row = connection.execute(_film_by_id, {"id_is": film_id}).one_or_none()
            return None if row is None else _film_of(row)

    def film_files(self, volume_id: int, folder: str) -> set[str]:
        """The paths of all files of films in a camera's folder on a volume."""
        with self._asking() as connection:
            rows = connection.execute(_film_files, {"volume_is": volume_id, "path_like": f"{folder}/%"})
            return {numbered(path, number) for path, files in rows for number in range(1, files + 1)}

    def footage_bytes(self) -> dict[str, int]:
        """Bytes of segments by volume name."""
        with self._asking() as connection:
            return {row.name: row.bytes for row in connection.execute(_footage_bytes)}

    def holdings(self) -> list[Holding]:
        """What there is of each camera on each volume."""
        with self._asking() as connection:
            return [Holding(*row) for row in connection.execute(_holdings)]

    # ---- what may go

    def unheld_segments(self, volume_id: int, camera_id: int, limit: int) -> list[Footage]:
        """The camera's oldest segments on a volume that no clip holds."""
        values = {"volume_is": volume_id, "camera_is": camera_id, "most": limit}
        with self._asking() as connection:
            rows = connection.execute(_unheld_segments, values)
            return [Footage(Kind.SEGMENT, id_, camera_id, volume_id, *rest) for id_, *rest in rows]

    def unlocked_clips(
        self, volume_id: int | None, camera_id: int, limit: int, *, unexported: bool = False
    ) -> list[Footage]:
        """The camera's oldest clips on a volume (None: those without a file) that are closed and not locked.

        Those that still wait for a file are among the latter where `unexported`.
        """
        question = _clips_without_file if volume_id is None else _clips_on_volume
        values = {"volume_is": volume_id, "camera_is": camera_id, "most": limit, "unexported": int(unexported)}
        with self._asking() as connection:
            rows = connection.execute(question, values)
            return [Footage(Kind.CLIP, id_, camera_id, volume_id, *rest) for id_, *rest in rows]

    def oldest_films(self, volume_id: int, camera_id: int, limit: int) -> list[Footage]:
        """The films of the camera's oldest days on a volume."""
        values = {"volume_is": volume_id, "camera_is": camera_id, "most": limit}
        with self._asking() as connection:
            rows = connection.execute(_oldest_films, values)
            return [
                Footage(Kind.FILM, id_, camera_id, volume_id, start_us, start_us + _DAY_US, size_bytes)
                for id_, start_us, size_bytes in rows
            ]

    def is_held(self, segment_id: int) -> bool:
        """Whether a clip that is not exported, or is locked, has a part of this segment."""
        with self._asking() as connection:
            return bool(connection.execute(_is_held, {"segment_is": segment_id}).scalar())

    def newest_bytes(self, volume_id: int, camera_id: int, since_us: int) -> int:
        """Bytes of the camera's segments on a volume that began since then."""
        values = {"volume_is": volume_id, "camera_is": camera_id, "since_is": since_us}
        with self._asking() as connection:
            return int(connection.execute(_newest_bytes, values).scalar() or 0)

    # ---- segments

    def segments_between(
        self, camera: str, start_us: int, end_us: int, *, after: Cursor | None = None, limit: int | None = None
    ) -> list[Segment]:
        """The camera's segments that touch [start, end), by start; `after` a cursor, at most `limit`."""
        with self._asking() as connection:
            known = connection.execute(_camera_reach, {"slug_is": camera}).one_or_none()
            if known is None:
                return []
            values = {
                "camera_is": known.id,
                "from_us": max(start_us - known.longest_segment_us, after[0] if after else -(1 << 62)),
                "start_is": start_us,
                "end_is": end_us,
                "after_us": after[0] if after else -(1 << 62),
                "after_id": after[1] if after else 0,
                "most": -1 if limit is None else limit,
            }
            return [_segment_of(row) for row in connection.execute(_segments_between, values)]

    def recorded_between(self, camera: str, start_us: int, end_us: int, *, missing_too: bool = False) -> list[Recorded]:
        """The time that the camera's segments cover and that touches [start, end): light, for `ledger.coverage`.

        A segment whose file is gone covers nothing, unless `missing_too`.
        """
        with self._asking() as connection:
            known = connection.execute(_camera_reach, {"slug_is": camera}).one_or_none()
            if known is None:
                return []
            values = {
                "camera_is": known.id,
                "from_us": start_us - known.longest_segment_us,
                "start_is": start_us,
                "end_is": end_us,
            }
            question = _promised_between if missing_too else _recorded_between
            return [Recorded(*row) for row in connection.execute(question, values)]

    def first_segment(self, camera: str) -> Segment | None:
        """How far back it goes."""
        return self._one_segment(_first_segment, {"slug_is": camera})

    def last_segment(self, camera: str) -> Segment | None:
        """The newest one, by start."""
        return self._one_segment(_last_segment, {"slug_is": camera})

    def segment(self, segment_id: int) -> Segment | None:
        """The one with this id."""
        return self._one_segment(_segment_by_id, {"id_is": segment_id})

    def segment_of(self, run: int, seq: int) -> Segment | None:
        """The one of this run and number."""
        return self._one_segment(_segment_by_seq, {"run_is": run, "seq_is": seq})

    def last_of_run(self, run: int) -> Segment | None:
        """The run's segment with the highest number."""
        return self._one_segment(_last_of_run, {"run_is": run})

    def last_recorded(self, camera: str, epoch: int) -> int | None:
        """The latest end of any of the camera's segments in this epoch."""
        with self._asking() as connection:
            values = {"slug_is": camera, "epoch_is": epoch}
            return connection.execute(_last_recorded, values).scalar()

    def known_files(self, camera_id: int, start_us: int, end_us: int) -> list[KnownFile]:
        """The camera's segments that begin in [start, end)."""
        with self._asking() as connection:
            values = {"camera_is": camera_id, "start_is": start_us, "end_is": end_us}
            return [KnownFile(*row) for row in connection.execute(_known_files, values)]

    def folders_of(self, camera_id: int) -> list[str]:
        """Every folder that the camera's files lie in: the names it had."""
        with self._asking() as connection:
            return list(connection.execute(_folders_of, {"camera_is": camera_id}).scalars())

    def days_of(self, camera_id: int) -> list[int]:
        """The days, since the epoch, in which segments of the camera begin."""
        with self._asking() as connection:
            return list(connection.execute(_days_of, {"camera_is": camera_id}).scalars())

    def segments_without_hash(self, *, after: int, limit: int) -> list[Segment]:
        """Segments that are as promised and of whose content nothing is noted, by id."""
        with self._asking() as connection:
            values = {"after_id": after, "most": limit}
            return [_segment_of(row) for row in connection.execute(_without_hash, values)]

    def segment_by_name(self, name: str) -> Segment | None:
        """The one whose file has this name or path, with or without its folders; None where there is no row for it."""
        said = parse_segment_name(name.rpartition("/")[2])
        found = None if said is None else self.segment_of(said.run, said.seq)
        if found is None or found.path.rpartition("/")[2] != name.rpartition("/")[2]:
            return None
        return found

    # ---- where cameras looked

    def views(self, cameras: Sequence[str] | None = None, near: Near = _ANYWHERE) -> list[KnownView]:
        """The distinct views of these cameras (default: all) within those bounds."""
        question = _views.where(*_nearness(near))
        if cameras is not None:
            question = question.where(_camera_table.c.slug.in_(cameras))
        with self._asking() as connection:
            return [KnownView(id_, slug, _view_of(*rest)) for id_, slug, *rest in connection.execute(question)]

    def last_rest_at(self, camera: str, preset: int) -> Box | None:
        """Where the camera last stood on that preset, as far as footage tells; None where none does."""
        with self._asking() as connection:
            row = connection.execute(_last_rest_at, {"slug": camera, "preset_is": preset}).first()
        return None if row is None else Box(*row)

    def longest_segment_us(self) -> int:
        """No segment of any camera is longer, and so no look: how far before a moment it may begin."""
        with self._asking() as connection:
            return connection.execute(_longest_segment).scalar() or 0

    def looks_of(self, view_ids: Sequence[int], start_us: int, end_us: int) -> list[FoundLook]:
        """The looks with one of these views that begin in [start, end), by start."""
        with self._asking() as connection:
            # Past SQLAlchemy, whose rows cost several times as much as SQLite's own.
            cursor = connection.connection.cursor()
            cursor.execute(_LOOKS_OF_VIEWS, (json.dumps(view_ids), start_us, end_us))
            return list(cursor.fetchall())

    def next_look(self, view_ids: Sequence[int], start_us: int) -> int | None:
        """When the first look with one of these views begins that does not begin before `start_us`."""
        values = {"ids": json.dumps(view_ids), "start_is": start_us}
        with self._asking() as connection:
            return connection.execute(_next_look, values).scalar()

    def looks_along(
        self, camera: str, start_us: int, end_us: int, *, after: Cursor | None = None, limit: int
    ) -> tuple[list[Look], Cursor | None]:
        """The looks of the camera's segments that touch [start, end), in order, of at most `limit` segments.

        Answers the last segment's cursor as well; None where there was none.
        """
        segments = self.segments_between(camera, start_us, end_us, after=after, limit=limit)
        values = {"ids": json.dumps([segment.id for segment in segments])}
        with self._asking() as connection:
            rows = connection.execute(_looks_of_segments, values)
            looks = [Look(start, start + lasts, _view_of(*view)) for start, lasts, *view in rows]
        return looks, segments[-1].cursor if segments else None

    # ---- what was not recorded

    def spans_between(self, camera: str, start_us: int, end_us: int) -> list[Span]:
        """The camera's gap and off rows that touch [start, end), by start."""
        with self._asking() as connection:
            known = connection.execute(_camera_reach, {"slug_is": camera}).one_or_none()
            if known is None:
                return []
            values = {
                "camera_is": known.id,
                "from_us": start_us - known.longest_gap_us,
                "start_is": start_us,
                "end_is": end_us,
            }
            return [_span_of(row) for row in connection.execute(_spans_between, values)]

    def gaps_between(self, camera: str, start_us: int, end_us: int) -> list[Span]:
        """Those of `spans_between` that were not planned."""
        return [span for span in self.spans_between(camera, start_us, end_us) if span.kind is SpanKind.GAP]

    def newest_spans(self, camera: str, limit: int = 512) -> list[Span]:
        """What a ledger goes on from: the newest rows, newest first."""
        with self._asking() as connection:
            rows = connection.execute(_newest_spans, {"slug_is": camera, "most": limit})
            return [_span_of(row) for row in rows]

    def kept_since(self, camera_id: int) -> int | None:
        """Since when all footage of the camera is there that no clip holds: what is older may have been deleted.

        None where there is none.
        """
        with self._asking() as connection:
            return connection.execute(_kept_since, {"camera_is": camera_id}).scalar()

    def accounted_until(self, camera_id: int) -> int | None:
        """Up to when segments and spans of the camera tell: its last end, or where what goes on began."""
        with self._asking() as connection:
            values = {"camera_is": camera_id}
            known = [connection.execute(question, values).scalar() for question in _last_moments]
            return max((at_us for at_us in known if at_us is not None), default=None)

    def overlapping_spans(self, camera_id: int) -> list[int]:
        """Where a span begins before the one of its epoch before it has ended, which must not be; a few."""
        with self._asking() as connection:
            return list(connection.execute(_overlapping, {"camera_is": camera_id}).scalars())

    # ---- alarms and clips

    def alarms_between(
        self, camera: str | None, start_us: int, end_us: int, *, after: int = 0, limit: int | None = None
    ) -> list[Alarm]:
        """The camera's alarms (None: every camera's) in [start, end), as they came; `after` an id, at most `limit`."""
        question = _alarms_between
        values: dict[str, Any] = {"start_is": start_us, "end_is": end_us, "after_id": after}
        values["most"] = -1 if limit is None else limit
        if camera is not None:
            question, values["slug_is"] = question.where(_camera_table.c.slug == bindparam("slug_is")), camera
        with self._asking() as connection:
            return [_alarm_of(row) for row in connection.execute(question, values)]

    def alarm_link(self, camera_id: int) -> AlarmLinkRow | None:
        """What was known of the camera's inputs when it was last listened to."""
        with self._asking() as connection:
            row = connection.execute(_alarm_link, {"camera_is": camera_id}).one_or_none()
            return None if row is None else _alarm_link_of(row)

    def clips_between(
        self,
        camera: str | None,
        start_us: int,
        end_us: int,
        *,
        rule: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Clip]:
        """The camera's clips (None: every camera's) that touch [start, end), in the order of their ids.

        One without footage counts at its alarm. `after` an id, at most `limit`.
        """
        question = _clips_between
        values: dict[str, Any] = {"start_is": start_us, "end_is": end_us, "after_id": after}
        values["most"] = -1 if limit is None else limit
        if camera is not None:
            question, values["slug_is"] = question.where(_camera_table.c.slug == bindparam("slug_is")), camera
        if rule is not None:
            question, values["rule_is"] = question.where(_clip.c.rule == bindparam("rule_is")), rule
        with self._asking() as connection:
            return [_clip_of(row) for row in connection.execute(question, values)]

    def clip(self, clip_id: int) -> Clip | None:
        """The clip of this number."""
        with self._asking() as connection:
            row = connection.execute(_clip_by_id, {"id_is": clip_id}).one_or_none()
            return None if row is None else _clip_of(row)

    def open_clips(self) -> list[Clip]:
        """Clips to which footage is still added, or whose daemon died."""
        with self._asking() as connection:
            return [_clip_of(row) for row in connection.execute(_open_clips)]

    def clips_to_export(self, *, after: int = 0, limit: int = 100) -> list[Clip]:
        """Closed clips without a file of their own, by id; what they hold may not all be in the index yet."""
        with self._asking() as connection:
            values = {"after_id": after, "most": limit}
            return [_clip_of(row) for row in connection.execute(_clips_to_export, values)]

    def clips_without_hash(self, *, after: int, limit: int) -> list[Clip]:
        """Clips with a file of whose content nothing is noted, by id."""
        with self._asking() as connection:
            values = {"after_id": after, "most": limit}
            return [_clip_of(row) for row in connection.execute(_clips_without_hash, values)]

    def locked_clips(self, *, after: int = 0, limit: int = 100) -> list[Clip]:
        """Clips that nothing deletes, by id."""
        with self._asking() as connection:
            values = {"after_id": after, "most": limit}
            return [_clip_of(row) for row in connection.execute(_locked_clips, values)]

    def clip_of_file(self, volume_id: int, path: str) -> int | None:
        """The clip whose file, or one of whose files, this is."""
        with self._asking() as connection:
            for word in path.removesuffix(".mp4").split("-")[-2:]:
                row = connection.execute(_clip_by_id, {"id_is": int(word) if word.isdecimal() else 0}).one_or_none()
                if row is None or row.volume_id != volume_id or row.path is None:
                    continue
                if path in {numbered(row.path, number) for number in range(1, row.files + 1)}:
                    return int(row.id)
        return None

    def members_of(self, clip_id: int) -> list[ClipMember]:
        """The segments that a clip has a part of, in the order of time."""
        with self._asking() as connection:
            rows = connection.execute(_members_of, {"clip_is": clip_id})
            return [ClipMember(_segment_of(row), row.member_first_tick, row.member_last_tick) for row in rows]

    # ---- runs

    def runs_between(self, camera: str, start_us: int, end_us: int) -> list[Run]:
        """The camera's runs that touch [start, end), by start."""
        with self._asking() as connection:
            values = {"slug_is": camera, "start_is": start_us, "end_is": end_us}
            return [_run_of(row) for row in connection.execute(_runs_between, values)]

    def run(self, number: int) -> Run | None:
        """The run of this number."""
        with self._asking() as connection:
            row = connection.execute(_run_by_id, {"id_is": number}).one_or_none()
            return None if row is None else _run_of(row)

    def newest_runs(self, camera_id: int, limit: int) -> list[Run]:
        """The camera's runs with the highest numbers, highest first."""
        with self._asking() as connection:
            values = {"camera_is": camera_id, "most": limit}
            return [_run_of(row) for row in connection.execute(_newest_runs, values)]

    def open_runs(self) -> list[Run]:
        """Runs that go on, or whose daemon died."""
        with self._asking() as connection:
            return [_run_of(row) for row in connection.execute(_open_runs)]

    def last_epoch(self) -> int:
        """The highest epoch that any row is of; 0 where there is none."""
        with self._asking() as connection:
            return max(connection.execute(epoch).scalar() or 0 for epoch in _last_epochs)

    def corrected_runs(self, camera: str, start_us: int, end_us: int) -> list[Run]:
        """The camera's runs with a correction of which a time touches [start, end), before or after it; by number."""
        with self._asking() as connection:
            values = {"slug_is": camera, "start_is": start_us, "end_is": end_us}
            return [_run_of(row) for row in connection.execute(_corrected_runs, values)]

    # ---- what cameras say of themselves, and what happens

    def newest_camera_clocks(self) -> dict[str, CameraClockRow]:
        """By camera how far its clock was from the host's when that was noted last."""
        with self._asking() as connection:
            rows = connection.execute(_newest_camera_clocks)
            return {row.slug: CameraClockRow(row.at_us, row.offset_us, row.drift_ppb) for row in rows}

    def camera_clocks_between(self, camera: str, start_us: int, end_us: int) -> list[CameraClockRow]:
        """How far the camera's clock was from the host's in [start, end), by time."""
        with self._asking() as connection:
            values = {"slug_is": camera, "start_is": start_us, "end_is": end_us}
            return [CameraClockRow(*row) for row in connection.execute(_camera_clocks_between, values)]

    def events_between(
        self,
        start_us: int,
        end_us: int,
        *,
        camera: str | None = None,
        after: Cursor | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """What happened in [start, end) to this camera (default: to any and to the host), by time, page by page."""
        values: dict[str, Any] = {
            "slug_is": camera,
            "start_is": start_us,
            "end_is": end_us,
            "after_us": after[0] if after else -(1 << 62),
            "after_id": after[1] if after else 0,
            "most": -1 if limit is None else limit,
        }
        question = _events if camera is None else _events_of_camera
        with self._asking() as connection:
            rows = connection.execute(question, values)
            return [Event(*row[:5], json.loads(row.facts)) for row in rows]

    def newest_event(self) -> int:
        """The id of the event that was entered last; 0 where there is none."""
        with self._asking() as connection:
            return int(connection.execute(_newest_event).scalar() or 0)

    def events_after(self, event_id: int, limit: int) -> list[Event]:
        """What was entered after this event, in the order it was entered."""
        with self._asking() as connection:
            rows = connection.execute(_events_after, {"after_id": event_id, "most": limit})
            return [Event(*row[:5], json.loads(row.facts)) for row in rows]

    # ---- garbage

    def garbage(self, limit: int | None = None, *, volume_id: int | None = None) -> list[Garbage]:
        """Files that wait to be unlinked (None: on any volume), oldest first."""
        values = {"most": -1 if limit is None else limit, "volume_is": volume_id}
        with self._asking() as connection:
            rows = connection.execute(_garbage_rows if volume_id is None else _garbage_of_volume, values)
            return [Garbage(row.id, row.name, row.path, row.since_us) for row in rows]

    # ---- how it is asked

    def _one_segment(self, question: Any, values: dict[str, Any]) -> Segment | None:
        with self._asking() as connection:
            row = connection.execute(question, values).one_or_none()
            return None if row is None else _segment_of(row)

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        with self._engine() as engine, translated("reading it"), engine.connect() as connection:
            yield connection

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        if self._still is None:
            yield self._beside
            return
        with daemon_kept_out(self._path.parent) as still:
            # A log left behind by a crash holds rows that an immutable connection would not see.
            yield self._still if still and not _has_log(self._path) else self._beside


def open_reader(data_dir: Path) -> Reader:
    """A reader for a process other than the daemon's, whether or not a daemon runs, also for users who may only read.

    Raises SchemaTooOld or SchemaTooNew, IndexDamaged where there is no index.
    """
    reader = Reader(data_dir / INDEX_NAME, beside_daemon=False)
    reader.check_schema()
    return reader


def _has_log(index_path: Path) -> bool:
    try:
        return wal_path(index_path).stat().st_size > 0
    except FileNotFoundError:
        return False


def _segment_of(row: Row[Any]) -> Segment:
    return Segment(
        id=row.id,
        camera=row.slug,
        volume=row.volume_name,
        path=segment_path(row.folder, row.start_us, row.run, row.seq),
        epoch=row.epoch,
        row=SegmentRow(
            camera_id=row.camera_id,
            run=row.run,
            seq=row.seq,
            volume_id=row.volume_id,
            start_us=row.start_us,
            end_us=row.end_us,
            frames=row.frames,
            size_bytes=row.size_bytes,
            time_base=_time_base(row.time_base_num, row.time_base_den),
            first_tick=row.first_tick,
            duration_ticks=row.duration_ticks,
            recovered=bool(row.recovered),
            state=SegmentState(row.state),
            sha256=row.sha256,
        ),
        host_synchronised=bool(row.host_synchronised),
        correction_us=row.correction_us,
    )


def _film_of(row: Row[Any]) -> Film:
    entered = FilmRow(
        camera_id=row.camera_id,
        volume_id=row.volume_id,
        start_us=row.start_us,
        path=row.path,
        files=row.files,
        size_bytes=row.size_bytes,
        pictures=row.pictures,
        state=SegmentState(row.state),
    )
    return Film(row.id, row.slug, row.volume_name, entered)


def _camera_of(row: Row[Any]) -> Camera:
    fan_failed, turned_away = (None if said is None else bool(said) for said in (row.fan_failed, row.turned_away))
    said = (row.model, row.camera_ident, row.firmware, fan_failed, turned_away)
    return Camera(row.id, row.slug, row.configured_at_us, *said, row.film_gone_us)


@lru_cache(64)
def _time_base(numerator: int, denominator: int) -> Fraction:
    return Fraction(numerator, denominator)  # an archive has few, and making one takes longer than the rest of a row


def _nearness(near: Near) -> Iterator[ColumnElement[bool]]:
    if near.preset is not None:
        yield _view.c.preset == near.preset
    if near.tilt is not None:
        yield (_view.c.tilt_from <= near.tilt[1]) & (_view.c.tilt_to >= near.tilt[0])
    if near.zoom is not None:
        yield (_view.c.zoom_from <= near.zoom[1]) & (_view.c.zoom_to >= near.zoom[0])
    if near.pan is not None:
        start, width = near.pan
        # Of two arcs that touch one begins within the other.
        ahead = (_view.c.pan_from - start + _CIRCLE) % _CIRCLE <= width
        behind = (start - _view.c.pan_from + _CIRCLE) % _CIRCLE <= (
            _view.c.pan_to - _view.c.pan_from + _CIRCLE
        ) % _CIRCLE
        yield ahead | behind


@lru_cache(1024)
def _view_of(
    kind: str, pan_from: int, pan_to: int, tilt_from: int, tilt_to: int, zoom_from: int, zoom_to: int, preset: int
) -> View:
    box = Box(pan_from, pan_to, tilt_from, tilt_to, zoom_from, zoom_to)
    return View(LookKind(kind), box, None if preset == tables.NO_PRESET else preset)


def _span_of(row: Row[Any]) -> Span:
    return Span(SpanKind(row.kind), row.reason, row.start_us, row.end_us, row.epoch)


def _run_of(row: Row[Any]) -> Run:
    return Run(
        number=row.id,
        camera_id=row.camera_id,
        folder=row.folder,
        started_us=row.started_us,
        begin_reason=row.begin_reason,
        epoch=row.epoch,
        clock_source=row.clock_source,
        utc_anchor_us=row.utc_anchor_us,
        slope_ppb=row.slope_ppb,
        host_synchronised=bool(row.host_synchronised),
        correction_us=row.correction_us,
        ended_us=row.ended_us,
        end_reason=row.end_reason,
        boot=row.boot,
        utc_less_mono_us=row.utc_less_mono_us,
    )


def _alarm_of(row: Row[Any]) -> Alarm:
    entered = AlarmRow(
        camera_id=row.camera_id,
        rule=row.rule,
        trigger=row.trigger,
        source=row.source,
        at_us=row.at_us,
        note=row.note,
        unconnected=bool(row.unconnected),
        since_us=row.since_us,
    )
    return Alarm(row.id, row.slug, entered)


def _alarm_link_of(row: Row[Any]) -> AlarmLinkRow:
    heard = (word.split("@") for word in row.heard.split())
    return AlarmLinkRow(
        known_us=row.known_us,
        pin1=row.pin1,
        pin2=row.pin2,
        motion=bool(row.motion),
        heard=tuple((change, int(at_us)) for change, at_us in heard),
        cut_us=row.cut_us,
    )


def _clip_of(row: Row[Any]) -> Clip:
    return Clip(
        id=row.id,
        camera_id=row.camera_id,
        camera=row.slug,
        rule=row.rule,
        trigger=row.trigger,
        alarm_at_us=row.alarm_at_us,
        start_us=row.start_us,
        until_us=row.until_us,
        end_us=row.end_us,
        state=ClipState(row.state),
        close_reason=row.close_reason,
        locked=bool(row.locked),
        volume=row.volume_name,
        path=row.path,
        files=row.files,
        size_bytes=row.size_bytes,
        pre_shortfall_us=row.pre_shortfall_us,
        gap_us=row.gap_us,
        continues=row.continues,
        exported_at_us=row.exported_at_us,
        epoch=row.epoch,
        note=row.note,
        unconnected=bool(row.unconnected),
        alarm_since_us=row.since_us,
        sha256=row.sha256,
    )


# ---- statements, compiled once

_camera_table, _volume, _run, _segment = tables.camera, tables.volume, tables.run, tables.segment
_gap, _garbage = tables.gap, tables.garbage

_archive = select(tables.archive.c.uuid)
_cameras = select(_camera_table).order_by(_camera_table.c.slug)
_camera_reach = select(_camera_table.c.id, _camera_table.c.longest_segment_us, _camera_table.c.longest_gap_us).where(
    _camera_table.c.slug == bindparam("slug_is")
)
_camera_of_folder = (
    select(_run.c.camera_id).where(_run.c.folder == bindparam("folder_is")).order_by(_run.c.id.desc()).limit(1)
)
_camera_is_slug = select(_camera_table.c.id).where(_camera_table.c.slug == bindparam("slug_is")).scalar_subquery()
_volumes = select(_volume).order_by(_volume.c.name)
_holding = tables.holding
_footage_bytes = (
    select(_volume.c.name, func.sum(_holding.c.segment_bytes).label("bytes"))
    .join(_holding, _holding.c.volume_id == _volume.c.id)
    .group_by(_volume.c.id)
)
_holdings = select(
    *(_holding.c.volume_id, _holding.c.camera_id),
    *(_holding.c.segment_bytes, _holding.c.clip_bytes, _holding.c.film_bytes),
    select(func.min(_segment.c.start_us))
    .where(_segment.c.volume_id == _holding.c.volume_id, _segment.c.camera_id == _holding.c.camera_id)
    .scalar_subquery(),
).order_by(_holding.c.volume_id, _holding.c.camera_id)

_segments = (
    select(
        _segment,
        *(_run.c.folder, _run.c.epoch, _run.c.host_synchronised, _run.c.correction_us),
        _camera_table.c.slug,
        _volume.c.name.label("volume_name"),
    )
    .join(_run, _run.c.id == _segment.c.run)
    .join(_camera_table, _camera_table.c.id == _segment.c.camera_id)
    .join(_volume, _volume.c.id == _segment.c.volume_id)
)
_touches = (
    (_segment.c.camera_id == bindparam("camera_is"))
    # No segment of the camera is longer than the reach, so the index on its starts is enough.
    & (_segment.c.start_us >= bindparam("from_us"))
    & (_segment.c.start_us < bindparam("end_is"))
    & (_segment.c.end_us > bindparam("start_is"))
)
_segments_between = (
    _segments.where(
        _touches, tuple_(_segment.c.start_us, _segment.c.id) > tuple_(bindparam("after_us"), bindparam("after_id"))
    )
    .order_by(_segment.c.start_us, _segment.c.id)
    .limit(bindparam("most"))
)
_promised_between = (
    select(_segment.c.start_us, _segment.c.end_us, _run.c.epoch)
    .join(_run, _run.c.id == _segment.c.run)
    .where(_touches)
    .order_by(_segment.c.start_us)
)
_recorded_between = _promised_between.where(_segment.c.state != SegmentState.MISSING.value)
_of_camera = _segments.where(_segment.c.camera_id == _camera_is_slug).limit(1)
_first_segment = _of_camera.order_by(_segment.c.start_us, _segment.c.id)
_last_segment = _of_camera.order_by(_segment.c.start_us.desc(), _segment.c.id.desc())
_segment_by_id = _segments.where(_segment.c.id == bindparam("id_is"))
_segment_by_seq = _segments.where(_segment.c.run == bindparam("run_is"), _segment.c.seq == bindparam("seq_is"))
_without_hash = (
    _segments.where(
        _segment.c.id > bindparam("after_id"),
        _segment.c.sha256.is_(None),
        _segment.c.state == SegmentState.OK.value,
    )
    .order_by(_segment.c.id)
    .limit(bindparam("most"))
)
_last_of_run = _segments.where(_segment.c.run == bindparam("run_is")).order_by(_segment.c.seq.desc()).limit(1)
_last_recorded = (
    select(_segment.c.end_us)
    .join(_run, _run.c.id == _segment.c.run)
    .where(_segment.c.camera_id == _camera_is_slug, _run.c.epoch == bindparam("epoch_is"))
    .order_by(_segment.c.start_us.desc())
    .limit(1)
)
_known_files = (
    select(
        _segment.c.id,
        _segment.c.run,
        _segment.c.seq,
        _segment.c.start_us,
        _segment.c.size_bytes,
        _segment.c.volume_id,
        _segment.c.state,
        _run.c.folder,
    )
    .join(_run, _run.c.id == _segment.c.run)
    .where(
        _segment.c.camera_id == bindparam("camera_is"),
        _segment.c.start_us >= bindparam("start_is"),
        _segment.c.start_us < bindparam("end_is"),
    )
)

_days_of = text("SELECT DISTINCT start_us / 86400000000 FROM segment WHERE camera_id = :camera_is")

_view, _look = tables.view, tables.look
_what_view_is = (
    *(_view.c.kind, _view.c.pan_from, _view.c.pan_to, _view.c.tilt_from, _view.c.tilt_to),
    *(_view.c.zoom_from, _view.c.zoom_to, _view.c.preset),
)
_views = select(_view.c.id, _camera_table.c.slug, *_what_view_is).join(
    _camera_table, _camera_table.c.id == _view.c.camera_id
)
_last_of_view = select(func.max(_look.c.start_us)).where(_look.c.view_id == _view.c.id).scalar_subquery()
_last_rest_at = (
    select(_view.c.pan_from, _view.c.pan_to, _view.c.tilt_from, _view.c.tilt_to, _view.c.zoom_from, _view.c.zoom_to)
    .join(_camera_table, _camera_table.c.id == _view.c.camera_id)
    .where(_camera_table.c.slug == bindparam("slug"), _view.c.preset == bindparam("preset_is"))
    .order_by(_last_of_view.desc())
    .limit(1)
)
_longest_segment = select(func.max(_camera_table.c.longest_segment_us))
# Ids come as one JSON array: a statement with thousands of parameters would be another one each time. CROSS JOIN
# keeps SQLite to the order written: for each id one walk along the index that holds all that is asked for.
_LOOKS_OF_VIEWS: Final = (
    "SELECT look.start_us, look.duration_us, look.view_id, look.segment_id FROM json_each(?) AS wanted"
    " CROSS JOIN look ON look.view_id = wanted.value AND look.start_us >= ? AND look.start_us < ?"
    " ORDER BY look.start_us"
)
_next_look = text(
    "SELECT min((SELECT min(look.start_us) FROM look WHERE look.view_id = wanted.value AND look.start_us >= :start_is))"
    " FROM json_each(:ids) AS wanted"
)
_wanted = func.json_each(bindparam("ids")).table_valued("key", "value", name="wanted")
_looks_of_segments = (
    select(_look.c.start_us, _look.c.duration_us, *_what_view_is)
    .select_from(_wanted)
    .join(_look, _look.c.segment_id == _wanted.c.value)
    .join(_view, _view.c.id == _look.c.view_id)
    .order_by(_wanted.c.key, _look.c.start_us)
)

_spans_between = (
    select(_gap)
    .where(
        _gap.c.camera_id == bindparam("camera_is"),
        _gap.c.start_us < bindparam("end_is"),
        (_gap.c.start_us >= bindparam("from_us")) & (_gap.c.end_us > bindparam("start_is")),
    )
    .union_all(
        # At most one: the partial index finds it, however long ago it began.
        select(_gap).where(
            _gap.c.camera_id == bindparam("camera_is"), _gap.c.end_us.is_(None), _gap.c.start_us < bindparam("end_is")
        )
    )
    .order_by("start_us")
)
_newest_spans = (
    select(_gap).where(_gap.c.camera_id == _camera_is_slug).order_by(_gap.c.id.desc()).limit(bindparam("most"))
)

_last_moments = (
    text("SELECT end_us FROM segment WHERE camera_id = :camera_is ORDER BY start_us DESC LIMIT 1"),
    text("SELECT coalesce(end_us, start_us) FROM gap WHERE camera_id = :camera_is ORDER BY start_us DESC LIMIT 1"),
)
_kept_since = text(
    "SELECT max((SELECT start_us FROM segment WHERE segment.volume_id = volume.id AND camera_id = :camera_is"
    " AND NOT EXISTS (SELECT 1 FROM clip_member JOIN clip ON clip.id = clip_member.clip_id"
    " WHERE clip_member.segment_id = segment.id AND (clip.exported_at_us IS NULL OR clip.locked))"
    " ORDER BY start_us LIMIT 1)) FROM volume"
)
_overlapping = text(
    "SELECT start_us FROM (SELECT start_us, max(coalesce(end_us, 1 << 62)) OVER (PARTITION BY epoch ORDER BY start_us"
    " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_us FROM gap WHERE camera_id = :camera_is)"
    " WHERE before_us > start_us LIMIT 5"
)

_run_by_id = select(_run).where(_run.c.id == bindparam("id_is"))
_runs_between = (
    select(_run)
    .where(
        _run.c.camera_id == _camera_is_slug,
        _run.c.started_us < bindparam("end_is"),
        or_(_run.c.ended_us.is_(None), _run.c.ended_us > bindparam("start_is")),
    )
    .order_by(_run.c.started_us)
)
_newest_runs = (
    select(_run).where(_run.c.camera_id == bindparam("camera_is")).order_by(_run.c.id.desc()).limit(bindparam("most"))
)
_corrected_runs = (
    select(_run)
    .where(
        _run.c.camera_id == _camera_is_slug,
        _run.c.correction_us != literal_column("0"),  # as written in the partial index that finds them
        _run.c.started_us + func.min(_run.c.correction_us, 0) < bindparam("end_is"),
        or_(_run.c.ended_us.is_(None), _run.c.ended_us + func.max(_run.c.correction_us, 0) > bindparam("start_is")),
    )
    .order_by(_run.c.id)
)
_folders_of = select(_run.c.folder).where(_run.c.camera_id == bindparam("camera_is")).distinct()
_open_runs = select(_run).where(_run.c.ended_us.is_(None)).order_by(_run.c.id)
_last_epochs = (select(func.max(_run.c.epoch)), select(func.max(_gap.c.epoch)))

_clock, _event = tables.camera_clock, tables.event
_any_clock = tables.camera_clock.alias("any_clock")
_latest = select(func.max(_any_clock.c.at_us)).where(_any_clock.c.camera_id == _camera_table.c.id).scalar_subquery()
_newest_camera_clocks = select(_camera_table.c.slug, _clock.c.at_us, _clock.c.offset_us, _clock.c.drift_ppb).where(
    _clock.c.camera_id == _camera_table.c.id, _clock.c.at_us == _latest
)
_camera_clocks_between = (
    select(_clock.c.at_us, _clock.c.offset_us, _clock.c.drift_ppb)
    .where(
        _clock.c.camera_id == _camera_is_slug,
        _clock.c.at_us >= bindparam("start_is"),
        _clock.c.at_us < bindparam("end_is"),
    )
    .order_by(_clock.c.at_us)
)
_events = (
    select(_event.c.id, _event.c.at_us, _camera_table.c.slug, _event.c.kind, _event.c.text, _event.c.facts)
    .select_from(_event.join(_camera_table, _camera_table.c.id == _event.c.camera_id, isouter=True))
    .where(
        _event.c.at_us >= bindparam("start_is"),
        _event.c.at_us < bindparam("end_is"),
        tuple_(_event.c.at_us, _event.c.id) > tuple_(bindparam("after_us"), bindparam("after_id")),
    )
    .order_by(_event.c.at_us, _event.c.id)
    .limit(bindparam("most"))
)
_newest_event = select(func.max(_event.c.id))
_events_after = (
    select(_event.c.id, _event.c.at_us, _camera_table.c.slug, _event.c.kind, _event.c.text, _event.c.facts)
    .select_from(_event.join(_camera_table, _camera_table.c.id == _event.c.camera_id, isouter=True))
    .where(_event.c.id > bindparam("after_id"))
    .order_by(_event.c.id)
    .limit(bindparam("most"))
)
_events_of_camera = _events.where(_event.c.camera_id == _camera_is_slug)

_garbage_rows = (
    select(_garbage.c.id, _volume.c.name, _garbage.c.path, _garbage.c.since_us)
    .join(_volume, _volume.c.id == _garbage.c.volume_id)
    .order_by(_garbage.c.since_us, _garbage.c.id)
    .limit(bindparam("most"))
)
_garbage_of_volume = _garbage_rows.where(_garbage.c.volume_id == bindparam("volume_is"))

_alarm, _clip, _member = tables.alarm, tables.clip, tables.clip_member
_alarms_between = (
    select(_alarm, _camera_table.c.slug)
    .join(_camera_table, _camera_table.c.id == _alarm.c.camera_id)
    .where(
        _alarm.c.at_us >= bindparam("start_is"),
        _alarm.c.at_us < bindparam("end_is"),
        _alarm.c.id > bindparam("after_id"),
    )
    .order_by(_alarm.c.id)
    .limit(bindparam("most"))
)
_alarm_link = select(tables.alarm_link).where(tables.alarm_link.c.camera_id == bindparam("camera_is"))
_own = _alarm.alias("own")
_alarm_of_clip = (
    select(func.min(_own.c.id))
    .where(_own.c.camera_id == _clip.c.camera_id, _own.c.at_us == _clip.c.alarm_at_us, _own.c.rule == _clip.c.rule)
    .correlate(_clip)
    .scalar_subquery()
)
_clips = (
    select(
        _clip,
        _camera_table.c.slug,
        _volume.c.name.label("volume_name"),
        _alarm.c.note,
        _alarm.c.unconnected,
        _alarm.c.since_us,
    )
    .join(_camera_table, _camera_table.c.id == _clip.c.camera_id)
    .outerjoin(_volume, _volume.c.id == _clip.c.volume_id)
    .outerjoin(_alarm, _alarm.c.id == _alarm_of_clip)
)
_film = tables.film
_films = (
    select(_film, _camera_table.c.slug, _volume.c.name.label("volume_name"))
    .join(_camera_table, _camera_table.c.id == _film.c.camera_id)
    .join(_volume, _volume.c.id == _film.c.volume_id)
    .order_by(_camera_table.c.slug, _film.c.start_us)
)
_film_files = select(_film.c.path, _film.c.files).where(
    _film.c.volume_id == bindparam("volume_is"), _film.c.path.like(bindparam("path_like"))
)
_film_by_id = _films.where(_film.c.id == bindparam("id_is"))
_oldest_films = (
    select(_film.c.id, _film.c.start_us, _film.c.size_bytes)
    .where(_film.c.volume_id == bindparam("volume_is"), _film.c.camera_id == bindparam("camera_is"))
    .order_by(_film.c.start_us)
    .limit(bindparam("most"))
)

_clip_begin = func.coalesce(_clip.c.start_us, _clip.c.alarm_at_us)
_clips_between = (
    _clips.where(
        _clip.c.id > bindparam("after_id"),
        _clip_begin < bindparam("end_is"),
        or_(
            _clip.c.end_us.is_(None),
            _clip.c.end_us > bindparam("start_is"),
            _clip_begin >= bindparam("start_is"),
        ),
    )
    .order_by(_clip.c.id)
    .limit(bindparam("most"))
)
_clip_by_id = _clips.where(_clip.c.id == bindparam("id_is"))
_open_clips = _clips.where(_clip.c.end_us.is_(None)).order_by(_clip.c.id)
_next_clips = _clips.where(_clip.c.id > bindparam("after_id")).order_by(_clip.c.id).limit(bindparam("most"))
_clips_to_export = _next_clips.where(_clip.c.exported_at_us.is_(None), _clip.c.end_us.is_not(None))
_clips_without_hash = _next_clips.where(_clip.c.sha256.is_(None), _clip.c.path.is_not(None))
_locked_clips = _next_clips.where(_clip.c.locked == 1)
_members_of = (
    _segments.add_columns(
        _member.c.first_tick.label("member_first_tick"), _member.c.last_tick.label("member_last_tick")
    )
    .join(_member, _member.c.segment_id == _segment.c.id)
    .where(_member.c.clip_id == bindparam("clip_is"))
    .order_by(_segment.c.start_us, _segment.c.id)
)

_holds = (_member.c.segment_id == _segment.c.id) & or_(_clip.c.exported_at_us.is_(None), _clip.c.locked == 1)
_held_by = select(_member.c.clip_id).join(_clip, _clip.c.id == _member.c.clip_id).where(_holds)
_is_held = select(_held_by.exists()).where(_segment.c.id == bindparam("segment_is"))
_is_there = (_segment.c.volume_id == bindparam("volume_is"), _segment.c.camera_id == bindparam("camera_is"))
_unheld_segments = (
    select(_segment.c.id, _segment.c.start_us, _segment.c.end_us, _segment.c.size_bytes)
    .where(*_is_there, ~_held_by.exists())
    .order_by(_segment.c.start_us)
    .limit(bindparam("most"))
)
_newest_bytes = select(func.sum(_segment.c.size_bytes)).where(*_is_there, _segment.c.start_us >= bindparam("since_is"))
_unlocked_clips = (
    # As written in the partial index that finds them.
    select(
        *(_clip.c.id, _clip_begin, _clip.c.end_us),
        case((_clip.c.linked == 1, 0), else_=func.coalesce(_clip.c.size_bytes, 0)),
    )
    .where(_clip.c.locked == literal_column("0"), _clip.c.camera_id == bindparam("camera_is"))
    .where(_clip.c.end_us.is_not(None))
    .order_by(_clip.c.end_us)
    .limit(bindparam("most"))
)
_clips_on_volume = _unlocked_clips.where(_clip.c.volume_id == bindparam("volume_is"))
_clips_without_file = _unlocked_clips.where(
    _clip.c.volume_id.is_(None), or_(_clip.c.exported_at_us.is_not(None), bindparam("unexported") == 1)
)

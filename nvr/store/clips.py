"""What becomes of alarms and clips inside the index, and which segments a clip holds. For the one writer's thread.

Every function runs in a transaction of `Index`, perhaps twice, and given the same again changes nothing.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, assert_never

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from nvr.store import tables
from nvr.store.names import numbered
from nvr.store.rows import (
    AlarmRow,
    BeginClip,
    ClipState,
    ClipStep,
    CloseClip,
    Condemned,
    ExtendClip,
    Garbage,
    OpenClip,
)


def last_clip(connection: Connection) -> int:
    """The highest number any clip ever had, also one that is deleted by now."""
    return int(connection.execute(_last_clip).scalar() or 0)


def add_alarm(connection: Connection, row: AlarmRow) -> int:
    """Puts an alarm; the id of it, or of the one that is there."""
    values = {
        "camera_id": row.camera_id,
        "rule": row.rule,
        "trigger": row.trigger,
        "source": row.source,
        "at_us": row.at_us,
        "note": row.note,
        "unconnected": int(row.unconnected),
        "since_us": row.since_us,
    }
    connection.execute(_add_alarm, values)
    key = {"camera_is": row.camera_id, "at_is": row.at_us, "rule_is": row.rule, "source_is": row.source}
    return int(connection.execute(_alarm_id, key).scalar_one())


def put_steps(connection: Connection, camera_id: int, steps: Sequence[ClipStep]) -> None:
    """Applies what a camera's desk said, in order.

    A step for a clip that never came (its first step was lost to a full disk) changes nothing.
    """
    for step in steps:
        match step:
            case OpenClip():
                _open(connection, camera_id, step)
            case BeginClip():
                _begin(connection, camera_id, step)
            case ExtendClip():
                connection.execute(_extend, {"id_is": step.clip, "until_us": step.until_us})
            case CloseClip():
                _close(connection, step)
            case _:
                assert_never(step)


def any_may_hold(connection: Connection) -> bool:
    """Whether any clip still gathers its segments."""
    return bool(connection.execute(_any_unexported).scalar())


def enter(connection: Connection, values: dict[str, Any]) -> bool:
    """Puts a clip that its file tells of; False where its id is taken. What is locked beside its file is locked."""
    if connection.execute(_is_known, {"id_is": values["id"]}).scalar():
        if values["locked"]:
            connection.execute(_lock_file, {"path_is": values["path"], "volume_is": values["volume_id"]})
        return False
    connection.execute(_enter, {**values, "until_us": None, "state": ClipState.CLOSED.value})
    return True


def hold_segment(connection: Connection, segment_id: int) -> None:
    """A segment has got its row: every clip whose window it touches has a part of it, and holds it."""
    segment = connection.execute(_segment_by_id, {"id_is": segment_id}).one()
    window = {
        "camera_is": segment.camera_id,
        "epoch_is": segment.epoch,
        "start_is": segment.start_us,
        "end_is": segment.end_us,
    }
    for clip in connection.execute(_clips_touching, window).all():
        _put_member(connection, clip, segment)


def is_held(connection: Connection, segment_id: int) -> bool:
    """Whether a clip that is not exported, or is locked, has a part of it."""
    return bool(connection.execute(_held, {"segment_is": segment_id}).scalar())


def drop_members(connection: Connection, segment_id: int) -> None:
    """A segment goes: no clip has a part of it any more, and a clip that was a second name of it is a file alone."""
    connection.execute(_stand_alone, {"segment_is": segment_id})
    connection.execute(_drop_members_of_segment, {"segment_is": segment_id})


def add_garbage(connection: Connection, volume_id: int, path: str, since_us: int) -> int:
    """A file is condemned; the id of its garbage row, also of one that was there."""
    connection.execute(_add_garbage, {"volume_id": volume_id, "path": path, "since_us": since_us})
    return int(connection.execute(_garbage_id, {"volume_is": volume_id, "path_is": path}).scalar_one())


def condemn_files(connection: Connection, found: Any, since_us: int) -> list[Garbage]:
    """Makes garbage of all files of one clip or film, of which volume (id and name), path and how many are told."""
    condemned = []
    for number in range(1, found.files + 1):
        path = numbered(found.path, number)
        garbage_id = add_garbage(connection, found.volume_id, path, since_us)
        condemned.append(Garbage(garbage_id, found.name, path, since_us))
    return condemned


def condemn(connection: Connection, clip_ids: Sequence[int], since_us: int, *, unexported: bool) -> Condemned:
    """Takes clips away, and what is known of them; their files become garbage."""
    condemned, kept = [], []
    for clip_id in clip_ids:
        clip = connection.execute(_clip_file, {"id_is": clip_id}).one_or_none()
        if clip is None:
            continue
        if clip.locked or clip.end_us is None or (clip.exported_at_us is None and not unexported):
            kept.append(clip_id)
            continue
        if clip.path is not None:
            condemned += condemn_files(connection, clip, since_us)
        connection.execute(_drop_members_of_clip, {"clip_is": clip_id})
        connection.execute(_drop_clip, {"id_is": clip_id})
    return Condemned(condemned, kept)


def set_lock(connection: Connection, clip_id: int, *, locked: bool) -> bool:
    """Locks or unlocks a clip; False where there is none."""
    return connection.execute(_lock, {"id_is": clip_id, "locked": int(locked)}).rowcount > 0


def note_export(connection: Connection, clip_id: int, values: dict[str, Any]) -> None:
    """Promises a clip's file (or, with path None, that there is none to come); its segments may go."""
    connection.execute(_note_export, {"id_is": clip_id, **values})


def tick_at(us: int, start_us: int, end_us: int, duration_ticks: int) -> int:
    """The tick of a file's own time, from 0, that belongs to a moment of a segment's time."""
    return round(Fraction((us - start_us) * duration_ticks, max(1, end_us - start_us)))


def _open(connection: Connection, camera_id: int, step: OpenClip) -> None:
    values = {
        "id": step.clip,
        "camera_id": camera_id,
        "rule": step.rule,
        "trigger": step.trigger,
        "alarm_at_us": step.alarm_at_us,
        "start_us": step.start_us,
        "until_us": step.until_us,
        "pre_shortfall_us": step.pre_shortfall_us,
        "continues": step.continues,
        "epoch": _epoch(connection, camera_id),
    }
    added = connection.execute(_open_clip, values).rowcount
    if added and step.start_us is not None:
        _hold_known(connection, step.clip)


def _begin(connection: Connection, camera_id: int, step: BeginClip) -> None:
    # Since it was opened the host's clock may have stepped back: it is of the time in which it has pictures.
    values = {
        "id_is": step.clip,
        "start_us": step.start_us,
        "pre_shortfall_us": step.pre_shortfall_us,
        "epoch": _epoch(connection, camera_id),
    }
    if connection.execute(_begin_clip, values).rowcount:
        _hold_known(connection, step.clip)


def _close(connection: Connection, step: CloseClip) -> None:
    closed = connection.execute(_close_clip, {"id_is": step.clip, "end_us": step.end_us, "close_reason": step.reason})
    if closed.rowcount:
        connection.execute(_drop_members_of_clip, {"clip_is": step.clip})
        _hold_known(connection, step.clip)


def _epoch(connection: Connection, camera_id: int) -> int:
    """The epoch of what the camera keeps now: that of its newest run."""
    return int(connection.execute(_newest_epoch, {"camera_is": camera_id}).scalar() or 0)


def _hold_known(connection: Connection, clip_id: int) -> None:
    """The clip's parts of segments that have their row already."""
    clip = connection.execute(_clip_window, {"id_is": clip_id}).one()
    if clip.start_us is None:
        return
    window = {
        "camera_is": clip.camera_id,
        "epoch_is": clip.epoch,
        "from_us": clip.start_us - clip.longest_segment_us,
        "start_is": clip.start_us,
        "end_is": _FOREVER if clip.end_us is None else clip.end_us,
    }
    for segment in connection.execute(_segments_touching, window).all():
        _put_member(connection, clip, segment)


def _put_member(connection: Connection, clip: Any, segment: Any) -> None:
    def tick(us: int) -> int:
        return tick_at(us, segment.start_us, segment.end_us, segment.duration_ticks)

    last_tick = segment.duration_ticks - 1
    values = {
        "clip_id": clip.id,
        "segment_id": segment.id,
        "first_tick": max(0, tick(clip.start_us)),
        "last_tick": last_tick if clip.end_us is None else max(0, min(last_tick, tick(clip.end_us) - 1)),
    }
    connection.execute(_put_member_row, values)


# ---- statements, compiled once

_FOREVER: Final = 1 << 62

_run, _segment, _camera = tables.run, tables.segment, tables.camera
_alarm, _clip, _member = tables.alarm, tables.clip, tables.clip_member
_volume, _garbage = tables.volume, tables.garbage
_OF_EXPORT: Final = ("volume_id", "path", "files", "size_bytes", "gap_us", "linked", "exported_at_us")

_last_clip = text("SELECT seq FROM sqlite_sequence WHERE name = 'clip'")

_add_alarm = insert_or(_alarm).values({c.name: bindparam(c.name) for c in _alarm.columns if c.name != "id"})
_add_alarm = _add_alarm.on_conflict_do_nothing()
_alarm_id = select(_alarm.c.id).where(
    _alarm.c.camera_id == bindparam("camera_is"),
    _alarm.c.at_us == bindparam("at_is"),
    _alarm.c.rule == bindparam("rule_is"),
    _alarm.c.source == bindparam("source_is"),
)

_newest_epoch = (
    select(_run.c.epoch).where(_run.c.camera_id == bindparam("camera_is")).order_by(_run.c.id.desc()).limit(1)
)

_of_open = (
    *("id", "camera_id", "rule", "trigger", "alarm_at_us", "start_us", "until_us"),
    *("pre_shortfall_us", "continues", "epoch"),
)
_open_clip = (
    insert_or(_clip)
    .values({name: bindparam(name) for name in _of_open} | {"state": ClipState.OPEN.value, "locked": 0, "files": 1})
    .on_conflict_do_nothing()
)
_is_clip = _clip.c.id == bindparam("id_is")
_any_unexported = select(exists().where(_clip.c.exported_at_us.is_(None)))
_is_known = select(exists().where(_is_clip))
_of_entry = (
    *("id", "camera_id", "rule", "trigger", "alarm_at_us", "start_us", "until_us", "end_us", "state", "close_reason"),
    *("locked", "volume_id", "path", "files", "size_bytes", "pre_shortfall_us", "gap_us", "continues"),
    *("exported_at_us", "epoch"),
)
_enter = insert_or(_clip).values({name: bindparam(name) for name in _of_entry})
_lock_file = (
    update(_clip)
    .where(_clip.c.path == bindparam("path_is"), _clip.c.volume_id == bindparam("volume_is"))
    .values(locked=1)
)
_is_open = _is_clip & _clip.c.end_us.is_(None)
_begin_clip = (
    update(_clip)
    .where(_is_open, _clip.c.start_us.is_(None))
    .values({name: bindparam(name) for name in ("start_us", "pre_shortfall_us", "epoch")})
)
_extend = update(_clip).where(_is_open).values(until_us=bindparam("until_us"))
_close_clip = (
    update(_clip)
    .where(_is_open)
    .values(
        # A clip is never shorter than nothing, whatever its clock did.
        end_us=func.max(bindparam("end_us"), func.coalesce(_clip.c.start_us, bindparam("end_us"))),
        state=ClipState.CLOSED.value,
        close_reason=bindparam("close_reason"),
    )
)
_lock = update(_clip).where(_is_clip).values(locked=bindparam("locked"))
_note_export = update(_clip).where(_is_clip).values({name: bindparam(name) for name in _OF_EXPORT})
_clip_file = (
    select(
        *(_clip.c.volume_id, _clip.c.path, _clip.c.files, _clip.c.locked, _clip.c.end_us, _clip.c.exported_at_us),
        _volume.c.name,
    )
    .outerjoin(_volume, _volume.c.id == _clip.c.volume_id)
    .where(_is_clip)
)
_drop_clip = delete(_clip).where(_is_clip)
_stand_alone = (
    update(_clip)
    .where(
        _clip.c.id.in_(select(_member.c.clip_id).where(_member.c.segment_id == bindparam("segment_is"))),
        _clip.c.linked == 1,
    )
    .values(linked=0)
)

_add_garbage = insert_or(_garbage).values({name: bindparam(name) for name in ("volume_id", "path", "since_us")})
_add_garbage = _add_garbage.on_conflict_do_nothing()
_garbage_id = select(_garbage.c.id).where(
    _garbage.c.volume_id == bindparam("volume_is"), _garbage.c.path == bindparam("path_is")
)

_of_window = (_clip.c.id, _clip.c.start_us, _clip.c.end_us)
_clip_window = (
    select(*_of_window, _clip.c.camera_id, _clip.c.epoch, _camera.c.longest_segment_us)
    .join(_camera, _camera.c.id == _clip.c.camera_id)
    .where(_is_clip)
)
_clips_touching = select(*_of_window).where(
    _clip.c.camera_id == bindparam("camera_is"),
    _clip.c.epoch == bindparam("epoch_is"),
    _clip.c.exported_at_us.is_(None),
    _clip.c.start_us < bindparam("end_is"),
    or_(_clip.c.end_us.is_(None), (_clip.c.end_us > bindparam("start_is")) & (_clip.c.end_us > _clip.c.start_us)),
)

_of_segment = (
    *(_segment.c.id, _segment.c.camera_id, _segment.c.start_us, _segment.c.end_us, _segment.c.duration_ticks),
    _run.c.epoch,
)
_segment_by_id = select(*_of_segment).join(_run, _run.c.id == _segment.c.run).where(_segment.c.id == bindparam("id_is"))
_segments_touching = (
    select(*_of_segment)
    .join(_run, _run.c.id == _segment.c.run)
    .where(
        _segment.c.camera_id == bindparam("camera_is"),
        _segment.c.start_us >= bindparam("from_us"),
        _segment.c.start_us < bindparam("end_is"),
        _segment.c.end_us > bindparam("start_is"),
        _run.c.epoch == bindparam("epoch_is"),
    )
)

_new_member = insert(_member).prefix_with("OR REPLACE")
_put_member_row = _new_member.values({column.name: bindparam(column.name) for column in _member.columns})
_drop_members_of_clip = delete(_member).where(_member.c.clip_id == bindparam("clip_is"))
_drop_members_of_segment = delete(_member).where(_member.c.segment_id == bindparam("segment_is"))
_held = select(
    exists().where(
        _member.c.segment_id == bindparam("segment_is"),
        _clip.c.id == _member.c.clip_id,
        or_(_clip.c.exported_at_us.is_(None), _clip.c.locked == 1),
    )
)

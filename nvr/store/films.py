"""What becomes of films of whole days inside the index. For the one writer's thread.

Every function runs in a transaction of `Index`, perhaps twice, and given the same again changes nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from nvr.store import tables
from nvr.store.clips import condemn_files
from nvr.store.rows import Condemned, FilmRow, Garbage


def add(connection: Connection, row: FilmRow) -> bool:
    """Promises a film's files; False, and nothing done, where that day of the camera has another film."""
    connection.execute(_add, asdict(row))
    known = connection.execute(_of_day, {"camera_is": row.camera_id, "start_is": row.start_us}).one()
    return bool((known.volume_id, known.path) == (row.volume_id, row.path))


def condemn(connection: Connection, film_ids: Sequence[int], since_us: int) -> Condemned:
    """Takes films' rows away; their files become garbage. Nothing holds a film.

    Nor is it made again: the footage it was made of may be there yet, where clips hold it or it is on another volume.
    """
    condemned: list[Garbage] = []
    for film_id in film_ids:
        film = connection.execute(_files, {"id_is": film_id}).one_or_none()
        if film is not None:
            condemned += condemn_files(connection, film, since_us)
            connection.execute(_drop, {"id_is": film_id})
            connection.execute(_note_gone, {"camera_is": film.camera_id, "gone_us": film.start_us})
    return Condemned(condemned, [])


# ---- statements, compiled once

_camera, _film, _volume = tables.camera, tables.film, tables.volume
_is_film = _film.c.id == bindparam("id_is")

_add = insert_or(_film).values({c.name: bindparam(c.name) for c in _film.columns if c.name != "id"})
_add = _add.on_conflict_do_nothing()
_of_day = select(_film.c.volume_id, _film.c.path).where(
    _film.c.camera_id == bindparam("camera_is"), _film.c.start_us == bindparam("start_is")
)
_files = (
    select(_film.c.camera_id, _film.c.start_us, _film.c.volume_id, _film.c.path, _film.c.files, _volume.c.name)
    .join(_volume, _volume.c.id == _film.c.volume_id)
    .where(_is_film)
)
_drop = delete(_film).where(_is_film)
_note_gone = (
    update(_camera)
    .where(_camera.c.id == bindparam("camera_is"))
    .values(film_gone_us=func.max(func.coalesce(_camera.c.film_gone_us, 0), bindparam("gone_us")))
)

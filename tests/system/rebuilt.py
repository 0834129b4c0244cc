"""An index made from the files alone, beside the one that the daemon kept: both say all that files can tell."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from nvr.store.schema import INDEX_NAME
from tests.system.house import House

_TOLD: Final = {
    "segments": (
        "SELECT camera.slug, volume.name, run, seq, start_us, end_us, frames, size_bytes, time_base_num, time_base_den,"
        " first_tick, duration_ticks, recovered, state FROM segment JOIN camera ON camera.id = camera_id"
        " JOIN volume ON volume.id = volume_id"
    ),
    "runs": (
        "SELECT run.id, camera.slug, folder, epoch, clock_source, host_synchronised FROM run"
        " JOIN camera ON camera.id = camera_id WHERE run.id IN (SELECT run FROM segment)"
    ),
    "looks": (
        "SELECT segment.run, segment.seq, look.start_us, duration_us, kind, pan_from, pan_to, tilt_from, tilt_to,"
        " zoom_from, zoom_to, preset FROM look JOIN segment ON segment.id = segment_id JOIN view ON view.id = view_id"
    ),
    "clips": (
        "SELECT clip.id, camera.slug, rule, trigger, alarm_at_us, start_us, end_us, locked, path, files, size_bytes,"
        " gap_us, epoch FROM clip JOIN camera ON camera.id = camera_id WHERE path IS NOT NULL"
    ),
    "films": (
        "SELECT camera.slug, volume.name, start_us, path, files, size_bytes, pictures, state FROM film"
        " JOIN camera ON camera.id = camera_id JOIN volume ON volume.id = volume_id"
    ),
}


def _told(data_dir: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(f"file:{data_dir / INDEX_NAME}?mode=ro&immutable=1", uri=True)) as rows:
        return {what: sorted(rows.execute(question)) for what, question in _TOLD.items()}


def check_rebuilt(house: House, folder: Path) -> int:
    """Makes an index from the files of a house whose daemon is stopped; how many segments both know."""
    other = House(folder, house.cameras, house.volumes)
    other.data_dir.mkdir(exist_ok=True)
    code, told = other.command("db", "rebuild", "--from-files", "--json")
    assert code == 0, told
    assert json.loads(told)["copy"] is None
    kept, made = _told(house.data_dir), _told(other.data_dir)
    for what in _TOLD:
        assert made[what] == kept[what], what
    for camera in house.cameras:
        reasons = {span.reason for span in other.reader().spans_between(camera, 0, 1 << 62)}
        assert reasons <= {"unknown"}
    return len(made["segments"])

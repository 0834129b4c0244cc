"""`nvr status`: is every camera recording, since when, how far back, and how full are the disks."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from nvr import __version__, config
from nvr.cli.archive import FIRST_US, LAST_US, segments
from nvr.cli.daemon import ask
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_table, size_text
from nvr.cli.times import iso_utc, local_text, read_iso_utc
from nvr.store.errors import IndexDamaged, SchemaTooNew, SchemaTooOld
from nvr.store.reader import Reader, open_reader
from nvr.store.rows import Camera, CameraClockRow
from nvr.supervisor import host_clock
from nvr.units import US

_FINE = frozenset({"recording", "buffering", "off"})
_FAR_S = 2.0  # what it writes into its own pictures is wrong then to anyone's eye


def status(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Is every camera recording, and how full are the disks.

    Also since when, how far back the footage goes, and why where all is not well.
    Exit code 1 where a camera that should be recorded is not, a volume takes no footage, or no daemon runs.
    """
    settings = config.load(config.find(config_file))
    told = ask(settings.data_dir, "/api/v1/status")
    running = told is not None
    if told is None:
        note(f"no daemon runs on {settings.data_dir}; this is what the index knows (start it with: nvr run)")
        told = _from_the_index(settings)
    if as_json:
        print_json(told)
    else:
        _tell(told)
    if not (running and _all_well(told)):
        raise typer.Exit(1)


def _all_well(told: dict[str, Any]) -> bool:
    cameras = all(camera["state"] in _FINE for camera in told["cameras"])
    return cameras and not any(volume.get("reason") for volume in told["volumes"])


def _from_the_index(settings: config.Config) -> dict[str, Any]:
    """The same answer as the daemon's, as far as configuration, index and disks give it."""
    reader = _readable(settings.data_dir)
    known = {camera.slug: camera for camera in reader.cameras()} if reader else {}
    clocks = reader.newest_camera_clocks() if reader else {}
    names = [*settings.cameras, *sorted(known.keys() - settings.cameras.keys())]
    footage = _footage(reader, known) if reader else {}
    return {
        "version": __version__,
        "cameras": [
            _still_camera(name, settings, reader if name in known else None)
            | _last_said(known.get(name), clocks.get(name))
            | _last_view(settings, known.get(name), name)
            for name in names
        ],
        "volumes": [_still_volume(volume, footage.get(volume.name)) for volume in settings.volumes],
        "host_clock": host_clock.standing(host_clock.read()),
    }


def _readable(data_dir: Path) -> Reader | None:
    try:
        return open_reader(data_dir)
    except (IndexDamaged, SchemaTooNew, SchemaTooOld, OSError) as error:
        note(f"the index cannot be read: {error}")
        return None


@dataclass(slots=True)
class _Footage:
    size_bytes: int
    oldest_us: int


def _footage(reader: Reader, cameras: Iterable[str]) -> dict[str, _Footage]:
    """What lies on each volume, by adding up every segment: some seconds for a year of many cameras."""
    found: dict[str, _Footage] = {}
    for camera in cameras:
        for segment in segments(reader, camera, FIRST_US, LAST_US):
            volume = found.setdefault(segment.volume, _Footage(0, segment.row.start_us))
            volume.size_bytes += segment.row.size_bytes
            volume.oldest_us = min(volume.oldest_us, segment.row.start_us)
    return found


def _still_camera(name: str, settings: config.Config, reader: Reader | None) -> dict[str, Any]:
    last = reader.last_segment(name) if reader else None
    last_frame = iso_utc(last.row.end_us) if last else None
    if name not in settings.cameras:
        state, reason = "off", "not-configured"
    elif settings.cameras[name].record == "off":
        state, reason = "off", "record-off"
    else:
        state, reason = "failed", "service-stopped"
    return {
        "camera": name,
        "state": state,
        "reason": reason,
        "since": last_frame,
        "last_frame": last_frame,
        "fps": None,
        "bitrate_bps": None,
        "alarm_link": None,
        "alarm_trouble": None,
        "pan_degrees": None,
        "tilt_degrees": None,
        "zoom": None,
    }


def _last_said(camera: Camera | None, clock: CameraClockRow | None) -> dict[str, Any]:
    """What a camera said of itself when it was heard last."""
    drift_ppb = clock.drift_ppb if clock is not None else None
    return {
        "model": camera.model if camera is not None else None,
        "camera_id": camera.ident if camera is not None else None,
        "fan_failed": camera.fan_failed if camera is not None else None,
        "clock_offset_seconds": clock.offset_us / US if clock is not None else None,
        "clock_drift_ppm": drift_ppb / 1000 if drift_ppb is not None else None,
    }


def _last_view(settings: config.Config, camera: Camera | None, name: str) -> dict[str, Any]:
    """Where a camera should look, and whether it did when that was asked last."""
    expected = settings.expected(name) if name in settings.cameras else None
    if expected is None:
        return {"expected": None, "turned_away": None, "expected_doubt": None}
    turned_away = camera.turned_away if camera is not None else None
    return {"expected": str(expected), "turned_away": turned_away, "expected_doubt": None}


def _still_volume(volume: config.Volume, footage: _Footage | None) -> dict[str, Any]:
    size_bytes: int | None = None
    free_bytes: int | None = None
    try:
        disk = os.statvfs(volume.path)
        size_bytes, free_bytes = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    except OSError as error:
        note(f"the volume '{volume.name}' at {volume.path} cannot be read: {(error.strerror or '').lower()}")
    return {
        "name": volume.name,
        "path": str(volume.path),
        "size_bytes": size_bytes,
        "free_bytes": free_bytes,
        "footage_bytes": footage.size_bytes if footage else None,
        "oldest": iso_utc(footage.oldest_us) if footage else None,
    }


def _tell(told: dict[str, Any]) -> None:
    rows = list(_camera_rows(told["cameras"]))
    print_table(("camera", "state", "since", "last picture", "fps", "bit rate", "looks at", "why"), rows)
    if not rows:
        typer.echo("no camera is configured")
    typer.echo()
    print_table(("volume", "path", "footage", "free", "size", "goes back to", "why"), _volume_rows(told["volumes"]))
    for remark in _remarks(told):
        note(remark)


def _remarks(told: dict[str, Any]) -> Iterator[str]:
    """What is not right although everything is recorded."""
    if told.get("host_clock", {}).get("synchronised") is False:
        yield "this machine's clock is not synchronised: times may be wrong (nvr footage list --corrected, once it is)"
    if refused := told.get("configuration_refused"):
        yield f"the daemon still runs with the configuration before: {refused}"
    for trouble in told.get("troubles", ()):
        of = trouble["camera"] or trouble["volume"]
        yield f"since {_moment(trouble['since'])}{f', {of}' if of else ''}: {trouble['text']}"
    for camera in told["cameras"]:
        if camera.get("turned_away"):
            yield f"the camera '{camera['camera']}' is expected {camera['expected']} and looks elsewhere"
        if camera.get("expected_doubt"):
            yield f"the camera '{camera['camera']}' is expected {camera['expected']}, but {camera['expected_doubt']}"
        if camera.get("alarm_trouble"):
            yield f"the camera '{camera['camera']}': {camera['alarm_trouble']}"
        if camera.get("fan_failed"):
            yield f"the camera '{camera['camera']}' says its fan failed"
        if abs(camera.get("clock_offset_seconds") or 0) >= _FAR_S:
            yield f"the clock of the camera '{camera['camera']}' is {camera['clock_offset_seconds']:+.1f} seconds off"


def _camera_rows(cameras: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for camera in cameras:
        yield (
            camera["camera"],
            camera["state"],
            _moment(camera.get("since")),
            _moment(camera.get("last_frame")),
            f"{camera['fps']:.1f}" if camera.get("fps") else "-",
            f"{camera['bitrate_bps'] / 1e6:.2f} Mbit/s" if camera.get("bitrate_bps") else "-",
            _view(camera),
            camera.get("reason") or "",
        )


def _volume_rows(volumes: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for volume in volumes:
        sizes = (volume.get(key) for key in ("footage_bytes", "free_bytes", "size_bytes"))
        footage, free, size = ("-" if size is None else size_text(size) for size in sizes)
        why = volume.get("reason") or ""
        yield volume["name"], volume["path"], footage, free, size, _moment(volume.get("oldest")), why


def _moment(iso: str | None) -> str:
    return local_text(read_iso_utc(iso)) if iso else "-"


def _view(camera: dict[str, Any]) -> str:
    if camera.get("pan_degrees") is None:
        return "-"
    return f"pan {camera['pan_degrees']:.2f} tilt {camera['tilt_degrees']:.2f} zoom {camera['zoom']:.2f}"

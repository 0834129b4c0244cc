"""`nvr status`: is every camera recording, since when, how far back, and how full are the disks."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from nvr import __version__, config
from nvr.cli.archive import all_live
from nvr.cli.covered import covered
from nvr.cli.daemon import ask
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_table, size_text
from nvr.cli.times import duration_text, iso_utc, local_text, read_iso_utc
from nvr.clock import HostClock
from nvr.store.errors import IndexDamaged, SchemaTooNew, SchemaTooOld
from nvr.store.ledger import Covered
from nvr.store.reader import Reader, open_reader
from nvr.store.rows import Camera, CameraClockRow
from nvr.supervisor import host_clock
from nvr.units import US

_FINE = frozenset({"recording", "buffering", "off"})
_DAY_US = 86_400 * US
_NOTHING_S = 0.001  # a gap between two microseconds of rounding is none to a person
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
    _add_last_day(told, settings)
    if as_json:
        print_json(told)
    else:
        _tell(told)
    if not (running and _all_well(told)):
        raise typer.Exit(1)


def _all_well(told: dict[str, Any]) -> bool:
    cameras = all(camera["state"] in _FINE for camera in told["cameras"])
    return cameras and not any(volume.get("reason") for volume in told["volumes"])


def _add_last_day(told: dict[str, Any], settings: config.Config) -> None:
    """To each camera what became of its last 24 hours; None where the index cannot say."""
    live = all_live(settings)
    try:
        reader = open_reader(settings.data_dir)
        known = {camera.slug: camera for camera in reader.cameras()}
    except (IndexDamaged, SchemaTooNew, SchemaTooOld, OSError):
        known = {}
    now_us = HostClock().utc_us()
    for one in told["cameras"]:
        camera = known.get(one["camera"])
        if camera is None:
            one["last_day"] = None
            continue
        unentered = None if live is None else live.get(camera.slug, [])
        start_us = max(now_us - _DAY_US, camera.configured_at_us)
        spans = covered(reader, settings, camera, start_us, now_us, unentered, corrected=False)
        one["last_day"] = _day_facts(spans)


def _day_facts(spans: list[Covered]) -> dict[str, Any]:
    lasted_us: Counter[str] = Counter()
    gap_us: Counter[str] = Counter()
    for span in spans:
        lasted_us[span.kind] += span.end_us - span.start_us
        if span.reason is not None and span.kind == "gap":
            gap_us[span.reason] += span.end_us - span.start_us
    return {
        **{f"{kind}_seconds": lasted_us[kind] / US for kind in ("recorded", "off", "gap")},
        "gaps": {reason: us / US for reason, us in gap_us.items()},
    }


def _day_sentence(cameras: list[dict[str, Any]]) -> str:
    """What is missing of the last 24 hours, and why."""
    missing = [one for one in cameras if one.get("last_day") and one["last_day"]["gap_seconds"] >= _NOTHING_S]
    if not missing:
        return "nothing is missing of the last 24 hours"
    total = sum(one["last_day"]["gap_seconds"] for one in missing)
    parts = []
    for one in sorted(missing, key=lambda one: -one["last_day"]["gap_seconds"]):
        reasons = sorted(one["last_day"]["gaps"].items(), key=lambda reason: -reason[1])
        why = ", ".join(f"{reason} {duration_text(seconds)}" for reason, seconds in reasons)
        parts.append(f"{one['camera']} {why}")
    return f"missing of the last 24 hours: {duration_text(total)} ({'; '.join(parts)})"


def _from_the_index(settings: config.Config) -> dict[str, Any]:
    """The same answer as the daemon's, as far as configuration, index and disks give it."""
    reader = _readable(settings.data_dir)
    known = {camera.slug: camera for camera in reader.cameras()} if reader else {}
    clocks = reader.newest_camera_clocks() if reader else {}
    names = [*settings.cameras, *sorted(known.keys() - settings.cameras.keys())]
    footage = _footage(reader) if reader else {}
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
    size_bytes: int = 0
    oldest_us: int | None = None


def _footage(reader: Reader) -> dict[str, _Footage]:
    """What lies on each volume."""
    names = {volume.id: volume.name for volume in reader.volumes()}
    found: dict[str, _Footage] = {}
    for one in reader.holdings():
        volume = found.setdefault(names[one.volume_id], _Footage())
        volume.size_bytes += one.segment_bytes + one.film_bytes
        if one.oldest_us is not None:
            volume.oldest_us = min(one.oldest_us, volume.oldest_us or one.oldest_us)
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
        "transport": None,
        "multicast_trouble": None,
        "slow_network": None,
        "pan_degrees": None,
        "tilt_degrees": None,
        "zoom": None,
    }


def _last_said(camera: Camera | None, clock: CameraClockRow | None) -> dict[str, Any]:
    """What a camera said of itself when it was heard last."""
    drift_ppb = clock.drift_ppb if clock is not None else None
    return {
        "model": camera.model if camera is not None else None,
        "firmware": camera.firmware if camera is not None else None,
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
        "oldest": iso_utc(footage.oldest_us) if footage and footage.oldest_us is not None else None,
        "full_in_seconds": None,
    }


def _tell(told: dict[str, Any]) -> None:
    rows = list(_camera_rows(told["cameras"]))
    print_table(("camera", "state", "since", "last picture", "fps", "bit rate", "looks at", "why"), rows)
    if not rows:
        typer.echo("no camera is configured")
    if any(one.get("last_day") for one in told["cameras"]):
        typer.echo(_day_sentence(told["cameras"]))
    typer.echo()
    heads = ("volume", "path", "footage", "free", "size", "goes back to", "full in", "why")
    print_table(heads, _volume_rows(told["volumes"]))
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
        if camera.get("multicast_trouble"):
            yield f"the video of '{camera['camera']}' comes over HTTP, not by multicast: {camera['multicast_trouble']}"
        if slow := camera.get("slow_network"):
            yield (
                f"the camera '{camera['camera']}' announced {slow['announced_fps']:g} pictures a second, "
                f"{slow['fps']:.1f} arrive: its network is slow; multicast does not suffer from delay (transport)"
            )
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
        yield volume["name"], volume["path"], footage, free, size, _moment(volume.get("oldest")), _full(volume), why


def _full(volume: dict[str, Any]) -> str:
    """When old footage has to go for new; it goes by itself."""
    seconds = volume.get("full_in_seconds")
    if seconds is None:
        return "-"
    return duration_text(seconds) if seconds > 0 else "oldest goes"


def _moment(iso: str | None) -> str:
    return local_text(read_iso_utc(iso)) if iso else "-"


def _view(camera: dict[str, Any]) -> str:
    if camera.get("pan_degrees") is None:
        return "-"
    return f"pan {camera['pan_degrees']:.2f} tilt {camera['tilt_degrees']:.2f} zoom {camera['zoom']:.2f}"

"""Looks at this machine for `nvr doctor`: clock, limits, rights, ports, file systems, and how fast disks sync.

Nothing is changed: what is written to measure a disk has no name there any more before the first byte. Each look is
bounded in time, for a disk that hangs hangs whoever asks it.
"""

import os
import platform
import re
import resource
import socket
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

from nvr import __version__
from nvr.cli import fitness
from nvr.cli.fitness import DiskSpeed, Finding, Load, Mount, Place, PortLook, Room
from nvr.config import Config, Volume
from nvr.store.errors import IndexDamaged, SchemaTooNew, SchemaTooOld
from nvr.store.lock import LOCK_NAME
from nvr.store.reader import open_reader
from nvr.store.schema import INDEX_NAME
from nvr.supervisor import host_clock

_T = TypeVar("_T")

_LIBRARIES: Final = ("av", "SQLAlchemy", "uvloop", "pydantic", "fastapi", "starlette", "prometheus-client")
_DISK_S: Final = 10.0  # as long as the daemon waits before it calls a volume stuck
_MEASURE_S: Final = 0.5  # of each of the two ways to write
_SMALL_BYTES: Final = 64 << 10  # two seconds of a quiet camera
_LARGE_BYTES: Final = 32 << 20
_PIECE_BYTES: Final = 4 << 20  # a sync each, so that a disk of 1 MB/s is done with in four seconds
_MOST_SYNCS: Final = 40
_PORT_S: Final = 3.0
_ASSUMED_BYTES_A_S: Final = 500_000  # 4 Mbit/s, a good picture of this family


@dataclass(frozen=True, slots=True)
class Running:
    """The daemon that runs, as far as it tells."""

    status: Mapping[str, Any]
    pid: int | None

    @classmethod
    def found(cls, status: Mapping[str, Any], data_dir: Path) -> "Running":
        """With the process id that it left in its lock."""
        try:
            said = (data_dir / LOCK_NAME).read_text().strip()
        except (OSError, ValueError):
            said = ""
        return cls(status, int(said) if said.isascii() and said.isdigit() else None)


def findings(settings: Config, config_path: Path, running: Running | None) -> Iterator[Finding]:
    """Everything that is found without asking a camera, one after the other."""
    reading = host_clock.read()
    yield fitness.of_clock(reading.synchronised, reading.max_error_us)
    yield fitness.of_versions(installed(), None if running is None else running.status.get("version"))
    yield fitness.of_sqlite(sqlite3.sqlite_version_info)
    limit = _daemons_open_files(running)
    yield fitness.of_open_files(
        resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit,
        len(settings.cameras),
        of_the_daemon=limit is not None,
    )
    yield fitness.of_user(root=os.geteuid() == 0, daemon_runs=running is not None)
    yield fitness.of_secrets(
        str(config_path),
        config_path.stat().st_mode,
        holds_passwords=any(camera.password is not None for camera in settings.cameras.values()),
    )
    if settings.metrics.address is not None:
        yield fitness.of_port(
            _port(settings.metrics.listen, *settings.metrics.address), daemon_runs=running is not None
        )
    yield from _bounded(
        "data_dir", lambda: list(fitness.of_data_dir(_place(settings.data_dir), daemon_runs=running is not None))
    )
    yield from _bounded("index", lambda: [_of_the_index(settings.data_dir)])
    yield from _of_volumes(settings, running)


def installed() -> dict[str, str]:
    """Versions of nvr, Python and the libraries that matter."""
    return {
        "nvr": __version__,
        "Python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
    }


def _daemons_open_files(running: Running | None) -> int | None:
    """How many the daemon that runs may have open; None where that cannot be seen."""
    if running is None or running.pid is None:
        return None
    try:
        told = Path(f"/proc/{running.pid}/limits").read_text()
    except OSError:
        return None
    found = re.search(r"^Max open files +(\d+)", told, re.MULTILINE)
    return int(found[1]) if found else None


# ---- places on disk


def _of_the_index(data_dir: Path) -> Finding:
    if not (data_dir / INDEX_NAME).exists():
        return fitness.well("index", "there is none yet: the daemon makes it when it starts")
    try:
        cameras = len(open_reader(data_dir).cameras())
    except (IndexDamaged, SchemaTooNew, SchemaTooOld) as trouble:
        return fitness.wrong("index", f"it cannot be used: {trouble}")
    except OSError as trouble:
        return fitness.doubtful(
            "index", f"it cannot be read by this user: {_reason(trouble)}; run this as the daemon's"
        )
    return fitness.well("index", f"it can be read and knows {cameras} camera{'s' * (cameras != 1)}")


def _of_volumes(settings: Config, running: Running | None) -> Iterator[Finding]:
    told = {} if running is None else {one["name"]: one for one in running.status["volumes"]}
    found: dict[str, Place] = {}
    for volume in settings.volumes:
        load = _load(settings, volume, running)
        look = partial(_of_a_volume, volume, load, told.get(volume.name), found)
        yield from _bounded(f"volume {volume.name}", look)
    yield from fitness.of_shared_disks({name: place.mount.at for name, place in found.items()})
    most_bytes = sum(
        min(place.size_bytes - volume.keep_free_bytes, volume.quota or place.size_bytes)
        for volume in settings.volumes
        if (place := found.get(volume.name)) is not None
    )
    if len(found) == len(settings.volumes):
        yield from fitness.of_quotas(sum(camera.quota or 0 for camera in settings.cameras.values()), most_bytes)


def _of_a_volume(volume: Volume, load: Load, told: Mapping[str, Any] | None, found: dict[str, Place]) -> list[Finding]:
    """`told`: what the daemon that runs says of it. What can be used is put into `found`."""
    place = _place(volume.path)
    room = Room(volume.keep_free_bytes, volume.quota, None if told is None else told["footage_bytes"])
    refusal = None if told is None else told["reason"]
    findings = list(fitness.of_volume(volume.name, place, room, refusal, daemon_runs=told is not None))
    if not place.writable or not (place.exists or place.parent_exists):
        return findings
    found[volume.name] = place
    try:
        return [*findings, fitness.of_speed(volume.name, measured(Path(place.there)), load)]
    except OSError as error:
        return [
            *findings,
            fitness.wrong(f"volume {volume.name}: speed", f"writing fails ({_reason(error)}): see dmesg"),
        ]


def _load(settings: Config, volume: Volume, running: Running | None) -> Load:
    """What the cameras that may record there write: as the daemon measures them, else as assumed."""
    cameras = [
        name
        for name, camera in settings.cameras.items()
        if camera.record != "off" and camera.volume in (None, volume.name)
    ]
    told = {} if running is None else {one["camera"]: one.get("bitrate_bps") for one in running.status["cameras"]}
    rates = [told.get(name) for name in cameras]
    return Load(
        len(cameras),
        sum(rate / 8 if rate else _ASSUMED_BYTES_A_S for rate in rates),
        settings.recording.sync_seconds,
        assumed=not all(rates),
    )


def _place(path: Path) -> Place:
    there = next(one for one in (path, *path.parents) if one.exists())
    space = os.statvfs(there)
    return Place(
        path=str(path),
        exists=there == path,
        there=str(there),
        parent_exists=path.parent.exists(),
        writable=os.access(there, os.W_OK | os.X_OK),
        mode=there.stat().st_mode,
        mount=mount_of(there.resolve(), Path("/proc/self/mountinfo").read_text(errors="replace")),
        size_bytes=space.f_blocks * space.f_frsize,
        free_bytes=space.f_bavail * space.f_frsize,
    )


def mount_of(path: Path, mountinfo: str) -> Mount:
    """The last mount that covers a path (proc(5), mountinfo): what is mounted later hides what was there before."""
    found, depth = Mount("", frozenset()), -1
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, system = before.split(), after.split()
        if len(fields) < 6 or len(system) < 2:
            continue
        at = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        if path.is_relative_to(at) and len(Path(at).parts) >= depth:
            depth = len(Path(at).parts)
            options = {*fields[5].split(","), *(system[2].split(",") if len(system) > 2 else ())}
            found = Mount(system[0], frozenset(options), at)
    return found


def measured(folder: Path) -> DiskSpeed:
    """How fast the disk below a folder takes what must be safe: some seconds and 35 MB at most. Raises OSError."""
    # Its name is gone at once, so that whatever happens leaves nothing behind.
    scratch = folder / f".nvr-doctor-{os.getpid()}"
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        scratch.unlink()
        return DiskSpeed(tuple(_syncs(fd)), _rate(fd))
    finally:
        os.close(fd)


def _syncs(fd: int) -> Iterator[float]:
    """As the daemon writes: some pictures, synced."""
    piece = os.urandom(_SMALL_BYTES)
    ends_s = time.perf_counter() + _MEASURE_S
    for _ in range(_MOST_SYNCS):
        begun_s = time.perf_counter()
        os.write(fd, piece)
        os.fdatasync(fd)
        done_s = time.perf_counter()
        yield done_s - begun_s
        if done_s > ends_s:
            return


def _rate(fd: int) -> float:
    piece = os.urandom(_PIECE_BYTES)
    begun_s = time.perf_counter()
    written = 0
    while written < _LARGE_BYTES and time.perf_counter() < begun_s + _MEASURE_S:
        written += os.write(fd, piece)
        os.fdatasync(fd)
    return written / max(time.perf_counter() - begun_s, 1e-6)


# ---- the port


def _port(listen: str, host: str, port: int) -> PortLook:
    refusal = _refusal(host, port)
    return PortLook(listen, refusal, speaks_nvr=refusal is not None and _speaks_nvr(listen))


def _refusal(host: str, port: int) -> str | None:
    """Why the daemon could not listen there; None where it could."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the daemon does
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        return _reason(error)
    return None


def _speaks_nvr(listen: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{listen}/metrics", timeout=_PORT_S) as answer:
            return b"nvr_build_info" in answer.read(1 << 20)
    except (OSError, ValueError, urllib.error.URLError):
        return False


# ---- time


def _bounded(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """What a look at disks found, or that it did not come back."""
    try:
        return within(_DISK_S, look)
    except TimeoutError:
        return [fitness.wrong(name, f"it has not answered within {_DISK_S:.0f} s: the disk hangs, see dmesg")]
    except OSError as error:
        return [fitness.wrong(name, f"it cannot be looked at ({_reason(error)}): see dmesg")]


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """What a call returns, on a thread that nobody waits for longer. Raises TimeoutError, and what the call raises."""
    returned: list[_T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            raised.append(error)

    thread = threading.Thread(target=run, name="look", daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not returned:
        raise TimeoutError
    return returned[0]


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

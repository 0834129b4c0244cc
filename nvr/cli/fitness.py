"""Whether this machine, its disks and its cameras are fit for a configuration: one finding for each thing looked at.

Everything is tried as the daemon would, and nothing is changed but one small file on each disk, which goes again.
"""

import asyncio
import os
import resource
import socket
import sqlite3
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from nvr.camera.control import Control
from nvr.camera.errors import LinkError, LoginRefused
from nvr.clock import HostClock
from nvr.config import Camera, Config, ConfigError, Credentials, Volume
from nvr.jvc.errors import ApiRefused, ProtocolError
from nvr.jvc.params import Login
from nvr.supervisor import host_clock
from nvr.units import size_text


class Verdict(StrEnum):
    """How something looked at is."""

    FINE = "fine"
    DOUBTFUL = "doubtful"
    """It works, and something is better known."""
    BAD = "bad"
    """Something will not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and how it is."""

    about: str
    verdict: Verdict
    says: str
    """One sentence, with what to do where it is not fine."""


_SYNCS: Final = 40
_PIECE_BYTES: Final = 128 << 10
_SLOW_SYNC_S: Final = 0.1  # a spinning disk takes 10 to 30 ms; at 100 fifty cameras cannot be synced in time
_CAMERA_BYTES_A_S: Final = 500_000  # 4 Mbit/s, a good picture of this family
_FILES_A_CAMERA: Final = 8  # video, alarms and settings, the file being written and the one being sealed
_PORT_S: Final = 3.0
_DEFAULT_PASSWORDS: Final = ("jvc", "vn-v686")  # the vendor's manuals; the guide (5.1) prints the first
_NETWORK_FILE_SYSTEMS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs"})
_FIXED_SQLITE: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))  # sqlite.org/wal.html: the WAL-reset bug


def findings(settings: Config, *, daemon_runs: bool) -> Iterator[Finding]:
    """Everything, one after the other as it is found."""
    yield from _of_the_machine(settings)
    yield _of_the_data_directory(settings.data_dir)
    for volume in settings.volumes:
        yield from _of_a_volume(volume, max(1, len(settings.cameras)))
    yield from _of_the_port(settings, daemon_runs=daemon_runs)
    yield from asyncio.run(_of_all_cameras(settings))


# ---- the machine


def _of_the_machine(settings: Config) -> Iterator[Finding]:
    match host_clock.read().synchronised:
        case True:
            yield Finding("clock", Verdict.FINE, "this machine's clock is synchronised")
        case False:
            yield Finding("clock", Verdict.BAD, "nobody sets this machine's clock; run: timedatectl set-ntp true")
        case None:
            yield Finding("clock", Verdict.DOUBTFUL, "the kernel does not say whether the clock is synchronised")
    yield _of_sqlite()
    needed = 64 + _FILES_A_CAMERA * len(settings.cameras)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit < needed:
        yield Finding("open files", Verdict.BAD, f"at most {limit} may be open and {needed} are needed: ulimit -n")
    else:
        yield Finding("open files", Verdict.FINE, f"{limit} may be open, {needed} are enough")
    if os.geteuid() == 0:
        yield Finding("user", Verdict.DOUBTFUL, "this is root; the daemon runs better as a user of its own")
    else:
        yield Finding("user", Verdict.FINE, "this is not root")


def _of_sqlite() -> Finding:
    version = sqlite3.sqlite_version_info
    fixed = any(version >= since and version[:2] == since[:2] for since in _FIXED_SQLITE) or version >= (3, 51, 3)
    told = f"SQLite is {sqlite3.sqlite_version}"
    if fixed:
        return Finding("index", Verdict.FINE, told)
    return Finding(
        "index",
        Verdict.FINE,
        f"{told}, which can damage an index that two programs write to at once; nvr writes with one connection alone, "
        "so let nothing else open its index for writing",
    )


def _of_the_data_directory(folder: Path) -> Finding:
    about = f"data_dir {folder}"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(about, Verdict.BAD, f"{there} may not be written by this user; try as the daemon's user")
    if (kind := _file_system(there)) in _NETWORK_FILE_SYSTEMS:
        return Finding(about, Verdict.BAD, f"it is on {kind}; an index needs a local disk")
    if there == folder and folder.stat().st_mode & 0o007:
        return Finding(about, Verdict.DOUBTFUL, f"every user of this machine may look into it; run: chmod o= {folder}")
    return Finding(about, Verdict.FINE, f"it can be written, {size_text(_free_bytes(there))} are free")


# ---- disks


def _of_a_volume(volume: Volume, cameras: int) -> Iterator[Finding]:
    about = f"volume {volume.name}"
    there = volume.path if volume.path.exists() else volume.path.parent
    if not there.exists():
        yield Finding(about, Verdict.BAD, f"{there} is not there; make it, or mount the disk")
        return
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(about, Verdict.BAD, f"{there} may not be written by this user; try as the daemon's user")
        return
    free_bytes = _free_bytes(there)
    if free_bytes < volume.keep_free_bytes:
        yield Finding(
            about,
            Verdict.BAD,
            f"{size_text(free_bytes)} are free, less than keep_free ({size_text(volume.keep_free_bytes)})",
        )
        return
    try:
        yield _speed(about, there, cameras)
    except OSError as error:
        yield Finding(about, Verdict.BAD, f"writing to {there} fails: {(error.strerror or str(error)).lower()}")


def _speed(about: str, folder: Path, cameras: int) -> Finding:
    """As the daemon writes: pieces of some pictures, each synced."""
    took_s = _synced_writes(folder / f".nvr-doctor-{os.getpid()}")
    median_s, worst_s = statistics.median(took_s), max(took_s)
    bytes_a_s = _PIECE_BYTES / max(median_s, 1e-6)
    told = f"a synced write takes {median_s * 1000:.1f} ms, {worst_s * 1000:.0f} at worst ({size_text(bytes_a_s)}/s)"
    if bytes_a_s < 2 * cameras * _CAMERA_BYTES_A_S:
        return Finding(about, Verdict.BAD, f"{told}: too slow for {cameras} cameras of 4 Mbit/s")
    if median_s > _SLOW_SYNC_S:
        return Finding(about, Verdict.DOUBTFUL, f"{told}: footage will be synced less often than configured")
    return Finding(about, Verdict.FINE, told)


def _synced_writes(path: Path) -> list[float]:
    piece, took_s = os.urandom(_PIECE_BYTES), []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(_SYNCS):
            begun_s = time.perf_counter()
            os.write(fd, piece)
            os.fdatasync(fd)
            took_s.append(time.perf_counter() - begun_s)
    finally:
        os.close(fd)
        path.unlink()
    return took_s


def _free_bytes(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _file_system(path: Path) -> str:
    """Of which kind the file system is that this lies on (proc(5), mountinfo); empty where nobody says."""
    best, kind = -1, ""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        place = before.split()[4].encode().decode("unicode_escape")
        if path.resolve().is_relative_to(place) and len(place) >= best:
            best, kind = len(place), after.split()[0]
    return kind


# ---- the network


def _of_the_port(settings: Config, *, daemon_runs: bool) -> Iterator[Finding]:
    address = settings.metrics.address
    if address is None:
        return
    about = f"metrics {settings.metrics.listen}"
    if daemon_runs:
        yield Finding(about, Verdict.FINE, "the daemon runs")
        return
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
    except OSError as error:
        yield Finding(about, Verdict.BAD, f"cannot be listened on: {(error.strerror or str(error)).lower()}")
    else:
        yield Finding(about, Verdict.FINE, "can be listened on")


async def _of_all_cameras(settings: Config) -> list[Finding]:
    """All at once: each may take some seconds."""
    found = await asyncio.gather(*(_of_a_camera(settings, name) for name in settings.cameras))
    return [finding for one in found for finding in one]


async def _of_a_camera(settings: Config, name: str) -> list[Finding]:
    about, camera = f"camera {name}", settings.cameras[name]
    if camera.record == "off":
        return [Finding(about, Verdict.FINE, "is off")]
    told = [await _of_a_camera_port(about, camera.host, camera.http_port, "video")]
    if told[0].verdict is not Verdict.FINE:
        return told
    rules = settings.rules_of(name)
    if rules or settings.record_plan(name).may_wait:
        told.append(await _of_a_camera_port(about, camera.host, camera.alarm_port, "alarms"))
    try:
        credentials = settings.credentials(name)
    except ConfigError as wrong:
        return [*told, Finding(about, Verdict.BAD, wrong.why)]
    told += await _of_a_login(about, camera, credentials)
    if credentials is not None and any(rule.needs_motion for rule in rules):
        told += await _of_motion(about, _control(camera, credentials.user, credentials.password.get_secret_value()))
    return told


async def _of_a_camera_port(about: str, host: str, port: int, for_what: str) -> Finding:
    try:
        async with asyncio.timeout(_PORT_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Finding(about, Verdict.BAD, f"does not answer at {host}:{port} ({for_what}); power, cable, address?")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return Finding(about, Verdict.BAD, f"cannot be reached at {host}:{port} ({for_what}): {why}")
    writer.transport.abort()
    return Finding(about, Verdict.FINE, f"answers at {host}:{port} ({for_what})")


async def _of_a_login(about: str, camera: Camera, credentials: Credentials | None) -> list[Finding]:
    """Whether the configured login works, and whether anybody could log in with what stands in the manual."""
    told = []
    if credentials is not None:
        password = credentials.password.get_secret_value()
        if password in _DEFAULT_PASSWORDS:
            return [Finding(about, Verdict.BAD, "is configured with the vendor's default password; change it there")]
        accepted = await _accepts(_control(camera, credentials.user, password))
        if accepted is False:
            told.append(Finding(about, Verdict.BAD, f"refuses the user '{credentials.user}' with this password"))
        elif accepted:
            told.append(Finding(about, Verdict.FINE, f"takes the user '{credentials.user}'"))
    for password in _DEFAULT_PASSWORDS:
        if await _accepts(_control(camera, "admin", password)):
            return [*told, Finding(about, Verdict.BAD, "takes the vendor's default password for admin; change it")]
    return told


async def _accepts(control: Control) -> bool | None:
    """Whether a login is taken; None where the camera does not say."""
    try:
        await control.get("system.date")
    except (LoginRefused, ApiRefused):
        return False
    except (LinkError, ProtocolError):
        return None
    return True


async def _of_motion(about: str, control: Control) -> list[Finding]:
    try:
        detects = await control.detects_motion()
    except (LinkError, ApiRefused, ProtocolError) as trouble:
        return [Finding(about, Verdict.DOUBTFUL, f"it is not known whether it detects motion: {trouble}")]
    if detects is False:
        return [Finding(about, Verdict.BAD, "a rule needs motion, and its motion detection is off; switch it on there")]
    return [Finding(about, Verdict.FINE, "detects motion")]


def _control(camera: Camera, user: str, password: str) -> Control:
    return Control((camera.host, camera.http_port), Login(user, password), HostClock())

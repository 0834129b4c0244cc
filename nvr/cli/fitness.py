"""Decides whether a machine, its disks and its cameras are fit for nvr. Pure: told what was measured and asked.

Who measures and asks: `machine_look` and `camera_visit`. Each finding is one sentence; where something is not well it
says what to do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nvr.units import US, size_text


class Verdict(StrEnum):
    """How something looked at is."""

    WELL = "well"
    DOUBTFUL = "doubtful"
    """It works, and something is better known or changed."""
    WRONG = "wrong"
    """Something will not work, or footage is not safe."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and how it is."""

    name: str
    verdict: Verdict
    says: str


def well(name: str, says: str) -> Finding:
    """A finding that needs nothing."""
    return Finding(name, Verdict.WELL, says)


def doubtful(name: str, says: str) -> Finding:
    """A finding that says what is better known or changed."""
    return Finding(name, Verdict.DOUBTFUL, says)


def wrong(name: str, says: str) -> Finding:
    """A finding that says what to do."""
    return Finding(name, Verdict.WRONG, says)


# ---- the machine

_FAR_US: Final = (
    US // 2
)  # time services keep a machine within some 10 ms; half a second is seen in a picture's own time
_FILES_A_CAMERA: Final = (
    8  # video, alarms, settings; the file being written, the one being sealed, a clip's and its parts
)
_FILES_OF_THE_DAEMON: Final = 64  # index, sockets, log, and 16 for who asks
_FIXED_SQLITE: Final = ((3, 50, 7), (3, 44, 6))  # sqlite.org/wal.html, the WAL-reset bug; all from 3.51.3 on


def of_clock(synchronised: bool | None, max_error_us: int | None) -> Finding:
    """Whether somebody sets this machine's clock (adjtimex)."""
    match synchronised:
        case None:
            return doubtful("clock", "the kernel does not say whether the clock is synchronised; see: timedatectl")
        case False:
            return wrong(
                "clock", "nobody sets this machine's clock, so times of footage drift: timedatectl set-ntp true"
            )
    if max_error_us is not None and max_error_us > _FAR_US:
        return doubtful(
            "clock",
            f"it is synchronised, but may be up to {max_error_us / US:.1f} s off; "
            "wait some minutes, or name a nearer time server",
        )
    return well("clock", "it is synchronised")


def of_sqlite(version: tuple[int, int, int]) -> Finding:
    """The library below the index, and its bug with two writers."""
    told = f"SQLite {'.'.join(map(str, version))}"
    if version >= (3, 51, 3) or any(version[:2] == fixed[:2] and version >= fixed for fixed in _FIXED_SQLITE):
        return well("SQLite", f"{told} is without the bug that damages an index when two programs write to it")
    return well(
        "SQLite",
        f"{told} can damage an index that two connections write to at once; nvr is built around it, with one that "
        "writes: let no other program open its index for writing",
    )


def of_versions(installed: Mapping[str, str], running: str | None) -> Finding:
    """What is installed; `running` is the version of the daemon that answers."""
    if running is not None and running != installed["nvr"]:
        return doubtful(
            "versions", f"the daemon is still nvr {running}, and {installed['nvr']} is installed: systemctl restart nvr"
        )
    return well("versions", ", ".join(f"{name} {version}" for name, version in installed.items()))


def of_open_files(limit: int, cameras: int, *, of_the_daemon: bool) -> Finding:
    """How many files and sockets may be open at once."""
    needed = _FILES_OF_THE_DAEMON + _FILES_A_CAMERA * cameras
    whose = "the daemon" if of_the_daemon else "a program started from here"
    if limit < needed:
        return wrong(
            "open files",
            f"{whose} may have {limit} open and may need {needed}: set LimitNOFILE= in the unit, or ulimit -n",
        )
    return well("open files", f"{whose} may have {limit} open and needs at most {needed}")


def of_user(*, root: bool, daemon_runs: bool) -> Finding:
    if root and not daemon_runs:
        return doubtful(
            "user", "this is root, who may do everything: try again as the daemon's user: sudo -u nvr nvr doctor"
        )
    return well("user", "rights are those of the daemon, which runs" if daemon_runs else "this is not root")


def of_secrets(path: str, mode: int, *, holds_passwords: bool) -> Finding:
    """Who may read the configuration."""
    if holds_passwords and mode & 0o004:
        return wrong(
            "configuration",
            f"it has passwords in it, and every user may read it: chmod o= {path}, or use password_file",
        )
    return well("configuration", f"{path} is right" + (", and its passwords are not for all to read" * holds_passwords))


@dataclass(frozen=True, slots=True)
class PortLook:
    """What was found at an address that nvr listens on."""

    address: str
    refusal: str | None
    """Why it cannot be listened on; None where it can."""
    speaks_nvr: bool
    """Whoever has it answers as nvr does."""


def of_port(port: PortLook, *, daemon_runs: bool) -> Finding:
    """Whether nvr has its port, or can have it."""
    name = f"port {port.address}"
    if port.speaks_nvr and daemon_runs:
        return well(name, "nvr answers there")
    if port.speaks_nvr:
        return wrong(name, "another nvr has it, with another data_dir: stop that one, or choose another port")
    if port.refusal is not None:
        return wrong(name, f"{port.refusal}: stop who has it (ss -ltnp), or choose another [metrics] listen")
    if daemon_runs:
        return doubtful(name, "the daemon runs and does not listen there; is this its configuration? nvr reload")
    return well(name, "it is free")


# ---- places on disk

_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "ceph", "glusterfs", "afs"}
)
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_WITHOUT_RIGHTS: Final = frozenset({"vfat", "msdos", "exfat"})
_UNSAFE: Final = frozenset({"nobarrier", "barrier=0", "data=writeback"})
_INDEX_ROOM_BYTES: Final = 1_000_000_000  # a year of 50 cameras and eight copies of it


@dataclass(frozen=True, slots=True)
class Mount:
    """The file system that something lies on."""

    kind: str
    """As the kernel calls it; empty where it does not say."""
    options: frozenset[str]
    at: str = "/"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder as it was found. `there` is the nearest folder above where it does not exist yet."""

    path: str
    exists: bool
    there: str
    parent_exists: bool
    writable: bool
    mode: int
    mount: Mount
    size_bytes: int
    free_bytes: int


def of_data_dir(place: Place, *, daemon_runs: bool) -> Iterator[Finding]:
    """Index, socket and lock."""
    name = "data_dir"
    if not place.writable:
        yield _not_writable(name, place, daemon_runs=daemon_runs)
    elif place.exists and place.mode & 0o007:
        yield doubtful(name, f"every user of this machine may look into it: chmod o= {place.path}")
    else:
        yield well(name, f"{place.path} can be written")
    yield _of_the_index_file_system(f"{name}: file system", place.mount)
    if place.free_bytes < _INDEX_ROOM_BYTES:
        yield doubtful(
            f"{name}: space", f"only {size_text(place.free_bytes)} are free for the index and its copies; make room"
        )
    else:
        yield well(f"{name}: space", f"{size_text(place.free_bytes)} are free")


def _not_writable(name: str, place: Place, *, daemon_runs: bool) -> Finding:
    if daemon_runs:
        return doubtful(name, "the daemon writes there and this user may not: sudo -u nvr nvr doctor sees more")
    return wrong(name, f"{place.there} may not be written by this user: give it to the daemon's, and run this as it")


def _of_the_index_file_system(name: str, mount: Mount) -> Finding:
    if mount.kind in _NETWORK:
        return wrong(name, f"{mount.kind} cannot hold the index (SQLite's WAL needs a local disk): move data_dir")
    return _of_the_mount(name, mount)


def _of_the_mount(name: str, mount: Mount) -> Finding:
    told = f"{mount.kind or 'of unknown kind'}, mounted at {mount.at}"
    if "ro" in mount.options:
        return wrong(name, f"{told} read-only: see dmesg, repair it (fsck) and mount it again")
    if mount.kind in _IN_MEMORY:
        return doubtful(name, f"{told}: it is memory, and everything is gone at a restart; use a disk")
    if mount.kind in _WITHOUT_RIGHTS:
        return doubtful(name, f"{told}: it knows no rights and no hard links, and power cuts spoil it; use ext4 or xfs")
    if unsafe := sorted(mount.options & _UNSAFE):
        return wrong(name, f"{told} with {', '.join(unsafe)}: a power cut may take what was synced; mount it without")
    if mount.options & {"sync", "dirsync"}:
        return doubtful(name, f"{told} with sync, which slows each write; nvr syncs by itself: mount it without")
    return well(name, told)


@dataclass(frozen=True, slots=True)
class Room:
    """What a volume is to hold."""

    keep_free_bytes: int
    quota_bytes: int | None = None
    footage_bytes: int | None = None
    """What it holds now; None where nobody counted."""


def of_volume(volume: str, place: Place, room: Room, refusal: str | None, *, daemon_runs: bool) -> Iterator[Finding]:
    """A place for footage; `refusal` is why the daemon that runs does not use it."""
    name = f"volume {volume}"
    if refusal is not None:
        yield wrong(name, f"the daemon does not use it: {refusal}")
    elif not place.exists and not place.parent_exists:
        yield wrong(name, f"{place.path} is not there, nor the folder above it: make it, or mount the disk")
        return
    elif not place.writable:
        yield _not_writable(name, place, daemon_runs=daemon_runs)
    elif place.exists and place.mode & 0o007:
        yield doubtful(name, f"every user of this machine may look at its footage: chmod o= {place.path}")
    else:
        yield well(name, f"{place.path} can be written")
    system = _of_the_mount(f"{name}: file system", place.mount)
    if place.mount.kind in _NETWORK:
        system = doubtful(
            system.name, f"{place.mount.kind} is as safe as its server and the way there; better use a local disk"
        )
    yield system
    yield _of_space(f"{name}: space", place, room)


def _of_space(name: str, place: Place, room: Room) -> Finding:
    free, keep_free = size_text(place.free_bytes), size_text(room.keep_free_bytes)
    if place.size_bytes <= room.keep_free_bytes:
        return wrong(name, f"keep_free is {keep_free}, as much as the whole disk has: lower it")
    if place.free_bytes + (room.footage_bytes or 0) < room.keep_free_bytes:
        return wrong(
            name, f"{free} are free, and without any footage less than keep_free ({keep_free}) would be: make room"
        )
    if place.free_bytes < room.keep_free_bytes:
        return doubtful(
            name,
            f"{free} are free, less than keep_free ({keep_free}): nvr deletes its oldest footage for room; if it stays "
            "so, something else fills the disk",
        )
    most_bytes = place.size_bytes - room.keep_free_bytes
    if room.quota_bytes is not None and room.quota_bytes > most_bytes:
        return doubtful(
            name, f"quota is {size_text(room.quota_bytes)}, and the disk can hold {size_text(most_bytes)}: lower it"
        )
    return well(name, f"{free} of {size_text(place.size_bytes)} are free, and {keep_free} stay free")


def of_quotas(cameras_bytes: int, volumes_bytes: int) -> Iterator[Finding]:
    """What the cameras that have a quota may hold together, and what all volumes can."""
    if cameras_bytes > volumes_bytes:
        yield doubtful(
            "quotas",
            f"those of the cameras are {size_text(cameras_bytes)} together, and the volumes can hold "
            f"{size_text(volumes_bytes)}: footage goes sooner than they say; lower them, or add a volume",
        )


def of_shared_disks(mounts: Mapping[str, str]) -> Iterator[Finding]:
    """Volumes (by name, with their file system's mount point) of which several are one disk."""
    by_disk: dict[str, list[str]] = {}
    for volume, at in mounts.items():
        by_disk.setdefault(at, []).append(volume)
    for at, volumes in by_disk.items():
        if len(volumes) > 1:
            yield doubtful(
                "volumes", f"{' and '.join(volumes)} are one file system ({at}): if it fails, all of them do; keep one"
            )


# ---- how fast a disk is

_MOST_BUSY: Final = (
    0.5  # of its time with plain writing; the rest is for deleting, exports and whoever looks at footage
)
_MANY_FILES: Final = 16  # from here on, or where syncs keep it busy, nvr syncs a whole volume at once (record/syncing)
_BUSY_SYNCING: Final = 0.25


@dataclass(frozen=True, slots=True)
class DiskSpeed:
    """What was measured of a disk."""

    sync_s: tuple[float, ...]
    """What each small write took until it was on the disk."""
    bytes_a_s: float
    """Of a large write, with its sync."""

    @property
    def usual_s(self) -> float:
        return sorted(self.sync_s)[len(self.sync_s) // 2]

    @property
    def worst_s(self) -> float:
        return max(self.sync_s)


@dataclass(frozen=True, slots=True)
class Load:
    """What the cameras of a volume write."""

    cameras: int
    bytes_a_s: float
    sync_every_s: float
    assumed: bool = False
    """Nobody measured the cameras' bit rates: 4 Mbit/s each."""


def of_speed(volume: str, speed: DiskSpeed, load: Load) -> Finding:
    """Whether the configured cameras fit."""
    name = f"volume {volume}: speed"
    told = (
        f"it writes {size_text(speed.bytes_a_s)}/s, a sync takes {_ms(speed.usual_s)}, {_ms(speed.worst_s)} at worst; "
        f"{_cameras(load)} {'would' if load.assumed else 'may'} write {size_text(load.bytes_a_s)}/s"
    )
    if load.bytes_a_s > _MOST_BUSY * speed.bytes_a_s:
        return wrong(name, f"{told}: too much for it; lower the cameras' bit rates, or add a volume")
    if (every_s := _sync_interval_s(speed, load)) > load.sync_every_s:
        return doubtful(
            name, f"{told}: synced each {every_s:.1f} s instead of {load.sync_every_s:g}, so a power cut takes more"
        )
    return well(name, f"{told}, which fits")


def _sync_interval_s(speed: DiskSpeed, load: Load) -> float:
    """As `record.syncing` will settle it: half of the disk's time at most goes into syncs."""
    busy = speed.usual_s * load.cameras / load.sync_every_s
    if load.cameras < _MANY_FILES and busy <= _BUSY_SYNCING:
        return load.sync_every_s
    together_s = speed.usual_s + load.bytes_a_s * load.sync_every_s / speed.bytes_a_s
    return max(load.sync_every_s, 2 * together_s)


def _cameras(load: Load) -> str:
    many = f"{load.cameras} camera{'s' * (load.cameras != 1)}"
    return f"{many} of 4 Mbit/s" if load.assumed else many


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


# ---- cameras


@dataclass(frozen=True, slots=True)
class CameraVisit:
    """What a camera answered. None: not asked, or it did not say."""

    camera: str
    at: str
    """Where its video is, as host:port."""
    off: bool = False
    video: str | None = None
    """Why no video comes."""
    answers: bool = False
    """Where no video comes: it can be connected to all the same,"""
    refuses: bool = False
    """and says no."""
    recorded: bool = False
    """The daemon takes its video already, so that it was not asked for any."""
    alarms_wanted: bool = False
    alarm: str | None = None
    """Why its alarm port cannot be reached."""
    user: str | None = None
    login: "Login | None" = None
    login_why: str | None = None
    """More about `login`."""
    default_users: Sequence[str] = ()
    """Users that it lets in with the vendor's password."""
    defaults_tried: bool = False
    motion_wanted: Sequence[str] = ()
    """The rules that need its motion detection."""
    detects_motion: bool | None = None


class Login(StrEnum):
    """How a camera took the configured login."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    """The password cannot be had as configured."""
    NOT_FOR_US = "not-for-us"
    """Only the daemon, or root, may read the password."""
    UNANSWERED = "unanswered"


def of_camera(visit: CameraVisit) -> Iterator[Finding]:
    """Whether a camera can be recorded, heard and told."""
    name = f"camera {visit.camera}"
    if visit.off:
        yield well(name, "it is off")
        return
    yield _of_video(f"{name}: video", visit)
    if visit.video is not None and not visit.answers:
        if visit.login is Login.UNREADABLE:
            yield from _of_login(f"{name}: login", visit)
        return
    if visit.alarm is not None:
        yield (wrong if visit.alarms_wanted else doubtful)(
            f"{name}: alarms", f"its alarm port cannot be reached ({visit.alarm}): alarm_port, a firewall between?"
        )
    else:
        yield well(f"{name}: alarms", "its alarm port answers")
    yield from _of_login(f"{name}: login", visit)
    if visit.default_users:
        yield wrong(
            f"{name}: default password",
            f"whoever read the manual may log in as {' or '.join(visit.default_users)}: change it in the camera",
        )
    elif visit.defaults_tried:
        yield well(f"{name}: default password", "the vendor's passwords are refused")
    else:
        yield doubtful(f"{name}: default password", "it did not answer when they were tried: try again")
    yield from _of_motion(f"{name}: motion", visit)


def _of_video(name: str, visit: CameraVisit) -> Finding:
    if visit.video is None:
        return well(name, f"{'the daemon records it' if visit.recorded else 'a picture came'} from {visit.at}")
    if visit.refuses:
        return wrong(
            name, f"{visit.at} refuses ({visit.video}): other programs' connections, or its list of addresses?"
        )
    if visit.answers:
        return wrong(name, f"{visit.at} answers and sends nothing of use ({visit.video}): right address? restart it")
    return wrong(name, f"{visit.at} cannot be reached ({visit.video}): power, cable, address?")


def _of_login(name: str, visit: CameraVisit) -> Iterator[Finding]:
    match visit.login:
        case None:
            if visit.motion_wanted:
                yield doubtful(name, "without user and password nvr cannot see whether it looks for motion: add them")
        case Login.TAKEN:
            yield well(name, f"it takes the user {visit.user} with the configured password")
        case Login.REFUSED:
            yield wrong(name, f"it refuses the user {visit.user} with the configured password: correct it")
        case Login.UNREADABLE:
            yield wrong(name, visit.login_why or "the password cannot be read")
        case Login.NOT_FOR_US:
            yield doubtful(name, f"{visit.login_why}: run this as root to try it")
        case Login.UNANSWERED:
            yield doubtful(name, f"whether it takes the login is not known ({visit.login_why}): try again")


def _of_motion(name: str, visit: CameraVisit) -> Iterator[Finding]:
    if not visit.motion_wanted or visit.login is not Login.TAKEN:
        return
    rules = ", ".join(visit.motion_wanted)
    match visit.detects_motion:
        case True:
            yield well(name, "its motion detection is on")
        case False:
            yield wrong(name, f"its motion detection is off, and a rule needs it ({rules}): switch it on at the camera")
        case None:
            yield doubtful(name, f"it does not say whether motion detection is on, which a rule needs ({rules})")


def is_fit(findings: Iterable[Finding]) -> bool:
    """Nothing is wrong."""
    return all(finding.verdict is not Verdict.WRONG for finding in findings)

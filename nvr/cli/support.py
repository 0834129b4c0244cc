"""`nvr support-bundle`: what somebody needs who is to find out what is wrong, in one file without passwords."""

import http.client
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.cli import doctor, machine_look, strike
from nvr.cli.camera_visit import CREDENTIALS
from nvr.cli.daemon import ask
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.in_words import doubts
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_table, progress
from nvr.cli.times import iso_utc
from nvr.store.errors import IndexDamaged, SchemaTooNew, SchemaTooOld
from nvr.store.lock import LOCK_NAME
from nvr.store.names import CLIPS, PART
from nvr.store.reader import open_reader
from nvr.units import US, size_text

_COMMAND_S: Final = 20.0
_CHECK_S: Final = 120.0  # a million files; what takes longer is to be run by hand
_COUNT_S: Final = 20.0
_LOG_LINES: Final = 5000
_LOG_BYTES: Final = 2 << 20
_EVENTS_US: Final = 30 * 86_400 * US
_LOG_BESIDE_CONFIGURATION: Final = "nvr.log"  # where `nvr demo` puts it

_README: Final = """What nvr {version} found out about itself at {at}, for whoever is to find out what is wrong.

Struck out, as ***: the passwords of the configuration, of its password files and of /etc/nvr/credentials, wherever they
stand. Not struck out: names and addresses of cameras, names of rules and schedules, paths, your notes to alarms, names
of this machine and its users in the log. No footage is in here, and names of files only where the log has one.

Look before you send it: everything is plain text (tar xzf, then any editor).

"""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a bundle."""

    name: str
    about: str
    text: str


def support_bundle(
    out: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: nvr-support-<time>.tar.gz here.")
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Collect what somebody needs who is to find out what is wrong: log, configuration, status, events, nvr doctor.

    Passwords are struck out wherever they stand; addresses and names of cameras are not: look before you send it.
    """
    path = out if out is not None else Path(f"nvr-support-{time.strftime('%Y%m%dT%H%M%S')}.tar.gz")
    config_path = config.find(config_file)
    fd = _made(path)
    try:
        with os.fdopen(fd, "wb") as file:
            parts = _struck(list(_parts(config_path)), _Secrets.of(config_path))
            _write(file, parts)
    except BaseException:
        path.unlink()  # half a bundle helps nobody; it was not there before
        raise
    _tell(path, parts, as_json=as_json)


def _made(path: Path) -> int:
    """A file that was not there before, for nobody else to read."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise WrongUseError(f"{path} is there already; name another file with -o") from None


def _tell(path: Path, parts: list[Part], *, as_json: bool) -> None:
    size_bytes = path.stat().st_size
    if as_json:
        print_json(
            {"path": str(path.absolute()), "size_bytes": size_bytes, "parts": {part.name: part.about for part in parts}}
        )
        return
    print_table(("part", "size", "is"), ((part.name, size_text(len(part.text.encode())), part.about) for part in parts))
    typer.echo(f"{path}: {size_text(size_bytes)}")
    note("passwords are struck out, names and addresses are not: look before you send it")


def _write(file: io.BufferedWriter, parts: list[Part]) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as bundle:
        for part in parts:
            data = part.text.encode(errors="replace")
            member = tarfile.TarInfo(f"nvr-support/{part.name}")
            member.size, member.mode, member.mtime = len(data), 0o600, int(time.time())
            bundle.addfile(member, io.BytesIO(data))


# ---- what is in it


def _parts(config_path: Path) -> Iterator[Part]:
    """Each part; one that cannot be had says why."""
    yield Part("versions.json", "nvr, Python, libraries, this system", _json(_versions()))
    yield Part("config.toml", "the configuration", _or_why(lambda: config_path.read_text(errors="replace")))
    yield Part("service.txt", "what systemd says of nvr", _output("systemctl", "status", "--no-pager", "--full", "nvr"))
    yield Part("disks.txt", "file systems and their space", _output("df", "--output=source,fstype,size,avail,target"))
    try:
        settings = config.load(config_path)
    except config.ConfigError as wrong:
        mistakes = "".join(f"{one}\n" for one in (wrong, *wrong.others))
        yield Part("config-check.txt", "what is wrong with the configuration", mistakes)
        yield Part("log.txt", "the last lines of nvr's log", _or_why(lambda: _log(config_path, None)))
        return
    about = "whether the configuration is right"
    yield Part("config-check.txt", about, "".join(f"{one}\n" for one in ("it is right", *doubts(settings))))
    yield Part("log.txt", "the last lines of nvr's log", _or_why(lambda: _log(config_path, settings.data_dir)))
    status = _or_why(lambda: _json(ask(settings.data_dir, "/api/v1/status")))
    yield Part("status.json", "what the daemon says; null where none runs", status)
    yield Part("metrics.txt", "its metrics", _or_why(lambda: _metrics(settings)))
    yield Part("events.jsonl", "events of the last 30 days", _or_why(lambda: _events(settings)))
    yield Part("files.json", "how many files each camera has, and of what size", _json(_counted(settings)))
    yield Part("doctor.json", "what nvr doctor finds", _or_why(lambda: _doctor(settings, config_path)))
    yield Part("db-check.json", "what nvr db check finds", _check(config_path))


def _versions() -> dict[str, object]:
    system = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return {
        **machine_look.installed(),
        "kernel": platform.release(),
        "system": system.get("PRETTY_NAME"),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }


def _log(config_path: Path, data_dir: Path | None) -> str:
    """From the journal, and from the file that the daemon's log goes to where it goes to one."""
    told = _output("journalctl", "--unit=nvr", f"--lines={_LOG_LINES}", "--no-pager", "--output=short-iso")
    beside = config_path.absolute().parent / _LOG_BESIDE_CONFIGURATION
    # The two may be one.
    for path in {path.resolve() for path in (_log_file(data_dir), beside) if path is not None and path.is_file()}:
        told += f"\n---- {path}\n" + _or_why(lambda: _end_of(path))  # noqa: B023 - called here and now
    return told


def _log_file(data_dir: Path | None) -> Path | None:
    """Where a daemon that runs writes its log, if that is a file."""
    if data_dir is None:
        return None
    try:
        pid = int((data_dir / LOCK_NAME).read_text())
        path = Path(f"/proc/{pid}/fd/2").readlink()
    except (OSError, ValueError):
        return None
    return path


def _end_of(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_BYTES))
        return file.read(_LOG_BYTES).decode(errors="replace")


def _metrics(settings: config.Config) -> str:
    if settings.metrics.address is None:
        return "metrics are off\n"
    asking = http.client.HTTPConnection(*settings.metrics.address, timeout=_COMMAND_S)
    try:
        asking.request("GET", "/metrics")
        return asking.getresponse().read().decode(errors="replace")
    finally:
        asking.close()


def _events(settings: config.Config) -> str:
    now_us = time.time_ns() // 1000
    found = open_reader(settings.data_dir).events_between(now_us - _EVENTS_US, now_us + _EVENTS_US)
    lines = [
        {"at": iso_utc(one.at_us), "camera": one.camera, "kind": one.kind, "text": one.text, "facts": one.facts}
        for one in found
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _doctor(settings: config.Config, config_path: Path) -> str:
    with progress("looking") as tell:
        return _json([doctor.facts(finding) for finding in doctor.findings(settings, config_path, tell)])


def _check(config_path: Path) -> str:
    words = ("db", "check", "--json", "--config", str(config_path))
    return _output(sys.executable, "-m", "nvr.cli", *words, within_s=_CHECK_S)


# ---- files of footage, counted


def _counted(settings: config.Config) -> dict[str, Any]:
    """By volume and folder: counts, sizes, first and last day. No name of a file."""
    ends_s = time.monotonic() + _COUNT_S
    return {volume.name: _or_trouble(lambda: _folders(volume.path, ends_s)) for volume in settings.volumes}  # noqa: B023 - called here and now


def _folders(path: Path, ends_s: float) -> dict[str, Any]:
    return {entry.name: _folder(Path(entry), ends_s) for entry in os.scandir(path) if entry.is_dir()}


def _folder(path: Path, ends_s: float) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    days: set[str] = set()
    for folder, _, names in os.walk(path):
        if time.monotonic() > ends_s:
            return {**counts, "days": _ends(days), "counted": f"for {_COUNT_S:.0f} s, then given up"}
        inside = Path(folder).relative_to(path).parts
        if names and inside[:1] != (CLIPS,):
            days.add("-".join(inside))
        for name in names:
            counts[_kind(name, clip=inside[:1] == (CLIPS,))] += 1
            counts["size_bytes"] += _size_bytes(Path(folder, name))
    return {**counts, "days": _ends(days)}


def _kind(name: str, *, clip: bool) -> str:
    if name.endswith(PART):
        return "being_written"
    if name.endswith(".mp4"):
        return "clips" if clip else "segments"
    return "locks" if name.endswith(".lock") else "others"


def _size_bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:  # it was renamed or deleted meanwhile
        return 0


def _ends(days: set[str]) -> list[str]:
    return [min(days), max(days)] if days else []


# ---- how it is had


def _or_why(make: Callable[[], str]) -> str:
    try:
        return make()
    except (OSError, http.client.HTTPException, NotWellError, IndexDamaged, SchemaTooNew, SchemaTooOld) as trouble:
        return f"not to be had: {trouble}\n"


def _or_trouble(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return make()
    except OSError as trouble:
        return {"not to be had": str(trouble)}


def _output(*command: str, within_s: float = _COMMAND_S) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and the configuration's path
            command, capture_output=True, text=True, errors="replace", timeout=within_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as trouble:
        return f"not to be had: {trouble}\n"
    return done.stdout + done.stderr


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


# ---- what is struck out


@dataclass(frozen=True, slots=True)
class _Secrets:
    """What must not be in a bundle."""

    passwords: frozenset[str]
    users: frozenset[str]

    @classmethod
    def of(cls, config_path: Path) -> "_Secrets":
        """Of a configuration also where it is wrong, of its password files and of systemd's credentials."""
        try:
            document = tomllib.loads(config_path.read_text(errors="replace"))
        except (OSError, ValueError, RecursionError):
            document = {}
        base = config_path.absolute().parent
        files = [base / name for name in strike.named(document, "password_file")]
        folders = (str(base / CREDENTIALS), os.environ.get("CREDENTIALS_DIRECTORY", ""))
        files += [path for folder in filter(None, folders) for path in _entries(Path(folder))]
        passwords = strike.secrets_of(document).union(*(_lines(path) for path in files))
        return cls(frozenset(passwords), frozenset({"admin", "operator", "user", *strike.named(document, "user")}))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _lines(path: Path) -> set[str]:
    """Every line of a password file, of which the first is the password. What may not be read is in no part either."""
    try:
        with path.open("rb") as file:
            data = file.read(4096)
    except OSError:
        return set()
    return {line.strip() for line in data.decode(errors="replace").splitlines() if line.strip()}


def _struck(parts: list[Part], secrets: _Secrets) -> list[Part]:
    """The parts without passwords, after a page that says what they are."""
    clean = [Part(part.name, part.about, _clean(part, secrets)) for part in parts]
    head = _README.format(version=machine_look.installed()["nvr"], at=iso_utc(time.time_ns() // 1000))
    told = "".join(f"{part.name:<18}{part.about}\n" for part in clean)
    return [Part("README.txt", "what is in here and what is not", head + told), *clean]


def _clean(part: Part, secrets: _Secrets) -> str:
    if part.name != "config.toml":
        return strike.struck_out(part.text, secrets.passwords, secrets.users)
    clean = strike.configuration(part.text, secrets.passwords, secrets.users)
    if clean is None:
        return "left out: it is not TOML, so nobody can say where its passwords stand\n"
    return clean

"""`nvr support-bundle`: what somebody needs who is to find out what is wrong, in one file without passwords."""

import io
import json
import os
import platform
import re
import sqlite3
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from nvr import __version__, config
from nvr.cli import doctor
from nvr.cli.daemon import ask
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, print_json
from nvr.log import redacted
from nvr.store.errors import IndexDamaged, SchemaTooNew, SchemaTooOld
from nvr.store.reader import open_reader
from nvr.units import US, size_text

_COMMAND_S: Final = 20
_LOG_LINES: Final = 5000
_EVENTS_US: Final = 30 * 86_400 * US
_SECRET_LINE: Final = re.compile(
    r"""^(\s*[\w."'-]*(?:password|secret|token)["']?\s*=\s*).*$""", re.MULTILINE | re.IGNORECASE
)
_INLINE_SECRET: Final = re.compile(r"(\bpassword\s*=\s*)(\"(?:\\.|[^\"\\])*\"|'[^']*')")
_SHORTEST_SECRET: Final = (
    4  # a shorter one stands in too many words; the lines above it is on are struck out all the same
)


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
    strike = _striker(config_path)
    names = []
    try:
        # Never over a file that is there, and for nobody else to read.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise WrongUseError(f"{path} is there already; name another file with -o") from None
    with os.fdopen(fd, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as bundle:
        for name, told in _parts(config_path):
            _add(bundle, name, strike(told))
            names.append(name)
    if as_json:
        print_json({"path": str(path.absolute()), "size_bytes": path.stat().st_size, "parts": names})
    else:
        typer.echo(f"{path} ({size_text(path.stat().st_size)}): {', '.join(names)}")


def _parts(config_path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each part; one that cannot be had says why."""
    yield "version.json", _json(_versions())
    yield "config.toml", _or_why(lambda: config_path.read_text(errors="replace"))
    yield (
        "journal.txt",
        _output("journalctl", "--unit=nvr", f"--lines={_LOG_LINES}", "--no-pager", "--output=short-iso"),
    )
    yield "service.txt", _output("systemctl", "status", "--no-pager", "--full", "nvr")
    yield "disks.txt", _output("df", "--output=source,fstype,size,avail,target")
    try:
        settings = config.load(config_path)
    except config.ConfigError as wrong:
        yield "config-errors.txt", "\n".join(str(one) for one in (wrong, *wrong.others)) + "\n"
        return
    yield "status.json", _or_why(lambda: _json(ask(settings.data_dir, "/api/v1/status")))
    yield "metrics.txt", _or_why(lambda: _metrics(settings))
    yield "events.jsonl", _or_why(lambda: _events(settings))
    yield "doctor.json", _or_why(lambda: _json([doctor.facts(one) for one in doctor.look(settings)]))


def _versions() -> dict[str, object]:
    return {
        "nvr": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME") if Path("/etc/os-release").exists() else None,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }


def _metrics(settings: config.Config) -> str:
    if not settings.metrics.listen:
        return "metrics are off\n"
    address = f"http://{settings.metrics.listen}/metrics"
    with urllib.request.urlopen(address, timeout=_COMMAND_S) as answer:
        return str(answer.read().decode())


def _events(settings: config.Config) -> str:
    now_us = time.time_ns() // 1000
    found = open_reader(settings.data_dir).events_between(now_us - _EVENTS_US, now_us + _EVENTS_US)
    lines = [
        json.dumps({"at_us": one.at_us, "camera": one.camera, "kind": one.kind, "text": one.text, "facts": one.facts})
        for one in found
    ]
    return "\n".join(lines) + "\n"


def _or_why(make: Callable[[], str]) -> str:
    try:
        return make()
    except (OSError, NotWellError, IndexDamaged, SchemaTooNew, SchemaTooOld, ValueError) as trouble:
        return f"not to be had: {trouble}\n"


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_S, check=False)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired) as trouble:
        return f"not to be had: {trouble}\n"
    return done.stdout + done.stderr


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _striker(config_path: Path) -> Callable[[str], str]:
    """Strikes out every password that the configuration knows, and whatever stands where one would."""
    secrets = sorted(_secrets(config_path), key=len, reverse=True)

    def strike(text: str) -> str:
        text = _INLINE_SECRET.sub(r'\1"***"', redacted(text))
        text = _SECRET_LINE.sub(r'\1"***"', text)
        for secret in secrets:
            text = text.replace(secret, "***")
        return text

    return strike


def _secrets(config_path: Path) -> set[str]:
    try:
        settings = config.load(config_path)
    except config.ConfigError:
        return set()
    found = set()
    for name in settings.cameras:
        try:
            credentials = settings.credentials(name)
        except config.ConfigError:
            continue
        if credentials is not None and len(credentials.password.get_secret_value()) >= _SHORTEST_SECRET:
            found.add(credentials.password.get_secret_value())
    return found


def _add(bundle: tarfile.TarFile, name: str, told: str) -> None:
    data = told.encode()
    member = tarfile.TarInfo(f"nvr-support/{name}")
    member.size, member.mode, member.mtime = len(data), 0o600, int(time.time())
    bundle.addfile(member, io.BytesIO(data))

"""How nvr speaks to whoever reads its log: one line a matter, with keys, to stderr; no password in it, ever.

Say it with keys: `log.warning("camera lost", extra={"camera": name, "action": "reconnect"})`. Trouble that repeats goes
through a `Streak`: the first time WARNING, repeats DEBUG, recovery INFO with the sum.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import IO, assert_never


class Format(StrEnum):
    """Who reads the log."""

    AUTO = "auto"
    """The journal where stderr is its stream (systemd sets JOURNAL_STREAM), else a person."""
    JOURNAL = "journal"
    TEXT = "text"
    JSON = "json"


def start(form: Format = Format.AUTO, *, debug: bool = False, stream: IO[str] | None = None) -> None:
    """Send all log records of this process to `stream` (stderr) in this form; replaces what was there before."""
    out = stream if stream is not None else sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(_formatter(form, out))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for name, level in _QUIETER.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)


def redacted(text: str) -> str:
    """The same text with every `user:password@` of an address in it struck out."""
    return _USERINFO.sub(r"\1***@", text)


class Streak:
    """One kind of trouble of one thing, told once however often it comes.

    Not for threads: each owner has its own.
    """

    def __init__(
        self, log: logging.Logger, extra: dict[str, object], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`extra` are the keys of every line of this streak, such as camera and action."""
        self.count = 0
        """How often since it began; 0 while all is well."""
        self._log = log
        self._extra = extra
        self._monotonic = monotonic
        self._began_s = 0.0
        self._what = ""

    def hit(self, what: str, **keys: object) -> None:
        """It happened (again). WARNING where it is new, or where `what` is another trouble than last time."""
        if self.count == 0:
            self._began_s = self._monotonic()
        self.count += 1
        level = logging.WARNING if what != self._what else logging.DEBUG
        self._what = what
        self._log.log(level, what, extra={**self._extra, **keys, "times": self.count})

    def over(self, what: str, **keys: object) -> None:
        """All is well again: INFO with how often and how long it was not. Silent where nothing happened."""
        if self.count == 0:
            return
        lasted_s = round(self._monotonic() - self._began_s, 3)
        self._log.info(what, extra={**self._extra, **keys, "after_times": self.count, "after_seconds": lasted_s})
        self.count = 0
        self._what = ""


_USERINFO = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,31}://)[^\s/?#\"'<>]{1,512}@")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")  # a tab is harmless, a new line forges an entry
_NOT_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_QUIETER = {
    "asyncio": logging.WARNING,
    "alembic": logging.WARNING,
    "apscheduler": logging.ERROR,  # it warns each time a job is due that still runs
    "libav": logging.ERROR,
    "sqlalchemy": logging.WARNING,
    "uvicorn": logging.ERROR,  # warns of each malformed request: anyone could fill the disk with it
}

_COLOURS = {
    logging.DEBUG: "\x1b[2m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}


def _formatter(form: Format, stream: IO[str]) -> logging.Formatter:
    match form:
        case Format.JSON:
            return _Json()
        case Format.JOURNAL:
            return _Journal()
        case Format.TEXT:
            return _Text(colour=stream.isatty() and "NO_COLOR" not in os.environ)
        case Format.AUTO:
            return _formatter(Format.JOURNAL if _is_the_journal(stream) else Format.TEXT, stream)
        case _:
            assert_never(form)


def _is_the_journal(stream: IO[str]) -> bool:
    """systemd.exec(5): JOURNAL_STREAM is device:inode of the stream it connected; a redirected stderr differs."""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


def _one_line(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _keys(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((key, value) for key, value in vars(record).items() if key not in _NOT_EXTRA)


class _Line(logging.Formatter):
    """Message, then its keys as key=value; a traceback follows on lines of its own."""

    def said(self, record: logging.LogRecord) -> str:
        pairs = "".join(f" {key}={self._shown(value)}" for key, value in _keys(record))
        return redacted(_one_line(record.getMessage() + pairs))

    def trace(self, record: logging.LogRecord) -> list[str]:
        if not record.exc_info:
            return []
        return [redacted(_one_line(line)) for line in self.formatException(record.exc_info).split("\n")]

    @staticmethod
    def _shown(value: object) -> str:
        text = str(value)
        return json.dumps(text, ensure_ascii=False) if not text or any(char in text for char in ' "=') else text


class _Text(_Line):
    """For a person: local time, level, message; colours on a terminal."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        line = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} {record.levelname:<7} {self.said(record)}"
        tint = _COLOURS.get(record.levelno) if self._colour else None
        return "\n".join([f"{tint}{line}\x1b[0m" if tint else line, *self.trace(record)])


class _Journal(_Line):
    """For journald: sd-daemon(3) priorities, no time of our own; a traceback is lines of the same priority."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{self._priority(record.levelno)}>"
        return "\n".join(prefix + line for line in [self.said(record), *self.trace(record)])

    @staticmethod
    def _priority(level: int) -> int:
        if level >= logging.CRITICAL:
            return 2
        if level >= logging.ERROR:
            return 3
        if level >= logging.WARNING:
            return 4
        return 6 if level >= logging.INFO else 7


class _Json(logging.Formatter):
    """For a machine: one object a line, the keys beside `time`, `level`, `logger` and `message`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, object] = {
            "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        for key, value in _keys(record):
            plain = isinstance(value, bool | int | float | None)
            entry.setdefault(key, value if plain else redacted(str(value)))
        if record.exc_info:
            entry["traceback"] = redacted(self.formatException(record.exc_info))
        line = json.dumps(entry, ensure_ascii=False)
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)  # those that JSON lets through

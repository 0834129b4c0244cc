"""Answer heads as this camera sends them.

A general parser refuses what it must read here: a Content-Length that does not fit (fact sheet 5.2), a folded x-vn…
line (1.2), a head whose empty line is missing (5.2). Hostile answers meet caps on every size instead.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nvr.jvc.errors import ProtocolError

MAX_STATUS_LINE: Final = 1 << 10
MAX_LINE: Final = 8 << 10
MAX_LINES: Final = 64
MAX_HEAD: Final = 32 << 10
"""Bytes; ten times the longest head of the guide, and what servers themselves commonly allow."""

_STATUS: Final = re.compile(rb"HTTP/\d\.\d +(\d{3})(?: +(.*))?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)")
_CONTROLS_TO_SPACE: Final = bytes(b if 32 <= b != 127 else 32 for b in range(256))
_PARAMETERS_NAME: Final = re.compile(r"x-vn\w*_response")


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer says before its body. Field names are lower case; a field sent twice stands twice."""

    status: int
    reason: str
    """The words behind the status; empty where none are sent."""
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """The first value of the field `name` (lower case), or an empty string."""
        return next((value for field, value in self.fields if field == name), "")

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters, lower case; empty where none is sent."""
        return self.get("content-type").partition(";")[0].strip().lower()

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters in use by the x-vn…_response field (guide 1.3, 2.3); empty where the camera sends none."""
        for name, value in self.fields:
            if _PARAMETERS_NAME.fullmatch(name):
                return dict(_pairs(value))
        return {}

    def content_length(self, most: int) -> int | None:
        """The body's size in bytes, None where the head does not say.

        Raises ProtocolError for what is no size, for two different sizes, and for more than `most`.
        """
        sizes = {value for name, value in self.fields if name == "content-length"}
        if not sizes:
            return None
        if len(sizes) > 1:
            raise ProtocolError(f"an answer with two sizes, Content-Length {' and '.join(sorted(sizes)[:2])}")
        return size(sizes.pop(), most)


class HeadParser:
    """Reads one answer head out of any cut of its bytes.

    `empty_line_optional`: the body may follow the last field at once, as the printed answers of the parameter API do
    (fact sheet 5.2); the first line that is no field begins it.
    """

    def __init__(self, *, empty_line_optional: bool = False) -> None:
        self.rest = b""
        """What came behind the head, once it is whole."""
        self._empty_line_optional = empty_line_optional
        self._buffer = bytearray()
        self._line_at = 0
        self._scanned = 0
        self._status: int | None = None
        self._reason = ""
        self._fields: list[tuple[str, str]] = []

    def feed(self, data: bytes | memoryview) -> Head | None:
        """Takes the next bytes; the head once it is whole (then feed no more), else None. Raises ProtocolError."""
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            head = self._take_line(self._line_at, end)
            if head is not None:
                return head
            self._line_at = self._scanned = end + 1
        self._scanned = len(self._buffer)
        self._check_sizes(self._line_at, len(self._buffer))
        if self._status is None and not b"HTTP/".startswith(self._buffer[:5]):
            raise ProtocolError(f"an answer that is not HTTP: {excerpt(self._buffer)}")
        return None

    def finish(self) -> Head | None:
        """The end of the bytes: the head, where an unfinished last line was the body already, else None."""
        if not self._empty_line_optional or self._line_at == len(self._buffer):
            return None
        head = self.feed(b"\n")
        self.rest = self.rest[:-1]
        return head

    def _take_line(self, start: int, end: int) -> Head | None:
        self._check_sizes(start, end)
        line = bytes(self._buffer[start:end]).removesuffix(b"\r")
        if self._status is None:
            self._status, self._reason = _parse_status(line)
        elif not line:
            return self._complete(self._status, end + 1)
        elif self._continues_parameters(line):
            name, value = self._fields[-1]
            self._fields[-1] = (name, value + _text(line))
        elif (field := _FIELD.fullmatch(line)) is not None:
            self._fields.append((_text(field[1]).lower(), _text(field[2])))
            if len(self._fields) > MAX_LINES:
                raise ProtocolError(f"an answer with more than {MAX_LINES} header lines")
        elif self._empty_line_optional:
            return self._complete(self._status, start)
        else:
            raise ProtocolError(f"a line in the answer's head that is no header: {excerpt(line)}")
        return None

    def _continues_parameters(self, line: bytes) -> bool:
        """The guide prints name and value of the x-vn… field on two lines: a fold, or the width of its page (1.2)."""
        if not self._fields or not _PARAMETERS_NAME.fullmatch(self._fields[-1][0]):
            return False
        return line[:1] in b" \t" or (not self._fields[-1][1] and line.startswith(b"encode="))

    def _check_sizes(self, start: int, end: int) -> None:
        most = MAX_LINE if self._status is not None else MAX_STATUS_LINE
        if end - start > most:
            raise ProtocolError(f"a line of more than {most} bytes in the answer's head")
        if end > MAX_HEAD:
            raise ProtocolError(f"an answer with a head of more than {MAX_HEAD} bytes")

    def _complete(self, status: int, body_at: int) -> Head:
        self.rest = bytes(self._buffer[body_at:])
        self._buffer.clear()
        return Head(status, self._reason, tuple(self._fields))


def check_host(host: str) -> None:
    """Raises ValueError for a host that would break a request's Host line."""
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise ValueError(f"{host!r} cannot stand in a Host line")


def size(digits: str, most: int) -> int:
    """A size in bytes as a header says it. Raises ProtocolError where it is none, or more than `most`."""
    if not (digits.isascii() and digits.isdigit()):
        raise ProtocolError(f"Content-Length {digits[:32]!r} is no size")
    significant = digits.lstrip("0") or "0"
    # Counted before they are read: Python is slow to read thousands of digits, and then refuses in its own way.
    if len(significant) > len(str(most)) or int(significant) > most:
        raise ProtocolError(f"Content-Length {significant[:32]} is more than the {most} bytes taken")
    return int(significant)


def excerpt(data: bytes | bytearray, most: int = 24) -> str:
    """The first bytes as text that is safe in a log line."""
    return repr(bytes(data[:most])) + ("…" if len(data) > most else "")


def _parse_status(line: bytes) -> tuple[int, str]:
    match = _STATUS.fullmatch(line.rstrip())
    if match is None:
        raise ProtocolError(f"an answer that is not HTTP: {excerpt(line)}")
    return int(match[1]), _text(match[2] or b"")


def _text(raw: bytes) -> str:
    return raw.translate(_CONTROLS_TO_SPACE).decode("latin-1").strip()


def _pairs(value: str) -> Iterator[tuple[str, str]]:
    for item in value.split("&"):
        name, equals, setting = item.strip().partition("=")
        if equals:
            yield name, setting

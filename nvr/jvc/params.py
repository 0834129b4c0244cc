"""The parameter API, `GET /api/param?name` and `?name=value`: guide 5 and 6.1, fact sheet 5.

One request, one answer, one connection. Names and values are the guide's own words; which there are says the catalogue.
"""

import base64
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from nvr.jvc.catalogue import Named, known
from nvr.jvc.errors import ApiRefused, ProtocolError, RecordingFull
from nvr.jvc.http import Head, HeadParser, excerpt

MAX_QUERY: Final = 1024
"""Bytes of a request's string (guide 6.1)."""
MAX_BODY: Final = 64 << 10
"""Bytes; the longest answer, system.log, has 10 KB (guide 6.18)."""
UNAUTHORIZED: Final = 401

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.()-]*")
_LITERAL: Final = "+,:;()*!@$'=?"
"""What stays as it is in a value: all but what guide 6.4 has encoded; steps and moves need their + (fact sheet 5.3)."""
_ANSWER: Final = re.compile(r"(.*)&(\d{3})(?!\d)(.*)", re.ASCII)
_BARE_ANSWER: Final = re.compile(r"()(\d{3})(?![\w.])(.*)", re.ASCII)
_COMMIT: Final = re.compile(r"Accepted *\( *(.*?) *\)?", re.IGNORECASE)
_MAX_LINE: Final = 4 << 10  # a name and a value that a request could have carried, and the code
_MAX_TEXT: Final = 200  # of the camera's words in an error
_RECORDING_FULL: Final = 206


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks: admin, operator or user (guide 5.1). Raises ValueError for what Basic authentication cannot carry."""

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user or ":" in self.user or not self.user.isprintable():
            raise ValueError(f"{self.user!r} cannot be a user: one word without a colon")
        if not self.password.isprintable():
            raise ValueError("a password cannot contain control characters")

    @property
    def authorization(self) -> str:
        """The value of the Authorization line."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the camera said to a set that it carried out."""

    code: int
    text: str

    @property
    def commit(self) -> str | None:
        """What the camera says makes the change last (202); a hint, wrong in places (fact sheet 5.2). None: nothing."""
        if self.code != 202:
            return None
        match = _COMMIT.fullmatch(self.text)
        return match[1] if match is not None else ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer that carries a code."""

    name: str
    """As the camera echoes it; empty where it does not."""
    value: str | None
    """None where no `=` stands before the code: the answer to a set, or an error."""
    code: int
    text: str
    """The words behind the code."""

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 300


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer, whatever it says."""

    status: int
    """Of HTTP; an error may stand here, in the body's line, or in both (fact sheet 5.2: unknown)."""
    reason: str
    server: str
    media_type: str
    lines: tuple[str, ...]
    """Of the body, without empty ones."""

    def line(self, name: str) -> Line | None:
        """The line that answers for `name`: by its name, else the first with a code; some echoes are misspelt (5.2)."""
        told = [line for text in self.lines if (line := parse_line(text)) is not None]
        ours = (line for line in told if line.name.lower() == name.lower())
        return next(ours, told[0] if told else None)


class AnswerParser:
    """Reads one answer out of any cut of its bytes; `finish` at the end of the connection, or once `is_whole`."""

    def __init__(self) -> None:
        self._heads = HeadParser(empty_line_optional=True)
        self._head: Head | None = None
        self._most: int | None = None
        self._body = bytearray()

    def feed(self, data: bytes | memoryview) -> None:
        """Takes the next bytes. Raises ProtocolError for what is no answer, and for a body of more than MAX_BODY."""
        if self._head is not None:
            self._body += data
        elif (head := self._heads.feed(data)) is not None:
            self._begin_body(head)
        if len(self._body) > MAX_BODY:
            raise ProtocolError(f"an answer of more than {MAX_BODY} bytes")

    @property
    def is_whole(self) -> bool:
        """All bytes came that the head announces. It may announce more than ever come (5.2): wait for the end then."""
        return self._most is not None and len(self._body) >= self._most and self._ends_well()

    @property
    def is_answered(self) -> bool:
        """A whole line with a code has come: whoever gets tired of waiting for the end has an answer."""
        return b"&" in self._body and self._ends_well()

    def finish(self) -> Answer:
        """What has come, as an answer. Raises ProtocolError where that is not even a head."""
        if self._head is None and (head := self._heads.finish()) is not None:
            self._begin_body(head)
        if self._head is None:
            raise ProtocolError("an answer that ends inside its head")
        head = self._head
        text = _decoded(bytes(self._body))
        lines = (line.strip("\r\0") for line in text.split("\n"))
        return Answer(
            head.status, head.reason, head.get("server"), head.media_type, tuple(line for line in lines if line.strip())
        )

    def _begin_body(self, head: Head) -> None:
        self._head = head
        self._most = head.content_length(MAX_BODY)
        self._body += self._heads.rest

    def _ends_well(self) -> bool:
        """At the end of a line, or behind a code without one."""
        if self._body.endswith(b"\n"):
            return True
        last = bytes(self._body[self._body.rfind(b"\n") + 1 :])
        return len(last) <= _MAX_LINE and parse_line(_decoded(last)) is not None


def get_request(host: str, name: str, login: Login | None) -> bytes:
    """Asks for a parameter; `host` as its Host line has it. Raises ValueError for a name the API cannot have."""
    return _request(host, _checked(name), login)


def set_request(host: str, name: str, value: str, login: Login | None, *, keep: str = "") -> bytes:
    """Sets a parameter; the value is encoded here, but for the characters in `keep`.

    Raises ValueError for a name the API cannot have, a value it does not take, and more than MAX_QUERY bytes.
    """
    return _request(host, f"{_checked(name)}={encoded(value, keep)}", login)


def order(host: str, named: Named, value: str, login: Login | None) -> bytes:
    """Sets a parameter of the catalogue; the value as `Named.text_of` has it. Raises ValueError as set_request."""
    if named.parameter.keep and "/" in value:
        return _request(host, f"{_checked(named.name)}={_encoded_parts(value)}", login)
    return set_request(host, named.name, value, login)


def encoded(value: str, keep: str = "") -> str:
    """A value as a request carries it; nothing is `%00` (fact sheet 5.3).

    `keep`: more characters that stay, such as the slashes between the parts of an alarm action. Raises ValueError for
    control characters, which the camera does not take (guide 6.4).
    """
    if not value:
        return "%00"
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError("a parameter's value cannot contain control characters")
    return quote(value, safe=_LITERAL + keep)


def value_of(answer: Answer, name: str) -> str:
    """The value that was asked for; empty where it is blank. Raises ApiRefused, ProtocolError."""
    return _good_line(answer, name).value or ""


def outcome_of(answer: Answer, name: str) -> Outcome:
    """What came of a set. Raises ApiRefused, ProtocolError."""
    line = _good_line(answer, name)
    return Outcome(line.code, line.text)


def report_of(answer: Answer, name: str) -> tuple[str, ...]:
    """All lines of an answer of many lines (guide 6.18), as sent. Raises ApiRefused, ProtocolError."""
    _good_line(answer, name)
    return answer.lines


def parse_line(text: str) -> Line | None:
    """Reads a line of an answer; None for one that carries no code.

    A value may contain both separators: it lies between the first `=` and the last `&` before three digits (5.2).
    """
    match = _ANSWER.fullmatch(text) or _BARE_ANSWER.fullmatch(text)
    if match is None:
        return None
    name, equals, value = match[1].partition("=")
    return Line(name.strip(), value if equals else None, int(match[2]), match[3].strip(" ,\r"))


def misprint_of(name: str) -> str | None:
    """The other spelling that the guide prints for this name, None where it has none; to be tried after an error.

    Guide 6.2 and 6.5 print some names in another way in the entry that defines them (fact sheet 5.4); what a firmware
    knows is stated nowhere.
    """
    named = known(name)
    return named.also or None if named is not None else None


def _encoded_parts(value: str) -> str:
    """An alarm action or a network: the first three slashes divide its parts, one behind them belongs to the text."""
    return "/".join(map(encoded, value.split("/", 3)))


def _request(host: str, query: str, login: Login | None) -> bytes:
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise ValueError(f"{host!r} cannot stand in a Host line")
    if len(query) > MAX_QUERY:
        raise ValueError(f"a parameter's request has at most {MAX_QUERY} bytes, not {len(query)}")
    lines = [
        f"GET /api/param?{query} HTTP/1.1",
        "Accept: text/plain",  # without it the camera answers HTML (guide 5.1)
        f"Host: {host}",
        "Connection: close",
    ]
    if login is not None:
        lines.append(f"Authorization: {login.authorization}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name[:80]!r} cannot be a parameter's name: letters, digits and . _ - ( )")
    return name


def _good_line(answer: Answer, name: str) -> Line:
    line = answer.line(name)
    if line is not None and line.code == _RECORDING_FULL:
        raise RecordingFull(name, line.code, line.text[:_MAX_TEXT])
    if line is not None and not line.is_good:
        raise ApiRefused(name, line.code, line.text[:_MAX_TEXT])
    if not 200 <= answer.status < 300:
        raise ApiRefused(name, answer.status, answer.reason[:_MAX_TEXT])
    if line is None:
        said = excerpt(answer.lines[0].encode(), 64) if answer.lines else "nothing"
        raise ProtocolError(f"asked for {name}, the camera answered {said}")
    return line


def _decoded(raw: bytes) -> str:
    """Text of unknown character set (fact sheet 1.5): UTF-8 where it is, else byte by byte."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")

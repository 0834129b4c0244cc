"""HTTP as far as the camera speaks it: one request a connection, bounded; heads of answers."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MAX_HEAD: Final = 8_192
"""Bytes of a request head."""
_MAX_BODY: Final = 65_536


class BadRequest(Exception):
    """The client sent no request this server can read; carries one sentence."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its body: no path of this server takes one."""

    method: str
    path: str
    query: str
    """Behind the question mark, as sent."""
    headers: dict[str, str]
    """Names in lower case."""

    @property
    def items(self) -> dict[str, str]:
        """The query as name=value joined by & (guide 1.2); a name alone has the value ''."""
        return {name: value for name, _, value in (part.partition("=") for part in self.query.split("&")) if name}

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password of Basic authentication, None without or unreadable."""
        scheme, _, code = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(code.strip(), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (user, password) if colon else None


def parse(head: bytes) -> Request:
    """Reads a request head without its empty line; raises BadRequest."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(f"{first[:100]!r} is no request line")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise BadRequest(f"{line[:100]!r} is no header")
        headers[name.strip().lower()] = value.strip()
    path, _, query = words[1].partition("?")
    return Request(words[0], path, query, headers)


def date() -> str:
    """Now, as a Date header has it."""
    return datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def answer(status: int, reason: str, server: str, kind: str, body: bytes, *more: str) -> bytes:
    """A whole answer with its length; `more` are further header lines."""
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        f"Content-Length: {len(body)}",
        f"Content-type: {kind}",
        f"Date: {date()}",
        f"Server: {server}",
        *more,
    ]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def page(title: str, text: str) -> bytes:
    """A small page, as embedded servers have them for errors."""
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1>{text}</body></html>\r\n".encode()

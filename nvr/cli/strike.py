"""Strikes passwords out of whatever leaves this machine. Pure: told the configuration's text and what else is secret.

By place: whatever stands where the configuration has a password. By value: every password that is known, in each form
in which a log, JSON or an address would have it.
"""

import base64
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from nvr.log import redacted

STRUCK: Final = "***"
SHORTEST: Final = 4
"""A shorter password stands in too many words to be struck out by value."""

_WORDS: Final = r"(?:password|passwd|passphrase|secret|token)"
# Between dots, underscores and brackets only: a camera may be named secret-door.
_SECRET_KEY: Final = re.compile(rf"(?:^|[._]){_WORDS}(?:$|[._(])", re.IGNORECASE)
_TEXT: Final = r'"""[\s\S]*?"""|' r"'''[\s\S]*?'''|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'"
_SECRET_VALUE: Final = re.compile(
    rf"""((?:^|[\s{{,.#])["']?[\w.()-]{{0,80}}{_WORDS}(?!_file)[\w.()-]{{0,80}}["']?\s*=\s*)(?:{_TEXT})""",
    re.IGNORECASE,
)


def secrets_of(document: Mapping[str, Any]) -> set[str]:
    """Every text below a key that names a secret, however deep; keys of files hold none."""
    return set(_texts_below(document, below_secret=False))


def named(document: Any, key: str) -> Iterator[str]:
    """Every text that stands at keys of this name, however deep."""
    for at, value in _items(document):
        if at == key and isinstance(value, str):
            yield value
        yield from named(value, key)


def configuration(text: str, secrets: Iterable[str], users: Iterable[str] = ()) -> str | None:
    """A configuration without its secrets; None where nobody can be sure of that."""
    struck = struck_out(_SECRET_VALUE.sub(rf'\1"{STRUCK}"', text), secrets, users)
    try:
        left = secrets_of(tomllib.loads(struck))
    except (ValueError, RecursionError):
        return None
    return struck if left <= {STRUCK, ""} else None


def struck_out(text: str, secrets: Iterable[str], users: Iterable[str] = ()) -> str:
    """A text without these secrets, and without what stands before the @ of an address."""
    known = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret, users)}
    text = redacted(text)
    for form in sorted(known, key=len, reverse=True):  # a password that is part of another leaves no rest of it
        text = text.replace(form, STRUCK)
    return text


def _forms(secret: str, users: Iterable[str]) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield secret.encode("unicode_escape").decode()
    yield quote(secret, safe="")
    yield quote_plus(secret)
    for user in users:  # as HTTP's Basic authentication has it (guide 5.1)
        yield base64.b64encode(f"{user}:{secret}".encode()).decode()


def _texts_below(value: Any, *, below_secret: bool) -> Iterator[str]:
    if isinstance(value, str):
        if below_secret:
            yield value
        return
    for key, inner in _items(value):
        is_secret = bool(_SECRET_KEY.search(key)) and not key.endswith("_file")
        yield from _texts_below(inner, below_secret=below_secret or is_secret)


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, list):
        return [("", inner) for inner in value]
    return ()

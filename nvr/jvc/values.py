"""What a parameter's value may be: words, ranges and forms, as the catalogue writes them.

A `Kind` is read from one entry of `values`: a word (`autoL`), a range (`0..100`, `s0..s255`, `3k..100k`,
`+0.00..+359.99`), ranges joined by `-` (`0..320-0..240`), or a form in angle brackets (`<text>`).
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from nvr.jvc.mask import Mask

_NUMBER: Final = r"\d{1,9}(?:\.\d{1,2})?"
_RANGE: Final = re.compile(rf"([+-]|[a-z]?)({_NUMBER})([a-z]?)\.\.\1({_NUMBER})\3", re.ASCII)
_PLAIN: Final = re.compile(rf"[+-]?{_NUMBER}", re.ASCII)
_SHOWN: Final = 60  # of a wrong value in a sentence


class Kind(Protocol):
    """One way a value may look."""

    def takes(self, value: str) -> bool: ...

    @property
    def words(self) -> str:
        """As a sentence names it."""
        ...


@dataclass(frozen=True, slots=True)
class Word:
    """Exactly this."""

    word: str

    def takes(self, value: str) -> bool:
        return value == self.word

    @property
    def words(self) -> str:
        return self.word


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`, with letters before or behind it, and at most so many decimals."""

    before: str
    low: Decimal
    high: Decimal
    behind: str
    decimals: int

    def takes(self, value: str) -> bool:
        number = self.number(value)
        return number is not None and self.low <= number <= self.high

    def number(self, value: str) -> Decimal | None:
        """The number in a value of this look, whatever its size; None for another look."""
        inner = value.removeprefix(self.before)
        if not value.startswith(self.before) or not value.endswith(self.behind):
            return None
        inner = inner.removesuffix(self.behind) if self.behind else inner
        match = re.fullmatch(_NUMBER, inner, re.ASCII)
        if match is None or len(inner.partition(".")[2]) > self.decimals:
            return None
        return Decimal(inner)

    @property
    def words(self) -> str:
        return f"{self._written(self.low)} to {self._written(self.high)}"

    def _written(self, number: Decimal) -> str:
        return f"{self.before}{number}{self.behind}"


@dataclass(frozen=True, slots=True)
class Joined:
    """Several ranges with a `-` between them."""

    parts: tuple[Range, ...]

    def takes(self, value: str) -> bool:
        given = value.split("-")
        return len(given) == len(self.parts) and all(
            part.takes(one) for part, one in zip(self.parts, given, strict=True)
        )

    @property
    def words(self) -> str:
        return "-".join(f"({part.words})" for part in self.parts)


@dataclass(frozen=True, slots=True)
class Form:
    """Text of some form."""

    name: str
    words: str
    check: Callable[[str], bool]

    def takes(self, value: str) -> bool:
        return self.check(value)


def read_kind(text: str) -> Kind:
    """The kind that an entry of `values` names. Raises ValueError for a form that nobody knows."""
    if text.startswith("<"):
        try:
            return FORMS[text]
        except KeyError:
            raise ValueError(f"{text} is no form of a value") from None
    if (whole := _read_range(text)) is not None:
        return whole
    parts = [_read_range(part) for part in text.split("-")]
    if len(parts) > 1 and all(parts):
        return Joined(tuple(part for part in parts if part is not None))
    return Word(text)


def shown(value: str) -> str:
    """A value in a sentence, cut where it is long."""
    return repr(value if len(value) <= _SHOWN else value[: _SHOWN - 3] + "...")


def listed(choices: list[str]) -> str:
    """As a sentence: a, b or c."""
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def number_of(value: str) -> Decimal | None:
    """The number a value is; None where it is a word."""
    return Decimal(value) if _PLAIN.fullmatch(value) is not None else None


def _read_range(text: str) -> Range | None:
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    before, low, behind, high = match.groups()
    return Range(before, Decimal(low), Decimal(high), behind, len(low.partition(".")[2]))


# ---- forms


def _is_text(value: str) -> bool:
    return value != "" and value.isprintable()


def _is_ipv4(value: str) -> bool:
    return _parses(ipaddress.IPv4Address, value)


def _is_ipv6(value: str) -> bool:
    return _parses(ipaddress.IPv6Address, value)


def _is_multicast(value: str) -> bool:
    return _is_ipv4(value) and ipaddress.IPv4Address(value).is_multicast


_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*", re.ASCII)


def _is_host(value: str) -> bool:
    """An address or a name; digits and dots alone can only be meant as an address."""
    if re.fullmatch(r"[\d.]+", value, re.ASCII):
        return _is_ipv4(value)
    return _HOST_NAME.fullmatch(value) is not None


def _is_client(value: str) -> bool:
    address, slash, length = value.partition("/")
    if slash:
        return _is_ipv4(address) and (
            (length.isascii() and length.isdecimal() and int(length) <= 32) or _parses(_network, value)
        )
    return _is_host(value)


def _network(value: str) -> object:
    return ipaddress.IPv4Network(value, strict=False)


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


_HHMMSS: Final = r"(?:[01]\d|2[0-3])[0-5]\d[0-5]\d"


def _is_span(value: str) -> bool:
    """Guide 6.4: from 000000 to 235959, until 000001 to 240000, and the begin before the end."""
    match = re.fullmatch(rf"({_HHMMSS})-({_HHMMSS}|240000)", value, re.ASCII)
    return match is not None and match[1] < match[2]


def _is_date(value: str) -> bool:
    return re.fullmatch(r"\d{14}", value, re.ASCII) is not None and _parses(
        lambda text: datetime.strptime(text, "%Y%m%d%H%M%S"),  # noqa: DTZ007 - of no zone (fact sheet 8)
        value,
    )


_TEXT: Final = r".{1,127}"
_ACTIONS: Final = (
    r"recftp/ftp01/object01",
    r"ftpto/ftp01/object01",
    rf"mailto/[^/\s]{{1,95}}/(?:none|object01)/{_TEXT}",
    r"pinout/[mb][12]/(?:0|[1-9]\d{2}|[1-4]\d{3}|5000)",
    r"camera\.position\(\d\d?\)\.status/goto",
    r"camera\.image\.true_daynight/(?:bw|color|auto[HML])",
)
_is_plain_action: Final = _matches("|".join(_ACTIONS))
_SEND: Final = re.compile(rf"(?:tcpto|udpto)/([^/]+)/(\d{{1,5}})/{_TEXT}", re.ASCII)


def _is_action(value: str) -> bool:
    """Guide 6.4; texts have 1 to 127 bytes, and neither tabs nor line ends."""
    if not value.isprintable() or not _text_fits(value):
        return False
    sends = _SEND.fullmatch(value)
    if sends is not None:
        return _is_host(sends[1]) and 1 <= int(sends[2]) <= 65_535
    return _is_plain_action(value)


def _text_fits(value: str) -> bool:
    parts = value.split("/", 3)
    return len(parts) < 4 or len(parts[3].encode()) <= 127


_SINGLE: Final = r"[mb][12]|v1|ncbws|ncbwe|efans|camera\.position\(\d\d?\)\.status"


def _is_trigger(value: str) -> bool:
    """Guide 6.4: one of these, two inputs within so many seconds, or an interval of periodic FTP."""
    if re.fullmatch(rf"{_SINGLE}|i[1-9]\d{{0,5}}", value, re.ASCII):
        return True
    match = re.fullmatch(r"([mb][12])\([1-9]\d{0,5}\)([mb][12])", value, re.ASCII)
    return match is not None and match[1] != match[2]


_FORMS: Final = (
    Form("<text>", "text without control characters", _is_text),
    Form("<host>", "an address such as 192.168.0.10 or a host name", _is_host),
    Form("<client>", "an address, a network such as 10.0.0.0/24, or a host name", _is_client),
    Form("<hostname>", "letters, digits, - and .", _matches(r"[A-Za-z0-9.-]+")),
    Form("<ipv4>", "an address such as 192.168.0.10", _is_ipv4),
    Form("<ipv6>", "an IPv6 address", _is_ipv6),
    Form("<multicast>", "a multicast address, 224.0.0.0 to 239.255.255.255", _is_multicast),
    Form("<mac>", "12 hexadecimal digits", _matches(r"[0-9A-Fa-f]{12}")),
    Form(
        "<mail>",
        "a mail address of letters, digits and . @ ! # $ % & ' * + - / = ? ^ _ ` { } | ~",
        _matches(r"[A-Za-z0-9.@!#$%&'*+\-/=?^_`{}|~]+"),
    ),
    Form("<user>", "a name without spaces and ( ) < > [ ] : ; ,", _matches(r"[^\s()<>\[\]:;,\x00-\x1f\x7f]+")),
    Form("<hhmmss>", "a time such as 235959", _matches(_HHMMSS)),
    Form("<hhmmss-hhmmss>", "a span of a day such as 080000-240000, its begin before its end", _is_span),
    Form("<YYYYMMDDhhmmss>", "a date and time such as 20090313120000", _is_date),
    Form("<timezone>", "a time zone's name such as Pacific or GMT+1", _matches(r"[A-Za-z0-9+:_/-]+")),
    Form("<rrggbb>", "six hexadecimal digits such as 808080", _matches(r"[0-9A-Fa-f]{6}")),
    Form(
        "<mask>",
        "24 hexadecimal digits, or 8 rows of 12 blocks drawn with # and .",
        lambda text: _parses(Mask.parse, text),
    ),
    Form(
        "<action>",
        "mailto/ADDRESS/none|object01/TEXT, recftp/ftp01/object01, tcpto|udpto/HOST/PORT/TEXT, pinout/m1|b1|m2|b2/MS, "
        "camera.position(N).status/goto, camera.image.true_daynight/bw|color|autoH|autoM|autoL or ftpto/ftp01/object01",
        _is_action,
    ),
    Form(
        "<trigger>",
        "m1, b1, m2, b2, v1, ncbws, ncbwe, efans, camera.position(N).status, two inputs such as m1(10)b2, or i1500",
        _is_trigger,
    ),
    Form("<report>", "a report of several lines", _is_text),
)
FORMS: Final[Mapping[str, Form]] = {form.name: form for form in _FORMS}

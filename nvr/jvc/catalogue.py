"""Every parameter of the camera, from catalogue.toml: who may get and set it, what it may be, what makes it last.

Sentences of a ValueError name what is allowed; they come before anything is sent.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any, Final

from nvr.jvc.mask import Mask
from nvr.jvc.values import Form, Kind, Range, Word, listed, number_of, read_kind, shown

Value = bool | int | float | str
"""A parameter's value as a file or a program has it: on and off are booleans, numbers are numbers, the rest is text."""

_INDEX: Final = "(n)"
_ON_OFF: Final = {"on": True, "off": False}
_VERSION: Final = re.compile(r"\D*(\d+)[-.](\d+)", re.ASCII)


class Access(StrEnum):
    """What can be done with a parameter."""

    READ = "read"
    READ_WRITE = "read-write"
    WRITE = "write"
    ACTION = "action"


class Role(StrEnum):
    """The camera's three users (guide 5.1)."""

    ADMIN = "admin"
    OPERATOR = "operator"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One entry of the catalogue; its fields are explained at the head of catalogue.toml."""

    name: str
    kind: Access
    values: tuple[str, ...]
    get: frozenset[Role]
    set: frozenset[Role]
    commit: str
    about: str
    indexes: tuple[tuple[str, ...], ...] = ()
    """The values that each (n) may have, ranges written out."""
    only_get: tuple[str, ...] = ()
    only_set: tuple[str, ...] = ()
    blank: bool = False
    max_bytes: int | None = None
    min_characters: int = 0
    max_characters: int | None = None
    unit: str = ""
    steps: int | None = None
    keep: str = ""
    also: str = ""
    or_commit: tuple[str, ...] = ()
    then: str = ""
    no_commit: tuple[str, ...] = ()
    set_as: Mapping[str, str] = field(default_factory=dict)
    state: bool = False
    secret: bool = False
    lacks: tuple[str, ...] = ()
    value_lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index_lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    answer_seconds: Mapping[str, int] = field(default_factory=dict)
    restart_seconds: int | None = None
    limit_seconds: int | None = None
    known: tuple[str, ...] = ()

    @property
    def is_setting(self) -> bool:
        """It can be told and set, and is no mere state: what a backup keeps."""
        return self.kind is Access.READ_WRITE and not self.state

    @property
    def settable(self) -> tuple[Kind, ...]:
        """What may be set."""
        return tuple(read_kind(text) for text in (*self.values, *self.only_set) if text not in self.only_get)

    @property
    def told(self) -> tuple[Kind, ...]:
        """What the camera may tell."""
        return tuple(read_kind(text) for text in self.values)

    def each(self) -> "Iterator[Named]":
        """All of them, where it has indexes: in the catalogue's order."""
        for chosen in product(*self.indexes):
            yield Named(self, chosen)

    @property
    def allowed(self) -> str:
        """What may be set, as the end of a sentence."""
        choices = [kind.words for kind in self.settable] + (["nothing at all (blank)"] if self.blank else [])
        limit = ""
        if self.max_bytes is not None:
            limit = f" of at most {self.max_bytes} bytes"
        elif self.min_characters:
            limit = f" of {self.min_characters} to {self.max_characters} characters"
        elif self.max_characters is not None:
            limit = f" of at most {self.max_characters} characters"
        return listed(choices) + limit

    def is_lacked_by(self, model: str, version: tuple[int, int]) -> bool:
        """Whether that model with that firmware has no such parameter (fact sheet 10)."""
        return any(_covers(one, model, version) for one in self.lacks)


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter with its indexes filled in."""

    parameter: Parameter
    indexes: tuple[str, ...]

    @property
    def name(self) -> str:
        return _filled(self.parameter.name, self.indexes)

    @property
    def also(self) -> str:
        """The other spelling that the guide prints; empty where there is none."""
        return _filled(self.parameter.also, self.indexes)

    @property
    def commit(self) -> str:
        """What makes a change last; empty where it lasts at once.

        For what belongs to a preset position this is kept open: whoever sets it knows which position is meant.
        """
        commit = self.parameter.commit
        return commit if commit.startswith("camera.position(") else _filled(commit, self.indexes)

    @property
    def then(self) -> str:
        return _filled(self.parameter.then, self.indexes)

    def commit_of(self, value: str) -> str:
        """What makes this value last: words that only do something need nothing more."""
        done = {*self.parameter.no_commit, *(word for word in self.parameter.only_set if self.parameter.state)}
        if value in done and not self.commit.startswith("camera.position("):
            return ""
        return self.commit

    def check_get(self, role: Role | None = None) -> None:
        """Raises ValueError where it cannot be got, NotAllowed where that user may not."""
        allowed = self.parameter.get
        if not allowed:
            raise ValueError(f"{self.name} cannot be read, only set")
        if role is not None and role not in allowed:
            raise NotAllowed(f"only {listed(sorted(allowed))} may read {self.name}, not {role}")

    def check_set(self, value: str, role: Role | None = None) -> None:
        """Raises ValueError with one sentence for a value it does not take, NotAllowed where that user may not."""
        parameter = self.parameter
        if not parameter.set:
            raise ValueError(f"{self.name} cannot be set, only read")
        if role is not None and role not in parameter.set:
            raise NotAllowed(f"only {listed(sorted(parameter.set))} may set {self.name}, not {role}")
        if not self._takes(value):
            given = "that" if parameter.secret else shown(value)
            raise ValueError(f"{self.name} takes {self._allowed}, not {given}")

    def text_of(self, value: Value) -> str:
        """A value as the camera is told it. Raises ValueError for one that it does not take."""
        text = self._written(value)
        text = self.parameter.set_as.get(text, text)
        self.check_set(text)
        return text

    def told_text_of(self, value: Value) -> str:
        """A value as the camera tells it once it is set. Raises ValueError for one that is never told, or not set."""
        text = self._written(value)
        done = text in self.parameter.only_set
        if done or not (text == "" or any(kind.takes(text) for kind in self.parameter.told)):
            told = listed([kind.words for kind in self.parameter.told])
            raise ValueError(f"{self.name} is {told}, not {shown(text)}")
        self.check_set(self.parameter.set_as.get(text, text))
        return text

    def _written(self, value: Value) -> str:
        if isinstance(value, bool):
            text = "on" if value else "off"
        elif isinstance(value, float):
            text = self._number_text(value)
        else:
            text = str(value)
        if self._is_mask and not isinstance(value, bool):
            text = _mask_hex(self.name, text)
        return text

    def value_of(self, text: str) -> Value:
        """A value as a file has it; what the catalogue does not expect stays text."""
        if text in _ON_OFF and text in self.parameter.values:
            return _ON_OFF[text]
        number = number_of(text)
        if number is not None and self._is_numeric and not text.startswith("+"):
            return int(number) if number == number.to_integral_value() and "." not in text else float(number)
        if self._is_mask:
            return _drawn(text)
        return text

    def agree(self, one: str, other: str) -> bool:
        """Whether two values mean the same: 10 and 10.00, ff and FF, a figure and what it may be rounded to."""
        if one == other:
            return True
        a, b = number_of(one), number_of(other)
        if a is not None and b is not None and self._is_numeric:
            return a == b or self._may_be_rounded(float(a), float(b))
        if self._is_mask or "<rrggbb>" in self.parameter.values or "<mac>" in self.parameter.values:
            return one.lower() == other.lower()
        return False

    def answer_s(self, value: str) -> float | None:
        """How long its answer may take where that is minutes."""
        seconds = self.parameter.answer_seconds.get(value)
        return None if seconds is None else float(seconds)

    @property
    def _is_mask(self) -> bool:
        return "<mask>" in self.parameter.values

    @property
    def _is_numeric(self) -> bool:
        return any(
            (isinstance(kind, Range) and not kind.behind and not kind.before) or number_of(text) is not None
            for text, kind in zip(self.parameter.values, self.parameter.told, strict=True)
        )

    def _takes(self, value: str) -> bool:
        parameter = self.parameter
        if value == "":
            return parameter.blank
        if parameter.max_bytes is not None and len(value.encode()) > parameter.max_bytes:
            return False
        if len(value) < parameter.min_characters:
            return False
        if parameter.max_characters is not None and len(value) > parameter.max_characters:
            return False
        return any(kind.takes(value) for kind in parameter.settable) and self._suits_event(value)

    def _suits_event(self, value: str) -> bool:
        """Alarm action 6 is periodic FTP and nothing else, and nothing else is (guide 6.4)."""
        if self.parameter.name not in ("application.event(n).action", "application.event(n).trigger"):
            return True
        periodic = value.startswith("ftpto/") or re.fullmatch(r"i\d+", value, re.ASCII) is not None
        return periodic == (self.indexes == ("6",))

    @property
    def _allowed(self) -> str:
        match self.parameter.name, self.indexes:
            case "application.event(n).action", ("6",):
                return "ftpto/ftp01/object01"
            case "application.event(n).trigger", ("6",):
                return "an interval in seconds such as i1500"
        return self.parameter.allowed

    def _number_text(self, value: float) -> str:
        """A float as the camera writes it: two decimals where the range has them, else as short as can be."""
        decimals = max((kind.decimals for kind in self.parameter.settable if isinstance(kind, Range)), default=0)
        return f"{value:.{decimals}f}" if decimals else f"{value:g}"

    def _may_be_rounded(self, one: float, other: float) -> bool:
        """A camera that has only so many steps may tell the nearest one of what it was given."""
        scale = next((kind for kind in self.parameter.told if isinstance(kind, Range)), None)
        if self.parameter.steps is None or scale is None:
            return False
        width = float(scale.high - scale.low) / (self.parameter.steps - 1)
        return abs(one - other) <= width / 2


class NotAllowed(ValueError):
    """The camera's user that nvr logs in as may not do this."""


@cache
def catalogue() -> tuple[Parameter, ...]:
    """All parameters, in the guide's order."""
    raw = tomllib.loads(files("nvr.jvc").joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return tuple(_read(entry) for entry in raw["parameter"])


def known(name: str) -> Named | None:
    """The parameter of that name, its indexes filled in; None where there is none."""
    return _by_name().get(name)


def find(name: str) -> Named:
    """The same, but ValueError with names that are near where there is none."""
    named = known(name)
    if named is None:
        raise ValueError(_unknown(name))
    return named


def matching(words: str) -> list[Parameter]:
    """The parameters whose name or meaning has all these words, in the guide's order."""
    wanted = words.lower().split()
    return [one for one in catalogue() if all(word in f"{one.name} {one.about}".lower() for word in wanted)]


def settings() -> Iterator[Named]:
    """What a backup keeps, one after the other."""
    for parameter in catalogue():
        if parameter.is_setting:
            yield from parameter.each()


def version_of(revision: str) -> tuple[int, int] | None:
    """A firmware's number, V1-00 or v3.00 (fact sheet 10: dash or dot); None for anything else."""
    match = _VERSION.match(revision)
    return (int(match[1]), int(match[2])) if match is not None else None


@cache
def _by_name() -> Mapping[str, Named]:
    return {named.name: named for parameter in catalogue() for named in parameter.each()}


def _unknown(name: str) -> str:
    general = re.sub(r"\([^()]*\)", _INDEX, name)
    for parameter in catalogue():
        if parameter.indexes and re.sub(r"\([^()]*\)", _INDEX, parameter.name) == general:
            ranges = " and ".join(_span(values) for values in parameter.indexes)
            return f"{name[:80]} is no parameter: {parameter.name} goes with {ranges}"
    near = get_close_matches(name, [parameter.name for parameter in catalogue()], n=3)
    hint = f"; did you mean {listed(near)}?" if near else "; nvr camera params lists them"
    return f"{name[:80]!r} is no parameter of the camera{hint}"


def _span(values: tuple[str, ...]) -> str:
    return f"{values[0]} to {values[-1]}" if values[0].isdecimal() else listed(list(values))


def _filled(pattern: str, indexes: tuple[str, ...]) -> str:
    for index in indexes:
        pattern = pattern.replace(_INDEX, f"({index})", 1)
    return pattern


def _mask_hex(name: str, text: str) -> str:
    try:
        return Mask.parse(text).hex
    except ValueError as wrong:
        raise ValueError(f"{name}: {wrong}") from None


def _drawn(text: str) -> str:
    try:
        return Mask.parse(text).drawing
    except ValueError:
        return text


def _covers(lack: str, model: str, version: tuple[int, int]) -> bool:
    """`VN-V686`, or `VN-V686<1.02`; VN-V686U is a VN-V686, VN-V686BU is a VN-V686B (fact sheet 10)."""
    name, before, until = lack.partition("<")
    said = "VN-V686B" if model.startswith("VN-V686B") else model[: len("VN-V686")]
    if name != said:
        return False
    limit = version_of(until) if before else None
    return limit is None or version < limit


def _read(entry: Mapping[str, Any]) -> Parameter:
    fields = dict(entry)
    fields["kind"] = Access(fields["kind"])
    fields["get"], fields["set"] = (frozenset(map(Role, fields[key])) for key in ("get", "set"))
    fields["indexes"] = tuple(_written_out(values) for values in fields.get("indexes", ()))
    for key in ("values", "only_get", "only_set", "or_commit", "no_commit", "lacks", "known"):
        fields[key] = tuple(fields.get(key, ()))
    for key in ("value_lacks", "index_lacks"):
        fields[key] = {lack: tuple(values) for lack, values in fields.get(key, {}).items()}
    return Parameter(**fields)


def _written_out(values: list[str]) -> tuple[str, ...]:
    out: list[str] = []
    for value in values:
        kind = read_kind(value)
        if isinstance(kind, Range):
            out += [str(number) for number in range(int(kind.low), int(kind.high) + 1)]
        else:
            assert isinstance(kind, Word | Form)  # noqa: S101 - our own file
            out.append(value)
    return tuple(out)

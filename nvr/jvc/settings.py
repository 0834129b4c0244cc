"""Settings as a file has them: read into single parameters, compared with what a camera tells, and put in order.

A file names a parameter with its indexes, or leaves the last index open: `"camera.position(n).comment" = { 0 = "home",
3 = "gate", rest = "" }`.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nvr.jvc.catalogue import Named, Parameter, Value, catalogue, find

OPEN: Final = "(n)"
REST: Final = "rest"

_IP: Final = "network.interface.ip"
_PORT: Final = "network.http.port"
_DHCP: Final = "network.interface.dhcp.status"
_GATEWAY: Final = "network.gateway(ipv4)"
_ACCESS: Final = "network.access_control(stream_out)"
_LOGIC: Final = f"{_ACCESS}.logic"

_RESTARTING: Final = (
    "network.http(configuration).status=restart",
    "system.status=restart",
    "network.interface.status=restart",
)
"""Commits that take the camera or its port away: last, and the one after which it may be elsewhere last of all."""
_BEFORE: Final = (
    # Guide 6.2, 6.3, 6.6: these change or limit what stands behind them.
    ("camera.image.senseup_limit", "camera.shutter"),
    ("camera.image.dnr", "camera.image.3ddnr"),
    ("encode(1).framesize", "encode(1).quality"),
    ("encode(2).cbr_mode", "encode(2).framerate"),
    ("camera.motion.auto_tracking(2).max_zoom", "camera.motion.auto_tracking(2).zoom_limit"),
    ("network.ntp.unit", "network.ntp.interval"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter that is to be another."""

    name: str
    told: str | None
    """None where the camera did not tell it."""
    wanted: str

    @property
    def named(self) -> Named:
        return find(self.name)

    @property
    def sentence(self) -> str:
        """As a plan shows it."""
        return f"{self.name}: {_shown(self.named, self.told)} -> {_shown(self.named, self.wanted)}"


@dataclass(frozen=True, slots=True)
class Stage:
    """Changes that are made to last together."""

    changes: tuple[Change, ...]
    commit: str
    """Empty where they last at once."""

    @property
    def restarts(self) -> bool:
        """The camera restarts, or serves elsewhere."""
        return self.commit in _RESTARTING

    def moves(self, address: tuple[str, int]) -> tuple[str, int]:
        """Where the camera of that address answers once this is done."""
        for change in self.changes:
            if change.name == _IP:
                address = (change.wanted, address[1])
            elif change.name == _PORT:
                address = (address[0], int(change.wanted))
        return address


def expanded(table: Mapping[str, Any]) -> dict[str, str]:
    """What a file's table sets, parameter by parameter, as the camera is told it.

    Raises ValueError with one sentence for what no camera could be set to, and for what could not be compared.
    """
    out: dict[str, str] = {}
    for name, value in table.items():
        for one, given in _each(name, value):
            named = find(one)
            if not named.parameter.is_setting:
                raise ValueError(f"{one} is no setting that can be read back and compared: nvr camera set sets it")
            out[one] = _text(named, given)
    return out


def compact(values: Mapping[str, str]) -> dict[str, Value | dict[str, Value]]:
    """Single parameters as a file has them, in the guide's order; where the last of them are alike, as `rest`."""
    out: dict[str, Value | dict[str, Value]] = {}
    for parameter in catalogue():
        for pattern, group in _by_pattern(parameter, values):
            if len(group) == 1 and not parameter.indexes:
                out[pattern] = next(iter(group.values()))
            elif group:
                out[pattern] = _with_rest(group, len(parameter.indexes[-1]))
    return out


def differences(wanted: Mapping[str, str], told: Mapping[str, str]) -> list[Change]:
    """What is to be changed, in the guide's order; values that mean the same are no difference."""
    return [
        Change(name, told.get(name), value)
        for name, value in wanted.items()
        if name not in told or not find(name).agree(value, told[name])
    ]


def plan(changes: Iterable[Change]) -> list[Stage]:
    """The changes in an order that the camera takes: what depends on another behind it, restarts last."""
    ordered = _ordered(list(changes))
    names = {change.name: change.wanted for change in ordered}
    late_gateway = names.get(_DHCP) == "off"  # guide 6.10: not to be set while DHCP is on
    stages: dict[tuple[int, str], list[Change]] = {}
    for change in ordered:
        commit = change.named.commit_of(change.wanted).replace("encode(2)", "encode(1)")  # guide 6.3: either saves both
        rank = _RESTARTING.index(commit) + 2 if commit in _RESTARTING else 1 if change.name.startswith(_ACCESS) else 0
        if change.name == _GATEWAY and late_gateway:
            rank = len(_RESTARTING) + 2
        stages.setdefault((rank, commit), []).append(change)
    return [Stage(tuple(group), commit) for (_, commit), group in sorted(stages.items(), key=lambda item: item[0][0])]


def locks_out(values: Mapping[str, str], client: str) -> bool:
    """Whether an access list with these values keeps that address from video (guide 6.14).

    A host name in it is taken as somebody else's: the camera asks its own DNS.
    """
    hosts = [value for name, value in values.items() if name.startswith(f"{_ACCESS}.host(") and value]
    listed = any(_covers(host, client) for host in hosts)
    if not hosts:
        return False
    return listed if values.get(_LOGIC, "deny") == "deny" else not listed


def touches_access(changes: Iterable[Change]) -> bool:
    """Whether any of them is about who may have video."""
    return any(change.name.startswith(_ACCESS) for change in changes)


def access_names() -> list[str]:
    """All parameters of the access list."""
    return [_LOGIC, *(f"{_ACCESS}.host({number})" for number in range(1, 11))]


def names_of(pattern: str) -> list[str]:
    """All parameters that a name with its last index left open stands for. Raises ValueError."""
    return [pattern.replace(OPEN, f"({index})") for index in _open_indexes(pattern)]


def _each(name: str, value: Any) -> list[tuple[str, Any]]:
    if OPEN not in name:
        if isinstance(value, Mapping):
            raise ValueError(f"{name} has one value, not a table; a table goes with an index left open as (n)")
        return [(name, value)]
    indexes = _open_indexes(name)
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} has an open index: write {{ {indexes[0]} = ..., rest = ... }}")
    unknown = [key for key in value if key not in indexes and key != REST]
    if unknown:
        raise ValueError(f"{name} has no {unknown[0]!r}: (n) is {indexes[0]} to {indexes[-1]}, or rest")
    given = {index: value.get(index, value.get(REST)) for index in indexes}
    return [(name.replace(OPEN, f"({index})"), one) for index, one in given.items() if one is not None]


def _open_indexes(name: str) -> tuple[str, ...]:
    if name.count(OPEN) == 1:
        for parameter in catalogue():
            for pattern, indexes in _patterns(parameter):
                if pattern == name:
                    return indexes
    raise ValueError(f"{name[:80]!r} is no parameter with one open index; nvr camera params lists them")


def _patterns(parameter: Parameter) -> list[tuple[str, tuple[str, ...]]]:
    """Its names with the last index left open, and that index's values."""
    match parameter.indexes:
        case ():
            return [(parameter.name, ())]
        case (only,):
            return [(parameter.name, only)]
        case (first, last):
            return [(parameter.name.replace(OPEN, f"({index})", 1), last) for index in first]
        case _:
            raise AssertionError("the guide has no parameter with three indexes")


def _by_pattern(parameter: Parameter, values: Mapping[str, str]) -> list[tuple[str, dict[str, Value]]]:
    found = []
    for pattern, indexes in _patterns(parameter):
        names = {index: pattern.replace(OPEN, f"({index})") for index in indexes} or {"": pattern}
        group = {index: find(name).value_of(values[name]) for index, name in names.items() if name in values}
        if group:
            found.append((pattern, group))
    return found


def _with_rest(group: dict[str, Value], whole: int) -> dict[str, Value]:
    """`rest` stands for the commonest value where the file is shorter for it and all indexes are there."""
    # As text: True and 1 are equal to Python, and not to a camera.
    (commonest, count), *_ = Counter(map(repr, group.values())).most_common(1)
    if len(group) < whole or count < 3:
        return dict(group)
    rest = next(value for value in group.values() if repr(value) == commonest)
    return {index: value for index, value in group.items() if repr(value) != commonest} | {REST: rest}


def _text(named: Named, given: Any) -> str:
    if not isinstance(given, bool | int | float | str):
        raise ValueError(f"{named.name} takes {named.parameter.allowed}, not a {type(given).__name__}")
    return named.told_text_of(given)


def _ordered(changes: Sequence[Change]) -> list[Change]:
    out = list(changes)
    for first, then in _BEFORE:
        names = [change.name for change in out]
        if first in names and then in names:
            out = _swapped(out, first, then, _needs_first(out, first, then))
    if any(change.name == _LOGIC and change.wanted == "deny" for change in out):
        return out
    # Who may have video is listed before all others are kept out.
    return sorted(out, key=lambda change: change.name == _LOGIC)


def _needs_first(changes: Sequence[Change], first: str, then: str) -> bool:
    """A slower shutter comes before more gathering of light, a shorter one after (guide 6.2); so with zoom limits."""
    wanted = {change.name: change.wanted for change in changes}
    told = {change.name: change.told for change in changes}
    match first:
        case "camera.image.senseup_limit":
            return wanted[first] == "0"
        case "camera.motion.auto_tracking(2).max_zoom":
            return float(wanted[first]) >= float(told[first] or 0)
        case "network.ntp.unit":
            return wanted[first] != "day"
    return True


def _swapped(changes: list[Change], first: str, then: str, in_order: bool) -> list[Change]:
    ahead, behind = (first, then) if in_order else (then, first)
    at = {change.name: position for position, change in enumerate(changes)}
    if at[ahead] < at[behind]:
        return changes
    moved = changes.pop(at[ahead])
    changes.insert(at[behind], moved)
    return changes


def _covers(host: str, client: str) -> bool:
    try:
        return ipaddress.ip_address(client) in ipaddress.ip_network(host, strict=False)
    except ValueError:
        return host == client


def _shown(named: Named, value: str | None) -> str:
    if value is None:
        return "(not told)"
    if named.parameter.secret:
        return "***"
    return value or '""'

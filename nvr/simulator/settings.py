"""The table of parameters that are only kept: name, first value, what it may be, who may change it, what commits it.

Written from guide 6; a new one is one line. Parameters that do something stand in params.py.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

ALL: Final = frozenset({"admin", "operator", "user"})
OPERATORS: Final = frozenset({"admin", "operator"})
ADMIN: Final = frozenset({"admin"})

_STEPS: Final = 10  # of a scale from 0 to 100 that + and - move by one

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Setting:
    """One kept parameter."""

    name: str
    first: str
    """Its value from the factory."""
    check: Check
    commit: str = ""
    """What must be said to keep a change (the hint in 202 Accepted); none: a change is kept at once."""
    get_by: frozenset[str] = ALL
    set_by: frozenset[str] = OPERATORS
    words: tuple[str, ...] = ()
    """Where it has words in an order, + and - go one further."""
    scale: tuple[int, int] | None = None
    """Where it is a number, its range; + and - go a tenth of it."""

    def stepped(self, value: str, sign: str) -> str | None:
        """The value one step up or down (guide: `=+`, `=-`), None where it has no steps."""
        if self.scale is not None:
            low, high = self.scale
            step = max(1, (high - low) // _STEPS)
            return str(max(low, min(high, int(value) + (step if sign == "+" else -step))))
        if self.words and self.words[0].isdigit():
            at = self.words.index(value) + (1 if sign == "+" else -1)
            return self.words[max(0, min(len(self.words) - 1, at))]
        return None


def kept() -> Iterator[Setting]:
    """All of them."""
    yield from _CAMERA
    yield from _ENCODE
    yield from _NETWORK
    for number in range(1, 11):
        yield Setting(
            f"network.access_control(stream_out).host({number})", "", _text(64), get_by=OPERATORS, set_by=ADMIN
        )
    for mode in range(3):
        for step in range(100):
            name = f"camera.motion.auto_patrol({mode}).position({step})"
            yield _number(name, "0", 0, 99, f"camera.motion.auto_patrol({mode}).status=save")
            yield _number(f"{name}.duration", "5", 1, 120, f"camera.motion.auto_patrol({mode}).status=save")


def _text(most_bytes: int) -> Check:
    return lambda value: len(value.encode("utf-8")) <= most_bytes


def _matching(pattern: str) -> Check:
    return lambda value: re.fullmatch(pattern, value) is not None


def _one_of(name: str, words: str, first: str, commit: str = "", set_by: frozenset[str] = OPERATORS) -> Setting:
    choice = tuple(words.split())
    return Setting(name, first, choice.__contains__, commit, set_by=set_by, words=choice)


def _number(
    name: str, first: str, low: int, high: int, commit: str = "", set_by: frozenset[str] = OPERATORS
) -> Setting:
    check: Check = lambda value: value.isdecimal() and len(value) < 9 and low <= int(value) <= high  # noqa: E731
    return Setting(name, first, check, commit, set_by=set_by, scale=(low, high))


_SAVE: Final = "camera.status=save"
_CAMERA: Final = (
    _one_of("camera.image.monitortype", "custome lcd1 lcd2 crt", "lcd1", _SAVE),
    _number("camera.image.pedestal", "50", 0, 100, _SAVE),
    _one_of("camera.image.gamma", "1 0.55 0.5 0.45 active", "0.45", _SAVE),
    _number("camera.image.gamma.activelevel", "0", 0, 100, _SAVE),
    _one_of("camera.image.enhance.band", "high low", "high", _SAVE),
    _number("camera.image.enhance", "50", 0, 100, _SAVE),
    _number("camera.image.color", "50", 0, 100, _SAVE),
    _one_of("camera.image.stabilizer", "on off", "off", _SAVE),
    _number("camera.image.stabilizer.level", "100", 0, 100, _SAVE),
    _one_of("camera.image.dnr", "on off", "on", _SAVE),
    _one_of("camera.image.3ddnr", "off low mid high", "off", _SAVE),
    _one_of("camera.image.brightness", "manual autoL autoM autoH", "autoM", _SAVE),
    _one_of("camera.image.senseup_limit", "0 2 4 8 16 32 64 128", "0", _SAVE),
    _one_of("camera.auto_exposure.priority", "motion quality", "motion", _SAVE),
    _one_of("camera.shutter", "60 100 250 500 1000 2000 4000 10000", "60", _SAVE),
    _one_of("camera.image.true_daynight", "color bw autoL autoM autoH", "autoM", _SAVE),
    _one_of("camera.image.true_daynight.af", "on off", "on", _SAVE),
    _one_of("camera.image.true_daynight.light", "normal infrared", "normal", _SAVE),
    Setting("camera.iris", "autoM", _matching(r"auto[LMH]|manual|100|\d\d?")),
    _one_of("camera.image.white_balance", "autoW autoN autoFull sodium manual op_auto", "autoW"),
    Setting("camera.image.white_balance.r", "s85", _matching(r"s(1?\d?\d|2[0-4]\d|25[0-5])")),
    Setting("camera.image.white_balance.b", "s85", _matching(r"s(1?\d?\d|2[0-4]\d|25[0-5])")),
    _one_of("camera.image.blc", "off a b c d", "off"),
    _number("camera.detection.level", "50", 0, 100, _SAVE),
    Setting("camera.detection.area", "f" * 24, _matching("[0-9a-fA-F]{24}"), _SAVE),
    _one_of("camera.motion.zoom.digitallimit", "1 2 4 8 16 32", "1", _SAVE),
    _one_of("camera.motion.pan.limit.status", "on off", "off", _SAVE),
    _number("camera.motion.tilt.limit.upper", "5", 0, 15, _SAVE),
    _one_of("camera.motion.tilt.auto_flip", "off full_digital half full full_reverse", "off", _SAVE),
    _one_of("camera.motion.variable_pantiltspeed.status", "on off", "on", _SAVE),
    _one_of("camera.private_mask.status", "on off", "off", _SAVE),
    Setting("camera.focus", "easy_auto", _matching(r"\d\d?\.\d\d|easy_auto|op_auto|manual")),
)

_SAVE_ENCODE: Final = "encode(1).status=save"
_ENCODE: Final = (
    _one_of("encode(1).cbr_mode", "vfs afs", "afs", _SAVE_ENCODE),
    Setting("encode(1).quality", "40k", _matching(r"([3-9]|[1-9]\d|100)k"), _SAVE_ENCODE),
    _one_of("encode(2).cbr_mode", "cbr vbr", "cbr", "encode(2).status=save"),
    _one_of("encode(2).priority", "motion quality", "motion", "encode(2).status=save"),
)

_RESTART: Final = "network.interface.status=restart"
_NETWORK: Final = (
    Setting("network.interface.subnetmask", "255.255.255.0", _matching(r"[\d.]{7,15}"), _RESTART, set_by=ADMIN),
    Setting("network.gateway(ipv4)", "0.0.0.0", _matching(r"[\d.]{7,15}"), set_by=ADMIN),  # noqa: S104 - a value
    _one_of("network.interface.dhcp.status", "on off", "off", _RESTART, ADMIN),
    Setting("network.hostname", "localhost", _text(63), set_by=ADMIN),
    _number("network.interface.mtu", "1420", 576, 1500, _RESTART, ADMIN),
    _number("network.interface.ttl.unicast", "64", 1, 255, _RESTART, ADMIN),
    _number("network.interface.ttl.multicast", "16", 1, 255, _RESTART, ADMIN),
    _one_of("network.access_control(stream_out).logic", "deny allow", "deny", set_by=ADMIN),
    _one_of("network.ntp.status", "on off restart", "off"),
    Setting("network.ntp.host", "0.0.0.0", _text(64), "network.ntp.status=restart"),  # noqa: S104 - a value
    _number("network.ntp.interval", "1", 1, 60, "network.ntp.status=restart"),
    _one_of("network.ntp.unit", "min hour day", "hour", "network.ntp.status=restart"),
    Setting("system.timezone", "UTC", _text(32), "system.status=restart", set_by=ADMIN),
)

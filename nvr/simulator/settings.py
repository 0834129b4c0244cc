"""The table of parameters that are kept: name, first value, what it may be, who may get and change it, what commits it.

Written from guide 6; a new one is one line. Parameters that do something stand in params.py and motion.py.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

ALL: Final = frozenset({"admin", "operator", "user"})
OPERATORS: Final = frozenset({"admin", "operator"})
ADMIN: Final = frozenset({"admin"})

_SHOWN_STEPS: Final = 11  # of a scale from 0 to 100 where the guide names no other number

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Group:
    """What is committed together."""

    name: str
    hint: str = ""
    """In 202 Accepted( ), as the guide prints it; the guide's hints are not always what commits (fact sheet 5.4)."""
    late: bool = False
    """A change holds, and is told, only once it is committed; else it holds at once and is lost at power off."""


AT_ONCE: Final = Group("")
"""Kept as it is set."""
CAMERA: Final = Group("camera", "camera.status=save")
ENCODE: Final = Group("encode", "encode(1).status=save")
ENCODE_2: Final = Group("encode", "encode(2).status=save")
INTERFACE: Final = Group("interface", "network.interface.status=restart", late=True)
IPV6: Final = Group("interface", "network.dns.status=restart", late=True)
DNS: Final = Group("dns", "network.dns.status=restart", late=True)
NTP: Final = Group("ntp", "network.ntp.status=restart", late=True)
HTTP: Final = Group("http", "network.http(configuration).status=restart", late=True)
VSIP: Final = Group("vsip", "network.vsip_server.status=restart", late=True)
ZONE: Final = Group("system", "system.status=restart", late=True)
IMAGE: Final = Group("image", "camera(num).status=save or camera.motion.auto_pan.image=save")
"""Iris, white balance, back light compensation: kept with a preset position, or for auto pan and auto trace."""


def event(number: int) -> Group:
    return Group(f"event({number})", f"application.event({number}).status=restart", late=True)


def patrol(mode: int) -> Group:
    """The guide's hint has no index (fact sheet 5.4)."""
    return Group(f"patrol({mode})", "camera.motion.auto_patrol.status=save")


@dataclass(frozen=True, slots=True)
class Setting:
    """One kept parameter."""

    name: str
    first: str
    """Its value from the factory."""
    check: Check
    group: Group = AT_ONCE
    get_by: frozenset[str] = ALL
    set_by: frozenset[str] = OPERATORS
    words: tuple[str, ...] = ()
    """Where it has words in an order, + and - go one further."""
    steps: int = 0
    """Where it goes from 0 to 100 and + and - are taken: in so many steps."""

    def stepped(self, value: str, sign: str) -> str | None:
        """The value one step up or down (guide: `=+`, `=-`), None where it has no steps."""
        if self.steps:
            width = 100 / (self.steps - 1)
            at = int(value) / width
            there = int(at + 1 + 1e-9) if sign == "+" else -int(-(at - 1) + 1e-9) if at < 1 else int(at - 1e-9)
            return str(max(0, min(100, round(there * width))))
        if self.words:
            at_word = self.words.index(value) + (1 if sign == "+" else -1)
            return self.words[max(0, min(len(self.words) - 1, at_word))]
        return None


def kept() -> Iterator[Setting]:
    """All of them."""
    yield from _CAMERA
    yield from _IMAGE
    yield from _ENCODE
    yield from _ALARM
    yield from _PTZ
    yield from _NETWORK
    for number in range(1, 7):
        yield from _event(number)
    for number in (1, 2):
        yield Setting(f"peripheral.output_pin.pin({number}).duration", "0", _is_duration)
    for number in range(100):
        yield Setting(f"camera.position({number}).comment", "", _characters(0, 32))
    for number in range(8):
        yield _one_of(f"camera.private_mask.area({number}).status", "on off", "off", CAMERA)
    for number in range(1, 11):
        name = f"network.access_control(stream_out).host({number})"
        yield Setting(name, "", _or_blank(_is_client), get_by=OPERATORS, set_by=ADMIN)
    for mode in range(3):
        for step in range(100):
            name = f"camera.motion.auto_patrol({mode}).position({step})"
            yield _number(name, "0", 0, 99, patrol(mode))
            yield _one_of(f"{name}.duration", "0 10 20 30 45 60 120", "0", patrol(mode))


def _bytes(most: int) -> Check:
    return lambda value: len(value.encode("utf-8")) <= most and value.isprintable()


def _characters(least: int, most: int) -> Check:
    return lambda value: least <= len(value) <= most and value.isprintable()


def _matching(pattern: str) -> Check:
    return lambda value: re.fullmatch(pattern, value) is not None


def _or_blank(check: Check) -> Check:
    return lambda value: value == "" or check(value)


def _one_of(
    name: str,
    words: str,
    first: str,
    group: Group = AT_ONCE,
    set_by: frozenset[str] = OPERATORS,
    *,
    get_by: frozenset[str] = ALL,
    steps: bool = False,
) -> Setting:
    choice = tuple(words.split())
    return Setting(name, first, choice.__contains__, group, get_by, set_by, choice if steps else ())


def _between(low: int, high: int) -> Check:
    return lambda value: value.isascii() and value.isdecimal() and len(value) < 9 and low <= int(value) <= high


def _number(
    name: str,
    first: str,
    low: int,
    high: int,
    group: Group = AT_ONCE,
    set_by: frozenset[str] = OPERATORS,
    *,
    get_by: frozenset[str] = ALL,
    steps: int = 0,
) -> Setting:
    return Setting(name, first, _between(low, high), group, get_by, set_by, steps=steps)


def _scale(name: str, first: str, steps: int = _SHOWN_STEPS) -> Setting:
    """0 to 100, with + and -."""
    return _number(name, first, 0, 100, CAMERA, steps=steps)


def _is_ip(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _is_host(value: str) -> bool:
    numeric = re.fullmatch(r"[\d.]+", value) is not None
    return _is_ip(value) if numeric else re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}", value) is not None


def _is_client(value: str) -> bool:
    if "/" not in value:
        return _is_host(value)
    try:
        ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        return False
    return True


def _is_duration(value: str) -> bool:
    return value == "0" or _between(100, 5000)(value)


def _parts(*ranges: tuple[int, int]) -> Check:
    def check(value: str) -> bool:
        given = value.split("-")
        return len(given) == len(ranges) and all(
            _between(*limits)(part) for part, limits in zip(given, ranges, strict=True)
        )

    return check


def _zoom_times(value: str) -> bool:
    return re.fullmatch(r"\d\d?(\.\d\d?)?", value) is not None and 1 <= float(value) <= 21.37


_TIME: Final = r"([01]\d|2[0-3])[0-5]\d[0-5]\d"


def _is_filter_time(value: str) -> bool:
    begin, _, end = value.partition("-")
    good = re.fullmatch(_TIME, begin) is not None and (end == "240000" or re.fullmatch(_TIME, end) is not None)
    return good and begin < end


_TEXT: Final = r"[^\t\r\n]{1,127}"
_FTP: Final = "ftpto/ftp01/object01"
_ACTION: Final = re.compile(
    rf"""recftp/ftp01/object01
    | mailto/[^/ ]{{1,95}}/(none|object01)/{_TEXT}
    | (tcpto|udpto)/[A-Za-z0-9.-]+/\d{{1,5}}/{_TEXT}
    | pinout/[mb][12]/(0|[1-9]\d{{2}}|[1-4]\d{{3}}|5000)
    | camera\.position\(\d\d?\)\.status/goto
    | camera\.image\.true_daynight/(bw|color|autoH|autoM|autoL)""",
    re.VERBOSE,
)
_TRIGGER: Final = re.compile(
    r"""[mb][12] | v1 | ncbws | ncbwe | efans | camera\.position\(\d\d?\)\.status
    | (?P<one>[mb][12])\(\d+\)(?!(?P=one))[mb][12]""",
    re.VERBOSE,
)


def _event(number: int) -> Iterator[Setting]:
    name, group = f"application.event({number})", event(number)
    periodic = number == 6
    action: Check = (lambda value: value == _FTP) if periodic else (lambda value: bool(_ACTION.fullmatch(value)))
    trigger: Check = _matching(r"i\d+") if periodic else (lambda value: bool(_TRIGGER.fullmatch(value)))
    yield Setting(f"{name}.action", _FTP if periodic else "", _or_blank(action), group, OPERATORS)
    yield Setting(f"{name}.trigger", "i3600" if periodic else "m1", trigger, group, OPERATORS)
    for day in ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"):
        of_day = f"{name}.filter({day})"
        yield _one_of(f"{of_day}.status", "on off", "off", group, get_by=OPERATORS)
        yield Setting(f"{of_day}.time", "000000-240000", _is_filter_time, group, OPERATORS)
        yield _one_of(f"{of_day}.type", "mask unmask", "mask", group, get_by=OPERATORS)


_CAMERA: Final = (
    Setting("camera.id", "Camera01", _bytes(40), CAMERA),
    _one_of("camera.image.monitortype", "custome lcd1 lcd2 crt", "lcd1", CAMERA),
    _scale("camera.image.pedestal", "50", 3),
    _one_of("camera.image.gamma", "1 0.55 0.5 0.45 active", "0.45", CAMERA, steps=True),
    _number("camera.image.gamma.activelevel", "0", 0, 100, CAMERA),
    _one_of("camera.image.enhance.band", "high low", "high", CAMERA),
    _scale("camera.image.enhance", "50"),
    _scale("camera.image.color", "50"),
    _one_of("camera.image.stabilizer", "on off", "off", CAMERA),
    _scale("camera.image.stabilizer.level", "100", 3),
    _one_of("camera.image.dnr", "on off", "off", CAMERA),
    _one_of("camera.image.3ddnr", "off low mid high", "off", CAMERA),
    _one_of("camera.image.brightness", "manual autoL autoM autoH", "autoM", CAMERA),
    _one_of("camera.image.senseup_limit", "0 2 4 8 16 32 64 128", "0", CAMERA, steps=True),
    _one_of("camera.auto_exposure.priority", "motion quality", "motion", CAMERA),
    _one_of("camera.shutter", "60 100 250 500 1000 2000 4000 10000", "60", CAMERA, steps=True),
    _one_of("camera.image.true_daynight", "color bw autoL autoM autoH", "autoM", CAMERA),
    _one_of("camera.image.true_daynight.af", "on off", "on", CAMERA),
    _one_of("camera.image.true_daynight.light", "normal infrared", "normal", CAMERA),
    _one_of("camera.detection.status", "on off", "on", CAMERA),
    _number("camera.detection.level", "50", 0, 100, CAMERA),
    Setting("camera.detection.area", "f" * 24, _matching("[0-9a-fA-F]{24}"), CAMERA),
    _one_of("camera.private_mask.status", "on off", "off", CAMERA),
    Setting("camera.private_mask.color", "808080", _matching("[0-9a-fA-F]{6}"), CAMERA),
)

_GAIN: Final = _matching(r"s(1?\d?\d|2[0-4]\d|25[0-5])")
_IMAGE: Final = (
    Setting("camera.iris", "autoM", _matching(r"auto[LMH]|100|\d\d?"), IMAGE),
    _one_of("camera.image.white_balance", "autoW autoN autoFull sodium manual", "autoW", IMAGE),
    Setting("camera.image.white_balance.r", "s85", _GAIN, IMAGE),
    Setting("camera.image.white_balance.b", "s219", _GAIN, IMAGE),
    _one_of("camera.image.blc", "off a b c d", "off", IMAGE),
)

_ENCODE: Final = (
    _one_of("encode(1).framesize", "vga qvga", "vga", ENCODE),
    _one_of("encode(1).cbr_mode", "vfs afs", "afs", ENCODE),
    Setting("encode(1).quality", "40k", _matching(r"([3-9]|[1-9]\d|100)k"), ENCODE),
    _one_of("encode(2).framesize", "vga qvga", "vga", ENCODE),  # guide 6.3: its hint names encode(1)
    _one_of("encode(2).framerate", "30 25 15 10 7.5 6 5 3 2 1", "30", ENCODE_2),
    _number("encode(2).iframeinterval", "30", 1, 255, ENCODE_2),
    _number("encode(2).bitrate", "2000000", 64_000, 8_000_000, ENCODE_2),
    _one_of("encode(2).cbr_mode", "cbr vbr", "cbr", ENCODE_2),
    _one_of("encode(2).priority", "motion quality", "motion", ENCODE_2),
)

_NO_HOST: Final = "0.0.0.0"  # noqa: S104 - a value of the camera's
_MAIL: Final = _matching(r"[A-Za-z0-9.@!#$%&'*+\-/=?^_`{|}~]{1,96}")
_ALARM: Final = (
    Setting("application.smtp.host", _NO_HOST, _or_blank(_is_host)),
    _number("application.smtp.port", "25", 1, 65535),
    Setting("application.smtp.mailfrom", "", _or_blank(_MAIL)),
    _one_of("application.smtp.type", "simple pbs", "simple"),
    Setting("application.pop.host", _NO_HOST, _or_blank(_is_host)),
    _number("application.pop.port", "110", 1, 65535),
    Setting("application.pop.user", "", _matching(r"[^ ()<>\[\]:;,]{0,64}")),
    Setting("application.pop.password", "", _bytes(32), get_by=frozenset()),
    Setting("application.ftp.host", _NO_HOST, _or_blank(_is_host)),
    Setting("application.ftp.path", "", _bytes(63)),
    Setting("application.ftp.user", "", _bytes(32), get_by=OPERATORS),
    Setting("application.ftp.password", "", _bytes(32), get_by=frozenset()),
    _one_of("application.ftp.naming", "default type1 type2", "default", get_by=OPERATORS),
    Setting("application.ftp.naming_option", "abc", _bytes(16), get_by=OPERATORS),
    _one_of("application.ftp.mode", "active passive", "active"),
    _number("application.ftp.port", "21", 1, 65535),
    _one_of("application.object.framerate", "30 15 10 7.5 6 5 3 2 1", "10"),
    _number("application.object.prerec", "2", 0, 60),
    _number("application.object.postrec", "2", 0, 60),
)

_TRACKING: Final = "camera.motion.auto_tracking"
_RETURNS: Final = (
    "home auto_pan auto_patrol(0) auto_patrol(1) auto_patrol(2) auto_trace auto_tracking(1) auto_tracking(2)"
)
_PTZ: Final = (
    _one_of("camera.motion.auto_return.mode", _RETURNS, "home", CAMERA),
    _one_of("camera.motion.auto_return.timeout", "60 120 180 300 600 1200 1800 3600", "60", CAMERA),
    _one_of("camera.motion.auto_return.status", "on off", "off", CAMERA),
    _number(f"{_TRACKING}(1).level", "50", 0, 100, CAMERA),
    _number(f"{_TRACKING}(2).level", "50", 0, 100, CAMERA),
    _one_of(f"{_TRACKING}(1).restarttime", "off 10 20 30 40 50 60 120", "10", CAMERA),
    _one_of(f"{_TRACKING}(2).restarttime", "off 10 20 30 40 50 60 120", "10", CAMERA),
    Setting(f"{_TRACKING}(2).area", "F" * 24, _matching("[0-9a-fA-F]{24}"), CAMERA),
    _one_of(f"{_TRACKING}(2).zoom", "on off", "on", CAMERA),
    Setting(f"{_TRACKING}(2).max_zoom", "21.37", _zoom_times, CAMERA),
    Setting(f"{_TRACKING}(2).zoom_limit", "10", _zoom_times, CAMERA),
    Setting(f"{_TRACKING}(2).threshold.hsv", "40-40-40", _parts((0, 180), (0, 255), (0, 255)), CAMERA),
    Setting(f"{_TRACKING}(2).threshold.rgb", "40-40-40", _parts((0, 255), (0, 255), (0, 255)), CAMERA),
    Setting(f"{_TRACKING}(2).dead_zone", "40-40", _parts((0, 320), (0, 240)), CAMERA),
    _one_of("camera.motion.zoom.digitallimit", "1 2 4 8 16 32", "1", CAMERA),
    _one_of("camera.motion.pan.limit.status", "on off", "off", CAMERA),
    _number("camera.motion.tilt.limit.upper", "5", 0, 15, CAMERA),
    _number("camera.motion.position.speed", "100", 0, 100, CAMERA),
    _one_of("camera.motion.tilt.auto_flip", "off full_digital half full full_reverse", "off", CAMERA),
    _one_of("camera.motion.variable_pantiltspeed.status", "on off", "on", CAMERA),
    _one_of("camera.motion.auto_pan.mode", "left right return", "right", CAMERA),
    _number("camera.motion.auto_pan.speed", "50", 0, 100, CAMERA),
    _one_of("camera.motion.pan.auto_cleaning.status", "on off", "off", CAMERA, ADMIN),
    Setting("camera.motion.pan.auto_cleaning.time", "235959", _matching(_TIME), CAMERA, set_by=ADMIN),
)

_NETWORK: Final = (
    _one_of("network.interface.dhcp.status", "on off", "off", INTERFACE, ADMIN),
    Setting("network.interface.ip", "192.168.0.2", _is_ip, INTERFACE, set_by=ADMIN),
    Setting("network.interface.subnetmask", "255.255.255.0", _is_ip, INTERFACE, set_by=ADMIN),
    _one_of("network.interface.ipv6.status", "on off", "off", IPV6),
    _number("network.interface.dscp.video.jpeg", "0", 0, 255, INTERFACE, ADMIN),
    _number("network.interface.dscp.video.mpeg", "0", 0, 255, INTERFACE, ADMIN),
    _number("network.interface.ttl.unicast", "64", 1, 255, INTERFACE, ADMIN),
    _number("network.interface.ttl.multicast", "16", 1, 255, INTERFACE, ADMIN),
    _number("network.interface.mtu", "1420", 1280, 1500, INTERFACE, ADMIN),
    _one_of("network.interface.negotiation", "auto 100full 100half 10full 10half", "auto", INTERFACE, ADMIN),
    Setting("network.gateway(ipv4)", _NO_HOST, _is_ip, set_by=ADMIN),
    Setting("network.hostname", "localhost", _matching("[A-Za-z0-9.-]{0,63}"), set_by=ADMIN),
    _one_of("network.dns.status", "on off", "off"),
    Setting("network.dns.ip", _NO_HOST, _is_ip, DNS),
    _number("network.http.port", "80", 1, 65535, HTTP, get_by=OPERATORS),
    _one_of("network.http(streaming).priority", "framerate clientnumber", "clientnumber", HTTP, get_by=OPERATORS),
    _one_of("network.vsip_server.status", "on off", "off", get_by=OPERATORS),
    _number("network.vsip_server.port", "5510", 1, 65535, VSIP, get_by=OPERATORS),
    _one_of("network.amx.beacon.status", "on off", "on", get_by=OPERATORS),
    _one_of("network.access_control(stream_out).logic", "deny allow", "deny", set_by=ADMIN, get_by=OPERATORS),
    _one_of("network.ntp.status", "on off", "off"),
    Setting("network.ntp.host", _NO_HOST, _is_host, NTP),
    _number("network.ntp.interval", "1", 1, 60, NTP),
    _one_of("network.ntp.unit", "min hour day", "hour", NTP),
    Setting("system.timezone", "UTC", _matching(r"[A-Za-z0-9+:-]{1,32}"), ZONE, set_by=ADMIN),
)

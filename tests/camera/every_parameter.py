"""For every parameter of the catalogue a value that it takes, and values of every class that it does not."""

from decimal import Decimal

from nvr.jvc.catalogue import Named
from nvr.jvc.values import Form, Joined, Kind, Range, Word

FORMS = {
    "<text>": ["Entrance", "Yard"],
    "<host>": ["mail.example.com", "192.168.0.9"],
    "<client>": ["10.0.0.0/24", "10.1.2.3"],
    "<hostname>": ["gate-1.example", "gate"],
    "<ipv4>": ["192.168.7.9", "192.168.7.1"],
    "<multicast>": ["239.1.2.3", "225.0.9.9"],
    "<mail>": ["gate@example.com", "yard@example.com"],
    "<user>": ["somename", "other"],
    "<hhmmss>": ["010203", "235958"],
    "<hhmmss-hhmmss>": ["080000-180000", "000000-240000"],
    "<YYYYMMDDhhmmss>": ["20090313120000"],
    "<timezone>": ["Pacific", "UTC"],
    "<rrggbb>": ["ffffff", "000000"],
    "<mask>": ["010000000000000000000080", "f" * 24],
    "<action>": ["pinout/m1/1500", "mailto/a@example.com/none/It is & was <here> / there"],
    "<trigger>": ["m1(100)b2", "v1"],
}
PERIODIC = {"<action>": ["ftpto/ftp01/object01"], "<trigger>": ["i1500", "i60"]}

WRONG_FORMS = {
    "<text>": ["with\ttab", "\r\nInjected: line"],
    "<host>": ["256.1.1.1", "-a", "a b", "http://x"],
    "<client>": ["10.0.0.0/33", "10.0.0/24", "a b"],
    "<hostname>": ["gate_1", "a b"],
    "<ipv4>": ["192.168.7", "1.2.3.256", "gate", "01.2.3.4"],
    "<multicast>": ["223.255.255.255", "240.0.0.1", "gate"],
    "<mail>": ["a b@example.com", "ä@example.com", "a,b"],
    "<user>": ["a b", "a:b", "a(b"],
    "<hhmmss>": ["240000", "1234", "126000"],
    "<hhmmss-hhmmss>": ["180000-080000", "000000-000000", "240000-240000", "080000"],
    "<YYYYMMDDhhmmss>": ["20090230120000", "2009", "20090313250000"],
    "<timezone>": ["", "a b"],
    "<rrggbb>": ["fffff", "gggggg", "#ffffff"],
    "<mask>": ["f" * 23, "g" * 24, "f" * 25, "#" * 96],
    "<action>": [
        "mailto/a@example.com/none/",
        "mailto/a@example.com/some/text",
        "pinout/m3/100",
        "pinout/m1/99",
        "pinout/m1/5001",
        "tcpto/10.0.0.1/70000/x",
        "tcpto/10.0.0.1/80/" + "x" * 128,
        "camera.position(100).status/goto",
        "rm -rf",
        "mailto/a@example.com/none/a\tb",
    ],
    "<trigger>": ["m3", "v2", "m1(50)m1", "v1(50)m1", "m1()b2", "camera.position(100).status"],
}


def good(named: Named) -> list[str]:
    """Values that may be set and are then told, at most two different ones."""
    found: list[str] = list(named.parameter.set_as)
    for kind in named.parameter.settable:
        if isinstance(kind, Word) and kind.word in (*named.parameter.only_set, *named.parameter.set_as.values()):
            continue
        found += _of(kind, periodic=named.indexes == ("6",))
    size = named.parameter.max_bytes or named.parameter.max_characters
    return [value for value in found if size is None or len(value) <= size]


def bad(named: Named) -> list[str]:
    """Values of every class that it does not take."""
    parameter = named.parameter
    wrong = ["no such word", "+1", "--", "%", "\x00"]
    wrong += [] if parameter.blank else [""]
    for kind in parameter.settable:
        wrong += _not_of(kind)
    if parameter.max_bytes is not None:
        wrong += ["x" * (parameter.max_bytes + 1), "ü" * (parameter.max_bytes // 2 + 1)]
    if parameter.max_characters is not None:
        wrong.append("x" * (parameter.max_characters + 1))
    if parameter.min_characters:
        wrong.append("x" * (parameter.min_characters - 1))
    wrong += [word for word in parameter.only_get if "." not in word and word not in parameter.set_as]
    if parameter.name == "application.event(n).action":
        wrong.append("pinout/m1/100" if named.indexes == ("6",) else "ftpto/ftp01/object01")
    if parameter.name == "application.event(n).trigger":
        wrong.append("m1" if named.indexes == ("6",) else "i60")
    return [value for value in wrong if not any(_meant(kind, value) for kind in parameter.settable)]


def _of(kind: Kind, *, periodic: bool) -> list[str]:
    match kind:
        case Word():
            return [kind.word]
        case Range():
            return [f"{kind.before}{edge}{kind.behind}" for edge in (kind.high, kind.low)]
        case Joined():
            return ["-".join(_of(part, periodic=False)[at] for part in kind.parts) for at in (0, 1)]
        case Form():
            return (PERIODIC if periodic and kind.name in PERIODIC else FORMS).get(kind.name, [])
    raise AssertionError(kind)


def _not_of(kind: Kind) -> list[str]:
    match kind:
        case Word():
            return [kind.word.swapcase()] if kind.word.swapcase() != kind.word else [f"{kind.word}0"]
        case Range():
            past, below = kind.high + Decimal(1), kind.low - Decimal(1)
            finer = f"{kind.before}{kind.low}{'.5' if not kind.decimals else '5'}{kind.behind}"
            return [f"{kind.before}{past}{kind.behind}", f"{kind.before}{below}{kind.behind}", finer, "1e1", "٣"]
        case Joined():
            ends = _of(kind, periodic=False)[0].split("-")
            return ["-".join(ends[:-1]), "-".join([*ends, "1"]), "-".join([*ends[:-1], "9999"])]
        case Form():
            return WRONG_FORMS[kind.name]
    raise AssertionError(kind)


def _meant(kind: Kind, value: str) -> bool:
    """What is wrong for one kind may be right for its neighbour; written out, so that no checker judges itself."""
    match kind:
        case Word():
            return value == kind.word
        case Range():
            inner = value.removeprefix(kind.before).removesuffix(kind.behind)
            number = inner.isascii() and inner.replace(".", "", 1).isdecimal() and value.startswith(kind.before)
            fine = len(inner.partition(".")[2]) <= kind.decimals
            return number and fine and kind.low <= Decimal(inner) <= kind.high and value.endswith(kind.behind)
        case Form("<text>"):
            return value.isprintable() and value != "" and len(value) < 16
        case Form("<user>"):
            return value in ("+1", "--", "%")
        case Form("<mail>"):
            return value in ("+1", "--", "%", "x" * 96)
        case Form("<hostname>"):
            return value == "--"
        case Form("<timezone>"):
            return value in ("+1", "--")
        case Form("<host>"):
            return False
    return False

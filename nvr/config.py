"""What the user wrote in config.toml: read, checked, and every mistake named with its key and, where sure, its line.

A new key is one line in its model here, and one in config.example.toml. A key that nothing honours is not accepted.
"""

import ipaddress
import itertools
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from nvr.jvc.alarm import Change
from nvr.jvc.settings import expanded
from nvr.record.expected_view import Expected
from nvr.record.gate import Mode, RecordPlan
from nvr.record.ring import LONGEST_US, check_pre
from nvr.record.timelapse_plan import TimelapsePlan
from nvr.rules import book
from nvr.rules.schedule import During, Schedule, parse_exception, parse_timezone, parse_window
from nvr.rules.tours import PatrolPlan, ReturnPlan, Tours
from nvr.rules.words import Action, Trigger, parse_action, parse_trigger
from nvr.store.retention import Keep
from nvr.units import US, size_text

SYSTEM_CONFIG = Path("/etc/nvr/config.toml")
LOCAL_CONFIG = Path("config.toml")

RESERVED_CAMERA_NAMES = frozenset(
    {
        "all",  # reads as "every camera" at a shell and in an address
        "backups",  # copies of the index lie beside the cameras' folders on a volume
        "clips",  # the folder of a camera's clips: one level mixed up would hide a camera
        "timelapse",  # likewise
    }
)

_DAY_S = 86_400
_MOST_DAYS = 36_500
_LEAST_QUOTA_BYTES = 10_000_000  # twenty minutes at the camera's lowest rate; less is a mistake
_LOWEST_BYTES_A_DAY = 64_000 // 8 * 86_400  # 64 kbit/s is the lowest rate a camera can be set to
_ENFORCE = "enforce"
_MAX_POINTS = 100  # of a lens's table: one for each part of the zoom scale
_MAX_CONFIG_BYTES = 4 << 20  # fifty cameras take 20 kB; a device or a video given by mistake is not read to its end


class ConfigError(Exception):
    """The configuration cannot be used as it is. `str()` is one sentence for a person."""

    def __init__(self, key: str | None, why: str, line: int | None = None, *, file: Path | None = None) -> None:
        """`key` is the dotted key, None where the file as a whole is meant; `line` counts from 1, None where unsure."""
        super().__init__(key, why, line)
        self.key = key
        self.why = why
        self.line = line
        self.file = file
        self.others: tuple[ConfigError, ...] = ()
        """What else is wrong in the same file, each as an error of its own."""

    def __str__(self) -> str:
        where = " ".join(
            part for part in (str(self.file) if self.file else "", f"line {self.line}" if self.line else "") if part
        )
        return f"{where}: {self.why}" if where else self.why


# ---- the kinds of values --------------------------------------------------------------------------------------------

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|M|G|T)?(i)?B?", re.ASCII)
_POWERS = {None: 0, "k": 1, "M": 2, "G": 3, "T": 4}
_SLUG = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)


def _size_bytes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError('must be a size such as "5GB", "500MB" or a whole number of bytes')
    if isinstance(value, int):
        size = value
    else:
        found = _SIZE.fullmatch(value.strip().replace("K", "k"))
        if found is None:
            raise ValueError(f'must be a size such as "5GB", "500MB" or "4GiB", not {_shown(value)}')
        number, prefix, binary = found.groups()
        if binary and not prefix:
            raise ValueError(f'must be a size such as "5GB", "500MB" or "4GiB", not {_shown(value)}')
        size = round(float(number) * (1024 if binary else 1000) ** _POWERS[prefix])
    if not 0 <= size < 1 << 63:
        raise ValueError("must be between 0 bytes and 8 EiB")
    return size


def _quota_bytes(value: object) -> int:
    size = _size_bytes(value)
    if size < _LEAST_QUOTA_BYTES:
        raise ValueError("must be at least 10MB, or next to nothing could be kept; leave it out for no quota")
    return size


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError(f"must be 1 to 32 of the characters a-z, 0-9 and -, not {_shown(value)}")
    return value


def _table_name(value: str) -> str:
    try:
        return _slug(value)
    except ValueError as wrong:
        raise ValueError(f"has a name that {wrong}") from None


def _camera_name(value: str) -> str:
    if value in RESERVED_CAMERA_NAMES:
        raise ValueError(f"cannot be named {_shown(value)}, which is reserved; choose another name")
    return _table_name(value)


def _rule_name(value: str) -> str:
    if value == book.MANUAL:
        raise ValueError(f"cannot be {_shown(value)}, the rule of alarms raised by hand; choose another name")
    return _slug(value)


def _pre_seconds(value: float) -> float:
    check_pre(_us(value))
    return value


def _each(parse: Callable[[str], object]) -> AfterValidator:
    """A list of words, each of which `parse` can read."""

    def check(words: tuple[str, ...]) -> tuple[str, ...]:
        seen: set[str] = set()
        for word in words:
            parse(word)
            if word in seen:
                raise ValueError(f"has {_shown(word)} twice")
            seen.add(word)
        return words

    return AfterValidator(check)


def _timezone(value: str) -> str:
    parse_timezone(value)
    return value


def _us(seconds: float) -> int:
    return round(seconds * US)


def _host(value: str) -> str:
    """A host name or an address, IPv6 without brackets; never a URL."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        labels = value.removesuffix(".").split(".")
        # All digits and dots would be an address; one that ipaddress refuses is a typing mistake, not a name.
        if len(value) > 253 or not all(map(_HOST_LABEL.fullmatch, labels)) or labels[-1].isdigit():
            raise ValueError(
                f'must be a host name or an address such as "192.168.0.2", not {_shown(_without_userinfo(value))}'
            ) from None
    return value


def _without_userinfo(value: str) -> str:
    """A whole URL is a likely mistake here, and may carry a password that no message may repeat."""
    scheme, at, rest = value.rpartition("@")
    return (scheme.partition("//")[0] + "//***@" if "//" in scheme else "***@") + rest if at else value


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError("must be a path in quotes")
    if not str(value) or any(ord(char) < 32 for char in str(value)):
        raise ValueError("must be a path without control characters, and not empty")
    base = info.context["base"] if info.context else Path.cwd()
    return Path(os.path.normpath(base / value))


def _listen(value: str) -> str:
    if value:
        split_listen(value)
    return value


def split_listen(value: str) -> tuple[str, int]:
    """ "127.0.0.1:9685" or "[::1]:9685" as host and port. Raises ValueError with a sentence's end."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not host:
        raise ValueError(f'must be an address and a port such as "127.0.0.1:9685", or "" for off, not {_shown(value)}')
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"must have a port from 1 to 65535, not {port}")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise ValueError('must have an IPv6 address in brackets, such as "[::1]:9685"')
    return _host(host[1:-1] if bracketed else host), int(port)


def _field_of_view(value: object) -> tuple[tuple[float, float], ...]:
    """Pairs of zoom and degrees: zoom rises, the picture gets narrower."""
    pairs = value if isinstance(value, list) else []
    if not 1 <= len(pairs) <= _MAX_POINTS or not all(map(_is_pair, pairs)):
        raise ValueError("must be pairs of a zoom figure and degrees, such as [[0, 55.4], [90.89, 2.2]]")
    points = [(float(zoom), float(wide)) for zoom, wide in pairs]
    if not all(0 <= zoom < 100 and 0 < wide < 180 for zoom, wide in points):
        raise ValueError("must have zoom figures from 0 to 99.99 and degrees between 0 and 180")
    for (zoom, wide), (next_zoom, next_wide) in itertools.pairwise(points):
        if not (zoom < next_zoom and wide >= next_wide):
            raise ValueError("must have rising zoom figures whose pictures get narrower")
    return tuple(points)


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(part, int | float) and not isinstance(part, bool) for part in value)
    )


class DeclaredSettings(NamedTuple):
    """[camera.<name>.settings]: what must hold at the camera, as it tells it."""

    values: dict[str, str] = {}  # noqa: RUF012 - never changed
    enforce: bool = False
    """What differs is put right; else it is told only."""


def _declared(value: object) -> DeclaredSettings:
    if isinstance(value, DeclaredSettings):
        return value
    if not isinstance(value, dict):
        raise ValueError("must be a table")
    enforce = value.get(_ENFORCE, False)
    if not isinstance(enforce, bool):
        raise ValueError(f"must have {_ENFORCE} = true or {_ENFORCE} = false")
    try:
        return DeclaredSettings(expanded({name: one for name, one in value.items() if name != _ENFORCE}), enforce)
    except ValueError as wrong:
        raise ValueError(f"cannot hold: {wrong}") from None


def _group(value: str) -> str:
    try:
        if ipaddress.IPv4Address(value).is_multicast:
            return value
    except ValueError:
        pass
    raise ValueError(f"must be a multicast address from 224.0.0.0 to 239.255.255.255, not {_shown(value)}")


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")


SizeBytes = Annotated[int, BeforeValidator(_size_bytes)]
QuotaBytes = Annotated[int, BeforeValidator(_quota_bytes)]
Slug = Annotated[str, AfterValidator(_slug)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
MulticastGroup = Annotated[str, AfterValidator(_group)]
ConfigPath = Annotated[Path, BeforeValidator(_path)]
Listen = Annotated[str, AfterValidator(_listen)]
PreSeconds = Annotated[float, Field(ge=0), AfterValidator(_pre_seconds)]
PostSeconds = Annotated[float, Field(ge=0, le=86_400)]
Words = Annotated[tuple[str, ...], Field(strict=False)]
ModeWord = Literal["continuous", "alarm", "off"]
MinDays = Annotated[float, Field(ge=0, le=_MOST_DAYS)]
MaxDays = Annotated[float, Field(gt=0, le=_MOST_DAYS)]
Declared = Annotated[DeclaredSettings, BeforeValidator(_declared)]
FieldOfView = Annotated[tuple[tuple[float, float], ...], Field(strict=False), BeforeValidator(_field_of_view)]


# ---- the tables -----------------------------------------------------------------------------------------------------


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, populate_by_name=True, allow_inf_nan=False
    )


class Volume(_Table):
    """One [[volume]]: a place for footage."""

    name: Slug
    path: ConfigPath
    keep_free: SizeBytes = 5 * 10**9
    """Bytes to leave free on the file system: the oldest footage goes before they are needed."""
    quota: QuotaBytes | None = None
    """At most so much footage here; None: as much as fits."""

    @property
    def keep_free_bytes(self) -> int:
        return self.keep_free


HashWord = Literal["clips", "all", "off"]


class Recording(_Table):
    """[recording]: how footage is cut and synced, for every camera."""

    segment_seconds: float = Field(default=60, ge=1, le=3600)
    sync_seconds: float = Field(default=2, ge=0.5, le=60)
    ptz_track: bool = True
    pre_seconds: PreSeconds = 10
    """How much footage before an alarm its clip has."""
    post_seconds: PostSeconds = 20
    max_clip_seconds: float = Field(default=600, ge=1, le=86_400)
    """A clip that lasts longer goes on in another one."""
    export_clips: bool = True
    """Each clip becomes a file of its own."""
    hash: HashWord = "clips"
    """Of which sealed files the SHA-256 is computed and kept in the index."""


class MetricsListen(_Table):
    """[metrics]: where Prometheus may ask."""

    listen: Listen = "127.0.0.1:9685"

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or None where metrics are off."""
        return split_listen(self.listen) if self.listen else None


class RecordBySchedule(_Table):
    """`record = { schedule = …, inside = …, outside = … }`."""

    schedule: str
    """The name of a [schedule.<name>]; "!nights" is the time outside it."""
    inside: ModeWord
    outside: ModeWord

    @model_validator(mode="after")
    def _two_modes(self) -> Self:
        if self.inside == self.outside:
            raise ValueError(f'is "{self.inside}" inside and outside; write record = "{self.inside}"')
        return self


class PatrolTable(_Table):
    """`patrol = { number = …, schedule = … }`."""

    number: int = Field(ge=0, le=2)
    schedule: str
    """The name of a [schedule.<name>]; "!nights" is the time outside it."""


class ReturnTable(_Table):
    """`return_to = { preset = …, after_minutes = … }`."""

    preset: int = Field(ge=0, le=99)
    after_minutes: float = Field(ge=1, le=1440)


def _record_kind(value: object) -> str:
    return "[table]" if isinstance(value, dict | RecordBySchedule) else "[word]"


class Retention(_Table):
    """[retention]: how long footage and clips are kept, where a camera says nothing else."""

    min_days: MinDays = 0
    """Footage is kept at least so long; deleted younger only where a disk has no room left otherwise."""
    max_days: MaxDays = 30
    """Footage is deleted when it is older."""
    clip_days: MaxDays = 90
    """Files of clips are deleted when they are older."""


Record = Annotated[
    Annotated[ModeWord, Tag("[word]")] | Annotated[RecordBySchedule, Tag("[table]")], Discriminator(_record_kind)
]


class Expect(_Table):
    """`expect = { preset = … }` or `{ pan = …, tilt = …, zoom = … }`: where a camera should look."""

    preset: int | None = Field(default=None, ge=0, le=99)
    pan: float | None = Field(default=None, ge=0, lt=360)
    """Degrees."""
    tilt: float | None = Field(default=None, ge=-5, le=185)
    """True tilt: 0 is the horizon, 90 straight down."""
    zoom: float | None = Field(default=None, ge=0, lt=100)
    tolerance: float = Field(default=1.0, ge=0.1, le=45)
    """Degrees to either side, and as much of the zoom scale."""
    after_seconds: float = Field(default=300, ge=1, le=86_400)
    """How long it may look elsewhere."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        axes = (self.pan, self.tilt, self.zoom)
        if self.preset is None and axes == (None, None, None):
            raise ValueError("does not say where the camera should look; write preset = 3, or pan and tilt in degrees")
        if self.preset is not None and axes != (None, None, None):
            raise ValueError("has both a preset and a position; keep one of them")
        return self

    @property
    def parsed(self) -> Expected:
        return Expected(
            self.preset,
            None if self.pan is None else round(self.pan * 100) % 36_000,
            None if self.tilt is None else round(self.tilt * 100) + 500,
            None if self.zoom is None else round(self.zoom * 100),
            round(self.tolerance * 100),
            _us(self.after_seconds),
        )


class TimelapseTable(_Table):
    """[camera.<name>.timelapse]: a film of each day."""

    every_seconds: float = Field(ge=1, le=86_400)
    keep_days: int = Field(default=365, ge=1, le=36_500)


class Camera(_Table):
    """One [camera.<name>]."""

    host: Host
    http_port: Port = 80
    alarm_port: Port = 32040
    user: str | None = Field(default=None, min_length=1, max_length=64)
    password: SecretStr | None = None
    password_file: ConfigPath | None = None
    transport: Literal["http", "multicast"] = "http"
    """How video comes; by multicast it goes on over HTTP where no packet comes."""
    multicast_group: MulticastGroup | None = None
    """None: the camera is asked, with its port."""
    multicast_port: Port | None = None
    multicast_start: bool = False
    """The camera is told to send its multicast, where it does not."""
    ptz_poll_seconds: float = Field(default=1, ge=0, le=3600)
    """How often the camera is asked where it looks, with multicast; 0: never."""
    record: Record = "continuous"
    fail_open: bool = True
    """In alarm mode: record everything while alarms cannot reach nvr."""
    pre_seconds: PreSeconds | None = None
    """None: as [recording] says; so with the next one."""
    post_seconds: PostSeconds | None = None
    was: Slug | None = None
    """What it was called before: its footage stays its own."""
    volume: Slug | None = None
    """The [[volume]] it records to; None: nvr spreads the cameras over all of them."""
    quota: QuotaBytes | None = None
    """At most so much of its footage, on all volumes together; None: as much as fits."""
    min_days: MinDays | None = None
    """None: as [retention] says; so with the next two."""
    max_days: MaxDays | None = None
    clip_days: MaxDays | None = None
    timelapse: TimelapseTable | None = None
    field_of_view: FieldOfView | None = None
    """How many degrees wide the picture is, by zoom; None: by the model that the camera says it is."""
    expect: Expect | None = None
    """Where it should look; None: anywhere."""
    settings: Declared = DeclaredSettings()
    """What must hold at the camera."""
    patrol: PatrolTable | None = None
    """When the camera patrols; None: nvr starts none."""
    return_to: ReturnTable | None = None
    """Where it goes when nobody has moved it for a while; None: it stays."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("has both password and password_file; keep one of them")
        if self.user is None and (self.password is not None or self.password_file is not None):
            raise ValueError("has a password but no user; add user")
        if self.user is None and self.settings.values:
            raise ValueError("has settings, which are asked for with its user and password; add user")
        if self.user is None and (self.patrol is not None or self.return_to is not None):
            raise ValueError("is to be moved, which needs its user and password; add user")
        return self

    @model_validator(mode="after")
    def _is_found(self) -> Self:
        if (self.multicast_group is None) != (self.multicast_port is None):
            raise ValueError("has only one of multicast_group and multicast_port; add the other, or leave both out")
        if self.transport == "multicast" and self.user is None:
            if self.multicast_group is None:
                raise ValueError("is to be received by multicast; add multicast_group and multicast_port, or its user")
            if self.multicast_start:
                raise ValueError("is to be told to send its multicast, which needs its user and password; add user")
        return self


class ScheduleTable(_Table):
    """One [schedule.<name>]."""

    timezone: Annotated[str, AfterValidator(_timezone)]
    windows: Annotated[Words, _each(parse_window)]
    exceptions: Annotated[Words, _each(parse_exception)] = Field(alias="except", default=())

    @model_validator(mode="after")
    def _is_sometimes(self) -> Self:
        assert self.parsed  # noqa: S101 - asked for its ValueError: a schedule that never is
        return self

    @cached_property
    def parsed(self) -> Schedule:
        return Schedule.parse(self.timezone, self.windows, self.exceptions)


class RuleTable(_Table):
    """One [[rule]]."""

    name: Annotated[str, AfterValidator(_rule_name)]
    cameras: Words | None = None
    """None: all."""
    when: Annotated[Words, _each(parse_trigger)]
    schedule: str | None = None
    """The name of a [schedule.<name>]; "!nights" is the time outside it; None: at all times."""
    debounce_seconds: float = Field(default=0, ge=0)
    min_interval_seconds: float = Field(default=0, ge=0, le=86_400)
    motion_hold_seconds: float = Field(default=5, ge=1, le=3600)
    pre_seconds: PreSeconds | None = None
    """None: as the camera's table or [recording] says; so with the next one."""
    post_seconds: PostSeconds | None = None
    while_active: bool = True
    snapshot: bool = False
    """A JPEG of the alarm's moment beside its clip."""
    do: Annotated[Words, _each(parse_action)] = ()

    @model_validator(mode="after")
    def _heeds_something(self) -> Self:
        if not self.when:
            raise ValueError('has no trigger; write one into when, such as when = ["m1"]')
        if self.cameras == ():
            raise ValueError("is for no camera; name one in cameras, or leave cameras out for all")
        return self

    @cached_property
    def triggers(self) -> tuple[Trigger, ...]:
        return tuple(map(parse_trigger, self.when))

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        return tuple(map(parse_action, self.do))


class Config(_Table):
    """The whole file. Equal files make equal values, so that a reload can tell what changed."""

    data_dir: ConfigPath = Path("/var/lib/nvr")
    volumes: tuple[Volume, ...] = Field(alias="volume", strict=False)
    recording: Recording = Recording()
    retention: Retention = Retention()
    metrics: MetricsListen = MetricsListen()
    cameras: dict[Annotated[str, AfterValidator(_camera_name)], Camera] = Field(alias="camera", default_factory=dict)
    schedules: dict[Annotated[str, AfterValidator(_table_name)], ScheduleTable] = Field(
        alias="schedule", default_factory=dict
    )
    rules: tuple[RuleTable, ...] = Field(alias="rule", default=(), strict=False)

    def rules_of(self, camera: str) -> list[book.Rule]:
        """The rules that heed this camera, with its own pre and post seconds, in the file's order."""
        return [rule for rule in self.rules_seen_from(camera) if rule.heeds(camera)]

    def rules_seen_from(self, camera: str) -> list[book.Rule]:
        """Every rule as it would be at this camera, also those that do not heed it."""
        return [self._rule_at(camera, table) for table in self.rules]

    def manual_rule(self, camera: str) -> book.Rule:
        """The rule of the alarms that people raise at this camera."""
        kept = self._kept_at(camera)
        return book.Rule(
            book.MANUAL, (), pre_us=_us(kept.pre_seconds), post_us=_us(kept.post_seconds), while_active=False
        )

    def record_plan(self, camera: str) -> RecordPlan:
        """When this camera is recorded, and when it waits for alarms."""
        record = self.cameras[camera].record
        if isinstance(record, RecordBySchedule):
            return RecordPlan(Mode(record.inside), Mode(record.outside), self.during(record.schedule))
        return RecordPlan.always(Mode(record))

    def expected(self, camera: str) -> Expected | None:
        """Where this camera should look; None: anywhere."""
        expect = self.cameras[camera].expect
        return None if expect is None else expect.parsed

    def tours(self, camera: str) -> Tours | None:
        """When this camera patrols and goes back; None where nvr never moves it by itself."""
        table = self.cameras[camera]
        if table.patrol is None and table.return_to is None:
            return None
        patrol = back = None
        if table.patrol is not None:
            patrol = PatrolPlan(table.patrol.number, self.during(table.patrol.schedule))
        if table.return_to is not None:
            back = ReturnPlan(table.return_to.preset, _us(table.return_to.after_minutes * 60))
        return Tours(patrol, back)

    def timelapse_plans(self) -> list[TimelapsePlan]:
        """The films that are wanted of cameras' days."""
        return [
            TimelapsePlan(name, _us(table.every_seconds), table.keep_days)
            for name, camera in self.cameras.items()
            if (table := camera.timelapse) is not None
        ]

    def during(self, word: str) -> During:
        """The time that "nights" or "!nights" means. Raises ValueError with a sentence's end."""
        return During.parse(word, self._parsed_schedules)

    @cached_property
    def _parsed_schedules(self) -> dict[str, Schedule]:
        return {name: table.parsed for name, table in self.schedules.items()}

    def _rule_at(self, camera: str, table: RuleTable) -> book.Rule:
        kept = self._kept_at(camera, table)
        return book.Rule(
            table.name,
            table.triggers,
            cameras=table.cameras or (),
            during=None if table.schedule is None else self.during(table.schedule),
            debounce_us=_us(table.debounce_seconds),
            min_interval_us=_us(table.min_interval_seconds),
            motion_hold_us=_us(table.motion_hold_seconds),
            pre_us=_us(kept.pre_seconds),
            post_us=_us(kept.post_seconds),
            while_active=table.while_active,
            snapshot=table.snapshot,
            do=table.actions,
        )

    def _kept_at(self, camera: str, rule: RuleTable | None = None) -> "_Kept":
        """The nearest table that says how much is kept: the rule's, the camera's, [recording]."""
        return _kept(*(table for table in (rule, self.cameras[camera]) if table is not None), self.recording)

    def keep(self, camera: str | None = None) -> Keep:
        """How long footage of this camera is kept; of None, or one that is configured no more, as [retention] says."""
        own = self.cameras.get(camera) if camera is not None else None
        kept = self.kept_days(camera)
        return Keep(
            min_us=_us(kept.min_days * _DAY_S),
            max_us=_us(kept.max_days * _DAY_S),
            clip_us=_us(kept.clip_days * _DAY_S),
            film_us=_us(own.timelapse.keep_days * _DAY_S) if own is not None and own.timelapse is not None else None,
            quota_bytes=own.quota if own is not None else None,
        )

    def kept_days(self, camera: str | None = None) -> Retention:
        """[retention] as it is for this camera."""
        return _kept_for(self.cameras.get(camera) if camera is not None else None, self.retention)

    def credentials(self, camera: str) -> "Credentials | None":
        """The login for the parameter API, read now; None where no user is configured.

        The password comes from `password`, `password_file`, or the systemd credential `camera.<name>`, in this order.
        Raises ConfigError where none of them can be read.
        """
        settings = self.cameras[camera]
        if settings.user is None:
            return None
        if settings.password is not None:
            return Credentials(settings.user, settings.password)
        if settings.password_file is not None:
            return Credentials(settings.user, _read_private(settings.password_file, f"camera.{camera}.password_file"))
        return Credentials(settings.user, _read_systemd(camera))


class _Kept(NamedTuple):
    """How much footage an alarm keeps."""

    pre_seconds: float
    post_seconds: float

    @property
    def seconds(self) -> float:
        return self.pre_seconds + self.post_seconds


def _kept(*tables: RuleTable | Camera | Recording) -> _Kept:
    """Each from the first of these tables that says it; the last says both."""
    pre = next(table.pre_seconds for table in tables if table.pre_seconds is not None)
    post = next(table.post_seconds for table in tables if table.post_seconds is not None)
    return _Kept(pre, post)


def _kept_for(camera: Camera | None, retention: Retention) -> Retention:
    """[retention] with what the camera's own table says instead."""
    own = {} if camera is None else {key: getattr(camera, key) for key in Retention.model_fields}
    return retention.model_copy(update={key: days for key, days in own.items() if days is not None})


class Credentials(NamedTuple):
    """A user and a password that prints as stars."""

    user: str
    password: SecretStr


# ---- reading --------------------------------------------------------------------------------------------------------


def find(option: Path | None) -> Path:
    """The file to read: the one asked for, else /etc/nvr/config.toml, else ./config.toml. ConfigError where none is."""
    if option is not None:
        return option
    for path in (SYSTEM_CONFIG, LOCAL_CONFIG):
        if path.exists():
            return path
    raise ConfigError(None, f"there is no {SYSTEM_CONFIG} and no ./{LOCAL_CONFIG}; name your file with --config")


def load(path: Path) -> Config:
    """Read and check one file. Raises ConfigError for the first mistake; its `others` hold the rest."""
    text = _read_text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(error, path) from None
    except (ValueError, RecursionError):  # tomllib's own limits: digits of a number, brackets within brackets
        raise ConfigError(
            None, "this is not TOML that can be read: a number or a nesting is too long", file=path
        ) from None
    try:
        config = Config.model_validate(document, context={"base": path.absolute().parent})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise _with_lines([_as_sentence(detail, document) for detail in details], text, document, path) from None
    problems = list(_contradictions(config))
    if problems:
        raise _with_lines(problems, text, document, path)
    return config


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(None, f"cannot be read: {_reason(error)}", file=path) from None
    if len(data) > _MAX_CONFIG_BYTES:
        raise ConfigError(None, "is larger than 4 MiB, which no configuration is", file=path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(None, "is not UTF-8 text", line, file=path) from None


_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def _syntax_error(error: tomllib.TOMLDecodeError, path: Path) -> ConfigError:
    message = str(error)
    place = _SYNTAX_PLACE.search(message)
    line = int(place[1]) if place and place[1] else None
    said = message[: place.start()] if place else message
    ends = " (at the end of the file)" if place and not place[1] else ""
    return ConfigError(None, f"this is not TOML: {said[:1].lower()}{said[1:]}{ends}", line, file=path)


_AFTER_ALL_LINES = _MAX_CONFIG_BYTES + 1


class _PlacedError(ConfigError):
    """A ConfigError that still knows where in the document it is."""

    def __init__(self, where: tuple[str | int, ...], why: str) -> None:
        super().__init__(_dotted(where), why)
        self.where = where


def _as_sentence(detail: ErrorDetails, document: Mapping[str, Any]) -> _PlacedError:
    where = tuple(part for part in detail["loc"] if part not in _NO_KEYS)
    key = _dotted(where)
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _PlacedError(where, _unknown_key(where))
    if where == ("volume",) and kind == "missing":
        return _PlacedError(where, _NO_VOLUME)
    if kind == "missing":
        return _PlacedError(where, f"'{key}' is missing")
    if kind == "tuple_type" and key in _REPEATED:
        return _PlacedError(where, f"'{key}' must be written as [[{key}]]")
    if kind in _MUST_BE:
        return _PlacedError(
            where, f"'{key}' must be {_MUST_BE[kind].format(key=key, **context)}{_got(where, document)}"
        )
    if kind == "value_error":
        return _PlacedError(where, f"'{key}' {context['error']}")
    return _PlacedError(where, f"'{key}' is wrong: {detail['msg'][:1].lower()}{detail['msg'][1:]}")


_NO_KEYS = frozenset({"[key]", "[word]", "[table]"})  # pydantic's and our own words for what is meant at a place
_REPEATED = frozenset({"volume", "rule"})
_MUST_BE = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "list_type": "a list",
    "tuple_type": 'a list, such as ["…", "…"]',
    "literal_error": "{expected}",
    "string_too_short": "at least {min_length} characters long",
    "string_too_long": "at most {max_length} characters long",
}
_NO_VOLUME = "there is no [[volume]]; add at least one"
_SECRET_KEYS = frozenset({"password"})


def _got(where: tuple[str | int, ...], document: Mapping[str, Any]) -> str:
    value = _value_at(where, document)
    if where[-1] in _SECRET_KEYS or not isinstance(value, str | int | float):
        return ""
    return f", not {_shown(value) if isinstance(value, str) else str(value).lower()}"


def _value_at(where: tuple[str | int, ...], document: Any) -> Any:
    for part in where:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _unknown_key(where: tuple[str | int, ...]) -> str:
    known = sorted(_known_keys(where[:-1]))
    near = get_close_matches(str(where[-1]), known, n=1, cutoff=0.6)
    hint = f"; did you mean '{near[0]}'?" if near else f"; known here: {', '.join(known)}"
    return f"unknown key '{_dotted(where)}'{hint}"


def _known_keys(table: tuple[str | int, ...]) -> Iterator[str]:
    model: type[_Table] = Config
    match table:
        case ("volume", *_):
            model = Volume
        case ("camera", _, "timelapse"):
            model = TimelapseTable
        case ("camera", _, "record"):
            model = RecordBySchedule
        case ("camera", _, "patrol"):
            model = PatrolTable
        case ("camera", _, "return_to"):
            model = ReturnTable
        case ("camera", _, "expect"):
            model = Expect
        case ("schedule", *_):
            model = ScheduleTable
        case ("rule", *_):
            model = RuleTable
        case ("camera", *_):
            model = Camera
        case ("recording",):
            model = Recording
        case ("metrics",):
            model = MetricsListen
        case ("retention",):
            model = Retention
    for name, field in model.model_fields.items():
        yield field.alias or name


def _contradictions(config: Config) -> Iterator[_PlacedError]:
    """What each table alone cannot see."""
    if not config.volumes:
        yield _PlacedError(("volume",), _NO_VOLUME)
    names: set[str] = set()
    paths: dict[Path, str] = {}
    for number, volume in enumerate(config.volumes):
        if volume.name in names:
            yield _PlacedError(("volume", number, "name"), f"two volumes are named '{volume.name}'; names must differ")
        names.add(volume.name)
        if volume.path in paths:
            yield _PlacedError(
                ("volume", number, "path"),
                f"the volumes '{paths[volume.path]}' and '{volume.name}' have the same path {volume.path}",
            )
        paths.setdefault(volume.path, volume.name)
    for name, camera in config.cameras.items():
        if camera.volume is not None and camera.volume not in names:
            yield _PlacedError(
                ("camera", name, "volume"),
                f"'camera.{name}.volume' names '{camera.volume}', but the volumes are: {', '.join(sorted(names))}",
            )
        if isinstance(camera.record, RecordBySchedule):
            yield from _wrong_schedule(config, ("camera", name, "record", "schedule"), camera.record.schedule)
        if camera.patrol is not None:
            yield from _wrong_schedule(config, ("camera", name, "patrol", "schedule"), camera.patrol.schedule)
    yield from _wrong_renames(config)
    yield from _too_long_clips(config)
    yield from _wrong_retention(config)
    rules: set[str] = set()
    for number, rule in enumerate(config.rules):
        if rule.name in rules:
            yield _PlacedError(("rule", number, "name"), f"two rules are named '{rule.name}'; names must differ")
        rules.add(rule.name)
        yield from _wrong_rule(config, number, rule)


def _wrong_schedule(config: Config, where: tuple[str | int, ...], word: str | None) -> Iterator[_PlacedError]:
    try:
        if word is not None:
            config.during(word)
    except ValueError as wrong:
        yield _PlacedError(where, f"'{_dotted(where)}' {wrong}")


def _wrong_renames(config: Config) -> Iterator[_PlacedError]:
    """A name that a camera had is nobody's now, and was one camera's only."""
    heirs: dict[str, str] = {}
    for name, camera in config.cameras.items():
        if camera.was is None:
            continue
        where = ("camera", name, "was")
        if camera.was in config.cameras:
            yield _PlacedError(where, f"'{_dotted(where)}' is '{camera.was}', but a camera of that name is configured")
        elif camera.was in heirs:
            yield _PlacedError(where, f"'{_dotted(where)}' is '{camera.was}', and so is that of '{heirs[camera.was]}'")
        heirs.setdefault(camera.was, name)


def _too_long_clips(config: Config) -> Iterator[_PlacedError]:
    """A clip must have room for what one alarm keeps."""
    most, recording = config.recording.max_clip_seconds, config.recording
    if (kept := _kept(recording)).seconds > most:
        yield _PlacedError(
            ("recording", "max_clip_seconds"),
            f"'recording.max_clip_seconds' is {most:g}, shorter than pre_seconds and post_seconds together "
            f"({kept.pre_seconds:g} and {kept.post_seconds:g})",
        )
    for name, camera in config.cameras.items():
        yield from _longer_than(most, ("camera", name), camera, [_kept(camera, recording)])
    for number, rule in enumerate(config.rules):
        kepts = [_kept(rule, config.cameras[name], recording) for name in _heeded(config, rule)]
        yield from _longer_than(most, ("rule", number), rule, kepts or [_kept(rule, recording)])


def _wrong_retention(config: Config) -> Iterator[_PlacedError]:
    """What is promised must not be against the law, nor against a quota."""
    if config.retention.min_days > config.retention.max_days:
        yield _days_crossed(("retention",), "min_days", config.retention)
    for name, camera in config.cameras.items():
        kept = _kept_for(camera, config.retention)
        own = next((key for key in ("min_days", "max_days") if getattr(camera, key) is not None), None)
        if own is not None and kept.min_days > kept.max_days:
            yield _days_crossed(("camera", name), own, kept)
        least_bytes = _least_bytes(camera, kept)
        if camera.quota is not None and camera.quota < least_bytes:
            yield _PlacedError(
                ("camera", name, "quota"),
                f"'camera.{name}.quota' is {size_text(camera.quota)}, but the {_days(kept.min_days)} that min_days "
                f"promises take {size_text(least_bytes)} even at the camera's lowest rate (64 kbit/s)",
            )
    yield from _small_quotas(config)


def _days_crossed(where: tuple[str | int, ...], key: str, kept: Retention) -> _PlacedError:
    return _PlacedError(
        (*where, key),
        f"'{_dotted((*where, key))}' is {getattr(kept, key):g}: footage cannot be kept for at least "
        f"{_days(kept.min_days)} (min_days) and deleted after {_days(kept.max_days)} (max_days)",
    )


def _least_bytes(camera: Camera, kept: Retention) -> int:
    """What its promise takes at least; of a camera that is not always recorded that cannot be said."""
    return round(kept.min_days * _LOWEST_BYTES_A_DAY) if camera.record == "continuous" else 0


def _small_quotas(config: Config) -> Iterator[_PlacedError]:
    """A volume of its own must be able to hold what its cameras are promised."""
    for number, volume in enumerate(config.volumes):
        alone = [one for one in config.cameras.values() if len(config.volumes) == 1 or one.volume == volume.name]
        least_bytes = sum(_least_bytes(camera, _kept_for(camera, config.retention)) for camera in alone)
        if volume.quota is not None and volume.quota < least_bytes:
            yield _PlacedError(
                ("volume", number, "quota"),
                f"'volume[{number + 1}].quota' is {size_text(volume.quota)}, but what min_days promises of its cameras "
                f"takes {size_text(least_bytes)} even at their lowest rate (64 kbit/s)",
            )


def _days(days: float) -> str:
    return f"{days:g} day{'' if days == 1 else 's'}"


def _longer_than(
    most: float, where: tuple[str | int, ...], table: Camera | RuleTable, kepts: Iterable[_Kept]
) -> Iterator[_PlacedError]:
    own = next((key for key in ("post_seconds", "pre_seconds") if getattr(table, key) is not None), None)
    longest = max(kepts, key=lambda kept: kept.seconds)
    if own is not None and longest.seconds > most:
        yield _PlacedError(
            (*where, own),
            f"'{_dotted((*where, own))}' is {getattr(table, own):g}, which makes a clip of at least "
            f"{longest.seconds:g} s, but recording.max_clip_seconds is {most:g}",
        )


def _heeded(config: Config, rule: RuleTable) -> list[str]:
    """The cameras that are there, of those a rule is for."""
    return [name for name in config.cameras if rule.cameras is None or name in rule.cameras]


def _wrong_rule(config: Config, number: int, rule: RuleTable) -> Iterator[_PlacedError]:
    key = f"rule[{number + 1}]"
    for camera in rule.cameras or ():
        if camera not in config.cameras:
            known = f"the cameras are: {', '.join(sorted(config.cameras))}" if config.cameras else "there is no camera"
            yield _PlacedError(
                ("rule", number, "cameras"), f"'{key}.cameras' names the camera {_shown(camera)}, but {known}"
            )
    yield from _never_moved(config, number, rule)
    yield from _wrong_schedule(config, ("rule", number, "schedule"), rule.schedule)
    if rule.snapshot and not config.recording.export_clips:
        yield _PlacedError(
            ("rule", number, "snapshot"),
            f"'{key}.snapshot' puts a JPEG beside the clip's file, but recording.export_clips is false",
        )
    yield from _too_late(config, number, rule)


def _never_moved(config: Config, number: int, rule: RuleTable) -> Iterator[_PlacedError]:
    """`moved` means nothing where nobody says where the camera should look."""
    if Change.MOVED.value not in rule.when:
        return
    heeded = _heeded(config, rule)
    blind = [name for name in heeded if config.cameras[name].expect is None]
    if blind and (rule.cameras is not None or blind == heeded):
        yield _PlacedError(
            ("rule", number, "when"),
            f"'rule[{number + 1}].when' has 'moved', but {_who(blind)} no expect; add expect to [camera.{blind[0]}]",
        )


def _who(cameras: Sequence[str]) -> str:
    if len(cameras) == 1:
        return f"the camera '{cameras[0]}' has"
    return f"the cameras {', '.join(map(repr, cameras))} have"


def _too_late(config: Config, number: int, rule: RuleTable) -> Iterator[_PlacedError]:
    """An alarm that is told late, by its debounce, still wants what was before it."""
    key = f"rule[{number + 1}]"
    debounce_us = _us(rule.debounce_seconds)
    kepts = [_kept(rule, config.cameras[name], config.recording) for name in _heeded(config, rule)]
    pre = max((kept.pre_seconds for kept in kepts), default=_kept(rule, config.recording).pre_seconds)
    try:
        check_pre(_us(pre), debounce_us)
    except ValueError as wrong:
        if rule.pre_seconds is not None:
            yield _PlacedError(("rule", number, "pre_seconds"), f"'{key}.pre_seconds' {wrong}")
            return
        yield _PlacedError(
            ("rule", number, "debounce_seconds"),
            f"'{key}.debounce_seconds' is {rule.debounce_seconds:g}, and {pre:g} s before the alarm are wanted, "
            f"but the ring in memory holds at most the last {LONGEST_US / US:g} s",
        )


def _with_lines(problems: list[_PlacedError], text: str, document: Mapping[str, Any], path: Path) -> ConfigError:
    lines = key_lines(text, document)
    for problem in problems:
        problem.file = path
        problem.line = _line_of(problem.where, lines)
    problems.sort(key=lambda problem: problem.line or _AFTER_ALL_LINES)
    first, *rest = problems
    first.others = tuple(rest)
    return first


def _line_of(where: tuple[str | int, ...], lines: Mapping[tuple[str | int, ...], int]) -> int | None:
    """The key's own line; for a key that is missing that of the table it belongs into."""
    return lines.get(where) or lines.get(where[:-1])


def _dotted(where: tuple[str | int, ...]) -> str:
    """As a person would say it: volume[2] is the second [[volume]]."""
    said = ""
    for part in where:
        said += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if said else part
    return said


def _read_private(path: Path, key: str) -> SecretStr:
    """A password file's first line. ConfigError where others than its owner may read it, or nothing is in it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(4096)
    except OSError as error:
        raise ConfigError(key, f"'{key}' names {path}, which cannot be read: {_reason(error)}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(key, f"{path} may be read by others than its owner; run: chmod 600 {path}")
    return _first_line(data, path, key)


def _read_systemd(camera: str) -> SecretStr:
    key = f"camera.{camera}.password"
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory:
        # systemd.exec(5): LoadCredential=camera:FOLDER names each file of the folder so, with an underscore.
        for path in (Path(directory) / f"camera.{camera}", Path(directory) / f"camera_{camera}"):
            try:
                return _first_line(path.read_bytes()[:4096], path, key)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise ConfigError(key, f"the systemd credential {path} cannot be read: {_reason(error)}") from None
    raise ConfigError(
        key,
        f"the camera '{camera}' has a user but no password; add password_file, "
        f"or a systemd credential named camera.{camera} (a file /etc/nvr/credentials/{camera})",
    )


def _first_line(data: bytes, path: Path, key: str) -> SecretStr:
    try:
        password = data.decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise ConfigError(key, f"{path} is not UTF-8 text, so it cannot be a password") from None
    if not password:
        raise ConfigError(key, f"{path} has no password in its first line")
    return SecretStr(password)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


# ---- which line a key stands in -------------------------------------------------------------------------------------

Where = tuple[str | int, ...]
"""A place in a document: ("volume", 0, "path")."""


def key_lines(text: str, document: Mapping[str, Any]) -> dict[Where, int]:
    """The line, from 1, of each key and table of `text`, which tomllib has read as `document`.

    tomllib keeps no lines, so the text is read a second time. That reading is believed only where it found exactly the
    keys and the values tomllib found; else the answer is empty, so that no message ever names a wrong line.
    """
    scan = _Scan(text.replace("\r\n", "\n"))
    try:
        scan.document()
        agreed = all(_agrees(where, value, document) for where, value in scan.values.items())
    except (_LostError, ValueError, RecursionError):
        return {}
    if not agreed or set(scan.values) != set(_leaves(document)):
        return {}
    return scan.implied | scan.lines


def _agrees(where: Where, value: str, document: Mapping[str, Any]) -> bool:
    # As text, since nan is equal to nothing, and 1 to true.
    return repr(tomllib.loads(f"value = {value}")["value"]) == repr(_value_at(where, document))


def _leaves(value: Any, where: Where = ()) -> Iterator[Where]:
    """Places of everything written as `key = value`; what stands in a list belongs to the list's key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, dict) and inner:
                yield from _leaves(inner, (*where, key))
            elif isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner):
                for number, item in enumerate(inner):
                    yield from _leaves(item, (*where, key, number))
            elif not isinstance(inner, dict):
                yield (*where, key)


class _LostError(Exception):
    """The scan met something it does not understand."""


_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACES = re.compile(r"[ \t]*")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
_SCALAR = re.compile(
    r"""
    \"{3}(?:\\.|"{1,2}(?!")|[^"\\])*"{3,5} | '{3}(?:'{1,2}(?!')|[^'])*'{3,5}
    | "(?:\\.|[^"\\\n])*" | '[^'\n]*'
    | \d{4}-\d\d-\d\d[ ]\d\d:[^\s,\]}\#]* | [^\s,\]}\#"'\[{]+
    """,
    re.VERBOSE | re.DOTALL,
)


class _Scan:
    """One reading of a TOML text that notes where each key stands. Raises _LostError where it is not sure."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Where, int] = {}
        self.implied: dict[Where, int] = {}
        """Tables that nothing but a key or table inside them mentions."""
        self.values: dict[Where, str] = {}
        self._text = text
        self._at = 0
        self._counts: dict[Where, int] = {}

    def document(self) -> None:
        table: Where = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._assignment(table)

    def _header(self) -> Where:
        line, repeated = self._line(), self._text.startswith("[[", self._at)
        self._at += 2 if repeated else 1
        where = self._resolved(self._key())
        self._expect("]]" if repeated else "]")
        if repeated:
            number = self._counts.get(where, 0)
            self._counts[where] = number + 1
            self.implied.setdefault(where, line)
            where = (*where, number)
        self._note(where, line)
        return where

    def _resolved(self, key: tuple[str, ...]) -> Where:
        """Below a [[table]] a header means its last element."""
        where: Where = ()
        for part in key:
            if where in self._counts:
                where = (*where, self._counts[where] - 1)
            where = (*where, part)
        return where

    def _assignment(self, table: Where) -> None:
        line = self._line()
        where = (*table, *self._key())
        self._expect("=")
        self._skip(_SPACES)
        self._note(where, line)
        if self._text.startswith("{", self._at):
            self._inline_table(where)
        else:
            self._list_or_scalar(where)

    def _inline_table(self, where: Where) -> None:
        self._at += 1
        while not self._took("}"):
            self._assignment(where)
            self._took(",")

    def _list_or_scalar(self, where: Where) -> None:
        start = self._at
        if not self._text.startswith("[", self._at):
            self._scalar()
            self.values[where] = self._text[start : self._at]
        elif not self._list_of_tables(where):
            self._at = start
            self._list()
            self.values[where] = self._text[start : self._at]

    def _list_of_tables(self, where: Where) -> bool:
        """`key = [{...}, {...}]`: the same as [[key]] twice. False, wherever it stopped, for any other list."""
        self._at += 1
        number = 0
        while self._text.startswith("{", self._skip(_BLANK)):
            self._note((*where, number), self._line())
            self._inline_table((*where, number))
            number += 1
            self._took(",")
        return number > 0 and self._took("]")

    def _list(self) -> None:
        self._at += 1
        while not self._took("]"):
            if self._text.startswith("{", self._at):
                raise _LostError  # tables among other values: no key of ours
            if self._text.startswith("[", self._at):
                self._list()
            else:
                self._scalar()
            self._took(",")

    def _scalar(self) -> None:
        self._at = self._match(_SCALAR).end()

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._skip(_SPACES)
            found = self._match(_KEY_PART)
            self._at = found.end()
            # tomllib itself says what an escape in a quoted key means.
            parts.append(next(iter(tomllib.loads(f"{found[0]} = 0"))))
            self._skip(_SPACES)
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _note(self, where: Where, line: int) -> None:
        if where in self.lines:
            raise _LostError
        self.lines[where] = line
        for depth in range(1, len(where)):
            self.implied.setdefault(where[:depth], line)

    def _took(self, char: str) -> bool:
        """Step over `char`, and the blanks around it, where it comes next."""
        if not self._text.startswith(char, self._skip(_BLANK)):
            return False
        self._at += 1
        self._skip(_BLANK if char == "," else _SPACES)
        return True

    def _expect(self, word: str) -> None:
        if not self._text.startswith(word, self._at):
            raise _LostError
        self._at += len(word)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _LostError
        return found

    def _skip(self, pattern: re.Pattern[str]) -> int:
        self._at = self._match(pattern).end()
        return self._at

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

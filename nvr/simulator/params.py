"""The parameter API: gets and sets by name, with users, roles and commits (guide 5 and 6, fact sheet 5)."""

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from nvr.simulator import events, reports
from nvr.simulator.camera import Camera
from nvr.simulator.destination import JPEG
from nvr.simulator.events import Events
from nvr.simulator.http import Request, answer, page
from nvr.simulator.options import FRAME_RATES
from nvr.simulator.ptz import AXES, PRESETS
from nvr.simulator.settings import ADMIN, ALL, OPERATORS, Setting, kept

_MOST_BYTES: Final = 1024  # guide 5: the string of a request
_US: Final = 1_000_000
_OK: Final = "200 OK"
_REVISIONS: Final = ("net", "sys", "cam", "lens")
_DIRECTIONS: Final = {"pan": ("left", "right"), "tilt": ("down", "up"), "zoom": ("out", "in")}
_MOVE: Final = re.compile(r"([+-]?)(\d{1,3})(?:\.(\d{1,2}))?")
_TITLE_CHARACTERS: Final = 32


class Refused(Exception):
    """The camera's answer behind the name: a code and its words."""


@dataclass(frozen=True, slots=True)
class _Live:
    """A parameter that does something: how it is got and set, and by whom."""

    get: Callable[[], str] | None = None
    set: Callable[[str], None] | None = None
    commit: str = ""
    set_by: frozenset[str] = OPERATORS
    get_by: frozenset[str] = ALL
    keeps_itself: bool = False
    """What is saved of it is no business of camera.status=save."""


class Params:
    """The parameters of one camera."""

    def __init__(self, camera: Camera, events: Events, restart: Callable[[], None]) -> None:
        self._camera = camera
        self._events = events
        self._restart = restart
        self._log = reports.Log(camera)
        users = ("admin", "operator", "user")
        self._passwords = {user: password for user in users if (password := camera.options.password(user)) is not None}
        self._table: dict[str, Setting] = {setting.name: setting for setting in kept()}
        self._now = {name: setting.first for name, setting in self._table.items()}
        self._saved = dict(self._now)
        self._saved_live: dict[str, str] = {}
        self._modes = {axis: _DIRECTIONS[axis][0] for axis in AXES}
        self._speeds = dict.fromkeys(AXES, 100)
        self._outputs = {1: "break", 2: "break"}
        self._output_ms = {1: 0, 2: 0}
        self._live = dict(self._live_ones())
        self._save_live()

    def answer(self, request: Request) -> bytes:
        """The whole HTTP answer to a request for /api/param."""
        said = request.query
        login = request.login
        user = login[0] if login is not None and self._passwords.get(login[0]) == login[1] else None
        if user is None and not self._camera.options.auth_error_in_body:
            return self._page(request, 401, "Unauthorized", "", 'WWW-Authenticate: Basic realm="VN-V685"')
        name, equals, value = said.partition("=")
        lines = f"{name}&401 Unauthorized"
        if user is not None:
            lines = self._line(name, value if equals else None, user, too_long=len(said) > _MOST_BYTES)
        return self._page(request, 200, "OK", lines)

    def is_restricted(self, client: str) -> bool:
        """Whether the access restriction keeps that address from video (guide 6.14)."""
        hosts = [self._now[f"network.access_control(stream_out).host({number})"] for number in range(1, 11)]
        named = [host for host in hosts if host]
        listed = any(_covers(host, client) for host in named)
        allows = self._now["network.access_control(stream_out).logic"] == "allow"
        return bool(named) and listed != allows

    def _line(self, name: str, value: str | None, user: str, *, too_long: bool) -> str:
        # The guide prints canera. in two places and camera. everywhere else (fact sheet 5.4): both are taken.
        known = "camera." + name.removeprefix("canera.") if name.startswith("canera.") else name
        try:
            if too_long:
                raise Refused("400 Bad Request")
            if value is None:
                return self._got(name, known, user)
            return f"{name}&{self._set(known, _decoded(value), user)}"
        except Refused as refused:
            return f"{name}&{refused}"
        except ValueError:
            return f"{name}&400 Bad Request"

    def _got(self, name: str, known: str, user: str) -> str:
        live, setting = self._live.get(known), self._table.get(known)
        if known == "system.session":
            return reports.sessions(self._camera)
        if live is not None and live.get is not None:
            _allow(user, live.get_by)
            return f"{name}={live.get()}&{_OK}" if known != "system.log" else live.get()
        if setting is not None:
            _allow(user, setting.get_by)
            return f"{name}={self._now[known]}&{_OK}"
        raise Refused("404 Not Found")

    def _set(self, known: str, value: str, user: str) -> str:
        live, setting = self._live.get(known), self._table.get(known)
        if live is not None and live.set is not None:
            _allow(user, live.set_by)
            live.set(value)
            return _changed(live.commit)
        if setting is None:
            raise Refused("404 Not Found")
        _allow(user, setting.set_by)
        stepped = setting.stepped(self._now[known], value) if value in ("+", "-") else value
        if stepped is None or not setting.check(stepped):
            raise Refused("400 Bad Request")
        self._now[known] = stepped
        if not setting.commit:
            self._saved[known] = stepped
        return _changed(setting.commit)

    def _live_ones(self) -> dict[str, _Live]:
        camera = self._camera
        ones = {
            "camera.id": _Live(lambda: camera.camera_id, self._set_camera_id, "camera.status=save"),
            "camera.status": _Live(self._preset, self._save_or_restore),
            "camera.detection.status": _Live(
                lambda: _on_off(camera.motion_detection), self._set_detection, "camera.status=save"
            ),
            "camera.motion.auto_tracking(1).status": _Live(
                lambda: "moving" if camera.tracking else "stop", self._set_tracking
            ),
            "camera.motion.position.speed": _Live(
                lambda: str(camera.mount.preset_speed), self._set_preset_speed, "camera.status=save"
            ),
            "encode(1).status": _Live(None, self._save),
            "encode(2).status": _Live(None, self._save),
            "encode(1).framesize": _Live(lambda: camera.jpeg_size, self._set_jpeg_size, "encode(1).status=save"),
            "network.interface.ip": _Live(lambda: camera.options.host),
            "system.model": _Live(lambda: camera.options.model),
            "system.date": _Live(self._date, self._set_date, set_by=ADMIN),
            "system.status": _Live(None, self._set_system_status, set_by=ADMIN),
            "system.log": _Live(self._log.text, get_by=ADMIN),
        }
        ones |= (
            self._encode_ones()
            | self._destination_ones()
            | self._event_ones()
            | self._motion_ones()
            | self._preset_ones()
            | self._pin_ones()
        )
        for part in _REVISIONS:
            ones[f"system.software.revision({part})"] = _Live(lambda: "V3-00")
        for user in self._passwords:
            ones[f"system.password.{user}"] = _Live(None, self._password_setter(user), set_by=ADMIN)
        return ones

    def _encode_ones(self) -> dict[str, _Live]:
        camera = self._camera
        commit = "encode(2).status=save"

        def change(name: str, of: Callable[[str], Any]) -> Callable[[str], None]:
            return lambda value: camera.change(**{name: of(value)})

        return {
            # The guide's hint names encode(1) here: either saves both (fact sheet 5.4).
            "encode(2).framesize": _Live(
                lambda: camera.settings.frame_size, change("frame_size", str), "encode(1).status=save"
            ),
            "encode(2).framerate": _Live(lambda: camera.settings.rate_text, change("frame_rate", _frame_rate), commit),
            "encode(2).iframeinterval": _Live(
                lambda: str(camera.settings.i_interval), change("i_interval", int), commit
            ),
            "encode(2).bitrate": _Live(
                lambda: str(camera.settings.bitrate_bps), change("bitrate_bps", _bitrate), commit
            ),
        }

    def _destination_ones(self) -> dict[str, _Live]:
        ones = {}
        for number, to in self._camera.destinations.items():
            name = f"network.destination({number})"
            # The hint names host=save (fact sheet 5.4).
            hint = f"{name}.host=save"
            ones[f"{name}.status"] = _Live(partial(to.get, "status"), partial(to.set, "status"), get_by=OPERATORS)
            for key in ("host", "port", "framerate") if number == JPEG else ("host", "port"):
                ones[f"{name}.{key}"] = _Live(
                    partial(to.get, key), partial(to.set, key), hint, set_by=ADMIN, get_by=OPERATORS, keeps_itself=True
                )
        return ones

    def _event_ones(self) -> dict[str, _Live]:
        ones = {}
        for number in events.NUMBERS:
            name = f"application.event({number})"
            for key in events.KEYS:
                commit = "" if key == "status" else f"{name}.status=restart"
                get, change = partial(self._events.get, number, key), partial(self._events.set, number, key)
                ones[f"{name}.{key}"] = _Live(get, change, commit, get_by=OPERATORS, keeps_itself=True)
        return ones

    def _motion_ones(self) -> dict[str, _Live]:
        ones = {}
        for axis in AXES:
            name = f"camera.motion.{axis}"
            ones[name] = _Live(self._place_getter(axis), self._mover(axis))
            ones[f"{name}.status"] = _Live(self._moving_getter(axis), self._starter(axis))
            ones[f"{name}.mode"] = _Live(None, self._mode_setter(axis))
            ones[f"{name}.speed"] = _Live(None, self._speed_setter(axis))
        return ones

    def _preset_ones(self) -> dict[str, _Live]:
        ones = {}
        for number in PRESETS:
            name = f"camera.position({number})"
            ones[f"{name}.status"] = _Live(self._registered_getter(number), self._preset_setter(number))
            ones[f"{name}.comment"] = _Live(self._title_getter(number), self._title_setter(number))
        return ones

    def _pin_ones(self) -> dict[str, _Live]:
        ones = {}
        for number in (1, 2):
            ones[f"peripheral.input_pin.pin({number}).status"] = _Live(self._input_getter(number))
            output = f"peripheral.output_pin.pin({number})"
            ones[f"{output}.status"] = _Live(self._output_getter(number), self._output_setter(number))
            ones[f"{output}.duration"] = _Live(self._duration_getter(number), self._duration_setter(number))
            # The guide prints input_pin where it sets an output's duration (guide 6.5).
            ones[f"peripheral.input_pin.pin({number}).duration"] = _Live(None, self._duration_setter(number))
        return ones

    # What the parameters do.

    def _set_camera_id(self, value: str) -> None:
        if len(value.encode("utf-8")) > 40:
            raise ValueError("longer than 40 bytes")
        self._camera.camera_id = value

    def _preset(self) -> str:
        preset = self._camera.mount.preset(time.monotonic())
        return "none" if preset is None else str(preset)

    def _save_or_restore(self, value: str) -> None:
        if value == "restore":
            self._restore()
        else:
            self._save(value)

    def _save(self, value: str) -> None:
        if value != "save":
            raise ValueError("only save is known")
        self._saved = dict(self._now)
        self._save_live()

    def _save_live(self) -> None:
        names = [
            name for name, live in self._live.items() if live.commit and live.get is not None and not live.keeps_itself
        ]
        self._saved_live = {name: get() for name in names if (get := self._live[name].get) is not None}

    def _restore(self) -> None:
        self._now = dict(self._saved)
        for name, value in self._saved_live.items():
            live = self._live[name]
            if live.set is not None and live.get is not None and live.get() != value:
                live.set(value)

    def _set_detection(self, value: str) -> None:
        self._camera.motion_detection = _is_on(value)

    def _set_tracking(self, value: str) -> None:
        if value not in ("start", "stop"):
            raise ValueError("start or stop")
        self._camera.tracking = 2 if value == "start" else 0

    def _set_preset_speed(self, value: str) -> None:
        self._camera.mount.preset_speed = _percent(value)

    def _set_jpeg_size(self, value: str) -> None:
        if value not in ("vga", "qvga"):
            raise ValueError("vga or qvga")
        self._camera.jpeg_size = value

    def _date(self) -> str:
        return datetime.fromtimestamp(self._camera.clock_us() / _US, UTC).strftime("%Y%m%d%H%M%S")

    def _set_date(self, value: str) -> None:
        wanted = datetime.strptime(value, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        self._camera.set_clock_us += round(wanted.timestamp() * _US) - self._camera.clock_us()

    def _set_system_status(self, value: str) -> None:
        if value == "initialize":
            self._saved = {name: setting.first for name, setting in self._table.items()}
        elif value != "restart":
            raise ValueError("restart or initialize")
        self._restore()
        # The answer goes out first.
        asyncio.get_running_loop().call_later(0.05, self._restart)

    def _password_setter(self, user: str) -> Callable[[str], None]:
        def change(value: str) -> None:
            if not 4 <= len(value) <= 16:
                raise ValueError("4 to 16 characters")
            self._passwords[user] = value

        return change

    def _place_getter(self, axis: str) -> Callable[[], str]:
        at = AXES.index(axis)
        return lambda: f"{self._camera.mount.at(time.monotonic())[at] / 100:.2f}"

    def _mover(self, axis: str) -> Callable[[str], None]:
        def move(value: str) -> None:
            match = _MOVE.fullmatch(value)
            if match is None:
                raise ValueError("no position")
            hundredths = int(match[2]) * 100 + int((match[3] or "0").ljust(2, "0"))
            if match[1]:
                self._camera.mount.go_by(axis, -hundredths if match[1] == "-" else hundredths, time.monotonic())
            else:
                self._camera.mount.go(axis, hundredths, time.monotonic())

        return move

    def _moving_getter(self, axis: str) -> Callable[[], str]:
        return lambda: "moving" if self._camera.mount.is_moving(axis, time.monotonic()) else "stop"

    def _starter(self, axis: str) -> Callable[[str], None]:
        def start(value: str) -> None:
            if value not in ("start", "stop"):
                raise ValueError("start or stop")
            sign = -1 if self._modes[axis] == _DIRECTIONS[axis][0] else 1
            share = sign * self._speeds[axis] / 100 if value == "start" else 0.0
            self._camera.mount.turn(axis, share, time.monotonic())

        return start

    def _mode_setter(self, axis: str) -> Callable[[str], None]:
        def change(value: str) -> None:
            if value not in _DIRECTIONS[axis]:
                raise ValueError("no direction")
            self._modes[axis] = value

        return change

    def _speed_setter(self, axis: str) -> Callable[[str], None]:
        def change(value: str) -> None:
            self._speeds[axis] = _percent(value)

        return change

    def _registered_getter(self, number: int) -> Callable[[], str]:
        return lambda: "registered" if self._camera.mount.has_preset(number) else "unregistered"

    def _preset_setter(self, number: int) -> Callable[[str], None]:
        def act(value: str) -> None:
            mount, now_s = self._camera.mount, time.monotonic()
            match value:
                case "goto":
                    mount.go_to_preset(number, now_s)
                case "save":
                    mount.save_preset(number, now_s)
                case "initialize":
                    mount.forget_preset(number)
                case _:
                    raise ValueError("goto, save or initialize")

        return act

    def _title_getter(self, number: int) -> Callable[[], str]:
        return lambda: self._camera.mount.title(number)

    def _title_setter(self, number: int) -> Callable[[str], None]:
        def change(value: str) -> None:
            if len(value) > _TITLE_CHARACTERS:
                raise ValueError("longer than 32 characters")
            self._camera.mount.name_preset(number, value)

        return change

    def _input_getter(self, number: int) -> Callable[[], str]:
        return lambda: self._camera.pins[number]

    def _output_getter(self, number: int) -> Callable[[], str]:
        return lambda: self._outputs[number]

    def _output_setter(self, number: int) -> Callable[[str], None]:
        def change(value: str) -> None:
            if value not in ("make", "break"):
                raise ValueError("make or break")
            self._outputs[number] = value
            back = "break" if value == "make" else "make"
            if self._output_ms[number]:
                asyncio.get_running_loop().call_later(
                    self._output_ms[number] / 1000, self._outputs.__setitem__, number, back
                )

        return change

    def _duration_getter(self, number: int) -> Callable[[], str]:
        return lambda: str(self._output_ms[number])

    def _duration_setter(self, number: int) -> Callable[[str], None]:
        def change(value: str) -> None:
            milliseconds = int(value)
            if milliseconds and not 100 <= milliseconds <= 5000:
                raise ValueError("0, or 100 to 5000")
            self._output_ms[number] = milliseconds

        return change

    def _page(self, request: Request, status: int, reason: str, lines: str, *more: str) -> bytes:
        server = f"JVC {self._camera.options.family} API Server"
        if "text/plain" in request.headers.get("accept", ""):
            return answer(status, reason, server, "text/plain", f"{lines}\r\n".encode(), *more)
        return answer(status, reason, server, "text/html", page(f"{status} {reason}", lines), *more)


def _allow(user: str, roles: frozenset[str]) -> None:
    if user not in roles:
        raise Refused("401 Unauthorized")


def _changed(commit: str) -> str:
    return f"202 Accepted({commit})" if commit else _OK


def _decoded(value: str) -> str:
    """A value as sent; `%00` is blank (guide 6.1)."""
    return "" if value == "%00" else unquote(value, errors="strict")


def _frame_rate(value: str) -> Fraction:
    rate = Fraction(value)
    if rate not in FRAME_RATES:
        raise ValueError("no such frame rate")
    return rate


def _bitrate(value: str) -> int:
    rate = int(value)
    if not 64_000 <= rate <= 8_000_000:
        raise ValueError("64000 to 8000000")
    return rate


def _percent(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 100:
        raise ValueError("0 to 100")
    return number


def _on_off(state: bool) -> str:
    return "on" if state else "off"


def _is_on(value: str) -> bool:
    if value not in ("on", "off"):
        raise ValueError("on or off")
    return value == "on"


def _covers(host: str, client: str) -> bool:
    try:
        return ipaddress.ip_address(client) in ipaddress.ip_network(host, strict=False)
    except ValueError:  # a name: this camera asks no DNS
        return host == client

"""The parameter API: gets and sets by name, with users, roles and commits (guide 5 and 6, fact sheet 5)."""

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from nvr.simulator import reports
from nvr.simulator.camera import Camera
from nvr.simulator.destination import JPEG
from nvr.simulator.events import Events
from nvr.simulator.http import Request, answer, page
from nvr.simulator.live import Live, Refused
from nvr.simulator.motion import Motion
from nvr.simulator.settings import ADMIN, OPERATORS, Group, Setting, kept

_MOST_BYTES: Final = 1024  # guide 5: the string of a request
_US: Final = 1_000_000
_OK: Final = "200 OK"
_REVISIONS: Final = ("net", "sys", "cam", "lens")
_USERS: Final = ("admin", "operator", "user")
_BAD: Final = "400 Bad Request"
_UNKNOWN: Final = "404 Not Found"
_MAC: Final = "008088001AEF"
_AREA_STATUS: Final = re.compile(r"camera\.private_mask\.area\((\d)\)\.status")
_LACKING: Final = ("network.interface.ipv6", "network.gateway(ipv6)", "network.vsip_server", "network.amx")
"""Begins of names that the VN-V686 does not have (guide 6.10, 6.12)."""


class Params:
    """The parameters of one camera."""

    def __init__(
        self, camera: Camera, events: Events, restart: Callable[[], None], serve_http: Callable[[], None]
    ) -> None:
        """`restart` begins a restart of the camera, `serve_http` serves HTTP at another address or port."""
        self._camera = camera
        self._events = events
        self._restart = restart
        self._serve_http = serve_http
        self._log = reports.Log(camera)
        self._passwords = self._first_passwords()
        self._table: dict[str, Setting] = {setting.name: setting for setting in kept()}
        self._now = {name: setting.first for name, setting in self._table.items()} | self._of_options()
        self._saved = dict(self._now)
        self._factory = dict(self._now)
        self._asked: dict[str, str] = {}
        """Set, but neither told nor heeded before its commit."""
        self._dnr_before = "low"
        self._outputs = {1: "break", 2: "break"}
        self._readers = self._read_from_the_camera()
        self._effects = self._done_by_the_camera()
        for name, effect in self._effects.items():
            if name.startswith("application.event"):
                effect(self._now[name])
        self._motion = Motion(camera, self)
        self._live = dict(self._live_ones())

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

    def lose_power(self) -> None:
        """What was not saved is as before (guide 6.2, 6.3, 6.7); what was never taken over is forgotten."""
        self._asked.clear()
        self._hold(self._saved)
        self._log.clear()
        self._motion.power_off()

    @property
    def http_address(self) -> tuple[str, int]:
        """Where the camera serves HTTP, by its settings."""
        return self._now["network.interface.ip"], int(self._now["network.http.port"])

    @property
    def motion(self) -> Motion:
        return self._motion

    # ---- what is kept; Motion asks it too

    def told(self, name: str) -> str:
        """What a get of a kept parameter answers."""
        reader = self._readers.get(name)
        return reader() if reader is not None else self._now[name]

    def put(self, name: str, value: str) -> None:
        """Holds from now on, until power off."""
        self._now[name] = value
        if (effect := self._effects.get(name)) is not None:
            effect(value)

    def commit(self, group: str) -> None:
        """What was changed of that group lasts, and holds."""
        for name, setting in self._table.items():
            if setting.group.name != group:
                continue
            if name in self._asked:
                self.put(name, self._asked.pop(name))
            self._saved[name] = self.told(name)

    def _hold(self, values: dict[str, str]) -> None:
        for name, value in values.items():
            if self.told(name) != value or self._now[name] != value:
                self.put(name, value)

    def _line(self, name: str, value: str | None, user: str, *, too_long: bool) -> str:
        # The guide prints canera. in two places and camera. everywhere else (fact sheet 5.4): both are taken.
        known = "camera." + name.removeprefix("canera.") if name.startswith("canera.") else name
        # The guide prints input_pin where it sets an output's duration (guide 6.5).
        known = re.sub(r"input_pin(\.pin\([12]\)\.duration)", r"output_pin\1", known)
        try:
            if too_long:
                raise Refused(_BAD)
            if self._camera.options.model.startswith("VN-V686U") and known.startswith(_LACKING):
                raise Refused(_UNKNOWN)
            if value is None:
                return self._got(name, known, user)
            return f"{name}&{self._set(known, _decoded(value), user)}"
        except Refused as refused:
            # Guide 6.6 prints 206 without a name.
            return str(refused) if str(refused).startswith("206") else f"{name}&{refused}"
        except ValueError:
            return f"{name}&{_BAD}"

    def _got(self, name: str, known: str, user: str) -> str:
        live, setting = self._live.get(known), self._table.get(known)
        if known == "system.session":
            return reports.sessions(self._camera)
        if live is not None and live.get is not None:
            _allow(user, live.get_by)
            return f"{name}={live.get()}&{_OK}" if known != "system.log" else live.get()
        if setting is not None and setting.get_by:
            _allow(user, setting.get_by)
            return f"{name}={self.told(known)}&{_OK}"
        raise Refused(_UNKNOWN)

    def _set(self, known: str, value: str, user: str) -> str:
        live, setting = self._live.get(known), self._table.get(known)
        if live is not None and live.set is not None:
            _allow(user, live.set_by)
            live.set(value)
            return f"202 Accepted({live.hint})" if live.hint else _OK
        if setting is None:
            raise Refused(_UNKNOWN)
        _allow(user, setting.set_by)
        if self._does(known, value):
            return _OK
        before = self._asked.get(known, self.told(known))
        stepped = setting.stepped(before, value) if value in ("+", "-") else _found(known, value)
        if stepped is None or not setting.check(stepped) or not self._suits(known, stepped):
            raise Refused(_BAD)
        self._take(setting, stepped)
        return _changed(setting.group)

    def _take(self, setting: Setting, value: str) -> None:
        name = setting.name
        if setting.group.late:
            self._asked[name] = value
            return
        self.put(name, value)
        self._follow(name, value)
        if not setting.group.name:
            self._saved[name] = value

    # ---- words that do something at a kept parameter

    def _does(self, name: str, value: str) -> bool:
        """Carries out a word that is done and not kept; False for any other value."""
        if (match := _AREA_STATUS.fullmatch(name)) is not None and value in ("edit", "save", "clear", "exit"):
            self._motion.edit_area(int(match[1]), value)
        elif name == "camera.motion.auto_return.status" and value in ("start", "stop"):
            self._motion.auto_return(value)
        elif value == "restart" and name in ("network.dns.status", "network.ntp.status", "network.vsip_server.status"):
            self.commit(name.split(".")[1].removesuffix("_server"))
        else:
            return False
        return True

    def _suits(self, name: str, value: str) -> bool:
        """What the guide says of values together."""
        told = self.told
        match name:
            case "encode(1).quality":
                low, high = (10, 100) if told("encode(1).framesize") == "vga" else (3, 33)
                return low <= int(value.removesuffix("k")) <= high
            case "camera.shutter":
                return int(value) < 250 or told("camera.image.senseup_limit") == "0"
            case "application.object.prerec":
                return value != "0" or told("application.object.postrec") != "0"
            case "application.object.postrec":
                return value != "0" or told("application.object.prerec") != "0"
            case "camera.motion.auto_tracking(2).zoom_limit":
                return float(value) <= float(told("camera.motion.auto_tracking(2).max_zoom"))
            case "network.gateway(ipv4)":
                return told("network.interface.dhcp.status") == "off"
            case "network.ntp.interval":
                unit = self._asked.get("network.ntp.unit", told("network.ntp.unit"))
                return int(value) <= (31 if unit == "day" else 60)
        return True

    def _follow(self, name: str, value: str) -> None:
        """What changes with it (guide 6.2, 6.3)."""
        match name, value:
            case "encode(1).framesize", "vga" | "qvga":
                kilobytes = int(self._now["encode(1).quality"].removesuffix("k"))
                fits = 10 <= kilobytes <= 100 if value == "vga" else kilobytes <= 33
                if not fits or value == "qvga":
                    kilobytes = kilobytes * 3 if value == "vga" else max(3, kilobytes // 3)
                    self.put("encode(1).quality", f"{min(100, kilobytes)}k")
            case "encode(2).cbr_mode", "vbr":
                self.put("encode(2).framerate", "30")
            case "camera.image.dnr", "off":
                if self._now["camera.image.3ddnr"] != "off":
                    self._dnr_before = self._now["camera.image.3ddnr"]
                self.put("camera.image.3ddnr", "off")
            case "camera.image.dnr", "on":
                if self._now["camera.image.3ddnr"] == "off":
                    self.put("camera.image.3ddnr", self._dnr_before)
            case "camera.image.3ddnr", _:
                self.put("camera.image.dnr", "off" if value == "off" else "on")

    # ---- where values live in the camera itself

    def _of_options(self) -> dict[str, str]:
        camera = self._camera
        return {
            "camera.id": camera.camera_id,
            "encode(2).framesize": camera.settings.frame_size,
            "encode(2).framerate": camera.settings.rate_text,
            "encode(2).iframeinterval": str(camera.settings.i_interval),
            "encode(2).bitrate": str(camera.settings.bitrate_bps),
            "network.interface.ip": camera.options.host,
        }

    def _read_from_the_camera(self) -> dict[str, Callable[[], str]]:
        camera = self._camera
        return {
            "camera.id": lambda: camera.camera_id,
            "camera.detection.status": lambda: _on_off(camera.motion_detection),
            "encode(1).framesize": lambda: camera.jpeg_size,
            "encode(2).framesize": lambda: camera.settings.frame_size,
            "encode(2).framerate": lambda: camera.settings.rate_text,
            "encode(2).iframeinterval": lambda: str(camera.settings.i_interval),
            "encode(2).bitrate": lambda: str(camera.settings.bitrate_bps),
        }

    def _done_by_the_camera(self) -> dict[str, Callable[[str], None]]:
        camera = self._camera

        def sets(name: str, of: Callable[[str], Any] = str) -> Callable[[str], None]:
            return lambda value: setattr(camera, name, of(value))

        def encodes(name: str, of: Callable[[str], Any] = str) -> Callable[[str], None]:
            return lambda value: camera.change(**{name: of(value)})

        return {
            "camera.id": sets("camera_id"),
            "camera.detection.status": sets("motion_detection", "on".__eq__),
            "camera.motion.position.speed": lambda value: setattr(camera.mount, "preset_speed", int(value)),
            "encode(1).framesize": sets("jpeg_size"),
            "encode(2).framesize": encodes("frame_size"),
            "encode(2).framerate": encodes("frame_rate", Fraction),
            "encode(2).iframeinterval": encodes("i_interval", int),
            "encode(2).bitrate": encodes("bitrate_bps", int),
        } | {
            f"application.event({number}).{key}": partial(self._events.hold, number, key)
            for number in self._events.numbers
            for key in ("action", "trigger")
        }

    def _first_passwords(self) -> dict[str, str]:
        return {user: password for user in _USERS if (password := self._camera.options.password(user)) is not None}

    def listens_on(self, port: int) -> None:
        """The port that HTTP is served on at first: what the factory gave this camera."""
        for values in (self._now, self._saved, self._factory):
            values["network.http.port"] = str(port)

    # ---- parameters that do something

    def _live_ones(self) -> dict[str, Live]:
        camera = self._camera
        ones = {
            "camera.status": Live(self._preset, self._save_or_restore),
            "encode(1).status": Live(None, self._saver("encode")),
            "encode(2).status": Live(None, self._saver("encode")),
            "network.interface.status": Live(None, self._restart_network, set_by=ADMIN),
            "network.http.status": Live(None, self._restart_http),
            "network.http(configuration).status": Live(None, self._restart_http),
            "network.gateway(ipv6)": Live(lambda: ""),
            "network.interface.mac": Live(lambda: _MAC),
            "system.model": Live(lambda: camera.options.model),
            "system.date": Live(self._date, self._set_date, set_by=ADMIN),
            "system.status": Live(None, self._set_system_status, set_by=ADMIN),
            "system.log": Live(self._log.text, get_by=ADMIN),
        }
        ones |= self._motion.live() | self._event_ones() | self._pin_ones() | self._multicast_ones()
        for number in range(1, 9):
            ones[f"network.interface.ipv6.link_local({number})"] = Live(self._link_local_getter(number))
            ones[f"network.interface.ipv6.global({number})"] = Live(lambda: "")
        for part in _REVISIONS:
            ones[f"system.software.revision({part})"] = Live(lambda: camera.options.firmware)
        for user in self._passwords:
            ones[f"system.password.{user}"] = Live(None, self._password_setter(user), set_by=ADMIN)
        return ones

    def _event_ones(self) -> dict[str, Live]:
        return {
            f"application.event({number}).status": Live(
                partial(self._events.status, number), partial(self._set_event, number), get_by=OPERATORS
            )
            for number in self._events.numbers
        }

    def _set_event(self, number: int, value: str) -> None:
        if value == "restart":
            self.commit(f"event({number})")
            self._events.restart(number)  # guide 6.4: on after restart makes it work again
        else:
            self._events.switch(number, _is_on(value))

    def _pin_ones(self) -> dict[str, Live]:
        ones = {}
        for number in (1, 2):
            ones[f"peripheral.input_pin.pin({number}).status"] = Live(self._input_getter(number))
            output = f"peripheral.output_pin.pin({number}).status"
            ones[output] = Live(self._output_getter(number), self._output_setter(number))
        return ones

    def _multicast_ones(self) -> dict[str, Live]:
        ones = {}
        for number, to in self._camera.destinations.items():
            name = f"network.destination({number})"
            hint = f"{name}.host=save"  # so the guide prints it (fact sheet 5.4)
            ones[f"{name}.status"] = Live(partial(to.get, "status"), partial(to.set, "status"), get_by=OPERATORS)
            for key in ("host", "port", "framerate") if number == JPEG else ("host", "port"):
                ones[f"{name}.{key}"] = Live(
                    partial(to.get, key), partial(to.set, key), set_by=ADMIN, get_by=OPERATORS, hint=hint
                )
        return ones

    def _preset(self) -> str:
        preset = self._camera.mount.preset(time.monotonic())
        return "none" if preset is None else str(preset)

    def _save_or_restore(self, value: str) -> None:
        if value == "restore":
            names = [name for name, setting in self._table.items() if setting.group.name == "camera"]
            self._hold({name: self._saved[name] for name in names})
        else:
            self._saver("camera")(value)

    def _saver(self, group: str) -> Callable[[str], None]:
        def save(value: str) -> None:
            if value != "save":
                raise ValueError("only save is known")
            self.commit(group)

        return save

    def _restart_network(self, value: str) -> None:
        if value != "restart":
            raise ValueError("only restart is known")
        self.commit("interface")
        self._begin_restart()

    def _restart_http(self, value: str) -> None:
        if value != "restart":
            raise ValueError("only restart is known")
        self.commit("http")
        # The answer goes out first.
        asyncio.get_running_loop().call_later(0.05, self._serve_http)

    def _date(self) -> str:
        return datetime.fromtimestamp(self._camera.clock_us() / _US, UTC).strftime("%Y%m%d%H%M%S")

    def _set_date(self, value: str) -> None:
        wanted = datetime.strptime(value, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        self._camera.set_clock_us += round(wanted.timestamp() * _US) - self._camera.clock_us()

    def _set_system_status(self, value: str) -> None:
        if value == "initialize":
            self._initialize()
        elif value != "restart":
            raise ValueError("restart or initialize")
        self.commit("system")
        self._begin_restart()

    def _initialize(self) -> None:
        """Everything as from the factory (guide 6.17)."""
        self._asked.clear()
        self._saved = dict(self._factory)
        self._passwords = self._first_passwords()
        for number in self._events.numbers:
            self._events.switch(number, False)
        for destination in self._camera.destinations.values():
            destination.forget()
        self._hold(self._saved)
        self._motion.forget()

    def _begin_restart(self) -> None:
        self.lose_power()
        # The answer goes out first.
        asyncio.get_running_loop().call_later(0.05, self._restart)

    def _password_setter(self, user: str) -> Callable[[str], None]:
        def change(value: str) -> None:
            if not 4 <= len(value) <= 16:
                raise ValueError("4 to 16 characters")
            self._passwords[user] = value

        return change

    def _link_local_getter(self, number: int) -> Callable[[], str]:
        on = "network.interface.ipv6.status"
        return lambda: "fe80::280:88ff:fe00:1aef" if number == 1 and self._now[on] == "on" else ""

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
            for_ms = int(self._now[f"peripheral.output_pin.pin({number}).duration"])
            if for_ms:
                asyncio.get_running_loop().call_later(for_ms / 1000, self._outputs.__setitem__, number, back)

        return change

    def _page(self, request: Request, status: int, reason: str, lines: str, *more: str) -> bytes:
        server = f"JVC {self._camera.options.family} API Server"
        if "text/plain" in request.headers.get("accept", ""):
            return answer(status, reason, server, "text/plain", f"{lines}\r\n".encode(), *more)
        return answer(status, reason, server, "text/html", page(f"{status} {reason}", lines), *more)


def _allow(user: str, roles: frozenset[str]) -> None:
    if user not in roles:
        raise Refused("401 Unauthorized")


def _found(name: str, value: str) -> str:
    """What a word stands for that lets the camera find the value itself (guide 6.2)."""
    return {("camera.iris", "manual"): "50", ("camera.image.white_balance", "op_auto"): "manual"}.get(
        (name, value), value
    )


def _changed(group: Group) -> str:
    return f"202 Accepted({group.hint})" if group.hint else _OK


def _decoded(value: str) -> str:
    """A value as sent; `%00` is blank (guide 6.1)."""
    return "" if value == "%00" else unquote(value, errors="strict")


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

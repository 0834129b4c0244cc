"""Visits cameras for `nvr doctor`: their ports, the login, the vendor's passwords, motion detection.

All cameras at once and each with a deadline. Nothing is set, one picture is taken where nobody records the
camera, and no password is ever told.
"""

import asyncio
import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nvr.camera.control import Control, Deadlines
from nvr.camera.errors import CameraBusy, LinkError, LoginRefused
from nvr.camera.feed import VideoFeed
from nvr.cli.fitness import CameraVisit, Login
from nvr.clock import HostClock
from nvr.config import Camera, Config, ConfigError
from nvr.jvc import params
from nvr.jvc.errors import ApiRefused, ProtocolError

CREDENTIALS: Final = "credentials"
"""The folder beside the configuration whose files systemd hands to the daemon (LoadCredential in its unit)."""

_DEFAULT_PASSWORDS: Final = ("jvc", "vn-v686")  # fact sheet 10, the vendor's manuals
_USERS: Final = ("admin", "operator", "user")
_FOR_ALL: Final = "camera.status"  # every user may ask for it (guide 6.2), so a refusal is one of the password
_UNTOLD: Final = (LinkError, ProtocolError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a camera is waited for, in seconds."""

    port_s: float = 4.0
    """For a name, and for a connection."""
    picture_s: float = 8.0
    answer_s: float = 5.0
    """To one question."""
    visit_s: float = 45.0
    """For everything: two ports, a picture, and at most eight questions to a small processor."""


_USUAL: Final = Patience()


async def visited(
    settings: Config,
    config_path: Path,
    recorded: Collection[str],
    tell: Callable[[int, int], None],
    patience: Patience = _USUAL,
) -> list[CameraVisit]:
    """All cameras in the file's order; `tell` is told how many have answered, or have not, of how many.

    `recorded`: those of which a daemon takes video now.
    """
    names, done = list(settings.cameras), 0
    tell(done, len(names))

    def count(_task: asyncio.Task[CameraVisit]) -> None:
        nonlocal done
        done += 1
        tell(done, len(names))

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _bounded(_Visit(settings, config_path, name, patience, recorded=name in recorded)),
                name=f"visit {name}",
            )
            for name in names
        ]
        for task in tasks:
            task.add_done_callback(count)
    return [task.result() for task in tasks]


async def _bounded(visit: "_Visit") -> CameraVisit:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(visit.patience.visit_s):
            await visit.go()
    return visit.found


class _Visit:
    """One visit; `found` is what is known so far."""

    def __init__(self, settings: Config, config_path: Path, name: str, patience: Patience, *, recorded: bool) -> None:
        self.patience = patience
        self._settings = settings
        self._config_path = config_path
        self._name = name
        self._recorded = recorded
        self._camera: Camera = settings.cameras[name]
        rules = settings.rules_of(name)
        self.found = CameraVisit(
            name,
            f"{self._camera.host}:{self._camera.http_port}",
            off=self._camera.record == "off",
            alarms_wanted=bool(rules) or settings.record_plan(name).may_wait,
            recorded=recorded,
            user=self._camera.user,
            motion_wanted=tuple(rule.name for rule in rules if rule.needs_motion),
        )

    async def go(self) -> None:
        if self.found.off:
            return
        password = self._password()  # wrong also where the camera cannot be reached
        try:
            address = await _resolved(self._camera.host, self._camera.http_port, self.patience.port_s)
        except OSError as error:
            self._note(video=f"{self._camera.host} is no known name: {_reason(error)}")
            return
        await self._try_video(address)
        if self.found.video is not None and not self.found.answers:
            return
        self._note(alarm=await _why_not(address, self._camera.alarm_port, self.patience.port_s))
        await self._try_login(address, password)
        await self._try_defaults(address)

    async def _try_video(self, address: str) -> None:
        """Until the first picture, as the daemon would; where that records already nothing of the camera is taken."""
        if self._recorded:
            self._note(video=await _why_not(address, self._camera.http_port, self.patience.port_s))
            return
        feed = VideoFeed((address, self._camera.http_port), HostClock(), lambda _frame: feed.stop())
        try:
            async with asyncio.timeout(self.patience.picture_s):
                await feed.run()
        except LinkError as trouble:
            # Where the connection fails, its address stands beside this already.
            why = _reason(trouble.__cause__) if isinstance(trouble.__cause__, OSError) else str(trouble)
            self._note(video=why, answers=bool(feed.connected_mono_us), refuses=_is_refusal(trouble))
        except TimeoutError:
            # Pictures that can be shown alone may be minutes apart: an interval of 255 at 1 a second is legal.
            if feed.head is None or not feed.bytes_received:
                self._note(video=f"no video within {self.patience.picture_s:g} s", answers=bool(feed.connected_mono_us))

    async def _try_login(self, address: str, password: str | None) -> None:
        if self._camera.user is None or password is None:
            return
        control = self._control(address, self._camera.user, password)
        try:
            taken = await _takes(control)
        except _UNTOLD as trouble:
            self._note(login=Login.UNANSWERED, login_why=str(trouble))
            return
        self._note(login=Login.TAKEN if taken else Login.REFUSED)
        if taken and self.found.motion_wanted:
            with contextlib.suppress(ApiRefused, *_UNTOLD):
                self._note(detects_motion=await control.detects_motion())

    async def _try_defaults(self, address: str) -> None:
        """Whether anybody gets in with what stands in the manual. The first password that fits is enough of a user."""
        users = []
        try:
            for user in _USERS:
                for password in _DEFAULT_PASSWORDS:
                    if await _takes(self._control(address, user, password)):
                        users.append(user)
                        break
        except _UNTOLD:
            self._note(default_users=tuple(users))
        else:
            self._note(default_users=tuple(users), defaults_tried=True)

    def _password(self) -> str | None:
        """As the daemon would have it; what is wrong with it is noted."""
        secret = password_of(self._settings, self._config_path, self._name)
        if isinstance(secret, Refusal):
            self._note(login=secret.how, login_why=secret.why)
            return None
        return secret

    def _control(self, address: str, user: str, password: str) -> Control:
        deadlines = Deadlines(connect_s=self.patience.port_s, answer_s=self.patience.answer_s)
        return Control(
            (address, self._camera.http_port), params.Login(user, password), HostClock(), deadlines=deadlines
        )

    def _note(self, **facts: object) -> None:
        self.found = replace(self.found, **facts)  # type: ignore[arg-type]  # names are checked by replace, at once


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a password cannot be had."""

    how: Login
    why: str


def password_of(settings: Config, config_path: Path, camera: str) -> str | Refusal | None:
    """A camera's password as the daemon would have it; None where no user is configured."""
    table = settings.cameras[camera]
    at_systemd = table.password is None and table.password_file is None and "CREDENTIALS_DIRECTORY" not in os.environ
    if table.user is not None and at_systemd:
        return _systemd_password(settings, config_path.absolute().parent / CREDENTIALS / camera, camera)
    return _configured_password(settings, camera)


def _configured_password(settings: Config, camera: str) -> str | Refusal | None:
    try:
        credentials = settings.credentials(camera)
    except ConfigError as error:
        file = settings.cameras[camera].password_file
        if file is not None and file.exists() and not os.access(file, os.R_OK):
            return Refusal(Login.NOT_FOR_US, f"this user may not read {file}")
        return Refusal(Login.UNREADABLE, error.why)
    return None if credentials is None else credentials.password.get_secret_value()


def _systemd_password(settings: Config, path: Path, camera: str) -> str | Refusal | None:
    """What systemd would hand to the daemon; a person's shell has no credentials of its own."""
    try:
        mode, data = path.stat().st_mode, path.read_bytes()[:4096]
    except FileNotFoundError:
        return _configured_password(settings, camera)  # says that there is no password, and where one may be
    except OSError:
        return Refusal(Login.NOT_FOR_US, f"this user may not read {path}")
    if stat.S_IMODE(mode) & 0o077:
        return Refusal(Login.UNREADABLE, f"{path} may be read by others than its owner; run: chmod 600 {path}")
    return data.decode(errors="replace").partition("\n")[0].rstrip("\r")


def _is_refusal(trouble: LinkError) -> bool:
    return isinstance(trouble, CameraBusy | LoginRefused)


async def _takes(control: Control) -> bool:
    """Whether a login is taken. Raises LinkError or ProtocolError where the camera does not say."""
    try:
        await control.get(_FOR_ALL)
    except LoginRefused:
        return False
    except ApiRefused as refused:
        return refused.code != params.UNAUTHORIZED
    return True


async def _why_not(address: str, port: int, within_s: float) -> str | None:
    """Why a port cannot be connected to; None where it can."""
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return f"no answer within {within_s:g} s"
    except OSError as error:
        return _reason(error)
    writer.transport.abort()
    return None


async def _resolved(host: str, port: int, within_s: float) -> str:
    """An address of a host. Raises OSError, TimeoutError among them.

    On a thread that nobody waits for: a name server that is away holds asyncio's own threads for half a minute, and
    they are waited for at the end.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def ask() -> None:
        try:
            found = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            _tell(loop, answer, error)
        else:
            _tell(loop, answer, found)

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    async with asyncio.timeout(within_s):
        return await answer


def _tell(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[str]", said: str | OSError) -> None:
    def put() -> None:
        if answer.done():
            return
        if isinstance(said, OSError):
            answer.set_exception(said)
        else:
            answer.set_result(said)

    with contextlib.suppress(RuntimeError):  # the visit is over, and its loop with it
        loop.call_soon_threadsafe(put)


def _reason(error: OSError) -> str:
    if (
        error.errno is not None and error.errno > 0
    ):  # asyncio puts the address into strerror; a resolver counts downwards
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error) or "no answer in time").lower()

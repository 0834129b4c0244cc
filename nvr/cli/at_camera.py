"""Asking one camera at the shell: which, with what login, and its trouble in one sentence."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from nvr.camera.control import Control
from nvr.camera.errors import LinkError
from nvr.camera.link import Address
from nvr.camera.turn import Turn, turn_path
from nvr.cli.configured import check_camera
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.clock import HostClock
from nvr.config import Config
from nvr.jvc.errors import ApiRefused
from nvr.jvc.params import Login

CameraOption = Annotated[str, typer.Option("--camera", metavar="C", help="The camera's name.", show_default=False)]

T = TypeVar("T")


def address_of(settings: Config, camera: str) -> Address:
    """Where it is. Raises WrongUseError where no such camera is configured."""
    check_camera(settings, camera)
    return settings.cameras[camera].host, settings.cameras[camera].http_port


def control_of(settings: Config, camera: str) -> Control:
    """Its parameters. Raises WrongUseError without such a camera or without its login, ConfigError for its password."""
    address = address_of(settings, camera)
    credentials = settings.credentials(camera)
    if credentials is None:
        raise WrongUseError(
            f"the camera '{camera}' answers this only with a login; add user and password_file to [camera.{camera}]"
        )
    login = Login(credentials.user, credentials.password.get_secret_value())
    # One request at a time, also where a daemon asks the same camera.
    return Control(address, login, HostClock(), turn=Turn(turn_path(settings.data_dir, camera)))


def ask(camera: str, question: Callable[[], Awaitable[T]]) -> T:
    """The camera's answer. Raises NotWellError that says in one sentence why there is none."""

    async def asked() -> T:
        return await question()

    try:
        return asyncio.run(asked())
    except (LinkError, ApiRefused) as trouble:
        raise NotWellError(f"camera '{camera}': {trouble}") from None

"""A camera that is told something from the shell, beside a daemon that may be recording it."""

import contextlib

from nvr.camera.control import Control
from nvr.camera.link import Address
from nvr.cli.at_camera import control_of
from nvr.cli.daemon import tell
from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.printing import note
from nvr.config import Config


def told_control(settings: Config, camera: str) -> Control:
    """The camera's parameters; a running daemon waits for its turn, and hears of restarts before they come.

    The camera is asked from here and not through the daemon: what takes minutes keeps no daemon's request open, and it
    works where none runs. Raises as control_of.
    """
    control = control_of(settings, camera)

    def announce(seconds: float) -> None:
        # A daemon that cannot be told books a gap where it could have said "as planned": no reason not to go on.
        with contextlib.suppress(NotWellError, WrongUseError):
            tell(settings.data_dir, "/api/v1/camera/restart", {"camera": camera, "seconds": seconds})

    control.on_restart = announce
    return control


def mention_move(control: Control, before: Address, camera: str) -> None:
    """Says where the camera is now, if that has changed: the configuration is the user's to change."""
    if control.address != before:
        host, port = control.address
        note(f"camera '{camera}' is at {host} port {port} now: write host and http_port into [camera.{camera}]")

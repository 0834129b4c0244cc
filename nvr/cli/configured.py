"""The cameras of the configuration, as commands are asked about them."""

from nvr.cli.errors import WrongUseError
from nvr.config import Config


def check_camera(settings: Config, camera: str) -> None:
    """Raises WrongUseError where no such camera is configured."""
    if camera not in settings.cameras:
        raise WrongUseError(f"there is no camera {camera[:60]!r}; there are: {', '.join(settings.cameras) or 'none'}")

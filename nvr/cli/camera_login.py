"""nvr's own password for a camera: kept anew when the camera's is changed."""

import os
from pathlib import Path

from nvr.cli.errors import WrongUseError
from nvr.config import Config
from nvr.jvc.params import Login


class KeptPassword:
    """The file of nvr's password, and the new one beside it, written before the camera is told."""

    def __init__(self, user: str, file: Path, password: str) -> None:
        """Raises OSError where it cannot be written."""
        self._user = user
        self._file = file
        self._new = file.with_name(f"{file.name}.new")
        mode = file.stat()
        handle = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(password + "\n")
            out.flush()
            if os.geteuid() == 0:
                os.fchown(handle, mode.st_uid, mode.st_gid)
            os.fsync(handle)

    def keep(self, password: str) -> Login:
        """The camera has taken it: from now on the file has it too."""
        self._new.replace(self._file)
        return Login(self._user, password)


def kept_password(settings: Config, camera: str, password: str) -> KeptPassword:
    """Raises WrongUseError where nvr's own password does not stand in a file of its own that may be written."""
    table = settings.cameras[camera]
    if table.password is not None or table.password_file is None or table.user is None:
        where = "the configuration" if table.password is not None else "a systemd credential"
        raise WrongUseError(
            f"nvr's own password for camera '{camera}' stands in {where}, which this command does not change; "
            f"nothing was done: move it to a password_file first"
        )
    try:
        return KeptPassword(table.user, table.password_file, password)
    except OSError as error:
        raise WrongUseError(
            f"nvr's own password for camera '{camera}' could not be kept in {table.password_file} "
            f"({(error.strerror or str(error)).lower()}); nothing was done"
        ) from None

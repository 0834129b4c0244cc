"""A service manager's end of sd_notify: a socket that hears what a service says of itself."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Manager:
    """Hears assignments in the order they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        """Every assignment so far, STATUS included."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path)}

    def listen(self, seconds: float) -> list[str]:
        """What is said within this time."""
        until_s, before = time.monotonic() + seconds, len(self.heard)
        while (left_s := until_s - time.monotonic()) > 0:
            self._hear(left_s)
        return self.heard[before:]

    def wait_for(self, assignment: str, within_s: float) -> list[str]:
        """Listens until something is said that begins so; all that was said until then."""
        until_s, before = time.monotonic() + within_s, len(self.heard)
        while not any(one.startswith(assignment) for one in self.heard[before:]):
            left_s = until_s - time.monotonic()
            assert left_s > 0, f"{assignment} was not said within {within_s:g} s, but {self.heard[before:]}"
            self._hear(left_s)
        return self.heard[before:]

    def close(self) -> None:
        self._socket.close()

    def _hear(self, within_s: float) -> None:
        self._socket.settimeout(within_s)
        try:
            self.heard += self._socket.recv(1 << 16).decode().split("\n")
        except TimeoutError:
            return


@contextmanager
def manager(folder: Path) -> Iterator[Manager]:
    """One that listens during the block."""
    listening = Manager(folder / f"notify-{os.getpid()}.sock")
    try:
        yield listening
    finally:
        listening.close()

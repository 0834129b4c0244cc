"""Where the daemon's socket is, and how to reach it however deep its folder lies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "nvr.sock"
"""The daemon's socket in the data directory."""

_LONGEST_UNIX_PATH: Final = 107  # unix(7): sun_path holds 108 bytes, the last one zero


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """An address for this socket that fits into sun_path, however deep its folder lies; valid inside the block."""
    if len(os.fsencode(path)) <= _LONGEST_UNIX_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)

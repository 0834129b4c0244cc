"""Following the daemon's events: one stream after the other, without missing one in between."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from nvr.cli.daemon import Connection
from nvr.cli.errors import NotWellError

_PATH: Final = "/api/v1/events/stream"
_SILENT_S: Final = 40.0  # the daemon says something every 15 s


def follow(data_dir: Path) -> Iterator[dict[str, Any] | None]:
    """Each event as the daemon enters it, from the first None on; more Nones come while nothing happens.

    Goes on until the daemon ends. Raises NotWellError where none runs, or it breaks off.
    """
    seen: int | None = None
    while True:
        for event in _stream(data_dir, seen):
            seen = seen if event is None else int(event["id"])
            yield event


def _stream(data_dir: Path, seen: int | None) -> Iterator[dict[str, Any] | None]:
    connection = Connection(data_dir, patience_s=_SILENT_S)
    try:
        connection.request("GET", _PATH, headers={} if seen is None else {"Last-Event-ID": str(seen)})
        answer = connection.getresponse()
        if answer.status != 200:
            raise NotWellError(f"the daemon says: {json.loads(answer.read(4096)).get('error')}")
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))
            elif line.startswith(b":"):
                yield None
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotWellError(f"no daemon runs on {data_dir}; start it with: nvr run") from None
    except PermissionError:
        raise NotWellError("you may not ask the daemon; try as its user, or join its group") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotWellError(f"the daemon broke off its answer ({error or type(error).__name__})") from None
    finally:
        connection.close()

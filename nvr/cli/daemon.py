"""Asking the daemon through its socket."""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nvr.cli.errors import NotWellError, WrongUseError
from nvr.web.address import SOCKET_NAME, short_address

_PATIENCE_S: Final = 10.0  # answers come from memory; a daemon that takes longer is not well
_LONGEST_ANSWER: Final = 64 << 20
_WRONG_USE: Final = frozenset({404, 422})  # of an order: there is no such thing, or it has not the right form


def ask(data_dir: Path, path: str) -> Any | None:
    """What the daemon says at this path of its API; None where no daemon runs. Raises NotWellError."""
    return _exchange(data_dir, "GET", path)


def tell(data_dir: Path, path: str, body: Mapping[str, Any]) -> Any | None:
    """What the daemon answers to an order; None where no daemon runs.

    Raises NotWellError, and WrongUseError where the daemon does not know what it is about or how it is meant.
    """
    return _exchange(data_dir, "POST", path, json.dumps(body).encode(), wrong_use=_WRONG_USE)


def _exchange(
    data_dir: Path, method: str, path: str, body: bytes | None = None, *, wrong_use: frozenset[int] = frozenset()
) -> Any | None:
    connection = Connection(data_dir)
    try:
        connection.request(method, path, body, {} if body is None else {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read(_LONGEST_ANSWER)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except PermissionError:
        raise NotWellError(
            f"you may not ask the daemon at {connection.socket_path}; try as its user, or join its group"
        ) from None
    except TimeoutError:
        raise NotWellError(f"the daemon does not answer within {_PATIENCE_S:.0f} s; its log may say why") from None
    except (OSError, http.client.HTTPException) as error:
        raise NotWellError(f"the daemon broke off its answer ({error or type(error).__name__})") from None
    finally:
        connection.close()
    return _understood(answer.status, said, wrong_use)


def _understood(status: int, body: bytes, wrong_use: frozenset[int]) -> Any:
    try:
        said = json.loads(body)
    except ValueError:
        raise NotWellError(f"the daemon answered {status} and something that is no JSON") from None
    if status != 200:
        sentence = said.get("error") if isinstance(said, dict) else None
        kind = WrongUseError if status in wrong_use else NotWellError
        raise kind(f"the daemon says: {sentence or status}")
    return said


class Connection(http.client.HTTPConnection):
    """One to the daemon's socket."""

    def __init__(self, data_dir: Path, patience_s: float = _PATIENCE_S) -> None:
        super().__init__("nvr", timeout=patience_s)
        self.socket_path = data_dir / SOCKET_NAME

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with short_address(self.socket_path) as address:
            self.sock.connect(address)

"""Who is at the other end of a connection: on the Unix socket the kernel knows."""

import socket
import struct
from asyncio import BaseTransport
from dataclasses import dataclass

_UCRED = struct.Struct("3i")  # unix(7), SO_PEERCRED: pid, uid, gid


@dataclass(frozen=True, slots=True)
class Caller:
    """A process of this machine. Seen from a service with users of its own (PrivateUsers=), strangers are nobody."""

    uid: int
    pid: int


def caller_of(transport: BaseTransport) -> Caller | None:
    """The process that connected; None on TCP, where nobody can tell."""
    connected = transport.get_extra_info("socket")
    if connected is None or connected.family != socket.AF_UNIX:
        return None
    pid, uid, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Caller(uid, pid)

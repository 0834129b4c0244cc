"""The search for cameras on the networks of this machine (guide 3): a broadcast on each interface, and who answers."""

import array
import asyncio
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Final

from nvr.jvc.errors import ProtocolError
from nvr.jvc.search import ANSWERS_WITHIN_S, PORT, REQUEST, SearchAnswer, parse_answer

_AGAIN_S: Final = 0.5  # a datagram may be lost; who answers twice is one camera all the same
_EVERYWHERE: Final = "255.255.255.255"
_MOST_FOUND: Final = 4096  # addresses of a /20; more is noise

# Linux, netdevice(7): addresses of the interfaces, and the broadcast address of one of them.
_SIOCGIFCONF: Final = 0x8912
_SIOCGIFBRDADDR: Final = 0x8919
_SIOCGIFFLAGS: Final = 0x8913
_IFF_UP: Final = 0x1
_IFF_BROADCAST: Final = 0x2
_IFREQ: Final = struct.Struct("16sHH4s16x")
_MOST_INTERFACES: Final = 256
_IP_PKTINFO: Final = 8  # Linux, ip(7); the socket module names it only from Python 3.14 on


@dataclass(frozen=True, slots=True)
class Interface:
    """One IPv4 address of this machine, and where to ask from it."""

    name: str
    address: str
    targets: tuple[str, ...]
    """Broadcast addresses, or any other."""


@dataclass(frozen=True, slots=True)
class Found:
    """A camera that answered."""

    answer: SearchAnswer
    source: str
    """The address its answers came from, which may be another than the one it names."""
    interface: str
    """The one its first answer came in by."""
    answers: int


def interfaces() -> list[Interface]:
    """Those of this machine that can broadcast. Raises OSError where the kernel does not say."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for name, address in _addresses(asking):
            request = _IFREQ.pack(name, socket.AF_INET, 0, socket.inet_aton(address))
            flags = struct.unpack_from("16xH", fcntl.ioctl(asking, _SIOCGIFFLAGS, request))[0]
            if flags & (_IFF_UP | _IFF_BROADCAST) == _IFF_UP | _IFF_BROADCAST:
                broadcast = socket.inet_ntoa(_IFREQ.unpack(fcntl.ioctl(asking, _SIOCGIFBRDADDR, request))[3])
                # The second reaches cameras that are set to another network than this one.
                found.append(Interface(name.rstrip(b"\0").decode(), address, (broadcast, _EVERYWHERE)))
    return found


async def search(
    places: Sequence[Interface],
    *,
    port: int = PORT,
    within_s: float = ANSWERS_WITHIN_S,
    on_found: Callable[[Found], None] | None = None,
) -> list[Found]:
    """Asks from each of the places at once and listens so long; each camera once, in the order of addresses.

    `on_found` hears of each camera as it answers first. Raises OSError where not one question could be sent.
    """
    loop = asyncio.get_running_loop()
    net = _Net(on_found)
    with ExitStack() as ends:
        questions = []
        for place in places:
            sock = ends.enter_context(_socket(place))
            ear = _Ear(net, place.name)
            transport, _ = await loop.create_datagram_endpoint(lambda ear=ear: ear, sock=sock)  # type: ignore[misc]
            ends.callback(transport.close)
            questions += [(sock, place, target) for target in place.targets]
        _ask(questions, port)
        await asyncio.sleep(_AGAIN_S)
        _ask(questions, port)
        await asyncio.sleep(max(0.0, within_s - _AGAIN_S))
    return net.all()


class _Net:
    """What has been found so far."""

    def __init__(self, on_found: Callable[[Found], None] | None) -> None:
        self._on_found = on_found
        self._found: dict[tuple[str, SearchAnswer], Found] = {}

    def hear(self, answer: SearchAnswer, source: str, interface: str) -> None:
        key = (source, answer)
        known = self._found.get(key)
        if known is not None:
            self._found[key] = replace(known, answers=known.answers + 1)
        elif len(self._found) < _MOST_FOUND:
            self._found[key] = Found(answer, source, interface, 1)
            if self._on_found is not None:
                self._on_found(self._found[key])

    def all(self) -> list[Found]:
        return sorted(self._found.values(), key=lambda found: ipaddress.ip_address(found.answer.address).packed)


class _Ear(asyncio.DatagramProtocol):
    """Listens on one interface; what is no answer, such as an echo of the question, is none."""

    def __init__(self, net: _Net, interface: str) -> None:
        self._net = net
        self._interface = interface

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with suppress(ProtocolError):
            self._net.hear(parse_answer(data), addr[0], self._interface)

    def error_received(self, exc: Exception) -> None:
        """An address asked by itself may have nobody there; others still answer."""


def _socket(place: Interface) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind((place.address, 0))
    except OSError:
        sock.close()
        raise
    return sock


def _ask(questions: Sequence[tuple[socket.socket, Interface, str]], port: int) -> None:
    """Asks them all. Raises the last OSError where none could be sent."""
    sent, trouble = 0, None
    for sock, place, target in questions:
        try:
            sock.sendmsg([REQUEST], _way_out(place) if target == _EVERYWHERE else [], 0, (target, port))
            sent += 1
        except OSError as no:
            trouble = no
    if trouble is not None and not sent:
        raise trouble


def _way_out(place: Interface) -> list[tuple[int, int, bytes]]:
    """By which interface, since a broadcast to everywhere has no network of its own (ip(7), IP_PKTINFO)."""
    index = socket.if_nametoindex(place.name.partition(":")[0])
    return [(socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("@i4s4s", index, socket.inet_aton(place.address), bytes(4)))]


def _addresses(asking: socket.socket) -> Iterator[tuple[bytes, str]]:
    """Names (padded) and IPv4 addresses of all interfaces, several of one included."""
    room = array.array("B", bytes(_IFREQ.size * _MOST_INTERFACES))
    size, _ = struct.unpack(
        "iL", fcntl.ioctl(asking, _SIOCGIFCONF, struct.pack("iL", len(room), room.buffer_info()[0]))
    )
    for at in range(0, size, _IFREQ.size):
        name, _, _, address = _IFREQ.unpack_from(room, at)
        yield name, socket.inet_ntoa(address)

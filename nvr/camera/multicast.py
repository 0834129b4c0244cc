"""One attempt at a camera's video by multicast (guide 6.13): joins its group; the stream goes the way of any other.

The camera sends whether or not anybody listens, and a network that does not carry multicast says nothing: an attempt to
which no packet comes ends soon, so that its owner can go on over HTTP.
"""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from nvr.camera.attempt import Attempt, OnFrames
from nvr.camera.control import Control
from nvr.camera.errors import CannotConnect, LinkError, LinkLost, LinkStalled, NotACamera
from nvr.camera.link import Address, translated
from nvr.camera.pace import Patience, Vigil
from nvr.camera.snapshot import Pictures, Snapshot
from nvr.clock import Clock
from nvr.jvc.errors import ApiRefused
from nvr.jvc.jpeg import Picture
from nvr.jvc.rtp import DYNAMIC, Lost, Mpeg4Assembler, RtpParser
from nvr.jvc.rtp_jpeg import JPEG_TYPES, JpegAssembler
from nvr.jvc.stream import EsBytes
from nvr.jvc.types import Position
from nvr.media.errors import MediaError
from nvr.units import US

MPEG4: Final = 2
"""The number of MPEG-4 among the camera's destinations; JPEG is 1 (guide 6.13)."""
JPEG: Final = 1

_PICTURE_S: Final = 35.0  # the slowest rate is a picture every 30 s (guide 6.13)
_FIRST_PACKET_S: Final = 5.0  # a camera sends a picture a second at least, and a switch learns of a join within one
_TICK_S: Final = 0.1  # a packet that is missing is waited for twice as long (jvc.rtp)
_MAX_DATAGRAM: Final = 1 << 16
_MOST_AT_ONCE: Final = 512  # a quarter of a second at 20 Mbit/s; the others come in the next turn of the loop
_BUFFER_BYTES: Final = 1 << 20  # the kernel gives what it may
_ANY_PORT: Final = 9  # nothing is sent: connecting a datagram socket only asks the routing table
_USUAL: Final = Patience()

Group = tuple[str, int]
"""Address and port of a multicast stream."""


@dataclass(frozen=True, slots=True)
class MulticastPlan:
    """Where a camera's stream is to be found."""

    camera: Address
    group: Group | None
    """None: the camera is asked for it."""
    start: bool = False
    """The camera is told to send, where it does not."""
    control: Control | None = None
    """Needed where the camera is asked or told anything."""


class MulticastFeed(Attempt):
    """One attempt; may be run once."""

    def __init__(
        self,
        plan: MulticastPlan,
        clock: Clock,
        on_frames: OnFrames,
        *,
        position: Callable[[], Position | None] = lambda: None,
        patience: Patience = _USUAL,
        first_packet_s: float = _FIRST_PACKET_S,
    ) -> None:
        """`position`: where the camera looks as far as is known, since packets do not say it."""
        super().__init__(clock, on_frames)
        self.parser: RtpParser[EsBytes] = RtpParser(Mpeg4Assembler(), DYNAMIC)
        self.strange = 0
        """Datagrams of others than the camera."""
        self._plan = plan
        self._look = position
        self._patience = patience
        self._first_packet_s = first_packet_s
        self._group: Group = ("", 0)
        self._sources: frozenset[str] = frozenset()
        self._socket: socket.socket | None = None
        self._vigil = Vigil(patience, 0)
        self._over = asyncio.Event()
        self._trouble: Exception | None = None

    async def run(self) -> None:
        """Joins the camera's group and receives until trouble or `stop`.

        Returns after `stop`; raises the LinkError that says how the attempt ended otherwise.
        """
        if self.started_mono_us:
            raise RuntimeError("a MulticastFeed is one attempt and was run before")
        self.started_mono_us = self._clock.mono_us()
        if self._over.is_set():
            return
        self._group = await destination(self._plan, MPEG4)
        self._sources = await _addresses(self._plan.camera[0])
        loop = asyncio.get_running_loop()
        with joined(self._group, self._sources) as self._socket:
            self.connected_mono_us = self._clock.mono_us()
            self._vigil = Vigil(self._patience, self.connected_mono_us)
            loop.add_reader(self._socket, self._on_readable)
            try:
                await self._watch()
            finally:
                loop.remove_reader(self._socket)
                self._socket = None
        if self._trouble is not None:
            raise self._trouble

    def stop(self) -> None:
        """Takes what the kernel has received so far, then ends the attempt: `run` returns. Safe at any time."""
        if not self._over.is_set():
            self._on_readable()
        self._over.set()

    def collect(self) -> None:
        """At each tick: goes on without packets that were waited for long enough."""
        self._guarded(self._give_up)

    # ---- steps of `run`

    async def _watch(self) -> None:
        while not self._over.is_set():
            try:
                async with asyncio.timeout(self._patience.tick_s):
                    await self._over.wait()
            except TimeoutError:
                self._guarded(self._look_after)

    def _look_after(self) -> None:
        self._give_up()
        now_us = self._clock.mono_us()
        group, port = self._group
        if not self.parser.packets:
            if now_us - self.connected_mono_us >= self._first_packet_s * US:
                raise LinkStalled(f"no packet of the camera's multicast came to {group} port {port}")
            return
        trouble = self._vigil.verdict(
            now_us,
            has_head=True,
            received=self.bytes_received,
            last_bytes_us=self.last_bytes_mono_us,
            pictures=self.pictures,
        )
        if trouble is not None:
            raise trouble

    def _give_up(self) -> None:
        mono_us, utc_us = self._clock.mono_us(), self._clock.utc_us()
        self._take(self.parser.give_up(mono_us), mono_us, utc_us)

    def _on_readable(self) -> None:
        self._guarded(self._receive)

    def _guarded(self, step: Callable[[], None]) -> None:
        """What a step raises ends the attempt instead of reaching the loop."""
        if self._socket is None or self._over.is_set():
            return
        try:
            step()
        except Exception as trouble:  # noqa: BLE001 - the loop can do nothing with it; `run` raises it to the owner
            self._trouble = trouble
            self._over.set()

    def _receive(self) -> None:
        mono_us, utc_us = self._clock.mono_us(), self._clock.utc_us()
        for _ in range(_MOST_AT_ONCE):
            if self._socket is None:
                return
            try:
                datagram, (sender, _) = self._socket.recvfrom(_MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as loss:
                raise LinkLost(f"the multicast cannot be received any more: {loss.strerror or loss}") from loss
            if sender not in self._sources:
                self.strange += 1
                continue
            self.bytes_received += len(datagram)
            self.last_bytes_mono_us = mono_us
            self._take(self.parser.feed(datagram, mono_us), mono_us, utc_us)

    def _take(self, events: list[EsBytes | Lost], mono_us: int, utc_us: int) -> None:
        try:
            for event in events:
                if isinstance(event, Lost):
                    self.hit += event.pictures
                    self.splitter.lose()
                else:
                    self.position = event.position = self._look()
                    units = self._split(event.data, event.position, event.whole)
                    if not units:
                        continue
                    self.units += len(units)
                    self._on_frames([self._stamp(unit, mono_us, utc_us) for unit in units])
        except MediaError as broken:
            raise LinkLost(f"the camera's video cannot be recorded: {broken}") from broken


async def multicast_snapshot(plan: MulticastPlan, *, within_s: float = _PICTURE_S) -> Snapshot:
    """The next whole JPEG of the camera's JPEG multicast. Raises LinkError."""
    async with multicast_view(plan, within_s=within_s) as pictures:
        return await anext(pictures)


@asynccontextmanager
async def multicast_view(plan: MulticastPlan, *, within_s: float = _PICTURE_S) -> AsyncIterator[Pictures]:
    """The camera's JPEG multicast from now on, at the rate that is set in the camera. Raises LinkError.

    Where it comes without its headers (RFC 2435) the camera's comment is gone, and nothing is known of what it says.
    """
    group = await destination(plan, JPEG)
    sources = await _addresses(plan.camera[0])
    with joined(group, sources) as sock:
        reception = _JpegReception(sock, sources, group, within_s)
        try:
            yield reception.pictures
        finally:
            reception.close()


class _JpegReception:
    """Receives a JPEG multicast until it is closed."""

    def __init__(self, sock: socket.socket, sources: frozenset[str], group: Group, within_s: float) -> None:
        self.pictures = Pictures(within_s, self._late)
        self._socket = sock
        self._sources = sources
        self._group = group
        self._within_s = within_s
        self._parser: RtpParser[Picture] = RtpParser(JpegAssembler(), JPEG_TYPES)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._receive)
        self._tick = self._loop.call_later(_TICK_S, self._give_up)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._tick.cancel()

    def _receive(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                datagram, (sender, _) = self._socket.recvfrom(_MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as loss:
                self.close()
                self.pictures.end(LinkLost(f"the multicast cannot be received any more: {loss.strerror or loss}"))
                return
            if sender in self._sources:
                self._take(self._parser.feed(datagram, _mono_us()))

    def _give_up(self) -> None:
        self._take(self._parser.give_up(_mono_us()))
        self._tick = self._loop.call_later(_TICK_S, self._give_up)

    def _take(self, events: list[Picture | Lost]) -> None:
        for event in events:
            if isinstance(event, Lost):
                self.pictures.lost += event.pictures
            else:
                self.pictures.offer(event.data)

    def _late(self) -> str:
        what = "whole picture" if self._parser.packets else "packet"
        address, port = self._group
        return f"no {what} of the camera's multicast came to {address} port {port} in {self._within_s:g} s"


def _mono_us() -> int:
    return time.monotonic_ns() // 1000


async def destination(plan: MulticastPlan, number: int) -> Group:
    """Where the camera sends JPEG (1) or MPEG-4 (2) to; starts it where that is wanted.

    Raises LinkError where the camera does not answer, refuses, or names no multicast address.
    """
    control, name = plan.control, f"network.destination({number})"
    group = plan.group
    try:
        if control is not None and group is None:
            group = _checked(await control.get(f"{name}.host"), await control.get(f"{name}.port"))
        if control is not None and plan.start and (await control.get(f"{name}.status")).strip().lower() != "on":
            await control.set(f"{name}.status", "start")
    except ApiRefused as refused:
        raise NotACamera(f"the camera's multicast cannot be had: {refused}") from refused
    if group is None:
        raise CannotConnect("where the camera sends its multicast to is not known: neither configured nor asked")
    return group


def _checked(host: str, port: str) -> Group:
    try:
        if IPv4Address(host.strip()).is_multicast and 0 < int(port) < 1 << 16:
            return host.strip(), int(port)
    except (AddressValueError, ValueError):
        pass
    raise NotACamera(f"the camera sends its multicast to {host[:40]!r} port {port[:8]!r}, which is no group")


async def _addresses(host: str) -> frozenset[str]:
    """The IPv4 addresses a camera may send from. Raises CannotConnect."""
    loop = asyncio.get_running_loop()
    with translated({OSError: CannotConnect, UnicodeError: CannotConnect}, f"looking for {host}"):
        found = await loop.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    return frozenset(str(where[0]) for _, _, _, _, where in found)


def joined(group: Group, sources: frozenset[str]) -> socket.socket:
    """A socket that hears the group on the interface by which the camera is reached. Raises CannotConnect.

    It is bound to the group's own address: bound to any, it would hear the groups of other cameras on that port too.
    """
    address, port = group
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        with translated({OSError: CannotConnect}, f"joining the multicast group {address} port {port}"):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            sock.bind((address, port))
            membership = struct.pack("4s4s", socket.inet_aton(address), socket.inet_aton(_way_to(sources)))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    except LinkError:
        sock.close()
        raise
    return sock


def _way_to(sources: frozenset[str]) -> str:
    """This machine's address on the interface by which the camera is reached. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((min(sources), _ANY_PORT))
        return str(asking.getsockname()[0])

"""The camera's two multicast streams, JPEG (1) and MPEG-4 (2): their settings, and what goes out (guide 6.13)."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address
from typing import Final

from nvr.simulator.camera import Camera
from nvr.simulator.destination import JPEG, MPEG4, Destination
from nvr.simulator.faults import Name
from nvr.simulator.jpeg_door import RATES
from nvr.simulator.rtp import CLOCK_HZ, JPEG_TYPE, MPEG4_TYPE, Packer
from nvr.simulator.stream import Unit

_MTU: Final = 1420  # network.interface.mtu
_TTL: Final = 16  # network.interface.ttl.multicast


class MulticastDoor:
    """Both streams of one camera. `run` sends JPEG until cancelled; MPEG-4 goes out as the camera makes it."""

    def __init__(self, camera: Camera, picture: Callable[[], Awaitable[bytes]]) -> None:
        self._camera = camera
        self._picture = picture
        self._changed = asyncio.Event()
        self._jpeg: _Sender | None = None
        self._mpeg4: _Mpeg4Stream | None = None
        for destination in camera.destinations.values():
            destination.on_change.append(self._follow)

    async def run(self) -> None:
        try:
            while True:
                self._changed.clear()
                if self._jpeg is None:
                    await self._changed.wait()
                else:
                    await self._send_jpeg(self._jpeg)
        finally:
            self.close()

    def close(self) -> None:
        """Ends both."""
        if self._jpeg is not None:
            self._jpeg.close()
            self._jpeg = None
        if self._mpeg4 is not None:
            self._mpeg4.end()
            self._mpeg4 = None

    def _follow(self, destination: Destination) -> None:
        camera = self._camera
        if destination.number == JPEG:
            if self._jpeg is not None:
                self._jpeg.close()
            self._jpeg = _Sender(camera, destination, JPEG_TYPE) if destination.running else None
            self._changed.set()
        elif destination.number == MPEG4:
            if self._mpeg4 is not None:
                self._mpeg4.end()
            self._mpeg4 = None
            if destination.running:
                number = camera.next_connection()
                self._mpeg4 = _Mpeg4Stream(camera, number, _Sender(camera, destination, MPEG4_TYPE))
                camera.viewers.append(self._mpeg4)

    async def _send_jpeg(self, sender: "_Sender") -> None:
        """Until the stream is stopped or set anew."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not self._changed.is_set():
            if self._camera.powered:
                ticks = int(time.monotonic() * CLOCK_HZ)
                pack = sender.packer.jfif if self._camera.options.multicast_jfif else sender.packer.jpeg
                sender.send(pack(await self._picture(), ticks), self._camera.active())
            due_s = max(due_s + float(1 / RATES[sender.destination.framerate]), loop.time())
            try:
                async with asyncio.timeout_at(due_s):
                    await self._changed.wait()
            except TimeoutError:
                pass


class _Mpeg4Stream:
    """One MPEG-4 stream to a group, among the camera's viewers."""

    is_multicast = True

    def __init__(self, camera: Camera, number: int, sender: "_Sender") -> None:
        self.number = number
        self.client = sender.to
        self.closed = False
        self._camera = camera
        self._sender = sender

    def offer(self, unit: Unit, faults: Mapping[Name, str]) -> None:
        """Sends a VOP; what the faults take of it is written down."""
        camera = self._camera
        if self.closed or not camera.powered:
            return
        record = camera.record_of(unit, self.number)
        camera.truth.expect(record)
        if Name.STALL in faults:
            record.sent, record.why = False, Name.STALL
        else:
            ticks = unit.ticks * CLOCK_HZ // unit.resolution
            record.complete = self._sender.send(self._sender.packer.mpeg4(unit.data, ticks), faults)
            record.why = "" if record.complete else Name.LOSS
        camera.truth.settle(record)

    def end(self, *, reset: bool = False) -> None:
        """Stops for good; a restart of the camera does not: it goes on by itself afterwards (guide 6.13)."""
        if not reset:
            self.closed = True
            self._sender.close()


class _Sender:
    """Packets of one stream on their way, lost, doubled and late as the faults say."""

    def __init__(self, camera: Camera, destination: Destination, payload_type: int) -> None:
        """Raises OSError where there is no way out."""
        self.destination = destination
        self.to = destination.active
        chance = self._chance = camera.chance
        self.packer = Packer(payload_type, chance.getrandbits(32), chance.getrandbits(16), _MTU)
        self._late: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _TTL)
        out = IPv4Address(camera.options.host) if camera.options.host else IPv4Address(0)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, out.packed)

    def send(self, packets: list[bytes], faults: Mapping[Name, str]) -> bool:
        """Whether all of them went out."""
        whole = True
        chance = self._chance.random
        loss = float(faults.get(Name.LOSS, 0))
        late, twice = float(faults.get(Name.REORDER, 0)), float(faults.get(Name.DUPLICATE, 0))
        for packet in packets:
            if chance() < loss:
                whole = False
                continue
            before, self._late = self._late, []
            if chance() < late and not before:
                self._late = [packet]  # behind the next one
            else:
                whole &= self._put(packet)
                if chance() < twice:
                    self._put(packet)
            for held in before:
                whole &= self._put(held)
        return whole

    def close(self) -> None:
        self._socket.close()

    def _put(self, packet: bytes) -> bool:
        try:
            self._socket.sendto(packet, self.to)
        except (BlockingIOError, OSError):  # no way to the group now: as lost as on the way
            return False
        return True

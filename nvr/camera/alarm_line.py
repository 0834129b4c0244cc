"""One link to a camera's alarm port: its lines as reports, its last sign of life, and how it ended (guide 4)."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, Protocol

from nvr.camera.errors import CameraBusy, LinkError, LinkLost
from nvr.camera.link import Link
from nvr.clock import Clock
from nvr.jvc.alarm import AlarmFeed, AlarmReport
from nvr.jvc.errors import ProtocolError
from nvr.units import US, MonoMicros, UtcMicros

_SETTLE_S: Final = 1.0  # a block whose end stays away (fact sheet 4) is taken as it is
_MOST_BYTES_A_SECOND: Final = 32 << 10  # some 240 reports: more is no camera, and would starve the others

# struct tcp_info of Linux (linux/tcp.h): milliseconds since data, and since an acknowledgement, last came.
_TCP_INFO_BYTES: Final = 60
_LAST_DATA_AT: Final = 52


class LineOwner(Protocol):
    """Whom a line is for."""

    def line_opened(self, line: "AlarmLine") -> None:
        """It is connected."""

    def line_brought(
        self,
        line: "AlarmLine",
        reports: list[AlarmReport],
        utc_us: UtcMicros,
        mono_us: MonoMicros,
        *,
        unknown_lines: int,
    ) -> None:
        """The camera said something over it: reports, and lines that nobody knows."""


class AlarmLine(Link):
    """One attempt, which tells its owner what comes of it, in the loop."""

    def __init__(self, owner: LineOwner, clock: Clock, number: int, trial_s: float, known: AlarmReport | None) -> None:
        """`known`: what is known of the inputs, for reports that leave something out."""
        super().__init__(self)
        self.number = number
        self.opened_mono_us: int | None = None
        """When it was connected."""
        self.alive_mono_us = 0
        """The last sign of life of the camera's side, its kernel's acknowledgement of a probe included."""
        self.is_proven = False
        """The camera serves it; kept by the owner."""
        self.is_closed_by_camera = False
        self.is_alive_to_its_end = False
        """The camera was there when it ended: it said goodbye, or something we cannot follow."""
        self._owner = owner
        self._clock = clock
        self._trial_us = round(trial_s * US)
        self._feed = AlarmFeed(known)
        self._is_heard = False
        self._settling: asyncio.TimerHandle | None = None
        self._second = 0
        self._bytes_this_second = 0

    def take(self, data: memoryview) -> None:
        utc_us, mono_us = self._clock.utc_us(), self._clock.mono_us()
        self.alive_mono_us = mono_us
        self._is_heard = True
        try:
            self._bound_flow(len(data), mono_us)
            unknown_before = self._feed.unknown_lines
            reports = self._feed.feed(data)
        except (ProtocolError, LinkLost) as broken:
            self.is_alive_to_its_end = True
            raise LinkLost(f"the camera's alarms cannot be followed: {broken}") from broken
        self._owner.line_brought(
            self, reports, utc_us, mono_us, unknown_lines=self._feed.unknown_lines - unknown_before
        )
        self._wait_for_rest()

    def at_end(self) -> LinkError:
        """The camera closed or reset the connection."""
        self.is_closed_by_camera = True
        age_us = self._clock.mono_us() - (self.opened_mono_us or 0)
        if not self._is_heard and age_us < self._trial_us:
            return CameraBusy("the camera accepted the alarm link and closed it: all of its ten may be taken")
        return LinkLost("the camera closed the alarm link")

    def look(self) -> None:
        """Asks the kernel for the last sign of life: keep-alive is answered also by a camera with nothing to say."""
        if self._socket is None or self.opened_mono_us is None:
            return
        with suppress(OSError):  # it has just been closed
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            silent_ms = min(struct.unpack_from("=2I", info, _LAST_DATA_AT))
            self.alive_mono_us = max(self.alive_mono_us, self._clock.mono_us() - silent_ms * 1000)

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._ended.done():
            return  # we were stopped while the connection came about
        self.opened_mono_us = self.alive_mono_us = self._clock.mono_us()
        self._owner.line_opened(self)

    def eof_received(self) -> None:
        self.is_alive_to_its_end = True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._settling is not None:
            self._settling.cancel()
        super().connection_lost(exc)

    def _wait_for_rest(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if self._feed.is_inside_block:
            self._settling = asyncio.get_running_loop().call_later(_SETTLE_S, self.guarded, self._settle)

    def _settle(self) -> None:
        self._settling = None
        if not self._ended.done():
            self._owner.line_brought(
                self, self._feed.settle(), self._clock.utc_us(), self._clock.mono_us(), unknown_lines=0
            )

    def _bound_flow(self, received: int, mono_us: int) -> None:
        if mono_us // US != self._second:
            self._second, self._bytes_this_second = mono_us // US, 0
        self._bytes_this_second += received
        if self._bytes_this_second > _MOST_BYTES_A_SECOND:
            raise LinkLost(f"more than {_MOST_BYTES_A_SECOND} bytes in a second")

"""One client of the MPEG-4 stream: framing, what it is sent, what it is not, and every way to send it wrong."""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from nvr.simulator.faults import Name
from nvr.simulator.http import date
from nvr.simulator.options import CameraOptions, Framing
from nvr.simulator.outlet import Outlet
from nvr.simulator.ptz import Position
from nvr.simulator.truth import SentVop, Truth, digest

_ENDLESS_LINES: Final = (b"X-Filler: " + b"x" * 1000 + b"\r\n") * 4
_HUGE_LENGTH: Final = 99_999_999_999
_NEGATIVE_LENGTH: Final = -5


@dataclass
class Unit:
    """One VOP of a camera with the headers before it, ready to send."""

    seq: int
    key: bool
    headers: bytes
    vop: bytes
    ticks: int
    resolution: int
    position: Position
    counter: int
    clock_ms: int
    captured_at_us: int

    @cached_property
    def data(self) -> bytes:
        return self.headers + self.vop

    @cached_property
    def sha256(self) -> str:
        """Made once, however many clients get the unit."""
        return digest(self.data)


class Stream(Protocol):
    """One MPEG-4 stream of a camera, to a client or to a group."""

    is_multicast: bool

    @property
    def number(self) -> int: ...

    @property
    def client(self) -> tuple[str, int]: ...

    @property
    def closed(self) -> bool: ...

    def offer(self, unit: Unit, faults: Mapping[Name, str]) -> None:
        """A VOP is due."""
        ...

    def end(self, *, reset: bool = False) -> None:
        """The camera ends it; by a reset where it restarts."""
        ...


class Viewer:
    """One video connection from the answer's head to its end."""

    is_multicast = False

    def __init__(
        self,
        number: int,
        outlet_of: Callable[[Callable[[], None], Callable[[], None]], Outlet],
        options: CameraOptions,
        truth: Truth,
        chance: random.Random,
        *,
        client: tuple[str, int],
        ptz: bool,
        begin: str,
    ) -> None:
        """`begin` is what the first VOP must be: `any`, `key` or `p`."""
        self.number = number
        self.client = client
        self._options = options
        self._framing: Framing = options.framing
        self._truth = truth
        self._chance = chance
        self._ptz = ptz
        self._begin = begin
        self._unsettled: deque[tuple[int, bool, SentVop]] = deque()
        """Where each unit ends in the connection's bytes, and whether all of it is in them."""
        self._endless = False
        self._late_head = b""
        self._outlet = outlet_of(self._settle, self._end)

    @property
    def closed(self) -> bool:
        return self._outlet.closed

    def answer(self, head: bytes, *, endless: bool = False, later: bool = False) -> None:
        """The head of the answer; behind an endless one comes no video, a later one goes out with the first VOP."""
        if later:
            self._late_head = head
        else:
            self._outlet.write(head)
        self._endless = endless

    def offer(self, unit: Unit, faults: Mapping[Name, str]) -> None:
        """Sends the unit, or drops it whole where the client is too slow; with the faults that hold now."""
        if self.closed:
            return
        if faults:
            self._outlet.slow_down(int(faults[Name.SLOW]) if Name.SLOW in faults else None)
        else:
            self._outlet.slow_down(None)
        if self._endless:
            self._go_on_endlessly()
            return
        if self._begin != "any":
            if unit.key != (self._begin == "key"):
                return
            self._begin = "any"
        if Name.SILENT in faults:
            return
        if Name.STALL in faults:
            self._drop(unit, Name.STALL)
        elif self._outlet.backlog > self._options.queue_bytes:
            self._drop(unit, "slow-client")
        else:
            if self._late_head:
                self._outlet.write(self._late_head)
                self._late_head = b""
            if faults:
                self._send_wrong(unit, faults)
            else:
                self._send(unit, *self._framed(unit))

    def end(self, *, reset: bool = False) -> None:
        """The camera ends the link: in order behind what is written, or by a reset."""
        if reset:
            self._outlet.abort(reset=True)
            return
        if self._ptz and self._framing.closing_delimiter:
            self._outlet.write(f"{self._framing.delimiter}--\r\n".encode())
        self._outlet.finish()

    def _framed(self, unit: Unit) -> tuple[bytes, ...]:
        if not self._ptz:
            return (unit.data,)
        after = b"\r\n" if self._framing.crlf_after_part else b""
        if self._framing.headers_apart and unit.headers:
            before = (self._part_head(unit, len(unit.headers)), unit.headers, after)
            return (*before, self._part_head(unit, len(unit.vop)), unit.vop, after)
        return self._part_head(unit, len(unit.headers) + len(unit.vop)), unit.headers, unit.vop, after

    def _part_head(self, unit: Unit, length: int) -> bytes:
        # Guide 2.1 prints image/jpeg here, though the payload is a VOP.
        pan, tilt, zoom = unit.position
        return (
            f"{self._framing.delimiter}\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n"
            f"X-Puls-Pan: {pan}\r\nX-Puls-Tilt: {tilt}\r\nX-Posi-Zoom: {zoom}\r\n\r\n"
        ).encode("ascii")

    def _send(self, unit: Unit, *pieces: bytes, why: str = "", whole: bool = True) -> None:
        record = self._record(unit, sent=True, why=why)
        self._truth.expect(record)
        self._outlet.write(*pieces)
        self._unsettled.append((self._outlet.written, whole, record))
        if self.closed:
            self._end()
        else:
            self._settle()

    def _drop(self, unit: Unit, why: str) -> None:
        record = self._record(unit, sent=False, why=why)
        self._truth.expect(record)
        self._unsettled.append((0, False, record))
        self._settle()

    def _record(self, unit: Unit, *, sent: bool, why: str) -> SentVop:
        return record(self._options, unit, self.number, sent=sent, why=why)

    def _settle(self) -> None:
        """Writes down what became of the units the kernel has taken, in their order."""
        out = self._outlet.out
        while self._unsettled and self._unsettled[0][0] <= out:
            self._settle_first(self._unsettled[0][1])

    def _end(self) -> None:
        while self._unsettled:
            end, whole, _ = self._unsettled[0]
            self._settle_first(whole and end <= self._outlet.out)

    def _settle_first(self, complete: bool) -> None:
        record = self._unsettled.popleft()[2]
        record.complete = complete
        self._truth.settle(record)

    def _send_wrong(self, unit: Unit, faults: Mapping[Name, str]) -> None:
        if Name.CUT in faults:
            self.end(reset=faults[Name.CUT] == "rst")
        elif Name.CUT_VOP in faults:
            self._cut_inside(unit, reset=faults[Name.CUT_VOP] == "rst")
        elif Name.CORRUPT in faults:
            self._send_corrupt(unit, int(faults[Name.CORRUPT]))
        elif Name.GARBAGE in faults:
            self._outlet.write(self._chance.randbytes(int(faults[Name.GARBAGE])))
            self._send(unit, *self._framed(unit), why=Name.GARBAGE)
        elif not self._ptz:
            self._send(unit, *self._framed(unit))
        elif Name.HUGE_LENGTH in faults:
            self._send_part(unit, _HUGE_LENGTH, unit.data, Name.HUGE_LENGTH)
        elif Name.NEGATIVE_LENGTH in faults:
            self._send_part(unit, _NEGATIVE_LENGTH, unit.data, Name.NEGATIVE_LENGTH)
        elif Name.SHORT_PART in faults:
            self._send_part(unit, len(unit.data), unit.data[: len(unit.data) // 2], Name.SHORT_PART)
            if faults[Name.SHORT_PART] == "close":
                self._outlet.finish()
        elif Name.ENDLESS_PART_HEAD in faults:
            self._outlet.write(f"{self._framing.delimiter}\r\n".encode("ascii"))
            self._endless = True
        else:
            self._send(unit, *self._framed(unit))

    def _cut_inside(self, unit: Unit, *, reset: bool) -> None:
        framed = b"".join(self._framed(unit))
        # Behind the middle of the VOP itself, whatever stands before it.
        cut = framed.rindex(unit.vop) + len(unit.vop) // 2
        self._send(unit, framed[:cut], why=Name.CUT_VOP, whole=False)
        if reset:
            self._outlet.abort(reset=True)
        else:
            self._outlet.finish()

    def _send_corrupt(self, unit: Unit, count: int) -> None:
        """Random bytes over the picture's data; headers and framing stay well."""
        spoilt = bytearray(unit.vop)
        start = min(len(spoilt), 16)
        noise = self._chance.randbytes(min(count, len(spoilt) - start))
        middle = start + (len(spoilt) - start - len(noise)) // 2
        spoilt[middle : middle + len(noise)] = noise
        framed = b"".join(self._framed(unit))
        at = framed.rindex(unit.vop)
        self._send(unit, framed[:at], bytes(spoilt), framed[at + len(spoilt) :], why=Name.CORRUPT, whole=False)

    def _send_part(self, unit: Unit, length: int, payload: bytes, why: Name) -> None:
        after = b"\r\n" if self._framing.crlf_after_part else b""
        self._send(unit, self._part_head(unit, length), payload, after, why=why, whole=why != Name.SHORT_PART)

    def _go_on_endlessly(self) -> None:
        if self._outlet.backlog <= self._options.queue_bytes:
            self._outlet.write(_ENDLESS_LINES)


def record(options: CameraOptions, unit: Unit, connection: int, *, sent: bool, why: str) -> SentVop:
    """What is written down of a VOP that is due to a client now."""
    return SentVop(
        options.camera_id,
        connection,
        unit.seq,
        unit.key,
        len(unit.headers) + len(unit.vop),
        unit.sha256,
        unit.ticks,
        unit.resolution,
        unit.position,
        unit.counter,
        unit.clock_ms,
        unit.captured_at_us,
        time.time_ns() // 1000,
        time.monotonic_ns() // 1000,
        sent,
        False,
        why,
        unit.data if options.keep_bytes else None,
    )


def answer_head(options: CameraOptions, rate_text: str, frame_size: str, *, ptz: bool) -> bytes:
    """The 200 before the stream (fact sheet 2.1, 2.2)."""
    kind = "video/mp4v-es"
    if ptz and options.framing.head == "multipart":
        kind = f"multipart/x-mixed-replace;boundary={options.framing.boundary}"
    fold = "\r\n " if options.framing.folded_response_line else " "
    said = f"encode=mpeg4&framerate={rate_text}&framesize={frame_size}&ptz_info={'on' if ptz else 'off'}"
    return (
        f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\nDate: {date()}\r\n"
        f"Server: JVC {options.family} Network Camera\r\n{options.response_header}:{fold}{said}\r\n\r\n"
    ).encode("ascii")

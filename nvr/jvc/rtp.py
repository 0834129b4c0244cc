"""Multicast packets (guide 6.13, fact sheet 6): from datagrams to the elementary stream.

RTP after RFC 3550; MPEG-4 as RFC 3016 has it: bare stream bytes, the marker on the packet with the last of a VOP.
Packets may come late, twice or never. What the network took of a picture is said where it happened, since no picture
after it can be decoded up to the next I-VOP.
"""

from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from nvr.jvc.errors import ProtocolError
from nvr.jvc.stream import MAX_PART, EsBytes

DYNAMIC: Final = range(96, 128)
"""Payload types that MPEG-4 may have (RFC 3551); which one the camera uses is unknown (fact sheet 6)."""
CLOCK_HZ: Final = 90_000  # RFC 3016, 4.1

_VERSION: Final = 2
_HEADER_BYTES: Final = 12
_SEQ: Final = 1 << 16
_TIME: Final = 1 << 32
_MAX_DROPOUT: Final = 3000  # RFC 3550, A.1: ahead by more is another stream under the same name
_MAX_MISORDER: Final = 100  # likewise, behind by more
_MOST_HELD: Final = 64  # packets; a second of them at 0.6 Mbit/s
_WAIT_US: Final = 200_000  # for a packet that is missing; networks that reorder do so within milliseconds
_START: Final = b"\x00\x00\x01"  # of a start code, as this and the next two: ISO/IEC 14496-2, 6.2
_VOP: Final = 0xB6
_I_VOP: Final = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet."""

    payload_type: int
    marker: bool
    seq: int
    timestamp: int
    ssrc: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """So many packets never came, here; 0 where another stream begins, of which nothing is known before."""

    packets: int


@dataclass(frozen=True, slots=True)
class Lost:
    """So many pictures were hit by what is missing, here."""

    pictures: int


def parse(datagram: bytes) -> Packet:
    """Reads one packet (RFC 3550, 5.1). Raises ProtocolError for what is none."""
    if len(datagram) < _HEADER_BYTES or datagram[0] >> 6 != _VERSION:
        raise ProtocolError("a datagram that is no RTP packet")
    first, second = datagram[0], datagram[1]
    at = _HEADER_BYTES + 4 * (first & 15)
    if first & 0x10:
        at += 4 + 4 * int.from_bytes(datagram[at + 2 : at + 4], "big")
    end = len(datagram)
    if first & 0x20:
        end -= datagram[-1]
        if not datagram[-1]:
            raise ProtocolError("an RTP packet that is padded with nothing")
    if at > end:
        raise ProtocolError("an RTP packet that ends inside its header")
    number = int.from_bytes
    return Packet(
        second & 0x7F,
        bool(second & 0x80),
        number(datagram[2:4], "big"),
        number(datagram[4:8], "big"),
        number(datagram[8:12], "big"),
        datagram[at:end],
    )


class Sequencer:
    """Puts packets into order, drops what comes twice, and says what never came."""

    def __init__(self) -> None:
        self.lost = 0
        """Packets that never came, or too late."""
        self.repeated = 0
        """Packets that came twice, or after they were given up."""
        self._ssrc: int | None = None
        self._next = 0
        self._held: dict[int, tuple[Packet, int]] = {}
        """By number: packets behind one that is missing, and when they came."""
        self._suspect = -1
        """The number after a packet far from the others: a second one there says that the stream began anew."""

    def feed(self, packet: Packet, mono_us: int) -> list[Packet | Missing]:
        """Takes a packet, gives out what is in order."""
        if packet.ssrc != self._ssrc:
            return self._begin(packet)
        ahead = (packet.seq - self._next) % _SEQ
        if ahead == 0:
            return self._in_order(packet)
        if _MAX_DROPOUT < ahead < _SEQ - _MAX_MISORDER:
            if packet.seq == self._suspect:
                return self._begin(packet)
            self._suspect = (packet.seq + 1) % _SEQ
            return []
        if ahead >= _SEQ - _MAX_MISORDER or packet.seq in self._held:
            self.repeated += 1
            return []
        self._held[packet.seq] = (packet, mono_us)
        return self.give_up(mono_us)

    def give_up(self, mono_us: int) -> list[Packet | Missing]:
        """Goes on without what was waited for long enough; to be asked several times a second."""
        events: list[Packet | Missing] = []
        while self._held:
            first = min(self._held, key=lambda seq: (seq - self._next) % _SEQ)
            packet, since_us = self._held[first]
            if len(self._held) <= _MOST_HELD and mono_us - since_us < _WAIT_US:
                break
            del self._held[first]
            gap = (first - self._next) % _SEQ
            self.lost += gap
            events.append(Missing(gap))
            events += self._in_order(packet)
        return events

    def _in_order(self, packet: Packet) -> list[Packet | Missing]:
        events: list[Packet | Missing] = [packet]
        self._next = (packet.seq + 1) % _SEQ
        self._suspect = -1
        while (follower := self._held.pop(self._next, None)) is not None:
            events.append(follower[0])
            self._next = (self._next + 1) % _SEQ
        return events

    def _begin(self, packet: Packet) -> list[Packet | Missing]:
        """Another stream: the first, one after a restart of the camera, or of another camera."""
        self._ssrc = packet.ssrc
        self._held.clear()
        self._next = (packet.seq + 1) % _SEQ
        self._suspect = -1
        return [Missing(0), packet]


Whole = TypeVar("Whole")


class Assembler(Protocol[Whole]):
    """Makes pictures of packets in order."""

    def take(self, packet: Packet) -> list[Whole | Lost]:
        """The next packet; what it completes."""
        ...

    def miss(self, packets: int) -> list[Whole | Lost]:
        """So many packets are missing here; 0: another stream begins."""
        ...


class RtpParser(Generic[Whole]):
    """One group's datagrams, of one payload; what is none of it is counted and skipped."""

    def __init__(self, assembler: Assembler[Whole], payload_types: range) -> None:
        self.packets = 0
        """Taken."""
        self.foreign = 0
        """Datagrams that are no RTP, or RTP of another payload."""
        self.sequencer = Sequencer()
        self._assembler = assembler
        self._payload_types = payload_types

    def feed(self, datagram: bytes, mono_us: int) -> list[Whole | Lost]:
        """Takes a datagram that came at this time; gives out what it completes. Never raises."""
        try:
            packet = parse(datagram)
        except ProtocolError:
            self.foreign += 1
            return []
        if packet.payload_type not in self._payload_types:
            self.foreign += 1
            return []
        self.packets += 1
        return self._assembled(self.sequencer.feed(packet, mono_us))

    def give_up(self, mono_us: int) -> list[Whole | Lost]:
        """What waiting longer would not complete; to be asked several times a second."""
        return self._assembled(self.sequencer.give_up(mono_us))

    def _assembled(self, events: list[Packet | Missing]) -> list[Whole | Lost]:
        made: list[Whole | Lost] = []
        for event in events:
            made += self._assembler.miss(event.packets) if isinstance(event, Missing) else self._assembler.take(event)
        return made


class Mpeg4Assembler:
    """VOPs out of packets in order; each comes whole, byte for byte, or is counted."""

    def __init__(self) -> None:
        self._vop = bytearray()
        self._timestamp: int | None = None
        """Of the picture at hand, or of the last one; None before the first."""
        self._is_over = True
        """The picture of that time has had its last packet."""
        self._is_hit = False
        """A part of the picture at hand is missing."""
        self._interval = 0
        """Ticks from one picture to the next, lately."""
        self._opening: int | None = None
        """The start code with which pictures begin that have headers; None while there are none, or key pictures are
        bare.
        """
        self._missing = -1
        """Packets that are missing before the next one; -1: none are."""

    def take(self, packet: Packet) -> list[EsBytes | Lost]:
        """The next packet. A picture ends with the marker, or where the time is another."""
        events: list[EsBytes | Lost] = []
        if self._missing >= 0:
            events += self._find_hit(packet)
        elif self._timestamp is not None and packet.timestamp != self._timestamp:
            if not self._is_over:
                events += self._finish()
            self._interval = (packet.timestamp - self._timestamp) % _TIME
            self._is_hit = False
        self._timestamp = packet.timestamp
        self._is_over = packet.marker
        if not self._is_hit:
            self._vop += packet.payload
            if len(self._vop) > MAX_PART:
                self._vop.clear()
                self._is_hit = True
                events.append(Lost(1))
        if packet.marker:
            events += self._finish()
        return events

    def miss(self, packets: int) -> list[EsBytes | Lost]:
        """Packets are missing here; what they belonged to shows with the next one that comes."""
        if packets and self._missing > 0:
            packets += self._missing
        self._missing = packets
        return []

    def _finish(self) -> list[EsBytes | Lost]:
        """The picture at hand is over: whole, or counted already."""
        events: list[EsBytes | Lost] = []
        if self._vop and not self._is_hit:
            events.append(EsBytes(bytes(self._vop), None, True))
            self._learn_opening()
        self._vop.clear()
        self._is_hit = False
        return events

    def _find_hit(self, packet: Packet) -> list[EsBytes | Lost]:
        """Which pictures the missing packets belonged to: the one before, the one after, and some between."""
        missing, self._missing = self._missing, -1
        before, was_hit, was_over = self._timestamp, self._is_hit, self._is_over
        self._vop.clear()
        begins = self._begins(packet.payload)
        if before is None or not missing:
            # Nothing is known of what came before: a picture of which only the end comes is none, and not lost either.
            self._interval = 0
            self._is_hit = not begins
            return [Lost(0)] if before is not None else []
        if packet.timestamp == before:
            self._is_hit = True
            return [] if was_hit or was_over else [Lost(1)]
        hit = 0
        left = missing
        if not was_over:
            hit += not was_hit
            left -= 1
        self._is_hit = not begins
        if self._is_hit:
            hit += 1
            left -= 1
        between = self._between((packet.timestamp - before) % _TIME)
        # Where the picture before had all its packets and the one after has, there was another.
        least = int(was_over and begins)
        return [Lost(hit + max(least, min(left, between)))]

    def _between(self, ticks: int) -> int:
        """How many pictures lie wholly between two so far apart; 0 where their pace is not known."""
        return max(0, round(ticks / self._interval) - 1) if self._interval else 0

    def _begins(self, payload: bytes) -> bool:
        """Whether a picture begins here: it may have lost the packet with its headers."""
        if len(payload) < 5 or not payload.startswith(_START):
            return False
        if self._opening is None:
            return True
        return payload[4] >> 6 != _I_VOP if payload[3] == _VOP else payload[3] == self._opening

    def _learn_opening(self) -> None:
        vop = self._vop
        if len(vop) >= 5 and vop.startswith(_START):
            if vop[3] != _VOP:
                self._opening = vop[3]
            elif vop[4] >> 6 == _I_VOP:
                self._opening = None

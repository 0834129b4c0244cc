"""A network that loses, swaps and doubles packets, told in letters; and every bit of a packet's head."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.errors import ProtocolError
from nvr.jvc.rtp import DYNAMIC, Lost, Missing, Mpeg4Assembler, Packet, RtpParser, Sequencer, parse
from nvr.jvc.stream import EsBytes

VOP = b"\x00\x00\x01\xb6"
VOL = b"\x00\x00\x01\x20"
TICKS = 3000


def packet(seq: int, payload: bytes = b"x", *, time: int = 0, marker: bool = False, ssrc: int = 7) -> Packet:
    return Packet(96, marker, seq % 65536, time % (1 << 32), ssrc, payload)


def datagram(packet: Packet) -> bytes:
    head = struct.pack(
        ">BBHII", 0x80, packet.marker << 7 | packet.payload_type, packet.seq, packet.timestamp, packet.ssrc
    )
    return head + packet.payload


def told(*seqs: int, at_us: int = 0, first: int = 0) -> str:
    """What a sequencer makes of packets with these numbers, the first of which begins the stream."""
    sequencer = Sequencer()
    sequencer.feed(packet(first), at_us)
    events: list[Packet | Missing] = []
    for seq in seqs:
        events += sequencer.feed(packet(first + seq), at_us)
    return " ".join(f"-{one.packets}" if isinstance(one, Missing) else str((one.seq - first) % 65536) for one in events)


def test_a_packet_is_read_with_all_that_may_stand_before_its_payload() -> None:
    plain = datagram(packet(513, b"payload", time=0x01020304, marker=True, ssrc=0x0A0B0C0D))
    assert parse(plain) == Packet(96, True, 513, 0x01020304, 0x0A0B0C0D, b"payload")
    listed = bytes((0x82,)) + plain[1:12] + bytes(8) + b"payload"
    extended = bytes((0x90,)) + plain[1:12] + b"\xbe\xde\x00\x01" + bytes(4) + b"payload"
    padded = bytes((0xA0,)) + plain[1:] + b"\0\0\3"
    assert [parse(one).payload for one in (listed, extended, padded)] == [b"payload"] * 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(20),
        b"\x8f" + bytes(20),
        b"\x90" + bytes(11) + b"\0\0\xff\xff",
        b"\xa0" + bytes(20),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(data)


@given(st.binary(max_size=64))
def test_no_datagram_is_ever_more_than_refused(data: bytes) -> None:
    parser = RtpParser(Mpeg4Assembler(), DYNAMIC)
    parser.feed(data, 0)
    assert parser.packets + parser.foreign == 1


def test_packets_in_order_go_through_as_they_come() -> None:
    assert told(1, 2, 3) == "1 2 3"
    assert told(1, 2, 3, first=65534) == "1 2 3", "the number begins anew after 65535"


def test_swapped_packets_are_put_in_order_and_doubled_ones_dropped() -> None:
    assert told(2, 1, 3) == "1 2 3"
    assert told(3, 2, 1, 4) == "1 2 3 4"
    assert told(1, 1, 2, 2, 1) == "1 2"
    assert told(2, 2, 1) == "1 2"


def test_a_packet_that_never_comes_is_waited_for_and_then_missing() -> None:
    sequencer = Sequencer()
    sequencer.feed(packet(0), 0)
    assert sequencer.feed(packet(2), 1_000) == []
    assert sequencer.give_up(150_000) == []
    assert sequencer.give_up(202_000) == [Missing(1), packet(2)]
    assert sequencer.feed(packet(1), 203_000) == [], "too late"
    assert (sequencer.lost, sequencer.repeated) == (1, 1)


def test_many_packets_behind_a_hole_are_not_held_for_long() -> None:
    events = told(*range(2, 70)).split()
    assert events[:3] == ["-1", "2", "3"]


def test_two_holes_are_two() -> None:
    sequencer = Sequencer()
    sequencer.feed(packet(0), 0)
    for seq in (2, 3, 5):
        sequencer.feed(packet(seq), 0)
    assert sequencer.give_up(300_000) == [Missing(1), packet(2), packet(3), Missing(1), packet(5)]


def test_a_stream_that_begins_anew_is_known_by_its_name_or_by_two_packets_far_away() -> None:
    sequencer = Sequencer()
    sequencer.feed(packet(100), 0)
    assert sequencer.feed(packet(9, ssrc=8), 0) == [Missing(0), packet(9, ssrc=8)]
    assert sequencer.feed(packet(30_000, ssrc=8), 0) == [], "one stray packet is none"
    assert sequencer.feed(packet(10, ssrc=8), 0) == [packet(10, ssrc=8)]
    assert sequencer.feed(packet(30_000, ssrc=8), 0) == []
    assert sequencer.feed(packet(30_001, ssrc=8), 0) == [Missing(0), packet(30_001, ssrc=8)]


@given(st.permutations(range(1, 20)))
def test_any_order_within_the_window_is_put_right(order: list[int]) -> None:
    assert told(*order) == " ".join(map(str, range(1, 20)))


# A stream of pictures in letters: an I-VOP has its headers in its first packet. Each picture is named and has so many
# packets; a number names packets that are lost.


def stream(words: str, cut: int = 3) -> list[Packet]:
    """`I P P`: pictures of three packets each, 3000 ticks apart."""
    packets: list[Packet] = []
    for number, kind in enumerate(words.split()):
        key = kind.startswith("I")
        body = (VOL + b"head" + VOP + b"\x10" if key else VOP + b"\x50") + f"picture {number:02}".encode() * 2
        size = -(-len(body) // cut)
        for part in range(cut):
            piece = body[part * size : (part + 1) * size]
            packets.append(packet(len(packets), piece, time=number * TICKS, marker=part == cut - 1))
    return packets


def data(words: str, cut: int = 3) -> list[bytes]:
    """Those pictures, each whole."""
    packets = stream(words, cut)
    return [b"".join(one.payload for one in packets[at : at + cut]) for at in range(0, len(packets), cut)]


def received(packets: list[Packet], *lost: int) -> tuple[list[bytes], int]:
    """The pictures that come out, and how many were counted as hit."""
    parser = RtpParser(Mpeg4Assembler(), DYNAMIC)
    events: list[EsBytes | Lost] = []
    for at, one in enumerate(packets):
        if at not in lost:
            events += parser.feed(datagram(one), at * 10)
    events += parser.give_up(10_000_000)
    whole = [event.data for event in events if isinstance(event, EsBytes)]
    assert all(event.whole for event in events if isinstance(event, EsBytes))
    return whole, sum(event.pictures for event in events if isinstance(event, Lost))


def test_pictures_come_out_whole_and_end_with_the_marker() -> None:
    words = "I P P I P"
    assert received(stream(words)) == (data(words), 0)


def test_a_picture_whose_marker_is_not_set_ends_with_its_time() -> None:
    packets = [Packet(96, False, one.seq, one.timestamp, 7, one.payload) for one in stream("I P P")]
    assert received(packets) == (data("I P P")[:2], 0)


@pytest.mark.parametrize("lost", range(3, 12))
def test_one_lost_packet_hits_its_picture_alone(lost: int) -> None:
    words = "I P P I P P"
    whole = data(words)
    assert received(stream(words), lost) == ([one for at, one in enumerate(whole) if at != lost // 3], 1)


@pytest.mark.parametrize(
    ("lost", "hit"),
    [
        ((9, 10), [3]),
        ((9, 10, 11), [3]),
        ((11, 12), [3, 4]),
        ((10, 11, 12, 13, 14, 15), [3, 4, 5]),
        ((12, 13, 14), [4]),
        ((9, 10, 11, 12, 13, 14), [3, 4]),
        ((9, 13, 17), [3, 4, 5]),
        ((15,), [5]),
        ((14, 15, 16, 17), [4, 5]),
    ],
)
def test_every_picture_that_lost_a_packet_is_counted_and_no_other(lost: tuple[int, ...], hit: list[int]) -> None:
    words = "I P I P P I P P"
    whole = data(words)
    assert received(stream(words), *lost) == ([one for at, one in enumerate(whole) if at not in hit], len(hit))


def test_of_pictures_of_one_packet_each_lost_one_is_counted() -> None:
    words = "I P P P P P P P"
    packets, whole = stream(words, 1), data(words, 1)
    assert received(packets, 3) == ([*whole[:3], *whole[4:]], 1)
    assert received(packets, 3, 4, 6) == ([*whole[:3], whole[5], whole[7]], 3)


def test_a_key_picture_that_lost_the_packet_with_its_headers_is_no_picture() -> None:
    packets: list[Packet] = []
    for number, parts in enumerate([[VOL + b"head", VOP + b"\x10i"], [VOP + b"\x50p"]] * 3):
        for part in parts:
            packets.append(packet(len(packets), part, time=number * TICKS, marker=part is parts[-1]))
    whole, hit = received(packets, 3)
    assert hit == 1
    assert VOP + b"\x10i" not in whole
    assert len(whole) == 5


@given(st.sets(st.integers(6, 43), max_size=12))
def test_whatever_is_lost_what_comes_out_was_sent_and_the_rest_is_counted(lost: set[int]) -> None:
    words = "I P P P P I P P P P I P P P P"
    hit = {at // 3 for at in lost}
    whole = [one for at, one in enumerate(data(words)) if at not in hit]
    assert received(stream(words), *lost) == (whole, len(hit))


def test_packets_of_another_payload_are_left_alone() -> None:
    parser = RtpParser(Mpeg4Assembler(), DYNAMIC)
    assert parser.feed(datagram(Packet(26, True, 1, 0, 7, VOP)), 0) == []
    assert parser.foreign == 1


def test_a_stream_that_begins_in_the_middle_of_a_picture_begins_with_the_next() -> None:
    words = "I P P"
    assert received(stream(words)[1:]) == (data(words)[1:], 0)


def test_after_another_stream_began_the_old_ones_rest_is_no_picture() -> None:
    parser = RtpParser(Mpeg4Assembler(), DYNAMIC)
    for one in stream("I P")[:4]:
        parser.feed(datagram(one), 0)
    events = []
    for one in stream("I P"):
        events += parser.feed(datagram(Packet(96, one.marker, one.seq, one.timestamp, 99, one.payload)), 0)
    assert events[0] == Lost(0)
    assert [event.data for event in events if isinstance(event, EsBytes)] == data("I P")

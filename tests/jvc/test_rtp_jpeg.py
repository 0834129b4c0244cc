"""JPEG in packets: what RFC 2435 leaves behind is put back, so that every decoder shows the same picture."""

import io
import struct

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.jpeg import Picture
from nvr.jvc.rtp import Lost, Packet
from nvr.jvc.rtp_jpeg import JpegAssembler
from nvr.simulator.jpeg import Facts, JpegMaker
from nvr.simulator.rtp import Packer

MTU = 1420


@pytest.fixture(scope="module")
def file() -> bytes:
    """A picture as the camera makes it."""
    return made(0)


def made(counter: int) -> bytes:
    facts = Facts("VN-V685U", 0, "Camera01", True, False, (0, 500, 0), None, False, 0)
    return JpegMaker("qvga", 1).picture(facts, counter)


def packets(datagrams: list[bytes]) -> list[Packet]:
    found = []
    for data in datagrams:
        _, second, seq, time, ssrc = struct.unpack(">BBHII", data[:12])
        found.append(Packet(second & 127, bool(second >> 7), seq, time, ssrc, data[12:]))
    return found


def assembled(given: list[Packet], assembler: JpegAssembler | None = None) -> list[Picture | Lost]:
    assembler = assembler or JpegAssembler()
    return [event for one in given for event in assembler.take(one)]


def decoded(file: bytes) -> bytes:
    with av.open(io.BytesIO(file), format="mjpeg") as container:
        frame = next(container.decode(video=0))
    return b"".join(bytes(plane) for plane in frame.planes)


def segments(file: bytes) -> dict[int, list[bytes]]:
    """Contents by marker up to the coded data."""
    found: dict[int, list[bytes]] = {}
    at = 2
    while file[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        found.setdefault(file[at + 1], []).append(file[at + 4 : end])
        at = end
    return found


def huffman(file: bytes) -> dict[int, bytes]:
    """Huffman tables by class and slot, however they are spread over segments."""
    found: dict[int, bytes] = {}
    for content in segments(file)[0xC4]:
        at = 0
        while at < len(content):
            size = 17 + sum(content[at + 1 : at + 17])
            found[content[at]] = content[at + 1 : at + size]
            at += size
    return found


def rfc_2435(scan: bytes, kind: int, q: int, tables: bytes = b"", interval: int = 0) -> list[Packet]:
    """A picture of 320 x 240 in packets of 1000 bytes."""
    restart = struct.pack(">HH", interval, 0xFFFF) if kind >= 64 else b""
    found = []
    for at in range(0, len(scan), 1000):
        head = struct.pack(">I", at) + bytes((kind, q, 40, 30)) + restart
        if at == 0 and q >= 128:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        found.append(Packet(26, at + 1000 >= len(scan), len(found), 0, 7, head + scan[at : at + 1000]))
    return found


def scan_of(file: bytes) -> bytes:
    begin = file.index(b"\xff\xda")
    return file[begin + 2 + int.from_bytes(file[begin + 2 : begin + 4], "big") : -2]


def test_a_picture_sent_without_its_headers_decodes_to_the_same(file: bytes) -> None:
    (picture,) = assembled(packets(Packer(26, 7, 0, MTU).jpeg(file, 0)))
    assert isinstance(picture, Picture)
    assert picture.data != file
    assert decoded(picture.data) == decoded(file)


def test_the_tables_that_are_never_sent_are_those_of_the_standard(file: bytes) -> None:
    """FFmpeg's encoder writes the same ones into its files."""
    (picture,) = assembled(packets(Packer(26, 7, 0, MTU).jpeg(file, 0)))
    assert isinstance(picture, Picture)
    assert huffman(picture.data) == huffman(file)
    assert len(huffman(file)) == 4


def test_a_file_in_packets_is_the_file(file: bytes) -> None:
    assert assembled(packets(Packer(26, 7, 0, MTU).jfif(file, 0))) == [Picture(file, None)]


def test_tables_by_quality_are_those_of_the_rfc() -> None:
    """RFC 2435, appendix A: MakeTables of 50 leaves the standard's own, of 99 nearly none."""
    (picture,) = assembled(rfc_2435(b"x" * 10, 1, 50))
    assert isinstance(picture, Picture)
    luma, chroma = segments(picture.data)[0xDB]
    assert (luma[1:6], chroma[1:6]) == (bytes((16, 11, 12, 14, 12)), bytes((17, 18, 18, 24, 21)))
    (fine,) = assembled(rfc_2435(b"x" * 10, 1, 99))
    assert isinstance(fine, Picture)
    assert set(segments(fine.data)[0xDB][0][1:]) <= {1, 2}
    (coarse,) = assembled(rfc_2435(b"x" * 10, 1, 1))
    assert isinstance(coarse, Picture)
    assert set(segments(coarse.data)[0xDB][0][1:]) == {255}


def test_restart_markers_and_sampling_are_put_into_the_headers() -> None:
    scan = b"a" * 500 + b"\xff\xd0" + b"b" * 900
    (picture,) = assembled(rfc_2435(scan, 65, 80, interval=20))
    assert isinstance(picture, Picture)
    found = segments(picture.data)
    assert found[0xDD] == [b"\0\x14"]
    assert found[0xC0][0][:8] == bytes((8, 0, 240, 1, 64, 3, 1, 0x22))
    assert scan_of(picture.data) == scan
    (half,) = assembled(rfc_2435(b"x", 0, 80))
    assert isinstance(half, Picture)
    assert segments(half.data)[0xC0][0][7] == 0x21
    assert 0xDD not in segments(half.data)


def test_tables_in_band_are_remembered_under_their_number_but_for_the_one_that_changes() -> None:
    tables = bytes(range(1, 129))
    assembler = JpegAssembler()
    (first,) = assembled(rfc_2435(b"x", 1, 130, tables), assembler)
    again = [Packet(26, True, 9, 1, 7, one.payload) for one in rfc_2435(b"x", 1, 130)]
    (second,) = assembled(again, assembler)
    assert isinstance(second, Picture)
    assert second == first
    unknown = [Packet(26, True, 10, 2, 7, one.payload) for one in rfc_2435(b"x", 1, 255)]
    assert assembled(unknown, assembler) == [Lost(1)]


def test_a_picture_of_which_a_packet_is_missing_is_counted_and_the_next_one_comes(file: bytes) -> None:
    packer = Packer(26, 7, 0, MTU)
    first, second = packets(packer.jpeg(file, 0)), packets(packer.jpeg(made(1), 3000))
    assert len(first) > 3
    assembler = JpegAssembler()
    events = assembled(first[:2], assembler) + assembler.miss(1) + assembled([*first[3:], *second], assembler)
    assert events[0] == Lost(1)
    assert [decoded(event.data) for event in events if isinstance(event, Picture)] == [decoded(made(1))]
    assert sum(event.pictures for event in events if isinstance(event, Lost)) == 1


def test_a_stream_that_begins_in_the_middle_of_a_picture_begins_with_the_next(file: bytes) -> None:
    packer = Packer(26, 7, 0, MTU)
    first, second = packets(packer.jfif(file, 0)), packets(packer.jfif(made(1), 3000))
    events = assembled([*first[1:], *second])
    assert [event.data for event in events if isinstance(event, Picture)] == [made(1)]


@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans())
def test_no_payload_is_ever_an_error(payloads: list[bytes], marker: bool) -> None:
    assembled([Packet(26, marker, at, at % 2, 7, payload) for at, payload in enumerate(payloads)])

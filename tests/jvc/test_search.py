import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.errors import ProtocolError
from nvr.jvc.search import REQUEST, SearchAnswer, parse_answer
from tests.jvc.cuts import guide


def test_the_request_is_the_guides() -> None:
    assert REQUEST == b"system.id\r\n"


def test_the_guides_answer_is_read() -> None:
    assert parse_answer(guide("search-answer.txt")) == SearchAnswer("VN-V685U", "192.168.0.2", 24)


@pytest.mark.parametrize(
    "packet",
    [
        b"system.id=VN-V686BU(10.0.0.9/16)&200 OK",
        b"system.id=VN-V686BU(10.0.0.9/255.255.0.0)&200 OK\r\n",
        b"system.id = VN-V686BU (10.0.0.9/16) & 200 OK\n",
        b"system.id=VN-V686BU(10.0.0.9/16)\r\n\0",
    ],
)
def test_an_answer_is_read_in_every_form_it_may_take(packet: bytes) -> None:
    assert parse_answer(packet) == SearchAnswer("VN-V686BU", "10.0.0.9", 16)


def test_an_answer_without_a_mask_and_with_ipv6_is_read() -> None:
    assert parse_answer(b"system.id=VN-V685(192.168.0.2)&200 OK") == SearchAnswer("VN-V685", "192.168.0.2", None)
    assert parse_answer(b"system.id=VN-V685(fe80::1/64)&200 OK") == SearchAnswer("VN-V685", "fe80::1", 64)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        REQUEST,
        b"system.id=&200 OK",
        b"system.id=VN-V685U(192.168.0.300/24)&200 OK",
        b"system.id=VN-V685U(192.168.0.2/99)&200 OK",
        b"system.id=VN\x1b[31m(192.168.0.2/24)&200 OK",
        b"system.id=VN-V685U(192.168.0.2/24)&401 Unauthorized",
        b"system.id=VN-V685U(192.168.0.2/24)&200 OK" + b" " * 500 + b"x",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_packet_that_is_no_answer_is_refused(packet: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_answer(packet)


@given(st.binary(max_size=200))
def test_noise_is_read_or_refused_and_nothing_else(noise: bytes) -> None:
    for packet in (noise, b"system.id=VN-V685U(" + noise + b")&200 OK"):
        try:
            answer = parse_answer(packet)
        except ProtocolError:
            continue
        assert answer.address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.session import Sending, parse

# Guide 6.18, with the address that its text copy lost and one line each.
GUIDE = [
    "system.session=&200 OK",
    "system.session.total_bitrate=388k&200 OK",
    "system.session.sending_count=2&200 OK",
    "system.session.sending_max=20&200 OK",
    "system.session.sending(01).bitrate=326k&200 OK",
    "system.session.sending(01).to.ip=192.168.0.9&200 OK",
    "system.session.sending(01).to.port=1536&200 OK",
    "system.session.sending(01).to.protocol=tcp_passive&200 OK",
    "system.session.sending(01).to.session=http&200 OK",
    "system.session.sending(01).from.encode=jpeg&200 OK",
    "system.session.sending(01).from.framerate=1&200 OK",
    "system.session.sending(01).from.framesize=vga&200 OK",
]


def test_the_guides_report_is_read_whatever_its_count_says() -> None:
    told = parse(GUIDE)
    assert (told.total_bps, told.count, told.most) == (388_000, 2, 20)
    assert told.sending == (Sending(1, 326_000, "192.168.0.9", 1536, "tcp_passive", "http", "jpeg", "1", "vga"),)
    assert not told.is_near_rate
    assert not told.is_near_clients


def test_a_camera_that_sends_nothing_says_so() -> None:
    told = parse([line.replace("388k", "0k").replace("=2&", "=0&") for line in GUIDE[:4]])
    assert (told.total_bps, told.count, told.sending) == (0, 0, ())


def test_numbers_may_have_gaps_and_come_in_any_order() -> None:
    lines = [line.replace("(01)", "(07)") for line in reversed(GUIDE)] + [
        line.replace("(01)", "(03)") for line in GUIDE
    ]
    assert [stream.number for stream in parse(lines).sending] == [3, 7]


@pytest.mark.parametrize(
    ("change", "near_rate", "near_clients"),
    [
        (("388k", "16000k"), True, False),
        (("388k", "15.9M"), False, False),
        (("326k", "17M"), True, False),
        (("count=2", "count=19"), False, True),
        (("count=2", "count=18"), False, False),
        (("sending_max=20", "sending_max=2"), False, True),
    ],
)
def test_what_is_near_a_limit_is_told(change: tuple[str, str], near_rate: bool, near_clients: bool) -> None:
    told = parse(line.replace(*change) for line in GUIDE)
    assert (told.is_near_rate, told.is_near_clients) == (near_rate, near_clients)


def test_what_a_report_does_not_say_is_not_known() -> None:
    told = parse(["system.session.sending(02).bitrate=lots&200 OK", "whatever", "x=1&404 Not Found"])
    assert told.sending == (Sending(2),)
    assert (told.total_bps, told.count, told.most) == (None, None, None)


@given(st.lists(st.text(max_size=80), max_size=20))
def test_no_report_is_ever_an_error(lines: list[str]) -> None:
    parse(lines)

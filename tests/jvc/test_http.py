import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.errors import ProtocolError
from nvr.jvc.http import MAX_HEAD, MAX_LINE, MAX_LINES, MAX_STATUS_LINE, Head, HeadParser, size
from tests.jvc.cuts import feed_all, guide, in_steps, in_two

_IN_USE = {"encode": "mpeg4", "framerate": "30", "framesize": "vga", "ptz_info": "off"}


def read(data: bytes) -> Head:
    head = HeadParser().feed(data)
    assert head is not None
    return head


def test_the_guides_answer_is_read() -> None:
    head = read(guide("answer-mpeg4.txt"))
    assert (head.status, head.reason) == (200, "OK")
    assert head.media_type == "video/mp4v-es"
    assert head.get("server") == "JVC VN-V685 Network Camera"
    assert head.parameters == _IN_USE


@pytest.mark.parametrize("line_break", [b"\r\n", b"\r\n ", b"\r\n\t"])
def test_parameters_on_a_line_of_their_own_are_read(line_break: bytes) -> None:
    two_lines = guide("answer-mpeg4-two-lines.txt")
    assert two_lines.count(b"_response:\r\nencode") == 1
    assert read(two_lines.replace(b"_response:\r\n", b"_response:" + line_break)).parameters == _IN_USE


@pytest.mark.parametrize("name", ["x-vnv686_response", "X-VNV25_Response", "x-vnv686b_RESPONSE"])
def test_parameters_are_found_under_the_name_of_any_model(name: str) -> None:
    assert read(f"HTTP/1.1 200 OK\r\n{name}:encode=mpeg4&framerate=15\r\n\r\n".encode()).parameters == {
        "encode": "mpeg4",
        "framerate": "15",
    }


def test_names_are_found_in_any_case_and_order_and_with_bare_line_feeds() -> None:
    head = read(b"HTTP/1.0 200\nSERVER:x\ncontent-TYPE : Multipart/X-Mixed-Replace; boundary=--foo\n\n")
    assert (head.status, head.reason, head.get("server")) == (200, "", "x")
    assert head.media_type == "multipart/x-mixed-replace"
    assert head.parameters == {}


def test_any_cut_of_the_bytes_reads_the_same_and_keeps_the_body() -> None:
    answer = guide("answer-api.txt")
    whole = read(answer)
    for parts in in_two(answer):
        parser = HeadParser()
        seen = b""
        heads: list[Head] = []
        for part in parts:
            if heads:
                seen += part
            elif (head := parser.feed(part)) is not None:
                heads.append(head)
                seen = parser.rest
        assert heads == [whole]
        assert seen == b"network.interface.subnetmask=255.0.0.0&200 OK\r\n"


def test_a_body_without_the_empty_line_before_it_is_found_where_that_is_allowed() -> None:
    answer = guide("answer-api-as-printed.txt")
    for parts in in_two(answer):
        parser = HeadParser(empty_line_optional=True)
        heads: list[Head] = []
        body = b""
        for part in parts:
            if heads:
                body += part
            elif (head := parser.feed(part)) is not None:
                heads.append(head)
                body = parser.rest
        assert [head.get("content-length") for head in heads] == ["80"]
        assert body == b"network.interface.subnetmask=255.0.0.0&200 OK\r\n"


def test_a_body_that_ends_with_the_connection_instead_of_its_line_is_found() -> None:
    parser = HeadParser(empty_line_optional=True)
    assert parser.feed(b"HTTP/1.1 200 OK\r\nServer: x\r\nsystem.model=VN-V685U&200 OK") is None
    head = parser.finish()
    assert head is not None
    assert (head.get("server"), parser.rest) == ("x", b"system.model=VN-V685U&200 OK")


def test_a_line_that_is_no_header_is_refused_where_the_empty_line_is_needed() -> None:
    with pytest.raises(ProtocolError, match="no header"):
        HeadParser().feed(guide("answer-api-as-printed.txt"))


def test_a_fold_of_any_other_field_is_refused() -> None:
    with pytest.raises(ProtocolError, match="no header"):
        HeadParser().feed(b"HTTP/1.1 200 OK\r\nServer: a\r\n b\r\n\r\n")


@pytest.mark.parametrize("start", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 ftp", b"\x00\x00\x01\xb0", b"HTTP/x.1 200 OK\r\n"])
def test_what_is_not_http_is_refused_at_its_first_bytes(start: bytes) -> None:
    with pytest.raises(ProtocolError, match="not HTTP"):
        HeadParser().feed(start)


@pytest.mark.parametrize(
    ("endless", "cap"),
    [
        (b"HTTP/1.1 200 " + b"O" * MAX_STATUS_LINE, "1024 bytes"),
        (b"HTTP/1.1 200 OK\r\nServer: " + b"x" * MAX_LINE, "8192 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (MAX_LINES + 1), "64 header lines"),
        (b"HTTP/1.1 200 OK\r\n" + (b"a: " + b"b" * 8000 + b"\r\n") * 5, "32768 bytes"),
    ],
)
def test_a_head_that_never_ends_is_refused_at_its_cap(endless: bytes, cap: str) -> None:
    for step in (len(endless), 1000, 7):
        with pytest.raises(ProtocolError, match=cap):
            feed_all(HeadParser().feed, in_steps(endless, step))


def test_a_head_as_large_as_the_caps_allow_is_read() -> None:
    lines = b"".join(b"%s: %s\r\n" % (bytes([65 + i]), b"x" * 8000) for i in range(4))
    assert len(read(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n").fields) == 4
    assert len(lines) < MAX_HEAD


def test_control_characters_do_not_reach_whoever_logs_the_head() -> None:
    head = read(b"HTTP/1.1 200 O\x1bK\r\nServer: a\x00\x1b[31mb\x7f\r\n\r\n")
    assert (head.reason, head.get("server")) == ("O K", "a  [31mb")


@pytest.mark.parametrize("digits", ["-1", "+5", "5 5", "0x10", "", "٥", "1e3"])
def test_a_size_that_is_none_is_refused(digits: str) -> None:
    with pytest.raises(ProtocolError, match="no size"):
        size(digits, 1000)


@pytest.mark.parametrize("digits", ["1001", "9" * 8000])
def test_a_size_over_the_cap_is_refused(digits: str) -> None:
    with pytest.raises(ProtocolError, match="more than the 1000 bytes"):
        size(digits, 1000)


def test_sizes_up_to_the_cap_are_read() -> None:
    assert [size(digits, 1000) for digits in ("0", "1000", "0" * 5000 + "7")] == [0, 1000, 7]


def test_content_length_is_refused_where_two_differ_and_read_where_they_agree() -> None:
    def head(*sizes: int) -> Head:
        return read(b"HTTP/1.1 200 OK\r\n" + b"".join(b"Content-Length: %d\r\n" % n for n in sizes) + b"\r\n")

    assert head().content_length(100) is None
    assert head(80, 80).content_length(100) == 80
    with pytest.raises(ProtocolError, match="two sizes"):
        head(80, 81).content_length(100)
    with pytest.raises(ProtocolError, match="more than the 79"):
        head(80).content_length(79)


@given(st.binary(max_size=300))
def test_noise_is_read_or_refused_and_nothing_else(noise: bytes) -> None:
    for data in (noise, b"HTTP/1.1 200 OK\r\n" + noise):
        parser = HeadParser(empty_line_optional=True)
        try:
            for at in range(0, len(data), 3):
                if parser.feed(data[at : at + 3]) is not None:
                    break
            else:
                parser.finish()
        except ProtocolError:
            pass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.answer import StreamHead
from nvr.jvc.errors import ProtocolError
from nvr.jvc.parts import MAX_PART_HEAD
from nvr.jvc.stream import MAX_PART, EsBytes, StreamParser, request
from nvr.jvc.types import Position
from tests.jvc.cuts import feed_all, guide, in_two, pieces

HEAD = guide("answer-mpeg4.txt")
VOP = b"\x00\x00\x01\xb6"
REST = Position(0, 0, 0)


def part(data: bytes, position: Position | None = REST, delimiter: bytes = b"--foo") -> bytes:
    """One part as the guide prints it (2.1)."""
    lines = b"%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n" % (delimiter, len(data))
    if position is not None:
        lines += b"X-Puls-Pan: %d\r\nX-Puls-Tilt: %d\r\nX-Posi-Zoom: %d\r\n" % position
    return lines + b"\r\n" + data + b"\r\n"


def picture(number: int, size: int = 40) -> bytes:
    """Bytes that look like the framing round them, which must not matter."""
    return (VOP + b"%d " % number + b"\r\n--foo\r\n\r\n" * 4)[:size]


def body(*data: bytes) -> list[EsBytes]:
    """What a parser makes of these pieces behind the guide's own head."""
    parser = StreamParser()
    parser.feed(HEAD)
    events = [event for piece in data for event in parser.feed(piece) if isinstance(event, EsBytes)]
    assert parser.trouble is None
    return events


def trouble(*data: bytes) -> str:
    """The words with which a parser refuses these bytes behind the guide's own head."""
    parser = StreamParser()
    parser.feed(HEAD)
    with pytest.raises(ProtocolError) as refused:
        feed_all(parser.feed, [*data, b""])  # trouble behind a picture in the same bytes is raised at the next call
    return str(refused.value)


def test_the_request_is_the_guides() -> None:
    assert request("192.168.0.2", ptz=False) == (
        b"GET /api/video?encode=mpeg4&ptz_info=off HTTP/1.1\r\nHost: 192.168.0.2\r\n\r\n"
    )
    assert b"&ptz_info=on " in request("[fe80::1]:8080", ptz=True)


@pytest.mark.parametrize("host", ["", "a b", "a\r\nX: y", "kamera-tür", "a\x00"])
def test_a_host_that_would_break_the_request_is_our_own_mistake(host: str) -> None:
    with pytest.raises(ValueError, match="Host line"):
        request(host, ptz=True)


def test_the_guides_answer_and_part_are_read() -> None:
    vop = VOP + bytes(5910)
    head, first = StreamParser().feed(HEAD + guide("part-head.txt") + vop)
    assert isinstance(head, StreamHead)
    assert (head.status, head.reason, head.media_type) == (200, "OK", "video/mp4v-es")
    assert (head.server, head.parameters["framesize"]) == ("JVC VN-V685 Network Camera", "vga")
    assert first == EsBytes(vop, REST, True)


@pytest.mark.parametrize("delimiter", [b"-foo", b"--foo", b"----foo", b"--foo "])
@pytest.mark.parametrize("line_break", [b"\r\n", b"\n"])
@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n", b"\r\n\r\n\r\n"])
def test_every_printed_and_possible_framing_is_read(delimiter: bytes, line_break: bytes, between: bytes) -> None:
    pictures = [VOP + bytes([n]) * 30 for n in range(5)]
    stream = b"".join(
        between + part(data, delimiter=delimiter).removesuffix(data + b"\r\n").replace(b"\r\n", line_break) + data
        for data in pictures
    )
    assert body(stream) == [EsBytes(data, REST, True) for data in pictures]


def test_delimiters_with_different_numbers_of_dashes_name_the_same_boundary() -> None:
    stream = part(picture(1), delimiter=b"-foo") + part(picture(2), delimiter=b"--foo")
    assert [event.data for event in body(stream)] == [picture(1), picture(2)]


def test_part_headers_are_read_in_any_case_and_order_and_unknown_ones_are_skipped() -> None:
    head = b"-x\r\nX-POSI-ZOOM:9999\r\nX-Other: y\r\ncontent-length :  4 \r\n"
    head += b"x-puls-tilt: 19000\r\nX-Puls-PAN: 35999\r\n\r\n"
    assert body(head + VOP + head + VOP) == [EsBytes(VOP, Position(35999, 19000, 9999), True)] * 2


def test_a_camera_that_moves_is_followed_and_one_at_rest_repeats_one_object() -> None:
    path = [REST, REST, Position(1, 2, 3), Position(1, 2, 3), Position(35999, 19000, 9999), REST, None, None, REST]
    events = body(b"".join(part(picture(n), position) for n, position in enumerate(path)))
    assert [event.position for event in events] == path
    assert [event.data for event in events] == [picture(n) for n in range(len(path))]
    assert events[0].position is events[1].position
    assert events[2].position is events[3].position


@pytest.mark.parametrize(
    ("lines", "counted"),
    [
        (b"", 0),
        (b"X-Puls-Pan: 36000\r\nX-Puls-Tilt: 0\r\nX-Posi-Zoom: 0\r\n", 3),
        (b"X-Puls-Pan: 0\r\nX-Puls-Tilt: 19001\r\nX-Posi-Zoom: 0\r\n", 3),
        (b"X-Puls-Pan: 0\r\nX-Puls-Tilt: 0\r\nX-Posi-Zoom: 10000\r\n", 3),
        (b"X-Puls-Pan: -1\r\nX-Puls-Tilt: 0\r\nX-Posi-Zoom: 0\r\n", 3),
        (b"X-Puls-Pan: 0\r\nX-Puls-Tilt: \r\nX-Posi-Zoom: 0\r\n", 3),
        (b"X-Puls-Pan: %s\r\nX-Puls-Tilt: 0\r\nX-Posi-Zoom: 0\r\n" % (b"9" * 5000), 3),
        (b"X-Puls-Pan: 0\r\nX-Posi-Zoom: 0\r\n", 3),
    ],
)
def test_a_position_that_is_none_is_counted_and_the_picture_kept(lines: bytes, counted: int) -> None:
    parser = StreamParser()
    good = part(VOP)
    parts = (b"--foo\r\nContent-Length: 4\r\n" + lines + b"\r\n" + VOP) * 3
    events = parser.feed(HEAD + good + good + parts + good)[1:]
    assert events == [EsBytes(VOP, REST, True)] * 2 + [EsBytes(VOP, None, True)] * 3 + [EsBytes(VOP, REST, True)]
    assert parser.bad_positions == counted


def test_a_position_out_of_range_in_the_guides_own_layout_is_counted_too() -> None:
    parser = StreamParser()
    for position in (REST, Position(36000, 0, 0), Position(0, 19001, 0), REST):
        parser.feed((HEAD if parser.cut == "before an answer" else b"") + part(VOP, position))
    assert parser.bad_positions == 2


def test_a_bare_stream_is_passed_on_as_it_is_read() -> None:
    es = VOP + bytes(range(256))
    assert body(es[:100], es[100:]) == [EsBytes(es[:100], None, False), EsBytes(es[100:], None, False)]


def test_an_empty_part_is_no_event() -> None:
    stream = part(b"", None) + part(VOP, None) + part(b"", None) + part(VOP, None)
    assert body(stream) == [EsBytes(VOP, None, True)] * 2


def test_a_closing_delimiter_ends_the_stream_and_what_follows_is_ignored() -> None:
    for ending in (b"--foo--\r\n", b"--foo--", b"-foo-- \r\nbye", b"--foo--\r\n\r\n" + part(picture(2))):
        parser = StreamParser()
        assert len(parser.feed(HEAD + part(picture(1)) + ending)) == 2
        assert parser.ended
        assert parser.cut is None
        assert parser.feed(b"anything") == []


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"503 Service Unavailable", b"302"])
def test_another_status_is_reported_and_its_body_ignored(status: bytes) -> None:
    parser = StreamParser()
    (head,) = parser.feed(b"HTTP/1.1 %s\r\nContent-Type: text/html\r\n\r\n<html>" % status)
    assert isinstance(head, StreamHead)
    assert (head.status, head.media_type) == (int(status[:3]), "text/html")
    assert parser.feed(b"<body>") == []


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b"<html>", "begins as no video"),
        (b"\xff\xd8\xff\xe0", "begins as no video"),
        (b"\r\nfoo", "no delimiter"),
        (part(VOP) + b"garbage", "no delimiter"),
        (part(VOP) + b"\x00\x00\x01\xb6", "no delimiter"),
        (part(VOP) + b"--bar\r\n", "'--bar'"),
        (b"--\r\n", "a delimiter that is none"),
        (b"--" + b"x" * 71 + b"\r\n", "a delimiter that is none"),
        (b"--foo\r\nContent-Type: image/jpeg\r\n\r\n", "without Content-Length"),
        (b"--foo\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", "two sizes"),
        (b"--foo\r\nContent-Length: -4\r\n\r\n", "no size"),
        (b"--foo\r\nContent-Length: \r\n\r\n", "no size"),
        (b"--foo\r\nContent-Length: %d\r\n\r\n" % (MAX_PART + 1), "more than the 4194304"),
        (b"--foo\r\nContent-Length: " + b"9" * 4000 + b"\r\n\r\n", "more than the 4194304"),
        (part(VOP) * 3 + part(VOP).replace(b"Length: 4", b"Length: 9999999"), "more than the 4194304"),
        (part(VOP) * 3 + part(VOP).replace(b"Length: 4", b"Length: x"), "no size"),
        (b"--foo\r\nno header at all\r\n\r\n", "no header"),
        (b"--foo\r\nX: " + b"y" * MAX_PART_HEAD, "longer than 8192"),
        (b"--" + b"y" * MAX_PART_HEAD, "longer than 8192"),
    ],
)
def test_what_breaks_the_framing_is_refused_and_named(stream: bytes, words: str) -> None:
    assert words in trouble(stream)
    assert words in trouble(*(stream[at : at + 1] for at in range(len(stream))))


def test_pictures_before_trouble_in_the_same_bytes_are_given_out_first() -> None:
    parser = StreamParser()
    events = parser.feed(HEAD + part(picture(1)) + part(picture(2)) + b"garbage")
    assert [event.data for event in events if isinstance(event, EsBytes)] == [picture(1), picture(2)]
    assert "garbage" in str(parser.trouble)
    with pytest.raises(ProtocolError, match="garbage"):
        parser.feed(part(picture(3)))


def test_a_head_whose_body_is_refused_is_still_reported() -> None:
    parser = StreamParser()
    (head,) = parser.feed(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>")
    assert isinstance(head, StreamHead)
    assert parser.trouble is not None


def test_line_breaks_without_end_cost_no_memory() -> None:
    parser = StreamParser()
    parser.feed(HEAD)
    for _ in range(10):
        assert parser.feed(b"\r\n" * 100_000) == []
    assert parser.feed(b"\r" * 9000 + part(VOP)) == [EsBytes(VOP, REST, True)]


def test_a_part_of_the_largest_size_is_read_over_many_reads() -> None:
    data = VOP + bytes(MAX_PART - 4)
    stream = part(data) + part(VOP)
    events = body(*(stream[at : at + 65536] for at in range(0, len(stream), 65536)))
    assert events == [EsBytes(data, REST, True), EsBytes(VOP, REST, True)]


def test_the_place_of_a_cut_is_named() -> None:
    parser = StreamParser()
    told = [parser.cut]
    for piece in (HEAD[:20], HEAD[20:], b"--fo", b"o\r\nContent-Length: 8\r\n\r\n", VOP, VOP, b"\r\n", b"--foo\r\n"):
        parser.feed(piece)
        told.append(parser.cut)
    assert told == [
        "before an answer",
        "inside the answer's head",
        None,
        "inside the head of a part",
        "inside a part, 8 bytes before its end",
        "inside a part, 4 bytes before its end",
        None,
        None,
        "inside the head of a part",
    ]


_STORY = (
    HEAD
    + part(picture(1), delimiter=b"-foo")
    + part(picture(2))
    + part(picture(3))
    + part(picture(4), Position(12, 345, 6789))
    + part(picture(5), Position(36000, 0, 0))
    + part(picture(6), None)
    + b"--foo--\r\n"
)
_TOLD = [
    EsBytes(picture(1), REST, True),
    EsBytes(picture(2), REST, True),
    EsBytes(picture(3), REST, True),
    EsBytes(picture(4), Position(12, 345, 6789), True),
    EsBytes(picture(5), None, True),
    EsBytes(picture(6), None, True),
]


def tell(story: list[bytes]) -> list[EsBytes]:
    """What a parser makes of a whole answer, given as views of a buffer that is used again, as a link gives them."""
    parser = StreamParser()
    buffer = bytearray(max(map(len, story), default=0))
    told: list[EsBytes] = []
    for piece in story:
        buffer[: len(piece)] = piece
        told += [event for event in parser.feed(memoryview(buffer)[: len(piece)]) if isinstance(event, EsBytes)]
        buffer[:] = bytes(len(buffer))
    assert parser.ended
    assert parser.bad_positions == 1
    return told


def test_every_cut_of_the_bytes_tells_the_same_story() -> None:
    for story in in_two(_STORY):
        assert tell(story) == _TOLD


@given(pieces(_STORY))
def test_many_cuts_of_the_bytes_tell_the_same_story(story: list[bytes]) -> None:
    assert tell(story) == _TOLD


def test_every_cut_of_a_bare_stream_gives_back_its_bytes() -> None:
    es = VOP + bytes(range(50))
    for story in in_two(HEAD + es):
        parser = StreamParser()
        events = [event for piece in story for event in parser.feed(piece)]
        assert b"".join(event.data for event in events if isinstance(event, EsBytes)) == es


@given(st.data())
def test_damaged_bytes_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    damaged = bytearray(_STORY)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    parser = StreamParser()
    try:
        feed_all(parser.feed, data.draw(pieces(bytes(damaged))))
    except ProtocolError:
        assert parser.trouble is not None


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_noise_is_read_or_refused_and_nothing_else(noise: list[bytes]) -> None:
    for start in (b"", HEAD, HEAD + b"--foo\r\n", HEAD + part(VOP) + part(VOP)):
        parser = StreamParser()
        try:
            feed_all(parser.feed, [start, *noise])
        except ProtocolError:
            assert parser.trouble is not None

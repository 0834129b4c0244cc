import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.answer import StreamHead
from nvr.jvc.errors import ProtocolError
from nvr.jvc.jpeg import MAX_JPEG, ONE, RATES, Area, Color, JpegParser, Picture, PictureFacts, facts, request
from nvr.jvc.types import Position
from tests.jvc.cuts import feed_all, guide, in_two, pieces

HEAD = guide("answer-jpeg-form-a.txt")
RAW_HEAD = (
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 27616\r\nContent-Type: image/jpeg\r\n"
    b"x-vnv685_response: encode=jpeg&framerate=30&framesize=vga&boundary=off&ptz_info=off\r\n\r\n"
)
# Fact sheet 1.5: each item with its size, in order, and the values of its examples.
ITEMS = [
    (b"JVC V1.0", 9),
    (b"size = 123456", 18),
    (b"width = 640", 13),
    (b"height = 480", 14),
    (b"type = VN-V685U", 18),
    (b"reverse = 0", 12),
    (b"timestamp = 20071014130509123UTC", 70),
    (b"alarm = \x01\x00\xff=", 13),
    (b"camera = input01", 50),
    (b"motion = 1", 11),
    (b"md = 1", 7),
    (b"pan = 123.45", 13),
    (b"tilt = 123.45", 14),
    (b"zoom = 12.34", 13),
    (b"position = 99", 15),
    (b"stabilizer = 0", 15),
    (b"fan = 0", 8),
    (b"track_status = 0", 17),
    (b"track_area = 90,420-150,460", 30),
    (b"track_color = 10-20-30", 26),
]
COMMENT = b"".join(item.ljust(size, b"\0") for item, size in ITEMS)
TOLD = PictureFacts(
    version="JVC V1.0",
    size_bytes=123456,
    width=640,
    height=480,
    model="VN-V685U",
    timestamp="20071014130509123UTC",
    clock_us=1_192_367_109_123_000,
    alarm=b"\x01\x00\xff=",
    camera_id=b"input01",
    motion_detection=True,
    motion_seen=True,
    position=Position(12345, 12345, 1234),
    preset=99,
    stabilizer=False,
    fan_failed=False,
    tracking=0,
    track_area=Area(90, 420, 150, 460),
    track_color=Color(10, 20, 30),
)


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def jpeg(scan: bytes = b"coded\xff\x00\xff\xd0 \r\n--foo\r\n\xff\xd7\xff", comment: bytes = COMMENT) -> bytes:
    """A file as the camera lays it out (fact sheet 1.5), with an end and a begin of a file where they mean nothing."""
    reserved = b"\xff\xd9\r\n--foo\r\n\r\n\xff\xd8"
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + segment(0xFE, comment)
        + segment(0xFE, reserved)
        + segment(0xC4, bytes(20))
        + segment(0xDB, bytes(65))
        + segment(0xDD, b"\0\4")
        + segment(0xC0, bytes(15))
        + segment(0xDA, bytes(10))
        + scan
        + b"\xff\xd9"
    )


def part(file: bytes, position: str = "", delimiter: bytes = b"-foo", after: bytes = b"\r\n") -> bytes:
    """One part as the guide prints it (1.4)."""
    lines = b"%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n" % (delimiter, len(file))
    if position:
        lines += "X-Puls-Pan: {}\r\nX-Puls-Tilt: {}\r\nX-Posi-Zoom: {}\r\n".format(*position.split()).encode()
    return lines + b"\r\n" + file + after


FILES = [jpeg(), jpeg(b"\x00" * 50), jpeg(b"\xff\x00" * 30)]


def pictures(*data: bytes) -> list[Picture]:
    """What a parser makes of these pieces of one answer."""
    parser = JpegParser()
    found = [event for piece in data for event in parser.feed(piece) if isinstance(event, Picture)]
    assert parser.trouble is None
    return found


def trouble(*data: bytes) -> str:
    with pytest.raises(ProtocolError) as refused:
        feed_all(JpegParser().feed, [*data, b""])
    return str(refused.value)


def test_the_request_is_the_guides() -> None:
    assert request("192.168.0.2", "30") == (
        b"GET /api/video?encode=jpeg&framerate=30&boundary=on&ptz_info=off HTTP/1.1\r\nHost: 192.168.0.2\r\n\r\n"
    )
    assert b"framerate=0&boundary=off&ptz_info=on " in request("h", ONE, boundary=False, ptz=True)
    assert len(RATES) == 18
    with pytest.raises(ValueError, match="a JPEG rate is 0 for one picture or one of 30, 25"):
        request("h", "12")


def test_the_answer_says_what_the_camera_sends() -> None:
    (head,) = JpegParser().feed(HEAD)
    assert isinstance(head, StreamHead)
    assert head.parameters == {
        "encode": "jpeg", "framerate": "30", "framesize": "vga", "boundary": "on", "ptz_info": "off",
    }  # fmt: skip


@pytest.mark.parametrize("delimiter", [b"-foo", b"--foo", b"----foo"])
def test_parts_give_their_files_whatever_the_delimiter(delimiter: bytes) -> None:
    stream = HEAD + b"".join(part(file, delimiter=delimiter) for file in FILES)
    assert pictures(stream) == [Picture(file, None) for file in FILES]


def test_parts_say_where_the_camera_looked() -> None:
    stream = HEAD + part(FILES[0], "35999 19000 9999", after=b"") + part(FILES[1], "36000 0 0")
    assert [picture.position for picture in pictures(stream)] == [Position(35999, 19000, 9999), None]


def test_files_back_to_back_are_split_by_their_own_structure_at_every_cut() -> None:
    stream = RAW_HEAD + b"".join(FILES)
    for story in in_two(stream):
        assert [picture.data for picture in pictures(*story)] == FILES


def test_parts_are_read_at_every_cut() -> None:
    stream = HEAD + part(FILES[0], "1 2 3") + part(FILES[1], "1 2 3")
    for story in in_two(stream):
        assert pictures(*story) == [Picture(file, Position(1, 2, 3)) for file in FILES[:2]]


@given(st.data())
def test_any_cuts_give_the_same_pictures(data: st.DataObject) -> None:
    for stream in (HEAD + b"".join(map(part, FILES)), RAW_HEAD + b"".join(FILES)):
        assert [picture.data for picture in pictures(*data.draw(pieces(stream)))] == FILES


def test_a_part_without_a_size_ends_where_its_file_does() -> None:
    stream = HEAD + b"".join(b"--foo\r\nContent-Type: image/jpeg\r\n\r\n" + file + b"\r\n" for file in FILES)
    for story in in_two(stream[: len(HEAD) + len(FILES[0]) + 60]):
        assert [picture.data for picture in pictures(*story)] == FILES[:1]
    assert [picture.data for picture in pictures(stream)] == FILES


def test_the_first_byte_says_whether_parts_come_not_the_answer() -> None:
    assert [picture.data for picture in pictures(RAW_HEAD + part(FILES[0]))] == FILES[:1]
    assert [picture.data for picture in pictures(HEAD + FILES[0])] == FILES[:1]


def test_fill_bytes_before_markers_and_line_breaks_between_files_are_borne() -> None:
    filled = FILES[0].replace(b"\xff\xdb\x00\x43", b"\xff\xff\xff\xdb\x00\x43")[:-2] + b"\xff\xff\xd9"
    assert [picture.data for picture in pictures(RAW_HEAD + filled + b"\r\n" + FILES[1])] == [filled, FILES[1]]


def test_a_closing_delimiter_ends_the_stream() -> None:
    parser = JpegParser()
    parser.feed(HEAD + part(FILES[0]) + b"-foo--\r\nwhatever")
    assert parser.ended
    assert parser.cut is None


def test_a_part_that_holds_no_jpeg_is_counted_and_left_out() -> None:
    parser = JpegParser()
    events = parser.feed(HEAD + part(b"Please wait") + part(FILES[0]))
    assert [type(event) for event in events] == [StreamHead, Picture]
    assert parser.damaged == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (RAW_HEAD + b"<html>", "the body begins as no JPEG does"),
        (RAW_HEAD + FILES[0] + b"\xff\xd8\xff\xfe\x00\x01", "a JPEG segment of 1 bytes"),
        (RAW_HEAD + FILES[0] + b"\xff\xd7", "no JPEG where one should begin"),
        (RAW_HEAD + b"\xff\xd8\x00\x00", "no marker where a JPEG segment should begin"),
        (HEAD + b"-foo\r\nContent-Length: 99999999999\r\n\r\n", "is more than the 4194304 bytes taken"),
        (HEAD + b"-foo\r\nContent-Length: -5\r\n\r\n", "Content-Length '-5' is no size"),
        (HEAD + part(FILES[0]) + part(FILES[0], delimiter=b"--bar"), "in a stream of parts named"),
    ],
)
def test_what_breaks_the_rules_is_refused_in_one_sentence(data: bytes, words: str) -> None:
    assert words in trouble(data)


def test_a_file_that_never_ends_is_refused() -> None:
    begun = jpeg()[:-2]
    assert trouble(RAW_HEAD, begun, *[bytes(1 << 20)] * 5) == f"a JPEG of more than {MAX_JPEG} bytes"


@pytest.mark.parametrize(
    ("data", "cut"),
    [
        (b"", "before an answer"),
        (HEAD[:30], "inside the answer's head"),
        (HEAD, None),
        (HEAD + part(FILES[0])[:20], "inside the head of a part"),
        (HEAD + part(FILES[0])[:-3], "inside a picture, 1 bytes before its end"),
        (RAW_HEAD + FILES[0][:-1], "inside a picture"),
        (RAW_HEAD + FILES[0], None),
    ],
)
def test_it_is_known_what_an_end_would_cut(data: bytes, cut: str | None) -> None:
    parser = JpegParser()
    parser.feed(data)
    assert parser.cut == cut


def test_all_that_the_camera_says_in_a_file_is_read() -> None:
    assert len(COMMENT) == 386
    assert facts(jpeg()) == TOLD


@pytest.mark.parametrize("raw", [b"\0\0\0\0", b"md =", b"\xff\xd9\xff\xd8", b"= 0\0", b"aaaa", b"\0\0\0a"])
@pytest.mark.parametrize("more", [b"\0", b"x"])
def test_whatever_bytes_the_alarm_item_holds_nothing_else_is_misread(raw: bytes, more: bytes) -> None:
    comment = COMMENT.replace(b"alarm = \x01\x00\xff=\0", b"alarm = " + raw + more)
    assert facts(jpeg(comment=comment)).alarm == raw
    assert facts(jpeg(comment=comment)).camera_id == b"input01"
    assert facts(jpeg(comment=comment)).motion_seen is True


@pytest.mark.parametrize("end", [313, 330, 360, 386])
def test_a_comment_may_end_early(end: int) -> None:
    told = facts(jpeg(comment=COMMENT[:end]))
    assert (told.fan_failed, told.position) == (False, Position(12345, 12345, 1234))
    assert (told.tracking is None, told.track_area is None, told.track_color is None) == (
        end < 330,
        end < 360,
        end < 386,
    )


def test_items_are_found_by_name_whatever_their_order_and_company() -> None:
    other = b"JVC V2.1\0motion_size = 3\0md_bit = 00ff\0Tilt = 5\0ZOOM = 0.5\0Pan = 0.00\0tampering = 1\0md = 0\0"
    told = facts(jpeg(comment=other))
    assert told.position == Position(0, 500, 50)
    assert (told.version, told.motion_seen, told.motion_detection) == ("JVC V2.1", False, None)


def test_a_camera_id_that_looks_like_an_item_is_only_an_id() -> None:
    comment = COMMENT.replace(b"camera = input01".ljust(50, b"\0"), b"camera = x md = 0 pan = 1".ljust(50, b"\0"))
    told = facts(jpeg(comment=comment))
    assert (told.camera_id, told.motion_seen) == (b"x md = 0 pan = 1", True)


@given(st.binary(max_size=400))
def test_no_comment_and_no_file_is_ever_an_error(noise: bytes) -> None:
    facts(noise)
    facts(jpeg(comment=noise))
    facts(b"\xff\xd8" + noise)


@pytest.mark.parametrize(
    ("item", "bad"),
    [
        (b"pan = 123.45", b"pan = 360.00"),
        (b"tilt = 123.45", b"tilt = 190.01"),
        (b"zoom = 12.34", b"zoom = abcd"),
    ],
)
def test_a_position_out_of_range_is_none(item: bytes, bad: bytes) -> None:
    comment = COMMENT.replace(item.ljust(len(bad), b"\0"), bad)
    assert facts(jpeg(comment=comment)).position is None

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.alarm import AlarmFeed, AlarmReport, Pin, changes
from nvr.jvc.errors import ProtocolError
from tests.jvc.cuts import feed_all, guide, in_steps, in_two, pieces

BLOCK = guide("alarm-block.txt")
MAKE, BREAK, UNKNOWN = Pin.MAKE, Pin.BREAK, Pin.UNKNOWN
_WORDS = {"m": "make", "b": "break"}


def block(text: str) -> bytes:
    """`m b on` as the camera says it."""
    pin1, pin2, motion = text.split()
    return (
        f"peripheral.input_pin.pin(1).status={_WORDS.get(pin1, pin1)}\r\n"
        f"peripheral.input_pin.pin(2).status={_WORDS.get(pin2, pin2)}\r\n"
        f"video.input(1).detection(motion).status={motion}\r\n"
    ).encode()


def report(text: str) -> AlarmReport:
    (told,) = AlarmFeed().feed(block(text))
    return told


def happened(story: str) -> str:
    """`? | b b off | m b on` → what happened at each report, in the camera's words."""
    known: AlarmReport | None = None
    feed = AlarmFeed()
    told = []
    for text in story.split(" | "):
        (now,) = feed.feed(block(text))
        told.append("+".join(changes(known, now)) or "-")
        known = now
    return " ".join(told)


def test_the_guides_block_is_read() -> None:
    assert AlarmFeed().feed(BLOCK) == [AlarmReport(BREAK, BREAK, motion=True)]


_TALK = BLOCK + b"\r\n" + block("m b off").replace(b"\r\n", b"\n") + block("m m on").upper()
_TOLD = [AlarmReport(BREAK, BREAK, True), AlarmReport(MAKE, BREAK, False), AlarmReport(MAKE, MAKE, True)]


def test_every_cut_of_the_bytes_gives_the_same_reports() -> None:
    for parts in in_two(_TALK):
        feed = AlarmFeed()
        assert [told for part in parts for told in feed.feed(part)] == _TOLD


@given(pieces(_TALK))
def test_many_cuts_of_the_bytes_give_the_same_reports(parts: list[bytes]) -> None:
    feed = AlarmFeed()
    assert [told for part in parts for told in feed.feed(part)] == _TOLD


def test_empty_lines_and_lines_of_other_models_mean_nothing() -> None:
    feed = AlarmFeed()
    strange = b"\r\n\r\nperipheral.input_pin.pin(3).status=make\r\nvideo.input(2).detection(motion).status=on\r\n\n"
    assert feed.feed(strange + BLOCK + strange) == [AlarmReport(BREAK, BREAK, motion=True)]
    assert feed.unknown_lines == 4


def test_a_word_the_guide_does_not_have_leaves_an_input_as_it_was_known() -> None:
    feed = AlarmFeed()
    assert feed.feed(block("floating m off")) == [AlarmReport(UNKNOWN, MAKE, motion=False)]
    assert feed.feed(block("b floating maybe")) == [AlarmReport(BREAK, MAKE, motion=False)]
    assert feed.unknown_lines == 2


def test_what_the_connection_before_knew_is_known() -> None:
    feed = AlarmFeed(report("m b on"))
    assert feed.feed(b"video.input(1).detection(motion).status=off\r\n") == [AlarmReport(MAKE, BREAK, motion=False)]


def test_a_block_without_its_motion_line_ends_at_the_next_block_or_an_empty_line() -> None:
    pins = b"".join(block("m b on").splitlines(keepends=True)[:2])
    assert AlarmFeed().feed(pins + BLOCK) == [AlarmReport(MAKE, BREAK, False), AlarmReport(BREAK, BREAK, True)]
    assert AlarmFeed().feed(pins + b"\r\n") == [AlarmReport(MAKE, BREAK, False)]


def test_a_block_without_any_end_can_be_asked_for() -> None:
    feed = AlarmFeed()
    assert feed.settle() == []
    assert feed.feed(b"peripheral.input_pin.pin(2).status=make\r\nperiph") == []
    assert feed.is_inside_block
    assert feed.settle() == [AlarmReport(UNKNOWN, MAKE, motion=False)]
    assert not feed.is_inside_block
    assert feed.settle() == []


@pytest.mark.parametrize("step", [1, 100, 100_000])
def test_a_line_that_never_ends_is_refused(step: int) -> None:
    with pytest.raises(ProtocolError, match="more than 256 bytes"):
        feed_all(AlarmFeed().feed, in_steps(b"x" * 100_000, step))


@given(st.lists(st.binary(max_size=80) | st.sampled_from([BLOCK, BLOCK[:50], b"\r\n"]), max_size=8))
def test_noise_is_read_or_refused_and_nothing_else(noise: list[bytes]) -> None:
    try:
        feed_all(AlarmFeed().feed, noise)
    except ProtocolError:
        assert max(map(len, b"".join(noise).split(b"\n"))) > 256


@pytest.mark.parametrize(
    ("story", "told"),
    [
        ("b b off | m b off | m m off | b m off | b b off", "- m1 m2 b1 b2"),
        ("m m off", "-"),
        ("m m on", "v1"),
        ("b b off | m m on", "- m1+m2+v1"),
        ("b b on | b b on | b b off | b b off", "v1 v1 v0 -"),
        ("? ? off | m b off | b m off", "- - b1+m2"),
        ("m b off | ? b off | b b off", "- - b1"),
    ],
)
def test_what_happened_is_told_in_the_cameras_words(story: str, told: str) -> None:
    assert happened(story) == told


def test_an_input_that_changed_while_the_connection_was_down_has_changed() -> None:
    assert changes(report("b b off"), report("m b off")) == ["m1"]

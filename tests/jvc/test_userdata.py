import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.types import FrameInfo
from nvr.jvc.userdata import parse

_ITEMS = [
    (b"type = VN-V686U", 18),
    (b"Timestamp = 20070319161455123UTC", 70),
    (b"camera = Camera01", 50),
    (b"position = 0", 15),
    (b"fan = 0", 8),
    (b"track_status = 0", 17),
]
_FIXED = b"".join(text.ljust(size, b"\0") for text, size in _ITEMS)
_TOLD = FrameInfo(
    model="VN-V686U",
    timestamp="20070319161455123UTC",
    clock_us=1_174_320_895_123_000,
    camera_id=b"Camera01",
    preset=0,
    fan_failed=False,
    tracking=0,
)


@pytest.mark.parametrize(
    "user_data",
    [
        _FIXED,
        b"\0".join(text for text, _ in _ITEMS),
        b"\r\n".join(text for text, _ in _ITEMS),
        b"\n".join(text.replace(b" = ", b"=").upper().replace(b"CAMERA01", b"Camera01") for text, _ in _ITEMS),
        b"JVC V1.0\0" + _FIXED + b"later = 1\0",
        b"".join(text.ljust(size, b"\0") for text, size in reversed(_ITEMS)),
    ],
    ids=["fixed sizes", "NUL", "CRLF", "LF, other case, no spaces", "unknown items", "other order"],
)
def test_the_items_are_found_by_name_whatever_stands_between_them(user_data: bytes) -> None:
    assert parse(user_data) == _TOLD


def test_what_an_old_camera_does_not_say_is_none() -> None:
    before_v1_02 = parse(_FIXED[: -_ITEMS[-1][1]])
    assert before_v1_02.tracking is None
    assert before_v1_02.fan_failed is False
    assert parse(b"") == FrameInfo()


@pytest.mark.parametrize(
    ("stamp", "clock_us"),
    [
        (b"19700101000000001UTC", 1000),
        (b"19700101000001UTC", 1_000_000),
        (b"20240229120000000utc", 1_709_208_000_000_000),
        (b"20161231235960000UTC", 1_483_228_800_000_000),
        (b"20070319161455123JST", None),
        (b"20070319161455123", None),
        (b"20070230161455123UTC", None),
        (b"20070319241455123UTC", None),
        (b"20070319161455123UTC+1", None),
        (b"00000000000000000UTC", None),
        (b"NA", None),
    ],
)
def test_the_clock_is_read_only_where_its_zone_is_known_and_its_date_exists(stamp: bytes, clock_us: int | None) -> None:
    info = parse(b"Timestamp = " + stamp + b"\0")
    assert info.clock_us == clock_us
    assert info.timestamp == stamp.decode()


@pytest.mark.parametrize(
    ("value", "preset"), [(b"0", 0), (b"99", 99), (b"NA", None), (b"", None), (b"-1", None), (b"9" * 5000, None)]
)
def test_a_preset_is_a_number_or_none(value: bytes, preset: int | None) -> None:
    assert parse(b"position = " + value + b"\0").preset == preset


@pytest.mark.parametrize(("value", "failed"), [(b"0", False), (b"1", True), (b"2", None), (b"", None)])
def test_a_fan_has_failed_has_not_or_is_not_known(value: bytes, failed: bool | None) -> None:
    assert parse(b"fan = " + value + b"\0").fan_failed is failed


def test_a_name_in_shift_jis_stays_as_it_is() -> None:
    name = "正門".encode("shift_jis")
    assert parse(b"camera = " + name + b"\0fan = 1\0") == FrameInfo(camera_id=name, fan_failed=True)


def test_the_first_of_two_items_of_one_name_counts() -> None:
    assert parse(b"position = 4\0position = 5\0").preset == 4


def test_user_data_of_megabytes_is_not_read_through() -> None:
    assert parse(b"a" * (4 << 20)) == FrameInfo()
    assert parse(b"x = " * (1 << 20)) == FrameInfo()


@given(st.lists(st.sampled_from([b"type = ", b"Timestamp=", b"fan = ", b"\0", b"\r\n", b"20070319161455123UTC", b"="])))
def test_any_mixture_of_its_words_is_read(words: list[bytes]) -> None:
    parse(b"".join(words))


@given(st.binary(max_size=400))
def test_noise_is_never_an_error(noise: bytes) -> None:
    parse(noise)
    parse(b"Timestamp = " + noise)

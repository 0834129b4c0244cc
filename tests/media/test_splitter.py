"""A stream is cut into the same pictures however it arrives; what nobody could decode is counted, never passed on."""

from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvr.media.errors import MediaError, NotDecodable, UnitTooLarge
from nvr.media.frame import Unit
from nvr.media.splitter import MAX_UNIT, UnitSplitter

Encode = Callable[..., list[Unit]]

# Written by hand from ISO/IEC 14496-2.
USER1 = b"\0\0\1\xb2reserved"
GOV = bytes.fromhex("000001b3001047")  # 00:00:01
USER2 = b"\0\0\1\xb2type = VN-V686U\0\0\0\0"


def vol(width: int = 640, height: int = 480, resolution: int = 30) -> bytes:
    bits = f"{0:b}{1:08b}0{1:04b}0{0:02b}1{resolution:016b}10" + f"1{width:013b}1{height:013b}1" + "01"
    bits += "0"
    bits += "1" * (-len(bits) % 8)
    return b"\0\0\1\x20" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def picture(coding_type: int, increment: int, body: bytes = b"picture") -> bytes:
    """A VOP by the five-bit increment of resolution 30."""
    return (
        b"\0\0\1\xb6"
        + (coding_type << 14 | 1 << 12 | increment << 7 | 1 << 6 | 1 << 5 | 0b01111).to_bytes(2, "big")
        + body
    )


def key(increment: int = 0) -> bytes:
    return vol() + USER1 + GOV + USER2 + picture(0, increment)


def told(units: Iterable[Unit]) -> str:
    return " ".join(f"{'I' if unit.key else 'P'}{unit.increment}" for unit in units)


STREAM = key(0) + picture(1, 1) + picture(1, 2) + key(3) + picture(1, 4)
PARTS = [key(0), picture(1, 1), picture(1, 2), key(3), picture(1, 4)]


def fed(*parts: bytes, whole: bool = True) -> tuple[list[Unit], UnitSplitter]:
    splitter = UnitSplitter()
    return [unit for part in parts for unit in splitter.feed(part, None, whole)], splitter


def test_a_part_with_one_picture_is_a_unit() -> None:
    units, splitter = fed(*PARTS)
    assert told(units) == "I0 P1 P2 I3 P4"
    assert [unit.data for unit in units] == PARTS
    assert (splitter.skipped, splitter.damaged) == (0, 0)


def test_bare_bytes_end_a_unit_where_the_next_start_code_begins() -> None:
    units, splitter = fed(STREAM, whole=False)
    assert [unit.data for unit in units] == PARTS[:4]
    assert [unit.data for unit in splitter.feed(b"\0\0\1\xb1", None, False)] == PARTS[4:]


@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=40))
def test_any_cut_of_bare_bytes_gives_the_same_units(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    units, splitter = fed(*(STREAM[a:b] for a, b in pairwise(edges)), whole=False)
    assert [unit.data for unit in units] == PARTS[:4]
    assert told(units) == "I0 P1 P2 I3"
    assert (splitter.skipped, splitter.damaged) == (0, 0)
    assert all(unit.user_data == USER2[4:] and unit.gov_seconds == 1 for unit in units if unit.key)


@settings(max_examples=30)
@given(chunk=st.integers(1, 3000))
def test_an_encoders_stream_comes_out_byte_for_byte(encode: Encode, chunk: int) -> None:
    sent = encode(40, interval=12, width=160, height=128)
    stream = b"".join(unit.data for unit in sent)
    units, splitter = fed(*(stream[at : at + chunk] for at in range(0, len(stream), chunk)), b"\0\0\1\xb1", whole=False)
    assert [(unit.data, unit.key, unit.increment) for unit in units] == [
        (unit.data, unit.key, unit.increment) for unit in sent
    ]
    assert (splitter.skipped, splitter.damaged) == (0, 0)


@given(sizes=st.lists(st.integers(1, 3), min_size=5, max_size=5))
def test_headers_in_parts_of_their_own_belong_to_the_next_picture(sizes: list[int]) -> None:
    pieces = [vol(), USER1, GOV, USER2, picture(0, 0)]
    parts: list[bytes] = []
    for size in sizes:
        parts.append(b"".join(pieces[:size]))
        pieces = pieces[size:]
    units, _ = fed(*(part for part in parts if part), picture(1, 1))
    assert [unit.data for unit in units] == [key(0), picture(1, 1)]
    assert units[0].user_data == USER2[4:]


def test_several_pictures_in_one_part_are_several_units() -> None:
    units, _ = fed(key(0) + picture(1, 1) + picture(1, 2), picture(1, 3) + picture(1, 4), picture(1, 5) + key(6))
    assert told(units) == "I0 P1 P2 P3 P4 P5 I6"
    assert b"".join(unit.data for unit in units) == key(0) + b"".join(picture(1, n) for n in range(1, 6)) + key(6)


def test_headers_behind_a_picture_in_its_part_belong_to_the_next_one() -> None:
    units, _ = fed(key(0), picture(1, 1) + vol() + GOV, USER2 + picture(0, 2))
    assert [unit.data for unit in units] == [key(0), picture(1, 1), vol() + GOV + USER2 + picture(0, 2)]


@pytest.mark.parametrize("whole", [True, False])
def test_zeros_before_a_start_code_are_stuffing(whole: bool) -> None:
    parts = [b"\0\0\0" + vol() + b"\0\0\0" + GOV + USER2 + bytes(70) + picture(0, 0), b"\0\0\0" + picture(1, 1)]
    units, splitter = fed(*parts, b"\0\0\1\xb1", whole=whole)
    assert told(units) == "I0 P1"
    assert b"".join(unit.data for unit in units) == b"".join(parts)
    assert splitter.damaged == 0


def test_each_unit_carries_the_position_of_its_own_part() -> None:
    splitter = UnitSplitter()
    assert splitter.feed(vol() + GOV, (1, 1, 1), True) == []
    assert [unit.position for unit in splitter.feed(picture(0, 0), (2, 2, 2), True)] == [(2, 2, 2)]
    assert [unit.position for unit in splitter.feed(picture(1, 1), None, True)] == [None]


def test_pictures_before_the_first_layer_and_the_first_i_vop_are_skipped_and_counted() -> None:
    units, splitter = fed(picture(1, 1), picture(0, 2), picture(1, 3), vol() + picture(1, 4), picture(1, 5), key(6))
    assert told(units) == "I6"
    assert splitter.skipped == 5
    assert splitter.damaged == 0


def test_the_same_layer_again_is_the_same_object_whatever_stands_around_it() -> None:
    units, _ = fed(key(0), b"\0\0\1\xb0\3" + key(1), vol() + b"\0\0\0" + picture(0, 2), picture(1, 3))
    assert told(units) == "I0 I1 I2 P3"
    assert len({id(unit.vol) for unit in units}) == 1
    assert units[0].vol.header == vol()


def test_another_layer_is_another_object_and_cuts_off_the_pictures_before_it() -> None:
    units, splitter = fed(key(0), vol(320, 240) + picture(1, 1), picture(1, 2), vol(320, 240) + picture(0, 3))
    assert told(units) == "I0 I3"
    assert units[0].vol is not units[1].vol
    assert (units[1].vol.width, units[1].vol.height) == (320, 240)
    assert splitter.skipped == 2


def test_a_layer_keeps_the_headers_above_it() -> None:
    above = b"\0\0\1\xb0\3\0\0\1\xb5\x09\0\0\1\0"
    units, _ = fed(above + key(0))
    assert units[0].vol.header == above + vol()


@pytest.mark.parametrize("whole", [True, False])
def test_bytes_that_no_start_code_begins_are_damage_and_cost_the_pictures_up_to_the_next_i_vop(whole: bool) -> None:
    splitter = UnitSplitter()
    junk = b"\r\nHTTP/1.1 200 OK"
    parts = [junk, junk, picture(1, 1), key(2), picture(1, 3), b"\0\0\1\xb1"]
    units = [unit for part in parts for unit in splitter.feed(part, None, whole)]
    assert told(units) == "I2 P3"
    assert splitter.damaged == (2 if whole else 1)
    assert splitter.skipped == 1


def test_a_part_of_junk_after_good_pictures_costs_those_that_refer_to_it() -> None:
    units, splitter = fed(key(0), picture(1, 1), b"junk", picture(1, 3), picture(1, 4), key(5), picture(1, 6))
    assert told(units) == "I0 P1 I5 P6"
    assert (splitter.damaged, splitter.skipped) == (1, 2)


def test_junk_before_an_i_vop_costs_nothing_else() -> None:
    units, splitter = fed(key(0), b"\r\n" + key(1), picture(1, 2))
    assert [unit.data for unit in units] == [key(0), key(1), picture(1, 2)]
    assert splitter.damaged == 1


@pytest.mark.parametrize("coding_type", [2, 3])
def test_pictures_that_simple_profile_has_not_are_damage(coding_type: int) -> None:
    units, splitter = fed(key(0), picture(coding_type, 1), picture(1, 2), key(3))
    assert told(units) == "I0 I3"
    assert (splitter.damaged, splitter.skipped) == (1, 1)


def test_a_picture_without_its_markers_is_damage() -> None:
    units, splitter = fed(key(0), b"\0\0\1\xb6\x40\0\0", picture(1, 2), b"\0\0\1\xb6", key(3))
    assert told(units) == "I0 I3"
    assert (splitter.damaged, splitter.skipped) == (2, 1)


def test_an_increment_of_a_second_and_more_means_a_second_and_more() -> None:
    units, _ = fed(key(0), picture(1, 31))
    assert (units[1].modulo_seconds, units[1].increment) == (1, 1)


def test_user_data_is_that_after_the_group_and_none_before_it() -> None:
    units, _ = fed(
        vol() + USER1 + GOV + picture(0, 0), vol() + USER2 + picture(0, 1), vol() + picture(0, 2), key(3), picture(1, 4)
    )
    assert [unit.user_data for unit in units] == [None, USER2[4:], None, USER2[4:], None]
    assert [unit.gov_seconds for unit in units] == [1, None, None, 1, None]


@pytest.mark.parametrize("whole", [True, False])
def test_where_bytes_are_missing_nothing_counts_before_the_next_i_vop(whole: bool) -> None:
    splitter = UnitSplitter()
    units = splitter.feed(key(0), None, whole) + splitter.feed(picture(1, 1), None, whole)
    splitter.lose()
    for part in (picture(1, 3), key(4), picture(1, 5), picture(1, 6)):
        units += splitter.feed(part, None, whole)
    assert told(units) == ("I0 P1 I4 P5 P6" if whole else "I0 I4 P5")
    assert (splitter.skipped, splitter.damaged) == (1, 0)


def test_a_layer_that_cannot_be_recorded_ends_the_attempt() -> None:
    with pytest.raises(NotDecodable, match="8x480"):
        fed(vol(8, 480) + picture(0, 0))


def test_a_picture_without_end_ends_the_attempt_before_it_fills_the_memory() -> None:
    splitter = UnitSplitter()
    endless = (bytes(100) + b"x" * 59_900 for _ in range(MAX_UNIT // 60_000 + 2))
    with pytest.raises(UnitTooLarge):
        told(unit for data in (key(0), *endless) for unit in splitter.feed(data, None, False))
    assert len(splitter._buffer) < MAX_UNIT + 60_001


def test_a_part_larger_than_a_picture_may_be_ends_the_attempt() -> None:
    with pytest.raises(UnitTooLarge):
        fed(key(0), picture(1, 1, b"x" * MAX_UNIT))


def test_headers_without_end_end_the_attempt() -> None:
    with pytest.raises(NotDecodable, match="headers"):
        fed(USER1 * 1000, whole=False)


def test_zeros_and_junk_without_end_are_counted_and_forgotten() -> None:
    splitter = UnitSplitter()
    for data in (bytes(10_000), b"junk" * 5000):
        for _ in range(300):
            assert splitter.feed(data, None, False) == []
    assert splitter.damaged == 1
    assert len(splitter._buffer) < 20_100
    assert told(splitter.feed(key(0) + picture(1, 1), None, False)) == "I0"


@given(
    parts=st.lists(
        st.tuples(
            st.lists(
                st.sampled_from([*PARTS, vol(), GOV, USER1, b"\0\0\1", b"\0", b"\0\0\1\xb6", vol(320, 240)])
                | st.binary(max_size=20),
                max_size=4,
            ),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_noise_is_counted_or_refused_but_never_a_crash(parts: list[tuple[list[bytes], bool]]) -> None:
    splitter = UnitSplitter()
    rest = b"".join(piece for pieces, _ in parts for piece in pieces)
    for pieces, whole in parts:
        try:
            units = splitter.feed(b"".join(pieces), None, whole)
        except MediaError:
            return
        for unit in units:
            _, found, rest = rest.partition(unit.data)
            assert found, "a unit that was not sent, or not in this order"
            assert 0 <= unit.increment < unit.vol.resolution
    assert len(splitter._buffer) <= 5000


@given(lost=st.sets(st.integers(0, 29), max_size=8))
def test_whoever_gets_the_units_can_decode_them_whatever_was_lost(encode: Encode, lost: set[int]) -> None:
    sent = encode(30, interval=6)
    splitter = UnitSplitter()
    units: list[Unit] = []
    for number, unit in enumerate(sent):
        units += splitter.feed(b"junk" if number in lost else unit.data, None, True)
    intact = True
    expected = []
    for number, unit in enumerate(sent):
        intact = number not in lost and (intact or unit.key)
        if intact and any(sent[n].key and n not in lost and unit_has_layer(sent[n]) for n in range(number + 1)):
            expected.append(unit.data)
    assert [unit.data for unit in units] == expected
    assert splitter.damaged == len(lost)
    assert len(units) + splitter.damaged + splitter.skipped == len(sent)


def unit_has_layer(unit: Unit) -> bool:
    return b"\0\0\1\x20" in unit.data

"""Headers written bit by bit from ISO/IEC 14496-2, read back; and everything that is none, refused by name."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.media.errors import NotDecodable
from nvr.media.frame import Vol
from nvr.media.mpeg4 import coding, find_vol, increment_bits, leads_with_vol, parse_gov, parse_vol, parse_vop

VOS = bytes.fromhex("000001b003")
VISUAL_OBJECT = bytes.fromhex("000001b50900000100")
GOV = bytes.fromhex("000001b3001007")
VOP = b"\0\0\1\xb6"


class Bits:
    """Writes bits from the left, as the tables of the standard list them."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, width: int, value: int) -> "Bits":
        assert 0 <= value < 1 << width
        self.text += f"{value:0{width}b}"
        return self

    def bytes(self) -> bytes:
        """With the stuffing of next_start_code(): a 0 and ones up to the byte (5.2.4)."""
        padded = self.text + "0"
        padded += "1" * (-len(padded) % 8)
        return int(padded, 2).to_bytes(len(padded) // 8, "big")


@dataclass(frozen=True)
class Layer:
    """A VOL in the standard's words."""

    width: int = 640
    height: int = 480
    resolution: int = 30
    fixed_increment: int | None = None
    identifier: bool = False
    aspect: int = 1
    control: bool = False
    vbv: bool = False
    shape: int = 0
    marker_missing: int | None = None
    """Which of the markers, counted from 0, is written as 0."""

    def written(self, code: int = 0x20) -> bytes:
        bits = Bits().put(1, 0).put(8, 1).put(1, self.identifier)
        markers = 0

        def marker() -> None:
            nonlocal markers
            bits.put(1, markers != self.marker_missing)
            markers += 1

        if self.identifier:
            bits.put(4, 1).put(3, 1)
        bits.put(4, self.aspect)
        if self.aspect == 15:
            bits.put(8, 12).put(8, 11)
        bits.put(1, self.control)
        if self.control:
            bits.put(2, 1).put(1, 1).put(1, self.vbv)
            if self.vbv:
                bits.put(15, 7)
                marker()
                bits.put(15, 100)
                marker()
                bits.put(15, 3)
                marker()
                bits.put(3, 1).put(11, 5)
                marker()
                bits.put(15, 9)
                marker()
        bits.put(2, self.shape)
        marker()
        bits.put(16, self.resolution)
        marker()
        bits.put(1, self.fixed_increment is not None)
        if self.fixed_increment is not None:
            bits.put(max(1, (self.resolution - 1).bit_length()), self.fixed_increment)
        marker()
        bits.put(13, self.width)
        marker()
        bits.put(13, self.height)
        marker()
        bits.put(1, 0).put(1, 1)
        return b"\0\0\1" + bytes([code]) + bits.bytes()

    @property
    def markers(self) -> int:
        return 5 + (5 if self.control and self.vbv else 0)


def picture(coding_type: int, modulo: int, increment: int, width: int) -> bytes:
    bits = Bits().put(2, coding_type)
    for _ in range(modulo):
        bits.put(1, 1)
    return VOP + bits.put(1, 0).put(1, 1).put(width, increment).put(1, 1).put(1, 1).bytes()


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    resolution = draw(st.integers(1, 65535))
    return Layer(
        width=draw(st.integers(16, 2048)),
        height=draw(st.integers(16, 2048)),
        resolution=resolution,
        fixed_increment=draw(st.none() | st.integers(0, resolution - 1)),
        identifier=draw(st.booleans()),
        aspect=draw(st.sampled_from([1, 2, 15])),
        control=draw(st.booleans()),
        vbv=draw(st.booleans()),
    )


@given(layer=layers(), code=st.integers(0x20, 0x2F))
def test_a_layer_is_read_with_any_of_its_optional_fields(layer: Layer, code: int) -> None:
    header = layer.written(code)
    assert parse_vol(header) == Vol(header, layer.width, layer.height, layer.resolution, layer.fixed_increment or 0)


@given(layer=layers(), data=st.data())
def test_a_layer_with_a_missing_marker_is_refused(layer: Layer, data: st.DataObject) -> None:
    missing = data.draw(st.integers(0, layer.markers - 1))
    with pytest.raises(NotDecodable, match="marker"):
        parse_vol(replace(layer, marker_missing=missing).written())


@given(layer=layers())
def test_a_layer_cut_short_anywhere_is_refused(layer: Layer) -> None:
    header = layer.written()
    needed = len(header) - 1  # the last byte may be nothing but the two flags behind the height and stuffing
    for length in range(needed - 1):
        with pytest.raises(NotDecodable):
            parse_vol(header[:length])


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Layer(resolution=0), "resolution of 0"),
        (Layer(width=15), "15x480"),
        (Layer(width=2049), "2049x480"),
        (Layer(height=8), "640x8"),
        (Layer(height=8191), "640x8191"),
        (Layer(shape=1), "shape 1"),
        (Layer(shape=2), "shape 2"),
        (Layer(shape=3), "shape 3"),
    ],
)
def test_a_layer_nobody_should_allocate_for_is_refused(layer: Layer, said: str) -> None:
    with pytest.raises(NotDecodable, match=said):
        parse_vol(layer.written())


def test_a_layer_is_found_with_the_headers_above_it_and_told_apart_by_itself() -> None:
    header = VOS + VISUAL_OBJECT + Layer().written()
    found = find_vol(header + b"\0\0\1\xb2JVC" + GOV + picture(0, 0, 0, 5))
    assert found == Vol(header, 640, 480, 30, 0)
    bare = find_vol(Layer().written() + b"\0\0" + GOV)
    assert bare is not None
    assert bare.header != header
    assert coding(bare) == coding(found) == Layer().written()


def test_a_layer_behind_the_first_group_or_picture_does_not_lead() -> None:
    assert leads_with_vol(Layer().written() + GOV + VOP)
    assert not leads_with_vol(GOV + Layer().written() + VOP)
    assert not leads_with_vol(VOP + b"\x10" + Layer().written())
    assert not leads_with_vol(b"")
    assert not leads_with_vol(b"\0\0\1")
    assert find_vol(GOV + Layer().written()) is None


@given(
    coding_type=st.integers(0, 3),
    modulo=st.integers(0, 70) | st.integers(250, 1100) | st.integers(3590, 3600),
    resolution=st.integers(1, 65535),
    behind=st.binary(max_size=12),
    before=st.binary(max_size=5),
    data=st.data(),
)
def test_a_picture_says_its_kind_and_time(
    coding_type: int, modulo: int, resolution: int, behind: bytes, before: bytes, data: st.DataObject
) -> None:
    increment = data.draw(st.integers(0, resolution - 1))
    bits = increment_bits(resolution)
    made = before + picture(coding_type, modulo, increment, bits) + behind
    assert parse_vop(made, len(before), bits) == (coding_type, modulo, increment)


@pytest.mark.parametrize(("resolution", "bits"), [(1, 1), (2, 1), (3, 2), (30, 5), (32, 5), (33, 6), (65535, 16)])
def test_an_increment_has_just_the_bits_that_the_resolution_needs(resolution: int, bits: int) -> None:
    assert increment_bits(resolution) == bits


def test_a_picture_hours_after_the_one_before_is_damage() -> None:
    with pytest.raises(NotDecodable, match="3600 s"):
        parse_vop(picture(1, 3601, 0, 5), 0, 5)
    with pytest.raises(NotDecodable):
        parse_vop(VOP + b"\xff" * 5000, 0, 5)


def test_a_picture_without_its_markers_is_damage() -> None:
    with pytest.raises(NotDecodable, match="before"):
        parse_vop(VOP + bytes([0b01_0_0_0000, 0, 0]), 0, 5)
    with pytest.raises(NotDecodable, match="after"):
        parse_vop(VOP + bytes([0b01_0_1_0000, 0, 0]), 0, 5)


@given(noise=st.binary(max_size=40), bits=st.integers(1, 16))
def test_noise_is_a_picture_or_refused_but_never_a_crash(noise: bytes, bits: int) -> None:
    try:
        coding_type, modulo, increment = parse_vop(VOP + noise, 0, bits)
    except NotDecodable:
        return
    assert 0 <= coding_type <= 3
    assert modulo >= 0
    assert 0 <= increment < 1 << bits


@given(noise=st.binary(max_size=80))
def test_noise_is_a_layer_or_refused_but_never_a_crash(noise: bytes) -> None:
    try:
        vol = parse_vol(b"\0\0\1\x20" + noise)
    except NotDecodable:
        return
    assert 16 <= vol.width <= 2048
    assert 16 <= vol.height <= 2048
    assert vol.resolution >= 1


@given(seconds=st.integers(0, 86_399))
def test_a_group_says_its_second_of_the_day(seconds: int) -> None:
    hours, minutes = divmod(seconds // 60, 60)
    header = Bits().put(5, hours).put(6, minutes).put(1, 1).put(6, seconds % 60).put(1, 1).put(1, 0).bytes()
    assert parse_gov(b"\0\0\1\xb3" + header, 0) == seconds


@pytest.mark.parametrize(
    ("hours", "minutes", "marker", "seconds"), [(24, 0, 1, 0), (0, 60, 1, 0), (0, 0, 1, 60), (1, 1, 0, 1)]
)
def test_a_group_whose_time_is_none_says_nothing(hours: int, minutes: int, marker: int, seconds: int) -> None:
    header = Bits().put(5, hours).put(6, minutes).put(1, marker).put(6, seconds).put(2, 0).bytes()
    assert parse_gov(b"\0\0\1\xb3" + header, 0) is None


def test_a_group_cut_short_says_nothing() -> None:
    assert parse_gov(GOV[:6], 0) is None

"""The strip in the picture, the headers bit by bit, and the head that turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.media.mpeg4 import find_vol, increment_bits, parse_gov, parse_vop
from nvr.simulator.elementary import VOP_START, VopBody, gov, take_apart, user_data_2, vol
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.ptz import Mount
from nvr.simulator.scene import Scene, read_counter

_SCENE = Scene(320, 240, 1)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1))
def test_the_strip_says_what_was_drawn(counter: int, clock_ms: int) -> None:
    picture = _SCENE.luma((0, 500, 0), counter, clock_ms)
    assert read_counter(bytes(picture), 320, 240, 320) == (counter, clock_ms)


def test_a_picture_without_a_strip_says_nothing() -> None:
    for shade in (0, 16, 128, 235, 255):
        assert read_counter(bytes([shade]) * (320 * 240), 320, 240, 320) is None
    assert read_counter(b"", 320, 240, 320) is None
    picture = _SCENE.luma((0, 500, 0), 77, 1)
    picture[4 + 4 * 320] ^= 0xFF
    for at in (3, 4):
        for row in (3, 4):
            picture[at + row * 320] = 235
    assert read_counter(bytes(picture), 320, 240, 320) is None


def test_pan_tilt_and_zoom_each_change_the_picture() -> None:
    looks = [(0, 500, 0), (300, 500, 0), (0, 800, 0), (0, 500, 2_000)]
    below = 320 * 60  # under the strip
    pictures = {bytes(value & 0xF8 for value in _SCENE.luma(look, 1, 0)[below:]) for look in looks}
    assert len(pictures) == len(looks)


@given(
    st.integers(0, 1),
    st.integers(1, 400).flatmap(lambda bits: st.tuples(st.just(bits), st.integers(0, 2**bits - 1))),
    st.integers(1, 65_535).flatmap(lambda most: st.tuples(st.just(most), st.integers(0, most - 1))),
    st.integers(0, 300),
)
def test_a_vop_keeps_its_bits_under_any_time(
    kind: int, body: tuple[int, int], time: tuple[int, int], modulo: int
) -> None:
    bits, value = body
    resolution, increment = time
    vop = VopBody(kind, value, bits).timed(modulo, increment, increment_bits(resolution))
    assert vop.startswith(VOP_START)
    assert parse_vop(vop, 0, increment_bits(resolution)) == (kind, modulo, increment)
    again = take_apart(vop, resolution)
    assert again.coding_type == kind
    assert again.timed(0, 0, 1) == VopBody(kind, value, bits).timed(0, 0, 1)


@given(st.integers(16, 2048), st.integers(16, 2048), st.integers(1, 65_535), st.data())
def test_a_vol_says_size_and_resolution(width: int, height: int, resolution: int, data: st.DataObject) -> None:
    fixed = data.draw(st.integers(0, resolution - 1))
    read = find_vol(vol(width, height, resolution, fixed))
    assert read is not None
    assert (read.width, read.height, read.resolution, read.fixed_increment) == (width, height, resolution, fixed)


@given(st.integers(0, 10**10))
def test_a_gov_says_the_second_of_the_day(second: int) -> None:
    assert parse_gov(gov(second), 0) == second % 86_400


def test_the_guides_stamp_is_made() -> None:
    said = user_data_2("VN-V686U", 1_174_320_855_123_000, "Camera01", 0, fan=False, tracking=0)
    assert b"type = VN-V686U\x00" in said
    assert b"Timestamp = 20070319161415123UTC\x00" in said
    assert b"position = 0\x00" in said


def test_pan_goes_the_short_way_round_and_tilt_stops_at_its_ends() -> None:
    mount = Mount((35_900, 500, 0))
    mount.go("pan", 100, 0.0)
    assert mount.at(0.004)[0] in (35_996, 35_995, 35_997)
    assert mount.at(1.0)[0] == 100
    mount.turn("tilt", -1.0, 1.0)
    assert mount.at(60.0)[1] == 0
    assert not mount.is_moving("tilt", 60.0)
    mount.turn("pan", 0.5, 60.0)
    assert mount.is_moving("pan", 100.0)
    assert 0 <= mount.at(100.0)[0] <= 35_999


@given(st.integers(0, 35_999), st.integers(0, 35_999), st.floats(0, 10))
def test_a_move_stays_in_range_and_arrives(start: int, target: int, at_s: float) -> None:
    mount = Mount((start, 500, 0))
    mount.go("pan", target, 0.0)
    assert 0 <= mount.at(at_s)[0] <= 35_999
    assert mount.at(10.0)[0] == target
    assert not mount.is_moving("pan", 10.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "VN-H37"},
        {"camera_id": "x" * 41},
        {"position": (0, 19_001, 0)},
        {"user_data_1": b"\x00\x00\x01\xb6"},
    ],
)
def test_a_camera_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        CameraOptions(**wrong)  # type: ignore[arg-type]


def test_settings_no_stream_can_have_are_refused() -> None:
    for wrong in ({"frame_size": "xga"}, {"i_interval": 256}, {"bitrate_bps": 1}, {"resolution": 31}):
        with pytest.raises(ValueError, match=r"."):
            EncodeSettings(**wrong)

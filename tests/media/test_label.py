"""A sealed file says of itself what it is; damage and noise are never taken for a label."""

import random
import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvr.media.errors import LabelTooNew
from nvr.media.label import ClockSource, Kind, Label, pack, read, unpack
from nvr.media.positions import PositionTrack, unpack_positions

LABEL = Label(
    archive=UUID("c0ffee00-1234-4321-8888-0123456789ab"),
    camera="gate",
    run=1_790_000_000,
    seq=7,
    start_us=1_790_000_420_000_123,
    end_us=1_790_000_480_000_456,
    frames=1_800,
    duration_ticks=5_400_000,
    time_base=Fraction(1, 90_000),
    first_tick=37_800_000,
    zero_us=1_790_000_000_000_000,
    slope_ppb=-12_345,
    clock=ClockSource.STREAM,
    synchronised=True,
)

labels = st.builds(
    Label,
    archive=st.uuids(),
    camera=st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True),
    run=st.integers(0, 2**40),
    seq=st.integers(0, 2**32 - 1),
    start_us=st.integers(-(2**62), 2**62),
    end_us=st.integers(-(2**62), 2**62),
    frames=st.integers(0, 2**32 - 1),
    duration_ticks=st.integers(0, 2**60),
    time_base=st.builds(Fraction, st.integers(1, 1000), st.integers(1, 2**32 - 1)),
    first_tick=st.integers(0, 2**62),
    zero_us=st.integers(-(2**62), 2**62),
    slope_ppb=st.integers(-(10**9), 10**9),
    clock=st.sampled_from(ClockSource),
    synchronised=st.sampled_from([True, False, None]),
    kind=st.sampled_from(Kind),
    recovered=st.booleans(),
    model=st.none() | st.text(max_size=30),
    camera_id=st.none() | st.binary(max_size=40),
    clip=st.none() | st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8), max_size=5),
    positions=st.none() | st.binary(max_size=20_000),
)


@given(label=labels)
def test_a_label_comes_back_as_it_was(label: Label) -> None:
    box = pack(label)
    assert unpack(box) == label
    assert int.from_bytes(box[:4], "big") == len(box)
    assert box[4:8] == b"uuid"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(label=labels, before=st.integers(0, 10_000))
def test_a_label_is_found_at_the_end_of_its_file(label: Label, before: int, tmp_path: Path) -> None:
    path = tmp_path / "sealed.mp4"
    path.write_bytes(b"x" * before + pack(label))
    assert read(path) == label


def test_a_label_with_an_hour_of_motion_is_read_whole(tmp_path: Path) -> None:
    track = PositionTrack()
    chance = random.Random(1)
    positions = [(chance.randrange(36_000), chance.randrange(19_001), chance.randrange(10_000)) for _ in range(20_000)]
    for position in positions:
        track.add(position)
    path = tmp_path / "sealed.mp4"
    path.write_bytes(b"footage" + pack(replace(LABEL, positions=track.pack())))
    label = read(path)
    assert label is not None
    assert label.positions is not None
    assert len(label.positions) > 50_000
    assert unpack_positions(label.positions, 20_000) == positions


def test_a_file_without_a_label_has_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    for data in (b"", b"nvrlabel", b"\0\0\0\x10nvrlabel", b"x" * 100_000, b"\xff\xff\xff\xffnvrlabel"):
        path.write_bytes(data)
        assert read(path) is None


def test_a_label_cut_short_anywhere_is_none(tmp_path: Path) -> None:
    path = tmp_path / "torn.mp4"
    box = pack(replace(LABEL, model="VN-V686U", positions=b"\1" + bytes(50)))
    for length in range(len(box)):
        path.write_bytes(b"footage" + box[:length])
        assert read(path) is None


def test_a_label_with_any_bit_changed_is_none() -> None:
    box = pack(replace(LABEL, clip={"id": 1}))
    for at in range(len(box)):
        damaged = bytearray(box)
        damaged[at] ^= 0x10
        assert unpack(bytes(damaged)) is None


def test_a_label_of_a_newer_version_says_so() -> None:
    box = bytearray(pack(LABEL))
    box[29] = 9
    box[24:28] = zlib.crc32(box[28:-12]).to_bytes(4, "big")
    with pytest.raises(LabelTooNew, match="version 9"):
        unpack(bytes(box))


def test_sections_and_fields_of_a_later_nvr_are_passed_over() -> None:

    box = pack(replace(LABEL, model="VN-V686U"))
    fixed_length = struct.unpack_from(">H", box, 30)[0]
    payload = box[32:-12]
    longer = payload[:fixed_length] + b"newfield" + struct.pack(">4sI", b"new ", 3) + b"abc" + payload[fixed_length:]
    longer = struct.pack(">HH", 1, fixed_length + 8) + longer
    size = 28 + len(longer) + 12
    head = struct.pack(">I", size) + box[4:24] + struct.pack(">I", zlib.crc32(longer))
    assert unpack(head + longer + struct.pack(">I", size) + b"nvrlabel") == replace(LABEL, model="VN-V686U")


@given(noise=st.binary(max_size=300))
def test_noise_is_no_label(noise: bytes) -> None:
    assert unpack(noise) is None
    size = len(noise) + 24 + 12
    assert unpack(size.to_bytes(4, "big") + pack(LABEL)[4:24] + noise + size.to_bytes(4, "big") + b"nvrlabel") is None


def test_a_number_that_does_not_fit_is_refused_when_packing() -> None:
    with pytest.raises(ValueError, match="out of range"):
        pack(replace(LABEL, frames=2**32))


def test_a_label_maps_ticks_to_utc() -> None:
    label = replace(LABEL, zero_us=1_000_000, slope_ppb=1_000_000)
    assert label.utc_us(0) == 1_000_000
    assert label.utc_us(90_000) == 1_000_000 + 1_001_000

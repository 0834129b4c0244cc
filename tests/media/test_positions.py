"""Where the camera looked comes back for each frame, and costs little."""

import random
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.media.errors import NotDecodable
from nvr.media.positions import Fact, PositionTrack, Rest, pack_track, unpack_facts, unpack_positions, unpack_rests
from nvr.units import PanTiltZoom

places = st.tuples(st.integers(0, 35999), st.integers(0, 19000), st.integers(0, 9999))
ways = st.lists(st.tuples(st.none() | places, st.integers(1, 400)), max_size=30)


def track_of(positions: list[PanTiltZoom | None]) -> bytes:
    track = PositionTrack()
    for position in positions:
        track.add(position)
    return track.pack()


def walk(frames: int, step: int, seed: int = 1) -> list[PanTiltZoom | None]:
    """Every axis moves at random in every frame."""
    chance = random.Random(seed)
    pan, tilt, zoom = 18_000, 9_000, 5_000
    positions: list[PanTiltZoom | None] = []
    for _ in range(frames):
        pan = (pan + chance.randint(-step, step)) % 36_000
        tilt = min(19_000, max(0, tilt + chance.randint(-step, step)))
        zoom = min(9_999, max(0, zoom + chance.randint(-step, step)))
        positions.append((pan, tilt, zoom))
    return positions


@given(way=ways)
def test_every_frames_position_comes_back(way: list[tuple[PanTiltZoom | None, int]]) -> None:
    positions = [position for position, frames in way for _ in range(frames)]
    assert unpack_positions(track_of(positions), len(positions)) == positions


@given(way=ways)
def test_runs_of_one_position_are_one_rest(way: list[tuple[PanTiltZoom | None, int]]) -> None:
    positions = [position for position, frames in way for _ in range(frames)]
    rests = unpack_rests(track_of(positions))
    assert [rest.position for rest in rests for _ in range(rest.frames)] == positions
    assert all(one.position != other.position for one, other in pairwise(rests))


@given(changes=st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 99), st.none() | st.integers(0, 4))))
def test_preset_and_tracking_are_kept_where_they_change(changes: list[tuple[int, int | None, int | None]]) -> None:
    track = PositionTrack()
    now: tuple[int | None, int | None] = (None, None)
    expected = []
    for frames, preset, tracking in changes:
        track.note(preset, tracking)
        now = (preset, tracking)
        for _ in range(frames):
            track.add(None)
            expected.append(now)
    facts = unpack_facts(track.pack())
    said = []
    for number in range(len(expected)):
        before = [fact for fact in facts if fact.frame <= number]
        said.append((before[-1].preset, before[-1].tracking) if before else (None, None))
    assert said == expected
    assert len({fact.frame for fact in facts}) == len(facts)


def test_a_camera_at_rest_costs_bytes() -> None:
    assert len(track_of([(12_345, 500, 1_000)] * 1800)) < 20
    assert len(track_of([None] * 1800)) < 20


def test_a_camera_that_never_rests_costs_less_than_four_megabytes_a_day() -> None:
    pan = [((40 * n + n % 3) % 36_000, 5_000, 0) for n in range(1800)]
    assert len(track_of(list(pan))) * 1440 < 1_000_000
    assert len(track_of(walk(1800, 5))) * 1440 < 4_000_000


def test_more_can_be_added_after_packing() -> None:
    track = PositionTrack()
    track.add((1, 2, 3))
    assert unpack_positions(track.pack(), 1) == [(1, 2, 3)]
    track.add((1, 2, 3))
    track.add(None)
    assert unpack_positions(track.pack(), 3) == [(1, 2, 3), (1, 2, 3), None]


def test_a_track_of_another_number_of_frames_is_refused() -> None:
    with pytest.raises(NotDecodable, match="not of 3 frames"):
        unpack_positions(track_of([None] * 4), 3)


@given(noise=st.binary(max_size=60), way=ways, at=st.integers(0, 200), bits=st.integers(1, 255))
def test_noise_and_damage_are_refused_or_read_but_never_a_crash(
    noise: bytes, way: list[tuple[PanTiltZoom | None, int]], at: int, bits: int
) -> None:
    packed = bytearray(track_of([position for position, frames in way for _ in range(frames)]))
    packed[at % len(packed)] ^= bits
    for track in (noise, b"\1" + noise, b"\2" + noise, bytes(packed), bytes(packed[:at])):
        for question in (unpack_rests, unpack_facts):
            try:
                question(track)
            except NotDecodable:
                continue


def test_a_track_that_inflates_without_end_is_refused() -> None:
    bomb = pack_track([Rest(n % 2 + 1, (1, 1, 1)) for n in range(100)], [Fact(0, 1, 1)])
    assert unpack_rests(bomb)

    with pytest.raises(NotDecodable):
        unpack_rests(b"\2" + zlib.compress(bytes(40 << 20), 9))

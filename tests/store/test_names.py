"""Names of files and what a file says of itself: written and read as a pair."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.store.names import parse_segment_name, segment_path
from nvr.store.origin import Origin, parse_origin
from nvr.units import UtcMicros
from tests.store.house import ARCHIVE

_2026_11_23 = 1_795_442_602_123_456

moments = st.integers(0, 253_402_214_399_999_999)  # up to the last day of the year 9999
numbers = st.integers(0, 10**18)


def test_a_name_says_when_where_and_which() -> None:
    assert segment_path("front-door", _2026_11_23, 1_795_442_602, 3) == (
        "front-door/2026/11/23/20261123T140322.123Z-1795442602-3.mp4"
    )


@given(moments, numbers, numbers)
def test_a_name_reads_back_as_what_it_was_made_of(start_us: int, run: int, seq: int) -> None:
    path = segment_path("gate", start_us, run, seq)
    said = parse_segment_name(path.rpartition("/")[2])
    assert said is not None
    assert (said.start_us, said.run, said.seq) == (start_us // 1000 * 1000, run, seq)
    assert segment_path("gate", said.start_us, run, seq) == path


@given(st.text(max_size=60))
def test_no_other_text_is_a_name(text: str) -> None:
    said = parse_segment_name(text)
    assert said is None or segment_path("x", said.start_us, said.run, said.seq).endswith("/" + text)


@pytest.mark.parametrize(
    "name",
    [
        "20261123T140322.123Z-7-0.mp4.part",
        "20261323T140322.123Z-7-0.mp4",
        "20261123T250322.123Z-7-0.mp4",
        "20261123T140322.123Z-07-0.mp4",
        "20261123T140322.123Z--7-0.mp4",
        "20261123T140322.123Z-7-0.mp4\n",
        "19691231T235959.999Z-7-0.mp4",
        "２０２６1123T140322.123Z-7-0.mp4",
    ],
)
def test_what_only_looks_like_a_name_is_none(name: str) -> None:
    assert parse_segment_name(name) is None


@pytest.mark.parametrize("folder", ["", "Gate", "../etc", "a" * 33, "a/b", "gate\n"])
def test_a_folder_that_no_camera_can_have_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="cannot be a camera's folder"):
        segment_path(folder, _2026_11_23, 1, 1)


def test_a_moment_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no name for a segment"):
        segment_path("gate", -1, 1, 1)


origins = st.builds(
    Origin,
    archive=st.just(ARCHIVE),
    camera=st.text(max_size=20),
    run=numbers,
    seq=numbers,
    start_us=numbers.map(UtcMicros),
    first_tick=numbers,
    zero_us=st.none() | st.integers(-(10**18), 10**18),
    slope_ppb=st.integers(-(10**6), 10**6),
    clock=st.sampled_from(["stream", "arrival"]),
    synchronised=st.none() | st.booleans(),
    epoch=st.integers(0, 9),
    model=st.none() | st.text(max_size=20),
)


@given(origins)
def test_an_origin_reads_back_as_written(origin: Origin) -> None:
    assert parse_origin(origin.comment()) == origin


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    ).map(json.dumps)
)
def test_any_other_comment_is_no_origin(comment: str) -> None:
    assert parse_origin(comment) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("run", "7"), ("run", True), ("run", -1), ("seq", 1.5), ("start_us", 1 << 80), ("archive", "x"), ("camera", 3)],
)
def test_an_origin_with_a_value_of_the_wrong_kind_is_none(key: str, value: object) -> None:
    said = json.loads(Origin(ARCHIVE, "gate", 1, 2, 3).comment())
    assert parse_origin(json.dumps(said)) is not None
    assert parse_origin(json.dumps({**said, key: value})) is None


def test_a_comment_nested_without_end_is_no_origin() -> None:
    assert parse_origin("[" * 4000) is None
    assert parse_origin('{"a":' * 500 + "1" + "}" * 500) is None


def test_keys_of_a_newer_nvr_are_skipped() -> None:
    said = json.loads(Origin(ARCHIVE, "gate", 1, 2, 3).comment())
    assert parse_origin(json.dumps({**said, "weather": "fine"})) == Origin(ARCHIVE, "gate", 1, 2, 3)

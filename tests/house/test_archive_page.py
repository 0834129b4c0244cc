"""The archive's page is enough to read a file without nvr: its tables and its script are held against the writer."""

import json
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from nvr.media import label
from nvr.media.captions import compose, tell
from nvr.media.label import ClockSource, Kind, Label
from nvr.media.positions import PositionTrack
from nvr.record.clip_file import _facts
from nvr.store.names import clip_path, segment_path
from nvr.store.rows import Clip
from nvr.units import PanTiltZoom

HOME: Final = Path(__file__).parents[2]
PAGE: Final = (HOME / "docs/archive.md").read_text()
SCRIPT: Final = HOME / "docs/read_label.py"
_STRUCT: Final = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i64": "q", "uuid": "16s", "text": "4s"}

LOOKED: Final[list[PanTiltZoom | None]] = [None, (35999, 0, 9999), (35999, 0, 9999), (0, 19000, 0), None, (17, 480, 5)]
LABEL: Final = Label(
    archive=UUID("0b0f6a5e-4f4c-4a5c-9f0c-1f2e3d4c5b6a"),
    camera="gate",
    run=1_795_442_602,
    seq=7,
    start_us=1_795_442_602_123_456,
    end_us=1_795_442_662_123_456,
    frames=len(LOOKED),
    duration_ticks=5_400_000,
    time_base=Fraction(1, 90_000),
    first_tick=37_800_000,
    zero_us=1_795_442_182_123_456,
    slope_ppb=-1234,
    clock=ClockSource.STREAM,
    synchronised=None,
    model="VN-V686U",
    camera_id="Hof Süd".encode(),
)


def _track() -> bytes:
    track = PositionTrack()
    for at, position in enumerate(LOOKED):
        if at == 3:
            track.note(3, 0)
        track.add(position)
    return track.pack()


def _rows() -> list[tuple[int, int, str, str]]:
    """Offset, bytes, type and name of each field in the page's table."""
    found = re.findall(r"^\| (\d+) \| (\d+) \| (\w+) \| `(\w+)` \|", PAGE, re.MULTILINE)
    return [(int(at), int(length), kind, name) for at, length, kind, name in found]


def _by_the_table(box: bytes) -> dict[str, Any]:
    return {name: struct.unpack_from(">" + _STRUCT[kind], box, at)[0] for at, _, kind, name in _rows()}


def test_the_table_of_the_label_has_no_hole_and_no_overlap() -> None:
    at = 0
    for begin, length, kind, name in _rows():
        assert begin == at, name
        assert length == struct.calcsize(">" + _STRUCT[kind]), name
        at += length
    assert at == 124


@pytest.mark.parametrize(
    "written",
    [LABEL, replace(LABEL, synchronised=True, recovered=True, kind=Kind.CLIP, clock=ClockSource.ARRIVAL, model=None)],
)
def test_a_label_is_read_by_the_table(written: Label) -> None:
    box = label.pack(replace(written, positions=_track()))
    read = _by_the_table(box)
    for name in ("run", "seq", "start_us", "end_us", "frames", "duration_ticks", "first_tick", "zero_us", "slope_ppb"):
        assert read[name] == getattr(written, name), name
    assert Fraction(read["time_base_numerator"], read["time_base_denominator"]) == written.time_base
    assert (read["clock"], read["kind"], bool(read["recovered"])) == (written.clock, written.kind, written.recovered)
    assert read["synchronised"] == {None: 2, True: 1, False: 0}[written.synchronised]
    assert UUID(bytes=read["archive"]) == written.archive
    assert str(UUID(bytes=read["box_uuid"])) in PAGE
    assert read["box_size"] == len(box) == struct.unpack(">I", box[-12:-8])[0]
    assert read["box_type"] == b"uuid"
    assert read["crc32"] == zlib.crc32(box[28:-12])
    assert f"begins at 32: {read['fixed_bytes']}," in PAGE
    assert (read["version"], box[-8:]) == (1, b"nvrlabel")


def test_every_section_is_on_the_page_and_the_page_names_no_other() -> None:
    told = set(re.findall(r"^\| `(.{4})` \| (?!\d)", PAGE, re.MULTILINE))
    written = replace(LABEL, positions=_track(), clip={"id": 1})
    assert told == {name.decode() for name, _ in label._sections(written)}


def test_every_fact_of_a_clip_is_on_the_page() -> None:
    clip = Clip(*(None for _ in Clip.__dataclass_fields__))  # type: ignore[arg-type]  # only the names of facts are asked
    (told,) = re.findall(r"JSON with ([\w, ]+) \|", PAGE)
    assert set(told.split(", ")) == _facts(clip, 0).keys()


def _script(*words: object) -> subprocess.CompletedProcess[str]:
    # -I: nothing of this environment, as on a machine without nvr.
    return subprocess.run([sys.executable, "-I", SCRIPT, *map(str, words)], capture_output=True, text=True, check=False)


def test_the_script_reads_a_file_as_nvr_does(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(bytes(20_000) + label.pack(replace(LABEL, positions=_track(), clip={"id": 17, "rule": "door"})))
    read = json.loads(_script(path).stdout)
    assert read.pop("archive") == str(LABEL.archive)
    assert (read["came"], read["modl"], read["caid"]) == ("gate", "VN-V686U", "Hof Süd")
    assert read["clip"] == {"id": 17, "rule": "door"}
    assert (read["run"], read["start_us"], read["slope_ppb"]) == (LABEL.run, LABEL.start_us, LABEL.slope_ppb)
    lines = _script("--pictures", path).stdout.splitlines()
    assert lines[0] == "picture,pan_degrees,tilt_degrees,zoom"
    assert lines[1:] == [
        "0,,,",
        "1,359.99,-5.0,99.99",
        "2,359.99,-5.0,99.99",
        "3,0.0,185.0,0.0",
        "4,,,",
        "5,0.17,-0.2,0.05",
    ]


def test_the_script_says_where_there_is_no_whole_label(tmp_path: Path) -> None:
    whole = label.pack(LABEL)
    for name, data in (("none", b"nothing"), ("cut", whole[:-1]), ("damaged", whole[:60] + b"\xff" + whole[61:])):
        path = tmp_path / name
        path.write_bytes(data)
        done = _script(path)
        assert done.returncode == 1
        assert done.stderr.startswith(str(path))
        assert "Traceback" not in done.stderr


def test_the_words_of_the_text_track_are_those_on_the_page() -> None:
    assert compose((9215, 180, 1200), tell(3, 0), 1_795_442_602_123_456) in PAGE


def test_names_are_those_on_the_page() -> None:
    segment = segment_path("gate", LABEL.start_us, LABEL.run, LABEL.seq)
    assert re.fullmatch(r"gate/\d{4}/\d\d/\d\d/\d{8}T\d{6}\.\d{3}Z-1795442602-7\.mp4", segment)
    assert re.fullmatch(
        r"gate/clips/\d{4}/\d\d/\d{8}T\d{6}Z-door-17\.mp4", clip_path("gate", LABEL.start_us, "door", 17)
    )


def test_each_promise_of_the_store_is_on_the_page() -> None:
    store = (HOME / "nvr/store/README.md").read_text()
    promises = re.findall(r"^\| (P\d) \|", store, re.MULTILINE)
    assert promises == re.findall(r"^\| (P\d) \|", PAGE, re.MULTILINE)
    assert len(promises) == 6

"""`nvr footage where`, `moves` and `export --csv`: found by where the camera looked, in files as they are recorded."""

import csv
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from nvr.media.durable import Disk, DurableFile
from nvr.media.label import ClockSource, Label, pack
from nvr.media.mp4 import Mp4File
from nvr.media.positions import Fact, Rest, pack_track
from nvr.store.looks import looks_of
from nvr.store.names import segment_path
from nvr.store.rows import SegmentRow
from nvr.units import US
from tests.cli.conftest import FPS, NOON_US, Filling, Said, Site, pictures

Nvr = Callable[..., Said]
NOON = "2025-11-23T12:00"
TICKS = 90_000 // FPS
ARCHIVE = UUID("2f4a4d6e-1111-4222-8333-444455556666")

GATE = Rest(20, (9_000, 500, 0))
TURN = [Rest(1, (9_000 + 100 * step, 500 + 10 * step, 0)) for step in range(1, 11)]
YARD = Rest(20, (10_010, 700, 250))


def film(
    filling: Filling,
    run: int,
    seq: int,
    start_us: int,
    rests: list[Rest],
    facts: list[Fact] | None = None,
    *,
    model: str = "VN-V685U",
) -> Path:
    """A file of ten pictures a second, with its label and its looks in the index."""
    name = segment_path("gate", start_us, run, seq)
    path = filling.site.footage / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = sum(rest.frames for rest in rests)
    made = pictures(frames)
    file = DurableFile.create(path, Disk())
    mp4 = Mp4File(file, made[0].vol, Fraction(1, 90_000), {})
    for at, unit in enumerate(made):
        mp4.add(unit.data, at * TICKS, TICKS, unit.key)
    mp4.close()
    said = Label(
        archive=ARCHIVE,
        camera="gate",
        run=run,
        seq=seq,
        start_us=start_us,
        end_us=start_us + frames * US // FPS,
        frames=frames,
        duration_ticks=frames * TICKS,
        time_base=Fraction(1, 90_000),
        first_tick=0,
        zero_us=start_us,
        slope_ppb=0,
        clock=ClockSource.STREAM,
        synchronised=True,
        model=model,
        positions=pack_track(rests, facts or []),
    )
    file.append(pack(said))
    file.close()
    row = SegmentRow(
        *(filling.camera_id, run, seq, filling.volume_id, start_us, said.end_us, frames, path.stat().st_size),
        *(said.time_base, 0, said.duration_ticks),
    )
    filling.index.add_segment(row, looks_of(said, list(range(0, frames * TICKS, TICKS)))).result()
    return path


@pytest.fixture
def toured(site: Site) -> Site:
    """Two seconds on the gate (preset 3), one of movement, two on the yard; and again, with a gap between."""
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 10 * US)
        film(filling, run, 0, NOON_US, [GATE, *TURN, YARD], [Fact(0, 3, None), Fact(20, None, 1)])
        film(filling, run, 1, NOON_US + 5 * US, [YARD])
        film(filling, run, 2, NOON_US + 60 * US, [GATE], [Fact(0, 3, None)])
    return site


def where(nvr: Nvr, *words: object) -> Any:
    said = nvr("footage", "where", "--json", *words)
    assert said.code == 0, said.err
    return said.json


def spans(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Kind, and when after noon from and to, in seconds."""
    return [(one["kind"], one["start"][17:21], one["end"][17:21]) for one in found]


def test_what_is_answered_is_as_promised(nvr: Nvr, toured: Site) -> None:
    assert where(nvr, "--camera", "gate", "--to", f"{NOON}:30") == [
        {
            "camera": "gate",
            "start": "2025-11-23T12:00:00.000000Z",
            "end": "2025-11-23T12:00:02.000000Z",
            "kind": "rest",
            "pan_degrees": 90.0,
            "tilt_degrees": 0.0,
            "zoom": 0.0,
            "preset": 3,
        },
        {
            "camera": "gate",
            "start": "2025-11-23T12:00:02.000000Z",
            "end": "2025-11-23T12:00:03.000000Z",
            "kind": "sweep",
            "pan_degrees": [91.0, 100.0],
            "tilt_degrees": [0.0, 1.0],
            "zoom": [0.0, 0.0],
            "preset": None,
        },
        {
            "camera": "gate",
            "start": "2025-11-23T12:00:03.000000Z",
            "end": "2025-11-23T12:00:07.000000Z",
            "kind": "rest",
            "pan_degrees": 100.1,
            "tilt_degrees": 2.0,
            "zoom": 2.5,
            "preset": None,
        },
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--pan", "90"], [("rest", "00.0", "02.0"), ("rest", "00.0", "02.0")]),
        (["--pan", "89.5..90.5"], [("rest", "00.0", "02.0"), ("rest", "00.0", "02.0")]),
        (["--pan", "350..91"], [("rest", "00.0", "02.0"), ("sweep", "02.0", "03.0"), ("rest", "00.0", "02.0")]),
        (["--pan", "100.05..350"], [("rest", "03.0", "07.0")]),
        (["--pan", "0..360", "--zoom", "1..99"], [("rest", "03.0", "07.0")]),
        (["--tilt", "-5..-1"], []),
        (["--tilt", "1.5..185"], [("rest", "03.0", "07.0")]),
        (["--preset", "3"], [("rest", "00.0", "02.0"), ("rest", "00.0", "02.0")]),
        (["--preset", "4"], []),
        (["--preset", "3", "--from", f"{NOON}:01", "--to", f"{NOON}:30"], [("rest", "01.0", "02.0")]),
        (["--pan", "95", "--camera", "door"], []),
    ],
)
def test_it_is_found_by_ranges_preset_camera_and_time(
    nvr: Nvr, toured: Site, words: list[str], found: list[tuple[str, str, str]]
) -> None:
    with toured.index() as filling:
        filling.index.add_camera("door", NOON_US).result()
    assert spans(where(nvr, *words)) == found


def test_exact_cuts_a_sweep_to_its_pictures(nvr: Nvr, toured: Site) -> None:
    assert spans(where(nvr, "--pan", "95..97")) == [("sweep", "02.0", "03.0")]
    [found] = where(nvr, "--pan", "95..97", "--exact")
    assert spans([found]) == [("sweep", "02.4", "02.7")]
    assert found["pan_degrees"] == [95.0, 97.0]
    assert found["tilt_degrees"] == [0.5, 0.7]
    assert where(nvr, "--pan", "95.1..95.9") != []
    assert where(nvr, "--pan", "95.1..95.9", "--exact") == []


def test_where_a_label_cannot_be_asked_the_answer_is_as_rough_as_the_index_and_says_so(nvr: Nvr, toured: Site) -> None:
    first = min(toured.footage.rglob("*.mp4"))
    first.unlink()
    said = nvr("footage", "where", "--pan", "95..97", "--exact", "--json")
    assert said.code == 0
    assert spans(said.json) == [("sweep", "02.0", "03.0")]
    assert said.err == f"nvr: not exact: {first} cannot be read: no such file or directory\n"


def test_in_view_means_what_was_in_the_picture(nvr: Nvr, toured: Site) -> None:
    assert where(nvr, "--pan", "70") == []
    # 55.4 degrees wide: from the gate at 90 it reaches from 62.3 to 117.7.
    found = spans(where(nvr, "--pan", "70", "--in-view"))
    assert [kind for kind, _, _ in found] == ["rest", "sweep", "rest"]
    assert where(nvr, "--pan", "62", "--in-view") == []
    assert len(where(nvr, "--pan", "117", "--in-view")) == 4
    text = toured.config.read_text()
    toured.config.write_text(text.replace("[camera.gate]\n", "[camera.gate]\nfield_of_view = [[0, 10.0], [50, 1]]\n"))
    assert where(nvr, "--pan", "70", "--in-view") == []
    assert [kind for kind, _, _ in spans(where(nvr, "--pan", "86", "--in-view"))] == ["rest", "sweep", "rest"]


def test_without_a_table_the_lens_is_that_of_the_model(nvr: Nvr, site: Site) -> None:
    """At the end of the optical zoom x27 shows 2.23 degrees, x36 shows 1.67."""
    tele = [Rest(20, (9_000, 500, 9_089))]
    with site.index() as filling:
        run = filling.run(NOON_US)
        film(filling, run, 0, NOON_US, tele, model="VN-V686BU")
        assert where(nvr, "--pan", "91", "--in-view") == []
        assert len(where(nvr, "--pan", "90.8", "--in-view")) == 1
        film(filling, run, 1, NOON_US + 2 * US, tele, model="VN-V685U")
        assert len(where(nvr, "--pan", "91", "--in-view")) == 1


def test_pages_follow_each_other_and_say_that_there_is_more(nvr: Nvr, toured: Site) -> None:
    whole = where(nvr)
    assert len(whole) == 4
    said = nvr("footage", "where", "--json", "--limit", "3")
    assert said.json == whole[:3]
    assert said.err == "nvr: there is more: add --page 2, or a larger --limit\n"
    said = nvr("footage", "where", "--json", "--limit", "3", "--page", "2")
    assert (said.json, said.err) == (whole[3:], "")
    assert where(nvr, "--limit", "3", "--page", "3") == []
    assert nvr("footage", "where", "--page", "5").err == "nvr: there is no page 5\n"


def test_a_person_sees_lines(nvr: Nvr, toured: Site) -> None:
    said = nvr("footage", "where", "--to", f"{NOON}:03")
    assert [" ".join(line.split()) for line in said.out.splitlines()] == [
        "from to lasts camera pan tilt zoom preset",
        "2025-11-23 12:00:00+0000 2025-11-23 12:00:02+0000 2.0 s gate rest 90.00 0.00 0.00 3",
        "2025-11-23 12:00:02+0000 2025-11-23 12:00:03+0000 1.0 s gate sweep 91.00..100.00 0.00..1.00 0.00..0.00",
    ]
    said = nvr("footage", "where", "--pan", "200")
    assert (said.code, said.out, said.err) == (0, "", "nvr: no camera looked there then\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--pan", "left"], "--pan left is no range; write one figure or two, such as --pan 10..20.5"),
        (["--pan", "0..361"], "--pan 0..361 reaches beyond 0 to 360"),
        (["--tilt", "-6"], "--tilt -6 reaches beyond -5 to 185"),
        (["--tilt", "20..10"], "--tilt 20..10 goes backward; write the lower figure first"),
        (["--zoom", "0..100.01"], "--zoom 0..100.01 reaches beyond 0 to 100"),
        (["--in-view"], "--in-view needs --pan or --tilt: what should be in the picture"),
        (["--camera", "gaet"], "there is no camera 'gaet'; there are: door, gate"),
        (["--from", NOON, "--to", NOON], "--from 2025-11-23 12:00:00+0000 is not before --to 2025-11-23 12:00:00+0000"),
    ],
)
def test_a_wrong_question_is_one_sentence_and_exit_code_2(
    nvr: Nvr, toured: Site, words: list[str], sentence: str
) -> None:
    said = nvr("footage", "where", *words)
    assert (said.code, said.out, said.err) == (2, "", f"nvr: {sentence}\n")


# ---- moves


def test_moves_are_told_from_rest_to_rest(nvr: Nvr, toured: Site) -> None:
    said = nvr("footage", "moves", "--camera", "gate", "--json")
    assert said.json == [
        {
            "camera": "gate",
            "start": "2025-11-23T12:00:02.000000Z",
            "end": "2025-11-23T12:00:03.000000Z",
            "duration_seconds": 1.0,
            "from": {"pan_degrees": 90.0, "tilt_degrees": 0.0, "zoom": 0.0, "preset": 3},
            "to": {"pan_degrees": 100.1, "tilt_degrees": 2.0, "zoom": 2.5, "preset": None},
            "pan_degrees": [90.0, 100.1],
            "tilt_degrees": [0.0, 2.0],
            "zoom": [0.0, 2.5],
        }
    ]
    assert nvr("footage", "moves", "--camera", "gate", "--from", f"{NOON}:03", "--json").json == []
    said = nvr("footage", "moves", "--camera", "gate")
    assert " ".join(said.out.splitlines()[1].split()) == (
        "2025-11-23 12:00:02+0000 1.0 s 90.00/0.00/0.00 (preset 3) 100.10/2.00/2.50 90.00..100.10 0.00..2.00 0.00..2.50"
    )
    said = nvr("footage", "moves", "--camera", "gate", "--from", "2026-01-01")
    assert said.err == "nvr: it did not move then\n"


# ---- positions as CSV


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def export(nvr: Nvr, begin: str, end: str, *more: object) -> Said:
    return nvr("footage", "export", "--camera", "gate", "--from", begin, "--to", end, *more)


def test_every_picture_of_an_export_has_a_line_with_its_time_and_position(nvr: Nvr, toured: Site) -> None:
    out, lines = toured.folder / "clip.mp4", toured.folder / "clip.csv"
    said = export(nvr, f"{NOON}:00", f"{NOON}:30", "-o", out, "--csv", lines, "--json")
    assert said.code == 0, said.err
    film, listed = said.json
    assert listed == {"path": str(lines), "frames": film["frames"]}
    told = table(lines)
    assert len(told) == film["frames"] == 70
    places = [rest.position for rest in [GATE, *TURN, YARD, YARD] for _ in range(rest.frames)]
    assert [(row["pan_degrees"], row["tilt_degrees"], row["zoom"]) for row in told] == [
        (f"{pan / 100:.2f}", f"{(tilt - 500) / 100:.2f}", f"{zoom / 100:.2f}") for pan, tilt, zoom in places
    ]
    assert told[0]["time"] == "2025-11-23T12:00:00.000000Z"
    assert told[69]["time"] == "2025-11-23T12:00:06.900000Z"
    assert all(one["time"] < other["time"] for one, other in pairwise(told))
    assert [(row["preset"], row["tracking"]) for row in told] == [("3", "")] * 20 + [("", "1")] * 30 + [("", "")] * 20
    first, second, _ = sorted(toured.footage.rglob("*.mp4"))
    assert [(row["file"], row["picture"]) for row in told[48:52]] == [
        *((first.name, str(at)) for at in (48, 49)),
        *((second.name, str(at)) for at in (0, 1)),
    ]
    assert {row["camera"] for row in told} == {"gate"}


def test_the_table_alone_has_the_lines_it_has_beside_the_pictures(nvr: Nvr, toured: Site) -> None:
    out, beside, alone = (toured.folder / name for name in ("clip.mp4", "beside.csv", "alone.csv"))
    assert export(nvr, f"{NOON}:01.250", f"{NOON}:06", "-o", out, "--csv", beside).code == 0
    said = export(nvr, f"{NOON}:01.250", f"{NOON}:06", "--csv", alone)
    assert said.out == f"{alone}: where the camera looked at 50 pictures\n"
    assert alone.read_bytes() == beside.read_bytes()
    assert table(alone)[0]["time"] == "2025-11-23T12:00:01.000000Z"


def test_pictures_of_which_nothing_is_known_have_empty_positions(nvr: Nvr, site: Site) -> None:
    out = site.folder / "clip.csv"
    with site.index() as filling:
        filling.segment(filling.run(NOON_US), 0, NOON_US)
    assert export(nvr, NOON, f"{NOON}:30", "--csv", out).code == 0
    told = table(out)
    assert len(told) == 50
    assert {(row["pan_degrees"], row["preset"], row["tracking"]) for row in told} == {("", "", "")}
    assert told[49]["time"] == "2025-11-23T12:00:04.900000Z"


def test_a_table_that_is_there_stays_unless_it_may_be_replaced(nvr: Nvr, toured: Site) -> None:
    out, lines = toured.folder / "clip.mp4", toured.folder / "clip.csv"
    lines.write_text("precious")
    said = export(nvr, NOON, f"{NOON}:10", "-o", out, "--csv", lines)
    assert (said.code, said.err) == (2, f"nvr: {lines} exists; name another file, or add --force to replace it\n")
    assert lines.read_text() == "precious"
    assert not out.exists()
    assert export(nvr, NOON, f"{NOON}:10", "--csv", lines, "--force").code == 0
    assert len(table(lines)) == 70
    assert export(nvr, "2024-01-01", "2024-01-02", "--csv", toured.folder / "none.csv").code == 1
    assert sorted(path.name for path in toured.folder.iterdir()) == ["clip.csv", "config.toml", "data", "footage"]


def test_an_export_of_nothing_in_particular_is_wrong_use(nvr: Nvr, toured: Site) -> None:
    said = export(nvr, NOON, f"{NOON}:10")
    assert (said.code, said.err) == (
        2,
        "nvr: name what to write: -o FILE for the pictures, --csv FILE for where the camera looked\n",
    )
    same = toured.folder / "clip"
    said = export(nvr, NOON, f"{NOON}:10", "-o", same, "--csv", same)
    assert (said.code, said.err) == (2, f"nvr: {same} cannot be film and table at once; name two files\n")


PAGE = Path(__file__).parents[2] / "docs/python.md"


def test_the_example_for_programs_answers_as_its_page_says(toured: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for place, here in (("/var/lib/nvr/footage", toured.footage), ("/var/lib/nvr", toured.data_dir)):
        assert f'Path("{place}")' in example
        example = example.replace(f'Path("{place}")', f"Path({str(here)!r})")
    exec(compile(example, str(PAGE), "exec"), {})
    said = capsys.readouterr().out.splitlines()
    minute = 60 * US
    assert said[:3] == [
        f"gate rest {NOON_US} {NOON_US + 2 * US} 9000 3",
        f"gate sweep {NOON_US + 2 * US} {NOON_US + 3 * US} 9100 None",
        f"gate rest {NOON_US + minute} {NOON_US + minute + 2 * US} 9000 3",
    ]
    assert said[3] == "2 rests on preset 3, 2 spans with pan 120 in the picture"
    assert [line.split()[0] for line in said[4:]] == ["moved", "picture", "picture", "picture"]
    assert said[-1] == f"picture {NOON_US + 2 * US // FPS} (9000, 500, 0)"

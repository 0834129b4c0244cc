"""`nvr footage export`: one MP4, bit-exact, and never at another file's cost."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from nvr.clock import HostClock
from nvr.units import US
from tests.cli.conftest import NOON_US, Said, Site, pictures

Nvr = Callable[..., Said]
NOON = "2025-11-23T12:00"


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def units(frames: int, first: int = 0, last: int | None = None) -> list[bytes]:
    return [unit.data for unit in pictures(frames)[first:last]]


@pytest.fixture
def recorded(site: Site) -> Site:
    """Ten seconds in two segments, a gap of five, and five more."""
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 20 * US)
        filling.segment(run, 0, NOON_US)
        filling.segment(run, 1, NOON_US + 5 * US)
        filling.segment(run, 2, NOON_US + 15 * US)
    return site


def export(nvr: Nvr, out: Path, begin: str, end: str, *more: str) -> Said:
    return nvr("footage", "export", "--camera", "gate", "--from", begin, "--to", end, "-o", out, *more)


def test_a_window_is_cut_outward_at_key_pictures_and_holds_the_very_bytes(nvr: Nvr, recorded: Site) -> None:
    out = recorded.folder / "clip.mp4"
    said = export(nvr, out, f"{NOON}:03.450", f"{NOON}:07.000", "--json")
    assert said.code == 0, said.err
    assert packets(out) == units(50, 30) + units(50, 0, 20)
    assert said.json == [
        {
            "path": str(out),
            "start": "2025-11-23T12:00:03.000000Z",
            "end": "2025-11-23T12:00:07.000000Z",
            "duration_seconds": 4.0,
            "frames": 40,
            "size_bytes": out.stat().st_size,
            "gap_seconds": 0.0,
        }
    ]
    assert [path.name for path in recorded.folder.iterdir() if "export" in path.name] == []


def test_a_gap_in_it_is_told(nvr: Nvr, recorded: Site) -> None:
    out = recorded.folder / "clip.mp4"
    said = export(nvr, out, NOON, f"{NOON}:30")
    assert said.code == 0
    assert packets(out) == units(50) * 3
    assert said.out.startswith(f"{out}: 2025-11-23 12:00:00+0000 to 2025-11-23 12:00:20+0000, 150 pictures, ")
    assert said.out.endswith("in which a still picture stands for 5.0 s of gaps\n")


def test_what_is_being_written_now_is_exported_as_far_as_it_is_on_disk(nvr: Nvr, site: Site) -> None:
    out = site.folder / "clip.mp4"
    began_us = HostClock().utc_us() - 10 * US
    with site.index() as filling, site.daemon() as daemon:
        run = filling.run(began_us)
        filling.segment(run, 0, began_us)
        path = filling.segment(run, 1, began_us + 5 * US, entered=False)
        entry = {"run": run, "seq": 1, "start_us": began_us + 5 * US, "end_us": began_us + 10 * US, "frames": 50}
        daemon.live_is = {"gate": [{**entry, "path": str(path)}]}
        assert export(nvr, out, "-1m", "now").code == 0
        on_disk = len(packets(out)) - 50
        assert 0 < on_disk <= 50
        assert packets(out) == units(50) + units(50, 0, on_disk)
        # The next one began a moment ago and is not on disk: nothing is left out.
        begun = {"run": run, "seq": 2, "start_us": began_us + 10 * US, "end_us": began_us + 10 * US, "frames": 0}
        begun["path"] = str(path.with_name("begun.mp4.part"))
        daemon.live_is = {"gate": [{**entry, "path": str(path)}, begun]}
        assert "left out" not in export(nvr, out, "-1m", "now", "--force").err
        daemon.live_is = {"gate": [{**entry, "path": str(path)}]}
        # It was sealed since the daemon was asked, and entered: it comes once.
        path.rename(path.with_suffix(""))
        assert export(nvr, out, "-1m", "now", "--force").code == 0
        assert len(packets(out)) == 50 + on_disk
        daemon.live_is = {"gate": [{**entry, "seq": 0, "start_us": began_us, "path": str(path)}]}
        assert export(nvr, out, "-1m", "now", "--force").code == 0
        assert packets(out) == units(50)


def test_a_picture_of_another_size_makes_a_second_file(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 10 * US)
        filling.segment(run, 0, NOON_US)
        filling.segment(run, 1, NOON_US + 5 * US, width=96, height=64)
    out = site.folder / "clip.mp4"
    said = export(nvr, out, NOON, f"{NOON}:10")
    assert said.code == 0
    assert said.err == "nvr: the camera's picture changed, so there are 2 files\n"
    assert packets(out) == units(50)
    assert packets(site.folder / "clip-2.mp4") == [unit.data for unit in pictures(50, 96, 64)]


def test_a_file_that_is_there_stays_unless_it_may_be_replaced(nvr: Nvr, recorded: Site) -> None:
    out = recorded.folder / "clip.mp4"
    out.write_text("precious")
    said = export(nvr, out, NOON, f"{NOON}:10")
    assert said.code == 2
    assert said.err == f"nvr: {out} exists; name another file, or add --force to replace it\n"
    assert out.read_text() == "precious"
    assert export(nvr, out, NOON, f"{NOON}:10", "--force").code == 0
    assert packets(out) == units(50) * 2


def test_nothing_recorded_there_names_the_nearest_footage_and_leaves_no_file(nvr: Nvr, recorded: Site) -> None:
    out = recorded.folder / "clip.mp4"
    said = export(nvr, out, f"{NOON}:11", f"{NOON}:14.9")
    assert said.code == 1
    assert said.err == (
        "nvr: nothing of 'gate' is recorded from 2025-11-23 12:00:11+0000 to 2025-11-23 12:00:14+0000; "
        "the nearest footage is from 2025-11-23 12:00:15+0000 to 2025-11-23 12:00:20+0000\n"
    )
    said = export(nvr, out, "2024-01-01", "2024-01-02")
    assert "the nearest footage is from 2025-11-23 12:00:00+0000" in said.err
    assert sorted(path.name for path in recorded.folder.iterdir()) == ["config.toml", "data", "footage"]


def test_never_recorded_at_all_is_said(nvr: Nvr, site: Site) -> None:
    with site.index():
        pass
    said = export(nvr, site.folder / "clip.mp4", NOON, f"{NOON}:10")
    assert said.code == 1
    assert said.err.endswith(", nor at any other time\n")


def test_a_file_of_the_window_that_is_gone_or_broken_is_left_out_and_said(nvr: Nvr, recorded: Site) -> None:
    first, second, _ = sorted(recorded.footage.rglob("*.mp4"))
    first.unlink()
    second.write_bytes(b"\0" * 1000)
    out = recorded.folder / "clip.mp4"
    said = export(nvr, out, NOON, f"{NOON}:30")
    assert said.code == 0
    assert [line.split(" ")[:3] for line in said.err.splitlines()] == [
        ["nvr:", "left", "out:"],
        ["nvr:", "left", "out:"],
    ]
    assert str(first) in said.err.splitlines()[0]
    assert packets(out) == units(50)


@pytest.mark.parametrize(("place", "sentence"), [("nowhere/clip.mp4", "there is no folder"), (".", "is a folder")])
def test_a_place_where_no_file_can_be_is_wrong_use(nvr: Nvr, recorded: Site, place: str, sentence: str) -> None:
    said = export(nvr, recorded.folder / place, NOON, f"{NOON}:10")
    assert said.code == 2
    assert sentence in said.err

"""A clip as evidence: whole, and checked by somebody who has never heard of nvr."""

import csv
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from nvr.store.rows import CameraClockRow, CloseClip, OpenClip
from nvr.units import US
from tests.cli.conftest import NOON_US, Said, Site

Nvr = Callable[..., Said]


@pytest.fixture
def recorded(site: Site) -> Site:
    """A clip of three to twelve seconds after noon, with two seconds missing in it."""
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 12 * US)
        filling.segment(run, 0, NOON_US, labelled=True)
        filling.gap("camera-stalled", NOON_US + 5 * US, NOON_US + 7 * US)
        filling.segment(run, 1, NOON_US + 7 * US, labelled=True)
        filling.index.note_firmware(filling.camera_id, NOON_US, "net V1-00, sys V1-00").result()
        filling.index.note_firmware(filling.camera_id, NOON_US + 60 * US, "net V3-00, sys V3-00").result()
        filling.index.add_camera_clock(filling.camera_id, CameraClockRow(NOON_US, -2_500_000, None)).result()
        steps = [
            OpenClip(1, "door", "m1", NOON_US + 4 * US, NOON_US + 3 * US, 0, NOON_US + 10 * US, None),
            CloseClip(1, NOON_US + 12 * US, "done"),
        ]
        filling.index.put_clip_steps(filling.camera_id, steps).result()
    return site


def unpacked(archive: Path) -> Path:
    folder = archive.with_suffix("")
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None
        bundle.extractall(folder)
    return folder


def test_a_stranger_can_check_the_evidence_with_sha256sum(recorded: Site, nvr: Nvr, tmp_path: Path) -> None:
    out = tmp_path / "evidence.zip"
    said = nvr("clips", "export", 1, "--evidence", "-o", out)
    assert said.code == 0, said.err
    assert str(out) in said.out
    folder = unpacked(out)
    assert sorted(path.name for path in folder.iterdir()) == [
        "SHA256SUMS",
        "gate-clip-1.mp4",
        "manifest.json",
        "positions.csv",
    ]
    if shutil.which("sha256sum"):
        check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
        done = subprocess.run(check, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        with (folder / "gate-clip-1.mp4").open("ab") as film:
            film.write(b"!")
        assert subprocess.run(check, cwd=folder, capture_output=True, timeout=60, check=False).returncode == 1


def test_the_manifest_tells_what_is_known_and_what_is_missing(recorded: Site, nvr: Nvr, tmp_path: Path) -> None:
    out = tmp_path / "evidence.zip"
    assert nvr("clips", "export", 1, "--evidence", "-o", out, "--json").json["files"][0] == "gate-clip-1.mp4"
    folder = unpacked(out)
    told = json.loads((folder / "manifest.json").read_text())
    assert told["made_by"].startswith("nvr ")
    assert (told["camera"]["name"], told["camera"]["model"]) == ("gate", "VN-V685U")
    assert told["camera"]["firmware"] == "net V3-00, sys V3-00"  # what is known now, not what was so at noon
    assert told["clip"]["alarm_at"] == "2025-11-23T12:00:04.000000Z"
    assert told["gaps"] == [
        {
            "start": "2025-11-23T12:00:05.000000Z",
            "end": "2025-11-23T12:00:07.000000Z",
            "kind": "gap",
            "reason": "camera-stalled",
        }
    ]
    assert told["clock"]["machine_clock_synchronised"] is True
    assert told["clock"]["camera_clock_less_machine_clock_seconds"] == -2.5
    assert [source["seq"] for source in told["made_from"]] == [0, 1]
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert told["files"][0]["sha256"] == sums["gate-clip-1.mp4"]
    with av.open(folder / "gate-clip-1.mp4") as film:
        frames = sum(packet.size > 0 for packet in film.demux(video=0))
    rows = list(csv.DictReader((folder / "positions.csv").read_text().splitlines()))
    assert len(rows) == frames == told["files"][0]["frames"]


def test_evidence_replaces_nothing_unasked_and_leaves_nothing_behind(recorded: Site, nvr: Nvr, tmp_path: Path) -> None:
    out = tmp_path / "evidence.zip"
    out.write_text("mine")
    said = nvr("clips", "export", 1, "--evidence", "-o", out)
    assert said.code == 2
    assert out.read_text() == "mine"
    assert nvr("clips", "export", 1, "--evidence", "-o", out, "--force").code == 0
    assert not list(tmp_path.glob(".nvr-export-*"))

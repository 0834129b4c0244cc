"""`nvr clips`: what a guard is told of clips, what may be handed over, and what is kept for good."""

import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from nvr.clock import HostClock
from nvr.media import boxes, label
from nvr.media.durable import Disk
from nvr.metrics import VolumeCounts
from nvr.record.exporter import Exporter
from nvr.record.shelf import Place, Shelf, Shelves
from nvr.record.syncing import SyncPlan
from nvr.store import lock, schema
from nvr.store.archive import Archive
from nvr.store.index import Index
from nvr.store.reader import Reader
from nvr.store.rows import AlarmRow, ClipStep, CloseClip, OpenClip
from nvr.store.volumes import Volume, VolumeThread
from nvr.units import US
from tests.cli.conftest import NOON_US, Said, Site, pictures

Nvr = Callable[..., Said]
LATER = NOON_US + 3600 * US


def opened(clip: int, start_us: int | None, rule: str = "door", continues: int | None = None) -> OpenClip:
    return OpenClip(clip, rule, "m1", NOON_US + 2 * US, start_us, 0 if start_us else US, NOON_US + 9 * US, continues)


def put(site: Site, *steps: ClipStep, camera: str = "gate") -> None:
    with site.index() as filling:
        camera_id = filling.index.add_camera(camera, NOON_US).result()
        filling.index.put_clip_steps(camera_id, steps).result()


@pytest.fixture
def recorded(site: Site) -> Site:
    """Ten seconds in two segments and a gap; one clip over the seam, one open, one of which nothing was recorded."""
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 10 * US)
        filling.segment(run, 0, NOON_US)
        filling.segment(run, 1, NOON_US + 5 * US)
        filling.gap("camera-unreachable", NOON_US + 10 * US, LATER)
    put(site, opened(1, NOON_US + 3 * US), CloseClip(1, NOON_US + 7 * US, "too-long"))
    put(site, opened(2, NOON_US + 7 * US, continues=1), opened(3, None, "other"))
    put(site, CloseClip(3, NOON_US + 3 * US, "no-footage"))
    return site


def exported(site: Site) -> Path:
    """As the daemon does it: the closed clips become files."""
    index_path, clock = site.data_dir / schema.INDEX_NAME, HostClock()
    index, reader = Index(index_path), Reader(index_path)
    archive = Archive(Disk(), reader.archive() or "")
    known = {volume.name: volume.uuid for volume in reader.volumes()}
    identity = f'{{"volume": "{known["main"]}", "archive": "{archive.archive_id}", "name": "main"}}'
    (site.footage / ".nvr-volume").write_text(identity)
    shelf = Shelf(
        Place("main", site.footage, 0),
        archive,
        VolumeThread("main", clock),
        SyncPlan(2 * US),
        VolumeCounts(),
        clock,
        known_uuid=known["main"],
        enter=lambda name, uuid: index.add_volume(name, uuid).result(),
        recover=lambda _: None,
        observe_sync=lambda _: None,
        observe_seal=lambda _: None,
    )
    shelf.look()
    assert isinstance(shelf.volume, Volume)
    exporter = Exporter(index, reader, Shelves([shelf]), clock)
    try:
        deadline = time.monotonic() + 10
        while reader.clips_to_export():
            assert time.monotonic() < deadline, "the clips were not made into files"
            exporter.look({})
            time.sleep(0.01)
    finally:
        assert exporter.stop(10)
        shelf.thread.stop(5)
        shelf.volume.release()
        reader.close()
        assert index.close(10)
    found, *_ = sorted((site.footage / "gate" / "clips").rglob("*.mp4"))
    return found


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(video=0) if packet.size]


def units(frames: int, first: int = 0, last: int | None = None) -> list[bytes]:
    return [unit.data for unit in pictures(frames)[first:last]]


# ---- list and show


def test_clips_are_listed_as_the_contract_says(nvr: Nvr, recorded: Site) -> None:
    path = exported(recorded)
    said = nvr("clips", "list", "--json")
    assert said.code == 0, said.err
    first = {
        "id": 1,
        "camera": "gate",
        "rule": "door",
        "trigger": "m1",
        "alarm_at": "2025-11-23T12:00:02.000000Z",
        "alarm_since": None,
        "unconnected": False,
        "note": None,
        "start": "2025-11-23T12:00:03.000000Z",
        "end": "2025-11-23T12:00:07.000000Z",
        "state": "closed",
        "locked": False,
        "path": str(path),
        "gap_seconds": 0.0,
        "pre_shortfall_seconds": 0.0,
        "continues": None,
    }
    assert said.json[0] == first
    second, third = said.json[1:]
    assert (second["state"], second["end"], second["path"], second["continues"]) == ("open", None, None, 1)
    assert (third["start"], third["pre_shortfall_seconds"], third["path"]) == (None, 1.0, None)
    assert [list(clip) for clip in said.json] == [list(first)] * 3
    assert nvr("clips", "show", 1, "--json").json == {**first, "snapshot": None}


def test_the_list_for_people_says_what_is_the_matter_with_each(nvr: Nvr, recorded: Site) -> None:
    path = exported(recorded)
    lines = nvr("clips", "list").out.splitlines()
    assert lines[0].split() == ["clip", "alarm", "camera", "rule", "because", "lasts", "remarks", "file"]
    assert " ".join(lines[1].split()) == f"1 2025-11-23 12:00:02+0000 gate door input 1 made 4.0 s {path}"
    assert "being recorded, goes on from 1" in lines[2]
    assert lines[2].endswith("(not a file yet)")
    assert "nothing recorded" in lines[3]
    assert lines[3].endswith("(no footage)")


def test_a_clip_says_what_was_said_with_its_alarm_and_that_nobody_listened(nvr: Nvr, recorded: Site) -> None:
    alarms = [
        AlarmRow(1, "yard", "m2(10)b1", "input-1", NOON_US + 60 * US, unconnected=True, since_us=NOON_US + 40 * US),
        AlarmRow(1, "manual", "manual", "manual", NOON_US + 70 * US, note="noise at the gate"),
    ]
    with recorded.index() as filling:
        for number, alarm in enumerate(alarms, 4):
            clip = OpenClip(number, alarm.rule, alarm.trigger, alarm.at_us, None, 0, alarm.at_us + US, None)
            filling.index.add_alarm(alarm, [clip]).result()
    found, manual = nvr("clips", "list", "--json").json[3:]
    assert (found["unconnected"], found["alarm_since"]) == (True, "2025-11-23T12:00:40.000000Z")
    assert (manual["unconnected"], manual["note"]) == (False, "noise at the gate")
    listed = nvr("clips", "list").out.splitlines()
    assert "input 1 broke at most 10 s after input 2 made" in listed[4]
    assert "found after the alarm link was down" in listed[4]
    assert "somebody asked for it" in listed[5]
    assert '"noise at the gate"' in listed[5]
    told = nvr("clips", "show", 4).out
    assert "between 2025-11-23 12:00:40+0000 and 2025-11-23 12:01:00+0000, while the alarm link was down" in told
    assert "note     noise at the gate" in nvr("clips", "show", 5).out


def test_clips_are_chosen_by_camera_rule_and_time(nvr: Nvr, recorded: Site) -> None:
    put(recorded, opened(4, NOON_US + 100 * US), camera="door")

    def ids(*words: str) -> list[int]:
        return [clip["id"] for clip in nvr("clips", "list", "--json", *words).json]

    assert ids() == [1, 2, 3, 4]
    assert ids("--camera", "gate") == [1, 2, 3]
    assert ids("--rule", "other") == [3]
    assert ids("--to", "2025-11-23T12:00:04") == [1, 3]
    assert ids("--from", "2025-11-23T12:00:08") == [2, 4]
    assert ids("--camera", "door", "--rule", "door") == [4]
    said = nvr("clips", "list", "--rule", "nobody")
    assert (said.code, said.err) == (0, "nvr: no clips there\n")
    assert nvr("clips", "list", "--camera", "nowhere").code == 2


def test_one_clip_is_told_in_sentences(nvr: Nvr, recorded: Site) -> None:
    path = exported(recorded)
    said = nvr("clips", "show", 1).out.splitlines()
    assert said[:3] == [
        "clip 1: camera gate, rule door, because input 1 made",
        "alarm    2025-11-23 12:00:02+0000",
        "footage  2025-11-23 12:00:03+0000 to 2025-11-23 12:00:07+0000 (4.0 s)",
    ]
    assert said[3] == "end      ended at its longest time; another goes on from it"
    assert said[4].startswith(f"file     {path}, ")
    assert said[5] == "kept     until it is old enough to be deleted"
    assert "being recorded until 2025-11-23 12:00:09+0000" in nvr("clips", "show", 2).out
    assert "nothing of it was recorded" in nvr("clips", "show", 3).out
    said_of_none = nvr("clips", "show", 99)
    assert (said_of_none.code, said_of_none.out) == (2, "")
    assert said_of_none.err == "nvr: there is no clip 99; nvr clips list says which there are\n"


def test_a_gap_in_a_clip_is_told_before_and_after_it_is_a_file(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 15 * US)
        filling.segment(run, 0, NOON_US)
        filling.gap("camera-stalled", NOON_US + 5 * US, NOON_US + 10 * US)
        filling.segment(run, 1, NOON_US + 10 * US)
    put(site, opened(1, NOON_US + 3 * US), CloseClip(1, NOON_US + 12 * US, "done"))
    assert nvr("clips", "show", 1, "--json").json["gap_seconds"] == 5.0
    exported(site)
    assert nvr("clips", "show", 1, "--json").json["gap_seconds"] == 5.0
    assert "gaps     5.0 s of it were not recorded" in nvr("clips", "show", 1).out
    assert "gaps 5.0 s" in nvr("clips", "list").out


# ---- export


def test_a_clip_with_a_file_is_handed_over_as_it_is(nvr: Nvr, recorded: Site) -> None:
    path, out = exported(recorded), recorded.folder / "out.mp4"
    said = nvr("clips", "export", 1, "-o", out, "--json")
    assert said.code == 0, said.err
    assert out.read_bytes() == path.read_bytes()
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
    told = label.read(out)
    assert told is not None
    assert told.clip is not None
    again = nvr("clips", "export", 1, "-o", out)
    assert (again.code, again.err) == (2, f"nvr: {out} exists; name another file, or add --force to replace it\n")
    assert nvr("clips", "export", 1, "-o", out, "--force").code == 0


def test_a_clip_without_a_file_yet_is_cut_from_its_segments(nvr: Nvr, recorded: Site) -> None:
    out = recorded.folder / "out.mp4"
    assert nvr("clips", "export", 1, "-o", out).out.startswith(f"{out}: 2025-11-23 12:00:03+0000 to ")
    assert packets(out) == units(50, 30) + units(50, 0, 20)


def test_a_clip_still_being_recorded_is_handed_over_as_far_as_it_is_on_disk(nvr: Nvr, site: Site) -> None:
    out, began_us = site.folder / "out.mp4", HostClock().utc_us() - 10 * US
    with site.index() as filling, site.daemon() as daemon:
        run = filling.run(began_us)
        filling.segment(run, 0, began_us)
        path = filling.segment(run, 1, began_us + 5 * US, entered=False)
        step = OpenClip(1, "door", "m1", began_us, began_us + 3 * US, 0, None, None)
        filling.index.put_clip_steps(filling.camera_id, [step]).result()
        live = {"run": run, "seq": 1, "start_us": began_us + 5 * US, "end_us": began_us + 10 * US, "frames": 50}
        daemon.live_is = {"gate": [{**live, "path": str(path)}]}
        said = nvr("clips", "export", 1, "-o", out)
        assert said.code == 0, said.err
        assert "clip 1 is still being recorded" in said.err
        on_disk = len(boxes.samples(out)) - 20
        assert 0 < on_disk <= 50
        assert packets(out) == units(50, 30) + units(50, 0, on_disk)


def test_of_a_clip_without_footage_there_is_nothing_to_hand_over(nvr: Nvr, recorded: Site) -> None:
    said = nvr("clips", "export", 3, "-o", recorded.folder / "out.mp4")
    assert (said.code, said.err) == (1, "nvr: nothing of clip 3 is recorded\n")
    assert not (recorded.folder / "out.mp4").exists()


def test_a_file_that_somebody_took_away_is_made_good_from_the_segments_while_there_are_any(
    nvr: Nvr, recorded: Site
) -> None:
    path, out = exported(recorded), recorded.folder / "out.mp4"
    path.unlink()
    said = nvr("clips", "export", 1, "-o", out)
    assert said.code == 0
    assert f"the clip's own file {path} is not there" in said.err
    assert packets(out) == units(50, 30) + units(50, 0, 20)


# ---- lock


def test_without_a_daemon_a_lock_is_put_and_taken_away_here(nvr: Nvr, recorded: Site) -> None:
    path = exported(recorded)
    lock_file = Path(f"{path}.lock")
    for _ in range(2):
        said = nvr("clips", "lock", 1, 2)
        assert (said.code, said.out) == (0, "clip 1 is locked\nclip 2 is locked\n"), said.err
        assert lock_file.is_file()
    assert [clip["locked"] for clip in nvr("clips", "list", "--json").json] == [True, True, False]
    assert "locked: it is never deleted" in nvr("clips", "show", 1).out
    said = nvr("clips", "unlock", 1, "--json")
    assert (said.json[0]["id"], said.json[0]["locked"]) == (1, False)
    assert not lock_file.exists()


def test_beside_a_daemon_it_is_asked_to_lock(nvr: Nvr, recorded: Site) -> None:
    with recorded.daemon() as daemon:
        daemon.clips = {1: False, 2: False}
        said = nvr("clips", "lock", 1)
        assert (said.code, said.out) == (0, "clip 1 is locked\n"), said.err
        assert daemon.clips == {1: True, 2: False}
        assert nvr("clips", "unlock", 1).code == 0
        assert daemon.clips == {1: False, 2: False}
        del daemon.clips[2]
        said = nvr("clips", "lock", 2)
        assert (said.code, said.err) == (2, "nvr: the daemon says: there is no clip 2\n")


def test_a_wrong_number_locks_none_of_those_named_with_it(nvr: Nvr, recorded: Site) -> None:
    said = nvr("clips", "lock", 1, 99)
    assert (said.code, said.err) == (2, "nvr: there is no clip 99; nvr clips list says which there are\n")
    assert [clip["locked"] for clip in nvr("clips", "list", "--json").json] == [False, False, False]


def test_while_another_process_holds_the_data_directory_nothing_is_locked(nvr: Nvr, recorded: Site) -> None:
    held = lock.hold(recorded.data_dir)
    try:
        said = nvr("clips", "lock", 1)
    finally:
        held.release()
    assert said.code == 1
    assert "another nvr" in said.err


def test_no_lock_is_taken_away_while_the_clips_volume_is_away(nvr: Nvr, recorded: Site) -> None:
    exported(recorded)
    assert nvr("clips", "lock", 1).code == 0
    away = recorded.footage.rename(recorded.folder / "away")
    said = nvr("clips", "unlock", 1)
    assert (said.code, said.err) == (
        1,
        "nvr: volume 'main', on which the clip's file lies, is not there; mount it\n",
    )
    away.rename(recorded.footage)
    assert nvr("clips", "show", 1, "--json").json["locked"] is True

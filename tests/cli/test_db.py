"""`nvr db` and `nvr footage verify`: what a person is told of index and files, and what becomes of both."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nvr.store import backup
from nvr.store.check import sha256
from nvr.store.reader import open_reader
from nvr.store.rows import CloseClip
from nvr.store.schema import BACKUPS_NAME, INDEX_NAME
from nvr.units import US
from tests.cli.conftest import ARCHIVE, NOON_US, VOLUME, Said, Site
from tests.cli.test_clips import exported, opened, put

Nvr = Callable[..., Said]


@pytest.fixture
def recorded(site: Site) -> Site:
    """Fifteen seconds in three files, and an orderly stop."""
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 15 * US)
        for seq in range(3):
            filling.segment(run, seq, NOON_US + 5 * seq * US, labelled=True)
        filling.gap("service-stopped", NOON_US + 15 * US, None)
    identity = {"volume": VOLUME, "archive": ARCHIVE, "name": "main"}
    (site.footage / ".nvr-volume").write_text(json.dumps(identity))
    return site


def files(site: Site) -> list[Path]:
    return sorted(site.footage.rglob("*.mp4"))


def index_of(site: Site) -> Path:
    return site.data_dir / INDEX_NAME


def known(site: Site) -> list[tuple[int, int, int]]:
    reader = open_reader(site.data_dir)
    return [(one.row.seq, one.row.start_us, one.row.size_bytes) for one in reader.segments_between("gate", 0, 1 << 62)]


# ---- check


def test_a_check_of_an_archive_that_is_well_says_so(recorded: Site, nvr: Nvr) -> None:
    said = nvr("db", "check")
    assert (said.code, said.out) == (0, "3 files are as promised\n")
    assert nvr("db", "check", "--hash", "--decode", "--json").json == {"files": 3, "findings": []}


def test_what_is_not_as_promised_is_named_and_not_touched(recorded: Site, nvr: Nvr) -> None:
    files(recorded)[1].unlink()
    said = nvr("db", "check")
    assert said.code == 1
    assert "missing" in said.out
    assert files(recorded)[0].name.replace("-0.", "-1.")[:8] in said.out
    assert "not as promised: 1 missing" in said.out
    (finding,) = nvr("db", "check", "--json").json["findings"]
    assert (finding["kind"], finding["volume"], finding["repaired"]) == ("missing", "main", None)


def test_a_repair_needs_its_own_flag(recorded: Site, nvr: Nvr) -> None:
    with recorded.index() as filling:
        filling.index.condemn([2], NOON_US).result()  # its row goes, its file stays
        filling.index.forget([1]).result()
    assert nvr("db", "check", "--mark").code == 1
    said = nvr("db", "check", "--enter")
    assert said.code == 0, said.out + said.err
    assert "entered (adopted)" in said.out
    assert nvr("db", "check").code == 0
    assert [seq for seq, _, _ in known(recorded)] == [0, 1, 2]


def test_repairs_go_through_the_daemon_where_one_runs(recorded: Site, nvr: Nvr) -> None:
    stranger = files(recorded)[0].with_name("20251123T130000.000Z-7-0.mp4")
    stranger.write_bytes(b"?")
    with recorded.daemon() as daemon:
        assert nvr("db", "check", "--enter").code == 0
    (told,) = daemon.repaired
    assert (told.kind, told.volume, told.path) == (
        "unpromised",
        "main",
        str(stranger.relative_to(recorded.footage)),
    )


def test_what_the_daemon_is_writing_is_no_finding(recorded: Site, nvr: Nvr) -> None:
    with recorded.index() as filling:
        part = filling.segment(filling.run(NOON_US + 20 * US), 0, NOON_US + 20 * US, entered=False)
    with recorded.daemon() as daemon:
        daemon.live_is = {"gate": [{"path": str(part)}]}
        assert nvr("db", "check").code == 0
        daemon.live_is = {}
        assert nvr("db", "check").code == 1


def test_without_an_index_a_check_says_what_to_do(site: Site, nvr: Nvr) -> None:
    index_of(site).unlink()
    said = nvr("db", "check")
    assert said.code == 1
    assert "the daemon makes it" in said.err


# ---- backup


def test_a_copy_is_made_without_a_daemon_and_beside_one(recorded: Site, nvr: Nvr) -> None:
    told = nvr("db", "backup", "--json").json
    assert Path(told["path"]).parent == recorded.data_dir / BACKUPS_NAME
    assert told["size_bytes"] == Path(told["path"]).stat().st_size
    assert told["not_copied"] == []
    assert list(recorded.footage.glob(f"{backup.ON_VOLUME}*"))
    with recorded.daemon():
        assert nvr("db", "backup").code == 0


def test_a_volume_that_is_away_is_said(recorded: Site, nvr: Nvr) -> None:
    (recorded.footage / ".nvr-volume").unlink()
    said = nvr("db", "backup")
    assert said.code == 1
    assert "no copy of the index on" in said.err


# ---- rebuild


@pytest.mark.parametrize("how", [(), ("--from-files",)], ids=["copy", "files"])
def test_the_index_is_made_anew_and_the_one_before_is_kept(recorded: Site, nvr: Nvr, how: tuple[str, ...]) -> None:
    assert nvr("db", "backup").code == 0
    before = known(recorded)
    with recorded.index() as filling:
        run = filling.run(NOON_US + 30 * US, ended_us=NOON_US + 35 * US)
        filling.segment(run, 0, NOON_US + 30 * US, labelled=True)
    after = known(recorded)
    assert len(after) == len(before) + 1
    os.truncate(index_of(recorded), 4096)
    said = nvr("db", "rebuild", *how, "--json")
    assert said.code == 0, said.err
    assert known(recorded) == after
    assert (said.json["copy"] is None) is bool(how)
    assert said.json["adopted"] == (4 if how else 1)
    assert Path(said.json["aside"]).stat().st_size == 4096
    assert nvr("db", "check").code == 0
    reader = open_reader(recorded.data_dir)
    reasons = [span.reason for span in reader.spans_between("gate", 0, 1 << 62)]
    assert reasons == ["unknown", "unknown"] if how else ["service-stopped", "unknown"]


def test_a_rebuild_waits_for_no_daemon(recorded: Site, nvr: Nvr) -> None:
    with recorded.daemon():
        said = nvr("db", "rebuild")
    assert said.code == 1
    assert "stop it first" in said.err
    assert len(known(recorded)) == 3


def test_a_rebuild_needs_every_volume(recorded: Site, nvr: Nvr) -> None:
    (recorded.footage / ".nvr-volume").unlink()
    before = index_of(recorded).read_bytes()
    said = nvr("db", "rebuild", "--from-files")
    assert said.code == 1
    assert "mount" in said.err
    assert index_of(recorded).read_bytes() == before


# ---- verify


def note_hashes(site: Site) -> None:
    with site.index() as filling:
        for number, path in enumerate(files(site), 1):
            filling.index.note_hash(number, sha256(path)).result()


def test_files_that_are_as_they_were_verify(recorded: Site, nvr: Nvr) -> None:
    said = nvr("footage", "verify")
    assert said.code == 0
    assert "3 files (0 by their SHA-256, 3 by size and label alone): all as they were" in said.out
    note_hashes(recorded)
    assert nvr("footage", "verify", "--camera", "gate", "--json").json == {
        "files": 3,
        "compared_by_sha256": 3,
        "differing": [],
    }


def test_one_changed_bit_is_found(recorded: Site, nvr: Nvr) -> None:
    note_hashes(recorded)
    changed = files(recorded)[1]
    with changed.open("r+b") as file:
        file.seek(1500)
        byte = file.read(1)[0]
        file.seek(1500)
        file.write(bytes([byte ^ 4]))
    said = nvr("footage", "verify")
    assert said.code == 1
    assert f"{changed}" in said.out
    assert "1 differ" in said.out
    assert nvr("footage", "verify", "--to", "2025-11-23T12:00:05Z").code == 0, "only what was asked for"


def test_a_file_that_is_gone_differs(recorded: Site, nvr: Nvr) -> None:
    files(recorded)[2].unlink()
    (told,) = nvr("footage", "verify", "--json").json["differing"]
    assert told["differs"] == "it is gone"


def test_verifying_a_camera_that_never_was_is_wrong_use(recorded: Site, nvr: Nvr) -> None:
    assert nvr("footage", "verify", "--camera", "nobody").code == 2


# ---- clips


def test_clips_that_are_files_come_back_from_their_files_with_their_locks(site: Site, nvr: Nvr) -> None:
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 10 * US)
        for seq in range(2):
            filling.segment(run, seq, NOON_US + 5 * seq * US, labelled=True)
        filling.gap("service-stopped", NOON_US + 10 * US, None)
    put(site, opened(4, NOON_US + 3 * US), CloseClip(4, NOON_US + 7 * US, "done"))
    put(site, opened(5, NOON_US + 5 * US, "other"), CloseClip(5, NOON_US + 10 * US, "done"))  # one whole segment
    exported(site)
    assert nvr("clips", "lock", 4).code == 0
    before = nvr("clips", "list", "--json").json
    assert [(clip["id"], clip["locked"], clip["path"] is not None) for clip in before] == [
        (4, True, True),
        (5, False, True),
    ]
    told = nvr("db", "rebuild", "--from-files", "--json").json
    assert (told["adopted"], told["clip"]) == (2, 2)
    after = nvr("clips", "list", "--json").json
    assert after[0] == before[0]
    # A clip that is a segment's second name has no label of its own: what set it off is not known any more.
    assert after[1] | {"trigger": "m1", "alarm_at": before[1]["alarm_at"]} == before[1]
    assert after[1]["trigger"] == "unknown"
    assert nvr("db", "check").code == 0
    put(site, opened(1, None))
    assert nvr("clips", "show", 1).code == 0


def test_a_locks_file_and_row_that_disagree_are_found_and_repaired(site: Site, nvr: Nvr) -> None:
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 10 * US)
        for seq in range(2):
            filling.segment(run, seq, NOON_US + 5 * seq * US, labelled=True)
        filling.gap("service-stopped", NOON_US + 10 * US, None)
    put(site, opened(4, NOON_US + 3 * US), CloseClip(4, NOON_US + 7 * US, "done"))
    clip = exported(site)
    lock = clip.with_name(clip.name + ".lock")
    lock.touch()
    assert [one["kind"] for one in nvr("db", "check", "--json").json["findings"]] == ["lock"]
    assert nvr("db", "check", "--locks").code == 0
    assert nvr("clips", "list", "--json").json[0]["locked"] is True
    lock.unlink()
    assert nvr("db", "check", "--locks").code == 0
    assert lock.exists()
    clip.unlink()
    assert [one["kind"] for one in nvr("db", "check", "--json").json["findings"]] == ["clip"]

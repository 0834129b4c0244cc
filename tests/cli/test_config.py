"""`nvr config check`: right or wrong, and what would run."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from nvr.cli.main import answer
from tests.cli.conftest import Said, Site

Nvr = Callable[..., Said]


def test_what_would_run_is_printed(nvr: Nvr, site: Site) -> None:
    said = nvr("config", "check")
    assert (said.code, said.err) == (0, "")
    assert f"{site.config} is right." in said.out
    assert f"index in {site.data_dir}; metrics at 127.0.0.1:9685" in said.out
    lines = [line.split() for line in said.out.splitlines()]
    assert ["main", str(site.footage), "0", "B", "all", "of", "it"] in lines
    kept = ["30", "days,", "clips", "90", "days"]
    assert ["gate", "127.0.0.1:80", "continuous", "any", *kept] in lines
    assert ["door", "127.0.0.1:80", "off", "any", *kept] in lines


ALARMS = """
[camera.yard]
host = "127.0.0.1"
record = { schedule = "!nights", inside = "continuous", outside = "alarm" }
pre_seconds = 4
[schedule.nights]
timezone = "UTC"
windows = ["mon-fri 18:00-06:00", "sat,sun 00:00-24:00"]
except = ["2026-12-24..2026-12-26"]
[[rule]]
name = "door"
cameras = ["gate", "door"]
when = ["m1", "b1", "m1(10)b2"]
schedule = "nights"
debounce_seconds = 0.5
min_interval_seconds = 60
while_active = false
post_seconds = 3
do = ["output 1 make 1500", "preset 3"]
[[rule]]
name = "motion"
when = ["v1"]
"""


UNUSED = '[schedule.weekend]\ntimezone = "UTC"\nwindows = ["sat,sun 00:00-24:00"]\n'


def test_rules_and_schedules_are_printed_as_sentences(nvr: Nvr, site: Site) -> None:
    site.config.write_text(site.config.read_text() + ALARMS)
    said = nvr("config", "check")
    assert said.code == 0
    assert "clips of at most 600 s, each a file" in said.out
    assert "yard    127.0.0.1:80  continuous outside 'nights', else alarm  any" in said.out
    *_, schedule, door, motion = said.out.splitlines()
    assert schedule.startswith(
        "schedule 'nights' is mon-fri 18:00-06:00 and sat,sun 00:00-24:00 in UTC, except on 2026-12-24..2026-12-26; "
    )
    assert re.search(r" in UTC is (inside|outside) 'nights', until \w{3} ", schedule)
    assert door == (
        "rule 'door': m1, b1 or m1(10)b2 at gate and door during 'nights' keeps 10 s before the alarm to 3 s after it; "
        "a change counts once it has lasted 0.5 s; at most one alarm in 60 s; "
        "at the camera: output 1 make 1500 and preset 3"
    )
    assert motion == (
        "rule 'motion': v1 at every camera keeps 4 to 10 s before the alarm to 20 s after it is over; "
        "motion has ended 5 s after its last report"
    )


def test_what_is_probably_not_meant_is_said_beside_it(nvr: Nvr, site: Site) -> None:
    text = site.config.read_text() + ALARMS.replace('schedule = "nights"', 'schedule = "days"')
    text = text.replace('"v1"]\n', '"v1"]\ncameras = ["gate"]\n')
    site.config.write_text(text + '[schedule.days]\ntimezone = "UTC"\nwindows = ["08:00-18:00"]\n' + UNUSED)
    said = nvr("config", "check")
    assert said.code == 0
    assert said.err.splitlines() == [
        "nvr: the rule 'door' cannot do anything at the camera 'gate': it has no user and password",
        "nvr: the camera 'door' is off, so its rules do nothing",
        "nvr: the camera 'yard' waits for alarms, but no rule is for it: only nvr trigger raises one there",
        "nvr: the schedule 'weekend' is not used by any camera or rule",
    ]
    as_json = nvr("config", "check", "--json")
    assert as_json.err == ""
    assert [f"nvr: {doubt}" for doubt in as_json.json["doubts"]] == said.err.splitlines()


def test_alarms_are_in_the_json_as_they_are_written(nvr: Nvr, site: Site) -> None:
    site.config.write_text(site.config.read_text() + ALARMS)
    told = nvr("config", "check", "--json").json
    assert told["recording"] == {
        "segment_seconds": 60,
        "sync_seconds": 2,
        "ptz_track": True,
        "pre_seconds": 10,
        "post_seconds": 20,
        "max_clip_seconds": 600,
        "export_clips": True,
        "hash": "clips",
    }
    yard = told["cameras"][-1]
    assert yard["record"] == {"schedule": "!nights", "inside": "continuous", "outside": "alarm"}
    assert (yard["pre_seconds"], yard["post_seconds"], yard["fail_open"]) == (4, 20, True)
    assert [(rule["name"], rule["when"]) for rule in told["rules"]] == [
        ("door", ["m1", "b1", "m1(10)b2"]),
        ("motion", ["v1"]),
    ]
    assert told["schedules"] == [
        {
            "schedule": "nights",
            "timezone": "UTC",
            "windows": ["mon-fri 18:00-06:00", "sat,sun 00:00-24:00"],
            "except": ["2026-12-24..2026-12-26"],
        }
    ]


def test_json_has_the_same_facts_and_no_password(nvr: Nvr, site: Site) -> None:
    text = site.config.read_text().replace("[camera.door]", 'user = "admin"\npassword = "geheim"\n[camera.door]')
    site.config.write_text(text)
    said = nvr("config", "check", "--json")
    assert said.code == 0
    assert said.json["ok"] is True
    assert said.json["volumes"] == [
        {"name": "main", "path": str(site.footage), "keep_free_bytes": 0, "quota_bytes": None}
    ]
    assert [camera["camera"] for camera in said.json["cameras"]] == ["gate", "door"]
    assert said.json["cameras"][0]["user"] == "admin"
    assert "geheim" not in said.out


def test_every_mistake_is_a_line_on_stderr_and_exit_code_2(nvr: Nvr, site: Site) -> None:
    site.config.write_text(site.config.read_text() + "recrod = 1\n[recording]\nsync_seconds = 0\n")
    said = nvr("config", "check")
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines() == [
        f"nvr: {site.config} line 11: unknown key 'camera.door.recrod'; did you mean 'record'?",
        f"nvr: {site.config} line 13: 'recording.sync_seconds' must be at least 0.5, not 0",
    ]


def test_mistakes_come_as_json_too(nvr: Nvr, site: Site) -> None:
    site.config.write_text(site.config.read_text() + "recrod = 1\n")
    said = nvr("config", "check", "--json")
    assert (said.code, said.err) == (2, "")
    assert said.json == {
        "ok": False,
        "file": str(site.config),
        "errors": [
            {
                "key": "camera.door.recrod",
                "line": 11,
                "error": "unknown key 'camera.door.recrod'; did you mean 'record'?",
            }
        ],
    }


def test_a_password_file_that_everybody_may_read_is_a_mistake(nvr: Nvr, site: Site) -> None:
    text = site.config.read_text().replace("[camera.door]", 'user = "admin"\npassword_file = "pw"\n[camera.door]')
    site.config.write_text(text)
    (site.folder / "pw").write_text("geheim")
    (site.folder / "pw").chmod(0o644)
    said = nvr("config", "check")
    assert said.code == 2
    assert "may be read by others than its owner" in said.err
    assert "geheim" not in said.err


def test_the_file_in_the_working_directory_is_found(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if Path("/etc/nvr/config.toml").exists():
        pytest.skip("an nvr is configured on this machine")
    monkeypatch.chdir(site.folder)
    assert answer(["config", "check"]) == 0
    assert "config.toml is right" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_said(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["config", "check", "--config", "/nowhere/config.toml"]) == 2
    assert capsys.readouterr().err == "nvr: /nowhere/config.toml: cannot be read: no such file or directory\n"


def test_where_cameras_should_look_is_printed_and_what_will_not_be_seen_is_doubted(nvr: Nvr, site: Site) -> None:
    text = site.config.read_text()
    for camera, expect in (("gate", "{ preset = 3 }"), ("door", "{ pan = 92, tilt = 10, tolerance = 2.5 }")):
        text = text.replace(f"[camera.{camera}]", f"[camera.{camera}]\nexpect = {expect}")
    site.config.write_text(text + '[camera.yard]\nhost = "127.0.0.1"\n[[rule]]\nname = "away"\nwhen = ["moved"]\n')
    said = nvr("config", "check")
    assert said.code == 0
    assert (
        "camera 'gate' is expected at preset 3, within 1° and 1 of the zoom scale; after 300 s elsewhere it has "
        "moved, which is an event and sets off rules with 'moved'\n"
        "camera 'door' is expected at pan 92.00 tilt 10.00, within 2.5° and 2.5 of the zoom scale; after 300 s "
    ) in said.out
    assert said.err.splitlines() == [
        "nvr: the camera 'door' is off, so nvr does not see whether it looks where it is expected",
        "nvr: 'moved' of the rule 'away' never happens at the camera 'yard': it has no expect",
    ]
    cameras = {camera["camera"]: camera["expect"] for camera in nvr("config", "check", "--json").json["cameras"]}
    assert cameras["gate"]["preset"] == 3
    assert cameras["door"]["tilt"] == 10
    assert cameras["yard"] is None


def test_what_is_given_up_without_the_text_track_is_said(nvr: Nvr, site: Site) -> None:
    site.config.write_text(site.config.read_text() + "[recording]\nptz_track = false\n")
    assert nvr("config", "check").err == (
        "nvr: recording.ptz_track is false: a crash or a power cut loses for good where cameras looked in the files "
        "that it cuts\n"
    )
    assert nvr("config", "check", "--json").json["recording"]["ptz_track"] is False

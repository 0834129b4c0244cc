"""`nvr rules test`: what would happen, and why."""

from collections.abc import Callable

import pytest

from tests.cli.conftest import Said, Site

Nvr = Callable[..., Said]

RULES = """
[schedule.nights]
timezone = "Europe/Berlin"
windows = ["mon-fri 18:00-06:00"]
[[rule]]
name = "door"
cameras = ["gate"]
when = ["m1(10)b2"]
schedule = "nights"
post_seconds = 7
do = ["preset 3"]
[[rule]]
name = "motion"
when = ["v1"]
"""
MONDAY_NIGHT = "2026-11-23T20:00"
MONDAY_NOON = "2026-11-23T12:00"


@pytest.fixture
def ruled(site: Site) -> Site:
    text = site.config.read_text().replace("[camera.gate]", "[camera.gate]\npre_seconds = 4")
    site.config.write_text(text + RULES)
    return site


@pytest.mark.usefixtures("ruled")
def test_an_alarm_is_told_with_its_reasons_and_its_deeds(nvr: Nvr) -> None:
    said = nvr("rules", "test", "--at", MONDAY_NIGHT, "--input", "m1", "--input", "b2+3", "--camera", "gate")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "m1 and b2+3 at 2026-11-23 20:00:00+0000:",
        "",
        "camera 'gate' is recorded continuously then",
        "rule 'door': alarm",
        "  m1(10)b2: b2 came within 10 s after m1",
        "  its schedule is 'nights': Mon 2026-11-23 21:00 CET in Europe/Berlin is inside 'nights', "
        "until Tue 2026-11-24 06:00 CET, so it is in force",
        "  it keeps footage from 4 s before the alarm to 7 s after input 2 makes",
        "  it does at the camera: go to preset 3",
        "rule 'motion': nothing",
        "  m1 and b2+3 is none of its triggers (v1)",
        "  it is in force at all times",
    ]


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize(
    ("at", "inputs", "code"),
    [
        (MONDAY_NIGHT, ["m1", "b2+10"], 0),
        (MONDAY_NIGHT, ["m1", "b2+11"], 1),
        (MONDAY_NIGHT, ["m1"], 1),
        (MONDAY_NIGHT, ["b2", "m1+1"], 1),
        (MONDAY_NOON, ["m1", "b2+3"], 1),
        (MONDAY_NOON, ["v1"], 0),
        ("-2h", ["v1"], 0),
    ],
)
def test_the_exit_code_says_whether_there_would_be_an_alarm(nvr: Nvr, at: str, inputs: list[str], code: int) -> None:
    words = [word for one in inputs for word in ("--input", one)]
    assert nvr("rules", "test", "--at", at, *words).code == code
    said = nvr("rules", "test", "--at", at, *words, "--json")
    assert said.code == code
    alarms = [alarm for camera in said.json["cameras"] for rule in camera["rules"] for alarm in rule["alarms"]]
    assert bool(alarms) is (code == 0)


@pytest.mark.usefixtures("ruled")
def test_without_a_camera_every_camera_is_looked_at_and_one_that_is_off_says_so(nvr: Nvr) -> None:
    said = nvr("rules", "test", "--at", MONDAY_NOON, "--input", "v1")
    assert said.code == 0
    assert "camera 'gate' is recorded continuously then" in said.out
    assert "camera 'door' is off then: whatever the rules say, no footage would be kept" in said.out
    assert "  it is for gate, not for door\n" in said.out


@pytest.mark.usefixtures("ruled")
def test_json_has_the_same_for_machines(nvr: Nvr) -> None:
    said = nvr("rules", "test", "--at", MONDAY_NOON, "--input", "v1+2", "--camera", "gate", "--json")
    assert said.code == 0
    assert said.json["at"] == "2026-11-23T12:00:00.000000Z"
    assert said.json["inputs"] == ["v1+2"]
    (gate,) = said.json["cameras"]
    assert (gate["camera"], gate["record"]) == ("gate", "continuous")
    door, motion = gate["rules"]
    assert (door["rule"], door["alarms"], door["keeps"], door["does"]) == ("door", [], None, [])
    assert motion["alarms"] == [
        {
            "trigger": "v1",
            "source": "motion",
            "at": "2026-11-23T12:00:02.000000Z",
            "pre_seconds": 4,
            "post_seconds": 20,
            "lasts": True,
        }
    ]
    assert motion["keeps"].startswith("footage from 4 s before the alarm to 20 s after motion ends")


def test_the_mode_is_that_of_the_time_asked_about(nvr: Nvr, ruled: Site) -> None:
    table = '{ schedule = "!nights", inside = "off", outside = "alarm" }'
    ruled.config.write_text(ruled.config.read_text().replace('record = "off"', f"record = {table}"))
    for at, mode in [(MONDAY_NIGHT, "waits for alarms then"), (MONDAY_NOON, "is off then: whatever")]:
        said = nvr("rules", "test", "--at", at, "--input", "v1", "--camera", "door")
        assert f"camera 'door' {mode}" in said.out


def test_without_a_rule_there_is_no_alarm_and_it_is_said_why(nvr: Nvr, site: Site) -> None:
    said = nvr("rules", "test", "--input", "m1")
    assert said.code == 1
    assert said.out.endswith("there is no rule: add a [[rule]] with its name and when\n")
    site.config.write_text('[[volume]]\nname = "main"\npath = "footage"\n')
    said = nvr("rules", "test", "--input", "m1")
    assert said.code == 1
    assert said.out.endswith("there is no camera: add a [camera.<name>] with its host\n")


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--input", "m3"],
            "--input is 'm3'; write m1, b1, m2, b2, v1, moved or back, and b2+3 for a b2 three seconds later",
        ),
        (["--input", "m1", "--camera", "shed"], "there is no camera 'shed'; there are: gate, door"),
        (["--input", "m1", "--at", "noon"], "'noon' is not a time; write"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_exit_code_2(nvr: Nvr, words: list[str], sentence: str) -> None:
    said = nvr("rules", "test", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"nvr: {sentence}")
    assert len(said.err.splitlines()) == 1


@pytest.mark.usefixtures("ruled")
def test_something_must_be_said(nvr: Nvr) -> None:
    said = nvr("rules", "test", "--at", MONDAY_NOON)
    assert said.code == 2
    assert "--input" in said.err


@pytest.mark.usefixtures("ruled")
def test_a_local_time_that_came_twice_is_said_on_stderr(nvr: Nvr, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    said = nvr("rules", "test", "--at", "2026-10-25T02:30", "--input", "v1", "--json")
    assert said.json["at"] == "2026-10-25T00:30:00.000000Z"
    assert "came twice here" in said.err


def test_a_camera_that_was_turned_away_is_one_that_is_expected_somewhere(nvr: Nvr, site: Site) -> None:
    text = site.config.read_text().replace("[camera.gate]", "[camera.gate]\nexpect = { preset = 3 }")
    site.config.write_text(text + '[[rule]]\nname = "away"\nwhen = ["m1", "moved"]\n')
    said = nvr("rules", "test", "--at", MONDAY_NOON, "--input", "moved")
    assert said.code == 0
    assert said.err == "nvr: the camera 'door' is never moved: it has no expect\n"
    gate, door = said.out.split("camera 'door'")
    assert "rule 'away': alarm\n  moved (it has looked elsewhere than expected for too long) is one of" in gate
    assert "rule 'away': nothing\n" in door
    assert nvr("rules", "test", "--camera", "door", "--input", "moved").code == 1

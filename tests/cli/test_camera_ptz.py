"""`nvr camera ptz` at a simulated camera in a process of its own."""

import json
import signal
import subprocess

import pytest

from tests.cli.one_camera import NVR, Place


def _where(place: Place) -> dict[str, object]:
    told: dict[str, object] = json.loads(place.nvr("camera", "ptz", "where", "--camera", "gate", "--json"))
    return told


def test_it_goes_there_waits_and_says_where_that_is(place: Place) -> None:
    said = place.nvr("camera", "ptz", "--camera", "gate", "go", "--pan", "30", "--tilt", "-5", "--wait")
    assert said == "pan 30.00°, tilt -5.00°, zoom 0.00\n"
    place.nvr("camera", "ptz", "go", "--by", "--pan", "-40", "--tilt", "15", "--wait", "--camera", "gate")
    assert _where(place) == {
        "camera": "gate",
        "pan_degrees": 350.0,
        "tilt_degrees": 10.0,
        "zoom": 0.0,
        "moving": False,
        "preset": None,
    }


def test_presets_are_saved_listed_and_gone_to(place: Place) -> None:
    def ptz(*words: str) -> str:
        return place.nvr("camera", "ptz", "--camera", "gate", *words)

    ptz("preset", "save", "3", "front door")
    told = json.loads(ptz("presets", "--json"))
    assert {"preset": 3, "title": "front door"} in told
    assert "camera.position(3).status=goto\n" in ptz("preset", "go", "3")
    ptz("home")
    ptz("preset", "clear", "3")
    assert [one["preset"] for one in json.loads(ptz("presets", "--json"))] == [0]


def test_a_patrol_is_set_shown_and_run(place: Place) -> None:
    def ptz(*words: str) -> str:
        return place.nvr("camera", "ptz", "--camera", "gate", *words)

    assert ptz("patrol", "1", "set", "0:10", "3:120") == "patrol 1 has 2 steps\n"
    assert json.loads(ptz("patrol", "1", "show", "--json")) == [
        {"preset": 0, "seconds": 10},
        {"preset": 3, "seconds": 120},
    ]
    ptz("patrol", "1", "start")
    assert place.camera("get", "camera.motion.auto_patrol(1).status").endswith("=moving\n")
    ptz("stop")
    assert place.camera("get", "camera.motion.auto_patrol(1).status").endswith("=stop\n")


def test_a_move_is_stopped_also_where_the_command_is(place: Place) -> None:
    assert not json.loads(place.nvr("camera", "ptz", "--camera", "gate", "move", "left", "--for", "0.1", "--json"))[
        "moving"
    ]
    words = [NVR, "camera", "ptz", "--camera", "gate", "move", "right", "--speed", "5", "--for", "60"]
    with subprocess.Popen([*words, "--config", place.folder / "config.toml"]) as process:
        while not _where(place)["moving"]:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
    assert not _where(place)["moving"]


def test_all_the_rest_is_taken(place: Place) -> None:
    for words in (
        ("center", "160", "120"),
        ("center", "25", "25", "--per-cent"),
        ("focus", "auto"),
        ("focus", "near", "--for", "0.05"),
        ("iris", "autoM"),
        ("iris", "open", "--for", "0.05"),
        ("limits", "left-here"),
        ("limits", "tilt", "0"),
        ("limits", "off"),
        ("flip", "half"),
        ("auto-pan", "begin-here", "--direction", "return", "--speed", "30"),
        ("trace", "record"),
        ("trace", "end"),
        ("return", "on", "--to", "auto_patrol(1)", "--after", "300"),
        ("track", "start", "--intelligent"),
        ("track", "aim", "10", "20", "--color", "255-0-0"),
        ("mask", "2", "edit", "wider", "save", "on"),
        ("masks", "off"),
        ("cleaning", "on", "--at", "030000"),
    ):
        place.nvr("camera", "ptz", "--camera", "gate", *words)
    place.nvr("camera", "ptz", "--camera", "gate", "stop")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("go", "--camera", "gate"), "say where to: pan, tilt or zoom"),
        (("go", "--pan", "3"), "which camera? add --camera C"),
        (("go", "--camera", "yard", "--pan", "3"), "there is no camera 'yard'"),
        (("go", "--camera", "gate", "--tilt", "-6"), "tilt is -5 to 185 degrees"),
        (("preset", "--camera", "gate", "title", "3"), "title N TITLE"),
        (("patrol", "--camera", "gate", "0", "set", "3"), "a step is PRESET:SECONDS"),
        (("move", "--camera", "gate", "left", "right"), "one way at a time"),
        (("masks", "--camera", "gate", "yes"), "write on or off, not 'yes'"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(place: Place, words: tuple[str, ...], sentence: str) -> None:
    assert place.nvr("camera", "ptz", *words, expect=2) == ""
    assert sentence in place.complaint
    assert place.complaint.count("\n") == 1

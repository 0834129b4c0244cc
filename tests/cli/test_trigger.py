"""`nvr trigger`: an alarm raised by hand, over a real socket."""

from collections.abc import Callable

import pytest

from nvr.web.service import NotPossible, NotThere
from tests.cli.conftest import Said, Site

Nvr = Callable[..., Said]


def test_an_alarm_is_raised_and_the_clip_is_named(nvr: Nvr, site: Site) -> None:
    with site.daemon() as daemon:
        said = nvr("trigger", "--camera", "gate")
        assert (said.code, said.out, said.err) == (0, "alarm at gate, clip 41\n", "")
        said = nvr("trigger", "--camera", "gate", "--note", "Lärm am Tor", "--json")
        assert (said.code, said.json) == (0, {"camera": "gate", "clip": 42})
        assert daemon.triggered == [("gate", None), ("gate", "Lärm am Tor")]


def test_without_a_daemon_nothing_is_recorded_and_that_is_said(nvr: Nvr, site: Site) -> None:
    said = nvr("trigger", "--camera", "gate")
    assert (said.code, said.out) == (1, "")
    assert said.err == f"nvr: no daemon runs on {site.data_dir}, so nothing is recorded; start it with: nvr run\n"


def test_a_camera_that_nobody_configured_is_wrong_use_and_the_daemon_is_not_asked(nvr: Nvr, site: Site) -> None:
    with site.daemon() as daemon:
        said = nvr("trigger", "--camera", "shed")
        assert (said.code, said.out) == (2, "")
        assert said.err == "nvr: there is no camera 'shed'; there are: gate, door\n"
        assert daemon.triggered == []


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (NotThere("there is no camera 'gate'; nvr has not been reloaded since it was configured"), 2),
        (NotPossible("the camera 'gate' is off"), 1),
    ],
)
def test_what_the_daemon_refuses_is_said_in_its_words(nvr: Nvr, site: Site, trouble: Exception, code: int) -> None:
    with site.daemon() as daemon:
        daemon.trouble = trouble
        said = nvr("trigger", "--camera", "gate")
    assert (said.code, said.out) == (code, "")
    assert said.err == f"nvr: the daemon says: {trouble}\n"


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        ("two\nlines", "'note' is wrong: must be one line without control characters"),
        ("x" * 501, "'note' is wrong: string should have at most 500 characters"),
    ],
)
def test_a_note_is_one_line_of_reasonable_length(nvr: Nvr, site: Site, note: str, sentence: str) -> None:
    with site.daemon() as daemon:
        said = nvr("trigger", "--camera", "gate", "--note", note)
        assert (said.code, said.out) == (2, "")
        assert said.err == f"nvr: the daemon says: {sentence}\n"
        assert daemon.triggered == []


def test_no_camera_is_wrong_use(nvr: Nvr) -> None:
    said = nvr("trigger")
    assert said.code == 2
    assert "--camera" in said.err

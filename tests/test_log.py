"""The log: one line a matter, with its keys, for whoever reads it, and never a password."""

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvr import log
from nvr.log import Format, Streak, redacted

LOG = logging.getLogger("nvr.test")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def said(form: Format, *, debug: bool = False) -> io.StringIO:
    stream = io.StringIO()
    log.start(form, debug=debug, stream=stream)
    return stream


def test_a_line_for_a_person_has_time_level_message_and_keys() -> None:
    stream = said(Format.TEXT)
    LOG.warning("camera lost", extra={"camera": "gate", "action": "reconnect", "why": "no route"})
    line = stream.getvalue()
    assert re.fullmatch(
        r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} WARNING camera lost camera=gate action=reconnect why="no route"\n', line
    )


def test_a_line_for_the_journal_has_its_priority_and_no_time() -> None:
    stream = said(Format.JOURNAL, debug=True)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        LOG.log(level, "x", extra={"n": 1})
    assert stream.getvalue() == "<7>x n=1\n<6>x n=1\n<4>x n=1\n<3>x n=1\n<2>x n=1\n"


def test_a_line_for_a_machine_is_one_json_object() -> None:
    stream = said(Format.JSON)
    LOG.info("segment sealed", extra={"camera": "gate", "frames": 30, "path": Path("/a"), "message_id": None})
    entry = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry.pop("time"))
    assert entry == {
        "level": "info",
        "logger": "nvr.test",
        "message": "segment sealed",
        "camera": "gate",
        "frames": 30,
        "path": "/a",
        "message_id": None,
    }


@pytest.mark.parametrize("form", [Format.TEXT, Format.JOURNAL, Format.JSON])
def test_no_camera_can_forge_a_line_or_colour_a_terminal(form: Format) -> None:
    stream = said(form)
    LOG.warning("it said %s", "a\n<0>forged\x1b[2J\x85\u2028", extra={"model": "x\ny"})
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


@pytest.mark.parametrize("form", [Format.TEXT, Format.JOURNAL, Format.JSON])
def test_no_password_gets_into_any_line(form: Format) -> None:
    stream = said(form)
    try:
        raise ValueError("cannot read http://admin:geheim@192.168.0.2/api")
    except ValueError:
        LOG.exception("asking rtsp://u:geheim@h/", extra={"url": "http://:geheim@h"})
    text = stream.getvalue()
    assert "geheim" not in text
    assert "http://***@192.168.0.2/api" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://a:b@h/p", "http://***@h/p"),
        ("http://a:p@ss@h/p", "http://***@h/p"),
        ("see http://h/a@b and mail a@b", "see http://h/a@b and mail a@b"),
        ("x://a@b y://c:d@e", "x://***@b y://***@e"),
        ("http://h:80/", "http://h:80/"),
    ],
)
def test_redaction_strikes_out_userinfo_and_nothing_else(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_redaction_of_a_long_hostile_text_is_quick() -> None:
    assert redacted("a://" * 20_000).startswith("a://a://")


def test_an_unexpected_error_has_its_traceback_with_the_priority_on_each_line() -> None:
    stream = said(Format.JOURNAL)
    try:
        raise RuntimeError("two\nlines")
    except RuntimeError:
        LOG.exception("restarting")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "<3>restarting"
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)


def test_debug_is_silent_until_asked_for() -> None:
    stream = said(Format.TEXT)
    LOG.debug("x")
    assert stream.getvalue() == ""


_SCRIPT = "import logging, nvr.log; nvr.log.start(); logging.getLogger('nvr').warning('careful')"


def test_stderr_that_is_the_journal_gets_priorities_and_a_redirected_one_does_not(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as out:
        facts = os.fstat(out.fileno())
        environment = {**os.environ, "JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
        subprocess.run([sys.executable, "-c", _SCRIPT], stderr=out, env=environment, check=True, timeout=30)
        assert (tmp_path / "log").read_text() == "<4>careful\n"
        other = subprocess.run(
            [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, env=environment, check=True, timeout=30
        )
    assert re.match(r"\d{4}-.* WARNING careful\n", other.stderr)


def test_a_terminal_gets_colour_unless_it_wants_none() -> None:
    assert b"\x1b[33m" in _on_a_terminal({})
    assert b"\x1b" not in _on_a_terminal({"NO_COLOR": "1"})


def _on_a_terminal(more: dict[str, str]) -> bytes:
    ours, theirs = pty.openpty()
    try:
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        subprocess.run([sys.executable, "-c", _SCRIPT], stderr=theirs, env=environment | more, check=True, timeout=30)
        return os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)


# ---- trouble that repeats


def told(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_a_streak_is_a_warning_once_then_whispers_then_tells_its_sum() -> None:
    stream = said(Format.JOURNAL, debug=True)
    now_s = 100.0
    streak = Streak(LOG, {"camera": "gate"}, monotonic=lambda: now_s)
    streak.over("connected")
    for _ in range(3):
        streak.hit("no route", action="retry")
        now_s += 10
    streak.over("connected")
    streak.over("connected")
    streak.hit("no route")
    assert told(stream) == [
        "<4>no route camera=gate action=retry times=1",
        "<7>no route camera=gate action=retry times=2",
        "<7>no route camera=gate action=retry times=3",
        "<6>connected camera=gate after_times=3 after_seconds=30.0",
        "<4>no route camera=gate times=1",
    ]


def test_another_trouble_within_a_streak_is_told_aloud() -> None:
    stream = said(Format.JOURNAL)
    streak = Streak(LOG, {})
    streak.hit("no route")
    streak.hit("refused")
    streak.hit("refused")
    assert told(stream) == ["<4>no route times=1", "<4>refused times=2"]
    assert streak.count == 3

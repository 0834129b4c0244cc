"""`nvr` as a process: exit codes, one sentence for every trouble, and nothing heavy before the command is known."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nvr
from nvr.cli.main import answer
from nvr.units import US
from tests.cli.conftest import NOON_US, Site

NVR = str(Path(sys.executable).parent / "nvr")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NVR, *map(str, words)], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )


def test_the_version_is_told() -> None:
    said = run("--version")
    assert (said.returncode, said.stdout, said.stderr) == (0, f"nvr {nvr.__version__}\n", "")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["footage", "-h"], ["footage", "export", "--help"]])
def test_help_is_printed_and_well(words: list[str]) -> None:
    said = run(*words)
    assert said.returncode == 0
    assert said.stdout.startswith("Usage: nvr")
    assert "\x1b" not in said.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fotage"], "No such command 'fotage'"),
        (["footage", "list"], "Missing option '--camera'"),
        (["footage", "list", "--camera"], "Option '--camera' requires an argument"),
        (["status", "--frob"], "No such option: --frob"),
        (["demo", "--seconds", "x"], "Invalid value for '--seconds'"),
    ],
)
def test_wrong_use_is_exit_code_2_with_a_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err


def test_no_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer([]) in (0, 2)
    out, err = capsys.readouterr()
    assert "Usage: nvr" in out + err


def test_an_unexpected_error_is_one_sentence_and_debug_shows_where(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("nvr.config.find", broken)
    assert answer(["status"]) == 1
    assert capsys.readouterr().err == (
        "nvr: this is a bug in nvr (ZeroDivisionError: division by zero); the same command with --debug shows where\n"
    )
    assert answer(["status", "--debug"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("nvr: this is a bug in nvr (ZeroDivisionError: division by zero)\n")


def test_trouble_with_a_file_is_no_bug(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.data_dir / "nvr.lock").mkdir()
    assert answer(["footage", "list", "--camera", "gate", "--config", str(site.config)]) == 1
    err = capsys.readouterr().err
    assert "bug" not in err
    assert len(err.splitlines()) == 1


def many_segments(site: Site) -> None:
    from fractions import Fraction

    from nvr.store.rows import SegmentRow

    with site.index() as filling:
        number = filling.run(NOON_US)
        for seq in range(3000):
            row = SegmentRow(
                filling.camera_id,
                number,
                seq,
                filling.volume_id,
                NOON_US + seq * US,
                NOON_US + (seq + 1) * US,
                10,
                1000,
                Fraction(1, 90_000),
                0,
                90_000,
            )
            last = filling.index.add_segment(row)
        last.result()


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_reader_that_goes_away_is_met_quietly(site: Site, how: list[str]) -> None:
    many_segments(site)
    command = [NVR, "footage", "list", "--camera", "gate", "--config", str(site.config), *how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) < 128


def test_ctrl_c_ends_a_command_without_a_word(site: Site) -> None:
    """The reader of a pipe holds the command up in the middle of its answer."""
    many_segments(site)
    command = [NVR, "footage", "list", "--camera", "gate", "--config", str(site.config), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        time.sleep(0.2)
        assert process.poll() is None, "it was to be held up by a full pipe"
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        said = process.stderr.read()
        assert process.wait(30) in (130, 1)
        assert b"Traceback" not in said
        assert said.strip() in (b"", b"Aborted.", b"Aborted!")


def test_a_terminal_gets_colour_and_a_pipe_does_not(site: Site) -> None:
    with site.index():
        pass
    command = [NVR, "status", "--config", str(site.config)]
    assert b"\x1b" not in subprocess.run(command, capture_output=True, timeout=60, check=False).stdout
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(
        command,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**environment, "TERM": "xterm", "COLUMNS": "160"},
        timeout=60,
        check=False,
    )
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 4096):
            said += chunk
    except OSError:  # EIO: the other side of the terminal is closed
        pass
    os.close(ours)
    assert b"\x1b[1;31mfailed" in said


def loaded_by(module: str) -> set[str]:
    script = f"import sys\nbefore = set(sys.modules)\nimport {module}\nprint(*(set(sys.modules) - before))"
    python = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return {name.partition(".")[0] for name in python.stdout.split()}


def test_the_way_to_the_daemon_loads_nothing_of_the_shell() -> None:
    loaded = loaded_by("nvr.cli.main")
    assert "nvr" in loaded
    heavy = {"typer", "click", "rich", "pydantic", "sqlalchemy", "av", "starlette", "uvicorn", "asyncio", "socket"}
    assert loaded & heavy == set()


def test_the_shell_brings_nothing_that_only_the_daemon_needs() -> None:
    loaded = loaded_by("nvr.cli.shell")
    assert "typer" in loaded
    assert loaded & {"av", "uvicorn", "starlette", "fastapi", "alembic"} == set()


def test_a_daemon_that_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    said = run("run", "--config", tmp_path / "none.toml")
    assert said.returncode == 2
    assert said.stderr == f"nvr: {tmp_path}/none.toml: cannot be read: no such file or directory\n"

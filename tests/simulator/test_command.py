"""The simulator as a process."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nvr.simulator.command import EXIT_NOT_WELL, EXIT_WELL, EXIT_WRONG_USE, main
from tests.simulator.client import connected, request, run, whole_parts

_SMALL = ["--frame-size", "qvga", "--bitrate", "300000"]


def test_a_process_says_its_ports_streams_writes_the_truth_and_stops_at_sigterm(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    command = [sys.executable, "-W", "error", "-m", "nvr.simulator", *_SMALL, "--cameras", "2", "--loop-seconds", "1"]
    with subprocess.Popen(
        [*command, "--truth", truth, "--control-port", "0", "--search-port", "0", "--delimiter=-foo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            port = told["cameras"][1]["http_port"]

            async def story() -> bytes:
                said = request("/api/video?encode=mpeg4&ptz_info=on")
                async with connected(port, said) as client:
                    await client.read_until_vops(10)
                    return client.answer.body

            parts = whole_parts(run(story()), "-foo")
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=5)
        finally:
            process.kill()
    assert (process.returncode, out, errors) == (EXIT_WELL, "", "")
    assert set(told["cameras"][0]) == {"camera", "http_port", "alarm_port", "search_port"}
    assert told["control_port"]
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert [line["size"] for line in lines][: len(parts)] == [len(part.body) for part in parts]
    assert {line["camera"] for line in lines} == {"Camera01-2"}


def test_it_runs_for_so_many_seconds_and_ends_well() -> None:
    assert main([*_SMALL, "--seconds", "0.2"]) == EXIT_WELL


@pytest.mark.parametrize(
    "wrong",
    [
        ["--fault", "fire"],
        ["--frame-rate", "fast"],
        ["--frame-rate", "25", "--resolution", "30"],
        ["--position", "1,2"],
        ["--position", "36000,0,0"],
        ["--i-interval", "0"],
        ["--cameras", "0"],
        ["--http-port", "65535", "--cameras", "2"],
        ["--loop-seconds", "1e9"],
        ["--loop-seconds=-1"],
        ["--no-such-option"],
        ["--model", "VN-X"],
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(wrong) == EXIT_WRONG_USE
    said = capsys.readouterr()
    assert said.out == ""
    assert "nvr simulate: " in said.err
    assert "Traceback" not in said.err


def test_a_port_in_use_is_one_sentence_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main([*_SMALL, "--http-port", str(taken.getsockname()[1]), "--seconds", "0.1"]) == EXIT_NOT_WELL
    assert "cannot be had" in capsys.readouterr().err

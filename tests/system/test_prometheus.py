"""A real Prometheus scrapes a real daemon: the alert fires when a camera says nothing, and ends when it is back."""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from tests.system.conftest import Stories
from tests.system.house import House
from tests.system.world import World, closed_port

_RULES: Final = Path(__file__).parents[2] / "deploy/prometheus/nvr.rules.yml"
_QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)
_SHORT: Final = {"> 60 and": "> 3 and", "for: 30s": "for: 300ms"}
"""The same rule for a test's patience."""
_PATIENCE_S: Final = 60.0
_ALERT: Final = "NvrCameraNotRecording"


@contextmanager
def _watched(world: World, folder: Path) -> Iterator[list[str]]:
    """What the alert says while the camera says nothing. It was silent before, and is silent again after."""
    told: list[str] = []
    with world.cameras([CameraOptions(encode=_QVGA)], loop_s=1) as simulator:
        house = House(folder / "house", {"gate": {"http_port": simulator.http_port}})
        with house.start() as daemon, _prometheus(folder, house.metrics_port) as asked:
            daemon.wait_recording(within_s=_PATIENCE_S)
            _until(lambda: asked("query?query=nvr_camera_frames_total%3E0")["result"], "scraped")
            # Before its first picture a camera is not recorded either.
            _until(lambda: _state(asked) == "silent", "silent")
            world.do(lambda: simulator.cameras[0].fault("stall"))
            _until(lambda: _state(asked).startswith("firing"), "firing")
            told.append(_state(asked))
            world.do(lambda: simulator.cameras[0].clear("stall"))
            _until(lambda: _state(asked) == "silent", "silent again")
            assert daemon.terminate()[0] == 0
    yield told


@contextmanager
def _prometheus(folder: Path, scraped_port: int) -> Iterator[Callable[[str], Any]]:
    rules = _RULES.read_text()
    for usual, short in _SHORT.items():
        assert usual in rules
        rules = rules.replace(usual, short)
    (folder / "nvr.rules.yml").write_text(rules)
    (folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 500ms}}
rule_files: [nvr.rules.yml]
scrape_configs:
  - job_name: nvr
    static_configs: [{{targets: ["127.0.0.1:{scraped_port}"]}}]
""")
    port = closed_port()
    with (folder / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            [
                shutil.which("prometheus") or "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )

    def asked(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=30) as answer:
            return json.load(answer)["data"]

    try:
        _until(lambda: server.poll() is None and _answers(asked), "Prometheus answers")
        yield asked
    finally:
        server.terminate()
        server.wait(20)


def _answers(asked: Callable[[str], Any]) -> bool:
    try:
        return bool(asked("status/buildinfo"))
    except OSError:
        return False


def _state(asked: Callable[[str], Any]) -> str:
    found = [one for one in asked("alerts")["alerts"] if one["labels"]["alertname"] == _ALERT]
    return "; ".join(f"{one['state']}: {one['annotations']['summary']}" for one in found) or "silent"


def _until(so: Callable[[], Any], what: str) -> None:
    ends_s = time.monotonic() + _PATIENCE_S
    while not so():
        assert time.monotonic() < ends_s, f"not {what} within {_PATIENCE_S:g} s"
        time.sleep(0.1)


STORIES: Final = {"watched": _watched} if shutil.which("prometheus") else {}


@pytest.mark.skipif(not STORIES, reason="prometheus is not installed")
def test_the_alert_fires_when_a_camera_says_nothing_and_ends_when_it_is_back(stories: Stories) -> None:
    (during,) = stories["watched"].result()
    assert re.fullmatch(r"firing: gate is not recorded: no picture for .+", during)

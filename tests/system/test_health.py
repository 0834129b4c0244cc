"""What is not well is told without Prometheus: in status, as an event, and in the log."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from nvr.simulator.options import CameraOptions, EncodeSettings
from tests.system.conftest import Stories
from tests.system.disk import Shim
from tests.system.house import NVR, House
from tests.system.world import World

_QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)


@contextmanager
def _unwell(world: World, folder: Path) -> Iterator[dict[str, Any]]:
    """What is told of a disk whose writes fail for a moment."""
    with world.cameras([CameraOptions(encode=_QVGA)], loop_s=1) as simulator:
        house = House(folder / "house", {"gate": {"http_port": simulator.http_port}})
        footage = house.volumes["main"]
        shim = Shim(folder, (footage,))
        with house.start(shim.environment) as daemon:
            daemon.wait_recording()
            following = _following(house)
            before = (daemon.status() or {})["troubles"]
            with shim.trouble(footage, "io"):
                ends_s = time.monotonic() + 20
                while not (during := (daemon.status() or {}).get("troubles")):
                    assert time.monotonic() < ends_s, daemon.log_text()[-3000:]
                    time.sleep(0.05)
            daemon.wait_recording()
            assert following.stdout is not None
            followed = json.loads(following.stdout.readline())
            _, events = house.command("events", "--json")
            daemon.terminate()
            left = following.communicate(timeout=20)
            log = [json.loads(line) for line in daemon.log_text().splitlines()]
    yield {
        "before": before,
        "during": during,
        "events": json.loads(events),
        "log": log,
        "followed": followed,
        "left": left,
    }


def _following(house: House) -> "subprocess.Popen[str]":
    """Somebody who follows, and does by the time this returns."""
    command = [NVR, "events", "--follow", "--json", "--config", house.config]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "from now on" in process.stderr.readline()
    return process


STORIES: Final = {"unwell": _unwell}


def test_writes_that_fail_are_told_at_once_everywhere(stories: Stories) -> None:
    told = stories["unwell"].result()
    assert told["before"] == []
    (trouble,) = told["during"]
    assert (trouble["condition"], trouble["camera"], trouble["volume"]) == ("writes-failing", None, "main")
    (event,) = [event for event in told["events"] if event["kind"] == "writes-failing"]
    assert event["facts"] == {"volume": "main"}
    assert told["followed"] == event
    assert [entry["level"] for entry in told["log"] if entry.get("action") == "writes-failing"] == ["warning"]


def test_who_follows_is_told_when_the_daemon_ends(stories: Stories) -> None:
    _, sentence = stories["unwell"].result()["left"]
    assert sentence.startswith("nvr: ")
    assert len(sentence.splitlines()) == 1

"""What is not well is told without Prometheus: in status, as an event, and in the log."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from nvr.simulator.options import CameraOptions, EncodeSettings
from tests.system.conftest import Stories
from tests.system.disk import Shim
from tests.system.house import House
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
            before = (daemon.status() or {})["troubles"]
            with shim.trouble(footage, "io"):
                ends_s = time.monotonic() + 20
                while not (during := (daemon.status() or {}).get("troubles")):
                    assert time.monotonic() < ends_s, daemon.log_text()[-3000:]
                    time.sleep(0.05)
            daemon.wait_recording()
            _, events = house.command("events", "--json")
            daemon.terminate()
            log = [json.loads(line) for line in daemon.log_text().splitlines()]
    yield {"before": before, "during": during, "events": json.loads(events), "log": log}


STORIES: Final = {"unwell": _unwell}


def test_writes_that_fail_are_told_at_once_everywhere(stories: Stories) -> None:
    told = stories["unwell"].result()
    assert told["before"] == []
    (trouble,) = told["during"]
    assert (trouble["condition"], trouble["camera"], trouble["volume"]) == ("writes-failing", None, "main")
    (event,) = [event for event in told["events"] if event["kind"] == "writes-failing"]
    assert event["facts"] == {"volume": "main"}
    assert [entry["level"] for entry in told["log"] if entry.get("action") == "writes-failing"] == ["warning"]

"""What the README shows of nvr as a library does it, word for word."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvr.simulator.options import CameraOptions
from nvr.simulator.server import Simulator
from tests.system.world import World

HOME = Path(__file__).parents[2]


@pytest.fixture
def camera() -> Iterator[tuple[World, Simulator]]:
    """A camera with a preset 3, which looks elsewhere."""
    world = World()
    with world.cameras([CameraOptions(position=(12_345, 9_000, 1_234))]) as simulator:
        mount = simulator.camera.mount
        world.do(mount.save_preset, 3, 0.0)
        world.do(simulator.camera.look, 0, 500, 0)
        yield world, simulator
    world.close()


def test_the_readmes_ten_lines_take_a_snapshot_and_go_to_a_preset(camera: tuple[World, Simulator]) -> None:
    _, simulator = camera
    (shown,) = re.findall(r"```python\n(.*?)```", (HOME / "README.md").read_text(), re.DOTALL)
    assert len([line for line in shown.splitlines() if line.strip()]) <= 10
    script = shown.replace('"192.168.0.2", 80', f'"127.0.0.1", {simulator.http_port}')
    assert script != shown
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "PictureFacts(version='JVC V1.0'" in done.stdout
    assert simulator.camera.mount.preset(1e12) == 3

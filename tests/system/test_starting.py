"""What keeps a daemon from starting or ending is one sentence and an exit code, and harms nobody who runs already."""

import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.store.schema import INDEX_NAME
from tests.system.disk import Shim
from tests.system.house import NVR, House
from tests.system.world import World, closed_port

_ENCODE = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=200_000)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """With one camera that is not there."""
    return House(tmp_path / "house", {"gate": {"http_port": closed_port()}})


@pytest.fixture
def filmed(world: World, tmp_path: Path) -> Iterator[House]:
    """With one camera."""
    with world.cameras([CameraOptions(encode=_ENCODE)], loop_s=1) as simulator:
        yield House(tmp_path / "house", {"gate": {"http_port": simulator.http_port}})


def _refused(house: House) -> str:
    """The one sentence with which `nvr run` ends; asserts exit code 2."""
    done = subprocess.run(
        [NVR, "run", "--config", house.config, "--log-format", "text"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    # A machine whose clock nobody sets says so first.
    (sentence,) = [line for line in done.stderr.splitlines() if "host-clock" not in line]
    return sentence


def test_an_unknown_key_is_named_with_its_line(house: House) -> None:
    house.config.write_text(house.config.read_text().replace("segment_seconds", "segment_second"))
    line = house.config.read_text().splitlines().index("segment_second = 1") + 1
    sentence = _refused(house)
    assert "segment_second" in sentence
    assert str(line) in sentence


def test_a_configuration_that_is_not_there_is_named(house: House) -> None:
    house.config.unlink()
    assert str(house.config) in _refused(house)


def test_a_second_daemon_on_one_data_directory_is_refused_and_the_first_goes_on(filmed: House) -> None:
    with filmed.start() as first:
        first.wait_recording()
        sentence = _refused(filmed)
        assert str(filmed.data_dir) in sentence
        assert first.states()["gate"]["state"] == "recording"
        assert first.terminate()[0] == 0


def test_a_metrics_port_that_is_taken_is_named(house: House) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", house.metrics_port))
        taken.listen()
        sentence = _refused(house)
    assert str(house.metrics_port) in sentence
    with house.start() as daemon:
        daemon.wait_for("answering", bool, 10)
        assert daemon.terminate()[0] == 0


def test_a_data_directory_that_cannot_be_one_is_named(house: House) -> None:
    house.data_dir.write_text("a file")
    assert str(house.data_dir) in _refused(house)


def test_an_index_of_a_newer_nvr_is_left_alone(house: House) -> None:
    with house.start() as daemon:
        daemon.wait_for("answering", bool, 10)
        daemon.terminate()
    index = house.data_dir / INDEX_NAME
    connection = sqlite3.connect(index)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = index.read_bytes()
    assert "newer" in _refused(house)
    assert index.read_bytes() == before


def test_a_volume_that_another_daemon_writes_to_is_left_alone(filmed: House, tmp_path: Path) -> None:
    with filmed.start() as first:
        first.wait_recording()
        other = House(tmp_path / "other", filmed.cameras, dict(filmed.volumes))
        with other.start() as second:
            second.wait_for("blocked", lambda states: bool(states) and states["gate"]["state"] == "blocked", 10)
            assert "another nvr writes to" in second.states()["gate"]["reason"]
            assert other.coverage("gate")[-1].reason == "disk-failed"
            assert other.command("status", "--json")[0] == 1
            assert second.terminate()[0] == 0
        assert first.states()["gate"]["state"] == "recording"
        assert first.terminate()[0] == 0


def test_an_interrupt_from_the_keyboard_stops_in_order(filmed: House) -> None:
    with filmed.start() as daemon:
        daemon.wait_recording()
        os.kill(daemon.pid, signal.SIGINT)
        assert daemon.wait(5) == 0
    assert filmed.coverage("gate")[-1].reason == "service-stopped"


def test_a_second_signal_ends_at_once_and_loses_no_more_than_a_kill(filmed: House, tmp_path: Path) -> None:
    footage = filmed.volumes["main"]
    shim = Shim(tmp_path, (footage,))
    with filmed.start(shim.environment) as daemon:
        daemon.wait_recording()
        with shim.trouble(footage, "hang"):
            time.sleep(0.2)
            os.kill(daemon.pid, signal.SIGTERM)
            time.sleep(0.5)
            assert not daemon.ended
            os.kill(daemon.pid, signal.SIGTERM)
            assert daemon.wait(1) == 128 + signal.SIGTERM
    with filmed.start() as daemon:
        daemon.wait_recording()
        assert daemon.terminate()[0] == 0
    assert filmed.coverage("gate")[-1].reason == "service-stopped"

"""The daemon as systemd runs it: what it tells the service manager, and what its unit's restrictions leave it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from tests.supervisor.manager import Manager, manager
from tests.system import confined
from tests.system.conftest import Stories
from tests.system.house import NVR, House
from tests.system.world import World, closed_port

_ENCODE = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=200_000)
_WATCHDOG_S = 3


@contextmanager
def _told(world: World, folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """What a service manager hears of a whole life; and what it hears while the loop hangs."""
    house = House(folder / "house", {"gate": {"http_port": closed_port()}})
    with manager(folder) as systemd:
        environment = {**systemd.environment, "WATCHDOG_USEC": str(_WATCHDOG_S * 1_000_000)}
        with house.start(environment) as daemon:
            systemd.wait_for("READY=1", 20)
            systemd.wait_for("STATUS=0 of 1 cameras as wanted; gate: ", 20)
            systemd.wait_for("WATCHDOG=1", 20)
            os.kill(daemon.pid, signal.SIGHUP)
            systemd.wait_for("READY=1", 20)
            hung = _hung(daemon.pid, systemd)
            systemd.wait_for("WATCHDOG=1", 20)
            assert daemon.terminate()[0] == 0
        systemd.wait_for("STOPPING=1", 5) if "STOPPING=1" not in systemd.heard else None
        yield systemd.heard, hung


def _hung(pid: int, systemd: Manager) -> list[str]:
    os.kill(pid, signal.SIGSTOP)
    try:
        systemd.listen(0.2)  # what was on its way
        return systemd.listen(_WATCHDOG_S)
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _restricted(world: World, folder: Path) -> Iterator[tuple[House, list[str]]]:
    """A house whose daemon ran under the unit's restrictions until one segment was complete; its files."""
    # Not below pytest's own folder, which is root's alone.
    own = Path(tempfile.mkdtemp(prefix="nvr-confined-"))
    try:
        own.chmod(0o755)
        with world.cameras([CameraOptions(encode=_ENCODE)], loop_s=1) as simulator:
            house = House(own / "house", {"gate": {"http_port": simulator.http_port}}, {"main": own / "state/footage"})
            house.config.write_text(house.config.read_text().replace(str(house.data_dir), str(own / "state")))
            house.data_dir = own / "state"
            (own / "state").mkdir()
            os.chown(own / "state", confined.USER, confined.USER)
            yield house, _record_confined(house, own / "state")
    finally:
        shutil.rmtree(own)


def _record_confined(house: House, state: Path) -> list[str]:
    with house.start(under=[sys.executable, confined.__file__, str(state), "--"]) as daemon:
        daemon.wait_recording()
        status = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
        daemon.wait_for("a finished segment", lambda _: bool(list(state.rglob("*.mp4"))), 20)
        assert daemon.terminate()[0] == 0
        assert daemon.log()
    return status


_IMPOSSIBLE = confined.impossible()
STORIES = {"told": _told} if _IMPOSSIBLE else {"told": _told, "restricted": _restricted}


def test_a_life_is_told_in_its_order(stories: Stories) -> None:
    heard, _ = stories["told"].result()
    order = [one.partition("=")[0] for one in heard]
    assert order.index("EXTEND_TIMEOUT_USEC") < order.index("READY") < order.index("WATCHDOG") < order.index("STOPPING")
    begins = order.index("RELOADING")
    again = [word for word in order[begins:] if word in ("RELOADING", "MONOTONIC_USEC", "READY")]
    assert order.index("READY") < begins
    assert again == ["RELOADING", "MONOTONIC_USEC", "READY"]
    assert order.count("STOPPING") == 1
    assert "WATCHDOG" not in order[order.index("STOPPING") :]


def test_a_loop_that_hangs_feeds_nothing(stories: Stories) -> None:
    assert stories["told"].result()[1] == []


@pytest.mark.skipif(_IMPOSSIBLE is not None, reason=str(_IMPOSSIBLE))
def test_the_daemon_records_under_its_units_restrictions(stories: Stories) -> None:
    house, status = stories["restricted"].result()
    facts = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    assert facts["Uid"].split()[0] == str(confined.USER)
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert set(facts["CapBnd"]) == {"0"}
    assert house.coverage("gate")[-1].reason == "service-stopped"
    assert any(span.kind == "recorded" for span in house.coverage("gate"))


@pytest.mark.skipif(_IMPOSSIBLE is not None, reason=str(_IMPOSSIBLE))
def test_the_restrictions_of_that_test_are_real(tmp_path: Path) -> None:
    """Each of these works without them."""
    script = """
import ctypes, mmap, os
def refused(what):
    try: what()
    except OSError: return True
    return False
libc = ctypes.CDLL(None, use_errno=True)
print(refused(lambda: open(os.path.expanduser("/usr/nvr-was-here"), "w")),
      refused(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
      libc.adjtimex(ctypes.create_string_buffer(512)) < 0,
      refused(lambda: os.setuid(0)))
"""
    command = [sys.executable, confined.__file__, "/var/tmp", "--", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["True"] * 4, done.stderr
    assert not Path("/usr/nvr-was-here").exists()


def test_the_command_line_is_the_one_that_the_unit_runs() -> None:
    unit = confined.UNIT.read_text()
    assert "ExecStart=/opt/nvr/bin/nvr run --config %E/nvr/config.toml\n" in unit
    assert NVR.name == "nvr"

"""Whose turn it is: within a process, and between processes over a file."""

import asyncio
import subprocess
import sys
from pathlib import Path

from nvr.camera.control import Control
from nvr.camera.errors import LoginRefused
from nvr.camera.turn import Turn, turn_path
from nvr.clock import HostClock
from nvr.jvc.params import Login
from tests.camera.test_every_parameter import ADMIN, simulated
from tests.camera.wire import run

_HOLDS = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDONLY | os.O_CREAT)
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""


def test_two_take_turns_over_a_file(tmp_path: Path) -> None:
    async def story() -> None:
        path, told = turn_path(tmp_path, "gate"), []

        async def take(turn: Turn, name: str) -> None:
            async with turn:
                told.append(f"{name} begins")
                await asyncio.sleep(0.05)
                told.append(f"{name} ends")

        async with asyncio.TaskGroup() as group:
            for name in ("daemon", "command"):
                group.create_task(take(Turn(path), name), name=name)
        assert told in (
            ["daemon begins", "daemon ends", "command begins", "command ends"],
            ["command begins", "command ends", "daemon begins", "daemon ends"],
        )

    run("uvloop", story())


def test_a_holder_that_dies_gives_the_turn_back(tmp_path: Path) -> None:
    path = turn_path(tmp_path, "gate")

    async def story(holder: "subprocess.Popen[str]") -> None:
        async with asyncio.TaskGroup() as group:
            mine = group.create_task(_taken(path), name="mine")
            await asyncio.sleep(0.1)
            assert not mine.done()
            holder.kill()

    words = [sys.executable, "-c", _HOLDS, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        run("uvloop", story(holder))


async def _taken(path: Path) -> None:
    async with Turn(path):
        return


def test_without_a_place_for_the_file_the_camera_is_asked_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        await _taken(tmp_path / "nowhere" / "camera.gate.turn")

    run("uvloop", story())


def test_a_password_that_was_changed_meanwhile_is_read_anew() -> None:
    async def story() -> None:
        async with simulated() as (_, control):
            kept = [ADMIN]
            other = Control(control.address, ADMIN, HostClock(), login_again=lambda: kept[0])
            await control.write("system.password.admin", "word1")
            try:
                await other.get("camera.id")
            except LoginRefused:
                kept[0] = Login("admin", "word1")
            assert kept[0].password == "word1"
            assert await other.get("camera.id") == "Camera01"

    run("uvloop", story())

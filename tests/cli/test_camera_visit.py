"""A camera that says nothing is not waited for: each visit ends in its time, however many there are."""

import asyncio
import socket
from pathlib import Path

from nvr.cli.camera_visit import Patience, visited
from nvr.cli.fitness import CameraVisit, Login
from nvr.config import load

_HASTY = Patience(port_s=0.3, picture_s=0.3, answer_s=0.3, visit_s=2)


def _config(folder: Path, cameras: str) -> Path:
    path = folder / "config.toml"
    path.write_text(f'data_dir = "data"\n[[volume]]\nname = "main"\npath = "footage"\n{cameras}')
    return path


def test_twenty_cameras_that_say_nothing_are_given_up_together(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    async def visit(port: int) -> list[CameraVisit]:
        keys = f'host = "127.0.0.1"\nhttp_port = {port}\nalarm_port = {port}\nuser = "admin"\npassword = "hush-hush"\n'
        path = _config(tmp_path, "".join(f"[camera.c{number}]\n{keys}" for number in range(20)))
        # As one after the other they would take half a minute.
        async with asyncio.timeout(20):
            return await visited(load(path), path, (), lambda done, of: told.append((done, of)), _HASTY)

    # The kernel takes the connections, and nobody ever answers.
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        found = asyncio.run(visit(silent.getsockname()[1]))
    assert [one.camera for one in found] == [f"c{number}" for number in range(20)]
    for one in found:
        assert one.video == "no video within 0.3 s"
        assert one.answers
        assert one.alarm is None
        assert one.login is Login.UNANSWERED
        assert not one.defaults_tried
        assert "hush" not in repr(one)
    assert told == [(done, 20) for done in range(21)]


def test_a_name_that_nobody_knows_is_no_camera(tmp_path: Path) -> None:
    path = _config(tmp_path, '[camera.gate]\nhost = "no-such-host.invalid"\n')
    (found,) = asyncio.run(visited(load(path), path, (), lambda _done, _of: None, _HASTY))
    assert found.video is not None
    assert found.video.startswith("no-such-host.invalid is no known name")
    assert not found.answers

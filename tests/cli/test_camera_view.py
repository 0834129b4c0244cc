"""`nvr camera view` as people use it: a process, a pipe, and a player at its other end."""

import asyncio
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import pytest

from nvr.simulator.options import CameraOptions
from nvr.simulator.server import Simulator
from tests.camera.test_multicast import free_group
from tests.camera.wire import peer
from tests.cli.conftest import Said, Site
from tests.system.house import NVR
from tests.system.world import World

Nvr = Callable[..., Said]

_WITHIN_S = 30
_FRAMES = 8


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def simulator(world: World) -> Iterator[Simulator]:
    with world.cameras([CameraOptions(camera_id="Yard")]) as simulator:
        yield simulator


@pytest.fixture
def gate(site: Site, simulator: Simulator) -> Site:
    """A site whose camera `gate` is that one."""
    return at_port(site, simulator.http_port)


def at_port(site: Site, http_port: int) -> Site:
    """The same with its camera `gate` there."""
    host = '[camera.gate]\nhost = "127.0.0.1"\n'
    login = 'user = "admin"\npassword = "jvc"\n'
    site.config.write_text(site.config.read_text().replace(host, f"{host}http_port = {http_port}\n{login}"))
    return site


@contextmanager
def viewing(gate: Site, *words: str) -> "Iterator[subprocess.Popen[bytes]]":
    command = [NVR, "camera", "view", "--camera", "gate", *words, "--config", gate.config]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Exit code and what was said, once it has ended by itself."""
    assert process.stdout is not None
    assert process.stderr is not None
    code = process.wait(_WITHIN_S)
    return code, process.stderr.read().decode()


def decoded(process: "subprocess.Popen[bytes]", folder: Path) -> list[str]:
    """What ffmpeg makes of the first pictures: the checksum of each."""
    assert process.stdout is not None
    out = folder / "decoded"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-f", "mjpeg", "-i", "-", "-frames:v", str(_FRAMES)]
    player = subprocess.run(
        [*command, "-fps_mode", "passthrough", "-f", "framecrc", str(out)],
        stdin=process.stdout,
        capture_output=True,
        timeout=_WITHIN_S,
        check=False,
    )
    process.stdout.close()
    assert (player.returncode, player.stderr) == (0, b"")
    return [line.split(",")[-1].strip() for line in out.read_text().splitlines() if not line.startswith("#")]


def test_a_player_shows_what_the_camera_sends_until_it_is_closed(gate: Site, tmp_path: Path) -> None:
    with viewing(gate, "--fps", "30") as process:
        assert len(set(decoded(process, tmp_path))) == _FRAMES
        code, said = ended(process)
    assert code == 0
    assert "Traceback" not in said


def test_a_player_shows_the_cameras_multicast(gate: Site, world: World, simulator: Simulator, tmp_path: Path) -> None:
    destination = simulator.camera.destinations[1]
    group = free_group()
    for key, value in (("host", group[0]), ("port", str(group[1])), ("framerate", "30"), ("status", "save")):
        world.do(destination.set, key, value)
    with viewing(gate, "--multicast") as process:
        assert len(set(decoded(process, tmp_path))) == _FRAMES
        assert destination.running, "it was started"
        assert ended(process)[0] == 0


def test_a_reader_that_stands_still_gets_the_newest_and_nothing_piles_up(site: Site, world: World) -> None:
    """Far more comes than kernels hold, so that when all of it has left the camera most has come through."""
    all_sent = Event()
    made = 300

    def file(number: int) -> bytes:
        return b"\xff\xd8\xff\xfe\0\x0eJVC V1.0 %03d" % number + bytes(100_000)

    async def camera(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=foo\r\n\r\n")
        for number in range(made):
            data = file(number)
            writer.write(b"--foo\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(data), data))
            await writer.drain()
        all_sent.set()

    with world.alive(lambda: peer(camera)) as address, viewing(at_port(site, address[1])) as process:
        assert process.stdout is not None
        assert all_sent.wait(_WITHIN_S)
        read = process.stdout.read()
        code, said = ended(process)
    shown, rest = divmod(len(read), len(file(0)))
    assert rest == 0
    assert shown < made / 2
    assert read.endswith(file(made - 1))
    assert f"{made - shown} of {made} pictures were left out: the reader was too slow for them" in said
    assert "camera 'gate': the camera closed the connection after a picture" in said
    assert code == 1


def test_a_camera_that_sends_no_more_ends_it_with_one_sentence(site: Site, world: World) -> None:
    with ExitStack() as lives:
        simulator = lives.enter_context(world.cameras([CameraOptions()]))
        with viewing(at_port(site, simulator.http_port), "--fps", "0.2") as process:
            assert process.stdout is not None
            assert process.stdout.read(2) == b"\xff\xd8"
            lives.close()
            process.stdout.read()
            code, said = ended(process)
    assert code == 1
    assert said.startswith("nvr: camera 'gate': the camera closed the connection")
    assert said.count("\n") == 1


def test_ctrl_c_ends_it_quietly_though_nobody_reads(gate: Site) -> None:
    with viewing(gate, "--fps", "30") as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"\xff\xd8"
        process.send_signal(signal.SIGINT)
        code, said = ended(process)
    assert code == 0
    assert "Traceback" not in said


def test_a_terminal_is_told_what_to_type_instead(gate: Site) -> None:
    ours, theirs = pty.openpty()
    try:
        command = [NVR, "camera", "view", "--camera", "gate", "--config", gate.config]
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, timeout=_WITHIN_S, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    told = "nvr: pictures are not for a terminal; give them to a player: nvr camera view --camera gate | mpv -\n"
    assert done.stderr.decode() == told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--fps", "12"), "--fps: a camera sends JPEG at 30, 25, 15, 10, 7.5, 6, 5, 3, 2, 1, 0.5, 0.333, 0.2, 0.1"),
        (("--fps", "0"), "--fps: a camera sends JPEG at "),
        (("--fps", "5", "--multicast"), "the multicast comes at the rate that is set in the camera: nvr camera set"),
    ],
)
def test_a_rate_that_cannot_be_is_one_sentence(nvr: Nvr, gate: Site, words: tuple[str, ...], sentence: str) -> None:
    said = nvr("camera", "view", "--camera", "gate", *words)
    assert said.code == 2
    assert said.err.startswith(f"nvr: {sentence}")
    assert said.err.count("\n") == 1

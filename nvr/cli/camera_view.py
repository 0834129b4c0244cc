"""`nvr camera view`: a camera's JPEGs one after the other, for a player at the other end of a pipe."""

import asyncio
import os
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from queue import SimpleQueue
from threading import Thread
from typing import Annotated, Final

import typer

from nvr import config
from nvr.camera.multicast import MulticastPlan, multicast_view
from nvr.camera.snapshot import Pictures
from nvr.camera.snapshot import view as http_view
from nvr.cli.at_camera import CameraOption, address_of, ask, control_of
from nvr.cli.errors import WrongUseError
from nvr.cli.printing import ConfigOption, note
from nvr.jvc.jpeg import rate_of

_USUAL_FPS: Final = 5.0  # at 100 kB a picture (guide 6.3) a fifth of what the camera can send (guide 2.4)


def view(
    camera: CameraOption,
    fps: Annotated[
        float | None,
        typer.Option("--fps", metavar="N", help="Pictures a second, 30 to 0.017; 5 unless said.", show_default=False),
    ] = None,
    multicast: Annotated[
        bool,
        typer.Option(
            "--multicast",
            help="From the camera's JPEG multicast, which is started where it is not; at the rate set in the camera.",
        ),
    ] = False,
    config_file: ConfigOption = None,
) -> None:
    """Watch a camera: its JPEGs on standard output until the player closes; the recording goes on.

    nvr camera view --camera gate | mpv - (or ffplay -f mjpeg -, or ffmpeg -f mjpeg -i -)

    A player that is slower than the camera gets the newest picture. Exit code 1 where the camera sends no more.
    """
    settings = config.load(config.find(config_file))
    address = address_of(settings, camera)
    if sys.stdout.isatty():
        raise WrongUseError(
            f"pictures are not for a terminal; give them to a player: nvr camera view --camera {camera} | mpv -"
        )
    if multicast and fps is not None:
        raise WrongUseError(
            "the multicast comes at the rate that is set in the camera: "
            f"nvr camera set --camera {camera} 'network.destination(1).framerate={_word(fps)}'"
        )
    rate = _word(_USUAL_FPS if fps is None else fps)
    plan = MulticastPlan(address, None, start=True, control=control_of(settings, camera)) if multicast else None
    with suppress(KeyboardInterrupt):  # one of the two ways to end it
        ask(camera, lambda: _show(http_view(address, rate) if plan is None else multicast_view(plan)))


def _word(fps: float) -> str:
    try:
        return rate_of(fps)
    except ValueError as wrong:
        raise WrongUseError(f"--fps: {wrong}") from None


async def _show(coming: AbstractAsyncContextManager[Pictures]) -> None:
    """Until the reader has gone away. Raises LinkError."""
    output = _Output(sys.stdout.fileno())
    async with coming as pictures:
        try:
            with output.watched(pictures), suppress(BrokenPipeError):
                async for picture in pictures:
                    await output.write(picture.data)
        finally:
            _tell(pictures)


def _tell(pictures: Pictures) -> None:
    """What the reader did not see."""
    if pictures.dropped:
        note(f"{pictures.dropped} of {pictures.came} pictures were left out: the reader was too slow for them")
    if pictures.lost:
        note(f"{pictures.lost} pictures were damaged on the way")


class _Output:
    """A file descriptor, written on a thread: a pipe that is full holds up neither the camera nor Ctrl-C."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._given: SimpleQueue[tuple[bytes, Future[None]]] = SimpleQueue()
        Thread(target=self._run, name="standard output", daemon=True).start()

    @contextmanager
    def watched(self, pictures: Pictures) -> Iterator[None]:
        """During the block the pictures end at once where the reader closes the pipe, not only with the next one."""
        if not stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self._fd, pictures.end)  # the end that is written to is readable when nobody reads any more
        try:
            yield
        finally:
            loop.remove_reader(self._fd)

    async def write(self, data: bytes) -> None:
        """Returns once all of it is written. Raises OSError."""
        written: Future[None] = Future()
        self._given.put((data, written))
        await asyncio.wrap_future(written)

    def _run(self) -> None:
        while True:
            data, written = self._given.get()
            if not written.set_running_or_notify_cancel():
                continue
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError as trouble:
                written.set_exception(trouble)
            else:
                written.set_result(None)

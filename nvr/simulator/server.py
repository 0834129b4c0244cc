"""The simulator as a whole: cameras, their engines and doors in the running loop."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final

from nvr.simulator.alarms import AlarmDoor
from nvr.simulator.camera import Camera
from nvr.simulator.control import Control, ControlDoor
from nvr.simulator.door import HttpDoor
from nvr.simulator.encoder import Picture
from nvr.simulator.engine import Engine, LivePictures, LoopedPictures, Pictures, encode_loop, true_crystal
from nvr.simulator.multicast import MulticastDoor
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.ptz import Mount
from nvr.simulator.search import SearchDoor
from nvr.simulator.truth import TruthFile

_MAX_CAMERAS: Final = 256
_MAX_LOOP_BYTES: Final = 256 << 20
_FLUSH_S: Final = 0.25
_SPREAD: Final = 10  # looping cameras send at one of so many moments of a picture's time: real ones are not in step


class Simulator:
    """Cameras on this machine, from `async with` to its end.

    Cameras of equal encode settings share one encoder, which sees what the first of them looks at; a camera that is
    given settings, a drift or dropped frames of its own gets an encoder of its own. With `loop_s` so many seconds are
    encoded once and repeated, each camera at its own pace: many cameras for little CPU.
    """

    def __init__(
        self,
        options: CameraOptions | Sequence[CameraOptions] | None = None,
        *,
        loop_s: float = 0.0,
        truth: Path | None = None,
        control_port: int | None = None,
    ) -> None:
        """`truth` is a file of JSON lines that is appended to; `control_port` a port for control of all cameras.

        Raises ValueError for no or too many cameras, and for a loop that no memory should hold.
        """
        chosen = [options or CameraOptions()] if isinstance(options, CameraOptions | None) else list(options)
        check(chosen, loop_s)
        self._options = chosen
        self._loop_s = loop_s
        self._truth_path = truth
        self._wanted_control_port = control_port
        self.cameras: list[Camera] = []
        self.control_port: int | None = None
        self._doors: dict[Camera, _Doors] = {}
        self._loops: dict[EncodeSettings, list[Picture]] = {}
        self._loop_starts = 0

    async def __aenter__(self) -> "Simulator":
        """Opens all ports; cameras answer and encode from here on. Raises OSError where a port cannot be had."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="simulator encoder")
        self._truth_file = None if self._truth_path is None else TruthFile(self._truth_path)
        self._ports = contextlib.ExitStack()
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._tasks: list[asyncio.Task[None]] = []
        try:
            await self._encode_loops()
            self._open()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop(kind, error, trace)

    @property
    def camera(self) -> Camera:
        """The first one."""
        return self.cameras[0]

    @property
    def http_port(self) -> int:
        return self.ports(self.camera)[0]

    @property
    def alarm_port(self) -> int:
        return self.ports(self.camera)[1]

    @property
    def search_port(self) -> int | None:
        return self.ports(self.camera)[2]

    def ports(self, camera: Camera) -> tuple[int, int, int | None]:
        """HTTP, alarms, search (UDP; None without) of a camera."""
        doors = self._doors[camera]
        return doors.http.port, doors.alarm.port, None if doors.search is None else doors.search.port

    def lose_power(self, camera: Camera | None = None) -> None:
        """Cuts that camera's power (the first one's) for a moment: it is away as long as a restart takes."""
        self._doors[camera or self.camera].http.lose_power()

    def own_engine(self, camera: Camera, settings: EncodeSettings) -> None:
        """The camera leaves the encoder it shares; its stream goes on with an I-VOP."""
        engine = camera.engine.heir(settings)
        camera.engine.takers.remove(camera)
        self._join(camera, engine)
        self._start(engine)

    async def _encode_loops(self) -> None:
        if not self._loop_s:
            return
        for options in self._options:
            if options.encode in self._loops:
                continue
            mount = Mount(options.position)
            mount.sweep(options.sweep_degrees_s, 0.0)
            self._loops[options.encode] = await asyncio.get_running_loop().run_in_executor(
                self._executor, encode_loop, options.encode, self._loop_s, options.seed, mount.at
            )

    def _open(self) -> None:
        control = Control()
        shared: dict[tuple[EncodeSettings, float], Engine] = {}
        for number, options in enumerate(self._options):
            key = (options.encode, options.clock_drift_ppm)
            engine = None if self._loop_s else shared.get(key)
            if engine is None:
                phase_s = number % _SPREAD / _SPREAD / float(options.encode.frame_rate) if self._loop_s else 0.0
                crystal = true_crystal(options.clock_drift_ppm)
                engine = shared[key] = Engine(options.encode, self._pictures_of, crystal, phase_s=phase_s)
            camera = Camera(options, engine, self, self._truth_file)
            self._join(camera, engine)
            self.cameras.append(camera)
            doors = self._doors[camera] = _Doors(camera, control, self._ports)
            control.know(camera)
            for run, name in doors.runs():
                self._run(run, f"{name} of {options.camera_id}")
            self._run(camera.watch_faults(), f"faults of {options.camera_id}")
        for engine in {camera.engine for camera in self.cameras}:
            self._start(engine)
        if self._wanted_control_port is not None:
            door = ControlDoor(self._options[0].host, self._wanted_control_port, control)
            self._ports.callback(door.close)
            self.control_port = door.port
            self._run(door.run(), "control")
        if self._truth_file is not None:
            self._run(self._flush(self._truth_file), "truth")

    def _pictures_of(self, settings: EncodeSettings) -> Pictures:
        loop = self._loops.get(settings)
        if loop is None:
            return LivePictures(settings, self._options[0].seed, self._executor)
        # Each begins at another group of pictures, so that I-VOPs do not come from all cameras at once.
        self._loop_starts += 1
        return LoopedPictures(loop, self._loop_starts * settings.i_interval)

    def _join(self, camera: Camera, engine: Engine) -> None:
        camera.engine = engine
        engine.takers.append(camera)

    def _start(self, engine: Engine) -> None:
        self._run(engine.run(), "engine")

    def _run(self, what: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(self._group.create_task(what, name=f"simulator {name}"))

    async def _flush(self, file: TruthFile) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            file.flush()

    async def _stop(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            # The block's own error goes on as it is; the group is told of a cancellation only, which may be its own.
            if kind is None or not issubclass(kind, asyncio.CancelledError):
                kind = error = trace = None
            await self._group.__aexit__(kind, error, trace)
        finally:
            self._ports.close()
            self._executor.shutdown(wait=False, cancel_futures=True)
            if self._truth_file is not None:
                self._truth_file.close()


def check(cameras: Sequence[CameraOptions], loop_s: float) -> None:
    """Raises ValueError for what no simulator can be."""
    if not 1 <= len(cameras) <= _MAX_CAMERAS:
        raise ValueError(f"a simulator has 1 to {_MAX_CAMERAS} cameras, not {len(cameras)}")
    loop_bytes = sum(loop_s * encode.bitrate_bps / 8 for encode in {camera.encode for camera in cameras})
    if not 0 <= loop_bytes <= _MAX_LOOP_BYTES:
        raise ValueError(f"a loop of {loop_s:g} s is none, or more than {_MAX_LOOP_BYTES} bytes")


class _Doors:
    """The ports of one camera."""

    def __init__(self, camera: Camera, control: Control, ports: contextlib.ExitStack) -> None:
        """`ports` gives back what was opened, also where the next port cannot be had (OSError)."""
        self.http = HttpDoor(camera, control)
        ports.callback(self.http.close)
        self.alarm = AlarmDoor(camera)
        ports.callback(self.alarm.close)
        self.multicast = MulticastDoor(camera, self.http.jpeg.picture)
        ports.callback(self.multicast.close)
        self.search: SearchDoor | None = None
        if camera.options.search_port is not None:
            self.search = SearchDoor(camera, camera.options.search_port)
            ports.callback(self.search.close)

    def runs(self) -> Iterator[tuple[Coroutine[None, None, None], str]]:
        """What runs as long as the camera does, with names."""
        yield self.http.run(), "http"
        yield self.alarm.run(), "alarms"
        yield self.http.events.run(), "events"
        yield self.multicast.run(), "multicast"
        if self.search is not None:
            yield self.search.run(), "search"

"""One simulated camera: its state, its video clients, and the way from a picture to the bytes each of them gets."""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final, Protocol

from nvr.simulator.destination import both
from nvr.simulator.elementary import USER_DATA_START, gov, increment_bits, user_data_2, vol
from nvr.simulator.engine import Engine, Shot
from nvr.simulator.faults import EVENTS, Fault, Faults, Name, parse
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.outlet import Outlet
from nvr.simulator.ptz import Mount, Position
from nvr.simulator.stream import Stream, Unit, Viewer, answer_head, record
from nvr.simulator.truth import SentVop, Truth, TruthFile

_US: Final = 1_000_000
_MOST_LOGGED: Final = 200  # the log has 10 KB (guide 6.18)


class Home(Protocol):
    """Where cameras live: gives one an engine of its own."""

    def own_engine(self, camera: "Camera", settings: EncodeSettings) -> None: ...


class Camera:
    """The camera itself; its doors (HTTP, alarms, search) ask it and act on it."""

    def __init__(self, options: CameraOptions, engine: Engine, home: Home, truth_file: TruthFile | None) -> None:
        self.options = options
        self.engine = engine
        self.mount = Mount(options.position)
        if options.sweep_degrees_s:
            self.mount.sweep(options.sweep_degrees_s, time.monotonic())
        self.faults = Faults()
        self.on_faults: list[Callable[[Mapping[Name, str]], None]] = []
        """Told what holds whenever that may have changed."""
        self.chance = random.Random(options.seed)  # noqa: S311 - garbage and delays, not secrets
        self.camera_id = options.camera_id
        self.pins = {1: "break", 2: "break"}
        """The alarm inputs by number: make or break."""
        self.motion = False
        self.motion_detection = True
        self.jpeg_size = "vga"
        self.fan_failed = False
        self.tracking = 0
        self.truth = Truth(options.keep_sent, truth_file)
        self.viewers: list[Stream] = []
        self.jpeg_streams: dict[int, tuple[tuple[str, int], str, bool]] = {}
        """JPEG that is being pushed, by number of the connection: to whom, its rate, whether to a group."""
        self.destinations = both()
        self.powered = True
        """False while it restarts."""
        self.set_clock_us = 0
        """What system.date added to the clock."""
        self.on_report: list[Callable[[], None]] = []
        """Told when inputs or motion are to be reported."""
        self.on_change: list[Callable[[str], None]] = []
        """Told of each alarm by the camera's word for it: m1, b2, v1."""
        self._faults_changed = asyncio.Event()
        self._home = home
        self._connections = 0
        self._seq = 0
        self._offset_us = 0
        self._resolution = engine.settings.resolution
        self._last_second = 0
        self._skip_debt = Fraction(0)

    # What tests and the control door do.

    def look(self, pan: int, tilt: int, zoom: int) -> None:
        """Looks there at once; hundredths, as in the X lines. Raises ValueError outside the ranges."""
        self.mount.look((pan, tilt, zoom), time.monotonic())

    def fault(self, fault: str | Fault) -> None:
        """From now on (or as it says) this goes wrong; raises ValueError for what is no fault."""
        self.faults.add(parse(fault) if isinstance(fault, str) else fault, time.monotonic())
        self._faults_changed.set()

    def clear(self, name: str | None = None) -> None:
        """Takes back all faults of that name, or all. Raises ValueError for an unknown name."""
        self.faults.clear(None if name is None else Name(name))
        self._faults_changed.set()

    def pin(self, number: int, state: str) -> None:
        """Input 1 or 2 is `make` or `break` from now on, and reported where it changes. Raises ValueError."""
        if number not in self.pins or state not in ("make", "break"):
            raise ValueError(f"input {number} cannot be {state!r}: 1 or 2, make or break")
        if self.pins[number] != state:
            self.pins[number] = state
            self._change(f"{state[0]}{number}")
            self._report()

    def see_motion(self, seen: bool) -> None:
        """Motion begins, goes on (reported again) or ends (reported where the options say so)."""
        was, self.motion = self.motion, seen
        if seen:
            self._change("v1")
        if seen or (was and self.options.alarm_off):
            self._report()

    def change(self, **settings: Any) -> None:
        """Changes encode settings (options.EncodeSettings) of the running stream. Raises ValueError."""
        new = replace(self.engine.settings, **settings)
        if new == self.engine.settings:
            return
        if len(self.engine.takers) > 1:
            self._home.own_engine(self, new)
        else:
            self.engine.change(new)

    @property
    def sent(self) -> list[SentVop]:
        """What was due to clients so far, oldest first; at most `keep_sent`."""
        return list(self.truth.records)

    @property
    def open_viewers(self) -> list[Stream]:
        """The video connections there are."""
        return [viewer for viewer in self.viewers if not viewer.closed]

    @property
    def settings(self) -> EncodeSettings:
        return self.engine.settings

    def clock_us(self) -> int:
        """The camera's own clock now, microseconds UTC."""
        offset_us = self._wrong_by_us(self.faults.now(time.monotonic()))
        return self.engine.crystal.at(time.monotonic_ns() // 1000) + offset_us

    def active(self) -> Mapping[Name, str]:
        """The faults that hold now."""
        return self.faults.now(time.monotonic())

    def spend(self, name: Name) -> None:
        """An event among the faults has happened."""
        self.faults.spend(name, time.monotonic())

    # What the engine asks and gives.

    def looks_at(self, mono_s: float) -> Position:
        return self.mount.at(mono_s)

    def skips(self) -> bool:
        share = self.active().get(Name.DROP_FRAMES)
        if share is None:
            return False
        self._skip_debt += Fraction(share)
        if self._skip_debt < 1:
            return False
        self._skip_debt -= 1
        return True

    def take(self, shot: Shot) -> None:
        """Sends a picture to every client, with this camera's time, words and faults."""
        now_s = time.monotonic()
        faults = self.faults.now(now_s)
        self._seq += 1
        if shot.picture.body.key:
            # A clock that steps or a VOL that changes shows at the next I-VOP: only there time begins anew.
            self._offset_us = self._wrong_by_us(faults)
            self._resolution = int(faults.get(Name.VOL_CHANGE, shot.settings.resolution))
        resolution = self._resolution
        ticks = shot.ticks * resolution // shot.settings.resolution + self._offset_us * resolution // _US
        second_before, self._last_second = self._last_second, ticks // resolution
        if not self.viewers:
            return
        unit = self._unit(shot, ticks, second_before, faults)
        for viewer in tuple(self.viewers):
            viewer.offer(unit, faults)
        for name in faults:
            if name in EVENTS and name != Name.ALARM_CUT:
                self.faults.spend(name, now_s)
        self.viewers = self.open_viewers

    # What the HTTP door does.

    def stream(self, sock: socket.socket, *, ptz: bool) -> None:
        """Begins a stream on that connection, which is the camera's from now on."""
        faults = self.active()
        begin = "p" if Name.P_FIRST in faults else "key" if self.options.join == "key" else "any"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.options.send_buffer_bytes)
        viewer = Viewer(
            self.next_connection(),
            lambda on_progress, on_end: Outlet(sock, on_progress, on_end),
            replace(self.options, camera_id=self.camera_id),
            self.truth,
            self.chance,
            client=sock.getpeername()[:2],
            ptz=ptz,
            begin=begin,
        )
        head = answer_head(self.options, self.settings.rate_text, self.settings.frame_size, ptz=ptz)
        if Name.ENDLESS_HEAD in faults:
            viewer.answer(head[:-2], endless=True)
        else:
            viewer.answer(head, later=Name.STALL in faults)
        self.viewers.append(viewer)

    def next_connection(self) -> int:
        """The number of another stream, counted from 1."""
        self._connections += 1
        return self._connections

    def record_of(self, unit: Unit, connection: int) -> SentVop:
        """What is written down of a VOP that is due on a stream."""
        return record(replace(self.options, camera_id=self.camera_id), unit, connection, sent=True, why="")

    def end_streams(self, *, reset: bool = False) -> None:
        """Ends all video connections, as at a restart."""
        for viewer in self.viewers:
            viewer.end(reset=reset)
        self.viewers = self.open_viewers

    async def watch_faults(self) -> None:
        """Lets clock, pace and doors follow the faults that hold; runs until cancelled."""
        while True:
            self._faults_changed.clear()
            now_s = time.monotonic()
            faults = self.faults.now(now_s)
            self._follow(faults)
            for react in self.on_faults:
                react(faults)
            change_s = self.faults.next_change_s(now_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if change_s is None else max(0.0, change_s - time.monotonic())):
                    await self._faults_changed.wait()

    def _follow(self, faults: Mapping[Name, str]) -> None:
        drift_ppm = self.options.clock_drift_ppm + float(faults.get(Name.CLOCK_DRIFT, 0))
        apart = drift_ppm != self.engine.crystal.drift_ppm or Name.DROP_FRAMES in faults
        if apart and len(self.engine.takers) > 1:
            self._home.own_engine(self, self.engine.settings)
        self.engine.drift(drift_ppm)

    def _unit(self, shot: Shot, ticks: int, second_before: int, faults: Mapping[Name, str]) -> Unit:
        resolution = self._resolution
        second, increment = divmod(ticks, resolution)
        body = shot.picture.body
        modulo, gov_second = max(0, second - second_before), second
        match faults.get(Name.VOP_TIMES):
            case "constant":
                modulo, increment, gov_second = 0, 0, 0
            case "nonsense":
                modulo, increment = self.chance.randrange(4), self.chance.randrange(resolution)
                gov_second = self.chance.randrange(86_400)
        if body.key:
            modulo = 0  # its GOV says the second
        return Unit(
            self._seq,
            body.key,
            self._headers(shot, ticks, gov_second) if body.key else b"",
            body.timed(modulo, increment, increment_bits(resolution)),
            ticks,
            resolution,
            self.mount.at(shot.mono_s),
            shot.picture.counter,
            shot.picture.clock_ms,
            shot.captured_at_us,
        )

    def _headers(self, shot: Shot, ticks: int, gov_second: int) -> bytes:
        """VOL, Userdata1, GOV, Userdata2 in the guide's order (guide 2.5)."""
        settings = shot.settings
        fixed = settings.ticks_per_picture * self._resolution // settings.resolution
        said = user_data_2(
            self.options.model,
            ticks * _US // self._resolution,
            self.camera_id,
            self.mount.preset(shot.mono_s),
            fan=self.fan_failed,
            tracking=self.tracking,
        )
        return b"".join(
            (
                vol(*settings.size, self._resolution, fixed if self.options.fixed_vop_rate else 0),
                USER_DATA_START,
                self.options.user_data_1,
                gov(gov_second),
                said,
            )
        )

    def _wrong_by_us(self, faults: Mapping[Name, str]) -> int:
        """How far this camera's clock is from its engine's crystal."""
        offset_s = self.options.clock_offset_s + float(faults.get(Name.CLOCK_OFFSET, 0))
        return round(offset_s * _US) + self.set_clock_us

    def _change(self, word: str) -> None:
        for hear in self.on_change:
            hear(word)

    def _report(self) -> None:
        if Name.ALARM_SILENT not in self.active():
            for report in self.on_report:
                report()

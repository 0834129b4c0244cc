"""The alarm port: blocks of three lines to whoever listens (guide 4, fact sheet 4)."""

import asyncio
import socket
from collections import deque
from collections.abc import Mapping
from typing import Final

from nvr.simulator.camera import Camera
from nvr.simulator.faults import Name
from nvr.simulator.listener import Listener
from nvr.simulator.outlet import Outlet

_CLIENTS: Final = 10  # guide 4: the eleventh is accepted and closed
_PIECE_S: Final = 0.02
_MOST_WAITING: Final = 65_536  # bytes; a client that reads nothing is let go


class AlarmDoor:
    """The alarm port of one camera. `run` serves until cancelled."""

    def __init__(self, camera: Camera) -> None:
        """Raises OSError where the port cannot be had."""
        self._camera = camera
        options = camera.options
        self._listener = Listener(options.host, options.alarm_port, self._serve, f"alarms {options.camera_id}")
        self.port = self._listener.port
        self._clients: list[_Client] = []
        camera.on_report.append(self._report)
        camera.on_faults.append(self._follow)

    async def run(self) -> None:
        try:
            await self._listener.run()
        finally:
            self._cut(reset=True)

    def close(self) -> None:
        """Gives the port back."""
        self._listener.close()

    async def _serve(self, sock: socket.socket, client: str) -> None:
        self._clients = [link for link in self._clients if not link.outlet.closed]
        if len(self._clients) >= _CLIENTS:
            sock.close()
            return
        options = self._camera.options
        link = _Client(sock, options.alarm_pieces)
        self._clients.append(link)
        if options.alarm_greeting:
            link.say(self._block())
        if options.alarm_cut_s:
            asyncio.get_running_loop().call_later(options.alarm_cut_s, link.outlet.finish)

    def _report(self) -> None:
        block = self._block()
        for link in self._clients:
            link.say(block)

    def _block(self) -> bytes:
        pins = self._camera.pins
        return (
            f"peripheral.input_pin.pin(1).status={pins[1]}\r\n"
            f"peripheral.input_pin.pin(2).status={pins[2]}\r\n"
            f"video.input(1).detection(motion).status={'on' if self._camera.motion else 'off'}\r\n"
        ).encode("ascii")

    def _follow(self, faults: Mapping[Name, str]) -> None:
        if Name.ALARM_REFUSE in faults:
            self._listener.refuse()
        else:
            self._listener.listen()
        if Name.ALARM_CUT in faults:
            self._cut(reset=faults[Name.ALARM_CUT] == "rst")
            self._camera.spend(Name.ALARM_CUT)

    def _cut(self, *, reset: bool) -> None:
        for link in self._clients:
            link.outlet.abort(reset=reset)
        self._clients.clear()


class _Client:
    """One link; says what it is told, in pieces where the options say so."""

    def __init__(self, sock: socket.socket, piece_bytes: int) -> None:
        self.outlet = Outlet(sock, lambda: None, lambda: None)
        self._piece_bytes = piece_bytes
        self._pieces: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def say(self, block: bytes) -> None:
        if self.outlet.backlog + sum(map(len, self._pieces)) > _MOST_WAITING:
            self.outlet.abort()
        elif not self._piece_bytes:
            self.outlet.write(block)
        else:
            step = self._piece_bytes
            self._pieces.extend(block[at : at + step] for at in range(0, len(block), step))
            if self._timer is None:
                self._next_piece()

    def _next_piece(self) -> None:
        self._timer = None
        if self._pieces and not self.outlet.closed:
            self.outlet.write(self._pieces.popleft())
            self._timer = asyncio.get_running_loop().call_later(_PIECE_S, self._next_piece)

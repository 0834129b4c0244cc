"""The door behind the camera, for tests in other processes: faults, pins, position, and what was sent.

`GET /simulator/…` on a camera's own HTTP port, `GET /simulator/<n>/…` (from 1) on the control port. Answers JSON.

    fault?add=NAME[:ARG][@AFTER][+FOR]    fault?clear=NAME    fault?clear=all
    pin?1=make    pin?2=break             motion?state=on|off
    look?pan=&tilt=&zoom=                 hundredths; at once
    encode?frame_rate=&frame_size=&i_interval=&bitrate_bps=
    state                                 what holds now
    sent                                  JSON lines, one SentVop each
"""

import asyncio
import json
import socket
import time
from fractions import Fraction
from typing import Any, Final
from urllib.parse import unquote

from nvr.simulator.camera import Camera
from nvr.simulator.http import Request, answer
from nvr.simulator.listener import Listener
from nvr.simulator.wire import exchange

_SERVER: Final = "nvr simulator"


class Control:
    """Carries out what a request asks, on one camera."""

    def __init__(self) -> None:
        self._cameras: list[Camera] = []

    def know(self, camera: Camera) -> None:
        self._cameras.append(camera)

    def camera(self, number: int) -> Camera | None:
        """Cameras count from 1."""
        return self._cameras[number - 1] if 1 <= number <= len(self._cameras) else None

    def answer(self, camera: Camera, request: Request) -> bytes:
        """A whole HTTP answer; 400 with one sentence for what makes no sense."""
        what = request.path.rpartition("/")[2]
        items = {name: unquote(value) for name, value in request.items.items()}
        try:
            if what == "sent":
                lines = "".join(record.to_json() + "\n" for record in camera.sent)
                return answer(200, "OK", _SERVER, "application/x-ndjson", lines.encode())
            _carry_out(camera, what, items)
        except (ValueError, KeyError, ZeroDivisionError) as trouble:
            return _json(400, "Bad Request", {"error": str(trouble)})
        return _json(200, "OK", _state(camera))


class ControlDoor:
    """A port of its own for all cameras of the simulator: there also while a camera refuses connections."""

    def __init__(self, host: str, port: int, control: Control) -> None:
        """Raises OSError where the port cannot be had."""
        self._control = control
        self._listener = Listener(host, port, self._serve, "control")
        self.port = self._listener.port

    async def run(self) -> None:
        await self._listener.run()

    def close(self) -> None:
        """Gives the port back."""
        self._listener.close()

    async def _serve(self, sock: socket.socket, client: str) -> None:
        await exchange(sock, self._answer)

    async def _answer(self, request: Request) -> bytes:
        await asyncio.sleep(0)
        number = request.path.removeprefix("/simulator/").partition("/")[0]
        camera = self._control.camera(int(number)) if number.isdecimal() and len(number) < 5 else None
        if camera is None:
            return _json(404, "Not Found", {"error": "say /simulator/<n>/…, cameras count from 1"})
        return self._control.answer(camera, request)


def _carry_out(camera: Camera, what: str, items: dict[str, str]) -> None:
    match what:
        case "state":
            pass
        case "fault" if "add" in items:
            camera.fault(items["add"])
        case "fault":
            camera.clear(None if items["clear"] == "all" else items["clear"])
        case "pin":
            for number, state in items.items():
                camera.pin(int(number), state)
        case "motion":
            camera.see_motion({"on": True, "off": False}[items["state"]])
        case "look":
            camera.look(int(items["pan"]), int(items["tilt"]), int(items["zoom"]))
        case "encode":
            camera.change(**{name: _SETTING[name](value) for name, value in items.items()})
        case _:
            raise ValueError(f"{what!r} is none of fault, pin, motion, look, encode, state, sent")


_SETTING: Final[dict[str, Any]] = {
    "frame_rate": Fraction,
    "frame_size": str,
    "i_interval": int,
    "bitrate_bps": int,
    "resolution": int,
}


def _state(camera: Camera) -> dict[str, Any]:
    settings = camera.settings
    return {
        "camera": camera.camera_id,
        "model": camera.options.model,
        "clock_us": camera.clock_us(),
        "position": camera.looks_at(time.monotonic()),
        "pins": dict(camera.pins),
        "motion": camera.motion,
        "faults": dict(camera.active()),
        "viewers": len(camera.open_viewers),
        "frame_size": settings.frame_size,
        "frame_rate": settings.rate_text,
        "i_interval": settings.i_interval,
        "bitrate_bps": settings.bitrate_bps,
        "resolution": settings.resolution,
    }


def _json(status: int, reason: str, body: dict[str, Any]) -> bytes:
    return answer(status, reason, _SERVER, "application/json", json.dumps(body).encode())

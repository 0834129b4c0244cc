"""The HTTP door of one camera: reads a request, answers it or hands the connection to a stream."""

import asyncio
import socket
from collections.abc import Mapping

from nvr.simulator.camera import Camera
from nvr.simulator.control import Control
from nvr.simulator.events import Events
from nvr.simulator.faults import Name
from nvr.simulator.http import BadRequest, Request, answer, page
from nvr.simulator.jpeg_door import JpegDoor
from nvr.simulator.listener import Listener
from nvr.simulator.params import Params
from nvr.simulator.wire import hold, read_request, send


class HttpDoor:
    """The camera's HTTP port. `run` serves until cancelled."""

    def __init__(self, camera: Camera, control: Control) -> None:
        """Raises OSError where the port cannot be had."""
        self._camera = camera
        self._control = control
        self.events = Events(camera)
        self._params = Params(camera, self.events, self._restart, self._serve_elsewhere)
        self.jpeg = JpegDoor(camera)
        options = camera.options
        self._listener = Listener(options.host, options.http_port, self._serve, f"http {options.camera_id}")
        self._restarting = False
        self._params.listens_on(self._listener.port)
        camera.on_faults.append(self._follow)

    @property
    def port(self) -> int:
        return self._listener.port

    def lose_power(self) -> None:
        """The camera is without power for a moment: nothing is answered, nothing unsaved is kept."""
        self._params.lose_power()
        self._restart()

    async def run(self) -> None:
        try:
            await self._listener.run()
        finally:
            self._camera.end_streams(reset=True)

    def close(self) -> None:
        """Gives the port back."""
        self._listener.close()

    async def _serve(self, sock: socket.socket, client: str) -> None:
        try:
            request = await read_request(sock)
        except BadRequest as trouble:
            await send(sock, self._page(400, "Bad Request", str(trouble)))
            return
        if request is None:
            sock.close()
        elif request.path == "/api/video":
            await self._video(sock, request, client)
        elif request.path == "/api/param":
            await self._param(sock, request)
        elif request.path.startswith("/simulator/"):
            await send(sock, self._control.answer(self._camera, request))
        elif request.path == "/":
            await send(sock, self._page(200, "OK", self._camera.options.family))
        else:
            await send(sock, self._page(404, "Not Found", ""))

    async def _param(self, sock: socket.socket, request: Request) -> None:
        if Name.NO_API_ANSWER in self._camera.active():
            await hold(sock)
        else:
            await send(sock, self._params.answer(request))

    async def _video(self, sock: socket.socket, request: Request, client: str) -> None:
        camera = self._camera
        faults = camera.active()
        refusal = self._refusal(faults)
        if Name.NO_ANSWER in faults or self._params.is_restricted(client):
            sock.close()  # guide 2.4: a restricted address is disconnected after its request
        elif refusal is not None:
            await send(sock, refusal)
        elif request.items.get("encode") == "jpeg":
            await self.jpeg.serve(sock, request)
        elif request.items.get("encode") == "mpeg4":
            camera.stream(sock, ptz=request.items.get("ptz_info") == "on")
        else:
            await send(sock, self._page(400, "Bad Request", "encode is jpeg or mpeg4"))

    def _refusal(self, faults: Mapping[Name, str]) -> bytes | None:
        camera = self._camera
        if Name.BUSY in faults or len(camera.open_viewers) >= camera.options.video_clients:
            return self._page(503, "Service Unavailable", "too many clients")
        if Name.UNAUTHORIZED in faults:
            return self._page(401, "Unauthorized", "", 'WWW-Authenticate: Basic realm="camera"')
        if Name.HTML in faults:
            return self._page(200, "OK", "Please wait")
        return None

    def _page(self, status: int, reason: str, text: str, *more: str) -> bytes:
        server = f"JVC {self._camera.options.family} Network Camera"
        return answer(status, reason, server, "text/html", page(f"{status} {reason}", text), *more)

    def _follow(self, faults: Mapping[Name, str]) -> None:
        if Name.REFUSE in faults or self._restarting:
            self._listener.refuse()
        else:
            self._listener.listen()

    def _restart(self) -> None:
        """system.status=restart: everything ends, and for a while nobody answers."""
        self._camera.end_streams(reset=True)
        self._restarting = True
        self._camera.powered = False
        for destination in self._camera.destinations.values():
            destination.forget_unsaved()
        self._follow(self._camera.active())
        asyncio.get_running_loop().call_later(self._camera.options.restart_s, self._restarted)

    def _serve_elsewhere(self) -> None:
        self._listener.move(*self._params.http_address)

    def _restarted(self) -> None:
        self._restarting = False
        self._serve_elsewhere()
        self._camera.powered = True
        self._follow(self._camera.active())

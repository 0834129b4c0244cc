"""JPEG over HTTP: one picture, or pictures without end with or without boundaries (guide 1, fact sheet 1)."""

import asyncio
import socket
import time
from fractions import Fraction
from typing import Final

from nvr.simulator.camera import Camera
from nvr.simulator.faults import Name
from nvr.simulator.http import Request, answer, date, page
from nvr.simulator.jpeg import Facts, JpegMaker

RATES: Final = {text: Fraction(text) for text in ("30", "25", "15", "10", "7.5", "6", "5", "3", "2", "1")} | {
    f"-{seconds}": Fraction(1, seconds) for seconds in (2, 3, 5, 10, 15, 20, 30, 60)
}
"""Pictures a second by the request's words; -n is one every n seconds (guide 1.2)."""
_SLOWEST_CLIENT_S: Final = 30.0


class JpegDoor:
    """Serves requests for JPEG of one camera."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._makers: dict[str, JpegMaker] = {}
        self._making = asyncio.Lock()
        self._counter = 0

    async def serve(self, sock: socket.socket, request: Request) -> None:
        """Until the client has its picture, or closes; closes the connection."""
        items = request.items
        rate_text = items.get("framerate", "30")
        boundary, ptz = items.get("boundary") == "on", items.get("ptz_info") == "on"
        with sock:
            if rate_text == "0":
                await self._send(sock, await self._single(ptz=ptz))
            elif rate_text in RATES:
                await self._push(sock, rate_text, boundary=boundary, ptz=ptz)
            else:
                server = f"JVC {self._camera.options.family} Network Camera"
                body = page("400 Bad Request", "no such framerate")
                await self._send(sock, answer(400, "Bad Request", server, "text/html", body))

    async def _single(self, *, ptz: bool) -> bytes:
        picture = await self.picture()
        head = self._head(f"Content-Length: {len(picture)}\r\nContent-Type: image/jpeg", "0", "off", ptz=ptz)
        return head + picture

    async def _push(self, sock: socket.socket, rate_text: str, *, boundary: bool, ptz: bool) -> None:
        interval_s = float(1 / RATES[rate_text])
        picture = await self.picture()
        framing = self._camera.options.framing
        if boundary:
            kind = f"Content-Type: multipart/x-mixed-replace;boundary={framing.boundary}"
        else:
            # Guide 1.3: the size of the first picture only, though more follow.
            kind = f"Content-Length: {len(picture)}\r\nContent-Type: image/jpeg"
        await self._send(sock, self._head(kind, rate_text, "on" if boundary else "off", ptz=ptz))
        number = self._camera.next_connection()
        self._camera.jpeg_streams[number] = (sock.getpeername()[:2], rate_text, False)
        try:
            await self._push_pictures(sock, picture, interval_s, boundary=boundary, ptz=ptz)
        finally:
            del self._camera.jpeg_streams[number]

    async def _push_pictures(
        self, sock: socket.socket, picture: bytes, interval_s: float, *, boundary: bool, ptz: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not self._is_left(sock):
            if Name.STALL not in self._camera.active():
                await self._send(sock, self._part(picture, ptz=ptz) if boundary else picture)
            due_s = max(due_s + interval_s, loop.time() - interval_s)
            await asyncio.sleep(due_s - loop.time())
            picture = await self.picture()

    def _part(self, picture: bytes, *, ptz: bool) -> bytes:
        framing = self._camera.options.framing
        head = f"{framing.delimiter}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n"
        if ptz:
            pan, tilt, zoom = self._camera.looks_at(time.monotonic())
            head += f"X-Puls-Pan: {pan}\r\nX-Puls-Tilt: {tilt}\r\nX-Posi-Zoom: {zoom}\r\n"
        return head.encode("ascii") + b"\r\n" + picture + (b"\r\n" if framing.crlf_after_part else b"")

    def _head(self, kind: str, rate_text: str, boundary: str, *, ptz: bool) -> bytes:
        options = self._camera.options
        said = f"encode=jpeg&framerate={rate_text}&framesize={self._camera.jpeg_size}&boundary={boundary}"
        return (
            f"HTTP/1.1 200 OK\r\nConnection: close\r\n{kind}\r\nDate: {date()}\r\n"
            f"Server: JVC {options.family} Network Camera\r\n"
            f"{options.response_header}: {said}&ptz_info={'on' if ptz else 'off'}\r\n\r\n"
        ).encode("ascii")

    async def picture(self) -> bytes:
        """One of now, as the camera makes it."""
        camera = self._camera
        async with self._making:  # one encoder in the camera
            size = camera.jpeg_size
            maker = self._makers.get(size)
            if maker is None:
                maker = self._makers[size] = JpegMaker(size, camera.options.seed)
            self._counter += 1
            now_s = time.monotonic()
            facts = Facts(
                camera.options.model,
                camera.clock_us(),
                camera.camera_id,
                camera.motion_detection,
                camera.motion,
                camera.looks_at(now_s),
                camera.mount.preset(now_s),
                camera.fan_failed,
                camera.tracking,
            )
            return await asyncio.to_thread(maker.picture, facts, self._counter)

    async def _send(self, sock: socket.socket, data: bytes) -> None:
        async with asyncio.timeout(_SLOWEST_CLIENT_S):
            await asyncio.get_running_loop().sock_sendall(sock, data)

    def _is_left(self, sock: socket.socket) -> bool:
        """Whether the client closed its side."""
        try:
            return not sock.recv(4096)
        except BlockingIOError:
            return False

"""A load of many cameras from one cheap process: real MPEG-4 pictures, encoded once, sent with a time that goes on.

    python -m bench.source --cameras 50

Prints one line of JSON (ports and bit rate), then serves until SIGTERM or --seconds. Each camera has an HTTP port and
an alarm port, and knows four paths: `/api/video?encode=mpeg4&ptz_info=on` (a part per VOP, fact sheet 2.2), the
same with `ptz_info=off`, and `/raw` (the bare stream from the next I-VOP on, for recorders that cannot bear to start
with a P-VOP), and `/alarm?make` or `/alarm?break`, which reports input 1 so to whoever listens to the camera's alarms,
and answers when (CLOCK_MONOTONIC, nanoseconds). `/stats` on any port says what was sent.

It is a load, not a simulator: it never misbehaves and knows no parameter API. Its own CPU is counted for nobody.
"""

import argparse
import json
import select
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from types import FrameType

import av
import av.filter

FPS = 30
WIDTH, HEIGHT = 640, 480
BIT_RATE_BPS = 2_000_000

_LOOP_S = 10
_SETTLE_S = 10  # what the encoder's rate control needs until it holds the bit rate
_PHASES = 10  # cameras send at one of ten moments in a picture's time: real ones are not in step
_DAY_S = 86_400
_MAX_REQUEST = 4096
_MAX_BACKLOG = 1 << 20  # four seconds of one camera; a viewer further behind is cut off, and said so in the statistics

_VOL_START = b"\x00\x00\x01\x20"
_GOV_START = b"\x00\x00\x01\xb3"
_VOP_START = b"\x00\x00\x01\xb6"
_USER_DATA_START = b"\x00\x00\x01\xb2"
_GOV_BYTES = 7  # start code, 18 bits of time code, two flags, stuffing


@dataclass(frozen=True, slots=True)
class Picture:
    """One VOP of the loop and, for an I-VOP, the VOL headers before it."""

    headers: bytes
    vop: bytes

    @property
    def key(self) -> bool:
        return bool(self.headers)


def encode_loop(seconds: int = _LOOP_S) -> list[Picture]:
    """VGA, 30 fps, 2 Mbit/s of a noisy test picture; an I-VOP each second, no B-VOPs, the first picture is an I-VOP."""
    codec = av.CodecContext.create("mpeg4", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, FPS), Fraction(FPS)
    codec.bit_rate, codec.gop_size, codec.max_b_frames = BIT_RATE_BPS, FPS, 0
    codec.options = {"flags": "+bitexact", "sc_threshold": "1000000000"}
    packets = []
    for count, frame in enumerate(_noisy_frames(_SETTLE_S + seconds)):
        frame.pts, frame.time_base, frame.pict_type = count, Fraction(1, FPS), av.video.frame.PictureType.NONE
        packets += [bytes(packet) for packet in codec.encode(frame)]
    packets += [bytes(packet) for packet in codec.encode(None)]
    return [_picture(packet) for packet in packets[_SETTLE_S * FPS :]]


def _noisy_frames(seconds: int) -> Iterator[av.VideoFrame]:
    graph = av.filter.Graph()
    nodes = [
        graph.add("testsrc2", f"size={WIDTH}x{HEIGHT}:rate={FPS}:duration={seconds}"),
        graph.add("noise", "alls=12"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    for _ in range(seconds * FPS):
        frame = graph.pull()
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _picture(packet: bytes) -> Picture:
    vop = packet.index(_VOP_START)
    gov = packet.find(_GOV_START, 0, vop)
    if gov < 0:
        return Picture(b"", packet[vop:])
    assert _VOL_START in packet[:gov], "an I-VOP without VOL cannot be a point to start at"
    assert vop - gov == _GOV_BYTES, "the encoder put something between GOV and I-VOP"
    return Picture(packet[:gov], packet[vop:])


def gov(second: int) -> bytes:
    """A group of VOPs header whose time_code is that second of a day (ISO/IEC 14496-2, 6.2.4), closed, not broken."""
    second %= _DAY_S
    hours, minutes, seconds = second // 3600, second // 60 % 60, second % 60
    time_code = hours << 13 | minutes << 7 | 1 << 6 | seconds  # 5 bits, 6 bits, a marker, 6 bits
    bits = time_code << 6 | 0b10_0111  # closed_gov, not broken_link, and 0111 up to the byte
    return _GOV_START + bits.to_bytes(3, "big")


def user_data(name: str, now: float) -> bytes:
    """The camera's own words before an I-VOP (fact sheet 2.3, Userdata2)."""
    stamp = datetime.fromtimestamp(now, UTC)
    items = (
        ("type = VN-V686U", 18),
        (f"Timestamp = {stamp:%Y%m%d%H%M%S}{stamp.microsecond // 1000:03}UTC", 70),
        (f"camera = {name}", 50),
        ("position = 0", 15),
        ("fan = 0", 8),
        ("track_status = 0", 17),
    )
    return _USER_DATA_START + b"".join(text.encode().ljust(size, b"\0") for text, size in items)


MOTIONS = ("rest", "patrol", "sweep", "none")
"""At rest, on patrol (3 s of movement every 20 s), always turning; or parts that say nothing of it."""


def position(motion: str, picture: int) -> tuple[int, int, int] | None:
    """Where a camera looks at its n-th picture."""
    if motion == "none":
        return None
    if motion == "sweep":
        return picture * 13 % 36_000, 500 + picture % 9_000, picture % 9_000
    if motion == "patrol":
        leg, along = divmod(picture, 20 * FPS)
        moved = leg * 90 + min(along, 3 * FPS)
        return moved * 50 % 36_000, 500, 1_000
    return 12_345, 678, 90


def elementary(shown: Picture, picture: int, camera: int) -> bytes:
    """The bytes of the camera's n-th picture, with what a camera sends before an I-VOP (fact sheet 2.3)."""
    if not shown.key:
        return shown.vop
    told = user_data(f"bench{camera:02}", time.time())
    reserved = _USER_DATA_START + b"reserved"
    return b"".join((shown.headers, reserved, gov(picture // FPS), told, shown.vop))


def answer_head(parts: bool) -> bytes:
    """The head of the answer to a request for video (fact sheet 2.1)."""
    return (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: video/mp4v-es\r\n"
        b"Date: Tue, 02 Oct 2008 07:33:12 GMT\r\nServer: JVC VN-V686 Network Camera\r\n"
        b"x-vnv686_response: encode=mpeg4&framerate=30&framesize=vga&ptz_info=%s\r\n\r\n" % (b"on" if parts else b"off")
    )


def alarm_block(pin1: str) -> bytes:
    """What the alarm port says at connect and at a change (fact sheet 4)."""
    return (
        b"peripheral.input_pin.pin(1).status=%s\r\nperipheral.input_pin.pin(2).status=break\r\n"
        b"video.input(1).detection(motion).status=off\r\n" % pin1.encode()
    )


def part_head(size: int, looks_at: tuple[int, int, int] | None) -> bytes:
    """What stands before a VOP with ptz_info=on (fact sheet 2.2); CR LF stands after it."""
    head = b"--foo\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n" % size
    if looks_at is None:
        return head + b"\r\n"
    return head + b"X-Puls-Pan: %d\r\nX-Puls-Tilt: %d\r\nX-Posi-Zoom: %d\r\n\r\n" % looks_at


@dataclass(slots=True, eq=False)
class _Viewer:
    sock: socket.socket
    parts: bool
    wants_key: bool
    backlog: bytearray = field(default_factory=bytearray)


@dataclass(slots=True, eq=False)
class _Camera:
    number: int
    http: socket.socket
    alarm: socket.socket
    viewers: list[_Viewer] = field(default_factory=list)
    listeners: list[socket.socket] = field(default_factory=list)
    """To its alarms."""


class Source:
    """All cameras and their one loop. Not thread-safe; `run` is everything."""

    def __init__(self, pictures: Sequence[Picture], cameras: int, motion: str = "rest") -> None:
        self._pictures = pictures
        self._motion = motion
        self._epoll = select.epoll()
        self._cameras = [_Camera(n, _listening(), _listening()) for n in range(cameras)]
        self._listeners: dict[int, tuple[socket.socket, _Camera]] = {}
        self._asking: dict[int, tuple[socket.socket, _Camera, bytearray]] = {}
        self._viewing: dict[int, tuple[_Viewer, _Camera]] = {}
        self._alarmed: dict[int, tuple[socket.socket, _Camera]] = {}
        self._stopped = False
        self.statistics = {"pictures": 0, "picture_bytes": 0, "held_up": 0, "cut_off": 0, "late_max_ms": 0}
        for camera in self._cameras:
            for sock in (camera.http, camera.alarm):
                self._listeners[sock.fileno()] = (sock, camera)
                self._epoll.register(sock, select.EPOLLIN)

    @property
    def ports(self) -> list[dict[str, int]]:
        """Each camera's ports, all on 127.0.0.1."""
        return [{"http_port": c.http.getsockname()[1], "alarm_port": c.alarm.getsockname()[1]} for c in self._cameras]

    def stop(self) -> None:
        self._stopped = True

    def run(self, seconds: float) -> None:
        """Serves until `stop` or that long."""
        begun = time.monotonic()
        step_s = 1 / (FPS * _PHASES)
        step = 0
        while not self._stopped and step * step_s < seconds:
            wait_s = begun + step * step_s - time.monotonic()
            self._serve(max(0.0, wait_s))
            if (late_s := time.monotonic() - begun - step * step_s) >= 0:
                self.statistics["late_max_ms"] = max(self.statistics["late_max_ms"], int(late_s * 1000))
                picture, phase = divmod(step, _PHASES)
                for camera in self._cameras[phase::_PHASES]:
                    if camera.viewers:
                        self._show(camera, picture)
                step += 1
        self._close()

    def _show(self, camera: _Camera, picture: int) -> None:
        # Cameras were switched on at different moments: neither their I-VOPs nor their clocks are in step.
        picture += camera.number * 37
        shown = self._pictures[picture % len(self._pictures)]
        data = elementary(shown, picture, camera.number)
        part = None
        for viewer in tuple(camera.viewers):
            if viewer.wants_key and not shown.key:
                continue
            viewer.wants_key = False
            self.statistics["pictures"] += 1
            self.statistics["picture_bytes"] += len(data)
            if viewer.parts:
                part = part or part_head(len(data), position(self._motion, picture))
                self._send(viewer, [part, data, b"\r\n"])
            else:
                self._send(viewer, [data])

    def _send(self, viewer: _Viewer, pieces: list[bytes]) -> None:
        size = sum(map(len, pieces))
        if viewer.backlog:
            viewer.backlog += b"".join(pieces)
            if len(viewer.backlog) > _MAX_BACKLOG:
                self.statistics["cut_off"] += 1
                self._part_with(viewer.sock.fileno())
            return
        try:
            sent = viewer.sock.sendmsg(pieces)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._part_with(viewer.sock.fileno())
            return
        if sent < size:
            self.statistics["held_up"] += 1
            viewer.backlog += b"".join(pieces)[sent:]
            self._epoll.modify(viewer.sock, select.EPOLLIN | select.EPOLLOUT)

    def _serve(self, wait_s: float) -> None:
        for fd, events in self._epoll.poll(wait_s):
            if fd in self._listeners:
                self._accept(*self._listeners[fd])
            elif fd in self._asking:
                self._read_request(fd)
            elif events & ~select.EPOLLOUT:
                self._read_nothing(fd)
            else:
                self._catch_up(fd)

    def _accept(self, listener: socket.socket, camera: _Camera) -> None:
        sock, _ = listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if listener is camera.alarm:
            self._alarmed[sock.fileno()] = (sock, camera)
            camera.listeners.append(sock)
            sock.send(alarm_block("break"))
        else:
            self._asking[sock.fileno()] = (sock, camera, bytearray())
        self._epoll.register(sock, select.EPOLLIN)

    def _read_request(self, fd: int) -> None:
        sock, camera, read = self._asking[fd]
        data = _received(sock)
        read += data
        if b"\r\n\r\n" in read and len(read) <= _MAX_REQUEST:
            del self._asking[fd]
            self._answer(sock, camera, read.split(b" ", 2)[1].decode("latin-1"))
        elif not data or len(read) > _MAX_REQUEST:
            del self._asking[fd]
            sock.close()

    def _answer(self, sock: socket.socket, camera: _Camera, path: str) -> None:
        if path == "/stats":
            body = json.dumps(self.statistics | {"viewers": len(self._viewing)}).encode()
            sock.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            sock.close()
        elif path in ("/alarm?make", "/alarm?break"):
            sent_ns = _report(camera, path.partition("?")[2])
            sock.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d" % sent_ns)
            sock.close()
        elif path == "/raw" or path.startswith("/api/video?encode=mpeg4"):
            parts = "ptz_info=on" in path
            sock.send(answer_head(parts))
            viewer = _Viewer(sock, parts, wants_key=path == "/raw")
            camera.viewers.append(viewer)
            self._viewing[sock.fileno()] = (viewer, camera)
        else:
            sock.send(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            sock.close()

    def _read_nothing(self, fd: int) -> None:
        """A viewer or alarm client that says something is ignored; one that has gone is let go."""
        sock = self._alarmed[fd][0] if fd in self._alarmed else self._viewing[fd][0].sock
        if not _received(sock):
            self._part_with(fd)

    def _catch_up(self, fd: int) -> None:
        viewer, _ = self._viewing[fd]
        try:
            del viewer.backlog[: viewer.sock.send(viewer.backlog)]
        except BlockingIOError:
            return
        except OSError:
            self._part_with(fd)
            return
        if not viewer.backlog:
            self._epoll.modify(viewer.sock, select.EPOLLIN)

    def _part_with(self, fd: int) -> None:
        if fd in self._alarmed:
            sock, camera = self._alarmed.pop(fd)
            camera.listeners.remove(sock)
            sock.close()
            return
        viewer, camera = self._viewing.pop(fd)
        camera.viewers.remove(viewer)
        viewer.sock.close()

    def _close(self) -> None:
        everything = [
            *(sock for sock, _ in self._listeners.values()),
            *(sock for sock, _, _ in self._asking.values()),
            *(viewer.sock for viewer, _ in self._viewing.values()),
            *(sock for sock, _ in self._alarmed.values()),
        ]
        for sock in everything:
            sock.close()
        self._epoll.close()


def _report(camera: _Camera, pin1: str) -> int:
    """Tells everybody who listens to the camera's alarms; when, by CLOCK_MONOTONIC in nanoseconds."""
    sent_ns = time.monotonic_ns()
    for sock in camera.listeners:
        with suppress(OSError):  # one that has gone is let go when it is read
            sock.send(alarm_block(pin1))
    return sent_ns


def _listening() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def _received(sock: socket.socket) -> bytes:
    """What is there; empty when the other side has gone."""
    try:
        return sock.recv(_MAX_REQUEST)
    except OSError:
        return b""


def main() -> None:
    """Serves from the command line."""
    parser = argparse.ArgumentParser(description="A cheap load of many cameras on 127.0.0.1.")
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--motion", choices=MOTIONS, default="rest")
    parser.add_argument("--seconds", type=float, default=3600, help="ends by itself after this long")
    asked = parser.parse_args()

    pictures = encode_loop()
    source = Source(pictures, asked.cameras, asked.motion)

    def stop(_number: int, _frame: FrameType | None) -> None:
        source.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    bit_rate = sum(len(p.headers) + len(p.vop) for p in pictures) * 8 * FPS // len(pictures)
    print(json.dumps({"cameras": source.ports, "bit_rate_bps": bit_rate, "fps": FPS}), flush=True)
    source.run(asked.seconds)


if __name__ == "__main__":
    main()

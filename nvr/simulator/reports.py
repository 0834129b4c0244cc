"""What the camera says of itself in many lines: to whom it sends, and what happened (guide 6.18, fact sheet 5.6)."""

import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from nvr.simulator.camera import Camera

_OK: Final = "200 OK"
_MOST_BYTES: Final = 10_240  # guide 6.18
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_US: Final = 1_000_000


def sessions(camera: Camera) -> str:
    """The answer to system.session."""
    settings = camera.settings
    streams = [
        (viewer.number, viewer.client, viewer.is_multicast, "mpeg4", settings.rate_text, settings.frame_size)
        for viewer in camera.open_viewers
    ]
    streams += [
        (number, client, is_multicast, "jpeg", rate, camera.jpeg_size)
        for number, (client, rate, is_multicast) in sorted(camera.jpeg_streams.items())
    ]
    rates_k = [_rate_k(camera, kind, rate) for _, _, _, kind, rate, _ in streams]
    lines = [
        f"system.session=&{_OK}",
        f"system.session.total_bitrate={sum(rates_k)}k&{_OK}",
        f"system.session.sending_count={len(streams)}&{_OK}",
        f"system.session.sending_max={camera.options.video_clients}&{_OK}",
    ]
    for (number, client, is_multicast, kind, rate, size), rate_k in zip(streams, rates_k, strict=True):
        name = f"system.session.sending({number % 100:02})"
        values = {
            "bitrate": f"{rate_k}k",
            "to.ip": client[0],
            "to.port": str(client[1]),
            "to.protocol": "multicast" if is_multicast else "tcp_passive",
            "to.session": "rtp" if is_multicast else "http",
            "from.encode": kind,
            "from.framerate": rate,
            "from.framesize": size,
        }
        lines += [f"{name}.{key}={value}&{_OK}" for key, value in values.items()]
    return "\r\n".join(lines)


class Log:
    """The camera's log; told each alarm."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._born_s = time.monotonic()
        self._lines: deque[str] = deque()
        if camera.options.logs_alarms:
            camera.on_change.append(self._note)

    def clear(self) -> None:
        """As at power off (guide 6.18)."""
        self._born_s = time.monotonic()
        self._lines.clear()

    def text(self) -> str:
        """The answer to system.log."""
        alive_s = int(time.monotonic() - self._born_s)
        return "\r\n".join((f"system.log=&{_OK}", f"system alive time: {alive_s}sec", *self._lines))

    def _note(self, word: str) -> None:
        at = datetime.fromtimestamp(self._camera.clock_us() / _US, UTC)
        what = "Motion Detect" if word == "v1" else f"Alarm Detect ({word})"
        host = self._camera.options.family.lower()
        self._lines.append(f"{_MONTHS[at.month - 1]} {at.day:2} {at:%H:%M:%S} {host} user.info evman: {what}")
        while sum(len(line) + 2 for line in self._lines) > _MOST_BYTES:
            self._lines.popleft()


def _rate_k(camera: Camera, kind: str, rate: str) -> int:
    if kind == "mpeg4":
        return camera.settings.bitrate_bps // 1000
    pictures_s = 1 / -float(rate) if rate.startswith("-") else float(rate)
    return round(40 * 8 * pictures_s)  # encode(1).quality of 40k

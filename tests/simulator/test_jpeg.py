"""JPEG of a simulated camera: one, many, and what stands in its comment segment."""

import io
import time

import av
import pytest

from nvr.simulator.scene import read_counter
from nvr.simulator.server import Simulator
from tests.simulator.client import Answer, asked, connected, request, run, small, whole_parts

_SIZES = (9, 18, 13, 14, 18, 12, 70, 13, 50, 11, 7, 13, 14, 13, 15, 15, 8, 17, 30, 26)


def _segments(file: bytes) -> list[tuple[int, bytes]]:
    """Markers and contents up to SOS, after fact sheet 1.4."""
    assert file.startswith(b"\xff\xd8")
    found = []
    at = 2
    while True:
        assert file[at] == 0xFF
        length = int.from_bytes(file[at + 2 : at + 4], "big")
        found.append((file[at + 1], file[at + 4 : at + 2 + length]))
        if file[at + 1] == 0xDA:
            return found
        at += 2 + length


def _counter(file: bytes) -> tuple[int, int] | None:
    with av.open(io.BytesIO(file), mode="r", format="mjpeg") as container:
        frame = next(container.decode(video=0))
    luma = frame.planes[0]
    return read_counter(bytes(luma), frame.width, frame.height, luma.line_size)


def test_one_picture_is_laid_out_as_the_camera_does_it() -> None:
    async def story() -> Answer:
        camera = small(camera_id="Yard", position=(12_345, 9_000, 1_234), clock_offset_s=-10)
        async with Simulator(camera) as simulator:
            simulator.camera.see_motion(True)
            return await asked(simulator.http_port, "/api/video?encode=jpeg&framerate=0&boundary=on&ptz_info=off")

    answer = run(story())
    assert answer.headers["x-vnv685_response"] == "encode=jpeg&framerate=0&framesize=vga&boundary=off&ptz_info=off"
    file = answer.body
    assert int(answer.headers["Content-Length"]) == len(file)
    assert file.endswith(b"\xff\xd9")
    segments = _segments(file)
    markers = [marker for marker, _ in segments]
    assert [marker for at, marker in enumerate(markers) if at == 0 or markers[at - 1] != marker] == [
        0xE0, 0xFE, 0xC4, 0xDB, 0xDD, 0xC0, 0xDA,
    ]  # fmt: skip
    comment = segments[1][1]
    assert len(comment) == sum(_SIZES) == 386
    items = [comment[sum(_SIZES[:at]) : sum(_SIZES[: at + 1])] for at in range(len(_SIZES))]
    assert items[0] == b"JVC V1.0\x00"
    assert all(item.endswith(b"\x00") for item in items)
    said = dict(item.rstrip(b"\x00").decode().split(" = ", 1) for at, item in enumerate(items) if at not in (0, 7))
    stamp = said.pop("timestamp")
    assert said == {
        "size": str(len(file)), "width": "640", "height": "480", "type": "VN-V685U", "reverse": "0", "camera": "Yard",
        "motion": "1", "md": "1", "pan": "123.45", "tilt": "90.00", "zoom": "12.34", "position": "NA",
        "stabilizer": "0", "fan": "0", "track_status": "0", "track_area": "0,0-0,0", "track_color": "0-0-0",
    }  # fmt: skip
    counter = _counter(file)
    assert counter is not None
    seconds, milliseconds = divmod(counter[1], 1000)
    assert stamp == f"{time.strftime('%Y%m%d%H%M%S', time.gmtime(seconds))}{milliseconds:03}UTC"


@pytest.mark.parametrize("boundary", [True, False])
def test_pictures_are_pushed_with_and_without_boundaries(boundary: bool) -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            path = f"/api/video?encode=jpeg&framerate=15&boundary={'on' if boundary else 'off'}&ptz_info=on"
            async with connected(simulator.http_port, request(path)) as client:
                await client.read_until(b"\xff\xd9", 4)
        body = client.answer.body
        if boundary:
            parts = whole_parts(body)
            assert {part.position for part in parts} == {(0, 500, 0)}
            files = [part.body for part in parts]
        else:
            files = [b"\xff\xd8" + rest for rest in body.split(b"\xff\xd8\xff\xe0")[1:]]
            first = int(client.answer.headers["Content-Length"])
            assert body[first : first + 4] == b"\xff\xd8\xff\xe0"
            files = [b"\xff\xd8\xff\xe0" + rest for rest in body.split(b"\xff\xd8\xff\xe0")[1:-1]]
        counters = [_counter(file) for file in files[:3]]
        numbers = [counter[0] for counter in counters if counter is not None]
        assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]

    run(story())


def test_a_frame_rate_that_is_none_is_refused() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            answer = await asked(simulator.http_port, "/api/video?encode=jpeg&framerate=12&boundary=on&ptz_info=off")
            assert answer.status == "HTTP/1.1 400 Bad Request"

    run(story())

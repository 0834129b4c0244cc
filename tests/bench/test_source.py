"""The load is what it says: real pictures, whole parts, a time that goes on past the end of its loop."""

import itertools
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import pytest

from bench import source
from nvr.jvc import stream
from nvr.jvc.alarm import AlarmFeed, Pin
from nvr.media.frame import Unit
from nvr.media.splitter import UnitSplitter
from nvr.media.timeline import Timeline
from nvr.units import US

_LOOP_S = 1


@pytest.fixture(scope="module")
def pictures() -> list[source.Picture]:
    return source.encode_loop(_LOOP_S)


@contextmanager
def running(pictures: list[source.Picture], cameras: int, motion: str) -> Iterator[source.Source]:
    served = source.Source(pictures, cameras, motion)
    loop = threading.Thread(target=served.run, args=[30.0], name="source")
    loop.start()
    try:
        yield served
    finally:
        served.stop()
        loop.join(10)
        assert not loop.is_alive()


def units_until(port: int, request: bytes, enough: int) -> list[Unit]:
    parser, splitter = stream.StreamParser(), UnitSplitter()
    units: list[Unit] = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request)
        while len(units) < enough:
            data = sock.recv(65536)
            assert data, "the source hung up"
            for event in parser.feed(data):
                if isinstance(event, stream.EsBytes):
                    units += splitter.feed(event.data, event.position, event.whole)
                else:
                    assert event.status == 200
    assert splitter.damaged == 0
    return units


def test_the_loop_is_whole_groups_of_pictures_at_the_promised_bit_rate() -> None:
    pictures = source.encode_loop(4)
    assert [n for n, picture in enumerate(pictures) if picture.key] == [0, 30, 60, 90]
    assert len(pictures) == 120
    bit_rate = sum(len(p.headers) + len(p.vop) for p in pictures) * 8 / 4
    assert 1_800_000 < bit_rate < 2_200_000


@pytest.mark.parametrize(
    "request_of", [lambda: stream.request("127.0.0.1", ptz=True), lambda: b"GET /raw HTTP/1.1\r\n\r\n"]
)
def test_time_goes_on_past_the_end_of_the_loop(pictures: list[source.Picture], request_of) -> None:  # type: ignore[no-untyped-def]
    with running(pictures, 1, "rest") as served:
        units = units_until(served.ports[0]["http_port"], request_of(), 35)
        assert served.statistics["held_up"] == 0
    seconds = [unit.gov_seconds for unit in units if unit.gov_seconds is not None]
    assert len(seconds) >= 2
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
    assert {unit.vol.resolution for unit in units} == {source.FPS}
    assert all(unit.user_data and b"Timestamp = 2" in unit.user_data for unit in units if unit.key)


def test_nvr_times_the_load_by_its_stream_and_never_by_arrival(pictures: list[source.Picture]) -> None:
    with running(pictures, 1, "rest") as served:
        units = units_until(served.ports[0]["http_port"], stream.request("127.0.0.1", ptz=True), 35)
    timeline = Timeline()
    frames = [timeline.stamp(unit, n * US // source.FPS, n * US // source.FPS) for n, unit in enumerate(units)]
    steps = {(b.ticks - a.ticks) * a.time_base for a, b in itertools.pairwise(frames)}
    assert steps == {Fraction(1, source.FPS)}
    assert (timeline.jumps, timeline.repeats, timeline.fallback_reason) == (0, 0, None)


def test_a_turning_camera_says_so_with_every_picture_and_one_at_rest_does_not(pictures: list[source.Picture]) -> None:
    for motion, different in (("sweep", 10), ("rest", 1)):
        with running(pictures, 2, motion) as served:
            units = units_until(served.ports[1]["http_port"], stream.request("127.0.0.1", ptz=True), 10)
        assert len({unit.position for unit in units[:10]}) == different


def test_a_report_reaches_whoever_listens_to_that_camera_and_says_when(pictures: list[source.Picture]) -> None:
    with running(pictures, 2, "rest") as served:
        ears = [socket.create_connection(("127.0.0.1", ports["alarm_port"]), timeout=10) for ports in served.ports]
        with ears[0], ears[1]:
            feed = AlarmFeed(None)
            assert [report.pin1 for report in feed.feed(ears[0].recv(4096))] == [Pin.BREAK], "the present state"
            ears[1].recv(4096)
            before_ns = time.monotonic_ns()
            url = f"http://127.0.0.1:{served.ports[0]['http_port']}/alarm?make"
            sent_ns = int(urllib.request.urlopen(url, timeout=10).read())
            assert before_ns < sent_ns < time.monotonic_ns()
            assert [report.pin1 for report in feed.feed(ears[0].recv(4096))] == [Pin.MAKE]
            ears[1].setblocking(False)
            with pytest.raises(BlockingIOError):
                ears[1].recv(4096)


def test_a_viewer_that_does_not_read_is_cut_off_alone() -> None:
    huge = [source.Picture(b"", b"\x00\x00\x01\xb6\x50" + bytes(400_000))]
    with running(huge, 1, "rest") as served:
        port = served.ports[0]["http_port"]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as lazy:
            lazy.sendall(stream.request("127.0.0.1", ptz=True))
            with socket.create_connection(("127.0.0.1", port), timeout=10) as keen:
                keen.sendall(stream.request("127.0.0.1", ptz=True))
                read = 0
                while served.statistics["cut_off"] == 0:
                    read += len(keen.recv(1 << 20))
                    assert read < 400 << 20
                assert keen.recv(1 << 20)
    assert served.statistics["cut_off"] == 1


@pytest.mark.parametrize(
    ("second", "clock"), [(0, (0, 0, 0)), (3_661, (1, 1, 1)), (86_399, (23, 59, 59)), (86_400, (0, 0, 0))]
)
def test_a_group_header_carries_its_second_of_the_day(second: int, clock: tuple[int, int, int]) -> None:
    header = source.gov(second)
    bits = f"{int.from_bytes(header[4:], 'big'):024b}"
    assert header[:4] == b"\x00\x00\x01\xb3"
    assert (int(bits[:5], 2), int(bits[5:11], 2), int(bits[12:18], 2)) == clock
    assert bits[11] == "1", "the marker bit"
    assert bits[18:] == "100111", "closed, whole, stuffed"

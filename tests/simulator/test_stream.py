"""The MPEG-4 stream of a simulated camera: framing, headers, times, pictures, and the truth about them."""

import asyncio
import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from nvr.media.mpeg4 import find_vol, increment_bits, parse_gov, parse_vop
from nvr.simulator.options import CameraOptions, EncodeSettings, Framing
from nvr.simulator.server import Simulator
from nvr.simulator.truth import SentVop
from tests.simulator.client import (
    SMALL,
    Client,
    cut_units,
    decoded,
    from_key,
    request,
    run,
    small,
    start_codes,
    watching,
    whole_parts,
)

_VOL, _USER_DATA, _GOV, _VOP = 0x20, 0xB2, 0xB3, 0xB6


def _times(units: list[bytes]) -> Iterator[Fraction]:
    """The time of each VOP in seconds of the day, by its GOV and its own header (ISO/IEC 14496-2, 6.3.5)."""
    second = resolution = 0
    for unit in units:
        vol = find_vol(unit)
        if vol is not None:
            resolution = vol.resolution
        gov = unit.find(b"\x00\x00\x01\xb3")
        if gov >= 0:
            told = parse_gov(unit, gov)
            assert told is not None
            second = told
        _, modulo, increment = parse_vop(unit, unit.rindex(b"\x00\x00\x01\xb6"), increment_bits(resolution))
        second += modulo
        yield second + Fraction(increment, resolution)


def _keys_on(units: list[bytes]) -> list[bytes]:
    first = next(at for at, unit in enumerate(units) if _VOL in start_codes(unit))
    return units[first:]


def test_a_bare_stream_decodes_without_an_error_and_its_counters_come_in_order() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, watching(simulator, ptz=False) as client:
            await client.read_until_vops(30)
            assert client.answer.headers["Content-Type"] == "video/mp4v-es"
            units = _keys_on(cut_units(client.answer.body))
            said = decoded(units)
            sent = from_key(simulator.camera.sent)[: len(units)]
        assert len(units) >= 15
        assert [record.data for record in sent] == units
        assert said == [(record.counter, record.clock_ms) for record in sent]
        assert [record.counter for record in sent] == list(range(sent[0].counter, sent[0].counter + len(sent)))

    run(story())


def test_the_answer_is_the_guides_line_by_line() -> None:
    async def story() -> None:
        camera = small(model="VN-V686U", encode=EncodeSettings("qvga", Fraction("7.5"), 10, 400_000))
        async with Simulator(camera) as simulator, watching(simulator) as client:
            await client.read_until_vops(1)
        head = client.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        assert [line for line in head if not line.startswith("Date: ")] == [
            "HTTP/1.1 200 OK",
            "Connection: close",
            "Content-Type: multipart/x-mixed-replace;boundary=--foo",
            "Server: JVC VN-V686 Network Camera",
            "x-vnv686_response: encode=mpeg4&framerate=7.5&framesize=qvga&ptz_info=on",
        ]

    run(story())


FRAMINGS = [
    Framing(),
    Framing(delimiter="-foo", boundary="-foo"),
    Framing(delimiter="----foo", boundary="--foo", crlf_after_part=False),
    Framing(head="mp4v-es", headers_apart=True),
    Framing(folded_response_line=True, crlf_after_part=False, headers_apart=True),
]


def test_every_framing_carries_what_the_truth_says() -> None:
    async def watched(simulator: Simulator, camera: int) -> Client:
        async with watching(simulator, camera=camera) as client:
            await client.read_until_vops(25)
        return client

    async def story() -> None:
        cameras = [small(framing=framing, position=(100 * at, 500, 7)) for at, framing in enumerate(FRAMINGS)]
        async with Simulator(cameras) as simulator:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(watched(simulator, camera)) for camera in range(len(cameras))]
            for at, (framing, task) in enumerate(zip(FRAMINGS, tasks, strict=True)):
                client = task.result()
                parts = whole_parts(client.answer.body, framing.delimiter, crlf=framing.crlf_after_part)
                sent = simulator.cameras[at].sent
                stream = b"".join(part.body for part in parts)
                assert stream
                assert b"".join(record.data or b"" for record in sent).startswith(stream)
                with_vop = sum(_VOP in start_codes(part.body) for part in parts)
                apart = sum(_VOP not in start_codes(part.body) for part in parts)
                assert with_vop >= 20
                assert (apart > 0) == framing.headers_apart
                assert {part.position for part in parts} == {(100 * at, 500, 7)}
                assert {part.headers["Content-Type"] for part in parts} == {"image/jpeg"}
                folded = b"x-vnv685_response:\r\n encode=mpeg4" in client.raw
                assert folded == framing.folded_response_line
                multipart = client.answer.headers["Content-Type"].startswith("multipart")
                assert multipart == (framing.head == "multipart")

    run(story())


def test_each_part_says_where_the_camera_looked_while_it_moves() -> None:
    async def story() -> None:
        async with Simulator(small(sweep_degrees_s=90)) as simulator, watching(simulator) as client:
            await client.read_until_vops(20)
            simulator.camera.look(12_345, 18_500, 9_999)
            await client.read_until_vops(30)
            sent = simulator.camera.sent
        positions = [part.position for part in whole_parts(client.answer.body)]
        assert positions == [record.position for record in sent][: len(positions)]
        steps = {after[0] - before[0] for before, after in pairwise(positions[:15])}
        # 90 degrees a second at 60 pictures a second; a busy machine may skip one.
        assert {step % 150 for step in steps} <= {149, 0, 1}
        assert all(step > 100 for step in steps)
        assert positions[-1] == (12_345, 18_500, 9_999)

    run(story())


def test_before_each_i_vop_stand_vol_user_data_gov_and_user_data_in_the_guides_order() -> None:
    async def story() -> None:
        async with Simulator(small(camera_id="Gate 3")) as simulator, watching(simulator) as client:
            await client.read_until_vops(25)
        units = [part.body for part in whole_parts(client.answer.body)]
        keys = [unit for unit in units if _VOL in start_codes(unit)]
        assert len(keys) >= 2
        assert {tuple(start_codes(unit)) for unit in keys} == {(_VOL, _USER_DATA, _GOV, _USER_DATA, _VOP)}
        assert {tuple(start_codes(unit)) for unit in units if unit not in keys} == {(_VOP,)}
        said = keys[0][keys[0].rindex(b"\x00\x00\x01\xb2") + 4 : keys[0].rindex(b"\x00\x00\x01\xb6")]
        assert len(said) == 18 + 70 + 50 + 15 + 8 + 17
        items = [said[:18], said[18:88], said[88:138], said[138:153], said[153:161], said[161:]]
        texts = [item.rstrip(b"\x00").decode() for item in items]
        assert [texts[0], *texts[2:]] == [
            "type = VN-V685U",
            "camera = Gate 3",
            "position = NA",
            "fan = 0",
            "track_status = 0",
        ]
        assert texts[1].startswith("Timestamp = 20")
        assert texts[1].endswith("UTC")
        assert len(texts[1]) == len("Timestamp = 20070319161455123UTC")

    run(story())


RATES = [("30", 30_000, 10), ("7.5", 30, 4), ("25", 30_000, 1), ("1", 1_000, 255), ("30000/1001", 30_000, 7)]


def test_times_of_vops_are_exact_at_every_rate_and_right_by_the_cameras_clock() -> None:
    async def story() -> None:
        cameras = [
            small(encode=EncodeSettings("qvga", Fraction(rate), interval, 200_000, resolution))
            for rate, resolution, interval in RATES
        ]
        async with Simulator(cameras) as simulator, contextlib.AsyncExitStack() as links:
            clients = [await links.enter_async_context(watching(simulator, camera=at)) for at in range(len(cameras))]
            await asyncio.gather(*(client.read_until(b"\r\n\r\n", 1) for client in clients))
            # A fresh encoder begins with an I-VOP at once, which at 1 picture a second is worth a wait.
            before = [len(camera.sent) for camera in simulator.cameras]
            for camera in simulator.cameras:
                camera.change(bitrate_bps=210_000)
            await asyncio.gather(*(client.read(1.3) for client in clients))
            ended_s = time.time()
        for at, (rate, resolution, interval) in enumerate(RATES):
            units = [part.body for part in whole_parts(clients[at].answer.body)][before[at] :]
            times = list(_times(units))
            assert len(times) >= 0.6 * Fraction(rate) + 1, f"{rate} fps: {len(times)} pictures"
            steps = {(after - earlier) * Fraction(rate) for earlier, after in pairwise(times)}
            # Whole numbers: a machine too busy for a picture skips it, and its time with it.
            assert all(step.denominator == 1 and 1 <= step <= 8 for step in steps), (rate, steps)
            assert 1 in steps
            keys = [n for n, unit in enumerate(units) if _VOL in start_codes(unit)]
            assert keys == list(range(0, len(units), interval))
            vol = find_vol(units[0])
            assert vol is not None
            assert (vol.width, vol.height, vol.resolution) == (320, 240, resolution)
            assert abs(float(times[-1]) - ended_s % 86_400) < 1.5
            sent = simulator.cameras[at].sent[before[at] :]
            assert [Fraction(record.vop_ticks, resolution) % 86_400 for record in sent][: len(times)] == times
            assert len(decoded(units)) == len(units)

    run(story())


def test_settings_changed_at_run_time_change_the_running_stream_and_its_vol() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator, watching(simulator) as client:
            await client.read_until_vops(15)
            simulator.camera.change(frame_size="vga", i_interval=3, frame_rate=Fraction(30))
            await client.read_until_vops(30)
        units = _keys_on([part.body for part in whole_parts(client.answer.body)])
        said = decoded(units)
        sizes = [(vol.width, vol.height) for unit in units if (vol := find_vol(unit)) is not None]
        assert sizes[0] == (320, 240)
        assert sizes[-2:] == [(640, 480)] * 2
        assert None not in said
        times = list(_times(units))
        assert times == sorted(set(times))
        assert times[-1] - times[-2] == Fraction(1, 30)

    run(story())


def test_changing_one_camera_leaves_those_that_shared_its_encoder_alone() -> None:
    async def story() -> None:
        async with Simulator([small(), small()]) as simulator, watching(simulator, camera=1) as other:
            await other.read_until_vops(5)
            simulator.cameras[0].change(frame_size="vga")
            async with watching(simulator) as changed:
                await changed.read_until_vops(12)
            await other.read_until_vops(20)
        kept = {find_vol(part.body) for part in whole_parts(other.answer.body)} - {None}
        new = {find_vol(part.body) for part in whole_parts(changed.answer.body)} - {None}
        assert [vol.width for vol in kept if vol is not None] == [320]
        assert [vol.width for vol in new if vol is not None] == [640]

    run(story())


def test_a_clock_that_is_wrong_and_fast_shows_in_stamp_gov_and_pace() -> None:
    async def story() -> None:
        camera = small(clock_offset_s=-3600.5, clock_drift_ppm=100_000, join="key")
        async with Simulator(camera) as simulator, watching(simulator) as client:
            await client.read(0.6)
            sent = simulator.camera.sent
            assert abs(simulator.camera.clock_us() / 1e6 - time.time() + 3600.5) < 1
        units = [part.body for part in whole_parts(client.answer.body)]
        times = list(_times(units))
        assert abs(float(times[0]) - (sent[0].captured_at_us / 1e6 - 3600.5) % 86_400) < 1
        paced = (sent[-1].captured_at_us - sent[0].captured_at_us) / 1e6
        told = (sent[-1].vop_ticks - sent[0].vop_ticks) / sent[0].resolution
        assert told / paced == pytest.approx(1.1, abs=0.002)
        assert len(sent) > 20

    run(story())


def test_a_client_that_reads_too_slowly_loses_whole_vops_and_the_truth_says_which() -> None:
    async def story() -> None:
        encode = EncodeSettings("vga", Fraction(30), 5, 8_000_000)
        camera = small(encode=encode, send_buffer_bytes=4096, queue_bytes=40_000)
        async with Simulator(camera) as simulator:
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.http_port, limit=1024)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            writer.write(request("/api/video?encode=mpeg4&ptz_info=on"))
            await asyncio.sleep(0.3)
            client = Client(reader, writer)
            await client.read_until_vops(6)
            writer.close()
            sent = simulator.camera.sent
        dropped = [record for record in sent if not record.sent]
        assert dropped
        assert {record.why for record in dropped} == {"slow-client"}
        assert not any(record.complete for record in dropped)
        parts = whole_parts(client.answer.body)
        assert [part.body for part in parts] == [record.data for record in sent if record.sent][: len(parts)]
        assert [record.seq for record in sent] == list(range(sent[0].seq, sent[0].seq + len(sent)))
        assert len(parts) >= 3

    run(story())


def test_a_loop_goes_on_in_time_and_decodes_across_its_seam() -> None:
    async def story() -> None:
        async with (
            Simulator([small(join="key")] * 2, loop_s=0.3) as simulator,
            watching(simulator, ptz=False) as client,
        ):
            await client.read_until_vops(45)
            sent = simulator.camera.sent
        units = cut_units(client.answer.body)
        said = decoded(units)
        assert len(units) > 40
        assert said == [(record.counter, record.clock_ms) for record in sent[: len(units)]]
        assert len(set(said)) == 20, "0.3 s are 18 pictures, in whole groups 20"
        times = list(_times(units))
        assert times == sorted(set(times))

    run(story())


def test_the_truth_file_has_a_line_for_each_vop_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        truth = tmp_path / "truth.jsonl"
        async with Simulator(small(), truth=truth) as simulator:
            async with watching(simulator) as client:
                await client.read_until_vops(20)
            async with watching(simulator, ptz=False) as second:
                await second.read_until_vops(3)
            records = simulator.camera.sent
        lines = [json.loads(line) for line in truth.read_text().splitlines()]
        assert len(lines) >= 23
        assert {line["connection"] for line in lines} == {1, 2}
        parts = whole_parts(client.answer.body)
        first = [line for line in lines if line["connection"] == 1]
        assert [hashlib.sha256(part.body).hexdigest() for part in parts] == [line["sha256"] for line in first][
            : len(parts)
        ]
        assert [line["size"] for line in first][: len(parts)] == [len(part.body) for part in parts]
        assert all(line["complete"] and line["sent"] for line in first[: len(parts)])
        assert [line["seq"] for line in lines] == [record.seq for record in records][: len(lines)]
        assert {key for line in lines for key in line} == set(SentVop.__slots__) - {"data"}

    run(story())


def test_a_stream_begins_where_the_encoder_is_or_at_an_i_vop_as_chosen() -> None:
    async def story() -> None:
        cameras = [small(encode=EncodeSettings("qvga", Fraction(30), 255)), small(join="key")]
        async with Simulator(cameras) as simulator:
            await asyncio.sleep(0.2)
            async with watching(simulator) as live, watching(simulator, camera=1) as key:
                await live.read_until_vops(2)
                await key.read_until_vops(2)
        assert start_codes(live.answer.body)[0] == _VOP
        assert start_codes(key.answer.body)[0] == _VOL

    run(story())


def test_clients_beyond_the_most_are_answered_503() -> None:
    async def story() -> None:
        async with Simulator(small(video_clients=1)) as simulator, watching(simulator) as first:
            await first.read_until_vops(1)
            async with watching(simulator) as second:
                await second.read_to_end()
            assert second.answer.status == "HTTP/1.1 503 Service Unavailable"
            first.writer.close()
            await asyncio.sleep(0.1)
            async with watching(simulator) as third:
                await third.read_until_vops(1)
            assert third.answer.status == "HTTP/1.1 200 OK"

    run(story())


def test_stopping_is_quick_with_clients_and_gives_the_ports_back() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            port = simulator.http_port
            async with watching(simulator) as client:
                await client.read_until_vops(2)
                began_s = time.monotonic()
                await simulator.__aexit__(None, None, None)
                assert time.monotonic() - began_s < 0.5
                await client.read(1)
                assert client.closed
            async with Simulator(CameraOptions(http_port=port, encode=SMALL)) as again:
                assert again.http_port == port

    run(story())


def test_a_port_in_use_is_said_at_once_and_nothing_stays_open() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            with pytest.raises(OSError, match="in use"):
                async with Simulator([small(), small(http_port=simulator.http_port)]):
                    pytest.fail("it opened")

    run(story())

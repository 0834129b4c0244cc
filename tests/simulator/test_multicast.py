"""The simulated camera's multicast: settings as the guide has them, and packets by their own bits."""

import asyncio
import itertools
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nvr.simulator.server import Simulator
from tests.simulator.client import asked, decoded, from_key, run, small

ADMIN = "Authorization: Basic YWRtaW46anZj"


@asynccontextmanager
async def hearing(**options: Any) -> AsyncIterator[tuple[Simulator, socket.socket, str, int]]:
    """A camera, and a socket in a group of its own on the loopback interface."""
    group = f"239.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.setblocking(False)
        ear.bind((group, 0))
        ear.setsockopt(
            socket.IPPROTO_IP,
            socket.IP_ADD_MEMBERSHIP,
            struct.pack("4s4s", socket.inet_aton(group), socket.inet_aton("127.0.0.1")),
        )
        async with Simulator(small(**options)) as simulator:
            yield simulator, ear, group, ear.getsockname()[1]


async def said(simulator: Simulator, query: str) -> str:
    answer = await asked(simulator.http_port, f"/api/param?{query}", "Accept: text/plain", ADMIN)
    return answer.body.decode().strip()


async def sent_to(simulator: Simulator, number: int, group: str, port: int) -> None:
    name = f"network.destination({number})"
    assert await said(simulator, f"{name}.host={group}") == f"{name}.host&202 Accepted({name}.host=save)"
    assert await said(simulator, f"{name}.port={port}") == f"{name}.port&202 Accepted({name}.host=save)"
    assert await said(simulator, f"{name}.status=save") == f"{name}.status&200 OK"
    assert await said(simulator, f"{name}.status=start") == f"{name}.status&200 OK"


async def heard(ear: socket.socket, markers: int) -> list[tuple[int, bool, int, int, bytes]]:
    """Packets up to so many with a marker: type, marker, number, time, payload."""
    packets = []
    while sum(packet[1] for packet in packets) < markers:
        data = await asyncio.get_running_loop().sock_recv(ear, 65_536)
        first, second, seq, time, _ = struct.unpack(">BBHII", data[:12])
        assert first == 0x80
        assert len(data) <= 1420 - 28
        packets.append((second & 127, bool(second >> 7), seq, time, data[12:]))
    return packets


def test_mpeg4_goes_to_its_group_a_marker_at_the_end_of_each_vop() -> None:
    async def story() -> None:
        async with hearing() as (simulator, ear, group, port):
            await sent_to(simulator, 2, group, port)
            packets = await heard(ear, 25)
            numbers = [packet[2] for packet in packets]
            assert [(after - before) % 65_536 for before, after in itertools.pairwise(numbers)] == [1] * (
                len(numbers) - 1
            )
            units, unit = [], b""
            for _, marker, _, _, payload in packets:
                unit += payload
                if marker:
                    units.append(unit)
                    unit = b""
            records = [record for record in simulator.camera.sent if record.complete][: len(units)]
            assert units == [record.data for record in records]
            key = len(records) - len(from_key(records))
            assert all(decoded(units[key:]))
            times = sorted({packet[3] for packet in packets})
            assert {after - before for before, after in itertools.pairwise(times)} == {1500}, "90 kHz"

    run(story())


@pytest.mark.parametrize("jfif", [False, True])
def test_jpeg_goes_to_its_group_by_rfc_2435_or_as_files(jfif: bool) -> None:
    async def story() -> None:
        async with hearing(multicast_jfif=jfif) as (simulator, ear, group, port):
            assert await said(simulator, "network.destination(1).framerate=30")
            await sent_to(simulator, 1, group, port)
            packets = await heard(ear, 2)
            assert {packet[0] for packet in packets} == {26}
            if jfif:
                assert packets[0][4].startswith(b"\xff\xd8\xff\xe0")
            else:
                offset, kind, q, width, height = struct.unpack(">IBBBB", packets[0][4][:8])
                assert (offset, kind, q, width * 8, height * 8) == (0, 1, 255, 640, 480)

    run(story())


def test_faults_of_the_network_are_done_to_packets_and_written_down() -> None:
    async def story() -> None:
        async with hearing() as (simulator, ear, group, port):
            simulator.camera.fault("loss:0.5")
            await sent_to(simulator, 2, group, port)
            await heard(ear, 5)
            assert {record.why for record in simulator.camera.sent} <= {"", "loss"}
            assert any(record.why == "loss" and not record.complete for record in simulator.camera.sent)
            simulator.camera.clear()
            simulator.camera.fault("duplicate:1")
            packets = await heard(ear, 30)
            numbers = [packet[2] for packet in packets[-10:]]
            assert len(set(numbers)) < len(numbers)

    run(story())


def test_settings_count_from_save_on_and_what_is_none_is_refused() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            name = "network.destination(2)"
            assert await said(simulator, f"{name}.status") == f"{name}.status=off&200 OK"
            assert await said(simulator, f"{name}.host") == f"{name}.host=225.0.1.2&200 OK"
            assert await said(simulator, "network.destination(1).port") == "network.destination(1).port=49152&200 OK"
            for wrong in (f"{name}.host=192.168.0.9", f"{name}.port=1", f"{name}.status=on"):
                assert (await said(simulator, wrong)).endswith("&400 Bad Request")
            assert (
                await said(simulator, "network.destination(2).framerate")
                == "network.destination(2).framerate&404 Not Found"
            )
            await said(simulator, f"{name}.host=239.1.1.1")
            assert simulator.camera.destinations[2].active == ("225.0.1.2", 59_152)
            await said(simulator, f"{name}.status=save")
            assert simulator.camera.destinations[2].active == ("239.1.1.1", 59_152)

    run(story())


def test_a_stream_goes_on_by_itself_after_a_restart() -> None:
    async def story() -> None:
        async with hearing(restart_s=0.3) as (simulator, ear, group, port):
            await sent_to(simulator, 2, group, port)
            await heard(ear, 3)
            assert await said(simulator, "system.status=restart") == "system.status&200 OK"
            await asyncio.sleep(0.2)
            assert not simulator.camera.powered
            while True:
                try:
                    ear.recv(65_536)
                except BlockingIOError:
                    break
            await heard(ear, 3)
            assert simulator.camera.powered

    run(story())


def test_what_is_sent_to_a_group_is_in_the_report_of_sessions() -> None:
    async def story() -> None:
        async with hearing() as (simulator, _ear, group, port):
            await sent_to(simulator, 2, group, port)
            lines = (await said(simulator, "system.session")).splitlines()
            assert "system.session.sending_count=1&200 OK" in lines
            assert f"system.session.sending(01).to.ip={group}&200 OK" in lines
            assert f"system.session.sending(01).to.port={port}&200 OK" in lines

    run(story())

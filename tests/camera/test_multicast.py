"""A camera's multicast over the loopback interface, through a network that loses, doubles and swaps packets."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from nvr.camera.control import Control
from nvr.camera.errors import CannotConnect, LinkError, LinkStalled, NotACamera
from nvr.camera.looks import PositionPoll
from nvr.camera.multicast import MulticastFeed, MulticastPlan
from nvr.clock import HostClock
from nvr.jvc.params import Login
from nvr.jvc.types import Position
from nvr.media.frame import Frame
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.server import Simulator
from nvr.simulator.truth import SentVop
from nvr.units import US
from tests.camera.wire import HASTY, run, until

CAMERA = CameraOptions(
    encode=EncodeSettings(frame_size="qvga", frame_rate=Fraction(60), i_interval=10, bitrate_bps=2_000_000),
    keep_bytes=True,
)
ADMIN = Login("admin", "jvc")


def free_group() -> tuple[str, int]:
    """One that nothing else on this machine is likely to use, with a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return (
            f"239.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}",
            probe.getsockname()[1],
        )


def send_to(simulator: Simulator, group: tuple[str, int], camera: int = 0, number: int = 2) -> None:
    """The camera's MPEG-4 (or JPEG) goes there from now on."""
    destination = simulator.cameras[camera].destinations[number]
    for key, value in (("host", group[0]), ("port", str(group[1])), ("status", "save"), ("status", "start")):
        destination.set(key, value)


class Reception:
    """One feed on a camera's group, and what came of it."""

    def __init__(self, simulator: Simulator, group: tuple[str, int] | None, camera: int = 0, **how: Any) -> None:
        self.frames: list[Frame] = []
        self.camera = simulator.cameras[camera]
        plan = MulticastPlan(("127.0.0.1", simulator.ports(self.camera)[0]), group)
        self.feed = MulticastFeed(replace(plan, **how), HostClock(), self.frames.extend, first_packet_s=3.0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The feed runs during the block, looked after as the daemon does it, and is stopped at its end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.feed.run(), name="video")
            collecting = tasks.create_task(self._collect(), name="collect")
            await until(lambda: self.feed.connected_mono_us > 0)
            yield
            self.feed.stop()
            collecting.cancel()

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.feed.collect()

    async def has(self, frames: int) -> None:
        await until(lambda: len(self.frames) >= frames)

    def sent(self) -> list[SentVop]:
        """What the camera made from the first to the last picture that came out."""
        first, last = self.frames[0].data, self.frames[-1].data
        sent = self.camera.sent
        begin = next(at for at, record in enumerate(sent) if record.data == first)
        end = next(at for at, record in enumerate(sent) if record.data == last)
        return sent[begin : end + 1]


def decodable(sent: list[SentVop]) -> list[SentVop]:
    """Those that were not hit, neither by a lost packet nor by the loss of a picture that they build on."""
    found, is_broken = [], False
    for record in sent:
        is_broken = not record.complete or (is_broken and not record.key)
        if not is_broken:
            found.append(record)
    return found


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_is_multicast_comes_out_whole_in_order_and_in_time(loop: str) -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator:
            group = free_group()
            reception = Reception(simulator, group)
            async with reception.running():
                send_to(simulator, group)
                await reception.has(30)
            sent = reception.sent()
            assert [frame.data for frame in reception.frames] == [record.data for record in sent]
            for frame, record in zip(reception.frames, sent, strict=True):
                assert frame.ticks * frame.time_base == Fraction(
                    record.vop_ticks - sent[0].vop_ticks, record.resolution
                )
                assert abs(frame.utc_us - record.captured_at_us) < US
            assert (reception.feed.hit, reception.feed.splitter.damaged) == (0, 0)

    run(loop, story())


def test_through_loss_swaps_and_doubles_every_picture_not_hit_comes_and_every_hit_one_is_counted() -> None:
    async def story() -> None:
        async with Simulator(replace(CAMERA, seed=7)) as simulator:
            for fault in ("loss:0.02", "reorder:0.02", "duplicate:0.02"):
                simulator.camera.fault(fault)
            group = free_group()
            reception = Reception(simulator, group)
            async with reception.running():
                send_to(simulator, group)
                await until(lambda: sum(not record.complete for record in simulator.camera.sent) >= 6)
                count = len(reception.frames)
                await reception.has(count + 30)
            sent = reception.sent()
            wanted = decodable(sent)
            hit = [record for record in sent if not record.complete]
            assert [frame.data for frame in reception.frames] == [record.data for record in wanted]
            assert len(hit) >= 3
            before = simulator.camera.sent[: simulator.camera.sent.index(sent[0])]
            hit_before = sum(not record.complete for record in before)
            assert len(hit) <= reception.feed.hit <= len(hit) + hit_before
            assert reception.feed.splitter.skipped >= len(sent) - len(wanted) - len(hit)
            assert reception.feed.parser.sequencer.repeated > 0

    run("uvloop", story())


def test_a_camera_is_asked_for_its_group_and_told_to_send() -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator:
            group = free_group()
            destination = simulator.camera.destinations[2]
            for key, value in (("host", group[0]), ("port", str(group[1])), ("status", "save")):
                destination.set(key, value)
            control = Control(("127.0.0.1", simulator.http_port), ADMIN, HostClock())
            reception = Reception(simulator, None, control=control, start=True)
            async with reception.running():
                await reception.has(5)
            assert destination.running

    run("uvloop", story())


def test_cameras_on_one_port_do_not_mix() -> None:
    async def story() -> None:
        places = [(1000, 500, 0), (2000, 500, 0)]
        async with Simulator([replace(CAMERA, position=place, camera_id=str(place)) for place in places]) as simulator:
            port = free_group()[1]
            groups = [(free_group()[0], port) for _ in places]
            receptions = [Reception(simulator, group, camera=at) for at, group in enumerate(groups)]
            async with receptions[0].running(), receptions[1].running():
                for at, group in enumerate(groups):
                    send_to(simulator, group, camera=at)
                for reception in receptions:
                    await reception.has(15)
            for reception in receptions:
                sent = {record.data for record in reception.camera.sent}
                assert {frame.data for frame in reception.frames} <= sent
            assert {len(reception.camera.sent) > 0 for reception in receptions} == {True}

    run("uvloop", story())


def test_packets_of_a_stranger_to_the_group_are_left_alone() -> None:
    async def story() -> None:
        async with Simulator([replace(CAMERA, host="127.0.0.2"), CAMERA]) as simulator:
            group = free_group()
            reception = Reception(simulator, group, camera=1)
            async with reception.running():
                send_to(simulator, group, camera=0)
                send_to(simulator, group, camera=1)
                await reception.has(15)
                assert reception.feed.strange > 0
            sent = {record.data for record in reception.camera.sent}
            assert {frame.data for frame in reception.frames} <= sent

    run("uvloop", story())


def test_where_no_packet_comes_the_attempt_ends_and_says_where_it_listened() -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator:
            group = free_group()
            feed = MulticastFeed(
                MulticastPlan(("127.0.0.1", simulator.http_port), group),
                HostClock(),
                lambda frames: None,
                patience=HASTY,
                first_packet_s=0.2,
            )
            with pytest.raises(LinkStalled, match=f"no packet of the camera's multicast came to {group[0]} port"):
                await feed.run()
            assert feed.units == 0

    run("uvloop", story())


def test_a_stream_that_stops_is_a_stalled_link() -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator, asyncio.TaskGroup() as tasks:
            group = free_group()
            frames: list[Frame] = []
            plan = MulticastPlan(("127.0.0.1", simulator.http_port), group)
            feed = MulticastFeed(plan, HostClock(), frames.extend, patience=HASTY)

            async def trouble() -> LinkError:
                with pytest.raises(LinkError) as ended:
                    await feed.run()
                return ended.value

            running = tasks.create_task(trouble(), name="video")
            await until(lambda: feed.connected_mono_us > 0)
            send_to(simulator, group)
            await until(lambda: len(frames) > 5)
            simulator.camera.destinations[2].set("status", "stop")
            assert "has sent nothing for 0.4 s" in str(await running)

    run("uvloop", story())


@pytest.mark.parametrize(
    ("host", "kind", "words"),
    [
        ("192.168.0.9", NotACamera, "'192.168.0.9' port '59152', which is no group"),
        ("", NotACamera, "which is no group"),
    ],
)
def test_a_camera_that_names_no_group_is_not_listened_to(host: str, kind: type[LinkError], words: str) -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as simulator:
            simulator.camera.destinations[2]._told["host"] = host
            control = Control(("127.0.0.1", simulator.http_port), ADMIN, HostClock())
            plan = MulticastPlan(("127.0.0.1", simulator.http_port), None, control=control)
            with pytest.raises(kind, match=words):
                await MulticastFeed(plan, HostClock(), lambda frames: None).run()

    run("uvloop", story())


def test_without_a_group_and_without_a_login_there_is_nothing_to_listen_to() -> None:
    async def story() -> None:
        with pytest.raises(CannotConnect, match="neither configured nor asked"):
            await MulticastFeed(MulticastPlan(("127.0.0.1", 9), None), HostClock(), lambda frames: None).run()

    run("uvloop", story())


def test_where_the_camera_looks_is_asked_and_goes_with_the_pictures() -> None:
    async def story() -> None:
        async with Simulator(replace(CAMERA, position=(12_345, 9_000, 1_234))) as simulator:
            control = Control(("127.0.0.1", simulator.http_port), ADMIN, HostClock())
            poll = PositionPoll(control, HostClock(), 0.1, "gate")
            group = free_group()
            frames: list[Frame] = []
            plan = MulticastPlan(("127.0.0.1", simulator.http_port), group)
            feed = MulticastFeed(plan, HostClock(), frames.extend, position=poll.get)
            async with asyncio.TaskGroup() as tasks:
                polling = tasks.create_task(poll.run(), name="poll")
                tasks.create_task(feed.run(), name="video")
                await until(lambda: poll.get() is not None and feed.connected_mono_us > 0)
                send_to(simulator, group)
                await until(lambda: len(frames) > 3)
                assert frames[-1].position == Position(12_345, 9_000, 1_234)
                simulator.camera.look(30_000, 500, 0)
                await until(lambda: frames[-1].position == Position(30_000, 500, 0))
                simulator.camera.fault("refuse")
                await until(lambda: frames[-1].position is None)
                feed.stop()
                polling.cancel()

    run("uvloop", story())

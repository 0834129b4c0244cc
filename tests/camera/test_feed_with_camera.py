"""A feed and a simulated camera in one loop: what was sent comes out, and each way to fail has its name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction

import pytest

from nvr.camera.errors import CameraBusy, CannotConnect, LinkError, LinkLost, LinkStalled, LoginRefused, NotACamera
from nvr.camera.feed import VideoFeed
from nvr.camera.pace import Patience
from nvr.clock import HostClock
from nvr.jvc import userdata
from nvr.media.frame import Frame
from nvr.simulator.options import CameraOptions, EncodeSettings, Framing
from nvr.simulator.server import Simulator
from nvr.units import US
from tests.camera.wire import HASTY, run, until

CAMERA = CameraOptions(
    encode=EncodeSettings(frame_size="qvga", i_interval=10, bitrate_bps=300_000), join="key", keep_bytes=True
)


class Attempt:
    """One feed at a simulated camera, and what came of it."""

    def __init__(self, simulator: Simulator, patience: Patience = HASTY, camera: int = 0) -> None:
        self.frames: list[Frame] = []
        self.camera = simulator.cameras[camera]
        address = ("127.0.0.1", simulator.ports(self.camera)[0])
        self.feed = VideoFeed(address, HostClock(), self.frames.extend, patience=patience)

    async def trouble(self) -> LinkError:
        """Runs the feed to the LinkError that ends it."""
        with pytest.raises(LinkError) as ended:
            await self.feed.run()
        return ended.value

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The feed runs during the block, and is stopped at its end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.feed.run(), name="video")
            yield
            self.feed.stop()

    async def has(self, frames: int) -> None:
        await until(lambda: len(self.frames) >= frames)

    def was_sent_well(self, frame: Frame) -> bool:
        """Not a picture of which the camera left a part out."""
        return any(record.data == frame.data for record in self.camera.sent)

    def check(self) -> None:
        """What came out is what was sent, in order and without a gap, each picture where the camera looked."""
        came = {record.data: record for record in self.camera.sent if record.data is not None}
        records = [came[frame.data] for frame in self.frames]
        assert [record.seq for record in records] == list(range(records[0].seq, records[0].seq + len(records)))
        assert [frame.key for frame in self.frames] == [record.key for record in records]
        assert [frame.position for frame in self.frames] == [record.position for record in records]
        first = records[0]
        for frame, record in zip(self.frames, records, strict=True):
            assert frame.ticks * frame.time_base == Fraction(record.vop_ticks - first.vop_ticks, record.resolution)
            assert abs(frame.utc_us - record.captured_at_us) < US


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_the_camera_sends_comes_out_whole_in_order_and_in_time(loop: str) -> None:
    async def story() -> None:
        async with Simulator(replace(CAMERA, sweep_degrees_s=30.0)) as camera:
            attempt = Attempt(camera)
            async with attempt.running():
                await attempt.has(25)
            attempt.check()
            assert len({frame.position for frame in attempt.frames}) > 10
            head = attempt.feed.head
            assert head is not None
            assert head.parameters == {"encode": "mpeg4", "framerate": "30", "framesize": "qvga", "ptz_info": "on"}
            spoken = [frame.user_data for frame in attempt.frames if frame.key]
            assert {userdata.parse(said or b"").model for said in spoken} == {"VN-V685U"}

    run(loop, story())


@pytest.mark.parametrize(
    "framing",
    [
        Framing(delimiter="-foo", boundary="-foo", folded_response_line=True),
        Framing(delimiter="----foo", boundary="foo", head="mp4v-es", crlf_after_part=False),
        Framing(headers_apart=True),
    ],
    ids=["form A, folded", "no CRLF", "headers apart"],
)
def test_each_framing_the_guide_leaves_open_gives_the_same_frames(framing: Framing) -> None:
    async def story() -> None:
        async with Simulator(replace(CAMERA, framing=framing)) as camera:
            attempt = Attempt(camera)
            async with attempt.running():
                await attempt.has(15)
            attempt.check()

    run("uvloop", story())


def test_a_stream_that_begins_with_p_vops_gives_frames_from_the_first_key_on() -> None:
    async def story() -> None:
        async with Simulator(replace(CAMERA, join="live")) as camera:
            camera.camera.fault("p-first")
            attempt = Attempt(camera)
            async with attempt.running():
                await attempt.has(5)
            assert attempt.frames[0].key
            assert attempt.feed.splitter.skipped > 0
            attempt.check()

    run("uvloop", story())


_AT_ANSWER: list[tuple[str, type[LinkError], str]] = [
    ("refuse", CannotConnect, "Connection refused"),
    ("no-answer", CameraBusy, "closed without an answer"),
    ("busy", CameraBusy, "sends no video now: 503"),
    ("silent", CameraBusy, "agreed to send video, then sent no picture for 0.4 s"),
    ("unauthorized", LoginRefused, "refused to send video: 401"),
    ("html", NotACamera, "sent text/html"),
    ("endless-head", NotACamera, "an answer with a head of more than 32768 bytes"),
]


def test_a_camera_that_sends_no_video_is_given_up_under_its_own_name() -> None:
    async def story() -> None:
        async with Simulator([CAMERA] * len(_AT_ANSWER)) as cameras:
            await asyncio.sleep(0.05)  # their doors are open
            for camera, (fault, _, _) in zip(cameras.cameras, _AT_ANSWER, strict=True):
                camera.fault(fault)
            await asyncio.sleep(0.05)  # and they have noticed
            attempts = [Attempt(cameras, camera=number) for number in range(len(_AT_ANSWER))]
            troubles = await asyncio.gather(*(attempt.trouble() for attempt in attempts))
            for attempt, trouble, (fault, kind, words) in zip(attempts, troubles, _AT_ANSWER, strict=True):
                assert type(trouble) is kind, fault
                assert words in str(trouble), fault
                assert attempt.frames == [], fault

    run("uvloop", story())


_AMID: list[tuple[str, type[LinkError], str]] = [
    ("stall", LinkStalled, "has sent nothing for 0.4 s"),
    ("cut", LinkLost, "the camera closed the connection"),
    ("cut-vop", LinkLost, "closed the connection inside a part, "),
    ("cut-vop:rst", LinkLost, "closed the connection"),
    ("garbage", LinkLost, "the camera's stream cannot be followed: "),
    ("huge-length", LinkLost, "Content-Length 99999999999 is more than"),
    ("negative-length", LinkLost, "Content-Length '-5' is no size"),
    ("endless-part-head", LinkLost, "the head of a part is longer than"),
    ("short-part", LinkLost, "the camera's stream cannot be followed: "),
    ("short-part:close", LinkLost, "closed the connection inside a part, "),
]


def test_cameras_that_fail_amid_their_streams_leave_all_frames_before_and_their_neighbours_alone() -> None:
    async def story() -> None:
        async with Simulator([CAMERA] * (len(_AMID) + 1)) as cameras, asyncio.TaskGroup() as group:
            attempts = [Attempt(cameras, camera=number) for number in range(len(_AMID))]
            running = [group.create_task(attempt.trouble(), name="video") for attempt in attempts]
            neighbour = Attempt(cameras, camera=len(_AMID))
            group.create_task(neighbour.feed.run(), name="video")
            for attempt, (fault, _, _) in zip(attempts, _AMID, strict=True):
                await attempt.has(5)
                attempt.camera.fault(fault)
            for attempt, task, (fault, kind, words) in zip(attempts, running, _AMID, strict=True):
                trouble = await task
                assert type(trouble) is kind, fault
                assert words in str(trouble), fault
                attempt.frames = [frame for frame in attempt.frames if attempt.was_sent_well(frame)]
                assert len(attempt.frames) >= 5, fault
                attempt.check()
            count = len(neighbour.frames)
            await neighbour.has(count + 5)
            neighbour.feed.stop()
            neighbour.check()

    run("uvloop", story())


def test_a_link_too_slow_for_its_stream_loses_pictures_and_goes_on() -> None:
    async def story() -> None:
        slow = replace(CAMERA, send_buffer_bytes=4096, queue_bytes=16_384)
        async with Simulator(slow) as camera:
            camera.camera.fault("slow:20000")
            attempt = Attempt(camera, Patience())
            async with attempt.running():
                await until(lambda: any(record.why == "slow-client" for record in camera.camera.sent))
                count = len(attempt.frames)
                await attempt.has(count + 5)

    run("uvloop", story())


def test_a_stalled_camera_that_comes_back_in_time_is_borne() -> None:
    async def story() -> None:
        async with Simulator(CAMERA) as camera:
            attempt = Attempt(camera)
            async with attempt.running():
                await attempt.has(5)
                camera.camera.fault("stall+0.2")
                count = len(attempt.frames)
                await attempt.has(count + 20)

    run("uvloop", story())


def test_many_feeds_at_once_do_not_mix_their_pictures() -> None:
    async def story() -> None:
        places = [(100 * number, 500, 0) for number in range(8)]
        async with Simulator([replace(CAMERA, position=place) for place in places]) as cameras:
            attempts = [Attempt(cameras, camera=number) for number in range(len(places))]
            async with asyncio.TaskGroup() as group:
                for attempt in attempts:
                    group.create_task(attempt.feed.run(), name="video")
                for attempt in attempts:
                    await attempt.has(20)
                for attempt in attempts:
                    attempt.feed.stop()
            for attempt, place in zip(attempts, places, strict=True):
                attempt.check()
                assert {frame.position for frame in attempt.frames} == {place}

    run("uvloop", story())

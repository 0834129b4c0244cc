"""A feed against a peer that misbehaves as no camera would; a camera's own ways are in test_feed_with_camera.py."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from nvr.camera.errors import (
    CameraBusy,
    CannotConnect,
    LinkError,
    LinkLost,
    LinkStalled,
    LoginRefused,
    NotACamera,
    Retry,
)
from nvr.camera.feed import VideoFeed
from nvr.camera.link import Address
from nvr.camera.pace import Patience
from nvr.clock import HostClock
from nvr.media.frame import Frame, Unit
from nvr.units import US, MonoMicros
from tests.camera.wire import ANSWER, HASTY, LOOPS, Talk, part, peer, pictures, run, saying, until

pytestmark = pytest.mark.parametrize("loop", LOOPS)

REASONS = {"camera-unreachable", "camera-refused", "camera-stalled", "stream-broken"}


class Attempt:
    """One feed and what came of it."""

    def __init__(self, address: Address, patience: Patience = HASTY) -> None:
        self.frames: list[Frame] = []
        self.on_frames: Callable[[Sequence[Frame]], None] = self.frames.extend
        self.feed = VideoFeed(address, HostClock(), lambda frames: self.on_frames(frames), patience=patience)

    async def trouble(self) -> LinkError:
        """Runs the feed to the LinkError that ends it."""
        with pytest.raises(LinkError) as ended:
            await self.feed.run()
        assert ended.value.reason in REASONS
        return ended.value

    @property
    def data(self) -> list[bytes]:
        return [frame.data for frame in self.frames]


def ends(loop: str, talk: Talk) -> tuple[Attempt, LinkError]:
    """How an attempt at this peer ends, and what came before."""
    told: list[tuple[Attempt, LinkError]] = []

    async def story() -> None:
        async with peer(talk) as address:
            attempt = Attempt(address)
            told.append((attempt, await attempt.trouble()))

    run(loop, story())
    return told[0]


def test_each_picture_comes_out_as_a_timed_frame_with_its_position(loop: str) -> None:
    sent = pictures()
    parts = [part(data, f"{number} 500 0") for number, data in enumerate(sent)]
    attempt, trouble = ends(loop, saying(ANSWER, *parts))
    assert attempt.data == sent
    assert [frame.key for frame in attempt.frames] == [number % 10 == 0 for number in range(len(sent))]
    assert [frame.position for frame in attempt.frames] == [(number, 500, 0) for number in range(len(sent))]
    assert [frame.ticks * 30 * frame.time_base for frame in attempt.frames] == list(range(len(sent)))
    assert abs(attempt.frames[0].utc_us - time.time() * US) < 10 * US
    assert str(trouble) == "the camera closed the connection"
    feed = attempt.feed
    assert (feed.units, feed.pictures, feed.position) == (len(sent), len(sent), (len(sent) - 1, 500, 0))
    assert feed.bytes_received == len(ANSWER) + sum(map(len, parts))
    assert feed.head is not None
    assert feed.head.server == "JVC VN-V685 Network Camera"
    assert 0 < feed.started_mono_us <= feed.connected_mono_us <= feed.last_bytes_mono_us


def test_a_camera_that_sends_no_parts_is_recorded_from_its_bare_stream(loop: str) -> None:
    sent = pictures()
    attempt, _ = ends(loop, saying(ANSWER, b"".join(sent)))
    assert attempt.data == sent[:-1]  # where the last one ends is not known
    assert attempt.feed.position is None


def test_the_request_is_the_guides_with_the_port_in_its_host_line(loop: str) -> None:
    heard = []

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))

    async def story() -> None:
        async with peer(talk) as address:
            await Attempt(address).trouble()
            host = f"127.0.0.1:{address[1]}".encode()
        assert heard == [b"GET /api/video?encode=mpeg4&ptz_info=on HTTP/1.1\r\nHost: %s\r\n\r\n" % host]

    run(loop, story())


HTML = b"Server: Apache\r\nContent-Type: text/html\r\n\r\n<html>"


@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        (b"", CameraBusy, "closed without an answer: too many clients, or not serving this address"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", CameraBusy, "sends no video now: 503 Service Unavailable"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", LoginRefused, "refused to send video: 401 Unauthorized"),
        (b"HTTP/1.1 403\r\n\r\n", LoginRefused, "refused to send video: 403"),
        (b"HTTP/1.1 404 Not Found\r\n" + HTML, NotACamera, "'Apache' answered 404 Not Found: is this a camera"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", NotACamera, "the other side answered 302 Found"),
        (b"HTTP/1.1 200 OK\r\n" + HTML, NotACamera, "'Apache' sent text/html: is this a camera of this family?"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", NotACamera, "not HTTP: b'SSH-2.0-OpenSSH_9.2p1'"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100, NotACamera, "more than 64 header lines"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000, NotACamera, "more than 8192 bytes"),
        (b"HTTP/1.1 200 OK\r\nServ", LinkLost, "closed the connection inside the answer's head"),
        (ANSWER, CameraBusy, "agreed to send video, then closed the connection without a picture"),
        (ANSWER + b"\xff\xd8\xff\xe0", LinkLost, "the body begins as no video does"),
    ],
)
def test_an_answer_without_video_says_what_it_was(loop: str, says: bytes, kind: type[LinkError], words: str) -> None:
    attempt, trouble = ends(loop, saying(says))
    assert type(trouble) is kind
    assert words in str(trouble)
    assert attempt.frames == []
    refused = {CameraBusy, LoginRefused, NotACamera}
    assert trouble.reason == ("camera-refused" if kind in refused else "stream-broken")
    assert trouble.retry is (Retry.LATER if kind is LoginRefused else Retry.SOON)


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (part(b"x" * 500)[:300], "closed the connection inside a part, "),
        (part(b"x")[:20], "closed the connection inside the head of a part"),
        (b"", "closed the connection"),
        (b"--foo--\r\n", "the camera ended its stream"),
        (b"garbage", "cannot be followed: no delimiter where a part should begin: b'garbage'"),
        (b"--bar\r\n\r\n", "cannot be followed: delimiter"),
        (b"--foo\r\nContent-Length: 99999999\r\n\r\n", "Content-Length 99999999 is more than the 4194304 bytes taken"),
        (b"--foo\r\nContent-Length: -1\r\n\r\n", "Content-Length '-1' is no size"),
        (b"--foo\r\nX: " + b"x" * 20_000, "the head of a part is longer than 8192 bytes"),
        (part(b"\0\0\1\xb6" + b"P" * (3 << 20)), "cannot be recorded: "),
    ],
)
def test_pictures_before_trouble_are_kept_and_the_trouble_is_named(loop: str, ending: bytes, words: str) -> None:
    sent = pictures()
    attempt, trouble = ends(loop, saying(ANSWER + b"".join(map(part, sent)) + ending))
    assert attempt.data == sent
    assert (type(trouble), trouble.reason) == (LinkLost, "stream-broken")
    assert words in str(trouble)


def test_a_reset_in_the_middle_of_a_part_is_named(loop: str) -> None:
    attempt, trouble = ends(loop, saying(ANSWER + part(pictures()[0]) + part(b"x" * 99)[:-50], then="reset"))
    assert attempt.data == pictures()[:1]
    assert "inside a part, 48 bytes before its end" in str(trouble)


async def _never_answers(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drips_without_a_picture(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER + part(pictures()[0]) + b"--foo\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x" * 10)
        await writer.drain()
        await asyncio.sleep(0.01)


async def _sends_line_breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    while True:
        writer.write(b"\r\n" * 50)
        await writer.drain()
        await asyncio.sleep(0.01)


async def _floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER + part(pictures()[0]))
    burst = part(b"\0\0\1\xb2" + b"u" * 60_000) + part(pictures()[1])
    while True:
        writer.write(burst)
        await writer.drain()
        await asyncio.sleep(0.002)


_LEADS_NOWHERE: list[tuple[Talk, type[LinkError], str]] = [
    (_never_answers, LinkStalled, "has not answered the request for video in 0.4 s"),
    (saying(b"HTTP/1.1 2", then="wait"), LinkStalled, "has not answered the request for video in 0.4 s"),
    (saying(ANSWER, then="wait"), CameraBusy, "agreed to send video, then sent no picture for 0.4 s"),
    (saying(ANSWER + part(pictures()[0]), then="wait"), LinkStalled, "has sent nothing for 0.4 s"),
    (_drips_without_a_picture, LinkStalled, "sends bytes, but no whole picture for 0.6 s"),
    (_sends_line_breaks, LinkStalled, "sends bytes, but no whole picture for 0.6 s"),
]


def test_what_leads_nowhere_is_given_up_in_its_time(loop: str) -> None:
    async def give_up(talk: Talk) -> LinkError:
        async with peer(talk) as address:
            return await Attempt(address).trouble()

    async def story() -> None:
        troubles = await asyncio.gather(*(give_up(talk) for talk, _, _ in _LEADS_NOWHERE))
        for trouble, (_, kind, words) in zip(troubles, _LEADS_NOWHERE, strict=True):
            assert type(trouble) is kind
            assert words in str(trouble)

    began = time.monotonic()
    run(loop, story())
    assert time.monotonic() - began < 5


def test_a_camera_that_sends_more_than_it_may_is_given_up(loop: str) -> None:
    async def story() -> None:
        async with peer(_floods) as address:
            trouble = await Attempt(address, replace(HASTY, flood_bits_per_s=2e6)).trouble()
        assert type(trouble) is LinkLost
        assert "more than 2 Mbit/s for 0.3 s" in str(trouble)

    run(loop, story())


def test_a_host_that_is_not_there_is_named(loop: str) -> None:
    async def story() -> None:
        trouble = await Attempt(("no such host", 80)).trouble()
        assert isinstance(trouble, CannotConnect)
        assert trouble.reason == "camera-unreachable"

    run(loop, story())


def test_a_busy_moment_of_ours_is_not_taken_for_the_cameras_silence(loop: str) -> None:
    sent = pictures()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        for number, data in enumerate(sent):
            writer.write(part(data))
            await writer.drain()
            if number in (10, 30):
                time.sleep(1.2 * HASTY.silence_s)  # noqa: ASYNC251 - the loop stands still, that is the point
            await asyncio.sleep(0.001)

    attempt, trouble = ends(loop, talk)
    assert type(trouble) is LinkLost
    assert attempt.data == sent


def test_stopping_takes_what_the_kernel_has_received_and_ends_without_an_error(loop: str) -> None:
    sent = pictures()

    async def story() -> None:
        more = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER + part(sent[0]))
            await more.wait()
            for data in sent[1:]:
                writer.write(part(data))
            attempt.feed.stop()  # in the same turn: the loop has read none of these

        async with peer(talk) as address:
            attempt = Attempt(address)

            def keep(frames: Sequence[Frame]) -> None:
                attempt.frames += frames
                more.set()

            attempt.on_frames = keep
            await attempt.feed.run()
            assert attempt.data == sent
            attempt.feed.stop()

    run(loop, story())


def test_stopping_before_the_start_while_connecting_and_from_a_frame_is_safe(loop: str) -> None:
    async def story() -> None:
        async with peer(saying(ANSWER, *map(part, pictures()), then="wait", pause_s=0.005)) as address:
            early = Attempt(address)
            early.feed.stop()
            await early.feed.run()
            assert early.feed.bytes_received == 0

            soon = Attempt(address)
            asyncio.get_running_loop().call_soon(soon.feed.stop)
            await soon.feed.run()

            amid = Attempt(address)

            def keep_and_stop(frames: Sequence[Frame]) -> None:
                amid.frames += frames
                amid.feed.stop()

            amid.on_frames = keep_and_stop
            await amid.feed.run()
            assert amid.frames

    run(loop, story())


def test_an_attempt_is_run_once(loop: str) -> None:
    async def story() -> None:
        async with peer(saying(b"")) as address:
            attempt = Attempt(address)
            await attempt.trouble()
            with pytest.raises(RuntimeError, match="one attempt"):
                await attempt.feed.run()

    run(loop, story())


def test_trouble_of_whoever_takes_the_frames_comes_out_of_run_as_it_is(loop: str) -> None:
    async def story() -> None:
        async with peer(saying(ANSWER, *map(part, pictures()), then="wait")) as address:
            attempt = Attempt(address)
            attempt.on_frames = lambda frames: attempt.frames.remove(frames[0])
            with pytest.raises(ValueError, match="not in list"):
                await attempt.feed.run()
            assert attempt.feed.units >= 1

    run(loop, story())


def test_a_cancelled_attempt_closes_its_connection(loop: str) -> None:
    async def story() -> None:
        closed = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER + part(pictures()[0]))
            await reader.read()
            closed.set()

        async with peer(talk) as address:
            attempt = Attempt(address)
            seen = asyncio.Event()
            attempt.on_frames = lambda _: seen.set()
            task = asyncio.get_running_loop().create_task(attempt.feed.run(), name="video")
            await seen.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await closed.wait()

    run(loop, story())


class AgeingClock(HostClock):
    """The host's clock, and a jump of its monotonic side where a test wants minutes to be over."""

    def __init__(self) -> None:
        self.passed_us = 0

    def mono_us(self) -> MonoMicros:
        return MonoMicros(super().mono_us() + self.passed_us)


def test_reads_become_rare_once_pictures_come_and_exact_when_somebody_watches(loop: str) -> None:
    async def story() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            while True:
                for data in pictures():
                    writer.write(part(data))
                    await writer.drain()
                    await asyncio.sleep(0.001)

        async with peer(talk) as address:
            clock = AgeingClock()
            frames: list[Frame] = []
            feed = VideoFeed(
                address, clock, frames.extend, patience=replace(HASTY, silence_s=60, picture_s=60, tick_s=0.02)
            )
            task = asyncio.get_running_loop().create_task(feed.run(), name="video")
            await until(lambda: len(frames) > 5)
            assert feed._link is not None
            link = feed._link
            assert link.low_water == 1
            clock.passed_us = 20 * US
            await until(lambda: link.low_water > 1)
            count = len(frames)
            await until(lambda: len(frames) > count + 20)
            feed.watch(True)
            assert link.low_water == 1
            await asyncio.sleep(0.1)
            assert link.low_water == 1
            feed.watch(False)
            await until(lambda: link.low_water > 1)
            link.tells_waiting = False  # as an old kernel's
            await until(lambda: link.low_water == 1)
            feed.stop()
            await task

    run(loop, story())


def test_pictures_that_the_kernel_holds_below_the_mark_are_not_taken_for_silence(loop: str) -> None:
    async def story() -> None:
        calm = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            for data in pictures() * 50:
                writer.write(part(data))
                await asyncio.sleep(0.001)
                if calm.is_set():
                    break
            for data in pictures()[1:7]:  # far below the mark together
                writer.write(part(data))
                await asyncio.sleep(0.2)

        async with peer(talk) as address:
            clock = AgeingClock()
            frames: list[Frame] = []
            patience = replace(HASTY, silence_s=0.35, picture_s=60, tick_s=0.25)
            feed = VideoFeed(address, clock, frames.extend, patience=patience)
            task = asyncio.get_running_loop().create_task(feed.run(), name="video")
            await until(lambda: len(frames) > 5)
            clock.passed_us = 20 * US
            await until(lambda: feed._link is not None and feed._link.low_water > 1)
            calm.set()
            with pytest.raises(LinkLost, match="closed the connection"):
                await task
            assert frames[-1].data == pictures()[6]

    run(loop, story())


@pytest.mark.parametrize("clock_is_set", [False, True])
def test_pictures_that_waited_are_timed_when_they_came(loop: str, clock_is_set: bool) -> None:
    sent_us: list[int] = []

    async def story() -> None:
        aged, more = asyncio.Event(), asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            writer.write(part(pictures()[0]))
            await aged.wait()
            writer.write(part(pictures()[1]))
            await more.wait()
            for data in pictures()[2:10]:
                writer.write(part(data))
                sent_us.append(HostClock().mono_us())
                await asyncio.sleep(0.04)  # later than the kernel's time of the last, and no bunch
            await reader.read()

        async with peer(talk) as address:
            clock = AgeingClock()
            frames: list[Frame] = []
            arrived_us: list[int] = []

            patience = replace(HASTY, silence_s=60, picture_s=60, tick_s=0.02)
            feed = VideoFeed(address, clock, frames.extend, patience=patience, collected=True)
            stamp = feed.timeline.stamp

            def note(unit: Unit, mono_us: int, utc_us: int) -> Frame:
                arrived_us.append(mono_us)
                return stamp(unit, mono_us, utc_us)

            feed._stamp = note
            task = asyncio.get_running_loop().create_task(feed.run(), name="video")

            def holds_back() -> bool:
                feed.collect()  # it looks after the link too
                return feed._link is not None and feed._link.low_water > 1

            await until(lambda: len(frames) == 1)
            clock.passed_us = 20 * US
            aged.set()
            await until(lambda: len(frames) == 2)
            await until(holds_back)
            more.set()
            await until(lambda: len(sent_us) == 8)
            await asyncio.sleep(0.5)
            assert len(frames) == 2
            if clock_is_set:  # between arrival and reading: the kernel spoke of another time
                clock.passed_us += US
            read_us = clock.mono_us()
            feed.collect()
            assert len(frames) == 10
            assert arrived_us == sorted(arrived_us)
            if clock_is_set:
                assert arrived_us[-1] >= read_us
            else:
                waited_us = [at - 20 * US - sent for at, sent in zip(arrived_us[2:], sent_us, strict=True)]
                assert waited_us[-1] < 50_000 < read_us - 20 * US - sent_us[-1]
                assert all(-30_000 <= us < 250_000 for us in waited_us)
            feed.stop()
            await task

    run(loop, story())

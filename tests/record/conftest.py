"""A recorder upon a real disk, a real index and a real I/O thread; the test is its loop."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import av
import pytest

from nvr.clock import HostClock
from nvr.media.durable import Octets
from nvr.media.frame import Frame, Unit
from nvr.media.splitter import UnitSplitter
from nvr.metrics import CameraCounts, VolumeCounts
from nvr.record.recorder import RecordedCamera, Recorder
from nvr.record.segmenter import Segmenter
from nvr.record.shelf import Place, Shelf, Shelves
from nvr.record.syncing import SyncPlan
from nvr.record.writer import Identity, SegmentWriter
from nvr.store import schema
from nvr.store.archive import Archive
from nvr.store.index import Index
from nvr.store.ledger import Covered, Ledger, coverage
from nvr.store.reader import Reader
from nvr.store.rows import Recorded, Segment
from nvr.store.volumes import VolumeThread
from nvr.units import US
from tests.store.house import ARCHIVE, NOW, FailingDisk

BASE = Fraction(1, 90_000)
TICKS = 3_000
GROUP = 15


@pytest.fixture(scope="session")
def units() -> list[Unit]:
    """Ten seconds of a real encoder's stream, an I-VOP every half second."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = GROUP, 0, 1
    encoder.options = {"sc_threshold": "1000000000", "flags": "+bitexact"}
    splitter, made = UnitSplitter(), []
    for number in range(300):
        picture = av.VideoFrame(64, 48, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes((5 * number + 3 * at) & 255 for at in range(plane.line_size)) * plane.height)
        picture.pts, picture.time_base = number, Fraction(1, 30)
        for packet in encoder.encode(picture):
            made += splitter.feed(bytes(packet), (number, 500, 0), True)
    return made


def frames_of(units: list[Unit], *, first: int = 0, late_us: int = 0, new_run: str | None = "connected") -> list[Frame]:
    """The units as frames at 30 a second from NOW on; `first` counts them, `late_us` moves them in UTC."""
    return [
        Frame(
            data=unit.data,
            key=unit.key,
            ticks=number * TICKS,
            utc_us=NOW + late_us + (first + number) * US // 30,
            vol=unit.vol,
            time_base=BASE,
            user_data=unit.user_data,
            position=unit.position,
            new_run=new_run if number == 0 else None,
        )
        for number, unit in enumerate(units)
    ]


class Room:
    """Everything a recorder needs, and what the loop would do."""

    def __init__(
        self, path: Path, *, segment_us: int = 2 * US, queue_bytes: int = 128 << 20, ptz_track: bool = True
    ) -> None:
        self._ptz_track = ptz_track
        self.disk = FailingDisk()
        self.clock = HostClock()
        self.hops: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()
        self.index_path = path / schema.INDEX_NAME
        schema.prepare(self.index_path)
        self.index = Index(self.index_path)
        self.reader = Reader(self.index_path)
        self.counts = CameraCounts()
        self.volume_counts = VolumeCounts()
        self.root = path / "footage"
        archive = Archive(self.disk, self.index.name_archive(ARCHIVE).result())
        self.shelf = Shelf(
            Place("main", self.root, 0),
            archive,
            VolumeThread("main", self.clock, queue_bytes=queue_bytes),
            SyncPlan(2 * US),
            self.volume_counts,
            self.clock,
            known_uuid=None,
            enter=lambda name, uuid: self.index.add_volume(name, uuid).result(),
            recover=lambda _: None,
            observe_sync=lambda _: None,
            observe_seal=lambda _: None,
        )
        self.shelf.look()
        camera_id = self.index.add_camera("gate", NOW).result()
        self.recorder = Recorder(
            RecordedCamera(camera_id, "gate"),
            Segmenter(segment_us),
            Ledger(),
            Shelves([self.shelf]),
            self.index,
            self.counts,
            self.clock,
            self._make_writer,
            lambda call, *args: self.hops.put((call, args)),
        )

    def _make_writer(self, shelf: Shelf, identity: Identity, first: Frame) -> SegmentWriter:
        return SegmentWriter(
            shelf,
            identity,
            first,
            lambda outcome: self.hops.put((self.recorder.hear, (outcome,))),
            self.clock,
            ptz_track=self._ptz_track,
        )

    def take(self, frames: list[Frame]) -> None:
        for frame in frames:
            self.recorder.take(frame)
            if frame.key:  # half a second apart; the daemon's ticks are a second apart
                self.recorder.tick()
            self.turn()

    def turn(self) -> None:
        """One turn of the loop: what other threads have to tell."""
        while True:
            try:
                call, args = self.hops.get_nowait()
            except Empty:
                return
            call(*args)

    def settle(self) -> None:
        """Until disk and index have nothing left to do and the loop has heard of it."""
        deadline = time.monotonic() + 10
        idle = 0
        while idle < 3:
            assert time.monotonic() < deadline, "the disk or the index did not come to rest"
            self.turn()
            self.index.ping().result(5)
            busy = self.shelf.thread.queue_length() or self.shelf.thread.silent_seconds() or not self.hops.empty()
            idle = 0 if busy else idle + 1
            time.sleep(0.002)

    def segments(self) -> list[Segment]:
        return self.reader.segments_between("gate", 0, 1 << 62)

    def coverage(self, until_us: int) -> list[Covered]:
        """From NOW until then, with what is not in the index yet."""
        recorded = self.reader.recorded_between("gate", NOW, until_us)
        recorded += [Recorded(s.identity.start_us, s.end_us, s.identity.epoch) for s in self.recorder.uncommitted()]
        return coverage(recorded, self.reader.spans_between("gate", NOW, until_us), None, NOW, NOW, until_us)

    def told(self, until_us: int) -> str:
        """The coverage as a story: `recorded 1.000, gap disk-full 0.500`, in seconds; rounding left out."""
        self.settle()
        return ", ".join(
            " ".join(filter(None, (span.kind, span.reason, f"{(span.end_us - span.start_us) / US:.3f}")))
            for span in self.coverage(until_us)
            if span.end_us - span.start_us > 10
        )

    def fail_next(self, call: str, code: int) -> None:
        """The disk's next call of this name fails, once."""

        def fail(*_: object) -> None:
            delattr(self.disk, call)
            raise OSError(code, os.strerror(code))

        setattr(self.disk, call, fail)

    def cut_next_write(self) -> None:
        """The disk's next write takes half of what it is given, and the one after it says that the disk is full."""

        def cut(fd: int, *pieces: Octets) -> int:
            del self.disk.write
            self.fail_next("write", errno.ENOSPC)
            data = b"".join(pieces)
            return os.write(fd, data[: len(data) // 2])

        self.disk.write = cut  # type: ignore[method-assign]  # this one disk's, for one call

    def close(self) -> None:
        self.shelf.thread.stop(5)
        self.reader.close()
        self.index.close(5)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()

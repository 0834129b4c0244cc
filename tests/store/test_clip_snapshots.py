"""A clip's JPEG on its way to beside the clip's file: it is always somewhere, and whole."""

from pathlib import Path

import pytest

from nvr.media.durable import Disk
from nvr.store.clip_snapshots import WaitingSnapshots, snapshot_of

JPEG = b"\xff\xd8picture\xff\xd9"


@pytest.fixture
def clip_file(tmp_path: Path) -> Path:
    file = tmp_path / "footage/gate/clips/2026/11/20261123T140322Z-door-17.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"film")
    return file


@pytest.fixture
def waiting(tmp_path: Path) -> WaitingSnapshots:
    (tmp_path / "data").mkdir()
    return WaitingSnapshots(tmp_path / "data")


def test_it_is_named_after_the_clips_file(clip_file: Path) -> None:
    assert snapshot_of(clip_file) == clip_file.with_name("20261123T140322Z-door-17.jpg")


def test_it_waits_for_its_clip_and_then_lies_beside_it(waiting: WaitingSnapshots, clip_file: Path) -> None:
    disk = Disk()
    assert list(waiting.clips()) == []
    waiting.keep(disk, 17, JPEG)
    waiting.keep(disk, 17, b"a later one")
    assert list(waiting.clips()) == [17]
    assert waiting.place(disk, 17, clip_file) == snapshot_of(clip_file)
    assert snapshot_of(clip_file).read_bytes() == JPEG
    assert list(waiting.clips()) == []
    assert waiting.place(disk, 17, clip_file) is None


class FailingDisk(Disk):
    """A disk that fails at one call, after so many that go well."""

    def __init__(self, after: int) -> None:
        self.left = after

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(5, "the disk failed")

    def open_exclusive(self, path: Path, mode: int = 0o640) -> int:
        self._count()
        return super().open_exclusive(path, mode)

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        self._count()
        return super().write(fd, data)

    def rename_noreplace(self, source: Path, target: Path) -> None:
        self._count()
        super().rename_noreplace(source, target)

    def unlink(self, path: Path) -> None:
        self._count()
        super().unlink(path)

    def fsync_directory(self, path: Path) -> None:
        self._count()
        super().fsync_directory(path)


def test_wherever_it_is_interrupted_the_next_attempt_ends_with_the_whole_picture(
    tmp_path: Path, clip_file: Path, waiting: WaitingSnapshots
) -> None:
    waiting.keep(Disk(), 17, JPEG)
    failures = 0
    for after in range(20):
        try:
            waiting.place(FailingDisk(after), 17, clip_file)
        except OSError:
            failures += 1
            assert 17 in list(waiting.clips()) or snapshot_of(clip_file).read_bytes() == JPEG
    assert failures > 3
    assert waiting.place(Disk(), 17, clip_file) is None
    assert snapshot_of(clip_file).read_bytes() == JPEG
    assert sorted(path.suffix for path in clip_file.parent.iterdir()) == [".jpg", ".mp4"]

"""Whole writes or an error, the tail before the front, and no second try on a disk that has failed."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nvr.media.durable import Disk, DurableFile, Octets, rename_by_link


class StutteringDisk(Disk):
    """Takes at most some bytes at a time, as a nearly full disk does."""

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most

    def write(self, fd: int, *pieces: Octets) -> int:
        return super().write(fd, b"".join(pieces)[: self.at_most])


@pytest.mark.parametrize("at_most", [1, 3, 1000])
def test_short_writes_are_gone_on_with_until_all_is_out(tmp_path: Path, at_most: int) -> None:
    file = DurableFile.create(tmp_path / "a", StutteringDisk(at_most))
    file.write(b"01", b"", b"23456789")
    file.write(memoryview(b"abc"))
    file.write(*[b"."] * 3000)
    file.close()
    assert (tmp_path / "a").read_bytes() == b"0123456789abc" + b"." * 3000
    assert file.size == 3013


def test_a_disk_that_takes_nothing_and_says_nothing_is_an_error(tmp_path: Path) -> None:
    file = DurableFile.create(tmp_path / "a", StutteringDisk(0))
    with pytest.raises(OSError, match="named no error"):
        file.write(b"x")
    assert file.trouble is not None
    file.close()


def test_a_full_disk_is_told_and_not_swallowed() -> None:
    file = DurableFile(os.open("/dev/full", os.O_WRONLY), Disk())
    with pytest.raises(OSError, match="No space left"):
        file.write(b"x")
    assert file.trouble is not None
    assert file.trouble.errno == errno.ENOSPC
    file.close()


def test_nothing_is_written_below_the_end_before_the_end_is_on_disk(
    tmp_path: Path, recording_disk: Callable[[], Any]
) -> None:
    disk = recording_disk()
    file = DurableFile.create(tmp_path / "a", disk)
    file.write(b"0123456789")
    file.seek(2)
    file.write(b"XY")
    assert disk.calls == ["write", "fdatasync", "write"]
    assert disk.writes[-1].synced_bytes == 10
    file.append(b"end")
    file.full_sync()
    file.seek(0)
    file.write(b"Z")
    assert disk.calls[3:] == ["write", "fsync", "write"]
    file.close()
    assert (tmp_path / "a").read_bytes() == b"Z1XY456789end"


def test_a_failed_sync_before_the_front_leaves_the_front_alone(
    tmp_path: Path, recording_disk: Callable[[], Any]
) -> None:
    disk = recording_disk()
    disk.fail_at = 1
    file = DurableFile.create(tmp_path / "a", disk)
    file.write(b"0123456789")
    file.seek(0)
    with pytest.raises(OSError, match="call 1 fails"):
        file.write(b"X")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize("act", ["sync", "full_sync", "write"])
def test_after_trouble_the_disk_is_not_asked_again(tmp_path: Path, recording_disk: Callable[[], Any], act: str) -> None:
    disk = recording_disk()
    file = DurableFile.create(tmp_path / "a", disk)
    file.write(b"0123456789")
    file.sync()
    disk.fail_at = 2
    file_act: Callable[..., object] = getattr(file, act)
    arguments = (b"x",) if act == "write" else ()
    with pytest.raises(OSError, match="call 2 fails"):
        file_act(*arguments)
    disk.fail_at = None
    for again in (lambda: file.write(b"y"), file.sync, file.full_sync):
        with pytest.raises(OSError, match="call 2 fails"):
            again()
    assert len(disk.calls) == 3
    assert file.synced_bytes == 10
    file.close()


def test_a_file_knows_what_of_it_is_on_disk(tmp_path: Path) -> None:
    file = DurableFile.create(tmp_path / "a", Disk())
    file.write(b"01234")
    assert (file.size, file.synced_bytes) == (5, 0)
    size_before = file.size
    file.write(b"56789")
    Disk().syncfs(file.fileno())
    file.note_synced(size_before)
    assert (file.size, file.synced_bytes) == (10, 5)
    file.sync()
    assert file.synced_bytes == 10
    file.close()
    file.close()


def test_no_hole_is_ever_made(tmp_path: Path) -> None:
    file = DurableFile.create(tmp_path / "a", Disk())
    file.write(b"01234")
    for offset in (6, -1):
        with pytest.raises(OSError, match="outside"):
            file.seek(offset)
    file.seek(3)
    file.write(b"x")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"012x4"


def test_a_file_that_exists_is_never_opened_as_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"footage")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("a", "link"):
        with pytest.raises(FileExistsError):
            DurableFile.create(tmp_path / name, Disk())
    assert (tmp_path / "a").read_bytes() == b"footage"


@pytest.mark.parametrize("rename", [Disk().rename_noreplace, rename_by_link, Disk().link])
def test_a_new_name_never_takes_an_old_ones_place(tmp_path: Path, rename: Callable[[Path, Path], None]) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        rename(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"
    rename(tmp_path / "new", tmp_path / "free")
    assert (tmp_path / "free").read_bytes() == b"new"


def test_a_rename_moves_the_one_name(tmp_path: Path) -> None:
    for number, rename in enumerate((Disk().rename_noreplace, rename_by_link)):
        (tmp_path / "a").write_bytes(b"x")
        rename(tmp_path / "a", tmp_path / f"b{number}")
        assert not (tmp_path / "a").exists()
    with pytest.raises(FileNotFoundError) as trouble:
        Disk().rename_noreplace(tmp_path / "none", tmp_path / "c")
    assert trouble.value.filename == str(tmp_path / "none")


def test_the_disk_says_what_it_cannot(tmp_path: Path) -> None:
    disk = Disk()
    with pytest.raises(OSError, match="syncfs"):
        disk.syncfs(-1)
    with pytest.raises(FileExistsError):
        disk.mkdir(tmp_path)
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        disk.fsync_directory(tmp_path / "a")
    disk.fsync_directory(tmp_path)
    assert disk.statvfs(tmp_path).f_frsize > 0

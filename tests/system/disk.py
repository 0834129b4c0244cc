"""Disks that fail on demand: a file system that loses power, and calls that hang or fail below one folder."""

import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

_SHUTDOWN: Final = 0x8004587D  # EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)
_WITHOUT_FLUSHING: Final = (
    2  # EXT4_GOING_FLAGS_NOLOGFLUSH: what is not on disk now never comes there, as at a power cut
)
_COMMAND_S: Final = 30
_LET_GO_S: Final = 5.0
_SIZE_BYTES: Final = 512 << 20

# What a write, sync or truncation of a file below one of the folders does is said by the file `<folder>.trouble`.
_SHIM: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char word(const char *folder, size_t length) {
    char path[4096];
    snprintf(path, sizeof path, "%.*s.trouble", (int)length, folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char said = 0;
    if (read(fd, &said, 1) != 1) said = 0;
    close(fd);
    return said;
}

static int trouble(int fd) {
    const char *folders = getenv("NVR_TROUBLED_FOLDERS");
    char link[64], path[4096];
    if (!folders) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return 0;
    path[size] = 0;
    for (const char *at = folders; *at;) {
        size_t length = strcspn(at, ":");
        if (!strncmp(path, at, length) && (path[length] == '/' || !path[length])) {
            char said;
            while ((said = word(at, length)) == 'h') usleep(20000);
            return said == 'i' ? EIO : said == 's' ? ENOSPC : 0;
        }
        at += length + (at[length] == ':');
    }
    return 0;
}

#define GUARD(fd) \
    do { int saved = errno, why = trouble(fd); errno = saved; if (why) { errno = why; return -1; } } while (0)
#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    GUARD(fd);
    return real(fd, data, size);
}
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    GUARD(fd);
    return real(fd, pieces, count);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    GUARD(fd);
    return real(fd, data, size, at);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
int fsync(int fd) { REAL(int, "fsync", int); GUARD(fd); return real(fd); }
int fdatasync(int fd) { REAL(int, "fdatasync", int); GUARD(fd); return real(fd); }
int syncfs(int fd) { REAL(int, "syncfs", int); GUARD(fd); return real(fd); }
"""


class PowerCutDisk:
    """An ext4 of its own on a loop device, at `path`."""

    def __init__(self, folder: Path, size_bytes: int = _SIZE_BYTES) -> None:
        """Makes it; skips the test where that is not possible."""
        if os.geteuid() != 0:
            pytest.skip("mounting a file system to cut its power needs root")
        for tool in ("mkfs.ext4", "mount", "umount"):
            if shutil.which(tool) is None:
                pytest.skip(f"cutting the power of a file system needs {tool}")
        folder.mkdir(parents=True, exist_ok=True)
        self._image = folder / "disk.img"
        self.path = folder / "mounted"
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(size_bytes)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        trouble = self._mount()
        if trouble:
            pytest.skip(f"a file system cannot be mounted here: {trouble}")

    def __enter__(self) -> "PowerCutDisk":
        return self

    def __exit__(self, *_: object) -> None:
        # Lazily: whoever still has a file open there is about to end.
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True, timeout=_COMMAND_S, check=False)
        self._image.unlink(missing_ok=True)

    def cut_power(self) -> None:
        """From now on nothing reaches the disk any more, and what was not synced is lost; calls fail with EIO."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING))
        finally:
            os.close(fd)

    def power_up(self) -> None:
        """Mounts it again, as a boot or a person would. Whoever used it has let go of it within some seconds."""
        until_s = time.monotonic() + _LET_GO_S
        while (trouble := _trouble("umount", str(self.path))) and time.monotonic() < until_s:
            time.sleep(0.02)
        assert not trouble, f"{trouble} {_open_below(self.path)}"
        trouble = self._mount()
        assert not trouble, trouble

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """During the block every write and sync waits."""
        if shutil.which("fsfreeze") is None:
            pytest.skip("freezing a file system needs fsfreeze")
        _run("fsfreeze", "-f", str(self.path))
        try:
            yield
        finally:
            _run("fsfreeze", "-u", str(self.path))

    def unmount(self) -> None:
        """As a person pulls it: what is open there stays open, and the mount point is an empty folder."""
        _run("umount", "-l", str(self.path))

    def mount(self, path: Path | None = None) -> None:
        """Again, or at another disk's place."""
        _run("mount", "-o", "loop", str(self._image), str(path or self.path))

    def fill(self, leave_bytes: int = 0) -> Path:
        """Somebody else's file takes all room but that; as root also what is kept for root."""
        found = os.statvfs(self.path)
        path = self.path / "somebody-elses"
        with path.open("ab", buffering=0) as file:
            if leave_bytes:
                os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - leave_bytes)
                return path
            with suppress(OSError):
                while file.write(bytes(1 << 16)):
                    pass
        return path

    def remount(self, how: str) -> None:
        """`ro` or `rw`."""
        _run("mount", "-o", f"remount,{how}", str(self.path))

    def _mount(self) -> str:
        return _trouble("mount", "-o", "loop", str(self._image), str(self.path))


class Shim:
    """Lets a program's writes and syncs below some folders fail or hang, without root."""

    def __init__(self, folder: Path, troubled: tuple[Path, ...]) -> None:
        """Skips the test where there is no C compiler."""
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("letting calls hang needs a C compiler (cc)")
        source, self._library = folder / "shim.c", folder / "shim.so"
        source.write_text(_SHIM)
        _run(compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(source), "-ldl")
        self._troubled = troubled

    @property
    def environment(self) -> Mapping[str, str]:
        """For the program."""
        return {"LD_PRELOAD": str(self._library), "NVR_TROUBLED_FOLDERS": ":".join(map(str, self._troubled))}

    @contextmanager
    def trouble(self, folder: Path, word: str) -> Iterator[None]:
        """During the block calls below that folder `hang`, fail with `io` (EIO) or `space` (ENOSPC)."""
        assert folder in self._troubled
        sign = folder.with_name(folder.name + ".trouble")
        sign.write_text({"hang": "h", "io": "i", "space": "s"}[word])
        try:
            yield
        finally:
            sign.unlink()


def _open_below(path: Path) -> list[str]:
    """Which process has which file open there."""
    found = []
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            target = fd.readlink()
            if target.is_relative_to(path):
                found.append(f"{fd}: {target}")
    return found


def _run(*words: str) -> None:
    trouble = _trouble(*words)
    assert not trouble, f"{' '.join(words)}: {trouble}"


def _trouble(*words: str) -> str:
    """What a command complains of; empty where it worked."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""

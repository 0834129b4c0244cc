"""A program of its own: lives of an index whose k-th call to its disk fails, for each k until a life has no k-th call.

    LD_PRELOAD=failing.so python failing_index.py failing.so FOLDER EMPTY_INDEX HOW once|sticky STEP

STEP 1 tries every call, 3 each third one.

Prints one line of JSON: how many calls a whole life has, and how many lives ended how. Any broken promise is an
exception.
"""

import ctypes
import errno
import json
import shutil
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from fractions import Fraction
from pathlib import Path

from nvr.store.errors import DiskFull, IndexDamaged
from nvr.store.index import Index
from nvr.store.rows import Run, SegmentRow
from nvr.units import US

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int at, why, sticky, halves, slow, calls;

void arm(int k, int error, int for_good, int half, int slow_us) {
    calls = 0; at = k; why = error; sticky = for_good; halves = half; slow = slow_us;
}
int counted(void) { return calls; }

static int due(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "index.sqlite3") || strstr(path, "-shm")) return 0;
    calls++;
    return at && (calls == at || (sticky && calls > at));
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)
#define FAIL(fd) do { if (due(fd)) { if (slow) usleep(slow); else { errno = why; return -1; } } } while (0)

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    if (due(fd)) {
        if (slow) usleep(slow);
        else if (halves && size > 1) { size /= 2; at++; halves = 0; return real(fd, data, size, offset); }
        else { errno = why; return -1; }
    }
    return real(fd, data, size, offset);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }
int fsync(int fd) { REAL(int, "fsync", int); FAIL(fd); return real(fd); }
int fdatasync(int fd) { REAL(int, "fdatasync", int); FAIL(fd); return real(fd); }
int ftruncate64(int fd, off_t size) { REAL(int, "ftruncate64", int, off_t); FAIL(fd); return real(fd, size); }
"""
"""Counts and fails what SQLite does to index and log; the shared memory beside them is no disk's affair."""

SEGMENTS = 3
NOW = 1_795_442_602_123_456


def live(index_path: Path) -> tuple[set[int], str]:
    """Enters segments one after the other; the numbers that were acknowledged, and how it ended."""
    acknowledged: set[int] = set()
    ended = "well"
    try:
        index = Index(index_path)
    except (DiskFull, IndexDamaged) as trouble:
        return acknowledged, type(trouble).__name__
    try:
        index.name_archive("0b1f1c8e-0000-4000-8000-00000000a5c1").result(20)
        camera = index.add_camera("gate", NOW).result(20)
        volume = index.add_volume("main", "0b1f1c8e-0000-4000-8000-00000000a5c2").result(20)
        index.begin_run(Run(7, camera, "gate", NOW, "connected", 0, "stream", NOW)).result(20)
    except (DiskFull, IndexDamaged) as trouble:
        ended = type(trouble).__name__
    else:
        for seq in range(SEGMENTS):
            start_us = NOW + seq * US
            row = SegmentRow(camera, 7, seq, volume, start_us, start_us + US, 30, 1000, Fraction(1, 90_000), 0, 90_000)
            try:
                index.add_segment(row).result(20)
                acknowledged.add(seq)
            except (DiskFull, IndexDamaged) as trouble:
                ended = type(trouble).__name__
    assert index.close(20)
    return acknowledged, ended


def known(index_path: Path) -> set[int]:
    """What a later reader finds. Raises where the index is not whole."""
    with closing(sqlite3.connect(index_path)) as rows:
        assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert rows.execute("PRAGMA foreign_key_check").fetchall() == []
        return {seq for (seq,) in rows.execute("SELECT seq FROM segment")}


def main() -> None:
    library, folder, empty = ctypes.CDLL(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    how, sticky = sys.argv[4], sys.argv[5] == "sticky"
    code = errno.ENOSPC if how in ("short", "slow") else getattr(errno, how)
    ends: Counter[str] = Counter()
    k, step = 1, int(sys.argv[6])
    while True:
        base = folder / str(k)
        base.mkdir()
        index_path = base / "index.sqlite3"
        shutil.copyfile(empty, index_path)
        library.arm(k, code, int(sticky), int(how == "short"), 5_000 if how == "slow" else 0)
        acknowledged, ended = live(index_path)
        calls = library.counted()
        library.arm(0, 0, 0, 0, 0)
        assert acknowledged <= known(index_path), f"call {k}: an acknowledged row is lost"
        again, ended_again = live_again(index_path)
        assert ended_again == "well", f"call {k}: the next life is not well"
        assert again == set(range(SEGMENTS))
        ends[ended] += 1
        shutil.rmtree(base)
        if calls < k:
            break
        k += step
    print(json.dumps({"calls": calls, "ends": ends}))


def live_again(index_path: Path) -> tuple[set[int], str]:
    """The life after the fault: what is not there yet is entered."""
    before = known(index_path)
    with closing(sqlite3.connect(index_path)) as rows:
        rows.execute("DELETE FROM segment")
        rows.commit()
    acknowledged, ended = live(index_path)
    assert before <= acknowledged
    return known(index_path), ended


if __name__ == "__main__":
    main()

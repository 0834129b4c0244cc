"""One daemon, or readers; never both."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nvr.store import lock
from nvr.store.errors import StoreBusy

_HOLD = """
import sys
from pathlib import Path
from nvr.store import lock
held = lock.hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_daemon_is_refused_with_one_clear_sentence(tmp_path: Path) -> None:
    held = lock.hold(tmp_path)
    begun = time.monotonic()
    with pytest.raises(StoreBusy, match=rf"another nvr \(process {os.getpid()}\) runs on {tmp_path}; stop it first"):
        lock.hold(tmp_path, wait_s=30)
    assert time.monotonic() - begun < 5, "a daemon is not waited for"
    held.release()
    held.release()
    lock.hold(tmp_path).release()
    assert (tmp_path / lock.LOCK_NAME).read_bytes() == b""


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusy, match=str(other.pid)):
            lock.hold(tmp_path)
        with lock.daemon_kept_out(tmp_path) as still:
            assert not still
        other.kill()
    lock.hold(tmp_path).release()


def test_a_reader_keeps_a_daemon_out_only_for_its_question(tmp_path: Path) -> None:
    lock.hold(tmp_path).release()
    release = threading.Event()

    def read() -> None:
        with lock.daemon_kept_out(tmp_path) as still:
            assert still
            asking.set()
            release.wait(10)

    asking = threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    assert asking.wait(10)
    with lock.daemon_kept_out(tmp_path) as still:
        assert still, "readers do not keep each other out"
    with pytest.raises(StoreBusy, match="reading the index"):
        lock.hold(tmp_path, wait_s=0.1)
    threading.Timer(0.1, release.set).start()
    lock.hold(tmp_path, wait_s=10).release()
    reader.join()


def test_where_no_daemon_has_ever_run_none_runs(tmp_path: Path) -> None:
    with lock.daemon_kept_out(tmp_path) as still:
        assert still
    assert list(tmp_path.iterdir()) == []

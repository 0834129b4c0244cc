"""What the kernel's books say of a process agrees with what the process says of itself."""

import os
import subprocess
import sys

import pytest

from bench import procs

_BUSY = """
import sys, threading, time
def spin():
    end = time.thread_time() + 0.1
    while time.thread_time() < end: pass
thread = threading.Thread(target=spin); thread.start(); thread.join(); spin()
print(time.process_time(), flush=True)
sys.stdin.read()
"""


def test_cpu_of_all_threads_counts_also_after_they_have_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        said_s = float(busy.stdout.readline())
        found_s = procs.cpu_s(busy.pid)
    assert said_s >= 0.2
    assert found_s == pytest.approx(said_s, abs=0.05)


def test_cpu_of_a_buried_child_counts_for_its_parent() -> None:
    before_s = procs.cpu_s(os.getpid())
    subprocess.run([sys.executable, "-c", _BUSY], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    assert procs.cpu_s(os.getpid()) - before_s > 0.18


def test_a_family_is_a_process_and_what_it_started() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        family = procs.family(parent.pid)
        assert len(family) == 2
        assert family[0] == parent.pid
        assert all(procs.pss_bytes(pid) > 1 << 20 for pid in family)
        assert procs.private_bytes(parent.pid) <= procs.pss_bytes(parent.pid)

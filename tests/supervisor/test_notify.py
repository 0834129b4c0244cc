"""What the service manager hears, as sd_notify(3) says it."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvr.supervisor.notify import Notifier
from tests.supervisor.manager import Manager, manager


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path) as listening:
        yield listening


def test_without_a_service_manager_nothing_is_said_and_nothing_fails() -> None:
    silent = Notifier.of({})
    assert silent.watchdog_s is None
    with silent.starting("opening"):
        silent.ready()
    silent.reloading()
    silent.alive()
    silent.stopping()


def test_each_matter_is_one_datagram(systemd: Manager) -> None:
    notifier = Notifier.of(dict(systemd.environment))
    notifier.ready()
    notifier.alive()
    before_us = time.monotonic_ns() // 1000
    notifier.reloading()
    notifier.stopping()
    said = systemd.wait_for("STOPPING", 5)
    assert [one.partition("=")[0] for one in said] == ["READY", "WATCHDOG", "RELOADING", "MONOTONIC_USEC", "STOPPING"]
    assert before_us <= int(said[3].partition("=")[2]) <= time.monotonic_ns() // 1000


def test_a_status_is_one_line_and_said_only_when_it_is_new(systemd: Manager) -> None:
    notifier = Notifier.of(dict(systemd.environment))
    for line in ("two of\ntwo", "two of\ntwo", "one of two"):
        notifier.status(line)
    notifier.ready()
    assert systemd.wait_for("READY", 5) == ["STATUS=two of two", "STATUS=one of two", "READY=1"]


def test_what_the_manager_asked_is_not_left_for_child_processes(systemd: Manager) -> None:
    environment = {**systemd.environment, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    assert Notifier.of(environment).watchdog_s == 30.0
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize("asked", [{"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {}])
def test_a_watchdog_that_is_not_meant_for_us_is_not_fed(systemd: Manager, asked: dict[str, str]) -> None:
    assert Notifier.of({**systemd.environment, **asked}).watchdog_s is None


def test_another_life_of_the_same_process_is_given_what_the_first_one_took(systemd: Manager) -> None:
    first = Notifier.of({**systemd.environment, "WATCHDOG_USEC": "30000000"})
    second = Notifier.of(first.environment())
    assert second.watchdog_s == 30
    second.ready()
    assert systemd.wait_for("READY", 5) == ["READY=1"]
    assert Notifier.of({}).environment() == {}


def test_a_start_asks_for_more_time(systemd: Manager) -> None:
    notifier = Notifier.of(dict(systemd.environment))
    with notifier.starting("mending"):
        said = systemd.wait_for("EXTEND_TIMEOUT_USEC", 5)
    assert said == ["STATUS=mending", "EXTEND_TIMEOUT_USEC=60000000"]


def test_an_abstract_socket_is_heard_as_well(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0nvr-test-{os.getpid()}")
        Notifier.of({"NOTIFY_SOCKET": f"@nvr-test-{os.getpid()}"}).ready()
        listening.settimeout(5)
        assert listening.recv(64) == b"READY=1"


def test_a_manager_that_went_away_ends_nothing(systemd: Manager) -> None:
    notifier = Notifier.of(dict(systemd.environment))
    systemd.close()
    notifier.alive()

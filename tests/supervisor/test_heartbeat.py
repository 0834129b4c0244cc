"""The watchdog of a real store: fed while its threads come on, starved when one hangs that a restart may mend."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from nvr import config
from nvr.clock import HostClock
from nvr.metrics import Metrics
from nvr.supervisor import wiring
from nvr.supervisor.heartbeat import Heartbeat
from nvr.supervisor.notify import Notifier
from tests.supervisor.manager import Manager, manager

WATCHDOG_S = 0.45


class Beating:
    """A store of two volumes whose heart beats as often as `for_s` is called."""

    def __init__(self, store: wiring.Store, systemd: Manager) -> None:
        self.store = store
        self.let_go = Event()
        self._systemd = systemd
        notifier = Notifier(str(systemd.path), WATCHDOG_S)
        self._heartbeat = Heartbeat(notifier, store.index, store.shelves, HostClock())

    def until(self, so: Callable[[list[str]], bool]) -> list[str]:
        """Beats until what was said in the last WATCHDOG_S is so; what that was."""
        ends_s = time.monotonic() + 20
        while True:
            said = self._said_while_beating()
            if so(said):
                return said
            assert time.monotonic() < ends_s, said

    def _said_while_beating(self) -> list[str]:
        until_s, said = time.monotonic() + WATCHDOG_S, []
        while time.monotonic() < until_s:
            self._heartbeat.beat()
            said += self._systemd.listen(0.05)
        return said

    def hang(self, *volumes: int) -> None:
        for at in volumes:
            self.store.shelves.all[at].put(0, self.let_go.wait, 30)


def _fed(said: list[str]) -> bool:
    return "WATCHDOG=1" in said


def _starved(said: list[str]) -> bool:
    return "WATCHDOG=1" not in said


@pytest.fixture
def beating(tmp_path: Path) -> Iterator[Beating]:
    (tmp_path / "config.toml").write_text(
        f'data_dir = "{tmp_path}/data"\n'
        + "".join(f'[[volume]]\nname = "{name}"\npath = "{tmp_path}/{name}"\nkeep_free = 0\n' for name in "ab")
    )
    clock = HostClock()
    store = wiring.open_store(config.load(tmp_path / "config.toml"), Metrics("0", clock.utc_us), clock)
    with manager(tmp_path) as systemd:
        beating = Beating(store, systemd)
        yield beating
        beating.let_go.set()
    assert store.close(5)


def test_it_is_fed_three_times_as_often_as_it_must_be(beating: Beating) -> None:
    assert 2 <= beating.until(_fed).count("WATCHDOG=1") <= 4


def test_a_hanging_writer_of_the_index_starves_it_until_it_comes_on(beating: Beating) -> None:
    beating.store.index.do(lambda _: beating.let_go.wait(30))
    beating.until(_starved)
    beating.let_go.set()
    beating.until(_fed)


def test_volumes_that_all_hang_starve_it_and_one_that_answers_feeds_it_again(beating: Beating) -> None:
    beating.hang(0)
    time.sleep(WATCHDOG_S)
    assert _fed(beating.until(lambda _: True)), "one hanging disk of two is no reason to restart"
    beating.hang(1)
    assert any(one.startswith("STATUS=hangs: no volume") for one in beating.until(lambda said: "STATUS" in str(said)))
    beating.until(_starved)
    beating.let_go.set()
    beating.until(_fed)


def test_a_volume_that_never_answered_in_this_life_is_no_reason(beating: Beating) -> None:
    for shelf in beating.store.shelves.all:
        shelf.volume.release() if shelf.volume is not None else None
        shelf.volume = None
    beating.hang(0, 1)
    time.sleep(WATCHDOG_S)
    assert _fed(beating.until(lambda _: True))

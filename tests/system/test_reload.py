"""The configuration changes while nvr records: what is not touched loses nothing, and a wrong file changes nothing."""

import json
import os
import random
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from tests.system.conftest import Stories
from tests.system.footage import check_exact, check_in_order, check_promises, unpromised
from tests.system.house import Daemon, House
from tests.system.world import World

_QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)
UNTOUCHED: Final = ("still-1", "still-2")


@dataclass(slots=True)
class Changed:
    """A life in which the configuration changed again and again, and what is left of it."""

    house: House
    reloads: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Exit code of each `nvr reload` of a file that was wrong, and what the daemon said of it afterwards."""
    sent: dict[str, list[SentVop]] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    """What each `nvr reload --json` said."""
    stopped_us: int = 0
    page: str = ""
    """The metrics after the last reload."""
    slugs: set[str] = field(default_factory=set)
    """Every name that a camera had in the end or before it went."""


class _Editor:
    """Changes a house's configuration, in a script's order or by chance."""

    def __init__(self, house: House, guests: dict[str, int], chance: random.Random | None) -> None:
        self.house = house
        self._chance = chance or random.Random(0)
        self._script = iter(()) if chance else iter(_SCRIPT)
        self._ports = guests
        self._still = {name: house.cameras[name] for name in UNTOUCHED}
        self._guests: dict[str, dict[str, object]] = {}
        """What is configured beside the untouched, by name; each has its port and perhaps its former name."""
        self._renames = 0

    def step(self) -> None:
        """One change, or several."""
        steps = next(self._script, None) or self._chance.choices(_STEPS, k=self._chance.choice((1, 1, 2)))
        for step in steps:
            getattr(self, step)()
        self.house.configure({**self._guests, **self._still} if self._chance.random() < 0.3 else self._all())

    def settle(self) -> None:
        """Every guest is there in the end."""
        for name, port in self._ports.items():
            if not any(keys["http_port"] == port for keys in self._guests.values()):
                self._guests[name] = {"http_port": port}
        self.house.configure(self._all())

    def _all(self) -> dict[str, dict[str, object]]:
        return {**self._still, **self._guests}  # type: ignore[dict-item]  # Mapping where dict would do

    def one_comes_or_goes(self) -> None:
        self._come_or_go("guest-1")

    def another_comes_or_goes(self) -> None:
        self._come_or_go("guest-2")

    def _come_or_go(self, name: str) -> None:
        port = self._ports[name]
        gone = [known for known, keys in self._guests.items() if keys["http_port"] == port]
        for known in gone:
            del self._guests[known]
        if not gone:
            self._guests[name] = {"http_port": port}

    def one_is_renamed(self) -> None:
        if not self._guests:
            return
        self._renames += 1
        was = min(self._guests)
        keys = self._guests.pop(was)
        self._guests[f"renamed-{self._renames}"] = {**keys, "was": was}

    def guests_are_altered(self) -> None:
        for keys in self._guests.values():
            keys["fail_open"] = not keys.get("fail_open", True)
            keys["post_seconds"] = self._chance.randrange(1, 60)

    def a_volume_comes_or_goes(self) -> None:
        if self.house.volumes.keys() == {"main"}:
            self.house.volumes = {**self.house.volumes, "more": self.house.folder / "more"}
        else:
            self.house.volumes = {"main": self.house.volumes["main"]}


_STEPS: Final = (
    "one_comes_or_goes",
    "another_comes_or_goes",
    "one_is_renamed",
    "guests_are_altered",
    "a_volume_comes_or_goes",
)
_SCRIPT: Final = (
    ["one_comes_or_goes", "another_comes_or_goes"],
    ["guests_are_altered"],
    ["another_comes_or_goes", "a_volume_comes_or_goes"],
    ["one_is_renamed"],
    ["another_comes_or_goes"],
    ["a_volume_comes_or_goes", "guests_are_altered"],
)


@contextmanager
def changing(world: World, folder: Path, reloads: int, seed: int | None = None) -> Iterator[Changed]:
    """So many reloads, each of a random change, by command and by signal, with a wrong file now and then."""
    options = [CameraOptions(camera_id=name, encode=_QVGA) for name in (*UNTOUCHED, "guest-1", "guest-2")]
    with world.cameras(options) as simulator:
        cameras = dict(zip((*UNTOUCHED, "guest-1", "guest-2"), simulator.cameras, strict=True))
        ports = {name: simulator.ports(camera)[0] for name, camera in cameras.items()}
        house = House(folder, {name: {"http_port": ports[name]} for name in UNTOUCHED})
        chance = None if seed is None else random.Random(seed)
        editor = _Editor(house, {name: ports[name] for name in ("guest-1", "guest-2")}, chance)
        done = Changed(house)
        with house.start() as daemon:
            daemon.wait_recording()
            for number in range(reloads):
                editor.step()
                _reload(house, daemon, done, by_signal=number % 6 == 1)
                if chance is None:
                    daemon.wait_recording()
                else:
                    time.sleep(chance.uniform(0, 0.4))  # so that units are met at each point of their lives
                if number % 4 == 1:
                    _refuse(house, daemon, done)
            editor.settle()
            _reload(house, daemon, done, by_signal=False)
            house.volumes = {"main": folder / "footage", "more": folder / "more"}  # where footage may be
            daemon.wait_recording()
            # A file of each is complete, and some pictures of the next are there.
            daemon.wait_for("footage of all", lambda _: all(map(house.footage_of, house.cameras)), 20)
            done.slugs = set(house.cameras)
            if chance is None:
                # It goes when the last file on it is complete.
                daemon.wait_for("rid of the other volume", lambda _: 'volume="more"' not in _page(house), 20)
            done.page = _page(house)
            done.stopped_us = time.time_ns() // 1000
            assert daemon.terminate()[0] == 0
            assert daemon.log()
        done.sent = {name: world.sent(camera) for name, camera in cameras.items()}
        yield done


def _page(house: House) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{house.metrics_port}/metrics", timeout=20) as answer:
        return str(answer.read().decode())


def _reload(house: House, daemon: Daemon, done: Changed, *, by_signal: bool) -> None:
    done.reloads += 1
    if by_signal:
        os.kill(daemon.pid, signal.SIGHUP)
    else:
        code, told = house.command("reload", "--json")
        assert code == 0
        done.told.append(json.loads(told))
    daemon.wait_for("as configured", lambda states: list(states) == list(house.cameras), 20)


def _refuse(house: House, daemon: Daemon, done: Changed) -> None:
    """A file that is wrong: by signal, since the command reads it itself before it asks the daemon."""
    right = house.config.read_text()
    house.write_config(right.replace("segment_seconds", "segment_second"))
    code, _ = house.command("reload")
    os.kill(daemon.pid, signal.SIGHUP)
    until_s = time.monotonic() + 20
    while not (refused := (daemon.status() or {}).get("configuration_refused")):
        assert time.monotonic() < until_s, "the daemon does not say that it refused the file"
        time.sleep(0.02)
    done.refused.append((code, refused))
    assert list(daemon.states()) == list(house.cameras)
    house.write_config(right)
    assert house.command("reload")[0] == 0
    assert (daemon.status() or {})["configuration_refused"] is None


STORIES: Final = {"changing": partial(changing, reloads=len(_SCRIPT))}


@pytest.fixture(scope="module")
def changed(stories: Stories) -> Changed:
    return stories["changing"].result()


@pytest.mark.parametrize("camera", UNTOUCHED)
def test_a_camera_that_no_reload_touches_loses_no_picture(changed: Changed, camera: str) -> None:
    assert changed.reloads > len(_SCRIPT)
    kept = check_exact(changed.house, camera, changed.sent[camera], changed.stopped_us)
    assert len(kept) > 30


def test_the_reloads_did_what_the_other_tests_speak_of(changed: Changed) -> None:
    told = changed.told
    for key in ("added", "removed", "renamed", "changed", "volumes_added", "volumes_removed"):
        assert any(one[key] for one in told), f"no reload had {key}"


def test_what_is_renamed_keeps_its_footage_and_its_account(changed: Changed) -> None:
    assert "renamed-1" in changed.slugs
    for slug in changed.slugs:
        coverage = changed.house.coverage(slug)
        assert any(span.kind == "recorded" for span in coverage)
        check_promises(changed.house, slug)


def test_pictures_of_cameras_that_come_and_go_are_in_order_and_whole(changed: Changed) -> None:
    guests = changed.slugs - set(UNTOUCHED)
    for slug in guests:
        found = [check_in_order(changed.house, slug, changed.sent[sent]) for sent in ("guest-1", "guest-2")]
        assert any(one.records for one in found), slug


def test_a_wrong_file_changes_nothing_and_is_named_with_its_line(changed: Changed) -> None:
    assert changed.refused
    for code, sentence in changed.refused:
        assert code == 2
        assert "segment_second" in sentence
        assert "line " in sentence


def test_a_cameras_series_go_with_it(changed: Changed) -> None:
    assert set(re.findall(r'camera="([^"]+)"', changed.page)) == changed.slugs
    assert set(re.findall(r'volume="([^"]+)"', changed.page)) == {"main"}, "the other one went before the end"


def test_nothing_is_left_unpromised(changed: Changed) -> None:
    assert unpromised(changed.house) == set()


@pytest.mark.soak
def test_a_hundred_reloads_lose_no_picture_of_untouched_cameras(world: World, tmp_path: Path) -> None:
    with changing(world, tmp_path, reloads=100, seed=11) as done:
        for camera in UNTOUCHED:
            check_exact(done.house, camera, done.sent[camera], done.stopped_us)
        test_nothing_is_left_unpromised(done)
        assert all(done.house.coverage(slug) for slug in done.slugs)

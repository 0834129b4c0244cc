"""The index's disk does not answer: cameras are recorded all the same, and once it does every file has its row."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from nvr.store.rows import Clip, ClipState
from tests.system.conftest import Stories
from tests.system.disk import Shim
from tests.system.footage import check_exact, check_in_order, check_promises, path_of, segments_of, unpromised
from tests.system.house import Daemon, House, Span
from tests.system.world import World

_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(10), i_interval=5, bitrate_bps=100_000)
_CAMERAS: Final = ("always", "waiting")
_PATIENCE_S: Final = 30.0
_MORE: Final = 3
"""So many segments of each camera are sealed while the index does not answer."""


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What was so at the end of a hang."""

    status: tuple[int, str]
    """`nvr status`."""
    covered: dict[str, list[Span]]
    unentered: set[Path]
    """Files that were whole and had no row."""


@dataclass(slots=True)
class Story:
    """An archive whose index hung while an alarm came."""

    house: House
    meanwhile: list[Meanwhile] = field(default_factory=list)
    took_s: float = 0.0
    """From the hang's end to a row for each of them, and a file for the alarm's clip."""
    end: tuple[int, float] | None = None
    """Exit code of a daemon that was told to stop meanwhile, and how long it took."""
    alarm_us: int = 0
    stopped_us: int = 0
    sent: dict[str, list[SentVop]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def clips(self, camera: str) -> list[Clip]:
        return self.house.reader().clips_between(camera, 0, 1 << 60)


def _until(what: str, holds: Callable[[], object], daemon: Daemon) -> None:
    ends_s = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_s, f"not {what}:\n{daemon.log_text()[-6000:]}"
        time.sleep(0.2)  # each look opens the index anew


def _is_well(states: dict[str, dict[str, Any]]) -> bool:
    return bool(states) and (
        states["always"]["state"] == "recording"
        and states["waiting"]["state"] in ("buffering", "recording")
        and all(state["alarm_link"] for state in states.values())
    )


def _sealed(house: House) -> set[Path]:
    return {path for camera in _CAMERAS for path in house.footage_of(camera) if "clips" not in path.parts}


def _promised(house: House) -> set[Path]:
    return {path_of(house, segment) for camera in _CAMERAS for segment in segments_of(house, camera)}


class Hanging:
    """Two cameras, the house, and the shim below its data directory."""

    def __init__(
        self, world: World, folder: Path, cameras: dict[str, Camera], ports: dict[str, tuple[int, ...]]
    ) -> None:
        self._world = world
        self._cameras = cameras
        keys: dict[str, dict[str, object]] = {}
        for name, record in zip(_CAMERAS, ("continuous", "alarm"), strict=True):
            keys[name] = {"http_port": ports[name][0], "alarm_port": ports[name][1], "record": record}
        house = House(folder / "house", keys, data_dir=folder / "data")
        text = house.config.read_text().replace("[recording]", "[recording]\npre_seconds = 1\npost_seconds = 1")
        house.write_config(text + '[[rule]]\nname = "door"\nwhen = ["m1"]\n')
        self.story = Story(house)
        self.shim = Shim(folder, (house.data_dir,))

    def start(self) -> Daemon:
        return self.story.house.start(self.shim.environment)

    def go_on(self, daemon: Daemon) -> None:
        """While the index hangs: an alarm comes, and both cameras are recorded for some segments."""
        story, house = self.story, self.story.house
        entered = _promised(house)
        story.alarm_us = time.time_ns() // 1000
        for camera in self._cameras.values():
            self._world.do(camera.pin, 1, "make")

        def goes_on() -> bool:
            more = _sealed(house) - entered
            return all(sum(name in path.parts for path in more) > _MORE for name in _CAMERAS)

        _until("segments sealed without an index", goes_on, daemon)
        for camera in self._cameras.values():
            self._world.do(camera.pin, 1, "break")
        status = house.command("status", "--json")
        covered = {name: house.coverage(name) for name in _CAMERAS}
        story.meanwhile.append(Meanwhile(status, covered, _sealed(house) - _promised(house)))

    def stop(self, daemon: Daemon) -> None:
        story = self.story
        story.stopped_us = time.time_ns() // 1000
        assert daemon.terminate()[0] == 0
        story.log = daemon.log()
        story.sent = {name: self._world.sent(camera) for name, camera in self._cameras.items()}


@contextmanager
def _scene(world: World, folder: Path) -> Iterator[Hanging]:
    with world.cameras([CameraOptions(encode=_ENCODE, camera_id=name) for name in _CAMERAS], loop_s=2) as simulator:
        cameras = dict(zip(_CAMERAS, simulator.cameras, strict=True))
        yield Hanging(world, folder, cameras, {name: simulator.ports(camera) for name, camera in cameras.items()})


@contextmanager
def hung_for_a_while(world: World, folder: Path) -> Iterator[Story]:
    """Writes and syncs of the index wait for some seconds, then go on."""
    with _scene(world, folder) as scene, scene.start() as daemon:
        story = scene.story
        daemon.wait_for("well", _is_well, _PATIENCE_S)
        _until("a first row", lambda: segments_of(story.house, "always"), daemon)
        with scene.shim.trouble(story.house.data_dir, "hang"):
            scene.go_on(daemon)
        begun_s = time.monotonic()
        _until("a row for each file", lambda: story.meanwhile[0].unentered <= _promised(story.house), daemon)
        _until("the clips' files", lambda: all(_has_file(story, name) for name in _CAMERAS), daemon)
        story.took_s = time.monotonic() - begun_s
        scene.stop(daemon)
        yield story


def _has_file(story: Story, camera: str) -> bool:
    return any(clip.path for clip in story.clips(camera))


@contextmanager
def never_answered(world: World, folder: Path) -> Iterator[Story]:
    """The same for good: a daemon is killed, the next one told to stop; the last one finds a disk that is well."""
    with _scene(world, folder) as scene:
        story = scene.story
        for end in (_kill, _tell_to_stop):
            with scene.start() as daemon:
                daemon.wait_for("well", _is_well, _PATIENCE_S)
                _until("a first row", lambda: segments_of(story.house, "always"), daemon)
                with scene.shim.trouble(story.house.data_dir, "hang"):
                    scene.go_on(daemon)
                    end(story, daemon)
        with scene.start() as daemon:
            daemon.wait_for("well", _is_well, _PATIENCE_S)
            scene.stop(daemon)
        yield story


def _kill(_: Story, daemon: Daemon) -> None:
    daemon.kill()


def _tell_to_stop(story: Story, daemon: Daemon) -> None:
    story.end = daemon.terminate()


STORIES: Final = {"index-hangs": hung_for_a_while, "index-never-answers": never_answered}


@pytest.fixture(scope="module", params=list(STORIES))
def story(stories: Stories, request: pytest.FixtureRequest) -> Story:
    return stories[request.param].result()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def hung(stories: Stories) -> Story:
    return stories["index-hangs"].result()  # type: ignore[no-any-return]


def test_segments_are_sealed_though_no_row_can_be_put(story: Story) -> None:
    for meanwhile in story.meanwhile:
        for name in _CAMERAS:
            assert sum(name in path.parts for path in meanwhile.unentered) >= _MORE, meanwhile.unentered


def test_status_and_coverage_answer_meanwhile(story: Story) -> None:
    assert [meanwhile.status[0] for meanwhile in story.meanwhile] == [0] * len(story.meanwhile)
    for name, spans in story.meanwhile[0].covered.items():
        assert [span.reason for span in spans if span.kind == "gap"] == ["service-stopped"], name


def test_every_file_has_its_row_afterwards(story: Story) -> None:
    for name in _CAMERAS:
        check_promises(story.house, name)
    for meanwhile in story.meanwhile:
        assert meanwhile.unentered <= _promised(story.house)
    assert {path for path in unpromised(story.house) if "clips" not in path.parts} == set()
    assert story.house.command("db", "check", "--json")[0] == 0


def test_no_picture_is_lost_and_no_moment_is_a_hole(hung: Story) -> None:
    check_exact(hung.house, "always", hung.sent["always"], hung.stopped_us - 1_000_000)
    assert check_in_order(hung.house, "waiting", hung.sent["waiting"]).altered == 0
    for name in _CAMERAS:
        gaps = [span.reason for span in hung.house.coverage(name) if span.kind == "gap"]
        assert gaps == ["service-stopped", "service-stopped"], "before its first picture, and since the stop"


def test_the_alarm_that_came_meanwhile_has_its_clip_and_file(hung: Story, figures: list[str]) -> None:
    figures.append(f"an index that hung has all rows and clips after {hung.took_s:.2f} s")
    for name in _CAMERAS:
        (clip,) = hung.clips(name)
        assert (clip.state, clip.files, clip.rule) == (ClipState.CLOSED, 1, "door")
        assert 0 <= clip.alarm_at_us - hung.alarm_us < 2_000_000
        assert not clip.gap_us


def test_a_daemon_that_is_told_to_stop_does_not_wait_for_it(stories: Stories, figures: list[str]) -> None:
    code, seconds = stories["index-never-answers"].result().end
    figures.append(f"SIGTERM while the index hangs: {seconds:.2f} s")
    assert code == 1
    assert seconds < 5


def test_the_log_speaks_of_no_bug(story: Story) -> None:
    assert [entry for entry in story.log if "bug" in entry["message"]] == []

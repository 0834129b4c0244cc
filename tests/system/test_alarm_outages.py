"""Alarms while nobody listens: the camera's log is asked, and where it cannot be, what changed is dated so."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.store.rows import Alarm
from tests.system.conftest import Stories
from tests.system.house import Daemon, House
from tests.system.world import World

_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=8, bitrate_bps=200_000)
_US: Final = 1_000_000
_CAMERAS: Final = ("asked", "deaf")
_LOG_US: Final = 3 * _US  # the log has whole seconds, by a clock that is known to a second


@dataclass(slots=True)
class Life:
    """Two cameras whose inputs change while their alarm links are cut, and while nvr is down."""

    house: House
    pulse_us: int = 0
    """When input 1 was made and broken again."""
    changed_us: int = 0
    """When input 2 was made, to stay so."""
    stopped_us: int = 0
    broke_us: int = 0
    """When input 2 was broken, while nvr was down."""
    daemons: list[Daemon] = field(default_factory=list)

    def alarms(self, camera: str) -> list[Alarm]:
        return self.house.reader().alarms_between(camera, 0, 1 << 60)

    def json(self, *words: str) -> Any:
        code, told = self.house.command(*words, "--json")
        assert code == 0
        return json.loads(told)


@contextmanager
def outages(world: World, folder: Path) -> Iterator[Life]:
    """One camera with a login, so that its log can be asked, and one without."""
    options = [CameraOptions(encode=_ENCODE, camera_id=name) for name in _CAMERAS]
    with world.cameras(options) as simulator:
        keys: dict[str, dict[str, object]] = {}
        for name, camera in zip(_CAMERAS, simulator.cameras, strict=True):
            http, alarm, _ = simulator.ports(camera)
            keys[name] = {"http_port": http, "alarm_port": alarm}
        keys["asked"] |= {"user": "admin", "password": "jvc"}
        house = House(folder, keys, segment_seconds=2)
        text = house.config.read_text().replace("[recording]", "[recording]\npre_seconds = 2\npost_seconds = 1")
        house.config.write_text(text + '[[rule]]\nname = "door"\nwhen = ["m1", "m2", "b2"]\nwhile_active = false\n')
        life = Life(house)

        def pin(number: int, state: str) -> int:
            for camera in simulator.cameras:
                world.do(camera.pin, number, state)
            return time.time_ns() // 1000

        def links(up: bool) -> bool:
            return all(state["alarm_link"] is up for state in life.daemons[-1].states().values())

        with house.start() as daemon:
            life.daemons.append(daemon)
            daemon.wait_recording()
            daemon.wait_for("alarm links", lambda _: links(True), 10)
            for camera in simulator.cameras:
                world.do(camera.fault, "alarm-refuse")
                world.do(camera.fault, "alarm-cut")
            daemon.wait_for("no alarm links", lambda _: links(False), 10)
            life.pulse_us = pin(1, "make")
            time.sleep(0.2)
            pin(1, "break")
            life.changed_us = pin(2, "make")
            time.sleep(4)
            for camera in simulator.cameras:
                world.do(camera.clear)
            _wait(lambda: len(life.alarms("asked")) >= 2 and len(life.alarms("deaf")) >= 1)
            time.sleep(1.5)
            life.stopped_us = time.time_ns() // 1000
            assert daemon.terminate()[0] == 0
        life.broke_us = pin(2, "break")
        time.sleep(1)
        with house.start() as daemon:
            life.daemons.append(daemon)
            _wait(lambda: len(life.alarms("asked")) >= 3 and len(life.alarms("deaf")) >= 2)
            daemon.wait_recording()
            assert house.command("trigger", "--camera", "asked", "--note", "by hand")[0] == 0
            time.sleep(1.5)
            _wait(lambda: all(clip["path"] for clip in life.json("clips", "list")))
            yield life
            assert daemon.terminate()[0] == 0


STORIES: Final = {"alarm-outages": outages}


def _wait(holds: Any) -> None:
    deadline_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come about"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def life(stories: Stories) -> Life:
    return stories["alarm-outages"].result()  # type: ignore[no-any-return]


def test_the_cameras_log_tells_every_change_of_an_outage_with_its_time(life: Life) -> None:
    *alarms, _ = life.alarms("asked")
    assert [alarm.row.trigger for alarm in alarms] == ["m1", "m2", "b2"]
    for alarm, at_us in zip(alarms, (life.pulse_us, life.changed_us, life.broke_us), strict=True):
        assert abs(alarm.row.at_us - at_us) <= _LOG_US
        assert alarm.row.unconnected
        assert alarm.row.since_us is None


def test_without_a_login_what_is_another_than_before_is_dated_while_unconnected(life: Life) -> None:
    made, broken = life.alarms("deaf")
    assert [made.row.trigger, broken.row.trigger] == ["m2", "b2"], "a pulse leaves no trace"
    for alarm, at_us in ((made, life.changed_us), (broken, life.broke_us)):
        assert alarm.row.unconnected
        assert alarm.row.since_us is not None
        assert alarm.row.since_us <= at_us <= alarm.row.at_us
    assert broken.row.since_us is not None
    assert life.stopped_us - 6 * _US < broken.row.since_us <= life.stopped_us + 6 * _US


def test_each_is_a_clip_that_says_so_and_has_the_footage_of_its_time(life: Life) -> None:
    for camera, many in (("asked", 3), ("deaf", 2)):
        clips = life.json("clips", "list", "--camera", camera, "--rule", "door")
        assert len(clips) == many
        assert all(clip["unconnected"] for clip in clips)
        assert all((clip["alarm_since"] is None) is (camera == "asked") for clip in clips)
        assert all(clip["state"] == "closed" for clip in clips)
        assert all(Path(clip["path"]).is_file() for clip in clips)
        assert all(clip["gap_seconds"] == 0 for clip in clips[: many - 1]), "all of it was recorded"
    code, told = life.house.command("clips", "list")
    assert code == 0
    assert told.count("alarm link was down") == 5


def test_an_alarm_by_hand_is_a_clip_like_any_other(life: Life) -> None:
    (clip,) = life.json("clips", "list", "--rule", "manual")
    assert (clip["camera"], clip["trigger"], clip["note"]) == ("asked", "manual", "by hand")
    assert not clip["unconnected"]
    assert Path(clip["path"]).is_file()


def test_outages_are_recorded_counted_and_say_whether_the_log_was_read(life: Life) -> None:
    for camera, log in (("asked", "read"), ("deaf", "not-asked")):
        events = life.json("events", "--camera", camera)
        found = [event for event in events if event["kind"] == "alarm-link-outage"]
        assert [event["facts"]["log"] for event in found] == [log] * 2
        assert found[1]["facts"]["reason"] == "service-stopped"


def test_that_a_log_cannot_be_asked_is_said_once_in_a_life(life: Life) -> None:
    for daemon in life.daemons:
        said = [entry for entry in daemon.log() if "no user is configured" in entry["message"]]
        assert [entry["camera"] for entry in said] == ["deaf"]

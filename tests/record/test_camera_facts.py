"""What a camera says beside its pictures, from the simulated camera's own bytes to metrics, index and log."""

import logging
import math

import pytest

from nvr.media import label
from nvr.media.frame import Frame, Unit
from nvr.record.camera_facts import printable
from nvr.simulator.elementary import USER_DATA_START, user_data_2
from nvr.simulator.engine import Crystal
from nvr.store.rows import Event
from nvr.units import US
from tests.record.conftest import NOW, Room, frames_of


class Story:
    """A camera that is heard every so often, in made-up time."""

    def __init__(self, room: Room, unit: Unit) -> None:
        self.room = room
        self.model, self.name, self.fan = "VN-V685U", "gate", False
        self.offset_s, self.ppm = 0.0, 0.0
        self.at_s = 0.0
        [self._frame] = frames_of([unit])

    def hear(self, times: int, *, every_s: float = 1.0, new_run: str | None = None) -> None:
        for number in range(times):
            clock_us = Crystal(0, NOW, self.ppm).at(round(self.at_s * US)) + round(self.offset_s * US)
            said = user_data_2(self.model, clock_us, self.name, None, fan=self.fan, tracking=0)
            self.room.recorder.listen(self._heard(said, new_run if number == 0 else None))
            self.at_s += every_s

    def events(self) -> list[Event]:
        self.room.index.ping().result()
        return self.room.reader.events_between(0, 1 << 62)

    def _heard(self, said: bytes, new_run: str | None) -> Frame:
        frame = self._frame
        return Frame(
            *(frame.data, True, 0, NOW + round(self.at_s * US), frame.vol, frame.time_base),
            user_data=said.removeprefix(USER_DATA_START),
            position=None,
            new_run=new_run,
        )


@pytest.fixture
def story(room: Room, units: list[Unit]) -> Story:
    return Story(room, units[0])


def test_offset_and_drift_are_in_metrics_and_every_ten_minutes_in_the_index(room: Room, story: Story) -> None:
    assert math.isnan(room.counts.clock_drift_ratio)
    story.offset_s, story.ppm = -1.25, 60.0
    story.hear(3 * 3600)
    assert room.counts.clock_offset_s == pytest.approx(-1.25 + 3 * 3600 * 60e-6, abs=0.005)
    assert room.counts.clock_drift_ratio == pytest.approx(60e-6, abs=1e-6)
    room.index.ping().result()
    rows = room.reader.camera_clocks_between("gate", 0, 1 << 62)
    assert [(row.at_us - NOW) / US for row in rows] == [10 + 600 * number for number in range(18)]
    assert rows[0].drift_ppb is None
    assert rows[-1].drift_ppb == pytest.approx(60_000, abs=1000)
    assert room.reader.newest_camera_clocks()["gate"] == rows[-1]
    assert story.events() == []


def test_a_clock_that_is_set_is_an_event_a_row_and_a_line_in_the_log(
    room: Room, story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    story.hear(60)
    story.offset_s = 5
    story.hear(10)
    [event] = story.events()
    assert (event.kind, event.camera) == ("camera-clock-step", "gate")
    assert event.facts == {"by_seconds": pytest.approx(5, abs=0.01), "offset_seconds": pytest.approx(5, abs=0.01)}
    assert room.counts.clock_offset_s == pytest.approx(5, abs=0.01)
    assert room.reader.newest_camera_clocks()["gate"].offset_us == pytest.approx(5 * US, abs=10_000)
    assert [record.message for record in caplog.records] == ["the camera's own clock was set"]


def test_a_step_of_the_hosts_clock_is_not_said_of_the_camera(story: Story) -> None:
    story.hear(60)
    story.offset_s = -3600
    story.hear(60, new_run="clock-step")
    assert story.events() == []
    assert story.room.counts.clock_offset_s == pytest.approx(-3600, abs=0.01)


def test_another_camera_at_the_same_address_is_said(room: Room, story: Story, caplog: pytest.LogCaptureFixture) -> None:
    story.hear(3)
    story.model, story.name = "VN-V686U", "yard"
    story.hear(1)
    assert story.events() == []  # one picture may be torn
    story.hear(100)
    [event] = story.events()
    assert event.kind == "camera-changed"
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "camera 'gate' now says it is a VN-V686U called 'yard'; was a VN-V685U called 'gate'")
    ]
    camera = room.reader.camera("gate")
    assert camera is not None
    assert (camera.model, camera.ident) == ("VN-V686U", "yard")


def test_a_fan_that_fails_and_works_again_is_said_once_each(
    room: Room, story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    story.hear(3)
    assert room.counts.fan_failed == 0
    story.fan = True
    story.hear(200)
    assert room.counts.fan_failed == 1
    story.fan = False
    story.hear(200)
    assert room.counts.fan_failed == 0
    assert [event.kind for event in story.events()] == ["fan-failed", "fan-works"]
    assert [record.message for record in caplog.records] == [
        "the camera says its fan failed",
        "the camera's fan works again",
    ]


def test_a_camera_that_changes_its_mind_all_the_time_fills_nothing(story: Story) -> None:
    for number in range(600):
        story.name, story.fan, story.offset_s = f"name {number}", bool(number % 2), 1000.0 * (number % 2)
        story.hear(3, every_s=1 / 30)
    assert story.at_s == pytest.approx(60)
    assert len(story.events()) <= 6


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (None, None),
        (b"", None),
        (b"Camera01", "Camera01"),
        ("Tür".encode(), "Tür"),
        (b"\x83g\x1b[31m", "\\x83g\\x1b[31m"),
    ],
)
def test_a_name_is_shown_without_what_a_terminal_would_obey(said: bytes | None, text: str | None) -> None:
    assert printable(said) == text


@pytest.mark.parametrize("synchronised", [True, False, None])
def test_run_and_label_say_whether_the_hosts_clock_was_synchronised(
    room: Room, units: list[Unit], synchronised: bool | None
) -> None:
    room.recorder.host_time.synchronised = synchronised
    room.recorder.host_time.boot = "this one"
    room.take(frames_of(units[:60]))
    room.recorder.lost("camera-unreachable")
    room.settle()
    [segment] = room.segments()
    said = label.read(room.root / segment.path)
    assert said is not None
    assert said.synchronised is synchronised
    assert segment.host_synchronised is (synchronised is not False)
    run = room.reader.run(segment.row.run)
    assert run is not None
    assert run.boot == ("this one" if synchronised is False else None)
    less_us = room.clock.utc_us() - room.clock.mono_us()
    assert run.utc_less_mono_us == (pytest.approx(less_us, abs=US) if synchronised is False else None)

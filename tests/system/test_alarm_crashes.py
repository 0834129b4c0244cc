"""A crash during an open clip: the next start closes it where its footage ends, and makes it a file."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from nvr.media import boxes, label
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from nvr.store.rows import Clip, ClipState
from tests.system.conftest import Stories
from tests.system.footage import US, decode
from tests.system.house import Daemon, House
from tests.system.world import World

_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=8, bitrate_bps=200_000)
_CAMERAS: Final = ("always", "waiting")
_PRE_S: Final = 1
_SYNC_S: Final = 1
_NEAR_US: Final = US // 2
"""Time is slewed within a file after a busy start, and nobody knows how long its last picture stood."""
_LOST_S: Final = 2.0
"""What a crash may take: the second in the socket, the newest picture, and a busy machine's moment."""


@dataclass(slots=True)
class Crashes:
    """Lives that ended while an input was made, each with a clip open on either camera."""

    house: House
    alarm_us: list[int] = field(default_factory=list)
    crashed_us: list[int] = field(default_factory=list)
    sent: dict[str, list[SentVop]] = field(default_factory=dict)
    daemons: list[Daemon] = field(default_factory=list)

    def clips(self, camera: str) -> list[Clip]:
        return self.house.reader().clips_between(camera, 0, 1 << 60)


@contextmanager
def killed(world: World, folder: Path, rounds: int) -> Iterator[Crashes]:
    """So many crashes at random moments of an open clip; the last life stops in order, with every clip a file."""
    dice = random.Random(rounds)
    with world.cameras([CameraOptions(encode=_ENCODE, camera_id=name) for name in _CAMERAS]) as simulator:
        cameras = dict(zip(_CAMERAS, simulator.cameras, strict=True))
        keys: dict[str, dict[str, object]] = {}
        for name, record in zip(_CAMERAS, ("continuous", "alarm"), strict=True):
            http, alarm, _ = simulator.ports(cameras[name])
            keys[name] = {"http_port": http, "alarm_port": alarm, "record": record}
        house = House(folder, keys, segment_seconds=2, sync_seconds=_SYNC_S)
        text = house.config.read_text().replace("[recording]", f"[recording]\npre_seconds = {_PRE_S}\npost_seconds = 1")
        house.config.write_text(text + '[[rule]]\nname = "door"\nwhen = ["m1"]\n')
        crashes = Crashes(house)
        for number in range(rounds + 1):
            with house.start() as daemon:
                crashes.daemons.append(daemon)
                daemon.wait_for("well", _is_well, 20)
                if number == rounds:
                    _wait_for_files(crashes)
                    assert daemon.terminate()[0] == 0
                    break
                time.sleep(_PRE_S)
                crashes.alarm_us.append(time.time_ns() // 1000)
                for camera in cameras.values():
                    world.do(camera.pin, 1, "make")
                time.sleep(_LOST_S + dice.uniform(0.2, 3))
                crashes.crashed_us.append(daemon.kill())
            for camera in cameras.values():
                world.do(camera.pin, 1, "break")
        crashes.sent = {name: world.sent(camera) for name, camera in cameras.items()}
    yield crashes


def _is_well(states: dict[str, dict[str, object]]) -> bool:
    return bool(states) and (
        states["always"]["state"] == "recording"
        and states["waiting"]["state"] in ("buffering", "recording")
        and all(state["alarm_link"] for state in states.values())
    )


def _wait_for_files(crashes: Crashes) -> None:
    deadline_s = time.monotonic() + 60
    while not all(clip.path for camera in _CAMERAS for clip in crashes.clips(camera)):
        assert time.monotonic() < deadline_s, f"clips without a file: {[crashes.clips(camera) for camera in _CAMERAS]}"
        time.sleep(0.1)


STORIES: Final = {"alarm-crashes": partial(killed, rounds=2)}


@pytest.fixture(scope="module")
def crashes(stories: Stories) -> Crashes:
    return stories["alarm-crashes"].result()  # type: ignore[no-any-return]


def check_clips(crashes: Crashes, camera: str) -> list[float]:
    """Every crash left one clip, closed, a file, truthful about its end; seconds that each crash took."""
    clips = crashes.clips(camera)
    assert len(clips) == len(crashes.crashed_us), "one for each alarm, and none for an input that merely stayed"
    sent = {record.sha256: number for number, record in enumerate(crashes.sent[camera])}
    lost_s = []
    for clip, alarm_us, crashed_us in zip(clips, crashes.alarm_us, crashes.crashed_us, strict=True):
        assert (clip.state, clip.close_reason, clip.files) == (ClipState.CLOSED, "service-crashed", 1)
        assert clip.start_us is not None
        assert clip.end_us is not None
        assert clip.path is not None
        assert alarm_us <= clip.alarm_at_us < clip.end_us <= crashed_us + US / _ENCODE.frame_rate
        assert clip.start_us <= clip.alarm_at_us - _PRE_S * US + clip.pre_shortfall_us
        path = crashes.house.volume_path("main") / clip.path
        said = label.read(path)
        assert said is not None
        apart_us = (abs(said.start_us - clip.start_us), abs(said.end_us - clip.end_us))
        assert max(apart_us) <= _NEAR_US, f"the file says another time than the list, by {apart_us} us"
        data = path.read_bytes()
        kept = [sent[sha256(data[s.offset : s.offset + s.size]).hexdigest()] for s in boxes.samples(path)]
        assert kept == list(range(kept[0], kept[0] + len(kept))), "every picture once, byte for byte, in order"
        last = crashes.sent[camera][kept[-1]]
        first = crashes.sent[camera][kept[0]]
        assert first.key
        # The last picture stands until the end that is told: no later picture is in it, and none before is missing.
        after_us = clip.start_us + last.captured_at_us - first.captured_at_us
        assert clip.end_us - after_us <= US
        # Where a busy start saw the first picture late, time is slewed back to when pictures really are.
        assert clip.end_us > last.captured_at_us - _NEAR_US
        lost_s.append((crashed_us - clip.end_us) / US)
    assert max(lost_s) <= _LOST_S
    decode([crashes.house.volume_path("main") / str(clip.path) for clip in clips], any_interval=True)
    return lost_s


@pytest.mark.parametrize("camera", _CAMERAS)
def test_a_crash_leaves_a_clip_that_is_closed_exported_and_truthful_about_its_end(
    crashes: Crashes, camera: str
) -> None:
    check_clips(crashes, camera)


def test_no_daemon_speaks_of_a_bug(crashes: Crashes) -> None:
    for daemon in crashes.daemons:
        daemon.log()

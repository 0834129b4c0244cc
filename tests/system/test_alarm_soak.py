"""The full figures of alarms: five hundred at random moments, twenty crashes during open clips. Run by `make soak`."""

from pathlib import Path

import pytest

from tests.system import alarms_raised, test_alarm_crashes
from tests.system.world import World

pytestmark = pytest.mark.soak


def test_five_hundred_alarms_at_random_moments(world: World, tmp_path: Path, figures: list[str]) -> None:
    with alarms_raised.raised(world, tmp_path, cameras=10, alarms=25, cut_every_s=8) as story:
        read = 0
        for camera in story.cameras:
            alarms_raised.check_alarms(story, camera)
            alarms_raised.check_footage(story, camera)
            read += alarms_raised.check_counters(story, camera)
            if camera.startswith("alarm"):
                alarms_raised.check_waits(story, camera)
        played = alarms_raised.check_plays(story)
        alarms = sum(map(len, story.raised.values()))
        cuts = sum(max(record.connection for record in sent) - 1 for sent in story.sent.values())
    figures.append(f"{alarms} alarms on 20 cameras, {cuts} reconnects: {played} clips, {read} counters read")
    assert alarms == 500


def test_twenty_crashes_during_open_clips(world: World, tmp_path: Path, figures: list[str]) -> None:
    with test_alarm_crashes.killed(world, tmp_path, 20) as crashes:
        for camera in ("always", "waiting"):
            lost_s = test_alarm_crashes.check_clips(crashes, camera)
            told = f"{min(lost_s):.2f} to {max(lost_s):.2f} s"
            figures.append(f"kill -9 during an open clip, {camera}: {len(lost_s)} clips, each ends {told} before it")

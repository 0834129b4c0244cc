"""Alarms through the whole daemon: a report becomes a clip with the pictures from before it, as one file."""

from functools import partial
from typing import Final

import pytest

from tests.system import alarms_raised
from tests.system.alarms_raised import Story
from tests.system.conftest import Stories

STORIES: Final = {"alarms": partial(alarms_raised.raised, cameras=1, alarms=6, cut_every_s=5)}
_CAMERAS: Final = ("continuous-0", "alarm-0")


@pytest.fixture(scope="module")
def story(stories: Stories) -> Story:
    return stories["alarms"].result()  # type: ignore[no-any-return]


@pytest.mark.parametrize("camera", _CAMERAS)
def test_every_alarm_is_in_one_clip_none_is_missing_and_none_doubled(story: Story, camera: str) -> None:
    alarms_raised.check_alarms(story, camera)


@pytest.mark.parametrize("camera", _CAMERAS)
def test_a_clip_is_one_file_with_every_picture_from_the_right_i_vop_to_its_end(story: Story, camera: str) -> None:
    alarms_raised.check_footage(story, camera)


@pytest.mark.parametrize("camera", _CAMERAS)
def test_the_pictures_themselves_say_that_they_are_those_of_the_alarm(story: Story, camera: str) -> None:
    assert alarms_raised.check_counters(story, camera) > 0


def test_files_of_clips_play(story: Story) -> None:
    assert alarms_raised.check_plays(story) > 2


def test_a_waiting_camera_keeps_only_what_alarms_want_and_says_so(story: Story) -> None:
    alarms_raised.check_waits(story, "alarm-0")


@pytest.mark.parametrize("camera", _CAMERAS)
def test_an_alarm_of_a_rule_with_snapshot_leaves_a_jpeg_of_its_moment_beside_the_clip(
    story: Story, camera: str
) -> None:
    assert alarms_raised.check_snapshots(story, camera) > 0

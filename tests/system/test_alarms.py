"""Alarms through the whole daemon: a report becomes a clip with the pictures from before it, as one file."""

import json
import random
import time
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from nvr.jvc import jpeg
from nvr.media import boxes, label
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.store.clip_snapshots import snapshot_of
from nvr.store.rows import Clip, ClipState
from tests.system.footage import US
from tests.system.house import House
from tests.system.world import World

_ENCODE = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=8, bitrate_bps=300_000)
_PRE_S, _POST_S = 2, 1
_ALARMS = 3


def _clips(house: House, camera: str) -> list[Clip]:
    return house.reader().clips_between(camera, 0, 1 << 60)


def _wait_for_files(house: House, cameras: list[str]) -> None:
    deadline = time.monotonic() + 20
    while not all(clip.path for camera in cameras for clip in _clips(house, camera)):
        assert time.monotonic() < deadline, "clips without a file"
        time.sleep(0.1)


def _snapshots(house: House, camera: str) -> list[Path]:
    """Beside the clips of rules, in their order."""
    return [
        snapshot_of(house.volume_path("main") / (clip.path or ""))
        for clip in _clips(house, camera)
        if clip.rule == "door"
    ]


def _wait_for_snapshots(house: House, cameras: list[str]) -> None:
    deadline = time.monotonic() + 20
    while not all(path.exists() for camera in cameras for path in _snapshots(house, camera)):
        assert time.monotonic() < deadline, "alarms without a snapshot"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def story(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[House, dict[str, list[object]]]:
    """One camera always recorded and one waiting, with alarms at random moments; then an orderly stop."""
    dice = random.Random(5)
    options = [CameraOptions(encode=_ENCODE, keep_bytes=True, camera_id=name) for name in ("always", "waiting")]
    with world.cameras(options) as simulator:
        ports = [simulator.ports(camera) for camera in simulator.cameras]
        house = House(
            tmp_path_factory.mktemp("alarms"),
            {
                name: {"http_port": http, "alarm_port": alarm, "record": mode}
                for name, mode, (http, alarm, _) in zip(
                    ("always", "waiting"), ("continuous", "alarm"), ports, strict=True
                )
            },
        )
        text = house.config.read_text().replace(
            "[recording]", f"[recording]\npre_seconds = {_PRE_S}\npost_seconds = {_POST_S}"
        )
        house.config.write_text(
            text + '[[rule]]\nname = "door"\nwhen = ["m1"]\nwhile_active = false\nsnapshot = true\n'
        )
        with house.start() as daemon:
            daemon.wait_for("one recorded and one waiting", _is_ready, 20)
            time.sleep(_PRE_S + 1)
            for _ in range(_ALARMS):
                for camera in simulator.cameras:
                    world.do(camera.pin, 1, "make")
                time.sleep(0.2)
                for camera in simulator.cameras:
                    world.do(camera.pin, 1, "break")
                time.sleep(_POST_S + 2 + dice.random())
            assert house.command("trigger", "--camera", "waiting", "--note", "by hand")[0] == 0
            time.sleep(_POST_S + 1)
            _wait_for_files(house, ["always", "waiting"])
            _wait_for_snapshots(house, ["always", "waiting"])
            code, _ = daemon.terminate()
            assert code == 0
        sent = {name: list(camera.sent) for name, camera in zip(("always", "waiting"), simulator.cameras, strict=True)}
    return house, sent


def _is_ready(states: dict[str, dict[str, object]]) -> bool:
    return bool(
        states
        and states["always"]["state"] == "recording"
        and states["waiting"]["state"] == "buffering"
        and all(state["alarm_link"] for state in states.values())
    )


@pytest.mark.parametrize("camera", ["always", "waiting"])
def test_each_alarm_is_one_clip_and_none_is_doubled(story: tuple[House, dict], camera: str) -> None:
    house, _ = story
    clips = _clips(house, camera)
    assert [clip.rule for clip in clips] == ["door"] * _ALARMS + (["manual"] if camera == "waiting" else [])
    assert {clip.state for clip in clips} == {ClipState.CLOSED}


@pytest.mark.parametrize("camera", ["always", "waiting"])
def test_a_clip_begins_before_its_alarm_and_holds_every_picture_up_to_its_end(
    story: tuple[House, dict], camera: str
) -> None:
    house, sent = story
    digests = [vop.sha256 for vop in sent[camera]]
    for clip in _clips(house, camera):
        assert clip.path is not None
        path = house.volume_path(clip.volume or "main") / clip.path
        data = path.read_bytes()
        kept = [sha256(data[s.offset : s.offset + s.size]).hexdigest() for s in boxes.samples(path)]
        begin = digests.index(kept[0])
        assert kept == digests[begin : begin + len(kept)], "every picture once, byte for byte, in order"
        assert sent[camera][begin].key
        assert clip.start_us is not None
        assert clip.start_us <= clip.alarm_at_us - _PRE_S * US + US // 10
        assert clip.start_us > clip.alarm_at_us - _PRE_S * US - US
        captured = [vop.captured_at_us for vop in sent[camera][begin : begin + len(kept)]]
        assert captured[0] < clip.alarm_at_us < captured[-1]
        assert captured[-1] >= clip.alarm_at_us + _POST_S * US - US // 5
        said = label.read(path)
        assert said is not None
        assert said.kind is label.Kind.CLIP


def test_a_waiting_camera_keeps_only_what_alarms_want_and_says_so(story: tuple[House, dict]) -> None:
    house, _ = story
    code, told = house.command("footage", "coverage", "--camera", "waiting", "--json")
    assert code == 0
    assert '"waiting-for-alarm"' in told
    assert '"unknown"' not in told
    clips = _clips(house, "waiting")
    segments = house.reader().segments_between("waiting", 0, 1 << 60)
    recorded_us = sum(segment.row.end_us - segment.row.start_us for segment in segments)
    wanted_us = sum(clip.end_us - clip.start_us for clip in clips if clip.end_us and clip.start_us)
    assert wanted_us <= recorded_us <= wanted_us + len(clips) * 2 * US


@pytest.mark.parametrize("camera", ["always", "waiting"])
def test_an_alarm_of_a_rule_with_snapshot_leaves_a_jpeg_of_its_moment_beside_the_clip(
    story: tuple[House, dict], camera: str
) -> None:
    house, _ = story
    pictures = _snapshots(house, camera)
    assert len(pictures) == _ALARMS
    for clip, path in zip(_clips(house, camera), pictures, strict=False):
        said = jpeg.facts(path.read_bytes())
        assert said.camera_id == camera.encode()
        assert said.clock_us is not None
        assert -US < said.clock_us - clip.alarm_at_us < 5 * US
        code, told = house.command("clips", "show", str(clip.id), "--json")
        assert (code, json.loads(told)["snapshot"]) == (0, str(path))
    assert list((house.data_dir / "snapshots").iterdir()) == [], "none waits any more"
    by_hand = [clip for clip in _clips(house, camera) if clip.rule == "manual"]
    assert not any(snapshot_of(house.volume_path("main") / (clip.path or "")).exists() for clip in by_hand)


def test_files_of_clips_play(story: tuple[House, dict], tmp_path: Path) -> None:
    house, _ = story
    paths = [house.volume_path("main") / clip.path for clip in _clips(house, "waiting") if clip.path]
    assert len(paths) == _ALARMS + 1
    for path in paths:
        movie = boxes.movie(path)
        assert movie.samples[0].key
        assert len(movie.samples) > 15 * _PRE_S

"""Where the camera looked at each picture is what it sent: in the label, and at each change in the text beside it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import cycle, pairwise
from pathlib import Path
from typing import Final

import pytest

from nvr.media import boxes, label
from nvr.media.captions import Caption, parse
from nvr.media.positions import unpack_positions
from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from nvr.store.looks import looks_of
from nvr.store.rows import Box, LookKind, Segment
from tests.system.footage import check_in_order, check_promises, path_of, pictures_of
from tests.system.house import House
from tests.system.world import World

QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)
LONG: Final = replace(QVGA, i_interval=60)  # longer than a fragment, which then ends between key pictures
CAMERAS: Final = {
    "resting": CameraOptions(camera_id="resting", encode=QVGA, position=(9_215, 180, 1_200)),
    "turning": CameraOptions(camera_id="turning", encode=QVGA, sweep_degrees_s=40.0),
    "patrolling": CameraOptions(camera_id="patrolling", encode=LONG),
}
SPOTS: Final = ((35_999, 19_000, 9_999), (0, 0, 0), (1, 500, 0), (18_000, 18_500, 5_000))


@dataclass(slots=True)
class Lives:
    """Two lives of a daemon, the first killed, with a lost link in the second."""

    house: House
    sent: dict[str, list[SentVop]]


@pytest.fixture(scope="module")
def lives(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    with ExitStack() as alive:
        simulator = alive.enter_context(world.cameras(list(CAMERAS.values())))
        cameras = dict(zip(CAMERAS, simulator.cameras, strict=True))
        ports = {name: {"http_port": simulator.ports(camera)[0]} for name, camera in cameras.items()}
        house = House(tmp_path_factory.mktemp("positions"), ports, segment_seconds=2, sync_seconds=0.5)
        with house.start() as first:
            first.wait_recording()
            _patrol(world, cameras["patrolling"], 1.5)
            while not all(_has_a_fragment(house, name) for name in CAMERAS):
                _patrol(world, cameras["patrolling"], 0.1)
            first.kill()
        with house.start() as second:
            second.wait_recording()
            _patrol(world, cameras["patrolling"], 0.6)
            for camera in cameras.values():
                world.do(camera.end_streams)
            _patrol(world, cameras["patrolling"], 2)
            assert second.terminate()[0] == 0
        yield Lives(house, {name: world.sent(camera) for name, camera in cameras.items()})


def _patrol(world: World, camera: Camera, seconds: float) -> None:
    """From spot to spot."""
    ends = time.monotonic() + seconds
    for spot in cycle(SPOTS):
        world.do(camera.look, *spot)
        time.sleep(min(0.2, seconds))
        if time.monotonic() >= ends:
            return


def _has_a_fragment(house: House, camera: str) -> bool:
    """What a crash now would leave of the file being written."""
    return any(
        path.parts[-5] == camera and boxes.examine(path).state is boxes.State.OPEN
        for path in house.files()
        if path.suffix == ".part" and path.exists()
    )


def _files(lives: Lives, camera: str) -> Iterator[tuple[Segment, Path, list[SentVop]]]:
    """Each file with what was sent of its pictures."""
    records = {record.sha256: record for record in lives.sent[camera]}
    for segment in check_promises(lives.house, camera):
        yield (
            segment,
            path_of(lives.house, segment),
            [records[picture.sha256] for picture in pictures_of(lives.house, [segment])],
        )


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_label_says_of_each_picture_what_was_sent_with_it(lives: Lives, camera: str) -> None:
    assert check_in_order(lives.house, camera, lives.sent[camera]).altered == 0
    seen, recovered = 0, 0
    for segment, path, sent in _files(lives, camera):
        said = label.read(path)
        assert said is not None
        assert said.positions is not None, f"{path} (recovered: {segment.row.recovered}) has no positions"
        assert unpack_positions(said.positions, said.frames) == [record.position for record in sent], path
        seen += len(sent)
        recovered += said.recovered
    assert seen > 60
    assert recovered, "no file was cut by the kill"
    assert len({segment.row.run for segment, *_ in _files(lives, camera)}) >= 3


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_index_knows_where_it_looked_as_the_labels_do(lives: Lives, camera: str) -> None:
    reader = lives.house.reader()
    found, _ = reader.looks_along(camera, 0, 1 << 60, limit=1000)
    told = []
    for _, path, _ in _files(lives, camera):
        said = label.read(path)
        assert said is not None
        told += looks_of(said, [picture.ticks for picture in boxes.samples(path)])
    assert found == told
    boxes_seen = {look.view.box for look in found}
    kinds = {look.view.kind for look in found}
    if camera == "resting":
        assert boxes_seen == {Box(9_215, 9_215, 180, 180, 1_200, 1_200)}
        assert LookKind.REST in kinds
    else:
        assert len(boxes_seen) > 2
        assert LookKind.SWEEP in kinds


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_text_says_it_at_each_change_and_each_key_picture_with_the_time(lives: Lives, camera: str) -> None:
    changes = 0
    for segment, path, sent in _files(lives, camera):
        film = boxes.movie(path)
        captions = {line.ticks: parse(line.text) for line in boxes.lines(path, film)}
        assert None not in captions.values()
        for before, (picture, record) in pairwise([None, *zip(film.samples, sent, strict=True)]):  # type: ignore[misc]
            if before is not None and before[1].position != record.position:
                changes += 1
            elif not picture.key:
                continue
            caption = captions[picture.ticks]
            assert isinstance(caption, Caption)
            assert caption.position == record.position, path
            if picture.key:
                meant_us = segment.row.start_us + picture.ticks * film.time_base * 1_000_000
                assert caption.utc_us == pytest.approx(
                    float(meant_us), abs=50_000
                )  # the mapping settles as the run goes on
    assert {"resting": changes == 0, "turning": changes > 60, "patrolling": changes >= 8}[camera], changes


def test_an_export_over_the_files_carries_the_text(lives: Lives, tmp_path: Path) -> None:
    segments = check_promises(lives.house, "turning")
    out = tmp_path / "out.mp4"
    begin, end = (f"{us // 1_000_000}" for us in (segments[0].row.start_us, segments[-1].row.end_us + 1_000_000))
    times = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(second))) for second in (begin, end)]
    words = ("footage", "export", "--camera", "turning", "--from", times[0], "--to", times[1], "-o", str(out))
    assert lives.house.command(*words)[0] == 0
    film = boxes.movie(out)
    captions = {line.ticks: parse(line.text) for line in boxes.lines(out, film)}
    sent = [record for _, _, records in _files(lives, "turning") for record in records]
    assert len(film.samples) == len(sent)
    said, checked = None, 0
    for picture, record in zip(film.samples, sent, strict=True):
        said = captions.get(picture.ticks, said)
        assert said is not None
        assert said.position == record.position
        checked += 1
    assert checked > 60

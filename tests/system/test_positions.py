"""Where the camera looked at each picture is what it sent: in the label, and at each change in the text beside it."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from nvr.media import boxes, label
from nvr.media.captions import Caption, parse
from nvr.media.positions import unpack_positions
from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from nvr.store.looks import REST_WIDTH, looks_of, utc_of
from nvr.store.rows import Box, Look, LookKind, Segment
from nvr.units import PanTiltZoom
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
_LEAST: Final = 70
"""Pictures of each camera that its files have at least, however slow the machine."""
_PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class Lives:
    """Two lives of a daemon, the first killed, with a lost link in the second."""

    house: House
    sent: dict[str, list[SentVop]]


@contextmanager
def lived(world: World, folder: Path) -> Iterator[Lives]:
    """Tells the story; every wait is one for what must become so."""
    with ExitStack() as alive:
        simulator = alive.enter_context(world.cameras(list(CAMERAS.values())))
        cameras = dict(zip(CAMERAS, simulator.cameras, strict=True))
        ports = {name: {"http_port": simulator.ports(camera)[0]} for name, camera in cameras.items()}
        house = House(folder, ports, segment_seconds=3600, sync_seconds=0.5)
        patroller = cameras["patrolling"]
        with house.start() as first:
            first.wait_recording()
            # Files of an hour: none is just being closed when the kill comes.
            _patrol(world, patroller, lambda: all(_has_a_fragment(house, name) for name in CAMERAS))
            first.kill()
        house.segment_seconds = 2
        house.configure(ports)
        with house.start() as second:
            second.wait_recording()
            _patrol(world, patroller, lambda: True)
            for camera in cameras.values():
                world.do(camera.end_streams)
            _patrol(world, patroller, lambda: all(len(_runs(house, name)) >= 3 for name in CAMERAS))
            before = {name: len(world.sent(camera)) for name, camera in cameras.items()}
            _patrol(
                world,
                patroller,
                lambda: all(len(world.sent(camera)) > before[name] + _LEAST for name, camera in cameras.items()),
            )
            _patrol(world, patroller, lambda: True)
            assert second.terminate()[0] == 0
        sent = {name: world.sent(camera) for name, camera in cameras.items()}
    yield Lives(house, sent)


STORIES: Final = {"positions": lived}


@pytest.fixture(scope="module")
def lives(stories: "dict[str, Future[Lives]]") -> Lives:
    return stories["positions"].result()


def _patrol(world: World, camera: Camera, until: Callable[[], bool]) -> None:
    """Round after round from spot to spot, each of which is in a picture, until it is so."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        for spot in SPOTS:
            world.do(camera.look, *spot)
            while not (sent := world.sent(camera)) or sent[-1].position != spot:
                assert time.monotonic() < deadline, f"no picture of {spot}"
                time.sleep(0.02)
        if until():
            return
        assert time.monotonic() < deadline, "what was patrolled for did not come"


def _has_a_fragment(house: House, camera: str) -> bool:
    """What a crash now would leave of the file being written."""
    return any(
        path.parts[-5] == camera and boxes.examine(path).state is boxes.State.OPEN
        for path in house.files()
        if path.suffix == ".part" and path.exists()
    )


def _runs(house: House, camera: str) -> set[str]:
    """The runs that files of the camera are named after."""
    return {path.name.split("-")[1] for path in house.files() if path.parts[-5] == camera}


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
    assert seen >= _LEAST
    assert recovered, "no file was cut by the kill"
    assert len({segment.row.run for segment, *_ in _files(lives, camera)}) >= 3


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_index_knows_where_it_looked_as_the_labels_do(lives: Lives, camera: str) -> None:
    reader = lives.house.reader()
    found, _ = reader.looks_along(camera, 0, 1 << 60, limit=1000)
    told: list[Look] = []
    for _, path, sent in _files(lives, camera):
        said, film = label.read(path), boxes.samples(path)
        assert said is not None
        looks = looks_of(said, [picture.ticks for picture in film])
        at_us = [utc_of(said, picture.ticks) for picture in film]
        for look in looks:
            begin, end = bisect_left(at_us, look.start_us), bisect_left(at_us, look.end_us)
            _check_box(look, [record.position for record in sent[begin:end]])
        told += looks
    assert found == told
    kinds = {look.view.kind for look in found}
    if camera == "resting":
        assert {look.view.box for look in found} == {Box(9_215, 9_215, 180, 180, 1_200, 1_200)}
        assert LookKind.REST in kinds
    elif camera == "turning":
        assert LookKind.SWEEP in kinds
    else:
        assert {record.position for record in lives.sent[camera]} >= set(SPOTS)


def _check_box(look: Look, sent: list[PanTiltZoom]) -> None:
    """Every position that was sent during a look is in its box, which is no wider than they are."""
    box, spare = look.view.box, 0 if look.view.kind is LookKind.REST else 2 * 100 - 2  # a sweep's: whole degrees
    pan_width = (box.pan_to - box.pan_from) % 36_000
    steps = ((to[0] - before[0] + 18_000) % 36_000 - 18_000 for before, to in pairwise(sent))
    assert pan_width <= min(sum(map(abs, steps)) + spare, 35_999), look
    assert all((pan - box.pan_from) % 36_000 <= pan_width for pan, _, _ in sent), look
    for axis, low, high in ((1, box.tilt_from, box.tilt_to), (2, box.zoom_from, box.zoom_to)):
        least, most = min(position[axis] for position in sent), max(position[axis] for position in sent)
        assert low <= least <= most <= high, look
        assert high - low <= most - least + spare, look
        assert look.view.kind is LookKind.SWEEP or high - low <= REST_WIDTH, look


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_text_says_it_at_each_change_and_each_key_picture_with_the_time(lives: Lives, camera: str) -> None:
    changes = 0
    for segment, path, sent in _files(lives, camera):
        told_us: list[tuple[int, int]] = []
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
                assert caption.utc_us is not None
                told_us.append((int(picture.ticks * film.time_base * 1_000_000), caption.utc_us))
        _check_times(segment, told_us)
    assert {"resting": changes == 0, "turning": changes >= _LEAST - 1, "patrolling": changes >= len(SPOTS)}[camera]


def _check_times(segment: Segment, told_us: list[tuple[int, int]]) -> None:
    """The first text has the time of the file's begin, and time rises from there as the file's pictures do.

    A link's first picture may be late by any time; from there the mapping settles by at most a tenth (timeline).
    """
    assert told_us[0][1] == segment.row.start_us // 1000 * 1000
    for (media_us, utc_us), (next_media_us, next_utc_us) in pairwise(told_us):
        assert next_utc_us - utc_us == pytest.approx(next_media_us - media_us, rel=0.11, abs=1000)


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
    said = None
    for picture, record in zip(film.samples, sent, strict=True):
        said = captions.get(picture.ticks, said)
        assert said is not None
        assert said.position == record.position
    assert len(sent) >= _LEAST

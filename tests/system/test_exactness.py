"""What cameras send is what lies on the disk: byte for byte, in order, once, in files that any player plays in time."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.media import boxes, label
from nvr.simulator.camera import Camera
from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from nvr.store.rows import Segment
from tests.system.footage import (
    Opened,
    check_exact,
    check_no_seams,
    check_promises,
    decode,
    opened,
    probe,
    unpromised,
)
from tests.system.house import House, Span
from tests.system.world import World

QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=300_000)
CUT: Final = ("cut-1", "cut-2")
"""Cameras behind a way that cuts every byte anew."""
RATES: Final = {
    name: Fraction(rate)
    for name, rate in (("fps-25", 25), ("fps-15", 15), ("fps-10", 10), ("fps-7-5", 7.5), ("fps-1", 1))
}
"""Beside the 30 of all others."""
ENCODED: Final = {
    "cut-1": QVGA,
    "cut-2": QVGA,
    "vol-twice": QVGA,
    "all-i": replace(QVGA, i_interval=1),
    "long-group": QVGA,
    "rate-change": QVGA,
} | {name: replace(QVGA, frame_rate=rate, i_interval=max(1, int(rate / 2))) for name, rate in RATES.items()}
CAMERAS: Final = tuple(ENCODED)
CHANGED: Final = ("long-group", "rate-change", "vol-twice")
"""Cameras that are told to encode otherwise in between, and begin anew at that moment."""


@dataclass(slots=True)
class Recorded:
    """One daemon's life with all these cameras, and what is left of it."""

    house: House
    segment_seconds: float
    stopped_us: int = 0
    """When the signal was sent."""
    stop: tuple[int, float] = (0, 0.0)
    sent: dict[str, list[SentVop]] = field(default_factory=dict)
    growing: dict[str, Path] = field(default_factory=dict)
    """A copy of the file that was being written, by camera, up to its last whole fragment."""
    covered_during: dict[str, list[Span]] = field(default_factory=dict)
    segments: dict[str, list[Segment]] = field(default_factory=dict)
    opened: dict[Path, Opened] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def recording(
    world: World, folder: Path, seconds: float, segment_seconds: float, sync_seconds: float
) -> Iterator[Recorded]:
    """Records every camera for so many seconds; what came of it."""
    with ExitStack() as alive:
        options = [CameraOptions(camera_id=name, encode=encode) for name, encode in ENCODED.items()]
        simulator = alive.enter_context(world.cameras(options))
        cameras = dict(zip(CAMERAS, simulator.cameras, strict=True))
        ports = {name: simulator.ports(camera)[0] for name, camera in cameras.items()}
        for seed, name in enumerate(CUT):
            ports[name] = alive.enter_context(world.cutter(ports[name], seed))
        keys = {name: {"http_port": port} for name, port in ports.items()}
        house = House(folder, keys, segment_seconds=segment_seconds, sync_seconds=sync_seconds)
        daemon = alive.enter_context(house.start())
        daemon.wait_recording()
        done = Recorded(house, segment_seconds)
        begun_s = time.monotonic()
        for at, act in _acts(world, cameras, seconds):
            time.sleep(max(0.0, begun_s + at - time.monotonic()))
            act()
        time.sleep(max(0.0, begun_s + seconds * 0.9 - time.monotonic()))
        done.growing = _copies_of_growing(house, folder / "growing")
        done.covered_during = {name: house.coverage(name) for name in CAMERAS}
        time.sleep(max(0.0, begun_s + seconds - time.monotonic()))
        done.stopped_us = time.time_ns() // 1000
        done.stop = daemon.terminate()
        done.sent = {name: world.sent(camera) for name, camera in cameras.items()}
        done.log = daemon.log()
    done.segments = {name: check_promises(house, name) for name in CAMERAS}
    done.opened = opened(_path(done, segment) for name in CAMERAS for segment in done.segments[name])
    yield done


def _acts(world: World, cameras: dict[str, Camera], seconds: float) -> list[tuple[float, Callable[[], None]]]:
    def change(name: str, **settings: Any) -> Callable[[], None]:
        return lambda: world.do(lambda: cameras[name].change(**settings))

    return [
        # A change begins with an I-VOP: the first group of pictures begins here, the second 8.5 s later.
        (0, change("long-group", i_interval=255)),
        (seconds * 0.25, change("vol-twice", frame_size="vga")),
        (seconds * 0.30, change("rate-change", frame_rate=Fraction(10))),
        (seconds * 0.50, change("vol-twice", frame_size="qvga")),
        (seconds * 0.60, change("rate-change", frame_rate=Fraction(25))),
    ]


def _copies_of_growing(house: House, folder: Path) -> dict[str, Path]:
    folder.mkdir()
    copies = {}
    for part in sorted(path for path in house.files() if path.suffix == ".part"):
        camera = part.relative_to(house.volumes["main"]).parts[0]
        copy = folder / f"{camera}.mp4"
        try:
            shutil.copyfile(part, copy)
        except FileNotFoundError:
            continue  # sealed a moment ago
        whole = boxes.whole_bytes(copy)
        if whole:
            with copy.open("r+b") as file:
                file.truncate(whole)
            copies[camera] = copy
    return copies


def _path(done: Recorded, segment: Segment) -> Path:
    return done.house.volume_path(segment.volume) / segment.path


STORIES: Final = {"exact": partial(recording, seconds=15, segment_seconds=1, sync_seconds=1)}


@pytest.fixture(scope="module")
def recorded(stories: dict[str, "Future[Recorded]"]) -> Recorded:
    return stories["exact"].result()


@pytest.mark.parametrize("camera", CAMERAS)
def test_every_picture_from_the_first_key_picture_to_the_stop_is_there_once_in_order(
    recorded: Recorded, camera: str
) -> None:
    # Through the cutter a byte takes a moment longer than to the camera's own socket.
    until_us = recorded.stopped_us - (250_000 if camera in CUT else 0)
    kept = check_exact(recorded.house, camera, recorded.sent[camera], until_us)
    assert len(kept) >= 10


def test_the_cameras_sent_what_the_other_tests_speak_of(recorded: Recorded) -> None:
    sent = recorded.sent
    keys = [record.seq for record in sent["long-group"] if record.key]
    assert 255 in {after - before for before, after in pairwise(keys)}
    assert all(record.key for record in sent["all-i"])
    assert sum(record.key for record in sent["fps-1"]) >= 10
    assert {_milliseconds(before, after) for before, after in pairwise(sent["rate-change"])} >= {33, 40, 100}


def _milliseconds(before: SentVop, after: SentVop) -> int:
    return int(_seconds_between(before, after) * 1000)


def test_files_are_cut_as_often_as_configured(recorded: Recorded) -> None:
    for camera in CUT:
        assert len(recorded.segments[camera]) > 10


def test_a_camera_that_changes_its_picture_twice_has_files_of_each_size(recorded: Recorded) -> None:
    paths = [_path(recorded, segment) for segment in recorded.segments["vol-twice"]]
    widths = [recorded.opened[path].width for path in paths]
    changes = [(before, after) for before, after in pairwise(widths) if before != after]
    assert changes == [(320, 640), (640, 320)]


@pytest.mark.parametrize("camera", CAMERAS)
def test_segments_of_a_run_meet_without_a_seam(recorded: Recorded, camera: str) -> None:
    segments = recorded.segments[camera]
    assert len({segment.row.run for segment in segments}) == 1
    check_no_seams(segments)


def test_every_file_plays_from_end_to_end(recorded: Recorded) -> None:
    assert len(recorded.opened) > 100
    check_decodes(recorded)


def test_ffprobe_agrees_about_every_kind_of_file(recorded: Recorded) -> None:
    check_probed(recorded, lambda number, last: number in (0, last // 2, last))


def check_decodes(recorded: Recorded) -> None:
    """Decodes every file; those of a camera that began anew in between hold two pictures at any distance."""
    for changed in (False, True):
        cameras = [camera for camera in CAMERAS if (camera in CHANGED) is changed]
        decode([_path(recorded, s) for camera in cameras for s in recorded.segments[camera]], any_interval=changed)


def check_probed(recorded: Recorded, chosen: Callable[[int, int], bool]) -> None:
    """Asks ffprobe about the files of each camera that are `chosen` by their number and the last one's."""
    paths = []
    for camera in CAMERAS:
        last = len(recorded.segments[camera]) - 1
        paths += [_path(recorded, s) for number, s in enumerate(recorded.segments[camera]) if chosen(number, last)]
    for path, said in probe(paths).items():
        known = recorded.opened[path]
        assert (said.pictures, said.width) == (known.pictures, known.width), path
        assert said.seconds == pytest.approx(known.seconds, abs=0.001), path


def test_the_file_being_written_plays_up_to_its_last_whole_fragment(recorded: Recorded) -> None:
    # Files of a second and fragments of a second: some have no whole fragment yet, the one of a long group has.
    assert "long-group" in recorded.growing
    probe(list(recorded.growing.values()))
    for camera, copy in recorded.growing.items():
        decode([copy], any_interval=camera in CHANGED)


@pytest.mark.parametrize("camera", CAMERAS)
def test_files_play_at_true_speed(recorded: Recorded, camera: str) -> None:
    sent = check_exact(recorded.house, camera, recorded.sent[camera], 0)
    at = 0
    for segment in recorded.segments[camera]:
        path = _path(recorded, segment)
        movie = boxes.movie(path)
        here = sent[at : at + len(movie.samples)]
        at += len(movie.samples)
        for sample, record in zip(movie.samples, here, strict=True):
            meant = _seconds_between(here[0], record)
            assert sample.ticks * movie.time_base == meant, (
                f"{path}: at {sample.ticks * movie.time_base} s, not {meant}"
            )
        following = sent[at] if at < len(sent) else None
        _check_duration(recorded, path, here, following)
        said = label.read(path)
        assert said is not None
        # UTC is slewed towards the host's clock, by a tenth at most while a run is young.
        assert abs(said.slope_ppb) < 110_000_000
        within_us = 100 + round(_within_s(here, following) * 1_000_000 * 1.11)
        assert said.utc_us(said.first_tick + movie.duration_ticks) == pytest.approx(said.end_us, abs=within_us)


def _seconds_between(first: SentVop, record: SentVop) -> Fraction:
    return Fraction(record.vop_ticks, record.resolution) - Fraction(first.vop_ticks, first.resolution)


def _check_duration(recorded: Recorded, path: Path, here: Sequence[SentVop], following: SentVop | None) -> None:
    """The container says what the camera meant, within a picture's time where the next picture is not known."""
    seconds = recorded.opened[path].seconds
    assert recorded.opened[path].pictures == len(here)
    if following is not None:
        within_s = 0.002 + _within_s(here, following)
        assert seconds == pytest.approx(float(_seconds_between(here[0], following)), abs=within_s), path
        return
    pictures = [float(_seconds_between(before, after)) for before, after in pairwise(here)]
    without_last = float(_seconds_between(here[0], here[-1]))
    assert without_last < seconds <= without_last + max(pictures, default=1.0) * 1.01 + 0.002, path


def _within_s(here: Sequence[SentVop], following: SentVop | None) -> float:
    """A key picture behind others is written before the next picture says how long it stands: within one picture."""
    return 0.034 if here[-1].key and len(here) > 1 and following is not None else 0.0


def test_every_moment_is_accounted_for_during_and_after(recorded: Recorded) -> None:
    for camera in CAMERAS:
        kinds = [(span.kind, span.reason) for span in recorded.covered_during[camera]]
        assert kinds == [("gap", "service-stopped"), ("recorded", None)], camera
        after = recorded.house.coverage(camera)
        assert [(span.kind, span.reason) for span in after] == [*kinds, ("gap", "service-stopped")], camera
        assert after[1].end_us == recorded.segments[camera][-1].row.end_us


def test_the_stop_leaves_nothing_unpromised(recorded: Recorded, figures: list[str]) -> None:
    code, seconds = recorded.stop
    figures.append(f"SIGTERM with {len(CAMERAS)} cameras: {seconds:.2f} s")
    assert (code, seconds < 5) == (0, True)
    assert unpromised(recorded.house) == set()


def test_a_quiet_life_leaves_no_warning(recorded: Recorded) -> None:
    # A machine whose clock nobody sets says so.
    loud = [entry for entry in recorded.log if entry["level"] not in ("info", "debug")]
    assert [entry for entry in loud if not entry["action"].startswith("host-clock")] == []

"""Real directories, a real index, real MP4."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import pytest

from nvr.media import boxes, label
from nvr.media.durable import Disk
from nvr.media.frame import Unit
from nvr.media.splitter import UnitSplitter
from nvr.store import schema
from nvr.store.archive import Archive
from nvr.store.index import Index
from nvr.store.names import numbered
from nvr.store.reader import Reader
from nvr.store.rows import SegmentState
from nvr.store.volumes import Volume
from tests.store.house import ARCHIVE, FRAMES, GROUP, NOW, FailingDisk, House, Open


@pytest.fixture(scope="session")
def units() -> list[Unit]:
    """Two seconds of a real encoder's stream, an I-VOP every half second."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = GROUP, 0, 1
    encoder.options = {"sc_threshold": "1000000000", "flags": "+bitexact"}
    splitter, made = UnitSplitter(), []
    for number in range(FRAMES):
        picture = av.VideoFrame(64, 48, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes((5 * number + 3 * at) & 255 for at in range(plane.line_size)) * plane.height)
        picture.pts, picture.time_base = number, Fraction(1, 30)
        for packet in encoder.encode(picture):
            made += splitter.feed(bytes(packet), None, True)
    for packet in encoder.encode(None):
        made += splitter.feed(bytes(packet), None, True)
    assert sum(unit.key for unit in made) == FRAMES // GROUP
    return made


@pytest.fixture(scope="session")
def empty_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / schema.INDEX_NAME
    schema.prepare(path)
    return path


@pytest.fixture
def open_house(tmp_path: Path, units: list[Unit], empty_index: Path) -> Open:
    """`with open_house(disk) as house:` is one life of the daemon's store; open it again for the next."""

    @contextmanager
    def open_it(disk: FailingDisk | None = None, base: Path = tmp_path) -> Iterator[House]:
        base.mkdir(exist_ok=True)
        path = base / schema.INDEX_NAME
        if not path.exists():
            shutil.copyfile(empty_index, path)
        index, reader = Index(path), Reader(path)
        try:
            index.name_archive(ARCHIVE).result()
            known = {volume.name: volume.uuid for volume in reader.volumes()}
            volume = Volume.open(Disk(), "main", base / "footage", ARCHIVE, known.get("main"))
            volume_id = index.add_volume("main", volume.uuid).result()
            camera_id = index.add_camera("gate", NOW).result()
            counting = disk or FailingDisk()
            archive = Archive(counting, ARCHIVE)
            yield House(base, counting, index, reader, archive, volume, camera_id, volume_id, units)
        finally:
            reader.close()
            assert index.close(10)

    return open_it


@pytest.fixture
def house(open_house: Open) -> Iterator[House]:
    with open_house() as house:
        yield house


@pytest.fixture
def promises_hold() -> Callable[..., None]:
    """P1 and P2: every row that is well has its file, whole; every file is a row's, condemned, or unpromised.

    Unpromised is a part, or (`sealed_too`) sealed a moment ago.
    """

    def check(house: House, *, sealed_too: bool = False) -> None:
        promised = set()
        for segment in house.segments():
            path = house.path_of(segment.path)
            promised.add(segment.path)
            if segment.row.state is SegmentState.OK:
                assert path.stat().st_size == segment.row.size_bytes
                said = label.read(path)
                assert said is not None
                assert (said.run, said.seq, said.frames) == (segment.row.run, segment.row.seq, segment.row.frames)
                assert (said.start_us, said.end_us) == (segment.row.start_us, segment.row.end_us)
                assert len(boxes.samples(path)) == segment.row.frames
                assert said.recovered == segment.row.recovered
                assert boxes.examine(path).sealed or said.recovered
        for film in house.reader.films():
            paths = [numbered(film.row.path, number) for number in range(1, film.row.files + 1)]
            promised |= set(paths)
            assert sum(house.path_of(path).stat().st_size for path in paths) == film.row.size_bytes
        condemned = {row.path for row in house.reader.garbage()}
        for name in house.files():
            kinds = [name in promised, name in condemned, name.endswith(".part")]
            if sealed_too and not any(kinds):
                continue
            assert sum(kinds) == 1 or name.removesuffix(".part") in promised, name

    return check

"""The daemon's answer to a lock: the clip's row and its file, or a sentence."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvr.clock import HostClock
from nvr.record.exporter import Exporter
from nvr.record.shelf import Shelves
from nvr.store import schema
from nvr.store.index import Index
from nvr.store.reader import Reader
from nvr.store.rows import CloseClip, OpenClip
from nvr.supervisor.service import Answers
from nvr.web.service import NotPossible, NotThere


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """An index with clip 1."""
    path = tmp_path / schema.INDEX_NAME
    schema.prepare(path)
    index = Index(path)
    camera_id = index.add_camera("gate", 1).result()
    steps = [OpenClip(1, "door", "m1", 10, None, 0, 20, None), CloseClip(1, 20, "no-footage")]
    index.put_clip_steps(camera_id, steps).result()
    assert index.close(5)
    reader = Reader(path)
    yield reader
    reader.close()


def test_a_lock_is_put_or_it_is_said_why_not(tmp_path: Path, reader: Reader) -> None:
    index = Index(tmp_path / schema.INDEX_NAME)
    exporter = Exporter(index, reader, Shelves([]), HostClock(), exports=False)
    answers = Answers({}, {}, {}, Shelves([]), dict, exporter)

    async def story() -> None:
        assert await answers.lock_clip(1, True) == {"clip": 1, "locked": True}
        with pytest.raises(NotThere, match="there is no clip 2"):
            await answers.lock_clip(2, True)
        clip = reader.clip(1)
        assert clip is not None
        assert clip.locked
        assert clip.exported_at_us is None, "clips are not to be made into files here"
        assert await asyncio.to_thread(exporter.stop, 5)
        with pytest.raises(NotPossible, match="stopping"):
            await answers.lock_clip(1, False)

    asyncio.run(story())
    assert index.close(5)

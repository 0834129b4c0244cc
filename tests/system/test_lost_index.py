"""An index that is deleted, cut short or spoilt costs no footage and no person: it begins again, recording goes on."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.store.schema import INDEX_NAME
from tests.system.disk import Shim
from tests.system.footage import check_promises, unpromised
from tests.system.house import Daemon, House, Span
from tests.system.world import World

_QVGA: Final = EncodeSettings(frame_size="qvga", i_interval=15, bitrate_bps=200_000)
_PATIENCE_S: Final = 40.0


def deleted(index: Path) -> None:
    index.unlink()
    index.with_name(index.name + "-wal").unlink(missing_ok=True)


def cut_short(index: Path) -> None:
    os.truncate(index, index.stat().st_size // 2)


def bits_flipped(index: Path) -> None:
    """Every page but the first, so that whoever reads a row meets one."""
    with index.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(4096, size, 4096):
            file.seek(page)
            file.write(bytes(byte ^ 0xFF for byte in os.pread(file.fileno(), 64, page)))


DAMAGES: Final = (deleted, cut_short, bits_flipped)


@dataclass(slots=True)
class Lives:
    """An archive whose index was damaged again and again."""

    house: House
    starts_s: dict[str, float] = field(default_factory=dict)
    logs: list[Daemon] = field(default_factory=list)
    rows: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)
    """By damage, the paths of segments that the index knew before it and after it."""
    reasons: dict[str, set[str | None]] = field(default_factory=dict)
    aside: dict[str, list[str]] = field(default_factory=dict)


def _known(house: House) -> set[str]:
    return {segment.path for segment in house.reader().segments_between("gate", 0, 1 << 62)}


def _until(what: str, holds: Callable[[], object], daemon: Daemon) -> None:
    ends_s = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_s, f"not {what}:\n{daemon.log_text()[-6000:]}"
        time.sleep(0.1)


def _holds_again(house: House, before: set[str]) -> bool:
    try:
        return before <= _known(house)
    except Exception:  # noqa: BLE001 - the index is being put in place
        return False


def _note(lives: Lives, name: str, before: set[str], daemon: Daemon) -> None:
    house = lives.house
    _until("all footage in the index", partial(_holds_again, house, before), daemon)
    _until("older footage entered", lambda: "older footage entered" in daemon.log_text(), daemon)
    lives.rows[name] = (before, _known(house))
    code, _ = house.command("footage", "coverage", "--camera", "gate", "--json")
    assert code == 0
    spans = house.reader().spans_between("gate", 0, 1 << 62)
    lives.reasons[name] = {span.reason for span in spans}
    lives.aside[name] = sorted(path.name for path in house.data_dir.glob(f"{INDEX_NAME}.damaged-*"))


@contextmanager
def damaged_while_stopped(
    world: World, folder: Path, damages: Sequence[Callable[[Path], None]] = (bits_flipped,)
) -> Iterator[Lives]:
    """Each damage between two lives, after a copy of the index was made."""
    with world.cameras([CameraOptions(encode=_QVGA)]) as simulator:
        house = House(folder, {"gate": {"http_port": simulator.http_port}})
        lives = Lives(house)
        with house.start() as daemon:
            daemon.wait_recording()
            _until("several segments known", lambda: len(_known(house)) > 1, daemon)
            assert house.command("db", "backup")[0] == 0
            time.sleep(1.5)
            assert daemon.terminate()[0] == 0
        for damage in damages:
            before = _known(house)
            damage(house.data_dir / INDEX_NAME)
            with house.start() as daemon:
                lives.logs.append(daemon)
                lives.starts_s[damage.__name__] = daemon.wait_recording()
                _note(lives, damage.__name__, before, daemon)
                assert daemon.terminate()[0] == 0
        yield lives


@contextmanager
def damaged_while_running(
    world: World, folder: Path, damages: Sequence[Callable[[Path], None]] = (deleted,)
) -> Iterator[Lives]:
    """Each damage under a daemon that records; there is no copy of the index."""
    with world.cameras([CameraOptions(encode=_QVGA)]) as simulator:
        house = House(folder, {"gate": {"http_port": simulator.http_port}})
        lives = Lives(house)
        for damage in damages:
            with ExitStack() as alive:
                daemon = alive.enter_context(house.start())
                daemon.wait_recording()
                _until("several segments known", lambda: len(_known(house)) > 1, daemon)
                before = _known(house)
                damage(house.data_dir / INDEX_NAME)
                begun_s = time.monotonic()
                if damage is bits_flipped:
                    # What is in memory may hide it for as long as this life lasts.
                    assert daemon.terminate()[0] in (0, 1)
                    daemon = alive.enter_context(house.start())
                lives.logs.append(daemon)
                _until("begun again", lambda said=daemon.log_text: "and begins again" in said(), daemon)
                daemon.wait_recording()
                lives.starts_s[damage.__name__] = time.monotonic() - begun_s
                _note(lives, damage.__name__, before, daemon)
                assert daemon.terminate()[0] == 0
        yield lives


@dataclass(slots=True)
class Failing:
    """An archive whose index's disk failed for a while and then did not."""

    house: House
    again_s: float = 0.0
    """From the fault's end to an index that takes rows."""
    log: list[dict[str, object]] = field(default_factory=list)
    before: set[str] = field(default_factory=set)
    spans: list[Span] = field(default_factory=list)


@contextmanager
def disk_of_index_fails(world: World, folder: Path) -> Iterator[Failing]:
    """Every write and sync below the data directory fails for three seconds; footage lies elsewhere."""
    with world.cameras([CameraOptions(encode=_QVGA)]) as simulator:
        house = House(folder / "house", {"gate": {"http_port": simulator.http_port}}, data_dir=folder / "data")
        story, shim = Failing(house), Shim(folder, (house.data_dir,))
        with house.start(shim.environment) as daemon:
            daemon.wait_recording()
            time.sleep(2)
            with shim.trouble(house.data_dir, "io"):
                _until("index given up", lambda: "index given up" in daemon.log_text(), daemon)
                time.sleep(2)
                assert daemon.states()["gate"]["state"] == "recording", "footage needs no index"
            begun_s = time.monotonic()
            _until("begun again", lambda: daemon.log_text().count('"action": "ready"') == 2, daemon)
            daemon.wait_recording()
            story.again_s = time.monotonic() - begun_s
            time.sleep(2)
            story.before = {str(path) for path in house.files() if path.suffix == ".mp4"}
            time.sleep(1)
            story.spans = house.coverage("gate")
            assert daemon.terminate()[0] == 0
            story.log = daemon.log()
        yield story


STORIES: Final = {"damaged-while-stopped": damaged_while_stopped, "damaged-while-running": damaged_while_running}
"""One damage each; all of them, and a disk that fails for a while, are told in the soak."""


@pytest.fixture(scope="module", params=list(STORIES))
def lives(stories: dict[str, "Future[Lives]"], request: pytest.FixtureRequest) -> Lives:
    return stories[request.param].result()


def test_no_segment_is_lost_to_the_index(lives: Lives) -> None:
    assert lives.rows
    for before, after in lives.rows.values():
        assert len(before) > 1
        assert before <= after
    check_promises(lives.house, "gate")
    assert unpromised(lives.house) == set()


def test_recording_begins_within_ten_seconds_all_the_same(lives: Lives, figures: list[str]) -> None:
    told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in lives.starts_s.items())
    figures.append(f"recording with an index that was damaged: {told}")
    assert lives.starts_s.keys() == lives.rows.keys()


def test_what_was_damaged_is_kept_beside_the_new_index(lives: Lives) -> None:
    for name, kept in lives.aside.items():
        assert bool(kept) is (name != "deleted"), name


def test_log_and_events_say_so_in_a_sentence(lives: Lives) -> None:
    for daemon in lives.logs:
        said = [str(entry["message"]) for entry in daemon.log() if entry.get("action") == "index-lost"]
        assert any("begins again" in sentence for sentence in said), daemon.log_text()
    events = lives.house.reader().events_between(0, 1 << 62)
    assert [event.kind for event in events].count("index-lost") >= 1


def test_a_check_afterwards_finds_everything_as_promised(lives: Lives) -> None:
    code, told = lives.house.command("db", "check", "--json")
    assert code == 0, told


@pytest.mark.soak
@pytest.mark.parametrize("tell", [damaged_while_stopped, damaged_while_running])
def test_every_damage_one_after_the_other_costs_no_footage(
    tell: Callable[..., AbstractContextManager[Lives]], world: World, tmp_path: Path, figures: list[str]
) -> None:
    with tell(world, tmp_path, DAMAGES) as lives:
        assert set(lives.rows) == {damage.__name__ for damage in DAMAGES}
        test_no_segment_is_lost_to_the_index(lives)
        test_recording_begins_within_ten_seconds_all_the_same(lives, figures)
        test_log_and_events_say_so_in_a_sentence(lives)
        test_a_check_afterwards_finds_everything_as_promised(lives)
        assert len(lives.aside["bits_flipped"]) > len(lives.aside["cut_short"]) > 0
        assert max(lives.starts_s.values()) < 10


@pytest.mark.soak
def test_an_index_whose_disk_failed_for_a_while_is_used_again_within_ten_seconds(
    world: World, tmp_path: Path, figures: list[str]
) -> None:
    with disk_of_index_fails(world, tmp_path) as story:
        pass
    figures.append(f"an index whose disk failed is used again after {story.again_s:.2f} s")
    assert story.again_s < 10
    root = story.house.volumes["main"]
    assert {str(root / path) for path in _known(story.house)} >= story.before
    check_promises(story.house, "gate")
    assert unpromised(story.house) == set()
    assert "restart" in [entry.get("action") for entry in story.log]
    # What was recorded while no row could be put is footage all the same; only the new start is a gap.
    gaps = [span for span in story.spans if span.kind == "gap" and span.reason != "service-stopped"]
    assert sum(gap.end_us - gap.start_us for gap in gaps) < 10_000_000, story.spans

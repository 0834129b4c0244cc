"""Alarms on their way into an index that does not take them for a while: real SQLite, whose file may not grow."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from nvr.metrics import CameraCounts
from nvr.record.recorder import RecordedCamera
from nvr.store import schema
from nvr.store.errors import DiskFull
from nvr.store.index import Index
from nvr.store.reader import Reader
from nvr.store.rows import AlarmRow, ClipState, CloseClip, ExtendClip, OpenClip
from nvr.supervisor.clip_rows import ClipRows

ALARM = AlarmRow(1, "door", "m1", "input-1", 10)


class House:
    """An index with one camera, its rows, and how it is told that there is no room and that there is again."""

    def __init__(self, folder: Path, most_waiting: int = 10_000) -> None:
        path = folder / schema.INDEX_NAME
        schema.prepare(path)
        self.index = Index(path)
        self.counts = CameraCounts()
        camera = RecordedCamera(self.index.add_camera("gate", 1).result(), "gate")
        hop = asyncio.get_running_loop().call_soon_threadsafe
        self.rows = ClipRows(self.index, camera, self.counts, hop, most_waiting)
        self.reader = Reader(path)

    def alarm(self, number: int) -> None:
        """An alarm at that time, which opens clip `number`; notes are large, so that a full index is full at once."""
        alarm = replace(ALARM, at_us=number, note="x" * 40_000)
        self.rows.add_alarm(alarm, [OpenClip(number, "door", "m1", number, None, 0, number + 20, None)])

    async def set_room(self, pages: int) -> None:
        """So many pages more than the index has now."""

        def limit(connection: Connection) -> None:
            now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={now + pages}")

        await self.settled()
        await asyncio.wrap_future(self.index.do(limit))

    async def settled(self) -> None:
        """Every answer of the index has come."""
        with suppress(DiskFull):  # it shares the transaction of what there is no room for
            await asyncio.wrap_future(self.index.ping())
        await asyncio.sleep(0)

    def alarms(self) -> list[int]:
        return [alarm.row.at_us for alarm in self.reader.alarms_between(None, 0, 1 << 60)]


def run(folder: Path, story: Callable[[House], Awaitable[None]], **more: int) -> House:
    async def told() -> House:
        house = House(folder, **more)
        try:
            await story(house)
        finally:
            house.reader.close()
            assert house.index.close(5)
        return house

    return asyncio.run(told())


def test_while_the_index_has_no_room_nothing_is_lost_and_the_order_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(house: House) -> None:
        house.alarm(1)
        await house.settled()
        await house.set_room(0)
        for number in range(2, 30):
            house.alarm(number)
        house.rows.put_steps([ExtendClip(2, 99)])
        house.rows.put_steps([CloseClip(2, 99, "done")])
        for _ in range(3):
            await house.settled()
            house.rows.tick()
        await house.settled()
        assert house.alarms() == [1]
        await house.set_room(1000)
        house.rows.tick()
        assert await house.rows.entered(10)
        assert house.alarms() == list(range(1, 30))
        clip = house.reader.clip(2)
        assert clip is not None
        assert (clip.state, clip.end_us) == (ClipState.CLOSED, 99)
        assert len(house.reader.open_clips()) == 28
        assert house.counts.alarms_lost == 0
        house.alarm(30)
        assert await house.rows.entered(10)
        assert house.alarms()[-1] == 30

    caplog.set_level(logging.INFO)
    run(tmp_path, story)
    said = [record for record in caplog.records if getattr(record, "action", "") == "alarm-not-entered"]
    assert [record.levelname for record in said if record.levelno >= logging.INFO] == ["WARNING", "INFO"], "told once"


def test_what_was_taken_before_what_came_first_is_given_again_after_it(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.set_room(0)
        house.alarm(1)
        house.rows.put_steps([CloseClip(1, 21, "done")])  # changes no row yet, so it is taken
        await house.settled()
        await house.set_room(1000)
        house.rows.tick()
        assert await house.rows.entered(10)
        assert house.reader.open_clips() == []

    run(tmp_path, story)


def test_beyond_the_most_the_oldest_are_given_up_and_counted(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.set_room(0)
        for number in range(1, 31):
            house.alarm(number)
            if number % 7 == 0:
                await house.settled()
                house.rows.tick()
        await house.settled()
        await house.set_room(1000)
        house.rows.tick()
        assert await house.rows.entered(10)
        assert house.alarms() == list(range(21, 31))
        assert house.counts.alarms_lost == 20

    run(tmp_path, story, most_waiting=10)


def test_an_end_with_no_room_says_how_many_alarms_are_lost_and_does_not_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(house: House) -> None:
        await house.set_room(0)
        house.alarm(1)
        house.alarm(2)
        await house.settled()
        async with asyncio.timeout(10):
            assert not await house.rows.entered(60)
        assert house.counts.alarms_lost == 2

    run(tmp_path, story)
    (said,) = [record for record in caplog.records if getattr(record, "action", "") == "alarms-lost"]
    assert said.alarms == 2  # type: ignore[attr-defined]


def test_an_index_that_is_held_up_is_waited_for(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        held = asyncio.Event()
        loop = asyncio.get_running_loop()
        release = threading.Event()

        def hold(_: Connection) -> None:
            loop.call_soon_threadsafe(held.set)
            release.wait(10)

        house.index.do(hold)
        await held.wait()
        house.alarm(1)
        waiting = asyncio.ensure_future(house.rows.entered(10))
        await asyncio.sleep(0)
        assert not waiting.done()
        release.set()
        assert await waiting
        assert house.alarms() == [1]

    run(tmp_path, story)

"""Alarms and clips in the index: what becomes of them, what they hold, and what a start makes of open ones."""

import sqlite3
from contextlib import closing
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvr.store import schema
from nvr.store.errors import DiskFull
from nvr.store.index import Index
from nvr.store.names import clip_path, numbered, parse_segment_name
from nvr.store.recovery import close_open_clips
from nvr.store.rows import (
    AlarmRow,
    BeginClip,
    Clip,
    ClipExport,
    ClipState,
    ClipStep,
    CloseClip,
    ExtendClip,
    OpenClip,
    Run,
    SegmentRow,
)
from nvr.units import US
from tests.store.house import NOW, House, Open

MINUTE = 60 * US
TICKS = 5_400_000
"""Of a minute."""


def segment(house: House, minute: int, run: int = 7, epoch: int = 0, start_us: int | None = None) -> int:
    """Enters the minute's segment; its id."""
    start = NOW + minute * MINUTE if start_us is None else start_us
    if run not in house.runs:
        house.runs.add(run)
        house.index.begin_run(Run(run, house.camera_id, "gate", start, "connected", epoch, "stream", start)).result()
    row = SegmentRow(
        house.camera_id, run, minute, house.volume_id, start, start + MINUTE, 1800, 9, Fraction(1, 90_000), 0, TICKS
    )
    return house.index.add_segment(row).result()


def opened(
    clip: int, start_us: int | None, rule: str = "door", until_us: int | None = None, continues: int | None = None
) -> OpenClip:
    return OpenClip(clip, rule, "m1", NOW + 30 * US, start_us, 0, until_us, continues)


def put(house: House, *steps: ClipStep) -> None:
    house.index.put_clip_steps(house.camera_id, steps).result()


def members(house: House, clip: int) -> list[tuple[int, int, int]]:
    return [(member.segment.id, member.first_tick, member.last_tick) for member in house.reader.members_of(clip)]


def one(house: House, number: int) -> Clip:
    clip = house.reader.clip(number)
    assert clip is not None
    return clip


ALARM = AlarmRow(1, "door", "m1", "input-1", NOW, "found open", unconnected=True)
EXPORT = ClipExport(1, "gate/clips/a.mp4", 1, 1000, 0)


def test_an_alarm_and_its_clip_are_there_together_and_twice_given_they_are_there_once(house: House) -> None:
    steps = [opened(house.index.next_clip(), NOW - 10 * US, until_us=NOW + 20 * US)]
    number = house.index.add_alarm(ALARM, steps).result()
    assert house.index.add_alarm(ALARM, steps).result() == number
    (alarm,) = house.reader.alarms_between("gate", NOW, NOW + 1)
    assert (alarm.id, alarm.camera, alarm.row) == (number, "gate", ALARM)
    (clip,) = house.reader.clips_between("gate", 0, 1 << 60)
    assert (clip.id, clip.rule, clip.trigger, clip.state) == (1, "door", "m1", ClipState.OPEN)
    assert (clip.start_us, clip.until_us, clip.end_us) == (NOW - 10 * US, NOW + 20 * US, None)
    assert (clip.path, clip.volume, clip.exported_at_us, clip.locked) == (None, None, None, False)
    assert house.reader.open_clips() == [clip]


def test_of_an_alarm_whose_clip_breaks_a_rule_nothing_is_entered(house: House) -> None:
    unknown = AlarmRow(999, "door", "m1", "input-1", NOW)
    future = house.index.add_alarm(unknown, [opened(1, NOW)])
    assert future.exception(10) is not None
    assert house.reader.alarms_between(None, 0, 1 << 60) == []
    assert house.reader.clip(1) is None


def test_numbers_of_clips_are_never_given_twice_even_after_their_rows_are_gone(open_house: Open) -> None:
    with open_house() as house:
        numbers = [house.index.next_clip() for _ in range(3)]
        assert numbers == [1, 2, 3]
        put(house, *(opened(number, NOW, f"rule-{number}") for number in numbers))
        house.index.do(lambda connection: connection.exec_driver_sql("DELETE FROM clip")).result()
    with open_house() as house:
        assert house.index.next_clip() == 4


def test_the_life_of_a_clip_step_by_step(house: House) -> None:
    put(house, OpenClip(1, "door", "m1", NOW, None, 10 * US, None, None))
    assert one(house, 1).pre_shortfall_us == 10 * US
    put(house, BeginClip(1, NOW + 2 * US, 9 * US), ExtendClip(1, NOW + 40 * US))
    assert (one(house, 1).start_us, one(house, 1).pre_shortfall_us) == (NOW + 2 * US, 9 * US)
    assert one(house, 1).until_us == NOW + 40 * US
    steps: list[ClipStep] = [CloseClip(1, NOW + 41 * US, "too-long"), opened(2, NOW + 41 * US, continues=1)]
    put(house, *steps)
    put(house, *steps)
    assert house.index.clips_closed >= 1
    closed, heir = one(house, 1), one(house, 2)
    assert (closed.state, closed.end_us, closed.close_reason) == (ClipState.CLOSED, NOW + 41 * US, "too-long")
    assert (heir.state, heir.continues) == (ClipState.OPEN, 1)
    # What comes late or again changes nothing any more.
    put(house, ExtendClip(1, None), BeginClip(1, NOW, 0), CloseClip(1, NOW + 99 * US, "done"), CloseClip(77, NOW, "x"))
    assert one(house, 1) == closed


def test_segments_that_come_before_during_and_after_a_clip_are_its_members_with_their_ticks(house: House) -> None:
    before, first = segment(house, 0), segment(house, 1)
    put(house, opened(1, NOW + 90 * US))
    assert members(house, 1) == [(first, TICKS // 2, TICKS - 1)]
    second = segment(house, 2)
    assert members(house, 1) == [(first, TICKS // 2, TICKS - 1), (second, 0, TICKS - 1)]
    put(house, CloseClip(1, NOW + 200 * US, "done"))
    third, after = segment(house, 3), segment(house, 4)
    assert members(house, 1) == [
        (first, TICKS // 2, TICKS - 1),
        (second, 0, TICKS - 1),
        (third, 0, TICKS // 3 - 1),
    ]
    assert {before, after}.isdisjoint({number for number, _, _ in members(house, 1)})


def test_a_segment_beyond_the_end_is_let_go_when_the_clip_closes(house: House) -> None:
    put(house, opened(1, NOW))
    first, second = segment(house, 0), segment(house, 1)
    assert len(members(house, 1)) == 2
    put(house, CloseClip(1, NOW + MINUTE, "done"))
    assert members(house, 1) == [(first, 0, TICKS - 1)]
    assert house.index.condemn([second], NOW).result().held == []


def test_of_two_times_a_clip_has_the_one_in_which_it_was_kept(house: House) -> None:
    old = segment(house, 0, run=7)
    put(house, opened(1, NOW + 10 * US), opened(2, None, "other"))
    again = segment(house, 1, run=8, epoch=1, start_us=NOW)
    put(house, CloseClip(1, NOW + 50 * US, "clock-step"), opened(3, NOW + 10 * US, continues=1))
    put(house, BeginClip(2, NOW + 20 * US, 0))
    assert [number for number, _, _ in members(house, 1)] == [old]
    assert [number for number, _, _ in members(house, 2)] == [again]
    assert [number for number, _, _ in members(house, 3)] == [again]
    assert [one(house, clip).epoch for clip in (1, 2, 3)] == [0, 1, 1]


def test_segments_are_held_until_the_clip_is_exported_and_while_it_is_locked(house: House) -> None:
    held, free = segment(house, 0), segment(house, 5)
    put(house, opened(1, NOW), CloseClip(1, NOW + 30 * US, "done"))
    condemned = house.index.condemn([held, free], NOW).result()
    assert condemned.held == [held]
    assert [garbage.path for garbage in condemned.garbage] == [f"gate/2026/11/23/20261123T140822.123Z-7-{5}.mp4"]
    assert house.reader.segment(held) is not None
    assert house.reader.segment(free) is None
    house.index.clip_exported(1, EXPORT, NOW).result()
    assert house.index.lock_clip(1, True).result()
    assert house.index.condemn([held], NOW).result().held == [held]
    assert house.index.lock_clip(1, False).result()
    condemned = house.index.condemn([held], NOW).result()
    assert (len(condemned.garbage), condemned.held) == (1, [])
    assert members(house, 1) == []
    assert one(house, 1).path == "gate/clips/a.mp4"
    assert not house.index.lock_clip(99, True).result()


def test_what_is_exported_holds_nothing_that_comes_later(house: House) -> None:
    put(house, opened(1, NOW), CloseClip(1, NOW + 90 * US, "done"))
    house.index.clip_exported(1, EXPORT, NOW).result()
    late = segment(house, 0)
    assert members(house, 1) == []
    assert house.index.condemn([late], NOW).result().held == []


def test_lists_of_clips_by_camera_rule_and_time_come_page_by_page(house: House) -> None:
    other = house.index.add_camera("yard", NOW).result()
    put(house, opened(1, NOW), CloseClip(1, NOW + 10 * US, "done"))
    put(house, opened(2, NOW + MINUTE, "window"), CloseClip(2, NOW + 70 * US, "done"))
    put(house, OpenClip(3, "door", "m1", NOW + 2 * MINUTE, None, US, NOW + 2 * MINUTE, None))
    put(house, CloseClip(3, NOW + 2 * MINUTE, "no-footage"))
    house.index.put_clip_steps(other, [opened(4, NOW + 3 * MINUTE)]).result()

    def ids(camera: str | None, start_us: int, end_us: int, **more: object) -> list[int]:
        return [clip.id for clip in house.reader.clips_between(camera, start_us, end_us, **more)]  # type: ignore[arg-type]

    assert ids(None, 0, 1 << 60) == [1, 2, 3, 4]
    assert ids("gate", 0, 1 << 60) == [1, 2, 3]
    assert ids("nobody", 0, 1 << 60) == []
    assert ids("gate", 0, 1 << 60, rule="door") == [1, 3]
    assert ids("gate", NOW + 9 * US, NOW + 61 * US) == [1, 2]
    assert ids("gate", NOW + 10 * US, NOW + MINUTE) == []
    assert ids("gate", NOW + 2 * MINUTE, NOW + 3 * MINUTE) == [3], "without footage it counts at its alarm"
    assert ids(None, NOW + 30 * MINUTE, 1 << 60) == [4], "an open one goes on"
    assert ids(None, 0, 1 << 60, limit=2) == [1, 2]
    assert ids(None, 0, 1 << 60, limit=2, after=2) == [3, 4]
    assert [clip.id for clip in house.reader.clips_to_export()] == [1, 2, 3]


def test_a_full_disk_loses_no_clip_that_is_given_again(open_house: Open) -> None:
    with open_house() as house:
        fill = house.index.do(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1").scalar())
        fill.result()
        steps = [opened(number, NOW, f"rule-{number}") for number in range(1, 2000)]
        with pytest.raises(DiskFull):
            house.index.add_alarm(ALARM, steps).result()
        assert house.reader.clip(1) is None
        assert house.reader.alarms_between(None, 0, 1 << 60) == []
        house.index.do(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1000000").scalar()).result()
        house.index.add_alarm(ALARM, steps).result()
        assert len(house.reader.open_clips()) == 1999
        assert house.reader.open_clips()[0].start_us == NOW


# ---- a start


def test_a_clip_left_open_ends_with_its_last_recorded_frame(open_house: Open) -> None:
    with open_house() as house:
        house.begin_run(7, NOW)
        put(house, opened(1, NOW + US // 2), OpenClip(2, "other", "v1", NOW + US, None, US, None, None))
        put(house, opened(3, NOW + 10 * US, "later"), opened(4, NOW, "short", until_us=NOW + US))
        part = house.begin(7, 0, NOW)
        file = house.film(part, 7, 0, NOW, frames=50)
        part.file.sync()
        file.abandon()  # killed in the middle of a segment
    with open_house() as house:
        house.recover()
        (cut,) = house.segments()
        assert cut.row.recovered
        assert NOW + US < cut.row.end_us < NOW + 50 * US // 30
        first, without, later, short = (one(house, number) for number in (1, 2, 3, 4))
        assert (first.end_us, first.close_reason) == (cut.row.end_us, "service-crashed")
        assert [number for number, *_ in members(house, 1)] == [cut.id]
        assert (without.end_us, without.close_reason) == (NOW + US, "no-footage")
        assert (later.start_us, later.end_us) == (NOW + 10 * US, NOW + 10 * US), "nothing of it reached the disk"
        assert short.end_us == NOW + US, "it had ended, and nobody could say so any more"
        assert house.reader.open_clips() == []
        assert close_open_clips(house.index, house.reader) == 0


# ---- names


def test_names_of_clips_say_when_why_and_which() -> None:
    path = clip_path("gate", NOW, "door-2", 41)
    assert path == "gate/clips/2026/11/20261123T140322Z-door-2-41.mp4"
    assert numbered(path, 1) == path
    assert numbered(path, 3) == "gate/clips/2026/11/20261123T140322Z-door-2-41-3.mp4"
    assert parse_segment_name(path.rpartition("/")[2]) is None
    for wrong in (("Gate", NOW, "door", 1), ("gate", NOW, "../x", 1), ("gate", -1, "door", 1), ("gate", NOW, "d", -1)):
        with pytest.raises(ValueError, match="name"):
            clip_path(*wrong)


# ---- everything at once

_WINDOWS = st.lists(st.tuples(st.integers(0, 6 * 60), st.integers(1, 200), st.integers(0, 1)), min_size=1, max_size=6)
_ORDER = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), min_size=4, max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(windows=_WINDOWS, order=_ORDER)
def test_in_whatever_order_segments_and_clips_come_each_clip_has_exactly_what_it_touches(
    open_house: Open,
    tmp_path_factory: pytest.TempPathFactory,
    windows: list[tuple[int, int, int]],
    order: list[tuple[int, int]],
) -> None:
    with open_house(base=tmp_path_factory.mktemp("order")) as house:
        minutes = sorted({minute for minute, _ in order})
        happenings: list[tuple[int, int, str]] = [(at, minute, "segment") for minute, at in dict(order).items()]
        for number, (_, _, late) in enumerate(windows, start=1):
            happenings += [(10 * number, number, "open"), (10 * number + 30 * (late + 1), number, "close")]
        for _, what, kind in sorted(happenings):
            start_us = NOW + windows[what - 1][0] * US if kind != "segment" else 0
            if kind == "segment":
                segment(house, what)
            elif kind == "open":
                put(house, opened(what, start_us, f"rule-{what}"))
            else:
                put(house, CloseClip(what, start_us + windows[what - 1][1] * US, "done"))
        for number, (start, lasts, _) in enumerate(windows, start=1):
            touched = [m for m in minutes if m * 60 < start + lasts and start < (m + 1) * 60]
            found = house.reader.members_of(number)
            assert [member.segment.row.seq for member in found] == touched
            for member in found:
                begin = max(0, start - member.segment.row.seq * 60)
                end = min(60, start + lasts - member.segment.row.seq * 60)
                assert (member.first_tick, member.last_tick) == (begin * 90_000, end * 90_000 - 1)


def test_the_tables_alone_keep_the_rules(open_house: Open) -> None:
    with open_house() as house:
        put(house, opened(1, NOW))
    path = house.base / schema.INDEX_NAME
    for wrong in (
        "UPDATE clip SET state = 'closed'",
        "UPDATE clip SET end_us = start_us",
        "UPDATE clip SET end_us = start_us - 1, state = 'closed'",
        "UPDATE clip SET locked = 2",
        "INSERT INTO clip_member VALUES (1, 1, 'x', 0)",
        "INSERT INTO alarm VALUES (1, 1, 'door', 'm1', 'input-1', 5, NULL, 7, NULL)",
    ):
        with closing(sqlite3.connect(path)) as rows, pytest.raises(sqlite3.IntegrityError):
            rows.execute(wrong)
    Index(path).close(5)

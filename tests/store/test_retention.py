"""What goes, in which order, and by which rule; and that a volume never stands still over footage that may go."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.metrics import RETENTION_RULES
from nvr.store.retention import (
    Decision,
    Footage,
    Keep,
    Kind,
    Room,
    Rule,
    can_ever_take,
    decide,
    is_running_out,
    least_inodes,
    seconds_until_full,
    takes_footage,
    target_free_bytes,
)
from nvr.units import US

DAY = 86_400 * US
NOW = 1000 * DAY
MB = 1_000_000
GB = 1000 * MB
ROOM = Room(volume=1, size_bytes=500 * GB, free_bytes=200 * GB, keep_free_bytes=5 * GB)


def segments(
    count: int, *, camera: int = 1, volume: int = 1, oldest_days: float = 20, size: int = 100 * MB, first: int = 1
) -> list[Footage]:
    """One a day, the oldest first."""
    return [
        Footage(
            Kind.SEGMENT,
            first + at,
            camera,
            volume,
            start := round(NOW - (oldest_days - at) * DAY),
            start + 60 * US,
            size,
        )
        for at in range(count)
    ]


def clip(number: int, *, days: float, camera: int = 1, volume: int | None = 1, size: int = 50 * MB) -> Footage:
    end = round(NOW - days * DAY)
    return Footage(Kind.CLIP, number, camera, volume, end - 30 * US, end, size if volume else 0)


def film(number: int, *, days: float, camera: int = 1, size: int = 50 * MB) -> Footage:
    """Of a day that ended so long ago."""
    end = round(NOW - days * DAY)
    return Footage(Kind.FILM, number, camera, 1, end - DAY, end, size)


def decided(footage: list[Footage], *rooms: Room, keep: Keep | None = None, most: int = 40, **keeps: Keep) -> Decision:
    cameras = {one.camera for one in footage}
    told = {camera: keeps.get(f"c{camera}", keep or Keep()) for camera in cameras}
    held: dict[tuple[int, int], int] = {}
    for one in footage:
        if one.volume is not None:
            held[one.volume, one.camera] = held.get((one.volume, one.camera), 0) + one.size_bytes
    return decide(NOW, rooms or [ROOM], told, held, footage, most=most)


LETTERS = {Kind.SEGMENT: "", Kind.CLIP: "c", Kind.FILM: "f"}


def told(decision: Decision) -> str:
    """`max-days 1 2, clip-days c7, keep-days f8`."""
    said: dict[str, list[str]] = {}
    for goes in decision.going:
        number = f"{LETTERS[goes.footage.kind]}{goes.footage.id}"
        said.setdefault(goes.rule.value, []).append(number)
    return ", ".join(f"{rule} {' '.join(numbers)}" for rule, numbers in said.items())


def test_where_there_is_room_nothing_goes_but_what_is_too_old() -> None:
    footage = [*segments(20), clip(7, days=91), clip(8, days=89)]
    assert told(decided(footage)) == ""
    assert told(decided(footage, keep=Keep(max_us=18 * DAY, clip_us=90 * DAY))) == "clip-days c7, max-days 1 2"


def test_a_film_has_its_own_age_and_where_it_has_none_that_of_footage() -> None:
    footage = [*segments(3), film(7, days=31), film(8, days=29)]
    assert told(decided(footage, keep=Keep(max_us=25 * DAY, film_us=30 * DAY))) == "keep-days f7"
    assert told(decided(footage, keep=Keep(max_us=round(19.5 * DAY), film_us=90 * DAY))) == "max-days 1"
    assert told(decided(footage, keep=Keep(max_us=30 * DAY))) == "max-days f7"


def test_where_room_is_short_a_film_goes_after_its_day_before_the_next_and_before_any_clip() -> None:
    noons = segments(3, oldest_days=2.5, size=2 * GB)
    footage = [*noons, film(7, days=2, size=2 * GB), film(8, days=1, size=2 * GB), clip(9, days=30, size=2 * GB)]
    room = replace(ROOM, quota_bytes=10 * GB)
    assert told(decided(footage, room)) == "quota-volume 1 f7"
    assert told(decided(footage, replace(ROOM, free_bytes=0))) == "emergency 1 f7 2"
    everything = replace(ROOM, quota_bytes=1)
    assert told(decided(footage, everything)) == "quota-volume 1 f7 2 f8 3 c9"
    assert told(decided(footage, everything, keep=Keep(min_us=DAY + 1))) == "quota-volume 1 f7 2 c9"


def test_each_camera_has_its_own_age() -> None:
    footage = segments(3, oldest_days=3) + segments(3, camera=2, oldest_days=3, first=11)
    assert told(decided(footage, c1=Keep(max_us=2 * DAY), c2=Keep(max_us=1 * DAY))) == "max-days 1 11 12"


def test_what_is_held_stays_whatever_the_rule() -> None:
    footage = [replace(one, held=True) for one in segments(3)] + segments(2, oldest_days=10, first=11)
    full = replace(ROOM, free_bytes=0)
    assert told(decided(footage, full, keep=Keep(max_us=DAY))) == "max-days 11 12"


def test_a_cameras_quota_takes_its_oldest_on_any_volume_and_nobody_elses() -> None:
    footage = segments(2, oldest_days=9, size=6 * GB) + segments(2, volume=2, oldest_days=8.5, size=6 * GB, first=11)
    footage += segments(5, camera=2, first=21, size=50 * GB)
    rooms = [ROOM, replace(ROOM, volume=2)]
    assert told(decided(footage, *rooms, c1=Keep(quota_bytes=15 * GB))) == "quota-camera 1 11"


def test_a_volumes_quota_takes_the_oldest_on_it_segments_before_clips() -> None:
    footage = [*segments(4, size=3 * GB), clip(5, days=30, size=3 * GB), *segments(2, camera=2, volume=2, first=31)]
    room = replace(ROOM, quota_bytes=15 * GB)
    assert told(decided(footage, room)) == "quota-volume 1"
    assert told(decided(footage, replace(room, quota_bytes=3 * GB))) == "quota-volume 1 2 3 4 c5"


def test_a_quota_is_never_reason_to_break_a_promise() -> None:
    footage = segments(5, oldest_days=5, size=4 * GB)
    decision = decided(footage, replace(ROOM, quota_bytes=8 * GB), keep=Keep(min_us=3 * DAY))
    assert told(decision) == "quota-volume 1 2"
    assert [(one.rule, one.volume, one.missing_bytes) for one in decision.unmet] == [(Rule.QUOTA_VOLUME, 1, 4 * GB)]


def test_before_a_disk_is_full_the_oldest_on_it_go() -> None:
    footage = segments(9) + segments(2, camera=2, oldest_days=30, first=21)
    low = replace(ROOM, free_bytes=target_free_bytes(ROOM) - 250 * MB)
    assert told(decided(footage, low)) == "floor 21 22 1"
    assert decided(footage, replace(low, free_bytes=target_free_bytes(ROOM))).going == []


def test_where_recording_waits_for_room_it_goes_first_and_is_called_so() -> None:
    footage = segments(3, size=3 * GB) + segments(9, camera=2, volume=2, oldest_days=300, first=21)
    full = replace(ROOM, free_bytes=3 * GB)
    decision = decided(footage, replace(ROOM, volume=2), full, keep=Keep(max_us=100 * DAY), most=4)
    assert told(decision) == "emergency 1, max-days 21 22 23"


def test_a_file_system_short_of_files_is_pruned_too() -> None:
    room = replace(ROOM, inodes=100_000, free_inodes=1_998)
    assert (least_inodes(room), takes_footage(room)) == (1000, True)
    assert told(decided(segments(9), room)) == "inodes 1 2"
    assert told(decided(segments(9), replace(room, free_inodes=999), most=3)) == "emergency 1 2 3"
    assert told(decided(segments(9), replace(room, inodes=0, free_inodes=0))) == ""


def test_a_promise_is_broken_last_only_as_far_as_recording_needs_and_loudly() -> None:
    footage = [*segments(4, oldest_days=4, size=100 * MB), clip(9, days=3.5, size=100 * MB)]
    full = replace(ROOM, size_bytes=20 * GB, free_bytes=4_900 * MB)
    keep = Keep(min_us=round(2.5 * DAY))
    assert told(decided(footage, full, keep=keep)) == "emergency 1 2 c9"
    nearly = replace(full, free_bytes=4_800 * MB)
    assert told(decided(footage, nearly, keep=keep)) == "emergency 1 2 c9, promise-broken 3"
    before = replace(full, free_bytes=5_200 * MB)
    assert told(decided(footage, before, keep=replace(keep, min_us=9 * DAY))) == ""


def test_what_can_never_be_kept_free_deletes_nothing() -> None:
    room = replace(ROOM, keep_free_bytes=ROOM.size_bytes, free_bytes=0)
    assert not can_ever_take(room)
    decision = decided(segments(5), room)
    assert decision.going == []
    assert [one.rule for one in decision.unmet] == [Rule.FLOOR]


def test_a_clip_without_a_file_goes_by_its_age_alone() -> None:
    footage = [clip(7, days=91, volume=None), clip(8, days=10, volume=None)]
    full = replace(ROOM, free_bytes=0)
    assert told(decided(footage, full, keep=Keep(clip_us=90 * DAY))) == "clip-days c7"


def test_the_days_until_footage_must_go_are_told_by_floor_and_quota() -> None:
    room = replace(ROOM, rate_bytes_s=1 * MB)
    left = room.free_bytes - target_free_bytes(room)
    assert seconds_until_full(room, 0) == pytest.approx(left / MB)
    assert seconds_until_full(replace(room, quota_bytes=100 * GB), 50 * GB) == pytest.approx(49_400)
    assert seconds_until_full(replace(room, free_bytes=GB), 0) == 0
    assert seconds_until_full(replace(room, rate_bytes_s=0), 0) == float("inf")


def test_where_half_of_what_is_kept_clear_is_used_the_next_look_is_now() -> None:
    clear = target_free_bytes(ROOM) - ROOM.keep_free_bytes
    for used, now in ((0, False), (clear // 2, False), (clear // 2 + 1, True), (2 * clear, True)):
        room = replace(ROOM, free_bytes=target_free_bytes(ROOM) - used)
        assert is_running_out(room, 0) is now, used
    quota = replace(ROOM, quota_bytes=10 * GB)
    assert not is_running_out(quota, 10 * GB - clear // 2)
    assert is_running_out(quota, 10 * GB - clear // 2 + 1)


# ---- whatever the figures


def room_of(
    size: int, keep_free: int, more: int, inodes: int, free_inodes: int, quota: int | None, rate: float
) -> Room:
    return Room(1, size, max(0, keep_free + more), keep_free, inodes, free_inodes, quota, rate)


rooms = st.builds(
    room_of,
    size=st.one_of(st.integers(1, 1 << 50), st.integers(GB, 100 * GB)),
    keep_free=st.one_of(st.integers(0, 1 << 50), st.integers(0, 5 * GB)),
    more=st.integers(-10 * GB, 10 * GB),
    inodes=st.one_of(st.just(0), st.integers(1, 1 << 32)),
    free_inodes=st.one_of(st.integers(0, 1 << 32), st.integers(900, 2100)),
    quota=st.one_of(st.none(), st.integers(1, 100 * GB)),
    rate=st.floats(0, 1e9),
)


@given(room=rooms)
def test_a_volume_is_pruned_to_more_than_its_recorders_need_and_less_than_it_has(room: Room) -> None:
    target = target_free_bytes(room)
    if can_ever_take(room):
        assert room.keep_free_bytes < target <= room.size_bytes
        assert takes_footage(replace(room, free_bytes=target, free_inodes=max(room.free_inodes, least_inodes(room))))


LASTS = {Kind.SEGMENT: 60 * US, Kind.CLIP: 60 * US, Kind.FILM: DAY}
pieces = st.lists(
    st.tuples(
        st.sampled_from(Kind),
        st.integers(1, 3),
        st.integers(1, 2),
        st.integers(0, 40 * 24),
        st.integers(0, 5 * GB),
        st.booleans(),
    ),
    max_size=40,
)
keeping = st.builds(
    Keep,
    min_us=st.integers(0, 10 * DAY),
    max_us=st.integers(10 * DAY, 40 * DAY),
    clip_us=st.integers(DAY, 40 * DAY),
    film_us=st.one_of(st.none(), st.integers(DAY, 40 * DAY)),
    quota_bytes=st.one_of(st.none(), st.integers(10 * MB, 50 * GB)),
)


@given(room=rooms, other=rooms, made=pieces, keeps=st.lists(keeping, min_size=3, max_size=3), most=st.integers(40, 80))
def test_whatever_is_decided(
    room: Room, other: Room, made: list[tuple[Kind, int, int, int, int, bool]], keeps: list[Keep], most: int
) -> None:
    """Held never goes; a promise only where recording would wait and nothing else is left; waiting never goes on."""
    footage = [
        Footage(kind, number, camera, volume, (end := NOW - hours * 3600 * US) - LASTS[kind], end, size, held)
        for number, (kind, camera, volume, hours, size, held) in enumerate(made)
    ]
    both = [room, replace(other, volume=2)]
    of = {camera + 1: keep for camera, keep in enumerate(keeps)}
    held_bytes: dict[tuple[int, int], int] = {}
    for one in footage:
        key = (one.volume or 0, one.camera)
        held_bytes[key] = held_bytes.get(key, 0) + one.size_bytes
    decision = decide(NOW, both, of, held_bytes, footage, most=most)
    going = {(goes.footage.kind, goes.footage.id): goes.rule for goes in decision.going}
    assert len(going) == len(decision.going) <= most
    left = [one for one in footage if (one.kind, one.id) not in going and not one.held]

    def promised(one: Footage) -> bool:
        return one.end_us > NOW - of[one.camera].min_us

    for goes in decision.going:
        one, keep = goes.footage, of[goes.footage.camera]
        assert not one.held
        if goes.rule is Rule.MAX_DAYS:
            assert one.end_us <= NOW - keep.max_us
            assert one.kind is Kind.SEGMENT or (one.kind is Kind.FILM and keep.film_us is None)
        elif goes.rule is Rule.CLIP_DAYS:
            assert one.end_us <= NOW - keep.clip_us
            assert one.kind is Kind.CLIP
        elif goes.rule is Rule.KEEP_DAYS:
            assert keep.film_us is not None
            assert one.end_us <= NOW - keep.film_us
            assert one.kind is Kind.FILM
        elif goes.rule is Rule.PROMISE_BROKEN:
            assert promised(one)
            assert not [other for other in left if other.volume == one.volume and not promised(other)]
        else:
            assert not promised(one)
            here = [other for other in left if other.volume == one.volume and not promised(other)]
            if goes.rule in (Rule.FLOOR, Rule.INODES, Rule.EMERGENCY):
                first = [other for other in here if (other.kind is Kind.CLIP) == (one.kind is Kind.CLIP)]
                assert all(other.end_us >= one.end_us for other in first)
                assert one.kind is not Kind.CLIP or first == here, "a clip went before footage or a film"
    for one_room in both:
        freed = [goes.footage for goes in decision.going if goes.footage.volume == one_room.volume]
        after = replace(
            one_room,
            free_bytes=one_room.free_bytes + sum(one.size_bytes for one in freed),
            free_inodes=one_room.free_inodes + len(freed),
        )
        if can_ever_take(after) and not takes_footage(after):
            assert not [one for one in left if one.volume == one_room.volume], "recording waits over what may go"


def test_every_rule_is_a_word_of_the_metrics() -> None:
    assert [rule.value for rule in Rule] == list(RETENTION_RULES)

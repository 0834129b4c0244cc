"""The seconds before an alarm, in whole groups of pictures."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.media.frame import Frame, Vol
from nvr.record.ring import LONGEST_US, GopRing, Held, check_pre
from nvr.units import US

VGA = Vol(header=b"vga", width=640, height=480, resolution=30, fixed_increment=0)
QVGA = Vol(header=b"qvga", width=320, height=240, resolution=30, fixed_increment=0)
RUNS = {"r": "connected", "s": "clock-step"}


def frame(word: str) -> Frame:
    """`I12` is an I-VOP at second 12, `P9q` a P-VOP of a QVGA stream, `P9x500` one of 500 bytes (100 without).

    `I30r` begins a run after a loss of the link, `I30s` one after a step of the clock.
    """
    kind, second, flag, size = re.fullmatch(r"([IP])([\d.]+)([qrs]?)(?:x(\d+))?", word).groups()  # type: ignore[union-attr]
    at_us = round(float(second) * US)
    return Frame(
        data=bytes(int(size or 100)),
        key=kind == "I",
        ticks=at_us,
        utc_us=at_us,
        vol=QVGA if flag == "q" else VGA,
        time_base=Fraction(1, US),
        user_data=None,
        position=None,
        new_run=RUNS.get(flag),
    )


def filled(ring: GopRing, story: str) -> GopRing:
    for word in story.split():
        ring.push(frame(word))
    return ring


def told(held: Held) -> str:
    groups = " | ".join(
        " ".join(f"{'I' if one.key else 'P'}{one.utc_us / US:g}" for one in group) for group in held.groups
    )
    return groups + (f", short {held.shortfall_us / US:g}" if held.shortfall_us else "")


def ring(keep: float = 10, cap: float = 60, cap_bytes: int = 1 << 20) -> GopRing:
    return GopRing(round(keep * US), round(cap * US), cap_bytes)


# ---- what was asked for


def test_it_hands_out_everything_from_the_last_i_vop_at_or_before_the_moment_asked_for() -> None:
    held = filled(ring(), "I0 P1 I2 P3 I4 P5")
    assert told(held.since(3 * US)) == "I2 P3 | I4 P5"
    assert told(held.since(2 * US)) == "I2 P3 | I4 P5"
    assert told(held.since(2 * US - 1)) == "I0 P1 | I2 P3 | I4 P5"
    assert told(held.since(99 * US)) == "I4 P5"


def test_what_it_does_not_reach_back_to_is_the_shortfall() -> None:
    assert told(filled(ring(), "I7 P8 I9").since(3 * US)) == "I7 P8 | I9, short 4"


def test_an_empty_ring_has_nothing_and_knows_no_shortfall() -> None:
    assert ring().since(3 * US) == Held([], None)
    assert ring().everything() == Held([], None)


def test_the_whole_ring_is_all_of_it() -> None:
    held = filled(ring(), "I0 P1 I2 P3").everything()
    assert told(held) == "I0 P1 | I2 P3"
    assert [one.utc_us for one in held.frames] == [0, US, 2 * US, 3 * US]


def test_asking_takes_nothing_away_and_what_was_handed_out_stays_as_it_was() -> None:
    asked = filled(ring(), "I0 P1")
    held = asked.since(0)
    filled(asked, "P2 I3")
    assert told(held) == "I0 P1"
    assert told(asked.since(0)) == "I0 P1 P2 | I3"


# ---- what it keeps


def test_a_group_stays_until_the_one_after_it_reaches_back_far_enough() -> None:
    held = filled(ring(keep=10), "I0 I4 I8 I12")
    assert told(held.everything()) == "I0 | I4 | I8 | I12"
    assert told(filled(held, "P13 I14").everything()) == "I4 | I8 | I12 P13 | I14"


def test_without_pre_roll_it_keeps_the_group_that_goes_on() -> None:
    assert told(filled(ring(keep=0), "I0 P1 I2 P3").everything()) == "I2 P3"


def test_a_long_group_is_kept_whole_however_long_it_gets() -> None:
    held = filled(ring(keep=10, cap=60), "I0 " + " ".join(f"P{at}" for at in range(1, 255)))
    assert len(held.since(240 * US).frames) == 255
    assert held.overflowed == 0


def test_the_cap_in_seconds_wins_over_the_pre_roll_and_is_counted() -> None:
    held = filled(ring(keep=30, cap=40), "I0 P10 P20 P24 I25 P30 P40")
    assert (told(held.since(10 * US)), held.overflowed) == ("I0 P10 P20 P24 | I25 P30 P40", 0)
    filled(held, "P41")
    assert (told(held.since(11 * US)), held.overflowed) == ("I25 P30 P40 P41, short 14", 1)


def test_the_cap_in_bytes_wins_over_the_pre_roll_and_is_counted() -> None:
    held = filled(ring(keep=10, cap_bytes=1000), "I0x400 P1 I2x400")
    assert (held.bytes, held.overflowed) == (900, 0)
    filled(held, "P3 P4")
    assert (told(held.since(0)), held.bytes, held.overflowed) == ("I2 P3 P4, short 2", 600, 1)


def test_a_group_alone_too_large_gives_way_and_the_next_i_vop_begins_anew() -> None:
    held = filled(ring(cap_bytes=1000), "I0x600 P1x401")
    assert (told(held.everything()), held.bytes, held.span_us, held.overflowed) == ("", 0, 0, 1)
    assert told(filled(held, "P2 P3").everything()) == ""
    assert told(filled(held, "I4 P5").everything()) == "I4 P5"


def test_frames_without_their_i_vop_are_not_kept() -> None:
    assert told(filled(ring(), "P0 P1 I2 P3").everything()) == "I2 P3"
    assert told(filled(ring(), "I0 P1 P2q P3q P4 I5q P6q").everything()) == "I0 P1 | I5 P6"


def test_an_emptied_ring_goes_on_with_an_i_vop() -> None:
    held = filled(ring(), "I0 P1")
    held.clear()
    assert (held.bytes, held.span_us) == (0, 0)
    assert told(filled(held, "P2 I3 P4").everything()) == "I3 P4"


def test_it_says_how_much_it_holds() -> None:
    held = filled(ring(), "I0 P1 I2 P3.5")
    assert (held.span_us, held.bytes) == (3.5 * US, 400)


# ---- runs


def test_after_a_lost_link_what_was_held_ages_as_ever() -> None:
    held = filled(ring(keep=10), "I0 P1 P2 I20r P21")
    assert told(held.since(11 * US)) == "I20 P21, short 9"
    assert told(held.since(1 * US)) == "I0 P1 P2 | I20 P21"
    assert told(filled(held, "I24 I28 I31").everything()) == "I20 P21 | I24 | I28 | I31"
    assert held.overflowed == 0


@pytest.mark.parametrize("after", [1000, 100_000])
def test_over_a_step_of_the_clock_it_reaches_back_as_far_as_ever(after: int) -> None:
    held = filled(ring(keep=10), f"I5000 I5004 I5008 P5009 I{after}s P{after + 3}")
    assert told(held.since((after + 3 - 7) * US)) == f"I5004 | I5008 P5009 | I{after} P{after + 3}"
    assert told(held.since((after + 1) * US)) == f"I{after} P{after + 3}"
    later = filled(held, " ".join(f"I{after + at}" for at in range(4, 14)))
    assert told(later.everything()).startswith(f"I{after} P{after + 3} | I{after + 4}")


def test_a_clock_set_back_while_the_link_was_down_is_no_age() -> None:
    held = filled(ring(keep=10), "I5000 P5001 I1000r P1003")
    assert told(held.since(999 * US)) == "I5000 P5001 | I1000 P1003"
    assert told(filled(held, "I1008 I1012").everything()) == "I1000 P1003 | I1008 | I1012"


# ---- properties


@given(
    frames=st.lists(st.tuples(st.integers(1, 3000), st.booleans(), st.integers(0, 400)), min_size=1, max_size=150),
    keep=st.integers(0, 10),
    cap=st.integers(10, 20),
    cap_bytes=st.integers(0, 3000),
    back_ms=st.integers(0, 12_000),
)
def test_it_holds_whole_groups_within_its_caps_and_reaches_back_as_far_as_they_allow(
    frames: list[tuple[int, bool, int]], keep: int, cap: int, cap_bytes: int, back_ms: int
) -> None:
    held, fed, now_ms = ring(keep, cap, cap_bytes), [], 0
    for wait_ms, key, size in frames:
        now_ms += wait_ms
        fed.append(frame(f"{'I' if key else 'P'}{now_ms / 1000}x{size}"))
        held.push(fed[-1])
        whole = held.everything()
        assert held.bytes == sum(len(one.data) for one in whole.frames) <= cap_bytes
        assert len(whole.groups) < 2 or held.span_us <= cap * US
        assert all(group[0].key and not any(one.key for one in group[1:]) for group in whole.groups)
        if whole.frames:
            # What is held is the newest there is, without a hole.
            assert all(one is other for one, other in zip(whole.frames, fed[-len(whole.frames) :], strict=True))
    if held.overflowed == 0 and back_ms <= keep * 1000:
        since_us = fed[-1].utc_us - back_ms * 1000
        keys = [one.utc_us for one in fed if one.key]
        wanted_us = max((key for key in keys if key <= since_us), default=keys[0] if keys else None)
        found = held.since(since_us)
        assert (found.frames[0].utc_us if found.frames else None) == wanted_us
        assert found.shortfall_us == (None if wanted_us is None else max(0, wanted_us - since_us))


@given(
    frames=st.lists(st.tuples(st.integers(1, US), st.booleans()), min_size=1, max_size=80),
    step_us=st.integers(-500 * US, 500 * US),
    number=st.integers(0, 79),
)
def test_a_step_of_the_clock_changes_nothing_of_what_is_held(
    frames: list[tuple[int, bool]], step_us: int, number: int
) -> None:
    steady, stepped = ring(5), ring(5)
    now_us, moved_us = 1000 * US, 0
    for count, (wait_us, key) in enumerate(frames):
        word = "I" if key or count == number else "P"
        before, after = frame(f"{word}0"), frame(f"{word}0")
        if count == number:
            after, moved_us = frame("I0s"), step_us
        # Between the frames round a step the ring supposes a thirtieth of a second.
        now_us += US // 30 if count == number else wait_us
        before.utc_us, after.utc_us = now_us, now_us + moved_us
        steady.push(before)
        stepped.push(after)
    for back_us in range(0, 8 * US, US // 4):
        expected, found = steady.since(now_us - back_us), stepped.since(now_us + moved_us - back_us)
        assert [len(group) for group in found.groups] == [len(group) for group in expected.groups]
        assert found.shortfall_us == expected.shortfall_us
    assert stepped.span_us == steady.span_us


# ---- configuration


def test_a_pre_roll_longer_than_the_ring_is_refused() -> None:
    check_pre(LONGEST_US)
    check_pre(LONGEST_US - 2 * US, 2 * US)
    with pytest.raises(
        ValueError,
        match=r"^is 61, but the ring in memory holds at most the last 60 s$",
    ):
        check_pre(61 * US)
    with pytest.raises(
        ValueError, match=r"^is 59 and the alarm is told 2 s late by its debounce, but the ring in memor"
    ):
        check_pre(59 * US, 2 * US)

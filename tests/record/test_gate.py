"""Which frames are written, which are held, and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.record.gate import Admission, Gate, Mode, RecordPlan

CONTINUOUS = RecordPlan.always(Mode.CONTINUOUS)
ALARM = RecordPlan.always(Mode.ALARM)
OFF = RecordPlan.always(Mode.OFF)


class Evening:
    """A window that is from 100 on by UTC."""

    def is_now(self, utc_us: int) -> bool:
        return utc_us >= 100


def plan(inside: Mode, outside: Mode) -> RecordPlan:
    return RecordPlan(inside, outside, Evening())


def told(gate: Gate, story: str) -> str:
    """What happens to the frames of a story such as `up 0; tick 1; P; clip 5; P; I; done 9`.

    `up 0` and `down 0` are of the alarm link; `deaf 3` and `hearing 3` of motion detection; `clip 5` and `done 9` of a
    clip; `tick 3` is a second; each decides anew. `utc 500` sets the wall clock alone. `P` and `I` are frames.
    """
    said, clip_open, utc_offset = [], False, 0
    for sentence in story.split(";"):
        word, *numbers = sentence.split()
        if word in ("I", "P"):
            said.append(f"{word} {gate.admit(word == 'I').value}")
            continue
        at = int(numbers[0])
        if word == "utc":
            utc_offset = at
            continue
        if word in ("up", "down"):
            gate.alarm_link(word == "up", at)
        elif word in ("deaf", "hearing"):
            gate.motion_detection(missing=word == "deaf")
        elif word in ("clip", "done"):
            clip_open = word == "clip"
        else:
            assert word == "tick"
        gate.tick(at + utc_offset, at, clip_open=clip_open)
    return ", ".join(said)


def gate(of: RecordPlan, *, fail_open: bool = True, patience: int = 5) -> Gate:
    return Gate(of, fail_open=fail_open, patience_us=patience)


# ---- modes


def test_continuous_writes_everything_whatever_the_alarm_link_does() -> None:
    assert told(gate(CONTINUOUS), "tick 0; P; I; down 1; P; tick 99; P; clip 100; P") == (
        "P write, I write, P write, P write, P write"
    )


def test_off_drops_everything_even_alarms() -> None:
    kept = gate(OFF)
    assert told(kept, "tick 0; I; clip 1; I; down 2; tick 99; I") == "I drop, I drop, I drop"
    assert (kept.level.off_reason, kept.level.why, kept.level.failing_open) == ("record-off", "is off", False)


def test_alarm_holds_until_a_clip_opens_and_then_writes_from_the_next_frame_on() -> None:
    kept = gate(ALARM)
    assert told(kept, "up 0; I; P; clip 3; P; P; I") == "I hold, P hold, P write, P write, I write"
    assert kept.level.why == "records an alarm"


def test_after_its_clips_it_writes_up_to_the_next_i_vop_and_holds_from_there() -> None:
    kept = gate(ALARM)
    assert told(kept, "up 0; clip 1; I; P; done 4; P; P") == "I write, P write, P write, P write"
    assert (kept.admission, kept.level.admission) == (Admission.WRITE, Admission.HOLD)
    assert told(kept, "I; P") == "I hold, P hold"
    assert kept.admission is Admission.HOLD
    assert (kept.level.off_reason, kept.level.why) == ("waiting-for-alarm", "waits for an alarm")


def test_a_clip_that_opens_while_it_closes_loses_nothing() -> None:
    assert told(gate(ALARM), "up 0; clip 1; I; done 2; P; clip 3; P; I; P") == (
        "I write, P write, P write, I write, P write"
    )


def test_nothing_is_wanted_of_a_gate_that_has_not_been_told_the_time() -> None:
    assert told(gate(ALARM), "I; P") == "I drop, P drop"


# ---- schedules


def test_a_schedule_is_asked_at_each_tick() -> None:
    kept = gate(plan(inside=Mode.CONTINUOUS, outside=Mode.ALARM))
    assert told(kept, "up 0; tick 99; I; tick 100; P; I; utc -100; tick 101; P; I") == (
        "I hold, P write, I write, P write, I hold"
    )


def test_off_by_schedule_closes_at_once_and_says_so() -> None:
    kept = gate(plan(inside=Mode.OFF, outside=Mode.CONTINUOUS))
    assert told(kept, "tick 0; I; P; tick 100; P; I") == "I write, P write, P drop, I drop"
    assert (kept.level.off_reason, kept.level.why) == ("schedule", "is off by its schedule")


def test_off_by_schedule_ends_alarms_too() -> None:
    assert told(gate(plan(inside=Mode.OFF, outside=Mode.ALARM)), "up 0; clip 1; I; tick 100; P; I") == (
        "I write, P drop, I drop"
    )


def test_a_clock_that_steps_out_of_the_window_and_back_finds_each_time_its_mode() -> None:
    assert (
        told(
            gate(plan(inside=Mode.CONTINUOUS, outside=Mode.OFF)),
            "tick 200; I; utc -150; tick 201; I; utc 0; tick 202; I",
        )
        == "I write, I drop, I write"
    )


@pytest.mark.parametrize(
    ("of", "waits"),
    [
        (CONTINUOUS, False),
        (OFF, False),
        (ALARM, True),
        (plan(Mode.CONTINUOUS, Mode.ALARM), True),
        (plan(Mode.CONTINUOUS, Mode.OFF), False),
    ],
)
def test_a_plan_knows_whether_it_ever_waits_for_alarms(of: RecordPlan, waits: bool) -> None:
    assert of.may_wait is waits


# ---- failing open


def test_an_alarm_link_that_stays_down_opens_it_until_it_is_back() -> None:
    kept = gate(ALARM)
    assert told(kept, "up 0; I; down 10; tick 14; P; tick 15; P; I") == "I hold, P hold, P write, I write"
    assert kept.level.failing_open
    assert kept.level.why == "records everything, since the alarm link is down"
    assert told(kept, "up 20; P; I") == "P write, I hold"
    assert not kept.level.failing_open


def test_a_link_that_is_back_in_time_opens_nothing() -> None:
    assert told(gate(ALARM), "up 0; down 10; tick 14; up 14; tick 16; P; down 17; tick 20; P") == "P hold, P hold"


def test_attempts_that_fail_again_do_not_begin_the_wait_anew() -> None:
    assert told(gate(ALARM), "up 0; down 10; down 13; down 15; P") == "P write"


def test_a_link_that_never_came_up_counts_from_the_beginning() -> None:
    assert told(gate(ALARM), "tick 100; I; tick 104; P; tick 105; P") == "I hold, P hold, P write"


def test_motion_detection_that_is_off_opens_it_at_once() -> None:
    kept = gate(ALARM)
    assert told(kept, "up 0; I; deaf 3; P; hearing 9; P; I") == "I hold, P write, P write, I hold"
    gate_now = gate(ALARM)
    told(gate_now, "up 0; deaf 1")
    assert gate_now.level.failing_open
    assert "does not look for motion" in gate_now.level.why


def test_one_that_may_not_fail_open_waits_on() -> None:
    kept = gate(ALARM, fail_open=False)
    assert told(kept, "up 0; I; down 10; deaf 11; tick 99; I; clip 100; P") == "I hold, I hold, P write"
    assert not kept.level.failing_open


def test_a_step_of_the_wall_clock_is_no_outage() -> None:
    assert told(gate(ALARM), "up 0; down 10; utc 3600; tick 12; P; utc -3600; tick 15; P") == "P hold, P write"


def test_a_scheduled_alarm_mode_fails_open_only_in_its_time() -> None:
    kept = gate(plan(inside=Mode.ALARM, outside=Mode.OFF))
    assert told(kept, "down 0; tick 99; I; tick 100; I") == "I drop, I write"


# ---- properties


_SENTENCES = st.one_of(
    st.sampled_from(["I", "P"]),
    st.builds(lambda word: f"{word} +", st.sampled_from(["up", "down", "deaf", "hearing", "clip", "done", "tick"])),
)


@given(
    sentences=st.lists(_SENTENCES, max_size=60),
    mode=st.sampled_from(list(Mode)),
    other=st.sampled_from(list(Mode)),
    fail_open=st.booleans(),
)
def test_it_never_closes_between_i_vops_unless_it_is_off_and_opens_without_waiting(
    sentences: list[str], mode: Mode, other: Mode, fail_open: bool
) -> None:
    kept = gate(plan(mode, other), fail_open=fail_open)
    before = Admission.DROP
    for now, sentence in enumerate(sentences):
        done = told(kept, sentence.replace("+", str(4 * now)))
        if not done:
            continue
        admission = Admission(done.split()[1])
        if admission is Admission.HOLD and before is Admission.WRITE:
            assert sentence == "I"
        if kept.level.admission is not admission:
            assert (admission, kept.level.admission) == (Admission.WRITE, Admission.HOLD)
        before = admission

"""Which footage is a clip."""

import re
from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from nvr.record.clips import BeginClip, Call, ClipDesk, CloseClip, ExtendClip, OpenClip, Step

PRE, POST = 10, 20
HOUR = 3_600_000_000


def call(rule: str, at: int, *, lasts: bool = False) -> Call:
    return Call(rule, "m1", at, PRE, POST, lasts=lasts)


def said(step: Step) -> str:
    match step:
        case OpenClip():
            after = f" after {step.continues}" if step.continues is not None else ""
            short = f" short {step.pre_shortfall_us}" if step.pre_shortfall_us else ""
            begins = "nowhere" if step.start_us is None else f"at {step.start_us}"
            return f"open {step.clip} {step.rule} {begins}{short} until {step.until_us or 'over'}{after}"
        case BeginClip():
            return f"begin {step.clip} at {step.start_us} short {step.pre_shortfall_us}"
        case ExtendClip():
            return f"extend {step.clip} until {step.until_us or 'over'}"
        case CloseClip():
            return f"close {step.clip} at {step.end_us} {step.reason}"


def told(story: str, max_clip: int = 600, desk: ClipDesk | None = None) -> str:
    """What a desk answers to a story such as `K0 K8 !door@13 F20 K33`; pre-roll is 10, post-roll 20.

    `K8` a kept I-VOP, `F9` another kept frame, `T9` a second has passed, `L9` keeping ended at 9; `!door@13` an alarm,
    `*door@13` one whose state lasts, `~door@13` a trigger too soon for an alarm, `-door@30` the end of its state;
    `?door@13` and `=door@30` an alarm and the end of a state that are told an hour late;
    `>30:90` the clock goes from 30 to 90; `x30` nothing is wanted any more.
    """
    desk = desk or ClipDesk(max_clip, 60, count(1).__next__)
    steps: list[Step] = []
    for word in story.split():
        kind, rule, at = word[0], *re.fullmatch(r"(?:(\w+)@)?(\d+)(?::\d+)?", word[1:]).groups()  # type: ignore[union-attr]
        when = int(at)
        match kind:
            case "K":
                steps += desk.on_key_frame(when)
            case "F":
                steps += desk.on_frame(when) if when >= desk.close_due_us else []
            case "T":
                steps += desk.tick(when)
            case "L":
                desk.kept_until(when)
            case "!" | "*":
                steps += desk.trigger(call(rule, when, lasts=kind == "*"), when)
            case "?":
                steps += desk.trigger(call(rule, when), when + HOUR)
            case "~":
                steps += desk.again(call(rule, when), when)
            case "-":
                steps += desk.over(rule, when, when)
            case "=":
                steps += desk.over(rule, when, when + HOUR)
            case ">":
                steps += desk.clock_stepped(when, int(word.partition(":")[2]))
            case "x":
                steps += desk.cut(when, "schedule")
            case _:
                raise AssertionError(word)
    return ", ".join(map(said, steps))


# ---- where a clip begins


def test_a_clip_begins_at_the_last_i_vop_at_or_before_its_pre_roll() -> None:
    assert told("K0 K4 K8 K12 !door@17") == "open 1 door at 4 until 37"
    assert told("K0 K4 K8 K12 !door@18") == "open 1 door at 8 until 38"


def test_a_long_group_of_pictures_is_taken_whole() -> None:
    assert told("K0 K200 !door@205") == "open 1 door at 0 until 225"


def test_what_is_missing_of_the_pre_roll_is_its_shortfall() -> None:
    assert told("K14 K18 !door@20") == "open 1 door at 14 short 4 until 40"


def test_after_a_hole_the_pre_roll_is_what_came_after_it() -> None:
    assert told("K0 K4 L6 K12 !door@18") == "open 1 door at 12 short 4 until 38"
    assert told("K0 K4 L9 K12 !door@18") == "open 1 door at 4 until 38"


def test_a_clip_without_footage_opens_all_the_same_and_begins_with_the_first_that_comes() -> None:
    assert told("!door@20 K23 F41") == (
        "open 1 door nowhere short 10 until 40, begin 1 at 23 short 10, close 1 at 41 done"
    )
    assert told("K0 L5 !door@20 K26") == "open 1 door nowhere short 10 until 40, begin 1 at 26 short 10"


def test_an_alarm_told_late_gets_the_pre_roll_that_came_meanwhile() -> None:
    assert told("!door@20 K13") == "open 1 door nowhere short 10 until 40, begin 1 at 13 short 3"


def test_a_clip_for_which_nothing_comes_says_so() -> None:
    assert told("!door@20 T39 T40") == "open 1 door nowhere short 10 until 40, close 1 at 40 no-footage"
    assert told("!door@20 K50") == "open 1 door nowhere short 10 until 40, close 1 at 40 no-footage"


# ---- where it ends


def test_a_clip_ends_with_the_first_frame_at_or_after_its_post_roll() -> None:
    assert told("K0 !door@13 F32 F33") == "open 1 door at 0 until 33, close 1 at 33 done"
    assert told("K0 !door@13 F32 K35 F36") == "open 1 door at 0 until 33, close 1 at 35 done"


def test_further_triggers_of_its_rule_extend_it() -> None:
    assert told("K0 !door@13 !door@20 F33 F40") == ("open 1 door at 0 until 33, extend 1 until 40, close 1 at 40 done")


def test_a_trigger_too_soon_for_an_alarm_extends_it_and_opens_none() -> None:
    assert told("K0 ~door@5 !door@13 ~door@20") == "open 1 door at 0 until 33, extend 1 until 40"


def test_a_trigger_told_late_never_shortens_it() -> None:
    assert told("K0 !door@13 !door@12 ~door@11") == "open 1 door at 0 until 33"


def test_a_state_that_lasts_keeps_it_open_until_it_is_over() -> None:
    assert told("K0 *door@13 F33 K500 -door@510 F529 F530") == (
        "open 1 door at 0 until over, extend 1 until 530, close 1 at 530 done"
    )


def test_a_state_that_is_over_before_another_trigger_would_be_ends_nothing_early() -> None:
    assert told("K0 *door@13 !door@30 -door@20") == "open 1 door at 0 until over, extend 1 until 50"


def test_a_state_that_begins_again_keeps_it_open_again() -> None:
    assert told("K0 *door@13 -door@14 *door@20 -door@30") == (
        "open 1 door at 0 until over, extend 1 until 34, extend 1 until over, extend 1 until 50"
    )


def test_the_end_of_a_state_that_nothing_waits_for_means_nothing() -> None:
    assert told("K0 -door@14 !door@20 -door@21") == "open 1 door at 0 until 40"


def test_other_rules_have_their_own_windows_over_the_same_footage() -> None:
    assert told("K0 K4 K8 K12 !door@13 !yard@19 F33 F39") == (
        "open 1 door at 0 until 33, open 2 yard at 8 until 39, close 1 at 33 done, close 2 at 39 done"
    )


def test_after_its_end_the_next_trigger_opens_another() -> None:
    assert told("K0 !door@13 K33 K36 !door@40") == (
        "open 1 door at 0 until 33, close 1 at 33 done, open 2 door at 0 until 60"
    )


def test_where_footage_stops_it_ends_where_it_was_to_end() -> None:
    assert told("K0 !door@13 L30 T32 T33") == "open 1 door at 0 until 33, close 1 at 33 done"
    assert told("K0 !door@13 L30 K99") == "open 1 door at 0 until 33, close 1 at 33 done"


def test_a_frame_that_is_late_is_waited_for_but_not_for_long() -> None:
    late = 5_000_000
    desk = ClipDesk(1 << 40, 1 << 40, count(1).__next__)
    assert told(f"K0 !door@13 T{33 + late - 1} T{33 + late}", desk=desk) == (
        "open 1 door at 0 until 33, close 1 at 33 done"
    )


def test_a_hole_within_it_is_part_of_it() -> None:
    assert told("K0 !door@13 L15 T20 K25 F33") == "open 1 door at 0 until 33, close 1 at 33 done"


def test_when_nothing_is_wanted_any_more_every_clip_ends() -> None:
    assert told("K0 *door@13 !yard@14 x15 F99 T99") == (
        "open 1 door at 0 until over, open 2 yard at 0 until 34, close 1 at 15 schedule, close 2 at 15 schedule"
    )


# ---- what is told long after it was


def test_an_alarm_told_when_its_clip_is_past_is_a_clip_of_its_own_that_is_over() -> None:
    assert told("K0 K4 K8 ?door@13 K99") == "open 1 door at 0 until 33, close 1 at 33 done"
    assert told("K0 K20 K90 !door@105 ?door@23") == (
        "open 1 door at 90 until 125, open 2 door at 13 until 43, close 2 at 43 done"
    )


def test_of_a_time_that_is_remembered_no_more_it_takes_what_is_kept_of_it() -> None:
    assert told("K0 K10 K20 K30 L40 K200 ?door@30") == "open 1 door at 20 until 50, close 1 at 50 done"
    assert told("K200 ?door@30") == "open 1 door at 20 until 50, close 1 at 50 done"


def test_an_alarm_of_an_earlier_life_gets_what_that_one_kept_though_pictures_came_since() -> None:
    desk = ClipDesk(600, 60, count(1).__next__)
    desk.on_key_frame(50)
    steps = desk.trigger(call("door", 20), 51)
    assert ", ".join(map(said, steps)) == "open 1 door at 10 until 40, close 1 at 40 done"
    assert not desk.is_open


def test_a_state_whose_end_is_told_late_ends_there_and_not_with_the_next_frame() -> None:
    assert told("K0 *door@13 K90 =door@30 F99") == (
        "open 1 door at 0 until over, extend 1 until 50, close 1 at 50 done"
    )


# ---- clips that get too long


def test_past_the_longest_time_a_linked_clip_goes_on_at_the_next_i_vop() -> None:
    assert told("K0 *door@10 K50 F99 F100 K104 K150 K203 K204", max_clip=100) == (
        "open 1 door at 0 until over, "
        "close 1 at 104 too-long, open 2 door at 104 until over after 1, "
        "close 2 at 204 too-long, open 3 door at 204 until over after 2"
    )


def test_a_linked_clip_ends_as_the_first_would_have() -> None:
    assert told("K0 !door@85 !door@95 K100 F114 F115", max_clip=50) == (
        "open 1 door at 0 until 105, extend 1 until 115, "
        "close 1 at 100 too-long, open 2 door at 100 until 115 after 1, close 2 at 115 done"
    )


def test_a_clip_that_ends_there_anyway_is_not_continued() -> None:
    assert told("K0 !door@85 K110", max_clip=50) == "open 1 door at 0 until 105, close 1 at 110 done"


def test_a_clip_too_long_by_a_hole_ends_where_footage_ended() -> None:
    assert told("K0 *door@10 K50 L60 K500", max_clip=100) == (
        "open 1 door at 0 until over, close 1 at 60 too-long, open 2 door at 500 until over after 1"
    )


# ---- clocks that step


def test_at_a_step_of_the_clock_a_linked_clip_goes_on_in_the_new_time() -> None:
    assert told("K20 !door@33 K40 >45:1000 K1000 F1007 F1008") == (
        "open 1 door at 20 until 53, close 1 at 45 clock-step, open 2 door nowhere until 1008 after 1, "
        "begin 2 at 1000 short 0, close 2 at 1008 done"
    )
    assert told("K2020 !door@2033 >2045:1000 K1000 F1008") == (
        "open 1 door at 2020 until 2053, close 1 at 2045 clock-step, open 2 door nowhere until 1008 after 1, "
        "begin 2 at 1000 short 0, close 2 at 1008 done"
    )


def test_a_lasting_clip_goes_on_lasting_after_a_step() -> None:
    assert told("K0 *door@13 >500:100 K100 -door@130 F150") == (
        "open 1 door at 0 until over, close 1 at 500 clock-step, open 2 door nowhere until over after 1, "
        "begin 2 at 100 short 0, extend 2 until 150, close 2 at 150 done"
    )


def test_pre_roll_does_not_reach_back_over_a_step() -> None:
    assert told("K0 K990 >1000:500 K500 !door@507") == "open 1 door at 500 short 3 until 527"
    assert told("K0 K40 >45:1000 K1000 !door@1007") == "open 1 door at 1000 short 3 until 1027"


def test_an_alarm_told_by_the_new_clock_before_its_first_frame_keeps_its_post_roll() -> None:
    assert told("K1950 K1995 !door@1000 >2000:1000 K1000 F1019 F1020") == (
        "open 1 door at 1950 short 10 until 1020, close 1 at 2000 clock-step, "
        "open 2 door nowhere until 1020 after 1, begin 2 at 1000 short 0, close 2 at 1020 done"
    )
    assert told("K950 K995 !door@2000 >1000:2000 K2000 F2019 F2020") == (
        "open 1 door at 995 until 2020, close 1 at 1000 clock-step, "
        "open 2 door nowhere until 2020 after 1, begin 2 at 2000 short 0, close 2 at 2020 done"
    )


def test_a_clip_still_without_footage_waits_over_a_step() -> None:
    assert told("!door@20 >25:1000 K1002 F1015") == (
        "open 1 door nowhere short 10 until 40, begin 1 at 1002 short 10, close 1 at 1015 done"
    )


# ---- what is remembered


def test_only_as_much_is_remembered_as_pre_rolls_need() -> None:
    desk = ClipDesk(600, 20, count(1).__next__)
    told(" ".join(f"K{at}" for at in range(0, 100_000, 2)), desk=desk)
    assert len(desk._groups) <= 12
    assert told("!door@99999", desk=desk) == "open 1 door at 99988 until 100019"


def test_i_vops_without_number_are_no_growth() -> None:
    desk = ClipDesk(600, 1 << 40, count(1).__next__)
    told(" ".join(f"K{at}" for at in range(20_000)), desk=desk)
    assert len(desk._groups) == 8192


# ---- properties

FRAMES = st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=120)
ALARMS = st.lists(st.integers(0, 150), max_size=6).map(sorted)


def _stream(frames: list[tuple[int, bool]]) -> list[tuple[int, bool]]:
    """Times of frames and whether each is an I-VOP; the first always is."""
    at, stream = 0, []
    for number, (wait, key) in enumerate(frames):
        stream.append((at, key or number == 0))
        at += wait
    return stream


@given(frames=FRAMES, alarms=ALARMS)
def test_every_alarm_lies_in_a_clip_with_its_pre_roll_and_its_post_roll(
    frames: list[tuple[int, bool]], alarms: list[int]
) -> None:
    stream = _stream(frames)
    desk = ClipDesk(1000, 60, count(1).__next__)
    steps: list[Step] = []
    waiting = list(alarms)
    for at, key in stream:
        while waiting and waiting[0] < at:
            alarm_at = waiting.pop(0)
            steps += desk.trigger(call("door", alarm_at), alarm_at)
        if key:
            steps += desk.on_key_frame(at)
        elif at >= desk.close_due_us:
            steps += desk.on_frame(at)
    told_in_time = alarms[: len(alarms) - len(waiting)]

    opened = {step.clip: step for step in steps if isinstance(step, OpenClip)}
    closed = {step.clip: step for step in steps if isinstance(step, CloseClip)}
    keys = [at for at, key in stream if key]
    for alarm in told_in_time:
        holding = [clip for clip, step in opened.items() if step.alarm_at_us <= alarm]
        clip = opened[max(holding)]
        assert clip.start_us is not None
        if clip.alarm_at_us == alarm:
            assert clip.start_us == max((key for key in keys if key <= alarm - PRE), default=0)
            assert clip.pre_shortfall_us == max(0, clip.start_us - (alarm - PRE))
        if clip.clip in closed:
            last = max(one for one in told_in_time if one < closed[clip.clip].end_us and one >= clip.alarm_at_us)
            assert closed[clip.clip].end_us == min(at for at, _ in stream if at >= last + POST)
        else:
            assert not any(at >= told_in_time[-1] + POST for at, _ in stream)
    assert desk.is_open is (len(opened) > len(closed))


@given(frames=FRAMES, max_clip=st.integers(5, 40), over=st.integers(1, 200))
def test_linked_clips_follow_each_other_without_a_frame_missing_between_them(
    frames: list[tuple[int, bool]], max_clip: int, over: int
) -> None:
    stream = _stream(frames)
    desk = ClipDesk(max_clip, 60, count(1).__next__)
    steps: list[Step] = desk.on_key_frame(0) + desk.trigger(call("door", 0, lasts=True), 0)
    is_over = False
    for at, key in stream[1:]:
        if at >= over and not is_over:
            steps += desk.over("door", over, at)
            is_over = True
        steps += desk.on_key_frame(at) if key else desk.on_frame(at)
    steps += desk.cut(stream[-1][0] + 1, "end")
    opened = [step for step in steps if isinstance(step, OpenClip)]
    closed = [step for step in steps if isinstance(step, CloseClip)]
    assert [step.clip for step in opened] == [step.clip for step in closed]
    assert [step.continues for step in opened] == [None, *(step.clip for step in opened[:-1])]
    for (before, end), (after, _) in pairwise(zip(opened, closed, strict=True)):
        assert end.end_us == after.start_us
        assert after.start_us - before.start_us >= max_clip  # type: ignore[operator]
        assert (after.start_us, True) in stream


_WORDS = st.one_of(
    st.builds(lambda kind, wait: (kind, "", wait), st.sampled_from("KKKFFFTTLx"), st.integers(0, 30)),
    st.builds(
        lambda kind, rule, wait: (kind, rule, wait), st.sampled_from("!*?~-="), st.sampled_from("ab"), st.integers(0, 9)
    ),
    st.builds(lambda step: (">", "", step), st.integers(-200, 200)),
)


@given(words=st.lists(_WORDS, max_size=60), max_clip=st.integers(5, 100))
def test_whatever_happens_every_clip_opens_once_closes_once_and_ends_after_it_begins(
    words: list[tuple[str, str, int]], max_clip: int
) -> None:
    desk = ClipDesk(max_clip, 60, count(1).__next__)
    steps: list[Step] = []
    now = 1000
    for kind, rule, wait in words:
        before, now = now, now + wait
        match kind:
            case "K":
                steps += desk.on_key_frame(now)
            case "F":
                steps += desk.on_frame(now)
            case "T":
                steps += desk.tick(now)
            case "L":
                desk.kept_until(now)
            case "x":
                steps += desk.cut(now, "off")
            case "!" | "*":
                steps += desk.trigger(call(rule, now, lasts=kind == "*"), now)
            case "?":
                steps += desk.trigger(call(rule, now), now + HOUR)
            case "~":
                steps += desk.again(call(rule, now), now)
            case "-":
                steps += desk.over(rule, now, now)
            case "=":
                steps += desk.over(rule, now, now + HOUR)
            case _:
                steps += desk.clock_stepped(before, now)
    steps += desk.cut(now, "end")
    assert not desk.is_open
    begun: dict[int, int | None] = {}
    closed = set()
    for step in steps:
        match step:
            case OpenClip():
                assert step.clip not in begun
                assert step.continues is None or step.continues in closed
                assert 0 <= step.pre_shortfall_us <= PRE
                begun[step.clip] = step.start_us
            case BeginClip():
                assert begun[step.clip] is None
                assert 0 <= step.pre_shortfall_us <= PRE
                begun[step.clip] = step.start_us
            case ExtendClip():
                assert step.clip in begun.keys() - closed
            case CloseClip():
                assert step.clip in begun.keys() - closed
                start = begun[step.clip]
                assert start is None or step.end_us >= start
                assert (step.reason == "no-footage") <= (start is None)
                closed.add(step.clip)
    assert closed == begun.keys()

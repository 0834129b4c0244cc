"""Rules, gate, ring and clips together, as a recorder puts them to use: an alarm keeps what it promises."""

from fractions import Fraction
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc.alarm import Change
from nvr.media.frame import Frame, Vol
from nvr.record.clips import BeginClip, ClipDesk, CloseClip, OpenClip, Step
from nvr.record.gate import Admission, Gate, Mode, RecordPlan
from nvr.record.ring import GopRing, Held
from nvr.rules.book import Again, Alarm, Answer, Over, Rule, RuleBook
from nvr.rules.words import parse_trigger
from nvr.units import US

VOL = Vol(header=b"vga", width=640, height=480, resolution=30, fixed_increment=0)
MS = 1000
BEGIN_US = 1_800_000_000 * US


def frame(at_us: int, *, key: bool) -> Frame:
    return Frame(
        data=b"picture",
        key=key,
        ticks=at_us,
        utc_us=at_us,
        vol=VOL,
        time_base=Fraction(1, US),
        user_data=None,
        position=None,
        new_run=None,
    )


class Keeper:
    """What a recorder does with the deciders' words, and nothing else."""

    def __init__(self, mode: Mode, rules: list[Rule]) -> None:
        self.book = RuleBook(rules, Rule("manual", (), pre_us=0))
        self.gate = Gate(RecordPlan.always(mode), fail_open=True)
        self.ring = GopRing(self.book.reach_us + US)
        self.desk = ClipDesk(40 * US, self.book.reach_us + 10 * US, count(1).__next__)
        self.kept: list[int] = []
        self.steps: list[Step] = []
        self.gate.alarm_link(True, 0)
        self.gate.tick(BEGIN_US, 0, clip_open=False)

    def take(self, one: Frame) -> None:
        if one.key and one.utc_us >= self.desk.close_due_us:
            self._note(self.desk.on_frame(one.utc_us), one.utc_us)
        match self.gate.admit(one.key):
            case Admission.WRITE:
                self._keep(one)
            case Admission.HOLD:
                self.desk.kept_until(one.utc_us)
                self.ring.push(one)
            case Admission.DROP:
                raise AssertionError("nothing is off in these stories")

    def hear(self, changes: list[Change], at_us: int) -> None:
        self._answer(self.book.answers(changes, at_us, at_us), at_us)

    def tick(self, at_us: int) -> None:
        self._answer(self.book.tick(at_us, at_us), at_us)
        self.steps += self.desk.tick(at_us)
        self._decide(at_us)

    def _answer(self, answers: list[Answer], at_us: int) -> None:
        raised_us = [answer.at_us for answer in answers if isinstance(answer, Alarm)]
        if raised_us and self.gate.admission is Admission.HOLD:
            self._flush(self.ring.since(min(raised_us) - self.book.reach_us))
        for answer in answers:
            match answer:
                case Alarm():
                    self.steps += self.desk.trigger(answer.call, at_us)
                case Again():
                    self.steps += self.desk.again(answer.call, at_us)
                case Over():
                    self.steps += self.desk.over(answer.rule.name, answer.at_us, at_us)
            self._decide(at_us)

    def _decide(self, at_us: int) -> None:
        before = self.gate.admission
        self.gate.tick(at_us, at_us, clip_open=self.desk.is_open)
        if before is Admission.HOLD and self.gate.level.failing_open:
            self._flush(self.ring.everything())

    def _flush(self, held: Held) -> None:
        self.ring.clear()
        for one in held.frames:
            self._keep(one)

    def _keep(self, one: Frame) -> None:
        self.kept.append(one.utc_us)
        if one.key:
            steps = self.desk.on_key_frame(one.utc_us)
        elif one.utc_us >= self.desk.close_due_us:
            steps = self.desk.on_frame(one.utc_us)
        else:
            return
        self._note(steps, one.utc_us)

    def _note(self, steps: list[Step], at_us: int) -> None:
        self.steps += steps
        if any(isinstance(step, CloseClip) for step in steps):
            self._decide(at_us)

    def clips(self) -> list[tuple[str, int, int | None, int, int | None]]:
        """Rule, alarm, begin, shortfall and end of each."""
        told: dict[int, list[object]] = {}
        for step in self.steps:
            match step:
                case OpenClip():
                    told[step.clip] = [step.rule, step.alarm_at_us, step.start_us, step.pre_shortfall_us, None]
                case BeginClip():
                    told[step.clip][2:4] = [step.start_us, step.pre_shortfall_us]
                case CloseClip():
                    told[step.clip][4] = step.end_us
        return [tuple(clip) for clip in told.values()]  # type: ignore[misc]


def rule(name: str, *when: str, pre: float, post: float, debounce: float = 0, while_active: bool = False) -> Rule:
    return Rule(
        name,
        tuple(map(parse_trigger, when)),
        debounce_us=round(debounce * US),
        pre_us=round(pre * US),
        post_us=round(post * US),
        while_active=while_active,
    )


_FRAMES = st.lists(st.tuples(st.integers(20, 900), st.integers(0, 3)), min_size=20, max_size=200)
_REPORTS = st.lists(st.tuples(st.integers(0, 120_000), st.sampled_from(["m1", "b1", "m2", "b2", "v1"])), max_size=12)
_RULES = st.lists(
    st.builds(
        lambda when, pre, post, debounce, lasting: (when, pre, post, debounce, lasting),
        st.sampled_from(["m1", "v1", "m1(10)b2", "b1"]),
        st.integers(0, 10),
        st.integers(0, 15),
        st.sampled_from([0, 0.5, 2]),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


def _played(mode: Mode, rules: list[Rule], stream: list[Frame], reports: list[tuple[int, str]]) -> Keeper:
    """Frames, reports and a tick each second, in order of time."""
    keeper = Keeper(mode, rules)
    end_us = stream[-1].utc_us
    happenings: list[tuple[int, int, Frame | Change | None]] = [(one.utc_us, 0, one) for one in stream]
    happenings += [(BEGIN_US + at * MS, 1, Change(word)) for at, word in reports]
    happenings += [(at_us, 2, None) for at_us in range(BEGIN_US, end_us, US)]
    for at_us, _, what in sorted(happenings, key=lambda happening: happening[:2]):
        if at_us > end_us:
            break
        match what:
            case Frame():
                keeper.take(what)
            case None:
                keeper.tick(at_us)
            case _:
                keeper.hear([what], at_us)
    return keeper


@given(frames=_FRAMES, reports=_REPORTS, wanted=_RULES)
def test_waiting_for_alarms_keeps_of_each_clip_what_continuous_recording_would(
    frames: list[tuple[int, int]],
    reports: list[tuple[int, str]],
    wanted: list[tuple[str, int, int, float, bool]],
) -> None:
    rules = [
        rule(f"rule-{number}", when, pre=pre, post=post, debounce=debounce, while_active=lasting)
        for number, (when, pre, post, debounce, lasting) in enumerate(wanted)
    ]
    stream, at_us = [], BEGIN_US
    for number, (wait_ms, dice) in enumerate(frames):
        stream.append(frame(at_us, key=dice == 0 or number == 0))
        at_us += wait_ms * MS
    always = _played(Mode.CONTINUOUS, rules, stream, reports)
    waiting = _played(Mode.ALARM, rules, stream, reports)

    assert waiting.clips() == always.clips()
    times = [one.utc_us for one in stream]
    assert always.kept == times
    assert waiting.kept == sorted(set(waiting.kept)), "every frame once and in order"
    kept = set(waiting.kept)
    for _, _, start_us, _, end_us in waiting.clips():
        if start_us is not None:
            wanted_times = {at for at in times if start_us <= at and (end_us is None or at < end_us)}
            assert wanted_times <= kept
    keys = {one.utc_us for one in stream if one.key}
    for before, after in zip([None, *waiting.kept], waiting.kept, strict=False):
        if before is None or times.index(after) != times.index(before) + 1:
            assert after in keys, "what is kept begins with an I-VOP"


def test_an_alarm_link_that_is_lost_keeps_the_ring_and_all_that_follows() -> None:
    keeper = Keeper(Mode.ALARM, [rule("door", "m1", pre=5, post=5)])
    times = [BEGIN_US + second * US for second in range(40)]
    for number, at_us in enumerate(times):
        if number == 20:
            keeper.gate.alarm_link(False, at_us)
        keeper.take(frame(at_us, key=number % 2 == 0))
        keeper.tick(at_us)
    assert keeper.kept == times[16:], "the ring of five seconds and one, from its I-VOP, and no frame missing since"
    assert keeper.clips() == []


def test_between_two_alarms_only_what_they_want_is_kept() -> None:
    keeper = Keeper(Mode.ALARM, [rule("door", "m1", "b1", pre=3, post=4)])
    times = [BEGIN_US + second * US for second in range(60)]
    for number, at_us in enumerate(times):
        keeper.take(frame(at_us, key=number % 2 == 0))
        if number in (11, 30):
            keeper.hear([Change.M1 if number == 11 else Change.B1], at_us)
        keeper.tick(at_us)
    seconds = [(at_us - BEGIN_US) // US for at_us in keeper.kept]
    assert seconds == [*range(8, 16), *range(26, 34)], "to the I-VOP at or after each end, from the one before"
    assert [(clip[2], clip[4]) for clip in keeper.clips()] == [
        (times[8], times[15]),
        (times[26], times[34]),
    ]

"""Links that hand over to each other, in a world where a camera cuts them by a rule of its own."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvr.camera.relay import USUAL, End, Relay, Timing
from nvr.units import US

HOUR, DAY = 3600, 86_400

Rule = Callable[[float, float], bool]
"""Whether the camera cuts a link of this age and silence (seconds)."""


def after(age_s: float) -> Rule:
    return lambda age, _silence: age >= age_s


def silent_for(silence_s: float) -> Rule:
    return lambda _age, silence: silence >= silence_s


def never(_age: float, _silence: float) -> bool:
    return False


@dataclass
class Peer:
    """The camera's side of one link."""

    opened_s: int
    heard_s: int
    patience: float
    """How much longer than the rule says this one lasts: 1.0 and more."""


@dataclass
class World:
    """A camera and a relay, second by second."""

    cuts: Rule
    reports_every_s: int | None = None
    jitter: float = 0.0
    places: int = 9
    """Free of the camera's ten."""
    seed: int = 1
    cut_s: float | None = None
    now_s: int = 1000
    outages: list[tuple[int, int]] = field(default_factory=list)
    """Start and length of times without a link, in seconds; the very first connecting left out."""
    opened: int = 0
    both_s: int = 0
    """Seconds with two links."""
    most: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.relay = Relay(self.dice.random, cut_s=self.cut_s)
        self.peers: dict[int, Peer] = {}

    def live(self, seconds: int) -> "World":
        for _ in range(seconds):
            self.second()
        return self

    def second(self) -> None:
        self.now_s += 1
        now_us = self.now_s * US
        if self.reports_every_s and self.now_s % self.reports_every_s == 0:
            for number, peer in self.peers.items():
                peer.heard_s = self.now_s
                self.relay.heard(number, now_us)
        self._cut(now_us)
        while (done := self.relay.finished_with(now_us)) is not None:
            del self.peers[done]
            self.relay.ended(done, End.DONE, now_us)
        if not self.peers and self.opened:
            self._note_outage()
        while self.relay.wants_another(now_us):
            self._open(now_us)
        self.both_s += len(self.peers) == 2
        self.most = max(self.most, len(self.peers))

    def end(self, how: End) -> None:
        """All links end by something else than the rule."""
        for number in tuple(self.peers):
            del self.peers[number]
            self.relay.ended(number, how, self.now_s * US)

    def _cut(self, now_us: int) -> None:
        for number, peer in tuple(self.peers.items()):
            age, silence = self.now_s - peer.opened_s, self.now_s - peer.heard_s
            refused = len(self.peers) > self.places and number == max(self.peers)
            if refused or self.cuts(age / peer.patience, silence / peer.patience):
                del self.peers[number]
                self.relay.ended(number, End.CLOSED, now_us)

    def _open(self, now_us: int) -> None:
        self.relay.opening()
        self.opened += 1
        self.relay.opened(self.opened, now_us)
        self.peers[self.opened] = Peer(self.now_s, self.now_s, 1 + self.jitter * self.dice.random())

    def _note_outage(self) -> None:
        if self.outages and sum(self.outages[-1]) == self.now_s:
            self.outages[-1] = (self.outages[-1][0], self.outages[-1][1] + 1)
        else:
            self.outages.append((self.now_s, 1))


def test_the_guides_ten_minutes_leave_no_second_without_a_link() -> None:
    world = World(after(600)).live(DAY)
    assert world.outages == []
    assert world.relay.cut_s == pytest.approx(600, abs=2)
    assert world.opened == pytest.approx(DAY / 510, abs=2)
    assert world.both_s < DAY / 5
    assert world.most == 2


def test_a_camera_that_looks_only_now_and_then_leaves_no_second_without_a_link() -> None:
    world = World(after(600), jitter=0.2).live(DAY)
    assert world.outages == []


def test_ten_minutes_of_silence_leave_no_second_without_a_link_however_often_it_reports() -> None:
    for reports_every_s in (None, 97, 550, 1800):
        world = World(silent_for(600), reports_every_s).live(DAY)
        assert world.outages == [], reports_every_s


def test_a_camera_that_never_cuts_is_asked_for_a_second_link_less_and_less() -> None:
    world = World(never).live(DAY)
    assert (world.outages, world.relay.cut_s) == ([], None)
    first_day = world.opened
    world.live(DAY)
    assert world.outages == []
    assert world.opened - first_day < first_day
    assert world.opened - first_day < 20
    assert world.most == 2


@pytest.mark.parametrize("cut_s", [45, 120, 300, 500, 590, 700, 1000, 1500, 3600])
def test_a_firmware_with_another_interval_is_learned_from_one_outage_at_most(cut_s: int) -> None:
    world = World(after(cut_s)).live(12 * HOUR)
    assert len(world.outages) <= (cut_s < 510), world.outages
    assert sum(length for _, length in world.outages) <= 1
    assert world.relay.cut_s == pytest.approx(cut_s, rel=0.05, abs=3)


@settings(max_examples=15)  # half a second each
@given(st.integers(40, 3000), st.sampled_from(["age", "silence"]), st.none() | st.integers(20, 900), st.integers(0, 15))
def test_whatever_the_rule_outages_are_few_and_short_and_then_none(
    cut_s: int, ruler: str, reports_every_s: int | None, jitter_percent: int
) -> None:
    rule = after(cut_s) if ruler == "age" else silent_for(cut_s)
    world = World(rule, reports_every_s, jitter=jitter_percent / 100).live(8 * HOUR)
    assert len(world.outages) <= 2, world.outages
    assert all(length <= 1 for _, length in world.outages)
    assert world.most <= 2
    learned_s = world.now_s
    world.live(8 * HOUR)
    assert [start for start, _ in world.outages if start > learned_s] == []


def test_what_was_learned_before_a_restart_is_known_after_it() -> None:
    before = World(after(200)).live(HOUR)
    assert len(before.outages) == 1
    world = World(after(200), cut_s=before.relay.cut_s).live(HOUR)
    assert world.outages == []
    assert world.relay.cut_s == pytest.approx(200, abs=2)


def test_one_accident_is_no_rule() -> None:
    world = World(after(600)).live(2 * HOUR)
    opened = world.opened
    world.live(100)
    world.end(End.CLOSED)
    world.live(20 * HOUR)
    assert len(world.outages) == 1
    assert world.opened - opened == pytest.approx(20 * HOUR / 510, abs=8)


def test_a_camera_that_is_switched_off_and_on_every_day_teaches_nothing() -> None:
    world = World(never)
    for _ in range(4):
        world.live(DAY)
        world.end(End.LOST)
    before = world.opened
    world.live(DAY)
    assert len(world.outages) == 4
    assert world.opened - before < 30


def test_a_full_camera_is_asked_every_ten_seconds_and_never_more() -> None:
    world = World(after(600), places=0).live(HOUR)
    assert world.opened == pytest.approx(HOUR / 11, rel=0.15)


def test_a_place_for_one_link_only_is_used_and_the_outages_are_short() -> None:
    world = World(after(600), places=1).live(6 * HOUR)
    assert len(world.outages) == pytest.approx(6 * 6, abs=2)
    assert all(length <= 1 for _, length in world.outages)


def test_waits_grow_from_half_a_second_to_ten_and_begin_anew_after_a_link_that_lasted() -> None:
    relay = Relay(lambda: 0.5)
    now_us, waits = 0, []
    for _ in range(7):
        relay.opening()
        relay.not_opened(now_us)
        next_us = relay.next_us(now_us)
        assert next_us is not None
        assert not relay.wants_another(next_us - 1)
        assert relay.wants_another(next_us)
        waits.append((next_us - now_us) / US)
        now_us = next_us
    assert waits == [0.5, 1, 2, 4, 8, 10, 10]
    relay.opened(1, now_us)
    relay.heard(1, now_us)
    relay.ended(1, End.LOST, now_us + 40 * US)
    assert relay.wants_another(now_us + 40 * US)
    relay.opening()
    relay.not_opened(now_us + 40 * US)
    assert relay.next_us(now_us + 40 * US) == now_us + 40 * US + US // 2


def test_waits_vary_by_a_tenth_either_way() -> None:
    for dice, wait_us in ((0.0, 450_000), (1.0, 550_000)):
        relay = Relay(lambda dice=dice: dice)  # type: ignore[misc]
        relay.opening()
        relay.not_opened(0)
        assert relay.next_us(0) == wait_us


def test_a_link_counts_once_it_spoke_or_was_kept_for_two_seconds() -> None:
    relay = Relay(lambda: 0.5)
    relay.opened(1, 0)
    assert not relay.is_up(2 * US - 1)
    assert relay.is_up(2 * US)
    relay.opened(2, 10 * US)
    assert not relay.is_proven(2, 11 * US)
    relay.heard(2, 11 * US)
    assert relay.is_proven(2, 11 * US)
    assert not relay.is_proven(3, 11 * US)


def test_only_one_link_is_opened_at_a_time() -> None:
    relay = Relay(lambda: 0.5)
    assert relay.wants_another(0)
    relay.opening()
    assert not relay.wants_another(0)


def test_an_old_link_is_kept_until_its_follower_is_proven() -> None:
    timing = Timing(cut_s=100.0)
    relay = Relay(lambda: 0.5, timing)
    relay.opened(1, 0)
    relay.opened(2, 200 * US)
    assert relay.finished_with(201 * US) is None
    assert relay.finished_with(202 * US) == 1


def test_a_refused_follower_leaves_the_old_link_standing_and_waits() -> None:
    relay = Relay(lambda: 0.5)
    relay.opened(1, 0)
    relay.heard(1, 0)
    due_us = round(relay.age.due_s * US)
    assert relay.wants_another(due_us)
    relay.opening()
    relay.opened(2, due_us)
    relay.ended(2, End.CLOSED, due_us + 1000)
    assert not relay.wants_another(due_us + 9 * US)
    assert relay.wants_another(due_us + round(USUAL.longest_wait_s * US) + 1000)
    assert relay.is_up(due_us)


def test_a_place_that_becomes_free_is_taken_at_once() -> None:
    relay = Relay(lambda: 0.5)
    relay.opened(1, 0)
    relay.heard(1, 0)
    relay.opened(2, 599 * US)
    relay.ended(2, End.CLOSED, 599 * US + 1000)
    relay.ended(1, End.CLOSED, 600 * US)
    assert relay.wants_another(600 * US)

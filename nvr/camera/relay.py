"""How one alarm link hands over to the next, so that no second is without one.

A camera is said to close alarm links after ten minutes without "syn exchange" (guide 4.2), and nobody knows what that
is: it may go by a link's age, by its silence, or by nothing at all. So each link is followed by the next before the
time at which one may be cut, and is kept beside it for a while: what happens to it then teaches that time.

Pure: told the time, in microseconds of the monotonic clock, and the dice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from nvr.units import US

_LEAD: Final = 0.85
"""The next link opens at this share of the time after which one was cut."""
_PROBE: Final = 1.5
"""An old link is kept up to this multiple of the time at which its follower opened: cameras look "at regular intervals"
(guide 4.2), so that one of ten minutes may last for twelve."""
_LONGEST_PROBE_S: Final = 1_200.0  # two links out of the camera's ten: not for hours
_REMEMBERED: Final = 1.05  # a link cut within a twentieth of the usual time was cut as usual


@dataclass(frozen=True, slots=True)
class Timing:
    """Of the alarm links of one camera, in seconds."""

    connect_s: float = 5.0
    trial_s: float = 2.0
    """A link that was closed before, without a word, was refused: the eleventh is accepted and closed (guide 4.2)."""
    first_wait_s: float = 0.5
    """After trouble, then twice as long each time."""
    longest_wait_s: float = 10.0
    """Also where the camera is full."""
    settled_s: float = 30.0
    """A link that lasted so long was no trouble: the next may follow at once. A shorter one teaches nothing."""
    cut_s: float = 600.0
    """After so long a camera cuts a link (guide 4.2), until it shows otherwise."""


USUAL: Final = Timing()


class End(Enum):
    """How a link ended."""

    CLOSED = "closed"
    """The camera closed it."""
    LOST = "lost"
    """It went silent, or was lost on the way."""
    DONE = "done"
    """We closed it: the next one stands."""


class Endurance:
    """How long links last, by one ruler: age, or silence. `due_s` is when the next one must stand."""

    def __init__(self, cut_s: float) -> None:
        self.cut_s: float | None = None
        """After so long links were cut; None until one was."""
        self._safe_s = cut_s * _LEAD
        self._suspected_s: float | None = None

    @property
    def due_s(self) -> float:
        return self._safe_s if self._suspected_s is None else min(self._suspected_s, self._safe_s)

    @property
    def outlived_s(self) -> float:
        """A link that lives for so long was not to be cut at all."""
        return self.due_s + min(self.due_s * (_PROBE - 1), _LONGEST_PROBE_S)

    def is_probed(self, lasted_s: float) -> bool:
        """Whether a link of this age (or silence) is watched for its end."""
        return self.due_s <= lasted_s < self.outlived_s

    def cut(self, lasted_s: float) -> None:
        """A link was cut as expected: that is how long they last."""
        if self._suspected_s is not None:
            self._safe_s, self._suspected_s = self.due_s, None
        self._safe_s = min(self._safe_s, lasted_s * _LEAD)
        if self.cut_s is None or lasted_s < self.cut_s or lasted_s > self.cut_s * _PROBE:
            self.cut_s = lasted_s

    def suspect(self, lasted_s: float) -> None:
        """A link was cut earlier than any before: a rule, or an accident? The next one is held to it."""
        self._suspected_s = lasted_s * _LEAD if self._suspected_s is None else min(self.due_s, lasted_s * _LEAD)

    def outlived(self, lasted_s: float) -> None:
        """A link outlived what was thought: a suspicion was an accident, and what was known was too little."""
        if self._suspected_s is not None:
            self._suspected_s = None
        else:
            self._safe_s = max(self._safe_s, lasted_s * _LEAD)
            if self.cut_s is not None and lasted_s > self.cut_s * _REMEMBERED:
                self.cut_s = None


class _Standing:
    """A link that is connected."""

    def __init__(self, opened_us: int) -> None:
        self.opened_us = opened_us
        self.heard_us: int | None = None

    def age_s(self, now_us: int) -> float:
        return (now_us - self.opened_us) / US

    def silence_s(self, now_us: int) -> float:
        return (now_us - (self.opened_us if self.heard_us is None else self.heard_us)) / US


class Relay:
    """Says when to open the next link and when to close the old one; numbers are the caller's names for links."""

    def __init__(self, dice: Callable[[], float], timing: Timing = USUAL, *, cut_s: float | None = None) -> None:
        """`dice` returns 0.0..1.0. `cut_s` is what an earlier relay learned as `cut_s`, None where nothing."""
        self.age = Endurance(timing.cut_s if cut_s is None else cut_s)
        self.age.cut_s = cut_s
        self.silence = Endurance(timing.cut_s)
        self._dice = dice
        self._timing = timing
        self._standing: dict[int, _Standing] = {}
        self._is_opening = False
        self._wait_until_us: int | None = None
        self._next_wait_s = timing.first_wait_s

    @property
    def cut_s(self) -> float | None:
        """After how long this camera cuts its links, by age or by silence; None until it did."""
        learned = [one.cut_s for one in (self.age, self.silence) if one.cut_s is not None]
        return min(learned, default=None)

    # What happens.

    def opening(self) -> None:
        """The next link is being connected."""
        self._is_opening = True

    def opened(self, link: int, now_us: int) -> None:
        """It is connected; whether the camera takes it, shows."""
        self._is_opening = False
        self._standing[link] = _Standing(now_us)

    def heard(self, link: int, now_us: int) -> None:
        """The camera said something over it."""
        self._standing[link].heard_us = now_us

    def not_opened(self, now_us: int) -> None:
        """No connection came about."""
        self._is_opening = False
        self._wait(now_us, self._growing_wait_s())

    def ended(self, link: int, end: End, now_us: int) -> None:
        """A link that was `opened` is over."""
        over = self._standing.pop(link)
        if end is End.DONE:
            return
        age_s, silence_s = over.age_s(now_us), over.silence_s(now_us)
        if end is End.CLOSED and over.heard_us is None and age_s < self._timing.trial_s:
            self._wait(now_us, self._timing.longest_wait_s)
        elif age_s < self._timing.settled_s:
            self._wait(now_us, self._growing_wait_s())
        else:
            self._next_wait_s = self._timing.first_wait_s
            self._wait_until_us = None  # also where the next one was refused: now a place is free
            if end is End.CLOSED:
                self._learn_from_cut(age_s, silence_s)

    # What to do.

    def is_proven(self, link: int, now_us: int) -> bool:
        """Whether the camera has taken this link: it spoke, or kept it for long enough."""
        standing = self._standing.get(link)
        if standing is None:
            return False
        return standing.heard_us is not None or standing.age_s(now_us) >= self._timing.trial_s

    def is_up(self, now_us: int) -> bool:
        """Whether alarms reach us."""
        return any(self.is_proven(link, now_us) for link in self._standing)

    def wants_another(self, now_us: int) -> bool:
        """Whether to open a link now."""
        if self._is_opening or (self._wait_until_us is not None and now_us < self._wait_until_us):
            return False
        if not self._standing:
            return True
        return len(self._standing) == 1 and all(self._is_due(one, now_us) for one in self._standing.values())

    def finished_with(self, now_us: int) -> int | None:
        """The link to close now, because its follower stands and it has nothing more to teach; None: none."""
        if len(self._standing) < 2 or not all(self.is_proven(link, now_us) for link in self._standing):
            return None
        link, oldest = min(self._standing.items(), key=lambda item: item[1].opened_us)
        age_s, silence_s = oldest.age_s(now_us), oldest.silence_s(now_us)
        if self.age.is_probed(age_s) or self.silence.is_probed(silence_s):
            return None
        for endurance, lasted_s in ((self.age, age_s), (self.silence, silence_s)):
            if lasted_s >= endurance.outlived_s:
                endurance.outlived(lasted_s)
        return link

    def next_us(self, now_us: int) -> int | None:
        """When the answers above may be others though nothing happens; None: not soon."""
        moments = [self._wait_until_us] if self._wait_until_us is not None else []
        for one in self._standing.values():
            heard_us = one.opened_us if one.heard_us is None else one.heard_us
            waits = ((one.opened_us, self._timing.trial_s), (one.opened_us, self.age.due_s))
            moments += [from_us + round(wait_s * US) for from_us, wait_s in (*waits, (heard_us, self.silence.due_s))]
        return min((moment for moment in moments if moment > now_us), default=None)

    # Steps of the above.

    def _is_due(self, one: _Standing, now_us: int) -> bool:
        return one.age_s(now_us) >= self.age.due_s or one.silence_s(now_us) >= self.silence.due_s

    def _learn_from_cut(self, age_s: float, silence_s: float) -> None:
        rulers = ((self.age, age_s), (self.silence, silence_s))
        expected = [(endurance, lasted_s) for endurance, lasted_s in rulers if lasted_s >= endurance.due_s]
        for endurance, lasted_s in expected:
            endurance.cut(lasted_s)
        if not expected:
            self.age.suspect(age_s)
            if silence_s >= age_s / 2:  # a link that spoke a moment ago was hardly cut for its silence
                self.silence.suspect(silence_s)

    def _growing_wait_s(self) -> float:
        wait_s = self._next_wait_s
        self._next_wait_s = min(wait_s * 2, self._timing.longest_wait_s)
        return wait_s

    def _wait(self, now_us: int, wait_s: float) -> None:
        """Each wait varies by a tenth either way, so that many recorders do not come back in step."""
        self._wait_until_us = now_us + round(wait_s * (0.9 + 0.2 * self._dice()) * US)

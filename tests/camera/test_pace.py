from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nvr.camera.errors import CameraBusy, LinkError, LinkLost, LinkStalled
from nvr.camera.pace import LowWater, Patience, Vigil
from nvr.units import US

KIB = 1024


def marks(bytes_per_second: list[int], *, eager: bool = False) -> list[int]:
    """The mark asked for after each second in which so many bytes came."""
    low_water = LowWater(started_us=0)
    received = 0
    told = []
    for second, came in enumerate(bytes_per_second, start=1):
        received += came
        told.append(low_water.bytes_at(second * US, received, eager=eager))
    return told


def test_a_young_link_is_read_byte_by_byte_and_then_in_quarters_of_a_second() -> None:
    assert marks([100 * KIB] * 12) == [1] * 9 + [25 * KIB] * 3


def test_the_mark_stays_between_4_and_64_kb() -> None:
    assert marks([1000] * 11)[-1] == 4 * KIB
    assert marks([10_000_000] * 11)[-1] == 64 * KIB


def test_a_link_is_read_byte_by_byte_for_two_seconds_every_five_minutes() -> None:
    exact = [second for second, mark in enumerate(marks([100 * KIB] * 1000), start=1) if mark == 1]
    assert exact == [*range(1, 10), 300, 301, 600, 601, 900, 901]


def test_nothing_is_held_back_from_somebody_who_waits_for_each_picture() -> None:
    assert set(marks([100 * KIB] * 50, eager=True)) == {1}


def test_what_the_kernel_holds_comes_out_when_a_second_brought_nothing() -> None:
    *_, before, silent, still_silent, after = marks([100 * KIB] * 20 + [0, 0, 100 * KIB])
    assert (before, silent, still_silent) == (25 * KIB, 1, 1)
    assert after > 1


def test_a_mark_that_would_hardly_change_stays() -> None:
    assert set(marks([100 * KIB] * 10 + [95 * KIB, 105 * KIB] * 20)[10:]) == {25 * KIB}


def test_the_mark_follows_the_rate_within_seconds() -> None:
    told = marks([200 * KIB] * 20 + [20 * KIB] * 12)[20:]
    assert all(later <= earlier for earlier, later in pairwise(told))
    assert told[-1] < 8 * KIB


@given(st.lists(st.tuples(st.integers(0, 5 * US), st.integers(0, 1 << 30)), max_size=50), st.booleans())
def test_the_mark_is_never_outside_its_bounds(seconds: list[tuple[int, int]], eager: bool) -> None:
    low_water = LowWater(started_us=0)
    now_us = received = 0
    for passed_us, came in seconds:
        now_us += passed_us
        received += came
        mark = low_water.bytes_at(now_us, received, eager=eager)
        assert mark == 1 or 4 * KIB <= mark <= 64 * KIB


class Watch:
    """A vigil over an attempt told second by second: `HP..` is a head and a picture, a picture, two seconds of nothing.

    H the head comes, P a picture (and its bytes), b bytes without a picture, F a flood with a picture, . nothing.
    """

    def __init__(self) -> None:
        self._vigil = Vigil(Patience(), 0)
        self._second = self._received = self._pictures = self._last_bytes_us = 0
        self._has_head = False

    def verdict_after(self, story: str) -> LinkError | None:
        """The first verdict, or None if there was none to the end of the story."""
        for came in story:
            self._second += 1
            if came != ".":
                self._last_bytes_us = self._second * US
            self._received += {".": 0, "F": 4_000_000}.get(came, 200_000)
            self._pictures += came in "PF"
            self._has_head |= came in "HPF"
            verdict = self._vigil.verdict(
                self._second * US,
                has_head=self._has_head,
                received=self._received,
                last_bytes_us=self._last_bytes_us,
                pictures=self._pictures,
            )
            if verdict is not None:
                return verdict
        return None

    @property
    def second(self) -> int:
        return self._second


def told(story: str) -> str:
    """`kind at second: sentence`, or `goes on`."""
    watch = Watch()
    verdict = watch.verdict_after(story)
    return f"{type(verdict).__name__} at {watch.second}: {verdict}" if verdict is not None else "goes on"


def test_an_attempt_is_given_up_for_its_own_reason_when_its_time_is_over() -> None:
    assert told("P" * 100) == "goes on"
    assert told("." * 20) == "LinkStalled at 10: the camera has not answered the request for video in 10 s"
    assert told("b" * 20) == "LinkStalled at 10: the camera has not answered the request for video in 10 s"
    assert told("H" + "." * 20) == "CameraBusy at 11: the camera agreed to send video, then sent no picture for 10 s"
    assert told("PP" + "." * 20) == "LinkStalled at 12: the camera has sent nothing for 10 s"
    assert told("PP" + "b" * 20) == "LinkStalled at 12: the camera sends bytes, but no whole picture for 10 s"
    assert told("PP" + "F" * 20) == "LinkLost at 12: more than 24 Mbit/s for 10 s"
    assert told("PP" + "FFFFFFFP" * 20) == "LinkLost at 12: more than 24 Mbit/s for 10 s"


def test_pauses_shorter_than_the_patience_are_borne() -> None:
    assert told(("P" + "." * 9) * 5) == "goes on"
    assert told(("P" + "b" * 9) * 5) == "goes on"
    assert told(("F" * 5 + "P" * 5) * 5) == "goes on"
    assert told("." * 8 + "H" + "." * 8 + "P" * 20) == "goes on"


def test_each_verdict_says_when_to_try_again() -> None:
    verdicts = [Watch().verdict_after(story) for story in ("." * 20, "H" + "." * 20, "F" * 20)]
    assert [type(verdict) for verdict in verdicts] == [LinkStalled, CameraBusy, LinkLost]
    assert [verdict.reason for verdict in verdicts if verdict] == ["camera-stalled", "camera-refused", "stream-broken"]

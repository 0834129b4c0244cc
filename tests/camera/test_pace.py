from nvr.camera.errors import CameraBusy, LinkError, LinkLost, LinkStalled
from nvr.camera.pace import Patience, Vigil
from nvr.units import US


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

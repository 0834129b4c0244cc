"""One camera that is expected to look somewhere: from what it says of its view to event, metric, log and rules."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, assert_never

from nvr.clock import Clock
from nvr.jvc.alarm import Change
from nvr.jvc.types import FrameInfo
from nvr.metrics import CameraCounts
from nvr.record.expected_view import Expected, ExpectedView, Turn
from nvr.store.index import Index
from nvr.units import US, PanTiltZoom

log = logging.getLogger(__name__)


class ViewWatch:
    """Told by the camera's unit what the camera says; tells `on_change` of `moved` and `back`. Never waits.

    An event is what is news to the index. To the rules a camera that is found turned away has moved in each life of the
    daemon anew: nobody saw whether it was turned back and away again in between.
    """

    def __init__(
        self,
        camera_id: int,
        slug: str,
        view: ExpectedView,
        index: Index,
        counts: CameraCounts,
        clock: Clock,
        on_change: Callable[[Change], None],
    ) -> None:
        self._camera_id = camera_id
        self._slug = slug
        self._view = view
        self._index = index
        self._counts = counts
        self._clock = clock
        self._on_change = on_change

    @property
    def expected(self) -> Expected:
        """Where the camera should look."""
        return self._view.expected

    @property
    def away(self) -> bool | None:
        """Whether it has turned away; None until that is known."""
        return self._view.away

    @property
    def doubt(self) -> str | None:
        """Why nothing can be said of it; None where something can."""
        if self._view.is_known or self.away is not None:
            return None
        return f"nvr has never seen where preset {self.expected.preset} is: move the camera there once"

    def hear(self, said: FrameInfo, position: PanTiltZoom | None) -> None:
        """What the camera said of itself with a picture."""
        self._view.hear(said.preset, position)

    def look(self, position: PanTiltZoom | None) -> None:
        """At each tick while pictures come: where the camera looks."""
        turn = self._view.look(position, int(self._clock.mono_us()))
        match turn:
            case Turn.AWAY:
                self._tell_away(position)
            case Turn.BACK:
                self._tell_back(position)
            case None:
                return
            case _:
                assert_never(turn)

    def _tell_away(self, position: PanTiltZoom | None) -> None:
        expected, seconds = self.expected, self.expected.after_us / US
        text = f"the camera is expected {expected} and looked elsewhere for {seconds:g} seconds"
        self._note(text, {"after_seconds": seconds}, position, away=True)
        extra = {"camera": self._slug, "action": "turned-away", "expected": str(expected), "seconds": seconds}
        log.warning("the camera looks elsewhere than it is expected to", extra=extra)
        self._on_change(Change.MOVED)

    def _tell_back(self, position: PanTiltZoom | None) -> None:
        noted = self._note(f"the camera looks where it is expected again, {self.expected}", {}, position, away=False)
        noted.add_done_callback(self._log_back)
        self._on_change(Change.BACK)

    def _note(self, text: str, facts: dict[str, Any], position: PanTiltZoom | None, *, away: bool) -> "Future[bool]":
        self._counts.turned_away = float(away)
        facts = {"expected": str(self.expected), **facts, **in_degrees(position)}
        return self._index.note_view(self._camera_id, int(self._clock.utc_us()), away=away, text=text, facts=facts)

    def _log_back(self, noted: "Future[bool]") -> None:
        """Where it looks as it should from the first there is nothing to say."""
        if noted.exception() is None and noted.result():
            extra = {"camera": self._slug, "action": "turned-back", "expected": str(self.expected)}
            log.info("the camera looks where it is expected again", extra=extra)


def in_degrees(position: PanTiltZoom | None) -> dict[str, float | None]:
    """Where the camera looks, in the degrees that people use: true tilt, the horizon at 0."""
    if position is None:
        return {"pan_degrees": None, "tilt_degrees": None, "zoom": None}
    pan, tilt, zoom = position
    return {"pan_degrees": pan / 100, "tilt_degrees": (tilt - 500) / 100, "zoom": zoom / 100}

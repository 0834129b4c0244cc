"""What a camera says of itself beside its pictures, and what of that is news: its clock, its name and model, its fan.

Heard before each I-VOP. A torn picture may say anything, so a name or a fan counts once it is said twice in a row.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from nvr.jvc.types import FrameInfo
from nvr.metrics import CameraCounts
from nvr.record.camera_clock import CameraClock, ClockStep
from nvr.store.index import Index, called
from nvr.store.rows import CameraClockRow
from nvr.units import US, PanTiltZoom

log = logging.getLogger(__name__)

T = TypeVar("T")

_NOTE_US: Final = 600 * US
_FIRST_NOTE_US: Final = 10 * US  # a first picture is often late
_PAUSE_US: Final = 60 * US  # a camera that changes its mind all the time fills neither log nor index


class CameraFacts:
    """One camera's facts, for metrics, index and log. Everything here runs in the loop and never waits."""

    def __init__(self, camera_id: int, slug: str, index: Index, counts: CameraCounts) -> None:
        self.clock = CameraClock()
        self.said: FrameInfo | None = None
        """What was said last."""
        self.on_said: Callable[[FrameInfo, PanTiltZoom | None], None] | None = None
        """Told what was said, and where the camera looked in that picture."""
        self._camera_id = camera_id
        self._slug = slug
        self._index = index
        self._counts = counts
        self._known: tuple[str | None, bytes | None] | None = None
        self._fan_failed: bool | None = None
        self._note_due_us: int | None = None
        self._step_due_us = self._identity_due_us = self._fan_due_us = 0

    def hear(self, said: FrameInfo, utc_us: int, position: PanTiltZoom | None = None) -> None:
        """The camera said this of itself with the I-VOP of that UTC, in which it looked there."""
        before, self.said = self.said, said
        if self.on_said is not None:
            self.on_said(said, position)
        if said.clock_us is not None:
            self._note_clock(said.clock_us, utc_us)
        if before is None:
            return
        identity = (said.model, said.camera_id)
        if identity != self._known and identity == (before.model, before.camera_id):
            self._note_identity(said, utc_us)
        failed = said.fan_failed
        if failed is not None and failed is not self._fan_failed and failed is before.fan_failed:
            self._note_fan(failed, utc_us)

    def host_stepped(self) -> None:
        """The host's clock was set, or its time is made of something else now."""
        self.clock.host_stepped()
        self._note_due_us = None
        self._step_due_us = self._identity_due_us = self._fan_due_us = 0

    # ---- the clock

    def _note_clock(self, clock_us: int, utc_us: int) -> None:
        step = self.clock.note(clock_us, utc_us)
        offset_us, drift_ppb = self.clock.offset_us, self.clock.drift_ppb
        if offset_us is None:
            return
        self._counts.clock_offset_s = offset_us / US
        if drift_ppb is not None:
            self._counts.clock_drift_ratio = drift_ppb / 1e9
        if step is not None and utc_us >= self._step_due_us:
            self._step_due_us = utc_us + _PAUSE_US
            self._note_due_us = utc_us
            self._tell_step(step, utc_us)
        if self._note_due_us is None:
            self._note_due_us = utc_us + _FIRST_NOTE_US
        elif utc_us >= self._note_due_us:
            self._note_due_us = utc_us + _NOTE_US
            self._index.add_camera_clock(self._camera_id, CameraClockRow(utc_us, offset_us, drift_ppb))

    def _tell_step(self, step: ClockStep, utc_us: int) -> None:
        by_s, after_s = (step.after_us - step.before_us) / US, step.after_us / US
        log.warning(
            "the camera's own clock was set",
            extra={"camera": self._slug, "action": "camera-clock-step", "seconds": by_s, "offset_seconds": after_s},
        )
        self._index.add_event(
            utc_us,
            "camera-clock-step",
            f"the camera's own clock was set by {by_s:+.3f} seconds and is now {after_s:+.3f} seconds off",
            {"by_seconds": by_s, "offset_seconds": after_s},
            camera_id=self._camera_id,
        )

    # ---- who it is, and how it is

    def _note_identity(self, said: FrameInfo, utc_us: int) -> None:
        if utc_us < self._identity_due_us:
            return
        if self._known is not None:
            self._identity_due_us = utc_us + _PAUSE_US
        self._known = (said.model, said.camera_id)
        model, ident = said.model, printable(said.camera_id)
        noted = self._index.identify_camera(self._camera_id, utc_us, model, ident)
        noted.add_done_callback(lambda done: self._tell_identity(_answer(done), model, ident))

    def _tell_identity(self, was: tuple[str | None, str | None] | None, model: str | None, ident: str | None) -> None:
        if was is not None:
            log.warning(
                "camera '%s' now says it is %s; was %s",
                self._slug,
                called(model or was[0], ident or was[1]),
                called(*was),
                extra={"camera": self._slug, "action": "camera-changed"},
            )

    def _note_fan(self, failed: bool, utc_us: int) -> None:
        if utc_us < self._fan_due_us:
            return
        if self._fan_failed is not None:
            self._fan_due_us = utc_us + _PAUSE_US
        self._fan_failed = failed
        self._counts.fan_failed = float(failed)
        noted = self._index.note_fan(self._camera_id, utc_us, failed=failed)
        noted.add_done_callback(lambda done: self._tell_fan(done, failed=failed))

    def _tell_fan(self, noted: "Future[bool]", *, failed: bool) -> None:
        if failed:
            log.warning("the camera says its fan failed", extra={"camera": self._slug, "action": "fan-failed"})
        elif _answer(noted):
            log.info("the camera's fan works again", extra={"camera": self._slug, "action": "fan-works"})


def printable(ident: bytes | None) -> str | None:
    """A camera's name for itself as text for people; what cannot be shown stays visible as an escape."""
    if not ident:
        return None
    text = ident.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _answer(done: "Future[T]") -> T | None:
    """What the index answered; None where it could not, which it says itself."""
    return None if done.exception() is not None else done.result()

"""What must hold at a camera (`[camera.<name>.settings]`): looked at daily and at reconnect, told, or put right."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from nvr.camera import applying
from nvr.camera.control import Control
from nvr.camera.errors import LinkError
from nvr.camera.own_address import own_address
from nvr.clock import Clock
from nvr.jvc import settings
from nvr.jvc.catalogue import find
from nvr.jvc.errors import ApiRefused
from nvr.jvc.settings import Change
from nvr.log import Streak
from nvr.metrics import CameraCounts
from nvr.record.recorder import RecordedCamera
from nvr.store.index import Index

log = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
_SETTLE_S: Final = 2.0  # a camera that has just come back first gets its video going
_AGAIN_S: Final = 300.0  # after a look that failed
_SHOWN: Final = 3


class SettingsWatch:
    """Compares one camera with what is declared; `run` goes on until it is cancelled.

    `enforce`: what differs is set and kept, but for what would restart the camera or keep nvr from its video: that is
    told only.
    """

    def __init__(
        self,
        declared: Mapping[str, str],
        control: Control | None,
        camera: RecordedCamera,
        index: Index,
        counts: CameraCounts,
        clock: Clock,
        *,
        enforce: bool,
        settle_s: float = _SETTLE_S,
    ) -> None:
        self._declared = declared
        self._control = control
        self._camera = camera
        self._index = index
        self._counts = counts
        self._clock = clock
        self._enforce = enforce
        self._settle_s = settle_s
        self._due = asyncio.Event()
        self._drifted: dict[str, str | None] = {}
        """What differed last time, and what it was."""
        self._agreed: set[str] = set()
        """What was as declared last time."""
        self._trouble = Streak(log, {"camera": camera.slug, "action": "settings-check"})

    async def run(self) -> None:
        """Looks at each connection and once a day."""
        if not self._declared or self._control is None:
            return
        wait_s = DAY_S
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._due.wait()
                    await asyncio.sleep(self._settle_s)
            except TimeoutError:
                pass
            self._due.clear()
            wait_s = DAY_S if await self._look(self._control) else _AGAIN_S

    def connected(self) -> None:
        """The camera sends video again: it may have restarted, or been told something meanwhile."""
        self._due.set()

    async def _look(self, control: Control) -> bool:
        """One look; False where the camera could not be asked."""
        try:
            reading = await applying.read(control, [find(name) for name in self._declared])
            changes = settings.differences(self._declared, reading.values)
            if changes and self._enforce:
                changes = await self._put_right(control, changes)
        except (LinkError, ApiRefused) as trouble:
            self._trouble.hit(f"the camera's settings could not be looked at: {trouble}")
            return False
        self._trouble.over("the camera's settings can be looked at again")
        self._note(changes)
        return True

    async def _put_right(self, control: Control, changes: Sequence[Change]) -> list[Change]:
        """What still differs afterwards. Raises LinkError."""
        stages = [stage for stage in settings.plan(changes) if not stage.restarts]
        if settings.touches_access(changes) and await self._locks_out(control, changes):
            stages = [stage for stage in stages if not settings.touches_access(stage.changes)]
        report = await applying.carry_out(control, stages)
        if report.trouble is not None:
            log.warning(
                "a setting could not be put right: %s",
                report.trouble,
                extra={"camera": self._camera.slug, "action": "settings-enforced"},
            )
        if report.applied:
            text = f"put right where it was not as declared: {_sentence(report.applied)}"
            self._say("settings-enforced", text, [change.name for change in report.applied])
        return [change for change in changes if change not in report.applied]

    async def _locks_out(self, control: Control, changes: Sequence[Change]) -> bool:
        told = await applying.read(control, [find(name) for name in settings.access_names()])
        mine = own_address(control.address)
        values = told.values | {change.name: change.wanted for change in changes}
        return mine is None or settings.locks_out(values, mine)

    def _note(self, changes: Sequence[Change]) -> None:
        """Says what is new: the same drift every day is no news."""
        self._counts.settings_drifted = len(changes)
        drifted = {change.name: change.told for change in changes}
        before, self._drifted = self._drifted, drifted
        agreed, self._agreed = self._agreed, set(self._declared) - set(drifted)
        new = [change for change in changes if before.get(change.name, _NOTHING) != change.told]
        if new:
            went_back = [change.name for change in new if change.name in agreed]
            why = "; it was as declared before: set by somebody, or never kept in the camera" if went_back else ""
            text = f"not as declared: {_sentence(new)}{why}"
            self._say("settings-drifted", text, [change.name for change in new])
        elif before and not drifted:
            self._say("settings-as-declared", "all settings are as declared again", list(before))

    def _say(self, kind: str, text: str, names: Sequence[str]) -> None:
        level = logging.INFO if kind != "settings-drifted" else logging.WARNING
        log.log(level, "camera's settings: %s", text, extra={"camera": self._camera.slug, "action": kind})
        self._index.add_event(self._clock.utc_us(), kind, text, {"names": list(names)}, camera_id=self._camera.id)


_NOTHING: Final = "\0"


def _sentence(changes: Sequence[Change]) -> str:
    shown = ", ".join(
        f"{change.name} is {_word(change.told)}, not {_word(change.wanted)}" for change in changes[:_SHOWN]
    )
    more = len(changes) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _word(value: str | None) -> str:
    return "not told" if value is None else value or "blank"

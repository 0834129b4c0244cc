"""Which firmware a camera has: asked of its parameters when it connects, kept in the index, told where it changed."""

import asyncio
import logging
from typing import Final

from nvr.camera import applying
from nvr.camera.control import Control
from nvr.camera.errors import LinkError, LoginRefused
from nvr.clock import Clock
from nvr.jvc.errors import ApiRefused
from nvr.record.recorder import RecordedCamera
from nvr.store.index import Index

log = logging.getLogger(__name__)

_SETTLE_S: Final = 2.0  # a camera that has just come back first gets its video going
_APART_S: Final = 60.0  # firmware changes by a restart, which takes about a minute; a link may flap more often
_AGAIN_S: Final = 300.0  # after a look to which the camera did not answer
_MOST_CHARACTERS: Final = 24  # of one part; a camera says V1-00 (guide 6.19)


class FirmwareWatch:
    """Asks one camera at each connection; `run` goes on until it is cancelled."""

    def __init__(
        self,
        control: Control,
        camera: RecordedCamera,
        index: Index,
        clock: Clock,
        *,
        known: str | None,
        settle_s: float = _SETTLE_S,
        apart_s: float = _APART_S,
    ) -> None:
        """`known`: what it told in an earlier life."""
        self.known = known
        """What it told last, part by part; None until it told anything."""
        self._control = control
        self._camera = camera
        self._index = index
        self._clock = clock
        self._settle_s = settle_s
        self._apart_s = apart_s
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Looks at each connection."""
        while True:
            await self._due.wait()
            await asyncio.sleep(self._settle_s)
            self._due.clear()
            wait_s = self._apart_s
            if not await self._look():
                self._due.set()
                wait_s = _AGAIN_S
            await asyncio.sleep(wait_s)

    def connected(self) -> None:
        """The camera sends video again: it may have another firmware."""
        self._due.set()

    async def _look(self) -> bool:
        """One look; False where the camera did not answer and may be asked once more."""
        try:
            said = await applying.facts(self._control, applying.REVISIONS)
        except (ApiRefused, LoginRefused) as refused:
            self._unknown(refused)
            return True  # an answer: the next connection asks again
        except LinkError as trouble:
            self._unknown(trouble)
            return False
        if said:
            self._note(", ".join(f"{name[name.index('(') + 1 : -1]} {_word(told)}" for name, told in said.items()))
        return True

    def _note(self, firmware: str) -> None:
        before, self.known = self.known, firmware
        if firmware == before:
            return
        self._index.note_firmware(self._camera.id, self._clock.utc_us(), firmware)
        if before is not None:
            log.warning(
                "the camera's firmware is now %s; was %s",
                firmware,
                before,
                extra={"camera": self._camera.slug, "action": "firmware-changed"},
            )

    def _unknown(self, trouble: Exception) -> None:
        # Who needs the parameters says louder that they cannot be had.
        extra = {"camera": self._camera.slug, "action": "firmware"}
        log.debug("the camera does not tell its firmware: %s", trouble, extra=extra)


def _word(told: str) -> str:
    return "".join(char for char in told.strip() if char.isprintable())[:_MOST_CHARACTERS]

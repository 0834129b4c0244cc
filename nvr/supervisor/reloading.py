"""Reads the configuration again and changes only what changed in it; an invalid one changes nothing and is told.

`Household` is what the daemon lets it do. Reloads never overlap, and stopping ends one that is under way.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nvr.config import Config, ConfigError
from nvr.supervisor.notify import Notifier
from nvr.supervisor.reload import Changes, Configured, changes, read
from nvr.web.listening import CannotListen
from nvr.web.service import NotValid

log = logging.getLogger(__name__)


class Household(Protocol):
    """The daemon, as far as a reload changes it."""

    async def leave(self, cameras: Iterable[str]) -> None:
        """Ends these cameras' units and seals what they recorded."""
        ...

    def cameras_on(self, volumes: Iterable[str]) -> set[str]:
        """Cameras that have a segment open on any of these."""
        ...

    async def change_volumes(self, to: Config, told: Changes) -> None:
        """Volumes come and go."""
        ...

    async def forget(self, cameras: Iterable[str]) -> None:
        """These cameras, left before, are configured no longer; their footage stays."""
        ...

    async def rename(self, was: str, name: str) -> None:
        """A camera that was left is called so from now on, its footage too."""
        ...

    async def enter(self, to: Config, cameras: Iterable[str]) -> None:
        """From now on this is the configuration; units for these cameras begin."""
        ...

    async def listen_elsewhere(self, to: Config) -> None:
        """Metrics are served where this configuration says. Raises CannotListen, and is where it was then."""
        ...


@dataclass(slots=True)
class Reloading:
    """One daemon's."""

    path: Path
    now: Configured
    household: Household
    notifier: Notifier
    refused: str | None = None
    """Why the file as it was read last is not what runs; None where it is."""
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def reload(self) -> dict[str, Any]:
        """What was changed. Raises NotValid, and nothing was changed then."""
        async with self._one_at_a_time:
            self.notifier.reloading()
            try:
                after = await asyncio.to_thread(read, self.path)
                told = changes(self.now, after)
                await self._apply(after, told)
            except (ConfigError, CannotListen) as wrong:
                raise self._refuse(wrong) from None
            finally:
                self.notifier.ready()
            self.refused = None
            log.info("configuration read again", extra={"action": "reloaded", **_keys(told)})
            return _facts(told)

    def _refuse(self, wrong: ConfigError | CannotListen) -> NotValid:
        others = len(wrong.others) if isinstance(wrong, ConfigError) else 0
        more = f" (and {others} more; nvr config check names them)" if others else ""
        self.refused = f"{wrong}{more}"
        log.error(
            "the configuration is not right, so nothing was changed: %s",
            self.refused,
            extra={"action": "reload-refused"},
        )
        return NotValid(self.refused)

    async def _apply(self, after: Configured, told: Changes) -> None:
        if after.config.metrics != self.now.config.metrics:
            await self.household.listen_elsewhere(after.config)
        moving = self.household.cameras_on(told.volumes_moved) - {*told.removed, *told.renamed, *told.changed}
        leaving = [*told.removed, *told.renamed, *told.changed, *moving]
        await self.household.leave(leaving)
        await self.household.change_volumes(after.config, told)
        await self.household.forget(told.removed)
        for name, camera in after.config.cameras.items():
            if camera.was is not None and name in (*told.added, *told.renamed.values()):
                await self.household.rename(camera.was, name)
        self.now = after
        await self.household.enter(
            after.config, [*told.added, *told.renamed.values(), *told.changed, *(moving & after.config.cameras.keys())]
        )


def _facts(told: Changes) -> dict[str, Any]:
    return {
        "added": list(told.added),
        "removed": list(told.removed),
        "renamed": [{"was": was, "camera": name} for was, name in told.renamed.items()],
        "changed": list(told.changed),
        "volumes_added": list(told.volumes_added),
        "volumes_removed": list(told.volumes_removed),
        "volumes_moved": list(told.volumes_moved),
        "other": list(told.other),
    }


def _keys(told: Changes) -> dict[str, str]:
    """For the log: what there is of it."""
    named = {**_facts(told), "renamed": [f"{was} to {name}" for was, name in told.renamed.items()]}
    return {key: ",".join(names) for key, names in named.items() if names}

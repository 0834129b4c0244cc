"""Decides what a changed configuration changes: which cameras come, go or begin anew, which volumes, and what else.

Pure but for `read`, which reads the file and every password it names. A camera begins anew where anything differs that
its unit was made of; what only others look at (a lens's table, how long footage is kept) leaves it alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nvr import config
from nvr.config import Config, ConfigError, Credentials


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration with the passwords that its files held when it was read."""

    config: Config
    credentials: Mapping[str, Credentials | None]


@dataclass(frozen=True, slots=True)
class Changes:
    """From one configuration to the next. A camera is in at most one of these."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: Mapping[str, str]
    """What it is called now, by what it was called."""
    changed: tuple[str, ...]
    """Begin anew."""
    volumes_added: tuple[str, ...]
    volumes_removed: tuple[str, ...]
    volumes_moved: tuple[str, ...]
    """Another path under the same name."""
    other: tuple[str, ...]
    """Tables of which something counts from now on without anything beginning anew."""

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


_FOR_OTHERS: Final = frozenset({"was", "field_of_view", "quota", "min_days", "max_days", "clip_days", "timelapse"})
"""Keys of a camera that its unit is not made of."""
_FOR_VOLUMES: Final = frozenset({"sync_seconds", "export_clips", "hash"})
"""Keys of [recording] that no unit is made of."""


def read(path: Path) -> Configured:
    """Reads and checks everything. Raises ConfigError."""
    found = config.load(path)
    return Configured(found, {name: found.credentials(name) for name in found.cameras})


def changes(before: Configured, after: Configured) -> Changes:
    """What differs. Raises ConfigError where it cannot be had while nvr runs."""
    old, new = before.config, after.config
    if old.data_dir != new.data_dir:
        raise ConfigError(
            "data_dir", f"data_dir was {old.data_dir} when nvr started and cannot change while it runs; restart nvr"
        )
    renamed = {
        camera.was: name
        for name, camera in new.cameras.items()
        if name not in old.cameras and camera.was is not None and camera.was in old.cameras
    }
    volumes, were = ({volume.name: volume for volume in each.volumes} for each in (new, old))
    return Changes(
        added=tuple(name for name in new.cameras if name not in old.cameras and name not in renamed.values()),
        removed=tuple(name for name in old.cameras if name not in new.cameras and name not in renamed),
        renamed=renamed,
        changed=tuple(
            name for name in new.cameras if name in old.cameras and _made_of(before, name) != _made_of(after, name)
        ),
        volumes_added=tuple(name for name in volumes if name not in were),
        volumes_removed=tuple(name for name in were if name not in volumes),
        volumes_moved=tuple(
            name for name, volume in volumes.items() if name in were and volume.path != were[name].path
        ),
        other=_other_tables(old, new),
    )


def _made_of(configured: Configured, name: str) -> tuple[Any, ...]:
    """Everything that a camera's unit is made of."""
    settings = configured.config
    camera = settings.cameras[name]
    keys = {key: value for key, value in vars(camera).items() if key not in _FOR_OTHERS}
    recording = {key: value for key, value in vars(settings.recording).items() if key not in _FOR_VOLUMES}
    volume = next((volume.path for volume in settings.volumes if volume.name == camera.volume), None)
    # For whom else a rule is does not concern this camera.
    rules, manual = [replace(rule, cameras=()) for rule in settings.rules_of(name)], settings.manual_rule(name)
    return keys, recording, volume, rules, manual, settings.record_plan(name), configured.credentials.get(name)


def _other_tables(old: Config, new: Config) -> tuple[str, ...]:
    """Tables that differ beside cameras, rules and schedules, which the cameras speak for."""
    told = [
        key
        for key, field in Config.model_fields.items()
        if key not in ("cameras", "rules", "schedules", "volumes", "data_dir")
        and getattr(old, key) != getattr(new, key)
    ]
    places = [{volume.name: volume.model_dump(exclude={"path"}) for volume in each.volumes} for each in (old, new)]
    both = places[0].keys() & places[1].keys()
    if any(places[0][name] != places[1][name] for name in both):
        told.append("volume")
    return tuple(told)

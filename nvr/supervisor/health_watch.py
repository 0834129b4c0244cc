"""Looks at the running daemon for `health`, and tells what it decides: as events, in the log, and in `status`."""

import logging
import math
from collections.abc import Mapping
from typing import Any, assert_never

from nvr.clock import Clock
from nvr.metrics import CameraCounts, Metrics
from nvr.record.shelf import Shelf, Shelves
from nvr.store.index import SILENT_S, Index
from nvr.supervisor.health import CAMERA_CONDITIONS, Began, CameraNow, Ended, Health, HouseNow, Ill, VolumeNow
from nvr.supervisor.unit import CameraUnit, State
from nvr.units import US

log = logging.getLogger(__name__)

_FRESH_US = 5 * US  # as a unit's state


class HealthWatch:
    """One daemon's. `look` is called in the loop, every few seconds."""

    def __init__(self, index: Index, metrics: Metrics, shelves: Shelves, clock: Clock) -> None:
        self._index = index
        self._metrics = metrics
        self._shelves = shelves
        self._clock = clock
        self._began_us = clock.utc_us()
        self._health = Health()

    def look(self, units: Mapping[str, CameraUnit], failed: Mapping[str, str]) -> None:
        """Takes in how everything is, and passes on what is news."""
        cameras = {
            name: self._camera(unit, self._metrics.cameras[name], failed.get(name)) for name, unit in units.items()
        }
        volumes = {shelf.name: _volume(shelf) for shelf in self._shelves.all if not shelf.retired}
        clock = self._metrics.host_clock_synchronised
        wrong = self._metrics.index_inconsistencies.items()
        now = HouseNow(
            cameras,
            volumes,
            clock_synchronised=None if math.isnan(clock) else bool(clock),
            backup_age_s=self._backup_age_s(),
            inconsistencies={kind: int(count) for kind, count in wrong if not math.isnan(count)},
            index_silent=self._index.silent_seconds() > SILENT_S,
        )
        for news in self._health.note(now, self._clock.mono_us()):
            self._pass_on(news, units)

    def troubles(self) -> list[dict[str, Any]]:
        """What is not well, for `status`: since when by the clock on the wall, the longest first."""
        age_us = self._clock.mono_us()
        utc_us = self._clock.utc_us()
        return [
            {
                "condition": began.ill.condition.value,
                "camera": began.ill.subject if began.ill.condition in CAMERA_CONDITIONS else None,
                "volume": None if began.ill.condition in CAMERA_CONDITIONS else began.ill.subject,
                "since_us": int(utc_us - (age_us - began.since_us)),
                "text": began.ill.says,
            }
            for began in self._health.told
        ]

    def _camera(self, unit: CameraUnit, counts: CameraCounts, failure: str | None) -> CameraNow:
        now = unit.standing()
        blocked = now.state is State.BLOCKED and failure is None
        fresh = self._clock.utc_us() - counts.last_frame_us < _FRESH_US
        return CameraNow(
            wanted=counts.recording_wanted,
            blocked=now.reason if blocked else None,
            fresh=fresh and failure is None,
            why=failure or now.reason,
            reconnects=sum(counts.reconnects.values()),
            frames=counts.frames,
            frames_lost=sum(counts.frames_lost.values()),
            alarm_link=now.alarm_link,
            fail_open=counts.fail_open,
            clock_offset_s=None if math.isnan(counts.clock_offset_s) else counts.clock_offset_s,
            fan_failed=counts.fan_failed == 1,
            promise_broken=bool(counts.promise_broken),
            settings_drifted=counts.settings_drifted > 0,
        )

    def _backup_age_s(self) -> float:
        """From this life's begin on where there is none yet: the first one is made in its first night."""
        return (self._clock.utc_us() - max(self._metrics.index_backup_us, self._began_us)) / US

    def _pass_on(self, news: Began | Ended, units: Mapping[str, CameraUnit]) -> None:
        match news:
            case Began(ill):
                log.warning("not well: %s", ill.says, extra=_keys(ill))
                self._enter(ill, ill.condition.value, ill.says, units)
            case Ended(ill, lasted_us):
                seconds = round(lasted_us / US)
                log.info("well again: it is over that %s", ill.says, extra={**_keys(ill), "after_seconds": seconds})
                self._enter(ill, f"{ill.condition}-over", f"over after {seconds} s: {ill.says}", units)
            case _:
                assert_never(news)

    def _enter(self, ill: Ill, kind: str, text: str, units: Mapping[str, CameraUnit]) -> None:
        """As an event; a full disk loses it from the index, and the log has it."""
        of_camera = ill.condition in CAMERA_CONDITIONS
        unit = units.get(ill.subject or "") if of_camera else None
        facts = {} if of_camera or ill.subject is None else {"volume": ill.subject}
        camera_id = unit.recorder.camera.id if unit is not None else None
        if of_camera and unit is None:
            return  # it was taken out of the configuration, and so was what was wrong with it
        entered = self._index.add_event(self._clock.utc_us(), kind, text, facts, camera_id=camera_id)
        entered.add_done_callback(lambda done: done.exception())


def _volume(shelf: Shelf) -> VolumeNow:
    counts = shelf.counts
    return VolumeNow(counts.free_bytes if counts.size_bytes else None, sum(counts.write_errors.values()))


def _keys(ill: Ill) -> dict[str, str]:
    keys = {"action": ill.condition.value}
    if ill.subject is not None:
        keys["camera" if ill.condition in CAMERA_CONDITIONS else "volume"] = ill.subject
    return keys

"""What the daemon answers when it is asked how it is (web.service.Service): from memory, at once."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from nvr import __version__
from nvr.metrics import CameraCounts
from nvr.record.camera_facts import CameraFacts, printable
from nvr.record.exporter import Exporter
from nvr.record.recorder import OpenSegment
from nvr.record.shelf import Shelf, Shelves
from nvr.store.check import Finding
from nvr.store.names import PART, segment_path
from nvr.supervisor.following import Following
from nvr.supervisor.reloading import Reloading
from nvr.supervisor.unit import CameraUnit, State
from nvr.supervisor.upkeep import Upkeep
from nvr.supervisor.view_watch import ViewWatch, in_degrees
from nvr.units import US
from nvr.web.service import NotPossible, NotThere

_FINE: Final = frozenset({State.RECORDING, State.BUFFERING})
_IN_A_LINE: Final = 3  # cameras in trouble that are named; the rest is in `nvr status`


class Answers:
    """The running daemon as its API sees it. `units` and `failed` belong to the daemon and change under us."""

    def __init__(
        self,
        units: Mapping[str, CameraUnit],
        failed: Mapping[str, str],
        counts: Mapping[str, CameraCounts],
        shelves: Shelves,
        host_clock: Callable[[], dict[str, Any]],
        exporter: Exporter | None = None,
        upkeep: Upkeep | None = None,
        reloading: Reloading | None = None,
        reload: Callable[[], Awaitable[dict[str, Any]]] | None = None,
        troubles: Callable[[], list[dict[str, Any]]] = list,
        following: Following | None = None,
    ) -> None:
        self._units = units
        self._failed = failed
        self._counts = counts
        self._shelves = shelves
        self._host_clock = host_clock
        self._exporter = exporter
        self._upkeep = upkeep
        self._reloading = reloading
        self._reload = reload
        self._troubles = troubles
        self._following = following

    def status(self) -> dict[str, Any]:
        """As contract: version, cameras, volumes; and whether this machine's clock may be believed."""
        return {
            "version": __version__,
            "cameras": [self._camera(name, unit) for name, unit in self._units.items()],
            "volumes": [self._volume(shelf) for shelf in self._shelves.all],
            "host_clock": self._host_clock(),
            "configuration_refused": self._refused,
            "troubles": [_trouble(one) for one in self._troubles()],
        }

    def line(self) -> str:
        """How everything is in one line, trouble named."""
        standings = {name: unit.standing() for name, unit in self._units.items()}
        wanted = {name: one for name, one in standings.items() if one.state is not State.OFF or name in self._failed}
        fine = [name for name, one in wanted.items() if one.state in _FINE and name not in self._failed]
        parts = [f"configuration refused: {self._refused}"] if self._refused else []
        parts += [f"{len(fine)} of {len(wanted)} cameras as wanted"]
        parts += [f"{name}: {one.reason or one.state}" for name, one in wanted.items() if name not in fine][:_IN_A_LINE]
        for shelf in self._shelves.all:
            refusal, counts = shelf.refusal, shelf.counts
            if refusal is not None:
                parts.append(refusal.sentence)
            elif counts.size_bytes:
                parts.append(f"{shelf.name} {1 - counts.free_bytes / counts.size_bytes:.0%} full")
        return "; ".join(parts)

    @property
    def _refused(self) -> str | None:
        return self._reloading.refused if self._reloading is not None else None

    async def reload(self) -> dict[str, Any]:
        """Reads the configuration again. Raises NotValid, NotPossible."""
        if self._reload is None:
            raise NotPossible("there is no configuration to read here")
        return await self._reload()

    def follow(self, after: int | None) -> AsyncIterator[dict[str, Any] | None]:
        """Events as they happen. Raises NotPossible."""
        if self._following is None:
            raise NotPossible("nobody can follow here")
        return self._following.follow(after)

    def live(self) -> dict[str, Any]:
        """By camera the segments that are not in the index yet, oldest first."""
        return {
            name: [_segment(segment) for segment in unit.recorder.uncommitted()] for name, unit in self._units.items()
        }

    async def lock_clip(self, clip: int, locked: bool) -> dict[str, Any]:
        """Locks or unlocks a clip. Raises NotThere, NotPossible, VolumeMissing, DiskFull, IndexDamaged."""
        if self._exporter is None:
            raise NotPossible("nobody looks after clips' files here")
        try:
            known = await asyncio.wrap_future(self._exporter.lock(clip, locked))
        except RuntimeError as refused:
            raise NotPossible(str(refused)) from None
        if not known:
            raise NotThere(f"there is no clip {clip}")
        return {"clip": clip, "locked": locked}

    async def repair(self, finding: Finding) -> dict[str, Any]:
        """Mends what a check found, if it is still so. Raises NotPossible, VolumeMissing, DiskFull, IndexDamaged."""
        if self._upkeep is None:
            raise NotPossible("nobody looks after the index here")
        try:
            return {"done": await asyncio.to_thread(self._upkeep.repairer().repair, finding)}
        except OSError as trouble:
            raise NotPossible(f"the disk would not: {trouble}") from None

    def trigger(self, camera: str, note: str | None) -> dict[str, Any]:
        """Raises a manual alarm; the id of its clip. Raises NotThere, NotPossible."""
        unit = self._unit(camera)
        if unit.standing().state in (State.OFF, State.FAILED):
            raise NotPossible(f"the camera '{camera}' is {unit.standing().state} now, so there is nothing to keep")
        return {"camera": camera, "clip": unit.alarms.trigger(note)}

    def planned_restart(self, camera: str, seconds: float) -> dict[str, Any]:
        """The camera is about to restart. Raises NotThere."""
        self._unit(camera).restarts(seconds)
        return {"camera": camera, "seconds": seconds}

    def _unit(self, camera: str) -> CameraUnit:
        unit = self._units.get(camera)
        if unit is None:
            raise NotThere(f"there is no camera '{camera}'; the cameras are: {', '.join(sorted(self._units))}")
        return unit

    def _camera(self, name: str, unit: CameraUnit) -> dict[str, Any]:
        now = unit.standing()
        failure = self._failed.get(name)
        last_us = self._counts[name].last_frame_us
        return {
            "camera": name,
            "state": State.FAILED if failure is not None else now.state,
            "reason": failure if failure is not None else now.reason,
            "since": _iso(now.since_us),
            "last_frame": _iso(last_us) if last_us else None,
            "oldest": _iso(self._counts[name].oldest_segment_us) if self._counts[name].oldest_segment_us else None,
            "fps": round(now.fps, 2),
            "bitrate_bps": round(now.bitrate_bps),
            "alarm_link": now.alarm_link,
            "alarm_trouble": now.alarm_trouble,
            **in_degrees(now.position),
            "model": now.model,
            "firmware": now.firmware,
            "transport": now.transport.value,
            "multicast_trouble": now.fell_back,
            "slow_network": None if now.slow is None else {"fps": round(now.slow[0], 2), "announced_fps": now.slow[1]},
            **_facts(unit.recorder.facts),
            **_view(unit.view),
        }

    def _volume(self, shelf: Shelf) -> dict[str, Any]:
        counts = shelf.counts
        refusal = shelf.refusal
        return {
            "name": shelf.name,
            "path": str(shelf.place.path),
            "size_bytes": counts.size_bytes or None,
            "free_bytes": counts.free_bytes if counts.size_bytes else None,
            "footage_bytes": counts.footage_bytes,
            "oldest": _iso(counts.oldest_us) if counts.oldest_us else min(map(_iso, self._oldest()), default=None),
            "full_in_seconds": round(counts.full_in_s) if math.isfinite(counts.full_in_s) else None,
            "state": "ok" if refusal is None else refusal.reason,
            "reason": None if refusal is None else refusal.sentence,
            "syncing": f"{shelf.plan.how.value}, every {shelf.plan.interval_us / US:g} s",
        }

    def _oldest(self) -> list[int]:
        return [counts.oldest_segment_us for counts in self._counts.values() if counts.oldest_segment_us]


def _segment(segment: OpenSegment) -> dict[str, Any]:
    identity = segment.identity
    path = segment_path(identity.camera, identity.start_us, identity.run, identity.seq)
    return {
        "path": str(segment.shelf.place.path / (path + PART)),
        "run": identity.run,
        "seq": identity.seq,
        "start_us": identity.start_us,
        "end_us": segment.end_us,
        "frames": segment.frames,
        "epoch": identity.epoch,
    }


def _facts(facts: CameraFacts) -> dict[str, Any]:
    """What the camera says of itself beside its pictures."""
    offset_us, drift_ppb, said = facts.clock.offset_us, facts.clock.drift_ppb, facts.said
    return {
        "camera_id": printable(said.camera_id) if said is not None else None,
        "fan_failed": said.fan_failed if said is not None else None,
        "clock_offset_seconds": None if offset_us is None else offset_us / US,
        "clock_drift_ppm": None if drift_ppb is None else drift_ppb / 1000,
    }


def _trouble(one: dict[str, Any]) -> dict[str, Any]:
    """What has not been well for a while, in the contract's times."""
    return {"since" if key == "since_us" else key: _iso(v) if key == "since_us" else v for key, v in one.items()}


def _view(view: ViewWatch | None) -> dict[str, Any]:
    """Where the camera should look, and whether it does; all null where it may look anywhere."""
    if view is None:
        return {"expected": None, "turned_away": None, "expected_doubt": None}
    return {"expected": str(view.expected), "turned_away": view.away, "expected_doubt": view.doubt}


def _iso(us: int) -> str:
    at = datetime.fromtimestamp(us // US, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{us % US:06d}Z"

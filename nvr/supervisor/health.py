"""Decides what is not well: the conditions of the alerts (deploy/prometheus), without Prometheus. Pure: told the time.

`ills` says what is wrong at a moment; `Health` says when that has lasted long enough to be told, and when it has been
over for long enough to be told again. A condition that comes and goes within its recovery time is one, not many.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from nvr.units import US


class Condition(StrEnum):
    """What can be wrong; the value names its events, which end in `-over` when it is."""

    CAMERA_NOT_RECORDING = "camera-not-recording"
    CAMERA_BLOCKED = "camera-blocked"
    CAMERA_FLAPPING = "camera-flapping"
    FRAMES_LOST = "frames-lost"
    ALARM_LINK_DOWN = "alarm-link-down"
    FAIL_OPEN = "fail-open"
    WRITES_FAILING = "writes-failing"
    DISK_FULL_WITHIN_A_DAY = "disk-full-within-a-day"
    PROMISE_BROKEN = "retention-promise-broken"
    BACKUP_STALE = "backup-stale"
    INDEX_INCONSISTENT = "index-inconsistent"
    INDEX_SILENT = "index-silent"
    CAMERA_CLOCK_OFF = "camera-clock-off"
    HOST_UNSYNCHRONISED = "host-clock-unsynchronised-long"
    FAN_FAILED = "camera-fan-failed"
    SETTINGS_DRIFTED = "camera-settings-drifted"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a condition lasts before it is told, and how long it is gone before it is over."""

    dwell_s: float
    recovery_s: float


PATIENCE: Final[Mapping[Condition, Patience]] = {
    # The dwell times are those of the alerts of the same name; that of pictures counts since the last one.
    Condition.CAMERA_NOT_RECORDING: Patience(90, 30),
    Condition.CAMERA_BLOCKED: Patience(60, 60),
    Condition.CAMERA_FLAPPING: Patience(300, 900),
    Condition.FRAMES_LOST: Patience(600, 900),
    Condition.ALARM_LINK_DOWN: Patience(300, 60),
    Condition.FAIL_OPEN: Patience(1800, 60),
    Condition.WRITES_FAILING: Patience(0, 600),
    Condition.DISK_FULL_WITHIN_A_DAY: Patience(3600, 3600),
    Condition.PROMISE_BROKEN: Patience(0, 0),
    Condition.BACKUP_STALE: Patience(3600, 0),
    Condition.INDEX_INCONSISTENT: Patience(0, 0),
    Condition.INDEX_SILENT: Patience(0, 0),
    Condition.CAMERA_CLOCK_OFF: Patience(900, 300),
    Condition.HOST_UNSYNCHRONISED: Patience(900, 60),
    Condition.FAN_FAILED: Patience(300, 300),
    Condition.SETTINGS_DRIFTED: Patience(600, 0),
}


@dataclass(frozen=True, slots=True)
class CameraNow:
    """One camera at a moment; counters since the start."""

    wanted: bool
    blocked: str | None
    """Why no disk takes its pictures, as a sentence; None where one does."""
    fresh: bool
    """A picture came lately."""
    why: str | None
    """Why none comes."""
    reconnects: int = 0
    frames: int = 0
    frames_lost: int = 0
    alarm_link: bool | None = None
    """None where nobody listens."""
    fail_open: bool = False
    clock_offset_s: float | None = None
    fan_failed: bool = False
    promise_broken: bool = False
    settings_drifted: bool = False


@dataclass(frozen=True, slots=True)
class VolumeNow:
    """One volume at a moment."""

    free_bytes: int | None
    """None while it is not known."""
    write_errors: int


@dataclass(frozen=True, slots=True)
class HouseNow:
    """Everything at a moment."""

    cameras: Mapping[str, CameraNow]
    volumes: Mapping[str, VolumeNow]
    clock_synchronised: bool | None = None
    backup_age_s: float | None = None
    """None where it is not known, or cannot have been made yet."""
    inconsistencies: Mapping[str, int] = field(default_factory=dict)
    index_silent: bool = False
    """A transaction of the index hangs."""


@dataclass(frozen=True, slots=True)
class Ill:
    """Something that is wrong at a moment."""

    condition: Condition
    subject: str | None
    """The camera or the volume; None: nvr or its machine."""
    says: str
    """One sentence for people."""

    @property
    def of(self) -> tuple[Condition, str | None]:
        return self.condition, self.subject


@dataclass(frozen=True, slots=True)
class Began:
    """It has lasted long enough to be told."""

    ill: Ill
    since_us: int
    """Monotonic, as the times that `note` is told."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It has been over for long enough."""

    ill: Ill
    lasted_us: int


CAMERA_CONDITIONS: Final = frozenset(
    {
        Condition.CAMERA_NOT_RECORDING,
        Condition.CAMERA_BLOCKED,
        Condition.CAMERA_FLAPPING,
        Condition.FRAMES_LOST,
        Condition.ALARM_LINK_DOWN,
        Condition.FAIL_OPEN,
        Condition.PROMISE_BROKEN,
        Condition.CAMERA_CLOCK_OFF,
        Condition.FAN_FAILED,
        Condition.SETTINGS_DRIFTED,
    }
)
"""Those whose subject is a camera."""


class Health:
    """What is told of the health of one daemon's life; `note` is called every few seconds."""

    def __init__(self) -> None:
        self._lasting: dict[tuple[Condition, str | None], _Lasting] = {}
        self._seen = _Seen()

    @property
    def told(self) -> list[Began]:
        """What was told and is not over, the longest first."""
        told = [Began(one.ill, one.since_us) for one in self._lasting.values() if one.told]
        return sorted(told, key=lambda began: began.since_us)

    def note(self, now: HouseNow, now_us: int) -> list[Began | Ended]:
        """What is news."""
        self._seen.note(now, now_us)
        present = {ill.of: ill for ill in _ills(now, self._seen)}
        news: list[Began | Ended | None] = [self._present(ill, now_us) for ill in present.values()]
        news += [self._absent(of, now_us, now) for of in list(self._lasting) if of not in present]
        return [one for one in news if one is not None]

    def _present(self, ill: Ill, now_us: int) -> Began | None:
        lasting = self._lasting.get(ill.of)
        if lasting is None:
            lasting = self._lasting[ill.of] = _Lasting(ill, now_us, now_us)
        lasting.ill, lasting.seen_us = ill, now_us
        if lasting.told or now_us - lasting.since_us < PATIENCE[ill.condition].dwell_s * US:
            return None
        lasting.told = True
        return Began(ill, lasting.since_us)

    def _absent(self, of: tuple[Condition, str | None], now_us: int, now: HouseNow) -> Ended | None:
        lasting = self._lasting[of]
        condition, subject = of
        gone = subject is not None and subject not in now.cameras and subject not in now.volumes
        if lasting.told and not gone and now_us - lasting.seen_us < PATIENCE[condition].recovery_s * US:
            return None
        del self._lasting[of]
        return Ended(lasting.ill, lasting.seen_us - lasting.since_us) if lasting.told else None


class _Lasting:
    """A condition that is there, or was a moment ago."""

    __slots__ = ("ill", "seen_us", "since_us", "told")

    def __init__(self, ill: Ill, since_us: int, seen_us: int) -> None:
        self.ill = ill
        self.since_us = since_us
        self.seen_us = seen_us
        self.told = False


# ---- what is wrong at a moment

_QUARTER_US: Final = 900 * US
_WRITES_US: Final = 600 * US
_TREND_US: Final = 6 * 3600 * US
_SHORTEST_TREND_US: Final = 3600 * US
_DAY_S: Final = 86_400.0
_OFTEN: Final = 5
_LOST_SHARE: Final = 0.01
_CLOCK_OFF_S: Final = 2.0
_BACKUP_OLD_S: Final = 3 * _DAY_S
_SAMPLES: Final = 60  # of each window: a counter's change is known to a sixtieth of it


class _Window:
    """What a number was lately: at most `_SAMPLES` of its values, evenly spread over the window."""

    def __init__(self, length_us: int) -> None:
        self._length_us = length_us
        self._samples: deque[tuple[int, int]] = deque()
        self.newest = (0, 0)

    def note(self, value: int, now_us: int) -> None:
        self.newest = (now_us, value)
        if not self._samples or now_us - self._samples[-1][0] >= self._length_us // _SAMPLES:
            self._samples.append(self.newest)
        while len(self._samples) > 1 and self._samples[1][0] <= now_us - self._length_us:
            self._samples.popleft()

    @property
    def change(self) -> int:
        return self.newest[1] - self._samples[0][1] if self._samples else 0

    @property
    def seen_us(self) -> int:
        return self.newest[0] - self._samples[0][0] if self._samples else 0


class _Seen:
    """Windows of every number whose change matters; what is gone is forgotten."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], _Window] = {}

    def note(self, now: HouseNow, now_us: int) -> None:
        known = self._windows
        self._windows = {}
        for name, value, length_us in _watched(now):
            window = self._windows[name] = known.get(name) or _Window(length_us)
            window.note(value, now_us)

    def of(self, subject: str, what: str) -> _Window:
        return self._windows.get((subject, what)) or _Window(0)


def _watched(now: HouseNow) -> Iterator[tuple[tuple[str, str], int, int]]:
    for name, camera in now.cameras.items():
        yield (name, "reconnects"), camera.reconnects, _QUARTER_US
        yield (name, "frames"), camera.frames, _QUARTER_US
        yield (name, "frames-lost"), camera.frames_lost, _QUARTER_US
    for name, volume in now.volumes.items():
        yield (name, "write-errors"), volume.write_errors, _WRITES_US
        if volume.free_bytes is not None:
            yield (name, "free"), volume.free_bytes, _TREND_US


def _ills(now: HouseNow, seen: _Seen) -> Iterator[Ill]:
    for name, camera in now.cameras.items():
        for condition, says in _of_a_camera(camera, seen, name):
            yield Ill(condition, name, says)
    for name, volume in now.volumes.items():
        if seen.of(name, "write-errors").change > 0:
            yield Ill(Condition.WRITES_FAILING, name, f"writing to the volume '{name}' fails")
        if volume.free_bytes is not None and _free_in_a_day(seen.of(name, "free")) < 0:
            yield Ill(Condition.DISK_FULL_WITHIN_A_DAY, name, f"the volume '{name}' will be full within a day")
    if now.clock_synchronised is False:
        yield Ill(Condition.HOST_UNSYNCHRONISED, None, "nobody sets this machine's clock: times may be wrong")
    if now.backup_age_s is not None and now.backup_age_s > _BACKUP_OLD_S:
        yield Ill(Condition.BACKUP_STALE, None, "the index was not copied for more than three days")
    if wrong := {kind: count for kind, count in now.inconsistencies.items() if count}:
        places = ", ".join(f"{count} {kind}" for kind, count in sorted(wrong.items()))
        yield Ill(Condition.INDEX_INCONSISTENT, None, f"index and files disagree: {places}")
    if now.index_silent:
        yield Ill(
            Condition.INDEX_SILENT, None, "the index's disk does not answer: footage waits in its files for its rows"
        )


def _of_a_camera(camera: CameraNow, seen: _Seen, name: str) -> Iterator[tuple[Condition, str]]:
    if camera.wanted and not camera.fresh:
        why = f": {camera.why}" if camera.why else ""
        yield Condition.CAMERA_NOT_RECORDING, f"the camera is not recorded{why}"
    if camera.blocked is not None:
        yield Condition.CAMERA_BLOCKED, f"the camera sends pictures, and no disk takes them: {camera.blocked}"
    if (times := seen.of(name, "reconnects").change) > _OFTEN:
        yield Condition.CAMERA_FLAPPING, f"the camera was lost {times} times within a quarter of an hour"
    lost, came = seen.of(name, "frames-lost").change, seen.of(name, "frames").change
    if lost > _LOST_SHARE * max(came, 1):
        yield Condition.FRAMES_LOST, "more than one picture in a hundred of the camera is lost"
    if camera.alarm_link is False:
        yield Condition.ALARM_LINK_DOWN, "the camera's alarms do not reach nvr"
    if camera.fail_open:
        yield Condition.FAIL_OPEN, "the camera is recorded without waiting for alarms, which cannot be heard"
    if camera.promise_broken:
        yield Condition.PROMISE_BROKEN, "footage of the camera had to go sooner than min_days promises"
    if camera.clock_offset_s is not None and abs(camera.clock_offset_s) > _CLOCK_OFF_S:
        yield Condition.CAMERA_CLOCK_OFF, "the camera's clock is more than two seconds off"
    if camera.fan_failed:
        yield Condition.FAN_FAILED, "the camera's fan failed"
    if camera.settings_drifted:
        yield Condition.SETTINGS_DRIFTED, "the camera is set otherwise than the configuration declares"


def _free_in_a_day(free: _Window) -> float:
    """Bytes that will be free in a day if it goes on so; what is free where that was not seen for long enough."""
    if free.seen_us < _SHORTEST_TREND_US:
        return free.newest[1]
    return free.newest[1] + free.change / (free.seen_us / US) * _DAY_S

"""What nvr counts, under which names, and what each name means to somebody who sees it for the first time.

Whoever acts counts in plain integers on `CameraCounts`, `VolumeCounts` and `Metrics`; one collector turns them into
Prometheus samples when somebody asks. Every series is there from the start, with closed sets of label values: counting
under an unknown reason is a KeyError, which is a bug and not a new series.
"""

import errno
import math
import platform
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from nvr.units import US

GAP_REASONS: Final = (
    "camera-unreachable",
    "camera-refused",
    "camera-stalled",
    "stream-broken",
    "frames-missing",
    "disk-full",
    "disk-failed",
    "disk-slow",
    "service-stopped",
    "service-crashed",
    "clock-step",
    "unknown",
)
"""Why time that should have been recorded was not."""

RECONNECT_REASONS: Final = ("camera-unreachable", "camera-refused", "camera-stalled", "stream-broken")
"""Why an attempt at a camera's video ended: the gap reasons that a new connection may mend."""

LOST_CAUSES: Final = ("frames-missing", "no-header", "damaged", "disk-full", "disk-failed", "disk-slow")
"""Why a picture is not in the footage: it never came, it came before the first VOL, it broke the rules, a disk."""

ALARM_SOURCES: Final = ("input-1", "input-2", "motion", "position", "manual")
"""What sets off an alarm."""

WRITE_ERRORS: Final = ("full", "io", "read-only", "stuck", "other")
"""What a disk said; see `write_error`."""

VOLUME_STATES: Final = ("ok", "full", "slow", "stuck", "missing", "read-only", "failed")
"""How a volume is: it takes footage; it has no room; its disk does not keep up, or does not answer; it is not there (or
another disk is); nothing can be written to it; its disk says that it fails."""

RECOVERED_RESULTS: Final = ("adopted", "cut", "empty", "failed")
"""What became of a segment found without its row: whole, cut after its last whole fragment, nothing in it, not done."""

JOBS: Final = ("backup", "check", "hash", "retention", "timelapse")
"""What is done regularly beside recording."""

INCONSISTENCIES: Final = (
    "index",
    "missing",
    "truncated",
    "label",
    "hash",
    "pictures",
    "unpromised",
    "garbage",
    "clip",
    "lock",
    "unaccounted",
    "volume",
)
"""What a check may find (`nvr.store.check.Kind`)."""

RETENTION_RULES: Final = (
    "max-days",
    "clip-days",
    "keep-days",
    "quota-camera",
    "quota-volume",
    "floor",
    "inodes",
    "emergency",
    "promise-broken",
)
"""Why footage is deleted."""

_NOT_KNOWN = math.nan  # in Prometheus a comparison with NaN is never true: no alert on what nobody knows
_FSYNC_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Durations in seconds, counted by size. `observe` may be called from any thread."""

    __slots__ = ("_bounds", "_counts", "_lock", "_sum_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        """`bounds_s`: the upper bounds of the buckets, rising, without the infinite one."""
        self._bounds = tuple(bounds_s)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum_s = 0.0
        self._lock = threading.Lock()  # += on a list item is several steps, and several volumes' threads come here

    def observe(self, seconds: float) -> None:
        bucket = bisect_left(self._bounds, seconds)
        with self._lock:
            self._counts[bucket] += 1
            self._sum_s += seconds

    def cumulated(self) -> tuple[list[tuple[str, float]], float]:
        """The buckets as Prometheus wants them (each includes the smaller ones), and the sum in seconds."""
        with self._lock:
            counts, sum_s = list(self._counts), self._sum_s
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*self._bounds, math.inf), counts, strict=True):
            total += count
            buckets.append(("+Inf" if math.isinf(bound) else str(bound), total))
        return buckets, sum_s


class CameraCounts:
    """One camera's numbers; whoever acts writes them, in the loop or on the camera's I/O thread, never both to one."""

    __slots__ = (
        "alarm_link_up",
        "alarm_outage_us",
        "alarm_outages",
        "alarms",
        "alarms_heeded",
        "alarms_lost",
        "clips",
        "clock_drift_ratio",
        "clock_offset_s",
        "connected",
        "expected_fps",
        "fail_open",
        "fan_failed",
        "fps",
        "frames",
        "frames_lost",
        "gap_us",
        "last_frame_us",
        "oldest_segment_us",
        "open_gap",
        "prebuffer_bytes",
        "prebuffer_s",
        "promise_broken",
        "received_bytes",
        "reconnects",
        "recorder_restarts",
        "recording_wanted",
        "segment_bytes",
        "segments_committed",
        "settings_drifted",
        "turned_away",
    )

    def __init__(self) -> None:
        self.recording_wanted = False
        self.connected = False
        self.last_frame_us = 0
        """UTC of the last frame that arrived; 0 before the first."""
        self.frames = 0
        self.received_bytes = 0
        self.expected_fps = 0.0
        """What the stream announces; 0 where it announces nothing."""
        self.fps = 0.0
        self.clock_offset_s = _NOT_KNOWN
        """The camera's clock minus ours."""
        self.clock_drift_ratio = _NOT_KNOWN
        """How much too fast the camera's clock runs."""
        self.fan_failed = _NOT_KNOWN
        self.turned_away = _NOT_KNOWN
        """1 while the camera says so, 0 while it says otherwise."""
        self.reconnects = dict.fromkeys(RECONNECT_REASONS, 0)
        self.frames_lost = dict.fromkeys(LOST_CAUSES, 0)
        self.gap_us = dict.fromkeys(GAP_REASONS, 0)
        """Gaps that have ended, since this process began to account."""
        self.open_gap: tuple[str, int] | None = None
        """The gap that lasts now: its reason and the UTC microsecond it began at."""
        self.alarms_heeded = False
        """Somebody waits for alarms of this camera."""
        self.alarm_link_up = False
        self.fail_open = False
        """Everything is recorded, since alarms cannot be heard."""
        self.settings_drifted = 0
        """Settings that are not as [camera.<name>.settings] declares them."""
        self.alarms = dict.fromkeys(ALARM_SOURCES, 0)
        self.alarms_lost = 0
        """Alarms that the index would not take for so long that they were given up."""
        self.alarm_outages = 0
        """How often no alarm could reach us for a while."""
        self.alarm_outage_us = 0
        self.clips = {"manual": 0}
        """Clips that were opened, by rule; each rule that heeds the camera is there from the start."""
        self.prebuffer_s = 0.0
        self.prebuffer_bytes = 0
        self.promise_broken = False
        """Footage younger than min_days had to go, and is missing still."""
        self.recorder_restarts = 0
        self.segments_committed = 0
        self.segment_bytes = 0
        self.oldest_segment_us = 0
        """UTC start of the oldest segment kept; 0 where there is none."""


class VolumeCounts:
    """One volume's numbers; written by its I/O thread."""

    __slots__ = (
        "at_floor",
        "deleted_bytes",
        "entered_bytes",
        "film_bytes",
        "free_bytes",
        "free_inodes",
        "full_in_s",
        "inodes",
        "oldest_free_us",
        "oldest_us",
        "size_bytes",
        "state",
        "sync_interval_s",
        "write_errors",
    )

    def __init__(self) -> None:
        self.size_bytes = 0
        self.free_bytes = 0
        self.inodes = 0
        """How many files its file system can hold; 0 where that is not counted."""
        self.free_inodes = 0
        self.entered_bytes = 0
        """Of segments: at the start, and since then. Written in the loop."""
        self.deleted_bytes = 0
        """Of segments since the start. Written by whoever sweeps, as what follows."""
        self.film_bytes = 0
        """Of films of days, as of the last sweep."""
        self.full_in_s = _NOT_KNOWN
        """Until footage has to go for new footage."""
        self.at_floor = False
        """Footage has to go for new footage."""
        self.oldest_us = 0
        """Where its oldest segment begins; 0 where there is none."""
        self.state = "missing"
        """One of VOLUME_STATES. Written in the loop."""
        self.oldest_free_us: int | None = None
        """The same of those that may go; None where none may."""
        self.sync_interval_s = 0.0
        """As configured, or longer where the disk cannot keep up."""
        self.write_errors = dict.fromkeys(WRITE_ERRORS, 0)

    @property
    def footage_bytes(self) -> int:
        """Of the segments and films there are."""
        return self.entered_bytes - self.deleted_bytes + self.film_bytes


def write_error(error: OSError) -> str:
    """The label a disk's error is counted under."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return "full"
        case errno.EIO:
            return "io"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return "read-only"
        case errno.ETIMEDOUT:
            return "stuck"
        case _:
            return "other"


class Metrics:
    """All numbers of one daemon."""

    def __init__(self, version: str, utc_us: Callable[[], int]) -> None:
        """`utc_us` says what time it is when a gap that lasts is to be measured."""
        self.version = version
        self.cameras: dict[str, CameraCounts] = {}
        self.volumes: dict[str, VolumeCounts] = {}
        self.segment_commit = Histogram(_FSYNC_BOUNDS)
        self.storage_sync = Histogram(_FSYNC_BOUNDS)
        self.index_commit = Histogram(_FSYNC_BOUNDS)
        self.event_loop_lag = Histogram(_LAG_BOUNDS)
        self.retention_deleted: dict[str, int] = dict.fromkeys(RETENTION_RULES, 0)
        self.recovered_segments = dict.fromkeys(RECOVERED_RESULTS, 0)
        self.bring_up_to_date: Callable[[], None] = lambda: None
        """Called before anybody is told anything."""
        self.index_queue_length: Callable[[], int] = lambda: 0
        self.index_wal_bytes: Callable[[], int] = lambda: 0
        self.index_backup_us = 0
        """UTC of the newest copy; 0 where there is none."""
        self.index_inconsistencies: Mapping[str, float] = dict.fromkeys(INCONSISTENCIES, _NOT_KNOWN)
        """What the last whole check found, by kind; not known before the first one is through."""
        self.host_clock_synchronised = _NOT_KNOWN
        self.job_success_us = dict.fromkeys(JOBS, 0)
        """UTC at which a job last did what it should; 0 before the first time. Written by the job's thread."""
        self._utc_us = utc_us
        self._told_gap_us: dict[tuple[str, str], int] = {}
        self._process = ProcessCollector(registry=None)

    def add_camera(self, name: str) -> CameraCounts:
        """The numbers of this camera, all zero at first; its series are there from now on."""
        counts = self.cameras[name] = CameraCounts()
        return counts

    def remove_camera(self, name: str) -> None:
        """End this camera's series. One that is not there is no error."""
        self.cameras.pop(name, None)
        for reason in GAP_REASONS:
            self._told_gap_us.pop((name, reason), None)

    def add_volume(self, name: str) -> VolumeCounts:
        """The numbers of this volume, all zero at first; its series are there from now on."""
        counts = self.volumes[name] = VolumeCounts()
        return counts

    def remove_volume(self, name: str) -> None:
        """End this volume's series. One that is not there is no error."""
        self.volumes.pop(name, None)

    def registry(self) -> CollectorRegistry:
        """A registry of its own, for whoever shows these numbers."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def collect(self) -> Iterator[Metric]:
        """Each metric with all its samples; to be called in the loop, where cameras come and go."""
        self.bring_up_to_date()
        yield _family(GaugeMetricFamily, "nvr_build_info", [((self.version, platform.python_version()), 1)])
        yield from self._of_cameras()
        yield from self._of_volumes()
        yield from self._of_the_index()
        yield from self._of_jobs()
        yield from self._process.collect()

    def _of_cameras(self) -> Iterator[Metric]:
        cameras = list(self.cameras.items())
        for name, value in _CAMERA_GAUGES.items():
            yield _family(GaugeMetricFamily, name, [((camera,), value(counts)) for camera, counts in cameras])
        for name, value in _CAMERA_COUNTERS.items():
            yield _family(CounterMetricFamily, name, [((camera,), value(counts)) for camera, counts in cameras])
        for name, values in _CAMERA_COUNTERS_BY_WORD.items():
            samples = [((camera, word), value) for camera, counts in cameras for word, value in values(counts).items()]
            yield _family(CounterMetricFamily, name, samples)
        yield _family(
            CounterMetricFamily,
            "nvr_camera_gap_seconds_total",
            [
                ((camera, reason), self._gap_us(camera, counts, reason) / US)
                for camera, counts in cameras
                for reason in GAP_REASONS
            ],
        )

    def _gap_us(self, camera: str, counts: CameraCounts, reason: str) -> int:
        """Ended gaps and the one that lasts. Never less than said before: to Prometheus that would be a restart."""
        gap_us = counts.gap_us[reason]
        if counts.open_gap is not None and counts.open_gap[0] == reason:
            gap_us += max(0, self._utc_us() - counts.open_gap[1])
        told = max(gap_us, self._told_gap_us.get((camera, reason), 0))
        self._told_gap_us[camera, reason] = told
        return told

    def _of_volumes(self) -> Iterator[Metric]:
        volumes = list(self.volumes.items())
        for name, value in _VOLUME_GAUGES.items():
            yield _family(GaugeMetricFamily, name, [((volume,), value(counts)) for volume, counts in volumes])
        errors = [((volume, error), n) for volume, counts in volumes for error, n in counts.write_errors.items()]
        yield _family(CounterMetricFamily, "nvr_write_errors_total", errors)
        states = [((volume, state), counts.state == state) for volume, counts in volumes for state in VOLUME_STATES]
        yield _family(GaugeMetricFamily, "nvr_storage_state", states)
        deleted = [((rule,), n) for rule, n in self.retention_deleted.items()]
        yield _family(CounterMetricFamily, "nvr_retention_deleted_segments_total", deleted)
        yield _histogram("nvr_segment_commit_seconds", self.segment_commit)
        yield _histogram("nvr_storage_sync_seconds", self.storage_sync)

    def _of_the_index(self) -> Iterator[Metric]:
        recovered = [((result,), n) for result, n in self.recovered_segments.items()]
        yield _family(CounterMetricFamily, "nvr_recovered_segments_total", recovered)
        yield _histogram("nvr_index_commit_seconds", self.index_commit)
        yield _family(GaugeMetricFamily, "nvr_index_queue_length", [((), self.index_queue_length())])
        yield _family(GaugeMetricFamily, "nvr_index_wal_bytes", [((), self.index_wal_bytes())])
        copied_s = _seconds_or(self.index_backup_us, 0)
        yield _family(GaugeMetricFamily, "nvr_index_last_backup_timestamp_seconds", [((), copied_s)])
        wrong = [((kind,), count) for kind, count in self.index_inconsistencies.items()]
        yield _family(GaugeMetricFamily, "nvr_index_inconsistencies", wrong)
        yield _histogram("nvr_event_loop_lag_seconds", self.event_loop_lag)
        yield _family(GaugeMetricFamily, "nvr_host_clock_synchronised", [((), self.host_clock_synchronised)])

    def _of_jobs(self) -> Iterator[Metric]:
        ends = [((job,), _seconds_or(us, 0)) for job, us in self.job_success_us.items()]
        yield _family(GaugeMetricFamily, "nvr_job_last_success_timestamp_seconds", ends)


def _seconds_or(us: int, never: float) -> float:
    return us / US if us else never


_CAMERA_GAUGES: Mapping[str, Callable[[CameraCounts], float]] = {
    "nvr_camera_recording_wanted": lambda counts: counts.recording_wanted,
    "nvr_camera_connected": lambda counts: counts.connected,
    "nvr_camera_last_frame_timestamp_seconds": lambda counts: _seconds_or(counts.last_frame_us, 0),
    "nvr_camera_expected_fps": lambda counts: counts.expected_fps,
    "nvr_camera_fps": lambda counts: counts.fps,
    "nvr_camera_clock_offset_seconds": lambda counts: counts.clock_offset_s,
    "nvr_camera_clock_drift_ratio": lambda counts: counts.clock_drift_ratio,
    "nvr_camera_fan_failed": lambda counts: counts.fan_failed,
    "nvr_camera_turned_away": lambda counts: counts.turned_away,
    "nvr_camera_alarm_link_up": lambda counts: counts.alarm_link_up if counts.alarms_heeded else _NOT_KNOWN,
    "nvr_camera_fail_open": lambda counts: counts.fail_open,
    "nvr_camera_settings_drifted": lambda counts: counts.settings_drifted,
    "nvr_prebuffer_seconds": lambda counts: counts.prebuffer_s,
    "nvr_prebuffer_bytes": lambda counts: counts.prebuffer_bytes,
    "nvr_oldest_segment_timestamp_seconds": lambda counts: _seconds_or(counts.oldest_segment_us, _NOT_KNOWN),
    "nvr_retention_promise_broken": lambda counts: counts.promise_broken,
}
_CAMERA_COUNTERS: Mapping[str, Callable[[CameraCounts], float]] = {
    "nvr_camera_frames_total": lambda counts: counts.frames,
    "nvr_camera_received_bytes_total": lambda counts: counts.received_bytes,
    "nvr_camera_alarms_lost_total": lambda counts: counts.alarms_lost,
    "nvr_camera_alarm_link_outages_total": lambda counts: counts.alarm_outages,
    "nvr_camera_alarm_link_outage_seconds_total": lambda counts: counts.alarm_outage_us / US,
    "nvr_recorder_restarts_total": lambda counts: counts.recorder_restarts,
    "nvr_segments_committed_total": lambda counts: counts.segments_committed,
    "nvr_segment_bytes_total": lambda counts: counts.segment_bytes,
}
_CAMERA_COUNTERS_BY_WORD: Mapping[str, Callable[[CameraCounts], Mapping[str, int]]] = {
    "nvr_camera_reconnects_total": lambda counts: counts.reconnects,
    "nvr_camera_frames_lost_total": lambda counts: counts.frames_lost,
    "nvr_camera_alarms_total": lambda counts: counts.alarms,
    "nvr_clips_total": lambda counts: counts.clips,
}
_VOLUME_GAUGES: Mapping[str, Callable[[VolumeCounts], float]] = {
    "nvr_storage_size_bytes": lambda counts: counts.size_bytes,
    "nvr_storage_free_bytes": lambda counts: counts.free_bytes,
    "nvr_storage_footage_bytes": lambda counts: counts.footage_bytes,
    "nvr_storage_full_in_seconds": lambda counts: counts.full_in_s,
    "nvr_storage_sync_interval_seconds": lambda counts: counts.sync_interval_s,
}

HELP: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "nvr_build_info": ("Always 1; the labels say which nvr and which Python run.", ("version", "python")),
    "nvr_camera_recording_wanted": (
        "1 while the camera should be recorded by its configuration, 0 while it is switched off.",
        ("camera",),
    ),
    "nvr_camera_connected": ("1 while the camera is connected and sends video, else 0.", ("camera",)),
    "nvr_camera_last_frame_timestamp_seconds": (
        "Unix time at which the last picture of the camera arrived, 0 before the first.",
        ("camera",),
    ),
    "nvr_camera_expected_fps": (
        "Pictures a second that the camera's stream announces, 0 while it is not known.",
        ("camera",),
    ),
    "nvr_camera_fps": ("Pictures a second that arrived from the camera lately.", ("camera",)),
    "nvr_camera_clock_offset_seconds": (
        "The camera's own clock minus the clock of this machine, NaN while the camera does not tell its time.",
        ("camera",),
    ),
    "nvr_camera_clock_drift_ratio": (
        "How much too fast the camera's own clock runs (0.0001 is 8.6 seconds a day), NaN until that is learnt.",
        ("camera",),
    ),
    "nvr_camera_fan_failed": (
        "1 while the camera says that its fan failed, else 0, NaN until it said anything of it.",
        ("camera",),
    ),
    "nvr_camera_turned_away": (
        "1 while the camera looks elsewhere than it is expected to, else 0, NaN where that is not asked or not known.",
        ("camera",),
    ),
    "nvr_oldest_segment_timestamp_seconds": (
        "Unix time at which the oldest footage kept of the camera begins, NaN while there is none.",
        ("camera",),
    ),
    "nvr_camera_alarm_link_up": (
        "1 while alarms of the camera can reach nvr, 0 while they cannot, NaN where nobody listens.",
        ("camera",),
    ),
    "nvr_camera_fail_open": (
        "1 while a camera that should wait for alarms is recorded without, since its alarms cannot be heard.",
        ("camera",),
    ),
    "nvr_camera_settings_drifted": (
        "Settings of the camera that are not as its configuration declares them, when last looked at.",
        ("camera",),
    ),
    "nvr_prebuffer_seconds": ("Video of the camera held in memory for the time before an alarm.", ("camera",)),
    "nvr_prebuffer_bytes": ("Bytes of the video held in memory for the time before an alarm.", ("camera",)),
    "nvr_camera_alarms_total": ("Alarms that rules raised for the camera, by what set them off.", ("camera", "source")),
    "nvr_camera_alarms_lost_total": (
        "Alarms of the camera that are in the log alone, since the index would not take them for too long.",
        ("camera",),
    ),
    "nvr_camera_alarm_link_outages_total": (
        "How often alarms of the camera could not reach nvr for a while, restarts of nvr included.",
        ("camera",),
    ),
    "nvr_camera_alarm_link_outage_seconds_total": (
        "Seconds in which alarms of the camera could not reach nvr, counted when they are over.",
        ("camera",),
    ),
    "nvr_clips_total": ("Clips that were begun for the camera, by rule.", ("camera", "rule")),
    "nvr_camera_frames_total": ("Pictures that arrived from the camera.", ("camera",)),
    "nvr_camera_received_bytes_total": ("Bytes that arrived from the camera on its video connections.", ("camera",)),
    "nvr_recorder_restarts_total": (
        "How often everything about a camera was restarted after an error that nvr did not expect.",
        ("camera",),
    ),
    "nvr_segments_committed_total": ("Files of the camera that were completed, synced and entered.", ("camera",)),
    "nvr_segment_bytes_total": ("Bytes of the files of the camera that were completed.", ("camera",)),
    "nvr_camera_reconnects_total": (
        "How often the video connection to the camera ended or could not be made, by reason.",
        ("camera", "reason"),
    ),
    "nvr_camera_frames_lost_total": (
        "Pictures that are not in the footage: missing from what the camera sent, unusable, or dropped for a disk.",
        ("camera", "cause"),
    ),
    "nvr_camera_gap_seconds_total": (
        "Seconds that should have been recorded and were not, by reason, the gap that lasts now included.",
        ("camera", "reason"),
    ),
    "nvr_storage_size_bytes": ("Size of the file system that the volume is on.", ("volume",)),
    "nvr_storage_free_bytes": ("Bytes that nvr can still write to the file system of the volume.", ("volume",)),
    "nvr_storage_footage_bytes": (
        "Bytes of completed footage that the index holds on the volume, films of days included.",
        ("volume",),
    ),
    "nvr_storage_full_in_seconds": (
        "Time until old footage has to be deleted for new footage at the present rate, 0 while it is, NaN at first.",
        ("volume",),
    ),
    "nvr_retention_deleted_segments_total": (
        "Segments, clips and films of days that were deleted, by the rule that said so.",
        ("reason",),
    ),
    "nvr_retention_promise_broken": (
        "1 while footage of the camera younger than min_days is missing because a disk had no room left, else 0.",
        ("camera",),
    ),
    "nvr_storage_sync_interval_seconds": (
        "How often footage is synced to the volume: as configured, or less often where the disk cannot keep up.",
        ("volume",),
    ),
    "nvr_storage_state": ("1 for the state that the volume is in, 0 for all others.", ("volume", "state")),
    "nvr_write_errors_total": ("Writes to the volume that failed, by what the disk said.", ("volume", "error")),
    "nvr_segment_commit_seconds": (
        "Time to complete a file of footage, from its last picture to its entry in the index.",
        (),
    ),
    "nvr_storage_sync_seconds": ("Time that one sync of footage to a disk took.", ()),
    "nvr_recovered_segments_total": (
        "Files that an interrupted recorder left behind and the next start dealt with, by what became of them.",
        ("result",),
    ),
    "nvr_index_commit_seconds": ("Time that one commit of the index took.", ()),
    "nvr_index_queue_length": ("Changes that wait for the index.", ()),
    "nvr_index_wal_bytes": ("Size of the write-ahead log of the index.", ()),
    "nvr_index_last_backup_timestamp_seconds": (
        "Unix time at which the newest verified copy of the index was made, 0 where there is none.",
        (),
    ),
    "nvr_index_inconsistencies": (
        "What the last check of index and files found that is not as promised, NaN before the first check is through.",
        ("kind",),
    ),
    "nvr_event_loop_lag_seconds": (
        "How much later than asked for the event loop came back, measured every second or two.",
        (),
    ),
    "nvr_host_clock_synchronised": (
        "1 while the clock of this machine is synchronised by its kernel's word, else 0, NaN where it does not say.",
        (),
    ),
    "nvr_job_last_success_timestamp_seconds": (
        "Unix time at which nvr last finished this regular work, 0 before the first time since its start.",
        ("job",),
    ),
}
"""Every metric of nvr: what it says, and its labels. docs/metrics.md shows the same."""


def _family(
    kind: Callable[..., GaugeMetricFamily | CounterMetricFamily],
    name: str,
    samples: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    said, labels = HELP[name]
    family = kind(name, said, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _histogram(name: str, histogram: Histogram) -> Metric:
    buckets, sum_s = histogram.cumulated()
    said, labels = HELP[name]
    family = HistogramMetricFamily(name, said, labels=labels)
    family.add_metric((), buckets, sum_s)
    return family

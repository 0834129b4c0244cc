"""What travels between the index and the rest of the house: rows as values.

Every `..._us` is integer microseconds UTC by the host's clock; every span is half-open, `[start, end)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple


class SegmentState(StrEnum):
    """How a segment's file stands to its row."""

    OK = "ok"
    """As promised: complete, of that size, synced before the row."""
    DAMAGED = "damaged"
    """Its sync failed, or no nvr sealed it: the file is kept and may play; it may still be named `.part`."""
    MISSING = "missing"
    """The row's file is not there."""
    TRUNCATED = "truncated"
    """The file is shorter than its row says."""


class SpanKind(StrEnum):
    """Why a span of time is not recorded."""

    GAP = "gap"
    """It should have been."""
    OFF = "off"
    """It was planned so."""


class LookKind(StrEnum):
    """What the camera did for the length of a look."""

    REST = "rest"
    """It kept to a point: every axis within 0.1 of it (degrees, or parts of the zoom scale), for at least a second."""
    SWEEP = "sweep"
    """It moved, or stood for less than a second."""


class Box(NamedTuple):
    """Where a camera looked, axis by axis, both ends included, in hundredths as on the wire (units.PanTiltZoom)."""

    pan_from: int
    pan_to: int
    """Clockwise from `pan_from`: less than it where the arc passes 360 degrees."""
    tilt_from: int
    tilt_to: int
    zoom_from: int
    zoom_to: int


class View(NamedTuple):
    """One of the distinct views of a camera."""

    kind: LookKind
    box: Box
    preset: int | None
    """The preset it stood on; None where the camera names none, and in a sweep."""


class Look(NamedTuple):
    """A stretch of footage in which the camera had one view; within one segment."""

    start_us: int
    end_us: int
    view: View


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera the index knows, configured now or once."""

    id: int
    slug: str
    configured_at_us: int
    """Before this it is `not-configured`."""
    model: str | None = None
    """What it last said it is; None until it said so. The same of the next three."""
    ident: str | None = None
    """The name it last gave itself."""
    firmware: str | None = None
    """Part by part, such as "net V3-00, sys V3-00"; it takes a login to ask."""
    fan_failed: bool | None = None
    turned_away: bool | None = None
    """Whether it looked elsewhere than it was expected to; None where that was never asked or known."""
    film_gone_us: int | None = None
    """Where the latest day begins whose film was deleted: no film of it, or of a day before it, is made again."""


@dataclass(frozen=True, slots=True)
class CameraClockRow:
    """How far a camera's own clock was from the host's at a moment."""

    at_us: int
    offset_us: int
    """The camera's less the host's."""
    drift_ppb: int | None
    """How much too fast it runs, in billionths; None where that was not known."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a camera or the host, which is no gap and no alarm."""

    id: int
    at_us: int
    camera: str | None
    """The camera's slug now; None where it concerns the host."""
    kind: str
    text: str
    """One sentence for people."""
    facts: dict[str, Any]
    """The same for machines; plain values."""

    @property
    def cursor(self) -> tuple[int, int]:
        """Where the next page goes on (`Reader.events_between(after=...)`)."""
        return self.at_us, self.id


@dataclass(frozen=True, slots=True)
class VolumeRow:
    """A volume the index knows."""

    id: int
    name: str
    uuid: str


@dataclass(frozen=True, slots=True)
class Run:
    """One unbroken stretch of a camera's stream under one mapping from media time to UTC."""

    number: int
    """The larger of last + 1 and the Unix second of its start; unique over all cameras."""
    camera_id: int
    folder: str
    """The slug at its begin: the folder its files lie in, whatever the camera is called later."""
    started_us: int
    begin_reason: str
    epoch: int
    """Counts backward steps of the host's clock: of two rows for the same time the one with the higher epoch counts."""
    clock_source: str
    """Where media time comes from, e.g. `stream` or `arrival`."""
    utc_anchor_us: int
    """UTC of media tick 0 of the run."""
    slope_ppb: int = 0
    """How much faster UTC runs than media time, in billionths."""
    host_synchronised: bool = True
    """Whether the host's clock was synchronised when the run began."""
    correction_us: int = 0
    """What to add to every time of the run when asked; names and labels are never changed."""
    ended_us: int | None = None
    end_reason: str | None = None
    boot: str | None = None
    """Of the host, while the run waits for the host's clock to be corrected; None where it does not."""
    utc_less_mono_us: int | None = None
    """The host's UTC less its monotonic clock when the run began; with `boot`."""


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment as it is put into the index."""

    camera_id: int
    run: int
    seq: int
    """Counts the run's segments from 0."""
    volume_id: int
    start_us: int
    end_us: int
    frames: int
    size_bytes: int
    time_base: Fraction
    """Seconds per tick."""
    first_tick: int
    """Media time of its first frame since the run's first frame."""
    duration_ticks: int
    recovered: bool = False
    """Whether it was sealed by a later start, not by whoever wrote it."""
    state: SegmentState = SegmentState.OK
    sha256: bytes | None = None


class Entry(NamedTuple):
    """A sealed file as it is entered from what it says of itself."""

    run: Run
    """Put where the index does not know it."""
    row: SegmentRow
    looks: Sequence[Look]


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as the index answers it."""

    id: int
    camera: str
    """The camera's slug now."""
    volume: str
    """The volume's name."""
    path: str
    """Relative to the volume's path; a damaged one may carry `.part` behind it."""
    epoch: int
    row: SegmentRow
    host_synchronised: bool = True
    """Whether the host's clock was synchronised when its run began."""
    correction_us: int = 0
    """What to add to its times when asked (`Run.correction_us`)."""

    @property
    def cursor(self) -> tuple[int, int]:
        """Where the next page goes on (`Reader.segments_between(after=...)`)."""
        return self.row.start_us, self.id


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that was not recorded, and why."""

    kind: SpanKind
    reason: str
    start_us: int
    end_us: int | None
    """None while it goes on."""
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Time that a segment covers."""

    start_us: int
    end_us: int
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Garbage:
    """A file that no row promises any longer, waiting to be unlinked."""

    id: int
    volume: str
    path: str
    """Relative to the volume's path; a file of this name with `.part` behind it is condemned with it."""
    since_us: int


@dataclass(frozen=True, slots=True)
class FilmRow:
    """A camera's day as a short film, as it is put into the index."""

    camera_id: int
    volume_id: int
    start_us: int
    """Where its day (UTC) begins."""
    path: str
    """Of its first file, relative to the volume's path."""
    files: int
    """How many files it is: where the picture's coding changed, others end in `-2`, `-3` ... behind the same name."""
    size_bytes: int
    """Of its files together."""
    pictures: int
    state: SegmentState = SegmentState.OK
    """Never damaged: what was not synced and named is no film."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film as the index answers it."""

    id: int
    camera: str
    """The camera's slug now."""
    volume: str
    """The volume's name."""
    row: FilmRow


# ---- alarms and clips


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """An alarm of a rule, as it is put into the index; given twice it is there once."""

    camera_id: int
    rule: str
    trigger: str
    """The word of `when` that set it off, or `manual`."""
    source: str
    """input-1, input-2, motion, position or manual."""
    at_us: int
    note: str | None = None
    unconnected: bool = False
    """It happened while nobody listened, and was found when the alarm link was back."""
    since_us: int | None = None
    """Of such a one whose moment the camera's log did not tell: it happened no earlier, and no later than `at_us`."""


@dataclass(frozen=True, slots=True)
class AlarmLinkRow:
    """What was known of a camera's inputs when it was last listened to; one per camera."""

    known_us: int
    """Until when it was listened to."""
    pin1: str
    pin2: str
    """make, break or unknown."""
    motion: bool
    heard: tuple[tuple[str, int], ...] = ()
    """The changes of the last seconds, `m1` and when: the camera's log may tell them again."""
    cut_us: int | None = None
    """After so long the camera cuts alarm links, as learned; None where it does not."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as the index answers it."""

    id: int
    camera: str
    """The camera's slug now."""
    row: AlarmRow


@dataclass(frozen=True, slots=True)
class OpenClip:
    """A clip begins; `clip` is its number, which no other clip of any camera has."""

    clip: int
    rule: str
    trigger: str
    alarm_at_us: int
    start_us: int | None
    """Its first I-VOP; None where nothing of it is kept yet, then BeginClip follows with the first I-VOP that is."""
    pre_shortfall_us: int
    """How much of the footage wanted before the alarm there is not; all of it while `start_us` is None."""
    until_us: int | None
    """Where it will end if nothing more happens; None while its state lasts."""
    continues: int | None
    """The clip that it goes on from."""


@dataclass(frozen=True, slots=True)
class BeginClip:
    """A clip opened without footage has its first I-VOP."""

    clip: int
    start_us: int
    pre_shortfall_us: int


@dataclass(frozen=True, slots=True)
class ExtendClip:
    """A clip ends later than said, or its state has ended and it is known now when."""

    clip: int
    until_us: int | None


@dataclass(frozen=True, slots=True)
class CloseClip:
    """A clip holds the footage of [start, end) and nothing more comes.

    Reasons: `done`, `too-long`, `clock-step` (both: another goes on from it), `no-footage` (nothing of it was kept),
    `service-crashed`, or what whoever cut it was told.
    """

    clip: int
    end_us: int
    reason: str


ClipStep = OpenClip | BeginClip | ExtendClip | CloseClip


class ClipState(StrEnum):
    """Whether footage is still added to a clip."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Clip:
    """The footage around an alarm, as the index answers it."""

    id: int
    camera_id: int
    camera: str
    """The camera's slug now."""
    rule: str
    trigger: str
    alarm_at_us: int
    start_us: int | None
    """Its first I-VOP; None where nothing of it was kept (yet)."""
    until_us: int | None
    """Where an open one will end if nothing more happens; None while its state lasts."""
    end_us: int | None
    """None while it is open."""
    state: ClipState
    close_reason: str | None
    locked: bool
    """Neither its footage nor its file is deleted, however old they get."""
    volume: str | None
    """The name of the volume its file lies on; None before it is exported."""
    path: str | None
    """Its file, relative to the volume's path; None before it is exported."""
    files: int
    """How many files it is: where the picture's coding changed, others end in `-2`, `-3` ... behind the same name."""
    size_bytes: int | None
    """Of its files together; None before it is exported."""
    pre_shortfall_us: int
    """How much of the footage wanted before the alarm there is not."""
    gap_us: int | None
    """How much of [start, end) was not recorded; None before it is exported."""
    continues: int | None
    """The clip that it goes on from."""
    exported_at_us: int | None
    epoch: int
    """As of its segments: counts backward steps of the host's clock."""
    note: str | None = None
    """What was said with its alarm."""
    unconnected: bool = False
    """Its alarm happened while nobody listened."""
    alarm_since_us: int | None = None
    """Then, where nobody knows better: no earlier than this."""
    sha256: bytes | None = None
    """Of each of its files, one behind the other; None until somebody computed it."""


@dataclass(frozen=True, slots=True)
class ClipMember:
    """A segment that a clip has a part of, and holds."""

    segment: Segment
    first_tick: int
    """Where the clip's part begins, in the file's own time from 0."""
    last_tick: int
    """The picture shown at this tick is the part's last."""


@dataclass(frozen=True, slots=True)
class ClipEntry:
    """A clip as its own file tells of it, for an index that has lost it."""

    id: int
    camera_id: int
    rule: str
    trigger: str
    alarm_at_us: int
    start_us: int
    end_us: int
    close_reason: str | None
    locked: bool
    volume_id: int
    path: str
    """Of its first file, relative to the volume's path."""
    files: int
    size_bytes: int
    linked: bool
    """Its file is a second name of a segment's."""
    pre_shortfall_us: int
    gap_us: int
    continues: int | None
    exported_at_us: int
    epoch: int


@dataclass(frozen=True, slots=True)
class ClipExport:
    """A clip's own file, or that there is none to come because nothing of it was recorded."""

    volume_id: int | None
    path: str | None
    """Relative to the volume's path."""
    files: int
    size_bytes: int | None
    gap_us: int
    """How much of the clip was not recorded."""
    linked: bool = False
    """It is a second name of the one segment that is the clip, and takes no room of its own while that is there."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What there is of a camera on a volume."""

    volume_id: int
    camera_id: int
    segment_bytes: int
    clip_bytes: int
    film_bytes: int
    oldest_us: int | None
    """Where its oldest segment there begins; None where there is none."""

    @property
    def size_bytes(self) -> int:
        return self.segment_bytes + self.clip_bytes + self.film_bytes


class Condemned(NamedTuple):
    """What became of segments, clips or films that are to go."""

    garbage: list[Garbage]
    """Files to unlink now."""
    held: list[int]
    """Ids of those that stay: a segment that a clip holds; a clip that is locked, open or not exported."""

"""What travels through the house: a unit as cut from the stream, and the same with its time: a frame.

Plain slotted classes: two of them are made for every picture of every camera.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from nvr.units import PanTiltZoom


@dataclass(frozen=True, slots=True)
class Vol:
    """A video object layer header (ISO/IEC 14496-2, 6.2.3): what a decoder must know before the first VOP."""

    header: bytes
    """The bytes from its start code (with VOS/VO headers before it where sent) up to the next start code."""
    width: int
    height: int
    resolution: int
    """vop_time_increment_resolution, ticks a second, 1..65535."""
    fixed_increment: int
    """fixed_vop_time_increment, or 0 where the rate is not fixed."""


@dataclass(slots=True)
class Unit:
    """One VOP with the headers that came before it, byte for byte as sent."""

    data: bytes
    key: bool
    """An I-VOP by its vop_coding_type (never by the GOV)."""
    vol: Vol
    """The VOL in force; the same object until another arrives."""
    modulo_seconds: int
    """modulo_time_base: seconds counted since the last anchor (ISO/IEC 14496-2, 6.3.5)."""
    increment: int
    """vop_time_increment, 0..resolution-1."""
    gov_seconds: int | None
    """time_code of a GOV before this VOP, as seconds of a day; None where there is none."""
    user_data: bytes | None
    """The user data after the GOV (fact sheet 2.3, Userdata2), start code excluded; None where there is none."""
    position: PanTiltZoom | None


class Said(Protocol):
    """What the camera said of itself before an I-VOP, as whoever knows its language read it (jvc.types.FrameInfo)."""

    @property
    def model(self) -> str | None: ...
    @property
    def camera_id(self) -> bytes | None: ...
    @property
    def preset(self) -> int | None: ...
    @property
    def tracking(self) -> int | None: ...


@dataclass(slots=True)
class Frame:
    """A unit with its time."""

    data: bytes
    key: bool
    ticks: int
    """Media time in `time_base` since the run's first frame; rises strictly within a run."""
    utc_us: int
    """The same moment as UTC by the run's mapping; never falls within a run."""
    vol: Vol
    time_base: Fraction
    user_data: bytes | None
    position: PanTiltZoom | None
    new_run: str | None
    """Why this frame (always an I-VOP) begins a new run; None where it goes on from the frame before."""
    said: Said | None = None
    """`user_data` as read by the recorder; None where the camera said nothing."""

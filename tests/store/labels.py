"""Labels that say where a camera looked."""

from fractions import Fraction
from uuid import UUID

from nvr.media.label import ClockSource, Label
from tests.store.house import ARCHIVE


def label_of_track(
    positions: bytes | None, frames: int, start_us: int, end_us: int, duration_ticks: int, *, model: str | None = None
) -> Label:
    """Of a segment of camera gate, run 7, with this packed track."""
    return Label(
        archive=UUID(ARCHIVE),
        camera="gate",
        run=7,
        seq=0,
        start_us=start_us,
        end_us=end_us,
        frames=frames,
        duration_ticks=duration_ticks,
        time_base=Fraction(1, 90_000),
        first_tick=0,
        zero_us=start_us,
        slope_ppb=0,
        clock=ClockSource.STREAM,
        synchronised=True,
        model=model,
        positions=positions,
    )

"""What became of a camera's time, for commands: from the index and what the daemon has not entered yet."""

from dataclasses import replace

from nvr import config
from nvr.cli.archive import LiveSegment, live_of
from nvr.store.corrected import Corrected
from nvr.store.ledger import UNKNOWN, Covered, coverage
from nvr.store.reader import Reader
from nvr.store.rows import Camera, Recorded


def covered(
    reader: Reader,
    settings: config.Config,
    camera: Camera,
    start_us: int,
    end_us: int,
    live: list[LiveSegment] | None,
    *,
    corrected: bool,
    again: bool = True,
) -> list[Covered]:
    """Seamless; `live` is what a running daemon had not entered before the index is read here, None where none runs.

    `end_us` is at most now. `again`: where time is left that nobody speaks of, recording may have begun in it after the
    daemon was asked, so daemon and index are asked once more.
    """
    if corrected:
        within = Corrected(reader, camera.slug)
        recorded = within.recorded_between(start_us, end_us)
        spans = within.spans_between(start_us, end_us)
        live = _moved(live, within.corrections(start_us, end_us)) if live else live
    else:
        recorded = reader.recorded_between(camera.slug, start_us, end_us)
        spans = reader.spans_between(camera.slug, start_us, end_us)
    newest: Recorded | None = None
    if live:
        *cut, last = sorted(live, key=lambda part: (part.epoch, part.end_us))
        recorded = [*recorded, *(Recorded(part.start_us, part.end_us, part.epoch) for part in cut)]
        # Pictures of the last seconds are on their way; whatever stopped them is an open span, which counts over this.
        newest = Recorded(last.start_us, max(last.end_us, end_us), last.epoch)
    rest = UNKNOWN if live is not None else _why_no_daemon(reader, camera)
    told = coverage(recorded, spans, newest, camera.configured_at_us, start_us, end_us, rest=rest)
    if again and live is not None and any(span.reason == UNKNOWN for span in told):
        live = live_of(settings, camera.slug)
        return covered(reader, settings, camera, start_us, end_us, live, corrected=corrected, again=False)
    return told


def _moved(live: list[LiveSegment], corrections: dict[int, int]) -> list[LiveSegment]:
    """What is not in the index yet, each by as much as its run was wrong."""
    by_us = [corrections.get(part.run, 0) for part in live]
    return [
        replace(part, start_us=part.start_us + us, end_us=part.end_us + us)
        for part, us in zip(live, by_us, strict=True)
    ]


def _why_no_daemon(reader: Reader, camera: Camera) -> str:
    """An orderly stop ends every run; one that goes on in the index alone was cut off."""
    crashed = any(run.camera_id == camera.id for run in reader.open_runs())
    return "service-crashed" if crashed else "service-stopped"

"""`nvr camera snapshot`: one picture of now."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nvr import config
from nvr.camera.multicast import MulticastPlan, multicast_snapshot
from nvr.camera.snapshot import Snapshot
from nvr.camera.snapshot import snapshot as take_snapshot
from nvr.cli.at_camera import CameraOption, address_of, ask, control_of
from nvr.cli.errors import WrongUseError
from nvr.cli.printing import ConfigOption, JsonOption, print_json, size_text
from nvr.cli.times import iso_utc
from nvr.jvc.jpeg import PictureFacts
from nvr.record.camera_facts import printable


def snapshot(
    camera: CameraOption,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", help="Where the JPEG goes.", dir_okay=False, show_default=False),
    ],
    multicast: Annotated[
        bool, typer.Option("--multicast", help="From the camera's JPEG multicast, which is started where it is not.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take one JPEG from the camera itself, of now; the recording goes on.

    --json prints what the camera says in it: where it looks, whether it sees motion, its clock.
    """
    settings = config.load(config.find(config_file))
    address = address_of(settings, camera)
    control = control_of(settings, camera) if multicast else None
    if out.exists() and not force:
        raise WrongUseError(f"{out} exists; name another file, or add --force")
    if not out.absolute().parent.is_dir():
        raise WrongUseError(f"there is no folder {out.absolute().parent}")
    plan = MulticastPlan(address, None, start=True, control=control)
    taken = ask(camera, lambda: multicast_snapshot(plan) if multicast else take_snapshot(address))
    draft = out.with_name(f".{out.name}.part")
    draft.write_bytes(taken.data)
    draft.replace(out)
    if as_json:
        print_json(_facts(camera, out, taken))
    else:
        typer.echo(f"{out}: {_words(taken)}")


def _words(taken: Snapshot) -> str:
    facts = taken.facts
    size = f"{facts.width} x {facts.height}, " if facts.width and facts.height else ""
    at = facts.position
    looks = f", pan {at.pan_degrees:.2f} tilt {at.tilt_degrees:.2f} zoom {at.zoom / 100:.2f}" if at is not None else ""
    return f"{size}{size_text(len(taken.data))}{looks}"


def _facts(camera: str, out: Path, taken: Snapshot) -> dict[str, Any]:
    facts = taken.facts
    return {
        "camera": camera,
        "path": str(out.absolute()),
        "size_bytes": len(taken.data),
        "width": facts.width,
        "height": facts.height,
        "model": facts.model,
        "camera_id": printable(facts.camera_id),
        "timestamp": facts.timestamp,
        "camera_time": None if facts.clock_us is None else iso_utc(facts.clock_us),
        "motion_detection": facts.motion_detection,
        "motion_seen": facts.motion_seen,
        **_looks(facts),
        "preset": facts.preset,
        "stabilizer": facts.stabilizer,
        "fan_failed": facts.fan_failed,
        "tracking": facts.tracking,
        "track_area": None if facts.track_area is None else facts.track_area._asdict(),
        "track_color": None if facts.track_color is None else facts.track_color._asdict(),
    }


def _looks(facts: PictureFacts) -> dict[str, float | None]:
    at = facts.position
    return {
        "pan_degrees": None if at is None else at.pan_degrees,
        "tilt_degrees": None if at is None else at.tilt_degrees,
        "zoom": None if at is None else at.zoom / 100,
    }

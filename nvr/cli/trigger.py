"""`nvr trigger`: an alarm raised by hand."""

from typing import Annotated

import typer

from nvr import config
from nvr.cli.configured import check_camera
from nvr.cli.daemon import tell
from nvr.cli.errors import NotWellError
from nvr.cli.printing import ConfigOption, JsonOption, print_json


def trigger(
    camera: Annotated[str, typer.Option(metavar="C", help="At which camera.", show_default=False)],
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="What for; one line, kept with the alarm.")] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Raise an alarm by hand, and print the id of its clip.

    The clip begins the camera's pre_seconds before now and ends its post_seconds after.
    Exit code 1 where no daemon runs or the camera is not recorded, 2 where there is no such camera.
    """
    settings = config.load(config.find(config_file))
    check_camera(settings, camera)
    said = tell(settings.data_dir, "/api/v1/trigger", {"camera": camera, "note": note})
    if said is None:
        raise NotWellError(f"no daemon runs on {settings.data_dir}, so nothing is recorded; start it with: nvr run")
    if as_json:
        print_json(said)
    else:
        typer.echo(f"alarm at {said['camera']}, clip {said['clip']}")

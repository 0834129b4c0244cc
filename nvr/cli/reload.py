"""`nvr reload`: the daemon reads its configuration again."""

from typing import Any

import typer

from nvr import config
from nvr.cli.daemon import tell
from nvr.cli.errors import NotWellError
from nvr.cli.printing import ConfigOption, JsonOption, print_json


def reload(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let the daemon read its configuration again, and wait until it runs.

    Only what changed begins anew; other cameras lose no picture. Exit code 1 where no daemon runs, 2 where the
    configuration is wrong: then nothing was changed.
    """
    settings = config.load(config.find(config_file))
    said = tell(settings.data_dir, "/api/v1/reload", {})
    if said is None:
        raise NotWellError(f"no daemon runs on {settings.data_dir}; start it with: nvr run")
    if as_json:
        print_json(said)
    else:
        typer.echo(_sentence(said))


def _sentence(said: dict[str, Any]) -> str:
    parts = [f"{camera['camera']} (was {camera['was']})" for camera in said["renamed"]]
    told = [("renamed", parts)] if parts else []
    told += [(word, said[word]) for word in ("added", "removed", "changed") if said[word]]
    told += [(f"volumes {word}", said[f"volumes_{word}"]) for word in ("added", "removed", "moved")]
    told += [("also", [f"[{table}]" for table in said["other"]])]
    sentences = [f"{word}: {', '.join(names)}" for word, names in told if names]
    return "; ".join(sentences) if sentences else "nothing to change: the daemon runs as configured"

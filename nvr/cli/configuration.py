"""`nvr config`: is the configuration right, and what would run."""

from pathlib import Path
from typing import Any

import typer

from nvr import config
from nvr.cli.printing import ConfigOption, JsonOption, print_json, print_table, size_text

commands = typer.Typer(help="The configuration.", no_args_is_help=True)


@commands.callback()
def _group() -> None:
    """The configuration."""


@commands.command()
def check(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read and check the configuration, and print what would run.

    Exit code 2 where anything is wrong, with one line for each mistake.
    """
    path: Path | None = None
    try:
        path = config.find(config_file)
        found = config.load(path)
        for camera in found.cameras:
            found.credentials(camera)
    except config.ConfigError as error:
        if not as_json:
            raise
        mistakes = [{"key": one.key, "line": one.line, "error": one.why} for one in (error, *error.others)]
        print_json({"ok": False, "file": str(path) if path else None, "errors": mistakes})
        raise typer.Exit(2) from None
    if as_json:
        print_json({"ok": True, **_facts(found, path)})
    else:
        _tell(found, path)


def _facts(found: config.Config, path: Path) -> dict[str, Any]:
    return {
        "file": str(path.absolute()),
        "data_dir": str(found.data_dir),
        "volumes": [
            {"name": volume.name, "path": str(volume.path), "keep_free_bytes": volume.keep_free_bytes}
            for volume in found.volumes
        ],
        "recording": {
            "segment_seconds": found.recording.segment_seconds,
            "sync_seconds": found.recording.sync_seconds,
        },
        "metrics": {"listen": found.metrics.listen},
        "cameras": [
            {
                "camera": name,
                "host": camera.host,
                "http_port": camera.http_port,
                "alarm_port": camera.alarm_port,
                "user": camera.user,
                "record": camera.record,
                "volume": camera.volume,
            }
            for name, camera in found.cameras.items()
        ],
    }


def _tell(found: config.Config, path: Path) -> None:
    typer.echo(f"{path} is right. It would run:")
    typer.echo(
        f"files of {found.recording.segment_seconds:g} s, synced each {found.recording.sync_seconds:g} s; "
        f"index in {found.data_dir}; metrics {f'at {found.metrics.listen}' if found.metrics.listen else 'off'}\n"
    )
    print_table(
        ("volume", "path", "keeps free"),
        ((volume.name, volume.path, size_text(volume.keep_free_bytes)) for volume in found.volumes),
    )
    typer.echo()
    rows = [(name, _address(camera), camera.record, camera.volume or "any") for name, camera in found.cameras.items()]
    print_table(("camera", "address", "record", "volume"), rows)
    if not rows:
        typer.echo("no camera: add a [camera.<name>] with its host")


def _address(camera: config.Camera) -> str:
    host = f"[{camera.host}]" if ":" in camera.host else camera.host
    return f"{host}:{camera.http_port}"

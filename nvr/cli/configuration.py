"""`nvr config`: is the configuration right, and what would run."""

from pathlib import Path
from typing import Any

import typer

from nvr import config
from nvr.cli.in_words import (
    doubts,
    expect_sentence,
    record_text,
    rule_sentence,
    schedule_sentence,
    settings_sentence,
    tour_sentences,
)
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_table, size_text
from nvr.clock import HostClock
from nvr.units import US

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
            {
                "name": volume.name,
                "path": str(volume.path),
                "keep_free_bytes": volume.keep_free_bytes,
                "quota_bytes": volume.quota,
            }
            for volume in found.volumes
        ],
        "recording": {
            "segment_seconds": found.recording.segment_seconds,
            "sync_seconds": found.recording.sync_seconds,
            "ptz_track": found.recording.ptz_track,
            "pre_seconds": found.recording.pre_seconds,
            "post_seconds": found.recording.post_seconds,
            "max_clip_seconds": found.recording.max_clip_seconds,
            "export_clips": found.recording.export_clips,
            "hash": found.recording.hash,
        },
        "retention": found.retention.model_dump(),
        "metrics": {"listen": found.metrics.listen},
        "cameras": [
            {
                "camera": name,
                "host": camera.host,
                "http_port": camera.http_port,
                "alarm_port": camera.alarm_port,
                "user": camera.user,
                "record": camera.model_dump()["record"],
                "fail_open": camera.fail_open,
                "pre_seconds": found.manual_rule(name).pre_us / US,
                "post_seconds": found.manual_rule(name).post_us / US,
                "volume": camera.volume,
                "patrol": None if camera.patrol is None else camera.patrol.model_dump(),
                "return_to": None if camera.return_to is None else camera.return_to.model_dump(),
                "settings": {"enforce": camera.settings.enforce, "values": camera.settings.values},
                "expect": None if camera.expect is None else camera.expect.model_dump(),
                "quota_bytes": camera.quota,
                "min_days": found.kept_days(name).min_days,
                "max_days": found.kept_days(name).max_days,
                "clip_days": found.kept_days(name).clip_days,
            }
            for name, camera in found.cameras.items()
        ],
        "schedules": [{"schedule": name, **table.model_dump(by_alias=True)} for name, table in found.schedules.items()],
        "rules": [table.model_dump() for table in found.rules],
        "doubts": list(doubts(found)),
    }


def _tell(found: config.Config, path: Path) -> None:
    recording = found.recording
    typer.echo(f"{path} is right. It would run:")
    typer.echo(
        f"files of {recording.segment_seconds:g} s, synced each {recording.sync_seconds:g} s; "
        f"clips of at most {recording.max_clip_seconds:g} s, {'each' if recording.export_clips else 'none'} a file; "
        f"index in {found.data_dir}; metrics {f'at {found.metrics.listen}' if found.metrics.listen else 'off'}\n"
    )
    print_table(
        ("volume", "path", "keeps free", "at most"),
        (
            (volume.name, volume.path, size_text(volume.keep_free_bytes), _quota(volume.quota))
            for volume in found.volumes
        ),
    )
    typer.echo()
    rows = [
        (name, _address(camera), record_text(camera.record), camera.volume or "any", _kept(found, name))
        for name, camera in found.cameras.items()
    ]
    print_table(("camera", "address", "record", "volume", "kept"), rows)
    if not rows:
        typer.echo("no camera: add a [camera.<name>] with its host")
    _tell_of_alarms(found)


def _tell_of_alarms(found: config.Config) -> None:
    now_us = int(HostClock().utc_us())
    expected = {name: found.expected(name) for name in found.cameras}
    sentences = [expect_sentence(name, view) for name, view in expected.items() if view is not None]
    sentences += [
        settings_sentence(name, camera.settings) for name, camera in found.cameras.items() if camera.settings.values
    ]
    sentences += [one for name, camera in found.cameras.items() for one in tour_sentences(name, camera)]
    sentences += [schedule_sentence(name, table, found, now_us) for name, table in found.schedules.items()]
    sentences += [rule_sentence(table, found) for table in found.rules]
    if sentences:
        typer.echo()
    for sentence in sentences:
        typer.echo(sentence)
    for doubt in doubts(found):
        note(doubt)


def _kept(found: config.Config, camera: str) -> str:
    """For how long, as far as there is room."""
    days, quota = found.kept_days(camera), found.cameras[camera].quota
    least = f"{days.min_days:g} to " if days.min_days else ""
    most = f", at most {size_text(quota)}" if quota is not None else ""
    return f"{least}{days.max_days:g} days{most}, clips {days.clip_days:g} days"


def _quota(size_bytes: int | None) -> str:
    return "all of it" if size_bytes is None else size_text(size_bytes)


def _address(camera: config.Camera) -> str:
    host = f"[{camera.host}]" if ":" in camera.host else camera.host
    return f"{host}:{camera.http_port}"

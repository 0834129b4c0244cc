"""`nvr camera`: what is asked of a camera itself, and told it."""

import typer

from nvr.cli import (
    camera_params,
    camera_pictures,
    camera_ptz,
    camera_reports,
    camera_search,
    camera_settings,
    camera_view,
)

commands = typer.Typer(
    help="A camera itself: search, pictures, parameters, moves, clock, reports.", no_args_is_help=True
)

commands.command()(camera_search.discover)
commands.command()(camera_pictures.snapshot)
commands.command()(camera_view.view)
commands.command()(camera_params.params)
commands.command()(camera_params.get)
commands.command("set")(camera_params.set_)
commands.command()(camera_settings.backup)
commands.command()(camera_settings.diff)
commands.command()(camera_settings.apply)
commands.add_typer(camera_ptz.commands, name="ptz")
commands.command()(camera_reports.sessions)
commands.command()(camera_reports.log)
commands.command()(camera_reports.clock)

"""`nvr camera`: what is asked of a camera itself, and told it."""

import typer

from nvr.cli import camera_pictures, camera_reports, camera_search

commands = typer.Typer(help="A camera itself: search, pictures, clock, reports.", no_args_is_help=True)

commands.command()(camera_search.discover)
commands.command()(camera_pictures.snapshot)
commands.command()(camera_reports.sessions)
commands.command()(camera_reports.log)
commands.command()(camera_reports.clock)

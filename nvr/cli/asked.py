"""The time that a command is asked about: its options, and how they are read."""

from typing import Annotated, Final

import typer

from nvr.cli.archive import FIRST_US
from nvr.cli.errors import WrongUseError
from nvr.cli.printing import note
from nvr.cli.times import local_text, read_moment
from nvr.clock import HostClock
from nvr.units import UtcMicros

TIME: Final = "local 2026-11-23[T14:03[:22]], or with zone, or -10m, -2h, now"
FromOption = Annotated[str | None, typer.Option("--from", metavar="T", help=f"Begin: {TIME}.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="T", help="End, in the same forms.")]


def asked(begin: str | None, end: str | None, *, until_us: UtcMicros) -> tuple[UtcMicros, UtcMicros]:
    """The span asked for. Raises WrongUseError where it is none."""
    now_us = HostClock().utc_us()
    start_us, end_us = FIRST_US, until_us
    if begin is not None:
        start_us, said = read_moment(begin, now_us)
        _pass_on(said)
    if end is not None:
        end_us, said = read_moment(end, now_us, later=True)
        _pass_on(said)
    if start_us >= end_us:
        raise WrongUseError(
            f"--from {local_text(start_us)} is not before {'--to' if end else 'now,'} {local_text(end_us)}"
        )
    return start_us, end_us


def _pass_on(said: str | None) -> None:
    if said:
        note(said)

"""Reading all settings of a camera, and carrying out a plan: set, make it last, read it back.

The first refusal or broken connection ends it; then it is known what holds, what is set but not kept, and what is not.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from nvr.camera.control import Control, NotHeld
from nvr.camera.errors import LinkError
from nvr.jvc import params
from nvr.jvc.catalogue import Named, NotAllowed, Role, settings, version_of
from nvr.jvc.errors import ApiRefused
from nvr.jvc.settings import Change, Stage

MODEL: Final = "system.model"
REVISIONS: Final = tuple(f"system.software.revision({part})" for part in ("net", "sys", "cam", "lens"))
_AGAIN: Final = 2
"""A connection that breaks while reading is tried so often; a refusal is an answer."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a camera tells of its settings."""

    values: dict[str, str]
    absent: tuple[str, ...]
    """It has no such parameter."""
    forbidden: tuple[str, ...]
    """Our user may not read it."""


@dataclass(slots=True)
class Report:
    """How far a plan was carried out."""

    applied: list[Change] = field(default_factory=list)
    """Set, kept, and read back."""
    unsaved: list[Change] = field(default_factory=list)
    """Set, but not kept: gone when the camera restarts."""
    left: list[Change] = field(default_factory=list)
    trouble: str | None = None
    """Why it ended before its end; None where all is done."""


async def facts(control: Control, names: Iterable[str] = (MODEL, *REVISIONS)) -> dict[str, str]:
    """The model and the firmware; a part that the camera does not tell is left out.

    Raises LinkError, and ApiRefused where our user may not know.
    """
    said = {}
    for name in names:
        try:
            said[name] = await control.get(name)
        except ApiRefused as refused:
            if refused.code == params.UNAUTHORIZED:
                raise
    return said


async def read_all(
    control: Control, said: dict[str, str], on_progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Reading:
    """Every setting that this camera has (facts in `said`). Raises LinkError, LoginRefused."""
    return await read(control, list(settings()), said, on_progress)


async def read(
    control: Control,
    wanted: Sequence[Named],
    said: dict[str, str] | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Reading:
    """These settings, one after the other. Raises LinkError."""
    values: dict[str, str] = {}
    absent: list[str] = []
    forbidden: list[str] = []
    model = (said or {}).get(MODEL, "")
    version = version_of((said or {}).get(REVISIONS[0], "")) or (99, 0)
    for done, named in enumerate(wanted):
        on_progress(done, len(wanted))
        try:
            named.check_get(control.role)
            if named.parameter.is_lacked_by(model, version):
                raise ApiRefused(named.name, 404)
            values[named.name] = await _read_one(control, named.name)
        except NotAllowed:
            forbidden.append(named.name)
        except ApiRefused as refused:
            # Fact sheet 10: try, and take an error answer as absence.
            (forbidden if refused.code == params.UNAUTHORIZED else absent).append(named.name)
    on_progress(len(wanted), len(wanted))
    return Reading(values, tuple(absent), tuple(forbidden))


async def carry_out(
    control: Control, stages: Sequence[Stage], on_step: Callable[[str], None] = lambda _sentence: None
) -> Report:
    """Carries out a plan, stage by stage. Never raises LinkError or ApiRefused: the report says what came of it."""
    report = Report(left=[change for stage in stages for change in stage.changes])
    for stage in stages:
        try:
            await _carry_out(control, stage, report, on_step)
        except (LinkError, ApiRefused, NotHeld, ValueError) as trouble:
            report.trouble = str(trouble)
            return report
    return report


def may_all(changes: Iterable[Change], role: Role | None) -> None:
    """Raises ValueError or NotAllowed for the first change that the camera would refuse."""
    for change in changes:
        change.named.check_set(change.named.parameter.set_as.get(change.wanted, change.wanted), role)


async def _carry_out(control: Control, stage: Stage, report: Report, on_step: Callable[[str], None]) -> None:
    for change in stage.changes:
        on_step(change.sentence)
        await control.write(change.name, change.wanted)
        report.left.remove(change)
        (report.unsaved if stage.commit else report.applied).append(change)
    if stage.commit:
        on_step(stage.commit)
        then = [change.named.then for change in stage.changes]
        await control.commit(stage.commit, then=then, then_at=stage.moves(control.address))
    for change in stage.changes:
        await control.confirm(change.name, change.wanted)
    if stage.commit:
        report.applied += stage.changes
        report.unsaved = [change for change in report.unsaved if change not in stage.changes]


async def _read_one(control: Control, name: str) -> str:
    for _ in range(_AGAIN):
        try:
            return await control.get(name)
        except LinkError:
            continue
    return await control.get(name)

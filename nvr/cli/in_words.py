"""Schedules, rules and recording plans of a configuration, said in sentences."""

from collections.abc import Iterable, Iterator, Sequence

from nvr.config import Camera, Config, DeclaredSettings, RecordBySchedule, RuleTable, ScheduleTable
from nvr.record.expected_view import Expected
from nvr.units import US


def record_text(record: str | RecordBySchedule) -> str:
    """`record` in a few words."""
    if isinstance(record, RecordBySchedule):
        return f"{record.inside} {_side(record.schedule)}, else {record.outside}"
    return record


def schedule_sentence(name: str, table: ScheduleTable, config: Config, now_us: int) -> str:
    """When it is, and whether it is now."""
    exceptions = f", except on {_listed(table.exceptions)}" if table.exceptions else ""
    return (
        f"schedule '{name}' is {_listed(table.windows)} in {table.timezone}{exceptions}; "
        f"{config.during(name).said(now_us)}"
    )


def expect_sentence(camera: str, expected: Expected) -> str:
    """Where a camera should look, and what it means that it does not."""
    tolerance = f"{expected.tolerance / 100:g}"
    return (
        f"camera '{camera}' is expected {expected}, within {tolerance}° and {tolerance} of the zoom scale; "
        f"after {expected.after_us / US:g} s elsewhere it has moved, which is an event and sets off rules with 'moved'"
    )


def settings_sentence(camera: str, settings: DeclaredSettings) -> str:
    """What must hold at a camera, and what comes of it where it does not."""
    then = "put right" if settings.enforce else "told"
    return f"camera '{camera}' has {len(settings.values)} declared settings; what differs is {then}"


def tour_sentences(camera: str, table: Camera) -> Iterator[str]:
    """How nvr moves a camera by itself."""
    if table.patrol is not None:
        yield f"camera '{camera}' goes on patrol {table.patrol.number} {_side(table.patrol.schedule)}"
    if table.return_to is not None:
        minutes = f"{table.return_to.after_minutes:g} minutes"
        yield f"camera '{camera}' goes to preset {table.return_to.preset} when it has not moved for {minutes}"


def rule_sentence(table: RuleTable, config: Config) -> str:
    """What raises its alarms, where and when, and what they keep and do."""
    parts = [f"{_listed(table.when, 'or')} at {_cameras(table)}{_time(table)} keeps {_footage(table, config)}"]
    if table.debounce_seconds:
        parts.append(f"a change counts once it has lasted {table.debounce_seconds:g} s")
    if table.min_interval_seconds:
        parts.append(f"at most one alarm in {table.min_interval_seconds:g} s")
    if "v1" in table.when:
        parts.append(f"motion has ended {table.motion_hold_seconds:g} s after its last report")
    if table.do:
        parts.append(f"at the camera: {_listed(table.do)}")
    return f"rule '{table.name}': {'; '.join(parts)}"


def doubts(config: Config) -> Iterator[str]:
    """What is allowed and probably not meant."""
    for name, camera in config.cameras.items():
        plan, rules = config.record_plan(name), config.rules_of(name)
        if plan.may_wait and not rules:
            yield f"the camera '{name}' waits for alarms, but no rule is for it: only nvr trigger raises one there"
        if camera.record == "off" and camera.expect is not None:
            yield f"the camera '{name}' is off, so nvr does not see whether it looks where it is expected"
        if camera.expect is None and (deaf := [f"'{rule.name}'" for rule in rules if rule.needs_view]):
            yield (
                f"'moved' of the {'rule' if len(deaf) == 1 else 'rules'} {_listed(deaf)} "
                f"never happens at the camera '{name}': it has no expect"
            )
        if camera.record == "off" and (camera.patrol is not None or camera.return_to is not None):
            yield f"the camera '{name}' is off, so nvr does not move it"
        if camera.record == "off" and any(rule.cameras for rule in rules):
            yield f"the camera '{name}' is off, so its rules do nothing"
        elif camera.user is None and (doing := [f"'{rule.name}'" for rule in rules if rule.do]):
            yield (
                f"the {'rule' if len(doing) == 1 else 'rules'} {_listed(doing)} "
                f"cannot do anything at the camera '{name}': it has no user and password"
            )
    if not config.recording.ptz_track:
        yield (
            "recording.ptz_track is false: a crash or a power cut loses for good where cameras looked in the files "
            "that it cuts"
        )
    used = {word.removeprefix("!") for word in _schedules_used(config)}
    for name in config.schedules:
        if name not in used:
            yield f"the schedule '{name}' is not used by any camera or rule"


def _schedules_used(config: Config) -> Iterator[str]:
    yield from (rule.schedule for rule in config.rules if rule.schedule is not None)
    records = (camera.record for camera in config.cameras.values())
    yield from (camera.patrol.schedule for camera in config.cameras.values() if camera.patrol is not None)
    yield from (record.schedule for record in records if isinstance(record, RecordBySchedule))


def _cameras(table: RuleTable) -> str:
    return "every camera" if table.cameras is None else _listed(table.cameras)


def _time(table: RuleTable) -> str:
    if table.schedule is None:
        return ""
    return f" {_side(table.schedule)}"


def _side(word: str) -> str:
    """ "nights" or "!nights"."""
    return f"outside '{word[1:]}'" if word.startswith("!") else f"during '{word}'"


def _footage(table: RuleTable, config: Config) -> str:
    """Cameras may each have their own pre and post seconds."""
    seen = [rule for name in config.cameras for rule in config.rules_of(name) if rule.name == table.name]
    if not seen:
        return "nothing, since there is no camera"
    after = "it is over" if table.while_active else "it"
    return (
        f"{_range(rule.pre_us for rule in seen)} s before the alarm to "
        f"{_range(rule.post_us for rule in seen)} s after {after}"
    )


def _range(each_us: Iterable[int]) -> str:
    seconds = sorted({us / US for us in each_us})
    return f"{seconds[0]:g}" if len(seconds) == 1 else f"{seconds[0]:g} to {seconds[-1]:g}"


def _listed(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

"""A camera's settings as a TOML file that reads well."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nvr.cli.errors import NotWellError, WrongUseError
from nvr.cli.times import local_text
from nvr.jvc.catalogue import Parameter, Value, catalogue
from nvr.jvc.mask import Mask
from nvr.jvc.settings import OPEN, compact, expanded

_MAX_BYTES: Final = 1 << 20  # all settings of a camera take 40 kB
_WIDTH: Final = 120


def render(camera: str, facts: Mapping[str, str], values: Mapping[str, str], at_us: int) -> str:
    """The whole file."""
    lines = [
        f"# Settings of camera '{camera}', {_firmware(facts)}",
        f"# as they were at {local_text(at_us)}. nvr camera diff and nvr camera apply read this file;",
        "# what is left out of it stays as it is. Passwords and preset positions are no part of it.",
        "",
        "[settings]",
    ]
    section = ""
    last: Parameter | None = None
    about = {parameter.name: parameter for parameter in catalogue()}
    for name, value in compact(values).items():
        parameter = about[name] if name in about else _of_pattern(name)
        if (group := _section(parameter.name)) != section:
            section = group
            lines.append("")
        if parameter is not last:
            lines.append(f"# {parameter.about}"[:_WIDTH])
            last = parameter
        lines.append(f"{json.dumps(name)} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def load(path: Path) -> dict[str, str]:
    """The settings in a file. Raises WrongUseError with one sentence, NotWellError where it cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise NotWellError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(raw) > _MAX_BYTES:
        raise WrongUseError(f"{path} is no file of settings: it has more than {_MAX_BYTES} bytes")
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongUseError(f"{path} is no TOML: {error}") from None
    table = document.get("settings")
    if not isinstance(table, dict):
        raise WrongUseError(f"{path} has no [settings]; nvr camera backup writes such a file")
    try:
        return expanded(table)
    except ValueError as wrong:
        raise WrongUseError(f"{path}: {wrong}") from None


def _firmware(facts: Mapping[str, str]) -> str:
    model = facts.get("system.model", "of unknown model")
    revisions = {said for name, said in facts.items() if name != "system.model"}
    return f"{model}, firmware {', '.join(sorted(revisions)) or 'unknown'}"


def _section(name: str) -> str:
    """What stands together."""
    parts = name.partition("(")[0].split(".")
    apart = parts[0] in ("application", "network") or parts[1:2] in (["image"], ["motion"])
    return ".".join(parts[:2]) if apart else parts[0]


def _of_pattern(name: str) -> Parameter:
    """The parameter that a name with only its last index open belongs to."""
    tail = name.rpartition(OPEN)[0].partition("(")[0]
    for parameter in catalogue():
        if len(parameter.indexes) == 2 and parameter.name.startswith(tail) and _suits(parameter.name, name):
            return parameter
    raise AssertionError(name)


def _suits(pattern: str, name: str) -> bool:
    before, _, after = pattern.partition(OPEN)
    return name.startswith(f"{before}(") and name.endswith(after) and name[len(before) :].partition(")")[2] == after


def _toml(value: Value | dict[str, Value]) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if "\n" in value:
        return f'"""\n{Mask.parse(value).drawing}\n"""'
    return json.dumps(value, ensure_ascii=False)

"""What a user may type, set or scrape is written down: keys in the example, commands in help, metrics on their page."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from nvr.cli.main import answer
from nvr.cli.shell import app
from nvr.config import (
    Camera,
    Config,
    Expect,
    MetricsListen,
    PatrolTable,
    RecordBySchedule,
    Recording,
    Retention,
    ReturnTable,
    RuleTable,
    ScheduleTable,
    TimelapseTable,
    Volume,
    load,
)
from nvr.metrics import HELP
from nvr.web.app import DESCRIPTION, ROUTES

HOME = Path(__file__).parents[2]
EXAMPLE = HOME / "config.example.toml"


def _commands() -> Iterator[list[str]]:
    """Every command a user can type, as words."""
    root = typer.main.get_command(app)
    waiting: list[tuple[list[str], object]] = [([], root)]
    while waiting:
        words, command = waiting.pop()
        inner = getattr(command, "commands", None)
        if inner is None:
            yield words
        else:
            waiting += [([*words, name], one) for name, one in inner.items()]


COMMANDS = sorted(_commands())


def test_the_example_configuration_is_right_as_it_stands() -> None:
    assert list(load(EXAMPLE).cameras) == ["gate"]


def test_the_example_is_right_with_every_comment_that_holds_a_key_made_a_key(tmp_path: Path) -> None:
    text = re.sub(r"^# ([\w\"].*? = |\[)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    # Two ways to give one password stand side by side there.
    text = re.sub(r"^password = .*$", "", text, flags=re.MULTILINE)
    (tmp_path / "config.toml").write_text(text)
    config = load(tmp_path / "config.toml")
    gate = config.cameras["gate"]
    assert (gate.user, gate.volume) == ("admin", "main")
    assert [(rule.name, str(rule.during)) for rule in config.rules_of("gate")] == [("door", "nights")]
    assert gate.password_file == tmp_path / "gate.password"


@pytest.mark.parametrize(
    ("table", "header"),
    [
        (Config, ""),
        (Volume, "[[volume]]"),
        (Recording, "[recording]"),
        (Retention, "[retention]"),
        (MetricsListen, "[metrics]"),
        (Camera, "[camera.gate]"),
        (TimelapseTable, "# [camera.gate.timelapse]"),
        (ScheduleTable, "# [schedule.nights]"),
        (RuleTable, "# [[rule]]"),
    ],
)
def test_every_key_is_in_the_example_with_a_word_about_it(table: type, header: str) -> None:
    text = EXAMPLE.read_text()
    begin = text.index(f"\n{header}") if header else 0
    end = re.compile(r"\n(# )?\[").search(text, begin + len(header) + 1)
    section = text[begin : end.start() if end else len(text)]
    for name, field in table.model_fields.items():  # type: ignore[attr-defined]
        key = field.alias or name
        if header == "" and key in ("volume", "recording", "retention", "metrics", "camera", "schedule", "rule"):
            assert re.search(rf"^(# )?\[+{key}[\].]", text, re.MULTILINE), key
        elif (table, key) == (Camera, "settings"):
            assert "\n# [camera.gate.settings]\n" in text
        elif table is Camera and key == "timelapse":
            assert re.search(r"^# \[camera\.gate\.timelapse\]", text, re.MULTILINE)
        else:
            assert re.search(rf"^(# )?{key} = \S.* # \S", section, re.MULTILINE), f"{header} {key}"


@pytest.mark.parametrize(("key", "table"), [("patrol", PatrolTable), ("return_to", ReturnTable)])
def test_every_key_of_a_camera_that_is_moved_is_in_the_example(key: str, table: type) -> None:
    (shown,) = re.findall(rf"^# {key} = (\{{.*?\}})", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert tomllib.loads(f"it = {shown}")["it"].keys() == table.model_fields.keys()  # type: ignore[attr-defined]


def test_every_key_of_a_record_by_schedule_is_in_the_example() -> None:
    (table,) = re.findall(r"\{ schedule = .*\}", EXAMPLE.read_text())
    assert tomllib.loads(f"record = {table}")["record"].keys() == RecordBySchedule.model_fields.keys()


def test_every_key_of_where_a_camera_should_look_is_in_the_example() -> None:
    keys: set[str] = set()
    for table in re.findall(r"\{ p[^}]*after_seconds = [^}]*\}", EXAMPLE.read_text()):
        keys |= tomllib.loads(f"expect = {table}")["expect"].keys()
        Expect.model_validate(tomllib.loads(f"expect = {table}")["expect"])
    assert keys == Expect.model_fields.keys()


def test_what_a_commented_rule_shows_as_a_default_is_the_default() -> None:
    text = EXAMPLE.read_text()
    shown = re.findall(r"^# (\w+) = (0|5|10|20|true|false) ", text[text.index("# [[rule]]") :], flags=re.MULTILINE)
    assert {"debounce_seconds", "min_interval_seconds", "motion_hold_seconds", "while_active"} <= dict(shown).keys()
    for key, value in shown:
        default = RuleTable.model_fields[key].default
        inherited = getattr(Recording(), key) if default is None else default
        assert tomllib.loads(f"it = {value}")["it"] == inherited, key


def test_what_the_example_shows_as_a_default_is_the_default() -> None:
    shown = tomllib.loads(EXAMPLE.read_text())
    told = load(EXAMPLE)
    least = Config.model_validate({"volume": [{"name": "main", "path": "/x"}], "camera": {"gate": {"host": "h"}}})
    assert told.data_dir == least.data_dir
    assert told.recording == least.recording
    assert told.metrics == least.metrics
    assert told.retention == least.retention
    assert told.volumes[0].keep_free == least.volumes[0].keep_free
    for key in shown["camera"]["gate"].keys() - {"host"}:
        assert getattr(told.cameras["gate"], key) == getattr(least.cameras["gate"], key), key


def test_there_are_commands_to_look_at() -> None:
    assert [
        words for words in COMMANDS if words in (["config", "check"], ["footage", "export"], ["run"], ["status"])
    ] == [["config", "check"], ["footage", "export"], ["run"], ["status"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_in_the_readme(words: list[str]) -> None:
    assert f"nvr {' '.join(words)}" in (HOME / "README.md").read_text()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):
        assert answer([*words, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.lower().startswith("usage: nvr")
    assert len(said.splitlines()) > 4
    if words not in (["demo"], ["simulate"]):
        assert "--config" in said
    if words not in (["demo"], ["simulate"], ["run"], ["camera", "view"]):  # that one prints pictures, no facts
        assert "--json" in said


def test_every_metric_is_on_its_page_and_the_page_names_no_other() -> None:
    text = (HOME / "docs/metrics.md").read_text()
    assert set(re.findall(r"\bnvr_\w+", text)) == set(HELP)


def test_every_path_of_the_api_is_on_its_page_with_its_permission_and_the_page_names_no_other() -> None:
    text = (HOME / "docs/api.md").read_text()
    told = set(re.findall(r"^\| `(\w+) (/api/v1/\S+)` \| (\w+) \|", text, re.MULTILINE))
    assert told == {(route.method, route.path, route.permission.value) for route in ROUTES} | {
        ("GET", DESCRIPTION, "view")
    }

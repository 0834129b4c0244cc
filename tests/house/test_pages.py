"""The pages in docs/ do not rot: what they name is there, what is there they name, and their links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import click
import pytest
import typer
from pydantic import BaseModel

from nvr.cli import fitness
from nvr.cli.shell import app
from nvr.config import Config
from nvr.metrics import GAP_REASONS, HELP
from nvr.store.ledger import OFF_REASONS

HOME: Final = Path(__file__).parents[2]
PAGES: Final = sorted((HOME / "docs").glob("*.md"))
README: Final = HOME / "README.md"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
each_page_and_the_readme = pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.name)


# ---- commands


def _commands() -> dict[str, set[str]]:
    """Every command with its options. Groups stand without."""
    found: dict[str, set[str]] = {}
    waiting: list[tuple[str, click.Command]] = [("", typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        inner = getattr(command, "commands", {})
        found[words] = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
        waiting += [(f"{words} {name}".strip(), one) for name, one in inner.items()]
    # Both are started before the shell is looked at; their own tests see to their options.
    return {words: options for words, options in found.items() if words not in ("run", "simulate")}


COMMANDS: Final = _commands()


def _called(text: str) -> Iterator[str]:
    """Whatever a page shows as a call of nvr: in backticks, or as a line of code."""
    for span in re.findall(r"`([^`]+)`", text):
        yield " ".join(span.split())
    for line in re.findall(r"^(?: {4}|\$ )(\S.*)$", text, re.MULTILINE):
        yield line.partition("  #")[0].partition(" # ")[0]


def _calls(text: str) -> Iterator[tuple[str, list[str]]]:
    """The command's words and what follows them."""
    for called in _called(text):
        found = re.fullmatch(r"(?:sudo (?:-u \w+ )?)?nvr(?: (.*))?", called)
        if found is None or found[1] is None:
            continue
        words = shlex.split(found[1].replace("…", ""))
        two = " ".join(words[:2])
        length = 2 if two in COMMANDS else 1
        yield " ".join(words[:length]), words[length:]


@each_page_and_the_readme
def test_every_command_that_a_page_names_is_there_with_its_options(page: Path) -> None:
    for command, rest in _calls(page.read_text()):
        if command in ("run", "simulate"):
            continue
        assert command in COMMANDS, f"nvr {command}"
        if command in {words.split()[0] for words in COMMANDS if " " in words}:
            assert not rest, f"nvr {command} has no {rest}"  # the group as a whole is meant
        options = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert options <= COMMANDS[command], f"nvr {command}: {options - COMMANDS[command]}"


def test_calls_are_found_on_pages() -> None:
    """Where none were, the test above would look at nothing."""
    found = [call for page in (*PAGES, README) for call in _calls(page.read_text())]
    assert len(found) > 40
    assert ("footage coverage", ["--camera", "gate", "--from", "-7d"]) in found


# ---- links and paths


def _anchors(page: Path) -> set[str]:
    """As they are made of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page_and_the_readme
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        if target.startswith("https://"):
            continue
        there = page.parent / target if target else page
        assert there.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in _anchors(there), f"{page.name}: {target}#{anchor}"


@each_page_and_the_readme
def test_every_file_of_the_repository_that_a_page_names_is_there(page: Path) -> None:
    folders = "bench|deploy|docs|migrations|nvr|systemd|tests"
    for path in re.findall(rf"(?<![\w/*-])(?:{folders})/[\w./-]*[\w/]", page.read_text()):
        # A wheel has them inside the package: nvr/systemd is systemd here.
        assert any((HOME / one).exists() for one in (path, path.removeprefix("nvr/"))), f"{page.name}: {path}"


def test_the_readme_leads_to_the_pages() -> None:
    for page in (*PAGES, HOME / "config.example.toml"):
        assert str(page.relative_to(HOME)) in README.read_text(), page.name


# ---- the configuration


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Every table that a type of the configuration holds."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation)
    elif get_origin(kind) in (Annotated, Union, UnionType, tuple, dict, list):
        for inner in get_args(kind):
            yield from _models(inner)


def _keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _tables() -> Iterator[tuple[str, str, type[BaseModel]]]:
    """Of each table at the top: its key, its header as a person writes it, what it holds."""
    for name, field in Config.model_fields.items():
        key = field.alias or name
        models = list(_models(field.annotation))
        if models:
            header = {tuple: f"[[{key}]]", dict: f"[{key}.<name>]"}.get(get_origin(field.annotation), f"[{key}]")
            yield key, header, models[0]


@pytest.mark.parametrize(("key", "header", "model"), list(_tables()), ids=[key for key, _, _ in _tables()])
def test_every_table_of_the_configuration_has_its_section_that_names_its_keys(
    key: str, header: str, model: type[BaseModel]
) -> None:
    text = (HOME / "docs/configure.md").read_text()
    example = (HOME / "config.example.toml").read_text()
    assert f"\n## {header}\n" in text
    assert f"\n{header.replace('<name>', 'gate')}" in example or f"[{key}" in example
    for name in _keys(model):
        assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", text) or re.search(
            rf"^(# )?({name} = |\\[.*\\.{name}\\])", example, re.MULTILINE
        )


def test_no_key_of_the_configuration_is_made_up() -> None:
    known = {key for model in _models(Config) for key in _keys(model)}
    for page in ("configure.md", "install.md", "cameras.md"):
        named = set(re.findall(r"`([a-z]+_[a-z_]+)`", (HOME / "docs" / page).read_text()))
        assert named <= known, (page, named - known)
    assert {"host", "schedule", "keep_free", "preset"} <= known


# ---- words and numbers


@each_page
def test_every_metric_that_a_page_names_is_there(page: Path) -> None:
    named = {name for name in re.findall(r"`(nvr_\w+)", page.read_text()) if not name.endswith("_")}
    assert named <= set(HELP)


def test_every_reason_of_a_gap_is_explained() -> None:
    text = (HOME / "docs/operate.md").read_text()
    section = text[text.index("## Why is there a gap?") : text.index("## Somebody is to help")]
    assert re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE) == list(GAP_REASONS)


def test_every_reason_of_time_that_was_off_is_explained() -> None:
    text = (HOME / "docs/operate.md").read_text()
    sentence = text[text.index("Reasons of *off*") : text.index("## Somebody is to help")]
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", sentence))
    assert told == set(OFF_REASONS)


def test_every_verdict_of_the_doctor_is_explained() -> None:
    section = (HOME / "docs/operate.md").read_text()
    assert all(f"*{verdict.value}*" in section for verdict in fitness.Verdict)


def test_the_glossary_is_in_order_and_defines_no_word_twice() -> None:
    words = re.findall(r"^- \*\*([^*]+)\*\*", (HOME / "docs/glossary.md").read_text(), re.MULTILINE)
    assert len(words) > 25
    assert [word.lower() for word in words] == sorted({word.lower() for word in words})


def test_the_glossary_has_the_words_that_status_and_the_doctor_print() -> None:
    text = (HOME / "docs/glossary.md").read_text().lower()
    for word in ("blocked", "buffering", "off", "gap", "clip", "segment", "volume", "run", "label", "finding"):
        assert f"- **{word}**" in text, word

"""The repository speaks of nvr alone, and carries nothing heavy."""

import re
import subprocess
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]

# Each with a letter in brackets, so that this list does not find itself.
_FOREIGN = re.compile(
    r"p[y]pi\.o|p[y]thonhosted|n[p]mjs\.|d[e]b\.debian"  # hosts of registries: the reader has their own
    r"|/(w[o]rk|f[a]rm)/"  # paths of one machine
    r"|s[u]bagent|\bthis s[e]ssion\b|\bl[a]nguage model\b"
    r"|^[<>]{7} ",
    re.IGNORECASE,  # the last: a merge left half done
)
_HEAVY_BYTES = 1 << 20


def _kept() -> list[Path]:
    """The files of the repository: what git knows or would add; without git, what a source archive carries."""
    git = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    if git.returncode == 0:
        return [path for name in git.stdout.split("\0") if name and (path := HOME / name).is_file()]
    parts = ("nvr", "tests", "migrations", "systemd", "deploy", "bench")
    return [path for part in parts for path in (HOME / part).rglob("*") if path.is_file() and path.suffix != ".pyc"]


@pytest.mark.parametrize(
    ("line", "foreign"),
    [
        ("see /wo" + "rk/main/x", True),
        ("from files.py" + "thonhosted.org", True),
        ("asked in th" + "is session", True),
        ("<<<<" + "<<< HEAD", True),
        ("this camera's session ends; it may work / farm out", False),
    ],
)
def test_the_list_of_foreign_words_finds_them(line: str, foreign: bool) -> None:
    assert bool(_FOREIGN.search(line)) is foreign


def test_no_word_is_foreign_to_the_repository() -> None:
    files = _kept()
    assert HOME / "pyproject.toml" in files or HOME / "nvr/units.py" in files
    found = [
        f"{path.relative_to(HOME)}:{number}: {line.strip()[:120]}"
        for path in files
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if _FOREIGN.search(line)
    ]
    assert found == []


def test_no_file_is_heavy() -> None:
    assert [str(path.relative_to(HOME)) for path in _kept() if path.stat().st_size > _HEAVY_BYTES] == []


def test_every_shell_script_may_be_run_and_stops_at_trouble() -> None:
    scripts = [path for path in _kept() if path.read_bytes()[:64].startswith((b"#!/usr/bin/env bash", b"#!/bin/sh"))]
    assert HOME / ".ci/run" in scripts or not (HOME / ".git").exists()
    for script in scripts:
        assert script.stat().st_mode & 0o111, f"{script.name} is not executable"
        assert re.search(r"^set -(eu|euo pipefail)$", script.read_text(), re.MULTILINE), (
            f"{script.name} goes on at trouble"
        )

"""The rooms keep their order: door signs, names, imports, and a test room beside each room."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
HOUSE = HOME / "nvr"
ROOMS = sorted(path.parent for path in HOUSE.glob("*/__init__.py"))
PACKAGES = sorted(path.parent for path in HOUSE.rglob("__init__.py") if path.parent != HOUSE)
MODULES = sorted(path for path in HOUSE.rglob("*.py") if path.name != "__init__.py")

# House style 22: if two rooms need it, it has a subject.
_SUBJECTLESS = {"util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "tools"}


def _told(path: Path) -> str:
    return str(path.relative_to(HOME))


def test_this_looks_at_the_real_house() -> None:
    assert {"jvc", "media", "store", "record", "supervisor", "simulator"} <= {room.name for room in ROOMS}
    assert HOUSE / "units.py" in MODULES


def test_imports_go_only_the_way_the_contract_allows() -> None:
    lint = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
        cwd=HOME,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", lint.stdout), lint.stdout


@pytest.mark.parametrize("package", PACKAGES, ids=_told)
def test_every_room_has_a_door_sign(package: Path) -> None:
    sign = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    words = re.sub(r"\s+", " ", sign)
    assert re.search(r"\bHere\b.*\bNot here\b.*\bWay in\b", words), f"{_told(package)}: Here … Not here … Way in …"


@pytest.mark.parametrize("module", MODULES, ids=_told)
def test_every_module_says_what_it_is(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text())), f"{_told(module)} has no docstring"


def test_no_file_is_named_for_having_no_subject() -> None:
    kept = [path for part in ("nvr", "tests", "bench", "migrations") for path in (HOME / part).rglob("*")]
    assert kept
    assert [_told(path) for path in kept if path.stem in _SUBJECTLESS] == []


@pytest.mark.parametrize("room", ROOMS, ids=_told)
def test_every_room_has_its_test_room(room: Path) -> None:
    if not any(path.name != "__init__.py" for path in room.rglob("*.py")):
        pytest.skip("an empty room")
    tests = list((HOME / "tests" / room.name).rglob("test_*.py"))
    assert tests, f"tests/{room.name} does not test {_told(room)}"


def test_no_two_modules_of_one_room_import_each_other_in_a_circle() -> None:
    knows = {_dotted(path): set(_imported(path)) for path in HOUSE.rglob("*.py") if path.name != "__init__.py"}
    assert any(others & knows.keys() for others in knows.values()), "no import found at all"
    pairs = {tuple(sorted((a, b))) for a, others in knows.items() for b in others & knows.keys() if a in knows[b]}
    assert pairs == set()


def test_the_simulator_knows_nothing_of_the_rest() -> None:
    """Or parser and simulator could share a misreading of the guide."""
    files = list((HOUSE / "simulator").rglob("*.py"))
    assert files
    foreign = {
        f"{_told(path)}: {name}"
        for path in files
        for name in _imported(path)
        if name.split(".")[0] == "nvr" and not (name + ".").startswith("nvr.simulator.")
    }
    assert foreign == set()


def test_the_cameras_language_needs_neither_asyncio_nor_pyav() -> None:
    modules = [_dotted(path) for path in sorted((HOUSE / "jvc").rglob("*.py"))]
    loaded = _loaded_by(*modules)
    assert set(modules) <= loaded
    assert loaded & {"asyncio", "av", "socket", "selectors"} == set()
    outside = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - _loaded_by()
    assert outside == {"nvr"}, "jvc is standard library only"


def test_the_daemon_imports_nothing_it_does_not_run() -> None:
    """Each of these would cost every installation its memory for years."""
    loaded = _loaded_by("nvr.cli.main", "nvr.cli.run", "nvr.supervisor.daemon")
    assert "nvr.supervisor.daemon" in loaded
    assert "uvloop" in loaded
    unused = {"typer", "rich", "alembic", "mako", "apscheduler.jobstores.sqlalchemy", "hypothesis", "pytest"}
    # (click is there: uvicorn brings it, whatever of uvicorn one asks for.)
    assert {name for name in loaded if name in unused or name.partition(".")[0] in unused} == set()


def _loaded_by(*modules: str) -> set[str]:
    """What a fresh interpreter has loaded after these imports."""
    wanted = "".join(f"import {name}\n" for name in modules)
    script = f"import sys\n{wanted}loaded = sorted(sys.modules)\nimport json\nprint(json.dumps(loaded))"
    python = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert python.returncode == 0, python.stderr
    return set(json.loads(python.stdout))


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path) -> Iterator[str]:
    """Every module this file may import, also inside functions; of `from a import b`, both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_told(path)}: a relative import hides who knows whom"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)

"""What the system's tests share: a world of cameras, and the figures they measured, told at the end."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.system.house import end_shell
from tests.system.world import World

Stories = dict[str, "Future[Any]"]

_figures: list[str] = []


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """The thread in which simulated cameras live."""
    world = World()
    yield world
    world.close()
    end_shell()


@pytest.fixture(scope="session")
def figures() -> list[str]:
    """Sentences with measured numbers, printed when all tests are done."""
    return _figures


@pytest.fixture(scope="session", autouse=True)
def stories(
    world: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stories]:
    """What the modules call their STORIES, by name: begun together, since most of a story is waiting.

    A module's tests look at the end of a story, and at what it leaves, in their own time.
    """
    modules = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    told = {name: tell for module in modules for name, tell in getattr(module, "STORIES", {}).items()}
    with ExitStack() as ends, ThreadPoolExecutor(max(1, len(told))) as pool:
        yield {
            name: pool.submit(ends.enter_context, tell(world, tmp_path_factory.mktemp(name)))
            for name, tell in told.items()
        }


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where workers run the tests, each hands its figures to whoever prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = _figures


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended."""
    _figures.extend(getattr(node, "workeroutput", {}).get("figures", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("figures")
        for figure in _figures:
            terminalreporter.line(figure)

"""What the system's tests share: a world of cameras, and the figures they measured, told at the end."""

from collections.abc import Iterator

import pytest

from tests.system.world import World

_figures: list[str] = []


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """The thread in which simulated cameras live."""
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="session")
def figures() -> list[str]:
    """Sentences with measured numbers, printed when all tests are done."""
    return _figures


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("figures")
        for figure in _figures:
            terminalreporter.line(figure)

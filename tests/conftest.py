"""What every test stands on: the tools of this environment on PATH, and a patient hypothesis."""

import os
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# `nvr`, `lint-imports` and (where make put it there) `promtool` live beside the Python that runs the tests.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

# A deadline per example measures how busy the machine is, not the code.
hypothesis.settings.register_profile("nvr", deadline=None, print_blob=True)
hypothesis.settings.load_profile("nvr")


class _SystemTogether(LoadScopeScheduling):
    """All of system/ goes to one worker: its stories are begun once, together. Whoever is free takes the others."""

    def _split_scope(self, nodeid: str) -> str:
        return "system" if nodeid.startswith("tests/system/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Who runs which tests where several workers do."""
    return _SystemTogether(config, log)

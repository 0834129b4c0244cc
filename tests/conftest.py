"""What every test stands on: the tools of this environment on PATH, and a patient hypothesis."""

import os
import sys
from pathlib import Path

import hypothesis

# `nvr`, `lint-imports` and (where make put it there) `promtool` live beside the Python that runs the tests.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

# A deadline per example measures how busy the machine is, not the code.
hypothesis.settings.register_profile("nvr", deadline=None, print_blob=True)
hypothesis.settings.load_profile("nvr")

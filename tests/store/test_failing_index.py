"""The calls of the index to its disk, failing once and for good: no acknowledged row is lost, the next life is well."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store import failing_index


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("letting calls fail needs a C compiler (cc)")
    folder = tmp_path_factory.mktemp("failing")
    source, made = folder / "failing.c", folder / "failing.so"
    source.write_text(failing_index.SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True, timeout=60)
    return made


@pytest.mark.parametrize(("how", "sticky"), [("EIO", "once"), ("ENOSPC", "sticky")])
def test_when_a_call_fails_acknowledged_rows_stay_and_the_next_life_is_well(
    library: Path, tmp_path: Path, empty_index: Path, how: str, sticky: str
) -> None:
    _sweep(library, tmp_path, empty_index, how, sticky, step=7)


@pytest.mark.soak
@pytest.mark.parametrize("sticky", ["once", "sticky"])
@pytest.mark.parametrize("how", ["EIO", "ENOSPC", "EROFS", "short", "slow"])
def test_whichever_call_fails_acknowledged_rows_stay_and_the_next_life_is_well(
    library: Path, tmp_path: Path, empty_index: Path, how: str, sticky: str
) -> None:
    _sweep(library, tmp_path, empty_index, how, sticky, step=1)


def _sweep(library: Path, tmp_path: Path, empty_index: Path, how: str, sticky: str, *, step: int) -> None:
    done = subprocess.run(
        [sys.executable, failing_index.__file__, library, tmp_path, empty_index, how, sticky, str(step)],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["calls"] > 15, "the calls of SQLite were not seen"
    assert told["ends"]["well"] >= 1
    if how not in ("slow", "short"):
        assert sum(count for end, count in told["ends"].items() if end != "well") > told["calls"] // step // 2
    if how == "slow":
        assert set(told["ends"]) == {"well"}

"""What a user installs is whole: a wheel in an empty environment, no checkout near, upgrades an index and records."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from nvr.store.schema import INDEX_NAME
from nvr.store.tables import APPLICATION_ID, SCHEMA_VERSION
from tests.system.world import closed_port

pytestmark = pytest.mark.slow

HOME = Path(__file__).parents[2]
_DEADLINE_S = 60  # for what takes two or three seconds; the machine may be busy


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, HOME], cwd=out)
    (built,) = out.glob("nvr-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bin directory of an environment that holds this wheel and what it asks for, nothing else."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    _run([sys.executable, "-m", "venv", venv], cwd=venv.parent)
    _run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel], cwd=venv.parent)
    yield venv / "bin"
    shutil.rmtree(venv)  # a quarter of a gigabyte, which pytest would keep for three runs


def test_the_wheel_carries_the_revisions_and_nothing_foreign(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    revisions = {path.name for path in (HOME / "migrations/versions").glob("[0-9]*.py")}
    assert revisions
    assert {f"nvr/migrations/versions/{name}" for name in revisions} | {"nvr/migrations/env.py"} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"nvr"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "nvr/jvc/catalogue.toml" in names
    assert [name for name in names if name.endswith(".pyc")] == []


def test_the_installed_command_answers_from_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    assert _run([installed / "nvr", "--version"], tmp_path).split()[-1].count(".") == 2
    config = _configured(tmp_path, http_port=1, alarm_port=2)
    assert "front-door" in _run([installed / "nvr", "config", "check", "--config", config], tmp_path)
    where = _run([installed / "python", "-c", "import nvr; print(nvr.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent), "this must not be the checkout"


def test_the_installed_daemon_upgrades_an_old_index_and_records(installed: Path, tmp_path: Path) -> None:
    http_port, alarm_port = closed_port(), closed_port()
    config = _configured(tmp_path, http_port, alarm_port)
    index = tmp_path / "data" / INDEX_NAME
    _make_index_before_the_first_revision(index)

    simulate = [installed / "nvr", "simulate", "--http-port", http_port, "--alarm-port", alarm_port]
    empty = tmp_path / "empty"
    empty.mkdir()
    with (
        _running(simulate, empty, tmp_path / "camera.log"),
        _running([installed / "nvr", "run", "--config", config], empty, tmp_path / "nvr.log") as daemon,
    ):
        _until(lambda: _segments(tmp_path), daemon, tmp_path / "nvr.log")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(_DEADLINE_S) == 0, (tmp_path / "nvr.log").read_text()

    assert list(empty.iterdir()) == []
    assert list((tmp_path / "data/backups").glob("*.sqlite3")), "the old index was not copied before its upgrade"
    segments = _segments(tmp_path)
    assert all(_frames(path) > 0 for path in segments)
    with sqlite3.connect(f"file:{index}?immutable=1", uri=True) as rows:
        assert rows.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert rows.execute("SELECT count(*) FROM segment").fetchone() == (len(segments),)
    rows.close()


def test_the_installed_package_makes_a_service_of_itself(installed: Path, tmp_path: Path) -> None:
    package = Path(_run([installed / "python", "-c", "import nvr; print(nvr.__file__)"], tmp_path).strip()).parent
    told = _run(["env", f"DESTDIR={tmp_path}/root", "sh", package / "systemd/install", installed.parent], tmp_path)
    assert "systemctl enable --now nvr" in told
    assert f"ExecStart={installed}/nvr run " in (tmp_path / "root/etc/systemd/system/nvr.service").read_text()
    assert _run([tmp_path / "root/usr/local/bin/nvr", "--version"], tmp_path).startswith("nvr ")


def _configured(where: Path, http_port: int, alarm_port: int) -> Path:
    config = where / "config.toml"
    footage = where / "footage"
    footage.mkdir()
    config.write_text(f"""
data_dir = "{where}/data"

[[volume]]
name = "main"
path = "{footage}"
keep_free = "1MB"

[recording]
segment_seconds = 2

[metrics]
listen = ""

[camera.front-door]
host = "127.0.0.1"
http_port = {http_port}
alarm_port = {alarm_port}
""")
    return config


def _make_index_before_the_first_revision(index: Path) -> None:
    """As an nvr would have left it that had no table yet: ours by its header, at version 0."""
    index.parent.mkdir()
    rows = sqlite3.connect(index)
    rows.execute(f"PRAGMA application_id={APPLICATION_ID}")
    rows.execute("PRAGMA user_version=0")
    rows.execute("VACUUM")
    rows.close()
    assert index.stat().st_size > 0


def _segments(where: Path) -> list[Path]:
    return sorted((where / "footage").rglob("*.mp4"))


def _frames(path: Path) -> int:
    with av.open(path) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))


@contextmanager
def _running(command: list[object], cwd: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env=_clean(), stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(so: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + _DEADLINE_S
    while not so():
        assert process.poll() is None, f"nvr ended by itself:\n{log.read_text()}"
        assert time.monotonic() < ends, f"nothing recorded:\n{log.read_text()}"
        time.sleep(0.1)


def _run(command: list[object], cwd: Path) -> str:
    """Its stdout; a command that fails shows all it said."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=_clean(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _clean() -> dict[str, str]:
    """The environment without anything that could lead an installed Python back to the checkout."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }

"""What makes a service of nvr is right by systemd's own word, goes where it belongs, and comes off without footage."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.house import NVR

HOME = Path(__file__).parents[2]
SYSTEMD = HOME / "systemd"
DROP_INS = sorted((SYSTEMD / "drop-ins").glob("*.conf"))

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree into which the service was installed."""
    root = tmp_path_factory.mktemp("root")
    done = _script("install", root, NVR.parent.parent)
    assert done.returncode == 0, done.stderr
    return root


def _script(name: str, root: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return _run(["sh", SYSTEMD / name, *arguments], {"DESTDIR": str(root)})


def _run(command: list[object], environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(word) for word in command],
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _unit(root: Path) -> Path:
    return root / "etc/systemd/system/nvr.service"


def _with(root: Path, drop_in: Path, where: Path) -> Path:
    """The unit beside a drop-in, as systemd would find both."""
    (where / "nvr.service.d").mkdir()
    shutil.copy(drop_in, where / "nvr.service.d")
    return Path(shutil.copy(_unit(root), where))


def test_systemd_has_nothing_to_say_about_the_unit(root: Path) -> None:
    verified = _run(["systemd-analyze", "verify", "--man=no", _unit(root)])
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.name)
def test_nor_about_any_drop_in(root: Path, drop_in: Path, tmp_path: Path) -> None:
    verified = _run(["systemd-analyze", "verify", "--man=no", _with(root, drop_in, tmp_path)])
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_exposure_is_at_most_1_2(root: Path) -> None:
    # The threshold counts tenths.
    rated = _run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=12", _unit(root)])
    assert rated.returncode == 0, rated.stdout


def test_user_and_folders_are_made(root: Path) -> None:
    assert re.search(r"^nvr:x:\d+:\d+:.*:/usr/sbin/nologin$", (root / "etc/passwd").read_text(), re.MULTILINE)
    assert (root / "var/lib/nvr").stat().st_mode & 0o777 == 0o750
    assert (root / "etc/nvr").stat().st_mode & 0o777 == 0o750
    assert (root / "etc/nvr/credentials").stat().st_mode & 0o777 == 0o700


def test_a_configuration_that_is_there_is_left_alone(root: Path, tmp_path: Path) -> None:
    assert (root / "etc/nvr/config.toml").read_text() == (HOME / "config.example.toml").read_text()
    (tmp_path / "etc/nvr").mkdir(parents=True)
    (tmp_path / "etc/nvr/config.toml").write_text("mine")
    assert _script("install", tmp_path, NVR.parent.parent).returncode == 0
    assert (tmp_path / "etc/nvr/config.toml").read_text() == "mine"


def test_it_comes_off_without_footage_or_configuration(tmp_path: Path) -> None:
    assert _script("install", tmp_path, NVR.parent.parent).returncode == 0
    (tmp_path / "var/lib/nvr/footage").mkdir()
    (tmp_path / "var/lib/nvr/footage/one.mp4").write_bytes(b"footage")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert _script("uninstall", tmp_path).returncode == 0
    gone = {str(path.relative_to(tmp_path)) for path in before if not path.exists()}
    kept = {"etc/nvr/config.toml", "var/lib/nvr/footage/one.mp4"}
    assert all((tmp_path / path).is_file() for path in kept)
    assert gone == {
        "etc/systemd/system/nvr.service",
        "etc/sysusers.d/nvr.conf",
        "etc/tmpfiles.d/nvr.conf",
        "usr/local/bin/nvr",
    }
    assert _script("uninstall", tmp_path).returncode == 0, "a second time there is nothing to do"


def test_a_service_without_its_program_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = _script("install", tmp_path / "root", tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"nvr: there is no .*; install the wheel there first\n", done.stderr)
    assert not (tmp_path / "root").exists()


def test_a_configuration_that_is_wrong_is_not_tried_again_and_again() -> None:
    assert "RestartPreventExitStatus=2\n" in (SYSTEMD / "nvr.service").read_text()

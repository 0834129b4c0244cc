"""`nvr config check`: right or wrong, and what would run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nvr.cli.main import answer
from tests.cli.conftest import Said, Site

Nvr = Callable[..., Said]


def test_what_would_run_is_printed(nvr: Nvr, site: Site) -> None:
    said = nvr("config", "check")
    assert (said.code, said.err) == (0, "")
    assert f"{site.config} is right." in said.out
    assert f"index in {site.data_dir}; metrics at 127.0.0.1:9685" in said.out
    lines = [line.split() for line in said.out.splitlines()]
    assert ["main", str(site.footage), "0", "B"] in lines
    assert ["gate", "127.0.0.1:80", "continuous", "any"] in lines
    assert ["door", "127.0.0.1:80", "off", "any"] in lines


def test_json_has_the_same_facts_and_no_password(nvr: Nvr, site: Site) -> None:
    text = site.config.read_text().replace("[camera.door]", 'user = "admin"\npassword = "geheim"\n[camera.door]')
    site.config.write_text(text)
    said = nvr("config", "check", "--json")
    assert said.code == 0
    assert said.json["ok"] is True
    assert said.json["volumes"] == [{"name": "main", "path": str(site.footage), "keep_free_bytes": 0}]
    assert [camera["camera"] for camera in said.json["cameras"]] == ["gate", "door"]
    assert said.json["cameras"][0]["user"] == "admin"
    assert "geheim" not in said.out


def test_every_mistake_is_a_line_on_stderr_and_exit_code_2(nvr: Nvr, site: Site) -> None:
    site.config.write_text(site.config.read_text() + "recrod = 1\n[recording]\nsync_seconds = 0\n")
    said = nvr("config", "check")
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines() == [
        f"nvr: {site.config} line 11: unknown key 'camera.door.recrod'; did you mean 'record'?",
        f"nvr: {site.config} line 13: 'recording.sync_seconds' must be at least 0.5, not 0",
    ]


def test_mistakes_come_as_json_too(nvr: Nvr, site: Site) -> None:
    site.config.write_text(site.config.read_text() + "recrod = 1\n")
    said = nvr("config", "check", "--json")
    assert (said.code, said.err) == (2, "")
    assert said.json == {
        "ok": False,
        "file": str(site.config),
        "errors": [
            {
                "key": "camera.door.recrod",
                "line": 11,
                "error": "unknown key 'camera.door.recrod'; did you mean 'record'?",
            }
        ],
    }


def test_a_password_file_that_everybody_may_read_is_a_mistake(nvr: Nvr, site: Site) -> None:
    text = site.config.read_text().replace("[camera.door]", 'user = "admin"\npassword_file = "pw"\n[camera.door]')
    site.config.write_text(text)
    (site.folder / "pw").write_text("geheim")
    (site.folder / "pw").chmod(0o644)
    said = nvr("config", "check")
    assert said.code == 2
    assert "may be read by others than its owner" in said.err
    assert "geheim" not in said.err


def test_the_file_in_the_working_directory_is_found(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if Path("/etc/nvr/config.toml").exists():
        pytest.skip("an nvr is configured on this machine")
    monkeypatch.chdir(site.folder)
    assert answer(["config", "check"]) == 0
    assert "config.toml is right" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_said(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["config", "check", "--config", "/nowhere/config.toml"]) == 2
    assert capsys.readouterr().err == "nvr: /nowhere/config.toml: cannot be read: no such file or directory\n"

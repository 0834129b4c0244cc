"""Alerts and the board: Prometheus understands them, each fires when it should, and each metric they name is ours."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvr.metrics import HELP

HOME = Path(__file__).parents[2]
RULES = HOME / "deploy/prometheus/nvr.rules.yml"
CASES = sorted((HOME / "deploy/prometheus").glob("*.test.yml"))
BOARD = HOME / "deploy/grafana/nvr.json"

_OF_PROMETHEUS = {"up", "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
ALERTS = re.findall(r"^      - alert: (\w+)$", RULES.read_text(), re.MULTILINE)


def _promtool(*words: object) -> "subprocess.CompletedProcess[str]":
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    return subprocess.run(
        [promtool, *map(str, words)], capture_output=True, text=True, timeout=60, check=False, cwd=RULES.parent
    )


def _expressions() -> Iterator[str]:
    """Everything that the board asks."""
    for panel in json.loads(BOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def _metrics_in(text: str) -> set[str]:
    named = set(re.findall(r"\b(?:nvr_\w+|up|process_\w+)\b(?=[{\[\s)]|$)", text, re.MULTILINE))
    return {re.sub(r"_bucket$", "", name) for name in named}


def test_prometheus_understands_the_rules() -> None:
    done = _promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_silent_at_first_and_fires_when_it_should() -> None:
    done = _promtool("test", "rules", *CASES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_its_case_and_each_case_fires() -> None:
    fired = re.findall(r"alertname: (\w+)\n.*\n\s+exp_alerts:\n", "".join(path.read_text() for path in CASES))
    assert sorted(fired) == sorted(ALERTS)
    assert len(ALERTS) >= 16


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_leads_to_a_section_that_says_what_to_do(alert: str) -> None:
    assert f"runbook: docs/operate.md#{alert.lower()}\n" in RULES.read_text()
    page = (HOME / "docs/operate.md").read_text()
    section = re.search(rf"^### {alert}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section is not None, alert
    assert len(section[1].split()) > 25, f"{alert}: say what it means and what to do"


def test_the_page_explains_no_alert_that_is_not_there() -> None:
    assert set(re.findall(r"^### (Nvr\w+)$", (HOME / "docs/operate.md").read_text(), re.MULTILINE)) == set(ALERTS)


def test_rules_name_only_metrics_that_are_there() -> None:
    text = "\n".join(line for line in RULES.read_text().splitlines() if "annotations" not in line)
    text = re.sub(r"^\s+(summary|runbook|- alert|#).*$", "", text, flags=re.MULTILINE)
    named = _metrics_in(text)
    assert "nvr_camera_last_frame_timestamp_seconds" in named
    assert named - set(HELP) - _OF_PROMETHEUS == set()


def test_the_board_names_only_metrics_that_are_there() -> None:
    named = set().union(*map(_metrics_in, _expressions()))
    assert len(named) > 20
    assert named - set(HELP) - _OF_PROMETHEUS == set()


def test_prometheus_understands_everything_the_board_asks(tmp_path: Path) -> None:
    rules = ["groups:", "  - name: board", "    rules:"]
    for number, expression in enumerate(_expressions()):
        asked = expression.replace("$__rate_interval", "5m").replace("$__range", "1d")
        rules += [f"      - record: board:{number}", f"        expr: {json.dumps(asked)}"]
    (tmp_path / "board.yml").write_text("\n".join(rules) + "\n")
    done = _promtool("check", "rules", tmp_path / "board.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_board_asks_whichever_prometheus_its_reader_has() -> None:
    board = json.loads(BOARD.read_text())
    for panel in board["panels"]:
        for one in [panel, *panel.get("targets", ())]:
            assert one.get("datasource", {}).get("uid", "${datasource}") == "${datasource}"
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places), "no panel lies on another"

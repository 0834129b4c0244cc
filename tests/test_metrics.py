"""The numbers: every series from the start, closed labels, and what promtool thinks of them."""

import errno
import math
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nvr.metrics import (
    GAP_REASONS,
    HELP,
    JOBS,
    LOST_CAUSES,
    RECONNECT_REASONS,
    RECOVERED_RESULTS,
    RETENTION_RULES,
    WRITE_ERRORS,
    Histogram,
    Metrics,
    write_error,
)

NOW_US = 1_700_000_000_000_000


class Telling:
    """Metrics with a clock in the test's hand, and their text read back."""

    def __init__(self) -> None:
        self.now_us = NOW_US
        self.metrics = Metrics("1.2.3", lambda: self.now_us)

    def text(self) -> str:
        return generate_latest(self.metrics.registry()).decode()

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.samples()[name, frozenset(labels.items())]


@pytest.fixture
def telling() -> Telling:
    return Telling()


def test_every_series_is_there_before_anything_happened(telling: Telling) -> None:
    telling.metrics.add_camera("gate")
    telling.metrics.add_volume("main")
    samples = telling.samples()
    ours = {name for name, _ in samples if name.startswith("nvr_")}
    for name, (_, labels) in HELP.items():
        assert name in ours or f"{name}_bucket" in ours, name
        if labels and labels[0] in ("camera", "volume"):
            one = ("camera", "gate") if labels[0] == "camera" else ("volume", "main")
            assert any(one in found for told, found in samples if told == name), name
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours} == set(HELP)
    words = {"reason": GAP_REASONS, "cause": LOST_CAUSES, "error": WRITE_ERRORS, "result": RECOVERED_RESULTS}
    for name, label, expected in [
        ("nvr_camera_gap_seconds_total", "reason", words["reason"]),
        ("nvr_camera_reconnects_total", "reason", RECONNECT_REASONS),
        ("nvr_camera_frames_lost_total", "cause", words["cause"]),
        ("nvr_write_errors_total", "error", words["error"]),
        ("nvr_recovered_segments_total", "result", words["result"]),
        ("nvr_job_last_success_timestamp_seconds", "job", JOBS),
        ("nvr_retention_deleted_segments_total", "reason", RETENTION_RULES),
    ]:
        found = {dict(labels)[label]: value for (told, labels), value in samples.items() if told == name}
        assert found == dict.fromkeys(expected, 0.0), name


def test_promtool_finds_nothing_to_say(telling: Telling) -> None:
    promtool = shutil.which("promtool", path=f"{os.environ['PATH']}:/usr/bin")
    if promtool is None:
        pytest.skip("promtool is not installed")
    telling.metrics.add_camera("gate").frames = 7
    telling.metrics.add_volume("main")
    telling.metrics.index_commit.observe(0.01)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=telling.text(), capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_help_is_a_sentence() -> None:
    for name, (said, _) in HELP.items():
        assert re.fullmatch(r"[A-Z0-9].{20,}\.", said), name
        assert "nvr_" not in said


def test_a_cameras_numbers_come_out_in_base_units(telling: Telling) -> None:
    gate = telling.metrics.add_camera("gate")
    assert telling.value("nvr_camera_last_frame_timestamp_seconds", camera="gate") == 0
    assert math.isnan(telling.value("nvr_oldest_segment_timestamp_seconds", camera="gate"))
    assert math.isnan(telling.value("nvr_camera_clock_offset_seconds", camera="gate"))
    gate.frames, gate.received_bytes, gate.last_frame_us = 12, 3456, NOW_US + 500_000
    gate.connected = gate.recording_wanted = True
    assert math.isnan(telling.value("nvr_camera_clock_drift_ratio", camera="gate"))
    assert math.isnan(telling.value("nvr_camera_fan_failed", camera="gate"))
    gate.clock_offset_s, gate.fps, gate.expected_fps = -0.25, 29.5, 30.0
    assert math.isnan(telling.value("nvr_camera_turned_away", camera="gate"))
    gate.clock_drift_ratio, gate.fan_failed, gate.turned_away = 0.00002, 1.0, 1.0
    gate.oldest_segment_us = NOW_US
    assert math.isnan(telling.value("nvr_camera_alarm_link_up", camera="gate"))
    gate.alarms_heeded = gate.alarm_link_up = True
    gate.reconnects["camera-stalled"] += 2
    gate.frames_lost["damaged"] += 3
    gate.segments_committed, gate.segment_bytes, gate.recorder_restarts = 4, 5, 6
    told = {
        name: value for (name, labels), value in telling.samples().items() if ("camera", "gate") in labels and value
    }
    assert told == {
        "nvr_camera_frames_total": 12,
        "nvr_camera_received_bytes_total": 3456,
        "nvr_camera_last_frame_timestamp_seconds": 1_700_000_000.5,
        "nvr_camera_connected": 1,
        "nvr_camera_recording_wanted": 1,
        "nvr_camera_clock_offset_seconds": -0.25,
        "nvr_camera_clock_drift_ratio": 0.00002,
        "nvr_camera_fan_failed": 1,
        "nvr_camera_turned_away": 1,
        "nvr_camera_fps": 29.5,
        "nvr_camera_alarm_link_up": 1,
        "nvr_camera_expected_fps": 30,
        "nvr_oldest_segment_timestamp_seconds": 1_700_000_000,
        "nvr_camera_reconnects_total": 2,
        "nvr_camera_frames_lost_total": 3,
        "nvr_segments_committed_total": 4,
        "nvr_segment_bytes_total": 5,
        "nvr_recorder_restarts_total": 6,
    }


def test_the_gap_that_lasts_is_counted_and_never_counted_back(telling: Telling) -> None:
    gate = telling.metrics.add_camera("gate")

    def gap(reason: str) -> float:
        return telling.value("nvr_camera_gap_seconds_total", camera="gate", reason=reason)

    gate.gap_us["disk-full"] = 5_000_000
    gate.open_gap = ("camera-unreachable", NOW_US)
    telling.now_us += 10_000_000
    assert (gap("camera-unreachable"), gap("disk-full")) == (10, 5)
    # The ledger ends it at the last frame's end, a little earlier than the collector saw.
    gate.open_gap, gate.gap_us["camera-unreachable"] = None, 9_500_000
    assert gap("camera-unreachable") == 10
    gate.open_gap = ("camera-unreachable", telling.now_us)
    telling.now_us += 2_000_000
    assert gap("camera-unreachable") == 11.5
    telling.now_us -= 3_600_000_000
    assert gap("camera-unreachable") == 11.5


def test_a_camera_that_is_removed_takes_its_series_with_it_and_begins_anew(telling: Telling) -> None:
    gate = telling.metrics.add_camera("gate")
    gate.gap_us["unknown"] = 7_000_000
    telling.metrics.add_camera("door")
    telling.samples()
    telling.metrics.remove_camera("gate")
    telling.metrics.remove_camera("never-there")
    assert not [labels for _, labels in telling.samples() if ("camera", "gate") in labels]
    assert telling.value("nvr_camera_frames_total", camera="door") == 0
    telling.metrics.add_camera("gate")
    assert telling.value("nvr_camera_gap_seconds_total", camera="gate", reason="unknown") == 0


def test_an_unknown_reason_is_no_new_series(telling: Telling) -> None:
    with pytest.raises(KeyError):
        telling.metrics.add_camera("gate").reconnects["because"] += 1
    with pytest.raises(AttributeError):
        telling.metrics.cameras["gate"].franes = 1  # type: ignore[attr-defined]


def test_a_histogram_counts_each_duration_in_every_bucket_it_fits() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds)
    assert histogram.cumulated() == ([("0.1", 2), ("1.0", 3), ("+Inf", 4)], pytest.approx(7.65))


def test_threads_observing_together_lose_nothing() -> None:
    histogram = Histogram((0.1, 1.0))
    threads = [threading.Thread(target=lambda: [histogram.observe(0.5) for _ in range(5_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert histogram.cumulated() == ([("0.1", 0), ("1.0", 20_000), ("+Inf", 20_000)], pytest.approx(10_000))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.ETIMEDOUT, errno.EPIPE, None])
def test_every_error_of_a_disk_has_a_label(number: int | None) -> None:
    assert write_error(OSError(number, "x") if number else OSError("x")) in WRITE_ERRORS


def test_two_daemons_in_one_process_share_nothing() -> None:
    one, other = Telling(), Telling()
    one.metrics.add_camera("gate").frames = 5
    other.metrics.add_camera("gate")
    assert other.value("nvr_camera_frames_total", camera="gate") == 0


def test_the_page_about_metrics_names_each_with_its_labels_and_help() -> None:
    page = (Path(__file__).parents[1] / "docs/metrics.md").read_text()
    rows = dict(re.findall(r"^\| `(nvr_\w+(?:\{[\w,]+\})?)` \| (.+) \|$", page, re.MULTILINE))
    assert rows == {name + (f"{{{','.join(labels)}}}" if labels else ""): said for name, (said, labels) in HELP.items()}

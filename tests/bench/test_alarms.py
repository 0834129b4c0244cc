"""How the bench of alarms counts, and what it runs."""

from pathlib import Path

import pytest

from bench import alarms
from nvr import config


def test_so_many_of_a_hundred_are_not_slower_than_that() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [alarms.percentile(values, share) for share in (0.01, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert alarms.percentile([7.0], 0.99) == 7


@pytest.mark.parametrize(
    ("recorder", "record", "pre_seconds"),
    [
        (alarms.NvrWithRule, "continuous", 10),
        (alarms.NvrThatWaits, "alarm", 10),
        (alarms.NvrThatWaitsForShort, "alarm", 0),
    ],
)
def test_the_daemon_has_a_rule_for_every_camera(
    tmp_path: Path, recorder: type[alarms.NvrWithRule], record: str, pre_seconds: int
) -> None:
    (tmp_path / "footage").mkdir()
    file = tmp_path / "config.toml"
    ports = [{"http_port": 1000 + n, "alarm_port": 2000 + n} for n in range(3)]
    running = recorder.__new__(recorder)  # its text alone: no daemon is started
    file.write_text(running.configuration(tmp_path, tmp_path / "footage", ports, 9685))
    read = config.load(file)
    assert {camera.record for camera in read.cameras.values()} == {record}
    assert all([rule.name for rule in read.rules_of(slug)] == ["door"] for slug in read.cameras)
    assert {rule.pre_us for slug in read.cameras for rule in read.rules_of(slug)} == {pre_seconds * 1_000_000}

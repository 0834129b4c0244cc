"""How the bench judges what it measured."""

from pathlib import Path

from bench import run
from bench.run import Figures, verdict
from nvr import config


def figures(recorder: str, cpu_s: float, pss_mb: float) -> Figures:
    return Figures(recorder, 50, cpu_s, pss_mb * 1e6, pss_mb * 1e6, kept=1.0, held_up=0)


def test_the_verdict_is_the_median_of_each_rounds_own_ratio() -> None:
    slow_fast_usual = [(20.0, 5.0), (8.0, 2.4), (12.0, 3.0)]
    found = [f for theirs, ours in slow_fast_usual for f in (figures("ffmpeg", theirs, 10), figures("nvr", ours, 2))]
    judged = verdict(50, found)
    assert judged is not None
    assert (judged.cpu_ratio, judged.memory_ratio) == (0.25, 0.2)
    assert judged.met


def test_too_much_memory_alone_misses_the_target() -> None:
    judged = verdict(50, [figures("ffmpeg", 10, 10), figures("nvr", 1, 3.1)])
    assert judged is not None
    assert not judged.met


def test_one_recorder_alone_is_not_judged() -> None:
    assert verdict(50, [figures("nvr", 1, 1)]) is None


def test_the_daemon_of_the_bench_is_configured_with_nothing_switched_off(tmp_path: Path) -> None:
    (tmp_path / "footage").mkdir()
    file = tmp_path / "config.toml"
    ports = [{"http_port": 1000 + n, "alarm_port": 2000 + n} for n in range(50)]
    file.write_text(run._configuration(tmp_path, tmp_path / "footage", ports, 9685))
    read = config.load(file)
    assert [(camera.http_port, camera.alarm_port) for camera in read.cameras.values()] == [
        (1000 + n, 2000 + n) for n in range(50)
    ]
    assert {camera.record for camera in read.cameras.values()} == {"continuous"}
    assert read.metrics.listen
    assert read.recording.sync_seconds == config.Recording().sync_seconds

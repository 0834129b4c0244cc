"""`nvr status`: from the daemon, or without one from index, configuration and disks."""

import time
from collections.abc import Callable
from typing import Any

from nvr.store.errors import IndexDamaged
from nvr.store.rows import SpanKind
from nvr.units import US
from tests.cli.conftest import NOON_US, Said, Site

Nvr = Callable[..., Said]


def camera(state: str, reason: str | None = None) -> dict[str, Any]:
    return {
        "camera": "gate",
        "state": state,
        "reason": reason,
        "since": "2025-11-23T12:00:00.000000Z",
        "last_frame": "2025-11-23T12:00:05.000000Z",
        "fps": 29.97,
        "bitrate_bps": 2_000_000,
        "alarm_link": None,
        "pan_degrees": 12.34,
        "tilt_degrees": -5.0,
        "zoom": 1.5,
    }


VOLUME = {
    "name": "main",
    "path": "/footage",
    "size_bytes": 10**12,
    "free_bytes": 5 * 10**11,
    "footage_bytes": 123_456_789,
    "oldest": "2025-11-20T12:00:00.000000Z",
}


def test_a_running_daemon_is_asked_and_believed(nvr: Nvr, site: Site) -> None:
    with site.daemon() as daemon:
        daemon.status_is = {"version": "1.0", "cameras": [camera("recording")], "volumes": [VOLUME]}
        said = nvr("status")
        assert (said.code, said.err) == (0, "")
        assert "gate    recording  2025-11-23 12:00:00+0000  2025-11-23 12:00:05+0000  30.0  2.00 Mbit/s" in said.out
        assert "pan 12.34 tilt -5.00 zoom 1.50" in said.out
        assert "main    /footage  123.5 MB  500.0 GB  1.00 TB  2025-11-20 12:00:00+0000" in said.out
        told = nvr("status", "--json").json
        assert told["cameras"][0].pop("last_day") is None
        assert told == daemon.status_is


def test_a_camera_that_is_not_well_makes_exit_code_1(nvr: Nvr, site: Site) -> None:
    with site.daemon() as daemon:
        for state, code in [("recording", 0), ("off", 0), ("buffering", 0), ("connecting", 1), ("blocked", 1)]:
            daemon.status_is = {"version": "1", "cameras": [camera(state, "why")], "volumes": []}
            assert nvr("status").code == code, state
            assert nvr("status", "--json").code == code, state


def test_a_volume_that_takes_no_footage_makes_exit_code_1_and_is_explained(nvr: Nvr, site: Site) -> None:
    with site.daemon() as daemon:
        refused = {**VOLUME, "state": "disk-full", "reason": "less than 5 GB are free"}
        daemon.status_is = {"version": "1", "cameras": [camera("recording")], "volumes": [refused]}
        said = nvr("status")
        assert said.code == 1
        assert said.out.splitlines()[-1].endswith("less than 5 GB are free")


def test_a_slow_network_and_a_fall_back_are_said_beside_the_answer(nvr: Nvr, site: Site) -> None:
    slow = {**camera("recording"), "slow_network": {"fps": 12.34, "announced_fps": 30.0}}
    fallen = {**camera("recording"), "multicast_trouble": "no packet came"}
    with site.daemon() as daemon:
        daemon.status_is = {"version": "1", "cameras": [slow, fallen], "volumes": [VOLUME]}
        said = nvr("status")
    assert said.code == 0
    assert said.err.splitlines() == [
        "nvr: the camera 'gate' announced 30 pictures a second, 12.3 arrive: its network is slow; multicast does not "
        "suffer from delay (transport)",
        "nvr: the video of 'gate' comes over HTTP, not by multicast: no packet came",
    ]


def test_without_a_daemon_the_index_the_configuration_and_the_disk_are_asked(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        run = filling.run(NOON_US)
        sizes = [filling.segment(run, seq, NOON_US + seq * 5 * US).stat().st_size for seq in range(2)]
    said = nvr("status", "--json")
    assert said.code == 1
    assert said.err.startswith(f"nvr: no daemon runs on {site.data_dir};")
    gate, door = said.json["cameras"]
    assert (gate["camera"], gate["state"], gate["reason"]) == ("gate", "failed", "service-stopped")
    assert gate["last_frame"] == "2025-11-23T12:00:10.000000Z"
    assert (door["camera"], door["state"], door["reason"], door["last_frame"]) == ("door", "off", "record-off", None)
    (volume,) = said.json["volumes"]
    assert volume["path"] == str(site.footage)
    assert volume["footage_bytes"] == sum(sizes)
    assert volume["oldest"] == "2025-11-23T12:00:00.000000Z"
    assert 0 < volume["free_bytes"] <= volume["size_bytes"]
    assert "gate" in nvr("status").out


def test_what_is_missing_of_the_last_day_is_one_line(nvr: Nvr, site: Site) -> None:
    now_us = time.time_ns() // 1000
    with site.index() as filling:
        begin_us = now_us - 3600 * US
        filling.index.do(lambda c: c.exec_driver_sql(f"UPDATE camera SET configured_at_us = {begin_us}")).result()
        filling.segment(filling.run(begin_us, ended_us=begin_us + 5 * US), 0, begin_us)
        filling.gap("waiting-for-alarm", begin_us + 5 * US, now_us - 90 * US, SpanKind.OFF)
        filling.gap("disk-full", now_us - 90 * US, now_us - 60 * US)
        filling.gap("service-stopped", now_us - 60 * US, None)
    said = nvr("status")
    (line,) = [line for line in said.out.splitlines() if "24 hours" in line]
    assert line.startswith("missing of the last 24 hours: 1 min ")
    assert "(gate service-stopped 1 min " in line
    assert line.endswith("disk-full 30.0 s)")
    day = nvr("status", "--json").json["cameras"][0]["last_day"]
    assert (day["recorded_seconds"], day["off_seconds"]) == (5, 3505)
    assert day["gaps"].keys() == {"disk-full", "service-stopped"}


def test_a_camera_that_is_configured_no_more_is_still_shown(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.segment(filling.run(NOON_US), 0, NOON_US)
    site.config.write_text(site.config.read_text().replace("[camera.gate]", "[camera.new]"))
    cameras = {one["camera"]: one for one in nvr("status", "--json").json["cameras"]}
    assert list(cameras) == ["new", "door", "gate"]
    assert (cameras["gate"]["state"], cameras["gate"]["reason"]) == ("off", "not-configured")


def test_without_anything_it_still_answers(nvr: Nvr, site: Site) -> None:
    for file in site.data_dir.iterdir():
        file.unlink()
    site.footage.rmdir()
    said = nvr("status", "--json")
    assert said.code == 1
    assert [one["camera"] for one in said.json["cameras"]] == ["gate", "door"]
    assert said.json["volumes"][0]["size_bytes"] is None
    assert "the index cannot be read" in said.err
    assert "the volume 'main'" in said.err


def test_what_the_daemon_cannot_do_is_said_in_its_words(nvr: Nvr, site: Site) -> None:
    with site.daemon() as daemon:
        daemon.trouble = IndexDamaged("the index cannot be read or written (asking)")
        said = nvr("status")
        assert (said.code, said.err) == (1, "nvr: the daemon says: the index cannot be read or written (asking)\n")
        daemon.trouble = ZeroDivisionError("division by zero")
        said = nvr("status")
        assert (said.code, said.out) == (1, "")
        assert said.err == (
            "nvr: the daemon says: this failed inside nvr, which is a bug; the daemon's log has the details\n"
        )

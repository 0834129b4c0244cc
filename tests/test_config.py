"""The configuration: what is accepted, and every mistake told with its key and the right line or none."""

import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.config import Config, ConfigError, Recording, RuleTable, find, key_lines, load
from nvr.jvc.alarm import Change
from nvr.record.expected_view import Expected
from nvr.record.gate import Mode, RecordPlan
from nvr.rules.book import Rule
from nvr.rules.schedule import During, Schedule
from nvr.rules.words import Combination, DayNight, GoToPreset, SetDayNight, SetOutput, Single
from nvr.store.retention import Keep
from nvr.units import US

LEAST = """
[[volume]]
name = "main"
path = "footage"
"""

ALARMS = (
    LEAST
    + """
[recording]
pre_seconds = 12
export_clips = false
[camera.gate]
host = "a"
record = { schedule = "nights", inside = "continuous", outside = "alarm" }
pre_seconds = 5
[camera.yard]
host = "b"
record = "alarm"
fail_open = false
post_seconds = 9
[schedule.nights]
timezone = "Europe/Berlin"
windows = ["mon-fri 18:00-06:00"]
except = ["2026-12-24..2026-12-26"]
[[rule]]
name = "door"
cameras = ["gate"]
when = ["m1", "m1(10)b2"]
schedule = "!nights"
debounce_seconds = 0.5
min_interval_seconds = 60
motion_hold_seconds = 8
pre_seconds = 7
post_seconds = 3
while_active = false
do = ["output 1 make 1500", "preset 3", "day-night bw"]
[[rule]]
name = "motion"
when = ["v1"]
"""
)


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load(path)


def refused(tmp_path: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return caught.value


def sentences(tmp_path: Path, text: str) -> list[str]:
    error = refused(tmp_path, text)
    return [str(one).removeprefix(f"{tmp_path}/") for one in (error, *error.others)]


# ---- what is accepted


def test_the_least_configuration_is_one_volume(tmp_path: Path) -> None:
    config = read(tmp_path, LEAST)
    assert config.data_dir == Path("/var/lib/nvr")
    assert config.volumes[0].path == tmp_path / "footage"
    assert config.volumes[0].keep_free_bytes == 5_000_000_000
    assert config.keep() == Keep(0, 30 * 86_400 * US, 90 * 86_400 * US)
    assert (config.recording.segment_seconds, config.recording.sync_seconds) == (60, 2)
    assert config.metrics.address == ("127.0.0.1", 9685)
    assert config.cameras == {}


def test_every_key_can_be_set(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        data_dir = "data/../state"
        [[volume]]
        name = "a"
        path = "/mnt/a"
        keep_free = "500MB"
        quota = "2TB"
        [[volume]]
        name = "b"
        path = "../b"
        keep_free = 17
        [recording]
        segment_seconds = 1
        sync_seconds = 0.5
        [retention]
        min_days = 1.5
        max_days = 20
        clip_days = 200
        [metrics]
        listen = "[::1]:80"
        [camera.gate]
        host = "cam-1.example.net"
        http_port = 8080
        alarm_port = 8081
        user = "admin"
        password_file = "gate.password"
        record = "off"
        volume = "b"
        quota = "200GB"
        max_days = 7
        [camera.0]
        host = "fe80::1"
        [camera.0.timelapse]
        every_seconds = 60
        keep_days = 3
        """,
    )
    assert config.data_dir == tmp_path / "state"
    assert [volume.path for volume in config.volumes] == [Path("/mnt/a"), tmp_path.parent / "b"]
    assert [volume.keep_free_bytes for volume in config.volumes] == [500_000_000, 17]
    assert [volume.quota for volume in config.volumes] == [2 * 10**12, None]
    day_us = 86_400 * US
    assert config.keep("gate") == Keep(round(1.5 * day_us), 7 * day_us, 200 * day_us, 200 * 10**9)
    assert config.keep("gone") == Keep(round(1.5 * day_us), 20 * day_us, 200 * day_us)
    assert [config.keep(camera).film_us for camera in ("0", "gate", "gone")] == [3 * day_us, None, None]
    assert config.metrics.address == ("::1", 80)
    gate = config.cameras["gate"]
    assert (gate.host, gate.http_port, gate.alarm_port) == ("cam-1.example.net", 8080, 8081)
    assert (gate.user, gate.password_file) == ("admin", tmp_path / "gate.password")
    assert (gate.record, gate.volume) == ("off", "b")
    assert list(config.cameras) == ["gate", "0"]


def test_rules_schedules_and_plans_are_made_of_what_is_written(tmp_path: Path) -> None:
    config = read(tmp_path, ALARMS)
    nights = During("nights", Schedule.parse("Europe/Berlin", ["mon-fri 18:00-06:00"], ["2026-12-24..2026-12-26"]))
    assert config.rules_of("gate") == [
        Rule(
            "door",
            (Single(Change.M1), Combination(Change.M1, 10 * US, Change.B2)),
            cameras=("gate",),
            during=replace(nights, outside=True),
            debounce_us=US // 2,
            min_interval_us=60 * US,
            motion_hold_us=8 * US,
            pre_us=7 * US,
            post_us=3 * US,
            while_active=False,
            do=(SetOutput(1, True, 1500), GoToPreset(3), SetDayNight(DayNight.BW)),
        ),
        Rule("motion", (Single(Change.V1),), pre_us=5 * US, post_us=20 * US),
    ]
    assert config.rules_of("yard") == [Rule("motion", (Single(Change.V1),), pre_us=12 * US, post_us=9 * US)]
    assert config.manual_rule("gate") == Rule("manual", (), pre_us=5 * US, post_us=20 * US, while_active=False)
    assert config.manual_rule("yard") == Rule("manual", (), pre_us=12 * US, post_us=9 * US, while_active=False)
    assert config.record_plan("gate") == RecordPlan(Mode.CONTINUOUS, Mode.ALARM, nights)
    assert config.record_plan("yard") == RecordPlan.always(Mode.ALARM)
    assert (config.cameras["gate"].fail_open, config.cameras["yard"].fail_open) == (True, False)
    assert (config.recording.max_clip_seconds, config.recording.export_clips) == (600, False)


def test_a_schedule_is_parsed_once(tmp_path: Path) -> None:
    config = read(tmp_path, ALARMS)
    (door, _), window = config.rules_of("gate"), config.record_plan("gate").window
    assert isinstance(window, During)
    assert door.during is not None
    assert door.during.schedule is window.schedule is config.schedules["nights"].parsed


def test_without_alarms_everything_is_recorded_and_only_people_raise_them(tmp_path: Path) -> None:
    config = read(tmp_path, LEAST + '[camera.a]\nhost = "a"')
    assert config.rules_of("a") == []
    assert config.record_plan("a") == RecordPlan.always(Mode.CONTINUOUS)
    assert config.manual_rule("a") == Rule("manual", (), pre_us=10 * US, post_us=20 * US, while_active=False)


def test_a_rule_that_says_nothing_of_a_thing_has_the_rules_own_default() -> None:
    table = RuleTable(name="door", when=("m1",))
    rule = Rule("door", ())
    for key, us in [
        ("debounce_seconds", rule.debounce_us),
        ("min_interval_seconds", rule.min_interval_us),
        ("motion_hold_seconds", rule.motion_hold_us),
    ]:
        assert getattr(table, key) * US == us, key
    assert (table.while_active, table.actions) == (rule.while_active, rule.do)
    assert Recording().pre_seconds * US == rule.pre_us
    assert Recording().post_seconds * US == rule.post_us


def test_equal_rules_and_schedules_are_equal_however_often_they_were_asked(tmp_path: Path) -> None:
    asked, fresh = read(tmp_path, ALARMS), read(tmp_path, ALARMS)
    asked.rules_of("gate")
    asked.record_plan("gate")
    assert asked == fresh
    assert read(tmp_path, ALARMS.replace("18:00", "18:01")) != asked


def test_an_empty_listen_switches_metrics_off(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + '[metrics]\nlisten = ""').metrics.address is None


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ('"5GB"', 5 * 10**9),
        ('"5 GB"', 5 * 10**9),
        ('"1.5TB"', 15 * 10**11),
        ('"4GiB"', 4 << 30),
        ('"10kB"', 10_000),
        ('"10KB"', 10_000),
        ('"7"', 7),
        ('"7B"', 7),
        ("0", 0),
        ("123", 123),
        ('"2M"', 2_000_000),
    ],
)
def test_sizes_are_written_as_people_write_them(tmp_path: Path, text: str, size_bytes: int) -> None:
    assert read(tmp_path, LEAST + f"keep_free = {text}").volumes[0].keep_free_bytes == size_bytes


def test_a_field_of_view_is_pairs_of_zoom_and_degrees(tmp_path: Path) -> None:
    text = LEAST + '[camera.a]\nhost = "a"\nfield_of_view = [[0, 55.4],\n  [90.89, 2]]\n[camera.b]\nhost = "b"'
    config = read(tmp_path, text)
    assert config.cameras["a"].field_of_view == ((0.0, 55.4), (90.89, 2.0))
    assert config.cameras["b"].field_of_view is None
    assert config == read(tmp_path, text)


def test_where_a_camera_should_look_is_a_preset_or_a_position_in_degrees(tmp_path: Path) -> None:
    text = (
        LEAST
        + '[camera.a]\nhost = "a"\nexpect = { preset = 3, after_seconds = 20 }\n'
        + '[camera.b]\nhost = "b"\nexpect = { pan = 359.99, tilt = -5, zoom = 0.0, tolerance = 0.5 }\n'
        + '[camera.c]\nhost = "c"\nexpect = { tilt = 90.0 }\n'
        + '[camera.d]\nhost = "d"\n'
        + '[[rule]]\nname = "away"\nwhen = ["moved"]\n'
    )
    config = read(tmp_path, text)
    assert [config.expected(name) for name in "abcd"] == [
        Expected(preset=3, after_us=20 * US),
        Expected(pan=35_999, tilt=0, zoom=0, tolerance=50),
        Expected(tilt=9_500),
        None,
    ]
    assert config.rules_of("a")[0].needs_view


def test_what_must_hold_at_a_camera_is_written_as_its_settings_are(tmp_path: Path) -> None:
    gate = '[camera.gate]\nhost = "a"\nuser = "admin"\npassword = "x"\n'
    text = f"""{gate}[camera.gate.settings]
enforce = true
"camera.image.stabilizer" = true
"encode(2).framerate" = 7.5
"camera.position(n).comment" = {{ 3 = "door", 4 = "yard" }}
"""
    settings = read(tmp_path, LEAST + text).cameras["gate"].settings
    assert settings.enforce
    assert settings.values == {
        "camera.image.stabilizer": "on",
        "encode(2).framerate": "7.5",
        "camera.position(3).comment": "door",
        "camera.position(4).comment": "yard",
    }
    assert not read(tmp_path, LEAST + gate).cameras["gate"].settings.values


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('"camera.image.pedestal" = 101', "cannot hold: camera.image.pedestal is 0 to 100, not '101'"),
        (
            '"camera.image.pedstal" = 1',
            "cannot hold: 'camera.image.pedstal' is no parameter of the camera; did you mean",
        ),
        ('"system.password.admin" = "word1"', "system.password.admin is no setting that can be read back and compared"),
        ("enforce = 1", "must have enforce = true or enforce = false"),
    ],
)
def test_what_cannot_hold_at_a_camera_is_told(tmp_path: Path, line: str, sentence: str) -> None:
    gate = '[camera.gate]\nhost = "a"\nuser = "admin"\npassword = "x"\n[camera.gate.settings]\n'
    (told,) = sentences(tmp_path, LEAST + gate + line)
    assert "'camera.gate.settings' " in told
    assert sentence in told
    assert "word1" not in told


def test_equal_files_make_equal_values_and_a_changed_camera_shows(tmp_path: Path) -> None:
    text = LEAST + '[camera.a]\nhost = "a"\npassword = "x"\nuser = "u"\n[camera.b]\nhost = "b"\n'
    before, same, after = (read(tmp_path, text), read(tmp_path, text), read(tmp_path, text.replace('"x"', '"y"')))
    assert before == same
    assert before.cameras["a"] != after.cameras["a"]
    assert before.cameras["b"] == after.cameras["b"]


# ---- what is refused


@pytest.mark.parametrize(
    ("added", "sentence"),
    [
        (
            "[recording]\nfoo = 1",
            "line 6: unknown key 'recording.foo'; known here: export_clips, hash, max_clip_seconds, ",
        ),
        ("[recording]\nsync_second = 1", "line 6: unknown key 'recording.sync_second'; did you mean 'sync_seconds'?"),
        ("[recording]\npre_second = 1", "line 6: unknown key 'recording.pre_second'; did you mean 'pre_seconds'?"),
        ("[recording]\npre_seconds = -1", "line 6: 'recording.pre_seconds' must be at least 0, not -1"),
        (
            "[recording]\npre_seconds = 60.5",
            "line 6: 'recording.pre_seconds' is 60.5, but the ring in memory holds at most the last 60 s",
        ),
        (
            "[recording]\nmax_clip_seconds = 29",
            "line 6: 'recording.max_clip_seconds' is 29, shorter than pre_seconds and post_seconds together (10 an",
        ),
        ("[retentoin]\nmin_days = 0", "line 5: unknown key 'retentoin'; did you mean 'retention'?"),
        ("[retention]\nmax_days = 0", "line 6: 'retention.max_days' must be more than 0, not 0"),
        ("[retention]\nmin_days = -1", "line 6: 'retention.min_days' must be at least 0, not -1"),
        ("[retention]\ndays = 3", "line 6: unknown key 'retention.days'; did you mean 'min_days'?"),
        (
            "[retention]\nmin_days = 31",
            "line 6: 'retention.min_days' is 31: footage cannot be kept for at least 31 days (min_days) and deleted "
            "after 30 days (max_days)",
        ),
        (
            '[camera.a]\nhost = "a"\nmax_days = 1\n[retention]\nmin_days = 2',
            "line 7: 'camera.a.max_days' is 1: footage cannot be kept for at least 2 days (min_days) and deleted after "
            "1 day (max_days)",
        ),
        (
            '[camera.a]\nhost = "a"\nmin_days = 40',
            "line 7: 'camera.a.min_days' is 40: footage cannot be kept for at least 40 days (min_days) and deleted",
        ),
        ('[camera.a]\nhost = "a"\nquota = "9MB"', "line 7: 'camera.a.quota' must be at least 10MB, or next to nothing"),
        (
            '[camera.a]\nhost = "a"\nquota = "1GB"\nmin_days = 2',
            "line 7: 'camera.a.quota' is 1.0 GB, but the 2 days that min_days promises take 1.4 GB even at the "
            "camera's lowest rate (64 kbit/s)",
        ),
        (
            'quota = "1GB"\n[retention]\nmin_days = 1\n[camera.a]\nhost = "a"\n[camera.b]\nhost = "b"',
            "line 5: 'volume[1].quota' is 1.0 GB, but what min_days promises of its cameras takes 1.4 GB even at their",
        ),
        ("[camra.a]\nhost='x'", "line 5: unknown key 'camra'; did you mean 'camera'?"),
        ("[recording]\nsegment_seconds = 0", "line 6: 'recording.segment_seconds' must be at least 1, not 0"),
        ("[recording]\nsegment_seconds = 3601", "line 6: 'recording.segment_seconds' must be at most 3600, not 3601"),
        ("[recording]\nsync_seconds = 0.4", "line 6: 'recording.sync_seconds' must be at least 0.5, not 0.4"),
        ("[recording]\nsync_seconds = true", "line 6: 'recording.sync_seconds' must be a number, not true"),
        ('[recording]\nsync_seconds = "2"', "line 6: 'recording.sync_seconds' must be a number, not '2'"),
        ("[recording]\nsync_seconds = nan", "line 6: 'recording.sync_seconds' must be a finite number, not nan"),
        ("[camera.a]\nhttp_port = 80", "line 5: 'camera.a.host' is missing"),
        ('[camera.a]\nhost = "a"\nhttp_port = 0', "line 7: 'camera.a.http_port' must be at least 1, not 0"),
        ("[camera.a]\nhost='a'\nalarm_port = 65536", "line 7: 'camera.a.alarm_port' must be at most 65535, not 65536"),
        ('[camera.a]\nhost = "a"\nhttp_port = 80.0', "line 7: 'camera.a.http_port' must be a whole number, not 80.0"),
        (
            '[camera.a]\nhost = "http://u:geheim@1.2.3.4/"',
            "line 6: 'camera.a.host' must be a host name or an address such as \"192.168.0.2\", "
            "not 'http://***@1.2.3.4/'",
        ),
        (
            '[camera.a]\nhost = "192.168.0.300"',
            "line 6: 'camera.a.host' must be a host name or an address such as \"192.168.0.2\", not '192.168.0.300'",
        ),
        (
            '[camera.Gate]\nhost = "a"',
            "line 5: 'camera.Gate' has a name that must be 1 to 32 of the characters a-z, 0-9 and -, not 'Gate'",
        ),
        (
            f'[camera.{"a" * 33}]\nhost = "a"',
            f"line 5: 'camera.{'a' * 33}' has a name that must be 1 to 32 of the characters a-z, 0-9 and -, "
            f"not '{'a' * 33}'",
        ),
        (
            '[camera.clips]\nhost = "a"',
            "line 5: 'camera.clips' cannot be named 'clips', which is reserved; choose another name",
        ),
        (
            '[camera.a]\nhost = "a"\nrecord = "alarms"',
            "line 7: 'camera.a.record' must be 'continuous', 'alarm' or 'off', not 'alarms'",
        ),
        (
            '[camera.a]\nhost = "a"\nvolume = "b"',
            "line 7: 'camera.a.volume' names 'b', but the volumes are: main",
        ),
        (
            '[camera.a]\nhost = "a"\nuser = "u"\npassword = "p"\npassword_file = "f"',
            "line 5: 'camera.a' has both password and password_file; keep one of them",
        ),
        (
            '[camera.a]\nhost = "a"\nmulticast_group = "192.168.0.9"\nmulticast_port = 5',
            "line 7: 'camera.a.multicast_group' must be a multicast address from 224.0.0.0 to 239.255.255.255",
        ),
        (
            '[camera.a]\nhost = "a"\nmulticast_group = "239.1.1.1"',
            "line 5: 'camera.a' has only one of multicast_group and multicast_port; add the other, or leave both out",
        ),
        (
            '[camera.a]\nhost = "a"\ntransport = "multicast"',
            "line 5: 'camera.a' is to be received by multicast; add multicast_group and multicast_port, or its user",
        ),
        (
            '[camera.a]\nhost = "a"\ntransport = "multicast"\nmulticast_group = "239.1.1.1"\nmulticast_port = 5\n'
            "multicast_start = true",
            "line 5: 'camera.a' is to be told to send its multicast, which needs its user and password; add user",
        ),
        (
            '[camera.a]\nhost = "a"\n[camera.a.timelapse]\nevery_seconds = 0',
            "line 8: 'camera.a.timelapse.every_seconds' must be at least 1, not 0",
        ),
        (
            '[camera.a]\nhost = "a"\n[camera.a.timelapse]\nevery_seconds = 5\nkeep_day = 5',
            "line 9: unknown key 'camera.a.timelapse.keep_day'; did you mean 'keep_days'?",
        ),
        ('[camera.a]\nhost = "a"\npassword = "p"', "line 5: 'camera.a' has a password but no user; add user"),
        ('[camera.a]\nhost = "a"\nuser = "u"\npassword = 12345', "line 8: 'camera.a.password' must be text in quotes"),
        ('[metrics]\nlisten = "9685"', "line 6: 'metrics.listen' must be an address and a port such as"),
        ('[metrics]\nlisten = ":9685"', "line 6: 'metrics.listen' must be an address and a port such as"),
        ('[metrics]\nlisten = "::1:9685"', "line 6: 'metrics.listen' must have an IPv6 address in brackets"),
        ('[metrics]\nlisten = "a:0"', "line 6: 'metrics.listen' must have a port from 1 to 65535, not 0"),
        (
            '[camera.a]\nhost = "a"\nfield_of_view = [[0, 55], [0, 2]]',
            "line 7: 'camera.a.field_of_view' must have rising zoom figures whose pictures get narrower",
        ),
        (
            '[camera.a]\nhost = "a"\nfield_of_view = [[0, 55], [90, 56]]',
            "line 7: 'camera.a.field_of_view' must have rising zoom figures whose pictures get narrower",
        ),
        (
            '[camera.a]\nhost = "a"\nfield_of_view = [[0, 55], [100, 2]]',
            "line 7: 'camera.a.field_of_view' must have zoom figures from 0 to 99.99 and degrees between 0 and 180",
        ),
        (
            '[camera.a]\nhost = "a"\nfield_of_view = [[0, nan]]',
            "line 7: 'camera.a.field_of_view' must have zoom figures from 0 to 99.99 and degrees between 0 and 180",
        ),
        *(
            (
                f'[camera.a]\nhost = "a"\nfield_of_view = {wrong}',
                "line 7: 'camera.a.field_of_view' must be pairs of a zoom figure and degrees, such as [[0, 55",
            )
            for wrong in ("[]", "55.4", '"wide"', "[0, 55.4]", "[[0, 55.4, 1]]", "[[0, true]]", "[{zoom = 0}]")
        ),
        *(
            (f'[camera.a]\nhost = "a"\nexpect = {wrong}', f"line 7: {why}")
            for wrong, why in (
                ("{}", "'camera.a.expect' does not say where the camera should look; write preset = 3, or pan and"),
                ("{ after_seconds = 9 }", "'camera.a.expect' does not say where the camera should look; write preset"),
                ("{ preset = 3, pan = 9 }", "'camera.a.expect' has both a preset and a position; keep one of them"),
                ("{ preset = 100 }", "'camera.a.expect.preset' must be at most 99, not 100"),
                ("{ preset = -1 }", "'camera.a.expect.preset' must be at least 0, not -1"),
                ("{ pan = 360 }", "'camera.a.expect.pan' must be less than 360, not 360"),
                ("{ tilt = -6 }", "'camera.a.expect.tilt' must be at least -5, not -6"),
                ("{ pan = 9, tolerance = 0 }", "'camera.a.expect.tolerance' must be at least 0.1, not 0"),
                ("{ pan_degrees = 9 }", "unknown key 'camera.a.expect.pan_degrees'; known here: after_seconds, pan, "),
                ("3", "'camera.a.expect' must be a table, not 3"),
            )
        ),
        (
            '[camera.a]\nhost = "a"\n[[rule]]\nname = "x"\ncameras = ["a"]\nwhen = ["m1", "moved"]',
            "line 10: 'rule[1].when' has 'moved', but the camera 'a' has no expect; add expect to [camera.a]",
        ),
        (
            '[camera.a]\nhost = "a"\n[camera.b]\nhost = "b"\n[[rule]]\nname = "x"\nwhen = ["moved"]',
            "line 11: 'rule[1].when' has 'moved', but the cameras 'a', 'b' have no expect; add expect to [camera.a]",
        ),
        ('keep_free = "5 gigs"', 'line 5: \'volume[1].keep_free\' must be a size such as "5GB", "500MB" or'),
        ("keep_free = -1", "line 5: 'volume[1].keep_free' must be between 0 bytes and 8 EiB"),
        ("keep_free = 1.5", "line 5: 'volume[1].keep_free' must be a size such as \"5GB\""),
        ('quta = "5GB"', "line 5: unknown key 'volume[1].quta'; did you mean 'quota'?"),
        ("quota = 0", "line 5: 'volume[1].quota' must be at least 10MB, or next to nothing could be kept"),
        (
            '[[volume]]\nname = "main"\npath = "b"',
            "line 6: two volumes are named 'main'; names must differ",
        ),
        (
            '[[volume]]\nname = "b"\npath = "./footage"',
            "line 7: the volumes 'main' and 'b' have the same path ",
        ),
        ('[[volume]]\nname = "b"', "line 5: 'volume[2].path' is missing"),
        ('[[volume]]\nname = "b"\npath = ""', "line 7: 'volume[2].path' must be a path without control characters"),
        ('[[volume]]\nname = "b"\npath = 5', "line 7: 'volume[2].path' must be a path in quotes"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_with_its_key_and_line(tmp_path: Path, added: str, sentence: str) -> None:
    (said,) = sentences(tmp_path, LEAST + added)
    assert said.startswith(f"config.toml {sentence}")
    assert "\n" not in said


ALARM_CAMERA = LEAST + '[camera.gate]\nhost = "a"\n'  # lines 5 and 6
NIGHTS = '[schedule.nights]\ntimezone = "UTC"\nwindows = ["18:00-06:00"]\n'


@pytest.mark.parametrize(
    ("added", "sentence"),
    [
        (
            "pre_seconds = 61",
            "line 7: 'camera.gate.pre_seconds' is 61, but the ring in memory holds at most the last 6",
        ),
        ("fail_open = 1", "line 7: 'camera.gate.fail_open' must be true or false, not 1"),
        (
            "post_seconds = 595",
            "line 7: 'camera.gate.post_seconds' is 595, which makes a clip of at least 605 s, "
            "but recording.max_clip_seconds is 600",
        ),
        (
            "pre_seconds = 30\n[recording]\nmax_clip_seconds = 40",
            "line 7: 'camera.gate.pre_seconds' is 30, which makes a clip of at least 50 s, "
            "but recording.max_clip_seconds is 40",
        ),
        ("record = 5", "line 7: 'camera.gate.record' must be 'continuous', 'alarm' or 'off', not 5"),
        ('record = { inside = "off", outside = "alarm" }', "line 7: 'camera.gate.record.schedule' is missing"),
        (
            'record = { schedule = "x", inside = "on", outside = "off" }',
            "line 7: 'camera.gate.record.inside' must be 'continuous', 'alarm' or 'off', not 'on'",
        ),
        (
            'record = { schedule = "x", inside = "off", outside = "off" }',
            'line 7: \'camera.gate.record\' is "off" inside and outside; write record = "off"',
        ),
        (
            'record = { schedule = "x", inside = "off", outsid = "alarm", outside = "alarm" }',
            "line 7: unknown key 'camera.gate.record.outsid'; did you mean 'outside'?",
        ),
        (
            'record = { schedule = "day", inside = "off", outside = "alarm" }',
            "line 7: 'camera.gate.record.schedule' names the schedule 'day', but there is no schedule",
        ),
        (
            '[schedule.Nights]\ntimezone = "UTC"\nwindows = ["18:00-06:00"]',
            "line 7: 'schedule.Nights' has a name that must be 1 to 32 of the characters a-z, 0-9 and -, not 'Nights'",
        ),
        ('[schedule.a]\nwindows = ["18:00-06:00"]', "line 7: 'schedule.a.timezone' is missing"),
        (
            '[schedule.a]\ntimezone = "Europe/Berlinn"\nwindows = ["18:00-06:00"]',
            "line 8: 'schedule.a.timezone' names the time zone 'Europe/Berlinn', which is not known; "
            "did you mean 'Europe/Berlin'?",
        ),
        (
            '[schedule.a]\ntimezone = "UTC"\nwindows = [\n"18:00-06:00",\n"25:00-26:00"]',
            "line 9: 'schedule.a.windows' has the window '25:00-26:00', in which 25:00 is no time of day",
        ),
        (
            '[schedule.a]\ntimezone = "UTC"\nwindows = "18:00-06:00"',
            "line 9: 'schedule.a.windows' must be a list, such as [\"…\", \"…\"], not '18:00-06:00'",
        ),
        (
            '[schedule.a]\ntimezone = "UTC"\nwindows = [5]',
            "line 9: 'schedule.a.windows[1]' must be text in quotes, not 5",
        ),
        (
            '[schedule.a]\ntimezone = "UTC"\nwindows = []',
            "line 7: 'schedule.a' has no window, so it never is; add one to windows",
        ),
        (
            '[schedule.a]\ntimezone = "UTC"\nwindows = ["18:00-06:00"]\nexcept = ["2000-01-01..2199-01-01"]',
            "line 7: 'schedule.a' never is: its exceptions take away every window",
        ),
        (
            '[schedule.a]\ntimezone = "UTC"\nwindows = ["18:00-06:00"]\nexcept = ["24.12.2026"]',
            "line 10: 'schedule.a.except' has the exception '24.12.2026', in which '24.12.2026' is no date; write",
        ),
        (
            '[schedule.a]\ntimezone = "UTC"\nwindows = ["18:00-06:00"]\nexcept = [2026-12-24]',
            "line 10: 'schedule.a.except[1]' must be text in quotes",
        ),
        ('[[rule]]\nwhen = ["m1"]', "line 7: 'rule[1].name' is missing"),
        ('[[rule]]\nname = "a"', "line 7: 'rule[1].when' is missing"),
        ('[rule]\nname = "a"', "line 7: 'rule' must be written as [[rule]]"),
        ('[[rule]]\nname = "a b"\nwhen = ["m1"]', "line 8: 'rule[1].name' must be 1 to 32 of the characters a-z, 0-9"),
        (
            '[[rule]]\nname = "manual"\nwhen = ["m1"]',
            "line 8: 'rule[1].name' cannot be 'manual', the rule of alarms raised by hand; choose another name",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\n[[rule]]\nname = "a"\nwhen = ["m2"]',
            "line 11: two rules are named 'a'; names must differ",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\nwhistle = true',
            "line 10: unknown key 'rule[1].whistle'; known here: cameras, debounce_seconds, do, min_interval_seconds",
        ),
        (
            '[recording]\nexport_clips = false\n[[rule]]\nname = "a"\nwhen = ["m1"]\nsnapshot = true',
            "line 12: 'rule[1].snapshot' puts a JPEG beside the clip's file, but recording.export_clips is false",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = []',
            "line 7: 'rule[1]' has no trigger; write one into when, such as when = [\"m1\"]",
        ),
        ('[[rule]]\nname = "a"\nwhen = ["m1", "m1"]', "line 9: 'rule[1].when' has 'm1' twice"),
        ('[[rule]]\nname = "a"\nwhen = ["m3"]', "line 9: 'rule[1].when' has 'm3', which is no trigger; write m1, b1"),
        ('[[rule]]\nname = "a"\nwhen = ["m1(5)m1"]', "line 9: 'rule[1].when' has 'm1(5)m1', which names m1 twice; the"),
        (
            '[[rule]]\nname = "a"\nwhen = ["v1(5)m1"]',
            "line 9: 'rule[1].when' has 'v1(5)m1', but motion cannot be combi",
        ),
        ('[[rule]]\nname = "a"\nwhen = ["efans"]', "line 9: 'rule[1].when' has 'efans', its fan stopping, which only"),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\ndo = ["preset 100"]',
            "line 10: 'rule[1].do' has 'preset 100', which must have a preset from 0 to 99",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\ncameras = ["gate", "yard"]',
            "line 10: 'rule[1].cameras' names the camera 'yard', but the cameras are: gate",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\ncameras = []',
            "line 7: 'rule[1]' is for no camera; name one in cameras, or leave cameras out for all",
        ),
        (
            NIGHTS + '[[rule]]\nname = "a"\nwhen = ["m1"]\nschedule = "!night"',
            "line 13: 'rule[1].schedule' names the schedule 'night', but the schedules are: nights",
        ),
        (
            '[schedule.a]\ntimezone = "UTC"\nwindows = ["00:00-24:00"]\n'
            '[[rule]]\nname = "a"\nwhen = ["m1"]\nschedule = "!a"',
            "line 13: 'rule[1].schedule' is '!a', which never is: the schedule 'a' has no time outside it",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\npre_seconds = 59\ndebounce_seconds = 2',
            "line 10: 'rule[1].pre_seconds' is 59 and the alarm is told 2 s late by its debounce, but the ring in "
            "memory holds at most the last 60 s",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\ndebounce_seconds = 51',
            "line 10: 'rule[1].debounce_seconds' is 51, and 10 s before the alarm are wanted, but the ring in memory "
            "holds at most the last 60 s",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\npost_seconds = 591',
            "line 10: 'rule[1].post_seconds' is 591, which makes a clip of at least 601 s, "
            "but recording.max_clip_seconds is 600",
        ),
        (
            '[[rule]]\nname = "a"\nwhen = ["m1"]\nmotion_hold_seconds = 0',
            "line 10: 'rule[1].motion_hold_seconds' must be at least 1, not 0",
        ),
    ],
)
def test_a_mistake_in_an_alarm_is_told_in_one_sentence_too(tmp_path: Path, added: str, sentence: str) -> None:
    (said,) = sentences(tmp_path, ALARM_CAMERA + added)
    assert said.startswith(f"config.toml {sentence}")
    assert "\n" not in said


@pytest.mark.parametrize("text", ["", "volume = []", "data_dir = '/x'"])
def test_without_a_volume_there_is_nothing_to_do(tmp_path: Path, text: str) -> None:
    assert "there is no [[volume]]; add at least one" in str(refused(tmp_path, text))


def test_one_table_where_a_list_of_tables_belongs_is_explained(tmp_path: Path) -> None:
    said = sentences(tmp_path, "[volume]\nname='a'\npath='b'")
    assert said == ["config.toml line 1: 'volume' must be written as [[volume]]"]


def test_all_mistakes_are_told_in_the_order_of_their_lines(tmp_path: Path) -> None:
    said = sentences(tmp_path, "[recording]\nfoo = 1\nsegment_seconds = 0\n" + LEAST + "[camera.A]\nhost = 7\n")
    assert [one.split(":")[0] for one in said] == [f"config.toml line {line}" for line in (2, 3, 8, 9)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = 1\nb == 2\n", "config.toml line 2: this is not TOML: invalid value"),
        ("a = 1\na = 2\n", "config.toml line 2: this is not TOML: cannot overwrite a value"),
        ("a = [1,\n", "config.toml: this is not TOML: invalid value (at the end of the file)"),
        ("a = " + "[" * 5000, "config.toml: this is not TOML"),
        ("a = " + "9" * 5000, "config.toml: this is not TOML"),
    ],
)
def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    (said,) = sentences(tmp_path, text)
    assert said.startswith(sentence)


def test_what_is_not_text_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(ConfigError, match="line 2: is not UTF-8 text"):
        load(path)


def test_a_missing_file_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: no such file or directory"):
        load(tmp_path / "nowhere.toml")


def test_a_device_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        load(Path("/dev/zero"))


# ---- where it is looked for


def test_the_file_asked_for_wins_and_else_the_local_one_is_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("nvr.config.SYSTEM_CONFIG", tmp_path / "etc.toml")
    monkeypatch.chdir(tmp_path)
    assert find(Path("other.toml")) == Path("other.toml")
    with pytest.raises(ConfigError, match=r"there is no .*etc\.toml and no \./config\.toml; name your file with"):
        find(None)
    (tmp_path / "config.toml").touch()
    assert find(None) == Path("config.toml")
    (tmp_path / "etc.toml").touch()
    assert find(None) == tmp_path / "etc.toml"


# ---- secrets

CAMERA = LEAST + '[camera.gate]\nhost = "a"\nuser = "admin"\n'


def test_a_password_is_never_printed(tmp_path: Path) -> None:
    config = read(tmp_path, CAMERA + 'password = "geheim"')
    credentials = config.credentials("gate")
    assert credentials is not None
    assert "geheim" not in repr(config) + str(config) + repr(credentials) + config.model_dump_json()
    assert credentials.password.get_secret_value() == "geheim"


def test_no_user_means_no_credentials(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + '[camera.gate]\nhost = "a"').credentials("gate") is None


def test_a_password_file_is_read_when_asked_and_only_where_it_is_private(tmp_path: Path) -> None:
    config = read(tmp_path, CAMERA + 'password_file = "gate.password"')
    with pytest.raises(ConfigError, match="cannot be read: no such file"):
        config.credentials("gate")
    secret = tmp_path / "gate.password"
    secret.write_text("geheim\nsecond line\n")
    secret.chmod(0o640)
    with pytest.raises(ConfigError, match=r"others than its owner; run: chmod 600 .*gate\.password"):
        config.credentials("gate")
    secret.chmod(0o600)
    credentials = config.credentials("gate")
    assert credentials is not None
    assert credentials.password.get_secret_value() == "geheim"
    secret.write_text("\n")
    with pytest.raises(ConfigError, match="no password in its first line"):
        config.credentials("gate")


@pytest.mark.parametrize("name", ["camera.gate", "camera_gate"])  # the second as LoadCredential=camera:FOLDER names it
def test_a_systemd_credential_is_found_by_the_cameras_name(tmp_path: Path, monkeypatch, name: str) -> None:
    config = read(tmp_path, CAMERA)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match=r"a user but no password; add password_file, .* named camera\.gate"):
        config.credentials("gate")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / name).write_text("geheim")
    credentials = config.credentials("gate")
    assert credentials is not None
    assert credentials.password.get_secret_value() == "geheim"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch(0o000)
    with pytest.raises(ConfigError, match="permission denied"):
        load(tmp_path / "config.toml")


# ---- lines

TRAPS = (Path(__file__).parent / "config_traps.toml").read_text()


def test_lines_are_right_in_a_file_full_of_traps() -> None:
    assert key_lines(TRAPS, tomllib.loads(TRAPS)) == {
        ("title",): 2,
        ("other",): 6,
        ("a",): 10,
        ("a", "b.c"): 10,
        ("a", "b.c", "d e"): 10,
        ("a", "b.c", "d e", "x"): 10,
        ("a", "b.c", "d e", "z"): 10,
        ("recording",): 11,
        ("recording", "foo"): 12,
        ("recording", "sub"): 16,
        ("recording", "sub", "foo"): 16,
        ("volume",): 17,
        ("volume", 0): 17,
        ("volume", 0, "bar"): 18,
        ("volume", 0, "foo"): 19,
        ("volume", 0, "foo", "bar"): 20,
        ("volume", 1): 21,
        ("volume", 1, "foo"): 22,
        ("volume", 1, "foo", "foo"): 22,
        ("volume", 1, "foo", "foo", "foo"): 22,
        ("volume", 1, "list"): 23,
        ("volume", 1, "list", 0): 23,
        ("volume", 1, "list", 0, "foo"): 24,
        ("volume", 1, "list", 1): 25,
        ("volume", 1, "list", 1, "foo"): 26,
        ("recording", "deep"): 27,
        ("recording", "deep", "deeper"): 27,
        ("recording", "deep", "deeper", "deepest"): 27,
        ("recording", "deep", "deeper", "deepest", "foo"): 28,
        ("later",): 29,
        ("later", "inline"): 30,
        ("later", "inline", 0): 30,
        ("later", "inline", 0, "foo"): 30,
        ("later", "inline", 1): 31,
        ("later", "inline", 1, "foo"): 31,
        ("later", "inline", 2): 32,
        ("later", "inline", 2, "foo"): 32,
        ("later", "inline", 2, "bar"): 33,
    }


def test_lines_count_the_same_in_a_file_from_windows() -> None:
    text = TRAPS.replace("\n", "\r\n")
    assert key_lines(text, tomllib.loads(text)) == key_lines(TRAPS, tomllib.loads(TRAPS))


def test_where_the_scan_is_not_sure_there_are_no_lines() -> None:
    text = "a = [1, { b = 2 }]"  # tables among other values: more than the scan understands
    assert key_lines(text, tomllib.loads(text)) == {}


def test_a_scan_that_read_something_else_than_the_parser_is_not_believed() -> None:
    assert key_lines("a = 1\nb = 2\n", {"a": 1, "b": 2}) == {("a",): 1, ("b",): 2}
    assert key_lines("a = 1\nb = 2\n", {"a": 1, "b": 3}) == {}
    assert key_lines("a = 1\nb = 2\n", {"a": True, "b": 2}) == {}
    assert key_lines("a = 1\nb = 2\n", {"a": 1}) == {}
    assert key_lines("a = 1\n", {"a": 1, "b": 2}) == {}


# @ is a double quote.
_VALUES = [
    "1",
    "true",
    "-inf",
    "nan",
    "1979-05-27 07:32:00",
    "07:32:00",
    "@a # k0 = 1@",
    "@\\@k0 = 1@",
    "'[t0]'",
    "@@",
    "@@@@@@",
    "@@@\nk0 = 1\n[t0]\n@@@",
    "@@@\nk1 = \\@@@\n@@\n@@@@@",
    "'''\n[[t1]]\nk1 = 2\n'''''",
    "[ # k0 = 1\n 1,\n@]@, ]",
    "[]",
    "[[\n], ['a']]",
    "{}",
    "{ k0 = 1, k1 = '}' }",
    "{ k0.k1 = { k2 = [1,\n2] } }",
    "[{ k0 = 1 },\n # { k0 = 2 }\n { k0 = 3, k1 = 4 } ]",
]
_KEYS = ["key{}", " key{}", "\t'key{}'", "@key{}@", "@\\u006bey{}@", "dotted . key{}", "@x.y@.key{}"]
_BETWEEN = ["", "\n", "# k0 = 1\n", "  # [t0]\n\n"]
_TABLES = ["[t{}]", "[ 't{}' ]", "[[list]]", "[[ list ]] # [t0]", "[x.t{}]", "[list.t{}]"]


@given(st.data())
def test_every_key_is_found_in_its_line_however_the_file_is_written(data: st.DataObject) -> None:
    text = "[[list]]\n"
    expected: dict[str, int] = {}
    for table in range(data.draw(st.integers(1, 4))):
        text += data.draw(st.sampled_from(_BETWEEN)) + data.draw(st.sampled_from(_TABLES)).format(table) + "\n"
        for _ in range(data.draw(st.integers(0, 4))):
            text += data.draw(st.sampled_from(_BETWEEN))
            number = len(expected)
            expected[f"key{number}"] = text.count("\n") + 1
            text += data.draw(st.sampled_from(_KEYS)).format(number) + data.draw(st.sampled_from([" = ", "="]))
            text += data.draw(st.sampled_from(_VALUES)) + data.draw(st.sampled_from(["\n", "  # k0 = 1\n"]))
    text = text.replace("@", '"')
    lines = key_lines(text, tomllib.loads(text))
    assert {where[-1]: line for where, line in lines.items() if where[-1] in expected} == expected

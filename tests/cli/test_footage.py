"""`nvr footage list` and `coverage`: against a real index, with and without a daemon beside it."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from nvr.cli.times import iso_utc, read_iso_utc
from nvr.clock import HostClock
from nvr.store.rows import SegmentState, SpanKind
from nvr.units import US
from tests.cli.conftest import NOON_US, Said, Site

Nvr = Callable[..., Said]
NOON = "2025-11-23T12:00"


def spans(said: Said) -> list[tuple[str, str | None, float, float]]:
    """kind, reason, and begin and end in seconds since noon; checked to be seamless."""
    told: list[dict[str, Any]] = said.json
    assert all(before["end"] == after["start"] for before, after in pairwise(told))
    return [
        (
            span["kind"],
            span["reason"],
            (read_iso_utc(span["start"]) - NOON_US) / US,
            (read_iso_utc(span["end"]) - NOON_US) / US,
        )
        for span in told
    ]


def test_segments_are_listed_as_the_contract_says(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 10 * US)
        first = filling.segment(run, 0, NOON_US)
        second = filling.segment(run, 1, NOON_US + 5 * US, 30, recovered=True)
    said = nvr("footage", "list", "--camera", "gate", "--json")
    assert said.code == 0
    assert said.json == [
        {
            "camera": "gate",
            "run": run,
            "seq": 0,
            "path": str(first),
            "start": "2025-11-23T12:00:00.000000Z",
            "end": "2025-11-23T12:00:05.000000Z",
            "duration_seconds": 5.0,
            "frames": 50,
            "size_bytes": first.stat().st_size,
            "recovered": False,
        },
        {
            "camera": "gate",
            "run": run,
            "seq": 1,
            "path": str(second),
            "start": "2025-11-23T12:00:05.000000Z",
            "end": "2025-11-23T12:00:08.000000Z",
            "duration_seconds": 3.0,
            "frames": 30,
            "size_bytes": second.stat().st_size,
            "recovered": True,
        },
    ]


def test_only_segments_that_touch_the_time_asked_for_are_listed(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        run = filling.run(NOON_US)
        for number in range(3):
            filling.segment(run, number, NOON_US + number * 60 * US)

    def listed(*words: str) -> list[int]:
        return [segment["seq"] for segment in nvr("footage", "list", "--camera", "gate", "--json", *words).json]

    assert listed() == [0, 1, 2]
    assert listed("--from", f"{NOON}:04", "--to", f"{NOON}:10") == [0]
    assert listed("--from", f"{NOON}:05", "--to", "2025-11-23T12:01") == []
    assert listed("--from", "2025-11-23T13:01:02+01:00") == [1, 2]
    assert listed("--to", f"{NOON}:01") == [0]


def test_films_of_days_are_listed_with_where_they_are(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        paths = [filling.film(day) for day in (0, 1)]
    said = nvr("footage", "films", "--camera", "gate", "--json")
    assert said.code == 0
    facts = {"camera": "gate", "files": 1, "pictures": 1440, "size_bytes": 1000, "state": "ok"}
    assert said.json == [
        {**facts, "day": day, "path": str(path)} for day, path in zip(("2025-11-23", "2025-11-24"), paths, strict=True)
    ]
    lines = nvr("footage", "films").out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["gate", "2025-11-23", "1440"],
        ["gate", "2025-11-24", "1440"],
    ]
    assert lines[2].endswith(str(paths[1]))


def test_where_no_film_was_made_it_says_what_makes_them(nvr: Nvr, site: Site) -> None:
    with site.index():
        pass
    said = nvr("footage", "films", "--camera", "gate")
    assert (said.code, said.out) == (0, "")
    assert said.err == "nvr: no films of days are there; `timelapse` of a camera makes them\n"
    assert nvr("footage", "films", "--json").json == []
    assert nvr("footage", "films", "--camera", "barn").code == 2


def test_thousands_of_segments_come_page_by_page_and_none_twice(nvr: Nvr, site: Site) -> None:
    from fractions import Fraction

    from nvr.store.rows import SegmentRow

    with site.index() as filling:
        run = filling.run(NOON_US)
        for seq in range(2001):
            row = SegmentRow(
                filling.camera_id,
                run,
                seq,
                filling.volume_id,
                NOON_US + seq // 2 * US,  # two of them begin together
                NOON_US + (seq // 2 + 1) * US,
                10,
                1000,
                Fraction(1, 90_000),
                0,
                90_000,
            )
            last = filling.index.add_segment(row)
        last.result()
    said = nvr("footage", "list", "--camera", "gate", "--json")
    assert sorted(segment["seq"] for segment in said.json) == list(range(2001))


def test_a_person_sees_a_line_for_each_segment(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        path = filling.segment(filling.run(NOON_US), 0, NOON_US, recovered=True, state=SegmentState.DAMAGED)
    said = nvr("footage", "list", "--camera", "gate")
    head, line = said.out.splitlines()
    assert head.split() == ["start", "lasts", "pictures", "size", "file"]
    assert line.startswith("2025-11-23 12:00:00+0000  5.0 s  50")
    assert line.endswith(f"recovered,damaged  {path}")


def test_nothing_recorded_is_an_empty_list_and_a_word_to_people(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        assert filling.camera_id
    assert nvr("footage", "list", "--camera", "gate", "--json").json == []
    said = nvr("footage", "list", "--camera", "gate")
    assert (said.code, said.out, said.err) == (0, "", "nvr: nothing recorded there\n")


def test_a_camera_that_never_was_is_wrong_use_and_one_not_yet_seen_is_not_well(nvr: Nvr, site: Site) -> None:
    with site.index():
        pass
    said = nvr("footage", "list", "--camera", "gaet")
    assert (said.code, said.err) == (2, "nvr: there is no camera 'gaet'; there are: door, gate\n")
    said = nvr("footage", "list", "--camera", "door")
    assert said.code == 1
    assert "has not run since the camera 'door' was configured" in said.err


def test_without_an_index_it_says_so(nvr: Nvr, site: Site) -> None:
    for file in site.data_dir.iterdir():
        file.unlink()
    said = nvr("footage", "list", "--camera", "gate")
    assert said.code == 1
    assert "there is no index" in said.err or "is not there" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--from", "soon"], "nvr: 'soon' is not a time; write 2026-11-23T14:03:22+01:00, or"),
        (["--from", NOON, "--to", NOON], "nvr: --from 2025-11-23 12:00:00+0000 is not before --to 2025-11-23 12:00"),
    ],
)
def test_a_wrong_time_is_one_sentence_and_exit_code_2(nvr: Nvr, words: list[str], sentence: str) -> None:
    for command in ("list", "coverage"):
        said = nvr("footage", command, "--camera", "gate", *words)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(sentence)
        assert len(said.err.splitlines()) == 1


# ---- coverage


def test_every_second_is_recorded_off_or_a_gap_with_its_reason(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        run = filling.run(NOON_US, ended_us=NOON_US + 5 * US)
        filling.segment(run, 0, NOON_US)
        filling.gap("camera-unreachable", NOON_US + 5 * US, NOON_US + 20 * US)
        filling.gap("record-off", NOON_US + 20 * US, NOON_US + 30 * US, SpanKind.OFF)
        again = filling.run(NOON_US + 30 * US, ended_us=NOON_US + 35 * US)
        filling.segment(again, 0, NOON_US + 30 * US)
        filling.gap("service-stopped", NOON_US + 35 * US, None)
    said = nvr("footage", "coverage", "--camera", "gate", "--json", "--from", "2025-11-23T11:59", "--to", f"{NOON}:50")
    assert spans(said) == [
        ("off", "not-configured", -60, 0),
        ("recorded", None, 0, 5),
        ("gap", "camera-unreachable", 5, 20),
        ("off", "record-off", 20, 30),
        ("recorded", None, 30, 35),
        ("gap", "service-stopped", 35, 50),
    ]


def test_without_times_it_reaches_from_the_first_configuration_to_now(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.segment(filling.run(NOON_US, ended_us=NOON_US + 5 * US), 0, NOON_US)
    before_us = HostClock().utc_us()
    found = spans(nvr("footage", "coverage", "--camera", "gate", "--json"))
    assert found[0] == ("recorded", None, 0, 5)
    assert found[1][:3] == ("gap", "service-stopped", 5)
    assert len(found) == 2
    assert before_us <= NOON_US + round(found[1][3] * US) <= HostClock().utc_us()


def test_what_a_killed_daemon_left_open_is_a_crash(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.segment(filling.run(NOON_US), 0, NOON_US)
    said = nvr("footage", "coverage", "--camera", "gate", "--json", "--to", f"{NOON}:07")
    assert spans(said) == [("recorded", None, 0, 5), ("gap", "service-crashed", 5, 7)]


def test_what_a_running_daemon_records_now_counts_up_to_now(nvr: Nvr, site: Site) -> None:
    now_us = HostClock().utc_us()
    began_us = now_us - 60 * US
    with site.index() as filling, site.daemon() as daemon:
        run = filling.run(began_us)
        filling.segment(run, 0, began_us)
        parts = [(1, began_us + 5 * US, began_us + 30 * US), (2, began_us + 30 * US, now_us - US)]
        daemon.live_is = {
            "gate": [
                {"path": f"/x/{seq}", "run": run, "seq": seq, "start_us": start, "end_us": end, "frames": 1, "epoch": 0}
                for seq, start, end in parts
            ]
        }
        said = nvr("footage", "coverage", "--camera", "gate", "--json", "--from", iso_utc(began_us))
        assert [span["kind"] for span in said.json] == ["recorded"]
        # A camera that stalls is an open gap in the index, although its file is still open.
        filling.gap("camera-stalled", now_us - 10 * US, None)
        said = nvr("footage", "coverage", "--camera", "gate", "--json", "--from", iso_utc(began_us), "--to", "now")
        assert [(span["kind"], span["reason"]) for span in said.json] == [
            ("recorded", None),
            ("gap", "camera-stalled"),
        ]
        assert said.json[1]["start"] == iso_utc(now_us - 10 * US)
        # Without what is live, it would be a gap that nobody explains.
        daemon.live_is = {}
        said = nvr("footage", "coverage", "--camera", "gate", "--json", "--to", iso_utc(began_us + 10 * US))
        assert ("gap", "unknown") in {(span["kind"], span["reason"]) for span in said.json}


def test_recording_that_begins_again_between_two_looks_leaves_nothing_unexplained(nvr: Nvr, site: Site) -> None:
    now_us = HostClock().utc_us()
    with site.index() as filling, site.daemon() as daemon:
        run = filling.run(now_us - 60 * US)
        filling.gap("disk-full", now_us - 60 * US, now_us - US)
        begun = {"path": "/x", "run": run, "seq": 0, "start_us": now_us - US, "end_us": now_us, "frames": 1, "epoch": 0}
        daemon.live_was, daemon.live_is = {"gate": []}, {"gate": [begun]}
        said = nvr("footage", "coverage", "--camera", "gate", "--json", "--from", iso_utc(now_us - 60 * US))
        assert [(span["kind"], span["reason"]) for span in said.json] == [("gap", "disk-full"), ("recorded", None)]


def test_a_person_sees_the_coverage_as_lines(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.segment(filling.run(NOON_US, ended_us=NOON_US), 0, NOON_US)
    said = nvr("footage", "coverage", "--camera", "gate", "--to", f"{NOON}:10")
    assert [line.split() for line in said.out.splitlines()] == [
        ["from", "to", "lasts", "why"],
        ["2025-11-23", "12:00:00+0000", "2025-11-23", "12:00:05+0000", "5.0", "s", "recorded"],
        ["2025-11-23", "12:00:05+0000", "2025-11-23", "12:00:10+0000", "5.0", "s", "gap", "service-stopped"],
    ]


# ---- time that happens twice, or never


def test_time_that_happens_twice_is_listed_twice_and_covered_once(nvr: Nvr, site: Site) -> None:
    """At noon and eight seconds this machine's clock was put back by five, and later set forward by a minute."""
    with site.index() as filling:
        first = filling.run(NOON_US, ended_us=NOON_US + 8 * US)
        filling.segment(first, 0, NOON_US)
        filling.segment(first, 1, NOON_US + 5 * US, frames=30)
        again = filling.run(NOON_US + 3 * US, ended_us=NOON_US + 13 * US, epoch=1)
        filling.segment(again, 0, NOON_US + 3 * US)
        filling.segment(again, 1, NOON_US + 8 * US)
        filling.gap("clock-step", NOON_US + 13 * US, NOON_US + 73 * US, epoch=1)
        filling.gap("service-stopped", NOON_US + 73 * US, None, epoch=1)
    listed = nvr("footage", "list", "--camera", "gate", "--from", f"{NOON}:05", "--to", f"{NOON}:08", "--json").json
    assert [(one["run"], one["seq"]) for one in listed] == [(again, 0), (first, 1)]
    said = nvr("footage", "coverage", "--camera", "gate", "--json", "--from", NOON, "--to", f"{NOON}:50")
    assert spans(said) == [("recorded", None, 0, 13), ("gap", "clock-step", 13, 50)]


@pytest.mark.parametrize(
    ("night", "switch", "shown"),
    [
        ("2025-10-26", "2025-10-26T01:00:00Z", ["02:59:59+0200", "02:00:04+0100"]),
        ("2026-03-29", "2026-03-29T01:00:00Z", ["01:59:59+0100", "03:00:04+0200"]),
    ],
)
def test_a_night_in_which_the_wall_clock_jumps_loses_and_doubles_nothing(
    nvr: Nvr, site: Site, monkeypatch: pytest.MonkeyPatch, night: str, switch: str, shown: list[str]
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    switch_us = read_iso_utc(switch)
    with site.index() as filling:
        run = filling.run(switch_us - US, ended_us=switch_us + 9 * US)
        filling.segment(run, 0, switch_us - US)
        filling.segment(run, 1, switch_us + 4 * US)
        filling.gap("service-stopped", switch_us + 9 * US, None)
    asked = ("--camera", "gate", "--from", f"{night}T01:30", "--to", f"{night}T03:30")
    lines = nvr("footage", "list", *asked).out.splitlines()[1:]
    assert [line.split()[1] for line in lines] == shown
    covered = nvr("footage", "coverage", *asked, "--json").json
    asked_us = 2 * 3600 * US + (3600 * US if night == "2025-10-26" else -3600 * US)
    lengths = [read_iso_utc(one["end"]) - read_iso_utc(one["start"]) for one in covered]
    assert sum(lengths) == asked_us
    assert [length for one, length in zip(covered, lengths, strict=True) if one["kind"] == "recorded"] == [10 * US]

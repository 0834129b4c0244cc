"""`nvr events`, and what `nvr footage` and `nvr status` say of clocks that were wrong."""

from collections.abc import Callable

from nvr.store.rows import CameraClockRow, Run
from nvr.units import US
from tests.cli.conftest import NOON_US, Filling, Said, Site

Nvr = Callable[..., Said]


def test_events_are_listed_for_people_and_machines(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.index.add_event(NOON_US, "host-clock-unsynchronised", "this machine's clock is not synchronised")
        filling.index.note_fan(filling.camera_id, NOON_US + 5 * US, failed=True)
    said = nvr("events")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "at                        camera  what",
        "2025-11-23 12:00:00+0000  -       host-clock-unsynchronised  this machine's clock is not synchronised",
        "2025-11-23 12:00:05+0000  gate    fan-failed                 the camera's fan failed",
    ]
    [fan] = nvr("events", "--camera", "gate", "--json").json
    assert fan == {
        "id": 2,
        "at": "2025-11-23T12:00:05.000000Z",
        "camera": "gate",
        "kind": "fan-failed",
        "text": "the camera's fan failed",
        "facts": {},
    }
    assert nvr("events", "--from", "2025-11-23T12:00:01Z", "--to", "2025-11-23T12:00:05Z", "--json").json == []
    assert nvr("events", "--to", "2025-11-22").err == "nvr: nothing happened there\n"


def test_more_events_than_a_page_come_all(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        for number in range(2345):
            filling.index.add_event(NOON_US + number, "x", "it happened")
    assert [event["id"] for event in nvr("events", "--json").json] == list(range(1, 2346))


def test_a_camera_that_is_none_is_wrong_use(nvr: Nvr, site: Site) -> None:
    said = nvr("events", "--camera", "moon")
    assert (said.code, said.err) == (2, "nvr: there is no camera 'moon'; there are: door, gate\n")


def begun_on_a_wrong_clock(filling: Filling, correction_us: int | None) -> None:
    """A run of five seconds at noon that was really recorded an hour later."""
    number = filling.index.next_run(NOON_US)
    run = Run(number, filling.camera_id, "gate", NOON_US, "connected", 0, "stream", NOON_US, host_synchronised=False)
    filling.index.begin_run(run).result()
    filling.index.end_run(number, NOON_US + 5 * US, "clock-step").result()
    filling.segment(number, 0, NOON_US)
    if correction_us is not None:
        filling.index.correct_run(number, correction_us).result()


def test_footage_of_a_wrong_clock_is_marked_and_moves_when_asked(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        begun_on_a_wrong_clock(filling, 3600 * US)
        path = next(site.footage.rglob("*.mp4"))
    assert "  clock +3600.000 s  " in nvr("footage", "list", "--camera", "gate").out
    [plain] = nvr("footage", "list", "--camera", "gate", "--json").json
    assert plain["start"] == "2025-11-23T12:00:00.000000Z"
    assert "correction_seconds" not in plain
    [moved] = nvr("footage", "list", "--camera", "gate", "--corrected", "--json").json
    assert moved == plain | {
        "path": str(path),
        "start": "2025-11-23T13:00:00.000000Z",
        "end": "2025-11-23T13:00:05.000000Z",
        "clock_synchronised": False,
        "correction_seconds": 3600.0,
    }
    span = ("--from", "2025-11-23T13:00:00Z", "--to", "2025-11-23T13:00:10Z")
    assert len(nvr("footage", "list", "--camera", "gate", "--corrected", *span, "--json").json) == 1
    assert nvr("footage", "list", "--camera", "gate", *span, "--json").json == []
    covered = nvr("footage", "coverage", "--camera", "gate", "--corrected", *span, "--json").json
    assert [(one["kind"], one["start"], one["end"]) for one in covered] == [
        ("recorded", "2025-11-23T13:00:00.000000Z", "2025-11-23T13:00:05.000000Z"),
        ("gap", "2025-11-23T13:00:05.000000Z", "2025-11-23T13:00:10.000000Z"),
    ]
    assert nvr("footage", "coverage", "--camera", "gate", *span, "--json").json[0]["kind"] == "gap"


def test_what_the_daemon_has_not_entered_yet_moves_as_well(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        begun_on_a_wrong_clock(filling, 3600 * US)
        run = NOON_US // US
    with site.daemon() as daemon:
        facts = {"run": run, "seq": 1, "start_us": NOON_US + 5 * US, "end_us": NOON_US + 8 * US, "epoch": 0}
        later = {"run": run + 1, "seq": 0, "start_us": NOON_US + 3608 * US, "end_us": NOON_US + 3609 * US, "epoch": 0}
        daemon.live_is = {"gate": [facts | {"path": "/x"}, later | {"path": "/y"}]}
        span = ("--from", "2025-11-23T13:00:00Z", "--to", "2025-11-23T13:00:08.5Z")
        covered = nvr("footage", "coverage", "--camera", "gate", "--corrected", *span, "--json").json
    assert [(one["kind"], one["end"]) for one in covered] == [("recorded", "2025-11-23T13:00:08.500000Z")]


def test_footage_of_a_clock_of_which_nothing_is_known_is_marked(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        begun_on_a_wrong_clock(filling, None)
    assert "  clock?  " in nvr("footage", "list", "--camera", "gate").out
    [segment] = nvr("footage", "list", "--camera", "gate", "--corrected", "--json").json
    assert (segment["clock_synchronised"], segment["correction_seconds"]) == (False, 0.0)


def test_without_a_daemon_status_says_what_cameras_said_last(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.index.identify_camera(filling.camera_id, NOON_US, "VN-V685U", "yard")
        filling.index.note_fan(filling.camera_id, NOON_US, failed=True)
        filling.index.add_camera_clock(filling.camera_id, CameraClockRow(NOON_US, -2_500_000, 20_500))
    said = nvr("status", "--json")
    gate, door = said.json["cameras"]
    assert {name: gate[name] for name in ("model", "camera_id", "fan_failed", "clock_offset_seconds")} == {
        "model": "VN-V685U",
        "camera_id": "yard",
        "fan_failed": True,
        "clock_offset_seconds": -2.5,
    }
    assert gate["clock_drift_ppm"] == 20.5
    assert door["model"] is door["fan_failed"] is door["clock_offset_seconds"] is None
    assert said.json["host_clock"].keys() == {"synchronised", "estimated_error_seconds"}
    told = nvr("status").err
    assert "nvr: the camera 'gate' says its fan failed\n" in told
    assert "nvr: the clock of the camera 'gate' is -2.5 seconds off\n" in told


def test_a_camera_that_looks_elsewhere_than_it_should_is_said(nvr: Nvr, site: Site) -> None:
    site.config.write_text(site.config.read_text().replace("[camera.gate]", "[camera.gate]\nexpect = { preset = 3 }"))
    assert nvr("status", "--json").json["cameras"][0]["turned_away"] is None
    with site.index() as filling:
        filling.index.note_view(filling.camera_id, NOON_US, away=True, text="it looks away", facts={})
    gate, door = nvr("status", "--json").json["cameras"]
    assert (gate["expected"], gate["turned_away"]) == ("at preset 3", True)
    assert door["expected"] is door["turned_away"] is None
    assert "nvr: the camera 'gate' is expected at preset 3 and looks elsewhere\n" in nvr("status").err
    assert "turned-away  it looks away" in nvr("events").out


def test_a_machine_whose_clock_is_not_synchronised_is_said(nvr: Nvr, site: Site) -> None:
    with site.daemon() as daemon:
        for synchronised, said in [(True, False), (None, False), (False, True)]:
            daemon.status_is = {
                "version": "1",
                "cameras": [],
                "volumes": [],
                "host_clock": {"synchronised": synchronised, "estimated_error_seconds": None},
            }
            assert ("clock is not synchronised" in nvr("status").err) is said

"""`nvr retention explain`: what goes when, in words for whoever stands before the machine."""

import time
from collections.abc import Callable
from pathlib import Path

from nvr.store.rows import ClipExport, CloseClip, OpenClip
from nvr.units import US
from tests.cli.conftest import NOON_US, Said, Site

Nvr = Callable[..., Said]

DAY_US = 86_400 * US


def configure(site: Site, retention: str, *, volume: str = "", camera: str = "") -> None:
    text = site.config.read_text().replace("[camera.gate]\n", f"[camera.gate]\n{camera}")
    site.config.write_text(
        text.replace("keep_free = 0\n", f"keep_free = 0\n{volume}") + f"\n[retention]\n{retention}\n"
    )


def a_year_from(us: int) -> str:
    return f"max_days = {(time.time_ns() // 1000 - us) / DAY_US + 365:.0f}"


def test_each_rule_says_what_it_will_delete_and_when_the_soonest_first(nvr: Nvr, site: Site) -> None:
    now_us = time.time_ns() // 1000
    with site.index() as filling:
        run = filling.run(now_us - DAY_US // 2)
        size = filling.segment(run, 0, now_us - DAY_US // 2).stat().st_size
    configure(site, "max_days = 30\nmin_days = 3", volume='quota = "100GB"\n', camera='quota = "3GB"\n')
    said = nvr("retention", "explain", "--camera", "gate")
    assert (said.code, said.err) == (0, "")
    head, first, *rest = said.out.splitlines()
    assert head.startswith(f"camera 'gate': {size / 1000:.1f} kB, back to ")
    assert head.endswith(f"{2 * size / 1000:.1f} kB a day lately")
    assert first.startswith("  first, max_days: footage is deleted when it is 30 days old; the oldest goes on ")
    assert ", in 29 d 1" in first
    (quota,) = [line for line in rest if "quota of the camera" in line]
    assert quota == (
        f"  quota of the camera: {size / 1000:.1f} kB of 3.0 GB are used; not reached at the present rate; then its "
        "oldest goes for its newest"
    )
    (floor,) = [line for line in rest if "keep_free" in line]
    assert "then nothing on it may go" in floor, "it is younger than min_days"
    assert any("quota of volume 'main':" in line for line in rest)
    assert any(line.startswith("  min_days: what is younger than 3 days goes only where") for line in rest)
    assert rest[-1] == "  clips: their files are deleted when they are 90 days old; locked ones stay"


def test_json_has_the_same_facts(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.segment(filling.run(NOON_US), 0, NOON_US)
    configure(site, "max_days = 30")
    (gate,) = nvr("retention", "explain", "--camera", "gate", "--json").json
    assert (gate["camera"], gate["oldest"]) == ("gate", "2025-11-23T12:00:00.000000Z")
    assert (gate["max_days"], gate["min_days"], gate["clip_days"], gate["quota_bytes"]) == (30, 0, 90, None)
    by_rule = {one["rule"]: one for one in gate["rules"]}
    assert by_rule.keys() == {"max-days", "floor"}
    assert (by_rule["floor"]["volume"], by_rule["floor"]["at"]) == ("main", None)
    assert (
        "not reached at the present rate; then the oldest on it goes first, now that of gate"
        in by_rule["floor"]["text"]
    )
    assert by_rule["max-days"]["text"].endswith("the oldest goes now")
    assert len(nvr("retention", "explain", "--json").json) == 1


def test_a_camera_that_is_configured_no_more_follows_the_rules_for_all(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.segment(filling.run(NOON_US), 0, NOON_US)
    configure(site, a_year_from(NOON_US), camera="max_days = 2\n")
    assert nvr("retention", "explain", "--json").json[0]["max_days"] == 2
    site.config.write_text(site.config.read_text().replace("[camera.gate]", "[camera.other]"))
    (gate,) = nvr("retention", "explain", "--json").json
    assert not gate["configured"]
    assert gate["max_days"] > 365
    assert nvr("retention", "explain").out.startswith("camera 'gate', configured no more: ")


def test_films_are_told_with_their_own_age_and_without_one_with_that_of_footage(nvr: Nvr, site: Site) -> None:
    with site.index() as filling:
        filling.film(0)
    configure(site, a_year_from(NOON_US))
    site.config.write_text(site.config.read_text() + "[camera.gate.timelapse]\nevery_seconds = 60\nkeep_days = 9000\n")
    told = nvr("retention", "explain", "--camera", "gate").out.splitlines()
    assert told[0] == "camera 'gate': no footage but films of days (1.0 kB)"
    assert told[1].startswith(
        "  first, keep_days: films of days are deleted when they are 9000 days old; the oldest goes"
    )
    assert "now that of gate" in told[2], "a film is footage where room is short"
    assert "  films: where room is short the film of a day goes after that day's footage" in told
    (gate,) = nvr("retention", "explain", "--camera", "gate", "--json").json
    assert (gate["film_bytes"], gate["keep_days"], gate["rules"][0]["rule"]) == (1000, 9000, "keep-days")
    site.config.write_text(site.config.read_text().partition("[camera.gate.timelapse]")[0])
    (gate,) = nvr("retention", "explain", "--camera", "gate", "--json").json
    assert (gate["keep_days"], gate["rules"][0]["rule"]) == (None, "max-days")
    assert gate["rules"][0]["text"].startswith("max_days: films of days are deleted when they are ")


def test_of_a_clip_it_says_whether_and_when_it_goes(nvr: Nvr, site: Site) -> None:
    now_us = time.time_ns() // 1000
    with site.index() as filling:
        filling.segment(filling.run(now_us - 60 * US), 0, now_us - 60 * US)
        steps = [
            OpenClip(number, f"rule-{number}", "m1", now_us - 60 * US, now_us - 60 * US, 0, now_us - 58 * US, None)
            for number in (1, 2, 3, 4)
        ]
        closed = [CloseClip(number, now_us - 58 * US, "done") for number in (1, 2, 3)]
        filling.index.put_clip_steps(filling.camera_id, [*steps, *closed]).result()
        for number in (1, 2):
            export = ClipExport(filling.volume_id, f"gate/clips/{number}.mp4", 1, 100, 0)
            filling.index.clip_exported(number, export, now_us).result()
        filling.index.lock_clip(2, True).result()

    def told(number: int) -> str:
        said = nvr("retention", "explain", "--clip", number)
        assert said.code == 0
        assert said.out.startswith(f"clip {number} of camera 'gate' is ")
        return said.out.removeprefix(f"clip {number} of camera 'gate' is ")

    assert told(1).startswith("deleted on ")
    assert "in 89 d 23 h, when it is 90 days old (clip_days); sooner only where a quota or a full disk" in told(1)
    assert told(2) == "locked: neither it nor the footage it was cut from is deleted\n"
    assert told(3) == "not a file yet: the footage of it is held until it is\n"
    assert told(4) == "still being recorded, and its footage is held\n"
    facts = nvr("retention", "explain", "--clip", 1, "--json").json
    assert (facts["clip"], facts["rule"], facts["locked"]) == (1, "clip-days", False)
    assert nvr("retention", "explain", "--clip", 2, "--json").json["at"] is None
    held = nvr("retention", "explain", "--camera", "gate").out
    assert "the oldest of it is held by clips that are locked or not yet files, and stays" in held


def test_what_is_not_there_is_told_in_one_sentence(nvr: Nvr, site: Site, tmp_path: Path) -> None:
    assert (
        nvr("retention", "explain").err == "nvr: no camera is known yet; the daemon makes them known when it starts\n"
    )
    with site.index():
        pass
    assert nvr("retention", "explain").out.startswith("camera 'gate': no footage\n")
    for words, sentence in (
        (("--clip", 9), "there is no clip 9; nvr clips list says which there are"),
        (("--camera", "barn"), "there is no camera 'barn'; there are: door, gate"),
        (("--camera", "gate", "--clip", 9), "name a camera or a clip, not both"),
    ):
        said = nvr("retention", "explain", *words)
        assert (said.code, said.out, said.err) == (2, "", f"nvr: {sentence}\n")

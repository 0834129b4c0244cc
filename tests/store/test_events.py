"""What happens, what cameras say of themselves, and how far their clocks are off: put and asked."""

from nvr.store.rows import CameraClockRow
from nvr.units import US
from tests.store.house import NOW, House

ALWAYS = (0, 1 << 62)


def test_events_are_answered_by_time_for_one_camera_or_all(house: House) -> None:
    yard = house.index.add_camera("yard", NOW).result()
    house.index.add_event(NOW + 2, "fan-failed", "the fan failed", camera_id=house.camera_id)
    house.index.add_event(NOW + 1, "host-clock-synchronised", "it is right", {"by": 1.5})
    house.index.add_event(NOW + 3, "fan-failed", "äöü", {"zone": "ü"}, camera_id=yard).result()
    found = house.reader.events_between(*ALWAYS)
    assert [(event.camera, event.at_us - NOW) for event in found] == [(None, 1), ("gate", 2), ("yard", 3)]
    assert found[0].facts == {"by": 1.5}
    assert (found[2].text, found[2].facts) == ("äöü", {"zone": "ü"})
    assert house.reader.events_between(*ALWAYS, camera="yard") == [found[2]]
    assert house.reader.events_between(NOW + 2, NOW + 3) == [found[1]]
    assert house.reader.events_between(*ALWAYS, camera="nobody") == []


def test_pages_of_events_follow_each_other_without_loss_or_repetition(house: House) -> None:
    ids = [house.index.add_event(NOW + at // 3, "x", "it happened").result() for at in range(20)]
    pages, after = [], None
    while page := house.reader.events_between(*ALWAYS, after=after, limit=3):
        assert len(page) <= 3
        pages += page
        after = page[-1].cursor
    assert [event.id for event in pages] == ids


def test_a_camera_is_known_by_what_it_said_last_and_a_change_is_an_event(house: House) -> None:
    def identify(model: str | None, ident: str | None) -> tuple[str | None, str | None] | None:
        return house.index.identify_camera(house.camera_id, NOW, model, ident).result()

    assert identify("VN-V685U", None) is None
    assert identify("VN-V685U", "gate") is None
    assert identify("VN-V685U", "gate") is None
    assert identify("VN-V686U", "yard") == ("VN-V685U", "gate")
    assert identify(None, "yard") is None
    camera = house.reader.camera("gate")
    assert camera is not None
    assert (camera.model, camera.ident, camera.fan_failed) == ("VN-V686U", "yard", None)
    [event] = house.reader.events_between(*ALWAYS)
    assert event.text == "the camera now says it is a VN-V686U called 'yard'; was a VN-V685U called 'gate'"
    assert event.facts == {
        "model": "VN-V686U",
        "camera_id": "yard",
        "was_model": "VN-V685U",
        "was_camera_id": "gate",
    }


def test_a_fan_is_news_when_it_fails_and_when_it_works_again(house: House) -> None:
    said = (False, True, True, False, False)
    news = [house.index.note_fan(house.camera_id, NOW, failed=failed).result() for failed in said]
    assert news == [False, True, False, True, False]
    assert [event.kind for event in house.reader.events_between(*ALWAYS)] == ["fan-failed", "fan-works"]
    camera = house.reader.camera("gate")
    assert camera is not None
    assert camera.fan_failed is False


def test_the_newest_word_of_a_clock_is_known_and_a_season_is_kept(house: House) -> None:
    day_us = 86_400 * US
    assert house.reader.newest_camera_clocks() == {}
    for day in range(0, 300, 10):
        house.index.add_camera_clock(house.camera_id, CameraClockRow(NOW + day * day_us, day, None))
    last = CameraClockRow(NOW + 291 * day_us, -5, 20_000)
    house.index.add_camera_clock(house.camera_id, last).result()
    assert house.reader.newest_camera_clocks() == {"gate": last}
    kept = house.reader.camera_clocks_between("gate", *ALWAYS)
    assert [row.offset_us for row in kept] == [*range(200, 300, 10), -5]


def test_a_view_is_news_when_a_camera_is_turned_away_and_when_it_is_back(house: House) -> None:
    said = (False, True, True, False, False)
    news = [
        house.index.note_view(house.camera_id, NOW, away=away, text=f"away: {away}", facts={"expected": "x"}).result()
        for away in said
    ]
    assert news == [False, True, False, True, False]
    found = house.reader.events_between(*ALWAYS)
    assert [(event.kind, event.text) for event in found] == [
        ("turned-away", "away: True"),
        ("turned-back", "away: False"),
    ]
    camera = house.reader.camera("gate")
    assert camera is not None
    assert camera.turned_away is False

"""Intents of pan, tilt, zoom and lens as parameter calls: values in, values out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc import ptz
from nvr.jvc.catalogue import find
from nvr.jvc.ptz import Call, Calls, Way


def told(calls: Calls) -> str:
    """As the wire would have them, without the common begin."""
    return ", ".join(
        f"{call.name.removeprefix('camera.').removeprefix('motion.')}={find(call.name).text_of(call.value)}"
        for call in calls
    )


def test_tilt_is_true_degrees_and_the_camera_is_told_its_own_scale() -> None:
    assert told(ptz.go(90, 0, 50)) == "pan=90.00, tilt=5.00, zoom=50.00"
    assert told(ptz.go(tilt_degrees=-5)) == "tilt=0.00"
    assert told(ptz.go(tilt_degrees=185)) == "tilt=190.00"
    assert ptz.tilt_degrees(5.0) == 0


def test_pan_goes_round() -> None:
    assert told(ptz.go(pan_degrees=-10)) == "pan=350.00"
    assert told(ptz.go(pan_degrees=450)) == "pan=90.00"
    assert told(ptz.go(pan_degrees=359.999)) == "pan=0.00"


@given(st.floats(-1e4, 1e4), st.floats(-5, 185), st.floats(0, 99.99))
def test_every_place_is_one_the_catalogue_takes(pan: float, tilt: float, zoom: float) -> None:
    for call in ptz.go(pan, tilt, zoom):
        find(call.name).check_set(find(call.name).text_of(call.value))


def test_a_move_by_so_much_carries_its_sign() -> None:
    assert told(ptz.by(45, -5)) == "pan=+45.00, tilt=-5.00"
    assert told(ptz.by(zoom=5)) == "zoom=+5.00"


def test_moves_without_end_are_prepared_before_they_begin() -> None:
    assert told(ptz.start([Way.LEFT, Way.UP], 40)) == (
        "pan.mode=left, pan.speed=40, tilt.mode=up, tilt.speed=40, pan.status=start, tilt.status=start"
    )
    assert told(ptz.stop()) == "pan.status=stop, tilt.status=stop, zoom.status=stop"


def test_a_click_comes_to_the_centre() -> None:
    assert told(ptz.center(160, 120)) == "clickoncenter=s160-s120"
    assert told(ptz.center_per_cent(25, 25)) == "clickoncenter=25.00-25.00"


def test_the_lens() -> None:
    assert told(ptz.focus("auto") + ptz.focus("once") + ptz.focus("manual") + ptz.focus("45")) == (
        "focus=easy_auto, focus=op_auto, focus=manual, focus=45.00"
    )
    assert told(ptz.start_focus("far", 100) + ptz.stop_focus()) == (
        "focus.mode=far, focus.speed=100, focus.status=start, focus.status=stop"
    )
    assert told(ptz.iris("autoM") + ptz.iris("50") + ptz.start_iris("open")) == (
        "iris=autoM, iris=50, iris.mode=open, iris.status=start"
    )


def test_presets() -> None:
    assert told(ptz.save_preset(3, "front door")) == "position(3).status=save, position(3).comment=front door"
    assert told(ptz.clear_preset(3)) == "position(3).status=initialize, position(3).comment="
    assert ptz.go_to_preset(ptz.HOME) == (Call("camera.position(0).status", "goto"),)


def test_a_patrol_ends_where_its_steps_do() -> None:
    calls = ptz.patrol_steps(1, [(3, 30), (7, 120)])
    assert told(calls[:5]) == (
        "auto_patrol(1).position(0)=3, auto_patrol(1).position(0).duration=30, "
        "auto_patrol(1).position(1)=7, auto_patrol(1).position(1).duration=120, auto_patrol(1).position(2).duration=0"
    )
    assert len(calls) == 2 * 2 + 98


def test_what_it_does_by_itself() -> None:
    assert told(ptz.auto_pan_as("return", 30) + ptz.auto_pan("begin-here") + ptz.auto_pan("go-end")) == (
        "auto_pan.mode=return, auto_pan.speed=30, auto_pan.start_point=present, auto_pan.status=goto_end"
    )
    assert told(ptz.trace("record") + ptz.trace("end") + ptz.trace("start")) == (
        "auto_trace.record.status=start, auto_trace.record.status=stop, auto_trace.status=start"
    )
    assert told(ptz.auto_return(True, "auto_patrol(1)", 300)) == (
        "auto_return.mode=auto_patrol(1), auto_return.timeout=300, auto_return.status=on"
    )
    assert told(ptz.track("start", intelligent=True) + ptz.aim(10, 20, (255, 0, 0))) == (
        "auto_tracking(2).status=start, auto_tracking(2).target=s10-s20-255-0-0"
    )
    assert (
        told(ptz.patrol(0, "start") + ptz.return_now("stop")) == "auto_patrol(0).status=start, auto_return.status=stop"
    )


def test_limits_masks_and_upkeep() -> None:
    assert told(ptz.limit("left") + ptz.go_to_limit("right") + ptz.heed_limits(True)) == (
        "pan.limit.left=present, pan.status=goto_rightlimit, pan.limit.status=on"
    )
    assert told(ptz.tilt_limit(0) + ptz.flip("half")) == "tilt.limit.upper=5, tilt.auto_flip=half"
    assert told(ptz.mask(2, "edit") + ptz.mask(2, "wider") + ptz.mask(2, "lower") + ptz.mask(2, "save")) == (
        "private_mask.area(2).status=edit, private_mask.width=+, private_mask.height=-, "
        "private_mask.area(2).status=save"
    )
    assert told(ptz.masks(False) + ptz.cleaning(True, "030000")) == (
        "private_mask.status=off, pan.auto_cleaning.time=030000, pan.auto_cleaning.status=on"
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: ptz.go(), "say where to: pan, tilt or zoom"),
        (lambda: ptz.go(tilt_degrees=-6), "tilt is -5 to 185 degrees, 0 is horizontal"),
        (lambda: ptz.go(zoom=100), "takes 0.00 to 99.99"),
        (lambda: ptz.by(), "say by how much"),
        (lambda: ptz.start([Way.LEFT, Way.RIGHT], 10), "one way at a time"),
        (lambda: ptz.start([Way.IN], 101), "takes 0 to 100"),
        (lambda: ptz.center(640, 0), "0 to 639 pixels across"),
        (lambda: ptz.center_per_cent(0, 101), "0 to 100 across and down"),
        (lambda: ptz.focus("sharp"), "focus is auto, once, manual"),
        (lambda: ptz.go_to_preset(100), "presets have numbers from 0 to 99"),
        (lambda: ptz.save_preset(1, "x" * 33), "of at most 32 characters"),
        (lambda: ptz.patrol_steps(0, [(0, 11)]), "takes 0, 10, 20, 30, 45, 60 or 120"),
        (lambda: ptz.patrol_steps(0, [(0, 10)] * 101), "at most 100 steps"),
        (lambda: ptz.tilt_limit(11), "from -5 to 10"),
        (lambda: ptz.tilt_limit(0.5), "a whole number of degrees"),
        (lambda: ptz.trace("begin"), "is none of start, stop, record, end"),
        (lambda: ptz.mask(0, "erase"), "is none of edit, wider"),
        (lambda: ptz.aim(640, 0), "takes"),
        (lambda: ptz.auto_return(None, None, 61), "takes 60, 120"),
    ],
)
def test_what_no_camera_can_do_is_refused_with_a_sentence(wrong: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        wrong()  # type: ignore[operator]

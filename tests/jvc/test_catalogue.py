"""The catalogue against itself and against what the guide prints: its names, what it sets, what it shows as told."""

import contextlib
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc import params
from nvr.jvc.catalogue import Access, NotAllowed, Parameter, Role, catalogue, find, matching, version_of
from nvr.jvc.mask import Mask
from nvr.jvc.params import Login

GUIDE = Path(__file__).parent / "guide"
NAMES = (GUIDE / "parameters.txt").read_text().split()
SETS = (GUIDE / "sets.txt").read_text().splitlines()
GETS = (GUIDE / "gets.txt").read_text().splitlines()
ADMIN = Login("admin", "jvc")


def general(name: str) -> str:
    """A name with whatever stands in parentheses left open."""
    return re.sub(r"\([^()]*\)", "(n)", name)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_the_guide_prints_is_there(name: str) -> None:
    known = {general(one.name) for one in catalogue()} | {general(one.also) for one in catalogue() if one.also}
    assert general(name) in known


def test_the_catalogue_is_well_formed() -> None:
    names = [one.name for one in catalogue()]
    assert len(names) == len(set(names)) > 180
    for one in catalogue():
        assert one.name.count("(n)") == len(one.indexes), one.name
        assert bool(one.get) == (one.kind in (Access.READ, Access.READ_WRITE)), one.name
        assert bool(one.set) == (one.kind is not Access.READ), one.name
        assert one.values, one.name
        assert set(one.only_get) <= set(one.values), one.name
        assert not set(one.only_set) & set(one.values), one.name
        assert one.about.endswith("."), one.name
        assert set(one.set_as) <= set(one.only_get), one.name
        assert set(one.set_as.values()) <= set(one.only_set), one.name
        assert one.get >= {Role.ADMIN} or not one.get, one.name
        assert one.set >= {Role.ADMIN} or not one.set, one.name
        for kind in (*one.told, *one.settable):
            assert kind.words, one.name


def test_what_makes_a_change_last_is_in_the_catalogue_itself() -> None:
    for one in catalogue():
        for named in one.each():
            for order in filter(None, (named.commit, named.then, *one.or_commit)):
                name, _, value = order.replace("camera.position(n)", "camera.position(0)").partition("=")
                find(name).check_set(value)
                # Guide 6.10 lets an operator change IPv6, though the commit is the admin's.
                assert find(name).parameter.set >= one.set or one.name == "network.interface.ipv6.status"


@pytest.mark.parametrize("example", SETS)
def test_what_the_guide_sets_is_taken_and_sent_as_it_prints_it(example: str) -> None:
    name, _, encoded = example.partition("=")
    named = find(name)
    value = "" if encoded == "%00" else unquote(encoded)
    named.check_set(value, Role.ADMIN)
    request = params.order("192.168.0.2", named, value, ADMIN)
    assert request.startswith(f"GET /api/param?{example} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("example", GETS)
def test_what_the_guide_shows_as_told_is_read(example: str) -> None:
    name, _, value = example.partition("=")
    named = find(name)
    named.check_get(Role.ADMIN)
    line = params.parse_line(f"{example}&200 OK")
    assert line is not None
    assert (line.name, line.value) == (name, value)
    assert any(kind.takes(value) for kind in named.parameter.told) or (value == "" and named.parameter.blank)
    if named.parameter.is_setting:
        assert named.agree(named.told_text_of(named.value_of(value)), value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("camera.image.pedestal", "101", "camera.image.pedestal takes 0 to 100, + or -, not '101'"),
        ("camera.image.dnr", "yes", "camera.image.dnr takes on or off, not 'yes'"),
        ("camera.motion.pan", "360", "takes 0.00 to 359.99, +0.00 to +359.99 or -0.00 to -359.99, not '360'"),
        ("camera.id", "x" * 41, "takes text without control characters or nothing at all (blank) of at most 40 bytes"),
        ("system.password.admin", "abc", "takes text without control characters of 4 to 16 characters, not that"),
        ("system.model", "VN-V687U", "system.model cannot be set, only read"),
        ("application.event(6).action", "pinout/m1/100", "takes ftpto/ftp01/object01, not"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_the_allowed_ones(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        find(name).check_set(value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("camera.position(100).status", "camera.position(n).status goes with 0 to 99"),
        ("application.event(1).filter(someday).type", "goes with 1 to 6 and sunday, monday"),
        ("camera.image.pedstal", "did you mean camera.image.pedestal"),
        ("x", "nvr camera params lists them"),
    ],
)
def test_a_name_that_is_none_is_answered_with_one_that_is(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        find(name)


def test_who_may_not_is_told_who_may() -> None:
    with pytest.raises(NotAllowed, match=r"only admin may set system\.date, not operator"):
        find("system.date").check_set("20090313120000", Role.OPERATOR)
    with pytest.raises(ValueError, match=r"system\.password\.user cannot be read"):
        find("system.password.user").check_get()


@pytest.mark.parametrize(
    ("name", "told", "value"),
    [
        ("camera.image.dnr", "on", True),
        ("camera.image.pedestal", "50", 50),
        ("camera.image.gamma", "0.55", 0.55),
        ("camera.image.gamma", "active", "active"),
        ("camera.image.blc", "off", False),
        ("encode(2).framerate", "7.5", 7.5),
        ("camera.motion.pan", "45.00", 45.0),
        ("encode(1).quality", "40k", "40k"),
        ("camera.id", "1", "1"),
        ("network.hostname", "12", "12"),
        ("camera.private_mask.color", "808080", "808080"),
        ("network.destination(1).framerate", "-5", -5),
    ],
)
def test_values_have_types_and_go_back_as_they_came(name: str, told: str, value: object) -> None:
    named = find(name)
    assert (named.value_of(told), type(named.value_of(told))) == (value, type(value))
    assert named.text_of(named.value_of(told)) == told


def test_figures_of_one_step_inside_the_camera_are_one() -> None:
    pedestal = find("camera.image.pedestal")
    assert pedestal.agree("50", "60")
    assert not pedestal.agree("50", "100")
    assert find("camera.motion.auto_tracking(2).zoom_limit").agree("10", "10.00")
    assert find("camera.detection.area").agree("FF" * 12, "ff" * 12)
    assert not find("camera.id").agree("1", "1.0")


def test_firmware_that_lacks_something_is_known_by_model_and_version() -> None:
    dnr, tracking = find("camera.image.3ddnr").parameter, find("camera.motion.auto_tracking(2).zoom").parameter
    ipv6 = find("network.interface.ipv6.status").parameter
    assert (version_of("V3-00"), version_of("V1.02"), version_of("?")) == ((3, 0), (1, 2), None)
    assert dnr.is_lacked_by("VN-V685U", (2, 10))
    assert not dnr.is_lacked_by("VN-V685U", (3, 0))
    assert dnr.is_lacked_by("VN-V686U", (3, 0))
    assert not dnr.is_lacked_by("VN-V686BU", (3, 0))
    assert tracking.is_lacked_by("VN-V686U", (1, 1))
    assert not tracking.is_lacked_by("VN-V686BU", (1, 1))
    assert ipv6.is_lacked_by("VN-V686U", (9, 0))


def test_parameters_are_found_by_words() -> None:
    assert [one.name for one in matching("white gain red manual")] == ["camera.image.white_balance.r"]
    assert matching("nonsense") == []


def test_a_mask_is_drawn_as_the_guide_numbers_its_bits() -> None:
    corners = Mask.from_hex("010000000000000000000080")
    assert corners.drawing.split() == ["#...........", *["............"] * 6, "...........#"]
    assert Mask.parse(corners.drawing) == corners
    assert Mask.from_hex("000102030405060708090001").hex == "000102030405060708090001"
    # Row by row, each byte from its lowest bit (fact sheet 5.3): the ninth block is the lowest bit of the second byte.
    assert Mask.parse("........#...\n" + "............\n" * 7).hex == "0001" + "0" * 20


@given(st.binary(min_size=12, max_size=12))
def test_every_mask_survives_its_drawing(raw: bytes) -> None:
    assert Mask.parse(Mask.from_hex(raw.hex()).drawing).hex == raw.hex()


@given(st.sampled_from(catalogue()), st.text(max_size=60))
def test_no_text_breaks_a_check(parameter: Parameter, text: str) -> None:
    named = next(iter(parameter.each()))
    with contextlib.suppress(ValueError):
        named.check_set(text)
    assert named.agree(text, text)

"""What a changed configuration changes, and what it leaves alone."""

from pathlib import Path

import pytest

from nvr.config import ConfigError
from nvr.supervisor.reload import Changes, changes, read

BASE = """
data_dir = "data"
[[volume]]
name = "main"
path = "main"
keep_free = "1MB"
[[volume]]
name = "shed"
path = "shed"
[camera.gate]
host = "192.168.0.2"
user = "admin"
password_file = "gate.password"
[camera.yard]
host = "192.168.0.3"
volume = "shed"
[[rule]]
name = "door"
cameras = ["yard"]
when = ["m1"]
"""
NOTHING = Changes((), (), {}, (), (), (), (), ())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "gate.password").write_text("secret\n")
    (tmp_path / "gate.password").chmod(0o600)
    (tmp_path / "config.toml").write_text(BASE)
    return tmp_path / "config.toml"


def _told(file: Path, *edits: tuple[str, str]) -> Changes:
    """What these edits of the text change."""
    before, text = read(file), file.read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return changes(before, read(file))


def test_the_same_file_changes_nothing(file: Path) -> None:
    told = _told(file, ("[camera.gate]", "# a comment\n[camera.gate]"))
    assert told == NOTHING
    assert not told


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        (("192.168.0.2", "192.168.0.9"), ("gate",)),
        (('host = "192.168.0.3"', 'host = "192.168.0.3"\nrecord = "alarm"'), ("yard",)),
        (('when = ["m1"]', 'when = ["m2"]'), ("yard",)),
        (('cameras = ["yard"]\n', ""), ("gate",)),
        (('user = "admin"', 'user = "root"'), ("gate",)),
        (('data_dir = "data"', 'data_dir = "data"\nrecording.segment_seconds = 30'), ("gate", "yard")),
    ],
)
def test_a_camera_begins_anew_where_something_of_it_differs(
    file: Path, edit: tuple[str, str], changed: tuple[str, ...]
) -> None:
    told = _told(file, edit)
    assert told.changed == changed
    assert (told.added, told.removed, told.renamed) == ((), (), {})


def test_schedules_that_read_the_same_are_the_same(file: Path) -> None:
    nights = '[schedule.nights]\ntimezone = "Europe/Berlin"\nwindows = ["mon-fri 18:00-06:00"]\n'
    by_night = 'record = { schedule = "nights", inside = "continuous", outside = "alarm" }'
    text = file.read_text().replace('host = "192.168.0.2"', f'host = "192.168.0.2"\n{by_night}')
    file.write_text(f'{text}schedule = "!nights"\n{nights}')
    assert changes(read(file), read(file)) == NOTHING
    assert _told(file, ("18:00", "19:00")).changed == ("gate", "yard")


def test_a_new_password_in_an_old_file_counts(file: Path) -> None:
    before = read(file)
    (file.parent / "gate.password").write_text("another\n")
    assert changes(before, read(file)).changed == ("gate",)


def test_a_password_that_cannot_be_read_is_refused(file: Path) -> None:
    (file.parent / "gate.password").unlink()
    with pytest.raises(ConfigError, match=r"gate\.password"):
        read(file)


@pytest.mark.parametrize(
    "edit",
    [
        ('host = "192.168.0.2"', 'host = "192.168.0.2"\nfield_of_view = [[0, 50]]'),
        ('keep_free = "1MB"', 'keep_free = "2MB"'),
        ('data_dir = "data"', 'data_dir = "data"\nrecording.sync_seconds = 5'),
        ('data_dir = "data"', 'data_dir = "data"\nmetrics.listen = ""'),
    ],
)
def test_what_no_unit_is_made_of_leaves_every_camera_alone(file: Path, edit: tuple[str, str]) -> None:
    told = _told(file, edit)
    assert told.changed == ()


def test_the_order_of_cameras_is_no_change(file: Path) -> None:
    before = read(file)
    first, _, rest = BASE.partition("[camera.gate]")
    gate, _, yard = rest.partition("[camera.yard]")
    yard, _, rule = yard.partition("[[rule]]")
    file.write_text(f"{first}[camera.yard]{yard}[camera.gate]{gate}[[rule]]{rule}")
    assert changes(before, read(file)) == NOTHING


def test_cameras_come_go_and_are_renamed(file: Path) -> None:
    told = _told(file, ("[camera.gate]", '[camera.door]\nwas = "gate"'), ("[camera.yard]", "[camera.lawn]"),
                 ('["yard"]', '["lawn"]'))  # fmt: skip
    assert (told.renamed, told.added, told.removed, told.changed) == ({"gate": "door"}, ("lawn",), ("yard",), ())


def test_a_word_of_an_old_name_that_nobody_has_any_more_is_no_change(file: Path) -> None:
    assert _told(file, ("[camera.gate]", '[camera.gate]\nwas = "long-ago"')) == NOTHING


def test_volumes_come_go_and_move_and_cameras_that_are_bound_to_one_follow(file: Path) -> None:
    told = _told(file, ('path = "shed"', 'path = "barn"'), ('name = "main"\npath = "main"', 'name = "m2"\npath = "m2"'))
    assert (told.volumes_moved, told.volumes_added, told.volumes_removed) == (("shed",), ("m2",), ("main",))
    assert told.changed == ("yard",)


def test_the_data_directory_cannot_change(file: Path) -> None:
    with pytest.raises(ConfigError, match="restart nvr"):
        _told(file, ('data_dir = "data"', 'data_dir = "elsewhere"'))


def test_a_name_that_is_taken_is_not_an_old_name(file: Path) -> None:
    with pytest.raises(ConfigError, match="'yard', but a camera of that name is configured"):
        _told(file, ("[camera.gate]", '[camera.gate]\nwas = "yard"'))

"""`nvr camera params`, `get`, `set`, `backup`, `diff` and `apply`, at a simulated camera in a process of its own."""

import json
import stat
import tomllib

import pytest

from tests.cli.one_camera import Place, free_port


def test_parameters_are_browsed_without_a_camera(place: Place) -> None:
    table = place.nvr("camera", "params", "white_balance")
    assert [line.split()[0] for line in table.splitlines()[1:4]] == [
        "camera.image.white_balance",
        "camera.image.white_balance.r",
        "camera.image.white_balance.b",
    ]
    told = place.nvr("camera", "params", "camera.image.pedestal")
    assert "takes:      0 to 100, + or -" in told
    assert "lasts by:   camera.status=save" in told
    assert len(json.loads(place.nvr("camera", "params", "--json"))) > 180
    place.nvr("camera", "params", "nonsense", expect=1)


def test_a_parameter_is_set_kept_and_told(place: Place) -> None:
    assert place.camera("set", "camera.id=Yard & gate") == "camera.id=Yard & gate, kept by camera.status=save\n"
    assert place.camera("get", "camera.id") == "camera.id=Yard & gate\n"
    assert json.loads(place.camera("get", "camera.id", "camera.image.pedestal", "--json")) == {
        "camera.id": "Yard & gate",
        "camera.image.pedestal": 50,
    }
    place.camera("set", "system.status=restart")
    assert place.camera("get", "camera.id") == "camera.id=Yard & gate\n"


def test_what_is_only_tried_is_said_to_be_and_gone_after_a_restart(place: Place) -> None:
    (told,) = json.loads(place.camera("set", "--no-save", "camera.image.color=0", "--json"))
    assert (told["committed"], told["unsaved"]) == (None, True)
    assert "set but not kept" in place.complaint
    place.camera("set", "system.status=restart")
    assert place.camera("get", "camera.image.color") == "camera.image.color=50\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("set", "camera.image.pedestal=101"), "camera.image.pedestal takes 0 to 100, + or -, not '101'"),
        (("set", "camera.image.pedestal"), "write camera.image.pedestal=VALUE; camera.image.pedestal takes 0 to 100"),
        (("set", "camera.image.pedstal=1"), "did you mean camera.image.pedestal"),
        (("set", "system.model=x"), "system.model cannot be set, only read"),
        (("set", "camera.blc=a"), "is no parameter of the camera"),
        (("set", "camera.image.blc=a"), "is kept with a preset position: say with which, 0 to 99"),
        (("set", "system.status=initialize"), "with --yes it is done without asking"),
        (("set", "network.access_control(stream_out).host(1)=127.0.0.0/8"), "would keep this machine, 127.0.0.1"),
        (("get", "system.password.user"), "system.password.user cannot be read, only set"),
        (("get", "camera.position(n).title"), "is no parameter with one open index"),
        (("diff", "none.toml", "none.toml"), "give --camera C and one FILE, or two FILEs"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(place: Place, words: tuple[str, ...], sentence: str) -> None:
    assert place.camera(*words, expect=2) == ""
    assert sentence in place.complaint
    assert place.complaint.count("\n") == 1


def test_a_camera_without_a_login_or_not_there_is_one_sentence(place: Place) -> None:
    place.configure(login="")
    place.camera("get", "camera.id", expect=2)
    assert "add user and password_file" in place.complaint
    place.port = free_port()
    place.configure()
    place.camera("get", "camera.id", expect=1)
    assert "camera 'gate': connecting to 127.0.0.1" in place.complaint


def test_a_backup_reads_well_and_goes_back(place: Place) -> None:
    file = place.folder / "gate.toml"
    place.camera("set", "camera.position(3).comment=front door", "camera.detection.area=010000000000000000000080")
    assert "970 settings" in place.camera("backup", "-o", str(file))
    text = file.read_text()
    document = tomllib.loads(text)
    assert document["settings"]["camera.position(n).comment"] == {"3": "front door", "rest": ""}
    assert document["settings"]["camera.image.stabilizer"] is False
    assert '"camera.detection.area" = """\n#...........\n' in text
    assert "# How bright black is.\n" in text
    assert "password" not in document["settings"]
    # What takes hundreds of requests is left out from here on.
    file.write_text(
        "".join(line for line in text.splitlines(True) if "auto_patrol" not in line and "filter" not in line)
    )
    assert place.camera("diff", str(file)) == "no difference\n"
    place.camera("set", "camera.position(3).comment=", "camera.image.pedestal=0", "camera.detection.area=" + "f" * 24)
    changes = json.loads(place.camera("diff", str(file), "--json", expect=1))
    assert [change["name"] for change in changes] == [
        "camera.image.pedestal",
        "camera.position(3).comment",
        "camera.detection.area",
    ]
    plan = place.camera("apply", str(file), "--dry-run")
    assert "camera.image.pedestal: 0 -> 50" in plan
    assert "  then camera.status=save" in plan
    place.camera("diff", str(file), expect=1)
    assert "applied and read back: 3" in place.camera("apply", str(file))
    assert place.camera("diff", str(file)) == "no difference\n"
    assert place.camera("apply", str(file)).startswith("nothing to do")


def test_two_files_are_compared_without_a_camera(place: Place) -> None:
    one, other = place.folder / "one.toml", place.folder / "other.toml"
    one.write_text('[settings]\n"camera.image.pedestal" = 50\n"camera.id" = "Gate"\n')
    other.write_text('[settings]\n"camera.image.pedestal" = 60\n"camera.image.dnr" = true\n')
    told = json.loads(place.nvr("camera", "diff", str(one), str(other), "--json", expect=1))
    # 50 and 60 are the same of three steps inside the camera.
    assert told == [
        {"name": "camera.id", "left": "Gate", "right": None},
        {"name": "camera.image.dnr", "left": None, "right": "on"},
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[settings]\n'camera.image.pedestal' = 101\n", "camera.image.pedestal is 0 to 100, not '101'"),
        ("[settings]\n'camera.image.pedestal' = '+'\n", "camera.image.pedestal is 0 to 100, not '+'"),
        ("[settings]\n'camera.motion.pan' = 1.0\n", "is no setting that can be read back"),
        ("[settings]\n'camera.position(n).comment' = 'x'\n", "has an open index"),
        ("[settings]\n'camera.position(n).comment' = {100 = 'x'}\n", "has no '100': (n) is 0 to 99, or rest"),
        ("[settings]\n'camera.id' = [1]\n", "not a list"),
        ("[setings]\n", "has no [settings]"),
        ("[settings\n", "is no TOML"),
    ],
)
def test_a_file_that_cannot_be_is_refused_before_the_camera_is_asked(place: Place, text: str, sentence: str) -> None:
    file = place.folder / "wrong.toml"
    file.write_text(text)
    place.port = free_port()
    place.configure()
    place.camera("apply", str(file), expect=2)
    assert sentence in place.complaint
    assert "Traceback" not in place.complaint


def test_apply_goes_on_where_the_camera_is_after_its_port_changed(place: Place) -> None:
    file = place.folder / "port.toml"
    port = free_port()
    file.write_text(
        f'[settings]\n"network.http.port" = {port}\n"camera.image.enhance" = 90\n"system.timezone" = "CET"\n'
    )
    assert "applied and read back: 3" in place.camera("apply", str(file))
    assert f"is at 127.0.0.1 port {port} now: write host and http_port into [camera.gate]" in place.complaint
    was, place.port = place.port, port
    place.configure()
    try:
        assert place.camera("diff", str(file)) == "no difference\n"
    finally:
        place.camera("set", f"network.http.port={was}")


def test_a_new_password_of_ours_is_kept_where_nvr_finds_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place.folder / "gate.password"
    monkeypatch.setattr("sys.stdin", _Line("word1\n"))
    assert place.camera("set", "system.password.admin") == "system.password.admin=***\n"
    try:
        assert file.read_text() == "word1\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert place.camera("get", "system.model") == "system.model=VN-V685U\n"
        assert place.camera("set", "system.password.user=word3", "--json").count("null") == 2
        assert file.read_text() == "word1\n"
        place.configure(login='user = "admin"\npassword = "word1"')
        place.camera("set", "system.password.admin=word9", expect=2)
        assert "stands in the configuration" in place.complaint
        assert "word9" not in place.complaint
    finally:
        place.configure()
        assert place.camera("set", "--yes", "system.status=initialize") == "system.status=initialize\n"
        assert "has the factory's address and passwords now" in place.complaint


class _Line:
    """Standard input of a pipe with one line."""

    def __init__(self, line: str) -> None:
        self._line = line

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        return self._line

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.jvc import params
from nvr.jvc.errors import ApiRefused, ProtocolError, RecordingFull
from nvr.jvc.params import Answer, AnswerParser, Line, Login, Outcome
from tests.jvc.cuts import feed_all, guide, in_steps, in_two, pieces

NAME = "network.interface.subnetmask"
PRINTED = guide("answer-api-as-printed.txt")
ANSWER = guide("answer-api.txt")
ADMIN = Login("admin", "jvc")


def read(data: bytes, *more: bytes) -> Answer:
    parser = AnswerParser()
    for piece in (data, *more):
        parser.feed(piece)
    return parser.finish()


def body(text: str, *, status: str = "200 OK", kind: str = "text/plain") -> Answer:
    """An answer with this body, and a length that does not fit, as the guide prints it."""
    return read(f"HTTP/1.1 {status}\r\nContent-Length: 80\r\nContent-type: {kind}\r\n\r\n{text}".encode())


def refusal(answer: Answer, name: str) -> str:
    with pytest.raises(ApiRefused) as refused:
        params.value_of(answer, name)
    return str(refused.value)


def test_a_get_is_asked_as_the_guide_asks_it() -> None:
    assert params.get_request("192.168.0.2", NAME, ADMIN) == (
        b"GET /api/param?network.interface.subnetmask HTTP/1.1\r\nAccept: text/plain\r\nHost: 192.168.0.2\r\n"
        b"Connection: close\r\nAuthorization: Basic YWRtaW46anZj\r\n\r\n"
    )


def test_the_guides_login_of_a_vn_v686_is_encoded_as_printed() -> None:
    assert Login("admin", "vn-v686").authorization == "Basic YWRtaW46dm4tdjY4Ng=="


def test_nobody_logs_in_without_a_login() -> None:
    assert b"Authorization" not in params.get_request("192.168.0.2", NAME, None)


def test_a_password_does_not_show_where_a_login_is_printed() -> None:
    assert "hunter2" not in f"{Login('admin', 'hunter2')!r} {Login('admin', 'hunter2')}"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("bw", "bw"),
        ("", "%00"),
        ("+", "+"),
        ("+45.00", "+45.00"),
        ("-5.00", "-5.00"),
        ("main entrance", "main%20entrance"),
        ("/pub/gate", "%2Fpub%2Fgate"),
        ("80:on", "80:on"),
        ("a&b=c#%", "a%26b=c%23%25"),
        ('<>"{}|\\^[]`', "%3C%3E%22%7B%7D%7C%5C%5E%5B%5D%60"),
        ("Tür", "T%C3%BCr"),
        ("s10-s20-255-0-0", "s10-s20-255-0-0"),
    ],
)
def test_a_value_is_sent_as_the_guide_has_it(value: str, sent: str) -> None:
    request = params.set_request("gate", "a.b(1).c", value, None)
    assert request.startswith(f"GET /api/param?a.b(1).c={sent} HTTP/1.1\r\n".encode())


def test_the_parts_of_a_value_may_be_encoded_by_the_caller() -> None:
    value = f"tcpto/10.0.0.100/20000/{params.encoded('a/b c')}"
    request = params.set_request("gate", "application.event(1).action", value, None, keep="/%")
    assert b"action=tcpto/10.0.0.100/20000/a%2Fb%20c HTTP" in request


@pytest.mark.parametrize("name", ["", "a b", "a\r\nHost: x", "a=b", "a&b", "a?", "ä", "1a", "a/../b", "a#"])
def test_a_name_that_would_break_the_request_is_our_own_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a parameter's name"):
        params.get_request("gate", name, None)


@pytest.mark.parametrize("value", ["a\r\nHost: x", "a\tb", "\x00", "a\x7f"])
def test_a_value_the_camera_does_not_take_is_our_own_mistake(value: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        params.set_request("gate", NAME, value, None)


def test_a_request_has_at_most_1024_bytes() -> None:
    params.set_request("gate", "a", "x" * 1022, None)
    with pytest.raises(ValueError, match="at most 1024 bytes, not 1025"):
        params.set_request("gate", "a", "x" * 1023, None)
    with pytest.raises(ValueError, match="at most 1024 bytes"):
        params.set_request("gate", "a", " " * 400, None)


@pytest.mark.parametrize("host", ["", "a b", "a\r\nX: y", "ö"])
def test_a_host_that_would_break_the_request_is_our_own_mistake(host: str) -> None:
    with pytest.raises(ValueError, match="Host line"):
        params.get_request(host, NAME, None)


@pytest.mark.parametrize("user", ["", "a:b", "a\nb"])
def test_a_user_that_basic_authentication_cannot_carry_is_our_own_mistake(user: str) -> None:
    with pytest.raises(ValueError, match="cannot be a user"):
        Login(user, "x")


def test_a_password_with_a_line_end_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValueError, match="control characters") as refused:
        Login("admin", "hunter2\n")
    assert "hunter2" not in str(refused.value)


@given(st.text(max_size=60))
def test_whatever_a_value_is_the_request_keeps_its_lines(value: str) -> None:
    try:
        request = params.set_request("gate", NAME, value, ADMIN)
    except (ValueError, UnicodeEncodeError):
        return
    assert request.count(b"\r\n") == 6
    assert request.split(b" ")[:1] == [b"GET"]
    assert len(request.split(b"\r\n")[0].split(b" ")) == 3


@pytest.mark.parametrize("answer", [ANSWER, PRINTED], ids=["with an empty line", "as printed"])
def test_the_guides_answer_is_read_however_it_is_cut(answer: bytes) -> None:
    for parts in in_two(answer):
        told = read(b"", *parts)
        assert params.value_of(told, NAME) == "255.0.0.0"
        assert (told.status, told.server, told.media_type) == (200, "JVC VN-V685 API Server", "text/plain")


@given(pieces(PRINTED))
def test_the_guides_answer_is_read_in_many_pieces(parts: list[bytes]) -> None:
    assert params.value_of(read(b"", *parts), NAME) == "255.0.0.0"


def test_an_answer_without_a_last_line_end_is_read() -> None:
    assert params.value_of(read(PRINTED.removesuffix(b"\r\n")), NAME) == "255.0.0.0"
    assert params.value_of(read(ANSWER.removesuffix(b"\r\n")), NAME) == "255.0.0.0"


def test_a_length_that_does_not_fit_neither_cuts_an_answer_nor_waits_for_more() -> None:
    too_long, fitting, too_short = (ANSWER.replace(b"80", length) for length in (b"80", b"47", b"20"))
    for answer, is_whole in ((too_long, False), (fitting, True), (too_short, True)):
        parser = AnswerParser()
        parser.feed(answer)
        assert (parser.is_whole, parser.is_answered) == (is_whole, True)
        assert params.value_of(parser.finish(), NAME) == "255.0.0.0"


def test_an_answer_is_whole_only_at_the_end_of_a_line() -> None:
    parser = AnswerParser()
    for piece in in_steps(ANSWER.replace(b"80", b"20"), 1):
        assert not parser.is_whole
        parser.feed(piece)
        if parser.is_answered:
            break
    assert parser.is_answered
    assert params.value_of(parser.finish(), NAME) == "255.0.0.0"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a.b=c&200 OK", Line("a.b", "c", 200, "OK")),
        ("a.b=&200 OK", Line("a.b", "", 200, "OK")),
        ("a.b=x&y=z&200 OK", Line("a.b", "x&y=z", 200, "OK")),
        ("a.b=x&123 y&200 OK", Line("a.b", "x&123 y", 200, "OK")),
        ("a.b=x&1234&200 OK", Line("a.b", "x&1234", 200, "OK")),
        ("a.b=x&200", Line("a.b", "x", 200, "")),
        ("a.b&200 OK", Line("a.b", None, 200, "OK")),
        ("a.b&202 Accepted(c.d=save)", Line("a.b", None, 202, "Accepted(c.d=save)")),
        ("a.b&401 Unauthorized", Line("a.b", None, 401, "Unauthorized")),
        (
            "a.b&206 Partial Content, auto_trace(timeout)",
            Line("a.b", None, 206, "Partial Content, auto_trace(timeout)"),
        ),
        ("206 Partial Content", Line("", None, 206, "Partial Content")),
        ("206 Partial Content, auto_trace(memoryfull)", Line("", None, 206, "Partial Content, auto_trace(memoryfull)")),
        ("a.b=c", None),
        ("a.b=c&20 OK", None),
        ("a.b=c&٢٠٠ OK", None),
        ("2000 years", None),
        ("<html>", None),
    ],
)
def test_a_line_lies_between_its_first_equals_and_its_last_code(line: str, told: Line | None) -> None:
    assert params.parse_line(line) == told


def test_a_blank_value_is_empty() -> None:
    assert params.value_of(body("application.event(1).action=&200 OK\r\n"), "application.event(1).action") == ""


def test_a_misspelt_echo_is_still_the_answer() -> None:
    assert params.value_of(body("canera.status=3&200 OK\r\n"), "camera.status") == "3"


def test_of_several_lines_the_one_asked_for_counts() -> None:
    told = body("\r\nsystem.session=&200 OK\r\n\r\nsystem.session.sending_max=20&200 OK\r\n")
    assert params.value_of(told, "SYSTEM.session.sending_max") == "20"
    assert params.value_of(told, "system.session") == ""
    assert len(params.report_of(told, "system.session")) == 2


def test_a_value_in_another_alphabet_is_read() -> None:
    assert params.value_of(body("camera.id=Tür&200 OK"), "camera.id") == "Tür"
    latin = read(b"HTTP/1.1 200 OK\r\n\r\ncamera.id=T\xfcr&200 OK\r\n")
    assert params.value_of(latin, "camera.id") == "Tür"


@pytest.mark.parametrize(
    ("said", "outcome", "commit"),
    [
        ("a&200 OK", Outcome(200, "OK"), None),
        ("a&202 Accepted(camera.status=save)", Outcome(202, "Accepted(camera.status=save)"), "camera.status=save"),
        (
            "a&202 Accepted(application.event(1).status=restart)",
            Outcome(202, "Accepted(application.event(1).status=restart)"),
            "application.event(1).status=restart",
        ),
        ("a&202 Accepted", Outcome(202, "Accepted"), ""),
    ],
)
def test_what_came_of_a_set_is_told(said: str, outcome: Outcome, commit: str | None) -> None:
    told = params.outcome_of(body(f"{said}\r\n"), "a")
    assert (told, told.commit) == (outcome, commit)


@pytest.mark.parametrize("said", ["206 Partial Content", "a&206 Partial Content, auto_trace(timeout)"])
def test_a_recording_that_is_full_is_a_refusal_of_its_own(said: str) -> None:
    with pytest.raises(RecordingFull) as told:
        params.outcome_of(body(f"{said}\r\n"), "a")
    assert told.value.code == 206


def test_a_refusal_in_the_body_carries_its_code_and_text() -> None:
    assert refusal(body("a.b&401 Unauthorized\r\n"), "a.b") == "the camera refused a.b: 401 Unauthorized"
    assert refusal(body("a.b&404 Not Found\r\n", status="404 Not Found"), "a.b").endswith("404 Not Found")


def test_a_refusal_as_an_http_status_alone_is_a_refusal() -> None:
    page = body("<html>no</html>", status="403 Forbidden", kind="text/html")
    assert refusal(page, "a.b") == "the camera refused a.b: 403 Forbidden"


def test_the_camera_may_not_flood_an_error_with_words() -> None:
    assert len(refusal(body(f"a.b&500 {'x' * 5000}\r\n"), "a.b")) < 300


@pytest.mark.parametrize("text", ["", "\r\n\r\n", "<html><body>Welcome</body></html>", "a.b=c"])
def test_a_page_is_no_answer(text: str) -> None:
    with pytest.raises(ProtocolError, match=r"asked for a\.b, the camera answered"):
        params.value_of(body(text), "a.b")


def test_an_answer_that_ends_inside_its_head_is_none() -> None:
    for cut in (0, 5, 30):
        with pytest.raises(ProtocolError, match=r"inside its head|not HTTP"):
            read(ANSWER[:cut])


@pytest.mark.parametrize("step", [1000, 100_000])
def test_an_answer_that_never_ends_is_refused(step: int) -> None:
    parser = AnswerParser()
    with pytest.raises(ProtocolError, match="more than 65536 bytes"):
        feed_all(parser.feed, in_steps(ANSWER + b"x" * 200_000, step))


@pytest.mark.parametrize("length", [b"-5", b"99999999999", b"eighty"])
def test_a_length_that_is_none_is_refused(length: bytes) -> None:
    with pytest.raises(ProtocolError, match="Content-Length"):
        AnswerParser().feed(ANSWER.replace(b"80", length))


@given(st.lists(st.binary(max_size=120) | st.sampled_from([ANSWER, PRINTED, PRINTED[:90]]), max_size=6))
def test_noise_is_an_answer_or_refused_and_nothing_else(noise: list[bytes]) -> None:
    parser = AnswerParser()
    try:
        for piece in noise:
            parser.feed(piece)
            assert parser.is_whole in (True, False)
        params.value_of(parser.finish(), NAME)
    except (ProtocolError, ApiRefused):
        pass


@pytest.mark.parametrize(
    ("name", "misprint"),
    [
        ("camera.status", "canera.status"),
        ("camera.motion.auto_pan.image", "canera.motion.auto_pan.image"),
        ("peripheral.output_pin.pin(2).duration", "peripheral.input_pin.pin(2).duration"),
        ("peripheral.output_pin.pin(1).status", None),
        ("camera.position(3).status", None),
    ],
)
def test_what_the_guide_prints_in_two_ways_has_a_second_name(name: str, misprint: str | None) -> None:
    assert params.misprint_of(name) == misprint


def test_a_login_is_sent_as_its_own_bytes() -> None:
    code = Login("admin", "paß wort:").authorization.split()[1]
    assert base64.b64decode(code) == "admin:paß wort:".encode()

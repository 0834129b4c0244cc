"""Each fault does what it says, and the truth says what it did."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from itertools import pairwise

import av.error
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvr.media.mpeg4 import find_vol
from nvr.simulator.faults import Fault, Faults, Name, parse
from nvr.simulator.server import Simulator
from tests.simulator.client import (
    VOP,
    Client,
    asked,
    connected,
    decoded,
    from_key,
    request,
    run,
    small,
    start_codes,
    watching,
    whole_parts,
)


def _with_stream(act: Callable[[Simulator, Client], Awaitable[None]], *, ptz: bool = True, **options: object) -> Client:
    """A stream of some VOPs, on which `act` goes on."""

    async def story() -> Client:
        async with Simulator(small(**options)) as simulator, watching(simulator, ptz=ptz) as client:
            await client.read_until_vops(4)
            await act(simulator, client)
            return client

    return run(story())


def test_a_stalled_camera_sends_nothing_and_keeps_the_connection_then_goes_on() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("stall+0.4")
        await client.read(0.1)
        before = len(client.raw)
        await client.read(0.2)
        assert len(client.raw) == before
        assert not client.closed
        await client.read_until_vops(client.raw.count(VOP) + 3)
        dropped = [record for record in simulator.camera.sent if not record.sent]
        assert len(dropped) >= 5
        assert {record.why for record in dropped} == {"stall"}
        whole_parts(client.answer.body)

    _with_stream(act)


@pytest.mark.parametrize("ptz", [True, False])
def test_a_cut_inside_a_vop_leaves_half_of_it(ptz: bool) -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("cut-vop")
        await client.read_to_end()
        assert not client.reset
        last = simulator.camera.sent[-1]
        assert (last.why, last.sent, last.complete) == ("cut-vop", True, False)
        assert last.data is not None
        body = client.answer.body
        assert last.data not in body
        begun = last.data.index(VOP)
        assert body.endswith(last.data[: begun + (last.size - begun) // 2])
        assert all(record.complete for record in simulator.camera.sent[:-1])

    _with_stream(act, ptz=ptz)


def test_a_cut_between_vops_leaves_whole_parts_only() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("cut")
        await client.read_to_end()
        body = client.answer.body
        parts = whole_parts(body)
        assert body.endswith(parts[-1].body + b"\r\n")
        assert [part.body for part in parts] == [record.data for record in simulator.camera.sent]

    _with_stream(act)


def test_a_reset_is_a_reset() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("cut:rst")
        await client.read_to_end()
        assert client.reset

    _with_stream(act)


def test_a_stream_can_be_made_to_begin_with_a_p_vop() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            simulator.camera.fault("p-first")
            async with watching(simulator, ptz=False) as client:
                await client.read_until_vops(2)
        assert start_codes(client.answer.body)[0] == 0xB6
        assert client.answer.body[4] >> 6 == 1

    run(story())


def test_a_vol_that_changes_in_mid_stream_still_decodes() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("vol-change:60000")
        await client.read_until_vops(30)
        units = [record.data or b"" for record in from_key(simulator.camera.sent)]
        resolutions = [vol.resolution for unit in units if (vol := find_vol(unit)) is not None]
        assert resolutions[-1] == 60_000
        assert None not in decoded(units)

    _with_stream(act, join="key")


def test_a_clock_set_wrong_shows_from_the_next_i_vop_on() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        before = simulator.camera.sent[-1]
        simulator.camera.fault("clock-offset:-100")
        await client.read_until_vops(30)
        after = simulator.camera.sent[-1]
        passed_s = (after.vop_ticks - before.vop_ticks) / after.resolution
        assert passed_s == pytest.approx((after.captured_at_us - before.captured_at_us) / 1e6 - 100, abs=0.05)

    _with_stream(act)


def test_a_clock_that_drifts_paces_the_pictures_too() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("clock-drift:-200000")
        await client.read(0.2)
        mark = len(simulator.camera.sent)
        await client.read(0.4)
        sent = simulator.camera.sent[mark:]
        passed_s = (sent[-1].captured_at_us - sent[0].captured_at_us) / 1e6
        assert (sent[-1].vop_ticks - sent[0].vop_ticks) / sent[0].resolution == pytest.approx(0.8 * passed_s, rel=0.01)

    _with_stream(act)


def test_times_of_vops_can_be_constant() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("vop-times")
        mark = len(simulator.camera.sent) + 1
        await client.read_until_vops(25)
        heads = {(record.data or b"")[:6] for record in simulator.camera.sent[mark:] if not record.key}
        assert {head[:5] for head in heads} == {b"\x00\x00\x01\xb6\x50"}, "type 01, modulo 0, marker, then zeros"

    _with_stream(act)


def test_times_of_vops_can_be_nonsense_and_pictures_stay_well() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("vop-times:nonsense")
        await client.read_until_vops(25)
        sent = from_key(simulator.camera.sent)
        assert decoded([record.data or b"" for record in sent]) == [(r.counter, r.clock_ms) for r in sent]

    _with_stream(act)


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("busy", "HTTP/1.1 503 Service Unavailable", "text/html"),
        ("unauthorized", "HTTP/1.1 401 Unauthorized", "text/html"),
        ("html", "HTTP/1.1 200 OK", "text/html"),
    ],
)
def test_requests_for_video_can_be_answered_otherwise(fault: str, status: str, kind: str) -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            simulator.camera.fault(fault)
            async with watching(simulator) as client:
                await client.read_to_end()
            assert client.answer.status == status
            assert client.answer.headers["Content-type"] == kind
            assert VOP not in client.raw
            simulator.camera.clear(fault)
            async with watching(simulator) as client:
                await client.read_until_vops(1)

    run(story())


def test_a_restricted_client_is_closed_without_an_answer() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            simulator.camera.fault("no-answer")
            async with watching(simulator) as client:
                await client.read_to_end()
            assert client.raw == b""

    run(story())


def test_a_silent_camera_says_200_and_nothing_more() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            simulator.camera.fault("silent")
            async with watching(simulator) as client:
                await client.read(0.3)
            assert client.answer.status == "HTTP/1.1 200 OK"
            assert client.answer.body == b""
            assert not client.closed

    run(story())


def test_the_head_of_an_answer_can_go_on_without_end() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            simulator.camera.fault("endless-head")
            async with watching(simulator) as client:
                await client.read(0.25)
            assert b"\r\n\r\n" not in client.raw
            assert len(client.raw) > 16_000

    run(story())


def test_the_head_of_a_part_can_go_on_without_end() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("endless-part-head")
        await client.read(0.25)
        assert client.raw.count(b"X-Filler") > 10
        assert b"\r\n\r\n" not in client.raw[client.raw.index(b"X-Filler") :]

    _with_stream(act)


def test_garbage_comes_between_vops() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("garbage:777")
        await client.read_until_vops(10)
        record = next(record for record in simulator.camera.sent if record.why == "garbage")
        assert record.complete
        before = next(other for other in simulator.camera.sent if other.seq == record.seq - 1)
        assert record.data is not None
        assert before.data is not None
        body = client.answer.body
        assert body.index(record.data) - body.index(before.data) - before.size == 777

    _with_stream(act, ptz=False)


def test_a_corrupt_vop_is_one_a_decoder_complains_of() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("corrupt:500")
        await client.read_until_vops(12)
        record = next(record for record in simulator.camera.sent if record.why == "corrupt")
        assert not record.complete
        units = [part.body for part in whole_parts(client.answer.body)]
        sizes = [len(unit) for unit in units]
        assert sizes == [record.size for record in simulator.camera.sent][: len(sizes)]
        assert record.data not in units
        with pytest.raises(av.error.InvalidDataError):
            decoded(units)

    _with_stream(act, join="key")


@pytest.mark.parametrize(("fault", "length"), [("huge-length", "99999999999"), ("negative-length", "-5")])
def test_a_part_can_lie_about_its_length(fault: str, length: str) -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault(fault)
        await client.read_until_vops(9)
        lengths = re.findall(rb"Content-Length: (\S+)\r\n", client.answer.body)
        assert lengths.count(length.encode()) == 1
        assert [record.why for record in simulator.camera.sent].count(fault) == 1

    _with_stream(act)


def test_a_part_can_be_shorter_than_it_says_and_the_next_one_follows() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("short-part")
        await client.read_until_vops(9)
        record = next(record for record in simulator.camera.sent if record.why == "short-part")
        assert not record.complete
        assert record.data is not None
        at = client.answer.body.index(f"Content-Length: {record.size}\r\n".encode())
        start = client.answer.body.index(b"\r\n\r\n", at) + 4
        assert client.answer.body[start:].startswith(record.data[: record.size // 2] + b"\r\n--foo\r\n")

    _with_stream(act)


def test_a_part_can_be_shorter_than_it_says_at_the_links_end() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("short-part:close")
        await client.read_to_end()
        record = simulator.camera.sent[-1]
        assert record.data is not None
        assert client.raw.endswith(record.data[: record.size // 2] + b"\r\n")

    _with_stream(act)


def test_a_slow_link_takes_so_many_bytes_a_second_and_drops_the_rest() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("slow:10000")
        await client.read(0.2)
        before = len(client.raw)
        await client.read(0.4)
        assert len(client.raw) - before == pytest.approx(4_000, rel=0.4)
        assert any(record.why == "slow-client" for record in simulator.camera.sent)
        simulator.camera.clear("slow")
        count = client.raw.count(VOP)
        await client.read_until_vops(count + 5)
        whole_parts(client.answer.body)

    _with_stream(act, queue_bytes=5_000)


def test_a_camera_that_refuses_does_not_listen_until_it_does_again() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("refuse")
        await asyncio.sleep(0.05)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", simulator.http_port)
        count = client.raw.count(VOP)
        await client.read_until_vops(count + 3)
        simulator.camera.clear("refuse")
        await asyncio.sleep(0.05)
        assert (await asked(simulator.http_port, "/")).status == "HTTP/1.1 200 OK"

    _with_stream(act)


def test_dropped_frames_are_never_encoded_so_what_comes_decodes() -> None:
    async def act(simulator: Simulator, client: Client) -> None:
        simulator.camera.fault("drop-frames:0.5")
        await client.read_until_vops(25)
        sent = from_key(simulator.camera.sent)
        ticks = [record.vop_ticks for record in sent]
        steps = [after - before for before, after in pairwise(ticks)]
        assert steps[-8:].count(1_000) >= 6
        assert decoded([record.data or b"" for record in sent]) == [(r.counter, r.clock_ms) for r in sent]

    _with_stream(act)


def test_a_parameter_request_may_never_be_answered() -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            simulator.camera.fault("no-api-answer")
            async with connected(simulator.http_port, request("/api/param?system.model")) as client:
                await client.read(0.2)
                assert client.raw == b""
                assert not client.closed

    run(story())


def test_faults_begin_and_end_when_they_were_said_to() -> None:
    faults = Faults()
    faults.add(parse("stall@2+3"), 100.0)
    faults.add(parse("cut"), 100.0)
    faults.add(parse("garbage:10+5"), 100.0)
    assert dict(faults.now(101.9)) == {Name.CUT: "", Name.GARBAGE: "10"}
    assert faults.next_change_s(100.0) == 102.0
    faults.spend(Name.CUT, 101.9)
    faults.spend(Name.GARBAGE, 101.9)
    assert dict(faults.now(102.0)) == {Name.STALL: "", Name.GARBAGE: "10"}, "an event with a duration happens again"
    assert dict(faults.now(105.0)) == {}
    assert faults.next_change_s(105.0) is None


def test_an_event_that_has_not_begun_is_not_spent() -> None:
    faults = Faults()
    faults.add(parse("cut@10"), 0.0)
    faults.spend(Name.CUT, 5.0)
    assert Name.CUT in faults.now(10.0)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("stall", Fault(Name.STALL)),
        ("slow:500@1.5+2", Fault(Name.SLOW, "500", 1.5, 2.0)),
        ("clock-offset:-3.5+4", Fault(Name.CLOCK_OFFSET, "-3.5", 0.0, 4.0)),
        ("short-part", Fault(Name.SHORT_PART, "next")),
        ("cut-vop:rst@2", Fault(Name.CUT_VOP, "rst", 2.0)),
    ],
)
def test_faults_are_read_from_a_command_line(said: str, fault: Fault) -> None:
    assert parse(said) == fault


@pytest.mark.parametrize(
    "said",
    ["", "fire", "stall:1", "slow:fast", "slow:0", "cut:hard", "drop-frames:2", "stall@", "garbage:1.5", "stall+x"],
)
def test_what_is_no_fault_is_refused_with_a_sentence(said: str) -> None:
    with pytest.raises(ValueError, match=r"fault|takes"):
        parse(said)


@given(st.sampled_from(sorted(Name)), st.floats(0, 1e6), st.floats(0, 1e6) | st.none())
def test_every_fault_can_be_said_with_its_default(name: Name, after_s: float, for_s: float | None) -> None:
    said = f"{name}@{after_s:.3f}" + ("" if for_s is None else f"+{for_s:.3f}")
    fault = parse(said)
    assert fault.name is name
    assert fault.after_s == pytest.approx(after_s, abs=0.001)
    faults = Faults()
    faults.add(fault, 0.0)
    holds = for_s is None or fault.for_s != 0
    assert (name in faults.now(fault.after_s)) == holds

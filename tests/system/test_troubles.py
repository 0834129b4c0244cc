"""Whatever one camera does ends in a gap or a new link with a reason, heals by itself, and costs no other a frame.

One daemon records some thirty-five cameras at once, most of which misbehave, each in its own way.
"""

import re
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from nvr.simulator.options import CameraOptions, EncodeSettings
from nvr.simulator.truth import SentVop
from tests.system.footage import (
    Found,
    check_exact,
    check_in_order,
    check_no_seams,
    check_promises,
    decode,
    path_of,
    segments_of,
    unpromised,
)
from tests.system.house import House, Span
from tests.system.world import World, closed_port

US: Final = 1_000_000
WELL: Final = ("well-1", "well-2", "well-3")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one camera does, and what nvr has to say of it."""

    faults: tuple[str, ...]
    gaps: frozenset[str] = frozenset()
    """Gap reasons of which at least one must be seen, and no other; empty: no gap at all."""
    perhaps: frozenset[str] = frozenset()
    """Gap reasons that may be seen besides."""
    whole: bool = False
    """Every picture that was sent well is in the files."""
    over_s: float = 8.0
    """After so long it sends and is recorded as before."""
    says: str = ""
    """What `status` or the log gives as reason at some time."""


def _gap(*reasons: str) -> frozenset[str]:
    return frozenset(reasons)


_BROKEN: Final = _gap("stream-broken")
_REFUSED: Final = _gap("camera-refused", "stream-broken")
"""After a cut, which is what makes the camera be asked again."""

TROUBLES: Final = {
    "pauses": Trouble(("stall+4",), _gap("frames-missing")),
    "stalls": Trouble(("stall+12.5",), _gap("camera-stalled"), over_s=16, says="has sent nothing for 10 s"),
    "cut": Trouble(("cut",), _BROKEN, says="the camera closed the connection"),
    "reset": Trouble(("cut:rst",), _BROKEN),
    "torn": Trouble(("cut-vop",), _BROKEN),
    "torn-reset": Trouble(("cut-vop:rst",), _BROKEN),
    "begins-with-p": Trouble(("p-first", "cut"), _BROKEN),
    "another-vol": Trouble(("vol-change:60000+4",), whole=True),
    "clock-off": Trouble(("clock-offset:3600+4",), whole=True),
    "clock-fast": Trouble(("clock-drift:500+6",), whole=True),
    "times-constant": Trouble(("vop-times:constant+5",), whole=True),
    "times-nonsense": Trouble(("vop-times:nonsense+5",), whole=True),
    "not-served": Trouble(("no-answer+4", "cut"), _REFUSED, over_s=14, says="closed without an answer"),
    "busy": Trouble(("busy+4", "cut"), _REFUSED, over_s=14, says="503"),
    "silent": Trouble(("cut", "silent@0.3+11.5"), _REFUSED, over_s=18, says="sent no picture for 10 s"),
    "login": Trouble(("unauthorized+1", "cut"), _REFUSED, over_s=37, says="401"),
    "page": Trouble(("html+3", "cut"), _REFUSED, over_s=14, says="text/html"),
    "garbage": Trouble(("garbage:3000",), _gap("stream-broken", "frames-missing")),
    "corrupt": Trouble(("corrupt:64",), whole=True),
    "huge-part": Trouble(("huge-length",), _BROKEN),
    "negative-part": Trouble(("negative-length",), _BROKEN),
    "endless-head": Trouble(
        ("endless-head+4", "cut"), _gap("camera-refused", "camera-stalled", "stream-broken"), over_s=18
    ),
    "endless-part": Trouble(("endless-part-head",), _BROKEN),
    "short-part": Trouble(("short-part:next",), _BROKEN),
    "short-end": Trouble(("short-part:close",), _BROKEN),
    "slow": Trouble(("slow:15000+5",), whole=True),
    "too-slow": Trouble(("slow:4000+6",), perhaps=_gap("frames-missing"), over_s=14),
    "gone": Trouble(("refuse+4", "cut"), _gap("camera-unreachable", "stream-broken"), over_s=14, says="connecting to"),
    "dark": Trouble(("drop-frames:1+5",), _gap("frames-missing")),
    "thin": Trouble(("drop-frames:0.5+4",), whole=True),
}
NEVER: Final = {
    "nobody": ("camera-unreachable", "connecting to 127.0.0.1"),
    "no-such-host": ("camera-unreachable", "connecting to no-such-host.invalid"),
    "another-device": ("camera-refused", "is this a camera of this family?"),
    "mute": ("camera-stalled", "has not answered the request for video in 10 s"),
}
"""Cameras that are never recorded: the gap's reason and what `status` says."""
FLOODING: Final = "flooding"
_LONGEST_S: Final = max(trouble.over_s for trouble in TROUBLES.values())
_PAGE: Final = (
    b"HTTP/1.1 404 Not Found\r\nServer: thermostat\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nno\n"
)
_ENCODE: Final = EncodeSettings(frame_size="qvga", frame_rate=Fraction(15), i_interval=15, bitrate_bps=200_000)


@dataclass(slots=True)
class Life:
    """What became of all that."""

    house: House
    began_us: int = 0
    """When everything was well and trouble began."""
    ended_us: int = 0
    """When the signal to stop was sent."""
    stop: tuple[int, float] = (0, 0.0)
    healed_s: dict[str, float] = field(default_factory=dict)
    """When each camera was seen recorded and connected for good, in seconds from the beginning."""
    reasons: dict[str, set[str]] = field(default_factory=dict)
    """Everything that `status` gave as reason, by camera."""
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """At the end."""
    covered: list[dict[str, list[Span]]] = field(default_factory=list)
    """Before trouble, during it, at its end, and after the stop."""
    sent: dict[str, list[SentVop]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    metrics: str = ""


@contextmanager
def troubled(world: World, folder: Path) -> Iterator[Life]:
    """A life with all these cameras, as long as the longest trouble."""
    names = [*WELL, *TROUBLES]
    with ExitStack() as alive:
        options = {name: CameraOptions(camera_id=name, encode=_ENCODE) for name in names}
        # Little room on its way: what it cannot send it drops.
        options["too-slow"] = replace(options["too-slow"], send_buffer_bytes=8192, queue_bytes=16_384)
        simulator = alive.enter_context(world.cameras(list(options.values()), loop_s=4))
        cameras = dict(zip(names, simulator.cameras, strict=True))
        keys: dict[str, dict[str, object]] = {
            name: {"http_port": simulator.ports(camera)[0]} for name, camera in cameras.items()
        }
        keys["nobody"] = {"http_port": closed_port()}
        keys["no-such-host"] = {"host": "no-such-host.invalid"}
        keys["another-device"] = {"http_port": alive.enter_context(world.answering(_PAGE))}
        keys["mute"] = {"http_port": alive.enter_context(world.answering(b""))}
        house = House(folder, keys, segment_seconds=5, sync_seconds=1)
        daemon = alive.enter_context(house.start())
        daemon.wait_recording(names)
        life = Life(house, reasons={name: set() for name in keys})
        time.sleep(2)
        life.covered.append({name: house.coverage(name) for name in keys})
        life.began_us, begun_s = time.time_ns() // 1000, time.monotonic()
        for name, trouble in TROUBLES.items():
            for fault in trouble.faults:
                world.do(cameras[name].fault, fault)
        ends_s = begun_s + _LONGEST_S
        middle_s: float | None = begun_s + 5
        while (now_s := time.monotonic()) < ends_s:
            _note(life, daemon.states(), now_s - begun_s)
            life.memory.append(daemon.memory_bytes())
            life.descriptors.append(daemon.descriptors())
            if middle_s is not None and now_s > middle_s:
                middle_s = None
                life.covered.append({name: house.coverage(name) for name in keys})
            time.sleep(0.5)
        life.states = daemon.states()
        life.covered.append({name: house.coverage(name) for name in keys})
        with urllib.request.urlopen(f"http://127.0.0.1:{house.metrics_port}/metrics", timeout=10) as page:
            life.metrics = page.read().decode()
        life.ended_us = time.time_ns() // 1000
        life.stop = daemon.terminate()
        life.sent = {name: world.sent(camera) for name, camera in cameras.items()}
        life.log = daemon.log()
    life.covered.append({name: house.coverage(name) for name in keys})
    yield life


def _note(life: Life, states: dict[str, dict[str, Any]], at_s: float) -> None:
    for name, state in states.items():
        if state["reason"]:
            life.reasons[name].add(state["reason"])
        if state["state"] != "recording":
            life.healed_s.pop(name, None)
        else:
            life.healed_s.setdefault(name, at_s)


STORIES: Final = {"troubles": troubled}


@pytest.fixture(scope="module")
def life(stories: dict[str, "Future[Life]"]) -> Life:
    return stories["troubles"].result()


def _gaps(life: Life, camera: str) -> list[Span]:
    """The camera's gaps between the beginning of trouble and the stop."""
    spans = life.covered[-1][camera]
    return [s for s in spans if s.kind == "gap" and s.end_us > life.began_us and s.start_us < life.ended_us - US]


@pytest.mark.parametrize("camera", WELL)
def test_a_well_camera_loses_no_frame_through_the_others_trouble(life: Life, camera: str) -> None:
    kept = check_exact(life.house, camera, life.sent[camera], life.ended_us)
    assert len(kept) > 15 * 30
    assert _gaps(life, camera) == []
    check_no_seams(check_promises(life.house, camera))


@pytest.mark.parametrize("camera", TROUBLES)
def test_trouble_is_named_and_heals_by_itself(life: Life, camera: str) -> None:
    trouble = TROUBLES[camera]
    reasons = {gap.reason for gap in _gaps(life, camera)}
    assert bool(reasons & trouble.gaps) is bool(trouble.gaps), _gaps(life, camera)
    assert reasons <= trouble.gaps | trouble.perhaps, _gaps(life, camera)
    over_us = life.began_us + int(trouble.over_s * US)
    late = [gap for gap in _gaps(life, camera) if gap.end_us > over_us]
    assert late == [], f"not over after {trouble.over_s:g} s"
    assert life.states[camera]["state"] == "recording"
    if trouble.says:
        told = life.reasons[camera] | {e["message"] for e in life.log if e.get("camera") == camera}
        assert any(trouble.says in sentence for sentence in told), told


@pytest.mark.parametrize("camera", TROUBLES)
def test_what_is_in_the_files_is_what_was_sent(life: Life, camera: str) -> None:
    trouble, sent = TROUBLES[camera], life.sent[camera]
    check_promises(life.house, camera)
    found = check_in_order(life.house, camera, sent)
    # A part that is shorter than it says swallows the next ones with their heads: kept as the camera framed them.
    assert found.altered <= sum({"corrupt": 1, "short-part": 12}.get(record.why, 0) for record in sent)
    last_us = max(record.sent_at_us for record in found.records)
    assert last_us > life.ended_us - 1.5 * US, "the newest pictures are not there"
    if trouble.whole:
        _check_whole(found, sent, life.ended_us)


def _check_whole(found: Found, sent: list[SentVop], until_us: int) -> None:
    kept = {(record.connection, record.seq) for record in found.records}
    first = next(record for record in sent if record.key)
    assert {record.connection for record in sent} == {1}
    due = [r for r in sent if r.seq >= first.seq and r.complete and not r.why and r.sent_at_us < until_us]
    assert [record for record in due if (record.connection, record.seq) not in kept] == []


@pytest.mark.parametrize("camera", NEVER)
def test_what_is_no_camera_is_a_gap_that_says_why(life: Life, camera: str) -> None:
    reason, sentence = NEVER[camera]
    assert (life.states[camera]["state"], life.states[camera]["last_frame"]) == ("connecting", None)
    assert sentence in life.states[camera]["reason"]
    assert {span.reason for span in life.covered[-1][camera]} <= {reason, "service-stopped"}
    assert reason in {span.reason for span in life.covered[2][camera]}
    assert segments_of(life.house, camera) == []


def test_every_gap_is_counted(life: Life) -> None:
    for camera in TROUBLES:
        for reason in {gap.reason for gap in _gaps(life, camera)}:
            counted = _metric(life, "nvr_camera_gap_seconds_total", camera, reason or "")
            covered_s = sum(g.end_us - g.start_us for g in _gaps(life, camera) if g.reason == reason) / US
            assert counted == pytest.approx(covered_s, abs=0.01), (camera, reason)


def _metric(life: Life, name: str, camera: str, reason: str) -> float:
    found = re.search(rf'^{name}{{camera="{camera}",reason="{reason}"}} (\S+)$', life.metrics, re.MULTILINE)
    assert found is not None, f"{name} of {camera}, {reason}"
    return float(found[1])


def test_every_file_of_a_troubled_camera_plays(life: Life) -> None:
    cameras = [camera for camera in TROUBLES if camera not in ("corrupt", "short-part")]
    paths = [path_of(life.house, s) for camera in cameras for s in segments_of(life.house, camera)]
    decode(paths, any_interval=True)


def test_trouble_does_not_make_it_grow(life: Life, figures: list[str]) -> None:
    begun, most, last = life.memory[0], max(life.memory), life.memory[-1]
    figures.append(f"memory before, at most in and after trouble: {begun >> 20}, {most >> 20}, {last >> 20} MB")
    assert most - begun < 40 << 20
    # A socket and a file for each camera, and what a daemon has open besides.
    assert max(life.descriptors) <= 2 * len(life.house.cameras) + 30


def test_nothing_is_called_a_bug_and_no_unit_was_made_anew(life: Life) -> None:
    assert [entry for entry in life.log if entry["level"] in ("error", "critical")] == []
    assert not re.search(r"^nvr_recorder_restarts_total\{[^}]*\} [1-9]", life.metrics, re.MULTILINE)


def test_the_log_speaks_of_a_camera_a_few_times_not_for_each_attempt(life: Life) -> None:
    for camera in (*TROUBLES, *NEVER):
        loud = [e for e in life.log if e.get("camera") == camera and e["level"] != "debug"]
        assert len(loud) <= 8, loud


def test_a_stop_with_all_of_them_seals_everything_within_five_seconds(life: Life, figures: list[str]) -> None:
    code, seconds = life.stop
    figures.append(
        f"SIGTERM with {len(life.house.cameras)} cameras, {len(TROUBLES) + len(WELL)} recorded: {seconds:.2f} s"
    )
    assert code == 0
    assert seconds < 5
    assert unpromised(life.house) == set()
    for camera, trouble in TROUBLES.items():
        if not trouble.perhaps:  # times of pictures that came late, with others lost between, may be ahead a while
            assert life.covered[-1][camera][-1].reason == "service-stopped", camera

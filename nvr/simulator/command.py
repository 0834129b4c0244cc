"""`nvr simulate` and `python -m nvr.simulator`: simulated cameras from a shell.

Says its ports as one line of JSON once they are open, then serves until SIGINT or SIGTERM.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from nvr.simulator.faults import Fault, Name, parse
from nvr.simulator.options import FRAME_SIZES, MODELS, CameraOptions, EncodeSettings, Framing
from nvr.simulator.server import Simulator, check

EXIT_WELL: Final = 0
EXIT_NOT_WELL: Final = 1
EXIT_WRONG_USE: Final = 2

_KEPT_PER_CAMERA: Final = 2_000  # SentVop records in memory; the truth file has them all


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What a simulator process is."""

    cameras: list[CameraOptions]
    faults: list[Fault] = field(default_factory=list)
    """For every camera."""
    loop_s: float = 0.0
    truth: Path | None = None
    control_port: int | None = None
    seconds: float = 0.0
    """0: until it is told to stop."""

    def __post_init__(self) -> None:
        """Raises ValueError for what no simulator can be."""
        check(self.cameras, self.loop_s)


def main(argv: list[str]) -> int:
    """Runs the command; answers its exit code: 0 well, 1 a port cannot be had, 2 wrong use."""
    try:
        options = _options(_parser().parse_args(argv))
    except SystemExit as end:  # argparse has said why
        return EXIT_WELL if not end.code else EXIT_WRONG_USE
    except ValueError as trouble:
        sys.stderr.write(f"nvr simulate: {trouble}\n")
        return EXIT_WRONG_USE
    try:
        asyncio.run(run_simulator(options))
    except OSError as trouble:
        sys.stderr.write(f"nvr simulate: a port or the truth file cannot be had: {trouble}\n")
        return EXIT_NOT_WELL
    except KeyboardInterrupt:  # a second one, before the first was answered
        return EXIT_NOT_WELL
    return EXIT_WELL


async def run_simulator(options: SimulatorOptions, say: Callable[[str], object] = sys.stdout.write) -> None:
    """Runs cameras until SIGINT, SIGTERM or the end of `seconds`. `say` gets one line of JSON: the ports.

    Raises OSError where a port cannot be had.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(
        options.cameras, loop_s=options.loop_s, truth=options.truth, control_port=options.control_port
    ) as simulator:
        for camera in simulator.cameras:
            for fault in options.faults:
                camera.fault(fault)
        say(json.dumps(_ports(simulator)) + "\n")
        sys.stdout.flush()
        try:
            async with asyncio.timeout(options.seconds or None):
                await stop.wait()
        except TimeoutError:
            pass


def _ports(simulator: Simulator) -> dict[str, Any]:
    cameras = []
    for camera in simulator.cameras:
        http, alarm, search = simulator.ports(camera)
        cameras.append({"camera": camera.camera_id, "http_port": http, "alarm_port": alarm, "search_port": search})
    return {"cameras": cameras, "control_port": simulator.control_port}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nvr simulate",
        description="Simulated JVC cameras. Ports of 0 are chosen free; the first line of output says them as JSON.",
        epilog="Faults: " + ", ".join(Name) + ". At run time: GET /simulator/... on a camera's HTTP port, or "
        "/simulator/<n>/... on the control port.",
        allow_abbrev=False,
    )
    _add_places(parser)
    _add_camera(parser)
    _add_encoding(parser)
    _add_framing(parser)
    _add_alarms(parser)
    _add_trouble(parser)
    return parser


def _add_places(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on")
    group.add_argument("--http-port", type=int, default=0, metavar="P")
    group.add_argument("--alarm-port", type=int, default=0, metavar="P")
    group.add_argument("--search-port", type=int, metavar="P", help="UDP search; none without")
    group.add_argument("--control-port", type=int, metavar="P", help="control of all cameras")
    group.add_argument(
        "--cameras", type=int, default=1, metavar="N", help="so many, on ports one after the other (0: all free)"
    )
    group.add_argument("--seconds", type=float, default=0.0, metavar="S", help="stop after so long")
    group.add_argument("--truth", type=Path, metavar="FILE", help="a JSON line for each VOP due to a client")


def _add_camera(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the camera")
    group.add_argument("--model", choices=MODELS, default=MODELS[0])
    group.add_argument("--camera-id", default="Camera01", help="with several cameras, their number is put behind it")
    group.add_argument("--firmware", default="V3-00", metavar="V", help="of each part of it (%(default)s)")
    group.add_argument("--password", default="", help="of admin, operator and user; default: the model's")
    group.add_argument("--position", default="0,500,0", metavar="PAN,TILT,ZOOM", help="hundredths")
    group.add_argument("--sweep", type=float, default=0.0, metavar="DEGREES_S", help="pans without end")
    group.add_argument("--clock-offset", type=float, default=0.0, metavar="S")
    group.add_argument("--clock-drift", type=float, default=0.0, metavar="PPM")
    group.add_argument(
        "--join", choices=("live", "key"), default="live", help="first VOP of a stream: any, or an I-VOP"
    )
    group.add_argument("--video-clients", type=int, default=20, metavar="N")
    group.add_argument("--queue-bytes", type=int, default=131_072, metavar="N", help="then VOPs are dropped whole")
    group.add_argument("--send-buffer-bytes", type=int, default=131_072, metavar="N")
    group.add_argument("--auth-error-in-body", action="store_true")
    group.add_argument("--multicast-jfif", action="store_true", help="multicast JPEG as files, not by RFC 2435")
    group.add_argument("--restart-seconds", type=float, default=3.0, metavar="S")
    group.add_argument("--seed", type=int, default=1)


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("MPEG-4")
    group.add_argument("--frame-size", choices=tuple(FRAME_SIZES), default="vga")
    group.add_argument("--frame-rate", type=_fraction, default=Fraction(30), metavar="FPS", help="30, 7.5, 30000/1001")
    group.add_argument("--i-interval", type=int, default=30, metavar="N", help="1 (all I) to 255")
    group.add_argument("--bitrate", type=int, default=2_000_000, metavar="BPS")
    group.add_argument("--resolution", type=int, default=30_000, metavar="TICKS", help="of the VOL, ticks a second")
    group.add_argument("--fixed-vop-rate", action="store_true")
    group.add_argument(
        "--loop-seconds",
        type=float,
        default=0.0,
        metavar="S",
        help="encode so much once and repeat it, with time going on",
    )


def _add_framing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("framing with ptz_info=on")
    # Values that begin with a dash are said with =, as in --delimiter=-foo.
    group.add_argument("--delimiter", choices=("-foo", "--foo", "----foo"), default="--foo", help="said with =")
    group.add_argument("--boundary", default="--foo", help="as the Content-Type has it; said with =")
    group.add_argument("--no-crlf-after-part", action="store_true")
    group.add_argument("--head", choices=("multipart", "mp4v-es"), default="multipart")
    group.add_argument("--headers-apart", action="store_true", help="VOL, user data and GOV in a part of their own")
    group.add_argument("--folded-response-line", action="store_true")
    group.add_argument("--closing-delimiter", action="store_true")


def _add_alarms(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("alarms")
    group.add_argument("--no-alarm-greeting", action="store_true", help="no block at connect")
    group.add_argument("--no-alarm-off", action="store_true", help="no block when motion ends")
    group.add_argument("--alarm-pieces", type=int, default=0, metavar="BYTES", help="reports in pieces")
    group.add_argument(
        "--alarm-cut-seconds", type=float, default=0.0, metavar="S", help="links are closed after so long"
    )


def _add_trouble(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trouble")
    group.add_argument(
        "--fault", action="append", default=[], metavar="NAME[:ARG][@AFTER][+FOR]", help="repeatable; for every camera"
    )


def _options(said: argparse.Namespace) -> SimulatorOptions:
    encode = EncodeSettings(said.frame_size, said.frame_rate, said.i_interval, said.bitrate, said.resolution)
    framing = Framing(
        said.delimiter,
        said.boundary,
        not said.no_crlf_after_part,
        said.head,
        said.headers_apart,
        said.folded_response_line,
        said.closing_delimiter,
    )
    cameras = [_camera(said, number, encode, framing) for number in range(said.cameras)]
    faults = [parse(text) for text in said.fault]
    return SimulatorOptions(cameras, faults, said.loop_seconds, said.truth, said.control_port, said.seconds)


def _camera(said: argparse.Namespace, number: int, encode: EncodeSettings, framing: Framing) -> CameraOptions:
    return CameraOptions(
        host=said.host,
        http_port=said.http_port and said.http_port + number,
        alarm_port=said.alarm_port and said.alarm_port + number,
        search_port=said.search_port and said.search_port + number,
        model=said.model,
        firmware=said.firmware,
        camera_id=said.camera_id if said.cameras == 1 else f"{said.camera_id}-{number + 1}",
        passwords=dict.fromkeys(("admin", "operator", "user"), said.password),
        encode=encode,
        framing=framing,
        join=said.join,
        position=_position(said.position),
        sweep_degrees_s=said.sweep,
        clock_offset_s=said.clock_offset,
        clock_drift_ppm=said.clock_drift,
        video_clients=said.video_clients,
        send_buffer_bytes=said.send_buffer_bytes,
        queue_bytes=said.queue_bytes,
        alarm_greeting=not said.no_alarm_greeting,
        alarm_pieces=said.alarm_pieces,
        alarm_cut_s=said.alarm_cut_seconds,
        alarm_off=not said.no_alarm_off,
        auth_error_in_body=said.auth_error_in_body,
        multicast_jfif=said.multicast_jfif,
        restart_s=said.restart_seconds,
        fixed_vop_rate=said.fixed_vop_rate,
        keep_sent=_KEPT_PER_CAMERA,
        seed=said.seed + number,
    )


def _position(text: str) -> tuple[int, int, int]:
    try:
        pan, tilt, zoom = map(int, text.split(","))
    except ValueError:
        raise ValueError(f"--position {text!r} is not PAN,TILT,ZOOM in hundredths") from None
    return pan, tilt, zoom


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no frame rate") from None

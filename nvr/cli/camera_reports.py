"""`nvr camera sessions`, `log` and `clock`: what a camera says of what it sends, of what happened, and of the time."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from nvr import config
from nvr.camera.control import Control, LogReading
from nvr.cli.at_camera import CameraOption, ask, control_of
from nvr.cli.errors import NotWellError
from nvr.cli.printing import ConfigOption, JsonOption, note, print_json, print_table
from nvr.cli.times import duration_text, iso_utc, local_text
from nvr.clock import HostClock
from nvr.jvc import date, session
from nvr.jvc.date import ClockReading
from nvr.jvc.errors import ApiRefused
from nvr.jvc.log import Moment, when_us
from nvr.jvc.session import MAX_OUTPUT_BPS, Sending, Sessions
from nvr.units import US

_WELL_S: Final = 2.0  # half a second from whole seconds, and a request's way
_BEFORE_TURN_US: Final = 20_000  # a request's way to the camera


def sessions(camera: CameraOption, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What the camera sends now, to whom, and how near its limits are.

    It sends about 20 Mbit/s at most, to a bounded number of clients; nvr's own stream is one of them.
    """
    settings = config.load(config.find(config_file))
    control = control_of(settings, camera)
    told = session.parse(ask(camera, lambda: control.report(session.NAME)))
    if as_json:
        print_json(_session_facts(camera, told))
        return
    if not print_table(("no", "to", "by", "what", "fps", "size", "bit rate"), map(_stream_row, told.sending)):
        typer.echo("the camera sends nothing now")
    total, count, most = told.total_bps, len(told.sending), told.most
    typer.echo(f"{count} of {most or '?'} streams, {_rate_text(total)} of about {MAX_OUTPUT_BPS / 1e6:g} Mbit/s")
    if told.is_near_rate:
        note("the camera is near what it can send: lower bit rates, fewer clients, or one multicast stream for all")
    if told.is_near_clients:
        note("the camera is near its limit of clients: the next one may be refused")


def log(camera: CameraOption, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The camera's own log since it was switched on: alarms, motion, errors.

    Times are those of its clock, which has no year and may be wrong; beside them is what they are by this machine's.
    Only the user admin may read it.
    """
    settings = config.load(config.find(config_file))
    control = control_of(settings, camera)
    told = ask(camera, control.log)
    if as_json:
        print_json(_log_facts(camera, told))
        return
    if not print_table(("here it was", "the camera's words"), _log_rows(told)):
        typer.echo("nothing is in the camera's log")
    if told.log.alive_s is not None:
        typer.echo(f"switched on {duration_text(told.log.alive_s)} ago")


def clock(
    camera: CameraOption,
    set_it: Annotated[
        bool, typer.Option("--set", help="Set it to this machine's time, in the zone that it seems to be in.")
    ] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The camera's clock beside this machine's; --set makes it right.

    In which zone the camera's time is it does not say: the nearest is taken, and UTC where its clock is days off.
    Exit code 1 where it is wrong by more than two seconds.
    """
    settings = config.load(config.find(config_file))
    control = control_of(settings, camera)
    told = ask(camera, lambda: _set_clock(control) if set_it else _read_clock(control))
    if as_json:
        print_json(_clock_facts(camera, told))
    else:
        typer.echo(_clock_sentence(camera, told))
    if set_it and told.ntp == "on":
        note("the camera asks a time server (network.ntp.status is on), which has the last word on its clock")
    if not told.is_right:
        raise typer.Exit(1)


# ---- what it sends


def _session_facts(camera: str, told: Sessions) -> dict[str, Any]:
    return {
        "camera": camera,
        "total_bitrate_bps": told.total_bps,
        "sending_count": told.count,
        "sending_max": told.most,
        "near_rate_limit": told.is_near_rate,
        "near_client_limit": told.is_near_clients,
        "sending": [
            {
                "number": stream.number,
                "bitrate_bps": stream.bitrate_bps,
                "to_host": stream.to_host,
                "to_port": stream.to_port,
                "protocol": stream.protocol,
                "session": stream.session,
                "encode": stream.encode,
                "framerate": stream.framerate,
                "framesize": stream.framesize,
            }
            for stream in told.sending
        ],
    }


def _stream_row(stream: Sending) -> tuple[str, ...]:
    to = f"{stream.to_host or '?'}:{stream.to_port or '?'}"
    by = " ".join(word for word in (stream.protocol, stream.session) if word)
    words = (stream.encode, stream.framerate, stream.framesize)
    return f"{stream.number:02}", to, by or "-", *(word or "-" for word in words), _rate_text(stream.bitrate_bps)


def _rate_text(bps: int | None) -> str:
    return "-" if bps is None else f"{bps / 1e6:.2f} Mbit/s"


# ---- its log


def _log_facts(camera: str, told: LogReading) -> dict[str, Any]:
    return {
        "camera": camera,
        "alive_seconds": told.log.alive_s,
        "camera_date": told.camera_date,
        "read_at": iso_utc(told.utc_us),
        "entries": [
            {
                "text": entry.text,
                "at": None if entry.at is None or (at_us := _here_us(told, entry.at)) is None else iso_utc(at_us),
                "change": None if entry.change is None else entry.change.value,
            }
            for entry in told.log.entries
        ],
    }


def _log_rows(told: LogReading) -> Iterator[tuple[str, str]]:
    for entry in told.log.entries:
        at_us = None if entry.at is None else _here_us(told, entry.at)
        yield "-" if at_us is None else local_text(at_us), entry.text


def _here_us(told: LogReading, at: Moment) -> int | None:
    return when_us(at, told.camera_date, told.utc_us)


# ---- its clock


@dataclass(frozen=True, slots=True)
class _ClockTold:
    reading: ClockReading
    read_us: int
    timezone: str | None
    ntp: str | None

    @property
    def is_right(self) -> bool:
        return self.reading.zone_us is not None and abs(self.reading.offset_us) < _WELL_S * US


async def _read_clock(control: Control) -> _ClockTold:
    """Its date at one moment, and what it says of zone and time server. Raises NotWellError where it tells no date."""
    host = HostClock()
    timezone, ntp = await _maybe(control, date.ZONE_NAME), await _maybe(control, date.NTP_NAME)
    before_us = host.utc_us()
    said = await control.get(date.NAME)
    read_us = (before_us + host.utc_us()) // 2
    reading = date.compare(said, read_us)
    if reading is None:
        raise NotWellError(f"the camera tells no date: {said[:40]!r}")
    return _ClockTold(reading, read_us, timezone, ntp)


async def _set_clock(control: Control) -> _ClockTold:
    """Sets it as the second of this machine's clock turns, since the camera takes whole seconds."""
    zone_us = (await _read_clock(control)).reading.zone_us or 0
    host = HostClock()
    turn_us = (host.utc_us() // US + 1) * US
    if turn_us - host.utc_us() < _BEFORE_TURN_US:
        turn_us += US
    await asyncio.sleep((turn_us - _BEFORE_TURN_US - host.utc_us()) / US)
    await control.set(date.NAME, date.written(turn_us, zone_us))
    return await _read_clock(control)


async def _maybe(control: Control, name: str) -> str | None:
    """A parameter that a firmware may lack or keep from this user."""
    try:
        return (await control.get(name)).strip() or None
    except ApiRefused:
        return None


def _clock_facts(camera: str, told: _ClockTold) -> dict[str, Any]:
    zone_us = told.reading.zone_us
    return {
        "camera": camera,
        "camera_date": told.reading.said,
        "read_at": iso_utc(told.read_us),
        "offset_seconds": told.reading.offset_us / US,
        "zone_offset_seconds": None if zone_us is None else zone_us // US,
        "timezone": told.timezone,
        "ntp": told.ntp,
        "right": told.is_right,
    }


def _clock_sentence(camera: str, told: _ClockTold) -> str:
    reading = told.reading
    at = date.read(reading.said)
    zone = f", time zone {told.timezone}" if told.timezone else ""
    if reading.zone_us is None:
        off = f"is {duration_text(abs(reading.offset_us) / US)} {'ahead' if reading.offset_us > 0 else 'behind'}"
        return f"{camera}: {at:%Y-%m-%d %H:%M:%S}{zone}; {off} of UTC: set it with --set"
    sign, minutes = "-" if reading.zone_us < 0 else "+", abs(reading.zone_us) // (60 * US)
    seems = f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}"
    if told.is_right:
        return f"{camera}: {at:%Y-%m-%d %H:%M:%S}{zone}; right to the second, if it means {seems}"
    return f"{camera}: {at:%Y-%m-%d %H:%M:%S}{zone}; {reading.offset_us / US:+.1f} s off, if it means {seems}"

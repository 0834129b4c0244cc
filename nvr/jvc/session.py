"""What the camera says it sends, and to whom: `system.session`, guide 6.18, fact sheet 5.6."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nvr.jvc.params import parse_line

NAME: Final = "system.session"
MAX_OUTPUT_BPS: Final = 20_000_000
"""What the camera sends at most, about (guide 1.4, 2.4)."""

_NEAR: Final = 0.8
_STREAM: Final = re.compile(r"system\.session\.sending\((\d{1,3})\)\.([a-z.]+)", re.IGNORECASE | re.ASCII)
_RATE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([kKmM]?)(?:bps)?", re.ASCII)
_POWERS: Final = {"": 1, "k": 1_000, "m": 1_000_000}
_MOST_STREAMS: Final = 1_000  # numbers have two digits (fact sheet 5.6)


@dataclass(frozen=True, slots=True)
class Sending:
    """One stream, in the camera's own words; None where it says nothing."""

    number: int
    bitrate_bps: int | None = None
    to_host: str | None = None
    """Who gets it; of a multicast stream the group."""
    to_port: int | None = None
    protocol: str | None = None
    session: str | None = None
    encode: str | None = None
    """jpeg or mpeg4."""
    framerate: str | None = None
    framesize: str | None = None


@dataclass(frozen=True, slots=True)
class Sessions:
    """All it sends."""

    total_bps: int | None
    count: int | None
    """By the camera's word, which need not be the number of streams it lists (fact sheet 5.6)."""
    most: int | None
    sending: tuple[Sending, ...]

    @property
    def is_near_rate(self) -> bool:
        """Little is left of what the camera can send."""
        listed = sum(stream.bitrate_bps or 0 for stream in self.sending)
        return max(self.total_bps or 0, listed) >= _NEAR * MAX_OUTPUT_BPS

    @property
    def is_near_clients(self) -> bool:
        """At most one more stream can be had."""
        return self.most is not None and max(self.count or 0, len(self.sending)) >= self.most - 1


def parse(lines: Iterable[str]) -> Sessions:
    """Reads an answer's lines. Never raises: what it does not know is skipped. Numbers of streams may have gaps."""
    whole: dict[str, str] = {}
    streams: dict[int, dict[str, str]] = {}
    for text in lines:
        line = parse_line(text)
        if line is None or not line.is_good or line.value is None:
            continue
        found = _STREAM.fullmatch(line.name)
        if found is None:
            whole[line.name.lower()] = line.value.strip()
        elif len(streams) < _MOST_STREAMS or int(found[1]) in streams:
            streams.setdefault(int(found[1]), {})[found[2].lower()] = line.value.strip()
    return Sessions(
        total_bps=_rate(whole.get(f"{NAME}.total_bitrate")),
        count=_number(whole.get(f"{NAME}.sending_count")),
        most=_number(whole.get(f"{NAME}.sending_max")),
        sending=tuple(_sending(number, said) for number, said in sorted(streams.items())),
    )


def _sending(number: int, said: dict[str, str]) -> Sending:
    return Sending(
        number,
        _rate(said.get("bitrate")),
        said.get("to.ip") or None,
        _number(said.get("to.port")),
        said.get("to.protocol") or None,
        said.get("to.session") or None,
        said.get("from.encode") or None,
        said.get("from.framerate") or None,
        said.get("from.framesize") or None,
    )


def _rate(text: str | None) -> int | None:
    """`388k` as bits a second."""
    found = _RATE.fullmatch(text) if text is not None else None
    return None if found is None else round(float(found[1]) * _POWERS[found[2].lower()])


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 6 else None

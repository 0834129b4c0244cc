"""The search for cameras on the local network by UDP broadcast: guide 3, fact sheet 3."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from nvr.jvc.errors import ProtocolError
from nvr.jvc.http import excerpt

REQUEST: Final = b"system.id\r\n"
PORT: Final = 80
"""Where the request goes; the answers come to the port it was sent from."""
ANSWERS_WITHIN_S: Final = 2.0
"""A camera waits up to 0.7 s before it answers, so that many do not answer at once."""

_MAX_ANSWER: Final = 512  # the guide's has 43 bytes
_ANSWER: Final = re.compile(r"system\.id *= *([^()&=]+?) *\( *([^()/]+?) *(?:/ *([^()]+?) *)?\)(?: *& *(\d{3})\b.*)?")


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """What a camera says of itself. The sender's address, which may differ, is the packet's, not the answer's."""

    model: str
    """With its market suffix: VN-V685U."""
    address: str
    prefix_length: int | None


def parse_answer(packet: bytes) -> SearchAnswer:
    """Reads one answer. Raises ProtocolError for what is none: anything may arrive at an open UDP port."""
    if len(packet) > _MAX_ANSWER:
        raise ProtocolError(f"a search answer of more than {_MAX_ANSWER} bytes")
    text = packet.strip(b"\r\n\0 ").decode("latin-1")
    match = _ANSWER.fullmatch(text)
    if match is None or not match[1].isprintable() or (match[4] or "200")[0] != "2":
        raise ProtocolError(f"no answer to a search: {excerpt(packet, 64)}")
    model, address, mask, _ = match.groups()
    try:
        network = ipaddress.ip_interface(f"{address}/{mask}" if mask else address)
    except ValueError as bad:
        raise ProtocolError(f"a search answer with an address that is none: {excerpt(packet, 64)}") from bad
    return SearchAnswer(model, str(network.ip), network.network.prefixlen if mask else None)

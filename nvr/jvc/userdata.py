"""What the camera says of itself in the stream, before each I-VOP (Userdata2: guide 2.5, fact sheet 2.3).

Sizes and separator of the items are stated nowhere, so they are found by name. Nothing here is ever an error: a picture
is not lost over what stands beside it.
"""

import re
from typing import Final

from nvr.jvc.items import clock_us, flag, number, text
from nvr.jvc.types import FrameInfo

_MAX_BYTES: Final = 1 << 10  # the items of the sister models sum up to 178 bytes
_ITEM: Final = re.compile(rb"([A-Za-z_]{1,16}) *= *([^\x00\r\n]*)")


def parse(user_data: bytes) -> FrameInfo:
    """Reads the user data behind its start code. Never raises; unknown items are skipped, bad ones are None."""
    items: dict[bytes, bytes] = {}
    for name, value in _ITEM.findall(user_data[:_MAX_BYTES]):
        items.setdefault(name.lower(), value.rstrip())
    timestamp = items.get(b"timestamp")
    return FrameInfo(
        model=text(items.get(b"type")),
        timestamp=text(timestamp),
        clock_us=clock_us(timestamp),
        camera_id=items.get(b"camera"),
        preset=number(items.get(b"position")),
        fan_failed=flag(items.get(b"fan")),
        tracking=number(items.get(b"track_status")),
    )

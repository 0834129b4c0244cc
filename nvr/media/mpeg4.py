"""The headers of an MPEG-4 Part 2 elementary stream (ISO/IEC 14496-2), as far as a recorder must read them.

Pure: bytes in, values out. Nothing here decodes a picture.
"""

from typing import Final

from nvr.media.errors import NotDecodable
from nvr.media.frame import Vol

PREFIX: Final = b"\x00\x00\x01"
"""Every start code begins so (6.2.1); a valid stream has it nowhere else."""

VOL_FIRST: Final = 0x20
VOL_LAST: Final = 0x2F
VIDEO_OBJECT_LAST: Final = 0x1F
SEQUENCE: Final = 0xB0
USER_DATA: Final = 0xB2
GOV: Final = 0xB3
VISUAL_OBJECT: Final = 0xB5
VOP: Final = 0xB6

I_VOP: Final = 0
P_VOP: Final = 1

_MIN_SIDE: Final = 16  # one macroblock
_MAX_SIDE: Final = 2048  # ten times the pixels of the camera's VGA; a decoder's memory is bounded by it
_MAX_MODULO: Final = 3600  # an hour between two pictures: no camera, only damage
_RECTANGULAR: Final = 0
_EXTENDED_PAR: Final = 15


def parse_vol(header: bytes, at: int = 0) -> Vol:
    """Reads the VOL (6.2.3) whose start code stands at `at`; `Vol.header` is the whole of `header`.

    Raises NotDecodable for what is not a rectangular layer of 16..2048 pixels a side with a time resolution.
    """
    code = header[at + 3] if len(header) > at + 3 and header[at : at + 3] == PREFIX else -1
    if not VOL_FIRST <= code <= VOL_LAST:
        raise NotDecodable("no VOL start code where a VOL was said to be")
    bits = _Bits(header, at + 4)
    bits.skip(1 + 8)  # random_accessible_vol, video_object_type_indication
    if bits.flag():  # is_object_layer_identifier
        bits.skip(4 + 3)  # verid, priority
    if bits.take(4) == _EXTENDED_PAR:
        bits.skip(8 + 8)  # par_width, par_height
    if bits.flag():
        _skip_vol_control(bits)
    shape = bits.take(2)
    if shape != _RECTANGULAR:
        raise NotDecodable(f"VOL of shape {shape}, only rectangular pictures are recorded")
    bits.marker("before the time resolution")
    resolution = bits.take(16)
    if resolution == 0:
        raise NotDecodable("VOL with a time resolution of 0")
    bits.marker("after the time resolution")
    fixed_increment = bits.take(increment_bits(resolution)) if bits.flag() else 0
    bits.marker("before the width")
    width = bits.take(13)
    bits.marker("after the width")
    height = bits.take(13)
    bits.marker("after the height")
    if not (_MIN_SIDE <= width <= _MAX_SIDE and _MIN_SIDE <= height <= _MAX_SIDE):
        raise NotDecodable(f"VOL of {width}x{height} pixels, {_MIN_SIDE} to {_MAX_SIDE} a side are recorded")
    return Vol(header, width, height, resolution, fixed_increment)


def leads_with_vol(data: bytes) -> bool:
    """Whether a VOL stands before the first GOV or VOP: then these bytes can be decoded without any before them."""
    return _vol_at(data) >= 0


def find_vol(data: bytes) -> Vol | None:
    """The VOL before the first GOV or VOP, or None; raises NotDecodable where there is one that cannot be recorded."""
    at = _vol_at(data)
    if at < 0:
        return None
    start = data.find(PREFIX)
    end = data.find(PREFIX, at + 4)
    return parse_vol(data[start : len(data) if end < 0 else end], at - start)


def coding(vol: Vol) -> bytes:
    """The VOL alone, by which two are told apart: headers above it and stuffing behind it say nothing."""
    return vol.header[_vol_at(vol.header) :].rstrip(b"\0")


def increment_bits(resolution: int) -> int:
    """How many bits a vop_time_increment takes: enough for 0..resolution-1, at least one (6.3.5)."""
    return max(1, (resolution - 1).bit_length())


def parse_vop(data: bytes, at: int, bits: int) -> tuple[int, int, int]:
    """Reads the VOP header (6.2.5) whose start code stands at `at`; `bits` is `increment_bits(resolution)`.

    Returns vop_coding_type, the seconds of modulo_time_base, and vop_time_increment. Raises NotDecodable.
    """
    word = int.from_bytes(data[at + 4 : at + 12], "big") << 8 * max(0, at + 12 - len(data))
    if (
        word >> 60 & 3 == 1 and word >> 59 - bits & 1
    ):  # modulo_time_base "0", marker, increment, marker: all but 1 a second
        return word >> 62, 0, word >> 60 - bits & (1 << bits) - 1
    return _parse_long_vop(data, at, bits)


def parse_gov(data: bytes, at: int) -> int | None:
    """Reads the time_code (6.2.4) of the GOV whose start code stands at `at`: seconds of a day.

    None where it is none (a marker or a range is wrong): pictures are not lost over a clock that nobody trusts.
    """
    if len(data) < at + 7:
        return None
    word = int.from_bytes(data[at + 4 : at + 7], "big") >> 6
    hours, minutes, marker, seconds = word >> 13, word >> 7 & 63, word >> 6 & 1, word & 63
    if not marker or hours > 23 or minutes > 59 or seconds > 59:
        return None
    return hours * 3600 + minutes * 60 + seconds


def _vol_at(data: bytes) -> int:
    at = data.find(PREFIX)
    while 0 <= at < len(data) - 3:
        code = data[at + 3]
        if VOL_FIRST <= code <= VOL_LAST:
            return at
        if code in (GOV, VOP):
            break
        at = data.find(PREFIX, at + 4)
    return -1


class _Bits:
    """Reads bits from the left; past the end is NotDecodable."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes, start: int) -> None:
        part = data[start : start + 64]  # the longest VOL up to its height has 27 bytes
        self._value = int.from_bytes(part, "big")
        self._left = len(part) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise NotDecodable("a header ends before its last field")
        return self._value >> self._left & (1 << count) - 1

    def skip(self, count: int) -> None:
        self.take(count)

    def flag(self) -> bool:
        return self.take(1) == 1

    def marker(self, where: str) -> None:
        if not self.flag():
            raise NotDecodable(f"marker bit missing {where}")


def _skip_vol_control(bits: _Bits) -> None:
    bits.skip(2 + 1)  # chroma_format, low_delay
    if not bits.flag():  # vbv_parameters
        return
    bits.skip(15)
    bits.marker("in the bit rate")
    bits.skip(15)
    bits.marker("after the bit rate")
    bits.skip(15)
    bits.marker("in the buffer size")
    bits.skip(3 + 11)
    bits.marker("in the buffer occupancy")
    bits.skip(15)
    bits.marker("after the buffer occupancy")


def _parse_long_vop(data: bytes, at: int, bits: int) -> tuple[int, int, int]:
    reader = _Bits(data, at + 4)
    coding_type = reader.take(2)
    modulo = 0
    while reader.flag():
        modulo += 1
        if modulo % 256 == 0:  # the reader holds 512 bits; go on behind those read
            reader = _Bits(data, at + 4 + (modulo + 2) // 8)
            reader.skip((modulo + 2) % 8)
        if modulo > _MAX_MODULO:
            raise NotDecodable(f"a picture more than {_MAX_MODULO} s after the one before")
    reader.marker("before the picture's time")
    increment = reader.take(bits)
    reader.marker("after the picture's time")
    return coding_type, modulo, increment

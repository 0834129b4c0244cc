"""The headers of the elementary stream, written bit by bit (ISO/IEC 14496-2, 6.2), and VOPs given another time.

A picture is encoded once and sent by many cameras, each with its own clock: so a VOP is kept as the bits behind its
time, and every camera puts its own time in front. Variable length codes never look like a start code at any alignment,
so the bits may be shifted.
"""

from datetime import UTC, datetime
from typing import Final

VOL_START: Final = b"\x00\x00\x01\x20"
USER_DATA_START: Final = b"\x00\x00\x01\xb2"
GOV_START: Final = b"\x00\x00\x01\xb3"
VOP_START: Final = b"\x00\x00\x01\xb6"

I_VOP: Final = 0
P_VOP: Final = 1

_DAY_S: Final = 86_400
_MAX_MODULO: Final = 3_600  # seconds in one VOP header; more is a bug of the caller

# Fact sheet 2.3, sizes from 1.5: name and value, NULs up to the size.
_ITEM_SIZES: Final = {"type": 18, "Timestamp": 70, "camera": 50, "position": 15, "fan": 8, "track_status": 17}


class VopBody:
    """One encoded VOP without its time: what follows vop_time_increment and its marker."""

    __slots__ = ("_bits", "_shifted", "_value", "coding_type")

    def __init__(self, coding_type: int, value: int, bits: int) -> None:
        self.coding_type = coding_type
        self._value = value
        self._bits = bits
        self._shifted: dict[int, bytes] = {}

    @property
    def key(self) -> bool:
        return self.coding_type == I_VOP

    def timed(self, modulo_seconds: int, increment: int, increment_bits: int) -> bytes:
        """The whole VOP, start code included, with this time (6.2.5)."""
        modulo_seconds = min(modulo_seconds, _MAX_MODULO)
        ones = (1 << modulo_seconds) - 1
        # vop_coding_type, modulo_time_base "1…10", marker, vop_time_increment, marker
        head = (self.coding_type << modulo_seconds | ones) << 2 | 1
        head = (head << increment_bits | increment) << 1 | 1
        length = 2 + modulo_seconds + 2 + increment_bits + 1
        shift = length % 8
        body = self._shifted.get(shift)
        if body is None:
            body = self._shifted[shift] = self._stuffed(shift)
        if shift == 0:
            return VOP_START + head.to_bytes(length // 8, "big") + body
        head = head << 8 - shift | body[0]
        return b"".join((VOP_START, head.to_bytes(length // 8 + 1, "big"), body[1:]))

    def _stuffed(self, shift: int) -> bytes:
        """The body behind `shift` zero bits, ended by a zero and ones up to the byte (5.2.4)."""
        stuffing = 8 - (shift + self._bits) % 8
        value = self._value << stuffing | (1 << stuffing - 1) - 1
        return value.to_bytes((shift + self._bits + stuffing) // 8, "big")


def take_apart(packet: bytes, resolution: int) -> VopBody:
    """The VOP in an encoder's packet, its headers and its time left behind; `resolution` is the encoder's.

    Raises ValueError where there is no VOP.
    """
    data = packet[packet.index(VOP_START) + 4 :]
    total = len(data) * 8
    value = int.from_bytes(data, "big")
    coding_type = value >> total - 2
    at = 2
    while value >> total - at - 1 & 1:
        at += 1
    at += 1 + 1 + increment_bits(resolution) + 1
    stuffing = 1
    while value >> stuffing - 1 & 1:
        stuffing += 1
    bits = total - at - stuffing
    return VopBody(coding_type, value >> stuffing & (1 << bits) - 1, bits)


def increment_bits(resolution: int) -> int:
    """Bits of a vop_time_increment (6.3.5): enough for 0..resolution-1, at least one."""
    return max(1, (resolution - 1).bit_length())


def vol(width: int, height: int, resolution: int, fixed_increment: int = 0) -> bytes:
    """A simple profile video object layer (6.2.3) with the tools FFmpeg's encoder uses; 0 is no fixed VOP rate."""
    bits = _Bits()
    bits.put(0, 1)  # random_accessible_vol
    bits.put(1, 8)  # video_object_type_indication: simple
    bits.put(1, 1)  # is_object_layer_identifier
    bits.put(1, 4)  # verid
    bits.put(1, 3)  # priority
    bits.put(1, 4)  # aspect_ratio_info: square
    bits.put(1, 1)  # vol_control_parameters
    bits.put(1, 2)  # chroma_format 4:2:0
    bits.put(1, 1)  # low_delay: no B-VOPs
    bits.put(0, 1)  # vbv_parameters
    bits.put(0, 2)  # shape: rectangular
    bits.put(1, 1)
    bits.put(resolution, 16)
    bits.put(1, 1)
    bits.put(1 if fixed_increment else 0, 1)
    if fixed_increment:
        bits.put(fixed_increment, increment_bits(resolution))
    bits.put(1, 1)
    bits.put(width, 13)
    bits.put(1, 1)
    bits.put(height, 13)
    bits.put(1, 1)
    bits.put(0, 1)  # interlaced
    bits.put(1, 1)  # obmc_disable
    bits.put(0, 1)  # sprite_enable (verid 1: one bit)
    bits.put(0, 1)  # not_8_bit
    bits.put(0, 1)  # quant_type: H.263
    bits.put(1, 1)  # complexity_estimation_disable
    bits.put(1, 1)  # resync_marker_disable
    bits.put(0, 1)  # data_partitioned
    bits.put(0, 1)  # scalability
    return VOL_START + bits.stuffed()


def gov(second: int) -> bytes:
    """A group of VOPs whose time_code is that second of a day (6.2.4); closed, not broken."""
    second %= _DAY_S
    bits = _Bits()
    bits.put(second // 3600, 5)
    bits.put(second // 60 % 60, 6)
    bits.put(1, 1)
    bits.put(second % 60, 6)
    bits.put(1, 1)  # closed_gov
    bits.put(0, 1)  # broken_link
    return GOV_START + bits.stuffed()


def user_data_2(model: str, clock_us: int, camera_id: str, preset: int | None, *, fan: bool, tracking: int) -> bytes:
    """What the camera says of itself before an I-VOP (fact sheet 2.3); `clock_us` is its clock, microseconds UTC."""
    values = {
        "type": model,
        "Timestamp": stamp(clock_us),
        "camera": camera_id,
        "position": "NA" if preset is None else str(preset),
        "fan": str(int(fan)),
        "track_status": str(tracking),
    }
    return USER_DATA_START + b"".join(item(name, values[name], size) for name, size in _ITEM_SIZES.items())


def stamp(clock_us: int) -> str:
    """YYYYMMDDhhmmss, milliseconds, zone code (fact sheet 1.5)."""
    moment = datetime.fromtimestamp(clock_us // 1_000_000, UTC)
    return f"{moment:%Y%m%d%H%M%S}{clock_us // 1000 % 1000:03}UTC"


def item(name: str, value: str, size: int) -> bytes:
    """`name = value` and NULs up to its size; cut where it is longer, but for one NUL."""
    return f"{name} = {value}".encode()[: size - 1].ljust(size, b"\x00")


class _Bits:
    """Bits put one behind the other from the left."""

    def __init__(self) -> None:
        self._value = 0
        self._count = 0

    def put(self, value: int, count: int) -> None:
        self._value = self._value << count | value
        self._count += count

    def stuffed(self) -> bytes:
        """The bytes, ended by a zero and ones up to the byte."""
        stuffing = 8 - self._count % 8
        value = self._value << stuffing | (1 << stuffing - 1) - 1
        return value.to_bytes((self._count + stuffing) // 8, "big")

"""What the camera sees: a world around it drawn from where it looks, and a strip that says which picture it is.

The world is two rows of shades, one around the horizon and one from below to above; a pixel is the sum of both. So a
picture is 480 copies of few rows, and pan, tilt and zoom move and widen it as they do in life. Noise on top gives the
encoder the work a real sensor gives.
"""

import binascii
import random
from typing import Final

_AROUND: Final = 36_000  # hundredths of a degree
_UPWARDS: Final = 19_000
_WIDE_HUNDREDTHS: Final = 5_200  # field of view, about that of the VN-V685 at its wide end
_TELE_FACTOR: Final = 27  # optical zoom of the VN-V685 (fact sheet 10)
_ZOOM_SCALE: Final = 9_999
_LEVELS: Final = 8
_BLACK: Final = 16
_WHITE: Final = 235
_NOISE_SPARE: Final = 65_536

# The strip: 32 blocks in a row of 40, three rows: 32 bits counter, 48 bits clock, 16 bits checksum.
_STRIP_COLUMNS: Final = 32
_STRIP_ROWS: Final = 3
_BLOCKS_PER_WIDTH: Final = 40


class Scene:
    """Draws pictures of one size. Not thread-safe; the encoder's thread owns it."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self._width = width
        self._height = height
        chance = random.Random(seed)  # noqa: S311 - noise, not secrets
        self._around = _shades(chance, _AROUND, 96)
        self._upwards = bytes(shade % _LEVELS for shade in _shades(chance, _UPWARDS, 64))
        self._shifts = [bytes(min(208, 32 + (a + level * 10)) & 0xF8 for a in range(256)) for level in range(_LEVELS)]
        noise = chance.randbytes(width * height + _NOISE_SPARE)
        self._noise = noise.translate(bytes(value & 7 for value in range(256)))
        self._chance = chance
        self._drawn: tuple[int, int, int] | None = None
        self._background = 0

    def luma(self, position: tuple[int, int, int], counter: int, clock_ms: int) -> bytearray:
        """The picture's luminance, rows without padding."""
        if position != self._drawn:
            self._background = int.from_bytes(self._look(position), "big")
            self._drawn = position
        count = self._width * self._height
        start = self._chance.randrange(_NOISE_SPARE)
        noise = int.from_bytes(self._noise[start : start + count], "big")
        picture = bytearray((self._background | noise).to_bytes(count, "big"))
        self._draw_walker(picture, clock_ms)
        self._draw_strip(picture, counter, clock_ms)
        return picture

    def chroma(self, position: tuple[int, int, int]) -> tuple[int, int]:
        """One Cb and Cr for the whole picture: warm in one direction, cold in the other."""
        return 112 + abs(position[0] - 18_000) * 32 // 18_000, 112 + position[1] * 32 // 19_000

    def _look(self, position: tuple[int, int, int]) -> bytes:
        pan, tilt, zoom = position
        view = _WIDE_HUNDREDTHS * _TELE_FACTOR ** (-zoom / _ZOOM_SCALE)
        step = view / self._width
        left = pan - view / 2
        around = self._around
        line = bytes([around[int(left + x * step) % _AROUND] for x in range(self._width)])
        rows = [line.translate(shift) for shift in self._shifts]
        top = tilt - step * self._height / 2
        upwards = self._upwards
        return b"".join([rows[upwards[int(top + y * step) % _UPWARDS]] for y in range(self._height)])

    def _draw_walker(self, picture: bytearray, clock_ms: int) -> None:
        """Somebody crosses the picture every ten seconds."""
        width, side = self._width, self._width // 16
        x = clock_ms % 10_000 * (width - side) // 10_000
        line = bytes([200]) * side
        for y in range(self._height // 2, self._height // 2 + 2 * side):
            picture[y * width + x : y * width + x + side] = line

    def _draw_strip(self, picture: bytearray, counter: int, clock_ms: int) -> None:
        width = self._width
        block = width // _BLOCKS_PER_WIDTH
        black, white = bytes([_BLACK]) * block, bytes([_WHITE]) * block
        bits = _strip_bits(counter, clock_ms)
        for row in range(_STRIP_ROWS):
            word = bits >> _STRIP_COLUMNS * (_STRIP_ROWS - 1 - row)
            line = b"".join([white if word >> 31 - column & 1 else black for column in range(_STRIP_COLUMNS)])
            for y in range(row * block, (row + 1) * block):
                picture[y * width : y * width + len(line)] = line


def read_counter(luma: bytes, width: int, height: int, stride: int) -> tuple[int, int] | None:
    """Reads the strip of a decoded picture: its counter and its clock in milliseconds; None where it is not whole.

    `luma` is the Y plane, `stride` its bytes from row to row.
    """
    block = width // _BLOCKS_PER_WIDTH
    if block < 4 or height < _STRIP_ROWS * block or len(luma) < stride * _STRIP_ROWS * block:
        return None
    bits = 0
    for row in range(_STRIP_ROWS):
        for column in range(_STRIP_COLUMNS):
            bits = bits << 1 | _is_white(luma, stride, column * block, row * block, block)
    payload = (bits >> 16).to_bytes(10, "big")
    if binascii.crc_hqx(payload, 0xFFFF) != bits & 0xFFFF:
        return None
    return int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:], "big")


def _is_white(luma: bytes, stride: int, x: int, y: int, block: int) -> bool:
    middle = (y + block // 2) * stride + x + block // 2
    samples = (luma[middle - 1], luma[middle], luma[middle - stride], luma[middle - stride - 1])
    return sum(samples) > 4 * (_BLACK + _WHITE) // 2


def _strip_bits(counter: int, clock_ms: int) -> int:
    payload = (counter % (1 << 32)).to_bytes(4, "big") + (clock_ms % (1 << 48)).to_bytes(6, "big")
    # crc_hqx of all zeros would be zero: a start value makes a black picture no strip.
    return int.from_bytes(payload, "big") << 16 | binascii.crc_hqx(payload, 0xFFFF)


def _shades(chance: random.Random, count: int, most: int) -> bytes:
    """Steps of differing width and shade, as walls and windows are."""
    shades = bytearray()
    while len(shades) < count:
        shades += bytes([chance.randrange(most)]) * chance.randrange(20, 400)
    return bytes(shades[:count])

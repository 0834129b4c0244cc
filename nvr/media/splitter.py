"""Cuts an elementary stream into units: one picture each, with the headers before it.

Pure; takes any cut of the bytes. Concatenating the data of all units gives back the stream, but for what was damaged or
could not be decoded and is counted in `skipped` and `damaged`.
"""

import re
from typing import Final

from nvr.media.errors import NotDecodable, UnitTooLarge
from nvr.media.frame import Unit, Vol
from nvr.media.mpeg4 import (
    GOV,
    I_VOP,
    P_VOP,
    PREFIX,
    SEQUENCE,
    USER_DATA,
    VIDEO_OBJECT_LAST,
    VISUAL_OBJECT,
    VOL_FIRST,
    VOL_LAST,
    VOP,
    increment_bits,
    parse_gov,
    parse_vol,
    parse_vop,
)
from nvr.units import PanTiltZoom

MAX_UNIT: Final = 2 << 20  # 25 average pictures at 20 Mbit/s (guide 2.4) and 30 a second
_MAX_HEADERS: Final = 64  # the camera sends five before an I-VOP (fact sheet 2.3)
_MAX_STUFFING: Final = 4096  # zeros before a start code: the camera pads its user data to some 70 (fact sheet 2.3)
_find_prefix: Final = re.compile(PREFIX).search  # twice as fast as find on coded pictures
_REGULAR_PARTS: Final = 100  # three seconds at 30 a second, with three I-VOPs in them
_NEVER_REGULAR: Final = -(1 << 62)
_VOP_CODE: Final = PREFIX + bytes([VOP])
_HEADER_BYTES: Final = 8  # hold all of a VOP's header up to its time: 4 bits, 16 at most, and a marker (6.2.5)
_LEAST_PICTURE: Final = len(_VOP_CODE) + _HEADER_BYTES
_P_THIS_SECOND: Final = 0b0101  # vop_coding_type 01, modulo_time_base 0, marker 1


class UnitSplitter:
    """One attempt's stream, cut into units; every unit given out can be decoded by whoever got those before it.

    Raises UnitTooLarge and NotDecodable (a VOL that cannot be recorded): the attempt is over.
    """

    def __init__(self) -> None:
        self.skipped = 0
        """Pictures dropped: before the first VOL and I-VOP, or because damage took the picture they refer to."""
        self.damaged = 0
        """Units given up: bytes that are no header, a broken picture header, a picture that simple profile has not."""
        self._vol: Vol | None = None
        self._vol_code = b""
        self._bits = 1
        self._increments = 1
        self._awaits_key = True
        self._buffer = bytearray()
        self._marks: list[tuple[int, int]] = []
        self._vop_at = -1
        self._scanned = 0
        self._in_junk = False
        self._is_regular = False
        self._singles = 0

    def feed(self, data: bytes, position: PanTiltZoom | None, whole: bool) -> list[Unit]:
        """Takes the next bytes and gives out the units they complete.

        `whole`: `data` is one part of the camera's own framing, and the unit in it ends with it; a part without a
        picture is the header of the next one. Else a unit ends where the next start code begins.
        """
        if whole and not self._buffer:
            at = 0 if data.startswith(_VOP_CODE) else self._mark_headers(data)
            if at >= 0 and (self._is_regular or self._is_single(data, at)):
                unit = (None if at else self._plain_picture(data, position)) or self._picture(data, at, position)
                self._marks.clear()
                if unit is not None and unit.key and not at:
                    # The headers of this I-VOP came elsewhere, perhaps behind the picture before it: look for them.
                    self._be_wary()
                return [] if unit is None else [unit]
            self._marks.clear()
        return self._feed_slowly(data, position, whole)

    def lose(self) -> None:
        """Bytes are missing here: what is begun is given up, and no picture counts before the next I-VOP."""
        self._buffer.clear()
        self._marks.clear()
        self._vop_at = -1
        self._scanned = 0
        self._in_junk = False
        self._awaits_key = True

    def _mark_headers(self, data: bytes) -> int:
        """Notes the start codes of a part up to its VOP, and answers where that is; -1 where it begins otherwise."""
        at = 0 if data.startswith(PREFIX) else -1
        while 0 <= at <= len(data) - 4 and len(self._marks) < _MAX_HEADERS:
            self._marks.append((data[at + 3], at))
            if data[at + 3] == VOP:
                return at
            at = data.find(PREFIX, at + 4)
        return -1

    def _is_single(self, data: bytes, vop_at: int) -> bool:
        """Whether no start code follows the VOP's; after enough such parts in a row nobody looks any more.

        The camera sends one VOP a part and its headers before it (fact sheet 2.2), and looking costs as much as all
        else that is done to a picture here.
        """
        if data.rfind(PREFIX) != vop_at:  # twice as fast as find on coded pictures
            self._be_wary()
            return False
        self._singles += 1
        self._is_regular = self._singles >= _REGULAR_PARTS
        return True

    def _be_wary(self) -> None:
        self._is_regular = False
        self._singles = _NEVER_REGULAR

    def _feed_slowly(self, data: bytes, position: PanTiltZoom | None, whole: bool) -> list[Unit]:
        buffer = self._buffer
        buffer += data
        units: list[Unit] = []
        at = self._next_code()
        while 0 <= at <= len(buffer) - 4:
            if self._vop_at >= 0:
                self._give_out(at, position, units)
                at = 0
            self._mark(at)
            at = self._next_code()
        self._scanned = max(self._scanned, at if at >= 0 else len(buffer) - 2)
        if not self._marks:
            self._drop_junk(len(buffer) if whole else len(buffer) - 3)
        if whole:
            self._in_junk = False
            if self._vop_at >= 0:
                self._give_out(len(buffer), position, units)
            elif units:
                self._be_wary()  # headers behind a picture
            if len(units) > 1:
                self._be_wary()
        if len(buffer) > MAX_UNIT:
            raise UnitTooLarge(f"a picture of more than {MAX_UNIT} bytes")
        return units

    def _next_code(self) -> int:
        found = _find_prefix(self._buffer, self._scanned)
        return -1 if found is None else found.start()

    def _mark(self, at: int) -> None:
        """Notes the start code at `at`; nothing but stuffing may stand before the first one of a unit."""
        if not self._marks:
            at -= self._drop_junk(at)
            self._in_junk = False
        code = self._buffer[at + 3]
        if len(self._marks) == _MAX_HEADERS:
            raise NotDecodable(f"more than {_MAX_HEADERS} headers before a picture")
        self._marks.append((code, at))
        if code == VOP:
            self._vop_at = at
        self._scanned = at + 4

    def _drop_junk(self, end: int) -> int:
        """Drops the first `end` bytes, which no start code begins, unless they are stuffing; returns how many went."""
        buffer = self._buffer
        if end <= 0 or not (self._in_junk or end > _MAX_STUFFING or buffer[:end].strip(b"\0")):
            return 0
        if not self._in_junk:
            self._give_up()
        self._in_junk = True
        del buffer[:end]
        self._scanned = max(0, self._scanned - end)
        return end

    def _give_out(self, end: int, position: PanTiltZoom | None, units: list[Unit]) -> None:
        """Makes the first `end` bytes of the buffer a unit."""
        with memoryview(self._buffer) as view:
            data = bytes(view[:end])
        unit = self._picture(data, self._vop_at, position)
        if unit is not None:
            units.append(unit)
        del self._buffer[:end]
        self._marks.clear()
        self._vop_at = -1
        self._scanned = 0

    def _plain_picture(self, data: bytes, position: PanTiltZoom | None) -> Unit | None:
        """The unit of a P-VOP in the second of the one before, as all but one a second are; None for any other.

        Says of such a VOP what `_picture` would, in a third of the time.
        """
        vol = self._vol
        if vol is None or self._awaits_key or not _LEAST_PICTURE <= len(data) <= MAX_UNIT:
            return None
        word = int.from_bytes(data[4 : 4 + _HEADER_BYTES], "big")
        increment = word >> 60 - self._bits & self._increments
        if word >> 60 != _P_THIS_SECOND or not word >> 59 - self._bits & 1 or increment >= vol.resolution:
            return None
        return Unit(data, False, vol, 0, increment, None, None, position)

    def _picture(self, data: bytes, at: int, position: PanTiltZoom | None) -> Unit | None:
        """The unit of the VOP at `at`, or None (counted) where nobody could decode it."""
        if len(data) > MAX_UNIT:
            raise UnitTooLarge(f"a picture of {len(data)} bytes, {MAX_UNIT} at most are recorded")
        gov_seconds, user_data = self._read_headers(data) if at else (None, None)
        vol = self._vol
        if vol is None:
            self.skipped += 1
            return None
        try:
            coding_type, modulo_seconds, increment = parse_vop(data, at, self._bits)
        except NotDecodable:
            coding_type = -1
        if coding_type == I_VOP:
            self._awaits_key = False
        elif coding_type != P_VOP:
            self._give_up()
            return None
        elif self._awaits_key:
            self.skipped += 1
            return None
        if increment >= vol.resolution:  # not allowed (6.3.5), but its meaning is plain
            modulo_seconds += increment // vol.resolution
            increment %= vol.resolution
        return Unit(data, coding_type == I_VOP, vol, modulo_seconds, increment, gov_seconds, user_data, position)

    def _read_headers(self, data: bytes) -> tuple[int | None, bytes | None]:
        """Reads what stands before the picture: a VOL is remembered, the GOV's seconds and the user data returned."""
        gov_seconds: int | None = None
        user_data: bytes | None = None
        opening = -1  # where the VOS, visual object or video object headers before a VOL begin
        for number, (code, at) in enumerate(self._marks[:-1]):
            end = self._marks[number + 1][1]
            if VOL_FIRST <= code <= VOL_LAST:
                start = at if opening < 0 else opening
                self._learn(data[start:end], at - start)
                opening = -1
            elif code <= VIDEO_OBJECT_LAST or code in (SEQUENCE, VISUAL_OBJECT):
                opening = at if opening < 0 else opening
            elif code == GOV:
                gov_seconds = parse_gov(data, at)
                user_data = None  # what came before the GOV is reserved (fact sheet 2.3, Userdata1)
            elif code == USER_DATA:
                user_data = data[at + 4 : end]
        return gov_seconds, user_data

    def _learn(self, header: bytes, at: int) -> None:
        """Takes a VOL: the very same one again changes nothing, another one cuts the pictures off from those before."""
        code = header[at:].rstrip(b"\0")  # stuffing before the next start code; a VOL itself ends in a 1 (5.2.4)
        if code == self._vol_code:
            return
        self._vol = parse_vol(header, at)
        self._vol_code = code
        self._bits = increment_bits(self._vol.resolution)
        self._increments = (1 << self._bits) - 1
        self._awaits_key = True

    def _give_up(self) -> None:
        self.damaged += 1
        self._awaits_key = True

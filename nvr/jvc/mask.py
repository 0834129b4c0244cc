"""Motion and tracking masks: 12 x 8 blocks of the picture, in the camera's hexadecimal and as a drawing (guide 6.9)."""

import re
from dataclasses import dataclass
from typing import Final, Self

COLUMNS: Final = 12
ROWS: Final = 8
_BYTES: Final = COLUMNS * ROWS // 8
_HEX: Final = re.compile(r"[0-9A-Fa-f]{24}", re.ASCII)
_WATCHED: Final = "#"
_BLIND: Final = "."


@dataclass(frozen=True, slots=True)
class Mask:
    """Which blocks are watched: row by row from the top left, True is watched (fact sheet 5.3)."""

    blocks: tuple[bool, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads 24 hexadecimal digits, or 8 rows of 12 blocks: # is watched, . is not. Raises ValueError."""
        if _HEX.fullmatch(text) is not None:
            return cls.from_hex(text)
        rows = text.split()
        if len(rows) != ROWS or any(len(row) != COLUMNS or set(row) - {_WATCHED, _BLIND} for row in rows):
            raise ValueError(
                f"a mask is 24 hexadecimal digits, or {ROWS} rows of {COLUMNS} blocks: {_WATCHED} watched, {_BLIND} not"
            )
        return cls(tuple(block == _WATCHED for row in rows for block in row))

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Reads the camera's own form: bytes filled from their lowest bit (guide 6.9)."""
        bits = int.from_bytes(bytes.fromhex(text), "little")
        return cls(tuple(bool(bits >> at & 1) for at in range(COLUMNS * ROWS)))

    @property
    def hex(self) -> str:
        """As the camera is told."""
        bits = sum(1 << at for at, watched in enumerate(self.blocks) if watched)
        return bits.to_bytes(_BYTES, "little").hex()

    @property
    def drawing(self) -> str:
        """Eight lines of twelve blocks."""
        cells = "".join(_WATCHED if watched else _BLIND for watched in self.blocks)
        return "\n".join(cells[at : at + COLUMNS] for at in range(0, len(cells), COLUMNS))

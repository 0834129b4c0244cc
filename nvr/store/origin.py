"""What a file says of itself before it has a label: a line of JSON in the MP4's comment, there from the first fragment.

The recorder writes it, recovery reads it. Keys that are not known are skipped, so that a newer nvr may add some.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

_MOST_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a segment comes from, as known at its first frame."""

    archive: str
    """The archive's uuid."""
    camera: str
    """The slug."""
    run: int
    seq: int
    start_us: int
    """UTC of the first frame."""
    first_tick: int = 0
    """The first frame's tick within its run, in the file's time base."""
    zero_us: int | None = None
    """UTC of the run's tick 0; None: as follows from start and first tick."""
    slope_ppb: int = 0
    clock: str = "stream"
    """`stream` or `arrival`: where the ticks come from."""
    synchronised: bool | None = None
    """Whether the host's clock was synchronised; None where that is not known."""
    epoch: int = 0
    model: str | None = None

    def comment(self) -> str:
        """For the MP4's metadata, key `comment`."""
        return json.dumps(asdict(self), separators=(",", ":"))


def parse_origin(comment: str) -> Origin | None:
    """Reads a comment; None where it is not (or not wholly) one of ours."""
    if len(comment) > _MOST_CHARACTERS:
        return None
    try:
        said = json.loads(comment)
        return _origin(said) if isinstance(said, dict) else None
    except (ValueError, KeyError, RecursionError):
        return None


def _origin(said: dict[str, Any]) -> Origin:
    zero_us, synchronised, model = said.get("zero_us"), said.get("synchronised"), said.get("model")
    return Origin(
        archive=str(UUID(_text(said["archive"]))),
        camera=_text(said["camera"]),
        run=_number(said["run"]),
        seq=_number(said["seq"]),
        start_us=_number(said["start_us"]),
        first_tick=_number(said.get("first_tick", 0)),
        zero_us=None if zero_us is None else _number(zero_us, lowest=-(1 << 62)),
        slope_ppb=_number(said.get("slope_ppb", 0), lowest=-(1 << 62)),
        clock=_text(said.get("clock", "stream")),
        synchronised=synchronised if isinstance(synchronised, bool) else None,
        epoch=_number(said.get("epoch", 0)),
        model=None if model is None else _text(model),
    )


def _number(value: object, lowest: int = 0) -> int:
    if type(value) is not int or not lowest <= value < 1 << 62:
        raise ValueError(f"{value!r} is no number for this")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value

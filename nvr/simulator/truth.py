"""What was really sent: the record tests compare the recorder with."""

import hashlib
import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

Position = tuple[int, int, int]

_JSON: Final = json.JSONEncoder(separators=(",", ":"))


@dataclass(slots=True)
class SentVop:
    """One VOP a client should have got, with all headers before it. Times are the host's, in microseconds."""

    camera: str
    """The camera.id."""
    connection: int
    """Counts the video connections of this camera from 1."""
    seq: int
    """Counts the VOPs of the camera's stream, whoever got them: rises by one from record to record of a connection."""
    key: bool
    size: int
    """Bytes of the unit: headers and VOP, without delimiters and part headers."""
    sha256: str
    """Of those bytes."""
    vop_ticks: int
    """The VOP's time by the camera's clock: ticks of `resolution` since 1970, as the camera meant it."""
    resolution: int
    position: Position
    counter: int
    """What the strip in the picture says (scene.read_counter)."""
    clock_ms: int
    """The same: the second value."""
    captured_at_us: int
    """UTC when the picture was taken."""
    sent_at_us: int
    """UTC when it was handed to the kernel, or would have been."""
    sent_mono_us: int
    sent: bool
    """False: dropped whole; see `why`."""
    complete: bool = False
    """All its bytes were taken by the kernel before the link ended."""
    why: str = ""
    """Why it was not sent or not sent well: slow-client, stall, or the fault's name."""
    data: bytes | None = None
    """The unit's bytes, with `keep_bytes`."""

    def to_json(self) -> str:
        """One line, without the bytes."""
        return _JSON.encode(
            {
                "camera": self.camera,
                "connection": self.connection,
                "seq": self.seq,
                "key": self.key,
                "size": self.size,
                "sha256": self.sha256,
                "vop_ticks": self.vop_ticks,
                "resolution": self.resolution,
                "position": self.position,
                "counter": self.counter,
                "clock_ms": self.clock_ms,
                "captured_at_us": self.captured_at_us,
                "sent_at_us": self.sent_at_us,
                "sent_mono_us": self.sent_mono_us,
                "sent": self.sent,
                "complete": self.complete,
                "why": self.why,
            }
        )


def digest(unit: bytes) -> str:
    """The sha256 of a unit, hexadecimal."""
    return hashlib.sha256(unit).hexdigest()


class TruthFile:
    """JSON lines, one SentVop each; grows as long as the camera runs."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1 << 16)

    def write(self, record: SentVop) -> None:
        self._file.write(record.to_json() + "\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Truth:
    """The records of one camera in the order they were due, and their way to the file."""

    def __init__(self, keep: int, file: TruthFile | None) -> None:
        self.records: deque[SentVop] = deque(maxlen=keep)
        self._file = file

    def expect(self, record: SentVop) -> None:
        """A VOP was due to a client; whether it got all of it is not known yet."""
        self.records.append(record)

    def settle(self, record: SentVop) -> None:
        """Nothing more will change about this VOP."""
        if self._file is not None:
            self._file.write(record)

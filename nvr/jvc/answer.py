"""An answer to a request for video of either encoding, up to where its body begins to differ (guide 1.3, 2.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nvr.jvc.errors import ProtocolError
from nvr.jvc.http import HeadParser
from nvr.jvc.parts import PartHeadParser
from nvr.jvc.types import Position

Piece = TypeVar("Piece")


@dataclass(frozen=True, slots=True)
class StreamHead:
    """The camera's answer to a request for video. Any status: whether to go on is the reader's decision."""

    status: int
    reason: str
    media_type: str
    """Content-Type without parameters, lower case. The guide's examples contradict each other: nothing hangs on it."""
    server: str
    parameters: dict[str, str]
    """What the camera says it sends (x-vn…_response): encode, framerate, framesize, ptz_info; often empty."""


class AnswerParser(Generic[Piece]):
    """Reads one answer out of any cut of its bytes: a StreamHead, then the pieces that a subclass finds in its body.

    A step takes what it can of the data from an offset on, notes what it completes, and returns the next offset.
    """

    def __init__(self) -> None:
        self.trouble: ProtocolError | None = None
        """Why nothing more can be read. Where events came before it in the same bytes, they are given out first."""
        self.ended = False
        """The camera sent a closing delimiter: its stream is over, what follows is ignored."""
        self._head = HeadParser()
        self._head_begun = False
        self._step: Callable[[bytes | memoryview, int, list[StreamHead | Piece]], int] = self._take_head
        self._part_heads = PartHeadParser()
        self._part = bytearray()
        self._missing = 0
        """Bytes until the end of the part that `_part` begins."""
        self._position: Position | None = None

    def feed(self, data: bytes | memoryview) -> list[StreamHead | Piece]:
        """Takes the next bytes, gives out what they complete.

        Raises ProtocolError, now or at the next call: `trouble` says at once.
        """
        if self.trouble is not None:
            raise self.trouble
        events: list[StreamHead | Piece] = []
        at, end = 0, len(data)
        try:
            while at < end:
                at = self._step(data, at, events)
        except ProtocolError as trouble:
            self.trouble = trouble
            if not events:
                raise
        return events

    def _take_head(self, data: bytes | memoryview, at: int, events: list[StreamHead | Piece]) -> int:
        self._head_begun = True
        head = self._head.feed(data[at:])
        if head is None:
            return len(data)
        events.append(StreamHead(head.status, head.reason, head.media_type, head.get("server"), head.parameters))
        self._step = self._take_first if head.status == 200 else self._ignore
        body_at = len(data) - len(self._head.rest)
        self._head.rest = b""
        return body_at

    def _take_first(self, data: bytes | memoryview, at: int, events: list[StreamHead | Piece]) -> int:
        """The body's first byte says how it is built. Raises ProtocolError where it says nothing that is known."""
        raise NotImplementedError

    def _ignore(self, data: bytes | memoryview, _at: int, _events: list[StreamHead | Piece]) -> int:
        return len(data)

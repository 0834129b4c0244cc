"""Every way in which a network may cut bytes, for parsers that must not mind."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hypothesis import strategies as st

_GUIDE = Path(__file__).parent / "guide"


def guide(name: str) -> bytes:
    """One of the guide's examples."""
    return (_GUIDE / name).read_bytes()


def feed_all(feed: Callable[[bytes], object], story: Iterable[bytes]) -> None:
    """Feeds piece after piece; whatever the parser raises comes out."""
    for piece in story:
        feed(piece)


def in_steps(data: bytes, step: int) -> Iterator[bytes]:
    """The bytes, so many at a time."""
    return (data[at : at + step] for at in range(0, len(data), step))


def in_two(data: bytes) -> Iterator[list[bytes]]:
    """Each way to cut the bytes once, and the bytes one by one."""
    for at in range(len(data) + 1):
        yield [data[:at], data[at:]]
    yield list(in_steps(data, 1))


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The bytes, cut anywhere up to eight times; empty pieces included."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]

"""Where the camera looked picture by picture, read back from a file's label, on the same line of time as the index."""

from dataclasses import dataclass
from pathlib import Path

from nvr.media import boxes, label
from nvr.media.errors import NotDecodable
from nvr.media.positions import Fact, unpack_facts, unpack_positions
from nvr.store.looks import utc_of
from nvr.units import PanTiltZoom


@dataclass(frozen=True, slots=True)
class Track:
    """One file's pictures."""

    starts_us: list[int]
    """When each picture begins; it lasts until the next one, the last until `end_us`."""
    end_us: int
    positions: list[PanTiltZoom | None]
    facts: list[Fact]

    def words(self) -> list[tuple[int | None, int | None]]:
        """Preset and tracking state that the camera had last named at each picture."""
        words: list[tuple[int | None, int | None]] = []
        word: tuple[int | None, int | None] = (None, None)
        for fact in self.facts:
            words += [word] * (fact.frame - len(words))
            word = (fact.preset, fact.tracking)
        return words + [word] * (len(self.positions) - len(words))


def read_track(path: Path) -> Track | None:
    """What a sealed file says of its pictures; None where it says nothing.

    Raises OSError, NotDecodable, LabelTooNew.
    """
    said = label.read(path)
    if said is None or said.positions is None:
        return None
    return track_of(said, [picture.ticks for picture in boxes.samples(path)])


def track_of(said: label.Label, ticks: list[int]) -> Track | None:
    """The track of a file with this label, whose pictures begin at `ticks` (the file's own). Raises NotDecodable."""
    if said.positions is None:
        return None
    positions = unpack_positions(said.positions, said.frames)
    facts = unpack_facts(said.positions)
    if len(ticks) != said.frames or not ticks or ticks[-1] >= said.duration_ticks:
        raise NotDecodable("a label that does not go with its pictures")
    if facts and facts[-1].frame >= said.frames:
        raise NotDecodable("a label that speaks of pictures there are not")
    return Track([utc_of(said, tick) for tick in ticks], said.end_us, positions, facts)

"""Trouble of this room: this run is over, the next may be fine."""


class MediaError(Exception):
    """What arrived, or what lies on disk, cannot be handled; the message says what in one sentence."""


class NotDecodable(MediaError):
    """The bytes are not the MPEG-4 Part 2 (or MP4) this house can keep so that a decoder reads it."""


class UnitTooLarge(MediaError):
    """A picture grew past the cap before its end was seen."""


class LabelTooNew(MediaError):
    """A label was written by a newer nvr whose layout this one cannot read."""

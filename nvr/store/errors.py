"""What a caller of this room can do something about. There is no common base class: each needs another answer."""


class DiskFull(Exception):
    """No space is left for footage or index: make room, then the same call may be made again."""


class VolumeMissing(Exception):
    """What lies at a volume's path is not the volume (not mounted, another disk, read-only): wait for the mount."""

    def __init__(self, sentence: str, *, read_only: bool = False) -> None:
        super().__init__(sentence)
        self.read_only = read_only
        """It is the volume, and it is there, but nothing can be written to it."""


class IndexDamaged(Exception):
    """The index cannot be read or written: stop and tell. Footage is safe in its files."""

    def __init__(self, sentence: str, *, corrupt: bool = False) -> None:
        """`corrupt`: what is in the file is no index any more, so that only another file helps."""
        super().__init__(sentence)
        self.corrupt = corrupt


class SchemaTooNew(Exception):
    """The index was written by a newer nvr: refuse to start."""


class SchemaTooOld(Exception):
    """The index was written by an older nvr and only asked, not upgraded: start the daemon once."""


class StoreBusy(Exception):
    """Another process holds the data directory."""

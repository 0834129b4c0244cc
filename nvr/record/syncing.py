"""Decides when and how a volume's open files are synced. Pure: told the time and what each sync took."""

from enum import Enum


class How(Enum):
    """What a sync speaks for."""

    FILE = "fdatasync per file"
    VOLUME = "syncfs per volume"


class SyncPlan:
    """One volume's syncing: each open file at most `sync_us` behind, by whichever way costs the disk less.

    fdatasync of a growing file is a journal commit and a device flush each; fifty cameras make 25 of them a second,
    which an SSD bears at half a millisecond of CPU each and a spinning disk cannot do. One syncfs speaks for all files
    at once, but waits for whatever else is written to that file system too. So few files are synced one by one while
    that keeps the I/O thread for less than `_BUSY` of its time, many together; fewer still together where that takes
    no longer, as on a disk that only we write to. Where even that takes longer than the interval, it is stretched.
    """

    _MANY = 16
    _SOME = 6
    _DEARER = 3  # times as long as its files one by one, and more than a trifle: others write to this file system
    _TRIFLE_US = 20_000
    _BUSY = 0.25
    _CALM = 0.10
    _WEIGHT = 0.05  # of the newest sync in the mean: about twenty syncs of memory

    def __init__(self, sync_us: int) -> None:
        self._wanted_us = sync_us
        self._many = self._SOME
        """So many open files are synced together."""
        self._mean_file_us = 0.0
        self._mean_volume_us = 0.0
        self.how = How.FILE
        self.open_files = 0
        self.volume_synced_us = 0
        """Monotonic moment of the last syncfs."""

    def sync_every(self, sync_us: int) -> None:
        """Another interval is configured."""
        self._wanted_us = sync_us

    @property
    def interval_us(self) -> int:
        """The interval in force: as configured, or stretched so that syncing takes at most half of the disk's time."""
        each_us = self._mean_file_us * self.open_files if self.how is How.FILE else self._mean_volume_us
        return max(self._wanted_us, int(each_us * 2))

    @property
    def stretched(self) -> bool:
        """The disk cannot sync as often as configured."""
        return self.interval_us > self._wanted_us

    def is_due(self, synced_us: int, before_us: int, now_us: int) -> bool:
        """Whether to sync now a file last synced at `synced_us` and last handed frames at `before_us`.

        Asks "would the next hand-over come too late?", since files are only looked at when frames are handed over.
        """
        next_us = now_us + (now_us - before_us) * 9 // 10
        return next_us > max(synced_us, self.volume_synced_us) + self.interval_us

    def took(self, us: int) -> None:
        """The sync that was just done, in the present way, took `us`."""
        if self.how is How.FILE:
            self._mean_file_us += (us - self._mean_file_us) * self._WEIGHT
        else:
            self._mean_volume_us += (us - self._mean_volume_us) * self._WEIGHT
            self._mean_file_us *= 1 - self._WEIGHT / 10  # forget slowly, so that a disk that recovered is tried again
        one_by_one_us = self._mean_file_us * self.open_files
        busy = one_by_one_us / self._wanted_us
        if self.how is How.FILE:
            if self.open_files > 1 and (busy > self._BUSY or self.open_files >= self._many):
                self.how = How.VOLUME
                self._mean_volume_us = 0.0
        elif self.open_files < self._MANY and self._mean_volume_us > max(self._DEARER * one_by_one_us, self._TRIFLE_US):
            self._many = self._MANY
            self.how = How.FILE
        elif busy < self._CALM and self.open_files <= self._many * 3 // 4:  # well below: no swinging between the two
            self.how = How.FILE

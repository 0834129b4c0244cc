"""Disk and index: what is kept, where it lies, and what is known of every second.

Here: names and states of files (names, archive), volumes and their I/O threads (volumes), the index and its one writer
(tables, schema, index; clips: what is in it of alarms and clips; films: of days' films), questions to it (reader), the
same in the times that a host with a right clock would have written (corrected), the account of recorded, off and gap
(ledger), where cameras looked (looks, tracks) and when they looked somewhere (search, field_of_view), what goes
(retention) and how (sweep, ballast), start after any kind of end (recovery), an index that was lost (salvage, filling),
copies of it (backup), whether all promises hold (check) and what is done about it (repair), the lock that keeps a
second daemon out (lock), those beside clips' files (clip_locks) and their JPEGs (clip_snapshots). README.md states the
promises.
Not here: what is in a file (media), when a segment begins and ends (record).
Way in: `schema.prepare`, then `index.Index`; `reader.open_reader` for whoever only asks; `archive.Archive` for files.
"""

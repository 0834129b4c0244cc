#!/usr/bin/env python3
"""Reads what a file of footage says of itself, without nvr: the label at its end, as archive.md describes it.

    python3 read_label.py FILE.mp4             as JSON
    python3 read_label.py --pictures FILE.mp4  pan, tilt and zoom of each picture, as CSV

Needs Python 3.6 or newer and nothing else. Exit code 1 where the file has no whole label.
"""

import json
import struct
import sys
import uuid
import zlib
from pathlib import Path

HEAD = ">I4s16sIHH"
FIXED = ">16sQIqqIQIIqqqBBBB"
NAMES = (
    "archive",
    "run",
    "seq",
    "start_us",
    "end_us",
    "frames",
    "duration_ticks",
    "time_base_numerator",
    "time_base_denominator",
    "first_tick",
    "zero_us",
    "slope_ppb",
    "clock",
    "synchronised",
    "kind",
    "recovered",
)
BOX_UUID = uuid.UUID("6e767221-6c61-4265-8c21-7a3f0d5b1e94").bytes


def label(path):
    """Everything that the label says, by name; its sections under their own names, as bytes."""
    with Path(path).open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 12))
        trailer = file.read(12)
        size = int.from_bytes(trailer[:4], "big")
        if trailer[4:] != b"nvrlabel" or not 44 < size <= end:
            raise ValueError("there is no label at its end")
        file.seek(end - size)
        box = file.read(size)
    box_size, box_type, box_uuid, crc, version, fixed_bytes = struct.unpack_from(HEAD, box)
    if (box_size, box_type, box_uuid) != (size, b"uuid", BOX_UUID) or zlib.crc32(box[28:-12]) != crc:
        raise ValueError("its label is damaged")
    if version > 1:
        raise ValueError(f"its label is of version {version}")
    said = dict(zip(NAMES, struct.unpack_from(FIXED, box, 32)))
    at = 32 + fixed_bytes
    while at < size - 12:
        name, length = struct.unpack_from(">4sI", box, at)
        said[name.decode("ascii")] = box[at + 8 : at + 8 + length]
        at += 8 + length
    return said


def pictures(packed):
    """(pan, tilt, zoom) of each picture, in hundredths; None where the camera did not say."""
    stored = zlib.decompress(packed[1:]) if packed[0] == 2 else packed[1:]
    columns, at = [], 0
    for _ in range(7):
        length, at = number(stored, at)
        columns.append(stored[at : at + length])
        at += length
    known = zip(*(sums(column) for column in columns[1:4]))
    for run in numbers(columns[0]):
        position = next(known) if run & 1 else None
        for _ in range(run >> 1):
            yield position


def number(data, at):
    """One varint, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def numbers(column):
    """Every varint of a column."""
    at = 0
    while at < len(column):
        value, at = number(column, at)
        yield value


def sums(column):
    """Differences, added up."""
    total = 0
    for value in numbers(column):
        total += value >> 1 ^ -(value & 1)
        yield total


def main(words):
    try:
        said = label(words[-1])
    except (OSError, ValueError) as trouble:
        sys.exit(f"{words[-1]}: {trouble}")
    if words[0] == "--pictures":
        print("picture,pan_degrees,tilt_degrees,zoom")
        for at, position in enumerate(pictures(said.get("ptz ", b"\x01" + bytes(7)))):
            looked = f"{position[0] / 100},{(position[1] - 500) / 100},{position[2] / 100}" if position else ",,"
            print(f"{at},{looked}")
        return
    said["archive"] = str(uuid.UUID(bytes=said["archive"]))
    said.pop("ptz ", None)
    for name in ("came", "modl", "caid", "clip"):
        if name in said:
            text = said[name].decode("utf-8", "replace")
            said[name] = json.loads(text) if name == "clip" else text
    print(json.dumps(said, indent=2))


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3 or (len(sys.argv) == 3 and sys.argv[1] != "--pictures"):
        sys.exit(__doc__)
    main(sys.argv[1:])

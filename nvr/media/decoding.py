"""Decodes whole files to see whether it can be done. Never in the daemon: decoders are where hostile bytes crash."""

from pathlib import Path

import av

from nvr.media.errors import NotDecodable


def decodable_pictures(path: Path) -> int:
    """How many pictures a file's video gives. Raises OSError, NotDecodable."""
    try:
        with av.open(path, "r") as file:
            video = file.streams.video[0]
            video.thread_count = 1
            return sum(1 for _ in file.decode(video))
    except (av.error.FFmpegError, IndexError) as trouble:
        if isinstance(trouble, FileNotFoundError):
            raise
        raise NotDecodable(f"decoding failed: {trouble}") from trouble

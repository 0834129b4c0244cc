"""What is kept.

Here: which frames are wanted (gate, ring, keeper), which become which segment (segmenter), a segment's life on its
volume's I/O thread (writer), and one camera's recording from first frame to last row (recorder), also while the index
has no space (insisting); which footage is a clip (clips), and a file of it once it is over (exporter says when,
clip_file how); a film of each day (timelapse); what a camera says of itself beside its pictures, its own clock above
all (camera_facts, camera_clock), and whether it looks where it is expected to (expected_view).
Not here: how frames arrive (camera), where files live and what the index says of them (store), when to record (rules).
Way in: `Keeper.take(frames)` for the frames of each read, `Keeper.lost(reason)` when the link ends, `Keeper.close(…)`.
"""

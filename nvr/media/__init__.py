"""Pictures, time and MP4.

Here: cutting the elementary stream into pictures (mpeg4, splitter), giving them time (timeline, frame), writing MP4
that survives a power cut (durable, mp4, mp4_boxes) with words beside the pictures (captions), reading it back without a
decoder (boxes, label), cutting windows (stitch).
Not here: where files live and what they are called (store), when one begins and ends (record), the wire (camera, jvc).
Way in: `splitter.UnitSplitter` for bytes, `mp4.Mp4File` for writing, `boxes` for reading, `stitch.window` for export.
"""

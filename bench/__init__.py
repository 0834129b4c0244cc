"""What nvr costs, measured beside the plainest recorder there is.

Here: `source` (a cheap load of many cameras), `run` (nvr beside one ffmpeg per camera), `memory` (the bare daemon),
`frame` (one frame, station by station), `procs` (CPU and memory of processes).
Not here: correctness; that is tests/. Way in: README.md, `python -m bench.run`.
"""

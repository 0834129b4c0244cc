"""A fake camera that behaves: a VN-V685/VN-V686 as a real server, written from the guide alone.

Here: video over HTTP with a real MPEG-4 encoder behind it, JPEG, the alarm port, the UDP search, the parameter API,
every kind of trouble a camera can make (faults), and the truth about what was sent (truth).
Not here: anything that reads what a camera sends; it imports nothing else of nvr, so that it cannot share a misreading.
Way in: `server.Simulator` with `options.CameraOptions` for tests, `command.main` for a shell.
"""

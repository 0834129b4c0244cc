"""The wire to one camera.

Here: connections, multicast groups, deadlines, what the kernel may hold back, and trouble turned into a LinkError that
says when to try again; one JPEG (snapshot), the search for cameras (discovery); a camera's parameters, one request at a
time (control, turn), all its settings at once (applying), and moves that never go on without somebody (ptz).
One attempt is one object: trouble ends it, and whoever owns it makes a fresh one.
Not here: what the camera's bytes mean (jvc), pictures and their time (media), when to try again (supervisor).
Way in: `feed.VideoFeed` or `multicast.MulticastFeed` for one attempt at a camera's video, `control.Control` for its
parameters, `errors` for how it ends.
"""

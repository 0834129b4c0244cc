"""The wire to one camera.

Here: connections, multicast groups, deadlines, what the kernel may hold back, and trouble turned into a LinkError that
says when to try again; one JPEG (snapshot), the search for cameras (discovery).
One attempt is one object: trouble ends it, and whoever owns it makes a fresh one.
Not here: what the camera's bytes mean (jvc), pictures and their time (media), when to try again (supervisor).
Way in: `feed.VideoFeed` or `multicast.MulticastFeed` for one attempt at a camera's video, `errors` for how it ends.
"""

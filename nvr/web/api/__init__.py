"""What each path answers: one file per noun.

Here: handlers that ask the service and give back plain values; FastAPI reads from their signatures what they are sent.
Not here: routes, permissions, status codes (nvr.web.app).
Way in: `nvr.web.app.ROUTES` lists them all.
"""

"""What nvr answers over HTTP: state and commands for the CLI on a Unix socket, numbers for Prometheus.

Here: the one table of routes with what each needs to be allowed (route), served by FastAPI, which describes them too
(app); what each may be sent (body) and answers (api), who asks (caller), the numbers (metrics), and listening, with a
deadline for everything a client may dawdle over (listening).
Not here: what there is to answer (the supervisor hands in a `Service`), the shell (cli), pages (later).
Way in: `app.build(service)` and `metrics.build(metrics)`, each given to `listening.serve`.
"""

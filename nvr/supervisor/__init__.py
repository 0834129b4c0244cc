"""The house put together: what runs, who owns it, and what happens when it fails or is told to stop.

Here: wiring of rooms from the configuration (wiring), a camera's unit of tasks (unit), its alarms (alarms) and their
way into the index (clip_rows), the daemon's life from lock to last row (daemon), how long to wait after trouble
(restart), whether this machine's clock may be believed (host_clock), what follows when a camera looks away from where
it should (view_watch), which way video comes (ways), whether its settings are as declared (settings),
which firmware it has (firmware), sending it on its
way by the clock (tour_watch), what is done regularly (jobs), of it what concerns the index (upkeep), an index that is
of no use any more (index_watch), what a changed configuration changes (reload) and how it is brought into force
(reloading), what is not well for a while (health, health_watch), what the service manager is told (notify) and whether
its watchdog is fed (pulse, heartbeat), who follows events (following).
Not here: any rule of recording, storage or protocol.
Way in: `python -m nvr.cli run`, which calls `daemon.main`.
"""

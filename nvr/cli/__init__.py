"""The shell: one command for each thing a person asks of nvr.

Here: arguments, times as people write them, tables and JSON, exit codes (main maps every error to one), and what bulk
reading needs: its own read-only connections to the index, never the daemon's time.
Not here: what the daemon does (supervisor), how it answers its socket (web), the simulated camera (simulator).
Way in: `main.main`; `shell` lists the commands, each family has a file of its own.
"""

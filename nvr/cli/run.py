"""`nvr run`: the daemon in the foreground. Only the standard library here: this process lives for years."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def run(arguments: Sequence[str]) -> int:
    """Runs the daemon until a signal; the exit code. Raises ConfigError."""
    parser = argparse.ArgumentParser(prog="nvr run", description="Run the daemon in the foreground.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/nvr/config.toml, then ./config.toml")
    parser.add_argument(
        "--log-format",
        choices=("auto", "journal", "text", "json"),
        default="auto",
        help="auto: for the journal under systemd, else for people",
    )
    parser.add_argument("--debug", action="store_true", help="log details too")
    asked = parser.parse_args(arguments)
    from nvr.supervisor.daemon import main

    return main(asked.config, asked.log_format, debug=asked.debug)

"""`python -m nvr.cli`: the same as the `nvr` command."""

from nvr.cli.main import main

main()

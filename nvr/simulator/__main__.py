"""`python -m nvr.simulator`: the same as `nvr simulate`."""

import sys

from nvr.simulator.command import main

sys.exit(main(sys.argv[1:]))

"""`python -m benchmarks.hostile`."""

import sys

from benchmarks.hostile.command import main

sys.exit(main(sys.argv[1:]))

"""`python -m mutants`."""

from __future__ import annotations

import sys

from mutants.command import main

sys.exit(main(sys.argv[1:]))

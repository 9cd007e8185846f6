"""`python -m fuzz`."""

from __future__ import annotations

import sys

from fuzz.command import main

sys.exit(main(sys.argv[1:]))

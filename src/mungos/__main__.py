"""`python -m mungos`: the command line."""

from __future__ import annotations

from mungos.cli.main import main

if __name__ == "__main__":
    main()

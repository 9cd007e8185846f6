"""The program `mungos`: what it needs is looked for first, and said when it is missing."""

from __future__ import annotations

import importlib.util
import sys
from typing import NoReturn

__all__ = ["main"]

_NEEDED = ("click", "rich")


def main() -> NoReturn:
    """Run the command line with `sys.argv`, and exit with its status."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"mungos: the command line needs {' and '.join(missing)}: pip install 'mungos[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    from mungos.cli.program import run  # noqa: PLC0415 - only now it is known that click is there

    sys.exit(run())


if __name__ == "__main__":
    main()

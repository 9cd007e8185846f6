"""The program `mungos`: what it needs is looked for first, and said when it is missing."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn  # whose import would take as long as Python's own start

__all__ = ["main"]

_NEEDED = ("click", "rich")


def main() -> NoReturn:
    """Run the command line with `sys.argv`, and exit with its status."""
    if sys.argv[1:3] == ["lab", "run"]:
        from mungos.cli.lab_run_start import leave, start  # noqa: PLC0415 - what it runs waits for each import

        status = start(sys.argv[3:])
        if status is not None:
            leave(status)
    import importlib.util  # noqa: PLC0415 - `lab run` does without

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

#!/usr/bin/env python3
"""Print the requirements of dependency groups of pyproject.toml, one a line.

    python3 scripts/dependency_group.py GROUP ...

For a pip that knows no `--group` (before 25.1). Groups that include others (PEP 735) are followed.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(
    groups: dict[str, list[str | dict[str, str]]], name: str, above: tuple[str, ...]
) -> list[str]:
    """The requirements of one group, those of the groups that it includes in their places."""
    if name in above:
        raise SystemExit(f"dependency group {name} includes itself: {' > '.join((*above, name))}")
    if name not in groups:
        raise SystemExit(
            f"no dependency group {name!r} in pyproject.toml (it has {', '.join(sorted(groups))})"
        )
    found: list[str] = []
    for entry in groups[name]:
        if isinstance(entry, str):
            found.append(entry)
        else:
            found += requirements(groups, entry["include-group"], (*above, name))
    return found


def main() -> None:
    """The command line."""
    with Path(__file__).parents[1].joinpath("pyproject.toml").open("rb") as file:
        groups = tomllib.load(file).get("dependency-groups", {})
    for name in sys.argv[1:]:
        print("\n".join(requirements(groups, name, ())))


if __name__ == "__main__":
    main()

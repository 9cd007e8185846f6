#!/usr/bin/env python3
"""Draw the state machines, and write out the limits and layers, where the documentation has marks for them.

    make draw, or python3 scripts/state_pictures.py [--check]

The pictures are made from the tables that the code runs on, so they can't be wrong for long: --check changes
nothing and fails when a picture is stale, and so do the tests.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from mungos.core.limits import Limits
from mungos.core.states import PHASES, READ_SIDES, WRITE_SIDES
from mungos.dns import ResolverConfig
from mungos.http import CLIENT_LIMITS, HTTPLimits
from mungos.tls import ClientConfig, EarlyDataGuard, SessionCache, TicketKeys
from mungos.websocket.options import SessionOptions
from mungos.websocket.states import TRANSITIONS

ROOT = Path(__file__).parents[1]
MARKED = re.compile(r"(?P<begin><!-- drawn: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
ENTRY = re.compile(r"^( *)((?:\w+, )*\w+): (.*)$")
UNIT = re.compile(r"bytes a second|[a-z]+s\b")
KIB = 1024
THEN = "then run make draw"
NO_LIMITS = {"going_away"}
"""Numbers in configurations that bound nothing."""

WITH_CONSTANTS = ("core", "crypto", "dns", "http", "tls", "websocket", "wires", "x509")
"""Packages whose constants a peer can meet, or a configuration."""

CONSTANT = re.compile(r"_?(?:MAX|MOST|LEAST)_\w+")
"""The names of bounds. One without an underscore in front needs a text below it; of the others those that
have one are shown."""


def picture(table: Mapping[Enum, frozenset[Enum]]) -> str:
    """A state diagram in mermaid's language; states without an arrow to them are beginnings."""
    entered = {state for targets in table.values() for state in targets}
    order = list(table)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{state.value}" as {state.name.lower()}' for state in order]
    lines += [f"    [*] --> {state.name.lower()}" for state in order if state not in entered]
    for state, targets in table.items():
        for target in sorted(targets, key=order.index):
            lines.append(f"    {state.name.lower()} --> {target.name.lower()}")
    lines += [f"    {state.name.lower()} --> [*]" for state, targets in table.items() if not targets]
    return "\n".join([*lines, "```", ""])


def meanings(text: str | None) -> dict[str, str]:
    """What a docstring says of each attribute or argument."""
    found: dict[str, str] = {}
    names: list[str] = []
    depth = 0
    for line in inspect.cleandoc(text or "").splitlines():
        entry = ENTRY.match(line)
        indent = len(line) - len(line.lstrip())
        if entry is not None and indent and (not names or indent <= depth):
            names, depth = entry[2].split(", "), indent
            found.update(dict.fromkeys(names, entry[3]))
        elif names and indent > depth:
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
        elif line.strip():
            names = []
    return found


class Row(NamedTuple):
    """One limit, as its docstring has it: `name: UNIT what it bounds. At it: what happens.`"""

    name: str
    unit: str
    default: str
    bounds: str
    at_it: str


def amount(value: object, unit: str) -> str:
    """A default as it is read best."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and unit.startswith("bytes") and value >= KIB and not value % KIB:
        return f"{value // KIB // KIB} MiB" if not value % (KIB * KIB) else f"{value // KIB} KiB"
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    number = f"{whole:g}" if isinstance(whole, float) else f"{whole:,}"
    return f"{number} s" if unit == "seconds" else number


def row(name: str, default: object, meaning: str) -> Row:
    """A limit's line. Raises ValueError, saying what to write, where the docstring lacks something."""
    bounds, mark, at_it = meaning.partition("At it: ")
    unit = UNIT.match(bounds)
    if unit is None or (isinstance(default, float) and unit[0] != "seconds"):
        raise ValueError(
            f"{name}: begin its docstring with the unit ('bytes of ...', 'seconds for ...'); {THEN}"
        )
    if not mark:
        raise ValueError(f"{name}: end its docstring with 'At it: ' and what happens at the limit; {THEN}")
    words = (bounds.strip().rstrip(".;"), at_it.strip().rstrip("."))
    return Row(
        name.partition(".")[2], unit[0], amount(default, unit[0]), *(word.replace("|", "/") for word in words)
    )


def rows_of(kind: type) -> list[Row]:
    """The numbers among the fields of a configuration, or among the arguments that make an object."""
    said = meanings(kind.__doc__)
    if is_dataclass(kind):
        defaults = {field.name: (field.default, str(field.type)) for field in fields(kind)}
    else:
        arguments = inspect.signature(kind).parameters.values()
        defaults = {each.name: (each.default, str(each.annotation)) for each in arguments}
    return [
        row(f"{kind.__name__}.{name}", default, said.get(name, ""))
        for name, (default, annotation) in defaults.items()
        if annotation.split(" | ")[0] in ("int", "float") and name not in NO_LIMITS
    ]


def table_of(rows: list[Row], prefix: str = "") -> str:
    """Lines of a table."""
    lines = ["| name | unit | default | bounds | at it |", "|---|---|---|---|---|"]
    lines += [
        f"| `{prefix}{each.name}` | {each.unit} | {each.default} | {each.bounds} | {each.at_it} |"
        for each in rows
    ]
    return "\n".join([*lines, ""])


def limits_of(kind: type) -> str:
    """The table of one configuration."""
    return table_of(rows_of(kind))


def http_limits() -> str:
    """The numbers of HTTP, and where a client's differ from a server's."""
    differ = [
        f"`{field.name}`: {amount(getattr(CLIENT_LIMITS, field.name), 'bytes')}"
        for field in fields(HTTPLimits)
        if getattr(CLIENT_LIMITS, field.name) != field.default
    ]
    return limits_of(HTTPLimits) + f"\nA client's (`CLIENT_LIMITS`) differ in {', '.join(differ)}.\n"


def ticket_limits() -> str:
    """What outlives a TLS session."""
    lines = [
        table_of(rows_of(kind), f"{kind.__name__}.") for kind in (TicketKeys, SessionCache, EarlyDataGuard)
    ]
    head = 2
    return "".join([lines[0], *("".join(each.splitlines(keepends=True)[head:]) for each in lines[1:])])


def fixed_limits() -> str:
    """The bounds that are constants, from the text that stands below each."""
    lines = ["| name | value | bounds |", "|---|---|---|"]
    source = ROOT / "src" / "mungos"
    folders = [path for name in WITH_CONSTANTS for path in (source / name).rglob("*.py")]
    for path in sorted([*folders, *source.glob("*.py")]):
        module = ".".join(["mungos", *path.relative_to(source).with_suffix("").parts])
        for name, said in constants_of(module, path.read_text("utf-8")):
            value = getattr(importlib.import_module(module), name)
            if isinstance(value, int | float):
                unit = "bytes" if "ytes" in said else ""
                lines.append(f"| `{module}.{name}` | {amount(value, unit)} | {said.replace('|', '/')} |")
    return "\n".join([*lines, ""])


def constants_of(module: str, text: str) -> list[tuple[str, str]]:
    """The bounds of a module, with what is said of each. Raises ValueError where a public one lacks that."""
    found: list[tuple[str, str]] = []
    for statement, below in pairwise([*ast.parse(text).body, ast.Pass()]):
        if isinstance(statement, ast.AnnAssign):
            target: ast.expr = statement.target
        elif isinstance(statement, ast.Assign):
            target = statement.targets[0]
        else:
            continue
        if not (isinstance(target, ast.Name) and CONSTANT.fullmatch(target.id)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found.append((target.id, " ".join(inspect.cleandoc(str(below.value.value)).split()).rstrip(".")))
        elif not target.id.startswith("_"):
            raise ValueError(f"{module}.{target.id}: say below it, in a docstring, what it bounds; {THEN}")
    return found


def layers() -> str:
    """Who may import whom, from the settings that the linter of imports reads."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    [order] = [contract["layers"] for contract in contracts if contract["id"] == "layers"]
    lines = ["```text", *(re.sub(r"\s+", " ", layer) for layer in order), "```", ""]
    return "\n".join([*lines, *(f"- {contract['name']}." for contract in contracts), ""])


DRAWINGS: dict[str, Callable[[], str]] = {
    "phases": lambda: picture(PHASES),  # type: ignore[arg-type]  # a Mapping's keys are invariant
    "read-sides": lambda: picture(READ_SIDES),  # type: ignore[arg-type]
    "write-sides": lambda: picture(WRITE_SIDES),  # type: ignore[arg-type]
    "websocket-states": lambda: picture(TRANSITIONS),  # type: ignore[arg-type]
    "core-limits": lambda: limits_of(Limits),
    "http-limits": http_limits,
    "websocket-limits": lambda: limits_of(SessionOptions),
    "tls-limits": lambda: limits_of(ClientConfig),
    "ticket-limits": ticket_limits,
    "dns-limits": lambda: limits_of(ResolverConfig),
    "fixed-limits": fixed_limits,
    "layers": layers,
}


def drawn(text: str) -> str:
    """The text with everything between its marks made anew."""
    return MARKED.sub(lambda found: found["begin"] + DRAWINGS[found["name"]]() + found["end"], text)


def documents() -> list[Path]:
    """Where marks may stand."""
    return sorted((ROOT / "docs").glob("*.md"))


def main() -> int:
    """The command line."""
    try:
        stale = [path for path in documents() if drawn(path.read_text("utf-8")) != path.read_text("utf-8")]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run make draw", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(drawn(path.read_text("utf-8")), "utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

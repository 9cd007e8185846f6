#!/usr/bin/env python3
"""Draw the state machines, and write out the limits and layers, where the documentation has marks for them.

    python3 scripts/state_pictures.py [--check]

The pictures are made from the tables that the code runs on, so they can't be wrong for long: --check changes
nothing and fails when a picture is stale, and so do the tests.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from mungos.core.limits import Limits
from mungos.core.states import PHASES, READ_SIDES, WRITE_SIDES
from mungos.crypto import contract
from mungos.dns import ResolverConfig
from mungos.http import CLIENT_LIMITS, HTTPLimits
from mungos.tls import ClientConfig, bounds
from mungos.tls.engines.builtin import reading, server, server_psks
from mungos.tls.engines.builtin.messages import authentication, stapling
from mungos.websocket.options import SessionKeywords, SessionOptions
from mungos.websocket.states import TRANSITIONS
from mungos.x509 import certificate, der, extensions, name_constraints, path

ROOT = Path(__file__).parents[1]
MARKED = re.compile(r"(?P<begin><!-- drawn: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
ENTRY = re.compile(r"^( *)((?:\w+, )*\w+): (.*)$")
KIB = 1024


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


def amount(value: object, meaning: str) -> str:
    """A default as it is read best."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and "byte" in meaning and value >= KIB and not value % KIB:
        return f"{value // KIB // KIB} MiB" if not value % (KIB * KIB) else f"{value // KIB} KiB"
    return f"{value:g} s" if isinstance(value, float) else f"{value:,}"


def table_of(defaults: Mapping[str, object], said: Mapping[str, str]) -> str:
    """Names, defaults and meanings of numbers, and of what may be None instead of one."""
    lines = ["| name | default | meaning |", "|---|---|---|"]
    for name, value in defaults.items():
        if isinstance(value, int | float | None):
            meaning = said[name].strip(".;")
            lines.append(f"| `{name}` | {amount(value, meaning)} | {meaning.replace('|', '/')} |")
    return "\n".join([*lines, ""])


def limits_of(kind: type, prefixes: tuple[str, ...] = ("",)) -> str:
    """The numbers of a dataclass, all of them or those whose names begin so."""
    defaults = {
        field.name: field.default
        for field in fields(kind)
        if field.default is not MISSING and field.name.startswith(prefixes)
    }
    return table_of(defaults, meanings(kind.__doc__))


def http_limits() -> str:
    """The numbers of HTTP, and where a client's differ from a server's."""
    differ = [
        f"`{field.name}`: {amount(getattr(CLIENT_LIMITS, field.name), 'bytes')}"
        for field in fields(HTTPLimits)
        if getattr(CLIENT_LIMITS, field.name) != field.default
    ]
    return limits_of(HTTPLimits) + f"\nA client's (`CLIENT_LIMITS`) differ in {', '.join(differ)}.\n"


def websocket_limits() -> str:
    """The numbers among the arguments of a WebSocket session."""
    return limits_of(SessionOptions, tuple(SessionKeywords.__annotations__))


def layers() -> str:
    """Who may import whom, from the settings that the linter of imports reads."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    [order] = [contract["layers"] for contract in contracts if contract["id"] == "layers"]
    lines = ["```text", *(re.sub(r"\s+", " ", layer) for layer in order), "```", ""]
    return "\n".join([*lines, *(f"- {contract['name']}." for contract in contracts), ""])


def constants(*places: tuple[ModuleType, tuple[str, ...]]) -> str:
    """Numbers of modules, each with the text that stands below it."""
    defaults: dict[str, object] = {}
    said: dict[str, str] = {}
    for module, names in places:
        body = ast.parse(inspect.getsource(module)).body
        for assigned, text in pairwise(body):
            match assigned, text:
                case (
                    ast.Assign(targets=[ast.Name(id=name)]),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ) if name in names:
                    defaults[name] = getattr(module, name)
                    said[name] = words[0].lower() + " ".join(words.split())[1:]
    return table_of(defaults, said)


def tls_bounds() -> str:
    """What a peer may ask of TLS, and of the certificates below it."""
    return constants(
        (
            bounds,
            ("MAX_CLIENT_HELLO", "MAX_FRAGMENTS", "MAX_KEY_SHARES", "MAX_QUIET", "MAX_ANSWERS", "MAX_QUOTED"),
        ),
        (reading, ("MAX_HANDSHAKE_MESSAGE", "MAX_EVENTS")),
        (server_psks, ("MAX_OFFERED_PSKS",)),
        (server, ("MAX_SKIPPED_EARLY_DATA",)),
        (authentication, ("MAX_CERTIFICATES",)),
        (stapling, ("MAX_STAPLE",)),
        (certificate, ("MAX_CERTIFICATE",)),
        (path, ("MAX_CHAIN", "MAX_DEPTH", "MAX_SIGNATURES")),
        (extensions, ("MAX_EXTENSIONS", "MAX_GENERAL_NAMES")),
        (name_constraints, ("MAX_COMPARISONS",)),
        (der, ("MAX_INTEGER",)),
        (contract, ("MAX_RSA_MODULUS", "MAX_RSA_EXPONENT")),
    )


DRAWINGS: dict[str, Callable[[], str]] = {
    "phases": lambda: picture(PHASES),  # type: ignore[arg-type]  # a Mapping's keys are invariant
    "read-sides": lambda: picture(READ_SIDES),  # type: ignore[arg-type]
    "write-sides": lambda: picture(WRITE_SIDES),  # type: ignore[arg-type]
    "websocket-states": lambda: picture(TRANSITIONS),  # type: ignore[arg-type]
    "core-limits": lambda: limits_of(Limits),
    "http-limits": http_limits,
    "websocket-limits": websocket_limits,
    "tls-limits": lambda: limits_of(ClientConfig, ("max_", "handshake_")),
    "tls-bounds": tls_bounds,
    "dns-limits": lambda: limits_of(ResolverConfig),
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
    stale = [path for path in documents() if drawn(path.read_text("utf-8")) != path.read_text("utf-8")]
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(
                f"{path.relative_to(ROOT)} is stale: run python3 scripts/state_pictures.py", file=sys.stderr
            )
        return 1 if stale else 0
    for path in stale:
        path.write_text(drawn(path.read_text("utf-8")), "utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The branches of a module that raise or alert, and the module without one of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Branch", "find", "without"]

ALERTING = frozenset({"_despair", "_die", "_fail", "_refuse", "_say", "fail", "queue_alert"})
"""Calls by which an engine ends a session, or tells the peer why."""

Holder = ast.If | ast.ExceptHandler | ast.match_case


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch that refuses.

    Args:
        module: its dotted name.
        index: its place among those of its module.
        line: the first line of what it does.
        key: what a list of survivors knows it by: no line numbers, which move.
    """

    module: str
    index: int
    line: int
    key: str


def find(module: str, source: str) -> list[Branch]:
    """Every branch that raises or alerts, in the order of the file.

    Args:
        module: the dotted name, for the keys.
        source: its text.
    """
    found: list[Branch] = []
    seen: dict[str, int] = {}
    for place, (scope, condition, body) in enumerate(_refusing(ast.parse(source))):
        key = f"{module}:{scope}:{condition}"
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > 1:
            key += f" #{seen[key]}"
        found.append(Branch(module, place, body[0].lineno, key))
    return found


def without(source: str, index: int, filename: str = "<mutant>") -> ast.Module:
    """The module with the body of that branch emptied.

    Raises IndexError when there are not so many.
    """
    tree = ast.parse(source, filename)
    _, _, body = list(_refusing(tree))[index]
    here = ast.copy_location(ast.Pass(), body[0])
    body[:] = [here]
    return tree


def _refusing(tree: ast.Module) -> Iterator[tuple[str, str, list[ast.stmt]]]:
    """Scope, condition and body (to be changed in place) of each."""
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    branches: list[tuple[int, str, str, list[ast.stmt]]] = []
    while waiting:
        node, scope = waiting.pop()
        inner = scope
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inner = f"{scope}.{node.name}" if scope else node.name
        if isinstance(node, ast.If):
            condition = ast.unparse(node.test)
            branches.append((node.body[0].lineno, inner, f"if {condition}", node.body))
            if node.orelse and not (len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)):
                branches.append((node.orelse[0].lineno, inner, f"else of if {condition}", node.orelse))
        elif isinstance(node, ast.ExceptHandler):
            kind = ast.unparse(node.type) if node.type else ""
            branches.append((node.body[0].lineno, inner, f"except {kind}", node.body))
        elif isinstance(node, ast.match_case):
            branches.append((node.body[0].lineno, inner, f"case {ast.unparse(node.pattern)}", node.body))
        waiting.extend((child, inner) for child in ast.iter_child_nodes(node))
    for _, scope, condition, body in sorted(branches, key=lambda branch: branch[0]):
        if any(_refuses(statement) for statement in body):
            yield scope, condition, body


def _refuses(statement: ast.stmt) -> bool:
    """Whether the statement itself, not a branch inside it, raises or alerts."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ALERTING:
                return True
        if isinstance(node, Holder | ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue  # what is inside it counts by itself
        waiting.extend(ast.iter_child_nodes(node))
    return False

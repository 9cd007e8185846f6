"""What the source around a frame says: locks that it wants and holds, by its `with` blocks.

A lock shows its waiters to the kernel, never its owner. The source does: a frame inside the body of `with a:`
holds a. Files are read from where the program ran; what is missing or too large says nothing.
"""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mungos.lab.facts import Frame, Process, Stack
from mungos.lab.findings.contract import Case
from mungos.lab.findings.stacks import at, is_own, local, object_of

__all__ = ["Locks", "line_of", "locks_of", "mentions", "program_text"]

MAX_SOURCE = 2_000_000  # bytes of a file that is read to look at a few lines

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Locks:
    """Locks of a thread, by a key that is the same for the same lock, and a name for people."""

    wanted: str | None
    wanted_name: str
    held: tuple[tuple[str, str], ...]  # key, name
    exact: bool  # keys are addresses, not names


@lru_cache(maxsize=64)
def _content(path: str, _changed: int) -> str:
    try:
        # What a frame calls its file may by now be anything, also what blocks who opens it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return ""
    with open(descriptor, "rb") as file:
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            data = file.read(MAX_SOURCE + 1)
        except OSError:
            return ""
    return data.decode("utf-8", "replace") if len(data) <= MAX_SOURCE else ""


def _text(path: str) -> str:
    """The file's text, read again once it has changed."""
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return ""
    if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_SOURCE:
        return ""
    return _content(path, about.st_mtime_ns)


@lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _tree(path: str) -> ast.Module | None:
    return _parsed(_text(path))


def _path(case: Case, process: Process, frame: Frame) -> str:
    """Where the frame's file is, from here; empty when it cannot be found."""
    if os.path.isabs(frame.file):
        return frame.file
    folder = case.order.directory or "."
    name = os.path.basename(frame.file)
    for word in (*case.order.command, *process.command.split()):
        if os.path.basename(word) == name:
            path = os.path.join(folder, word)
            if os.path.isfile(path):
                return path
    return ""


def line_of(case: Case, process: Process, frame: Frame | None) -> str:
    """The source line of a frame, stripped; empty when it cannot be had."""
    if frame is None or frame.line is None:
        return ""
    lines = _text(_path(case, process, frame)).splitlines()
    return lines[frame.line - 1].strip() if 0 < frame.line <= len(lines) else ""


def program_text(case: Case, process: Process, stack: Stack | None) -> str:
    """The source of the program's own files: those of a stack, and those that its command line names."""
    frames = [frame for frame in stack.frames if is_own(frame)] if stack is not None else []
    paths = [_path(case, process, frame) for frame in frames]
    folder = case.order.directory or "."
    paths += [os.path.join(folder, word) for word in process.command.split() if word.endswith(".py")]
    return "\n".join(_text(path) for path in dict.fromkeys(paths) if path)


def mentions(case: Case, process: Process, stack: Stack | None, *words: str) -> bool:
    """Whether the program's own source has one of these words."""
    text = program_text(case, process, stack)
    return any(word in text for word in words)


def locks_of(case: Case, process: Process, stack: Stack) -> Locks:
    """The lock that the stack's thread waits for, if any, and those that it holds."""
    frames = list(stack.frames)
    while frames and at(frames[0], "threading.py", "__enter__", "acquire"):
        frames.pop(0)  # a lock written in Python is wanted by its caller
    wanted: tuple[str, str, bool] | None = None
    held: list[tuple[str, str, bool]] = []
    for index, frame in enumerate(frames):
        scope = _scope(case, process, frame) if is_own(frame) else None
        if scope is None:
            continue  # Python's library takes its locks for moments only
        function, owner = scope
        for expression in _held(function, frame.line or 0):
            held.append(_key(case, process, frame, owner, expression))
        if index == 0:
            expression_wanted = _wanted(function, frame.line or 0)
            if expression_wanted is not None:
                wanted = _key(case, process, frame, owner, expression_wanted)
    exact = wanted is not None and wanted[2] and all(each[2] for each in held)
    pairs = tuple((key, name) for key, name, _ in held)
    if wanted is None:
        return Locks(None, "", pairs, exact)
    return Locks(wanted[0], wanted[1], pairs, exact)


def _scope(case: Case, process: Process, frame: Frame) -> tuple[ast.AST, str] | None:
    """The function (or module) that the frame runs, and the class around it."""
    path = _path(case, process, frame)
    tree = _tree(path) if path else None
    if tree is None or frame.line is None:
        return None
    best: tuple[ast.AST, str] = (tree, "")
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, owner = waiting.pop()
        for child in ast.iter_child_nodes(node):
            first, last = getattr(child, "lineno", None), getattr(child, "end_lineno", None)
            if first is not None and last is not None and not first <= frame.line <= last:
                continue
            inside = child.name if isinstance(child, ast.ClassDef) else owner
            if isinstance(child, _Function | ast.Lambda):
                best = (child, inside)
            waiting.append((child, inside))
    return best


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _Function | ast.Lambda | ast.ClassDef):
            yield child
            yield from _walk(child)


def _lock_like(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Name | ast.Attribute | ast.Subscript)


def _calls(function: ast.AST, method: str) -> Iterator[tuple[int, int, ast.expr]]:
    """First line, last line and object of every `object.method(…)`."""
    for node in _walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            if _lock_like(node.func.value):
                yield node.lineno, node.end_lineno or node.lineno, node.func.value


def _wanted(function: ast.AST, line: int) -> ast.expr | None:
    for node in _walk(function):
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in reversed(node.items):
                expression = item.context_expr
                last = expression.end_lineno or expression.lineno
                if expression.lineno <= line <= last and _lock_like(expression):
                    return expression
    return next((what for first, last, what in _calls(function, "acquire") if first <= line <= last), None)


def _held(function: ast.AST, line: int) -> Iterator[ast.expr]:
    # A condition is given back while it is waited for.
    waited = {
        ast.unparse(what)
        for method in ("wait", "wait_for")
        for first, last, what in _calls(function, method)
        if first <= line <= last
    }
    for node in _walk(function):
        if isinstance(node, ast.With):
            first, last = node.body[0].lineno, node.body[-1].end_lineno or 0
            heads = [each.context_expr for each in node.items if _lock_like(each.context_expr)]
            if first <= line <= last and line > node.lineno:
                yield from (head for head in heads if ast.unparse(head) not in waited)
            elif line == node.lineno and len(heads) > 1 and not waited:
                yield from heads[:-1]  # `with a, b:` takes them in this order
    released = [(first, ast.unparse(what)) for first, _, what in _calls(function, "release")]
    for _, last, what in _calls(function, "acquire"):
        name = ast.unparse(what)
        if last < line and not any(name == other and last <= where < line for where, other in released):
            yield what


def _key(
    case: Case, process: Process, frame: Frame, owner: str, expression: ast.expr
) -> tuple[str, str, bool]:
    """A key for the lock, its name, and whether the key is of this very object."""
    name = ast.unparse(expression)
    whole = object_of(local(frame, name))
    if whole is not None:
        return whole, name, True
    root, _, rest = name.partition(".")
    base = object_of(local(frame, root))
    if rest and base is not None:
        return f"{base}.{rest}", name, True
    if rest and root in ("self", "cls") and owner:
        return f"{owner}.{rest}", name, False
    return f"{_path(case, process, frame)}:{name}", name, False

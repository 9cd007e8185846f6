"""A process's command in a sentence: the program and its script without their folders."""

from __future__ import annotations

import re

__all__ = ["brief"]

_SHOWN = 60  # characters
_PROGRAM = re.compile(r"(['\"]?)/(?:[^\s'\"]*/)?([^\s/'\"]+)\1(?=\s|$|…)")
_INTERPRETER = re.compile(
    r"(?:python|pypy|ruby|perl|node|nodejs|bash|dash|sh|zsh|ksh|php|lua|tclsh|Rscript)[\d.]*t?"
)
_SCRIPT = re.compile(r"((?:\s+-(?:[XW]\s+|)[^\s'\"]+)*\s+)/(?:[^\s'\"]*/)?([^\s/'\"]+)(?=\s|$|…)")
_NO_SCRIPT = re.compile(r"\s-\w*[cm](?:\s|$)")


def brief(command: str, limit: int = _SHOWN) -> str:
    """A command line, short enough for a sentence.

    Args:
        command: as a shell would take it; it may be cut already.
        limit: characters.

    Returns:
        `python3 server.py --port 0` for `/usr/bin/python3 /srv/app/server.py --port 0`.
    """
    text = " ".join(command.split())
    program = _PROGRAM.match(text)
    rest = text[program.end() :] if program is not None else text.partition(" ")[1] + text.partition(" ")[2]
    name = program[2] if program is not None else text.partition(" ")[0]
    if _INTERPRETER.fullmatch(name):
        script = _SCRIPT.match(rest)
        if script is not None and not _NO_SCRIPT.search(script[1]):
            rest = script[1] + script[2] + rest[script.end() :]
    text = name + rest
    return text if len(text) <= limit else text[: limit - 1] + "…"

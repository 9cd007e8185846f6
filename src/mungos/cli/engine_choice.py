"""`--tls-engine`, for servers and clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mungos.cli.printable import printable
from mungos.cli.statuses import NotStarted
from mungos.errors import Misuse
from mungos.tls import all_engines, select

__all__ = ["checked_engine", "engine_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def engine_option(command: Command) -> Command:
    """The option."""
    return click.option(
        "--tls-engine",
        "engine",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Which TLS engine; `mungos engines` lists them.",
    )(command)


def checked_engine(name: str) -> str:
    """The engine's name. Raises UsageError for an unknown one, NotStarted for one that can't be used here."""
    try:
        select(name)
    except Misuse as error:
        known = {"auto", *(engine.name for engine in all_engines())}
        if name in known:
            raise NotStarted(f"{error}; see `mungos engines`") from None
        raise click.UsageError(printable(str(error))) from None
    return name

"""`--tls-engine` and `--tls-provider`, for servers and clients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import click

from mungos.cli.statuses import NotStarted
from mungos.errors import Misuse
from mungos.printable import printable
from mungos.tls import EngineFactory, all_engines, select

__all__ = ["PROVIDERS", "checked_engine", "engine_option", "provider_option"]

PROVIDERS = ("cryptography", "pure", "pure-with-private-keys")
_SLOW = frozenset({"pure", "pure-with-private-keys"})

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


def provider_option(command: Command) -> Command:
    """The option."""
    return click.option(
        "--tls-provider",
        "provider",
        type=click.Choice(PROVIDERS),
        metavar="NAME",
        help=f"By what the engine builtin computes: {', '.join(PROVIDERS)}. The pure ones need nothing "
        "installed, are slow and not constant in time; the first of them loads no private key.",
    )(command)


def checked_engine(name: str, provider: str | None) -> EngineFactory:
    """The engine, loud where what it computes by is a last resort.

    Raises UsageError for an unknown one, NotStarted for one that can't be used here, or not by the
    provider.
    """
    try:
        factory = select(name, provider)
    except Misuse as error:
        known = {"auto", *(engine.name for engine in all_engines())}
        if name in known:
            raise NotStarted(f"{error}; see `mungos engines`") from None
        raise click.UsageError(printable(str(error))) from None
    if provider in _SLOW:
        from mungos.crypto.pure import SlowCryptography  # noqa: PLC0415 - large, and for these alone

        # Said here in the command's own words, once.
        warnings.simplefilter("ignore", SlowCryptography)
        click.echo(
            f"mungos: --tls-provider {provider}: slow, and not constant in time: who can measure how long it "
            "takes learns about the keys",
            err=True,
        )
    return factory

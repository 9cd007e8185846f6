"""`mungos engines`."""

from __future__ import annotations

import click
from rich import box
from rich.console import Console
from rich.table import Table

from mungos.errors import Misuse
from mungos.tls import all_engines, select

__all__ = ["engines"]


_UNBROKEN = 1000  # columns


@click.command(
    epilog="""\b
Examples:
  mungos engines
  mungos get https://127.0.0.1:8443/ --tls-engine openssl"""
)
def engines() -> None:
    """List the TLS engines: which are usable here, which is taken by default, what each one lacks."""
    try:
        default = select("auto").name
    except Misuse:
        default = ""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("engine", no_wrap=True)
    table.add_column("usable", no_wrap=True)
    table.add_column("version")
    table.add_column("lacks, or why not")
    for engine in all_engines():
        usable = "yes, default" if engine.name == default else "yes" if engine.present else "no"
        remark = engine.reason if not engine.present else ", ".join(engine.lacks)
        table.add_row(engine.name, usable, engine.version, remark)
        for provider in engine.providers:
            usable = "yes, by name" if provider.present else "no"
            if provider is engine.providers[0] and provider.present:
                usable = "yes, default"
            table.add_row(
                f"  {provider.name}", usable, provider.version, provider.reason or ", ".join(provider.lacks)
            )
    # A pipe has no width; 80 columns would break lines that scripts look at.
    console = Console()
    Console(width=None if console.is_terminal else _UNBROKEN, highlight=False).print(table)

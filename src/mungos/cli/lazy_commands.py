"""A group of commands, each imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import ClassVar, cast

import click

__all__ = ["LazyCommands"]


class LazyCommands(click.Group):
    """Heirs fill `table`.

    Attributes:
        table: in the order of the help: name, module, what it does. The command bears the same name there.
    """

    table: ClassVar[Mapping[str, tuple[str, str]]]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(self.table[cmd_name][0])
        return cast("click.Command", getattr(module, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Without importing them all.
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

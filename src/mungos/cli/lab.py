"""`mungos lab`: the commands of the lab. Each is imported when it is asked for."""

from __future__ import annotations

from typing import ClassVar

import click

from mungos.cli.lazy_commands import LazyCommands

__all__ = ["lab"]


class _Commands(LazyCommands):
    table: ClassVar = {
        "run": ("mungos.cli.lab_run", "Run a command under watch, and explain why it does not end."),
        "compare": ("mungos.cli.lab_compare", "Run it on several processors; show where the outputs part."),
        "arch": ("mungos.cli.lab_arch", "Build, list and remove the processors' file systems."),
        "history": ("mungos.cli.lab_history", "List earlier runs; rates over nights."),
        "report": ("mungos.cli.lab_report", "Render a run again from its JSON."),
        "rules": ("mungos.cli.lab_rules", "List what the lab can find, and what to do about it."),
        "selftest": ("mungos.cli.lab_selftest", "Find the planted bugs: does the lab work here?"),
    }

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        try:
            return super().get_command(ctx, cmd_name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing in {"mungos", ""}:
                raise
            raise click.UsageError(
                f"`mungos lab {cmd_name}` needs {missing}: pip install 'mungos[lab]'"
            ) from None


@click.group(
    cls=_Commands,
    epilog="""\b
Examples:
  mungos lab run -- make test
  mungos lab history --rates --since 30d
  mungos lab COMMAND --help""",
)
def lab() -> None:
    """Run any program under watch, and learn why it does not end."""

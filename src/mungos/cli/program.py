"""The group of commands. Each is imported when it is asked for."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

import click

from mungos import __version__
from mungos.cli.lazy_commands import LazyCommands
from mungos.cli.statuses import FAILED, STATUSES, Interrupted
from mungos.errors import Misuse
from mungos.printable import printable

__all__ = ["program", "run"]


class _Commands(LazyCommands):
    table: ClassVar = {
        "serve": ("mungos.cli.serve", "Serve a directory over HTTP and HTTPS."),
        "echo": ("mungos.cli.echo", "Send back what comes: TCP, UDP, TLS, HTTP, WebSocket."),
        "get": ("mungos.cli.get", "Fetch a URL."),
        "ws": ("mungos.cli.ws", "Talk to a WebSocket."),
        "connect": ("mungos.cli.connect", "Join standard input and output to a peer."),
        "engines": ("mungos.cli.engines", "List the TLS engines, and why one is missing."),
        "demo": ("mungos.cli.demo", "See Mungos at work on your own machine."),
        "lab": ("mungos.cli.lab", "Run any program under watch, and learn why it does not end."),
    }


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"""\b
Examples:
  mungos serve . --listen http://127.0.0.1:8000
  mungos get https://example.org/
  mungos COMMAND --help

{STATUSES}""",
)
@click.version_option(__version__, prog_name="mungos")
def program() -> None:
    """TCP, UDP, HTTP, WebSocket and TLS from the command line."""


def run(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; those of the process when None.

    Returns:
        The exit status.
    """
    try:
        status = program.main(arguments, prog_name="mungos", standalone_mode=False)
    except click.ClickException as error:
        return _show(error)
    except Misuse as error:
        # An option's value that only the thing it is for could judge.
        return _show(click.UsageError(printable(str(error))))
    except click.Abort:
        return 130
    except Interrupted as error:
        return 128 + error.number
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status if isinstance(status, int) else 0


def _show(error: click.ClickException) -> int:
    error.show()
    return error.exit_code

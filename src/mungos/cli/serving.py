"""What the commands that listen have in common: addresses, certificates, the first lines and the end."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from mungos import CloseReport, Manager
from mungos.cli.securing import Secured, server_tls_options
from mungos.cli.sizes import SECONDS
from mungos.cli.statuses import FAILED, OK, NotStarted
from mungos.errors import Misuse
from mungos.printable import printable
from mungos.url import URL, parse

__all__ = [
    "addresses",
    "listening",
    "say",
    "serve_until_signalled",
    "server_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def server_options(command: Command) -> Command:
    """The options of a command that listens; it takes those of TLS as `tls`."""
    options = [
        click.option(
            "--listen",
            "listen",
            multiple=True,
            metavar="URL",
            help="Where to listen; may be given several times. Port 0: the system chooses one.",
        ),
        click.option(
            "--close-within",
            type=SECONDS,
            default=5.0,
            show_default=True,
            metavar="SECONDS",
            help="How long connections may drain at the end.",
        ),
        click.option(
            "-q", "--quiet", is_flag=True, callback=_one_of_two, help="Nothing on standard error but errors."
        ),
        click.option(
            "-v",
            "--verbose",
            count=True,
            callback=_one_of_two,
            help="Log each connection (-vv: each step of each).",
        ),
    ]
    command = server_tls_options(command)
    for option in reversed(options):
        command = option(command)
    return command


Given = TypeVar("Given", bound=int)


def _one_of_two(context: click.Context, parameter: click.Parameter, value: Given) -> Given:
    """--quiet and --verbose: whichever is read second meets the other."""
    other = "verbose" if parameter.name == "quiet" else "quiet"
    if value and context.params.get(other):
        raise click.UsageError("--quiet and --verbose contradict each other: leave one out")
    return value


def addresses(texts: tuple[str, ...], schemes: tuple[str, ...]) -> list[URL]:
    """The URLs to listen at. Raises UsageError for one that is none, or of another scheme."""
    found = []
    for text in texts:
        try:
            url = parse(text, for_listening=True, schemes=schemes)
        except Misuse as error:
            raise click.UsageError(str(error)) from None
        if url.scheme not in schemes:
            raise click.UsageError(
                f"--listen {printable(text)}: this command speaks {', '.join(schemes)}, not {url.scheme}"
            )
        if url.scheme.startswith("http") and url.target != "/":
            raise click.UsageError(
                f"--listen {printable(text)}: every path is served: leave out {printable(url.target)}"
            )
        found.append(url)
    return found


def listening(url: URL, listen: Callable[[], object]) -> None:
    """Call `listen`. Raises NotStarted, naming the address, where the system refuses."""
    try:
        listen()
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotStarted(f"can't listen at {_shown(url)}: {reason}") from None
    except Misuse as error:
        raise NotStarted(f"can't listen at {_shown(url)}: {error}") from None


def serve_until_signalled(
    manager: Manager, tls: Secured, *, close_within: float, quiet: bool, verbose: int
) -> int:
    """Say where it listens, serve until SIGTERM or ^C, drain, and report. SIGHUP: read certificates again.

    Returns:
        The exit status: 0 unless something is left open.
    """
    if verbose:
        logging.basicConfig(
            stream=sys.stderr,
            level=logging.DEBUG if verbose > 1 else logging.INFO,
            format="%(relativeCreated)8.0f ms %(name)s: %(message)s",
        )
    # `run` has handlers of its own; these stand before and after it.
    for number in _SIGNALS:
        signal.signal(number, lambda _number, _frame: manager.call_soon(manager.begin_close, close_within))
    hang_up = _HangUp(manager, tls, close_within=close_within, quiet=quiet)
    signal.signal(signal.SIGHUP, lambda _number, _frame: manager.call_soon(hang_up))
    # From inside the loop: whoever reads the line may signal at once.
    manager.call_soon(_announce, manager)
    report = manager.run(signals=_SIGNALS, within=close_within)
    # All is closed and the process about to exit: a signal too many must not change its status. A handler
    # would not do, as Python takes those back before it ends.
    for number in (*_SIGNALS, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _report(report, quiet)
    return OK if report.ok else FAILED


class _HangUp:
    """What SIGHUP means: that the terminal has gone, or else that certificates are to be read again."""

    def __init__(self, manager: Manager, tls: Secured, *, close_within: float, quiet: bool) -> None:
        self._manager = manager
        self._tls = tls
        self._close_within = close_within
        self._quiet = quiet
        # Under nohup the terminal may go.
        self._needs_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()

    def __call__(self) -> None:
        if self._needs_terminal and not _has_terminal():
            self._manager.begin_close(self._close_within)
            return
        try:
            done = self._tls.reload(self._manager)
        except NotStarted as error:
            kept = "; the certificates from before stay in use"
            click.echo("mungos: SIGHUP: " + printable(error.message) + kept, err=True)
        else:
            if not self._quiet:
                click.echo(f"SIGHUP: {done}", err=True)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _announce(manager: Manager) -> None:
    for listener in manager.listeners.values():
        say(f"listening at {_shown(listener.url)}")
    for connection in manager.connections.values():
        if connection.url is not None:
            say(f"listening at {_shown(connection.url)}")


def _report(report: CloseReport, quiet: bool) -> None:
    if not quiet or not report.ok:
        click.echo(printable(str(report), keep="\n"), err=True)
    if not quiet and report.ok:
        click.echo("All connections closed", err=True)


def say(line: str) -> None:
    """One line on standard output, at once: other programs wait for it."""
    click.echo(line)
    sys.stdout.flush()


def _shown(url: URL) -> str:
    # "https://:443/" can't be pasted into anything.
    if url.transport != "unix" and not url.host:
        url = URL(url.scheme, "::", url.port, url.path, url.query)
    return os.fsencode(str(url)).decode("utf-8", "backslashreplace")

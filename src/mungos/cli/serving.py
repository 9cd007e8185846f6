"""What the commands that listen have in common: addresses, certificates, the first lines and the end."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mungos import CloseReport, Manager
from mungos.cli.development_certificate import make_development_certificate
from mungos.cli.engine_choice import checked_engine, engine_option
from mungos.cli.printable import printable
from mungos.cli.sizes import SECONDS
from mungos.cli.statuses import FAILED, OK, NotStarted
from mungos.errors import Misuse
from mungos.tls import Credential, ServerConfig, TicketKeys, select
from mungos.url import URL, parse

__all__ = [
    "addresses",
    "listening",
    "say",
    "serve_until_signalled",
    "server_options",
    "server_tls",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOPBACK = frozenset({"", "::", "0.0.0.0", "localhost", "127.0.0.1", "::1"})


def server_options(command: Command) -> Command:
    """The options of a command that listens."""
    options = [
        click.option(
            "--listen",
            "listen",
            multiple=True,
            metavar="URL",
            help="Where to listen; may be given several times. Port 0: the system chooses one.",
        ),
        click.option(
            "--tls-cert",
            type=click.Path(path_type=Path),
            metavar="CHAIN.pem",
            help="Certificates, leaf first. Without it TLS uses a self-made one, for development only.",
        ),
        click.option(
            "--tls-key",
            type=click.Path(path_type=Path),
            metavar="KEY.pem",
            help="The certificate's private key.",
        ),
        click.option(
            "--save-cert",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write the certificate used to FILE, for the --cacert of clients.",
        ),
        engine_option,
        click.option(
            "--close-within",
            type=SECONDS,
            default=5.0,
            show_default=True,
            metavar="SECONDS",
            help="How long connections may drain at the end.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Nothing on standard error but errors."),
        click.option("-v", "--verbose", count=True, help="Log each connection (-vv: each step of each)."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def addresses(texts: tuple[str, ...], schemes: tuple[str, ...]) -> list[URL]:
    """The URLs to listen at. Raises UsageError for one that is none, or of another scheme."""
    found = []
    for text in texts:
        try:
            url = parse(text, for_listening=True)
        except Misuse as error:
            raise click.UsageError(str(error)) from None
        if url.scheme not in schemes:
            raise click.UsageError(
                f"--listen {printable(text)}: this command speaks {', '.join(schemes)}, not {url.scheme}"
            )
        found.append(url)
    return found


def server_tls(
    urls: list[URL], chain: Path | None, key: Path | None, engine: str, save: Path | None
) -> ServerConfig | None:
    """The configuration for those of the addresses that are secure; None when there are none.

    Raises:
        UsageError: certificate without key, or either without a secure address.
        NotStarted: a file can't be read, or does not hold what it should.
    """
    checked_engine(engine)
    if (chain is None) is not (key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together: give both, or neither")
    if not any(url.secure for url in urls):
        if chain is not None or save is not None:
            raise click.UsageError("a certificate is of no use here: no --listen URL is https, tls or wss")
        return None
    if chain is not None and key is not None:
        try:
            credential = Credential.from_files(chain, key)
        except OSError as error:
            raise NotStarted(f"can't read {error.filename}: {error.strerror}") from None
    else:
        credential = _development_credential(urls)
    config = ServerConfig((credential,), tickets=TicketKeys())
    try:
        select(engine).server(config).release()
    except Misuse as error:
        raise NotStarted(f"the certificate can't be used: {error}") from None
    if save is not None:
        try:
            save.write_bytes(credential.chain)
        except OSError as error:
            raise NotStarted(f"can't write {save}: {error.strerror}") from None
    return config


def _development_credential(urls: list[URL]) -> Credential:
    names = [url.host for url in urls if url.secure and url.host not in _LOOPBACK]
    try:
        made = make_development_certificate(names)
    except Misuse as error:
        raise NotStarted(f"{error}; or give --tls-cert and --tls-key") from None
    say(f"development certificate for {', '.join(made.names)}, until {made.not_after:%Y-%m-%d}")
    say(f"certificate fingerprint (SHA-256): {made.fingerprint}")
    say(f"public key hash (SHA-256 of SPKI): {made.spki_sha256}")
    return made.credential


def listening(url: URL, listen: Callable[[], object]) -> None:
    """Call `listen`. Raises NotStarted, naming the address, where the system refuses."""
    try:
        listen()
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotStarted(f"can't listen at {_shown(url)}: {reason}") from None
    except Misuse as error:
        raise NotStarted(f"can't listen at {_shown(url)}: {error}") from None


def serve_until_signalled(manager: Manager, *, close_within: float, quiet: bool, verbose: int) -> int:
    """Say where it listens, serve until SIGTERM or ^C, drain, and report.

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
    # From inside the loop: whoever reads the line may signal at once.
    manager.call_soon(_announce, manager)
    report = manager.run(signals=_SIGNALS, within=close_within)
    # All is closed and the process about to exit: a signal too many must not change its status. A handler
    # would not do, as Python takes those back before it ends.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _report(report, quiet)
    return OK if report.ok else FAILED


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

"""`mungos serve`: files over HTTP."""

from __future__ import annotations

import os
import resource
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from mungos import Closed, Connection, Manager, Writable
from mungos.cli.securing import Secured, ServerTLS, secured
from mungos.cli.serving import addresses, listening, say, serve_until_signalled, server_options
from mungos.cli.statuses import STATUSES, NotStarted
from mungos.core import Limits
from mungos.errors import Broken
from mungos.http import SERVER_LIMITS, FileServer, Request
from mungos.http.attach import DateClock, ServerConnection, with_alpn
from mungos.http.headers import NO_FIELDS, FieldLines
from mungos.printable import MAX_LINE_CHARACTERS, MAX_QUOTED_CHARACTERS, printable
from mungos.protocol import Buffer
from mungos.url import URL

__all__ = ["serve"]

Log = Callable[[str], None]

_MOST_OF_TARGET = 1000
"""Characters of a request's target that its line of the access log has."""


class _Logged(ServerConnection):
    """A session that remembers what it answered, for the access log."""

    __slots__ = ("asked", "body_bytes", "log", "status")

    def __init__(self, connection: Connection, date: Callable[[], bytes], log: Log) -> None:
        super().__init__(connection, SERVER_LIMITS, date)
        self.log = log
        self.asked: Request | None = None
        self.status = 0
        self.body_bytes = 0

    def respond(
        self,
        status: int,
        body: Buffer = b"",
        headers: FieldLines = NO_FIELDS,
        *,
        content_type: str | None = None,
    ) -> None:
        super().respond(status, body, headers, content_type=content_type)
        self.status = status
        asked = self.asked
        self.body_bytes = 0 if asked is not None and asked.method == "HEAD" else len(body)
        self.log_answer()

    def start_response(self, status: int, headers: FieldLines = NO_FIELDS, length: int | None = None) -> None:
        super().start_response(status, headers, length)
        self.status = status
        self.body_bytes = 0

    def send_body(self, data: Buffer) -> bool:
        room = super().send_body(data)
        self.body_bytes += len(data)
        return room

    def end_response(self, trailers: FieldLines = NO_FIELDS) -> None:
        super().end_response(trailers)
        self.log_answer()

    def log_answer(self, remark: str = "") -> None:
        """One line: method, target, status, bytes of the body, peer."""
        asked, self.asked = self.asked, None
        if asked is not None:
            answer = f"{self.status} {self.body_bytes}"
            method = printable(asked.method, most=MAX_QUOTED_CHARACTERS)
            target = printable(asked.target, most=_MOST_OF_TARGET)
            self.log(f"{method} {target} {answer} {self.connection.remote}{remark}")


@click.command(
    epilog=f"""\b
Examples:
  mungos serve . --listen http://127.0.0.1:8000
  mungos serve site --listen http://:80 --listen https://:443 \\
      --tls-cert chain.pem --tls-key key.pem
  mungos serve . --listen https://127.0.0.1:8443 --save-cert dev.pem
  curl --cacert dev.pem https://127.0.0.1:8443/
  mungos serve site --listen https://:443 --tls-cert a.pem --tls-key a.key \\
      --tls-cert b.pem --tls-key b.key --tls-client-ca clients.pem
  kill -HUP PID                 # certificates were renewed: read them again

{STATUSES}"""
)
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@server_options
@click.option("--hidden", is_flag=True, help="Serve names that begin with a dot, too.")
@click.option("--cache-control", metavar="VALUE", help="Send a Cache-Control field with each file.")
def serve(
    *,
    directory: Path,
    listen: tuple[str, ...],
    close_within: float,
    quiet: bool,
    verbose: int,
    tls: ServerTLS,
    hidden: bool,
    cache_control: str | None,
) -> int:
    """Serve the files below DIR over http, https, or HTTP on a unix socket.

    A directory is answered with its index.html; there are no listings. Without --listen it is
    http://127.0.0.1:8000. Each address is printed as `listening at URL` once it takes connections; the
    access log goes to standard error.

    SIGTERM or ^C lets what is under way complete, within --close-within; a second one cuts it short. SIGHUP
    reads certificates and keys again, for new connections.
    """
    try:
        is_there = stat.S_ISDIR(os.stat(directory).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_there = False
    except OSError as error:
        raise NotStarted(f"can't read {directory}: {error.strerror}") from None
    if not is_there:
        raise click.UsageError(f"{printable(str(directory))} is no directory")
    files = FileServer(directory, hidden=hidden, cache_control=cache_control)
    urls = addresses(listen or ("http://127.0.0.1:8000",), ("http", "https", "unix"))
    secure = secured(urls, tls, say)
    log: Log = _silent if quiet else _access_log
    with Manager(limits=_limits(close_within)) as manager:
        for url in urls:
            listening(url, partial(_listen, manager, url, files, secure, log))
        return serve_until_signalled(manager, secure, close_within=close_within, quiet=quiet, verbose=verbose)


def _limits(close_within: float) -> Limits:
    """A third of the descriptors is for files that are held open (`Limits.reserved_descriptors`): connections
    take no more than the others."""
    limits = Limits(close_within=close_within)
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return limits
    spare = allowed - min(limits.reserved_descriptors, allowed // 4)
    return replace(limits, max_connections=min(limits.max_connections, max(1, spare * 2 // 3)))


def _listen(manager: Manager, url: URL, files: FileServer, secure: Secured, log: Log) -> None:
    date = DateClock(manager)
    wall = manager.wire.wall
    tls = secure.config(url)

    def handle(session: _Logged, event: object) -> None:
        try:
            if isinstance(event, Request):
                session.asked = event
                files.handle(session, event, wall())
            elif isinstance(event, Writable):
                files.pump(session)
            elif isinstance(event, Closed):
                if session.asked is not None:
                    session.log_answer(f" incomplete: {event.reason}")
                elif not event.reason.clean:
                    log(f"- - - 0 {session.connection.remote} {event.reason}")
        except (Broken, OSError) as error:
            # The rest of a file that was announced can't be sent: only an end before its time says so.
            session.connection.abort(str(error))

    manager.listen(
        url,
        handle,
        protocol=lambda connection: _Logged(connection, date, log),
        tls=None if tls is None else with_alpn(tls),
        engine=secure.engine,
    )


def _access_log(line: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime())
    click.echo(f"{now} {printable(line, most=MAX_LINE_CHARACTERS)}", err=True)


def _silent(_line: str) -> None:
    """For --quiet."""

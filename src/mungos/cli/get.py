"""`mungos get`: one request, and the body of its response."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from mungos import Closed, Manager, Opened
from mungos.cli.parameter_types import OUTPUT_FILE
from mungos.cli.sizes import SECONDS
from mungos.cli.standard_streams import Output
from mungos.cli.statuses import FAILED, OK, STATUSES, Failure, NotStarted
from mungos.cli.talking import Talk, remark
from mungos.cli.trusting import ClientTLS, client_options, target, trust
from mungos.errors import Misuse
from mungos.http import ClientSession, Data, EndOfMessage, InformationalResponse, Response
from mungos.http.attach import ClientConnection, connect
from mungos.own_files import open_to_write
from mungos.printable import printable

__all__ = ["get"]

Fields = tuple[tuple[str, str], ...]


@click.command(
    epilog=f"""\b
Examples:
  mungos get https://example.org/
  mungos get https://127.0.0.1:8443/ --cacert dev.pem -v
  mungos get https://127.0.0.1:8443/ --tls-ca ca.pem --tls-cert me.pem --tls-key me.key
  mungos get http://127.0.0.1:8000/large.bin -o large.bin --within 600
  mungos get http://127.0.0.1:8000/items -X PUT -d '{{"n": 1}}' \\
      -H 'Content-Type: application/json'

{STATUSES}"""
)
@click.argument("url", metavar="URL")
@click.option("-X", "--request", "method", metavar="METHOD", help="GET, or POST where -d is given.")
@click.option("-d", "--data", metavar="DATA", help="The request's body; @FILE sends a file.")
@click.option("-H", "--header", "headers", multiple=True, metavar="FIELD", help="'Name: value', repeatable.")
@click.option("-o", "--output", type=OUTPUT_FILE, metavar="FILE", help="Write the body to FILE.")
@click.option("-i", "--include", is_flag=True, help="Write the response's head before its body.")
@click.option("-v", "--verbose", is_flag=True, help="Say on standard error what is sent, got and negotiated.")
@click.option("--no-fail", is_flag=True, help="Exit with 0 whatever the response's status is.")
@click.option(
    "--within",
    type=SECONDS,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="For everything, from the lookup to the last byte.",
)
@client_options
def get(
    *,
    url: str,
    method: str | None,
    data: str | None,
    headers: tuple[str, ...],
    output: Path | None,
    include: bool,
    verbose: bool,
    no_fail: bool,
    within: float,
    tls: ClientTLS,
) -> int:
    """Fetch URL (http or https) and write the body to standard output, as it comes.

    Redirections are not followed. A status of 400 or more makes the exit status 1; the body is written all
    the same.
    """
    place = target(url, ("http", "https"), "`mungos connect` and `mungos ws` are there for others")
    body = None if data is None else _body(data)
    fields = tuple(_field(text) for text in headers)
    method = method or ("GET" if body is None else "POST")
    try:
        ClientSession(host=place.host_header).request(method, place.target, fields, body)
    except Misuse as error:
        raise click.UsageError(printable(str(error))) from None
    trusted = trust(place, tls)
    is_new = output is not None and not os.path.lexists(output)
    descriptor = 1 if output is None else _opened(output)
    fetching: _Fetching | None = None
    try:
        with Manager() as manager:
            talk = Talk(manager, place, verbose=verbose, output=Output(descriptor))
            fetching = _Fetching(talk, method, place.target, fields, body, include)
            talk.connection = connect(
                manager,
                place,
                fetching.handle,
                tls=trusted.tls,
                server_name=trusted.server_name,
                engine=trusted.engine,
            )
            status = fetching.run(within)
    except BaseException:
        if output is not None and fetching is not None and fetching.began:
            remark(f"{output} is not complete")
        elif output is not None and is_new:
            with suppress(OSError):  # what is told is why it failed
                output.unlink(missing_ok=True)
        raise
    finally:
        if output is not None:
            os.close(descriptor)
    return OK if status < 400 or no_fail else FAILED


class _Fetching:
    """One request and its response.

    Attributes:
        began: whether the response's head has come.
    """

    def __init__(
        self, talk: Talk, method: str, path: str, fields: Fields, body: bytes | None, include: bool
    ) -> None:
        self._talk = talk
        self._method = method
        self._path = path
        self._fields = fields
        self._body = body
        self._include = include
        self._status = 0
        self.began = False
        self._complete = False
        self._got = 0

    def run(self, within: float) -> int:
        """Turn until the response is complete. Returns its status; raises as `Talk.run`."""
        try:
            self._talk.run(within, self._waits_for)
        except Failure:
            # The answer is all here: how the server takes its leave is told with -v, and fails nothing.
            if not self._complete or self._talk.failure is not None:
                raise
        if not self._complete:
            raise Failure(f"{self._talk.url}: the connection ended before the response was complete")
        return self._status

    def handle(self, session: ClientConnection, event: object) -> None:
        """The session's events."""
        talk = self._talk
        if isinstance(event, Opened):
            talk.opened(session.connection)
            self._tell(f"> {self._method} {self._path} HTTP/1.1")
            session.request(self._method, self._path, self._fields, self._body)
        elif isinstance(event, InformationalResponse):
            self._tell(f"< {event.status} {event.reason}")
        elif isinstance(event, Response):
            self._status = event.status
            self.began = True
            talk.output.empty()
            self._tell(f"< {event.status} {event.reason}")
            for name, value in event.headers.items():
                self._tell(f"< {name}: {value}")
            if self._include:
                talk.write(self._head(event))
        elif isinstance(event, Data):
            self._got += len(event.data)
            talk.write(event.data)
        elif isinstance(event, EndOfMessage):
            self._complete = True
            session.connection.close()
        elif isinstance(event, Closed):
            talk.closed(event.reason)

    def _head(self, response: Response) -> bytes:
        lines = [f"HTTP/1.{response.version[1]} {response.status} {response.reason}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if self._talk.output.is_terminal:
            lines = [printable(line) for line in lines]
        return "\r\n".join((*lines, "", "")).encode("latin-1", "backslashreplace")

    def _tell(self, line: str) -> None:
        if self._talk.verbose:
            remark(line)

    def _waits_for(self) -> str:
        if self._status:
            return f"receiving the body, {self._got} bytes so far"
        connection = self._talk.connection
        return "" if connection is None or connection.phase.value != "open" else "waiting for the response"


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return os.fsencode(data)
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise NotStarted(f"can't read {data[1:]}: {error.strerror}") from None


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError(f"-H {printable(text)!r}: write 'Name: value'")
    return name, value.strip(" \t")


def _opened(path: Path) -> int:
    try:
        return open_to_write(os.fspath(path))
    except OSError as error:
        raise NotStarted(f"can't write {path}: {error.strerror}") from None

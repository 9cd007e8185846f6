"""`mungos ws`: lines to messages and back."""

from __future__ import annotations

from dataclasses import dataclass

import click

from mungos import Closed, Manager, Opened, Timer, Writable
from mungos.cli.sizes import SECONDS, SIZE
from mungos.cli.standard_streams import Lines, StandardInput
from mungos.cli.statuses import OK, STATUSES, Failure
from mungos.cli.talking import Talk, remark
from mungos.cli.trusting import ClientTLS, Trust, client_options, target, trust
from mungos.errors import Misuse
from mungos.printable import printable
from mungos.url import URL
from mungos.websocket import CloseReceived, CloseStatus, Established, Message, Ping, State
from mungos.websocket.attach import ClientConnection, connect
from mungos.websocket.handshake import check_subprotocols

__all__ = ["Conversation", "converse", "ws"]

_GOOD_ENDS = frozenset({1000, 1001})
_MAX_MESSAGE = 16 * 1024 * 1024
_MAX_UNSENT = 32 * 1024 * 1024
_SHOWN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is said.

    Attributes:
        texts: sent one after another; None: the lines of standard input.
        count: messages to receive before it is closed; None: as many as `texts`, or until the input ends.
        wait: seconds of silence after the end of input that end it.
        subprotocols: offered.
        origin: the Origin field.
        max_message: bytes of a received one.
    """

    texts: tuple[str, ...] | None = None
    count: int | None = None
    wait: float = 1.0
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    max_message: int = _MAX_MESSAGE


@click.command(
    epilog=f"""\b
Examples:
  mungos ws ws://127.0.0.1:8080/
  mungos ws wss://127.0.0.1:8443/ --cacert dev.pem --send hello --send again
  mungos ws ws://127.0.0.1:8080/feed --count 10 --origin http://localhost
  printf 'one\\ntwo\\n' | mungos ws ws://127.0.0.1:8080/

{STATUSES}"""
)
@click.argument("url", metavar="URL")
@click.option("--send", "texts", multiple=True, metavar="TEXT", help="Send this and no input; repeatable.")
@click.option(
    "--count",
    type=click.IntRange(0),
    metavar="N",
    help="Close after N messages came. Default with --send: as many as were sent.",
)
@click.option("--subprotocol", "subprotocols", multiple=True, metavar="NAME", help="Offer it; repeatable.")
@click.option("--origin", metavar="ORIGIN", help="Send an Origin field, as a browser would.")
@click.option(
    "--max-message",
    type=SIZE,
    default="16M",
    show_default=True,
    metavar="SIZE",
    help="Longest message received.",
)
@click.option(
    "--wait",
    type=SECONDS,
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="After the end of input, how long a silence of the peer ends it.",
)
@click.option(
    "--within",
    type=SECONDS,
    metavar="SECONDS",
    help="For everything; without it there is no limit.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say what TLS negotiated and how it ended.")
@client_options
def ws(
    *,
    url: str,
    texts: tuple[str, ...],
    count: int | None,
    subprotocols: tuple[str, ...],
    origin: str | None,
    max_message: int,
    wait: float,
    within: float | None,
    verbose: bool,
    tls: ClientTLS,
) -> int:
    """Open a WebSocket at URL (ws or wss), send each line of standard input as a text message, and print
    each message that comes as a line.

    The exit status is 0 when the peer closes with 1000 or 1001, or answers our own close so.
    """
    place = target(url, ("ws", "wss"), "`mungos connect` and `mungos get` are there for others")
    try:
        check_subprotocols(subprotocols)
        "".join(texts).encode()
    except Misuse as error:
        raise click.UsageError(printable(str(error))) from None
    except UnicodeEncodeError:
        raise click.UsageError("--send: a text message is UTF-8, and this is none") from None
    trusted = trust(place, tls, ("http/1.1",))
    if texts and count is None:
        count = len(texts)
    conversation = Conversation(texts or None, count, wait, subprotocols, origin, max_message)
    return converse(place, trusted, conversation, verbose=verbose, within=within)


def converse(
    url: URL, trusted: Trust, conversation: Conversation, *, verbose: bool, within: float | None
) -> int:
    """Hold a conversation. Returns the exit status; raises as `Talk.run`."""
    with Manager() as manager:
        talk = Talk(manager, url, verbose=verbose)
        return _Conversing(talk, conversation).run(url, trusted, within)


class _Conversing:
    """The handlers of one conversation."""

    def __init__(self, talk: Talk, conversation: Conversation) -> None:
        self._talk = talk
        self._what = conversation
        self._session: ClientConnection | None = None
        self._came = 0
        self._ending: CloseStatus | None = None
        self._silence: Timer | None = None
        self._lines = Lines()
        self._input = StandardInput(talk.manager, self._take, talk.fail)

    def run(self, url: URL, trusted: Trust, within: float | None) -> int:
        """From the connection to its end."""
        what = self._what
        self._talk.connection = connect(
            self._talk.manager,
            url,
            self._handle,
            tls=trusted.tls,
            server_name=trusted.server_name,
            engine=trusted.engine,
            subprotocols=what.subprotocols,
            origin=what.origin,
            max_message=what.max_message,
            max_unsent=_MAX_UNSENT,
        )
        try:
            self._talk.run(within, self._waits_for)
        except Failure:
            # RFC 6455 section 7.1.4: both Close frames have passed, how TCP ended then changes nothing.
            if self._talk.failure is not None or not self._closed_well():
                raise
        if not self._closed_well():
            ending = self._ending
            code, words = (1006, "") if ending is None else (ending.code, ending.reason)
            raise Failure(f"{url}: the WebSocket closed with {code}" + (f": {words}" if words else ""))
        return OK

    def _closed_well(self) -> bool:
        return self._ending is not None and self._ending.clean and self._ending.code in _GOOD_ENDS

    def _handle(self, session: ClientConnection, event: object) -> None:
        if isinstance(event, Message):
            self._print(session, event.data)
        elif isinstance(event, Opened):
            self._talk.opened(session.connection)
        elif isinstance(event, Established):
            self._begin(session, event)
        elif isinstance(event, Writable):
            self._input.go_on()
        elif isinstance(event, Ping):
            self._tell(f"Ping of {len(event.data)} bytes, answered")
        elif isinstance(event, CloseReceived):
            self._tell(f"the peer closes with {event.code}" + (f": {event.reason}" if event.reason else ""))
        elif isinstance(event, Closed):
            if isinstance(event.detail, CloseStatus):
                self._ending = event.detail
                self._tell(f"WebSocket closed: {event.detail.code} {event.detail.reason}".rstrip())
            self._talk.closed(event.reason)

    def _begin(self, session: ClientConnection, event: Established) -> None:
        self._session = session
        self._tell(f"WebSocket open, subprotocol {event.subprotocol or 'none'}")
        if self._what.texts is not None:
            for text in self._what.texts:
                session.send(text)
        elif self._what.count != 0:
            self._input.start()
        if self._what.count == 0:
            session.close_with(1000)

    def _print(self, session: ClientConnection, data: str | bytes) -> None:
        if not self._talk.output.is_terminal:
            shown = data.encode() if isinstance(data, str) else data
        elif isinstance(data, str):
            shown = printable(data, keep="\n\t").encode()
        else:
            more = "…" if len(data) > _SHOWN_BYTES else ""
            shown = f"({len(data)} bytes: {data[:_SHOWN_BYTES].hex(' ')}{more})".encode()
        self._talk.write(shown + b"\n")
        self._came += 1
        if self._came == self._what.count:
            session.close_with(1000)
        elif self._silence is not None:
            self._arm(session)

    def _take(self, data: bytes) -> None:
        session = self._session
        if session is None or session.state is not State.OPEN:
            return
        room = True
        try:
            for line in self._lines.feed(data):
                room = session.send(line.removesuffix(b"\r").decode()) and room
        except UnicodeDecodeError as error:
            self._talk.fail(Failure(f"a line of standard input is no UTF-8: {error.reason}"))
            return
        except ValueError as error:
            self._talk.fail(Failure(f"standard input has {error}"))
            return
        if not data and self._what.count is None:
            self._arm(session)
        elif room:
            self._input.go_on()

    def _arm(self, session: ClientConnection) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._talk.manager.call_later(self._what.wait, session.close_with, 1000)

    def _waits_for(self) -> str:
        return f"waiting for messages, {self._came} came" if self._session is not None else ""

    def _tell(self, line: str) -> None:
        if self._talk.verbose:
            remark(line)

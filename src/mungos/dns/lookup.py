"""A stub resolver: the addresses of one host, as a state machine without sockets, clock or random source.

    lookup = Lookup("www.example.com", config=config, hosts=hosts, random=os.urandom, now=now, within=5.0)

Pull `next_event` after the constructor and after every call until it returns None, and do what it says; call
`expire` at `deadline`. The end is one `Resolved` or `Failed`, after every exchange was closed; after `cancel`
there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from mungos.addresses import address_text, literal, normalised, order_for_connecting
from mungos.dns.config import ResolverConfig, ServerAddress
from mungos.dns.events import (
    CloseExchange,
    Event,
    Failed,
    NameNotFound,
    OpenStream,
    Resolved,
    SendDatagram,
    ServerFailed,
)
from mungos.dns.hosts import Hosts
from mungos.dns.matching import addresses_in, answers_question, make_query
from mungos.dns.messages import HEADER_OCTETS, Question, Rcode, RecordType, decode, decode_head
from mungos.dns.names import check_host, name_to_text
from mungos.dns.search import candidates
from mungos.errors import Malformed, Misuse, PeerMisbehaved, TimedOut
from mungos.protocol import Buffer

__all__ = ["MAX_BAD_ANSWERS", "Family", "Lookup"]

Family = Literal["A", "AAAA"]

MAX_BAD_ANSWERS = 16
"""Datagrams that don't answer the question, after which an exchange goes over to TCP."""

_LOOPBACK = ("127.0.0.1", "::1")
_WITHOUT_EDNS = frozenset({Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS})
_TIMED_OUT = "no answer in time"


class _Outcome(Enum):
    """How one question of a candidate name ended."""

    ADDRESSES = "addresses"
    NO_DATA = "the name has no such address"
    NO_NAME = "no such name"
    FAILED = "every try failed"


@dataclass(slots=True, eq=False)
class _Query:
    """One question, asked of the servers in turn until its outcome is known."""

    question: Question
    tries: int = 0
    outcome: _Outcome | None = None
    addresses: tuple[str, ...] = ()
    reasons: dict[ServerAddress, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Exchange:
    """One query sent to one server, over one socket."""

    id: int
    query: _Query
    server: ServerAddress
    message_id: int
    stream: bool
    edns: bool
    deadline: float
    begin: SendDatagram | OpenStream
    bad_answers: int = 0
    received: bytearray = field(default_factory=bytearray)


class Lookup:
    """Looks up the addresses of one host.

    Literals are answered at once, then `localhost` and what ends in it (RFC 6761 section 6.3), then the table
    of hosts; `invalid` (RFC 6761 section 6.4) and `onion` (RFC 7686 section 2) are never asked for. Any other
    name goes to the servers, A and AAAA at the same time, with the search list around it; the first candidate
    with an address wins, and a server's failure ends the search, since only a clear no leads on to another
    name.

    Args:
        host: a name or an IP address literal without brackets.
        config: servers, search list, patience.
        hosts: the table that goes before the servers.
        families: which records to ask for.
        random: gives that many random octets, for message ids.
        now: the present, in seconds on the caller's clock.
        within: seconds for everything together, never extended.

    Attributes:
        ignored: messages that were passed over because they did not answer the question asked.
        exchanges_begun: how many sockets were asked for.

    Raises:
        Misuse: when `host` is no host, `families` are empty or unknown, or `within` is not positive.
    """

    __slots__ = (
        "_addresses_wait",
        "_candidates",
        "_config",
        "_done",
        "_end",
        "_events",
        "_exchanges",
        "_families",
        "_host",
        "_plain_servers",
        "_queries",
        "_random",
        "_refused",
        "_servers",
        "_within",
        "exchanges_begun",
        "ignored",
    )

    def __init__(
        self,
        host: str,
        *,
        config: ResolverConfig,
        hosts: Hosts,
        families: Sequence[Family] = ("A", "AAAA"),
        random: Callable[[int], bytes],
        now: float,
        within: float,
    ) -> None:
        if not families or len(set(families)) != len(families) or not {"A", "AAAA"}.issuperset(families):
            raise Misuse(f"families are {tuple(families)!r}: write ('A',), ('AAAA',) or ('A', 'AAAA')")
        if not 0 < within < float("inf"):
            raise Misuse(f"within is {within!r}: write a number of seconds, more than 0")
        self.ignored = 0
        self.exchanges_begun = 0
        self._host = host
        self._config = config
        self._families = tuple(families)
        self._random = random
        self._within = within
        self._end = now + within
        self._addresses_wait: float | None = None
        self._done = False
        self._events: deque[Event] = deque()
        self._exchanges: dict[int, _Exchange] = {}
        self._queries: tuple[_Query, ...] = ()
        self._refused: list[tuple[str, _Outcome]] = []
        self._plain_servers: set[ServerAddress] = set()
        self._servers = tuple(config.servers)
        self._candidates: deque[tuple[bytes, ...]] = deque()
        if self._answered_without_servers(hosts):
            return
        if config.rotate and len(config.servers) > 1:
            first = int.from_bytes(random(2), "big") % len(config.servers)
            self._servers = (*config.servers[first:], *config.servers[:first])
        self._candidates.extend(candidates(check_host(host), config))
        self._ask_next_candidate(now)

    @property
    def finished(self) -> bool:
        """True once nothing more will be asked for: what is left are events to pull."""
        return self._done

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called; None when the lookup is finished."""
        if self._done:
            return None
        earliest = min([exchange.deadline for exchange in self._exchanges.values()], default=self._end)
        if self._addresses_wait is not None:
            earliest = min(earliest, self._addresses_wait)
        return min(earliest, self._end)

    def next_event(self) -> Event | None:
        """The next thing to do, or None when there is nothing until a message or the deadline comes."""
        return self._events.popleft() if self._events else None

    def receive_datagram(self, exchange_id: int, data: Buffer, now: float) -> None:
        """A datagram came for an exchange; one for an exchange that is closed is passed over."""
        exchange = self._live(exchange_id, now, stream=False)
        if exchange is not None:
            self._answer(exchange, bytes(data), now)

    def receive_stream(self, exchange_id: int, data: Buffer, now: float) -> None:
        """Octets came on a stream, in any pieces; those for an exchange that is closed are passed over."""
        exchange = self._live(exchange_id, now, stream=True)
        if exchange is None:
            return
        received = exchange.received
        view = memoryview(data)
        # RFC 1035 section 4.2.2: two octets of length go before each message. Only one message is awaited.
        if len(received) < 2:
            missing = 2 - len(received)
            received += view[:missing]
            view = view[missing:]
            if len(received) < 2:
                return
        length = int.from_bytes(received[:2], "big")
        if length < HEADER_OCTETS:
            self._fail(exchange, f"sent a message of {length} octets, {HEADER_OCTETS} are the least", now)
            return
        received += view[: 2 + length - len(received)]
        if len(received) == 2 + length:
            self._answer(exchange, bytes(received[2:]), now)

    def exchange_failed(self, exchange_id: int, reason: str, now: float) -> None:
        """An exchange's socket failed (it could not be made, was refused, reset, or ended), for `reason`."""
        exchange = self._live(exchange_id, now, stream=None)
        if exchange is not None:
            self._fail(exchange, reason, now)

    def expire(self, now: float) -> None:
        """Act on `deadline`; nothing happens before it."""
        if self._done:
            return
        if self._addresses_wait is not None and now >= min(self._addresses_wait, self._end):
            # One family has addresses: the other's silence does not take them away.
            self._conclude(now)
            return
        if now >= self._end:
            self._finish(Failed(self._timed_out()))
            return
        for exchange in list(self._exchanges.values()):
            if exchange.id in self._exchanges and now >= exchange.deadline:
                self._fail(exchange, _TIMED_OUT, now)

    def cancel(self) -> None:
        """Give up: what is open is closed, what was not begun is not, and there is no `Resolved` or `Failed`
        any more. Legal at any time, and idempotent."""
        self._finish(None)

    def _live(self, exchange_id: int, now: float, *, stream: bool | None) -> _Exchange | None:
        exchange = self._exchanges.get(exchange_id)
        if exchange is None:
            return None
        if stream is not None and exchange.stream is not stream:
            raise Misuse(
                f"exchange {exchange_id} is a {'stream' if exchange.stream else 'datagram'} exchange"
            )
        if now >= self._end:
            # The deadline holds to the point, even when a message is handled before the clock.
            self.expire(now)
            return None
        return exchange

    def _answered_without_servers(self, hosts: Hosts) -> bool:
        address = literal(self._host)
        if address is not None:
            self._finish_with((address_text(normalised(address)),), "the literal is of the other family")
            return True
        host = check_host(self._host).removesuffix(".")
        last_label = host.rpartition(".")[2]
        if last_label == "localhost":
            self._finish_with(_LOOPBACK, "")
            return True
        known = self._of_families(hosts.addresses(host))
        if known:
            self._finish(Resolved(known))
            return True
        if last_label in ("invalid", "onion"):
            self._finish(
                Failed(NameNotFound(self._host, f"names in {last_label!r} are not in the DNS", exists=False))
            )
            return True
        return False

    def _finish_with(self, addresses: tuple[str, ...], otherwise: str) -> None:
        chosen = self._of_families(addresses)
        self._finish(Resolved(chosen) if chosen else Failed(NameNotFound(self._host, otherwise, exists=True)))

    def _of_families(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one in addresses if ("AAAA" if ":" in one else "A") in self._families)

    def _ask_next_candidate(self, now: float) -> None:
        name = self._candidates.popleft()
        self._addresses_wait = None
        self._queries = tuple(_Query(Question(name, RecordType[family])) for family in self._families)
        for query in self._queries:
            self._try_next_server(query, now)

    def _try_next_server(self, query: _Query, now: float) -> None:
        if query.tries >= self._config.attempts * len(self._servers):
            self._settle(query, _Outcome.FAILED, now)
            return
        server = self._servers[query.tries % len(self._servers)]
        query.tries += 1
        self._begin(query, server, now, stream=self._config.use_stream)

    def _begin(self, query: _Query, server: ServerAddress, now: float, *, stream: bool) -> None:
        message_id = int.from_bytes(self._random(2), "big")
        edns = server not in self._plain_servers
        payload = make_query(query.question, message_id, self._config.payload_size if edns else None)
        self.exchanges_begun += 1
        number = self.exchanges_begun
        begin: SendDatagram | OpenStream
        if stream:
            begin = OpenStream(number, server, len(payload).to_bytes(2, "big") + payload)
        else:
            begin = SendDatagram(number, server, payload)
        # A silent server must leave time for those that come after it in this round.
        left_in_round = len(self._servers) - (query.tries - 1) % len(self._servers)
        share = self._end if left_in_round == 1 else now + (self._end - now) / left_in_round
        deadline = min(now + self._config.timeout, share)
        self._exchanges[number] = _Exchange(number, query, server, message_id, stream, edns, deadline, begin)
        self._events.append(begin)

    def _answer(self, exchange: _Exchange, data: bytes, now: float) -> None:
        query = exchange.query
        try:
            head = decode_head(data)
        except Malformed:
            self._ignore(exchange, now)
            return
        if not answers_question(head, query.question, exchange.message_id):
            self._ignore(exchange, now)
            return
        if head.header.truncated:
            # RFC 7766 section 5: the answer is asked for again over TCP; what is cut is not used.
            if exchange.stream:
                self._fail(exchange, "sent a truncated answer over TCP", now)
            else:
                self._close(exchange)
                self._begin(query, exchange.server, now, stream=True)
            return
        try:
            answer = decode(data)
            rcode = answer.header.rcode
            addresses = addresses_in(answer, query.question) if rcode == Rcode.NOERROR else ()
        except (Malformed, PeerMisbehaved) as error:
            self._fail(exchange, f"sent a bad answer: {error}", now)
            return
        if rcode == Rcode.NOERROR:
            self._close(exchange)
            query.addresses = addresses
            self._settle(query, _Outcome.ADDRESSES if addresses else _Outcome.NO_DATA, now)
        elif rcode == Rcode.NXDOMAIN:
            self._close(exchange)
            self._settle(query, _Outcome.NO_NAME, now)
        elif exchange.edns and rcode in _WITHOUT_EDNS:
            # RFC 6891 section 7: a server that does not know EDNS says FORMERR; older ones say NOTIMP.
            self._plain_servers.add(exchange.server)
            self._close(exchange)
            self._begin(query, exchange.server, now, stream=exchange.stream)
        else:
            name = Rcode(rcode).name if rcode in _RCODES else f"response code {rcode}"
            self._fail(exchange, f"answered {name}", now)

    def _ignore(self, exchange: _Exchange, now: float) -> None:
        self.ignored += 1
        exchange.bad_answers += 1
        if exchange.stream:
            self._fail(exchange, "sent over TCP what is no answer to the question", now)
        elif exchange.bad_answers >= MAX_BAD_ANSWERS:
            # RFC 5452 section 9.3: under a flood of forged answers, TCP is the way out.
            self._close(exchange)
            self._begin(exchange.query, exchange.server, now, stream=True)

    def _fail(self, exchange: _Exchange, reason: str, now: float) -> None:
        self._close(exchange)
        exchange.query.reasons[exchange.server] = reason
        self._try_next_server(exchange.query, now)

    def _settle(self, query: _Query, outcome: _Outcome, now: float) -> None:
        query.outcome = outcome
        if all(one.outcome is not None for one in self._queries):
            self._conclude(now)
        elif outcome is _Outcome.ADDRESSES:
            # RFC 8305 section 3: the second family gets a short while, not its whole time.
            self._addresses_wait = now + self._config.grace

    def _conclude(self, now: float) -> None:
        addresses = [text for query in self._queries for text in query.addresses]
        outcomes = {query.outcome for query in self._queries}
        if addresses:
            self._finish(Resolved(order_for_connecting(addresses)))
        elif _Outcome.FAILED in outcomes:
            self._finish(Failed(self._server_error()))
        else:
            said = _Outcome.NO_DATA if _Outcome.NO_DATA in outcomes else _Outcome.NO_NAME
            self._refused.append((name_to_text(self._queries[0].question.name), said))
            if self._candidates:
                self._ask_next_candidate(now)
            else:
                told = "; ".join(f"{name}: {said.value}" for name, said in self._refused)
                exists = any(said is _Outcome.NO_DATA for _, said in self._refused)
                self._finish(Failed(NameNotFound(self._host, told, exists=exists)))

    def _server_error(self) -> ServerFailed | TimedOut:
        reasons: dict[ServerAddress, str] = {}
        for query in self._queries:
            for server, reason in query.reasons.items():
                if reasons.get(server, _TIMED_OUT) == _TIMED_OUT:
                    reasons[server] = reason
        if any(reason != _TIMED_OUT for reason in reasons.values()):
            return ServerFailed(self._host, reasons)
        return self._timed_out()

    def _timed_out(self) -> TimedOut:
        tries = sum(query.tries for query in self._queries)
        asked = ", ".join(server.host for server in self._servers)
        return TimedOut(
            "resolving",
            f"timed out while resolving {self._host!r} (limit {self._within:g} s):"
            f" no usable answer from {asked} in {tries} tries",
            limit=self._within,
        )

    def _close(self, exchange: _Exchange) -> None:
        del self._exchanges[exchange.id]
        if exchange.begin in self._events:
            self._events.remove(exchange.begin)
        else:
            self._events.append(CloseExchange(exchange.id))

    def _finish(self, end: Resolved | Failed | None) -> None:
        for exchange in list(self._exchanges.values()):
            self._close(exchange)
        self._done = True
        self._candidates.clear()
        if end is not None:
            self._events.append(end)
        else:
            self._events = deque(event for event in self._events if isinstance(event, CloseExchange))


_RCODES = frozenset(Rcode)

"""A stub resolver: the addresses of one host, as a state machine without sockets, clock or random source.

    lookup = Lookup("www.example.com", config=config, hosts=hosts, random=os.urandom, now=now, within=5.0)

Pull `next_event` after the constructor and after every call until it returns None, and do what it says; call
`expire` at `deadline`. `Found` may come in between, once. The end is one `Resolved` or `Failed`, after every
exchange was closed; after `cancel` there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from mungos.addresses import address_text, literal, normalised, order_for_connecting
from mungos.checking import seconds, wrong
from mungos.dns.cache import Cache, Level
from mungos.dns.config import ResolverConfig, ServerAddress
from mungos.dns.events import (
    CloseExchange,
    Event,
    Failed,
    Found,
    NameNotFound,
    OpenStream,
    Resolved,
    SendDatagram,
    ServerFailed,
)
from mungos.dns.exchange import Exchange, Outcome, Query, outcome_of
from mungos.dns.hosts import Hosts
from mungos.dns.matching import answered, answers_question, make_query
from mungos.dns.messages import HEADER_OCTETS, Question, Rcode, RecordType, decode, decode_head
from mungos.dns.names import check_host, name_to_text
from mungos.dns.search import candidates
from mungos.errors import Malformed, Misuse, PeerMisbehaved, TimedOut
from mungos.protocol import Buffer

__all__ = ["CANDIDATE_SECONDS", "MAX_BAD_ANSWERS", "Family", "Lookup"]

Family = Literal["A", "AAAA"]

MAX_BAD_ANSWERS = 16
"""Datagrams that don't answer the question, after which an exchange goes over to TCP."""

CANDIDATE_SECONDS = 1.0
"""Seconds that silence about one name leaves to each that comes after it in the search list; to all of them,
half of what is left of the lookup at most."""

_LOOPBACK = ("127.0.0.1", "::1")
_WITHOUT_EDNS = frozenset({Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS})
_ANSWERS = frozenset({Rcode.NOERROR, Rcode.NXDOMAIN})
_TIMED_OUT = "no answer in time"


class Lookup:
    """Looks up the addresses of one host.

    Literals are answered at once, then `localhost` and what ends in it (RFC 6761 section 6.3), then the table
    of hosts; `invalid` (RFC 6761 section 6.4) and `onion` (RFC 7686 section 2) are never asked for. Any other
    name goes to the servers, A and AAAA at the same time, with the search list around it; the first candidate
    with an address wins. A failure leads on like a no; but once there was one, a search that finds nothing
    ends as a failure. What the cache holds is not asked for.

    A server that fails when it is asked with EDNS is asked without it at its next turn, or at once when it
    says that it can't read it; one that stays silent then too is asked over TCP, within its last turn at the
    latest (RFC 6891 sections 6.2.2 and 7, RFC 7766 section 5). What it answers at is remembered, and
    that it was silent: such a server is asked after the others.

    Args:
        host: a name or an IP address literal without brackets.
        config: servers, search list, patience.
        hosts: the table that goes before the servers.
        families: which records to ask for.
        cache: what earlier lookups have learned, and where this one puts what it learns; None for nothing.
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
        "_cache",
        "_candidates",
        "_config",
        "_done",
        "_end",
        "_events",
        "_exchanges",
        "_failures",
        "_families",
        "_heard",
        "_host",
        "_in_order",
        "_leave_at",
        "_levels",
        "_queries",
        "_random",
        "_refused",
        "_servers",
        "_tell_at",
        "_tries",
        "_until",
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
        cache: Cache | None = None,
        random: Callable[[int], bytes],
        now: float,
        within: float,
    ) -> None:
        if isinstance(families, str):
            raise wrong("families", families, "('A',), ('AAAA',) or ('A', 'AAAA')")
        seconds("within", within)
        if not families or len(set(families)) != len(families) or not {"A", "AAAA"}.issuperset(families):
            raise Misuse(f"families are {tuple(families)!r}: write ('A',), ('AAAA',) or ('A', 'AAAA')")
        self.ignored = 0
        self.exchanges_begun = 0
        self._host = host
        self._config = config
        self._families = tuple(families)
        self._random = random
        self._within = within
        self._end = now + within
        self._addresses_wait: float | None = None
        self._tell_at: float | None = None
        # The present candidate's share of the time, and when it is left since one family has no such name.
        self._until = self._end
        self._leave_at: float | None = None
        self._tries = 0
        self._done = False
        self._events: deque[Event] = deque()
        self._exchanges: dict[int, Exchange] = {}
        self._queries: tuple[Query, ...] = ()
        self._refused: list[tuple[str, Outcome]] = []
        self._failures: dict[ServerAddress, str] = {}
        self._cache = cache if cache is not None else Cache(config)
        self._levels: dict[ServerAddress, Level] = {}
        self._in_order = self._servers = tuple(config.servers)
        self._heard: set[ServerAddress] = set()
        self._candidates: deque[tuple[bytes, ...]] = deque()
        if self._answered_without_servers(hosts):
            return
        if config.rotate and len(config.servers) > 1:
            first = int.from_bytes(random(2), "big") % len(config.servers)
            self._in_order = (*config.servers[first:], *config.servers[:first])
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
        for instant in (self._addresses_wait, self._tell_at, self._leave_at):
            if instant is not None:
                earliest = min(earliest, instant)
        return min(earliest, self._end)

    def next_event(self) -> Event | None:
        """The next thing to do, or None when there is nothing until a message or the deadline comes."""
        while self._events:
            event = self._events.popleft()
            if isinstance(event, SendDatagram | OpenStream):
                exchange = self._exchanges.get(event.exchange_id)
                if exchange is None:
                    continue  # over before it was begun
                exchange.begun = True
            return event
        return None

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
            if exchange.level is Level.STREAM:
                self._descend(exchange)
                if exchange.after_silence and now < exchange.turn_ends:
                    # Nor is it there over TCP: what is left of its turn goes to a datagram again.
                    self._close(exchange)
                    query, server, turn_ends = exchange.query, exchange.server, exchange.turn_ends
                    self._begin(query, server, Level.PLAIN, now, stream=False, turn_ends=turn_ends)
                    return
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
        if self._tell_at is not None and now >= self._tell_at:
            self._tell()
        if self._leave_at is not None and now >= self._leave_at:
            self._leave(now)
            return
        for exchange in list(self._exchanges.values()):
            if exchange.id in self._exchanges and now >= exchange.deadline:
                self._silent(exchange, now)

    def cancel(self) -> None:
        """Give up: what is open is closed, what was not begun is not, and there is no `Resolved` or `Failed`
        any more. Legal at any time, and idempotent."""
        self._finish(None)

    def _live(self, exchange_id: int, now: float, *, stream: bool | None) -> Exchange | None:
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
        self._leave_at = None
        self._servers = tuple(sorted(self._in_order, key=lambda one: self._cache.is_silent(one, now)))
        self._until = self._end - min((self._end - now) / 2, CANDIDATE_SECONDS * len(self._candidates))
        self._queries = tuple(Query(Question(name, RecordType[family])) for family in self._families)
        for query in self._queries:
            known = self._cache.find(query.question, now)
            if known is not None:
                query.addresses = known.addresses
                query.outcome = outcome_of(known.addresses, exists=known.exists)
        for query in self._queries:
            if query.outcome is None:
                self._try_next_server(query, now)
        if not self._done:
            self._review(now)

    def _try_next_server(self, query: Query, now: float) -> None:
        if query.tries >= self._config.attempts * len(self._servers) or now >= self._until:
            query.outcome = Outcome.FAILED
            return
        server = self._servers[query.tries % len(self._servers)]
        query.tries += 1
        self._tries += 1
        level = self._levels.get(server)
        if level is None:
            level = self._levels[server] = self._cache.level(server, now)
        self._begin(query, server, level, now, stream=self._config.use_stream or level is Level.STREAM)

    def _begin(
        self,
        query: Query,
        server: ServerAddress,
        level: Level,
        now: float,
        *,
        stream: bool,
        turn_ends: float | None = None,
    ) -> None:
        message_id = int.from_bytes(self._random(2), "big")
        payload_size = self._config.payload_size if level is Level.EDNS else None
        payload = make_query(query.question, message_id, payload_size)
        self.exchanges_begun += 1
        number = self.exchanges_begun
        if stream:
            self._events.append(OpenStream(number, server, len(payload).to_bytes(2, "big") + payload))
        else:
            self._events.append(SendDatagram(number, server, payload))
        # A silent server must leave time for all tries that come after: a datagram may just have been lost,
        # and some drop what they can't read.
        left = self._config.attempts * len(self._servers) - query.tries + 1
        share = self._until if left == 1 else now + (self._until - now) / left
        whole = turn_ends is None
        turn_ends = min(now + self._config.timeout, share) if turn_ends is None else turn_ends
        deadline = turn_ends
        if whole and not stream and left <= len(self._servers) and query.reasons.get(server) == _TIMED_OUT:
            # Its last turn, and it has been silent before: the second half of it is TCP's.
            deadline = (now + turn_ends) / 2
        self._exchanges[number] = Exchange(
            number, query, server, message_id, stream, level, deadline, turn_ends
        )

    def _answer(self, exchange: Exchange, data: bytes, now: float) -> None:
        query = exchange.query
        try:
            # A header alone has no question, whatever it counts.
            head = decode_head(data if len(data) > HEADER_OCTETS else data[:4] + bytes(len(data[4:])))
        except Malformed:
            self._ignore(exchange, now)
            return
        if not answers_question(head, query.question, exchange.message_id):
            self._ignore(exchange, now)
            return
        self._heard.add(exchange.server)
        self._cache.has_spoken(exchange.server)
        if not head.questions:
            # A bare header: its failure counts, and nothing else of it.
            self._refused_by(exchange, head.header.rcode, now)
            return
        answer, rcode, bad = None, head.header.rcode, ""
        try:
            answer = decode(data)
            rcode = answer.header.rcode
        except Malformed as error:
            bad = str(error)
        if rcode not in _ANSWERS:
            # Cut or mangled as it may be: some repeat the query up to what they could not read.
            self._refused_by(exchange, rcode, now)
            return
        if head.header.truncated:
            # RFC 7766 section 5: the answer is asked for again over TCP; what is cut is not used.
            if exchange.stream:
                self._fail(exchange, "sent a truncated answer over TCP", now)
            else:
                self._close(exchange)
                self._begin(query, exchange.server, exchange.level, now, stream=True)
            return
        said = None
        if answer is not None:
            try:
                said = answered(answer, query.question)
            except PeerMisbehaved as error:
                bad = str(error)
        if said is None:
            self._descend(exchange)
            self._fail(exchange, f"sent a bad answer: {bad}", now)
            return
        if said.referral:
            self._fail(exchange, "does not look names up for others", now)
            return
        self._close(exchange)
        self._cache.learn(exchange.server, exchange.level, now)
        exists = rcode == Rcode.NOERROR
        self._cache.keep(query.question, said.addresses, exists=exists, ttl=said.ttl, now=now)
        query.addresses = said.addresses
        query.outcome = outcome_of(said.addresses, exists=exists)
        self._review(now)

    def _refused_by(self, exchange: Exchange, rcode: int, now: float) -> None:
        """A server answered with a failure."""
        if exchange.level is Level.EDNS and rcode in _WITHOUT_EDNS:
            # RFC 6891 section 7: a server that does not know EDNS says FORMERR; older ones say NOTIMP.
            self._descend(exchange)
            self._close(exchange)
            self._begin(exchange.query, exchange.server, Level.PLAIN, now, stream=exchange.stream)
            return
        if exchange.level is Level.EDNS:
            # Some say SERVFAIL or REFUSED to what they can't read.
            self._descend(exchange)
        name = Rcode(rcode).name if rcode in _RCODES else f"response code {rcode}"
        self._fail(exchange, f"answered {name}", now)

    def _descend(self, exchange: Exchange) -> None:
        """A server failed at the level of this exchange: its next turn is at another."""
        below = Level.EDNS if exchange.level is Level.STREAM else Level(exchange.level + 1)
        self._levels[exchange.server] = below

    def _ignore(self, exchange: Exchange, now: float) -> None:
        self.ignored += 1
        exchange.bad_answers += 1
        if exchange.stream:
            self._fail(exchange, "sent over TCP what is no answer to the question", now)
        elif exchange.bad_answers >= MAX_BAD_ANSWERS:
            # RFC 5452 section 9.3: under a flood of forged answers, TCP is the way out.
            self._close(exchange)
            self._begin(exchange.query, exchange.server, exchange.level, now, stream=True)

    def _fail(self, exchange: Exchange, reason: str, now: float) -> None:
        self._close(exchange)
        exchange.query.reasons[exchange.server] = reason
        self._try_next_server(exchange.query, now)
        if exchange.query.outcome is not None:
            self._review(now)

    def _review(self, now: float) -> None:
        """A question is settled: is that all, or enough to begin with?"""
        if all(one.outcome is not None for one in self._queries):
            self._conclude(now)
            return
        found = [query.question.type for query in self._queries if query.addresses]
        if found and self._addresses_wait is None:
            # RFC 8305 section 3: IPv6 addresses are used at once, IPv4 ones wait a moment for them.
            self._addresses_wait = now + self._config.grace
            self._tell_at = now + self._config.resolution_delay
            if RecordType.AAAA in found:
                self._tell()
        elif self._candidates and self._leave_at is None:
            # RFC 8020 section 2: where there is no such name, it has nothing of any type. Some say so of the
            # one type that they don't know (RFC 4074 section 4.2), so the other family gets its moment.
            if any(query.outcome is Outcome.NO_NAME for query in self._queries):
                self._leave_at = now + self._config.grace

    def _silent(self, exchange: Exchange, now: float) -> None:
        if exchange.server not in self._heard:
            self._cache.was_silent(exchange.server, now)
        self._descend(exchange)
        if now < exchange.turn_ends:
            self._close(exchange)
            query, server, turn_ends = exchange.query, exchange.server, exchange.turn_ends
            self._begin(query, server, Level.STREAM, now, stream=True, turn_ends=turn_ends)
            self._exchanges[self.exchanges_begun].after_silence = True
        else:
            self._fail(exchange, _TIMED_OUT, now)

    def _leave(self, now: float) -> None:
        """On to the next candidate, with questions unanswered."""
        for exchange in list(self._exchanges.values()):
            self._close(exchange)
            exchange.query.reasons[exchange.server] = _TIMED_OUT
            exchange.query.outcome = Outcome.FAILED
        self._conclude(now)

    def _tell(self) -> None:
        self._tell_at = None
        self._events.append(Found(self._addresses()))

    def _addresses(self) -> tuple[str, ...]:
        return order_for_connecting(text for query in self._queries for text in query.addresses)

    def _conclude(self, now: float) -> None:
        addresses = self._addresses()
        if addresses:
            self._finish(Resolved(addresses))
            return
        outcomes = {query.outcome for query in self._queries}
        # A failure is no answer, whatever the other family has said.
        said = next(one for one in (Outcome.FAILED, Outcome.NO_DATA, Outcome.NO_NAME) if one in outcomes)
        self._refused.append((name_to_text(self._queries[0].question.name), said))
        if said is Outcome.FAILED:
            for query in self._queries:
                for server, reason in query.reasons.items():
                    if self._failures.get(server, _TIMED_OUT) == _TIMED_OUT:
                        self._failures[server] = reason
        if self._candidates:
            self._ask_next_candidate(now)
        elif self._failures:
            self._finish(Failed(self._server_error()))
        else:
            told = "; ".join(f"{name}: {said.value}" for name, said in self._refused)
            exists = any(said is Outcome.NO_DATA for _, said in self._refused)
            self._finish(Failed(NameNotFound(self._host, told, exists=exists)))

    def _server_error(self) -> ServerFailed | TimedOut:
        if any(reason != _TIMED_OUT for reason in self._failures.values()):
            return ServerFailed(self._host, self._failures)
        return self._timed_out()

    def _timed_out(self) -> TimedOut:
        asked = ", ".join(server.host for server in self._servers)
        return TimedOut(
            "resolving",
            f"timed out while resolving {self._host!r} (limit {self._within:g} s):"
            f" no usable answer from {asked} in {self._tries} tries",
            limit=self._within,
        )

    def _close(self, exchange: Exchange) -> None:
        del self._exchanges[exchange.id]
        if exchange.begun:
            self._events.append(CloseExchange(exchange.id))

    def _finish(self, end: Resolved | Failed | None) -> None:
        for exchange in list(self._exchanges.values()):
            self._close(exchange)
        self._done = True
        self._tell_at = None
        self._candidates.clear()
        if end is not None:
            self._events.append(end)
        else:
            self._events = deque(event for event in self._events if isinstance(event, CloseExchange))


_RCODES = frozenset(Rcode)

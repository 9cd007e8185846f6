"""Whether a message answers a question, and what it says to it."""

from __future__ import annotations

from dataclasses import dataclass

from mungos.addresses import normalised
from mungos.dns.messages import (
    CLASS_IN,
    Address,
    Edns,
    Header,
    Message,
    Question,
    Rcode,
    Record,
    RecordType,
    StartOfAuthority,
    Target,
    encode,
)
from mungos.dns.names import Name, folded, name_to_text
from mungos.errors import PeerMisbehaved

__all__ = ["MAX_ADDRESSES", "MAX_CHAIN", "Answered", "answered", "answers_question", "make_query"]

MAX_CHAIN = 16
"""CNAME records that are followed inside one answer."""

MAX_ADDRESSES = 64
"""Addresses that are kept of one answer; more are passed over."""

_NO_FAILURES = frozenset({Rcode.NOERROR, Rcode.NXDOMAIN})
_LONGEST = 0x7FFF_FFFF


def make_query(question: Question, message_id: int, payload_size: int | None) -> bytes:
    """Encode a query that asks for recursion; with `payload_size` in octets it speaks EDNS (RFC 6891)."""
    edns = Edns(payload_size) if payload_size is not None else None
    return encode(Message(Header(message_id), (question,), edns=edns))


def answers_question(head: Message, question: Question, message_id: int) -> bool:
    """Whether a message is the response to this very query (RFC 5452 section 9.1): its id, QR, opcode and
    question.

    A failure may come without the question, as a bare header, from a server that could not read or did not
    care to repeat it; what does so without being a failure is not believed.
    """
    header = head.header
    if header.id != message_id or not header.response or header.opcode != 0:
        return False
    if not head.questions:
        return header.rcode not in _NO_FAILURES
    given = head.questions[0]
    return (
        given.type == question.type
        and given.record_class == question.record_class
        and folded(given.name) == folded(question.name)
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """What a server says to a question.

    Attributes:
        addresses: canonical literals, without repetition, at most `MAX_ADDRESSES`; none when it has none.
        ttl: seconds for which this may be kept: the least TTL on the way to it; for a negative answer, that
            of its SOA record too (RFC 2308 section 5), and 0 without one.
        referral: it names other servers, or another name, instead of answering, and did not ask there.
    """

    addresses: tuple[str, ...]
    ttl: int
    referral: bool


def answered(answer: Message, question: Question) -> Answered:
    """What a message without failure (NOERROR or NXDOMAIN) says to a question, through its CNAME records;
    records of other names are passed over.

    Raises:
        PeerMisbehaved: when the CNAME records go in a circle, or are over `MAX_CHAIN`.
    """
    aliases: dict[Name, Record] = {}
    owned: dict[Name, list[Record]] = {}
    for record in answer.answers:
        if record.record_class != CLASS_IN:
            continue
        if record.type == RecordType.CNAME:
            aliases.setdefault(folded(record.name), record)
        elif record.type == question.type:
            owned.setdefault(folded(record.name), []).append(record)
    name = folded(question.name)
    passed = {name}
    ttl = _LONGEST
    while name in aliases:
        alias = aliases[name]
        ttl = min(ttl, alias.ttl)
        name = folded(alias.data.name) if isinstance(alias.data, Target) else ()
        if name in passed or len(passed) > MAX_CHAIN:
            raise PeerMisbehaved(
                f"aliases of {name_to_text(question.name)!r} go in a circle or are over {MAX_CHAIN}"
            )
        passed.add(name)
    texts: dict[str, None] = {}
    if answer.header.rcode == Rcode.NOERROR:
        for record in owned.get(name, ())[:MAX_ADDRESSES]:
            if isinstance(record.data, Address):
                texts[str(normalised(record.data.address))] = None
                ttl = min(ttl, record.ttl)
    if texts:
        return Answered(tuple(texts), ttl, False)
    return _negative(answer, name, ttl, len(passed) > 1)


def _negative(answer: Message, name: Name, ttl: int, aliased: bool) -> Answered:
    header = answer.header
    zone = delegated = None
    for record in answer.authorities:
        if record.record_class == CLASS_IN and name[len(name) - len(record.name) :] == folded(record.name):
            if isinstance(record.data, StartOfAuthority) and zone is None:
                zone = record
                ttl = min(ttl, record.ttl, record.data.minimum)
            elif record.type == RecordType.NS:
                delegated = record
    referral = False
    if header.rcode == Rcode.NOERROR and zone is None:
        # RFC 2308 section 2.2: who neither recurses nor is authoritative, or names servers without a SOA
        # record, has sent us elsewhere. So has who gives an alias of another's and does not follow it.
        knows = header.authoritative and not aliased
        referral = not knows and (not header.recursion_available or delegated is not None)
    return Answered((), ttl if zone is not None else 0, referral)

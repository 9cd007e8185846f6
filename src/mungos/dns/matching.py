"""Whether a message answers a question, and which addresses it gives for it."""

from __future__ import annotations

from mungos.addresses import address_text, normalised
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
    Target,
    encode,
)
from mungos.dns.names import Name, folded, name_to_text
from mungos.errors import PeerMisbehaved

__all__ = ["MAX_ADDRESSES", "MAX_CHAIN", "addresses_in", "answers_question", "make_query"]

MAX_CHAIN = 16
"""CNAME records that are followed inside one answer."""

MAX_ADDRESSES = 64
"""Addresses that are kept of one answer; more are passed over."""


def make_query(question: Question, message_id: int, payload_size: int | None) -> bytes:
    """Encode a query that asks for recursion; with `payload_size` in octets it speaks EDNS (RFC 6891)."""
    edns = Edns(payload_size) if payload_size is not None else None
    return encode(Message(Header(message_id), (question,), edns=edns))


def answers_question(head: Message, question: Question, message_id: int) -> bool:
    """Whether a message is the response to this very query (RFC 5452 section 9.1): its id, QR, opcode and
    question.

    A FORMERR may come without the question, from a server that could not read it.
    """
    header = head.header
    if header.id != message_id or not header.response or header.opcode != 0:
        return False
    if not head.questions:
        return header.rcode == Rcode.FORMERR
    given = head.questions[0]
    return (
        given.type == question.type
        and given.record_class == question.record_class
        and folded(given.name) == folded(question.name)
    )


def addresses_in(answer: Message, question: Question) -> tuple[str, ...]:
    """The addresses that an answer gives for its question, through its CNAME records; records of other names
    are passed over.

    Returns:
        Canonical literals, without repetition, at most `MAX_ADDRESSES`; none when the answer has none.

    Raises:
        PeerMisbehaved: when the CNAME records go in a circle, or are over `MAX_CHAIN`.
    """
    aliases: dict[Name, Name] = {}
    owned: dict[Name, list[Record]] = {}
    for record in answer.answers:
        if record.record_class != CLASS_IN:
            continue
        if record.type == RecordType.CNAME and isinstance(record.data, Target):
            aliases.setdefault(folded(record.name), folded(record.data.name))
        elif record.type == question.type:
            owned.setdefault(folded(record.name), []).append(record)
    name = folded(question.name)
    passed = {name}
    while name in aliases:
        name = aliases[name]
        if name in passed or len(passed) > MAX_CHAIN:
            raise PeerMisbehaved(
                f"aliases of {name_to_text(question.name)!r} go in a circle or are over {MAX_CHAIN}"
            )
        passed.add(name)
    texts: dict[str, None] = {}
    for record in owned.get(name, ()):
        if isinstance(record.data, Address) and len(texts) < MAX_ADDRESSES:
            texts[address_text(normalised(record.data.address))] = None
    return tuple(texts)

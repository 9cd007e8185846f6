"""The answering side: a response for a question, and a small zone that gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

from mungos.addresses import parse_literal
from mungos.checking import count, instance, shown, wrong
from mungos.dns.messages import (
    CLASS_IN,
    HEADER_OCTETS,
    MAX_DATAGRAM_WITHOUT_EDNS,
    MAX_MESSAGE_OCTETS,
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
    decode,
    encode,
)
from mungos.dns.names import Name, folded, name_from_text
from mungos.errors import Malformed

__all__ = ["MAX_ALIASES", "Zone", "address_record", "alias_record", "respond"]

MAX_ALIASES = 16
"""CNAME records that are followed for one answer."""

_OUR_PAYLOAD_SIZE = 1232


def address_record(owner: str | Name, address: str, ttl: int = 60) -> Record:
    """An A or AAAA record, by the address's family. `ttl` is in seconds. Raises Misuse for what is no
    literal."""
    value = parse_literal(address)
    kind = RecordType.A if isinstance(value, IPv4Address) else RecordType.AAAA
    return Record(_name(owner), kind, Address(value), ttl)


def alias_record(owner: str | Name, target: str | Name, ttl: int = 60) -> Record:
    """A CNAME record. `ttl` is in seconds."""
    return Record(_name(owner), RecordType.CNAME, Target(_name(target)), ttl)


def respond(
    query: Message,
    answers: Iterable[Record] = (),
    *,
    rcode: int = Rcode.NOERROR,
    truncated: bool = False,
    authoritative: bool = False,
    authorities: Iterable[Record] = (),
    limit: int = MAX_MESSAGE_OCTETS,
) -> bytes:
    """Encode the response to a query.

    Args:
        query: what was asked; its id, opcode, question and wish for recursion are given back, and EDNS is
            spoken when it was (RFC 6891 section 6.1.1).
        answers: the records of the answer section.
        rcode: the response code.
        truncated: set TC whatever the size.
        authoritative: set AA.
        authorities: the records of the authority section.
        limit: octets allowed; a longer response is sent without its records, with TC set (RFC 2181 section
            9).

    Raises:
        Misuse: as `encode`.
    """
    header = Header(
        id=query.header.id,
        response=True,
        opcode=query.header.opcode,
        authoritative=authoritative,
        truncated=truncated,
        recursion_desired=query.header.recursion_desired,
        recursion_available=True,
        rcode=rcode,
    )
    edns = Edns(_OUR_PAYLOAD_SIZE) if query.edns is not None else None
    data = encode(Message(header, query.questions, tuple(answers), tuple(authorities), (), edns))
    if len(data) > limit and not truncated:
        return respond(query, rcode=rcode, truncated=True, authoritative=authoritative)
    return data


_HOSTS = 'a list of addresses, or of one alias, for each name: {"example.org": ["192.0.2.1"]}'


class Zone:
    """Names with their addresses and aliases, and the answers to queries for them.

    Args:
        hosts: for each name its address literals, or the name that it is an alias of, written with a final
            dot (`{"www.example.com": ["example.com."]}`).
        minimum: the SOA minimum given with negative answers, in seconds.

    Raises:
        Misuse: for names and addresses that can't be read.
    """

    __slots__ = ("_records", "_soa")

    def __init__(self, hosts: Mapping[str, Iterable[str]], *, minimum: int = 60) -> None:
        self._records: dict[Name, list[Record]] = {}
        instance("hosts", hosts, Mapping, write=_HOSTS)
        count("minimum", minimum)
        for owner, texts in hosts.items():
            if isinstance(texts, str):
                raise wrong(f"hosts[{shown(owner)}]", texts, _HOSTS)
            name = name_from_text(owner)
            self._records[folded(name)] = [
                alias_record(name, text) if text.endswith(".") else address_record(name, text)
                for text in texts
            ]
        names = (name_from_text("ns.invalid"), name_from_text("hostmaster.invalid"))
        self._soa = Record(
            (), RecordType.SOA, StartOfAuthority(*names, 1, 3600, 600, 86400, minimum), minimum
        )

    def answer(self, data: bytes, *, stream: bool = False) -> bytes | None:
        """The response to one message, without a length prefix.

        Args:
            data: the octets that came, hostile as they may be.
            stream: True when they came over a stream, where the response may be of any size.

        Returns:
            The response; None for what deserves none (responses, and less than a header).
        """
        # A response to a response could go back and forth for ever.
        if len(data) < HEADER_OCTETS or data[2] & 0x80:
            return None
        try:
            query = decode(data)
        except Malformed:
            header = Header(int.from_bytes(data[:2], "big"), opcode=data[2] >> 3 & 0xF)
            return respond(Message(header), rcode=Rcode.FORMERR)
        limit = MAX_MESSAGE_OCTETS
        if not stream:
            wanted = query.edns.payload_size if query.edns is not None else 0
            # RFC 6891 section 6.2.3: values under 512 count as 512.
            limit = max(MAX_DATAGRAM_WITHOUT_EDNS, min(wanted, _OUR_PAYLOAD_SIZE))
        if query.edns is not None and query.edns.version != 0:
            return respond(query, rcode=Rcode.BADVERS, limit=limit)
        if query.header.opcode != 0:
            return respond(query, rcode=Rcode.NOTIMP, limit=limit)
        if len(query.questions) != 1:
            return respond(query, rcode=Rcode.FORMERR, limit=limit)
        question = query.questions[0]
        if question.record_class != CLASS_IN:
            return respond(query, rcode=Rcode.REFUSED, limit=limit)
        records, found = self._find(question)
        # RFC 2308 section 2: a negative answer carries the zone's SOA record.
        positive = any(record.type == question.type for record in records)
        authorities = () if positive else (self._soa,)
        rcode = Rcode.NOERROR if found else Rcode.NXDOMAIN
        return respond(query, records, rcode=rcode, authoritative=True, authorities=authorities, limit=limit)

    def _find(self, question: Question) -> tuple[list[Record], bool]:
        records: list[Record] = []
        name = question.name
        for _ in range(MAX_ALIASES):
            here = self._records.get(folded(name))
            if here is None:
                return records, False
            aliases = [one for one in here if one.type == RecordType.CNAME]
            if not aliases or question.type == RecordType.CNAME:
                return records + [one for one in here if one.type == question.type], True
            records.append(aliases[0])
            target = aliases[0].data
            if not isinstance(target, Target):
                break
            name = target.name
        return records, True


def _name(owner: str | Name) -> Name:
    return name_from_text(owner) if isinstance(owner, str) else owner

"""DNS messages: one codec for both directions (RFC 1035 section 4, RFC 3596, RFC 6891).

`decode` raises Malformed for every message that breaks the format, and nothing else; `encode` raises Misuse
for what can't be written. `decode_head` reads as much as is there when a truncated message is cut in the
middle of a record.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

from mungos.addresses import IPAddress
from mungos.dns.names import Name, NameReader, Offsets, name_to_text, write_name
from mungos.errors import Malformed, Misuse

__all__ = [
    "CLASS_IN",
    "HEADER_OCTETS",
    "MAX_DATAGRAM_WITHOUT_EDNS",
    "MAX_MESSAGE_OCTETS",
    "MAX_RECORDS",
    "Address",
    "Edns",
    "Header",
    "Message",
    "Question",
    "Rcode",
    "Record",
    "RecordData",
    "RecordType",
    "StartOfAuthority",
    "Target",
    "decode",
    "decode_head",
    "encode",
]

CLASS_IN = 1
HEADER_OCTETS = 12
MAX_MESSAGE_OCTETS = 65_535
"""Octets of a message: over TCP its length has two (RFC 1035 section 4.2.2)."""

MAX_DATAGRAM_WITHOUT_EDNS = 512
"""Octets of a message in a datagram, where nothing else is agreed (RFC 1035 section 4.2.1)."""

MAX_RECORDS = 1_024
"""Records of one message that are read; a message that announces more is refused."""

_RESPONSE = 0x8000
_AUTHORITATIVE = 0x0400
_TRUNCATED = 0x0200
_RECURSION_DESIRED = 0x0100
_RECURSION_AVAILABLE = 0x0080
_MAX_TTL = 0x7FFF_FFFF

_HEADER = struct.Struct("!HHHHHH")
_TYPE_CLASS = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_SOA_NUMBERS = struct.Struct("!IIIII")


class RecordType(IntEnum):
    """The types of records that this codec knows; others are carried as their octets."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    AAAA = 28
    OPT = 41


class Rcode(IntEnum):
    """Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9); others are carried as numbers."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


_NAME_TYPES = frozenset({RecordType.NS, RecordType.CNAME, RecordType.PTR})


@dataclass(frozen=True, slots=True)
class Header:
    """The first twelve octets, without the counts; the reserved bits and AD, CD are not kept.

    Attributes:
        id: 16 bits that join an answer to its question.
        response: False in a query, True in an answer.
        opcode: 0 for a standard query.
        rcode: 0 to 15, or up to 4095 together with `Message.edns`.
    """

    id: int
    response: bool = False
    opcode: int = 0
    authoritative: bool = False
    truncated: bool = False
    recursion_desired: bool = True
    recursion_available: bool = False
    rcode: int = Rcode.NOERROR


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a name, a type of record, and a class (nearly always `CLASS_IN`)."""

    name: Name
    type: int
    record_class: int = CLASS_IN


@dataclass(frozen=True, slots=True)
class Address:
    """The data of an A or AAAA record."""

    address: IPAddress


@dataclass(frozen=True, slots=True)
class Target:
    """The data of a CNAME, NS or PTR record."""

    name: Name


@dataclass(frozen=True, slots=True)
class StartOfAuthority:
    """The data of a SOA record; times in seconds. `minimum` bounds the life of a negative answer (RFC
    2308)."""

    primary: Name
    mailbox: Name
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


RecordData = Address | Target | StartOfAuthority | bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A resource record. `data` is bytes for the types that are not read further; `ttl` is in seconds."""

    name: Name
    type: int
    data: RecordData
    ttl: int = 0
    record_class: int = CLASS_IN


@dataclass(frozen=True, slots=True)
class Edns:
    """What the OPT pseudo-record says (RFC 6891 section 6.1.3).

    Attributes:
        payload_size: the largest datagram that the sender takes, in octets.
        version: 0.
        flags: 16 bits, DO first.
        options: the options' octets, not read further.
    """

    payload_size: int
    version: int = 0
    flags: int = 0
    options: bytes = b""


@dataclass(frozen=True, slots=True)
class Message:
    """A query or an answer. The OPT pseudo-record is not among `additionals`: it is `edns`."""

    header: Header
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    authorities: tuple[Record, ...] = ()
    additionals: tuple[Record, ...] = ()
    edns: Edns | None = None


class _Reader:
    __slots__ = ("edns", "extended_rcode", "message", "names", "position")

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.names = NameReader(message)
        self.position = HEADER_OCTETS
        self.edns: Edns | None = None
        self.extended_rcode = 0

    def fixed(self, layout: struct.Struct, what: str) -> tuple[int, ...]:
        start = self.position
        self.position = start + layout.size
        if self.position > len(self.message):
            raise Malformed(
                f"{what} at octet {start} runs past the end of the message of {len(self.message)} octets"
            )
        return layout.unpack_from(self.message, start)

    def name(self) -> Name:
        name, self.position = self.names.read(self.position)
        return name

    def question(self) -> Question:
        name = self.name()
        kind, record_class = self.fixed(_TYPE_CLASS, "question")
        return Question(name, kind, record_class)

    def records(self, count: int, *, additional: bool = False) -> tuple[Record, ...]:
        records: list[Record] = []
        read, size = self.names.read, len(self.message)
        for _ in range(count):
            name, start = read(self.position)
            self.position = start + _RECORD.size
            if self.position > size:
                raise Malformed(f"record at octet {start} runs past the end of the message of {size} octets")
            kind, record_class, ttl, length = _RECORD.unpack_from(self.message, start)
            end = self.position + length
            if end > size:
                raise Malformed(
                    f"data of {length} octets at octet {self.position} run past the end of the message of"
                    f" {size} octets"
                )
            if kind == RecordType.OPT:
                self.option_record(name, record_class, ttl, end, additional)
                continue
            data = self.data(kind, record_class, end)
            # RFC 2181 section 8: a TTL with the top bit set counts as 0.
            records.append(Record(name, kind, data, ttl if ttl <= _MAX_TTL else 0, record_class))
        return tuple(records)

    def option_record(self, name: Name, payload_size: int, ttl: int, end: int, additional: bool) -> None:
        # RFC 6891 section 6.1.1: one, in the additional section; section 6.1.2: its name is the root.
        if not additional or self.edns is not None or name:
            raise Malformed(
                f"OPT record before octet {self.position} is misplaced, repeated, or not at the root"
            )
        self.edns = Edns(payload_size, ttl >> 16 & 0xFF, ttl & 0xFFFF, self.message[self.position : end])
        self.extended_rcode = ttl >> 24
        self.position = end

    def data(self, kind: int, record_class: int, end: int) -> RecordData:
        start, length = self.position, end - self.position
        if record_class != CLASS_IN or kind not in _READ:
            self.position = end
            return self.message[start:end]
        data: RecordData
        if kind in (RecordType.A, RecordType.AAAA):
            octets = 4 if kind == RecordType.A else 16
            if length != octets:
                raise Malformed(f"address at octet {start} has {length} octets, {octets} are its length")
            packed = self.message[start:end]
            data = Address(IPv4Address(packed) if kind == RecordType.A else IPv6Address(packed))
            self.position = end
        elif kind == RecordType.SOA:
            primary, mailbox = self.name(), self.name()
            data = StartOfAuthority(primary, mailbox, *self.fixed(_SOA_NUMBERS, "SOA record"))
        else:
            data = Target(self.name())
        if self.position != end:
            raise Malformed(f"data at octet {start} end at octet {self.position}, their length says {end}")
        return data


_READ = frozenset({RecordType.A, RecordType.AAAA, RecordType.SOA}) | _NAME_TYPES


def _header(message: bytes) -> tuple[Header, tuple[int, int, int, int]]:
    size = len(message)
    if not HEADER_OCTETS <= size <= MAX_MESSAGE_OCTETS:
        raise Malformed(f"message has {size} octets: {HEADER_OCTETS} to {MAX_MESSAGE_OCTETS} are allowed")
    number, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(message)
    if questions > 1:
        # RFC 9619: a standard query has one question at most.
        raise Malformed(f"message has {questions} questions: at most 1 is allowed")
    total = answers + authorities + additionals
    if total > MAX_RECORDS:
        raise Malformed(f"message announces {total} records: at most {MAX_RECORDS} are read")
    header = Header(
        id=number,
        response=bool(flags & _RESPONSE),
        opcode=flags >> 11 & 0xF,
        authoritative=bool(flags & _AUTHORITATIVE),
        truncated=bool(flags & _TRUNCATED),
        recursion_desired=bool(flags & _RECURSION_DESIRED),
        recursion_available=bool(flags & _RECURSION_AVAILABLE),
        rcode=flags & 0xF,
    )
    return header, (questions, answers, authorities, additionals)


def decode_head(data: bytes) -> Message:
    """Read the header and the question only, for a message that may be cut after them.

    Raises:
        Malformed: when they break the format.
    """
    header, counts = _header(data)
    reader = _Reader(data)
    return Message(header, tuple(reader.question() for _ in range(counts[0])))


def decode(data: bytes) -> Message:
    """Read a whole message. Octets behind its last record are passed over: some servers pad.

    Raises:
        Malformed: when it breaks the format or ends too early.
    """
    header, (question_count, answer_count, authority_count, additional_count) = _header(data)
    reader = _Reader(data)
    questions = tuple(reader.question() for _ in range(question_count))
    answers = reader.records(answer_count)
    authorities = reader.records(authority_count)
    additionals = reader.records(additional_count, additional=True)
    if reader.extended_rcode:
        header = replace(header, rcode=reader.extended_rcode << 4 | header.rcode)
    return Message(header, questions, answers, authorities, additionals, reader.edns)


def encode(message: Message) -> bytes:
    """Write a message, names compressed.

    Raises:
        Misuse: when a value does not fit its field, data do not fit their type, or the whole is over 65,535
        octets.
    """
    header = message.header
    if header.rcode > 0xF and message.edns is None:
        raise Misuse(f"response code {header.rcode} needs EDNS: give the message an Edns")
    flags = (
        (_RESPONSE if header.response else 0)
        | (header.opcode << 11)
        | (_AUTHORITATIVE if header.authoritative else 0)
        | (_TRUNCATED if header.truncated else 0)
        | (_RECURSION_DESIRED if header.recursion_desired else 0)
        | (_RECURSION_AVAILABLE if header.recursion_available else 0)
        | (header.rcode & 0xF)
    )
    buffer = bytearray()
    offsets: Offsets = {}
    try:
        buffer += _HEADER.pack(
            header.id,
            flags,
            len(message.questions),
            len(message.answers),
            len(message.authorities),
            len(message.additionals) + (message.edns is not None),
        )
        for question in message.questions:
            write_name(buffer, question.name, offsets)
            buffer += _TYPE_CLASS.pack(question.type, question.record_class)
        for record in (*message.answers, *message.authorities, *message.additionals):
            _write_record(buffer, record, offsets)
        if message.edns is not None:
            edns = message.edns
            extended = (header.rcode >> 4) << 24 | edns.version << 16 | edns.flags
            buffer.append(0)
            buffer += _RECORD.pack(RecordType.OPT, edns.payload_size, extended, len(edns.options))
            buffer += edns.options
    except struct.error as error:
        raise Misuse(f"a field of the message is out of its range: {error}") from error
    if len(buffer) > MAX_MESSAGE_OCTETS:
        raise Misuse(f"message has {len(buffer)} octets: at most {MAX_MESSAGE_OCTETS} are allowed")
    return bytes(buffer)


def _write_record(buffer: bytearray, record: Record, offsets: Offsets) -> None:
    write_name(buffer, record.name, offsets)
    head = len(buffer)
    buffer += _RECORD.pack(record.type, record.record_class, record.ttl, 0)
    start = len(buffer)
    kind = record.type if record.record_class == CLASS_IN else None
    match record.data:
        case Address(address) if kind == (RecordType.A if address.version == 4 else RecordType.AAAA):
            buffer += address.packed
        case Target(name) if kind in _NAME_TYPES:
            write_name(buffer, name, offsets)
        case StartOfAuthority() as soa if kind == RecordType.SOA:
            write_name(buffer, soa.primary, offsets)
            write_name(buffer, soa.mailbox, offsets)
            buffer += _SOA_NUMBERS.pack(soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum)
        case bytes() as octets if kind not in _READ and record.type != RecordType.OPT:
            buffer += octets
        case _:
            raise Misuse(
                f"record {name_to_text(record.name)!r} of type {record.type} can't carry"
                f" {type(record.data).__name__}"
            )
    length = len(buffer) - start
    buffer[head:start] = _RECORD.pack(record.type, record.record_class, record.ttl, length)

"""TLS 1.3 below and above the handshake: messages, records, and what comes in an open session."""

from __future__ import annotations

from functools import cache

from fuzz.target import Target, require, told
from fuzz.tls_ends import End, Watched, configs, inject, make_client, make_server, pump
from mungos.errors import ProtocolError
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines.builtin.codec import Reader
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    EndOfEarlyData,
    KeyUpdate,
    NewSessionTicket,
    ServerHello,
)
from mungos.tls.engines.builtin.messages import extensions as bodies
from mungos.tls.engines.builtin.records import HEADER_LENGTH, check_header, split_inner

__all__ = ["TARGETS"]

MESSAGES = (
    ClientHello,
    ServerHello,
    EncryptedExtensions,
    CertificateRequest,
    Certificate,
    CertificateVerify,
    NewSessionTicket,
    KeyUpdate,
    EndOfEarlyData,
)
EXTENSIONS = (
    bodies.parse_versions,
    bodies.parse_psk_modes,
    bodies.parse_cookie,
    bodies.parse_server_name,
    bodies.parse_alpn,
    bodies.parse_key_shares,
    bodies.parse_key_share,
    bodies.parse_offered_psks,
    bodies.parse_single_alpn,
)
WORDS = (
    b"\x16\0\0\x04\x18\0\0\0", b"\x16\0\0\x04\x04\0\0\0",
    b"\0\0", b"\xff\xff", b"\0\x01\0", b"\x03\x04", b"\x13\x01", b"\0\x1d\0\x20", b"\0\x2b", b"\0\x33",
    b"\0\x29", b"\0\x2c", b"\x17\x03\x03", b"\x16\x03\x03\0\x04\x18\0\0\x01", b"\x15\x03\x03\0\x02\x01\0",
    b"\x14\x03\x03\0\x01\x01", b"\x18\0\0\x01\x01",
)  # fmt: skip


def messages(data: bytes) -> str:
    """The first byte says which; the rest is its body."""
    if not data:
        return "empty"
    which, body = data[0], data[1:]
    if which < len(MESSAGES):
        kind = MESSAGES[which]
        try:
            found = kind.parse(body)
        except ProtocolError as error:
            return told(error)
        packed = found.pack()
        require(len(packed) == 4 + int.from_bytes(packed[1:4], "big"), "the length of what was packed")
        require(kind.parse(packed[4:]) == found, "packed again, it means something else")
        return kind.__name__
    parse = EXTENSIONS[which % len(EXTENSIONS)]
    try:
        parse(body)
    except ProtocolError as error:
        return told(error)
    return parse.__name__


def message_seeds() -> list[bytes]:
    client, server = (End(make_client(Watched, configs()[0])), End(make_server(Watched, configs()[1])))
    hello = client.take()[5 + 4 :]
    parsed = ClientHello.parse(hello)
    server.give(client_record(hello))
    answer = server.take()
    server_hello = answer[9 : 5 + int.from_bytes(answer[3:5], "big")]
    found = [b"\0" + hello, b"\x01" + server_hello]
    made = (
        (2, EncryptedExtensions({16: b"\0\x02\x01b"})),
        (3, CertificateRequest(b"", {13: b"\0\x02\x08\x07"})),
        (4, Certificate(b"", [CertificateEntry(b"\x30\x00")])),
        (5, CertificateVerify(0x0807, bytes(64))),
        (6, NewSessionTicket(7200, 1, b"\0", b"ticket", {42: bytes(4)})),
        (7, KeyUpdate(True)),
    )
    found += [bytes((which,)) + message.pack()[4:] for which, message in made]
    found += [
        bytes((9 + number,)) + body
        for body in parsed.extensions.values()
        for number in range(len(EXTENSIONS))
    ]
    return found


def client_record(hello: bytes) -> bytes:
    """A ClientHello's body as a record."""
    message = b"\x01" + len(hello).to_bytes(3, "big") + hello
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def records(data: bytes) -> str:
    """A stream to a server and to a client that wait for their first message, whole and cut."""
    try:
        if len(data) >= HEADER_LENGTH:
            check_header(data[:HEADER_LENGTH])
        split_inner(data)
        Reader(data, "bytes").vector(2, "vector")
    except ProtocolError:
        pass
    endings = []
    for step in (1 << 20, 9):
        for end in (
            End(make_server(Watched, configs_once()[1])),
            End(make_client(Watched, configs_once()[0])),
        ):
            for at in range(0, len(data), step):
                end.give(data[at : at + step])
                end.take()
            end.eof()
            endings.append(end.ending())
            end.release()
    require(endings[:2] == endings[2:], f"cut otherwise, it means something else: {endings}")
    return " | ".join(endings[:2])


@cache
def configs_once() -> tuple[ClientConfig, ServerConfig]:
    """Shared by all inputs, as a configuration is shared by all sessions."""
    return configs()


def record_seeds() -> list[bytes]:
    end = End(make_client(Watched, configs()[0]))
    hello = end.take()
    return [
        hello,
        hello + b"\x14\x03\x03\0\x01\x01",
        b"\x15\x03\x03\0\x02\x02\x28",
        b"\x17\x03\x03\0\x11" + bytes(17),
    ]


def session(data: bytes) -> str:
    """Protected records of any content in an open session.

    The first byte: whether the client (even) or the server sends them, and in pieces of how many bytes they
    come. Then for each record a type, a length of padding, two bytes of length, and the content.
    """
    if not data:
        return "empty"
    client_config, server_config = configs_once()
    client, server = End(make_client(Watched, client_config)), End(make_server(Watched, server_config))
    pump(client, server)
    require(client.established and server.established, "no session")
    source, sink = (server, client) if data[0] & 1 else (client, server)
    step = (data[0] >> 1) or 1 << 20
    at = 1
    stream = b""
    while len(data) - at >= 4:
        kind, padding, size = data[at], data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        stream += inject(source.engine, kind, data[at + 4 : at + 4 + size], padding)
        at += 4 + size
    for begin in range(0, len(stream), step):
        sink.give(stream[begin : begin + step])
    sink.take()
    sink.eof()
    for end in (client, server):
        end.release()
    return sink.ending()


def piece(kind: int, content: bytes) -> bytes:
    return bytes((kind, 0)) + len(content).to_bytes(2, "big") + content


def session_seeds() -> list[bytes]:
    ticket = NewSessionTicket(7200, 1, b"\0", b"ticket", {42: bytes(4)}).pack()
    data, update, close = piece(23, b"data"), piece(22, KeyUpdate(True).pack()), piece(21, b"\x01\0")
    found = [data, update, close, piece(21, b"\x02\x28"), piece(22, ticket), data + piece(22, ticket) + close]
    return [bytes((role,)) + stream for stream in found for role in (0, 1, 10, 11)]


TARGETS = (
    Target(
        "tls-messages",
        "handshake messages and extensions, packed again",
        messages,
        message_seeds,
        WORDS,
        2048,
    ),
    Target("tls-records", "a stream to both ends before the handshake", records, record_seeds, WORDS, 2048),
    Target(
        "tls-session",
        "protected records of any content in an open session",
        session,
        session_seeds,
        WORDS,
        1024,
    ),
)

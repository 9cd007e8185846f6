"""Which record may come when: each phase, each type and length, and the alert for what may not (RFC 8446)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.builtin.messages.registry import HandshakeType, frame
from mungos.tls.engines.builtin.records import MAX_CIPHERTEXT, MAX_PLAINTEXT, ContentType, plain_record
from mungos.tls.engines.builtin.server import MAX_SKIPPED_EARLY_DATA
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, factory, pump, records

CCS, ALERT, HANDSHAKE, DATA = (
    ContentType.change_cipher_spec,
    ContentType.alert,
    ContentType.handshake,
    ContentType.application_data,
)
LEAST = 17  # bytes of a protected record: the content type and the tag, section 5.2


def header(kind: int, length: int) -> bytes:
    """Of a record whose content has not come: its length alone is judged."""
    return bytes((kind, 3, 3)) + length.to_bytes(2, "big")


Phase = Callable[[ClientConfig, ServerConfig], End]
PHASES: dict[str, Phase] = {}


def phase(make: Phase) -> Phase:
    PHASES[make.__name__.strip("_").replace("_", " ")] = make
    return make


def _two(client: ClientConfig, server: ServerConfig) -> tuple[End, End]:
    made = factory("phases")
    return End(made.client(client, "localhost")), End(made.server(server))


@phase
def _server_before_the_hello(client: ClientConfig, server: ServerConfig) -> End:
    return _two(client, server)[1]


@phase
def _server_inside_the_hello(client: ClientConfig, server: ServerConfig) -> End:
    one, other = _two(client, server)
    other.give(plain_record(HANDSHAKE, one.take()[5:105], 0x0301))
    return other


@phase
def _server_after_a_retry(client: ClientConfig, server: ServerConfig) -> End:
    client = ClientConfig(roots=client.roots, groups=("x25519", "secp256r1"))
    server = ServerConfig(server.credentials, groups=("secp256r1",))
    one, other = _two(client, server)
    other.give(one.take())
    assert other.engine._handshake is not None
    assert other.engine._handshake.state.value == "AwaitSecondClientHello"
    return other


@phase
def _server_with_keys(client: ClientConfig, server: ServerConfig) -> End:
    one, other = _two(client, server)
    other.give(one.take())
    return other


@phase
def _server_open(client: ClientConfig, server: ServerConfig) -> End:
    one, other = _two(client, server)
    pump(one, other)
    return other


@phase
def _server_after_its_close_notify(client: ClientConfig, server: ServerConfig) -> End:
    one, other = _two(client, server)
    pump(one, other)
    other.engine.close_write()
    return other


@phase
def _client_before_the_hello(client: ClientConfig, server: ServerConfig) -> End:
    return _two(client, server)[0]


@phase
def _client_inside_the_hello(client: ClientConfig, server: ServerConfig) -> End:
    one, other = _two(client, server)
    other.give(one.take())
    one.give(plain_record(HANDSHAKE, records(other.take())[0][5:50]))
    return one


@phase
def _client_with_keys(client: ClientConfig, server: ServerConfig) -> End:
    one, other = _two(client, server)
    other.give(one.take())
    one.give(records(other.take())[0])
    return one


@phase
def _client_open(client: ClientConfig, server: ServerConfig) -> End:
    one, other = _two(client, server)
    pump(one, other)
    return one


UNEXPECTED, OVERFLOW, DECODE, MAC = (
    Alert.unexpected_message,
    Alert.record_overflow,
    Alert.decode_error,
    Alert.bad_record_mac,
)
PLAIN = {
    "server before the hello",
    "server inside the hello",
    "server after a retry",
    "client before the hello",
    "client inside the hello",
}
INSIDE = {"server inside the hello", "client inside the hello"}
OPEN = {"server open", "server after its close notify", "client open"}
# Where an alert in the clear is listened to: before keys are on, and of a client that may have none yet.
HEARD = PLAIN | {"server with keys"}
# Section 5: a change_cipher_spec of one byte, 1, after the first ClientHello and before the peer's Finished.
DROPPED = set(PHASES) - OPEN - {"server before the hello"} - INSIDE

ROWS: list[tuple[str, bytes, Callable[[str], Alert | None]]] = [
    # Section 5: "If a TLS implementation receives an unexpected record type".
    ("type 0", header(0, 1) + b"x", lambda _: UNEXPECTED),
    ("type 19", header(19, 1) + b"x", lambda _: UNEXPECTED),
    ("type 24, heartbeat", header(24, 1) + b"x", lambda _: UNEXPECTED),
    ("type 255", header(255, 0), lambda _: UNEXPECTED),
    # Section 5: of another value, or out of place: unexpected_message.
    ("change_cipher_spec", plain_record(CCS, b"\1"), lambda at: None if at in DROPPED else UNEXPECTED),
    ("change_cipher_spec of 0 bytes", plain_record(CCS, b""), lambda _: UNEXPECTED),
    ("change_cipher_spec of 2 bytes", plain_record(CCS, b"\1\1"), lambda _: UNEXPECTED),
    ("change_cipher_spec of value 2", plain_record(CCS, b"\2"), lambda _: UNEXPECTED),
    # Section 5.1: "Implementations MUST NOT send zero-length fragments of Handshake types".
    ("handshake of 0 bytes", plain_record(HANDSHAKE, b""), lambda _: UNEXPECTED),
    # Sections 5.1 and 6: neither empty, nor fragmented, nor several in one.
    ("alert of 0 bytes", plain_record(ALERT, b""), lambda _: UNEXPECTED),
    ("alert of 1 byte", plain_record(ALERT, b"\1"), lambda at: DECODE if at in HEARD else UNEXPECTED),
    ("alert of 3 bytes", plain_record(ALERT, b"\1\0\0"), lambda at: DECODE if at in HEARD else UNEXPECTED),
    # Section 5.1: "Handshake messages MUST NOT be interleaved with other record types".
    (
        "user_canceled",
        plain_record(ALERT, b"\1\x5a"),
        lambda at: None if at in HEARD - INSIDE else UNEXPECTED,
    ),
    # Section 5: before keys are on, application_data is unexpected, whatever its length; section 5.2: under
    # keys, what can't be deprotected is a bad_record_mac.
    *(
        (
            f"application_data of {size} bytes",
            plain_record(DATA, bytes(size)),
            lambda at: UNEXPECTED if at in PLAIN else MAC,
        )
        for size in (0, 1, LEAST - 1, LEAST, LEAST + 1, 1_000, MAX_CIPHERTEXT)
    ),
    # Sections 5.1 and 5.2: record_overflow, by the header alone.
    ("change_cipher_spec too long", header(CCS, MAX_PLAINTEXT + 1), lambda _: OVERFLOW),
    ("alert too long", header(ALERT, MAX_PLAINTEXT + 1), lambda _: OVERFLOW),
    ("handshake too long", header(HANDSHAKE, MAX_PLAINTEXT + 1), lambda _: OVERFLOW),
    ("application_data too long", header(DATA, MAX_CIPHERTEXT + 1), lambda _: OVERFLOW),
    ("application_data of 65,535 bytes", header(DATA, 65_535), lambda _: OVERFLOW),
]


@pytest.mark.parametrize("where", PHASES)
@pytest.mark.parametrize(("record", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
@pytest.mark.parametrize("step", [0, 1], ids=["whole", "byte by byte"])
def test_record_in_each_phase(
    client_config: ClientConfig,
    server_config: ServerConfig,
    where: str,
    record: bytes,
    expected: Callable[[str], Alert | None],
    step: int,
) -> None:
    end = PHASES[where](client_config, server_config)
    end.take()
    alert = expected(where)
    if step and len(record) > 100:
        record = record[:100]  # the rest would only be waited for
        alert = alert if len(record) < 100 else None
    for at in range(0, len(record), step or len(record)):
        end.give(record[at : at + (step or len(record))])
    end.pull()
    if alert is None:
        assert not end.failed
        return
    assert end.failure.alert is (None if where == "server after its close notify" else alert)
    assert not end.failure.sent_by_peer
    assert not end.data


@pytest.mark.parametrize("kind", [HANDSHAKE, ALERT])
@pytest.mark.parametrize("where", ["server open", "client open"])
def test_record_of_no_content_under_keys(
    client_config: ClientConfig, server_config: ServerConfig, where: str, kind: ContentType
) -> None:
    # Section 5.4: "Implementations MUST NOT send Handshake and Alert records that have a zero-length ...".
    one, other = _two(client_config, server_config)
    pump(one, other)
    source, sink = (one, other) if where == "server open" else (other, one)
    sink.give(source.inject(kind, b""))
    assert sink.failure.alert is UNEXPECTED


@pytest.mark.parametrize(
    ("kind", "content"), [(DATA, b""), (DATA, b"x"), (ALERT, b"\1\0"), (ALERT, b"\1\x5a"), (CCS, b"\1")]
)
def test_record_inside_a_fragmented_message_under_keys(
    client_config: ClientConfig, server_config: ServerConfig, kind: ContentType, content: bytes
) -> None:
    # Section 5.1: "there MUST NOT be any other records between them".
    one, other = _two(client_config, server_config)
    pump(one, other)
    other.give(one.inject(HANDSHAKE, frame(HandshakeType.key_update, b"\0")[:3]))
    assert not other.failed
    other.give(one.inject(kind, content))
    assert other.failure.alert is UNEXPECTED


@pytest.fixture
def refusing(authority: Authority, credential: Credential) -> End:
    """A server that asks for another hello and passes over 0-RTT data."""
    return _refusing(authority, credential)


def _refusing(authority: Authority, credential: Credential) -> End:
    client = ClientConfig(roots=authority.roots, groups=("x25519", "secp256r1"))
    one, other = _two(client, ServerConfig((credential,), groups=("secp256r1",)))
    other.give(one.take())
    # As after a hello that offers early data; section 4.2.10.
    other.engine.skip_early_data(MAX_SKIPPED_EARLY_DATA)
    other.take()
    return other


@pytest.mark.parametrize("size", [0, 1, LEAST - 1])
def test_early_data_too_short_for_a_tag_are_none(refusing: End, size: int) -> None:
    refusing.give(plain_record(DATA, bytes(size)))
    assert refusing.failure.alert is UNEXPECTED


def test_early_data_that_are_refused_are_passed_over_up_to_a_limit(refusing: End) -> None:
    record = plain_record(DATA, bytes(LEAST))
    count = MAX_SKIPPED_EARLY_DATA // LEAST
    refusing.give(record * count)
    assert not refusing.failed
    refusing.give(record)
    assert refusing.failure.alert is UNEXPECTED


def test_early_data_do_not_come_inside_a_message(refusing: End) -> None:
    refusing.give(plain_record(HANDSHAKE, b"\1\0"))
    assert not refusing.failed
    refusing.give(plain_record(DATA, bytes(LEAST)))
    assert refusing.failure.alert is UNEXPECTED

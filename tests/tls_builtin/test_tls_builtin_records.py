"""The record layer: sizes, padding, kinds, keys (RFC 8446 section 5). Cases of groups A and B."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mungos.crypto.contract import BadTag
from mungos.errors import Malformed, PeerMisbehaved
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.contract import ReadSide
from mungos.tls.engines.builtin.messages.registry import HandshakeType, frame
from mungos.tls.engines.builtin.reading import MAX_HANDSHAKE_MESSAGE, MAX_QUIET
from mungos.tls.engines.builtin.records import MAX_CIPHERTEXT, MAX_PLAINTEXT, ContentType, plain_record
from tests.tls_builtin.ends import End, alerts, factory, meet, pump, records

CCS = bytes.fromhex("140303000101")
PLAIN_CLOSE_NOTIFY = bytes.fromhex("15030300020100")


@pytest.fixture
def pair(client_config: ClientConfig, server_config: ServerConfig) -> tuple[End, End]:
    return meet(client_config, server_config)


@pytest.fixture
def unmet(client_config: ClientConfig, server_config: ServerConfig) -> tuple[End, End]:
    made = factory()
    return End(made.client(client_config, "localhost")), End(made.server(server_config))


def expect(end: End, alert: Alert, kind: type[Exception] = PeerMisbehaved) -> None:
    end.pull()
    assert end.failure.alert is alert
    assert not end.failure.sent_by_peer
    assert isinstance(end.failure.error, kind)
    assert end.take()
    assert end.engine.read_side is ReadSide.FAILED
    assert end.engine.receive(b"anything at all", 0.0) == 15
    assert end.engine.next_event() is None
    assert end.engine.take(1 << 20) == []


def test_t06_client_hello_in_records_of_one_byte(unmet: tuple[End, End]) -> None:
    client, server = unmet
    (hello,) = records(client.take())
    for byte in hello[5:]:
        server.give(plain_record(ContentType.handshake, bytes((byte,)), 0x0301))
    pump(client, server)
    assert client.established
    assert server.established


def test_server_flight_in_records_of_one_byte(
    client_config: ClientConfig, server_config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mungos.tls.engines.builtin.writing.MAX_PLAINTEXT", 1)
    client, server = meet(client_config, server_config)
    assert client.established
    assert server.established


@pytest.mark.parametrize("kind", [ContentType.handshake, ContentType.alert])
def test_t07_t49_empty_record_in_the_clear(unmet: tuple[End, End], kind: ContentType) -> None:
    _, server = unmet
    server.give(plain_record(kind, b""))
    expect(server, Alert.unexpected_message)


@pytest.mark.parametrize("kind", [ContentType.handshake, ContentType.alert])
@pytest.mark.parametrize("padding", [0, 3])
def test_t49_rfc8446_5_4_empty_record_under_a_key(
    pair: tuple[End, End], kind: ContentType, padding: int
) -> None:
    client, server = pair
    server.give(client.inject(kind, b"", padding))
    expect(server, Alert.unexpected_message)


@pytest.mark.parametrize(
    "text", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\x80\x2e\x01\x00\x02\x00\x15"]
)
def test_t08_something_else_on_the_port(unmet: tuple[End, End], text: bytes) -> None:
    for end in unmet:
        end.take()
        end.give(text)
        expect(end, Alert.unexpected_message, Malformed)


def test_t27_application_data_before_finished(unmet: tuple[End, End]) -> None:
    client, server = unmet
    hello = client.take()
    server.give(hello)
    client.give(server.take())
    flight = records(client.take())
    assert len(flight) == 2
    # The client's keys are already those of application data: such a record does not even open.
    client.engine.write([b"early"])
    server.give(flight[0] + client.take())
    expect(server, Alert.bad_record_mac)


def test_t27_application_data_in_the_clear(unmet: tuple[End, End]) -> None:
    for end in unmet:
        end.take()
        end.give(plain_record(ContentType.application_data, b"x" * 40))
        expect(end, Alert.unexpected_message)


def test_t27_application_data_under_handshake_keys(unmet: tuple[End, End]) -> None:
    client, server = unmet
    server.give(client.take())
    hello = records(server.take())[0]
    client.give(hello)
    server.give(client.inject(ContentType.application_data, b"early"))
    expect(server, Alert.unexpected_message)


def test_t28_ccs_at_each_legal_place(unmet: tuple[End, End]) -> None:
    client, server = unmet
    hello = client.take()
    client.give(CCS)
    server.give(hello)
    server.give(CCS + CCS)
    flight = records(server.take())
    for record in flight:
        client.give(CCS + record)
    assert not client.failed
    server.give(CCS + client.take())
    assert client.established
    assert server.established
    assert not server.failed


def test_t28_ccs_before_the_client_hello(unmet: tuple[End, End]) -> None:
    _, server = unmet
    server.give(CCS)
    expect(server, Alert.unexpected_message)


@pytest.mark.parametrize("record", [CCS, bytes.fromhex("140303000102"), bytes.fromhex("14030300020101")])
def test_t28_ccs_after_finished(pair: tuple[End, End], record: bytes) -> None:
    for end in pair:
        end.give(record)
        expect(end, Alert.unexpected_message)


@pytest.mark.parametrize("content", [b"", b"\0", b"\2", b"\1\1"])
def test_t28_ccs_of_another_value(unmet: tuple[End, End], content: bytes) -> None:
    client, _ = unmet
    client.take()
    client.give(plain_record(ContentType.change_cipher_spec, content))
    expect(client, Alert.unexpected_message)


def test_t28_ccs_under_a_key(pair: tuple[End, End]) -> None:
    client, server = pair
    server.give(client.inject(ContentType.change_cipher_spec, b"\1"))
    expect(server, Alert.unexpected_message)


def test_ccs_flood_is_bounded(unmet: tuple[End, End]) -> None:
    client, _ = unmet
    client.take()
    client.give(CCS * MAX_QUIET)
    assert not client.failed
    client.give(CCS)
    expect(client, Alert.unexpected_message)


def test_t26_client_hello_does_not_end_its_record(unmet: tuple[End, End]) -> None:
    client, server = unmet
    (hello,) = records(client.take())
    server.give(plain_record(ContentType.handshake, hello[5:] + b"\x01"))
    expect(server, Alert.unexpected_message)


def test_t26_server_hello_does_not_end_its_record(unmet: tuple[End, End]) -> None:
    client, server = unmet
    server.give(client.take())
    hello = records(server.take())[0]
    client.give(plain_record(ContentType.handshake, hello[5:] + b"\x08\0"))
    expect(client, Alert.unexpected_message)


def test_t26_key_update_does_not_end_its_record(pair: tuple[End, End]) -> None:
    client, server = pair
    update = frame(HandshakeType.key_update, b"\0")
    server.give(client.inject(ContentType.handshake, update + update))
    expect(server, Alert.unexpected_message)


def test_t36_record_in_pieces_of_every_size(pair: tuple[End, End]) -> None:
    client, server = pair
    for size in range(1, 40):
        client.engine.write([b"0123456789"])
        record = client.take()
        for at in range(0, len(record), size):
            assert not server.data
            server.give(record[at : at + size])
            server.pull()
        assert server.data == b"0123456789"
        server.data.clear()


def test_t37_one_message_across_records(pair: tuple[End, End]) -> None:
    client, server = pair
    for at in range(0, 8192, 1024):
        client.engine.write([bytes((at // 1024,)) * 1024])
    server.give(client.take())
    server.pull()
    assert len(server.data) == 8192


def test_take_of_exactly_the_first_records(pair: tuple[End, End]) -> None:
    client, server = pair
    for content in (b"first", b"second", b"third"):
        client.engine.write((content,))
    size = 2 * 22 + len(b"firstsecond")
    taken = client.engine.take(size)
    assert [len(part) for part in taken] == [27, 28]
    assert client.engine.unsent == 22 + len(b"third")
    server.give(b"".join(bytes(part) for part in taken) + client.take())
    assert server.data == b"firstsecondthird"


def test_t38_hidden_buffered_data(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([b"one"])
    client.engine.write([b"two"])
    data = client.take()
    assert server.engine.receive(data, 0.0) == len(data)
    assert server.engine.unread == 6
    assert server.engine.next_event() is not None
    assert server.engine.unread == 3
    assert server.engine.next_event() is not None
    assert server.engine.unread == 0


def test_t39_one_record_and_a_half(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([b"one"])
    client.engine.write([b"two"])
    data = client.take()
    assert server.engine.receive(data[:-4], 0.0) == len(data) - 4
    assert server.engine.unread == 3
    server.pull()
    assert server.engine.unread == 0
    assert server.engine.next_event() is None
    server.give(data[-4:])
    server.pull()
    assert server.data == b"onetwo"


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 2048, 2049, MAX_PLAINTEXT - 1, MAX_PLAINTEXT])
@pytest.mark.parametrize("padding", [0, 1, 200])
def test_t40_t42_every_legal_size_and_padding(pair: tuple[End, End], size: int, padding: int) -> None:
    client, server = pair
    size = min(size, MAX_PLAINTEXT - padding)
    server.give(client.inject(ContentType.application_data, b"x" * size, padding))
    server.pull()
    assert len(server.data) == size
    assert not server.failed


def test_t40_plaintext_one_byte_too_long(pair: tuple[End, End]) -> None:
    client, server = pair
    server.give(client.inject(ContentType.application_data, bytes(MAX_PLAINTEXT + 1)))
    expect(server, Alert.record_overflow, Malformed)


def test_t40_padding_counts(pair: tuple[End, End]) -> None:
    client, server = pair
    server.give(client.inject(ContentType.application_data, b"x", MAX_PLAINTEXT))
    expect(server, Alert.record_overflow, Malformed)


def test_t40_handshake_record_in_the_clear_too_long(unmet: tuple[End, End]) -> None:
    _, server = unmet
    server.give(bytes.fromhex("160301") + (MAX_PLAINTEXT + 1).to_bytes(2, "big"))
    expect(server, Alert.record_overflow, Malformed)


def test_t41_ciphertext_at_the_limit_and_over(pair: tuple[End, End]) -> None:
    _, server = pair
    server.give(bytes.fromhex("170303") + MAX_CIPHERTEXT.to_bytes(2, "big"))
    assert not server.failed
    server.give(bytes(MAX_CIPHERTEXT))
    expect(server, Alert.bad_record_mac)


def test_t41_ciphertext_one_byte_too_long_is_refused_by_its_header(pair: tuple[End, End]) -> None:
    client, _ = pair
    client.give(bytes.fromhex("170303") + (MAX_CIPHERTEXT + 1).to_bytes(2, "big"))
    expect(client, Alert.record_overflow, Malformed)


def test_t43_flood_of_empty_records(pair: tuple[End, End]) -> None:
    client, server = pair
    for _ in range(3):
        for _ in range(MAX_QUIET):
            server.give(client.inject(ContentType.application_data, b""))
        server.give(client.inject(ContentType.application_data, b"x"))
    server.pull()
    assert server.data == b"xxx"
    for _ in range(MAX_QUIET + 1):
        server.give(client.inject(ContentType.application_data, b""))
    expect(server, Alert.unexpected_message)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_t44_inner_plaintext_all_zero(pair: tuple[End, End], size: int) -> None:
    client, server = pair
    sealer = client.engine._sealer
    assert sealer is not None
    header = b"\x17\x03\x03" + (size + 16).to_bytes(2, "big")
    nonce = (sealer.iv ^ sealer.sequence).to_bytes(12, "big")
    server.give(header + sealer.encrypt(nonce, bytes(size), header))
    expect(server, Alert.unexpected_message)


def test_inner_plaintext_of_no_bytes(pair: tuple[End, End]) -> None:
    client, server = pair
    sealer = client.engine._sealer
    assert sealer is not None
    header = b"\x17\x03\x03\x00\x10"
    server.give(header + sealer.encrypt(sealer.iv.to_bytes(12, "big"), b"", header))
    expect(server, Alert.unexpected_message)


def test_t45_flipped_bit_keeps_earlier_data(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([b"good"])
    good = client.take()
    client.engine.write([b"flipped"])
    bad = bytearray(client.take())
    bad[9] ^= 1
    client.engine.write([b"later"])
    server.give(good + bad + client.take())
    expect(server, Alert.bad_record_mac)
    assert server.data == b"good"
    assert isinstance(server.failure.error, BadTag)
    assert server.failure.error.__traceback__ is None


def test_record_shorter_than_a_tag(pair: tuple[End, End]) -> None:
    _, server = pair
    server.give(bytes.fromhex("1703030003") + b"abc")
    expect(server, Alert.bad_record_mac)


def test_version_of_a_protected_record_is_authenticated(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([b"x"])
    record = bytearray(client.take())
    record[2] = 4
    server.give(bytes(record))
    expect(server, Alert.bad_record_mac)


@pytest.mark.parametrize("version", [0x0000, 0x0300, 0x0301, 0x0303, 0x0304, 0xFFFF])
def test_rfc8446_5_1_version_of_a_plain_record_is_ignored(unmet: tuple[End, End], version: int) -> None:
    client, server = unmet
    (hello,) = records(client.take())
    server.give(plain_record(ContentType.handshake, hello[5:], version))
    assert not server.failed
    assert server.take()


@pytest.mark.parametrize("kind", [ContentType.handshake, ContentType.alert])
def test_record_in_the_clear_after_keys(pair: tuple[End, End], kind: ContentType) -> None:
    for end in pair:
        end.give(plain_record(kind, b"\x02\x28"))
        expect(end, Alert.unexpected_message)


def test_t50_close_notify_in_the_clear_after_keys(pair: tuple[End, End]) -> None:
    for end in pair:
        end.give(PLAIN_CLOSE_NOTIFY)
        expect(end, Alert.unexpected_message)


def test_t50_client_takes_no_alert_in_the_clear_after_the_server_hello(unmet: tuple[End, End]) -> None:
    client, server = unmet
    server.give(client.take())
    client.give(records(server.take())[0])
    client.give(PLAIN_CLOSE_NOTIFY)
    expect(client, Alert.unexpected_message)


def test_client_that_can_not_use_the_server_hello_is_heard(unmet: tuple[End, End]) -> None:
    client, server = unmet
    server.give(client.take())
    server.take()
    server.give(bytes.fromhex("1503030002022f"))
    server.pull()
    assert server.failure.alert is Alert.illegal_parameter
    assert server.failure.sent_by_peer
    assert not server.take()


def test_alert_in_the_clear_after_the_client_showed_its_keys(unmet: tuple[End, End]) -> None:
    client, server = unmet
    server.give(client.take())
    client.give(records(server.take())[0])
    server.give(client.inject(ContentType.alert, bytes((1, Alert.user_canceled))))
    server.give(bytes.fromhex("1503030002022f"))
    expect(server, Alert.unexpected_message)


def test_handshake_message_over_the_limit(unmet: tuple[End, End]) -> None:
    _, server = unmet
    header = b"\x01" + (MAX_HANDSHAKE_MESSAGE + 1).to_bytes(3, "big")
    server.give(plain_record(ContentType.handshake, header))
    expect(server, Alert.decode_error, Malformed)


def test_other_record_inside_a_fragmented_message(pair: tuple[End, End], unmet: tuple[End, End]) -> None:
    client, server = pair
    server.give(client.inject(ContentType.handshake, b"\x18\0\0"))
    server.give(client.inject(ContentType.application_data, b"x"))
    expect(server, Alert.unexpected_message)
    first, second = unmet
    (hello,) = records(first.take())
    first.give(plain_record(ContentType.handshake, b"\x02\0"))
    first.give(CCS)
    expect(first, Alert.unexpected_message)
    second.give(plain_record(ContentType.handshake, hello[5:40]))
    second.give(plain_record(ContentType.application_data, bytes(30)))
    expect(second, Alert.unexpected_message)


def test_fragmented_message_after_the_handshake(pair: tuple[End, End]) -> None:
    client, server = pair
    update = frame(HandshakeType.key_update, b"\0")
    for byte in update:
        server.give(client.inject(ContentType.handshake, bytes((byte,))))
    assert not server.failed
    # The client's own key did not change: its next record is under the old one (T86).
    client.engine.write([b"x"])
    server.give(client.take())
    expect(server, Alert.bad_record_mac)


def test_alert_of_the_peer_in_the_clear_names_itself(unmet: tuple[End, End]) -> None:
    client, server = unmet
    server.give(plain_record(ContentType.alert, b"\x02\x50"))
    server.pull()
    assert server.failure.sent_by_peer
    assert server.failure.alert is Alert.internal_error
    assert alerts(records(server.take())) == []
    assert client.take()


@pytest.mark.parametrize("cap", [0, 20_000, 100_000])
def test_cap_on_unread_holds_whatever_the_pieces(
    client_config: ClientConfig, credential: Credential, cap: int
) -> None:
    config = ServerConfig((credential,), max_unread=cap)
    client, server = meet(client_config, config)
    sent = bytes(range(256)) * 400
    assert client.engine.write([sent]) == len(sent)
    data = client.take()
    room = max(cap, MAX_CIPHERTEXT + 100)
    got = bytearray()
    at = 0
    while at < len(data):
        piece = data[at : at + 5000]
        taken = server.engine.receive(piece, 0.0)
        at += taken
        assert server.engine.unread <= room
        if taken < len(piece):
            event = server.engine.next_event()
            got += event.data  # type: ignore[union-attr]
    server.pull()
    assert got + server.data == sent


def test_record_that_has_begun_waits_for_room(client_config: ClientConfig, credential: Credential) -> None:
    client, server = meet(client_config, ServerConfig((credential,), max_unread=0))
    client.engine.write([bytes(MAX_PLAINTEXT)])
    client.engine.write([b"second" * 100])
    data = client.take()
    cut = len(data) - 100
    assert server.engine.receive(data[:cut], 0.0) == MAX_PLAINTEXT + 22
    rest = data[MAX_PLAINTEXT + 22 :]
    server.engine.next_event()
    assert server.engine.receive(rest[:50], 0.0) == 50
    client.engine.write([bytes(MAX_PLAINTEXT)])
    assert server.engine.receive(rest[50:] + client.take(), 0.0) == len(rest) - 50
    assert server.engine.unread == 600
    server.pull()
    assert not server.failed


def test_record_that_has_begun_meets_a_full_engine(
    client_config: ClientConfig, credential: Credential
) -> None:
    client, server = meet(client_config, ServerConfig((credential,), max_unread=0))
    client.engine.write([bytes(MAX_PLAINTEXT - 1000)])
    client.engine.write([b"second" * 100])
    client.engine.write([b"third" * 300])
    data = client.take()
    last = 1500 + 22
    assert server.engine.receive(data[: -last + 3], 0.0) == len(data) - last + 3
    assert server.engine.receive(data[-last + 3 :], 0.0) == 2  # the rest of the header
    server.pull()
    assert server.engine.receive(data[-last + 5 :], 0.0) == last - 5
    server.pull()
    assert server.data.endswith(b"third" * 300)


def test_a_callers_buffer_is_free_after_receive(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([bytes(40_000)])
    data = bytearray(client.take())
    data[-1] ^= 1
    server.engine.receive(data, 0.0)
    del data[:]  # BufferError while anything holds a view of it
    server.pull()
    assert server.failed


def test_take_hands_out_at_most_what_is_asked(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([bytes(100_000)])
    client.engine.write([b"small"])
    parts: list[bytes] = []
    limit = 1
    while client.engine.unsent:
        before = client.engine.unsent
        taken = client.engine.take(limit)
        size = sum(map(len, taken))
        assert 0 < size <= max(limit, 1)
        assert client.engine.unsent == before - size
        parts += map(bytes, taken)
        limit = limit * 2 % 50_000
    server.give(b"".join(parts))
    server.pull()
    assert server.data == bytes(100_000) + b"small"
    assert client.engine.take(0) == client.engine.take(-1) == []


def test_cap_on_unsent_takes_whole_records(client_config: ClientConfig, server_config: ServerConfig) -> None:
    client, server = meet(client_config, server_config)
    accepted = client.engine.write([bytes(1 << 20)])
    assert accepted == 15 * MAX_PLAINTEXT
    assert client.engine.unsent <= 256 * 1024
    assert client.engine.write([bytes(MAX_PLAINTEXT)]) == 0
    assert client.engine.write([bytes(1000)]) == 1000
    server.give(client.take())
    server.pull()
    assert len(server.data) == accepted + 1000


@pytest.mark.parametrize("parts", [[], [b""], [b"", b""]])
def test_writing_nothing_queues_nothing(pair: tuple[End, End], parts: list[bytes]) -> None:
    assert pair[0].engine.write(parts) == 0
    assert pair[0].engine.unsent == 0


def test_parts_of_every_kind_and_size(pair: tuple[End, End]) -> None:
    client, server = pair
    whole = bytes(range(256)) * 300
    for cuts in ([0], [5], [16_384], [16_383, 16_385], [1, 2, 3, 40_000], [30_000, 30_000, 70_000]):
        edges = [0, *cuts, len(whole)]
        kinds = (bytes, bytearray, memoryview)
        parts = [kinds[index % 3](whole[start:end]) for index, (start, end) in enumerate(pairwise(edges))]
        assert client.engine.write(parts) == len(whole)
        server.give(client.take())
        server.pull()
        assert server.data == whole
        server.data.clear()


def test_message_out_of_place_is_refused_by_its_header(unmet: tuple[End, End]) -> None:
    _, server = unmet
    server.give(plain_record(ContentType.handshake, bytes((HandshakeType.certificate, 0, 0xFF, 0xFF))))
    expect(server, Alert.unexpected_message)

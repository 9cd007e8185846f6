"""The traces of RFC 8448, byte for byte: our client and our server against the recorded other side."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence

import pytest

from mungos.crypto.contract import Provider
from mungos.crypto.pure import SlowCryptography
from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.contract import EarlyData, Established, PeerClosed
from mungos.tls.early_data import EarlyDataGuard
from mungos.tls.engines.builtin import BuiltinFactory, factory, server_psks
from mungos.tls.engines.builtin.client import ClientHandshake
from mungos.tls.engines.builtin.client_psks import OfferedPsk
from mungos.tls.engines.builtin.credentials import LoadedCredential
from mungos.tls.engines.builtin.key_schedule import EarlyStage, Kdf, Transcript
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    ExtensionType,
    HandshakeType,
    NewSessionTicket,
    ServerHello,
)
from mungos.tls.engines.builtin.messages.extensions import parse_offered_psks
from mungos.tls.engines.builtin.records import Opener, split_inner
from mungos.tls.engines.builtin.server import ServerHandshake
from mungos.tls.engines.builtin.tickets import TicketState
from mungos.tls.sessions import ClientSession, SessionCache, TicketKeys
from mungos.x509 import Certificate as ParsedCertificate
from tests.tls_builtin.ends import End, records

Trace = dict[str, bytes]
DATA = bytes(range(0x32))
NONE = bytes(32)


@pytest.fixture(params=["cryptography", "pure-with-private-keys"])
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """Each provider in turn, taken for configurations that name none."""
    monkeypatch.setattr(factory, "_DEFAULT_PROVIDER", request.param)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowCryptography)
        return factory._provider(request.param)


class Keys:
    """The key schedule of a trace, from its private keys and its messages."""

    def __init__(self, provider: Provider, trace: Trace, psk: bytes | None = None) -> None:
        self.provider = provider
        self.kdf = Kdf(provider, "sha256")
        self.transcript = Transcript(provider)
        self.early = EarlyStage(self.kdf, psk)
        self.transcript.add(trace["client_hello"][5:])
        if "hello_retry_request" in trace:
            self.transcript.retry("sha256")
            self.transcript.add(trace["hello_retry_request"][5:])
            self.transcript.add(trace["client_hello_2"][5:])
        self.transcript.choose("sha256")
        self.transcript.add(trace["server_hello"][5:])
        group = "secp256r1" if "client_private_2" in trace else "x25519"
        private = trace.get("client_private_2", trace["client_private"])
        exchange = provider.key_exchange(group)
        server_share = exchange.from_private_bytes(trace["server_private"]).public
        self.secret = exchange.from_private_bytes(private).exchange(server_share)
        stage = self.early.handshake(self.secret)
        digest = self.transcript.digest()
        self.client_handshake, self.server_handshake = stage.traffic(digest)
        self.server_messages = self.open(self.server_handshake, trace["server_flight"])
        for message in self.server_messages:
            self.transcript.add(message)
        self.master = stage.master()
        digest = self.transcript.digest()
        self.client_application, self.server_application, self.exporter = self.master.traffic(digest)

    def opener(self, secret: bytes) -> Opener:
        key, iv = self.kdf.traffic_keys(secret, 16)
        return Opener(self.provider.aead("AES-128-GCM", key), iv)

    def open(self, secret: bytes, record: bytes) -> list[bytes]:
        """The handshake messages in the first record under a secret."""
        kind, content = split_inner(self.opener(secret).open(record[:5], record[5:]))
        assert kind == 22
        messages = []
        while content:
            size = 4 + int.from_bytes(content[1:4], "big")
            messages.append(content[:size])
            content = content[size:]
        return messages


class Recorded:
    """A private key that signs what the trace says, whatever it is asked."""

    def __init__(self, scheme: str, signature: bytes) -> None:
        self.schemes = (scheme,)
        self.signature = signature

    def sign(self, scheme: str, message: bytes) -> bytes:
        assert scheme == self.schemes[0]
        return self.signature


def recorded_credential(messages: Iterable[bytes], scheme: str) -> LoadedCredential:
    """The credential that a trace shows, to be shown again."""
    by_kind = {message[0]: message[4:] for message in messages}
    chain = tuple(
        entry.certificate for entry in Certificate.parse(by_kind[HandshakeType.certificate]).entries
    )
    signature = CertificateVerify.parse(by_kind[HandshakeType.certificate_verify]).signature
    return LoadedCredential(chain, ParsedCertificate(chain[0]), Recorded(scheme, signature))  # type: ignore[arg-type]


def nothing_random(size: int) -> bytes:
    raise AssertionError(f"{size} random bytes were asked for")


def replay_client(
    provider: Provider,
    trace: Trace,
    sessions: SessionCache | None = None,
    credential: LoadedCredential | None = None,
    psks: Sequence[OfferedPsk] = (),
) -> End:
    """Our client in the place of the trace's, up to its ClientHello."""
    config = ClientConfig(verify=False, sessions=sessions)
    engine = BuiltinFactory(nothing_random, lambda: 1e9).client(config, "server")
    engine._prepared.credential = credential  # type: ignore[union-attr]
    handshake = engine._handshake
    assert isinstance(handshake, ClientHandshake)
    message = trace["client_hello"][5:]
    share = provider.key_exchange("x25519").from_private_bytes(trace["client_private"])
    handshake._psks = list(psks)
    handshake.begin(ClientHello.parse(message[4:]), [share], message)
    engine.flush()
    end = End.__new__(End)
    end.engine, end.events, end.data = engine, [], bytearray()
    return end


class _RecordedServer(ServerHandshake):
    """Our server with the trace's EncryptedExtensions, whose values are NSS's choice."""

    messages: dict[int, bytes]

    def encrypted_extensions(self, hello: ClientHello) -> EncryptedExtensions:
        return EncryptedExtensions.parse(self.messages[HandshakeType.encrypted_extensions])

    def certificate_request(self) -> CertificateRequest:
        return CertificateRequest.parse(self.messages[HandshakeType.certificate_request])


def replay_server(trace: Trace, keys: Keys, config: ServerConfig, scheme: str) -> End:
    """Our server in the place of the trace's."""
    random: list[bytes] = []
    if "hello_retry_request" in trace:
        cookie = ServerHello.parse(trace["hello_retry_request"][9:]).extensions[ExtensionType.cookie]
        random.append(cookie[2:])
    random += [trace["server_private"], ServerHello.parse(trace["server_hello"][9:]).random]
    engine = BuiltinFactory(lambda size: random.pop(0), lambda: 1e9).server(config)
    if scheme:
        shown = recorded_credential(keys.server_messages, scheme)
        engine._prepared.credentials = (shown,)  # type: ignore[union-attr]
    handshake = _RecordedServer(engine._prepared, engine)  # type: ignore[arg-type]
    handshake.messages = {message[0]: message[4:] for message in keys.server_messages}
    engine._handshake = handshake
    return End(engine)


def test_rfc8448_3_key_schedule(provider: Provider, rfc8448: dict[str, Trace]) -> None:
    trace = rfc8448["3"]
    keys = Keys(provider, trace)
    assert keys.secret == trace["shared_secret"]
    assert keys.early._secret == trace["early_secret"]
    stage = keys.early.handshake(keys.secret)
    assert stage._secret == trace["handshake_secret"]
    with pytest.raises(Misuse):
        stage.master()
    assert keys.master._secret == trace["master_secret"]
    assert keys.client_handshake == trace["client_handshake_traffic"]
    assert keys.server_handshake == trace["server_handshake_traffic"]
    assert keys.client_application == trace["client_application_traffic"]
    assert keys.server_application == trace["server_application_traffic"]
    assert keys.exporter == trace["exporter_master"]
    keys.transcript.add(keys.open(keys.client_handshake, trace["client_flight"])[0])
    assert keys.master.resumption(keys.transcript.digest()) == trace["resumption_master"]
    assert keys.kdf.resumption_psk(trace["resumption_master"], b"\0\0") == trace["resumption_psk"]


@pytest.mark.parametrize("section", ["3", "6", "7"])
def test_rfc8448_messages_are_packed_as_they_were_parsed(
    provider: Provider, rfc8448: dict[str, Trace], section: str
) -> None:
    trace = rfc8448[section]
    keys = Keys(provider, trace)
    assert ClientHello.parse(trace["client_hello"][9:]).pack() == trace["client_hello"][5:]
    assert ServerHello.parse(trace["server_hello"][9:]).pack() == trace["server_hello"][5:]
    packers: dict[int, Callable[[bytes], bytes]] = {
        HandshakeType.encrypted_extensions: lambda body: EncryptedExtensions.parse(body).pack(),
        HandshakeType.certificate_request: lambda body: CertificateRequest.parse(body).pack(),
        HandshakeType.certificate: lambda body: Certificate.parse(body).pack(),
        HandshakeType.certificate_verify: lambda body: CertificateVerify.parse(body).pack(),
    }
    packed = 0
    for message in keys.server_messages:
        if message[0] in packers:
            assert packers[message[0]](message[4:]) == message
            packed += 1
    assert packed >= 3


def test_rfc8448_3_client(provider: Provider, rfc8448: dict[str, Trace]) -> None:
    trace = rfc8448["3"]
    sessions = SessionCache()
    client = replay_client(provider, trace, sessions)
    assert client.take() == trace["client_hello"]
    client.give(trace["server_hello"] + trace["server_flight"])
    assert client.established
    assert client.take() == trace["client_flight"]
    client.give(trace["new_session_ticket"])
    assert client.engine.write([DATA]) == len(DATA)
    assert client.take() == trace["client_data"]
    client.give(trace["server_data"])
    assert client.data == DATA
    client.engine.close_write()
    assert client.take() == trace["client_close"]
    client.give(trace["server_close"])
    assert isinstance(client.events[-1], PeerClosed)
    (stored,) = sessions._sessions.values()
    assert stored[0].secret == trace["resumption_psk"]


def test_rfc8448_3_server(provider: Provider, rfc8448: dict[str, Trace], credential: Credential) -> None:
    trace = rfc8448["3"]
    keys = Keys(provider, trace)
    server = replay_server(trace, keys, ServerConfig((credential,)), "rsa_pss_rsae_sha256")
    server.give(trace["client_hello"])
    assert server.take() == trace["server_hello"] + trace["server_flight"]
    server.give(trace["client_flight"])
    assert server.established
    ticket = Keys.open(keys, keys.server_application, trace["new_session_ticket"])[0]
    assert NewSessionTicket.parse(ticket[4:]).pack() == ticket
    server.engine.send(ticket)
    server.engine.flush()
    assert server.take() == trace["new_session_ticket"]
    server.give(trace["client_data"])
    assert server.data == DATA
    server.engine.write([DATA])
    assert server.take() == trace["server_data"]
    server.give(trace["client_close"])
    server.engine.close_write()
    assert server.take() == trace["server_close"]
    assert isinstance(server.events[-1], PeerClosed)


def test_rfc8448_4_resumption(provider: Provider, rfc8448: dict[str, Trace]) -> None:
    trace = rfc8448["4"]
    psk = rfc8448["3"]["resumption_psk"]
    keys = Keys(provider, trace, psk)
    hello = trace["client_hello"][5:]
    offered = parse_offered_psks(ClientHello.parse(hello[4:]).extensions[ExtensionType.pre_shared_key])
    truncated = hello[: -offered.binders_length]
    assert offered.binders == [keys.early.binder(hashlib.sha256(truncated).digest())]
    early = keys.opener(keys.early.client_traffic(hashlib.sha256(hello).digest()))
    record = trace["early_data"]
    assert early.open(record[:5], record[5:]) == b"ABCDEF\x17"
    record = trace["end_of_early_data"]
    end = early.open(record[:5], record[5:])
    assert end == b"\x05\0\0\0\x16"
    assert [message[0] for message in keys.server_messages] == [8, 20]
    transcript = Transcript(provider)
    transcript.choose("sha256")
    for message in (hello, trace["server_hello"][5:], keys.server_messages[0]):
        transcript.add(message)
    assert keys.server_messages[1][4:] == keys.kdf.verify_data(keys.server_handshake, transcript.digest())
    keys.transcript.add(end[:4])
    (finished,) = keys.open(keys.client_handshake, trace["client_flight"])
    assert finished[4:] == keys.kdf.verify_data(keys.client_handshake, keys.transcript.digest())
    for secret, name in ((keys.client_application, "client"), (keys.server_application, "server")):
        opener = keys.opener(secret)
        record = trace[f"{name}_data"]
        assert opener.open(record[:5], record[5:]) == DATA + b"\x17"
        record = trace[f"{name}_close"]
        assert opener.open(record[:5], record[5:]) == b"\x01\0\x15"


def test_rfc8448_4_client(provider: Provider, rfc8448: dict[str, Trace]) -> None:
    """0-RTT data, EndOfEarlyData and all, byte for byte."""
    trace = rfc8448["4"]
    secret = rfc8448["3"]["resumption_psk"]
    offered = parse_offered_psks(
        ClientHello.parse(trace["client_hello"][9:]).extensions[ExtensionType.pre_shared_key]
    )
    ticket = offered.identities[0].identity
    session = ClientSession(
        ticket, secret, "TLS_AES_128_GCM_SHA256", "server", b"", 0, 0.0, 2e9, max_early_data=1024
    )
    kdf = Kdf(provider, "sha256")
    psk = OfferedPsk(ticket, kdf, b"res binder", EarlyStage(kdf, secret), session)
    client = replay_client(provider, trace, psks=[psk])
    assert client.take() == trace["client_hello"]
    assert client.engine.write_early([b"ABC", b"DEF"]) == 6
    assert client.take() == trace["early_data"]
    client.give(trace["server_hello"] + trace["server_flight"])
    assert client.established
    assert client.engine.negotiated is not None
    assert client.engine.negotiated.resumed
    assert client.engine.negotiated.early_data == "accepted"
    assert client.take() == trace["end_of_early_data"] + trace["client_flight"]
    client.engine.write([DATA])
    assert client.take() == trace["client_data"]
    client.give(trace["server_data"])
    assert client.data == DATA
    client.engine.close_write()
    assert client.take() == trace["client_close"]
    client.give(trace["server_close"])
    assert isinstance(client.events[-1], PeerClosed)


def test_rfc8448_4_server(
    provider: Provider, rfc8448: dict[str, Trace], credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ticket is NSS's and can't be opened here; all else is our own."""
    trace = rfc8448["4"]
    secret = rfc8448["3"]["resumption_psk"]
    keys = Keys(provider, trace, secret)
    offered = parse_offered_psks(
        ClientHello.parse(trace["client_hello"][9:]).extensions[ExtensionType.pre_shared_key]
    )
    state = TicketState(
        0x1301,
        secret,
        1e9,
        age_add=offered.identities[0].obfuscated_age,
        max_early_data=1024,
        server_name="server",
    )
    monkeypatch.setattr(server_psks, "open_ticket", lambda ticket, keys, provider, wall: state)
    config = ServerConfig((credential,), tickets=TicketKeys(count=0), early_data=EarlyDataGuard())
    server = replay_server(trace, keys, config, "")
    server.give(trace["client_hello"])
    assert server.take() == trace["server_hello"] + trace["server_flight"]
    server.give(trace["early_data"])
    server.pull()
    (early,) = server.events
    assert isinstance(early, EarlyData)
    assert early.data == b"ABCDEF"
    server.give(trace["end_of_early_data"] + trace["client_flight"])
    server.pull()
    assert server.established
    server.give(trace["client_data"])
    assert server.data == DATA
    server.engine.write([DATA])
    assert server.take() == trace["server_data"]
    server.give(trace["client_close"])
    server.engine.close_write()
    assert server.take() == trace["server_close"]
    assert isinstance(server.events[-1], PeerClosed)


def test_rfc8448_5_client(
    provider: Provider, rfc8448: dict[str, Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = rfc8448["5"]
    client = replay_client(provider, trace)
    assert client.take() == trace["client_hello"]
    # The second hello of NSS is padded; ours is the recorded one, its key share included.
    second = trace["client_hello_2"][5:]
    handshake = client.engine._handshake
    assert isinstance(handshake, ClientHandshake)
    exchange = provider.key_exchange("secp256r1")
    monkeypatch.setattr(
        type(exchange), "generate", lambda self, random: self.from_private_bytes(trace["client_private_2"])
    )
    packed = ClientHello.parse(second[4:]).extensions
    monkeypatch.setattr(ClientHandshake, "_with_binders", lambda self, hello: second)
    client.give(trace["hello_retry_request"])
    assert client.take() == trace["client_hello_2"]
    for code in (ExtensionType.key_share, ExtensionType.cookie):
        assert handshake._hello.extensions[code] == packed[code]
    client.give(trace["server_hello"] + trace["server_flight"])
    assert client.established
    assert client.take() == trace["client_flight"]
    client.engine.close_write()
    assert client.take() == trace["client_close"]
    client.give(trace["server_close"])
    assert isinstance(client.events[-1], PeerClosed)


def test_rfc8448_5_server(provider: Provider, rfc8448: dict[str, Trace], credential: Credential) -> None:
    trace = rfc8448["5"]
    keys = Keys(provider, trace)
    config = ServerConfig((credential,), groups=("secp256r1",), retry_cookie=True)
    server = replay_server(trace, keys, config, "rsa_pss_rsae_sha256")
    server.give(trace["client_hello"])
    assert server.take() == trace["hello_retry_request"]
    server.give(trace["client_hello_2"])
    assert server.take() == trace["server_hello"] + trace["server_flight"]
    server.give(trace["client_flight"])
    assert server.established
    server.give(trace["client_close"])
    server.engine.close_write()
    assert server.take() == trace["server_close"]


def test_rfc8448_6_client(provider: Provider, rfc8448: dict[str, Trace]) -> None:
    trace = rfc8448["6"]
    keys = Keys(provider, trace)
    shown = recorded_credential(
        keys.open(keys.client_handshake, trace["client_flight"]), "rsa_pss_rsae_sha256"
    )
    client = replay_client(provider, trace, credential=shown)
    assert client.take() == trace["client_hello"]
    client.give(trace["server_hello"] + trace["server_flight"])
    assert client.established
    assert client.take() == trace["client_flight"]
    client.engine.close_write()
    assert client.take() == trace["client_close"]


def test_rfc8448_6_server(
    provider: Provider, rfc8448: dict[str, Trace], credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = rfc8448["6"]
    keys = Keys(provider, trace)
    config = ServerConfig((credential,), client_auth="required", client_roots=credential.chain)
    server = replay_server(trace, keys, config, "ecdsa_secp256r1_sha256")
    server.give(trace["client_hello"])
    assert server.take() == trace["server_hello"] + trace["server_flight"]
    # The trace's certificate is self-signed and expired: its key is what matters here.
    monkeypatch.setattr(
        "mungos.tls.engines.builtin.server.verify_client",
        lambda chain, roots, provider, wall: type(
            "Path", (), {"public_key": ParsedCertificate(chain[0]).public_key(provider)}
        ),
    )
    server.give(trace["client_flight"])
    (established,) = server.events
    assert isinstance(established, Established)
    assert len(established.negotiated.peer_chain) == 1
    server.give(trace["client_close"])
    server.engine.close_write()
    assert server.take() == trace["server_close"]


def test_rfc8448_7_client(provider: Provider, rfc8448: dict[str, Trace]) -> None:
    trace = rfc8448["7"]
    client = replay_client(provider, trace)
    assert client.take() == trace["client_hello"]
    client.give(trace["server_hello"] + trace["server_ccs"] + trace["server_flight"])
    assert client.established
    assert client.take() == trace["client_ccs"] + trace["client_flight"]
    client.engine.close_write()
    assert client.take() == trace["client_close"]


def test_rfc8448_7_server(provider: Provider, rfc8448: dict[str, Trace], credential: Credential) -> None:
    trace = rfc8448["7"]
    keys = Keys(provider, trace)
    server = replay_server(trace, keys, ServerConfig((credential,)), "rsa_pss_rsae_sha256")
    server.give(trace["client_hello"])
    assert records(server.take()) == [trace["server_hello"], trace["server_ccs"], trace["server_flight"]]
    server.give(trace["client_ccs"] + trace["client_flight"])
    assert server.established
    server.engine.close_write()
    assert server.take() == trace["server_close"]

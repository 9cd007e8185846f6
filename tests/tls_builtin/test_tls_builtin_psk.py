"""Pre-shared keys from outside TLS (RFC 8446 sections 4.2.9 to 4.2.11, RFC 9258)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.errors import Misuse, PeerIncompatible, PeerMisbehaved
from mungos.tls import ClientConfig, Credential, ExternalPsk, ServerConfig, SessionCache, TicketKeys
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.contract import Negotiated
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType, HandshakeType, ServerHello
from mungos.tls.engines.builtin.messages.extensions import (
    OfferedPsks,
    PskIdentity,
    pack_offered_psks,
    pack_uints,
    parse_offered_psks,
)
from mungos.tls.engines.builtin.psks import imported, load_psks
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import WALL, End, factory, hooked_client, hooked_server, meet, only, pump

KEY = bytes(range(32))
PSK = ExternalPsk(b"device 7", KEY)
PSK384 = ExternalPsk(b"device 384", KEY[::-1], "sha384")
OTHER = ExternalPsk(b"device 8", KEY[::-1])
SHA384 = "TLS_AES_256_GCM_SHA384"


def agreed(client: End, server: End) -> Negotiated:
    """What both sides say, in one."""
    one, other = client.engine.negotiated, server.engine.negotiated
    assert one is not None, client.events
    assert other is not None, server.events
    assert (one.psk_identity, one.resumed, one.suite) == (other.psk_identity, other.resumed, other.suite)
    return one


def known(*psks: ExternalPsk, **options: object) -> ServerConfig:
    """A server that has keys and no certificate."""
    return ServerConfig(psks=psks or (PSK,), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("psk", "hash_name"), [(PSK, "SHA256"), (PSK384, "SHA384")])
@pytest.mark.parametrize("name", [None, "localhost"])
def test_key_in_place_of_a_certificate(
    authority: Authority, psk: ExternalPsk, hash_name: str, name: str | None
) -> None:
    client, server = meet(ClientConfig(roots=authority.roots, psks=(psk,)), known(psk), name=name)
    found = agreed(client, server)
    assert found.psk_identity == psk.identity
    assert found.suite.endswith(hash_name)
    assert found.group is not None
    assert found.scheme is None
    assert found.peer_chain == ()
    assert not found.resumed
    client.engine.write([b"there"])
    server.engine.write([b"back"])
    pump(client, server)
    assert client.data == b"back"
    assert server.data == b"there"


def test_first_of_several_keys_that_the_server_knows(authority: Authority) -> None:
    config = ClientConfig(roots=authority.roots, psks=(OTHER, PSK384, PSK))
    assert agreed(*meet(config, known(PSK))).psk_identity == PSK.identity
    assert agreed(*meet(config, known(PSK, PSK384))).psk_identity == PSK384.identity
    assert agreed(*meet(config, known(PSK384, PSK, OTHER))).psk_identity == OTHER.identity


def test_known_key_goes_before_the_preferred_suite(authority: Authority) -> None:
    config = ClientConfig(roots=authority.roots, psks=(PSK384,))
    found = agreed(*meet(config, known(PSK384, suites=("TLS_AES_128_GCM_SHA256", SHA384))))
    assert found.suite == SHA384


def test_unknown_identity_falls_back_to_the_certificate(authority: Authority, credential: Credential) -> None:
    client, server = meet(
        ClientConfig(roots=authority.roots, psks=(OTHER,)), ServerConfig((credential,), psks=(PSK,))
    )
    found = agreed(client, server)
    assert found.psk_identity is None
    assert found.peer_chain
    assert found.scheme is not None


def test_known_identity_is_preferred_to_the_certificate(authority: Authority, credential: Credential) -> None:
    config = ClientConfig(roots=authority.roots, psks=(PSK,))
    assert agreed(*meet(config, ServerConfig((credential,), psks=(PSK,)))).psk_identity == PSK.identity


def test_client_without_a_key_gets_the_certificate(authority: Authority, credential: Credential) -> None:
    found = agreed(*meet(ClientConfig(roots=authority.roots), ServerConfig((credential,), psks=(PSK,))))
    assert found.peer_chain


def test_rfc8446_6_2_unknown_identity_and_no_certificate(authority: Authority) -> None:
    client, server = meet(ClientConfig(roots=authority.roots, psks=(OTHER,)), known())
    assert server.failure.alert is client.failure.alert is Alert.unknown_psk_identity
    assert isinstance(server.failure.error, PeerIncompatible)
    assert isinstance(client.failure.error, PeerIncompatible)


def test_rfc8446_4_1_1_no_key_and_no_certificate(client_config: ClientConfig) -> None:
    client, server = meet(client_config, known())
    assert server.failure.alert is client.failure.alert is Alert.handshake_failure


def test_rfc8446_4_2_11_key_of_another_hash_is_not_used(authority: Authority, credential: Credential) -> None:
    config = ClientConfig(roots=authority.roots, psks=(PSK384,), suites=("TLS_AES_128_GCM_SHA256", SHA384))
    plain = ServerConfig((credential,), psks=(PSK,), suites=("TLS_AES_128_GCM_SHA256",))
    assert agreed(*meet(config, plain)).psk_identity is None
    # The same identity, with another hash on the other side: the binder is looked for with ours.
    same = ExternalPsk(PSK384.identity, PSK384.key, "sha256")
    _, server = meet(config, known(same))
    assert server.failure.alert is Alert.decrypt_error


def test_wrong_key_is_a_wrong_binder(authority: Authority) -> None:
    wrong = ExternalPsk(PSK.identity, bytes(32))
    client, server = meet(ClientConfig(roots=authority.roots, psks=(wrong,)), known())
    assert server.failure.alert is client.failure.alert is Alert.decrypt_error
    assert isinstance(server.failure.error, PeerMisbehaved)


def test_binders_are_compared_in_constant_time(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    right = CryptographyProvider.constant_time_equal

    def watched(self: CryptographyProvider, one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return right(self, one, other)

    monkeypatch.setattr(CryptographyProvider, "constant_time_equal", watched)
    server = End(factory(2).server(known()))
    client = End(factory(1).client(ClientConfig(roots=authority.roots, psks=(PSK,)), "localhost"))
    server.give(client.take())
    assert compared == [32]


def test_resumption_binder_does_not_do_for_a_key_from_outside(authority: Authority) -> None:
    """The labels keep the two kinds apart (section 7.1)."""
    config = ClientConfig(roots=authority.roots, psks=(PSK,))
    client = factory(1).client(config, "localhost")
    assert client._prepared.psks[0].binder == b"ext binder"
    client._prepared.psks = (replace(client._prepared.psks[0], binder=b"res binder"),)
    server = End(factory(2).server(known()))
    pump(End(client), server)
    assert server.failure.alert is Alert.decrypt_error


def change_hello(change: Callable[[ClientHello], None]) -> Callable[[bytes], bytes]:
    def alter(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        change(parsed)
        return parsed.pack()

    return alter


def _psk_ke_only(parsed: ClientHello) -> None:
    parsed.extensions[ExtensionType.psk_key_exchange_modes] = pack_uints(1, 1, [0])


def _no_modes(parsed: ClientHello) -> None:
    del parsed.extensions[ExtensionType.psk_key_exchange_modes]


def _two_binders(parsed: ClientHello) -> None:
    offered = parse_offered_psks(parsed.extensions[ExtensionType.pre_shared_key])
    offered.binders.append(bytes(32))
    parsed.extensions[ExtensionType.pre_shared_key] = pack_offered_psks(offered)


def _short_binder(parsed: ClientHello) -> None:
    offered = OfferedPsks([PskIdentity(PSK.identity, 0)], [bytes(31)])
    parsed.extensions[ExtensionType.pre_shared_key] = pack_offered_psks(offered)


def _long_binder(parsed: ClientHello) -> None:
    offered = OfferedPsks([PskIdentity(PSK.identity, 0)], [bytes(33)])
    parsed.extensions[ExtensionType.pre_shared_key] = pack_offered_psks(offered)


def _no_identity(parsed: ClientHello) -> None:
    offered = OfferedPsks([PskIdentity(b"", 0)], [bytes(32)])
    parsed.extensions[ExtensionType.pre_shared_key] = pack_offered_psks(offered)


def _not_last(parsed: ClientHello) -> None:
    parsed.extensions[ExtensionType.padding] = b"\0"


@pytest.mark.parametrize(
    ("change", "alert"),
    [
        (_psk_ke_only, Alert.unknown_psk_identity),
        (_no_modes, Alert.missing_extension),
        (_two_binders, Alert.illegal_parameter),
        (_short_binder, Alert.decode_error),
        (_long_binder, Alert.decrypt_error),
        (_no_identity, Alert.decode_error),
        (_not_last, Alert.illegal_parameter),
    ],
)
def test_rfc8446_4_2_11_what_a_client_may_not_offer(
    authority: Authority, change: Callable[[ClientHello], None], alert: Alert
) -> None:
    hook = only(HandshakeType.client_hello, change_hello(change))
    client = hooked_client(ClientConfig(roots=authority.roots, psks=(PSK,)), hook)
    server = End(factory().server(known()))
    pump(client, server)
    assert server.failure.alert is alert


def test_only_the_first_keys_are_looked_at(authority: Authority) -> None:
    many = tuple(ExternalPsk(b"key %d" % number, KEY) for number in range(8))
    assert agreed(*meet(ClientConfig(roots=authority.roots, psks=(*many[1:], PSK)), known())).psk_identity
    _, server = meet(ClientConfig(roots=authority.roots, psks=(*many, PSK)), known())
    assert server.failure.alert is Alert.unknown_psk_identity


def change_answer(change: Callable[[ServerHello], None]) -> Callable[[bytes], bytes]:
    def alter(message: bytes) -> bytes:
        parsed = ServerHello.parse(message[4:])
        change(parsed)
        return parsed.pack()

    return alter


def _select(index: int) -> Callable[[ServerHello], None]:
    return lambda parsed: parsed.extensions.update({ExtensionType.pre_shared_key: index.to_bytes(2, "big")})


def _unselect(parsed: ServerHello) -> None:
    del parsed.extensions[ExtensionType.pre_shared_key]


def _no_share(parsed: ServerHello) -> None:
    del parsed.extensions[ExtensionType.key_share]


@pytest.mark.parametrize(
    ("change", "alert"),
    [
        (_select(2), Alert.illegal_parameter),
        (_select(1), Alert.illegal_parameter),  # its hash is another
        (_no_share, Alert.missing_extension),
        (_unselect, Alert.handshake_failure),
    ],
)
def test_rfc8446_4_2_11_what_a_server_may_not_answer(
    change: Callable[[ServerHello], None], alert: Alert
) -> None:
    """The client has no name to verify: nothing but its keys proves who the server is."""
    client = End(factory(1).client(ClientConfig(psks=(PSK, PSK384)), None))
    server = hooked_server(known(), only(HandshakeType.server_hello, change_answer(change)))
    server.give(client.take())
    client.give(server.take())
    client.pull()
    assert client.failure.alert is alert


def test_without_a_name_no_certificate_is_asked_for(authority: Authority) -> None:
    client = End(factory(1).client(ClientConfig(roots=authority.roots, psks=(PSK,)), None))
    hello = ClientHello.parse(client.take()[9:])
    assert ExtensionType.signature_algorithms not in hello.extensions
    assert ExtensionType.server_name not in hello.extensions


def test_without_a_name_a_certificate_can_t_be_shown(authority: Authority, credential: Credential) -> None:
    client, server = meet(
        ClientConfig(roots=authority.roots, psks=(OTHER,)),
        ServerConfig((credential,), psks=(PSK,)),
        name=None,
    )
    assert server.failure.alert is client.failure.alert is Alert.missing_extension


def test_identity_s_age_is_zero(authority: Authority) -> None:
    """Section 4.2.11: "an obfuscated_ticket_age of 0 SHOULD be used" for keys from outside."""
    client = End(factory(1).client(ClientConfig(roots=authority.roots, psks=(PSK, PSK384)), "localhost"))
    hello = ClientHello.parse(client.take()[9:])
    offered = parse_offered_psks(hello.extensions[ExtensionType.pre_shared_key])
    assert offered.identities == [PskIdentity(PSK.identity, 0), PskIdentity(PSK384.identity, 0)]
    assert [len(binder) for binder in offered.binders] == [32, 48]


def test_hello_retry_request_with_keys(authority: Authority) -> None:
    """The binders are made anew, and only for the suite's hash (section 4.1.4)."""
    config = ClientConfig(roots=authority.roots, psks=(PSK384, PSK))
    hellos: list[ClientHello] = []

    def watch(message: bytes) -> bytes:
        if message[0] == HandshakeType.client_hello:
            hellos.append(ClientHello.parse(message[4:]))
        return message

    client = hooked_client(config, watch)
    server = End(factory().server(known(PSK, groups=("secp384r1",), retry_cookie=True)))
    pump(client, server)
    assert agreed(client, server).psk_identity == PSK.identity
    offered = [parse_offered_psks(hello.extensions[ExtensionType.pre_shared_key]) for hello in hellos]
    assert [len(each.identities) for each in offered] == [2, 1]
    assert offered[1].identities[0].identity == PSK.identity


def test_hello_retry_request_without_the_key_the_second_time(authority: Authority) -> None:
    seen: list[bytes] = []

    def forget(message: bytes) -> bytes:
        seen.append(message)
        if message[0] != HandshakeType.client_hello or len(seen) == 1:
            return message
        parsed = ClientHello.parse(message[4:])
        del parsed.extensions[ExtensionType.pre_shared_key]
        return parsed.pack()

    client = hooked_client(ClientConfig(roots=authority.roots, psks=(PSK,)), forget)
    server = End(factory().server(known(groups=("secp384r1",))))
    pump(client, server)
    assert server.failure.alert is Alert.handshake_failure


# Tickets that stand for a key


def test_ticket_of_a_session_by_key(authority: Authority) -> None:
    sessions = SessionCache()
    client_config = ClientConfig(roots=authority.roots, psks=(PSK,), sessions=sessions, wall=lambda: WALL)
    tickets = TicketKeys(count=1)
    server_config = known(tickets=tickets, wall=lambda: WALL)
    assert not agreed(*meet(client_config, server_config)).resumed
    second = agreed(*meet(client_config, server_config, seed=1))
    assert second.resumed
    assert second.psk_identity == PSK.identity
    # A server that does not know the key any more does not know the ticket either.
    _, server = meet(client_config, known(OTHER, tickets=tickets, wall=lambda: WALL), seed=2)
    assert server.failure.alert is Alert.unknown_psk_identity


def test_ticket_and_key_are_offered_together(authority: Authority) -> None:
    sessions = SessionCache()
    config = ClientConfig(roots=authority.roots, psks=(PSK,), sessions=sessions, wall=lambda: WALL)
    meet(config, known(tickets=TicketKeys(count=1), wall=lambda: WALL))
    # Tickets of a server that forgot its keys: the second thing that is offered does.
    found = agreed(*meet(config, known(tickets=TicketKeys(count=1), wall=lambda: WALL), seed=1))
    assert not found.resumed
    assert found.psk_identity == PSK.identity


def test_sessions_are_not_shared_with_other_keys(authority: Authority, credential: Credential) -> None:
    sessions = SessionCache()
    server = ServerConfig((credential,), psks=(PSK,), tickets=TicketKeys(count=1), wall=lambda: WALL)
    with_key = ClientConfig(roots=authority.roots, psks=(PSK,), sessions=sessions, wall=lambda: WALL)
    without = ClientConfig(roots=authority.roots, sessions=sessions, wall=lambda: WALL)
    meet(with_key, server)
    assert not agreed(*meet(without, server, seed=1)).resumed


def test_client_with_a_key_is_not_asked_for_a_certificate(
    authority: Authority, credential: Credential
) -> None:
    """Section 4.3.2: a server that authenticates with a PSK sends no CertificateRequest."""
    server = ServerConfig((credential,), psks=(PSK,), client_auth="optional", client_roots=authority.roots)
    _, end = meet(ClientConfig(roots=authority.roots, psks=(PSK,), credential=credential), server)
    assert end.established
    assert end.engine.negotiated is not None
    assert end.engine.negotiated.peer_chain == ()


# RFC 9258


def test_rfc9258_5_1_imported_key_by_the_letter() -> None:
    """Against hmac and hashlib alone."""
    external = ExternalPsk(b"id", KEY, "sha256", imported=True, context=b"ctx")
    for hash_name, target, length in (("sha256", 1, 32), ("sha384", 2, 48)):
        found = imported(external, hash_name, target, CryptographyProvider())  # type: ignore[arg-type]
        identity = b"\0\2id" + b"\0\3ctx" + b"\3\4" + target.to_bytes(2, "big")
        assert found.identity == identity
        extracted = hmac.digest(bytes(32), KEY, "sha256")
        label = b"tls13 derived psk"
        digest = hashlib.sha256(identity).digest()
        info = length.to_bytes(2, "big") + bytes((len(label),)) + label + bytes((32,)) + digest
        blocks, last = b"", b""
        for number in (1, 2):
            last = hmac.digest(extracted, last + info + bytes((number,)), "sha256")
            blocks += last
        assert found.key == blocks[:length]
        assert found.binder == b"imp binder"
        assert found.name == b"id"


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", SHA384])
def test_rfc9258_imported_key_serves_every_hash(authority: Authority, suite: str) -> None:
    psk = ExternalPsk(b"imported", KEY, imported=True, context=b"a lamp, to its switch")
    found = agreed(*meet(ClientConfig(roots=authority.roots, psks=(psk,)), known(psk, suites=(suite,))))
    assert found.psk_identity == b"imported"
    assert found.suite == suite


def test_rfc9258_imported_and_not_imported_differ(authority: Authority) -> None:
    psk = ExternalPsk(PSK.identity, KEY, imported=True)
    _, server = meet(ClientConfig(roots=authority.roots, psks=(psk,)), known(PSK))
    assert server.failure.alert is Alert.unknown_psk_identity
    other = replace(psk, context=b"other")
    _, server = meet(ClientConfig(roots=authority.roots, psks=(psk,)), known(other))
    assert server.failure.alert is Alert.unknown_psk_identity


# Configurations


@pytest.mark.parametrize(
    "make",
    [
        lambda: ExternalPsk(b"", KEY),
        lambda: ExternalPsk(bytes(65536), KEY),
        lambda: ExternalPsk(b"x", bytes(15)),
        lambda: ExternalPsk(b"x", KEY, "sha512"),  # type: ignore[arg-type]
        lambda: ExternalPsk(b"x", KEY, context=b"x"),
        lambda: ExternalPsk(bytes(65536 - 8), KEY, imported=True),
        lambda: ExternalPsk(b"x", KEY, imported=True, context=bytes(65535 - 8)),
    ],
)
def test_keys_out_of_range_are_misuse(make: Callable[[], ExternalPsk]) -> None:
    with pytest.raises(Misuse):
        make()


@pytest.mark.parametrize(("size", "form"), [(65535, False), (65535 - 8, True)])
def test_longest_identities(size: int, form: bool) -> None:
    assert len(ExternalPsk(bytes(size), bytes(16), imported=form).identity) == size


def test_key_is_not_shown() -> None:
    assert KEY.hex() not in repr(PSK)
    assert repr(KEY) not in repr(PSK)
    loaded = load_psks((PSK,), {"sha256"}, CryptographyProvider())
    assert repr(KEY) not in repr(loaded)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ServerConfig(), "at least one credential"),
        (ServerConfig(psks=(PSK, PSK)), "two PSKs"),
        (ServerConfig(psks=(PSK384,), suites=("TLS_AES_128_GCM_SHA256",)), "no cipher suite"),
        (ServerConfig(psks=(PSK,), client_auth="required", client_roots=b""), "client_auth"),
    ],
)
def test_servers_that_can_t_work(config: ServerConfig, words: str) -> None:
    with pytest.raises(Misuse, match=words):
        factory().server(config)


def test_client_that_can_t_verify_anything() -> None:
    with pytest.raises(Misuse, match="server_name"):
        factory().client(ClientConfig(), None)
    with pytest.raises(Misuse, match="two PSKs"):
        factory().client(ClientConfig(psks=(PSK, PSK)), None)


@given(data=st.binary(max_size=200), at=st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_any_change_of_the_hello_ends_in_a_typed_failure(data: bytes, at: int) -> None:
    client = End(factory(1).client(ClientConfig(psks=(PSK,), groups=("x25519",)), None))
    hello = bytearray(client.take())
    changed = hello[:at] + data + hello[at + len(data) :]
    server = End(factory(2).server(known(groups=("x25519",))))
    server.give(bytes(changed))
    server.engine.receive_eof(0.0)
    server.pull()
    if bytes(changed[: len(hello)]) != bytes(hello):
        assert server.failed
        assert server.engine.ending is not None

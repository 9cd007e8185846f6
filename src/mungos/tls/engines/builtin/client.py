"""The client's handshake (RFC 8446 section 2 and appendix A.1).

A state is named by the message that it waits for; `STEPS` is the one table of what may come when. Handling a
message consumes the state: while a step runs there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from mungos.crypto.contract import KeyShare, PublicKey
from mungos.errors import Misuse
from mungos.tls.contract import Negotiated
from mungos.tls.engines.builtin.credentials import choose_scheme
from mungos.tls.engines.builtin.faults import (
    DecodeError,
    IllegalParameter,
    MissingExtension,
    UnexpectedMessage,
    VersionNotSpoken,
)
from mungos.tls.engines.builtin.handshake import CLIENT_CONTEXT, SERVER_CONTEXT, Channel, Handshake, Outcome
from mungos.tls.engines.builtin.key_schedule import EarlyStage, HandshakeStage
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateRequest,
    ClientHello,
    Context,
    EncryptedExtensions,
    ExtensionType,
    HandshakeType,
    ServerHello,
)
from mungos.tls.engines.builtin.messages.extensions import (
    OfferedPsks,
    PskIdentity,
    check_solicited,
    pack_key_shares,
    pack_offered_psks,
    pack_server_name,
    parse_cookie,
    parse_empty,
    parse_key_share,
    parse_single_alpn,
    parse_uint16,
    parse_uint16s,
)
from mungos.tls.engines.builtin.messages.registry import TLS12, TLS13
from mungos.tls.engines.builtin.preparation import PreparedClient
from mungos.tls.engines.builtin.suites import GROUP_CODES, GROUP_NAMES, SUITES, SUITES_BY_CODE, Suite
from mungos.tls.sessions import ClientSession
from mungos.x509 import Certificate as ParsedCertificate
from mungos.x509 import CertificateError, verify_server

__all__ = ["STEPS", "ClientHandshake", "ClientState"]

_HYBRIDS = frozenset({"X25519MLKEM768"})
_DOWNGRADE = frozenset({b"DOWNGRD\x01", b"DOWNGRD\x00"})


class ClientState(Enum):
    """What the client waits for."""

    START = "Start"
    AWAIT_SERVER_HELLO = "AwaitServerHello"
    AWAIT_SECOND_SERVER_HELLO = "AwaitSecondServerHello"
    AWAIT_ENCRYPTED_EXTENSIONS = "AwaitEncryptedExtensions"
    AWAIT_CERTIFICATE_OR_REQUEST = "AwaitCertificateOrRequest"
    AWAIT_CERTIFICATE = "AwaitCertificate"
    AWAIT_CERTIFICATE_VERIFY = "AwaitCertificateVerify"
    AWAIT_FINISHED = "AwaitFinished"
    CONSUMED = "Consumed"
    COMPLETE = "Complete"

    __hash__ = object.__hash__  # of a singleton, and quick: `STEPS` is asked for each message


class ClientHandshake(Handshake):
    """From the first hello to the client's Finished.

    Args:
        prepared: the configuration.
        channel: the record layer.
        server_name: what the certificate must bear, normalised; None without verification.
        sni: the name that is sent, None for an address.
    """

    __slots__ = (
        "_alpn",
        "_chain",
        "_client_secret",
        "_early",
        "_group",
        "_hello",
        "_public_key",
        "_request",
        "_retried",
        "_scheme",
        "_server_name",
        "_server_secret",
        "_session",
        "_shares",
        "_sni",
        "_stage",
        "_told_middleboxes",
        "prepared",
        "state",
    )

    prepared: PreparedClient

    def __init__(
        self, prepared: PreparedClient, channel: Channel, server_name: str | None, sni: str | None
    ) -> None:
        super().__init__(prepared, channel)
        self.state = ClientState.START
        self._server_name = server_name
        self._sni = sni
        self._hello = ClientHello(b"", b"", [])
        self._shares: dict[str, KeyShare] = {}
        self._session: ClientSession | None = None
        self._early: EarlyStage | None = None  # from the session that was offered
        self._stage: HandshakeStage | None = None
        self._group = ""
        self._retried: Suite | None = None
        self._told_middleboxes = False
        self._client_secret = self._server_secret = b""
        self._alpn: str | None = None
        self._request: CertificateRequest | None = None
        self._chain: tuple[bytes, ...] = ()
        self._public_key: PublicKey | None = None
        self._scheme: str | None = None

    def start(self) -> None:
        """Send the ClientHello."""
        prepared = self.prepared
        groups = prepared.groups
        offered = [groups[0]]
        if groups[0] in _HYBRIDS:
            # A server without the hybrid then needs no HelloRetryRequest.
            offered += [group for group in groups if group not in _HYBRIDS][:1]
        shares = [prepared.provider.key_exchange(group).generate(prepared.random) for group in offered]
        # Appendix D.4: a legacy_session_id that is not empty makes the handshake look like a resumption to
        # middleboxes.
        hello = ClientHello(prepared.random(32), prepared.random(32), prepared.suite_codes)
        extensions = hello.extensions
        if self._sni is not None:
            extensions[ExtensionType.server_name] = pack_server_name(self._sni)
        extensions |= prepared.extensions
        extensions[ExtensionType.key_share] = pack_key_shares(
            [(GROUP_CODES[share.group], share.public) for share in shares]
        )
        self._session = self._resumable()
        self.begin(hello, shares)

    def begin(self, hello: ClientHello, shares: list[KeyShare], message: bytes | None = None) -> None:
        """Send this hello; `message` is its encoding where that is given."""
        self._hello = hello
        self._shares = {share.group: share for share in shares}
        self.client_random = hello.random
        self.send(message or self._with_binder(hello))
        self.state = ClientState.AWAIT_SERVER_HELLO

    def expects(self, kind: int) -> bool:
        """Whether a message of this type may come now."""
        return (self.state, kind) in STEPS

    def handle(self, kind: int, message: bytes) -> None:
        """One whole message of the server, header included."""
        step = STEPS.get((self.state, kind))
        if step is None:
            raise UnexpectedMessage(f"handshake message of type {kind} in state {self.state.value}")
        self.state = ClientState.CONSUMED
        self.state = step(self, message)

    # The first flight

    def _resumable(self) -> ClientSession | None:
        prepared = self.prepared
        if prepared.sessions is None or self._server_name is None:
            return None
        session = prepared.sessions.take(self._server_name, prepared.trust, prepared.wall())
        if session is None:
            return None
        # Section 4.2.11: a PSK is bound to the hash of its suite.
        hashes = {suite.hash for suite in prepared.suites}
        return session if SUITES[session.suite].hash in hashes else None

    def _with_binder(self, hello: ClientHello) -> bytes:
        """The hello's encoding, with the ticket at its end if there is one (section 4.2.11)."""
        hello.extensions.pop(ExtensionType.pre_shared_key, None)
        session = self._session
        if session is None:
            return hello.pack()
        kdf = self.prepared.kdfs[SUITES[session.suite].hash]
        age = int((self.prepared.wall() - session.obtained) * 1000)
        identity = PskIdentity(session.ticket, (age + session.age_add) & 0xFFFFFFFF)
        # Zeros stand for the binder, which is the end of the message, until it can be computed.
        offer = OfferedPsks([identity], [bytes(kdf.hash_length)])
        hello.extensions[ExtensionType.pre_shared_key] = pack_offered_psks(offer)
        binders_length = 2 + 1 + kdf.hash_length
        # Section 4.2.11.2: the binder covers the transcript up to the list of binders.
        packed = hello.pack()
        digest = self.transcript.digest_with(kdf.hash_name, packed[:-binders_length])
        early = self._early = EarlyStage(kdf, session.secret)
        return packed[: -kdf.hash_length] + early.binder(digest)

    # ServerHello and HelloRetryRequest

    def _server_hello(self, message: bytes) -> ClientState:
        hello = ServerHello.parse(message[4:])
        suite = self._check_hello(hello)
        if hello.is_retry:
            return self._retry(hello, suite, message)
        return self._agree(hello, suite, message)

    def _second_server_hello(self, message: bytes) -> ClientState:
        hello = ServerHello.parse(message[4:])
        # Section 4.1.4: a second HelloRetryRequest: unexpected_message.
        if hello.is_retry:
            raise UnexpectedMessage("a second HelloRetryRequest")
        suite = self._check_hello(hello)
        # Section 4.1.4: the cipher suite must be the one of the HelloRetryRequest.
        if suite is not self._retried:
            raise IllegalParameter(f"ServerHello: {suite.name} differs from the HelloRetryRequest's suite")
        return self._agree(hello, suite, message)

    def _check_hello(self, hello: ServerHello) -> Suite:
        context = Context.HRR if hello.is_retry else Context.SH
        what = context.value
        offered = self._hello.extensions
        if ExtensionType.supported_versions not in hello.extensions:
            # Section 4.1.3: a server that speaks TLS 1.3 and answers with less marks its random.
            if hello.random[-8:] in _DOWNGRADE:
                raise IllegalParameter(f"{what}: the server speaks TLS 1.3 but was led to answer with less")
            raise VersionNotSpoken(
                f"the server does not speak TLS 1.3 (it answers with {hello.legacy_version:#06x}); "
                "the engine 'openssl' also speaks TLS 1.2"
            )
        version = parse_uint16(hello.extensions[ExtensionType.supported_versions], "supported_versions")
        # Section 4.2.1: a version that was not offered, or one before TLS 1.3: illegal_parameter.
        if version != TLS13:
            raise IllegalParameter(f"{what}: version {version:#06x} was not offered")
        if hello.legacy_version != TLS12:
            raise IllegalParameter(f"{what}: legacy_version is {hello.legacy_version:#06x}, must be 0x0303")
        # Section 4.1.3: legacy_session_id_echo, cipher_suite, legacy_compression_method.
        if hello.session_id != self._hello.session_id:
            raise IllegalParameter(f"{what}: legacy_session_id_echo is not what was sent")
        if hello.compression != 0:
            raise IllegalParameter(f"{what}: legacy_compression_method is {hello.compression}, must be 0")
        if hello.suite not in self._hello.suites or hello.suite not in SUITES_BY_CODE:
            raise IllegalParameter(f"{what}: cipher suite {hello.suite:#06x} was not offered")
        # Section 4.2: a cookie is the one extension that comes unasked.
        solicited = {*offered, ExtensionType.cookie} if hello.is_retry else offered
        check_solicited(hello.extensions, solicited, context)
        return SUITES_BY_CODE[hello.suite]

    def _retry(self, answer: ServerHello, suite: Suite, message: bytes) -> ClientState:
        hello = self._hello
        cookie = answer.extensions.get(ExtensionType.cookie)
        if cookie is not None:
            parse_cookie(cookie)
        selected = answer.extensions.get(ExtensionType.key_share)
        # Section 4.1.4: one that would not change the ClientHello: illegal_parameter.
        if selected is None and cookie is None:
            raise IllegalParameter("HelloRetryRequest: it asks for no change")
        self.transcript.retry(suite.hash)
        self.transcript.add(message)
        if selected is not None:
            code = parse_uint16(selected, "key_share")
            offered = parse_uint16s(hello.extensions[ExtensionType.supported_groups], "supported_groups")
            group = GROUP_NAMES.get(code)
            # Section 4.2.8: the group must have been offered, and no share have been sent for it.
            if group is None or code not in offered:
                raise IllegalParameter(f"HelloRetryRequest: group {code:#06x} was not offered")
            if group in self._shares:
                raise IllegalParameter(f"HelloRetryRequest: a share for {group} was already sent")
            share = self.prepared.provider.key_exchange(group).generate(self.prepared.random)
            self._shares = {group: share}
            hello.extensions[ExtensionType.key_share] = pack_key_shares([(code, share.public)])
        if cookie is not None:
            # Section 4.2.2: it is copied into the second ClientHello.
            hello.extensions[ExtensionType.cookie] = cookie
        # Section 4.1.4: a PSK whose hash does not fit the suite is not offered again.
        if self._session is not None and SUITES[self._session.suite].hash != suite.hash:
            self._session = None
        self._retried = suite
        self._tell_middleboxes()
        self.send(self._with_binder(hello))
        return ClientState.AWAIT_SECOND_SERVER_HELLO

    def _agree(self, hello: ServerHello, suite: Suite, message: bytes) -> ClientState:
        self._accept_psk(hello, suite)
        # Section 4.2.9: with psk_dhe_ke, as without a PSK, the server must send a key_share.
        if ExtensionType.key_share not in hello.extensions:
            raise MissingExtension("ServerHello: key_share is missing")
        code, public = parse_key_share(hello.extensions[ExtensionType.key_share])
        group = GROUP_NAMES.get(code)
        # Section 4.2.8: a share for a group for which none was sent: illegal_parameter.
        if group is None or group not in self._shares:
            raise IllegalParameter(f"ServerHello: no share was sent for group {code:#06x}")
        self._group = group
        secret = self._shares[group].exchange(public)
        self._shares = {}
        kdf = self.prepared.kdfs[suite.hash]
        self.suite, self.kdf = suite, kdf
        self.transcript.choose(suite.hash)
        self.transcript.add(message)
        early = self._early if self._session is not None else None
        stage = (early or EarlyStage(kdf)).handshake(secret)
        self._early = None
        digest = self.transcript.digest()
        self._client_secret = stage.client_traffic(digest)
        self._server_secret = stage.server_traffic(digest)
        self.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", self._client_secret)
        self.log("SERVER_HANDSHAKE_TRAFFIC_SECRET", self._server_secret)
        self._stage = stage
        self.channel.read_with(suite, kdf, self._server_secret)
        self.channel.write_with(suite, kdf, self._client_secret)
        return ClientState.AWAIT_ENCRYPTED_EXTENSIONS

    def _accept_psk(self, hello: ServerHello, suite: Suite) -> None:
        body = hello.extensions.get(ExtensionType.pre_shared_key)
        if body is None:
            self._session = None
            return
        selected = parse_uint16(body, "pre_shared_key")
        # Section 4.2.11: the identity must be one that was offered, and its hash that of the suite.
        if selected != 0 or self._session is None:
            raise IllegalParameter(f"ServerHello: PSK identity {selected} was not offered")
        if SUITES[self._session.suite].hash != suite.hash:
            raise IllegalParameter(f"ServerHello: {suite.name} does not fit the hash of the PSK")

    # The server's parameters and authentication

    def _encrypted_extensions(self, message: bytes) -> ClientState:
        answers = EncryptedExtensions.parse(message[4:]).extensions
        check_solicited(answers, self._hello.extensions, Context.EE)
        if ExtensionType.server_name in answers:
            parse_empty(answers[ExtensionType.server_name], "server_name")
        if ExtensionType.supported_groups in answers:
            # Section 4.2.7: what the server would have liked; nothing is done with it.
            parse_uint16s(answers[ExtensionType.supported_groups], "supported_groups")
        alpn = answers.get(ExtensionType.application_layer_protocol_negotiation)
        if alpn is not None:
            name = parse_single_alpn(alpn)
            # RFC 7301 section 3.1: the answer is one of those that were offered.
            if name not in self.prepared.alpn:
                raise IllegalParameter(f"EncryptedExtensions: protocol {name!r} was not offered")
            self._alpn = name.decode("ascii")
        self.transcript.add(message)
        if self._session is not None:
            self._chain = self._session.peer_chain
            return ClientState.AWAIT_FINISHED
        return ClientState.AWAIT_CERTIFICATE_OR_REQUEST

    def _certificate_request(self, message: bytes) -> ClientState:
        request = CertificateRequest.parse(message[4:])
        # Section 4.3.2: the context is empty but for post-handshake authentication.
        if request.context:
            raise IllegalParameter(f"CertificateRequest: a context of {len(request.context)} bytes")
        if ExtensionType.signature_algorithms not in request.extensions:
            raise MissingExtension("CertificateRequest: signature_algorithms is missing")
        self._request = request
        self.transcript.add(message)
        return ClientState.AWAIT_CERTIFICATE

    def _certificate(self, message: bytes) -> ClientState:
        shown = Certificate.parse(message[4:])
        if shown.context:
            raise IllegalParameter(f"Certificate: a context of {len(shown.context)} bytes from a server")
        # Section 4.4.2.4: an empty Certificate of a server: decode_error.
        if not shown.entries:
            raise DecodeError("Certificate: the server shows none")
        for entry in shown.entries:
            check_solicited(entry.extensions, self._hello.extensions, Context.CT)
        self._chain = tuple(entry.certificate for entry in shown.entries)
        prepared = self.prepared
        if prepared.roots is None:
            self._public_key = ParsedCertificate(self._chain[0]).public_key(prepared.provider)
        else:
            if self._server_name is None:
                raise Misuse("a certificate can't be verified without a name")
            try:
                path = verify_server(
                    self._chain, self._server_name, prepared.roots, prepared.provider, prepared.wall()
                )
            except CertificateError as error:
                raise type(error)(f"the server's certificate is refused: {error}") from None
            self._public_key = path.public_key
        self.transcript.add(message)
        return ClientState.AWAIT_CERTIFICATE_VERIFY

    def _certificate_verify(self, message: bytes) -> ClientState:
        if self._public_key is None:
            raise Misuse("CertificateVerify before a key is known")
        self._scheme = self.check_certificate_verify(message, self._public_key, SERVER_CONTEXT)
        self.transcript.add(message)
        return ClientState.AWAIT_FINISHED

    # The end

    def _finished(self, message: bytes) -> ClientState:
        suite, kdf = self.agreed()
        if self._stage is None:
            raise Misuse("Finished before the key exchange")
        self.check_finished(message, self._server_secret)
        self.transcript.add(message)
        stage = self._stage.master()
        digest = self.transcript.digest()
        client_secret = stage.client_traffic(digest)
        server_secret = stage.server_traffic(digest)
        exporter = stage.exporter(digest)
        self.log("CLIENT_TRAFFIC_SECRET_0", client_secret)
        self.log("SERVER_TRAFFIC_SECRET_0", server_secret)
        self.log("EXPORTER_SECRET", exporter)
        self.channel.read_with(suite, kdf, server_secret)
        self._tell_middleboxes()
        if self._request is not None:
            self._authenticate(self._request)
        self.send(self.finished(self._client_secret))
        self.channel.write_with(suite, kdf, client_secret)
        resumption = None
        if self.prepared.sessions is not None:
            resumption = stage.resumption(self.transcript.digest())
        negotiated = Negotiated(
            version="TLSv1.3",
            suite=suite.name,
            group=self._group,
            scheme=self._scheme,
            alpn=self._alpn,
            server_name=self._sni,
            resumed=self._session is not None,
            peer_chain=self._chain,
        )
        outcome = Outcome(negotiated, suite, kdf, server_secret, client_secret, exporter, resumption)
        self.channel.complete(outcome)
        return ClientState.COMPLETE

    def _authenticate(self, request: CertificateRequest) -> None:
        """Show our certificate, or say that there is none (section 4.4.2)."""
        schemes = parse_uint16s(
            request.extensions[ExtensionType.signature_algorithms], "signature_algorithms"
        )
        credential = self.prepared.credential
        scheme = choose_scheme(credential, schemes) if credential is not None else None
        if credential is None or scheme is None:
            self.send(Certificate(b"").pack())
            return
        self.send_certificate(credential, scheme, CLIENT_CONTEXT)

    def _tell_middleboxes(self) -> None:
        """Appendix D.4: one change_cipher_spec right before the second flight."""
        if self._hello.session_id and not self._told_middleboxes:
            self._told_middleboxes = True
            self.channel.send_change_cipher_spec()


STEPS: dict[tuple[ClientState, int], Callable[[ClientHandshake, bytes], ClientState]] = {
    (ClientState.AWAIT_SERVER_HELLO, HandshakeType.server_hello): ClientHandshake._server_hello,
    (
        ClientState.AWAIT_SECOND_SERVER_HELLO,
        HandshakeType.server_hello,
    ): ClientHandshake._second_server_hello,
    (
        ClientState.AWAIT_ENCRYPTED_EXTENSIONS,
        HandshakeType.encrypted_extensions,
    ): ClientHandshake._encrypted_extensions,
    (
        ClientState.AWAIT_CERTIFICATE_OR_REQUEST,
        HandshakeType.certificate_request,
    ): ClientHandshake._certificate_request,
    (ClientState.AWAIT_CERTIFICATE_OR_REQUEST, HandshakeType.certificate): ClientHandshake._certificate,
    (ClientState.AWAIT_CERTIFICATE, HandshakeType.certificate): ClientHandshake._certificate,
    (
        ClientState.AWAIT_CERTIFICATE_VERIFY,
        HandshakeType.certificate_verify,
    ): ClientHandshake._certificate_verify,
    (ClientState.AWAIT_FINISHED, HandshakeType.finished): ClientHandshake._finished,
}
"""Every message that may come, by the state in which it may (appendix A.1)."""

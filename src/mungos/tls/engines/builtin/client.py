"""The client's handshake (RFC 8446 section 2 and appendix A.1).

A state is named by the message that it waits for; `STEPS` is the one table of what may come when. Handling a
message consumes the state: while a step runs there is none.
"""

from __future__ import annotations

from collections.abc import Callable

from mungos.crypto.contract import PublicKey
from mungos.errors import Misuse
from mungos.tls.contract import Negotiated
from mungos.tls.engines.builtin.client_opening import ClientOpening, ClientState
from mungos.tls.engines.builtin.credentials import choose_scheme
from mungos.tls.engines.builtin.faults import (
    DecodeError,
    IllegalParameter,
    MissingExtension,
    UnexpectedMessage,
)
from mungos.tls.engines.builtin.handshake import CLIENT_CONTEXT, SERVER_CONTEXT, Channel, Outcome
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateRequest,
    Context,
    EncryptedExtensions,
    EndOfEarlyData,
    ExtensionType,
    HandshakeType,
)
from mungos.tls.engines.builtin.messages.compression import takes_zlib
from mungos.tls.engines.builtin.messages.extensions import (
    check_solicited,
    parse_empty,
    parse_record_size_limit,
    parse_single_alpn,
    parse_uint16s,
)
from mungos.tls.engines.builtin.messages.stapling import parse_staple
from mungos.tls.engines.builtin.preparation import PreparedClient
from mungos.tls.sessions import ClientSession
from mungos.x509 import Certificate as ParsedCertificate
from mungos.x509 import CertificateError, verify_server

__all__ = ["STEPS", "ClientHandshake", "ClientState"]

_COMPRESSED = HandshakeType.compressed_certificate
_CONSUMED = ClientState.CONSUMED


class ClientHandshake(ClientOpening):
    """From the first hello to the client's Finished."""

    __slots__ = ("_chain", "_public_key", "_request", "_scheme", "_staple")

    def __init__(
        self, prepared: PreparedClient, channel: Channel, server_name: str | None, sni: str | None
    ) -> None:
        super().__init__(prepared, channel, server_name, sni)
        self._request: CertificateRequest | None = None
        self._chain: tuple[bytes, ...] = ()
        self._staple = b""
        self._public_key: PublicKey | None = None
        self._scheme: str | None = None

    def expects(self, kind: int) -> bool:
        """Whether a message of this type may come now."""
        # RFC 8879 section 4: only where it was offered.
        if kind == _COMPRESSED and not self.prepared.compress_certificates:
            return False
        return (self.state, kind) in STEPS

    def handle(self, kind: int, message: bytes) -> None:
        """One whole message of the server, header included."""
        if not self.expects(kind):
            raise UnexpectedMessage(f"handshake message of type {kind} in state {self.state.value}")
        step = STEPS[self.state, kind]
        self.state = _CONSUMED
        self.state = step(self, message)

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
        limit = answers.get(ExtensionType.record_size_limit)
        if limit is not None:
            # RFC 8449 section 4: both limits hold once both sides have told theirs.
            self.channel.limit_writing(parse_record_size_limit(limit))
            self.channel.limit_reading(self.prepared.record_size_limit)
        if self._early_session is not None:
            self._early_data_answered(self._early_session, answers.get(ExtensionType.early_data))
        self.transcript.add(message)
        if self._psk is not None:
            self._chain = self._psk.session.peer_chain if self._psk.session is not None else ()
            return ClientState.AWAIT_FINISHED
        return ClientState.AWAIT_CERTIFICATE_OR_REQUEST

    def _early_data_answered(self, session: ClientSession, body: bytes | None) -> None:
        suite, kdf = self.agreed()
        if body is None:
            if ExtensionType.early_data in self._hello.extensions:
                self.channel.end_early_data()
                self.channel.write_with(suite, kdf, self._client_secret)
            # Section 4.2.10: "MUST NOT automatically resend early data unless the negotiated connection
            # selects the same ALPN protocol".
            if self.prepared.early_data == "resend" and session.alpn == self._alpn:
                self._early_data = "resent"
            return
        parse_empty(body, "early_data")
        # Section 4.2.10: early data belong to the first PSK, its suite and its protocol: illegal_parameter.
        if self._psk is None or self._psk.session is not session:
            raise IllegalParameter("EncryptedExtensions: early_data without the first PSK")
        if session.suite != suite.name:
            raise IllegalParameter(f"EncryptedExtensions: early_data with {suite.name}, not {session.suite}")
        if session.alpn != self._alpn:
            raise IllegalParameter(
                f"EncryptedExtensions: early_data with the protocol {self._alpn}, not {session.alpn}"
            )
        self._early_data = "accepted"

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
        shown = self.shown_certificate(message)
        if shown.context:
            raise IllegalParameter(f"Certificate: a context of {len(shown.context)} bytes from a server")
        # Section 4.4.2.4: an empty Certificate of a server: decode_error.
        if not shown.entries:
            raise DecodeError("Certificate: the server shows none")
        for entry in shown.entries:
            check_solicited(entry.extensions, self._hello.extensions, Context.CT)
            if ExtensionType.status_request in entry.extensions:
                staple = parse_staple(entry.extensions[ExtensionType.status_request])
                if entry is shown.entries[0]:
                    self._staple = staple
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
        client_secret, server_secret, exporter = stage.traffic(digest)
        if self.prepared.keylog is not None:
            self.log("CLIENT_TRAFFIC_SECRET_0", client_secret)
            self.log("SERVER_TRAFFIC_SECRET_0", server_secret)
            self.log("EXPORTER_SECRET", exporter)
        self.channel.read_with(suite, kdf, server_secret)
        self._tell_middleboxes()
        if self._early_data == "accepted":
            # Section 4.5: only after them does the handshake's key come.
            self.channel.end_early_data()
            self.send(EndOfEarlyData().pack())
            self.channel.write_with(suite, kdf, self._client_secret)
        if self._request is not None:
            self._authenticate(self._request)
        self.send(self.finished(self._client_secret))
        self.channel.write_with(suite, kdf, client_secret)
        resumption = None
        if self.prepared.sessions is not None:
            resumption = stage.resumption(self.transcript.digest())
        psk = self._psk
        negotiated = Negotiated(
            version="TLSv1.3",
            suite=suite.name,
            group=self._group,
            scheme=self._scheme,
            alpn=self._alpn,
            server_name=self._sni,
            resumed=psk is not None and psk.session is not None,
            peer_chain=self._chain,
            psk_identity=psk.name if psk is not None else None,
            early_data=self._early_data,
            ocsp_staple=self._staple,
        )
        outcome = Outcome(negotiated, suite, kdf, server_secret, client_secret, exporter, resumption)
        self.channel.complete(outcome)
        return ClientState.COMPLETE

    def _authenticate(self, request: CertificateRequest) -> None:
        """Show our certificate, or say that there is none (section 4.4.2)."""
        schemes = frozenset(
            parse_uint16s(request.extensions[ExtensionType.signature_algorithms], "signature_algorithms")
        )
        credential = self.prepared.credential
        scheme = choose_scheme(credential, schemes) if credential is not None else None
        if credential is None or scheme is None:
            self.send(Certificate(b"").pack())
            return
        packed = self.prepared.compress_certificates and takes_zlib(
            request.extensions.get(ExtensionType.compress_certificate)
        )
        self.send_certificate(credential, scheme, CLIENT_CONTEXT, packed=packed)


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
        ClientState.AWAIT_CERTIFICATE_OR_REQUEST,
        HandshakeType.compressed_certificate,
    ): ClientHandshake._certificate,
    (ClientState.AWAIT_CERTIFICATE, HandshakeType.compressed_certificate): ClientHandshake._certificate,
    (
        ClientState.AWAIT_CERTIFICATE_VERIFY,
        HandshakeType.certificate_verify,
    ): ClientHandshake._certificate_verify,
    (ClientState.AWAIT_FINISHED, HandshakeType.finished): ClientHandshake._finished,
}
"""Every message that may come, by the state in which it may (appendix A.1)."""

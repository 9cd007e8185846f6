"""The server's handshake (RFC 8446 section 2 and appendix A.2).

A state is named by the message that it waits for; `STEPS` is the one table of what may come when. Handling a
message consumes the state: while a step runs there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Literal

from mungos.crypto.contract import PublicKey
from mungos.errors import Misuse
from mungos.printable import quoted_names
from mungos.tls.contract import Negotiated
from mungos.tls.engines.builtin.credentials import choose_credential
from mungos.tls.engines.builtin.faults import (
    CertificateMissing,
    IllegalParameter,
    MissingExtension,
    NoCommonProtocol,
    NothingInCommon,
    UnexpectedMessage,
    UnknownPsk,
)
from mungos.tls.engines.builtin.handshake import CLIENT_CONTEXT, SERVER_CONTEXT, Channel, Handshake, Outcome
from mungos.tls.engines.builtin.key_schedule import EarlyStage, Kdf, MasterStage
from mungos.tls.engines.builtin.messages import (
    CertificateRequest,
    ClientHello,
    Context,
    EncryptedExtensions,
    EndOfEarlyData,
    ExtensionType,
    HandshakeType,
    NewSessionTicket,
    ServerHello,
)
from mungos.tls.engines.builtin.messages.compression import OFFER_ZLIB
from mungos.tls.engines.builtin.messages.extensions import (
    Extensions,
    check_solicited,
    pack_alpn,
    pack_cookie,
    pack_key_share,
    pack_uints,
)
from mungos.tls.engines.builtin.messages.registry import HELLO_RETRY_RANDOM, TLS13
from mungos.tls.engines.builtin.offer import Offer, codes, examine
from mungos.tls.engines.builtin.preparation import PreparedServer
from mungos.tls.engines.builtin.retry import Retry
from mungos.tls.engines.builtin.server_psks import AcceptedPsk, accept_psk, admits_early_data
from mungos.tls.engines.builtin.suites import GROUP_CODES, Suite
from mungos.tls.engines.builtin.tickets import TicketState, seal_ticket
from mungos.x509 import CertificateError, verify_client

__all__ = ["MAX_SKIPPED_EARLY_DATA", "STEPS", "ServerHandshake", "ServerState"]

MAX_SKIPPED_EARLY_DATA = 65_536
"""Bytes of refused 0-RTT records that are passed over, beyond what our own tickets allow."""

_COOKIE_LENGTH = 32


class ServerState(Enum):
    """What the server waits for."""

    AWAIT_CLIENT_HELLO = "AwaitClientHello"
    AWAIT_SECOND_CLIENT_HELLO = "AwaitSecondClientHello"
    AWAIT_END_OF_EARLY_DATA = "AwaitEndOfEarlyData"
    AWAIT_CERTIFICATE = "AwaitClientCertificate"
    AWAIT_CERTIFICATE_VERIFY = "AwaitClientCertificateVerify"
    AWAIT_FINISHED = "AwaitClientFinished"
    CONSUMED = "Consumed"
    COMPLETE = "Complete"

    __hash__ = object.__hash__  # of a singleton, and quick: `STEPS` is asked for each message


_COMPRESSED = HandshakeType.compressed_certificate
_CONSUMED = ServerState.CONSUMED


class ServerHandshake(Handshake):
    """From the ClientHello to the client's Finished and the tickets after it."""

    __slots__ = (
        "_alpn",
        "_app_secrets",
        "_chain",
        "_client_secret",
        "_early_data",
        "_first_hello",
        "_group",
        "_master",
        "_psk",
        "_public_key",
        "_retry",
        "_scheme",
        "_server_name",
        "prepared",
        "state",
    )

    prepared: PreparedServer

    def __init__(self, prepared: PreparedServer, channel: Channel) -> None:
        super().__init__(prepared, channel)
        self.state = ServerState.AWAIT_CLIENT_HELLO
        self._retry: Retry | None = None
        self._alpn: str | None = None
        self._server_name: str | None = None
        self._group = ""
        self._scheme: str | None = None
        self._psk: AcceptedPsk | None = None
        self._early_data: Literal["none", "accepted", "rejected"] = "none"
        self._first_hello = ClientHello(b"", b"", [])
        self._chain: tuple[bytes, ...] = ()
        self._public_key: PublicKey | None = None
        self._client_secret = b""
        self._app_secrets = (b"", b"", b"")
        self._master: MasterStage | None = None

    def start(self) -> None:
        """A server waits."""

    def expects(self, kind: int) -> bool:
        """Whether a message of this type may come now."""
        # RFC 8879 section 4: only where it was offered.
        if kind == _COMPRESSED and not self.prepared.compress_certificates:
            return False
        return (self.state, kind) in STEPS

    def handle(self, kind: int, message: bytes) -> None:
        """One whole message of the client, header included."""
        if not self.expects(kind):
            raise UnexpectedMessage(f"handshake message of type {kind} in state {self.state.value}")
        step = STEPS[self.state, kind]
        self.state = _CONSUMED
        self.state = step(self, message)

    # ClientHello

    def _client_hello(self, message: bytes) -> ServerState:
        hello = ClientHello.parse(message[4:])
        offer = examine(hello)
        self.client_random = hello.random
        suites = self._common_suites(hello)
        psk = self._accept_psk(hello, offer, message, suites)
        # A key takes a suite of its own hash, even where another would be preferred.
        suite = psk.suite if psk is not None else suites[0]
        group = self._choose_group(offer)
        if GROUP_CODES[group] not in offer.shares:
            return self._ask_again(hello, suite, group, message)
        return self._answer(hello, offer, suite, group, psk, message)

    def _second_client_hello(self, message: bytes) -> ServerState:
        retry = self._retry
        if retry is None:
            raise Misuse("a second ClientHello without a HelloRetryRequest")
        hello = ClientHello.parse(message[4:])
        offer = examine(hello)
        retry.check(hello, offer, self.prepared.provider)
        self.channel.skip_early_data(0)
        psk = self._accept_psk(hello, offer, message, [retry.suite])
        return self._answer(hello, offer, retry.suite, retry.group, psk, message)

    def _common_suites(self, hello: ClientHello) -> list[Suite]:
        offered = frozenset(hello.suites)
        suites = [suite for suite in self.prepared.suites if suite.code in offered]
        if not suites:
            raise NothingInCommon(f"no cipher suite in common; the client offers {codes(hello.suites)}")
        return suites

    def _choose_group(self, offer: Offer) -> str:
        groups = [group for group in self.prepared.groups if GROUP_CODES[group] in offer.groups]
        if not groups:
            raise NothingInCommon(f"no group in common; the client offers {codes(offer.groups)}")
        # Section 4.2.7: of several, one whose share is there spares a round trip.
        return next((group for group in groups if GROUP_CODES[group] in offer.shares), groups[0])

    def _accept_psk(
        self, hello: ClientHello, offer: Offer, message: bytes, suites: list[Suite]
    ) -> AcceptedPsk | None:
        psk = accept_psk(self.prepared, hello, offer, message, self.transcript, suites)
        if psk is None and not self.prepared.credentials:
            # Section 6.2: unknown_psk_identity, where a client has nothing but keys that nobody knows here.
            if ExtensionType.pre_shared_key in hello.extensions:
                raise UnknownPsk(
                    "none of the client's pre-shared keys can be used, and there is no certificate"
                )
            raise NothingInCommon("the client offers no pre-shared key, and there is no certificate")
        return psk

    def _ask_again(self, hello: ClientHello, suite: Suite, group: str, message: bytes) -> ServerState:
        """HelloRetryRequest (section 4.1.4)."""
        cookie = self.prepared.random(_COOKIE_LENGTH) if self.prepared.retry_cookie else None
        self._retry = Retry(hello, suite, group, cookie)
        extensions: Extensions = {ExtensionType.key_share: GROUP_CODES[group].to_bytes(2, "big")}
        if cookie is not None:
            extensions[ExtensionType.cookie] = pack_cookie(cookie)
        extensions[ExtensionType.supported_versions] = TLS13.to_bytes(2, "big")
        answer = ServerHello(HELLO_RETRY_RANDOM, hello.session_id, suite.code, extensions)
        self.transcript.add(message)
        self.transcript.retry(suite.hash)
        self.send(answer.pack())
        if hello.session_id:
            # Appendix D.4: right after the first handshake message.
            self.channel.send_change_cipher_spec()
        if ExtensionType.early_data in hello.extensions:
            self._refuse_early_data()
        return ServerState.AWAIT_SECOND_CLIENT_HELLO

    def _refuse_early_data(self) -> None:
        """Section 4.2.10: what comes under keys that we don't have, or want, is passed over."""
        self._early_data = "rejected"
        guard = self.prepared.early_data
        allowed = guard.max_bytes if guard is not None else 0
        self.channel.skip_early_data(MAX_SKIPPED_EARLY_DATA + allowed)

    # The server's flight

    def _answer(
        self,
        hello: ClientHello,
        offer: Offer,
        suite: Suite,
        group: str,
        psk: AcceptedPsk | None,
        message: bytes,
    ) -> ServerState:
        prepared = self.prepared
        self.suite = suite
        self.kdf = kdf = prepared.kdfs[suite.hash]
        self._group = group
        self._psk = psk
        self._server_name = offer.server_name
        self._choose_protocol(offer)
        credential = None
        if psk is None:
            # Section 9.2: without a PSK, signature_algorithms must be there.
            if offer.schemes is None:
                raise MissingExtension("ClientHello: signature_algorithms is missing")
            credential = choose_credential(prepared.credentials, offer.server_name, offer.schemes)
        elif psk.ticket is not None and prepared.client_auth != "none":
            # What nobody checks here is not shown as if it had been.
            self._chain = psk.ticket.client_chain
        code = GROUP_CODES[group]
        share, secret = prepared.provider.key_exchange(group).encapsulate(offer.shares[code], prepared.random)
        self.transcript.choose(suite.hash)
        self.transcript.add(message)
        early_secret = b""
        if ExtensionType.early_data in hello.extensions:
            if psk is not None and admits_early_data(prepared, psk, suite, self._alpn, offer.server_name):
                self._early_data = "accepted"
                early_secret = psk.early.client_traffic(self.transcript.digest())
                self.log("CLIENT_EARLY_TRAFFIC_SECRET", early_secret)
            else:
                self._refuse_early_data()
        extensions: Extensions = {}
        if psk is not None:
            extensions[ExtensionType.pre_shared_key] = psk.index.to_bytes(2, "big")
        extensions[ExtensionType.key_share] = pack_key_share(code, share)
        extensions[ExtensionType.supported_versions] = TLS13.to_bytes(2, "big")
        answer = ServerHello(self._server_random(), hello.session_id, suite.code, extensions)
        self.send(answer.pack())
        if hello.session_id and self._retry is None:
            # Appendix D.4: right after the first handshake message.
            self.channel.send_change_cipher_spec()
        stage = (psk.early if psk is not None else EarlyStage(kdf)).handshake(secret)
        digest = self.transcript.digest()
        self._client_secret, server_secret = stage.traffic(digest)
        if prepared.keylog is not None:
            self.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", self._client_secret)
            self.log("SERVER_HANDSHAKE_TRAFFIC_SECRET", server_secret)
        if early_secret and prepared.early_data is not None:
            self.channel.read_early_with(suite, kdf, early_secret, prepared.early_data.max_bytes)
        else:
            self.channel.read_with(suite, kdf, self._client_secret)
            self._limit_reading(hello)
        self.channel.write_with(suite, kdf, server_secret)
        if offer.record_size_limit is not None:
            self.channel.limit_writing(offer.record_size_limit)
        self.send(self.encrypted_extensions(hello).pack())
        asked = False
        if credential is not None:
            asked = prepared.client_auth != "none"
            if asked:
                self.send(self.certificate_request().pack())
            self._scheme = credential[1]
            packed = prepared.compress_certificates and offer.takes_zlib
            self.send_certificate(*credential, SERVER_CONTEXT, stapled=offer.staple_asked, packed=packed)
        self.send(self.finished(server_secret))
        master = stage.master()
        digest = self.transcript.digest()
        self._app_secrets = master.traffic(digest)
        if prepared.keylog is not None:
            self.log("CLIENT_TRAFFIC_SECRET_0", self._app_secrets[0])
            self.log("SERVER_TRAFFIC_SECRET_0", self._app_secrets[1])
            self.log("EXPORTER_SECRET", self._app_secrets[2])
        self._master = master
        self.channel.write_with(suite, kdf, self._app_secrets[1])
        if early_secret:
            self._first_hello = hello
            return ServerState.AWAIT_END_OF_EARLY_DATA
        return ServerState.AWAIT_CERTIFICATE if asked else ServerState.AWAIT_FINISHED

    def _limit_reading(self, hello: ClientHello) -> None:
        # RFC 8449 section 4: our limit holds where the client has told its own; records under other keys than
        # those of this handshake are not meant.
        if ExtensionType.record_size_limit in hello.extensions:
            self.channel.limit_reading(self.prepared.record_size_limit)

    def _end_of_early_data(self, message: bytes) -> ServerState:
        suite, kdf = self.agreed()
        EndOfEarlyData.parse(message[4:])
        self.transcript.add(message)
        self.channel.read_with(suite, kdf, self._client_secret)
        self._limit_reading(self._first_hello)
        return ServerState.AWAIT_FINISHED

    def _server_random(self) -> bytes:
        random = self.prepared.random(32)
        # Section 4.1.3: that value means a HelloRetryRequest.
        return random if random != HELLO_RETRY_RANDOM else self.prepared.random(32)

    def _choose_protocol(self, offer: Offer) -> None:
        if not self.prepared.alpn or offer.protocols is None:
            return
        for name in self.prepared.alpn:
            if name in offer.protocols:
                self._alpn = name.decode("ascii")
                return
        # RFC 7301 section 3.2: "the server SHALL respond with a fatal "no_application_protocol" alert".
        raise NoCommonProtocol(
            f"no application protocol in common; the client offers {quoted_names(offer.protocols)}"
        )

    def encrypted_extensions(self, hello: ClientHello) -> EncryptedExtensions:
        """Section 4.3.1."""
        extensions: Extensions = {}
        if self._server_name is not None and self._psk is None:
            # RFC 6066 section 3: an empty server_name says that the name was used.
            extensions[ExtensionType.server_name] = b""
        if self._alpn is not None:
            extensions[ExtensionType.application_layer_protocol_negotiation] = pack_alpn(
                [self._alpn.encode("ascii")]
            )
        if ExtensionType.record_size_limit in hello.extensions:
            limit = self.prepared.record_size_limit
            extensions[ExtensionType.record_size_limit] = limit.to_bytes(2, "big")
        if self._early_data == "accepted":
            extensions[ExtensionType.early_data] = b""
        return EncryptedExtensions(extensions)

    def certificate_request(self) -> CertificateRequest:
        """Section 4.3.2."""
        extensions: Extensions = {}
        if self.prepared.compress_certificates:
            extensions[ExtensionType.compress_certificate] = OFFER_ZLIB
        extensions[ExtensionType.signature_algorithms] = pack_uints(2, 2, self.prepared.schemes)
        return CertificateRequest(b"", extensions)

    # The client's flight

    def _certificate(self, message: bytes) -> ServerState:
        shown = self.shown_certificate(message)
        # Section 4.4.2: the context is that of the request.
        if shown.context:
            raise IllegalParameter(f"Certificate: a context of {len(shown.context)} bytes was not asked for")
        prepared = self.prepared
        self.transcript.add(message)
        if not shown.entries:
            # Section 4.4.2.4: certificate_required.
            if prepared.client_auth == "required":
                raise CertificateMissing("the client shows no certificate")
            return ServerState.AWAIT_FINISHED
        for entry in shown.entries:
            # Section 4.4.2: extensions answer those of the CertificateRequest; ours asks for none.
            check_solicited(entry.extensions, (), Context.CT)
        self._chain = tuple(entry.certificate for entry in shown.entries)
        if prepared.client_roots is None:
            raise Misuse("client certificates can't be verified without client_roots")
        try:
            path = verify_client(self._chain, prepared.client_roots, prepared.provider, prepared.wall())
        except CertificateError as error:
            raise type(error)(f"the client's certificate is refused: {error}") from None
        self._public_key = path.public_key
        return ServerState.AWAIT_CERTIFICATE_VERIFY

    def _certificate_verify(self, message: bytes) -> ServerState:
        if self._public_key is None:
            raise Misuse("CertificateVerify before a key is known")
        self.check_certificate_verify(message, self._public_key, CLIENT_CONTEXT)
        self.transcript.add(message)
        return ServerState.AWAIT_FINISHED

    def _finished(self, message: bytes) -> ServerState:
        suite, kdf = self.agreed()
        if self._master is None:
            raise Misuse("Finished before the key exchange")
        self.check_finished(message, self._client_secret)
        self.transcript.add(message)
        client_secret, server_secret, exporter = self._app_secrets
        self.channel.read_with(suite, kdf, client_secret)
        self._send_tickets(suite, kdf, self._master)
        negotiated = Negotiated(
            version="TLSv1.3",
            suite=suite.name,
            group=self._group,
            scheme=self._scheme,
            alpn=self._alpn,
            server_name=self._server_name,
            resumed=self._psk is not None and self._psk.ticket is not None,
            peer_chain=self._chain,
            psk_identity=self._psk.name if self._psk is not None else None,
            early_data=self._early_data,
        )
        self.channel.complete(Outcome(negotiated, suite, kdf, client_secret, server_secret, exporter))
        return ServerState.COMPLETE

    def _send_tickets(self, suite: Suite, kdf: Kdf, master: MasterStage) -> None:
        prepared = self.prepared
        tickets = prepared.tickets
        if tickets is None or tickets.count == 0:
            return
        resumption = master.resumption(self.transcript.digest())
        wall = prepared.wall()
        max_early_data = prepared.early_data.max_bytes if prepared.early_data is not None else 0
        extensions: Extensions = {}
        if max_early_data:
            extensions[ExtensionType.early_data] = max_early_data.to_bytes(4, "big")
        for index in range(tickets.count):
            nonce = bytes((index,))
            age_add = int.from_bytes(prepared.random(4), "big")
            state = TicketState(
                suite.code,
                kdf.resumption_psk(resumption, nonce),
                wall,
                self._chain,
                self._psk.name if self._psk is not None else None,
                age_add,
                max_early_data,
                self._alpn,
                self._server_name,
            )
            ticket = seal_ticket(state, tickets, prepared.provider, prepared.random, wall)
            if len(ticket) > 0xFFFF:
                return  # a client's chain too large for a ticket: it simply can't resume
            self.channel.send(NewSessionTicket(tickets.lifetime, age_add, nonce, ticket, extensions).pack())


STEPS: dict[tuple[ServerState, int], Callable[[ServerHandshake, bytes], ServerState]] = {
    (ServerState.AWAIT_CLIENT_HELLO, HandshakeType.client_hello): ServerHandshake._client_hello,
    (ServerState.AWAIT_SECOND_CLIENT_HELLO, HandshakeType.client_hello): ServerHandshake._second_client_hello,
    (
        ServerState.AWAIT_END_OF_EARLY_DATA,
        HandshakeType.end_of_early_data,
    ): ServerHandshake._end_of_early_data,
    (ServerState.AWAIT_CERTIFICATE, HandshakeType.certificate): ServerHandshake._certificate,
    (ServerState.AWAIT_CERTIFICATE, HandshakeType.compressed_certificate): ServerHandshake._certificate,
    (
        ServerState.AWAIT_CERTIFICATE_VERIFY,
        HandshakeType.certificate_verify,
    ): ServerHandshake._certificate_verify,
    (ServerState.AWAIT_FINISHED, HandshakeType.finished): ServerHandshake._finished,
}
"""Every message that may come, by the state in which it may (appendix A.2)."""

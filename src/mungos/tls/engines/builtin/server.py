"""The server's handshake (RFC 8446 section 2 and appendix A.2).

A state is named by the message that it waits for; `STEPS` is the one table of what may come when. Handling a
message consumes the state: while a step runs there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mungos.crypto.contract import PublicKey
from mungos.errors import Misuse, ProtocolError
from mungos.tls.contract import Negotiated
from mungos.tls.engines.builtin.credentials import choose_credential
from mungos.tls.engines.builtin.faults import (
    BadFinished,
    CertificateMissing,
    IllegalParameter,
    MissingExtension,
    NoCommonProtocol,
    NothingInCommon,
    UnexpectedMessage,
)
from mungos.tls.engines.builtin.handshake import CLIENT_CONTEXT, SERVER_CONTEXT, Channel, Handshake, Outcome
from mungos.tls.engines.builtin.key_schedule import EarlyStage, Kdf, MasterStage
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateRequest,
    ClientHello,
    Context,
    EncryptedExtensions,
    ExtensionType,
    HandshakeType,
    NewSessionTicket,
    ServerHello,
)
from mungos.tls.engines.builtin.messages.extensions import (
    Extensions,
    check_solicited,
    pack_alpn,
    pack_cookie,
    pack_key_share,
    pack_uints,
    parse_cookie,
    parse_offered_psks,
)
from mungos.tls.engines.builtin.messages.registry import HELLO_RETRY_RANDOM, TLS13
from mungos.tls.engines.builtin.offer import Offer, codes, examine
from mungos.tls.engines.builtin.preparation import PreparedServer
from mungos.tls.engines.builtin.suites import GROUP_CODES, SUITES_BY_CODE, Suite
from mungos.tls.engines.builtin.tickets import TicketState, open_ticket, seal_ticket
from mungos.x509 import CertificateError, verify_client

__all__ = ["MAX_SKIPPED_EARLY_DATA", "STEPS", "ServerHandshake", "ServerState"]

MAX_SKIPPED_EARLY_DATA = 65_536
"""Bytes of refused 0-RTT that are passed over. Our own tickets never allow any."""

MAX_OFFERED_TICKETS = 8
"""Tickets of one ClientHello that are looked at; the others are passed over."""

_PSK_DHE_KE = 1
_COOKIE_LENGTH = 32

# Section 4.1.2: what a second ClientHello may change.
_MAY_CHANGE = frozenset(
    {
        ExtensionType.key_share,
        ExtensionType.early_data,
        ExtensionType.cookie,
        ExtensionType.pre_shared_key,
        ExtensionType.padding,
    }
)


class ServerState(Enum):
    """What the server waits for."""

    AWAIT_CLIENT_HELLO = "AwaitClientHello"
    AWAIT_SECOND_CLIENT_HELLO = "AwaitSecondClientHello"
    AWAIT_CERTIFICATE = "AwaitClientCertificate"
    AWAIT_CERTIFICATE_VERIFY = "AwaitClientCertificateVerify"
    AWAIT_FINISHED = "AwaitClientFinished"
    CONSUMED = "Consumed"
    COMPLETE = "Complete"

    __hash__ = object.__hash__  # of a singleton, and quick: `STEPS` is asked for each message


@dataclass(slots=True)
class _Retry:
    """What is remembered of a HelloRetryRequest."""

    hello: ClientHello
    suite: Suite
    group: str
    cookie: bytes | None


class ServerHandshake(Handshake):
    """From the ClientHello to the client's Finished and the tickets after it."""

    __slots__ = (
        "_alpn",
        "_app_secrets",
        "_chain",
        "_client_secret",
        "_early",
        "_group",
        "_master",
        "_public_key",
        "_resumed",
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
        self._retry: _Retry | None = None
        self._alpn: str | None = None
        self._server_name: str | None = None
        self._group = ""
        self._scheme: str | None = None
        self._early: EarlyStage | None = None  # from the ticket that was accepted
        self._resumed = False
        self._chain: tuple[bytes, ...] = ()
        self._public_key: PublicKey | None = None
        self._client_secret = b""
        self._app_secrets = (b"", b"", b"")
        self._master: MasterStage | None = None

    def start(self) -> None:
        """A server waits."""

    def expects(self, kind: int) -> bool:
        """Whether a message of this type may come now."""
        return (self.state, kind) in STEPS

    def handle(self, kind: int, message: bytes) -> None:
        """One whole message of the client, header included."""
        step = STEPS.get((self.state, kind))
        if step is None:
            raise UnexpectedMessage(f"handshake message of type {kind} in state {self.state.value}")
        self.state = ServerState.CONSUMED
        self.state = step(self, message)

    # ClientHello

    def _client_hello(self, message: bytes) -> ServerState:
        hello = ClientHello.parse(message[4:])
        offer = examine(hello)
        self.client_random = hello.random
        suite = self._choose_suite(hello)
        selected = self._choose_psk(hello, offer, message, suite)
        group = self._choose_group(offer)
        if GROUP_CODES[group] not in offer.shares:
            return self._ask_again(hello, suite, group, message)
        return self._answer(hello, offer, suite, group, selected, message)

    def _second_client_hello(self, message: bytes) -> ServerState:
        retry = self._retry
        if retry is None:
            raise Misuse("a second ClientHello without a HelloRetryRequest")
        hello = ClientHello.parse(message[4:])
        offer = examine(hello)
        self._check_second(hello, offer, retry)
        self.channel.skip_early_data(0)
        selected = self._choose_psk(hello, offer, message, retry.suite)
        return self._answer(hello, offer, retry.suite, retry.group, selected, message)

    def _check_second(self, hello: ClientHello, offer: Offer, retry: _Retry) -> None:
        first = retry.hello
        kept = {code: body for code, body in hello.extensions.items() if code not in _MAY_CHANGE}
        before = {code: body for code, body in first.extensions.items() if code not in _MAY_CHANGE}
        same = (hello.random, hello.session_id, hello.suites) == (
            first.random,
            first.session_id,
            first.suites,
        )
        if not same or kept != before:
            raise IllegalParameter("the second ClientHello changes more than section 4.1.2 allows")
        # Section 4.1.2: early_data is removed.
        if ExtensionType.early_data in hello.extensions:
            raise IllegalParameter("the second ClientHello offers early_data")
        # Section 4.1.2: the list holds a single share, from the group that was asked for.
        if list(offer.shares) != [GROUP_CODES[retry.group]]:
            raise IllegalParameter(f"the second ClientHello has not exactly one share for {retry.group}")
        body = hello.extensions.get(ExtensionType.cookie)
        echoed = parse_cookie(body) if body is not None else None
        # Section 4.2.2: the cookie comes back as it was sent, and none when none was.
        if echoed is None and retry.cookie is not None:
            raise MissingExtension("the second ClientHello's cookie is missing")
        if echoed is not None:
            sent = retry.cookie or b""
            if not self.prepared.provider.constant_time_equal(echoed, sent):
                raise IllegalParameter("the second ClientHello's cookie is not what was sent")

    def _choose_suite(self, hello: ClientHello) -> Suite:
        for suite in self.prepared.suites:
            if suite.code in hello.suites:
                return suite
        raise NothingInCommon(f"no cipher suite in common; the client offers {codes(hello.suites)}")

    def _choose_group(self, offer: Offer) -> str:
        groups = [group for group in self.prepared.groups if GROUP_CODES[group] in offer.groups]
        if not groups:
            raise NothingInCommon(f"no group in common; the client offers {codes(offer.groups)}")
        # Section 4.2.7: of several, one whose share is there spares a round trip.
        return next((group for group in groups if GROUP_CODES[group] in offer.shares), groups[0])

    def _choose_psk(self, hello: ClientHello, offer: Offer, message: bytes, suite: Suite) -> int | None:
        """The index of the ticket that is accepted, its binder checked (section 4.2.11), or None."""
        body = hello.extensions.get(ExtensionType.pre_shared_key)
        if body is None:
            return None
        offered = parse_offered_psks(body)
        prepared = self.prepared
        if prepared.tickets is None or _PSK_DHE_KE not in offer.psk_modes:
            return None
        wall = prepared.wall()
        for index, psk in enumerate(offered.identities[:MAX_OFFERED_TICKETS]):
            state = open_ticket(psk.identity, prepared.tickets, prepared.provider, wall)
            # Section 4.2.11: the PSK's hash must be that of the suite.
            used = SUITES_BY_CODE.get(state.suite) if state is not None else None
            if state is None or used is None or used.hash != suite.hash:
                continue
            if not self._client_still_welcome(state):
                continue
            kdf = prepared.kdfs[suite.hash]
            digest = self.transcript.digest_with(suite.hash, message[: -offered.binders_length])
            early = EarlyStage(kdf, state.psk)
            expected = early.binder(digest)
            # Section 4.2.11: "If this value is not present or does not validate, the server MUST abort".
            if not prepared.provider.constant_time_equal(offered.binders[index], expected):
                raise BadFinished("the PSK's binder does not fit the ClientHello")
            self._early = early
            # What nobody checks here is not shown as if it had been.
            self._chain = state.client_chain if prepared.client_auth != "none" else ()
            return index
        return None

    def _client_still_welcome(self, state: TicketState) -> bool:
        """Whether what the client showed at first is enough now: a resumption asks for no certificate."""
        prepared = self.prepared
        if prepared.client_auth == "none":
            return True
        if not state.client_chain:
            return prepared.client_auth == "optional"
        if prepared.client_roots is None:
            return False
        try:
            verify_client(state.client_chain, prepared.client_roots, prepared.provider, prepared.wall())
        except ProtocolError:
            return False
        return True

    def _ask_again(self, hello: ClientHello, suite: Suite, group: str, message: bytes) -> ServerState:
        """HelloRetryRequest (section 4.1.4)."""
        cookie = self.prepared.random(_COOKIE_LENGTH) if self.prepared.retry_cookie else None
        self._retry = _Retry(hello, suite, group, cookie)
        self._early = None
        self._chain = ()
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
            self.channel.skip_early_data(MAX_SKIPPED_EARLY_DATA)
        return ServerState.AWAIT_SECOND_CLIENT_HELLO

    # The server's flight

    def _answer(
        self,
        hello: ClientHello,
        offer: Offer,
        suite: Suite,
        group: str,
        selected: int | None,
        message: bytes,
    ) -> ServerState:
        prepared = self.prepared
        self.suite = suite
        self.kdf = kdf = prepared.kdfs[suite.hash]
        self._group = group
        self._resumed = selected is not None
        self._server_name = offer.server_name
        self._choose_protocol(offer)
        credential = None
        if selected is None:
            # Section 9.2: without a PSK, signature_algorithms must be there.
            if offer.schemes is None:
                raise MissingExtension("ClientHello: signature_algorithms is missing")
            credential = choose_credential(prepared.credentials, offer.server_name, offer.schemes)
        code = GROUP_CODES[group]
        share, secret = prepared.provider.key_exchange(group).encapsulate(offer.shares[code], prepared.random)
        self.transcript.choose(suite.hash)
        self.transcript.add(message)
        extensions: Extensions = {}
        if selected is not None:
            extensions[ExtensionType.pre_shared_key] = selected.to_bytes(2, "big")
        extensions[ExtensionType.key_share] = pack_key_share(code, share)
        extensions[ExtensionType.supported_versions] = TLS13.to_bytes(2, "big")
        answer = ServerHello(self._server_random(), hello.session_id, suite.code, extensions)
        self.send(answer.pack())
        if hello.session_id and self._retry is None:
            # Appendix D.4: right after the first handshake message.
            self.channel.send_change_cipher_spec()
        stage = (self._early or EarlyStage(kdf)).handshake(secret)
        self._early = None
        digest = self.transcript.digest()
        self._client_secret = stage.client_traffic(digest)
        server_secret = stage.server_traffic(digest)
        self.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", self._client_secret)
        self.log("SERVER_HANDSHAKE_TRAFFIC_SECRET", server_secret)
        self.channel.read_with(suite, kdf, self._client_secret)
        self.channel.write_with(suite, kdf, server_secret)
        if ExtensionType.early_data in hello.extensions:
            # Section 4.2.10: never accepted; what comes under keys that we don't have is passed over.
            self.channel.skip_early_data(MAX_SKIPPED_EARLY_DATA)
        self.send(self.encrypted_extensions().pack())
        asked = False
        if credential is not None:
            asked = prepared.client_auth != "none"
            if asked:
                self.send(self.certificate_request().pack())
            self._scheme = credential[1]
            self.send_certificate(credential[0], credential[1], SERVER_CONTEXT)
        self.send(self.finished(server_secret))
        master = stage.master()
        digest = self.transcript.digest()
        self._app_secrets = (
            master.client_traffic(digest),
            master.server_traffic(digest),
            master.exporter(digest),
        )
        self.log("CLIENT_TRAFFIC_SECRET_0", self._app_secrets[0])
        self.log("SERVER_TRAFFIC_SECRET_0", self._app_secrets[1])
        self.log("EXPORTER_SECRET", self._app_secrets[2])
        self._master = master
        self.channel.write_with(suite, kdf, self._app_secrets[1])
        return ServerState.AWAIT_CERTIFICATE if asked else ServerState.AWAIT_FINISHED

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
        raise NoCommonProtocol(f"no application protocol in common; the client offers {offer.protocols!r}")

    def encrypted_extensions(self) -> EncryptedExtensions:
        """Section 4.3.1."""
        extensions: Extensions = {}
        if self._server_name is not None and not self._resumed:
            # RFC 6066 section 3: an empty server_name says that the name was used.
            extensions[ExtensionType.server_name] = b""
        if self._alpn is not None:
            extensions[ExtensionType.application_layer_protocol_negotiation] = pack_alpn(
                [self._alpn.encode("ascii")]
            )
        return EncryptedExtensions(extensions)

    def certificate_request(self) -> CertificateRequest:
        """Section 4.3.2."""
        schemes = pack_uints(2, 2, self.prepared.schemes)
        return CertificateRequest(b"", {ExtensionType.signature_algorithms: schemes})

    # The client's flight

    def _certificate(self, message: bytes) -> ServerState:
        shown = Certificate.parse(message[4:])
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
            resumed=self._resumed,
            peer_chain=self._chain,
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
        for index in range(tickets.count):
            nonce = bytes((index,))
            state = TicketState(suite.code, kdf.resumption_psk(resumption, nonce), int(wall), self._chain)
            ticket = seal_ticket(state, tickets, prepared.provider, prepared.random, wall)
            if len(ticket) > 0xFFFF:
                return  # a client's chain too large for a ticket: it simply can't resume
            age_add = int.from_bytes(prepared.random(4), "big")
            self.channel.send(NewSessionTicket(tickets.lifetime, age_add, nonce, ticket).pack())


STEPS: dict[tuple[ServerState, int], Callable[[ServerHandshake, bytes], ServerState]] = {
    (ServerState.AWAIT_CLIENT_HELLO, HandshakeType.client_hello): ServerHandshake._client_hello,
    (ServerState.AWAIT_SECOND_CLIENT_HELLO, HandshakeType.client_hello): ServerHandshake._second_client_hello,
    (ServerState.AWAIT_CERTIFICATE, HandshakeType.certificate): ServerHandshake._certificate,
    (
        ServerState.AWAIT_CERTIFICATE_VERIFY,
        HandshakeType.certificate_verify,
    ): ServerHandshake._certificate_verify,
    (ServerState.AWAIT_FINISHED, HandshakeType.finished): ServerHandshake._finished,
}
"""Every message that may come, by the state in which it may (appendix A.2)."""

"""How a client's handshake begins: its hello, the server's, one more of each (RFC 8446 section 4.1)."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from mungos.crypto.contract import KeyShare
from mungos.errors import Misuse
from mungos.tls.engines.builtin.client_psks import (
    OfferedPsk,
    allows_early_data,
    offered_psks,
    pack_with_binders,
)
from mungos.tls.engines.builtin.faults import (
    IllegalParameter,
    MissingExtension,
    NothingInCommon,
    UnexpectedMessage,
    VersionNotSpoken,
)
from mungos.tls.engines.builtin.handshake import Channel, Handshake
from mungos.tls.engines.builtin.key_schedule import EarlyStage, HandshakeStage
from mungos.tls.engines.builtin.messages import ClientHello, Context, ExtensionType, ServerHello
from mungos.tls.engines.builtin.messages.extensions import (
    Extensions,
    check_solicited,
    pack_block,
    pack_each,
    pack_key_share,
    pack_key_shares,
    pack_server_name,
    parse_cookie,
    parse_key_share,
    parse_uint16,
    parse_uint16s,
)
from mungos.tls.engines.builtin.messages.registry import TLS12, TLS13
from mungos.tls.engines.builtin.preparation import PreparedClient
from mungos.tls.engines.builtin.suites import GROUP_CODES, GROUP_NAMES, SUITES, SUITES_BY_CODE, Suite
from mungos.tls.sessions import ClientSession

__all__ = ["ClientOpening", "ClientState"]

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


class ClientOpening(Handshake):
    """From the first hello to the keys of the handshake.

    Args:
        prepared: the configuration.
        channel: the record layer.
        server_name: what the certificate must bear, normalised; None without verification.
        sni: the name that is sent, None for an address.
    """

    __slots__ = (
        "_alpn",
        "_client_secret",
        "_early_data",
        "_early_session",
        "_group",
        "_hello",
        "_psk",
        "_psks",
        "_retried",
        "_server_name",
        "_server_secret",
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
        self._psks: list[OfferedPsk] = []
        self._psk: OfferedPsk | None = None  # the one that the server accepted
        self._early_data: Literal["none", "accepted", "rejected", "resent"] = "none"
        self._early_session: ClientSession | None = None  # whose ticket early data were sent with
        self._stage: HandshakeStage | None = None
        self._group = ""
        self._retried: Suite | None = None
        self._told_middleboxes = False
        self._client_secret = self._server_secret = b""
        self._alpn: str | None = None

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
        randoms = prepared.random(65)
        form = prepared.forms[randoms[64] % len(prepared.forms)]
        hello = ClientHello(randoms[:32], randoms[32:64], form.suites)
        extensions = hello.extensions
        extensions |= form.first
        named: Extensions = {}
        if self._sni is not None:
            named[ExtensionType.server_name] = pack_server_name(self._sni)
            extensions |= named
        extensions |= form.extensions
        if self._known_by_psk_only:
            del extensions[ExtensionType.signature_algorithms]
        else:
            hello.packed = len(extensions), b"".join((form.packed_first, pack_each(named), form.packed))
        packed = [pack_key_share(GROUP_CODES[share.group], share.public) for share in shares]
        extensions[ExtensionType.key_share] = pack_block(b"".join((form.share, *packed)))
        extensions |= form.last
        self._psks = offered_psks(prepared, self._server_name)
        if allows_early_data(prepared, self._psks):
            extensions[ExtensionType.early_data] = b""
        self.begin(hello, shares)

    @property
    def _known_by_psk_only(self) -> bool:
        """Without a name no certificate could be verified: a PSK is all that can prove who the server is."""
        return self._server_name is None and self.prepared.roots is not None

    def begin(self, hello: ClientHello, shares: list[KeyShare], message: bytes | None = None) -> None:
        """Send this hello; `message` is its encoding where that is given."""
        self._hello = hello
        self._shares = {share.group: share for share in shares}
        self.client_random = hello.random
        self.send(message or self._with_binders(hello))
        self.state = ClientState.AWAIT_SERVER_HELLO
        if ExtensionType.early_data in hello.extensions:
            self._begin_early_data()

    def _begin_early_data(self) -> None:
        session = self._psks[0].session
        if session is None:
            raise Misuse("early data without a ticket")
        suite = SUITES[session.suite]
        digest = self.transcript.digest_with(suite.hash, b"")
        secret = self._psks[0].early.client_traffic(digest)
        self.log("CLIENT_EARLY_TRAFFIC_SECRET", secret)
        self._early_session = session
        self._early_data = "rejected"  # until the server says otherwise
        # Appendix D.4: with early data it stands right behind the first ClientHello.
        self._tell_middleboxes()
        self.channel.write_early_with(suite, self._psks[0].kdf, secret, session.max_early_data)

    # The first flight

    def _with_binders(self, hello: ClientHello) -> bytes:
        """The hello's encoding, with the keys that are offered at its end (section 4.2.11)."""
        hello.extensions.pop(ExtensionType.pre_shared_key, None)
        if not self._psks:
            return hello.pack()
        return pack_with_binders(hello, self._psks, self.transcript, self.prepared.wall())

    def _tell_middleboxes(self) -> None:
        """Appendix D.4: one change_cipher_spec right before the second flight."""
        if self._hello.session_id and not self._told_middleboxes:
            self._told_middleboxes = True
            self.channel.send_change_cipher_spec()

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
        retry = hello.is_retry
        what = "HelloRetryRequest" if retry else "ServerHello"
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
        solicited = {*offered, ExtensionType.cookie} if retry else offered
        check_solicited(hello.extensions, solicited, Context.HRR if retry else Context.SH)
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
        self._psks = [psk for psk in self._psks if psk.kdf.hash_name == suite.hash]
        if hello.extensions.pop(ExtensionType.early_data, None) is not None:
            # Section 4.2.10: a HelloRetryRequest refuses them; section 4.1.2: they are not offered again.
            self.channel.end_early_data()
            self.channel.write_in_clear()
        self._retried = suite
        self._tell_middleboxes()
        self.send(self._with_binders(hello))
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
        stage = (self._psk.early if self._psk is not None else EarlyStage(kdf)).handshake(secret)
        digest = self.transcript.digest()
        self._client_secret, self._server_secret = stage.traffic(digest)
        if self.prepared.keylog is not None:
            self.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", self._client_secret)
            self.log("SERVER_HANDSHAKE_TRAFFIC_SECRET", self._server_secret)
        self._stage = stage
        self.channel.read_with(suite, kdf, self._server_secret)
        if ExtensionType.early_data not in self._hello.extensions:
            self.channel.write_with(suite, kdf, self._client_secret)
        return ClientState.AWAIT_ENCRYPTED_EXTENSIONS

    def _accept_psk(self, hello: ServerHello, suite: Suite) -> None:
        body = hello.extensions.get(ExtensionType.pre_shared_key)
        if body is None:
            if self._known_by_psk_only:
                raise NothingInCommon("the server knows none of our pre-shared keys")
            return
        selected = parse_uint16(body, "pre_shared_key")
        # Section 4.2.11: the identity must be one that was offered, and its hash that of the suite.
        if selected >= len(self._psks):
            raise IllegalParameter(f"ServerHello: PSK identity {selected} was not offered")
        psk = self._psks[selected]
        if psk.kdf.hash_name != suite.hash:
            raise IllegalParameter(f"ServerHello: {suite.name} does not fit the hash of the PSK")
        self._psk = psk

"""One `ssl.SSLObject` over two `ssl.MemoryBIO`."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mungos.errors import PeerMisbehaved
from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import Failed, Negotiated
from mungos.tls.engines.foreign.session import Ended, MustRead
from mungos.tls.engines.foreign.verdicts import PLAIN_ALERT_SIZE, alert_received, plain_alert_description
from mungos.tls.engines.openssl.verdicts import failure

if TYPE_CHECKING:
    from mungos.tls.engines.foreign.pipe import Judge

__all__ = ["OpenSSLSession"]

# The names of OpenSSL for the suites of TLS 1.2 that are enabled, and those of IANA. TLS 1.3's are the same.
_IANA = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}


class OpenSSLSession:
    """A session; see `mungos.tls.engines.foreign.session.LibrarySession`.

    `SSLObject.unwrap` succeeds exactly once, to queue our close_notify, and on an empty inbound BIO: with the
    peer's data in it, it fails with APPLICATION_DATA_AFTER_CLOSE_NOTIFY, and so does every later read. While
    half a message has come after the handshake, OpenSSL neither writes nor shuts down.

    Args:
        context: shared by the sessions of a configuration.
        outgoing: where ciphertext is left.
        server_side: the role.
        server_name: what a client asks for and verifies, a name or an address.
        judge: what the peer's own certificate is held to besides; None: nothing.

    Raises ValueError for a server name that can't be sent.
    """

    __slots__ = ("_judged_by", "_outgoing", "_session", "write")

    def __init__(
        self,
        context: ssl.SSLContext,
        outgoing: ssl.MemoryBIO,
        *,
        server_side: bool,
        server_name: str | None,
        judge: Judge | None = None,
    ) -> None:
        incoming = ssl.MemoryBIO()
        self.write: Callable[[Buffer], int] = incoming.write
        self._outgoing = outgoing
        self._judged_by = judge
        self._session = context.wrap_bio(
            incoming, outgoing, server_side=server_side, server_hostname=server_name
        )

    def handshake(self) -> bool:
        """Go on with the handshake."""
        before = self._outgoing.pending
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLZeroReturnError:
            raise Ended(alert_received(AlertDescription.close_notify)) from None
        except ssl.SSLError as error:
            raise Ended(self._judge(error, before)) from error
        leaf = self._session.getpeercert(True) if self._judged_by is not None else None
        if leaf and self._judged_by is not None and (refusal := self._judged_by((leaf,))) is not None:
            # `ssl` can send no alert of ours: the peer sees the stream end before the handshake is complete.
            self._outgoing.read()
            raise Ended(Failed(PeerMisbehaved(f"the peer's certificate is refused: {refusal}")))
        return True

    def negotiated(self, server_name: str | None) -> Negotiated:
        """What the handshake agreed on."""
        session = self._session
        cipher = session.cipher()
        suite = cipher[0] if cipher else ""
        leaf = session.getpeercert(True)
        chain: tuple[bytes, ...] = (leaf,) if leaf else ()
        whole: Callable[[], Sequence[bytes]] | None = getattr(session, "get_unverified_chain", None)
        if leaf and whole is not None:  # Python 3.13, whose first release fails when there is no certificate
            chain = tuple(whole())
        return Negotiated(
            version=session.version() or "",
            suite=_IANA.get(suite, suite),
            alpn=session.selected_alpn_protocol(),
            server_name=server_name,
            resumed=bool(session.session_reused),
            peer_chain=chain,
        )

    def decrypt(self, size: int) -> Buffer | None:
        """The plaintext of what was fed."""
        before = self._outgoing.pending
        try:
            return self._session.read(size)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise Ended(self._judge(error, before)) from error

    def encrypt(self, data: Buffer) -> int:
        """Queue plaintext."""
        try:
            return self._session.write(data)
        except ssl.SSLWantReadError:
            raise MustRead from None
        except ssl.SSLError as error:
            raise Ended(failure(error, seen=None, answered=False)) from error

    def close_notify(self) -> None:
        """Queue close_notify."""
        try:
            self._session.unwrap()
        except ssl.SSLWantReadError:
            pass  # the peer's close_notify has not come yet, and nobody waits for it
        except ssl.SSLError as error:
            if error.reason == "SHUTDOWN_WHILE_IN_INIT":
                raise MustRead from None
            raise Ended(failure(error, seen=None, answered=False)) from error

    def alert(self, alert: AlertDescription) -> bool:
        """False: `ssl` can't."""
        return False

    def free(self) -> None:
        """Nothing: what is not referred to any more is freed."""

    def _judge(self, error: ssl.SSLError, before: int) -> Failed:
        """Blame for an error during which OpenSSL may have queued an alert."""
        outgoing = self._outgoing
        queued = outgoing.pending - before
        seen = None
        if queued == PLAIN_ALERT_SIZE:
            everything = outgoing.read()
            outgoing.write(everything)
            seen = plain_alert_description(everything[-PLAIN_ALERT_SIZE:])
        return failure(error, seen=seen, answered=queued > 0)

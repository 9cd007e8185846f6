"""What both handshakes share: the channel below, the outcome, signatures, the key log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol as Contract

from mungos.crypto.contract import SCHEMES, PublicKey
from mungos.errors import Misuse
from mungos.tls.contract import Negotiated
from mungos.tls.engines.builtin.credentials import LoadedCredential
from mungos.tls.engines.builtin.faults import BadFinished, IllegalParameter
from mungos.tls.engines.builtin.key_schedule import Kdf, Transcript
from mungos.tls.engines.builtin.messages import Certificate, CertificateVerify, Finished, HandshakeType
from mungos.tls.engines.builtin.messages.compression import inflated
from mungos.tls.engines.builtin.preparation import Prepared
from mungos.tls.engines.builtin.suites import SCHEMES_BY_CODE, Suite

__all__ = ["CLIENT_CONTEXT", "SERVER_CONTEXT", "Channel", "Handshake", "Outcome"]

SERVER_CONTEXT = b"TLS 1.3, server CertificateVerify"
CLIENT_CONTEXT = b"TLS 1.3, client CertificateVerify"


@dataclass(slots=True)
class Outcome:
    """What is left of a handshake.

    Attributes:
        read_secret, write_secret: application traffic secrets of the two directions.
        exporter: exporter_master_secret.
        resumption: resumption_master_secret, where it is still needed.
    """

    negotiated: Negotiated
    suite: Suite
    kdf: Kdf
    read_secret: bytes = field(repr=False)
    write_secret: bytes = field(repr=False)
    exporter: bytes = field(repr=False)
    resumption: bytes | None = field(default=None, repr=False)


class Channel(Contract):
    """What a handshake asks of the record layer below it."""

    def send(self, message: bytes) -> None:
        """Queue a handshake message; messages under one key share records."""

    def send_change_cipher_spec(self) -> None:
        """Queue the record of RFC 8446 appendix D.4, behind what was sent so far."""

    def read_with(self, suite: Suite, kdf: Kdf, secret: bytes) -> None:
        """From the next record on, the peer's direction is under this traffic secret."""

    def write_with(self, suite: Suite, kdf: Kdf, secret: bytes) -> None:
        """What is sent from here on is under this traffic secret."""

    def limit_reading(self, limit: int) -> None:
        """The peer's records from here on hold at most `limit` bytes, content type included (RFC 8449)."""

    def limit_writing(self, limit: int) -> None:
        """Ours, from here on."""

    def read_early_with(self, suite: Suite, kdf: Kdf, secret: bytes, limit: int) -> None:
        """From the next record on, up to `limit` bytes of 0-RTT data may come under this traffic secret; the
        next `read_with` ends that."""

    def write_early_with(self, suite: Suite, kdf: Kdf, secret: bytes, limit: int) -> None:
        """Up to `limit` bytes of 0-RTT data may be sent from here on."""

    def end_early_data(self) -> None:
        """No more 0-RTT data may be sent. The key stays until another comes."""

    def write_in_clear(self) -> None:
        """What is sent from here on is not protected: the 0-RTT key was for nothing."""

    def skip_early_data(self, limit: int) -> None:
        """Records of the peer that can't be read are passed over, up to `limit` bytes in total, until one can
        (RFC 8446 section 4.2.10)."""

    def complete(self, outcome: Outcome) -> None:
        """The handshake is through."""


class Handshake:
    """State that both roles carry until the handshake is complete. Dropped as a whole afterwards."""

    __slots__ = ("channel", "client_random", "kdf", "prepared", "suite", "transcript")

    def __init__(self, prepared: Prepared, channel: Channel) -> None:
        self.prepared = prepared
        self.channel = channel
        self.transcript = Transcript(prepared.provider)
        self.client_random = b""
        self.kdf: Kdf | None = None
        self.suite: Suite | None = None

    def send(self, message: bytes) -> None:
        """Send a message that belongs to the transcript."""
        self.transcript.add(message)
        self.channel.send(message)

    def agreed(self) -> tuple[Suite, Kdf]:
        """The suite and what derives from its hash, once they are known."""
        if self.suite is None or self.kdf is None:
            raise Misuse("no cipher suite has been agreed on yet")
        return self.suite, self.kdf

    def log(self, label: str, secret: bytes) -> None:
        """One line of the key log (RFC 9850 section 2), if anyone asked for it."""
        if self.prepared.keylog is not None:
            self.prepared.keylog(f"{label} {self.client_random.hex()} {secret.hex()}")

    def check_finished(self, message: bytes, base_key: bytes) -> None:
        """Compare the peer's Finished with ours of the same transcript (RFC 8446 section 4.4.4)."""
        _, kdf = self.agreed()
        finished = Finished.parse(message[4:], kdf.hash_length)
        expected = kdf.verify_data(base_key, self.transcript.digest())
        if not self.prepared.provider.constant_time_equal(finished.verify_data, expected):
            raise BadFinished("Finished does not fit the transcript")

    def finished(self, base_key: bytes) -> bytes:
        """Our own Finished."""
        _, kdf = self.agreed()
        return Finished(kdf.verify_data(base_key, self.transcript.digest())).pack()

    def send_certificate(
        self,
        credential: LoadedCredential,
        scheme: str,
        signed_as: bytes,
        *,
        stapled: bool = False,
        packed: bool = False,
    ) -> None:
        """Certificate and CertificateVerify (RFC 8446 sections 4.4.2 and 4.4.3)."""
        self.send(credential.message(stapled=stapled, packed=packed))
        signature = credential.key.sign(scheme, self._signed_content(signed_as))
        self.send(CertificateVerify(SCHEMES[scheme].code, signature).pack())

    def shown_certificate(self, message: bytes) -> Certificate:
        """The Certificate that a peer sends, inflated if it is compressed."""
        body = message[4:]
        return Certificate.parse(
            inflated(body) if message[0] == HandshakeType.compressed_certificate else body
        )

    def check_certificate_verify(self, message: bytes, key: PublicKey, signed_as: bytes) -> str:
        """Check the peer's signature over the transcript. Returns the scheme's name."""
        verify = CertificateVerify.parse(message[4:])
        scheme = SCHEMES_BY_CODE.get(verify.scheme)
        # Section 4.4.3: the algorithm MUST be one that was offered, and RSASSA-PKCS1-v1_5 is none.
        if scheme is None or not scheme.handshake or verify.scheme not in self.prepared.schemes:
            raise IllegalParameter(f"CertificateVerify: scheme {verify.scheme:#06x} was not offered")
        if scheme.key != key.kind:
            raise IllegalParameter(f"CertificateVerify: {scheme.name} by a key of kind {key.kind}")
        key.verify(scheme.name, verify.signature, self._signed_content(signed_as))
        return scheme.name

    def _signed_content(self, signed_as: bytes) -> bytes:
        # Section 4.4.3: 64 spaces, the context string, a zero byte, the transcript's hash.
        return b"".join((b"\x20" * 64, signed_as, b"\0", self.transcript.digest()))
